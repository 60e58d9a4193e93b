// SPDX-License-Identifier: Apache-2.0
// Durable subscriptions: where they begin, what a restart and a crash bring back, checkpoints.
#include "bus/bus_rig.h"

#include "base/buf.h"

static skald_arena *arena;

static int arena_made(void **state)
{
    (void)state;
    return skald_arena_new(16 << 20, &arena) ? 1 : 0;
}

static int arena_gone(void **state)
{
    (void)state;
    skald_arena_free(arena);
    return 0;
}

static bool value_there(rig *on, const char *name)
{
    skald_buf buf = {.bytes_max = SKI_CHECKPOINT_BYTES_MAX};
    skald_err err = ski_store_value_get(on->store, skald_str_of(name), &buf);

    skald_buf_fini(&buf);
    assert_true(err == SKALD_OK || err == SKALD_ENOTFOUND);
    return !err;
}

static void new_names_begin_where_asked(void **state)
{
    notes start = {0}, end = {0}, after = {0}, time = {0}, future = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_time begun = ski_store_now(on.store);
    skald_subscription_options options;

    for (int i = 0; i < 5; i++) rig_publish(&on, "a", NULL);
    options = rig_options("start", &start);
    rig_subscribe(&on, &options);
    options = rig_options("end", &end);
    options.from = SKALD_FROM_END;
    rig_subscribe(&on, &options);
    options = rig_options("after", &after);
    options.after = 3;
    rig_subscribe(&on, &options);
    options = rig_options("time", &time);
    options.from_time = begun;
    rig_subscribe(&on, &options);
    options = rig_options("future", &future);
    options.from_time = begun + INT64_C(3600) * 1000000;
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    NOTED(&start, 1, 2, 3, 4, 5, 6);
    NOTED(&end, 6);
    NOTED(&after, 4, 5, 6);
    NOTED(&time, 1, 2, 3, 4, 5, 6);
    NOTED(&future, 6);
    rig_close(&on);
}

static void where_it_began_survives_a_crash_at_once(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("end", &to);

    rig_publish(&on, "a", NULL);
    options.from = SKALD_FROM_END;
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_restart(&on, true);
    rig_publish(&on, "a", NULL);
    rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&to, 2, 3);
    rig_close(&on);
}

static void a_restart_brings_back_only_what_is_open(void **state)
{
    rig on;

    (void)state;
    for (int crash = 0; crash < 2; crash++) {
        notes to = {.outcome = SKALD_PENDING};

        rig_open(&on);
        skald_subscription_options options = rig_options("name", &to);

        options.from = SKALD_FROM_START;
        rig_subscribe(&on, &options);
        for (int i = 0; i < 2000; i++) rig_publish(&on, "a", NULL);
        rig_run(&on);
        for (uint32_t i = 0; i < to.count; i++) { // all but three are acked
            if (to.positions[i] % 700 == 3) continue;
            assert_int_equal(skald_delivery_end(on.bus, to.ids[i], SKALD_ACK, 0, NULL), SKALD_OK);
            rig_run(&on);
        }
        assert_int_equal(to.count, 2000);
        rig_restart(&on, crash);
        to = (notes){0};
        options.after = 77; // it has a position: that counts
        skald_subscription made = rig_subscribe(&on, &options);

        assert_int_equal(rig_state(&on, made, arena).position, 2);
        rig_publish(&on, "a", NULL);
        rig_run(&on);
        NOTED(&to, 3, 703, 1403, 2001);
        assert_int_equal(rig_state(&on, made, arena).position, 2001);
        rig_close(&on);
    }
}

static void what_is_open_survives_two_restarts(void **state)
{
    notes to = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);

    options.in_flight_max = 2;
    options.order = SKALD_UNORDERED;
    rig_subscribe(&on, &options);
    for (int i = 0; i < 5; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    NOTED(&to, 1, 2);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[1], SKALD_ACK, 0, NULL), SKALD_OK);
    rig_run(&on);
    NOTED(&to, 1, 2, 3);
    for (int i = 0; i < 2; i++) {
        rig_restart(&on, true);
        options.in_flight_max = 1; // 3 is still to be resumed while 1 is in flight
        to.count = 0;
        rig_subscribe(&on, &options);
        rig_run(&on);
        NOTED(&to, 1);
    }
    to.outcome = SKALD_ACK;
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_ACK, 0, NULL), SKALD_OK);
    rig_run(&on);
    NOTED(&to, 1, 3, 4, 5);
    rig_close(&on);
}

