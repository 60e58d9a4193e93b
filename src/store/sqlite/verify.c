// SPDX-License-Identifier: Apache-2.0
// Verifying: what SQLite thinks of the file, then every row in order against its checksum, then
// every table and index that is made of the events against what it would be made of now.
//
// It reads one snapshot through a connection of its own. Appends go on beside it; SQLite's log
// grows until it is over.
#include "store/sqlite/sqlite_store.h"

#include "base/str.h"

enum { reports_max = 1000, progress_rows = 4096 };

typedef struct verify_run {
    ski_sqlite *store;
    ski_db *db;
    const skald_verify_options *options;
    skald_verified verified;
    uint64_t head;
} verify_run;

static void report(verify_run *run, uint64_t first, uint64_t last, const char *why)
{
    run->verified.damaged++;
    if (!run->options->damaged || run->verified.damaged > reports_max) return;
    run->options->damaged(run->options->context, &(skald_damage){.file = run->store->path,
                                                                 .position_first = first,
                                                                 .position_last = last,
                                                                 .why = why});
}

static void progress(const verify_run *run)
{
    uint64_t all = ski_sqlite_bytes(run->store);

    if (all < run->verified.bytes) all = run->verified.bytes;
    if (run->options->progress)
        run->options->progress(run->options->context, run->verified.bytes, all);
}

// damage_or: CORRUPT is a finding; the search goes on elsewhere. Anything else ends it.
static skald_err damage_or(verify_run *run, skald_err err, const char *why)
{
    if (err != SKALD_ECORRUPT) return err;
    report(run, 0, 0, why);
    return SKALD_OK;
}

// check_file asks SQLite.
static skald_err check_file(verify_run *run)
{
    sqlite3_stmt *stmt = NULL;
    bool row;
    skald_err err =
        ski_db_err(run->db,
                   sqlite3_prepare_v2(run->db->handle, "PRAGMA integrity_check", -1, &stmt, NULL));

    while (!err) {
        err = ski_db_row(run->db, stmt, &row);
        if (err || !row) break;
        if (!skald_str_equal(ski_db_column(stmt, 0), SKALD_STR("ok")))
            report(run, 0, 0, (const char *)sqlite3_column_text(stmt, 0));
    }
    (void)sqlite3_finalize(stmt);
    return damage_or(run, err, "SQLite cannot read a page of the file");
}

// check_row takes the row that follows due - 1; *ret_end: there are no more.
static skald_err check_row(verify_run *run, sqlite3_stmt *scan, uint64_t *due, bool *ret_end)
{
    skald_event event;
    uint64_t position, first, last;
    skald_err err;
    bool row;

    SKALD_TRY(ski_db_row(run->db, scan, &row));
    position = row ? ski_db_column_u64(scan, 0) : run->head + 1;
    *ret_end = !row;
    while (*due < position) {
        SKALD_TRY(ski_db_erased(run->db, *due, &first, &last));
        if (!last) break;
        *due = last + 1;
    }
    if (*due < position) report(run, *due, position - 1, "positions are missing");
    if (*due > position) report(run, position, position, "an erased event is still there");
    *due = position + 1;
    if (!row) return SKALD_OK;
    err = ski_db_event(run->db, scan, &event);
    if (err && err != SKALD_ECORRUPT) return err;
    if (err) report(run, position, position, "the event does not have its checksum");
    run->verified.events++;
    for (int i = 0; i < sqlite3_column_count(scan); i++)
        run->verified.bytes += (uint64_t)sqlite3_column_bytes(scan, i);
    return SKALD_OK;
}

static skald_err check_events(verify_run *run)
{
    uint64_t due = 1;
    sqlite3_stmt *scan;
    bool end = false;
    skald_err err;

    SKALD_TRY(ski_db_stmt(run->db, SKI_SQL_EVENTS_UP, &scan));
    ski_db_u64(scan, 1, 1);
    ski_db_u64(scan, 2, run->head);
    while (!end) {
        err = check_row(run, scan, &due, &end);
        if (err == SKALD_ECORRUPT) {
            report(run, due, run->head, "SQLite cannot read the events from here on");
            return SKALD_OK;
        }
        if (err) return err;
        if (due % progress_rows == 0) progress(run);
    }
    return SKALD_OK;
}

