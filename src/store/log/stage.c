// SPDX-License-Identifier: Apache-2.0
// Staging: a batch is encoded without the lock, then, in a short critical section, checked against
// everything put in order before it, given its place, indexed and copied into a group.
//
// Invariants:
//   1. Checks see what is staged, not only what is stored: order is decided here, once.
//   2. An answer that rests on something not yet stored (a conflict with it, a repetition of it)
//      waits in the same queue behind it, and fails with it.
//   3. The window has an event exactly from here until its group has failed.
//   4. Nothing is read while the lock is held: what neither the window nor what was asked before
//      knows is asked for without it, and then everything is looked at again.
#include "base/alloc.h"
#include "store/content.h"
#include "store/log/engine.h"
#include "store/log/resolve.h"
#include <assert.h>
#include <string.h>

enum {
    events_on_stack = 4,
    bytes_on_stack = 4096,
    expect_ahead = 16, // events: so long a cache miss lasts
};

typedef struct stage {
    ski_engine *engine;
    skald_store_batch *batch;
    ski_resolve_event *events;
    ski_resolve resolve;
    uint8_t *body;
    size_t body_len, total_len;
    skald_time now;
    ski_stage_for for_whom;
    bool put_off;
    void *events_memory, *body_memory; // when they do not fit on the stack
} stage;

// stage_measure finds out how long everything is: job->events[].len, and all of it.
static skald_err stage_measure(stage *job)
{
    const skald_store_batch *batch = job->batch;
    size_t len = 0;

    for (size_t i = 0; i < batch->event_count; i++) {
        size_t record_len = ski_record_len(&batch->events[i]);

        if (!record_len || record_len > SKI_FRAME_BYTES_MAX) return SKALD_ETOOBIG;
        job->events[i].len = (uint32_t)record_len;
        len += record_len;
    }
    for (size_t i = 0; i < batch->value_count; i++) {
        size_t value_len = ski_value_len(&batch->values[i]);

        if (!value_len) return SKALD_ETOOBIG;
        len += value_len;
    }
    if (ski_frame_len(len) > SKI_FRAME_BYTES_MAX) return SKALD_ETOOBIG;
    job->body_len = len;
    job->total_len = len ? ski_frame_len(len) : 0;
    return SKALD_OK;
}

static void stage_encode(stage *job)
{
    const skald_store_batch *batch = job->batch;
    uint64_t seed = job->engine->seed;
    size_t at = 0;

    for (size_t i = 0; i < batch->event_count; i++) {
        const skald_event *event = &batch->events[i];
        ski_resolve_event *known = &job->events[i];

        *known = (ski_resolve_event){.len = known->len};
        ski_index_hash(seed, event, &known->hashes);
        known->content = ski_event_content_hash(seed, event);
        ski_record_put(job->body + at, known->len, event, known->hashes.stream, known->content);
        at += known->len;
    }
    for (size_t i = 0; i < batch->value_count; i++) {
        ski_value_put(job->body + at, &batch->values[i]);
        at += ski_value_len(&batch->values[i]);
    }
    assert(at == job->body_len);
}

// stage_admit says whether the store takes anything now. The lock is held.
static skald_err stage_admit(const stage *job)
{
    ski_engine *engine = job->engine;
    uint64_t bytes = job->total_len + SKI_BATCH_OVERHEAD;

    if (engine->read_only || engine->dead) return SKALD_EREADONLY;
    if (job->for_whom == SKI_STAGE_LATER) return SKALD_OK; // everything else was seen to before
    if (engine->closing) return SKALD_ECLOSED;
    if (engine->batches_staged && engine->bytes_staged + bytes > engine->append_bytes_max) {
        return SKALD_EFULL;
    }
    if (engine->stopped) { // now and then one is let through to see whether there is room again
        uint64_t now_ns = ski_engine_now_ns(engine);

        if (now_ns < engine->stopped_until_ns) return SKALD_EREADONLY;
        engine->stopped_until_ns = now_ns + SKI_RETRY_NS;
    }
    return SKALD_OK;
}

// stage_known finds out whether the batch is a repetition. Fails: EXISTS.
static skald_err stage_known(const stage *job, bool *ret_repeated)
{
    size_t known = 0, same = 0, count = job->batch->event_count;

    *ret_repeated = false;
    if (!job->resolve.ids_asked) return SKALD_OK;
    for (size_t i = 0; i < count; i++) {
        const ski_resolve_event *event = &job->events[i];

        if (!event->known.position) continue;
        known++;
        if (event->known.content == event->content) same++;
    }
    *ret_repeated = known && known == count;
    return known && same != count ? SKALD_EEXISTS : SKALD_OK;
}

// stage_repeat gives the first result again.
static void stage_repeat(const stage *job)
{
    skald_store_batch *batch = job->batch;
    skald_event *last = &batch->events[batch->event_count - 1];

    for (size_t i = 0; i < batch->event_count; i++) {
        const ski_resolve_known *known = &job->events[i].known;
        skald_event *event = &batch->events[i];

        event->position = known->position;
        event->recorded_at = known->recorded_at;
        event->stream_version = known->version;
    }
    batch->appended = (skald_appended){.position_first = batch->events[0].position,
                                       .position_last = last->position,
                                       .stream_version = last->stream_version,
                                       .repeated = true};
}

