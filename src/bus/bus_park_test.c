// SPDX-License-Identifier: Apache-2.0
// Dead letters and parked keys: set aside, kept over crashes, listed, released, skipped, edited.
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

static skald_subscription_options options_of(notes *to, skald_exhausted end)
{
    skald_subscription_options options = rig_options("s", to);

    options.on_exhausted = end;
    options.retry = (skald_retry_policy){.attempts_max = 3, .first_ms = 10, .jitter = -1};
    return options;
}

static const skald_aside *asides(rig *on, size_t count)
{
    const skald_aside *items;
    size_t found;

    assert_int_equal(skald_bus_asides(on->bus, &(skald_aside_query){0}, arena, &items, &found),
                     SKALD_OK);
    assert_int_equal(found, count);
    return items;
}

static const skald_filter ours = {
    .types = {&(const skald_str){"a", 1}, 1},
};

static void an_exhausted_delivery_becomes_a_dead_letter(void **state)
{
    notes to = {.outcome = SKALD_RETRY, .bad_stream = "s-1"};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = options_of(&to, SKALD_DEAD_LETTER);

    rig_subscribe(&on, &options);
    rig_publish(&on, "a", "s-1");
    rig_publish(&on, "a", "s-2");
    rig_publish(&on, "a", "s-1");
    rig_run(&on);
    rig_pass(&on, 10);
    rig_pass(&on, 20); // the third attempt at 1; then 3 begins
    rig_pass(&on, 10);
    rig_pass(&on, 20);
    const skald_aside *found = asides(&on, 2);

    assert_int_equal(found[0].position, 1);
    assert_int_equal(found[1].position, 3);
    assert_int_equal(found[0].attempts, 3);
    assert_false(found[0].parked);
    assert_true(skald_str_equal(found[0].error, SKALD_STR("not today")));
    assert_true(skald_str_equal(found[0].subscription, SKALD_STR("s")));
    assert_true(skald_str_equal(found[0].stream, SKALD_STR("s-1")));
    assert_int_equal(found[0].last_at - found[0].first_at, 30000);
    for (int crash = 0; crash < 2; crash++) {
        to.count = 0;
        rig_restart(&on, crash);
        asides(&on, 2); // nobody runs it: from the store
        rig_subscribe(&on, &options);
        rig_run(&on);
        assert_int_equal(to.count, 0);
        asides(&on, 2);
    }
    rig_close(&on);
}

static void a_rejected_one_goes_at_once(void **state)
{
    notes to = {.outcome = SKALD_REJECT, .bad_stream = "s-1"};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = options_of(&to, SKALD_DEAD_LETTER);

    rig_subscribe(&on, &options);
    rig_publish(&on, "a", "s-1");
    rig_publish(&on, "a", "s-1");
    rig_run(&on);
    NOTED(&to, 1, 2);
    assert_int_equal(asides(&on, 2)->attempts, 1);
    rig_close(&on);
}

static void by_default_attempts_end(void **state)
{
    notes to = {.outcome = SKALD_RETRY};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("s", &to);

    options.on_exhausted = SKALD_DEAD_LETTER;
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    for (int i = 0; i < 20; i++) rig_pass(&on, 400000);
    assert_int_equal(to.count, 8);
    assert_int_equal(asides(&on, 1)->attempts, 8);
    rig_close(&on);
}

static void dead_letters_are_tried_again_or_dropped(void **state)
{
    notes to = {.outcome = SKALD_REJECT};
    skald_subscription_state now;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = options_of(&to, SKALD_DEAD_LETTER);

    options.filter = ours;
    skald_subscription made = rig_subscribe(&on, &options);

    for (int i = 0; i < 3; i++) rig_publish(&on, "a", "s-1");
    rig_run(&on);
    now = rig_state(&on, made, arena);
    assert_int_equal(now.dead, 3);
    to.outcome = SKALD_ACK;
    to.count = 0;
    const skald_aside_id first = {.subscription = SKALD_STR("s"), .position = 1};
    const skald_aside_id second = {.subscription = SKALD_STR("s"), .position = 2};
    const skald_aside_id none = {.subscription = SKALD_STR("s"), .position = 9};
    const skald_aside_id nobody = {.subscription = SKALD_STR("t"), .position = 1};
    const skald_actor by = {.user = SKALD_STR("ada")};
    skald_error error = {0};

    assert_int_equal(skald_aside_release(on.bus, &none, &by, &error), SKALD_ENOTFOUND);
    assert_int_equal(skald_aside_release(on.bus, &nobody, &by, &error), SKALD_ESTATE);
    assert_int_equal(skald_aside_release(on.bus, &first, &by, &error), SKALD_OK);
    assert_int_equal(skald_aside_release(on.bus, &first, &by, &error), SKALD_ESTATE);
    assert_int_equal(skald_aside_discard(on.bus, &second, &by, &error), SKALD_OK);
    rig_run(&on);
    NOTED(&to, 1);
    assert_int_equal(to.attempts[0], 1);
    assert_int_equal(asides(&on, 1)->position, 3);
    rig_restart(&on, true);
    to.count = 0;
    rig_subscribe(&on, &options);
    rig_run(&on);
    assert_int_equal(to.count, 0);
    asides(&on, 1);
    uint32_t count;

    assert_int_equal(skald_aside_release_all(on.bus, &(skald_aside_query){.dead = true}, &by,
                                             &count, &error),
                     SKALD_OK);
    assert_int_equal(count, 1);
    rig_run(&on);
    NOTED(&to, 3);
    asides(&on, 0);
    rig_close(&on);
}

