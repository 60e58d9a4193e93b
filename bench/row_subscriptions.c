// SPDX-License-Identifier: Apache-2.0
// subscriptions_1000: what a publish costs with 1,000 subscriptions, each with a filter of its own,
// beside what it costs with one. Ten kinds of filters: types, prefixes, streams, categories,
// tenants, chains, two at once. Each event concerns a few. The cost is the processor's time of the
// whole process, so that what runs beside a publish counts.
#include "bench.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { subscriptions_many = 1000, events_all = 100000, batch_events = 100, rounds = 3 };

static skald_outcome take(const skald_delivery *delivery)
{
    atomic_fetch_add_explicit((_Atomic uint64_t *)delivery->context, 1, memory_order_relaxed);
    return SKALD_ACK;
}

static double processor_s(void)
{
    struct rusage used;

    (void)getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

// subscribe_one: the first takes every tenth event; the others something of their own.
static bool subscribe_one(skald_bus *bus, int number, _Atomic uint64_t *taken)
{
    char text[64];
    int len = snprintf(text, sizeof text,
                       number % 5 == 1   ? "kind-%d.*"
                       : number % 5 == 2 ? "order-%d"
                       : number % 5 == 3 ? "chain-%d"
                                         : "kind.%d",
                       number);
    const skald_str name = {text, (size_t)len};
    const skald_str first = SKALD_STR("order.created");
    skald_subscription_options options = {.handler = {.fn = take, .context = taken}};
    skald_subscription made;

    if (number == 0)
        options.filter.types = (skald_texts){&first, 1};
    else if (number % 5 == 2)
        options.filter.streams = (skald_texts){&name, 1};
    else if (number % 5 == 3)
        options.filter.correlation_id = name;
    else if (number % 5 == 4)
        options.filter.tenant = name;
    else
        options.filter.types = (skald_texts){&name, 1};
    return !skald_subscribe(bus, &options, &made, NULL);
}

// cost_ns is of one event.
static double cost_ns(int subscriptions)
{
    static bench_texts texts[batch_events];
    static skald_event events[batch_events];
    const skald_publish_options options = {.append.durability = SKALD_MEMORY};
    _Atomic uint64_t taken = 0;
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    double cost = -1;
    bool done;

    if (skald_store_open("memory:", NULL, &store, NULL)) return -1;
    done = !skald_bus_new(store, NULL, &bus);
    for (int i = 0; i < subscriptions && done; i++) done = subscribe_one(bus, i, &taken);
    double from = processor_s();

    for (uint64_t n = 0; n < events_all && done;) {
        for (int i = 0; i < batch_events; i++) bench_event_fill(n++, &texts[i], &events[i]);
        done = !skald_publish_all(bus, events, batch_events, &options, NULL);
    }
    for (double until = bench_now_s() + 10; done && bench_now_s() < until; (void)usleep(500))
        if (atomic_load(&taken) >= events_all / 10) break;
    // Everybody has passed the end when the bus has stopped.
    done = done && atomic_load(&taken) >= events_all / 10;
    if (done) cost = (processor_s() - from) * 1e9 / events_all;
    skald_bus_free(bus);
    skald_store_close(store);
    return cost;
}

static bool run(bench_result *ret_result)
{
    double many[rounds];
    double one[rounds];

    for (int i = 0; i < rounds; i++) {
        many[i] = cost_ns(subscriptions_many);
        one[i] = cost_ns(1);
        bench_note("%d subscriptions %.0f ns, one %.0f ns", (int)subscriptions_many, many[i],
                   one[i]);
        if (many[i] < 0 || one[i] < 0) return false;
    }
    *ret_result = (bench_result){.unit = "ns of processor time an event",
                                 .peer_name = "ours with one subscription",
                                 .ours = bench_median(many, rounds),
                                 .peer = bench_median(one, rounds),
                                 .smaller_is_better = true};
    return true;
}

extern const bench_row row_subscriptions_1000;
const bench_row row_subscriptions_1000 = {
    .name = "subscriptions_1000",
    .what = "a publish with 1,000 subscriptions of distinct filters; against one",
    .run = run};
