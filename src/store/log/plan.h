// SPDX-License-Identifier: Apache-2.0
// store/log/plan.h - which events a page is to be made of, found in the indexes alone, segment by
// segment.
#ifndef SKI_STORE_LOG_PLAN_H
#define SKI_STORE_LOG_PLAN_H

#include "store/log/engine.h"

enum {
    SKI_PLAN_EVENTS_MAX = 1024, // of one page
    SKI_PLAN_LISTS_MAX = 64,    // lists that are merged; with more a segment is gone over instead
    SKI_PLAN_INDEXES_MAX = 256, // index files asked for one page, if nothing is found
};

typedef struct ski_plan {
    ski_candidate *candidates; // rising, also when the read goes backwards
    size_t count;
    uint64_t bytes;         // of their records, at most
    uint64_t position_next; // when all of them have been given
    bool end;
} ski_plan;

// ski_plan_make chooses, in every segment, the shortest lists that have every event the read means:
// of its streams, its correlation, its types, its tenant, or all positions. Free candidates with
// ski_free. Fails: NOMEM, CORRUPT, IO (an index file).
skald_err ski_plan_make(ski_engine *engine, const skald_read *read, ski_plan *ret_plan,
                        skald_error *reterr_error) SKALD_CHECK;

// What plan.c and plan_index.c share: a page being planned.
typedef struct ski_planner {
    ski_engine *engine;
    const skald_read *read;
    skald_error *error;
    ski_plan plan;
    uint64_t low, high; // bounds of what is still to be looked at, inclusive
    size_t most;
    bool full;
    bool over;     // nothing that the read means can be further on
    uint64_t jump; // backwards: nor is there anything from here to behind this position; 0: not
                   // known
    ski_sealed_list *lists; // SKI_PLAN_LISTS_MAX of them, when needed
} ski_planner;

// ski_planner_take adds one; false: the page is full. It is done for every event that is read.
static inline bool ski_planner_take(ski_planner *planner, const ski_candidate *candidate)
{
    ski_plan *plan = &planner->plan;
    uint64_t bytes = plan->bytes + (candidate->bound - candidate->offset); // of a damaged one: 0

    if (plan->count == planner->most || (plan->count && bytes > planner->read->page_bytes_max)) {
        planner->full = true;
        return false;
    }
    plan->bytes = bytes;
    plan->candidates[plan->count++] = *candidate;
    return true;
}
// ski_planner_stream is the one stream that the read means; NULL: none, or several.
const skald_str *ski_planner_stream(const ski_planner *planner);

// ski_plan_index adds the candidates of a segment from low to high, from its index.
skald_err ski_plan_index(ski_planner *planner, uint32_t slot, const ski_sealed *sealed,
                         uint64_t low, uint64_t high) SKALD_CHECK;

#endif
