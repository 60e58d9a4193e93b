// SPDX-License-Identifier: Apache-2.0
// skald/store.h - the event store: append and read.
//
// A store is one totally ordered log. Positions are dense from 1, never reused, and seen by readers
// only in order; each stream counts its own versions, dense from 1. A stream belongs to a tenant:
// two tenants may have streams of one name and never meet. Any thread may call any function here; a
// cursor belongs to one thread. Functions that say "waits" block for the disk: call them from a
// worker, never from an event loop.
#ifndef SKALD_STORE_H
#define SKALD_STORE_H

#include <skald/event.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct skald_store skald_store;

// When an append counts as done. Weaker than durable is asked for by name, append by append.
typedef enum skald_durability {
    SKALD_DURABLE, // survives process, kernel and power
    SKALD_WRITTEN, // survives the process
    SKALD_MEMORY   // visible to readers
} skald_durability;

// skald_expect states where a stream must stand for an append to happen.
typedef enum skald_expected { SKALD_ANY, SKALD_NONE, SKALD_PRESENT, SKALD_AT } skald_expected;
typedef struct skald_expect {
    skald_str tenant, stream;
    skald_expected expected;
    uint64_t version; // with SKALD_AT; 0 is SKALD_NONE
} skald_expect;

// The most one append may hold; events and named streams are few or many, their texts together
// count.
enum {
    SKALD_APPEND_EVENTS_MAX = 16384,
    SKALD_APPEND_EXPECTS_MAX = 16384,
    SKALD_APPEND_BYTES_MAX = 24 * 1024 * 1024,
};

typedef struct skald_append_options {
    skald_durability durability;
    const skald_expect *expect;
    size_t expect_count;
} skald_append_options;

typedef struct skald_appended {
    uint64_t position_first, position_last;
    uint64_t stream_version; // of the last event; 0: it has no stream
    bool repeated;           // every id was there already: these are the first result's numbers
} skald_appended;

typedef struct skald_store_options {
    const skald_clock *clock;
    const skald_log *log;
    uint32_t event_bytes_max;   // of one event's data: 1 MiB
    uint64_t segment_bytes;     // log driver: 64 MiB
    uint64_t append_bytes_max;  // taken but not yet stored, then FULL: 64 MiB
    uint64_t dedup_events_max;  // ids remembered: 16 million
    bool read_only;             // nothing is written, not even to recover; no lock is taken over
    uint32_t stream_metas_max;  // streams with metadata, some 400 bytes of memory each: 250,000
    uint64_t scrub_bytes_per_s; // log driver: read and verified again in the background: 4 MiB
    // compact_every_s: compacted in the background so often, if anything is hidden; 0: only when
    // skald_store_compact or skald_store_compact_later is called.
    uint64_t compact_every_s;
    // cache_bytes: log driver: of events and indexes that were read, kept in memory, taken as they
    // are read: 64 MiB.
    uint64_t cache_bytes;
} skald_store_options;
#define SKALD_CACHE_OFF UINT64_MAX // as cache_bytes: nothing is kept
#define SKALD_SCRUB_OFF UINT64_MAX // as scrub_bytes_per_s: nothing is

// skald_store_open picks the driver by scheme: "memory:", "log:/var/lib/skald",
// "sqlite:/var/lib/skald.db". What has none is a directory, as behind "log:"; one whose name begins
// like a scheme is given as "./name:…". Waits.
// "memory:?events_max=1000" keeps the 1,000 newest events, as SKALD_RETAIN_LIMIT, until retention
// is set; what is older leaves as others come, and its memory is theirs. Names stay: each stream's
// with its version, for a version is never given again, some 150 bytes, and each type's; so do
// named values. Who may lag that far sets SKALD_RETAIN_ACKED: with SKALD_RETAIN_LIMIT a durable
// subscription passes over what has left and it is counted (events_lost), one without a name passes
// over it and nobody counts. "memory:?bytes_max=1000000" holds so much, then FULL; both go
// together with "&".
// Fails: CORRUPT (the range), HELD (by which process), UNAVAILABLE, INVALID, IO.
SKALD_API SKALD_CHECK skald_err skald_store_open(const char *url,
                                                 const skald_store_options *options,
                                                 skald_store **ret_store,
                                                 skald_error *reterr_error);
// skald_store_close waits for calls in progress and ends appends in flight. Cursors are closed
// before. NULL is allowed.
SKALD_API void skald_store_close(skald_store *store);

