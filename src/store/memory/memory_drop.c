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
    lists_a_chunk = 16,   // of streams, looked at for each chunk that leaves
    swept_at_least = 4096 // events that left, before types and correlations are swept
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
    ski_memory_ids_forget(memory, position);
    ski_memory_unindex(memory, position);
    ski_memory_texts_leave(memory, ski_memory_slot_texts(slot), ski_memory_slot_bytes(slot));
    slot->at = NULL;
}

static void chunk_leave(ski_memory *memory)
{
    ski_memory_chunk_end(memory, true);
    for (uint32_t i = 0; i < lists_a_chunk && i < memory->streams.count; i++) {
        if (memory->streams_trimmed >= memory->streams.count) memory->streams_trimmed = 0;
        ski_memory_postings_trim(&memory->streams, memory->streams_trimmed++, memory->first);
    }
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
        if (position % SKI_MEMORY_CHUNK_EVENTS == 0) chunk_leave(memory);
    }
    return true;
}

static bool position_kept(void *context, uint64_t position)
{
    return position >= *(const uint64_t *)context;
}

static void lists_sweep(ski_memory_postings *postings, uint64_t begin, bool leave)
{
    for (uint32_t slot = 0; slot < postings->count;)
        if (!ski_memory_postings_sweep(postings, slot, position_kept, &begin, leave)) slot++;
}

void ski_memory_sweep(ski_memory *memory, bool anyway)
{
    uint64_t begin, left;

    ski_mutex_lock(&memory->data);
    begin = ski_memory_begin(memory);
    left = begin - memory->swept;
    anyway = anyway && left;
    if (!anyway && (left < swept_at_least || left < memory->count - begin)) begin = 0;
    if (!memory->indexed) begin = 0;
    ski_mutex_unlock(&memory->data);
    if (!begin) return;
    lists_sweep(&memory->types, begin, false); // a visitor of theirs goes on by slot
    lists_sweep(&memory->correlations, begin, true);
    ski_mutex_lock(&memory->data);
    memory->swept = begin;
    memory->index_bytes = memory->types.bytes + memory->correlations.bytes;
    ski_mutex_unlock(&memory->data);
}
