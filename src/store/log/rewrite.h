// SPDX-License-Identifier: Apache-2.0
// store/log/rewrite.h - a sealed segment made again without its dead events.
//
// First it is looked at: which events are dead, how much that is. Then it is written. One thread.
#ifndef SKI_STORE_LOG_REWRITE_H
#define SKI_STORE_LOG_REWRITE_H

#include "store/log/engine.h"

typedef struct ski_rewrite {
    ski_engine *engine;
    uint32_t slot;
    ski_indexed *indexed; // of the old one, lent
    uint8_t *kept;        // a bit for each position
    uint64_t events, dead, bytes_dead;
    bool erase;               // values that were replaced since are left out
    uint64_t values_replaced; // of those, how many there are
    uint64_t file_bytes;      // of the old one
    // passed is told of bytes read and written; false: stop. With no lock held.
    bool (*passed)(void *context, uint64_t bytes);
    void *context;
} ski_rewrite;

// ski_rewrite_begin takes the segment in a slot, which has an index; end it with ski_rewrite_end.
// Fails: NOTFOUND (nothing is left in it that this is about), NOMEM.
skald_err ski_rewrite_begin(ski_rewrite *rewrite, ski_engine *engine, uint32_t slot, bool erase)
    SKALD_CHECK;
void ski_rewrite_end(ski_rewrite *rewrite);
// ski_rewrite_estimate says from the index how many bytes can be dead, at most, by what the job
// says is known. Fails: CORRUPT, CLOSED (passed said no), IO, NOMEM.
skald_err ski_rewrite_estimate(const ski_rewrite *rewrite, const skald_store_compact_job *job,
                               uint64_t *ret_bytes) SKALD_CHECK;
// ski_rewrite_look asks of every event whether it is dead; with dead NULL every one is, and nothing
// is read. Fails: CORRUPT (with the range), CLOSED (passed said no), IO, NOMEM.
skald_err ski_rewrite_look(ski_rewrite *rewrite,
                           bool (*dead)(void *context, const skald_store_mark *mark), void *context,
                           skald_error *reterr_error) SKALD_CHECK;
// ski_rewrite_write writes it without the dead, and its index. ret_rewritten->sealed is the
// caller's. Fails as look, and: READONLY (disk full); then nothing of it is there.
skald_err ski_rewrite_write(ski_rewrite *rewrite, ski_rewritten *ret_rewritten,
                            skald_error *reterr_error) SKALD_CHECK;
// ski_rewrite_remove removes the files of what was written.
void ski_rewrite_remove(ski_rewrite *rewrite, const ski_rewritten *rewritten);

#endif
