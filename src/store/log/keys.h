// SPDX-License-Identifier: Apache-2.0
// store/log/keys.h - fingerprints: what streams, correlations and ids are found by in files.
//
// XXH3 with seeds made from the store's uuid. A stream has 128 bits, so that it needs no comparison
// of names; a correlation and an id have 64, and what is found by one is verified in the record.
// Any thread; nothing is kept.
#ifndef SKI_STORE_LOG_KEYS_H
#define SKI_STORE_LOG_KEYS_H

#include <skald/base.h>

// The fingerprint of (tenant, stream). hi is never 0 and is what records hold as stream_hash.
typedef struct ski_fp {
    uint64_t hi, lo;
} ski_fp;

typedef struct ski_keys {
    uint64_t seed, seed_lo;
} ski_keys;

ski_keys ski_keys_make(skald_uuid store);
ski_fp ski_keys_stream(const ski_keys *keys, skald_str tenant, skald_str stream);
uint64_t ski_keys_correlation(const ski_keys *keys, skald_str tenant, skald_str correlation);
uint64_t ski_keys_id(const ski_keys *keys, skald_str tenant, skald_uuid id);

static inline int ski_fp_compare(ski_fp a, ski_fp b)
{
    if (a.hi != b.hi) return a.hi < b.hi ? -1 : 1;
    if (a.lo != b.lo) return a.lo < b.lo ? -1 : 1;
    return 0;
}

#endif
