// SPDX-License-Identifier: Apache-2.0
// Trays among others: what may be held, who sets a subscription back between two calls, who looks
// on, what is measured, and the time that an answer has where only trays wait for one.
#include "bus/bus_rig.h"

enum { events = 60, large_bytes = 2 << 10, large_events = 6000, batch = 250, page_most = 2 << 20 };
enum { timeout_ms = 60000, again_ms = 10 };

typedef struct scene {
    rig on;
    skald_log log; // in place of the rig's
    skald_subscription made;
    skald_delivery_id ids[large_events + events];
    uint64_t got[large_events + events];
    uint32_t count, acks_told;
    bool sets_back, early;
    skald_outcome answer;
} scene;

static skald_outcome listen(const skald_delivery *delivery)
{
    scene *of = delivery->context;

    assert_true(of->count < large_events + events);
    of->ids[of->count] = delivery->id;
    of->got[of->count++] = delivery->event->position;
    if (of->sets_back && delivery->event->position == 29) return SKALD_ACK;
    if (of->early)
        assert_int_equal(skald_delivery_end(delivery->bus, delivery->id, SKALD_ACK, 0, NULL),
                         SKALD_OK);
    return of->answer;
}

// told: that the call before was acked is told when the next is on its way, without the lock.
static void told(void *context, skald_level level, skald_str line)
{
    scene *of = context;

    (void)level;
    if (!memmem(line.ptr, line.len, "\"acked\"", 7)) return;
    of->acks_told++;
    if (!of->sets_back || !memmem(line.ptr, line.len, "\"29\"", 4)) return;
    of->sets_back = false;
    assert_int_equal(skald_subscription_reset(of->on.bus, of->made, &(skald_reset){.after = 20},
                                              NULL, NULL),
                     SKALD_OK);
}

static void scene_open(scene *of)
{
    memset(of, 0, sizeof(*of));
    rig_open(&of->on);
    skald_bus_free(of->on.bus);
    of->log = (skald_log){told, of, SKALD_DEBUG};
    of->on.options.log = &of->log;
    rig_bus(&of->on);
    of->on.bus->runs_after = 0;
    of->on.bus->trays_kept = 0;
    of->answer = SKALD_PENDING;
}

static ski_subscription *subscribe(scene *of, uint32_t in_flight_max)
{
    skald_subscription_options options = {.name = "listener",
                                          .handler = {.fn = listen, .context = of},
                                          .from = SKALD_FROM_START,
                                          .order = SKALD_UNORDERED,
                                          .in_flight_max = in_flight_max,
                                          .retry = {.timeout_ms = timeout_ms,
                                                    .first_ms = again_ms}};

    of->made = rig_subscribe(&of->on, &options);
    return ski_subscription_find(of->on.bus, of->made.id);
}

static uint32_t answer_all(scene *of)
{
    uint32_t ended = 0;

    for (uint32_t i = 0; i < of->count; i++)
        ended += !skald_delivery_end(of->on.bus, of->ids[i], SKALD_ACK, 0, NULL);
    return ended;
}

static void scene_close(scene *of, const ski_subscription *sub)
{
    assert_int_equal(sub->in_flight, 0);
    assert_int_equal(sub->outs, 0);
    assert_int_equal(of->on.bus->active, 0);
    assert_int_equal(of->on.bus->reserved, 0);
    rig_close(&of->on);
}

// Beyond it the subscription lags, and goes on when some of it is answered.
static void what_is_out_holds_no_more_than_may_be_held(void **state)
{
    static char data[large_bytes];
    static scene of;

    (void)state;
    memset(data, 'a', sizeof(data));
    data[0] = data[sizeof(data) - 1] = '"';
    for (int of_bus = 0; of_bus < 2; of_bus++) {
        scene_open(&of);
        if (of_bus) of.on.bus->pages_bytes_max = 3 << 20;
        const ski_subscription *sub = subscribe(&of, 60000);
        const size_t most = of_bus ? 3 << 20 : SKI_HELD_BYTES_MAX;

        for (uint32_t i = 0; i < large_events; i++) {
            const skald_event event = {.type = SKALD_STR("a.made"), .data = {data, sizeof(data)}};

            assert_int_equal(skald_publish_all(of.on.bus, &event, 1, NULL, NULL), SKALD_OK);
            if (i % batch == batch - 1) rig_run(&of.on);
        }
        assert_true(sub->outs && sub->held_bytes <= most + page_most);
        assert_true(of.count > most / large_bytes / 2 && of.count < large_events);
        for (uint32_t i = 0; i < 100 && of.count < large_events; i++) {
            assert_true(answer_all(&of) > 0);
            rig_run(&of.on);
            assert_true(sub->held_bytes <= most + page_most);
        }
        assert_int_equal(of.count, large_events);
        (void)answer_all(&of);
        rig_run(&of.on);
        scene_close(&of, sub);
    }
}

