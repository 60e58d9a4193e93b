// SPDX-License-Identifier: Apache-2.0
// Data as a log may show it: what is secret by its name or personal by its type is hidden.
#include "system/sanitize.h"

#include "base/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <skald/typed.h>

#define ADDRESS(FIELD) FIELD(personal(text), street, "street") FIELD(text, country, "country")
SKALD_RECORD(address, ADDRESS);
#define CUSTOMER(FIELD)                   \
    FIELD(personal(text), email, "email") \
    FIELD(text, plan, "plan")             \
    FIELD(object(address), home, "home")  \
    FIELD(list(address), former, "former")
SKALD_RECORD(customer, CUSTOMER);

static const struct {
    const char *data, *shown;
} cases[] = {
    {"null", "null"},
    {"3", "3"},
    {"\"a password\"", "\"a password\""},
    {"{}", "{}"},
    {"[ ]", "[]"},
    {"{ \"a\" : 1 , \"b\":[1, 2 ,{}] }", "{\"a\":1,\"b\":[1,2,{}]}"},
    {"{\"password\":\"x\"}", "{\"password\":\"***\"}"},
    {"{\"newPassword\":\"x\",\"n\":1}", "{\"newPassword\":\"***\",\"n\":1}"},
    {"{\"API-Key\":{\"deep\":1}}", "{\"API-Key\":\"***\"}"},
    {"{\"access_token\":null}", "{\"access_token\":\"***\"}"},
    {"{\"a\":[{\"client_secret\":\"x\"}]}", "{\"a\":[{\"client_secret\":\"***\"}]}"},
    {"{\"pin\":1234,\"shipping\":1}", "{\"pin\":\"***\",\"shipping\":1}"},
    {"{\"f\\u00f8dselsnummer\":1}", "{\"f\\u00f8dselsnummer\":\"***\"}"},
    {"{\"pass\\u0077ord\":1}", "{\"pass\\u0077ord\":\"***\"}"},
};

static void names_tell_what_is_secret(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        skald_buf buf = {.bytes_max = 1024};
        assert_int_equal(ski_sanitize(skald_str_of(cases[i].data), NULL, &buf), SKALD_OK);
        if (!skald_str_equal(ski_buf_str(&buf), skald_str_of(cases[i].shown)))
            fail_msg("%s is shown as %.*s", cases[i].data, SKALD_FMT(ski_buf_str(&buf)));
        skald_buf_fini(&buf);
    }
}

static void types_tell_what_is_personal(void **state)
{
    skald_str data = SKALD_STR("{\"email\":\"a@b.c\",\"plan\":\"x\",\"home\":{\"street\":\"s\","
                               "\"country\":\"NO\"},\"former\":[{\"street\":\"t\"}],\"street\":1}");
    skald_str shown =
        SKALD_STR("{\"email\":\"***\",\"plan\":\"x\",\"home\":{\"street\":\"***\","
                  "\"country\":\"NO\"},\"former\":[{\"street\":\"***\"}],\"street\":1}");
    skald_buf buf = {.bytes_max = 1024};

    (void)state;
    assert_int_equal(ski_sanitize(data, customer_record(), &buf), SKALD_OK);
    assert_true(skald_str_equal(ski_buf_str(&buf), shown));
    skald_buf_fini(&buf);
}

static void what_does_not_fit_or_is_too_deep_ends(void **state)
{
    skald_buf small = {.bytes_max = 10};
    skald_buf buf = {.bytes_max = 4096};
    char deep[2 * 300 + 1] = "";

    (void)state;
    assert_int_equal(ski_sanitize(SKALD_STR("{\"a\":\"0123456789\"}"), NULL, &small), SKALD_EFULL);
    assert_true(small.len <= 10);
    skald_buf_fini(&small);
    memset(deep, '[', 300);
    memset(deep + 300, ']', 300);
    assert_int_equal(ski_sanitize(skald_str_of(deep), NULL, &buf), SKALD_OK);
    assert_true(buf.len < 300);
    skald_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_tell_what_is_secret),
        cmocka_unit_test(types_tell_what_is_personal),
        cmocka_unit_test(what_does_not_fit_or_is_too_deep_ends),
    };

    return cmocka_run_group_tests_name("sanitize", tests, NULL, NULL);
}
