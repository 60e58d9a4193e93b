// SPDX-License-Identifier: Apache-2.0
// A checkpoint as bytes:
//
//   "SKC" version(1)  varint cursor  varint open_count  open_count x varint delta  u32 crc32c
//   (little endian)
//
// A delta is the distance from the position before it, the first from 0. A varint is 7 bits a byte,
// lowest first, the top bit says that more follow. The checksum covers everything before it.
//
// Invariants: positions rise and none is above cursor, so each delta is at least 1.
#include "bus/checkpoint.h"

#include "base/buf.h"
#include "base/hash.h"

#include <string.h>

enum { version_now = 1, header_bytes = 4, crc_bytes = 4, varint_bytes_max = 10 };

static const char magic[3] = {'S', 'K', 'C'};

uint64_t ski_checkpoint_floor(const ski_checkpoint *checkpoint)
{
    return checkpoint->open_count ? checkpoint->open[0] - 1 : checkpoint->cursor;
}

static skald_err varint_put(skald_buf *buf, uint64_t number)
{
    char bytes[varint_bytes_max];
    size_t len = 0;

    do {
        bytes[len++] = (char)((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
        number >>= 7;
    } while (number);
    return skald_buf_put(buf, (skald_str){bytes, len});
}

static skald_err checkpoint_put(const ski_checkpoint *checkpoint, skald_buf *buf)
{
    char header[header_bytes] = {magic[0], magic[1], magic[2], version_now};
    size_t start = buf->len;
    uint64_t before = 0;

    SKALD_TRY(skald_buf_put(buf, (skald_str){header, sizeof(header)}));
    SKALD_TRY(varint_put(buf, checkpoint->cursor));
    SKALD_TRY(varint_put(buf, checkpoint->open_count));
    for (size_t i = 0; i < checkpoint->open_count; i++) {
        SKALD_TRY(varint_put(buf, checkpoint->open[i] - before));
        before = checkpoint->open[i];
    }
    uint32_t crc = ski_crc32c(0, buf->ptr + start, buf->len - start);
    char tail[crc_bytes] = {(char)crc, (char)(crc >> 8), (char)(crc >> 16), (char)(crc >> 24)};

    return skald_buf_put(buf, (skald_str){tail, sizeof(tail)});
}

skald_err ski_checkpoint_encode(const ski_checkpoint *checkpoint, skald_buf *buf)
{
    size_t start = buf->len;
    skald_err err = checkpoint_put(checkpoint, buf);

    if (err) buf->len = start;
    return err;
}

// varint_take reads one number and moves *bytes behind it. False: cut off, too large, or longer
// than need be.
static bool varint_take(skald_str *bytes, uint64_t *ret_number)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes->len && i < varint_bytes_max; i++) {
        uint8_t byte = (uint8_t)bytes->ptr[i];

        if (i == varint_bytes_max - 1 && byte > 1) return false;
        number |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80) continue;
        if (i && !byte) return false;
        *bytes = (skald_str){bytes->ptr + i + 1, bytes->len - i - 1};
        *ret_number = number;
        return true;
    }
    return false;
}

static bool crc_matches(skald_str bytes)
{
    const uint8_t *tail = (const uint8_t *)bytes.ptr + bytes.len - crc_bytes;
    uint32_t stored = (uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 |
                      (uint32_t)tail[3] << 24;

    return stored == ski_crc32c(0, bytes.ptr, bytes.len - crc_bytes);
}

static bool open_take(skald_str *body, uint64_t *open, size_t count, uint64_t cursor)
{
    uint64_t before = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t delta;

        if (!varint_take(body, &delta) || !delta || delta > cursor - before) return false;
        before = open[i] = before + delta;
    }
    return true;
}

skald_err ski_checkpoint_decode(skald_str bytes, skald_arena *arena, ski_checkpoint *ret_checkpoint,
                                skald_error *reterr_error)
{
    uint64_t cursor, count;

    if (bytes.len < header_bytes + 2 + crc_bytes || memcmp(bytes.ptr, magic, sizeof(magic)) != 0)
        return skald_fail(reterr_error, SKALD_ECORRUPT, "the stored position is not one of ours");
    if (!crc_matches(bytes))
        return skald_fail(reterr_error, SKALD_ECORRUPT, "the stored position fails its checksum");
    if (bytes.ptr[3] != version_now)
        return skald_fail(reterr_error, SKALD_EUNSUPPORTED,
                          "the stored position has format %u, this version reads %u",
                          (unsigned)(uint8_t)bytes.ptr[3], (unsigned)version_now);

    skald_str body = {bytes.ptr + header_bytes, bytes.len - header_bytes - crc_bytes};

    if (!varint_take(&body, &cursor) || !varint_take(&body, &count) ||
        count > SKI_CHECKPOINT_OPEN_MAX || count > body.len)
        return skald_fail(reterr_error, SKALD_ECORRUPT, "the stored position is cut off");

    uint64_t *open = skald_arena_get(arena, (size_t)count * sizeof(*open) + sizeof(*open));

    if (!open) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    if (!open_take(&body, open, (size_t)count, cursor) || body.len)
        return skald_fail(reterr_error, SKALD_ECORRUPT, "the stored position does not add up");
    *ret_checkpoint = (ski_checkpoint){cursor, open, (size_t)count};
    return SKALD_OK;
}
