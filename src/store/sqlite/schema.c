// SPDX-License-Identifier: Apache-2.0
// What is in the file: README.md shows it. The header of the file says whose it is (application_id)
// and which format it has (user_version); the store's own id is in the table store.
//
// Invariants:
//   1. A file is whole or empty: all of the schema is one transaction.
//   2. A file that is not ours, or newer than we are, is not changed.
#include "store/sqlite/sqlite_store.h"

#include "base/uuid.h"

#include <stdio.h>

static const char schema[] =
    "CREATE TABLE store(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE events(position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, id BLOB NOT NULL,"
    " type TEXT NOT NULL, stream TEXT, stream_version INTEGER NOT NULL,"
    " recorded_at INTEGER NOT NULL, occurred_at INTEGER NOT NULL,"
    " schema_version INTEGER NOT NULL, priority INTEGER NOT NULL, test INTEGER NOT NULL,"
    " correlation TEXT, causation TEXT, user TEXT, role TEXT, source TEXT, tags TEXT,"
    " traceparent TEXT, metadata TEXT, data TEXT NOT NULL, crc INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX events_by_id ON events(tenant, id);"
    "CREATE UNIQUE INDEX events_by_stream ON events(tenant, stream, stream_version)"
    " WHERE stream IS NOT NULL;"
    "CREATE INDEX events_by_type ON events(tenant, type);"
    "CREATE INDEX events_by_correlation ON events(tenant, correlation)"
    " WHERE correlation IS NOT NULL;"
    "CREATE TABLE streams(tenant TEXT NOT NULL, stream TEXT NOT NULL, version INTEGER NOT NULL,"
    " position_last INTEGER NOT NULL, PRIMARY KEY(tenant, stream)) WITHOUT ROWID;"
    "CREATE TABLE types(tenant TEXT NOT NULL, type TEXT NOT NULL, count INTEGER NOT NULL,"
    " position_last INTEGER NOT NULL, PRIMARY KEY(tenant, type)) WITHOUT ROWID;"
    "CREATE TABLE erased(first INTEGER PRIMARY KEY, last INTEGER NOT NULL);"
    "CREATE TABLE named_values(name TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;";

static skald_err exec(ski_db *db, const char *sql)
{
    return ski_db_err(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

// number_of asks for one number.
static skald_err number_of(ski_db *db, const char *sql, int64_t *ret_number)
{
    sqlite3_stmt *stmt = NULL;
    int64_t number = 0;
    bool row = false;
    skald_err err = ski_db_err(db, sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL));

    if (!err) err = ski_db_row(db, stmt, &row);
    if (!err && row) number = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    if (!err) *ret_number = number;
    return err;
}

static skald_err schema_make(const ski_sqlite *store, ski_db *db)
{
    const ski_kernel *kernel = store->host->kernel;
    char numbers[96], insert[160], id_text[SKALD_UUID_TEXT + 1];
    uint8_t random[16];
    ski_uuid_maker maker = {0};
    skald_err err;

    kernel->random(kernel->context, random, sizeof(random));
    ski_uuid_seed(&maker, random);
    skald_uuid_print(ski_uuid_v7(&maker, store->host->clock->now(store->host->clock->context)),
                     id_text);
    (void)snprintf(numbers, sizeof(numbers), "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   (int)SKI_SQLITE_APPLICATION, (int)SKI_SQLITE_FORMAT);
    (void)snprintf(insert, sizeof(insert), "INSERT INTO store VALUES('id', '%s')", id_text);
    SKALD_TRY(exec(db, "PRAGMA auto_vacuum = INCREMENTAL")); // so that compaction can give back
    SKALD_TRY(exec(db, "BEGIN IMMEDIATE"));
    err = exec(db, schema);
    if (!err) err = exec(db, insert);
    if (!err) err = exec(db, numbers);
    if (!err) err = exec(db, "COMMIT");
    if (err && !sqlite3_get_autocommit(db->handle)) {
        skald_err undone = exec(db, "ROLLBACK");
        (void)undone; // closing the connection does the same
    }
    return err;
}

static skald_err schema_check(const ski_sqlite *store, ski_db *db, skald_error *reterr_error)
{
    int64_t application, format;

    SKALD_TRY(number_of(db, "PRAGMA application_id", &application));
    SKALD_TRY(number_of(db, "PRAGMA user_version", &format));
    if (application != SKI_SQLITE_APPLICATION)
        return skald_fail(reterr_error, SKALD_EINVALID,
                          "'%s' is a database of another program; give a store a file of its own",
                          store->path);
    if (format > SKI_SQLITE_FORMAT)
        return skald_fail(
            reterr_error, SKALD_EUNSUPPORTED,
            "the store '%s' has format %lld, this version reads up to %d: use a newer "
            "skald",
            store->path, (long long)format, (int)SKI_SQLITE_FORMAT);
    if (format < 1)
        return skald_fail(reterr_error, SKALD_ECORRUPT, "the store '%s' says it has format %lld",
                          store->path, (long long)format);
    return SKALD_OK;
}

skald_err ski_sqlite_schema(const ski_sqlite *store, ski_db *db, skald_error *reterr_error)
{
    int64_t tables;

    SKALD_TRY(number_of(db, "SELECT count(*) FROM sqlite_schema", &tables));
    if (tables) return schema_check(store, db, reterr_error);
    if (store->read_only)
        return skald_fail(reterr_error, SKALD_EUNAVAILABLE, "there is no store in '%s' yet",
                          store->path);
    return schema_make(store, db);
}
