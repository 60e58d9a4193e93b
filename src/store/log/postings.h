// SPDX-License-Identifier: Apache-2.0
// store/log/postings.h - the rising positions of the events that have something in common.
//
// Two live in the struct itself, for most keys have few; the others in chunks of doubling size that
// never move, so that adding is never a long copy. One thread at a time.
#ifndef SKI_STORE_LOG_POSTINGS_H
#define SKI_STORE_LOG_POSTINGS_H

#include <skald/base.h>

enum { SKI_POSTINGS_INLINE = 2, SKI_POSTINGS_CHUNK_MIN = 8 };

// Zero is empty. Positions are kept in 32 bits: this index has room for 2^32 - 2 events.
typedef struct ski_postings {
    uint32_t count;
    uint32_t first[SKI_POSTINGS_INLINE];
    uint32_t last; // entry count - 1, so that who adds need not fetch it
    uint32_t chunk_count;
    uint32_t **chunks; // chunk i holds SKI_POSTINGS_CHUNK_MIN << i
} ski_postings;

void ski_postings_fini(ski_postings *postings);
// ski_postings_add: position is greater than every one before. bytes counts what was allocated.
// Fails: NOMEM.
skald_err ski_postings_add(ski_postings *postings, uint64_t position, uint64_t *bytes) SKALD_CHECK;
void ski_postings_drop(ski_postings *postings);                        // the last one
uint64_t ski_postings_at(const ski_postings *postings, uint32_t i);    // i < count
static inline uint64_t ski_postings_last(const ski_postings *postings) // count > 0
{
    return postings->last;
}
// ski_postings_after is how many are <= position: the place of the first one behind it.
uint32_t ski_postings_after(const ski_postings *postings, uint64_t position);

#endif
