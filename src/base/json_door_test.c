// SPDX-License-Identifier: Apache-2.0
// The door against the public parsing vectors, texts made to be refused, and its limits; and what
// people are told: a wrong text's first fault, with its line and column.
#include "base/alloc.h"
#include "base/json.h"
#include "base/json_fault.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// check_exact asks the door with memory that ends where the text ends, so that a sanitizer sees a
// byte too far, and with the padding promised; both must agree.
static skald_err check_exact(skald_str text, skald_error *ret_error)
{
    char *exact = ski_alloc(text.len ? text.len : 1);
    char *padded = ski_alloc(text.len + SKI_JSON_PAD);
    skald_err err, err_padded;

    assert_non_null(exact);
    assert_non_null(padded);
    if (text.len) memcpy(exact, text.ptr, text.len);
    if (text.len) memcpy(padded, text.ptr, text.len);
    memset(padded + text.len, '}', SKI_JSON_PAD);
    err = ski_json_door_check((skald_str){exact, text.len}, false, ret_error);
    err_padded = ski_json_door_check((skald_str){padded, text.len}, true, NULL);
    ski_free(exact);
    ski_free(padded);
    assert_int_equal(err, err_padded);
    return err;
}

static bool vector_matches(const char *folder, const char *name)
{
    char path[1024], bytes[300000];
    skald_error error = {0};
    skald_err err;
    size_t len;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_true(len < sizeof(bytes));
    err = check_exact((skald_str){bytes, len}, &error);
    if (err && !error.text[0]) return false;
    if (name[0] == 'y' && err) printf("%s is refused: %s\n", name, error.text);
    if (name[0] == 'n' && !err) printf("%s is accepted\n", name);
    return name[0] == 'i' || (name[0] == 'y') == !err;
}

static void test_vectors(void **state)
{
    const char *root = getenv("SKALD_VECTORS");
    char folder[512];
    DIR *dir;
    size_t files = 0;

    (void)state;
    snprintf(folder, sizeof(folder), "%s/json/test_parsing",
             root ? root : SKALD_SOURCE_DIR "/../shared/vectors");
    dir = opendir(folder);
    if (!dir) {
        printf("SKIPPED: no JSON vectors at %s; set SKALD_VECTORS\n", folder);
        skip();
    }
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (!strchr("yni", entry->d_name[0]) || entry->d_name[1] != '_') continue;
        assert_true(vector_matches(folder, entry->d_name));
        files++;
    }
    closedir(dir);
    assert_true(files >= 300);
}

static void test_accepts(void **state)
{
    static const char *const texts[] = {"null",
                                        "0",
                                        "-0",
                                        "\"\"",
                                        " [ ] ",
                                        "{\"a\":[1.5e3,true,\"\\u00e9\"]}\n",
                                        "18446744073709551615",
                                        "-9223372036854775808",
                                        "1e308",
                                        "\"\\ud83d\\ude00\""};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(check_exact(skald_str_of(texts[i]), NULL), SKALD_OK);
        assert_int_equal(ski_json_fault(skald_str_of(texts[i]), NULL), SKALD_OK);
    }
}

