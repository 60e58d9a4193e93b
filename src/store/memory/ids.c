// SPDX-License-Identifier: Apache-2.0
// Ids that rise where they stand, in the slots; the others in a map.
//
// Invariants:
//   1. Of slots that are risen ids rise strictly with the position. highest is at least the last of
//      them, and of each chunk highest_before at least the last one before it.
//   2. An event that was not erased is risen or stands in the map, not both.
//   3. No id in the map is above highest.
#include "store/memory/ids.h"

#include "base/hash.h"
#include "base/uuid.h"
#include "store/memory/memory_store.h"

#include <assert.h>

static uint64_t id_hash(const ski_memory *memory, skald_str tenant, skald_uuid id)
{
    uint64_t hash = ski_hash64(memory->seed, tenant.len ? tenant.ptr : "", tenant.len);

    return ski_hash64(hash, id.bytes, sizeof(id.bytes));
}

static uint64_t slot_hash(void *context, uint32_t slot)
{
    const ski_memory *memory = context;
    const ski_memory_slot *of =
        ski_memory_slot_at(memory, ski_memory_position_unpack(memory, slot));

    assert(of->at); // who is erased is forgotten first
    return id_hash(memory, ski_memory_slot_tenant(of), of->id);
}

static bool is(const ski_memory_slot *slot, skald_str tenant, skald_uuid id)
{
    return slot->at && skald_uuid_equal(slot->id, id) &&
           skald_str_equal(ski_memory_slot_tenant(slot), tenant);
}

// chunk_find gives the chunk in which a risen id would stand, if there is one.
static uint64_t chunk_find(const ski_memory *memory, skald_uuid id)
{
    uint64_t low = (memory->first - 1) / SKI_MEMORY_CHUNK_EVENTS;
    uint64_t high = (memory->count - 1) / SKI_MEMORY_CHUNK_EVENTS;

    while (low < high) {
        uint64_t middle = high - (high - low) / 2;

        if (ski_uuid_order(ski_memory_chunk_at(memory, middle)->highest_before, id) < 0)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

// risen_find gives the position of a risen id, of whichever tenant; 0: none.
static uint64_t risen_find(const ski_memory *memory, skald_uuid id)
{
    uint64_t low, high;

    if (memory->count < memory->first) return 0;
    low = chunk_find(memory, id) * SKI_MEMORY_CHUNK_EVENTS + 1;
    high = low + SKI_MEMORY_CHUNK_EVENTS;
    if (high > memory->count + 1) high = memory->count + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2, at = middle;

        while (at < high && !ski_memory_slot_at(memory, at)->risen) at++;
        int order = at < high ? ski_uuid_order(ski_memory_slot_at(memory, at)->id, id) : 1;

        if (!order) return at;
        if (order < 0)
            low = at + 1;
        else
            high = middle;
    }
    return 0;
}

uint64_t ski_memory_ids_find(const ski_memory *memory, skald_str tenant, skald_uuid id)
{
    uint32_t cursor = 0, slot;
    uint64_t position;

    if (ski_uuid_order(id, memory->ids.highest) > 0) return 0;
    if (memory->ids.others.count) {
        uint64_t hash = id_hash(memory, tenant, id);

        while ((slot = ski_map_find(&memory->ids.others, hash, &cursor)) != SKI_MAP_NONE)
            if (is(ski_memory_slot_at(memory, ski_memory_position_unpack(memory, slot)), tenant,
                   id))
                return ski_memory_position_unpack(memory, slot);
    }
    position = risen_find(memory, id);
    return position && is(ski_memory_slot_at(memory, position), tenant, id) ? position : 0;
}

skald_err ski_memory_ids_add(ski_memory *memory, uint64_t position)
{
    ski_memory_slot *slot = ski_memory_slot_at(memory, position);

    if (ski_uuid_order(slot->id, memory->ids.highest) <= 0)
        return ski_map_put(&memory->ids.others,
                           id_hash(memory, ski_memory_slot_tenant(slot), slot->id),
                           ski_memory_position_pack(position), slot_hash, memory);
    slot->risen = true;
    memory->ids.highest = slot->id;
    return SKALD_OK;
}

void ski_memory_ids_unmap(ski_memory *memory, const ski_memory_slot *slot, uint64_t position)
{
    ski_map_remove(&memory->ids.others, id_hash(memory, ski_memory_slot_tenant(slot), slot->id),
                   ski_memory_position_pack(position), slot_hash, memory);
}
