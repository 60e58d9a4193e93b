// SPDX-License-Identifier: Apache-2.0
// Uses every view of the page as a person would, in Chromium, against the real server. Run by page.sh,
// which gives SKALD, MODULES (where the packages are), CHROMIUM, SHOTS (where screenshots go).
//
// SLOW=4 has Chromium work as if the machine were that much slower.
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {fill, publish} from './data.mjs';
import * as operate from './operate.mjs';
import {routes_unused} from './routes.mjs';
import {api, end, serve, sleep, work} from './server.mjs';
import {arrives, by_letters, eventually, listen, said, settled, visit, wait_ms} from './wait.mjs';

const {SKALD, MODULES, CHROMIUM, SHOTS, SLOW} = process.env;
const modules = createRequire(`${MODULES}/node_modules/here.js`);
const {chromium} = modules('playwright-core');
const axe = readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8');
const paint_ms = 1000; // what we promise of the first paint, on a machine that does nothing else: said, and no reason to fail
const desk = {width: 1366, height: 850};
const phone = {width: 360, height: 740};

// --- what is tested

async function opens(page, url) {
  const reply = await page.goto(url + '/');
  assert.match(reply.headers()['content-security-policy'] ?? '', /default-src 'self'/);
  await page.getByRole('heading', {name: 'Live'}).waitFor();
  const paint = await eventually(async () => {
    const began = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    assert.ok(began > 0, 'nothing was painted');
    return began;
  });
  console.log(`first paint after ${Math.round(paint)} ms${paint > paint_ms ? `: MORE THAN ${paint_ms}, ON THIS MACHINE NOW` : ''}`);
  await page.getByRole('button', {name: 'Publish a test event'}).click();
  await page.getByRole('list', {name: 'Live events'}).getByText('system.test').first().waitFor();
}

async function finds_and_follows(page, url) {
  await visit(page, `${url}/#/events`, 'Events');
  await page.getByLabel('Contains the text').fill('Ada Lovelace');
  await page.getByRole('button', {name: 'Search', exact: true}).click();
  await page.getByText(/8 events found among/).waitFor();
  await page.waitForURL(/text=Ada/);
  const rows = page.getByRole('list', {name: 'Events found'}).getByRole('button');
  await rows.first().getByText(/Ada Lovelace/).waitFor();
  await rows.filter({hasText: 'order.placed'}).first().click();
  const detail = page.getByRole('complementary', {name: 'The chosen event'});
  await detail.getByText('"Ada Lovelace"').first().waitFor();
  await detail.getByRole('button', {name: 'Copy as curl'}).click();
  await said(page, 'The curl command copied.');
  await detail.getByRole('link', {name: 'Follow its causes'}).click();
  const tree = page.getByRole('list', {name: 'Events by cause'});
  await tree.getByText('order.shipped').waitFor();
  await eventually(async () => assert.equal(await tree.locator('> li').count(), 6));
  await tree.getByRole('button', {name: /payment.received/}).click();
  await page.getByRole('heading', {name: 'payment.received'}).waitFor();
}

// A stream as it was at noon: noon is between its second and its third event.
async function travels_in_time(page, url, noon) {
  await visit(page, `${url}/#/streams`, 'Streams');
  await page.getByLabel('Name begins with').fill('ship-');
  await page.getByRole('button', {name: 'Show'}).click();
  await page.getByRole('link', {name: 'ship-1'}).click();
  await page.getByRole('heading', {name: 'State at version 3'}).waitFor();
  await page.getByText('Oslo', {exact: true}).waitFor();
  await page.getByLabel('As it was at').fill(noon);
  await page.getByRole('button', {name: 'Go there'}).click();
  await page.getByRole('heading', {name: 'State at version 2'}).waitFor();
  await page.locator('.state-table').getByText('Bergen').waitFor();
  await page.getByRole('button', {name: 'One version earlier'}).click();
  await page.getByRole('heading', {name: 'State at version 1'}).waitFor();
  await page.getByRole('button', {name: 'JSON', exact: true}).click();
  await page.getByRole('region', {name: 'State', exact: true}).getByText('"loading"').waitFor();
}

