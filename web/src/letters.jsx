// SPDX-License-Identifier: Apache-2.0
// What subscriptions set aside: dead letters (one event each, the rest went on) and parked keys (later
// events of the key wait behind the head, in order). Look at each, put it right, let it go.
import {useState} from 'preact/hooks';
import {call, get, path_of} from './api.js';
import {EventDetail} from './event.jsx';
import {go, route, to} from './route.js';
import {Area, attempt, confirm, Dialog, Empty, Field, Head, Panel, Problem, Time, Type, useLoad} from './ui.jsx';
import {parse_json, plural} from './text.js';

const limit_first = 100;
const limit_max = 1000; // of one reply
const every_ms = 1500;

const id_of = (letter) => letter.id;
const error_text = (one) => one.lastError ?? '';
const parked_path = (subscription, key, what) => path_of('api', 'subscriptions', subscription, 'parked', key, what);
const of_tenant = (one) => ({tenantId: one.event?.tenantId}); // two tenants may have a key of the same name
const letter_path = (letter, what) => path_of('api', 'dead-letters', String(id_of(letter)), what);

// Letter shows one that was set aside, with what can be done to it.
function Letter({title, one, close, children}) {
  return (
    <Dialog title={title} close={close} wide>
      <p class="problem">After {plural(one.attempts ?? 1, 'attempt')}{one.lastFailedAt ? <>, <Time at={one.lastFailedAt} ago /></> : ''}: {error_text(one) || 'no reason was given'}</p>
      <div class="actions wrap">{children}</div>
      {one.event ? <EventDetail event={one.event} /> : <p class="faint">The event is not known any more.</p>}
    </Dialog>
  );
}

function Edit({subscription, one, close, done}) {
  const [text, set_text] = useState(JSON.stringify(one.data ?? one.event?.data ?? null, null, 2));
  const parsed = parse_json(text);
  const save = async (e) => {
    e.preventDefault();
    if (parsed.problem) return;
    if (await attempt(`Edited; ${one.key} goes on.`, () => call('POST', parked_path(subscription, one.key, 'edit'), {body: {data: parsed.value}, query: of_tenant(one)}))) done();
  };
  return (
    <Dialog title={`Edit for ${subscription}`} close={close} wide>
      <form onSubmit={save}>
        <p>This subscription is given this data in place of the event’s. The event in the log stays as it is.</p>
        <Area label="Data" value={text} set={set_text} rows={12} error={parsed.problem} />
        <div class="actions end"><button type="button" onClick={close}>Cancel</button>
          <button type="submit" class="main" disabled={Boolean(parsed.problem)}>Save and release</button></div>
      </form>
    </Dialog>
  );
}

function Parked({subscription, list, again}) {
  const [open, set_open] = useState(null);
  const [editing, set_editing] = useState(null);
  const end = () => { set_open(null); set_editing(null); again(); };
  const release = async (one) => { if (await attempt(`${one.key} is released.`, () => call('POST', parked_path(subscription, one.key, 'release'), {body: {}, query: of_tenant(one)}))) end(); };
  const skip = async (one) => {
    const sure = await confirm({title: `Skip the head of ${one.key}?`, danger: true, action: 'Skip',
      text: `${subscription} is never given this event; the ${plural(one.waiting ?? 0, 'event')} behind it go on. It is recorded who did so.`});
    if (sure && await attempt(`The head of ${one.key} is skipped.`, () => call('POST', parked_path(subscription, one.key, 'skip'), {body: {}, query: of_tenant(one)}))) end();
  };
  const actions = (one) => (
    <>
      <button class="main" onClick={() => release(one)}>Release</button>
      <button onClick={() => set_editing(one)}>Edit</button>
      <button class="danger" onClick={() => skip(one)}>Skip</button>
    </>
  );
  return (
    <>
      <ul class="cards">
        {list.map((one) => (
          <li key={`${one.event?.tenantId} ${one.key}`} class="card">
            <div class="card-what">
              <p><button class="link" onClick={() => set_open(one)}>{one.key}</button> {one.event && <Type name={one.event.type} />}{one.event?.tenantId && <span class="chip">tenant {one.event.tenantId}</span>}</p>
              <p class="card-error">{error_text(one)}</p>
              <p class="faint">{plural(one.attempts ?? 1, 'attempt')} · {plural(one.waiting ?? 0, 'event')} behind it · <Time at={one.lastFailedAt} ago /></p>
            </div>
            <div class="actions">{one.releasing ? <span class="state warn">is delivered again</span> : actions(one)}</div>
          </li>
        ))}
      </ul>
      {open && !editing && <Letter title={`Parked: ${open.key}`} one={open} close={() => set_open(null)}>{actions(open)}</Letter>}
      {editing && <Edit subscription={subscription} one={editing} close={() => set_editing(null)} done={end} />}
    </>
  );
}

