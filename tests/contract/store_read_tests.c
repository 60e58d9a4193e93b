// SPDX-License-Identifier: Apache-2.0
// The contract of reading: every kind of read is compared with a plain search over everything, and
// paging with any page size gives the same.
#include "contract/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A small generator of its own (splitmix64): a failure is repeated from its seed alone.
static uint64_t random_next(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t random_below(uint64_t *seed, size_t bound)
{
    return (size_t)(random_next(seed) % bound);
}

static const char *const tenants[] = {"", "acme", "zeta"};
static const char *const types[] = {"order.placed", "order.paid", "order", "orders.x",
                                    "user.login",   "user.left",  "z"};
static const char *const patterns[] = {"order.placed", "order.*", "user.*", "*", "z",
                                       "nothing",      "order"};
static const char *const streams[] = {"order-1", "order-2", "order", "orders-1",
                                      "user-1",  "user-2",  "u"};
static const char *const categories[] = {"order", "orders", "user", "u", "nothing"};
static const char *const correlations[] = {"c1", "c2", "c3"};

#define ONE_OF(seed, list) text((list)[random_below(seed, sizeof(list) / sizeof((list)[0]))])

static void fill_randomly(fixture *f, uint64_t *seed, size_t batches)
{
    for (size_t i = 0; i < batches; i++) {
        skald_event events[6];
        size_t count = 1 + random_below(seed, 6);

        for (size_t j = 0; j < count; j++) {
            events[j] = event_of(f, types[random_below(seed, 7)], NULL, (int)i);
            if (random_below(seed, 5)) events[j].stream = ONE_OF(seed, streams);
            events[j].tenant = ONE_OF(seed, tenants);
            if (random_below(seed, 2)) events[j].correlation_id = ONE_OF(seed, correlations);
            events[j].priority = (skald_priority)((int)random_below(seed, 4) - 1);
        }
        append_all(f, events, count, NULL);
    }
}

// A read with its lists, made at random.
typedef struct random_read {
    skald_read read;
    skald_str types[3], streams[3], categories[2];
} random_read;

static void read_randomly(random_read *r, uint64_t *seed, const events_list *all)
{
    skald_read *read = &r->read;
    const skald_event *any = &all->items[random_below(seed, all->count)];

    memset(r, 0, sizeof(*r));
    for (int i = 0; i < 3; i++) r->types[i] = ONE_OF(seed, patterns);
    for (int i = 0; i < 3; i++) r->streams[i] = ONE_OF(seed, streams);
    for (int i = 0; i < 2; i++) r->categories[i] = ONE_OF(seed, categories);
    if (random_below(seed, 4)) read->filter.tenant = ONE_OF(seed, tenants);
    if (!random_below(seed, 3))
        read->filter.types = (skald_texts){r->types, 1 + random_below(seed, 3)};
    if (!random_below(seed, 3))
        read->filter.streams = (skald_texts){r->streams, 1 + random_below(seed, 3)};
    if (!random_below(seed, 5))
        read->filter.categories = (skald_texts){r->categories, 1 + random_below(seed, 2)};
    if (!random_below(seed, 4)) read->filter.correlation_id = ONE_OF(seed, correlations);
    if (!random_below(seed, 6)) read->filter.priority_min = (skald_priority)random_below(seed, 3);
    if (!random_below(seed, 3)) read->after = random_below(seed, all->count + 3);
    if (!random_below(seed, 3)) read->before = random_below(seed, all->count + 3);
    if (!random_below(seed, 5)) read->from = any->recorded_at - (skald_time)random_below(seed, 2);
    if (!random_below(seed, 5)) read->to = any->recorded_at + (skald_time)random_below(seed, 90000);
    if (read->filter.streams.count == 1 && !random_below(seed, 2)) {
        read->version_from = random_below(seed, 20);
        read->version_to = random_below(seed, 30);
    }
    if (!random_below(seed, 5)) read->events_max = 1 + random_below(seed, 20);
    read->page_bytes_max = random_below(seed, 2) ? 0 : 1 + (uint32_t)random_below(seed, 4000);
    read->backwards = random_below(seed, 2);
}

// The plain search, written apart from the code it judges.
static bool named(skald_texts names, skald_str name)
{
    for (size_t i = 0; i < names.count; i++)
        if (names.items[i].len == name.len &&
            (!name.len || !memcmp(names.items[i].ptr, name.ptr, name.len)))
            return true;
    return !names.count;
}

static bool typed(skald_texts patterns_, skald_str type)
{
    for (size_t i = 0; i < patterns_.count; i++) {
        skald_str p = patterns_.items[i];

        if (p.ptr[p.len - 1] == '*') {
            if (type.len >= p.len - 1 && !memcmp(type.ptr, p.ptr, p.len - 1)) return true;
        } else if (p.len == type.len && !memcmp(p.ptr, type.ptr, p.len)) {
            return true;
        }
    }
    return !patterns_.count;
}

static bool meant(const skald_read *read, const skald_event *event)
{
    const skald_filter *filter = &read->filter;
    const char *dash = event->stream.len ? memchr(event->stream.ptr, '-', event->stream.len) : NULL;
    skald_str category = {event->stream.ptr,
                          dash ? (size_t)(dash - event->stream.ptr) : event->stream.len};

    if (event->position <= read->after) return false;
    if (read->before && event->position >= read->before) return false;
    if (read->from && event->recorded_at < read->from) return false;
    if (read->to && event->recorded_at >= read->to) return false;
    if (read->version_from && event->stream_version < read->version_from) return false;
    if (read->version_to && event->stream_version > read->version_to) return false;
    if (filter->tenant.ptr && !named((skald_texts){&filter->tenant, 1}, event->tenant))
        return false;
    if (filter->correlation_id.ptr &&
        !named((skald_texts){&filter->correlation_id, 1}, event->correlation_id))
        return false;
    if (filter->priority_min && event->priority < filter->priority_min) return false;
    if (filter->streams.count && !event->stream.len) return false;
    if (filter->categories.count && !event->stream.len) return false;
    return typed(filter->types, event->type) && named(filter->streams, event->stream) &&
           named(filter->categories, category);
}

static void assert_agrees(fixture *f, const skald_read *read, const events_list *all, uint64_t seed)
{
    events_list got = read_all(f, read);
    size_t expected = 0;

    for (size_t i = 0; i < all->count; i++) {
        const skald_event *event = &all->items[read->backwards ? all->count - 1 - i : i];

        if (!meant(read, event)) continue;
        if (read->events_max && expected == read->events_max) break;
        if (expected >= got.count || got.items[expected].position != event->position)
            fail_msg("seed %llu: result %zu is not position %llu", (unsigned long long)seed,
                     expected, (unsigned long long)event->position);
        assert_same_event(&got.items[expected++], event);
    }
    if (expected != got.count)
        fail_msg("seed %llu: %zu events, %zu expected", (unsigned long long)seed, got.count,
                 expected);
}

static void assert_reads_agree(fixture *f, size_t reads)
{
    events_list all = read_all(f, NULL);

    assert_int_equal(all.count, skald_store_head(f->store));
    for (uint64_t n = 1; n <= reads; n++) {
        uint64_t seed = n;
        random_read r;

        read_randomly(&r, &seed, &all);
        assert_agrees(f, &r.read, &all, n);
    }
}

void reads_agree_with_a_plain_search(void **state)
{
    fixture *f = *state;
    uint64_t seed = 20260101;

    fill_randomly(f, &seed, 100);
    assert_reads_agree(f, 400);
}

void reads_agree_after_reopen(void **state)
{
    fixture *f = *state;
    uint64_t seed = 7;

    if (!f->contract->reopen) skip();
    fill_randomly(f, &seed, 40);
    f->store = f->contract->reopen(f->store, &f->options);
    assert_non_null(f->store);
    assert_reads_agree(f, 100);
    fill_randomly(f, &seed, 20);
    assert_reads_agree(f, 100);
}

void an_empty_store(void **state)
{
    fixture *f = *state;
    const skald_counted *counted;
    skald_event found;
    skald_store_state stands;
    uint64_t version = 5;
    size_t count;

    assert_int_equal(skald_store_head(f->store), 0);
    for (int backwards = 0; backwards < 2; backwards++) {
        skald_read read = {.backwards = backwards};
        skald_store_page page;

        assert_int_equal(read_all(f, &read).count, 0);
        assert_int_equal(ski_store_page(f->store, &read, &page, NULL), SKALD_OK);
        assert_int_equal(page.count, 0);
        assert_true(page.end);
        ski_store_page_free(f->store, &page);
    }
    assert_int_equal(skald_store_event(f->store, id_of(1), text(""), f->arena, &found),
                     SKALD_ENOTFOUND);
    assert_int_equal(skald_store_event(f->store, (skald_uuid){0}, text(""), f->arena, &found),
                     SKALD_ENOTFOUND);
    assert_int_equal(skald_stream_version(f->store, text(""), text("s-1"), &version), SKALD_OK);
    assert_int_equal(version, 0);
    assert_int_equal(skald_store_streams(f->store, (skald_str){0}, text(""), NULL, 5, f->arena,
                                         &counted, &count),
                     SKALD_OK);
    assert_int_equal(count, 0);
    assert_int_equal(skald_store_types(f->store, (skald_str){0}, f->arena, &counted, &count),
                     SKALD_OK);
    assert_int_equal(count, 0);
    skald_store_state_get(f->store, &stands);
    assert_int_equal(stands.head, 0);
    assert_false(stands.read_only);
}

// pages_walk reads by pages from the outside, as a subscription does.
static size_t pages_walk(fixture *f, skald_read read, uint64_t *ret_positions)
{
    size_t count = 0;
    bool end = false;

    for (size_t turns = 0; !end; turns++) {
        skald_store_page page;

        assert_true(turns < 10000);
        assert_int_equal(ski_store_page(f->store, &read, &page, NULL), SKALD_OK);
        for (size_t i = 0; i < page.count; i++) ret_positions[count++] = page.events[i].position;
        end = page.end;
        if (!end) assert_true(page.position_next != (read.backwards ? read.before : read.after));
        if (read.backwards)
            read.before = page.position_next;
        else
            read.after = page.position_next;
        ski_store_page_free(f->store, &page);
    }
    // At the end there is no more; what comes later comes from there.
    skald_store_page page;
    assert_int_equal(ski_store_page(f->store, &read, &page, NULL), SKALD_OK);
    assert_int_equal(page.count, 0);
    assert_true(page.end);
    ski_store_page_free(f->store, &page);
    return count;
}

void pages_give_the_same(void **state)
{
    fixture *f = *state;
    static const uint32_t sizes[] = {1, 300, 1000, 5000, 0};
    static const size_t due[] = {100, 66, 66, 25, 49, 0};
    skald_str type = text("t.a"), stream = text("s-2");
    skald_read reads[] = {{.after = 0},
                          {.filter = {.types = {&type, 1}}},
                          {.filter = {.tenant = text(""), .types = {&type, 1}}},
                          {.filter = {.tenant = text(""), .streams = {&stream, 1}}},
                          {.after = 20, .before = 70},
                          {.filter = {.tenant = text("none")}}};
    uint64_t first[120], other[120];
    skald_event given[100];

    for (int i = 0; i < 100; i++) {
        given[i] = event_of(f, i % 3 ? "t.a" : "t.b", NULL, i);
        given[i].stream = print(f, "s-%d", i % 4);
    }
    for (int i = 0; i < 100; i += 10) append_all(f, given + i, 10, NULL);
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        for (int backwards = 0; backwards < 2; backwards++) {
            size_t count;

            reads[i].backwards = backwards;
            reads[i].page_bytes_max = 0;
            count = pages_walk(f, reads[i], first);
            for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
                reads[i].page_bytes_max = sizes[j];
                assert_int_equal(pages_walk(f, reads[i], other), count);
                assert_memory_equal(first, other, count * sizeof(first[0]));
            }
            assert_int_equal(count, due[i]);
        }
    }
}

