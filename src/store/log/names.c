// SPDX-License-Identifier: Apache-2.0
// Lookups and listings.
//
// Streams are listed by where they begin: the window lists those whose first event is behind
// sealed_last as it stood at the beginning, every index file those that begin in its segment. So
// each is listed once, whatever is sealed meanwhile. While the window is listed nothing leaves it
// (`listing`).
#include "store/log/names.h"
#include "base/alloc.h"
#include "base/str.h"
#include "store/content.h"
#include "store/log/engine.h"
#include "store/log/lookup.h"
#include <string.h>

enum {
    visit_slots = 256,   // of a table under one hold of the lock
    candidates_max = 32, // ranges that may have one id; in practice one
};

// window_find gives the newest visible position < before in the window that has the hash of an id;
// 0: there is none. The lock is held.
static uint64_t window_find(const ski_engine *engine, uint64_t hash, uint64_t before)
{
    uint64_t visible = atomic_load(&engine->visible), base = ski_window_base(&engine->window);
    ski_recent_cursor cursor = {.hash = hash, .last = ski_window_last(&engine->window)};
    uint64_t position = 0, newest = 0;

    while ((position = ski_recent_next(&engine->recent, &cursor))) {
        if (position > visible || position >= before || position <= base) continue;
        if (position <= newest || ski_window_row(&engine->window, position)->id_hash != hash) {
            continue;
        }
        newest = position;
    }
    return newest;
}

// id_ranges gives where index files may have an id, the newest first, the last range up to all that
// is not remembered. The lock is held.
static size_t id_ranges(const ski_engine *engine, uint64_t hash,
                        ski_lookup_range ranges[candidates_max + 1])
{
    ski_ids_cursor cursor = {.hash = hash, .last = ski_window_last(&engine->window)};
    uint64_t oldest = ski_remember_oldest(engine), first = 0, last = 0;
    size_t count = 0;

    if (engine->ids_from > oldest) oldest = engine->ids_from;
    while (ski_remember_next(engine, &cursor, &first, &last)) {
        size_t at = count;

        if (count == candidates_max) { // one id, so often: all are asked
            oldest = UINT64_MAX;
            count = 0;
            break;
        }
        for (; at && ranges[at - 1].first < first; at--) ranges[at] = ranges[at - 1];
        ranges[at] = (ski_lookup_range){first, last + 1};
        count++;
    }
    ranges[count++] = (ski_lookup_range){1, oldest};
    return count;
}

// id_check says whether the record at a position has the id. Fails: NOTFOUND, CORRUPT, IO, NOMEM.
static skald_err id_check(ski_engine *engine, uint64_t position, skald_str tenant, skald_uuid id)
{
    uint8_t *bytes = NULL;
    ski_record record;
    bool same = false;

    SKALD_TRY(ski_read_record(engine, position, &bytes, &record, NULL));
    same = skald_uuid_equal(record.event.id, id) && skald_str_equal(record.event.tenant, tenant);
    ski_free(bytes);
    return same ? SKALD_OK : SKALD_ENOTFOUND;
}

skald_err ski_find_id(void *driver, skald_str tenant, skald_uuid id, uint64_t *ret_position)
{
    ski_engine *engine = driver;
    uint64_t hash = ski_index_hash_id(engine->seed, tenant, id), position = UINT64_MAX;
    ski_lookup_range ranges[candidates_max + 1];
    size_t count = 0;
    skald_err err = SKALD_ENOTFOUND;

    while (position && err == SKALD_ENOTFOUND) {
        ski_mutex_lock(&engine->lock);
        err = ski_recall(engine);
        if (err) {
            ski_mutex_unlock(&engine->lock);
            return err;
        }
        position = window_find(engine, hash, position);
        if (!position) count = id_ranges(engine, hash, ranges);
        ski_mutex_unlock(&engine->lock);
        err = SKALD_ENOTFOUND;
        if (position) err = id_check(engine, position, tenant, id);
    }
    for (size_t i = 0; i < count && err == SKALD_ENOTFOUND; i++) {
        uint8_t *bytes = NULL;
        ski_record record;

        err = ski_lookup_id(engine, tenant, id, hash, ranges[i], &bytes, &record, NULL);
        if (err) continue;
        position = record.event.position;
        ski_free(bytes);
    }
    if (!err) *ret_position = position;
    return err;
}

