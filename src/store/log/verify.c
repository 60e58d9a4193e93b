// SPDX-License-Identifier: Apache-2.0
// Verifying: every byte of every frame is read again, from the device where the kernel lets us. The
// index file of a segment is held against one made anew in memory, byte by byte; what the window
// has is compared event by event, and the sizes of its lists, so that nothing is in it beside. Then
// every stream of every index is asked of the stream directory; what else is made of events is
// verify_made.c's. Appends go on meanwhile: what is verified is the log as it stood at the
// beginning.
#include "store/log/verify.h"
#include "store/log/engine.h"
#include "store/log/lookup.h"
#include "store/log/sealed_same.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { rewrites_max = 8 }; // of one segment, while its file is being opened

typedef struct verification {
    ski_engine *engine;
    const skald_verify_options *options;
    skald_error *error;
    skald_verified verified;
    uint64_t visible, bytes_all;
    uint32_t slot, count; // segments: this one, how many
    char name[SKI_SEGMENT_NAME];
    bool damaged_before;  // counting is of no use any more
    bool segment_damaged; // this one: its index may find what its frames have lost
} verification;

static void verify_damage(verification *check, skald_damage damage)
{
    const skald_verify_options *options = check->options;

    damage.file = check->name;
    if (!check->verified.damaged++) {
        (void)skald_fail(
            check->error, SKALD_ECORRUPT,
            "stored data is damaged: %s, offset %llu, %llu bytes (positions %llu to %llu): %s",
            damage.file, (unsigned long long)damage.offset, (unsigned long long)damage.length,
            (unsigned long long)damage.position_first, (unsigned long long)damage.position_last,
            damage.why);
    }
    check->damaged_before = check->damaged_before || !damage.repairable;
    check->verified.repairable += damage.repairable;
    if (options && options->damaged) options->damaged(options->context, &damage);
}

static bool postings_have(const ski_index *part, const ski_postings *postings, uint64_t position,
                          uint32_t *ret_at)
{
    uint32_t at = ski_index_seen(part, postings, position);

    *ret_at = at;
    return at && part->base + ski_postings_at(postings, at - 1) == position;
}

// stream_right checks version and predecessor. The lock is held.
static bool stream_right(const verification *check, const ski_index *part, const ski_record *record,
                         uint64_t hash)
{
    const skald_event *event = &record->event;
    const ski_index_key *key = ski_index_stream(part, hash, event->tenant, event->stream);
    uint32_t at = 0;

    if (!key || !postings_have(part, &key->postings, event->position, &at)) return false;
    if (check->engine->damage_count) return event->stream_version >= at;
    if (event->stream_version != key->before.version + at) return false;
    return record->prev_pos ==
           (at > 1 ? part->base + ski_postings_at(&key->postings, at - 2) : key->before.position);
}

static bool id_right(const ski_engine *engine, uint64_t hash, uint64_t position)
{
    // As of when they were noted: how far back `recent` looks was said then, too.
    ski_recent_cursor cursor = {.hash = hash, .last = engine->recalled};
    uint64_t found = 0;

    if (position > engine->recalled) return true; // it is found by its row
    while ((found = ski_recent_next(&engine->recent, &cursor))) {
        if (found == position) return true;
    }
    return false;
}

// record_right holds the window against one record. The lock is held.
static bool record_right(const verification *check, const ski_record *record, uint64_t offset)
{
    const ski_engine *engine = check->engine;
    const skald_event *event = &record->event;
    const ski_index *part = NULL;
    const ski_index_row *row = NULL;
    const ski_index_key *type = NULL;
    ski_index_hashes hashes;
    uint32_t at = 0;

    if (event->position <= engine->sealed_last) return true; // meanwhile: its index is compared
    if (event->position > ski_window_last(&engine->window)) return false;
    part = ski_window_at(&engine->window, event->position);
    row = ski_index_row_of(part, event->position);
    if (row->place != ski_place_make(check->slot, offset, record->len)) return false;
    if (row->content != record->content_hash || row->recorded_at != event->recorded_at)
        return false;
    ski_index_hash(engine->seed, event, &hashes);
    if (hashes.stream && !stream_right(check, part, record, hashes.stream)) return false;
    type = ski_index_type(part, hashes.type, event->tenant, event->type);
    if (!type || !postings_have(part, &type->postings, event->position, &at)) return false;
    if (hashes.correlation) {
        const ski_index_chain *chain = ski_index_correlation(part, hashes.correlation);

        if (!chain || !postings_have(part, &chain->postings, event->position, &at)) return false;
    }
    return row->id_hash == hashes.id && id_right(engine, hashes.id, event->position);
}

