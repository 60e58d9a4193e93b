// SPDX-License-Identifier: Apache-2.0
// Hexadecimal, four or sixteen bytes at a time: ids, keys and traces are written and read with
// every request.
#include "base/hex.h"

#include "base/be64.h"

#include <assert.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

#ifdef __SSE2__
// sixteen_put writes the digits of sixteen bytes, of which each is two: its halves side by side.
static inline void sixteen_put(const uint8_t *bytes, char *ret_digits)
{
    const __m128i half = _mm_set1_epi8(15), nine = _mm_set1_epi8(9), zero = _mm_set1_epi8('0');
    const __m128i letter = _mm_set1_epi8('a' - '0' - 10);
    __m128i all = _mm_loadu_si128((const void *)bytes);
    __m128i high = _mm_and_si128(_mm_srli_epi16(all, 4), half), low = _mm_and_si128(all, half);
    __m128i first = _mm_unpacklo_epi8(high, low), last = _mm_unpackhi_epi8(high, low);

    first =
        _mm_add_epi8(_mm_add_epi8(first, zero), _mm_and_si128(_mm_cmpgt_epi8(first, nine), letter));
    last =
        _mm_add_epi8(_mm_add_epi8(last, zero), _mm_and_si128(_mm_cmpgt_epi8(last, nine), letter));
    _mm_storeu_si128((void *)ret_digits, first);
    _mm_storeu_si128((void *)(ret_digits + 16), last);
}

// halves_of gives what sixteen digits stand for, a half byte in each, and tells odd of what is
// none: written again it would be another byte.
static inline __m128i halves_of(const char *digits, __m128i *odd)
{
    const __m128i half = _mm_set1_epi8(15), nine = _mm_set1_epi8(9), zero = _mm_set1_epi8('0');
    const __m128i letter = _mm_set1_epi8('a' - '0' - 10);
    __m128i all = _mm_loadu_si128((const void *)digits);
    __m128i over = _mm_and_si128(_mm_cmpgt_epi8(all, _mm_set1_epi8('9')), nine);
    __m128i halves = _mm_and_si128(_mm_add_epi8(all, over), half);
    __m128i again = _mm_add_epi8(_mm_add_epi8(halves, zero),
                                 _mm_and_si128(_mm_cmpgt_epi8(halves, nine), letter));

    *odd = _mm_or_si128(*odd, _mm_xor_si128(again, all));
    return halves;
}

// sixteen_get reads the digits of sixteen bytes.
static inline void sixteen_get(const char *digits, uint8_t *ret_bytes, __m128i *odd)
{
    const __m128i low = _mm_set1_epi16(255);
    __m128i first = halves_of(digits, odd), last = halves_of(digits + 16, odd);

    first = _mm_or_si128(_mm_slli_epi16(first, 4), _mm_srli_epi16(first, 8));
    last = _mm_or_si128(_mm_slli_epi16(last, 4), _mm_srli_epi16(last, 8));
    _mm_storeu_si128((void *)ret_bytes,
                     _mm_packus_epi16(_mm_and_si128(first, low), _mm_and_si128(last, low)));
}
#endif

void ski_hex_put(const uint8_t *bytes, size_t count, char *ret_digits)
{
    size_t i = 0;

    assert(count % 4 == 0);
#ifdef __SSE2__
    for (; count - i >= 16; i += 16) sixteen_put(bytes + i, ret_digits + 2 * i);
#endif
    for (; i < count; i += 4) {
        uint64_t word = (uint64_t)bytes[i] << 24 | (uint64_t)bytes[i + 1] << 16 |
                        (uint64_t)bytes[i + 2] << 8 | bytes[i + 3];

        ski_be64_put((uint8_t *)ret_digits + 2 * i, digits_of(word));
    }
}

bool ski_hex_get(const char *digits, size_t count, uint8_t *ret_bytes)
{
    uint64_t other = 0;
    size_t i = 0;

    assert(count % 4 == 0);
#ifdef __SSE2__
    __m128i odd = _mm_setzero_si128();

    for (; count - i >= 16; i += 16) sixteen_get(digits + 2 * i, ret_bytes + i, &odd);
    other = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(odd, _mm_setzero_si128())) ^ 0xffffu;
#endif
    for (; i < count; i += 4) {
        uint64_t eight = ski_be64_get((const uint8_t *)digits + 2 * i), word = word_of(eight);

        other |= digits_of(word) ^ eight;
        for (size_t j = 0; j < 4; j++) ret_bytes[i + j] = (uint8_t)(word >> (24 - 8 * j));
    }
    return !other;
}
