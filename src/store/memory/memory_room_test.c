// SPDX-License-Identifier: Apache-2.0
// Room in a store of the newest events: what indexes hold of those that have left makes nothing
// full, nobody waits for who makes an index, what was told dead is dead, what has left leaves no
// bytes where they can be found, and what is counted as lost was lost.
#include "store/memory/memory_store.h"

#include "base/alloc.h"
#include "store/handle.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { batch_max = 64 };

static skald_store *store_open(const char *url)
{
    skald_store *store = NULL;
    skald_error error = {0};

    if (skald_store_open(url, NULL, &store, &error)) fail_msg("%s", error.text);
    return store;
}

// append_some appends so many events, each on one of so many streams and with a correlation of its
// own where streams is 0.
static skald_err append_some(skald_store *store, uint64_t number, size_t count, uint64_t streams)
{
    static char names[batch_max][32];
    skald_event events[batch_max];

    for (size_t i = 0; i < count; i++) {
        uint64_t name = streams ? (number + i) * 7919 % streams : number + i;

        (void)snprintf(names[i], sizeof(names[i]), "name-%llu", (unsigned long long)name);
        events[i] = (skald_event){
            .type = SKALD_STR("t.x"),
            .data =
                SKALD_STR("\"secret-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"")};
        *(streams ? &events[i].stream : &events[i].correlation_id) = skald_str_of(names[i]);
    }
    return skald_store_append(store, events, count, NULL, NULL, NULL);
}

static void append_to(skald_store *store, uint64_t last, uint64_t streams)
{
    for (uint64_t head = skald_store_head(store); head < last; head = skald_store_head(store)) {
        size_t count = last - head < batch_max ? (size_t)(last - head) : batch_max;

        if (append_some(store, head + 1, count, streams))
            fail_msg("the append behind %llu failed", (unsigned long long)head);
    }
}

// ask reads by a correlation, for which both indexes are made.
static void ask(skald_store *store)
{
    const skald_read read = {
        .filter = {.tenant = SKALD_STR(""), .correlation_id = SKALD_STR("name-1")}};
    skald_store_page page;

    assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
    ski_store_page_free(store, &page);
}

static uint64_t first_read(skald_store *store)
{
    const skald_read read = {.events_max = 1};
    skald_store_page page;
    uint64_t first;

    assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
    first = page.count ? page.events[0].position : 0;
    ski_store_page_free(store, &page);
    return first;
}

// Many streams, each of which has places of events that left.
static void dead_places_make_nothing_full(void **state)
{
    skald_store *store = store_open("memory:?events_max=1000&bytes_max=860000");
    const ski_memory *memory = store->instance;

    (void)state;
    append_to(store, 50000, 3000);
    assert_true(memory->streams.count <= 3000);
    skald_store_close(store);
}

// Where each event has a correlation of its own, an append at the limit looks at few of them.
static void room_is_made_some_lists_at_a_time(void **state)
{
    skald_store *store = store_open("memory:?events_max=4000&bytes_max=4000000");
    const ski_memory *memory = store->instance;
    uint64_t rounds = 0, swept = 0, head;

    (void)state;
    for (head = 0; head < 60000; head += 50) {
        append_to(store, head + 50, 0);
        if (head % 1000 == 0) ask(store);
        if (head < 30000) swept = memory->correlations.swept;
        rounds += memory->correlations.swept != swept;
        swept = memory->correlations.swept;
    }
    assert_true(memory->correlations.swept > 40000);
    assert_true(rounds < 30000 / (4000 / 64));
    skald_store_close(store);
}

static void rounds_begin_when_they_are_worth_it(void **state)
{
    ski_memory_postings postings = {.seed = 1, .loses = SKI_MEMORY_ITSELF};
    enum { lists = 6400 };

    (void)state;
    for (uint64_t position = 1; position <= lists; position++) {
        char name[24];

        (void)snprintf(name, sizeof(name), "n%llu", (unsigned long long)position);
        assert_non_null(
            ski_memory_postings_add(&postings, SKALD_STR(""), skald_str_of(name), position, 1));
    }
    assert_false(ski_memory_postings_round(&postings, 1, lists));
    assert_false(ski_memory_postings_round(&postings, lists / 64, lists)); // one too few
    assert_true(ski_memory_postings_round(&postings, lists / 64 + 1, lists / 2));
    assert_int_equal(postings.swept, 0);
    assert_true(ski_memory_postings_round(&postings, lists, lists)); // goes on with the first
    assert_int_equal(postings.swept, lists / 64);
    assert_int_equal(postings.count, lists - lists / 64);
    assert_true(ski_memory_postings_round(&postings, lists + 1, UINT32_MAX));
    assert_int_equal(postings.count, 0);
    assert_int_equal(postings.bytes, 0);
    assert_false(ski_memory_postings_round(&postings, lists + 1, UINT32_MAX));
    ski_memory_postings_fini(&postings);
}

static bool keeps_none(void *context, uint64_t position)
{
    (void)context;
    (void)position;
    return false;
}

// A list that takes the place of one that an erasing took out is not passed over by a round.
static void rounds_see_who_changes_places(void **state)
{
    ski_memory_postings postings = {.seed = 1, .loses = SKI_MEMORY_ITSELF};

    (void)state;
    for (uint64_t i = 0; i <= 10; i++) {
        char name[24];

        (void)snprintf(name, sizeof(name), "n%llu", (unsigned long long)i);
        assert_non_null(ski_memory_postings_add(&postings, SKALD_STR(""), skald_str_of(name),
                                                i < 10 ? 1000 : 5, 1));
    }
    assert_true(ski_memory_postings_round(&postings, 100, 5));
    assert_true(ski_memory_postings_sweep(&postings, 0, keeps_none, NULL, true));
    assert_true(ski_memory_postings_round(&postings, 100, UINT32_MAX));
    assert_int_equal(postings.swept, 99);
    assert_int_equal(postings.count, 9);
    for (uint32_t i = 0; i < postings.count; i++)
        assert_int_equal(postings.lists[i].positions[0], 1000);
    ski_memory_postings_fini(&postings);
}

// Somebody makes the indexes of types and correlations: an append that needs their room does not
// wait for it.
static void nobody_waits_for_an_index(void **state)
{
    skald_store *store = store_open("memory:?events_max=10&bytes_max=200000");
    ski_memory *memory = store->instance;
    skald_err err = SKALD_OK;
    uint64_t number = 0;

    (void)state;
    for (; number < 400; number += 20)
        assert_int_equal(append_some(store, number, 20, 0), SKALD_OK);
    ask(store);
    ski_mutex_lock(&memory->index);
    for (; !err && number < 10000; number++) err = append_some(store, number, 1, 0);
    ski_mutex_unlock(&memory->index);
    if (err) assert_int_equal(err, SKALD_EFULL);
    for (uint64_t i = 0; i < 4000; i += 20) {
        if (i % 400 == 0) ask(store);
        assert_int_equal(append_some(store, number + i, 20, 0), SKALD_OK);
    }
    // Full of correlations alone, and somebody at them.
    for (err = SKALD_OK; !err && number < 100000; number += 20) {
        ask(store);
        ski_mutex_lock(&memory->index);
        err = append_some(store, number + 10000, 20, 0);
        ski_mutex_unlock(&memory->index);
    }
    assert_int_equal(err, SKALD_EFULL);
    assert_int_equal(append_some(store, number + 10000, 20, 0), SKALD_OK);
    skald_store_close(store);
}

// Everything has left: the indexes have nothing of it when somebody asks.
static void all_that_left_is_swept(void **state)
{
    skald_store *store = store_open("memory:");
    ski_memory *memory = store->instance;
    const skald_counted *found = NULL;
    skald_arena *arena = NULL;
    size_t count = 1;

    (void)state;
    append_to(store, 5000, 0);
    ask(store);
    ski_memory_forget(memory, 5000);
    ski_mutex_lock(&memory->data);
    assert_true(ski_memory_drop(memory, 5000));
    ski_mutex_unlock(&memory->data);
    assert_int_equal(skald_arena_new(1 << 16, &arena), SKALD_OK);
    assert_int_equal(skald_store_types(store, SKALD_STR(""), arena, &found, &count), SKALD_OK);
    assert_int_equal(count, 0);
    assert_int_equal(memory->correlations.count, 0);
    assert_int_equal(memory->types.lists[0].count, 0);
    // Where there was no room, types are swept, and correlations in part.
    append_to(store, 15000, 0);
    ask(store);
    ski_memory_forget(memory, 15000);
    ski_mutex_lock(&memory->data);
    assert_true(ski_memory_drop(memory, UINT64_MAX));
    assert_true(ski_memory_sweep_some(memory));
    ski_mutex_unlock(&memory->data);
    assert_int_equal(memory->types.swept, 15000);
    assert_true(memory->correlations.count > 0);
    ask(store);
    assert_int_equal(memory->correlations.count, 0);
    skald_arena_free(arena);
    skald_store_close(store);
}

// A limit that hides much at once: what the driver was told of, with the append behind it, never
// comes back, though it leaves little by little.
static void what_was_told_dead_is_dead(void **state)
{
    enum { head = 30000, kept = 1000 };
    static const skald_retention limit = {.max_events = kept, .policy = SKALD_RETAIN_LIMIT};
    static const skald_retention others[] = {{.policy = SKALD_RETAIN_ALWAYS},
                                             {.max_events = head, .policy = SKALD_RETAIN_LIMIT},
                                             {0}};
    const skald_uuid early = {{1}};
    skald_event event = {.type = SKALD_STR("t.x"), .id = early};

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        skald_store *store = store_open("memory:");
        const skald_counted *found = NULL;
        skald_arena *arena = NULL;
        size_t count = 0;

        assert_int_equal(skald_arena_new(1 << 16, &arena), SKALD_OK);
        append_to(store, head / 2, 7);
        assert_int_equal(skald_store_append(store, &event, 1, NULL, NULL, NULL), SKALD_OK);
        append_to(store, head, 7);
        assert_int_equal(skald_retention_set(store, &limit, NULL), SKALD_OK);
        append_to(store, head + 1, 7);
        assert_int_equal(first_read(store), head + 2 - kept);
        assert_int_equal(skald_retention_set(store, &others[i], NULL), SKALD_OK);
        assert_int_equal(first_read(store), head + 1 - kept);
        skald_event again;

        assert_int_equal(skald_store_event(store, early, SKALD_STR(""), arena, &again),
                         SKALD_ENOTFOUND);
        uint64_t position;

        assert_int_equal(store->driver->find_id(store->instance, SKALD_STR(""), early, &position),
                         SKALD_ENOTFOUND);
        assert_int_equal(skald_store_types(store, SKALD_STR(""), arena, &found, &count), SKALD_OK);
        assert_int_equal(count, 1);
        assert_int_equal(found[0].count, kept + 1);
        append_to(store, head + 501, 7);
        assert_int_equal(first_read(store), head + 1 - kept);
        skald_compacted compacted = {0};

        assert_int_equal(skald_store_compact(store, NULL, &compacted, NULL), SKALD_OK);
        assert_int_equal(first_read(store), head + 1 - kept);
        assert_true(compacted.events_erased > head / 2);
        skald_arena_free(arena);
        skald_store_close(store);
    }
}

static uint64_t lost(skald_store *store)
{
    skald_store_state stored;

    (void)first_read(store); // looks where the floor is
    skald_store_state_get(store, &stored);
    return stored.events_lost;
}

// A subscription that begins, or begins again, has not lost what had gone before.
static void only_what_was_lost_is_counted(void **state)
{
    const skald_str name = SKALD_STR("one"), parks = SKALD_STR("parks");
    skald_store *store = store_open("memory:?events_max=1000");

    (void)state;
    append_to(store, 5003, 7);
    ski_store_holds_declare(store);
    assert_int_equal(ski_store_hold(store, name, 0, 0, NULL), SKALD_OK);
    assert_int_equal(lost(store), 0);
    append_to(store, 5103, 7);
    assert_int_equal(lost(store), 100);
    ski_store_release(store, name);
    append_to(store, 5203, 7);
    assert_int_equal(ski_store_hold(store, name, 0, 0, NULL), SKALD_OK);
    assert_int_equal(lost(store), 100);
    append_to(store, 5233, 7);
    assert_int_equal(lost(store), 130);
    ski_store_release(store, name);
    // One event is kept for later, and all behind it has been read.
    assert_int_equal(ski_store_hold(store, parks, 4000, 5233, NULL), SKALD_OK);
    append_to(store, 6000, 7);
    assert_int_equal(lost(store), 130);
    append_to(store, 7000, 7);
    assert_int_equal(lost(store), 130 + 7000 - 1000 - 5233);
    // One that nobody waited for comes back.
    uint64_t before = lost(store);

    ski_store_release(store, parks);
    assert_int_equal(ski_store_hold(store, SKALD_STR("stale"), 100, 100, NULL), SKALD_OK);
    assert_int_equal(lost(store), before + 7000 - 1000 - 100);
    skald_store_close(store);
}

// Before all known subscriptions hold, each is one from before: whoever reads first.
static void known_ones_are_told_all(void **state)
{
    (void)state;
    for (int reads = 0; reads < 2; reads++) {
        skald_store *store = store_open("memory:?events_max=1000");

        append_to(store, 5000, 7);
        if (reads) assert_int_equal(first_read(store), 4001);
        assert_int_equal(ski_store_hold(store, SKALD_STR("known"), 0, 0, NULL), SKALD_OK);
        assert_int_equal(lost(store), 4000);
        skald_store_close(store);
    }
}

// A driver that is full is asked again only if more may go than before.
static void forgetting_says_whether_there_is_more(void **state)
{
    skald_store *store = store_open("memory:?events_max=100");

    (void)state;
    append_to(store, 100, 7);
    assert_false(ski_retention_forget(store, true));
    append_to(store, 150, 7);
    assert_true(ski_retention_forget(store, true));
    assert_false(ski_retention_forget(store, true));
    assert_int_equal(first_read(store), 51);
    skald_store_close(store);
}

typedef struct appender {
    skald_store *store;
    skald_err err;
} appender;

static void *appender_run(void *context)
{
    appender *one = context;
    char data[4096];

    memset(data, 'x', sizeof(data));
    data[0] = data[sizeof(data) - 1] = '"';
    for (int i = 0; i < 2000 && !one->err; i++) {
        const skald_event event = {.type = SKALD_STR("t.x"), .data = {data, sizeof(data)}};

        one->err = skald_store_append(one->store, &event, 1, NULL, NULL, NULL);
    }
    return NULL;
}

// Where one appender always finds room, several do: what one of them has told the driver may go
// makes room for the others.
static void appenders_find_room_together(void **state)
{
    (void)state;
    for (int count = 1; count <= 3; count += 2) {
        skald_store *store = store_open("memory:?events_max=20&bytes_max=160000");
        appender appenders[3];
        pthread_t threads[3];

        for (int i = 0; i < count; i++) {
            appenders[i] = (appender){store, SKALD_OK};
            assert_int_equal(pthread_create(&threads[i], NULL, appender_run, &appenders[i]), 0);
        }
        for (int i = 0; i < count; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_int_equal(appenders[i].err, SKALD_OK);
        }
        skald_store_close(store);
    }
}

static bool has_secret(const char *bytes, size_t len)
{
    return memmem(bytes, len, "secret-", 7) != NULL;
}

// secrets_behind is in how many blocks there is something of before, behind what is of now.
static int secrets_behind(const ski_memory *memory)
{
    int blocks = 0;

    for (const ski_memory_texts *block = memory->texts; block; block = block->next)
        blocks += has_secret(block->bytes + block->used, block->size - block->used);
    return blocks;
}

// An erasing compaction leaves nothing of what has left, in blocks that wait and in those that are
// used again.
static void nothing_stays_of_what_is_erased(void **state)
{
    static const skald_compact_options erase = {.erase = true};
    skald_store *store = store_open("memory:?events_max=1000");
    ski_memory *memory = store->instance;
    const skald_event plain = {.type = SKALD_STR("t.x"), .data = SKALD_STR("1")};

    (void)state;
    append_to(store, 5000, 7);
    assert_true(secrets_behind(memory) > 0);
    assert_int_equal(skald_store_compact(store, &erase, NULL, NULL), SKALD_OK);
    assert_int_equal(secrets_behind(memory), 0);
    for (int i = 0; i < 1100; i++)
        assert_int_equal(skald_store_append(store, &plain, 1, NULL, NULL, NULL), SKALD_OK);
    assert_int_equal(skald_store_compact(store, &erase, NULL, NULL), SKALD_OK);
    assert_null(memory->texts_idle);
    for (const ski_memory_texts *block = memory->texts; block; block = block->next)
        assert_false(
            has_secret(block->bytes, block->written > block->used ? block->written : block->used));
    assert_int_equal(first_read(store), 5101);
    append_to(store, 9000, 7);
    assert_int_equal(first_read(store), 8001);
    skald_store_close(store);
}

static size_t blocks_of(const ski_memory_texts *block)
{
    size_t count = 0;

    for (; block; block = block->next) count++;
    return count;
}

// A cleaning comes to an end while appends make more to clean, and what was dead before is gone.
static void cleaning_has_an_end(void **state)
{
    skald_store *store = store_open("memory:?events_max=1000");
    ski_memory *memory = store->instance;
    const skald_event plain = {.type = SKALD_STR("t.x"), .data = SKALD_STR("1")};
    size_t blocks, steps = 0;
    ski_memory_texts *idle;

    (void)state;
    append_to(store, 5000, 7);
    assert_true(secrets_behind(memory) > 0);
    for (int i = 0; i < 900; i++)
        assert_int_equal(skald_store_append(store, &plain, 1, NULL, NULL, NULL), SKALD_OK);
    ski_mutex_lock(&memory->data);
    blocks = blocks_of(memory->texts) + blocks_of(memory->texts_idle);
    idle = ski_memory_texts_clean_begin(memory);
    while (ski_memory_texts_clean(memory, &idle)) {
        ski_mutex_unlock(&memory->data);
        assert_true(++steps <= blocks);
        for (int i = 0; i < 400; i++)
            assert_int_equal(skald_store_append(store, &plain, 1, NULL, NULL, NULL), SKALD_OK);
        ski_mutex_lock(&memory->data);
    }
    ski_mutex_unlock(&memory->data);
    assert_true(steps > 1);
    assert_null(idle);
    for (const ski_memory_texts *block = memory->texts; block; block = block->next)
        assert_false(has_secret(block->bytes, block->size));
    for (const ski_memory_texts *block = memory->texts_idle; block; block = block->next)
        assert_false(has_secret(block->bytes, block->size));
    skald_store_close(store);
}

// What the heap has back is looked at: a sanitizer tells of it, and without one free is ours. Where
// the heap gives memory in which something stands from before nobody can say whose it was.
#if defined(__has_feature)
#define SANITIZED(what) __has_feature(what##_sanitizer)
#else
#define SANITIZED(what) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || SANITIZED(address)
enum { comes_clean = 1, free_is_ours = 0 };
#elif defined(__SANITIZE_THREAD__) || SANITIZED(thread) || SANITIZED(memory) || !defined(__GLIBC__)
enum { comes_clean = 0, free_is_ours = 0 };
#else
enum { comes_clean = 1, free_is_ours = 1 }; // main has it given clean
#endif

extern int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *,
                                                                         size_t),
                                                     void (*free_hook)(const volatile void *))
    __attribute__((weak));
