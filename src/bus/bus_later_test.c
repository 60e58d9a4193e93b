// SPDX-License-Identifier: Apache-2.0
// Events with a time, events that are not kept, causes, and the trace of them; on the bus that
// users test with.
#include "bus/bus_rig.h"

#include <skald/test.h>

static skald_arena *arena;
static skald_test_bus *on;

static int begin(void **state)
{
    (void)state;
    if (skald_arena_new(64 << 20, &arena)) return 1;
    return skald_test_bus_new(NULL, &on) != SKALD_OK;
}

static int end(void **state)
{
    (void)state;
    skald_test_bus_free(on);
    skald_arena_free(arena);
    return 0;
}

static skald_bus *bus(void)
{
    return skald_test_bus_bus(on);
}

static skald_subscription subscribe(const char *name, const char *type, notes *to)
{
    const skald_str filter = skald_str_of(type);
    skald_subscription_options options = rig_options(name, to);
    skald_subscription made = {0};

    options.filter.types = (skald_texts){&filter, type != NULL};
    assert_int_equal(skald_subscribe(bus(), &options, &made, NULL), SKALD_OK);
    return made;
}

static skald_err publish_at(const char *type, uint8_t id, skald_time at)
{
    const skald_publish_options options = {.deliver_at = at};

    return skald_publish(bus(),
                         (skald_event){.type = skald_str_of(type),
                                       .stream = SKALD_STR("s-1"),
                                       .data = SKALD_STR("{\"a\":\"\\u00e9\"}"),
                                       .id = {{id}}},
                         &options);
}

static void a_scheduled_event_comes_in_time(void **state)
{
    static notes to = {0}, all = {0}; // the bus tells its end behind the test
    const skald_scheduled *waiting;
    size_t count;

    (void)state;
    subscribe("s", "later.*", &to);
    subscribe("all", NULL, &all);
    assert_int_equal(publish_at("later.b", 2, skald_test_bus_now(on) + 7200 * INT64_C(1000000)),
                     SKALD_OK);
    assert_int_equal(publish_at("later.a", 1, skald_test_bus_now(on) + 3600 * INT64_C(1000000)),
                     SKALD_OK);
    skald_test_bus_run(on);
    assert_int_equal(to.count + all.count, 0); // hidden
    assert_int_equal(skald_bus_scheduled(bus(), SKALD_STR(""), 0, 10, arena, &waiting, &count),
                     SKALD_OK);
    assert_int_equal(count, 2);
    assert_true(skald_str_equal(waiting[0].type, SKALD_STR("later.b")));
    assert_true(skald_str_equal(waiting[0].stream, SKALD_STR("s-1")));
    assert_int_equal(skald_bus_scheduled(bus(), SKALD_STR("b"), 0, 10, arena, &waiting, &count),
                     SKALD_OK);
    assert_int_equal(count, 0);
    skald_test_bus_pass(on, 3599000);
    assert_int_equal(to.count, 0);
    assert_int_equal(skald_test_bus_crash(on), SKALD_OK);
    to.count = all.count = 0;
    subscribe("s", "later.*", &to);
    subscribe("all", NULL, &all);
    skald_test_bus_pass(on, 1000);
    assert_int_equal(to.count, 1);
    assert_int_equal(all.count, 1);
    skald_test_bus_pass(on, 3600000);
    assert_int_equal(to.count, 2);
    skald_test_bus_pass(on, 36000000);
    assert_int_equal(to.count, 2);
    const skald_event *event;
    skald_cursor *cursor;

    assert_int_equal(skald_cursor_open(skald_test_bus_store(on), NULL, &cursor), SKALD_OK);
    for (uint64_t i = 0; i < to.positions[0]; i++)
        assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
    assert_true(skald_str_equal(event->type, SKALD_STR("later.a")));
    assert_int_equal(event->id.bytes[0], 1);
    assert_true(skald_str_equal(event->data, SKALD_STR("{\"a\":\"\\u00e9\"}")));
    skald_cursor_close(cursor);
}

