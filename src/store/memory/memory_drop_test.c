// SPDX-License-Identifier: Apache-2.0
// A store of the newest events: what is read is what is among them, memory goes round, pages that
// are out stay whole, and nothing is full while something may go.
#include "store/memory/memory_store.h"

#include "base/alloc.h"
#include "store/handle.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { kept = 1000, streams = 7, types = 3, appended_max = 12000 };

static skald_store *store_open(const char *url)
{
    skald_store *store = NULL;
    skald_error error = {0};

    if (skald_store_open(url, NULL, &store, &error)) fail_msg("%s", error.text);
    return store;
}

// What the event of a position is: its number says all of it.
typedef struct names {
    char type[16], stream[16], correlation[24], data[64];
} names;

static skald_event event_of(uint64_t number, names *to)
{
    int len = snprintf(to->data, sizeof(to->data), "{\"number\":%llu,\"more\":\"%0*d\"}",
                       (unsigned long long)number, (int)(number % 20) + 1, 0);

    (void)snprintf(to->type, sizeof(to->type), "t.n%d", (int)(number % types));
    (void)snprintf(to->stream, sizeof(to->stream), "s-%d", (int)(number % streams));
    (void)snprintf(to->correlation, sizeof(to->correlation), "c%llu",
                   (unsigned long long)number / 2);
    return (skald_event){.type = skald_str_of(to->type),
                         .stream = skald_str_of(to->stream),
                         .correlation_id = skald_str_of(to->correlation),
                         .data = {to->data, (size_t)len}};
}

// append_some appends so many events, the first of which is the number's.
static skald_err append_some(skald_store *store, uint64_t number, size_t count)
{
    static _Thread_local names texts[64];
    skald_event events[64];

    for (size_t i = 0; i < count; i++) events[i] = event_of(number + i, &texts[i]);
    return skald_store_append(store, events, count, NULL, NULL, NULL);
}

static void append_to(skald_store *store, uint64_t last)
{
    for (uint64_t head = skald_store_head(store); head < last; head = skald_store_head(store)) {
        size_t count = 1 + head * 7 % 40;

        if (count > last - head) count = (size_t)(last - head);
        assert_int_equal(append_some(store, head + 1, count), SKALD_OK);
    }
}

static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

// read_check holds a read against what the numbers say.
static void read_check(skald_store *store, const skald_read *read, uint64_t mask)
{
    uint64_t head = skald_store_head(store), want = head > kept ? head - kept : 0;
    skald_cursor *cursor = NULL;
    const skald_event *event;
    names texts;

    assert_int_equal(skald_cursor_open(store, read, &cursor), SKALD_OK);
    for (;;) {
        assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
        for (want++; want <= head; want++) {
            skald_event made = event_of(want, &texts);

            if (want <= read->after || (read->before && want >= read->before)) continue;
            if (mask & 1 && !skald_str_equal(made.type, read->filter.types.items[0])) continue;
            if (mask & 2 && !skald_str_equal(made.stream, read->filter.streams.items[0])) continue;
            if (mask & 4 && !skald_str_equal(made.correlation_id, read->filter.correlation_id))
                continue;
            uint64_t version = (want - want % streams) / streams + (want % streams != 0);

            if (mask & 8 && (version < read->version_from || version > read->version_to)) continue;
            break;
        }
        if (!event) break;
        assert_int_equal(event->position, want);
        assert_true(skald_str_equal(event->data, event_of(want, &texts).data));
        assert_int_equal(event->stream_version,
                         (want - want % streams) / streams + (want % streams != 0));
    }
    assert_true(want > head);
    skald_cursor_close(cursor);
}

static void reads_see_the_newest(void **state)
{
    skald_store *store = store_open("memory:?events_max=1000");
    uint64_t random = 88172645463325252;

    (void)state;
    for (uint64_t head = 300; head <= appended_max; head += 300) {
        append_to(store, head);
        for (uint64_t mask = 0; mask < 16; mask++) {
            names texts;
            skald_event some = event_of(head - random_next(&random) % (2 * kept), &texts);
            skald_read read = {.page_bytes_max = 4096 + random_next(&random) % 60000,
                               .after = head > 2 * kept ? head - random_next(&random) % 2000 : 0};

            if (mask & 8 && !(mask & 2)) continue; // versions are of a stream
            read.filter.tenant = SKALD_STR("");
            if (mask & 1) read.filter.types = (skald_texts){&some.type, 1};
            if (mask & 2) read.filter.streams = (skald_texts){&some.stream, 1};
            if (mask & 4) read.filter.correlation_id = some.correlation_id;
            if (mask & 8) {
                read.version_from = head / streams - random_next(&random) % 40 % (head / streams);
                read.version_to = read.version_from + random_next(&random) % 50;
            }
            if (head % 900 == 0 || mask % 4 == 0 || mask == 2 || mask >= 8)
                read_check(store, &read, mask);
        }
    }
    skald_store_close(store);
}

