// SPDX-License-Identifier: Apache-2.0
// store/log/keysort.h - sorting by keys that are hashes, in about linear time.
#ifndef SKI_STORE_LOG_KEYSORT_H
#define SKI_STORE_LOG_KEYSORT_H

#include <skald/base.h>

typedef struct ski_keyed {
    uint64_t key;
    uint32_t row;
    uint32_t more; // the caller's
} ski_keyed;

// ski_keysort sorts items, whose rows rise, by key; rows of one key stay in order. room holds as
// many, and is where the result is. Fails: NOMEM.
skald_err ski_keysort(const ski_keyed *items, size_t count, ski_keyed *room) SKALD_CHECK;

#endif
