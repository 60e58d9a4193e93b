// SPDX-License-Identifier: Apache-2.0
// Prints real GitHub webhook payloads (the npm package @octokit/webhooks-examples) as events, one a
// line: node events.mjs > events.ndjson
//
// The type is github.<event>[.<action>], the stream that of the repository. The id is made from the
// payload's place, so that importing twice stores once.
import {createHash} from 'node:crypto';
import {createRequire} from 'node:module';

const webhooks = createRequire(import.meta.url)('@octokit/webhooks-examples/api.github.com/index.json');

function id_of(text) {
  const hash = createHash('sha1').update(`github-example:${text}`).digest();
  hash[6] = (hash[6] & 0x0f) | 0x50; // version 5
  hash[8] = (hash[8] & 0x3f) | 0x80; // variant
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}

function event_of(name, payload, index) {
  const action = typeof payload.action === 'string' ? `.${payload.action}` : '';
  const event = {id: id_of(`${name}/${index}`), type: `github.${name}${action}`, source: 'github', data: payload};
  if (payload.repository?.id) event.stream = `repo-${payload.repository.id}`;
  return event;
}

for (const {name, examples} of webhooks) {
  examples.forEach((payload, index) => console.log(JSON.stringify(event_of(name, payload, index))));
}
