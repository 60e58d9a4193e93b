// SPDX-License-Identifier: Apache-2.0
// Borrowed text. Bytes are compared as bytes and letters folded as ASCII: no locale is ever asked.
// "Not given" is as long as empty text and equal to it; who cares for the difference looks at ptr.
#include "base/str.h"

#include "base/alloc.h"

#include <string.h>

skald_str skald_str_of(const char *text)
{
    return text ? ski_str(text, strlen(text)) : ski_str(NULL, 0);
}

bool skald_str_equal(skald_str a, skald_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool ski_str_begins(skald_str text, skald_str prefix)
{
    return text.len >= prefix.len && skald_str_equal(ski_str(text.ptr, prefix.len), prefix);
}

static unsigned char byte_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte - 'A' + 'a') : (unsigned char)byte;
}

// word_lower folds the letters among eight bytes.
static uint64_t word_lower(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t low = word & ~tops; // no sum of a byte reaches the next
    uint64_t from_a = low + ones * (0x80 - 'A'), beyond_z = low + ones * (0x7f - 'Z');

    return word | (from_a & ~beyond_z & ~word & tops) >> 2; // 0x80 becomes 0x20
}

static bool words_equal(const char *a, const char *b)
{
    uint64_t one, two;

    memcpy(&one, a, sizeof one);
    memcpy(&two, b, sizeof two);
    return one == two || word_lower(one) == word_lower(two);
}

bool ski_str_equal_nocase(skald_str a, skald_str b)
{
    enum { word = sizeof(uint64_t) };

    if (a.len != b.len) return false;
    if (a.len >= word) { // the last word may overlap the one before it
        for (size_t i = 0; i + word < a.len; i += word)
            if (!words_equal(a.ptr + i, b.ptr + i)) return false;
        return words_equal(a.ptr + a.len - word, b.ptr + b.len - word);
    }
    for (size_t i = 0; i < a.len; i++) {
        if (a.ptr[i] != b.ptr[i] && byte_lower(a.ptr[i]) != byte_lower(b.ptr[i])) return false;
    }
    return true;
}

int ski_str_compare(skald_str a, skald_str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static bool byte_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

skald_str ski_str_trim(skald_str text)
{
    while (text.len && byte_blank(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len && byte_blank(text.ptr[text.len - 1])) text.len--;
    return text;
}

skald_str ski_str_cut(skald_str text, char separator, skald_str *ret_rest)
{
    const char *at = text.len ? memchr(text.ptr, separator, text.len) : NULL;

    if (!at) {
        *ret_rest = ski_str(NULL, 0);
        return text;
    }
    size_t len = (size_t)(at - text.ptr);

    *ret_rest = ski_str(at + 1, text.len - len - 1);
    return ski_str(text.ptr, len);
}

skald_err ski_str_u64(skald_str text, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (!text.len) return SKALD_EINVALID;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return SKALD_EINVALID;
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.ptr[i] - '0'), &number))
            return SKALD_EINVALID;
    }
    *ret_number = number;
    return SKALD_OK;
}

// ascii_len is how many leading bytes are ASCII, counted in eights: most text is nothing else.
static size_t ascii_len(const unsigned char *bytes, size_t len)
{
    size_t at = 0;

    for (; len - at >= 8; at += 8) {
        uint64_t eight;

        memcpy(&eight, bytes + at, sizeof eight);
        if (eight & UINT64_C(0x8080808080808080)) break;
    }
    return at;
}

// char_len is the length of the UTF-8 character that bytes begins with, 0 if it is not a valid one.
// The second byte carries all of RFC 3629's exceptions (overlong forms, surrogates, the end at
// U+10FFFF); any further one is only 80..BF.
static size_t char_len(const unsigned char *bytes, size_t len)
{
    unsigned char first = bytes[0], low = 0x80, high = 0xbf;
    size_t need;

    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    need = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (len < need || bytes[1] < low || bytes[1] > high) return 0;
    for (size_t i = 2; i < need; i++) {
        if ((bytes[i] & 0xc0) != 0x80) return 0;
    }
    return need;
}

size_t ski_str_utf8_char(skald_str text)
{
    return text.len ? char_len((const unsigned char *)text.ptr, text.len) : 0;
}

bool ski_str_utf8(skald_str text)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    size_t at = 0;

    while (at < text.len) {
        at += ascii_len(bytes + at, text.len - at);
        if (at == text.len) break;

        size_t len = char_len(bytes + at, text.len - at);

        if (!len) return false;
        at += len;
    }
    return true;
}

size_t ski_str_utf8_cut(skald_str text, size_t len_max)
{
    if (text.len <= len_max) return text.len;
    // At most three bytes continue a character; more of them are no UTF-8 and are cut anywhere.
    for (size_t back = 0; back < 4 && back <= len_max; back++) {
        if (((unsigned char)text.ptr[len_max - back] & 0xc0) != 0x80) return len_max - back;
    }
    return len_max;
}

char *ski_str_terminated(skald_str text)
{
    char *copy = ski_alloc(text.len + 1);

    if (!copy) return NULL;
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}
