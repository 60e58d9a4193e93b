// SPDX-License-Identifier: Apache-2.0
// Deliveries: where they are kept, in which order they become ready.
//
// Every delivery in flight stands in its subscription's list by position (what is not done), and,
// where there is an order, in the chain of its key. Only the head of a key is ready, runs, waits
// for an answer or for its next attempt; so a key has at most one outstanding, across retries too,
// and a key that fails keeps only its own back.
//
// Invariants:
//   1. oldest .. newest rise strictly in position; in_flight is their number, at most
//   in_flight_max.
//   2. A key is in a bucket exactly while it has deliveries, by its head; the others of it are
//   WAITING.
//   3. The heap of timers has room for every delivery ever made.
#include "bus/engine.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <string.h>

static ski_delivery *delivery_at(const skald_bus *bus, uint32_t slot)
{
    return &bus->chunks[slot / SKI_CHUNK_DELIVERIES][slot % SKI_CHUNK_DELIVERIES];
}

static skald_err pool_grow(skald_bus *bus)
{
    uint32_t made = bus->chunk_count * SKI_CHUNK_DELIVERIES;

    if (made >= bus->deliveries_max) return SKALD_EFULL;
    SKALD_TRY(
        ski_timers_reserve(&bus->timers, made + SKI_CHUNK_DELIVERIES + bus->subscriptions_max));
    if (bus->chunk_count == bus->chunk_size) {
        uint32_t size = bus->chunk_size ? bus->chunk_size * 2 : 16;
        ski_delivery **chunks = ski_realloc(bus->chunks, size * sizeof(*chunks));

        if (!chunks) return SKALD_ENOMEM;
        bus->chunks = chunks;
        bus->chunk_size = size;
    }
    ski_delivery *chunk = ski_alloc_zeroed(SKI_CHUNK_DELIVERIES, sizeof(*chunk));

    if (!chunk) return SKALD_ENOMEM;
    bus->chunks[bus->chunk_count++] = chunk;
    for (uint32_t i = SKI_CHUNK_DELIVERIES; i-- > 0;) {
        chunk[i].slot = made + i;
        chunk[i].generation = bus->generation_base;
        chunk[i].next = bus->free_deliveries;
        bus->free_deliveries = &chunk[i];
    }
    return SKALD_OK;
}

static void pool_give(skald_bus *bus, ski_delivery *delivery)
{
    ski_free(delivery->early_reason);
    *delivery = (ski_delivery){
        .slot = delivery->slot,
        .generation = delivery->generation + 1,
        .next = bus->free_deliveries,
    };
    bus->free_deliveries = delivery;
}

skald_delivery_id ski_delivery_id(const ski_delivery *delivery)
{
    return (skald_delivery_id){delivery->generation << SKI_DELIVERY_BITS | delivery->slot};
}

ski_delivery *ski_delivery_find(skald_bus *bus, skald_delivery_id id)
{
    uint64_t slot = id.id & (SKI_DELIVERIES_MAX - 1);

    if (slot >= (uint64_t)bus->chunk_count * SKI_CHUNK_DELIVERIES) return NULL;
    ski_delivery *delivery = delivery_at(bus, (uint32_t)slot);

    if (delivery->generation != id.id >> SKI_DELIVERY_BITS) return NULL;
    return delivery->state == SKI_FREE ? NULL : delivery;
}

// Keys.

static bool has_key(const ski_subscription *sub, const skald_event *event)
{
    return sub->buckets && (sub->order == SKALD_IN_SEQUENCE || event->stream.len);
}

static uint64_t key_hash(const ski_subscription *sub, const skald_event *event)
{
    if (sub->order == SKALD_IN_SEQUENCE) return 0;
    uint64_t hash = event->tenant.len ? ski_hash64(0, event->tenant.ptr, event->tenant.len) : 0;

    return ski_hash64(hash, event->stream.ptr, event->stream.len);
}

static bool key_equal(const ski_subscription *sub, const skald_event *a, const skald_event *b)
{
    if (sub->order == SKALD_IN_SEQUENCE) return true;
    return a->stream.len == b->stream.len && a->tenant.len == b->tenant.len &&
           memcmp(a->stream.ptr, b->stream.ptr, a->stream.len) == 0 &&
           (!a->tenant.len || memcmp(a->tenant.ptr, b->tenant.ptr, a->tenant.len) == 0);
}