extern size_t __sanitizer_get_allocated_size(const volatile void *) __attribute__((weak));

static bool looking;            // style: global, a hook has no context
static uint64_t freed, told_so; // style: global, a hook has no context

static void bytes_seen(const char *at, size_t size)
{
    if (size < 2048) return; // of the caller's events, the compaction's
    freed++;
    told_so += has_secret(at, size);
}

static void malloc_seen(const volatile void *at, size_t size)
{
    (void)at;
    (void)size;
}

static void free_seen(const volatile void *at)
{
    if (looking && at) bytes_seen((const char *)at, __sanitizer_get_allocated_size(at));
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !SANITIZED(address) && !SANITIZED(thread) && !SANITIZED(memory)
extern void __libc_free(void *at);

void free(void *at)
{
    if (looking && at) bytes_seen(at, malloc_usable_size(at));
    __libc_free(at);
}
#endif

// heap_is_seen: not where another tool, as valgrind, has put its own functions there.
static bool heap_is_seen(void)
{
    if (!comes_clean) return false;
    if (!free_is_ours && (!__sanitizer_install_malloc_and_free_hooks ||
                          __sanitizer_install_malloc_and_free_hooks(malloc_seen, free_seen) <= 0))
        return false;
    looking = true;
    ski_free(ski_alloc_zeroed(1, 4096));
    looking = false;
    bool seen = freed == 1;

    freed = 0;
    return seen;
}

static void the_heap_has_nothing_back(void **state)
{
    skald_store *store;

    (void)state;
    if (!heap_is_seen()) skip();
    store = store_open("memory:?events_max=8000");
    append_to(store, 9000, 7);
    const skald_retention few = {.max_events = 100, .policy = SKALD_RETAIN_LIMIT};
    const skald_event plain = {.type = SKALD_STR("t.x"), .data = SKALD_STR("1")};

    assert_int_equal(skald_retention_set(store, &few, NULL), SKALD_OK);
    looking = true;
    for (int i = 0; i < 6000; i++)
        assert_int_equal(skald_store_append(store, &plain, 1, NULL, NULL, NULL), SKALD_OK);
    looking = false;
    assert_true(freed > 0);
    // A block that was full before leaves when there is little in it.
    static const skald_compact_options erase = {.erase = true};
    ski_memory *memory = store->instance;

    append_to(store, skald_store_head(store) + 5000, 7);
    assert_true(secrets_behind(memory) > 0);
    ski_memory_forget(memory, skald_store_head(store));
    ski_mutex_lock(&memory->data);
    assert_true(ski_memory_drop(memory, UINT64_MAX));
    ski_mutex_unlock(&memory->data);
    looking = true;
    assert_int_equal(skald_store_compact(store, &erase, NULL, NULL), SKALD_OK);
    looking = false;
    assert_int_equal(told_so, 0);
    skald_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_places_make_nothing_full),
        cmocka_unit_test(room_is_made_some_lists_at_a_time),
        cmocka_unit_test(rounds_begin_when_they_are_worth_it),
        cmocka_unit_test(rounds_see_who_changes_places),
        cmocka_unit_test(nobody_waits_for_an_index),
        cmocka_unit_test(all_that_left_is_swept),
        cmocka_unit_test(what_was_told_dead_is_dead),
        cmocka_unit_test(only_what_was_lost_is_counted),
        cmocka_unit_test(known_ones_are_told_all),
        cmocka_unit_test(forgetting_says_whether_there_is_more),
        cmocka_unit_test(appenders_find_room_together),
        cmocka_unit_test(nothing_stays_of_what_is_erased),
        cmocka_unit_test(cleaning_has_an_end),
        cmocka_unit_test(the_heap_has_nothing_back),
    };

    // What the heap gives has nothing in it of a store that was closed: it would look like a leak.
    (void)mallopt(M_PERTURB, 0xbe);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
