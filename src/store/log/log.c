// SPDX-License-Identifier: Apache-2.0
// The log driver: its operations table, opening and closing.
//
// docs/internals/store.md explains the format, the order of writes, and recovery.
#include "store/log/log.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "store/log/backup.h"
#include "store/log/damage.h"
#include "store/log/engine.h"
#include "store/log/hold.h"
#include "store/log/mend.h"
#include "store/log/names.h"
#include "store/log/now.h"
#include "store/log/scrub.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SEGMENT_BYTES_DEFAULT (UINT64_C(64) * 1024 * 1024)
#define APPEND_BYTES_DEFAULT (UINT64_C(64) * 1024 * 1024)
#define DEDUP_EVENTS_DEFAULT UINT64_C(16000000)
#define CACHE_BYTES_DEFAULT (UINT64_C(64) * 1024 * 1024)

// cache_take makes the cache, before anything is opened that it may have pieces of.
static skald_err cache_take(ski_engine *engine, const skald_store_options *options)
{
    uint64_t bytes = options->cache_bytes ? options->cache_bytes : CACHE_BYTES_DEFAULT;

    SKALD_TRY(ski_cache_init(&engine->cache, bytes == SKALD_CACHE_OFF ? 0 : bytes));
    engine->pool.cache = &engine->cache;
    return SKALD_OK;
}

static skald_err options_take(ski_engine *engine, const skald_store_options *options,
                              skald_error *reterr_error)
{
    uint64_t bytes = options->segment_bytes ? options->segment_bytes : SEGMENT_BYTES_DEFAULT;

    if (bytes < SKI_SEGMENT_BYTES_LEAST || bytes > SKI_SEGMENT_BYTES_MOST) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "segment_bytes",
                             "a segment has 64 KiB to 1 GiB, not %llu bytes",
                             (unsigned long long)bytes);
    }
    engine->segment_bytes = bytes & ~UINT64_C(7);
    engine->append_bytes_max =
        options->append_bytes_max ? options->append_bytes_max : APPEND_BYTES_DEFAULT;
    engine->dedup_events_max =
        options->dedup_events_max ? options->dedup_events_max : DEDUP_EVENTS_DEFAULT;
    if (engine->dedup_events_max > SKI_IDS_EVENTS_MAX) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "dedup_events_max",
                             "at most 2^30 ids are remembered, not %llu",
                             (unsigned long long)engine->dedup_events_max);
    }
    ski_ids_init(&engine->ids, engine->dedup_events_max);
    engine->read_only = options->read_only;
    return cache_take(engine, options);
}

static void engine_free(ski_engine *engine)
{
    const ski_kernel *kernel = engine->kernel;

    if (engine->directory_made) ski_directory_fini(&engine->directory); // it borrows indexes
    ski_direct_close(engine);
    ski_follow_fini(engine);
    for (uint32_t i = 0; i < engine->segment_count; i++) {
        ski_segment *segment = engine->segments[i];

        if (segment->file) kernel->close(kernel->context, segment->file);
        if (segment->indexed) ski_sealed_close(segment->indexed->sealed);
        ski_free(segment->indexed);
        ski_free(segment->values);
        ski_free(segment);
    }
    while (engine->kept) {
        ski_group *group = engine->kept;

        engine->kept = group->next;
        ski_group_free(group);
    }
    ski_free(engine->segments);
    ski_free(engine->worthless);
    ski_free(engine->damages);
    ski_free(engine->rot);
    ski_scrub_free(engine->scrub);
    ski_window_fini(&engine->window);
    ski_recent_fini(&engine->recent);
    ski_ids_fini(&engine->ids);
    ski_totals_fini(&engine->totals);
    ski_sealed_pool_fini(&engine->pool);
    ski_cache_fini(&engine->cache);
    ski_values_fini(&engine->values);
    ski_manifest_fini(&engine->manifest);
    if (engine->lock_file) kernel->close(kernel->context, engine->lock_file);
    for (unsigned i = 0; i < SKI_GROUP_BUCKETS; i++) ski_cond_fini(&engine->done[i]);
    ski_cond_fini(&engine->work);
    ski_cond_fini(&engine->keep_work);
    ski_cond_fini(&engine->kept_some);
    ski_cond_fini(&engine->role_free);
    ski_cond_fini(&engine->later_over);
    ski_cond_fini(&engine->compact_rest);
    ski_mutex_fini(&engine->keeping);
    ski_mutex_fini(&engine->lock);
    ski_free(engine->path);
    ski_free(engine);
}

