// SPDX-License-Identifier: Apache-2.0
// Putting a rewritten segment in the place of the old one.
//
// In this order: both copies of the manifest list the new generation; the segment is answered from
// it; the files of the old one go. A crash before the first leaves a file that the next opening
// removes, one behind it the old one to be removed. Who reads the old generation goes on with the
// files it has open; who was about to open one is told that it is another one now, and plans again.
#include "base/alloc.h"
#include "store/log/engine.h"
#include <assert.h>

// --- files of no use ----------------------------------------------------------------------------

void ski_pin(ski_engine *engine)
{
    ski_mutex_lock(&engine->lock);
    engine->pins++;
    ski_mutex_unlock(&engine->lock);
}

void ski_unpin(ski_engine *engine)
{
    ski_mutex_lock(&engine->lock);
    assert(engine->pins);
    engine->pins--;
    ski_mutex_unlock(&engine->lock);
    ski_worthless_remove(engine);
}

void ski_worthless_add(ski_engine *engine, uint32_t no, uint32_t generation, bool index)
{
    ski_mutex_lock(&engine->lock);
    if (engine->worthless_count == engine->worthless_size) {
        uint32_t size = engine->worthless_size ? engine->worthless_size * 2 : 16;
        ski_worthless *items = ski_realloc(engine->worthless, size * sizeof *items);

        if (items) {
            engine->worthless = items;
            engine->worthless_size = size;
        }
    }
    if (engine->worthless_count < engine->worthless_size) { // else opening the store removes it
        engine->worthless[engine->worthless_count++] = (ski_worthless){no, generation, index};
    }
    ski_mutex_unlock(&engine->lock);
}

void ski_worthless_remove(ski_engine *engine)
{
    for (;;) {
        char name[SKI_SEALED_NAME], path[SKI_ENGINE_PATH_MAX];
        ski_worthless item = {0};

        ski_mutex_lock(&engine->lock);
        if (!engine->pins && !engine->dead && engine->worthless_count) {
            item = engine->worthless[--engine->worthless_count];
        }
        ski_mutex_unlock(&engine->lock);
        if (!item.no) return;
        if (item.index) {
            ski_sealed_name(name, item.no, item.generation);
        } else {
            ski_segment_name(name, item.no, item.generation);
        }
        if (ski_engine_path(engine, name, path)) continue;
        // One that stays is removed when the store is opened.
        if (engine->kernel->unlink(engine->kernel->context, path)) continue;
    }
}

// --- replacing ----------------------------------------------------------------------------------

// replace_list has both copies of the manifest list a generation, for the older one is still read
// when the newer one is damaged. *ret_listed: one does, or may.
static skald_err replace_list(ski_engine *engine, uint32_t slot, uint32_t generation,
                              bool *ret_listed)
{
    ski_manifest_segment *listed = NULL;
    uint32_t before = 0;
    skald_err err = SKALD_OK;

    ski_writer_take(engine);
    listed = &engine->manifest.segments[slot];
    assert(slot < engine->manifest.segment_count && listed->no == engine->segments[slot]->no);
    before = listed->generation;
    listed->generation = generation;
    err = engine->dead ? SKALD_EIO : ski_roll_manifest(engine);
    if (err && !engine->dead) {
        listed->generation = before;
    } else {
        *ret_listed = true;
    }
    if (!err) err = ski_roll_manifest(engine);
    ski_writer_give(engine);
    return err;
}

// totals_again counts the types of all segments anew, with the index that a slot is about to have.
static skald_err totals_again(ski_engine *engine, uint32_t slot, const ski_sealed *sealed,
                              ski_totals *totals)
{
    skald_err err = SKALD_OK;

    for (uint32_t i = 0; i < engine->sealed_count && !err; i++) { // only the keeper moves it
        ski_indexed *indexed = i == slot ? NULL : ski_engine_index(engine, i);

        if (i != slot && !indexed) continue;
        err = ski_seal_totals(indexed ? indexed->sealed : sealed, totals);
        if (err == SKALD_ECORRUPT && indexed) ski_engine_suspect(engine, i);
        ski_engine_index_return(engine, indexed);
    }
    return err;
}

