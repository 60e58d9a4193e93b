// SPDX-License-Identifier: Apache-2.0
// Walking JSON text that the door accepted, without building anything: a value is a piece of the
// text. This runs for every event, so what lies between brackets and quotes is passed 16 bytes at a
// time.
//
// Invariants:
//   1. Validity is trusted, memory is not: on text the door never saw the answers mean nothing, but
//      nothing is read outside [ptr, ptr + len) and every loop ends.
//   2. Nothing recurses: nested values are passed by counting brackets.
#include "base/json.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    return at;
}

// find_quote gives the next '"' or '\\', or end.
static const char *find_quote(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i quotes = _mm_set1_epi8('"'), escapes = _mm_set1_epi8('\\');

    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, quotes), _mm_cmpeq_epi8(bytes, escapes));
        int mask = _mm_movemask_epi8(hits);
        if (mask) return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && *at != '"' && *at != '\\') at++;
    return at;
}

// skip_string passes the string that opens at at, quotes included.
static const char *skip_string(const char *at, const char *end, bool *ret_escaped)
{
    bool escaped = false;

    for (at = find_quote(at + 1, end); at < end && *at == '\\'; at = find_quote(at + 2, end)) {
        escaped = true;
        if (end - at < 2) {
            at = end;
            break;
        }
    }
    *ret_escaped = escaped;
    return at < end ? at + 1 : end;
}

// nest_scan is how far brackets stand open, and whether at is inside a string or behind its '\\'.
typedef struct nest_scan {
    size_t depth;
    bool in_string, escaped;
} nest_scan;

// nest_bytes goes byte by byte. Gives what is behind the last bracket, or NULL when it is not here.
static const char *nest_bytes(nest_scan *nest, const char *at, const char *end)
{
    for (; at < end; at++) {
        if (nest->escaped) {
            nest->escaped = false;
        } else if (*at == '"') {
            nest->in_string = !nest->in_string;
        } else if (nest->in_string) {
            nest->escaped = *at == '\\';
        } else if (*at == '{' || *at == '[') {
            nest->depth++;
        } else if ((*at == '}' || *at == ']') && --nest->depth == 0) {
            return at + 1;
        }
    }
    return NULL;
}

#ifdef __SSE2__
static unsigned mask_of(__m128i bytes, char byte)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte)));
}

// nest_block is nest_bytes for 16 bytes at once. '[' and ']' differ from '{' and '}' in one bit,
// 0x20: with it set two comparisons do for four brackets. Strings are found without looking at
// their bytes: a byte is inside one when the quotes up to it are odd in number, which four
// exclusive ors count for all 16 together. A block with an escape is left to nest_bytes.
static const char *nest_block(nest_scan *nest, const char *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    unsigned inside = mask_of(bytes, '"');
    unsigned opens = mask_of(folded, '{'), marks = opens | mask_of(folded, '}');

    if (nest->escaped || mask_of(bytes, '\\')) return nest_bytes(nest, at, at + 16);
    inside ^= inside << 1;
    inside ^= inside << 2;
    inside ^= inside << 4;
    inside ^= inside << 8;
    if (nest->in_string) inside = ~inside;
    nest->in_string = inside >> 15 & 1;
    for (marks &= ~inside; marks; marks &= marks - 1) {
        unsigned index = (unsigned)__builtin_ctz(marks);
        if (opens >> index & 1) {
            nest->depth++;
        } else if (--nest->depth == 0) {
            return at + index + 1;
        }
    }
    return NULL;
}
#endif

// skip_nested passes the array or object that opens at at.
static const char *skip_nested(const char *at, const char *end)
{
    nest_scan nest = {0};
    const char *behind = NULL;

#ifdef __SSE2__
    for (; end - at >= 16 && !behind; at += 16) behind = nest_block(&nest, at);
    if (behind) return behind;
#endif
    behind = nest_bytes(&nest, at, end);
    return behind ? behind : end;
}

static const char *skip_word(const char *at, const char *end)
{
    const char *from = at;

    while (at < end && *at != ',' && *at != '}' && *at != ']' && *at > ' ') at++;
    return at == from && at < end ? at + 1 : at;
}

static ski_json_kind kind_by(char first)
{
    switch (first) {
    case '{': return SKI_JSON_OBJECT;
    case '[': return SKI_JSON_ARRAY;
    case '"': return SKI_JSON_STRING;
    case 't': return SKI_JSON_TRUE;
    case 'f': return SKI_JSON_FALSE;
    case 'n': return SKI_JSON_NULL;
    default: return SKI_JSON_NUMBER;
    }
}

ski_json_kind ski_json_kind_of(skald_str text)
{
    const char *at, *end;

    if (!text.len) return SKI_JSON_NULL;
    end = text.ptr + text.len;
    at = skip_space(text.ptr, end);
    return at < end ? kind_by(*at) : SKI_JSON_NULL;
}

static bool walk_ends(ski_json_walk *walk)
{
    walk->rest = (skald_str){walk->rest.ptr + walk->rest.len, 0};
    return false;
}