static void engine_init(ski_engine *engine, const skald_store_host *host, char *take_path)
{
    engine->kernel = host->kernel;
    engine->host = host;
    engine->path = take_path;
    ski_mutex_init(&engine->lock);
    ski_mutex_init(&engine->keeping);
    ski_cond_init(&engine->role_free);
    ski_cond_init(&engine->later_over);
    ski_cond_init(&engine->compact_rest);
    ski_cond_init(&engine->work);
    ski_cond_init(&engine->keep_work);
    ski_cond_init(&engine->kept_some);
    ski_follow_init(&engine->follow);
    ski_sealed_pool_init(&engine->pool, engine->kernel, SKI_INDEXES_OPEN_MAX);
    for (unsigned i = 0; i < SKI_GROUP_BUCKETS; i++) ski_cond_init(&engine->done[i]);
}

static void engine_join(ski_engine *engine)
{
    const ski_kernel *kernel = engine->kernel;

    ski_mutex_lock(&engine->lock);
    engine->closing = true;
    ski_cond_broadcast(&engine->work);
    ski_cond_broadcast(&engine->keep_work);
    ski_cond_broadcast(&engine->kept_some);
    ski_mutex_unlock(&engine->lock);
    if (engine->log_thread.id) kernel->join(kernel->context, engine->log_thread);
    if (engine->keep_thread.id) kernel->join(kernel->context, engine->keep_thread);
}

static skald_err engine_spawn(ski_engine *engine)
{
    const ski_kernel *kernel = engine->kernel;
    skald_err err = SKALD_OK;

    if (!kernel->spawn || engine->read_only) return SKALD_OK;
    err = kernel->spawn(kernel->context, "skald-log", ski_writer_run, engine, &engine->log_thread);
    if (!err) {
        err = kernel->spawn(kernel->context, "skald-keep", ski_keep_run, engine,
                            &engine->keep_thread);
    }
    if (err) engine_join(engine);
    return err;
}

static skald_err log_open(const char *path, const skald_store_options *options,
                          const skald_store_host *host, void **ret_driver,
                          skald_error *reterr_error)
{
    static const skald_store_options defaults;
    ski_engine *engine = ski_alloc_zeroed(1, sizeof *engine);
    skald_error error = {0};
    char *copy = ski_str_terminated(skald_str_of(path));
    skald_err err = SKALD_OK;

    if (!engine || !copy) {
        ski_free(engine);
        ski_free(copy);
        return skald_fail(reterr_error, SKALD_ENOMEM, "no memory to open the store");
    }
    engine_init(engine, host, copy);
    err = options_take(engine, options ? options : &defaults, &error);
    if (!err && !path[0]) err = skald_fail(&error, SKALD_EINVALID, "a store needs a directory");
    if (!err) {
        err = ski_hold_take(engine->kernel, path, engine->read_only, &engine->lock_file, &error);
    }
    if (!err && options && !engine->read_only && options->scrub_bytes_per_s != SKALD_SCRUB_OFF) {
        err = ski_scrub_new(engine, options->scrub_bytes_per_s);
    }
    if (!err) err = ski_recover(engine, &error);
    engine->opened = !err;
    if (!err) err = engine_spawn(engine);
    if (err) {
        engine_free(engine);
        if (!error.text[0]) {
            (void)skald_fail(&error, err, "the store in '%s' cannot be opened: %s", path,
                             skald_err_text(err));
        }
        if (reterr_error) *reterr_error = error;
        return err;
    }
    *ret_driver = engine;
    return SKALD_OK;
}

static void log_close(void *driver)
{
    ski_engine *engine = driver;

    engine_join(engine);
    ski_writer_close(engine);
    if (!engine->read_only && !engine->dead) ski_hold_end(engine->kernel, engine->lock_file);
    engine_free(engine);
}

static skald_err log_submit(void *driver, skald_store_batch *batch)
{
    uint64_t group = 0;

    return ski_stage(driver, batch, SKI_STAGE_SUBMIT, &group);
}

