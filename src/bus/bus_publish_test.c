// SPDX-License-Identifier: Apache-2.0
#include "bus/bus_rig.h"

#include "base/alloc.h"

static skald_event event_of(rig *on, uint64_t position, skald_arena *arena)
{
    skald_read read = {.after = position - 1, .before = position + 1};
    skald_store_page page = {0};

    assert_int_equal(ski_store_page(on->store, &read, &page, NULL), SKALD_OK);
    assert_int_equal(page.count, 1);
    skald_uuid id = page.events[0].id;
    skald_str tenant = skald_arena_copy(arena, page.events[0].tenant);
    skald_event event;

    ski_store_page_free(on->store, &page);
    assert_int_equal(skald_store_event(on->store, id, tenant, arena, &event), SKALD_OK);
    return event;
}

static void assert_text(skald_str text, const char *expected)
{
    char made[300];

    snprintf(made, sizeof(made), "%.*s", SKALD_FMT(text));
    assert_string_equal(made, expected);
}

static void assert_uuid_text(skald_str text, skald_uuid id)
{
    char made[SKALD_UUID_TEXT + 1];

    skald_uuid_print(id, made);
    assert_text(text, made);
}

static void what_is_not_given_is_stamped(void **state)
{
    skald_arena *arena;
    rig on;

    (void)state;
    rig_open(&on);
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    assert_int_equal(rig_publish(&on, "a.made", "s-1"), 1);
    skald_event event = event_of(&on, 1, arena);

    assert_true(skald_uuid_given(event.id));
    assert_text(event.source, "skald");
    assert_uuid_text(event.correlation_id, event.id);
    assert_int_equal(event.causation_id.len, 0);
    assert_true(event.occurred_at == rig_now(&on));
    assert_int_equal(event.stream_version, 1);
    skald_arena_free(arena);
    rig_close(&on);
}

static void a_cause_is_followed(void **state)
{
    skald_arena *arena;
    rig on;

    (void)state;
    rig_open(&on);
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    skald_event first = {.type = SKALD_STR("a.made"),
                         .tenant = SKALD_STR("acme"),
                         .user = SKALD_STR("kari"),
                         .role = SKALD_STR("clerk"),
                         .traceparent = SKALD_STR("00-aa-bb-01")};

    assert_int_equal(skald_publish(on.bus, first, NULL), SKALD_OK);
    skald_event cause = event_of(&on, 1, arena);
    skald_publish_options options = {.cause = &cause};
    skald_event plain = {.type = SKALD_STR("b.made")};
    skald_event own = {.type = SKALD_STR("c.made"),
                       .tenant = SKALD_STR("other"),
                       .user = SKALD_STR("ola"),
                       .correlation_id = SKALD_STR("mine"),
                       .causation_id = SKALD_STR("because"),
                       .traceparent = SKALD_STR("00-cc-dd-01")};

    assert_int_equal(skald_publish(on.bus, plain, &options), SKALD_OK);
    assert_int_equal(skald_publish(on.bus, own, &options), SKALD_OK);
    skald_event second = event_of(&on, 2, arena), third = event_of(&on, 3, arena);

    assert_uuid_text(second.correlation_id, cause.id); // the cause's, which is its id
    assert_uuid_text(second.causation_id, cause.id);
    assert_text(second.tenant, "acme");
    assert_text(second.user, "kari");
    assert_text(second.role, "clerk");
    assert_text(second.traceparent, "00-aa-bb-01");
    assert_text(third.correlation_id, "mine");
    assert_text(third.causation_id, "because");
    assert_text(third.tenant, "other");
    assert_text(third.user, "ola");
    assert_int_equal(third.role.len, 0);
    assert_text(third.traceparent, "00-cc-dd-01");
    skald_arena_free(arena);
    rig_close(&on);
}

static void a_cause_without_correlation_gives_its_id(void **state)
{
    skald_event cause = {.type = SKALD_STR("x"), .id = {{1, 2, 3}}};
    skald_publish_options options = {.cause = &cause};
    skald_arena *arena;
    rig on;

    (void)state;
    rig_open(&on);
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    assert_int_equal(skald_publish(on.bus, (skald_event){.type = SKALD_STR("b")}, &options),
                     SKALD_OK);
    assert_uuid_text(event_of(&on, 1, arena).correlation_id, cause.id);
    skald_arena_free(arena);
    rig_close(&on);
}

