// SPDX-License-Identifier: Apache-2.0
// store/log/sealed.h - the immutable index of a sealed segment: seg-<no>.<generation>.idx.
//
// It is built from the segment's file alone and may be lost: building it again gives the same. A
// reader holds little (the footer, one key per block, a time for every 1024 events: about 30 bytes
// a KiB of index); everything else is read in blocks of 4 KiB, whose checksum is held against each
// block whenever it is read. Damage is CORRUPT, and the error names file, section and bytes.
//
// Threads. A ski_sealed is read by any number of threads at once, and its filters may be loaded and
// dropped meanwhile; close it when nobody uses it. Iterators and lists belong to one thread.
#ifndef SKI_STORE_LOG_SEALED_H
#define SKI_STORE_LOG_SEALED_H

#include "os/kernel.h"
#include "os/thread.h"
#include "store/log/blocks.h"
#include "store/log/cache.h"
#include "store/log/entries.h"
#include "store/log/keys.h"

enum {
    SKI_SEALED_NAME = 48,        // bytes of a file's name and its NUL
    SKI_SEALED_GROUP = 128,      // positions of a list that are read at a time
    SKI_SEALED_NAME_BYTES = 320, // a tenant and a name
    SKI_SEALED_ID_BITS = 40,     // of an id's hash, the upper ones, are kept
};

typedef struct ski_sealed ski_sealed;

// A pool bounds how many index files are open at once: one is opened when it is read and another
// one, not in use, closed for it. It outlives what was opened with it. Any thread.
typedef struct ski_sealed_pool {
    ski_mutex lock; // short; an opening of a file is done under it
    const ski_kernel *kernel;
    ski_cache *cache;         // of what is looked up in them; NULL, as init sets it: none
    ski_sealed *first, *hand; // a ring
    uint32_t files, files_max;
} ski_sealed_pool;
void ski_sealed_pool_init(ski_sealed_pool *pool, const ski_kernel *kernel, uint32_t files_max);
void ski_sealed_pool_fini(ski_sealed_pool *pool); // nothing of it is open

typedef struct ski_sealed_info {
    skald_uuid store;
    uint32_t no, generation;
    uint64_t base_pos;
    uint64_t count;           // positions base_pos to base_pos + count - 1
    uint64_t events;          // that are there
    uint64_t erased, damaged; // positions: events + erased + damaged == count
    uint64_t end;             // of the segment's frames: behind SEAL
    uint64_t bytes_live;      // of the records that are there
    uint64_t salt;            // of the segment's header
    uint32_t prev_crc;    // of the segment's header: the chain of the segment before ended in it
    uint32_t chain_crc;   // of the last frame; of a rewritten one: that it had when it was first
                          // sealed, with which the next one begins
    uint32_t incarnation; // of the last frame
    int64_t append_us;    // of the last frame
    int64_t recorded_first, recorded_last;                      // of events; 0: there are none
    uint64_t streams, names, types, tenants, correlations, ids; // entries
    uint64_t file_bytes;                                        // of the index
} ski_sealed_info;

void ski_sealed_name(char name[SKI_SEALED_NAME], uint32_t no, uint32_t generation);
bool ski_sealed_name_parse(const char *name, uint32_t *ret_no, uint32_t *ret_generation);

// --- building ---------------------------------------------------------------------------------

typedef struct ski_sealed_follower ski_sealed_follower; // below

// Large arrays that one building has done with, for the next one. Zero has none. One thread; end it
// with drop.
enum { SKI_SEALED_SPARES = 5 };
typedef struct ski_sealed_memory {
    void *spares[SKI_SEALED_SPARES];
    size_t bytes[SKI_SEALED_SPARES];
    uint32_t count;
} ski_sealed_memory;
void ski_sealed_memory_drop(ski_sealed_memory *memory);
size_t ski_sealed_memory_bytes(const ski_sealed_memory *memory);

typedef struct ski_sealed_source {
    const ski_kernel *kernel;
    const char *path; // the store's directory
    skald_uuid store;
    uint32_t no, generation;
    uint64_t next_pos; // base position of the segment behind it: what is not found up to there is
                       // damaged; 0: not known, then there must be a SEAL
    uint64_t events;   // about so many, so that there is room for them at once; 0: not known
    bool uncached;     // the kernel does not have the segment in memory
    ski_sealed_memory *memory; // NULL: every building has its own
    // interrupted may be NULL; asked every few thousand events, true ends the building with CLOSED.
    // It may take its time.
    bool (*interrupted)(void *context);
    // damaged may be NULL; told of ranges of the segment that are not valid frames, and of the
    // positions lost there (0, 0: none).
    void (*damaged)(void *context, uint64_t offset, uint64_t length, uint64_t position_first,
                    uint64_t position_last);
    void *context;
} ski_sealed_source;

