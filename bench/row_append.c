// SPDX-License-Identifier: Apache-2.0
// append_durable, append_limit and append_one: the store in this process.
//
// Batched: 1,000 events an append, from two threads so that the next group is made while the disk
// works. SQLite does the same: 1,000 a transaction, WAL, synchronous FULL, indexed by stream, type
// and correlation. The limit is the bare loop: frames of the same size written to a file that was
// written before, and fdatasync as soon as the last has ended.
#include "bench.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef SKALD_HAVE_SQLITE3
#include <sqlite3.h>
#endif

enum {
    batch_events = 1000,
    batch_max = 400,
    callers = 2,
    record_bytes = 400, // what the log keeps of one such event: counted, not guessed (see
                        // stored_bytes)
    rounds = 3,
    one_events = 3000,
};
static const double round_s = 2;

typedef struct batch_appender {
    skald_store *store;
    double until;
    uint64_t events, first;
    bool failed;
} batch_appender;

static void *append_batches(void *context)
{
    batch_appender *appender = context;
    skald_event *events = calloc(batch_events, sizeof *events); // style: a program's own
    bench_texts *texts = calloc(batch_events, sizeof *texts);   // style: a program's own
    uint64_t n = appender->first;

    while (events && texts && !appender->failed && bench_now_s() < appender->until) {
        for (int i = 0; i < batch_events; i++) bench_event_fill(n++, &texts[i], &events[i]);
        if (skald_store_append(appender->store, events, batch_events, NULL, NULL, NULL))
            appender->failed = true;
        appender->events += batch_events;
    }
    free(events);
    free(texts);
    return NULL;
}

static skald_store *open_log(const char *folder)
{
    skald_store *store = NULL;
    skald_error error = {0};
    char url[600];

    (void)snprintf(url, sizeof url, "log:%s/store", folder);
    if (!skald_store_open(url, NULL, &store, &error)) return store;
    bench_note("%s", error.text);
    return NULL;
}

// append_ours gives events a second, and bytes kept of each.
static double append_ours(double *ret_bytes)
{
    const char *folder = bench_folder();
    skald_store *store = folder ? open_log(folder) : NULL;
    batch_appender appenders[callers];
    pthread_t threads[callers];
    double from = bench_now_s();
    uint64_t events = 0;
    bool failed = !store;
    skald_store_state state;

    if (!store) return -1;
    for (int i = 0; i < callers; i++) {
        appenders[i] =
            (batch_appender){.store = store, .until = from + round_s, .first = (uint64_t)i << 32};
        (void)pthread_create(&threads[i], NULL, append_batches, &appenders[i]);
    }
    for (int i = 0; i < callers; i++) {
        (void)pthread_join(threads[i], NULL);
        events += appenders[i].events;
        failed = failed || appenders[i].failed;
    }
    double took = bench_now_s() - from;
    skald_store_state_get(store, &state);
    *ret_bytes = events ? (double)state.bytes_stored / (double)events : 0;
    skald_store_close(store);
    return failed ? -1 : (double)events / took;
}

#ifdef SKALD_HAVE_SQLITE3
static bool sql(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK) return true;
    bench_note("SQLite: %s", sqlite3_errmsg(db));
    return false;
}

static bool sqlite_batch(sqlite3 *db, sqlite3_stmt *insert, uint64_t *n)
{
    bench_texts texts;
    skald_event event;
    skald_uuid id;
    char name[24];

    if (!sql(db, "BEGIN")) return false;
    for (int i = 0; i < batch_events; i++, (*n)++) {
        bench_event_fill(*n, &texts, &event);
        int len = snprintf(name, sizeof name, "%llu", (unsigned long long)*n);
        id = skald_uuid_named((skald_uuid){{0}}, (skald_str){name, (size_t)len});
        sqlite3_bind_blob(insert, 1, id.bytes, sizeof id.bytes, SQLITE_STATIC);
        sqlite3_bind_text(insert, 2, event.stream.ptr, (int)event.stream.len, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 3, (sqlite3_int64)(*n / 1000));
        sqlite3_bind_text(insert, 4, event.type.ptr, (int)event.type.len, SQLITE_STATIC);
        sqlite3_bind_text(insert, 5, event.correlation_id.ptr, (int)event.correlation_id.len,
                          SQLITE_STATIC);
        sqlite3_bind_text(insert, 6, event.data.ptr, (int)event.data.len, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) return false;
        sqlite3_reset(insert);
    }
    return sql(db, "COMMIT");
}

