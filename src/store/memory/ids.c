// SPDX-License-Identifier: Apache-2.0
// Ids that rise in an array, the others in a map.
//
// Invariants:
//   1. rises rises strictly in id and in position; highest is at least its last id.
//   2. An event that was not erased stands in exactly one of the two.
#include "store/memory/ids.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <assert.h>
#include <string.h>

enum { rises_first = 64 };

static uint64_t id_hash(const ski_memory_ids *ids, skald_str tenant, skald_uuid id)
{
    uint64_t hash = ski_hash64(ids->seed, tenant.len ? tenant.ptr : "", tenant.len);

    return ski_hash64(hash, id.bytes, sizeof(id.bytes));
}

static uint64_t other_hash(void *context, uint32_t slot)
{
    const ski_memory_ids *ids = context;
    const skald_event *event = ids->event_at(ids->context, (uint64_t)slot + 1);

    assert(event); // who is erased is forgotten first
    return id_hash(ids, event->tenant, event->id);
}

static int id_order(skald_uuid a, skald_uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes));
}

// rise_find gives the position under an id, of whichever tenant; 0: none.
static uint32_t rise_find(const ski_memory_ids *ids, skald_uuid id)
{
    uint32_t low = 0, high = ids->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = id_order(ids->rises[middle].id, id);

        if (!order) return ids->rises[middle].position;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

static bool is(const skald_event *event, skald_str tenant, skald_uuid id)
{
    return event && skald_uuid_equal(event->id, id) && skald_str_equal(event->tenant, tenant);
}

void ski_memory_ids_fini(ski_memory_ids *ids)
{
    ski_map_fini(&ids->others);
    ski_free(ids->rises);
}

uint64_t ski_memory_ids_find(const ski_memory_ids *ids, skald_str tenant, skald_uuid id)
{
    uint32_t cursor = 0, slot, position;

    if (ids->others.count) {
        uint64_t hash = id_hash(ids, tenant, id);

        while ((slot = ski_map_find(&ids->others, hash, &cursor)) != SKI_MAP_NONE)
            if (is(ids->event_at(ids->context, (uint64_t)slot + 1), tenant, id))
                return (uint64_t)slot + 1;
    }
    if (id_order(id, ids->highest) > 0) return 0;
    position = rise_find(ids, id);
    return position && is(ids->event_at(ids->context, position), tenant, id) ? position : 0;
}

// rises_room takes out those that were erased, if they are many, before it takes more memory.
static skald_err rises_room(ski_memory_ids *ids)
{
    uint32_t kept = 0, size;
    ski_memory_rise *rises;

    if (ids->count < ids->size) return SKALD_OK;
    if (ids->erased && ids->erased >= ids->count / 2) {
        for (uint32_t i = 0; i < ids->count; i++)
            if (ids->event_at(ids->context, ids->rises[i].position))
                ids->rises[kept++] = ids->rises[i];
        ids->count = kept;
        ids->erased = 0;
        return SKALD_OK;
    }
    size = ids->size ? ids->size * 2 : rises_first;
    rises = ski_realloc(ids->rises, size * sizeof(*rises));
    if (!rises) return SKALD_ENOMEM;
    ids->rises = rises;
    ids->size = size;
    return SKALD_OK;
}

skald_err ski_memory_ids_add(ski_memory_ids *ids, const skald_event *event, uint32_t position)
{
    if (id_order(event->id, ids->highest) <= 0)
        return ski_map_put(&ids->others, id_hash(ids, event->tenant, event->id), position - 1,
                           other_hash, ids);
    SKALD_TRY(rises_room(ids));
    ids->rises[ids->count++] = (ski_memory_rise){event->id, position};
    ids->highest = event->id;
    return SKALD_OK;
}

void ski_memory_ids_drop(ski_memory_ids *ids, const skald_event *event, uint32_t position)
{
    // highest stays: an id that comes again goes into the map.
    if (ids->count && ids->rises[ids->count - 1].position == position)
        ids->count--;
    else
        ski_memory_ids_forget(ids, event, position);
}

void ski_memory_ids_forget(ski_memory_ids *ids, const skald_event *event, uint32_t position)
{
    if (rise_find(ids, event->id) == position) {
        ids->erased++; // it goes when there is no room
        return;
    }
    ski_map_remove(&ids->others, id_hash(ids, event->tenant, event->id), position - 1, other_hash,
                   ids);
}
