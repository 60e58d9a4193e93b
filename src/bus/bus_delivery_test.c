// SPDX-License-Identifier: Apache-2.0
// Deliveries on a stepped bus: filters, order, outcomes, turns.
#include "bus/bus_rig.h"

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

static void what_is_published_arrives(void **state)
{
    notes early = {0}, late = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &early);

    rig_subscribe(&on, &options);
    rig_publish(&on, "a", "s-1");
    rig_publish(&on, "b", NULL);
    options.handler.context = &late;
    rig_subscribe(&on, &options); // transient: from the end
    rig_publish(&on, "c", "s-1");
    assert_int_equal(rig_run(&on), 4);
    NOTED(&early, 1, 2, 3);
    NOTED(&late, 3);
    assert_int_equal(rig_run(&on), 0);
    rig_close(&on);
    assert_int_equal(early.ends, 1);
    assert_int_equal(late.ends, 1);
}

static void filters_hold(void **state)
{
    const skald_str types[] = {SKALD_STR("order.*")}, exact[] = {SKALD_STR("order.made")};
    const skald_str streams[] = {SKALD_STR("o-2")};
    notes prefix = {0}, one = {0}, stream = {0}, tenant = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &prefix);

    options.filter.types = (skald_texts){types, 1};
    rig_subscribe(&on, &options);
    options = rig_options(NULL, &one);
    options.filter.types = (skald_texts){exact, 1};
    rig_subscribe(&on, &options);
    options = rig_options(NULL, &stream);
    options.filter.types = (skald_texts){exact, 1};
    options.filter.streams = (skald_texts){streams, 1};
    rig_subscribe(&on, &options);
    options = rig_options(NULL, &tenant);
    options.filter.tenant = SKALD_STR("acme");
    rig_subscribe(&on, &options);
    rig_publish(&on, "order.made", "o-1");
    rig_publish(&on, "order.made", "o-2");
    rig_publish(&on, "order.paid", "o-2");
    rig_publish(&on, "other", "o-2");
    skald_event theirs = {.type = SKALD_STR("other"), .tenant = SKALD_STR("acme")};

    assert_int_equal(skald_publish(on.bus, theirs, NULL), SKALD_OK);
    rig_run(&on);
    NOTED(&prefix, 1, 2, 3);
    NOTED(&one, 1, 2);
    NOTED(&stream, 2);
    NOTED(&tenant, 5);
    rig_close(&on);
}

static void tests_are_for_those_who_take_them(void **state)
{
    notes business = {0}, all = {0}, behind = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &business);

    rig_subscribe(&on, &options);
    options = rig_options(NULL, &all);
    options.takes_tests = true;
    rig_subscribe(&on, &options);
    assert_int_equal(
        skald_publish(on.bus, (skald_event){.type = SKALD_STR("t"), .test = true}, NULL), SKALD_OK);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    options = rig_options("behind", &behind); // reads for itself
    rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&business, 2);
    NOTED(&all, 1, 2);
    NOTED(&behind, 2);
    rig_close(&on);
}

static void a_key_keeps_its_order_across_retries(void **state)
{
    notes to = {.outcome = SKALD_RETRY, .bad_stream = "s-1", .delay_ms = 50};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);

    rig_subscribe(&on, &options);
    rig_publish(&on, "a", "s-1"); // 1 fails
    rig_publish(&on, "b", "s-1"); // 2 waits behind it
    rig_publish(&on, "c", "s-2"); // 3, 4: others go on
    rig_publish(&on, "d", NULL);
    rig_run(&on);
    NOTED(&to, 1, 3, 4);
    rig_pass(&on, 49);
    assert_int_equal(to.count, 3);
    rig_pass(&on, 1);
    NOTED(&to, 1, 3, 4, 1);
    assert_int_equal(to.attempts[3], 2);
    to.outcome = SKALD_ACK;
    rig_pass(&on, 50);
    NOTED(&to, 1, 3, 4, 1, 1, 2);
    assert_int_equal(to.attempts[4], 3);
    assert_int_equal(to.attempts[5], 1);
    assert_int_equal(on.warnings, 1); // the first failure of a delivery
    rig_close(&on);
}

