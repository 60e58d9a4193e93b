// SPDX-License-Identifier: Apache-2.0
// Memory that goes all at once: a list of chunks, each handed out from its front to its end. What
// does not fit in the current chunk opens the next one; what is left of a chunk then stays unused.
//
// Invariants:
//   1. held is the sum of size over all chunks, held <= bytes_max.
//   2. Chunks behind current are empty: kept from before a reset, and the first to go when the
//      maximum is near.
//   3. at is aligned, or nothing is left, so every piece is aligned.
//   4. What is asked for with every piece and every reset stands in the arena itself: a chunk that
//      nobody has used for long is not in the cache, and its head need not be looked at.
// Under AddressSanitizer, what is not handed out is poisoned: use after a reset is reported.
#include <skald/base.h>

#include "base/alloc.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
enum { poisons = 1 };
#else
enum { poisons = 0 };
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

enum {
    chunk_first = 4096,         // a page: most requests and deliveries need no second chunk
    chunk_largest = 256 * 1024, // doubling ends here; a larger piece gets a chunk of its own size
    kept_max = 64 * 1024,       // what a reset keeps; a rare large request must not stay for ever
    alignment = alignof(max_align_t),
};

// No object is larger than this, and a chunk's head still fits beside it.
static const size_t bytes_max_max = PTRDIFF_MAX / 2;

typedef struct arena_chunk {
    struct arena_chunk *next;
    size_t size; // of bytes
    alignas(max_align_t) unsigned char bytes[];
} arena_chunk;

struct skald_arena {
    unsigned char *at; // the next piece, in current
    size_t left;       // of current, from at
    size_t bytes_max, held;
    size_t chunk_next; // size of the next new chunk
    arena_chunk *first, *current;
    size_t first_size;
};

skald_err skald_arena_new(size_t bytes_max, skald_arena **ret_arena)
{
    skald_arena *arena = ski_alloc_zeroed(1, sizeof *arena);

    if (!arena) return SKALD_ENOMEM;
    arena->bytes_max = bytes_max < bytes_max_max ? bytes_max : bytes_max_max;
    arena->chunk_next = chunk_first;
    *ret_arena = arena;
    return SKALD_OK;
}

// chunks_free ends the list at *link and gives its rest back.
static void chunks_free(skald_arena *arena, arena_chunk **link)
{
    arena_chunk *chunk = *link;

    *link = NULL;
    while (chunk) {
        arena_chunk *next = chunk->next;

        arena->held -= chunk->size;
        ASAN_UNPOISON_MEMORY_REGION(chunk->bytes, chunk->size);
        ski_free(chunk);
        chunk = next;
    }
}

void skald_arena_free(skald_arena *arena)
{
    if (!arena) return;
    chunks_free(arena, &arena->first);
    ski_free(arena);
}

// chunks_trim keeps no more than kept_max.
static void chunks_trim(skald_arena *arena)
{
    arena_chunk **link = &arena->first;
    size_t kept = 0;

    while (*link && kept + (*link)->size <= kept_max) {
        arena_chunk *chunk = *link;

        kept += chunk->size;
        ASAN_POISON_MEMORY_REGION(chunk->bytes, chunk->size);
        link = &chunk->next;
    }
    chunks_free(arena, link);
}

// chunk_begin hands out from a chunk that is empty; NULL: there is none.
static void chunk_begin(skald_arena *arena, arena_chunk *chunk, size_t size)
{
    arena->current = chunk;
    arena->at = chunk ? chunk->bytes : NULL;
    arena->left = chunk ? size : 0;
}

void skald_arena_reset(skald_arena *arena)
{
    if (arena->held > kept_max || poisons) chunks_trim(arena);
    chunk_begin(arena, arena->first, arena->first_size);
    arena->chunk_next = chunk_first;
}

// chunk_add puts a new chunk of at least size bytes in place of the empty ones behind current, and
// makes it current. False: over the maximum, or out of memory.
static bool chunk_add(skald_arena *arena, size_t size)
{
    bool begun = arena->current && arena->left < arena->current->size;
    arena_chunk **link = begun ? &arena->current->next : &arena->first;
    size_t chunk_size = arena->chunk_next;

    chunks_free(arena, link);
    if (!begun) chunk_begin(arena, NULL, 0);

    size_t left = arena->bytes_max - arena->held;

    if (size > left) return false;
    if (chunk_size > left) chunk_size = left;
    if (chunk_size < size) chunk_size = size;

    arena_chunk *chunk = ski_alloc(sizeof *chunk + chunk_size);

    if (!chunk) return false;
    *chunk = (arena_chunk){.size = chunk_size};
    ASAN_POISON_MEMORY_REGION(chunk->bytes, chunk_size);
    if (arena->chunk_next < chunk_largest) arena->chunk_next *= 2;
    arena->held += chunk_size;
    *link = chunk;
    if (!begun) arena->first_size = chunk_size;
    chunk_begin(arena, chunk, chunk_size);
    return true;
}

// chunk_turn goes on to a chunk with room for size bytes: the kept one behind current, or a new
// one.
static bool chunk_turn(skald_arena *arena, size_t size)
{
    arena_chunk *next = arena->current ? arena->current->next : NULL;

    if (!next || size > next->size) return chunk_add(arena, size);
    chunk_begin(arena, next, next->size);
    return true;
}

void *skald_arena_get(skald_arena *arena, size_t size)
{
    size_t taken = size ? size : 1; // a piece of nothing has its own address too

    if (taken > arena->left && !chunk_turn(arena, taken)) return NULL;

    unsigned char *piece = arena->at;

    if (arena->left - taken < alignment)
        taken = arena->left;
    else
        taken = (taken + alignment - 1) & ~(size_t)(alignment - 1);
    arena->at += taken;
    arena->left -= taken;
    ASAN_UNPOISON_MEMORY_REGION(piece, size);
    memset(piece, 0, size);
    return piece;
}

skald_str skald_arena_copy(skald_arena *arena, skald_str text)
{
    if (!text.ptr) return (skald_str){NULL, 0};
    if (!text.len) return SKALD_STR("");

    char *copy = skald_arena_get(arena, text.len);

    if (!copy) return (skald_str){NULL, 0};
    memcpy(copy, text.ptr, text.len);
    return (skald_str){copy, text.len};
}

skald_str skald_arena_print(skald_arena *arena, const char *format, ...)
{
    va_list args;
    int len;
    char *text;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = len < 0 ? NULL : skald_arena_get(arena, (size_t)len + 1);
    if (!text) return (skald_str){NULL, 0};

    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return (skald_str){text, (size_t)len};
}
