// SPDX-License-Identifier: Apache-2.0
// The memory driver alone: its limits, what a failed allocation leaves, and the bounded search.
// What every driver must do is in tests/contract.
#include "store/memory/memory_store.h"

#include "base/alloc.h"
#include "store/handle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static skald_store *store_new(const char *url)
{
    skald_store *store = NULL;

    assert_int_equal(skald_store_open(url, NULL, &store, NULL), SKALD_OK);
    return store;
}

static skald_event event_of(const char *type, const char *stream)
{
    return (skald_event){.type = skald_str_of(type),
                         .stream = skald_str_of(stream),
                         .data = SKALD_STR("{\"a\":1}")};
}

static skald_err append(skald_store *store, skald_event event)
{
    return skald_store_append(store, &event, 1, NULL, NULL, NULL);
}

static void url_is_checked(void **state)
{
    static const char *const bad[] = {"memory:x",
                                      "memory:?bytes_max=",
                                      "memory:?bytes_max=0",
                                      "memory:?bytes_max=1k",
                                      "memory:?other=1",
                                      "memory:?bytes_max=99999999999999999999"};
    skald_store *store = NULL;
    skald_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(skald_store_open(bad[i], NULL, &store, &error), SKALD_EINVALID);
        assert_string_equal(error.field, "url");
        assert_non_null(strstr(error.text, bad[i]));
        assert_null(store);
    }
}

typedef struct told {
    int times;
    skald_err err;
} told;

static void note_done(skald_store_batch *batch, skald_err err)
{
    told *t = batch->context;

    t->times++;
    t->err = err;
}

static void full_is_told(void **state)
{
    skald_store *store = store_new("memory:?bytes_max=20000");
    skald_store_value value = {SKALD_STR("v"), SKALD_STR("x")};
    told t = {0};
    skald_store_batch batch = {
        .values = &value, .value_count = 1, .done = note_done, .context = &t};
    skald_store_state stands;
    uint64_t head = 0;
    skald_error error;
    skald_err err;

    (void)state;
    assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
    while (!(err = append(store, event_of("t.x", "s-1")))) head++;
    assert_int_equal(err, SKALD_EFULL);
    assert_true(head > 20 && head < 200);
    skald_event event = event_of("t.x", "s-1");
    assert_int_equal(skald_store_append(store, &event, 1, NULL, NULL, &error), SKALD_EFULL);
    assert_true(error.text[0] != 0);
    assert_int_equal(skald_store_head(store), head);
    skald_store_state_get(store, &stands);
    assert_true(stands.bytes_stored <= 20000 + 1000);
    // What is not taken is not told of; removing needs no room.
    batch.events = &event;
    batch.event_count = 1;
    assert_int_equal(ski_store_submit(store, &batch), SKALD_EFULL);
    assert_int_equal(t.times, 1);
    batch.event_count = 0;
    value.bytes = (skald_str){0};
    assert_int_equal(ski_store_submit(store, &batch), SKALD_OK);
    assert_int_equal(t.times, 2);
    skald_store_close(store);
}

// counts_are asserts what a store of some events must say everywhere.
static void counts_are(skald_store *store, uint64_t events, uint64_t on_s1, uint64_t types)
{
    const skald_counted *list;
    skald_arena *arena;
    uint64_t version;
    size_t count;

    assert_int_equal(skald_arena_new(1024 * 1024, &arena), SKALD_OK);
    assert_int_equal(skald_store_head(store), events);
    assert_int_equal(skald_stream_version(store, SKALD_STR(""), SKALD_STR("s-1"), &version),
                     SKALD_OK);
    assert_int_equal(version, on_s1);
    assert_int_equal(skald_store_types(store, SKALD_STR(""), arena, &list, &count), SKALD_OK);
    assert_int_equal(count, types);
    skald_arena_free(arena);
}

enum { many = 300 }; // more than a chunk has places for

