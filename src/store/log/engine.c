// SPDX-License-Identifier: Apache-2.0
// What the parts of the log driver share: paths, syncing, the list of segments and their files.
//
// Invariants:
//   1. Segments are listed in the order of their numbers and never leave the list while it is open.
//   2. A file that somebody reads (users > 0) is not closed; nor is the one at the tail.
//   3. After a sync has failed (dead) the kernel is not called any more, but to close.
#include "store/log/engine.h"
#include "base/alloc.h"
#include "base/log.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

skald_err ski_engine_path(const ski_engine *engine, const char *name,
                          char path[SKI_ENGINE_PATH_MAX])
{
    int len = snprintf(path, SKI_ENGINE_PATH_MAX, "%s/%s", engine->path, name);

    return len < 0 || len >= SKI_ENGINE_PATH_MAX ? SKALD_ETOOBIG : SKALD_OK;
}

uint64_t ski_engine_now_ns(const ski_engine *engine)
{
    return engine->kernel->monotonic_ns(engine->kernel->context);
}

// ski_engine_die: while the store is being opened nothing has been promised, and refusing is
// enough.
void ski_engine_die(ski_engine *engine, const char *why)
{
    ski_mutex_lock(&engine->lock);
    engine->dead = true;
    engine->stopped = true;
    (void)snprintf(engine->stopped_why, sizeof engine->stopped_why, "%s", why);
    ski_mutex_unlock(&engine->lock);
    ski_log_line(engine->host->log, SKALD_ERROR, "store stopped", "why", why, NULL);
    if (engine->opened) engine->kernel->stop(engine->kernel->context, why);
}

skald_err ski_engine_sync(ski_engine *engine, ski_file *file)
{
    uint64_t began = ski_engine_now_ns(engine);
    skald_err err = engine->kernel->sync(engine->kernel->context, file);

    if (err) {
        ski_engine_die(engine, "the device failed to store data (sync)");
        return SKALD_EIO;
    }
    uint64_t took_ns = ski_engine_now_ns(engine) - began;

    ski_histogram_add(&engine->sync_times, took_ns);
    ski_mutex_lock(&engine->lock);
    engine->syncs++;
    engine->sync_ns += took_ns;
    ski_mutex_unlock(&engine->lock);
    return SKALD_OK;
}

skald_err ski_engine_sync_dir(ski_engine *engine)
{
    if (engine->kernel->sync_dir(engine->kernel->context, engine->path)) {
        ski_engine_die(engine, "the device failed to store a directory (sync)");
        return SKALD_EIO;
    }
    return SKALD_OK;
}

skald_err ski_engine_segment_add(ski_engine *engine, ski_segment *take_segment, uint32_t *ret_slot)
{
    skald_err err = SKALD_OK;

    ski_mutex_lock(&engine->lock);
    if (engine->segment_count == SKI_PLACE_SLOTS_MAX) {
        err = SKALD_EFULL;
    } else if (engine->segment_count == engine->segment_size) {
        uint32_t size = engine->segment_size ? engine->segment_size * 2 : 16;
        ski_segment **segments = ski_realloc(engine->segments, size * sizeof(ski_segment *));

        if (segments) {
            engine->segments = segments;
            engine->segment_size = size;
        } else {
            err = SKALD_ENOMEM;
        }
    }
    if (!err) {
        *ret_slot = engine->segment_count;
        engine->segments[engine->segment_count++] = take_segment;
        if (take_segment->file) engine->files_open++; // recovery closes what it has too many of
    }
    ski_mutex_unlock(&engine->lock);
    return err;
}

uint32_t ski_engine_slot(const ski_engine *engine, uint64_t position)
{
    uint32_t low = 0, high = engine->segment_count;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (engine->segments[middle]->base_pos <= position) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t ski_engine_segment_last(const ski_engine *engine, uint32_t slot)
{
    if (slot + 1 < engine->segment_count) return engine->segments[slot + 1]->base_pos - 1;
    return ski_window_last(&engine->window);
}

ski_indexed *ski_engine_index_held(ski_engine *engine, uint32_t slot)
{
    ski_indexed *indexed = engine->segments[slot]->indexed;

    if (indexed) indexed->users++;
    return indexed;
}

ski_indexed *ski_engine_index(ski_engine *engine, uint32_t slot)
{
    ski_indexed *indexed = NULL;

    ski_mutex_lock(&engine->lock);
    indexed = ski_engine_index_held(engine, slot);
    ski_mutex_unlock(&engine->lock);
    return indexed;
}

// index_end gives up an index that has been replaced; its file goes with it, unless it was replaced
// by one of the same name.
static void index_end(ski_engine *engine, ski_indexed *indexed)
{
    uint32_t no = ski_sealed_info_of(indexed->sealed)->no;
    uint32_t generation = ski_sealed_info_of(indexed->sealed)->generation;
    bool worthless = false;

    ski_sealed_close(indexed->sealed);
    ski_free(indexed);
    ski_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < engine->segment_count; i++) {
        const ski_segment *segment = engine->segments[i];

        if (segment->no == no) worthless = segment->generation != generation;
    }
    ski_mutex_unlock(&engine->lock);
    if (!worthless) return;
    ski_worthless_add(engine, no, generation, true);
    ski_worthless_remove(engine);
}

