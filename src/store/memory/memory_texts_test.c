// SPDX-License-Identifier: Apache-2.0
// Where texts and slots lie: little for few events, large blocks for many, and what is erased is
// given back though others lie beside it.
#include "store/memory/memory_store.h"

#include "base/alloc.h"
#include "store/content.h"
#include "store/handle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { block_bytes_max = 256 * 1024, batch_events = 100, data_bytes_max = 300 * 1024 };

static char data_text[data_bytes_max + 1]; // a string of JSON: the number, then letters

static skald_store *store_new(void)
{
    skald_store *store = NULL;

    assert_int_equal(skald_store_open("memory:", NULL, &store, NULL), SKALD_OK);
    return store;
}

// data_of is what the event of a number says, in so many bytes.
static skald_str data_of(uint64_t number, size_t len)
{
    memset(data_text, 'x', len);
    (void)snprintf(data_text, 24, "\"secret-%010llu", (unsigned long long)number);
    data_text[18] = 'x';
    data_text[0] = data_text[len - 1] = '"';
    return (skald_str){data_text, len};
}

static skald_err append(skald_store *store, const char *stream, uint64_t number, size_t len)
{
    skald_event event = {.type = SKALD_STR("t.x"),
                         .stream = skald_str_of(stream),
                         .data = data_of(number, len)};

    return skald_store_append(store, &event, 1, NULL, NULL, NULL);
}

// What an event says comes back as it went in, however short a text is.
static void texts_of_every_length_come_back(void **state)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    skald_store *store = store_new();
    skald_store_page page = {0};
    const skald_read all = {0};

    (void)state;
    for (size_t len = 1; len <= 34; len++) {
        const skald_event event = {.type = {letters, len}, .user = {letters + 1, len}};

        assert_int_equal(skald_store_append(store, &event, 1, NULL, NULL, NULL), SKALD_OK);
    }
    assert_int_equal(ski_store_page(store, &all, &page, NULL), SKALD_OK);
    assert_int_equal(page.count, 34);
    for (size_t len = 1; len <= 34; len++) {
        const skald_event *event = &page.events[len - 1];

        assert_true(skald_str_equal(event->type, (skald_str){letters, len}));
        assert_true(skald_str_equal(event->user, (skald_str){letters + 1, len}));
    }
    ski_store_page_free(store, &page);
    skald_store_close(store);
}

typedef struct room {
    uint64_t blocks, size, used, live;
} room;

static room room_of(const ski_memory *memory)
{
    room all = {0};

    for (const ski_memory_texts *block = memory->texts; block; block = block->next) {
        assert_true(block->used <= block->size && block->live <= block->used);
        assert_true(block->live > 0 || block == memory->filling);
        all.blocks++;
        all.size += block->size;
        all.used += block->used;
        all.live += block->live;
    }
    return all;
}

// stored_check reads all there is: each event says what it said when it was appended.
static uint64_t stored_check(skald_store *store, size_t len)
{
    const ski_memory *memory = store->instance;
    uint64_t count = 0, bytes = 0;
    skald_read read = {0};
    skald_store_page page;
    bool end = false;

    while (!end) {
        assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
        for (size_t i = 0; i < page.count; i++) {
            assert_true(
                skald_str_equal(page.events[i].data, data_of(page.events[i].position, len)));
            bytes += ski_event_text_bytes(&page.events[i]);
        }
        count += page.count;
        read.after = page.position_next;
        end = page.end;
        ski_store_page_free(store, &page);
    }
    assert_int_equal(memory->texts_bytes, bytes);
    assert_int_equal(room_of(memory).live, bytes + 8 * count);
    return count;
}

// secrets_left counts the texts in all blocks, dead or not.
static uint64_t secrets_left(const ski_memory *memory)
{
    uint64_t count = 0;

    for (const ski_memory_texts *block = memory->texts; block; block = block->next)
        for (uint32_t i = 0; i + 8 <= block->used; i++)
            count += memcmp(block->bytes + i, "\"secret-", 8) == 0;
    return count;
}

