// SPDX-License-Identifier: Apache-2.0
// The sqlite driver: its operations table, opening and closing, and the connections that read.
//
// Invariants:
//   1. One connection writes, for whoever has the role of the writer (write.c); others read, each
//      lent to one caller at a time. In SQLite's WAL mode neither waits for the other.
//   2. Every path given to SQLite has a '/': none is a name that it gives a meaning to.
#include "store/sqlite/sqlite.h"

#include "base/alloc.h"
#include "store/sqlite/sqlite_store.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { uri_bytes_max = 3 * 4096 + 32 };

static int log_grew(void *context, sqlite3 *handle, const char *name, int pages)
{
    ski_sqlite *store = context;

    (void)handle;
    (void)name;
    store->log_pages = pages;
    return SQLITE_OK;
}

// path_uri writes the path as a URI that opens it as a file that nobody changes.
static void path_uri(const char *path, char uri[uri_bytes_max])
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-._";
    size_t len = (size_t)snprintf(uri, uri_bytes_max, "file:");

    for (; *path; path++) {
        const char *format = strchr(plain, *path) ? "%c" : "%%%02X";

        len += (size_t)snprintf(uri + len, uri_bytes_max - len, format, (unsigned char)*path);
    }
    (void)snprintf(uri + len, uri_bytes_max - len, "?immutable=1");
}

skald_err ski_sqlite_connect(const ski_sqlite *store, ski_db **ret_db)
{
    char uri[uri_bytes_max];

    if (!store->immutable) return ski_db_open(store->path, SQLITE_OPEN_READONLY, ret_db);
    path_uri(store->path, uri);
    return ski_db_open(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, ret_db);
}

skald_err ski_sqlite_reader(ski_sqlite *store, ski_db **ret_db)
{
    ski_db *db;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&store->lock);
    while (!store->readers && store->reader_count == SKI_SQLITE_READERS_MAX)
        ski_cond_wait(&store->reader_back, &store->lock);
    db = store->readers;
    if (db)
        store->readers = db->next;
    else
        store->reader_count++;
    ski_mutex_unlock(&store->lock);
    if (!db) err = ski_sqlite_connect(store, &db);
    if (!err) err = ski_db_run(db, SKI_SQL_BEGIN_READ);
    if (err) {
        ski_db_close(db);
        ski_mutex_lock(&store->lock);
        store->reader_count--;
        ski_cond_signal(&store->reader_back);
        ski_mutex_unlock(&store->lock);
        return err;
    }
    *ret_db = db;
    return SKALD_OK;
}

void ski_sqlite_reader_end(ski_sqlite *store, ski_db *db)
{
    bool good;

    for (int i = 0; i < SKI_SQL_COUNT; i++) (void)sqlite3_reset(db->stmts[i]);
    good = ski_db_run(db, SKI_SQL_COMMIT) == SKALD_OK;
    if (!good) ski_db_close(db);
    ski_mutex_lock(&store->lock);
    if (good) {
        db->next = store->readers;
        store->readers = db;
    } else {
        store->reader_count--;
    }
    ski_cond_signal(&store->reader_back);
    ski_mutex_unlock(&store->lock);
}

static void store_free(ski_sqlite *store)
{
    while (store->readers) {
        ski_db *db = store->readers;

        store->readers = db->next;
        ski_db_close(db);
    }
    ski_db_close(store->writer); // last: it carries SQLite's log into the file
    ski_sqlite_hold_end(store);
    ski_cond_fini(&store->reader_back);
    ski_cond_fini(&store->done);
    ski_cond_fini(&store->work);
    ski_mutex_fini(&store->lock);
    ski_free(store->path);
    ski_free(store);
}

// path_take makes "x.db" "./x.db".
static skald_err path_take(const char *path, char **ret_path)
{
    size_t size = strlen(path) + sizeof("./");
    char *copy = ski_alloc(size);

    if (!copy) return SKALD_ENOMEM;
    (void)snprintf(copy, size, "%s%s", path[0] == '/' ? "" : "./", path);
    *ret_path = copy;
    return SKALD_OK;
}

static skald_err store_new(const char *path, const skald_store_options *options,
                           const skald_store_host *host, ski_sqlite **ret_store)
{
    ski_sqlite *store = ski_alloc_zeroed(1, sizeof(*store));

    if (!store) return SKALD_ENOMEM;
    if (path_take(path, &store->path)) {
        ski_free(store);
        return SKALD_ENOMEM;
    }
    store->host = host;
    store->append_bytes_max = options->append_bytes_max;
    store->read_only = options->read_only;
    host->kernel->random(host->kernel->context, &store->seed, sizeof(store->seed));
    ski_mutex_init(&store->lock);
    ski_cond_init(&store->work);
    ski_cond_init(&store->done);
    ski_cond_init(&store->reader_back);
    atomic_init(&store->head, 0);
    *ret_store = store;
    return SKALD_OK;
}

