// SPDX-License-Identifier: Apache-2.0
// append_limit, append_one and append_16: the store in this process, beside what the disk can do.
//
// Batched: 1,000 events an append, from eight threads, so that the next group is made while the
// disk works. The limit is group commit with nothing in it: one thread writes the same bytes behind
// each other into a file that grows, another calls fdatasync as soon as its last has ended, and
// what was written before one began is kept. A file that grows, for a log keeps what it is given.
// It is not the most that a disk can do: past the kernel's cache, in groups as large as ours, the
// same loop can keep more, and each run says how much, as it does of 128 MiB written over and over.
//
// One event at a time: the same without a store, by as many threads.
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    batch_events = 1000,
    callers = 8,
    record_bytes = 400, // about what the log keeps of one such event
    rounds = 3,
    one_events = 3000,
    page_bytes = 4096,
    chunk_bytes = 64 << 10,    // that the bare loop writes at once
    written_bytes = 128 << 20, // of the file that is written over
    ahead_bytes = 64 << 20,    // that are written and not synced, at most
};
static const double round_s = 2, bare_s = 1;

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

// append_ours gives events a second, bytes kept of each, and events a sync.
static double append_ours(double *ret_bytes, double *ret_group)
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
    *ret_group = state.syncs ? (double)events / (double)state.syncs : 0;
    skald_store_close(store);
    return failed ? -1 : (double)events / took;
}

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

// How the bare loop writes.
typedef enum bare_way {
    BARE_GROWS, // a file that grows: the peer
    BARE_PAST,  // the same, past the cache
    BARE_OVER,  // over and over a file that was written before
} bare_way;

typedef struct bare {
    int fd;
    bare_way way;
    size_t chunk; // bytes written at once
    char *bytes;
    _Atomic uint64_t written, synced; // bytes
    atomic_bool over;
    atomic_int why; // errno of what failed, of either thread; 0: nothing
} bare;

static int bare_open(const char *folder, bare_way way)
{
    int flags = O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC | (way == BARE_PAST ? O_DIRECT : 0);
    char path[600];

    if (way == BARE_OVER) return written_file(folder, written_bytes);
    (void)snprintf(path, sizeof path, "%s/bare", folder);
    return open(path, flags, 0644);
}

static void *bare_write(void *context)
{
    bare *loop = context;

    while (!loop->over && !loop->why) {
        uint64_t at = loop->written;
        ssize_t put;

        if (at - loop->synced > ahead_bytes) {
            (void)usleep(100);
            continue;
        }
        loop->bytes[0]++;
        if (loop->way == BARE_OVER) at %= written_bytes / loop->chunk * loop->chunk;
        put = pwrite(loop->fd, loop->bytes, loop->chunk, (off_t)at);
        if (put != (ssize_t)loop->chunk) loop->why = put < 0 ? errno : ENOSPC;
        loop->written += loop->chunk;
    }
    return NULL;
}

// bare_sync syncs until the time is over; bytes kept a second, negative: the disk would not.
static double bare_sync(bare *loop)
{
    double from = bench_now_s(), took = 0;
    pthread_t writer;

    loop->why = pthread_create(&writer, NULL, bare_write, loop);
    if (loop->why) return -1;
    for (; took < bare_s && !loop->why; took = bench_now_s() - from) {
        uint64_t written = loop->written;

        if (written == loop->synced) continue;
        if (fdatasync(loop->fd) != 0) loop->why = errno;
        loop->synced = written;
    }
    loop->over = true;
    (void)pthread_join(writer, NULL);
    return loop->why ? -1 : (double)loop->synced / took;
}

// append_bare gives events of so many bytes a second; negative: the disk would not, and it was said
// why. group is how many ours synced at once.
static double append_bare(double event_bytes, double group, bare_way way)
{
    const char *folder = bench_folder();
    bare loop = {.way = way, .chunk = chunk_bytes, .fd = folder ? bare_open(folder, way) : -1};
    double rate = -1;

    if (way == BARE_PAST)
        loop.chunk = (size_t)(event_bytes * group + page_bytes - 1) / page_bytes * page_bytes;
    if (loop.fd < 0)
        loop.why = errno ? errno : EIO;
    else
        loop.why = posix_memalign((void **)&loop.bytes, 2 << 20, loop.chunk);
    if (!loop.why) {
        memset(loop.bytes, 0, loop.chunk);
        rate = bare_sync(&loop) / event_bytes;
    }
    if (loop.why == EINVAL && way == BARE_PAST)
        bench_note("the bare loop: this file system has no way past the cache (O_DIRECT)");
    else if (loop.why)
        bench_note("the bare loop: %s", strerror(loop.why));
    if (loop.fd >= 0 && ftruncate(loop.fd, 0) != 0) rate = -1; // room for the next one
    if (loop.fd >= 0) (void)close(loop.fd);
    free(loop.bytes);
    return rate;
}

