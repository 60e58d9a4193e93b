// SPDX-License-Identifier: Apache-2.0
// store/memory/texts.h - the texts of events, in blocks that are filled one after the other.
//
// An append asks the heap for nothing, mostly, and an event has no block's head to itself. A store
// that holds little takes little. data is held.
#ifndef SKI_STORE_MEMORY_TEXTS_H
#define SKI_STORE_MEMORY_TEXTS_H

#include "store/memory/slot.h"

struct ski_memory;

enum { SKI_MEMORY_TEXTS_HEAD = 8 }; // bytes that an event takes beside its texts

// Where texts stood before an append that may have to be taken back.
typedef struct ski_memory_texts_mark {
    ski_memory_texts *newest, *filling;
    uint32_t used, live;
    uint64_t bytes, bytes_used;
} ski_memory_texts_mark;

// ski_memory_texts_add gives room for len bytes of the event at position, and the block they are
// in. NULL: no memory, and nothing changed.
char *ski_memory_texts_add(struct ski_memory *memory, uint64_t position, size_t len,
                           ski_memory_texts **ret_block) SKALD_CHECK;
ski_memory_texts_mark ski_memory_texts_stand(const struct ski_memory *memory);
// ski_memory_texts_back takes back what was added since.
void ski_memory_texts_back(struct ski_memory *memory, const ski_memory_texts_mark *mark);
// ski_memory_texts_drop frees the room at of an event that was erased, which is no slot's any more.
// No page is out: others may be moved. Returns how many bytes were.
uint32_t ski_memory_texts_drop(struct ski_memory *memory, ski_memory_texts *block, char *at,
                               size_t len);
// ski_memory_texts_leave is the same for an event at the beginning of a log that loses it: pages
// may be out and nothing is moved. The slot is no more.
void ski_memory_texts_leave(struct ski_memory *memory, ski_memory_texts *block, size_t len);
// A page that borrows from a block has it pinned.
void ski_memory_texts_unpin(struct ski_memory *memory, ski_memory_texts *block);
// ski_memory_texts_unhold: nobody holds all texts any more.
void ski_memory_texts_unhold(struct ski_memory *memory);
// ski_memory_texts_clean_begin begins a cleaning, one at a time, and gives the blocks that are idle
// to it. It comes once to each block there is now, and ends: later ones hold nothing of before.
ski_memory_texts *ski_memory_texts_clean_begin(struct ski_memory *memory) SKALD_CHECK;
// ski_memory_texts_clean fills with zeros what left and is still there, a block at a time, but
// where somebody borrows from. False: that was all, and nothing is idle of what began it.
bool ski_memory_texts_clean(struct ski_memory *memory, ski_memory_texts **idle);
void ski_memory_texts_fini(struct ski_memory *memory);

#endif
