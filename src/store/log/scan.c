// SPDX-License-Identifier: Apache-2.0
// The scan. What it holds against a frame, in order: magic, header checksum (salted), segment
// number, length within the file, body checksum; and, unless damage lies before it: chain,
// position, incarnation, time.
//
// Invariants:
//   1. Nothing of a frame is used before its checksums were right, but total_len, which hdr_crc
//   covers. Of frames that are lent the writer has made the other one a moment ago.
//   2. What the device cannot read counts as zeros, and unreadable is set: it is never mistaken for
//      an end of the log by who looks at that.
#include "store/log/scan.h"
#include "base/alloc.h"
#include "os/memory.h"
#include "store/log/bytes.h"
#include <assert.h>
#include <string.h>

enum { window_bytes = SKI_MEMORY_HUGE };

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t pages_up(uint64_t bytes)
{
    return (bytes + SKI_DIRECT_BYTES - 1) / SKI_DIRECT_BYTES * SKI_DIRECT_BYTES;
}

// window_pieces reads what it can, page by page, and takes zeros for the rest.
static void window_pieces(ski_scan *scan, uint64_t at, size_t len)
{
    memset(scan->window, 0, (size_t)pages_up(len));
    for (size_t done = 0; done < len; done += SKI_DIRECT_BYTES) {
        size_t got = 0;

        if (scan->kernel->pread(scan->kernel->context, scan->file, scan->window + done,
                                SKI_DIRECT_BYTES, at + done, &got)) {
            memset(scan->window + done, 0, SKI_DIRECT_BYTES);
            scan->unreadable = true;
        }
    }
}

// window_read reads so many bytes from a page's beginning on, in whole pages.
static skald_err window_read(ski_scan *scan, uint64_t at, size_t len)
{
    size_t whole = (size_t)pages_up(len), got = 0;

    if (whole > scan->window_size) {
        bool huge = whole >= SKI_MEMORY_HUGE; // the kernel looks up every page that it reads into
        uint8_t *window = ski_alloc_aligned(huge ? SKI_MEMORY_HUGE : SKI_DIRECT_BYTES, whole);

        if (!window) return SKALD_ENOMEM;
        if (huge) ski_memory_huge(window, whole);
        ski_free(scan->window);
        scan->window = window;
        scan->window_size = whole;
    }
    scan->window_len = 0;
    if (scan->kernel->pread(scan->kernel->context, scan->file, scan->window, whole, at, &got)) {
        window_pieces(scan, at, len);
    } else if (got < len) { // the size says that there is more
        memset(scan->window + got, 0, len - got);
        scan->unreadable = true;
    }
    scan->window_at = at;
    scan->window_len = len;
    return SKALD_OK;
}

// window_get gives len bytes of the file at an offset; at + len <= limit.
static skald_err window_get(ski_scan *scan, uint64_t at, size_t len, const uint8_t **ret_bytes)
{
    uint64_t from = at - at % SKI_DIRECT_BYTES, to = at + len;

    assert(to <= scan->limit);
    if (scan->lent) {
        assert(at >= scan->window_at);
        *ret_bytes = scan->lent + (at - scan->window_at);
        return SKALD_OK;
    }
    if (at < scan->window_at || to > scan->window_at + scan->window_len) {
        if (to < from + window_bytes) to = from + window_bytes;
        SKALD_TRY(window_read(scan, from, (size_t)(min_u64(to, scan->limit) - from)));
    }
    *ret_bytes = scan->window + (at - scan->window_at);
    return SKALD_OK;
}

skald_err ski_scan_begin(ski_scan *scan, const ski_kernel *kernel, ski_file *file, uint64_t limit)
{
    const uint8_t *bytes = NULL;
    uint64_t size = 0;

    *scan = (ski_scan){.kernel = kernel, .file = file, .chain_known = true};
    SKALD_TRY(kernel->size(kernel->context, file, &size));
    scan->limit = limit ? min_u64(limit, size) : size;
    if (scan->limit < SKI_SEGMENT_HEADER) return SKALD_ECORRUPT;
    SKALD_TRY(window_get(scan, 0, SKI_SEGMENT_HEADER, &bytes));
    SKALD_TRY(ski_segment_header_get(bytes, &scan->header));
    scan->seed = ski_frame_seed(scan->header.salt);
    scan->offset = SKI_SEGMENT_HEADER;
    scan->position = scan->header.base_pos;
    scan->chain = scan->header.prev_crc;
    return SKALD_OK;
}

void ski_scan_lend(ski_scan *scan, const uint8_t *bytes, size_t len, uint64_t at)
{
    ski_scan_end(scan);
    scan->lent = bytes;
    scan->window_at = at;
    scan->limit = at + len;
}

void ski_scan_end(ski_scan *scan)
{
    ski_free(scan->window);
    scan->window = NULL;
    scan->window_size = scan->window_len = 0;
}

