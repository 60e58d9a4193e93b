// SPDX-License-Identifier: Apache-2.0
#include "bus/match.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define TYPES(...)                                   \
    ((skald_texts){(const skald_str[]){__VA_ARGS__}, \
                   sizeof((const skald_str[]){__VA_ARGS__}) / sizeof(skald_str)})

static size_t stands_in(const ski_match_list *list, const void *item)
{
    size_t times = 0;

    for (uint32_t i = 0; list && i < list->count; i++) times += list->items[i] == item;
    return times;
}

static void exact_types_are_found(void **state)
{
    ski_match match;
    int a, b;

    (void)state;
    ski_match_init(&match);
    skald_texts ab = TYPES(SKALD_STR("a.b"), SKALD_STR("a.c"), SKALD_STR("a.b"));

    assert_int_equal(ski_match_add(&match, ab, &a), SKALD_OK);
    assert_int_equal(ski_match_add(&match, TYPES(SKALD_STR("a.b")), &b), SKALD_OK);
    assert_int_equal(stands_in(ski_match_find(&match, SKALD_STR("a.b")), &a), 1);
    assert_int_equal(stands_in(ski_match_find(&match, SKALD_STR("a.b")), &b), 1);
    assert_int_equal(stands_in(ski_match_find(&match, SKALD_STR("a.c")), &b), 0);
    assert_null(ski_match_find(&match, SKALD_STR("a")));
    ski_match_remove(&match, ab, &a);
    assert_int_equal(stands_in(ski_match_find(&match, SKALD_STR("a.b")), &a), 0);
    assert_null(ski_match_find(&match, SKALD_STR("a.c")));
    ski_match_fini(&match);
}

static void others_stand_apart(void **state)
{
    ski_match match;
    int prefix, every, all;

    (void)state;
    ski_match_init(&match);
    assert_false(ski_match_exact(TYPES(SKALD_STR("a"), SKALD_STR("b.*"))));
    assert_false(ski_match_exact((skald_texts){0}));
    assert_int_equal(ski_match_add(&match, TYPES(SKALD_STR("a"), SKALD_STR("b.*")), &prefix),
                     SKALD_OK);
    assert_int_equal(ski_match_add(&match, TYPES(SKALD_STR("*")), &every), SKALD_OK);
    assert_int_equal(ski_match_add(&match, (skald_texts){0}, &all), SKALD_OK);
    assert_null(ski_match_find(&match, SKALD_STR("a")));
    assert_int_equal(match.others.count, 3);
    ski_match_remove(&match, TYPES(SKALD_STR("*")), &every);
    assert_int_equal(match.others.count, 2);
    assert_int_equal(stands_in(&match.others, &every), 0);
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

            assert_int_equal(ski_match_add(&match, TYPES({text, (size_t)len}), &items[i]),
                             SKALD_OK);
        }
        for (int i = 0; i < 1000; i++) {
            int len = snprintf(text, sizeof(text), "type.%d", i);
            const ski_match_list *list = ski_match_find(&match, (skald_str){text, (size_t)len});

            assert_int_equal(stands_in(list, &items[i]), 1);
            ski_match_remove(&match, TYPES({text, (size_t)len}), &items[i]);
        }
    }
    assert_true(match.type_count <= 1000); // places are used again
    ski_match_fini(&match);
}

static void without_memory_nothing_changes(void **state)
{
    int a, b;

    (void)state;
    for (uint64_t n = 1;; n++) {
        ski_match match;
        skald_texts types = TYPES(SKALD_STR("x"), SKALD_STR("y"), SKALD_STR("z"));

        ski_match_init(&match);
        assert_int_equal(ski_match_add(&match, TYPES(SKALD_STR("y")), &b), SKALD_OK);
        ski_alloc_fail_at(n);
        skald_err err = ski_match_add(&match, types, &a);

        ski_alloc_fail_at(0);
        if (err) {
            assert_int_equal(err, SKALD_ENOMEM);
            assert_null(ski_match_find(&match, SKALD_STR("x")));
            assert_null(ski_match_find(&match, SKALD_STR("z")));
            assert_int_equal(stands_in(ski_match_find(&match, SKALD_STR("y")), &a), 0);
            assert_int_equal(stands_in(ski_match_find(&match, SKALD_STR("y")), &b), 1);
        }
        ski_match_fini(&match);
        if (!err) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_types_are_found),
        cmocka_unit_test(others_stand_apart),
        cmocka_unit_test(many_come_and_go),
        cmocka_unit_test(without_memory_nothing_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
