// SPDX-License-Identifier: Apache-2.0
// Nothing that a page shows is there at once. What is looked at is waited for, for as long as a busy machine
// may need; nothing is read once and believed.
import assert from 'node:assert/strict';
import {sleep} from './server.mjs';

export const wait_ms = 30_000; // for what is mostly there at once
const again_ms = 50;
const settle_ms = 5000; // some views read for as long as they are shown

// eventually checks again until check() no longer throws, and gives what it gives.
export async function eventually(check) {
  const end = Date.now() + wait_ms;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await sleep(again_ms);
  }
}

// visit opens an address, and comes back when the view of that heading has taken the place of the one before.
export async function visit(page, address, heading) {
  await page.goto(address);
  await page.getByRole('heading', {level: 1, name: heading, exact: true}).waitFor();
}

// by_letters goes to a view by its shortcut, until its heading has the focus. The letters have to come soon after
// one another: where the machine was too slow for that, again.
export function by_letters(page, letters, heading) {
  return eventually(async () => {
    for (const letter of letters) await page.keyboard.press(letter);
    await page.locator('main h1:focus', {hasText: heading}).waitFor({timeout: 3000});
  });
}

// arrives waits for the view of that heading, and until its heading has the focus, as after each step in the page.
export const arrives = (page, heading) => page.locator('main h1:focus', {hasText: heading}).waitFor();

// listen has the page remember what it says at its foot, which is gone after some seconds.
export function listen(page) {
  return page.addInitScript(() => {
    globalThis.was_said = [];
    new MutationObserver((changes) => {
      for (const one of changes.flatMap(({addedNodes}) => [...addedNodes]))
        if (one.classList?.contains('note') && one.checkVisibility()) globalThis.was_said.push(one.textContent);
    }).observe(document, {childList: true, subtree: true});
  });
}

// said waits until the page has said so at its foot. What was waited for is not taken for an answer again.
export function said(page, text) {
  return eventually(async () => {
    const others = await page.evaluate((wanted) => {
      const at = globalThis.was_said.findIndex((one) => one.includes(wanted));
      return at < 0 ? globalThis.was_said : globalThis.was_said.splice(at, 1) && null;
    }, text);
    assert.equal(others, null, `never said: ${text}; but: ${others}`);
  });
}

// settled waits until the page asks for nothing more; asking is the set of its requests under way.
export async function settled(page, asking) {
  const end = Date.now() + settle_ms;
  for (let quiet = 0; quiet < 3 && Date.now() < end; await sleep(again_ms)) quiet = asking.size ? 0 : quiet + 1;
  await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); })); // and drawn
}
