// SPDX-License-Identifier: Apache-2.0
// How the server is: alive, ready, its figures, its limits, every metric it gives.
import {useState} from 'preact/hooks';
import {get, key} from './api.js';
import {server, sum} from './meter.js';
import {Backup, Configuration, Documents, Keys, Usage} from './operate.jsx';
import {Empty, Head, Input, Panel, Problem, State, useLoad} from './ui.jsx';
import {bytes_text, count_text, span_text} from './text.js';

const figures = [
  ['Events stored', 'skald_store_position', count_text],
  ['Bytes', 'skald_store_bytes', bytes_text],
  ['Memory of the indexes', 'skald_store_index_bytes', bytes_text],
  ['Segment files', 'skald_store_segments', count_text],
  ['Appends waiting', 'skald_store_appends_waiting', count_text],
  ['Connections', 'skald_http_connections', count_text],
  ['Streams open', 'skald_http_streams', count_text],
  ['Resident memory', 'skald_process_resident_memory_bytes', bytes_text],
  ['Publishes refused', 'skald_events_publish_failed_total', count_text],
  ['Connections refused', 'skald_http_connections_refused_total', count_text],
];

// said_of is what a part says beside its state: "position 170", "faulted mailer, ledger".
function said_of(part) {
  const text = (value) => (typeof value === 'number' ? count_text(value) : [value].flat().map((one) => (typeof one === 'object' ? JSON.stringify(one) : one)).join(', '));
  return Object.entries(part).filter(([what, value]) => what !== 'status' && !(Array.isArray(value) && !value.length))
    .map(([what, value]) => `${what.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`)} ${text(value)}`).join(' · ');
}

function Parts({ready}) {
  return (
    <table>
      <thead><tr><th scope="col">Part</th><th scope="col">State</th><th scope="col">What it says</th></tr></thead>
      <tbody>
        {Object.entries(ready.parts ?? {}).map(([name, part]) => (
          <tr key={name}>
            <td>{name}</td>
            <td><State of={part.status} /></td>
            <td class="faint">{said_of(part)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Routes({metrics}) {
  const took = new Map((metrics.found.get('skald_http_request_duration_seconds_sum') ?? []).map((row) => [`${row.labels.method} ${row.labels.route}`, row.value]));
  const rows = new Map();
  for (const {labels, value} of metrics.found.get('skald_http_requests_total') ?? []) {
    const name = labels.route === 'none' ? 'no such route' : `${labels.method} ${labels.route}`;
    const row = rows.get(name) ?? {all: 0, bad: 0};
    row.all += value;
    if (/^[45]/.test(labels.status)) row.bad += value;
    rows.set(name, row);
  }
  const busiest = [...rows].sort((a, b) => b[1].all - a[1].all).slice(0, 12);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Requests, a table">
      <table class="carded">
        <thead><tr><th scope="col">Route</th><th scope="col" class="right">Requests</th><th scope="col" class="right">Refused or failed</th><th scope="col" class="right">Mean time</th></tr></thead>
        <tbody>
          {busiest.map(([name, row]) => (
            <tr key={name}><td><code>{name}</code></td><td class="right numeric" data-label="Requests">{count_text(row.all)}</td><td class="right numeric" data-label="Refused or failed">{count_text(row.bad)}</td>
              <td class="right numeric" data-label="Mean time">{took.has(name) && row.all ? span_text((took.get(name) / row.all) * 1000) : '—'}</td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// queues_of: what each queue holds and the most it may hold.
function queues_of(metrics) {
  return [['items', count_text], ['bytes', bytes_text]].flatMap(([unit, format]) =>
    (metrics.found.get(`skald_queue_${unit}_max`) ?? []).map(({labels, value}) => ({
      name: labels.queue, most: value, format,
      now: sum(metrics, `skald_queue_${unit}`, (of) => of.queue === labels.queue) ?? 0,
    })));
}

function Queues({list}) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Queues, a table">
      <table class="carded">
        <thead><tr><th scope="col">Queue</th><th scope="col" class="right">Holds</th><th scope="col" class="right">At most</th><th scope="col">Full</th></tr></thead>
        <tbody>
          {list.map((one) => (
            <tr key={one.name}><td>{one.name.replaceAll('_', ' ')}</td><td class="right numeric" data-label="Holds">{one.format(one.now)}</td><td class="right numeric" data-label="At most">{one.format(one.most)}</td>
              <td><meter min="0" max="1" low="0.7" high="0.9" optimum="0" value={one.most ? one.now / one.most : 0} aria-label={`${one.name.replaceAll('_', ' ')}: how full`} /></td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Metrics({metrics}) {
  const [text, set_text] = useState('');
  const rows = [...metrics.found].filter(([name]) => !/_bucket$/.test(name)).flatMap(([name, list]) => list.map((row) => ({name, ...row})))
    .filter((row) => `${row.name} ${Object.values(row.labels).join(' ')}`.includes(text.trim()));
  return (
    <>
      <div class="bar"><Input label="Find" type="search" value={text} set={set_text} placeholder="lag, limit, sync" data-search /></div>
      <div class="scroll tall" tabIndex={0} role="region" aria-label="Metrics, a table">
        <table class="stacked">
          <thead><tr><th scope="col">Metric</th><th scope="col" class="right">Value</th><th scope="col">What it is</th></tr></thead>
          <tbody>
            {rows.slice(0, 300).map((row) => (
              <tr key={row.name + JSON.stringify(row.labels)}>
                <td><code>{row.name}</code>{Object.entries(row.labels).map(([label, value]) => <span key={label} class="chip">{label} {value}</span>)}</td>
                <td class="right numeric">{count_text(row.value)}</td>
                <td class="faint">{metrics.helps.get(row.name) ?? metrics.helps.get(row.name.replace(/_(sum|count)$/, ''))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length === 0 && <Empty title="No metric of that name" />}
      {rows.length > 300 && <p class="hint foot">The first 300 of {rows.length} are shown; look for a name.</p>}
    </>
  );
}

export function ServerView() {
  const health = useLoad((signal) => get('/health', {}, signal), [], 5000);
  const ready = useLoad(async (signal) => {
    try {
      return await get('/ready', {}, signal);
    } catch (error) {
      if (error.problem?.parts) return error.problem; // 503, and it says why
      throw error;
    }
  }, [], 5000);
  const {metrics, error} = server.value;
  const queues = metrics ? queues_of(metrics) : [];
  return (
    <>
      <Head title="Server" about={health.data ? `skald ${health.data.version ?? ''}` : 'How it is.'}>
        <a class="button" href="/docs">The API, described</a>
        {!key.value && <a class="button" href="/metrics">For Prometheus</a>}
      </Head>
      <Panel title="Health" side={health.data && <State of={ready.data?.status ?? health.data.status} />}>
        <Problem error={health.error} what="health" />
        <Problem error={ready.error} what="readiness" />
        {ready.data && <Parts ready={ready.data} />}
        {metrics && sum(metrics, 'skald_store_read_only') > 0 && <p class="problem" role="alert">The store refuses to write: the disk is full or failed. Reads go on. Make room, and it goes on by itself.</p>}
      </Panel>
      <Configuration />
      {error && !metrics && <Problem error={error} what="metrics" />}
      {metrics &&
        <>
          <Panel title="Figures">
            <dl class="figures">
              {figures.filter(([, name]) => metrics.found.has(name)).map(([label, name, format]) => (
                <div key={name}><dt>{label}</dt><dd class="numeric">{format(sum(metrics, name))}</dd></div>
              ))}
            </dl>
          </Panel>
          <Panel title="Requests" flush><Routes metrics={metrics} /></Panel>
          {queues.length > 0 && <Panel title="Queues and their limits" flush><Queues list={queues} /></Panel>}
          <Panel title="Every metric" flush><Metrics metrics={metrics} /></Panel>
        </>}
      <Keys />
      <Backup />
      <Usage />
      <Documents />
    </>
  );
}
