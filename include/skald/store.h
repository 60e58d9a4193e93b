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
    uint32_t event_bytes_max;  // of one event's data: 1 MiB
    uint64_t segment_bytes;    // log driver: 128 MiB
    uint64_t append_bytes_max; // taken but not yet stored, then FULL: 64 MiB
    uint64_t dedup_events_max; // ids remembered: 16 million
    bool read_only;            // nothing is written, not even to recover; no lock is taken over
} skald_store_options;

// skald_store_open picks the driver by scheme: "memory:", "log:/var/lib/skald". Waits.
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
// CONFLICT (the stream, what was expected and what is there), INVALID (also: an id stands twice in
// events), TOOBIG, FULL, READONLY, CLOSED.
SKALD_API SKALD_CHECK skald_err skald_store_append(skald_store *store, const skald_event *events,
                                                   size_t count,
                                                   const skald_append_options *options,
                                                   skald_appended *ret_appended,
                                                   skald_error *reterr_error);

// skald_read: what to read. Zero reads everything, oldest first, to the end as it stands now.
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

// skald_cursor_open copies the read. NULL reads everything. Fails: INVALID, NOMEM.
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

// skald_store_event finds one event by id; it lives in arena. Waits. Fails: NOTFOUND.
SKALD_API SKALD_CHECK skald_err skald_store_event(skald_store *store, skald_uuid id,
                                                  skald_str tenant, skald_arena *arena,
                                                  skald_event *ret_event);

// skald_store_head is the last durable position, 0 for none. Never waits.
SKALD_API uint64_t skald_store_head(const skald_store *store);

// skald_stream_version: where a stream stands; 0: it does not exist.
SKALD_API SKALD_CHECK skald_err skald_stream_version(skald_store *store, skald_str tenant,
                                                     skald_str stream, uint64_t *ret_version);

// skald_counted is a name with how many events it has: a stream or a type.
typedef struct skald_counted {
    skald_str name;
    uint64_t count;
    uint64_t position_last; // of its newest event
} skald_counted;

// skald_store_streams gives the streams of a tenant whose name begins with prefix and comes after
// after, by name, at most count_max (1 to 100,000); skald_store_types the types, all of them.
// tenant {NULL, 0}: every tenant (names may then repeat). What is given lives in arena. Fails:
// INVALID (count_max), NOMEM.
SKALD_API SKALD_CHECK skald_err skald_store_streams(skald_store *store, skald_str tenant,
                                                    skald_str prefix, skald_str after,
                                                    size_t count_max, skald_arena *arena,
                                                    const skald_counted **ret_streams,
                                                    size_t *ret_count);
SKALD_API SKALD_CHECK skald_err skald_store_types(skald_store *store, skald_str tenant,
                                                  skald_arena *arena,
                                                  const skald_counted **ret_types,
                                                  size_t *ret_count);

// skald_store_state says how the store is doing, for /ready and /metrics. Never waits.
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
    // Of the log driver; 0 elsewhere. index_bytes above is of memory, all of these together.
    uint64_t segments_sealed;  // that are answered from an index file
    uint64_t index_file_bytes; // of index files and the stream directory
    uint64_t filter_bytes;     // of memory, of their filters
    uint64_t recent_bytes;     // of memory, of the ids that make appends repeatable
    uint64_t directory_bytes;  // of memory, of the stream directory
    uint64_t directory_runs;
    uint64_t seals;          // segments indexed since it was opened
    uint64_t index_rebuilds; // index files made again since, for they were lost or damaged
} skald_store_state;
SKALD_API void skald_store_state_get(const skald_store *store, skald_store_state *ret_state);

// skald_store_verify reads every byte of a store that may be in use and reports each damaged range;
// report may be NULL. Waits, long. Fails: CORRUPT (the first one). progress is told of bytes read
// and in all; may be NULL.
typedef struct skald_damage {
    const char *file;
    uint64_t offset, length;
    uint64_t position_first, position_last; // 0: not known
    const char *why;
} skald_damage;
typedef struct skald_verify_options {
    void (*damaged)(void *context, const skald_damage *damage);
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_all);
    void *context;
} skald_verify_options;
typedef struct skald_verified {
    uint64_t events, bytes, segments, position_last, damaged;
} skald_verified;
SKALD_API SKALD_CHECK skald_err skald_store_verify(skald_store *store,
                                                   const skald_verify_options *options,
                                                   skald_verified *ret_verified,
                                                   skald_error *reterr_error);

#ifdef __cplusplus
}
#endif
#endif // SKALD_STORE_H
