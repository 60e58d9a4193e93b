// SPDX-License-Identifier: Apache-2.0
// store/log/scan.h - going over a segment file frame by frame, trusting nothing.
//
// One thread. The scan holds a window of the file; a frame it gives is borrowed until the next
// call.
#ifndef SKI_STORE_LOG_SCAN_H
#define SKI_STORE_LOG_SCAN_H

#include "os/kernel.h"
#include "store/log/frame.h"
#include "store/log/segment.h"

// A segment has 1 GiB at most, and an event takes SKI_RECORD_FIXED bytes at least.
#define SKI_SEGMENT_EVENTS_MAX ((UINT64_C(1) << 30) / SKI_RECORD_FIXED)

typedef struct ski_scan {
    const ski_kernel *kernel;
    ski_file *file;
    ski_segment_header header;
    uint32_t seed;
    uint64_t offset;      // of the next frame; SKI_SEGMENT_HEADER to begin
    uint64_t limit;       // nothing is looked at from here on
    uint64_t position;    // that the next event must have
    uint32_t chain;       // frame_crc of the last frame
    bool chain_known;     // false: behind damage, any chain is taken
    uint32_t incarnation; // of the last frame
    int64_t append_us;    // of the last frame
    bool sealed;          // the last frame was a SEAL
    // The highest watermark in any valid frame seen, also by ski_scan_search.
    uint64_t durable_pos, durable_off;
    uint32_t incarnation_max;
    bool unreadable;     // the device could not read part of what was looked at
    const uint8_t *lent; // in the place of window
    uint8_t *window;
    size_t window_size;
    uint64_t window_at;
    size_t window_len;
} ski_scan;

typedef struct ski_scan_frame {
    ski_frame_header header;
    uint64_t offset;
    const uint8_t *body;
    uint32_t crc;
} ski_scan_frame;

// ski_scan_begin reads and checks the header of the file. limit 0: all of it. End it with
// ski_scan_end, also when this fails. Fails: CORRUPT (the header), UNSUPPORTED, IO, NOMEM.
skald_err ski_scan_begin(ski_scan *scan, const ski_kernel *kernel, ski_file *file, uint64_t limit)
    SKALD_CHECK;
void ski_scan_end(ski_scan *scan);

// ski_scan_lend gives whole frames that stand in the file from offset `at` on, out of memory, by
// who has just written them: from now on the scan looks at nothing else, and takes what ends a
// frame, its checksum, as right.
void ski_scan_lend(ski_scan *scan, const uint8_t *bytes, size_t len, uint64_t at);

// ski_scan_next gives the next frame, which follows the one before in every way, and moves behind
// it. Fails: NOTFOUND (no valid frame at offset, or at the limit, or behind the SEAL), UNSUPPORTED,
// NOMEM.
skald_err ski_scan_next(ski_scan *scan, ski_scan_frame *ret_frame) SKALD_CHECK;

// ski_scan_search looks for any valid frame of this segment at offset or behind it, and moves to it
// (not behind it), taking any chain and any position from there. Fails: NOTFOUND, NOMEM.
skald_err ski_scan_search(ski_scan *scan, ski_scan_frame *ret_frame) SKALD_CHECK;

// ski_scan_resume does so behind damage at offset, passing over frames that cannot follow what was
// read before, or have more events before them than there is room for.
skald_err ski_scan_resume(ski_scan *scan, ski_scan_frame *ret_frame) SKALD_CHECK;

// ski_scan_dirty gives the end of the last byte in the file, from offset on, that is not zero;
// offset itself when all are.
skald_err ski_scan_dirty(ski_scan *scan, uint64_t *ret_end) SKALD_CHECK;

#endif