static void one_that_fails_again_is_dead_again(void **state)
{
    notes to = {.outcome = SKALD_REJECT};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = options_of(&to, SKALD_DEAD_LETTER);

    options.filter = ours;
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    const skald_aside_id first = {.subscription = SKALD_STR("s"), .position = 1};

    assert_int_equal(skald_aside_release(on.bus, &first, NULL, NULL), SKALD_OK);
    rig_run(&on);
    assert_int_equal(asides(&on, 1)->attempts, 2);
    assert_false(asides(&on, 1)->releasing);
    rig_close(&on);
}

static void a_limit_of_dead_letters_halts(void **state)
{
    notes to = {.outcome = SKALD_REJECT};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = options_of(&to, SKALD_DEAD_LETTER);

    options.dead_letters_max = 2;
    options.filter = ours;
    skald_subscription made = rig_subscribe(&on, &options);

    for (int i = 0; i < 4; i++) rig_publish(&on, "a", "s-1");
    rig_run(&on);
    asides(&on, 2);
    skald_subscription_state now = rig_state(&on, made, arena);

    assert_true(skald_str_equal(now.state, SKALD_STR("faulted")));
    assert_int_equal(now.position, 2);
    assert_non_null(memmem(now.last_error.ptr, now.last_error.len, "dead letters", 12));
    const skald_aside_id first = {.subscription = SKALD_STR("s"), .position = 1};

    assert_int_equal(skald_aside_discard(on.bus, &first, NULL, NULL), SKALD_OK);
    to.outcome = SKALD_ACK;
    to.count = 0;
    assert_int_equal(skald_subscription_resume(on.bus, made, NULL), SKALD_OK);
    rig_run(&on);
    NOTED(&to, 3, 4);
    rig_close(&on);
}

static void a_parked_key_keeps_its_order(void **state)
{
    notes to = {.outcome = SKALD_REJECT, .bad_stream = "s-1"};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = options_of(&to, SKALD_PARK_KEY);

    options.filter = ours;
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "a", "s-1");
    rig_publish(&on, "a", "s-2");
    rig_publish(&on, "a", "s-1");
    rig_publish(&on, "b", "s-1");
    rig_run(&on);
    rig_publish(&on, "a", "s-1");
    rig_publish(&on, "a", "s-2");
    rig_run(&on);
    NOTED(&to, 1, 2, 6);
    const skald_aside *found = asides(&on, 1);

    assert_true(found->parked);
    assert_int_equal(found->position, 1);
    assert_int_equal(found->waiting, 2);
    assert_true(skald_str_equal(found->key, SKALD_STR("s-1")));
    assert_int_equal(rig_state(&on, made, arena).position, 6); // the floor passes
    rig_restart(&on, true);
    to.count = 0;
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", "s-1");
    rig_publish(&on, "a", "s-2");
    rig_run(&on);
    NOTED(&to, 8);
    const skald_aside_id id = {.subscription = SKALD_STR("s"), .key = SKALD_STR("s-1")};

    to.bad_stream = NULL;
    to.outcome = SKALD_ACK;
    to.count = 0;
    assert_int_equal(skald_aside_release(on.bus, &id, NULL, NULL), SKALD_OK);
    rig_run(&on);
    NOTED(&to, 1, 3, 5, 7);
    asides(&on, 0);
    rig_publish(&on, "a", "s-1");
    rig_run(&on);
    assert_int_equal(to.count, 5);
    rig_close(&on);
}

