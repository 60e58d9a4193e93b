// SPDX-License-Identifier: Apache-2.0
// What retention may take away while a durable subscription lags: nothing it has not read, unless
// the policy says so; then what is lost is counted.
#include "bus/bus_rig.h"

enum { published = 100, kept = 10 };

static uint64_t compact(rig *of)
{
    skald_compact_options options = {.erase = true};
    skald_compacted done = {0};
    skald_error error = {0};

    if (skald_store_compact(of->store, &options, &done, &error)) fail_msg("%s", error.text);
    return done.events_erased;
}

static uint64_t readable(rig *of)
{
    skald_cursor *cursor = NULL;
    const skald_event *event = NULL;
    uint64_t count = 0;

    assert_int_equal(skald_cursor_open(of->store, &(skald_read){0}, &cursor), SKALD_OK);
    while (!skald_cursor_next(cursor, &event, NULL) && event) count++;
    skald_cursor_close(cursor);
    return count;
}

static void limit(rig *of, skald_retain policy)
{
    skald_retention retention = {.max_events = kept, .policy = policy};

    assert_int_equal(skald_retention_set(of->store, &retention, NULL), SKALD_OK);
}

// lagging publishes a hundred events to a durable subscription that is paused.
static skald_subscription lagging(rig *of, notes *to)
{
    skald_subscription_options options = rig_options("slow", to);
    skald_subscription made;

    rig_open(of);
    options.paused = true;
    made = rig_subscribe(of, &options);
    (void)rig_run(of);
    for (int i = 0; i < published; i++) (void)rig_publish(of, "t.a", "a-1");
    (void)rig_run(of);
    return made;
}

static void what_was_not_read_is_kept(void **state)
{
    static notes seen;
    skald_subscription made;
    rig of;

    (void)state;
    memset(&seen, 0, sizeof(seen));
    made = lagging(&of, &seen);
    limit(&of, SKALD_RETAIN_ACKED);
    assert_int_equal(readable(&of), published);
    assert_int_equal(compact(&of), 0);
    assert_int_equal(readable(&of), published);
    assert_int_equal(skald_subscription_resume(of.bus, made, NULL), SKALD_OK);
    for (int i = 0; i < 20; i++) (void)rig_pass(&of, 1000);
    assert_int_equal(seen.count, published);
    assert_int_equal(seen.positions[0], 1);
    assert_int_equal(compact(&of), published - kept);
    assert_int_equal(readable(&of), kept);
    rig_close(&of);
}

// Nobody runs it after a restart, and still it is waited for.
static void it_is_waited_for_after_a_restart(void **state)
{
    static notes seen;
    rig of;

    (void)state;
    memset(&seen, 0, sizeof(seen));
    (void)lagging(&of, &seen);
    limit(&of, SKALD_RETAIN_ACKED);
    rig_restart(&of, true);
    assert_int_equal(compact(&of), 0);
    (void)rig_pass(&of, 1000);
    assert_int_equal(compact(&of), 0);
    assert_int_equal(readable(&of), published);
    rig_close(&of);
}

// One that nobody runs and that gives no sign is not waited for for ever.
static void who_is_gone_is_waited_for_so_long(void **state)
{
    static notes seen;
    skald_subscription made;
    rig of;

    (void)state;
    memset(&seen, 0, sizeof(seen));
    skald_subscription_options options = rig_options("gone", &seen);

    options.stale_after_s = 60;
    options.paused = true;
    rig_open(&of);
    made = rig_subscribe(&of, &options);
    (void)rig_run(&of);
    for (int i = 0; i < published; i++) (void)rig_publish(&of, "t.a", "a-1");
    (void)rig_run(&of);
    limit(&of, SKALD_RETAIN_ACKED);
    assert_int_equal(skald_unsubscribe(of.bus, made, false), SKALD_OK);
    (void)rig_pass(&of, 50000);
    assert_int_equal(compact(&of), 0);
    (void)rig_pass(&of, 60000); // they are looked through once a minute
    (void)rig_pass(&of, 60000);
    assert_int_equal(compact(&of), published - kept);
    assert_int_equal(readable(&of), kept);
    rig_close(&of);
}

static void what_is_lost_is_counted(void **state)
{
    static notes seen;
    skald_store_state store;
    rig of;

    (void)state;
    memset(&seen, 0, sizeof(seen));
    (void)lagging(&of, &seen);
    limit(&of, SKALD_RETAIN_LIMIT);
    assert_int_equal(compact(&of), published - kept);
    assert_int_equal(readable(&of), kept);
    skald_store_state_get(of.store, &store);
    assert_int_equal(store.events_lost, published - kept);
    rig_close(&of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_read_is_kept),
        cmocka_unit_test(it_is_waited_for_after_a_restart),
        cmocka_unit_test(who_is_gone_is_waited_for_so_long),
        cmocka_unit_test(what_is_lost_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
