// SPDX-License-Identifier: Apache-2.0
// The drivers against each other: the same random operations on log, sqlite and memory give the
// same answers. Each seed is a store in each driver, some hundred operations on all of them, and
// after each the answers are held against memory's: errors, numbers, and events byte for byte.
//
//   SKALD_SEED=n      this seed only (what a failure prints)
//   SKALD_SEEDS=n     so many, from 1
//   SKALD_OPS=n       operations a seed
#include "store/store.h"

// cmocka wants these before itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    drivers = 3, // memory first: it is what the others are held against
    seeds_default = 30,
    operations_default = 120,
    events_max = 12, // of an append
    texts_max = 64 * 1024,
    answer_bytes_max = 8 * 1024 * 1024,
};

static const char *const driver_names[drivers] = {"memory", "log", "sqlite"};

// What has been tried: a run that stores or refuses nothing shows nothing.
typedef struct tally {
    size_t stored, repeated, conflicts, exists, events_read;
} tally;

typedef struct world {
    tally *tally;
    char directory[512];
    skald_store *stores[drivers];
    skald_clock clocks[drivers];
    skald_time now[drivers]; // a clock each: how often one is looked at is the driver's own affair
    skald_store_options options[drivers];
    uint64_t seed, random;
    int operation;
    char texts[texts_max]; // of the operation
    size_t text_len;
    skald_event sent[events_max * 64]; // to be repeated
    size_t sent_count;
    skald_buf answers[drivers];
} world;

// One random number: xorshift.
static uint64_t next(world *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

static uint64_t below(world *w, uint64_t limit)
{
    return next(w) % limit;
}

static bool one_in(world *w, uint64_t n)
{
    return below(w, n) == 0;
}

static skald_str print(world *w, const char *format, ...) SKALD_PRINTF(2, 3);
static skald_str print(world *w, const char *format, ...)
{
    char *at = w->texts + w->text_len;
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(at, texts_max - w->text_len, format, arguments);
    va_end(arguments);
    assert_true(len >= 0 && w->text_len + (size_t)len < texts_max);
    w->text_len += (size_t)len + 1;
    return (skald_str){at, (size_t)len};
}

// An answer is text: what differs can be read.
static void say(skald_buf *answer, const char *format, ...) SKALD_PRINTF(2, 3);
static void say(skald_buf *answer, const char *format, ...)
{
    char line[512];
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    assert_true(len >= 0 && (size_t)len < sizeof(line));
    assert_int_equal(skald_buf_put(answer, (skald_str){line, (size_t)len}), SKALD_OK);
}

static void say_text(skald_buf *answer, skald_str text)
{
    say(answer, " %zu:", text.len);
    if (text.len) assert_int_equal(skald_buf_put(answer, text), SKALD_OK);
}

static void say_event(skald_buf *answer, const skald_event *event)
{
    char id[SKALD_UUID_TEXT + 1];
    const skald_str texts[] = {event->type,           event->data,         event->metadata,
                               event->stream,         event->tags,         event->tenant,
                               event->correlation_id, event->causation_id, event->user,
                               event->role,           event->source,       event->traceparent};

    skald_uuid_print(event->id, id);
    say(answer, "%" PRIu64 " v%" PRIu64 " %s at %" PRId64 " %" PRId64 " %u %d %d", event->position,
        event->stream_version, id, event->occurred_at, event->recorded_at, event->version,
        (int)event->priority, (int)event->test);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) say_text(answer, texts[i]);
    say(answer, "\n");
}

// Names: few, so that they meet.
static skald_str name_tenant(world *w)
{
    static const char *const tenants[] = {"", "", "", "a", "ab", "tenant-2"};

    return skald_str_of(tenants[below(w, 6)]);
}

static skald_str name_stream(world *w)
{
    uint64_t number = below(w, 9);

    if (number == 8) return skald_str_of("order");
    return print(w, "%s-%" PRIu64, number % 2 ? "order" : "invoice", number);
}

static skald_str name_type(world *w)
{
    static const char *const types[] = {"order.paid", "order.created", "orders.x", "invoice.sent",
                                        "t",          "t.a.b"};

    return skald_str_of(types[below(w, 6)]);
}

