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
#include "base/str.h"

#include <assert.h>
#include <string.h>

ski_delivery *ski_delivery_at(const skald_bus *bus, uint32_t slot)
{
    return &bus->chunks[slot / SKI_CHUNK_DELIVERIES][slot % SKI_CHUNK_DELIVERIES];
}

static skald_err pool_grow(skald_bus *bus)
{
    uint32_t made = bus->chunk_count * SKI_CHUNK_DELIVERIES;

    if (made >= bus->deliveries_max) return SKALD_EFULL;
    SKALD_TRY(ski_bus_timers_reserve(bus, SKI_CHUNK_DELIVERIES, bus->aside_timers));
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
    bus->free_count += SKI_CHUNK_DELIVERIES;
    return SKALD_OK;
}

// pool_has: one that is not kept for what is in trays?
static bool pool_has(skald_bus *bus)
{
    return bus->free_count > bus->reserved || !pool_grow(bus);
}

static ski_delivery *pool_take(skald_bus *bus)
{
    ski_delivery *delivery = bus->free_deliveries;

    bus->free_deliveries = delivery->next;
    bus->free_count--;
    delivery->next = NULL;
    return delivery;
}

bool ski_deliveries_reserve(skald_bus *bus, uint32_t count)
{
    while (bus->free_count < bus->reserved + count)
        if (pool_grow(bus)) return false;
    bus->reserved += count;
    return true;
}

static void pool_give(skald_bus *bus, ski_delivery *delivery)
{
    ski_tray_forget(delivery);
    ski_free(delivery->early_reason);
    ski_free(delivery->key_made);
    *delivery = (ski_delivery){
        .slot = delivery->slot,
        .generation = delivery->generation + 1,
        .next = bus->free_deliveries,
    };
    bus->free_deliveries = delivery;
    bus->free_count++;
}

skald_delivery_id ski_stand_id(uint32_t slot, uint64_t generation)
{
    return (skald_delivery_id){generation << SKI_DELIVERY_BITS | slot};
}

skald_delivery_id ski_delivery_id(const ski_delivery *delivery)
{
    return ski_stand_id(delivery->slot, delivery->generation);
}

// delivery_of gives what is in the slot of id, of whatever generation; NULL: there is no such slot.
static ski_delivery *delivery_of(const skald_bus *bus, skald_delivery_id id)
{
    uint32_t slot = ski_id_slot(id);

    return slot < bus->chunk_count * SKI_CHUNK_DELIVERIES ? ski_delivery_at(bus, slot) : NULL;
}

ski_delivery *ski_stand_find(const skald_bus *bus, skald_delivery_id id)
{
    ski_delivery *stand = delivery_of(bus, id);

    return stand && stand->state == SKI_STANDS ? stand : NULL;
}

ski_delivery *ski_delivery_find(skald_bus *bus, skald_delivery_id id)
{
    ski_delivery *delivery = delivery_of(bus, id);
    uint64_t generation = ski_id_generation(id);

    if (!delivery) return NULL;
    if (delivery->state == SKI_STANDS && delivery->tray) return ski_tray_find(delivery, generation);
    if (delivery->state == SKI_STANDS) return ski_page_run_find(delivery, generation);
    if (delivery->generation != generation) return NULL;
    return delivery->state == SKI_FREE ? NULL : delivery;
}

// Keys.

static bool key_equal(const ski_delivery *delivery, const ski_key *key, uint64_t hash)
{
    const ski_subscription *sub = delivery->subscription;
    skald_str tenant = delivery->event->tenant;

    if (delivery->key_hash != hash) return false;
    if (sub->order == SKALD_IN_SEQUENCE) return true;
    return delivery->key.len == key->key.len && tenant.len == key->tenant.len &&
           memcmp(delivery->key.ptr, key->key.ptr, key->key.len) == 0 &&
           (!tenant.len || memcmp(tenant.ptr, key->tenant.ptr, tenant.len) == 0);
}

static ski_delivery **key_bucket(const ski_subscription *sub, uint64_t hash)
{
    return &sub->buckets[hash & sub->bucket_mask];
}

