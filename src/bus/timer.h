// SPDX-License-Identifier: Apache-2.0
// bus/timer.h - what is due when: a binary heap of timers that stand inside what they belong to.
//
// Room is reserved when the owner is made, so that setting a timer never fails. One lock guards
// all.
#ifndef SKI_BUS_TIMER_H
#define SKI_BUS_TIMER_H

#include <skald/base.h>

typedef struct ski_timer {
    uint64_t due_ns;
    uint32_t place; // in the heap, from 1; 0: not set
    uint8_t kind;   // the owner's
} ski_timer;

typedef struct ski_timers {
    ski_timer **items;
    uint32_t count, size;
} ski_timers;

void ski_timers_fini(ski_timers *timers);
// ski_timers_reserve makes room for size timers in all. Fails: NOMEM, and nothing changed.
skald_err ski_timers_reserve(ski_timers *timers, uint32_t size) SKALD_CHECK;
// ski_timers_set sets, or moves, a timer. True: it is now the next one due.
bool ski_timers_set(ski_timers *timers, ski_timer *timer, uint64_t due_ns);
void ski_timers_clear(ski_timers *timers, ski_timer *timer); // not set: nothing
// ski_timers_take gives one that is due, cleared, or NULL.
ski_timer *ski_timers_take(ski_timers *timers, uint64_t now_ns);
uint64_t ski_timers_next(const ski_timers *timers); // when the next is due; 0: none

#endif
