// SPDX-License-Identifier: Apache-2.0
// Damage, for people: file, bytes, positions. Ranges that were noted when the store was opened or a
// segment was sealed are given as they were; of what only an index knows, the bytes between the
// events beside it are.
#include "store/log/damage.h"
#include "base/alloc.h"
#include "store/log/lookup.h"

// damage_noted gives the range noted for a position; false: none. The lock is held.
static bool damage_noted(const ski_engine *engine, uint64_t position, ski_damage *ret_damage)
{
    for (uint32_t i = 0; i < engine->damage_count; i++) {
        const ski_damage *damage = &engine->damages[i];

        if (position < damage->position_first || position > damage->position_last) continue;
        *ret_damage = *damage;
        return true;
    }
    return false;
}

bool ski_damage_endless(ski_engine *engine, uint64_t position)
{
    ski_damage damage;
    bool endless = false;

    ski_mutex_lock(&engine->lock);
    endless = damage_noted(engine, position, &damage) && damage.position_last == UINT64_MAX;
    ski_mutex_unlock(&engine->lock);
    return endless;
}

// range_in_window finds the missing events beside one. The lock is held.
static void range_in_window(const ski_engine *engine, ski_damage *range)
{
    const ski_window *window = &engine->window;
    uint64_t visible = atomic_load(&engine->visible), base = engine->sealed_last;

    if (base < ski_window_base(window)) base = ski_window_base(window);
    while (range->position_first > base + 1 &&
           ski_window_row(window, range->position_first - 1)->place == SKI_INDEX_NO_PLACE) {
        range->position_first--;
    }
    while (range->position_last < visible &&
           ski_window_row(window, range->position_last + 1)->place == SKI_INDEX_NO_PLACE) {
        range->position_last++;
    }
}

// range_in_index finds the missing events beside one, and the bytes between those that are there.
static void range_in_index(const ski_indexed *indexed, uint64_t last, ski_damage *range)
{
    const ski_sealed_info *info = ski_sealed_info_of(indexed->sealed);
    uint64_t end = info->base_pos + info->count, from = SKI_SEGMENT_HEADER, to = info->end;
    ski_sealed_place place;
    size_t got = 0;

    while (range->position_first > info->base_pos) {
        if (range->position_first <= end) {
            if (ski_sealed_places(indexed->sealed, range->position_first - 1, 1, &place, &got,
                                  NULL)) {
                break;
            }
            if (place.state == SKI_SEALED_THERE) from = place.offset;
            if (place.state != SKI_SEALED_DAMAGED) break;
        }
        range->position_first--;
    }
    while (range->position_last < last) {
        if (range->position_last + 1 >= info->base_pos && range->position_last + 1 < end) {
            if (ski_sealed_places(indexed->sealed, range->position_last + 1, 1, &place, &got,
                                  NULL)) {
                break;
            }
            if (place.state == SKI_SEALED_THERE) to = place.offset;
            if (place.state != SKI_SEALED_DAMAGED) break;
        }
        range->position_last++;
    }
    range->offset = from;
    range->length = to > from ? to - from : 0;
}

ski_damage ski_damage_range(ski_engine *engine, const ski_candidate *candidate)
{
    uint64_t position = candidate->position, last = 0;
    ski_damage range = {candidate->slot, candidate->offset, candidate->bound - candidate->offset,
                        position, position};
    ski_indexed *indexed = NULL;
    bool sealed = false, noted = false;

    if (candidate->slot != SKI_PLACE_DAMAGED) return range;
    ski_mutex_lock(&engine->lock);
    noted = damage_noted(engine, position, &range);
    range.position_first = range.position_last = position;
    sealed = position <= engine->sealed_last;
    if (!noted) range.slot = ski_engine_slot(engine, position);
    if (!sealed) {
        range_in_window(engine, &range);
    } else {
        uint32_t slot = ski_engine_slot(engine, position);

        last = ski_engine_segment_last(engine, slot);
        indexed = ski_engine_index_held(engine, slot);
        if (!indexed) { // nothing of the segment can be read
            range.position_first = engine->segments[slot]->base_pos;
            range.position_last = last;
            if (!noted) range.length = engine->segments[slot]->file_bytes;
        }
    }
    ski_mutex_unlock(&engine->lock);
    if (indexed) {
        ski_damage bytes = range;

        range_in_index(indexed, last, &range);
        if (noted) {
            range.offset = bytes.offset;
            range.length = bytes.length;
        }
        ski_engine_index_return(engine, indexed);
    }
    return range;
}
