// SPDX-License-Identifier: Apache-2.0
// Compaction: what the store says is dead, a driver takes away. The beginning of the log that
// retention hides goes first and in whole pieces, for that costs nothing. A driver is also told
// where what is dead can be, so that it need not read everything to find out.
#include "store/handle.h"

#include "base/alloc.h"
#include "store/sight.h"

#include <string.h>

enum { PROCEED_RULES = 256 }; // each may be a question to the driver; then whether to go on

typedef struct compacting {
    skald_store *store;
    ski_sight sight;
    const skald_compact_options *options;
    skald_store_beginning *beginnings;
    ski_rule *rules; // of each
    char *texts;     // of all of them
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

// rules_copy takes down what metadata there is. change is held: nothing else changes the table.
static skald_err rules_copy(compacting *running)
{
    skald_store *store = running->store;
    uint32_t count = store->rules.count;
    size_t len = 0;

    for (uint32_t i = 0; i < count; i++)
        len += store->rules.entries[i].tenant.len + store->rules.entries[i].stream.len;
    running->beginnings = ski_alloc((count + 1) * sizeof(*running->beginnings));
    running->rules = ski_alloc((count + 1) * sizeof(*running->rules));
    running->texts = ski_alloc(len + 1);
    if (!running->beginnings || !running->rules || !running->texts) return SKALD_ENOMEM;
    len = 0;
    for (uint32_t i = 0; i < count; i++) {
        const ski_rules_entry *entry = &store->rules.entries[i];
        char *tenant = running->texts + len, *stream = tenant + entry->tenant.len;

        memcpy(tenant, entry->tenant.ptr, entry->tenant.len + entry->stream.len);
        len += entry->tenant.len + entry->stream.len;
        running->beginnings[i] = (skald_store_beginning){.tenant = {tenant, entry->tenant.len},
                                                         .stream = {stream, entry->stream.len}};
        running->rules[i] = entry->rule;
    }
    return SKALD_OK;
}

// beginnings_take says where everything is that is dead now. Metadata that is set meanwhile counts
// the next time.
static skald_err beginnings_take(compacting *running, skald_store_compact_job *job)
{
    skald_store *store = running->store;
    skald_err err;

    ski_mutex_lock(&store->change);
    job->beginning_count = store->rules.count;
    err = rules_copy(running);
    ski_mutex_unlock(&store->change);
    if (err) return err;
    for (size_t i = 0; i < job->beginning_count; i++) {
        if (i % PROCEED_RULES == 0 && !compact_proceed(running, 0, 0)) return SKALD_ECLOSED;
        ski_sight_beginning(store, &running->sight, &running->rules[i], &running->beginnings[i]);
    }
    job->known = true;
    job->floor = running->sight.floor;
    job->beginnings = running->beginnings;
    job->newest_type = SKALD_STR(SKI_SNAPSHOT_TYPE);
    return SKALD_OK;
}

// log_trim drops what the log no longer shows, and says in job what went.
static skald_err log_trim(skald_store *store, uint64_t floor, skald_store_compact_job *job,
                          skald_error *reterr_error)
{
    skald_store_state before = {0}, after = {0};
    uint64_t kept = 0;

    if (!store->driver->trim || !floor) return SKALD_OK;
    store->driver->state(store->instance, &before);
    SKALD_TRY(store->driver->trim(store->instance, floor, &kept, reterr_error));
    store->driver->state(store->instance, &after);
    job->events_erased += after.events_erased - before.events_erased;
    job->bytes_freed += after.bytes_freed - before.bytes_freed;
    return SKALD_OK;
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

    SKALD_TRY(ski_sight_take(store, true, &running.sight, reterr_error));
    if (!running.sight.now) running.sight.now = ski_store_now(store);
    SKALD_TRY(log_trim(store, running.sight.floor, &job, reterr_error));
    if (store->driver->compact) {
        skald_err err = beginnings_take(&running, &job);

        if (!err) err = store->driver->compact(store->instance, &job, reterr_error);
        ski_free(running.beginnings);
        ski_free(running.rules);
        ski_free(running.texts);
        if (err == SKALD_ECLOSED) err = SKALD_OK; // stopped before the driver began
        if (err) return err;
    }
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
