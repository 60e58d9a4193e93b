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

static bool put_event(lmdb_engine *engine, MDB_txn *txn, uint64_t n)
{
    bench_entries entries;
    size_t position = n + 1;

    bench_entries_make(n, &entries);
    MDB_val at = {sizeof position, &position}, record = {entries.record_len, entries.record};
    bool done = good(mdb_put(txn, engine->events, &at, &record, MDB_APPEND));

    for (int i = 0; done && i < BENCH_INDEXES; i++) {
        MDB_val key = {entries.key_lens[i], entries.keys[i]};

        done = good(mdb_put(txn, engine->indexes, &key, &at, MDB_NOOVERWRITE));
    }
    return done;
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

static int read_all(MDB_cursor *cursor, bench_seen *seen)
{
    MDB_val key, value;
    int code;

    while (!(code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)))
        bench_see_record(seen, value.mv_data, value.mv_size);
    return code;
}

// read_index goes over the keys of a look, and fetches what they lead to.
static int read_index(const lmdb_engine *engine, MDB_cursor *cursor, bench_look look, uint64_t n,
                      bench_seen *seen)
{
    char first[BENCH_KEY_BYTES];
    size_t first_len = bench_key_first(look, n, first);
    MDB_val key = {first_len, first}, position, event;
    int code = mdb_cursor_get(cursor, &key, &position, MDB_SET_RANGE);

    while (!code && bench_key_under(key.mv_data, key.mv_size, first, first_len)) {
        code = mdb_get(mdb_cursor_txn(cursor), engine->events, &position, &event);
        if (code) break;
        bench_see_record(seen, event.mv_data, event.mv_size);
        code = mdb_cursor_get(cursor, &key, &position, MDB_NEXT);
    }
    return code;
}

static bool lmdb_read(void *instance, bench_look look, uint64_t n, bench_seen *seen)
{
    const lmdb_engine *engine = instance;
    MDB_cursor *cursor;
    MDB_txn *txn;
    int code;

    if (!good(mdb_txn_begin(engine->env, NULL, MDB_RDONLY, &txn))) return false;
    if (!good(
            mdb_cursor_open(txn, look == BENCH_ALL ? engine->events : engine->indexes, &cursor))) {
        mdb_txn_abort(txn);
        return false;
    }
    code = look == BENCH_ALL ? read_all(cursor, seen) : read_index(engine, cursor, look, n, seen);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return !code || code == MDB_NOTFOUND;
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
    .read = lmdb_read,
    .bytes = lmdb_bytes,
};
#else
const bench_engine bench_engine_lmdb = {.name = "LMDB"};
#endif