// A position that is not there yet may be waited for: what comes before it is never given.
void a_read_from_the_future(void **state)
{
    fixture *f = *state;
    skald_read read = {.after = 10};

    for (int i = 0; i < 14; i++) {
        skald_store_page page;

        assert_int_equal(ski_store_page(f->store, &read, &page, NULL), SKALD_OK);
        assert_int_equal(page.count, i > 10);
        assert_int_equal(page.position_next, i > 10 ? i : 10);
        read.after = page.position_next;
        ski_store_page_free(f->store, &page);
        append_one(f, event_of(f, "t.x", NULL, i));
    }
}

void an_event_bigger_than_a_page(void **state)
{
    fixture *f = *state;
    size_t big = 60000;
    char *data = test_malloc(big);
    skald_read read = {.page_bytes_max = 1000};

    memset(data, 'x', big);
    data[0] = data[big - 1] = '"';
    for (int i = 0; i < 6; i++) {
        skald_event event = event_of(f, "t.x", "s-1", i);

        if (i % 2) event.data = (skald_str){data, big};
        append_one(f, event);
    }
    for (int backwards = 0; backwards < 2; backwards++) {
        read.backwards = backwards;
        events_list list = read_all(f, &read);
        assert_int_equal(list.count, 6);
        for (size_t i = 0; i < 6; i++) {
            assert_int_equal(list.items[i].position, backwards ? 6 - i : i + 1);
            assert_int_equal(list.items[i].data.len == big, list.items[i].position % 2 == 0);
        }
    }
    test_free(data);
}

