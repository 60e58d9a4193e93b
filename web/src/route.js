// SPDX-License-Identifier: Apache-2.0
// Where the person is, kept in the address behind the #: /events?type=order.* can be sent to someone
// else. Nothing secret is ever put there.
import {signal} from '@preact/signals';

function read() {
  const [path, query = ''] = (location.hash.slice(1) || '/live').split(/\?(.*)/s);
  const parts = path.split('/').filter(Boolean).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return {view: parts[0] ?? 'live', parts: parts.slice(1), query: new URLSearchParams(query)};
}

export const route = signal(read());
addEventListener('hashchange', () => { route.value = read(); });

// to makes an address: to('streams', 'order-1', {version: 3}).
export function to(...parts) {
  const query = typeof parts.at(-1) === 'object' ? parts.pop() : {};
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = new URLSearchParams(pairs).toString();
  return '#/' + parts.map((part) => encodeURIComponent(part)).join('/') + (text && `?${text}`);
}

export function go(address) {
  location.hash = address;
}

// replace changes the address without a step back: for what is moved little by little.
export function replace(address) {
  history.replaceState(null, '', address);
  route.value = read();
}
