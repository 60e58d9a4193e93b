// SPDX-License-Identifier: Apache-2.0
// Rewriting a segment.
//
// What is written: for each frame the events that are left, positions as they are (a frame with
// dead events in the middle becomes several: the whole file is one atomic unit now); of the named
// values those that are the last of their name here (to erase, only those that stand still); where
// the streams stood of which the last event is gone, and the names of those whose first is; SEAL.
// PAD and OPEN are left out. The salt is new, so that nothing of the old file can pass for a frame
// of it; the header says what the chain of the segment ended in when it was first sealed, for that
// is what the next segment begins with.
#include "store/log/rewrite.h"
#include "base/alloc.h"
#include "store/log/gone.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    out_bytes = 1024 * 1024,
    part_bytes = 256 * 1024, // of values or streams in one frame, if one is not larger
    passed_frames = 256,     // and then it is asked whether to go on
};

static bool bit_get(const uint8_t *bits, uint64_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

static void bit_set(uint8_t *bits, uint64_t i)
{
    bits[i / 8] |= (uint8_t)(1u << (i % 8));
}

skald_err ski_rewrite_begin(ski_rewrite *rewrite, ski_engine *engine, uint32_t slot, bool erase)
{
    const ski_sealed_info *info = NULL;

    *rewrite = (ski_rewrite){.engine = engine, .slot = slot, .erase = erase};
    rewrite->indexed = ski_engine_index(engine, slot);
    if (!rewrite->indexed) return SKALD_ENOTFOUND; // read-only, or nothing of it can be read
    info = ski_sealed_info_of(rewrite->indexed->sealed);
    if (!info->events && !erase) return SKALD_ENOTFOUND;
    rewrite->kept = ski_alloc_zeroed(1, (size_t)info->count / 8 + 1);
    return rewrite->kept ? SKALD_OK : SKALD_ENOMEM;
}

void ski_rewrite_end(ski_rewrite *rewrite)
{
    ski_engine_index_return(rewrite->engine, rewrite->indexed);
    ski_free(rewrite->kept);
    rewrite->indexed = NULL;
    rewrite->kept = NULL;
}

// --- going over the old one ---------------------------------------------------------------------

typedef skald_err frame_take(ski_rewrite *rewrite, const ski_scan_frame *frame, void *context);

static skald_err frames_damaged(const ski_scan *scan, skald_error *reterr_error)
{
    char name[SKI_SEGMENT_NAME];

    ski_segment_name(name, scan->header.no, scan->header.generation);
    return skald_fail(
        reterr_error, SKALD_ECORRUPT,
        "stored data is damaged: %s, offset %llu, %llu bytes (from position %llu on); "
        "the segment is left as it is",
        name, (unsigned long long)scan->offset, (unsigned long long)(scan->limit - scan->offset),
        (unsigned long long)scan->position);
}

// frames_scan gives take every frame up to SEAL, which is the last one.
static skald_err frames_scan(ski_rewrite *rewrite, ski_scan *scan, frame_take *take, void *context,
                             skald_error *reterr_error)
{
    uint64_t passed = 0;

    for (uint64_t n = 1; !scan->sealed; n++) {
        ski_scan_frame frame;
        skald_err err = ski_scan_next(scan, &frame);

        if (err == SKALD_ENOTFOUND) return frames_damaged(scan, reterr_error);
        if (err) return err;
        err = take(rewrite, &frame, context);
        if (err == SKALD_ECORRUPT) return frames_damaged(scan, reterr_error);
        if (err) return err;
        passed += frame.header.total_len;
        if (passed < out_bytes && n % passed_frames && !scan->sealed) continue;
        if (rewrite->passed && !rewrite->passed(rewrite->context, passed)) return SKALD_ECLOSED;
        passed = 0;
    }
    return SKALD_OK;
}

static skald_err frames_each(ski_rewrite *rewrite, frame_take *take, void *context,
                             skald_error *reterr_error)
{
    ski_engine *engine = rewrite->engine;
    const ski_kernel *kernel = engine->kernel;
    const ski_sealed_info *info = ski_sealed_info_of(rewrite->indexed->sealed);
    char name[SKI_SEGMENT_NAME], path[SKI_ENGINE_PATH_MAX];
    ski_file *file = NULL;
    ski_scan scan = {0};
    skald_err err = SKALD_OK;

    ski_segment_name(name, info->no, info->generation);
    SKALD_TRY(ski_engine_path(engine, name, path));
    SKALD_TRY(kernel->open(kernel->context, path, 0, &file, reterr_error));
    err = kernel->size(kernel->context, file, &rewrite->file_bytes);
    if (!err) err = ski_scan_begin(&scan, kernel, file, 0);
    if (err == SKALD_ECORRUPT || (!err && scan.header.salt != info->salt)) {
        err = skald_fail(reterr_error, SKALD_ECORRUPT, "stored data is damaged: the header of %s",
                         name);
    }
    if (!err) err = frames_scan(rewrite, &scan, take, context, reterr_error);
    ski_scan_end(&scan);
    kernel->close(kernel->context, file);
    return err;
}

// --- looking ------------------------------------------------------------------------------------

typedef struct looking {
    bool (*dead)(void *context, const skald_store_mark *mark);
    void *context;
} looking;

static skald_err frame_look(ski_rewrite *rewrite, const ski_scan_frame *frame, void *context)
{
    const looking *look = context;
    uint64_t base = ski_sealed_info_of(rewrite->indexed->sealed)->base_pos;
    size_t at = 0;

    if (frame->header.kind != SKI_FRAME_EVENTS && frame->header.kind != SKI_FRAME_CONTROL) {
        return SKALD_OK;
    }
    for (uint32_t i = 0; i < frame->header.count; i++) {
        ski_record record;
        const skald_event *event = &record.event;

        SKALD_TRY(ski_record_of_frame(frame->body + at, frame->header.body_len - at, &record));
        if (event->position != frame->header.base_pos + i) return SKALD_ECORRUPT;
        rewrite->events++;
        if (look->dead(look->context,
                       &(skald_store_mark){event->tenant, event->stream, event->stream_version,
                                           event->position, event->recorded_at})) {
            rewrite->dead++;
            rewrite->bytes_dead += record.len;
        } else {
            bit_set(rewrite->kept, event->position - base);
        }
        at += record.len;
    }
    for (size_t len = 0; rewrite->erase && at < frame->header.body_len; at += len) {
        skald_store_value value;

        SKALD_TRY(ski_value_get(frame->body + at, frame->header.body_len - at, &value, &len));
        rewrite->values_replaced += ski_value_replaced(rewrite->engine, &value);
    }
    return SKALD_OK;
}

skald_err ski_rewrite_look(ski_rewrite *rewrite,
                           bool (*dead)(void *context, const skald_store_mark *mark), void *context,
                           skald_error *reterr_error)
{
    const ski_sealed_info *info = ski_sealed_info_of(rewrite->indexed->sealed);
    looking look = {dead, context};

    if (info->damaged) {
        char name[SKI_SEGMENT_NAME];

        ski_segment_name(name, info->no, info->generation);
        return skald_fail(
            reterr_error, SKALD_ECORRUPT,
            "stored data is damaged: %s (%llu of positions %llu to %llu); the segment "
            "is left as it is",
            name, (unsigned long long)info->damaged, (unsigned long long)info->base_pos,
            (unsigned long long)(info->base_pos + info->count - 1));
    }
    if (dead) return frames_each(rewrite, frame_look, &look, reterr_error);
    rewrite->events = rewrite->dead = info->events;
    rewrite->bytes_dead = info->bytes_live;
    return SKALD_OK;
}

// --- writing ------------------------------------------------------------------------------------

typedef struct output {
    const ski_kernel *kernel;
    ski_file *file;
    uint8_t *bytes;
    size_t len, size;
    uint64_t at; // of bytes in the file
    uint32_t chain, seed, no;
    ski_frame_header last; // of the old one's frames, the last one there was
    ski_values values;     // the last of each name here, removals too
    bool values_dropped;
} output;

static skald_err out_flush(output *out)
{
    if (!out->len) return SKALD_OK;
    SKALD_TRY(out->kernel->pwrite(out->kernel->context, out->file, out->bytes, out->len, out->at));
    out->at += out->len;
    out->len = 0;
    return SKALD_OK;
}

// out_frame gives room for a frame with a body of len bytes: the body's place.
static skald_err out_frame(output *out, size_t len, uint8_t **ret_body)
{
    size_t total = ski_frame_len(len);

    if (out->len + total > out->size) SKALD_TRY(out_flush(out));
    if (total > out->size) {
        uint8_t *bytes = ski_realloc(out->bytes, total);

        if (!bytes) return SKALD_ENOMEM;
        out->bytes = bytes;
        out->size = total;
    }
    *ret_body = out->bytes + out->len + SKI_FRAME_HEADER;
    return SKALD_OK;
}

// out_seal completes the frame whose body is in place; what it says beside is like's.
static void out_seal(output *out, ski_frame_kind kind, const ski_frame_header *like,
                     uint64_t base_pos, uint32_t count, size_t len)
{
    ski_frame_header header = {.body_len = (uint32_t)len,
                               .base_pos = base_pos,
                               .durable_pos = like->durable_pos,
                               .append_us = like->append_us,
                               .incarnation = like->incarnation,
                               .count = count,
                               .prev_crc = out->chain,
                               .segment_no = out->no,
                               .kind = (uint8_t)kind};

    out->chain = ski_frame_seal(out->bytes + out->len, &header, out->seed);
    out->len += ski_frame_len(len);
}

static skald_err value_note(output *out, const skald_store_value *value)
{
    ski_values_change change;

    SKALD_TRY(ski_values_prepare(&out->values, value, &change));
    ski_values_apply(&out->values, &change);
    return SKALD_OK;
}

// run_write writes events of a frame that follow one another.
static skald_err run_write(output *out, const ski_scan_frame *frame, uint32_t first, uint32_t count,
                           size_t from, size_t to)
{
    uint8_t *body = NULL;

    if (!count) return SKALD_OK;
    SKALD_TRY(out_frame(out, to - from, &body));
    memcpy(body, frame->body + from, to - from);
    out_seal(out, SKI_FRAME_EVENTS, &frame->header, frame->header.base_pos + first, count,
             to - from);
    return SKALD_OK;
}

static skald_err frame_write(ski_rewrite *rewrite, const ski_scan_frame *frame, void *context)
{
    output *out = context;
    uint64_t base = ski_sealed_info_of(rewrite->indexed->sealed)->base_pos;
    const ski_frame_header *header = &frame->header;
    uint32_t first = 0;
    size_t at = 0, from = 0;

    out->last = *header;
    if (header->kind != SKI_FRAME_EVENTS && header->kind != SKI_FRAME_CONTROL) return SKALD_OK;
    for (uint32_t i = 0; i < header->count; i++) {
        ski_record record;

        SKALD_TRY(ski_record_of_frame(frame->body + at, header->body_len - at, &record));
        if (!bit_get(rewrite->kept, header->base_pos + i - base)) {
            SKALD_TRY(run_write(out, frame, first, i - first, from, at));
            first = i + 1;
            from = at + record.len;
        }
        at += record.len;
    }
    SKALD_TRY(run_write(out, frame, first, header->count - first, from, at));
    for (size_t len = 0; at < header->body_len; at += len) {
        skald_store_value value;

        SKALD_TRY(ski_value_get(frame->body + at, header->body_len - at, &value, &len));
        SKALD_TRY(value_note(out, &value));
    }
    return SKALD_OK;
}

// values_write writes the values, removals too: an older segment may have what was removed.
static skald_err values_write(const ski_rewrite *rewrite, output *out)
{
    for (uint32_t i = 0; i < out->values.count; i++) {
        const ski_values_entry *entry = &out->values.entries[i];
        skald_store_value value = {.name = {entry->name, entry->name_len}};
        uint8_t *body = NULL;
        size_t len = 0;

        if (entry->bytes) value.bytes = (skald_str){entry->bytes->bytes, entry->bytes->len};
        if (rewrite->erase && ski_value_replaced(rewrite->engine, &value)) {
            out->values_dropped = true;
            continue;
        }
        len = ski_value_len(&value);
        SKALD_TRY(out_frame(out, len, &body));
        ski_value_put(body, &value);
        out_seal(out, SKI_FRAME_CONTROL, &out->last, out->last.base_pos, 0, len);
    }
    return SKALD_OK;
}

// A frame of streams that is being filled.
typedef struct streams_out {
    output *out;
    uint8_t *bytes; // part_bytes
    size_t len;
} streams_out;

static skald_err streams_flush(streams_out *streams)
{
    output *out = streams->out;
    uint8_t *body = NULL;

    if (!streams->len) return SKALD_OK;
    SKALD_TRY(out_frame(out, streams->len, &body));
    memcpy(body, streams->bytes, streams->len);
    out_seal(out, SKI_FRAME_STREAMS, &out->last, out->last.base_pos, 0, streams->len);
    streams->len = 0;
    return SKALD_OK;
}

static skald_err streams_put(streams_out *streams, const ski_gone *gone)
{
    size_t len = ski_gone_len(gone);

    assert(len <= part_bytes);
    if (streams->len + len > part_bytes) SKALD_TRY(streams_flush(streams));
    ski_gone_put(streams->bytes + streams->len, gone);
    streams->len += len;
    return SKALD_OK;
}

// heads_write says where the streams stood of which the last event here is gone.
static skald_err heads_write(const ski_rewrite *rewrite, streams_out *streams,
                             skald_error *reterr_error)
{
    const ski_sealed *sealed = rewrite->indexed->sealed;
    uint64_t base = ski_sealed_info_of(sealed)->base_pos;
    ski_sealed_streams_iter iter;
    skald_err err = ski_sealed_streams_begin(&iter, sealed);

    if (err) return err;
    while (!(err = ski_sealed_streams_next(&iter, reterr_error))) {
        ski_gone gone = {.fp = iter.fp,
                         .last_version = iter.last_version,
                         .last_pos = iter.last_pos,
                         .prev_pos = iter.prev_pos};

        if (bit_get(rewrite->kept, iter.last_pos - base)) continue;
        err = streams_put(streams, &gone);
        if (err) break;
    }
    ski_sealed_streams_end(&iter);
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

// first_kept: version 1 of the stream is here and stays.
static skald_err first_kept(const ski_rewrite *rewrite, skald_str tenant, skald_str name,
                            bool *ret_kept, skald_error *reterr_error)
{
    const ski_sealed *sealed = rewrite->indexed->sealed;
    uint64_t position = 0;
    ski_sealed_stream stream;
    skald_err err =
        ski_sealed_stream_find(sealed, ski_keys_stream(&rewrite->engine->keys, tenant, name),
                               &stream, reterr_error);

    *ret_kept = false;
    if (err == SKALD_ENOTFOUND) return SKALD_ECORRUPT;
    if (err || stream.first_version != 1 || !stream.list.count) return err;
    SKALD_TRY(ski_sealed_list_at(sealed, &stream.list, 0, &position, reterr_error));
    *ret_kept = bit_get(rewrite->kept, position - ski_sealed_info_of(sealed)->base_pos);
    return SKALD_OK;
}

// names_write says the names of the streams that begin here and whose first event is gone.
static skald_err names_write(const ski_rewrite *rewrite, streams_out *streams,
                             skald_error *reterr_error)
{
    ski_sealed_names_iter *iter = ski_alloc(sizeof *iter);
    skald_str none = {"", 0};
    skald_err err = iter ? SKALD_OK : SKALD_ENOMEM;

    if (!err) {
        err = ski_sealed_names_begin(iter, rewrite->indexed->sealed, SKI_SEALED_FIRST, none, none,
                                     reterr_error);
    }
    while (!err && !(err = ski_sealed_names_next(iter, reterr_error))) {
        bool kept = false;

        err = first_kept(rewrite, iter->tenant, iter->name, &kept, reterr_error);
        if (err || kept) continue;
        err = streams_put(streams, &(ski_gone){.tenant = iter->tenant, .name = iter->name});
    }
    ski_free(iter);
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

static skald_err streams_write(const ski_rewrite *rewrite, output *out, skald_error *reterr_error)
{
    streams_out streams = {.out = out, .bytes = ski_alloc(part_bytes)};
    skald_err err = streams.bytes ? SKALD_OK : SKALD_ENOMEM;

    if (!err) err = heads_write(rewrite, &streams, reterr_error);
    if (!err) err = names_write(rewrite, &streams, reterr_error);
    if (!err) err = streams_flush(&streams);
    ski_free(streams.bytes);
    return err;
}

// segment_fill writes all of the new file, and syncs it.
static skald_err segment_fill(ski_rewrite *rewrite, output *out, const ski_segment_header *header,
                              skald_error *reterr_error)
{
    ski_engine *engine = rewrite->engine;
    uint8_t *body = NULL;

    out->size = out_bytes;
    out->bytes = ski_alloc(out->size);
    if (!out->bytes) return SKALD_ENOMEM;
    ski_segment_header_put(out->bytes, header);
    out->len = SKI_SEGMENT_HEADER;
    SKALD_TRY(frames_each(rewrite, frame_write, out, reterr_error));
    SKALD_TRY(values_write(rewrite, out));
    SKALD_TRY(streams_write(rewrite, out, reterr_error));
    SKALD_TRY(out_frame(out, 0, &body));
    out_seal(out, SKI_FRAME_SEAL, &out->last, out->last.base_pos, 0, 0);
    SKALD_TRY(out_flush(out));
    if (rewrite->passed && !rewrite->passed(rewrite->context, out->at)) return SKALD_ECLOSED;
    return ski_engine_sync(engine, out->file);
}

// segment_write makes the new segment's file, under its name.
static skald_err segment_write(ski_rewrite *rewrite, ski_rewritten *rewritten,
                               skald_error *reterr_error)
{
    ski_engine *engine = rewrite->engine;
    const ski_kernel *kernel = engine->kernel;
    const ski_sealed_info *info = ski_sealed_info_of(rewrite->indexed->sealed);
    char name[SKI_SEGMENT_NAME], path[SKI_ENGINE_PATH_MAX], making[SKI_ENGINE_PATH_MAX];
    output out = {
        .kernel = kernel, .chain = info->prev_crc, .no = info->no, .values.removals = true};
    ski_segment_header header = {.store = engine->store,
                                 .no = info->no,
                                 .generation = rewritten->generation,
                                 .base_pos = info->base_pos,
                                 .created_us = kernel->now(kernel->context),
                                 .prev_crc = info->prev_crc,
                                 .replaced_crc = info->chain_crc};
    int len = 0;
    skald_err err = SKALD_OK;

    ski_segment_name(name, info->no, rewritten->generation);
    SKALD_TRY(ski_engine_path(engine, name, path));
    len = snprintf(making, sizeof making, "%s.tmp", path);
    if (len < 0 || (size_t)len >= sizeof making) return SKALD_ETOOBIG;
    kernel->random(kernel->context, &header.salt, sizeof header.salt);
    out.seed = rewritten->seed = ski_frame_seed(header.salt);
    SKALD_TRY(kernel->open(kernel->context, making, SKI_OPEN_WRITE | SKI_OPEN_CREATE, &out.file,
                           reterr_error));
    err = kernel->truncate(kernel->context, out.file, 0); // of an attempt before
    if (!err) err = segment_fill(rewrite, &out, &header, reterr_error);
    if (!err) err = kernel->rename(kernel->context, making, path);
    kernel->close(kernel->context, out.file);
    ski_free(out.bytes);
    ski_values_fini(&out.values);
    if (err && !engine->dead && kernel->unlink(kernel->context, making)) return err;
    rewritten->file_bytes = out.at;
    rewritten->values_dropped = out.values_dropped;
    return err;
}

static bool write_interrupted(void *context)
{
    ski_rewrite *rewrite = context;

    return rewrite->engine->dead || (rewrite->passed && !rewrite->passed(rewrite->context, 0));
}

void ski_rewrite_remove(ski_rewrite *rewrite, const ski_rewritten *rewritten)
{
    ski_engine *engine = rewrite->engine;
    uint32_t no = ski_sealed_info_of(rewrite->indexed->sealed)->no;
    bool listed = false;

    // An attempt before this one may have come as far as the manifest, and not been taken: then it
    // is these files that the next opening looks for.
    ski_writer_take(engine);
    listed = engine->manifest.segments[rewrite->slot].generation == rewritten->generation;
    ski_writer_give(engine);
    if (listed) return;
    ski_worthless_add(rewrite->engine, no, rewritten->generation, false);
    ski_worthless_add(rewrite->engine, no, rewritten->generation, true);
    ski_worthless_remove(rewrite->engine);
}

skald_err ski_rewrite_write(ski_rewrite *rewrite, ski_rewritten *ret_rewritten,
                            skald_error *reterr_error)
{
    ski_engine *engine = rewrite->engine;
    const ski_sealed_info *info = ski_sealed_info_of(rewrite->indexed->sealed);
    ski_rewritten rewritten = {.generation = info->generation + 1};
    ski_sealed_source source = {.kernel = engine->kernel,
                                .path = engine->path,
                                .store = engine->store,
                                .no = info->no,
                                .generation = rewritten.generation,
                                .interrupted = write_interrupted,
                                .context = rewrite};
    bool unsure = false;
    skald_err err = SKALD_OK;

    SKALD_TRY(segment_write(rewrite, &rewritten, reterr_error));
    err = ski_sealed_build(&source, &unsure, reterr_error);
    if (unsure) ski_engine_die(engine, "the device failed to store an index (sync)");
    if (!err) {
        err = ski_sealed_open(&engine->pool, engine->path, engine->store, info->no,
                              rewritten.generation, &rewritten.sealed, reterr_error);
    }
    if (!err && rewrite->passed) {
        (void)rewrite->passed(rewrite->context, ski_sealed_info_of(rewritten.sealed)->file_bytes);
    }
    if (err) {
        ski_rewrite_remove(rewrite, &rewritten);
        return err;
    }
    *ret_rewritten = rewritten;
    return SKALD_OK;
}
