// SPDX-License-Identifier: Apache-2.0
// Types and correlations: who publishes does not pay for these indexes, who first asks by them
// does.
//
// Invariants:
//   1. data is held to take some events and no longer: the indexes grow under index alone, which no
//   append waits for.
//   2. An event's places were counted when it was appended: what is held never rises here.
//   3. Of an event that was erased before it was taken nothing is told; one that is erased later is
//   swept out, for who sweeps waits for index.
#include "store/memory/memory_store.h"

enum { taken_at_once = 256 };

// Events on their way into the indexes. Their texts stay, as those of a page that is out.
typedef struct taken {
    struct {
        skald_str tenant, type, correlation;
        uint64_t position;
    } events[taken_at_once];
    size_t count, told;
    uint64_t bytes; // as they were counted
    uint64_t begin; // of the log
} taken;

uint64_t ski_memory_unindexed(size_t tenant_len, size_t type_len, size_t correlation_len)
{
    uint64_t bytes = ski_memory_postings_most(tenant_len, type_len);

    if (correlation_len) bytes += ski_memory_postings_most(tenant_len, correlation_len);
    return bytes;
}

static uint64_t slot_unindexed(const ski_memory_slot *slot)
{
    return ski_memory_unindexed(slot->tenant, slot->type, slot->correlation_id);
}

void ski_memory_unindex(ski_memory *memory, uint64_t position)
{
    if (position > memory->indexed)
        memory->unindexed_bytes -= slot_unindexed(ski_memory_slot_at(memory, position));
}

// some_take moves indexed on. Both locks are held.
static void some_take(ski_memory *memory, uint64_t last, taken *some)
{
    some->count = some->told = 0;
    some->bytes = 0;
    some->begin = ski_memory_begin(memory);
    ski_memory_hold(memory);
    if (memory->indexed + 1 < memory->first) memory->indexed = memory->first - 1; // they are gone
    for (size_t i = 0; i < taken_at_once && memory->indexed < last; i++) {
        const ski_memory_slot *slot = ski_memory_slot_at(memory, ++memory->indexed);

        if (!slot->at) continue;
        some->events[some->count].tenant = ski_memory_slot_tenant(slot);
        some->events[some->count].type = ski_memory_slot_type(slot);
        some->events[some->count].correlation = ski_memory_slot_correlation(slot);
        some->events[some->count++].position = memory->indexed;
        some->bytes += slot_unindexed(slot);
    }
}

// some_tell puts them into the indexes. index is held.
static skald_err some_tell(ski_memory *memory, taken *some)
{
    for (; some->told < some->count; some->told++) {
        skald_str tenant = some->events[some->told].tenant, type = some->events[some->told].type;
        skald_str correlation = some->events[some->told].correlation;
        uint64_t position = some->events[some->told].position;

        if (!ski_memory_postings_add(&memory->types, tenant, type, position, some->begin))
            return SKALD_ENOMEM;
        if (!correlation.len || ski_memory_postings_add(&memory->correlations, tenant, correlation,
                                                        position, some->begin))
            continue;
        ski_memory_postings_drop(&memory->types, tenant, type);
        return SKALD_ENOMEM;
    }
    return SKALD_OK;
}

// some_settle counts what the indexes hold now; what they were not told of is taken another time.
// Both locks are held.
static void some_settle(ski_memory *memory, const taken *some)
{
    ski_memory_hold_end(memory);
    memory->unindexed_bytes -= some->bytes;
    memory->index_bytes = memory->types.bytes + memory->correlations.bytes;
    if (some->told == some->count) return;
    for (size_t i = some->told; i < some->count; i++) {
        uint64_t position = some->events[i].position;

        if (position < memory->first || !ski_memory_slot_at(memory, position)->at) continue;
        memory->unindexed_bytes += slot_unindexed(ski_memory_slot_at(memory, position));
    }
    memory->indexed = some->events[some->told].position - 1;
}

skald_err ski_memory_index(ski_memory *memory)
{
    const uint64_t last = memory->count;
    skald_err err = SKALD_OK;
    taken some;

    if (memory->indexed >= last) return SKALD_OK;
    while (!err && memory->indexed < last) {
        some_take(memory, last, &some);
        ski_mutex_unlock(&memory->data);
        err = some_tell(memory, &some);
        ski_mutex_lock(&memory->data);
        some_settle(memory, &some);
    }
    ski_memory_bury(memory);
    atomic_store(&memory->bytes, ski_memory_bytes(memory));
    return err;
}
