// SPDX-License-Identifier: Apache-2.0
// node documents.mjs URL: the documents of the server at URL before the judges that others wrote. Exits 1
// on any error; warnings are told.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// The packages lie where the test put them, not beside this file.
const require = createRequire(pathToFileURL(join(process.cwd(), 'judges.mjs')));
const redocly = require('@redocly/openapi-core');
const { Spectral } = require('@stoplight/spectral-core');
const { oas, asyncapi } = require('@stoplight/spectral-rulesets');
const { Parser } = require('@asyncapi/parser');

const severities = ['error', 'warning', 'info', 'hint'];
let errors = 0;

function tell(judge, severity, what, where) {
  if (severity === 'error') errors++;
  if (severity === 'error' || severity.startsWith('warn')) console.log(`${judge}: ${severity}: ${what} at ${where}`);
}

async function spectral(name, text, ruleset) {
  const judge = new Spectral();
  judge.setRuleset({ extends: [ruleset] });
  for (const found of await judge.run(text))
    tell(`spectral, ${name}`, severities[found.severity], `${found.code}: ${found.message}`, found.path.join('.'));
}

const url = process.argv[2];
const fetched = async (path) => (await fetch(url + path)).text();
const openapi = await fetched('/openapi.json');
const events = await fetched('/asyncapi.json');

const folder = mkdtempSync(join(tmpdir(), 'skald-judges.'));
try {
  writeFileSync(join(folder, 'openapi.json'), openapi);
  const config = await redocly.createConfig({ extends: ['recommended'] });
  for (const found of await redocly.lint({ ref: join(folder, 'openapi.json'), config }))
    tell('redocly', found.severity, `${found.ruleId}: ${found.message}`, found.location[0]?.pointer);
} finally {
  rmSync(folder, { recursive: true });
}
await spectral('openapi', openapi, oas);
await spectral('asyncapi', events, asyncapi);
const { document, diagnostics } = await new Parser().parse(events);
for (const found of diagnostics)
  tell('asyncapi parser', severities[found.severity], `${found.code}: ${found.message}`, found.path.join('.'));
if (!document) tell('asyncapi parser', 'error', 'there is no document', '');
console.log(`${document?.allMessages().length ?? 0} messages, ${errors} errors`);
process.exit(errors || !document ? 1 : 0);
