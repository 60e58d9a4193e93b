// SPDX-License-Identifier: Apache-2.0
// Trays: what a run has handed out and what is to be answered later, without a delivery of each.
//
// A handler that answers PENDING does not break its run (page_run.c) if that has a tray. Of each
// event that is out a tray holds one bit; an id is the slot of its stand and a generation for each
// event, so that an answer finds its bit at once. An ACK takes the bit away: that is all an end is.
//
// Whatever else is to become of one of them (another answer, no answer in time, a delivery that
// comes in beside it, a reset, an end, somebody who asks what it is about) empties the trays of its
// subscription first: each bit becomes the delivery it would have been, pending, the head of its
// key, due when the tray is. So nobody else knows trays; what they took of memory for that was
// reserved when they were made, and emptying them never fails.
//
// Invariants:
//   1. A subscription's trays are listed by position, each with open_count > 0 and a hold; outs is
//      the sum of open_count, part of in_flight, of active of the bus, and of reserved.
//   2. free_count >= reserved: as many free deliveries as bits are out, or may be at the end of a
//      run that is under way.
//   3. No two that are out, nor one that is out and a delivery, are of one key.
//   4. A tray stays while a delivery has the id that it gave: moved has its bit, and the delivery
//      knows the tray, until that attempt is over.
//   5. While a run is under way its tray is not listed, and holds nothing: the run knows.
#include "bus/engine.h"

#include "base/alloc.h"

#include <assert.h>
#include <string.h>

static bool bit_has(const uint64_t *bits, uint64_t index)
{
    return bits[index / 64] >> index % 64 & 1;
}

static void bit_set(uint64_t *bits, uint64_t index)
{
    bits[index / 64] |= UINT64_C(1) << index % 64;
}

static void bit_clear(uint64_t *bits, uint64_t index)
{
    bits[index / 64] &= ~(UINT64_C(1) << index % 64);
}

static ski_tray *tray_get(skald_bus *bus)
{
    ski_tray *tray = bus->free_trays;

    if (!tray) return ski_alloc(sizeof(*tray));
    bus->free_trays = tray->newer;
    bus->free_tray_count--;
    return tray;
}

static void tray_give(skald_bus *bus, ski_tray *tray)
{
    if (bus->free_tray_count >= bus->trays_kept) {
        ski_free(tray);
        return;
    }
    tray->newer = bus->free_trays;
    bus->free_trays = tray;
    bus->free_tray_count++;
}

ski_tray *ski_tray_new(ski_subscription *sub, uint32_t room)
{
    skald_bus *bus = sub->bus;

    if (!ski_deliveries_reserve(bus, room)) return NULL;
    ski_delivery *stand = ski_stand_take(sub);
    ski_tray *tray = stand ? tray_get(bus) : NULL;

    if (!tray) {
        if (stand) ski_stand_give(stand, 0);
        bus->reserved -= room;
        return NULL;
    }
    tray->subscription = sub;
    tray->stand = stand;
    tray->hold = NULL;
    tray->open_count = tray->moved_count = 0;
    tray->began_ns = 0;
    memset(tray->open, 0, sizeof(tray->open));
    memset(tray->moved, 0, sizeof(tray->moved));
    stand->tray = tray;
    return tray;
}

void ski_trays_fini(skald_bus *bus)
{
    while (bus->free_trays) {
        ski_tray *tray = bus->free_trays;

        bus->free_trays = tray->newer;
        ski_free(tray);
    }
}

// tray_look: none of its ids is of any use any more? Then it goes.
static void tray_look(ski_tray *tray)
{
    if (tray->open_count || tray->moved_count) return;
    skald_bus *bus = tray->subscription->bus;

    tray->stand->tray = NULL;
    ski_stand_give(tray->stand, SKI_TRAY_EVENTS);
    tray_give(bus, tray);
}

static void tray_unlist(ski_tray *tray)
{
    ski_subscription *sub = tray->subscription;

    *(tray->older ? &tray->older->newer : &sub->trays_first) = tray->newer;
    *(tray->newer ? &tray->newer->older : &sub->trays_last) = tray->older;
    sub->tray_count--;
    ski_hold_drop(tray->hold);
    tray->hold = NULL;
}

static const skald_event *event_of(const ski_tray *tray, uint64_t index)
{
    return &tray->hold->page->store_page.events[tray->from + index];
}

// tray_less: so many are not out any more.
static void tray_less(ski_tray *tray, uint32_t count)
{
    ski_subscription *sub = tray->subscription;

    tray->open_count -= count;
    sub->outs -= count;
    sub->bus->reserved -= count;
}

void ski_tray_moves(ski_tray *tray, uint32_t index, ski_delivery *delivery)
{
    bit_set(tray->moved, index);
    tray->slots[index] = delivery->slot;
    tray->moved_count++;
    delivery->tray = tray;
    delivery->tray_index = index;
}

void ski_tray_forget(ski_delivery *delivery)
{
    ski_tray *tray = delivery->tray;

    if (!tray) return;
    bit_clear(tray->moved, delivery->tray_index);
    tray->moved_count--;
    delivery->tray = NULL;
    tray_look(tray);
}

