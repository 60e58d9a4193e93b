// SPDX-License-Identifier: Apache-2.0
// The ids of sealed segments in memory: against a list of them, and while they are not loaded yet.
#include "base/alloc.h"
#include "base/hash.h"
#include "store/log/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

// The upper 40 bits are all that is known of a hash.
static uint64_t hash_of(uint64_t n)
{
    return ski_hash64(7, &n, sizeof n) & ~UINT64_C(0xffffff);
}

// found counts the ranges that may have an id; *ret_right: one of them has the position.
static unsigned found(const ski_ids *ids, uint64_t n, uint64_t position, uint64_t last,
                      bool *ret_right)
{
    ski_ids_cursor cursor = {.hash = hash_of(n), .last = last};
    uint64_t from = 0, to = 0;
    unsigned count = 0;

    *ret_right = false;
    while (ski_ids_next(ids, &cursor, &from, &to)) {
        assert_true(from <= to);
        *ret_right |= from <= position && position <= to;
        count++;
    }
    return count;
}

// Everything that is remembered is found, whatever came and went; others hardly ever; and memory
// stays.
static void test_found_while_remembered(void **state)
{
    enum { kept = 40000, all = 400000, step = 1000 };
    uint64_t bytes = 0;
    ski_ids ids;
    bool right = false;

    (void)state;
    ski_ids_init(&ids, kept);
    for (uint64_t first = 1; first < all; first += step) { // as segments are sealed
        uint64_t last = first + step - 1;
        unsigned strangers = 0;

        for (uint64_t n = first; n <= last; n++) {
            assert_int_equal(ski_ids_add(&ids, hash_of(n), n, last), SKALD_OK);
        }
        if (last == all / 2) bytes = ski_ids_bytes(&ids);
        if (last % (20 * step)) continue;
        for (uint64_t n = last > kept ? last - kept + 1 : 1; n <= last; n++) {
            (void)found(&ids, n, n, last, &right);
            assert_true(right);
            strangers += found(&ids, n + all, 1, last, &right);
        }
        assert_true(strangers < 40);
    }
    assert_true(ski_ids_bytes(&ids) <= bytes * 5 / 4);
    assert_true(bytes < kept * 8);
    ski_ids_fini(&ids);
}

// Added twice it is there once; what is too old is given no more.
static void test_added_twice_and_too_old(void **state)
{
    uint64_t far = (UINT64_C(1) << 32) - 50;
    ski_ids ids;
    bool right = false;

    (void)state;
    ski_ids_init(&ids, 1000);
    assert_int_equal(found(&ids, 1, 1, 1, &right), 0);
    assert_int_equal(ski_ids_bytes(&ids), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ski_ids_add(&ids, hash_of(5), far, far + 10), SKALD_OK);
    }
    assert_int_equal(found(&ids, 5, far, far + 999, &right), 1);
    assert_true(right);
    assert_int_equal(found(&ids, 5, far, far + 1100, &right), 0);
    assert_int_equal(ski_ids_add(&ids, hash_of(5), far + 200, far + 300), SKALD_OK);
    assert_int_equal(found(&ids, 5, far, far + 300, &right), 2);
    assert_int_equal(found(&ids, 5, 3, 100, &right), 0); // ranges before the first one
    ski_ids_fini(&ids);
}

// The same id at many positions fills its row and not the memory of all; without memory nothing is
// lost.
static void test_without_memory(void **state)
{
    enum { all = 3000 };
    unsigned failures = 0;
    ski_ids ids;
    bool right = false;

    (void)state;
    ski_ids_init(&ids, 10000);
    for (uint64_t n = 1; n <= all; n++) {
        skald_err err = SKALD_OK;

        ski_alloc_fail_at(1);
        err = ski_ids_add(&ids, hash_of(n), n, n);
        ski_alloc_fail_at(0);
        failures += err != SKALD_OK;
        if (err) assert_int_equal(ski_ids_add(&ids, hash_of(n), n, n), SKALD_OK);
    }
    assert_true(failures >= SKI_IDS_GROUPS);
    for (uint64_t n = 1; n <= all; n++) {
        (void)found(&ids, n, n, all, &right);
        assert_true(right);
    }
    ski_ids_fini(&ids);
}

// The most and the least that can be remembered.
static void test_bounds(void **state)
{
    const uint64_t sizes[] = {1, 64, 4096, 16000000, SKI_IDS_EVENTS_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t last = UINT64_C(1) << 40;
        ski_ids ids;
        bool right = false;

        ski_ids_init(&ids, sizes[i]);
        assert_int_equal(ski_ids_add(&ids, UINT64_MAX << 24, last, last), SKALD_OK);
        assert_int_equal(ski_ids_add(&ids, hash_of(2), last - sizes[i] + 1, last), SKALD_OK);
        assert_true(found(&ids, 2, last - sizes[i] + 1, last, &right) >= 1);
        assert_true(right);
        ski_ids_fini(&ids);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_while_remembered),
        cmocka_unit_test(test_added_twice_and_too_old),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
