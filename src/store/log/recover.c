// SPDX-License-Identifier: Apache-2.0
// Recovery: from what is on the disk to a store that can be served.
//
// Of every segment but the last the header and the index file are looked at, and nothing else; an
// index that is not there, or not whole, is made from the segment, all of which is then read. Every
// frame of the last segment is read and verified. What ends the log decides everything: at the
// first invalid frame, at offset X of the last segment, with the next position P,
//   - if any watermark found anywhere (manifest, every valid frame before or behind X) says that
//     bytes behind X, or events from P on, were stored, then acknowledged data is damaged: the
//     store is not opened for writing, and no data is changed;
//   - else X is where a crash has torn the last group, of which nothing was acknowledged: what is
//     behind X is zeroed.
// Opened read-only, damaged ranges are noted and reading goes on behind them, and nothing is
// written.
//
// Invariants:
//   1. The last segment is synced and its cache dropped before it is read: what an earlier process
//      failed to store looks stored only in the cache.
//   2. Only bytes that no watermark covers are ever overwritten. No file that has a frame is
//   removed, but where the manifest lists another generation of the segment.
//   3. A crash at any moment of it leaves what the next recovery handles alike.
#include "store/log/recover.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "store/log/hold.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

// The wording of damage, for people.
static skald_err damage_fail(const ski_recovery *work, const char *name, const ski_damage *damage)
{
    char events[96] = "no events, but stored values";

    if (damage->position_last == UINT64_MAX) {
        (void)snprintf(events, sizeof events, "positions from %llu on",
                       (unsigned long long)damage->position_first);
    } else if (damage->position_last >= damage->position_first) {
        (void)snprintf(events, sizeof events, "positions %llu to %llu",
                       (unsigned long long)damage->position_first,
                       (unsigned long long)damage->position_last);
    }
    return skald_fail(
        work->error, SKALD_ECORRUPT,
        "stored data is damaged: %s, offset %llu, %llu bytes (%s). No data was changed. Restore "
        "the file from a backup, or open the store read-only to save the rest",
        name, (unsigned long long)damage->offset, (unsigned long long)damage->length, events);
}

// position_bound is the last position, up to one that is claimed, that the last segment can have.
static uint64_t position_bound(const ski_engine *engine, uint64_t position)
{
    uint64_t most = ski_window_base(&engine->window) + SKI_SEGMENT_EVENTS_MAX - 1;

    return position < most ? position : most;
}

skald_err ski_recovery_damage(ski_recovery *work, uint32_t slot, const ski_damage *damage)
{
    ski_engine *engine = work->engine;
    char name[SKI_SEGMENT_NAME];

    if (engine->read_only && work->mode != SKI_REPLAY_ALL) return SKALD_OK; // it was noted before
    work->open_damage = damage->position_last == UINT64_MAX;
    ski_segment_name(name, work->chosen.segments[slot].no, work->chosen.segments[slot].generation);
    if (!engine->read_only) return damage_fail(work, name, damage);
    ski_log_line(engine->host->log, SKALD_ERROR, "stored data is damaged", "file", name, NULL);
    SKALD_TRY(ski_engine_damage_add(engine, damage));
    if (!work->last || work->open_damage || damage->position_last < damage->position_first) {
        return SKALD_OK;
    }
    return ski_index_add_missing(ski_window_newest(&engine->window),
                                 damage->position_last - damage->position_first + 1);
}

skald_err ski_recovery_reach(ski_recovery *work, uint64_t position)
{
    ski_engine *engine = work->engine;

    if (work->open_damage && engine->damage_count) {
        engine->damages[engine->damage_count - 1].position_last = position - 1;
        work->open_damage = false;
    }
    if (position <= work->position) return SKALD_OK;
    if (!engine->damage_count && !engine->read_only) return SKALD_ECORRUPT;
    work->position = position;
    return SKALD_OK;
}

// recovery_missing counts events before position, in the last segment, as missing: the damage
// before it reached so far.
static skald_err recovery_missing(ski_recovery *work, uint64_t position)
{
    ski_engine *engine = work->engine;
    uint64_t next = ski_window_last(&engine->window) + 1;

    if (position <= next) return SKALD_OK;
    if (!engine->damage_count) return SKALD_ECORRUPT;
    engine->damages[engine->damage_count - 1].position_last = position - 1;
    work->open_damage = false;
    return ski_index_add_missing(ski_window_newest(&engine->window), position - next);
}

