// SPDX-License-Identifier: Apache-2.0
// node cloudevents.mjs URL: the CloudEvents client that others wrote sends events to the server at URL, in
// binary and structured mode and as a batch, and reads them back. It neither encodes nor decodes percent
// signs, so there are none here.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const require = createRequire(pathToFileURL(join(process.cwd(), 'judges.mjs')));
const { CloudEvent, HTTP } = require('cloudevents');
const url = process.argv[2];

async function send(message, status = 201) {
  const reply = await fetch(`${url}/api/events`, { method: 'POST', ...message });
  const text = await reply.text();
  assert.equal(reply.status, status, text);
  return JSON.parse(text).data;
}

async function take(path, accept) {
  const reply = await fetch(url + path, { headers: { accept } });
  assert.equal(reply.status, 200);
  return HTTP.toEvent({ headers: Object.fromEntries(reply.headers), body: await reply.text() });
}

const sent = ['A-1', 'A-2', 'A-3', 'A-4'].map((id, i) => new CloudEvent({
  id, source: '/scale', type: 'judge.weighed', subject: `scale-${i}`, time: '2026-01-02T03:04:05.000Z',
  datacontenttype: 'application/json', place: 'hall B', data: { kg: 12 + i },
}));
const [made] = await send(HTTP.binary(sent[0]));
await send(HTTP.structured(sent[1]));
await send({ headers: { 'content-type': 'application/cloudevents-batch+json' }, body: JSON.stringify(sent.slice(2)) });

function same(event, want) {
  for (const name of ['id', 'source', 'type', 'subject', 'place', 'data', 'specversion'])
    assert.deepEqual(event[name], want[name], name);
  assert.equal(new Date(event.time).getTime(), new Date(want.time).getTime());
}

same(await take(`/api/events/${made.id}`, 'application/cloudevents+json'), sent[0]);
const batch = await take('/api/events?type=judge.weighed', 'application/cloudevents-batch+json');
assert.equal(batch.length, sent.length);
batch.forEach((event, i) => same(event, sent[i]));

// Data that is not JSON: characters and bytes.
const other = [
  { id: 'B-1', datacontenttype: 'text/plain', data: '12 "kg"' },
  { id: 'B-2', datacontenttype: 'application/octet-stream', data: Uint8Array.from([0, 255, 254, 7]) },
].map((parts) => new CloudEvent({ source: '/scale', type: 'judge.other', ...parts }));
for (const event of other) {
  for (const message of [HTTP.structured(event), HTTP.binary(event)]) {
    const [made] = await send(message, message.headers['content-type'].startsWith('application/cloudevents') ? 201 : 200);
    const back = await take(`/api/events/${made.id}`, 'application/cloudevents+json');
    assert.equal(back.datacontenttype, event.datacontenttype);
    assert.deepEqual([...back.data], [...event.data]); // of characters, or of bytes
  }
}
console.log(`${batch.length} events there and back`);