// frame_at reads and verifies the frame at an offset, alone. Fails: CORRUPT, UNSUPPORTED, NOMEM.
static skald_err frame_at(ski_scan *scan, uint64_t offset, ski_scan_frame *ret_frame)
{
    ski_scan_frame frame = {.offset = offset};
    const uint8_t *bytes = NULL;

    if (offset + SKI_FRAME_BYTES_MIN > scan->limit) return SKALD_ECORRUPT;
    SKALD_TRY(window_get(scan, offset, SKI_FRAME_HEADER, &bytes));
    SKALD_TRY(ski_frame_header_get(bytes, scan->seed, &frame.header));
    if (frame.header.segment_no != scan->header.no) return SKALD_ECORRUPT;
    if (offset + frame.header.total_len > scan->limit) return SKALD_ECORRUPT;
    SKALD_TRY(window_get(scan, offset, frame.header.total_len, &bytes));
    if (scan->lent) {
        frame.crc = ski_get_u32(bytes + frame.header.total_len - SKI_FRAME_TRAILER);
    } else {
        SKALD_TRY(ski_frame_check(bytes, &frame.header, &frame.crc));
    }
    frame.body = bytes + SKI_FRAME_HEADER;
    *ret_frame = frame;
    return SKALD_OK;
}

static void scan_note(ski_scan *scan, const ski_frame_header *header)
{
    if (header->durable_pos > scan->durable_pos) scan->durable_pos = header->durable_pos;
    if (header->durable_off > scan->durable_off) scan->durable_off = header->durable_off;
    if (header->incarnation > scan->incarnation_max) scan->incarnation_max = header->incarnation;
}

// positions_fit: so many events can have been before the frame. Only a segment that was written
// again says nothing of it by its bytes: of what was erased there are none.
static bool positions_fit(const ski_scan *scan, uint64_t offset, const ski_frame_header *header)
{
    uint64_t room = scan->header.generation ? SKI_SEGMENT_EVENTS_MAX : offset / SKI_RECORD_FIXED;

    return header->base_pos >= scan->position && header->base_pos - scan->header.base_pos <= room;
}

static bool frame_follows(const ski_scan *scan, uint64_t offset, const ski_frame_header *header)
{
    if (header->incarnation < scan->incarnation || header->append_us < scan->append_us)
        return false;
    if (!scan->chain_known) return positions_fit(scan, offset, header);
    if (header->prev_crc != scan->chain) return false;
    // A segment that was written again has gaps where events were erased.
    if (scan->header.generation) return positions_fit(scan, offset, header);
    return header->base_pos == scan->position;
}

skald_err ski_scan_next(ski_scan *scan, ski_scan_frame *ret_frame)
{
    ski_scan_frame frame;
    skald_err err = SKALD_OK;

    if (scan->sealed) return SKALD_ENOTFOUND;
    err = frame_at(scan, scan->offset, &frame);
    if (err == SKALD_ECORRUPT) return SKALD_ENOTFOUND;
    if (err) return err;
    scan_note(scan, &frame.header);
    if (!frame_follows(scan, scan->offset, &frame.header)) return SKALD_ENOTFOUND;
    scan->offset += frame.header.total_len;
    scan->position = frame.header.base_pos + frame.header.count;
    scan->chain = frame.crc;
    scan->chain_known = true;
    scan->incarnation = frame.header.incarnation;
    scan->append_us = frame.header.append_us;
    scan->sealed = frame.header.kind == SKI_FRAME_SEAL;
    *ret_frame = frame;
    return SKALD_OK;
}

skald_err ski_scan_search(ski_scan *scan, ski_scan_frame *ret_frame)
{
    while (scan->offset + SKI_FRAME_BYTES_MIN <= scan->limit) {
        const uint8_t *bytes = NULL;
        ski_scan_frame frame;
        skald_err err = SKALD_OK;

        SKALD_TRY(window_get(scan, scan->offset, SKI_FRAME_HEADER, &bytes));
        if (ski_get_u32(bytes) == SKI_FRAME_MAGIC) {
            err = frame_at(scan, scan->offset, &frame);
            if (err == SKALD_ENOMEM) return err;
            if (!err) {
                scan_note(scan, &frame.header);
                scan->chain_known = false;
                *ret_frame = frame;
                return SKALD_OK;
            }
        }
        scan->offset += 8;
    }
    return SKALD_ENOTFOUND;
}

skald_err ski_scan_resume(ski_scan *scan, ski_scan_frame *ret_frame)
{
    ski_scan_frame frame;

    do {
        scan->offset += 8;
        SKALD_TRY(ski_scan_search(scan, &frame));
    } while (!frame_follows(scan, scan->offset, &frame.header));
    *ret_frame = frame;
    return SKALD_OK;
}

static bool all_zero(const uint8_t *bytes, size_t len) // mostly it is: spares are zeros
{
    return !bytes[0] && memcmp(bytes, bytes + 1, len - 1) == 0;
}

skald_err ski_scan_dirty(ski_scan *scan, uint64_t *ret_end)
{
    uint64_t end = scan->offset;

    for (uint64_t at = scan->offset; at < scan->limit;) {
        size_t len = (size_t)min_u64(window_bytes / 2, scan->limit - at);
        const uint8_t *bytes = NULL;

        SKALD_TRY(window_get(scan, at, len, &bytes));
        for (size_t i = all_zero(bytes, len) ? 0 : len; i > 0; i--) {
            if (!bytes[i - 1]) continue;
            end = at + i;
            break;
        }
        at += len;
    }
    *ret_end = end;
    return SKALD_OK;
}
