// SPDX-License-Identifier: Apache-2.0
// The contract of event ids, where the same one again is the same event, and of named values.
#include "contract/store_fixture.h"

#include <string.h>

void an_id_again_is_a_repetition(void **state)
{
    fixture *f = *state;
    skald_event events[3];
    skald_appended first, again;
    skald_store_batch batch = {.events = events, .event_count = 3};

    append_one(f, event_of(f, "t.x", "s-1", 0));
    for (int i = 0; i < 3; i++) {
        events[i] = event_of(f, "t.x", "s-1", i);
        events[i].id = id_of((uint64_t)i + 1);
    }
    first = append_all(f, events, 3, NULL);
    append_one(f, event_of(f, "t.x", "s-1", 9));
    // Who sends it, when and why may differ: that is not content.
    events[1].source = text("elsewhere");
    events[1].occurred_at = 1;
    events[1].correlation_id = text("c2");
    again = append_all(f, events, 3, NULL);
    assert_true(again.repeated);
    assert_int_equal(again.position_first, first.position_first);
    assert_int_equal(again.position_last, first.position_last);
    assert_int_equal(again.stream_version, first.stream_version);
    assert_int_equal(skald_store_head(f->store), 5);

    // Each event is given its first numbers, in whatever order they come.
    skald_event swapped = events[0];
    events[0] = events[2];
    events[2] = swapped;
    assert_int_equal(commit(f, &batch), SKALD_OK);
    assert_true(batch.appended.repeated);
    assert_int_equal(batch.appended.position_first, 4);
    assert_int_equal(batch.appended.position_last, 2);
    assert_int_equal(batch.appended.stream_version, 2);
    events_list all = read_all(f, NULL);
    for (int i = 0; i < 3; i++) {
        const skald_event *stored = &all.items[events[i].position - 1];

        assert_true(skald_uuid_equal(stored->id, events[i].id));
        assert_int_equal(stored->stream_version, events[i].stream_version);
        assert_int_equal(stored->recorded_at, events[i].recorded_at);
    }
    assert_int_equal(all.count, 5);
    assert_int_equal(all.items[2].source.len, 0); // the first one stands

    // A part of an earlier append may come alone.
    assert_true(append_one(f, events[1]).repeated);
}

// Ids that the store gave stay the batch's own.
void a_batch_again_is_a_repetition(void **state)
{
    fixture *f = *state;
    skald_event events[] = {event_of(f, "t.x", "s-1", 1), event_of(f, "t.x", "s-1", 2)};
    skald_store_batch batch = {.events = events, .event_count = 2};

    for (int i = 0; i < 3; i++) {
        assert_int_equal(commit(f, &batch), SKALD_OK);
        assert_int_equal(batch.appended.repeated, i > 0);
        assert_int_equal(batch.appended.position_last, 2);
    }
    assert_int_equal(skald_store_head(f->store), 2);
}

void an_id_with_other_content(void **state)
{
    fixture *f = *state;
    skald_event event = event_of(f, "t.x", "s-1", 1), other[5];
    skald_error error;

    event.id = id_of(0xabc);
    event.version = 2;
    event.metadata = text("{\"a\":1}");
    append_one(f, event);
    for (int i = 0; i < 5; i++) other[i] = event;
    other[0].type = text("t.y");
    other[1].version = 3;
    other[2].stream = text("s-2");
    other[3].data = text("{\"n\":2}");
    other[4].metadata = (skald_str){0};
    for (int i = 0; i < 5; i++) {
        append_fails(f, &other[i], 1, NULL, SKALD_EEXISTS, &error);
        assert_non_null(strstr(error.text, "01920000-0000-7000-8000-000000000abc"));
        assert_string_equal(error.field, "id");
    }
    assert_true(append_one(f, event).repeated);
    // Not given and what it stands for are the same.
    event = (skald_event){.type = text("t.bare"), .id = id_of(2)};
    append_one(f, event);
    event.data = text("null");
    event.version = 1;
    event.tenant = text("");
    assert_true(append_one(f, event).repeated);
}

void only_some_ids_known(void **state)
{
    fixture *f = *state;
    skald_event events[40];
    skald_error error;
    uint64_t version;

    for (int i = 0; i < 40; i++) {
        events[i] = event_of(f, "t.x", "s-1", i);
        events[i].id = id_of((uint64_t)i + 1);
    }
    append_one(f, events[39]);
    append_fails(f, events, 40, NULL, SKALD_EEXISTS, &error);
    append_fails(f, events + 38, 2, NULL, SKALD_EEXISTS, &error);
    assert_string_equal(error.field, "id");
    // One without an id is always new.
    events[38].id = (skald_uuid){0};
    append_fails(f, events + 38, 2, NULL, SKALD_EEXISTS, &error);
    assert_int_equal(skald_stream_version(f->store, text(""), text("s-1"), &version), SKALD_OK);
    assert_int_equal(version, 1);
    // The ones that were not stored are not known now.
    assert_false(append_all(f, events, 38, NULL).repeated);
}