// What must be nothing: each row of it is damage, at the positions it names. What was erased of a
// stream are its first events; the table of streams keeps where it stood.
static const struct {
    const char *sql, *why;
} rules[] = {
    {"SELECT min(position), max(position) FROM events WHERE stream IS NOT NULL"
     " GROUP BY tenant, stream"
     " HAVING count(*) <> max(stream_version) - min(stream_version) + 1",
     "the versions of a stream have gaps"},
    {"SELECT position, position FROM (SELECT position, stream_version, lag(stream_version) OVER"
     " (PARTITION BY tenant, stream ORDER BY position) AS before FROM events"
     " WHERE stream IS NOT NULL) WHERE stream_version <> before + 1",
     "a version does not follow the one before"},
    {"SELECT p, p FROM (SELECT tenant, stream, max(stream_version) v, max(position) p FROM events"
     " WHERE stream IS NOT NULL GROUP BY tenant, stream EXCEPT"
     " SELECT tenant, stream, version, position_last FROM streams)",
     "the table of streams does not say where a stream stands"},
    {"SELECT position_last, position_last FROM streams s WHERE NOT EXISTS(SELECT 1 FROM events"
     " WHERE position = s.position_last AND tenant = s.tenant AND stream = s.stream)"
     " AND coalesce((SELECT last FROM erased WHERE first <= s.position_last"
     " ORDER BY first DESC LIMIT 1), 0) < s.position_last",
     "the table of streams has a stream that is not there"},
    {"SELECT p, p FROM (SELECT tenant, type, count(*) c, max(position) p FROM events"
     " GROUP BY tenant, type EXCEPT SELECT tenant, type, count, position_last FROM types)",
     "the table of types does not count a type"},
    {"SELECT p, p FROM (SELECT tenant, type, count c, position_last p FROM types EXCEPT"
     " SELECT tenant, type, count(*), max(position) FROM events GROUP BY tenant, type)",
     "the table of types has a type that is not there"},
    {"SELECT a.position, a.position FROM events a JOIN events b ON b.position = a.position - 1"
     " WHERE a.recorded_at < b.recorded_at",
     "an event was recorded before the one before it"},
};

static skald_err check_rule(verify_run *run, const char *sql, const char *why)
{
    sqlite3_stmt *stmt = NULL;
    bool row;
    skald_err err = ski_db_err(run->db, sqlite3_prepare_v2(run->db->handle, sql, -1, &stmt, NULL));

    while (!err) {
        err = ski_db_row(run->db, stmt, &row);
        if (err || !row) break;
        report(run, ski_db_column_u64(stmt, 0), ski_db_column_u64(stmt, 1), why);
    }
    (void)sqlite3_finalize(stmt);
    return damage_or(run, err, why);
}

static skald_err check_all(verify_run *run)
{
    SKALD_TRY(ski_db_run(run->db, SKI_SQL_BEGIN_READ));
    SKALD_TRY(check_file(run));
    progress(run);
    SKALD_TRY(check_events(run));
    progress(run);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        SKALD_TRY(check_rule(run, rules[i].sql, rules[i].why));
    return SKALD_OK;
}

skald_err ski_sqlite_verify(void *driver, const skald_verify_options *options,
                            skald_verified *ret_verified, skald_error *reterr_error)
{
    ski_sqlite *store = driver;
    verify_run run = {.store = store, .options = options, .head = atomic_load(&store->head)};
    skald_err err = ski_sqlite_connect(store, &run.db);

    if (!err) err = check_all(&run);
    ski_db_close(run.db);
    run.verified.segments = 1;
    run.verified.position_last = run.head;
    *ret_verified = run.verified;
    if (err)
        return skald_fail(reterr_error, err, "verifying '%s': %s", store->path,
                          skald_err_text(err));
    if (!run.verified.damaged) return SKALD_OK;
    return skald_fail(reterr_error, SKALD_ECORRUPT, "'%s' is damaged in %llu places", store->path,
                      (unsigned long long)run.verified.damaged);
}