// A handler that answers garbage is told so, and others go on.
static void what_is_no_outcome_is_a_failure(void **state)
{
    notes to = {.outcome = (skald_outcome)77, .bad_stream = "s-1"};
    const skald_aside_query all = {0};
    const skald_aside *asides = NULL;
    skald_arena *kept;
    size_t count = 0;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("odd", &to);

    options.on_exhausted = SKALD_DEAD_LETTER;
    options.retry.attempts_max = 2;
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", "s-1");
    rig_publish(&on, "b", "s-2");
    rig_run(&on);
    NOTED(&to, 1, 2);
    rig_pass(&on, 1000);
    NOTED(&to, 1, 2, 1);
    assert_int_equal(skald_arena_new(1 << 20, &kept), SKALD_OK);
    assert_int_equal(skald_bus_asides(on.bus, &all, kept, &asides, &count), SKALD_OK);
    assert_int_equal(count, 1);
    assert_true(skald_str_equal(asides[0].error,
                                SKALD_STR("the handler answered 77, which is no outcome")));
    skald_arena_free(kept);
    rig_close(&on);
}

static void the_same_stream_of_two_tenants_is_two_keys(void **state)
{
    notes to = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);

    rig_subscribe(&on, &options);
    skald_event event = {.type = SKALD_STR("a"), .stream = SKALD_STR("s-1")};

    for (int i = 0; i < 2; i++) {
        event.tenant = i ? SKALD_STR("b") : SKALD_STR("a");
        assert_int_equal(skald_publish(on.bus, event, NULL), SKALD_OK);
        assert_int_equal(skald_publish(on.bus, event, NULL), SKALD_OK);
    }
    rig_run(&on);
    NOTED(&to, 1, 3);
    rig_close(&on);
}

static void in_sequence_means_all(void **state)
{
    notes to = {.outcome = SKALD_RETRY, .bad_stream = "s-1", .delay_ms = 10};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);

    options.order = SKALD_IN_SEQUENCE;
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", "s-1");
    rig_publish(&on, "b", "s-2");
    rig_publish(&on, "c", NULL);
    rig_run(&on);
    NOTED(&to, 1);
    to.outcome = SKALD_ACK;
    rig_pass(&on, 10);
    NOTED(&to, 1, 1, 2, 3);
    rig_close(&on);
}

static void unordered_waits_for_nothing(void **state)
{
    notes to = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);

    options.order = SKALD_UNORDERED;
    rig_subscribe(&on, &options);
    for (int i = 0; i < 5; i++) rig_publish(&on, "a", "s-1");
    rig_run(&on);
    NOTED(&to, 1, 2, 3, 4, 5);
    rig_close(&on);
}

static void higher_priority_goes_first(void **state)
{
    static const skald_priority priorities[] = {SKALD_NORMAL, SKALD_LOW, SKALD_CRITICAL, SKALD_HIGH,
                                                SKALD_NORMAL};
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);

    rig_subscribe(&on, &options);
    for (int i = 0; i < 5; i++) {
        skald_event event = {.type = SKALD_STR("a"), .priority = priorities[i]};

        assert_int_equal(skald_publish(on.bus, event, NULL), SKALD_OK);
    }
    rig_run(&on);
    NOTED(&to, 3, 4, 1, 5, 2);
    rig_close(&on);
}

static void back_off_grows_to_its_maximum(void **state)
{
    static const uint64_t waits_ms[] = {100, 300, 900, 1000, 1000};
    notes to = {.outcome = SKALD_RETRY};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);

    options.retry =
        (skald_retry_policy){.first_ms = 100, .factor = 3, .max_ms = 1000, .jitter = -1};
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    for (size_t i = 0; i < sizeof(waits_ms) / sizeof(*waits_ms); i++) {
        assert_int_equal(skald_bus_due_ns(on.bus), on.now_ns + waits_ms[i] * SKI_NS_PER_MS);
        assert_int_equal(rig_pass(&on, waits_ms[i] - 1), 0);
        assert_int_equal(rig_pass(&on, 1), 1);
    }
    assert_int_equal(to.attempts[to.count - 1], 6);
    rig_close(&on);
}

