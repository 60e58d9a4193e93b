// SPDX-License-Identifier: Apache-2.0
// Hexadecimal, four bytes and eight digits at a time: ids, keys and traces are written and read
// with every request.
#include "base/hex.h"

#include "base/be64.h"

#include <assert.h>

static const uint64_t ones = 0x0101010101010101;

// digits_of gives the digits of a word, the first one in the highest byte.
static uint64_t digits_of(uint64_t word)
{
    word = (word << 16 | word) & 0x0000ffff0000ffff;
    word = (word << 8 | word) & 0x00ff00ff00ff00ff;
    word = (word << 4 | word) & 0x0f0f0f0f0f0f0f0f;
    return word + ones * '0' + ((word + ones * 6) >> 4 & ones) * ('a' - '0' - 10);
}

// word_of takes back what digits_of gives. Of other bytes it makes a word whose digits are others.
static uint64_t word_of(uint64_t digits)
{
    uint64_t word = (digits & ones * 15) + (digits >> 6 & ones) * 9;

    word = (word >> 4 | word) & 0x00ff00ff00ff00ff;
    word = (word >> 8 | word) & 0x0000ffff0000ffff;
    return (word >> 16 | word) & 0xffffffff;
}

void ski_hex_put(const uint8_t *bytes, size_t count, char *ret_digits)
{
    assert(count % 4 == 0);
    for (size_t i = 0; i < count; i += 4) {
        uint64_t word = (uint64_t)bytes[i] << 24 | (uint64_t)bytes[i + 1] << 16 |
                        (uint64_t)bytes[i + 2] << 8 | bytes[i + 3];

        ski_be64_put((uint8_t *)ret_digits + 2 * i, digits_of(word));
    }
}

bool ski_hex_get(const char *digits, size_t count, uint8_t *ret_bytes)
{
    uint64_t other = 0;

    assert(count % 4 == 0);
    for (size_t i = 0; i < count; i += 4) {
        uint64_t eight = ski_be64_get((const uint8_t *)digits + 2 * i), word = word_of(eight);

        other |= digits_of(word) ^ eight;
        for (size_t j = 0; j < 4; j++) ret_bytes[i + j] = (uint8_t)(word >> (24 - 8 * j));
    }
    return !other;
}
