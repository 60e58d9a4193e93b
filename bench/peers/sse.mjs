// SPDX-License-Identifier: Apache-2.0
// The peer of sse_fanout: every event that is posted goes to every open stream, as the usual Node
// service does it: written down once, and a write for each client.
import {randomUUID} from 'node:crypto';
import {createServer} from 'node:http';

const clients = new Set();
let position = 0;

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.writeHead(200, {'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store'});
    response.write(': \n\n');
    clients.add(response);
    request.on('close', () => clients.delete(response));
    return;
  }
  let body = '';
  request.on('data', (bytes) => { body += bytes; });
  request.on('end', () => {
    for (const posted of [].concat(JSON.parse(body))) {
      const event = {id: randomUUID(), position: ++position, recordedAt: new Date().toISOString(), ...posted};
      const text = `id: ${position}\ndata: ${JSON.stringify(event)}\n\n`;
      for (const client of clients) client.write(text);
    }
    response.writeHead(201, {'Content-Type': 'application/json'});
    response.end('{}');
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', 1024);
