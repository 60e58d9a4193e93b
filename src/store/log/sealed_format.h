// SPDX-License-Identifier: Apache-2.0
// store/log/sealed_format.h - what builder and reader of a segment's index share: its sections.
//
// Positions are kept as rows: position - base_pos, 32 bits.
//
//   ROWS      blocks of 1023 u32: 1022 rows' offset / 8 in the segment (all ones: erased; one less:
//             damaged), and the offset / 8 of the next event behind the block, or of the end. None
//             when all are erased.
//   TYPES TENANTS FIRST    entries {varint t: 0, the tenant of the entry before, else length + 1
//             and the tenant; varint bytes of the name shared with the entry before; varint length
//             of the rest, the rest; but for FIRST a list}; a block's first entry shares nothing.
//   STREAMS   entries {u64 hi, u64 lo, varint last version, varint versions from the first one here
//             to it (0: no event is here), varint base_pos - prev_pos (0: none), varint row of the
//             last version + 1 (0: the list's last), list}.
//   CORRELATIONS   entries {u64 hash, list}.
//   IDS       blocks of {u16 entries, 5 bytes first key, entries of: 4 or 5 bytes key - first key,
//             3 bytes row}, a key being the upper 40 bits of a hash.
//   LISTS     what long lists have besides their entry.
//   FILTERS   63 blocks of 64 bytes in each block.
//   TAIL      u64 first key of each block of STREAMS, CORRELATIONS, IDS; then for every 1024 rows
//             i64, the time at which the last event up to the end of them was recorded.
//
// An entry is varint length > 0, and as many bytes; it lies in one block, whose rest is zeros. A
// list is varint 2 * count + dense; unless empty: varint first row; then, dense: nothing, the rows
// follow one another; up to 128 rows: varints of the differences; more: varint last row - first,
// varint offset in LISTS, where there stand for every 128 rows {u32 row, u32 offset}, offset
// counted from behind these, of the varints of the differences to the 127 others.
#ifndef SKI_STORE_LOG_SEALED_FORMAT_H
#define SKI_STORE_LOG_SEALED_FORMAT_H

#include "store/log/blocks.h"
#include "store/log/scan.h"
#include "store/log/sealed.h"

enum ski_sealed_section {
    SKI_SECTION_ROWS,
    SKI_SECTION_TYPES,
    SKI_SECTION_TENANTS,
    SKI_SECTION_STREAMS,
    SKI_SECTION_CORRELATIONS,
    SKI_SECTION_IDS,
    SKI_SECTION_FIRST,
    SKI_SECTION_LISTS,
    SKI_SECTION_FILTER_STREAMS,
    SKI_SECTION_FILTER_CORRELATIONS,
    SKI_SECTION_FILTER_IDS,
    SKI_SECTION_TAIL,
    SKI_SEALED_SECTIONS,
};

enum {
    SKI_SEALED_BLOCK_ROWS = 1022,
    SKI_SEALED_LADDER = 1024, // rows
    SKI_SEALED_ENTRY_MAX = 2048,
    SKI_SEALED_FOOT = 8 * 24,
    SKI_FILTERS_A_BLOCK = 63,
    SKI_ID_KEY_BYTES = 5,
    SKI_ID_ROW_BYTES = 3,
    SKI_ID_HEAD = 2 + SKI_ID_KEY_BYTES,
    SKI_ID_DENSE = 1 << 18, // so many keep their distances within a block below 2^32
};
#define SKI_ROW_ERASED UINT32_MAX
#define SKI_ROW_DAMAGED (UINT32_MAX - 1)
#define SKI_SEALED_ROWS_MAX ((uint32_t)SKI_SEGMENT_EVENTS_MAX)

enum ski_list_kind { SKI_LIST_INLINE, SKI_LIST_DENSE, SKI_LIST_LONG };

struct ski_sealed {
    ski_sealed_pool *pool;
    ski_sealed *next, *prev; // the pool's ring
    char *path;              // of the file; NULL: in memory
    ski_file *file;          // under the pool's lock, as users and filters
    uint32_t users;
    uint64_t cached; // its identity in the pool's cache
    ski_sealed_info info;
    ski_blocks blocks;
    uint8_t *memory;
    uint8_t *filters[SKI_SEALED_TABLES];
    uint64_t *keys; // all the tables' first keys, one behind the other
    const uint64_t *table_keys[SKI_SEALED_TABLES];
    int64_t *ladder;
    uint32_t ladder_count;
    unsigned id_key_bytes;
};

ski_blocks_id ski_sealed_file_id(skald_uuid store, uint32_t no, uint32_t generation);
void ski_sealed_foot_put(uint8_t foot[SKI_SEALED_FOOT], const ski_sealed_info *info);
// ski_sealed_new makes one of a file or memory (taken, on success).
skald_err ski_sealed_new(ski_sealed_pool *pool, const char *path, const ski_blocks_id *id,
                         uint8_t *memory, uint32_t memory_blocks, ski_sealed **ret_sealed,
                         skald_error *reterr_error) SKALD_CHECK;
// ski_sealed_read gives checked blocks of a section: number first of it on.
skald_err ski_sealed_read(const ski_sealed *sealed, unsigned section, uint32_t first,
                          uint32_t count, uint8_t *to, skald_error *reterr_error) SKALD_CHECK;
// ski_sealed_view_block has a view show block number of a section.
skald_err ski_sealed_view_block(ski_sealed_view *view, unsigned section, uint32_t number,
                                skald_error *reterr_error) SKALD_CHECK;
skald_err ski_sealed_contradiction(const ski_sealed *sealed, unsigned section, uint32_t block,
                                   skald_error *reterr_error);
// ski_sealed_list_get reads a list up to the end of its entry.
bool ski_sealed_list_get(const ski_sealed *sealed, const uint8_t *from, const uint8_t *end,
                         ski_sealed_list *ret_list);
// ski_sealed_hash_maybe: false: a loaded filter says that it is not there.
bool ski_sealed_hash_maybe(const ski_sealed *sealed, ski_sealed_table table, uint64_t hash);
// ski_sealed_first_block is the first block of a table in which a key may stand; *ret_last the
// last. false: in none.
bool ski_sealed_key_blocks(const ski_sealed *sealed, ski_sealed_table table, uint64_t key,
                           uint32_t *ret_first, uint32_t *ret_last);

#endif
