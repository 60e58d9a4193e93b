// SPDX-License-Identifier: Apache-2.0
// Categories, and what each field of a filter lets through.
#include <skald/event.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const skald_event event = {
    .type = SKALD_STR("invoice.line.added"),
    .stream = SKALD_STR("invoice-17-4"),
    .tenant = SKALD_STR("acme"),
    .correlation_id = SKALD_STR("c1"),
    .priority = SKALD_HIGH,
};

static void test_category(void **state)
{
    (void)state;
    assert_true(skald_str_equal(skald_event_category(event.stream), SKALD_STR("invoice")));
    assert_true(skald_str_equal(skald_event_category(SKALD_STR("plain")), SKALD_STR("plain")));
    assert_int_equal(skald_event_category(SKALD_STR("-x")).len, 0);
    assert_null(skald_event_category((skald_str){NULL, 0}).ptr);
}

static bool type_matches(const char *pattern)
{
    skald_str items[] = {SKALD_STR("no.such"), skald_str_of(pattern)};
    skald_filter filter = {.types = {items, 2}};

    return skald_filter_matches(&filter, &event);
}

static void test_types(void **state)
{
    (void)state;
    assert_true(skald_filter_matches(&(skald_filter){0}, &event));
    assert_true(type_matches("invoice.line.added"));
    assert_true(type_matches("*"));
    assert_true(type_matches("invoice.*"));
    assert_true(type_matches("invoice.line.*"));
    assert_false(type_matches("invoice.line.added.*"));
    assert_false(type_matches("invoice.line"));
    assert_false(type_matches("invoice.li*"));
    assert_false(type_matches("inv.*"));
    assert_false(type_matches("Invoice.*"));
    assert_false(type_matches(".*"));
    assert_false(type_matches(""));
}

static void test_streams_and_categories(void **state)
{
    skald_str mine[] = {SKALD_STR("x"), SKALD_STR("invoice-17-4")},
              other[] = {SKALD_STR("invoice"), SKALD_STR("")};
    skald_event without = {.type = SKALD_STR("a.b")};

    (void)state;
    assert_true(skald_filter_matches(&(skald_filter){.streams = {mine, 2}}, &event));
    assert_false(skald_filter_matches(&(skald_filter){.streams = {other, 2}}, &event));
    assert_true(skald_filter_matches(&(skald_filter){.categories = {other, 2}}, &event));
    assert_false(skald_filter_matches(&(skald_filter){.categories = {mine, 2}}, &event));
    assert_false(skald_filter_matches(&(skald_filter){.streams = {other, 2}}, &without));
    assert_false(skald_filter_matches(&(skald_filter){.categories = {other, 2}}, &without));
    // All fields must match.
    assert_true(skald_filter_matches(
        &(skald_filter){.streams = {mine, 2}, .categories = {other, 1}}, &event));
    assert_false(skald_filter_matches(
        &(skald_filter){.streams = {mine, 1}, .categories = {other, 1}}, &event));
}

static void test_tenant(void **state)
{
    skald_event of_default = {.type = SKALD_STR("a")},
                of_empty = {.type = SKALD_STR("a"), .tenant = SKALD_STR("")};
    skald_filter of_acme = {.tenant = SKALD_STR("acme")}, of_nobody = {.tenant = SKALD_STR("")};

    (void)state;
    assert_true(skald_filter_matches(&of_acme, &event));
    assert_false(skald_filter_matches(&of_acme, &of_default));
    assert_false(skald_filter_matches(&(skald_filter){.tenant = SKALD_STR("acm")}, &event));
    assert_false(skald_filter_matches(&of_nobody, &event));
    assert_true(skald_filter_matches(&of_nobody, &of_default));
    assert_true(skald_filter_matches(&of_nobody, &of_empty));
    assert_true(skald_filter_matches(&(skald_filter){0}, &of_default));
}

static void test_correlation_and_priority(void **state)
{
    skald_event low = {.type = SKALD_STR("a"), .priority = SKALD_LOW};

    (void)state;
    assert_true(skald_filter_matches(&(skald_filter){.correlation_id = SKALD_STR("c1")}, &event));
    assert_false(skald_filter_matches(&(skald_filter){.correlation_id = SKALD_STR("c2")}, &event));
    assert_false(skald_filter_matches(&(skald_filter){.correlation_id = SKALD_STR("c1")}, &low));
    assert_true(skald_filter_matches(&(skald_filter){.priority_min = SKALD_HIGH}, &event));
    assert_false(skald_filter_matches(&(skald_filter){.priority_min = SKALD_CRITICAL}, &event));
    assert_true(skald_filter_matches(&(skald_filter){.priority_min = SKALD_NORMAL}, &low));
    assert_true(skald_filter_matches(&(skald_filter){.priority_min = SKALD_LOW}, &low));
    assert_false(skald_filter_matches(&(skald_filter){.priority_min = SKALD_HIGH}, &low));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_category),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_streams_and_categories),
        cmocka_unit_test(test_tenant),
        cmocka_unit_test(test_correlation_and_priority),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
