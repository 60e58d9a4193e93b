// SPDX-License-Identifier: Apache-2.0
// store/sqlite/db.h - one connection to the file: its statements, prepared once, and SQLite's
// errors in our words. A connection is used by one thread at a time.
#ifndef SKI_STORE_SQLITE_DB_H
#define SKI_STORE_SQLITE_DB_H

#include <skald/event.h>
#include <sqlite3.h>

enum { SKI_DB_BUSY_MS = 5000 }; // waited for another program that has the file open, as sqlite3

// Every statement there is; db.c has their texts.
typedef enum ski_sql {
    SKI_SQL_BEGIN_WRITE,
    SKI_SQL_BEGIN_READ,
    SKI_SQL_COMMIT,
    SKI_SQL_ROLLBACK,
    SKI_SQL_SAVE,
    SKI_SQL_RELEASE,
    SKI_SQL_UNDO,
    SKI_SQL_EVENT_PUT,
    SKI_SQL_EVENT_AT,
    SKI_SQL_EVENTS_UP,
    SKI_SQL_EVENTS_DOWN,
    SKI_SQL_HEAD,
    SKI_SQL_RECORDED_AT,
    SKI_SQL_ID_FIND,
    SKI_SQL_STREAM_GET,
    SKI_SQL_STREAM_PUT,
    SKI_SQL_STREAM_AT,
    SKI_SQL_TYPE_PUT,
    SKI_SQL_TYPE_UP,
    SKI_SQL_TYPE_DOWN,
    SKI_SQL_CORRELATION_UP,
    SKI_SQL_CORRELATION_DOWN,
    SKI_SQL_STREAMS_OF,
    SKI_SQL_STREAMS_ALL,
    SKI_SQL_TYPES_OF,
    SKI_SQL_TYPES_ALL,
    SKI_SQL_VALUE_PUT,
    SKI_SQL_VALUE_DROP,
    SKI_SQL_VALUE_GET,
    SKI_SQL_VALUES_FROM,
    SKI_SQL_PAGES,
    SKI_SQL_MARKS,
    SKI_SQL_EVENT_DROP,
    SKI_SQL_TYPE_LESS,
    SKI_SQL_TYPES_CLEAN,
    SKI_SQL_STREAM_FIRST,
    SKI_SQL_ERASED_AT,
    SKI_SQL_ERASED_PUT,
    SKI_SQL_ERASED_DROP,
    SKI_SQL_ERASED_LAST,
    SKI_SQL_RECORDED_PUT,
    SKI_SQL_RECORDED_GET,
    SKI_SQL_VACUUM,
    SKI_SQL_COUNT
} ski_sql;

typedef struct ski_db {
    sqlite3 *handle;
    sqlite3_stmt *stmts[SKI_SQL_COUNT]; // made when first used
    struct ski_db *next;                // of those that are free
} ski_db;

// ski_db_open opens path, a file name or with SQLITE_OPEN_URI a URI. What it says on failure has
// no text of its own: the caller knows what was tried. Fails: NOMEM, DENIED, IO.
skald_err ski_db_open(const char *path, int flags, ski_db **ret_db) SKALD_CHECK;
void ski_db_close(ski_db *db); // NULL is allowed

// ski_db_err is SQLite's result code as ours: READONLY is a full disk; UNAVAILABLE, that another
// program has the file locked.
skald_err ski_db_err(const ski_db *db, int code);
// ski_db_sync_failed: a sync was refused. What is on the device is not known any more.
bool ski_db_sync_failed(int code);

// ski_db_stmt gives a statement, reset and ready for its arguments. Fails: NOMEM, CORRUPT, IO.
skald_err ski_db_stmt(ski_db *db, ski_sql sql, sqlite3_stmt **ret_stmt) SKALD_CHECK;
// ski_db_row steps; false: there is no further row, and the statement is reset.
skald_err ski_db_row(ski_db *db, sqlite3_stmt *stmt, bool *ret_row) SKALD_CHECK;
// ski_db_end steps a statement that gives no rows, and resets it.
skald_err ski_db_end(ski_db *db, sqlite3_stmt *stmt) SKALD_CHECK;
skald_err ski_db_run(ski_db *db, ski_sql sql) SKALD_CHECK; // one without arguments

// ski_db_erased gives the erased positions around one; 0 and 0: that one is not erased.
skald_err ski_db_erased(ski_db *db, uint64_t position, uint64_t *ret_first, uint64_t *ret_last)
    SKALD_CHECK;
// ski_db_number runs a statement without arguments that gives one number, 0 for no row.
skald_err ski_db_number(ski_db *db, ski_sql sql, uint64_t *ret_number) SKALD_CHECK;

// Arguments are borrowed until the statement is reset. A text that is not given or empty is NULL in
// the file; a name is never NULL.
void ski_db_text(sqlite3_stmt *stmt, int at, skald_str text);
void ski_db_name(sqlite3_stmt *stmt, int at, skald_str name);
void ski_db_u64(sqlite3_stmt *stmt, int at, uint64_t number);
skald_str ski_db_column(sqlite3_stmt *stmt, int at); // borrowed until the next step
uint64_t ski_db_column_u64(sqlite3_stmt *stmt, int at);

// ski_db_event_bind and ski_db_event are one row of the table of events, as SKI_SQL_EVENT_PUT takes
// it and SKI_SQL_EVENT_AT, _UP and _DOWN give it. Fails: CORRUPT, its checksum is wrong; NOMEM.
void ski_db_event_bind(sqlite3_stmt *stmt, const skald_event *event);
skald_err ski_db_event(const ski_db *db, sqlite3_stmt *stmt, skald_event *ret_event) SKALD_CHECK;

#endif
