// SPDX-License-Identifier: Apache-2.0
// The writer: takes a whole group, completes its frames, one pwrite, one sync, tells everybody; the
// next sync starts when the last has ended. Who it is changes: a caller of commit writes its own
// group when nobody is writing, so that one caller alone needs no other thread; what was only
// submitted is written by the thread "skald-log".
//
// Invariants:
//   1. At most one group is in flight. So a crash can tear the last group only.
//   2. done is called in the order of staging, by the writer, without the lock.
//   3. `visible` moves, and done says OK, only after the group was written, and synced when a batch
//      of it, or of any before it that was to be, asked for that.
//   4. A group that could not be written leaves the tail where it was: the next one is written over
//      it, under a higher incarnation, so that no frame of the failed one can follow a new one.
#include "base/alloc.h"
#include "base/log.h"
#include "store/log/engine.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { wipe_bytes = 64 * 1024 };

// frame_header is what every frame at the tail says.
static ski_frame_header frame_header(const ski_tail *tail, ski_frame_kind kind)
{
    return (ski_frame_header){
        .base_pos = tail->next_pos,
        .durable_pos = tail->synced_pos,
        .durable_off = (uint32_t)tail->synced_end,
        .append_us = tail->append_us,
        .incarnation = tail->incarnation,
        .prev_crc = tail->chain,
        .segment_no = tail->segment->no,
        .kind = (uint8_t)kind,
    };
}

// writer_revoke makes what a failed write left at the tail worthless: its batches are told that
// they are not stored, so they must not come back after a crash. False: it may be there after all.
static bool writer_revoke(ski_engine *engine)
{
    static const uint8_t zeros[SKI_FRAME_HEADER];
    const ski_kernel *kernel = engine->kernel;
    ski_tail *tail = &engine->tail;
    ski_file *file = tail->segment->file;
    size_t len = sizeof zeros;
    uint64_t size = 0;

    tail->incarnation++;
    if (!kernel->size(kernel->context, file, &size)) {
        if (size <= tail->end) return true;
        // Not beyond the end: where the disk is full there is no room for that.
        if (size - tail->end < len) len = (size_t)(size - tail->end);
    }
    if (kernel->pwrite(kernel->context, file, zeros, len, tail->end)) return false;
    return ski_engine_sync(engine, file) == SKALD_OK; // when it fails, that is said already
}

static skald_err tail_write(ski_engine *engine, const uint8_t *bytes, size_t len, bool direct)
{
    const ski_kernel *kernel = engine->kernel;
    ski_tail *tail = &engine->tail;
    skald_err err = SKALD_OK;

    assert(tail->end + len <= UINT32_MAX);
    err = direct ? ski_direct_write(engine, bytes, len)
                 : kernel->pwrite(kernel->context, tail->segment->file, bytes, len, tail->end);
    tail->unsure = err && !writer_revoke(engine);
    return err && engine->dead ? SKALD_EIO : err;
}

skald_err ski_writer_sync(ski_engine *engine)
{
    ski_tail *tail = &engine->tail;

    SKALD_TRY(ski_engine_sync(engine, tail->segment->file));
    tail->unsynced = false;
    tail->uncovered = true;
    tail->synced_end = tail->end;
    tail->synced_pos = tail->next_pos - 1;
    return SKALD_OK;
}

skald_err ski_writer_wipe(ski_engine *engine)
{
    static const uint8_t zeros[wipe_bytes];
    const ski_kernel *kernel = engine->kernel;
    ski_tail *tail = &engine->tail;
    ski_file *file = tail->segment->file;

    if (tail->dirty_end <= tail->end) return SKALD_OK;
    for (uint64_t at = tail->end; at < tail->dirty_end;) {
        uint64_t left = tail->dirty_end - at;
        size_t len = left < wipe_bytes ? (size_t)left : wipe_bytes;

        SKALD_TRY(kernel->pwrite(kernel->context, file, zeros, len, at));
        at += len;
    }
    SKALD_TRY(ski_engine_sync(engine, file));
    tail->dirty_end = 0;
    return SKALD_OK;
}

