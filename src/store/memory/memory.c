// SPDX-License-Identifier: Apache-2.0
// The memory driver: events in chunks, indexes beside them, behind a lock that is held for a
// bounded time; types and correlations, which no append touches, behind another. memory_append.c is
// the way in, memory_read.c the way out, memory_compact.c and memory_drop.c the end.
//
// Invariants:
//   1. An event of position p and everything the indexes say of it become visible at once, under
//      data; head follows before data is given up. The indexes of types and correlations are told
//      when somebody asks them, and then first of everything that there is.
//   2. Slots are never moved. Texts are moved, and freed once they were erased, only while no page
//      is out; blocks in which nothing lives are filled again once no page borrows from them. A
//      failed append leaves nothing.
#include "store/memory/memory.h"

#include "base/alloc.h"
#include "base/str.h"
#include "os/kernel.h"
#include "store/content.h"
#include "store/memory/memory_store.h"

#include <string.h>

enum { lists_per_lock = 1024 }; // visited before appends get their turn

static const uint64_t bytes_max_default = 4096ULL * 1024 * 1024;

// path_parse reads what stands behind the scheme: nothing, or "?NAME=NUMBER" and more by "&".
static skald_err path_parse(const char *path, ski_memory *ret_memory, skald_error *reterr_error)
{
    const struct {
        skald_str name;
        uint64_t *to;
    } options[] = {{SKALD_STR("bytes_max="), &ret_memory->bytes_max},
                   {SKALD_STR("events_max="), &ret_memory->events_max}};
    skald_str rest = skald_str_of(path);
    bool good = !rest.len || *path == '?';

    while (good && rest.len) {
        skald_str option = {rest.ptr + 1, rest.len - 1};
        const char *end = memchr(option.ptr, '&', option.len);

        if (end) option.len = (size_t)(end - option.ptr);
        rest = (skald_str){option.ptr + option.len, rest.len - 1 - option.len};
        good = false;
        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
            skald_str name = options[i].name;

            if (!ski_str_begins(option, name)) continue;
            good = !ski_str_u64((skald_str){option.ptr + name.len, option.len - name.len},
                                options[i].to) &&
                   *options[i].to;
        }
    }
    if (good) return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_EINVALID, "url",
                         "'memory:%s' is not understood; give \"memory:\", and behind it "
                         "\"?events_max=NUMBER\", \"?bytes_max=NUMBER\" or both with \"&\"",
                         path);
}

static skald_err memory_open(const char *path, const skald_store_options *options,
                             const skald_store_host *host, void **ret_driver,
                             skald_error *reterr_error)
{
    ski_memory *memory = ski_alloc_zeroed(1, sizeof(*memory));
    uint64_t seed = 0;
    skald_err err;

    (void)options;
    if (!memory) return skald_fail(reterr_error, SKALD_ENOMEM, "%s", skald_err_text(SKALD_ENOMEM));
    memory->bytes_max = bytes_max_default;
    err = path_parse(path, memory, reterr_error);
    if (err) {
        ski_free(memory);
        return err;
    }
    host->kernel->random(host->kernel->context, &seed, sizeof(seed));
    memory->host = host;
    memory->first = 1;
    memory->seed = memory->streams.seed = memory->types.seed = memory->correlations.seed = seed;
    memory->types.loses = SKI_MEMORY_ALL; // a visitor of theirs goes on by slot
    memory->correlations.loses = SKI_MEMORY_ITSELF;
    ski_memory_values_init(&memory->values, seed);
    ski_mutex_init(&memory->order);
    ski_mutex_init(&memory->index);
    ski_mutex_init(&memory->data);
    atomic_init(&memory->head, 0);
    atomic_init(&memory->bytes, 0);
    atomic_init(&memory->due, 0);
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

static skald_err memory_find_id(void *driver, skald_str tenant, skald_uuid id,
                                uint64_t *ret_position)
{
    ski_memory *memory = driver;
    uint64_t position;

    ski_mutex_lock(&memory->data);
    position = ski_memory_ids_find(memory, tenant, id);
    if (position < ski_memory_alive(memory)) position = 0;
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
    *ret_version = list ? list->gone + list->count : 0;
    ski_mutex_unlock(&memory->data);
    return SKALD_OK;
}

// list_count is of a stream its version, of a type how many of its events are there: begin is 0, or
// where the log begins.
static uint64_t list_count(const ski_memory_list *list, uint64_t begin)
{
    return begin ? list->count - ski_memory_list_upto(list, begin - 1) : list->gone + list->count;
}

// lists_visit gives up the postings' lock now and then: lists are added behind, and never leave
// while it is free, so a slot is a place to go on from.
static void lists_visit(ski_mutex *lock, const ski_memory_postings *postings, uint64_t begin,
                        skald_str tenant, skald_str prefix, const skald_counted *after,
                        bool (*visit)(void *context, const skald_counted *item), void *context)
{
    bool more = true;

    for (uint32_t slot = 0; more;) {
        ski_mutex_lock(lock);
        for (uint32_t end = slot + lists_per_lock; more && slot < end; slot++) {
            const ski_memory_list *list;
            uint64_t count;

            more = slot < postings->count;
            if (!more) break;
            list = &postings->lists[slot];
            if (tenant.ptr && !skald_str_equal(list->tenant, tenant)) continue;
            if (!ski_str_begins(list->name, prefix)) continue;
            if (!ski_stream_behind(list->tenant, list->name, after)) continue;
            count = list_count(list, begin);
            if (!count) continue;
            more =
                visit(context, &(skald_counted){.name = list->name,
                                                .tenant = list->tenant,
                                                .count = count,
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

    lists_visit(&memory->data, &memory->streams, 0, tenant, prefix, after, stream_visit, &visitor);
    return SKALD_OK;
}

static skald_err memory_types_each(void *driver, skald_str tenant,
                                   bool (*visit)(void *context, const skald_counted *type),
                                   void *context)
{
    ski_memory *memory = driver;
    uint64_t begin;
    skald_err err;

    ski_mutex_lock(&memory->index);
    ski_memory_sweep(memory);
    ski_mutex_lock(&memory->data);
    err = ski_memory_index(memory);
    begin = ski_memory_alive(memory);
    ski_mutex_unlock(&memory->data);
    ski_mutex_unlock(&memory->index);
    if (err) return err;
    lists_visit(&memory->index, &memory->types, begin, tenant, SKALD_STR(""), NULL, visit, context);
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

static uint64_t memory_events_max(void *driver)
{
    const ski_memory *memory = driver;

    return memory->events_max;
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
    .page_free = ski_memory_page_free,
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
    .events_max = memory_events_max,
    .forget = ski_memory_forget,
};
