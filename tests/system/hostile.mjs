// SPDX-License-Identifier: Apache-2.0
// Clients that mean harm, at a server that runs: hostile.mjs PORT PID CONNECTIONS. Each is refused or
// bounded, nothing of what they hid in their requests happens, and honest ones are served meanwhile.
import {readFileSync} from 'node:fs';
import net from 'node:net';
import {gzipSync} from 'node:zlib';

const port = Number(process.argv[2]);
const pid = process.argv[3];
const connections = Number(process.argv[4]);
const patience_ms = 60000;
const host = 'Host: localhost\r\n';
const hidden_event = '{"type":"hidden.event"}';
const hidden = `POST /api/events HTTP/1.1\r\n${host}Content-Type: application/json\r\n` +
  `Content-Length: ${hidden_event.length}\r\n\r\n${hidden_event}`;

function fail(text) {
  console.error(`FAIL: ${text}`);
  process.exit(1);
}

function resident_mib() {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) / 1024);
}

function tell(what) {
  console.log(`${what}: ${resident_mib()} MiB resident`);
}

function open() {
  const socket = net.connect({port, host: '127.0.0.1', allowHalfOpen: true});
  socket.on('error', () => {});
  return socket;
}

// until collects what comes until it is enough, the server closes, or patience ends.
function until(socket, enough) {
  return new Promise((resolve) => {
    let text = '';
    const timer = setTimeout(() => done('patience'), patience_ms);
    const take = (bytes) => {
      text += bytes.toString('latin1');
      if (enough && enough(text)) done('enough');
    };
    const end = () => done('closed');
    function done(why) {
      clearTimeout(timer);
      socket.off('data', take);
      socket.off('end', end);
      socket.off('close', end);
      resolve({text, why, status: Number(text.slice(9, 12))});
    }
    socket.on('data', take);
    socket.on('end', end);
    socket.on('close', end);
  });
}

// talk sends bytes and gives all that comes until the server closes (or it is enough).
async function talk(bytes, enough) {
  const socket = open();
  const answer = until(socket, enough);
  socket.write(bytes);
  const got = await answer;
  socket.destroy();
  return got;
}

const whole = (text) => {
  const end = text.indexOf('\r\n\r\n');
  const length = /content-length: (\d+)/i.exec(text);
  return end >= 0 && length && text.length >= end + 4 + Number(length[1]);
};

async function honest(path = '/health') {
  const got = await talk(`GET ${path} HTTP/1.1\r\n${host}\r\n`, whole);
  if (got.status !== 200) fail(`an honest client got '${got.text.slice(0, 200)}' (${got.why})`);
  return got.text.slice(got.text.indexOf('\r\n\r\n') + 4);
}