static skald_err log_commit(void *driver, skald_store_batch *batch)
{
    ski_engine *engine = driver;
    uint64_t group = 0;

    SKALD_TRY(ski_mend_stage(engine, batch, SKI_STAGE_COMMIT, &group));
    ski_mutex_lock(&engine->lock);
    while (engine->groups_done < group) {
        if (!engine->writing && !engine->role_wanted) {
            ski_writer_lead(engine);
        } else {
            ski_cond_wait(&engine->done[group % SKI_GROUP_BUCKETS], &engine->lock);
        }
    }
    ski_mutex_unlock(&engine->lock);
    return SKALD_OK;
}

static void log_flush(void *driver)
{
    ski_engine *engine = driver;
    bool wake = false;

    ski_mutex_lock(&engine->lock);
    wake = engine->later_first || (engine->first && !engine->writing);
    ski_mutex_unlock(&engine->lock);
    if (wake) ski_cond_signal(&engine->work);
}

static skald_err log_value_get(void *driver, skald_str name, skald_buf *buf)
{
    ski_engine *engine = driver;
    const ski_value_bytes *value = NULL;
    skald_err err = SKALD_ENOTFOUND;

    ski_mutex_lock(&engine->lock);
    value = ski_values_find(&engine->values, name);
    if (value) err = skald_buf_put(buf, (skald_str){value->bytes, value->len});
    ski_mutex_unlock(&engine->lock);
    return err;
}

// value_copy takes one value out of the table, so that it can be visited without the lock.
// *ret_memory is the caller's; NULL: the slot has none.
static skald_err value_copy(ski_engine *engine, uint32_t slot, skald_str prefix,
                            skald_store_value *ret_value, char **ret_memory)
{
    const ski_values_entry *entry = &engine->values.entries[slot];
    char *memory = NULL;

    *ret_memory = NULL;
    if (!entry->bytes || !ski_str_begins((skald_str){entry->name, entry->name_len}, prefix)) {
        return SKALD_OK;
    }
    memory = ski_alloc(entry->name_len + entry->bytes->len + 1);
    if (!memory) return SKALD_ENOMEM;
    memcpy(memory, entry->name, entry->name_len);
    memcpy(memory + entry->name_len, entry->bytes->bytes, entry->bytes->len);
    *ret_value = (skald_store_value){.name = {memory, entry->name_len},
                                     .bytes = {memory + entry->name_len, entry->bytes->len}};
    *ret_memory = memory;
    return SKALD_OK;
}

static skald_err log_value_each(void *driver, skald_str prefix,
                                bool (*visit)(void *, const skald_store_value *), void *context)
{
    ski_engine *engine = driver;
    bool more = true;

    for (uint32_t slot = 0; more; slot++) {
        skald_store_value value;
        char *memory = NULL;
        skald_err err = SKALD_OK;

        ski_mutex_lock(&engine->lock);
        more = slot < engine->values.count;
        if (more) err = value_copy(engine, slot, prefix, &value, &memory);
        ski_mutex_unlock(&engine->lock);
        if (err) return err;
        if (memory) more = visit(context, &value);
        ski_free(memory);
    }
    return SKALD_OK;
}

static uint64_t log_head(void *driver)
{
    return atomic_load(&((ski_engine *)driver)->visible);
}

// state_indexes fills in what there is of indexes. The lock is held.
static void state_indexes(ski_engine *engine, skald_store_state *state)
{
    for (uint32_t i = 0; i < engine->segment_count; i++) {
        const ski_indexed *indexed = engine->segments[i]->indexed;

        state->bytes_stored += engine->segments[i]->end;
        if (!indexed) continue;
        state->index_file_bytes += ski_sealed_info_of(indexed->sealed)->file_bytes;
        state->index_bytes += engine->segments[i]->index_bytes;
    }
    state->segments = engine->segment_count;
    state->segments_sealed = engine->sealed_count;
    state->index_bytes += engine->filter_bytes + ski_window_bytes(&engine->window) +
                          ski_recent_bytes(&engine->recent) + ski_ids_bytes(&engine->ids) +
                          engine->follow.held + engine->follow.keeper_bytes + engine->kept_bytes;
    state->recent_bytes = ski_recent_bytes(&engine->recent) + ski_ids_bytes(&engine->ids);
    state->filter_bytes = engine->filter_bytes;
    state->seals = engine->seals;
    state->compactions = engine->compactions;
    state->segments_dropped = engine->segments_dropped;
    state->events_erased = engine->events_erased;
    state->bytes_freed = engine->bytes_freed;
    state->index_rebuilds = engine->rebuilds;
}