static void bad_events_are_refused_whole(void **state)
{
    skald_error error = {0};
    skald_publish_options options = {.reterr_error = &error};
    skald_event events[] = {{.type = SKALD_STR("good")},
                            {.type = SKALD_STR("bad"), .data = SKALD_STR("{")}};
    skald_bus_counters counters;
    rig on;

    (void)state;
    rig_open(&on);
    assert_int_equal(skald_publish_all(on.bus, events, 2, &options, NULL), SKALD_EINVALID);
    assert_true(strncmp(error.field, "[1]", 3) == 0);
    assert_int_equal(skald_publish_all(on.bus, events, 0, &options, NULL), SKALD_EINVALID);
    assert_int_equal(skald_publish_all(on.bus, events, SKALD_APPEND_EVENTS_MAX + 1, &options, NULL),
                     SKALD_ETOOBIG);
    events[1] = events[0];
    events[1].transient = true; // not together with one that is kept
    assert_int_equal(skald_publish_all(on.bus, events, 2, &options, NULL), SKALD_EINVALID);
    assert_string_equal(error.field, "[1].persistent");
    assert_int_equal(skald_store_head(on.store), 0);
    skald_bus_counters_get(on.bus, &counters);
    assert_int_equal(counters.published, 0);
    assert_int_equal(counters.publish_failed, 2 + SKALD_APPEND_EVENTS_MAX + 1 + 2);
    rig_close(&on);
}

static void data_beyond_the_limit_is_refused(void **state)
{
    skald_error error = {0};
    skald_publish_options options = {.reterr_error = &error};
    rig on;

    (void)state;
    rig_open(&on);
    skald_bus_free(on.bus);
    on.options.event_bytes_max = 10;
    rig_bus(&on);
    skald_event event = {.type = SKALD_STR("a"), .data = SKALD_STR("\"12345678\"")};

    assert_int_equal(skald_publish(on.bus, event, &options), SKALD_OK);
    event.data = SKALD_STR("\"123456789\"");
    assert_int_equal(skald_publish(on.bus, event, &options), SKALD_ETOOBIG);
    assert_string_equal(error.field, "data");
    rig_close(&on);
}

typedef struct done_notes {
    uint32_t count;
    skald_err err;
    skald_error error;
    skald_appended appended;
    skald_uuid id;
    char correlation_id[64];
} done_notes;

static void note_done(void *context, const skald_published *published)
{
    done_notes *to = context;

    to->count++;
    to->err = published->err;
    to->error = published->error;
    to->appended = published->appended;
    to->id = published->events[0].id;
    snprintf(to->correlation_id, sizeof(to->correlation_id), "%.*s",
             SKALD_FMT(published->events[0].correlation_id));
}

static void starting_tells_once(void **state)
{
    skald_event event = {.type = SKALD_STR("a.made"), .stream = SKALD_STR("s-1")};
    char id[SKALD_UUID_TEXT + 1];
    done_notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    assert_int_equal(skald_publish_start(on.bus, &event, 1, NULL, note_done, &to), SKALD_OK);
    assert_int_equal(to.count, 1);
    assert_int_equal(to.err, SKALD_OK);
    assert_int_equal(to.appended.position_last, 1);
    skald_uuid_print(to.id, id);
    assert_string_equal(to.correlation_id, id);
    assert_int_equal(ski_publish_checked_start(on.bus, &event, 1, NULL, note_done, &to), SKALD_OK);
    assert_int_equal(to.appended.position_last, 2);
    assert_int_equal(skald_publish_start(on.bus, &event, 1, NULL, NULL, NULL), SKALD_EINVALID);
    rig_close(&on);
}

static void a_conflict_says_which(void **state)
{
    skald_event event = {.type = SKALD_STR("a.made"), .stream = SKALD_STR("s-1")};
    skald_error error = {0};
    done_notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_expect expect = {.stream = SKALD_STR("s-1"), .expected = SKALD_AT, .version = 1};
    skald_publish_options options = {.append = {.expect = &expect, .expect_count = 1},
                                     .reterr_error = &error};

    rig_publish(&on, "a.made", "s-1");
    expect.expected = (skald_expected)9;
    assert_int_equal(skald_publish(on.bus, event, &options), SKALD_EINVALID);
    assert_string_equal(error.field, "expect[0].expected");
    expect.expected = SKALD_AT;
    options.append.durability = (skald_durability)-1;
    assert_int_equal(skald_publish(on.bus, event, &options), SKALD_EINVALID);
    assert_string_equal(error.field, "durability");
    options.append.durability = SKALD_DURABLE;
    assert_int_equal(skald_publish(on.bus, event, &options), SKALD_OK);
    assert_int_equal(skald_publish(on.bus, event, &options), SKALD_ECONFLICT);
    assert_int_equal(error.err, SKALD_ECONFLICT);
    assert_int_equal(error.actual_version, 2);
    assert_int_equal(skald_publish_start(on.bus, &event, 1, &options, note_done, &to), SKALD_OK);
    assert_int_equal(to.err, SKALD_ECONFLICT);
    assert_non_null(strstr(to.error.text, "s-1"));
    assert_int_equal(skald_store_head(on.store), 2);
    rig_close(&on);
}

