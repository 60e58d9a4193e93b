// SPDX-License-Identifier: Apache-2.0
// store/retention.h - the limits of the whole log: up to which position nothing is kept, and what
// subscriptions hold on to. Any thread.
#ifndef SKI_STORE_RETENTION_H
#define SKI_STORE_RETENTION_H

#include "os/thread.h"
#include <skald/store.h>
#include <stdatomic.h>

typedef struct ski_hold {
    char *name;
    size_t len;
    uint64_t position; // everything above is needed
    uint64_t read;     // what is above is not even read
    uint64_t lost_to;  // positions up to here were counted as lost, or gone when it came
    uint64_t lost;
} ski_hold;

typedef struct ski_retention {
    atomic_bool limited;            // false: nothing of this is looked at
    atomic_uint_least64_t asked_at; // the head when a driver that forgets was told the last time
    atomic_uint_least64_t told;     // what it was told to forget, at least
    ski_mutex mutex;                // over what follows, for a look; nothing is called under it
    skald_retention set;
    ski_hold *holds;
    uint32_t count, size;
    bool declared;        // all durable subscriptions that there are hold
    uint64_t lost;        // of all holds there were
    uint64_t limit_floor; // the highest there was with SKALD_RETAIN_LIMIT

    // How far the log has become too old. Held over the search for it, which reads the driver.
    ski_mutex age;
    uint64_t aged;          // all positions up to here
    skald_time aged_cutoff; // found with this
    skald_time next_at;     // when the one behind was recorded
} ski_retention;

void ski_retention_init(ski_retention *retention);
void ski_retention_fini(ski_retention *retention);

// ski_retention_floor gives the position up to which everything is hidden at now; erasing: only
// what may be erased too, which with SKALD_RETAIN_ACKED is nothing before the holds are known to be
// all. May read the driver. Fails: as a read.
skald_err ski_retention_floor(skald_store *store, skald_time now, bool erasing, uint64_t *ret_floor,
                              skald_error *reterr_error) SKALD_CHECK;
// ski_retention_forget tells a driver that takes away what is dead by itself where that ends, every
// so many appended events, or anyway. True: further on than before. The store is entered.
bool ski_retention_forget(skald_store *store, bool anyway);
// ski_retention_load takes what was kept in the store.
skald_err ski_retention_load(skald_store *store, skald_error *reterr_error) SKALD_CHECK;

#endif