void an_id_twice_in_a_batch(void **state)
{
    fixture *f = *state;
    skald_event events[40];
    skald_error error;

    for (int i = 0; i < 40; i++) {
        events[i] = event_of(f, "t.x", "s-1", i);
        events[i].id = id_of(1000 - (uint64_t)i);
    }
    events[1].id = events[0].id;
    append_fails(f, events, 2, NULL, SKALD_EINVALID, &error);
    assert_string_equal(error.text, "the id 01920000-0000-7000-8000-0000000003e8 stands twice in "
                                    "this batch");
    events[1] = events[0]; // with the same content too
    append_fails(f, events, 2, NULL, SKALD_EINVALID, NULL);
    append_fails(f, events, 40, NULL, SKALD_EINVALID, NULL);
    events[1].tenant = text("another");
    append_all(f, events, 40, NULL);
}

void a_repetition_ignores_expectations(void **state)
{
    fixture *f = *state;
    skald_event event = event_of(f, "t.x", "s-1", 1);
    skald_expect expect = {.stream = text("s-1"), .expected = SKALD_NONE};
    skald_append_options options = {.expect = &expect, .expect_count = 1};

    event.id = id_of(1);
    assert_false(append_all(f, &event, 1, &options).repeated);
    append_one(f, event_of(f, "t.x", "s-1", 2));
    assert_true(append_all(f, &event, 1, &options).repeated);
    // Other content is told before the expectation.
    event.data = text("2");
    append_fails(f, &event, 1, &options, SKALD_EEXISTS, NULL);
}

void an_id_belongs_to_a_tenant(void **state)
{
    fixture *f = *state;
    skald_event event = event_of(f, "t.x", "s-1", 1);

    event.id = id_of(1);
    append_one(f, event);
    event.tenant = text("a");
    event.data = text("2");
    assert_false(append_one(f, event).repeated);
    event.tenant = text("b");
    assert_false(append_one(f, event).repeated);
    assert_true(append_one(f, event).repeated);
}

static void assert_value(fixture *f, const char *name, const char *expected)
{
    skald_buf buf = {.bytes_max = 4096};
    skald_err err = ski_store_value_get(f->store, text(name), &buf);

    assert_int_equal(err, expected ? SKALD_OK : SKALD_ENOTFOUND);
    if (expected) assert_text((skald_str){buf.ptr ? buf.ptr : "", buf.len}, expected);
    skald_buf_fini(&buf);
}

static skald_err put(fixture *f, const skald_store_value *values, size_t count)
{
    skald_store_batch batch = {.values = values, .value_count = count};

    return commit(f, &batch);
}

static void put_one(fixture *f, const char *name, const char *bytes)
{
    skald_store_value value = {text(name), text(bytes)};

    assert_int_equal(put(f, &value, 1), SKALD_OK);
}

typedef struct seen {
    size_t count, stop_at;
    skald_str prefix;
    size_t bytes;
} seen;

static bool see(void *context, const skald_store_value *value)
{
    seen *s = context;

    assert_true(value->name.len >= s->prefix.len);
    assert_memory_equal(value->name.ptr, s->prefix.ptr, s->prefix.len);
    s->bytes += value->bytes.len;
    return ++s->count != s->stop_at;
}

static size_t count_values(fixture *f, const char *prefix, size_t stop_at)
{
    seen s = {.prefix = text(prefix), .stop_at = stop_at};

    assert_int_equal(ski_store_value_each(f->store, s.prefix, see, &s), SKALD_OK);
    return s.count;
}

void values_put_replace_remove(void **state)
{
    fixture *f = *state;
    skald_store_value values[3] = {{text("a/1"), text("one")},
                                   {text("a/2"), text("two")},
                                   {text("b/1"), text("")}};

    assert_value(f, "a/1", NULL);
    assert_int_equal(count_values(f, "", 0), 0);
    assert_int_equal(put(f, values, 3), SKALD_OK);
    assert_int_equal(skald_store_head(f->store), 0); // a value is no event
    assert_value(f, "a/1", "one");
    assert_value(f, "b/1", ""); // empty is a value
    assert_value(f, "a/", NULL);
    put_one(f, "a/1", "another, longer than the first one");
    assert_value(f, "a/1", "another, longer than the first one");
    assert_int_equal(count_values(f, "a/", 0), 2);
    assert_int_equal(count_values(f, "", 0), 3);
    assert_int_equal(count_values(f, "", 2), 2);
    put_one(f, "a/1", NULL);
    put_one(f, "never there", NULL);
    assert_value(f, "a/1", NULL);
    assert_int_equal(count_values(f, "a/", 0), 1);
    // Of one name twice in a batch, the last counts.
    values[0] = values[2] = (skald_store_value){text("c"), text("1")};
    values[1].name = text("c");
    assert_int_equal(put(f, values, 3), SKALD_OK);
    assert_value(f, "c", "1");
    values[2].bytes = (skald_str){0};
    assert_int_equal(put(f, values, 3), SKALD_OK);
    assert_value(f, "c", NULL);
    for (int i = 0; i < 50; i++) put_one(f, "now and then", i % 2 ? NULL : "x");
    assert_int_equal(count_values(f, "", 0), 2);
}