void a_cursor_goes_on(void **state)
{
    fixture *f = *state;
    skald_str types_[] = {text("t.wanted")};
    skald_read read = {.filter = {.types = {types_, 1}}};
    const skald_event *event;
    skald_cursor *cursor;

    assert_int_equal(skald_cursor_open(f->store, &read, &cursor), SKALD_OK);
    types_[0] = text("gone"); // the cursor has its own
    assert_int_equal(skald_cursor_position(cursor), 0);
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
        assert_null(event);
        assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
        assert_null(event);
        append_one(f, event_of(f, "t.other", NULL, 0));
        append_one(f, event_of(f, "t.wanted", NULL, 0));
        assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
        assert_non_null(event);
        assert_int_equal(event->position, 2 * i + 2);
        assert_int_equal(skald_cursor_position(cursor), 2 * i + 2);
    }
    skald_cursor_close(cursor);
    skald_cursor_close(NULL);
}

void events_max_ends_a_read(void **state)
{
    fixture *f = *state;

    for (int i = 0; i < 20; i++) append_one(f, event_of(f, "t.x", NULL, i));
    for (uint64_t max = 1; max < 25; max++) {
        skald_read read = {.events_max = max, .page_bytes_max = max % 2 ? 1 : 0};
        skald_store_page page;
        uint64_t next;

        assert_int_equal(read_all(f, &read).count, max < 20 ? max : 20);
        read.page_bytes_max = 0;
        assert_int_equal(ski_store_page(f->store, &read, &page, NULL), SKALD_OK);
        assert_int_equal(page.count, max < 20 ? max : 20);
        next = page.position_next;
        if (max < 20) {
            assert_false(page.end);
            assert_int_equal(next, max);
        }
        ski_store_page_free(f->store, &page);
    }
}