static double append_sqlite(void)
{
    const char *folder = bench_folder();
    sqlite3_stmt *insert = NULL;
    sqlite3 *db = NULL;
    char path[600];
    uint64_t n = 0;
    bool done;

    if (!folder) return -1;
    (void)snprintf(path, sizeof path, "%s/peer.db", folder);
    done =
        sqlite3_open(path, &db) == SQLITE_OK &&
        sql(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;") &&
        sql(db, "CREATE TABLE event(position INTEGER PRIMARY KEY, id BLOB, stream TEXT,"
                " version INT, type TEXT,"
                " correlation TEXT, data TEXT);"
                "CREATE UNIQUE INDEX event_id ON event(id);"
                "CREATE UNIQUE INDEX event_stream ON event(stream, version);"
                "CREATE INDEX event_type ON event(type);"
                "CREATE INDEX event_correlation ON event(correlation);") &&
        sqlite3_prepare_v2(
            db,
            "INSERT INTO event(id, stream, version, type, correlation, data) VALUES(?,?,?,?,?,?)",
            -1, &insert, NULL) == SQLITE_OK;
    double from = bench_now_s();
    while (done && bench_now_s() < from + round_s) done = sqlite_batch(db, insert, &n);
    double took = bench_now_s() - from;
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return done ? (double)n / took : -1;
}

#else
static double append_sqlite(void)
{
    bench_note("built without SQLite; make bench-deps installs it, then build again");
    return -1;
}
#endif

// written_file opens a file of bytes zeros that are on the disk.
static int written_file(const char *folder, size_t bytes)
{
    static char zeros[1 << 20];
    char path[600];
    int fd;

    (void)snprintf(path, sizeof path, "%s/bare", folder);
    fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0644);
    for (size_t at = 0; fd >= 0 && at < bytes; at += sizeof zeros) {
        if (pwrite(fd, zeros, sizeof zeros, (off_t)at) != (ssize_t)sizeof zeros) return -1;
    }
    if (fd >= 0 && fsync(fd) != 0) return -1;
    return fd;
}

// append_bare is the group-commit loop with nothing in it: groups as ours has them, callers batches
// each, over and over a written file.
static double append_bare(double event_bytes)
{
    enum { file_bytes = 128 << 20 };
    const char *folder = bench_folder();
    size_t group = (size_t)(event_bytes * batch_events * callers);
    char *bytes = calloc(1, group); // style: a program's own
    int fd = folder ? written_file(folder, file_bytes) : -1;
    uint64_t events = 0;
    off_t at = 0;

    if (fd < 0 || !bytes) return -1;
    double from = bench_now_s();
    while (bench_now_s() < from + round_s) {
        if ((size_t)at + group > file_bytes) at = 0;
        bytes[0]++;
        if (pwrite(fd, bytes, group, at) != (ssize_t)group || fdatasync(fd) != 0) return -1;
        at += (off_t)group;
        events += batch_events * callers;
    }
    double took = bench_now_s() - from;
    (void)close(fd);
    free(bytes);
    return (double)events / took;
}

static bool run_durable(bench_result *ret_result)
{
    double ours[rounds];
    double peer[rounds];
    double bytes = 0;

    for (int i = 0; i < rounds; i++) {
        ours[i] = append_ours(&bytes);
        peer[i] = append_sqlite();
        bench_note("skald %.0f/s (%.0f bytes each), SQLite %.0f/s", ours[i], bytes, peer[i]);
        if (ours[i] < 0 || peer[i] < 0) return false;
    }
    *ret_result = (bench_result){.unit = "events/s",
                                 .peer_name = "SQLite WAL, synchronous FULL, 1000 a transaction",
                                 .ours = bench_median(ours, rounds),
                                 .peer = bench_median(peer, rounds)};
    return true;
}