// The tray of a run that is set back goes while its worker, without the lock, is about to call.
static void set_back_before_a_call_its_id_is_stale(void **state)
{
    static scene of;

    (void)state;
    scene_open(&of);
    const ski_subscription *sub = subscribe(&of, 100);

    of.sets_back = true;
    for (uint32_t i = 0; i < events; i++) (void)rig_publish(&of.on, "a.made", "s-1");
    rig_run(&of.on);
    assert_false(of.sets_back);
    assert_int_equal(of.count, 30 + events - 20);
    assert_int_equal(of.got[29], 30);
    assert_int_equal(of.ids[29].id, of.ids[28].id + (UINT64_C(1) << SKI_DELIVERY_BITS));
    for (uint32_t i = 0; i < 30; i++)
        assert_int_equal(skald_delivery_end(of.on.bus, of.ids[i], SKALD_ACK, 0, NULL),
                         SKALD_ESTALE);
    for (uint32_t i = 30; i < of.count; i++) assert_int_equal(of.got[i], i - 9);
    assert_int_equal(answer_all(&of), events - 20);
    rig_run(&of.on);
    scene_close(&of, sub);
}

static void who_looks_on_changes_nothing(void **state)
{
    static scene of;
    skald_event event = {.type = SKALD_STR("a.made"), .correlation_id = SKALD_STR("c")};
    skald_arena *arena;
    skald_trace trace;

    (void)state;
    scene_open(&of);
    for (uint32_t i = 0; i < events; i++)
        assert_int_equal(skald_publish_all(of.on.bus, &event, 1, NULL, NULL), SKALD_OK);
    const ski_subscription *sub = subscribe(&of, 100);

    rig_run(&of.on);
    assert_int_equal(sub->outs, events - 1);
    assert_int_equal(skald_delivery_end(of.on.bus, of.ids[30], SKALD_ACK, 0, NULL), SKALD_OK);
    assert_int_equal(skald_subscription_pause(of.on.bus, of.made, NULL), SKALD_OK);
    assert_int_equal(skald_arena_new(4 << 20, &arena), SKALD_OK);
    assert_int_equal(skald_bus_trace(of.on.bus, (skald_str){0}, SKALD_STR("c"), 0, arena, &trace,
                                     NULL),
                     SKALD_OK);
    assert_int_equal(trace.count, events);
    for (uint32_t i = 0; i < events; i++)
        assert_string_equal(trace.nodes[i].deliveries[0].outcome, i == 30 ? "acked" : "paused");
    assert_int_equal(sub->outs, events - 2);
    assert_int_equal(sub->pending, 1);
    skald_arena_free(arena);
    assert_int_equal(answer_all(&of), events - 1);
    rig_run(&of.on);
    scene_close(&of, sub);
}

// As often as those that are acked by their return; and each is told once.
static void what_was_acked_early_is_measured(void **state)
{
    ski_histogram_seen seen[2];
    static scene of;

    (void)state;
    for (int early = 0; early < 2; early++) {
        scene_open(&of);
        of.early = early;
        of.answer = early ? SKALD_PENDING : SKALD_ACK;
        const ski_subscription *sub = subscribe(&of, 100);

        for (uint32_t i = 0; i < 500; i++) (void)rig_publish(&of.on, "a.made", "s-1");
        rig_run(&of.on);
        assert_int_equal(of.count, 500);
        assert_true(of.on.bus->runs > 0);
        ski_histogram_see(&of.on.bus->attempts, &seen[early]);
        assert_int_equal(of.acks_told, 500);
        scene_close(&of, sub);
    }
    assert_true(seen[0].all > 0);
    assert_int_equal(seen[1].all, seen[0].all);
}

