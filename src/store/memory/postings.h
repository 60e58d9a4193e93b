// SPDX-License-Identifier: Apache-2.0
// store/memory/postings.h - an index: under each (tenant, name) the positions of its events,
// rising.
//
// Streams, types and correlations are one of these each. Of a stream, the place in the list is the
// version: the list's entry v - 1 - gone is the event of version v. Positions of events that have
// left the log may still stand at the beginning of a list. One thread at a time.
#ifndef SKI_STORE_MEMORY_POSTINGS_H
#define SKI_STORE_MEMORY_POSTINGS_H

#include "base/map.h"

typedef struct ski_memory_list {
    skald_str tenant, name; // the list's own, in one block that begins at tenant.ptr
    uint64_t hash;
    uint64_t *positions;
    uint64_t gone;        // positions there were before these
    uint64_t last;        // the highest there ever was: the end of positions lies far away
    uint32_t count, size; // a list comes with its first position; swept, it may hold none
    bool swept;           // positions were taken out: it stays, also when nothing is in it
} ski_memory_list;

// What becomes of a list when the log loses its beginning.
typedef enum ski_memory_loses {
    SKI_MEMORY_BUT_ONE, // its last position stays, for its version goes on
    SKI_MEMORY_ALL,     // it stays, with nothing in it
    SKI_MEMORY_ITSELF,  // with its last position it leaves
} ski_memory_loses;

typedef struct ski_memory_postings {
    uint64_t seed; // of the hashes
    ski_memory_loses loses;
    ski_map map;
    ski_memory_list *lists; // a slot is a place to go on from, but where lists are swept out
    uint32_t count, size;
    uint64_t bytes; // held at most by lists and positions, without the map
    // A round takes out of all lists what was below round when it began, some lists at a time.
    uint64_t round; // 0: there is none
    uint32_t round_slot;
    uint64_t swept; // the round before took out what was up to here
} ski_memory_postings;

// ski_memory_postings_most is what one add makes bytes grow by at most.
uint64_t ski_memory_postings_most(size_t tenant_len, size_t name_len);
void ski_memory_postings_fini(ski_memory_postings *postings);
// ski_memory_postings_find gives NULL where there is none. What it gives is borrowed until the next
// add.
const ski_memory_list *ski_memory_postings_find(const ski_memory_postings *postings,
                                                skald_str tenant, skald_str name);
// ski_memory_postings_add puts a position behind all others of its list, which it gives as find
// does; a list that is full drops those below first before it grows, but for its last one. NULL: no
// memory, and nothing changed.
const ski_memory_list *ski_memory_postings_add(ski_memory_postings *postings, skald_str tenant,
                                               skald_str name, uint64_t position, uint64_t first)
    SKALD_CHECK;
// ski_memory_postings_round goes on with a round, for so many lists, or begins one where enough has
// left since the last that one is worth it: one event for 64 lists. False: there is nothing to do.
bool ski_memory_postings_round(ski_memory_postings *postings, uint64_t first, uint32_t lists);
// ski_memory_postings_drop takes back adds, the last one first.
void ski_memory_postings_drop(ski_memory_postings *postings, skald_str tenant, skald_str name);
// ski_memory_postings_sweep takes out of the list in slot all positions that keep does not want.
// With leave a list in which nothing is left leaves too, and the last one takes its slot: true
// then.
bool ski_memory_postings_sweep(ski_memory_postings *postings, uint32_t slot,
                               bool (*keep)(void *context, uint64_t position), void *context,
                               bool leave);
// ski_memory_list_upto is how many positions of a list are <= position.
uint32_t ski_memory_list_upto(const ski_memory_list *list, uint64_t position);

#endif
