// SPDX-License-Identifier: Apache-2.0
// Compaction in the background: one thread of the store's, made when it is first wanted, compacts
// when it is asked to and every so often, slowly. Where nothing is hidden there is nothing to do
// but to erase named values that were replaced, and nothing is read but the question whether there
// are snapshots.
//
// All of it is under the store's mutex, but the compaction itself.
#include "store/handle.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/sight.h"

#include <stdio.h>

#define BYTES_PER_S (UINT64_C(64) * 1024 * 1024) // read and written: what others hardly notice
#define BUSY_NS (UINT64_C(1000) * 1000 * 1000)   // somebody else compacts: after so long again
#define SECOND_NS (UINT64_C(1000) * 1000 * 1000)

struct ski_compactor {
    ski_thread thread;
    ski_cond wake;
    uint64_t every_ns; // 0: only when it is asked
    bool wanted, erase;
};

// snapshots_any: there are some, and of each stream's all but the newest are hidden.
static bool snapshots_any(skald_store *store)
{
    skald_str type = SKALD_STR(SKI_SNAPSHOT_TYPE);
    skald_read read = {.filter.types = {&type, 1},
                       .events_max = 1,
                       .page_bytes_max = SKI_STORE_PAGE_BYTES};
    bool any = false, end = false;

    if (ski_store_enter(store)) return false;
    while (!any && !end) {
        skald_store_page page = {0};
        skald_err err = store->driver->read(store->instance, &read, &page, NULL);

        any = page.count > 0;
        end = page.end || (err && err != SKALD_ECORRUPT) || page.position_next <= read.after;
        read.after = page.position_next;
        if (page.driver) store->driver->page_free(store->instance, &page);
    }
    ski_store_leave(store);
    return any;
}

// compactor_run_once compacts. The mutex is held, and free meanwhile. False: somebody else does.
static bool compactor_run_once(skald_store *store, bool erase)
{
    skald_compact_options options = {.bytes_per_s = BYTES_PER_S, .erase = erase};
    skald_compacted done = {0};
    skald_error error = {0};
    char events[24], bytes[24];
    skald_err err = SKALD_OK;

    ski_mutex_unlock(&store->mutex);
    if (erase || atomic_load(&store->rules_count) || atomic_load(&store->retention.limited) ||
        snapshots_any(store))
        err = skald_store_compact(store, &options, &done, &error);
    (void)snprintf(events, sizeof(events), "%llu", (unsigned long long)done.events_erased);
    (void)snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)done.bytes_freed);
    if (!err && done.events_erased) {
        ski_log_line(&store->log, SKALD_INFO, "compacted", "events", events, "bytes", bytes, NULL);
    } else if (err && err != SKALD_ESTATE && err != SKALD_ECLOSED) {
        ski_log_line(&store->log, SKALD_WARN, "the store could not be compacted", "why", error.text,
                     NULL);
    }
    ski_mutex_lock(&store->mutex);
    return err != SKALD_ESTATE;
}

static void compactor_run(void *context)
{
    skald_store *store = context;
    ski_compactor *compactor = store->compactor;

    ski_mutex_lock(&store->mutex);
    while (!store->closing) {
        if (compactor->wanted) {
            bool erase = compactor->erase;

            compactor->wanted = compactor->erase = false;
            if (compactor_run_once(store, erase)) continue;
            compactor->wanted = true;
            compactor->erase = compactor->erase || erase;
            (void)ski_cond_wait_ns(&compactor->wake, &store->mutex, BUSY_NS);
        } else if (compactor->every_ns) {
            if (!ski_cond_wait_ns(&compactor->wake, &store->mutex, compactor->every_ns))
                compactor->wanted = true;
        } else {
            ski_cond_wait(&compactor->wake, &store->mutex);
        }
    }
    ski_mutex_unlock(&store->mutex);
}

// compactor_make: the mutex is held.
static skald_err compactor_make(skald_store *store)
{
    ski_compactor *compactor = ski_alloc_zeroed(1, sizeof(*compactor));
    skald_err err;

    if (!compactor) return SKALD_ENOMEM;
    compactor->every_ns = store->options.compact_every_s * SECOND_NS;
    ski_cond_init(&compactor->wake);
    store->compactor = compactor;
    err = store->kernel->spawn(store->kernel->context, "skald-compact", compactor_run, store,
                               &compactor->thread);
    if (!err) return SKALD_OK;
    store->compactor = NULL;
    ski_cond_fini(&compactor->wake);
    ski_free(compactor);
    return err;
}

skald_err ski_store_compactor_start(skald_store *store)
{
    skald_err err = SKALD_OK;

    if (!store->options.compact_every_s || !store->driver->compact || !store->kernel->spawn)
        return SKALD_OK;
    if (store->options.read_only) return SKALD_OK;
    ski_mutex_lock(&store->mutex);
    err = compactor_make(store);
    ski_mutex_unlock(&store->mutex);
    return err;
}

void ski_store_compactor_stop(skald_store *store)
{
    ski_compactor *compactor;

    ski_mutex_lock(&store->mutex); // closing is set: nobody makes one any more
    compactor = store->compactor;
    if (compactor) ski_cond_signal(&compactor->wake);
    ski_mutex_unlock(&store->mutex);
    if (!compactor) return;
    store->kernel->join(store->kernel->context, compactor->thread);
    ski_cond_fini(&compactor->wake);
    ski_free(compactor);
    store->compactor = NULL;
}

skald_err skald_store_compact_later(skald_store *store, bool erase, skald_error *reterr_error)
{
    skald_err err = SKALD_OK;

    if (!store->driver->compact || !store->kernel->spawn)
        return skald_fail(reterr_error, SKALD_EUNSUPPORTED,
                          "a store of kind '%s' is not compacted in the background",
                          store->driver->scheme);
    if (store->options.read_only)
        return skald_fail(reterr_error, SKALD_EREADONLY, "the store was opened read-only");
    ski_mutex_lock(&store->mutex);
    if (store->closing) err = SKALD_ECLOSED;
    if (!err && !store->compactor) err = compactor_make(store);
    if (!err) {
        store->compactor->wanted = true;
        store->compactor->erase = store->compactor->erase || erase;
        ski_cond_signal(&store->compactor->wake);
    }
    ski_mutex_unlock(&store->mutex);
    return err ? skald_fail(reterr_error, err, "%s", skald_err_text(err)) : SKALD_OK;
}
