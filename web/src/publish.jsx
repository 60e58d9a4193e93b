// SPDX-License-Identifier: Apache-2.0
// Publish by hand: an event by its parts, one or many as JSON, or a test event that business handlers are
// not given.
import {useEffect, useState} from 'preact/hooks';
import {call, get, path_of, query_of} from './api.js';
import {curl_of} from './event.jsx';
import {route, to} from './route.js';
import {Area, attempt, Check, Choice, copy, Field, Head, Input, Panel, Problem, Switch, Time, Type, TypeInput, useLoad} from './ui.jsx';
import {instant_of, parse_json, plural} from './text.js';

const empty = {
  type: '', stream: '', data: '{\n  "total": 99\n}', expected: '', correlation: '', causation: '', tags: '', metadata: '', later: '',
  until: '', version: '', priority: '', tenant: '', ack: '', kept: true,
};
const waiting_max = 1000; // of one reply
const waiting_every_ms = 2000; // they go when their time comes, and are there a moment after they were published
const array_first = '[\n  {"type": "order.created", "stream": "order-1", "data": {"total": 99}},\n  {"type": "order.paid", "stream": "order-1", "data": {"total": 99}}\n]';

function body_of(form, test) {
  const data = parse_json(form.data || 'null').value;
  if (test) return {...(form.type ? {type: form.type.trim()} : {}), data};
  const number = /^\d+$/.test(form.expected) ? Number(form.expected) : form.expected;
  const tags = form.tags.split(',').map((tag) => tag.trim()).filter(Boolean);
  const all = {
    type: form.type.trim(), stream: form.stream.trim(), data, expectedVersion: number, correlationId: form.correlation.trim(),
    causationId: form.causation.trim(), tenantId: form.tenant.trim(), version: form.version ? Number(form.version) : '', priority: form.priority,
    tags: tags.length ? tags : '', deliverAt: instant_of(form.later) ?? '', expiresAt: instant_of(form.until) ?? '',
    metadata: form.metadata ? parse_json(form.metadata).value : '', persistent: form.kept ? '' : false,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
}

// Waiting: events that were published for later. Nothing is shown where there are none.
function Waiting() {
  const {data, error, again} = useLoad((signal) => get('/api/events/scheduled', {limit: waiting_max}, signal), [], waiting_every_ms);
  const cancel = async (one) => {
    if (await attempt(`${one.type} is not published.`, () => call('DELETE', path_of('api', 'events', 'scheduled', one.id), {query: {tenantId: one.tenantId}}))) again();
  };
  if (error && !error.no_route && error.status !== 403) return <Problem error={error} />;
  if (!data?.data.length) return null;
  return (
    <Panel title="Waiting for their time" flush>
      <ul class="cards">
        {data.data.map((one) => (
          <li key={one.id} class="card">
            <div class="card-what"><p><Type name={one.type} /> <span class="faint">{one.stream}</span></p><p class="faint">at <Time at={one.deliverAt} /></p></div>
            <button class="danger" onClick={() => cancel(one)}>Cancel it</button>
          </li>
        ))}
      </ul>
      {data.pagination.nextCursor && <p class="found">The first {waiting_max} are shown.</p>}
    </Panel>
  );
}

// Done says what became of what was published: one event, or the first of many.
function Done({many, one, later, tenant}) {
  if (!one) return null;
  const where = one.position ? `stored at position ${one.position}` : later ? 'waiting for its time' : 'sent to live readers, and not kept';
  return (
    <p class="published" role="status">
      {many > 1 ? `${plural(many, 'event')} are stored, the first at position ${one.position}` : `It is ${where}`}
      {one.stream && many === 1 ? `, ${one.stream} is now at version ${one.streamVersion}` : ''}.{' '}
      {one.position && <><a href={to('event', one.id, {tenant})}>See {many > 1 ? 'the first' : 'the event'}</a> · <a href={to('trace', one.correlationId)}>follow what comes of it</a></>}
    </p>
  );
}

// Parts: the form. A test event has a type and data only.
function Parts({form, set, test}) {
  const data = parse_json(form.data || 'null');
  const metadata = parse_json(form.metadata || 'null');
  return (
    <>
      <TypeInput value={form.type} set={set('type')} required={!test} placeholder={test ? 'system.test' : 'order.created'} data-search />
      {!test && <Input label="Stream" value={form.stream} set={set('stream')} placeholder="order-1" hint="what it happened to; may be left out" />}
      <Area label="Data" value={form.data} set={set('data')} rows={9} error={data.problem} />
      {!test &&
        <details class="wide">
          <summary>More: when, if, how long, why</summary>
          <div class="grid">
            <Input label="Expected version" value={form.expected} set={set('expected')} placeholder="a number, none, exists" hint="where the stream must stand; else it is refused" />
            <Choice label="Priority" value={form.priority} set={set('priority')} options={[['', 'normal'], ['low', 'low'], ['high', 'high'], ['critical', 'critical']]} />
            <Input label="Not before" type="datetime-local" step="1" value={form.later} set={set('later')} hint="it waits until then" />
            <Input label="Of no use after" type="datetime-local" step="1" value={form.until} set={set('until')} hint="from then on it is not delivered" />
            <Input label="Correlation id" value={form.correlation} set={set('correlation')} hint="the chain it belongs to" />
            <Input label="Caused by" value={form.causation} set={set('causation')} hint="the id of an event" />
            <Input label="Tags" value={form.tags} set={set('tags')} hint="several with commas" />
            <Input label="Tenant" value={form.tenant} set={set('tenant')} hint="nothing: your key’s" />
            <Input label="Version of the schema" inputmode="numeric" pattern="[0-9]*" value={form.version} set={set('version')} hint="nothing: 1" />
            <Area label="Metadata" value={form.metadata} set={set('metadata')} rows={4} error={form.metadata && metadata.problem} />
            <Choice label="Say that it is done when" value={form.ack} set={set('ack')} options={answers} />
            <div class="wide"><Check label="Keep it (else only who follows now is given it)" value={form.kept} set={set('kept')} /></div>
          </div>
        </details>}
    </>
  );
}

// Lines: a file with an event on each line, as `skald export` writes it. It is sent as it is, however long.
function Lines({set_file, done}) {
  return (
    <>
      <Field label="A file with an event as JSON on each line" hint="as skald export writes it" wide>
        {(id) => <input id={id} type="file" required accept=".ndjson,.jsonl,.json,.txt,application/x-ndjson" onChange={(e) => set_file(e.currentTarget.files[0])} data-search />}
      </Field>
      {done &&
        <div class="wide">
          <p class={done.rejected ? 'warning' : 'published'} role="status">{plural(done.accepted, 'event')} stored{done.lastPosition ? `, up to position ${done.lastPosition}` : ''}; {plural(done.rejected, 'line')} rejected.</p>
          {done.errors.length > 0 && <ul class="problem">{done.errors.map((one) => <li key={one.line}>line {one.line}: {one.message}</li>)}</ul>}
        </div>}
    </>
  );
}

const ways = [['event', 'An event'], ['json', 'As JSON'], ['file', 'A file'], ['test', 'A test']];
const answers = [['', 'it is on the disk'], ['written', 'it is written, and soon on the disk'], ['memory', 'it is in memory']];

export function PublishView() {
  const {query} = route.value;
  const like = query.get('like');
  const [form, set_form] = useState({...empty, type: query.get('type') ?? '', stream: query.get('stream') ?? '', tenant: query.get('tenant') ?? ''});
  const [way, set_way] = useState('event');
  const [text, set_text] = useState(array_first);
  const [error, set_error] = useState(null);
  const [done, set_done] = useState(null);
  const [busy, set_busy] = useState(false);
  const set = (name) => (value) => set_form((before) => ({...before, [name]: value}));
  useEffect(() => {
    if (!like) return;
    get(path_of('api', 'events', like), {tenantId: query.get('tenant')}).then(({data}) => set_form({
      ...empty, type: data.type, stream: data.stream ?? '', data: JSON.stringify(data.data ?? null, null, 2), tags: (data.tags ?? []).join(', '),
      metadata: data.metadata ? JSON.stringify(data.metadata, null, 2) : '', tenant: data.tenantId ?? '',
    }), set_error);
  }, [like]);
  const test = way === 'test';
  const [file, set_file] = useState(null);
  const [lines, set_lines] = useState(null); // what became of a file
  const whole = parse_json(text);
  const bad = way === 'file' ? false : way === 'json' ? whole.problem : parse_json(form.data || 'null').problem || (!test && parse_json(form.metadata || 'null').problem);
  const path = test ? '/api/events/test' : '/api/events';
  const body = bad || way === 'file' ? null : way === 'json' ? whole.value : body_of(form, test);
  const ack = way === 'event' ? form.ack : '';
  const choose = (next) => {
    if (next === 'json' && form.type) set_text(JSON.stringify([body_of(form, false)], null, 2));
    set_way(next);
    set_done(null);
    set_lines(null);
    set_error(null);
  };
  const publish = async (e) => {
    e.preventDefault();
    if (bad) return;
    set_busy(true);
    set_error(null);
    set_done(null);
    set_lines(null);
    try {
      const reply = way === 'file' ? await call('POST', path, {body: file, media: 'application/x-ndjson', signal: new AbortController().signal}) : await call('POST', path, {body, query: {ack}});
      if (way === 'file') set_lines(reply.data);
      else set_done(test ? {many: 1, one: {id: reply.eventId, position: reply.position, correlationId: reply.correlationId}}
        : {many: reply.data.length, one: reply.data[0], later: Boolean(body.deliverAt), tenant: [body].flat()[0].tenantId});
    } catch (caught) {
      set_error(caught);
    }
    set_busy(false);
  };
  const about = {event: 'One event, by hand.', json: 'An event, or an array of them that is stored as a whole or not at all.', file: 'Many events at once: what is wrong is refused by its line, the rest is stored.', test: 'Live readers see it; business handlers are not given it.'}[way];
  return (
    <>
      <Head title="Publish" about={about} />
      <Panel>
        <form class="grid publish" onSubmit={publish}>
          <div class="wide"><Switch label="What to publish" options={ways} value={way} set={choose} /></div>
          {way === 'json' ? <Area label="Events as JSON" value={text} set={set_text} rows={14} error={whole.problem} />
            : way === 'file' ? <Lines set_file={set_file} done={lines} /> : <Parts form={form} set={set} test={test} />}
          {error && <div class="wide"><Problem error={error} /></div>}
          <div class="actions wide">
            <button type="submit" class="main" disabled={Boolean(bad) || busy}>{test ? 'Publish the test event' : 'Publish'}</button>
            {way !== 'file' && <button type="button" disabled={Boolean(bad)} onClick={() => copy(curl_of(path + query_of({ack}), 'POST', body), 'The curl command')}>Copy as curl</button>}
          </div>
        </form>
        {done && <Done {...done} />}
      </Panel>
      <Waiting key={done?.one.id} />
    </>
  );
}
