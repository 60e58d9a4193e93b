// SPDX-License-Identifier: Apache-2.0
// The explorer: events by type, stream, correlation, time, and by a text they contain. The server
// filters by the first four; for the text the page itself looks through what the server gives, newest
// first, so many at a time, and says how far it has looked.
import {useCallback, useEffect, useLayoutEffect, useRef, useState} from 'preact/hooks';
import {get} from './api.js';
import {contains, curl_of, Rows, Split} from './event.jsx';
import {query_of} from './api.js';
import {go, route, to} from './route.js';
import {copy, Empty, Head, Input, Problem, TypeInput} from './ui.jsx';
import {count_text, instant_of, local_of, plural, time_text} from './text.js';

const page = 100;
const text_page = 500;
const text_look_max = 20_000; // events looked through before the person is asked to go on
const text_found_max = 100;
const kept_max = 2000; // events held by the page; beyond, the search has to be narrowed

const names = ['type', 'stream', 'category', 'correlation', 'tenant', 'from', 'to', 'text'];

function api_query(form) {
  return {
    type: form.type, stream: form.stream, category: form.category, correlationId: form.correlation, tenantId: form.tenant,
    from: instant_of(form.from), to: instant_of(form.to), direction: 'backward',
  };
}

const nothing = {events: [], looked: 0, before: undefined, done: false};

// useSearch holds what was found so far; more() goes on behind it.
function useSearch(form) {
  const [found, set_found] = useState(nothing);
  const [busy, set_busy] = useState(false);
  const [error, set_error] = useState(null);
  const abort = useRef(new AbortController());
  const more = async (start) => {
    const {signal} = abort.current;
    let state = start;
    let looked = 0;
    const enough = start.events.length + text_found_max;
    set_busy(true);
    set_error(null);
    try {
      do {
        const limit = form.text ? text_page : page;
        const {data} = await get('/api/events', {...api_query(form), limit, before: state.before}, signal);
        if (signal.aborted) return;
        looked += data.length;
        state = {
          events: [...state.events, ...(form.text ? data.filter((event) => contains(event, form.text)) : data)],
          looked: state.looked + data.length,
          before: data.at(-1)?.position ?? state.before,
          back_to: data.at(-1)?.occurredAt ?? state.back_to,
          done: data.length < limit,
        };
        set_found(state);
      } while (form.text && !state.done && looked < text_look_max && state.events.length < enough);
    } catch (caught) {
      if (!signal.aborted) set_error(caught);
    }
    if (!signal.aborted) set_busy(false);
  };
  useEffect(() => {
    abort.current = new AbortController();
    set_found(nothing);
    more(nothing);
    return () => abort.current.abort();
  }, [JSON.stringify(form)]);
  return {...found, busy, error, more: () => more(found), stop: () => { abort.current.abort(); abort.current = new AbortController(); set_busy(false); }};
}

function Form({form, search}) {
  const [draft, set_draft] = useState(form);
  useLayoutEffect(() => set_draft(form), [JSON.stringify(form)]); // at once: later it would take away what was typed meanwhile
  const set = (name) => (value) => set_draft({...draft, [name]: value});
  const submit = (e) => {
    e.preventDefault();
    search(Object.fromEntries(names.map((name) => [name, draft[name]?.trim()])));
  };
  const last = (minutes) => search({...draft, from: local_of(new Date(Date.now() - minutes * 60_000)), to: ''});
  const any = names.some((name) => form[name]);
  return (
    <form class="search" onSubmit={submit}>
      <Input label="Contains the text" value={draft.text ?? ''} set={set('text')} placeholder="an amount, a name, an id" data-search type="search" />
      <TypeInput value={draft.type ?? ''} set={set('type')} placeholder="order.*" half />
      <Input label="Stream" value={draft.stream ?? ''} set={set('stream')} placeholder="order-1" half />
      <Input label="Category" value={draft.category ?? ''} set={set('category')} placeholder="order" half />
      <Input label="Tenant" value={draft.tenant ?? ''} set={set('tenant')} half />
      <Input label="Correlation id" value={draft.correlation ?? ''} set={set('correlation')} />
      <Input label="From" type="datetime-local" step="1" value={draft.from ?? ''} set={set('from')} />
      <Input label="To" type="datetime-local" step="1" value={draft.to ?? ''} set={set('to')} />
      <div class="actions wrap">
        <button type="submit" class="main">Search</button>
        {any && <button type="button" class="plain" onClick={() => search({})}>Clear</button>}
        <span class="quick">
          <span class="faint">Last</span>
          <button type="button" class="plain" onClick={() => last(15)}>15 min</button>
          <button type="button" class="plain" onClick={() => last(60)}>hour</button>
          <button type="button" class="plain" onClick={() => last(1440)}>day</button>
        </span>
      </div>
    </form>
  );
}

export function EventsView() {
  const {query} = route.value;
  const form = Object.fromEntries(names.map((name) => [name, query.get(name) ?? '']));
  const found = useSearch(form);
  const [chosen, set_chosen] = useState(null);
  const close = useCallback(() => set_chosen(null), []);
  const how = () => copy(curl_of('/api/events' + query_of({...api_query(form), limit: page})), 'The curl command');
  return (
    <>
      <Head title="Events" about="Everything that was stored, newest first. The address keeps the search.">
        <button onClick={how}>Copy search as curl</button>
      </Head>
      <Split event={chosen} close={close}>
        <section class="panel flush" aria-label="Search">
          <Form form={form} search={(values) => { set_chosen(null); go(to('events', values)); }} />
          <Problem error={found.error} />
          <p class="found" role="status">
            {form.text
              ? <>{found.busy ? 'Looking… ' : ''}{plural(found.events.length, 'event')} found among {count_text(found.looked)}{found.back_to ? `, back to ${time_text(found.back_to, true)}` : ''}.</>
              : found.busy ? 'Reading…' : `${plural(found.events.length, 'event')}${found.done ? '' : ' so far'}.`}
            {found.busy && form.text && <button class="plain" onClick={found.stop}>Stop</button>}
          </p>
          {found.events.length > 0 && <Rows events={found.events} chosen={chosen?.id} open={set_chosen} found={form.text} label="Events found" />}
          {!found.busy && !found.error && found.done && found.events.length === 0 &&
            <Empty title="Nothing found">
              <p>{names.some((name) => form[name]) ? 'Take away a condition, or widen the time.' : 'Nothing is stored yet.'}</p>
              {!names.some((name) => form[name]) && <p><a class="button" href={to('publish')}>Publish an event</a></p>}
            </Empty>}
          {found.events.length >= kept_max && <p class="found">The page holds {count_text(kept_max)} events at most: narrow the search to see others.</p>}
          {!found.done && !found.busy && !found.error && found.events.length < kept_max &&
            <p class="more"><button onClick={found.more}>{form.text ? 'Look further back' : 'Show older'}</button></p>}
        </section>
      </Split>
    </>
  );
}
