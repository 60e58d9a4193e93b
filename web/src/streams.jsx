// SPDX-License-Identifier: Apache-2.0
// Streams, and one of them at any version or time. The state is what its events say when each one's
// data is laid over that before it (members of objects one by one): no business rule, and it says so.
import {useEffect, useState} from 'preact/hooks';
import {call, get, path_of, query_of} from './api.js';
import {curl_of, EventDetail} from './event.jsx';
import {go, replace, route, to} from './route.js';
import {Area, attempt, confirm, copy, Dialog, Empty, Field, Head, Input, Json, Panel, Problem, Switch, Time, Type, useLoad} from './ui.jsx';
import {count_text, instant_of, local_of, parse_json, plural, preview_of, same, time_text} from './text.js';

const list_limit = 100;
const page = 1000;
const events_max = 5000; // of one stream; beyond, its newest

export function StreamsView() {
  const {query} = route.value;
  const prefix = query.get('prefix') ?? '';
  const category = query.get('category') ?? '';
  const tenant = query.get('tenant') ?? '';
  const [draft, set_draft] = useState({prefix, tenant});
  const [more, set_more] = useState([]);
  const [next, set_next] = useState(null);
  const {data, error, busy} = useLoad(async (signal) => {
    const reply = await get('/api/streams', {prefix, category, tenantId: tenant, limit: list_limit}, signal);
    set_more([]);
    set_next(reply.pagination?.nextCursor);
    return reply.data;
  }, [prefix, category, tenant]);
  const streams = [...(data ?? []), ...more];
  const categories = [...new Set(streams.map((stream) => stream.category))].filter((one) => one !== undefined).slice(0, 12);
  const whose = tenant ? () => tenant : (stream) => stream.tenantId; // where one is asked for no row says it
  const several = streams.some(whose);
  const older = () => attempt(null, async () => {
    const reply = await get('/api/streams', {prefix, category, tenantId: tenant, limit: list_limit, afterName: next});
    set_more([...more, ...reply.data]);
    set_next(reply.pagination?.nextCursor);
  });
  return (
    <>
      <Head title="Streams" about="The events of one thing each. Open one to see it as it was at any time." />
      <section class="panel flush" aria-label="Streams">
        <form class="bar" onSubmit={(e) => { e.preventDefault(); go(to('streams', {prefix: draft.prefix.trim(), category, tenant: draft.tenant.trim()})); }}>
          <Input label="Name begins with" value={draft.prefix} set={(text) => set_draft({...draft, prefix: text})} placeholder="order-" data-search type="search" />
          <Input label="Tenant" value={draft.tenant} set={(text) => set_draft({...draft, tenant: text})} half />
          <button type="submit">Show</button>
          <div class="chips" role="group" aria-label="Category">
            {category && <a class="chip on" href={to('streams', {prefix, tenant})}>{category} ✕</a>}
            {!category && categories.length > 1 && categories.map((one) => <a key={one} class="chip" href={to('streams', {prefix, category: one, tenant})}>{one}</a>)}
          </div>
        </form>
        <Problem error={error} what="a list of streams" />
        {streams.length > 0 &&
          <div class="scroll" tabIndex={0} role="region" aria-label="Streams, a table">
            <table class="fits">
              <thead><tr><th scope="col">Stream</th><th scope="col" class="seldom">Category</th>{several && <th scope="col">Tenant</th>}<th scope="col" class="right">Version</th><th scope="col" class="right seldom">Last position</th></tr></thead>
              <tbody>
                {streams.map((stream) => (
                  <tr key={`${whose(stream)} ${stream.stream}`}>
                    <td><a href={to('streams', stream.stream, {tenant: whose(stream)})}>{stream.stream}</a></td>
                    <td class="faint seldom">{stream.category}</td>
                    {several && <td class="faint">{whose(stream)}</td>}
                    <td class="right numeric">{count_text(stream.version)}</td>
                    <td class="right numeric faint seldom">{count_text(stream.lastPosition)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>}
        {!busy && !error && streams.length === 0 &&
          <Empty title={prefix || category || tenant ? 'No stream of that name' : 'No streams yet'}>
            <p>An event that names a <code>stream</code> begins one.</p>
            <p><a class="button" href={to('publish', {stream: 'order-1', type: 'order.created'})}>Publish into a stream</a></p>
          </Empty>}
        {next && <p class="more"><button onClick={older}>Show more</button></p>}
      </section>
    </>
  );
}

const is_object = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

// laid lays over on under, members of objects one by one, in a new value.
function laid(under, over) {
  if (!is_object(under) || !is_object(over)) return over ?? under;
  const all = {...under};
  for (const [name, value] of Object.entries(over)) all[name] = name in under ? laid(under[name], value) : value;
  return all;
}

function state_at(stream, version) {
  const {events, snapshot} = stream;
  const begins = snapshot && snapshot.streamVersion <= version ? snapshot : null;
  const from = begins?.streamVersion ?? 0;
  return events.filter((event) => event.streamVersion > from && event.streamVersion <= version)
    .reduce((state, event) => laid(state, event.data), begins?.data ?? {});
}

async function load_stream(name, tenantId, signal) {
  const path = path_of('api', 'streams', name);
  const last = (await get(path, {direction: 'backward', limit: 1, tenantId}, signal)).data[0];
  const from = Math.max(1, last.streamVersion - events_max + 1);
  const events = [];
  let at = from;
  while (at <= last.streamVersion) {
    const {data} = await get(path, {fromVersion: at, limit: page, tenantId}, signal);
    if (!data.length) break;
    events.push(...data);
    at = data.at(-1).streamVersion + 1;
  }
  const [snapshot, metadata] = await Promise.all(['snapshot', 'metadata'].map((part) =>
    get(`${path}/${part}`, {tenantId}, signal).then((reply) => reply.data, () => null)));
  return {name, tenantId, events, snapshot, metadata, version: last.streamVersion};
}

// Changed shows the state, member by member, marking those that the event at this version set.
function Changed({now, before}) {
  if (!is_object(now) || Object.keys(now).length === 0) return <Json value={now} label="State" />;
  return (
    <dl class="state-table">
      {Object.entries(now).map(([name, value]) => {
        const was = is_object(before) ? before[name] : undefined;
        const changed = !same(was, value);
        return (
          <div key={name} class={changed ? 'changed' : ''}>
            <dt>{name}</dt>
            <dd>
              <code>{typeof value === 'string' ? value : JSON.stringify(value)}</code>
              {changed && <span class="was">{was === undefined ? 'new' : <>was <code>{typeof was === 'string' ? was : JSON.stringify(was)}</code></>}</span>}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

function TimeTravel({stream, version, set_version}) {
  const [at, set_at] = useState('');
  const [problem, set_problem] = useState(null);
  const first = stream.events[0]?.streamVersion ?? 1;
  const event = stream.events.find((one) => one.streamVersion === version);
  const jump = async (e) => {
    e.preventDefault();
    set_problem(null);
    const as_of = instant_of(at);
    if (!as_of) return set_problem('Give a day and a time.');
    try {
      const {data} = await get(path_of('api', 'streams', stream.name), {asOf: as_of, direction: 'backward', limit: 1, tenantId: stream.tenantId});
      if (!data.length) return set_problem('It had no events yet at that time.');
      return set_version(data[0].streamVersion, at);
    } catch (error) {
      return set_problem(error.status === 404 ? 'It had no events yet at that time.' : error.message);
    }
  };
  return (
    <div class="travel">
      <div class="travel-slide">
        <button type="button" aria-label="One version earlier" disabled={version <= first} onClick={() => set_version(version - 1)}>◀</button>
        <Field label="Version">
          {(id) => <input id={id} type="range" min={first} max={stream.version} value={version}
                          aria-valuetext={`version ${version} of ${stream.version}`}
                          onInput={(e) => set_version(Number(e.currentTarget.value))} />}
        </Field>
        <button type="button" aria-label="One version later" disabled={version >= stream.version} onClick={() => set_version(version + 1)}>▶</button>
      </div>
      <form class="travel-time" onSubmit={jump}>
        <Input label="As it was at" type="datetime-local" step="1" value={at} set={set_at} error={problem} />
        <button type="submit">Go there</button>
        <button type="button" class="plain" onClick={() => set_at(local_of(new Date()))}>now</button>
      </form>
      <p class="travel-now" role="status">
        <b>Version {count_text(version)}</b> of {count_text(stream.version)}
        {event && <>, since {time_text(event.recordedAt, true)} by <Type name={event.type} /></>}
      </p>
    </div>
  );
}

function Metadata({stream, again}) {
  const given = stream.metadata ?? {};
  const text = (value) => (value === null || value === undefined ? '' : String(value));
  const [form, set_form] = useState({maxCount: text(given.maxCount), maxAge: text(given.maxAge), truncateBefore: text(given.truncateBefore)});
  const set = (name) => (value) => set_form({...form, [name]: value});
  const save = async (e) => {
    e.preventDefault();
    const body = Object.fromEntries(Object.entries(form).filter(([, value]) => value !== '').map(([name, value]) => [name, Number(value)]));
    const hides = Object.keys(body).length > 0;
    if (hides && !await confirm({title: 'Hide older events?', action: 'Save', danger: true,
      text: 'Events outside these limits are hidden from every read at once, also from subscriptions that have not read them.'})) return;
    if (await attempt('What is kept is changed.', () => call('PUT', path_of('api', 'streams', stream.name, 'metadata'), {body, query: {tenantId: stream.tenantId}}))) again();
  };
  return (
    <form class="grid" onSubmit={save}>
      <Input label="Newest events kept" hint="a number; nothing: all" inputmode="numeric" pattern="[0-9]*" value={form.maxCount} set={set('maxCount')} />
      <Input label="Kept for" hint="seconds; nothing: for ever" inputmode="numeric" pattern="[0-9]*" value={form.maxAge} set={set('maxAge')} />
      <Input label="Hidden before version" inputmode="numeric" pattern="[0-9]*" value={form.truncateBefore} set={set('truncateBefore')} />
      <div class="actions"><button type="submit">Save</button></div>
    </form>
  );
}

// Snapshot: the one that is kept, and keeping one of the version that is looked at.
function Snapshot({stream, version, now, again}) {
  const kept = stream.snapshot;
  const [text, set_text] = useState(null); // null: nobody edits
  const [form, set_form] = useState(String(kept?.schemaVersion ?? 1));
  const parsed = parse_json(text ?? 'null');
  const save = async (e) => {
    e.preventDefault();
    const body = {streamVersion: version, schemaVersion: Number(form), data: parsed.value};
    if (!parsed.problem && await attempt(`A snapshot of version ${version} is kept.`, () => call('PUT', path_of('api', 'streams', stream.name, 'snapshot'), {body, query: {tenantId: stream.tenantId}}))) {
      set_text(null);
      again();
    }
  };
  return (
    <>
      <p>{kept
        ? <>Version {count_text(kept.streamVersion)} is kept, since <Time at={kept.recordedAt} />, in form {kept.schemaVersion}. Who reads it folds only what came later.</>
        : <span class="faint">None is kept: who wants the state folds every event.</span>}</p>
      {kept && <details><summary>What it says</summary><Json value={kept.data} label="The snapshot" /></details>}
      {text === null
        ? <div class="actions"><button onClick={() => set_text(JSON.stringify(now, null, 2))}>Keep one of version {count_text(version)}</button></div>
        : <form onSubmit={save}>
            <Area label={`The state at version ${version}`} value={text} set={set_text} rows={8} error={parsed.problem}
                  hint="Programs that keep snapshots believe it: give what they would have made." />
            <Input label="Form" inputmode="numeric" pattern="[1-9][0-9]*" required value={form} set={set_form} hint="the version of what it is made of, which readers ask for" />
            <div class="actions end"><button type="button" onClick={() => set_text(null)}>Cancel</button>
              <button type="submit" class="main" disabled={Boolean(parsed.problem)}>Keep it</button></div>
          </form>}
    </>
  );
}

const ways_to_end = [
  ['', 'hide it', 'Its events are hidden from every read. Who writes to it again begins at the next version.'],
  ['tombstone', 'hide it, and let nobody write to it again', 'Its events are hidden from every read, and its name is closed for ever.'],
  ['erase', 'hide it, and take its events from the disk', 'Its events are hidden at once, and soon gone from the disk. Backups keep what they have.'],
];

function Delete({stream, close}) {
  const {name, version} = stream;
  const [way, set_way] = useState('');
  const [word, set_word] = useState('');
  const query = {expectedVersion: version, tenantId: stream.tenantId, ...(way ? {[way]: true} : {})};
  const remove = async (e) => {
    e.preventDefault();
    if (await attempt(`${name} is deleted.`, () => call('DELETE', path_of('api', 'streams', name), {query}))) go(to('streams'));
    else close();
  };
  return (
    <Dialog title={`Delete ${name}?`} close={close}>
      <form onSubmit={remove}>
        <fieldset>
          <legend>How</legend>
          {ways_to_end.map(([value, text]) => (
            <div key={value} class="radio"><label><input type="radio" name="way" checked={way === value} onChange={() => set_way(value)} /> {text}</label></div>
          ))}
        </fieldset>
        <p class="warning">{ways_to_end.find(([value]) => value === way)[2]} It is refused if the stream has moved since it was read.</p>
        <Input label={`Type ${name} to confirm`} value={word} set={set_word} />
        <div class="actions end"><button type="button" onClick={close}>Cancel</button>
          <button type="submit" class="danger" disabled={word !== name}>Delete</button></div>
      </form>
    </Dialog>
  );
}

// Missing: a stream without events, which may have been deleted, and may have been told what to keep.
function Missing({name, tenantId}) {
  const {data, again} = useLoad((signal) => get(path_of('api', 'streams', name, 'metadata'), {tenantId}, signal), [name, tenantId]);
  const {deleted, tombstoned} = data?.data ?? {};
  return (
    <>
      <Empty title={tombstoned ? 'Closed for ever' : deleted ? 'Deleted' : 'No such stream'}>
        <p>{tombstoned ? 'It was deleted, and nobody can write to it again.' : deleted ? 'Its events are hidden. Who writes to it again begins at the next version.'
          : 'It has no events, or they belong to another tenant.'} <a href={to('streams')}>All streams</a></p>
        {!tombstoned && <p><a class="button" href={to('publish', {stream: name, tenant: tenantId})}>Append an event</a></p>}
      </Empty>
      {data && !tombstoned && <Panel title="What is kept"><Metadata key={JSON.stringify(data)} stream={{name, tenantId, metadata: data.data}} again={again} /></Panel>}
    </>
  );
}

export function StreamView({parts}) {
  const name = parts[0];
  const {query} = route.value;
  const tenant = query.get('tenant');
  const {data: stream, error, again} = useLoad((signal) => load_stream(name, tenant, signal), [name, tenant]);
  const asked = Number(query.get('version'));
  const version = stream && Math.min(stream.version, asked >= 1 ? asked : stream.version);
  const set_version = (to_version, at) => replace(to('streams', name, {version: to_version, at, tenant}));
  const event = stream?.events.find((one) => one.streamVersion === version);
  const [shown, set_shown] = useState('members');
  useEffect(() => {
    const one = document.querySelector('.versions [aria-current]'); // the list is moved, not the page
    const list = one?.closest('.versions');
    if (list) list.scrollTop += Math.min(0, one.getBoundingClientRect().top - list.getBoundingClientRect().top) + Math.max(0, one.getBoundingClientRect().bottom - list.getBoundingClientRect().bottom);
  }, [version]);
  const [deleting, set_deleting] = useState(false);
  if (error && !stream) {
    return (
      <>
        <Head title={name} />
        {error.status === 404 ? <Missing name={name} tenantId={tenant} /> : <Problem error={error} />}
      </>
    );
  }
  const first = stream?.events[0]?.streamVersion ?? 1;
  const before = stream && version > first ? state_at(stream, version - 1) : undefined;
  const now = stream && state_at(stream, version);
  return (
    <>
      <Head title={name} about={stream ? `${tenant ? `tenant ${tenant}, ` : ''}${plural(stream.version, 'version')}, the last ${time_text(stream.events.at(-1)?.recordedAt, true)}` : 'Reading…'}>
        <button onClick={again}>Read again</button>
        <a class="button" href={to('publish', {stream: name, tenant})}>Append an event</a>
        <button onClick={() => copy(curl_of(path_of('api', 'streams', name) + query_of({toVersion: version, tenantId: tenant})), 'The curl command')} disabled={!stream}>Copy as curl</button>
        <button class="danger" onClick={() => set_deleting(true)} disabled={!stream}>Delete</button>
      </Head>
      {stream &&
        <>
          <Panel><TimeTravel key={name} stream={stream} version={version} set_version={set_version} /></Panel>
          <div class="columns">
            <Panel title="Events" flush>
              <ol class="versions">
                {stream.events.slice().reverse().map((one) => (
                  <li key={one.id}>
                    <button type="button" class={one.streamVersion > version ? 'later' : ''} aria-current={one.streamVersion === version ? 'true' : undefined}
                            onClick={() => set_version(one.streamVersion)}>
                      <span class="numeric">v{one.streamVersion}</span><Type name={one.type} /><span class="faint one-line">{preview_of(one.data, 80)}</span><span class="faint"><Time at={one.recordedAt} /></span>
                    </button>
                  </li>
                ))}
              </ol>
            </Panel>
            <Panel title={`State at version ${count_text(version)}`} side={
              <Switch label="Show the state as" options={[['members', 'Members'], ['json', 'JSON']]} value={shown} set={set_shown} />}>
              {shown === 'json' ? <Json value={now} label="State" /> : <Changed now={now} before={before} />}
              <p class="hint">
                Each event’s data laid over that before it{stream.snapshot && stream.snapshot.streamVersion <= version ? `, from the snapshot of version ${stream.snapshot.streamVersion}` : ''}.
                What your program makes of the events may differ.
                {first > 1 && ` Events before version ${first} are not here, so this is not all of it.`}
              </p>
            </Panel>
          </div>
          {event && <Panel title={`The event of version ${count_text(version)}`}><EventDetail event={event} /></Panel>}
          <Panel title="Snapshot"><Snapshot key={version} stream={stream} version={version} now={now} again={again} /></Panel>
          <Panel title="What is kept">
            {stream.metadata ? <Metadata key={JSON.stringify(stream.metadata)} stream={stream} again={again} /> : <p class="faint">This server does not say what is kept of a stream.</p>}
          </Panel>
          {deleting && <Delete stream={stream} close={() => set_deleting(false)} />}
        </>}
    </>
  );
}
