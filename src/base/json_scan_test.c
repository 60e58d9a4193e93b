// SPDX-License-Identifier: Apache-2.0
// Walking: what a walk gives, put together again, is the text; on text the door never saw nothing
// is read outside it (the sanitizers watch: every text lies in memory that ends where it ends).
#include "base/alloc.h"
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { printed_max = 4096 };

static void print(char *to, size_t *len, skald_str text)
{
    assert_true(*len + text.len <= printed_max);
    memcpy(to + *len, text.ptr, text.len);
    *len += text.len;
}

// rebuild writes value again from what walking gives, without white space.
static void rebuild(char *to, size_t *len, skald_str value, ski_json_kind kind)
{
    ski_json_walk walk = {.rest = value};
    ski_json_item item;
    bool first = true;

    assert_int_equal(ski_json_kind_of(value), kind);
    if (kind != SKI_JSON_ARRAY && kind != SKI_JSON_OBJECT) {
        print(to, len, value);
        return;
    }
    print(to, len, kind == SKI_JSON_ARRAY ? SKALD_STR("[") : SKALD_STR("{"));
    while (ski_json_next(&walk, &item)) {
        if (!first) print(to, len, SKALD_STR(","));
        first = false;
        if (kind == SKI_JSON_OBJECT) {
            assert_int_equal(item.key_escaped,
                             item.key.len && memchr(item.key.ptr, '\\', item.key.len));
            print(to, len, SKALD_STR("\""));
            print(to, len, item.key);
            print(to, len, SKALD_STR("\":"));
        }
        assert_int_equal(item.text_plain, item.kind == SKI_JSON_STRING &&
                                              !memchr(item.value.ptr, '\\', item.value.len));
        rebuild(to, len, item.value, item.kind);
    }
    assert_false(ski_json_next(&walk, &item)); // and stays at its end
    print(to, len, kind == SKI_JSON_ARRAY ? SKALD_STR("]") : SKALD_STR("}"));
}

static void test_walk_is_the_text(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "[1,2.5e-3,true,false,null,\"\"]",
        "{\"a\":{\"b\":[[],{},[{\"c\":\"}]\\\"{\"}]]},\"d\":\"0123456789abcdef\"}",
        "{\"\":\"\\\\\",\"\\u0041\":\"\\\\\\\"\","
        "\"long key of more than sixteen bytes\":[[[[1]]]]}",
        "{\"quote at sixteen\\\"\":\"0123456789abcde\\\"0123456789abcdef\\\\\",\"x\":[\"]\","
        "\"[\"]}",
        "[\"\xe2\x82\xac\xf0\x9f\x98\x80\",{\"\xc3\xa9\":-0}]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        skald_str text = skald_str_of(texts[i]);
        char *exact = ski_alloc(text.len), printed[printed_max];
        size_t len = 0;
        assert_non_null(exact);
        memcpy(exact, text.ptr, text.len);
        assert_int_equal(ski_json_door_check(text, false, NULL), SKALD_OK);
        text.ptr = exact;
        rebuild(printed, &len, text, ski_json_kind_of(text));
        assert_int_equal(len, text.len);
        assert_memory_equal(printed, exact, len);
        ski_free(exact);
    }
}

static void test_walk_passes_space(void **state)
{
    skald_str text = SKALD_STR(" \n{ \"a\" :\t[ 1 , 2 ] ,\r\n\"b\": null } ");
    ski_json_walk walk = {.rest = text};
    ski_json_item item;

    (void)state;
    assert_int_equal(ski_json_kind_of(text), SKI_JSON_OBJECT);
    assert_true(ski_json_next(&walk, &item));
    assert_false(walk.array);
    assert_true(skald_str_equal(item.key, SKALD_STR("a")));
    assert_true(skald_str_equal(item.value, SKALD_STR("[ 1 , 2 ]")));
    assert_true(ski_json_next(&walk, &item));
    assert_true(skald_str_equal(item.value, SKALD_STR("null")));
    assert_int_equal(item.kind, SKI_JSON_NULL);
    assert_false(ski_json_next(&walk, &item));
    walk = (ski_json_walk){.rest = SKALD_STR("true")};
    assert_false(ski_json_next(&walk, &item));
    walk = (ski_json_walk){.rest = {NULL, 0}};
    assert_false(ski_json_next(&walk, &item));
    assert_int_equal(ski_json_kind_of((skald_str){NULL, 0}), SKI_JSON_NULL);
}

