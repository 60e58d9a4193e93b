// SPDX-License-Identifier: Apache-2.0
// store/memory/ids.h - where an id is: (tenant, id) to a position.
//
// Ids mostly rise from event to event, for they begin with the time. One above all before it is put
// behind an array, and nobody has to look whether it is known; it is found by bisection. Any other
// goes into a map. One thread at a time.
#ifndef SKI_STORE_MEMORY_IDS_H
#define SKI_STORE_MEMORY_IDS_H

#include "base/map.h"
#include <skald/event.h>

typedef struct ski_memory_rise {
    skald_uuid id;
    uint32_t position;
} ski_memory_rise;

// What the ids need to know of events: the one at a position, NULL: it was erased.
typedef const skald_event *ski_memory_event_at(void *context, uint64_t position);

typedef struct ski_memory_ids {
    uint64_t seed;
    ski_memory_event_at *event_at;
    void *context;
    ski_map others;         // to the position - 1
    ski_memory_rise *rises; // of events erased too, until there is no room
    uint32_t count, size;   // of rises
    uint32_t erased;        // of them, at least
    skald_uuid highest;     // that ever stood in rises
} ski_memory_ids;

void ski_memory_ids_fini(ski_memory_ids *ids);
// ski_memory_ids_find gives the position of an id, 0: it is not known.
uint64_t ski_memory_ids_find(const ski_memory_ids *ids, skald_str tenant, skald_uuid id);
// ski_memory_ids_add: of an event that is not known. Fails: NOMEM, and nothing changed.
skald_err ski_memory_ids_add(ski_memory_ids *ids, const skald_event *event, uint32_t position)
    SKALD_CHECK;
// ski_memory_ids_drop takes back an add, the last one first.
void ski_memory_ids_drop(ski_memory_ids *ids, const skald_event *event, uint32_t position);
// ski_memory_ids_forget is called before the event is erased.
void ski_memory_ids_forget(ski_memory_ids *ids, const skald_event *event, uint32_t position);

#endif