static void a_small_store_takes_little(void **state)
{
    skald_store *store = store_new();
    const ski_memory *memory = store->instance;

    (void)state;
    for (uint64_t i = 1; i <= 10; i++) assert_int_equal(append(store, "s-1", i, 200), SKALD_OK);
    assert_true(room_of(memory).size < 8 * 1024);
    assert_int_equal(memory->chunk_count, 1);
    assert_int_equal(memory->chunks[0]->row->chunks_left, 1);
    assert_int_equal(stored_check(store, 200), 10);
    skald_store_close(store);
}

static void a_large_store_takes_large_blocks(void **state)
{
    enum { len = 2000, count = 20000 };
    skald_store *store = store_new();
    const ski_memory *memory = store->instance;
    skald_retention retention = {.max_events = 10, .policy = SKALD_RETAIN_LIMIT};

    (void)state;
    for (uint64_t i = 1; i <= count; i++)
        assert_int_equal(append(store, i % 2 ? "s-1" : "s-2", i, i % 2 ? 20 : len / 10), SKALD_OK);
    room few = room_of(memory);
    assert_true(few.size - few.used <= memory->texts_bytes / 4);
    for (uint64_t i = 1; i <= count / 4; i++)
        assert_int_equal(append(store, "s-2", i, len), SKALD_OK);
    room many = room_of(memory);
    assert_true(many.size - many.used <= memory->texts_bytes / 4);
    assert_int_equal(memory->filling->size + sizeof(ski_memory_texts), block_bytes_max);
    uint32_t chunks = count / 4 * 5 / SKI_MEMORY_CHUNK_EVENTS + 1;
    assert_true(memory->chunk_count >= chunks && memory->chunk_count <= chunks + chunks / 4 + 1);
    // All of it leaves with what it held.
    assert_int_equal(skald_retention_set(store, &retention, NULL), SKALD_OK);
    assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_OK);
    assert_true(room_of(memory).size < 3 * (uint64_t)block_bytes_max);
    skald_store_close(store);
}

// Rows of slots are small again once most events have left.
static void rows_follow_what_is_held(void **state)
{
    enum { chunks = 100 };
    skald_store *store = store_new();
    ski_memory *memory = store->instance;
    uint64_t number = 0, first;

    (void)state;
    while (number < (uint64_t)chunks * SKI_MEMORY_CHUNK_EVENTS)
        assert_int_equal(append(store, "s-1", ++number, 20), SKALD_OK);
    uint32_t before = memory->chunk_count;
    assert_true(before > chunks);
    assert_true(memory->chunks[before - 1]->row->chunks_left > 10);
    assert_int_equal(ski_memory_trim(memory, number, &first, NULL), SKALD_OK);
    assert_int_equal(first, number + 1);
    assert_null(memory->texts);
    assert_null(memory->filling);
    while (memory->chunks_gone + memory->chunk_count == before)
        assert_int_equal(append(store, "s-1", ++number, 20), SKALD_OK);
    while (memory->chunks_gone + memory->chunk_count < before + chunks / 4) {
        assert_int_equal(append(store, "s-1", ++number, 20), SKALD_OK);
        if (number % 1000) continue;
        assert_int_equal(ski_memory_trim(memory, number - 100, &first, NULL), SKALD_OK);
    }
    assert_true(memory->chunks[memory->chunk_count - 1]->row->chunks_left < 4);
    skald_store_close(store);
}

static void erase_stream(skald_store *store, const char *stream)
{
    skald_stream_meta meta = {.truncate_before = 1000000};

    assert_int_equal(skald_stream_meta_set(store, SKALD_STR(""), skald_str_of(stream), &meta, NULL),
                     SKALD_OK);
    assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_OK);
}

