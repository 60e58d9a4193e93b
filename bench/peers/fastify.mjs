// SPDX-License-Identifier: Apache-2.0
// The peer of http_post_durable: events kept in an array, as the usual Node service does.
import {randomUUID} from 'node:crypto';
import fastify from 'fastify';

const app = fastify({logger: false});
const events_max = 1000000;
const events = [];

app.post('/events', (request, reply) => {
  const event = {id: randomUUID(), recordedAt: new Date().toISOString(), ...request.body};
  if (events.length === events_max) events.length = 0;
  events.push(event);
  reply.code(201).send({data: [{id: event.id, position: events.length}]});
});
await app.listen({port: Number(process.argv[2]), host: '127.0.0.1'});