// Smuggling, folding, bare CR and LF, lengths: one refusal, then the connection ends, and what stands
// behind is no request.
const post = `POST /api/events HTTP/1.1\r\n${host}`;
const refused = {
  'length and chunked': `${post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
  'chunked and length': `${post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`,
  'two lengths': `${post}Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
  'a list of lengths': `${post}Content-Length: 0, ${hidden.length}\r\n\r\n${hidden}`,
  'chunked twice': `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
  'chunked, identity': `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`,
  'another coding': `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
  'a vertical tab before chunked': `${post}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${hidden}`,
  'space before the colon': `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${hidden}`,
  'a folded coding': `${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${hidden}`,
  'a folded header': `${post}A: b\r\n\tc\r\nContent-Length: 0\r\n\r\n${hidden}`,
  'bare LF': `${post}Content-Length: 0\n\n${hidden}`,
  'bare LF in a header': `${post}A: b\nContent-Length: 9\r\n\r\n${hidden}`,
  'bare CR in a header': `${post}A: b\rContent-Length: 9\r\n\r\n${hidden}`,
  'bare CR behind a chunk': `${post}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r0\r\n\r\n${hidden}`,
  'a chunk size with a sign': `${post}Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n${hidden}`,
  'a chunk size in 0x': `${post}Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${hidden}`,
  'a chunk beyond 64 bits': `${post}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n${hidden}`,
  'a negative length': `${post}Content-Length: -1\r\n\r\n${hidden}`,
  'a length with a sign': `${post}Content-Length: +0\r\n\r\n${hidden}`,
  'a length beyond 64 bits': `${post}Content-Length: 18446744073709551616\r\n\r\n${hidden}`,
  'a length of a petabyte': `${post}Content-Length: 1125899906842624\r\n\r\n${hidden}`,
  'two hosts': `GET /health HTTP/1.1\r\n${host}${host}\r\n${hidden}`,
  'another host in the target': `GET http://other/health HTTP/1.1\r\n${host}\r\n${hidden}`,
  'HTTP/0.9': `GET /health\r\n\r\n${hidden}`,
  'HTTP/2': `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${hidden}`,
  'a NUL in a header': `GET /health HTTP/1.1\r\n${host}A: b\0c\r\n\r\n${hidden}`,
  'headers without end': `GET /health HTTP/1.1\r\n${host}${'A: b\r\n'.repeat(20000)}`,
  'a target without end': `GET /${'a'.repeat(100000)}`,
};

async function requests_refused() {
  for (const [name, bytes] of Object.entries(refused)) {
    const got = await talk(bytes);
    const answers = got.text.match(/HTTP\/1\.1 \d{3} /g)?.length;
    if (got.why !== 'closed' || answers !== 1 || !/^HTTP\/1\.1 (4\d\d|50[15]) /.test(got.text))
      fail(`${name}: ${got.why}, ${answers} answers: ${got.text.slice(0, 200)}`);
  }
}

// Paths that leave, and headers that are not to be: what was asked comes back in no header.
async function paths_refused() {
  const paths = ['/../../etc/passwd', '/docs/../../../etc/passwd', '/docs/..%2f..%2f..%2fetc%2fpasswd', '/%2e%2e/%2e%2e/etc/passwd',
    '/docs/....//....//etc/passwd', '/..%5c..%5cetc%5cpasswd', '//etc/passwd', '/docs/%00/etc/passwd', '/api/streams/..%2f..%2fetc'];
  const injected = ['/api/events/x%0d%0aInjected:%20yes', '/%0d%0aInjected:%20yes', '/api/events?type=%0d%0aInjected:%20yes',
    '/api/v1/streams/%0d%0aInjected:%20yes?x=%0d%0aInjected:%20yes'];
  for (const path of [...paths, ...injected]) {
    const got = await talk(`GET ${path} HTTP/1.1\r\n${host}X-Correlation-ID: %0d%0aInjected: yes\r\nConnection: close\r\n\r\n`);
    if (got.text.includes('root:')) fail(`${path} gives a file`);
    if (/^injected:/im.test(got.text.split('\r\n\r\n')[0])) fail(`${path} gives a header`);
    if (!/^HTTP\/1\.1 4\d\d /.test(got.text) && !path.includes('type=')) fail(`${path}: ${got.text.slice(0, 200)}`);
  }
}

// Bodies that grow: deep, long, or small on the wire.
async function bombs_refused() {
  const deep = 200000;
  const zeros = Buffer.alloc(64 << 20, 0x30);
  const json = 'Content-Type: application/json\r\n';
  const bombs = {
    'deep arrays': ['['.repeat(deep), json],
    'deep objects': ['{"a":'.repeat(deep), json],
    'deep data': [`{"type":"a.b","data":${'['.repeat(deep)}${']'.repeat(deep)}}`, json],
    'the same member again': [`{"type":"a.b"${',"type":"a.b"'.repeat(deep)}}`, json],
    'too many events': [`[${'{"type":"a.b"},'.repeat(20000)}{"type":"a.b"}]`, json],
    'a long string': [`{"type":"a.b","data":"${'x'.repeat(12 << 20)}"}`, json],
    'gzip': [gzipSync(zeros), `${json}Content-Encoding: gzip\r\n`],
    'gzip of a line without end': [gzipSync(zeros), 'Content-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n'],
  };
  for (const [name, [body, headers]] of Object.entries(bombs)) {
    const bytes = Buffer.from(body, 'latin1');
    const got = await talk(Buffer.concat([Buffer.from(`${post}${headers}Content-Length: ${bytes.length}\r\n\r\n`), bytes]), whole);
    const lines = headers.includes('ndjson') && got.text.includes('{"data":{"accepted":0,"rejected":1,');
    if (!/^HTTP\/1\.1 (400|413|422) /.test(got.text) && !lines) fail(`${name}: ${got.why} ${got.text.slice(0, 200)}`);
  }
}

// Floods: many requests in one go, all answered in order; and a client that never reads its answers.
async function floods_bounded() {
  const count = 5000;
  const socket = open();
  socket.pause();
  for (let i = 0; i < count; i++) socket.write(`GET /api/events/none HTTP/1.1\r\n${host}X-Correlation-ID: ${i}\r\n\r\n`);
  const silent = open();
  silent.pause();
  for (let i = 0; i < 200; i++) silent.write(`GET /docs HTTP/1.1\r\n${host}\r\n`.repeat(200));
  await honest();
  const got = until(socket, (text) => text.includes(`X-Correlation-ID: ${count - 1}\r\n`));
  socket.resume();
  const {text, why} = await got;
  const order = [...text.matchAll(/X-Correlation-ID: (\d+)\r\n/g)].map((one) => Number(one[1]));
  if (order.length !== count || order.some((n, i) => n !== i)) fail(`a flood: ${order.length} answers, ${why}`);
  await honest();
  socket.destroy();
  tell('while a client does not read');
  silent.destroy();
}

// Half-closed sockets: a whole request is answered, half of one is not and is let go.
async function half_closed() {
  const asked = open();
  asked.end(`GET /health HTTP/1.1\r\n${host}\r\n`);
  const got = await until(asked);
  if (got.status !== 200) fail(`half-closed: ${got.text}`);
  const half = open();
  half.end(`${post}Content-Length: 100\r\n\r\nabc`);
  const none = await until(half);
  if (none.why !== 'closed' || none.text) fail(`half a request: ${none.why} ${none.text}`);
}

// Slow heads and bodies: they wait, nobody waits for them.
async function slow_bounded() {
  const slow = Array.from({length: 300}, (_, i) => {
    const socket = open();
    socket.write(i % 2 ? `${post}Content-Length: 1000\r\nContent-Type: application/json\r\n\r\n` : `GET /health HTTP/1.1\r\n${host}`);
    return socket;
  });
  for (let round = 0; round < 10; round++) {
    for (const socket of slow) socket.write('a');
    const from = performance.now();
    await honest();
    if (performance.now() - from > 15000) fail('an honest client waits for the slow ones');
  }
  for (const socket of slow) socket.destroy();
}

// Many connections, each of which has asked once; then heads that never end on half of them.
async function many_connections() {
  const all = [];
  const before = resident_mib();
  for (let at = 0; at < connections; at += 100) {
    const some = Array.from({length: Math.min(100, connections - at)}, open);
    const answers = some.map((socket) => until(socket, whole));
    for (const socket of some) socket.write(`GET /health HTTP/1.1\r\n${host}\r\n`);
    for (const got of await Promise.all(answers)) if (got.status !== 200) fail(`connection ${at}: ${got.why} ${got.text}`);
    all.push(...some);
  }
  console.log(`${connections} connections: ${resident_mib() - before} MiB more`);
  const endless = `GET /health HTTP/1.1\r\n${host}A: ${'a'.repeat(31000)}`;
  let shed = 0; // those that are let go without a word: the oldest make way
  for (const socket of all.slice(0, 5000)) {
    let over = false;
    socket.once('data', () => { over = true; });
    for (const end of ['end', 'close']) socket.once(end, () => { shed += !over; over = true; });
    socket.write(endless);
  }
  const held = () => honest('/metrics').then((text) => Number(/skald_queue_bytes\{queue="http_heads"\} (\S+)/.exec(text)[1]));
  const enough = Math.min(connections, 5000) * 31000;
  const limit = 128 << 20;
  const patience = Date.now() + patience_ms;
  for (;;) {
    const bytes = await held();
    if (bytes > limit + (1 << 20)) fail(`${bytes} bytes of heads are held`);
    if (enough > limit ? shed > 0 && bytes > limit / 2 : bytes >= enough) break;
    if (Date.now() > patience) fail(`heads without end: ${bytes} bytes held, ${shed} let go`);
  }
  tell(`${shed} of the heads without end let go`);
  await honest();
  for (const socket of all) socket.destroy();
  while (await held() > 1 << 20) if (Date.now() > patience) fail('heads of clients that are gone are held');
}

tell('before');
for (const step of [requests_refused, paths_refused, bombs_refused, half_closed, slow_bounded, floods_bounded, many_connections]) {
  await step();
  await honest();
  tell(step.name);
}
if ((await honest('/api/events?type=hidden.event')).includes('"hidden.event"')) fail('a hidden request was obeyed');
