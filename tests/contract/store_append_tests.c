// SPDX-License-Identifier: Apache-2.0
// The contract of appending: positions, versions, expectations, tenants, refusals.
#include "contract/store_fixture.h"

#include <string.h>

void positions_are_dense(void **state)
{
    fixture *f = *state;
    uint64_t position = 0, versions[3] = {0};

    for (int i = 0; i < 40; i++) {
        static const char *const streams[] = {"a-1", "a-2", NULL};
        skald_event events[3];
        size_t count = 1 + (size_t)i % 3;
        skald_appended appended;

        for (size_t j = 0; j < count; j++)
            events[j] = event_of(f, "n.counted", streams[(i + (int)j) % 3], i);
        appended = append_all(f, events, count, NULL);
        assert_int_equal(appended.position_first, position + 1);
        assert_int_equal(appended.position_last, position + count);
        for (size_t j = 0; j < count; j++)
            if (events[j].stream.len) versions[(i + (int)j) % 3]++;
        assert_int_equal(appended.stream_version, versions[(i + (int)count - 1) % 3]);
        assert_false(appended.repeated);
        position += count;
        assert_int_equal(skald_store_head(f->store), position);
    }

    events_list all = read_all(f, NULL);
    memset(versions, 0, sizeof(versions));
    assert_int_equal(all.count, position);
    for (size_t i = 0; i < all.count; i++) {
        const skald_event *event = &all.items[i];

        assert_int_equal(event->position, i + 1);
        if (i) assert_true(event->recorded_at >= all.items[i - 1].recorded_at);
        if (!event->stream.len)
            assert_int_equal(event->stream_version, 0);
        else
            assert_int_equal(event->stream_version, ++versions[event->stream.ptr[2] - '1']);
    }
}

void an_event_comes_back_whole(void **state)
{
    fixture *f = *state;
    skald_event full = {.type = text("order.placed"),
                        .data = text("{\"total\": 12.50, \"text\": \"\xc3\xa9\\n\"}"),
                        .metadata = text("{\"k\":[1,2]}"),
                        .id = id_of(1),
                        .stream = text("order-\xc3\xa9"),
                        .tags = text("a:1 b:2"),
                        .tenant = text("acme"),
                        .correlation_id = text("corr-1"),
                        .causation_id = text("cause-1"),
                        .user = text("u1"),
                        .role = text("clerk"),
                        .source = text("/shop"),
                        .traceparent =
                            text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                        .occurred_at = 1234567890123456,
                        .version = 7,
                        .priority = SKALD_CRITICAL,
                        .test = true};
    skald_event bare = {.type = text("x"), .priority = SKALD_LOW};
    skald_time before = atomic_load(&f->now);

    append_one(f, full);
    append_one(f, bare);
    events_list all = read_all(f, NULL);
    assert_int_equal(all.count, 2);
    full.position = full.stream_version = 1;
    full.recorded_at = all.items[0].recorded_at;
    assert_true(full.recorded_at > before);
    assert_same_event(&all.items[0], &full);

    // What was not given has been stamped.
    assert_text(all.items[1].data, "null");
    assert_int_equal(all.items[1].version, 1);
    assert_true(skald_uuid_given(all.items[1].id));
    assert_int_equal(all.items[1].id.bytes[6] >> 4, 7);
    assert_true(all.items[1].occurred_at > before);
    assert_int_equal(all.items[1].priority, SKALD_LOW);
    assert_int_equal(all.items[1].stream.len, 0);
    assert_int_equal(all.items[1].metadata.len, 0);
}

