// SPDX-License-Identifier: Apache-2.0
// Reading without waiting: one event of the window, if the kernel has its bytes in memory. Whatever
// is not just so is UNAVAILABLE; then the readers that may wait find out what it is.
#include "store/log/now.h"
#include "store/log/engine.h"
#include "store/log/frame.h"
#include "store/log/lookup.h"

// position_of gives the newest position in the window that may have an id; 0: there is none. The
// lock is held.
static uint64_t position_of(const ski_engine *engine, uint64_t hash)
{
    uint64_t visible = atomic_load(&engine->visible), base = ski_window_base(&engine->window);
    ski_recent_cursor cursor = {.hash = hash, .last = ski_window_last(&engine->window)};
    uint64_t position = 0;
    uint64_t newest = 0;

    while ((position = ski_recent_next(&engine->recent, &cursor))) {
        if (position > visible || position <= base || position <= engine->sealed_last) continue;
        if (ski_window_row(&engine->window, position)->id_hash != hash) continue;
        if (position > newest) newest = position;
    }
    return newest;
}

// file_lend lends the file of a candidate if it is open, and small enough. The lock is held.
static ski_file *file_lend(ski_engine *engine, const ski_candidate *candidate)
{
    ski_segment *segment = NULL;

    if (candidate->slot == SKI_PLACE_DAMAGED) return NULL;
    if (candidate->bound - candidate->offset > SKI_NOW_BYTES_MAX) return NULL;
    segment = engine->segments[candidate->slot];
    if (segment->file) segment->users++;
    return segment->file;
}

skald_err ski_event_now(void *driver, skald_str tenant, skald_uuid id, skald_arena *arena,
                        skald_event *ret_event)
{
    ski_engine *engine = driver;
    const ski_kernel *kernel = engine->kernel;
    uint64_t hash = ski_index_hash_id(engine->seed, tenant, id), position = 0;
    ski_candidate candidate = {.slot = SKI_PLACE_DAMAGED};
    ski_file *file = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    skald_event event;
    skald_err err = SKALD_EUNAVAILABLE;

    if (!kernel->pread_now) return SKALD_EUNAVAILABLE;
    ski_mutex_lock(&engine->lock);
    if (ski_recall_left(engine) <= SKI_RECALL_NOW_MAX && !ski_recall(engine))
        position = position_of(engine, hash);
    if (position) candidate = ski_locate_window(engine, position);
    file = file_lend(engine, &candidate);
    ski_mutex_unlock(&engine->lock);
    if (!file) return SKALD_EUNAVAILABLE;
    len = (size_t)(candidate.bound - candidate.offset);
    bytes = skald_arena_get(arena, len);
    if (bytes) err = kernel->pread_now(kernel->context, file, bytes, len, candidate.offset);
    ski_engine_file_return(engine, candidate.slot, file);
    if (err || !ski_record_right(bytes, len) || ski_record_event(bytes, len, &event))
        return SKALD_EUNAVAILABLE;
    if (event.position != position || !skald_uuid_equal(event.id, id) ||
        !skald_str_equal(event.tenant, tenant))
        return SKALD_EUNAVAILABLE;
    *ret_event = event;
    return SKALD_OK;
}
