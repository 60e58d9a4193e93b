// SPDX-License-Identifier: Apache-2.0
// Holding a store: the file FILE-lock beside it is locked by the kernel, and the lock ends with the
// process, however that ends. What is written in it only tells people who that is. SQLite's own
// locks let several processes write in turn; positions and what waits are known to one only.
#include "store/sqlite/sqlite_store.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum { path_bytes_max = 4096, holder_bytes_max = 128 };

static const char lock_ending[] = "-lock";

// folder_of cuts a path behind its last '/': the folder it is in.
static bool folder_of(const char *path, char folder[path_bytes_max])
{
    size_t len = strlen(path);

    while (len && path[len - 1] != '/') len--;
    while (len > 1 && path[len - 1] == '/') len--;
    if (!len) return false;
    (void)snprintf(folder, path_bytes_max, "%.*s", (int)len, path);
    return true;
}

// The file and the folders above it may have been made just now, or by an attempt that ended half
// way: their names are put on the device, as far as we may.
skald_err ski_sqlite_sync_above(const ski_sqlite *store)
{
    const ski_kernel *kernel = store->host->kernel;
    char at[path_bytes_max], folder[path_bytes_max];

    (void)snprintf(at, sizeof(at), "%s", store->path);
    while (folder_of(at, folder)) {
        if (kernel->sync_dir(kernel->context, folder) == SKALD_EIO) return SKALD_EIO;
        if (!strcmp(folder, at)) break;
        memcpy(at, folder, sizeof(at));
    }
    return SKALD_OK;
}

static skald_err hold_open(const ski_sqlite *store, const char *path, ski_file **ret_file,
                           skald_error *reterr_error)
{
    const ski_kernel *kernel = store->host->kernel;
    char folder[path_bytes_max];
    skald_err err;

    if (!store->read_only) {
        if (folder_of(store->path, folder))
            SKALD_TRY(ski_kernel_make_dirs(kernel, folder, reterr_error));
        return kernel->open(kernel->context, path, SKI_OPEN_WRITE | SKI_OPEN_CREATE, ret_file,
                            reterr_error);
    }
    err = kernel->open(kernel->context, path, 0, ret_file, NULL);
    if (err == SKALD_ENOTFOUND) *ret_file = NULL;
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

static skald_err hold_refuse(const ski_sqlite *store, ski_file *file, skald_error *reterr_error)
{
    const ski_kernel *kernel = store->host->kernel;
    char text[holder_bytes_max] = "";
    size_t got = 0;
    skald_str holder = SKALD_STR("another process"), rest;

    if (kernel->pread(kernel->context, file, text, sizeof(text), 0, &got) == SKALD_OK && got)
        holder = ski_str_cut((skald_str){text, got}, '\n', &rest);
    return skald_fail(reterr_error, SKALD_EHELD,
                      "the store '%s' is held by %.*s. Stop that process, or talk to it instead",
                      store->path, SKALD_FMT(holder));
}

// hold_write is for people only, so it need not succeed.
static void hold_write(const ski_sqlite *store, ski_file *file)
{
    const ski_kernel *kernel = store->host->kernel;
    char text[holder_bytes_max], since[SKALD_TIME_TEXT + 1];
    int len;

    skald_time_print(kernel->now(kernel->context), since);
    len = snprintf(text, sizeof(text), "process %llu since %s\n",
                   (unsigned long long)kernel->process_id(kernel->context), since);
    if (kernel->truncate(kernel->context, file, 0)) return;
    if (kernel->pwrite(kernel->context, file, text, (size_t)len, 0)) return;
}

skald_err ski_sqlite_hold(ski_sqlite *store, skald_error *reterr_error)
{
    const ski_kernel *kernel = store->host->kernel;
    char path[path_bytes_max];
    ski_file *file = NULL;
    skald_err err = SKALD_OK;

    if (strlen(store->path) + sizeof(lock_ending) > path_bytes_max)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "url",
                             "the path of the store is too long");
    (void)snprintf(path, sizeof(path), "%s%s", store->path, lock_ending);
    SKALD_TRY(hold_open(store, path, &file, reterr_error));
    if (file) err = kernel->lock(kernel->context, file);
    if (err) {
        if (err == SKALD_EHELD) err = hold_refuse(store, file, reterr_error);
        kernel->close(kernel->context, file);
        return err;
    }
    if (file && !store->read_only) hold_write(store, file);
    store->lock_file = file;
    return SKALD_OK;
}

void ski_sqlite_hold_end(ski_sqlite *store)
{
    const ski_kernel *kernel = store->host->kernel;

    if (!store->lock_file) return;
    // Nobody holds it any more; nor does it matter if that cannot be written.
    if (!store->read_only && kernel->truncate(kernel->context, store->lock_file, 0)) {
    }
    kernel->close(kernel->context, store->lock_file);
    store->lock_file = NULL;
}
