// SPDX-License-Identifier: Apache-2.0
// store/log/index.h - where the events of a range of positions are, and which of them a stream, a
// type or a correlation has: in memory, for what no index file covers yet.
//
// Everything is keyed by (tenant, x). An event is indexed when it is put in order, before it is
// stored: who reads compares positions with the last visible one. One thread at a time.
#ifndef SKI_STORE_LOG_INDEX_H
#define SKI_STORE_LOG_INDEX_H

#include "base/map.h"
#include "store/log/postings.h"
#include <assert.h>
#include <skald/event.h>

enum {
    SKI_INDEX_BLOCK = 1024,     // items of a table that lie together
    SKI_INDEX_TENANTS_MAX = 64, // that a read of every tenant looks up by name; beyond it scans
};
#define SKI_INDEX_EVENTS_MAX UINT64_C(0xfffffffd) // of one index
#define SKI_INDEX_NO_PLACE UINT64_MAX             // the event is damaged

// A place is where a record lies: the slot of its segment (20 bits), its offset there in units of 8
// (29 bits), and how long it is at most in units of 64 (15 bits; all ones: that or more), so that
// it can be read without reading what is stored behind it.
enum {
    SKI_PLACE_SLOTS_MAX = (1 << 20) - 1,
    SKI_PLACE_UNIT = 64,
    SKI_PLACE_UNITS_MAX = (1 << 15) - 1
};

static inline uint64_t ski_place_make(uint32_t slot, uint64_t offset, size_t len)
{
    uint64_t units = (len + SKI_PLACE_UNIT - 1) / SKI_PLACE_UNIT;

    if (units > SKI_PLACE_UNITS_MAX) units = SKI_PLACE_UNITS_MAX;
    return (uint64_t)slot << 44 | offset / 8 << 15 | units;
}

static inline uint32_t ski_place_slot(uint64_t place)
{
    return (uint32_t)(place >> 44);
}

static inline uint64_t ski_place_offset(uint64_t place)
{
    return (place >> 15 & ((UINT64_C(1) << 29) - 1)) * 8;
}

static inline uint64_t ski_place_len_max(uint64_t place) // UINT64_MAX: not known
{
    uint64_t units = place & SKI_PLACE_UNITS_MAX;

    return units == SKI_PLACE_UNITS_MAX ? UINT64_MAX : units * SKI_PLACE_UNIT;
}

// ski_place_move is the same record where it has been written: slot, and so many bytes further on.
static inline uint64_t ski_place_move(uint64_t place, uint32_t slot, int64_t further)
{
    uint64_t offset = ski_place_offset(place) + (uint64_t)further;

    return (uint64_t)slot << 44 | offset / 8 << 15 | (place & SKI_PLACE_UNITS_MAX);
}

// Per event, 32 bytes.
typedef struct ski_index_row {
    uint64_t place;
    uint64_t content; // hash
    uint64_t id_hash;
    int64_t recorded_at;
} ski_index_row;

// Where a stream stands: its last version and the position of that event; zeros: it is not there.
typedef struct ski_index_head {
    uint64_t version, position;
} ski_index_head;

// A stream or a type of a tenant. Postings here and below count events of this index from 1.
typedef struct ski_index_key {
    const char *text; // tenant, then name
    uint16_t tenant_len, name_len;
    uint64_t hash;
    uint64_t version;      // of a stream: the last one put in order
    ski_index_head before; // of a stream: before this index
    ski_postings postings;
} ski_index_key;

typedef struct ski_index_chain { // a correlation
    uint64_t hash;
    ski_postings postings;
} ski_index_chain;

// A table of things of one size that never move; slots count from 0.
typedef struct ski_index_table {
    void **blocks;
    uint32_t count, block_count, item_size;
} ski_index_table;

typedef struct ski_index_names { // streams, or types
    ski_index_table table;
    ski_map map;
} ski_index_names;