static bool run_limit(bench_result *ret_result)
{
    double ours[rounds];
    double peer[rounds];
    double bytes = 0;

    for (int i = 0; i < rounds; i++) {
        ours[i] = append_ours(&bytes);
        peer[i] = append_bare(bytes);
        bench_note("skald %.0f/s (%.0f bytes each), bare loop %.0f/s", ours[i], bytes, peer[i]);
        if (ours[i] < 0 || peer[i] < 0) return false;
    }
    *ret_result = (bench_result){.unit = "events/s",
                                 .peer_name = "limit: pwrite and fdatasync of the same bytes",
                                 .ours = bench_median(ours, rounds),
                                 .peer = bench_median(peer, rounds)};
    return true;
}

// one_ours appends one event at a time, one_bare writes and syncs as many bytes; both give how many
// a second.
static double one_ours(skald_store *store, double *latencies_us, double *ret_bytes)
{
    skald_store_state before;
    skald_store_state after;
    bench_texts texts;
    skald_event event;
    double from = bench_now_s();

    skald_store_state_get(store, &before);
    for (uint64_t n = 0; n < one_events; n++) {
        double at = bench_now_s();
        bench_event_fill(n, &texts, &event);
        if (skald_store_append(store, &event, 1, NULL, NULL, NULL)) return -1;
        latencies_us[n] = (bench_now_s() - at) * 1e6;
    }
    double took = bench_now_s() - from;
    skald_store_state_get(store, &after);
    *ret_bytes = (double)(after.bytes_stored - before.bytes_stored) / one_events;
    return one_events / took;
}

static double one_bare(int fd, double event_bytes)
{
    char bytes[4096] = {0};
    size_t len = event_bytes < (double)sizeof bytes ? (size_t)event_bytes : sizeof bytes;
    double from = bench_now_s();

    for (uint64_t n = 0; n < one_events; n++) {
        bytes[0]++;
        if (pwrite(fd, bytes, len, (off_t)(n * len)) != (ssize_t)len || fdatasync(fd) != 0)
            return -1;
    }
    return one_events / (bench_now_s() - from);
}

static bool run_one(bench_result *ret_result)
{
    static double latencies_us[one_events];
    const char *folder = bench_folder();
    skald_store *store = folder ? open_log(folder) : NULL;
    int fd = folder ? written_file(folder, 16 << 20) : -1;
    double ours[rounds];
    double peer[rounds];
    double bytes = 0;

    if (!store || fd < 0) return false;
    for (int i = 0; i < rounds; i++) {
        ours[i] = one_ours(store, latencies_us, &bytes);
        peer[i] = one_bare(fd, bytes);
        if (ours[i] < 0 || peer[i] < 0) return false;
        double p50 = bench_median(latencies_us, one_events);
        bench_note("skald %.0f/s (p50 %.0f us, p99 %.0f us, %.0f bytes each), bare %.0f/s", ours[i],
                   p50, latencies_us[one_events / 100 * 99], bytes, peer[i]);
    }
    skald_store_close(store);
    (void)close(fd);
    *ret_result =
        (bench_result){.unit = "events/s",
                       .peer_name = "limit: pwrite and fdatasync of the same bytes, one caller",
                       .ours = bench_median(ours, rounds),
                       .peer = bench_median(peer, rounds)};
    return true;
}

extern const bench_row row_append_durable, row_append_limit, row_append_one;
const bench_row row_append_durable = {.name = "append_durable",
                                      .what = "batches of 1,000, indexed; against SQLite",
                                      .run = run_durable};
const bench_row row_append_limit = {.name = "append_limit",
                                    .what = "the same against the bare group-commit loop",
                                    .run = run_limit};
const bench_row row_append_one = {.name = "append_one",
                                  .what =
                                      "one caller, one event; against bare pwrite and fdatasync",
                                  .run = run_one};
