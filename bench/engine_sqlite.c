// SPDX-License-Identifier: Apache-2.0
// SQLite: WAL, synchronous FULL, one transaction a batch, prepared statements, room for its cache.
#include "engine.h"

#ifdef SKALD_HAVE_SQLITE3
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { INSERT = BENCH_CORRELATION + 1, STATEMENTS }; // behind the looks

typedef struct sqlite_engine {
    sqlite3 *db;
    sqlite3_stmt *stmts[STATEMENTS];
} sqlite_engine;

static const char *const texts[STATEMENTS] = {
    [INSERT] = "INSERT INTO event(position, id, stream, version, type, correlation, occurred, data)"
               " VALUES(?,?,?,?,?,?,?,?)",
    [BENCH_ALL] = "SELECT * FROM event ORDER BY position",
    [BENCH_STREAM] = "SELECT * FROM event WHERE stream = ? ORDER BY version",
    [BENCH_TYPE] = "SELECT * FROM event WHERE type = ? ORDER BY position",
    [BENCH_CORRELATION] = "SELECT * FROM event WHERE correlation = ? ORDER BY position",
};

static bool sql(sqlite_engine *engine, const char *text)
{
    if (sqlite3_exec(engine->db, text, NULL, NULL, NULL) == SQLITE_OK) return true;
    bench_note("SQLite: %s", sqlite3_errmsg(engine->db));
    return false;
}

static void sqlite_close(void *instance)
{
    sqlite_engine *engine = instance;

    for (int i = 0; i < STATEMENTS; i++) (void)sqlite3_finalize(engine->stmts[i]);
    (void)sqlite3_close(engine->db);
    free(engine);
}

static void *sqlite_open(const char *folder)
{
    sqlite_engine *engine = calloc(1, sizeof *engine); // style: a program's own
    char path[600];
    bool done;

    (void)snprintf(path, sizeof path, "%s/peer.db", folder);
    done = engine && sqlite3_open(path, &engine->db) == SQLITE_OK &&
           sql(engine, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                       "PRAGMA cache_size=-262144; PRAGMA mmap_size=1073741824;"
                       "CREATE TABLE IF NOT EXISTS event(position INTEGER PRIMARY KEY, id BLOB,"
                       " stream TEXT, version INT, type TEXT, correlation TEXT, occurred INT,"
                       " data TEXT);"
                       "CREATE UNIQUE INDEX IF NOT EXISTS event_id ON event(id);"
                       "CREATE UNIQUE INDEX IF NOT EXISTS event_stream ON event(stream, version);"
                       "CREATE INDEX IF NOT EXISTS event_type ON event(type);"
                       "CREATE INDEX IF NOT EXISTS event_correlation ON event(correlation);");
    for (int i = 0; done && i < STATEMENTS; i++)
        done = sqlite3_prepare_v2(engine->db, texts[i], -1, &engine->stmts[i], NULL) == SQLITE_OK;
    if (done) return engine;
    if (engine) sqlite_close(engine);
    return NULL;
}

static void bind(sqlite3_stmt *stmt, int at, skald_str text)
{
    (void)sqlite3_bind_text(stmt, at, text.ptr, (int)text.len, SQLITE_STATIC);
}

static bool sqlite_append(void *instance, uint64_t first, size_t count)
{
    sqlite_engine *engine = instance;
    sqlite3_stmt *stmt = engine->stmts[INSERT];

    if (!sql(engine, "BEGIN")) return false;
    for (uint64_t n = first; n < first + count; n++) {
        skald_uuid id = bench_number_id(n);
        bench_texts event_texts;
        skald_event event;

        bench_event_fill(n, &event_texts, &event);
        (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)n + 1);
        (void)sqlite3_bind_blob(stmt, 2, id.bytes, sizeof id.bytes, SQLITE_STATIC);
        bind(stmt, 3, event.stream);
        (void)sqlite3_bind_int64(stmt, 4, (sqlite3_int64)(n / BENCH_STREAMS) + 1);
        bind(stmt, 5, event.type);
        bind(stmt, 6, event.correlation_id);
        (void)sqlite3_bind_int64(stmt, 7, (sqlite3_int64)n);
        bind(stmt, 8, event.data);
        if (sqlite3_step(stmt) != SQLITE_DONE) return false;
        (void)sqlite3_reset(stmt);
    }
    return sql(engine, "COMMIT");
}

static bool sqlite_read(void *instance, bench_look look, uint64_t n, bench_seen *seen)
{
    sqlite_engine *engine = instance;
    sqlite3_stmt *stmt = engine->stmts[look];
    bench_texts event_texts;
    int code;

    if (look != BENCH_ALL) bind(stmt, 1, bench_look_name(look, n, &event_texts));
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        // As a reader would: every column.
        for (int i = 1; i < 7; i++)
            seen->bytes += (uint64_t)(sqlite3_column_type(stmt, i) == SQLITE_INTEGER
                                          ? sqlite3_column_int64(stmt, i) & 1
                                          : sqlite3_column_bytes(stmt, i));
        const void *data = sqlite3_column_text(stmt, 7);
        bench_see(seen, data, (size_t)sqlite3_column_bytes(stmt, 7));
    }
    (void)sqlite3_reset(stmt);
    return code == SQLITE_DONE;
}

static uint64_t sqlite_bytes(void *instance, const char *folder)
{
    if (!sql(instance, "PRAGMA wal_checkpoint(TRUNCATE)")) return 0;
    return bench_folder_bytes(folder);
}

const bench_engine bench_engine_sqlite = {
    .name = "SQLite",
    .writers = 1,
    .open = sqlite_open,
    .close = sqlite_close,
    .append = sqlite_append,
    .read = sqlite_read,
    .bytes = sqlite_bytes,
};
#else
const bench_engine bench_engine_sqlite = {.name = "SQLite"};
#endif