static skald_uuid id_of(uint64_t number)
{
    skald_uuid id = {{0x01, 0x92, 0, 0, 0, 0, 0x70, 0, 0x80}};

    for (int i = 0; i < 6; i++) id.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    return id;
}

static skald_event event_new(world *w, int index)
{
    skald_event event = {
        .id = id_of((uint64_t)w->operation * 1000 + (uint64_t)index + 1),
        .type = name_type(w),
        .data = print(w, "{\"n\":%" PRIu64 ",\"t\":\"%.*s\"}", next(w), (int)below(w, 40),
                      "a text of some length, æøå left out"),
        .tenant = name_tenant(w),
        .occurred_at = (skald_time)(1 + below(w, 1000000)),
        .version = (uint32_t)below(w, 3),
        .priority = (skald_priority)((int)below(w, 4) - 1),
        .test = one_in(w, 8),
    };

    if (!one_in(w, 4)) event.stream = name_stream(w);
    if (one_in(w, 2)) event.correlation_id = print(w, "c-%" PRIu64, below(w, 12));
    if (one_in(w, 4)) event.causation_id = print(w, "because \"%" PRIu64 "\"", next(w));
    if (one_in(w, 4)) event.metadata = print(w, "{\"m\":%" PRIu64 "}", next(w));
    if (one_in(w, 4)) event.user = print(w, "user %" PRIu64, below(w, 9));
    if (one_in(w, 6)) event.role = skald_str_of("clerk");
    if (one_in(w, 6)) event.source = skald_str_of("test");
    if (one_in(w, 6)) event.tags = skald_str_of("course:101 student:7");
    if (one_in(w, 6)) event.traceparent = skald_str_of("00-0af7651916cd43dd8448eb211c80319c-01");
    return event;
}

// Events that were sent once, as far as content goes: kept for repeating.
static void sent_keep(world *w, const skald_event *events, size_t count)
{
    for (size_t i = 0; i < count && w->sent_count < sizeof(w->sent) / sizeof(w->sent[0]); i++) {
        skald_event *kept = &w->sent[w->sent_count++];

        *kept = (skald_event){.id = events[i].id, .version = events[i].version};
        const skald_str from[] = {events[i].type, events[i].data, events[i].metadata,
                                  events[i].stream, events[i].tenant};
        skald_str *const to[] = {&kept->type, &kept->data, &kept->metadata, &kept->stream,
                                 &kept->tenant};

        for (size_t j = 0; j < sizeof(from) / sizeof(from[0]); j++) {
            char *copy;

            if (!from[j].len) continue;
            copy = test_malloc(from[j].len);
            memcpy(copy, from[j].ptr, from[j].len);
            *to[j] = (skald_str){copy, from[j].len};
        }
    }
}

static void sent_forget(world *w)
{
    for (size_t i = 0; i < w->sent_count; i++) {
        const skald_str texts[] = {w->sent[i].type, w->sent[i].data, w->sent[i].metadata,
                                   w->sent[i].stream, w->sent[i].tenant};

        for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++)
            if (texts[j].ptr) test_free((char *)texts[j].ptr);
    }
    w->sent_count = 0;
}

typedef struct told {
    skald_err err;
    int times;
} told;

static void batch_done(skald_store_batch *batch, skald_err err)
{
    told *t = batch->context;

    t->err = err;
    t->times++;
}

// do_commit gives one batch to one driver and says what came of it.
static void do_commit(world *w, int driver, skald_store_batch batch, const skald_event *events)
{
    skald_event copies[events_max];
    skald_buf *answer = &w->answers[driver];
    told t = {0};
    skald_err err;

    memcpy(copies, events, batch.event_count * sizeof(copies[0]));
    batch.events = copies;
    batch.done = batch_done;
    batch.context = &t;
    err = ski_store_commit(w->stores[driver], &batch);
    assert_int_equal(t.times, err ? 0 : 1);
    if (driver == 0) {
        w->tally->stored += !err && !t.err && !batch.appended.repeated;
        w->tally->repeated += !err && !t.err && batch.appended.repeated;
        w->tally->conflicts += t.err == SKALD_ECONFLICT;
        w->tally->exists += t.err == SKALD_EEXISTS;
    }
    say(answer, "%s %s", skald_err_name(err), skald_err_name(t.err));
    if (!err && t.err == SKALD_ECONFLICT)
        say(answer, " %zu is at %" PRIu64, batch.conflict, batch.actual_version);
    if (err || t.err) return;
    say(answer, " %" PRIu64 "-%" PRIu64 " v%" PRIu64 " %d", batch.appended.position_first,
        batch.appended.position_last, batch.appended.stream_version, batch.appended.repeated);
    for (size_t i = 0; i < batch.event_count; i++)
        say(answer, " %" PRIu64 " v%" PRIu64 " %" PRId64, copies[i].position,
            copies[i].stream_version, copies[i].recorded_at);
}

