// SPDX-License-Identifier: Apache-2.0
// store/log/copying.h - a directory that becomes another store: what backup and salvage share.
//
// One thread. The directory is held (LOCK) while it is filled; it is a store only from the moment
// its manifest is there, which comes last.
#ifndef SKI_STORE_LOG_COPYING_H
#define SKI_STORE_LOG_COPYING_H

#include "os/kernel.h"
#include "store/log/manifest.h"

enum { SKI_COPYING_PATH_MAX = 4096 };

typedef struct ski_copying {
    const ski_kernel *kernel;
    const char *from, *to;                                                    // directories
    bool (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_all); // may be NULL
    void *context;
    skald_error *error;
    uint64_t bytes_done, bytes_all; // for progress
    uint64_t bytes_linked, files;
    bool unlinkable; // the two are on different file systems, or theirs has no links
    ski_file *lock_file;
    uint8_t *buffer;
} ski_copying;

// ski_copying_begin makes to, which must be empty or not there, and holds it. End it with
// ski_copying_end; failed: what was put into it is removed. Fails: EXISTS, HELD, DENIED, READONLY,
// NOMEM, IO.
skald_err ski_copying_begin(ski_copying *copying) SKALD_CHECK;
void ski_copying_end(ski_copying *copying, bool failed);
// ski_copying_clear removes what was put into it so far, to begin again.
void ski_copying_clear(ski_copying *copying);

// ski_copying_link gives a file that never changes again its name in the copy, too, or copies it.
// ski_copying_copy copies the first limit bytes of it, and syncs. Both fail: NOTFOUND (there is no
// such file), READONLY, CLOSED (progress said so), TOOBIG, IO.
skald_err ski_copying_link(ski_copying *copying, const char *name) SKALD_CHECK;
skald_err ski_copying_copy(ski_copying *copying, const char *name, uint64_t limit) SKALD_CHECK;
// ski_copying_told tells progress. Fails: CLOSED.
skald_err ski_copying_told(ski_copying *copying, uint64_t bytes) SKALD_CHECK;
skald_err ski_copying_path(const char *directory, const char *name, char path[SKI_COPYING_PATH_MAX])
    SKALD_CHECK;

// ski_copying_finish puts every name on the device, then both copies of the manifest. Fails:
// READONLY, IO, NOMEM.
skald_err ski_copying_finish(ski_copying *copying, ski_manifest *manifest) SKALD_CHECK;

#endif