void ski_tray_list(ski_tray *tray, const uint64_t *open, uint32_t room)
{
    ski_subscription *sub = tray->subscription;
    skald_bus *bus = sub->bus;
    uint32_t count = 0;

    for (size_t i = 0; i < SKI_TRAY_WORDS; i++) {
        tray->open[i] = open[i];
        count += (uint32_t)__builtin_popcountll(open[i]);
    }
    bus->reserved -= room - count;
    if (!count) {
        tray_look(tray);
        return;
    }
    tray->hold = sub->source;
    tray->hold->refs++;
    tray->due_ns = ski_bus_now_ns(bus) + sub->retry.timeout_ms * SKI_NS_PER_MS;
    tray->open_count = count;
    tray->older = sub->trays_last;
    tray->newer = NULL;
    *(tray->older ? &tray->older->newer : &sub->trays_first) = tray;
    sub->trays_last = tray;
    sub->tray_count++;
    sub->outs += count;
    sub->in_flight += count;
    bus->active += count;
    if (!sub->pending_timer.place) ski_bus_timer_at(bus, &sub->pending_timer, tray->due_ns);
}

// tray_ack: false: it is not out. Counted by whoever has several.
static bool tray_ack(ski_tray *tray, uint64_t index, bool logs)
{
    ski_subscription *sub = tray->subscription;

    if (index >= SKI_TRAY_EVENTS) return false;
    if (sub->run && sub->run->tray == tray) return ski_page_run_acks(sub->run, (uint32_t)index);
    if (!bit_has(tray->open, index)) return false;
    const skald_event *event = event_of(tray, index);

    bit_clear(tray->open, index);
    if (logs) ski_call_passed(sub, event);
    if (sub->durable) // of no other is anything noted: a call less an event
        ski_ack_note(sub, event->position, event->position, false);
    if (tray->began_ns && tray->measured == index) ski_measured(sub->bus, tray->began_ns);
    return true;
}

size_t ski_tray_acks(ski_delivery *stand, const skald_delivery_id *ids, size_t count)
{
    ski_tray *tray = stand->tray;
    ski_subscription *sub = stand->subscription;
    bool logs = ski_calls_logged(sub);
    uint32_t acked = 0;

    while (acked < count && ski_id_slot(ids[acked]) == stand->slot &&
           tray_ack(tray, ski_id_generation(ids[acked]) - stand->generation, logs))
        acked++;
    if (!acked || !tray->hold) return acked; // its run, which is under way, counts
    tray_less(tray, acked);
    sub->in_flight -= acked;
    ski_active_less(sub->bus, acked);
    ski_outs_acked(sub, acked);
    if (tray->open_count) return acked;
    tray_unlist(tray);
    tray_look(tray);
    return acked;
}

ski_delivery *ski_tray_find(ski_delivery *stand, uint64_t generation)
{
    ski_tray *tray = stand->tray;
    ski_subscription *sub = stand->subscription;
    uint64_t index = generation - stand->generation;

    if (index >= SKI_TRAY_EVENTS) return NULL;
    if (sub->run && sub->run->tray == tray) {
        if (!ski_page_run_gave(sub->run, (uint32_t)index)) return NULL;
        (void)ski_page_run_break(sub->run);
        if (stand->tray != tray) return NULL; // the call is over just now, and with it the tray
    }
    if (bit_has(tray->open, index)) ski_trays_empty(sub);
    return bit_has(tray->moved, index) ? ski_delivery_at(sub->bus, tray->slots[index]) : NULL;
}

static void tray_empty(ski_tray *tray)
{
    uint32_t count = tray->open_count;

    for (uint32_t index = 0; index < SKI_TRAY_EVENTS; index++) {
        if (!bit_has(tray->open, index)) continue;
        tray->hold->refs++;
        ski_delivery *delivery = ski_delivery_out(tray, event_of(tray, index));

        if (tray->measured == index) delivery->began_ns = tray->began_ns;
        ski_tray_moves(tray, index, delivery);
    }
    memset(tray->open, 0, sizeof(tray->open));
    tray_less(tray, count);
    tray_unlist(tray);
}

void ski_trays_empty(ski_subscription *sub)
{
    while (sub->trays_first) tray_empty(sub->trays_first);
}

void ski_trays_due(ski_subscription *sub, uint64_t now_ns)
{
    while (sub->trays_first && sub->trays_first->due_ns <= now_ns) tray_empty(sub->trays_first);
}

void ski_trays_few(ski_subscription *sub)
{
    while (sub->tray_count >= SKI_TRAYS_MAX) tray_empty(sub->trays_first);
}

void ski_trays_each(const ski_subscription *sub,
                    void (*told)(void *context, ski_page *page, size_t index), void *context)
{
    for (const ski_tray *tray = sub->trays_first; tray; tray = tray->newer)
        for (uint32_t i = 0; i < SKI_TRAY_WORDS; i++)
            for (uint64_t left = tray->open[i]; left; left &= left - 1)
                told(context, tray->hold->page,
                     tray->from + i * 64 + (uint32_t)__builtin_ctzll(left));
}

bool ski_trays_have(const ski_subscription *sub, uint64_t position)
{
    for (const ski_tray *tray = sub->trays_first; tray; tray = tray->newer)
        for (uint32_t index = 0; index < SKI_TRAY_EVENTS; index++)
            if (bit_has(tray->open, index) && event_of(tray, index)->position == position)
                return true;
    return false;
}

uint64_t ski_trays_oldest(const ski_subscription *sub)
{
    const ski_tray *tray = sub->trays_first;
    uint32_t index = 0;

    if (!tray) return UINT64_MAX;
    while (!bit_has(tray->open, index)) index++;
    return event_of(tray, index)->position;
}