static void jitter_stays_within(void **state)
{
    notes to = {.outcome = SKALD_RETRY};
    uint64_t least = UINT64_MAX, most = 0;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);

    options.retry = (skald_retry_policy){.first_ms = 1000, .factor = 1, .jitter = 0.5};
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    for (int i = 0; i < 200; i++) {
        uint64_t wait = skald_bus_due_ns(on.bus) - on.now_ns;

        if (wait < least) least = wait;
        if (wait > most) most = wait;
        on.now_ns += wait;
        assert_int_equal(rig_run(&on), 1);
    }
    assert_true(least >= 500 * SKI_NS_PER_MS && least < 600 * SKI_NS_PER_MS);
    assert_true(most <= 1500 * SKI_NS_PER_MS && most > 1400 * SKI_NS_PER_MS);
    rig_close(&on);
}

static void pending_ends_later(void **state)
{
    notes to = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "a", "s-1");
    rig_publish(&on, "b", "s-1");
    rig_run(&on);
    NOTED(&to, 1);
    assert_int_equal(rig_state(&on, made, arena).in_flight, 2);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_PENDING, 0, NULL), SKALD_EINVALID);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_RETRY, 20, "busy"), SKALD_OK);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_ACK, 0, NULL), SKALD_ESTALE);
    assert_int_equal(rig_state(&on, made, arena).retrying, 1);
    assert_true(skald_str_equal(rig_state(&on, made, arena).last_error, SKALD_STR("busy")));
    rig_pass(&on, 20);
    NOTED(&to, 1, 1);
    assert_true(to.ids[0].id != to.ids[1].id);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_ACK, 0, NULL), SKALD_ESTALE);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[1], SKALD_ACK, 0, NULL), SKALD_OK);
    rig_run(&on);
    NOTED(&to, 1, 1, 2);
    assert_int_equal(skald_delivery_end(on.bus, (skald_delivery_id){0}, SKALD_ACK, 0, NULL),
                     SKALD_ESTALE);
    assert_int_equal(skald_delivery_end(on.bus, (skald_delivery_id){UINT64_MAX}, SKALD_ACK, 0,
                                        NULL),
                     SKALD_ESTALE);
    rig_close(&on);
}

static void pending_times_out(void **state)
{
    notes to = {.outcome = SKALD_PENDING};
    skald_bus_counters counters;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);

    options.retry = (skald_retry_policy){.timeout_ms = 500, .first_ms = 100, .jitter = -1};
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "a", "s-1");
    rig_run(&on);
    assert_int_equal(rig_pass(&on, 499), 0);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_RETRY, 1, NULL), SKALD_OK);
    rig_pass(&on, 1);
    assert_int_equal(to.count, 2);
    rig_pass(&on, 500); // the second attempt is not answered
    assert_int_equal(skald_delivery_end(on.bus, to.ids[1], SKALD_ACK, 0, NULL), SKALD_ESTALE);
    assert_int_equal(rig_state(&on, made, arena).timed_out, 1);
    assert_int_equal(rig_pass(&on, 199), 0);
    assert_int_equal(rig_pass(&on, 1), 1);
    assert_int_equal(to.attempts[2], 3);
    skald_bus_counters_get(on.bus, &counters);
    assert_int_equal(counters.timed_out, 1);
    assert_int_equal(counters.delivered, 3);
    rig_close(&on);
}

typedef struct early {
    notes noted;
    skald_outcome outcome, returned;
    skald_err first, second;
} early;

static skald_outcome end_early(const skald_delivery *delivery)
{
    early *to = delivery->context;

    to->noted.count++;
    to->first = skald_delivery_end(delivery->bus, delivery->id, to->outcome, 5, "so soon");
    to->second = skald_delivery_end(delivery->bus, delivery->id, to->outcome, 5, NULL);
    return to->returned;
}

