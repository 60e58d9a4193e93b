// SPDX-License-Identifier: Apache-2.0
#include "bus/bytes.h"

#include "base/buf.h"
#include "base/hash.h"

#include <string.h>

enum { header_bytes = 4, crc_bytes = 4, varint_bytes_max = 10 };

skald_err ski_bytes_begin(skald_buf *buf, const char magic[3], uint8_t version, size_t *ret_start)
{
    char header[header_bytes] = {magic[0], magic[1], magic[2], (char)version};

    *ret_start = buf->len;
    return skald_buf_put(buf, (skald_str){header, sizeof(header)});
}

skald_err ski_bytes_number(skald_buf *buf, uint64_t number)
{
    char bytes[varint_bytes_max];
    size_t len = 0;

    do {
        bytes[len++] = (char)((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
        number >>= 7;
    } while (number);
    return skald_buf_put(buf, (skald_str){bytes, len});
}

skald_err ski_bytes_text(skald_buf *buf, skald_str text)
{
    SKALD_TRY(ski_bytes_number(buf, text.len));
    return text.len ? skald_buf_put(buf, text) : SKALD_OK;
}

skald_err ski_bytes_end(skald_buf *buf, size_t start)
{
    uint32_t crc = ski_crc32c(0, buf->ptr + start, buf->len - start);
    char tail[crc_bytes] = {(char)crc, (char)(crc >> 8), (char)(crc >> 16), (char)(crc >> 24)};

    return skald_buf_put(buf, (skald_str){tail, sizeof(tail)});
}

static bool crc_matches(skald_str bytes)
{
    const uint8_t *tail = (const uint8_t *)bytes.ptr + bytes.len - crc_bytes;
    uint32_t stored = (uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 |
                      (uint32_t)tail[3] << 24;

    return stored == ski_crc32c(0, bytes.ptr, bytes.len - crc_bytes);
}

skald_err ski_bytes_open(skald_str bytes, const char magic[3], uint8_t version, skald_str *ret_body,
                         skald_error *reterr_error)
{
    if (bytes.len < SKI_BYTES_FRAME || memcmp(bytes.ptr, magic, 3) != 0)
        return skald_fail(reterr_error, SKALD_ECORRUPT, "the stored value is not one of ours");
    if (!crc_matches(bytes))
        return skald_fail(reterr_error, SKALD_ECORRUPT, "the stored value fails its checksum");
    if ((uint8_t)bytes.ptr[3] != version)
        return skald_fail(reterr_error, SKALD_EUNSUPPORTED,
                          "the stored value has format %u, this version reads %u",
                          (unsigned)(uint8_t)bytes.ptr[3], (unsigned)version);
    *ret_body = (skald_str){bytes.ptr + header_bytes, bytes.len - SKI_BYTES_FRAME};
    return SKALD_OK;
}

bool ski_bytes_take_number(skald_str *body, uint64_t *ret_number)
{
    uint64_t number = 0;

    for (size_t i = 0; i < body->len && i < varint_bytes_max; i++) {
        uint8_t byte = (uint8_t)body->ptr[i];

        if (i == varint_bytes_max - 1 && byte > 1) return false;
        number |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80) continue;
        if (i && !byte) return false;
        *body = (skald_str){body->ptr + i + 1, body->len - i - 1};
        *ret_number = number;
        return true;
    }
    return false;
}

bool ski_bytes_take_text(skald_str *body, skald_str *ret_text)
{
    uint64_t len;
    skald_str rest = *body;

    if (!ski_bytes_take_number(&rest, &len) || len > rest.len) return false;
    *ret_text = (skald_str){rest.ptr, (size_t)len};
    *body = (skald_str){rest.ptr + len, rest.len - (size_t)len};
    return true;
}