// The answer that empties a tray, alone, too: what waited for it comes.
static void the_last_of_a_tray_makes_room(void **state)
{
    static scene of;

    (void)state;
    for (uint32_t most = 1; most <= 3; most++) {
        scene_open(&of);
        const ski_subscription *sub = subscribe(&of, most);

        for (uint32_t i = 0; i < events; i++) (void)rig_publish(&of.on, "a.made", "s-1");
        rig_run(&of.on);
        for (uint32_t i = 0; i < events; i++) {
            assert_true(of.count > i);
            assert_int_equal(skald_delivery_end(of.on.bus, of.ids[i], SKALD_ACK, 0, NULL),
                             SKALD_OK);
            rig_run(&of.on);
        }
        assert_int_equal(of.count, events);
        assert_true(of.on.bus->runs > 1);
        scene_close(&of, sub);
    }
}

// Ended with one call: of one tray, of another, twice, stale, and not out at all.
static void many_are_ended_wherever_they_are(void **state)
{
    static scene of;
    bool each[events + 4];
    size_t ended = 0;

    (void)state;
    scene_open(&of);
    const ski_subscription *sub = subscribe(&of, 40);

    for (uint32_t i = 0; i < events; i++) (void)rig_publish(&of.on, "a.made", "s-1");
    rig_run(&of.on);
    assert_int_equal(of.count, 40);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(skald_delivery_end(of.on.bus, of.ids[i], SKALD_ACK, 0, NULL), SKALD_OK);
    rig_run(&of.on); // the next are in a tray of their own
    assert_int_equal(of.count, events);
    assert_true(sub->tray_count > 1);
    uint64_t acked = sub->acked, of_bus = atomic_load(&of.on.bus->acked);
    const skald_delivery_id stale = of.ids[3], unknown = {of.ids[events - 1].id + (1 << 20)};

    memmove(&of.ids[32], &of.ids[30], 30 * sizeof(of.ids[0]));
    of.ids[30] = stale;
    of.ids[31] = of.ids[29]; // once more
    of.ids[events + 2] = unknown;
    assert_int_equal(skald_deliveries_end(of.on.bus, &of.ids[20], events - 17, SKALD_ACK, 0, NULL,
                                          each, &ended),
                     SKALD_OK);
    assert_int_equal(ended, events - 20);
    for (uint32_t i = 0; i < events - 17; i++)
        assert_int_equal(each[i], i != 10 && i != 11 && i != events - 18);
    assert_int_equal(sub->acked, acked + events - 20);
    assert_int_equal(atomic_load(&of.on.bus->acked), of_bus + events - 20);
    rig_run(&of.on);
    scene_close(&of, sub);
}

// No delivery beside them waits, or has waited until then, for its end.
static void what_only_a_tray_holds_times_out(void **state)
{
    enum { some = 10 };
    static scene of;

    (void)state;
    scene_open(&of);
    for (uint32_t i = 0; i < events; i++) (void)rig_publish(&of.on, "a.made", "s-1");
    const ski_subscription *sub = subscribe(&of, some);

    rig_run(&of.on);
    assert_int_equal(of.count, some);
    assert_int_equal(sub->pending, 1);
    for (uint32_t i = some; i-- > 0;) // that one last
        assert_int_equal(skald_delivery_end(of.on.bus, of.ids[i], SKALD_ACK, 0, NULL), SKALD_OK);
    rig_run(&of.on);
    assert_int_equal(of.count, 2 * some);
    assert_int_equal(sub->outs, some);
    assert_int_equal(sub->pending, 0);
    rig_pass(&of.on, timeout_ms - 1);
    assert_int_equal(sub->timed_out, 0);
    rig_pass(&of.on, 1);
    assert_int_equal(sub->timed_out, some);
    rig_pass(&of.on, 2 * again_ms);
    assert_int_equal(of.count, 3 * some);
    for (uint32_t i = 0; i < events / some; i++) {
        (void)answer_all(&of);
        rig_run(&of.on);
    }
    assert_int_equal(of.count, events + some);
    scene_close(&of, sub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_out_holds_no_more_than_may_be_held),
        cmocka_unit_test(set_back_before_a_call_its_id_is_stale),
        cmocka_unit_test(who_looks_on_changes_nothing),
        cmocka_unit_test(what_was_acked_early_is_measured),
        cmocka_unit_test(the_last_of_a_tray_makes_room),
        cmocka_unit_test(many_are_ended_wherever_they_are),
        cmocka_unit_test(what_only_a_tray_holds_times_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