// What is given is borrowed for the call: afterwards its memory says something else.
void texts_are_copied(void **state)
{
    fixture *f = *state;
    char type[] = "t.x", stream[] = "s-1", tenant[] = "acme", correlation[] = "c-1",
         data[] = "\"d\"", name[] = "name", bytes[] = "bytes";
    char *texts[] = {type, stream, tenant, correlation, data, name, bytes};
    skald_event event = {.type = text(type),
                         .stream = text(stream),
                         .tenant = text(tenant),
                         .correlation_id = text(correlation),
                         .data = text(data)};
    skald_store_value value = {text(name), text(bytes)};
    skald_expect expect = {.tenant = text(tenant), .stream = text(stream), .expected = SKALD_NONE};
    skald_store_batch batch = {.events = &event,
                               .event_count = 1,
                               .values = &value,
                               .value_count = 1,
                               .expect = &expect,
                               .expect_count = 1};
    skald_read read = {.filter = {.tenant = text("acme"), .correlation_id = text("c-1")}};
    skald_buf buf = {.bytes_max = 100};
    uint64_t version;

    assert_int_equal(commit(f, &batch), SKALD_OK);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        memset(texts[i], '?', strlen(texts[i]));
    events_list list = read_all(f, &read);
    assert_int_equal(list.count, 1);
    assert_text(list.items[0].type, "t.x");
    assert_text(list.items[0].stream, "s-1");
    assert_text(list.items[0].tenant, "acme");
    assert_text(list.items[0].data, "\"d\"");
    assert_int_equal(skald_stream_version(f->store, text("acme"), text("s-1"), &version), SKALD_OK);
    assert_int_equal(version, 1);
    assert_int_equal(ski_store_value_get(f->store, text("name"), &buf), SKALD_OK);
    assert_text((skald_str){buf.ptr, buf.len}, "bytes");
    skald_buf_fini(&buf);
}

void several_streams_in_one_append(void **state)
{
    fixture *f = *state;
    skald_event events[300];
    const skald_expect expect = {.stream = text("s-0"), .expected = SKALD_NONE};
    const skald_append_options options = {.expect = &expect, .expect_count = 1};
    uint64_t version;

    for (int i = 0; i < 300; i++) {
        events[i] = event_of(f, "t.x", NULL, i);
        events[i].stream = print(f, "s-%d", i % 7);
    }
    append_all(f, events, 300, &options);
    append_fails(f, events, 300, &options, SKALD_ECONFLICT, NULL);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(skald_stream_version(f->store, text(""), print(f, "s-%d", i), &version),
                         SKALD_OK);
        assert_int_equal(version, 300 / 7 + (i < 300 % 7));
    }
    assert_int_equal(read_all(f, NULL).count, 300);
}

static skald_append_options expecting(skald_expect *expect, const char *stream,
                                      skald_expected expected, uint64_t version)
{
    *expect = (skald_expect){.stream = text(stream), .expected = expected, .version = version};
    return (skald_append_options){.expect = expect, .expect_count = 1};
}

void expectations_that_hold(void **state)
{
    fixture *f = *state;
    static const struct {
        skald_expected expected;
        uint64_t version;
    } holding[] = {{SKALD_ANY, 0}, {SKALD_PRESENT, 0}, {SKALD_AT, 3}, {SKALD_ANY, 99}};
    skald_expect expect;
    skald_append_options options = expecting(&expect, "s-1", SKALD_NONE, 0);
    skald_event event = event_of(f, "t.x", "s-1", 1);

    assert_int_equal(append_all(f, &event, 1, &options).stream_version, 1);
    for (size_t i = 0; i < sizeof(holding) / sizeof(holding[0]); i++) {
        options = expecting(&expect, "s-1", holding[i].expected, holding[i].version);
        assert_int_equal(append_all(f, &event, 1, &options).stream_version, i + 2);
    }
    // At version 0 is another way to say: it does not exist.
    options = expecting(&expect, "s-2", SKALD_AT, 0);
    event.stream = text("s-2");
    assert_int_equal(append_all(f, &event, 1, &options).stream_version, 1);
    // A stream may be expected that the append does not touch.
    options = expecting(&expect, "s-1", SKALD_AT, 5);
    assert_int_equal(append_all(f, &event, 1, &options).stream_version, 2);
}