// limit_beside says what the disk did in other ways, where it would.
static void limit_beside(double event_bytes, double group)
{
    double past = append_bare(event_bytes, group, BARE_PAST);
    double over = append_bare(event_bytes, group, BARE_OVER);

    if (past >= 0) bench_note("beside it: past the cache %.0f/s", past);
    if (over >= 0) bench_note("beside it: the same 128 MiB over and over %.0f/s", over);
}

static bool run_limit(bench_result *ret_result)
{
    double ours[rounds];
    double peer[rounds];
    double bytes = 0;
    double group = 0;

    for (int i = 0; i < rounds; i++) {
        ours[i] = append_ours(&bytes, &group);
        if (ours[i] < 0) return false;
        peer[i] = append_bare(bytes, group, BARE_GROWS);
        if (peer[i] < 0) return false;
        bench_note("skald %.0f/s (%.0f bytes each, %.0f events a sync), bare loop %.0f/s", ours[i],
                   bytes, group, peer[i]);
        limit_beside(bytes, group);
    }
    *ret_result = (bench_result){.unit = "events/s",
                                 .peer_name = "limit: group commit of the same bytes, a file that "
                                              "grows",
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

// append_16: as many callers, each appending one event and waiting for it.
enum { many_callers = 16, many_events = 1000 };

typedef struct many_caller {
    skald_store *store; // NULL: the bare disk
    int fd;
    size_t bytes;
    uint64_t number;
    bool failed;
    double latencies_us[many_events];
} many_caller;

static bool append_or_write(const many_caller *caller, uint64_t n)
{
    char bytes[4096] = {0};
    off_t at = (off_t)((caller->number * many_events + n) * caller->bytes);
    bench_texts texts;
    skald_event event;

    if (!caller->store)
        return pwrite(caller->fd, bytes, caller->bytes, at) == (ssize_t)caller->bytes &&
               fdatasync(caller->fd) == 0;
    bench_event_fill(caller->number << 32 | n, &texts, &event);
    return skald_store_append(caller->store, &event, 1, NULL, NULL, NULL) == SKALD_OK;
}

static void *many_run(void *context)
{
    many_caller *caller = context;

    for (uint64_t n = 0; !caller->failed && n < many_events; n++) {
        double at = bench_now_s();

        caller->failed = !append_or_write(caller, n);
        caller->latencies_us[n] = (bench_now_s() - at) * 1e6;
    }
    return NULL;
}

// many_measure gives appends a second of all callers together, and says how long each took.
static double many_measure(const char *what, skald_store *store, int fd, size_t bytes)
{
    static many_caller made[many_callers];
    static double latencies_us[many_callers * many_events];
    pthread_t threads[many_callers];
    bool failed = false;
    double from = bench_now_s();

    for (int i = 0; i < many_callers; i++) {
        made[i].store = store;
        made[i].fd = fd;
        made[i].bytes = bytes;
        made[i].number = (uint64_t)i;
        made[i].failed = false;
        (void)pthread_create(&threads[i], NULL, many_run, &made[i]);
    }
    for (int i = 0; i < many_callers; i++) {
        (void)pthread_join(threads[i], NULL);
        failed = failed || made[i].failed;
        memcpy(latencies_us + (size_t)i * many_events, made[i].latencies_us,
               sizeof made[i].latencies_us);
    }
    double took = bench_now_s() - from;
    size_t count = (size_t)many_callers * many_events;
    double p50 = bench_median(latencies_us, count);
    bench_note("%s %.0f/s (p50 %.0f us, p99 %.0f us)", what, (double)count / took, p50,
               latencies_us[count / 100 * 99]);
    return failed ? -1 : (double)count / took;
}

static bool run_16(bench_result *ret_result)
{
    const char *folder = bench_folder();
    skald_store *store = folder ? open_log(folder) : NULL;
    int fd = folder ? written_file(folder, 16 << 20) : -1;
    double ours[rounds];
    double peer[rounds];
    bool done = store && fd >= 0;

    for (int i = 0; done && i < rounds; i++) {
        ours[i] = many_measure("skald", store, -1, 0);
        peer[i] = many_measure("bare", NULL, fd, record_bytes);
        done = ours[i] > 0 && peer[i] > 0;
    }
    skald_store_close(store);
    if (fd >= 0) (void)close(fd);
    if (!done) return false;
    *ret_result =
        (bench_result){.unit = "events/s",
                       .peer_name = "limit: pwrite and fdatasync of an event, by 16 threads",
                       .ours = bench_median(ours, rounds),
                       .peer = bench_median(peer, rounds)};
    return true;
}

extern const bench_row row_append_limit, row_append_one, row_append_16;
const bench_row row_append_limit = {
    .name = "append_limit",
    .what = "8 callers, batched; against the bare loop that keeps as much",
    .run = run_limit};
const bench_row row_append_one = {.name = "append_one",
                                  .what =
                                      "one caller, one event; against bare pwrite and fdatasync",
                                  .run = run_one};
const bench_row row_append_16 = {.name = "append_16",
                                 .what = "16 callers, one event each; against bare writes",
                                 .run = run_16};