// skald_store_append appends all events, to any number of streams, or none of them. Waits until
// they are as durable as asked. Events with a zero id are given one. ret_appended may be NULL.
//
// An id the store knows makes the append a repetition: if every id is known with the same content,
// nothing is stored and the first result is given again, repeated true, whatever the streams are
// expected to be at. Fails: EXISTS (an id is known with other content, or only some are known),
// CONFLICT (the stream, what was expected and what is there), INVALID (the field; also: an id
// stands twice in events, a name begins with '$', which is reserved), STATE (a stream is
// tombstoned), TOOBIG, FULL, READONLY, CLOSED.
SKALD_API SKALD_CHECK skald_err skald_store_append(skald_store *store, const skald_event *events,
                                                   size_t count,
                                                   const skald_append_options *options,
                                                   skald_appended *ret_appended,
                                                   skald_error *reterr_error);

// skald_read: what to read. Zero reads everything, oldest first, to the end as it stands now. What
// a stream's metadata or the log's retention hides is passed over and does not count; so is what is
// stored under names that begin with '$', unless the filter names such a stream, type or category.
// A stream as it was at a time: to, a microsecond behind it.
typedef struct skald_read {
    skald_filter filter;
    uint64_t after;                    // only positions > after
    uint64_t before;                   // only positions < before; 0: no bound
    skald_time from, to;               // recorded_at, half open; 0 open
    uint64_t version_from, version_to; // of one stream, which the filter names; inclusive; 0 open
    uint64_t events_max;               // in all; 0 no end
    uint32_t page_bytes_max;           // 256 KiB held at a time, whatever the length of the read
    bool backwards;
} skald_read;

// skald_cursor_open copies the read. NULL reads everything. Fails: INVALID (also a type that can
// mean no event, as "order*"), NOMEM.
// skald_cursor_next gives the next event, borrowed until the next call, or NULL at the end; called
// again later it goes on if there is more by then. Waits. Fails: CORRUPT (the range; called again
// it goes on behind it), IO.
typedef struct skald_cursor skald_cursor;
SKALD_API SKALD_CHECK skald_err skald_cursor_open(skald_store *store, const skald_read *read,
                                                  skald_cursor **ret_cursor);
SKALD_API SKALD_CHECK skald_err skald_cursor_next(skald_cursor *cursor,
                                                  const skald_event **ret_event,
                                                  skald_error *reterr_error);
SKALD_API uint64_t skald_cursor_position(const skald_cursor *cursor); // of the last event given
SKALD_API void skald_cursor_close(skald_cursor *cursor);

// skald_store_event finds one event by id; it lives in arena. Waits. Fails: NOTFOUND, CORRUPT (the
// cursor that comes to it says which range), IO.
SKALD_API SKALD_CHECK skald_err skald_store_event(skald_store *store, skald_uuid id,
                                                  skald_str tenant, skald_arena *arena,
                                                  skald_event *ret_event);

// skald_store_head is the last durable position, 0 for none. Never waits.
SKALD_API uint64_t skald_store_head(const skald_store *store);

// skald_stream_version: where a stream stands; 0: it does not exist, or was deleted and not written
// since. Waits.
SKALD_API SKALD_CHECK skald_err skald_stream_version(skald_store *store, skald_str tenant,
                                                     skald_str stream, uint64_t *ret_version);

// skald_counted is a stream or a type.
typedef struct skald_counted {
    skald_str name;
    uint64_t count;         // of a type: its events that can be read; of a stream: its version
    uint64_t position_last; // of its newest event
    skald_str tenant;       // whose it is; NULL ptr: that of the one asked for
} skald_counted;

// skald_store_streams gives the streams of a tenant whose name begins with prefix, by tenant and
// name, at most count_max (1 to 100,000), from behind after on, the last of the page before, of
// which only these two are looked at; NULL: from the first on. skald_store_types gives the types,
// all of them. tenant {NULL, 0}: every tenant. A stream of which nothing can be read is left out.
// What is given lives in arena. Waits: types, for as long as it takes to look at what is hidden and
// not yet compacted, 100,000 events at most: hidden ones beyond that are still in the counts.
// Fails: INVALID (count_max), NOMEM.
SKALD_API SKALD_CHECK skald_err skald_store_streams(skald_store *store, skald_str tenant,
                                                    skald_str prefix, const skald_counted *after,
                                                    size_t count_max, skald_arena *arena,
                                                    const skald_counted **ret_streams,
                                                    size_t *ret_count);
SKALD_API SKALD_CHECK skald_err skald_store_types(skald_store *store, skald_str tenant,
                                                  skald_arena *arena,
                                                  const skald_counted **ret_types,
                                                  size_t *ret_count);