// expect_make is often right: it asks memory where the stream stands.
static skald_expect expect_make(world *w, const skald_event *event)
{
    skald_expect expect = {.tenant = event->tenant, .stream = event->stream};
    uint64_t version = 0;

    if (!expect.stream.len || one_in(w, 4)) expect.stream = name_stream(w);
    expect.expected = (skald_expected)below(w, 4);
    assert_int_equal(skald_stream_version(w->stores[0], expect.tenant, expect.stream, &version),
                     SKALD_OK);
    if (expect.expected == SKALD_AT) expect.version = one_in(w, 4) ? below(w, 9) : version;
    if (expect.expected == SKALD_NONE && version && !one_in(w, 4)) expect.expected = SKALD_PRESENT;
    return expect;
}

static void op_append(world *w)
{
    static const skald_durability levels[] = {SKALD_DURABLE, SKALD_WRITTEN, SKALD_MEMORY};
    skald_event events[events_max];
    skald_store_value values[3];
    skald_expect expect[3];
    skald_store_batch batch = {.durability = levels[below(w, 3)]};

    batch.event_count = one_in(w, 8) ? 0 : 1 + (one_in(w, 3) ? below(w, events_max) : 0);
    for (size_t i = 0; i < batch.event_count; i++) events[i] = event_new(w, (int)i);
    if (batch.event_count && one_in(w, 2)) {
        batch.expect_count = 1 + below(w, 3);
        for (size_t i = 0; i < batch.expect_count; i++)
            expect[i] = expect_make(w, &events[i % batch.event_count]);
    }
    if (!batch.event_count || one_in(w, 4)) {
        batch.value_count = 1 + below(w, 3);
        for (size_t i = 0; i < batch.value_count; i++) {
            values[i].name = print(w, "value/%" PRIu64, below(w, 6));
            values[i].bytes = one_in(w, 4)   ? (skald_str){0}
                              : one_in(w, 4) ? SKALD_STR("")
                                             : print(w, "%" PRIu64, next(w));
        }
    }
    batch.values = values;
    batch.expect = expect;
    sent_keep(w, events, batch.event_count);
    for (int d = 0; d < drivers; d++) do_commit(w, d, batch, events);
}

// op_repeat sends again what was sent (or refused) before: all the same, or something changed.
static void op_repeat(world *w)
{
    skald_event events[events_max];
    skald_expect expect;
    skald_store_batch batch = {.event_count = 1 + (one_in(w, 2) ? below(w, 3) : 0)};
    size_t from;

    if (w->sent_count < batch.event_count) return;
    from = below(w, w->sent_count - batch.event_count + 1);
    memcpy(events, &w->sent[from], batch.event_count * sizeof(events[0]));
    switch (below(w, 6)) {
    case 0: events[0].data = print(w, "%" PRIu64, next(w)); break;
    case 1: events[0] = event_new(w, 0); break;
    case 2: events[batch.event_count - 1].tenant = name_tenant(w); break;
    default: events[0].source = SKALD_STR("again"); break;
    }
    if (one_in(w, 3)) {
        expect = expect_make(w, &events[0]);
        batch.expect = &expect;
        batch.expect_count = 1;
    }
    for (int d = 0; d < drivers; d++) do_commit(w, d, batch, events);
}

