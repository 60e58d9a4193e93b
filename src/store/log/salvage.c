// SPDX-License-Identifier: Apache-2.0
// Salvage: of a store opened read-only because it is damaged, a new one with everything that can be
// read.
//
// Every segment is written again as the next generation of itself: its whole frames as they were;
// of a frame that is not whole those events that its index still finds and that verify one by one;
// SEAL, which says with which position the next segment begins, so that what is lost stays empty.
// Behind the last one a new segment is begun, with all named values as they were read. The chain of
// checksums is made anew through all of it, so the copy is whole in every way.
#include "base/alloc.h"
#include "store/log/backup.h"
#include "store/log/copying.h"
#include "store/log/damage.h"
#include "store/log/engine.h"
#include "store/log/lookup.h"
#include <stdio.h>
#include <string.h>

enum { values_bytes_max = 1024 * 1024 }; // of one frame of them; a value may be larger

typedef struct salvage {
    ski_engine *engine;
    ski_copying copying;
    const skald_salvage_options *options;
    skald_salvaged done;
    ski_manifest manifest;
    // The segment being read.
    uint32_t slot;
    char source[SKI_SEGMENT_NAME];
    ski_scan scan;
    // The segment being written.
    ski_file *file;
    ski_segment_header header;
    uint32_t seed;
    uint64_t at;       // where the next frame goes
    uint64_t position; // of the next event
    uint32_t chain, incarnation;
    int64_t append_us;
    uint8_t *bytes;
    size_t size;
} salvage;

static skald_err bytes_room(salvage *run, size_t size)
{
    uint8_t *bytes = NULL;

    if (size <= run->size) return SKALD_OK;
    bytes = ski_realloc(run->bytes, size);
    if (!bytes) return SKALD_ENOMEM;
    run->bytes = bytes;
    run->size = size;
    return SKALD_OK;
}

// frame_put writes a frame behind the last one.
static skald_err frame_put(salvage *run, const ski_frame_header *like, const uint8_t *body)
{
    const ski_kernel *kernel = run->engine->kernel;
    size_t len = ski_frame_len(like->body_len);
    ski_frame_header header = *like;

    SKALD_TRY(bytes_room(run, len));
    if (like->body_len) memcpy(run->bytes + SKI_FRAME_HEADER, body, like->body_len);
    if (header.incarnation > run->incarnation) run->incarnation = header.incarnation;
    if (header.append_us > run->append_us) run->append_us = header.append_us;
    header.incarnation = run->incarnation;
    header.append_us = run->append_us;
    header.durable_pos = header.base_pos - 1;
    header.durable_off = (uint32_t)run->at;
    header.segment_no = run->header.no;
    header.prev_crc = run->chain;
    run->chain = ski_frame_seal(run->bytes, &header, run->seed);
    SKALD_TRY(kernel->pwrite(kernel->context, run->file, run->bytes, len, run->at));
    run->at += len;
    run->position = header.base_pos + header.count;
    run->done.events += header.count;
    return ski_copying_told(&run->copying, len);
}

static skald_err segment_begin(salvage *run, uint32_t no, uint32_t generation, uint64_t base_pos)
{
    const ski_kernel *kernel = run->engine->kernel;
    char name[SKI_SEGMENT_NAME], path[SKI_COPYING_PATH_MAX];

    run->header = (ski_segment_header){.store = run->engine->store,
                                       .no = no,
                                       .generation = generation,
                                       .base_pos = base_pos,
                                       .created_us = kernel->now(kernel->context),
                                       .prev_crc = run->chain};
    kernel->random(kernel->context, &run->header.salt, sizeof run->header.salt);
    run->seed = ski_frame_seed(run->header.salt);
    run->at = SKI_SEGMENT_HEADER;
    run->position = base_pos;
    ski_segment_name(name, no, generation);
    SKALD_TRY(ski_manifest_add(&run->manifest, no, generation));
    SKALD_TRY(ski_copying_path(run->copying.to, name, path));
    return kernel->open(kernel->context, path, SKI_OPEN_WRITE | SKI_OPEN_CREATE | SKI_OPEN_NEW,
                        &run->file, run->copying.error);
}

// segment_end writes the header last: it says in which checksum the chain ended.
static skald_err segment_end(salvage *run)
{
    const ski_kernel *kernel = run->engine->kernel;
    uint8_t bytes[SKI_SEGMENT_HEADER];
    skald_err err = SKALD_OK;

    if (run->header.generation) run->header.replaced_crc = run->chain;
    ski_segment_header_put(bytes, &run->header);
    err = kernel->pwrite(kernel->context, run->file, bytes, sizeof bytes, 0);
    if (!err) err = kernel->sync(kernel->context, run->file);
    kernel->close(kernel->context, run->file);
    run->file = NULL;
    run->copying.files += !err;
    run->done.bytes += run->at;
    return err;
}