// scan_covered says whether a watermark covers what is at the scan's offset: it looks at the rest
// of the file first. Only of the last segment: everything in the others is covered.
static skald_err scan_covered(ski_recovery *work, bool *ret_covered)
{
    const ski_manifest *manifest = &work->engine->manifest;
    ski_scan *scan = &work->scan;
    uint64_t offset = scan->offset;
    bool chain_known = scan->chain_known;
    ski_scan_frame frame;
    skald_err err = SKALD_OK;

    if (!work->last) {
        *ret_covered = true;
        return SKALD_OK;
    }
    while ((err = ski_scan_search(scan, &frame)) == SKALD_OK)
        scan->offset += frame.header.total_len;
    scan->offset = offset;
    scan->chain_known = chain_known;
    if (err != SKALD_ENOTFOUND) return err;
    if (manifest->durable_no == scan->header.no && manifest->durable_off > scan->durable_off) {
        scan->durable_off = manifest->durable_off;
    }
    if (manifest->durable_pos > scan->durable_pos) scan->durable_pos = manifest->durable_pos;
    *ret_covered =
        scan->unreadable || offset < scan->durable_off || scan->position <= scan->durable_pos;
    return SKALD_OK;
}

// scan_skip moves behind damage, to the next frame that can follow it. *ret_ended: there is none.
static skald_err scan_skip(ski_recovery *work, uint32_t slot, bool *ret_ended)
{
    ski_scan *scan = &work->scan;
    ski_damage damage = {.slot = slot, .offset = scan->offset, .position_first = scan->position};
    ski_scan_frame frame;
    skald_err err = ski_scan_resume(scan, &frame);

    if (err && err != SKALD_ENOTFOUND) return err;
    *ret_ended = err == SKALD_ENOTFOUND;
    if (!err) {
        damage.length = scan->offset - damage.offset;
        damage.position_last = frame.header.base_pos - 1;
        return ski_recovery_damage(work, slot, &damage);
    }
    damage.length = scan->limit > damage.offset ? scan->limit - damage.offset : 0;
    damage.position_last = UINT64_MAX;
    if (work->last) {
        if (scan->durable_off > damage.offset) damage.length = scan->durable_off - damage.offset;
        damage.position_last = position_bound(work->engine, scan->durable_pos);
    }
    return ski_recovery_damage(work, slot, &damage);
}

// frame_contradicts: the checksums are right, so no device did this; nothing is served from such a
// log.
static skald_err frame_contradicts(const ski_recovery *work, const ski_scan_frame *frame)
{
    char name[SKI_SEGMENT_NAME];
    ski_damage damage = {.offset = frame->offset,
                         .length = frame->header.total_len,
                         .position_first = frame->header.base_pos,
                         .position_last = frame->header.base_pos + frame->header.count - 1};

    ski_segment_name(name, work->scan.header.no, work->scan.header.generation);
    return damage_fail(work, name, &damage);
}

static skald_err frame_replay(ski_recovery *work, uint32_t slot, const ski_scan_frame *frame)
{
    ski_engine *engine = work->engine;
    skald_err err = SKALD_OK;

    if (work->mode == SKI_REPLAY_NOTHING) return SKALD_OK;
    if (work->mode == SKI_REPLAY_VALUES) {
        err = ski_replay_values(engine, frame);
    } else {
        err = ski_replay_frame(engine, slot, frame, engine->damage_count != 0);
    }
    return err == SKALD_ECORRUPT ? frame_contradicts(work, frame) : err;
}

skald_err ski_recovery_replay(ski_recovery *work, uint32_t slot)
{
    ski_scan *scan = &work->scan;
    bool ended = false;

    while (!ended) {
        ski_scan_frame frame;
        bool covered = false;
        skald_err err = ski_scan_next(scan, &frame);

        if (!err) {
            SKALD_TRY(frame_replay(work, slot, &frame));
            continue;
        }
        if (err != SKALD_ENOTFOUND) return err;
        if (scan->sealed) return SKALD_OK;
        SKALD_TRY(scan_covered(work, &covered));
        if (!covered) return SKALD_OK;
        SKALD_TRY(scan_skip(work, slot, &ended));
    }
    return SKALD_OK;
}

bool ski_recovery_header_right(const ski_recovery *work, uint32_t slot,
                               const ski_segment_header *header)
{
    const ski_engine *engine = work->engine;
    const ski_manifest_segment *chosen = &work->chosen.segments[slot];

    if (header->no != chosen->no || header->generation != chosen->generation) return false;
    if (!skald_uuid_equal(header->store, engine->store)) return false;
    if (header->base_pos < work->position) return false;
    if (engine->damage_count) return true;
    if (header->base_pos != work->position) return false;
    return !work->chain_known || header->prev_crc == work->chain;
}

