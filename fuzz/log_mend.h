// SPDX-License-Identifier: Apache-2.0
// log_mend.h - makes the checksums of what a fuzzer has changed right again, and the fields that
// each file has of itself, so that it gets behind them: for the fuzzers of the log driver.
#ifndef LOG_MEND_H
#define LOG_MEND_H

#include "base/hash.h"
#include "store/log/blocks.h"
#include "store/log/bytes.h"
#include "store/log/frame.h"
#include "store/log/segment.h"

#include <string.h>

enum { mend_frame_max = 65536, mend_magic_bytes = 8 };

// mend_records: of the records in a body, as far as their lengths go.
static inline void mend_records(uint8_t *body, size_t len)
{
    for (size_t at = 0; at + SKI_RECORD_FIXED <= len;) {
        uint8_t *record = body + at;
        size_t record_len = ski_get_u32(record);
        uint32_t crc = 0;

        if (record_len < SKI_RECORD_FIXED || record_len > len - at) return;
        crc = ski_crc32c(0, record, 8);
        crc = ski_crc32c(crc, record + 12, 4);
        crc = ski_crc32c(crc, record + 48, record_len - 48);
        ski_put_u32(record + 8, ski_crc32c(crc, record + 16, 32));
        at += record_len;
    }
}

// mend_frames makes frames of what is behind a segment's header, one behind the other, as far as
// their lengths go; begun with chain, gives what the chain ends in.
static inline uint32_t mend_frames(uint8_t *bytes, size_t size, uint32_t no, uint32_t seed,
                                   uint32_t chain)
{
    for (size_t at = SKI_SEGMENT_HEADER; at + SKI_FRAME_BYTES_MIN <= size;) {
        uint8_t *frame = bytes + at;
        size_t total = ski_get_u32(frame + 4) % mend_frame_max & ~(size_t)7;
        size_t room = total - SKI_FRAME_BYTES_MIN, body = ski_get_u32(frame + 56);

        if (total < SKI_FRAME_BYTES_MIN || total > size - at) break;
        if (body > room || room - body >= 8) body = room;
        mend_records(frame + SKI_FRAME_HEADER, body);
        ski_put_u32(frame, SKI_FRAME_MAGIC);
        ski_put_u32(frame + 4, (uint32_t)total);
        ski_put_u32(frame + 44, chain);
        ski_put_u32(frame + 48, no);
        ski_put_u32(frame + 56, (uint32_t)body);
        ski_put_u32(frame + 60, ski_crc32c(seed, frame, 60));
        chain = ski_crc32c(0, frame, 60);
        chain = ski_crc32c(chain, frame + 64, total - 8 - 64);
        ski_put_u32(frame + total - 8, chain);
        ski_put_u32(frame + total - 4, (uint32_t)total);
        at += total;
    }
    return chain;
}

// mend_blocks: of an index, a run or a state file, and what its foot says of itself.
static inline void mend_blocks(uint8_t *bytes, uint32_t blocks, const ski_blocks_id *of)
{
    uint8_t id[36], number[4];
    uint8_t *foot = bytes + (size_t)(blocks - 1) * SKI_BLOCK;
    uint32_t seed = 0;

    memcpy(id, of->magic, mend_magic_bytes);
    memcpy(id + 8, of->store.bytes, sizeof of->store.bytes);
    ski_put_u64(id + 24, of->number);
    ski_put_u32(id + 32, of->generation);
    seed = ski_crc32c(0, id, sizeof id);
    memcpy(foot, of->magic, mend_magic_bytes);
    memcpy(foot + 16, of->store.bytes, sizeof of->store.bytes);
    ski_put_u64(foot + 32, of->number);
    ski_put_u32(foot + 40, of->generation);
    ski_put_u32(foot + 44, blocks);
    for (uint32_t i = 0; i < blocks; i++) {
        uint8_t *block = bytes + (size_t)i * SKI_BLOCK;

        ski_put_u32(number, i);
        ski_put_u32(block + SKI_BLOCK_ROOM,
                    ski_crc32c(ski_crc32c(seed, number, 4), block, SKI_BLOCK_ROOM));
    }
}

#endif
