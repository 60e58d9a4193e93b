// SPDX-License-Identifier: Apache-2.0
// Connections, statements, rows.
//
// Invariants:
//   1. A statement that is not being read is reset: it holds no lock and borrows nothing.
//   2. A row is taken as an event only if its checksum is right: SQLite notices a page that makes
//      no sense, not a byte that was changed in a text.
#include "store/sqlite/db.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <errno.h>

#define EVENT_COLUMNS                                                                    \
    "position, tenant, id, type, stream, stream_version, recorded_at, occurred_at,"      \
    " schema_version, priority, test, correlation, causation, user, role, source, tags," \
    " traceparent, metadata, data, crc"

static const char *const texts[SKI_SQL_COUNT] = {
    [SKI_SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SKI_SQL_BEGIN_READ] = "BEGIN",
    [SKI_SQL_COMMIT] = "COMMIT",
    [SKI_SQL_ROLLBACK] = "ROLLBACK",
    [SKI_SQL_SAVE] = "SAVEPOINT batch",
    [SKI_SQL_RELEASE] = "RELEASE batch",
    [SKI_SQL_UNDO] = "ROLLBACK TO batch",
    [SKI_SQL_EVENT_PUT] =
        "INSERT INTO events(" EVENT_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SKI_SQL_EVENT_AT] = "SELECT " EVENT_COLUMNS " FROM events WHERE position = ?",
    [SKI_SQL_EVENTS_UP] =
        "SELECT " EVENT_COLUMNS " FROM events WHERE position BETWEEN ? AND ? ORDER BY position",
    [SKI_SQL_EVENTS_DOWN] = "SELECT " EVENT_COLUMNS
                            " FROM events WHERE position BETWEEN ? AND ? ORDER BY position DESC",
    [SKI_SQL_HEAD] = "SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1",
    [SKI_SQL_RECORDED_AT] = "SELECT recorded_at FROM events WHERE position >= ?"
                            " ORDER BY position LIMIT 1",
    [SKI_SQL_ID_FIND] = "SELECT position FROM events WHERE tenant = ? AND id = ?",
    [SKI_SQL_STREAM_GET] =
        "SELECT version, position_last FROM streams WHERE tenant = ? AND stream = ?",
    [SKI_SQL_STREAM_PUT] =
        "INSERT INTO streams(tenant, stream, version, position_last) VALUES(?,?,?,?)"
        " ON CONFLICT(tenant, stream) DO UPDATE SET version = excluded.version,"
        " position_last = excluded.position_last",
    [SKI_SQL_STREAM_AT] =
        "SELECT position FROM events WHERE tenant = ? AND stream = ? AND stream_version = ?",
    [SKI_SQL_TYPE_PUT] = "INSERT INTO types(tenant, type, count, position_last) VALUES(?,?,1,?)"
                         " ON CONFLICT(tenant, type) DO UPDATE SET count = count + 1,"
                         " position_last = excluded.position_last",
    [SKI_SQL_TYPE_UP] = "SELECT position FROM events WHERE tenant = ? AND type = ?"
                        " AND position >= ? ORDER BY position LIMIT 1",
    [SKI_SQL_TYPE_DOWN] = "SELECT position FROM events WHERE tenant = ? AND type = ?"
                          " AND position <= ? ORDER BY position DESC LIMIT 1",
    [SKI_SQL_CORRELATION_UP] = "SELECT position FROM events WHERE tenant = ? AND correlation = ?"
                               " AND position >= ? ORDER BY position LIMIT 1",
    [SKI_SQL_CORRELATION_DOWN] = "SELECT position FROM events WHERE tenant = ? AND correlation = ?"
                                 " AND position <= ? ORDER BY position DESC LIMIT 1",
    [SKI_SQL_STREAMS_OF] = "SELECT stream, version, position_last FROM streams WHERE tenant = ?"
                           " AND stream >= ? ORDER BY stream",
    [SKI_SQL_STREAMS_ALL] = "SELECT stream, version, position_last, tenant FROM streams"
                            " WHERE (tenant, stream) >= (?, ?) ORDER BY tenant, stream",
    [SKI_SQL_TYPES_OF] = "SELECT type, count, position_last FROM types WHERE tenant = ?"
                         " AND type >= ? ORDER BY type",
    [SKI_SQL_TYPES_ALL] = "SELECT type, count, position_last, tenant FROM types"
                          " WHERE (tenant, type) >= (?, ?) ORDER BY tenant, type",
    [SKI_SQL_VALUE_PUT] = "INSERT OR REPLACE INTO named_values(name, bytes) VALUES(?,?)",
    [SKI_SQL_VALUE_DROP] = "DELETE FROM named_values WHERE name = ?",
    [SKI_SQL_VALUE_GET] = "SELECT bytes FROM named_values WHERE name = ?",
    [SKI_SQL_VALUES_FROM] = "SELECT name, bytes FROM named_values WHERE name >= ? ORDER BY name",
    [SKI_SQL_PAGES] = "PRAGMA page_count",
    [SKI_SQL_MARKS] = "SELECT position, tenant, stream, stream_version, recorded_at, type,"
                      " length(data) FROM events WHERE position BETWEEN ? AND ?"
                      " ORDER BY position LIMIT ?",
    [SKI_SQL_EVENT_DROP] = "DELETE FROM events WHERE position = ?",
    [SKI_SQL_TYPE_LESS] = "UPDATE types SET count = count - 1, position_last = coalesce((SELECT"
                          " max(position) FROM events WHERE tenant = ?1 AND type = ?2), 0)"
                          " WHERE tenant = ?1 AND type = ?2",
    [SKI_SQL_TYPES_CLEAN] = "DELETE FROM types WHERE count = 0",
    [SKI_SQL_STREAM_FIRST] =
        "SELECT min(stream_version) FROM events WHERE tenant = ? AND stream = ?",
    [SKI_SQL_ERASED_AT] =
        "SELECT first, last FROM erased WHERE first <= ? ORDER BY first DESC LIMIT 1",
    [SKI_SQL_ERASED_PUT] = "INSERT OR REPLACE INTO erased(first, last) VALUES(?,?)",
    [SKI_SQL_ERASED_DROP] = "DELETE FROM erased WHERE first = ?",
    [SKI_SQL_ERASED_LAST] = "SELECT last FROM erased ORDER BY first DESC LIMIT 1",
    [SKI_SQL_RECORDED_PUT] = "INSERT OR REPLACE INTO store(name, value) VALUES('recorded_last', ?)",
    [SKI_SQL_RECORDED_GET] = "SELECT value FROM store WHERE name = 'recorded_last'",
    [SKI_SQL_VACUUM] = "PRAGMA incremental_vacuum(256)",
};

