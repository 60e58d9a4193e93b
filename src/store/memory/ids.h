// SPDX-License-Identifier: Apache-2.0
// store/memory/ids.h - where an id is: (tenant, id) to a position.
//
// Ids mostly rise from event to event, for they begin with the time. One above all before it is
// new, and nobody has to look; it is found by bisection of the events themselves. Any other goes
// into a map. data is held.
#ifndef SKI_STORE_MEMORY_IDS_H
#define SKI_STORE_MEMORY_IDS_H

#include "base/map.h"
#include "store/memory/slot.h"

typedef struct ski_memory_ids {
    ski_map others;     // to the packed position
    skald_uuid highest; // that ever rose
} ski_memory_ids;

struct ski_memory;

// ski_memory_ids_find gives the position of an id, 0: it is not known.
uint64_t ski_memory_ids_find(const struct ski_memory *memory, skald_str tenant, skald_uuid id);
// ski_memory_ids_add: of an event that is not known and whose slot is filled. Fails: NOMEM, and
// nothing changed.
skald_err ski_memory_ids_add(struct ski_memory *memory, uint64_t position) SKALD_CHECK;
void ski_memory_ids_unmap(struct ski_memory *memory, const ski_memory_slot *slot,
                          uint64_t position); // for forget
// ski_memory_ids_forget: of an event that is about to be erased, or was added last and is taken
// back; slot is that of its position. Most are risen, and nothing is to be done.
static inline void ski_memory_ids_forget(struct ski_memory *memory, const ski_memory_slot *slot,
                                         uint64_t position)
{
    // highest stays: a risen id that is taken back and comes again goes into the map.
    if (!slot->risen) ski_memory_ids_unmap(memory, slot, position);
}

#endif
