// SPDX-License-Identifier: Apache-2.0
// What led to what: the events of one correlation as a tree, and beside it when each came. The server
// gives the tree and who was given each event; a server that does not is asked for the events, and
// the page ties them together by their causes.
import {useState} from 'preact/hooks';
import {get, path_of} from './api.js';
import {EventDetail} from './event.jsx';
import {go, route, to} from './route.js';
import {Empty, Head, Input, Panel, Problem, State, Type, useLoad} from './ui.jsx';
import {plural, span_text, time_text} from './text.js';

const events_max = 1000;

function tree_of(events) {
  const nodes = new Map(events.map((event) => [event.id, {event, children: []}]));
  const roots = [];
  for (const node of nodes.values()) {
    const parent = nodes.get(node.event.causationId);
    if (parent && parent !== node) parent.children.push(node);
    else roots.push(node);
  }
  return roots;
}

async function load(id, signal) {
  try {
    const {data} = await get(path_of('api', 'events', 'trace', id), {}, signal);
    return {roots: Array.isArray(data) ? data : [data], deliveries: true};
  } catch (error) {
    if (error.status !== 404 && error.status !== 501) throw error;
    const {data} = await get('/api/events', {correlationId: id, limit: events_max}, signal);
    return {roots: tree_of(data), deliveries: false};
  }
}

// flat lists the tree from the top, each with its depth. It stops at events_max.
function flat(roots) {
  const rows = [];
  const stack = roots.map((node) => ({node, depth: 0})).reverse();
  while (stack.length && rows.length < events_max) {
    const {node, depth} = stack.pop();
    rows.push({...node, depth});
    for (const child of [...(node.children ?? [])].reverse()) stack.push({node: child, depth: depth + 1});
  }
  return rows;
}

// Why an event was not taken, or not yet.
const why = {
  behind: 'it has not come so far', paused: 'it is paused', retrying: 'it is tried again', dead: 'it failed for good', parked: 'its key is held back',
};

function Deliveries({list}) {
  if (!list?.length) return null;
  const others = list.filter((one) => one.outcome === 'filtered');
  return (
    <ul class="deliveries">
      {list.filter((one) => one.outcome !== 'filtered').map((one) => (
        <li key={one.subscription} title={one.reason ?? undefined}>
          <State of={one.outcome} /> <a href={to('subscriptions', one.subscription)}>{one.subscription}</a>
          {one.delayMs !== undefined && one.delayMs !== null && <span class="faint"> after {span_text(one.delayMs)}</span>}
          {(one.reason || why[one.outcome]) && <span class="faint"> · {one.reason || why[one.outcome]}</span>}
        </li>
      ))}
      {others.length > 0 &&
        <li class="faint">
          <details class="inline">
            <summary>not given to {others.length > 2 ? plural(others.length, 'other') : others.map((one) => one.subscription).join(', ')}</summary>
            <ul>{others.map((one) => <li key={one.subscription}><a href={to('subscriptions', one.subscription)}>{one.subscription}</a>: {one.reason || 'its filter does not take it'}</li>)}</ul>
          </details>
        </li>}
    </ul>
  );
}

function Tree({rows, chosen, choose}) {
  const times = rows.map((row) => new Date(row.event.recordedAt ?? row.event.occurredAt).getTime());
  const first = Math.min(...times);
  const span = Math.max(1, Math.max(...times) - first);
  return (
    <ol class="tree" aria-label="Events by cause">
      {rows.map((row, at) => (
        <li key={row.event.id}>
          <div class="tree-what" style={{paddingInlineStart: `${Math.min(row.depth, 12) * 20}px`}}>
            {row.depth > 0 && <span class="tree-branch" aria-hidden="true">└</span>}
            <button type="button" class="tree-event" aria-pressed={chosen === row.event.id} onClick={() => choose(row.event)}>
              <Type name={row.event.type} />
              {row.event.stream && <span class="faint">{row.event.stream}</span>}
            </button>
            <Deliveries list={row.deliveries} />
          </div>
          <div class="tree-time">
            <span class="tree-mark" style={{insetInlineStart: `${((times[at] - first) / span) * 100}%`}} />
          </div>
          <span class="tree-delay numeric" title={time_text(row.event.recordedAt, true)}>
            {times[at] === first ? 'start' : `+${span_text(times[at] - first)}`}
          </span>
        </li>
      ))}
    </ol>
  );
}

export function TraceView({parts}) {
  const id = parts[0];
  const [draft, set_draft] = useState(id ?? '');
  const [picked, set_picked] = useState(null);
  const {data, error, busy} = useLoad(async (signal) => (id ? load(id, signal) : null), [id]);
  const rows = data ? flat(data.roots) : [];
  const wanted = route.value.query.get('event');
  const chosen = rows.find((row) => row.event.id === (picked ?? wanted))?.event ?? rows[0]?.event;
  const times = rows.map((row) => new Date(row.event.recordedAt ?? row.event.occurredAt).getTime());
  return (
    <>
      <Head title="Causes" about="The events of one correlation: what led to what, when, and who was given it." />
      <Panel>
        <form class="bar inline" onSubmit={(e) => { e.preventDefault(); if (draft.trim()) go(to('trace', draft.trim())); }}>
          <Input label="Correlation id" value={draft} set={set_draft} data-search placeholder="the correlationId of any event" />
          <button type="submit" class="main">Show</button>
        </form>
      </Panel>
      <Problem error={error} />
      {id && !busy && !error && rows.length === 0 && <Empty title="No events of this correlation"><p>Pick an event under <a href={to('events')}>Events</a> and follow its causes.</p></Empty>}
      {!id && <Empty title="Which chain?"><p>Choose an event under <a href={to('events')}>Events</a> and follow its causes, or give a correlation id.</p></Empty>}
      {rows.length > 0 &&
        <>
          <p class="found">
            {plural(rows.length, 'event')}{rows.length > 1 && ` in ${span_text(Math.max(...times) - Math.min(...times))}`}, from {time_text(rows[0].event.recordedAt, true)}.
            {!data.deliveries && ' This server does not say who was given them.'}
            {rows.length >= events_max && ` Only the first ${events_max} are shown.`}
          </p>
          <Panel flush><Tree rows={rows} chosen={chosen?.id} choose={(event) => set_picked(event.id)} /></Panel>
          <Panel><EventDetail event={chosen} traced /></Panel>
        </>}
    </>
  );
}