static void a_scheduled_event_is_cancelled(void **state)
{
    static notes to = {0}; // the bus tells its end behind the test
    skald_time at = skald_test_bus_now(on) + 1000000;

    (void)state;
    subscribe("s", "later.*", &to);
    assert_int_equal(publish_at("later.a", 1, at), SKALD_OK);
    assert_int_equal(publish_at("later.a", 2, at), SKALD_OK);
    skald_test_bus_run(on);
    const skald_actor by = {.user = SKALD_STR("ada")};

    assert_int_equal(skald_schedule_cancel(bus(), SKALD_STR("b"), (skald_uuid){{1}}, &by),
                     SKALD_ENOTFOUND); // of another tenant
    assert_int_equal(skald_schedule_cancel(bus(), SKALD_STR(""), (skald_uuid){{1}}, &by), SKALD_OK);
    assert_int_equal(skald_schedule_cancel(bus(), SKALD_STR(""), (skald_uuid){{1}}, &by),
                     SKALD_ENOTFOUND);
    skald_test_bus_run(on);
    assert_int_equal(skald_test_bus_crash(on), SKALD_OK);
    subscribe("s", "later.*", &to);
    skald_test_bus_pass(on, 5000);
    assert_int_equal(to.count, 1);
    assert_int_equal(skald_schedule_cancel(bus(), SKALD_STR(""), (skald_uuid){{2}}, NULL),
                     SKALD_ENOTFOUND);
}

static void no_more_wait_than_allowed(void **state)
{
    skald_test_bus *other;
    const skald_bus_options options = {.schedule_events_max = 2};

    (void)state;
    assert_int_equal(skald_test_bus_new(&options, &other), SKALD_OK);
    const skald_publish_options later = {.deliver_at = skald_test_bus_now(other) + 1000000};
    skald_event event = {.type = SKALD_STR("a")};

    for (int i = 0; i < 3; i++) {
        assert_int_equal(skald_publish(skald_test_bus_bus(other), event, &later),
                         i < 2 ? SKALD_OK : SKALD_EFULL);
        skald_test_bus_run(other);
    }
    skald_test_bus_pass(other, 1000);
    assert_int_equal(skald_publish(skald_test_bus_bus(other), event, &later), SKALD_OK);
    skald_test_bus_free(other);
}

static void what_does_not_go_together_is_refused(void **state)
{
    const skald_expect expect = {.stream = SKALD_STR("s-1"), .expected = SKALD_NONE};
    skald_error error = {0};
    skald_publish_options options = {.deliver_at = skald_test_bus_now(on) + 1,
                                     .append = {.expect = &expect, .expect_count = 1},
                                     .reterr_error = &error};
    skald_event event = {.type = SKALD_STR("a")};

    (void)state;
    assert_int_equal(skald_publish(bus(), event, &options), SKALD_EINVALID);
    assert_string_equal(error.field, "expectedVersion");
    options.append = (skald_append_options){0};
    options.expires_at = options.deliver_at;
    assert_int_equal(skald_publish(bus(), event, &options), SKALD_EINVALID);
    assert_string_equal(error.field, "expiresAt");
    options.expires_at = 0;
    event.transient = true;
    assert_int_equal(skald_publish(bus(), event, &options), SKALD_EINVALID);
    assert_string_equal(error.field, "deliverAt");
    options.deliver_at = 0;
    options.expires_at = skald_test_bus_now(on) + 1;
    event.transient = false;
    event.metadata = SKALD_STR("{\"expiresAt\":\"2030-01-01T00:00:00Z\"}");
    assert_int_equal(skald_publish(bus(), event, &options), SKALD_EINVALID);
    assert_string_equal(error.field, "expiresAt");
}

