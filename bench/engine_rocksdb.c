// SPDX-License-Identifier: Apache-2.0
// RocksDB: one synced write batch a commit, room for its cache, else as it comes.
#include "engine.h"

#ifdef SKALD_HAVE_ROCKSDB
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct rocksdb_engine {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *synced;
    rocksdb_readoptions_t *reads;
} rocksdb_engine;

// good says and frees an error.
static bool good(char *error)
{
    if (!error) return true;
    bench_note("RocksDB: %s", error);
    rocksdb_free(error);
    return false;
}

static void peer_close(void *instance)
{
    rocksdb_engine *engine = instance;

    if (engine->db) rocksdb_close(engine->db);
    rocksdb_readoptions_destroy(engine->reads);
    rocksdb_writeoptions_destroy(engine->synced);
    rocksdb_options_destroy(engine->options);
    free(engine);
}

static void *peer_open(const char *folder)
{
    static const size_t cache_bytes = 256 << 20;
    rocksdb_engine *engine = calloc(1, sizeof *engine); // style: a program's own
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(cache_bytes);
    char *error = NULL;
    char path[600];

    if (!engine) return NULL;
    (void)snprintf(path, sizeof path, "%s/rocksdb", folder);
    engine->options = rocksdb_options_create();
    engine->synced = rocksdb_writeoptions_create();
    engine->reads = rocksdb_readoptions_create();
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_options_set_block_based_table_factory(engine->options, table);
    rocksdb_options_set_create_if_missing(engine->options, 1);
    rocksdb_options_increase_parallelism(engine->options, 2);
    rocksdb_writeoptions_set_sync(engine->synced, 1);
    engine->db = rocksdb_open(engine->options, path, &error);
    rocksdb_block_based_options_destroy(table);
    rocksdb_cache_destroy(cache); // ours; the table keeps its own
    if (good(error)) return engine;
    peer_close(engine);
    return NULL;
}

static void put_event(rocksdb_writebatch_t *batch, uint64_t n)
{
    char record[BENCH_RECORD_BYTES], key[BENCH_KEY_BYTES];
    uint64_t position = n + 1;
    bench_texts texts;
    skald_event event;
    size_t len;

    bench_event_fill(n, &texts, &event);
    event.id = bench_number_id(n);
    len = bench_key('e', (skald_str){0}, position, key);
    rocksdb_writebatch_put(batch, key, len, record, bench_record(n, &event, record));
    len = bench_key('s', event.stream, n / BENCH_STREAMS + 1, key);
    rocksdb_writebatch_put(batch, key, len, (const char *)&position, sizeof position);
    len = bench_key('t', event.type, position, key);
    rocksdb_writebatch_put(batch, key, len, (const char *)&position, sizeof position);
    len = bench_key('c', event.correlation_id, position, key);
    rocksdb_writebatch_put(batch, key, len, (const char *)&position, sizeof position);
    key[0] = 'i';
    memcpy(key + 1, event.id.bytes, sizeof event.id.bytes);
    rocksdb_writebatch_put(batch, key, 1 + sizeof event.id.bytes, (const char *)&position,
                           sizeof position);
}

static bool peer_append(void *instance, uint64_t first, size_t count)
{
    rocksdb_engine *engine = instance;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    char *error = NULL;

    for (uint64_t n = first; n < first + count; n++) put_event(batch, n);
    rocksdb_write(engine->db, engine->synced, batch, &error);
    rocksdb_writebatch_destroy(batch);
    return good(error);
}

static bool peer_read_all(void *instance, bench_seen *seen)
{
    rocksdb_engine *engine = instance;
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(engine->db, engine->reads);
    char *error = NULL;

    for (rocksdb_iter_seek(iterator, "e", 1); rocksdb_iter_valid(iterator);
         rocksdb_iter_next(iterator)) {
        size_t len;

        if (rocksdb_iter_key(iterator, &len)[0] != 'e') break;
        const char *value = rocksdb_iter_value(iterator, &len);
        bench_see_record(seen, value, len);
    }
    rocksdb_iter_get_error(iterator, &error);
    rocksdb_iter_destroy(iterator);
    return good(error);
}

static bool see_at(rocksdb_engine *engine, const char *position_bytes, bench_seen *seen)
{
    char key[BENCH_KEY_BYTES];
    char *error = NULL;
    uint64_t position;

    memcpy(&position, position_bytes, sizeof position);
    size_t len = bench_key('e', (skald_str){0}, position, key);
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(engine->db, engine->reads, key, len, &error);
    if (!good(error) || !slice) return false;
    const char *value = rocksdb_pinnableslice_value(slice, &len);
    bench_see_record(seen, value, len);
    rocksdb_pinnableslice_destroy(slice);
    return true;
}

static bool peer_read(rocksdb_engine *engine, char kind, skald_str text, bench_seen *seen)
{
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(engine->db, engine->reads);
    char key[BENCH_KEY_BYTES];
    size_t prefix = bench_key(kind, text, 0, key) - 8;
    char *error = NULL;
    bool done = true;

    for (rocksdb_iter_seek(iterator, key, prefix); done && rocksdb_iter_valid(iterator);
         rocksdb_iter_next(iterator)) {
        size_t len, value_len;
        const char *here = rocksdb_iter_key(iterator, &len);

        if (len != prefix + 8 || memcmp(here, key, prefix) != 0) break;
        done = see_at(engine, rocksdb_iter_value(iterator, &value_len), seen);
    }
    rocksdb_iter_get_error(iterator, &error);
    rocksdb_iter_destroy(iterator);
    return good(error) && done;
}

static bool peer_read_stream(void *instance, uint64_t n, bench_seen *seen)
{
    bench_texts texts;
    skald_event event;

    bench_event_fill(n, &texts, &event);
    return peer_read(instance, 's', event.stream, seen);
}

static bool peer_read_type(void *instance, uint64_t n, bench_seen *seen)
{
    bench_texts texts;
    skald_event event;

    bench_event_fill(n, &texts, &event);
    return peer_read(instance, 't', event.type, seen);
}

static bool peer_read_correlation(void *instance, uint64_t n, bench_seen *seen)
{
    bench_texts texts;
    skald_event event;

    bench_event_fill(n * BENCH_CHAIN, &texts, &event);
    return peer_read(instance, 'c', event.correlation_id, seen);
}

static uint64_t peer_bytes(void *instance, const char *folder)
{
    (void)instance;
    return bench_folder_bytes(folder);
}

const bench_engine bench_engine_rocksdb = {
    .name = "RocksDB",
    .writers = 2, // it commits in groups, too
    .open = peer_open,
    .close = peer_close,
    .append = peer_append,
    .read_all = peer_read_all,
    .read_stream = peer_read_stream,
    .read_type = peer_read_type,
    .read_correlation = peer_read_correlation,
    .bytes = peer_bytes,
};
#else
const bench_engine bench_engine_rocksdb = {.name = "RocksDB"};
#endif
