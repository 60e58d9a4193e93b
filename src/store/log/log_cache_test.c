// SPDX-License-Identifier: Apache-2.0
// The cache of pieces: lending, limits, giving up, marks; and a store read through it: the same
// events with and without, nothing of the disk once they are there, damage told all the same.
#include "base/alloc.h"
#include "store/log/cache.h"
#include "store/log/log_world.h"

enum { three = 3 * (SKI_PIECE + sizeof(ski_piece)) };

static ski_piece *put(ski_cache *cache, uint64_t file, uint32_t number)
{
    ski_piece *piece = ski_cache_make(cache);

    if (!piece) return NULL;
    piece->bytes[0] = (uint8_t)number;
    piece->len = 1;
    ski_cache_put(cache, piece, file, number);
    return piece;
}

static bool has(ski_cache *cache, uint64_t file, uint32_t number)
{
    bool again = false;
    ski_piece *piece = ski_cache_lend(cache, file, number, &again);

    if (piece) assert_int_equal(piece->bytes[0], (uint8_t)number);
    ski_cache_return(cache, piece);
    return piece != NULL;
}

static void cache_lends_what_was_put(void **state)
{
    ski_cache cache;
    bool again = true;

    (void)state;
    assert_int_equal(ski_cache_init(&cache, three), SKALD_OK);
    assert_null(ski_cache_lend(&cache, 1, 7, &again));
    assert_false(again);
    assert_null(ski_cache_lend(&cache, 1, 7, &again));
    assert_true(again); // asked for before
    ski_cache_return(&cache, put(&cache, 1, 7));
    assert_true(has(&cache, 1, 7));
    assert_false(has(&cache, 2, 7));
    assert_false(has(&cache, 1, 8));
    assert_int_not_equal(ski_cache_file(&cache), ski_cache_file(&cache));
    ski_cache_fini(&cache);
}

static void cache_stays_within_its_bytes(void **state)
{
    ski_cache_figures figures;
    ski_cache cache;

    (void)state;
    assert_int_equal(ski_cache_init(&cache, three), SKALD_OK);
    for (uint32_t i = 0; i < 100; i++) ski_cache_return(&cache, put(&cache, 1, i));
    ski_cache_figures_get(&cache, &figures);
    assert_int_equal(figures.bytes, three);
    assert_int_equal(figures.bytes_max, three);
    assert_true(has(&cache, 1, 99));
    ski_cache_fini(&cache);
}

static void cache_that_is_full_lets_few_in(void **state)
{
    ski_cache cache;
    uint32_t in = 0;
    bool again = false;

    (void)state;
    assert_int_equal(ski_cache_init(&cache, three), SKALD_OK);
    for (uint32_t i = 0; i < 3; i++) ski_cache_return(&cache, put(&cache, 1, i));
    for (uint32_t i = 0; i < 640; i++) {
        assert_null(ski_cache_lend(&cache, 1, 9, &again));
        in += again;
    }
    assert_in_range(in, 1, 32);
    ski_cache_fini(&cache);
}

static void cache_gives_up_what_was_not_used_since(void **state)
{
    ski_cache cache;

    (void)state;
    assert_int_equal(ski_cache_init(&cache, three), SKALD_OK);
    for (uint32_t i = 0; i < 3; i++) ski_cache_return(&cache, put(&cache, 1, i));
    for (uint32_t i = 3; i < 50; i++) {
        assert_true(has(&cache, 1, 0));
        ski_cache_return(&cache, put(&cache, 1, i));
    }
    assert_true(has(&cache, 1, 0));
    ski_cache_fini(&cache);
}

