// SPDX-License-Identifier: Apache-2.0
// Listings: streams, types, named values. A driver visits sorted runs of what may be millions of
// streams; of those the count_max first by tenant and name are kept in a heap, so memory is bounded
// by what was asked for, and a run ends as soon as nothing greater is wanted.
#include "store/handle.h"

#include "base/alloc.h"
#include "base/str.h"
#include "store/content.h"
#include "store/sight.h"
#include "store/tally.h"

#include <stdlib.h>
#include <string.h>

// One place of the heap; the name is copied in, for it is lent for the visit only.
typedef struct listed {
    uint64_t count, position_last;
    skald_time max_age; // of its metadata: whether its newest event is too old is looked at later
    uint8_t len, tenant_len;
    char name[SKALD_STREAM_BYTES_MAX];
    char tenant[SKALD_TENANT_BYTES_MAX];
} listed;

// A heap with the greatest on top: the first to go.
typedef struct listing {
    skald_store *store;
    const ski_sight *sight;
    skald_str tenant, prefix;
    skald_counted after; // its name is empty: from the first on
    listed *items;
    size_t count, size, count_max;
    bool nomem;
} listing;

static skald_str listed_name(const listed *item)
{
    return ski_str(item->name, item->len);
}

static skald_str listed_tenant(const listed *item)
{
    return ski_str(item->tenant, item->tenant_len);
}

static int listed_compare(const listed *a, const listed *b)
{
    int order = ski_str_compare(listed_tenant(a), listed_tenant(b));

    return order ? order : ski_str_compare(listed_name(a), listed_name(b));
}

static void listed_swap(listed *a, listed *b)
{
    listed kept = *a;

    *a = *b;
    *b = kept;
}

