// SPDX-License-Identifier: Apache-2.0
#include "base/str.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define assert_str(got, want) assert_true(skald_str_equal((got), SKALD_STR(want)))

static void of_null_is_not_given(void **state)
{
    (void)state;
    assert_null(skald_str_of(NULL).ptr);
    assert_int_equal(skald_str_of(NULL).len, 0);
    assert_non_null(skald_str_of("").ptr);
    assert_int_equal(skald_str_of("abc").len, 3);
}

static void equality_is_bytewise(void **state)
{
    (void)state;
    assert_true(skald_str_equal(SKALD_STR("ab"), SKALD_STR("ab")));
    assert_false(skald_str_equal(SKALD_STR("ab"), SKALD_STR("aB")));
    assert_false(skald_str_equal(SKALD_STR("ab"), SKALD_STR("abc")));
    assert_true(skald_str_equal(SKALD_STR("a\0b"), SKALD_STR("a\0b")));
    assert_false(skald_str_equal(SKALD_STR("a\0b"), SKALD_STR("a\0c")));
    assert_true(skald_str_equal((skald_str){NULL, 0}, SKALD_STR("")));
}

static void begins(void **state)
{
    (void)state;
    assert_true(ski_str_begins(SKALD_STR("invoice.paid"), SKALD_STR("invoice.")));
    assert_true(ski_str_begins(SKALD_STR("a"), SKALD_STR("")));
    assert_true(ski_str_begins((skald_str){NULL, 0}, (skald_str){NULL, 0}));
    assert_false(ski_str_begins(SKALD_STR("inv"), SKALD_STR("invoice")));
    assert_false(ski_str_begins(SKALD_STR("x"), SKALD_STR("y")));
}

static void case_is_folded_for_ascii_only(void **state)
{
    (void)state;
    assert_true(ski_str_equal_nocase(SKALD_STR("Content-TYPE"), SKALD_STR("content-type")));
    assert_false(ski_str_equal_nocase(SKALD_STR("abc"), SKALD_STR("abd")));
    assert_false(ski_str_equal_nocase(SKALD_STR("abc"), SKALD_STR("ab")));
    assert_false(ski_str_equal_nocase(SKALD_STR("@"), SKALD_STR("`"))); // 32 apart
    assert_false(ski_str_equal_nocase(SKALD_STR("["), SKALD_STR("{")));
    assert_false(ski_str_equal_nocase(SKALD_STR("\xc4"), SKALD_STR("\xe4")));
    assert_true(ski_str_equal_nocase((skald_str){NULL, 0}, SKALD_STR("")));
}

// Every byte beside every other one, alone and among seven more: eight are folded at once.
static void bytes_are_folded_alike_in_words(void **state)
{
    char one[] = "sEvenby?", two[] = "SeVENBY?";

    (void)state;
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            size_t at = (size_t)(a + b) % 8;
            char kept_one = one[at], kept_two = two[at];
            char left = (char)a, right = (char)b;
            bool alone = ski_str_equal_nocase((skald_str){&left, 1}, (skald_str){&right, 1});

            one[at] = left;
            two[at] = right;
            assert_int_equal(ski_str_equal_nocase((skald_str){one, 8}, (skald_str){two, 8}), alone);
            one[at] = kept_one;
            two[at] = kept_two;
        }
    }
}

static void order_is_by_bytes_and_length(void **state)
{
    (void)state;
    assert_int_equal(ski_str_compare(SKALD_STR("a"), SKALD_STR("a")), 0);
    assert_true(ski_str_compare(SKALD_STR("a"), SKALD_STR("b")) < 0);
    assert_true(ski_str_compare(SKALD_STR("b"), SKALD_STR("a")) > 0);
    assert_true(ski_str_compare(SKALD_STR("a"), SKALD_STR("aa")) < 0);
    assert_true(ski_str_compare(SKALD_STR("aa"), SKALD_STR("a")) > 0);
    assert_true(ski_str_compare(SKALD_STR("\xff"), SKALD_STR("a")) > 0); // unsigned
    assert_int_equal(ski_str_compare((skald_str){NULL, 0}, SKALD_STR("")), 0);
}

static void trim_takes_spaces_and_tabs(void **state)
{
    (void)state;
    assert_str(ski_str_trim(SKALD_STR(" \t a b\t ")), "a b");
    assert_str(ski_str_trim(SKALD_STR("a")), "a");
    assert_str(ski_str_trim(SKALD_STR("\na")), "\na");
    assert_str(ski_str_trim(SKALD_STR("  ")), "");
    assert_str(ski_str_trim((skald_str){NULL, 0}), "");
}

static void cut_gives_part_by_part(void **state)
{
    (void)state;
    static const char *const parts[] = {"a", "", "bc", ""};
    skald_str rest = SKALD_STR("a,,bc,");
    size_t count = 0;

    while (rest.ptr) {
        skald_str part = ski_str_cut(rest, ',', &rest);

        assert_true(count < 4);
        assert_true(skald_str_equal(part, skald_str_of(parts[count++])));
    }
    assert_int_equal(count, 4);
    assert_null(ski_str_cut((skald_str){NULL, 0}, ',', &rest).ptr);
    assert_null(rest.ptr);
    assert_str(ski_str_cut(SKALD_STR("abc"), ',', &rest), "abc");
    assert_null(rest.ptr);
}