static void lost_tell(salvage *run, uint64_t offset, uint64_t length, uint64_t first, uint64_t last)
{
    skald_damage lost = {.file = run->source,
                         .offset = offset,
                         .length = length,
                         .position_first = first,
                         .position_last = last,
                         .why = "it cannot be read"};

    run->done.ranges_lost++;
    run->done.positions_lost += last - first + 1;
    if (run->options->lost) run->options->lost(run->options->context, &lost);
}

// rescue_one writes one event of a frame that is not whole. Fails: CORRUPT (it cannot be read),
// NOTFOUND (it was erased). *ret_last: what is damaged reaches so far at least.
static skald_err rescue_one(salvage *run, uint64_t position, uint64_t *ret_last)
{
    ski_frame_header header = {.kind = SKI_FRAME_EVENTS, .base_pos = position, .count = 1};
    ski_candidate candidate;
    ski_record record;
    uint8_t *bytes = NULL;
    skald_err err = ski_locate(run->engine, position, &candidate, NULL);

    *ret_last = position;
    if (err) return err;
    if (candidate.slot == SKI_PLACE_DAMAGED) {
        *ret_last = ski_damage_range(run->engine, &candidate).position_last;
        return SKALD_ECORRUPT;
    }
    SKALD_TRY(ski_read_record(run->engine, position, &bytes, &record, NULL));
    header.body_len = record.len;
    header.append_us = record.event.recorded_at;
    err = frame_put(run, &header, bytes);
    ski_free(bytes);
    return err;
}

// rescue writes what can still be had of positions whose frames are not whole; offset and length
// are of the bytes that are damaged.
static skald_err rescue(salvage *run, uint64_t first, uint64_t last, uint64_t offset,
                        uint64_t length)
{
    uint64_t lost_first = 0;

    for (uint64_t position = first; position <= last;) {
        uint64_t reach = position;
        skald_err err = rescue_one(run, position, &reach);

        if (err == SKALD_EIO) err = SKALD_ECORRUPT;
        if (err && err != SKALD_ECORRUPT && err != SKALD_ENOTFOUND) return err;
        if (err == SKALD_ECORRUPT && !lost_first) lost_first = position;
        if (err != SKALD_ECORRUPT && lost_first) {
            lost_tell(run, offset, length, lost_first, position - 1);
            lost_first = 0;
        }
        position = (reach < last ? reach : last) + 1;
    }
    if (lost_first) lost_tell(run, offset, length, lost_first, last);
    return SKALD_OK;
}

static bool frame_kept(const ski_frame_header *header)
{
    return header->kind != SKI_FRAME_PAD && header->kind != SKI_FRAME_OPEN &&
           header->kind != SKI_FRAME_SEAL;
}

// frames_copy goes over the frames of a segment whose header is right; last: the last position that
// it had.
static skald_err frames_copy(salvage *run, uint64_t last)
{
    ski_scan *scan = &run->scan;
    ski_scan_frame frame;
    uint64_t next = 0, offset = 0;

    for (;;) {
        skald_err err = ski_scan_next(scan, &frame);

        if (!err && frame_kept(&frame.header)) {
            SKALD_TRY(frame_put(run, &frame.header, frame.body));
        }
        if (!err) continue;
        if (err != SKALD_ENOTFOUND) return err;
        if (scan->sealed || scan->offset >= scan->limit) break;
        offset = scan->offset;
        next = scan->position;
        err = ski_scan_resume(scan, &frame);
        if (err && err != SKALD_ENOTFOUND) return err;
        SKALD_TRY(rescue(run, next, err ? last : frame.header.base_pos - 1, offset,
                         (err ? scan->limit : scan->offset) - offset));
        if (err) return SKALD_OK;
    }
    if (scan->position <= last && !scan->sealed) {
        return rescue(run, scan->position, last, scan->offset, 0);
    }
    return SKALD_OK;
}

// segment_read copies what there is of the segment at the slot.
static skald_err segment_read(salvage *run, uint64_t base_pos, uint64_t last, uint64_t end)
{
    const ski_kernel *kernel = run->engine->kernel;
    char path[SKI_COPYING_PATH_MAX];
    ski_file *file = NULL;
    skald_err err = SKALD_OK;

    SKALD_TRY(ski_copying_path(run->copying.from, run->source, path));
    err = kernel->open(kernel->context, path, 0, &file, NULL);
    if (!err) err = ski_scan_begin(&run->scan, kernel, file, end);
    if (!err) {
        err = frames_copy(run, last);
    } else if (err != SKALD_ENOMEM && err != SKALD_EUNSUPPORTED) {
        err = rescue(run, base_pos, last, 0, end);
    }
    ski_scan_end(&run->scan);
    run->scan = (ski_scan){0};
    if (file) kernel->close(kernel->context, file);
    return err;
}