// frame_put makes a frame without events, of so many bytes, and moves *tail behind it.
static void frame_put(uint8_t *bytes, size_t len, ski_frame_kind kind, ski_tail *tail)
{
    ski_frame_header header = frame_header(tail, kind);

    header.body_len = (uint32_t)(len - SKI_FRAME_BYTES_MIN);
    memset(bytes + SKI_FRAME_HEADER, 0, header.body_len);
    tail->chain = ski_frame_seal(bytes, &header, tail->segment->seed);
    tail->end += len;
}

// tail_frame writes one.
static skald_err tail_frame(ski_engine *engine, ski_frame_kind kind, size_t len)
{
    uint8_t bytes[SKI_DIRECT_ROOM];
    ski_tail *tail = &engine->tail, after = *tail;

    assert(len <= sizeof bytes);
    frame_put(bytes, len, kind, &after);
    SKALD_TRY(tail_write(engine, bytes, len, false));
    tail->chain = after.chain;
    tail->end = after.end;
    ski_mutex_lock(&engine->lock);
    tail->segment->end = tail->end;
    ski_mutex_unlock(&engine->lock);
    ski_follow_frames(engine, bytes, len, 0);
    return SKALD_OK;
}

skald_err ski_writer_control(ski_engine *engine, ski_frame_kind kind)
{
    return tail_frame(engine, kind, SKI_FRAME_BYTES_MIN);
}

// writer_fit gives the end of the run of items that go into this segment. A frame that no segment
// has room for is put into a fresh one, which grows.
static size_t writer_fit(const ski_engine *engine, const ski_group *group, size_t from)
{
    const ski_tail *tail = &engine->tail;
    bool fresh = tail->end <= SKI_SEGMENT_HEADER + SKI_TAIL_RESERVE;
    uint64_t end = tail->end;

    for (; from < group->count; from++) {
        const ski_staged *item = &group->items[from];

        if (!item->total_len) continue;
        if (tail->sealed) break;
        if (end + item->total_len + SKI_TAIL_RESERVE > tail->capacity && !fresh) break;
        fresh = false;
        end += item->total_len;
    }
    return from;
}

// writer_seal completes the frames of a run, which lie one behind the other; *tail moves behind
// them.
static void writer_seal(ski_group *group, size_t from, size_t to, ski_tail *tail)
{
    for (; from < to; from++) {
        ski_staged *item = &group->items[from];
        ski_frame_header header;

        if (!item->total_len) continue;
        assert(item->base_pos == tail->next_pos && item->append_us >= tail->append_us);
        tail->append_us = item->append_us;
        header = frame_header(tail, item->count ? SKI_FRAME_EVENTS : SKI_FRAME_CONTROL);
        header.body_len = item->body_len;
        header.count = item->count;
        tail->chain = ski_frame_seal(group->bytes + item->offset, &header, tail->segment->seed);
        tail->end += item->total_len;
        tail->next_pos += item->count;
    }
}

