// SPDX-License-Identifier: Apache-2.0
#include "bus/match.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TYPES(...)                                   \
    ((skald_texts){(const skald_str[]){__VA_ARGS__}, \
                   sizeof((const skald_str[]){__VA_ARGS__}) / sizeof(skald_str)})

static skald_filter of_types(skald_texts types)
{
    return (skald_filter){.types = types};
}

// times says how often an item is found for an event.
static size_t times(const ski_match *match, const skald_event *event, const void *item)
{
    const ski_match_list *lists[SKI_MATCH_LISTS_MAX];
    uint32_t count = ski_match_find(match, event, lists);
    size_t found = 0;

    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < lists[i]->count; j++) found += lists[i]->items[j] == item;
    return found;
}

static size_t found(const ski_match *match, const char *type, const void *item)
{
    return times(match, &(skald_event){.type = skald_str_of(type)}, item);
}

static void exact_types_are_found(void **state)
{
    ski_match match;
    int a, b;

    (void)state;
    ski_match_init(&match);
    const skald_filter ab = of_types(TYPES(SKALD_STR("a.b"), SKALD_STR("a.c"), SKALD_STR("a.b")));
    const skald_filter only = of_types(TYPES(SKALD_STR("a.b")));

    assert_int_equal(ski_match_add(&match, &ab, &a), SKALD_OK);
    assert_int_equal(ski_match_add(&match, &only, &b), SKALD_OK);
    assert_int_equal(found(&match, "a.b", &a), 1);
    assert_int_equal(found(&match, "a.b", &b), 1);
    assert_int_equal(found(&match, "a.c", &b), 0);
    assert_int_equal(found(&match, "a", &a), 0);
    ski_match_remove(&match, &ab, &a);
    assert_int_equal(found(&match, "a.b", &a), 0);
    assert_int_equal(found(&match, "a.c", &a), 0);
    ski_match_fini(&match);
}

static void prefixes_are_found_at_dots(void **state)
{
    const skald_filter mixed = of_types(TYPES(SKALD_STR("a.b"), SKALD_STR("a.*")));
    const skald_filter deep = of_types(TYPES(SKALD_STR("a.b.*")));
    const skald_filter odd = of_types(TYPES(SKALD_STR("a.b*"))); // a name, to a filter
    ski_match match;
    int one, two, three;

    (void)state;
    ski_match_init(&match);
    assert_false(ski_match_by_type(&mixed));
    assert_true(ski_match_by_type(&odd));
    assert_int_equal(ski_match_add(&match, &mixed, &one), SKALD_OK);
    assert_int_equal(ski_match_add(&match, &deep, &two), SKALD_OK);
    assert_int_equal(ski_match_add(&match, &odd, &three), SKALD_OK);
    assert_int_equal(found(&match, "a.b", &one), 2); // by both of its names
    assert_int_equal(found(&match, "a.c", &one), 1);
    assert_int_equal(found(&match, "a.", &one), 0);
    assert_int_equal(found(&match, "ab", &one), 0);
    assert_int_equal(found(&match, "a.b.c", &two), 1);
    assert_int_equal(found(&match, "a.b", &two), 0);
    assert_int_equal(found(&match, "a.b.c", &three), 0);
    ski_match_remove(&match, &mixed, &one);
    assert_int_equal(found(&match, "a.b", &one), 0);
    ski_match_fini(&match);
}

// The longest type of the most dots is looked up without leaving the array of lists.
static void every_dot_has_its_place(void **state)
{
    char type[SKALD_TYPE_BYTES_MAX + 1];
    skald_event event = {.type = {type, SKALD_TYPE_BYTES_MAX},
                         .stream = SKALD_STR("s-1"),
                         .correlation_id = SKALD_STR("c"),
                         .tenant = SKALD_STR("t")};
    const skald_str stream = SKALD_STR("s-1"), category = SKALD_STR("s"), whole = event.type;
    const skald_filter filters[] = {
        {.correlation_id = SKALD_STR("c")}, {.streams = {&stream, 1}},
        {.categories = {&category, 1}},     {.types = {&whole, 1}},
        {.tenant = SKALD_STR("t")},         {.tenant = {0}},
    };
    ski_match match;
    int item;

    (void)state;
    ski_match_init(&match);
    for (size_t i = 0; i < sizeof(type); i++) type[i] = i % 2 ? '.' : 'a';
    for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
        assert_int_equal(ski_match_add(&match, &filters[i], &item), SKALD_OK);
    for (size_t len = 2; len < SKALD_TYPE_BYTES_MAX; len += 2) {
        char prefix[SKALD_TYPE_BYTES_MAX + 2];

        memcpy(prefix, type, len);
        prefix[len] = '*';
        const skald_filter filter = of_types(TYPES({prefix, len + 1}));

        assert_int_equal(ski_match_add(&match, &filter, &item), SKALD_OK);
    }
    assert_int_equal(times(&match, &event, &item), 6 + SKALD_TYPE_BYTES_MAX / 2);
    ski_match_fini(&match);
}