// segment_salvage writes one segment again.
static skald_err segment_salvage(salvage *run)
{
    ski_engine *engine = run->engine;
    ski_frame_header seal = {.kind = SKI_FRAME_SEAL};
    uint64_t base_pos = 0, last = 0, end = 0;
    uint32_t no = 0, generation = 0;

    ski_mutex_lock(&engine->lock);
    ski_engine_segment_name(engine, run->slot, run->source);
    no = engine->segments[run->slot]->no;
    generation = engine->segments[run->slot]->generation;
    base_pos = engine->segments[run->slot]->base_pos;
    last = ski_engine_segment_last(engine, run->slot);
    if (run->slot + 1 == engine->segment_count) end = engine->segments[run->slot]->end;
    ski_mutex_unlock(&engine->lock);
    SKALD_TRY(segment_begin(run, no, generation + 1, base_pos));
    SKALD_TRY(segment_read(run, base_pos, last, end));
    seal.base_pos = last + 1;
    SKALD_TRY(frame_put(run, &seal, NULL));
    return segment_end(run);
}

// values_put writes all named values into the segment behind the last one.
static skald_err values_put(salvage *run)
{
    const ski_values *values = &run->engine->values;
    ski_frame_header control = {.kind = SKI_FRAME_CONTROL, .base_pos = run->position};
    uint8_t *body = NULL;
    size_t size = 0;
    skald_err err = SKALD_OK;

    for (uint32_t i = 0; i <= values->count && !err; i++) {
        const ski_values_entry *entry = i < values->count ? &values->entries[i] : NULL;
        skald_store_value value = {0};
        size_t len = 0;

        if (entry && !entry->bytes) continue;
        if (entry) {
            value = (skald_store_value){{entry->name, entry->name_len},
                                        {entry->bytes->bytes, entry->bytes->len}};
            len = ski_value_len(&value);
        }
        if (control.body_len && (!entry || control.body_len + len > values_bytes_max)) {
            err = frame_put(run, &control, body);
            control.body_len = 0;
        }
        if (entry && !err && control.body_len + len > size) {
            size_t want = len > values_bytes_max ? len : values_bytes_max;
            uint8_t *more = ski_realloc(body, want);

            if (!more) err = SKALD_ENOMEM;
            if (more) body = more;
            if (more) size = want;
        }
        if (entry && !err) {
            ski_value_put(body + control.body_len, &value);
            control.body_len += (uint32_t)len;
        }
    }
    ski_free(body);
    return err;
}

// runs_link takes over what is known of streams by runs that are whole: where they stood, also of
// those whose events are lost.
static skald_err runs_link(salvage *run)
{
    ski_engine *engine = run->engine;

    for (uint64_t number = 0; number < engine->directory.number_next; number++) {
        char name[SKI_RUN_NAME];
        ski_run *one = NULL;
        skald_err err =
            ski_run_open(engine->kernel, engine->path, engine->store, number, &one, NULL);

        if (!err) err = ski_run_check(one, NULL);
        ski_run_close(one);
        if (err == SKALD_ENOMEM) return err;
        if (err) continue;
        ski_run_name(name, number);
        SKALD_TRY(ski_copying_link(&run->copying, name));
    }
    return SKALD_OK;
}

static skald_err salvage_run(salvage *run)
{
    ski_engine *engine = run->engine;
    uint32_t no = 0;

    run->manifest.store = engine->store;
    for (run->slot = 0; run->slot < engine->segment_count; run->slot++) {
        no = engine->segments[run->slot]->no;
        if (!run->slot) run->chain = 0;
        SKALD_TRY(segment_salvage(run));
    }
    SKALD_TRY(runs_link(run));
    SKALD_TRY(segment_begin(run, no + 1, 0, ski_window_last(&engine->window) + 1));
    SKALD_TRY(values_put(run));
    run->manifest.durable_no = no + 1;
    run->manifest.durable_off = (uint32_t)run->at;
    run->manifest.durable_pos = run->position - 1;
    run->done.position_last = run->position - 1;
    SKALD_TRY(segment_end(run));
    return ski_copying_finish(&run->copying, &run->manifest);
}

skald_err ski_salvage(void *driver, const char *directory, const skald_salvage_options *options,
                      skald_salvaged *ret_salvaged, skald_error *reterr_error)
{
    ski_engine *engine = driver;
    skald_error error = {0};
    salvage run = {.engine = engine,
                   .options = options,
                   .copying = {.kernel = engine->kernel,
                               .from = engine->path,
                               .to = directory,
                               .progress = options->progress,
                               .context = options->context,
                               .error = &error}};
    skald_err err = ski_copying_begin(&run.copying);

    if (!err) {
        for (uint32_t i = 0; i < engine->segment_count; i++) {
            run.copying.bytes_all += engine->segments[i]->end;
        }
        err = salvage_run(&run);
        if (run.file) engine->kernel->close(engine->kernel->context, run.file);
        ski_copying_end(&run.copying, err != SKALD_OK);
    }
    ski_manifest_fini(&run.manifest);
    ski_free(run.bytes);
    if (err) {
        if (error.err != err) {
            (void)skald_fail(&error, err, "the store cannot be salvaged to '%s': %s", directory,
                             skald_err_text(err));
        }
        if (reterr_error) *reterr_error = error;
        return err;
    }
    *ret_salvaged = run.done;
    return SKALD_OK;
}