async function deletes_a_stream(page, url) {
  await publish(url, [{type: 'draft.made', stream: 'draft-1', data: {}}]);
  await visit(page, `${url}/#/streams/draft-1`, 'draft-1');
  await page.getByRole('button', {name: 'Delete'}).click();
  const sure = page.getByRole('dialog');
  assert.ok(await sure.getByRole('button', {name: 'Delete'}).isDisabled());
  await sure.getByLabel('Type draft-1 to confirm').fill('draft-1');
  await sure.getByRole('button', {name: 'Delete'}).click();
  await said(page, 'draft-1 is deleted.');
  assert.equal((await api(url, 'GET', '/api/streams/draft-1')).status, 404);
  await visit(page, `${url}/#/streams/draft-1`, 'draft-1');
  await page.getByText('Deleted', {exact: true}).waitFor();
}

async function replays(page, url) {
  await visit(page, `${url}/#/subscriptions`, 'Subscriptions');
  await page.getByRole('button', {name: 'New pull group'}).click();
  const made = page.getByRole('dialog');
  await made.getByLabel('Name').fill('ledger');
  await made.getByLabel('Types').fill('order.*');
  await made.getByLabel('After the last attempt').selectOption('halt');
  await made.getByRole('button', {name: 'Make it'}).click();
  await page.getByRole('heading', {name: 'ledger', exact: true}).waitFor();
  const worker = work(url, 'ledger');
  const no_lag = page.locator('.figures div', {hasText: 'Lag'}).locator('dd', {hasText: /^0$/});
  await eventually(() => assert.ok(worker.taken.length > 60, `${worker.taken.length} events were taken`));
  await no_lag.waitFor();
  const once = worker.taken.length;
  await page.getByRole('button', {name: 'Pause'}).click();
  await said(page, 'ledger is paused.');
  await page.getByRole('button', {name: 'Resume'}).click();
  await said(page, 'ledger goes on.');
  await page.getByRole('button', {name: 'Replay'}).click();
  await page.getByRole('dialog').getByLabel('from the start').check();
  await page.getByRole('dialog').getByRole('button', {name: 'Replay'}).click();
  await page.getByText('Caught up: nothing waits.').waitFor();
  await no_lag.waitFor();
  await eventually(() => assert.ok(worker.taken.length >= 2 * once, `replayed: ${worker.taken.length} taken, ${once} before`));
  return worker.stop();
}

