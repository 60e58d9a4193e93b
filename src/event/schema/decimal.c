// SPDX-License-Identifier: Apache-2.0
// Numbers of JSON exactly as they are written.
//
// Nothing is turned into a double, so 0.0075 is a multiple of 0.0001 and two integers of 50 digits
// that differ in the last one differ. Every operation is linear in the digits.
#include "event/schema/decimal.h"

#include "event/schema/doc.h"

static const int64_t exponent_max = 1000000000000000;

// read_exponent reads what stands behind the e of a number.
static int64_t read_exponent(const char *at, const char *end)
{
    bool negative = at < end && *at == '-';
    int64_t exponent = 0;

    if (at < end && (*at == '-' || *at == '+')) at++;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        if (exponent < exponent_max) exponent = exponent * 10 + (*at - '0');
    if (exponent > exponent_max) exponent = exponent_max;
    return negative ? -exponent : exponent;
}

ski_decimal ski_decimal_of(skald_str number)
{
    const char *at = number.ptr, *end = number.ptr + number.len;
    ski_decimal decimal = {0};
    bool fraction = false;
    int64_t exponent = 0;
    uint32_t seen = 0;  // digits from the first that is not zero
    uint32_t zeros = 0; // how many zeros the last of them are

    if (at < end && *at == '-') {
        decimal.negative = true;
        at++;
    }
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        if (fraction) exponent--;
        if (!seen && *at == '0') continue;
        if (!seen) decimal.first = at;
        seen++;
        zeros = *at == '0' ? zeros + 1 : 0;
    }
    if (at < end) exponent += read_exponent(at + 1, end);
    if (!seen) return (ski_decimal){0};
    decimal.digits = seen - zeros;
    decimal.exponent = exponent + zeros;
    return decimal;
}

// next_digit gives the digit at *at and passes it, and a point before it.
static int next_digit(const char **at)
{
    if (**at == '.') ++*at;
    return *(*at)++ - '0';
}

int ski_decimal_compare(const ski_decimal *a, const ski_decimal *b)
{
    bool negative_a = a->negative && a->digits, negative_b = b->negative && b->digits;
    int larger = negative_a ? -1 : 1; // the answer when a is the larger one without its sign
    int64_t top_a = a->exponent + a->digits, top_b = b->exponent + b->digits;
    const char *at_a = a->first, *at_b = b->first;

    if (!a->digits && !b->digits) return 0;
    if (!a->digits) return negative_b ? 1 : -1;
    if (!b->digits) return negative_a ? -1 : 1;
    if (negative_a != negative_b) return negative_a ? -1 : 1;
    if (top_a != top_b) return top_a > top_b ? larger : -larger;
    for (uint32_t i = 0; i < a->digits && i < b->digits; i++) {
        int digit_a = next_digit(&at_a), digit_b = next_digit(&at_b);

        if (digit_a != digit_b) return digit_a > digit_b ? larger : -larger;
    }
    if (a->digits == b->digits) return 0;
    return a->digits > b->digits ? larger : -larger;
}

uint64_t ski_decimal_hash(skald_str number)
{
    ski_decimal decimal = ski_decimal_of(number);
    const char *at = decimal.first;
    uint64_t hash = decimal.digits && decimal.negative ? 3 : 5;

    hash = (hash ^ (uint64_t)decimal.exponent) * 0x9e3779b97f4a7c15u;
    for (uint32_t i = 0; i < decimal.digits; i++)
        hash = (hash ^ (uint64_t)next_digit(&at)) * 0xa0761d6478bd642fu;
    return hash ^ hash >> 29;
}

uint64_t ski_decimal_u64(const ski_decimal *decimal)
{
    const char *at = decimal->first;
    uint64_t number = 0;

    if (decimal->digits + decimal->exponent > 19 && decimal->digits) return UINT64_MAX;
    for (uint32_t i = 0; i < decimal->digits; i++) number = number * 10 + (uint64_t)next_digit(&at);
    for (int64_t i = 0; i < decimal->exponent && decimal->digits; i++) number *= 10;
    return number;
}

static uint64_t times_modulo(uint64_t a, uint64_t b, uint64_t modulus)
{
    return (uint64_t)((unsigned __int128)a * b % modulus);
}

bool ski_decimal_divides(const ski_decimal *divisor, const ski_decimal *value)
{
    const char *at = divisor->first;
    uint64_t modulus = 0, rest = 0, power = 10;
    uint64_t shift;

    if (!value->digits) return true;
    // No zero ends the digits of value, so no higher power of ten can divide them.
    if (value->exponent < divisor->exponent) return false;
    for (uint32_t i = 0; i < divisor->digits; i++)
        modulus = modulus * 10 + (uint64_t)next_digit(&at);
    at = value->first;
    for (uint32_t i = 0; i < value->digits; i++)
        rest = (uint64_t)(((unsigned __int128)rest * 10 + (unsigned)next_digit(&at)) % modulus);
    shift = (uint64_t)(value->exponent - divisor->exponent);
    for (power %= modulus; shift; shift >>= 1) { // rest * 10^shift, a bit of shift at a time
        if (shift & 1) rest = times_modulo(rest, power, modulus);
        power = times_modulo(power, power, modulus);
    }
    return rest == 0;
}
