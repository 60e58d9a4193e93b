// SPDX-License-Identifier: Apache-2.0
// RFC 3339 to microseconds and back, exact for the years 1 to 9999, with no help from libc: its
// functions know locales, time zones and environment variables, and no microseconds.
//
// Days are counted in years that begin in March: a leap day is then the last day of its year, and
// the days before a month are a straight line. An era is 400 such years, after which everything
// repeats.
#include "base/str.h"

#include <string.h>

enum {
    days_per_era = 146097,
    days_to_1970 = 719468, // from 0000-03-01
    fraction_digits = 6,
};

static const int64_t us_per_s = 1000000;
static const int64_t s_per_day = 86400;

// The first and the last moment that can be printed: 0001-01-01T00:00:00 and the end of 9999.
static const int64_t time_min = INT64_C(-62135596800) * 1000000;
static const int64_t time_max = INT64_C(253402300800) * 1000000 - 1;

typedef struct time_date {
    int64_t year;
    int month, day; // from 1
} time_date;

// days_of counts days since 1970-01-01; the year is at least 1.
static int64_t days_of(time_date date)
{
    int64_t year = date.month > 2 ? date.year : date.year - 1;
    int64_t era = year / 400, year_of_era = year % 400;
    int month_from_march = (date.month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;

    return era * days_per_era + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
           day_of_year - days_to_1970;
}

// date_of is the other way round, for days since 1970-01-01 of the year 1 or later.
static time_date date_of(int64_t days)
{
    int64_t from_zero = days + days_to_1970;
    int64_t era = from_zero / days_per_era, day = from_zero % days_per_era;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t day_of_year = day - (year * 365 + year / 4 - year / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    time_date date = {.month = (int)(month_from_march < 10 ? month_from_march + 3
                                                           : month_from_march - 9),
                      .day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1)};

    date.year = era * 400 + year + (date.month <= 2);
    return date;
}

static int month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

// take_number eats exactly count digits whose value is at most max.
static bool take_number(skald_str *text, size_t count, int max, int *ret_number)
{
    int number = 0;

    if (text->len < count) return false;
    for (size_t i = 0; i < count; i++) {
        if (text->ptr[i] < '0' || text->ptr[i] > '9') return false;
        number = number * 10 + (text->ptr[i] - '0');
    }
    if (number > max) return false;
    *text = ski_str(text->ptr + count, text->len - count);
    *ret_number = number;
    return true;
}

// take_byte eats one of the given bytes.
static bool take_byte(skald_str *text, const char *choice, char *ret_byte)
{
    if (!text->len || !text->ptr[0] || !strchr(choice, text->ptr[0])) return false;
    *ret_byte = text->ptr[0];
    *text = ski_str(text->ptr + 1, text->len - 1);
    return true;
}

static bool take_date(skald_str *text, time_date *ret_date)
{
    time_date date;
    int year;
    char byte;

    if (!take_number(text, 4, 9999, &year) || !take_byte(text, "-", &byte) ||
        !take_number(text, 2, 12, &date.month) || !take_byte(text, "-", &byte) ||
        !take_number(text, 2, 31, &date.day))
        return false;
    date.year = year;
    if (!date.year || !date.month || !date.day) return false;
    if (date.day > month_days(date.year, date.month)) return false;
    *ret_date = date;
    return true;
}

// take_fraction eats any number of digits and cuts what is finer than microseconds.
static bool take_fraction(skald_str *text, int64_t *ret_us)
{
    int64_t us = 0;
    size_t digits = 0;
    int digit;

    while (take_number(text, 1, 9, &digit)) {
        if (digits < fraction_digits) us = us * 10 + digit;
        digits++;
    }
    if (!digits) return false;
    for (; digits < fraction_digits; digits++) us *= 10;
    *ret_us = us;
    return true;
}

// take_offset eats "Z" or "+01:30", in seconds east of Greenwich.
static bool take_offset(skald_str *text, int64_t *ret_s)
{
    int hour, minute;
    char sign;

    if (!take_byte(text, "Zz+-", &sign)) return false;
    if (sign == 'Z' || sign == 'z') {
        *ret_s = 0;
        return true;
    }

    char colon;

    if (!take_number(text, 2, 23, &hour) || !take_byte(text, ":", &colon) ||
        !take_number(text, 2, 59, &minute))
        return false;
    *ret_s = (hour * 60 + minute) * (sign == '-' ? -60 : 60);
    return true;
}

skald_err skald_time_parse(skald_str text, skald_time *ret_time)
{
    time_date date;
    int hour, minute, second;
    int64_t us = 0, offset_s;
    char byte;

    if (!take_date(&text, &date) || !take_byte(&text, "Tt", &byte)) return SKALD_EINVALID;
    if (!take_number(&text, 2, 23, &hour) || !take_byte(&text, ":", &byte) ||
        !take_number(&text, 2, 59, &minute) || !take_byte(&text, ":", &byte) ||
        !take_number(&text, 2, 60, &second))
        return SKALD_EINVALID;
    if (take_byte(&text, ".", &byte) && !take_fraction(&text, &us)) return SKALD_EINVALID;
    if (!take_offset(&text, &offset_s) || text.len) return SKALD_EINVALID;

    int64_t seconds = days_of(date) * s_per_day + hour * 3600 + minute * 60 + second - offset_s;

    // A leap second is the 61st of a day's last minute in UTC. Our scale has none: it is the first
    // second of the next day, as POSIX counts it.
    if (second == 60 && seconds % s_per_day != 0) return SKALD_EINVALID;

    int64_t time = seconds * us_per_s + us;

    if (time < time_min || time > time_max) return SKALD_EINVALID;
    *ret_time = time;
    return SKALD_OK;
}

// put_number writes count digits and gives the place behind them.
static char *put_number(char *at, int count, int64_t number)
{
    for (int i = count - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return at + count;
}

void skald_time_print(skald_time time, char ret_text[SKALD_TIME_TEXT + 1])
{
    if (time < time_min) time = time_min;
    if (time > time_max) time = time_max;

    int64_t from_min = time - time_min; // not negative, so that / and % round down
    int64_t us = from_min % us_per_s;
    int64_t seconds = from_min / us_per_s;
    int64_t second_of_day = seconds % s_per_day;
    time_date date = date_of(seconds / s_per_day + time_min / us_per_s / s_per_day);
    char *at = ret_text;

    at = put_number(at, 4, date.year);
    *at++ = '-';
    at = put_number(at, 2, date.month);
    *at++ = '-';
    at = put_number(at, 2, date.day);
    *at++ = 'T';
    at = put_number(at, 2, second_of_day / 3600);
    *at++ = ':';
    at = put_number(at, 2, second_of_day / 60 % 60);
    *at++ = ':';
    at = put_number(at, 2, second_of_day % 60);
    *at++ = '.';
    at = put_number(at, 6, us);
    *at++ = 'Z';
    *at = '\0';
}