static void lists_count_what_is_there(void **state)
{
    skald_store *store = store_open("memory:?events_max=1000");
    const skald_counted *found = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;

    (void)state;
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    for (uint64_t head = 1500; head <= appended_max; head += 700) {
        uint64_t all = 0;

        append_to(store, head);
        assert_int_equal(skald_store_types(store, SKALD_STR(""), arena, &found, &count), SKALD_OK);
        assert_int_equal(count, types);
        for (size_t i = 0; i < count; i++) all += found[i].count;
        assert_int_equal(all, kept);
        assert_int_equal(skald_store_streams(store, SKALD_STR(""), SKALD_STR("s-"), NULL, 100,
                                             arena, &found, &count),
                         SKALD_OK);
        assert_int_equal(count, streams);
        for (size_t i = all = 0; i < count; i++) all += found[i].count;
        assert_int_equal(all, head); // versions
    }
    skald_arena_free(arena);
    skald_store_close(store);
}

// Once it is full nothing is asked of the heap but what a list needs now and then.
static void memory_goes_round(void **state)
{
    skald_store *store = store_open("memory:?events_max=1000");
    const ski_memory *memory = store->instance;
    uint64_t number = 0, asked, bytes = 0;
    skald_store_state stored;

    (void)state;
    for (; number < 20000; number += 50)
        assert_int_equal(append_some(store, number + 1, 50), SKALD_OK);
    asked = ski_alloc_count();
    for (; number < 120000; number += 50) {
        assert_int_equal(append_some(store, number + 1, 50), SKALD_OK);
        skald_store_state_get(store, &stored);
        if (stored.bytes_stored > bytes) bytes = stored.bytes_stored;
        if (number == 60000) asked = ski_alloc_count() - asked;
    }
    asked = ski_alloc_count() - asked;
    assert_true(asked < 60000 / 50 * 2 + 100000); // what the waist asks for an append
    assert_true(memory->first > 120000 - kept - 1024);
    assert_true(memory->chunk_count < 16 && memory->chunk_size < 64);
    assert_true(memory->chunks_idle_count < 4);
    assert_true(memory->texts_used < UINT64_C(2000) * 200);
    assert_true(memory->texts_idle_bytes < UINT64_C(2000) * 200);
    assert_true(bytes < UINT64_C(2000) * 700);
    assert_int_equal(memory->texts_waiting, 0);
    for (uint32_t i = 0; i < memory->streams.count; i++)
        assert_true(memory->streams.lists[i].size <= 2048);
    skald_store_close(store);
}

// Streams that were long and are written no more give their room back.
static void silent_streams_become_short(void **state)
{
    skald_store *store = store_open("memory:?events_max=1000");
    const ski_memory *memory = store->instance;
    uint64_t places = 0;

    (void)state;
    for (int i = 0; i < 60; i++) {
        char name[24];

        (void)snprintf(name, sizeof(name), "burst-%d", i);
        for (int j = 0; j < 500; j++) {
            skald_event event = {.type = SKALD_STR("t.x"), .stream = skald_str_of(name)};

            assert_int_equal(skald_store_append(store, &event, 1, NULL, NULL, NULL), SKALD_OK);
        }
    }
    for (uint32_t i = 0; i < memory->streams.count; i++) places += memory->streams.lists[i].size;
    assert_true(places < 12 * 512);
    for (int i = 0; i < 60; i++) {
        uint64_t version = 0;
        char name[24];

        (void)snprintf(name, sizeof(name), "burst-%d", i);
        assert_int_equal(skald_stream_version(store, SKALD_STR(""), skald_str_of(name), &version),
                         SKALD_OK);
        assert_int_equal(version, 500);
        const skald_expect at = {SKALD_STR(""), skald_str_of(name), SKALD_AT, 500};
        const skald_append_options options = {.expect = &at, .expect_count = 1};
        skald_event event = {.type = SKALD_STR("t.x"), .stream = skald_str_of(name)};
        skald_appended appended;

        assert_int_equal(skald_store_append(store, &event, 1, &options, &appended, NULL), SKALD_OK);
        assert_int_equal(appended.stream_version, 501);
    }
    skald_store_close(store);
}

