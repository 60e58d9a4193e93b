// SPDX-License-Identifier: Apache-2.0
// store/log/lookup.h - where one event is, where one stream stands, who has an id: asked of the
// window and of the index files. Without the lock, unless it says otherwise.
#ifndef SKI_STORE_LOG_LOOKUP_H
#define SKI_STORE_LOG_LOOKUP_H

#include "store/log/engine.h"

// ski_locate: position is visible. Fails: CORRUPT, IO (of the index file), NOTFOUND (erased).
skald_err ski_locate(ski_engine *engine, uint64_t position, ski_candidate *ret_candidate,
                     skald_error *reterr_error) SKALD_CHECK;
// ski_locate_window does so for a position of the window, ski_locate_part for one of a part of it.
// The lock is held.
ski_candidate ski_locate_window(const ski_engine *engine, uint64_t position);
ski_candidate ski_locate_part(const ski_engine *engine, const ski_index *part, uint64_t position);
// ski_locate_between makes a candidate of where it lies and where what is stored behind it does, if
// that is known. The lock is held.
static inline ski_candidate ski_locate_between(const ski_engine *engine, uint64_t position,
                                               uint64_t place, uint64_t next)
{
    ski_candidate candidate = {.position = position, .slot = SKI_PLACE_DAMAGED};
    uint64_t len_max = ski_place_len_max(place);

    if (place == SKI_INDEX_NO_PLACE) return candidate;
    candidate.slot = ski_place_slot(place);
    candidate.offset = ski_place_offset(place);
    candidate.generation = engine->segments[candidate.slot]->generation;
    candidate.bound = engine->segments[candidate.slot]->end;
    if (len_max < candidate.bound - candidate.offset) candidate.bound = candidate.offset + len_max;
    if (next != SKI_INDEX_NO_PLACE && ski_place_slot(next) == candidate.slot &&
        ski_place_offset(next) < candidate.bound) {
        candidate.bound = ski_place_offset(next);
    }
    return candidate;
}
// ski_locate_place makes a candidate of what an index says.
static inline ski_candidate ski_locate_place(uint32_t slot, uint64_t position,
                                             const ski_sealed_info *info,
                                             const ski_sealed_place *place)
{
    bool there = place->state == SKI_SEALED_THERE;
    uint64_t left = info->end - place->offset;

    return (ski_candidate){
        .position = position,
        .offset = place->offset,
        .bound = there ? place->offset + (place->len_max < left ? place->len_max : left) : 0,
        .slot = there ? slot : SKI_PLACE_DAMAGED,
        .generation = there ? info->generation : 0,
    };
}

// Streams, as of the last segment that has an index file. The indexes that no run covers yet are
// lent from begin to end, so that many streams can be asked for at once.
enum { SKI_HEADS_INDEXES = 32 };
typedef struct ski_heads {
    ski_engine *engine;
    ski_indexed *indexed[SKI_HEADS_INDEXES]; // newest first
    uint32_t slots[SKI_HEADS_INDEXES];
    uint32_t count;
    uint32_t slot_next; // older ones that are not covered either end before this
} ski_heads;
void ski_heads_begin(ski_heads *heads, ski_engine *engine);
void ski_heads_end(ski_heads *heads);
// ski_heads_find gives zeros for a stream that is not there. Fails: CORRUPT, IO.
skald_err ski_heads_find(ski_heads *heads, skald_str tenant, skald_str stream,
                         ski_index_head *ret_head, skald_error *reterr_error) SKALD_CHECK;

// Positions in index files: first <= it < before.
typedef struct ski_lookup_range {
    uint64_t first, before;
} ski_lookup_range;

// ski_lookup_id finds the newest event of a range that has an id. The record is verified; free
// *ret_bytes with ski_free. Fails: NOTFOUND, CORRUPT, IO, NOMEM.
skald_err ski_lookup_id(ski_engine *engine, skald_str tenant, skald_uuid id, uint64_t hash,
                        ski_lookup_range range, uint8_t **ret_bytes, ski_record *ret_record,
                        skald_error *reterr_error) SKALD_CHECK;

#endif