static void another_filter_drops_what_it_does_not_mean(void **state)
{
    const skald_str types[] = {SKALD_STR("b")};
    notes to = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);

    rig_subscribe(&on, &options);
    for (int i = 0; i < 6; i++) rig_publish(&on, i % 2 ? "b" : "a", NULL);
    rig_run(&on);
    rig_restart(&on, true);
    to = (notes){0};
    options.filter.types = (skald_texts){types, 1};
    skald_subscription made = rig_subscribe(&on, &options);

    rig_run(&on);
    NOTED(&to, 2, 4, 6);
    assert_int_equal(rig_state(&on, made, arena).position, 6);
    rig_close(&on);
}

static void a_name_runs_once(void **state)
{
    notes to = {0}, other = {0};
    skald_subscription made;
    skald_error error = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);
    skald_subscription first = rig_subscribe(&on, &options);

    options.handler.context = &other;
    assert_int_equal(skald_subscribe(on.bus, &options, &made, &error), SKALD_EEXISTS);
    assert_string_equal(error.field, "name");
    assert_int_equal(other.ends, 1);
    assert_int_equal(skald_bus_find(on.bus, SKALD_STR("name")).id, first.id);
    assert_int_equal(skald_bus_find(on.bus, SKALD_STR("nam")).id, 0);
    assert_int_equal(skald_bus_find(on.bus, (skald_str){0}).id, 0);
    assert_int_equal(skald_unsubscribe(on.bus, first, false), SKALD_OK);
    rig_subscribe(&on, &options);
    rig_close(&on);
}

static void forgetting_removes_the_value(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_true(value_there(&on, "sub/name"));
    assert_int_equal(skald_unsubscribe(on.bus, made, true), SKALD_OK);
    assert_false(value_there(&on, "sub/name"));
    made = rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&to, 1, 1);
    assert_int_equal(skald_unsubscribe(on.bus, made, false), SKALD_OK);
    assert_true(value_there(&on, "sub/name"));
    rig_close(&on);
}

static void transient_ones_leave_nothing(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(skald_unsubscribe(on.bus, made, true), SKALD_OK);
    assert_false(value_there(&on, "sub/"));
    rig_close(&on);
}

static void value_done(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

static void value_put(rig *on, const char *name, skald_str bytes)
{
    skald_store_value value = {skald_str_of(name), bytes};
    skald_err err = SKALD_OK;
    skald_store_batch batch = {
        .values = &value, .value_count = 1, .done = value_done, .context = &err};

    assert_int_equal(ski_store_commit(on->store, &batch), SKALD_OK);
    assert_int_equal(err, SKALD_OK);
}

// place_put says that the subscription "name" has read up to position.
static void place_put(rig *on, uint64_t position)
{
    skald_buf place = {.bytes_max = 100};

    assert_int_equal(ski_checkpoint_encode(&(ski_checkpoint){.cursor = position}, &place),
                     SKALD_OK);
    value_put(on, "sub/name", ski_buf_str(&place));
    skald_buf_fini(&place);
}

static void a_position_that_is_not_known_is_never_guessed(void **state)
{
    skald_subscription made = {0};
    skald_error error = {0};
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);

    rig_publish(&on, "a", NULL);
    value_put(&on, "sub/name", SKALD_STR("garbage"));
    assert_int_equal(skald_subscribe(on.bus, &options, &made, &error), SKALD_ECORRUPT);
    assert_non_null(strstr(error.text, "name"));
    assert_int_equal(to.ends, 1);
    // A position of another log: what lies between would be skipped.
    place_put(&on, 500);
    assert_int_equal(skald_subscribe(on.bus, &options, &made, &error), SKALD_ECORRUPT);
    assert_non_null(strstr(error.text, "500"));
    assert_true(value_there(&on, "sub/name")); // it is left as it is
    assert_int_equal(rig_run(&on), 0);
    rig_close(&on);
}

// A filter that means no event is refused to who begins with it; who was taken with it once goes
// on.
static void a_deaf_filter_goes_on(void **state)
{
    const skald_str types[] = {SKALD_STR("order*")};
    skald_subscription made = {0};
    skald_error error = {0};
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);

    options.filter.types = (skald_texts){types, 1};
    rig_publish(&on, "order.made", NULL);
    assert_int_equal(skald_subscribe(on.bus, &options, &made, &error), SKALD_EINVALID);
    assert_string_equal(error.field, "filter.types");
    assert_non_null(strstr(error.text, "'order*' means no event"));
    place_put(&on, 1);
    assert_int_equal(skald_subscribe(on.bus, &options, &made, &error), SKALD_OK);
    assert_int_equal(rig_run(&on), 0);
    rig_close(&on);
}