async function repairs_a_dead_letter(page, url) {
  const made = await api(url, 'POST', '/api/subscriptions', {
    name: 'labels', filter: {types: ['label.*']}, order: 'none', retry: {attemptsMax: 1}, onExhausted: 'dead_letter'});
  assert.equal(made.status, 201, made.body.detail);
  let paper = false;
  const worker = work(url, 'labels', () => paper);
  await publish(url, [1, 2, 3].map((number) => ({type: 'label.wanted', stream: `label-${number}`, data: {number}})));
  await visit(page, `${url}/#/dead-letters?subscription=labels`, 'Dead letters');
  const list = page.getByRole('region', {name: 'Dead letters'});
  await list.getByRole('button', {name: 'label.wanted'}).nth(2).waitFor();
  await list.getByText('the printer is out of paper').first().waitFor();
  await shot(page, 'dead-letters', 'light');
  paper = true;
  await list.getByRole('button', {name: 'label.wanted'}).first().click();
  await page.getByRole('dialog').getByRole('button', {name: 'Retry'}).click();
  await said(page, '1 dead letter delivered again.');
  await list.getByRole('button', {name: 'label.wanted'}).nth(2).waitFor({state: 'detached'});
  await list.getByLabel('Choose label.wanted').first().check();
  await list.getByRole('button', {name: 'Discard chosen'}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Discard'}).click();
  await said(page, '1 dead letter discarded.');
  await list.getByRole('button', {name: 'Retry all there are'}).click();
  await page.getByRole('dialog').getByRole('button', {name: 'Retry all'}).click();
  await list.getByText('None. An event that failed').waitFor();
  await eventually(() => assert.equal(worker.taken.length, 2));
  return worker.stop();
}

async function releases_a_parked_key(page, url) {
  const made = await api(url, 'POST', '/api/subscriptions', {
    name: 'invoices', filter: {types: ['bill.*']}, order: 'stream', retry: {attemptsMax: 1}, onExhausted: 'park_key'});
  assert.equal(made.status, 201, made.body.detail);
  let fixed = false;
  const worker = work(url, 'invoices', (event) => fixed || event.data.amount > 0);
  await publish(url, [
    {type: 'bill.made', stream: 'bill-1', data: {amount: -5}}, {type: 'bill.sent', stream: 'bill-1', data: {amount: 5}},
    {type: 'bill.made', stream: 'bill-2', data: {amount: -7}}, {type: 'bill.made', stream: 'bill-3', data: {amount: 7}}]);
  await visit(page, `${url}/#/subscriptions/invoices`, 'invoices');
  const parked = page.getByRole('region', {name: 'Parked keys'});
  await parked.getByRole('button', {name: 'bill-1'}).waitFor();
  await parked.getByRole('button', {name: 'bill-2'}).waitFor();
  await shot(page, 'parked', 'light');
  await parked.locator('li', {hasText: 'bill-1'}).getByRole('button', {name: 'Edit'}).click();
  const edit = page.getByRole('dialog');
  await edit.getByLabel('Data').fill('{"amount": 5');
  await edit.getByText(/not JSON/).waitFor();
  await edit.getByLabel('Data').fill('{"amount": 5}');
  await edit.getByRole('button', {name: 'Save and release'}).click();
  await said(page, 'Edited; bill-1 goes on.');
  fixed = true;
  await parked.locator('li', {hasText: 'bill-2'}).getByRole('button', {name: 'Release'}).click();
  await said(page, 'bill-2 is released.');
  await parked.getByText('None. A key is parked').waitFor();
  await eventually(() => assert.deepEqual(worker.taken.map((event) => event.stream).sort(), ['bill-1', 'bill-1', 'bill-2', 'bill-3']));
  assert.equal(worker.taken.find((event) => event.type === 'bill.made' && event.stream === 'bill-1').data.amount, 5);
  return worker.stop();
}

async function registers_a_schema(page, url) {
  await visit(page, `${url}/#/types`, 'Types');
  await page.getByRole('link', {name: 'mail.sent'}).click();
  const text = page.getByLabel('JSON Schema');
  await text.fill(JSON.stringify({type: 'object', properties: {to: {type: 'string'}}, required: ['to']}));
  await page.getByRole('button', {name: 'Register', exact: true}).click();
  await said(page, 'Version 1 of mail.sent is registered.');
  await page.getByRole('heading', {name: 'Register the next version'}).waitFor();
  await text.fill(JSON.stringify({type: 'object', properties: {to: {type: 'string'}, cc: {type: 'string'}}, required: ['to', 'cc']}));
  await page.getByRole('button', {name: 'Check what it would break'}).click();
  await page.getByText(/This would break/).waitFor();
  const refused = await api(url, 'POST', '/api/events', {type: 'mail.sent', data: {to: 7}});
  assert.equal(refused.status, 422);
}

async function publishes(page, url) {
  await visit(page, `${url}/#/publish`, 'Publish');
  await page.getByLabel('Type', {exact: true}).fill('note.written');
  await page.getByLabel('Stream').fill('note-1');
  await page.getByLabel('Data', {exact: true}).fill('{"text": "hello",}');
  await page.getByText(/This is not JSON/).waitFor();
  await page.getByLabel('Data', {exact: true}).fill('{"text": "<img src=x onerror=alert(1)>"}');
  await page.getByRole('button', {name: 'Publish', exact: true}).click();
  await page.getByText(/note-1 is now at version 1/).waitFor();
  await page.getByRole('link', {name: 'See the event'}).click();
  await page.waitForURL(/#\/event\//);
  await page.getByText('onerror=alert').first().waitFor(); // as text
  const permalink = page.url();
  await page.goto('about:blank');
  await page.goto(permalink);
  await page.getByRole('heading', {name: 'note.written'}).waitFor();
}

async function shows_the_server(page, url) {
  await visit(page, `${url}/#/server`, 'Server');
  await page.getByRole('heading', {name: 'Figures'}).waitFor();
  await page.getByLabel('Find', {exact: true}).fill('store_position');
  await page.getByText('skald_store_position').waitFor();
}

// focused waits until what has the focus is as it should be.
const focused = (page, what, as) => eventually(async () => assert.equal(await page.evaluate((part) => document.activeElement[part], what), as));

async function works_by_keyboard(page, url) {
  await page.goto('about:blank');
  await visit(page, `${url}/#/live`, 'Live');
  await page.getByText('live', {exact: true}).waitFor(); // then it listens to keys, too
  await page.keyboard.press('Tab');
  await focused(page, 'textContent', 'Skip to the content');
  await page.keyboard.press('Enter');
  await focused(page, 'tagName', 'H1');
  await page.keyboard.press('?');
  const shortcuts = page.getByRole('dialog', {name: 'Shortcuts'});
  await shortcuts.waitFor();
  await page.keyboard.press('Escape');
  await shortcuts.waitFor({state: 'detached'});
  await page.keyboard.press('p');
  await page.getByRole('button', {name: /Go on/}).waitFor();
  await by_letters(page, 'ge', 'Events');
  await page.keyboard.press('/');
  await focused(page, 'tagName', 'INPUT');
  await page.keyboard.type('Grace');
  await page.keyboard.press('Enter');
  const rows = page.getByRole('list', {name: 'Events found'}).getByRole('button');
  await page.getByText(/8 events found among/).waitFor();
  await rows.first().focus();
  await page.keyboard.press('Enter');
  const detail = page.getByRole('complementary', {name: 'The chosen event'});
  await detail.waitFor();
  await page.keyboard.press('ArrowDown');
  await eventually(async () => assert.ok(await rows.nth(1).evaluate((row) => row === document.activeElement)));
  await eventually(async () => { // that it is open, and listens, are two moments
    await page.keyboard.press('Escape');
    await detail.waitFor({state: 'detached', timeout: 3000});
  });
  const moved = await page.evaluate(() => matchMedia('(prefers-reduced-motion: reduce)').matches);
  assert.ok(moved);
}

// tab_to presses Tab until what has the name is focused; no mouse.
async function tab_to(page, name) {
  for (let i = 0; i < 200; i++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((text) => document.activeElement.innerText?.trim().startsWith(text), name)) return;
  }
  assert.fail(`Tab never comes to ${name}`);
}

async function operates_by_keyboard(page, url) {
  await page.goto('about:blank');
  await visit(page, `${url}/#/live`, 'Live');
  await by_letters(page, 'gp', 'Publish');
  await page.keyboard.press('/');
  await focused(page, 'tagName', 'INPUT');
  await page.keyboard.type('key.pressed');
  await page.keyboard.press('Tab');
  await page.keyboard.type('key-1');
  await page.keyboard.press('Enter');
  await page.getByText(/key-1 is now at version 1/).waitFor();
  await tab_to(page, 'See the event');
  await page.keyboard.press('Enter');
  await arrives(page, 'Event');
  await page.getByRole('heading', {name: 'key.pressed'}).waitFor();
  await api(url, 'POST', '/api/subscriptions', {name: 'typist', filter: {types: ['key.*']}});
  await by_letters(page, 'gu', 'Subscriptions');
  await page.getByRole('link', {name: 'typist'}).waitFor();
  await tab_to(page, 'typist');
  await page.keyboard.press('Enter');
  await arrives(page, 'typist');
  await tab_to(page, 'Pause');
  await page.keyboard.press('Enter');
  await said(page, 'typist is paused.');
  await tab_to(page, 'Resume');
  await page.keyboard.press('Enter');
  await said(page, 'typist goes on.');
  await tab_to(page, 'Replay');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.getByRole('dialog').getByLabel('from the start').waitFor();
  for (let i = 0; i < 9 && !await page.evaluate(() => document.activeElement.type === 'radio'); i++) await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowUp'); // from the first to the last: go to the end
  await tab_to(page, 'Go to the end');
  await page.keyboard.press('Enter');
  await page.getByText('Caught up: nothing waits.').waitFor();
  await tab_to(page, 'Delete');
  await page.keyboard.press('Enter');
  const sure = page.getByRole('dialog').getByLabel('Type typist to confirm');
  await sure.waitFor();
  for (let i = 0; i < 9 && !await sure.evaluate((field) => field === document.activeElement); i++) await page.keyboard.press('Tab');
  await page.keyboard.type('typist');
  await page.keyboard.press('Enter');
  await said(page, 'typist is deleted.');
}

// by_tab goes through a view by Tab alone, and gives what shows no sign that it is focused, and what was not come to.
async function by_tab(page) {
  await page.evaluate(() => {
    const first = document.querySelector('.skip');
    if (first.seen_by_tab) document.querySelector('main h1').focus(); // the menu is the same in every view
    else first.focus();
    first.seen_by_tab = true;
  });
  const unseen = [];
  let reached = 0;
  for (let i = 0; i < 600; i++) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const one = document.activeElement;
      if (one === document.body || one.classList.contains('skip')) return null;
      one.seen_by_tab = true;
      const style = getComputedStyle(one);
      return {plain: style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 1, what: one.outerHTML.slice(0, 120)};
    });
    if (!at) break;
    reached++;
    if (at.plain) unseen.push(at.what);
  }
  const missed = await page.evaluate(() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    .filter((one) => !one.seen_by_tab && !one.disabled && one.checkVisibility({visibilityProperty: true}) && one.type !== 'radio').map((one) => `${one.outerHTML.slice(0, 120)}: ${one.innerText.slice(0, 120)}`));
  return {reached, unseen, missed};
}