// skald_store_state says how the store is doing, for /ready and /metrics. It waits for no append,
// but asks the file system how much is free.
enum { SKALD_SYNC_BUCKETS = 16, SKALD_DAMAGES_SHOWN = 8 };
// skald_damaged is a range of stored data that cannot be read. Everything outside of it can be.
typedef struct skald_damaged {
    char file[64];
    uint64_t offset, length;
    uint64_t position_first, position_last; // first > last: no events; last UINT64_MAX: all from
                                            // first on
} skald_damaged;
typedef struct skald_store_state {
    uint64_t head;         // last durable position
    uint64_t bytes_stored; // in files or memory
    uint64_t appends_waiting;
    uint64_t syncs;   // since it was opened
    uint64_t sync_ns; // spent in them
    uint64_t segments;
    uint64_t index_bytes;
    bool read_only;         // appends are refused
    char read_only_why[96]; // "disk full", or empty
    uint32_t stream_metas;  // streams with metadata
    uint64_t events_lost;   // hidden by retention before a durable subscription had read them,
                            // summed over subscriptions, since it was opened
    // Of the log driver; 0 elsewhere. index_bytes above is of memory, all of these together, what
    // the next index is made of, and buffers kept for the next appends.
    uint64_t segments_sealed;  // that are answered from an index file
    uint64_t index_file_bytes; // of index files and the stream directory
    uint64_t filter_bytes;     // of memory, of their filters
    uint64_t recent_bytes;     // of memory, of the ids that make appends repeatable
    uint64_t directory_bytes;  // of memory, of the stream directory
    uint64_t directory_runs;
    uint64_t cache_bytes, cache_bytes_max; // of memory beside those, of files that were read
    uint64_t cache_hits, cache_misses;     // pieces of them asked for, since it was opened
    uint64_t seals;                        // segments indexed since it was opened
    uint64_t index_rebuilds; // index files made again since, for they were lost or damaged
    // Since it was opened: segments rewritten without what is dead, those of them of which no event
    // was left, events erased, bytes that files became less by.
    uint64_t compactions, segments_dropped, events_erased, bytes_freed;
    uint64_t bytes_waiting, bytes_waiting_max; // of appends_waiting; the limit, 0: there is none
    uint64_t bytes_free; // for this user on the file system of the store; UINT64_MAX: not known
    // Syncs that took at most 50 us, 100 us, 250 us, 500 us, 1 ms, 2.5, 5, 10, 25, 50, 100, 250,
    // 500 ms, 2.5 s, 10 s; the last: longer. Each is counted once.
    uint64_t sync_counts[SKALD_SYNC_BUCKETS];
    // Damage that is known: found when it was opened, read, verified or scrubbed. The first ranges.
    uint64_t damages;
    skald_damaged damage[SKALD_DAMAGES_SHOWN];
    uint64_t scrub_bytes;    // verified in the background since it was opened
    uint64_t scrub_segments; // verified so to their end
} skald_store_state;
SKALD_API void skald_store_state_get(const skald_store *store, skald_store_state *ret_state);

// skald_stream_meta says what is kept of a stream. What is not kept is hidden from every read at
// once and its ids are still known; skald_store_compact takes it from the disk. Zero keeps all.
typedef struct skald_stream_meta {
    uint64_t max_count;       // only so many of the newest
    skald_time max_age;       // microseconds: only what was recorded so long ago at most
    uint64_t truncate_before; // only versions from this one on
    bool deleted;             // given only: deleted, and nothing was appended since
    bool tombstoned;          // given only: deleted for ever
} skald_stream_meta;

// skald_stream_meta_set replaces the metadata of a stream, which need not exist; deleted and
// tombstoned are not looked at. Waits until it is durable. skald_stream_meta_get gives it, zero for
// a stream without any. Fails: INVALID (the field), STATE (the stream is tombstoned), FULL
// (stream_metas_max), READONLY, CLOSED, IO.
SKALD_API SKALD_CHECK skald_err skald_stream_meta_set(skald_store *store, skald_str tenant,
                                                      skald_str stream,
                                                      const skald_stream_meta *meta,
                                                      skald_error *reterr_error);
SKALD_API SKALD_CHECK skald_err skald_stream_meta_get(skald_store *store, skald_str tenant,
                                                      skald_str stream,
                                                      skald_stream_meta *ret_meta);

// skald_stream_delete hides all events of a stream. It can be written again: SKALD_ANY, SKALD_NONE
// and SKALD_AT its last version hold, SKALD_PRESENT does not, and its versions go on. With
// tombstone it never can: appends to it fail with STATE (a repetition of an append from before is
// still answered with the first result). expect names the stream and where it must stand. Waits.
// Fails: NOTFOUND (there is no such stream; with tombstone that is fine), CONFLICT, STATE (it is
// tombstoned), INVALID, FULL (stream_metas_max), READONLY, CLOSED, IO.
SKALD_API SKALD_CHECK skald_err skald_stream_delete(skald_store *store, const skald_expect *expect,
                                                    bool tombstone, skald_error *reterr_error);

