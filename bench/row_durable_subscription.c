// SPDX-License-Identifier: Apache-2.0
// durable_subscription: a subscription with a name catches up on a log on the disk: every event is
// read, handed to a handler, acknowledged, and where it stands is written down. The peer is Redis:
// one consumer group read with XREADGROUP, 1,000 entries at a time, each acknowledged with XACK.
//
// What an acknowledgement is worth is not quite the same. XACK stands in Redis' file before it is
// answered, and is synced once a second. Ours is answered at once; where the subscription stands is
// written to the log behind that, again as soon as the write before has ended, and is synced with
// the next durable append or when the bus stops. So after a kill ours may give again what came
// during one write and one run (of 512 at most), and Redis nothing; without power ours what came
// since that sync, Redis two seconds. Both give at least once. The clock of ours runs until the
// last position is synced, that of Redis until the last answer. Ours runs within the program, Redis
// is asked over loopback, which is how each is used.
#include "bench.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#ifdef SKALD_HAVE_HIREDIS
#include <hiredis/hiredis.h>
#endif

enum { events_all = 200000, batch_events = 500, read_entries = 1000, rounds = 3 };

static bool store_fill(skald_store *store)
{
    static bench_texts texts[batch_events];
    static skald_event events[batch_events];

    for (uint64_t n = 0; n < events_all;) {
        for (int i = 0; i < batch_events; i++) bench_event_fill(n++, &texts[i], &events[i]);
        if (skald_store_append(store, events, batch_events, NULL, NULL, NULL)) return false;
    }
    return true;
}

static skald_outcome take(const skald_delivery *delivery)
{
    atomic_fetch_add_explicit((_Atomic uint64_t *)delivery->context,
                              delivery->event->type.len != 0 && delivery->event->data.len != 0,
                              memory_order_relaxed);
    return SKALD_ACK;
}

static double ours_once(void)
{
    const char *folder = bench_folder();
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    _Atomic uint64_t taken = 0;
    char url[600];
    double rate = -1;

    (void)snprintf(url, sizeof url, "log:%s/store", folder ? folder : "");
    if (!folder || skald_store_open(url, NULL, &store, NULL)) return -1;
    if (store_fill(store) && !skald_bus_new(store, NULL, &bus)) {
        const skald_subscription_options options = {.name = "bench",
                                                    .handler = {.fn = take, .context = &taken},
                                                    .in_flight_max = 1000};
        skald_subscription made;
        double from = bench_now_s(), until = from + 20;

        if (!skald_subscribe(bus, &options, &made, NULL)) {
            while (atomic_load(&taken) < events_all && bench_now_s() < until) (void)usleep(500);
            // Its last position is on the disk when stop returns.
            if (!skald_bus_stop(bus, 10000) && atomic_load(&taken) == events_all)
                rate = events_all / (bench_now_s() - from);
        }
    }
    skald_bus_free(bus);
    skald_store_close(store);
    return rate;
}

#ifdef SKALD_HAVE_HIREDIS

static bool redis_fill(redisContext *redis)
{
    char body[BENCH_EVENT_BYTES];
    redisReply *reply;

    for (uint64_t n = 0; n < events_all; n += batch_events) {
        for (uint64_t i = 0; i < batch_events; i++) {
            size_t len = bench_event_json(n + i, body);

            if (redisAppendCommand(redis, "XADD log * e %b", body, len)) return false;
        }
        for (int i = 0; i < batch_events; i++) {
            if (redisGetReply(redis, (void **)&reply)) return false;
            freeReplyObject(reply);
        }
    }
    reply = redisCommand(redis, "XGROUP CREATE log g 0");
    bool done = reply && reply->type != REDIS_REPLY_ERROR;

    freeReplyObject(reply);
    return done;
}

// ack_all acknowledges every entry of a reply in one command, as clients do; it gives how many.
static long ack_all(redisContext *redis, const redisReply *reply)
{
    static const char *arguments[read_entries + 3] = {"XACK", "log", "g"};
    static size_t lens[read_entries + 3] = {4, 3, 1};
    int count = 3;

    if (reply->type != REDIS_REPLY_ARRAY || !reply->elements) return 0;
    const redisReply *entries = reply->element[0]->element[1];

    for (size_t i = 0; i < entries->elements; i++) {
        arguments[count] = entries->element[i]->element[0]->str;
        lens[count++] = entries->element[i]->element[0]->len;
    }
    redisReply *acked = redisCommandArgv(redis, count, arguments, lens);
    long number = acked && acked->type == REDIS_REPLY_INTEGER ? (long)acked->integer : 0;

    freeReplyObject(acked);
    return number;
}

static double redis_drain(redisContext *redis)
{
    double from = bench_now_s();

    for (long taken = 0; taken < events_all;) {
        redisReply *reply =
            redisCommand(redis, "XREADGROUP GROUP g c COUNT %d STREAMS log >", (int)read_entries);
        long count = reply ? ack_all(redis, reply) : 0;

        freeReplyObject(reply);
        if (!count) return -1;
        taken += count;
    }
    return events_all / (bench_now_s() - from);
}

static double peer_once(void)
{
    const char *folder = bench_folder();
    int port = bench_free_port();
    char port_text[16];
    double rate = -1;

    (void)snprintf(port_text, sizeof port_text, "%d", port);
    const char *argv[] = {"redis-server", "--port",        port_text,  "--bind", "127.0.0.1",
                          "--dir",        folder,          "--save",   "",       "--appendonly",
                          "yes",          "--appendfsync", "everysec", NULL};
    int process = folder ? bench_start(folder, argv) : 0;

    if (process && bench_wait_port(port, 10)) {
        redisContext *redis = redisConnect("127.0.0.1", port);

        if (redis && !redis->err && redis_fill(redis)) rate = redis_drain(redis);
        redisFree(redis);
    }
    bench_stop(process);
    return rate;
}

#else

static double peer_once(void)
{
    bench_note("built without hiredis; make bench-deps installs it, then build again");
    return -1;
}

#endif

static bool run(bench_result *ret_result)
{
    double ours[rounds];
    double peer[rounds];

    for (int i = 0; i < rounds; i++) {
        ours[i] = ours_once();
        peer[i] = peer_once();
        bench_note("skald %.0f/s, Redis %.0f/s", ours[i], peer[i]);
        if (ours[i] < 0 || peer[i] < 0) return false;
    }
    *ret_result = (bench_result){.unit = "events/s",
                                 .peer_name = "Redis XREADGROUP and XACK, AOF everysec",
                                 .ours = bench_median(ours, rounds),
                                 .peer = bench_median(peer, rounds)};
    return true;
}

extern const bench_row row_durable_subscription;
const bench_row row_durable_subscription = {
    .name = "durable_subscription",
    .what = "catching up from disk, acknowledged; against Redis XREADGROUP and XACK",
    .run = run};
