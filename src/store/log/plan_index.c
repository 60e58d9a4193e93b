// SPDX-License-Identifier: Apache-2.0
// Planning from an index file. As in memory, but lists are read in small groups as the merge goes
// on, and where events are in whole blocks.
#include "base/alloc.h"
#include "base/str.h"
#include "store/log/lookup.h"
#include "store/log/plan.h"

enum {
    scan_share = 4,
    stretch = 64, // places that are looked at in one go
};

// The lists of one segment. They lie in the planner's array, or in the other half of it while two
// choices are compared.
typedef struct index_lists {
    ski_sealed_list *lists;
    size_t count;
    uint64_t total;
    bool usable;
} index_lists;

typedef struct index_plan {
    ski_planner *planner;
    const ski_sealed *sealed;
    const ski_sealed_info *info;
    uint32_t slot;
    uint64_t low, high;
    index_lists best;
    uint32_t at[SKI_PLAN_LISTS_MAX];   // forwards: the next; backwards: one behind the next
    uint64_t head[SKI_PLAN_LISTS_MAX]; // position there; 0: not read
    ski_sealed_view rows;              // where events are
} index_plan;

static void lists_add(index_lists *lists, const ski_sealed_list *list)
{
    if (lists->count == SKI_PLAN_LISTS_MAX) {
        lists->usable = false;
        return;
    }
    lists->lists[lists->count++] = *list;
    lists->total += list->count;
}

