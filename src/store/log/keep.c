// SPDX-License-Identifier: Apache-2.0
// The house-keeper: everything that may be done later, in pieces, by the thread "skald-keep". In
// this order: indexes of full segments, since memory and appends may wait for those; the rows of
// the one that is being written; indexes found damaged; ids that are not loaded yet; spares; the
// stream directory; filters; scrubbing.
//
// Invariants:
//   1. Nothing here is needed for an append to be durable, and nothing that fails here stops one,
//   unless so many segments are without an index that memory would grow without bound.
//   2. One thread at a time does it: the keeper; before it is started, and without threads, whoever
//      opens, steps or writes.
#include "base/log.h"
#include "store/log/engine.h"
#include "store/log/scrub.h"
#include <stdio.h>

#define MERGE_RETRY_NS (UINT64_C(10) * 1000 * 1000 * 1000)

static bool merge_wanted(const ski_engine *engine)
{
    if (!engine->merge_due && !engine->directory_broken) return false;
    return ski_engine_now_ns(engine) >= engine->merge_until_ns;
}

typedef enum keep_job {
    KEEP_NOTHING,
    KEEP_SEAL,
    KEEP_FOLLOW,
    KEEP_SEAL_AGAIN,
    KEEP_IDS,
    KEEP_SPARE,
    KEEP_MERGE,
    KEEP_FILTERS,
    KEEP_SCRUB,
} keep_job;

// keep_next chooses what is done next. The lock is held.
static keep_job keep_next(const ski_engine *engine)
{
    if (engine->read_only || engine->dead || engine->closing) return KEEP_NOTHING;
    if (ski_seal_wanted(engine)) return KEEP_SEAL;
    if (ski_follow_wanted(engine)) return KEEP_FOLLOW;
    if (engine->suspect_due) return KEEP_SEAL_AGAIN;
    if (ski_remember_wanted(engine)) return KEEP_IDS;
    if (ski_spare_wanted(engine)) return KEEP_SPARE;
    if (merge_wanted(engine)) return KEEP_MERGE;
    if (engine->filters_due) return KEEP_FILTERS;
    return ski_scrub_wanted(engine) ? KEEP_SCRUB : KEEP_NOTHING;
}

bool ski_keep_wanted(const ski_engine *engine)
{
    return keep_next(engine) != KEEP_NOTHING;
}

// unsealed counts full segments without an index. The lock is held.
static uint32_t unsealed(const ski_engine *engine)
{
    uint32_t slot = engine->sealed_count;

    while (slot < engine->segment_count && engine->segments[slot] != engine->active) slot++;
    return slot - engine->sealed_count;
}

// keep_once is for a writer without a keeper: it seals one segment itself; false: it could not. The
// lock is held, and free in between.
static bool keep_once(ski_engine *engine)
{
    bool sealed = false;

    if (unsealed(engine) < SKI_UNSEALED_FAILING_MAX && !ski_seal_wanted(engine)) return false;
    ski_mutex_unlock(&engine->lock);
    sealed = ski_seal_next(engine);
    ski_mutex_lock(&engine->lock);
    return sealed;
}

skald_err ski_keep_wait(ski_engine *engine)
{
    bool threads = engine->kernel->spawn && engine->opened, failing = false;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&engine->lock);
    while (unsealed(engine) >= SKI_UNSEALED_MAX && !failing && !engine->dead && !engine->closing) {
        if (!threads) {
            failing = !keep_once(engine);
        } else if (engine->seal_failing) {
            failing = true;
        } else {
            ski_cond_signal(&engine->keep_work);
            ski_cond_wait(&engine->kept_some, &engine->lock);
        }
    }
    if (failing && unsealed(engine) >= SKI_UNSEALED_FAILING_MAX) err = SKALD_EREADONLY;
    ski_mutex_unlock(&engine->lock);
    return err;
}

static const ski_sealed *sealed_of(void *context, uint32_t no)
{
    ski_engine *engine = context;
    const ski_sealed *sealed = NULL;

    ski_mutex_lock(&engine->lock);
    for (uint32_t i = engine->sealed_count; i-- && !sealed;) {
        const ski_segment *segment = engine->segments[i];

        if (segment->no == no && segment->indexed) sealed = segment->indexed->sealed;
    }
    ski_mutex_unlock(&engine->lock);
    return sealed;
}

static void run_unlink(void *context, uint64_t number)
{
    ski_engine *engine = context;
    char name[SKI_RUN_NAME], path[SKI_ENGINE_PATH_MAX];

    ski_run_name(name, number);
    if (ski_engine_path(engine, name, path)) return;
    if (engine->kernel->unlink(engine->kernel->context, path)) return; // opening the store does it
}

// indexes_check looks for the index that a merge found damaged.
static void indexes_check(ski_engine *engine)
{
    for (uint32_t slot = 0;; slot++) {
        ski_indexed *indexed = NULL;
        bool over = false;

        ski_mutex_lock(&engine->lock);
        over = slot >= engine->sealed_count;
        if (!over) indexed = ski_engine_index_held(engine, slot);
        ski_mutex_unlock(&engine->lock);
        if (over) return;
        if (!indexed) continue;
        if (ski_sealed_check(indexed->sealed, NULL) == SKALD_ECORRUPT) {
            ski_engine_suspect(engine, slot);
        }
        ski_engine_index_return(engine, indexed);
    }
}

