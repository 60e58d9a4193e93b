// SPDX-License-Identifier: Apache-2.0
// Damage, for people: file, bytes, positions. Ranges that were noted when the store was opened or a
// segment was sealed are given as they were; of what only an index knows, the bytes between the
// events beside it are.
#include "store/log/damage.h"
#include "base/alloc.h"
#include "base/log.h"
#include "store/log/lookup.h"
#include <stdio.h>
#include <string.h>

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

// --- what is known ------------------------------------------------------------------------------

// rot_current: the segment is still the one that the range was found in. The lock is held.
static bool rot_current(const ski_engine *engine, uint32_t no, uint32_t generation)
{
    uint32_t low = 0, high = engine->segment_count;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (engine->segments[middle]->no <= no) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high && engine->segments[low]->no == no &&
           engine->segments[low]->generation == generation;
}

// rot_known: the range, or part of it, was told before; then it is widened to both. The lock is
// held.
static bool rot_known(ski_engine *engine, const ski_rot *range)
{
    for (uint32_t i = 0; i < engine->damage_count; i++) {
        const ski_damage *damage = &engine->damages[i];

        if (engine->segments[damage->slot]->no == range->no &&
            range->offset < damage->offset + damage->length &&
            damage->offset < range->offset + range->length) {
            return true;
        }
    }
    for (uint32_t i = 0; i < engine->rot_count; i++) {
        ski_rot *known = &engine->rot[i];
        uint64_t end = known->offset + known->length, other = range->offset + range->length;

        if (known->no != range->no || known->generation != range->generation) continue;
        if (range->offset >= end || known->offset >= other) continue;
        if (range->offset < known->offset) known->offset = range->offset;
        known->length = (other > end ? other : end) - known->offset;
        if (range->position_first > range->position_last) return true;
        if (range->position_first < known->position_first) {
            known->position_first = range->position_first;
        }
        if (range->position_last > known->position_last) {
            known->position_last = range->position_last;
        }
        return true;
    }
    return false;
}

// rot_add notes a range; when there are too many, or no memory, it is counted. The lock is held.
static void rot_add(ski_engine *engine, const ski_rot *range)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < engine->rot_count; i++) { // those of segments rewritten since go
        const ski_rot *known = &engine->rot[i];

        if (rot_current(engine, known->no, known->generation)) engine->rot[kept++] = *known;
    }
    engine->rot_count = kept;
    if (engine->rot_count == engine->rot_size && engine->rot_size < SKI_DAMAGES_MAX) {
        uint32_t size = engine->rot_size ? engine->rot_size * 2 : 16;
        ski_rot *rot = ski_realloc(engine->rot, size * sizeof *rot);

        if (rot) {
            engine->rot = rot;
            engine->rot_size = size;
        }
    }
    if (engine->rot_count == engine->rot_size) {
        engine->rot_more++;
    } else {
        engine->rot[engine->rot_count++] = *range;
    }
}

static void rot_log(const ski_engine *engine, const ski_rot *range)
{
    char name[SKI_SEGMENT_NAME], offset[24], length[24], first[24], last[24];

    ski_segment_name(name, range->no, range->generation);
    (void)snprintf(offset, sizeof offset, "%llu", (unsigned long long)range->offset);
    (void)snprintf(length, sizeof length, "%llu", (unsigned long long)range->length);
    (void)snprintf(first, sizeof first, "%llu", (unsigned long long)range->position_first);
    (void)snprintf(last, sizeof last, "%llu", (unsigned long long)range->position_last);
    ski_log_line(engine->host->log, SKALD_ERROR,
                 "stored data is damaged; everything outside of the range is served", "file", name,
                 "offset", offset, "length", length, "firstPosition", first, "lastPosition", last,
                 NULL);
}

void ski_damage_found(ski_engine *engine, const ski_rot *range)
{
    bool news = false;

    ski_mutex_lock(&engine->lock);
    news = rot_current(engine, range->no, range->generation) && !rot_known(engine, range);
    if (news) rot_add(engine, range);
    ski_mutex_unlock(&engine->lock);
    if (news) rot_log(engine, range);
}

static void state_add(skald_store_state *state, const ski_rot *range)
{
    skald_damaged *damaged = NULL;

    if (state->damages++ >= SKALD_DAMAGES_SHOWN) return;
    damaged = &state->damage[state->damages - 1];
    ski_segment_name(damaged->file, range->no, range->generation);
    damaged->offset = range->offset;
    damaged->length = range->length;
    damaged->position_first = range->position_first;
    damaged->position_last = range->position_last;
}

void ski_damage_state(const ski_engine *engine, skald_store_state *state)
{
    for (uint32_t i = 0; i < engine->damage_count; i++) {
        const ski_damage *damage = &engine->damages[i];
        const ski_segment *segment = engine->segments[damage->slot];
        ski_rot range = {segment->no,    segment->generation,    damage->offset,
                         damage->length, damage->position_first, damage->position_last};

        state_add(state, &range);
    }
    for (uint32_t i = 0; i < engine->rot_count; i++) {
        const ski_rot *known = &engine->rot[i];

        if (rot_current(engine, known->no, known->generation)) state_add(state, known);
    }
    state->damages += engine->rot_more;
}
