// SPDX-License-Identifier: Apache-2.0
// Compaction: what the store says is dead, a driver takes away. The beginning of the log that
// retention hides goes first and in whole pieces, for that costs nothing.
#include "store/handle.h"

#include "store/sight.h"

typedef struct compacting {
    skald_store *store;
    ski_sight sight;
    const skald_compact_options *options;
} compacting;

static bool compact_dead(void *context, const skald_store_mark *mark)
{
    const compacting *running = context;

    return ski_sight_dead(running->store, &running->sight, mark);
}

static bool compact_proceed(void *context, uint64_t bytes_done, uint64_t bytes_all)
{
    const compacting *running = context;
    skald_store *store = running->store;
    bool closing;

    ski_mutex_lock(&store->mutex);
    closing = store->closing;
    ski_mutex_unlock(&store->mutex);
    if (closing) return false;
    if (!running->options->progress) return true;
    return running->options->progress(running->options->context, bytes_done, bytes_all);
}

// compact_run: the store is entered and nothing else compacts it.
static skald_err compact_run(skald_store *store, const skald_compact_options *options,
                             skald_compacted *ret_compacted, skald_error *reterr_error)
{
    compacting running = {.store = store, .options = options};
    skald_store_compact_job job = {.dead = compact_dead,
                                   .proceed = compact_proceed,
                                   .context = &running,
                                   .bytes_per_s = options->bytes_per_s,
                                   .erase = options->erase};
    uint64_t kept = 0;

    SKALD_TRY(ski_sight_take(store, true, &running.sight, reterr_error));
    if (!running.sight.now) running.sight.now = ski_store_now(store);
    if (store->driver->trim && running.sight.floor)
        SKALD_TRY(store->driver->trim(store->instance, running.sight.floor, &kept, reterr_error));
    if (store->driver->compact)
        SKALD_TRY(store->driver->compact(store->instance, &job, reterr_error));
    *ret_compacted = (skald_compacted){job.events_erased, job.bytes_freed};
    return SKALD_OK;
}

skald_err skald_store_compact(skald_store *store, const skald_compact_options *options,
                              skald_compacted *ret_compacted, skald_error *reterr_error)
{
    static const skald_compact_options plain;
    skald_compacted compacted = {0};
    bool runs;
    skald_err err;

    if (!store->driver->trim && !store->driver->compact)
        return skald_fail(reterr_error, SKALD_EUNSUPPORTED,
                          "a store of kind '%s' cannot be compacted", store->driver->scheme);
    if (store->options.read_only)
        return skald_fail(reterr_error, SKALD_EREADONLY, "the store was opened read-only");
    SKALD_TRY(ski_store_enter(store));
    ski_mutex_lock(&store->mutex);
    runs = store->compacting;
    store->compacting = true;
    ski_mutex_unlock(&store->mutex);
    if (runs) {
        ski_store_leave(store);
        return skald_fail(reterr_error, SKALD_ESTATE, "the store is being compacted already");
    }
    err = compact_run(store, options ? options : &plain, &compacted, reterr_error);
    ski_mutex_lock(&store->mutex);
    store->compacting = false;
    ski_mutex_unlock(&store->mutex);
    ski_store_leave(store);
    if (!err && ret_compacted) *ret_compacted = compacted;
    return err;
}