static void cache_never_takes_what_is_lent(void **state)
{
    ski_piece *lent[3];
    ski_cache cache;
    bool again = false;

    (void)state;
    assert_int_equal(ski_cache_init(&cache, three), SKALD_OK);
    for (uint32_t i = 0; i < 3; i++) lent[i] = put(&cache, 1, i);
    assert_null(ski_cache_make(&cache));
    ski_cache_drop(&cache, lent[0]); // not found any more, but there for who has it
    assert_false(has(&cache, 1, 0));
    assert_int_equal(lent[0]->bytes[0], 0);
    assert_null(ski_cache_make(&cache));
    ski_cache_return(&cache, lent[0]);
    ski_cache_return(&cache, put(&cache, 1, 9));
    assert_true(has(&cache, 1, 9));
    assert_true(has(&cache, 1, 1));
    ski_cache_forget(&cache, 1);
    assert_null(ski_cache_lend(&cache, 1, 1, &again));
    ski_cache_return(&cache, lent[1]);
    ski_cache_return(&cache, lent[2]);
    ski_cache_fini(&cache);
}

static void cache_keeps_half_for_others(void **state)
{
    ski_cache cache;
    ski_piece *piece = NULL;

    (void)state;
    assert_int_equal(ski_cache_init(&cache, three), SKALD_OK);
    piece = put(&cache, 1, 1);
    assert_true(ski_cache_keep(&cache));
    assert_false(ski_cache_keep(&cache));
    ski_cache_unkeep(&cache, &piece, 1);
    assert_true(ski_cache_keep(&cache));
    piece = put(&cache, 1, 2);
    ski_cache_unkeep(&cache, &piece, 1);
    ski_cache_fini(&cache);
}

static void cache_of_two_who_read_the_same_has_one(void **state)
{
    ski_piece *first = NULL, *second = NULL;
    ski_cache cache;

    (void)state;
    assert_int_equal(ski_cache_init(&cache, three), SKALD_OK);
    first = put(&cache, 1, 1);
    second = put(&cache, 1, 1);
    assert_true(first->listed);
    assert_false(second->listed);
    ski_cache_return(&cache, first);
    ski_cache_return(&cache, second);
    ski_cache_fini(&cache);
}

static void cache_without_memory_has_nothing(void **state)
{
    ski_cache cache;
    ski_piece *piece = NULL;
    bool again = false;

    (void)state;
    ski_alloc_fail_at(1);
    assert_int_equal(ski_cache_init(&cache, three), SKALD_ENOMEM);
    ski_cache_fini(&cache);
    assert_int_equal(ski_cache_init(&cache, three), SKALD_OK);
    for (uint64_t n = 1; n <= 2; n++) {
        ski_alloc_fail_at(n);
        assert_null(ski_cache_make(&cache));
    }
    ski_alloc_fail_at(0);
    piece = ski_cache_make(&cache);
    assert_non_null(piece);
    ski_alloc_fail_at(1);
    ski_cache_put(&cache, piece, 1, 1); // not listed, but whole
    ski_alloc_fail_at(0);
    assert_null(ski_cache_lend(&cache, 1, 1, &again));
    ski_cache_return(&cache, piece);
    ski_cache_fini(&cache);
    assert_int_equal(ski_cache_init(&cache, 100), SKALD_OK); // less than a piece
    assert_null(ski_cache_make(&cache));
    assert_null(ski_cache_lend(&cache, 1, 1, &again));
    ski_cache_fini(&cache);
}

// The bytes of many pieces lie together: none has another one's, and without memory for more those
// that are there do.
static void cache_of_many_pieces(void **state)
{
    enum { slab = 64, many = 2 * slab + 10 };
    ski_cache_figures figures;
    ski_piece *lent[many];
    ski_cache cache;

    (void)state;
    assert_int_equal(ski_cache_init(&cache, many * (SKI_PIECE + sizeof(ski_piece))), SKALD_OK);
    for (uint32_t i = 0; i < many; i++) {
        if (i == slab) { // the piece can be had, its bytes cannot
            ski_alloc_fail_at(2);
            assert_null(ski_cache_make(&cache));
            ski_alloc_fail_at(0);
        }
        lent[i] = put(&cache, 1, i);
        memset(lent[i]->bytes, (int)i, SKI_PIECE);
    }
    assert_null(ski_cache_make(&cache));
    for (uint32_t i = 0; i < many; i++) {
        assert_int_equal(lent[i]->bytes[0], (uint8_t)i);
        assert_int_equal(lent[i]->bytes[SKI_PIECE - 1], (uint8_t)i);
        ski_cache_return(&cache, lent[i]);
    }
    ski_cache_figures_get(&cache, &figures);
    assert_int_equal(figures.bytes, figures.bytes_max);
    ski_cache_fini(&cache);
}

