// SPDX-License-Identifier: Apache-2.0
// Every consumer: how far it is, and what can be done to it. What moves or ends one asks first.
import {useEffect, useState} from 'preact/hooks';
import {call, get, path_of} from './api.js';
import {AsidesOf} from './letters.jsx';
import {Take} from './take.jsx';
import {go, route, to} from './route.js';
import {attempt, Check, Choice, confirm, Dialog, Empty, Head, Input, Panel, Problem, State, Time, TypeInput, useLoad} from './ui.jsx';
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
                <table class="carded">
                  <thead><tr><th scope="col">Name</th><th scope="col">State</th><th scope="col" class="right">Lag</th><th scope="col" class="right">In flight</th><th scope="col" class="right">Set aside</th><th scope="col">Takes</th><th scope="col">Last error</th></tr></thead>
                  <tbody>
                    {shown.map((one, at) => (
                      <tr key={one.name ?? at}>
                        <td><span class="named">{one.name ? <a href={to('subscriptions', one.name)}>{one.name}</a> : name_of(one)} <span class="chip">{one.kind}</span></span></td>
                        <td><State of={one.state} /></td>
                        <td class="right numeric" data-label="Lag"><span class="lag"><i style={{inlineSize: `${(number(one.lag) / most) * 100}%`}} />{count_text(one.lag)}</span></td>
                        <td class="right numeric" data-label="In flight">{count_text(one.inFlight)}</td>
                        <td class="right numeric" data-label="Set aside">{number(one.parked) + number(one.dead) > 0
                          ? <a href={to('dead-letters', {subscription: one.name})}>{count_text(number(one.parked) + number(one.dead))}</a> : <span class="faint">0</span>}</td>
                        <td class="clip" data-label="Takes" title={filter_text(one.filter)}>{filter_text(one.filter)}</td>
                        <td class="clip" data-label="Last error">{one.lastError ? <span title={one.lastError.message}>{one.lastError.message} <span class="faint"><Time at={one.lastError.at} ago /></span></span> : <span class="faint">none</span>}</td>
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

const words_of = (text) => text.split(/[\s,]+/).filter(Boolean);
const group_first = {
  name: '', types: '', streams: '', categories: '', correlation: '', tenant: '', from: 'start', position: '', order: 'stream', key: '',
  attempts: '5', first: '200', factor: '2', most: '300000', exhausted: 'park_key', timeout: '30', flight: '256',
};

// definition_of gives what POST /api/subscriptions takes.
function definition_of(form) {
  const filter = Object.fromEntries(Object.entries({
    types: words_of(form.types), streams: words_of(form.streams), categories: words_of(form.categories),
    tenantId: form.tenant.trim(), correlationId: form.correlation.trim(),
  }).filter(([, value]) => value.length));
  return {
    name: form.name.trim(), from: form.from === 'position' ? Number(form.position) : form.from, order: form.order,
    ...(form.order === 'key' ? {key: form.key.trim()} : {}), ackTimeoutMs: Math.round(Number(form.timeout) * 1000), onExhausted: form.exhausted,
    inFlightMax: Number(form.flight),
    retry: {attemptsMax: Number(form.attempts), firstMs: Number(form.first), factor: Number(form.factor), maxMs: Number(form.most)},
    ...(Object.keys(filter).length ? {filter} : {}),
  };
}

function NewGroup({close}) {
  const [form, set_form] = useState(group_first);
  const [error, set_error] = useState(null);
  const set = (name) => (value) => set_form({...form, [name]: value});
  const line = (name, label, hint, more) => <Input label={label} hint={hint} value={form[name]} set={set(name)} {...more} />;
  const digits = {inputmode: 'numeric', pattern: '[0-9]+', required: true};
  const choice = (label, name, options, hint) => <Choice label={label} hint={hint} value={form[name]} set={set(name)} options={options} />;
  const make = async (e) => {
    e.preventDefault();
    try {
      await call('POST', '/api/subscriptions', {body: definition_of(form)});
      close();
      go(to('subscriptions', form.name.trim()));
    } catch (caught) {
      set_error(caught);
    }
  };
  return (
    <Dialog title="New pull group" close={close} wide>
      <form class="grid" onSubmit={make}>
        {line('name', 'Name', null, {required: true, maxLength: 128, placeholder: 'mailer', autofocus: true})}
        <TypeInput label="Types" hint="several with commas; nothing: everything" value={form.types} set={set('types')} placeholder="order.*" />
        {choice('Begins', 'from', [['start', 'with the first event stored'], ['end', 'with what comes from now on'], ['position', 'behind a position']])}
        {form.from === 'position' && line('position', 'Position', null, digits)}
        {choice('Order', 'order', [['stream', 'in order within each stream'], ['key', 'in order within each key'], ['none', 'none: as fast as it goes']])}
        {form.order === 'key' && line('key', 'Key', 'where it stands in the data', {required: true, placeholder: '/customer/id'})}
        {line('attempts', 'Attempts', 'the first included; 0: no end', digits)}
        {choice('After the last attempt', 'exhausted', [['park_key', 'park its key'], ['dead_letter', 'set it aside'], ['halt', 'stand still']],
          {park_key: form.order === 'none' ? 'parking needs an order' : 'what follows it waits, other keys go on', dead_letter: 'and go on behind it', halt: 'until it is resumed'}[form.exhausted])}
        <details class="wide">
          <summary>More: which events, how fast, how patient</summary>
          <div class="grid">
            {line('streams', 'Streams', 'several with commas', {placeholder: 'order-1'})}
            {line('categories', 'Categories', 'of streams: what stands before the -', {placeholder: 'order'})}
            {line('correlation', 'Correlation id')}
            {line('tenant', 'Tenant', 'nothing: all that your key may see')}
            {line('timeout', 'Seconds to acknowledge', 'then it comes again', {inputmode: 'decimal', required: true})}
            {line('flight', 'In flight at most', 'taken, and not yet ended', digits)}
            {line('first', 'First wait, ms', 'before the second attempt', digits)}
            {line('factor', 'Each wait, times', null, {inputmode: 'decimal', required: true})}
            {line('most', 'Longest wait, ms', null, digits)}
          </div>
        </details>
        {error && <div class="wide"><Problem error={error} /></div>}
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
        <Chart title="Lag" points={points} format={short_text} least={1} lines={[{name: 'lag', label: 'events behind'}]} />
        <Chart title="Rate" points={points} format={(n) => `${short_text(n)}/s`} least={1} lines={[{name: 'rate', label: 'acknowledged'}]} />
      </div>
      <AsidesOf subscription={name} again={again} />
      {one.kind === 'pull' && <Take name={name} again={again} />}
      {replaying && <Replay one={one} close={() => set_replaying(false)} done={() => { set_replaying(false); set_from_lag(0); again(); }} />}
    </>
  );
}
