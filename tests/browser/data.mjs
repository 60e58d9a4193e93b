// SPDX-License-Identifier: Apache-2.0
// What a small shop did: several chains of causes, streams with a history, and enough to look at.
import {randomUUID} from 'node:crypto';

const people = ['Ada Lovelace', 'Grace Hopper', 'Alan Turing', 'Edsger Dijkstra', 'Barbara Liskov', 'Tony Hoare'];
const towns = ['Bergen', 'Oslo', 'Trondheim', 'Tromsø', 'Ålesund', 'Molde'];

// publish gives the stored events' ids, positions and correlation ids.
export async function publish(url, events) {
  const reply = await fetch(`${url}/api/events`, {
    method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(events),
  });
  const body = await reply.json();
  if (!reply.ok) throw new Error(`publish: ${reply.status} ${JSON.stringify(body)}`);
  return body.data;
}

// order makes the events of one order: what led to what is in causationId.
export function order(number) {
  const stream = `order-${number}`;
  const correlationId = `checkout-${number}`;
  const [placed, reserved, paid, packed, mailed, shipped] = Array.from({length: 6}, () => randomUUID());
  const total = 99 + number * 7;
  const made = (id, type, of, data, causationId) => ({
    id, type, ...(of ? {stream: of} : {}), correlationId, ...(causationId ? {causationId} : {}), source: 'shop',
    actor: {userId: `customer-${number}`, role: 'customer'}, data,
  });
  const customer = {name: people[number % people.length], town: towns[(number * 5) % towns.length]};
  return [
    made(placed, 'order.placed', stream, {orderId: stream, customer, total, currency: 'NOK', status: 'placed', items: [{sku: `SKU-${100 + number}`, count: 1 + (number % 3)}]}),
    made(reserved, 'stock.reserved', `warehouse-${number % 3}`, {orderId: stream, sku: `SKU-${100 + number}`, left: 40 - number}, placed),
    made(paid, 'payment.received', `payment-${number}`, {orderId: stream, amount: total, method: 'card'}, placed),
    made(packed, 'order.paid', stream, {status: 'paid', paidWith: 'card'}, paid),
    made(mailed, 'mail.sent', null, {to: customer.name, template: 'receipt'}, packed),
    made(shipped, 'order.shipped', stream, {status: 'shipped', parcel: `NO${70000 + number}`, customer: {town: 'delivered to ' + customer.town}}, packed),
  ];
}

export async function fill(url, orders = 24) {
  for (let number = 1; number <= orders; number++) {
    const events = order(number);
    await publish(url, events.slice(0, 3)); // apart, so that the tree has times
    await new Promise((resolve) => setTimeout(resolve, 4));
    await publish(url, events.slice(3));
  }
}