// reach_all: every control is come to, and each shows that it is. A view that reads anew meanwhile is gone through again.
async function reach_all(page, name) {
  let gone = await by_tab(page);
  for (let i = 0; i < 3 && gone.missed.length; i++) gone = await by_tab(page);
  assert.deepEqual(gone.missed, [], `what Tab does not come to in ${name}`);
  assert.deepEqual(gone.unseen, [], `what does not show that it is focused in ${name}`);
  return gone.reached;
}

// Ten thousand events a second: the page samples, says so, and still does what it is told.
async function stays_usable(page, url) {
  await visit(page, `${url}/#/live`, 'Live');
  let sent = 0;
  let stop = false;
  const line = JSON.stringify({type: 'load.measured', data: {celsius: 21.5, at: 'the north wall of the third hall'}}) + '\n';
  const flood = (async () => {
    const began = Date.now();
    while (!stop) {
      const due = Math.min(5000, Math.floor((Date.now() - began) * 10) - sent);
      if (due > 0) {
        const reply = await fetch(`${url}/api/events?ack=memory`, {method: 'POST', headers: {'Content-Type': 'application/x-ndjson'}, body: line.repeat(due)});
        assert.equal(reply.status, 200);
        sent += due;
      }
      await sleep(20);
    }
    return (sent * 1000) / (Date.now() - began);
  })().catch((error) => error);
  await page.getByText(/^Sampled: /).waitFor();
  await sleep(2500);
  const clicked = Date.now();
  await page.getByRole('button', {name: /^Pause/}).click();
  await page.getByText('paused', {exact: true}).waitFor();
  const took = Date.now() - clicked;
  const rows = await page.getByRole('list', {name: 'Live events'}).getByRole('button').count();
  await shot(page, 'flood', 'light');
  await page.getByRole('button', {name: /^Go on/}).click();
  await page.getByText(/^Sampled: /).waitFor();
  stop = true;
  const rate = await flood;
  assert.equal(typeof rate, 'number', rate.stack);
  assert.ok(rows <= 300, `${rows} rows`);
  console.log(`${Math.round(rate)} events/s: ${rows} rows, a click took ${took} ms`);
}

