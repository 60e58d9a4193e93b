// SPDX-License-Identifier: Apache-2.0
// Room for slots: chunks, which are trimmed one by one, in rows, which are what is asked of the
// heap. A row is a part of what is held: who holds little takes little. A log that loses at its
// beginning what it gains at its end has its chunks go round: idle ones are taken first.
//
// Invariants:
//   1. A row is freed with the last of its chunks.
//   2. At most a part of what is held is idle.
#include "base/alloc.h"
#include "store/memory/memory_store.h"

#include <string.h>

enum {
    pointers_first = 16,
    row_part = 4,        // a row is at most this part of the chunks there are: so much may lie idle
    row_chunks_max = 16, // some 290 KB
};

static uint64_t chunks_trimmed(const ski_memory *memory)
{
    return (memory->first - 1) / SKI_MEMORY_CHUNK_EVENTS;
}

static uint32_t chunks_held(const ski_memory *memory)
{
    return (uint32_t)(memory->chunks_gone + memory->chunk_count - chunks_trimmed(memory));
}

static skald_err pointers_room(ski_memory *memory, uint32_t more)
{
    uint32_t size = memory->chunk_size ? memory->chunk_size : pointers_first;
    uint64_t trimmed = chunks_trimmed(memory) - memory->chunks_gone;
    ski_memory_chunk **chunks;

    if (trimmed > size / 2) { // or each of few appends would move them
        memory->chunk_count -= (uint32_t)trimmed;
        memmove(memory->chunks, memory->chunks + trimmed,
                memory->chunk_count * sizeof(memory->chunks[0]));
        memory->chunks_gone += trimmed;
    }
    while (size - memory->chunk_count < more) size *= 2;
    if (size == memory->chunk_size) return SKALD_OK;
    chunks = ski_realloc(memory->chunks, size * sizeof(*chunks));
    if (!chunks) return SKALD_ENOMEM;
    memory->chunks = chunks;
    memory->chunk_size = size;
    return SKALD_OK;
}

skald_err ski_memory_chunks_add(ski_memory *memory)
{
    uint32_t count = chunks_held(memory) / row_part;
    ski_memory_row *row;

    if (memory->chunks_idle) {
        ski_memory_chunk *chunk = memory->chunks_idle;

        SKALD_TRY(pointers_room(memory, 1));
        memory->chunks_idle = chunk->next;
        memory->chunks_idle_count--;
        memory->chunks[memory->chunk_count++] = chunk;
        return SKALD_OK;
    }
    if (count < 1) count = 1;
    if (count > row_chunks_max) count = row_chunks_max;
    SKALD_TRY(pointers_room(memory, count));
    row = ski_alloc(sizeof(*row) + count * sizeof(row->chunks[0]));
    if (!row) return SKALD_ENOMEM;
    row->chunks_left = count;
    for (uint32_t i = 0; i < count; i++) {
        row->chunks[i].row = row;
        memory->chunks[memory->chunk_count++] = &row->chunks[i];
    }
    return SKALD_OK;
}

static void chunk_free(ski_memory_chunk *chunk)
{
    ski_memory_row *row = chunk->row;

    if (!--row->chunks_left) ski_free(row);
}

void ski_memory_chunk_end(ski_memory *memory, bool reuse)
{
    uint64_t at = chunks_trimmed(memory) - memory->chunks_gone;
    ski_memory_chunk *chunk = memory->chunks[at];

    memory->chunks[at] = NULL;
    memory->first += SKI_MEMORY_CHUNK_EVENTS;
    if (reuse && memory->chunks_idle_count <= chunks_held(memory) / row_part) {
        chunk->next = memory->chunks_idle;
        memory->chunks_idle = chunk;
        memory->chunks_idle_count++;
    } else {
        chunk_free(chunk);
    }
}

void ski_memory_chunks_fini(ski_memory *memory)
{
    for (uint32_t i = 0; i < memory->chunk_count; i++)
        if (memory->chunks[i]) chunk_free(memory->chunks[i]);
    while (memory->chunks_idle) {
        ski_memory_chunk *chunk = memory->chunks_idle;

        memory->chunks_idle = chunk->next;
        chunk_free(chunk);
    }
    ski_free(memory->chunks);
}
