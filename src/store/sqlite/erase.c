// SPDX-License-Identifier: Apache-2.0
// Erasing: a thousand events are looked at through a snapshot, without any lock; those that are to
// go are taken out in one transaction, between groups of appends. In the end pages that became free
// are given back, a few hundred at a time.
//
// Invariants:
//   1. An erased position stands in the table erased, from the same transaction on: a position that
//      stands nowhere is damage.
//   2. Nothing is held while the store is asked what is dead.
//   3. SQLite overwrites what it deletes (secure_delete); with erase its log is emptied, too.
#include "store/sqlite/sqlite_store.h"

#include "base/alloc.h"

enum {
    chunk_events = 1024,
    mark_bytes_max = 64 + 255 + 255 + 3 * 16 + 64, // the texts of one, in an arena
    row_overhead_bytes = 300,                      // of an event beside its data
    page_bytes = 4096,
    restart_wait_ms = 20,
    restart_tries = 500,
};

typedef struct erase_mark {
    skald_store_mark mark;
    skald_str type;
    bool dead;
} erase_mark;

typedef struct erase_run {
    ski_sqlite *store;
    skald_store_compact_job *job; // NULL: everything up to a position goes
    skald_arena *arena;
    erase_mark *marks;
    size_t count;
    uint64_t from, upto; // positions still to be looked at
    uint64_t bytes, bytes_done, erased, freed;
} erase_run;

static skald_err chunk_row(erase_run *run, sqlite3_stmt *stmt)
{
    skald_str tenant = ski_db_column(stmt, 1), stream = ski_db_column(stmt, 2);
    erase_mark *mark = &run->marks[run->count];

    *mark = (erase_mark){.mark = {.position = ski_db_column_u64(stmt, 0),
                                  .stream_version = ski_db_column_u64(stmt, 3),
                                  .recorded_at = sqlite3_column_int64(stmt, 4)}};
    mark->mark.tenant = tenant.len ? skald_arena_copy(run->arena, tenant) : SKALD_STR("");
    if (stream.len) mark->mark.stream = skald_arena_copy(run->arena, stream);
    mark->type = skald_arena_copy(run->arena, ski_db_column(stmt, 5));
    if (!mark->mark.tenant.ptr || !mark->type.ptr || (stream.len && !mark->mark.stream.ptr))
        return SKALD_ENOMEM;
    run->bytes += row_overhead_bytes + ski_db_column_u64(stmt, 6);
    run->count++;
    return SKALD_OK;
}

// chunk_read takes the next events. None: count is 0.
static skald_err chunk_read(erase_run *run)
{
    sqlite3_stmt *stmt;
    bool row = true;
    skald_err err;
    ski_db *db;

    run->count = 0;
    run->bytes = 0;
    skald_arena_reset(run->arena);
    SKALD_TRY(ski_sqlite_reader(run->store, &db));
    err = ski_db_stmt(db, SKI_SQL_MARKS, &stmt);
    if (!err) {
        ski_db_u64(stmt, 1, run->from);
        ski_db_u64(stmt, 2, run->upto);
        ski_db_u64(stmt, 3, chunk_events);
    }
    while (!err && row) {
        err = ski_db_row(db, stmt, &row);
        if (!err && row) err = chunk_row(run, stmt);
    }
    ski_sqlite_reader_end(run->store, db);
    if (!err && run->count) run->from = run->marks[run->count - 1].mark.position + 1;
    return err;
}

// chunk_judge asks which are to go, and says how many.
static size_t chunk_judge(erase_run *run)
{
    size_t dead = 0;

    for (size_t i = 0; i < run->count; i++) {
        erase_mark *mark = &run->marks[i];

        mark->dead = !run->job || run->job->dead(run->job->context, &mark->mark);
        dead += mark->dead;
    }
    return dead;
}