static void what_has_expired_is_not_delivered(void **state)
{
    static const char *const metadata[] = {NULL, "{}", " { \"x\" : 1 } "};
    static notes now = {0}, late = {0}; // the bus tells its end behind the test
    skald_subscription_state seen = {0};
    const skald_subscription_state *states;
    size_t count;

    (void)state;
    subscribe("now", "a", &now);
    skald_subscription made = subscribe("late", "a", &late);

    assert_int_equal(skald_subscription_pause(bus(), made, NULL), SKALD_OK);
    for (size_t i = 0; i < 3; i++) {
        const skald_publish_options options = {.expires_at = skald_test_bus_now(on) + 1000000};

        assert_int_equal(skald_publish(bus(),
                                       (skald_event){.type = SKALD_STR("a"),
                                                     .metadata = skald_str_of(metadata[i])},
                                       &options),
                         SKALD_OK);
    }
    skald_test_bus_run(on);
    assert_int_equal(now.count, 3);
    skald_test_bus_pass(on, 1000);
    assert_int_equal(skald_subscription_resume(bus(), made, NULL), SKALD_OK);
    skald_test_bus_run(on);
    assert_int_equal(late.count, 0);
    assert_int_equal(skald_bus_subscriptions(bus(), arena, &states, &count), SKALD_OK);
    for (size_t i = 0; i < count; i++)
        if (states[i].id.id == made.id) seen = states[i];
    assert_int_equal(seen.expired, 3);
    assert_int_equal(seen.position, 3);
}

// What waits for its attempt, and what is set aside, expires too.
static void what_expires_between_attempts_is_given_up(void **state)
{
    static notes retried = {.outcome = SKALD_RETRY, .delay_ms = 5000};
    const skald_publish_options options = {.expires_at = skald_test_bus_now(on) + 1000000};
    skald_bus_counters counters;

    (void)state;
    subscribe("retried", "a", &retried);
    assert_int_equal(skald_publish(bus(), (skald_event){.type = SKALD_STR("a")}, &options),
                     SKALD_OK);
    skald_test_bus_run(on);
    assert_int_equal(retried.count, 1);
    skald_test_bus_pass(on, 10000);
    assert_int_equal(retried.count, 1);
    skald_bus_counters_get(bus(), &counters);
    assert_int_equal(counters.expired, 1);
    assert_int_equal(counters.dead, 0);
}

static const char *report_text(skald_report report, skald_buf *buf)
{
    buf->len = 0;
    assert_int_equal(skald_bus_report(bus(), report, (skald_str){0}, 10, buf), SKALD_OK);
    assert_int_equal(skald_buf_put(buf, (skald_str){"", 1}), SKALD_OK);
    return buf->ptr;
}

// Reading is about what happened: what has expired is shown, what waits for its time is not yet.
static void reads_show_what_has_expired_and_hide_what_waits(void **state)
{
    const skald_publish_options expiring = {.expires_at = skald_test_bus_now(on) + 1000};
    const skald_publish_options waiting = {.deliver_at = skald_test_bus_now(on) + 60000000};
    const skald_event event = {.type = SKALD_STR("a"), .correlation_id = SKALD_STR("c-1")};
    const skald_str named = SKALD_STR("system.scheduled");
    skald_buf buf = {.bytes_max = 1 << 16};
    static notes sees = {0}, all = {0};
    skald_trace trace;

    (void)state;
    subscribe("sees", named.ptr, &sees);
    subscribe("all", "*", &all);
    assert_int_equal(skald_publish(bus(), event, &expiring), SKALD_OK);
    assert_int_equal(skald_publish(bus(), event, &waiting), SKALD_OK);
    skald_test_bus_run(on);
    skald_test_bus_pass(on, 10);
    assert_int_equal(sees.count, 1);
    assert_int_equal(all.count, 1);
    assert_non_null(strstr(report_text(SKALD_HISTORY, &buf), "expiresAt"));
    assert_null(strstr(buf.ptr, named.ptr));
    assert_non_null(strstr(report_text(SKALD_STATS, &buf), "\"totalEvents\":1,"));
    assert_null(strstr(buf.ptr, named.ptr));
    assert_non_null(strstr(report_text(SKALD_STATS_HISTORY, &buf), "\"totalEvents\":1,"));
    assert_null(strstr(buf.ptr, named.ptr));
    assert_int_equal(
        skald_bus_trace(bus(), (skald_str){0}, SKALD_STR("c-1"), 0, arena, &trace, NULL), SKALD_OK);
    assert_int_equal(trace.count, 1);
    skald_test_bus_pass(on, 60000);
    assert_int_equal(all.count, 2);
    assert_non_null(strstr(report_text(SKALD_STATS, &buf), "\"totalEvents\":2,"));
    skald_buf_fini(&buf);
}

