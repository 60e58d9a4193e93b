// SPDX-License-Identifier: Apache-2.0
// Resolving. The batch is gone over with the lock held; what the window cannot answer is noted, the
// lock is given up, index files and records are read, and the batch is gone over again: until
// nothing is missing. Mostly that is the first time.
//
// Invariants:
//   1. An answer about a stream that was read counts only while nothing has left the window since
//      it was asked for (epoch): what is newer than the index files is in the window, and that is
//      asked first.
//   2. An id is known when a record says so, or a row of the window with the same 64-bit hash.
//   Which index files to ask the remembered ids say; those that are not loaded yet are all asked.
//   3. Ids are forgotten after dedup_events_max events, but not by who says what a stream must look
//   like: then, and only if that is not so, older index files are asked for them.
//   4. Ids that the store has just made are new, and not looked for.
#include "store/log/resolve.h"
#include "base/alloc.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    expect_ahead = 16, // events: so long a cache miss lasts
    first_items = 16,
    rounds_max = 1000, // an answer is out of date only when a segment was sealed meanwhile
};

void ski_resolve_init(ski_resolve *resolve, ski_engine *engine, skald_store_batch *batch,
                      ski_resolve_event *events)
{
    *resolve = (ski_resolve){.engine = engine, .batch = batch, .events = events};
}

void ski_resolve_fini(ski_resolve *resolve)
{
    ski_free(resolve->streams);
    ski_free(resolve->ids);
    resolve->streams = NULL;
    resolve->ids = NULL;
}

static skald_err stream_note(ski_resolve *resolve, uint64_t hash, skald_str tenant,
                             skald_str stream)
{
    if (resolve->stream_count == resolve->stream_size) {
        size_t size = resolve->stream_size ? resolve->stream_size * 2 : first_items;
        ski_resolve_stream *streams = ski_realloc(resolve->streams, size * sizeof *streams);

        if (!streams) return SKALD_ENOMEM;
        resolve->streams = streams;
        resolve->stream_size = size;
    }
    resolve->streams[resolve->stream_count++] =
        (ski_resolve_stream){.hash = hash, .tenant = tenant, .stream = stream};
    return SKALD_OK;
}

static skald_err id_note(ski_resolve *resolve, size_t event, uint64_t first, uint64_t last)
{
    if (resolve->id_count == resolve->id_size) {
        size_t size = resolve->id_size ? resolve->id_size * 2 : first_items;
        ski_resolve_id *ids = ski_realloc(resolve->ids, size * sizeof *ids);

        if (!ids) return SKALD_ENOMEM;
        resolve->ids = ids;
        resolve->id_size = size;
    }
    resolve->ids[resolve->id_count++] = (ski_resolve_id){event, {first, last + 1}};
    return SKALD_OK;
}

