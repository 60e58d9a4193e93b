// SPDX-License-Identifier: Apache-2.0
// Compaction: which segments are rewritten, at what pace.
//
// One after the other, oldest first, each of which the index says that enough may be dead is read
// and, if so much is, rewritten and replaced; so whatever ends it, each segment is the old or the
// new one. A segment of which nothing is left keeps its place: its file says where its streams
// stood and what they are called, so that everything that is made of segments can still be made of
// them.
#include "base/log.h"
#include "store/log/rewrite.h"
#include <assert.h>

enum { dead_percent = 40 }; // of a segment's bytes: then it is worth it
#define LOOK_AGAIN_NS (UINT64_C(24) * 3600 * 1000 * 1000 * 1000) // at one that was not worth it
#define LOOK_SOON_NS (LOOK_AGAIN_NS / 4) // the same where all may be dead: more than that is never
#define REST_NS (UINT64_C(100) * 1000 * 1000) // and then it is asked whether to go on

typedef struct compaction {
    ski_engine *engine;
    skald_store_compact_job *job; // NULL: a trim
    uint64_t began_ns;
    uint64_t bytes_done, bytes_all;
    bool stopped;
    bool replaced;
    skald_err damaged; // the first damage there was; reterr_error has it
} compaction;

static bool compaction_proceed(compaction *run)
{
    const skald_store_compact_job *job = run->job;

    if (run->engine->dead) run->stopped = true;
    if (run->stopped || !job) return !run->stopped;
    if (run->bytes_done > run->bytes_all) run->bytes_all = run->bytes_done;
    if (!job->proceed(job->context, run->bytes_done, run->bytes_all)) run->stopped = true;
    return !run->stopped;
}

// compaction_rest waits until the bytes done are not more than the time allows. Without threads
// nobody could end the waiting, and it is not done.
static void compaction_rest(compaction *run)
{
    ski_engine *engine = run->engine;
    uint64_t due_ns = 0, now_ns = 0;

    if (!run->job || !run->job->bytes_per_s || !engine->kernel->spawn) return;
    due_ns =
        run->began_ns + (uint64_t)((double)run->bytes_done / (double)run->job->bytes_per_s * 1e9);
    while ((now_ns = ski_engine_now_ns(engine)) < due_ns) {
        uint64_t for_ns = due_ns - now_ns;

        ski_mutex_lock(&engine->lock);
        (void)ski_cond_wait_ns(&engine->compact_rest, &engine->lock,
                               for_ns < REST_NS ? for_ns : REST_NS);
        ski_mutex_unlock(&engine->lock);
        if (!compaction_proceed(run)) return;
    }
}

static bool compaction_passed(void *context, uint64_t bytes)
{
    compaction *run = context;

    run->bytes_done += bytes;
    compaction_rest(run);
    return compaction_proceed(run);
}

static uint32_t sealed_count(ski_engine *engine)
{
    uint32_t count = 0;

    ski_mutex_lock(&engine->lock);
    count = engine->sealed_count;
    ski_mutex_unlock(&engine->lock);
    return count;
}

static uint64_t segments_bytes(ski_engine *engine)
{
    uint64_t bytes = 0;

    ski_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < engine->sealed_count; i++) bytes += engine->segments[i]->end;
    ski_mutex_unlock(&engine->lock);
    return bytes;
}

static ski_segment *segment_at(ski_engine *engine, uint32_t slot)
{
    ski_segment *segment = NULL;

    ski_mutex_lock(&engine->lock);
    segment = engine->segments[slot];
    ski_mutex_unlock(&engine->lock);
    return segment;
}

static bool enough_bytes(const ski_rewrite *rewrite, uint64_t bytes)
{
    const ski_sealed_info *info = ski_sealed_info_of(rewrite->indexed->sealed);

    return bytes >= info->bytes_live / 100 * dead_percent;
}

static bool worth_it(const compaction *run, const ski_rewrite *rewrite)
{
    if (rewrite->erase && rewrite->values_replaced) return true;
    if (!rewrite->dead) return false;
    if (!run->job || rewrite->erase || rewrite->dead == rewrite->events) return true;
    return enough_bytes(rewrite, rewrite->bytes_dead);
}

