// SPDX-License-Identifier: Apache-2.0
// The life of subscriptions: paused, drained, set back, deleted; the registry; system events.
#include "bus/bus_rig.h"

static skald_arena *arena;

static int arena_make(void **state)
{
    (void)state;
    return skald_arena_new(64 << 20, &arena) != SKALD_OK;
}

static int arena_end(void **state)
{
    (void)state;
    skald_arena_free(arena);
    return 0;
}

static bool state_is(rig *on, skald_subscription of, const char *expected)
{
    return skald_str_equal(rig_state(on, of, arena).state, skald_str_of(expected));
}

static uint32_t type_count(rig *on, const char *type)
{
    const skald_counted *counted;
    size_t count;

    assert_int_equal(skald_store_types(on->store, (skald_str){0}, arena, &counted, &count),
                     SKALD_OK);
    for (size_t i = 0; i < count; i++)
        if (skald_str_equal(counted[i].name, skald_str_of(type))) return (uint32_t)counted[i].count;
    return 0;
}

static void a_paused_one_stays_paused(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("s", &to);
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(skald_subscription_pause(on.bus, made, NULL), SKALD_OK);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    NOTED(&to, 1);
    assert_true(state_is(&on, made, "paused"));
    rig_restart(&on, true);
    made = rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&to, 1);
    assert_true(state_is(&on, made, "paused"));
    assert_int_equal(skald_subscription_resume(on.bus, made, NULL), SKALD_OK);
    rig_run(&on);
    NOTED(&to, 1, 2);
    rig_restart(&on, true);
    made = rig_subscribe(&on, &options);
    assert_true(state_is(&on, made, "running"));
    rig_close(&on);
}

static void a_pull_group_paused_gives_nothing(void **state)
{
    notes to = {0};
    uint32_t count;
    rig on;

    (void)state;
    rig_open(&on);
    const skald_subscription_options options = {.name = "p",
                                                .handler = {.ready = rig_ready, .context = &to}};
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(skald_subscription_pause(on.bus, made, NULL), SKALD_OK);
    assert_int_equal(skald_subscription_take(on.bus, made, 5, rig_note, &to, &count), SKALD_OK);
    assert_int_equal(count, 0);
    to.readies = 0;
    assert_int_equal(skald_subscription_resume(on.bus, made, NULL), SKALD_OK);
    assert_int_equal(to.readies, 1);
    assert_int_equal(skald_subscription_take(on.bus, made, 5, rig_note, &to, &count), SKALD_OK);
    assert_int_equal(count, 1);
    rig_close(&on);
}

static void a_drained_one_ends_when_it_is_empty(void **state)
{
    notes to = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("s", &to);
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(skald_subscription_drain(on.bus, made, NULL), SKALD_OK);
    assert_int_equal(skald_subscription_drain(on.bus, made, NULL), SKALD_ESTATE);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    NOTED(&to, 1);
    assert_true(state_is(&on, made, "draining"));
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_ACK, 0, NULL), SKALD_OK);
    rig_run(&on);
    assert_int_equal(to.ends, 1);
    assert_int_equal(skald_subscription_drain(on.bus, made, NULL), SKALD_ESTALE);
    to.outcome = SKALD_ACK;
    rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&to, 1, 2);
    rig_close(&on);
}

static void it_is_set_to_any_place(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("s", &to);
    skald_subscription made = rig_subscribe(&on, &options);

    for (int i = 0; i < 4; i++) {
        rig_publish(&on, "a", "s-1");
    }
    rig_run(&on);
    to.count = 0;
    skald_error error = {0};

    assert_int_equal(skald_subscription_reset(on.bus, made, &(skald_reset){.after = 9}, NULL,
                                              &error),
                     SKALD_EINVALID);
    assert_int_equal(skald_subscription_reset(on.bus, made,
                                              &(skald_reset){.from = SKALD_FROM_END, .after = 1},
                                              NULL, &error),
                     SKALD_EINVALID);
    assert_int_equal(
        skald_subscription_reset(on.bus, made, &(skald_reset){.after = 2}, NULL, &error), SKALD_OK);
    rig_run(&on);
    NOTED(&to, 3, 4);
    to.count = 0;
    assert_int_equal(skald_subscription_reset(
                         on.bus, made, &(skald_reset){.from = SKALD_FROM_START}, NULL, &error),
                     SKALD_OK);
    skald_bus_run(on.bus, 0);
    rig_restart(&on, true); // it is durable
    made = rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&to, 1, 2, 3, 4);
    to.count = 0;
    assert_int_equal(skald_subscription_reset(on.bus, made, &(skald_reset){.from = SKALD_FROM_END},
                                              NULL, &error),
                     SKALD_OK);
    rig_run(&on);
    assert_int_equal(to.count, 0);
    rig_close(&on);
}