void ski_staged_forget(ski_engine *engine, ski_staged *item)
{
    for (uint32_t i = 0; i < item->change_count; i++) {
        ski_values_abandon(&engine->values, &item->changes[i]);
    }
    ski_free(item->changes);
    item->changes = NULL;
    item->change_count = 0;
}

static skald_err changes_prepare(const stage *job, ski_staged *item)
{
    const skald_store_batch *batch = job->batch;

    if (!batch->value_count) return SKALD_OK;
    item->changes = ski_alloc(batch->value_count * sizeof *item->changes);
    if (!item->changes) return SKALD_ENOMEM;
    for (size_t i = 0; i < batch->value_count; i++) {
        skald_err err = ski_values_prepare(&job->engine->values, &batch->values[i],
                                           &item->changes[item->change_count]);

        if (err) {
            ski_staged_forget(job->engine, item);
            return err;
        }
        item->change_count++;
    }
    return SKALD_OK;
}

// stage_order gives every event its place, in the index and in the record, which is copied into the
// group only now: so its bytes are fetched once. On failure item->count says how many have one.
static skald_err stage_order(const stage *job, uint8_t *body, size_t body_at, ski_staged *item)
{
    ski_engine *engine = job->engine;
    ski_index *part = ski_window_newest(&engine->window);
    skald_store_batch *batch = job->batch;
    size_t at = 0;

    for (item->count = 0; item->count < batch->event_count; item->count++) {
        skald_event *event = &batch->events[item->count];
        const ski_resolve_event *known = &job->events[item->count];
        ski_record_order order = {.position = ski_index_last(part) + 1,
                                  .recorded_at = item->append_us};
        ski_index_head before = {0};
        ski_index_row row = {.place = ski_place_make(0, body_at + at, known->len),
                             .content = known->content,
                             .id_hash = known->hashes.id,
                             .recorded_at = item->append_us};

        if (known->hashes.stream && !known->stream) {
            before =
                ski_resolve_head(&job->resolve, known->hashes.stream, event->tenant, event->stream);
        }
        SKALD_TRY(ski_index_add(part, event, &known->hashes, &row, known->stream, &before, 0,
                                &order.stream_version, &order.prev_pos));
        memcpy(body + at, job->body + at, known->len);
        ski_record_assign(body + at, &order);
        event->position = order.position;
        event->stream_version = order.stream_version;
        event->recorded_at = order.recorded_at;
        at += known->len;
    }
    if (at < job->body_len) memcpy(body + at, job->body + at, job->body_len - at); // values
    return SKALD_OK;
}

skald_err ski_stage_undo(ski_engine *engine, const ski_group *group, const ski_staged *item)
{
    const uint8_t *body = group->bytes + item->offset + SKI_FRAME_HEADER;
    size_t at = 0;

    for (uint32_t i = 0; i < item->count; i++) {
        ski_record record;
        ski_index_hashes hashes;

        SKALD_TRY(ski_record_get(body + at, item->body_len - at, &record));
        ski_index_hash(engine->seed, &record.event, &hashes);
        ski_recall_undo(engine, hashes.id, record.event.position);
        ski_index_drop(ski_window_at(&engine->window, record.event.position), &record.event,
                       &hashes);
        at += record.len;
    }
    return SKALD_OK;
}

static void stage_appended(skald_store_batch *batch)
{
    const skald_event *last = NULL;

    if (!batch->event_count) return;
    last = &batch->events[batch->event_count - 1];
    batch->appended = (skald_appended){.position_first = batch->events[0].position,
                                       .position_last = last->position,
                                       .stream_version = last->stream_version};
}

// stage_new puts a batch that is to be stored into a group. Fails: NOMEM, FULL, with nothing
// changed.
static skald_err stage_new(const stage *job, ski_group *group, ski_staged *item)
{
    ski_engine *engine = job->engine;
    size_t group_len = group->len;
    uint8_t *frame = NULL;
    skald_err err = changes_prepare(job, item);

    if (err) return err;
    item->offset = group->len;
    item->body_len = (uint32_t)job->body_len;
    item->total_len = (uint32_t)job->total_len;
    item->base_pos = ski_window_last(&engine->window) + 1;
    item->append_us = job->now > engine->recorded_last ? job->now : engine->recorded_last;
    frame = ski_group_put(group, job->total_len);
    err = stage_order(job, frame + SKI_FRAME_HEADER, item->offset + SKI_FRAME_HEADER, item);
    if (err) {
        skald_err undone = ski_stage_undo(engine, group, item);

        assert(!undone);
        (void)undone;
        ski_recall_cut(engine, item->base_pos - 1);
        ski_window_cut(&engine->window, item->base_pos - 1);
        ski_staged_forget(engine, item);
        group->len = group_len;
        return err;
    }
    engine->recorded_last = item->append_us;
    stage_appended(job->batch);
    return SKALD_OK;
}

