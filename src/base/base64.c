// SPDX-License-Identifier: Apache-2.0
// base64url. Invariant: what ski_base64_read accepts, ski_base64_put gives back byte for byte.
#include "base/base64.h"

#include "base/buf.h"

enum { invalid = 64 };

static unsigned value_of(char character)
{
    if (character >= 'A' && character <= 'Z') return (unsigned)(character - 'A');
    if (character >= 'a' && character <= 'z') return (unsigned)(character - 'a') + 26;
    if (character >= '0' && character <= '9') return (unsigned)(character - '0') + 52;
    if (character == '-') return 62;
    return character == '_' ? 63 : invalid;
}

skald_err ski_base64_read(skald_str text, uint8_t *ret_bytes, size_t *ret_len)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t len = 0;

    if (text.len % 4 == 1) return SKALD_EINVALID;
    for (size_t i = 0; i < text.len; i++) {
        unsigned value = value_of(text.ptr[i]);

        if (value == invalid) return SKALD_EINVALID;
        bits = bits << 6 | value;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        ret_bytes[len++] = (uint8_t)(bits >> held);
        bits &= (1U << held) - 1;
    }
    if (bits) return SKALD_EINVALID;
    *ret_len = len;
    return SKALD_OK;
}

skald_err ski_base64_put(skald_buf *buf, const void *bytes, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *from = bytes;

    SKALD_TRY(ski_buf_room(buf, len / 3 * 4 + (len % 3 ? len % 3 + 1 : 0)));
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)from[i] << 16;
        size_t characters = len - i >= 3 ? 4 : len - i + 1;

        if (characters > 2) bits |= (uint32_t)from[i + 1] << 8;
        if (characters > 3) bits |= from[i + 2];
        for (size_t k = 0; k < characters; k++) {
            SKALD_TRY(ski_buf_byte(buf, alphabet[bits >> (18 - 6 * k) & 63]));
        }
    }
    return SKALD_OK;
}
