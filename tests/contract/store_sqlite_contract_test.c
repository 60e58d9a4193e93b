// SPDX-License-Identifier: Apache-2.0
// The store's contract, on the sqlite driver: each store a file in a directory of its own, which
// goes with it.
#include "contract/store_contract.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char directory[512]; // of the store that is open; tests run one after the other

static skald_store *sqlite_open(const skald_store_options *options)
{
    char url[sizeof(directory) + 32];
    skald_store *store = NULL;
    skald_error error;

    (void)snprintf(url, sizeof(url), "sqlite:%s/new/store.db", directory);
    if (!skald_store_open(url, options, &store, &error)) return store;
    (void)fprintf(stderr, "%s: %s\n", url, error.text);
    return NULL;
}

static skald_store *sqlite_new(const skald_store_options *options)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(directory, sizeof(directory), "%s/skald-contract-XXXXXX",
                   base && *base ? base : "/tmp");
    return mkdtemp(directory) ? sqlite_open(options) : NULL;
}

static skald_store *sqlite_reopen(skald_store *store, const skald_store_options *options)
{
    skald_store_close(store);
    return sqlite_open(options);
}

static int path_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void sqlite_close(skald_store *store)
{
    skald_store_close(store);
    (void)nftw(directory, path_remove, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    return store_contract_run(&(store_contract){
        .name = "sqlite", .open = sqlite_new, .reopen = sqlite_reopen, .close = sqlite_close});
}
