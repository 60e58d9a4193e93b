// SPDX-License-Identifier: Apache-2.0
// Rows that set ours beside other embedded engines, on the same events: appending, reading by each
// index, opening again, size. The peer of a row is the best of its peers in this run.
//
// What reads read was stored by the same program a moment ago and lies in the page cache; but ours,
// appended 10,000 at a time, went past it, and comes from the device the first time.
// SKALD_BENCH_EVENTS says how many events; the default ends in 30 s.
#include "engine.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    rounds = 3,
    batch_events = 1000,
    writers_max = 4,
    engines = 1 + BENCH_PEERS, // ours first
    peer_name_bytes = 128,
    read_events = 100000,
    restart_events = 500000,
};
static const double append_round_s = 1.5, read_round_s = 0.7;

typedef struct writer {
    const bench_engine *engine;
    void *instance;
    atomic_uint_least64_t *next; // of all writers
    double until;
    bool failed;
} writer;

static void *write_batches(void *context)
{
    writer *w = context;

    while (!w->failed && bench_now_s() < w->until)
        w->failed =
            !w->engine->append(w->instance, atomic_fetch_add(w->next, batch_events), batch_events);
    return NULL;
}

// append_measure gives events a second, into a new store. Negative: it went wrong.
static double append_measure(const bench_engine *engine)
{
    const char *folder = bench_folder();
    void *instance = folder ? engine->open(folder) : NULL;
    writer writers[writers_max];
    pthread_t threads[writers_max];
    atomic_uint_least64_t next;
    bool failed = false;

    if (!instance) return -1;
    atomic_init(&next, 0);
    double from = bench_now_s();
    for (int i = 0; i < engine->writers; i++) {
        writers[i] = (writer){engine, instance, &next, from + append_round_s, false};
        (void)pthread_create(&threads[i], NULL, write_batches, &writers[i]);
    }
    for (int i = 0; i < engine->writers; i++) {
        (void)pthread_join(threads[i], NULL);
        failed = failed || writers[i].failed;
    }
    double took = bench_now_s() - from;
    engine->close(instance);
    bench_clean(); // a gigabyte is not kept for the next
    return failed ? -1 : (double)atomic_load(&next) / took;
}

static bool engines_all(const bench_engine *ret_engines[engines])
{
    ret_engines[0] = &bench_engine_skald;
    return bench_peers(ret_engines + 1);
}

// best_of fills the result with ours and the best peer's medians.
static void best_of(const bench_engine *const all[engines], double figures[engines][rounds],
                    int peers, const char *how, bench_result *ret_result)
{
    static char peer_name[peer_name_bytes]; // until main has printed it
    int best = 1;

    for (int e = 0; e <= peers; e++) {
        (void)bench_median(figures[e], rounds);
        bench_note("%-8s %.0f events/s", all[e]->name, figures[e][rounds / 2]);
        if (e > 1 && figures[e][rounds / 2] > figures[best][rounds / 2]) best = e;
    }
    (void)snprintf(peer_name, sizeof peer_name, "%s%s, %s",
                   peers > 1 ? "best of SQLite, LMDB, RocksDB: " : "", all[best]->name, how);
    *ret_result = (bench_result){.unit = "events/s",
                                 .peer_name = peer_name,
                                 .ours = figures[0][rounds / 2],
                                 .peer = figures[best][rounds / 2]};
}

static bool run_durable(bench_result *ret_result)
{
    const bench_engine *all[engines];
    double figures[engines][rounds];

    if (!engines_all(all)) return false;
    for (int i = 0; i < rounds; i++) {
        for (int e = 0; e < engines; e++) {
            figures[e][i] = append_measure(all[e]);
            if (figures[e][i] < 0) return false;
        }
    }
    best_of(all, figures, BENCH_PEERS, "synced, 1000 a commit", ret_result);
    return true;
}

// Reads: what one look gives is known, and held against what came.
static bool read_once(const bench_engine *engine, void *instance, bench_look look, uint64_t n,
                      uint64_t count, bench_seen *seen)
{
    const uint64_t ways[] = {[BENCH_ALL] = 1,
                             [BENCH_STREAM] = BENCH_STREAMS,
                             [BENCH_TYPE] = BENCH_TYPES,
                             [BENCH_CORRELATION] = count / BENCH_CHAIN};
    uint64_t before = seen->events, due = count / ways[look];

    if (engine->read(instance, look, n % ways[look], seen) && seen->events - before == due)
        return true;
    bench_note("%s: a read gave %llu events, %llu are there", engine->name,
               (unsigned long long)(seen->events - before), (unsigned long long)due);
    return false;
}

static double read_measure(const bench_engine *engine, void *instance, bench_look look,
                           uint64_t count)
{
    bench_seen seen = {0};
    double from = bench_now_s(), now = from;
    uint64_t n = 12345;

    while (now < from + read_round_s) {
        n = n * 6364136223846793005u + 1442695040888963407u; // any one next
        if (!read_once(engine, instance, look, n >> 33, count, &seen)) return -1;
        now = bench_now_s();
    }
    return (double)seen.events / (now - from);
}

