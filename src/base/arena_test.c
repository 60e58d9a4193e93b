// SPDX-License-Identifier: Apache-2.0
#include <skald/base.h>

#include "base/alloc.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static skald_arena *arena_new(size_t bytes_max)
{
    skald_arena *arena;

    assert_int_equal(skald_arena_new(bytes_max, &arena), SKALD_OK);
    return arena;
}

// assert_mine checks that a piece is aligned and zeroed, and writes over all of it.
static void assert_mine(void *piece, size_t size)
{
    unsigned char *bytes = piece;

    assert_non_null(piece);
    assert_int_equal((uintptr_t)piece % alignof(max_align_t), 0);
    for (size_t i = 0; i < size; i++) assert_int_equal(bytes[i], 0);
    memset(bytes, 0xa5, size);
}

static void pieces_are_zeroed_and_aligned_also_after_a_reset(void **state)
{
    (void)state;
    skald_arena *arena = arena_new(1 << 20);

    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 300; size++) assert_mine(skald_arena_get(arena, size), size);
        assert_mine(skald_arena_get(arena, 100000), 100000);
        assert_mine(skald_arena_get(arena, 1), 1);
        skald_arena_reset(arena);
    }
    skald_arena_free(arena);
    skald_arena_free(NULL);
}

static void pieces_do_not_overlap(void **state)
{
    (void)state;
    enum { count = 2000 };
    static unsigned char *pieces[count];
    skald_arena *arena = arena_new(1 << 20);

    for (int i = 0; i < count; i++) {
        pieces[i] = skald_arena_get(arena, 1 + (size_t)i % 200);
        memset(pieces[i], i % 251, 1 + (size_t)i % 200);
    }
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < 1 + i % 200; j++) assert_int_equal(pieces[i][j], i % 251);
    }
    skald_arena_free(arena);
}

static void the_maximum_holds(void **state)
{
    (void)state;
    static const size_t maxima[] = {1, 15, 16, 17, 100, 4096, 5000, 100001};

    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        skald_arena *arena = arena_new(maxima[i]);
        size_t got = 0;

        assert_null(skald_arena_get(arena, maxima[i] + 1));
        assert_mine(skald_arena_get(arena, maxima[i]), maxima[i]); // one piece of all of it
        assert_null(skald_arena_get(arena, 1));
        assert_null(skald_arena_get(arena, 0));
        skald_arena_reset(arena);
        while (skald_arena_get(arena, 16)) got += 16;
        assert_true(got <= maxima[i]);
        assert_true(got + 16 > maxima[i]); // pieces that fit without waste use it all
        skald_arena_reset(arena);
        assert_mine(skald_arena_get(arena, maxima[i]), maxima[i]);
        skald_arena_free(arena);
    }
    skald_arena *nothing = arena_new(0);

    assert_null(skald_arena_get(nothing, 0));
    skald_arena_free(nothing);

    skald_arena *everything = arena_new(SIZE_MAX);

    assert_null(skald_arena_get(everything, SIZE_MAX));
    assert_mine(skald_arena_get(everything, 10), 10);
    skald_arena_free(everything);
}

static void refusing_leaves_the_rest_usable(void **state)
{
    (void)state;
    skald_arena *arena = arena_new(10000);

    assert_mine(skald_arena_get(arena, 10), 10);
    assert_null(skald_arena_get(arena, 9000)); // the first chunk has 4096 of the 10000
    assert_mine(skald_arena_get(arena, 10), 10);
    assert_mine(skald_arena_get(arena, 5904), 5904);
    assert_null(skald_arena_get(arena, 5904));
    skald_arena_free(arena);
}

static void a_reset_keeps_memory_but_not_all(void **state)
{
    (void)state;
    skald_arena *arena = arena_new(1 << 24);

    for (int i = 0; i < 10; i++) assert_non_null(skald_arena_get(arena, 4000));
    skald_arena_reset(arena);

    uint64_t before = ski_alloc_count();

    for (int i = 0; i < 6; i++) assert_non_null(skald_arena_get(arena, 4000));
    assert_int_equal(ski_alloc_count(), before); // from what was kept

    skald_arena_reset(arena);
    assert_non_null(skald_arena_get(arena, 1 << 20)); // more than is ever kept
    skald_arena_reset(arena);
    before = ski_alloc_count();
    assert_non_null(skald_arena_get(arena, 1 << 20));
    assert_int_equal(ski_alloc_count(), before + 1);
    skald_arena_free(arena);
}