// names_add adds the lists of types that begin with a prefix, of one tenant or of every one; with
// exact only of those that are called so.
static skald_err names_add(const index_plan *job, skald_str tenant, skald_str name, bool exact,
                           index_lists *lists)
{
    skald_error *error = job->planner->error;
    skald_str from = tenant.ptr ? tenant : (skald_str){"", 0};
    ski_sealed_names_iter iter;
    skald_err err = ski_sealed_names_begin(&iter, job->sealed, SKI_SEALED_TYPES, from,
                                           tenant.ptr ? name : (skald_str){"", 0}, error);

    while (!err && lists->usable) {
        ski_sealed_named named;

        err = ski_sealed_names_next(&iter, error);
        if (err) break;
        if (tenant.ptr && !skald_str_equal(iter.tenant, tenant)) break;
        if (exact ? !skald_str_equal(iter.name, name) : !ski_str_begins(iter.name, name)) {
            if (tenant.ptr) break;
            continue;
        }
        err = ski_sealed_named_find(job->sealed, SKI_SEALED_TYPES, iter.tenant, iter.name, &named,
                                    error);
        if (!err) lists_add(lists, &named.list);
    }
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

static skald_err lists_types(const index_plan *job, index_lists *lists)
{
    const skald_filter *filter = &job->planner->read->filter;
    skald_texts names = filter->types;

    lists->usable = names.count > 0;
    for (size_t i = 0; i < names.count && lists->usable; i++) {
        skald_str name = names.items[i];
        bool prefix = name.len && name.ptr[name.len - 1] == '*';

        if (prefix) name.len--;
        SKALD_TRY(names_add(job, filter->tenant, name, !prefix, lists));
    }
    return SKALD_OK;
}

static skald_err stream_add(const index_plan *job, skald_str tenant, skald_str name,
                            index_lists *lists)
{
    ski_fp fp = ski_keys_stream(&job->planner->engine->keys, tenant, name);
    ski_sealed_stream stream;
    skald_err err = ski_sealed_stream_find(job->sealed, fp, &stream, job->planner->error);

    if (!err) lists_add(lists, &stream.list);
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

static skald_err correlation_add(const index_plan *job, skald_str tenant, skald_str name,
                                 index_lists *lists)
{
    uint64_t hash = ski_keys_correlation(&job->planner->engine->keys, tenant, name);
    ski_sealed_list list;
    skald_err err = ski_sealed_correlation(job->sealed, hash, &list, job->planner->error);

    if (!err) lists_add(lists, &list);
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

typedef skald_err key_add(const index_plan *job, skald_str tenant, skald_str name,
                          index_lists *lists);

// keys_add adds the list of one name, of one tenant or of each that the segment has.
static skald_err keys_add(const index_plan *job, key_add *add, skald_str name, index_lists *lists)
{
    const skald_filter *filter = &job->planner->read->filter;
    ski_sealed_names_iter iter;
    skald_err err = SKALD_OK;

    if (filter->tenant.ptr) return add(job, filter->tenant, name, lists);
    if (job->info->tenants > SKI_INDEX_TENANTS_MAX) lists->usable = false;
    if (!lists->usable) return SKALD_OK;
    err = ski_sealed_names_begin(&iter, job->sealed, SKI_SEALED_TENANTS, (skald_str){"", 0},
                                 (skald_str){"", 0}, job->planner->error);
    while (!err && lists->usable) {
        err = ski_sealed_names_next(&iter, job->planner->error);
        if (!err) err = add(job, iter.tenant, name, lists);
    }
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

static skald_err lists_streams(const index_plan *job, index_lists *lists)
{
    skald_texts names = job->planner->read->filter.streams;

    lists->usable = names.count > 0;
    for (size_t i = 0; i < names.count && lists->usable; i++) {
        SKALD_TRY(keys_add(job, stream_add, names.items[i], lists));
    }
    return SKALD_OK;
}

static skald_err lists_correlation(const index_plan *job, index_lists *lists)
{
    skald_str name = job->planner->read->filter.correlation_id;

    lists->usable = name.len > 0;
    return lists->usable ? keys_add(job, correlation_add, name, lists) : SKALD_OK;
}

static skald_err lists_tenant(const index_plan *job, index_lists *lists)
{
    skald_str tenant = job->planner->read->filter.tenant;
    ski_sealed_named named;
    skald_err err = SKALD_ENOTFOUND;

    lists->usable = tenant.ptr != NULL;
    if (!lists->usable) return SKALD_OK;
    err = ski_sealed_named_find(job->sealed, SKI_SEALED_TENANTS, tenant, (skald_str){"", 0}, &named,
                                job->planner->error);
    if (!err) lists_add(lists, &named.list);
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

// lists_choose takes the shortest lists that hold every event the read means.
static skald_err lists_choose(index_plan *job)
{
    typedef skald_err lists_make(const index_plan *job, index_lists *lists);
    static lists_make *const choices[] = {lists_streams, lists_correlation, lists_types,
                                          lists_tenant};
    ski_planner *planner = job->planner;
    index_lists other = {0};

    if (!planner->lists) {
        planner->lists = ski_alloc(2 * SKI_PLAN_LISTS_MAX * sizeof *planner->lists);
        if (!planner->lists) return SKALD_ENOMEM;
    }
    job->best = (index_lists){.lists = planner->lists};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (job->best.usable && !job->best.total) break; // there is nothing here
        // What a tenant has of anything is no more than what it has.
        if (job->best.usable && choices[i] == lists_tenant) break;
        other = (index_lists){.lists = job->best.lists == planner->lists
                                           ? planner->lists + SKI_PLAN_LISTS_MAX
                                           : planner->lists};
        SKALD_TRY(choices[i](job, &other));
        if (!other.usable) continue;
        if (!job->best.usable || other.total < job->best.total) job->best = other;
    }
    if (job->best.total > job->info->count / scan_share) job->best.usable = false;
    return SKALD_OK;
}

// places_of gives where events from a position on are, at least one; *ret_count of them.
static skald_err places_of(index_plan *job, uint64_t position, size_t count,
                           ski_sealed_place *ret_places, size_t *ret_count)
{
    const ski_sealed_info *info = job->info;

    if (position >= info->base_pos && position - info->base_pos < info->count) {
        return ski_sealed_places_of(&job->rows, position, count, ret_places, ret_count,
                                    job->planner->error);
    }
    ret_places[0] = (ski_sealed_place){.state = SKI_SEALED_DAMAGED};
    *ret_count = 1;
    return SKALD_OK;
}

// index_take adds an event to the page; false: it is full.
static inline bool index_take(index_plan *job, uint64_t position, const ski_sealed_place *place)
{
    ski_candidate candidate = {0};

    if (place->state == SKI_SEALED_ERASED) return true;
    candidate = ski_locate_place(job->slot, position, job->info, place);
    return ski_planner_take(job->planner, &candidate);
}

// index_scan adds every event between the bounds, from one end on.
static skald_err index_scan(index_plan *job)
{
    bool backwards = job->planner->read->backwards, more = true;
    ski_sealed_place places[stretch];

    while (more && job->low <= job->high) {
        uint64_t left = job->high - job->low, from = job->low;
        size_t count = left < stretch ? (size_t)left + 1 : stretch, got = 0;

        if (backwards) from = job->high - (count - 1);
        SKALD_TRY(places_of(job, from, count, places, &got));
        if (backwards && got < count) { // they end before: so many fewer, up to the last one
            from = job->high;
            SKALD_TRY(places_of(job, from, 1, places, &got));
        }
        for (size_t i = 0; i < got && more; i++) {
            size_t at = backwards ? got - 1 - i : i;

            more = index_take(job, from + at, &places[at]);
        }
        if (backwards)
            job->high = from - 1;
        else
            job->low = from + got;
    }
    return SKALD_OK;
}

// head_read reads the next position of a list; none within the bounds: the list is at its end.
static skald_err head_read(index_plan *job, size_t i)
{
    bool backwards = job->planner->read->backwards;
    ski_sealed_list *list = &job->best.lists[i];
    uint64_t position = 0;

    job->head[i] = 0;
    if (backwards ? job->at[i] == 0 : job->at[i] == list->count) return SKALD_OK;
    SKALD_TRY(ski_sealed_list_at(job->sealed, list, backwards ? job->at[i] - 1 : job->at[i],
                                 &position, job->planner->error));
    if (position >= job->low && position <= job->high) job->head[i] = position;
    return SKALD_OK;
}

static skald_err index_merge(index_plan *job)
{
    bool backwards = job->planner->read->backwards;

    for (size_t i = 0; i < job->best.count; i++) {
        SKALD_TRY(ski_sealed_list_after(job->sealed, &job->best.lists[i],
                                        backwards ? job->high : job->low - 1, &job->at[i],
                                        job->planner->error));
        SKALD_TRY(head_read(job, i));
    }
    for (bool more = true; more;) {
        ski_sealed_place place;
        uint64_t best = 0;
        size_t got = 0;

        for (size_t i = 0; i < job->best.count; i++) {
            uint64_t head = job->head[i];

            if (head && (!best || (backwards ? head > best : head < best))) best = head;
        }
        if (!best) return SKALD_OK;
        for (size_t i = 0; i < job->best.count; i++) {
            if (job->head[i] != best) continue;
            job->at[i] = backwards ? job->at[i] - 1 : job->at[i] + 1;
            SKALD_TRY(head_read(job, i));
        }
        SKALD_TRY(places_of(job, best, 1, &place, &got));
        more = index_take(job, best, &place);
    }
    return SKALD_OK;
}

// index_stream narrows the bounds to versions of the one stream that is read, and says what that
// tells about other segments.
static skald_err index_stream(index_plan *job)
{
    ski_planner *planner = job->planner;
    const skald_read *read = planner->read;
    const skald_str *name = ski_planner_stream(planner);
    uint64_t first = 0, last = 0, position = 0;
    ski_sealed_stream stream;
    skald_err err = SKALD_OK;

    if (!name || (!read->version_from && !read->version_to && !read->backwards)) return SKALD_OK;
    err =
        ski_sealed_stream_find(job->sealed,
                               ski_keys_stream(&planner->engine->keys, read->filter.tenant, *name),
                               &stream, planner->error);
    if (err) return err == SKALD_ENOTFOUND ? SKALD_OK : err;
    if (read->backwards) { // further back it goes on there
        planner->jump = stream.prev_pos;
        if (stream.prev_pos < planner->low) planner->over = true;
    }
    first = stream.first_version;
    last = stream.last_version;
    if (!first || stream.list.count != last - first + 1) return SKALD_OK; // events are gone
    if (read->version_from > last || (read->version_to && read->version_to < first)) {
        planner->over |= read->backwards ? read->version_from > last : read->version_from <= last;
        job->low = job->high + 1;
        return SKALD_OK;
    }
    if (read->version_from > first) {
        SKALD_TRY(ski_sealed_list_at(job->sealed, &stream.list,
                                     (uint32_t)(read->version_from - first), &position,
                                     planner->error));
        if (position > job->low) job->low = position;
    }
    if (read->version_to && read->version_to < last) {
        SKALD_TRY(ski_sealed_list_at(job->sealed, &stream.list,
                                     (uint32_t)(read->version_to - first), &position,
                                     planner->error));
        if (position < job->high) job->high = position;
    }
    return SKALD_OK;
}

// index_times narrows the bounds to times, to within a thousand events.
static void index_times(index_plan *job)
{
    const skald_read *read = job->planner->read;
    uint64_t low = 0, high = 0;

    if (read->from) {
        ski_sealed_at_time(job->sealed, read->from, &low, &high);
        if (low > job->low) job->low = low;
    }
    if (read->to) {
        ski_sealed_at_time(job->sealed, read->to, &low, &high);
        if (high - 1 < job->high) job->high = high - 1;
    }
}

skald_err ski_plan_index(ski_planner *planner, uint32_t slot, const ski_sealed *sealed,
                         uint64_t low, uint64_t high)
{
    index_plan *job = ski_alloc(sizeof *job);
    skald_err err = SKALD_OK;

    if (!job) return SKALD_ENOMEM;
    if (ski_sealed_info_of(sealed)->erased == ski_sealed_info_of(sealed)->count) {
        ski_free(job);
        return SKALD_OK; // there is nothing
    }
    job->planner = planner;
    job->sealed = sealed;
    job->info = ski_sealed_info_of(sealed);
    job->slot = slot;
    job->low = low;
    job->high = high;
    ski_sealed_view_begin(&job->rows, sealed);
    index_times(job);
    if (job->low <= job->high) err = index_stream(job);
    if (!err && job->low <= job->high) {
        err = lists_choose(job);
        if (!err) err = job->best.usable ? index_merge(job) : index_scan(job);
    }
    ski_sealed_view_end(&job->rows);
    ski_free(job);
    return err;
}
