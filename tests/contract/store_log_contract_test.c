// SPDX-License-Identifier: Apache-2.0
// The store's contract, on the log driver: each store in a directory of its own, which goes with
// it. Once with the segments that are usual, and once with such small ones that most of what is
// read comes from index files.
#include "contract/store_contract.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char directory[512]; // of the store that is open; tests run one after the other
static uint64_t segment_bytes;

static skald_store *log_open(const skald_store_options *options)
{
    char url[sizeof(directory) + 16];
    skald_store_options mine = options ? *options : (skald_store_options){0};
    skald_store *store = NULL;
    skald_error error;

    if (!mine.segment_bytes) mine.segment_bytes = segment_bytes;
    (void)snprintf(url, sizeof(url), "log:%s/store", directory);
    if (!skald_store_open(url, &mine, &store, &error)) return store;
    (void)fprintf(stderr, "%s: %s\n", url, error.text);
    return NULL;
}

static skald_store *log_new(const skald_store_options *options)
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(directory, sizeof(directory), "%s/skald-contract-XXXXXX",
                   base && *base ? base : "/tmp");
    return mkdtemp(directory) ? log_open(options) : NULL;
}

static skald_store *log_reopen(skald_store *store, const skald_store_options *options)
{
    skald_store_close(store);
    return log_open(options);
}

static int path_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void log_close(skald_store *store)
{
    skald_store_close(store);
    (void)nftw(directory, path_remove, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    store_contract contract = {
        .name = "log", .open = log_new, .reopen = log_reopen, .close = log_close};
    int failed = store_contract_run(&contract);

    segment_bytes = 64 * 1024;
    contract.name = "log, sealed";
    return store_contract_run(&contract) || failed;
}