// One append of many events and some values, on a store that has a little of each already.
static void batch_fill(skald_event *events, skald_store_value *values, char (*names)[16])
{
    for (int i = 0; i < many; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "s-%d", i % 40);
        events[i] = event_of(i % 2 ? "t.new" : "t.old", names[i]);
        events[i].correlation_id = skald_str_of(names[(i * 7) % many]);
    }
    values[0] = (skald_store_value){SKALD_STR("old"), SKALD_STR("changed")};
    values[1] = (skald_store_value){SKALD_STR("new"), SKALD_STR("made")};
    values[2] = (skald_store_value){SKALD_STR("gone"), {0}};
}

static bool count_value(void *context, const skald_store_value *value)
{
    size_t *bytes = context;

    *bytes += value->name.len + value->bytes.len;
    return true;
}

// The n-th allocation of an append fails, for every n: nothing of it is stored, and the store goes
// on.
static void failed_append_leaves_nothing(void **state)
{
    static char names[many][16];
    static skald_event events[many];
    bool failed = true;

    (void)state;
    for (uint64_t n = 1; failed; n++) {
        skald_store *store = store_new("memory:");
        skald_store_value values[3] = {{SKALD_STR("old"), SKALD_STR("1")},
                                       {SKALD_STR("gone"), SKALD_STR("2")}};
        told t = {0};
        skald_store_batch batch = {
            .values = values, .value_count = 2, .done = note_done, .context = &t};
        size_t bytes = 0;
        uint64_t position;
        skald_err err;

        assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
        for (int i = 0; i < 9; i++)
            assert_int_equal(append(store, event_of("t.old", "s-1")), SKALD_OK);
        batch_fill(events, values, names);
        batch.events = events;
        batch.event_count = many;
        batch.value_count = 3;
        ski_alloc_fail_at(n);
        err = ski_store_commit(store, &batch);
        ski_alloc_fail_at(0);
        failed = err != SKALD_OK;
        if (failed) {
            assert_int_equal(err, SKALD_ENOMEM);
            assert_int_equal(t.times, 1);
            counts_are(store, 9, 9, 1);
            for (int i = 0; i < many; i++) {
                skald_event found;

                assert_int_equal(skald_store_event(store, events[i].id, SKALD_STR(""), NULL,
                                                   &found),
                                 SKALD_ENOTFOUND);
            }
            assert_int_equal(ski_store_value_each(store, SKALD_STR(""), count_value, &bytes),
                             SKALD_OK);
            assert_int_equal(bytes, 3 + 1 + 4 + 1);
            // The same batch again, without the fault.
            assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
        }
        position = batch.appended.position_first;
        assert_int_equal(position, 10);
        assert_false(batch.appended.repeated);
        counts_are(store, 9 + many, 9 + 8, 2);
        bytes = 0;
        assert_int_equal(ski_store_value_each(store, SKALD_STR(""), count_value, &bytes), SKALD_OK);
        assert_int_equal(bytes, 3 + 7 + 3 + 4);
        skald_store_close(store);
        assert_true(n < 1000);
        if (!failed) assert_true(n > 50);
    }
}

// Who asks by type pays for its index; what cannot be paid is told, and asked for again.
static void an_index_is_made_when_it_is_asked_for(void **state)
{
    enum { count = 5000 };
    skald_store *store = store_new("memory:");
    const ski_memory *memory = store->instance;
    skald_str type = SKALD_STR("t.5");
    skald_read read = {.filter = {.tenant = SKALD_STR(""), .types = {&type, 1}}};
    skald_store_page page;
    skald_err err = SKALD_ENOMEM;
    uint64_t n = 1;

    (void)state;
    for (int i = 0; i < count; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "t.%d", i % 10);
        assert_int_equal(append(store, event_of(name, NULL)), SKALD_OK);
    }
    assert_int_equal(memory->indexed, 0);
    assert_int_equal(memory->types.count, 0);
    for (; err; n++) {
        ski_alloc_fail_at(n);
        err = ski_store_page(store, &read, &page, NULL);
        ski_alloc_fail_at(0);
        assert_int_equal(err, err ? SKALD_ENOMEM : SKALD_OK);
    }
    assert_true(n > 3);
    assert_int_equal(memory->indexed, count);
    assert_int_equal(memory->types.count, 10);
    assert_int_equal(page.count, count / 10);
    for (size_t i = 0; i < page.count; i++) assert_int_equal(page.events[i].position, 10 * i + 6);
    ski_store_page_free(store, &page);
    // Nothing is asked again of what is known; what is new is.
    assert_int_equal(append(store, event_of("t.5", NULL)), SKALD_OK);
    read.after = count;
    assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.position_next, count + 1);
    ski_store_page_free(store, &page);
    skald_store_close(store);
}