static void a_release_that_fails_parks_where_it_is(void **state)
{
    notes to = {.outcome = SKALD_REJECT};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = options_of(&to, SKALD_PARK_KEY);
    const skald_aside_id id = {.subscription = SKALD_STR("s"), .key = SKALD_STR("s-1")};

    options.filter = ours;
    rig_subscribe(&on, &options);
    for (int i = 0; i < 4; i++) rig_publish(&on, "a", "s-1");
    rig_run(&on);
    NOTED(&to, 1);
    assert_int_equal(skald_aside_discard(on.bus, &id, NULL, NULL), SKALD_OK); // 1 is skipped
    rig_run(&on);
    NOTED(&to, 1, 2);
    const skald_aside *found = asides(&on, 1);

    assert_int_equal(found->position, 2);
    assert_int_equal(found->waiting, 2);
    to.outcome = SKALD_ACK;
    assert_int_equal(skald_aside_edit(on.bus, &id, SKALD_STR("{\"fixed\":true}"), NULL, NULL),
                     SKALD_OK);
    rig_run(&on);
    NOTED(&to, 1, 2, 2, 3, 4);
    asides(&on, 0);
    rig_close(&on);
}

static skald_outcome take_fixed(const skald_delivery *delivery)
{
    if (skald_str_equal(delivery->event->data, SKALD_STR("{\"fixed\":true}")))
        return rig_note(delivery);
    return SKALD_REJECT;
}

static void an_edited_one_is_given_edited_and_kept_so(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = options_of(&to, SKALD_DEAD_LETTER);
    const skald_aside_id id = {.subscription = SKALD_STR("s"), .position = 1};
    skald_error error = {0};

    options.filter = ours;
    options.handler.fn = take_fixed;
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", "s-1");
    rig_run(&on);
    assert_int_equal(skald_aside_edit(on.bus, &id, SKALD_STR("{"), NULL, &error), SKALD_EINVALID);
    assert_int_equal(skald_aside_edit(on.bus, &id, SKALD_STR("{\"fixed\":true}"), NULL, &error),
                     SKALD_OK);
    skald_bus_run(on.bus, 0); // it is written, and not yet given
    rig_restart(&on, true);
    rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&to, 1);
    asides(&on, 0);
    rig_close(&on);
}

static skald_str key_of(const skald_event *event)
{
    return event->tags;
}

static void keys_are_what_they_are_said_to_be(void **state)
{
    static const char *const data[] = {"{\"o\":{\"id\":\"x\"}}",
                                       "{\"o\":{\"id\":\"y\"}}",
                                       "{\"o\":{\"id\":\"\\u0078\"}}",
                                       "{\"o\":{\"id\":7}}",
                                       "{\"o\":{\"id\":7}}",
                                       "{}",
                                       "{}"};
    notes to = {.outcome = SKALD_PENDING}, by = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("pointer", &to);

    options.order = SKALD_BY_KEY;
    options.key_pointer = "/o/id";
    rig_subscribe(&on, &options);
    options = rig_options("function", &by);
    options.order = SKALD_BY_KEY;
    options.key = key_of;
    rig_subscribe(&on, &options);
    for (size_t i = 0; i < sizeof(data) / sizeof(*data); i++)
        assert_int_equal(skald_publish(on.bus,
                                       (skald_event){.type = SKALD_STR("a"),
                                                     .tags = i % 2 ? SKALD_STR("odd")
                                                                   : SKALD_STR("even"),
                                                     .data = skald_str_of(data[i])},
                                       NULL),
                         SKALD_OK);
    rig_run(&on);
    NOTED(&to, 1, 2, 4, 6, 7);
    NOTED(&by, 1, 2);
    rig_close(&on);
}

static void a_key_that_is_no_stream_is_found_again(void **state)
{
    notes to = {.outcome = SKALD_REJECT};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = options_of(&to, SKALD_PARK_KEY);
    const skald_aside_id id = {.subscription = SKALD_STR("s"), .key = SKALD_STR("odd")};

    options.order = SKALD_BY_KEY;
    options.key = key_of;
    options.filter = ours;
    rig_subscribe(&on, &options);
    for (size_t i = 0; i < 600; i++)
        assert_int_equal(skald_publish(on.bus,
                                       (skald_event){.type = SKALD_STR("a"),
                                                     .tags = i % 2 ? SKALD_STR("odd")
                                                                   : SKALD_STR("even")},
                                       NULL),
                         SKALD_OK);
    rig_run(&on);
    NOTED(&to, 1, 2);
    assert_int_equal(asides(&on, 2)[1].waiting, 299);
    to.outcome = SKALD_ACK;
    assert_int_equal(skald_aside_release(on.bus, &id, NULL, NULL), SKALD_OK);
    rig_run(&on);
    assert_int_equal(to.count, 302);
    for (uint32_t i = 2; i < to.count; i++) assert_int_equal(to.positions[i], 2 * (i - 1));
    asides(&on, 1);
    rig_close(&on);
}

