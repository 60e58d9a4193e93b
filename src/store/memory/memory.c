// SPDX-License-Identifier: Apache-2.0
// The memory driver: events in chunks, indexes beside them, behind a lock that is held for a
// bounded time; types and correlations, which no append touches, behind another. memory_append.c is
// the way in, memory_read.c the way out, memory_compact.c the end.
//
// Invariants:
//   1. An event of position p and everything the indexes say of it become visible at once, under
//      data; head follows before data is given up. The indexes of types and correlations are told
//      when somebody asks them, and then first of everything that there is.
//   2. Slots are never moved. Texts are moved, and freed once they were erased, only while no page
//      is out. A failed append leaves nothing.
#include "store/memory/memory.h"

#include "base/alloc.h"
#include "base/str.h"
#include "os/kernel.h"
#include "store/content.h"
#include "store/memory/memory_store.h"

enum { lists_per_lock = 1024 }; // visited before appends get their turn

static const uint64_t bytes_max_default = 4096ULL * 1024 * 1024;

static skald_err path_parse(const char *path, uint64_t *ret_bytes_max, skald_error *reterr_error)
{
    skald_str rest = skald_str_of(path), key = SKALD_STR("?bytes_max=");

    if (!rest.len) {
        *ret_bytes_max = bytes_max_default;
        return SKALD_OK;
    }
    if (ski_str_begins(rest, key)) {
        skald_str number = {rest.ptr + key.len, rest.len - key.len};

        if (!ski_str_u64(number, ret_bytes_max) && *ret_bytes_max) return SKALD_OK;
    }
    return skald_fail_at(reterr_error, SKALD_EINVALID, "url",
                         "'memory:%s' is not understood; give \"memory:\" or "
                         "\"memory:?bytes_max=NUMBER\"",
                         path);
}

static skald_err memory_open(const char *path, const skald_store_options *options,
                             const skald_store_host *host, void **ret_driver,
                             skald_error *reterr_error)
{
    ski_memory *memory;
    uint64_t bytes_max = 0, seed = 0;

    (void)options;
    SKALD_TRY(path_parse(path, &bytes_max, reterr_error));
    memory = ski_alloc_zeroed(1, sizeof(*memory));
    if (!memory) return skald_fail(reterr_error, SKALD_ENOMEM, "%s", skald_err_text(SKALD_ENOMEM));
    host->kernel->random(host->kernel->context, &seed, sizeof(seed));
    memory->host = host;
    memory->bytes_max = bytes_max;
    memory->first = 1;
    memory->seed = memory->streams.seed = memory->types.seed = memory->correlations.seed = seed;
    ski_memory_values_init(&memory->values, seed);
    ski_mutex_init(&memory->order);
    ski_mutex_init(&memory->index);
    ski_mutex_init(&memory->data);
    atomic_init(&memory->head, 0);
    atomic_init(&memory->bytes, 0);
    *ret_driver = memory;
    return SKALD_OK;
}

static void memory_close(void *driver)
{
    ski_memory *memory = driver;

    ski_memory_texts_fini(memory);
    ski_memory_chunks_fini(memory);
    ski_free(memory->graves);
    ski_memory_postings_fini(&memory->streams);
    ski_memory_postings_fini(&memory->types);
    ski_memory_postings_fini(&memory->correlations);
    ski_memory_values_fini(&memory->values);
    ski_map_fini(&memory->ids.others);
    ski_mutex_fini(&memory->data);
    ski_mutex_fini(&memory->index);
    ski_mutex_fini(&memory->order);
    ski_free(memory);
}

static void memory_page_free(void *driver, skald_store_page *page)
{
    ski_memory *memory = driver;

    ski_free(page->driver);
    ski_mutex_lock(&memory->data);
    memory->pages--;
    ski_memory_bury(memory);
    ski_mutex_unlock(&memory->data);
}

static skald_err memory_find_id(void *driver, skald_str tenant, skald_uuid id,
                                uint64_t *ret_position)
{
    ski_memory *memory = driver;
    uint64_t position;

    ski_mutex_lock(&memory->data);
    position = ski_memory_ids_find(memory, tenant, id);
    ski_mutex_unlock(&memory->data);
    if (!position) return SKALD_ENOTFOUND;
    *ret_position = position;
    return SKALD_OK;
}

static skald_err memory_stream_version(void *driver, skald_str tenant, skald_str stream,
                                       uint64_t *ret_version)
{
    ski_memory *memory = driver;
    const ski_memory_list *list;

    ski_mutex_lock(&memory->data);
    list = ski_memory_postings_find(&memory->streams, tenant, stream);
    *ret_version = list ? list->count : 0;
    ski_mutex_unlock(&memory->data);
    return SKALD_OK;
}

