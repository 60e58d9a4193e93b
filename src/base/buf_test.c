// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_holds(const skald_buf *buf, const char *want)
{
    assert_true(skald_str_equal(ski_buf_str(buf), skald_str_of(want)));
}

static void it_grows_by_every_kind_of_put(void **state)
{
    (void)state;
    skald_buf buf = {.bytes_max = 1000};

    assert_non_null(ski_buf_str(&buf).ptr); // empty, not "not given"
    assert_int_equal(skald_buf_put(&buf, SKALD_STR("ab")), SKALD_OK);
    assert_int_equal(ski_buf_byte(&buf, '-'), SKALD_OK);
    assert_int_equal(ski_buf_u64(&buf, 0), SKALD_OK);
    assert_int_equal(ski_buf_byte(&buf, '-'), SKALD_OK);
    assert_int_equal(ski_buf_u64(&buf, UINT64_MAX), SKALD_OK);
    assert_int_equal(ski_buf_print(&buf, "-%s=%d", "x", -7), SKALD_OK);
    assert_int_equal(skald_buf_put(&buf, (skald_str){NULL, 0}), SKALD_OK);
    assert_int_equal(ski_buf_print(&buf, "%s", ""), SKALD_OK);
    assert_holds(&buf, "ab-0-18446744073709551615-x=-7");
    ski_buf_drop(&buf, 3);
    assert_holds(&buf, "0-18446744073709551615-x=-7");
    ski_buf_drop(&buf, 0);
    ski_buf_drop(&buf, buf.len);
    assert_holds(&buf, "");
    skald_buf_fini(&buf);
    assert_null(buf.ptr);
    assert_int_equal(buf.bytes_max, 1000); // may be used again
    assert_int_equal(ski_buf_print(&buf, "%s", ""), SKALD_OK);
    assert_null(buf.ptr);
    skald_buf_fini(&buf);
}

static void growing_by_bytes_allocates_seldom(void **state)
{
    (void)state;
    skald_buf buf = {.bytes_max = 1 << 20};
    uint64_t before = ski_alloc_count();

    for (int i = 0; i < 1 << 20; i++) assert_int_equal(ski_buf_byte(&buf, (char)i), SKALD_OK);
    assert_true(ski_alloc_count() - before <= 16);
    for (int i = 0; i < 1 << 20; i++) assert_true(buf.ptr[i] == (char)i);
    assert_int_equal(ski_buf_byte(&buf, 'x'), SKALD_EFULL);
    skald_buf_fini(&buf);
}

static void every_put_stops_at_the_maximum(void **state)
{
    (void)state;
    for (size_t bytes_max = 1; bytes_max < 200; bytes_max++) {
        skald_buf buf = {.bytes_max = bytes_max};
        char text[200];

        memset(text, 'x', sizeof text);
        assert_int_equal(skald_buf_put(&buf, (skald_str){text, bytes_max + 1}), SKALD_EFULL);
        assert_null(buf.ptr);
        assert_int_equal(ski_buf_print(&buf, "%.*s", (int)bytes_max + 1, text), SKALD_EFULL);
        assert_int_equal(ski_buf_room(&buf, bytes_max + 1), SKALD_EFULL);
        assert_int_equal(ski_buf_room(&buf, SIZE_MAX), SKALD_EFULL);
        assert_int_equal(ski_buf_print(&buf, "%.*s", (int)bytes_max, text), SKALD_OK);
        assert_int_equal(buf.len, bytes_max);
        assert_int_equal(ski_buf_byte(&buf, 'y'), SKALD_EFULL);
        assert_int_equal(ski_buf_u64(&buf, 1), SKALD_EFULL);
        assert_int_equal(ski_buf_print(&buf, "y"), SKALD_EFULL);
        assert_int_equal(skald_buf_put(&buf, SKALD_STR("y")), SKALD_EFULL);
        assert_int_equal(ski_buf_room(&buf, SIZE_MAX), SKALD_EFULL);
        assert_int_equal(buf.len, bytes_max);
        assert_memory_equal(buf.ptr, text, bytes_max);
        assert_int_equal(ski_buf_room(&buf, 0), SKALD_OK);
        skald_buf_fini(&buf);
    }
}

static void a_buffer_on_the_callers_memory_never_allocates(void **state)
{
    (void)state;
    char memory[9];
    skald_buf buf = {.ptr = memory, .size = 8, .bytes_max = 8};
    uint64_t before = ski_alloc_count();

    assert_int_equal(ski_buf_print(&buf, "%d", 12345678), SKALD_OK);
    assert_int_equal(ski_buf_byte(&buf, 'x'), SKALD_EFULL);
    assert_holds(&buf, "12345678");
    assert_int_equal(ski_alloc_count(), before);
}

// put_all is one life of a buffer, in which every put may need memory.
static skald_err put_all(skald_buf *buf)
{
    char text[500];

    memset(text, 'x', sizeof text);
    SKALD_TRY(ski_buf_u64(buf, 42));
    SKALD_TRY(skald_buf_put(buf, (skald_str){text, 100}));
    SKALD_TRY(ski_buf_print(buf, "%.*s", 200, text));
    SKALD_TRY(ski_buf_room(buf, 5000));
    return SKALD_OK;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    skald_err err;
    uint64_t n = 0;

    do {
        skald_buf buf = {.bytes_max = 10000};

        ski_alloc_fail_at(++n);
        err = put_all(&buf);
        ski_alloc_fail_at(0);
        if (err) {
            assert_int_equal(err, SKALD_ENOMEM);
            assert_true(buf.len <= buf.size); // whole: goes on when there is memory again
            assert_int_equal(put_all(&buf), SKALD_OK);
        }
        skald_buf_fini(&buf);
    } while (err);
    assert_int_equal(n, 5); // four allocations failed, then none
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows_by_every_kind_of_put),
        cmocka_unit_test(growing_by_bytes_allocates_seldom),
        cmocka_unit_test(every_put_stops_at_the_maximum),
        cmocka_unit_test(a_buffer_on_the_callers_memory_never_allocates),
        cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