// A page stays as it was, however much came since; what it borrows from is used again afterwards.
static void pages_stay_whole(void **state)
{
    skald_store *store = store_open("memory:?events_max=1000");
    const ski_memory *memory = store->instance;
    skald_read read = {.page_bytes_max = 64 * 1024};
    skald_store_page pages[3];
    names texts;

    (void)state;
    append_to(store, 2000);
    for (int i = 0; i < 3; i++) {
        read.after = skald_store_head(store) - 800;
        assert_int_equal(ski_store_page(store, &read, &pages[i], NULL), SKALD_OK);
        append_to(store, skald_store_head(store) + 3000);
    }
    assert_true(memory->texts_waiting > 0);
    for (int i = 0; i < 3; i++) {
        assert_true(pages[i].count > 50);
        for (size_t j = 0; j < pages[i].count; j++)
            assert_true(skald_str_equal(pages[i].events[j].data,
                                        event_of(pages[i].events[j].position, &texts).data));
    }
    for (int i = 2; i >= 0; i--) ski_store_page_free(store, &pages[i]);
    assert_int_equal(memory->texts_waiting, 0);
    assert_int_equal(memory->pages, 0);
    append_to(store, skald_store_head(store) + 3000);
    read_check(store, &(skald_read){0}, 0);
    skald_store_close(store);
}

// Few large events: what may go goes one by one, and also what indexes hold of what has gone.
static void nothing_is_full_while_something_may_go(void **state)
{
    enum { len = 20000 };
    static char data[len];
    skald_store *store = store_open("memory:?events_max=10&bytes_max=400000");
    const skald_counted *found = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;

    (void)state;
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    memset(data, 'x', len);
    data[0] = data[len - 1] = '"';
    for (int i = 0; i < 400; i++) {
        skald_event event = {.type = SKALD_STR("t.x"), .data = {data, len}};

        assert_int_equal(skald_store_append(store, &event, 1, NULL, NULL, NULL), SKALD_OK);
    }
    for (uint64_t i = 0; i < 4000; i += 20) { // a correlation each
        assert_int_equal(append_some(store, 2 * i, 20), SKALD_OK);
        if (i % 400) continue;
        names texts;
        skald_event some = event_of(i, &texts);
        skald_read read = {
            .filter = {.tenant = SKALD_STR(""), .correlation_id = some.correlation_id}};
        skald_store_page page;

        assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
        ski_store_page_free(store, &page);
        assert_int_equal(skald_store_types(store, SKALD_STR(""), arena, &found, &count), SKALD_OK);
    }
    skald_event event = {.type = SKALD_STR("t.x"), .data = {data, len}};

    for (int i = 0; i < 100; i++) {
        event.id = (skald_uuid){{0}};
        assert_int_equal(skald_store_append(store, &event, 1, NULL, NULL, NULL), SKALD_OK);
    }
    skald_arena_free(arena);
    skald_store_close(store);
}

// A limit that comes late: far more may go than goes with each append, and all of it goes that one
// batch needs.
static void nothing_is_full_when_much_may_go_at_once(void **state)
{
    enum { len = 20000, large = 20 };
    static const skald_retention few = {.max_events = 10, .policy = SKALD_RETAIN_LIMIT};
    static char data[len];
    skald_store *store = store_open("memory:?bytes_max=1000000");
    const ski_memory *memory = store->instance;
    skald_event events[large];
    uint64_t head;
    skald_err err;

    (void)state;
    memset(data, 'x', len);
    data[0] = data[len - 1] = '"';
    do {
        head = skald_store_head(store);
        err = append_some(store, head + 1, 50);
    } while (!err);
    assert_int_equal(err, SKALD_EFULL);
    assert_int_equal(memory->dropped, 0);
    assert_int_equal(skald_retention_set(store, &few, NULL), SKALD_OK);
    for (int i = 0; i < large; i++)
        events[i] = (skald_event){.type = SKALD_STR("t.x"), .data = {data, len}};
    assert_int_equal(skald_store_append(store, events, large, NULL, NULL, NULL), SKALD_OK);
    assert_int_equal(skald_store_head(store), head + large);
    assert_in_range(memory->dropped, 1000, head); // ten times what goes with such a batch
    skald_store_close(store);
}

