// SPDX-License-Identifier: Apache-2.0
// The writer: takes all that waits into one transaction, commits once, tells everybody. Who it is
// changes: a caller of commit writes when nobody does, so that one caller alone needs no other
// thread; what was only submitted is written by the thread "skald-sqlite".
//
// Invariants:
//   1. One group at a time, in the order of submission; done is called in that order, without the
//      lock, before the role is given up.
//   2. done says OK only after COMMIT did: SQLite has then synced its log (synchronous = FULL).
//   3. A group that failed has left nothing, and all of its batches are told so, those that only
//      rested on it too.
//   4. After a sync that failed nothing is written: what is on the device is not known any more.
#include "store/sqlite/sqlite_store.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/content.h"

#include <assert.h>
#include <string.h>

enum {
    group_bytes = 4 * 1024 * 1024, // of one transaction; a bigger batch has one of its own
    batch_overhead_bytes = 64,     // of a batch that waits, and of each of its events
    checkpoint_pages = 4096,       // in the log: it is then carried into the file

    restart_wait_ms = 20,
};
static const uint64_t retry_ns = 100 * 1000 * 1000; // an append is let through this often

// The copies of what a batch borrows, behind the item.
static char *text_keep(skald_str *text, char *at)
{
    if (!text->len) {
        if (text->ptr) text->ptr = ""; // given, and empty
        return at;
    }
    memcpy(at, text->ptr, text->len);
    text->ptr = at;
    return at + text->len;
}

static char *event_keep(skald_event *event, char *at)
{
    skald_str *texts[] = {&event->type,           &event->data,         &event->metadata,
                          &event->stream,         &event->tags,         &event->tenant,
                          &event->correlation_id, &event->causation_id, &event->user,
                          &event->role,           &event->source,       &event->traceparent};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) at = text_keep(texts[i], at);
    return at;
}

static uint64_t batch_text_bytes(const skald_store_batch *batch)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < batch->event_count; i++)
        bytes += ski_event_text_bytes(&batch->events[i]);
    for (size_t i = 0; i < batch->value_count; i++)
        bytes += batch->values[i].name.len + batch->values[i].bytes.len;
    for (size_t i = 0; i < batch->expect_count; i++)
        bytes += batch->expect[i].tenant.len + batch->expect[i].stream.len;
    return bytes;
}

static void item_fill(ski_sqlite_item *item, skald_store_batch *batch)
{
    *item = (ski_sqlite_item){
        .batch = batch,
        .events = batch->events,
        .values = batch->values,
        .expect = batch->expect,
        .bytes =
            batch_text_bytes(batch) + batch_overhead_bytes * (1 + (uint64_t)batch->event_count),
    };
}

// item_copy makes an item that borrows nothing.
static skald_err item_copy(skald_store_batch *batch, ski_sqlite_item **ret_item)
{
    size_t events_size = batch->event_count * sizeof(skald_event);
    size_t values_size = batch->value_count * sizeof(skald_store_value);
    size_t expect_size = batch->expect_count * sizeof(skald_expect);
    ski_sqlite_item *item = ski_alloc(sizeof(*item) + events_size + values_size + expect_size +
                                      batch_text_bytes(batch));
    char *at;

    if (!item) return SKALD_ENOMEM;
    item_fill(item, batch);
    skald_event *events = (skald_event *)(item + 1);
    skald_store_value *values = (skald_store_value *)((char *)events + events_size);
    skald_expect *expect = (skald_expect *)((char *)values + values_size);
    at = (char *)expect + expect_size;
    for (size_t i = 0; i < batch->event_count; i++) {
        events[i] = batch->events[i];
        at = event_keep(&events[i], at);
    }
    for (size_t i = 0; i < batch->value_count; i++) {
        values[i] = batch->values[i];
        at = text_keep(&values[i].name, at);
        at = text_keep(&values[i].bytes, at);
    }
    for (size_t i = 0; i < batch->expect_count; i++) {
        expect[i] = batch->expect[i];
        at = text_keep(&expect[i].tenant, at);
        at = text_keep(&expect[i].stream, at);
    }
    item->events = events;
    item->values = values;
    item->expect = expect;
    *ret_item = item;
    return SKALD_OK;
}

// admit puts an item in line, if there is room and writing is possible. The lock is held.
static skald_err admit(ski_sqlite *store, ski_sqlite_item *item)
{
    if (store->dead || store->read_only) return SKALD_EREADONLY;
    if (store->stopped && ski_sqlite_now_ns(store) < store->stopped_until_ns)
        return SKALD_EREADONLY;
    if (store->waiting && store->waiting_bytes + item->bytes > store->append_bytes_max)
        return SKALD_EFULL;
    if (store->last)
        store->last->next = item;
    else
        store->first = item;
    store->last = item;
    store->waiting++;
    store->waiting_bytes += item->bytes;
    return SKALD_OK;
}

