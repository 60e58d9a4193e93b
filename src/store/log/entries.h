// SPDX-License-Identifier: Apache-2.0
// store/log/entries.h - going over all entries of a section of blocks, from the first to the last,
// some blocks at a time. An entry is varint length > 0, and as many bytes; it lies in one block,
// whose rest is zeros. One thread.
#ifndef SKI_STORE_LOG_ENTRIES_H
#define SKI_STORE_LOG_ENTRIES_H

#include <skald/base.h>

// ski_entry_next moves *at behind the next entry of a block and gives it; false: there is none. An
// entry that does not end in the block makes *ret_entry NULL.
bool ski_entry_next(const uint8_t **at, const uint8_t *end, const uint8_t **ret_entry,
                    size_t *ret_len);

// Reads checked blocks of the section, from number first of it on.
typedef skald_err ski_entries_read(const void *context, uint32_t first, uint32_t count, uint8_t *to,
                                   skald_error *reterr_error);

typedef struct ski_entries {
    ski_entries_read *read;
    const void *context;
    uint32_t block, blocks;          // the next one to be read; of the section
    uint32_t blocks_read, blocks_at; // of those in bytes
    uint32_t at;                     // in the block
    uint8_t *bytes;
} ski_entries;

skald_err ski_entries_begin(ski_entries *entries, ski_entries_read *read, const void *context,
                            uint32_t blocks) SKALD_CHECK; // NOMEM
void ski_entries_end(ski_entries *entries);
// ski_entries_next gives an entry, borrowed until the next call; NULL: it does not end in its
// block. Fails: NOTFOUND (the end), what read fails with.
skald_err ski_entries_next(ski_entries *entries, const uint8_t **ret_entry, size_t *ret_len,
                           skald_error *reterr_error) SKALD_CHECK;
uint32_t ski_entries_block(const ski_entries *entries); // in which the entry given last lies

#endif