void expectations_that_fail(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *stream;
        skald_expected expected;
        uint64_t version, error_expected, error_actual;
        const char *says;
    } failing[] = {
        {"s-1", SKALD_NONE, 0, 0, 2, "stream 's-1' is at version 2, it was expected not to exist"},
        {"s-1", SKALD_AT, 0, 0, 2, "stream 's-1' is at version 2, it was expected not to exist"},
        {"s-1", SKALD_AT, 1, 1, 2, "stream 's-1' is at version 2, version 1 was expected"},
        {"s-1", SKALD_AT, 3, 3, 2, "stream 's-1' is at version 2, version 3 was expected"},
        {"s-9", SKALD_AT, 3, 3, 0, "stream 's-9' does not exist, version 3 was expected"},
        {"s-9", SKALD_PRESENT, 0, UINT64_MAX, 0,
         "stream 's-9' does not exist, it was expected to exist"},
    };
    skald_event event = event_of(f, "t.x", "s-1", 1);

    append_one(f, event);
    append_one(f, event);
    for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
        skald_expect expect;
        skald_append_options options =
            expecting(&expect, failing[i].stream, failing[i].expected, failing[i].version);
        skald_error error;

        append_fails(f, &event, 1, &options, SKALD_ECONFLICT, &error);
        assert_string_equal(error.text, failing[i].says);
        assert_int_equal(error.expected_version, failing[i].error_expected);
        assert_int_equal(error.actual_version, failing[i].error_actual);
    }
    assert_int_equal(append_one(f, event).stream_version, 3); // nothing was left behind
}

void expectations_several(void **state)
{
    fixture *f = *state;
    skald_event events[3];
    skald_expect expects[] = {
        {.stream = text("s-1"), .expected = SKALD_AT, .version = 1},
        {.stream = text("s-2"), .expected = SKALD_PRESENT},
        {.stream = text("s-3"), .expected = SKALD_NONE},
    };
    skald_store_batch batch = {
        .events = events, .event_count = 3, .expect = expects, .expect_count = 3};

    append_one(f, event_of(f, "t.x", "s-1", 0));
    events[0] = event_of(f, "t.x", "s-1", 1);
    events[1] = event_of(f, "t.x", "s-2", 1);
    events[2] = event_of(f, "t.x", "s-3", 1);
    // What a batch itself makes is not there yet for its expectations.
    assert_int_equal(commit(f, &batch), SKALD_ECONFLICT);
    assert_int_equal(batch.conflict, 1);
    assert_int_equal(batch.actual_version, 0);
    append_one(f, event_of(f, "t.x", "s-2", 0));
    append_one(f, event_of(f, "t.x", "s-2", 0));
    expects[2] = (skald_expect){.stream = text("s-2"), .expected = SKALD_AT, .version = 1};
    assert_int_equal(commit(f, &batch), SKALD_ECONFLICT);
    assert_int_equal(batch.conflict, 2);
    assert_int_equal(batch.actual_version, 2);
    expects[2].version = 2;
    assert_int_equal(commit(f, &batch), SKALD_OK);
    assert_int_equal(events[0].stream_version, 2);
    assert_int_equal(events[1].stream_version, 3);
    assert_int_equal(events[2].stream_version, 1);
    assert_int_equal(events[2].position, 6);
    assert_int_equal(batch.appended.position_first, 4);
    assert_int_equal(batch.appended.stream_version, 1);
}

