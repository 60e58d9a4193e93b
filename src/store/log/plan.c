// SPDX-License-Identifier: Apache-2.0
// Planning a page: the segments between the read's bounds are gone over one by one, each by its
// index, in memory or in a file, until the page is full.
//
// In each, the lists of the chosen keys are merged by position, within bounds that come from the
// read's positions, times and versions; what is too many to look up is every position between the
// bounds.
//
// Invariants:
//   1. No position that is not visible is ever planned.
//   2. Positions between the bounds that are not planned cannot match the filter.
//   3. A page's records take at most page_bytes_max together, or there is one.
//   4. A page asks a bounded number of index files, and may then be empty and not the end.
#include "store/log/plan.h"
#include "base/alloc.h"
#include "base/str.h"
#include "store/log/lookup.h"
#include <assert.h>

enum {
    scan_share = 4,   // more than a quarter of all: reading in order is quicker than looking up
    types_max = 1024, // of a part, that are compared with a prefix
};

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

const skald_str *ski_planner_stream(const ski_planner *planner)
{
    const skald_filter *filter = &planner->read->filter;

    return filter->tenant.ptr && filter->streams.count == 1 ? &filter->streams.items[0] : NULL;
}

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

// lists_add_prefix adds the types that begin with a prefix, of one tenant or of every one.
static void lists_add_prefix(const ski_index *index, skald_str tenant, skald_str prefix,
                             plan_lists *lists)
{
    if (index->types.table.count > types_max) lists->usable = false;
    for (uint32_t i = 0; i < index->types.table.count && lists->usable; i++) {
        const ski_index_key *type = ski_index_key_at(&index->types, i);

        if (tenant.ptr && !skald_str_equal(ski_index_key_tenant(type), tenant)) continue;
        if (ski_str_begins(ski_index_key_name(type), prefix)) lists_add(lists, &type->postings);
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
            lists_add_prefix(index, read->filter.tenant, (skald_str){name.ptr, name.len - 1},
                             &lists);
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

static plan_lists lists_choose(const ski_index *index, const skald_read *read)
{
    const skald_filter *filter = &read->filter;
    skald_texts correlation = {&filter->correlation_id, filter->correlation_id.len ? 1 : 0};
    plan_lists best = lists_of(index, PLAN_STREAM, read, filter->streams);
    plan_lists other = lists_of(index, PLAN_CORRELATION, read, correlation);

    lists_best(&best, &other);
    other = lists_of(index, PLAN_TYPE, read, filter->types);
    lists_best(&best, &other);
    if (best.usable && best.total > index->count / scan_share) best.usable = false;
    return best;
}

// part_versions narrows the bounds to versions of the one stream that is read. Version v is event
// number v - before of its stream here, unless some are damaged.
static void part_versions(ski_planner *planner, const ski_index *part, plan_bounds *bounds)
{
    const skald_read *read = planner->read;
    const skald_str *stream = ski_planner_stream(planner);
    const ski_index_key *key = NULL;
    uint64_t before = 0;

    if (!stream || planner->engine->damage_count) return;
    if (!read->backwards && read->version_from <= 1 && !read->version_to) return;
    key = ski_index_stream(part, ski_index_hash_name(part->seed, read->filter.tenant, *stream),
                           read->filter.tenant, *stream);
    if (!key) return;
    before = key->before.version;
    // Further back it goes on there, unless the older half of the part is answered from an index.
    if (read->backwards && planner->engine->sealed_last <= part->base) {
        planner->jump = key->before.position;
        if (key->before.position < planner->low) planner->over = true;
    }
    if (read->version_from > before + key->postings.count ||
        (read->version_to && read->version_to <= before)) {
        bounds->low = bounds->high + 1;
        return;
    }
    if (read->version_from > before + 1) {
        uint64_t low = part->base +
                       ski_postings_at(&key->postings, (uint32_t)(read->version_from - before - 1));

        if (low > bounds->low) bounds->low = low;
    }
    if (read->version_to && read->version_to < before + key->postings.count) {
        uint64_t high =
            part->base + ski_postings_at(&key->postings, (uint32_t)(read->version_to - before - 1));

        if (high < bounds->high) bounds->high = high;
    }
}

// part_bounds turns times and versions into the first and the last position to look at.
static plan_bounds part_bounds(ski_planner *planner, const ski_index *part, uint64_t low,
                               uint64_t high)
{
    const skald_read *read = planner->read;
    plan_bounds bounds = {low, high};

    if (read->from) {
        uint64_t from = ski_index_from(part, read->from, high);

        if (from > bounds.low) bounds.low = from;
    }
    if (read->to) {
        uint64_t to = ski_index_from(part, read->to, high) - 1;

        if (to < bounds.high) bounds.high = to;
    }
    part_versions(planner, part, &bounds);
    return bounds;
}

// plan_next gives the next position of the merged lists; 0: none is left within bounds.
static uint64_t plan_next(plan_lists *lists, uint64_t base, const plan_bounds *bounds,
                          bool backwards)
{
    uint64_t best = 0;

    for (size_t i = 0; i < lists->count; i++) {
        const ski_postings *postings = lists->lists[i];
        uint64_t position = 0;

        if (backwards ? lists->at[i] == 0 : lists->at[i] == postings->count) continue;
        position = base + ski_postings_at(postings, backwards ? lists->at[i] - 1 : lists->at[i]);
        if (position < bounds->low || position > bounds->high) continue;
        if (!best || (backwards ? position > best : position < best)) best = position;
    }
    for (size_t i = 0; i < lists->count && best; i++) { // keys do not share events, but be sure
        const ski_postings *postings = lists->lists[i];
        uint32_t number = (uint32_t)(best - base);

        if (backwards) {
            if (lists->at[i] && ski_postings_at(postings, lists->at[i] - 1) == number) {
                lists->at[i]--;
            }
        } else {
            if (lists->at[i] < postings->count &&
                ski_postings_at(postings, lists->at[i]) == number) {
                lists->at[i]++;
            }
        }
    }
    return best;
}

// part_scan adds every position between the bounds. The lock is held.
static void part_scan(ski_planner *planner, const ski_index *part, const plan_bounds *bounds)
{
    const ski_engine *engine = planner->engine;
    bool backwards = planner->read->backwards;
    uint64_t position = backwards ? bounds->high : bounds->low;
    ski_candidate candidate = ski_locate_part(engine, part, position);
    uint64_t place = ski_index_row_of(part, position)->place;

    while (ski_planner_take(planner, &candidate)) {
        uint64_t before = place;

        if (position == (backwards ? bounds->low : bounds->high)) return;
        position = backwards ? position - 1 : position + 1;
        place = ski_index_row_of(part, position)->place;
        if (backwards) {
            candidate = ski_locate_between(engine, position, place, before);
        } else if (position < bounds->high) {
            candidate = ski_locate_between(engine, position, place,
                                           ski_index_row_of(part, position + 1)->place);
        } else {
            candidate = ski_locate_part(engine, part, position);
        }
    }
}

// plan_part adds the candidates of a part of the window. The lock is held.
static void plan_part(ski_planner *planner, const ski_index *part, uint64_t low, uint64_t high)
{
    bool backwards = planner->read->backwards;
    plan_bounds bounds = part_bounds(planner, part, low, high);
    plan_lists lists = {0};
    uint64_t position = 0;

    if (bounds.low > bounds.high) return;
    lists = lists_choose(part, planner->read);
    if (!lists.usable) {
        part_scan(planner, part, &bounds);
        return;
    }
    for (size_t i = 0; i < lists.count; i++) {
        lists.at[i] =
            ski_index_seen(part, lists.lists[i], backwards ? bounds.high : bounds.low - 1);
    }
    while ((position = plan_next(&lists, part->base, &bounds, backwards))) {
        ski_candidate candidate = ski_locate_part(planner->engine, part, position);

        if (!ski_planner_take(planner, &candidate)) return;
    }
}

// plan_span plans the positions that one index has; position is the first, or backwards the last.
// *ret_edge is the other end of what has been looked at.
static skald_err plan_span(ski_planner *planner, uint64_t position, uint64_t *ret_edge,
                           bool *ret_asked)
{
    ski_engine *engine = planner->engine;
    bool backwards = planner->read->backwards;
    ski_indexed *indexed = NULL;
    uint64_t low = 0, high = 0;
    uint32_t slot = 0;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&engine->lock);
    if (position > engine->sealed_last) {
        const ski_index *part = ski_window_at(&engine->window, position);

        low = part->base + 1;
        if (low <= engine->sealed_last) low = engine->sealed_last + 1; // may be rewritten
        high = ski_index_last(part);
    } else {
        slot = ski_engine_slot(engine, position);
        low = engine->segments[slot]->base_pos;
        high = ski_engine_segment_last(engine, slot);
        indexed = ski_engine_index_held(engine, slot);
        *ret_asked = true;
    }
    if (low < planner->low) low = planner->low;
    if (high > planner->high) high = planner->high;
    if (backwards) {
        high = position;
    } else {
        low = position;
    }
    if (!*ret_asked) plan_part(planner, ski_window_at(&engine->window, position), low, high);
    ski_mutex_unlock(&engine->lock);
    if (indexed) {
        err = ski_plan_index(planner, slot, indexed->sealed, low, high);
        ski_engine_index_return(engine, indexed);
        if (err == SKALD_ECORRUPT) ski_engine_suspect(engine, slot);
    } else if (*ret_asked) { // nothing of the segment can be read
        ski_candidate candidate = {.position = position, .slot = SKI_PLACE_DAMAGED};

        (void)ski_planner_take(planner, &candidate);
    }
    *ret_edge = backwards ? low : high;
    return err;
}

// plan_fill goes over the segments until the page is full, or enough index files were asked.
static skald_err plan_fill(ski_planner *planner)
{
    bool backwards = planner->read->backwards;
    uint64_t position = backwards ? planner->high : planner->low, edge = 0;
    ski_plan *plan = &planner->plan;

    for (uint32_t asked = 0; position >= planner->low && position <= planner->high;) {
        bool index = false;

        planner->jump = 0;
        SKALD_TRY(plan_span(planner, position, &edge, &index));
        if (planner->full) {
            plan->end = false;
            plan->position_next = plan->candidates[plan->count - 1].position;
            return SKALD_OK;
        }
        if (planner->over) return SKALD_OK;
        asked += index;
        if (asked == SKI_PLAN_INDEXES_MAX &&
            (backwards ? edge > planner->low : edge < planner->high)) {
            plan->end = false;
            plan->position_next = edge;
            return SKALD_OK;
        }
        position = backwards ? edge - 1 : edge + 1;
        if (planner->jump && planner->jump < position) position = planner->jump;
    }
    return SKALD_OK;
}

// plan_begin sets the bounds, and where the next page begins if this one reaches the end.
static void plan_begin(ski_planner *planner)
{
    const skald_read *read = planner->read;
    uint64_t visible = atomic_load(&planner->engine->visible);
    ski_plan *plan = &planner->plan;

    planner->low = read->after == UINT64_MAX ? UINT64_MAX : read->after + 1;
    planner->high = visible;
    if (read->before && read->before - 1 < planner->high) planner->high = read->before - 1;
    planner->most = SKI_PLAN_EVENTS_MAX;
    if (read->events_max && read->events_max < planner->most) {
        planner->most = (size_t)read->events_max;
    }
    plan->end = true;
    plan->position_next = read->backwards ? planner->low : planner->high;
    if (!read->backwards && plan->position_next < read->after) plan->position_next = read->after;
}

skald_err ski_plan_make(ski_engine *engine, const skald_read *read, ski_plan *ret_plan,
                        skald_error *reterr_error)
{
    ski_planner planner = {.engine = engine, .read = read, .error = reterr_error};
    ski_plan *plan = &planner.plan;
    skald_err err = SKALD_OK;

    plan->candidates = ski_alloc(SKI_PLAN_EVENTS_MAX * sizeof *plan->candidates);
    if (!plan->candidates) return SKALD_ENOMEM;
    plan_begin(&planner);
    err = plan_fill(&planner);
    ski_free(planner.lists);
    if (err) {
        ski_free(plan->candidates);
        return err;
    }
    for (size_t i = 0; read->backwards && i < plan->count / 2; i++) { // rising
        ski_candidate other = plan->candidates[plan->count - 1 - i];

        plan->candidates[plan->count - 1 - i] = plan->candidates[i];
        plan->candidates[i] = other;
    }
    *ret_plan = *plan;
    return SKALD_OK;
}
