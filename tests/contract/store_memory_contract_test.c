// SPDX-License-Identifier: Apache-2.0
// The store's contract, on the memory driver.
#include "contract/store_contract.h"

static skald_store *memory_open(const skald_store_options *options)
{
    skald_store *store = NULL;

    return skald_store_open("memory:", options, &store, NULL) ? NULL : store;
}

int main(void)
{
    return store_contract_run(
        &(store_contract){.name = "memory", .open = memory_open, .close = skald_store_close});
}
