// SPDX-License-Identifier: Apache-2.0
// What those who run a server do with the page, beside what page_test.mjs has.
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {publish} from './data.mjs';
import {api, sleep, work} from './server.mjs';
import {eventually, said, visit} from './wait.mjs';

// Several at once, one for later and not at all, one that is not kept, one for a stream that has moved.
export async function publishes_in_every_way(page, url) {
  await visit(page, `${url}/#/publish`, 'Publish');
  await page.getByRole('button', {name: 'As JSON'}).click();
  await page.getByLabel('Events as JSON').fill('[{"type": "crate.filled", "stream": "crate-1"}, {"type": "crate.closed", "stream": "crate-1"}]');
  await page.getByRole('button', {name: 'Publish', exact: true}).click();
  await page.getByText(/2 events are stored/).waitFor();
  await page.getByRole('button', {name: 'An event', exact: true}).click();
  await page.getByLabel('Type', {exact: true}).fill('crate.opened');
  await page.getByLabel('Stream', {exact: true}).fill('crate-1');
  await page.getByText('More: when').click();
  await page.getByLabel('Expected version').fill('1');
  await page.getByRole('button', {name: 'Publish', exact: true}).click();
  await page.getByText(/is at version 2, version 1 was expected/).waitFor();
  await page.getByLabel('Expected version').fill('');
  await page.getByLabel('Not before').fill('2099-06-01T12:00');
  await page.getByRole('button', {name: 'Publish', exact: true}).click();
  await page.getByText(/It is waiting for its time/).waitFor();
  await page.getByRole('button', {name: 'Cancel it'}).click();
  await said(page, 'crate.opened is not published.');
  await page.getByLabel('Not before').fill('');
  await page.getByLabel(/^Keep it/).uncheck();
  await page.getByRole('button', {name: 'Publish', exact: true}).click();
  await page.getByText(/sent to live readers, and not kept/).waitFor();
  assert.equal((await api(url, 'GET', '/api/streams/crate-1')).body.data.length, 2);
  await page.getByLabel(/^Keep it/).check();
  await page.getByLabel('Say that it is done when').selectOption('memory');
  await page.getByRole('button', {name: 'Publish', exact: true}).click();
  await page.getByText(/crate-1 is now at version 3/).waitFor();
  const lines = '{"type": "crate.counted", "data": 1}\n{"tpe": "crate.counted"}\n{"type": "crate.counted", "data": 3}\n';
  await page.getByRole('button', {name: 'A file', exact: true}).click();
  await page.getByLabel(/^A file with an event/).setInputFiles({name: 'crates.ndjson', mimeType: 'application/x-ndjson', buffer: Buffer.from(lines)});
  await page.getByRole('button', {name: 'Publish', exact: true}).click();
  await page.getByText(/2 events stored, up to position .*; 1 line rejected/).waitFor();
  await page.getByText(/line 2: .*did you mean 'type'/).waitFor();
}

