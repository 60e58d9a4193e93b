// SPDX-License-Identifier: Apache-2.0
// Entries, one after the other, of a run or of the streams of an index: what merging goes over.
#include "store/log/entries.h"
#include "base/alloc.h"
#include "store/log/blocks.h"
#include "store/log/varint.h"

enum { piece_blocks = 16 }; // read at a time

bool ski_entry_next(const uint8_t **at, const uint8_t *end, const uint8_t **ret_entry,
                    size_t *ret_len)
{
    uint64_t len = 0;

    if (*at == end || !**at) return false;
    if (!ski_varint_get(at, end, &len) || len > (size_t)(end - *at)) {
        *ret_entry = NULL;
        *at = end;
        return true;
    }
    *ret_entry = *at;
    *ret_len = (size_t)len;
    *at += len;
    return true;
}

skald_err ski_entries_begin(ski_entries *entries, ski_entries_read *read, const void *context,
                            uint32_t blocks)
{
    *entries = (ski_entries){.read = read, .context = context, .blocks = blocks};
    entries->bytes = ski_alloc((size_t)piece_blocks * SKI_BLOCK);
    return entries->bytes ? SKALD_OK : SKALD_ENOMEM;
}

void ski_entries_end(ski_entries *entries)
{
    ski_free(entries->bytes);
    entries->bytes = NULL;
}

skald_err ski_entries_next(ski_entries *entries, const uint8_t **ret_entry, size_t *ret_len,
                           skald_error *reterr_error)
{
    for (;;) {
        const uint8_t *block = entries->bytes + (size_t)entries->blocks_at * SKI_BLOCK;
        const uint8_t *at = block + entries->at;
        uint32_t count = entries->blocks - entries->block;

        if (entries->blocks_at < entries->blocks_read &&
            ski_entry_next(&at, block + SKI_BLOCK_ROOM, ret_entry, ret_len)) {
            entries->at = (uint32_t)(at - block);
            return SKALD_OK;
        }
        entries->at = 0;
        if (entries->blocks_at + 1 < entries->blocks_read) {
            entries->blocks_at++;
            continue;
        }
        if (count > piece_blocks) count = piece_blocks;
        entries->blocks_at = entries->blocks_read = 0;
        if (!count) return SKALD_ENOTFOUND;
        SKALD_TRY(
            entries->read(entries->context, entries->block, count, entries->bytes, reterr_error));
        entries->block += count;
        entries->blocks_read = count;
    }
}

uint32_t ski_entries_block(const ski_entries *entries)
{
    return entries->block - entries->blocks_read + entries->blocks_at;
}
