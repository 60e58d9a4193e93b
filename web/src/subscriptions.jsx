// SPDX-License-Identifier: Apache-2.0
// Every consumer: how far it is, and what can be done to it. What moves or ends one asks first.
import {useEffect, useState} from 'preact/hooks';
import {call, get, path_of} from './api.js';
import {AsidesOf} from './letters.jsx';
import {go, route, to} from './route.js';
import {attempt, Check, confirm, Dialog, Empty, Field, Head, Input, Panel, Problem, State, Time, TypeInput, useLoad} from './ui.jsx';
import {Chart} from './chart.jsx';
import {count_text, instant_of, plural, short_text} from './text.js';

const every_ms = 2000;
const points_max = 150;

const filter_text = (filter) => {
  const parts = [...(filter?.types ?? []), ...(filter?.streams ?? []), ...(filter?.categories ?? []).map((one) => `${one}-…`)];
  return parts.length ? parts.join(', ') : 'everything';
};
const name_of = (one) => one.name ?? `(${one.kind})`;
const path = (name, ...more) => path_of('api', 'subscriptions', name, ...more);
const number = (value) => (value ?? 0);

export function SubscriptionsView() {
  const [making, set_making] = useState(false);
  const [live, set_live] = useState(false);
  const {data, error, again} = useLoad((signal) => get('/api/subscriptions', {}, signal), [], every_ms);
  const all = data?.data ?? [];
  const durable = all.filter((one) => one.durable !== false);
  const shown = live ? all : durable;
  const most = Math.max(1, ...shown.map((one) => number(one.lag)));
  return (
    <>
      <Head title="Subscriptions" about="Who reads the log, how far they are, and what waits.">
        <button class="main" onClick={() => set_making(true)}>New pull group</button>
      </Head>
      <Problem error={error} what="a list of subscriptions" />
      {data &&
        <section class="panel flush" aria-label="Subscriptions">
          <div class="bar">
            <Check label={`Live readers too (${all.length - durable.length})`} value={live} set={set_live} />
          </div>
          {shown.length > 0
            ? <div class="scroll" tabIndex={0} role="region" aria-label="Subscriptions, a table">
                <table>
                  <thead><tr><th scope="col">Name</th><th scope="col">State</th><th scope="col" class="right">Lag</th><th scope="col" class="right">In flight</th><th scope="col" class="right">Set aside</th><th scope="col">Takes</th><th scope="col">Last error</th></tr></thead>
                  <tbody>
                    {shown.map((one, at) => (
                      <tr key={one.name ?? at}>
                        <td>{one.name ? <a href={to('subscriptions', one.name)}>{one.name}</a> : name_of(one)} <span class="chip">{one.kind}</span></td>
                        <td><State of={one.state} /></td>
                        <td class="right numeric"><span class="lag"><i style={{inlineSize: `${(number(one.lag) / most) * 100}%`}} />{count_text(one.lag)}</span></td>
                        <td class="right numeric">{count_text(one.inFlight)}</td>
                        <td class="right numeric">{number(one.parked) + number(one.dead) > 0
                          ? <a href={to('dead-letters', {subscription: one.name})}>{count_text(number(one.parked) + number(one.dead))}</a> : <span class="faint">0</span>}</td>
                        <td class="clip" title={filter_text(one.filter)}>{filter_text(one.filter)}</td>
                        <td class="clip">{one.lastError ? <span title={one.lastError.message}>{one.lastError.message} <span class="faint"><Time at={one.lastError.at} ago /></span></span> : <span class="faint">none</span>}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            : <Empty title="Nobody reads yet">
                <p>A pull group lets programs in any language take events over HTTP, each once, in order.</p>
                <p><button onClick={() => set_making(true)}>Make a pull group</button></p>
              </Empty>}
        </section>}
      {making && <NewGroup close={() => { set_making(false); again(); }} />}
    </>
  );
}

function NewGroup({close}) {
  const [form, set_form] = useState({name: '', types: '', from: 'start', order: 'stream', attempts: '5', exhausted: 'park_key', timeout: '30'});
  const [error, set_error] = useState(null);
  const set = (name) => (value) => set_form({...form, [name]: value});
  const make = async (e) => {
    e.preventDefault();
    const types = form.types.split(/[\s,]+/).filter(Boolean);
    const body = {
      name: form.name.trim(), from: form.from, order: form.order, ackTimeoutMs: Math.round(Number(form.timeout) * 1000),
      onExhausted: form.exhausted, retry: {attemptsMax: Number(form.attempts)}, ...(types.length ? {filter: {types}} : {}),
    };
    try {
      await call('POST', '/api/subscriptions', {body});
      close();
      go(to('subscriptions', body.name));
    } catch (caught) {
      set_error(caught);
    }
  };
  const choice = (label, name, options, hint) => (
    <Field label={label} hint={hint}>
      {(id) => <select id={id} value={form[name]} onChange={(e) => set(name)(e.currentTarget.value)}>
        {options.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
      </select>}
    </Field>
  );
  return (
    <Dialog title="New pull group" close={close}>
      <form class="grid" onSubmit={make}>
        <Input label="Name" value={form.name} set={set('name')} required maxLength={128} placeholder="mailer" autofocus />
        <TypeInput label="Types" hint="several with commas; nothing: everything" value={form.types} set={set('types')} placeholder="order.*" />
        {choice('Begins', 'from', [['start', 'with the first event stored'], ['end', 'with what comes from now on']])}
        {choice('Order', 'order', [['stream', 'in order within each stream'], ['none', 'none: as fast as it goes']])}
        <Input label="Attempts" hint="the first included; 0: no end" inputmode="numeric" pattern="[0-9]+" value={form.attempts} set={set('attempts')} />
        {choice('After the last attempt', 'exhausted', [['park_key', 'park its stream, the rest goes on'], ['dead_letter', 'set the event aside'], ['halt', 'stand still']],
          form.exhausted === 'park_key' && form.order === 'none' ? 'parking needs an order' : undefined)}
        <Input label="Seconds to acknowledge" hint="then it comes again" inputmode="decimal" value={form.timeout} set={set('timeout')} />
        <Problem error={error} />
        <div class="actions end wide"><button type="button" onClick={close}>Cancel</button><button type="submit" class="main">Make it</button></div>
      </form>
    </Dialog>
  );
}

function Replay({one, close, done}) {
  const [to_what, set_to_what] = useState('start');
  const [position, set_position] = useState('1');
  const [time, set_time] = useState('');
  const [error, set_error] = useState(null);
  const body = {start: {to: 'start'}, end: {to: 'end'}, position: {position: Number(position)}, time: {time: instant_of(time)}}[to_what];
  const words = {
    start: `Every event it takes comes again, from the first one stored up to ${count_text(one.position)}.`,
    position: `What it takes behind position ${position || '…'} comes again.`,
    time: 'What it takes from that time on comes again.',
    end: `What it has not read yet (${plural(number(one.lag), 'event')}) is passed over.`,
  }[to_what];
  const reset = async (e) => {
    e.preventDefault();
    if (to_what === 'time' && !body.time) return set_error({message: 'Give a day and a time.'});
    try {
      await call('POST', path(one.name, 'reset'), {body});
      done();
    } catch (caught) {
      set_error(caught);
    }
    return undefined;
  };
  const radio = (value, label, more) => (
    <div class="radio"><label><input type="radio" name="to" checked={to_what === value} onChange={() => set_to_what(value)} /> {label}</label>{to_what === value && more}</div>
  );
  return (
    <Dialog title={`Replay ${one.name}`} close={close}>
      <form onSubmit={reset}>
        <fieldset>
          <legend>Deliver again</legend>
          {radio('start', 'from the start')}
          {radio('position', 'from behind a position', <Input label="Position" inputmode="numeric" pattern="[0-9]+" required value={position} set={set_position} />)}
          {radio('time', 'from a time', <Input label="Time" type="datetime-local" step="1" required value={time} set={set_time} />)}
          {radio('end', 'nothing: go to the end')}
        </fieldset>
        <p class="warning">{words} Its handlers see them as any other: what they do, they do again, unless they notice.</p>
        <Problem error={error} what="replay" />
        <div class="actions end"><button type="button" onClick={close}>Cancel</button>
          <button type="submit" class="danger">{to_what === 'end' ? 'Go to the end' : 'Replay'}</button></div>
      </form>
    </Dialog>
  );
}

function useLagPoints(one) {
  const [points, set_points] = useState([]);
  useEffect(() => {
    if (!one) return;
    set_points((list) => {
      const before = list.at(-1);
      const rate = before && one.acked >= before.acked ? ((one.acked - before.acked) * 1000) / Math.max(1, Date.now() - before.at) : null;
      return [...list.slice(1 - points_max), {at: Date.now(), lag: number(one.lag), acked: one.acked, rate}];
    });
  }, [one]);
  return points;
}

export function SubscriptionView({parts}) {
  const name = parts[0];
  const [replaying, set_replaying] = useState(false);
  const [from_lag, set_from_lag] = useState(null);
  const {data, error, again} = useLoad((signal) => get(path(name), {}, signal), [name], 1000);
  const one = data?.data;
  const points = useLagPoints(one);
  useEffect(() => { if (one && from_lag !== null && number(one.lag) > from_lag) set_from_lag(number(one.lag)); }, [one]);
  if (!one) {
    return (
      <>
        <Head title={name} />
        {error?.status === 404 && !error.no_route ? <Empty title="No such subscription"><p><a href={to('subscriptions')}>All subscriptions</a></p></Empty> : <Problem error={error} what="subscriptions" />}
      </>
    );
  }
  const act = (what, done) => async () => { if (await attempt(done, () => call('POST', path(name, what), {body: {}}))) again(); };
  const drain = async () => {
    if (await confirm({title: `Drain ${name}?`, action: 'Drain', text: 'It takes nothing new; when all it holds is done, it ends. Its position is kept.'})) act('drain', `${name} drains.`)();
  };
  const remove = async () => {
    const sure = await confirm({title: `Delete ${name}?`, danger: true, action: 'Delete', word: name,
      text: 'Its position, dead letters and parked keys are forgotten. Events stay in the log.'});
    if (sure && await attempt(`${name} is deleted.`, () => call('DELETE', path(name)))) go(to('subscriptions'));
  };
  const paused = one.state === 'paused' || one.state === 'faulted';
  return (
    <>
      <Head title={name} about={<>{one.kind}, takes {filter_text(one.filter)}</>}>
        {paused
          ? <button class="main" onClick={act('resume', `${name} goes on.`)}>Resume</button>
          : <button onClick={act('pause', `${name} is paused.`)}>Pause</button>}
        <button onClick={() => set_replaying(true)}>Replay</button>
        <button onClick={drain}>Drain</button>
        <button class="danger" onClick={remove}>Delete</button>
      </Head>
      {error && <Problem error={error} />}
      {from_lag !== null &&
        <div class={`catching ${number(one.lag) === 0 ? 'done' : ''}`} role="status">
          <p>{number(one.lag) === 0 ? 'Caught up: nothing waits.' : `Catching up: ${plural(number(one.lag), 'event')} to go.`}</p>
          <progress max={Math.max(1, from_lag)} value={from_lag - number(one.lag)} aria-label="How far the replay is" />
          {number(one.lag) === 0 && <button class="plain" onClick={() => set_from_lag(null)}>Close</button>}
        </div>}
      <Panel>
        <dl class="figures">
          <div><dt>State</dt><dd><State of={one.state} /></dd></div>
          <div><dt>Lag</dt><dd class="numeric">{count_text(one.lag)}</dd></div>
          <div><dt>Position</dt><dd class="numeric">{count_text(one.position)}</dd></div>
          <div><dt>In flight</dt><dd class="numeric">{count_text(one.inFlight)}</dd></div>
          <div><dt>Acknowledged</dt><dd class="numeric">{count_text(one.acked)}</dd></div>
          <div><dt>Tried again</dt><dd class="numeric">{count_text(one.retried)}</dd></div>
          <div><dt>Refused</dt><dd class="numeric">{count_text(one.rejected)}</dd></div>
          {one.rates && <div><dt>In, out each second</dt><dd class="numeric">{one.rates.inPerSecond} · {one.rates.outPerSecond}</dd></div>}
          <div><dt>Timed out</dt><dd class="numeric">{count_text(one.timedOut)}</dd></div>
        </dl>
        {one.lastError && <p class="problem">Last error, <Time at={one.lastError.at} ago />: {one.lastError.message}</p>}
      </Panel>
      <div class="charts" role="group" aria-label="Charts" tabIndex={0}>
        <Chart title="Lag" points={points} format={short_text} lines={[{name: 'lag', label: 'events behind'}]} />
        <Chart title="Rate" points={points} format={(n) => `${short_text(n)}/s`} lines={[{name: 'rate', label: 'acknowledged'}]} />
      </div>
      <AsidesOf subscription={name} again={again} />
      {one.kind === 'pull' &&
        <Panel title="Workers take from it">
          <pre class="json" tabIndex={0} role="region" aria-label="How a worker takes deliveries">{`curl '${location.origin}${path(name, 'deliveries')}?max=10&waitMs=30000'\ncurl -X POST '${location.origin}${path(name, 'ack')}' -H 'Content-Type: application/json' -d '{"deliveries":["…"]}'`}</pre>
        </Panel>}
      {replaying && <Replay one={one} close={() => set_replaying(false)} done={() => { set_replaying(false); set_from_lag(0); again(); }} />}
    </>
  );
}