// stage_put_off: what is missing is not read or noted here, or something was put off before.
static skald_err stage_put_off(stage *job)
{
    ski_engine *engine = job->engine;
    uint64_t bytes = job->total_len + SKI_BATCH_OVERHEAD;
    ski_later *later = NULL;

    engine->bytes_staged += bytes; // admitted: nobody else takes that room while the lock is free
    engine->batches_staged++;
    ski_mutex_unlock(&engine->lock);
    later = ski_later_new(job->batch, !job->resolve.ids_asked, bytes);
    ski_mutex_lock(&engine->lock);
    if (!later) {
        engine->bytes_staged -= bytes;
        engine->batches_staged--;
        return SKALD_ENOMEM;
    }
    ski_later_add(engine, later);
    job->put_off = true;
    return SKALD_OK;
}

// submit_waits: something was put off before, or too many ids would be noted first.
static bool submit_waits(const stage *job)
{
    if (ski_later_some(job->engine)) return true;
    return job->resolve.ids_asked && ski_recall_left(job->engine) > SKI_RECALL_NOW_MAX;
}

// stage_decide is the critical section: *ret_group is the group to wait for, or 0: then *ret_told
// is for done, at once, unless it was put off.
static skald_err stage_decide(stage *job, uint64_t *ret_group, skald_err *ret_told)
{
    ski_engine *engine = job->engine;
    skald_store_batch *batch = job->batch;
    ski_staged item = {.batch = batch};
    ski_group *group = NULL;
    bool repeated = false, stores = false, unread = false;

    *ret_group = 0;
    if (job->for_whom == SKI_STAGE_COMMIT) ski_later_wait(engine);
    SKALD_TRY(stage_admit(job));
    if (job->for_whom == SKI_STAGE_SUBMIT && submit_waits(job)) return stage_put_off(job);
    SKALD_TRY(ski_resolve_held(&job->resolve, &unread));
    if (unread) return stage_put_off(job);
    item.err = stage_known(job, &repeated);
    if (!item.err && !repeated) item.err = ski_resolve_expect(&job->resolve);
    if (!item.err && repeated) stage_repeat(job);
    stores = !item.err && !repeated && job->total_len;
    if (!stores && !engine->first && !engine->writing && !engine->tail.unsynced) {
        *ret_told = item.err;
        return SKALD_OK;
    }
    group = ski_group_open(engine, stores ? job->total_len : 0);
    if (!group) return SKALD_ENOMEM;
    if (stores) SKALD_TRY(stage_new(job, group, &item));
    group->items[group->count++] = item;
    if (batch->durability == SKALD_DURABLE) group->sync = true;
    if (job->for_whom == SKI_STAGE_COMMIT) group->waiters++;
    engine->bytes_staged += item.total_len + SKI_BATCH_OVERHEAD;
    engine->batches_staged++;
    *ret_group = group->number;
    return SKALD_OK;
}

skald_err ski_stage(ski_engine *engine, skald_store_batch *batch, ski_stage_for for_whom,
                    uint64_t *ret_group)
{
    ski_resolve_event events[events_on_stack];
    uint64_t body[bytes_on_stack / sizeof(uint64_t)];
    stage job = {.engine = engine, .batch = batch, .for_whom = for_whom};
    size_t events_bytes = batch->event_count * sizeof(ski_resolve_event);
    skald_err err = SKALD_OK, told = SKALD_OK;
    bool wake = false;

    job.events = events;
    job.body = (uint8_t *)body;
    if (batch->event_count > events_on_stack) {
        job.events = job.events_memory = ski_alloc(events_bytes);
        if (!job.events) return SKALD_ENOMEM;
    }
    err = stage_measure(&job);
    if (!err && job.body_len > sizeof body) {
        job.body = job.body_memory = ski_alloc(job.body_len);
        if (!job.body) err = SKALD_ENOMEM;
    }
    if (err) {
        ski_free(job.events_memory);
        return err;
    }
    stage_encode(&job);
    ski_resolve_init(&job.resolve, engine, batch, job.events);
    job.resolve.may_read = for_whom != SKI_STAGE_SUBMIT;
    job.now = engine->host->clock->now(engine->host->clock->context);
    job.resolve.ids_asked = batch->event_count && !batch->ids_made;
    batch->ids_made = false; // given again, they are looked for
    ski_mutex_lock(&engine->lock);
    err = stage_decide(&job, ret_group, &told);
    wake = !err && for_whom == SKI_STAGE_SUBMIT && !batch->more &&
           (job.put_off || (*ret_group && !engine->writing));
    ski_mutex_unlock(&engine->lock);
    if (wake) ski_cond_signal(&engine->work);
    ski_resolve_fini(&job.resolve);
    ski_free(job.events_memory);
    ski_free(job.body_memory);
    if (!err && !*ret_group && !job.put_off) batch->done(batch, told);
    return err;
}
