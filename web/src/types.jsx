// SPDX-License-Identifier: Apache-2.0
// Types by all their names, and the schemas that their data has to satisfy. Before a schema is
// registered the server can say what it would break, and whom.
import {useState} from 'preact/hooks';
import {call, get, get_text, path_of} from './api.js';
import {route, replace, to} from './route.js';
import {curl_of} from './event.jsx';
import {Area, attempt, Check, Choice, confirm, copy, Dialog, Empty, Head, Input, Json, Panel, Problem, read_types, State, Switch, Type, useLoad} from './ui.jsx';
import {count_text, parse_json, plural} from './text.js';

const contract_shown_max = 50_000; // characters
const contracts = [['typescript', 'TypeScript'], ['json-schema', 'JSON Schema'], ['asyncapi', 'AsyncAPI']];

// Contract: the types as a text for other programs.
function Contract({close}) {
  const [format, set_format] = useState(contracts[0][0]);
  const {data, error} = useLoad(() => get_text('/api/types', {format}), [format]);
  return (
    <Dialog title="The types, for other programs" close={close} wide>
      <div class="actions wrap">
        <Switch label="As" options={contracts} value={format} set={set_format} />
        <button disabled={!data} onClick={() => copy(data, 'The contract')}>Copy</button>
        <button onClick={() => copy(curl_of(`/api/types?format=${format}`), 'The curl command')}>Copy as curl</button>
      </div>
      <Problem error={error} what="contracts" />
      {data && <pre class="json" tabIndex={0} role="region" aria-label="The contract">{data.slice(0, contract_shown_max)}</pre>}
      {data?.length > contract_shown_max && <p class="hint">The rest is in what is copied.</p>}
    </Dialog>
  );
}