// totals_set makes the counts those of totals; every type in it is known, so that this needs no
// memory. The lock is held.
static void totals_set(ski_engine *engine, const ski_totals *totals)
{
    for (uint32_t i = 0; i < engine->totals.count; i++) {
        engine->totals.items[i].count = engine->totals.items[i].last_pos = 0;
    }
    for (uint32_t i = 0; i < totals->count; i++) {
        const ski_total *total = &totals->items[i];
        skald_err err = ski_totals_add(&engine->totals, ski_total_tenant(total),
                                       ski_total_type(total), total->count, total->last_pos);

        assert(!err);
        (void)err;
    }
}

// replace_turn has a segment answered from its new generation. The lock is held.
static skald_err replace_turn(ski_engine *engine, uint32_t slot, const ski_rewritten *rewritten,
                              ski_old_file *take_old, ski_file **ret_close)
{
    ski_segment *segment = engine->segments[slot];

    SKALD_TRY(ski_engine_index_put(engine, slot, rewritten->sealed));
    if (segment->file && segment->users) {
        *take_old = (ski_old_file){segment->old, segment->file, segment->users};
        segment->old = take_old;
    } else {
        *ret_close = segment->file;
        if (segment->file) engine->files_open--;
        ski_free(take_old);
    }
    segment->file = NULL;
    segment->users = 0;
    segment->generation = rewritten->generation;
    segment->seed = rewritten->seed;
    segment->end = ski_sealed_info_of(rewritten->sealed)->end;
    segment->file_bytes = rewritten->file_bytes;
    segment->looked_ns = segment->looked_bytes = 0; // that was of the old one
    engine->filters_due = true;
    return SKALD_OK;
}

skald_err ski_replace(ski_engine *engine, uint32_t slot, ski_rewritten *rewritten, bool *ret_listed)
{
    ski_old_file *old = ski_alloc_zeroed(1, sizeof *old);
    ski_sealed_info info = *ski_sealed_info_of(rewritten->sealed);
    ski_totals totals = {0};
    ski_file *over = NULL;
    bool index_free = false;
    skald_err listed = SKALD_OK, err = SKALD_OK;

    *ret_listed = false;
    if (!old) return SKALD_ENOMEM;
    if (rewritten->values_dropped) err = ski_values_settle(engine);
    if (err) {
        ski_free(old);
        return err;
    }
    listed = replace_list(engine, slot, rewritten->generation, ret_listed);
    if (!*ret_listed) {
        ski_free(old);
        return listed;
    }
    ski_mutex_lock(&engine->keeping);
    ski_directory_cancel(&engine->directory); // it may be reading the old one
    err = totals_again(engine, slot, rewritten->sealed, &totals);
    if (!err) {
        ski_mutex_lock(&engine->lock);
        index_free = !engine->segments[slot]->indexed->users;
        err = replace_turn(engine, slot, rewritten, old, &over);
        if (!err) totals_set(engine, &totals);
        engine->merge_due = true;
        ski_cond_signal(&engine->keep_work);
        ski_mutex_unlock(&engine->lock);
    }
    ski_mutex_unlock(&engine->keeping);
    ski_totals_fini(&totals);
    if (err) { // the old one is served on; the next opening finds the new one
        ski_free(old);
        return err;
    }
    rewritten->sealed = NULL;
    ski_cache_forget(&engine->cache, ski_engine_cached(slot, info.generation - 1));
    if (over) engine->kernel->close(engine->kernel->context, over);
    if (listed) return listed; // one copy of the manifest may list the old one
    ski_worthless_add(engine, info.no, info.generation - 1, false);
    if (index_free) ski_worthless_add(engine, info.no, info.generation - 1, true);
    ski_worthless_remove(engine);
    return SKALD_OK;
}