static void an_answer_may_come_before_the_handler_returns(void **state)
{
    early to = {.outcome = SKALD_RETRY, .returned = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = {.handler = {.fn = end_early, .context = &to}};
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "a", "s-1");
    rig_run(&on);
    assert_int_equal(to.first, SKALD_OK);
    assert_int_equal(to.second, SKALD_ESTALE);
    assert_true(skald_str_equal(rig_state(&on, made, arena).last_error, SKALD_STR("so soon")));
    to.outcome = SKALD_ACK;
    to.returned = SKALD_RETRY; // the answer counts, it was accepted
    rig_pass(&on, 5);
    assert_int_equal(to.noted.count, 2);
    assert_int_equal(rig_state(&on, made, arena).acked, 1);
    assert_int_equal(rig_state(&on, made, arena).in_flight, 0);
    rig_close(&on);
}

static void exhausted_halts(void **state)
{
    notes to = {.outcome = SKALD_RETRY, .bad_stream = "s-1", .delay_ms = 1}, other = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("halting", &to);

    options.retry.attempts_max = 3;
    skald_subscription made = rig_subscribe(&on, &options);

    options = rig_options("other", &other);
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", "s-2");
    rig_publish(&on, "bad.one", "s-1");
    rig_publish(&on, "c", "s-1");
    for (int i = 0; i < 5; i++) rig_pass(&on, 1);
    rig_publish(&on, "d", "s-2");
    rig_pass(&on, 1000);
    NOTED(&to, 1, 2, 2, 2);
    NOTED(&other, 1, 2, 3, 4); // nobody else is concerned
    skald_subscription_state now = rig_state(&on, made, arena);

    assert_true(skald_str_equal(now.state, SKALD_STR("faulted")));
    assert_int_equal(now.position, 1);
    assert_true(skald_str_equal(
        now.last_error, SKALD_STR("halted at position 2 (bad.one) after 3 attempts: not today")));
    assert_int_equal(on.errors, 1);
    // It resumes at that event.
    assert_int_equal(skald_unsubscribe(on.bus, made, false), SKALD_OK);
    to = (notes){.outcome = SKALD_ACK};
    options = rig_options("halting", &to);
    rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&to, 2, 3, 4);
    rig_close(&on);
}

static void rejected_halts_at_once(void **state)
{
    notes to = {.outcome = SKALD_REJECT};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "a", NULL);
    rig_publish(&on, "b", NULL);
    rig_pass(&on, 100000);
    NOTED(&to, 1);
    assert_true(skald_str_equal(rig_state(&on, made, arena).last_error,
                                SKALD_STR("halted at position 1 (a) after 1 attempt: never")));
    assert_int_equal(rig_state(&on, made, arena).rejected, 1);
    rig_close(&on);
}

static void halted_keeps_answers_that_come(void **state)
{
    notes to = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("h", &to);
    skald_subscription made = rig_subscribe(&on, &options);

    for (int i = 0; i < 3; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_REJECT, 0, "no"), SKALD_OK);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[1], SKALD_ACK, 0, NULL), SKALD_OK);
    rig_pass(&on, 60000); // the third times out, and is retried, but not delivered
    assert_int_equal(to.count, 3);
    assert_int_equal(rig_state(&on, made, arena).acked, 1);
    assert_true(skald_str_equal(rig_state(&on, made, arena).last_error,
                                SKALD_STR("halted at position 1 (a) after 1 attempt: no")));
    rig_restart(&on, false);
    to = (notes){0};
    rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&to, 1, 3);
    rig_close(&on);
}

static skald_outcome use_scratch(const skald_delivery *delivery)
{
    uint32_t *sum = delivery->context;
    char *memory = skald_arena_get(delivery->scratch, 100000);

    assert_non_null(memory);
    memory[99999] = 1;
    *sum += 1;
    return SKALD_ACK;
}