static void never_done(skald_store_batch *batch, skald_err err)
{
    (void)err;
    batch->context = batch; // seen by the test: an assertion here would jump out of the store
}

void limits_of_values(void **state)
{
    fixture *f = *state;
    size_t size = SKI_STORE_VALUES_MAX + 1, big = SKI_STORE_VALUE_BYTES_MAX + 1;
    skald_store_value *values = test_calloc(size, sizeof(*values));
    char *bytes = test_calloc(1, big);
    skald_store_batch batch = {.values = values, .value_count = 1, .done = never_done};

    for (size_t i = 0; i < size; i++) values[i] = (skald_store_value){text("n"), text("v")};
    values[0].name = text("");
    assert_int_equal(ski_store_submit(f->store, &batch), SKALD_EINVALID);
    values[0].name = (skald_str){bytes, SKI_STORE_VALUE_NAME_BYTES_MAX + 1};
    assert_int_equal(ski_store_submit(f->store, &batch), SKALD_EINVALID);
    values[0] = (skald_store_value){text("n"), {bytes, big}};
    assert_int_equal(ski_store_submit(f->store, &batch), SKALD_ETOOBIG);
    values[0].bytes = text("v");
    batch.value_count = size;
    assert_int_equal(ski_store_submit(f->store, &batch), SKALD_ETOOBIG);
    batch.value_count = 0; // and no events: there is nothing in it
    assert_int_equal(ski_store_submit(f->store, &batch), SKALD_EINVALID);
    assert_null(batch.context);
    assert_int_equal(count_values(f, "", 0), 0);
    assert_int_equal(put(f, values, size - 1), SKALD_OK);
    assert_value(f, "n", "v");
    memset(bytes, 'x', big);
    values[0] = (skald_store_value){{bytes, SKI_STORE_VALUE_NAME_BYTES_MAX}, {bytes, big - 1}};
    assert_int_equal(put(f, values, 1), SKALD_OK);
    assert_int_equal(count_values(f, "xxx", 0), 1);
    test_free(bytes);
    test_free(values);
}

void values_with_events(void **state)
{
    fixture *f = *state;
    skald_event event = event_of(f, "t.x", "s-1", 1);
    skald_store_value value = {text("at"), text("1")};
    skald_expect expect = {.stream = text("s-1"), .expected = SKALD_NONE};
    skald_store_batch batch = {.events = &event,
                               .event_count = 1,
                               .values = &value,
                               .value_count = 1,
                               .expect = &expect,
                               .expect_count = 1};

    assert_int_equal(commit(f, &batch), SKALD_OK);
    assert_value(f, "at", "1");
    // A conflict stores neither.
    event = event_of(f, "t.x", "s-1", 2);
    value.bytes = text("2");
    assert_int_equal(commit(f, &batch), SKALD_ECONFLICT);
    assert_value(f, "at", "1");
    assert_int_equal(skald_store_head(f->store), 1);
    // Expectations hold for values alone too.
    batch.event_count = 0;
    assert_int_equal(commit(f, &batch), SKALD_ECONFLICT);
    expect.expected = SKALD_PRESENT;
    assert_int_equal(commit(f, &batch), SKALD_OK);
    assert_value(f, "at", "2");
    assert_int_equal(batch.appended.position_first, 0);
}

void a_repetition_stores_no_value(void **state)
{
    fixture *f = *state;
    skald_event event = event_of(f, "t.x", "s-1", 1);
    skald_store_value value = {text("at"), text("1")};
    skald_store_batch batch = {
        .events = &event, .event_count = 1, .values = &value, .value_count = 1};

    event.id = id_of(1);
    append_one(f, event);
    assert_int_equal(commit(f, &batch), SKALD_OK);
    assert_true(batch.appended.repeated);
    assert_value(f, "at", NULL);
}

void values_after_reopen(void **state)
{
    fixture *f = *state;
    skald_event event = event_of(f, "t.x", "s-1", 1);
    skald_store_value value = {text("at"), text("1")};
    skald_store_batch batch = {
        .events = &event, .event_count = 1, .values = &value, .value_count = 1};

    if (!f->contract->reopen) skip();
    put_one(f, "kept", "k");
    put_one(f, "gone", "g");
    put_one(f, "gone", NULL);
    put_one(f, "replaced", "1");
    put_one(f, "replaced", "2");
    assert_int_equal(commit(f, &batch), SKALD_OK);
    for (int round = 0; round < 2; round++) {
        f->store = f->contract->reopen(f->store, &f->options);
        assert_non_null(f->store);
        assert_value(f, "kept", "k");
        assert_value(f, "gone", NULL);
        assert_value(f, "replaced", "2");
        assert_value(f, "at", "1");
        assert_int_equal(count_values(f, "", 0), 3);
    }
}