// erased_put adds positions to the table, which are joined with those before and behind them.
static skald_err erased_put(ski_db *db, uint64_t first, uint64_t last)
{
    uint64_t near_first, near_last;
    sqlite3_stmt *stmt;

    if (first > 1) {
        SKALD_TRY(ski_db_erased(db, first - 1, &near_first, &near_last));
        if (near_last) first = near_first;
    }
    SKALD_TRY(ski_db_erased(db, last + 1, &near_first, &near_last));
    if (near_last) {
        SKALD_TRY(ski_db_stmt(db, SKI_SQL_ERASED_DROP, &stmt));
        ski_db_u64(stmt, 1, near_first);
        SKALD_TRY(ski_db_end(db, stmt));
        last = near_last;
    }
    SKALD_TRY(ski_db_stmt(db, SKI_SQL_ERASED_PUT, &stmt));
    ski_db_u64(stmt, 1, first);
    ski_db_u64(stmt, 2, last);
    return ski_db_end(db, stmt);
}

static skald_err event_drop(ski_db *db, const erase_mark *mark)
{
    sqlite3_stmt *stmt;

    SKALD_TRY(ski_db_stmt(db, SKI_SQL_EVENT_DROP, &stmt));
    ski_db_u64(stmt, 1, mark->mark.position);
    SKALD_TRY(ski_db_end(db, stmt));
    SKALD_TRY(ski_db_stmt(db, SKI_SQL_TYPE_LESS, &stmt));
    ski_db_name(stmt, 1, mark->mark.tenant);
    ski_db_name(stmt, 2, mark->type);
    return ski_db_end(db, stmt);
}

