// SPDX-License-Identifier: Apache-2.0
// Small answers: one id, one stream, listings, named values. Each is one statement on a snapshot.
#include "store/sqlite/sqlite_store.h"

#include "base/str.h"
#include "store/content.h"

skald_err ski_sqlite_find_id(void *driver, skald_str tenant, skald_uuid id, uint64_t *ret_position)
{
    ski_sqlite *store = driver;
    uint64_t position = 0;
    sqlite3_stmt *stmt;
    bool row = false;
    skald_err err;
    ski_db *db;

    SKALD_TRY(ski_sqlite_reader(store, &db));
    err = ski_db_stmt(db, SKI_SQL_ID_FIND, &stmt);
    if (!err) {
        ski_db_name(stmt, 1, tenant);
        (void)sqlite3_bind_blob(stmt, 2, id.bytes, sizeof(id.bytes), SQLITE_STATIC);
        err = ski_db_row(db, stmt, &row);
    }
    if (!err && row) position = ski_db_column_u64(stmt, 0);
    ski_sqlite_reader_end(store, db);
    if (err) return err;
    // What was committed a moment ago counts when head says so.
    if (!position || position > atomic_load(&store->head)) return SKALD_ENOTFOUND;
    *ret_position = position;
    return SKALD_OK;
}

skald_err ski_sqlite_stream_version(void *driver, skald_str tenant, skald_str stream,
                                    uint64_t *ret_version)
{
    ski_sqlite *store = driver;
    uint64_t version = 0;
    sqlite3_stmt *stmt;
    bool row = false;
    skald_err err;
    ski_db *db;

    SKALD_TRY(ski_sqlite_reader(store, &db));
    err = ski_db_stmt(db, SKI_SQL_STREAM_GET, &stmt);
    if (!err) {
        ski_db_name(stmt, 1, tenant);
        ski_db_name(stmt, 2, stream);
        err = ski_db_row(db, stmt, &row);
    }
    if (!err && row) version = ski_db_column_u64(stmt, 0);
    ski_sqlite_reader_end(store, db);
    if (!err) *ret_version = version;
    return err;
}

// counted_each visits the names of a tenant that begin with prefix and come behind after, or those
// of every tenant, by tenant and name.
static skald_err counted_each(ski_sqlite *store, ski_sql of_tenant, ski_sql all, skald_str tenant,
                              skald_str prefix, const skald_counted *after,
                              bool (*visit)(void *context, const skald_counted *item),
                              void *context)
{
    skald_str from_tenant = tenant, from = prefix;
    sqlite3_stmt *stmt;
    skald_err err;
    bool row;
    ski_db *db;

    if (!tenant.ptr) from_tenant = from = SKALD_STR("");
    if (!ski_stream_behind(from_tenant, from, after)) {
        if (!tenant.ptr) from_tenant = after->tenant;
        from = after->name;
    }
    SKALD_TRY(ski_sqlite_reader(store, &db));
    err = ski_db_stmt(db, tenant.ptr ? of_tenant : all, &stmt);
    if (!err) {
        ski_db_name(stmt, 1, from_tenant);
        ski_db_name(stmt, 2, from);
    }
    while (!err) {
        skald_counted item;

        err = ski_db_row(db, stmt, &row);
        if (err || !row) break;
        item = (skald_counted){.name = ski_db_column(stmt, 0),
                               .count = ski_db_column_u64(stmt, 1),
                               .position_last = ski_db_column_u64(stmt, 2)};
        if (!tenant.ptr) {
            item.tenant = ski_db_column(stmt, 3);
            if (!item.tenant.ptr) item.tenant.ptr = ""; // the default one
        }
        if (!ski_str_begins(item.name, prefix)) {
            if (tenant.ptr) break; // they come in order
            continue;
        }
        if (!ski_stream_behind(item.tenant.ptr ? item.tenant : tenant, item.name, after)) continue;
        if (!visit(context, &item)) break;
    }
    ski_sqlite_reader_end(store, db);
    return err;
}

skald_err ski_sqlite_streams_each(void *driver, skald_str tenant, skald_str prefix,
                                  const skald_counted *after,
                                  bool (*visit)(void *context, const skald_counted *stream),
                                  void *context)
{
    return counted_each(driver, SKI_SQL_STREAMS_OF, SKI_SQL_STREAMS_ALL, tenant, prefix, after,
                        visit, context);
}

skald_err ski_sqlite_types_each(void *driver, skald_str tenant,
                                bool (*visit)(void *context, const skald_counted *type),
                                void *context)
{
    return counted_each(driver, SKI_SQL_TYPES_OF, SKI_SQL_TYPES_ALL, tenant, SKALD_STR(""), NULL,
                        visit, context);
}

skald_err ski_sqlite_value_get(void *driver, skald_str name, skald_buf *buf)
{
    ski_sqlite *store = driver;
    sqlite3_stmt *stmt;
    bool row = false;
    skald_err err;
    ski_db *db;

    SKALD_TRY(ski_sqlite_reader(store, &db));
    err = ski_db_stmt(db, SKI_SQL_VALUE_GET, &stmt);
    if (!err) {
        ski_db_name(stmt, 1, name);
        err = ski_db_row(db, stmt, &row);
    }
    if (!err) err = row ? skald_buf_put(buf, ski_db_column(stmt, 0)) : SKALD_ENOTFOUND;
    ski_sqlite_reader_end(store, db);
    return err;
}

skald_err ski_sqlite_value_each(void *driver, skald_str prefix,
                                bool (*visit)(void *context, const skald_store_value *value),
                                void *context)
{
    ski_sqlite *store = driver;
    sqlite3_stmt *stmt;
    skald_err err;
    bool row;
    ski_db *db;

    SKALD_TRY(ski_sqlite_reader(store, &db));
    err = ski_db_stmt(db, SKI_SQL_VALUES_FROM, &stmt);
    if (!err) ski_db_name(stmt, 1, prefix);
    while (!err) {
        skald_store_value value;

        err = ski_db_row(db, stmt, &row);
        if (err || !row) break;
        value = (skald_store_value){ski_db_column(stmt, 0), ski_db_column(stmt, 1)};
        if (!value.bytes.ptr) value.bytes.ptr = ""; // empty is a value
        if (!ski_str_begins(value.name, prefix) || !visit(context, &value)) break;
    }
    ski_sqlite_reader_end(store, db);
    return err;
}