static const skald_trace_delivery *outcome_of(const skald_trace_node *node, const char *name)
{
    for (size_t i = 0; i < node->delivery_count; i++)
        if (skald_str_equal(node->deliveries[i].subscription, skald_str_of(name)))
            return &node->deliveries[i];
    return NULL;
}

static skald_err traced(skald_trace *ret_trace)
{
    return skald_bus_trace(bus(), (skald_str){0}, SKALD_STR("c-9"), 0, arena, ret_trace, NULL);
}

static void a_trace_tells_expired_from_acked_and_why_a_test_is_held_back(void **state)
{
    const skald_publish_options expiring = {.expires_at = skald_test_bus_now(on) + 1000};
    const skald_event event = {.type = SKALD_STR("a"), .correlation_id = SKALD_STR("c-9")};
    const skald_event tried = {.type = SKALD_STR("a"),
                               .correlation_id = SKALD_STR("c-9"),
                               .test = true};
    static notes late = {0}, soon = {0};
    const skald_trace_delivery *out;
    skald_trace trace;

    (void)state;
    skald_subscription slow = subscribe("late", "*", &late);

    subscribe("soon", "*", &soon);
    assert_int_equal(skald_subscription_pause(bus(), slow, NULL), SKALD_OK);
    assert_int_equal(skald_publish(bus(), event, &expiring), SKALD_OK);
    assert_int_equal(skald_publish(bus(), tried, NULL), SKALD_OK);
    skald_test_bus_run(on);
    skald_test_bus_pass(on, 10);
    assert_int_equal(skald_subscription_resume(bus(), slow, NULL), SKALD_OK);
    skald_test_bus_run(on);
    assert_int_equal(late.count, 0);
    assert_int_equal(traced(&trace), SKALD_OK);
    assert_int_equal(trace.count, 2);
    out = outcome_of(&trace.nodes[0], "late");
    assert_string_equal(out->outcome, "expired");
    assert_true(out->at != 0 && !out->reason.len);
    out = outcome_of(&trace.nodes[0], "soon");
    assert_string_equal(out->outcome, "acked");
    assert_true(out->at != 0 && !out->reason.len);
    out = outcome_of(&trace.nodes[1], "soon");
    assert_string_equal(out->outcome, "filtered");
    assert_true(skald_str_equal(out->reason, SKALD_STR("test")));
    for (int i = 0; i < 257; i++) // then it is forgotten
        assert_int_equal(skald_publish(bus(), (skald_event){.type = SKALD_STR("b")}, NULL),
                         SKALD_OK);
    skald_test_bus_run(on);
    assert_int_equal(traced(&trace), SKALD_OK);
    out = outcome_of(&trace.nodes[0], "soon");
    assert_string_equal(out->outcome, "acked");
    assert_true(skald_str_equal(out->reason, SKALD_STR("or expired: it is not remembered which")));
}

// Set back to a time: the first event recorded at or after it comes first.
static void it_is_set_back_to_a_time(void **state)
{
    skald_time begun = skald_test_bus_now(on);
    static notes to = {0};

    (void)state;
    skald_subscription made = subscribe("s", "a", &to);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(skald_publish(bus(), (skald_event){.type = SKALD_STR("a")}, NULL),
                         SKALD_OK);
        skald_test_bus_pass(on, 1000);
    }
    static const struct {
        int64_t after_us;
        uint32_t count; // of the last three events
    } places[] = {{1000000, 2}, {1000001, 1}, {-1, 3}, {3000001, 0}};

    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        const skald_reset place = {.from_time = begun + places[i].after_us};

        to.count = 0;
        assert_int_equal(skald_subscription_reset(bus(), made, &place, NULL, NULL), SKALD_OK);
        skald_test_bus_run(on);
        assert_int_equal(to.count, places[i].count);
        for (uint32_t j = 0; j < to.count; j++) assert_int_equal(to.positions[j], 4 - to.count + j);
    }
    assert_int_equal(skald_subscription_reset(
                         bus(), made, &(skald_reset){.from_time = begun, .after = 1}, NULL, NULL),
                     SKALD_EINVALID);
}

