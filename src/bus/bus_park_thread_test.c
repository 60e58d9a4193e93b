// SPDX-License-Identifier: Apache-2.0
// Parked keys on a bus with threads: publishers, handlers, and somebody who releases, pauses,
// lists and publishes what is not kept at the same time. Made for ThreadSanitizer.
#include "bus/bus_hall.h"

enum { streams = 12, versions = 60, all = streams * versions };

typedef struct parking {
    hall on;
    skald_subscription made;
    uint64_t last[streams];
    bool refused[streams][versions + 1];
    uint32_t count, fleeting;
    bool done;
} parking;

// refuse_some refuses each seventh once, and is strict about the order of all others.
static skald_outcome refuse_some(const skald_delivery *delivery)
{
    parking *in = delivery->context;
    const skald_event *event = delivery->event;
    uint32_t stream = (uint32_t)(event->stream.ptr[2] - 'a');
    uint64_t version = event->stream_version;
    skald_outcome outcome = SKALD_ACK;

    ski_mutex_lock(&in->on.lock);
    if (version % 7 == 0 && !in->refused[stream][version]) {
        in->refused[stream][version] = true;
        outcome = SKALD_REJECT;
    } else {
        assert_int_equal(version, in->last[stream] + 1);
        in->last[stream] = version;
        in->count++;
    }
    ski_cond_broadcast(&in->on.changed);
    ski_mutex_unlock(&in->on.lock);
    return outcome;
}

static skald_outcome see_fleeting(const skald_delivery *delivery)
{
    parking *in = delivery->context;

    ski_mutex_lock(&in->on.lock);
    in->fleeting++;
    ski_mutex_unlock(&in->on.lock);
    return SKALD_ACK;
}

static void publish_run(void *argument)
{
    parking *in = argument;
    char stream[] = "s-a";

    for (int version = 0; version < versions; version++)
        for (int i = 0; i < streams; i++) {
            stream[2] = (char)('a' + i);
            skald_event event = {.type = SKALD_STR("a"), .stream = {stream, 3}};

            assert_int_equal(skald_publish(in->on.bus, event, NULL), SKALD_OK);
        }
}

static bool finished(parking *in)
{
    ski_mutex_lock(&in->on.lock);
    bool done = in->done;

    ski_mutex_unlock(&in->on.lock);
    return done;
}

static void keep_run(void *argument)
{
    parking *in = argument;
    const skald_aside_query query = {.parked = true};
    const skald_event fleeting = {.type = SKALD_STR("typing"), .transient = true};
    skald_arena *arena;

    assert_int_equal(skald_arena_new(16 << 20, &arena), SKALD_OK);
    while (!finished(in)) {
        const skald_subscription_state *states;
        size_t count;
        uint32_t released;

        skald_arena_reset(arena);
        assert_int_equal(skald_aside_release_all(in->on.bus, &query, NULL, &released, NULL),
                         SKALD_OK);
        assert_int_equal(skald_subscription_pause(in->on.bus, in->made, NULL), SKALD_OK);
        assert_int_equal(skald_bus_subscriptions(in->on.bus, arena, &states, &count), SKALD_OK);
        assert_int_equal(skald_publish_all(in->on.bus, &fleeting, 1, NULL, NULL), SKALD_OK);
        assert_int_equal(skald_subscription_resume(in->on.bus, in->made, NULL), SKALD_OK);
    }
    skald_arena_free(arena);
}

static void parked_keys_keep_their_order_among_threads(void **state)
{
    static parking in;
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
    ski_thread publisher, keeper;

    (void)state;
    hall_open(&in.on, NULL);
    const ski_kernel *kernel = in.on.kernel;

    in.made = hall_subscribe(&in.on, options);
    hall_subscribe(&in.on, passing);
    assert_int_equal(kernel->spawn(kernel->context, "publish", publish_run, &in, &publisher),
                     SKALD_OK);
    assert_int_equal(kernel->spawn(kernel->context, "keep", keep_run, &in, &keeper), SKALD_OK);
    hall_wait(&in.on, &in.count, all);
    ski_mutex_lock(&in.on.lock);
    in.done = true;
    ski_mutex_unlock(&in.on.lock);
    kernel->join(kernel->context, publisher);
    kernel->join(kernel->context, keeper);
    assert_int_equal(in.count, all);
    hall_close(&in.on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parked_keys_keep_their_order_among_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