static void a_small_piece_behind_a_large_one_uses_kept_memory(void **state)
{
    (void)state;
    skald_arena *arena = arena_new(1 << 20);

    assert_non_null(skald_arena_get(arena, 3000)); // chunks of 4096 and 8192
    assert_non_null(skald_arena_get(arena, 3000));
    skald_arena_reset(arena);

    uint64_t before = ski_alloc_count();

    assert_non_null(skald_arena_get(arena, 3000));
    assert_non_null(skald_arena_get(arena, 8000)); // fits the kept second chunk
    assert_int_equal(ski_alloc_count(), before);
    assert_non_null(skald_arena_get(arena, 8000));
    assert_int_equal(ski_alloc_count(), before + 1);
    skald_arena_reset(arena);
    assert_non_null(skald_arena_get(arena, 20)); // the kept chunks behind are too small: replaced
    assert_non_null(skald_arena_get(arena, 60000));
    assert_int_equal(ski_alloc_count(), before + 2);
    skald_arena_free(arena);
}

static void text_is_copied_and_printed(void **state)
{
    (void)state;
    skald_arena *arena = arena_new(200);
    char source[] = "abc";
    skald_str copy = skald_arena_copy(arena, (skald_str){source, 3});

    source[0] = 'x';
    assert_true(skald_str_equal(copy, SKALD_STR("abc")));
    assert_null(skald_arena_copy(arena, (skald_str){NULL, 0}).ptr);
    assert_non_null(skald_arena_copy(arena, (skald_str){source, 0}).ptr);
    assert_true(skald_str_equal(skald_arena_print(arena, "%s-%d", "a", 12), SKALD_STR("a-12")));

    skald_str empty = skald_arena_print(arena, "%s", "");

    assert_non_null(empty.ptr);
    assert_int_equal(empty.len, 0);
    assert_null(skald_arena_print(arena, "%0*d", 300, 0).ptr);
    assert_null(skald_arena_copy(arena, (skald_str){source, 300}).ptr); // refused before it is read
    skald_arena_free(arena);
}

static skald_err live(void)
{
    skald_arena *arena;
    skald_err err = SKALD_OK;

    SKALD_TRY(skald_arena_new(1 << 20, &arena));
    if (!skald_arena_get(arena, 100)) err = SKALD_ENOMEM;
    if (!err && !skald_arena_print(arena, "%0*d", 5000, 0).ptr) err = SKALD_ENOMEM;
    if (!err && !skald_arena_copy(arena, skald_arena_print(arena, "%0*d", 9000, 0)).ptr)
        err = SKALD_ENOMEM;
    skald_arena_free(arena);
    return err;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    skald_err err;
    uint64_t n = 0;

    do {
        ski_alloc_fail_at(++n);
        err = live();
        ski_alloc_fail_at(0);
        assert_true(err == SKALD_OK || err == SKALD_ENOMEM);
    } while (err);
    assert_true(n >= 4);
}

static void after_a_failure_the_arena_goes_on(void **state)
{
    (void)state;
    skald_arena *arena = arena_new(1 << 20);

    ski_alloc_fail_at(1);
    assert_null(skald_arena_get(arena, 10));
    assert_mine(skald_arena_get(arena, 10), 10);
    ski_alloc_fail_at(1);
    assert_null(skald_arena_get(arena, 5000));
    ski_alloc_fail_at(0);
    assert_mine(skald_arena_get(arena, 10), 10);
    assert_mine(skald_arena_get(arena, 5000), 5000);
    skald_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_and_aligned_also_after_a_reset),
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(the_maximum_holds),
        cmocka_unit_test(refusing_leaves_the_rest_usable),
        cmocka_unit_test(a_reset_keeps_memory_but_not_all),
        cmocka_unit_test(a_small_piece_behind_a_large_one_uses_kept_memory),
        cmocka_unit_test(text_is_copied_and_printed),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(after_a_failure_the_arena_goes_on),
    };

    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
