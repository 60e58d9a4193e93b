// SPDX-License-Identifier: Apache-2.0
// Remembering the ids of sealed segments: of one that is being sealed before the window gives it
// up, of those that were there when the store was opened one by one, the newest first, while it is
// in use. Until they all are, who looks for an id asks the index files of the others.
//
// Invariants:
//   1. The ids of every sealed position from ids_from on are in memory, unless they are older than
//   is remembered; what that is they are told by the newest visible position: what is only staged
//   may be taken back.
//   2. A segment counts only when all of its ids are there: what was begun and given up is done
//   again, and adding an id twice changes nothing.
#include "base/log.h"
#include "store/log/engine.h"

#define REMEMBER_RETRY_NS (UINT64_C(5) * 1000 * 1000 * 1000)

typedef struct remembering {
    ski_engine *engine;
    skald_err err;
} remembering;

static uint64_t oldest_of(const ski_engine *engine, uint64_t last)
{
    return last > engine->dedup_events_max ? last - engine->dedup_events_max + 1 : 1;
}

uint64_t ski_remember_oldest(const ski_engine *engine)
{
    return oldest_of(engine, ski_window_last(&engine->window));
}

bool ski_remember_next(const ski_engine *engine, ski_ids_cursor *cursor, uint64_t *ret_first,
                       uint64_t *ret_last)
{
    uint64_t oldest = ski_remember_oldest(engine), from = engine->ids_from, first = 0, last = 0;

    while (ski_ids_next(&engine->ids, cursor, &first, &last)) {
        if (last < oldest || last < from) continue;
        *ret_first = first < from ? from : first;
        *ret_last = last;
        return true;
    }
    return false;
}

bool ski_remember_due(const ski_engine *engine)
{
    return engine->ids_from > oldest_of(engine, atomic_load(&engine->visible));
}

bool ski_remember_wanted(const ski_engine *engine)
{
    if (!ski_remember_due(engine)) return false;
    return !engine->ids_until_ns || ski_engine_now_ns(engine) >= engine->ids_until_ns;
}

// ids_visit puts some hundred ids into memory, in one hold of the lock.
static bool ids_visit(void *context, const ski_sealed_id_entry *entries, size_t count)
{
    remembering *job = context;
    ski_engine *engine = job->engine;
    uint64_t oldest = 0, last = 0;
    bool follow = false;

    ski_mutex_lock(&engine->lock);
    last = atomic_load(&engine->visible);
    oldest = oldest_of(engine, last);
    for (size_t i = 0; i < count && !job->err; i++) {
        if (entries[i].position < oldest) continue;
        job->err = ski_ids_add(&engine->ids, entries[i].hash, entries[i].position, last);
    }
    if (!job->err && (engine->closing || engine->dead)) job->err = SKALD_ECLOSED;
    follow = ski_follow_wanted(engine);
    ski_mutex_unlock(&engine->lock);
    if (follow && !job->err) ski_follow_step(engine); // appends may wait for that
    return !job->err;
}

skald_err ski_remember_sealed(ski_engine *engine, const ski_sealed *sealed,
                              skald_error *reterr_error)
{
    remembering job = {.engine = engine};
    skald_err err = ski_sealed_ids_each(sealed, ids_visit, &job, reterr_error);

    return err ? err : job.err;
}

// remember_failed: index files are asked meanwhile; a damaged one is made again first.
static void remember_failed(ski_engine *engine, uint32_t slot, skald_err err)
{
    char name[SKI_SEGMENT_NAME];

    if (err == SKALD_ECORRUPT) ski_engine_suspect(engine, slot);
    ski_mutex_lock(&engine->lock);
    ski_engine_segment_name(engine, slot, name);
    engine->ids_until_ns = ski_engine_now_ns(engine) + REMEMBER_RETRY_NS;
    ski_mutex_unlock(&engine->lock);
    if (err == SKALD_ECLOSED) return;
    ski_log_line(engine->host->log, SKALD_WARN,
                 "the ids of a segment could not be loaded; tried again later", "file", name, "why",
                 skald_err_text(err), NULL);
}

bool ski_remember_step(ski_engine *engine)
{
    ski_indexed *indexed = NULL;
    uint64_t first = 0;
    uint32_t slot = 0;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&engine->lock);
    slot = ski_engine_slot(engine, engine->ids_from - 1);
    first = engine->segments[slot]->base_pos;
    indexed = ski_engine_index_held(engine, slot);
    ski_mutex_unlock(&engine->lock);
    if (indexed) err = ski_remember_sealed(engine, indexed->sealed, NULL);
    ski_engine_index_return(engine, indexed);
    if (err) {
        remember_failed(engine, slot, err);
        return false;
    }
    ski_mutex_lock(&engine->lock);
    engine->ids_from = first;
    engine->ids_until_ns = 0;
    ski_mutex_unlock(&engine->lock);
    return true;
}
