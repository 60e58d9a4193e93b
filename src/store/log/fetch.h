// SPDX-License-Identifier: Apache-2.0
// store/log/fetch.h - the events of a plan, out of the cache or from the disk, into a page: one
// block of memory that holds the events, the bytes they point into, and what it borrows.
//
// Every event that is given has been verified since its bytes were read from the disk, position and
// checksum. One thread.
#ifndef SKI_STORE_LOG_FETCH_H
#define SKI_STORE_LOG_FETCH_H

#include "store/log/plan.h"

// What a page holds until it is freed; it begins the block.
typedef struct ski_fetched {
    size_t kept_count;
    ski_piece *kept[]; // of the cache
} ski_fetched;

typedef struct ski_fetch {
    ski_engine *engine;
    const skald_read *read;
    ski_plan plan;
    ski_fetched *fetched;
    size_t kept_max;
    skald_event *events;
    size_t count;
    uint8_t *bytes;
    size_t used;
    uint32_t slot;   // of a segment: SKI_PLACE_DAMAGED: none
    uint64_t stable; // in it, bytes before here will never change
} ski_fetch;

// ski_fetch_begin makes the page of fetch->plan. Fails: NOMEM.
skald_err ski_fetch_begin(ski_fetch *fetch) SKALD_CHECK;
// ski_fetch_fill reads until the plan is done or something is damaged: *ret_whole candidates were
// right. It begins anew when it is called again. Fails: NOMEM, STALE (a segment has been rewritten
// since it was planned).
skald_err ski_fetch_fill(ski_fetch *fetch, size_t *ret_whole) SKALD_CHECK;
void ski_fetched_free(ski_engine *engine, ski_fetched *fetched); // NULL is allowed

// ski_fetch_bytes reads so many bytes of a candidate's segment. Fails: CORRUPT (not all of them can
// be read), NOMEM, STALE.
skald_err ski_fetch_bytes(ski_engine *engine, const ski_candidate *candidate, uint64_t bytes,
                          uint8_t *to) SKALD_CHECK;

#endif