// One in ten stays, wherever it lies: the room of the others is given back, and nothing of them
// is left.
static void what_lives_is_moved(void **state)
{
    enum { len = 100, count = 20000 };
    skald_store *store = store_new();
    const ski_memory *memory = store->instance;

    (void)state;
    for (uint64_t i = 1; i <= count; i++)
        assert_int_equal(append(store, i % 10 ? "s-1" : "s-2", i, len), SKALD_OK);
    assert_int_equal(stored_check(store, len), count);
    room before = room_of(memory);
    erase_stream(store, "s-1");
    room after = room_of(memory);
    assert_int_equal(stored_check(store, len), count / 10);
    assert_int_equal(secrets_left(memory), count / 10);
    assert_true(after.size < before.size / 4);
    for (uint64_t i = count + 1; i <= count + 100; i++)
        assert_int_equal(append(store, "s-2", i, len), SKALD_OK);
    assert_int_equal(stored_check(store, len), count / 10 + 100);
    erase_stream(store, "s-2");
    assert_null(memory->texts);
    assert_int_equal(memory->texts_bytes, 0);
    skald_store_close(store);
}

typedef struct reader {
    skald_store *store;
    skald_store_page page; // out, if it holds something
} reader;

// judge_one takes a page and gives it back some time later, as readers do at any moment, and then
// looks at the mark.
static bool judge_one(void *context, const skald_store_mark *mark)
{
    skald_read read = {.events_max = 1};
    reader *with = context;

    if (mark->position % 1100 == 1)
        assert_int_equal(ski_store_page(with->store, &read, &with->page, NULL), SKALD_OK);
    if (mark->position % 1100 == 900) ski_store_page_free(with->store, &with->page);
    assert_true(skald_str_equal(mark->stream, SKALD_STR("s-1")));
    return mark->position % 10 != 0;
}

static bool proceed_always(void *context, uint64_t done, uint64_t all)
{
    (void)context;
    (void)done;
    (void)all;
    return true;
}

// What is judged stays where it is, though what was erased before it is buried meanwhile.
static void what_is_judged_is_not_moved(void **state)
{
    enum { len = 400, count = 8600 };
    skald_store *store = store_new();
    reader with = {.store = store};
    skald_store_compact_job job = {
        .dead = judge_one, .proceed = proceed_always, .context = &with, .erase = true};

    (void)state;
    for (uint64_t i = 1; i <= count; i++) assert_int_equal(append(store, "s-1", i, len), SKALD_OK);
    assert_int_equal(ski_memory_compact(store->instance, &job, NULL), SKALD_OK);
    assert_int_equal(job.events_erased, count / 10 * 9);
    const ski_memory *memory = store->instance;
    assert_int_equal(memory->pages, 0);
    assert_int_equal(memory->grave_count, 0);
    assert_int_equal(stored_check(store, len), count / 10);
    skald_store_close(store);
}

// Without memory to move them they stay where they are, and are moved another time.
static void without_memory_nothing_is_moved(void **state)
{
    enum { len = 100, count = 1000 };
    const skald_stream_meta meta = {.truncate_before = 1000000};
    skald_store *store = store_new();
    const ski_memory *memory = store->instance;
    skald_read read = {0};
    skald_store_page page;

    (void)state;
    for (uint64_t i = 1; i <= count; i++)
        assert_int_equal(append(store, i % 10 ? i % 10 > 1 ? "s-1" : "s-3" : "s-2", i, len),
                         SKALD_OK);
    assert_int_equal(ski_store_page(store, &read, &page, NULL), SKALD_OK);
    assert_int_equal(skald_stream_meta_set(store, SKALD_STR(""), SKALD_STR("s-1"), &meta, NULL),
                     SKALD_OK);
    assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_OK);
    assert_int_equal(secrets_left(memory), count);
    ski_alloc_fail_at(1); // the block that they are to be moved to; another may be had
    ski_store_page_free(store, &page);
    ski_alloc_fail_at(0);
    assert_int_equal(memory->grave_count, 0);
    assert_int_equal(stored_check(store, len), count / 5);
    assert_int_equal(secrets_left(memory), count / 5);
    erase_stream(store, "s-3");
    assert_int_equal(stored_check(store, len), count / 10);
    assert_true(room_of(memory).used < 3 * room_of(memory).live);
    skald_store_close(store);
}

