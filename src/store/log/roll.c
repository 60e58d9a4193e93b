// SPDX-License-Identifier: Apache-2.0
// Rolling: from a full segment to the next.
//
// In this order, and each step is on the device before the next begins: SEAL at the end of the old
// segment; the header of the new one, in a file that is not called a segment yet; its name; the
// manifest. So a segment's name never stands over a header that is not whole, a sealed segment is
// complete, and an event is acknowledged only in a segment that the manifest lists. Any step that
// finds the disk full can be tried again.
#include "base/alloc.h"
#include "store/log/engine.h"
#include <assert.h>
#include <stdio.h>

uint64_t ski_roll_capacity(const ski_engine *engine, uint32_t no)
{
    uint64_t bytes = SKI_SEGMENT_BYTES_FIRST;

    // A store that is small takes little room: each of the first segments is four times the one
    // before.
    for (uint32_t i = 1; i < no && bytes < engine->segment_bytes; i++) bytes *= 4;
    return bytes < engine->segment_bytes ? bytes : engine->segment_bytes;
}

skald_err ski_roll_manifest(ski_engine *engine)
{
    ski_manifest *manifest = &engine->manifest;
    ski_tail *tail = &engine->tail;
    bool unsure = false;
    skald_err err = SKALD_OK;

    manifest->durable_pos = tail->synced_pos;
    manifest->durable_no = tail->segment->no;
    manifest->durable_off = (uint32_t)tail->synced_end;
    err = ski_manifest_save(engine->kernel, engine->path, manifest, &unsure);
    if (unsure) ski_engine_die(engine, "the device failed to store the manifest (sync)");
    if (!err) tail->manifest_due = false;
    return err;
}

// next_file opens what is to become the segment: a spare, or else an empty file that will grow.
static skald_err next_file(ski_engine *engine, char path[SKI_ENGINE_PATH_MAX], uint64_t *ret_bytes,
                           ski_file **ret_file)
{
    const ski_kernel *kernel = engine->kernel;
    char name[SKI_SEGMENT_NAME];
    ski_spare spare;

    if (ski_spare_take(engine, &spare)) {
        ski_spare_name(name, spare.no, false);
        SKALD_TRY(ski_engine_path(engine, name, path));
        *ret_bytes = spare.bytes;
        return kernel->open(kernel->context, path, SKI_OPEN_WRITE, ret_file, NULL);
    }
    ski_mutex_lock(&engine->lock);
    ski_spare_name(name, engine->spare_next_no++, true);
    ski_mutex_unlock(&engine->lock);
    SKALD_TRY(ski_engine_path(engine, name, path));
    *ret_bytes = SKI_SEGMENT_HEADER;
    return kernel->open(kernel->context, path, SKI_OPEN_WRITE | SKI_OPEN_CREATE | SKI_OPEN_NEW,
                        ret_file, NULL);
}

// next_name gives the file, whose header is written, its name.
static skald_err next_name(ski_engine *engine, const char *from, const ski_segment *segment)
{
    char name[SKI_SEGMENT_NAME], path[SKI_ENGINE_PATH_MAX];

    ski_segment_name(name, segment->no, segment->generation);
    SKALD_TRY(ski_engine_path(engine, name, path));
    SKALD_TRY(engine->kernel->rename(engine->kernel->context, from, path));
    return ski_engine_sync_dir(engine);
}

// next_fill makes the file of a segment: header, sync, name, sync.
static skald_err next_fill(ski_engine *engine, ski_segment *segment)
{
    const ski_kernel *kernel = engine->kernel;
    ski_tail *tail = &engine->tail;
    char path[SKI_ENGINE_PATH_MAX];
    uint8_t bytes[SKI_SEGMENT_HEADER];
    ski_segment_header header = {.store = engine->store,
                                 .no = segment->no,
                                 .base_pos = segment->base_pos,
                                 .created_us = kernel->now(kernel->context),
                                 .prev_crc = tail->chain};
    ski_file *file = NULL;
    skald_err err = SKALD_OK;

    kernel->random(kernel->context, &header.salt, sizeof header.salt);
    ski_segment_header_put(bytes, &header);
    SKALD_TRY(next_file(engine, path, &segment->file_bytes, &file));
    err = kernel->pwrite(kernel->context, file, bytes, sizeof bytes, 0);
    if (!err) err = ski_engine_sync(engine, file);
    if (!err) err = next_name(engine, path, segment);
    if (err) {
        kernel->close(kernel->context, file);
        if (engine->dead) return err;
        // It never was a segment: away with it, if that is possible; opening the store does it too.
        if (kernel->unlink(kernel->context, path) == SKALD_OK) return err;
        return err;
    }
    segment->seed = ski_frame_seed(header.salt);
    segment->file = file;
    return SKALD_OK;
}

// roll_next makes the segment behind the last one and moves the tail there.
static skald_err roll_next(ski_engine *engine)
{
    ski_tail *tail = &engine->tail;
    ski_segment *segment = ski_alloc_zeroed(1, sizeof *segment);
    ski_file *spare = NULL;
    uint32_t slot = 0;
    skald_err err = SKALD_OK;

    if (!segment) return SKALD_ENOMEM;
    segment->no = tail->segment ? tail->segment->no + 1 : 1;
    segment->base_pos = tail->next_pos;
    segment->end = SKI_SEGMENT_HEADER;
    err = ski_manifest_add(&engine->manifest, segment->no, 0);
    if (err) goto free_segment;
    err = ski_engine_segment_add(engine, segment, &slot);
    if (err) goto drop_listed;
    err = next_fill(engine, segment);
    if (err) goto drop_slot;
    ski_direct_close(engine);
    ski_mutex_lock(&engine->lock);
    tail->segment = engine->active = segment;
    engine->turn_due = true;
    spare = ski_engine_file_count(engine);
    ski_mutex_unlock(&engine->lock);
    if (spare) engine->kernel->close(engine->kernel->context, spare);
    tail->slot = slot;
    tail->end = tail->synced_end = SKI_SEGMENT_HEADER;
    tail->capacity = ski_roll_capacity(engine, segment->no);
    if (segment->file_bytes > tail->capacity) tail->capacity = segment->file_bytes;
    tail->sealed = tail->unsynced = false;
    tail->manifest_due = true;
    return SKALD_OK;

drop_slot:
    ski_mutex_lock(&engine->lock);
    engine->segment_count--;
    ski_mutex_unlock(&engine->lock);
drop_listed:
    engine->manifest.segment_count--;
free_segment:
    ski_free(segment);
    return err;
}

skald_err ski_roll(ski_engine *engine)
{
    ski_tail *tail = &engine->tail;

    if (tail->segment && !tail->sealed) {
        SKALD_TRY(ski_writer_control(engine, SKI_FRAME_SEAL));
        tail->unsynced = true;
        SKALD_TRY(ski_engine_sync(engine, tail->segment->file));
        tail->unsynced = false;
        tail->synced_pos = tail->next_pos - 1;
        tail->synced_end = tail->end;
        tail->sealed = true;
    }
    if (tail->segment) {
        SKALD_TRY(ski_keep_wait(engine));
        ski_seal_values(engine, tail->segment);
    }
    SKALD_TRY(roll_next(engine));
    return ski_roll_manifest(engine);
}
