// SPDX-License-Identifier: Apache-2.0
// A pull group's work done by hand: deliveries taken, looked at, and each acknowledged or given back.
import {useState} from 'preact/hooks';
import {call, get, path_of} from './api.js';
import {curl_of} from './event.jsx';
import {attempt, confirm, copy, Input, Json, note, Panel, Time, Type} from './ui.jsx';

export function Take({name, again}) {
  const [taken, set_taken] = useState([]);
  const [count, set_count] = useState('1');
  const [reason, set_reason] = useState('');
  const [delay, set_delay] = useState('0');
  const path = (what) => path_of('api', 'subscriptions', name, what);
  const take = async (e) => {
    e.preventDefault();
    const sure = taken.length || await confirm({title: 'Take deliveries?', action: 'Take',
      text: 'You do a worker’s work: what you take no worker is given, until you give it back or its time to acknowledge is over.'});
    if (!sure) return;
    await attempt(null, async () => {
      const {data} = await get(path('deliveries'), {max: count, waitMs: 500});
      if (!data.length) note('Nothing waits to be taken.');
      set_taken([...taken, ...data]);
    });
    again();
  };
  const end = async (one, what, body, done) => {
    await attempt(null, async () => {
      const {data} = await call('POST', path(what), {body: {deliveries: [one.deliveryId], ...body}});
      note(data.accepted ? done : `It is not yours any more (${data.refused[0].code}).`, data.accepted ? 'done' : 'bad');
      set_taken(taken.filter((other) => other !== one));
    });
    again();
  };
  return (
    <Panel title="Take by hand" flush side={<button onClick={() => copy(curl_of(`${path('deliveries')}?max=10&waitMs=30000`), 'The curl command')}>Copy as curl</button>}>
      <form class="bar" onSubmit={take}>
        <Input label="Deliveries" inputmode="numeric" pattern="[1-9][0-9]{0,2}" required value={count} set={set_count} />
        <button type="submit">Take</button>
        {taken.length > 0 && <Input label="Reason, when given back" value={reason} set={set_reason} placeholder="the printer is out of paper" />}
        {taken.length > 0 && <Input label="Comes again after, s" inputmode="decimal" pattern="[0-9]+([.][0-9]+)?" value={delay} set={set_delay} />}
      </form>
      {taken.length > 0
        ? <ul class="cards">
            {taken.map((one) => (
              <li key={one.deliveryId} class="card">
                <div class="card-what">
                  <p><Type name={one.event.type} /> <span class="faint">{one.event.stream}</span></p>
                  <p class="faint">attempt {one.attempt} · position {one.event.position} · <Time at={one.event.occurredAt} /></p>
                  <details><summary>Data</summary><Json value={one.event.data} label="Data of the delivery" /></details>
                </div>
                <div class="actions">
                  <button class="main" onClick={() => end(one, 'ack', {}, 'Acknowledged.')}>Acknowledge</button>
                  <button onClick={() => end(one, 'nack', {delayMs: Math.round(Number(delay) * 1000) || 0, ...(reason.trim() ? {reason: reason.trim()} : {})}, 'Given back: it comes again.')}>Give back</button>
                </div>
              </li>
            ))}
          </ul>
        : <p class="calm">Workers in any language take from this group over HTTP. To look at what comes next, or to do it yourself, take some here.</p>}
    </Panel>
  );
}