// frame_records checks the events of a frame whose checksums are right.
static void frame_records(verification *check, const ski_scan_frame *frame)
{
    ski_engine *engine = check->engine;
    uint64_t position = frame->header.base_pos;
    size_t at = 0;

    for (uint32_t i = 0; i < frame->header.count; i++, position++) {
        ski_record record;
        uint64_t offset = frame->offset + SKI_FRAME_HEADER + at;
        bool right =
            ski_record_get(frame->body + at, frame->header.body_len - at, &record) == SKALD_OK;

        if (right) {
            ski_mutex_lock(&engine->lock);
            right = record.event.position == position && record_right(check, &record, offset);
            ski_mutex_unlock(&engine->lock);
        }
        if (!right) {
            verify_damage(check, (skald_damage){.offset = offset,
                                                .length = frame->header.body_len - at,
                                                .position_first = position,
                                                .position_last = position,
                                                .why = "the event and the index do not agree"});
            return;
        }
        check->verified.events++;
        at += record.len;
    }
}

// segment_last is the last position that a segment has, as the next one says.
static uint64_t segment_last(const verification *check)
{
    const ski_engine *engine = check->engine;
    uint64_t last = check->visible;

    if (check->slot + 1 < check->count) {
        uint64_t next = engine->segments[check->slot + 1]->base_pos;

        if (next) last = next - 1;
    }
    return last;
}

static const char *scan_why(const ski_scan *scan)
{
    return scan->unreadable ? "the device cannot read it" : "a checksum or the order is wrong";
}

// scan_verify goes over a segment to its end, or to end when that is not 0.
static skald_err scan_verify(verification *check, ski_scan *scan, uint64_t end)
{
    const skald_verify_options *options = check->options;

    for (;;) {
        ski_scan_frame frame;
        skald_damage damage = {.offset = scan->offset, .position_first = scan->position};
        skald_err err = ski_scan_next(scan, &frame);

        if (!err) {
            frame_records(check, &frame);
            check->verified.bytes += frame.header.total_len;
            if (options && options->progress) {
                options->progress(options->context, check->verified.bytes, check->bytes_all);
            }
            continue;
        }
        if (err != SKALD_ENOTFOUND) return err;
        if (end ? scan->offset >= end : scan->sealed) return SKALD_OK;
        damage.why = scan_why(scan);
        err = ski_scan_resume(scan, &frame);
        if (err && err != SKALD_ENOTFOUND) return err;
        damage.length = (err ? scan->limit : scan->offset) - damage.offset;
        damage.position_last = err ? segment_last(check) : frame.header.base_pos - 1;
        if (damage.position_last < damage.position_first) {
            damage.position_first = damage.position_last = 0;
        }
        verify_damage(check, damage);
        if (err) return SKALD_OK;
    }
}

// segment_verify opens the file anew, so that nothing of it comes from what we hold.
static skald_err segment_verify(verification *check, uint64_t end)
{
    ski_engine *engine = check->engine;
    const ski_kernel *kernel = engine->kernel;
    char path[SKI_ENGINE_PATH_MAX];
    ski_file *file = NULL;
    ski_scan scan = {0};
    skald_damage whole = {.position_first = engine->segments[check->slot]->base_pos,
                          .why = "the file is not there, or its header is damaged"};
    skald_err err = SKALD_OK;

    for (unsigned attempt = 0; attempt < rewrites_max; attempt++) { // it may be rewritten meanwhile
        ski_mutex_lock(&engine->lock);
        ski_engine_segment_name(engine, check->slot, check->name);
        ski_mutex_unlock(&engine->lock);
        SKALD_TRY(ski_engine_path(engine, check->name, path));
        err = kernel->open(kernel->context, path, 0, &file, NULL);
        if (err != SKALD_ENOTFOUND) break;
    }
    if (!err) err = kernel->forget(kernel->context, file);
    if (!err) err = ski_scan_begin(&scan, kernel, file, end);
    if (!err) {
        err = scan_verify(check, &scan, end);
    } else if (err != SKALD_ENOMEM && err != SKALD_EUNSUPPORTED) {
        whole.length = scan.limit;
        whole.position_last = segment_last(check);
        if (whole.position_last < whole.position_first)
            whole.position_first = whole.position_last = 0;
        verify_damage(check, whole);
        err = SKALD_OK;
    }
    ski_scan_end(&scan);
    if (file) kernel->close(kernel->context, file);
    return err;
}

