// SPDX-License-Identifier: Apache-2.0
// Fingerprints. The seeds are the store's own, so that nobody can choose names that collide.
#include "store/log/keys.h"
#include "base/hash.h"

#define SEED_HI UINT64_C(0x736b616c642e6c6f)
#define SEED_LO UINT64_C(0x736b616c642e6669)

ski_keys ski_keys_make(skald_uuid store)
{
    return (ski_keys){ski_hash64(SEED_HI, store.bytes, sizeof store.bytes),
                      ski_hash64(SEED_LO, store.bytes, sizeof store.bytes)};
}

static uint64_t name_hash(uint64_t seed, skald_str tenant, skald_str name)
{
    return ski_hash64(ski_hash64(seed, tenant.ptr, tenant.len), name.ptr, name.len);
}

ski_fp ski_keys_stream(const ski_keys *keys, skald_str tenant, skald_str stream)
{
    ski_fp fp = {name_hash(keys->seed, tenant, stream), name_hash(keys->seed_lo, tenant, stream)};

    if (!fp.hi) fp.hi = 1;
    return fp;
}

uint64_t ski_keys_correlation(const ski_keys *keys, skald_str tenant, skald_str correlation)
{
    uint64_t hash = name_hash(keys->seed, tenant, correlation);

    return hash ? hash : 1;
}

uint64_t ski_keys_id(const ski_keys *keys, skald_str tenant, skald_uuid id)
{
    return ski_hash64(~ski_hash64(keys->seed, tenant.ptr, tenant.len), id.bytes, sizeof id.bytes);
}