// writer_publish lets readers see a run, which began at start in the segment and first in the
// group's bytes.
static void writer_publish(ski_engine *engine, ski_group *group, size_t from, size_t to,
                           uint64_t start, size_t first)
{
    ski_tail *tail = &engine->tail;
    uint64_t visible = atomic_load(&engine->visible);
    bool wake_idle = false, wake_keep = false, again = false;

    ski_mutex_lock(&engine->lock);
    for (uint64_t position = visible + 1; position < tail->next_pos;) {
        ski_index *part = ski_window_at(&engine->window, position);

        for (; position < tail->next_pos && position <= ski_index_last(part); position++) {
            ski_index_row *row = ski_index_row_of(part, position);

            row->place = ski_place_move(row->place, tail->slot, (int64_t)start - (int64_t)first);
        }
    }
    for (size_t i = from; i < to; i++) {
        ski_staged *item = &group->items[i];

        for (uint32_t k = 0; k < item->change_count; k++) {
            ski_values_apply(&engine->values, &item->changes[k]);
        }
        engine->bytes_staged -= item->total_len + SKI_BATCH_OVERHEAD;
        engine->batches_staged--;
        engine->bytes_written += item->total_len;
    }
    tail->segment->end = tail->end;
    atomic_store(&engine->visible, tail->next_pos - 1);
    engine->written_last_ns = ski_engine_now_ns(engine);
    again = engine->stopped;
    engine->stopped = false;
    wake_idle = !engine->idle_due;
    engine->idle_due = true;
    wake_keep = ski_keep_wanted(engine);
    ski_mutex_unlock(&engine->lock);
    if (wake_idle) ski_cond_signal(&engine->work);
    if (wake_keep) ski_cond_signal(&engine->keep_work);
    if (again) ski_log_line(engine->host->log, SKALD_INFO, "appends are taken again", NULL);
    for (size_t i = from; i < to; i++) {
        skald_store_batch *batch = group->items[i].batch;

        ski_staged_forget(engine, &group->items[i]);
        batch->done(batch, group->items[i].err);
    }
    if (tail->next_pos - 1 > visible) {
        engine->host->advanced(engine->host->context, tail->next_pos - 1);
    }
}

// pages_whole gives how much is to be written, for so many bytes of a group from first on, so that
// the last page is written whole: with zeros, over the zeros that are there. What is not in the
// cache need not be read then. Only at the end of a group, and within a file made of zeros.
static size_t pages_whole(const ski_engine *engine, ski_group *group, size_t first, size_t len)
{
    const ski_tail *tail = &engine->tail;
    uint64_t end = tail->end + len;
    uint64_t whole = (end + SKI_DIRECT_BYTES - 1) / SKI_DIRECT_BYTES * SKI_DIRECT_BYTES;
    size_t more = (size_t)(whole - end);

    if (first + len != group->len || whole > tail->segment->file_bytes) return len;
    assert(group->size - group->len >= more);
    memset(group->bytes + group->len, 0, more);
    return len + more;
}

// run_follow has a run looked at that was written: what the keeper makes of it is made from the
// same bytes. The last run of a group goes with the group, once that is over.
static void run_follow(ski_engine *engine, ski_group *group, size_t first, size_t len)
{
    if (first + len < group->len) {
        ski_follow_frames(engine, group->bytes + first, len, group->len);
    } else {
        group->piece = (ski_written){.bytes = group->bytes + first,
                                     .len = len,
                                     .offset = engine->tail.end - len,
                                     .no = engine->tail.segment->no};
    }
}

// run_write writes the frames of a run, len bytes in the group from first on; *ret_start is where
// they lie then.
static skald_err run_write(ski_engine *engine, ski_group *group, size_t from, size_t to,
                           size_t first, size_t len, uint64_t *ret_start)
{
    bool direct = first + len == group->len && ski_direct_wanted(engine, group->bytes + first, len);
    size_t pad = direct ? ski_direct_pad(&engine->tail) : 0;
    ski_tail after;

    if (pad) SKALD_TRY(tail_frame(engine, SKI_FRAME_PAD, pad));
    after = engine->tail;
    *ret_start = after.end;
    writer_seal(group, from, to, &after);
    assert(after.end == engine->tail.end + len);
    if (direct && (pad = ski_direct_pad(&after))) {
        assert(group->size - group->len >= pad);
        frame_put(group->bytes + group->len, pad, SKI_FRAME_PAD, &after);
        len += pad;
    } else if (!direct) {
        len = pages_whole(engine, group, first, len);
    }
    SKALD_TRY(tail_write(engine, group->bytes + first, len, direct));
    after.unsynced = true;
    engine->tail = after;
    run_follow(engine, group, first, (size_t)(after.end - *ret_start));
    return SKALD_OK;
}

