// SPDX-License-Identifier: Apache-2.0
// A log that loses at its beginning what it gains at its end: what the store above says is dead is
// taken away by the appends that follow, some events each, and its room is theirs. So a store with
// a limit asks the heap for nothing any more once the limit is reached, and touches no memory that
// it has not touched before.
//
// Invariants:
//   1. Events leave in order, and their chunk with the last of them: dropped is never below
//   first - 1 for long, and who looks takes the higher one.
//   2. Nothing is moved and nothing waits: texts that are borrowed stay with their block.
//   3. Streams keep the places of what has left until a list is full or its turn has come; types
//   and correlations, which are under another lock, until somebody asks by them or room is short.
#include "store/memory/memory_store.h"

enum {
    lists_a_chunk = 16,    // of streams, looked at for each chunk that leaves
    lists_at_once = 1024,  // of each index, where room is short
    swept_at_least = 4096, // events that left, before who asks sweeps types and correlations
};

void ski_memory_forget(void *driver, uint64_t position)
{
    ski_memory *memory = driver;
    uint64_t due = atomic_load(&memory->due);

    while (due < position && !atomic_compare_exchange_weak(&memory->due, &due, position)) {
    }
}

void ski_memory_hold(ski_memory *memory)
{
    memory->pages++;
    memory->holders++;
}

void ski_memory_hold_end(ski_memory *memory)
{
    memory->pages--;
    if (!--memory->holders) ski_memory_texts_unhold(memory);
}

static void event_drop(ski_memory *memory, uint64_t position)
{
    ski_memory_slot *slot = ski_memory_slot_at(memory, position);

    if (!slot->at) return; // it was erased
    ski_memory_ids_forget(memory, slot, position);
    ski_memory_unindex(memory, position);
    ski_memory_texts_leave(memory, ski_memory_slot_texts(slot), ski_memory_slot_bytes(slot));
    slot->at = NULL;
}

bool ski_memory_drop(ski_memory *memory, uint64_t events_max)
{
    uint64_t due = atomic_load_explicit(&memory->due, memory_order_relaxed);
    uint64_t before = ski_memory_begin(memory) - 1;

    if (due > memory->count) due = memory->count;
    if (due <= before) return false;
    if (due - before > events_max) due = before + events_max;
    for (uint64_t position = before + 1; position <= due; position++) {
        event_drop(memory, position);
        memory->dropped = position;
        if (position % SKI_MEMORY_CHUNK_EVENTS) continue;
        ski_memory_chunk_end(memory, true);
        (void)ski_memory_postings_round(&memory->streams, memory->first, lists_a_chunk);
    }
    return true;
}

bool ski_memory_sweep_some(ski_memory *memory)
{
    uint64_t begin = ski_memory_begin(memory);
    bool more = ski_memory_postings_round(&memory->streams, begin, lists_at_once);

    if (ski_mutex_try(&memory->index)) {
        more |= ski_memory_postings_round(&memory->types, begin, lists_at_once);
        more |= ski_memory_postings_round(&memory->correlations, begin, lists_at_once);
        memory->index_bytes = memory->types.bytes + memory->correlations.bytes;
        ski_mutex_unlock(&memory->index);
    }
    if (!more) return false;
    ski_mutex_unlock(&memory->data); // who reads may come in between, but is not waited for
    ski_mutex_lock(&memory->data);
    return true;
}

void ski_memory_sweep(ski_memory *memory)
{
    uint64_t begin, left, there, swept = memory->types.swept;

    ski_mutex_lock(&memory->data);
    begin = ski_memory_begin(memory);
    there = memory->count + 1 - begin;
    ski_mutex_unlock(&memory->data);
    if (memory->correlations.swept < swept) swept = memory->correlations.swept;
    left = begin - 1 - swept;
    if (left < swept_at_least || left < there) return;
    while (ski_memory_postings_round(&memory->types, begin, UINT32_MAX)) {
    }
    while (ski_memory_postings_round(&memory->correlations, begin, UINT32_MAX)) {
    }
    ski_mutex_lock(&memory->data);
    memory->index_bytes = memory->types.bytes + memory->correlations.bytes;
    ski_mutex_unlock(&memory->data);
}