void versions_of_a_stream(void **state)
{
    fixture *f = *state;
    skald_event given[30];
    skald_str stream = text("s-1"), pair[] = {text("s-1"), text("s-2")};
    skald_read read = {.filter = {.tenant = text(""), .streams = {&stream, 1}}};
    skald_cursor *cursor;

    for (int i = 0; i < 30; i++) given[i] = event_of(f, "t.x", i % 3 ? "s-1" : "s-2", i);
    append_all(f, given, 30, NULL);
    for (uint64_t from = 0; from < 23; from += 2) {
        for (uint64_t to = 0; to < 25; to += 3) {
            uint64_t low = from ? from : 1, high = to && to < 20 ? to : 20;

            read.version_from = from;
            read.version_to = to;
            for (int backwards = 0; backwards < 2; backwards++) {
                read.backwards = backwards;
                events_list list = read_all(f, &read);
                assert_int_equal(list.count, high >= low ? high - low + 1 : 0);
                for (size_t i = 0; i < list.count; i++)
                    assert_int_equal(list.items[i].stream_version, backwards ? high - i : low + i);
            }
        }
    }
    read.filter.streams = (skald_texts){pair, 2};
    read.version_from = 1;
    assert_int_equal(skald_cursor_open(f->store, &read, &cursor), SKALD_EINVALID);
}