// directory_step does one piece of merging.
static void directory_step(ski_engine *engine)
{
    bool busy = false, unsure = false, broken = false;
    uint32_t sealed_no = 0;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&engine->lock);
    broken = engine->directory_broken;
    if (engine->sealed_count) sealed_no = engine->segments[engine->sealed_count - 1]->no;
    ski_mutex_unlock(&engine->lock);
    if (broken) {
        ski_directory_cancel(&engine->directory);
        ski_directory_drop(&engine->directory, run_unlink, engine);
        ski_log_line(engine->host->log, SKALD_WARN,
                     "the stream directory was damaged and is made again", NULL);
    }
    err =
        ski_directory_step(&engine->directory, sealed_no, sealed_of, engine, &busy, &unsure, NULL);
    if (unsure) ski_engine_die(engine, "the device failed to store the stream directory (sync)");
    if (err == SKALD_ECORRUPT) indexes_check(engine);
    ski_mutex_lock(&engine->lock);
    engine->directory_broken = false;
    if (err == SKALD_ECORRUPT && !broken) engine->directory_broken = true;
    engine->merge_due = err || busy;
    if (err) engine->merge_until_ns = ski_engine_now_ns(engine) + MERGE_RETRY_NS;
    ski_mutex_unlock(&engine->lock);
}

static uint64_t filters_bytes(const ski_sealed *sealed)
{
    uint64_t bytes = 0;

    for (int table = 0; table < SKI_SEALED_TABLES; table++) {
        bytes += ski_sealed_filter_bytes(sealed, (ski_sealed_table)table);
    }
    return bytes;
}

// filters_drop gives up those of the oldest segment that has any, older than slot. The lock is
// held.
static bool filters_drop(ski_engine *engine, uint32_t slot)
{
    for (uint32_t i = 0; i < slot; i++) {
        ski_segment *segment = engine->segments[i];

        if (!segment->filtered || !segment->indexed) continue;
        for (int table = 0; table < SKI_SEALED_TABLES; table++) {
            if (!ski_sealed_filter_drop(segment->indexed->sealed, (ski_sealed_table)table)) {
                return false; // in use: another time
            }
        }
        segment->filtered = false;
        engine->filter_bytes -= filters_bytes(segment->indexed->sealed);
        return true;
    }
    return false;
}

// filters_choose gives the newest index whose filters are to be loaded; NULL: they all are, or
// there is no room. The lock is held.
static ski_indexed *filters_choose(ski_engine *engine, uint32_t *ret_slot)
{
    for (uint32_t i = engine->sealed_count; i-- > 0;) {
        ski_segment *segment = engine->segments[i];
        uint64_t bytes = 0;

        if (segment->filtered || !segment->indexed) continue;
        bytes = filters_bytes(segment->indexed->sealed);
        while (engine->filter_bytes + bytes > SKI_FILTER_BYTES_MAX && filters_drop(engine, i)) {
            continue;
        }
        if (engine->filter_bytes + bytes > SKI_FILTER_BYTES_MAX) return NULL;
        segment->filtered = true;
        engine->filter_bytes += bytes;
        *ret_slot = i;
        return ski_engine_index_held(engine, i);
    }
    return NULL;
}

static void filters_step(ski_engine *engine)
{
    ski_indexed *indexed = NULL;
    uint32_t slot = 0;

    ski_mutex_lock(&engine->lock);
    indexed = filters_choose(engine, &slot);
    engine->filters_due = indexed != NULL;
    ski_mutex_unlock(&engine->lock);
    if (!indexed) return;
    for (int table = 0; table < SKI_SEALED_TABLES; table++) {
        skald_err err = ski_sealed_filter_load(indexed->sealed, (ski_sealed_table)table, NULL);

        // Without one a lookup reads a block instead.
        if (err == SKALD_ECORRUPT) ski_engine_suspect(engine, slot);
    }
    ski_engine_index_return(engine, indexed);
}

bool ski_keep_step(ski_engine *engine)
{
    keep_job job = KEEP_NOTHING;

    ski_mutex_lock(&engine->lock);
    job = keep_next(engine);
    ski_mutex_unlock(&engine->lock);
    switch (job) {
    case KEEP_NOTHING: return false;
    case KEEP_SEAL: return ski_seal_next(engine);
    case KEEP_FOLLOW: ski_follow_step(engine); break;
    case KEEP_SEAL_AGAIN: return ski_seal_again(engine);
    case KEEP_IDS: return ski_remember_step(engine);
    case KEEP_SPARE: return ski_spare_make(engine);
    case KEEP_MERGE: directory_step(engine); break;
    case KEEP_FILTERS: filters_step(engine); break;
    case KEEP_SCRUB: ski_scrub_step(engine); break;
    }
    return true;
}

void ski_keep_run(void *argument)
{
    ski_engine *engine = argument;

    ski_mutex_lock(&engine->lock);
    while (!engine->closing) {
        if (ski_keep_wanted(engine)) {
            ski_mutex_unlock(&engine->lock);
            ski_mutex_lock(&engine->keeping);
            (void)ski_keep_step(engine);
            ski_mutex_unlock(&engine->keeping);
            ski_mutex_lock(&engine->lock);
        } else if (engine->seal_failing || engine->merge_due || ski_remember_due(engine)) {
            // until it is time again
            (void)ski_cond_wait_ns(&engine->keep_work, &engine->lock, SKI_RETRY_NS);
        } else if (ski_scrub_wait_ns(engine) != UINT64_MAX) {
            (void)ski_cond_wait_ns(&engine->keep_work, &engine->lock, ski_scrub_wait_ns(engine));
        } else {
            ski_cond_wait(&engine->keep_work, &engine->lock);
        }
    }
    ski_mutex_unlock(&engine->lock);
}