static void what_is_not_kept_reaches_who_is_there(void **state)
{
    static notes live = {0}, durable = {0}, other = {0}; // the bus tells its end behind the test
    skald_bus_counters counters;

    (void)state;
    subscribe(NULL, "typing", &live);
    subscribe("durable", "typing", &durable);
    subscribe(NULL, "seen", &other);
    skald_event event = {.type = SKALD_STR("typing"),
                         .stream = SKALD_STR("s-1"),
                         .transient = true};
    skald_appended appended = {0};

    for (int i = 0; i < 3; i++)
        assert_int_equal(skald_publish_all(bus(), &event, 1, NULL, &appended), SKALD_OK);
    assert_int_equal(appended.position_first, 0);
    skald_test_bus_run(on);
    NOTED(&live, 0, 0, 0);
    assert_int_equal(durable.count + other.count, 0);
    assert_int_equal(skald_store_head(skald_test_bus_store(on)), 0);
    skald_bus_counters_get(bus(), &counters);
    assert_int_equal(counters.transient_published, 3);
    assert_int_equal(counters.transient_dropped, 0);
    for (int i = 0; i < 300; i++)
        assert_int_equal(skald_publish_all(bus(), &event, 1, NULL, NULL), SKALD_OK);
    skald_bus_counters_get(bus(), &counters);
    assert_int_equal(counters.transient_dropped, 300 - 256); // the window is full
    skald_test_bus_run(on);
    assert_int_equal(live.count, 3 + 256);
}

static skald_outcome cause_another(const skald_delivery *delivery)
{
    static const char *const next[] = {"a", "b", "c"};
    notes *to = delivery->context;

    for (size_t i = 0; i < 2; i++)
        if (skald_str_equal(delivery->event->type, skald_str_of(next[i])))
            assert_int_equal(skald_delivery_publish(
                                 delivery, (skald_event){.type = skald_str_of(next[i + 1])}, NULL),
                             SKALD_OK);
    return rig_note(&(skald_delivery){.context = to, .event = delivery->event});
}

static void a_trace_says_what_led_to_what(void **state)
{
    static notes to = {0}, bad = {.outcome = SKALD_REJECT}, none = {0}; // the bus tells its end
                                                                        // behind the test
    skald_subscription_options options = rig_options("chain", &to);
    skald_subscription made;
    skald_trace trace;
    skald_error error = {0};

    (void)state;
    options.handler.fn = cause_another;
    assert_int_equal(skald_subscribe(bus(), &options, &made, NULL), SKALD_OK);
    options = rig_options("bad", &bad);
    options.on_exhausted = SKALD_DEAD_LETTER;
    assert_int_equal(skald_subscribe(bus(), &options, &made, NULL), SKALD_OK);
    skald_subscription paused = subscribe("paused", "b", &none);

    assert_int_equal(skald_subscription_pause(bus(), paused, NULL), SKALD_OK);
    assert_int_equal(skald_publish(bus(),
                                   (skald_event){.type = SKALD_STR("a"),
                                                 .correlation_id = SKALD_STR("order-1")},
                                   NULL),
                     SKALD_OK);
    skald_test_bus_run(on);
    assert_int_equal(skald_bus_trace(bus(), (skald_str){0}, SKALD_STR("order-2"), 0, arena, &trace,
                                     &error),
                     SKALD_ENOTFOUND);
    assert_int_equal(skald_bus_trace(bus(), (skald_str){0}, SKALD_STR("order-1"), 0, arena, &trace,
                                     &error),
                     SKALD_OK);
    assert_int_equal(trace.count, 3);
    assert_int_equal(trace.nodes[0].parent, SKALD_TRACE_ROOT);
    assert_int_equal(trace.nodes[1].parent, 0);
    assert_int_equal(trace.nodes[2].parent, 1);
    assert_string_equal(outcome_of(&trace.nodes[1], "chain")->outcome, "acked");
    assert_true(outcome_of(&trace.nodes[1], "chain")->at != 0);
    assert_string_equal(outcome_of(&trace.nodes[1], "bad")->outcome, "dead");
    assert_true(skald_str_equal(outcome_of(&trace.nodes[1], "bad")->reason, SKALD_STR("never")));
    assert_string_equal(outcome_of(&trace.nodes[1], "paused")->outcome, "paused");
    assert_string_equal(outcome_of(&trace.nodes[2], "paused")->outcome, "filtered");
    assert_int_equal(skald_bus_trace(bus(), (skald_str){0}, SKALD_STR("order-1"), 2, arena, &trace,
                                     &error),
                     SKALD_OK);
    assert_true(trace.truncated && trace.count == 2);
}