void times_of_recording(void **state)
{
    fixture *f = *state;
    events_list all;

    for (int i = 0; i < 20; i++) {
        skald_event pair[2] = {event_of(f, "t.x", NULL, i), event_of(f, "t.x", NULL, i)};

        append_all(f, pair, 2, NULL);
        if (i == 9) (void)atomic_fetch_sub(&f->now, 1000000); // the clock goes back
    }
    all = read_all(f, NULL);
    for (size_t i = 1; i < all.count; i++)
        assert_true(all.items[i].recorded_at >= all.items[i - 1].recorded_at);
    for (size_t i = 0; i < all.count; i += 3) {
        skald_time at = all.items[i].recorded_at;
        skald_read reads[] = {
            {.from = at}, {.to = at}, {.from = at, .to = at + 1}, {.from = at + 1, .to = at}};

        for (size_t j = 0; j < 4; j++) {
            assert_agrees(f, &reads[j], &all, i);
            reads[j].backwards = true;
            assert_agrees(f, &reads[j], &all, i);
        }
    }
}

void find_by_id(void **state)
{
    fixture *f = *state;
    skald_event given[50];
    skald_event found;

    for (int i = 0; i < 50; i++) {
        given[i] = event_of(f, "t.x", "s-1", i);
        given[i].id = id_of((uint64_t)i * 7 + 1);
        given[i].priority = (skald_priority)(i % 4 - 1);
    }
    for (int i = 0; i < 50; i += 5) append_all(f, given + i, 5, NULL);
    events_list all = read_all(f, NULL);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(skald_store_event(f->store, id_of(i * 7 + 1), (skald_str){0}, f->arena,
                                           &found),
                         SKALD_OK);
        assert_same_event(&found, &all.items[i]);
        assert_int_equal(skald_store_event(f->store, id_of(i * 7 + 2), text(""), f->arena, &found),
                         SKALD_ENOTFOUND);
    }
}

void streams_are_listed(void **state)
{
    fixture *f = *state;
    const skald_counted *list;
    size_t count;
    skald_counted after = {0};
    skald_event given[300];
    char name[16];

    for (int i = 0; i < 300; i++) {
        given[i] = event_of(f, "t.x", NULL, i);
        given[i].stream = print(f, "s-%03d", (i * 37) % 100);
        if (i % 7 == 0) given[i].stream = print(f, "other-%d", i % 2);
    }
    append_all(f, given, 300, NULL);
    // By pages of 9, in the order of names, each once.
    int number = 0;
    for (;;) {
        assert_int_equal(skald_store_streams(f->store, text(""), text("s-"), &after, 9, f->arena,
                                             &list, &count),
                         SKALD_OK);
        for (size_t i = 0; i < count; i++) {
            skald_read read = {.filter = {.tenant = text(""), .streams = {&list[i].name, 1}}};
            events_list events = read_all(f, &read);

            (void)snprintf(name, sizeof(name), "s-%03d", number++);
            assert_text(list[i].name, name);
            assert_int_equal(list[i].count, events.count);
            assert_int_equal(list[i].position_last, events.items[events.count - 1].position);
            after = list[i];
        }
        if (count < 9) break;
    }
    assert_int_equal(number, 100);
    assert_int_equal(skald_store_streams(f->store, text(""), text(""), NULL, 1000, f->arena, &list,
                                         &count),
                     SKALD_OK);
    assert_int_equal(count, 102);
    assert_text(list[0].name, "other-0");
    assert_int_equal(skald_store_streams(f->store, text(""), text("other-1"), NULL, 1, f->arena,
                                         &list, &count),
                     SKALD_OK);
    assert_int_equal(count, 1);
    assert_text(list[0].name, "other-1");
    assert_int_equal(skald_store_streams(f->store, text("x"), text(""), NULL, 9, f->arena, &list,
                                         &count),
                     SKALD_OK);
    assert_int_equal(count, 0);
    assert_int_equal(skald_store_streams(f->store, text(""), text(""), NULL, 0, f->arena, &list,
                                         &count),
                     SKALD_EINVALID);
    assert_int_equal(skald_store_streams(f->store, text(""), text(""), NULL, SKI_STORE_LIST_MAX + 1,
                                         f->arena, &list, &count),
                     SKALD_EINVALID);
}

