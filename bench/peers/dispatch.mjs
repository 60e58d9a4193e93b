// SPDX-License-Identifier: Apache-2.0
// The peer of dispatch_inline and dispatch_async: the event bus that a Node service writes for itself.
// A uuid, a time, a history of 1,000, every handler awaited, an error of one kept from the others.
// dispatch.mjs now|later HANDLERS prints events a second; later: a handler answers in another turn.
import {randomUUID} from 'node:crypto';

const history_max = 1000;

class EventBus {
  handlers = new Map();
  history = [];

  subscribe(type, handler) {
    this.handlers.set(type, [...(this.handlers.get(type) ?? []), handler]);
  }

  async publish(type, data, stream) {
    const event = {id: randomUUID(), type, stream, data, timestamp: new Date().toISOString()};

    this.history.push(event);
    if (this.history.length > history_max) this.history.shift();
    const handlers = this.handlers.get(type) ?? [];
    await Promise.all(handlers.map(async (handler) => {
      try {
        await handler(event);
      } catch (error) {
        console.error(error);
      }
    }));
  }
}

const [how, count] = process.argv.slice(2);
const bus = new EventBus();
const types = [
  'order.created', 'order.paid', 'order.shipped', 'order.returned', 'invoice.created',
  'invoice.paid', 'invoice.sent', 'user.registered', 'user.login', 'task.completed',
];
let sum = 0;

for (let i = 0; i < Number(count); i++)
  for (const type of types)
    bus.subscribe(type, how === 'later' ? async (event) => {
      await null;
      sum += event.type.length + event.stream.length;
    } : async (event) => {
      sum += event.type.length + event.stream.length;
    });

const datas = Array.from({length: 500}, (_, n) => ({orderId: String(n).padStart(8, '0'), customer: `customer-${n % 1000}`,
  amount: n % 100000, currency: 'NOK', note: 'an event of about the usual size', paid: true}));
const streams = Array.from({length: 500}, (_, n) => `order-${n}`);
const run = async (events) => {
  for (let n = 0; n < events; n++) await bus.publish(types[n % 10], datas[n % 500], streams[n % 500]);
};

await run(50000); // until it is compiled
const from = performance.now();
const events = 400000;

await run(events);
if (!sum) process.exit(1);
console.log(Math.round(events / ((performance.now() - from) / 1000)));