static void test_refusals_say_where(void **state)
{
    static const struct {
        skald_str text;
        const char *said;
    } refused[] = {
        {SKALD_STR(""), "line 1 column 1: the text is empty"},
        {SKALD_STR(" \n "), "line 2 column 2: it ends where a value is due"},
        {SKALD_STR("\xef\xbb\xbf{}"), "line 1 column 1: it begins with a byte order mark"},
        {SKALD_STR("{}\0"), "line 1 column 3: something follows the value"},
        {SKALD_STR("\0"), "line 1 column 1: a value is due here"},
        {SKALD_STR("{} x"), "line 1 column 4: something follows the value"},
        {SKALD_STR("[1,\n  }"), "line 2 column 3: a value is due here"},
        {SKALD_STR("[1 2]"), "line 1 column 4: ',' or ']' is due here"},
        {SKALD_STR("{\"a\":1"), "line 1 column 7: ',' or '}' is due here"},
        {SKALD_STR("{\"a\" 1}"), "line 1 column 6: ':' is due here"},
        {SKALD_STR("{\"a\":1,}"), "line 1 column 8: a member's name in quotes is due here"},
        {SKALD_STR("{a:1}"), "line 1 column 2: a member's name in quotes is due here"},
        {SKALD_STR("[\"\xc3\xa9\", nul]"), "line 1 column 7: a value is due here"},
        {SKALD_STR("[tru"), "line 1 column 2: a value is due here"},
        {SKALD_STR("\"a"), "line 1 column 1: a string is not closed"},
        {SKALD_STR("\"a\\"), "line 1 column 3: a string is not closed"},
        {SKALD_STR("\"a\nb\""), "line 1 column 3: a control character"},
        {SKALD_STR("\"\\x\""), "line 1 column 2: there is no such escape"},
        {SKALD_STR("\"\\u12g4\""), "line 1 column 2: four hexadecimal digits"},
        {SKALD_STR("\"\\ud800\""), "line 1 column 2: half of a surrogate pair"},
        {SKALD_STR("\"\\udc00\\ud800\""), "line 1 column 2: half of a surrogate pair"},
        {SKALD_STR("\"\xff\""), "line 1 column 2: bytes that are not UTF-8"},
        {SKALD_STR("\"\xc3\""), "line 1 column 2: bytes that are not UTF-8"},
        {SKALD_STR("\"\xe0\x80\x80\""), "line 1 column 2: bytes that are not UTF-8"},
        {SKALD_STR("\"\xed\xa0\x80\""), "line 1 column 2: bytes that are not UTF-8"},
        {SKALD_STR("\"\xf4\x90\x80\x80\""), "line 1 column 2: bytes that are not UTF-8"},
        {SKALD_STR("\"\xf0\x9f\x98\""), "line 1 column 2: bytes that are not UTF-8"},
        {SKALD_STR("01"), "line 1 column 3: a number may not begin with 0"},
        {SKALD_STR("-"), "line 1 column 2: a digit is due here"},
        {SKALD_STR("1."), "line 1 column 3: a digit is due here"},
        {SKALD_STR("[1e+]"), "line 1 column 5: a digit is due here"},
        {SKALD_STR("[18446744073709551616]"), "line 1 column 2: an integer beyond 64 bits"},
        {SKALD_STR("[-9223372036854775809]"), "line 1 column 2: an integer beyond 64 bits"},
        {SKALD_STR("[1e999]"), "a number is beyond the range"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        skald_error error = {0};
        assert_int_equal(check_exact(refused[i].text, &error), SKALD_EINVALID);
        if (strncmp(error.text, refused[i].said, strlen(refused[i].said)) != 0) {
            fail_msg("%.*s: %s", SKALD_FMT(refused[i].text), error.text);
        }
    }
}

// nested makes levels arrays around inner.
static skald_str nested(char *text, size_t levels, const char *inner)
{
    size_t len = strlen(inner);

    memset(text, '[', levels);
    memcpy(text + levels, inner, len);
    memset(text + levels + len, ']', levels);
    return (skald_str){text, 2 * levels + len};
}

static void test_depth(void **state)
{
    char text[1024];
    skald_error error = {0};

    (void)state;
    assert_int_equal(check_exact(nested(text, SKI_JSON_DEPTH_MAX, ""), NULL), SKALD_OK);
    assert_int_equal(check_exact(nested(text, SKI_JSON_DEPTH_MAX, "1"), NULL), SKALD_OK);
    assert_int_equal(check_exact(nested(text, SKI_JSON_DEPTH_MAX - 1, "{}"), NULL), SKALD_OK);
    assert_int_equal(check_exact(nested(text, SKI_JSON_DEPTH_MAX, "1 1"), &error), SKALD_EINVALID);
    assert_int_equal(check_exact(nested(text, SKI_JSON_DEPTH_MAX + 1, ""), &error), SKALD_ETOOBIG);
    assert_string_equal(error.text,
                        "line 1 column 129: it is nested too deep (128 levels at most)");
    assert_int_equal(check_exact(nested(text, SKI_JSON_DEPTH_MAX, "{}"), &error), SKALD_ETOOBIG);
    assert_int_equal(check_exact(nested(text, 500, "1"), &error), SKALD_ETOOBIG);
    assert_int_equal(check_exact(SKALD_STR("[1]"), NULL), SKALD_OK);
}

// The parser grows, gives a huge text's memory back, and goes on with small ones.
static void test_sizes(void **state)
{
    static const size_t sizes[] = {3, 5000, 4096, 300 << 10, 100, 1 << 20, 16};
    char *text = ski_alloc((18 << 20) + SKI_JSON_PAD);
    skald_error error = {0};

    (void)state;
    assert_non_null(text);
    memset(text, 'a', (18 << 20) + SKI_JSON_PAD);
    text[0] = '"';
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        text[sizes[i] - 1] = '"';
        assert_int_equal(check_exact((skald_str){text, sizes[i]}, NULL), SKALD_OK);
        text[sizes[i] - 1] = 'a';
        assert_int_equal(check_exact((skald_str){text, sizes[i]}, NULL), SKALD_EINVALID);
    }
    text[(16 << 20) - 1] = '"';
    assert_int_equal(ski_json_door_check((skald_str){text, 16 << 20}, true, &error), SKALD_OK);
    assert_int_equal(ski_json_door_check((skald_str){text, 18 << 20}, true, &error), SKALD_ETOOBIG);
    assert_non_null(strstr(error.text, "at most"));
    ski_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refusals_say_where),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
