// SPDX-License-Identifier: Apache-2.0
// The page: counts, subscriptions, the newest events and those that come, read by fetch from this
// server alone. The list keeps the newest rows only, and shows at most so many new ones a second:
// what it left out it says, so that a busy log leaves the page usable. A pause ends the stream; going
// on resumes it where it stood.
const rows_first = 50;
const rows_max = 200;
const rows_per_second_max = 100;
const refresh_ms = 2000;

const at = (id) => document.getElementById(id);
let paused = false;
let position = null; // of the last event shown; null: none yet
let shown_this_second = 0;
let left_out = 0;
let stream_abort = null;

function cell(text, tag = 'td') {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function span(name, text) {
  const element = cell(text, 'span');
  element.className = name;
  element.title = text;
  return element;
}

function row_of(event) {
  const item = document.createElement('li');
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  summary.append(
    span('position', event.position === null ? '—' : String(event.position)),
    span('time', event.occurredAt.slice(11, 23)),
    span('type', event.type),
    span('stream', event.stream === null ? '' : `${event.stream} v${event.streamVersion}`));
  details.append(summary);
  details.addEventListener('toggle', () => {
    if (details.open && details.childElementCount === 1) {
      details.append(cell(JSON.stringify(event, null, 2), 'pre'));
    }
  });
  item.append(details);
  return item;
}

function show(event) {
  if (shown_this_second >= rows_per_second_max) {
    left_out += 1;
    return;
  }
  shown_this_second += 1;
  at('empty').hidden = true;
  at('events').prepend(row_of(event));
  while (at('events').childElementCount > rows_max) at('events').lastElementChild.remove();
}

function take_message(text) {
  let data = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('id: ')) position = line.slice(4);
    if (line.startsWith('data: ')) data += line.slice(6);
  }
  if (data) show(JSON.parse(data));
}

function filter_query(more) {
  const query = new URLSearchParams(more);
  if (at('type').value) query.set('type', at('type').value);
  return query;
}

async function get(path, options) {
  const reply = await fetch(path, options);
  if (!reply.ok) throw new Error((await reply.json()).detail);
  return reply;
}

// read_newest shows what is there, so that a new page is not an empty one.
async function read_newest(signal) {
  const query = filter_query({direction: 'backward', limit: rows_first});
  const events = (await (await get(`/api/events?${query}`, {signal})).json()).data;
  events.reverse().forEach(show);
  position = String(events.at(-1)?.position ?? 0);
}

async function read_stream(signal) {
  if (position === null) await read_newest(signal);
  const headers = position === null ? {} : {'Last-Event-ID': position};
  const reply = await get(`/api/events/stream?${filter_query()}`, {headers, signal});
  at('state').textContent = 'live';
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const messages = (rest + value).split('\n\n');
    rest = messages.pop();
    messages.forEach(take_message);
  }
}

async function follow() {
  stream_abort?.abort();
  const abort = new AbortController();
  stream_abort = abort;
  while (!abort.signal.aborted) {
    try {
      await read_stream(abort.signal);
      at('state').textContent = 'connection ended; trying again…';
    } catch (error) {
      if (abort.signal.aborted) return;
      at('state').textContent = `not connected (${error.message}); trying again…`;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function refresh() {
  const [stats, subscriptions] = await Promise.all(
    ['/api/events/stats', '/api/subscriptions'].map(async (path) => (await fetch(path)).json()));
  at('total').textContent = stats.totalEvents.toLocaleString('en');
  const types = Object.entries(stats.eventsByType).sort((a, b) => b[1] - a[1]).slice(0, 100);
  at('types').replaceChildren(...types.map(([type, count]) => {
    const row = document.createElement('tr');
    row.append(cell(type), cell(count.toLocaleString('en')));
    return row;
  }));
  const rows = subscriptions.data.map((subscription) => {
    const row = document.createElement('tr');
    row.append(cell(subscription.name ?? `(${subscription.kind})`), cell(subscription.state),
               cell(subscription.lag.toLocaleString('en')));
    return row;
  });
  at('subscriptions').replaceChildren(...rows);
}

at('filter').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  position = null;
  at('events').replaceChildren();
  at('empty').hidden = false;
  if (paused) at('pause').click();
  else follow();
});
at('pause').addEventListener('click', () => {
  paused = !paused;
  at('pause').textContent = paused ? 'Go on' : 'Pause';
  at('pause').setAttribute('aria-pressed', String(paused));
  if (!paused) {
    follow();
    return;
  }
  stream_abort.abort();
  at('state').textContent = 'paused';
});
at('test').addEventListener('click', async () => {
  try {
    await get('/api/events/test', {method: 'POST'});
  } catch (error) {
    at('state').textContent = `not published: ${error.message}`;
  }
});

setInterval(() => {
  at('hidden').hidden = left_out === 0;
  at('hidden').textContent = `${left_out} more a second are not shown.`;
  left_out = 0;
  shown_this_second = 0;
}, 1000);
setInterval(() => refresh().catch(() => {}), refresh_ms);
refresh().catch(() => {});
follow();