static void heap_up(listed *items, size_t at)
{
    while (at && listed_compare(&items[at], &items[(at - 1) / 2]) > 0) {
        listed_swap(&items[at], &items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void heap_down(listed *items, size_t count, size_t at)
{
    for (;;) {
        size_t greatest = at;

        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
            if (listed_compare(&items[child], &items[greatest]) > 0) greatest = child;
        if (greatest == at) return;
        listed_swap(&items[at], &items[greatest]);
        at = greatest;
    }
}

static bool listing_grow(listing *list)
{
    size_t size = list->size ? list->size * 2 : 64;
    listed *items;

    if (size > list->count_max) size = list->count_max;
    items = ski_realloc(list->items, size * sizeof(*items));
    if (!items) return false;
    list->items = items;
    list->size = size;
    return true;
}

static void listed_set(listed *item, const skald_counted *stream, skald_time max_age)
{
    item->count = stream->count;
    item->position_last = stream->position_last;
    item->max_age = max_age;
    item->tenant_len = (uint8_t)stream->tenant.len;
    if (stream->tenant.len) memcpy(item->tenant, stream->tenant.ptr, stream->tenant.len);
    item->len = (uint8_t)stream->name.len;
    memcpy(item->name, stream->name.ptr, stream->name.len);
}

static bool listed_before(const skald_counted *stream, const listed *item)
{
    int order = ski_str_compare(stream->tenant, listed_tenant(item));

    return (order ? order : ski_str_compare(stream->name, listed_name(item))) < 0;
}

static bool listing_visit(void *context, const skald_counted *given)
{
    listing *list = context;
    skald_counted visited = *given;
    const skald_counted *stream = &visited;
    skald_time max_age;

    if (!visited.tenant.ptr) visited.tenant = list->tenant.ptr ? list->tenant : SKALD_STR("");
    if (visited.tenant.len > SKALD_TENANT_BYTES_MAX) return true;
    if (!stream->name.len || stream->name.len > SKALD_STREAM_BYTES_MAX) return true;
    if (!ski_str_begins(stream->name, list->prefix)) return true;
    if (!ski_stream_behind(stream->tenant, stream->name, &list->after)) return true;
    if (list->count == list->count_max && !listed_before(stream, &list->items[0]))
        return false; // nothing greater is wanted
    if (ski_sight_stream_gone(list->store, list->sight, visited.tenant, stream, &max_age))
        return true;
    if (list->count == list->count_max) {
        listed_set(&list->items[0], stream, max_age);
        heap_down(list->items, list->count, 0);
        return true;
    }
    if (list->nomem || (list->count == list->size && !listing_grow(list))) {
        list->nomem = true;
        return false;
    }
    listed_set(&list->items[list->count], stream, max_age);
    heap_up(list->items, list->count++);
    return true;
}

// listing_sort takes the greatest from the heap's top, again and again, and so fills from the end.
static void listing_sort(listing *list)
{
    for (size_t i = list->count; i-- > 1;) {
        listed_swap(&list->items[0], &list->items[i]);
        heap_down(list->items, i, 0);
    }
}

// stream_aged: the stream's newest event has become too old, and so have all.
static skald_err stream_aged(const listing *list, const listed *item, bool *ret_aged)
{
    skald_store *store = list->store;
    skald_read read = {.filter.tenant = {item->tenant, item->tenant_len},
                       .after = item->position_last - 1,
                       .before = item->position_last + 1,
                       .from = list->sight->now - item->max_age,
                       .page_bytes_max = SKI_STORE_PAGE_BYTES};
    skald_store_page page = {0};
    skald_err err;

    *ret_aged = false;
    if (!item->max_age || read.from <= 0) return SKALD_OK;
    err = store->driver->read(store->instance, &read, &page, NULL);
    if (err == SKALD_ECORRUPT) return SKALD_OK;
    if (err) return err;
    *ret_aged = true;
    for (size_t i = 0; i < page.count; i++)
        if (page.events[i].recorded_at >= read.from &&
            page.events[i].position == item->position_last)
            *ret_aged = false;
    if (page.driver) store->driver->page_free(store->instance, &page);
    return SKALD_OK;
}

// listing_give copies what is left of a sorted listing behind the *count there are.
static skald_err listing_give(const listing *list, skald_arena *arena, skald_counted *streams,
                              size_t *count)
{
    for (size_t i = 0; i < list->count; i++) {
        const listed *item = &list->items[i];
        skald_counted *stream = &streams[*count];
        bool aged = false;

        SKALD_TRY(stream_aged(list, item, &aged));
        if (aged) continue;
        *stream = (skald_counted){.count = item->count, .position_last = item->position_last};
        stream->name = skald_arena_copy(arena, listed_name(item));
        stream->tenant = SKALD_STR("");
        if (item->tenant_len)
            stream->tenant = skald_arena_copy(arena, ski_str(item->tenant, item->tenant_len));
        if (!stream->name.ptr || !stream->tenant.ptr) return SKALD_ENOMEM;
        ++*count;
    }
    return SKALD_OK;
}

// listing_on goes on behind the last of a round.
static skald_err listing_on(listing *list, skald_arena *arena)
{
    const listed *last = &list->items[list->count - 1];

    list->after.name = skald_arena_copy(arena, listed_name(last));
    list->after.tenant = SKALD_STR("");
    if (last->tenant_len) list->after.tenant = skald_arena_copy(arena, listed_tenant(last));
    return list->after.name.ptr && list->after.tenant.ptr ? SKALD_OK : SKALD_ENOMEM;
}

// listing_run collects streams in order, in rounds: what turns out too old is made up for by those
// that follow.
static skald_err listing_run(listing *list, skald_arena *arena, skald_counted **ret_streams,
                             size_t *ret_count)
{
    const skald_store_driver *driver = list->store->driver;
    size_t count = 0, wanted = list->count_max;
    skald_counted *streams = NULL;
    bool full = true;

    while (full && count < wanted) {
        list->count = 0;
        list->count_max = wanted - count;
        SKALD_TRY(driver->streams_each(list->store->instance, list->tenant, list->prefix,
                                       &list->after, listing_visit, list));
        if (list->nomem) return SKALD_ENOMEM;
        listing_sort(list);
        full = list->count == list->count_max;
        if (!streams) {
            streams = skald_arena_get(arena, (list->count + 1) * sizeof(*streams));
            if (!streams) return SKALD_ENOMEM;
        }
        SKALD_TRY(listing_give(list, arena, streams, &count));
        if (!full) break;
        SKALD_TRY(listing_on(list, arena));
    }
    *ret_streams = streams;
    *ret_count = count;
    return SKALD_OK;
}

skald_err skald_store_streams(skald_store *store, skald_str tenant, skald_str prefix,
                              const skald_counted *after, size_t count_max, skald_arena *arena,
                              const skald_counted **ret_streams, size_t *ret_count)
{
    ski_sight sight;
    listing list = {.store = store,
                    .sight = &sight,
                    .tenant = tenant,
                    .prefix = prefix,
                    .count_max = count_max};
    skald_counted *streams = NULL;
    size_t count = 0;
    skald_err err;

    if (!prefix.ptr) list.prefix = SKALD_STR("");
    if (after) list.after = *after;
    if (!list.after.tenant.ptr) list.after.tenant = tenant.ptr ? tenant : SKALD_STR("");
    if (!count_max || count_max > SKI_STORE_LIST_MAX) return SKALD_EINVALID;
    SKALD_TRY(ski_store_enter(store));
    err = ski_sight_take(store, false, &sight, NULL);
    if (!err) err = listing_run(&list, arena, &streams, &count);
    ski_store_leave(store);
    ski_free(list.items);
    if (err) return err;
    *ret_streams = streams;
    *ret_count = count;
    return SKALD_OK;
}

// Types: all of them, as a chain in arena first, because how many come is not known before.
typedef struct type_link {
    skald_counted type;
    struct type_link *next;
} type_link;
typedef struct type_chain {
    skald_arena *arena;
    type_link *first;
    size_t count;
    bool nomem;
} type_chain;

static bool type_visit(void *context, const skald_counted *type)
{
    type_chain *chain = context;
    type_link *link;

    if (ski_reserved(type->name)) return true;
    link = skald_arena_get(chain->arena, sizeof(*link));
    if (!link) goto nomem;
    link->type = *type;
    link->type.name = skald_arena_copy(chain->arena, type->name);
    if (!link->type.name.ptr) goto nomem;
    link->next = chain->first;
    chain->first = link;
    chain->count++;
    return true;

nomem:
    chain->nomem = true;
    return false;
}

static int type_compare(const void *a, const void *b)
{
    return ski_str_compare(((const skald_counted *)a)->name, ((const skald_counted *)b)->name);
}

// types_show takes the hidden events off the counts of sorted types and leaves out those of which
// nothing is left. A name that stands several times, for several tenants, becomes one: the tally
// does not tell tenants apart.
static size_t types_show(const ski_tally *tally, skald_counted *types, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count;) {
        skald_counted type = types[i];
        uint64_t hidden = ski_tally_count(tally, type.name);

        for (i++; i < count && skald_str_equal(types[i].name, type.name); i++) {
            type.count += types[i].count;
            if (types[i].position_last > type.position_last)
                type.position_last = types[i].position_last;
        }
        type.count -= hidden < type.count ? hidden : type.count;
        if (type.count) types[kept++] = type;
    }
    return kept;
}

// types_run: what is hidden is tallied first, so that nothing is taken off that the driver does not
// count yet.
static skald_err types_run(skald_store *store, skald_str tenant, ski_tally *tally,
                           type_chain *chain, bool *ret_tallied)
{
    ski_sight sight;

    SKALD_TRY(ski_sight_take(store, false, &sight, NULL));
    *ret_tallied = sight.rules || sight.floor;
    if (*ret_tallied) SKALD_TRY(ski_tally_hidden(store, &sight, tenant, chain->arena, tally));
    SKALD_TRY(store->driver->types_each(store->instance, tenant, type_visit, chain));
    return chain->nomem ? SKALD_ENOMEM : SKALD_OK;
}

skald_err skald_store_types(skald_store *store, skald_str tenant, skald_arena *arena,
                            const skald_counted **ret_types, size_t *ret_count)
{
    type_chain chain = {.arena = arena};
    ski_tally tally = {0};
    skald_counted *types = NULL;
    bool tallied = false;
    size_t i = 0;
    skald_err err;

    SKALD_TRY(ski_store_enter(store));
    err = types_run(store, tenant, &tally, &chain, &tallied);
    ski_store_leave(store);
    if (!err) types = skald_arena_get(arena, (chain.count ? chain.count : 1) * sizeof(*types));
    if (!err && !types) err = SKALD_ENOMEM;
    if (!err) {
        for (const type_link *link = chain.first; link; link = link->next) types[i++] = link->type;
        qsort(types, chain.count, sizeof(*types), type_compare);
        *ret_count = tallied ? types_show(&tally, types, chain.count) : chain.count;
        *ret_types = types;
    }
    ski_tally_fini(&tally);
    return err;
}

skald_err skald_stream_version(skald_store *store, skald_str tenant, skald_str stream,
                               uint64_t *ret_version)
{
    uint64_t version = 0;
    ski_rule rule;
    skald_err err;

    if (!stream.len || stream.len > SKALD_STREAM_BYTES_MAX) return SKALD_EINVALID;
    if (!tenant.ptr) tenant = SKALD_STR("");
    SKALD_TRY(ski_store_enter(store));
    err = store->driver->stream_version(store->instance, tenant, stream, &version);
    ski_store_leave(store);
    if (err) return err;
    if (ski_rule_get(store, tenant, stream, &rule) &&
        (rule.tombstoned || version < rule.deleted_before))
        version = 0;
    *ret_version = version;
    return SKALD_OK;
}

skald_err ski_store_value_get(skald_store *store, skald_str name, skald_buf *buf)
{
    skald_err err;

    if (!name.len || name.len > SKI_STORE_VALUE_NAME_BYTES_MAX) return SKALD_EINVALID;
    SKALD_TRY(ski_store_enter(store));
    err = store->driver->value_get(store->instance, name, buf);
    ski_store_leave(store);
    return err;
}

skald_err ski_store_value_each(skald_store *store, skald_str prefix,
                               bool (*visit)(void *context, const skald_store_value *value),
                               void *context)
{
    skald_err err;

    if (!prefix.ptr) prefix = SKALD_STR("");
    SKALD_TRY(ski_store_enter(store));
    err = store->driver->value_each(store->instance, prefix, visit, context);
    ski_store_leave(store);
    return err;
}