function Dead({list, again, subscription}) {
  const [chosen, set_chosen] = useState(new Set());
  const [open, set_open] = useState(null);
  const present = list.filter((one) => chosen.has(id_of(one)));
  const end = () => { set_open(null); set_chosen(new Set()); again(); };
  const each = async (some, what, done) => {
    if (await attempt(done, async () => { for (const one of some) await call('POST', letter_path(one, what), {body: {}}); })) end();
    else again();
  };
  const retry = (some) => each(some, 'retry', `${plural(some.length, 'dead letter')} delivered again.`);
  const discard = async (some) => {
    const sure = await confirm({title: `Discard ${plural(some.length, 'dead letter')}?`, danger: true, action: 'Discard',
      text: 'The subscription is never given them. The events stay in the log.'});
    if (sure) await each(some, 'discard', `${plural(some.length, 'dead letter')} discarded.`);
  };
  const retry_all = async () => {
    const sure = await confirm({title: 'Deliver all again?', action: 'Retry all', text: subscription ? `Every dead letter of ${subscription}.` : 'Every dead letter of every subscription.'});
    if (sure && await attempt('All are delivered again.', () => call('POST', '/api/dead-letters/retry', {body: subscription ? {subscription} : {}}))) end();
  };
  const toggle = (one) => {
    const next = new Set(chosen);
    if (!next.delete(id_of(one))) next.add(id_of(one));
    set_chosen(next);
  };
  const actions = (one) => (
    <>
      <button class="main" onClick={() => retry([one])}>Retry</button>
      <button class="danger" onClick={() => discard([one])}>Discard</button>
    </>
  );
  return (
    <>
      <div class="bar">
        <label class="check"><input type="checkbox" checked={present.length === list.length} onChange={() => set_chosen(present.length === list.length ? new Set() : new Set(list.map(id_of)))} />All shown</label>
        <button disabled={!present.length} onClick={() => retry(present)}>Retry chosen ({present.length})</button>
        <button disabled={!present.length} class="danger" onClick={() => discard(present)}>Discard chosen</button>
        <button class="plain" onClick={retry_all}>Retry all there are</button>
      </div>
      <ul class="cards">
        {list.map((one) => (
          <li key={id_of(one)} class="card">
            <input type="checkbox" aria-label={`Choose ${one.event?.type ?? one.type ?? id_of(one)}`} checked={chosen.has(id_of(one))} onChange={() => toggle(one)} />
            <div class="card-what">
              <p><button class="link" onClick={() => set_open(one)}>{one.event?.type ?? one.type ?? id_of(one)}</button> <span class="faint">{one.event?.stream ?? one.stream}</span></p>
              <p class="card-error">{error_text(one)}</p>
              <p class="faint"><a href={to('subscriptions', one.subscription)}>{one.subscription}</a> · {plural(one.attempts ?? 1, 'attempt')} · <Time at={one.lastFailedAt} ago /></p>
            </div>
            <div class="actions">{one.releasing ? <span class="state warn">is delivered again</span> : actions(one)}</div>
          </li>
        ))}
      </ul>
      {open &&
        <Letter title={`Dead letter of ${open.subscription}`} one={open} close={() => set_open(null)}>
          {actions(open)}
          {open.event && <a class="button" href={to('publish', {like: open.event.id})}>Publish a corrected copy</a>}
        </Letter>}
    </>
  );
}