skald_err ski_recovery_open(ski_recovery *work, uint32_t slot, ski_file **ret_file)
{
    ski_engine *engine = work->engine;
    const ski_kernel *kernel = engine->kernel;
    const ski_manifest_segment *chosen = &work->chosen.segments[slot];
    char name[SKI_SEGMENT_NAME], path[SKI_ENGINE_PATH_MAX];
    bool write = work->last && !engine->read_only;
    ski_file *file = NULL;
    skald_err err = SKALD_OK;

    ski_segment_name(name, chosen->no, chosen->generation);
    SKALD_TRY(ski_engine_path(engine, name, path));
    SKALD_TRY(kernel->open(kernel->context, path, write ? SKI_OPEN_WRITE : 0, &file, work->error));
    if (write) err = kernel->sync(kernel->context, file);
    if (!err && work->last) err = kernel->forget(kernel->context, file);
    if (err) {
        kernel->close(kernel->context, file);
        return skald_fail(
            work->error, SKALD_EIO,
            "%s: the device fails to store what was written to it; the store is not opened", path);
    }
    *ret_file = file;
    return SKALD_OK;
}

skald_err ski_recovery_list(ski_recovery *work, ski_file *take_file,
                            const ski_segment_header *header)
{
    ski_engine *engine = work->engine;
    const ski_kernel *kernel = engine->kernel;
    uint32_t slot = engine->segment_count;
    ski_segment *segment = ski_alloc_zeroed(1, sizeof *segment);
    skald_err err = segment ? SKALD_OK : SKALD_ENOMEM;

    if (segment) {
        segment->no = work->chosen.segments[slot].no;
        segment->generation = work->chosen.segments[slot].generation;
        segment->base_pos = work->position;
        segment->file = take_file;
        if (take_file) err = kernel->size(kernel->context, take_file, &segment->file_bytes);
    }
    if (!err) err = ski_engine_segment_add(engine, segment, &slot);
    if (err) {
        if (take_file) kernel->close(kernel->context, take_file);
        ski_free(segment);
        return err;
    }
    if (header) segment->seed = ski_frame_seed(header->salt);
    return SKALD_OK;
}

// recover_last replays the last segment, whatever is left of it.
static skald_err recover_last(ski_recovery *work, uint32_t slot)
{
    ski_engine *engine = work->engine;
    ski_scan *scan = &work->scan;
    ski_file *file = NULL;
    bool right = false;
    skald_err err = ski_recovery_open(work, slot, &file);

    if (err && !(engine->read_only && err == SKALD_ENOTFOUND)) return err;
    if (!err) err = ski_scan_begin(scan, engine->kernel, file, 0);
    if (err == SKALD_EUNSUPPORTED || err == SKALD_ENOMEM) {
        engine->kernel->close(engine->kernel->context, file);
        return err;
    }
    if (!err && !slot && !skald_uuid_given(engine->store)) engine->store = scan->header.store;
    right = !err && ski_recovery_header_right(work, slot, &scan->header);
    // What is missing before it is the loss of the segment before, if there is one.
    if (right && slot) err = ski_recovery_reach(work, scan->header.base_pos);
    if (right && err) {
        engine->kernel->close(engine->kernel->context, file);
        return err;
    }
    SKALD_TRY(ski_recovery_list(work, file, right ? &scan->header : NULL));
    if (slot) engine->sealed_last = work->position - 1;
    SKALD_TRY(ski_window_init(&engine->window, engine->seed, work->position - 1));
    work->mode = SKI_REPLAY_ALL;
    if (!right) {
        ski_damage damage = {.slot = slot,
                             .length = engine->segments[slot]->file_bytes,
                             .position_first = work->position,
                             .position_last = UINT64_MAX};

        return ski_recovery_damage(work, slot, &damage);
    }
    SKALD_TRY(recovery_missing(work, scan->header.base_pos));
    SKALD_TRY(ski_recovery_replay(work, slot));
    engine->segments[slot]->end = scan->offset;
    if (scan->incarnation_max > engine->tail.incarnation) {
        engine->tail.incarnation = scan->incarnation_max;
    }
    return SKALD_OK;
}