static void piece_marks_are_by_place(void **state)
{
    ski_cache cache;
    ski_piece *piece = NULL;

    (void)state;
    assert_int_equal(ski_cache_init(&cache, three), SKALD_OK);
    piece = put(&cache, 1, 1);
    assert_false(ski_piece_marked(piece, 0));
    ski_piece_mark(piece, 8);
    ski_piece_mark(piece, SKI_PIECE - 8);
    assert_false(ski_piece_marked(piece, 0));
    assert_true(ski_piece_marked(piece, 8));
    assert_true(ski_piece_marked(piece, SKI_PIECE - 8));
    ski_cache_drop(&cache, piece);
    ski_cache_return(&cache, piece);
    for (uint32_t i = 0; i < 3; i++) { // used again, it has none
        piece = put(&cache, 2, i);
        assert_false(ski_piece_marked(piece, 8));
        ski_cache_return(&cache, piece);
    }
    ski_cache_fini(&cache);
}

// --- a store ------------------------------------------------------------------------------------

enum { data_len = 300, events = 1000 };

static void *store_fill(world *w, uint64_t cache_bytes)
{
    skald_store_options options = {.segment_bytes = 64 * 1024, .cache_bytes = cache_bytes};
    void *driver = world_open(w, &options);

    for (uint64_t n = 1; n <= events; n++) {
        assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
        if (n % 100 == 0) {
            while (ski_store_log.step(driver)) continue;
        }
    }
    return driver;
}

// sealed_read reads the first part of a store, which is in sealed segments: of all, or of its one
// stream. Returns what it could not, else how many there were.
static skald_err sealed_read(void *driver, bool backwards, bool stream, uint64_t *ret_count)
{
    skald_str name = SKALD_STR("stream-1");
    skald_read read = {.before = events / 2 + 1, .page_bytes_max = 64 * 1024};
    char room[data_len + 1];

    read.backwards = backwards;
    if (stream) {
        read.filter.tenant = SKALD_STR("");
        read.filter.streams = (skald_texts){&name, 1};
    }
    *ret_count = 0;
    for (bool end = false; !end;) {
        skald_store_page page = {0};

        SKALD_TRY(ski_store_log.read(driver, &read, &page, NULL));
        for (size_t i = 0; i < page.count; i++) {
            uint64_t n = backwards ? events / 2 - *ret_count : *ret_count + 1;

            assert_int_equal(page.events[i].position, n);
            assert_true(skald_str_equal(page.events[i].data, world_data(n, data_len, room)));
            ++*ret_count;
        }
        if (backwards)
            read.before = page.position_next;
        else
            read.after = page.position_next;
        end = page.end;
        ski_store_log.page_free(driver, &page);
    }
    return SKALD_OK;
}

static void store_is_read_without_the_disk(void **state)
{
    world *w = *state;
    void *driver = store_fill(w, 0);
    skald_store_state figures = {0};
    uint64_t count = 0;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(sealed_read(driver, i & 1, false, &count), SKALD_OK);
        assert_int_equal(count, events / 2);
    }
    world_fail(w, CALL_PREAD, 1, UINT32_MAX, SKALD_EIO);
    assert_int_equal(sealed_read(driver, false, false, &count), SKALD_OK);
    assert_int_equal(count, events / 2);
    assert_int_equal(sealed_read(driver, true, false, &count), SKALD_OK);
    assert_int_equal(count, events / 2);
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    ski_store_log.state(driver, &figures);
    assert_true(figures.cache_bytes > 0 && figures.cache_bytes <= figures.cache_bytes_max);
    assert_true(figures.cache_hits > 0 && figures.cache_misses > 0);
    ski_store_log.close(driver);
}

