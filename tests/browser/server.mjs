// SPDX-License-Identifier: Apache-2.0
// The server under test, its API asked as a program would, and a worker of a pull group.
import {spawn} from 'node:child_process';

const {SKALD} = process.env;
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function serve(...options) {
  return new Promise((resolve, reject) => {
    const given = [...(options.length ? options : ['--data', 'memory:']), ...(options.includes('--port') ? [] : ['--port', '0'])];
    const child = spawn(SKALD, ['serve', ...given], {stdio: ['ignore', 'pipe', 'pipe']});
    let out = '';
    let errors = '';
    child.stderr.on('data', (text) => { errors = (errors + text).slice(-4000); });
    child.stdout.on('data', (text) => {
      out += text;
      const found = /page\s+(http:\S+?)\/?\s/.exec(out);
      if (found) resolve({child, url: found[1], said: () => errors});
    });
    child.on('exit', (status) => reject(new Error(`the server ended with ${status}: ${errors}`)));
  });
}

// end stops it as a person would, and gives its exit status.
export function end(server) {
  if (server.child.exitCode !== null) return Promise.resolve(server.child.exitCode);
  server.child.removeAllListeners('exit');
  return new Promise((resolve) => {
    server.child.on('exit', resolve);
    server.child.kill('SIGTERM');
  });
}

export async function api(url, method, path, body) {
  const reply = await fetch(url + path, {method, headers: {'Content-Type': 'application/json'}, ...(body ? {body: JSON.stringify(body)} : {})});
  const text = await reply.text();
  return {status: reply.status, body: text.startsWith('{') ? JSON.parse(text) : text};
}

// A worker takes deliveries of a pull group, and acknowledges those that good(event) likes.
export function work(url, name, good = () => true) {
  const worker = {stopped: false, taken: []};
  worker.done = (async () => {
    while (!worker.stopped) {
      const {body} = await api(url, 'GET', `/api/subscriptions/${name}/deliveries?max=50&waitMs=200`);
      const list = body.data ?? [];
      const likes = list.filter((one) => good(one.event));
      const refuses = list.filter((one) => !good(one.event));
      worker.taken.push(...likes.map((one) => one.event));
      if (likes.length) await api(url, 'POST', `/api/subscriptions/${name}/ack`, {deliveries: likes.map((one) => one.deliveryId)});
      if (refuses.length) await api(url, 'POST', `/api/subscriptions/${name}/nack`, {deliveries: refuses.map((one) => one.deliveryId), reason: 'the printer is out of paper', delayMs: 0});
      if (!list.length) await sleep(50);
    }
  })().catch((error) => { worker.error = error; });
  worker.stop = async () => {
    worker.stopped = true;
    await worker.done;
    if (worker.error) throw worker.error;
  };
  return worker;
}
