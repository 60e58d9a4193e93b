// SPDX-License-Identifier: Apache-2.0
#include <skald/base.h>

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const int64_t us_per_day = INT64_C(86400000000);

static void assert_time(const char *text, skald_time want)
{
    skald_time time;

    assert_int_equal(skald_time_parse(skald_str_of(text), &time), SKALD_OK);
    assert_true(time == want);
}

static void assert_printed(skald_time time, const char *want)
{
    char text[SKALD_TIME_TEXT + 1];

    skald_time_print(time, text);
    assert_string_equal(text, want);
}

static void known_moments(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        skald_time time;
    } known[] = {
        {"1970-01-01T00:00:00.000000Z", 0},
        {"1970-01-01T00:00:00.000001Z", 1},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"2000-02-29T12:34:56.789012Z", INT64_C(951827696789012)},
        {"2001-09-09T01:46:40.000000Z", INT64_C(1000000000000000)},
        {"2026-01-02T03:04:05.000006Z", INT64_C(1767323045000006)},
        {"2038-01-19T03:14:08.000000Z", INT64_C(2147483648000000)},
        {"1900-03-01T00:00:00.000000Z", INT64_C(-2203891200000000)},
        {"0001-01-01T00:00:00.000000Z", INT64_C(-62135596800000000)},
        {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_time(known[i].text, known[i].time);
        assert_printed(known[i].time, known[i].text);
    }
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month != 2 || year % 4 || (!(year % 100) && year % 400) ? days[month - 1] : 29;
}

// Every day of one whole cycle of the calendar, and of all other years the days around the ends of
// February and December, against days counted one by one.
static void every_kind_of_day(void **state)
{
    (void)state;
    int64_t day = -719162; // 0001-01-01

    for (int year = 1; year <= 9999; year++) {
        for (int month = 1; month <= 12; month++) {
            for (int of_month = 1; of_month <= month_days(year, month); of_month++, day++) {
                bool near = (month == 2 && of_month >= 28) || (month == 3 && of_month == 1) ||
                            (month == 12 && of_month == 31) || (month == 1 && of_month == 1);
                char text[64];

                if (!near && (year < 1601 || year > 2000)) continue;
                snprintf(text, sizeof text, "%04d-%02d-%02dT23:59:59.000000Z", year, month,
                         of_month);
                assert_time(text, (day + 1) * us_per_day - 1000000);
                assert_printed((day + 1) * us_per_day - 1000000, text);
            }
        }
    }
    assert_true(day == INT64_C(253402300800) / 86400);
}

static void any_moment_comes_back(void **state)
{
    (void)state;
    uint64_t random = 1;

    for (int i = 0; i < 20000; i++) {
        char text[SKALD_TIME_TEXT + 1];

        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;

        skald_time time =
            INT64_C(-62135596800000000) + (int64_t)(random >> 1) % INT64_C(315537897600000000);

        skald_time_print(time, text);
        assert_int_equal(strlen(text), SKALD_TIME_TEXT);
        assert_time(text, time);
    }
}

static void offsets_and_fractions(void **state)
{
    (void)state;
    skald_time time = INT64_C(1767323045000000); // 2026-01-02T03:04:05Z

    assert_time("2026-01-02T03:04:05Z", time);
    assert_time("2026-01-02t03:04:05z", time);
    assert_time("2026-01-02T03:04:05+00:00", time);
    assert_time("2026-01-02T03:04:05-00:00", time);
    assert_time("2026-01-02T04:34:05+01:30", time);
    assert_time("2026-01-01T21:34:05-05:30", time);
    assert_time("2026-01-03T03:03:05+23:59", time);
    assert_time("2026-01-01T03:05:05-23:59", time);
    assert_time("2026-01-02T03:04:05.5Z", time + 500000);
    assert_time("2026-01-02T03:04:05.000001Z", time + 1);
    assert_time("2026-01-02T03:04:05.1234567Z", time + 123456);
    assert_time("2026-01-02T03:04:05.99999999999999999999999999999999999999Z", time + 999999);
    assert_time("1969-12-31T23:59:59.25Z", -750000);
    assert_time("0001-01-01T00:00:00-00:01", INT64_C(-62135596740000000));
    assert_time("9999-12-31T23:59:59.999999+00:01", INT64_C(253402300739999999));
}