static void each_field_finds_its_own(void **state)
{
    const skald_str stream = SKALD_STR("order-1"), category = SKALD_STR("order");
    const skald_filter filters[] = {
        {.streams = {&stream, 1}, .types = TYPES(SKALD_STR("x"))},
        {.categories = {&category, 1}},
        {.correlation_id = SKALD_STR("c-1"), .streams = {&stream, 1}},
        {.tenant = SKALD_STR("acme")},
        {.tenant = SKALD_STR("")},
    };
    const skald_event event = {.type = SKALD_STR("y"),
                               .stream = stream,
                               .correlation_id = SKALD_STR("c-1"),
                               .tenant = SKALD_STR("acme")};
    const skald_event other = {.type = SKALD_STR("y"),
                               .stream = SKALD_STR("trip-1"),
                               .correlation_id = SKALD_STR("order"),
                               .tenant = SKALD_STR("c-1")};
    const skald_event bare = {.type = SKALD_STR("order-1")};
    int items[5];
    ski_match match;

    (void)state;
    ski_match_init(&match);
    assert_false(ski_match_by_type(&filters[0])); // found by stream, its type is still asked
    for (int i = 0; i < 5; i++)
        assert_int_equal(ski_match_add(&match, &filters[i], &items[i]), SKALD_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(times(&match, &event, &items[i]), i < 4);
        assert_int_equal(times(&match, &other, &items[i]), 0);
        assert_int_equal(times(&match, &bare, &items[i]), i == 4);
    }
    for (int i = 0; i < 5; i++) ski_match_remove(&match, &filters[i], &items[i]);
    for (int i = 0; i < 5; i++) assert_int_equal(times(&match, &event, &items[i]), 0);
    for (int i = 0; i < SKI_MATCH_FIELDS; i++) assert_int_equal(match.used[i], 0);
    for (int i = 0; i < SKI_MATCH_FIELDS; i++) assert_int_equal(match.looks[i], 0);
    ski_match_fini(&match);
}

static void others_stand_apart(void **state)
{
    const skald_filter everything = of_types(TYPES(SKALD_STR("a"), SKALD_STR("*")));
    const skald_filter none = {0};
    ski_match match;
    int every, all;

    (void)state;
    ski_match_init(&match);
    assert_false(ski_match_by_type(&none));
    assert_false(ski_match_by_type(&everything));
    assert_int_equal(ski_match_add(&match, &everything, &every), SKALD_OK);
    assert_int_equal(ski_match_add(&match, &none, &all), SKALD_OK);
    assert_int_equal(match.others.count, 2);
    assert_int_equal(found(&match, "a", &every), 1);
    ski_match_remove(&match, &everything, &every);
    assert_int_equal(match.others.count, 1);
    assert_int_equal(found(&match, "a", &every), 0);
    ski_match_fini(&match);
}

static void many_come_and_go(void **state)
{
    static int items[1000];
    ski_match match;
    char text[32];

    (void)state;
    ski_match_init(&match);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) {
            int len = snprintf(text, sizeof(text), "type.%d", i);
            const skald_filter filter = of_types(TYPES({text, (size_t)len}));

            assert_int_equal(ski_match_add(&match, &filter, &items[i]), SKALD_OK);
        }
        for (int i = 0; i < 1000; i++) {
            int len = snprintf(text, sizeof(text), "type.%d", i);
            const skald_filter filter = of_types(TYPES({text, (size_t)len}));

            assert_int_equal(found(&match, text, &items[i]), 1);
            ski_match_remove(&match, &filter, &items[i]);
        }
    }
    assert_true(match.name_count <= 1000); // places are used again
    ski_match_fini(&match);
}

static void without_memory_nothing_changes(void **state)
{
    const skald_filter of_y = of_types(TYPES(SKALD_STR("y")));
    const skald_filter of_three = of_types(TYPES(SKALD_STR("x"), SKALD_STR("y"), SKALD_STR("z")));
    int a, b;

    (void)state;
    for (uint64_t n = 1;; n++) {
        ski_match match;

        ski_match_init(&match);
        assert_int_equal(ski_match_add(&match, &of_y, &b), SKALD_OK);
        ski_alloc_fail_at(n);
        skald_err err = ski_match_add(&match, &of_three, &a);

        ski_alloc_fail_at(0);
        if (err) {
            assert_int_equal(err, SKALD_ENOMEM);
            assert_int_equal(found(&match, "x", &a), 0);
            assert_int_equal(found(&match, "z", &a), 0);
            assert_int_equal(found(&match, "y", &a), 0);
            assert_int_equal(found(&match, "y", &b), 1);
            assert_int_equal(match.used[SKI_MATCH_TYPE], 1);
        }
        ski_match_fini(&match);
        if (!err) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_types_are_found),
        cmocka_unit_test(prefixes_are_found_at_dots),
        cmocka_unit_test(every_dot_has_its_place),
        cmocka_unit_test(each_field_finds_its_own),
        cmocka_unit_test(others_stand_apart),
        cmocka_unit_test(many_come_and_go),
        cmocka_unit_test(without_memory_nothing_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
