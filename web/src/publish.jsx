// SPDX-License-Identifier: Apache-2.0
// Publish by hand: a real event, or a test event that business handlers are not given.
import {useEffect, useState} from 'preact/hooks';
import {call, get, path_of} from './api.js';
import {curl_of} from './event.jsx';
import {route, to} from './route.js';
import {Area, attempt, Check, copy, Head, Input, Panel, Problem, Time, Type, TypeInput, useLoad} from './ui.jsx';
import {instant_of, parse_json} from './text.js';

const empty = {type: '', stream: '', data: '{\n  "total": 99\n}', expected: '', correlation: '', tags: '', metadata: '', later: ''};

function body_of(form, test) {
  const data = parse_json(form.data || 'null').value;
  if (test) return {...(form.type ? {type: form.type.trim()} : {}), data};
  const number = /^\d+$/.test(form.expected) ? Number(form.expected) : form.expected;
  const tags = form.tags.split(',').map((tag) => tag.trim()).filter(Boolean);
  const all = {
    type: form.type.trim(), stream: form.stream.trim(), data, expectedVersion: number, correlationId: form.correlation.trim(),
    tags: tags.length ? tags : '', deliverAt: instant_of(form.later) ?? '', metadata: form.metadata ? parse_json(form.metadata).value : '',
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
}

// Waiting: events that were published for later. Nothing is shown where there are none.
function Waiting() {
  const {data, again} = useLoad((signal) => get('/api/events/scheduled', {}, signal), []);
  const cancel = async (one) => {
    if (await attempt(`${one.type} is not published.`, () => call('DELETE', path_of('api', 'events', 'scheduled', one.id)))) again();
  };
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
    </Panel>
  );
}

export function PublishView() {
  const {query} = route.value;
  const like = query.get('like');
  const [form, set_form] = useState({...empty, type: query.get('type') ?? '', stream: query.get('stream') ?? ''});
  const [test, set_test] = useState(false);
  const [error, set_error] = useState(null);
  const [done, set_done] = useState(null);
  const [busy, set_busy] = useState(false);
  const set = (name) => (value) => set_form((before) => ({...before, [name]: value}));
  useEffect(() => {
    if (!like) return;
    get(path_of('api', 'events', like)).then(({data}) => set_form({
      ...empty, type: data.type, stream: data.stream ?? '', data: JSON.stringify(data.data ?? null, null, 2), tags: (data.tags ?? []).join(', '),
      metadata: data.metadata ? JSON.stringify(data.metadata, null, 2) : '',
    }), set_error);
  }, [like]);
  const data = parse_json(form.data || 'null');
  const metadata = parse_json(form.metadata || 'null');
  const bad = data.problem || metadata.problem;
  const path = test ? '/api/events/test' : '/api/events';
  const publish = async (e) => {
    e.preventDefault();
    if (bad) return;
    set_busy(true);
    set_error(null);
    set_done(null);
    try {
      const reply = await call('POST', path, {body: body_of(form, test)});
      set_done(test ? {id: reply.eventId, position: reply.position, correlationId: reply.correlationId} : reply.data[0]);
    } catch (caught) {
      set_error(caught);
    }
    set_busy(false);
  };
  return (
    <>
      <Head title="Publish" about="One event, by hand." />
      <Panel>
        <form class="grid publish" onSubmit={publish}>
          <div class="wide"><Check label="A test event: live readers see it, business handlers are not given it" value={test} set={set_test} /></div>
          <TypeInput value={form.type} set={set('type')} required={!test} placeholder={test ? 'system.test' : 'order.created'} data-search />
          <Input label="Stream" value={form.stream} set={set('stream')} placeholder="order-1" disabled={test} hint="what it happened to; may be left out" />
          <Area label="Data" value={form.data} set={set('data')} rows={9} error={data.problem} />
          <details class="wide">
            <summary>More</summary>
            <div class="grid">
              <Input label="Expected version" value={form.expected} set={set('expected')} placeholder="a number, none, exists" disabled={test} />
              <Input label="Correlation id" value={form.correlation} set={set('correlation')} disabled={test} />
              <Input label="Tags" value={form.tags} set={set('tags')} hint="several with commas" disabled={test} />
              <Input label="Not before" type="datetime-local" step="1" value={form.later} set={set('later')} hint="it waits until then" disabled={test} />
              <Area label="Metadata" value={form.metadata} set={set('metadata')} rows={4} error={form.metadata && metadata.problem} disabled={test} />
            </div>
          </details>
          {error && <div class="wide"><Problem error={error} /></div>}
          <div class="actions wide">
            <button type="submit" class="main" disabled={Boolean(bad) || busy}>{test ? 'Publish the test event' : 'Publish'}</button>
            <button type="button" disabled={Boolean(bad)} onClick={() => copy(curl_of(path, 'POST', body_of(form, test)), 'The curl command')}>Copy as curl</button>
          </div>
        </form>
        {done &&
          <p class="published" role="status">{done.position ? `Stored at position ${done.position}` : form.later ? 'It waits for its time' : 'Sent to live readers'}{done.stream ? `, ${done.stream} is now at version ${done.streamVersion}` : ''}.{' '}
            {done.position && <><a href={to('event', done.id)}>See the event</a> · <a href={to('trace', done.correlationId)}>follow what comes of it</a></>}</p>}
      </Panel>
      <Waiting key={done?.id} />
    </>
  );
}
