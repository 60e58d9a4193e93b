// SPDX-License-Identifier: Apache-2.0
// The parts that every view is made of.
import {signal} from '@preact/signals';
import {useEffect, useId, useRef, useState} from 'preact/hooks';
import {get} from './api.js';
import {to} from './route.js';
import {ago_text, time_text} from './text.js';

// --- what happened, said once at the foot of the page and to a screen reader

const notes = signal([]);
let note_id = 0;

export function note(text, kind = 'done') {
  const id = ++note_id;
  notes.value = [...notes.value.slice(-2), {id, text, kind}];
  setTimeout(() => { notes.value = notes.value.filter((one) => one.id !== id); }, kind === 'bad' ? 9000 : 5000);
}

export function Notes() {
  return (
    <div class="notes" role="status" aria-live="polite">
      {notes.value.map((one) => <p key={one.id} class={`note ${one.kind}`}>{one.text}</p>)}
    </div>
  );
}

// attempt does what was asked and says how it went. True when it was done.
export async function attempt(done, work) {
  try {
    const result = await work();
    if (done) note(typeof done === 'function' ? done(result) : done);
    return true;
  } catch (error) {
    note(error.no_route ? 'This server cannot do that: it does not have the route.' : `Not done: ${error.message}`, 'bad');
    return false;
  }
}

// --- reading

// useLoad reads once, again when what it depends on changes, and every so many milliseconds while
// the page is seen. {data, error, busy, again}
export function useLoad(load, depends, every_ms = 0) {
  const [state, set_state] = useState({busy: true});
  const again = useRef(() => {});
  useEffect(() => {
    const abort = new AbortController();
    let timer;
    let newest = 0;
    const read = async () => {
      clearTimeout(timer);
      const mine = ++newest;
      const late = () => abort.signal.aborted || mine !== newest; // what was read before an act is not shown behind it
      try {
        const data = await load(abort.signal);
        if (!late()) set_state({data});
      } catch (error) {
        if (!late()) set_state((before) => ({data: before.data, error}));
      }
      if (every_ms && !late()) timer = setTimeout(tick, every_ms);
    };
    const tick = () => (document.hidden ? (timer = setTimeout(tick, every_ms)) : read());
    again.current = read;
    set_state((before) => ({data: before.data, busy: true}));
    read();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, depends);
  return {...state, again: () => again.current()};
}

// --- texts

export function Time({at, ago = false}) {
  if (!at) return <span class="faint">—</span>;
  return <time dateTime={at} title={`${at} (UTC)`}>{ago ? ago_text(at) : time_text(at)}</time>;
}

const tones = {
  running: 'good', ok: 'good', acked: 'good', live: 'good',
  paused: 'warn', retrying: 'warn', degraded: 'warn', behind: 'warn', draining: 'warn', registered: 'quiet',
  faulted: 'bad', dead: 'bad', parked: 'bad', away: 'bad', stopped: 'quiet', filtered: 'quiet',
};
export function State({of, children}) {
  return <span class={`state ${tones[of] ?? 'quiet'}`}>{children ?? of}</span>;
}

// Type colours a type by its first word, so that rows of one kind are found by eye.
export function Type({name}) {
  let hash = 0;
  for (const letter of name.split('.')[0]) hash = (hash * 31 + letter.charCodeAt(0)) % 9973;
  return <span class="type"><i class={`dot dot${hash % 8}`} aria-hidden="true" /><span>{name.split(/(?<=\.)/).map((part, at) => <>{at > 0 && <wbr />}{part}</>)}</span></span>;
}

export function Problem({error, what}) {
  if (!error) return null;
  if (error.no_route) return <p class="problem quiet">This server does not offer {what ?? 'this'}.</p>;
  const more = (error.errors ?? []).filter((one) => !error.message.endsWith(one.message)); // mostly one says it all
  return (
    <div class="problem" role="alert">
      <p>{error.message}</p>
      {more.length > 0 && <ul>{more.map((one) => <li key={one.field}>{one.field && <code>{one.field}</code>} {one.message}</li>)}</ul>}
    </div>
  );
}

export function Empty({title, children}) {
  return <div class="empty"><p class="empty-title">{title}</p>{children && <div>{children}</div>}</div>;
}

export function Head({title, about, children}) {
  return (
    <header class="head">
      <div>
        <h1 tabIndex={-1}>{title}</h1>
        {about && <p>{about}</p>}
      </div>
      {children && <div class="actions">{children}</div>}
    </header>
  );
}

export function Panel({title, side, children, flush}) {
  const id = useId();
  return (
    <section class={`panel ${flush ? 'flush' : ''}`} aria-labelledby={title ? id : undefined}>
      {title && <div class="panel-head"><h2 id={id}>{title}</h2>{side && <div class="actions">{side}</div>}</div>}
      <div class="panel-body">{children}</div>
    </section>
  );
}

export function Field({label, hint, error, children, wide, half}) {
  const id = useId();
  return (
    <div class={`field ${wide ? 'wide' : ''} ${half ? 'half' : ''}`}>
      <label for={id}>{label}</label>
      {children(id)}
      {error ? <p class="field-error" role="alert">{error}</p> : hint && <p class="hint">{hint}</p>}
    </div>
  );
}

// Input: a labelled line of text. set is given the text.
export function Input({label, hint, error, value, set, wide, half, ...more}) {
  return (
    <Field label={label} hint={hint} error={error} wide={wide} half={half}>
      {(id) => <input id={id} value={value} onInput={(e) => set(e.currentTarget.value)} spellcheck={false}
                      autocomplete="off" aria-invalid={Boolean(error)} {...more} />}
    </Field>
  );
}

export function Area({label, hint, error, value, set, rows = 8, ...more}) {
  return (
    <Field label={label} hint={hint} error={error} wide>
      {(id) => <textarea id={id} rows={rows} value={value} onInput={(e) => set(e.currentTarget.value)}
                         spellcheck={false} aria-invalid={Boolean(error)} {...more} />}
    </Field>
  );
}

// Choice: one of several; Switch: one of a few, all seen at once. options: [value, text].
export function Choice({label, hint, value, set, options, ...more}) {
  return (
    <Field label={label} hint={hint}>
      {(id) => <select id={id} value={value} onChange={(e) => set(e.currentTarget.value)} {...more}>
        {options.map(([name, text]) => <option key={name} value={name}>{text ?? name}</option>)}
      </select>}
    </Field>
  );
}

export function Switch({label, value, set, options}) {
  return (
    <div class="switch" role="group" aria-label={label}>
      {options.map(([name, text]) => <button key={name} type="button" aria-pressed={value === name} onClick={() => set(name)}>{text ?? name}</button>)}
    </div>
  );
}

export function Check({label, value, set}) {
  return <label class="check"><input type="checkbox" checked={value} onChange={(e) => set(e.currentTarget.checked)} />{label}</label>;
}

// --- JSON with its parts told apart by colour

const token = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const json_shown_max = 200_000; // characters; more makes a browser slow

export function Json({value, label = 'JSON'}) {
  const whole = JSON.stringify(value, null, 2) ?? 'null';
  const text = whole.slice(0, json_shown_max);
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(token)) {
    if (found.index > from) parts.push(text.slice(from, found.index));
    const kind = found[2] ? 'name' : found[1] ? 'text' : found[3] ? 'word' : 'number';
    parts.push(<span class={`json-${kind}`}>{found[1] ?? found[0]}</span>);
    if (found[2]) parts.push(found[2]);
    from = found.index + found[0].length;
  }
  parts.push(text.slice(from));
  return (
    <>
      <pre class="json" tabIndex={0} role="region" aria-label={label}>{parts}</pre>
      {whole.length > text.length && <p class="hint">The rest ({whole.length - text.length} characters) is not shown; Copy gives all.</p>}
    </>
  );
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    note(`${what} copied.`);
  } catch {
    const area = document.createElement('textarea'); // the clipboard is closed to pages without TLS
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    note(done ? `${what} copied.` : 'The browser does not let this page copy.', done ? 'done' : 'bad');
  }
}

