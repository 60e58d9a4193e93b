// SPDX-License-Identifier: Apache-2.0
// Blocks of texts. In front of an event's texts stands whose they are, so that a block in which
// most are dead can be given back: what lives is moved to where new texts go.
//
// Invariants:
//   1. live of a block is what its events take that were not dropped, with their heads; a block in
//   which nothing lives is freed, or idle until it is filled again, once nobody borrows from it.
//   2. Of a block of a usual size at most half is dead: who drops looks. Only without memory more;
//   but for the oldest ones of a log that loses its beginning, which die soon.
//   3. texts_used is what stands in blocks that are not idle, dead or not: this is what bytes_max
//   limits.
//   4. Dropped texts, and those that were moved, are filled with zeros. What was left behind by a
//   log that loses its beginning is written over, or filled with zeros when an erasing compaction
//   comes by and nobody borrows from its block. All of a block is, before the heap has it back, but
//   when the store is closed.
//   5. At most a part of what is held is idle.
#include "store/memory/texts.h"

#include "base/alloc.h"
#include "store/memory/memory_store.h"

#include <assert.h>
#include <string.h>

enum {
    block_bytes_min = 4096,
    block_bytes_max = 256 * 1024,
    room_part = 4,  // a block is at most this part of what is held: so much may lie idle
    alone_part = 4, // texts of more than this part of a block have one of their own
};

typedef struct head {
    uint32_t position, len; // packed
} head;

static_assert(sizeof(head) == SKI_MEMORY_TEXTS_HEAD, "what is told of it is true");

static void block_link(ski_memory *memory, ski_memory_texts *block)
{
    block->next = memory->texts;
    block->before = NULL;
    block->used = block->live = block->pins = 0;
    if (block->next) block->next->before = block;
    memory->texts = block;
}

static ski_memory_texts *block_new(ski_memory *memory, size_t bytes)
{
    ski_memory_texts *block = ski_alloc(bytes);

    if (!block) return NULL;
    block->size = (uint32_t)(bytes - sizeof(*block));
    block->written = 0;
    block->left = false;
    block_link(memory, block);
    return block;
}

// block_again gives the idle block that was used last, which has at least so many bytes.
static ski_memory_texts *block_again(ski_memory *memory)
{
    ski_memory_texts *block = memory->texts_idle;

    memory->texts_idle = block->next;
    memory->texts_idle_bytes -= block->size;
    block_link(memory, block);
    return block;
}

static void block_unlink(ski_memory *memory, ski_memory_texts *block)
{
    if (block->before)
        block->before->next = block->next;
    else
        memory->texts = block->next;
    if (block->next) block->next->before = block->before;
    if (memory->filling == block) memory->filling = NULL;
    if (memory->cleaning == block) memory->cleaning = block->next;
    memory->texts_used -= block->used;
    if (block->written < block->used) block->written = block->used;
}

static void block_give_back(ski_memory_texts *block)
{
    memset(block->bytes, 0, block->written);
    ski_free(block);
}

static void block_free(ski_memory *memory, ski_memory_texts *block)
{
    block_unlink(memory, block);
    block_give_back(block);
}

// usual_bytes is how large a block of many texts is now.
static size_t usual_bytes(const ski_memory *memory)
{
    size_t usual = block_bytes_max;

    while (usual > block_bytes_min && usual > memory->texts_bytes / room_part) usual /= 2;
    return usual;
}

// block_for gives a block with room for so many bytes. NULL: no memory.
static ski_memory_texts *block_for(ski_memory *memory, size_t bytes)
{
    ski_memory_texts *block = memory->filling;
    size_t usual;

    if (block && block->size - block->used >= bytes) return block;
    usual = usual_bytes(memory);
    if (bytes > (usual - sizeof(*block)) / alone_part)
        return block_new(memory, sizeof(*block) + bytes);
    block = memory->texts_idle && memory->texts_idle->size >= bytes ? block_again(memory)
                                                                    : block_new(memory, usual);
    if (block) memory->filling = block;
    return block;
}

// block_end: nothing lives in a block and nobody borrows from it.
static void block_end(ski_memory *memory, ski_memory_texts *block)
{
    uint64_t bytes = sizeof(*block) + block->size;
    bool cleaning = memory->cleaning != NULL; // it may not have come to this one

    block_unlink(memory, block);
    if (!cleaning && bytes <= block_bytes_max && bytes >= usual_bytes(memory) &&
        memory->texts_idle_bytes <= memory->texts_bytes / room_part) {
        block->next = memory->texts_idle;
        memory->texts_idle = block;
        memory->texts_idle_bytes += block->size;
    } else {
        block_give_back(block);
    }
}

void ski_memory_texts_leave(ski_memory *memory, ski_memory_texts *block, size_t len)
{
    memory->texts_bytes -= len;
    block->live -= (uint32_t)(sizeof(head) + len);
    block->left = true;
    if (block->live) return;
    if (memory->filling == block) memory->filling = NULL; // or it would live again while it waits
    if (block->pins || memory->holders)
        memory->texts_waiting++;
    else
        block_end(memory, block);
}

void ski_memory_texts_unpin(ski_memory *memory, ski_memory_texts *block)
{
    if (--block->pins || block->live || memory->holders) return;
    memory->texts_waiting--;
    block_end(memory, block);
}