static skald_outcome reset_self(const skald_delivery *delivery)
{
    notes *to = delivery->context;

    if (to->count == 2 && !to->readies++) {
        skald_subscription self = skald_bus_find(delivery->bus, SKALD_STR("s"));

        assert_int_equal(
            skald_subscription_reset(delivery->bus, self, &(skald_reset){0}, NULL, NULL), SKALD_OK);
        assert_int_equal(skald_delivery_end(delivery->bus, delivery->id, SKALD_ACK, 0, NULL),
                         SKALD_ESTALE); // not heard any more
    }
    return rig_note(delivery);
}

static void a_handler_sets_itself_back(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("s", &to);

    options.handler.fn = reset_self;
    options.order = SKALD_IN_SEQUENCE;
    rig_subscribe(&on, &options);
    for (int i = 0; i < 4; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    NOTED(&to, 1, 2, 3, 1, 2, 3, 4);
    rig_close(&on);
}

static void deleting_takes_the_name_too(void **state)
{
    notes to = {0};
    size_t count;
    const skald_subscription_state *states;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("s", &to);

    for (int running = 0; running < 2; running++) {
        rig_subscribe(&on, &options);
        rig_publish(&on, "a", NULL);
        rig_run(&on);
        if (!running) {
            rig_restart(&on, false);
            assert_int_equal(skald_bus_subscriptions(on.bus, arena, &states, &count), SKALD_OK);
            assert_int_equal(count, 1);
            assert_true(skald_str_equal(states[0].state, SKALD_STR("registered")));
            assert_int_equal(states[0].position, 1);
            assert_true(skald_str_equal(states[0].kind, SKALD_STR("handler")));
        }
        assert_int_equal(skald_subscription_delete(on.bus, SKALD_STR("s"), NULL), SKALD_OK);
        rig_run(&on);
        assert_int_equal(skald_subscription_delete(on.bus, SKALD_STR("s"), NULL), SKALD_ENOTFOUND);
        assert_int_equal(skald_bus_subscriptions(on.bus, arena, &states, &count), SKALD_OK);
        assert_int_equal(count, 0);
    }
    rig_close(&on);
}

static void deeds_are_published_first(void **state)
{
    const skald_actor by = {.user = SKALD_STR("ada"), .correlation_id = SKALD_STR("c")};
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    const skald_str type = SKALD_STR("a");
    skald_subscription_options options = rig_options("s", &to);

    options.filter.types = (skald_texts){&type, 1};
    skald_subscription made = rig_subscribe(&on, &options);

    assert_int_equal(skald_subscription_pause(on.bus, made, &by), SKALD_OK);
    assert_int_equal(skald_subscription_resume(on.bus, made, &by), SKALD_OK);
    assert_int_equal(skald_subscription_reset(on.bus, made, &(skald_reset){0}, &by, NULL),
                     SKALD_OK);
    assert_int_equal(skald_subscription_drain(on.bus, made, &by), SKALD_OK);
    assert_int_equal(skald_subscription_delete(on.bus, SKALD_STR("s"), &by), SKALD_OK);
    assert_int_equal(type_count(&on, "audit.subscription.paused"), 1);
    assert_int_equal(type_count(&on, "audit.subscription.resumed"), 1);
    assert_int_equal(type_count(&on, "audit.subscription.reset"), 1);
    assert_int_equal(type_count(&on, "audit.subscription.drained"), 1);
    assert_int_equal(type_count(&on, "audit.subscription.deleted"), 1);
    rig_close(&on);
}

static void rig_loud(rig *on)
{
    rig_open(on);
    skald_bus_free(on->bus);
    on->options.system_events = true;
    rig_bus(on);
}

static void errors_are_events_told_sparingly(void **state)
{
    notes to = {.outcome = SKALD_RETRY, .delay_ms = 100};
    rig on;

    (void)state;
    rig_loud(&on);
    skald_subscription_options options = rig_options("all", &to); // also what it causes

    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(type_count(&on, "system.error"), 1); // at once
    for (int i = 0; i < 90; i++) rig_pass(&on, 100);
    assert_int_equal(type_count(&on, "system.error"), 1);
    for (int i = 0; i < 15; i++) rig_pass(&on, 100);
    assert_int_equal(type_count(&on, "system.error"), 2);
    for (int i = 0; i < 100; i++) rig_pass(&on, 100);
    assert_int_equal(type_count(&on, "system.error"), 3);
    rig_close(&on);
}

static void lag_and_faults_are_told(void **state)
{
    notes to = {.outcome = SKALD_PENDING}, bad = {.outcome = SKALD_REJECT};
    const skald_str type = SKALD_STR("a");
    rig on;

    (void)state;
    rig_loud(&on);
    skald_subscription_options options = rig_options("slow", &to);

    options.filter.types = (skald_texts){&type, 1};
    options.lag_events_max = 4;
    options.in_flight_max = 1;
    skald_subscription slow = rig_subscribe(&on, &options);

    for (int i = 0; i < 7; i++) rig_publish(&on, "a", NULL);
    rig_pass(&on, 1100);
    assert_int_equal(type_count(&on, "system.handler.lagging"), 1);
    assert_true(rig_state(&on, slow, arena).lagging);
    to.outcome = SKALD_ACK;
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_ACK, 0, NULL), SKALD_OK);
    rig_run(&on);
    rig_pass(&on, 1100);
    assert_int_equal(type_count(&on, "system.handler.recovered"), 1);

    options = rig_options("bad", &bad);
    options.filter.types = (skald_texts){&type, 1};
    skald_subscription made = rig_subscribe(&on, &options);

    rig_run(&on);
    assert_int_equal(type_count(&on, "system.handler.faulted"), 1);
    bad.outcome = SKALD_ACK;
    assert_int_equal(skald_subscription_resume(on.bus, made, NULL), SKALD_OK);
    rig_pass(&on, 1100);
    assert_int_equal(type_count(&on, "system.handler.recovered"), 2);
    assert_int_equal(bad.count, 8);
    rig_close(&on);
}

