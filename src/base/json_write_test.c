// SPDX-License-Identifier: Apache-2.0
// Writing strings and minified texts: exactly these bytes, always UTF-8, and nothing when it fails.
#include "base/buf.h"
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    skald_str text, json;
} strings[] = {
    {{NULL, 0}, SKALD_STR("null")},
    {SKALD_STR(""), SKALD_STR("\"\"")},
    {SKALD_STR("plain"), SKALD_STR("\"plain\"")},
    {SKALD_STR("0123456789abcdef\"0123456789abcdef"),
     SKALD_STR("\"0123456789abcdef\\\"0123456789abcdef\"")},
    {SKALD_STR("\"\\/\b\f\n\r\t"), SKALD_STR("\"\\\"\\\\/\\b\\f\\n\\r\\t\"")},
    {SKALD_STR("a\0\x1f\x7f"), SKALD_STR("\"a\\u0000\\u001f\x7f\"")},
    {SKALD_STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
     SKALD_STR("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"")},
    {SKALD_STR("a\xff"), SKALD_STR("\"a\xef\xbf\xbd\"")},
    {SKALD_STR("\xc3"), SKALD_STR("\"\xef\xbf\xbd\"")},
    {SKALD_STR("\xe2\x82"), SKALD_STR("\"\xef\xbf\xbd\xef\xbf\xbd\"")},
    {SKALD_STR("\xed\xa0\x80"), SKALD_STR("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"")},
    {SKALD_STR("\xe0\x80\x80"), SKALD_STR("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"")},
    {SKALD_STR("\xf4\x90\x80\x80"),
     SKALD_STR("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"")},
    {SKALD_STR("\xf0\x8f\xbf\xbf"),
     SKALD_STR("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"")},
    {SKALD_STR("\xf0\x9f\x98q"), SKALD_STR("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdq\"")},
};

static void test_strings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        skald_buf buf = {.bytes_max = 1000};
        assert_int_equal(ski_json_put_string(&buf, strings[i].text), SKALD_OK);
        if (!skald_str_equal(ski_buf_str(&buf), strings[i].json)) {
            fail_msg("case %zu: %.*s", i, SKALD_FMT(ski_buf_str(&buf)));
        }
        assert_int_equal(ski_json_door_check(ski_buf_str(&buf), false, NULL), SKALD_OK);
        skald_buf_fini(&buf);
    }
}

// Each string into a buffer of every smaller size: FULL, and what was there stays.
static void test_strings_do_not_fit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        for (size_t room = 0; room <= strings[i].json.len; room++) {
            skald_buf buf = {.bytes_max = 3 + room};
            skald_err due = room < strings[i].json.len ? SKALD_EFULL : SKALD_OK;
            assert_int_equal(skald_buf_put(&buf, SKALD_STR("old")), SKALD_OK);
            assert_int_equal(ski_json_put_string(&buf, strings[i].text), due);
            assert_int_equal(buf.len, due ? 3 : 3 + strings[i].json.len);
            assert_memory_equal(buf.ptr, "old", 3);
            skald_buf_fini(&buf);
        }
    }
}

static void test_minify(void **state)
{
    static const struct {
        skald_str text, json;
    } cases[] = {
        {{NULL, 0}, SKALD_STR("")},
        {SKALD_STR(" 1 "), SKALD_STR("1")},
        {SKALD_STR("{ \"a b\\\" c\" :\r\n[ 1 ,\t\" \\\\\" , { } ] }\n"),
         SKALD_STR("{\"a b\\\" c\":[1,\" \\\\\",{}]}")},
        {SKALD_STR("\"unclosed \\"), SKALD_STR("\"unclosed \\")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t room = 0; room <= cases[i].json.len; room++) {
            skald_buf buf = {.bytes_max = 1 + room};
            skald_err due = room < cases[i].json.len ? SKALD_EFULL : SKALD_OK;
            assert_int_equal(skald_buf_put(&buf, SKALD_STR(":")), SKALD_OK);
            assert_int_equal(ski_json_minify(&buf, cases[i].text), due);
            assert_int_equal(buf.len, due ? 1 : 1 + cases[i].json.len);
            assert_memory_equal(buf.ptr + 1, cases[i].json.ptr, buf.len - 1);
            skald_buf_fini(&buf);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_strings_do_not_fit),
        cmocka_unit_test(test_minify),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
