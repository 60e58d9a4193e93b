// SPDX-License-Identifier: Apache-2.0
// Sight: a rule hides a beginning of a stream; the floor, a beginning of the log. Rules are looked
// up for some events at a time, so that the lock over them is held for little.
//
// Invariants:
//   1. Nothing of the driver is called under rules_mutex.
//   2. max_count is held against the version the stream has after the page was read: an event that
//      is given was among the newest at some moment of the call.
#include "store/sight.h"

#include "base/str.h"
#include "store/handle.h"

enum {
    looked_up_at_once = 64,
    versions_kept = 16, // of streams with max_count, in one page
};

skald_err ski_sight_take(skald_store *store, bool erasing, ski_sight *ret_sight,
                         skald_error *reterr_error)
{
    ski_sight sight = {.rules = atomic_load(&store->rules_count) != 0};

    if (sight.rules || atomic_load(&store->retention.limited)) sight.now = ski_store_now(store);
    SKALD_TRY(ski_retention_floor(store, sight.now, erasing, &sight.floor, reterr_error));
    *ret_sight = sight;
    return SKALD_OK;
}

// rule_version_min is the least version of a stream that its rule shows, its age apart.
static skald_err rule_version_min(skald_store *store, const ski_rule *rule, skald_str tenant,
                                  skald_str stream, uint64_t *ret_version)
{
    uint64_t version = 0, min = ski_rule_version_min(rule);

    if (rule->max_count || rule->tombstoned)
        SKALD_TRY(store->driver->stream_version(store->instance, tenant, stream, &version));
    if (rule->tombstoned)
        min = version + 1;
    else if (rule->max_count && version > rule->max_count && version - rule->max_count + 1 > min)
        min = version - rule->max_count + 1;
    *ret_version = min;
    return SKALD_OK;
}

skald_err ski_sight_narrow(skald_store *store, const ski_sight *sight, skald_read *read)
{
    const skald_filter *filter = &read->filter;
    uint64_t version = 0;
    ski_rule rule;

    if (read->after < sight->floor) read->after = sight->floor;
    if (filter->streams.count != 1 || !filter->tenant.ptr) return SKALD_OK;
    if (!ski_rule_get(store, filter->tenant, filter->streams.items[0], &rule)) return SKALD_OK;
    SKALD_TRY(rule_version_min(store, &rule, filter->tenant, filter->streams.items[0], &version));
    if (version > 1 && version > read->version_from) read->version_from = version;
    if (rule.max_age && sight->now - rule.max_age > read->from)
        read->from = sight->now - rule.max_age;
    return SKALD_OK;
}

// A page's streams with max_count and where they stand, so that each is asked for once. One falls
// out when another needs its place.
typedef struct versions {
    struct {
        skald_str tenant, stream;
        uint64_t min;
    } kept[versions_kept];
} versions;

static skald_err version_min(skald_store *store, versions *known, const ski_rule *rule,
                             const skald_event *event, uint64_t *ret_min)
{
    size_t at = (event->stream.len * 31 + (uint8_t)event->stream.ptr[event->stream.len - 1]) %
                versions_kept;
    bool same = known->kept[at].stream.ptr &&
                skald_str_equal(known->kept[at].stream, event->stream) &&
                skald_str_equal(known->kept[at].tenant, event->tenant);

    if (!same) {
        SKALD_TRY(
            rule_version_min(store, rule, event->tenant, event->stream, &known->kept[at].min));
        known->kept[at].tenant = event->tenant;
        known->kept[at].stream = event->stream;
    }
    *ret_min = known->kept[at].min;
    return SKALD_OK;
}

static skald_err event_hidden(skald_store *store, const ski_sight *sight, versions *known,
                              const ski_rule *rule, const skald_event *event, bool *ret_hidden)
{
    uint64_t min = ski_rule_version_min(rule);

    if (rule->tombstoned || event->stream_version < min ||
        (rule->max_age && event->recorded_at < sight->now - rule->max_age)) {
        *ret_hidden = true;
        return SKALD_OK;
    }
    if (rule->max_count) SKALD_TRY(version_min(store, known, rule, event, &min));
    *ret_hidden = event->stream_version < min;
    return SKALD_OK;
}

