// SPDX-License-Identifier: Apache-2.0
// Ids. The upper six bits of a hash choose the group, those behind them the row, the next 24 are
// the tag. An entry is the tag and, in eight bits, the range of positions, modulo 255; where in its
// row it is sought follows from the tag alone, so a row can be made anew without the hashes. Rows
// are in the order of hashes: so are the ids of an index file, and adding them goes through memory
// once.
//
// Invariants:
//   1. An entry lies between the place its tag names and the first free one behind it, cyclically.
//   2. No row is more than seven eighths full, but always has a free entry.
//   3. An entry that is not older than events_max is never dropped.
//   4. Ages are told modulo 255 ranges, and no more than 127 are remembered: one that is old enough
//   to seem young again is a range that turns out to have nothing.
//   5. The rows of a group are alike in size; it is the fullest one that makes them grow.
#include "store/log/ids.h"
#include "base/alloc.h"
#include <assert.h>
#include <string.h>

enum {
    group_shift = 58,
    tag_bits = 24,
    hash_bits = 40, // of a hash are known
    row_bits_max = hash_bits - tag_bits - (64 - group_shift),
    row_entries = 1024, // about so many, when there are as many as are remembered
    ranges_most = 127,
    ranges_modulo = 255,
};

// stride_of is how large rows are for so many events: the fullest one has four deviations more than
// the average one, and may be seven eighths full.
static uint32_t stride_of(const ski_ids *ids, uint64_t events)
{
    uint64_t average = (events >> ids->row_bits) / SKI_IDS_GROUPS, root = 1;

    while (root * root < average) root++;
    return (uint32_t)((average + 4 * root) * 8 / 7) + 2;
}

void ski_ids_init(ski_ids *ids, uint64_t events_max)
{
    assert(events_max && events_max <= SKI_IDS_EVENTS_MAX);
    *ids = (ski_ids){.events_max = events_max};
    while (ids->row_bits < row_bits_max &&
           events_max >> ids->row_bits > (uint64_t)SKI_IDS_GROUPS * row_entries) {
        ids->row_bits++;
    }
    while ((events_max >> ids->range_shift) + 1 > ranges_most) ids->range_shift++;
    ids->ranges_max = (uint32_t)(events_max >> ids->range_shift) + 1;
    ids->stride_first = stride_of(ids, 0);
    ids->stride_last = stride_of(ids, events_max);
}

void ski_ids_reserve(ski_ids *ids, uint64_t events)
{
    ids->stride_first = stride_of(ids, events < ids->events_max ? events : ids->events_max);
}

void ski_ids_fini(ski_ids *ids)
{
    for (unsigned i = 0; i < SKI_IDS_GROUPS; i++) ski_free(ids->groups[i].rows);
    *ids = (ski_ids){0};
}

static uint32_t row_of(const ski_ids *ids, uint64_t hash)
{
    return (uint32_t)(hash >> (group_shift - ids->row_bits)) & ((UINT32_C(1) << ids->row_bits) - 1);
}

static uint32_t tag_of(const ski_ids *ids, uint64_t hash)
{
    return (uint32_t)(hash >> (group_shift - ids->row_bits - tag_bits)) &
           ((UINT32_C(1) << tag_bits) - 1);
}

static uint32_t place_of(uint32_t tag, uint32_t size)
{
    return (uint32_t)((uint64_t)tag * size >> tag_bits);
}

// entry_make is never 0, which is a free entry.
static uint32_t entry_make(const ski_ids *ids, uint32_t tag, uint64_t position)
{
    return tag << 8 | ((uint32_t)((position >> ids->range_shift) % ranges_modulo) + 1);
}

// entry_age is how many ranges ago the entry's was, counted from the one that has last.
static uint32_t entry_age(const ski_ids *ids, uint32_t entry, uint64_t last)
{
    uint32_t newest = (uint32_t)((last >> ids->range_shift) % ranges_modulo);
    uint32_t range = (entry & 0xff) - 1;

    return newest >= range ? newest - range : newest + ranges_modulo - range;
}

// row_full is how many entries a row of a size may have.
static uint32_t row_full(uint32_t size)
{
    return size - (size < 8 ? 1 : size / 8);
}

// row_put puts an entry where there is room; false: it is there.
static bool row_put(uint32_t *entries, uint32_t size, uint32_t entry)
{
    uint32_t at = place_of(entry >> 8, size);

    while (entries[at]) {
        if (entries[at] == entry) return false;
        at = at + 1 == size ? 0 : at + 1;
    }
    entries[at] = entry;
    return true;
}

