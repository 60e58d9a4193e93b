// SPDX-License-Identifier: Apache-2.0
// Types and correlations: who publishes does not pay for these indexes, who first asks by them
// does.
//
// Invariants:
//   1. The lock is held for at most indexed_at_once events at a time.
//   2. An event that was erased before its turn comes is never told of.
#include "store/memory/memory_store.h"

enum { indexed_at_once = 1024 };

static skald_err event_index(ski_memory *memory, uint64_t position)
{
    const ski_memory_slot *slot = ski_memory_slot_at(memory, position);
    skald_str tenant, type, correlation;

    if (!slot->at) return SKALD_OK;
    tenant = ski_memory_slot_tenant(slot);
    type = ski_memory_slot_type(slot);
    correlation = ski_memory_slot_correlation(slot);
    if (!ski_memory_postings_add(&memory->types, tenant, type, (uint32_t)position))
        return SKALD_ENOMEM;
    if (!correlation.len ||
        ski_memory_postings_add(&memory->correlations, tenant, correlation, (uint32_t)position))
        return SKALD_OK;
    ski_memory_postings_drop(&memory->types, tenant, type);
    return SKALD_ENOMEM;
}

skald_err ski_memory_index(ski_memory *memory)
{
    const uint64_t last = memory->count;

    for (uint32_t i = 1; memory->indexed < last; i++) {
        if (memory->indexed + 1 < memory->first) memory->indexed = memory->first - 1;
        if (memory->indexed >= last) break; // they are gone
        SKALD_TRY(event_index(memory, memory->indexed + 1));
        memory->indexed++;
        if (i % indexed_at_once) continue;
        ski_mutex_unlock(&memory->data);
        ski_mutex_lock(&memory->data);
    }
    return SKALD_OK;
}
