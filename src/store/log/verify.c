// SPDX-License-Identifier: Apache-2.0
// Verifying: every byte of every frame is read again, from the device where the kernel lets us, and
// the index is held against it, event by event; then the sizes of its lists, so that nothing is in
// it beside. Appends go on meanwhile: what is verified is the log as it stood at the beginning.
#include "store/log/engine.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

typedef struct verification {
    ski_engine *engine;
    const skald_verify_options *options;
    skald_error *error;
    skald_verified verified;
    uint64_t visible, bytes_all;
    uint64_t streamed;    // events that have a stream
    uint32_t slot, count; // segments: this one, how many
    char name[SKI_SEGMENT_NAME];
    bool damaged_before; // counting is of no use any more
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
    check->damaged_before = true;
    if (options && options->damaged) options->damaged(options->context, &damage);
}

static bool postings_have(const ski_postings *postings, uint64_t position, uint32_t *ret_at)
{
    uint32_t at = ski_postings_after(postings, position);

    *ret_at = at;
    return at && ski_postings_at(postings, at - 1) == position;
}

// stream_right checks version and predecessor. The lock is held.
static bool stream_right(const verification *check, const ski_record *record, uint64_t hash)
{
    const ski_index *index = &check->engine->index;
    const skald_event *event = &record->event;
    const ski_index_key *key = ski_index_stream(index, hash, event->tenant, event->stream);
    uint32_t at = 0;

    if (!key || !postings_have(&key->postings, event->position, &at)) return false;
    if (check->engine->damage_count) return event->stream_version >= at;
    if (event->stream_version != at) return false;
    return record->prev_pos == (at > 1 ? ski_postings_at(&key->postings, at - 2) : 0);
}

// record_right holds the index against one record. The lock is held.
static bool record_right(const verification *check, const ski_record *record, uint64_t offset)
{
    const ski_engine *engine = check->engine;
    const ski_index *index = &engine->index;
    const skald_event *event = &record->event;
    const ski_index_row *row = NULL;
    const ski_index_key *type = NULL;
    ski_index_hashes hashes;
    uint32_t at = 0;

    if (!event->position || event->position > index->count) return false;
    row = ski_index_row_of(index, event->position);
    if (row->place != ski_place_make(check->slot, offset, record->len)) return false;
    if (row->content != record->content_hash || row->recorded_at != event->recorded_at)
        return false;
    ski_index_hash(engine->seed, event, &hashes);
    if (hashes.stream && !stream_right(check, record, hashes.stream)) return false;
    type = ski_index_type(index, hashes.type, event->tenant, event->type);
    if (!type || !postings_have(&type->postings, event->position, &at)) return false;
    if (hashes.correlation) {
        const ski_index_chain *chain = ski_index_correlation(index, hashes.correlation);

        if (!chain || !postings_have(&chain->postings, event->position, &at)) return false;
    }
    return row->id_hash == hashes.id &&
           ski_index_id(index, hashes.id, event->position) == event->position;
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
        check->streamed += record.event.stream.len != 0;
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
    skald_damage whole = {.why = "the file is not there, or its header is damaged"};
    skald_err err = SKALD_OK;

    SKALD_TRY(ski_engine_path(engine, check->name, path));
    err = kernel->open(kernel->context, path, 0, &file, NULL);
    if (!err) err = kernel->forget(kernel->context, file);
    if (!err) err = ski_scan_begin(&scan, kernel, file, end);
    if (!err) {
        err = scan_verify(check, &scan, end);
    } else if (err != SKALD_ENOMEM && err != SKALD_EUNSUPPORTED) {
        whole.length = scan.limit;
        whole.position_last = segment_last(check);
        verify_damage(check, whole);
        err = SKALD_OK;
    }
    ski_scan_end(&scan);
    if (file) kernel->close(kernel->context, file);
    return err;
}

// names_sum adds up the lists of a table, as far as they are visible.
static uint64_t names_sum(const ski_index_names *names, uint64_t visible)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < names->table.count; i++) {
        sum += ski_postings_after(&ski_index_key_at(names, i)->postings, visible);
    }
    return sum;
}

static void index_verify(verification *check)
{
    ski_engine *engine = check->engine;
    uint64_t types = 0, streams = 0;

    if (check->damaged_before) return;
    ski_mutex_lock(&engine->lock);
    types = names_sum(&engine->index.types, check->visible);
    streams = names_sum(&engine->index.streams, check->visible);
    ski_mutex_unlock(&engine->lock);
    if (types == check->visible && streams == check->streamed &&
        check->verified.events == check->visible) {
        return;
    }
    (void)snprintf(check->name, sizeof check->name, "index");
    verify_damage(check,
                  (skald_damage){.why = "the index in memory has more or less than the log"});
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
        engine->segments[check->count - 1] != engine->tail.segment) {
        check->count--;
    }
    for (uint32_t i = 0; i < check->count; i++) {
        end = engine->segments[i]->end;
        check->bytes_all += end;
    }
    ski_mutex_unlock(&engine->lock);
    return end;
}

skald_err ski_verify(void *driver, const skald_verify_options *options,
                     skald_verified *ret_verified, skald_error *reterr_error)
{
    verification check = {.engine = driver, .options = options, .error = reterr_error};
    ski_engine *engine = driver;
    uint64_t end = verify_begin(&check);

    for (; check.slot < check.count; check.slot++) {
        bool last = check.slot + 1 == check.count;

        ski_mutex_lock(&engine->lock);
        ski_engine_segment_name(engine, check.slot, check.name);
        ski_mutex_unlock(&engine->lock);
        check.verified.bytes += SKI_SEGMENT_HEADER;
        SKALD_TRY(segment_verify(&check, last ? end : 0));
    }
    index_verify(&check);
    check.verified.segments = check.count;
    check.verified.position_last = check.visible;
    *ret_verified = check.verified;
    return check.verified.damaged ? SKALD_ECORRUPT : SKALD_OK;
}