void tenants_are_strangers(void **state)
{
    fixture *f = *state;
    static const char *const tenants[] = {"", "a", "b"};
    skald_counted const *counted;
    uint64_t version;
    size_t count;

    for (int i = 0; i < 3; i++) {
        for (int j = 0; j <= i; j++) {
            skald_event event = event_of(f, "t.x", "s-1", 100 * i + j);

            event.tenant = text(tenants[i]);
            event.id = id_of((uint64_t)j + 1); // the same ids in each
            event.correlation_id = text("c");
            assert_int_equal(append_one(f, event).stream_version, j + 1);
        }
    }
    for (int i = 0; i < 3; i++) {
        skald_str tenant = text(tenants[i]), stream = text("s-1"), type = text("t.x");
        skald_filter filters[] = {{.tenant = tenant},
                                  {.tenant = tenant, .streams = {&stream, 1}},
                                  {.tenant = tenant, .types = {&type, 1}},
                                  {.tenant = tenant, .correlation_id = text("c")}};
        skald_event found;

        for (size_t j = 0; j < 4; j++) {
            events_list list = read_all(f, &(skald_read){.filter = filters[j]});

            assert_int_equal(list.count, i + 1);
            for (size_t k = 0; k < list.count; k++)
                assert_true(skald_str_equal(list.items[k].tenant, tenant) ||
                            (!tenant.len && !list.items[k].tenant.len));
        }
        assert_int_equal(skald_stream_version(f->store, tenant, stream, &version), SKALD_OK);
        assert_int_equal(version, i + 1);
        for (int j = 0; j < 3; j++) {
            skald_err err =
                skald_store_event(f->store, id_of((uint64_t)j + 1), tenant, f->arena, &found);

            assert_int_equal(err, j <= i ? SKALD_OK : SKALD_ENOTFOUND);
            if (!err) assert_true(skald_str_equal(found.data, print(f, "{\"n\":%d}", 100 * i + j)));
        }
        assert_int_equal(skald_store_streams(f->store, tenant, text(""), NULL, 10, f->arena,
                                             &counted, &count),
                         SKALD_OK);
        assert_int_equal(count, 1);
        assert_int_equal(counted[0].count, i + 1);
        assert_int_equal(skald_store_types(f->store, tenant, f->arena, &counted, &count), SKALD_OK);
        assert_int_equal(count, 1);
        assert_int_equal(counted[0].count, i + 1);
    }
    // A stranger's stream does not exist, whatever its name.
    assert_int_equal(skald_stream_version(f->store, text("c"), text("s-1"), &version), SKALD_OK);
    assert_int_equal(version, 0);
    // Every tenant at once is for the system.
    assert_int_equal(read_all(f, NULL).count, 6);
    assert_int_equal(skald_store_streams(f->store, (skald_str){0}, text(""), NULL, 10, f->arena,
                                         &counted, &count),
                     SKALD_OK);
    assert_int_equal(count, 3);
    // (tenant, name) never runs together: "a" + "bs-1" is not "ab" + "s-1".
    skald_event event = event_of(f, "t.x", "bs-1", 1);
    event.tenant = text("a");
    append_one(f, event);
    event.tenant = text("ab");
    event.stream = text("s-1");
    assert_int_equal(append_one(f, event).stream_version, 1);
}

void bad_arguments_store_nothing(void **state)
{
    fixture *f = *state;
    skald_event good = event_of(f, "t.x", "s-1", 1), bad = good, pair[2];
    skald_expect expect = {.stream = text(""), .expected = SKALD_NONE};
    skald_append_options options = {.expect = &expect, .expect_count = 1};
    skald_error error;

    append_fails(f, &good, 0, NULL, SKALD_EINVALID, NULL);
    bad.type = text("");
    append_fails(f, &bad, 1, NULL, SKALD_EINVALID, &error);
    assert_string_equal(error.field, "type");
    bad = good;
    bad.data = text("{\"n\":");
    pair[0] = good;
    pair[1] = bad;
    append_fails(f, pair, 2, NULL, SKALD_EINVALID, &error);
    assert_string_equal(error.field, "[1].data");
    bad = good;
    bad.transient = true;
    append_fails(f, &bad, 1, NULL, SKALD_EINVALID, &error);
    assert_string_equal(error.field, "transient");
    append_fails(f, &good, 1, &options, SKALD_EINVALID, NULL);
    expect.stream = text("s-1");
    expect.expected = (skald_expected)17;
    append_fails(f, &good, 1, &options, SKALD_EINVALID, NULL);
    options = (skald_append_options){.durability = (skald_durability)17};
    append_fails(f, &good, 1, &options, SKALD_EINVALID, NULL);
    assert_int_equal(append_one(f, good).position_first, 1);
}

void limits_of_an_append(void **state)
{
    fixture *f = *state;
    size_t size = SKALD_APPEND_EVENTS_MAX + 1, big = f->options.event_bytes_max;
    skald_event *events = test_calloc(size, sizeof(*events));
    char *data = test_malloc(big + 1);
    skald_event event = event_of(f, "t.x", NULL, 1);

    for (size_t i = 0; i < size; i++) events[i] = event;
    append_fails(f, events, size, NULL, SKALD_ETOOBIG, NULL);
    memset(data, 'x', big + 1);
    data[0] = data[big - 1] = '"';
    for (size_t i = 0; i < size; i++) events[i].data = (skald_str){data, big};
    append_fails(f, events, SKALD_APPEND_BYTES_MAX / big + 1, NULL, SKALD_ETOOBIG, NULL);
    assert_int_equal(append_one(f, events[0]).position_first, 1); // the largest that may be
    data[big] = '"';
    data[big - 1] = 'x';
    events[0].data.len = big + 1;
    append_fails(f, events, 1, NULL, SKALD_ETOOBIG, NULL);
    test_free(data);
    test_free(events);
}

