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
    char key[BENCH_KEY_BYTES];
    bench_entries entries;

    bench_entries_make(n, &entries);
    size_t len = bench_key('e', (skald_str){0}, entries.position, key);
    rocksdb_writebatch_put(batch, key, len, entries.record, entries.record_len);
    for (int i = 0; i < BENCH_INDEXES; i++)
        rocksdb_writebatch_put(batch, entries.keys[i], entries.key_lens[i],
                               (const char *)&entries.position, sizeof entries.position);
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

static bool read_all(rocksdb_iterator_t *iterator, bench_seen *seen)
{
    for (rocksdb_iter_seek(iterator, "e", 1); rocksdb_iter_valid(iterator);
         rocksdb_iter_next(iterator)) {
        size_t len;

        if (rocksdb_iter_key(iterator, &len)[0] != 'e') break;
        const char *value = rocksdb_iter_value(iterator, &len);
        bench_see_record(seen, value, len);
    }
    return true;
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

// read_index goes over the keys of a look, and fetches what they lead to.
static bool read_index(rocksdb_engine *engine, rocksdb_iterator_t *iterator, bench_look look,
                       uint64_t n, bench_seen *seen)
{
    char first[BENCH_KEY_BYTES];
    size_t first_len = bench_key_first(look, n, first);
    bool done = true;

    for (rocksdb_iter_seek(iterator, first, first_len); done && rocksdb_iter_valid(iterator);
         rocksdb_iter_next(iterator)) {
        size_t len, value_len;
        const char *key = rocksdb_iter_key(iterator, &len);

        if (!bench_key_under(key, len, first, first_len)) break;
        done = see_at(engine, rocksdb_iter_value(iterator, &value_len), seen);
    }
    return done;
}

static bool peer_read(void *instance, bench_look look, uint64_t n, bench_seen *seen)
{
    rocksdb_engine *engine = instance;
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(engine->db, engine->reads);
    bool done =
        look == BENCH_ALL ? read_all(iterator, seen) : read_index(engine, iterator, look, n, seen);
    char *error = NULL;

    rocksdb_iter_get_error(iterator, &error);
    rocksdb_iter_destroy(iterator);
    return good(error) && done;
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
    .read = peer_read,
    .bytes = peer_bytes,
};
#else
const bench_engine bench_engine_rocksdb = {.name = "RocksDB"};
#endif
