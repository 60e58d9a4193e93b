// SPDX-License-Identifier: Apache-2.0
// Numbers, times and JSON as people read them.
const whole = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', {notation: 'compact', maximumFractionDigits: 1});

export const count_text = (n) => (n === undefined || n === null ? '—' : whole.format(n));
export const short_text = (n) => (n < 10000 ? whole.format(Math.round(n)) : short.format(n));
export const plural = (n, one, many = one + 's') => `${whole.format(n)} ${n === 1 ? one : many}`;

const pad = (n, width = 2) => String(n).padStart(width, '0');

// time_text is local time; the day only when it is not today.
export function time_text(text, always_day = false) {
  if (!text) return '—';
  const at = new Date(text);
  const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`;
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  return !always_day && at.toDateString() === new Date().toDateString() ? clock : `${day} ${clock}`;
}

// What an input of type datetime-local holds, to seconds; and back, as the API takes it.
export function local_of(at) {
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}T${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}
export function instant_of(local) {
  const at = local && new Date(local);
  return at && !Number.isNaN(at.getTime()) ? at.toISOString() : undefined;
}

export function span_text(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '—';
  if (ms < 0.995) return `${Math.round(ms * 1000)} µs`;
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

export function bytes_text(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  for (; n >= 1024 && at < units.length - 1; at++) n /= 1024;
  return `${at ? n.toFixed(1) : n} ${units[at]}`;
}

export const ago_text = (text) => `${span_text(Date.now() - new Date(text).getTime())} ago`;

// preview_of is data on one line.
export function preview_of(data, length = 160) {
  if (data === null || data === undefined) return '';
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return text.length > length ? text.slice(0, length) + '…' : text;
}

// same: two JSON values are equal.
export const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);

// parse_json gives {value} or {problem} in words that say where.
export function parse_json(text) {
  try {
    return {value: JSON.parse(text)};
  } catch (error) {
    const at = /position (\d+)/.exec(error.message);
    if (!at) return {problem: `This is not JSON: ${error.message}`};
    const before = text.slice(0, Number(at[1])).split('\n');
    return {problem: `This is not JSON: line ${before.length}, column ${before.at(-1).length + 1}.`};
  }
}