void ski_engine_index_return(ski_engine *engine, ski_indexed *indexed)
{
    bool last = false;

    if (!indexed) return;
    ski_mutex_lock(&engine->lock);
    assert(indexed->users);
    last = --indexed->users == 0 && indexed->retired;
    ski_mutex_unlock(&engine->lock);
    if (last) index_end(engine, indexed);
}

skald_err ski_engine_index_put(ski_engine *engine, uint32_t slot, ski_sealed *take_sealed)
{
    ski_segment *segment = engine->segments[slot];
    ski_indexed *indexed = ski_alloc_zeroed(1, sizeof *indexed), *old = segment->indexed;

    if (!indexed) return SKALD_ENOMEM;
    indexed->sealed = take_sealed;
    segment->index_bytes = ski_sealed_bytes(take_sealed);
    segment->indexed = indexed;
    segment->suspect = false;
    if (old && segment->filtered) {
        for (int table = 0; table < SKI_SEALED_TABLES; table++) {
            engine->filter_bytes -= ski_sealed_filter_bytes(old->sealed, (ski_sealed_table)table);
        }
    }
    segment->filtered = false;
    if (old && old->users) {
        old->retired = true;
    } else if (old) {
        ski_sealed_close(old->sealed);
        ski_free(old);
    }
    return SKALD_OK;
}

void ski_engine_suspect(ski_engine *engine, uint32_t slot)
{
    ski_mutex_lock(&engine->lock);
    engine->segments[slot]->suspect = true;
    engine->suspect_due = true;
    ski_cond_signal(&engine->keep_work);
    ski_mutex_unlock(&engine->lock);
}

skald_err ski_engine_damage_add(ski_engine *engine, const ski_damage *damage)
{
    if (engine->damage_count == engine->damage_size) {
        uint32_t size = engine->damage_size ? engine->damage_size * 2 : 16;
        ski_damage *damages = NULL;

        if (engine->damage_count == SKI_DAMAGES_MAX) { // the last one stands for the rest
            engine->damages[SKI_DAMAGES_MAX - 1].position_last = damage->position_last;
            return SKALD_OK;
        }
        damages = ski_realloc(engine->damages, size * sizeof *damages);
        if (!damages) return SKALD_ENOMEM;
        engine->damages = damages;
        engine->damage_size = size;
    }
    engine->damages[engine->damage_count++] = *damage;
    return SKALD_OK;
}

void ski_engine_segment_name(const ski_engine *engine, uint32_t slot, char name[SKI_SEGMENT_NAME])
{
    ski_segment_name(name, engine->segments[slot]->no, engine->segments[slot]->generation);
}

ski_file *ski_engine_file_count(ski_engine *engine)
{
    if (engine->files_open < SKI_FILES_OPEN_MAX) {
        engine->files_open++;
        return NULL;
    }
    for (uint32_t i = 0; i + 1 < engine->segment_count; i++) {
        ski_segment *segment = engine->segments[i];
        ski_file *file = segment->file;

        if (!file || segment->users || segment == engine->active) continue;
        segment->file = NULL;
        return file;
    }
    engine->files_open++; // as many reads are in progress: no more than there are threads
    return NULL;
}

// file_open opens the file of a segment that is not open. Without the lock.
static skald_err file_open(ski_engine *engine, uint32_t slot, ski_file **ret_file)
{
    char name[SKI_SEGMENT_NAME], path[SKI_ENGINE_PATH_MAX];

    ski_mutex_lock(&engine->lock);
    ski_engine_segment_name(engine, slot, name);
    ski_mutex_unlock(&engine->lock);
    SKALD_TRY(ski_engine_path(engine, name, path));
    return engine->kernel->open(engine->kernel->context, path, 0, ret_file, NULL);
}

skald_err ski_engine_file(ski_engine *engine, uint32_t slot, uint32_t generation,
                          ski_file **ret_file)
{
    ski_file *file = NULL, *spare = NULL;
    ski_segment *segment = NULL;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&engine->lock);
    segment = engine->segments[slot];
    if (segment->generation != generation) err = SKALD_ESTALE;
    if (segment == engine->active) engine->followed = true;
    file = segment->file;
    if (!err && file) segment->users++;
    ski_mutex_unlock(&engine->lock);
    if (!err && !file) {
        err = file_open(engine, slot, &file);
        ski_mutex_lock(&engine->lock);
        if (segment->generation != generation) {
            spare = err ? NULL : file;
            err = SKALD_ESTALE;
        } else if (!err) {
            segment->users++;
            if (segment->file) { // another reader was quicker
                spare = file;
                file = segment->file;
            } else {
                spare = ski_engine_file_count(engine);
                segment->file = file;
            }
        }
        ski_mutex_unlock(&engine->lock);
        if (spare) engine->kernel->close(engine->kernel->context, spare);
    }
    if (!err) *ret_file = file;
    return err;
}

void ski_engine_file_return(ski_engine *engine, uint32_t slot, ski_file *file)
{
    ski_segment *segment = NULL;
    ski_old_file *over = NULL;

    ski_mutex_lock(&engine->lock);
    segment = engine->segments[slot];
    if (segment->file == file) {
        assert(segment->users);
        segment->users--;
    } else {
        ski_old_file **at = &segment->old;

        while ((*at)->file != file) at = &(*at)->next;
        if (--(*at)->users == 0) {
            over = *at;
            *at = over->next;
            engine->files_open--;
        }
    }
    ski_mutex_unlock(&engine->lock);
    if (!over) return;
    engine->kernel->close(engine->kernel->context, over->file);
    ski_free(over);
}
