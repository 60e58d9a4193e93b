// SPDX-License-Identifier: Apache-2.0
// The cache: pieces in slots, found by a map, given up by a hand that goes round and passes over
// what was used since it last came by.
//
// What is asked for once may never be again, and a piece costs as much as ten events: so one is
// read whole when it was asked for before, or when much of it is needed at once. When the cache is
// full and what is read at random is several times as large, each would put another one out before
// it has paid: so then few may, and those that are asked for most often come in first all the same.
//
// The bytes of many pieces lie together, in huge pages where the kernel has them: going over events
// all over the memory takes a fifth longer without.
//
// Invariants:
//   1. A piece with users is not given up, nor its bytes changed; without it is listed or free.
//   2. No more than half of the pieces are held by pages: who holds one and comes back late leaves
//      the others theirs.
#include "store/log/cache.h"
#include "base/alloc.h"
#include "os/memory.h"
#include <assert.h>
#include <string.h>

enum {
    slab_pieces = SKI_MEMORY_HUGE / SKI_PIECE,
    looks_max = 2,    // rounds of the hand
    turn_misses = 32, // of a full cache: of so many, one may put something in another one's place
};

static uint64_t piece_hash(uint64_t file, uint32_t number)
{
    static const uint64_t mix = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t hash = (file + (uint64_t)number * UINT64_C(0xd6e8feb86659fd93)) * mix;

    return hash ^ hash >> 32;
}

static uint64_t hash_of(void *context, uint32_t slot)
{
    const ski_piece *piece = ((ski_cache *)context)->pieces[slot];

    return piece_hash(piece->file, piece->number);
}

skald_err ski_cache_init(ski_cache *cache, uint64_t bytes_max)
{
    uint64_t count = bytes_max / (SKI_PIECE + sizeof(ski_piece));

    if (count > SKI_MAP_NONE / 4) count = SKI_MAP_NONE / 4;
    memset(cache, 0, sizeof *cache);
    cache->pieces = ski_alloc_zeroed((size_t)count + 1, sizeof(ski_piece *));
    if (!cache->pieces) return SKALD_ENOMEM;
    cache->count_max = (uint32_t)count;
    ski_mutex_init(&cache->lock);
    return SKALD_OK;
}

void ski_cache_fini(ski_cache *cache)
{
    if (!cache->pieces) return; // init failed, or was not called
    for (uint32_t i = 0; i < cache->count; i++) {
        assert(!cache->pieces[i]->users);
        if (i % slab_pieces == 0) ski_free(cache->pieces[i]->bytes); // of all in the slab
        ski_free(cache->pieces[i]);
    }
    ski_free(cache->pieces);
    ski_map_fini(&cache->map);
    ski_mutex_fini(&cache->lock);
    *cache = (ski_cache){0};
}

uint64_t ski_cache_file(ski_cache *cache)
{
    uint64_t file = 0;

    ski_mutex_lock(&cache->lock);
    file = ++cache->files;
    ski_mutex_unlock(&cache->lock);
    return file;
}

// cache_find gives the slot of a piece; SKI_MAP_NONE: it is not there. The lock is held.
static uint32_t cache_find(const ski_cache *cache, uint64_t file, uint32_t number)
{
    uint64_t hash = piece_hash(file, number);
    uint32_t cursor = 0, slot = 0;

    while ((slot = ski_map_find(&cache->map, hash, &cursor)) != SKI_MAP_NONE) {
        const ski_piece *piece = cache->pieces[slot];

        if (piece->file == file && piece->number == number) break;
    }
    return slot;
}

// asked_before remembers that a piece was asked for. The lock is held.
static bool asked_before(ski_cache *cache, uint64_t file, uint32_t number)
{
    uint64_t hash = piece_hash(file, number);
    uint32_t *asked = &cache->asked[hash % SKI_CACHE_ASKED];
    uint32_t tag = (uint32_t)(hash >> 32) | 1; // 0 is nothing
    bool before = *asked == tag;

    *asked = tag;
    return before;
}

ski_piece *ski_cache_lend(ski_cache *cache, uint64_t file, uint32_t number, bool *ret_again)
{
    ski_piece *piece = NULL;
    uint32_t slot = 0;

    *ret_again = false;
    if (!cache->count_max) return NULL;
    ski_mutex_lock(&cache->lock);
    slot = cache_find(cache, file, number);
    if (slot != SKI_MAP_NONE) {
        piece = cache->pieces[slot];
        piece->users++;
        piece->touched = true;
        cache->hits++;
    } else {
        *ret_again = asked_before(cache, file, number);
        cache->misses++;
        if (cache->count == cache->count_max && cache->misses % turn_misses) *ret_again = false;
    }
    ski_mutex_unlock(&cache->lock);
    return piece;
}

// cache_unlist: nobody finds the piece any more. The lock is held.
static void cache_unlist(ski_cache *cache, ski_piece *piece)
{
    if (!piece->listed) return;
    ski_map_remove(&cache->map, hash_of(cache, piece->slot), piece->slot, hash_of, cache);
    piece->listed = false;
}