// Some append while others ask by type: each sees every event up to where its read ends.
enum { beside_events = 8000, beside_batch = 50 };

static void *append_beside(void *context)
{
    skald_event events[beside_batch];

    for (int i = 0; i < beside_batch; i++) events[i] = event_of("t.x", i % 2 ? "s-1" : NULL);
    for (int i = 0; i < beside_events; i += beside_batch)
        if (skald_store_append(context, events, beside_batch, NULL, NULL, NULL)) return context;
    return NULL;
}

static uint64_t read_by_type(skald_store *store)
{
    skald_str type = SKALD_STR("t.x");
    skald_read read = {.filter = {.tenant = SKALD_STR(""), .types = {&type, 1}}};
    skald_store_page page = {0};
    uint64_t last = 0;

    while (!page.end) {
        assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
        for (size_t i = 0; i < page.count; i++) assert_int_equal(page.events[i].position, ++last);
        assert_true(!page.end || page.position_next == last);
        read.after = page.position_next;
        bool end = page.end;

        ski_store_page_free(store, &page);
        page.end = end;
    }
    return last;
}

static void *read_beside(void *context)
{
    uint64_t seen = 0;

    while (seen < beside_events) {
        uint64_t last = read_by_type(context);

        if (last < seen) return context;
        seen = last;
    }
    return NULL;
}

static void an_index_is_made_beside_appends(void **state)
{
    skald_store *store = store_new("memory:");
    pthread_t threads[3];
    void *failed;

    (void)state;
    assert_int_equal(pthread_create(&threads[0], NULL, read_beside, store), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, read_beside, store), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, append_beside, store), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(read_by_type(store), beside_events);
    skald_store_close(store);
}

// Correlations of their own, and some of many events.
enum { counted_batch = 100 };

static skald_err append_correlated(skald_store *store, uint64_t number)
{
    static skald_event events[counted_batch];
    static char names[counted_batch][32], types[counted_batch][32];

    for (uint64_t i = 0; i < counted_batch; i++) {
        uint64_t one = number * counted_batch + i;

        (void)snprintf(names[i], sizeof(names[i]), "c-%llu",
                       (unsigned long long)(i % 4 ? one : one % 7));
        (void)snprintf(types[i], sizeof(types[i]), "t.%llu", (unsigned long long)(i % 3 ? 1 : one));
        events[i] = event_of(types[i], i % 2 ? "s-1" : NULL);
        events[i].correlation_id = skald_str_of(names[i]);
    }
    return skald_store_append(store, events, counted_batch, NULL, NULL, NULL);
}

static uint64_t bytes_of(skald_store *store)
{
    skald_store_state stands;

    skald_store_state_get(store, &stands);
    return stands.bytes_stored;
}

static uint64_t correlated_page(skald_store *store)
{
    skald_read read = {.filter = {.tenant = SKALD_STR(""), .correlation_id = SKALD_STR("c-3")}};
    skald_store_page page;
    uint64_t count;

    assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
    count = page.count;
    ski_store_page_free(store, &page);
    return count;
}

