// SPDX-License-Identifier: Apache-2.0
// base/hex.h - bytes as hexadecimal digits, lower case.
#ifndef SKI_BASE_HEX_H
#define SKI_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ski_hex_digit is what a digit of either case stands for; -1: it is none.
static inline int ski_hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

// ski_hex_put writes the 2 * count digits of bytes; count is a multiple of four.
void ski_hex_put(const uint8_t *bytes, size_t count, char *ret_digits);

// ski_hex_get reads 2 * count digits; count is a multiple of four. False: one of them is no digit,
// or upper case; what is in ret_bytes then means nothing. How long it takes says nothing of them.
bool ski_hex_get(const char *digits, size_t count, uint8_t *ret_bytes);

#endif