// run_reads measures ours and the first peers.
static bool run_reads(bench_look look, int peers, bench_result *ret_result)
{
    const bench_engine *all[engines];
    void *instances[engines] = {NULL};
    double figures[engines][rounds];
    uint64_t count = bench_events(read_events);
    bool done = engines_all(all);

    for (int e = 0; done && e <= peers; e++) {
        const char *folder = bench_folder();

        instances[e] = folder ? all[e]->open(folder) : NULL;
        done = instances[e] && bench_fill(all[e], instances[e], count);
    }
    for (int i = 0; done && i < rounds; i++) {
        for (int e = 0; done && e <= peers; e++) {
            figures[e][i] = read_measure(all[e], instances[e], look, count);
            done = figures[e][i] > 0;
        }
    }
    for (int e = 0; e <= peers; e++)
        if (instances[e]) all[e]->close(instances[e]);
    if (done) best_of(all, figures, peers, "the same data and indexes", ret_result);
    return done;
}

static bool run_read_stream(bench_result *ret_result)
{
    return run_reads(BENCH_STREAM, BENCH_PEERS, ret_result);
}

static bool run_read_all(bench_result *ret_result)
{
    return run_reads(BENCH_ALL, BENCH_PEERS, ret_result);
}

static bool run_read_type(bench_result *ret_result)
{
    return run_reads(BENCH_TYPE, 1, ret_result);
}

static bool run_read_correlation(bench_result *ret_result)
{
    return run_reads(BENCH_CORRELATION, 1, ret_result);
}

// filled makes a store of count events, and closes it.
static const char *filled(const bench_engine *engine, uint64_t count, uint64_t *ret_bytes)
{
    const char *folder = bench_folder();
    void *instance = folder ? engine->open(folder) : NULL;
    bool done = instance && bench_fill(engine, instance, count);

    if (done) *ret_bytes = engine->bytes(instance, folder);
    if (instance) engine->close(instance);
    return done ? folder : NULL;
}

// restart_measure is how long it takes until the first answer, in ms.
static double restart_measure(const bench_engine *engine, const char *folder, uint64_t count)
{
    double from = bench_now_s();
    void *instance = engine->open(folder);
    bench_seen seen = {0};
    bool done = instance && read_once(engine, instance, BENCH_CORRELATION, 7, count, &seen);
    double took = bench_now_s() - from;

    if (instance) engine->close(instance);
    return done ? took * 1e3 : -1;
}

static bool run_restart(bench_result *ret_result)
{
    const bench_engine *both[2] = {&bench_engine_skald, &bench_engine_sqlite};
    uint64_t count = bench_events(restart_events), bytes;
    double figures[2][rounds];

    if (!both[1]->open) return false;
    for (int e = 0; e < 2; e++) {
        const char *folder = filled(both[e], count, &bytes);

        if (!folder) return false;
        for (int i = 0; i < rounds; i++) {
            figures[e][i] = restart_measure(both[e], folder, count);
            if (figures[e][i] < 0) return false;
        }
        (void)bench_median(figures[e], rounds);
        bench_note("%s opens %llu events and answers after %.1f ms", both[e]->name,
                   (unsigned long long)count, figures[e][rounds / 2]);
    }
    *ret_result = (bench_result){.unit = "ms",
                                 .peer_name = "SQLite, opened, to its first answer",
                                 .ours = figures[0][rounds / 2],
                                 .peer = figures[1][rounds / 2],
                                 .smaller_is_better = true};
    return true;
}

static bool run_store_bytes(bench_result *ret_result)
{
    const bench_engine *both[2] = {&bench_engine_skald, &bench_engine_sqlite};
    uint64_t count = bench_events(restart_events), bytes[2];

    if (!both[1]->open) return false;
    for (int e = 0; e < 2; e++) {
        if (!filled(both[e], count, &bytes[e])) return false;
        bench_note("%s: %.1f MB", both[e]->name, (double)bytes[e] / 1e6);
    }
    *ret_result = (bench_result){.unit = "bytes/event",
                                 .peer_name = "SQLite, indexes included, its log emptied",
                                 .ours = (double)bytes[0] / (double)count,
                                 .peer = (double)bytes[1] / (double)count,
                                 .smaller_is_better = true};
    return true;
}

extern const bench_row row_append_durable, row_read_stream, row_read_all, row_read_type,
    row_read_correlation, row_restart, row_store_bytes;
const bench_row row_append_durable = {.name = "append_durable",
                                      .what = "batches of 1,000, indexed",
                                      .run = run_durable};
const bench_row row_read_stream = {.name = "read_stream",
                                   .what = "whole streams, in order",
                                   .run = run_read_stream};
const bench_row row_read_all = {.name = "read_all",
                                .what = "all events, in order",
                                .run = run_read_all};
const bench_row row_read_type = {.name = "read_type",
                                 .what = "all events of one type of ten",
                                 .run = run_read_type};
const bench_row row_read_correlation = {.name = "read_correlation",
                                        .what = "chains of ten",
                                        .run = run_read_correlation};
const bench_row row_restart = {.name = "restart",
                               .what = "opening, to the first answer",
                               .run = run_restart};
const bench_row row_store_bytes = {.name = "store_bytes",
                                   .what = "kept of an event, with indexes",
                                   .run = run_store_bytes};
