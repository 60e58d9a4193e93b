// SPDX-License-Identifier: Apache-2.0
// dispatch_inline and dispatch_async: from publish to five handlers in this process, memory store;
// the peer is the seeds' pattern in Node (peers/dispatch.mjs): a uuid, a time, a history, handlers
// awaited. Async: the answer comes later, here from another thread, there from another turn.
//
// Ours publishes as a program with much to say does, many events a call; the peer has no such call.
// What one event a call costs is said on standard error.
//
// What is measured is the bus, not what a program shares between its handlers: each subscription
// has a receiver of its own, one thread at a time calls it (workers_max = 1), so it adds plainly,
// as the peer's does. What is answered later goes through a ring of its own to one thread, which
// ends what it finds there with one call. The time is up when the last event was acked by all. The
// peer keeps the 1,000 newest events, ours 100,000: so many that none leaves before all have it,
// as the publisher is never further ahead than half of them (the peer awaits each publish).
#include "bench.h"

#include <pthread.h>
#include <semaphore.h>
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
    ahead_max = 50000, // events, of the slowest subscription; twice as many are kept
    in_flight = 256,
    ring_ids = 2 * in_flight, // more than are out, so it is never full
    line_bytes = 128,         // two lines of memory, which processors fetch together
};

// The thread that answers later. It sleeps while nothing is in any ring.
typedef struct answerer {
    sem_t some;
    atomic_bool sleeps;
    atomic_bool closed;
    bool failed;
    skald_bus *bus;
    struct receiver *from;
} answerer;

typedef struct receiver {
    // The handler's.
    _Alignas(line_bytes) uint64_t sum; // of what was read, so that reading is not left out
    _Atomic uint64_t taken;
    answerer *later; // NULL: answers at once
    skald_delivery_id ids[ring_ids];
    // The answerer's.
    _Alignas(line_bytes) _Atomic uint64_t answered;
} receiver;

static skald_outcome receive(const skald_delivery *delivery)
{
    receiver *into = delivery->context;
    const skald_event *event = delivery->event;
    uint64_t taken = atomic_load_explicit(&into->taken, memory_order_relaxed);

    into->sum += event->type.len + event->stream.len;
    if (!into->later) {
        atomic_store_explicit(&into->taken, taken + 1, memory_order_release);
        return SKALD_ACK;
    }
    into->ids[taken % ring_ids] = delivery->id;
    // In one order with sleeps: either this sees that it sleeps, or it sees this before it does.
    atomic_store(&into->taken, taken + 1);
    if (atomic_load(&into->later->sleeps) && atomic_exchange(&into->later->sleeps, false))
        (void)sem_post(&into->later->some);
    return SKALD_PENDING;
}

// answer_ring ends what is in one ring, up to where it begins anew. False: nothing was.
static bool answer_ring(answerer *with, receiver *from)
{
    uint64_t first = atomic_load_explicit(&from->answered, memory_order_relaxed);
    size_t count = (size_t)(atomic_load(&from->taken) - first), ended = 0;
    size_t at = first % ring_ids;

    if (count > ring_ids - at) count = ring_ids - at;
    if (!count) return false;
    if (skald_deliveries_end(with->bus, &from->ids[at], count, SKALD_ACK, 0, NULL, NULL, &ended) ||
        ended != count)
        with->failed = true;
    atomic_store_explicit(&from->answered, first + count, memory_order_release);
    return true;
}

static bool answer_all(answerer *with)
{
    bool any = false;

    for (int i = 0; i < subscriptions; i++) any |= answer_ring(with, &with->from[i]);
    return any;
}

static void *answer(void *context)
{
    answerer *with = context;

    while (!atomic_load(&with->closed)) {
        if (answer_all(with)) continue;
        atomic_store(&with->sleeps, true);
        if (!answer_all(with)) (void)sem_wait(&with->some);
        atomic_store(&with->sleeps, false);
    }
    return NULL;
}

static bool subscribe_all(skald_bus *bus, receiver *into)
{
    skald_subscription made;

    for (int i = 0; i < subscriptions; i++) {
        const skald_subscription_options options = {
            .handler = {.fn = receive, .context = &into[i]},
            .in_flight_max = in_flight,
            .workers_max = 1,
        };

        if (skald_subscribe(bus, &options, &made, NULL)) return false;
    }
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

// acked_by gives how many events a receiver is through with.
static uint64_t acked_by(receiver *into)
{
    return atomic_load_explicit(into->later ? &into->answered : &into->taken, memory_order_acquire);
}

static bool all_acked(receiver *into, uint64_t count)
{
    double until = bench_now_s() + 20;

    for (int i = 0; i < subscriptions; i++)
        while (acked_by(&into[i]) < count) {
            if (bench_now_s() > until) return false;
            (void)usleep(200);
        }
    return true;
}

// publish_all gives events a second, from the first publish to the last answer.
static double publish_all(skald_bus *bus, receiver *into, uint64_t count, size_t batch)
{
    static bench_texts texts[batch_events];
    static skald_event events[batch_events];
    const skald_publish_options options = {.append.durability = SKALD_MEMORY};

    for (uint64_t n = 0; n < batch_events; n++) bench_event_fill(n, &texts[n], &events[n]);
    double from = bench_now_s(), processor = processor_s();

    for (uint64_t n = 0; n < count; n += batch) {
        const skald_event *some = &events[n % batch_events];

        if (n > ahead_max && !all_acked(into, n - ahead_max)) return -1;
        if (skald_publish_all(bus, some, batch, &options, NULL)) return -1;
    }
    if (!all_acked(into, count)) return -1;
    double took = bench_now_s() - from;

    bench_note("%.2f us of processor time an event", (processor_s() - processor) / count * 1e6);
    return (double)count / took;
}

// read_alike: each of the receivers has read the same, which is something.
static bool read_alike(const receiver *into)
{
    for (int i = 0; i < subscriptions; i++)
        if (!into[i].sum || into[i].sum != into[0].sum) return false;
    return true;
}

static double ours_once(bool async, uint64_t count, size_t batch)
{
    answerer later = {0};
    receiver into[subscriptions] = {0};
    skald_store *store = NULL;
    pthread_t thread;
    double rate = -1;

    if (skald_store_open("memory:?events_max=100000", NULL, &store, NULL)) return -1;
    (void)sem_init(&later.some, 0, 0);
    for (int i = 0; i < subscriptions; i++) into[i].later = async ? &later : NULL;
    later.from = into;
    if (!skald_bus_new(store, NULL, &later.bus) && subscribe_all(later.bus, into)) {
        bool answers = async && !pthread_create(&thread, NULL, answer, &later);

        if (answers == async) rate = publish_all(later.bus, into, count, batch);
        atomic_store(&later.closed, true);
        (void)sem_post(&later.some);
        if (answers) (void)pthread_join(thread, NULL);
    }
    skald_bus_free(later.bus);
    skald_store_close(store);
    (void)sem_destroy(&later.some);
    return later.failed || !read_alike(into) ? -1 : rate;
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

    double single = ours_once(async, events_single, 1);

    bench_note("one event a publish: %.0f/s", single);
    if (single < 0) return false;
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