// A server with keys: nothing without one, and the key is never part of an address.
async function signs_in(browser) {
  const data = mkdtempSync(`${MODULES}/keys-`);
  const made = spawnSync(SKALD, ['keys', '--data', data, '--name', 'page', '--scopes', 'admin,events:read,events:publish,metrics', 'create'], {encoding: 'utf8'});
  const secret = made.stdout.trim();
  assert.ok(made.status === 0 && secret, `skald keys create ended with ${made.status}: ${made.stderr}`);
  const server = await serve('--data', data, '--backup.directory', `${data}/backups`, '--telemetry.otlp_url', 'http://me:hush@127.0.0.1:9');
  const context = await browser.newContext({viewport: desk, reducedMotion: 'reduce'});
  try {
    const page = await open(context, server.url);
    page.on('request', (request) => { if (request.url().includes(secret)) complaints.push('the key is in an address'); });
    await page.goto(`${server.url}/#/streams`);
    await page.getByRole('heading', {name: 'Sign in'}).waitFor();
    await page.getByLabel('Key', {exact: true}).fill('skald_wrong');
    await page.getByRole('button', {name: 'Sign in'}).click();
    await page.getByText(/does not know this key/).waitFor();
    await shot(page, 'refused', 'light');
    await page.getByLabel('Key', {exact: true}).fill(secret);
    await page.getByRole('button', {name: 'Sign in'}).click();
    await page.getByRole('heading', {name: 'Streams'}).waitFor();
    await said(page, 'Signed in.');
    assert.equal(await page.evaluate(() => Object.keys(sessionStorage).length + document.cookie.length), 0);
    await visit(page, `${server.url}/#/live`, 'Live');
    await page.getByText('live', {exact: true}).waitFor();
    await visit(page, `${server.url}/#/server`, 'Server');
    await page.getByRole('region', {name: 'Keys, a table'}).getByText('page', {exact: true}).waitFor();
    await page.getByRole('button', {name: 'New key'}).click();
    await page.getByRole('dialog').getByLabel('What it is for').fill('shop');
    await page.getByRole('dialog').getByRole('button', {name: 'Make it'}).click();
    await page.getByRole('dialog', {name: 'The key, shown once'}).getByText(/^skald_/).waitFor();
    await page.getByRole('dialog').getByRole('button', {name: 'Done'}).click();
    await page.getByRole('row', {name: /shop/}).getByRole('button', {name: 'Revoke'}).click();
    await page.getByRole('dialog').getByRole('button', {name: 'Revoke'}).click();
    await said(page, 'shop is revoked.');
    await operate.operates(page, server.url);
    await shot(page, 'operates', 'light');
    await page.getByRole('button', {name: 'Sign out'}).click();
    await page.getByRole('heading', {name: 'Sign in'}).waitFor();
    // A key that is to be kept is there when the page is loaded again, and in this tab only.
    await page.getByLabel('Key', {exact: true}).fill(secret);
    await page.getByLabel('Keep it until this tab is closed').check();
    await page.getByRole('button', {name: 'Sign in'}).click();
    await said(page, 'Signed in.');
    await page.reload();
    await page.getByRole('heading', {name: 'Health'}).waitFor();
    assert.ok(await page.evaluate((text) => Object.values(sessionStorage).includes(text), secret));
    assert.ok(!await page.evaluate((text) => document.cookie + JSON.stringify({...localStorage}), secret).then((text) => text.includes(secret)));
  } catch (error) {
    for (const page of context.pages()) await shot(page, 'failed', 'signed-in').catch(() => {});
    throw error;
  } finally {
    await context.close();
    await end(server);
    rmSync(data, {recursive: true});
  }
}