static void lists_are_paged(void **state)
{
    notes to = {.outcome = SKALD_REJECT};
    skald_aside_query query = {.subscription = SKALD_STR("s"), .count_max = 4};
    uint64_t expected = 1;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = options_of(&to, SKALD_DEAD_LETTER);

    rig_subscribe(&on, &options);
    for (int i = 0; i < 10; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    for (int running = 1; running >= 0; running--) {
        query.after_subscription = (skald_str){0};
        expected = 1;
        for (size_t count = 4; count == 4;) {
            const skald_aside *items;

            assert_int_equal(skald_bus_asides(on.bus, &query, arena, &items, &count), SKALD_OK);
            for (size_t i = 0; i < count; i++) assert_int_equal(items[i].position, expected++);
            query.after_subscription = SKALD_STR("s");
            query.after_position = expected - 1;
        }
        assert_int_equal(expected, 11);
        if (running) rig_restart(&on, false);
    }
    query.count_max = 10001;
    const skald_aside *items;
    size_t count;

    assert_int_equal(skald_bus_asides(on.bus, &query, arena, &items, &count), SKALD_EINVALID);
    rig_close(&on);
}

static void forgetting_takes_all_of_them(void **state)
{
    notes to = {.outcome = SKALD_REJECT};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = options_of(&to, SKALD_DEAD_LETTER);
    skald_subscription made = rig_subscribe(&on, &options);

    for (int i = 0; i < 1500; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(rig_state(&on, made, arena).dead, 1500);
    assert_int_equal(skald_unsubscribe(on.bus, made, true), SKALD_OK);
    rig_run(&on);
    assert_int_equal(to.ends, 1);
    asides(&on, 0);
    rig_restart(&on, true);
    asides(&on, 0);
    to = (notes){0};
    rig_subscribe(&on, &options);
    rig_run(&on);
    assert_int_equal(to.count, 1500); // anew
    rig_close(&on);
}

static void records_come_back_as_they_were(void **state)
{
    const ski_aside_about about = {.position = 7,
                                   .last = 900,
                                   .waiting = 3,
                                   .attempts = 8,
                                   .kind = SKI_ASIDE_PARKED,
                                   .keyed = true,
                                   .first_at = 1,
                                   .last_at = 2,
                                   .event_id = {{1, 2, 3}},
                                   .key = SKALD_STR("k"),
                                   .type = SKALD_STR("a.b"),
                                   .error = SKALD_STR("why"),
                                   .data = SKALD_STR("{}")};
    skald_buf buf = {.bytes_max = 4096};
    ski_aside_about back;

    (void)state;
    assert_int_equal(ski_aside_encode(&about, &buf), SKALD_OK);
    assert_int_equal(ski_aside_decode((skald_str){buf.ptr, buf.len}, &back, NULL), SKALD_OK);
    assert_int_equal(back.last, 900);
    assert_true(back.keyed && !back.releasing && back.kind == SKI_ASIDE_PARKED);
    assert_true(skald_str_equal(back.type, SKALD_STR("a.b")));
    for (size_t len = 0; len < buf.len; len++)
        assert_int_equal(ski_aside_decode((skald_str){buf.ptr, len}, &back, NULL), SKALD_ECORRUPT);
    for (size_t bit = 0; bit < buf.len * 8; bit++) {
        buf.ptr[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_not_equal(ski_aside_decode((skald_str){buf.ptr, buf.len}, &back, NULL),
                             SKALD_OK);
        buf.ptr[bit / 8] ^= (char)(1 << bit % 8);
    }
    skald_buf_fini(&buf);
    skald_str name;
    uint64_t origin;

    assert_true(ski_aside_split(SKALD_STR("aside/a/b/00000000000000000012"), &name, &origin));
    assert_true(skald_str_equal(name, SKALD_STR("a/b")) && origin == 12);
    assert_false(ski_aside_split(SKALD_STR("aside/00000000000000000012"), &name, &origin));
    assert_false(ski_aside_split(SKALD_STR("aside/a/0000000000000000001x"), &name, &origin));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exhausted_delivery_becomes_a_dead_letter),
        cmocka_unit_test(a_rejected_one_goes_at_once),
        cmocka_unit_test(by_default_attempts_end),
        cmocka_unit_test(dead_letters_are_tried_again_or_dropped),
        cmocka_unit_test(one_that_fails_again_is_dead_again),
        cmocka_unit_test(a_limit_of_dead_letters_halts),
        cmocka_unit_test(a_parked_key_keeps_its_order),
        cmocka_unit_test(a_release_that_fails_parks_where_it_is),
        cmocka_unit_test(an_edited_one_is_given_edited_and_kept_so),
        cmocka_unit_test(keys_are_what_they_are_said_to_be),
        cmocka_unit_test(a_key_that_is_no_stream_is_found_again),
        cmocka_unit_test(lists_are_paged),
        cmocka_unit_test(forgetting_takes_all_of_them),
        cmocka_unit_test(records_come_back_as_they_were),
    };

    return cmocka_run_group_tests(tests, arena_make, arena_end);
}