// recover_tail makes the end of the log one that can be written to.
static skald_err recover_tail(ski_recovery *work)
{
    ski_engine *engine = work->engine;
    ski_tail *tail = &engine->tail;
    ski_scan *scan = &work->scan;
    uint32_t slot = engine->segment_count - 1;

    tail->segment = engine->active = engine->segments[slot];
    tail->slot = slot;
    tail->end = tail->synced_end = scan->offset;
    tail->capacity = ski_roll_capacity(engine, tail->segment->no);
    if (tail->segment->file_bytes > tail->capacity) tail->capacity = tail->segment->file_bytes;
    tail->chain = scan->chain;
    tail->incarnation++;
    tail->next_pos = ski_window_last(&engine->window) + 1;
    tail->synced_pos = tail->next_pos - 1;
    tail->append_us = scan->append_us;
    tail->sealed = scan->sealed;
    if (tail->append_us > engine->recorded_last) engine->recorded_last = tail->append_us;
    return scan->sealed ? SKALD_OK : ski_scan_dirty(scan, &tail->dirty_end);
}

// recover_begin marks in the log that it was opened, and writes the manifest. A full disk does not
// keep a store from being read.
static skald_err recover_begin(ski_recovery *work)
{
    ski_engine *engine = work->engine;
    ski_tail *tail = &engine->tail;
    skald_err err = SKALD_OK;

    for (uint32_t i = engine->manifest.segment_count; i < work->chosen.segment_count; i++) {
        SKALD_TRY(ski_manifest_add(&engine->manifest, work->chosen.segments[i].no,
                                   work->chosen.segments[i].generation));
    }
    tail->manifest_due = true;
    err = ski_writer_wipe(engine);
    if (!err && tail->sealed) err = ski_roll(engine);
    if (!err) err = ski_writer_control(engine, SKI_FRAME_OPEN);
    if (!err) {
        SKALD_TRY(ski_engine_sync(engine, tail->segment->file));
        tail->synced_end = tail->end;
    }
    if (!err && tail->manifest_due) err = ski_roll_manifest(engine);
    if (err != SKALD_EREADONLY) return err;
    engine->stopped = true;
    (void)snprintf(engine->stopped_why, sizeof engine->stopped_why, "disk full");
    return SKALD_OK;
}

// recover_new makes a store in a directory that has none.
static skald_err recover_new(ski_recovery *work)
{
    ski_engine *engine = work->engine;
    const ski_kernel *kernel = engine->kernel;
    bool unsure = false;

    SKALD_TRY(ski_hold_sync_above(kernel, engine->path));
    kernel->random(kernel->context, engine->manifest.store.bytes,
                   sizeof engine->manifest.store.bytes);
    for (unsigned i = 0; i < SKI_MANIFEST_COPIES; i++) {
        SKALD_TRY(ski_manifest_save(kernel, engine->path, &engine->manifest, &unsure));
    }
    return ski_engine_sync_dir(engine);
}

// recover_manifest reads the manifest, or makes the first.
static skald_err recover_manifest(ski_recovery *work)
{
    ski_engine *engine = work->engine;
    unsigned damaged = 0;
    skald_err err = ski_manifest_load(engine->kernel, engine->path, !engine->read_only,
                                      &engine->manifest, &damaged);

    if (err == SKALD_ENOTFOUND) {
        if (work->found.segment_count && engine->read_only) return SKALD_OK;
        if (work->found.segment_count) {
            return skald_fail(
                work->error, SKALD_ECORRUPT,
                "stored data is damaged: neither MANIFEST-0 nor MANIFEST-1 of '%s' is whole. "
                "Restore one from a backup, or open the store read-only",
                engine->path);
        }
        if (engine->read_only) {
            return skald_fail(work->error, SKALD_EUNAVAILABLE, "there is no store in '%s'",
                              engine->path);
        }
        if (damaged) { // without a segment there is nothing that could be lost
            ski_log_line(engine->host->log, SKALD_WARN,
                         "the store was not made to the end; made anew", "path", engine->path,
                         NULL);
        }
        err = recover_new(work);
    }
    if (err == SKALD_EUNSUPPORTED) {
        return skald_fail(work->error, err, "the store in '%s' was written by a newer version",
                          engine->path);
    }
    engine->store = engine->manifest.store;
    return err;
}

// recover_seed: the seed of hashes is the store's own, so that nobody can choose names that
// collide.
static void recover_seed(ski_engine *engine)
{
    engine->seed =
        ski_hash64(UINT64_C(0x736b616c642e6c6f), engine->store.bytes, sizeof engine->store.bytes);
    engine->keys = ski_keys_make(engine->store);
    assert(engine->keys.seed == engine->seed);
    ski_recent_init(&engine->recent, SKI_RECENT_EVENTS_MAX);
}

