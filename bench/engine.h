// SPDX-License-Identifier: Apache-2.0
// bench/engine.h - an embedded engine that keeps the benchmark's events: ours, and three that
// others would take, each used as its makers advise.
//
// All do the same work: events by position, and indexes by stream and version, type, correlation
// and id; a batch is one durable commit. What ours does beside that (looking for ids it knows,
// giving versions, checking) the peers are spared: event n has version n / BENCH_STREAMS + 1.
#ifndef SKALD_BENCH_ENGINE_H
#define SKALD_BENCH_ENGINE_H

#include "bench.h"

enum { BENCH_STREAMS = 1000, BENCH_TYPES = 10, BENCH_CHAIN = 10 };

// What a read gives: counted and touched, so that nobody can leave it out.
typedef struct bench_seen {
    uint64_t events, bytes;
} bench_seen;

// What is looked at, in order: everything, or one stream, type or chain.
typedef enum bench_look { BENCH_ALL, BENCH_STREAM, BENCH_TYPE, BENCH_CORRELATION } bench_look;

typedef struct bench_engine {
    const char *name;
    int writers; // threads that append side by side, as suits it
    // open makes folder's store, or opens what is in it. NULL: it cannot, and has said why.
    void *(*open)(const char *folder);
    void (*close)(void *engine);
    // append stores events first to first + count - 1 in one durable commit. One thread at a time,
    // unless there are several writers.
    bool (*append)(void *engine, uint64_t first, size_t count);
    bool (*read)(void *engine, bench_look look, uint64_t n, bench_seen *seen); // n: which one
    uint64_t (*bytes)(void *engine, const char *folder);                       // kept, as files
} bench_engine;

// NULL: was not there when this was built.
extern const bench_engine bench_engine_skald, bench_engine_sqlite, bench_engine_lmdb,
    bench_engine_rocksdb;
enum { BENCH_PEERS = 3 };
// bench_peers are the three peers; false, having said which, when one is missing.
bool bench_peers(const bench_engine *ret_peers[BENCH_PEERS]);

// bench_number_id is the id of event n, as every engine keeps it.
skald_uuid bench_number_id(uint64_t n);
void bench_see(bench_seen *seen, const void *bytes, size_t len);
void bench_see_record(bench_seen *seen, const char *bytes, size_t len); // every field of it
// bench_look_name is what stream, type or chain number n is called, in texts.
skald_str bench_look_name(bench_look look, uint64_t n, bench_texts *texts);

// For engines of keys and values: an event is a record under its position, and its position under
// one key for each index: a kind, a text, a zero byte and a big-endian number, or an id. Keys sort
// as they should.
enum { BENCH_RECORD_BYTES = 512, BENCH_KEY_BYTES = 64, BENCH_INDEXES = 4 };
typedef struct bench_entries {
    uint64_t position;
    char record[BENCH_RECORD_BYTES];
    size_t record_len;
    char keys[BENCH_INDEXES][BENCH_KEY_BYTES];
    size_t key_lens[BENCH_INDEXES];
} bench_entries;
void bench_entries_make(uint64_t n, bench_entries *ret_entries);
size_t bench_key(char kind, skald_str text, uint64_t number, char key[BENCH_KEY_BYTES]);
// bench_key_first is the least key that a look may meet; what all of them begin with is the length
// given, 8 bytes less.
size_t bench_key_first(bench_look look, uint64_t n, char key[BENCH_KEY_BYTES]);
bool bench_key_under(const char *key, size_t len, const char *first, size_t first_len);

uint64_t bench_folder_bytes(const char *folder);
// bench_events is how many events a row is to use: SKALD_BENCH_EVENTS, or otherwise.
uint64_t bench_events(uint64_t otherwise);
// bench_fill appends events until there are count, in big batches.
bool bench_fill(const bench_engine *engine, void *instance, uint64_t count);

#endif