// A server that goes away: the page says so, keeps what it shows, and goes on when it is back.
async function says_when_it_is_away(browser) {
  const data = mkdtempSync(`${MODULES}/away-`);
  let server = await serve('--data', data);
  const {url} = server;
  const context = await browser.newContext({viewport: desk, reducedMotion: 'reduce'});
  try {
    const page = await open(context, url);
    await publish(url, [{type: 'lamp.lit', data: {}}]);
    await page.goto(`${url}/`);
    const rows = page.getByRole('list', {name: 'Live events'});
    await rows.getByText('lamp.lit').waitFor();
    await end(server);
    await page.getByText('not connected', {exact: true}).waitFor();
    await page.getByText('The server does not answer. Is it running?').first().waitFor();
    await rows.getByText('lamp.lit').waitFor();
    await shot(page, 'away', 'light');
    server = await serve('--data', data, '--port', new URL(url).port);
    await page.getByText('connected', {exact: true}).waitFor();
    await page.getByText('live', {exact: true}).waitFor();
    await publish(url, [{type: 'lamp.out', data: {}}]);
    await rows.getByText('lamp.out').waitFor();
  } finally {
    await context.close();
    await end(server);
    rmSync(data, {recursive: true});
  }
}

// --- how it looks

async function shot(page, name, mode) {
  await page.screenshot({path: `${SHOTS}/${name}-${mode}.png`, fullPage: name === 'server'});
}

const serious = ['serious', 'critical'];