static void trouble_is_made_on_purpose(void **state)
{
    static notes to = {0}; // the bus tells its end behind the test
    skald_test_trouble trouble = {.duplicate = 1};
    skald_subscription_options options = rig_options("s", &to);
    skald_subscription made;

    (void)state;
    options.handler = skald_test_handler(on, options.handler, &trouble);
    assert_int_equal(skald_subscribe(bus(), &options, &made, NULL), SKALD_OK);
    skald_event event = {.type = SKALD_STR("a")};

    assert_int_equal(skald_publish(bus(), event, NULL), SKALD_OK);
    skald_test_bus_run(on);
    skald_test_bus_pass(on, 1);
    NOTED(&to, 1, 1);
    trouble = (skald_test_trouble){.delay = 1, .delay_ms = 50, .slow = 1, .slow_ms = 5};
    to.count = 0;
    assert_int_equal(skald_publish(bus(), event, NULL), SKALD_OK);
    skald_test_bus_run(on);
    skald_test_bus_pass(on, 49);
    assert_int_equal(to.count, 0);
    skald_time before = skald_test_bus_now(on);

    skald_test_bus_pass(on, 1);
    NOTED(&to, 2);
    assert_int_equal(skald_test_bus_now(on) - before, 6000);
    trouble = (skald_test_trouble){.fail = 1, .crash = 1};
    to.count = 0;
    assert_int_equal(skald_publish(bus(), event, NULL), SKALD_OK);
    skald_test_bus_run(on);
    assert_false(skald_test_bus_crashed(on));
    skald_test_bus_pass(on, 1000);
    assert_true(skald_test_bus_crashed(on));
    NOTED(&to, 3);
    assert_int_equal(skald_test_bus_crash(on), SKALD_OK);
    options = rig_options("s", &to);
    assert_int_equal(skald_subscribe(bus(), &options, &made, NULL), SKALD_OK);
    skald_test_bus_run(on);
    NOTED(&to, 3, 3); // it was not known to be done
    assert_int_equal(skald_test_bus_restart(on), SKALD_OK);
    assert_int_equal(to.ends, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_scheduled_event_comes_in_time, begin, end),
        cmocka_unit_test_setup_teardown(a_scheduled_event_is_cancelled, begin, end),
        cmocka_unit_test_setup_teardown(no_more_wait_than_allowed, begin, end),
        cmocka_unit_test_setup_teardown(what_does_not_go_together_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(it_is_set_back_to_a_time, begin, end),
        cmocka_unit_test_setup_teardown(what_has_expired_is_not_delivered, begin, end),
        cmocka_unit_test_setup_teardown(what_expires_between_attempts_is_given_up, begin, end),
        cmocka_unit_test_setup_teardown(reads_show_what_has_expired_and_hide_what_waits, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_is_not_kept_reaches_who_is_there, begin, end),
        cmocka_unit_test_setup_teardown(a_trace_says_what_led_to_what, begin, end),
        cmocka_unit_test_setup_teardown(
            a_trace_tells_expired_from_acked_and_why_a_test_is_held_back, begin, end),
        cmocka_unit_test_setup_teardown(trouble_is_made_on_purpose, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