static void a_leap_second_is_the_next_day(void **state)
{
    (void)state;
    skald_time next, time;

    assert_int_equal(skald_time_parse(SKALD_STR("1999-01-01T00:00:00Z"), &next), SKALD_OK);
    assert_time("1998-12-31T23:59:60Z", next);
    assert_time("1998-12-31T23:59:60.5Z", next + 500000);
    assert_time("1998-12-31T15:59:60-08:00", next);
    assert_int_equal(skald_time_parse(SKALD_STR("1998-12-31T23:58:60Z"), &time), SKALD_EINVALID);
    assert_int_equal(skald_time_parse(SKALD_STR("1998-12-31T23:59:60+01:00"), &time),
                     SKALD_EINVALID);
    assert_int_equal(skald_time_parse(SKALD_STR("9999-12-31T23:59:60Z"), &time), SKALD_EINVALID);
}

static void bad_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04Z",
        "2026-01-02 03:04:05Z",
        "2026-1-02T03:04:05Z",
        "26-01-02T03:04:05Z",
        "02026-01-02T03:04:05Z",
        "+2026-01-02T03:04:05Z",
        "2026-00-02T03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-01-00T03:04:05Z",
        "2026-01-32T03:04:05Z",
        "2026-04-31T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "1900-02-29T03:04:05Z",
        "2024-02-30T03:04:05Z",
        "0000-01-01T00:00:00Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:61Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05.5",
        "2026-01-02T03:04:05.-5Z",
        "2026-01-02T03:04:05+1:00",
        "2026-01-02T03:04:05+0100",
        "2026-01-02T03:04:05+01",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+01:60",
        "2026-01-02T03:04:05ZZ",
        "2026-01-02T03:04:05Z ",
        " 2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05 Z",
        "2026/01/02T03:04:05Z",
        "2026-01-02T03-04-05Z",
        "2026-W01-1T03:04:05Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "\xd9\xa2\xd9\xa0\xd9\xa2\xd9\xa6-01-02T03:04:05Z",
    };
    skald_time time = 77;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(skald_time_parse(skald_str_of(bad[i]), &time), SKALD_EINVALID);
    assert_int_equal(skald_time_parse((skald_str){NULL, 0}, &time), SKALD_EINVALID);
    assert_int_equal(skald_time_parse(SKALD_STR("2026-01-02\0003:04:05Z"), &time), SKALD_EINVALID);
    assert_int_equal(time, 77); // untouched
}

static void no_prefix_is_enough(void **state)
{
    (void)state;
    static const char text[] = "2026-01-02T03:04:05.000006+01:30";
    skald_time time;

    for (size_t len = 0; len < sizeof text - 1; len++)
        assert_int_equal(skald_time_parse(ski_str(text, len), &time), SKALD_EINVALID);
}

static void what_no_year_can_say_prints_as_the_nearest(void **state)
{
    (void)state;
    assert_printed(INT64_MIN, "0001-01-01T00:00:00.000000Z");
    assert_printed(INT64_C(-62135596800000001), "0001-01-01T00:00:00.000000Z");
    assert_printed(INT64_C(253402300800000000), "9999-12-31T23:59:59.999999Z");
    assert_printed(INT64_MAX, "9999-12-31T23:59:59.999999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_moments),
        cmocka_unit_test(every_kind_of_day),
        cmocka_unit_test(any_moment_comes_back),
        cmocka_unit_test(offsets_and_fractions),
        cmocka_unit_test(a_leap_second_is_the_next_day),
        cmocka_unit_test(bad_text_is_refused),
        cmocka_unit_test(no_prefix_is_enough),
        cmocka_unit_test(what_no_year_can_say_prints_as_the_nearest),
    };

    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