static void state_cache(ski_engine *engine, skald_store_state *state)
{
    ski_cache_figures figures;

    ski_cache_figures_get(&engine->cache, &figures);
    state->cache_bytes = figures.bytes;
    state->cache_bytes_max = figures.bytes_max;
    state->cache_hits = figures.hits;
    state->cache_misses = figures.misses;
}

static void log_state(void *driver, skald_store_state *ret_state)
{
    ski_engine *engine = driver;
    const ski_kernel *kernel = engine->kernel;
    skald_store_state state = {.head = atomic_load(&engine->visible)};

    ski_histogram_copy(&engine->sync_times, state.sync_counts);
    if (kernel->room(kernel->context, engine->path, &state.bytes_free))
        state.bytes_free = UINT64_MAX;
    state_cache(engine, &state);
    if (engine->directory_made) {
        state.directory_bytes = ski_directory_bytes(&engine->directory);
        state.index_bytes = state.directory_bytes;
        state.index_file_bytes = ski_directory_file_bytes(&engine->directory);
        state.directory_runs = ski_directory_runs(&engine->directory);
    }
    ski_mutex_lock(&engine->lock);
    state_indexes(engine, &state);
    state.appends_waiting = engine->batches_staged;
    state.bytes_waiting = engine->bytes_staged;
    state.bytes_waiting_max = engine->append_bytes_max;
    state.syncs = engine->syncs;
    state.sync_ns = engine->sync_ns;
    state.read_only = engine->stopped || engine->read_only;
    if (state.read_only) {
        (void)snprintf(state.read_only_why, sizeof state.read_only_why, "%s",
                       engine->stopped ? engine->stopped_why
                       : engine->damage_count
                           ? "stored data is damaged: nothing is written behind it"
                           : "opened read-only");
    }
    ski_damage_state(engine, &state);
    state.scrub_bytes = engine->scrub_bytes;
    state.scrub_segments = engine->scrub_segments;
    ski_mutex_unlock(&engine->lock);
    *ret_state = state;
}

static skald_err log_verify(void *driver, const skald_verify_options *options,
                            skald_verified *ret_verified, skald_error *reterr_error)
{
    ski_engine *engine = driver;
    skald_err err = SKALD_OK;

    ski_pin(engine); // it opens files by name
    err = ski_verify(engine, options, ret_verified, reterr_error);
    ski_unpin(engine);
    return err;
}

static bool log_step(void *driver)
{
    ski_engine *engine = driver;
    bool worked = true;

    assert(!engine->kernel->spawn);
    ski_mutex_lock(&engine->lock);
    if (engine->later_first) {
        ski_later_drain(engine);
    } else if (engine->first) {
        ski_writer_lead(engine);
    } else if (engine->dead || engine->read_only) {
        worked = false;
    } else if (ski_keep_wanted(engine)) {
        ski_mutex_unlock(&engine->lock);
        return ski_keep_step(engine);
    } else {
        worked = ski_writer_idle(engine, false);
    }
    ski_mutex_unlock(&engine->lock);
    return worked;
}

const skald_store_driver ski_store_log = {
    .abi = SKALD_STORE_DRIVER_ABI,
    .scheme = "log",
    .open = log_open,
    .close = log_close,
    .submit = log_submit,
    .commit = log_commit,
    .read = ski_mend_read,
    .page_free = ski_read_page_free,
    .find_id = ski_mend_find_id,
    .stream_version = ski_mend_stream_version,
    .streams_each = ski_streams_each,
    .types_each = ski_types_each,
    .value_get = log_value_get,
    .value_each = log_value_each,
    .head = log_head,
    .state = log_state,
    .step = log_step,
    .verify = log_verify,
    .trim = ski_trim,
    .compact = ski_compact,
    .flush = log_flush,
    .backup = ski_backup,
    .salvage = ski_salvage,
    .parts = ski_parts,
    .event_now = ski_event_now,
};
