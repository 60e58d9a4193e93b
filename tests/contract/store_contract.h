// SPDX-License-Identifier: Apache-2.0
// contract/store_contract.h - what every store driver must do, as one suite. A driver's own file
// says how a store of it is made, and calls store_contract_run.
#ifndef TESTS_CONTRACT_STORE_CONTRACT_H
#define TESTS_CONTRACT_STORE_CONTRACT_H

#include "store/store.h"

typedef struct store_contract {
    const char *name; // shown
    // open makes a new, empty store. Options are passed on.
    skald_store *(*open)(const skald_store_options *options);
    // reopen closes a store and opens it again with everything that was in it. NULL: nothing
    // outlives closing.
    skald_store *(*reopen)(skald_store *store, const skald_store_options *options);
    // close closes it and removes what it kept. The store may be NULL: it is closed already.
    void (*close)(skald_store *store);
} store_contract;

int store_contract_run(const store_contract *contract); // the exit status of the program

#endif