// look_first: with read_only, is there a store, and has SQLite's log something of it?
static skald_err look_first(ski_sqlite *store, skald_error *reterr_error)
{
    const ski_kernel *kernel = store->host->kernel;
    char path[4096 + 8];
    uint64_t size = 0;
    ski_file *file;
    skald_err err = kernel->open(kernel->context, store->path, 0, &file, reterr_error);

    if (err == SKALD_ENOTFOUND)
        return skald_fail(reterr_error, SKALD_EUNAVAILABLE, "there is no store '%s'", store->path);
    if (err) return err;
    kernel->close(kernel->context, file);
    (void)snprintf(path, sizeof(path), "%s-wal", store->path);
    err = kernel->open(kernel->context, path, 0, &file, NULL);
    if (!err) {
        err = kernel->size(kernel->context, file, &size);
        kernel->close(kernel->context, file);
    }
    if (err && err != SKALD_ENOTFOUND) return err;
    store->immutable = !size;
    return SKALD_OK;
}

// writer_set sets how it is written. Only in WAL mode readers and the writer let each other be.
static skald_err writer_set(ski_db *db, skald_error *reterr_error)
{
    static const char settings[] =
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;"
        "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;"
        "PRAGMA secure_delete = ON;"
        "PRAGMA journal_size_limit = 67108864";
    sqlite3_stmt *stmt = NULL;
    bool row = false, wal = false;
    skald_err err = ski_db_err(db, sqlite3_prepare_v2(db->handle, "PRAGMA journal_mode = WAL", -1,
                                                      &stmt, NULL));

    if (!err) err = ski_db_row(db, stmt, &row);
    if (!err && row) wal = skald_str_equal(ski_db_column(stmt, 0), SKALD_STR("wal"));
    (void)sqlite3_finalize(stmt);
    if (!err && !wal)
        return skald_fail(reterr_error, SKALD_EUNSUPPORTED,
                          "SQLite has no WAL here: is the file on a network file system?");
    return err ? err : ski_db_err(db, sqlite3_exec(db->handle, settings, NULL, NULL, NULL));
}

// store_head finds where the store stands. The newest events may have been erased.
static skald_err store_head(ski_sqlite *store, ski_db *db)
{
    uint64_t erased, recorded;
    sqlite3_stmt *stmt;
    bool row;

    SKALD_TRY(ski_db_stmt(db, SKI_SQL_HEAD, &stmt));
    SKALD_TRY(ski_db_row(db, stmt, &row));
    if (row) {
        atomic_store(&store->head, ski_db_column_u64(stmt, 0));
        store->recorded_last = sqlite3_column_int64(stmt, 1);
    }
    (void)sqlite3_reset(stmt);
    SKALD_TRY(ski_db_number(db, SKI_SQL_ERASED_LAST, &erased));
    SKALD_TRY(ski_db_number(db, SKI_SQL_RECORDED_GET, &recorded));
    if (erased > atomic_load(&store->head)) atomic_store(&store->head, erased);
    if ((skald_time)recorded > store->recorded_last) store->recorded_last = (skald_time)recorded;
    return SKALD_OK;
}

static skald_err store_connect(ski_sqlite *store, skald_error *reterr_error)
{
    ski_db *db;

    if (store->read_only) {
        SKALD_TRY(look_first(store, reterr_error));
        SKALD_TRY(ski_sqlite_connect(store, &store->writer));
        SKALD_TRY(ski_sqlite_schema(store, store->writer, reterr_error));
        return store_head(store, store->writer);
    }
    SKALD_TRY(ski_db_open(store->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &store->writer));
    db = store->writer;
    SKALD_TRY(ski_sqlite_schema(store, db, reterr_error));
    SKALD_TRY(writer_set(db, reterr_error));
    SKALD_TRY(ski_sqlite_sync_above(store));
    store->log_pages_restart = SKI_SQLITE_RESTART_PAGES;
    (void)sqlite3_wal_hook(db->handle, log_grew, store);
    return store_head(store, db);
}

static void store_join(ski_sqlite *store)
{
    const ski_kernel *kernel = store->host->kernel;

    ski_mutex_lock(&store->lock);
    store->closing = true;
    ski_cond_broadcast(&store->work);
    ski_mutex_unlock(&store->lock);
    if (store->thread.id) kernel->join(kernel->context, store->thread);
}

