// SPDX-License-Identifier: Apache-2.0
// What those who run a server do with the page, beside what page_test.mjs has.
import assert from 'node:assert/strict';
import {publish} from './data.mjs';
import {api, sleep, work} from './server.mjs';

// Several at once, one for later and not at all, one that is not kept, one for a stream that has moved.
export async function publishes_in_every_way(page, url) {
  await page.goto(`${url}/#/publish`);
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
  await page.getByText('crate.opened is not published.').waitFor();
  await page.getByLabel('Not before').fill('');
  await page.getByLabel(/^Keep it/).uncheck();
  await page.getByRole('button', {name: 'Publish', exact: true}).click();
  await page.getByText(/sent to live readers, and not kept/).waitFor();
  assert.equal((await api(url, 'GET', '/api/streams/crate-1')).body.data.length, 2);
}

export async function keeps_what_it_is_told(page, url) {
  await publish(url, [1, 2, 3].map((step) => ({type: 'till.counted', stream: 'till-1', data: {step}})));
  await page.goto(`${url}/#/streams/till-1?version=2`);
  await page.getByRole('button', {name: 'Keep one of version 2'}).click();
  await page.getByLabel('The state at version 2').fill('{"step": 2, "counted": true}');
  await page.getByRole('button', {name: 'Keep it'}).click();
  await page.getByText('A snapshot of version 2 is kept.').waitFor();
  await page.locator('.state-table').getByText('counted').waitFor();
  await page.getByLabel('Newest events kept').fill('1');
  await page.getByRole('button', {name: 'Save', exact: true}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Save'}).click();
  await page.getByText('What is kept is changed.').waitFor();
  assert.equal((await api(url, 'GET', '/api/streams/till-1')).body.data.length, 1);
  await page.getByRole('button', {name: 'Delete'}).click();
  const sure = page.getByRole('dialog');
  await sure.getByLabel(/let nobody write/).check();
  await sure.getByLabel('Type till-1 to confirm').fill('till-1');
  await sure.getByRole('button', {name: 'Delete'}).click();
  await page.getByText('till-1 is deleted.').waitFor();
  assert.equal((await api(url, 'POST', '/api/events', {type: 'till.counted', stream: 'till-1'})).status, 409);
}

// The work of a pull group by hand, then its end.
export async function works_by_hand(page, url) {
  await publish(url, [{type: 'door.opened', stream: 'door-1', data: {by: 'Kari'}}, {type: 'door.opened', stream: 'door-2', data: {by: 'Per'}}]);
  await api(url, 'POST', '/api/subscriptions', {name: 'porter', filter: {types: ['door.*']}});
  await page.goto(`${url}/#/subscriptions/porter`);
  const hand = page.getByRole('region', {name: 'Take by hand'});
  await hand.getByLabel('Deliveries').fill('2');
  await hand.getByRole('button', {name: 'Take', exact: true}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Take'}).click();
  await hand.getByText('door-2').waitFor();
  await hand.locator('li', {hasText: 'door-1'}).getByRole('button', {name: 'Acknowledge'}).click();
  await page.getByText('Acknowledged.').waitFor();
  await hand.getByLabel(/^Reason/).fill('the key is lost');
  await hand.locator('li', {hasText: 'door-2'}).getByRole('button', {name: 'Give back'}).click();
  await page.getByText('Given back: it comes again.').waitFor();
  await page.getByText(/the key is lost/).waitFor();
  const [delivery] = (await api(url, 'GET', '/api/subscriptions/porter/deliveries?waitMs=2000')).body.data;
  assert.equal(delivery.attempt, 2);
  await api(url, 'POST', '/api/subscriptions/porter/ack', {deliveries: [delivery.deliveryId]});
  await page.getByRole('button', {name: 'Drain'}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Drain'}).click();
  await page.getByText('porter drains.').waitFor();
  await page.getByRole('button', {name: 'Delete'}).click();
  await page.getByRole('dialog').getByLabel('Type porter to confirm').fill('porter');
  await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
  await page.getByText('porter is deleted.').waitFor();
}

// A parked head that is skipped: what stands behind it goes on without it. And who was given what, and why not.
export async function skips_and_sees_why(page, url) {
  await api(url, 'POST', '/api/subscriptions', {name: 'boats', filter: {types: ['boat.*']}, retry: {attemptsMax: 1}, onExhausted: 'park_key'});
  const worker = work(url, 'boats', (event) => !event.data.leaks);
  await publish(url, [{type: 'boat.left', stream: 'boat-1', correlationId: 'race-1', data: {leaks: true}}, {type: 'boat.landed', stream: 'boat-1', correlationId: 'race-1', data: {}}]);
  await page.goto(`${url}/#/subscriptions/boats`);
  const parked = page.getByRole('region', {name: 'Parked keys'});
  await parked.getByRole('button', {name: 'boat-1'}).waitFor();
  await page.goto(`${url}/#/trace/race-1`);
  const first = page.getByRole('list', {name: 'Events by cause'}).locator('> li', {hasText: 'boat.left'});
  await first.getByText('out of paper').waitFor();
  await first.getByText(/^not given to/).click();
  await first.getByText('its filter does not take it').first().waitFor();
  await page.goto(`${url}/#/subscriptions/boats`);
  await parked.getByRole('button', {name: 'Skip'}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Skip'}).click();
  await page.getByText('The head of boat-1 is skipped.').waitFor();
  for (let i = 0; i < 100 && !worker.taken.length; i++) await sleep(50);
  assert.deepEqual(worker.taken.map((event) => event.type), ['boat.landed']);
  return worker.stop();
}

export async function names_types(page, url) {
  await page.goto(`${url}/#/types/boat.left`);
  await page.getByLabel('One more name').fill('BOAT_LEFT');
  await page.getByRole('button', {name: 'Add'}).click();
  await page.getByText('boat.left is also BOAT_LEFT.').waitFor();
  assert.equal((await api(url, 'GET', '/api/events?type=BOAT_LEFT')).body.data.length, 1);
  await page.goto(`${url}/#/types/boat.seen`);
  await page.getByRole('button', {name: 'Keep none'}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Never keep them'}).click();
  await page.getByText('boat.seen is not kept any more.').waitFor();
  assert.equal((await publish(url, [{type: 'boat.seen'}]))[0].position, null);
  await page.goto(`${url}/#/types`);
  await page.getByRole('button', {name: 'For other programs'}).click();
  await page.getByRole('region', {name: 'The contract'}).getByText(/interface/).waitFor();
  await page.keyboard.press('Escape');
}

// On a server that keeps its events in folder: what is its own is in reach of the page.
export async function operates(page, url) {
  await page.goto(`${url}/#/server`);
  await page.getByRole('group', {name: 'Log level'}).getByRole('button', {name: 'warn'}).click();
  await page.getByText(/The server logs warn and worse/).waitFor();
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
}
