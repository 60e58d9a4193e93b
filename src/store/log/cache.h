// SPDX-License-Identifier: Apache-2.0
// store/log/cache.h - pieces of immutable files, in memory: of segments and of their indexes.
//
// A piece is as it was read; who has seen a checksum in it to be right marks the place, so that the
// next one need not look again. A piece that is lent stays what and where it is until it is
// returned. Memory is taken as pieces are read, never more than was asked for, and kept until fini.
//
// Threads: any; the bytes of a piece are written only between make and put, by who made it.
#ifndef SKI_STORE_LOG_CACHE_H
#define SKI_STORE_LOG_CACHE_H

#include "base/map.h"
#include "os/thread.h"
#include <stdatomic.h>

enum {
    SKI_PIECE = 32 * 1024, // bytes of a file
    SKI_PIECE_UNIT = 8,    // a mark is for so many
    SKI_PIECE_MARKS = SKI_PIECE / SKI_PIECE_UNIT / 64,
    SKI_CACHE_ASKED = 4096, // pieces that were asked for lately and not there
};

typedef struct ski_piece {
    uint8_t *bytes; // SKI_PIECE of them
    uint32_t len;   // that the file had; set by who makes it
    // The cache's own, under its lock.
    uint32_t slot, users;
    bool listed, touched;
    uint64_t file;
    uint32_t number;
    _Atomic uint64_t marks[SKI_PIECE_MARKS];
} ski_piece;

typedef struct ski_cache {
    ski_mutex lock; // short
    ski_piece **pieces;
    uint32_t count, count_max, hand;
    uint32_t kept; // by pages
    ski_map map;
    uint64_t files; // identities given
    uint64_t hits, misses;
    uint32_t asked[SKI_CACHE_ASKED]; // the upper halves of their hashes
} ski_cache;

// ski_cache_init: of so many bytes at most; less than a piece: nothing is ever there. Fails: NOMEM.
skald_err ski_cache_init(ski_cache *cache, uint64_t bytes_max) SKALD_CHECK;
void ski_cache_fini(ski_cache *cache); // nothing is lent
// ski_cache_file gives an identity that no other file has.
uint64_t ski_cache_file(ski_cache *cache);

// ski_cache_lend lends a piece of a file, bytes number * SKI_PIECE on. NULL: it is not there;
// *ret_again: nor was it when it was asked for a while ago, so that reading all of it is worth it.
ski_piece *ski_cache_lend(ski_cache *cache, uint64_t file, uint32_t number, bool *ret_again);
// ski_cache_make lends an empty piece, to be read into and put; NULL: all are in use, or no memory.
ski_piece *ski_cache_make(ski_cache *cache);
void ski_cache_put(ski_cache *cache, ski_piece *piece, uint64_t file, uint32_t number);
void ski_cache_return(ski_cache *cache, ski_piece *piece); // NULL is allowed
// ski_cache_keep says whether a lent piece may be held for long, as a page does: half of them are
// for others. Then it is returned by unkeep.
bool ski_cache_keep(ski_cache *cache);
void ski_cache_unkeep(ski_cache *cache, ski_piece *const *pieces, size_t count);
// ski_cache_drop: nobody finds this piece any more; forget: nor any of a file. The bytes stay where
// they are until the room is used again.
void ski_cache_drop(ski_cache *cache, ski_piece *piece);
void ski_cache_forget(ski_cache *cache, uint64_t file);

typedef struct ski_cache_figures {
    uint64_t bytes, bytes_max, hits, misses;
} ski_cache_figures;
void ski_cache_figures_get(ski_cache *cache, ski_cache_figures *ret_figures);

// A mark at a place in a piece, a multiple of SKI_PIECE_UNIT.
static inline bool ski_piece_marked(const ski_piece *piece, size_t at)
{
    uint64_t word =
        atomic_load_explicit(&piece->marks[at / SKI_PIECE_UNIT / 64], memory_order_relaxed);

    return word >> (at / SKI_PIECE_UNIT % 64) & 1;
}

static inline void ski_piece_mark(ski_piece *piece, size_t at)
{
    (void)atomic_fetch_or_explicit(&piece->marks[at / SKI_PIECE_UNIT / 64],
                                   UINT64_C(1) << (at / SKI_PIECE_UNIT % 64), memory_order_relaxed);
}

#endif
