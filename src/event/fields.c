// SPDX-License-Identifier: Apache-2.0
// Places in a document, and the values of fields that JSON has no kind for: numbers, dates, money.
//
// Nothing here depends on the locale: where the C library would write another decimal point, it is
// asked which one.
#include "event/fields.h"

#include "base/str.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// place_print writes the way to place, outermost first, and gives its length.
static size_t place_print(const ski_place *place, char *text, size_t size)
{
    size_t len = place->outer ? place_print(place->outer, text, size) : 0;
    int more;

    if (len >= size) return len;
    if (place->name)
        more = snprintf(text + len, size - len, "%s%s", len ? "." : "", place->name);
    else
        more = snprintf(text + len, size - len, "[%zu]", place->index);
    return len + (size_t)(more > 0 ? more : 0);
}

skald_err ski_place_fail(skald_error *error, const ski_place *place, skald_err err,
                         const char *format, ...)
{
    char field[sizeof(error->field)] = "", text[300];
    va_list arguments;

    if (!error) return err;
    if (place) (void)place_print(place, field, sizeof(field));
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return skald_fail_at(error, err, field, "%s %s", *field ? field : "the data", text);
}

enum { point_size = 16 };

// decimal_point is what the locale writes between the digits of 0.5.
static void decimal_point(char ret_point[point_size])
{
    (void)snprintf(ret_point, point_size, "%.1f", 0.5);
    size_t len = strlen(ret_point) - 2; // without the digits

    memmove(ret_point, ret_point + 1, len);
    ret_point[len] = 0;
}

void ski_f64_print(double number, char ret_text[SKI_F64_TEXT])
{
    char point[point_size];

    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(ret_text, SKI_F64_TEXT, "%.*g", digits, number);
        if (strtod(ret_text, NULL) == number) break;
    }
    decimal_point(point);
    char *at = strstr(ret_text, point);

    if (!at) return;
    *at = '.';
    memmove(at + 1, at + strlen(point), strlen(at + strlen(point)) + 1);
}

skald_err ski_f64_parse(skald_str text, double *ret_number)
{
    char copy[800], point[point_size]; // the longest exact double has 767 digits
    const char *dot = text.len ? memchr(text.ptr, '.', text.len) : NULL;
    size_t whole = dot ? (size_t)(dot - text.ptr) : text.len;

    decimal_point(point);
    if (text.len + sizeof(point) > sizeof(copy)) return SKALD_EINVALID;
    (void)snprintf(copy, sizeof(copy), "%.*s%s%.*s", (int)whole, text.ptr, dot ? point : "",
                   dot ? (int)(text.len - whole - 1) : 0, dot ? dot + 1 : "");
    double number = strtod(copy, NULL);

    if (!isfinite(number)) return SKALD_EINVALID;
    *ret_number = number;
    return SKALD_OK;
}

static const int64_t us_per_day = INT64_C(86400) * 1000000;

skald_err skald_date_parse(skald_str text, skald_date *ret_date)
{
    char whole[SKALD_DATE_TEXT + 11];
    skald_time time;

    if (text.len != SKALD_DATE_TEXT) return SKALD_EINVALID;
    (void)snprintf(whole, sizeof(whole), "%.10sT00:00:00Z", text.ptr);
    SKALD_TRY(skald_time_parse(skald_str_of(whole), &time));
    *ret_date = (skald_date)(time / us_per_day);
    return SKALD_OK;
}

bool skald_date_print(skald_date date, char ret_text[SKALD_DATE_TEXT + 1])
{
    const skald_date first = -719162, last = 2932896; // 0001-01-01 and 9999-12-31
    char text[SKALD_TIME_TEXT + 1];

    if (date < first || date > last) return false;
    skald_time_print((skald_time)date * us_per_day, text);
    memcpy(ret_text, text, SKALD_DATE_TEXT);
    ret_text[SKALD_DATE_TEXT] = 0;
    return true;
}

bool ski_currency_known(const char currency[4])
{
    for (int i = 0; i < 3; i++)
        if (currency[i] < 'A' || currency[i] > 'Z') return false;
    return !currency[3];
}

// ISO 4217: what has no hundredths.
int ski_currency_digits(const char currency[4])
{
    static const char none[] =
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
    static const char three[] = "BHD IQD JOD KWD LYD OMR TND";

    if (strstr(none, currency)) return 0;
    return strstr(three, currency) ? 3 : 2;
}

void ski_amount_print(const skald_money *money, char ret_text[SKI_AMOUNT_TEXT])
{
    int digits = ski_currency_digits(money->currency);
    uint64_t size = money->minor < 0 ? 0 - (uint64_t)money->minor : (uint64_t)money->minor;
    uint64_t unit = 1;

    for (int i = 0; i < digits; i++) unit *= 10;
    int len = snprintf(ret_text, SKI_AMOUNT_TEXT, "%s%llu", money->minor < 0 ? "-" : "",
                       (unsigned long long)(size / unit));

    if (digits)
        (void)snprintf(ret_text + len, SKI_AMOUNT_TEXT - (size_t)len, ".%0*llu", digits,
                       (unsigned long long)(size % unit));
}

// ski_amount_parse takes fewer digits behind the point than the currency has, never more: what
// cannot be kept is refused, not rounded.
skald_err ski_amount_parse(skald_str text, const char currency[4], int64_t *ret_minor)
{
    int digits = ski_currency_digits(currency), behind = -1;
    bool minus = text.len && text.ptr[0] == '-', any = false;
    uint64_t size = 0;

    for (size_t i = minus; i < text.len; i++) {
        char byte = text.ptr[i];

        if (byte == '.' && behind < 0 && any) {
            behind = 0;
            continue;
        }
        if (byte < '0' || byte > '9' || size > INT64_MAX / 10 - 1) return SKALD_EINVALID;
        if (behind >= 0 && ++behind > digits) return SKALD_EINVALID;
        size = size * 10 + (uint64_t)(byte - '0');
        any = true;
    }
    if (!any || behind == 0) return SKALD_EINVALID;
    for (int i = behind < 0 ? 0 : behind; i < digits; i++) {
        if (size > INT64_MAX / 10 - 1) return SKALD_EINVALID;
        size *= 10;
    }
    *ret_minor = minus ? -(int64_t)size : (int64_t)size;
    return SKALD_OK;
}

const char *ski_field_due(const skald_field *field)
{
    static const char *const due[] = {
        [SKALD_TEXT] = "a string",
        [SKALD_UUID] = "a UUID as a string",
        [SKALD_FLAG] = "true or false",
        [SKALD_I64] = "a whole number of 64 bits",
        [SKALD_F64] = "a number",
        [SKALD_TIME] = "a time as \"2026-01-02T03:04:05Z\"",
        [SKALD_DATE] = "a date as \"2026-01-31\"",
        [SKALD_MONEY] = "an amount as {\"amount\":\"2799.26\",\"currency\":\"NOK\"}",
        [SKALD_JSON] = "a value",
        [SKALD_TEXTS] = "an array of strings",
        [SKALD_UUIDS] = "an array of UUIDs",
        [SKALD_OBJECT] = "an object",
        [SKALD_LIST] = "an array of objects",
        [SKALD_CHOICE_KIND] = "one of its names",
    };

    return due[field->kind];
}
