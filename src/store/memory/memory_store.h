// SPDX-License-Identifier: Apache-2.0
// store/memory/memory_store.h - what the files of the memory driver share.
#ifndef SKI_STORE_MEMORY_MEMORY_STORE_H
#define SKI_STORE_MEMORY_MEMORY_STORE_H

#include "os/thread.h"
#include "store/memory/ids.h"
#include "store/memory/postings.h"
#include "store/memory/slot.h"
#include "store/memory/texts.h"
#include "store/memory/values.h"
#include <skald/store_driver.h>
#include <stdatomic.h>

enum {
    SKI_MEMORY_CHUNK_EVENTS = 256, // some 18 KB
};

// Chunks come in rows, of which one is an allocation.
typedef struct ski_memory_chunk {
    struct ski_memory_row *row;
    skald_uuid highest_before; // ids.highest when its first event came
    ski_memory_slot slots[SKI_MEMORY_CHUNK_EVENTS];
} ski_memory_chunk;

typedef struct ski_memory_row {
    uint32_t chunks_left; // that were not trimmed
    ski_memory_chunk chunks[];
} ski_memory_row;

// The texts of an erased event, which a page may still borrow.
typedef struct ski_memory_grave {
    ski_memory_texts *texts;
    char *at;
    size_t len;
} ski_memory_grave;

typedef struct ski_memory {
    const skald_store_host *host;
    uint64_t bytes_max, seed;

    // Held by an append from before it is stored until its done was called: so done is called in
    // commit order. No reader takes it. Taken before data, never under it.
    ski_mutex order;
    // Over the indexes of types and correlations. No append takes it, so these may take their time
    // to grow. Taken before data, never under it.
    ski_mutex index;
    ski_mutex data; // over what follows

    // Texts stay where they are while pages are out: what was read borrows from them without a
    // lock. The event of position p is slot (p - 1) % CHUNK_EVENTS of chunk (p - 1) /
    // CHUNK_EVENTS; chunks below first are gone.
    ski_memory_chunk **chunks;
    uint32_t chunk_count, chunk_size;
    uint64_t first; // position; a chunk begins with it
    uint64_t count; // the last position there was
    uint64_t pages; // out
    ski_memory_grave *graves;
    size_t grave_count, grave_size;
    ski_memory_texts *texts, *filling; // the newest; the one with room, if there is one
    uint64_t texts_bytes;              // that are some event's
    uint64_t texts_used;               // of the blocks: those, their heads, and what is dead
    skald_time recorded_last;
    ski_memory_postings streams;
    // Under index, up to the position indexed, which only who asks by type or correlation moves on,
    // under index and data.
    ski_memory_postings types, correlations;
    uint64_t indexed;
    uint64_t index_bytes;     // held by the two
    uint64_t unindexed_bytes; // that the events behind indexed will take in them, at most
    ski_memory_ids ids;
    ski_memory_values values;

    atomic_uint_least64_t head, bytes; // for those who may not wait
} ski_memory;

static inline ski_memory_slot *ski_memory_slot_at(const ski_memory *memory, uint64_t position)
{
    return &memory->chunks[(position - 1) / SKI_MEMORY_CHUNK_EVENTS]
                ->slots[(position - 1) % SKI_MEMORY_CHUNK_EVENTS];
}

// ski_memory_chunks_add adds room for events behind all there is. Fails: NOMEM, and nothing
// changed.
skald_err ski_memory_chunks_add(ski_memory *memory) SKALD_CHECK;
void ski_memory_chunk_free(ski_memory *memory, uint32_t index); // no event of it is left
void ski_memory_chunks_fini(ski_memory *memory);

// ski_memory_bytes is what is held now. data is held.
uint64_t ski_memory_bytes(const ski_memory *memory);
// ski_memory_bury frees some texts of erased events if no page is out. data is held.
void ski_memory_bury(ski_memory *memory);

// ski_memory_index tells types and correlations of all events there are when it is called. index is
// held; data is held too, and given up now and then. Fails: NOMEM.
skald_err ski_memory_index(ski_memory *memory) SKALD_CHECK;
// ski_memory_unindexed is what an event with texts of these lengths takes at most in types and
// correlations.
uint64_t ski_memory_unindexed(size_t tenant_len, size_t type_len, size_t correlation_len);
// ski_memory_unindex: an event is about to be erased. data is held.
void ski_memory_unindex(ski_memory *memory, uint64_t position);

// The slots of the driver of the same names.
skald_err ski_memory_submit(void *driver, skald_store_batch *batch);
skald_err ski_memory_trim(void *driver, uint64_t position, uint64_t *ret_position,
                          skald_error *reterr_error);
skald_err ski_memory_compact(void *driver, skald_store_compact_job *job, skald_error *reterr_error);
skald_err ski_memory_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                          skald_error *reterr_error);

#endif
