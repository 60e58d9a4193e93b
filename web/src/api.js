// SPDX-License-Identifier: Apache-2.0
// Requests to the server that the page came from, and to no other. The key, if there is one, goes
// in the Authorization header only; it lives in memory, or in sessionStorage if the person says so.
import {signal} from '@preact/signals';

const key_name = 'skald.key';
const request_ms = 60_000;

export const key = signal(sessionStorage.getItem(key_name));
export const key_wanted = signal(false); // the server answered 401

export function sign_in(text, keep) {
  key.value = text;
  key_wanted.value = false;
  if (keep) sessionStorage.setItem(key_name, text);
  else sessionStorage.removeItem(key_name);
}

export function sign_out() {
  key.value = null;
  sessionStorage.removeItem(key_name);
  key_wanted.value = true;
}

// ApiError is what the server says when it does not do what was asked.
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`);
    this.status = status;
    this.code = problem.code;
    this.errors = problem.errors ?? [];
    this.problem = problem;
  }

  // A route that this server does not have, as against a thing that does not exist.
  get no_route() {
    return this.status === 501 || this.status === 405 ||
           (this.status === 404 && /nothing at this path/.test(this.message));
  }
}

export function query_of(values) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== '') query.append(name, one);
    }
  }
  const text = query.toString();
  return text && `?${text}`;
}

export const path_of = (...parts) => '/' + parts.map(encodeURIComponent).join('/');

async function send(method, path, {query, body, headers, signal: abort, media} = {}) {
  const all = {...headers};
  if (key.value && !all.Authorization) all.Authorization = `Bearer ${key.value}`;
  if (body !== undefined) all['Content-Type'] = media ?? 'application/json';
  let reply;
  try {
    reply = await fetch(path + query_of(query), {
      method, headers: all, signal: abort, cache: 'no-store', credentials: 'omit',
      body: body === undefined || typeof body === 'string' || body instanceof Blob ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === 'AbortError' || error.name === 'TimeoutError') throw error;
    throw new ApiError(0, {detail: 'The server does not answer. Is it running?'});
  }
  if (reply.ok) return reply;
  const problem = await reply.json().catch(() => ({}));
  if (reply.status === 401) key_wanted.value = true;
  throw new ApiError(reply.status, problem);
}

// call gives the JSON of a reply.
export async function call(method, path, options = {}) {
  const abort = options.signal ?? AbortSignal.timeout(request_ms);
  const reply = await send(method, path, {...options, signal: abort});
  const text = await reply.text();
  return text ? JSON.parse(text) : null;
}

export const get = (path, query, signal) => call('GET', path, {query, signal});
export const get_text = async (path, query) =>
  (await send('GET', path, {query, signal: AbortSignal.timeout(request_ms)})).text();

// follow reads the live stream until it ends: take(id, data) for each message, data being text.
export async function follow(query, last_id, signal, opened, take) {
  const headers = last_id === null ? {} : {'Last-Event-ID': String(last_id)};
  const reply = await send('GET', '/api/events/stream', {query, headers, signal});
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  opened();
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const text = rest + value;
    let from = 0;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n', from)) {
      take_message(text, from, end, take);
      from = end + 2;
    }
    rest = text.slice(from);
  }
}

function take_message(text, from, end, take) {
  let id = null;
  let data = '';
  for (const line of text.slice(from, end).split('\n')) {
    if (line.startsWith('id:')) id = Number(line.slice(3));
    else if (line.startsWith('data:')) data += line.slice(5);
  }
  if (id !== null || data) take(id, data);
}
