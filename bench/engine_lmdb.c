// SPDX-License-Identifier: Apache-2.0
// LMDB: synced commits, as it comes. Events under their position, indexes in one tree beside them.
#include "engine.h"

#ifdef SKALD_HAVE_LMDB
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct lmdb_engine {
    MDB_env *env;
    MDB_dbi events, indexes;
} lmdb_engine;

static bool good(int code)
{
    if (!code) return true;
    bench_note("LMDB: %s", mdb_strerror(code));
    return false;
}

static void lmdb_close(void *instance)
{
    lmdb_engine *engine = instance;

    if (engine->env) mdb_env_close(engine->env);
    free(engine);
}

static void *lmdb_open(const char *folder)
{
    static const size_t map_bytes = (size_t)64 << 30; // of addresses
    lmdb_engine *engine = calloc(1, sizeof *engine);  // style: a program's own
    MDB_txn *txn = NULL;
    char path[600];

    (void)snprintf(path, sizeof path, "%s/lmdb", folder);
    (void)mkdir(path, 0755);
    if (engine && good(mdb_env_create(&engine->env)) &&
        good(mdb_env_set_mapsize(engine->env, map_bytes)) &&
        good(mdb_env_set_maxdbs(engine->env, 2)) &&
        good(mdb_env_open(engine->env, path, 0, 0644)) &&
        good(mdb_txn_begin(engine->env, NULL, 0, &txn)) &&
        good(mdb_dbi_open(txn, "events", MDB_CREATE | MDB_INTEGERKEY, &engine->events)) &&
        good(mdb_dbi_open(txn, "indexes", MDB_CREATE, &engine->indexes)) &&
        good(mdb_txn_commit(txn)))
        return engine;
    if (engine) lmdb_close(engine);
    return NULL;
}

static bool put_index(lmdb_engine *engine, MDB_txn *txn, char *key, size_t len, size_t position)
{
    MDB_val k = {len, key}, v = {sizeof position, &position};

    return good(mdb_put(txn, engine->indexes, &k, &v, MDB_NOOVERWRITE));
}

static bool put_event(lmdb_engine *engine, MDB_txn *txn, uint64_t n)
{
    char record[BENCH_RECORD_BYTES], key[BENCH_KEY_BYTES];
    size_t position = n + 1, len;
    bench_texts texts;
    skald_event event;

    bench_event_fill(n, &texts, &event);
    event.id = bench_number_id(n);
    len = bench_record(n, &event, record);
    MDB_val k = {sizeof position, &position}, v = {len, record};
    if (!good(mdb_put(txn, engine->events, &k, &v, MDB_APPEND))) return false;
    len = bench_key('s', event.stream, n / BENCH_STREAMS + 1, key);
    if (!put_index(engine, txn, key, len, position)) return false;
    len = bench_key('t', event.type, position, key);
    if (!put_index(engine, txn, key, len, position)) return false;
    len = bench_key('c', event.correlation_id, position, key);
    if (!put_index(engine, txn, key, len, position)) return false;
    key[0] = 'i';
    memcpy(key + 1, event.id.bytes, sizeof event.id.bytes);
    return put_index(engine, txn, key, 1 + sizeof event.id.bytes, position);
}

static bool lmdb_append(void *instance, uint64_t first, size_t count)
{
    lmdb_engine *engine = instance;
    MDB_txn *txn;

    if (!good(mdb_txn_begin(engine->env, NULL, 0, &txn))) return false;
    for (uint64_t n = first; n < first + count; n++) {
        if (put_event(engine, txn, n)) continue;
        mdb_txn_abort(txn);
        return false;
    }
    return good(mdb_txn_commit(txn));
}

static bool lmdb_read_all(void *instance, bench_seen *seen)
{
    lmdb_engine *engine = instance;
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_txn *txn;
    int code;

    if (!good(mdb_txn_begin(engine->env, NULL, MDB_RDONLY, &txn))) return false;
    if (!good(mdb_cursor_open(txn, engine->events, &cursor))) return false;
    while (!(code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)))
        bench_see_record(seen, value.mv_data, value.mv_size);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return code == MDB_NOTFOUND;
}

// lmdb_read goes over the keys that begin as this one does before its number.
static bool lmdb_read(lmdb_engine *engine, char kind, skald_str text, bench_seen *seen)
{
    char key[BENCH_KEY_BYTES];
    size_t prefix = bench_key(kind, text, 0, key) - 8;
    MDB_val k = {prefix + 8, key}, v, event;
    MDB_cursor *cursor;
    MDB_txn *txn;
    int code;

    if (!good(mdb_txn_begin(engine->env, NULL, MDB_RDONLY, &txn))) return false;
    if (!good(mdb_cursor_open(txn, engine->indexes, &cursor))) return false;
    code = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (!code && k.mv_size == prefix + 8 && memcmp(k.mv_data, key, prefix) == 0) {
        size_t position;

        memcpy(&position, v.mv_data, sizeof position);
        MDB_val at = {sizeof position, &position};
        code = mdb_get(txn, engine->events, &at, &event);
        if (code) break;
        bench_see_record(seen, event.mv_data, event.mv_size);
        code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return !code || code == MDB_NOTFOUND;
}

static bool lmdb_read_stream(void *instance, uint64_t n, bench_seen *seen)
{
    bench_texts texts;
    skald_event event;

    bench_event_fill(n, &texts, &event);
    return lmdb_read(instance, 's', event.stream, seen);
}

static bool lmdb_read_type(void *instance, uint64_t n, bench_seen *seen)
{
    bench_texts texts;
    skald_event event;

    bench_event_fill(n, &texts, &event);
    return lmdb_read(instance, 't', event.type, seen);
}

static bool lmdb_read_correlation(void *instance, uint64_t n, bench_seen *seen)
{
    bench_texts texts;
    skald_event event;

    bench_event_fill(n * BENCH_CHAIN, &texts, &event);
    return lmdb_read(instance, 'c', event.correlation_id, seen);
}

static uint64_t lmdb_bytes(void *instance, const char *folder)
{
    (void)instance;
    return bench_folder_bytes(folder);
}

const bench_engine bench_engine_lmdb = {
    .name = "LMDB",
    .writers = 1,
    .open = lmdb_open,
    .close = lmdb_close,
    .append = lmdb_append,
    .read_all = lmdb_read_all,
    .read_stream = lmdb_read_stream,
    .read_type = lmdb_read_type,
    .read_correlation = lmdb_read_correlation,
    .bytes = lmdb_bytes,
};
#else
const bench_engine bench_engine_lmdb = {.name = "LMDB"};
#endif
