// SPDX-License-Identifier: Apache-2.0
// store/log/manifest.h - what the store consists of, and how far it was surely stored.
//
// Two files, MANIFEST-0 and MANIFEST-1, written in turn: edit n goes to MANIFEST-(n mod 2), over
// what was there, and is synced. One that a crash has torn leaves the other. It says what must be
// there at least: segments behind the last listed one may exist, and the log itself says what is in
// them.
#ifndef SKI_STORE_LOG_MANIFEST_H
#define SKI_STORE_LOG_MANIFEST_H

#include "os/kernel.h"
#include <skald/base.h>

enum {
    SKI_MANIFEST_SEGMENTS_MAX = 1 << 20, // listed
    SKI_MANIFEST_COPIES = 2,
};

typedef struct ski_manifest_segment {
    uint32_t no, generation;
} ski_manifest_segment;

// Every event up to durable_pos, and every byte of the segment durable_no before durable_off, is
// stored.
typedef struct ski_manifest {
    skald_uuid store;
    uint64_t edit;
    uint64_t durable_pos;
    uint32_t durable_no;
    uint32_t durable_off;
    ski_manifest_segment *segments;
    uint32_t segment_count, segment_size;
    bool alone; // the other copy was not there: its name is to be stored, too
} ski_manifest;

void ski_manifest_fini(ski_manifest *manifest);
skald_err ski_manifest_add(ski_manifest *manifest, uint32_t no, uint32_t generation) SKALD_CHECK;
const char *ski_manifest_name(unsigned copy);

// The codec. put appends; get fails: CORRUPT, UNSUPPORTED, NOMEM.
skald_err ski_manifest_put(const ski_manifest *manifest, skald_buf *buf) SKALD_CHECK;
skald_err ski_manifest_get(skald_str bytes, ski_manifest *ret_manifest) SKALD_CHECK;

// ski_manifest_load reads both copies, after syncing them when sync is set, and gives the newer
// whole one. ret_damaged counts the copies that are there and not whole. Fails: NOTFOUND (neither
// is whole), UNSUPPORTED, IO, NOMEM.
skald_err ski_manifest_load(const ski_kernel *kernel, const char *path, bool sync,
                            ski_manifest *ret_manifest, unsigned *ret_damaged) SKALD_CHECK;
// ski_manifest_save writes the next edit, and counts it. Fails: READONLY (nothing has changed that
// matters) or IO (*ret_unsure: a sync failed).
skald_err ski_manifest_save(const ski_kernel *kernel, const char *path, ski_manifest *manifest,
                            bool *ret_unsure) SKALD_CHECK;

#endif
