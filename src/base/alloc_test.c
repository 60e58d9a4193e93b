// SPDX-License-Identifier: Apache-2.0
#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int reset(void **state)
{
    (void)state;
    ski_alloc_fail_at(0);
    return 0;
}

static void every_kind_gives_memory(void **state)
{
    (void)state;
    char *plain = ski_alloc(3);
    char *zeroed = ski_alloc_zeroed(7, 5);
    char *aligned = ski_alloc_aligned(4096, 5000);

    assert_non_null(plain);
    assert_non_null(zeroed);
    assert_non_null(aligned);
    for (size_t i = 0; i < 35; i++) assert_int_equal(zeroed[i], 0);
    assert_int_equal((uintptr_t)aligned % 4096, 0);
    memset(aligned, 1, 5000);
    memcpy(plain, "ab", 3);
    plain = ski_realloc(plain, 100000);
    assert_non_null(plain);
    assert_string_equal(plain, "ab");
    ski_free(plain);
    ski_free(zeroed);
    ski_free(aligned);
    ski_free(NULL);
}

static void nothing_is_a_piece_of_its_own(void **state)
{
    (void)state;
    void *pieces[] = {ski_alloc(0), ski_alloc_zeroed(0, 8), ski_alloc_zeroed(8, 0),
                      ski_realloc(NULL, 0), ski_alloc_aligned(64, 0)};

    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        assert_non_null(pieces[i]);
        ski_free(pieces[i]);
    }
}

static void overflow_is_refused(void **state)
{
    (void)state;
    assert_null(ski_alloc_aligned(64, SIZE_MAX - 10));
}

static void each_kind_can_be_made_to_fail(void **state)
{
    (void)state;
    char *old = ski_alloc(4);

    memcpy(old, "old", 4);
    ski_alloc_fail_at(1);
    assert_null(ski_alloc(1));
    ski_alloc_fail_at(1);
    assert_null(ski_alloc_zeroed(1, 1));
    ski_alloc_fail_at(1);
    assert_null(ski_alloc_aligned(16, 16));
    ski_alloc_fail_at(1);
    assert_null(ski_realloc(old, 100));
    assert_string_equal(old, "old"); // still ours
    ski_free(old);
}

static void only_the_nth_fails(void **state)
{
    (void)state;
    uint64_t before = ski_alloc_count();

    ski_alloc_fail_at(3);
    for (int i = 1; i <= 10; i++) {
        void *memory = ski_alloc(1);

        assert_int_equal(memory == NULL, i == 3);
        ski_free(memory);
    }
    assert_int_equal(ski_alloc_count(), before + 10);
}

static void zero_calls_it_off(void **state)
{
    (void)state;
    ski_alloc_fail_at(1);
    ski_alloc_fail_at(0);

    void *memory = ski_alloc(1);

    assert_non_null(memory);
    ski_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_kind_gives_memory, reset),
        cmocka_unit_test_teardown(nothing_is_a_piece_of_its_own, reset),
        cmocka_unit_test_teardown(overflow_is_refused, reset),
        cmocka_unit_test_teardown(each_kind_can_be_made_to_fail, reset),
        cmocka_unit_test_teardown(only_the_nth_fails, reset),
        cmocka_unit_test_teardown(zero_calls_it_off, reset),
    };

    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
