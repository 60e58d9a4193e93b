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
#define SKI_MEMORY_EVENTS_MAX UINT64_C(0xffffffff) // from the first to the last

// Chunks come in rows, of which one is an allocation.
typedef struct ski_memory_chunk {
    struct ski_memory_row *row;
    struct ski_memory_chunk *next; // while it is idle
    skald_uuid highest_before;     // ids.highest when its first event came
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
    uint64_t events_max;       // as the URL says; 0: it says nothing
    atomic_uint_least64_t due; // events up to here may be taken away with the next append

    // Held by an append from before it is stored until its done was called: so done is called in
    // commit order. No reader takes it. Taken before data, never under it.
    ski_mutex order;
    // Over the indexes of types and correlations. No append takes it, so these may take their time
    // to grow. Taken before data, never under it.
    ski_mutex index;
    ski_mutex data; // over what follows

    // Texts stay where they are while pages are out: what was read borrows from them without a
    // lock. The event of position p is slot (p - 1) % CHUNK_EVENTS of chunk (p - 1) /
    // CHUNK_EVENTS; chunks below first are gone, those before chunks_gone not even counted.
    ski_memory_chunk **chunks;
    uint32_t chunk_count, chunk_size;
    uint64_t chunks_gone;
    ski_memory_chunk *chunks_idle; // that were trimmed and wait for the next events
    uint32_t chunks_idle_count;
    uint64_t first;   // position; a chunk begins with it
    uint64_t count;   // the last position there was
    uint64_t dropped; // events up to here were dropped, in a chunk that is still there
    uint64_t pages;   // out, and who holds all texts
    uint64_t holders; // who hold all texts
    ski_memory_grave *graves;
    size_t grave_count, grave_size;
    ski_memory_texts *texts, *filling; // the newest; the one with room, if there is one
    ski_memory_texts *texts_idle;      // that wait for the next texts
    uint64_t texts_idle_bytes;
    ski_memory_texts *cleaning; // the block that a cleaning comes to next
    uint64_t texts_waiting;     // blocks without life that somebody borrows from
    uint64_t texts_bytes;       // that are some event's
    uint64_t texts_used;        // of the blocks: those, their heads, and what is dead
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

static inline ski_memory_chunk *ski_memory_chunk_at(const ski_memory *memory, uint64_t index)
{
    return memory->chunks[index - memory->chunks_gone];
}

static inline ski_memory_slot *ski_memory_slot_at(const ski_memory *memory, uint64_t position)
{
    return &ski_memory_chunk_at(memory, (position - 1) / SKI_MEMORY_CHUNK_EVENTS)
                ->slots[(position - 1) % SKI_MEMORY_CHUNK_EVENTS];
}

// ski_memory_begin is the first position of which an event may be there.
static inline uint64_t ski_memory_begin(const ski_memory *memory)
{
    return memory->dropped < memory->first ? memory->first : memory->dropped + 1;
}

// ski_memory_alive is the first position of which an event may be read: what is due is dead, though
// it is still there.
static inline uint64_t ski_memory_alive(const ski_memory *memory)
{
    uint64_t begin = ski_memory_begin(memory), due = atomic_load(&memory->due);

    return due < begin ? begin : due + 1;
}

// A position in 32 bits, which are never SKI_MAP_NONE, and back: of an event that is there.
static inline uint32_t ski_memory_position_pack(uint64_t position)
{
    return (uint32_t)(position % SKI_MEMORY_EVENTS_MAX);
}

static inline uint64_t ski_memory_position_unpack(const ski_memory *memory, uint32_t packed)
{
    uint64_t first = ski_memory_position_pack(memory->first);

    return memory->first + (packed + (packed < first ? SKI_MEMORY_EVENTS_MAX : 0) - first);
}

// ski_memory_chunks_add adds room for events behind all there is. Fails: NOMEM, and nothing
// changed.
skald_err ski_memory_chunks_add(ski_memory *memory) SKALD_CHECK;
// ski_memory_chunk_end takes away the first chunk, of which no event is left; reuse: for the next
// events.
void ski_memory_chunk_end(ski_memory *memory, bool reuse);
void ski_memory_chunks_fini(ski_memory *memory);

// ski_memory_bytes is what is held now. data is held.
uint64_t ski_memory_bytes(const ski_memory *memory);
// ski_memory_bury frees some texts of erased events if no page is out. data is held.
void ski_memory_bury(ski_memory *memory);
// ski_memory_hold keeps all texts where they are until ski_memory_hold_end. data is held.
void ski_memory_hold(ski_memory *memory);
void ski_memory_hold_end(ski_memory *memory);
// ski_memory_drop takes away at most events_max of the events that are due, from the first on.
// False: there was none. data is held.
bool ski_memory_drop(ski_memory *memory, uint64_t events_max);
// ski_memory_sweep takes what was dropped out of types and correlations, where that is much. index
// is held, data not.
void ski_memory_sweep(ski_memory *memory);
// ski_memory_sweep_some takes what was dropped out of some lists of all indexes; of types and
// correlations only if nobody is at them. False: nothing can be done now. data is held, and free
// for a moment.
bool ski_memory_sweep_some(ski_memory *memory);

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
void ski_memory_forget(void *driver, uint64_t position);
skald_err ski_memory_compact(void *driver, skald_store_compact_job *job, skald_error *reterr_error);
skald_err ski_memory_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                          skald_error *reterr_error);
void ski_memory_page_free(void *driver, skald_store_page *page);

#endif