// Who asks by type or correlation takes no room from who appends, and what is held is told.
static void an_index_takes_no_room(void **state)
{
    enum { limit = 1000000 };
    skald_store *store = store_new("memory:?bytes_max=1000000");
    const ski_memory *memory = store->instance;
    uint64_t number = 0, before;

    (void)state;
    while (bytes_of(store) < limit / 2) assert_int_equal(append_correlated(store, number++), 0);
    for (int i = 0; i < 2; i++) { // again when it is full
        before = bytes_of(store);
        assert_true(memory->unindexed_bytes > 0);
        assert_true(correlated_page(store) > number * 2);
        assert_int_equal(memory->unindexed_bytes, 0);
        assert_true(bytes_of(store) <= before);
        assert_int_equal(bytes_of(store), ski_memory_bytes(memory));
        assert_int_equal(memory->index_bytes, memory->types.bytes + memory->correlations.bytes);
        if (i) break;
        before = number;
        while (!append_correlated(store, number)) number++;
        assert_true(number > before);
        assert_true(bytes_of(store) <= limit);
    }
    skald_store_close(store);
}

// The n-th allocation fails while the indexes are made, for every n, and then something is erased:
// what is counted is what is there.
static void a_failed_index_is_counted(void **state)
{
    const skald_counted *list;
    skald_arena *arena;
    skald_err err = SKALD_ENOMEM;
    uint64_t n = 1;

    (void)state;
    assert_int_equal(skald_arena_new(1024 * 1024, &arena), SKALD_OK);
    for (; err; n++) {
        skald_store *store = store_new("memory:");
        const ski_memory *memory = store->instance;
        skald_stream_meta meta = {.truncate_before = 1000};
        skald_read read = {.filter = {.tenant = SKALD_STR(""), .correlation_id = SKALD_STR("c")}};
        skald_store_page page;
        size_t count;

        assert_int_equal(append_correlated(store, 0), SKALD_OK);
        uint64_t before = bytes_of(store);
        ski_alloc_fail_at(n);
        err = ski_store_page(store, &read, &page, NULL);
        ski_alloc_fail_at(0);
        assert_true(bytes_of(store) <= before);
        assert_int_equal(bytes_of(store), ski_memory_bytes(memory));
        if (err) assert_true(memory->indexed < counted_batch && memory->unindexed_bytes > 0);
        if (!err) ski_store_page_free(store, &page);
        assert_int_equal(skald_stream_meta_set(store, SKALD_STR(""), SKALD_STR("s-1"), &meta, NULL),
                         SKALD_OK);
        assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_OK);
        assert_int_equal(skald_store_types(store, SKALD_STR(""), arena, &list, &count), SKALD_OK);
        assert_int_equal(memory->unindexed_bytes, 0);
        assert_int_equal(bytes_of(store), ski_memory_bytes(memory));
        assert_int_equal(memory->pages, 0);
        skald_store_close(store);
    }
    skald_arena_free(arena);
    assert_true(n > counted_batch);
}

// While indexes are made (index is held for all of it) appends go on, and other reads.
static void an_append_does_not_wait_for_an_index(void **state)
{
    skald_store *store = store_new("memory:");
    ski_memory *memory = store->instance;
    skald_read read = {0};
    skald_store_page page;

    (void)state;
    assert_int_equal(append_correlated(store, 0), SKALD_OK);
    ski_mutex_lock(&memory->index);
    assert_int_equal(append_correlated(store, 1), SKALD_OK);
    assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
    assert_int_equal(page.count, 2 * counted_batch);
    ski_store_page_free(store, &page);
    ski_mutex_unlock(&memory->index);
    skald_store_close(store);
}

static void *correlated_ask(void *context)
{
    skald_read read = {.filter = {.tenant = SKALD_STR(""), .correlation_id = SKALD_STR("c-3")}};
    skald_store_page page;

    if (ski_store_page(context, &read, &page, NULL)) return context;
    ski_store_page_free(context, &page);
    return NULL;
}