bool ski_json_next(ski_json_walk *walk, ski_json_item *ret_item)
{
    const char *at, *end, *value;
    ski_json_item item = {0};
    bool escaped;

    if (!walk->rest.len) return false;
    end = walk->rest.ptr + walk->rest.len;
    at = skip_space(walk->rest.ptr, end);
    if (at == end) return walk_ends(walk);
    if (!walk->begun) {
        if (*at != '[' && *at != '{') return walk_ends(walk);
        walk->begun = true;
        walk->array = *at == '[';
    } else if (*at != ',') {
        return walk_ends(walk);
    }
    at = skip_space(at + 1, end);
    if (at == end || *at == '}' || *at == ']') return walk_ends(walk);
    if (!walk->array) {
        const char *key = at;
        if (*at != '"') return walk_ends(walk);
        at = skip_string(at, end, &item.key_escaped);
        if (at - key < 2) return walk_ends(walk);
        item.key = (skald_str){key + 1, (size_t)(at - key) - 2};
        at = skip_space(at, end);
        if (at == end || *at != ':') return walk_ends(walk);
        at = skip_space(at + 1, end);
        if (at == end) return walk_ends(walk);
    }
    value = at;
    item.kind = kind_by(*at);
    if (item.kind == SKI_JSON_STRING) {
        at = skip_string(at, end, &escaped);
        item.text_plain = !escaped && at - value >= 2;
    } else if (item.kind == SKI_JSON_OBJECT || item.kind == SKI_JSON_ARRAY) {
        at = skip_nested(at, end);
    } else {
        at = skip_word(at, end);
    }
    item.value = (skald_str){value, (size_t)(at - value)};
    walk->rest = (skald_str){at, (size_t)(end - at)};
    *ret_item = item;
    return true;
}

static uint32_t hex4(const char *at)
{
    uint32_t code = 0;

    for (int i = 0; i < 4; i++) {
        unsigned char digit = (unsigned char)at[i];
        code = code << 4 | ((digit & 0x0fU) + (digit > '9' ? 9 : 0));
    }
    return code & 0xffff;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

// unescape_one undoes the escape at *at and passes it. What it writes is never longer than what it
// reads.
static char *unescape_one(char *to, const char **at, const char *end)
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *found;
    uint32_t code, low;

    if (end - *at >= 6 && (*at)[1] == 'u') {
        code = hex4(*at + 2);
        *at += 6;
        if (code >= 0xd800 && code <= 0xdfff) {
            low = code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u'
                      ? hex4(*at + 2)
                      : 0;
            if (low < 0xdc00 || low > 0xdfff) return put_utf8(to, 0xfffd);
            *at += 6;
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        return put_utf8(to, code);
    }
    found = end - *at >= 2 ? memchr(plain, (*at)[1], sizeof(plain) - 1) : NULL;
    *to++ = found ? meant[found - plain] : '\\';
    *at += found ? 2 : 1;
    return to;
}

skald_err ski_json_unescape(skald_str string, skald_arena *arena, skald_str *ret_text)
{
    const char *at = string.ptr, *end = string.ptr + string.len;
    char *text, *to;

    if (string.len >= 2 && *at == '"') {
        at++;
        end--;
    }
    if (at == end || !memchr(at, '\\', (size_t)(end - at))) {
        *ret_text = (skald_str){at, (size_t)(end - at)};
        return SKALD_OK;
    }
    text = to = skald_arena_get(arena, (size_t)(end - at));
    if (!text) return SKALD_ENOMEM;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t len = (size_t)((escape ? escape : end) - at);
        memcpy(to, at, len);
        to += len;
        at += len;
        if (escape) to = unescape_one(to, &at, end);
    }
    *ret_text = (skald_str){text, (size_t)(to - text)};
    return SKALD_OK;
}

// number_digits reads [-]digits with nothing behind them. Fails: INVALID.
static skald_err number_digits(skald_str number, bool *ret_negative, uint64_t *ret_digits)
{
    bool negative = number.len > 0 && number.ptr[0] == '-';
    uint64_t digits = 0;

    if (number.len == (size_t)negative) return SKALD_EINVALID;
    for (size_t i = negative; i < number.len; i++) {
        char digit = number.ptr[i];
        if (digit < '0' || digit > '9') return SKALD_EINVALID;
        if (__builtin_mul_overflow(digits, (uint64_t)10, &digits) ||
            __builtin_add_overflow(digits, (uint64_t)(digit - '0'), &digits)) {
            return SKALD_EINVALID;
        }
    }
    *ret_negative = negative;
    *ret_digits = digits;
    return SKALD_OK;
}

skald_err ski_json_u64(skald_str number, uint64_t *ret_number)
{
    bool negative;
    uint64_t digits;

    SKALD_TRY(number_digits(number, &negative, &digits));
    if (negative && digits) return SKALD_EINVALID;
    *ret_number = digits;
    return SKALD_OK;
}

skald_err ski_json_i64(skald_str number, int64_t *ret_number)
{
    bool negative;
    uint64_t digits;

    SKALD_TRY(number_digits(number, &negative, &digits));
    if (digits > (uint64_t)INT64_MAX + negative) return SKALD_EINVALID;
    *ret_number = negative ? (int64_t)(0 - digits) : (int64_t)digits;
    return SKALD_OK;
}
