// SPDX-License-Identifier: Apache-2.0
// The events as they come. However many come, the page shows a sample it can draw and says so:
// every quarter of a second at most 25 of those that came are read and shown; 300 rows are kept.
// A page that falls behind the log goes to its end, and says that too.
import {useCallback, useEffect, useRef, useState} from 'preact/hooks';
import {follow, get} from './api.js';
import {Chart} from './chart.jsx';
import {Rows, Split} from './event.jsx';
import {points, position_now, server} from './meter.js';
import {replace, route, to} from './route.js';
import {attempt, Empty, Head, note, Problem, State, TypeInput, Input} from './ui.jsx';
import {call} from './api.js';
import {count_text, plural, short_text, span_text} from './text.js';

const tick_ms = 250;
const tick_events_max = 25;
const rows_max = 300;
const rows_first = 60;
const behind_max = 20_000; // events; further behind, the stream begins anew at the end
const retry_ms = 1500;

// A tap holds one connection and what came through it since it was last looked at.
class Tap {
  constructor(query) {
    this.query = query;
    this.abort = new AbortController();
    this.newest = []; // texts, the last tick_events_max
    this.came = 0;
    this.position = null;
    this.state = 'connecting';
  }

  async run(first) {
    while (!this.abort.signal.aborted) {
      try {
        if (this.position === null) await this.begin(first);
        await follow(this.query, this.position, this.abort.signal, () => { this.state = 'live'; this.error = null; },
          (id, data) => this.take(id, data));
      } catch (error) {
        if (this.abort.signal.aborted) return;
        this.error = error;
      }
      if (this.abort.signal.aborted) return;
      this.state = 'away';
      await new Promise((resolve) => setTimeout(resolve, retry_ms));
    }
  }

  async begin(first) {
    const {data} = await get('/api/events', {...this.query, direction: 'backward', limit: rows_first}, this.abort.signal);
    first(data);
    if (data.length) this.position = data[0].position;
  }

  take(id, data) {
    if (id !== null) this.position = id;
    if (!data) return;
    this.came++;
    this.newest.push(data);
    if (this.newest.length > tick_events_max) this.newest.shift();
  }

  end() {
    this.abort.abort();
  }
}

function useTap(query_text, paused) {
  const [view, set_view] = useState({rows: [], came: 0, shown: 0, state: 'connecting'});
  const kept = useRef({position: null, rows: []});
  useEffect(() => {
    kept.current = {position: null, rows: []};
    set_view({rows: [], rate: 0, shown: 0, state: 'connecting'});
  }, [query_text]);
  useEffect(() => {
    if (paused) {
      set_view((before) => ({...before, state: 'paused'}));
      return undefined;
    }
    const query = Object.fromEntries(new URLSearchParams(query_text));
    let tap;
    let skipped = 0;
    const open = (position) => {
      tap = new Tap(query);
      tap.position = position;
      tap.run((rows) => { kept.current.rows = rows; });
    };
    const gap = (position_now() ?? 0) - (kept.current.position ?? 0);
    if (kept.current.position !== null && gap > rows_max) {
      note(`${plural(gap, 'event')} came during the pause; the newest are shown.`);
      open(null);
    } else {
      open(kept.current.position);
    }
    const seconds = [];
    const timer = setInterval(() => {
      const came = tap.came;
      const texts = tap.newest.splice(0);
      tap.came = 0;
      const rows = texts.map((text) => JSON.parse(text)).reverse();
      const known = new Set(rows.map((row) => row.id));
      kept.current.rows = [...rows, ...kept.current.rows.filter((row) => !known.has(row.id))].slice(0, rows_max);
      kept.current.position = tap.position;
      seconds.push([came, rows.length]);
      if (seconds.length > 4) seconds.shift();
      const total = seconds.reduce((all, one) => all + one[0], 0);
      const shown = seconds.reduce((all, one) => all + one[1], 0);
      const behind = (position_now() ?? 0) - (tap.position ?? Infinity);
      if (!query_text && behind > behind_max) { // with a filter, a position says little
        skipped += behind;
        tap.end();
        open(null);
      }
      set_view({rows: kept.current.rows, rate: total, shown, skipped, state: tap.state, error: tap.error});
    }, tick_ms);
    return () => {
      clearInterval(timer);
      tap.end();
    };
  }, [query_text, paused]);
  return view;
}

