// SPDX-License-Identifier: Apache-2.0
// Lookups. What is in the window is answered under the lock, what is in index files without it.
//
// A position, a stream, an id that is not in the window at one moment is in an index file at every
// later one: an index is there before the window gives anything up.
#include "store/log/lookup.h"
#include "base/alloc.h"
#include "store/log/bytes.h"

ski_candidate ski_locate_part(const ski_engine *engine, const ski_index *part, uint64_t position)
{
    uint64_t place = ski_index_row_of(part, position)->place, next = SKI_INDEX_NO_PLACE;

    if (position < atomic_load(&engine->visible)) {
        next = position < ski_index_last(part)
                   ? ski_index_row_of(part, position + 1)->place
                   : ski_window_row(&engine->window, position + 1)->place;
    }
    return ski_locate_between(engine, position, place, next);
}

ski_candidate ski_locate_window(const ski_engine *engine, uint64_t position)
{
    return ski_locate_part(engine, ski_window_at(&engine->window, position), position);
}

// locate_indexed asks the index of a segment.
static skald_err locate_indexed(const ski_indexed *indexed, uint32_t slot, uint64_t position,
                                ski_candidate *ret_candidate, skald_error *reterr_error)
{
    const ski_sealed_info *info = ski_sealed_info_of(indexed->sealed);
    ski_sealed_place place = {.state = SKI_SEALED_DAMAGED};
    size_t got = 0;

    if (position >= info->base_pos && position - info->base_pos < info->count) {
        SKALD_TRY(ski_sealed_places(indexed->sealed, position, 1, &place, &got, reterr_error));
        if (place.state == SKI_SEALED_ERASED) return SKALD_ENOTFOUND;
    }
    *ret_candidate = ski_locate_place(slot, position, info, &place);
    return SKALD_OK;
}

skald_err ski_locate(ski_engine *engine, uint64_t position, ski_candidate *ret_candidate,
                     skald_error *reterr_error)
{
    ski_candidate candidate = {.position = position, .slot = SKI_PLACE_DAMAGED};
    ski_indexed *indexed = NULL;
    uint32_t slot = 0;
    bool found = false;
    skald_err err = SKALD_OK;

    ski_mutex_lock(&engine->lock);
    if (position > engine->sealed_last) {
        candidate = ski_locate_window(engine, position);
        found = true;
    } else {
        slot = ski_engine_slot(engine, position);
        indexed = ski_engine_index_held(engine, slot);
    }
    ski_mutex_unlock(&engine->lock);
    if (!found && indexed) {
        err = locate_indexed(indexed, slot, position, &candidate, reterr_error);
        ski_engine_index_return(engine, indexed);
        if (err == SKALD_ECORRUPT) ski_engine_suspect(engine, slot);
    }
    if (!err) *ret_candidate = candidate;
    return err;
}

// heads_lend lends the next older indexes that no run covers.
static void heads_lend(ski_heads *heads, uint32_t covered)
{
    ski_engine *engine = heads->engine;

    ski_mutex_lock(&engine->lock);
    while (heads->slot_next && heads->count < SKI_HEADS_INDEXES) {
        ski_indexed *indexed = NULL;

        if (engine->segments[heads->slot_next - 1]->no <= covered) break;
        indexed = ski_engine_index_held(engine, --heads->slot_next);
        if (!indexed) continue;
        heads->slots[heads->count] = heads->slot_next;
        heads->indexed[heads->count++] = indexed;
    }
    ski_mutex_unlock(&engine->lock);
}

static void heads_return(ski_heads *heads)
{
    for (uint32_t i = 0; i < heads->count; i++) {
        ski_engine_index_return(heads->engine, heads->indexed[i]);
    }
    heads->count = 0;
}

static uint32_t heads_covered(ski_engine *engine)
{
    return engine->directory_made && !engine->directory_broken
               ? ski_directory_covered(&engine->directory)
               : 0;
}

void ski_heads_begin(ski_heads *heads, ski_engine *engine)
{
    heads->engine = engine;
    heads->count = 0;
    ski_mutex_lock(&engine->lock);
    heads->slot_next = engine->sealed_count;
    ski_mutex_unlock(&engine->lock);
    heads_lend(heads, heads_covered(engine));
}

void ski_heads_end(ski_heads *heads)
{
    heads_return(heads);
}

// heads_ask asks the indexes that are lent now. NOTFOUND: none has it.
static skald_err heads_ask(ski_heads *heads, ski_fp fp, ski_index_head *ret_head,
                           skald_error *reterr_error)
{
    for (uint32_t i = 0; i < heads->count; i++) {
        ski_sealed_stream stream;
        skald_err err =
            ski_sealed_stream_find(heads->indexed[i]->sealed, fp, &stream, reterr_error);

        if (err == SKALD_ENOTFOUND) continue;
        if (err == SKALD_ECORRUPT) ski_engine_suspect(heads->engine, heads->slots[i]);
        if (!err) *ret_head = (ski_index_head){stream.last_version, stream.last_pos};
        return err;
    }
    return SKALD_ENOTFOUND;
}

