// SPDX-License-Identifier: Apache-2.0
// event/schema/decimal.h - numbers of JSON exactly as they are written, of any length.
#ifndef SKI_EVENT_SCHEMA_DECIMAL_H
#define SKI_EVENT_SCHEMA_DECIMAL_H

#include <skald/base.h>

// ski_decimal is digits * 10^exponent. The digits stand in the number's text, a point perhaps
// between them; there is no zero at either end of them. Zero has none.
typedef struct ski_decimal {
    const char *first;
    uint32_t digits;
    bool negative;
    int64_t exponent; // cut at +-10^15, far beyond what any text can make up for
} ski_decimal;

ski_decimal ski_decimal_of(skald_str number); // of a valid JSON number
int ski_decimal_compare(const ski_decimal *a, const ski_decimal *b);
uint64_t ski_decimal_hash(skald_str number); // the same for equal numbers
static inline bool ski_decimal_integral(const ski_decimal *decimal)
{
    return !decimal->digits || decimal->exponent >= 0;
}

// ski_decimal_u64 gives an integral, not negative number; what is larger is UINT64_MAX.
uint64_t ski_decimal_u64(const ski_decimal *decimal);

enum { SKI_DIVISOR_DIGITS_MAX = 18 };
// ski_decimal_divides: value is a whole multiple of divisor, which has at most
// SKI_DIVISOR_DIGITS_MAX digits and is not zero.
bool ski_decimal_divides(const ski_decimal *divisor, const ski_decimal *value);

#endif