// With SKALD_RETAIN_ACKED what somebody holds stays, and nothing goes before all have said so.
static void what_is_held_stays(void **state)
{
    const skald_retention acked = {.max_events = kept};
    skald_store *store = store_open("memory:");
    const ski_memory *memory = store->instance;

    (void)state;
    assert_int_equal(skald_retention_set(store, &acked, NULL), SKALD_OK);
    append_to(store, 3000);
    assert_int_equal(memory->dropped, 0);
    assert_int_equal(ski_store_hold(store, SKALD_STR("slow"), 1500, 1500, NULL), SKALD_OK);
    ski_store_holds_declare(store);
    append_to(store, 9000);
    assert_int_equal(memory->dropped, 1500);
    ski_store_release(store, SKALD_STR("slow"));
    append_to(store, 13000);
    assert_true(memory->dropped > 13000 - kept - 512);
    read_check(store, &(skald_read){0}, 0);
    skald_store_close(store);
}

static void what_is_lost_is_counted(void **state)
{
    skald_store *store = store_open("memory:?events_max=1000");
    skald_store_state stored;
    skald_retention set;

    (void)state;
    skald_retention_get(store, &set);
    assert_true(set.policy == SKALD_RETAIN_LIMIT && set.max_events == kept);
    assert_int_equal(ski_store_hold(store, SKALD_STR("slow"), 100, 100, NULL), SKALD_OK);
    append_to(store, 5000);
    skald_store_state_get(store, &stored);
    assert_true(stored.events_lost > 5000 - kept - 100 - 512 &&
                stored.events_lost <= 5000 - kept - 100);
    set = (skald_retention){.policy = SKALD_RETAIN_ALWAYS};
    assert_int_equal(skald_retention_set(store, &set, NULL), SKALD_OK);
    append_to(store, 8000);
    const ski_memory *memory = store->instance;
    assert_true(memory->dropped <= 4000);
    skald_store_close(store);
}

// An id is known as long as its event is there; afterwards it is new.
static void ids_go_with_their_events(void **state)
{
    skald_store *store = store_open("memory:?events_max=1000");
    const ski_memory *memory = store->instance;
    skald_appended appended;
    names texts;

    (void)state;
    for (uint64_t round = 0; round < 4; round++)
        for (uint64_t i = 1; i <= 2000; i++) { // in an order that falls: none of them rises
            skald_event event = event_of(i, &texts);

            event.id.bytes[0] = (uint8_t)((2001 - i) >> 8);
            event.id.bytes[1] = (uint8_t)(2001 - i);
            event.id.bytes[15] = 1;
            assert_int_equal(skald_store_append(store, &event, 1, NULL, &appended, NULL), SKALD_OK);
            assert_false(appended.repeated);
            assert_int_equal(skald_store_append(store, &event, 1, NULL, &appended, NULL), SKALD_OK);
            assert_true(appended.repeated);
        }
    assert_true(memory->ids.others.count <= kept + 512);
    skald_store_close(store);
}

// Positions and versions of more than 32 bits: as if it had run for years.
static void it_runs_for_years(void **state)
{
    const uint64_t begin = (UINT64_C(1) << 32) - 1023;
    skald_store *store = store_open("memory:?events_max=1000");
    ski_memory *memory = store->instance;
    names texts;

    (void)state;
    memory->first = begin;
    memory->count = begin - 1;
    memory->chunks_gone = (begin - 1) / SKI_MEMORY_CHUNK_EVENTS;
    atomic_store(&memory->head, begin - 1);
    for (uint64_t i = 1; i <= 5000; i++) {
        skald_event event = event_of(i, &texts), found;
        uint64_t position = begin + i - 1;

        event.stream = SKALD_STR("one");
        event.id.bytes[15] = 1;
        for (int j = 0; j < 4; j++) event.id.bytes[j] = (uint8_t)((i * 2654435761U) >> (8 * j));
        if (i == 2) memory->streams.lists[0].gone = UINT32_MAX - 2000;
        assert_int_equal(skald_store_append(store, &event, 1, NULL, NULL, NULL), SKALD_OK);
        skald_arena *arena = NULL;

        if (i % 50) continue;
        assert_int_equal(skald_arena_new(1 << 16, &arena), SKALD_OK);
        assert_int_equal(skald_store_event(store, event.id, SKALD_STR(""), arena, &found),
                         SKALD_OK);
        assert_int_equal(found.position, position);
        assert_int_equal(found.stream_version, UINT32_MAX - UINT64_C(2000) + i);
        assert_true(skald_str_equal(found.data, event.data));
        skald_arena_free(arena);
    }
    assert_int_equal(memory->count, begin + 4999);
    assert_true(memory->dropped > UINT32_MAX);
    skald_store_close(store);
}