static skald_err store_start(ski_sqlite *store, skald_error *reterr_error)
{
    const ski_kernel *kernel = store->host->kernel;

    SKALD_TRY(ski_sqlite_hold(store, reterr_error));
    SKALD_TRY(store_connect(store, reterr_error));
    if (!kernel->spawn || store->read_only) return SKALD_OK;
    return kernel->spawn(kernel->context, "skald-sqlite", ski_sqlite_run, store, &store->thread);
}

static skald_err sqlite_open(const char *path, const skald_store_options *options,
                             const skald_store_host *host, void **ret_driver,
                             skald_error *reterr_error)
{
    skald_error error = {0};
    ski_sqlite *store;
    skald_err err;

    if (!path[0] || path[strlen(path) - 1] == '/')
        return skald_fail_at(reterr_error, SKALD_EINVALID, "url",
                             "'sqlite:%s' names no file; give \"sqlite:FILE\"", path);
    err = store_new(path, options, host, &store);
    if (err) return skald_fail(reterr_error, err, "%s", skald_err_text(err));
    err = store_start(store, &error);
    if (!err) {
        *ret_driver = store;
        return SKALD_OK;
    }
    if (!error.text[0])
        (void)skald_fail(&error, err, "the store '%s' cannot be opened: %s", store->path,
                         store->writer ? sqlite3_errmsg(store->writer->handle)
                                       : skald_err_text(err));
    store_free(store);
    if (reterr_error) *reterr_error = error;
    return err;
}

static void sqlite_close(void *driver)
{
    ski_sqlite *store = driver;

    store_join(store);
    ski_mutex_lock(&store->lock);
    while (store->first) ski_sqlite_lead(store);
    ski_mutex_unlock(&store->lock);
    store_free(store);
}

uint64_t ski_sqlite_bytes(ski_sqlite *store)
{
    uint64_t bytes;

    ski_mutex_lock(&store->lock);
    bytes = store->bytes_stored;
    ski_mutex_unlock(&store->lock);
    return bytes;
}

static uint64_t sqlite_head(void *driver)
{
    ski_sqlite *store = driver;

    return atomic_load(&store->head);
}

static void sqlite_state(void *driver, skald_store_state *ret_state)
{
    ski_sqlite *store = driver;
    const ski_kernel *kernel = store->host->kernel;

    ret_state->head = atomic_load(&store->head);
    ski_histogram_copy(&store->sync_times, ret_state->sync_counts);
    if (kernel->room(kernel->context, store->path, &ret_state->bytes_free))
        ret_state->bytes_free = UINT64_MAX;
    ski_mutex_lock(&store->lock);
    ret_state->bytes_waiting = store->waiting_bytes;
    ret_state->bytes_waiting_max = store->append_bytes_max;
    ret_state->bytes_stored = store->bytes_stored;
    ret_state->appends_waiting = store->waiting;
    ret_state->syncs = store->syncs;
    ret_state->sync_ns = store->sync_ns;
    ret_state->segments = 1;
    ret_state->read_only = store->stopped || store->dead;
    if (ret_state->read_only)
        (void)snprintf(ret_state->read_only_why, sizeof(ret_state->read_only_why), "%s",
                       store->stopped_why);
    ski_mutex_unlock(&store->lock);
}

static bool sqlite_step(void *driver)
{
    ski_sqlite *store = driver;
    bool worked;

    assert(!store->host->kernel->spawn);
    ski_mutex_lock(&store->lock);
    worked = store->first != NULL;
    if (worked) ski_sqlite_lead(store);
    ski_mutex_unlock(&store->lock);
    return worked;
}

const skald_store_driver ski_store_sqlite = {
    .abi = SKALD_STORE_DRIVER_ABI,
    .scheme = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .submit = ski_sqlite_submit,
    .commit = ski_sqlite_commit,
    .read = ski_sqlite_read,
    .page_free = ski_sqlite_page_free,
    .find_id = ski_sqlite_find_id,
    .stream_version = ski_sqlite_stream_version,
    .streams_each = ski_sqlite_streams_each,
    .types_each = ski_sqlite_types_each,
    .value_get = ski_sqlite_value_get,
    .value_each = ski_sqlite_value_each,
    .head = sqlite_head,
    .state = sqlite_state,
    .step = sqlite_step,
    .verify = ski_sqlite_verify,
    .trim = ski_sqlite_trim,
    .compact = ski_sqlite_compact,
    .backup = ski_sqlite_backup,
};