// skald_retention is how much of the whole log is kept; zero keeps all. It is kept in the store.
typedef enum skald_retain {
    SKALD_RETAIN_ACKED,  // but nothing goes that a durable subscription has not read
    SKALD_RETAIN_ALWAYS, // nothing goes at all: limits wait
    SKALD_RETAIN_LIMIT   // what is beyond goes; what a subscription lost by it is counted
} skald_retain;
typedef struct skald_retention {
    skald_time max_age;  // microseconds; 0: any
    uint64_t max_events; // positions, from the newest back; 0: any number
    skald_retain policy;
} skald_retention;
// skald_retention_set waits until it is durable. Fails: INVALID, READONLY, CLOSED, IO.
SKALD_API SKALD_CHECK skald_err skald_retention_set(skald_store *store,
                                                    const skald_retention *retention,
                                                    skald_error *reterr_error);
SKALD_API void skald_retention_get(skald_store *store, skald_retention *ret_retention);

// skald_store_compact takes what is hidden from the disk or memory. One runs at a time. Stopped or
// interrupted, it goes on where it was the next time. Waits, long. Fails: STATE (one runs),
// UNSUPPORTED (by this driver), READONLY, CLOSED, IO, CORRUPT.
typedef struct skald_compact_options {
    uint64_t bytes_per_s; // read and written together; 0: as fast as it can
    bool erase;           // rewrite wherever anything is hidden, however little: for what must go
    // progress is told of bytes done and in all; false stops. May be NULL.
    bool (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_all);
    void *context;
} skald_compact_options;
typedef struct skald_compacted {
    uint64_t events_erased, bytes_freed;
} skald_compacted;
SKALD_API SKALD_CHECK skald_err skald_store_compact(skald_store *store,
                                                    const skald_compact_options *options,
                                                    skald_compacted *ret_compacted,
                                                    skald_error *reterr_error);
// skald_store_compact_later has a thread of the store compact it soon, slowly, and returns at once;
// asked again meanwhile it does so again. Fails: UNSUPPORTED, READONLY, CLOSED, NOMEM.
SKALD_API SKALD_CHECK skald_err skald_store_compact_later(skald_store *store, bool erase,
                                                          skald_error *reterr_error);

// skald_snapshot is what a stream amounts to up to a version, in the words of whoever folds it.
typedef struct skald_snapshot {
    uint64_t stream_version; // 1 or more
    uint32_t schema_version; // of bytes; 0 is taken as 1
    skald_str bytes;         // 1 byte to event_bytes_max
    skald_time recorded_at;  // given only
} skald_snapshot;

// skald_snapshot_put keeps one snapshot a stream, the one of the highest stream version: an older
// one is not stored and that is no error. Its stream's name has at most
// SKALD_SNAPSHOT_STREAM_BYTES_MAX bytes. Waits until it is durable. Fails: INVALID (the stream is
// not at that version), TOOBIG, STATE (it is tombstoned), CONFLICT (others put at the same time,
// again and again), READONLY, FULL, CLOSED, IO.
enum { SKALD_SNAPSHOT_STREAM_BYTES_MAX = SKALD_STREAM_BYTES_MAX - 10 };
SKALD_API SKALD_CHECK skald_err skald_snapshot_put(skald_store *store, skald_str tenant,
                                                   skald_str stream, const skald_snapshot *snapshot,
                                                   skald_error *reterr_error);
// skald_snapshot_get gives the snapshot of a stream, in arena. schema_version: the one the caller
// can read; 0: any. Waits. Fails: NOTFOUND (none, or the stream was deleted since), SCHEMA (there
// is one of another schema version: fold the stream from its beginning and put a new one).
SKALD_API SKALD_CHECK skald_err skald_snapshot_get(skald_store *store, skald_str tenant,
                                                   skald_str stream, uint32_t schema_version,
                                                   skald_arena *arena,
                                                   skald_snapshot *ret_snapshot);
// skald_snapshot_delete: none is fine. Fails as put.
SKALD_API SKALD_CHECK skald_err skald_snapshot_delete(skald_store *store, skald_str tenant,
                                                      skald_str stream, skald_error *reterr_error);