static ski_delivery **key_bucket(const ski_subscription *sub, uint64_t hash)
{
    return &sub->buckets[hash & sub->bucket_mask];
}

// key_enter puts delivery in its key. True: it is the head.
static bool key_enter(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;

    delivery->key_hash = key_hash(sub, delivery->event);
    ski_delivery **bucket = key_bucket(sub, delivery->key_hash);

    for (ski_delivery *head = *bucket; head; head = head->bucket_next) {
        if (head->key_hash != delivery->key_hash || !key_equal(sub, head->event, delivery->event))
            continue;
        head->key_tail->key_next = delivery;
        head->key_tail = delivery;
        return false;
    }
    delivery->key_tail = delivery;
    delivery->bucket_next = *bucket;
    *bucket = delivery;
    return true;
}

// key_advance takes the head out. Gives the new one, or NULL: the key is gone.
static ski_delivery *key_advance(ski_delivery *head)
{
    ski_delivery **at = key_bucket(head->subscription, head->key_hash);
    ski_delivery *heir = head->key_next;

    while (*at != head) {
        assert(*at);
        at = &(*at)->bucket_next;
    }
    *at = head->bucket_next;
    if (!heir) return NULL;
    heir->key_tail = head->key_tail;
    heir->bucket_next = *at;
    *at = heir;
    return heir;
}

// Life.

void ski_delivery_ready(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;
    int priority = (int)delivery->event->priority - SKALD_LOW;

    if (priority < 0) priority = 0;
    if (priority >= SKI_PRIORITIES) priority = SKI_PRIORITIES - 1;
    ski_queue *queue = &sub->ready[priority];

    delivery->state = SKI_READY;
    delivery->next = NULL;
    if (queue->first)
        queue->last->next = delivery;
    else
        queue->first = delivery;
    queue->last = delivery;
    sub->ready_count++;
    ski_runnable_look(sub);
}

ski_delivery *ski_delivery_next(ski_subscription *sub)
{
    for (int i = SKI_PRIORITIES; i-- > 0;) {
        ski_delivery *delivery = sub->ready[i].first;

        if (!delivery) continue;
        sub->ready[i].first = delivery->next;
        sub->ready_count--;
        return delivery;
    }
    return NULL;
}

bool ski_delivery_add(ski_subscription *sub, ski_hold *hold, const skald_event *event)
{
    skald_bus *bus = sub->bus;

    assert(sub->in_flight < sub->in_flight_max);
    assert(!sub->newest || sub->newest->event->position < event->position);
    if (!bus->free_deliveries && pool_grow(bus)) return false;
    ski_delivery *delivery = bus->free_deliveries;

    bus->free_deliveries = delivery->next;
    delivery->subscription = sub;
    delivery->hold = hold;
    delivery->event = event;
    delivery->state = SKI_WAITING;
    delivery->next = NULL;
    delivery->older = sub->newest;
    if (sub->newest)
        sub->newest->newer = delivery;
    else
        sub->oldest = delivery;
    sub->newest = delivery;
    sub->in_flight++;
    delivery->keyed = has_key(sub, event);
    if (!delivery->keyed || key_enter(delivery)) ski_delivery_ready(delivery);
    return true;
}

void ski_delivery_done(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;
    ski_delivery *heir = delivery->keyed ? key_advance(delivery) : NULL;

    if (delivery->older)
        delivery->older->newer = delivery->newer;
    else
        sub->oldest = delivery->newer;
    if (delivery->newer)
        delivery->newer->older = delivery->older;
    else
        sub->newest = delivery->older;
    sub->in_flight--;
    ski_hold_drop(delivery->hold);
    pool_give(sub->bus, delivery);
    ski_save_mark(sub);
    if (heir) ski_delivery_ready(heir);
}

void ski_delivery_drop_all(ski_subscription *sub)
{
    while (sub->oldest) {
        ski_delivery *delivery = sub->oldest;

        sub->oldest = delivery->newer;
        ski_timers_clear(&sub->bus->timers, &delivery->timer);
        ski_hold_drop(delivery->hold);
        pool_give(sub->bus, delivery);
    }
    sub->newest = NULL;
    sub->in_flight = sub->ready_count = sub->retrying = 0;
    for (int i = 0; i < SKI_PRIORITIES; i++) sub->ready[i] = (ski_queue){0};
}
