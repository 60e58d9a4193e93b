// SPDX-License-Identifier: Apache-2.0
// A checkpoint as bytes:
//
//   "SKC" version 1 (bytes.h): cursor  open_count  open_count x delta
//
// A delta is the distance from the position before it, the first from 0.
//
// Invariants: positions rise and none is above cursor, so each delta is at least 1.
#include "bus/checkpoint.h"

#include "bus/bytes.h"

enum { version_now = 1 };

static const char magic[3] = {'S', 'K', 'C'};

uint64_t ski_checkpoint_floor(const ski_checkpoint *checkpoint)
{
    return checkpoint->open_count ? checkpoint->open[0] - 1 : checkpoint->cursor;
}

static skald_err checkpoint_put(const ski_checkpoint *checkpoint, skald_buf *buf)
{
    uint64_t before = 0;
    size_t start;

    SKALD_TRY(ski_bytes_begin(buf, magic, version_now, &start));
    SKALD_TRY(ski_bytes_number(buf, checkpoint->cursor));
    SKALD_TRY(ski_bytes_number(buf, checkpoint->open_count));
    for (size_t i = 0; i < checkpoint->open_count; i++) {
        SKALD_TRY(ski_bytes_number(buf, checkpoint->open[i] - before));
        before = checkpoint->open[i];
    }
    return ski_bytes_end(buf, start);
}

skald_err ski_checkpoint_encode(const ski_checkpoint *checkpoint, skald_buf *buf)
{
    size_t start = buf->len;
    skald_err err = checkpoint_put(checkpoint, buf);

    if (err) buf->len = start;
    return err;
}

static bool open_take(skald_str *body, uint64_t *open, size_t count, uint64_t cursor)
{
    uint64_t before = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t delta;

        if (!ski_bytes_take_number(body, &delta) || !delta || delta > cursor - before) return false;
        before = open[i] = before + delta;
    }
    return true;
}

skald_err ski_checkpoint_decode(skald_str bytes, skald_arena *arena, ski_checkpoint *ret_checkpoint,
                                skald_error *reterr_error)
{
    uint64_t cursor, count;
    skald_str body;

    SKALD_TRY(ski_bytes_open(bytes, magic, version_now, &body, reterr_error));
    if (!ski_bytes_take_number(&body, &cursor) || !ski_bytes_take_number(&body, &count) ||
        count > SKI_CHECKPOINT_OPEN_MAX || count > body.len)
        return skald_fail(reterr_error, SKALD_ECORRUPT, "the stored position is cut off");

    uint64_t *open = skald_arena_get(arena, (size_t)count * sizeof(*open) + sizeof(*open));

    if (!open) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    if (!open_take(&body, open, (size_t)count, cursor) || body.len)
        return skald_fail(reterr_error, SKALD_ECORRUPT, "the stored position does not add up");
    *ret_checkpoint = (ski_checkpoint){cursor, open, (size_t)count};
    return SKALD_OK;
}