// key_visible gives how much of a stream of a part is to be seen. The lock is held.
static ski_index_head key_visible(const ski_engine *engine, const ski_index *part,
                                  const ski_index_key *key)
{
    uint32_t count = key->postings.count;
    uint32_t seen = ski_index_seen(part, &key->postings, atomic_load(&engine->visible));

    if (!seen) return (ski_index_head){0};
    return (ski_index_head){key->version - (count - seen),
                            part->base + ski_postings_at(&key->postings, seen - 1)};
}

// head_visible gives where a stream stands for readers. Fails: CORRUPT, IO.
static skald_err head_visible(ski_engine *engine, ski_heads *heads, skald_str tenant,
                              skald_str stream, ski_index_head *ret_head)
{
    uint64_t hash = ski_index_hash_name(engine->seed, tenant, stream);
    ski_index_head head = {0};

    ski_mutex_lock(&engine->lock);
    for (uint32_t i = engine->window.count; i-- && !head.version;) {
        const ski_index *part = engine->window.parts[i];
        const ski_index_key *key = ski_index_stream(part, hash, tenant, stream);

        if (key) head = key_visible(engine, part, key);
    }
    ski_mutex_unlock(&engine->lock);
    if (!head.version) {
        ski_heads mine;

        if (heads) return ski_heads_find(heads, tenant, stream, ret_head, NULL);
        ski_heads_begin(&mine, engine);
        skald_err err = ski_heads_find(&mine, tenant, stream, ret_head, NULL);
        ski_heads_end(&mine);
        return err;
    }
    *ret_head = head;
    return SKALD_OK;
}

skald_err ski_stream_version(void *driver, skald_str tenant, skald_str stream,
                             uint64_t *ret_version)
{
    ski_index_head head = {0};

    SKALD_TRY(head_visible(driver, NULL, tenant, stream, &head));
    *ret_version = head.version;
    return SKALD_OK;
}

typedef struct names_visit {
    ski_engine *engine;
    skald_str tenant, prefix;
    const skald_counted *after; // NULL: from the first on
    bool (*visit)(void *context, const skald_counted *stream);
    void *context;
    uint64_t sealed_last;
    uint32_t sealed_count;
} names_visit;

// listing_begin and listing_end: in between nothing leaves the window.
static void listing_begin(names_visit *job)
{
    ski_engine *engine = job->engine;

    ski_mutex_lock(&engine->lock);
    engine->listing++;
    job->sealed_last = engine->sealed_last;
    job->sealed_count = engine->sealed_count;
    ski_mutex_unlock(&engine->lock);
}

static void listing_end(names_visit *job)
{
    ski_engine *engine = job->engine;

    ski_mutex_lock(&engine->lock);
    if (--engine->listing == 0 && ski_window_forget(&engine->window, engine->sealed_last)) {
        engine->epoch++;
    }
    ski_mutex_unlock(&engine->lock);
}

static bool name_wanted(const names_visit *job, skald_str tenant, skald_str name)
{
    if (job->tenant.ptr && !skald_str_equal(tenant, job->tenant)) return false;
    if (!ski_str_begins(name, job->prefix)) return false;
    return ski_stream_behind(tenant, name, job->after);
}

// stream_begins: it begins in the part, behind what the index files list. The lock is held.
static bool stream_begins(const names_visit *job, const ski_index *part, const ski_index_key *key)
{
    uint64_t first = 0;

    if (!key->postings.count || key->before.version) return false;
    first = part->base + ski_postings_at(&key->postings, 0);
    return first > job->sealed_last && first <= atomic_load(&job->engine->visible);
}

