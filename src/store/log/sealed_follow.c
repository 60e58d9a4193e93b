// SPDX-License-Identifier: Apache-2.0
// What the index of a segment is made of, gathered while the segment is written, from the bytes
// that were written: the same rows, by the same code, as scanning its file gives.
#include "base/alloc.h"
#include "store/log/sealed_work.h"
#include <string.h>

// header_read takes the segment's header from its file, where it stands since before its first
// frame.
static skald_err header_read(ski_sealed_follower *follower)
{
    const ski_kernel *kernel = follower->source.kernel;
    char path[SKI_BLOCKS_PATH_MAX];
    ski_file *file = NULL;
    skald_err err = SKALD_OK;

    SKALD_TRY(ski_sealed_scan_path(&follower->source, path));
    SKALD_TRY(kernel->open(kernel->context, path, 0, &file, NULL));
    err = ski_scan_begin(&follower->scan, kernel, file, SKI_SEGMENT_HEADER);
    kernel->close(kernel->context, file);
    follower->scan.file = NULL;
    return err;
}

skald_err ski_sealed_follow_begin(const ski_sealed_source *source,
                                  ski_sealed_follower **ret_follower)
{
    ski_sealed_follower *follower = ski_alloc_zeroed(1, sizeof *follower);
    skald_err err = SKALD_OK;

    if (!follower) return SKALD_ENOMEM;
    follower->source = *source;
    err = header_read(follower);
    if (!err) {
        err =
            ski_sealed_scan_begin(&follower->source, &follower->work, &follower->scan.header, NULL);
    }
    if (err) {
        ski_sealed_follow_end(follower);
        return err;
    }
    *ret_follower = follower;
    return SKALD_OK;
}

skald_err ski_sealed_follow(ski_sealed_follower *follower, uint64_t offset, const uint8_t *bytes,
                            size_t len)
{
    ski_scan *scan = &follower->scan;

    if (offset != scan->offset) return SKALD_ECORRUPT;
    ski_scan_lend(scan, bytes, len, offset);
    while (scan->offset < offset + len) {
        ski_scan_frame frame;

        if (ski_scan_next(scan, &frame)) return SKALD_ECORRUPT; // our own bytes
        SKALD_TRY(ski_sealed_scan_add(&follower->work, scan, &frame, false));
        if (follower->work.damaged) return SKALD_ECORRUPT;
    }
    return SKALD_OK;
}

bool ski_sealed_followed(const ski_sealed_follower *follower, uint64_t end, uint64_t next_pos)
{
    const ski_sealed_info *info = &follower->work.info;

    return follower->scan.sealed && info->end == end && info->base_pos + info->count == next_pos;
}

size_t ski_sealed_follower_bytes(const ski_sealed_follower *follower)
{
    const ski_sealed_work *work = NULL;

    if (!follower) return 0;
    work = &follower->work;
    return work->row_size * sizeof *work->rows + work->ladder_size * sizeof *work->ladder +
           work->first_size * sizeof *work->first + work->text_size;
}

void ski_sealed_follow_end(ski_sealed_follower *follower)
{
    if (!follower) return;
    ski_scan_end(&follower->scan);
    ski_sealed_work_fini(&follower->work);
    ski_free(follower);
}
