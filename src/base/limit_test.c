// SPDX-License-Identifier: Apache-2.0
#include <skald/limit.h>

// cmocka wants these before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define MS UINT64_C(1000000)

static void test_bucket_burst(void **state)
{
    skald_bucket bucket = {.rate_per_min = 60, .burst_max = 3};

    (void)state;
    assert_int_equal(skald_bucket_left(&bucket, 5 * SECOND), 3);
    for (int i = 0; i < 3; i++) assert_int_equal(skald_bucket_take(&bucket, 5 * SECOND, 1), 0);
    assert_int_equal(skald_bucket_left(&bucket, 5 * SECOND), 0);
    assert_in_range(skald_bucket_take(&bucket, 5 * SECOND, 1), 1000, 1001);
    assert_in_range(skald_bucket_take(&bucket, 5 * SECOND + 400 * MS, 1), 600, 601);
    assert_int_equal(skald_bucket_take(&bucket, 6 * SECOND, 1), 0);
    assert_int_not_equal(skald_bucket_take(&bucket, 6 * SECOND, 1), 0);
    assert_in_range(skald_bucket_take(&bucket, 6 * SECOND, 3), 3000, 3001);
    // Asked for more than it ever holds, it says so; full again, it is not fuller.
    assert_int_equal(skald_bucket_take(&bucket, 6 * SECOND, 4), UINT32_MAX);
    assert_int_equal(skald_bucket_left(&bucket, 600 * SECOND), 3);
    assert_int_equal(skald_bucket_take(&bucket, 600 * SECOND, 3), 0);
    assert_int_not_equal(skald_bucket_take(&bucket, 600 * SECOND, 1), 0);
}

// However often it is asked, exactly the rate flows.
static void test_bucket_exact(void **state)
{
    skald_bucket bucket = {.rate_per_min = 7, .burst_max = 1};
    unsigned taken = 0;

    (void)state;
    for (uint64_t now_ns = 0; now_ns <= 600 * SECOND; now_ns += 1234567) {
        if (skald_bucket_take(&bucket, now_ns, 1) == 0) taken++;
    }
    assert_in_range(taken, 70, 71); // seven a minute, and the first
}

static void test_bucket_edges(void **state)
{
    skald_bucket open = {0}, huge = {.rate_per_min = UINT32_MAX};
    skald_bucket bucket = {.rate_per_min = 60};

    (void)state;
    for (int i = 0; i < 1000; i++) assert_int_equal(skald_bucket_take(&open, 0, UINT32_MAX), 0);
    assert_int_equal(skald_bucket_left(&open, 0), UINT32_MAX);
    assert_int_equal(skald_bucket_take(&huge, UINT64_MAX, 1000), 0);
    assert_int_equal(skald_bucket_take(&huge, UINT64_MAX, UINT32_MAX), UINT32_MAX);
    // A clock that goes back gives nothing.
    assert_int_equal(skald_bucket_take(&bucket, 100 * SECOND, 60), 0);
    assert_int_not_equal(skald_bucket_take(&bucket, 10 * SECOND, 1), 0);
    assert_int_not_equal(skald_bucket_take(&bucket, 100 * SECOND + 999 * MS, 1), 0);
    assert_int_equal(skald_bucket_take(&bucket, 101 * SECOND, 1), 0);
    assert_int_equal(skald_bucket_take(&bucket, 101 * SECOND, 0), 0);
}

static void test_breaker(void **state)
{
    skald_breaker breaker = {.failures_max = 3, .open_ms = 1000};

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(skald_breaker_allow(&breaker, 0));
        skald_breaker_report(&breaker, 0, false);
    }
    skald_breaker_report(&breaker, 0, true); // not in a row
    for (int i = 0; i < 3; i++) {
        assert_int_equal(skald_breaker_state_get(&breaker, 0), SKALD_BREAKER_CLOSED);
        assert_true(skald_breaker_allow(&breaker, 0));
        skald_breaker_report(&breaker, 0, false);
    }
    assert_int_equal(skald_breaker_state_get(&breaker, 0), SKALD_BREAKER_OPEN);
    assert_false(skald_breaker_allow(&breaker, 999 * MS));
    skald_breaker_report(&breaker, 999 * MS, true); // it was begun before: closes nothing
    assert_false(skald_breaker_allow(&breaker, 999 * MS));
    assert_int_equal(skald_breaker_state_get(&breaker, SECOND), SKALD_BREAKER_HALF_OPEN);
    assert_true(skald_breaker_allow(&breaker, SECOND));
    assert_false(skald_breaker_allow(&breaker, SECOND)); // one trial
    skald_breaker_report(&breaker, SECOND + 1, false);
    assert_int_equal(skald_breaker_state_get(&breaker, SECOND + 2), SKALD_BREAKER_OPEN);
    assert_false(skald_breaker_allow(&breaker, 2 * SECOND));
    assert_true(skald_breaker_allow(&breaker, 2 * SECOND + 1));
    skald_breaker_report(&breaker, 2 * SECOND + 2, true);
    assert_int_equal(skald_breaker_state_get(&breaker, 2 * SECOND + 2), SKALD_BREAKER_CLOSED);
    assert_true(skald_breaker_allow(&breaker, 2 * SECOND + 2));
}

// A trial whose report never comes does not keep it open for ever. Defaults: 5 failures, 30 s.
static void test_breaker_lost_trial(void **state)
{
    skald_breaker breaker = {0};

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(skald_breaker_allow(&breaker, 0));
        skald_breaker_report(&breaker, 0, false);
    }
    assert_false(skald_breaker_allow(&breaker, 30 * SECOND - 1));
    assert_true(skald_breaker_allow(&breaker, 30 * SECOND));
    assert_false(skald_breaker_allow(&breaker, 60 * SECOND - 1));
    assert_true(skald_breaker_allow(&breaker, 60 * SECOND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket_burst),       cmocka_unit_test(test_bucket_exact),
        cmocka_unit_test(test_bucket_edges),       cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_breaker_lost_trial),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
