// SPDX-License-Identifier: Apache-2.0
// store/handle.h - what the files of the waist share: the handle itself.
#ifndef SKI_STORE_HANDLE_H
#define SKI_STORE_HANDLE_H

#include "base/uuid.h"
#include "os/gate.h"
#include "store/retention.h"
#include "store/rules.h"
#include "store/store.h"
#include <stdatomic.h>

struct skald_store {
    const skald_store_driver *driver;
    void *instance; // the driver's
    const ski_kernel *kernel;
    skald_clock clock;
    skald_log log;
    skald_store_options options; // with every default filled in
    skald_store_host host;       // lent to the driver

    ski_gate calls; // in progress; shut when it is closing

    ski_mutex mutex; // over what follows
    bool closing;
    ski_uuid_maker ids;

    // Held while the watcher is called: so it is called by one thread at a time with rising
    // positions, and taking it away waits for the call in progress. Nothing else is locked under
    // it.
    ski_mutex watch_mutex;
    void (*watch)(void *context, uint64_t durable_position);
    void *watch_context;
    uint64_t watch_told;

    // Metadata of streams. change is held by who changes it, over the commit; rules_mutex only for
    // a look, and nothing else is called under it: a driver's visitor may take it.
    ski_mutex change, rules_mutex;
    ski_rules rules;
    atomic_uint rules_count; // of rules: 0 says without a lock that there are none
    ski_retention retention;
    bool compacting;                 // under mutex
    struct ski_compactor *compactor; // under mutex; NULL: nothing was to be done in the background
};

// ski_store_enter counts a call that close must wait for; every one that was OK is ended by
// ski_store_leave. Fails: CLOSED.
skald_err ski_store_enter(skald_store *store) SKALD_CHECK;
void ski_store_leave(skald_store *store);

// ski_rule_get copies the rule of a stream; false: it has none.
bool ski_rule_get(skald_store *store, skald_str tenant, skald_str stream, ski_rule *ret_rule);

// ski_store_load reads back the metadata and limits that are kept in a store just opened.
skald_err ski_store_load(skald_store *store, skald_error *reterr_error) SKALD_CHECK;

// ski_store_compactor_start makes the thread that compacts every so often, if it is to; stop ends
// it, when the store is closing and no call is in progress.
typedef struct ski_compactor ski_compactor;
skald_err ski_store_compactor_start(skald_store *store) SKALD_CHECK;
void ski_store_compactor_stop(skald_store *store);

// ski_store_commit_wait commits a batch that has no done of its own and gives what it was told.
// reserved: events may be on the store's own streams, whose names begin with '$'.
skald_err ski_store_commit_wait(skald_store *store, skald_store_batch *batch, bool reserved)
    SKALD_CHECK;

// ski_store_open_driver opens a driver that need not be in the list: for tests of the waist alone.
skald_err ski_store_open_driver(const ski_kernel *kernel, const skald_store_driver *driver,
                                const char *path, const skald_store_options *options,
                                skald_store **ret_store, skald_error *reterr_error) SKALD_CHECK;

#endif
