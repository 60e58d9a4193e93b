// SPDX-License-Identifier: Apache-2.0
// The quick way beside the slow reader: what it says yes to is valid, whatever is changed in it;
// and it does say yes to what is plain.
#include "base/alloc.h"
#include "base/json_fault.h"
#include "base/json_plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// plain_exact asks with memory that ends where the text ends, so that a sanitizer sees a byte too
// far.
static bool plain_exact(skald_str text)
{
    char *exact = ski_alloc(text.len);
    bool plain;

    assert_non_null(exact);
    if (text.len) memcpy(exact, text.ptr, text.len);
    plain = ski_json_plain((skald_str){exact, text.len});
    ski_free(exact);
    return plain;
}

static const char *const plain_texts[] = {
    "null",
    "true",
    " false ",
    "0",
    "-0",
    "-1.050",
    "123456789012345678",
    "0.123456789012345678",
    "\"\"",
    "\"a\"",
    "\"sevenly\"",
    "\"eight by\"",
    "\"something that is longer than two words\"",
    "[]",
    "{}",
    " [ ] ",
    "[[],{},[{}]]",
    "{\"a\":1}",
    "\t{ \"a\" : [ 1 , 2 , { \"b\" : \"c\" } ] , \"d\" : null }\r\n",
    "{\"a\\\"\\\\\\/\\b\\f\\n\\r\\tb\":\"\\\"\"}",
    "{\"navn\":\"Bj\xc3\xb8rn\",\"pris\":\"10 \xe2\x82\xac\",\"\xf0\x9f\x98\x80\":[true,null]}",
    "{\"orderId\":\"00000123\",\"amount\":123.45,\"paid\":true,\"lines\":[{\"n\":1},{\"n\":-2}]}",
    // Strings that begin and end among other 64 bytes than what is before them.
    "{\"a\":\"a string that goes on and on, and is still not at its end when sixty-four bytes and "
    "as many again have gone by, as this one is\",\"b\":\"c\"}",
    "[1,                                                                                    \"a\"]",
    "[1,                                                          \"a\"  ,\"b\",\"\",\"d\" ]",
};
enum { plain_count = sizeof(plain_texts) / sizeof(plain_texts[0]) };

static void what_is_plain_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < plain_count; i++) {
        if (!plain_exact(skald_str_of(plain_texts[i]))) fail_msg("%s", plain_texts[i]);
        assert_int_equal(ski_json_fault(skald_str_of(plain_texts[i]), NULL), SKALD_OK);
    }
}

static void the_rest_is_not(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "nulls",
        "tru",
        "01",
        "-",
        "-a",
        "1.",
        ".5",
        "+1",
        "1e5",
        "1 2",
        "1,",
        ",1",
        "[",
        "]",
        "[1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[}",
        "{]",
        "{",
        "}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":}",
        "{\"a\",}",
        "{\"a\"1}",
        "{a:1}",
        "{\"a\":1,}",
        "{1:2}",
        "{}}",
        "[]]",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\",
        "\"\\x\"",
        "'a'",
        "\"\n\"",
        "\"\x01\"",
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "\"\x7f",
        "\"\\u0041\"",
        "1234567890123456789",
        "0.1234567890123456789",
        "\xef\xbb\xbf{}",
        "\"eight by\n\"",
        "\"eight by",
        "\"seven b\x80\"",
        "{\"a\":1 \"b\":2}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (plain_exact(skald_str_of(texts[i]))) fail_msg("%s", texts[i]);
    assert_false(plain_exact((skald_str){"1\0", 2}));
    assert_false(plain_exact((skald_str){"\"\\\0\"", 4}));
}

static void nesting_has_its_limit(void **state)
{
    char text[200];

    (void)state;
    for (size_t levels = 1; levels <= 80; levels++) {
        memset(text, '[', levels);
        memset(text + levels, ']', levels);
        assert_int_equal(plain_exact((skald_str){text, 2 * levels}), levels <= 64);
        assert_false(plain_exact((skald_str){text, 2 * levels - 1}));
    }
}

// Each text with one, two or three bytes changed, left out or put in: yes only where the slow
// reader finds nothing wrong.
static void no_yes_to_what_is_wrong(void **state)
{
    static const char bytes[] =
        "{}[]:,\"\\ \n0123456789-+.eEtrufalsn/b\x01\x1f\x7f\x80\xc3\xe2\xf0";
    uint64_t random = 7;
    size_t yes = 0, no = 0;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        char text[256];
        size_t len = strlen(plain_texts[round % plain_count]);

        memcpy(text, plain_texts[round % plain_count], len);
        for (int change = round % 3; change >= 0; change--) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            size_t at = (random >> 33) % (len + 1);
            char byte = bytes[(random >> 20) % (sizeof(bytes) - 1)];

            if (random >> 62 == 0 && at < len) {
                memmove(text + at, text + at + 1, --len - at);
            } else if (random >> 62 == 1) {
                memmove(text + at + 1, text + at, len++ - at);
                text[at] = byte;
            } else if (at < len) {
                text[at] = byte;
            }
        }
        if (!plain_exact((skald_str){text, len})) {
            no++;
            continue;
        }
        yes++;
        if (ski_json_fault((skald_str){text, len}, NULL)) fail_msg("%.*s", (int)len, text);
    }
    assert_true(yes > 10000 && no > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_plain_is_known),
        cmocka_unit_test(the_rest_is_not),
        cmocka_unit_test(nesting_has_its_limit),
        cmocka_unit_test(no_yes_to_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