// indexed_midway sees, as an append would come by, an index that is half made.
static bool indexed_midway(ski_memory *memory, uint64_t before)
{
    uint64_t indexed = before, last = memory->count;

    while (indexed == before) {
        ski_mutex_lock(&memory->data);
        indexed = memory->indexed;
        ski_mutex_unlock(&memory->data);
    }
    return indexed < last;
}

// Between its slices others get at the events. Who asks may be done before anybody looked: then
// there is another round.
static void an_index_lets_others_by(void **state)
{
    enum { rounds_max = 200, batches = 40 };
    skald_store *store = store_new("memory:");
    uint64_t number = 0;
    bool seen = false;

    (void)state;
    for (int round = 0; !seen && round < rounds_max; round++) {
        uint64_t before = skald_store_head(store);
        pthread_t thread;
        void *failed;

        for (int i = 0; i < batches; i++)
            assert_int_equal(append_correlated(store, number++), SKALD_OK);
        assert_int_equal(pthread_create(&thread, NULL, correlated_ask, store), 0);
        seen = indexed_midway(store->instance, before);
        assert_int_equal(pthread_join(thread, &failed), 0);
        assert_null(failed);
    }
    assert_true(seen);
    skald_store_close(store);
}

// What was erased before the index was made does not come into it.
static void the_erased_are_not_indexed(void **state)
{
    skald_store *store = store_new("memory:");
    const ski_memory *memory = store->instance;
    skald_retention retention = {.max_events = 300, .policy = SKALD_RETAIN_LIMIT};
    skald_stream_meta meta = {.truncate_before = 1000};
    skald_str type = SKALD_STR("t.x");
    skald_read read = {.filter = {.tenant = SKALD_STR(""), .types = {&type, 1}}};
    skald_store_page page;

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(append(store, event_of("t.x", i == 900 ? "s-1" : "s-2")), SKALD_OK);
    assert_int_equal(skald_retention_set(store, &retention, NULL), SKALD_OK);
    assert_int_equal(skald_stream_meta_set(store, SKALD_STR(""), SKALD_STR("s-1"), &meta, NULL),
                     SKALD_OK);
    assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_OK);
    assert_int_equal(memory->indexed, 0);
    assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
    assert_int_equal(page.count, 299);
    assert_true(memory->types.lists[0].count >= 299 && memory->types.lists[0].count < 600);
    ski_store_page_free(store, &page);
    skald_store_close(store);
}

// Nothing longer than an envelope's texts may be gets in, whoever submits it.
static void an_envelope_has_its_limits(void **state)
{
    static char name[300];
    skald_store *store = store_new("memory:");
    skald_event event = event_of("t.x", "s-1");
    told t = {0};
    skald_store_batch batch = {
        .events = &event, .event_count = 1, .done = note_done, .context = &t};

    (void)state;
    memset(name, 'a', sizeof(name));
    event.source = (skald_str){name, 256};
    assert_int_equal(ski_store_submit(store, &batch), SKALD_ETOOBIG);
    assert_int_equal(skald_store_head(store), 0);
    assert_int_equal(t.times, 0);
    event.source = (skald_str){name, 255};
    assert_int_equal(ski_store_submit(store, &batch), SKALD_OK);
    skald_store_close(store);
}