// ski_sealed_build scans the segment and writes its index: a .tmp, synced, renamed over what may be
// there, the directory synced. Takes about 110 bytes of memory an event meanwhile. Where the frames
// of a segment skip positions though their chain is whole, those are erased; where the chain is
// broken, damaged. Fails: NOTFOUND (no such segment), CORRUPT (its header, or it has no SEAL and no
// damage either: it is not sealed), UNSUPPORTED, READONLY, IO (also: a sync failed, *ret_unsure),
// NOMEM, CLOSED, TOOBIG (more positions than fit); then there is no new index, and at most a .tmp.
skald_err ski_sealed_build(const ski_sealed_source *source, bool *ret_unsure,
                           skald_error *reterr_error) SKALD_CHECK;
// ski_sealed_build_memory builds it without a file, for a store that is only read: its blocks are
// held in memory. Fails as above.
skald_err ski_sealed_build_memory(const ski_sealed_source *source, ski_sealed_pool *pool,
                                  ski_sealed **ret_sealed, skald_error *reterr_error) SKALD_CHECK;

// --- following --------------------------------------------------------------------------------

// The same, for who has in memory what is written to a segment: it is gone over as it comes, and
// building then needs no file of the segment and gives the same index, byte for byte. One thread at
// a time. begin reads the segment's header, and nothing else; source->uncached, interrupted,
// damaged and next_pos mean nothing there. Fails: NOTFOUND, CORRUPT, UNSUPPORTED, IO, NOMEM.
skald_err ski_sealed_follow_begin(const ski_sealed_source *source,
                                  ski_sealed_follower **ret_follower) SKALD_CHECK;
// ski_sealed_follow takes the whole frames that stand at offset, behind those before. When it fails
// the follower is good for nothing but its end: CORRUPT (they are not what follows), NOMEM, TOOBIG.
skald_err ski_sealed_follow(ski_sealed_follower *follower, uint64_t offset, const uint8_t *bytes,
                            size_t len) SKALD_CHECK;
// ski_sealed_followed: it has all of a segment whose frames end there, before so many positions.
bool ski_sealed_followed(const ski_sealed_follower *follower, uint64_t end, uint64_t next_pos);
// ski_sealed_follower_bytes gives about how much memory it has; NULL is allowed.
size_t ski_sealed_follower_bytes(const ski_sealed_follower *follower);
void ski_sealed_follow_end(ski_sealed_follower *follower); // NULL is allowed
// ski_sealed_build_followed writes the index as ski_sealed_build does, and takes the follower, also
// when it fails.
skald_err ski_sealed_build_followed(const ski_sealed_source *source,
                                    ski_sealed_follower *take_follower, bool *ret_unsure,
                                    skald_error *reterr_error) SKALD_CHECK;

// --- opening ----------------------------------------------------------------------------------

// ski_sealed_open reads the footer and what is kept in memory, nothing else. Fails: NOTFOUND,
// CORRUPT (also: it is another store's or another segment's), UNSUPPORTED, IO, NOMEM.
skald_err ski_sealed_open(ski_sealed_pool *pool, const char *path, skald_uuid store, uint32_t no,
                          uint32_t generation, ski_sealed **ret_sealed, skald_error *reterr_error)
    SKALD_CHECK;
void ski_sealed_close(ski_sealed *sealed); // NULL is allowed
const ski_sealed_info *ski_sealed_info_of(const ski_sealed *sealed);
uint64_t ski_sealed_bytes(const ski_sealed *sealed); // of memory, filters included
// ski_sealed_check reads every block and holds its checksum against it.
skald_err ski_sealed_check(const ski_sealed *sealed, skald_error *reterr_error) SKALD_CHECK;

// --- filters ----------------------------------------------------------------------------------

typedef enum ski_sealed_table {
    SKI_SEALED_STREAMS,      // asked by fp.hi
    SKI_SEALED_CORRELATIONS, // by hash
    SKI_SEALED_IDS,          // by hash
} ski_sealed_table;
enum { SKI_SEALED_TABLES = 3 };

