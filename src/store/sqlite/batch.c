// SPDX-License-Identifier: Apache-2.0
// One batch, within the transaction of its group: ids, then expectations, then everything is
// written behind a savepoint, so that a batch that fails takes no other with it.
//
// Invariants:
//   1. What earlier batches of the group wrote is seen: a batch is judged as if they were stored.
//   2. A batch is written whole or not at all, and numbers are used up only by what is written.
#include "store/sqlite/sqlite_store.h"

#include "store/content.h"

static skald_err id_find(ski_db *db, const skald_event *event, uint64_t *ret_position)
{
    sqlite3_stmt *stmt;
    bool row;

    SKALD_TRY(ski_db_stmt(db, SKI_SQL_ID_FIND, &stmt));
    ski_db_name(stmt, 1, event->tenant);
    (void)sqlite3_bind_blob(stmt, 2, event->id.bytes, sizeof(event->id.bytes), SQLITE_STATIC);
    SKALD_TRY(ski_db_row(db, stmt, &row));
    *ret_position = row ? ski_db_column_u64(stmt, 0) : 0;
    (void)sqlite3_reset(stmt);
    return SKALD_OK;
}

// event_first holds an event against the one that is stored at position. The same: it is given that
// one's numbers.
static skald_err event_first(const ski_sqlite *store, uint64_t position, const skald_event *given,
                             skald_event *numbers, bool *ret_same)
{
    sqlite3_stmt *stmt;
    skald_event stored;
    skald_err err;
    bool row;

    SKALD_TRY(ski_db_stmt(store->writer, SKI_SQL_EVENT_AT, &stmt));
    ski_db_u64(stmt, 1, position);
    SKALD_TRY(ski_db_row(store->writer, stmt, &row));
    if (!row) return SKALD_ECORRUPT; // the index says it is there
    err = ski_db_event(store->writer, stmt, &stored);
    if (!err) {
        *ret_same = ski_event_content_hash(store->seed, given) ==
                    ski_event_content_hash(store->seed, &stored);
        numbers->position = stored.position;
        numbers->stream_version = stored.stream_version;
        numbers->recorded_at = stored.recorded_at;
    }
    (void)sqlite3_reset(stmt);
    return err;
}

// batch_known: are the ids of the batch stored already? EXISTS is told, it is not a failure.
static skald_err batch_known(const ski_sqlite *store, ski_sqlite_item *item)
{
    skald_store_batch *batch = item->batch;
    size_t known = 0;

    for (size_t i = 0; i < batch->event_count; i++) {
        uint64_t position;
        bool same;

        SKALD_TRY(id_find(store->writer, &item->events[i], &position));
        if (!position) continue;
        SKALD_TRY(event_first(store, position, &item->events[i], &batch->events[i], &same));
        if (!same) {
            item->told = SKALD_EEXISTS;
            return SKALD_OK;
        }
        known++;
    }
    if (known && known < batch->event_count)
        item->told = SKALD_EEXISTS;
    else
        batch->appended.repeated = known != 0;
    return SKALD_OK;
}

static skald_err stream_version(ski_db *db, skald_str tenant, skald_str stream,
                                uint64_t *ret_version)
{
    sqlite3_stmt *stmt;
    bool row;

    SKALD_TRY(ski_db_stmt(db, SKI_SQL_STREAM_GET, &stmt));
    ski_db_name(stmt, 1, tenant);
    ski_db_name(stmt, 2, stream);
    SKALD_TRY(ski_db_row(db, stmt, &row));
    *ret_version = row ? ski_db_column_u64(stmt, 0) : 0;
    (void)sqlite3_reset(stmt);
    return SKALD_OK;
}

static skald_err batch_expects(ski_db *db, ski_sqlite_item *item)
{
    skald_store_batch *batch = item->batch;

    for (size_t i = 0; i < batch->expect_count; i++) {
        const skald_expect *expect = &item->expect[i];
        uint64_t actual;

        if (expect->expected == SKALD_ANY) continue;
        SKALD_TRY(stream_version(db, expect->tenant, expect->stream, &actual));
        if (expect->expected == SKALD_NONE && !actual) continue;
        if (expect->expected == SKALD_PRESENT && actual) continue;
        if (expect->expected == SKALD_AT && actual == expect->version) continue;
        if ((unsigned)expect->expected == SKALD_STORE_AT_LEAST && actual >= expect->version)
            continue;
        batch->actual_version = actual;
        batch->conflict = i;
        item->told = SKALD_ECONFLICT;
        return SKALD_OK;
    }
    return SKALD_OK;
}

