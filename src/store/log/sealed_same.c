// SPDX-License-Identifier: Apache-2.0
// Comparing two indexes block by block.
#include "store/log/sealed_same.h"
#include "base/alloc.h"
#include "store/log/blocks.h"
#include "store/log/sealed_format.h"
#include <string.h>

skald_err ski_sealed_same(const ski_sealed *one, const ski_sealed *other, bool *ret_same,
                          uint64_t *ret_offset, skald_error *reterr_error)
{
    uint8_t *bytes = ski_alloc((size_t)2 * SKI_BLOCK);
    skald_err err = bytes ? SKALD_OK : SKALD_ENOMEM;
    bool same = true;
    uint64_t offset = 0;

    for (unsigned section = 0; section < SKI_SEALED_SECTIONS && !err && same; section++) {
        const ski_section *a = &one->blocks.sections[section];
        const ski_section *b = &other->blocks.sections[section];

        same = a->blocks == b->blocks && a->bytes == b->bytes && a->entries == b->entries;
        offset = (uint64_t)a->first * SKI_BLOCK;
        for (uint32_t at = 0; at < a->blocks && !err && same; at++) {
            offset = ((uint64_t)a->first + at) * SKI_BLOCK;
            err = ski_sealed_read(one, section, at, 1, bytes, reterr_error);
            if (!err) {
                err = ski_sealed_read(other, section, at, 1, bytes + SKI_BLOCK, reterr_error);
            }
            if (!err) same = memcmp(bytes, bytes + SKI_BLOCK, SKI_BLOCK_ROOM) == 0;
        }
    }
    ski_free(bytes);
    if (err) return err;
    *ret_same = same;
    *ret_offset = offset;
    return SKALD_OK;
}
