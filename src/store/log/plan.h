// SPDX-License-Identifier: Apache-2.0
// store/log/plan.h - which events a page is to be made of, found in the index alone.
#ifndef SKI_STORE_LOG_PLAN_H
#define SKI_STORE_LOG_PLAN_H

#include "store/log/engine.h"

enum {
    SKI_PLAN_EVENTS_MAX = 1024, // of one page
    SKI_PLAN_LISTS_MAX = 64,    // postings that are merged; with more the log is gone over instead
};

// Where an event is: its record begins at offset and ends at bound or before.
typedef struct ski_candidate {
    uint64_t position, offset, bound;
    uint32_t slot; // SKI_PLAN_DAMAGED: it cannot be read
} ski_candidate;
#define SKI_PLAN_DAMAGED UINT32_MAX

typedef struct ski_plan {
    ski_candidate *candidates; // rising, also when the read goes backwards
    size_t count;
    uint64_t position_next; // when all of them have been given
    bool end;
} ski_plan;

// ski_plan_make chooses the shortest list that has every event the read means: of its streams, its
// correlation, its types, or all positions. Free candidates with ski_free. Fails: NOMEM.
skald_err ski_plan_make(ski_engine *engine, const skald_read *read, ski_plan *ret_plan) SKALD_CHECK;

// ski_plan_one is where one event is; position must be visible. The lock is held.
ski_candidate ski_plan_one(const ski_engine *engine, uint64_t position);

#endif