typedef struct ski_index {
    uint64_t seed;  // of every hash
    uint64_t base;  // position before its first event
    uint64_t count; // events put in order: rows of positions base + 1 to base + count
    ski_index_table rows;
    ski_index_names streams, types;
    ski_index_table chains;
    ski_map chains_map;
    char *text; // block that names are being put into
    size_t text_left;
    void **text_blocks;
    size_t text_block_count;
    skald_str tenants[SKI_INDEX_TENANTS_MAX];
    uint32_t tenant_count; // SKI_INDEX_TENANTS_MAX + 1: more than that
    uint64_t bytes;
} ski_index;

// What the index needs of an event. The hashes are made by ski_index_hash, without a lock.
typedef struct ski_index_hashes {
    uint64_t stream, type, correlation, id; // stream and correlation: 0 when there is none
} ski_index_hashes;

void ski_index_init(ski_index *index, uint64_t seed, uint64_t base);
void ski_index_fini(ski_index *index);

void ski_index_hash(uint64_t seed, const skald_event *event, ski_index_hashes *ret_hashes);
uint64_t ski_index_hash_name(uint64_t seed, skald_str tenant, skald_str name); // never 0
uint64_t ski_index_hash_id(uint64_t seed, skald_str tenant, skald_uuid id);

// ski_index_add puts the next event in order. event gives the texts; row is kept. stream is its
// stream's key when that is known; may be NULL. before is where its stream stands, and used when
// the index does not have it yet. version 0: the next of the stream, else this one (a damaged log
// has holes). ret_version and ret_prev are those of its stream, 0 without one. Fails: NOMEM, FULL;
// then nothing changed.
skald_err ski_index_add(ski_index *index, const skald_event *event, const ski_index_hashes *hashes,
                        const ski_index_row *row, ski_index_key *stream,
                        const ski_index_head *before, uint64_t version, uint64_t *ret_version,
                        uint64_t *ret_prev) SKALD_CHECK;
// ski_index_add_missing counts events that cannot be read: SKI_SEGMENT_EVENTS_MAX at most in all,
// for each takes memory. Fails: NOMEM, FULL.
skald_err ski_index_add_missing(ski_index *index, uint64_t events) SKALD_CHECK;
// ski_index_drop takes back one of the newest events; ski_index_cut then forgets their rows:
// position is the last one left.
void ski_index_drop(ski_index *index, const skald_event *event, const ski_index_hashes *hashes);
void ski_index_cut(ski_index *index, uint64_t position);

uint64_t ski_index_bytes(const ski_index *index); // of memory

static inline uint64_t ski_index_last(const ski_index *index) // position
{
    return index->base + index->count;
}

// ski_index_row_of gives the row of a position: base < it <= last.
static inline ski_index_row *ski_index_row_of(const ski_index *index, uint64_t position)
{
    uint32_t slot = (uint32_t)(position - index->base - 1);

    assert(position > index->base && position - index->base <= index->rows.count);
    return (ski_index_row *)index->rows.blocks[slot / SKI_INDEX_BLOCK] + slot % SKI_INDEX_BLOCK;
}

// Lookups give NULL when there is none.
ski_index_key *ski_index_stream(const ski_index *index, uint64_t hash, skald_str tenant,
                                skald_str stream);
ski_index_key *ski_index_type(const ski_index *index, uint64_t hash, skald_str tenant,
                              skald_str type);
ski_index_chain *ski_index_correlation(const ski_index *index, uint64_t hash);
ski_index_key *ski_index_key_at(const ski_index_names *names, uint32_t slot); // slot < table.count
skald_str ski_index_key_tenant(const ski_index_key *key);
skald_str ski_index_key_name(const ski_index_key *key);

// ski_index_head_of is where a stream of the index stands after what was put in order.
ski_index_head ski_index_head_of(const ski_index *index, const ski_index_key *stream);
// ski_index_seen is how many events of a key are at positions <= position.
uint32_t ski_index_seen(const ski_index *index, const ski_postings *postings, uint64_t position);

// ski_index_expect has the processor fetch what a lookup of these hashes will touch.
void ski_index_expect(const ski_index *index, const ski_index_hashes *hashes);

// ski_index_from is the first position whose recorded_at is not before time, last + 1 if none is:
// base <= last <= ski_index_last.
uint64_t ski_index_from(const ski_index *index, int64_t time, uint64_t last);

#endif