static void op_read(world *w)
{
    skald_str types[3], streams[3], categories[2];
    uint64_t head = skald_store_head(w->stores[0]);
    skald_read read = {.backwards = one_in(w, 2), .events_max = one_in(w, 3) ? 1 + below(w, 9) : 0};
    static const char *const prefixes[] = {"order.*", "order*", "*", "t.*", "nothing.*"};

    if (!one_in(w, 5)) read.filter.tenant = name_tenant(w);
    if (one_in(w, 3)) read.filter.types.count = 1 + below(w, 3);
    if (one_in(w, 3)) read.filter.streams.count = 1 + below(w, 3);
    if (one_in(w, 6)) read.filter.categories.count = 1 + below(w, 2);
    for (int i = 0; i < 3; i++) {
        types[i] = one_in(w, 4) ? skald_str_of(prefixes[below(w, 5)]) : name_type(w);
        streams[i] = name_stream(w);
    }
    categories[0] = SKALD_STR("order");
    categories[1] = one_in(w, 2) ? SKALD_STR("invoice") : SKALD_STR("none");
    read.filter.types.items = types;
    read.filter.streams.items = streams;
    read.filter.categories.items = categories;
    if (one_in(w, 4)) read.filter.correlation_id = print(w, "c-%" PRIu64, below(w, 12));
    if (one_in(w, 6)) read.filter.priority_min = (skald_priority)((int)below(w, 4) - 1);
    if (one_in(w, 3)) read.after = below(w, head + 3);
    if (one_in(w, 3)) read.before = below(w, head + 3);
    if (one_in(w, 6)) read.from = w->now[0] - (skald_time)below(w, 100000);
    if (one_in(w, 6)) read.to = w->now[0] - (skald_time)below(w, 100000);
    if (read.filter.streams.count == 1 && one_in(w, 2)) read.version_from = below(w, 6);
    if (read.filter.streams.count == 1 && one_in(w, 2)) read.version_to = below(w, 20);
    if (one_in(w, 2)) read.page_bytes_max = (uint32_t)(1 + below(w, 4000));
    bool refused = false;

    for (int d = 0; d < drivers; d++) {
        const skald_event *event = NULL;
        skald_error error = {0};
        skald_cursor *cursor;

        skald_err opened = skald_cursor_open(w->stores[d], &read, &cursor);

        if (d == 0) refused = opened == SKALD_EINVALID; // what can mean nothing, by all of them
        assert_int_equal(opened, refused ? SKALD_EINVALID : SKALD_OK);
        if (refused) continue;
        do {
            skald_err err = skald_cursor_next(cursor, &event, &error);

            if (err) say(&w->answers[d], "%s %s\n", skald_err_name(err), error.text);
            if (!err && event) say_event(&w->answers[d], event);
            if (d == 0) w->tally->events_read += event != NULL;
        } while (event);
        skald_cursor_close(cursor);
    }
}

static void op_lookup(world *w)
{
    skald_str tenant = name_tenant(w), stream = name_stream(w);
    skald_uuid id =
        w->sent_count && !one_in(w, 4) ? w->sent[below(w, w->sent_count)].id : id_of(next(w));
    skald_arena *arena;

    assert_int_equal(skald_arena_new(1024 * 1024, &arena), SKALD_OK);
    for (int d = 0; d < drivers; d++) {
        skald_buf *answer = &w->answers[d];
        uint64_t version = 77;
        skald_event event;
        skald_err err = skald_stream_version(w->stores[d], tenant, stream, &version);

        say(answer, "head %" PRIu64 " %s v%" PRIu64 "\n", skald_store_head(w->stores[d]),
            skald_err_name(err), version);
        err = skald_store_event(w->stores[d], id, tenant, arena, &event);
        say(answer, "%s ", skald_err_name(err));
        if (!err) say_event(answer, &event);
    }
    skald_arena_free(arena);
}

static int counted_order(const void *a, const void *b)
{
    const skald_counted *x = a, *y = b;
    size_t len = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = len ? memcmp(x->name.ptr, y->name.ptr, len) : 0;

    if (!order) order = (x->name.len > y->name.len) - (x->name.len < y->name.len);
    if (!order)
        order = (x->position_last > y->position_last) - (x->position_last < y->position_last);
    return order;
}

static void say_listed(skald_buf *answer, const skald_counted *item)
{
    say_text(answer, item->tenant);
    say_text(answer, item->name);
    say(answer, " %" PRIu64 " last %" PRIu64 "\n", item->count, item->position_last);
}

