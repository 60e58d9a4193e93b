// SPDX-License-Identifier: Apache-2.0
#include "bus/timer.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { timers_max = 300 };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *state >> 33;
}

static void due_in_order(void **state)
{
    ski_timer made[timers_max] = {{0}};
    ski_timers timers = {0};
    uint64_t seed = 7, last = 0;
    uint32_t left = 0;

    (void)state;
    assert_int_equal(ski_timers_reserve(&timers, timers_max), SKALD_OK);
    for (int round = 0; round < 3000; round++) {
        ski_timer *timer = &made[next_random(&seed) % timers_max];

        if (next_random(&seed) % 3)
            ski_timers_set(&timers, timer, 1 + next_random(&seed) % 1000);
        else
            ski_timers_clear(&timers, timer);
    }
    for (int i = 0; i < timers_max; i++) left += made[i].place != 0;
    assert_int_equal(left, timers.count);
    assert_true(left > 0);
    for (ski_timer *timer; (timer = ski_timers_take(&timers, UINT64_MAX)); left--) {
        assert_true(timer->due_ns >= last);
        assert_int_equal(timer->place, 0);
        last = timer->due_ns;
    }
    assert_int_equal(left, 0);
    assert_int_equal(ski_timers_next(&timers), 0);
    ski_timers_fini(&timers);
}

static void not_before_its_time(void **state)
{
    ski_timer a = {0}, b = {0};
    ski_timers timers = {0};

    (void)state;
    assert_int_equal(ski_timers_reserve(&timers, 2), SKALD_OK);
    assert_true(ski_timers_set(&timers, &a, 20));
    assert_true(ski_timers_set(&timers, &b, 10));
    assert_false(ski_timers_set(&timers, &b, 30));
    assert_int_equal(ski_timers_next(&timers), 20);
    assert_null(ski_timers_take(&timers, 19));
    assert_ptr_equal(ski_timers_take(&timers, 20), &a);
    assert_null(ski_timers_take(&timers, 29));
    ski_timers_clear(&timers, &a); // not set: nothing
    ski_timers_clear(&timers, &b);
    assert_null(ski_timers_take(&timers, 100));
    ski_timers_fini(&timers);
}

static void without_memory_nothing_changes(void **state)
{
    ski_timers timers = {0};

    (void)state;
    ski_alloc_fail_at(1);
    assert_int_equal(ski_timers_reserve(&timers, 2), SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    assert_int_equal(timers.size, 0);
    ski_timers_fini(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(due_in_order),
        cmocka_unit_test(not_before_its_time),
        cmocka_unit_test(without_memory_nothing_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
