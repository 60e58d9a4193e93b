// SPDX-License-Identifier: Apache-2.0
// store/tally.h - how many events of each type are hidden and still stored, so that what a driver
// counts can be told without them. One thread.
#ifndef SKI_STORE_TALLY_H
#define SKI_STORE_TALLY_H

#include "base/map.h"
#include "store/sight.h"

typedef struct ski_tally {
    ski_map map;
    struct ski_tally_entry {
        skald_str type; // in the arena
        uint64_t count, hash;
    } * entries;
    uint32_t count, size;
    uint32_t left; // so many events may still be looked at
    skald_arena *arena;
} ski_tally;

// So many events are looked at: a few hundredths of a second. What is hidden beyond them is counted
// as if it were not.
enum { SKI_TALLY_EVENTS_MAX = 100000 };

// ski_tally_hidden looks at the hidden events of tenant (NULL ptr: of all), SKI_TALLY_EVENTS_MAX at
// most, and counts them; no change of metadata happens meanwhile. Texts go to arena. The tally is
// ended with ski_tally_fini, also after a failure. The store is entered. Waits. Fails: as a read;
// damage is passed over.
skald_err ski_tally_hidden(skald_store *store, const ski_sight *sight, skald_str tenant,
                           skald_arena *arena, ski_tally *ret_tally) SKALD_CHECK;
uint64_t ski_tally_count(const ski_tally *tally, skald_str type); // 0 for a type it does not know
void ski_tally_fini(ski_tally *tally);

#endif