// likely: a segment is to be read. To erase every one is: an index says nothing of named values.
// Otherwise one of which enough may be dead, unless it was read a short time ago and nothing has
// died since, as far as an index can say that.
static skald_err likely(const compaction *run, const ski_rewrite *rewrite, uint64_t now_ns,
                        uint64_t *ret_bytes, bool *ret_likely)
{
    const ski_segment *segment = segment_at(rewrite->engine, rewrite->slot);
    uint64_t again_ns = LOOK_AGAIN_NS;
    skald_err err = SKALD_OK;

    *ret_likely = true;
    *ret_bytes = 0;
    if (!run->job || !run->job->known || rewrite->erase) return SKALD_OK;
    err = ski_rewrite_estimate(rewrite, run->job, ret_bytes);
    if (err == SKALD_ECORRUPT) { // the index: it is made again, the segment is asked meanwhile
        ski_engine_suspect(rewrite->engine, rewrite->slot);
        return SKALD_OK;
    }
    if (err) return err;
    if (*ret_bytes >= ski_sealed_info_of(rewrite->indexed->sealed)->bytes_live) {
        again_ns = LOOK_SOON_NS;
    }
    *ret_likely = *ret_bytes && enough_bytes(rewrite, *ret_bytes) &&
                  (!segment->looked_ns || *ret_bytes > segment->looked_bytes ||
                   now_ns - segment->looked_ns >= again_ns);
    return SKALD_OK;
}

// compaction_count adds what became of one segment.
static void compaction_count(compaction *run, const ski_rewrite *rewrite,
                             const ski_rewritten *rewritten, uint64_t index_bytes)
{
    ski_engine *engine = run->engine;
    uint64_t before =
        rewrite->file_bytes + ski_sealed_info_of(rewrite->indexed->sealed)->file_bytes;
    uint64_t after = rewritten->file_bytes + index_bytes;
    uint64_t freed = before > after ? before - after : 0;

    ski_mutex_lock(&engine->lock);
    engine->compactions++;
    engine->segments_dropped += rewrite->dead && rewrite->dead == rewrite->events;
    engine->events_erased += rewrite->dead;
    engine->bytes_freed += freed;
    ski_mutex_unlock(&engine->lock);
    run->replaced = true;
    if (!run->job) return;
    run->job->events_erased += rewrite->dead;
    run->job->bytes_freed += freed;
}

// segment_rewrite rewrites and replaces a segment that was looked at.
static skald_err segment_rewrite(compaction *run, ski_rewrite *rewrite, skald_error *reterr_error)
{
    ski_rewritten rewritten = {0};
    uint64_t index_bytes = 0;
    bool listed = false, taken = false;
    skald_err err = ski_rewrite_write(rewrite, &rewritten, reterr_error);

    if (err) return err;
    index_bytes = ski_sealed_info_of(rewritten.sealed)->file_bytes;
    err = ski_replace(run->engine, rewrite->slot, &rewritten, &listed);
    taken = !rewritten.sealed;
    if (!taken) ski_sealed_close(rewritten.sealed);
    if (!taken && !listed) ski_rewrite_remove(rewrite, &rewritten);
    if (taken) compaction_count(run, rewrite, &rewritten, index_bytes);
    return err;
}

// compaction_segment looks at one segment, and rewrites it if that is worth it. all: everything in
// it is dead.
static skald_err compaction_segment(compaction *run, uint32_t slot, bool all,
                                    skald_error *reterr_error)
{
    ski_rewrite rewrite;
    uint64_t now_ns = ski_engine_now_ns(run->engine), bytes = 0;
    bool read = false;
    skald_err err = ski_rewrite_begin(&rewrite, run->engine, slot, run->job && run->job->erase);

    rewrite.passed = compaction_passed;
    rewrite.context = run;
    if (!err) err = likely(run, &rewrite, now_ns, &bytes, &read);
    if (!err && read) {
        err = ski_rewrite_look(&rewrite, all ? NULL : run->job->dead,
                               all ? NULL : run->job->context, reterr_error);
    }
    if (!err && read && worth_it(run, &rewrite)) {
        err = segment_rewrite(run, &rewrite, reterr_error);
    } else if (!err && read) { // only who compacts touches these
        segment_at(run->engine, slot)->looked_bytes = bytes;
        segment_at(run->engine, slot)->looked_ns = now_ns;
    }
    ski_rewrite_end(&rewrite);
    if (err == SKALD_ENOTFOUND) return SKALD_OK; // nothing is in it
    if (err == SKALD_ECLOSED) run->stopped = true;
    return err == SKALD_ECLOSED ? SKALD_OK : err;
}

// compaction_note keeps the first damage: that segment is left alone, the others are done.
static skald_err compaction_note(compaction *run, skald_err err, skald_error *error,
                                 skald_error *reterr_error)
{
    if (err != SKALD_ECORRUPT) {
        if (err && reterr_error) *reterr_error = *error;
        if (err && !error->text[0]) {
            return skald_fail(reterr_error, err, "the store could not be compacted: %s",
                              skald_err_text(err));
        }
        return err;
    }
    if (!run->damaged && reterr_error) *reterr_error = *error;
    run->damaged = err;
    return SKALD_OK;
}

// --- the segment being written ------------------------------------------------------------------