// What the limits allow, every driver takes: by number of events, and by bytes.
void the_largest_append(void **state)
{
    fixture *f = *state;
    size_t size = SKALD_APPEND_EVENTS_MAX, big = f->options.event_bytes_max;
    skald_event *events = test_calloc(size, sizeof(*events));
    skald_event event = event_of(f, "t.x", "s-1", 1);
    char *data = test_malloc(big);
    size_t count = SKALD_APPEND_BYTES_MAX / (big + event.type.len + event.stream.len);
    skald_read last = {.events_max = 1, .backwards = true};
    events_list list;

    for (size_t i = 0; i < size; i++) events[i] = event;
    assert_int_equal(append_all(f, events, size, NULL).stream_version, size);
    memset(data, 'x', big);
    data[0] = data[big - 1] = '"';
    for (size_t i = 0; i < count; i++) events[i].data = (skald_str){data, big};
    assert_int_equal(append_all(f, events, count, NULL).stream_version, size + count);
    list = read_all(f, &last);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].position, size + count);
    assert_int_equal(list.items[0].data.len, big);
    assert_memory_equal(list.items[0].data.ptr, data, big);
    test_free(data);
    test_free(events);
}

// What was appended with a weaker level is visible at the latest when something durable behind it
// is.
void weaker_levels(void **state)
{
    fixture *f = *state;
    const skald_durability levels[] = {SKALD_MEMORY, SKALD_WRITTEN, SKALD_MEMORY, SKALD_DURABLE};

    for (uint64_t i = 0; i < 40; i++) {
        const skald_append_options options = {.durability = levels[i % 4]};
        skald_event event = event_of(f, "t.x", "s-1", (int)i);
        skald_appended appended = append_all(f, &event, 1, &options);

        assert_int_equal(appended.position_first, i + 1);
        assert_int_equal(appended.stream_version, i + 1);
        if (levels[i % 4] != SKALD_DURABLE) continue;
        assert_int_equal(skald_store_head(f->store), i + 1);
        assert_int_equal(read_all(f, NULL).count, i + 1);
    }
}

void everything_is_there_after_reopen(void **state)
{
    fixture *f = *state;
    skald_event event, found;
    uint64_t version;

    if (!f->contract->reopen) skip();
    for (int i = 0; i < 30; i++) {
        event = event_of(f, i % 2 ? "t.odd" : "t.even", i % 3 ? "s-1" : NULL, i);
        event.id = id_of((uint64_t)i + 1);
        append_one(f, event);
    }
    for (int round = 0; round < 3; round++) {
        events_list before = read_all(f, NULL), after;
        skald_expect expect;
        skald_append_options options;

        f->store = f->contract->reopen(f->store, &f->options);
        assert_non_null(f->store);
        assert_int_equal(skald_store_head(f->store), before.count);
        after = read_all(f, NULL);
        assert_int_equal(after.count, before.count);
        for (size_t i = 0; i < after.count; i++)
            assert_same_event(&after.items[i], &before.items[i]);
        assert_int_equal(skald_stream_version(f->store, text(""), text("s-1"), &version), SKALD_OK);
        assert_int_equal(version, 20 + round);
        assert_int_equal(skald_store_event(f->store, id_of(7), text(""), f->arena, &found),
                         SKALD_OK);
        assert_same_event(&found, &before.items[6]);
        // An id is known still, and a stream goes on where it was.
        assert_true(append_one(f, event).repeated);
        options = expecting(&expect, "s-1", SKALD_AT, version);
        skald_event more = event_of(f, "t.more", "s-1", round);
        assert_int_equal(append_all(f, &more, 1, &options).position_first, before.count + 1);
    }
}