// stream_asked gives the answer about a stream, if there is one.
static const ski_resolve_stream *stream_asked(const ski_resolve *resolve, uint64_t hash,
                                              skald_str tenant, skald_str stream)
{
    size_t low = 0, high = resolve->asked;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (resolve->streams[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < resolve->asked && resolve->streams[low].hash == hash; low++) {
        const ski_resolve_stream *asked = &resolve->streams[low];

        if (!skald_str_equal(asked->tenant, tenant)) continue;
        if (skald_str_equal(asked->stream, stream)) return asked;
    }
    return NULL;
}

// stream_look notes a stream that nobody knows of yet. The lock is held.
static skald_err stream_look(ski_resolve *resolve, uint64_t hash, skald_str tenant,
                             skald_str stream)
{
    const ski_engine *engine = resolve->engine;
    ski_index_head head;

    if (ski_window_stream(&engine->window, hash, tenant, stream, &head)) return SKALD_OK;
    if (!engine->sealed_count) return SKALD_OK; // it is not there
    if (stream_asked(resolve, hash, tenant, stream)) return SKALD_OK;
    return stream_note(resolve, hash, tenant, stream);
}

// row_known is an event of the window as known.
static ski_resolve_known row_known(const ski_resolve *resolve, const skald_event *event,
                                   uint64_t hash, uint64_t position)
{
    const ski_index *part = ski_window_at(&resolve->engine->window, position);
    const ski_index_row *row = ski_index_row_of(part, position);
    ski_resolve_known known = {position, row->content, 0, row->recorded_at};

    if (event->stream.len) { // that of the stored event, if it has the same content
        const ski_index_key *key = ski_index_stream(part, hash, event->tenant, event->stream);

        if (key) {
            known.version = key->before.version + ski_index_seen(part, &key->postings, position);
        }
    }
    return known;
}

// id_look_sealed notes where index files may have an event's id.
static skald_err id_look_sealed(ski_resolve *resolve, size_t i, uint64_t last)
{
    const ski_engine *engine = resolve->engine;
    ski_ids_cursor cursor = {.hash = resolve->events[i].hashes.id, .last = last};
    uint64_t oldest = ski_remember_oldest(engine), sealed = engine->sealed_last;
    uint64_t range_first = 0, range_last = 0, unknown = engine->ids_from - 1;

    if (sealed <= resolve->read_up_to || sealed < oldest) return SKALD_OK;
    if (oldest <= resolve->read_up_to) oldest = resolve->read_up_to + 1;
    if (unknown > sealed) unknown = sealed;
    if (unknown >= oldest) SKALD_TRY(id_note(resolve, i, oldest, unknown));
    while (ski_remember_next(engine, &cursor, &range_first, &range_last)) {
        if (range_last > sealed) range_last = sealed;
        if (range_first > range_last || range_last <= resolve->read_up_to) continue;
        SKALD_TRY(id_note(resolve, i, range_first, range_last));
    }
    return SKALD_OK;
}

// id_look finds out whether an event's id is known, as far as that is in memory.
static skald_err id_look(ski_resolve *resolve, size_t i)
{
    const ski_engine *engine = resolve->engine;
    const ski_index_hashes *hashes = &resolve->events[i].hashes;
    uint64_t last = ski_window_last(&engine->window), base = ski_window_base(&engine->window);
    ski_recent_cursor cursor = {.hash = hashes->id, .last = last};
    ski_resolve_known *known = &resolve->events[i].known;
    uint64_t position = 0;

    *known = resolve->events[i].read;
    while ((position = ski_recent_next(&engine->recent, &cursor))) {
        if (position <= base) continue; // an index file has it by now
        if (ski_window_row(&engine->window, position)->id_hash != hashes->id) continue;
        if (position < known->position) continue;
        *known = row_known(resolve, &resolve->batch->events[i], hashes->stream, position);
    }
    if (known->position <= engine->sealed_last) SKALD_TRY(id_look_sealed(resolve, i, last));
    if (resolve->batch->expect_count) return SKALD_OK;
    if (known->position && last - known->position >= engine->dedup_events_max) {
        known->position = 0;
    }
    return SKALD_OK;
}

// hashes_expect has the processor fetch what an event to come will be looked up in.
static void hashes_expect(const ski_engine *engine, const ski_index *newest,
                          const ski_index_hashes *hashes, bool ids_asked)
{
    ski_index_expect(newest, hashes);
    if (!ids_asked) return;
    ski_recent_expect(&engine->recent, hashes->id);
    ski_ids_expect(&engine->ids, hashes->id);
}

// look goes over the batch once. The lock is held.
static skald_err resolve_look(ski_resolve *resolve)
{
    ski_engine *engine = resolve->engine;
    const ski_index *newest = NULL;
    const skald_store_batch *batch = resolve->batch;

    if (engine->turn_due) {
        ski_window_turn(&engine->window);
        engine->turn_due = false;
    }
    if (resolve->epoch != engine->epoch) resolve->asked = 0;
    resolve->stream_count = resolve->asked;
    resolve->id_count = 0;
    newest = ski_window_newest(&engine->window);
    for (size_t i = 0; i < batch->event_count; i++) {
        const skald_event *event = &batch->events[i];
        ski_resolve_event *known = &resolve->events[i];

        if (i + expect_ahead < batch->event_count) {
            hashes_expect(engine, newest, &known[expect_ahead].hashes, resolve->ids_asked);
        }
        if (resolve->ids_asked) SKALD_TRY(id_look(resolve, i));
        known->stream = NULL;
        if (!event->stream.len) continue;
        known->stream =
            ski_index_stream(newest, known->hashes.stream, event->tenant, event->stream);
        if (known->stream) continue;
        SKALD_TRY(stream_look(resolve, known->hashes.stream, event->tenant, event->stream));
    }
    for (size_t i = 0; i < batch->expect_count; i++) {
        const skald_expect *expect = &batch->expect[i];
        uint64_t hash = ski_index_hash_name(engine->seed, expect->tenant, expect->stream);

        SKALD_TRY(stream_look(resolve, hash, expect->tenant, expect->stream));
    }
    return SKALD_OK;
}

static int stream_compare(const void *a, const void *b)
{
    const ski_resolve_stream *one = a, *other = b;

    return (one->hash > other->hash) - (one->hash < other->hash);
}

// streams_ask asks the index files for the streams that were noted, each once. Without the lock.
static skald_err streams_ask(ski_resolve *resolve)
{
    ski_heads heads;
    skald_err err = SKALD_OK;
    size_t kept = 0;

    if (resolve->stream_count == resolve->asked) return SKALD_OK;
    qsort(resolve->streams, resolve->stream_count, sizeof *resolve->streams, stream_compare);
    for (size_t i = 0; i < resolve->stream_count; i++) {
        const ski_resolve_stream *stream = &resolve->streams[i];
        const ski_resolve_stream *before = kept ? &resolve->streams[kept - 1] : NULL;

        if (before && before->hash == stream->hash &&
            skald_str_equal(before->tenant, stream->tenant) &&
            skald_str_equal(before->stream, stream->stream)) {
            continue;
        }
        resolve->streams[kept++] = *stream;
    }
    resolve->stream_count = kept;
    ski_heads_begin(&heads, resolve->engine);
    for (size_t i = 0; i < resolve->stream_count && !err; i++) {
        ski_resolve_stream *stream = &resolve->streams[i];

        err = ski_heads_find(&heads, stream->tenant, stream->stream, &stream->head, NULL);
    }
    ski_heads_end(&heads);
    resolve->asked = err ? 0 : resolve->stream_count;
    return err;
}

// id_ask asks index files for the id of one event. Without the lock.
static skald_err id_ask(ski_resolve *resolve, size_t event, ski_lookup_range range)
{
    const skald_event *wanted = &resolve->batch->events[event];
    ski_resolve_event *known = &resolve->events[event];
    uint8_t *bytes = NULL;
    ski_record record;
    skald_err err = ski_lookup_id(resolve->engine, wanted->tenant, wanted->id, known->hashes.id,
                                  range, &bytes, &record, NULL);

    if (err) return err == SKALD_ENOTFOUND ? SKALD_OK : err;
    if (record.event.position > known->read.position) {
        known->read = (ski_resolve_known){record.event.position, record.content_hash,
                                          record.event.stream_version, record.event.recorded_at};
    }
    ski_free(bytes);
    return SKALD_OK;
}

// ids_ask asks for the ids that were noted.
static skald_err ids_ask(ski_resolve *resolve)
{
    for (size_t i = 0; i < resolve->id_count; i++) {
        SKALD_TRY(id_ask(resolve, resolve->ids[i].event, resolve->ids[i].range));
    }
    return SKALD_OK;
}

// ids_ask_old asks every index file for the ids that are not known, up to the first that none has:
// then the batch is no repetition, and is refused.
static skald_err ids_ask_old(ski_resolve *resolve)
{
    for (size_t i = 0; i < resolve->batch->event_count; i++) {
        if (resolve->events[i].known.position) continue;
        SKALD_TRY(id_ask(resolve, i, (ski_lookup_range){1, UINT64_MAX}));
        if (!resolve->events[i].read.position) break;
    }
    return SKALD_OK;
}

// old_wanted: what is expected is not so. Perhaps that is because the batch was stored long ago.
static bool old_wanted(const ski_resolve *resolve)
{
    skald_store_batch batch = *resolve->batch;
    ski_resolve copy = *resolve;

    copy.batch = &batch;
    return resolve->ids_asked && batch.expect_count && !resolve->read_old &&
           resolve->engine->sealed_count && ski_resolve_expect(&copy) != SKALD_OK;
}

skald_err ski_resolve_held(ski_resolve *resolve, bool *ret_unread)
{
    ski_engine *engine = resolve->engine;

    for (int round = 0; round < rounds_max; round++) {
        uint64_t looked = 0;
        bool streams = false, ids = false, old = false;
        skald_err err = SKALD_OK;

        if (resolve->ids_asked) SKALD_TRY(ski_recall(engine));
        if (engine->dead) return SKALD_EREADONLY; // while the lock was free
        SKALD_TRY(resolve_look(resolve));
        streams = resolve->stream_count > resolve->asked;
        ids = resolve->id_count > 0;
        old = !streams && !ids && old_wanted(resolve);
        *ret_unread = (streams || ids || old) && !resolve->may_read;
        if (*ret_unread || (!streams && !ids && !old)) return SKALD_OK;
        looked = engine->sealed_last;
        resolve->epoch = engine->epoch;
        ski_mutex_unlock(&engine->lock);
        err = streams_ask(resolve);
        if (!err) err = ids_ask(resolve);
        if (!err && old) err = ids_ask_old(resolve);
        ski_mutex_lock(&engine->lock);
        if (err) return err;
        if (ids) resolve->read_up_to = looked;
        resolve->read_old |= old;
    }
    return SKALD_EUNAVAILABLE;
}

ski_index_head ski_resolve_head(const ski_resolve *resolve, uint64_t hash, skald_str tenant,
                                skald_str stream)
{
    const ski_resolve_stream *asked = NULL;
    ski_index_head head = {0};

    if (ski_window_stream(&resolve->engine->window, hash, tenant, stream, &head)) return head;
    asked = stream_asked(resolve, hash, tenant, stream);
    return asked ? asked->head : head;
}

static bool expect_holds(const skald_expect *expect, uint64_t version)
{
    if ((unsigned)expect->expected == SKALD_STORE_AT_LEAST) return version >= expect->version;
    switch (expect->expected) {
    case SKALD_ANY: return true;
    case SKALD_NONE: return version == 0;
    case SKALD_PRESENT: return version != 0;
    case SKALD_AT: return version == expect->version;
    }
    return false;
}

skald_err ski_resolve_expect(const ski_resolve *resolve)
{
    skald_store_batch *batch = resolve->batch;

    for (size_t i = 0; i < batch->expect_count; i++) {
        const skald_expect *expect = &batch->expect[i];
        uint64_t hash = ski_index_hash_name(resolve->engine->seed, expect->tenant, expect->stream);
        uint64_t version = ski_resolve_head(resolve, hash, expect->tenant, expect->stream).version;

        if (expect_holds(expect, version)) continue;
        batch->actual_version = version;
        batch->conflict = i;
        return SKALD_ECONFLICT;
    }
    return SKALD_OK;
}