// Whatever is refused, what is there stays right and the next append goes on.
static void without_memory_it_goes_on(void **state)
{
    skald_store *store = store_open("memory:?events_max=1000");
    uint64_t number = 0, failed = 0;

    (void)state;
    for (uint64_t fail = 1; fail < 400; fail++) {
        ski_alloc_fail_at(fail % 13 + 1);
        for (int i = 0; i < 5; i++) {
            if (append_some(store, number + 1, 37))
                failed++;
            else
                number += 37;
        }
        ski_alloc_fail_at(0);
        assert_int_equal(skald_store_head(store), number);
        if (fail % 40 == 0) read_check(store, &(skald_read){0}, 0);
    }
    assert_true(failed > 0);
    skald_store_close(store);
}

static void urls_are_read_whole(void **state)
{
    static const char *const wrong[] = {
        "memory:?events_max=0",  "memory:?events_max=",
        "memory:?events_max=5&", "memory:?events_max=5x",
        "memory:events_max=5",   "memory:?",
        "memory:?max=1",         "memory:?bytes_max=1?events_max=1"};
    skald_store *store = store_open("memory:?bytes_max=1000000&events_max=12");
    const ski_memory *memory = store->instance;

    (void)state;
    assert_int_equal(memory->bytes_max, 1000000);
    assert_int_equal(memory->events_max, 12);
    skald_store_close(store);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(skald_store_open(wrong[i], NULL, &store, NULL), SKALD_EINVALID);
}

typedef struct running {
    skald_store *store;
    atomic_bool over;
    atomic_uint_least64_t read;
} running;

static void *reader_run(void *context)
{
    running *with = context;
    skald_read read = {.page_bytes_max = 32 * 1024};
    names texts;

    while (!atomic_load(&with->over)) {
        skald_store_page page;

        if (ski_store_page(with->store, &read, &page, NULL)) break;
        for (size_t i = 0; i < page.count; i++) {
            skald_event made = event_of(page.events[i].position, &texts);

            if (!skald_str_equal(page.events[i].data, made.data)) abort();
        }
        atomic_fetch_add(&with->read, page.count);
        read.after = page.position_next;
        ski_store_page_free(with->store, &page);
    }
    return NULL;
}

static void *asker_run(void *context)
{
    running *with = context;
    const skald_counted *found;
    size_t count;

    while (!atomic_load(&with->over)) {
        skald_arena *arena = NULL;

        if (skald_arena_new(1 << 20, &arena)) break;
        if (skald_store_types(with->store, SKALD_STR(""), arena, &found, &count)) abort();
        skald_arena_free(arena);
        if (skald_store_compact(with->store, NULL, NULL, NULL)) abort();
    }
    return NULL;
}

static void threads_meet(void **state)
{
    running with = {.store = store_open("memory:?events_max=1000")};
    pthread_t threads[3];

    (void)state;
    atomic_init(&with.over, false);
    atomic_init(&with.read, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? reader_run : asker_run, &with),
                         0);
    append_to(with.store, 30000);
    atomic_store(&with.over, true);
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    const ski_memory *memory = with.store->instance;

    assert_int_equal(memory->texts_waiting, 0);
    assert_int_equal(memory->pages, 0);
    read_check(with.store, &(skald_read){0}, 0);
    skald_store_close(with.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_see_the_newest),
        cmocka_unit_test(lists_count_what_is_there),
        cmocka_unit_test(memory_goes_round),
        cmocka_unit_test(silent_streams_become_short),
        cmocka_unit_test(pages_stay_whole),
        cmocka_unit_test(nothing_is_full_while_something_may_go),
        cmocka_unit_test(nothing_is_full_when_much_may_go_at_once),
        cmocka_unit_test(what_is_held_stays),
        cmocka_unit_test(what_is_lost_is_counted),
        cmocka_unit_test(ids_go_with_their_events),
        cmocka_unit_test(it_runs_for_years),
        cmocka_unit_test(without_memory_it_goes_on),
        cmocka_unit_test(urls_are_read_whole),
        cmocka_unit_test(threads_meet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