// names_part copies up to visit_slots streams of a part of the window that are to be visited.
static uint32_t names_part(const names_visit *job, uint32_t i, uint32_t *slot,
                           skald_counted seen[visit_slots], bool *ret_more)
{
    ski_engine *engine = job->engine;
    const ski_index *part = NULL;
    uint32_t count = 0;

    ski_mutex_lock(&engine->lock);
    *ret_more = i < engine->window.count;
    if (*ret_more) part = engine->window.parts[i];
    for (uint32_t n = 0; part && *slot < part->streams.table.count && n < visit_slots;
         (*slot)++, n++) {
        const ski_index_key *key = ski_index_key_at(&part->streams, *slot);
        skald_str tenant = ski_index_key_tenant(key), name = ski_index_key_name(key);
        ski_index_head head = {0};

        if (!name_wanted(job, tenant, name) || !stream_begins(job, part, key)) continue;
        for (uint32_t k = engine->window.count; k-- > i && !head.version;) {
            const ski_index *newer = engine->window.parts[k];
            const ski_index_key *there = ski_index_stream(newer, key->hash, tenant, name);

            if (there) head = key_visible(engine, newer, there);
        }
        seen[count++] = (skald_counted){
            .name = name, .tenant = tenant, .count = head.version, .position_last = head.position};
    }
    if (part && *slot < part->streams.table.count) {
        ski_mutex_unlock(&engine->lock);
        return count;
    }
    *slot = UINT32_MAX; // the next part
    ski_mutex_unlock(&engine->lock);
    return count;
}

// names_window visits the streams that begin in the window. They are in no order: each is a run.
static void names_window(const names_visit *job)
{
    bool more = true;

    for (uint32_t i = 0, slot = 0; more;) {
        skald_counted seen[visit_slots];
        uint32_t count = names_part(job, i, &slot, seen, &more);

        for (uint32_t k = 0; k < count; k++) (void)job->visit(job->context, &seen[k]);
        if (slot == UINT32_MAX) {
            slot = 0;
            i++;
        }
    }
}

