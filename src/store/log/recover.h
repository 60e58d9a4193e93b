// SPDX-License-Identifier: Apache-2.0
// store/log/recover.h - what is in the directory, for recovery and its parts.
#ifndef SKI_STORE_LOG_RECOVER_H
#define SKI_STORE_LOG_RECOVER_H

#include "store/log/engine.h"

typedef struct ski_found_spare {
    uint32_t no;
    bool making;
} ski_found_spare;

// What the directory holds, by name. Segments are sorted by number, then generation.
typedef struct ski_found {
    ski_manifest_segment *segments;
    uint32_t segment_count;
    ski_found_spare *spares;
    uint32_t spare_count;
    bool out_of_memory;
} ski_found;

// ski_found_list reads the directory, and sets the number of the next spare; end it with
// ski_found_fini, also when it fails. Fails: NOTFOUND (no such directory), IO, NOMEM.
skald_err ski_found_list(ski_engine *engine, ski_found *found) SKALD_CHECK;
void ski_found_fini(ski_found *found);
// ski_found_choose gives the segments that the store consists of: what the manifest lists, then
// what follows it without a gap. Others are set aside under another name (not in a store opened
// read-only). missing: the number of one that must be there and is not; 0: none.
skald_err ski_found_choose(ski_engine *engine, const ski_found *found, ski_manifest *ret_chosen,
                           uint32_t *ret_missing) SKALD_CHECK;
// ski_found_spares takes over whole spares and removes the others.
skald_err ski_found_spares(ski_engine *engine, const ski_found *found) SKALD_CHECK;

#endif
