// SPDX-License-Identifier: Apache-2.0
// Room for slots: chunks, which are trimmed one by one, in rows, which are what is asked of the
// heap. A row is a part of what is held: who holds little takes little.
//
// Invariants:
//   1. A row is freed with the last of its chunks.
#include "base/alloc.h"
#include "store/memory/memory_store.h"

enum {
    pointers_first = 16,
    row_part = 4,        // a row is at most this part of the chunks there are: so much may lie idle
    row_chunks_max = 16, // some 290 KB
};

static skald_err pointers_room(ski_memory *memory, uint32_t more)
{
    uint32_t size = memory->chunk_size ? memory->chunk_size : pointers_first;
    ski_memory_chunk **chunks;

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
    uint32_t trimmed = (uint32_t)((memory->first - 1) / SKI_MEMORY_CHUNK_EVENTS);
    uint32_t count = (memory->chunk_count - trimmed) / row_part;
    ski_memory_row *row;

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

void ski_memory_chunk_free(ski_memory *memory, uint32_t index)
{
    ski_memory_row *row = memory->chunks[index]->row;

    memory->chunks[index] = NULL;
    if (!--row->chunks_left) ski_free(row);
}

void ski_memory_chunks_fini(ski_memory *memory)
{
    for (uint32_t i = 0; i < memory->chunk_count; i++)
        if (memory->chunks[i]) ski_memory_chunk_free(memory, i);
    ski_free(memory->chunks);
}
