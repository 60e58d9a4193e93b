// SPDX-License-Identifier: Apache-2.0
// The page: the frame, which view is shown, shortcuts, light and dark, and signing in.
import {signal} from '@preact/signals';
import {render} from 'preact';
import {useEffect, useState} from 'preact/hooks';
import {call, key, key_wanted, sign_in, sign_out} from './api.js';
import {EventsView} from './events.jsx';
import {EventView} from './event.jsx';
import {LettersView} from './letters.jsx';
import {LiveView} from './live.jsx';
import {measure, server} from './meter.js';
import {PublishView} from './publish.jsx';
import {go, route, to} from './route.js';
import {ServerView} from './server.jsx';
import {StreamsView, StreamView} from './streams.jsx';
import {SubscriptionsView, SubscriptionView} from './subscriptions.jsx';
import {TraceView} from './trace.jsx';
import {TypesView, TypeView} from './types.jsx';
import {Check, Confirm, Dialog, Empty, Head, Input, note, Notes, Panel, Problem, State, Switch} from './ui.jsx';
import './style.css';

const views = {
  live: {title: 'Live', list: LiveView, letter: 'l'},
  events: {title: 'Events', list: EventsView, letter: 'e'},
  event: {title: 'Event', one: EventView, under: 'events'},
  trace: {title: 'Causes', list: TraceView, one: TraceView, letter: 'c'},
  streams: {title: 'Streams', list: StreamsView, one: StreamView, letter: 's'},
  types: {title: 'Types', list: TypesView, one: TypeView, letter: 't'},
  subscriptions: {title: 'Subscriptions', list: SubscriptionsView, one: SubscriptionView, letter: 'u'},
  'dead-letters': {title: 'Dead letters', list: LettersView, letter: 'd'},
  publish: {title: 'Publish', list: PublishView, letter: 'p'},
  server: {title: 'Server', list: ServerView, letter: 'h'},
};
const groups = [
  ['Look', ['live', 'events', 'trace', 'streams', 'types']],
  ['Operate', ['subscriptions', 'dead-letters', 'server']],
  ['Try', ['publish']],
];

// --- light and dark: as the system has it, unless the person chose

const theme_name = 'skald.theme'; // no secret, so it may stay in the browser
const theme = signal(localStorage.getItem(theme_name) ?? 'system');
function set_theme(value) {
  theme.value = value;
  localStorage.setItem(theme_name, value);
  apply_theme();
}
function apply_theme() {
  if (theme.value === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
}
apply_theme();

function Theme() {
  return (
    <Switch label="Colours" options={[['light', 'Light'], ['system', 'Auto'], ['dark', 'Dark']]} value={theme.value} set={set_theme} />
  );
}

// --- shortcuts

const help_open = signal(false);

function Help() {
  const rows = [['?', 'this list'], ['/', 'to the search field'], ['p', 'pause or go on, in Live'], ['↑ ↓ or j k', 'from event to event'], ['Enter', 'open'], ['Esc', 'close']];
  return (
    <Dialog title="Shortcuts" close={() => { help_open.value = false; }}>
      <table class="keys">
        <thead><tr><th scope="col">Key</th><th scope="col">Does</th></tr></thead>
        <tbody>
          {rows.map(([keys, does]) => <tr key={keys}><td><kbd>{keys}</kbd></td><td>{does}</td></tr>)}
          {Object.values(views).filter((view) => view.letter).map((view) => (
            <tr key={view.letter}><td><kbd>g</kbd> <kbd>{view.letter}</kbd></td><td>{view.title}</td></tr>
          ))}
        </tbody>
      </table>
    </Dialog>
  );
}

let g_pressed_at = 0;
addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) || document.querySelector('dialog[open]')) return;
  const view = Date.now() - g_pressed_at < 1200 && Object.entries(views).find(([, one]) => one.letter === e.key);
  g_pressed_at = 0;
  if (view) {
    e.preventDefault();
    e.stopImmediatePropagation();
    go(to(view[0]));
  } else if (e.key === 'g') {
    g_pressed_at = Date.now();
  } else if (e.key === '?') {
    help_open.value = true;
  } else if (e.key === '/') {
    const field = document.querySelector('main [data-search]');
    if (field) {
      e.preventDefault();
      field.focus();
      field.select?.();
    }
  }
}, true);

// --- the frame