skald_err ski_sqlite_submit(void *driver, skald_store_batch *batch)
{
    ski_sqlite *store = driver;
    ski_sqlite_item *item;
    skald_err err;

    SKALD_TRY(item_copy(batch, &item));
    ski_mutex_lock(&store->lock);
    err = admit(store, item);
    if (!err && !store->writing) ski_cond_signal(&store->work);
    ski_mutex_unlock(&store->lock);
    if (err) ski_free(item);
    return err;
}

skald_err ski_sqlite_commit(void *driver, skald_store_batch *batch)
{
    ski_sqlite *store = driver;
    ski_sqlite_item item;
    skald_err err;

    item_fill(&item, batch);
    item.waited = true;
    ski_mutex_lock(&store->lock);
    err = admit(store, &item);
    while (!err && !item.ended) {
        if (!store->writing)
            ski_sqlite_lead(store);
        else
            ski_cond_wait(&store->done, &store->lock);
    }
    ski_mutex_unlock(&store->lock);
    return err;
}

// group_take cuts a group off the line. The lock is held.
static ski_sqlite_item *group_take(ski_sqlite *store)
{
    ski_sqlite_item *group = store->first, *last = group;
    uint64_t bytes = group->bytes;

    while (last->next && bytes + last->next->bytes <= group_bytes) {
        last = last->next;
        bytes += last->bytes;
    }
    store->first = last->next;
    if (!store->first) store->last = NULL;
    last->next = NULL;
    return group;
}

void ski_sqlite_writer_take(ski_sqlite *store)
{
    ski_mutex_lock(&store->lock);
    while (store->writing) ski_cond_wait(&store->done, &store->lock);
    store->writing = true;
    ski_mutex_unlock(&store->lock);
}

// role_give wakes who writes next. The lock is held.
static void role_give(ski_sqlite *store)
{
    store->writing = false;
    ski_cond_broadcast(&store->done);
    if (store->first && !store->first->waited) ski_cond_signal(&store->work);
}

void ski_sqlite_writer_give(ski_sqlite *store)
{
    ski_mutex_lock(&store->lock);
    role_give(store);
    ski_mutex_unlock(&store->lock);
}

static skald_err group_fill(ski_sqlite *store, ski_sqlite_item *group, uint64_t *head,
                            skald_time *recorded_last)
{
    SKALD_TRY(ski_db_run(store->writer, SKI_SQL_BEGIN_WRITE));
    for (ski_sqlite_item *item = group; item; item = item->next)
        SKALD_TRY(ski_sqlite_batch(store, item, head, recorded_last));
    return ski_db_run(store->writer, SKI_SQL_COMMIT);
}

// writer_dies: the kernel may have dropped what was written and call it clean, so no later answer
// would mean anything.
static void writer_dies(ski_sqlite *store)
{
    const ski_kernel *kernel = store->host->kernel;

    ski_mutex_lock(&store->lock);
    store->dead = true;
    store->stopped_why = "a sync failed; start again";
    ski_mutex_unlock(&store->lock);
    kernel->stop(kernel->context, "the store: a sync failed");
}

void ski_sqlite_writer_failed(ski_sqlite *store)
{
    ski_db *db = store->writer;
    int code = sqlite3_extended_errcode(db->handle);

    if (!sqlite3_get_autocommit(db->handle) && ski_db_run(db, SKI_SQL_ROLLBACK))
        ski_log_line(store->host->log, SKALD_ERROR, "a transaction could not be taken back", NULL);
    if (ski_db_sync_failed(code)) writer_dies(store);
}

// group_write commits a group, or nothing of it.
static skald_err group_write(ski_sqlite *store, ski_sqlite_item *group, uint64_t *ret_took_ns)
{
    uint64_t head = atomic_load(&store->head), from_ns = ski_sqlite_now_ns(store);
    skald_time recorded_last = store->recorded_last;
    skald_err err = store->dead ? SKALD_EIO : SKALD_OK;

    if (err) return err;
    err = group_fill(store, group, &head, &recorded_last);
    *ret_took_ns = ski_sqlite_now_ns(store) - from_ns;
    if (!err) {
        store->recorded_last = recorded_last;
        atomic_store(&store->head, head);
        return SKALD_OK;
    }
    ski_sqlite_writer_failed(store);
    return err;
}