// --- dialogs

export function Dialog({title, children, close, wide}) {
  const box = useRef();
  const id = useId();
  useEffect(() => {
    box.current.showModal();
    return () => box.current?.close();
  }, []);
  return (
    <dialog ref={box} class={wide ? 'wide' : ''} aria-labelledby={id} onClose={close}
            onClick={(e) => e.target === box.current && close()}>
      <div class="dialog-body">
        <div class="dialog-head">
          <h2 id={id}>{title}</h2>
          <button type="button" class="icon" aria-label="Close" onClick={close}>✕</button>
        </div>
        {children}
      </div>
    </dialog>
  );
}

const asked = signal(null);
// confirm asks before something that cannot be undone. {title, text, action, danger, word}: with a word,
// it has to be typed.
export function confirm(question) {
  return new Promise((resolve) => { asked.value = {...question, resolve}; });
}

export function Confirm() {
  const question = asked.value;
  const [word, set_word] = useState('');
  if (!question) return null;
  const end = (answer) => {
    if (asked.value !== question) return;
    asked.value = null;
    set_word('');
    question.resolve(answer);
  };
  return (
    <Dialog title={question.title} close={() => end(false)}>
      <form onSubmit={(e) => { e.preventDefault(); end(true); }}>
        <p>{question.text}</p>
        {question.word && <Input label={`Type ${question.word} to confirm`} value={word} set={set_word} />}
        <div class="actions end">
          <button type="button" onClick={() => end(false)}>Cancel</button>
          <button type="submit" class={question.danger ? 'danger' : 'main'}
                  disabled={Boolean(question.word) && word !== question.word}>{question.action}</button>
        </div>
      </form>
    </Dialog>
  );
}

// --- names that the server knows, offered while one is typed

export const known_types = signal([]);
export async function read_types() {
  try {
    known_types.value = (await get('/api/types')).data ?? [];
  } catch {
    known_types.value = [];
  }
}
export function TypeInput({label = 'Type', ...more}) {
  const list = useId();
  const types = known_types.value;
  useEffect(() => { if (!types.length) read_types(); }, []);
  return (
    <>
      <Input label={label} list={list} {...more} />
      <datalist id={list}>{types.map((one) => <option key={one.type} value={one.type} />)}</datalist>
    </>
  );
}

export const StreamLink = ({event}) => (event.stream
  ? <a href={to('streams', event.stream, {version: event.streamVersion, tenant: event.tenantId})}>{event.stream}<span class="faint"> v{event.streamVersion}</span></a>
  : <span class="faint">—</span>);