static void passing_by_is_not_worth_an_append(void **state)
{
    const skald_str types[] = {SKALD_STR("rare")};
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("rare", &to);

    options.filter.types = (skald_texts){types, 1};
    skald_subscription made = rig_subscribe(&on, &options);

    rig_run(&on);
    for (int i = 0; i < 3500; i++) {
        rig_publish(&on, "common", NULL);
        rig_run(&on);
        ski_bus_lock(on.bus);
        const ski_subscription *sub = ski_subscription_find(on.bus, made.id);
        uint64_t saved = sub->saved_floor, floor = ski_subscription_floor(sub);
        ski_bus_leave(on.bus);

        assert_int_equal(floor, i + 1);
        assert_true(saved % 1000 == 0 && floor - saved < 1000);
    }
    // The way passed is kept at the end.
    rig_restart(&on, false);
    made = rig_subscribe(&on, &options);
    assert_int_equal(rig_state(&on, made, arena).position, 3500);
    rig_publish(&on, "common", NULL);
    rig_run(&on);
    assert_int_equal(skald_unsubscribe(on.bus, made, false), SKALD_OK);
    rig_restart(&on, true);
    made = rig_subscribe(&on, &options);
    assert_int_equal(rig_state(&on, made, arena).position, 3501);
    rig_close(&on);
}

static void one_that_lags_saves_on_its_way(void **state)
{
    const skald_str types[] = {SKALD_STR("rare")};
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    for (int i = 0; i < 3500; i++) rig_publish(&on, "common", NULL);
    skald_subscription_options options = rig_options("rare", &to);

    options.filter.types = (skald_texts){types, 1};
    rig_subscribe(&on, &options);
    rig_run(&on);
    rig_restart(&on, true);
    skald_subscription made = rig_subscribe(&on, &options);

    assert_true(rig_state(&on, made, arena).position > 2500);
    rig_close(&on);
}

static void states_are_told(void **state)
{
    const skald_str types[] = {SKALD_STR("a"), SKALD_STR("b.*")};
    notes to = {.outcome = SKALD_PENDING};
    const skald_subscription_state *states;
    size_t count;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("told", &to);

    options.filter.types = (skald_texts){types, 2};
    options.filter.tenant = SKALD_STR("");
    options.kind = "pull";
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "c", NULL);
    for (int i = 0; i < 3; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(skald_bus_subscriptions(on.bus, arena, &states, &count), SKALD_OK);
    assert_int_equal(count, 1);
    assert_true(skald_str_equal(states[0].name, SKALD_STR("told")));
    assert_true(skald_str_equal(states[0].kind, SKALD_STR("pull")));
    assert_true(states[0].live);
    assert_int_equal(states[0].filter.types.count, 2);
    assert_true(skald_str_equal(states[0].filter.types.items[1], SKALD_STR("b.*")));
    assert_non_null(states[0].filter.tenant.ptr);
    assert_int_equal(states[0].id.id, made.id);
    assert_int_equal(states[0].position, 1);
    assert_int_equal(states[0].lag, 3);
    assert_int_equal(states[0].in_flight, 3);
    assert_true(states[0].durable);
    assert_null(states[0].last_error.ptr);
    rig_close(&on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_names_begin_where_asked),
        cmocka_unit_test(where_it_began_survives_a_crash_at_once),
        cmocka_unit_test(a_restart_brings_back_only_what_is_open),
        cmocka_unit_test(what_is_open_survives_two_restarts),
        cmocka_unit_test(another_filter_drops_what_it_does_not_mean),
        cmocka_unit_test(a_name_runs_once),
        cmocka_unit_test(forgetting_removes_the_value),
        cmocka_unit_test(transient_ones_leave_nothing),
        cmocka_unit_test(a_position_that_is_not_known_is_never_guessed),
        cmocka_unit_test(a_deaf_filter_goes_on),
        cmocka_unit_test(passing_by_is_not_worth_an_append),
        cmocka_unit_test(one_that_lags_saves_on_its_way),
        cmocka_unit_test(states_are_told),
    };

    return cmocka_run_group_tests(tests, arena_made, arena_gone);
}