// say_counted says a list in one order: types of every tenant repeat, in no order.
static void say_counted(skald_buf *answer, const skald_counted *items, size_t count)
{
    skald_counted *sorted = test_calloc(count + 1, sizeof(*sorted));

    if (count) memcpy(sorted, items, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), counted_order);
    for (size_t i = 0; i < count; i++) {
        say_text(answer, sorted[i].name);
        say(answer, " %" PRIu64 " last %" PRIu64 "\n", sorted[i].count, sorted[i].position_last);
    }
    test_free(sorted);
}

static void op_list(world *w)
{
    skald_str tenant = one_in(w, 4) ? (skald_str){0} : name_tenant(w);
    skald_str prefix = one_in(w, 2) ? SKALD_STR("") : SKALD_STR("order");
    skald_counted after = {.name = name_stream(w), .tenant = name_tenant(w)};
    bool from_first = !one_in(w, 3);
    size_t count_max = one_in(w, 2) ? 1 + below(w, 4) : 1000;
    skald_arena *arena;

    assert_int_equal(skald_arena_new(4 * 1024 * 1024, &arena), SKALD_OK);
    for (int d = 0; d < drivers; d++) {
        const skald_counted *items = NULL;
        size_t count = 0;
        skald_err err =
            skald_store_streams(w->stores[d], tenant, prefix, from_first ? NULL : &after, count_max,
                                arena, &items, &count);

        say(&w->answers[d], "streams %s %zu\n", skald_err_name(err), count);
        for (size_t i = 0; i < count; i++) say_listed(&w->answers[d], &items[i]);
        err = skald_store_types(w->stores[d], tenant, arena, &items, &count);
        say(&w->answers[d], "types %s %zu\n", skald_err_name(err), count);
        say_counted(&w->answers[d], items, count);
    }
    skald_arena_free(arena);
}

static bool value_count(void *context, const skald_store_value *value)
{
    size_t *sum = context;

    *sum += 1000 + value->name.len * 10 + value->bytes.len;
    return true;
}

static void op_values(world *w)
{
    for (int d = 0; d < drivers; d++) {
        size_t sum = 0;

        for (int i = 0; i < 6; i++) {
            char name[24];
            skald_buf buf = {.bytes_max = 4096};
            skald_err err;

            (void)snprintf(name, sizeof(name), "value/%d", i);
            err = ski_store_value_get(w->stores[d], skald_str_of(name), &buf);
            say(&w->answers[d], "%s %s", name, skald_err_name(err));
            say_text(&w->answers[d], (skald_str){buf.ptr, buf.len});
            skald_buf_fini(&buf);
        }
        assert_int_equal(ski_store_value_each(w->stores[d], SKALD_STR("value/"), value_count, &sum),
                         SKALD_OK);
        say(&w->answers[d], " sum %zu\n", sum);
    }
}

static skald_time world_now(void *context)
{
    return *(skald_time *)context;
}

static uint64_t world_monotonic(void *context)
{
    return (uint64_t) * (skald_time *)context * 1000;
}

static void store_open(world *w, int driver)
{
    char url[600];
    skald_error error = {0};

    if (driver == 0)
        (void)snprintf(url, sizeof(url), "memory:");
    else
        (void)snprintf(url, sizeof(url), "%s:%s/%s", driver_names[driver], w->directory,
                       driver_names[driver]);
    if (skald_store_open(url, &w->options[driver], &w->stores[driver], &error))
        fail_msg("%s: %s", url, error.text);
}

// op_reopen: memory keeps nothing, so it stays open.
static void op_reopen(world *w)
{
    for (int d = 1; d < drivers; d++) {
        skald_store_close(w->stores[d]);
        store_open(w, d);
    }
}

static int path_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void world_open(world *w, uint64_t seed, tally *counts)
{
    static const skald_time begin = 1767225600000000; // 2026-01-01
    const char *base = getenv("TMPDIR");

    *w = (world){.tally = counts, .seed = seed, .random = seed * 0x9e3779b97f4a7c15u + 1};
    (void)snprintf(w->directory, sizeof(w->directory), "%s/skald-differential-XXXXXX",
                   base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(w->directory));
    for (int d = 0; d < drivers; d++) {
        w->now[d] = begin;
        w->clocks[d] = (skald_clock){world_now, world_monotonic, &w->now[d]};
        w->options[d] = (skald_store_options){.clock = &w->clocks[d], .segment_bytes = 64 * 1024};
        w->answers[d].bytes_max = answer_bytes_max;
        store_open(w, d);
    }
}

