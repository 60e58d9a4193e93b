// SPDX-License-Identifier: Apache-2.0
#include <skald/base.h>

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_error_has_a_name_and_a_text(void **state)
{
    (void)state;
    assert_string_equal(skald_err_name(SKALD_OK), "OK");
    assert_false(skald_err_retriable(SKALD_OK));
#define CHECK_ERROR(name, retriable, text)                     \
    assert_string_equal(skald_err_name(SKALD_E##name), #name); \
    assert_string_equal(skald_err_text(SKALD_E##name), text);  \
    assert_int_equal(skald_err_retriable(SKALD_E##name), retriable);
    SKALD_ERRORS(CHECK_ERROR)
#undef CHECK_ERROR
}

static void a_number_that_is_no_error_is_unknown(void **state)
{
    (void)state;
    const int numbers[] = {SKALD_EIO + 1, 4711, -1};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_string_equal(skald_err_name((skald_err)numbers[i]), "UNKNOWN");
        assert_string_equal(skald_err_text((skald_err)numbers[i]), "an unknown error");
        assert_false(skald_err_retriable((skald_err)numbers[i]));
    }
}

static void fail_fills_and_returns(void **state)
{
    (void)state;
    skald_error error = {.code = "OLD", .field = "old", .expected_version = 3, .actual_version = 4};

    assert_int_equal(skald_fail(&error, SKALD_EFULL, "%d of %s", 7, "them"), SKALD_EFULL);
    assert_int_equal(error.err, SKALD_EFULL);
    assert_string_equal(error.text, "7 of them");
    assert_string_equal(error.code, "");
    assert_string_equal(error.field, "");
    assert_int_equal(error.expected_version, 0);
    assert_int_equal(error.actual_version, 0);

    assert_int_equal(skald_fail_at(&error, SKALD_EINVALID, "lines[2]", "no %c", 'x'),
                     SKALD_EINVALID);
    assert_string_equal(error.field, "lines[2]");
    assert_string_equal(error.text, "no x");
}

static void nobody_need_listen(void **state)
{
    (void)state;
    assert_int_equal(skald_fail(NULL, SKALD_EIO, "%s", "x"), SKALD_EIO);
    assert_int_equal(skald_fail_at(NULL, SKALD_EIO, "f", "%s", "x"), SKALD_EIO);
    skald_error error;

    assert_int_equal(skald_fail_at(&error, SKALD_EIO, NULL, "x"), SKALD_EIO);
    assert_string_equal(error.field, "");
}

static void an_error_may_quote_itself(void **state)
{
    (void)state;
    skald_error error;

    skald_fail_at(&error, SKALD_EIO, "f", "the cause");
    skald_fail_at(&error, SKALD_ECORRUPT, error.field, "file: %s", error.text);
    assert_string_equal(error.text, "file: the cause");
    assert_string_equal(error.field, "f");
}

static void long_text_is_cut_between_characters(void **state)
{
    (void)state;
    enum { euros = 400 };
    char text[3 * euros + 3];
    skald_error error;

    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t i = 0; i < euros; i++) memcpy(text + shift + 3 * i, "\xe2\x82\xac", 3);
        text[shift + 3 * euros] = '\0';
        skald_fail_at(&error, SKALD_EIO, text, "%s", text);
        assert_true(strlen(error.text) >= sizeof error.text - 3);
        assert_true(strlen(error.field) >= sizeof error.field - 3);
        assert_true(ski_str_utf8(skald_str_of(error.text)));
        assert_true(ski_str_utf8(skald_str_of(error.field)));
        assert_memory_equal(error.text, text, strlen(error.text));
    }
    skald_fail(&error, SKALD_EIO, "%0*d", (int)sizeof error.text - 1, 0); // just fits
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    skald_fail(&error, SKALD_EIO, "%0*d", (int)sizeof error.text, 0); // one too many
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

static skald_err tries(skald_err err, int *ret_behind)
{
    SKALD_TRY(err);
    *ret_behind = 1;
    return SKALD_OK;
}

static void try_returns_what_failed(void **state)
{
    (void)state;
    int behind = 0;

    assert_int_equal(tries(SKALD_EHELD, &behind), SKALD_EHELD);
    assert_int_equal(behind, 0);
    assert_int_equal(tries(SKALD_OK, &behind), SKALD_OK);
    assert_int_equal(behind, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_name_and_a_text),
        cmocka_unit_test(a_number_that_is_no_error_is_unknown),
        cmocka_unit_test(fail_fills_and_returns),
        cmocka_unit_test(nobody_need_listen),
        cmocka_unit_test(an_error_may_quote_itself),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(try_returns_what_failed),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
