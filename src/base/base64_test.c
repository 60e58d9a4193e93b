// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include "base/buf.h"

// cmocka wants these before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// RFC 4648, section 10, without the padding, and the two characters that differ.
static void test_both_ways(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbf", "-_-_"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        skald_str text = skald_str_of(pairs[i][1]);
        skald_buf buf = {.bytes_max = 64};
        uint8_t bytes[32];
        size_t len = 99;

        assert_int_equal(ski_base64_read(text, bytes, &len), SKALD_OK);
        assert_int_equal(len, strlen(pairs[i][0]));
        assert_true(len <= ski_base64_len(text.len));
        assert_memory_equal(bytes, pairs[i][0], len);
        assert_int_equal(ski_base64_put(&buf, bytes, len), SKALD_OK);
        assert_true(skald_str_equal(ski_buf_str(&buf), text.len ? text : ski_buf_str(&buf)));
        assert_int_equal(buf.len, text.len);
        skald_buf_fini(&buf);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"Z",    "Zg==", "Zm9=",  "Zm 9v",  "Zm9v\n", "Zm+v",
                                      "Zm/v", "Zh",   "Zm9vY", "Zm9vYh", "\x80m9v"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t bytes[32];
        size_t len = 99;

        assert_int_equal(ski_base64_read(skald_str_of(bad[i]), bytes, &len), SKALD_EINVALID);
        assert_int_equal(len, 99);
    }
}

static void test_limit(void **state)
{
    skald_buf buf = {.bytes_max = 5};

    (void)state;
    assert_int_equal(ski_base64_put(&buf, "foobar", 6), SKALD_EFULL);
    assert_int_equal(buf.len, 0);
    skald_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