// heads_deep asks older indexes than those lent: there are many that no run covers. What is lent
// then is another set, so the next question begins anew.
static skald_err heads_deep(ski_heads *heads, ski_fp fp, uint32_t covered, ski_index_head *ret_head,
                            skald_error *reterr_error)
{
    ski_heads older = {.engine = heads->engine, .slot_next = heads->slot_next};
    skald_err err = SKALD_ENOTFOUND;

    while (err == SKALD_ENOTFOUND) {
        heads_lend(&older, covered);
        if (!older.count) break;
        err = heads_ask(&older, fp, ret_head, reterr_error);
        heads_return(&older);
    }
    return err;
}

skald_err ski_heads_find(ski_heads *heads, skald_str tenant, skald_str stream,
                         ski_index_head *ret_head, skald_error *reterr_error)
{
    ski_engine *engine = heads->engine;
    ski_fp fp = ski_keys_stream(&engine->keys, tenant, stream);
    uint32_t covered = heads_covered(engine);
    ski_run_entry entry = {0};
    skald_err err = heads_ask(heads, fp, ret_head, reterr_error);

    if (err == SKALD_ENOTFOUND) err = heads_deep(heads, fp, covered, ret_head, reterr_error);
    if (err != SKALD_ENOTFOUND) return err;
    *ret_head = (ski_index_head){0};
    if (!covered) return SKALD_OK;
    err = ski_directory_find(&engine->directory, fp, covered, &entry, NULL);
    if (err == SKALD_ESTALE) { // runs were dropped since: the indexes know everything
        err = heads_deep(heads, fp, 0, ret_head, reterr_error);
        return err == SKALD_ENOTFOUND ? SKALD_OK : err;
    }
    if (err == SKALD_ECORRUPT) { // every index knows its part of the answer
        ski_mutex_lock(&engine->lock);
        engine->directory_broken = true;
        ski_cond_signal(&engine->keep_work);
        ski_mutex_unlock(&engine->lock);
        err = heads_deep(heads, fp, 0, ret_head, reterr_error);
        return err == SKALD_ENOTFOUND ? SKALD_OK : err;
    }
    if (!err) *ret_head = (ski_index_head){entry.last_version, entry.last_pos};
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

// id_verify reads the record that an index names. NOTFOUND: it is another one's.
static skald_err id_verify(ski_engine *engine, uint64_t position, skald_str tenant, skald_uuid id,
                           uint8_t **ret_bytes, ski_record *ret_record, skald_error *reterr_error)
{
    uint8_t *bytes = NULL;
    ski_record record;

    SKALD_TRY(ski_read_record(engine, position, &bytes, &record, reterr_error));
    if (!skald_uuid_equal(record.event.id, id) || !skald_str_equal(record.event.tenant, tenant)) {
        ski_free(bytes);
        return SKALD_ENOTFOUND;
    }
    *ret_bytes = bytes;
    *ret_record = record;
    return SKALD_OK;
}

// lookup_slot gives the slot behind the one that has the last position of a range.
static uint32_t lookup_slot(ski_engine *engine, ski_lookup_range *range)
{
    uint32_t slot = 0;

    ski_mutex_lock(&engine->lock);
    if (range->before > engine->sealed_last + 1) range->before = engine->sealed_last + 1;
    slot = range->before > 1 ? ski_engine_slot(engine, range->before - 1) + 1 : 0;
    if (slot > engine->sealed_count) slot = engine->sealed_count;
    ski_mutex_unlock(&engine->lock);
    return slot;
}

skald_err ski_lookup_id(ski_engine *engine, skald_str tenant, skald_uuid id, uint64_t hash,
                        ski_lookup_range range, uint8_t **ret_bytes, ski_record *ret_record,
                        skald_error *reterr_error)
{
    uint32_t slot = lookup_slot(engine, &range);
    skald_err err = SKALD_ENOTFOUND;
    bool over = false;

    while (!over && slot-- && err == SKALD_ENOTFOUND) {
        ski_indexed *indexed = ski_engine_index(engine, slot);
        uint64_t position = range.before;

        if (!indexed) continue;
        over = ski_sealed_info_of(indexed->sealed)->base_pos <= range.first;
        for (bool more = true; more;) {
            err = ski_sealed_id(indexed->sealed, hash, position, &position, reterr_error);
            if (err == SKALD_ECORRUPT) ski_engine_suspect(engine, slot);
            if (!err && position < range.first) err = SKALD_ENOTFOUND;
            more = !err;
            if (err) break;
            err = id_verify(engine, position, tenant, id, ret_bytes, ret_record, reterr_error);
            more = err == SKALD_ENOTFOUND;
        }
        ski_engine_index_return(engine, indexed);
    }
    return err;
}