// window_verify adds up the lists of types: each event is in one of them.
static void window_verify(verification *check)
{
    const ski_engine *engine = check->engine;
    bool right = true;

    if (check->damaged_before || engine->damage_count) return;
    ski_mutex_lock(&check->engine->lock);
    for (uint32_t i = 0; i < engine->window.count; i++) {
        const ski_index *part = engine->window.parts[i];
        uint64_t sum = 0;

        for (uint32_t slot = 0; slot < part->types.table.count; slot++) {
            sum += ski_index_key_at(&part->types, slot)->postings.count;
        }
        right = right && sum == part->count;
    }
    ski_mutex_unlock(&check->engine->lock);
    if (right) return;
    (void)snprintf(check->name, sizeof check->name, "index");
    verify_damage(check,
                  (skald_damage){.why = "the index in memory has more or less than the log"});
}

// index_tell reports an index file. It can be made again: no event is damaged by it.
static void index_tell(verification *check, const ski_sealed_info *info, uint64_t offset,
                       uint64_t length, const char *why)
{
    char kept[SKI_SEGMENT_NAME];

    memcpy(kept, check->name, sizeof kept);
    ski_sealed_name(check->name, info->no, info->generation);
    verify_damage(
        check, (skald_damage){.offset = offset, .length = length, .why = why, .repairable = true});
    memcpy(check->name, kept, sizeof kept);
}

// index_current: the segment was not rewritten meanwhile.
static bool index_current(const verification *check, const ski_sealed_info *info)
{
    ski_engine *engine = check->engine;
    bool current = false;

    ski_mutex_lock(&engine->lock);
    current = check->slot < engine->segment_count &&
              engine->segments[check->slot]->no == info->no &&
              engine->segments[check->slot]->generation == info->generation;
    ski_mutex_unlock(&engine->lock);
    return current;
}

// index_open opens the file of an index anew: what is in use may be in memory, because the file
// could not be read. NOTFOUND: it was said, or there is nothing to compare.
static skald_err index_open(verification *check, const ski_sealed_info *info,
                            ski_sealed **ret_sealed)
{
    ski_engine *engine = check->engine;
    skald_err err = ski_sealed_open(&engine->pool, engine->path, engine->store, info->no,
                                    info->generation, ret_sealed, NULL);

    // One that is not there is no damage: a crash came before it was made.
    if (err != SKALD_ECORRUPT && err != SKALD_EIO) return err;
    if (index_current(check, info)) {
        index_tell(check, info, 0, info->file_bytes,
                   "the index is not whole; it can be made again");
        if (!engine->read_only) ski_engine_suspect(engine, check->slot);
    }
    return SKALD_ENOTFOUND;
}

// index_compare holds the index of a segment against one made anew. Of a segment that is damaged
// none is: it would have less than the one there is, which finds what is whole in a damaged frame.
static skald_err index_compare(verification *check, const ski_sealed *sealed)
{
    ski_engine *engine = check->engine;
    const ski_sealed_info *info = ski_sealed_info_of(sealed);
    ski_sealed_source source = {.kernel = engine->kernel,
                                .path = engine->path,
                                .store = engine->store,
                                .no = info->no,
                                .generation = info->generation};
    ski_sealed *again = NULL;
    uint64_t offset = 0;
    bool same = false;
    skald_err err = ski_sealed_check(sealed, NULL);

    if (err == SKALD_ECORRUPT || err == SKALD_EIO) {
        index_tell(check, info, 0, info->file_bytes, "a checksum is wrong; it can be made again");
        ski_engine_suspect(engine, check->slot);
        return SKALD_OK;
    }
    if (!err && check->segment_damaged) return SKALD_OK;
    if (!err) err = ski_sealed_build_memory(&source, &engine->pool, &again, NULL);
    if (err == SKALD_ECORRUPT || err == SKALD_EIO || err == SKALD_ENOTFOUND) return SKALD_OK;
    if (!err) err = ski_sealed_same(sealed, again, &same, &offset, NULL);
    ski_sealed_close(again);
    if (!err && !same) {
        index_tell(check, info, offset, info->file_bytes - offset,
                   "the index and the segment do not agree; it can be made again");
        ski_engine_suspect(engine, check->slot);
    }
    return err;
}

