// SPDX-License-Identifier: Apache-2.0
// What the server says of itself, read every two seconds while the page is seen: /metrics, of which the
// last five minutes are kept as points to draw.
import {signal} from '@preact/signals';
import {ApiError, get_text} from './api.js';

const every_ms = 2000;
const points_max = 150;

export const points = signal([]); // {at, published, delivered, p50, p99, lag}
export const server = signal({state: 'connecting'}); // state: connecting, ok, away; metrics: the last read

// parse_metrics reads Prometheus text: Map of name to [{labels, value}], and what each is for.
export function parse_metrics(text) {
  const found = new Map();
  const helps = new Map();
  for (const line of text.split('\n')) {
    if (line.startsWith('# HELP ')) {
      const [, name, about] = /^# HELP (\S+) (.*)$/.exec(line) ?? [];
      if (name) helps.set(name, about);
      continue;
    }
    const parts = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!parts) continue;
    const labels = {};
    for (const [, label, value] of (parts[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[label] = value;
    if (!found.has(parts[1])) found.set(parts[1], []);
    found.get(parts[1]).push({labels, value: Number(parts[3])});
  }
  return {found, helps};
}

export function sum(metrics, name, where = () => true) {
  const rows = metrics?.found.get(name);
  return rows ? rows.filter((row) => where(row.labels)).reduce((all, row) => all + row.value, 0) : null;
}

// The buckets of publishing: what was counted up to each bound.
function buckets_of(metrics) {
  const counts = new Map();
  const rows = metrics.found.get('skald_http_request_duration_seconds_bucket') ?? [];
  for (const {labels, value} of rows) {
    if (labels.method !== 'POST' || !/^\/api\/(events|streams)/.test(labels.route)) continue;
    counts.set(labels.le, (counts.get(labels.le) ?? 0) + value);
  }
  return counts;
}

// quantile of what came between two readings, in milliseconds, by a line within the bucket.
function quantile(before, now, part) {
  const steps = [...now].map(([le, value]) => [le === '+Inf' ? Infinity : Number(le), value - (before.get(le) ?? 0)])
    .sort((a, b) => a[0] - b[0]);
  const all = steps.at(-1)?.[1] ?? 0;
  if (!all) return null;
  let low = 0;
  let below = 0;
  for (const [bound, upto] of steps) {
    if (upto >= all * part) {
      if (bound === Infinity) return low * 1000;
      return (low + (bound - low) * ((all * part - below) / (upto - below || 1))) * 1000;
    }
    low = bound;
    below = upto;
  }
  return null;
}

const rate = (before, now, name, seconds) => {
  const [a, b] = [sum(before, name), sum(now, name)];
  return a === null || b === null || b < a ? null : (b - a) / seconds;
};

async function read() {
  try {
    const now = {...parse_metrics(await get_text('/metrics')), at: Date.now()};
    const before = server.value.metrics;
    server.value = {state: 'ok', metrics: now};
    if (!before || now.at - before.at > 5 * every_ms) return;
    const seconds = (now.at - before.at) / 1000;
    const [was, is] = [buckets_of(before), buckets_of(now)];
    points.value = [...points.value.slice(1 - points_max), {
      at: now.at,
      published: rate(before, now, 'skald_events_published_total', seconds),
      delivered: rate(before, now, 'skald_deliveries_total', seconds),
      p50: quantile(was, is, 0.5),
      p99: quantile(was, is, 0.99),
      lag: Math.max(0, ...(now.found.get('skald_subscription_lag') ?? []).map((row) => row.value)),
    }];
  } catch (error) {
    const refused = error instanceof ApiError && error.status > 0;
    server.value = {state: refused ? 'ok' : 'away', error};
  }
}

export async function measure() {
  for (;;) {
    if (!document.hidden) await read();
    await new Promise((resolve) => setTimeout(resolve, every_ms));
  }
}

export const position_now = () => sum(server.value.metrics, 'skald_store_position');