// key_enter puts delivery in its key. True: it is the head.
static bool key_enter(ski_delivery *delivery, const ski_key *key)
{
    ski_subscription *sub = delivery->subscription;

    delivery->key_hash = key->hash;
    ski_delivery **bucket = key_bucket(sub, delivery->key_hash);

    for (ski_delivery *head = *bucket; head; head = head->bucket_next) {
        if (!key_equal(head, key, delivery->key_hash)) continue;
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

// lane_of gives the tenant's lane: its own while there are lanes.
static uint32_t lane_of(const ski_ready *ready, skald_str tenant)
{
    uint32_t first = tenant.len ? (uint32_t)ski_hash64(0, tenant.ptr, tenant.len) % SKI_LANES : 0;

    for (uint32_t i = 0; i < SKI_LANES; i++) {
        uint32_t lane = (first + i) % SKI_LANES;

        if (!(ready->used & 1U << lane)) return lane;
        skald_str there = ready->lanes[lane].first->event->tenant;

        if (there.len == tenant.len && (!tenant.len || skald_str_equal(there, tenant))) return lane;
    }
    return first;
}

static int priority_of(const skald_event *event)
{
    int priority = (int)event->priority - SKALD_LOW;

    if (priority < 0) return 0;
    return priority < SKI_PRIORITIES ? priority : SKI_PRIORITIES - 1;
}

void ski_delivery_ready(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;
    ski_ready *ready = &sub->ready[priority_of(delivery->event)];
    uint32_t lane = lane_of(ready, delivery->event->tenant);
    ski_queue *queue = &ready->lanes[lane];

    delivery->state = SKI_READY;
    delivery->next = NULL;
    if (!ready->used) ready->turn = (uint8_t)lane;
    if (ready->used & 1U << lane)
        queue->last->next = delivery;
    else
        queue->first = delivery;
    queue->last = delivery;
    ready->used |= (uint16_t)(1U << lane);
    sub->ready_count++;
    ski_runnable_look(sub);
}

static ski_delivery *ready_take(ski_ready *ready)
{
    uint32_t lane = ready->turn;

    while (!(ready->used & 1U << lane)) lane = (lane + 1) % SKI_LANES;
    ski_queue *queue = &ready->lanes[lane];
    ski_delivery *delivery = queue->first;

    queue->first = delivery->next;
    if (!queue->first) ready->used &= (uint16_t) ~(1U << lane);
    ready->turn = (uint8_t)((lane + 1) % SKI_LANES);
    return delivery;
}

static ski_delivery *ready_best(ski_subscription *sub)
{
    for (int i = SKI_PRIORITIES; i-- > 0;) {
        if (!sub->ready[i].used) continue;
        sub->ready_count--;
        return ready_take(&sub->ready[i]);
    }
    return NULL;
}

// ski_delivery_next also passes over what has expired: that is done.
ski_delivery *ski_delivery_next(ski_subscription *sub)
{
    ski_delivery *delivery;

    while ((delivery = ready_best(sub)) != NULL) {
        if (!delivery->expires_at || delivery->expires_at > ski_bus_now(sub->bus)) break;
        ski_aside *aside = delivery->aside;

        atomic_fetch_add_explicit(&sub->bus->expired, 1, memory_order_relaxed);
        sub->expired++;
        ski_ack_note(sub, delivery->event->position, delivery->event->position, true);
        ski_delivery_done(delivery);
        if (aside) ski_release_answered(aside);
    }
    return delivery;
}

static bool key_keep(ski_delivery *delivery, const ski_key *key)
{
    delivery->key = key->key;
    if (!key->scratch) return true;
    delivery->key_made = ski_str_terminated(key->key);
    delivery->key.ptr = delivery->key_made;
    return delivery->key_made != NULL;
}

// list_enter: nearly always behind all others.
static void list_enter(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;
    bool stray = !delivery->event->position;
    ski_delivery **oldest = stray ? &sub->strays_first : &sub->oldest;
    ski_delivery **newest = stray ? &sub->strays_last : &sub->newest;
    ski_delivery *older = *newest, *newer = NULL;

    while (older && older->event->position > delivery->event->position) {
        newer = older;
        older = older->older;
    }
    delivery->older = older;
    delivery->newer = newer;
    *(older ? &older->newer : oldest) = delivery;
    *(newer ? &newer->older : newest) = delivery;
}

static void list_leave(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;
    bool stray = !delivery->event->position;

    if (delivery->older)
        delivery->older->newer = delivery->newer;
    else
        *(stray ? &sub->strays_first : &sub->oldest) = delivery->newer;
    if (delivery->newer)
        delivery->newer->older = delivery->older;
    else
        *(stray ? &sub->strays_last : &sub->newest) = delivery->older;
}

bool ski_delivery_add(ski_subscription *sub, ski_hold *hold, const skald_event *event,
                      const ski_key *key, ski_aside *aside)
{
    skald_bus *bus = sub->bus;

    if (sub->run && sub->run->tray) (void)ski_page_run_break(sub->run);
    ski_trays_empty(sub);
    assert(sub->in_flight < sub->in_flight_max);
    assert(aside || !sub->newest || !event->position ||
           sub->newest->event->position < event->position);
    if (!pool_has(bus) || !key_keep(bus->free_deliveries, key)) return false;
    ski_delivery *delivery = pool_take(bus);

    delivery->subscription = sub;
    delivery->hold = hold;
    delivery->event = event;
    delivery->aside = aside;
    delivery->state = SKI_WAITING;
    delivery->expires_at = event->metadata.len ? ski_expiry(event) : 0;
    if (aside)
        aside->delivery = delivery;
    else
        list_enter(delivery);
    sub->in_flight++;
    sub->taken++;
    delivery->keyed = key->shared && sub->buckets;
    if (!delivery->keyed || key_enter(delivery, key)) ski_delivery_ready(delivery);
    return true;
}

// Stands.

ski_delivery *ski_stand_take(ski_subscription *sub)
{
    if (!pool_has(sub->bus)) return NULL;
    ski_delivery *stand = pool_take(sub->bus);

    stand->subscription = sub;
    stand->state = SKI_STANDS;
    return stand;
}

void ski_stand_give(ski_delivery *stand, uint64_t generations)
{
    stand->generation += generations;
    pool_give(stand->subscription->bus, stand);
}

// ready_leave takes one that is ready, wherever it stands, out of its queue.
static void ready_leave(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;
    ski_ready *ready = &sub->ready[priority_of(delivery->event)];

    assert(delivery->state == SKI_READY);
    for (uint32_t lane = 0; lane < SKI_LANES; lane++) {
        ski_queue *queue = &ready->lanes[lane];
        ski_delivery *before = NULL, *at = ready->used & 1U << lane ? queue->first : NULL;

        for (; at && at != delivery; at = at->next) before = at;
        if (!at) continue;
        *(before ? &before->next : &queue->first) = at->next;
        if (queue->last == at) queue->last = before;
        if (!queue->first) ready->used &= (uint16_t) ~(1U << lane);
        sub->ready_count--;
        delivery->state = SKI_WAITING;
        return;
    }
    assert(false);
}

// key_precede makes delivery the head of its key, whatever is in it already.
static void key_precede(ski_delivery *delivery, const ski_key *key)
{
    delivery->key_hash = key->hash;
    ski_delivery **at = key_bucket(delivery->subscription, key->hash);

    while (*at && !key_equal(*at, key, key->hash)) at = &(*at)->bucket_next;
    ski_delivery *head = *at;

    delivery->key_tail = head ? head->key_tail : delivery;
    delivery->key_next = head;
    delivery->bucket_next = head ? head->bucket_next : NULL;
    *at = delivery;
    if (head) ready_leave(head);
}

void ski_stand_enter(ski_delivery *stand, ski_hold *hold, const skald_event *event,
                     uint64_t generations)
{
    ski_subscription *sub = stand->subscription;
    ski_key key = ski_key_of(sub, event);

    assert(!key.scratch && sub->in_flight < sub->in_flight_max);
    stand->generation += generations;
    stand->hold = hold;
    hold->refs++;
    stand->event = event;
    stand->key = key.key;
    stand->state = SKI_RUNNING;
    stand->attempt = 1;
    list_enter(stand);
    sub->in_flight++;
    sub->taken++;
    stand->keyed = key.shared && sub->buckets;
    if (stand->keyed) key_precede(stand, &key);
}

ski_delivery *ski_delivery_out(ski_tray *tray, const skald_event *event)
{
    ski_subscription *sub = tray->subscription;
    ski_key key = ski_key_of(sub, event);
    ski_delivery *delivery = pool_take(sub->bus);

    assert(!key.scratch);
    delivery->subscription = sub;
    delivery->hold = tray->hold;
    delivery->event = event;
    delivery->key = key.key;
    delivery->attempt = 1;
    list_enter(delivery);
    delivery->keyed = key.shared && sub->buckets;
    bool first = !delivery->keyed || key_enter(delivery, &key);

    assert(first);
    ski_pending_enter(delivery, tray->due_ns);
    return delivery;
}

// window_leave forgets a delivery that is in no key any more.
static void window_leave(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;

    if (delivery->aside)
        delivery->aside->delivery = NULL;
    else
        list_leave(delivery);
    sub->in_flight--;
    ski_timers_clear(&sub->bus->timers, &delivery->timer);
    ski_hold_drop(delivery->hold);
    pool_give(sub->bus, delivery);
}

void ski_delivery_done(ski_delivery *delivery)
{
    ski_subscription *sub = delivery->subscription;
    ski_delivery *heir = delivery->keyed ? key_advance(delivery) : NULL;

    window_leave(delivery);
    ski_save_mark(sub);
    if (heir) ski_delivery_ready(heir);
}

void ski_delivery_take_key(ski_delivery *head,
                           void (*told)(void *context, const skald_event *event), void *context)
{
    ski_subscription *sub = head->subscription;

    for (ski_delivery *next = head; next;) {
        ski_delivery *heir = next->keyed ? key_advance(next) : NULL;

        if (next != head) told(context, next->event);
        window_leave(next);
        next = heir;
    }
    ski_save_mark(sub);
}

static void lose_one(ski_delivery *delivery)
{
    skald_bus *bus = delivery->subscription->bus;

    delivery->keyed = false;
    if (delivery->state == SKI_RUNNING) {
        delivery->lost = true;
        delivery->generation++;
        ski_tray_forget(delivery);
        return;
    }
    if (delivery->state == SKI_PENDING) bus->active--;
    window_leave(delivery);
}

void ski_delivery_each(ski_subscription *sub, void (*visit)(ski_delivery *delivery))
{
    for (ski_delivery *delivery = sub->oldest, *newer; delivery; delivery = newer) {
        newer = delivery->newer;
        visit(delivery);
    }
    for (ski_delivery *delivery = sub->strays_first, *newer; delivery; delivery = newer) {
        newer = delivery->newer;
        visit(delivery);
    }
    for (uint32_t i = 0; i < sub->aside_count; i++)
        if (sub->asides[i]->delivery) visit(sub->asides[i]->delivery);
}

void ski_delivery_lose(ski_subscription *sub)
{
    ski_trays_empty(sub);
    if (sub->buckets) memset(sub->buckets, 0, (sub->bucket_mask + 1) * sizeof(*sub->buckets));
    ski_delivery_each(sub, lose_one);
    sub->pending = sub->retrying = sub->ready_count = 0;
    sub->pending_first = sub->pending_last = NULL;
    ski_timers_clear(&sub->bus->timers, &sub->pending_timer);
    memset(sub->ready, 0, sizeof(sub->ready));
}

static void resume_one(ski_delivery *delivery)
{
    if (!delivery->exhausted) return;
    delivery->exhausted = false;
    delivery->attempt = 0;
    ski_delivery_ready(delivery);
}

void ski_delivery_resume(ski_subscription *sub)
{
    ski_delivery_each(sub, resume_one);
}

void ski_delivery_drop_all(ski_subscription *sub)
{
    ski_trays_empty(sub);
    ski_delivery_each(sub, window_leave);
    assert(!sub->in_flight);
    sub->ready_count = sub->retrying = 0;
    sub->pending_first = sub->pending_last = NULL;
    ski_timers_clear(&sub->bus->timers, &sub->pending_timer);
    memset(sub->ready, 0, sizeof(sub->ready));
}