// directory_verify asks the directory for every stream of an index: it must stand there or further.
static skald_err directory_verify(verification *check, const ski_sealed *sealed)
{
    ski_engine *engine = check->engine;
    const ski_sealed_info *info = ski_sealed_info_of(sealed);
    uint64_t end = info->base_pos + info->count;
    ski_sealed_streams_iter iter;
    bool right = true;
    skald_err err = SKALD_OK;

    if (ski_directory_covered(&engine->directory) < info->no) return SKALD_OK;
    SKALD_TRY(ski_sealed_streams_begin(&iter, sealed));
    while (right && (err = ski_sealed_streams_next(&iter, NULL)) == SKALD_OK) {
        ski_run_entry entry = {0};
        skald_err found = ski_directory_find(&engine->directory, iter.fp, info->no, &entry, NULL);

        if (found == SKALD_EIO || found == SKALD_ESTALE) continue;
        right =
            !found && entry.last_version >= iter.last_version && entry.last_pos >= iter.last_pos;
        if (right && entry.last_pos < end) right = entry.last_version == iter.last_version;
    }
    ski_sealed_streams_end(&iter);
    if (!right) {
        char kept[SKI_SEGMENT_NAME];

        memcpy(kept, check->name, sizeof kept);
        (void)snprintf(check->name, sizeof check->name, "dir-*.run");
        verify_damage(check, (skald_damage){.length = ski_directory_file_bytes(&engine->directory),
                                            .why = "the stream directory is damaged; it can be "
                                                   "made again",
                                            .repairable = true});
        memcpy(check->name, kept, sizeof kept);
        ski_mutex_lock(&engine->lock);
        engine->directory_broken = true;
        ski_cond_signal(&engine->keep_work);
        ski_mutex_unlock(&engine->lock);
    }
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

// index_verify checks what there is of a segment beside its file.
static skald_err index_verify(verification *check)
{
    ski_indexed *indexed = ski_engine_index(check->engine, check->slot);
    uint64_t damaged = check->verified.damaged;
    ski_sealed *fresh = NULL;
    skald_err err = SKALD_OK;

    if (!indexed) return SKALD_OK;
    err = index_open(check, ski_sealed_info_of(indexed->sealed), &fresh);
    if (!err) err = index_compare(check, fresh);
    ski_sealed_close(fresh);
    if (err == SKALD_ENOTFOUND) err = SKALD_OK;
    if (!err && check->verified.damaged == damaged) {
        err = directory_verify(check, indexed->sealed);
    }
    ski_engine_index_return(check->engine, indexed);
    if (err == SKALD_ECORRUPT || err == SKALD_EIO) { // said already, or it was rebuilt meanwhile
        return SKALD_OK;
    }
    return err;
}

// verify_begin takes the picture of the log that is verified. A segment that is being made is left
// out.
static uint64_t verify_begin(verification *check)
{
    ski_engine *engine = check->engine;
    uint64_t end = 0;

    ski_mutex_lock(&engine->lock);
    check->visible = atomic_load(&engine->visible);
    check->count = engine->segment_count;
    if (!engine->read_only && check->count &&
        engine->segments[check->count - 1] != engine->active) {
        check->count--;
    }
    for (uint32_t i = 0; i < check->count; i++) {
        end = engine->segments[i]->end;
        check->bytes_all += end;
    }
    ski_mutex_unlock(&engine->lock);
    return end;
}

// made_tell reports a file that is made of events.
static void made_tell(void *context, const char *name, uint64_t bytes, const char *why)
{
    verification *check = context;

    (void)snprintf(check->name, sizeof check->name, "%s", name);
    verify_damage(check, (skald_damage){.length = bytes, .why = why, .repairable = true});
}

skald_err ski_verify(void *driver, const skald_verify_options *options,
                     skald_verified *ret_verified, skald_error *reterr_error)
{
    verification check = {.engine = driver, .options = options, .error = reterr_error};
    ski_engine *engine = driver;
    uint64_t end = verify_begin(&check);

    for (; check.slot < check.count; check.slot++) {
        bool last = check.slot + 1 == check.count;
        uint64_t damaged = check.verified.damaged;

        check.verified.bytes += SKI_SEGMENT_HEADER;
        SKALD_TRY(segment_verify(&check, last ? end : 0));
        check.segment_damaged = check.verified.damaged != damaged;
        SKALD_TRY(index_verify(&check));
    }
    window_verify(&check);
    SKALD_TRY(ski_verify_made(engine, options && options->repair, made_tell, &check));
    if (options && options->repair && check.verified.repairable && !engine->read_only) {
        if (ski_verify_repair(engine)) check.verified.repaired = check.verified.repairable;
    }
    check.verified.segments = check.count;
    check.verified.position_last = check.visible;
    *ret_verified = check.verified;
    return check.verified.damaged ? SKALD_ECORRUPT : SKALD_OK;
}