// rules_copy looks up the rules of count events; those without one get an empty one.
static bool rules_copy(skald_store *store, const skald_event *events, size_t count,
                       ski_rule *ret_rules)
{
    bool any = false;

    ski_mutex_lock(&store->rules_mutex);
    for (size_t i = 0; i < count; i++) {
        const ski_rules_entry *entry = NULL;

        ret_rules[i] = (ski_rule){0};
        if (!events[i].stream.len) continue;
        if (ski_str_begins(events[i].stream, SKALD_STR(SKI_SNAPSHOT_PREFIX)))
            ret_rules[i].max_count = 1;
        else
            entry = ski_rules_find(&store->rules, events[i].tenant, events[i].stream);
        if (entry) ret_rules[i] = entry->rule;
        any = any || !ski_rule_empty(&ret_rules[i]);
    }
    ski_mutex_unlock(&store->rules_mutex);
    return any;
}

skald_err ski_sight_filter(skald_store *store, const ski_sight *sight, skald_store_page *page)
{
    ski_rule rules[looked_up_at_once];
    versions known = {0};
    size_t kept = 0;

    for (size_t begin = 0; begin < page->count; begin += looked_up_at_once) {
        size_t count = page->count - begin;

        if (count > looked_up_at_once) count = looked_up_at_once;
        bool any = rules_copy(store, page->events + begin, count, rules);
        for (size_t i = 0; i < count; i++) {
            bool hidden = false;

            if (any && !ski_rule_empty(&rules[i]))
                SKALD_TRY(event_hidden(store, sight, &known, &rules[i], &page->events[begin + i],
                                       &hidden));
            if (hidden) continue;
            if (kept != begin + i) page->events[kept] = page->events[begin + i];
            kept++;
        }
    }
    page->count = kept;
    return SKALD_OK;
}

bool ski_sight_dead(skald_store *store, const ski_sight *sight, const skald_store_mark *mark)
{
    uint64_t min = 0;
    ski_rule rule;

    if (mark->position <= sight->floor) return true;
    if (!mark->stream.len || !ski_rule_get(store, mark->tenant, mark->stream, &rule)) return false;
    if (rule.tombstoned) return true;
    if (rule.max_age && mark->recorded_at < sight->now - rule.max_age) return true;
    if (rule_version_min(store, &rule, mark->tenant, mark->stream, &min)) return false;
    return mark->stream_version < min;
}

void ski_sight_beginning(skald_store *store, const ski_sight *sight, const ski_rule *rule,
                         skald_store_beginning *beginning)
{
    beginning->version_before = UINT64_MAX;
    if (!rule->tombstoned && rule_version_min(store, rule, beginning->tenant, beginning->stream,
                                              &beginning->version_before))
        beginning->version_before = UINT64_MAX; // then all of it is looked at
    beginning->recorded_before = rule->max_age ? sight->now - rule->max_age : 0;
}

bool ski_sight_stream_gone(skald_store *store, const ski_sight *sight, skald_str tenant,
                           const skald_counted *stream, skald_time *ret_max_age)
{
    ski_rule rule;

    *ret_max_age = 0;
    if (ski_reserved(stream->name)) return true;
    if (stream->position_last <= sight->floor) return true;
    if (!sight->rules || !ski_rule_get(store, tenant, stream->name, &rule)) return false;
    *ret_max_age = rule.max_age;
    return rule.tombstoned || stream->count < ski_rule_version_min(&rule);
}

bool ski_reserved_hidden(const skald_filter *filter, const skald_event *event)
{
    const skald_texts *lists[] = {&filter->types, &filter->streams, &filter->categories};

    if (!ski_reserved(event->stream) && !ski_reserved(event->type)) return false;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        for (size_t j = 0; j < lists[i]->count; j++)
            if (ski_reserved(lists[i]->items[j])) return false;
    return true;
}