// Every prefix of a text, and texts of nothing but trouble, in memory that ends with them.
static void test_walk_stays_inside(void **state)
{
    static const char text[] =
        "{\"a\\\"\":{\"b\":[1,\"\\u00e9\\\\\",{}]},\"0123456789abcdef\":[\"x\"],\"z\":12}";
    static const char bytes[] = "{}[]\",:\\u1a \x02\xff";
    uint32_t random = 12345;

    (void)state;
    for (size_t round = 0; round < 4000; round++) {
        size_t len = round < sizeof(text) ? round : random % 40;
        char *exact = ski_alloc(len + !len);
        ski_json_walk walk = {.rest = {exact, len}};
        ski_json_item item;
        skald_arena *arena = NULL;
        skald_str made;
        size_t steps = 0;
        assert_non_null(exact);
        for (size_t i = 0; i < len; i++) {
            random = random * 1664525 + 1013904223;
            exact[i] = round < sizeof(text) ? text[i] : bytes[(random >> 16) % (sizeof(bytes) - 1)];
        }
        assert_int_equal(skald_arena_new(4096, &arena), SKALD_OK);
        while (ski_json_next(&walk, &item)) {
            assert_true(item.value.len > 0 && item.value.ptr >= exact);
            assert_true(item.value.ptr + item.value.len <= exact + len);
            assert_int_equal(ski_json_unescape(item.value, arena, &made), SKALD_OK);
            assert_true(made.len <= item.value.len && ++steps <= len);
        }
        skald_arena_free(arena);
        ski_free(exact);
    }
}

static void test_unescape(void **state)
{
    static const struct {
        skald_str string, text;
    } cases[] = {
        {SKALD_STR("\"\""), SKALD_STR("")},
        {SKALD_STR(""), SKALD_STR("")},
        {SKALD_STR("\"plain\""), SKALD_STR("plain")},
        {SKALD_STR("key"), SKALD_STR("key")},
        {SKALD_STR("\\u0074ype"), SKALD_STR("type")},
        {SKALD_STR("\\\"quoted\\\""), SKALD_STR("\"quoted\"")},
        {SKALD_STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), SKALD_STR("\"\\/\b\f\n\r\t")},
        {SKALD_STR("\"a\\u0000b\""), SKALD_STR("a\0b")},
        {SKALD_STR("\"\\u00E9\\u20ac\\uD83D\\uDE00.\""),
         SKALD_STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.")},
        {SKALD_STR("\"\\ud800x\""), SKALD_STR("\xef\xbf\xbdx")},
        {SKALD_STR("\"\\udc00\\ud800\\ud800\""), SKALD_STR("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd")},
        {SKALD_STR("\"\\ud800\\u0041\""), SKALD_STR("\xef\xbf\xbd"
                                                    "A")},
    };
    skald_arena *arena;

    (void)state;
    assert_int_equal(skald_arena_new(4096, &arena), SKALD_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        skald_str text;
        assert_int_equal(ski_json_unescape(cases[i].string, arena, &text), SKALD_OK);
        if (!skald_str_equal(text, cases[i].text)) fail_msg("case %zu: %.*s", i, SKALD_FMT(text));
        assert_non_null(text.ptr);
    }
    skald_arena_free(arena);
}

static void test_unescape_without_memory(void **state)
{
    char string[8192];
    skald_str text = SKALD_STR("as it was");
    skald_arena *arena;

    (void)state;
    memset(string, 'a', sizeof(string));
    string[0] = '\\';
    string[1] = 'n';
    assert_int_equal(skald_arena_new(1024, &arena), SKALD_OK);
    assert_int_equal(ski_json_unescape((skald_str){string, sizeof(string)}, arena, &text),
                     SKALD_ENOMEM);
    assert_true(skald_str_equal(text, SKALD_STR("as it was")));
    skald_arena_free(arena);
}

static void test_numbers(void **state)
{
    static const char *const bad[] = {
        "", "-", "1.0", "1e3", "18446744073709551616", "x", "99999999999999999999999", "+1"};
    uint64_t positive = 7;
    int64_t number = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ski_json_u64(skald_str_of(bad[i]), &positive), SKALD_EINVALID);
        assert_int_equal(ski_json_i64(skald_str_of(bad[i]), &number), SKALD_EINVALID);
    }
    assert_int_equal(ski_json_u64(SKALD_STR("-1"), &positive), SKALD_EINVALID);
    assert_int_equal(ski_json_i64(SKALD_STR("9223372036854775808"), &number), SKALD_EINVALID);
    assert_int_equal(ski_json_i64(SKALD_STR("-9223372036854775809"), &number), SKALD_EINVALID);
    assert_true(positive == 7 && number == 7);
    assert_int_equal(ski_json_u64(SKALD_STR("18446744073709551615"), &positive), SKALD_OK);
    assert_true(positive == UINT64_MAX);
    assert_int_equal(ski_json_u64(SKALD_STR("-0"), &positive), SKALD_OK);
    assert_true(positive == 0);
    assert_int_equal(ski_json_i64(SKALD_STR("-9223372036854775808"), &number), SKALD_OK);
    assert_true(number == INT64_MIN);
    assert_int_equal(ski_json_i64(SKALD_STR("9223372036854775807"), &number), SKALD_OK);
    assert_true(number == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk_is_the_text),        cmocka_unit_test(test_walk_passes_space),
        cmocka_unit_test(test_walk_stays_inside),       cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_unescape_without_memory), cmocka_unit_test(test_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
