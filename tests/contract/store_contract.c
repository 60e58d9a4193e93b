// SPDX-License-Identifier: Apache-2.0
// The suite's frame: each test has a new store, an arena and a clock that goes on a millisecond
// with every look, so that times of recording differ and nothing depends on the machine's clock.
#include "contract/store_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const store_contract *running; // set once, before any test

static skald_time fixture_now(void *context)
{
    fixture *f = context;

    return atomic_fetch_add(&f->now, 1000) + 1000;
}

static uint64_t fixture_monotonic(void *context)
{
    fixture *f = context;

    return (uint64_t)atomic_load(&f->now) * 1000;
}

int fixture_setup(void **state)
{
    static const skald_time begin = 1767225600000000; // 2026-01-01
    fixture *f = test_calloc(1, sizeof(*f));

    f->contract = running;
    atomic_init(&f->now, begin);
    f->clock = (skald_clock){fixture_now, fixture_monotonic, f};
    f->options = (skald_store_options){.clock = &f->clock,
                                       .segment_bytes = 1024 * 1024,
                                       .event_bytes_max = 64 * 1024};
    assert_int_equal(skald_arena_new(64 * 1024 * 1024, &f->arena), SKALD_OK);
    f->store = running->open(&f->options);
    assert_non_null(f->store);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    fixture *f = *state;

    running->close(f->store);
    skald_arena_free(f->arena);
    test_free(f);
    return 0;
}

skald_str print(fixture *f, const char *format, ...)
{
    char buf[512];
    va_list arguments;
    skald_str copy;

    va_start(arguments, format);
    (void)vsnprintf(buf, sizeof(buf), format, arguments);
    va_end(arguments);
    copy = skald_arena_copy(f->arena, skald_str_of(buf));
    assert_non_null(copy.ptr);
    return copy;
}

skald_str text(const char *terminated)
{
    return skald_str_of(terminated);
}

skald_uuid id_of(uint64_t number)
{
    skald_uuid id = {{0x01, 0x92, 0, 0, 0, 0, 0x70, 0, 0x80}};

    for (int i = 0; i < 6; i++) id.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    return id;
}

skald_event event_of(fixture *f, const char *type, const char *stream, int number)
{
    return (skald_event){.type = text(type),
                         .stream = text(stream),
                         .data = print(f, "{\"n\":%d}", number)};
}

skald_appended append_all(fixture *f, const skald_event *events, size_t count,
                          const skald_append_options *options)
{
    skald_appended appended = {0};
    skald_error error = {0};
    skald_err err = skald_store_append(f->store, events, count, options, &appended, &error);

    if (err) fail_msg("append: %s: %s %s", skald_err_name(err), error.field, error.text);
    return appended;
}

skald_appended append_one(fixture *f, skald_event event)
{
    return append_all(f, &event, 1, NULL);
}

void append_fails(fixture *f, const skald_event *events, size_t count,
                  const skald_append_options *options, skald_err err, skald_error *ret_error)
{
    uint64_t head = skald_store_head(f->store);
    skald_appended appended = {.position_first = 77};
    skald_error error = {0};

    assert_int_equal(skald_store_append(f->store, events, count, options, &appended, &error), err);
    assert_int_equal(error.err, err);
    assert_true(error.text[0] != 0);
    assert_int_equal(appended.position_first, 77); // written on success only
    assert_int_equal(skald_store_head(f->store), head);
    if (ret_error) *ret_error = error;
}

typedef struct commit_told {
    skald_err err;
    int times;
} commit_told;

// A callback only notes: an assertion here would jump out of the store.
static void commit_done(skald_store_batch *batch, skald_err err)
{
    commit_told *told = batch->context;

    told->err = err;
    told->times++;
}

skald_err commit(fixture *f, skald_store_batch *batch)
{
    commit_told told = {0};

    batch->done = commit_done;
    batch->context = &told;
    assert_int_equal(ski_store_commit(f->store, batch), SKALD_OK);
    assert_int_equal(told.times, 1);
    return told.err;
}

static skald_str text_keep(fixture *f, skald_str borrowed)
{
    return borrowed.len ? skald_arena_copy(f->arena, borrowed) : (skald_str){0};
}

skald_event event_keep(fixture *f, const skald_event *event)
{
    skald_event kept = *event;
    skald_str *texts[] = {&kept.type, &kept.data,   &kept.metadata,       &kept.stream,
                          &kept.tags, &kept.tenant, &kept.correlation_id, &kept.causation_id,
                          &kept.user, &kept.role,   &kept.source,         &kept.traceparent};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *texts[i] = text_keep(f, *texts[i]);
    return kept;
}

events_list read_all(fixture *f, const skald_read *read)
{
    size_t size = skald_store_head(f->store) + 1;
    events_list list = {skald_arena_get(f->arena, size * sizeof(skald_event)), 0};
    const skald_event *event;
    skald_cursor *cursor;
    skald_error error = {0};

    assert_non_null(list.items);
    assert_int_equal(skald_cursor_open(f->store, read, &cursor), SKALD_OK);
    for (;;) {
        skald_err err = skald_cursor_next(cursor, &event, &error);

        if (err) fail_msg("cursor: %s %s", skald_err_name(err), error.text);
        if (!event) break;
        assert_true(list.count < size);
        assert_int_equal(skald_cursor_position(cursor), event->position);
        list.items[list.count++] = event_keep(f, event);
    }
    skald_cursor_close(cursor);
    return list;
}

void assert_text(skald_str text_, const char *expected)
{
    if (!skald_str_equal(text_, skald_str_of(expected)))
        fail_msg("'%.*s' is not '%s'", SKALD_FMT(text_), expected);
}

static void assert_same_text(skald_str a, skald_str b)
{
    assert_int_equal(a.len, b.len);
    if (a.len) assert_memory_equal(a.ptr, b.ptr, a.len);
}

void assert_same_event(const skald_event *a, const skald_event *b)
{
    assert_int_equal(a->position, b->position);
    assert_int_equal(a->stream_version, b->stream_version);
    assert_int_equal(a->recorded_at, b->recorded_at);
    assert_int_equal(a->occurred_at, b->occurred_at);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->priority, b->priority);
    assert_int_equal(a->test, b->test);
    assert_int_equal(a->transient, b->transient);
    assert_true(skald_uuid_equal(a->id, b->id));
    assert_same_text(a->type, b->type);
    assert_same_text(a->data, b->data);
    assert_same_text(a->metadata, b->metadata);
    assert_same_text(a->stream, b->stream);
    assert_same_text(a->tags, b->tags);
    assert_same_text(a->tenant, b->tenant);
    assert_same_text(a->correlation_id, b->correlation_id);
    assert_same_text(a->causation_id, b->causation_id);
    assert_same_text(a->user, b->user);
    assert_same_text(a->role, b->role);
    assert_same_text(a->source, b->source);
    assert_same_text(a->traceparent, b->traceparent);
}

int store_contract_run(const store_contract *contract)
{
#define TEST_LINE(name) TEST(name),
    const struct CMUnitTest tests[] = {
        STORE_APPEND_TESTS(TEST_LINE) STORE_DEDUP_TESTS(TEST_LINE) STORE_READ_TESTS(TEST_LINE)
            STORE_RETAIN_TESTS(TEST_LINE) STORE_COMPACT_TESTS(TEST_LINE)
                STORE_SNAPSHOT_TESTS(TEST_LINE) STORE_THREADS_TESTS(TEST_LINE)};

    running = contract;
    return cmocka_run_group_tests_name(contract->name, tests, NULL, NULL);
}
