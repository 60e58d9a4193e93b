// SPDX-License-Identifier: Apache-2.0
// Planning a page. Postings of the chosen keys are merged by position, within bounds that come from
// the read's positions, times and versions; what is too many to look up is every position between
// the bounds.
//
// Invariants:
//   1. No position that is not visible is ever planned.
//   2. Positions between the bounds that are not planned cannot match the filter.
//   3. A page's records take at most page_bytes_max together, or there is one.
#include "store/log/plan.h"
#include "base/alloc.h"
#include <assert.h>

enum { scan_share = 4 }; // more than a quarter of all: reading in order is quicker than looking up

typedef struct plan_lists {
    const ski_postings *lists[SKI_PLAN_LISTS_MAX];
    uint32_t at[SKI_PLAN_LISTS_MAX]; // forwards: the next; backwards: one behind the next
    size_t count;
    uint64_t total;
    bool usable; // they hold every event that the filter means
} plan_lists;

typedef struct plan_bounds {
    uint64_t low, high; // inclusive; low > high: nothing
} plan_bounds;

static void lists_add(plan_lists *lists, const ski_postings *postings)
{
    if (!lists->usable) return;
    if (lists->count == SKI_PLAN_LISTS_MAX) {
        lists->usable = false;
        return;
    }
    for (size_t i = 0; i < lists->count; i++) {
        if (lists->lists[i] == postings) return; // named twice
    }
    lists->lists[lists->count++] = postings;
    lists->total += postings->count;
}

typedef enum plan_key { PLAN_STREAM, PLAN_TYPE, PLAN_CORRELATION } plan_key;

static void lists_add_key(const ski_index *index, plan_key key, skald_str tenant, skald_str name,
                          plan_lists *lists)
{
    uint64_t hash = ski_index_hash_name(index->seed, tenant, name);

    if (key == PLAN_CORRELATION) {
        const ski_index_chain *chain = ski_index_correlation(index, hash);

        if (chain) lists_add(lists, &chain->postings);
    } else {
        const ski_index_key *found = key == PLAN_STREAM
                                         ? ski_index_stream(index, hash, tenant, name)
                                         : ski_index_type(index, hash, tenant, name);

        if (found) lists_add(lists, &found->postings);
    }
}

// lists_of gives the postings of the names, of one tenant or of every one.
static plan_lists lists_of(const ski_index *index, plan_key key, const skald_read *read,
                           skald_texts names)
{
    plan_lists lists = {.usable = names.count > 0};
    bool every_tenant = read->filter.tenant.ptr == NULL;

    if (every_tenant && index->tenant_count > SKI_INDEX_TENANTS_MAX) lists.usable = false;
    for (size_t i = 0; i < names.count && lists.usable; i++) {
        skald_str name = names.items[i];

        if (key == PLAN_TYPE && name.len && name.ptr[name.len - 1] == '*') {
            lists.usable = false;
        } else if (!every_tenant) {
            lists_add_key(index, key, read->filter.tenant, name, &lists);
        } else {
            for (uint32_t t = 0; t < index->tenant_count; t++) {
                lists_add_key(index, key, index->tenants[t], name, &lists);
            }
        }
    }
    return lists;
}

static void lists_best(plan_lists *best, const plan_lists *other)
{
    if (other->usable && (!best->usable || other->total < best->total)) *best = *other;
}

static plan_lists plan_lists_of(const ski_index *index, const skald_read *read)
{
    const skald_filter *filter = &read->filter;
    skald_texts correlation = {&filter->correlation_id, filter->correlation_id.len ? 1 : 0};
    plan_lists best = lists_of(index, PLAN_STREAM, read, filter->streams);
    plan_lists other = lists_of(index, PLAN_CORRELATION, read, correlation);

    lists_best(&best, &other);
    other = lists_of(index, PLAN_TYPE, read, filter->types);
    lists_best(&best, &other);
    return best;
}

// bounds_of turns positions, times and versions into the first and the last position to look at.
static plan_bounds bounds_of(const ski_engine *engine, const skald_read *read,
                             const plan_lists *lists, uint64_t visible)
{
    const ski_index *index = &engine->index;
    plan_bounds bounds = {read->after + 1, visible};

    if (read->after == UINT64_MAX) bounds.low = UINT64_MAX;
    if (read->before && read->before - 1 < bounds.high) bounds.high = read->before - 1;
    if (read->from) {
        uint64_t low = ski_index_from(index, read->from, visible);

        if (low > bounds.low) bounds.low = low;
    }
    if (read->to) {
        uint64_t high = ski_index_from(index, read->to, visible) - 1;

        if (high < bounds.high) bounds.high = high;
    }
    // Version v is the v-th event of its stream, unless some of them are damaged.
    if (!lists->usable || lists->count != 1 || read->filter.streams.count != 1) return bounds;
    if (engine->damage_count || !read->filter.tenant.ptr) return bounds;
    if (read->version_from > 1 || read->version_to) {
        uint64_t hash =
            ski_index_hash_name(index->seed, read->filter.tenant, read->filter.streams.items[0]);
        const ski_index_key *key =
            ski_index_stream(index, hash, read->filter.tenant, read->filter.streams.items[0]);

        if (!key || &key->postings != lists->lists[0]) return bounds;
        if (read->version_from > key->postings.count) {
            bounds.low = bounds.high + 1;
        } else if (read->version_from > 1) {
            uint64_t low = ski_postings_at(&key->postings, (uint32_t)read->version_from - 1);

            if (low > bounds.low) bounds.low = low;
        }
        if (read->version_to && read->version_to < key->postings.count) {
            uint64_t high = ski_postings_at(&key->postings, (uint32_t)read->version_to - 1);

            if (high < bounds.high) bounds.high = high;
        }
    }
    return bounds;
}

