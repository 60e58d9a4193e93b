// SPDX-License-Identifier: Apache-2.0
// store/log/gone.h - what a rewritten segment still says of streams whose events it has no more: a
// codec without I/O.
//
// The body of a STREAMS frame is such entries. With them the index of a rewritten segment can be
// made from the segment alone, as any other.
#ifndef SKI_STORE_LOG_GONE_H
#define SKI_STORE_LOG_GONE_H

#include "store/log/keys.h"

// Either where a stream stood at the end of the segment, its last event there being erased; or the
// name of one whose first event was there and is erased (name given, everything else 0).
typedef struct ski_gone {
    ski_fp fp;
    uint64_t last_version, last_pos;
    uint64_t prev_pos; // of the stream's event before the segment's first; 0: none
    skald_str tenant, name;
} ski_gone;

size_t ski_gone_len(const ski_gone *gone);
void ski_gone_put(uint8_t *to, const ski_gone *gone);
// ski_gone_get reads one of at most available bytes; its texts point into them. Fails: CORRUPT.
skald_err ski_gone_get(const uint8_t *from, size_t available, ski_gone *ret_gone, size_t *ret_len)
    SKALD_CHECK;

#endif
