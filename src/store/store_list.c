// SPDX-License-Identifier: Apache-2.0
// Listings: streams, types, named values. A driver visits sorted runs of what may be millions of
// streams; of those the count_max smallest names are kept in a heap, so memory is bounded by what
// was asked for, and a run ends as soon as nothing greater is wanted.
#include "store/handle.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

// One place of the heap; the name is copied in, for it is lent for the visit only.
typedef struct listed {
    uint64_t count, position_last;
    uint8_t len;
    char name[SKALD_STREAM_BYTES_MAX];
} listed;

// A heap with the greatest name on top: the first to go.
typedef struct listing {
    skald_str prefix, after;
    listed *items;
    size_t count, size, count_max;
    bool many; // tenants
    bool nomem;
} listing;

static skald_str listed_name(const listed *item)
{
    return ski_str(item->name, item->len);
}

static int listed_compare(const listed *a, const listed *b)
{
    return ski_str_compare(listed_name(a), listed_name(b));
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

static void listed_set(listed *item, const skald_counted *stream)
{
    item->count = stream->count;
    item->position_last = stream->position_last;
    item->len = (uint8_t)stream->name.len;
    memcpy(item->name, stream->name.ptr, stream->name.len);
}

static bool listing_visit(void *context, const skald_counted *stream)
{
    listing *list = context;

    if (!stream->name.len || stream->name.len > SKALD_STREAM_BYTES_MAX) return true;
    if (!ski_str_begins(stream->name, list->prefix)) return true;
    if (list->after.len && ski_str_compare(stream->name, list->after) <= 0) return true;
    if (list->count == list->count_max) {
        // With every tenant the names of a run begin anew with each.
        if (ski_str_compare(stream->name, listed_name(&list->items[0])) >= 0) return list->many;
        listed_set(&list->items[0], stream);
        heap_down(list->items, list->count, 0);
        return true;
    }
    if (list->nomem || (list->count == list->size && !listing_grow(list))) {
        list->nomem = true;
        return false;
    }
    listed_set(&list->items[list->count], stream);
    heap_up(list->items, list->count++);
    return true;
}

// listing_give takes the greatest from the heap's top, again and again, and so fills from the end.
static skald_err listing_give(listing *list, skald_arena *arena, const skald_counted **ret_streams,
                              size_t *ret_count)
{
    size_t count = list->count;
    skald_counted *streams = skald_arena_get(arena, (count ? count : 1) * sizeof(*streams));

    if (!streams) return SKALD_ENOMEM;
    for (size_t i = count; i-- > 0;) {
        const listed *greatest = &list->items[0];

        streams[i].name = skald_arena_copy(arena, listed_name(greatest));
        if (!streams[i].name.ptr) return SKALD_ENOMEM;
        streams[i].count = greatest->count;
        streams[i].position_last = greatest->position_last;
        listed_swap(&list->items[0], &list->items[i]);
        heap_down(list->items, i, 0);
    }
    *ret_streams = streams;
    *ret_count = count;
    return SKALD_OK;
}

skald_err skald_store_streams(skald_store *store, skald_str tenant, skald_str prefix,
                              skald_str after, size_t count_max, skald_arena *arena,
                              const skald_counted **ret_streams, size_t *ret_count)
{
    listing list = {
        .prefix = prefix, .after = after, .count_max = count_max, .many = tenant.ptr == NULL};
    skald_err err;

    if (!prefix.ptr) list.prefix = SKALD_STR("");
    if (!count_max || count_max > SKI_STORE_LIST_MAX) return SKALD_EINVALID;
    SKALD_TRY(ski_store_enter(store));
    if (!after.ptr) list.after = SKALD_STR("");
    err = store->driver->streams_each(store->instance, tenant, list.prefix, list.after,
                                      listing_visit, &list);
    ski_store_leave(store);
    if (!err && list.nomem) err = SKALD_ENOMEM;
    if (!err) err = listing_give(&list, arena, ret_streams, ret_count);
    ski_free(list.items);
    return err;
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
    type_link *link = skald_arena_get(chain->arena, sizeof(*link));

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

skald_err skald_store_types(skald_store *store, skald_str tenant, skald_arena *arena,
                            const skald_counted **ret_types, size_t *ret_count)
{
    type_chain chain = {.arena = arena};
    skald_counted *types;
    size_t i = 0;
    skald_err err;

    SKALD_TRY(ski_store_enter(store));
    err = store->driver->types_each(store->instance, tenant, type_visit, &chain);
    ski_store_leave(store);
    if (err) return err;
    if (chain.nomem) return SKALD_ENOMEM;
    types = skald_arena_get(arena, (chain.count ? chain.count : 1) * sizeof(*types));
    if (!types) return SKALD_ENOMEM;
    for (const type_link *link = chain.first; link; link = link->next) types[i++] = link->type;
    qsort(types, chain.count, sizeof(*types), type_compare);
    *ret_types = types;
    *ret_count = chain.count;
    return SKALD_OK;
}

skald_err skald_stream_version(skald_store *store, skald_str tenant, skald_str stream,
                               uint64_t *ret_version)
{
    skald_err err;

    if (!stream.len || stream.len > SKALD_STREAM_BYTES_MAX) return SKALD_EINVALID;
    if (!tenant.ptr) tenant = SKALD_STR("");
    SKALD_TRY(ski_store_enter(store));
    err = store->driver->stream_version(store->instance, tenant, stream, ret_version);
    ski_store_leave(store);
    return err;
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