void ski_memory_texts_unhold(ski_memory *memory)
{
    ski_memory_texts *block = memory->texts, *next;

    for (; block && memory->texts_waiting; block = next) {
        next = block->next;
        if (block->live || block->pins) continue;
        memory->texts_waiting--;
        block_end(memory, block);
    }
}

char *ski_memory_texts_add(ski_memory *memory, uint64_t position, size_t len,
                           ski_memory_texts **ret_block)
{
    const head of = {ski_memory_position_pack(position), (uint32_t)len};
    ski_memory_texts *block = block_for(memory, sizeof(of) + len);
    char *at;

    if (!block) return NULL;
    at = block->bytes + block->used;
    memcpy(at, &of, sizeof(of));
    block->used += (uint32_t)(sizeof(of) + len);
    block->live += (uint32_t)(sizeof(of) + len);
    memory->texts_bytes += len;
    memory->texts_used += sizeof(of) + len;
    *ret_block = block;
    return at + sizeof(of);
}

ski_memory_texts_mark ski_memory_texts_stand(const ski_memory *memory)
{
    const ski_memory_texts *filling = memory->filling;

    return (ski_memory_texts_mark){.newest = memory->texts,
                                   .filling = memory->filling,
                                   .used = filling ? filling->used : 0,
                                   .live = filling ? filling->live : 0,
                                   .bytes = memory->texts_bytes,
                                   .bytes_used = memory->texts_used};
}

void ski_memory_texts_back(ski_memory *memory, const ski_memory_texts_mark *mark)
{
    while (memory->texts != mark->newest) block_free(memory, memory->texts);
    memory->filling = mark->filling;
    memory->texts_bytes = mark->bytes;
    memory->texts_used = mark->bytes_used;
    if (!mark->filling) return;
    if (mark->filling->written < mark->filling->used) mark->filling->written = mark->filling->used;
    mark->filling->left = true;
    mark->filling->used = mark->used;
    mark->filling->live = mark->live;
}

// block_move takes what lives out of a block. Without memory some stays.
static void block_move(ski_memory *memory, ski_memory_texts *block)
{
    head of = {0};

    if (memory->filling == block) memory->filling = NULL;
    for (uint32_t at = 0; at < block->used; at += (uint32_t)sizeof(of) + of.len) {
        char *text = block->bytes + at + sizeof(of), *to;
        ski_memory_texts *other;
        ski_memory_slot *slot;

        uint64_t position;

        memcpy(&of, block->bytes + at, sizeof(of));
        position = ski_memory_position_unpack(memory, of.position);
        if (position > memory->count) continue; // it has left
        slot = ski_memory_slot_at(memory, position);
        if (slot->at != text) continue;
        to = ski_memory_texts_add(memory, position, of.len, &other);
        if (!to) return;
        memcpy(to, text, of.len);
        memset(text, 0, of.len);
        slot->at = to;
        slot->offset = (uint32_t)(to - other->bytes);
        memory->texts_bytes -= of.len;
        block->live -= (uint32_t)sizeof(of) + of.len;
    }
}

uint32_t ski_memory_texts_drop(ski_memory *memory, ski_memory_texts *block, char *at, size_t len)
{
    uint32_t moved = 0;

    assert(!memory->pages);
    if (len) memset(at, 0, len);
    memory->texts_bytes -= len;
    block->live -= (uint32_t)(sizeof(head) + len);
    if (block->live && block->used - block->live > block->size / 2) {
        moved = block->live;
        block_move(memory, block);
    }
    if (!block->live) block_free(memory, block);
    return moved;
}

// block_clean fills with zeros what of a block is no event's any more. Nobody borrows from it.
static void block_clean(ski_memory *memory, ski_memory_texts *block)
{
    head of;

    for (uint32_t at = 0; at < block->used; at += (uint32_t)sizeof(of) + of.len) {
        char *text = block->bytes + at + sizeof(of);
        uint64_t position;

        memcpy(&of, block->bytes + at, sizeof(of));
        position = ski_memory_position_unpack(memory, of.position);
        if (position > memory->count || ski_memory_slot_at(memory, position)->at != text)
            memset(text, 0, of.len);
    }
    if (block->written > block->used)
        memset(block->bytes + block->used, 0, block->written - block->used);
    block->written = block->used;
    block->left = false;
}

ski_memory_texts *ski_memory_texts_clean_begin(ski_memory *memory)
{
    ski_memory_texts *idle = memory->texts_idle;

    memory->texts_idle = NULL;
    memory->texts_idle_bytes = 0;
    memory->cleaning = memory->texts;
    return idle;
}

bool ski_memory_texts_clean(ski_memory *memory, ski_memory_texts **idle)
{
    ski_memory_texts *block = *idle;

    if (block) {
        *idle = block->next;
        block_give_back(block);
        return true;
    }
    if (memory->holders) memory->cleaning = NULL;
    while ((block = memory->cleaning)) {
        memory->cleaning = block->next;
        if (!block->left || block->pins) continue;
        block_clean(memory, block);
        return true;
    }
    return false;
}

void ski_memory_texts_fini(ski_memory *memory)
{
    while (memory->texts) {
        ski_memory_texts *block = memory->texts;

        memory->texts = block->next;
        ski_free(block);
    }
    while (memory->texts_idle) {
        ski_memory_texts *block = memory->texts_idle;

        memory->texts_idle = block->next;
        ski_free(block);
    }
}
