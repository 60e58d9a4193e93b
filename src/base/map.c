// SPDX-License-Identifier: Apache-2.0
// The lower half of a hash says where an entry's probe begins (its home), the upper half is kept in
// the entry as its tag: a wrong candidate is then seen once in 2^32 without looking at the caller's
// table.
//
// Invariants:
//   1. Between an entry's home and its place there is no empty entry. A removal moves later entries
//      back instead of leaving a mark, so probes stay short however many entries come and go.
//   2. At least a third of the entries is empty: every probe ends.
#include "base/map.h"

#include "base/alloc.h"

#include <assert.h>

enum { first_size = 16 };

static const uint64_t size_max = UINT64_C(1) << 31;

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

void ski_map_fini(ski_map *map)
{
    ski_free(map->entries);
    *map = (ski_map){0};
}

uint32_t ski_map_find(const ski_map *map, uint64_t hash, uint32_t *cursor)
{
    if (!map->entries) return SKI_MAP_NONE;
    for (;;) {
        const ski_map_entry *entry = &map->entries[((uint32_t)hash + *cursor) & map->size_mask];

        if (entry->slot == SKI_MAP_NONE) return SKI_MAP_NONE;
        ++*cursor;
        if (entry->tag == tag_of(hash)) return entry->slot;
    }
}

// entry_add puts a pair into the first empty place of its probe.
static void entry_add(ski_map_entry *entries, uint32_t size_mask, uint64_t hash, uint32_t slot)
{
    uint32_t at = (uint32_t)hash & size_mask;

    while (entries[at].slot != SKI_MAP_NONE) at = (at + 1) & size_mask;
    entries[at] = (ski_map_entry){.tag = tag_of(hash), .slot = slot};
}

static skald_err map_grow(ski_map *map, ski_map_hash_of *hash_of, void *context)
{
    uint64_t old_size = map->entries ? (uint64_t)map->size_mask + 1 : 0;
    uint64_t size = old_size ? old_size * 2 : first_size;

    if (size > size_max) return SKALD_ENOMEM;

    ski_map_entry *entries = ski_alloc(size * sizeof *entries);

    if (!entries) return SKALD_ENOMEM;
    for (uint64_t i = 0; i < size; i++) entries[i] = (ski_map_entry){.slot = SKI_MAP_NONE};
    for (uint64_t i = 0; i < old_size; i++) {
        uint32_t slot = map->entries[i].slot;

        if (slot != SKI_MAP_NONE)
            entry_add(entries, (uint32_t)(size - 1), hash_of(context, slot), slot);
    }
    ski_free(map->entries);
    map->entries = entries;
    map->size_mask = (uint32_t)(size - 1);
    return SKALD_OK;
}

skald_err ski_map_put(ski_map *map, uint64_t hash, uint32_t slot, ski_map_hash_of *hash_of,
                      void *context)
{
    assert(slot != SKI_MAP_NONE);

    uint64_t size = map->entries ? (uint64_t)map->size_mask + 1 : 0;

    if (((uint64_t)map->count + 1) * 3 > size * 2) SKALD_TRY(map_grow(map, hash_of, context));
    entry_add(map->entries, map->size_mask, hash, slot);
    map->count++;
    return SKALD_OK;
}

void ski_map_remove(ski_map *map, uint64_t hash, uint32_t slot, ski_map_hash_of *hash_of,
                    void *context)
{
    uint32_t mask = map->size_mask, hole = (uint32_t)hash & mask;

    assert(map->entries);
    while (map->entries[hole].slot != slot) {
        assert(map->entries[hole].slot != SKI_MAP_NONE); // it must be there
        hole = (hole + 1) & mask;
    }
    // An entry further on may fill the hole when its home is not behind the hole: when it is at
    // least as far from its home as from the hole.
    for (uint32_t at = (hole + 1) & mask; map->entries[at].slot != SKI_MAP_NONE;
         at = (at + 1) & mask) {
        uint32_t home = (uint32_t)hash_of(context, map->entries[at].slot) & mask;

        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        map->entries[hole] = map->entries[at];
        hole = at;
    }
    map->entries[hole] = (ski_map_entry){.slot = SKI_MAP_NONE};
    map->count--;
}
