// SPDX-License-Identifier: Apache-2.0
// What only those who run the server do: keys, and how much is logged. Who may not is told so in one line.
import {useState} from 'preact/hooks';
import {call, get, key, path_of, sign_in} from './api.js';
import {attempt, Check, confirm, copy, Dialog, Input, Panel, Problem, Time, useLoad} from './ui.jsx';
import {instant_of} from './text.js';

const scopes = [['events:read', 'read events'], ['events:publish', 'publish events'], ['metrics', 'read metrics'], ['admin', 'everything: subscriptions, streams, schemas, keys']];
const words_of = (text) => text.split(/[\s,]+/).filter(Boolean);

function NewKey({close, first}) {
  const [form, set_form] = useState({name: '', tenantId: '', types: '', streams: '', expires: ''});
  const [chosen, set_chosen] = useState(first ? scopes.map(([name]) => name) : ['events:read']);
  const [made, set_made] = useState(null);
  const [error, set_error] = useState(null);
  const set = (name) => (value) => set_form({...form, [name]: value});
  const make = async (e) => {
    e.preventDefault();
    const body = Object.fromEntries(Object.entries({
      name: form.name.trim(), scopes: chosen, tenantId: form.tenantId.trim(), types: words_of(form.types), streams: words_of(form.streams),
      expiresAt: instant_of(form.expires),
    }).filter(([, value]) => value?.length));
    try {
      set_made((await call('POST', '/api/keys', {body})).data);
    } catch (caught) {
      set_error(caught);
    }
  };
  if (made) {
    return (
      <Dialog title="The key, shown once" close={close}>
        <p class="warning">Keep it where secrets are kept: nobody can show it again.</p>
        <pre class="json" tabIndex={0} role="region" aria-label="The key">{made.key}</pre>
        <div class="actions end">
          <button onClick={() => copy(made.key, 'The key')}>Copy</button>
          {!key.value && <button onClick={() => { sign_in(made.key, false); close(); }}>Sign in with it</button>}
          <button class="main" onClick={close}>Done</button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title="New key" close={close}>
      <form class="grid" onSubmit={make}>
        {first && <p class="warning wide">From the first key on the server lets nobody in without one. Give this one everything, and sign in with it.</p>}
        <Input label="What it is for" value={form.name} set={set('name')} required placeholder="shop" autofocus />
        <Input label="Expires" type="datetime-local" hint="nothing: when it is revoked" value={form.expires} set={set('expires')} />
        <fieldset class="wide"><legend>It may</legend>
          {scopes.map(([name, text]) => <Check key={name} label={`${text} (${name})`} value={chosen.includes(name)}
            set={(on) => set_chosen(on ? [...chosen, name] : chosen.filter((one) => one !== name))} />)}
        </fieldset>
        <Input label="Only these types" hint="several with commas; nothing: all" value={form.types} set={set('types')} placeholder="order.*" />
        <Input label="Only these streams" value={form.streams} set={set('streams')} placeholder="order-*" />
        <Input label="Tenant" hint="nothing: all tenants" value={form.tenantId} set={set('tenantId')} />
        {error && <div class="wide"><Problem error={error} what="keys" /></div>}
        <div class="actions end wide"><button type="button" onClick={close}>Cancel</button><button type="submit" class="main" disabled={!chosen.length}>Make it</button></div>
      </form>
    </Dialog>
  );
}

export function Keys() {
  const [making, set_making] = useState(false);
  const {data, error, again} = useLoad((signal) => get('/api/keys', {}, signal), []);
  const list = data?.data ?? [];
  const active = list.filter((one) => !one.revokedAt);
  const revoke = async (one) => {
    const sure = await confirm({title: `Revoke ${one.name || one.id}?`, danger: true, action: 'Revoke', text: 'Whoever uses it is refused at once.'});
    if (sure && await attempt(`${one.name || one.id} is revoked.`, () => call('DELETE', path_of('api', 'keys', one.id)))) again();
  };
  return (
    <Panel title="Keys" flush side={data && <button onClick={() => set_making(true)}>New key</button>}>
      <Problem error={error} what="keys" />
      {list.length > 0
        ? <div class="scroll" tabIndex={0} role="region" aria-label="Keys, a table">
            <table>
              <thead><tr><th scope="col">For</th><th scope="col">May</th><th scope="col">Confined to</th><th scope="col">Last used</th><th scope="col">Expires</th><th scope="col"><span class="faint">Revoke</span></th></tr></thead>
              <tbody>
                {list.map((one) => (
                  <tr key={one.id}>
                    <td>{one.name || <code>{one.id}</code>}</td>
                    <td>{one.scopes.map((scope) => <span key={scope} class="chip">{scope}</span>)}</td>
                    <td class="faint">{[one.tenantId && `tenant ${one.tenantId}`, ...(one.types ?? []), ...(one.streams ?? [])].filter(Boolean).join(', ') || 'nothing'}</td>
                    <td>{one.usedAt ? <Time at={one.usedAt} ago /> : <span class="faint">never</span>}</td>
                    <td>{one.expiresAt ? <Time at={one.expiresAt} /> : <span class="faint">—</span>}</td>
                    <td>{one.revokedAt ? <span class="faint">revoked</span> : <button class="danger" onClick={() => revoke(one)}>Revoke</button>}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        : data && <p class="calm">None: whoever can reach this address may do everything. With the first key the server asks everybody for one.</p>}
      {making && <NewKey first={active.length === 0} close={() => { set_making(false); again(); }} />}
    </Panel>
  );
}

const levels = ['debug', 'info', 'warn', 'error'];

export function LogLevel() {
  const {data, error, again} = useLoad((signal) => get('/api/admin/log-level', {}, signal), []);
  const choose = async (level) => {
    if (await attempt(`The server logs ${level} and worse, until it starts again.`, () => call('PUT', '/api/admin/log-level', {body: {level}}))) again();
  };
  return (
    <>
      <Problem error={error} what="its log level" />
      {data &&
        <p class="actions">How much is logged
          <span class="switch" role="group" aria-label="Log level">
            {levels.map((level) => <button key={level} aria-pressed={data.data.level === level} onClick={() => choose(level)}>{level}</button>)}
          </span>
        </p>}
    </>
  );
}
