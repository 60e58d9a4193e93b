// SPDX-License-Identifier: Apache-2.0
// publish_to_handler: from the call of publish to the handler, durable, one event at a time; beside
// what the disk takes to write and sync as many bytes. Medians.
//
// Both are measured in turn, event by event and in one folder, so that whatever else keeps the disk
// busy keeps it busy for both. A handler is called when the event is synced, never before: ours
// below the disk's is a disk that was quicker for the one than for the other.
#include "bench.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { events_all = 2000, record_bytes = 400, file_bytes = 4 << 20, rounds = 3 };

typedef struct arrival {
    pthread_mutex_t lock;
    pthread_cond_t there;
    double at;
    uint64_t count;
} arrival;

static skald_outcome arrive(const skald_delivery *delivery)
{
    arrival *to = delivery->context;
    double now = bench_now_s();

    (void)pthread_mutex_lock(&to->lock);
    to->at = now;
    to->count++;
    (void)pthread_cond_signal(&to->there);
    (void)pthread_mutex_unlock(&to->lock);
    return SKALD_ACK;
}

// one_s publishes one event and gives how long it took to its handler. Negative: it failed.
static double one_s(skald_bus *bus, arrival *to, uint64_t n)
{
    bench_texts texts;
    skald_event event;

    bench_event_fill(n, &texts, &event);
    double from = bench_now_s();

    if (skald_publish(bus, event, NULL)) return -1;
    (void)pthread_mutex_lock(&to->lock);
    while (to->count <= n) (void)pthread_cond_wait(&to->there, &to->lock);
    double at = to->at;

    (void)pthread_mutex_unlock(&to->lock);
    return at - from;
}

// A file that was written once before, as a segment of ours was. Negative: it cannot be.
static int bare_open(const char *folder)
{
    static char zeros[file_bytes];
    char path[600];

    (void)snprintf(path, sizeof path, "%s/bare", folder);
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);

    if (fd < 0) return -1;
    if (pwrite(fd, zeros, sizeof zeros, 0) == (ssize_t)sizeof zeros && !fsync(fd)) return fd;
    (void)close(fd);
    return -1;
}

static double bare_s(int fd, uint64_t n)
{
    static const char record[record_bytes] = {1};
    double from = bench_now_s();

    if (pwrite(fd, record, sizeof record, (off_t)(n * sizeof record)) != (ssize_t)sizeof record)
        return -1;
    return fdatasync(fd) ? -1 : bench_now_s() - from;
}

typedef struct medians {
    double ours_us, disk_us;
} medians;

static bool in_turn(skald_bus *bus, arrival *to, int fd, medians *ret_medians)
{
    static double ours[events_all], disk[events_all];

    for (uint64_t n = 0; n < events_all; n++) {
        ours[n] = one_s(bus, to, n) * 1e6;
        disk[n] = bare_s(fd, n) * 1e6;
        if (ours[n] < 0 || disk[n] < 0) return false;
    }
    *ret_medians = (medians){bench_median(ours, events_all), bench_median(disk, events_all)};
    return true;
}

static bool measure(medians *ret_medians)
{
    arrival to = {.lock = PTHREAD_MUTEX_INITIALIZER, .there = PTHREAD_COND_INITIALIZER};
    const skald_subscription_options options = {.handler = {.fn = arrive, .context = &to}};
    const char *folder = bench_folder();
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    skald_subscription made;
    char url[600];
    bool done;

    (void)snprintf(url, sizeof url, "log:%s/store", folder ? folder : "");
    if (!folder || skald_store_open(url, NULL, &store, NULL)) return false;
    int fd = bare_open(folder);

    done = fd >= 0 && !skald_bus_new(store, NULL, &bus) &&
           !skald_subscribe(bus, &options, &made, NULL) && in_turn(bus, &to, fd, ret_medians);
    skald_bus_free(bus);
    skald_store_close(store);
    if (fd >= 0) (void)close(fd);
    return done;
}

static bool run(bench_result *ret_result)
{
    double ours[rounds];
    double disk[rounds];

    for (int i = 0; i < rounds; i++) {
        medians both;

        if (!measure(&both)) return false;
        ours[i] = both.ours_us;
        disk[i] = both.disk_us;
        bench_note("to the handler %.0f us, the disk alone %.0f us", ours[i], disk[i]);
    }
    *ret_result = (bench_result){.unit = "us, median",
                                 .peer_name = "limit: pwrite and fdatasync of as many bytes",
                                 .ours = bench_median(ours, rounds),
                                 .peer = bench_median(disk, rounds),
                                 .smaller_is_better = true};
    return true;
}

extern const bench_row row_publish_to_handler;
const bench_row row_publish_to_handler = {
    .name = "publish_to_handler",
    .what = "from publish to the handler, durable; against the disk alone",
    .run = run};