// skald_store_verify reads every byte of a store that may be in use and reports each damaged range;
// report may be NULL. Waits, long. Fails: CORRUPT (the first one). progress is told of bytes read
// and in all; may be NULL.
typedef struct skald_damage {
    const char *file;
    uint64_t offset, length;
    uint64_t position_first, position_last; // 0: not known
    const char *why;
    bool repairable; // made of the events, and can be made of them again: nothing is lost
} skald_damage;
typedef struct skald_verify_options {
    void (*damaged)(void *context, const skald_damage *damage);
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_all);
    void *context;
    bool repair; // what is repairable is made again; the store was not opened read-only
} skald_verify_options;
typedef struct skald_verified {
    uint64_t events, bytes, segments, position_last, damaged;
    uint64_t repairable, repaired; // of damaged
} skald_verified;
SKALD_API SKALD_CHECK skald_err skald_store_verify(skald_store *store,
                                                   const skald_verify_options *options,
                                                   skald_verified *ret_verified,
                                                   skald_error *reterr_error);

// skald_store_backup copies a store that may be in use, as it stands at one moment, into a
// directory that is empty or not there: a store of its own, of the same uuid, which is opened by
// naming it ("log:DIRECTORY"; of a sqlite store the file in it). Appends go on meanwhile. What
// never changes again is linked where the file system can, so that it costs nothing, and copied
// elsewhere. It is on the device when this returns; when it fails, what is in the directory is no
// store and can be removed. progress false ends it with CLOSED. Waits, long. Fails: EXISTS (the
// directory is not empty), UNSUPPORTED (by this driver), CORRUPT (the end of the log is damaged:
// see skald_store_salvage), READONLY (no room), UNAVAILABLE (too much changes meanwhile, again and
// again), CLOSED, IO.
typedef struct skald_backup_options {
    bool (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_all); // may be NULL
    void *context;
} skald_backup_options;
typedef struct skald_backed_up {
    uint64_t position_last;       // everything up to here is in it
    uint64_t bytes, bytes_linked; // in all; of these shared with the store's own files
    uint64_t files;
    uint64_t damages; // ranges known to be damaged, in the copy as in the store
} skald_backed_up;
SKALD_API SKALD_CHECK skald_err skald_store_backup(skald_store *store, const char *directory,
                                                   const skald_backup_options *options,
                                                   skald_backed_up *ret_backed_up,
                                                   skald_error *reterr_error);

// skald_store_salvage makes, of a store opened read-only because it is damaged, a new one in a
// directory that is empty or not there: everything that can be read, at its position and version,
// with its id and times. Positions that are lost stay empty, as erased ones do, and are never given
// again; lost is told of each range and may be NULL. Named values are those of the last state that
// can be read. Waits, long. Fails: as skald_store_backup; STATE (the store is open for writing).
typedef struct skald_salvage_options {
    void (*lost)(void *context, const skald_damage *damage);
    bool (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_all); // may be NULL
    void *context;
} skald_salvage_options;
typedef struct skald_salvaged {
    uint64_t events, position_last, bytes;
    uint64_t ranges_lost, positions_lost;
} skald_salvaged;
SKALD_API SKALD_CHECK skald_err skald_store_salvage(skald_store *store, const char *directory,
                                                    const skald_salvage_options *options,
                                                    skald_salvaged *ret_salvaged,
                                                    skald_error *reterr_error);

// skald_store_parts_each tells of every file a store consists of, oldest first; visit false stops.
// Its texts are borrowed for the call. Waits. Fails: UNSUPPORTED (by this driver).
typedef enum skald_store_part_kind {
    SKALD_PART_SEGMENT, // events
    SKALD_PART_RUN,     // where streams stand
    SKALD_PART_STATE,   // named values and totals
} skald_store_part_kind;
typedef struct skald_store_part {
    skald_store_part_kind kind;
    const char *file;
    uint32_t number, generation;              // of a segment; of a run or a state: its number
    uint64_t bytes;                           // of its file
    uint64_t position_first, position_last;   // last < first: none
    skald_time recorded_first, recorded_last; // 0: no events, or not known
    bool sealed;                              // it is full, and answered from its index
    // Of a sealed segment; 0 otherwise.
    uint64_t events, erased, damaged; // positions
    uint64_t live_bytes;              // of the events that are there
    uint64_t index_bytes;             // of its index file
    uint64_t streams, types, tenants, correlations;
} skald_store_part;
SKALD_API SKALD_CHECK skald_err skald_store_parts_each(skald_store *store,
                                                       bool (*visit)(void *context,
                                                                     const skald_store_part *part),
                                                       void *context, skald_error *reterr_error);

#ifdef __cplusplus
}
#endif
#endif // SKALD_STORE_H