uint64_t ski_sealed_filter_bytes(const ski_sealed *sealed, ski_sealed_table table);
// load: OK also if it is loaded. drop: false: not now, try again.
skald_err ski_sealed_filter_load(ski_sealed *sealed, ski_sealed_table table,
                                 skald_error *reterr_error) SKALD_CHECK;
bool ski_sealed_filter_drop(ski_sealed *sealed, ski_sealed_table table);
// ski_sealed_may_have asks the loaded filter, else reads one block of it. Lookups ask loaded ones
// by themselves; without one they read one block of the table at once.
skald_err ski_sealed_may_have(const ski_sealed *sealed, ski_sealed_table table, uint64_t hash,
                              bool *ret_may, skald_error *reterr_error) SKALD_CHECK;

// --- events -----------------------------------------------------------------------------------

typedef enum ski_sealed_state {
    SKI_SEALED_THERE,
    SKI_SEALED_ERASED,
    SKI_SEALED_DAMAGED, // in the segment
} ski_sealed_state;

typedef struct ski_sealed_place {
    ski_sealed_state state;
    uint64_t offset;  // in the segment; 0 unless THERE
    uint64_t len_max; // of the record: no more than this need be read
} ski_sealed_place;

// ski_sealed_places gives those of up to count positions from position on (base_pos <= position <
// base_pos + info.count): at least one. Fails: CORRUPT, IO.
skald_err ski_sealed_places(const ski_sealed *sealed, uint64_t position, size_t count,
                            ski_sealed_place *ret_places, size_t *ret_count,
                            skald_error *reterr_error) SKALD_CHECK;

// A view is one checked block at a time, lent by the cache or read into its own room: what is
// looked at again and again is then not read again. For one thread, from begin to end.
typedef struct ski_sealed_view {
    const ski_sealed *sealed;
    const uint8_t *bytes; // of the block
    uint32_t at;          // its number in the file; UINT32_MAX: none
    ski_piece *piece;     // that bytes lie in, or that lies around it; NULL: none is lent
    uint32_t piece_number;
    bool passing; // set after begin by who looks at all of it once: the cache is left as it is
    uint8_t room[SKI_BLOCK];
} ski_sealed_view;
void ski_sealed_view_begin(ski_sealed_view *view, const ski_sealed *sealed);
void ski_sealed_view_end(ski_sealed_view *view);
// ski_sealed_places_of is ski_sealed_places through a view.
skald_err ski_sealed_places_of(ski_sealed_view *view, uint64_t position, size_t count,
                               ski_sealed_place *ret_places, size_t *ret_count,
                               skald_error *reterr_error) SKALD_CHECK;

// ski_sealed_at_time: every event before *ret_low was recorded before time, every one from
// *ret_high on was not. Between them are at most 1024 positions (more where none is there); both
// are base_pos + count when all were recorded before. From memory.
void ski_sealed_at_time(const ski_sealed *sealed, int64_t time, uint64_t *ret_low,
                        uint64_t *ret_high);

// --- lists ------------------------------------------------------------------------------------

// The rising positions of what has something in common; a group of them is in memory at a time.
// Zero is empty. It may be copied.
typedef struct ski_sealed_list {
    uint32_t count;
    uint8_t kind;              // the module's own, as everything below
    uint32_t first, last;      // rows
    uint32_t group, group_len; // the one in memory; group_len 0: none
    uint64_t at;
    uint32_t rows[SKI_SEALED_GROUP];
} ski_sealed_list;

// ski_sealed_list_at gives the position of number n (from 0; n < count). Going on in either
// direction reads once for each group. Fails: CORRUPT, IO.
skald_err ski_sealed_list_at(const ski_sealed *sealed, ski_sealed_list *list, uint32_t n,
                             uint64_t *ret_position, skald_error *reterr_error) SKALD_CHECK;
// ski_sealed_list_after is how many are <= position: the number of the first one behind it.
skald_err ski_sealed_list_after(const ski_sealed *sealed, ski_sealed_list *list, uint64_t position,
                                uint32_t *ret_n, skald_error *reterr_error) SKALD_CHECK;

// --- lookups: NOTFOUND is an answer; also CORRUPT, IO -------------------------------------------