// first_uuid takes the store's uuid from a segment, when no manifest can be read.
static void first_uuid(ski_recovery *work)
{
    ski_engine *engine = work->engine;

    for (uint32_t i = 0; i < work->chosen.segment_count; i++) {
        ski_file *file = NULL;
        ski_scan scan = {0};

        if (skald_uuid_given(engine->store)) return;
        work->last = false;
        if (ski_recovery_open(work, i, &file)) continue;
        if (ski_scan_begin(&scan, engine->kernel, file, 0) == SKALD_OK) {
            engine->store = scan.header.store;
        }
        ski_scan_end(&scan);
        engine->kernel->close(engine->kernel->context, file);
    }
}

// recover_open_end: the log ends in damage, and how many events are in it is not known. It counts
// as one at least, so that nobody who reads to the end takes it for the end.
static skald_err recover_open_end(ski_recovery *work)
{
    ski_engine *engine = work->engine;
    uint64_t first = ski_window_last(&engine->window) + 1;
    uint64_t last = position_bound(engine, engine->manifest.durable_pos);
    uint32_t damage = engine->damage_count - 1;

    SKALD_TRY(recovery_missing(work, last > first ? last + 1 : first + 1));
    engine->damages[damage].position_last = UINT64_MAX;
    return SKALD_OK;
}

static skald_err recover_segments(ski_recovery *work)
{
    ski_engine *engine = work->engine;
    uint32_t missing = 0;

    SKALD_TRY(ski_found_choose(engine, &work->found, &work->chosen, &missing));
    if (missing && !engine->read_only) {
        char name[SKI_SEGMENT_NAME];

        ski_segment_name(name, missing, 0);
        return skald_fail(
            work->error, SKALD_ECORRUPT,
            "stored data is missing: the file %s of the store in '%s' is not there. Restore "
            "it from a backup, or open the store read-only to save the rest",
            name, engine->path);
    }
    first_uuid(work);
    recover_seed(engine);
    SKALD_TRY(ski_recover_directory(work));
    work->chain_known = true;
    work->position = 1;
    if (!work->chosen.segment_count) return ski_window_init(&engine->window, engine->seed, 0);
    for (uint32_t i = 0; i < work->chosen.segment_count; i++) {
        skald_err err = SKALD_OK;

        work->last = i + 1 == work->chosen.segment_count;
        if (work->last) SKALD_TRY(ski_recover_state(work));
        err = work->last ? recover_last(work, i) : ski_recover_sealed(work, i);
        if (err == SKALD_EUNSUPPORTED) {
            return skald_fail(work->error, err, "the store in '%s' was written by a newer version",
                              engine->path);
        }
        SKALD_TRY(err);
    }
    return work->open_damage ? recover_open_end(work) : SKALD_OK;
}

static skald_err recover_write(ski_recovery *work)
{
    ski_engine *engine = work->engine;

    if (engine->segment_count) {
        SKALD_TRY(recover_tail(work));
    } else {
        engine->tail.next_pos = engine->tail.incarnation = 1;
        // The first segment is small, so it is made of written zeros at once; if not, it grows.
        if (!ski_spare_make(engine) && engine->dead) return SKALD_EIO;
        SKALD_TRY(ski_roll(engine));
    }
    SKALD_TRY(recover_begin(work));
    return ski_found_spares(engine, &work->found);
}

skald_err ski_recover(ski_engine *engine, skald_error *reterr_error)
{
    ski_recovery work = {.engine = engine, .error = reterr_error};
    skald_err err = SKALD_OK;

    // A name that is seen may not be on the device yet: a file was renamed, and the process ended.
    if (!engine->read_only) err = ski_engine_sync_dir(engine);
    if (!err) err = ski_found_list(engine, &work.found);
    if (err == SKALD_ENOTFOUND) {
        err =
            skald_fail(reterr_error, SKALD_EUNAVAILABLE, "there is no store in '%s'", engine->path);
    }
    if (!err) err = recover_manifest(&work);
    if (!err) err = recover_segments(&work);
    if (!err && !engine->read_only) err = ski_found_aside(engine, &work.found, &work.chosen);
    if (!err && !engine->read_only) {
        ski_found_tidy(engine, &work.found);
        err = recover_write(&work);
        if (!err) err = ski_found_replaced(engine, &work.found);
    }
    if (!err) {
        atomic_store(&engine->visible, ski_window_last(&engine->window));
        engine->ids_from = engine->sealed_last + 1; // the keeper loads the others
        ski_ids_reserve(&engine->ids, engine->sealed_last);
    }
    ski_scan_end(&work.scan);
    ski_manifest_fini(&work.chosen);
    ski_found_fini(&work.found);
    return err;
}