// active_leave has the log go on in another segment, unless nothing is in this one; *ret_count is
// how many segments are full then.
static skald_err active_leave(ski_engine *engine, uint32_t *ret_count)
{
    ski_tail *tail = &engine->tail;
    skald_err err = SKALD_OK;

    ski_writer_take(engine);
    if (engine->dead) {
        err = SKALD_EIO;
    } else if (tail->segment && tail->end > SKI_SEGMENT_HEADER) {
        err = ski_writer_wipe(engine);
        if (!err) err = ski_roll(engine);
    }
    *ret_count = tail->slot;
    ski_writer_give(engine);
    return err;
}

// seal_wait waits until so many segments have their index.
static skald_err seal_wait(compaction *run, uint32_t count)
{
    ski_engine *engine = run->engine;
    bool threads = engine->kernel->spawn != NULL, failing = false, over = false;

    while (!over && !failing && compaction_proceed(run)) {
        if (!threads && sealed_count(engine) < count) failing = !ski_seal_next(engine);
        ski_mutex_lock(&engine->lock);
        over = engine->sealed_count >= count;
        if (threads && !over) {
            failing = engine->seal_failing;
            ski_cond_signal(&engine->keep_work);
            if (!failing) (void)ski_cond_wait_ns(&engine->kept_some, &engine->lock, REST_NS);
        }
        ski_mutex_unlock(&engine->lock);
    }
    return failing && !over ? SKALD_EREADONLY : SKALD_OK;
}

// active_seal makes a sealed one of the segment being written: to erase, none is left out, for
// which named values were replaced or removed in it is said nowhere. Those that are full already
// are waited for, too: their state files have the values of then.
static skald_err active_seal(compaction *run)
{
    uint32_t count = 0;

    SKALD_TRY(active_leave(run->engine, &count));
    return seal_wait(run, count);
}

// --- the slots ----------------------------------------------------------------------------------

static compaction compaction_begin(ski_engine *engine, skald_store_compact_job *job)
{
    return (compaction){.engine = engine,
                        .job = job,
                        .began_ns = ski_engine_now_ns(engine),
                        .bytes_all = segments_bytes(engine)};
}

static skald_err compaction_refuse(const ski_engine *engine, skald_error *reterr_error)
{
    if (!engine->read_only && !engine->dead) return SKALD_OK;
    return skald_fail(reterr_error, SKALD_EREADONLY, "the store in '%s' takes no writes",
                      engine->path);
}

// compaction_end has the device forget the names of what was removed, too.
static skald_err compaction_end(compaction *run, skald_err err)
{
    if (run->replaced && !run->engine->dead) {
        skald_err synced = ski_engine_sync_dir(run->engine);

        if (!err) err = synced;
    }
    return err ? err : run->damaged;
}

skald_err ski_compact(void *driver, skald_store_compact_job *job, skald_error *reterr_error)
{
    ski_engine *engine = driver;
    skald_error error = {0};
    skald_err err = SKALD_OK;

    SKALD_TRY(compaction_refuse(engine, reterr_error));
    compaction run = compaction_begin(engine, job);
    if (!compaction_proceed(&run)) return SKALD_OK;
    if (job->erase) {
        err = active_seal(&run);
        err = compaction_note(&run, err, &error, reterr_error);
        run.bytes_all = segments_bytes(engine) + run.bytes_done;
    }
    for (uint32_t slot = 0; !err && !run.stopped && slot < sealed_count(engine); slot++) {
        error = (skald_error){0};
        err = compaction_segment(&run, slot, false, &error);
        err = compaction_note(&run, err, &error, reterr_error);
        if (!err) (void)compaction_proceed(&run);
    }
    if (!err && job->erase && !run.stopped) err = ski_restate(engine);
    return compaction_end(&run, err);
}

skald_err ski_trim(void *driver, uint64_t position, uint64_t *ret_position,
                   skald_error *reterr_error)
{
    ski_engine *engine = driver;
    skald_error error = {0};
    uint64_t kept = 1, last = 0;
    skald_err err = SKALD_OK;

    SKALD_TRY(compaction_refuse(engine, reterr_error));
    compaction run = compaction_begin(engine, NULL);
    for (uint32_t slot = 0; !err; slot++) {
        ski_mutex_lock(&engine->lock);
        last = slot < engine->sealed_count ? ski_engine_segment_last(engine, slot) : UINT64_MAX;
        ski_mutex_unlock(&engine->lock);
        if (last > position) break;
        error = (skald_error){0};
        err = compaction_segment(&run, slot, true, &error);
        err = compaction_note(&run, err, &error, reterr_error);
        if (!err && !run.damaged) kept = last + 1;
    }
    run.damaged = SKALD_OK; // such a segment stays
    err = compaction_end(&run, err);
    if (!err) *ret_position = kept;
    return err;
}
