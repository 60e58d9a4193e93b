// SPDX-License-Identifier: Apache-2.0
// store/log/blocks.h - immutable files of 4 KiB blocks, each with its checksum: what indexes, runs
// and states are made of.
//
// A file is sections of whole blocks, one behind the other; the last block of the file is its foot:
// what the file is, its sections, and what its module wants to know at once. The checksum of a
// block begins with what the file is and which block it is, so that neither a block of another file
// nor another block of this one passes for it.
#ifndef SKI_STORE_LOG_BLOCKS_H
#define SKI_STORE_LOG_BLOCKS_H

#include "os/kernel.h"
#include <skald/base.h>

enum {
    SKI_BLOCK = 4096,
    SKI_BLOCK_ROOM = SKI_BLOCK - 4,
    SKI_SECTIONS_MAX = 16,
    SKI_FOOT_ROOM = 512, // for the module
    SKI_BLOCKS_PATH_MAX = 4096,
    SKI_BLOCKS_NAME_MAX = 64,
};

// What a file is.
typedef struct ski_blocks_id {
    char magic[9]; // eight bytes
    skald_uuid store;
    uint64_t number;
    uint32_t generation;
} ski_blocks_id;

typedef struct ski_section {
    uint32_t first, blocks;
    uint64_t bytes; // put into it; blocks ended early count as full ones
    uint64_t entries;
} ski_section;

// --- writing: one thread. The first failure is kept; the functions then do nothing. -------------

typedef struct ski_block_writer {
    const ski_kernel *kernel;
    char path[SKI_BLOCKS_PATH_MAX]; // of the directory; empty: in memory
    char name[SKI_BLOCKS_NAME_MAX];
    ski_file *file;
    ski_blocks_id id;
    uint32_t seed;
    skald_err err;
    uint8_t *buffer;
    size_t size;      // of buffer
    size_t len;       // full blocks in it
    size_t at;        // in the block being filled, at buffer + len
    uint32_t block;   // its number
    uint32_t flushed; // blocks that are in the file
    ski_section sections[SKI_SECTIONS_MAX];
    uint32_t section_count;
} ski_block_writer;

// begin makes name.tmp, over what may be there; path NULL: memory. End it with finish or cancel.
skald_err ski_blocks_begin(ski_block_writer *writer, const ski_kernel *kernel, const char *path,
                           const char *name, const ski_blocks_id *id, skald_error *reterr_error)
    SKALD_CHECK;
void ski_blocks_section(ski_block_writer *writer); // the next one begins
void ski_blocks_put(ski_block_writer *writer, const void *bytes, size_t len);
size_t ski_blocks_room(const ski_block_writer *writer);     // left in the block being filled
uint64_t ski_blocks_offset(const ski_block_writer *writer); // in the section
void ski_blocks_next(ski_block_writer *writer); // the block ends here, unless it is empty
void ski_blocks_entry(ski_block_writer *writer, uint64_t count); // counted for the section
// finish writes the foot, syncs, renames to name, syncs the directory. It ends the writer, also
// when it fails (*ret_unsure: a sync failed).
skald_err ski_blocks_finish(ski_block_writer *writer, const uint8_t *foot, size_t foot_len,
                            bool *ret_unsure, skald_error *reterr_error) SKALD_CHECK;
// finish_memory gives the whole file instead; ski_free it.
skald_err ski_blocks_finish_memory(ski_block_writer *writer, const uint8_t *foot, size_t foot_len,
                                   uint8_t **ret_bytes, uint32_t *ret_blocks) SKALD_CHECK;
void ski_blocks_cancel(ski_block_writer *writer); // the file goes

// --- reading: any thread ------------------------------------------------------------------------

typedef struct ski_blocks {
    char name[SKI_BLOCKS_NAME_MAX];
    uint32_t seed, blocks; // the foot included
    const uint8_t *memory; // all of it, or NULL: in a file
    ski_section sections[SKI_SECTIONS_MAX];
    uint32_t section_count;
} ski_blocks;

// open reads the foot. memory: of so many blocks, or NULL: file. Fails: CORRUPT, UNSUPPORTED, IO.
skald_err ski_blocks_open(ski_blocks *blocks, const ski_kernel *kernel, ski_file *file,
                          const uint8_t *memory, uint32_t memory_blocks, const char *name,
                          const ski_blocks_id *id, uint32_t sections, uint8_t *ret_foot,
                          skald_error *reterr_error) SKALD_CHECK;
// read gives count blocks from number first on, each checked. Fails: CORRUPT, IO.
skald_err ski_blocks_read(const ski_blocks *blocks, const ski_kernel *kernel, ski_file *file,
                          uint32_t first, uint32_t count, uint8_t *to, skald_error *reterr_error)
    SKALD_CHECK;
// right says whether the bytes are those of block number.
bool ski_blocks_right(const ski_blocks *blocks, uint32_t number, const uint8_t *bytes);
// corrupt fills the error for a block whose content contradicts itself.
skald_err ski_blocks_corrupt(const ski_blocks *blocks, uint32_t block, const char *what,
                             skald_error *reterr_error);

#endif