skald_err ski_db_open(const char *path, int flags, ski_db **ret_db)
{
    ski_db *db = ski_alloc_zeroed(1, sizeof(*db));
    int code;

    if (!db) return SKALD_ENOMEM;
    code = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                           NULL);
    if (code == SQLITE_OK) code = sqlite3_busy_timeout(db->handle, SKI_DB_BUSY_MS);
    if (code != SQLITE_OK) {
        skald_err err = db->handle ? ski_db_err(db, code) : SKALD_ENOMEM;

        ski_db_close(db);
        return err;
    }
    *ret_db = db;
    return SKALD_OK;
}

void ski_db_close(ski_db *db)
{
    if (!db) return;
    for (int i = 0; i < SKI_SQL_COUNT; i++) (void)sqlite3_finalize(db->stmts[i]);
    (void)sqlite3_close(db->handle);
    ski_free(db);
}

bool ski_db_sync_failed(int code)
{
    return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
}

skald_err ski_db_err(const ski_db *db, int code)
{
    int system = sqlite3_system_errno(db->handle);

    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return SKALD_OK;
    case SQLITE_NOMEM: return SKALD_ENOMEM;
    case SQLITE_FULL: return SKALD_EREADONLY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return SKALD_ECORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return SKALD_EUNAVAILABLE;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return SKALD_EDENIED;
    case SQLITE_CANTOPEN: return system == EACCES || system == EPERM ? SKALD_EDENIED : SKALD_EIO;
    case SQLITE_IOERR:
        if (code == SQLITE_IOERR_NOMEM) return SKALD_ENOMEM;
        if (code == SQLITE_IOERR_CORRUPTFS) return SKALD_ECORRUPT;
        if (!ski_db_sync_failed(code) && (system == ENOSPC || system == EDQUOT))
            return SKALD_EREADONLY;
        return SKALD_EIO;
    default: return SKALD_EIO;
    }
}

