// SPDX-License-Identifier: Apache-2.0
// dispatch_inline and dispatch_async: from publish to five handlers in this process, memory store;
// the peer is the seeds' pattern in Node (peers/dispatch.mjs): a uuid, a time, a history, handlers
// awaited. Async: the answer comes later, here from another thread, there from another turn.
//
// Ours publishes as a program with much to say does, many events a call; the peer has no such call.
// What one event a call costs is said on standard error.
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    subscriptions = 5,
    batch_events = 500,
    events_inline = 600000,
    events_async = 300000,
    events_single = 100000,
    rounds = 3,
    answers_max = 1 << 17, // more than can be in flight
};

// What was handed out and is to be answered by the other thread.
typedef struct answers {
    pthread_mutex_t lock;
    pthread_cond_t some;
    skald_delivery_id ids[answers_max];
    size_t count;
    bool closed;
} answers;

typedef struct receiver {
    _Atomic uint64_t taken;
    _Atomic uint64_t sum; // of what was read, so that reading is not left out
    answers *later;       // NULL: answers at once
} receiver;

static skald_outcome receive(const skald_delivery *delivery)
{
    receiver *into = delivery->context;
    const skald_event *event = delivery->event;

    atomic_fetch_add_explicit(&into->sum, event->type.len + event->stream.len,
                              memory_order_relaxed);
    if (into->later) {
        answers *later = into->later;

        (void)pthread_mutex_lock(&later->lock);
        later->ids[later->count++] = delivery->id;
        if (later->count == 1) (void)pthread_cond_signal(&later->some);
        (void)pthread_mutex_unlock(&later->lock);
        return SKALD_PENDING;
    }
    atomic_fetch_add_explicit(&into->taken, 1, memory_order_relaxed);
    return SKALD_ACK;
}

typedef struct answerer {
    skald_bus *bus;
    answers *from;
    receiver *counted; // one for all
    bool failed;
} answerer;

static void *answer(void *context)
{
    static skald_delivery_id ids[answers_max];
    answerer *with = context;
    answers *from = with->from;

    for (;;) {
        (void)pthread_mutex_lock(&from->lock);
        while (!from->count && !from->closed) (void)pthread_cond_wait(&from->some, &from->lock);
        size_t count = from->count;

        memcpy(ids, from->ids, count * sizeof *ids);
        from->count = 0;
        (void)pthread_mutex_unlock(&from->lock);
        if (!count) return NULL;
        size_t ended = 0;

        if (skald_deliveries_end(with->bus, ids, count, SKALD_ACK, 0, NULL, NULL, &ended) ||
            ended != count)
            with->failed = true;
        atomic_fetch_add_explicit(&with->counted->taken, count, memory_order_relaxed);
    }
}

static bool subscribe_all(skald_bus *bus, receiver *into)
{
    const skald_subscription_options options = {
        .handler = {.fn = receive, .context = into},
        .in_flight_max = 256,
    };
    skald_subscription made;

    for (int i = 0; i < subscriptions; i++)
        if (skald_subscribe(bus, &options, &made, NULL)) return false;
    return true;
}

// Processor time of this process, all its threads.
static double processor_s(void)
{
    struct rusage used;

    if (getrusage(RUSAGE_SELF, &used)) return 0;
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

// publish_all gives events a second, from the first publish to the last answer.
static double publish_all(skald_bus *bus, const receiver *into, uint64_t count, size_t batch)
{
    static bench_texts texts[batch_events];
    static skald_event events[batch_events];
    const skald_publish_options options = {.append.durability = SKALD_MEMORY};
    uint64_t want = atomic_load(&into->taken) + count * subscriptions;

    for (uint64_t n = 0; n < batch_events; n++) bench_event_fill(n, &texts[n], &events[n]);
    double from = bench_now_s(), processor = processor_s();

    for (uint64_t n = 0; n < count; n += batch) {
        const skald_event *some = &events[n % batch_events];

        if (skald_publish_all(bus, some, batch, &options, NULL)) return -1;
    }
    double until = bench_now_s() + 20;

    while (atomic_load(&into->taken) < want && bench_now_s() < until) (void)usleep(200);
    bench_note("%.2f us of processor time an event", (processor_s() - processor) / count * 1e6);
    return atomic_load(&into->taken) == want ? (double)count / (bench_now_s() - from) : -1;
}

static double ours_once(bool async, uint64_t count, size_t batch)
{
    static answers later;
    receiver into = {.later = async ? &later : NULL};
    answerer with = {.from = &later, .counted = &into};
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    pthread_t thread;
    double rate = -1;

    later.closed = false;
    (void)pthread_mutex_init(&later.lock, NULL);
    (void)pthread_cond_init(&later.some, NULL);
    if (skald_store_open("memory:", NULL, &store, NULL)) return -1;
    if (!skald_bus_new(store, NULL, &bus) && subscribe_all(bus, &into)) {
        with.bus = bus;
        if (async) (void)pthread_create(&thread, NULL, answer, &with);
        rate = publish_all(bus, &into, count, batch);
        (void)pthread_mutex_lock(&later.lock);
        later.closed = true;
        (void)pthread_cond_signal(&later.some);
        (void)pthread_mutex_unlock(&later.lock);
        if (async) (void)pthread_join(thread, NULL);
    }
    skald_bus_free(bus);
    skald_store_close(store);
    return with.failed ? -1 : rate;
}

// peer_once runs the peer, which prints events a second.
static double peer_once(const char *how)
{
    char command[600];
    double rate = -1;

    (void)snprintf(command, sizeof command, "node '%s/bench/peers/dispatch.mjs' %s %d",
                   bench_root(), how, subscriptions);
    FILE *out = popen(command, "r"); // style: a program's own

    if (!out) return -1;
    if (fscanf(out, "%lf", &rate) != 1) rate = -1;
    if (pclose(out) != 0) rate = -1;
    if (rate < 0) bench_note("node does not run %s", command);
    return rate;
}

static bool run(bool async, uint64_t count, bench_result *ret_result)
{
    double ours[rounds];
    double peer[rounds];

    bench_note("one event a publish: %.0f/s", ours_once(async, events_single, 1));
    for (int i = 0; i < rounds; i++) {
        ours[i] = ours_once(async, count, batch_events);
        peer[i] = peer_once(async ? "later" : "now");
        bench_note("skald %.0f/s, Node %.0f/s", ours[i], peer[i]);
        if (ours[i] < 0 || peer[i] < 0) return false;
    }
    *ret_result = (bench_result){.unit = "events/s to 5 handlers",
                                 .peer_name = "the seeds' pattern in Node",
                                 .ours = bench_median(ours, rounds),
                                 .peer = bench_median(peer, rounds)};
    return true;
}

static bool run_inline(bench_result *ret_result)
{
    return run(false, events_inline, ret_result);
}

static bool run_async(bench_result *ret_result)
{
    return run(true, events_async, ret_result);
}

extern const bench_row row_dispatch_inline, row_dispatch_async;
const bench_row row_dispatch_inline = {
    .name = "dispatch_inline",
    .what = "publish to 5 handlers, in memory; against the seeds' pattern in Node",
    .run = run_inline};
const bench_row row_dispatch_async = {
    .name = "dispatch_async",
    .what = "the same, handlers that answer later, from another thread",
    .run = run_async};