ski_candidate ski_plan_one(const ski_engine *engine, uint64_t position)
{
    uint64_t place = ski_index_row_of(&engine->index, position)->place, next = 0;
    ski_candidate candidate = {.position = position, .slot = SKI_PLAN_DAMAGED};

    if (place == SKI_INDEX_NO_PLACE) return candidate;
    candidate.slot = ski_place_slot(place);
    candidate.offset = ski_place_offset(place);
    candidate.bound = engine->segments[candidate.slot]->end;
    if (ski_place_len_max(place) < candidate.bound - candidate.offset) {
        candidate.bound = candidate.offset + ski_place_len_max(place);
    }
    if (position < atomic_load(&engine->visible)) {
        next = ski_index_row_of(&engine->index, position + 1)->place;
        if (next != SKI_INDEX_NO_PLACE && ski_place_slot(next) == candidate.slot &&
            ski_place_offset(next) < candidate.bound) {
            candidate.bound = ski_place_offset(next);
        }
    }
    return candidate;
}

// plan_next gives the next position of the merged lists, or of all; 0: none is left within bounds.
static uint64_t plan_next(plan_lists *lists, const plan_bounds *bounds, bool backwards,
                          uint64_t *cursor)
{
    uint64_t best = 0;

    if (!lists->usable) {
        if (*cursor < bounds->low || *cursor > bounds->high) return 0;
        best = *cursor;
        *cursor = backwards ? *cursor - 1 : *cursor + 1;
        return best;
    }
    for (size_t i = 0; i < lists->count; i++) {
        const ski_postings *postings = lists->lists[i];
        uint64_t position = 0;

        if (backwards ? lists->at[i] == 0 : lists->at[i] == postings->count) continue;
        position = ski_postings_at(postings, backwards ? lists->at[i] - 1 : lists->at[i]);
        if (position < bounds->low || position > bounds->high) continue;
        if (!best || (backwards ? position > best : position < best)) best = position;
    }
    for (size_t i = 0; i < lists->count && best; i++) { // keys do not share events, but be sure
        const ski_postings *postings = lists->lists[i];

        if (backwards) {
            if (lists->at[i] && ski_postings_at(postings, lists->at[i] - 1) == best) lists->at[i]--;
        } else {
            if (lists->at[i] < postings->count && ski_postings_at(postings, lists->at[i]) == best) {
                lists->at[i]++;
            }
        }
    }
    return best;
}

static void plan_fill(ski_engine *engine, const skald_read *read, plan_lists *lists,
                      const plan_bounds *bounds, uint64_t visible, ski_plan *plan)
{
    uint64_t cursor = read->backwards ? bounds->high : bounds->low, bytes = 0;
    size_t most = SKI_PLAN_EVENTS_MAX;

    if (read->events_max && read->events_max < most) most = (size_t)read->events_max;
    for (size_t i = 0; i < lists->count; i++) {
        lists->at[i] = read->backwards ? ski_postings_after(lists->lists[i], bounds->high)
                                       : ski_postings_after(lists->lists[i], bounds->low - 1);
    }
    plan->end = true;
    plan->position_next = read->backwards ? read->after + 1 : visible;
    if (!read->backwards && read->before && read->before - 1 < visible) {
        plan->position_next = read->before - 1;
    }
    if (!read->backwards && plan->position_next < read->after) plan->position_next = read->after;
    for (uint64_t position = 0; (position = plan_next(lists, bounds, read->backwards, &cursor));) {
        ski_candidate candidate = ski_plan_one(engine, position);

        if (candidate.slot != SKI_PLAN_DAMAGED) bytes += candidate.bound - candidate.offset;
        if (plan->count == most || (plan->count && bytes > read->page_bytes_max)) {
            plan->end = false;
            plan->position_next = plan->candidates[plan->count - 1].position;
            break;
        }
        plan->candidates[plan->count++] = candidate;
    }
    for (size_t i = 0; read->backwards && i < plan->count / 2; i++) { // rising
        ski_candidate other = plan->candidates[plan->count - 1 - i];

        plan->candidates[plan->count - 1 - i] = plan->candidates[i];
        plan->candidates[i] = other;
    }
}

skald_err ski_plan_make(ski_engine *engine, const skald_read *read, ski_plan *ret_plan)
{
    ski_plan plan = {.candidates = ski_alloc(SKI_PLAN_EVENTS_MAX * sizeof *plan.candidates)};
    plan_lists lists = {0};
    plan_bounds bounds;
    uint64_t visible = 0;

    if (!plan.candidates) return SKALD_ENOMEM;
    ski_mutex_lock(&engine->lock);
    visible = atomic_load(&engine->visible);
    lists = plan_lists_of(&engine->index, read);
    if (lists.usable && lists.total > visible / scan_share) lists.usable = false;
    bounds = bounds_of(engine, read, &lists, visible);
    plan_fill(engine, read, &lists, &bounds, visible, &plan);
    ski_mutex_unlock(&engine->lock);
    *ret_plan = plan;
    return SKALD_OK;
}
