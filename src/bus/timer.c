// SPDX-License-Identifier: Apache-2.0
// A binary heap: the parent of place p (from 1) is p / 2 and is due no later.
//
// Invariants:
//   1. items[t->place - 1] == t for every timer that is set; place is 0 for every other.
//   2. count <= size: whoever makes an owner of a timer has reserved its place.
#include "bus/timer.h"

#include "base/alloc.h"

#include <assert.h>

void ski_timers_fini(ski_timers *timers)
{
    ski_free(timers->items);
    *timers = (ski_timers){0};
}

skald_err ski_timers_reserve(ski_timers *timers, uint32_t size)
{
    if (size <= timers->size) return SKALD_OK;
    uint64_t doubled = (uint64_t)timers->size * 2;
    uint32_t grown = doubled > size ? (uint32_t)doubled : size;
    ski_timer **items = ski_realloc(timers->items, (size_t)grown * sizeof(*items));

    if (!items) return SKALD_ENOMEM;
    timers->items = items;
    timers->size = grown;
    return SKALD_OK;
}

static void timers_put(ski_timers *timers, uint32_t place, ski_timer *timer)
{
    timers->items[place - 1] = timer;
    timer->place = place;
}

static void timers_rise(ski_timers *timers, uint32_t place, ski_timer *timer)
{
    while (place > 1) {
        ski_timer *parent = timers->items[place / 2 - 1];

        if (parent->due_ns <= timer->due_ns) break;
        timers_put(timers, place, parent);
        place /= 2;
    }
    timers_put(timers, place, timer);
}

static void timers_sink(ski_timers *timers, uint32_t place, ski_timer *timer)
{
    for (;;) {
        uint64_t child = (uint64_t)place * 2;

        if (child > timers->count) break;
        if (child < timers->count &&
            timers->items[child]->due_ns < timers->items[child - 1]->due_ns)
            child++;
        if (timers->items[child - 1]->due_ns >= timer->due_ns) break;
        timers_put(timers, place, timers->items[child - 1]);
        place = (uint32_t)child;
    }
    timers_put(timers, place, timer);
}

bool ski_timers_set(ski_timers *timers, ski_timer *timer, uint64_t due_ns)
{
    ski_timers_clear(timers, timer);
    assert(timers->count < timers->size);
    timer->due_ns = due_ns ? due_ns : 1;
    timers_rise(timers, ++timers->count, timer);
    return timer->place == 1;
}

void ski_timers_clear(ski_timers *timers, ski_timer *timer)
{
    uint32_t place = timer->place;

    if (!place) return;
    ski_timer *last = timers->items[--timers->count];

    timer->place = 0;
    if (last == timer) return;
    if (last->due_ns < timer->due_ns)
        timers_rise(timers, place, last);
    else
        timers_sink(timers, place, last);
}

ski_timer *ski_timers_take(ski_timers *timers, uint64_t now_ns)
{
    if (!timers->count || timers->items[0]->due_ns > now_ns) return NULL;
    ski_timer *timer = timers->items[0];

    ski_timers_clear(timers, timer);
    return timer;
}

uint64_t ski_timers_next(const ski_timers *timers)
{
    return timers->count ? timers->items[0]->due_ns : 0;
}