skald_err ski_db_stmt(ski_db *db, ski_sql sql, sqlite3_stmt **ret_stmt)
{
    int code;

    if (!db->stmts[sql]) {
        code = sqlite3_prepare_v3(db->handle, texts[sql], -1, SQLITE_PREPARE_PERSISTENT,
                                  &db->stmts[sql], NULL);
        if (code != SQLITE_OK) return ski_db_err(db, code);
    }
    (void)sqlite3_reset(db->stmts[sql]); // what it said when it was run has been told then
    *ret_stmt = db->stmts[sql];
    return SKALD_OK;
}

skald_err ski_db_row(ski_db *db, sqlite3_stmt *stmt, bool *ret_row)
{
    int code = sqlite3_step(stmt);
    skald_err err = ski_db_err(db, code);

    if (code != SQLITE_ROW) (void)sqlite3_reset(stmt);
    if (!err) *ret_row = code == SQLITE_ROW;
    return err;
}

skald_err ski_db_end(ski_db *db, sqlite3_stmt *stmt)
{
    skald_err err = ski_db_err(db, sqlite3_step(stmt));

    (void)sqlite3_reset(stmt);
    return err;
}

skald_err ski_db_run(ski_db *db, ski_sql sql)
{
    sqlite3_stmt *stmt;

    SKALD_TRY(ski_db_stmt(db, sql, &stmt));
    return ski_db_end(db, stmt);
}

skald_err ski_db_erased(ski_db *db, uint64_t position, uint64_t *ret_first, uint64_t *ret_last)
{
    sqlite3_stmt *stmt;
    bool row;

    SKALD_TRY(ski_db_stmt(db, SKI_SQL_ERASED_AT, &stmt));
    ski_db_u64(stmt, 1, position);
    SKALD_TRY(ski_db_row(db, stmt, &row));
    *ret_first = *ret_last = 0;
    if (row && ski_db_column_u64(stmt, 1) >= position) {
        *ret_first = ski_db_column_u64(stmt, 0);
        *ret_last = ski_db_column_u64(stmt, 1);
    }
    (void)sqlite3_reset(stmt);
    return SKALD_OK;
}

skald_err ski_db_number(ski_db *db, ski_sql sql, uint64_t *ret_number)
{
    sqlite3_stmt *stmt;
    bool row;

    SKALD_TRY(ski_db_stmt(db, sql, &stmt));
    SKALD_TRY(ski_db_row(db, stmt, &row));
    *ret_number = row ? ski_db_column_u64(stmt, 0) : 0;
    (void)sqlite3_reset(stmt);
    return SKALD_OK;
}

// Binding what is borrowed takes no memory, and the places are right: none of these can fail.
void ski_db_name(sqlite3_stmt *stmt, int at, skald_str name)
{
    (void)sqlite3_bind_text(stmt, at, name.len ? name.ptr : "", (int)name.len, SQLITE_STATIC);
}

void ski_db_text(sqlite3_stmt *stmt, int at, skald_str text)
{
    if (text.len)
        ski_db_name(stmt, at, text);
    else
        (void)sqlite3_bind_null(stmt, at);
}

void ski_db_u64(sqlite3_stmt *stmt, int at, uint64_t number)
{
    (void)sqlite3_bind_int64(stmt, at, number > INT64_MAX ? INT64_MAX : (sqlite3_int64)number);
}

skald_str ski_db_column(sqlite3_stmt *stmt, int at)
{
    const char *ptr = sqlite3_column_blob(stmt, at);
    int len = sqlite3_column_bytes(stmt, at);

    return ptr && len > 0 ? (skald_str){ptr, (size_t)len} : (skald_str){0};
}

uint64_t ski_db_column_u64(sqlite3_stmt *stmt, int at)
{
    return (uint64_t)sqlite3_column_int64(stmt, at);
}

static uint32_t crc_u64(uint32_t crc, uint64_t number)
{
    uint8_t bytes[8];

    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(number >> (8 * i));
    return ski_crc32c(crc, bytes, sizeof(bytes));
}

