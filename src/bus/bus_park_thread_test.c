// SPDX-License-Identifier: Apache-2.0
// Parked keys on a bus with threads: publishers, handlers, and somebody who releases, pauses,
// lists and publishes what is not kept at the same time. Made for ThreadSanitizer.
#include "bus/bus_rig.h"

enum { streams = 12, versions = 60, all = streams * versions, wait_s = 60 };

typedef struct hall {
    skald_store *store;
    skald_bus *bus;
    const ski_kernel *kernel;
    ski_mutex lock;
    ski_cond changed;
    skald_subscription made;
    uint64_t last[streams];
    bool refused[streams][versions + 1];
    uint32_t count, fleeting;
    bool done;
} hall;

// refuse_some refuses each seventh once, and is strict about the order of all others.
static skald_outcome refuse_some(const skald_delivery *delivery)
{
    hall *in = delivery->context;
    const skald_event *event = delivery->event;
    uint32_t stream = (uint32_t)(event->stream.ptr[2] - 'a');
    uint64_t version = event->stream_version;
    skald_outcome outcome = SKALD_ACK;

    ski_mutex_lock(&in->lock);
    if (version % 7 == 0 && !in->refused[stream][version]) {
        in->refused[stream][version] = true;
        outcome = SKALD_REJECT;
    } else {
        assert_int_equal(version, in->last[stream] + 1);
        in->last[stream] = version;
        in->count++;
    }
    ski_cond_broadcast(&in->changed);
    ski_mutex_unlock(&in->lock);
    return outcome;
}

static skald_outcome see_fleeting(const skald_delivery *delivery)
{
    hall *in = delivery->context;

    ski_mutex_lock(&in->lock);
    in->fleeting++;
    ski_mutex_unlock(&in->lock);
    return SKALD_ACK;
}

static void publish_run(void *argument)
{
    hall *in = argument;
    char stream[] = "s-a";

    for (int version = 0; version < versions; version++)
        for (int i = 0; i < streams; i++) {
            stream[2] = (char)('a' + i);
            skald_event event = {.type = SKALD_STR("a"), .stream = {stream, 3}};

            assert_int_equal(skald_publish(in->bus, event, NULL), SKALD_OK);
        }
}

static bool finished(hall *in)
{
    ski_mutex_lock(&in->lock);
    bool done = in->done;

    ski_mutex_unlock(&in->lock);
    return done;
}

static void keep_run(void *argument)
{
    hall *in = argument;
    const skald_aside_query query = {.parked = true};
    const skald_event fleeting = {.type = SKALD_STR("typing"), .transient = true};
    skald_arena *arena;

    assert_int_equal(skald_arena_new(16 << 20, &arena), SKALD_OK);
    while (!finished(in)) {
        const skald_subscription_state *states;
        size_t count;
        uint32_t released;

        skald_arena_reset(arena);
        assert_int_equal(skald_aside_release_all(in->bus, &query, NULL, &released, NULL), SKALD_OK);
        assert_int_equal(skald_subscription_pause(in->bus, in->made, NULL), SKALD_OK);
        assert_int_equal(skald_bus_subscriptions(in->bus, arena, &states, &count), SKALD_OK);
        assert_int_equal(skald_publish_all(in->bus, &fleeting, 1, NULL, NULL), SKALD_OK);
        assert_int_equal(skald_subscription_resume(in->bus, in->made, NULL), SKALD_OK);
    }
    skald_arena_free(arena);
}

static void hall_wait(hall *in, const uint32_t *count, uint32_t least)
{
    ski_mutex_lock(&in->lock);
    while (*count < least)
        if (!ski_cond_wait_ns(&in->changed, &in->lock, wait_s * UINT64_C(1000000000)))
            fail_msg("waited in vain: %u of %u", (unsigned)*count, (unsigned)least);
    in->done = true;
    ski_mutex_unlock(&in->lock);
}

static void parked_keys_keep_their_order_among_threads(void **state)
{
    static hall in;
    const skald_str category = SKALD_STR("s"), typing = SKALD_STR("typing");
    const skald_subscription_options options = {
        .name = "parks",
        .filter.categories = {&category, 1},
        .handler = {.fn = refuse_some, .context = &in},
        .in_flight_max = 20,
        .on_exhausted = SKALD_PARK_KEY,
    };
    const skald_subscription_options passing = {.filter.types = {&typing, 1},
                                                .handler = {.fn = see_fleeting, .context = &in}};
    skald_subscription other;
    ski_thread publisher, keeper;

    (void)state;
    ski_mutex_init(&in.lock);
    ski_cond_init(&in.changed);
    assert_int_equal(skald_store_open("memory:", NULL, &in.store, NULL), SKALD_OK);
    in.kernel = ski_store_kernel(in.store);
    assert_int_equal(skald_bus_new(in.store, NULL, &in.bus), SKALD_OK);
    assert_int_equal(skald_subscribe(in.bus, &options, &in.made, NULL), SKALD_OK);
    assert_int_equal(skald_subscribe(in.bus, &passing, &other, NULL), SKALD_OK);
    assert_int_equal(in.kernel->spawn(in.kernel->context, "publish", publish_run, &in, &publisher),
                     SKALD_OK);
    assert_int_equal(in.kernel->spawn(in.kernel->context, "keep", keep_run, &in, &keeper),
                     SKALD_OK);
    hall_wait(&in, &in.count, all);
    in.kernel->join(in.kernel->context, publisher);
    in.kernel->join(in.kernel->context, keeper);
    assert_int_equal(in.count, all);
    skald_bus_free(in.bus);
    skald_store_close(in.store);
    ski_cond_fini(&in.changed);
    ski_mutex_fini(&in.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parked_keys_keep_their_order_among_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