export async function keeps_what_it_is_told(page, url) {
  await publish(url, [1, 2, 3].map((step) => ({type: 'till.counted', stream: 'till-1', data: {step}})));
  await visit(page, `${url}/#/streams/till-1?version=2`, 'till-1');
  await page.getByRole('button', {name: 'Keep one of version 2'}).click();
  await page.getByLabel('The state at version 2').fill('{"step": 2, "counted": true}');
  await page.getByLabel('Form').fill('3');
  await page.getByRole('button', {name: 'Keep it'}).click();
  await said(page, 'A snapshot of version 2 is kept.');
  assert.equal((await api(url, 'GET', '/api/streams/till-1/snapshot')).body.data.schemaVersion, 3);
  await page.locator('.state-table').getByText('counted').waitFor();
  await page.getByLabel('Newest events kept').fill('1');
  await page.getByRole('button', {name: 'Save', exact: true}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Save'}).click();
  await said(page, 'What is kept is changed.');
  assert.equal((await api(url, 'GET', '/api/streams/till-1')).body.data.length, 1);
  await page.getByRole('button', {name: 'Delete'}).click();
  const sure = page.getByRole('dialog');
  await sure.getByLabel(/let nobody write/).check();
  await sure.getByLabel('Type till-1 to confirm').fill('till-1');
  await sure.getByRole('button', {name: 'Delete'}).click();
  await said(page, 'till-1 is deleted.');
  assert.equal((await api(url, 'POST', '/api/events', {type: 'till.counted', stream: 'till-1'})).status, 409);
  await visit(page, `${url}/#/streams/till-1`, 'till-1');
  await page.getByText('Closed for ever').waitFor();
  await visit(page, `${url}/#/streams/till-2`, 'till-2');
  await page.getByText('No such stream').waitFor();
  await page.getByLabel('Newest events kept').fill('7'); // before there are any
  await page.getByRole('button', {name: 'Save', exact: true}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Save'}).click();
  await said(page, 'What is kept is changed.');
  assert.equal((await api(url, 'GET', '/api/streams/till-2/metadata')).body.data.maxCount, 7);
}

// The work of a pull group by hand, then its end.
export async function works_by_hand(page, url) {
  await publish(url, [{type: 'door.opened', stream: 'door-1', data: {by: 'Kari'}}, {type: 'door.opened', stream: 'door-2', data: {by: 'Per'}}]);
  await api(url, 'POST', '/api/subscriptions', {name: 'porter', filter: {types: ['door.*']}});
  await visit(page, `${url}/#/subscriptions/porter`, 'porter');
  const hand = page.getByRole('region', {name: 'Take by hand'});
  await hand.getByLabel('Deliveries').fill('2');
  await hand.getByRole('button', {name: 'Take', exact: true}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Take'}).click();
  await hand.getByText('door-2').waitFor();
  await hand.locator('li', {hasText: 'door-1'}).getByRole('button', {name: 'Acknowledge'}).click();
  await said(page, 'Acknowledged.');
  await hand.getByLabel(/^Reason/).fill('the key is lost');
  await hand.getByLabel('Comes again after, s').fill('0.2');
  await hand.locator('li', {hasText: 'door-2'}).getByRole('button', {name: 'Give back'}).click();
  await said(page, 'Given back: it comes again.');
  await page.getByText(/the key is lost/).first().waitFor();
  const [delivery] = (await api(url, 'GET', '/api/subscriptions/porter/deliveries?waitMs=20000')).body.data;
  assert.equal(delivery.attempt, 2);
  await api(url, 'POST', '/api/subscriptions/porter/ack', {deliveries: [delivery.deliveryId]});
  await page.getByRole('button', {name: 'Drain'}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Drain'}).click();
  await said(page, 'porter drains.');
  await page.getByRole('button', {name: 'Delete'}).click();
  await page.getByRole('dialog').getByLabel('Type porter to confirm').fill('porter');
  await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
  await said(page, 'porter is deleted.');
}

// A parked head that is skipped: what stands behind it goes on without it. And who was given what, and why not.
export async function skips_and_sees_why(page, url) {
  await api(url, 'POST', '/api/subscriptions', {name: 'boats', filter: {types: ['boat.*']}, retry: {attemptsMax: 1}, onExhausted: 'park_key'});
  const worker = work(url, 'boats', (event) => !event.data.leaks);
  await publish(url, [{type: 'boat.left', stream: 'boat-1', correlationId: 'race-1', data: {leaks: true}}, {type: 'boat.landed', stream: 'boat-1', correlationId: 'race-1', data: {}}]);
  await visit(page, `${url}/#/subscriptions/boats`, 'boats');
  const parked = page.getByRole('region', {name: 'Parked keys'});
  await parked.getByRole('button', {name: 'boat-1'}).waitFor();
  await visit(page, `${url}/#/trace/race-1`, 'Causes');
  const first = page.getByRole('list', {name: 'Events by cause'}).locator('> li', {hasText: 'boat.left'});
  await first.getByText('out of paper').waitFor();
  await first.getByText(/^not given to/).click();
  await first.getByText('its filter does not take it').first().waitFor();
  await visit(page, `${url}/#/subscriptions/boats`, 'boats');
  await parked.getByRole('button', {name: 'Skip'}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Skip'}).click();
  await said(page, 'The head of boat-1 is skipped.');
  await eventually(() => assert.deepEqual(worker.taken.map((event) => event.type), ['boat.landed']));
  return worker.stop();
}

export async function names_types(page, url) {
  await visit(page, `${url}/#/types/boat.left`, 'boat.left');
  await page.getByLabel('One more name').fill('BOAT_LEFT');
  await page.getByRole('button', {name: 'Add'}).click();
  await said(page, 'boat.left is also BOAT_LEFT.');
  assert.equal((await api(url, 'GET', '/api/events?type=BOAT_LEFT')).body.data.length, 1);
  await visit(page, `${url}/#/types/boat.seen`, 'boat.seen');
  await page.getByRole('button', {name: 'Keep none'}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Never keep them'}).click();
  await said(page, 'boat.seen is not kept any more.');
  assert.equal((await publish(url, [{type: 'boat.seen'}]))[0].position, null);
  await page.getByRole('button', {name: 'Keep them'}).click();
  await said(page, 'boat.seen is kept from now on.');
  assert.ok((await publish(url, [{type: 'boat.seen'}]))[0].position);
  await visit(page, `${url}/#/types`, 'Types');
  await page.getByRole('button', {name: 'For other programs'}).click();
  await page.getByRole('region', {name: 'The contract'}).getByText(/interface/).waitFor();
  await page.keyboard.press('Escape');
}

// What is in force and where it is from; of a secret only that there is one.
async function shows_its_configuration(page) {
  const panel = page.getByRole('region', {name: 'Configuration'});
  const row = (key) => panel.getByRole('row').filter({has: page.getByText(key, {exact: true})});
  await row('log.level').getByText('changed while it runs').waitFor();
  await row('backup.directory').getByText('--backup.directory').waitFor();
  await row('telemetry.otlp_url').getByText(/\/\/\*\*\*@127/).waitFor();
  assert.equal(await row('connections_max').count(), 0); // nobody set it
  await panel.getByRole('group', {name: 'Which settings'}).getByRole('button', {name: /^All/}).click();
  await row('connections_max').getByText('20000').waitFor();
  await panel.getByLabel('Find a setting').fill('memory for events');
  await row('cache_bytes').waitFor();
  await eventually(async () => assert.equal(await panel.getByRole('row').count(), 2));
  await panel.getByLabel('Find a setting').fill('');
  assert.ok(!(await page.content()).includes('hush'), 'a password is on the page');
}

// Two tenants with streams of one name, seen by one who may see all.
export async function tells_tenants_apart(page, url) {
  for (const tenantId of ['acme', 'umbra']) await publish(url, [{type: 'dock.built', stream: 'dock-1', tenantId, correlationId: `of-${tenantId}`, data: {by: tenantId}}]);
  await visit(page, `${url}/#/streams?prefix=dock`, 'Streams');
  const rows = page.getByRole('region', {name: 'Streams, a table'}).getByRole('row', {name: /dock-1/});
  await eventually(async () => assert.deepEqual((await rows.allInnerTexts()).map((text) => /acme|umbra|$/.exec(text)[0]).sort(), ['acme', 'umbra']));
  await rows.filter({hasText: 'umbra'}).getByRole('link').click();
  await page.locator('.state-table').getByText('umbra').waitFor();
  await page.getByText(/^tenant umbra, 1 version/).waitFor();
  await page.getByRole('link', {name: 'Append an event'}).click();
  await page.getByLabel('Type', {exact: true}).fill('dock.used');
  await page.getByRole('button', {name: 'Publish', exact: true}).click();
  await page.getByText(/dock-1 is now at version 2/).waitFor();
  await page.getByRole('link', {name: 'See the event'}).click();
  await page.getByRole('heading', {name: 'dock.used'}).waitFor();
  await page.waitForURL(/#\/event\/.*tenant=umbra/);
  await page.getByRole('main').getByRole('link', {name: /^dock-1/}).click();
  await page.getByRole('button', {name: 'Keep one of version 2'}).click();
  await page.getByRole('button', {name: 'Keep it'}).click();
  await said(page, 'A snapshot of version 2 is kept.');
  await page.getByRole('button', {name: 'Delete'}).click();
  await page.getByRole('dialog').getByLabel('Type dock-1 to confirm').fill('dock-1');
  await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
  await said(page, 'dock-1 is deleted.');
  assert.equal((await api(url, 'GET', '/api/streams/dock-1?tenantId=umbra')).status, 404);
  assert.equal((await api(url, 'GET', '/api/streams/dock-1?tenantId=acme')).status, 200);
  // What the platform says of itself is another tenant's, too.
  await visit(page, `${url}/#/events?type=system.startup`, 'Events');
  await page.getByRole('list', {name: 'Events found'}).getByRole('button').first().click();
  await page.getByRole('complementary', {name: 'The chosen event'}).locator('.facts a code').first().click();
  await page.getByRole('heading', {name: 'system.startup'}).waitFor();
}

// By each condition there is, and by the command that the page gives for it.
export async function searches(page, url) {
  const [first] = await publish(url, [{type: 'boiler.lit', stream: 'boiler-1', correlationId: 'winter-1', tenantId: 'heat', data: {bar: 2}}]);
  const count = (await api(url, 'GET', '/api/events?type=order.placed&limit=1000')).body.data.length;
  const found = page.getByRole('list', {name: 'Events found'}).getByRole('button');
  const search = async (fields, rows) => {
    await page.goto('about:blank');
    await visit(page, `${url}/#/events`, 'Events');
    for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, {exact: true}).fill(value);
    await page.getByRole('button', {name: 'Search', exact: true}).click();
    await page.getByText(rows === 1 ? '1 event.' : `${rows} events.`, {exact: true}).waitFor();
    await eventually(async () => assert.equal(await found.count(), rows, JSON.stringify(fields)));
  };
  await search({Type: 'order.placed'}, count);
  await search({Type: 'boiler.*'}, 1);
  await search({Stream: 'order-7'}, 3);
  await search({Category: 'boiler'}, 1);
  await search({Tenant: 'heat'}, 1);
  await search({'Correlation id': 'winter-1', From: '2020-01-01T08:30:05'}, 1);
  await search({'Correlation id': 'winter-1', To: '2020-01-01T08:30:05'}, 0);
  await search({'Correlation id': 'winter-1'}, 1);
  await page.getByRole('button', {name: 'Copy search as curl'}).click();
  await said(page, 'The curl command copied.');
  const command = await page.evaluate(() => navigator.clipboard.readText()); // it was written before it was said
  if (spawnSync('curl', ['--version']).status === 0) {
    const {stdout} = spawnSync('sh', ['-c', command], {encoding: 'utf8'});
    assert.equal(JSON.parse(stdout).data[0].id, first.id, command);
  } else console.log('SKIPPED: there is no curl: nobody runs the command the page gives');
}

// What comes, narrowed down; what comes meanwhile is there when it goes on; and three charts.
export async function filters_what_is_live(page, url) {
  const live = page.getByRole('list', {name: 'Live events'});
  const events = (...types) => publish(url, types.map((type) => ({type, stream: `${type.split('.')[0]}-1`, tenantId: 'sea', data: {}})));
  await visit(page, `${url}/#/live`, 'Live');
  await page.getByLabel('Type', {exact: true}).fill('gull.*');
  await page.getByRole('button', {name: 'Show', exact: true}).click();
  await page.getByText('Nothing of that kind yet').waitFor();
  await events('gull.seen', 'crab.seen');
  await live.getByText('gull.seen').waitFor();
  assert.equal(await live.getByText('crab.seen').count(), 0);
  await page.getByRole('button', {name: /^Pause/}).click();
  await page.getByText('paused', {exact: true}).waitFor();
  await events('gull.gone');
  await sleep(700); // two ticks of the page
  assert.equal(await live.getByText('gull.gone').count(), 0);
  await page.getByRole('button', {name: /^Go on/}).click();
  await live.getByText('gull.gone').waitFor();
  await page.getByRole('button', {name: 'Show all'}).click();
  await page.getByRole('button', {name: 'More', exact: true}).click();
  await page.getByLabel('Tenant').fill('sea');
  await page.getByRole('button', {name: 'Show', exact: true}).click();
  await eventually(async () => assert.equal(await live.getByText('order.').count(), 0));
  await live.getByText('crab.seen').waitFor();
  for (const [chart, says] of [['Throughput', /published [\d.,]+k?\/s/], ['Publish latency', /half within [\d.]+ .?s/], ['Lag', /events behind, the slowest \d/]]) {
    await eventually(async () => {
      await events('gull.back'); // what is drawn is of the last seconds
      await page.getByRole('img', {name: new RegExp(`^${chart}: .*${says.source}`)}).waitFor({timeout: 3000});
    });
  }
}

// On a server that keeps its events in folder: what is its own is in reach of the page.
export async function operates(page, url) {
  await visit(page, `${url}/#/server`, 'Server');
  await page.getByRole('group', {name: 'Log level'}).getByRole('button', {name: 'warn'}).click();
  await said(page, 'The server logs warn and worse');
  await shows_its_configuration(page);
  const backup = page.getByRole('region', {name: 'Backup'});
  await backup.getByLabel('Name').fill('noon');
  await backup.getByRole('button', {name: 'Back up now'}).click();
  await backup.getByText(/All up to position/).waitFor();
  await page.getByRole('region', {name: 'Callers, a table'}).getByText('2.0.0').first().waitFor();
  const documents = page.getByRole('region', {name: 'Documents'});
  for (const [path, shown] of [['/api/admin/metrics', 'domainEvents'], ['/api/events/history', 'occurredAt'], ['/api/schemas', 'pagination'],
    ['/openapi.json', 'publishEvents'], ['/asyncapi.json', 'asyncapi'], ['/api/events/stats', 'totalEvents']]) {
    await documents.getByLabel('Show').selectOption(path);
    await documents.getByRole('region', {name: 'The document'}).getByText(shown).first().waitFor();
  }
  await documents.getByLabel('Or what the API has at').fill('/api/events?type=system.startup&limit=1');
  await documents.getByRole('button', {name: 'Read'}).click();
  await documents.getByRole('region', {name: 'The document'}).getByText('"nextCursor"').first().waitFor();
}
