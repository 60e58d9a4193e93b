// SPDX-License-Identifier: Apache-2.0
// Backup: SQLite writes what one snapshot has into another file, page by page in order, while
// others write. It is then synced by us: SQLite leaves that out.
#include "store/sqlite/sqlite_store.h"

#include <stdio.h>
#include <string.h>

enum { path_bytes_max = 4096 };

typedef struct backup_watch {
    const skald_backup_options *options;
    ski_sqlite *store;
} backup_watch;

// backup_asked is called by SQLite every some thousand steps of its machine; not 0 ends it.
static int backup_asked(void *context)
{
    const backup_watch *watch = context;

    if (!watch->options->progress) return 0;
    return !watch->options->progress(watch->options->context, 0, ski_sqlite_bytes(watch->store));
}

typedef struct backup_look {
    bool any;
} backup_look;

static void look_visit(void *visitor, const char *name)
{
    (void)name;
    ((backup_look *)visitor)->any = true;
}

// backup_room makes the directory, which must be empty, and names the file in it.
static skald_err backup_room(const ski_sqlite *store, const char *directory,
                             char path[path_bytes_max], skald_error *reterr_error)
{
    const ski_kernel *kernel = store->host->kernel;
    const char *name = strrchr(store->path, '/') + 1; // every path has one
    backup_look look = {false};
    skald_err err = kernel->list(kernel->context, directory, look_visit, &look);
    int len = 0;

    if (look.any) {
        return skald_fail(reterr_error, SKALD_EEXISTS,
                          "the directory '%s' is not empty; name one that is, or is not there",
                          directory);
    }
    if (err && err != SKALD_ENOTFOUND) return err;
    SKALD_TRY(ski_kernel_make_dirs(kernel, directory, reterr_error));
    len = snprintf(path, path_bytes_max, "%s/%s", directory, name);
    return len < 0 || len >= path_bytes_max ? SKALD_ETOOBIG : SKALD_OK;
}

// backup_write fails: CLOSED (progress said so), READONLY, CORRUPT, IO.
static skald_err backup_write(ski_sqlite *store, ski_db *db, const char *path,
                              const skald_backup_options *options, uint64_t *ret_head)
{
    backup_watch watch = {options, store};
    sqlite3_stmt *stmt = NULL;
    uint64_t head = 0;
    int code = sqlite3_prepare_v2(db->handle, "VACUUM INTO ?", -1, &stmt, NULL);
    skald_err err = ski_db_err(db, code);

    if (err) return err;
    sqlite3_progress_handler(db->handle, 10000, backup_asked, &watch);
    (void)sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
    head = atomic_load(&store->head);
    code = sqlite3_step(stmt);
    (void)sqlite3_finalize(stmt);
    sqlite3_progress_handler(db->handle, 0, NULL, NULL);
    if (code == SQLITE_DONE) {
        *ret_head = head; // at least: what was stored since may be in it
        return SKALD_OK;
    }
    return (code & 0xff) == SQLITE_INTERRUPT ? SKALD_ECLOSED : ski_db_err(db, code);
}

// backup_sync puts the file and its name on the device.
static skald_err backup_sync(const ski_sqlite *store, const char *directory, const char *path,
                             uint64_t *ret_bytes)
{
    const ski_kernel *kernel = store->host->kernel;
    ski_file *file = NULL;
    skald_err err = kernel->open(kernel->context, path, SKI_OPEN_WRITE, &file, NULL);

    if (err) return err;
    err = kernel->sync(kernel->context, file);
    if (!err) err = kernel->size(kernel->context, file, ret_bytes);
    kernel->close(kernel->context, file);
    return err ? err : kernel->sync_dir(kernel->context, directory);
}

skald_err ski_sqlite_backup(void *driver, const char *directory,
                            const skald_backup_options *options, skald_backed_up *ret_backed_up,
                            skald_error *reterr_error)
{
    ski_sqlite *store = driver;
    skald_backed_up backed_up = {.files = 1};
    char path[path_bytes_max];
    ski_db *db = NULL;
    skald_err err = backup_room(store, directory, path, reterr_error);

    if (err) return err;
    err = ski_sqlite_connect(store, &db);
    if (!err) err = backup_write(store, db, path, options, &backed_up.position_last);
    ski_db_close(db);
    if (!err) err = backup_sync(store, directory, path, &backed_up.bytes);
    if (err) {
        const ski_kernel *kernel = store->host->kernel;

        skald_err unlinked = kernel->unlink(kernel->context, path); // it may not be there

        (void)unlinked;
        return skald_fail(reterr_error, err, "the store cannot be backed up to '%s': %s", directory,
                          skald_err_text(err));
    }
    *ret_backed_up = backed_up;
    return SKALD_OK;
}