async function check(page, name, mode) {
  const {violations} = await page.evaluate(() => axe.run(document, {resultTypes: ['violations']}));
  const bad = violations.filter((one) => serious.includes(one.impact));
  const words = bad.map((one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
  assert.deepEqual(words, [], `axe on ${name}, ${mode}`);
}

const long_name = `warehouse-${'of-the-north-'.repeat(14)}${'x'.repeat(50)}`; // a name may be as long, and have no place to break

async function looks(browser, url) {
  const long_group = long_name.slice(0, 128);
  await publish(url, [{type: `stock.${'counted'.repeat(16)}`, stream: long_name, correlationId: 'long', data: {text: 'y'.repeat(3000), list: [...Array(40).keys()]}}]);
  await api(url, 'POST', '/api/subscriptions', {name: long_group, filter: {types: [`stock.${'counted'.repeat(16)}`]}, from: 'end'});
  const [event] = (await api(url, 'GET', '/api/events?type=order.placed&limit=1')).body.data;
  const places = { // each view: its address, its heading, and what shows that it has been read
    live: ['/live', 'Live', '.rows'], events: ['/events?text=Hopper', 'Events', '.rows'], event: [`/event/${event.id}`, 'Event', '.facts'],
    causes: [`/trace/${event.correlationId}`, 'Causes', '.tree'], streams: ['/streams', 'Streams', 'table'], stream: ['/streams/order-5?version=2', 'order-5', '.travel'],
    types: ['/types', 'Types', 'table'], type: ['/types/mail.sent', 'mail.sent', 'textarea'], subscriptions: ['/subscriptions', 'Subscriptions', '.panel'],
    subscription: ['/subscriptions/ledger', 'ledger', '.panel, .empty'], letters: ['/dead-letters', 'Dead letters', '.cards, .empty'], publish: ['/publish', 'Publish', 'form'],
    'long-names': [`/streams/${long_name}`, long_name, '.travel'], 'long-causes': ['/trace/long', 'Causes', '.tree'],
    'long-subscription': [`/subscriptions/${long_group}`, long_group, '.figures'],
    server: ['/server', 'Server', '.settings'], 'sign-in': ['/sign-in', 'Sign in', 'form'], nowhere: ['/nowhere', 'Nothing here', '.empty']};
  const modes = [['light', desk, {colorScheme: 'light'}], ['dark', desk, {colorScheme: 'dark'}],
    ['phone', phone, {colorScheme: 'light', hasTouch: true, deviceScaleFactor: 2}]];
  await Promise.all(modes.map((mode) => looks_in(browser, url, places, ...mode)));
}

async function looks_in(browser, url, places, mode, viewport, options) {
  const context = await browser.newContext({viewport, reducedMotion: 'reduce', bypassCSP: true, ...options}); // axe is put into it
  const page = await open(context, url);
  await page.goto(`${url}/`);
  await page.evaluate(axe);
  let reached = 0;
  for (const [name, [place, heading, shown]] of Object.entries(places)) {
    await visit(page, `${url}/#${place}`, heading);
    await page.locator(`main :is(${shown})`).first().waitFor();
    if (name === 'events' && mode !== 'phone') await page.getByRole('list', {name: 'Events found'}).getByRole('button').first().click();
    await settled(page, asking.get(page));
    await shot(page, name, mode);
    await check(page, name, mode);
    if (name === 'live') { // what comes meanwhile would be above where Tab is
      await page.getByRole('button', {name: /^Pause/}).click();
      await page.getByText('paused', {exact: true}).waitFor();
    }
    if (mode === 'light') reached += await reach_all(page, name);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${name} on ${mode} is ${wide} px too wide`);
  }
  if (mode === 'light') console.log(`${reached} controls in ${Object.keys(places).length} views are reached by Tab, and show it`);
  await visit(page, `${url}/#/subscriptions`, 'Subscriptions');
  await page.getByRole('button', {name: 'New pull group'}).click();
  await page.getByRole('dialog').waitFor();
  await shot(page, 'dialog', mode);
  await check(page, 'a dialog', mode);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({state: 'detached'});
  if (mode === 'phone') {
    await page.getByRole('button', {name: 'Subscriptions'}).click();
    await page.getByRole('link', {name: 'Dead letters'}).waitFor();
    await shot(page, 'menu', mode);
    await page.getByRole('link', {name: 'Streams'}).click();
    await page.getByRole('heading', {name: 'Streams'}).waitFor();
  }
  await context.close();
}

// open makes a page that may talk to its own server only, and whose errors fail the test.
const complaints = [];
const asked = new Set(); // routes, by the page
const asking = new Map(); // of each page, the requests under way but for the one that never ends
async function open(context, url) {
  const page = await context.newPage();
  page.setDefaultTimeout(wait_ms);
  if (SLOW) await (await context.newCDPSession(page)).send('Emulation.setCPUThrottlingRate', {rate: Number(SLOW)});
  await listen(page);
  const under_way = new Set();
  asking.set(page, under_way);
  for (const over of ['requestfinished', 'requestfailed']) page.on(over, (request) => under_way.delete(request));
  page.on('pageerror', (error) => complaints.push(`error: ${error.stack}`));
  page.on('console', (message) => {
    if (/Content Security Policy|Content-Security-Policy/.test(message.text())) complaints.push(message.text());
  });
  page.on('request', (request) => {
    const to = request.url();
    if (!to.includes('/api/events/stream')) under_way.add(request);
    if (to.startsWith(url)) asked.add(`${request.method()} ${new URL(to).pathname}`);
    if (!to.startsWith(url + '/') && !to.startsWith('about:')) complaints.push(`a request to ${to}`);
  });
  return page;
}

// Some parts alone: ONLY=replays,looks.
const wanted = (part) => !process.env.ONLY || process.env.ONLY.split(',').includes(part.name);

async function timed(work, name) {
  const began = Date.now();
  await work();
  console.log(`${name.replaceAll('_', ' ')}: ${Date.now() - began} ms`);
}

async function main() {
  mkdirSync(SHOTS, {recursive: true});
  const server = await serve();
  const {url} = server;
  const browser = await chromium.launch({executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage']});
  let failed = null;
  try {
    await publish(url, [{type: 'ship.moored', stream: 'ship-1', data: {port: 'Bergen', state: 'loading'}}, {type: 'ship.left', stream: 'ship-1', data: {state: 'at sea'}}]);
    await fill(url);
    await sleep(1100);
    const noon = new Date();
    await sleep(1100);
    await publish(url, [{type: 'ship.moored', stream: 'ship-1', data: {port: 'Oslo', state: 'unloading'}}]);
    const local = new Date(noon.getTime() - noon.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
    const context = await browser.newContext({viewport: desk, reducedMotion: 'reduce', permissions: ['clipboard-read', 'clipboard-write']});
    const page = await open(context, url);
    for (const part of [opens, finds_and_follows, function travels(p, u) { return travels_in_time(p, u, local); }, deletes_a_stream, replays, repairs_a_dead_letter,
      releases_a_parked_key, registers_a_schema, publishes, operate.publishes_in_every_way, operate.keeps_what_it_is_told, operate.works_by_hand,
      operate.skips_and_sees_why, operate.names_types, operate.tells_tenants_apart, operate.searches, operate.filters_what_is_live,
      shows_the_server, works_by_keyboard, operates_by_keyboard]) {
      if (!wanted(part)) continue;
      await timed(() => part(page, url), part.name);
    }
    if (wanted(signs_in)) await timed(() => signs_in(browser), 'signs_in');
    if (wanted(says_when_it_is_away)) await timed(() => says_when_it_is_away(browser), 'says_when_it_is_away');
    if (wanted(looks)) await timed(() => looks(browser, url), 'looks');
    if (wanted(stays_usable)) await stays_usable(page, url);
    if (!process.env.ONLY) {
      const {unused, used} = await routes_unused(url, asked);
      assert.deepEqual(unused, [], 'routes that the page has no place for');
      console.log(`the page asked ${used} routes`);
    }
    assert.deepEqual(complaints, []);
  } catch (error) {
    failed = error;
    const pages = browser.contexts().flatMap((context) => context.pages());
    for (const [at, page] of pages.entries()) await shot(page, 'failed', at).catch(() => {});
  }
  await browser.close();
  const status = await end(server);
  if (failed) {
    console.error(failed, complaints, server.said());
    process.exit(1);
  }
  assert.equal(status, 0, `the server ended with ${status}: ${server.said()}`);
  console.log('passed');
  console.log(`screenshots: ${SHOTS}`);
}

await main();