const server_words = {ok: 'connected', away: 'not connected', connecting: 'connecting'};

function Menu({current}) {
  const [open, set_open] = useState(false);
  useEffect(() => set_open(false), [route.value]);
  return (
    <div class={`menu ${open ? 'open' : ''}`}>
      <div class="menu-top">
        <a class="brand" href={to('live')}><img src="/assets/icon.svg" alt="" width="26" height="26" />skald</a>
        <button type="button" class="menu-button" aria-expanded={open} aria-controls="menu" onClick={() => set_open(!open)}>
          {views[current]?.title ?? 'Menu'} <span aria-hidden="true">▾</span>
        </button>
      </div>
      <div id="menu" class="menu-body">
        <nav aria-label="Views">
          {groups.map(([title, list]) => (
            <div key={title} class="menu-group">
              <p>{title}</p>
              <ul>{list.map((name) => <li key={name}><a href={to(name)} aria-current={current === name ? 'page' : undefined}>{views[name].title}</a></li>)}</ul>
            </div>
          ))}
        </nav>
        <div class="menu-foot">
          <p role="status"><State of={server.value.state === 'ok' ? 'ok' : server.value.state === 'away' ? 'faulted' : 'quiet'}>{server_words[server.value.state]}</State></p>
          <Theme />
          <div class="actions">
            {key.value ? <button type="button" class="plain" onClick={sign_out}>Sign out</button> : <a class="button plain" href={to('sign-in')}>Sign in</a>}
            <button type="button" class="plain" onClick={() => { help_open.value = true; }}>Shortcuts <kbd>?</kbd></button>
          </div>
        </div>
      </div>
    </div>
  );
}

function SignIn() {
  const [text, set_text] = useState('');
  const [keep, set_keep] = useState(false);
  const [error, set_error] = useState(null);
  const submit = async (e) => {
    e.preventDefault();
    try {
      await call('GET', '/api/events/stats', {headers: {Authorization: `Bearer ${text.trim()}`}});
    } catch (caught) {
      // 403: a good key that may not read. The views say what they may not.
      if (caught.status !== 403) return set_error(caught.status === 401 ? {message: 'The server does not know this key, or it has expired.'} : caught);
    }
    sign_in(text.trim(), keep);
    note('Signed in.');
    if (route.value.view === 'sign-in') go(to('live'));
    return undefined;
  };
  return (
    <>
      <Head title="Sign in" about={key_wanted.value ? 'This server answers only those who have a key.' : 'With a key, where the server asks for one.'} />
      <Panel>
        <form class="narrow" onSubmit={submit}>
          <Input label="Key" type="password" autocomplete="off" required value={text} set={set_text} error={error?.message} data-search
                 hint="Whoever runs the server makes one with: skald keys create" />
          <Check label="Keep it until this tab is closed" value={keep} set={set_keep} />
          <p class="hint">Else it is forgotten when the page is loaded again. It is sent to this server only, never as part of an address.</p>
          <div class="actions"><button type="submit" class="main">Sign in</button></div>
        </form>
      </Panel>
    </>
  );
}

function View() {
  const {view: name, parts} = route.value;
  if (key_wanted.value || name === 'sign-in') return <SignIn />;
  const view = views[name];
  const Shown = parts.length ? view?.one : view?.list;
  if (!Shown) return <><Head title="Nothing here" /><Empty title="There is no such view"><p><a href={to('live')}>To the live events</a></p></Empty></>;
  return <Shown key={name + '/' + parts.join('/')} parts={parts} />;
}

function App() {
  const {view, parts} = route.value;
  const place = view + '/' + parts.join('/');
  const shown = views[view];
  useEffect(() => {
    document.title = [parts[0], shown?.title, 'skald'].filter(Boolean).join(' · ');
    if (App.place && App.place !== place) {
      document.querySelector('main h1')?.focus({preventScroll: true});
      scrollTo(0, 0);
    }
    App.place = place;
  }, [place]);
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.querySelector('main h1')?.focus(); }}>Skip to the content</a>
      <Menu current={shown?.under ?? view} />
      <main id="main">
        {server.value.state === 'away' && <div class="away" role="alert"><Problem error={server.value.error} /></div>}
        <View />
      </main>
      <Notes />
      <Confirm />
      {help_open.value && <Help />}
    </>
  );
}

measure();
render(<App />, document.getElementById('page'));
