// SPDX-License-Identifier: Apache-2.0
// One event: what is known of it, its JSON, where it leads. And rows of events, read by keyboard too.
import {useEffect, useRef} from 'preact/hooks';
import {get, key, path_of, query_of} from './api.js';
import {route, to} from './route.js';
import {copy, Empty, Head, Json, Panel, Problem, StreamLink, Time, Type, useLoad} from './ui.jsx';
import {preview_of, time_text} from './text.js';

// A key is never written out: the command takes it from the environment.
export function curl_of(path, method = 'GET', body) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  return ['curl -s',
    method === 'GET' ? '' : `-X ${method}`,
    key.value ? '-H "Authorization: Bearer $SKALD_KEY"' : '',
    body === undefined ? '' : `-H 'Content-Type: application/json' -d ${quote(JSON.stringify(body))}`,
    quote(location.origin + path)].filter(Boolean).join(' ');
}

// Of another tenant than one's own an event is found only where that is named.
export const event_path = (event) => path_of('api', 'events', event.id) + query_of({tenantId: event.tenantId});
export const event_address = (event) => to('event', event.id, {tenant: event.tenantId});

export function EventActions({event, traced}) {
  return (
    <div class="actions wrap">
      {!traced && <a class="button main" href={to('trace', event.correlationId, {event: event.id})}>Follow its causes</a>}
      <button onClick={() => copy(curl_of(event_path(event)), 'The curl command')}>Copy as curl</button>
      <button onClick={() => copy(JSON.stringify(event, null, 2), 'The JSON')}>Copy JSON</button>
      <button onClick={() => copy(location.origin + '/' + event_address(event), 'The link')}>Copy link</button>
      <a class="button" href={to('publish', {like: event.id, tenant: event.tenantId})}>Publish one like it</a>
    </div>
  );
}

export function EventFacts({event}) {
  const actor = event.actor && [event.actor.userId, event.actor.role].filter(Boolean).join(', ');
  return (
    <dl class="facts">
      <dt>Position</dt><dd>{event.position ?? 'not kept'}</dd>
      <dt>Stream</dt><dd><StreamLink event={event} /></dd>
      <dt>Occurred</dt><dd>{time_text(event.occurredAt, true)}</dd>
      <dt>Recorded</dt><dd>{time_text(event.recordedAt, true)}</dd>
      <dt>Id</dt><dd><a href={event_address(event)}><code>{event.id}</code></a></dd>
      <dt>Correlation</dt><dd><a href={to('events', {correlation: event.correlationId})}><code>{event.correlationId}</code></a></dd>
      <dt>Caused by</dt><dd>{event.causationId ? <a href={to('event', event.causationId, {tenant: event.tenantId})}><code>{event.causationId}</code></a> : <span class="faint">nothing known</span>}</dd>
      <dt>From</dt><dd>{[event.source, actor, event.tenantId && `tenant ${event.tenantId}`].filter(Boolean).join(' · ') || '—'}</dd>
      {event.tags?.length > 0 && <><dt>Tags</dt><dd>{event.tags.map((tag) => <span key={tag} class="chip">{tag}</span>)}</dd></>}
    </dl>
  );
}

// traced: it is shown among its causes already.
export function EventDetail({event, close, traced}) {
  const box = useRef();
  useEffect(() => {
    const scrolled = box.current?.closest('.side');
    if (scrolled) scrolled.scrollTop = 0;
  }, [event.id]);
  return (
    <div ref={box} class="detail">
      <div class="detail-head">
        <h2><Type name={event.type} /></h2>
        {close && <button type="button" class="icon" aria-label="Close the event" onClick={close}>✕</button>}
      </div>
      <EventActions event={event} traced={traced} />
      <EventFacts event={event} />
      <section aria-label="Its JSON">
        <h3>Data</h3>
        <Json value={event.data} label="Data of the event" />
        <details>
          <summary>Everything, as stored</summary>
          <Json value={event} label="The whole event" />
        </details>
      </section>
    </div>
  );
}

// Rows: a list of events; open(event) when one is chosen. found marks a text within the data.
export function Rows({events, chosen, open, found, label}) {
  const list = useRef();
  const move = (e) => {
    const step = {ArrowDown: 1, j: 1, ArrowUp: -1, k: -1}[e.key];
    if (!step || e.ctrlKey || e.metaKey || e.altKey) return;
    const rows = [...list.current.querySelectorAll('button.row')];
    const next = rows[rows.indexOf(document.activeElement) + step];
    if (!next) return;
    e.preventDefault();
    next.focus();
    if (chosen) next.click();
  };
  return (
    <ol ref={list} class="rows" aria-label={label} onKeyDown={move}>
      {events.map((event) => (
        <li key={event.id}>
          <button type="button" class="row" aria-pressed={chosen === event.id} onClick={() => open(event)}>
            <span class="row-time">{time_text(event.occurredAt)}</span>
            <Type name={event.type} />
            <span class="row-stream">{event.stream ? `${event.stream} v${event.streamVersion}` : ''}</span>
            <span class="row-data"><Found text={event} found={found} /></span>
            <span class="row-position">{event.position ?? 'not kept'}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}

// Found shows the data; with a text that was looked for, the place where it stands.
function Found({text: event, found}) {
  if (!found) return preview_of(event.data);
  const part = contains(event.data, found) ? event.data : event;
  const text = JSON.stringify(part);
  const at = text.toLowerCase().indexOf(found.toLowerCase());
  if (at < 0) return preview_of(event.data);
  const from = Math.max(0, at - 40);
  return <>{from ? '…' : ''}{text.slice(from, at)}<mark>{text.slice(at, at + found.length)}</mark>{text.slice(at + found.length, at + 120)}</>;
}

export const contains = (value, text) => (JSON.stringify(value) ?? '').toLowerCase().includes(text.toLowerCase());

// Split: a list, and beside it what was chosen; on a narrow page that covers the list.
export function Split({children, event, close}) {
  const side = useRef();
  useEffect(() => {
    if (!event) return undefined;
    const on_key = (e) => { if (e.key === 'Escape' && !document.querySelector('dialog[open]')) close(); };
    addEventListener('keydown', on_key);
    return () => removeEventListener('keydown', on_key);
  }, [event, close]);
  return (
    <div class={`split ${event ? 'open' : ''}`}>
      <div class="split-main">{children}</div>
      {event && <aside ref={side} class="side" aria-label="The chosen event"><EventDetail event={event} close={close} /></aside>}
    </div>
  );
}

export function EventView({parts}) {
  const tenantId = route.value.query.get('tenant');
  const {data, error} = useLoad((signal) => get(path_of('api', 'events', parts[0]), {tenantId}, signal), [parts[0], tenantId]);
  return (
    <>
      <Head title="Event" about="This address shows it to whoever may see it." />
      <Problem error={error} />
      {error?.status === 404 && <Empty title="No such event"><p>It may never have been stored, belong to another tenant, or have been erased. <a href={to('events')}>Search for it</a>.</p></Empty>}
      {data && <Panel><EventDetail event={data.data} /></Panel>}
    </>
  );
}