static void a_read_without_memory_fails(void **state)
{
    skald_store *store = store_new("memory:");
    skald_store_page page;
    skald_read read = {0};
    skald_error error;

    (void)state;
    assert_int_equal(append(store, event_of("t.x", NULL)), SKALD_OK);
    ski_alloc_fail_at(1);
    assert_int_equal(ski_store_page(store, &read, &page, &error), SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    assert_int_equal(ski_store_page(store, &read, &page, &error), SKALD_OK);
    assert_int_equal(page.count, 1);
    ski_store_page_free(store, &page);
    skald_store_close(store);
}

// A filter that finds nothing: each read looks at a bounded number of events and says where to go
// on.
static void a_long_search_comes_in_turns(void **state)
{
    enum { events_count = 10000 };
    skald_store *store = store_new("memory:");
    skald_event *events = test_calloc(events_count, sizeof(*events));
    skald_str pattern = SKALD_STR("never.*");
    skald_read read = {.filter = {.types = {&pattern, 1}}};
    skald_store_page page;

    (void)state;
    for (int i = 0; i < events_count; i++) events[i] = event_of("t.x", NULL);
    assert_int_equal(skald_store_append(store, events, events_count, NULL, NULL, NULL), SKALD_OK);
    for (int backwards = 0; backwards < 2; backwards++) {
        int turns = 0;

        read.backwards = backwards;
        read.after = read.before = 0;
        do {
            assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
            assert_int_equal(page.count, 0);
            if (backwards)
                read.before = page.position_next;
            else
                read.after = page.position_next;
            turns++;
        } while (!page.end);
        assert_int_equal(turns, 3);
    }
    test_free(events);
    skald_store_close(store);
}

// More names than are merged: all events are looked at instead, with the same result.
static void many_names_in_a_filter(void **state)
{
    skald_store *store = store_new("memory:");
    skald_str streams[20];
    char names[20][16];

    (void)state;
    for (int i = 0; i < 20; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "s-%d", i);
        streams[i] = skald_str_of(names[i]);
    }
    for (int i = 0; i < 200; i++)
        assert_int_equal(append(store, event_of("t.x", names[i % 20])), SKALD_OK);
    for (size_t count = 1; count <= 20; count++) {
        skald_read read = {.filter = {.tenant = SKALD_STR(""), .streams = {streams, count}}};
        skald_store_page page;

        assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
        assert_int_equal(page.count, 10 * count);
        for (size_t i = 1; i < page.count; i++)
            assert_true(page.events[i].position > page.events[i - 1].position);
        ski_store_page_free(store, &page);
    }
    skald_store_close(store);
}

// Names that come and go do not add up.
static void slots_of_values_are_used_again(void **state)
{
    ski_memory_values values;
    ski_memory_change *plan;

    (void)state;
    ski_memory_values_init(&values, 1);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        skald_store_value change = {{name, 0}, SKALD_STR("bytes")};

        change.name.len = (size_t)snprintf(name, sizeof(name), "name-%d", i);
        assert_int_equal(ski_memory_values_plan(&values, &change, 1, &plan), SKALD_OK);
        ski_memory_values_apply(&values, plan, 1);
        assert_non_null(ski_memory_values_find(&values, change.name));
        change.bytes = (skald_str){0};
        assert_int_equal(ski_memory_values_plan(&values, &change, 1, &plan), SKALD_OK);
        ski_memory_values_apply(&values, plan, 1);
        assert_null(ski_memory_values_find(&values, change.name));
    }
    assert_int_equal(values.count, 1);
    assert_int_equal(values.bytes, 0);
    ski_memory_values_fini(&values);
}

static void a_failed_plan_leaves_nothing(void **state)
{
    const skald_store_value changes[2] = {{SKALD_STR("a"), SKALD_STR("1")},
                                          {SKALD_STR("b"), SKALD_STR("2")}};
    skald_err err = SKALD_ENOMEM;
    uint64_t n = 1;

    (void)state;
    for (; err; n++) {
        ski_memory_values values;
        ski_memory_change *plan;

        ski_memory_values_init(&values, 1);
        ski_alloc_fail_at(n);
        err = ski_memory_values_plan(&values, changes, 2, &plan);
        ski_alloc_fail_at(0);
        assert_int_equal(err, err ? SKALD_ENOMEM : SKALD_OK);
        if (!err) ski_memory_values_cancel(&values, plan, 2);
        assert_null(ski_memory_values_find(&values, changes[0].name));
        assert_int_equal(values.bytes, 0);
        assert_int_equal(values.map.count, 0);
        ski_memory_values_fini(&values);
    }
    assert_true(n > 6);
}

// Erasing, in memory: what was held is given back, also to the system, and no byte of it is left.
static ski_memory *memory_of(skald_store *store)
{
    return store->instance;
}