static skald_err event_put(ski_db *db, skald_event *event)
{
    sqlite3_stmt *stmt;

    event->stream_version = 0;
    if (event->stream.len) {
        uint64_t version;

        SKALD_TRY(stream_version(db, event->tenant, event->stream, &version));
        event->stream_version = version + 1;
        SKALD_TRY(ski_db_stmt(db, SKI_SQL_STREAM_PUT, &stmt));
        ski_db_name(stmt, 1, event->tenant);
        ski_db_name(stmt, 2, event->stream);
        ski_db_u64(stmt, 3, event->stream_version);
        ski_db_u64(stmt, 4, event->position);
        SKALD_TRY(ski_db_end(db, stmt));
    }
    SKALD_TRY(ski_db_stmt(db, SKI_SQL_TYPE_PUT, &stmt));
    ski_db_name(stmt, 1, event->tenant);
    ski_db_name(stmt, 2, event->type);
    ski_db_u64(stmt, 3, event->position);
    SKALD_TRY(ski_db_end(db, stmt));
    SKALD_TRY(ski_db_stmt(db, SKI_SQL_EVENT_PUT, &stmt));
    ski_db_event_bind(stmt, event);
    return ski_db_end(db, stmt);
}

static skald_err value_put(ski_db *db, const skald_store_value *value)
{
    ski_sql sql = value->bytes.ptr ? SKI_SQL_VALUE_PUT : SKI_SQL_VALUE_DROP;
    sqlite3_stmt *stmt;

    SKALD_TRY(ski_db_stmt(db, sql, &stmt));
    ski_db_name(stmt, 1, value->name);
    if (value->bytes.ptr)
        (void)sqlite3_bind_blob(stmt, 2, value->bytes.ptr, (int)value->bytes.len, SQLITE_STATIC);
    return ski_db_end(db, stmt);
}

static skald_err batch_put(ski_sqlite *store, ski_sqlite_item *item, uint64_t head, skald_time now)
{
    skald_store_batch *batch = item->batch;

    SKALD_TRY(ski_db_run(store->writer, SKI_SQL_SAVE));
    for (size_t i = 0; i < batch->event_count; i++) {
        skald_event event = item->events[i];

        event.position = head + 1 + i;
        event.recorded_at = now;
        SKALD_TRY(event_put(store->writer, &event));
        batch->events[i].position = event.position;
        batch->events[i].stream_version = event.stream_version;
        batch->events[i].recorded_at = now;
    }
    for (size_t i = 0; i < batch->value_count; i++)
        SKALD_TRY(value_put(store->writer, &item->values[i]));
    return ski_db_run(store->writer, SKI_SQL_RELEASE);
}

// batch_undo takes a batch back that found no memory; anything else is the whole group's failure.
static skald_err batch_undo(ski_sqlite *store, ski_sqlite_item *item, skald_err err)
{
    if (err != SKALD_ENOMEM || sqlite3_get_autocommit(store->writer->handle)) return err;
    SKALD_TRY(ski_db_run(store->writer, SKI_SQL_UNDO));
    SKALD_TRY(ski_db_run(store->writer, SKI_SQL_RELEASE));
    item->told = err;
    return SKALD_OK;
}

skald_err ski_sqlite_batch(ski_sqlite *store, ski_sqlite_item *item, uint64_t *head,
                           skald_time *recorded_last)
{
    const skald_clock *clock = store->host->clock;
    skald_store_batch *batch = item->batch;
    skald_time now;
    skald_err err;

    item->told = SKALD_OK;
    SKALD_TRY(batch_known(store, item));
    if (!item->told && !batch->appended.repeated) {
        SKALD_TRY(batch_expects(store->writer, item));
        if (item->told) return SKALD_OK;
        now = clock->now(clock->context);
        if (now < *recorded_last) now = *recorded_last;
        err = batch_put(store, item, *head, now);
        if (err) return batch_undo(store, item, err);
        *head += batch->event_count;
        if (batch->event_count) *recorded_last = now;
    }
    if (item->told || !batch->event_count) return SKALD_OK;
    batch->appended.position_first = batch->events[0].position;
    batch->appended.position_last = batch->events[batch->event_count - 1].position;
    batch->appended.stream_version = batch->events[batch->event_count - 1].stream_version;
    return SKALD_OK;
}
