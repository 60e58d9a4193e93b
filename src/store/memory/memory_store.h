// SPDX-License-Identifier: Apache-2.0
// store/memory/memory_store.h - what the files of the memory driver share.
#ifndef SKI_STORE_MEMORY_MEMORY_STORE_H
#define SKI_STORE_MEMORY_MEMORY_STORE_H

#include "os/thread.h"
#include "store/memory/postings.h"
#include "store/memory/values.h"
#include <skald/store_driver.h>
#include <stdatomic.h>

enum {
    SKI_MEMORY_CHUNK_EVENTS = 256, // some 70 KB
};

// The texts of one append, in the order of their events.
typedef struct ski_memory_texts {
    struct ski_memory_texts *next;
    char bytes[];
} ski_memory_texts;

typedef struct ski_memory {
    const skald_store_host *host;
    uint64_t bytes_max, seed;

    // Held by an append from before it is stored until its done was called: so done is called in
    // commit order. No reader takes it. Taken before data, never under it.
    ski_mutex order;
    ski_mutex data; // over what follows

    // Events stay where they are, and their texts, until close: what was read borrows from them
    // without a lock. The event of position p is chunks[(p - 1) / CHUNK_EVENTS][(p - 1) %
    // CHUNK_EVENTS].
    skald_event **chunks;
    uint32_t chunk_count, chunk_size;
    uint64_t count;
    ski_memory_texts *texts;
    uint64_t texts_bytes;
    skald_time recorded_last;
    ski_memory_postings streams, types, correlations;
    ski_map ids; // of (tenant, id), to the position - 1
    ski_memory_values values;

    atomic_uint_least64_t head, bytes; // for those who may not wait
} ski_memory;

static inline skald_event *ski_memory_event(const ski_memory *memory, uint64_t position)
{
    return &memory->chunks[(position - 1) / SKI_MEMORY_CHUNK_EVENTS]
                          [(position - 1) % SKI_MEMORY_CHUNK_EVENTS];
}

// ski_memory_id_find gives the position of an id, 0: it is not known. data is held.
uint64_t ski_memory_id_find(const ski_memory *memory, skald_str tenant, skald_uuid id);

// The slots of the driver of the same names.
skald_err ski_memory_submit(void *driver, skald_store_batch *batch);
skald_err ski_memory_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                          skald_error *reterr_error);

#endif