// More: there are more than are shown.
function More({reply, limit, set_limit}) {
  if (!reply?.pagination?.nextCursor) return null;
  return limit < limit_max
    ? <p class="more"><button onClick={() => set_limit(limit_max)}>Show more</button></p>
    : <p class="found">The first {limit_max} are shown; those behind them follow as these are ended.</p>;
}

// AsidesOf: both kinds, of one subscription.
export function AsidesOf({subscription, again}) {
  const [limit, set_limit] = useState(limit_first);
  const parked = useLoad((signal) => get(path_of('api', 'subscriptions', subscription, 'parked'), {limit}, signal), [subscription, limit], every_ms);
  const dead = useLoad((signal) => get('/api/dead-letters', {subscription, limit}, signal), [subscription, limit], every_ms);
  const both = () => { parked.again(); dead.again(); again?.(); };
  return (
    <>
      <Panel title="Parked keys" flush>
        <Problem error={parked.error} what="parked keys" />
        {parked.data?.data.length ? <Parked subscription={subscription} list={parked.data.data} again={both} /> : parked.data && <p class="calm">None. A key is parked when its event failed for good; what follows it waits in order.</p>}
        <More reply={parked.data} limit={limit} set_limit={set_limit} />
      </Panel>
      <Panel title="Dead letters" flush>
        <Problem error={dead.error} what="dead letters" />
        {dead.data?.data.length ? <Dead subscription={subscription} list={dead.data.data} again={both} /> : dead.data && <p class="calm">None. An event that failed for good is set aside here while the rest goes on.</p>}
        <More reply={dead.data} limit={limit} set_limit={set_limit} />
      </Panel>
    </>
  );
}

export function LettersView() {
  const subscription = route.value.query.get('subscription') ?? '';
  const subs = useLoad((signal) => get('/api/subscriptions', {}, signal), [], every_ms);
  const named = (subs.data?.data ?? []).filter((one) => one.name);
  const [limit, set_limit] = useState(limit_first);
  const dead = useLoad((signal) => get('/api/dead-letters', {limit}, signal), [limit], every_ms);
  const with_parked = named.filter((one) => one.parked > 0);
  const choose = (e) => go(to('dead-letters', {subscription: e.currentTarget.value}));
  return (
    <>
      <Head title="Dead letters" about="Events that failed for good, and the keys that wait behind one.">
        <Field label="Subscription">
          {(id) => <select id={id} value={subscription} onChange={choose}>
            <option value="">all</option>
            {named.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}
          </select>}
        </Field>
      </Head>
      {subscription ? <AsidesOf key={subscription} subscription={subscription} again={subs.again} /> :
        <>
          {with_parked.map((one) => <ParkedOf key={one.name} name={one.name} again={subs.again} />)}
          <Panel title="Dead letters" flush>
            <Problem error={dead.error} what="dead letters" />
            {dead.data?.data.length ? <Dead list={dead.data.data} again={dead.again} /> :
              dead.data && <Empty title="Nothing is set aside"><p>Deliveries that fail for good come here with their error, to be tried again or let go.</p></Empty>}
            <More reply={dead.data} limit={limit} set_limit={set_limit} />
          </Panel>
          {with_parked.length === 0 && subs.data && <p class="calm">No keys are parked.</p>}
        </>}
    </>
  );
}

function ParkedOf({name, again}) {
  const parked = useLoad((signal) => get(path_of('api', 'subscriptions', name, 'parked'), {}, signal), [name], every_ms);
  return (
    <Panel title={`Parked keys of ${name}`} flush>
      <Problem error={parked.error} what="parked keys" />
      {parked.data && <Parked subscription={name} list={parked.data.data} again={() => { parked.again(); again(); }} />}
    </Panel>
  );
}
