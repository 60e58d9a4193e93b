// SPDX-License-Identifier: Apache-2.0
// node webhooks.mjs FOLDER: what schema_validate checks, the same for both sides. GitHub's published
// schemas, one for each kind of event with what it refers to, go to FOLDER/schemas.ndjson, and its example
// payloads to FOLDER/payloads.ndjson, each with the line of its schema before a tab.
//
// The schemas are of draft 7 and say nothing that 2020-12 says otherwise; only where definitions stand is changed.
import {writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const [folder] = process.argv.slice(2);
const load = createRequire(import.meta.url);
const webhooks = load('@octokit/webhooks-examples/api.github.com/index.json');
const {definitions} = JSON.parse(
  JSON.stringify(load('@octokit/webhooks-schemas/schema.json')).replaceAll('"#/definitions/', '"#/$defs/'),
  (name, value) => (name === '$schema' && typeof value === 'string' ? undefined : value));

// schema_of gives the schema of one event, with every definition that it leads to.
function schema_of(name) {
  const $defs = {};
  const wanted = [name];
  for (let next = wanted.pop(); next; next = wanted.pop()) {
    if ($defs[next]) continue;
    $defs[next] = definitions[next];
    for (const [, found] of JSON.stringify(definitions[next]).matchAll(/"#\/\$defs\/([^"]+)"/g)) wanted.push(found);
  }
  return {$schema: 'https://json-schema.org/draft/2020-12/schema', $ref: `#/$defs/${name}`, $defs};
}

const schemas = [];
const payloads = [];
for (const {name, examples} of webhooks) {
  if (!definitions[`${name}_event`]) continue;
  payloads.push(...examples.map((payload) => `${schemas.length}\t${JSON.stringify(payload)}`));
  schemas.push(JSON.stringify(schema_of(`${name}_event`)));
}
writeFileSync(`${folder}/schemas.ndjson`, schemas.join('\n') + '\n');
writeFileSync(`${folder}/payloads.ndjson`, payloads.join('\n') + '\n');