static skald_err chunk_drop(erase_run *run)
{
    ski_db *db = run->store->writer;
    sqlite3_stmt *stmt;

    SKALD_TRY(ski_db_run(db, SKI_SQL_BEGIN_WRITE));
    for (size_t i = 0; i < run->count; i++) {
        uint64_t first = run->marks[i].mark.position, last = first;

        if (!run->marks[i].dead) continue;
        SKALD_TRY(event_drop(db, &run->marks[i]));
        while (i + 1 < run->count && run->marks[i + 1].dead &&
               run->marks[i + 1].mark.position == last + 1) {
            SKALD_TRY(event_drop(db, &run->marks[++i]));
            last++;
        }
        SKALD_TRY(erased_put(db, first, last));
    }
    SKALD_TRY(ski_db_run(db, SKI_SQL_TYPES_CLEAN));
    // The newest event may be among them: the next one is still not recorded before it.
    SKALD_TRY(ski_db_stmt(db, SKI_SQL_RECORDED_PUT, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, run->store->recorded_last);
    SKALD_TRY(ski_db_end(db, stmt));
    return ski_db_run(db, SKI_SQL_COMMIT);
}

// vacuum_step gives some free pages back; *ret_freed 0: there are none.
static skald_err vacuum_step(ski_sqlite *store, uint64_t *ret_freed)
{
    uint64_t before, after;
    sqlite3_stmt *stmt;
    bool row = true;

    SKALD_TRY(ski_db_number(store->writer, SKI_SQL_PAGES, &before));
    SKALD_TRY(ski_db_stmt(store->writer, SKI_SQL_VACUUM, &stmt));
    while (row) SKALD_TRY(ski_db_row(store->writer, stmt, &row));
    SKALD_TRY(ski_db_number(store->writer, SKI_SQL_PAGES, &after));
    *ret_freed = before > after ? (before - after) * page_bytes : 0;
    return SKALD_OK;
}

// as_writer does one thing between groups of appends.
static skald_err as_writer(erase_run *run, skald_err (*work)(erase_run *run))
{
    ski_sqlite *store = run->store;
    skald_err err;

    ski_sqlite_writer_take(store);
    err = store->dead ? SKALD_EIO : work(run);
    if (err && !store->dead) ski_sqlite_writer_failed(store);
    ski_sqlite_writer_give(store);
    return err;
}

static skald_err work_vacuum(erase_run *run)
{
    return vacuum_step(run->store, &run->bytes);
}

// work_empty empties SQLite's log, if no reader is in it now.
static skald_err work_empty(erase_run *run)
{
    ski_db *db = run->store->writer;
    int code;

    (void)sqlite3_busy_timeout(db->handle, restart_wait_ms);
    code = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    (void)sqlite3_busy_timeout(db->handle, SKI_DB_BUSY_MS);
    return ski_db_err(db, code);
}

// rest waits as long as the work just done may take at the rate given.
static void rest(const erase_run *run, uint64_t bytes)
{
    static const uint64_t rest_ns_max = 1000 * 1000 * 1000; // proceed is asked once a second
    ski_mutex mutex;
    ski_cond cond;
    uint64_t ns;

    if (!run->job || !run->job->bytes_per_s) return;
    ns = (uint64_t)((double)bytes / (double)run->job->bytes_per_s * 1e9);
    ski_mutex_init(&mutex);
    ski_cond_init(&cond);
    ski_mutex_lock(&mutex);
    (void)ski_cond_wait_ns(&cond, &mutex, ns < rest_ns_max ? ns : rest_ns_max);
    ski_mutex_unlock(&mutex);
    ski_cond_fini(&cond);
    ski_mutex_fini(&mutex);
}

static bool proceed(const erase_run *run)
{
    uint64_t all = ski_sqlite_bytes(run->store);

    if (!run->job) return true;
    if (all < run->bytes_done) all = run->bytes_done;
    return run->job->proceed(run->job->context, run->bytes_done, all);
}

static skald_err run_free(erase_run *run)
{
    do {
        SKALD_TRY(as_writer(run, work_vacuum));
        run->freed += run->bytes;
        rest(run, run->bytes);
    } while (run->bytes && proceed(run));
    return SKALD_OK;
}

// run_empty: readers come and go; it is tried again until there is none for a moment.
static skald_err run_empty(erase_run *run)
{
    for (int i = 0; i < restart_tries; i++) {
        skald_err err;

        if (!proceed(run)) return SKALD_OK;
        err = as_writer(run, work_empty);
        if (err != SKALD_EUNAVAILABLE) return err;
    }
    return SKALD_EUNAVAILABLE;
}

static skald_err run_all(erase_run *run)
{
    bool more = proceed(run);

    while (more) {
        size_t dead;

        SKALD_TRY(chunk_read(run));
        if (!run->count) break;
        dead = chunk_judge(run);
        if (dead) SKALD_TRY(as_writer(run, chunk_drop));
        run->erased += dead;
        run->bytes_done += run->bytes;
        rest(run, run->bytes);
        more = proceed(run);
    }
    if (run->erased) SKALD_TRY(run_free(run));
    return run->job && run->job->erase && run->erased ? run_empty(run) : SKALD_OK;
}

static skald_err run_erase(erase_run *run, skald_error *reterr_error)
{
    skald_err err = skald_arena_new((size_t)chunk_events * mark_bytes_max * 2, &run->arena);

    run->marks = ski_alloc(chunk_events * sizeof(*run->marks));
    if (!err && !run->marks) err = SKALD_ENOMEM;
    if (!err && run->store->read_only) err = SKALD_EREADONLY;
    if (!err) err = run_all(run);
    ski_free(run->marks);
    skald_arena_free(run->arena);
    if (!err) return SKALD_OK;
    return skald_fail(reterr_error, err, "erasing from '%s': %s", run->store->path,
                      skald_err_text(err));
}

skald_err ski_sqlite_trim(void *driver, uint64_t position, uint64_t *ret_position,
                          skald_error *reterr_error)
{
    ski_sqlite *store = driver;
    uint64_t head = atomic_load(&store->head);
    erase_run run = {.store = store, .from = 1, .upto = position < head ? position : head};

    SKALD_TRY(run_erase(&run, reterr_error));
    *ret_position = run.upto + 1;
    return SKALD_OK;
}

skald_err ski_sqlite_compact(void *driver, skald_store_compact_job *job, skald_error *reterr_error)
{
    ski_sqlite *store = driver;
    erase_run run = {.store = store, .job = job, .from = 1, .upto = atomic_load(&store->head)};
    skald_err err = run_erase(&run, reterr_error);

    job->events_erased += run.erased;
    job->bytes_freed += run.freed;
    return err;
}