// row_copy puts what is not too old into a row that is empty, and has room for it all.
static void row_copy(const ski_ids *ids, const uint32_t *row, uint32_t stride, uint64_t last,
                     uint32_t *to, uint32_t to_stride)
{
    for (uint32_t i = 1; i < stride; i++) {
        if (!row[i] || entry_age(ids, row[i], last) > ids->ranges_max) continue;
        to[0] += row_put(to + 1, to_stride - 1, row[i]);
    }
}

// stride_next is how large the rows of a group become: twice as large, until they have the
// room that is needed when as many events are there as are remembered; then little by little.
static uint32_t stride_next(const ski_ids *ids, uint32_t stride)
{
    uint32_t next = stride * 2;

    if (!stride) return ids->stride_first;
    if (stride >= ids->stride_last) return stride + stride / 32 + 1;
    return next < ids->stride_last ? next : ids->stride_last;
}

// group_grow gives every row of a group more room.
static skald_err group_grow(const ski_ids *ids, ski_ids_group *group, uint64_t last)
{
    uint32_t rows = UINT32_C(1) << ids->row_bits, old = group->stride;
    uint32_t stride = stride_next(ids, old);
    uint32_t *fresh = ski_alloc_zeroed(rows, stride * sizeof *fresh);

    if (!fresh) return SKALD_ENOMEM;
    for (uint32_t i = 0; i < rows && old; i++) {
        row_copy(ids, group->rows + (size_t)i * old, old, last, fresh + (size_t)i * stride, stride);
    }
    ski_free(group->rows);
    *group = (ski_ids_group){fresh, stride};
    return SKALD_OK;
}

// row_clean makes a row anew without what is too old.
static skald_err row_clean(const ski_ids *ids, uint32_t *row, uint32_t stride, uint64_t last)
{
    uint32_t *copy = ski_alloc(stride * sizeof *copy);

    if (!copy) return SKALD_ENOMEM;
    memcpy(copy, row, stride * sizeof *copy);
    memset(row, 0, stride * sizeof *row);
    row_copy(ids, copy, stride, last, row, stride);
    ski_free(copy);
    return SKALD_OK;
}

skald_err ski_ids_add(ski_ids *ids, uint64_t hash, uint64_t position, uint64_t last)
{
    ski_ids_group *group = &ids->groups[hash >> group_shift];
    uint32_t row_number = row_of(ids, hash);
    uint32_t entry = entry_make(ids, tag_of(ids, hash), position), *row = NULL;

    if (!group->rows) SKALD_TRY(group_grow(ids, group, last));
    row = group->rows + (size_t)row_number * group->stride;
    if (row[0] >= row_full(group->stride - 1)) {
        SKALD_TRY(row_clean(ids, row, group->stride, last));
    }
    while (row[0] >= row_full(group->stride - 1)) {
        SKALD_TRY(group_grow(ids, group, last));
        row = group->rows + (size_t)row_number * group->stride;
    }
    row[0] += row_put(row + 1, group->stride - 1, entry);
    return SKALD_OK;
}

bool ski_ids_next(const ski_ids *ids, ski_ids_cursor *cursor, uint64_t *ret_first,
                  uint64_t *ret_last)
{
    const ski_ids_group *group = &ids->groups[cursor->hash >> group_shift];
    uint32_t size = group->stride - 1, tag = tag_of(ids, cursor->hash), at = 0;
    uint64_t newest = cursor->last >> ids->range_shift;
    const uint32_t *entries = NULL;

    if (!group->rows) return false;
    entries = group->rows + (size_t)row_of(ids, cursor->hash) * group->stride + 1;
    at = place_of(tag, size) + cursor->seen;
    if (at >= size) at -= size;
    while (cursor->seen < size && entries[at]) {
        uint32_t entry = entries[at], age = 0;

        cursor->seen++;
        at = at + 1 == size ? 0 : at + 1;
        if (entry >> 8 != tag) continue;
        age = entry_age(ids, entry, cursor->last);
        if (age > ids->ranges_max || age > newest) continue;
        *ret_first = (newest - age) << ids->range_shift;
        *ret_last = *ret_first + (UINT64_C(1) << ids->range_shift) - 1;
        return true;
    }
    return false;
}

void ski_ids_expect(const ski_ids *ids, uint64_t hash)
{
    const ski_ids_group *group = &ids->groups[hash >> group_shift];

    if (!group->rows) return;
    __builtin_prefetch(group->rows + (size_t)row_of(ids, hash) * group->stride + 1 +
                       place_of(tag_of(ids, hash), group->stride - 1));
}

uint64_t ski_ids_bytes(const ski_ids *ids)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < SKI_IDS_GROUPS; i++) {
        bytes += ((uint64_t)ids->groups[i].stride << ids->row_bits) * sizeof(uint32_t);
    }
    return bytes;
}