static void many_append(skald_store *store, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(append(store, event_of("t.x", i % 3 ? "s-1" : "s-2")), SKALD_OK);
}

static void trimming_frees_chunks(void **state)
{
    skald_store *store = store_new("memory:");
    skald_retention retention = {.max_events = 10, .policy = SKALD_RETAIN_LIMIT};
    skald_store_state before, after;
    uint64_t kept = 0;

    (void)state;
    many_append(store, 3000);
    skald_store_state_get(store, &before);
    assert_int_equal(skald_retention_set(store, &retention, NULL), SKALD_OK);
    assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_OK);
    skald_store_state_get(store, &after);
    assert_int_equal(after.head, 3000);
    assert_true(after.bytes_stored < before.bytes_stored / 10);
    ski_memory *memory = memory_of(store);
    assert_null(memory->chunks[0]);
    assert_true(memory->first > 2700 && memory->first <= 2990);
    assert_int_equal(memory->ids.others.count, 0);
    assert_int_equal(memory->grave_count, 0);
    // Beyond the end there is nothing to trim; again there is nothing left.
    assert_int_equal(ski_memory_trim(memory, 1 << 30, &kept, NULL), SKALD_OK);
    assert_int_equal(kept, memory->first);
    many_append(store, 300);
    skald_store_close(store);
}

static void a_page_keeps_its_texts(void **state)
{
    skald_store *store = store_new("memory:");
    skald_stream_meta meta = {.truncate_before = 1000};
    skald_event events[2] = {event_of("t.x", "s-1"), event_of("t.x", "s-2")};
    skald_read read = {0};
    skald_store_page page;
    const char *at;

    (void)state;
    events[0].data = events[1].data = SKALD_STR("\"secret\"");
    assert_int_equal(skald_store_append(store, events, 2, NULL, NULL, NULL), SKALD_OK);
    ski_memory *memory = memory_of(store);
    at = ski_memory_slot_at(memory, 1)->at + ski_memory_slot_bytes(ski_memory_slot_at(memory, 1)) -
         8;
    assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
    assert_int_equal(skald_stream_meta_set(store, SKALD_STR(""), SKALD_STR("s-1"), &meta, NULL),
                     SKALD_OK);
    assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_OK);
    assert_int_equal(memory->grave_count, 1);
    assert_memory_equal(at, "\"secret\"", 8);
    ski_store_page_free(store, &page);
    assert_int_equal(memory->grave_count, 0);
    assert_memory_equal(at, "\0\0\0\0\0\0\0\0", 8); // its neighbour keeps the block
    assert_int_equal(skald_stream_meta_set(store, SKALD_STR(""), SKALD_STR("s-2"), &meta, NULL),
                     SKALD_OK);
    assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_OK);
    assert_null(memory->texts);
    assert_int_equal(memory->texts_bytes, 0);
    skald_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_is_checked),
        cmocka_unit_test(full_is_told),
        cmocka_unit_test(failed_append_leaves_nothing),
        cmocka_unit_test(an_index_is_made_when_it_is_asked_for),
        cmocka_unit_test(an_index_is_made_beside_appends),
        cmocka_unit_test(an_index_takes_no_room),
        cmocka_unit_test(a_failed_index_is_counted),
        cmocka_unit_test(an_append_does_not_wait_for_an_index),
        cmocka_unit_test(an_index_lets_others_by),
        cmocka_unit_test(the_erased_are_not_indexed),
        cmocka_unit_test(an_envelope_has_its_limits),
        cmocka_unit_test(a_read_without_memory_fails),
        cmocka_unit_test(a_long_search_comes_in_turns),
        cmocka_unit_test(many_names_in_a_filter),
        cmocka_unit_test(slots_of_values_are_used_again),
        cmocka_unit_test(a_failed_plan_leaves_nothing),
        cmocka_unit_test(trimming_frees_chunks),
        cmocka_unit_test(a_page_keeps_its_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
