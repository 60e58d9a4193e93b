// SPDX-License-Identifier: Apache-2.0
// store/log/resolve.h - what must be known before a batch is put in order: whether its ids are
// known, and where its streams stand. What is not in memory is read without the lock.
#ifndef SKI_STORE_LOG_RESOLVE_H
#define SKI_STORE_LOG_RESOLVE_H

#include "store/log/engine.h"
#include "store/log/lookup.h"

// An event that is stored under the same id; position 0: there is none.
typedef struct ski_resolve_known {
    uint64_t position, content, version;
    int64_t recorded_at;
} ski_resolve_known;

// What is known of an event before ordering. The caller fills what is above known.
typedef struct ski_resolve_event {
    ski_index_hashes hashes;
    uint64_t content;
    uint32_t len;
    ski_resolve_known known;
    ski_resolve_known read; // found in a record that was read
    ski_index_key *stream;  // its stream in the newest part of the window, if that has it
} ski_resolve_event;

typedef struct ski_resolve_stream {
    uint64_t hash;
    skald_str tenant, stream;
    ski_index_head head;
} ski_resolve_stream;

// An event whose id index files of a range may have.
typedef struct ski_resolve_id {
    size_t event;
    ski_lookup_range range;
} ski_resolve_id;

typedef struct ski_resolve {
    ski_engine *engine;
    skald_store_batch *batch;
    ski_resolve_event *events;
    bool may_read;               // the caller may wait for the disk
    bool ids_asked;              // there are events, and not all ids are made
    uint64_t read_up_to;         // index files up to here were asked for what they may have
    bool read_old;               // and for ids of long ago
    uint64_t epoch;              // of the window when streams were asked for
    ski_resolve_stream *streams; // asked for, sorted by hash
    size_t stream_count, stream_size;
    size_t asked;        // of them have an answer
    ski_resolve_id *ids; // to be asked for
    size_t id_count, id_size;
} ski_resolve;

void ski_resolve_init(ski_resolve *resolve, ski_engine *engine, skald_store_batch *batch,
                      ski_resolve_event *events);
void ski_resolve_fini(ski_resolve *resolve);
// ski_resolve_held is called with the lock held, and returns with it held; in between it may have
// been free. When it is OK events[].known and .stream are right, and stay so while the lock is
// held. *ret_unread, and OK: something must be read and may not be. Fails: NOMEM, CORRUPT, IO (what
// must be known cannot be read), READONLY.
skald_err ski_resolve_held(ski_resolve *resolve, bool *ret_unread) SKALD_CHECK;
// Then: where a stream of the batch stands, and whether what the batch expects is so. The lock is
// still held. Fails: CONFLICT (the batch says which).
ski_index_head ski_resolve_head(const ski_resolve *resolve, uint64_t hash, skald_str tenant,
                                skald_str stream);
skald_err ski_resolve_expect(const ski_resolve *resolve) SKALD_CHECK;

#endif
