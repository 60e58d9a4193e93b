// SPDX-License-Identifier: Apache-2.0
// Writing JSON: strings with their escapes, and texts without their white space.
//
// Invariants:
//   1. What is written is valid UTF-8 whatever was given: a string may come from C code.
//   2. On failure the buffer is as it was.
#include "base/buf.h"
#include "base/json.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

// skip_plain passes ASCII that stands for itself in a string.
static const char *skip_plain(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i quotes = _mm_set1_epi8('"'), escapes = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' '); // signed: bytes from 0x80 are below it too

    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, quotes), _mm_cmpeq_epi8(bytes, escapes));
        int mask = _mm_movemask_epi8(_mm_or_si128(hits, _mm_cmplt_epi8(bytes, space)));
        if (mask) return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && (unsigned char)*at >= ' ' && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\') {
        at++;
    }
    return at;
}

// utf8_len is the length of the character at at, 0 when it is not valid UTF-8.
static size_t utf8_len(const char *text, const char *end)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t left = (size_t)(end - text);
    unsigned char low = 0x80, high = 0xbf;
    size_t len;

    if (at[0] < 0xc2 || at[0] > 0xf4) return 0;
    len = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (left < len) return 0;
    if (at[0] == 0xe0) low = 0xa0;  // no overlong forms
    if (at[0] == 0xed) high = 0x9f; // no surrogates
    if (at[0] == 0xf0) low = 0x90;
    if (at[0] == 0xf4) high = 0x8f; // nothing above U+10FFFF
    if (at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    return len;
}

// skip_whole passes everything that can be copied as it is.
static const char *skip_whole(const char *at, const char *end)
{
    for (;;) {
        at = skip_plain(at, end);
        size_t len = at < end && (unsigned char)*at >= 0x80 ? utf8_len(at, end) : 0;
        if (!len) return at;
        at += len;
    }
}

static skald_err put_escape(skald_buf *buf, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    char unicode[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};

    switch (byte) {
    case '"': return skald_buf_put(buf, SKALD_STR("\\\""));
    case '\\': return skald_buf_put(buf, SKALD_STR("\\\\"));
    case '\b': return skald_buf_put(buf, SKALD_STR("\\b"));
    case '\f': return skald_buf_put(buf, SKALD_STR("\\f"));
    case '\n': return skald_buf_put(buf, SKALD_STR("\\n"));
    case '\r': return skald_buf_put(buf, SKALD_STR("\\r"));
    case '\t': return skald_buf_put(buf, SKALD_STR("\\t"));
    default: break;
    }
    if (byte >= 0x80) return skald_buf_put(buf, SKALD_STR("\xef\xbf\xbd"));
    return skald_buf_put(buf, (skald_str){unicode, sizeof(unicode)});
}

static skald_err put_pieces(skald_buf *buf, const char *at, const char *end)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\"")));
    while (at < end) {
        const char *from = at;
        at = skip_whole(at, end);
        if (at > from) SKALD_TRY(skald_buf_put(buf, (skald_str){from, (size_t)(at - from)}));
        if (at < end) SKALD_TRY(put_escape(buf, (unsigned char)*at++));
    }
    return skald_buf_put(buf, SKALD_STR("\""));
}

skald_err ski_json_put_string(skald_buf *buf, skald_str text)
{
    const char *end;
    size_t len_before = buf->len;
    skald_err err;

    if (!text.ptr) return skald_buf_put(buf, SKALD_STR("null"));
    SKALD_TRY(ski_buf_room(buf, text.len + 2)); // it cannot be less
    end = text.ptr + text.len;
    if (skip_whole(text.ptr, end) == end) {
        buf->ptr[buf->len] = '"';
        if (text.len) memcpy(buf->ptr + buf->len + 1, text.ptr, text.len);
        buf->ptr[buf->len + text.len + 1] = '"';
        buf->len += text.len + 2;
        return SKALD_OK;
    }
    err = put_pieces(buf, text.ptr, end);
    if (err) buf->len = len_before;
    return err;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

// skip_token passes a string with its quotes, or everything up to the next string or white space.
static const char *skip_token(const char *at, const char *end)
{
    if (*at != '"') {
        while (at < end && *at != '"' && !is_space(*at)) at++;
        return at;
    }
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && end - at > 1) at++;
    }
    return at < end ? at + 1 : end;
}

skald_err ski_json_minify(skald_buf *buf, skald_str text)
{
    const char *at = text.ptr, *end;
    size_t len_before = buf->len;
    skald_err err = SKALD_OK;

    if (!text.len) return SKALD_OK;
    end = at + text.len;
    while (at < end && !err) {
        const char *from = at;
        if (is_space(*at)) {
            at++;
            continue;
        }
        at = skip_token(at, end);
        err = skald_buf_put(buf, (skald_str){from, (size_t)(at - from)});
    }
    if (err) buf->len = len_before;
    return err;
}
