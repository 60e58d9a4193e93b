// SPDX-License-Identifier: Apache-2.0
// A load that remembers: load.mjs PORT CONNECTIONS ACKED UNANSWERED posts one event after the other on
// each connection until the server takes no more, and writes down the ids of those that were
// acknowledged and of those of which nothing was heard. Prints how many, and how long they took.
import {randomUUID} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import net from 'node:net';

const [port, connections] = [Number(process.argv[2]), Number(process.argv[3])];
const acked = [], unanswered = [], took_ms = [];
let refused = 0, broken = 0;

function run() {
  return new Promise((resolve) => {
    const socket = net.connect({port, host: '127.0.0.1', noDelay: true});
    let id = null, from = 0, text = '';
    const next = () => {
      id = randomUUID();
      from = performance.now();
      text = '';
      const body = JSON.stringify({id, type: 'load.made', stream: `load-${id.slice(0, 2)}`, data: {note: 'x'.repeat(150)}});
      socket.write(`POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    };
    socket.on('connect', next);
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      const length = /content-length: (\d+)/i.exec(text);
      if (end < 0 || !length || text.length < end + 4 + Number(length[1])) return;
      took_ms.push(performance.now() - from);
      if (text.startsWith('HTTP/1.1 201 ')) acked.push(id);
      else refused++;
      const closes = /\r\nconnection: close\r\n/i.test(text) || !text.startsWith('HTTP/1.1 201 ');
      id = null;
      if (closes) socket.end();
      else next();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (id) unanswered.push(id);
      if (id && text) broken++;
      resolve();
    });
  });
}

await Promise.all(Array.from({length: connections}, run));
took_ms.sort((a, b) => a - b);
const at = (share) => (took_ms[Math.min(took_ms.length - 1, Math.floor(took_ms.length * share))] ?? 0).toFixed(1);
writeFileSync(process.argv[4], acked.map((id) => `${id}\n`).sort().join(''));
writeFileSync(process.argv[5], unanswered.map((id) => `${id}\n`).sort().join(''));
console.log(`${acked.length} acknowledged, ${refused} refused, ${unanswered.length} unheard, ${broken} cut; ` +
  `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`);
process.exit(broken ? 1 : 0);