static void numbers_are_decimal_and_whole(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "0x1",
                                      "1.0",
                                      "1a",
                                      "18446744073709551616",
                                      "18446744073709551620",
                                      "184467440737095516150",
                                      "99999999999999999999999999"};
    uint64_t number = 5;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ski_str_u64(skald_str_of(bad[i]), &number), SKALD_EINVALID);
    assert_int_equal(ski_str_u64((skald_str){NULL, 0}, &number), SKALD_EINVALID);
    assert_int_equal(number, 5); // untouched
    assert_int_equal(ski_str_u64(SKALD_STR("0"), &number), SKALD_OK);
    assert_int_equal(number, 0);
    assert_int_equal(ski_str_u64(SKALD_STR("0042"), &number), SKALD_OK);
    assert_int_equal(number, 42);
    assert_int_equal(ski_str_u64(SKALD_STR("18446744073709551615"), &number), SKALD_OK);
    assert_true(number == UINT64_MAX);
}

// utf8_put writes a code point's bytes as RFC 3629 says and gives how many.
static size_t utf8_put(char *at, uint32_t point)
{
    if (point < 0x80) {
        at[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        at[0] = (char)(0xc0 | point >> 6);
        at[1] = (char)(0x80 | (point & 63));
        return 2;
    }
    if (point < 0x10000) {
        at[0] = (char)(0xe0 | point >> 12);
        at[1] = (char)(0x80 | (point >> 6 & 63));
        at[2] = (char)(0x80 | (point & 63));
        return 3;
    }
    at[0] = (char)(0xf0 | point >> 18);
    at[1] = (char)(0x80 | (point >> 12 & 63));
    at[2] = (char)(0x80 | (point >> 6 & 63));
    at[3] = (char)(0x80 | (point & 63));
    return 4;
}

static void every_code_point_is_judged_rightly(void **state)
{
    (void)state;
    // Up to 0x1fffff is what four bytes can say; above 0x10ffff and the surrogates are not UTF-8.
    for (uint32_t point = 0; point <= 0x1fffff; point += point < 0x11800 ? 1 : 257) {
        char bytes[4];
        size_t len = utf8_put(bytes, point);
        bool good = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);

        assert_int_equal(ski_str_utf8(ski_str(bytes, len)), good);
        // Whatever is missing at its end makes it wrong.
        for (size_t part = 1; part < len; part++) assert_false(ski_str_utf8(ski_str(bytes, part)));
    }
}

static void broken_utf8_is_seen_anywhere(void **state)
{
    (void)state;
    static const skald_str bad[] = {
        SKALD_STR("\x80"),
        SKALD_STR("\xc0\xaf"),
        SKALD_STR("\xc1\xbf"),
        SKALD_STR("\xe0\x9f\xbf"),
        SKALD_STR("\xed\xa0\x80"),
        SKALD_STR("\xf0\x8f\xbf\xbf"),
        SKALD_STR("\xf5\x80\x80\x80"),
        SKALD_STR("\xf4\x90\x80\x80"),
        SKALD_STR("\xff"),
        SKALD_STR("\xe2\x82g"),
        SKALD_STR("\xe2g\xac"),
        SKALD_STR("\xf0\x9f\x98g"),
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t before = 0; before < 20; before++) {
            char text[40];

            memset(text, 'a', sizeof text);
            memcpy(text + before, bad[i].ptr, bad[i].len);
            assert_false(ski_str_utf8(ski_str(text, before + bad[i].len)));
            assert_false(ski_str_utf8(ski_str(text, sizeof text)));
        }
    }
    assert_true(ski_str_utf8((skald_str){NULL, 0}));
    assert_true(ski_str_utf8(SKALD_STR("a\0b")));
    assert_true(
        ski_str_utf8(SKALD_STR("twelve bytes \xe2\x82\xac and twelve more \xf0\x9f\x98\x80")));
}

static void a_cut_keeps_characters_whole(void **state)
{
    (void)state;
    skald_str text = SKALD_STR("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"); // 1, 2, 3 and 4 bytes
    static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};

    for (size_t len_max = 0; len_max < sizeof want / sizeof want[0]; len_max++)
        assert_int_equal(ski_str_utf8_cut(text, len_max), want[len_max]);
    assert_int_equal(ski_str_utf8_cut(SKALD_STR("\x80\x80\x80\x80\x80\x80\x80"), 5), 5);
    assert_int_equal(ski_str_utf8_cut((skald_str){NULL, 0}, 5), 0);
}

static void terminated_copies(void **state)
{
    (void)state;
    char *copy = ski_str_terminated(ski_str("abcdef", 3));

    assert_string_equal(copy, "abc");
    ski_free(copy);
    copy = ski_str_terminated((skald_str){NULL, 0});
    assert_string_equal(copy, "");
    ski_free(copy);
    ski_alloc_fail_at(1);
    assert_null(ski_str_terminated(SKALD_STR("abc")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_null_is_not_given),
        cmocka_unit_test(equality_is_bytewise),
        cmocka_unit_test(begins),
        cmocka_unit_test(case_is_folded_for_ascii_only),
        cmocka_unit_test(bytes_are_folded_alike_in_words),
        cmocka_unit_test(order_is_by_bytes_and_length),
        cmocka_unit_test(trim_takes_spaces_and_tabs),
        cmocka_unit_test(cut_gives_part_by_part),
        cmocka_unit_test(numbers_are_decimal_and_whole),
        cmocka_unit_test(every_code_point_is_judged_rightly),
        cmocka_unit_test(broken_utf8_is_seen_anywhere),
        cmocka_unit_test(a_cut_keeps_characters_whole),
        cmocka_unit_test(terminated_copies),
    };

    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