// slab_alloc gives the bytes of the next pieces. Those of the first ones become memory one by one,
// as they are read into, so that who reads little has little. The lock is held.
static uint8_t *slab_alloc(const ski_cache *cache)
{
    uint32_t left = cache->count_max - cache->count;
    size_t bytes = (size_t)(left < slab_pieces ? left : slab_pieces) * SKI_PIECE;
    uint8_t *slab = ski_alloc_aligned(SKI_MEMORY_HUGE, bytes);

    if (slab && cache->count && bytes == SKI_MEMORY_HUGE) ski_memory_huge(slab, bytes);
    return slab;
}

// cache_grow adds a piece; NULL: there are as many as may be, or no memory. The lock is held.
static ski_piece *cache_grow(ski_cache *cache)
{
    ski_piece *piece = NULL;

    if (cache->count == cache->count_max) return NULL;
    piece = ski_alloc_zeroed(1, sizeof *piece);
    if (!piece) return NULL;
    piece->bytes = cache->count % slab_pieces ? cache->pieces[cache->count - 1]->bytes + SKI_PIECE
                                              : slab_alloc(cache);
    if (!piece->bytes) {
        ski_free(piece);
        return NULL;
    }
    piece->slot = cache->count;
    cache->pieces[cache->count++] = piece;
    return piece;
}

// cache_give_up takes a piece that nobody uses out of the cache. The lock is held.
static ski_piece *cache_give_up(ski_cache *cache)
{
    for (uint64_t look = 0; look < (uint64_t)looks_max * cache->count; look++) {
        ski_piece *piece = cache->pieces[cache->hand];

        cache->hand = cache->hand + 1 == cache->count ? 0 : cache->hand + 1;
        if (piece->users) continue;
        if (piece->listed && piece->touched) {
            piece->touched = false;
            continue;
        }
        cache_unlist(cache, piece);
        return piece;
    }
    return NULL;
}

ski_piece *ski_cache_make(ski_cache *cache)
{
    ski_piece *piece = NULL;

    if (!cache->count_max) return NULL;
    ski_mutex_lock(&cache->lock);
    piece = cache_grow(cache);
    if (!piece) piece = cache_give_up(cache);
    if (piece) {
        assert(!piece->users && !piece->listed);
        piece->users = 1;
        piece->touched = false;
        piece->len = 0;
        memset(piece->marks, 0, sizeof piece->marks);
    }
    ski_mutex_unlock(&cache->lock);
    return piece;
}

void ski_cache_put(ski_cache *cache, ski_piece *piece, uint64_t file, uint32_t number)
{
    ski_mutex_lock(&cache->lock);
    if (cache_find(cache, file, number) == SKI_MAP_NONE) { // else another one was quicker
        piece->file = file;
        piece->number = number;
        piece->listed =
            !ski_map_put(&cache->map, piece_hash(file, number), piece->slot, hash_of, cache);
    }
    ski_mutex_unlock(&cache->lock);
}

void ski_cache_return(ski_cache *cache, ski_piece *piece)
{
    if (!piece) return;
    ski_mutex_lock(&cache->lock);
    assert(piece->users);
    piece->users--;
    ski_mutex_unlock(&cache->lock);
}

bool ski_cache_keep(ski_cache *cache)
{
    bool may = false;

    ski_mutex_lock(&cache->lock);
    may = cache->kept < cache->count_max / 2;
    cache->kept += may;
    ski_mutex_unlock(&cache->lock);
    return may;
}

void ski_cache_unkeep(ski_cache *cache, ski_piece *const *pieces, size_t count)
{
    if (!count) return;
    ski_mutex_lock(&cache->lock);
    assert(cache->kept >= count);
    cache->kept -= (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        assert(pieces[i]->users);
        pieces[i]->users--;
    }
    ski_mutex_unlock(&cache->lock);
}

void ski_cache_drop(ski_cache *cache, ski_piece *piece)
{
    ski_mutex_lock(&cache->lock);
    cache_unlist(cache, piece);
    ski_mutex_unlock(&cache->lock);
}

void ski_cache_forget(ski_cache *cache, uint64_t file)
{
    if (!cache->count_max) return;
    ski_mutex_lock(&cache->lock);
    for (uint32_t i = 0; i < cache->count; i++) {
        if (cache->pieces[i]->file == file) cache_unlist(cache, cache->pieces[i]);
    }
    ski_mutex_unlock(&cache->lock);
}

void ski_cache_figures_get(ski_cache *cache, ski_cache_figures *ret_figures)
{
    ski_mutex_lock(&cache->lock);
    *ret_figures =
        (ski_cache_figures){.bytes = (uint64_t)cache->count * (SKI_PIECE + sizeof(ski_piece)),
                            .bytes_max =
                                (uint64_t)cache->count_max * (SKI_PIECE + sizeof(ski_piece)),
                            .hits = cache->hits,
                            .misses = cache->misses};
    ski_mutex_unlock(&cache->lock);
}
