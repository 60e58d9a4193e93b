// SPDX-License-Identifier: Apache-2.0
// The peer of history_memory: events in an array, as a Node service keeps its history.
// history.mjs EVENTS prints the bytes resident.
import {randomUUID} from 'node:crypto';

const types = [
  'order.created', 'order.paid', 'order.shipped', 'order.returned', 'invoice.created',
  'invoice.paid', 'invoice.sent', 'user.registered', 'user.login', 'task.completed',
];
const history = [];

for (let n = 0; n < Number(process.argv[2]); n++)
  history.push({
    id: randomUUID(), type: types[n % 10], stream: `order-${n % 1000}`,
    correlationId: `chain-${Math.floor(n / 10)}`, timestamp: new Date().toISOString(),
    data: {orderId: String(n).padStart(8, '0'), customer: `customer-${n % 1000}`,
      amount: n % 100000, currency: 'NOK', note: 'an event of about the usual size', paid: true},
  });
global.gc?.();
if (history.slice(-50).length !== 50) process.exit(1);
console.log(process.memoryUsage().rss);
