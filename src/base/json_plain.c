// SPDX-License-Identifier: Apache-2.0
// The quick way: most data are a few short strings and numbers. Setting up the parser for them
// costs more than reading them once, eight bytes of a string at a time.
//
// Invariants:
//   1. What it says yes to is valid JSON by RFC 8259. What is rare (\u, exponents, numbers of many
//      digits, deep nesting) and what is wrong is left to the parser, which knows better and can
//      say where.
//   2. at never passes end, and a byte is read only before end. What passes something returns
//      where it ends; NULL: it is not plain.
#include "base/json_plain.h"

#include "base/str.h"

#include <string.h>

enum {
    levels_max = 64, // bits in objects
    digits_max = 18, // every integer of so many fits in 64 bits
};

// seen is the byte at at; 0, which stands nowhere in what is plain, at the end.
static inline char seen(const char *at, const char *end)
{
    return at < end ? *at : 0;
}

static inline const char *space_pass(const char *at, const char *end)
{
    while (at < end && *at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    return at;
}

static inline uint64_t word_at(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

// ordinary_pass passes what needs no look in a string. In special the top bit of the first byte
// that does is the lowest one set: a quote, a backslash, a control character, or not ASCII.
static inline const char *ordinary_pass(const char *at, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;

    for (; end - at >= 8; at += 8) {
        uint64_t word = word_at(at);
        uint64_t quote = (word ^ ones * '"') - ones, slash = (word ^ ones * '\\') - ones;
        uint64_t special = (quote | slash | (word - ones * ' ') | word) & tops;

        if (special) return at + __builtin_ctzll(special) / 8;
    }
    while (at < end && (unsigned char)*at >= ' ' && *at != '"' && *at != '\\' &&
           (unsigned char)*at < 0x80)
        at++;
    return at;
}

// unusual_pass passes one escape, or one character of several bytes.
static const char *unusual_pass(const char *at, const char *end)
{
    size_t len;

    if (*at == '\\') return end - at >= 2 && at[1] && strchr("\"\\/bfnrt", at[1]) ? at + 2 : NULL;
    if ((unsigned char)*at < 0x80) return NULL; // a control character
    len = ski_str_utf8_char((skald_str){at, (size_t)(end - at)});
    return len ? at + len : NULL;
}

static inline const char *string_pass(const char *at, const char *end)
{
    for (at++;;) {
        at = ordinary_pass(at, end);
        if (at == end) return NULL;
        if (*at == '"') return at + 1;
        at = unusual_pass(at, end);
        if (!at) return NULL;
    }
}

static inline const char *digits_pass(const char *at, const char *end)
{
    const char *begin = at;

    while (at < end && (unsigned char)(*at - '0') < 10) at++;
    return at > begin && at - begin <= digits_max ? at : NULL;
}

static inline const char *number_pass(const char *at, const char *end)
{
    if (seen(at, end) == '-') at++;
    at = seen(at, end) == '0' ? at + 1 : digits_pass(at, end);
    if (at && seen(at, end) == '.') at = digits_pass(at + 1, end);
    return at; // a digit or an exponent that follows is nothing that may
}

static inline const char *word_pass(const char *at, const char *end, const char *word, size_t len)
{
    return (size_t)(end - at) >= len && memcmp(at, word, len) == 0 ? at + len : NULL;
}

// simple_pass passes a value that is no list and no object.
static inline const char *simple_pass(const char *at, const char *end)
{
    switch (seen(at, end)) {
    case '"': return string_pass(at, end);
    case 't': return word_pass(at, end, "true", 4);
    case 'f': return word_pass(at, end, "false", 5);
    case 'n': return word_pass(at, end, "null", 4);
    default: return number_pass(at, end);
    }
}

static inline const char *name_pass(const char *at, const char *end)
{
    if (seen(at, end) != '"') return NULL;
    at = string_pass(at, end);
    if (!at) return NULL;
    at = space_pass(at, end);
    return seen(at, end) == ':' ? space_pass(at + 1, end) : NULL;
}

bool ski_json_plain(skald_str text)
{
    const char *end = text.ptr + text.len, *at = space_pass(text.ptr, end);
    uint64_t objects = 0; // a bit for each open level, the innermost lowest: it is an object
    unsigned levels = 0;

    for (;;) {
        if (levels && objects & 1 && !(at = name_pass(at, end))) return false;
        char first = seen(at, end);

        if (first == '{' || first == '[') {
            if (levels++ == levels_max) return false;
            objects = objects << 1 | (first == '{');
            at = space_pass(at + 1, end);
            if (seen(at, end) != first + 2) continue; // '}' and ']' are two further
        } else {
            at = simple_pass(at, end);
            if (!at) return false;
            at = space_pass(at, end);
        }
        for (; levels && seen(at, end) == (objects & 1 ? '}' : ']'); levels--, objects >>= 1)
            at = space_pass(at + 1, end);
        if (!levels) return at == end;
        if (seen(at, end) != ',') return false;
        at = space_pass(at + 1, end);
    }
}