// writer_checkpoint carries SQLite's log into the file, after everybody has an answer. A reader may
// keep a part of it in use; if that goes on, readers are waited for, for a moment.
static void writer_checkpoint(ski_sqlite *store)
{
    ski_db *db = store->writer;
    int mode = SQLITE_CHECKPOINT_PASSIVE, pages = 0, code;

    if (store->dead || store->log_pages < checkpoint_pages) return;
    if (store->log_pages >= store->log_pages_restart) {
        mode = SQLITE_CHECKPOINT_RESTART;
        (void)sqlite3_busy_timeout(db->handle, restart_wait_ms);
    }
    code = sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, &pages, NULL);
    if (mode == SQLITE_CHECKPOINT_RESTART) {
        (void)sqlite3_busy_timeout(db->handle, SKI_DB_BUSY_MS);
        store->log_pages_restart = code == SQLITE_BUSY ? pages * 2 : SKI_SQLITE_RESTART_PAGES;
    }
    store->log_pages = 0; // until the next commit says how many there are
    if (ski_db_sync_failed(code)) writer_dies(store);
}

// writer_bytes is what the files have.
static uint64_t writer_bytes(ski_sqlite *store)
{
    static const uint64_t page_bytes = 4096;
    uint64_t pages = 0;
    sqlite3_stmt *stmt;
    bool row = false;

    if (ski_db_stmt(store->writer, SKI_SQL_PAGES, &stmt)) return 0;
    if (ski_db_row(store->writer, stmt, &row) == SKALD_OK && row)
        pages = ski_db_column_u64(stmt, 0);
    (void)sqlite3_reset(stmt);
    return (pages + (uint64_t)store->log_pages) * page_bytes;
}

// group_tell: the items of the waiting are theirs until ended is set; the others are freed here.
static void group_tell(ski_sqlite *store, ski_sqlite_item *group, skald_err err)
{
    for (ski_sqlite_item *item = group; item; item = item->next)
        item->batch->done(item->batch, err ? err : item->told);
    if (!err) {
        uint64_t head = atomic_load(&store->head);

        if (head) store->host->advanced(store->host->context, head);
    }
}

static void group_end(ski_sqlite *store, ski_sqlite_item *group)
{
    while (group) {
        ski_sqlite_item *next = group->next;

        store->waiting--;
        store->waiting_bytes -= group->bytes;
        if (group->waited)
            group->ended = true;
        else
            ski_free(group);
        group = next;
    }
}

// writer_note keeps what the state shows. The lock is held.
static void writer_note(ski_sqlite *store, skald_err err, uint64_t took_ns, uint64_t bytes)
{
    bool was = store->stopped;

    if (!err) {
        store->syncs++;
        ski_histogram_add(&store->sync_times, took_ns);
        store->sync_ns += took_ns;
        if (bytes) store->bytes_stored = bytes;
        store->stopped = store->dead;
        if (was && !store->stopped)
            ski_log_line(store->host->log, SKALD_INFO, "appends are taken again", NULL);
        return;
    }
    if (err == SKALD_ENOMEM || err == SKALD_EUNAVAILABLE) return; // says nothing of the device
    store->stopped = true;
    store->stopped_until_ns = ski_sqlite_now_ns(store) + retry_ns;
    if (!store->dead)
        store->stopped_why = err == SKALD_EREADONLY  ? "disk full"
                             : err == SKALD_ECORRUPT ? "the file is damaged: run verify"
                                                     : "the device failed to write";
    if (!was)
        ski_log_line(store->host->log, SKALD_WARN, "appends are refused", "why", store->stopped_why,
                     NULL);
}

void ski_sqlite_lead(ski_sqlite *store)
{
    ski_sqlite_item *group;
    uint64_t took_ns = 0, bytes = 0;
    skald_err err;

    assert(!store->writing && store->first);
    group = group_take(store);
    store->writing = true;
    ski_mutex_unlock(&store->lock);
    err = group_write(store, group, &took_ns);
    group_tell(store, group, err);
    if (!err) bytes = writer_bytes(store);
    ski_mutex_lock(&store->lock);
    writer_note(store, err, took_ns, bytes);
    group_end(store, group);
    ski_cond_broadcast(&store->done);
    ski_mutex_unlock(&store->lock);
    writer_checkpoint(store);
    ski_mutex_lock(&store->lock);
    role_give(store);
}

void ski_sqlite_run(void *argument)
{
    ski_sqlite *store = argument;

    ski_mutex_lock(&store->lock);
    while (!store->closing) {
        if (!store->writing && store->first && !store->first->waited)
            ski_sqlite_lead(store);
        else
            ski_cond_wait(&store->work, &store->lock);
    }
    ski_mutex_unlock(&store->lock);
}