static void scratch_is_emptied_each_time(void **state)
{
    uint32_t sum = 0;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = {.handler = {.fn = use_scratch, .context = &sum}};

    rig_subscribe(&on, &options);
    for (int i = 0; i < 100; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(sum, 100);
    rig_close(&on);
}

static void one_that_fails_delays_nobody(void **state)
{
    notes bad = {.outcome = SKALD_RETRY}, good = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &bad);

    options.in_flight_max = 4;
    rig_subscribe(&on, &options);
    options = rig_options(NULL, &good);
    rig_subscribe(&on, &options);
    for (int i = 0; i < 500; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(good.count, 500);
    assert_int_equal(bad.count, 4);
    rig_close(&on);
}

static void turns_are_taken(void **state)
{
    notes many = {0}, few = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &many);

    rig_subscribe(&on, &options);
    options = rig_options(NULL, &few);
    rig_subscribe(&on, &options);
    for (int i = 0; i < 100; i++) rig_publish(&on, "a", NULL);
    assert_int_equal(skald_bus_run(on.bus, 20), 20);
    assert_int_equal(many.count, 10);
    assert_int_equal(few.count, 10);
    rig_close(&on);
}

enum { many_ids = 600 };

static void many_are_ended_at_once(void **state)
{
    static skald_delivery_id many[many_ids];
    static bool each[many_ids];
    notes to = {.outcome = SKALD_PENDING}, other = {.outcome = SKALD_PENDING};
    skald_delivery_id ids[5] = {{0}};
    size_t ended = 9;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to), others = rig_options(NULL, &other);

    rig_subscribe(&on, &options);
    rig_subscribe(&on, &others);
    rig_run(&on);
    rig_publish(&on, "a", NULL);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(to.count + other.count, 4);
    ids[0] = to.ids[0];
    ids[1] = other.ids[0];
    ids[2] = to.ids[1];
    ids[3] = to.ids[0]; // a second time; and one that never was
    assert_int_equal(skald_deliveries_end(on.bus, ids, 5, SKALD_PENDING, 0, NULL, NULL, &ended),
                     SKALD_EINVALID);
    assert_int_equal(ended, 9);
    assert_int_equal(skald_deliveries_end(on.bus, ids, 5, SKALD_ACK, 0, NULL, each, &ended),
                     SKALD_OK);
    assert_int_equal(ended, 3);
    assert_memory_equal(each, ((const bool[5]){true, true, true, false, false}), sizeof(bool[5]));
    many[many_ids - 1] = other.ids[1]; // more than one hold of the lock
    assert_int_equal(
        skald_deliveries_end(on.bus, many, many_ids, SKALD_RETRY, 1, "no", each, &ended), SKALD_OK);
    assert_int_equal(ended, 1);
    assert_true(each[many_ids - 1]);
    assert_false(each[0] || each[256]);
    rig_pass(&on, 10);
    assert_int_equal(to.count, 2);
    assert_int_equal(other.count, 3);
    rig_close(&on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_are_ended_at_once),
        cmocka_unit_test(what_is_published_arrives),
        cmocka_unit_test(filters_hold),
        cmocka_unit_test(tests_are_for_those_who_take_them),
        cmocka_unit_test(a_key_keeps_its_order_across_retries),
        cmocka_unit_test(what_is_no_outcome_is_a_failure),
        cmocka_unit_test(the_same_stream_of_two_tenants_is_two_keys),
        cmocka_unit_test(in_sequence_means_all),
        cmocka_unit_test(unordered_waits_for_nothing),
        cmocka_unit_test(higher_priority_goes_first),
        cmocka_unit_test(back_off_grows_to_its_maximum),
        cmocka_unit_test(jitter_stays_within),
        cmocka_unit_test(pending_ends_later),
        cmocka_unit_test(pending_times_out),
        cmocka_unit_test(an_answer_may_come_before_the_handler_returns),
        cmocka_unit_test(exhausted_halts),
        cmocka_unit_test(rejected_halts_at_once),
        cmocka_unit_test(halted_keeps_answers_that_come),
        cmocka_unit_test(scratch_is_emptied_each_time),
        cmocka_unit_test(one_that_fails_delays_nobody),
        cmocka_unit_test(turns_are_taken),
    };

    return cmocka_run_group_tests(tests, arena_made, arena_gone);
}