export function TypesView() {
  const {query} = route.value;
  const [text, set_text] = useState(query.get('text') ?? '');
  const [all, set_all] = useState(query.get('all') === '1');
  const [contract, set_contract] = useState(false);
  const {data, error} = useLoad((signal) => get('/api/types', {}, signal), [], 10_000);
  const types = data?.data ?? [];
  const wanted = text.trim().toLowerCase();
  const shown = types.filter((one) => (all || wanted || one.count > 0 || one.versions?.length) &&
    (!wanted || [one.type, ...(one.aliases ?? [])].some((name) => name.toLowerCase().includes(wanted))));
  const keep = (next_text, next_all) => replace(to('types', {text: next_text, all: next_all ? 1 : ''}));
  return (
    <>
      <Head title="Types" about="What kinds of event there are, by all their names, and the schemas they keep to.">
        <button onClick={() => set_contract(true)}>For other programs</button>
      </Head>
      {contract && <Contract close={() => set_contract(false)} />}
      <section class="panel flush" aria-label="Types">
        <div class="bar">
          <Input label="Find" type="search" value={text} set={(value) => { set_text(value); keep(value, all); }} placeholder="a name or an alias" data-search />
          <Check label={`Those without events too (${plural(types.length, 'type')})`} value={all} set={(value) => { set_all(value); keep(text, value); }} />
        </div>
        <Problem error={error} what="a list of types" />
        {shown.length > 0
          ? <div class="scroll" tabIndex={0} role="region" aria-label="Types, a table">
              <table class="fits">
                <thead><tr><th scope="col">Type</th><th scope="col" class="right">Events</th><th scope="col">Schemas</th><th scope="col" class="seldom">Also called</th></tr></thead>
                <tbody>
                  {shown.slice(0, 500).map((one) => (
                    <tr key={one.type}>
                      <td><a href={to('types', one.type)}><Type name={one.type} /></a>{one.persistent === false && <span class="chip">not kept</span>}</td>
                      <td class="right numeric">{one.count > 0 ? <a href={to('events', {type: one.type})}>{count_text(one.count)}</a> : <span class="faint">0</span>}</td>
                      <td>{one.versions?.map((version) => <span key={version} class="chip">v{version}</span>)}</td>
                      <td class="clip faint seldom" title={one.aliases?.join(', ')}>{one.aliases?.join(', ')}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          : data && <Empty title={wanted ? 'No type of that name' : 'No events yet'}><p>A type appears with its first event. {!all && 'Those that come with the platform are shown with “without events too”.'}</p></Empty>}
      </section>
    </>
  );
}

const schema_first = (type) => JSON.stringify({$schema: 'https://json-schema.org/draft/2020-12/schema', title: type, type: 'object', properties: {}, required: []}, null, 2);
const promises = ['backward', 'forward', 'full', 'backward-transitive', 'forward-transitive', 'full-transitive', 'none'];

function Verdict({result}) {
  const changes = result.changes ?? [];
  return (
    <div class={`verdict ${result.compatible ? 'good' : 'bad'}`} role="status">
      <p><State of={result.compatible ? 'ok' : 'faulted'}>{result.compatible ? 'Nothing would break.' : `This would break: ${plural(changes.length, 'change')} that ${result.compatibility} does not allow.`}</State></p>
      {[...changes, ...(result.forConsumers ?? [])].length > 0 &&
        <ul>{[...changes, ...(result.forConsumers ?? [])].map((one, at) => (
          <li key={at}><code>{one.path || '(all)'}</code> <b>{one.keyword}</b> {one.message}
            <span class="faint"> · {one.direction}, against version {one.version}{one.certain ? '' : ', perhaps'}</span></li>))}</ul>}
      {result.consumers?.length > 0 &&
        <p>They read it: {result.consumers.map((one, at) => <span key={at}>{at ? ', ' : ''}{one.name ? <a href={to('subscriptions', one.name)}>{one.name}</a> : `a ${one.kind ?? 'live'} reader`}</span>)}</p>}
    </div>
  );
}

function Register({type, versions, latest, again}) {
  const [text, set_text] = useState(latest ? JSON.stringify(latest, null, 2) : schema_first(type));
  const [version, set_version] = useState(String(Math.max(0, ...versions) + 1));
  const [compatibility, set_compatibility] = useState('backward');
  const [result, set_result] = useState(null);
  const [error, set_error] = useState(null);
  const parsed = parse_json(text);
  const ask = async (work) => {
    set_error(null);
    set_result(null);
    try {
      await work();
    } catch (caught) {
      set_error(caught);
    }
  };
  const body = () => ({schema: parsed.value, compatibility});
  const check = () => ask(async () => set_result((await call('POST', path_of('api', 'schemas', type, 'check'), {body: body()})).data));
  const register = (e) => {
    e.preventDefault();
    ask(async () => {
      await call('PUT', path_of('api', 'schemas', type, version), {body: body()});
      await attempt(`Version ${version} of ${type} is registered.`, async () => {});
      again();
    });
  };
  return (
    <form class="grid" onSubmit={register}>
      <Area label="JSON Schema" value={text} set={(value) => { set_text(value); set_result(null); }} rows={14} error={parsed.problem} />
      <Input label="Version" inputmode="numeric" pattern="[1-9][0-9]*" required value={version} set={set_version} />
      <Choice label="It promises to be compatible" value={compatibility} set={set_compatibility} options={promises.map((one) => [one])}
              hint={compatibility.endsWith('transitive') ? 'with every version before it' : compatibility === 'none' ? undefined : 'with the version before it'} />
      <div class="actions wide">
        <button type="button" disabled={Boolean(parsed.problem)} onClick={check}>Check what it would break</button>
        <button type="submit" class="main" disabled={Boolean(parsed.problem)}>Register</button>
        <button type="button" disabled={Boolean(parsed.problem)} onClick={() => copy(curl_of(path_of('api', 'schemas', type, version), 'PUT', body()), 'The curl command')}>Copy as curl</button>
      </div>
      {(result || error) && <div class="wide">{result && <Verdict result={result} />}<Problem error={error} what="schemas" /></div>}
    </form>
  );
}

export function TypeView({parts}) {
  const name = parts[0];
  const [alias, set_alias] = useState('');
  const types = useLoad((signal) => get('/api/types', {}, signal), [name]);
  const known = types.data?.data.find((one) => one.type === name || one.aliases?.includes(name));
  const one = known ?? {type: name, aliases: [], versions: [], count: 0};
  const versions = one.versions ?? [];
  const [version, set_version] = useState(null);
  const shown = version ?? versions.at(-1);
  const schema = useLoad(async (signal) => (shown ? (await get(path_of('api', 'schemas', one.type, String(shown)), {}, signal)).data : null), [one.type, shown]);
  const again = () => { set_version(null); types.again(); read_types(); };
  const add = async (e) => {
    e.preventDefault();
    if (await attempt(`${one.type} is also ${alias}.`, () => call('PUT', path_of('api', 'types', one.type), {body: {aliases: [alias.trim()]}}))) {
      set_alias('');
      again();
    }
  };
  const unkept = async () => {
    const sure = await confirm({title: `Never keep ${one.type}?`, danger: true, action: 'Never keep them', text: 'From now on its events reach who follows at that moment, and nobody else: they are not stored.'});
    if (sure && await attempt(`${one.type} is not kept any more.`, () => call('PUT', path_of('api', 'types', one.type), {body: {persistent: false}}))) again();
  };
  const kept = async () => {
    if (await attempt(`${one.type} is kept from now on.`, () => call('PUT', path_of('api', 'types', one.type), {body: {persistent: true}}))) again();
  };
  return (
    <>
      <Head title={one.type} about={`${plural(one.count ?? 0, 'event')}${one.persistent === false ? ', never kept: live readers only' : ''}`}>
        <a class="button" href={to('events', {type: one.type})}>Its events</a>
        <a class="button" href={to('publish', {type: one.type})}>Publish one</a>
        {one.persistent !== false ? <button class="danger" onClick={unkept}>Keep none</button> : <button onClick={kept}>Keep them</button>}
      </Head>
      <Problem error={types.error} what="types" />
      <Panel title="Names">
        <p>{[one.type, ...(one.aliases ?? [])].map((text) => <span key={text} class="chip">{text}</span>)}</p>
        <form class="bar inline" onSubmit={add}><Input label="One more name" value={alias} set={set_alias} required placeholder="ORDER_PLACED" /><button type="submit">Add</button></form>
      </Panel>
      {versions.length > 0 &&
        <Panel title="Schemas" side={
          <Switch label="Version" options={versions.map((number) => [number, `v${number}`])} value={shown} set={set_version} />}>
          <Problem error={schema.error} what="schemas" />
          {schema.data && <><p class="faint">Promises to be compatible: {schema.data.compatibility}</p><Json value={schema.data.schema} label={`Schema, version ${shown}`} /></>}
        </Panel>}
      {types.data && (!shown || schema.data || schema.error) &&
        <Panel title={versions.length ? 'Register the next version' : 'Register a schema'}>
          {!versions.length && <p class="faint">It has none: any data is accepted. With one, what does not fit is refused as it is published.</p>}
          <Register key={`${one.type} ${versions.length}`} type={one.type} versions={versions} latest={schema.data?.schema} again={again} />
        </Panel>}
    </>
  );
}