// names_index visits the streams that begin in a segment: one run, by tenant and name.
static skald_err names_index(const names_visit *job, const ski_sealed *sealed, ski_heads *heads)
{
    skald_str tenant = job->tenant, name = job->prefix;
    ski_sealed_names_iter iter;
    skald_err err;

    if (!tenant.ptr) tenant = name = (skald_str){"", 0};
    if (!ski_stream_behind(tenant, name, job->after)) {
        tenant = job->after->tenant;
        name = job->after->name;
    }
    err = ski_sealed_names_begin(&iter, sealed, SKI_SEALED_FIRST, tenant, name, NULL);

    while (!err) {
        skald_counted stream = {0};
        ski_index_head head;

        err = ski_sealed_names_next(&iter, NULL);
        if (err) break;
        if (!name_wanted(job, iter.tenant, iter.name)) {
            if (!job->tenant.ptr || skald_str_equal(iter.name, name)) continue;
            break;
        }
        err = head_visible(job->engine, heads, iter.tenant, iter.name, &head);
        stream = (skald_counted){.name = iter.name,
                                 .tenant = iter.tenant,
                                 .count = head.version,
                                 .position_last = head.position};
        if (!err && !job->visit(job->context, &stream)) break;
    }
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

skald_err ski_streams_each(void *driver, skald_str tenant, skald_str prefix,
                           const skald_counted *after,
                           bool (*visit)(void *context, const skald_counted *stream), void *context)
{
    names_visit job = {.engine = driver,
                       .tenant = tenant,
                       .prefix = prefix.ptr ? prefix : (skald_str){"", 0},
                       .after = after,
                       .visit = visit,
                       .context = context};
    ski_heads heads;
    skald_err err = SKALD_OK;

    listing_begin(&job);
    names_window(&job);
    listing_end(&job);
    ski_heads_begin(&heads, job.engine);
    for (uint32_t slot = 0; slot < job.sealed_count && !err; slot++) {
        ski_indexed *indexed = ski_engine_index(job.engine, slot);

        if (!indexed) continue;
        err = names_index(&job, indexed->sealed, &heads);
        ski_engine_index_return(job.engine, indexed);
        if (err == SKALD_ECORRUPT) ski_engine_suspect(job.engine, slot);
    }
    ski_heads_end(&heads);
    return err;
}

// What types_each copies, so that it can be visited without the lock.
typedef struct types_copy {
    skald_counted *items;
    size_t count, size;
} types_copy;

static skald_err types_put(types_copy *copy, const skald_counted *type)
{
    if (copy->count == copy->size) {
        size_t size = copy->size ? copy->size * 2 : visit_slots;
        skald_counted *items = ski_realloc(copy->items, size * sizeof *items);

        if (!items) return SKALD_ENOMEM;
        copy->items = items;
        copy->size = size;
    }
    copy->items[copy->count++] = *type;
    return SKALD_OK;
}

// type_count adds what the window has of a type behind the index files.
static void type_count(const ski_engine *engine, skald_str tenant, skald_str name,
                       skald_counted *type)
{
    uint64_t hash = ski_index_hash_name(engine->seed, tenant, name);

    for (uint32_t i = 0; i < engine->window.count; i++) {
        const ski_index *part = engine->window.parts[i];
        const ski_index_key *key = ski_index_type(part, hash, tenant, name);
        uint32_t seen = 0, sealed = 0;

        if (!key) continue;
        seen = ski_index_seen(part, &key->postings, atomic_load(&engine->visible));
        sealed = ski_index_seen(part, &key->postings, engine->sealed_last);
        if (seen <= sealed) continue;
        type->count += seen - sealed;
        type->position_last = part->base + ski_postings_at(&key->postings, seen - 1);
    }
}

// types_window copies the types that only the window has. The lock is held.
static skald_err types_window(const names_visit *job, types_copy *copy)
{
    const ski_engine *engine = job->engine;

    for (uint32_t i = 0; i < engine->window.count; i++) {
        const ski_index *part = engine->window.parts[i];

        for (uint32_t slot = 0; slot < part->types.table.count; slot++) {
            const ski_index_key *key = ski_index_key_at(&part->types, slot);
            skald_str tenant = ski_index_key_tenant(key);
            skald_counted type = {.name = ski_index_key_name(key), .tenant = tenant};
            bool older = false;

            if (job->tenant.ptr && !skald_str_equal(tenant, job->tenant)) continue;
            if (ski_totals_find(&engine->totals, tenant, type.name)) continue;
            for (uint32_t k = 0; k < i && !older; k++) {
                older = ski_index_type(engine->window.parts[k], key->hash, tenant, type.name);
            }
            if (older) continue;
            type_count(engine, tenant, type.name, &type);
            if (type.count) SKALD_TRY(types_put(copy, &type));
        }
    }
    return SKALD_OK;
}

// types_all copies all types. The lock is held.
static skald_err types_all(const names_visit *job, types_copy *copy)
{
    const ski_engine *engine = job->engine;

    for (uint32_t i = 0; i < engine->totals.count; i++) {
        const ski_total *total = &engine->totals.items[i];
        skald_str tenant = ski_total_tenant(total);
        skald_counted type = {.name = ski_total_type(total),
                              .tenant = tenant,
                              .count = total->count,
                              .position_last = total->last_pos};

        if (job->tenant.ptr && !skald_str_equal(tenant, job->tenant)) continue;
        type_count(engine, tenant, type.name, &type);
        if (type.count) SKALD_TRY(types_put(copy, &type));
    }
    return types_window(job, copy);
}

skald_err ski_types_each(void *driver, skald_str tenant,
                         bool (*visit)(void *context, const skald_counted *type), void *context)
{
    names_visit job = {.engine = driver, .tenant = tenant};
    types_copy copy = {0};
    skald_err err = SKALD_OK;

    listing_begin(&job); // names of the window are borrowed
    ski_mutex_lock(&job.engine->lock);
    err = types_all(&job, &copy);
    ski_mutex_unlock(&job.engine->lock);
    for (size_t i = 0; i < copy.count && !err; i++) {
        if (!visit(context, &copy.items[i])) break;
    }
    listing_end(&job);
    ski_free(copy.items);
    return err;
}