static void world_close(world *w)
{
    for (int d = 0; d < drivers; d++) {
        skald_store_close(w->stores[d]);
        skald_buf_fini(&w->answers[d]);
    }
    sent_forget(w);
    (void)nftw(w->directory, path_remove, 16, FTW_DEPTH | FTW_PHYS);
}

// compare holds the answers against memory's and forgets them.
static void compare(world *w, const char *what)
{
    for (int d = 1; d < drivers; d++) {
        const skald_buf *a = &w->answers[0], *b = &w->answers[d];
        size_t at = 0;

        while (at < a->len && at < b->len && a->ptr[at] == b->ptr[at]) at++;
        if (at == a->len && at == b->len) continue;
        size_t from = at > 200 ? at - 200 : 0;
        fail_msg("seed %" PRIu64 ", operation %d (%s): %s answers differently from byte %zu on\n"
                 "  memory: %.*s\n  %s: %.*s\nagain: SKALD_SEED=%" PRIu64
                 " store_differential_test",
                 w->seed, w->operation, what, driver_names[d], at,
                 (int)(a->len - from > 600 ? 600 : a->len - from), a->ptr ? a->ptr + from : "",
                 driver_names[d], (int)(b->len - from > 600 ? 600 : b->len - from),
                 b->ptr ? b->ptr + from : "", w->seed);
    }
    for (int d = 0; d < drivers; d++) w->answers[d].len = 0;
}

static const struct {
    void (*run)(world *w);
    const char *name;
    unsigned weight;
} operations[] = {
    {op_append, "append", 40}, {op_repeat, "repeat", 15}, {op_read, "read", 30},
    {op_lookup, "lookup", 8},  {op_list, "list", 4},      {op_values, "values", 4},
    {op_reopen, "reopen", 1},
};
enum { operation_kinds = sizeof(operations) / sizeof(operations[0]) };

static void step(world *w)
{
    uint64_t at = below(w, 102);
    size_t kind = 0;

    while (kind + 1 < operation_kinds && at >= operations[kind].weight)
        at -= operations[kind++].weight;
    w->text_len = 0;
    skald_time forward = (skald_time)below(w, 3) * 500;
    for (int d = 0; d < drivers; d++) w->now[d] += forward; // now and then it stands
    operations[kind].run(w);
    compare(w, operations[kind].name);
}

static uint64_t number_given(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void run_seed(uint64_t seed, tally *counts)
{
    int count = (int)number_given("SKALD_OPS", operations_default);
    world *w = test_malloc(sizeof(*w));

    world_open(w, seed, counts);
    for (w->operation = 0; w->operation < count; w->operation++) step(w);
    // At the end everything, once more from the disk.
    op_reopen(w);
    op_list(w);
    op_values(w);
    compare(w, "the end");
    for (int d = 1; d < drivers; d++) {
        skald_verified verified;
        skald_error error = {0};

        if (skald_store_verify(w->stores[d], NULL, &verified, &error))
            fail_msg("seed %" PRIu64 ": verify of %s: %s", seed, driver_names[d], error.text);
        assert_int_equal(verified.events, skald_store_head(w->stores[0]));
    }
    world_close(w);
    test_free(w);
}

static void all_drivers_answer_alike(void **state)
{
    uint64_t one = number_given("SKALD_SEED", 0),
             count = number_given("SKALD_SEEDS", seeds_default);

    tally counts = {0};

    (void)state;
    if (one) {
        run_seed(one, &counts);
        return;
    }
    for (uint64_t seed = 1; seed <= count; seed++) run_seed(seed, &counts);
    (void)printf("%" PRIu64 " seeds on %d drivers: %zu appends stored, %zu repeated, %zu conflicts,"
                 " %zu ids of others, %zu events read\n",
                 count, drivers, counts.stored, counts.repeated, counts.conflicts, counts.exists,
                 counts.events_read);
    assert_true(counts.stored && counts.repeated && counts.conflicts && counts.exists &&
                counts.events_read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_drivers_answer_alike)};

    return cmocka_run_group_tests_name("store differential", tests, NULL, NULL);
}