static void store_without_cache_asks_the_disk(void **state)
{
    world *w = *state;
    void *driver = store_fill(w, SKALD_CACHE_OFF);
    skald_store_state figures = {0};
    uint64_t count = 0;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(sealed_read(driver, i & 1, i == 2, &count), SKALD_OK);
        assert_int_equal(count, events / 2);
    }
    world_fail(w, CALL_PREAD, 1, UINT32_MAX, SKALD_EIO);
    assert_int_not_equal(sealed_read(driver, false, false, &count), SKALD_OK);
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    ski_store_log.state(driver, &figures);
    assert_int_equal(figures.cache_bytes + figures.cache_bytes_max + figures.cache_hits, 0);
    ski_store_log.close(driver);
}

static void damage_is_not_kept(void **state)
{
    world *w = *state;
    void *driver = store_fill(w, 0);
    uint64_t count = 0;

    for (int i = 0; i < 3; i++) {
        world_flip(w, "seg-00000002.0.log", 20000, 1);
        assert_int_equal(sealed_read(driver, i & 1, false, &count), SKALD_ECORRUPT);
        world_flip(w, "seg-00000002.0.log", 20000, 1); // it was the cable
        assert_int_equal(sealed_read(driver, i & 1, false, &count), SKALD_OK);
        assert_int_equal(count, events / 2);
        ski_store_log.close(driver);
        driver = world_open(w, &(skald_store_options){.segment_bytes = 64 * 1024});
    }
    ski_store_log.close(driver);
}

// A damaged index is made anew by who reads it: nothing of the old one is in the way.
static void an_index_made_anew_is_read(void **state)
{
    world *w = *state;
    void *driver = store_fill(w, 0);
    uint64_t count = 0;

    ski_store_log.close(driver); // sealing looked at it
    world_flip(w, "seg-00000002.0.idx", 100, 1);
    driver = world_open(w, &(skald_store_options){.segment_bytes = 64 * 1024});
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sealed_read(driver, i & 1, false, &count), SKALD_OK);
        assert_int_equal(count, events / 2);
    }
    world_fail(w, CALL_PREAD, 1, UINT32_MAX, SKALD_EIO);
    assert_int_equal(sealed_read(driver, false, false, &count), SKALD_OK);
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    ski_store_log.close(driver);
}

static void pages_stay_while_the_cache_turns(void **state)
{
    world *w = *state;
    void *driver = store_fill(w, three);
    skald_read read = {.page_bytes_max = 64 * 1024};
    skald_store_page page = {0};
    char room[data_len + 1];
    uint64_t count = 0;

    assert_int_equal(ski_store_log.read(driver, &read, &page, NULL), SKALD_OK);
    assert_true(page.count > 10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sealed_read(driver, i & 1, i == 2, &count), SKALD_OK);
        assert_int_equal(count, events / 2);
    }
    for (size_t i = 0; i < page.count; i++) {
        assert_true(skald_str_equal(page.events[i].data, world_data(i + 1, data_len, room)));
    }
    ski_store_log.page_free(driver, &page);
    ski_store_log.close(driver);
}

// reader goes over the store in both directions, and by its stream.
static void reader(void *driver)
{
    uint64_t count = 0;

    for (int i = 0; i < 8; i++) {
        assert_int_equal(sealed_read(driver, i & 1, i & 2, &count), SKALD_OK);
        assert_int_equal(count, events / 2);
    }
}

static void readers_share_a_small_cache(void **state)
{
    enum { readers = 4 };
    world *w = *state;
    void *driver = store_fill(w, 2 * (uint64_t)three);
    ski_thread threads[readers];

    for (int i = 0; i < readers; i++) {
        assert_int_equal(ski_kernel_system.spawn(NULL, "reader", reader, driver, &threads[i]),
                         SKALD_OK);
    }
    for (int i = 0; i < readers; i++) ski_kernel_system.join(NULL, threads[i]);
    ski_store_log.close(driver);
}

