// SPDX-License-Identifier: Apache-2.0
// base/map.h - an open-addressing hash map from a 64-bit hash to a 32-bit slot of the caller's own
// table.
//
// It holds no keys: the caller asks for every slot under a hash and compares the key itself, so the
// same map serves names, ids and pairs. 12 bytes an entry at most two thirds full. One thread.
#ifndef SKI_BASE_MAP_H
#define SKI_BASE_MAP_H

#include <skald/base.h>

typedef struct ski_map_entry {
    uint32_t tag;  // upper half of the hash
    uint32_t slot; // SKI_MAP_NONE: empty
} ski_map_entry;

typedef struct ski_map {
    ski_map_entry *entries;
    uint32_t size_mask; // size - 1, a power of two; 0: nothing allocated
    uint32_t count;
} ski_map;

enum { SKI_MAP_NONE = 0xffffffff };

void ski_map_fini(ski_map *map);
// ski_map_find begins (or goes on) a probe: gives the next slot whose hash may be the one asked
// for, or SKI_MAP_NONE. Set *cursor to 0 first.
uint32_t ski_map_find(const ski_map *map, uint64_t hash, uint32_t *cursor);
// ski_map_put adds slot under hash; the same pair must not be there. hash_of gives the hash of a
// slot when the map grows. Fails: NOMEM.
typedef uint64_t ski_map_hash_of(void *context, uint32_t slot);
skald_err ski_map_put(ski_map *map, uint64_t hash, uint32_t slot, ski_map_hash_of *hash_of,
                      void *context) SKALD_CHECK;
void ski_map_remove(ski_map *map, uint64_t hash, uint32_t slot, ski_map_hash_of *hash_of,
                    void *context);

#endif
