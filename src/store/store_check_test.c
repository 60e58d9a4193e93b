// SPDX-License-Identifier: Apache-2.0
// What is wrong with a read or an append whatever is stored, said by the field.
#include "store/store.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka wants the four above first
#include <cmocka.h>

static skald_store *store_new(void)
{
    skald_store *store = NULL;

    assert_int_equal(skald_store_open("memory:", NULL, &store, NULL), SKALD_OK);
    return store;
}

static void reads_are_checked(void **state)
{
    skald_store *store = store_new();
    skald_str names[SKI_STORE_FILTER_ITEMS_MAX + 1];
    skald_texts too_many = {names, SKI_STORE_FILTER_ITEMS_MAX + 1};
    skald_read reads[] = {
        {.filter = {.types = too_many}},
        {.filter = {.streams = too_many}},
        {.filter = {.categories = too_many}},
        {.page_bytes_max = SKI_STORE_PAGE_BYTES_MAX + 1},
        {.version_from = 1},
        {.version_to = 1},
    };
    const skald_str deaf[] = {SKALD_STR("order.*"), SKALD_STR("order*")};
    const skald_read deaf_read = {.filter = {.types = {deaf, 2}}};
    skald_read largest = {.filter = {.streams = {names, SKI_STORE_FILTER_ITEMS_MAX}}};
    skald_store_page page;
    skald_cursor *cursor;
    skald_error error;

    (void)state;
    for (size_t i = 0; i <= SKI_STORE_FILTER_ITEMS_MAX; i++) names[i] = SKALD_STR("s-1");
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        assert_int_equal(ski_store_page(store, &reads[i], &page, &error), SKALD_EINVALID);
        assert_true(error.text[0] && error.field[0]);
        assert_int_equal(skald_cursor_open(store, &reads[i], &cursor), SKALD_EINVALID);
    }
    assert_int_equal(skald_cursor_open(store, &deaf_read, &cursor), SKALD_EINVALID);
    for (uint64_t n = 1; n <= 2; n++) {
        ski_alloc_fail_at(n);
        assert_int_equal(skald_cursor_open(store, &largest, &cursor), SKALD_ENOMEM);
        ski_alloc_fail_at(0);
    }
    assert_int_equal(skald_cursor_open(store, &largest, &cursor), SKALD_OK);
    skald_cursor_close(cursor);
    skald_store_close(store);
}

// What a program can never have meant is named, by the store and by the bus alike.
static void options_of_an_append_are_checked(void **state)
{
    skald_store *store = store_new();
    const skald_event event = {.type = SKALD_STR("t")};
    char long_name[SKALD_STREAM_BYTES_MAX + 1];
    const skald_str long_stream = {long_name, sizeof(long_name)};
    const skald_expect expects[] = {
        {.stream = SKALD_STR("a-1"), .expected = (skald_expected)4},
        {.stream = SKALD_STR("")},
        {.stream = long_stream},
        {.stream = SKALD_STR("a-1"), .tenant = long_stream},
    };
    static const char *const fields[] = {"expect[0].expected", "expect[0].stream",
                                         "expect[0].stream", "expect[0].tenant"};
    skald_append_options options = {.durability = (skald_durability)3};
    skald_error error;

    (void)state;
    memset(long_name, 'x', sizeof(long_name));
    assert_int_equal(skald_store_append(store, &event, 1, &options, NULL, &error), SKALD_EINVALID);
    assert_string_equal(error.field, "durability");
    assert_non_null(strstr(error.text, "3 is none of SKALD_DURABLE"));
    assert_int_equal(skald_store_append(store, &event, 1, &options, NULL, NULL), SKALD_EINVALID);
    for (size_t i = 0; i < sizeof(expects) / sizeof(expects[0]); i++) {
        options = (skald_append_options){.expect = &expects[i], .expect_count = 1};
        assert_int_equal(skald_store_append(store, &event, 1, &options, NULL, &error),
                         SKALD_EINVALID);
        assert_string_equal(error.field, fields[i]);
        assert_true(strlen(error.text) > 10);
    }
    options =
        (skald_append_options){.expect = expects, .expect_count = SKALD_APPEND_EXPECTS_MAX + 1};
    assert_int_equal(skald_store_append(store, &event, 1, &options, NULL, &error), SKALD_ETOOBIG);
    assert_string_equal(error.field, "expect");
    skald_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_are_checked),
        cmocka_unit_test(options_of_an_append_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