// --- the end of a log, of events that go on in the next piece -----------------------------------

static skald_err pread_counted(void *context, ski_file *file, void *buf, size_t len,
                               uint64_t offset, size_t *ret_read)
{
    world *w = context;

    if (len == SKI_PIECE) ++*(uint64_t *)w->mine;
    return ski_kernel_system.pread(NULL, file, buf, len, offset, ret_read);
}

static uint64_t all_read(void *driver)
{
    skald_read read = {.page_bytes_max = 64 * 1024};
    uint64_t count = 0;

    for (bool end = false; !end;) {
        skald_store_page page = {0};

        assert_int_equal(ski_store_log.read(driver, &read, &page, NULL), SKALD_OK);
        count += page.count;
        read.after = page.position_next;
        end = page.end;
        ski_store_log.page_free(driver, &page);
    }
    return count;
}

// Pieces that are right stay, though an event in them goes on in one that may still change, or is
// longer than a piece.
static void right_pieces_stay(void **state)
{
    enum { small = 150, large_len = 80000 };
    world *w = *state;
    skald_store_options options = {.segment_bytes = 1024 * 1024};
    world_batch *large = ski_alloc(sizeof *large);
    char *data = ski_alloc(large_len + 1);
    uint64_t pieces = 0, before = 0;
    void *driver = NULL;

    w->mine = &pieces;
    w->kernel.pread = pread_counted;
    driver = world_open(w, &options);
    for (uint64_t n = 1; n <= 10; n++) {
        assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
    }
    world_batch_make(large, 11, data_len);
    large->event.data = world_data(11, large_len, data);
    assert_int_equal(ski_store_log.commit(driver, &large->batch), SKALD_OK);
    assert_int_equal(large->told, SKALD_OK);
    for (uint64_t n = 12; n <= small; n++) {
        assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
    }
    for (int i = 0; i < 4; i++) {
        before = pieces;
        assert_int_equal(all_read(driver), small);
    }
    assert_true(pieces > 1);
    assert_int_equal(pieces, before); // the last time none was read anew
    ski_store_log.close(driver);
    ski_free(large);
    ski_free(data);
}

// What a failed sync has stopped writes no index either.
static void a_store_that_stopped_makes_no_index(void **state)
{
    world *w = *state;
    void *driver = store_fill(w, 0);
    skald_store_state figures = {0};
    uint64_t count = 0;

    ski_store_log.close(driver);
    world_flip(w, "seg-00000002.0.idx", 100, 1);
    driver = world_open(w, &(skald_store_options){.segment_bytes = 64 * 1024});
    world_fail(w, CALL_SYNC, 1, UINT32_MAX, SKALD_EIO);
    assert_int_equal(world_append(driver, events + 1, data_len), SKALD_EIO);
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    assert_int_equal(sealed_read(driver, false, false, &count), SKALD_ECORRUPT);
    ski_store_log.state(driver, &figures);
    assert_int_equal(figures.index_rebuilds, 0);
    ski_store_log.close(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cache_lends_what_was_put),
        cmocka_unit_test(cache_stays_within_its_bytes),
        cmocka_unit_test(cache_that_is_full_lets_few_in),
        cmocka_unit_test(cache_gives_up_what_was_not_used_since),
        cmocka_unit_test(cache_never_takes_what_is_lent),
        cmocka_unit_test(cache_keeps_half_for_others),
        cmocka_unit_test(cache_of_two_who_read_the_same_has_one),
        cmocka_unit_test(cache_without_memory_has_nothing),
        cmocka_unit_test(cache_of_many_pieces),
        cmocka_unit_test(piece_marks_are_by_place),
        cmocka_unit_test_setup_teardown(store_is_read_without_the_disk, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(store_without_cache_asks_the_disk, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(damage_is_not_kept, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(an_index_made_anew_is_read, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(pages_stay_while_the_cache_turns, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(right_pieces_stay, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_store_that_stopped_makes_no_index, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(readers_share_a_small_cache, world_setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
