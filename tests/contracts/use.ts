// SPDX-License-Identifier: Apache-2.0
// What a program in TypeScript may do with the contract, and what its compiler must refuse.
import {EventTypes, Money, ParcelSent} from './events.js';

const value: Money = {amount: '49.90', currency: 'NOK'};
const sent: ParcelSent = {
  parcel: 'P-7', 'sender-id': '0192f0c1-7d3e-7c55-a1b2-0123456789ab', insured: false, stamps: -3,
  sentAt: '2026-01-02T03:04:05.000000Z', dueOn: null, value, extra: {any: [1, null]}, labels: ['up'], seals: [],
  whole: {grams: 1}, parts: [{grams: 2, unit: 'g'}], danger: 'on-fire',
};

function take<Name extends keyof EventTypes>(type: Name, data: EventTypes[Name]): string {
  return `${type} ${JSON.stringify(data)}`;
}

take('parcel.sent', sent);
take('parcel.lost', {parcel: 'P-7'});

// @ts-expect-error: no such type
take('parcel.found', {parcel: 'P-7'});
// @ts-expect-error: a member is missing
take('parcel.lost', {});
// @ts-expect-error: another kind
take('parcel.sent', {...sent, stamps: 'three'});
// @ts-expect-error: none of its names
take('parcel.sent', {...sent, danger: 'flood'});
// @ts-expect-error: an amount is text, for it is exact
take('parcel.sent', {...sent, value: {amount: 49.9, currency: 'NOK'}});
