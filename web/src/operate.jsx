// SPDX-License-Identifier: Apache-2.0
// What only those who run the server do: keys, backups, how much is logged, who still asks as of old. Who may
// not is told so in one line.
import {useState} from 'preact/hooks';
import {call, get, key, path_of, sign_in} from './api.js';
import {curl_of} from './event.jsx';
import {attempt, Check, Choice, confirm, copy, Dialog, Empty, Input, Json, Panel, Problem, Switch, Time, useLoad} from './ui.jsx';
import {bytes_text, count_text, instant_of, plural} from './text.js';

const scopes = [['events:read', 'read events'], ['events:publish', 'publish events'], ['metrics', 'read metrics'], ['admin', 'everything: subscriptions, streams, schemas, keys']];
const hour_ms = 3_600_000; // what the server knows of a key's last use
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
            <table class="carded">
              <thead><tr><th scope="col">For</th><th scope="col">May</th><th scope="col">Confined to</th><th scope="col">Last used</th><th scope="col">Expires</th><th scope="col"><span class="faint">Revoke</span></th></tr></thead>
              <tbody>
                {list.map((one) => (
                  <tr key={one.id}>
                    <td>{one.name || <code>{one.id}</code>}</td>
                    <td data-label="May">{one.scopes.map((scope) => <span key={scope} class="chip">{scope}</span>)}</td>
                    <td class="faint" data-label="Confined to">{[one.tenantId && `tenant ${one.tenantId}`, ...(one.types ?? []), ...(one.streams ?? [])].filter(Boolean).join(', ') || 'nothing'}</td>
                    <td data-label="Last used">{one.usedAt ? Date.now() - new Date(one.usedAt) < hour_ms ? 'within the hour' : <Time at={one.usedAt} ago /> : <span class="faint">never</span>}</td>
                    <td data-label="Expires">{one.expiresAt ? <Time at={one.expiresAt} /> : <span class="faint">—</span>}</td>
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

function LogLevel({changed}) {
  const {data, error, again} = useLoad((signal) => get('/api/admin/log-level', {}, signal), []);
  const choose = async (level) => {
    if (!await attempt(`The server logs ${level} and worse, until it starts again.`, () => call('PUT', '/api/admin/log-level', {body: {level}}))) return;
    again();
    changed();
  };
  return (
    <>
      <Problem error={error} what="its log level" />
      {data &&
        <div class="actions">How much is logged
          <Switch label="Log level" options={levels.map((level) => [level])} value={data.data.level} set={choose} />
        </div>}
    </>
  );
}

// What stands between ` in the meaning of a setting is code.
const Meaning = ({text}) => text.split('`').map((part, at) => (at % 2 ? <code>{part}</code> : part));

// Configuration: every setting in force and where it came from; at first those that somebody set.
export function Configuration() {
  const {data, error, again} = useLoad((signal) => get('/api/admin/config', {}, signal), []);
  const [every, set_every] = useState(false);
  const [text, set_text] = useState('');
  const all = data?.data ?? [];
  const given = all.filter((one) => one.origin !== 'default');
  const rows = (every || text ? all : given).filter((one) => `${one.key} ${one.value} ${one.origin} ${one.meaning}`.toLowerCase().includes(text.trim().toLowerCase()));
  return (
    <Panel title="Configuration" flush side={all.length > 0 &&
      <Switch label="Which settings" options={[[false, `Set (${given.length})`], [true, `All (${all.length})`]]} value={every} set={set_every} />}>
      <Problem error={error} what="its configuration" />
      {data && <div class="bar"><Input label="Find a setting" type="search" value={text} set={set_text} placeholder="retention, rate, tls" /><div class="bar-state"><LogLevel changed={again} /></div></div>}
      {rows.length > 0 &&
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Settings, a table">
          <table class="settings stacked">
            <thead><tr><th scope="col">Setting</th><th scope="col">Value</th><th scope="col">Comes from</th><th scope="col">What it is</th></tr></thead>
            <tbody>
              {rows.map((one) => (
                <tr key={one.key}>
                  <td><code>{one.key}</code></td>
                  <td>{one.value ? <code>{one.value.replaceAll(',', ', ')}</code> : <span class="faint">none</span>}</td>
                  <td>{one.origin === 'default' ? <span class="faint">default</span> : <code>{one.origin}</code>}</td>
                  <td class="faint"><Meaning text={one.meaning} />{one.origin !== 'default' && <>; by default <code>{one.default || 'none'}</code></>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>}
      {data && rows.length === 0 && <Empty title={text ? 'No such setting' : 'All is as it comes'} />}
      {data && <p class="hint foot">It is set by a file, the environment or options when the server starts; SIGHUP has the file read again. <code>skald config check FILE</code> says whether one is fine.</p>}
    </Panel>
  );
}

export function Backup() {
  const [name, set_name] = useState('');
  const [busy, set_busy] = useState(false);
  const [done, set_done] = useState(null);
  const [error, set_error] = useState(null);
  const make = async (e) => {
    e.preventDefault();
    set_busy(true);
    set_error(null);
    set_done(null);
    try {
      set_done((await call('POST', '/api/admin/backup', {body: {directory: name.trim()}})).data);
    } catch (caught) {
      set_error(caught);
    }
    set_busy(false);
  };
  return (
    <Panel title="Backup">
      <form class="bar inline" onSubmit={make}>
        <Input label="Name" value={name} set={set_name} required placeholder="2026-11-21" pattern="[A-Za-z0-9\-_][A-Za-z0-9\-_.]*" maxLength={128} />
        <button type="submit" disabled={busy}>{busy ? 'Copying…' : 'Back up now'}</button>
      </form>
      {done &&
        <p class={done.damages ? 'problem' : 'published'} role="status">
          All up to position {count_text(done.position)} is in <code>{done.directory}</code>: {plural(done.files, 'file')}, {bytes_text(done.bytes)}
          {done.damages ? `; ${plural(done.damages, 'damaged place')} on the way, which skald verify shows` : ''}.
        </p>}
      {error ? <Problem error={error} what="backups" /> : !done && <p class="hint">It is made while the server works, into a new folder of this name below the one that <code>backup.directory</code> says. Copy it to another disk.</p>}
    </Panel>
  );
}

// Usage: who asks for which version of the API.
export function Usage() {
  const {data, error} = useLoad((signal) => get('/api/admin/api-usage', {}, signal), []);
  return (
    <Panel title="Who uses the API" flush>
      <Problem error={error} what="a count of its callers" />
      {data?.data.length > 0 &&
        <div class="scroll" tabIndex={0} role="region" aria-label="Callers, a table">
          <table class="carded">
            <thead><tr><th scope="col">Caller</th><th scope="col">Version</th><th scope="col" class="right">Requests</th><th scope="col">First</th><th scope="col">Last</th></tr></thead>
            <tbody>
              {data.data.map((one) => (
                <tr key={`${one.consumer} ${one.version}`}>
                  <td>{one.consumer}</td>
                  <td data-label="Version">{one.version}{one.deprecated && <span class="chip">deprecated</span>}</td>
                  <td class="right numeric" data-label="Requests">{count_text(one.requests)}</td>
                  <td data-label="First"><Time at={one.firstAt} /></td>
                  <td data-label="Last"><Time at={one.lastAt} ago /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>}
    </Panel>
  );
}

const documents = [
  ['/api/events/stats', 'counts of events, and the newest'], ['/api/events/history', 'the newest events'], ['/api/admin/metrics', 'the metrics document'],
  ['/api/schemas', 'types and versions of schemas'], ['/openapi.json', 'the API, as OpenAPI'], ['/asyncapi.json', 'the events, as AsyncAPI'],
];

// Documents: what the server says as JSON, for those who will read it by program.
export function Documents() {
  const [path, set_path] = useState(documents[0][0]);
  const [text, set_text] = useState(path);
  const choose = (next) => { set_path(next); set_text(next); };
  const {data, error} = useLoad((signal) => get(path, {}, signal), [path]);
  const known = documents.some(([one]) => one === path);
  return (
    <Panel title="Documents" side={<button onClick={() => copy(curl_of(path), 'The curl command')}>Copy as curl</button>}>
      <form class="bar inline" onSubmit={(e) => { e.preventDefault(); choose(text.trim()); }}>
        <Choice label="Show" value={path} set={choose} options={known ? documents : [...documents, [path, 'another']]} />
        <Input label="Or what the API has at" value={text} set={set_text} required pattern="/.*" placeholder="/api/streams?limit=5" />
        <button type="submit">Read</button>
      </form>
      <Problem error={error} what="this document" />
      {data && <Json value={data} label="The document" />}
    </Panel>
  );
}
