// SPDX-License-Identifier: Apache-2.0
// node ajv.mjs FOLDER SECONDS: the peer of schema_validate. Reads what webhooks.mjs wrote, and prints how many
// payloads a second ajv checks from their text, and how many of them it takes. Formats are remarks, as ours are.
import {readFileSync} from 'node:fs';
import Ajv from 'ajv/dist/2020.js';

const [folder, seconds] = process.argv.slice(2);
const lines = (name) => readFileSync(`${folder}/${name}`, 'utf8').trimEnd().split('\n');
const schemas = lines('schemas.ndjson').map(
  (text) => new Ajv({strict: false, validateFormats: false}).compile(JSON.parse(text)));
const payloads = lines('payloads.ndjson').map((line) => {
  const tab = line.indexOf('\t');
  return {check: schemas[Number(line.slice(0, tab))], text: Buffer.from(line.slice(tab + 1))};
});

function round() {
  let taken = 0;
  for (const {check, text} of payloads) taken += check(JSON.parse(text));
  return taken;
}

const taken = round();
for (const until = performance.now() + 2000; performance.now() < until;) round(); // compiled by now
const began = performance.now();
let rounds = 0;
do {
  if (round() !== taken) throw new Error('ajv is of two minds');
  rounds++;
} while (performance.now() - began < seconds * 1000);
console.log(`${(payloads.length * rounds * 1000) / (performance.now() - began)} ${taken} ${payloads.length}`);