// writer_part writes one run of items, in one go.
static skald_err writer_part(ski_engine *engine, ski_group *group, size_t from, size_t to)
{
    size_t first = 0, len = 0;
    uint64_t start = 0;

    for (size_t i = from; i < to; i++) {
        const ski_staged *item = &group->items[i];

        if (!len) first = item->offset;
        len += item->total_len;
    }
    if (len) SKALD_TRY(run_write(engine, group, from, to, first, len, &start));
    if (group->sync && engine->tail.unsynced) SKALD_TRY(ski_writer_sync(engine));
    writer_publish(engine, group, from, to, start, first);
    return SKALD_OK;
}

// staged_undo takes everything back that is staged and not written. The lock is held.
static void staged_undo(ski_engine *engine, ski_group *groups, size_t from)
{
    for (ski_group *group = groups; group; group = group->next, from = 0) {
        for (size_t i = from; i < group->count; i++) {
            skald_err err = ski_stage_undo(engine, group, &group->items[i]);

            assert(!err); // our own bytes
            (void)err;
            ski_staged_forget(engine, &group->items[i]);
            engine->bytes_staged -= group->items[i].total_len + SKI_BATCH_OVERHEAD;
            engine->batches_staged--;
        }
    }
    ski_recall_cut(engine, atomic_load(&engine->visible));
    ski_window_cut(&engine->window, atomic_load(&engine->visible));
}

// writer_fail tells everything from an item of this group on that it is not stored: what was staged
// behind it rests on it. Returns the last group, whose number is then done.
static uint64_t writer_fail(ski_engine *engine, ski_group *group, size_t from, skald_err err)
{
    const char *why = err == SKALD_EREADONLY ? "disk full" : "the device failed to write";
    uint64_t number = 0;

    ski_mutex_lock(&engine->lock);
    group->next = engine->first;
    engine->first = engine->last = NULL;
    staged_undo(engine, group, from);
    engine->stopped = true;
    engine->stopped_until_ns = ski_engine_now_ns(engine) + SKI_RETRY_NS;
    if (!engine->dead) {
        (void)snprintf(engine->stopped_why, sizeof engine->stopped_why, "%s", why);
    }
    ski_mutex_unlock(&engine->lock);
    ski_log_line(engine->host->log, SKALD_WARN, "appends are refused", "why", why, NULL);
    for (ski_group *each = group; each; each = each->next, from = 0) {
        number = each->number;
        for (size_t i = from; i < each->count; i++) {
            skald_store_batch *batch = each->items[i].batch;

            // IO says that nobody knows; no other answer may be given where that is so.
            batch->done(batch, each == group && engine->tail.unsure ? SKALD_EIO : err);
        }
    }
    while (group->next) {
        ski_group *next = group->next;

        group->next = next->next;
        ski_group_free(next);
    }
    return number;
}

// writer_group writes one group; returns the number up to which groups are done.
static uint64_t writer_group(ski_engine *engine, ski_group *group)
{
    skald_err err = engine->dead ? SKALD_EIO : SKALD_OK;
    size_t from = 0;

    engine->tail.unsure = false;
    if (!err) ski_follow_wait(engine);
    if (!err) err = ski_writer_wipe(engine);
    if (!err && engine->tail.manifest_due) err = ski_roll_manifest(engine);
    while (!err && from < group->count) {
        size_t to = writer_fit(engine, group, from);

        if (to == from) {
            err = ski_roll(engine);
        } else {
            err = writer_part(engine, group, from, to);
            if (!err) from = to;
        }
    }
    return err ? writer_fail(engine, group, from, err) : group->number;
}

// hand_off wakes who writes next. The lock is held, the role is free.
static void hand_off(ski_engine *engine)
{
    ski_group *group = engine->first;

    if (engine->role_wanted) {
        ski_cond_signal(&engine->role_free);
        return;
    }
    if (!group) return;
    if (group->waiters) {
        ski_cond_signal(&engine->done[group->number % SKI_GROUP_BUCKETS]);
    } else {
        ski_cond_signal(&engine->work);
    }
}

void ski_writer_take(ski_engine *engine)
{
    ski_mutex_lock(&engine->lock);
    engine->role_wanted++;
    while (engine->writing) ski_cond_wait(&engine->role_free, &engine->lock);
    engine->role_wanted--;
    engine->writing = true;
    ski_mutex_unlock(&engine->lock);
}

