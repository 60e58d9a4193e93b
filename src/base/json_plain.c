// SPDX-License-Identifier: Apache-2.0
// The quick way: most data are a few short strings and numbers. Setting up the parser for them
// costs more than reading them once. Where all is ASCII, and nothing escaped, quotes are found
// before anything else: so no string waits for the end of the one before it.
//
// Invariants:
//   1. What it says yes to is valid JSON by RFC 8259. What is rare (\u, exponents, numbers of many
//      digits, deep nesting) and what is wrong is left to the parser, which knows better and can
//      say where.
//   2. at never passes end, and a byte is read only before end. What passes something returns
//      where it ends; NULL: it is not plain.
//   3. In brackets the last byte is a closing one, which only who closes passes: all else need not
//      look where the end is.
#include "base/json_plain.h"

#include "base/str.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    quote_words = SKI_JSON_PLAIN_BYTES_MAX / 64 + 1,
    levels_max = 64, // bits in objects
    digits_max = 18, // every integer of so many fits in 64 bits
};

static inline bool is_space(char byte)
{
    return byte <= ' ' && (byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r');
}

static inline const char *space_pass(const char *at)
{
    while (is_space(*at)) at++;
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

// A text while it is read.
typedef struct reading {
    const char *begin, *end;
    const uint64_t *quotes; // of 64 bytes from begin on a bit for each; NULL: they are not known
    uint64_t bits;          // of these, that were not passed
} reading;

#ifdef __SSE2__
// bits_of gives the quotes of 16 bytes, and tells odd of what is not simple.
static inline uint64_t bits_of(const char *at, __m128i *odd)
{
    __m128i bytes = _mm_loadu_si128((const void *)at);
    __m128i below = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')); // and what is not ASCII: signed
    __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));

    *odd = _mm_or_si128(*odd, _mm_or_si128(below, slash));
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
}

// quotes_find says where the quotes of a text are. False: not all is simple, or it is very short.
static inline bool quotes_find(skald_str text, uint64_t ret_quotes[quote_words])
{
    __m128i odd = _mm_setzero_si128();
    const char *at = text.ptr;
    size_t left = text.len;

    if (left < 16) return false;
    for (; left >= 64; at += 64, left -= 64) {
        uint64_t low = bits_of(at, &odd) | bits_of(at + 16, &odd) << 16;

        *ret_quotes++ = low | bits_of(at + 32, &odd) << 32 | bits_of(at + 48, &odd) << 48;
    }
    *ret_quotes = 0;
    for (unsigned shift = 0; left; shift += 16) {
        size_t more = left < 16 ? left : 16, again = 16 - more; // bytes that were seen before

        *ret_quotes |= bits_of(at - again, &odd) >> again << shift;
        at += more;
        left -= more;
    }
    return !_mm_movemask_epi8(odd);
}
#else
static bool quotes_find(skald_str text, uint64_t ret_quotes[quote_words])
{
    (void)text;
    (void)ret_quotes;
    return false;
}
#endif

static const char *string_search(const char *at, const char *end)
{
    for (at++;;) {
        at = ordinary_pass(at, end);
        if (at == end) return NULL;
        if (*at == '"') return at + 1;
        at = unusual_pass(at, end);
        if (!at) return NULL;
    }
}

// string_pass: at is a quote, the first that was not passed.
static inline const char *string_pass(reading *in, const char *at)
{
    if (!in->quotes) return string_search(at, in->end);
    uint64_t behind = in->bits & (in->bits - 1); // this one

    if (!behind) { // mostly both are among the same 64 bytes
        bool passed = in->bits != 0;

        do {
            in->begin += 64;
            if (in->begin >= in->end) return NULL;
            behind = *++in->quotes;
            if (passed || !behind) continue;
            behind &= behind - 1;
            passed = true;
        } while (!behind);
    }
    in->bits = behind & (behind - 1);
    return in->begin + 1 + (size_t)__builtin_ctzll(behind);
}

static inline const char *digits_pass(const char *at)
{
    const char *begin = at;

    while ((unsigned char)(*at - '0') < 10) at++;
    return at > begin && at - begin <= digits_max ? at : NULL;
}

static inline const char *number_pass(const char *at)
{
    at += *at == '-';
    at = *at == '0' ? at + 1 : digits_pass(at);
    if (at && *at == '.') at = digits_pass(at + 1);
    return at; // a digit or an exponent that follows is nothing that may
}

static inline const char *word_pass(const char *at, const char *end, const char *word, size_t len)
{
    return (size_t)(end - at) > len && memcmp(at, word, len) == 0 ? at + len : NULL;
}

// simple_pass passes a value that is no list, no object and no string.
static inline const char *simple_pass(const char *at, const char *end)
{
    switch (*at) {
    case 't': return word_pass(at, end, "true", 4);
    case 'f': return word_pass(at, end, "false", 5);
    case 'n': return word_pass(at, end, "null", 4);
    default: return number_pass(at);
    }
}

static inline const char *name_pass(reading *in, const char *at)
{
    if (*at != '"') return NULL;
    at = string_pass(in, at);
    if (!at) return NULL;
    if (*at != ':') at = space_pass(at); // mostly there is none
    return *at == ':' ? space_pass(at + 1) : NULL;
}

// nested_plain: the text begins with an opening bracket and ends with a closing one.
static inline bool nested_plain(reading in)
{
    const char *at = in.begin;
    uint64_t objects = 0; // a bit for each open level, the innermost lowest: it is an object
    unsigned levels = 0;

    for (;;) {
        if (objects & 1 && !(at = name_pass(&in, at))) return false;
        char first = *at;

        if (first == '"') {
            at = string_pass(&in, at);
        } else if (first == '{' || first == '[') {
            if (levels++ == levels_max) return false;
            objects = objects << 1 | (first == '{');
            at = space_pass(at + 1);
            if (*at != first + 2) continue; // '}' and ']' are two further
        } else {
            at = simple_pass(at, in.end);
        }
        if (!at) return false;
        if (*at != ',') at = space_pass(at);
        while (*at != ',') {
            if (*at != (objects & 1 ? '}' : ']')) return false;
            objects >>= 1;
            if (++at == in.end) return levels == 1;
            if (!--levels) return false;
            at = space_pass(at);
        }
        at = space_pass(at + 1);
    }
}

// scalar_plain: no list, no object.
static bool scalar_plain(skald_str text)
{
    char closed[digits_max * 2 + 4]; // the longest number, and a byte that ends it

    if (!text.len) return false;
    if (*text.ptr == '"')
        return string_search(text.ptr, text.ptr + text.len) == text.ptr + text.len;
    if (text.len >= sizeof(closed)) return false;
    memcpy(closed, text.ptr, text.len);
    closed[text.len] = ']';
    return simple_pass(closed, closed + text.len + 1) == closed + text.len;
}

bool ski_json_plain(skald_str text)
{
    uint64_t quotes[quote_words];

    while (text.len && is_space(*text.ptr)) text = (skald_str){text.ptr + 1, text.len - 1};
    while (text.len && is_space(text.ptr[text.len - 1])) text.len--;
    if (text.len < 2 || (*text.ptr != '{' && *text.ptr != '[')) return scalar_plain(text);
    char last = text.ptr[text.len - 1];
    reading in = {.begin = text.ptr, .end = text.ptr + text.len};

    if ((last != '}' && last != ']') || text.len > SKI_JSON_PLAIN_BYTES_MAX) return false;
    if (!quotes_find(text, quotes)) return nested_plain(in);
    in.quotes = quotes;
    in.bits = quotes[0];
    return nested_plain(in);
}