static void who_is_gone_is_told(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_loud(&on);
    skald_subscription_options options = rig_options("gone", &to);

    options.stale_after_s = 60;
    skald_subscription made = rig_subscribe(&on, &options);

    rig_pass(&on, 120000);
    rig_pass(&on, 1000);
    assert_int_equal(type_count(&on, "system.handler.stale"), 0); // a function is always there
    assert_int_equal(skald_unsubscribe(on.bus, made, false), SKALD_OK);
    rig_run(&on);
    rig_pass(&on, 60000);
    assert_int_equal(type_count(&on, "system.handler.stale"), 0);
    rig_pass(&on, 60000);
    assert_int_equal(type_count(&on, "system.handler.stale"), 1);
    rig_pass(&on, 600000);
    rig_restart(&on, true);
    rig_pass(&on, 600000);
    assert_int_equal(type_count(&on, "system.handler.stale"), 1); // once

    const skald_subscription_options pulled = {.name = "pull",
                                               .stale_after_s = 60,
                                               .handler = {.ready = rig_ready, .context = &to}};
    uint32_t count;

    made = rig_subscribe(&on, &pulled);
    rig_pass(&on, 61000);
    assert_int_equal(type_count(&on, "system.handler.stale"), 2);
    assert_true(rig_state(&on, made, arena).stale);
    assert_int_equal(skald_subscription_take(on.bus, made, 1, rig_note, &to, &count), SKALD_OK);
    rig_pass(&on, 1000);
    assert_false(rig_state(&on, made, arena).stale);
    rig_close(&on);
}

static void tenants_take_turns(void **state)
{
    notes to = {.outcome = SKALD_ACK};
    rig on;

    (void)state;
    rig_open(&on);
    for (int i = 0; i < 100; i++) {
        skald_event event = {.type = SKALD_STR("a"), .tenant = SKALD_STR("big")};

        if (i >= 98) event.tenant = SKALD_STR("small");
        assert_int_equal(skald_publish(on.bus, event, NULL), SKALD_OK);
    }
    skald_subscription_options options = rig_options("s", &to);

    rig_subscribe(&on, &options);
    skald_bus_run(on.bus, 4);
    assert_int_equal(to.count, 4);
    assert_int_equal(to.positions[0] + to.positions[1] + to.positions[2] + to.positions[3],
                     1 + 2 + 99 + 100);
    rig_close(&on);
}

static void rates_are_of_the_last_seconds(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("s", &to);
    skald_subscription made = rig_subscribe(&on, &options);

    for (int i = 0; i < 20; i++) {
        rig_pass(&on, 1000);
        for (int j = 0; j < 5; j++) rig_publish(&on, "a", NULL);
        rig_run(&on);
    }
    skald_subscription_state now = rig_state(&on, made, arena);

    assert_true(now.in_per_s > 4 && now.in_per_s < 7);
    assert_true(now.out_per_s > 4 && now.out_per_s < 7);
    rig_pass(&on, 20000);
    rig_pass(&on, 20000);
    assert_true(rig_state(&on, made, arena).in_per_s < 1);
    rig_close(&on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_paused_one_stays_paused),
        cmocka_unit_test(a_pull_group_paused_gives_nothing),
        cmocka_unit_test(a_drained_one_ends_when_it_is_empty),
        cmocka_unit_test(it_is_set_to_any_place),
        cmocka_unit_test(a_handler_sets_itself_back),
        cmocka_unit_test(deleting_takes_the_name_too),
        cmocka_unit_test(deeds_are_published_first),
        cmocka_unit_test(errors_are_events_told_sparingly),
        cmocka_unit_test(lag_and_faults_are_told),
        cmocka_unit_test(who_is_gone_is_told),
        cmocka_unit_test(tenants_take_turns),
        cmocka_unit_test(rates_are_of_the_last_seconds),
    };

    return cmocka_run_group_tests(tests, arena_make, arena_end);
}