static void the_same_id_is_the_same_event(void **state)
{
    skald_event event = {.type = SKALD_STR("a.made"), .id = {{9, 9}}};
    skald_appended first, again;
    skald_bus_counters counters;
    rig on;

    (void)state;
    rig_open(&on);
    assert_int_equal(skald_publish_all(on.bus, &event, 1, NULL, &first), SKALD_OK);
    on.now_ns += SKI_NS_PER_MS; // the stamps of the second differ
    assert_int_equal(skald_publish_all(on.bus, &event, 1, NULL, &again), SKALD_OK);
    assert_true(again.repeated);
    assert_int_equal(again.position_last, first.position_last);
    event.data = SKALD_STR("1");
    assert_int_equal(skald_publish(on.bus, event, NULL), SKALD_EEXISTS);
    skald_bus_counters_get(on.bus, &counters);
    assert_int_equal(counters.published, 1);
    assert_int_equal(counters.publish_failed, 1);
    rig_close(&on);
}

// A large publish is stamped part by part: each event is, and an id that was given among many is
// looked for.
static void many_are_stamped_each(void **state)
{
    enum { many = 150, given = 40 };
    skald_event events[many];
    skald_arena *arena;
    rig on;

    (void)state;
    rig_open(&on);
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    for (int i = 0; i < many; i++) events[i] = (skald_event){.type = SKALD_STR("a.made")};
    events[given].id = (skald_uuid){{1, 2, 3}};
    assert_int_equal(skald_publish_all(on.bus, events, many, NULL, NULL), SKALD_OK);
    for (int i = 0; i < many; i++) {
        skald_event event = event_of(&on, (uint64_t)i + 1, arena);

        assert_uuid_text(event.correlation_id, event.id);
        assert_text(event.source, "skald");
        assert_true(event.occurred_at == rig_now(&on));
        assert_int_equal(skald_uuid_equal(event.id, events[given].id), i == given);
    }
    assert_int_equal(skald_publish_all(on.bus, events, many, NULL, NULL), SKALD_EEXISTS);
    skald_arena_free(arena);
    rig_close(&on);
}

static void a_stopped_bus_takes_nothing(void **state)
{
    skald_event event = {.type = SKALD_STR("a.made")};
    skald_error error = {0};
    skald_publish_options options = {.reterr_error = &error};
    done_notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    assert_int_equal(skald_bus_stop(on.bus, 100), SKALD_OK);
    assert_int_equal(skald_publish(on.bus, event, &options), SKALD_ECLOSED);
    assert_int_equal(error.err, SKALD_ECLOSED);
    assert_int_equal(skald_publish_start(on.bus, &event, 1, NULL, note_done, &to), SKALD_ECLOSED);
    assert_int_equal(to.count, 0);
    assert_int_equal(skald_bus_stop(on.bus, 100), SKALD_OK); // again: nothing
    rig_close(&on);
}

static void one_publish_is_one_block(void **state)
{
    uint64_t bare = UINT64_MAX, published = UINT64_MAX;
    skald_event events[5];
    rig on;

    (void)state;
    rig_open(&on);
    for (int i = 0; i < 5; i++)
        events[i] = (skald_event){.type = SKALD_STR("a.made"), .correlation_id = SKALD_STR("c")};
    // The least of several: now and then the store makes room ahead.
    for (int i = 0; i < 20; i++) {
        uint64_t begun = ski_alloc_count(), appended, ended;

        assert_int_equal(skald_store_append(on.store, events, 5, NULL, NULL, NULL), SKALD_OK);
        appended = ski_alloc_count();
        assert_int_equal(skald_publish_all(on.bus, events, 5, NULL, NULL), SKALD_OK);
        ended = ski_alloc_count();
        if (appended - begun < bare) bare = appended - begun;
        if (ended - appended < published) published = ended - appended;
    }
    assert_int_equal(published, bare + 1);
    ski_alloc_fail_at(1);
    assert_int_equal(skald_publish_all(on.bus, events, 5, NULL, NULL), SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    rig_close(&on);
}

static void options_of_a_bus_are_checked(void **state)
{
    skald_bus *bus = NULL;
    rig on;

    (void)state;
    rig_open(&on);
    assert_int_equal(skald_bus_new(NULL, NULL, &bus), SKALD_EINVALID);
    assert_int_equal(skald_bus_new(on.store, &(skald_bus_options){.threads_max = 5000}, &bus),
                     SKALD_EINVALID);
    assert_null(bus);
    skald_bus_free(NULL);
    rig_close(&on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_given_is_stamped),
        cmocka_unit_test(a_cause_is_followed),
        cmocka_unit_test(a_cause_without_correlation_gives_its_id),
        cmocka_unit_test(bad_events_are_refused_whole),
        cmocka_unit_test(data_beyond_the_limit_is_refused),
        cmocka_unit_test(starting_tells_once),
        cmocka_unit_test(a_conflict_says_which),
        cmocka_unit_test(the_same_id_is_the_same_event),
        cmocka_unit_test(many_are_stamped_each),
        cmocka_unit_test(a_stopped_bus_takes_nothing),
        cmocka_unit_test(one_publish_is_one_block),
        cmocka_unit_test(options_of_a_bus_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