// lists_visit gives up the postings' lock now and then: lists are added behind, and never leave
// while it is free, so a slot is a place to go on from.
static void lists_visit(ski_mutex *lock, const ski_memory_postings *postings, skald_str tenant,
                        skald_str prefix, const skald_counted *after,
                        bool (*visit)(void *context, const skald_counted *item), void *context)
{
    bool more = true;

    for (uint32_t slot = 0; more;) {
        ski_mutex_lock(lock);
        for (uint32_t end = slot + lists_per_lock; more && slot < end; slot++) {
            const ski_memory_list *list;

            more = slot < postings->count;
            if (!more) break;
            list = &postings->lists[slot];
            if (tenant.ptr && !skald_str_equal(list->tenant, tenant)) continue;
            if (!list->count || !ski_str_begins(list->name, prefix)) continue;
            if (!ski_stream_behind(list->tenant, list->name, after)) continue;
            more =
                visit(context, &(skald_counted){.name = list->name,
                                                .tenant = list->tenant,
                                                .count = list->count,
                                                .position_last = list->positions[list->count - 1]});
        }
        ski_mutex_unlock(lock);
    }
}

// A stream is a run of its own, for they are in no order: what the visitor says ends nothing.
typedef struct stream_visitor {
    bool (*visit)(void *context, const skald_counted *stream);
    void *context;
} stream_visitor;

static bool stream_visit(void *context, const skald_counted *stream)
{
    const stream_visitor *visitor = context;

    (void)visitor->visit(visitor->context, stream);
    return true;
}

static skald_err memory_streams_each(void *driver, skald_str tenant, skald_str prefix,
                                     const skald_counted *after,
                                     bool (*visit)(void *context, const skald_counted *stream),
                                     void *context)
{
    ski_memory *memory = driver;
    stream_visitor visitor = {visit, context};

    lists_visit(&memory->data, &memory->streams, tenant, prefix, after, stream_visit, &visitor);
    return SKALD_OK;
}

static skald_err memory_types_each(void *driver, skald_str tenant,
                                   bool (*visit)(void *context, const skald_counted *type),
                                   void *context)
{
    ski_memory *memory = driver;
    skald_err err;

    ski_mutex_lock(&memory->index);
    ski_mutex_lock(&memory->data);
    err = ski_memory_index(memory);
    ski_mutex_unlock(&memory->data);
    ski_mutex_unlock(&memory->index);
    if (err) return err;
    lists_visit(&memory->index, &memory->types, tenant, SKALD_STR(""), NULL, visit, context);
    return SKALD_OK;
}

static skald_err memory_value_get(void *driver, skald_str name, skald_buf *buf)
{
    ski_memory *memory = driver;
    const ski_memory_value *value;
    skald_err err;

    ski_mutex_lock(&memory->data);
    value = ski_memory_values_find(&memory->values, name);
    err = value ? skald_buf_put(buf, value->bytes) : SKALD_ENOTFOUND;
    ski_mutex_unlock(&memory->data);
    return err;
}

static skald_err memory_value_each(void *driver, skald_str prefix,
                                   bool (*visit)(void *context, const skald_store_value *value),
                                   void *context)
{
    ski_memory *memory = driver;
    bool more = true;

    ski_mutex_lock(&memory->data);
    for (uint32_t i = 0; more && i < memory->values.count; i++) {
        const ski_memory_value *value = &memory->values.slots[i];

        if (!value->name.ptr || !ski_str_begins(value->name, prefix)) continue;
        more = visit(context, &(skald_store_value){.name = value->name, .bytes = value->bytes});
    }
    ski_mutex_unlock(&memory->data);
    return SKALD_OK;
}

static uint64_t memory_head(void *driver)
{
    ski_memory *memory = driver;

    return atomic_load(&memory->head);
}

static void memory_state(void *driver, skald_store_state *ret_state)
{
    ski_memory *memory = driver;

    ret_state->head = atomic_load(&memory->head);
    ret_state->bytes_stored = atomic_load(&memory->bytes);
}

const skald_store_driver ski_store_memory = {
    .abi = SKALD_STORE_DRIVER_ABI,
    .scheme = "memory",
    .open = memory_open,
    .close = memory_close,
    .submit = ski_memory_submit,
    .commit = ski_memory_submit, // it has called done when it returns
    .read = ski_memory_read,
    .page_free = memory_page_free,
    .find_id = memory_find_id,
    .stream_version = memory_stream_version,
    .streams_each = memory_streams_each,
    .types_each = memory_types_each,
    .value_get = memory_value_get,
    .value_each = memory_value_each,
    .head = memory_head,
    .state = memory_state,
    .trim = ski_memory_trim,
    .compact = ski_memory_compact,
};