// Streams of one name, in many tenants, part of them from before the store was opened again: by
// pages of any size each comes once, by tenant and name, with a prefix or without.
void streams_of_tenants_are_listed(void **state)
{
    static const char *const whose[] = {"", "a", "ab", "b"}, *const called[] = {"bs-1", "s-1"};
    static char data[9000]; // so small segments are sealed on the way
    fixture *f = *state;
    const skald_counted *list;
    size_t count;

    memset(data, 'x', sizeof data);
    data[0] = data[sizeof data - 1] = '"';
    for (int i = 15; i >= 0; i--) {
        skald_event event = event_of(f, "t.x", called[i % 2], i);

        event.tenant = text(whose[i / 2 % 4]);
        event.data = (skald_str){data, sizeof data};
        append_one(f, event);
        if (i == 4 && f->contract->reopen) f->store = f->contract->reopen(f->store, &f->options);
    }
    for (size_t page = 1; page <= 9; page++) {
        for (int prefixed = 0; prefixed < 2; prefixed++) {
            skald_counted after = {0};
            int number = prefixed;

            do {
                assert_int_equal(skald_store_streams(f->store, (skald_str){0},
                                                     text(prefixed ? "s-" : ""), &after, page,
                                                     f->arena, &list, &count),
                                 SKALD_OK);
                for (size_t i = 0; i < count; i++, number += 1 + prefixed) {
                    assert_in_range(number, 0, 7);
                    assert_text(list[i].tenant, whose[number / 2]);
                    assert_text(list[i].name, called[number % 2]);
                    assert_int_equal(list[i].count, 2);
                    after = list[i];
                }
            } while (count == page);
            assert_int_equal(number, 8 + prefixed);
        }
    }
    // Of one tenant, from behind a stream of another.
    skald_counted after = {.tenant = text("ab"), .name = text("bs-1")};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(skald_store_streams(f->store, text(whose[i]), text(""), &after, 9,
                                             f->arena, &list, &count),
                         SKALD_OK);
        assert_int_equal(count, i < 2 ? 0 : i - 1);
        if (count) assert_text(list[count - 1].name, "s-1");
    }
}

void types_are_counted(void **state)
{
    fixture *f = *state;
    skald_event given[60];
    const skald_counted *list;
    size_t count;

    for (int i = 0; i < 60; i++) {
        given[i] = event_of(f, NULL, i % 2 ? "s-1" : NULL, i);
        given[i].type = print(f, "t.%d", i % 5);
        if (i >= 50) given[i].tenant = text("a");
    }
    append_all(f, given, 60, NULL);
    assert_int_equal(skald_store_types(f->store, text(""), f->arena, &list, &count), SKALD_OK);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(list[i].name.ptr[2], '0' + (int)i);
        assert_int_equal(list[i].count, 10);
        assert_int_equal(list[i].position_last, 46 + i);
    }
    assert_int_equal(skald_store_types(f->store, (skald_str){0}, f->arena, &list, &count),
                     SKALD_OK);
    uint64_t events = 0;
    for (size_t i = 0; i < count; i++) events += list[i].count;
    assert_int_equal(events, 60);
}

static void no_damage(void *context, const skald_damage *damage)
{
    (void)damage;
    ++*(int *)context;
}

void nothing_is_damaged(void **state)
{
    fixture *f = *state;
    int damaged = 0;
    skald_verify_options options = {.damaged = no_damage, .context = &damaged};
    skald_verified verified = {0};
    skald_error error;
    skald_err err;

    for (int i = 0; i < 20; i++) append_one(f, event_of(f, "t.x", "s-1", i));
    err = skald_store_verify(f->store, &options, &verified, &error);
    if (err == SKALD_EUNSUPPORTED) skip(); // there is nothing that could be
    assert_int_equal(err, SKALD_OK);
    assert_int_equal(verified.events, 20);
    assert_int_equal(verified.position_last, 20);
    assert_int_equal(verified.damaged, 0);
    assert_int_equal(damaged, 0);
    assert_true(verified.bytes > 0 && verified.segments > 0);
    assert_int_equal(skald_store_verify(f->store, NULL, &verified, NULL), SKALD_OK);
}
