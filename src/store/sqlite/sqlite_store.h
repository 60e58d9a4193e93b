// SPDX-License-Identifier: Apache-2.0
// store/sqlite/sqlite_store.h - what the files of the sqlite driver share: one open store.
#ifndef SKI_STORE_SQLITE_SQLITE_STORE_H
#define SKI_STORE_SQLITE_SQLITE_STORE_H

#include "base/histogram.h"
#include "os/kernel.h"
#include "os/thread.h"
#include "store/sqlite/db.h"
#include <skald/store_driver.h>
#include <stdatomic.h>

enum {
    SKI_SQLITE_FORMAT = 1,               // of the schema; a newer one is refused
    SKI_SQLITE_APPLICATION = 0x534b4c44, // "SKLD", in the header of the file
    SKI_SQLITE_READERS_MAX = 8,          // connections; whoever needs one more waits
    SKI_SQLITE_RESTART_PAGES = 16384, // of the log: then readers are waited for, to begin it anew
};

// A batch that waits to be written.
typedef struct ski_sqlite_item {
    struct ski_sqlite_item *next;
    skald_store_batch *batch;
    const skald_event *events; // the batch's, or copies behind the item, as are the next two
    const skald_store_value *values;
    const skald_expect *expect;
    uint64_t bytes;
    skald_err told;
    bool waited; // its caller waits in commit: the item and what it borrows are the caller's
    bool ended;  // done was called; only of one that is waited for
} ski_sqlite_item;

typedef struct ski_sqlite {
    const skald_store_host *host;
    char *path;          // of the file, never a name that SQLite gives a meaning to
    ski_file *lock_file; // NULL: read-only, and nobody ever wrote it
    uint64_t append_bytes_max, seed;
    bool read_only;
    bool immutable; // read-only, and nothing of it is in a log beside it: no file is made

    ski_mutex lock; // over what follows
    ski_cond work, done, reader_back;
    ski_sqlite_item *first, *last; // waiting
    uint64_t waiting, waiting_bytes;
    bool writing; // somebody has the role of the writer
    bool closing;
    bool dead;                 // a sync failed
    bool stopped;              // the last group could not be written
    uint64_t stopped_until_ns; // then one is let through again
    const char *stopped_why;
    ski_db *readers; // free ones
    unsigned reader_count;
    uint64_t syncs, sync_ns, bytes_stored;
    ski_histogram sync_times; // no lock
    ski_thread thread;

    // The writer's: of whoever has the role.
    ski_db *writer;
    skald_time recorded_last;
    int log_pages, log_pages_restart; // in SQLite's log; where a checkpoint insists

    atomic_uint_least64_t head;
} ski_sqlite;

static inline uint64_t ski_sqlite_now_ns(const ski_sqlite *store)
{
    return store->host->kernel->monotonic_ns(store->host->kernel->context);
}

// ski_sqlite_reader lends a connection with a snapshot of what is durable, ski_sqlite_reader_end
// takes it back. Waits while all are lent. Fails: NOMEM, CORRUPT, UNAVAILABLE, IO.
skald_err ski_sqlite_reader(ski_sqlite *store, ski_db **ret_db) SKALD_CHECK;
void ski_sqlite_reader_end(ski_sqlite *store, ski_db *db);
// ski_sqlite_connect makes a connection that reads.
skald_err ski_sqlite_connect(const ski_sqlite *store, ski_db **ret_db) SKALD_CHECK;

uint64_t ski_sqlite_bytes(ski_sqlite *store); // in files, as of the last commit

// ski_sqlite_hold locks the store for this process by a file beside it, which says who has it.
// Fails: HELD (the text names the process), UNAVAILABLE (read-only, and there is no store), and
// what the kernel says.
skald_err ski_sqlite_hold(ski_sqlite *store, skald_error *reterr_error) SKALD_CHECK;
void ski_sqlite_hold_end(ski_sqlite *store);
// ski_sqlite_sync_above puts the name of the file on the device. Fails: IO.
skald_err ski_sqlite_sync_above(const ski_sqlite *store) SKALD_CHECK;

// ski_sqlite_schema makes the tables of an empty file, or sees that they are ours.
skald_err ski_sqlite_schema(const ski_sqlite *store, ski_db *db, skald_error *reterr_error)
    SKALD_CHECK;

// ski_sqlite_batch looks at a batch and writes it, within a transaction; what to tell its done is
// in item->told. *head moves with what was written. Not OK: the transaction is worth nothing.
skald_err ski_sqlite_batch(ski_sqlite *store, ski_sqlite_item *item, uint64_t *head,
                           skald_time *recorded_last) SKALD_CHECK;

// ski_sqlite_lead writes one group. The lock is held, nobody has the role, something waits.
void ski_sqlite_lead(ski_sqlite *store);
void ski_sqlite_run(void *store); // the thread for what nobody waits for

// ski_sqlite_writer_take waits for the role of the writer, ski_sqlite_writer_give gives it up.
// ski_sqlite_writer_failed takes back the transaction that has just failed, and ends the process if
// it was a sync that did.
void ski_sqlite_writer_take(ski_sqlite *store);
void ski_sqlite_writer_give(ski_sqlite *store);
void ski_sqlite_writer_failed(ski_sqlite *store);

// The slots of the driver of the same names.
skald_err ski_sqlite_submit(void *driver, skald_store_batch *batch);
skald_err ski_sqlite_commit(void *driver, skald_store_batch *batch);
skald_err ski_sqlite_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                          skald_error *reterr_error);
void ski_sqlite_page_free(void *driver, skald_store_page *page);
skald_err ski_sqlite_find_id(void *driver, skald_str tenant, skald_uuid id, uint64_t *ret_position);
skald_err ski_sqlite_stream_version(void *driver, skald_str tenant, skald_str stream,
                                    uint64_t *ret_version);
skald_err ski_sqlite_streams_each(void *driver, skald_str tenant, skald_str prefix,
                                  const skald_counted *after,
                                  bool (*visit)(void *context, const skald_counted *stream),
                                  void *context);
skald_err ski_sqlite_types_each(void *driver, skald_str tenant,
                                bool (*visit)(void *context, const skald_counted *type),
                                void *context);
skald_err ski_sqlite_value_get(void *driver, skald_str name, skald_buf *buf);
skald_err ski_sqlite_value_each(void *driver, skald_str prefix,
                                bool (*visit)(void *context, const skald_store_value *value),
                                void *context);
skald_err ski_sqlite_verify(void *driver, const skald_verify_options *options,
                            skald_verified *ret_verified, skald_error *reterr_error);
skald_err ski_sqlite_trim(void *driver, uint64_t position, uint64_t *ret_position,
                          skald_error *reterr_error);
skald_err ski_sqlite_compact(void *driver, skald_store_compact_job *job, skald_error *reterr_error);
skald_err ski_sqlite_backup(void *driver, const char *directory,
                            const skald_backup_options *options, skald_backed_up *ret_backed_up,
                            skald_error *reterr_error);

#endif