void ski_writer_give(ski_engine *engine)
{
    ski_mutex_lock(&engine->lock);
    engine->writing = false;
    hand_off(engine);
    ski_mutex_unlock(&engine->lock);
}

void ski_writer_lead(ski_engine *engine)
{
    ski_group *group = engine->first;
    uint64_t done = 0, before = engine->groups_done;

    assert(group && !engine->writing);
    engine->writing = true;
    engine->first = group->next;
    if (!engine->first) engine->last = NULL;
    group->next = NULL;
    ski_mutex_unlock(&engine->lock);
    done = writer_group(engine, group);
    ski_mutex_lock(&engine->lock);
    engine->writing = false;
    engine->groups_done = done;
    ski_follow_group(engine, group);
    for (uint64_t i = before + 1; i <= done && i <= before + SKI_GROUP_BUCKETS; i++) {
        ski_cond_broadcast(&engine->done[i % SKI_GROUP_BUCKETS]);
    }
    hand_off(engine);
}

// watermark_store writes down how far everything is stored: a PAD frame, synced. Role held.
static skald_err watermark_store(ski_engine *engine)
{
    ski_tail *tail = &engine->tail;

    if (tail->unsynced) SKALD_TRY(ski_writer_sync(engine));
    if (!tail->uncovered || tail->sealed) return SKALD_OK;
    SKALD_TRY(ski_writer_control(engine, SKI_FRAME_PAD));
    // The watermark stays before the PAD: nothing is lost with that.
    return ski_engine_sync(engine, tail->segment->file);
}

bool ski_writer_idle(ski_engine *engine, bool force)
{
    uint64_t since_ns = ski_engine_now_ns(engine) - engine->written_last_ns;

    if (!engine->idle_due || engine->dead || (!force && since_ns < SKI_IDLE_NS)) return false;
    engine->idle_due = false;
    engine->writing = true;
    ski_follow_drop(engine); // its memory, too
    while (engine->kept) {
        ski_group *group = engine->kept;

        engine->kept = group->next;
        engine->kept_count--;
        engine->kept_bytes -= group->size;
        ski_group_free(group);
    }
    if (ski_follow_wanted(engine)) ski_cond_signal(&engine->keep_work);
    ski_mutex_unlock(&engine->lock);
    if (watermark_store(engine) == SKALD_OK) engine->tail.uncovered = false;
    ski_mutex_lock(&engine->lock);
    engine->writing = false;
    hand_off(engine);
    return true;
}

void ski_writer_run(void *argument)
{
    ski_engine *engine = argument;

    ski_mutex_lock(&engine->lock);
    while (!engine->closing) {
        if (engine->later_first) {
            ski_later_drain(engine);
        } else if (engine->role_wanted) {
            ski_cond_wait(&engine->work, &engine->lock);
        } else if (!engine->writing && engine->first && !engine->first->waiters) {
            ski_writer_lead(engine);
        } else if (!engine->writing && !engine->first && engine->idle_due) {
            if (!ski_writer_idle(engine, false)) {
                (void)ski_cond_wait_ns(&engine->work, &engine->lock, SKI_IDLE_NS);
            }
        } else {
            ski_cond_wait(&engine->work, &engine->lock);
        }
    }
    ski_mutex_unlock(&engine->lock);
}

void ski_writer_close(ski_engine *engine)
{
    ski_tail *tail = &engine->tail;

    ski_mutex_lock(&engine->lock);
    if (engine->later_first) ski_later_drain(engine);
    while (engine->first) ski_writer_lead(engine);
    (void)ski_writer_idle(engine, true);
    ski_mutex_unlock(&engine->lock);
    if (engine->dead || !tail->segment || tail->unsynced) return;
    // When the manifest cannot be written the log's own watermark stands: nothing is lost.
    if (ski_roll_manifest(engine)) {
        ski_log_line(engine->host->log, SKALD_WARN, "the manifest could not be written", NULL);
    }
}