function Charts() {
  const all = points.value;
  const rate = (n) => `${short_text(n)}/s`;
  return (
    <div class="charts" role="group" aria-label="Charts" tabIndex={0}>
      <Chart title="Throughput" points={all} format={rate} least={1} lines={[{name: 'published', label: 'published'}, {name: 'delivered', label: 'delivered'}]} />
      <Chart title="Publish latency" points={all} format={span_text} quiet="nothing published" lines={[{name: 'p50', label: 'half within'}, {name: 'p99', label: '99 % within'}]} />
      <Chart title="Lag" points={all} format={short_text} least={1} lines={[{name: 'lag', label: 'events behind, the slowest'}]} />
    </div>
  );
}

const filters = {type: 'type', stream: 'stream', category: 'category', correlation: 'correlationId', tenant: 'tenantId'}; // here, and of the API
const filters_seldom = [['category', 'Category', 'order'], ['correlation', 'Correlation id'], ['tenant', 'Tenant']];

export function LiveView() {
  const {query} = route.value;
  const [form, set_form] = useState(Object.fromEntries(Object.keys(filters).map((name) => [name, query.get(name) ?? ''])));
  const [wide, set_wide] = useState(filters_seldom.some(([name]) => form[name]));
  const [paused, set_paused] = useState(false);
  const [chosen, set_chosen] = useState(null);
  const filter = new URLSearchParams([...query].filter(([name, value]) => filters[name] && value).map(([name, value]) => [filters[name], value])).toString();
  const view = useTap(filter, paused);
  const close = useCallback(() => set_chosen(null), []);
  const set = (name) => (value) => set_form({...form, [name]: value});
  const show = (e) => {
    e.preventDefault();
    replace(to('live', Object.fromEntries(Object.entries(form).map(([name, value]) => [name, value.trim()]))));
    set_paused(false);
  };
  const clear = () => {
    set_form(Object.fromEntries(Object.keys(filters).map((name) => [name, ''])));
    replace(to('live'));
  };
  useEffect(() => {
    const on_key = (e) => {
      if (e.key !== 'p' || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) || document.querySelector('dialog[open]')) return;
      set_paused((before) => !before);
    };
    addEventListener('keydown', on_key);
    return () => removeEventListener('keydown', on_key);
  }, []);
  const left_out = view.rate - view.shown;
  return (
    <>
      <Head title="Live" about="Events as they come.">
        <button onClick={() => attempt('A test event is published.', () => call('POST', '/api/events/test', {body: {}}))}>Publish a test event</button>
        <button class="main" aria-pressed={paused} onClick={() => set_paused(!paused)}>{paused ? 'Go on' : 'Pause'} <kbd>p</kbd></button>
      </Head>
      {server.value.error && server.value.state === 'ok'
        ? <Problem error={server.value.error} what="metrics, so there is nothing to draw" />
        : <Charts />}
      <Split event={chosen} close={close}>
        <section class="panel flush" aria-label="Live events">
          <form class="bar" onSubmit={show}>
            <TypeInput value={form.type} set={set('type')} placeholder="order.*" data-search />
            <Input label="Stream" value={form.stream} set={set('stream')} placeholder="order-1" />
            {wide && filters_seldom.map(([name, label, placeholder]) => <Input key={name} label={label} value={form[name]} set={set(name)} placeholder={placeholder} />)}
            <button type="submit">Show</button>
            {!wide && <button type="button" class="plain" onClick={() => set_wide(true)}>More</button>}
            {filter && <button type="button" class="plain" onClick={clear}>Show all</button>}
            <p class="bar-state" role="status">
              <State of={view.state}>{{live: 'live', away: 'not connected, trying again', paused: 'paused', connecting: 'connecting'}[view.state]}</State>
              {view.state === 'live' && <span class="numeric">{count_text(view.rate)}/s</span>}
            </p>
          </form>
          {view.error && server.value.state !== 'away' && <Problem error={view.error} />}
          {(left_out > 0 || view.skipped > 0) && view.state === 'live' &&
            <p class="sampled">
              {left_out > 0 && <>Sampled: {count_text(view.shown)} of the {count_text(view.rate)} events that came in the last second are shown. </>}
              {view.skipped > 0 && <>{count_text(view.skipped)} were passed over to keep up. </>}
              All are in the log: <a href={to('events', Object.fromEntries(query))}>search it</a>.
            </p>}
          {view.rows.length
            ? <Rows events={view.rows} chosen={chosen?.id} open={set_chosen} label="Live events" />
            : view.state !== 'connecting' &&
              <Empty title={filter ? 'Nothing of that kind yet' : 'No events yet'}>
                <p>{filter ? 'What matches the filter appears here as it comes.' : 'Publish one and it appears here:'}</p>
                {!filter && <p><a class="button" href={to('publish')}>Publish an event</a></p>}
              </Empty>}
        </section>
      </Split>
    </>
  );
}