static uint32_t crc_text(uint32_t crc, skald_str text)
{
    crc = crc_u64(crc, text.len);
    return text.len ? ski_crc32c(crc, text.ptr, text.len) : crc;
}

// event_crc is over all of a row, in the order of its columns.
static uint32_t event_crc(const skald_event *event)
{
    const uint64_t numbers[] = {event->position,
                                event->stream_version,
                                (uint64_t)event->recorded_at,
                                (uint64_t)event->occurred_at,
                                event->version,
                                (uint64_t)(int64_t)event->priority,
                                event->test};
    const skald_str rest[] = {event->tenant,         event->type,         event->stream,
                              event->correlation_id, event->causation_id, event->user,
                              event->role,           event->source,       event->tags,
                              event->traceparent,    event->metadata,     event->data};
    uint32_t crc = ski_crc32c(0, event->id.bytes, sizeof(event->id.bytes));

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        crc = crc_u64(crc, numbers[i]);
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) crc = crc_text(crc, rest[i]);
    return crc;
}

void ski_db_event_bind(sqlite3_stmt *stmt, const skald_event *event)
{
    const skald_str rest[] = {event->correlation_id, event->causation_id, event->user,
                              event->role,           event->source,       event->tags,
                              event->traceparent,    event->metadata};

    ski_db_u64(stmt, 1, event->position);
    ski_db_name(stmt, 2, event->tenant);
    (void)sqlite3_bind_blob(stmt, 3, event->id.bytes, sizeof(event->id.bytes), SQLITE_STATIC);
    ski_db_name(stmt, 4, event->type);
    ski_db_text(stmt, 5, event->stream);
    ski_db_u64(stmt, 6, event->stream_version);
    (void)sqlite3_bind_int64(stmt, 7, event->recorded_at);
    (void)sqlite3_bind_int64(stmt, 8, event->occurred_at);
    ski_db_u64(stmt, 9, event->version);
    (void)sqlite3_bind_int(stmt, 10, event->priority);
    (void)sqlite3_bind_int(stmt, 11, event->test);
    for (int i = 0; i < 8; i++) ski_db_text(stmt, 12 + i, rest[i]);
    ski_db_name(stmt, 20, event->data);
    ski_db_u64(stmt, 21, event_crc(event));
}

skald_err ski_db_event(const ski_db *db, sqlite3_stmt *stmt, skald_event *ret_event)
{
    skald_str id = ski_db_column(stmt, 2);
    skald_event event = {
        .position = ski_db_column_u64(stmt, 0),
        .tenant = ski_db_column(stmt, 1),
        .type = ski_db_column(stmt, 3),
        .stream = ski_db_column(stmt, 4),
        .stream_version = ski_db_column_u64(stmt, 5),
        .recorded_at = sqlite3_column_int64(stmt, 6),
        .occurred_at = sqlite3_column_int64(stmt, 7),
        .version = (uint32_t)sqlite3_column_int64(stmt, 8),
        .priority = (skald_priority)sqlite3_column_int(stmt, 9),
        .test = sqlite3_column_int(stmt, 10) != 0,
        .correlation_id = ski_db_column(stmt, 11),
        .causation_id = ski_db_column(stmt, 12),
        .user = ski_db_column(stmt, 13),
        .role = ski_db_column(stmt, 14),
        .source = ski_db_column(stmt, 15),
        .tags = ski_db_column(stmt, 16),
        .traceparent = ski_db_column(stmt, 17),
        .metadata = ski_db_column(stmt, 18),
        .data = ski_db_column(stmt, 19),
    };

    if (id.len == sizeof(event.id.bytes))
        for (size_t i = 0; i < id.len; i++) event.id.bytes[i] = (uint8_t)id.ptr[i];
    if (event_crc(&event) != ski_db_column_u64(stmt, 20)) {
        // A column that found no memory looks empty.
        return ski_db_err(db, sqlite3_errcode(db->handle)) == SKALD_ENOMEM ? SKALD_ENOMEM
                                                                           : SKALD_ECORRUPT;
    }
    *ret_event = event;
    return SKALD_OK;
}