// Large texts have blocks of their own, and do not keep small ones from theirs.
static void large_texts_lie_alone(void **state)
{
    enum { rounds = 20 };
    skald_store *store = store_new();
    const ski_memory *memory = store->instance;

    (void)state;
    for (uint64_t i = 0; i < rounds; i++) {
        assert_int_equal(append(store, "s-1", i, data_bytes_max), SKALD_OK);
        assert_int_equal(append(store, "s-2", i, 60), SKALD_OK);
    }
    room all = room_of(memory);
    assert_true(all.blocks <= rounds + 2);
    assert_true(all.size < all.used + (uint64_t)block_bytes_max);
    erase_stream(store, "s-1");
    assert_true(room_of(memory).size <= block_bytes_max);
    skald_store_close(store);
}

// An append that fails in any of several blocks leaves none of them.
static void a_failed_append_leaves_no_block(void **state)
{
    static skald_event events[batch_events];
    skald_err err = SKALD_ENOMEM;

    (void)state;
    for (uint64_t n = 1; err; n++) {
        skald_store *store = store_new();
        const ski_memory *memory = store->instance;

        for (uint64_t i = 1; i <= 5; i++) assert_int_equal(append(store, "s-1", i, 200), SKALD_OK);
        room before = room_of(memory);
        uint64_t bytes = memory->texts_bytes;

        const skald_str data = data_of(1, 200);

        for (size_t i = 0; i < batch_events; i++)
            events[i] = (skald_event){.type = SKALD_STR("t.x"),
                                      .stream = SKALD_STR("s-1"),
                                      .data = i % 9 ? data : SKALD_STR("1")};
        ski_alloc_fail_at(n);
        err = skald_store_append(store, events, batch_events, NULL, NULL, NULL);
        ski_alloc_fail_at(0);
        if (err) {
            assert_int_equal(err, SKALD_ENOMEM);
            const room after = room_of(memory);

            assert_memory_equal(&after, &before, sizeof(room));
            assert_int_equal(memory->texts_bytes, bytes);
            assert_int_equal(stored_check(store, 200), 5);
        } else {
            assert_true(n > 3);
        }
        skald_store_close(store);
    }
}

// However much of each block is dead, the blocks are within the limit, and what is told of them is
// what they hold.
static void what_is_dead_counts(void **state)
{
    enum { rounds = 8, len = 951, limit = 4 * 1000 * 1000 };
    skald_store *store = NULL;

    (void)state;
    assert_int_equal(skald_store_open("memory:?bytes_max=4000000", NULL, &store, NULL), SKALD_OK);
    const ski_memory *memory = store->instance;
    for (uint64_t round = 0, number = 0; round < rounds; round++) {
        skald_err err = SKALD_OK;
        char gone[16];

        (void)snprintf(gone, sizeof(gone), "gone-%d", (int)round);
        while (!err) {
            number++;
            err = append(store, number % 2 ? "s-keep" : gone, number, len);
        }
        assert_int_equal(err, SKALD_EFULL);
        room full = room_of(memory);
        assert_true(full.used <= limit);
        assert_int_equal(memory->texts_used, full.used);
        erase_stream(store, gone);
        assert_int_equal(memory->texts_used, room_of(memory).used);
    }
    skald_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_every_length_come_back),
        cmocka_unit_test(a_small_store_takes_little),
        cmocka_unit_test(a_large_store_takes_large_blocks),
        cmocka_unit_test(rows_follow_what_is_held),
        cmocka_unit_test(what_lives_is_moved),
        cmocka_unit_test(what_is_judged_is_not_moved),
        cmocka_unit_test(without_memory_nothing_is_moved),
        cmocka_unit_test(large_texts_lie_alone),
        cmocka_unit_test(a_failed_append_leaves_no_block),
        cmocka_unit_test(what_is_dead_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