typedef struct ski_sealed_stream {
    ski_fp fp;
    uint64_t first_version;          // of the first event of it that is there; 0: none is
    uint64_t last_version, last_pos; // that it reached here, its event there or not
    uint64_t prev_pos; // of the stream's event before this segment's first, which says the segment;
                       // 0: none, it begins here
    ski_sealed_list list; // when list.count == last_version - first_version + 1, version v is
                          // number v - first_version
} ski_sealed_stream;

skald_err ski_sealed_stream_find(const ski_sealed *sealed, ski_fp fp, ski_sealed_stream *ret_stream,
                                 skald_error *reterr_error) SKALD_CHECK;
// Two correlations of one hash have one list: the record tells them apart.
skald_err ski_sealed_correlation(const ski_sealed *sealed, uint64_t hash, ski_sealed_list *ret_list,
                                 skald_error *reterr_error) SKALD_CHECK;
// ski_sealed_id gives the newest position < before whose id's hash agrees in SKI_SEALED_ID_BITS.
skald_err ski_sealed_id(const ski_sealed *sealed, uint64_t hash, uint64_t before,
                        uint64_t *ret_position, skald_error *reterr_error) SKALD_CHECK;

// What has a name: sorted by (tenant, name), bytewise.
typedef enum ski_sealed_names {
    SKI_SEALED_TYPES,
    SKI_SEALED_TENANTS, // their name is empty
    SKI_SEALED_FIRST,   // streams whose version 1 is here; no list, no count
} ski_sealed_names;
typedef struct ski_sealed_named {
    uint64_t last_pos;
    ski_sealed_list list;
} ski_sealed_named;

// ski_sealed_named_find: TYPES, or TENANTS with an empty name.
skald_err ski_sealed_named_find(const ski_sealed *sealed, ski_sealed_names names, skald_str tenant,
                                skald_str name, ski_sealed_named *ret_named,
                                skald_error *reterr_error) SKALD_CHECK;

// --- going over a table -------------------------------------------------------------------------

// Names in order. About 5 KiB; needs no ending.
typedef struct ski_sealed_names_iter {
    const ski_sealed *sealed;
    ski_sealed_names names;
    uint32_t block, blocks; // the next one to be read
    uint32_t at;            // in bytes
    skald_str tenant, name; // of the entry; borrowed until next
    uint32_t count;         // of its events in this segment; FIRST: 0
    uint64_t last_pos;      // FIRST: 0
    bool waiting;           // the first entry was read by begin
    char text[SKI_SEALED_NAME_BYTES];
    uint8_t bytes[4096];
} ski_sealed_names_iter;
// ski_sealed_names_begin: from the first entry on that is not before (tenant, name).
skald_err ski_sealed_names_begin(ski_sealed_names_iter *iter, const ski_sealed *sealed,
                                 ski_sealed_names names, skald_str tenant, skald_str name,
                                 skald_error *reterr_error) SKALD_CHECK;
// ski_sealed_names_next fails: NOTFOUND (the end), CORRUPT, IO.
skald_err ski_sealed_names_next(ski_sealed_names_iter *iter, skald_error *reterr_error) SKALD_CHECK;

// The streams by fingerprint: what a run is made of. End it with streams_end.
typedef struct ski_sealed_streams_iter {
    const ski_sealed *sealed;
    ski_entries entries;
    ski_fp fp;
    uint64_t last_version, last_pos, prev_pos;
} ski_sealed_streams_iter;
skald_err ski_sealed_streams_begin(ski_sealed_streams_iter *iter,
                                   const ski_sealed *sealed) SKALD_CHECK; // NOMEM
skald_err ski_sealed_streams_next(ski_sealed_streams_iter *iter,
                                  skald_error *reterr_error) SKALD_CHECK; // NOTFOUND: the end
void ski_sealed_streams_end(ski_sealed_streams_iter *iter);

// Every id, by rising hash, some hundreds at a time. hash: only the upper SKI_SEALED_ID_BITS, the
// others are 0. The visitor returns false to stop. Fails: CORRUPT, IO, NOMEM.
typedef struct ski_sealed_id_entry {
    uint64_t hash, position;
} ski_sealed_id_entry;
skald_err ski_sealed_ids_each(const ski_sealed *sealed,
                              bool (*visit)(void *context, const ski_sealed_id_entry *entries,
                                            size_t count),
                              void *context, skald_error *reterr_error) SKALD_CHECK;

#endif
