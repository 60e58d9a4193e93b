// SPDX-License-Identifier: Apache-2.0
// node schemas.mjs EVENTS.json DATA.ndjson FOLDER: every schema of the contract is one that ajv takes in strict mode, takes
// the data of its type, and refuses it with any one required member gone or made another kind. What was made
// is left in FOLDER, NAME.json and NAME.good and NAME.bad, for skald to say the same.
import Ajv from 'ajv/dist/2020.js';
import {strict as assert} from 'node:assert';
import {readFileSync, writeFileSync} from 'node:fs';

const [contract, lines, folder] = process.argv.slice(2);
const {$defs} = JSON.parse(readFileSync(contract, 'utf8'));
const data = readFileSync(lines, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const names = ['parcel.sent', 'parcel.lost'];
const formats = Object.fromEntries(['uuid', 'date', 'date-time'].map((name) => [name, true])); // remarks
const ajv = new Ajv({strict: true, strictRequired: true, formats, keywords: ['x-personal', 'x-subject', 'x-aliases']});

for (const [at, name] of names.entries()) {
  const schema = Object.entries($defs).find(([key]) => key === name || key.startsWith(`${name}:`) || $defs[key].title === name)?.[1];
  assert.ok(schema, `${name} is not in the contract: ${Object.keys($defs)}`);
  const check = ajv.compile(schema);
  assert.ok(check(data[at]), `ajv refuses ${JSON.stringify(data[at])}: ${JSON.stringify(check.errors)}`);
  const bad = schema.required.flatMap((member) => {
    const {[member]: gone, ...without} = data[at];
    return member === 'extra' ? [without] : [without, {...data[at], [member]: typeof gone === 'object' ? 7 : {}}];
  });
  for (const one of bad) assert.ok(!check(one), `ajv takes ${JSON.stringify(one)}`);
  const text = (list) => list.map((one) => JSON.stringify(one)).join('\n') + '\n';
  writeFileSync(`${folder}/${name}.json`, JSON.stringify(schema));
  writeFileSync(`${folder}/${name}.good`, text([data[at]]));
  writeFileSync(`${folder}/${name}.bad`, text(bad));
}
