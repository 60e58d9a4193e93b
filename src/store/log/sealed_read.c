// SPDX-License-Identifier: Apache-2.0
// Reading the index of a sealed segment: places, times, lists, and lookups by key.
#include "base/alloc.h"
#include "store/log/bytes.h"
#include "store/log/frame.h"
#include "store/log/sealed.h"
#include "store/log/sealed_format.h"
#include "store/log/varint.h"
#include <assert.h>
#include <string.h>

// --- events -------------------------------------------------------------------------------------

// place_at gives row i of a block of rows; what lies behind it bounds its length.
static bool place_at(const ski_sealed *sealed, const uint8_t *block, uint32_t i, uint32_t rows,
                     ski_sealed_place *ret_place)
{
    uint32_t unit = ski_get_u32(block + 4 * (size_t)i), next = 0;
    uint64_t end = sealed->info.end;
    uint64_t len = 0;

    *ret_place = (ski_sealed_place){.state = SKI_SEALED_THERE, .offset = (uint64_t)unit * 8};
    if (unit == SKI_ROW_ERASED || unit == SKI_ROW_DAMAGED) {
        *ret_place = (ski_sealed_place){.state = unit == SKI_ROW_ERASED ? SKI_SEALED_ERASED
                                                                        : SKI_SEALED_DAMAGED};
        return true;
    }
    do {
        i++;
        next = ski_get_u32(block + 4 * (size_t)(i < rows ? i : SKI_SEALED_BLOCK_ROWS));
    } while (i < rows && next >= SKI_ROW_DAMAGED);
    if (next <= unit || (uint64_t)next * 8 > end) return false;
    len = ((uint64_t)next - unit) * 8;
    ret_place->len_max = len < SKI_FRAME_BYTES_MAX ? len : SKI_FRAME_BYTES_MAX;
    return true;
}

skald_err ski_sealed_places_of(ski_sealed_view *view, uint64_t position, size_t count,
                               ski_sealed_place *ret_places, size_t *ret_count,
                               skald_error *reterr_error)
{
    const ski_sealed *sealed = view->sealed;
    uint64_t row = position - sealed->info.base_pos;
    uint32_t number = (uint32_t)(row / SKI_SEALED_BLOCK_ROWS);
    uint32_t at = (uint32_t)(row % SKI_SEALED_BLOCK_ROWS);
    uint64_t left = sealed->info.count - (uint64_t)number * SKI_SEALED_BLOCK_ROWS;
    uint32_t rows = left < SKI_SEALED_BLOCK_ROWS ? (uint32_t)left : SKI_SEALED_BLOCK_ROWS;
    size_t given = 0;

    assert(position >= sealed->info.base_pos && row < sealed->info.count && count);
    if (sealed->info.erased == sealed->info.count) {
        for (; given < count && row + given < sealed->info.count; given++) {
            ret_places[given] = (ski_sealed_place){.state = SKI_SEALED_ERASED};
        }
        *ret_count = given;
        return SKALD_OK;
    }
    SKALD_TRY(ski_sealed_view_block(view, SKI_SECTION_ROWS, number, reterr_error));
    for (; given < count && at < rows; given++, at++) {
        if (!place_at(sealed, view->bytes, at, rows, &ret_places[given])) {
            return ski_sealed_contradiction(sealed, SKI_SECTION_ROWS, number, reterr_error);
        }
    }
    *ret_count = given;
    return SKALD_OK;
}

skald_err ski_sealed_places(const ski_sealed *sealed, uint64_t position, size_t count,
                            ski_sealed_place *ret_places, size_t *ret_count,
                            skald_error *reterr_error)
{
    ski_sealed_view view;
    skald_err err = SKALD_OK;

    ski_sealed_view_begin(&view, sealed);
    err = ski_sealed_places_of(&view, position, count, ret_places, ret_count, reterr_error);
    ski_sealed_view_end(&view);
    return err;
}

void ski_sealed_at_time(const ski_sealed *sealed, int64_t time, uint64_t *ret_low,
                        uint64_t *ret_high)
{
    uint32_t low = 0, high = sealed->ladder_count;
    uint64_t row = 0, end = sealed->info.count;

    while (low < high) { // the first step whose end is not before time
        uint32_t middle = low + (high - low) / 2;

        if (sealed->ladder[middle] < time)
            low = middle + 1;
        else
            high = middle;
    }
    row = (uint64_t)low * SKI_SEALED_LADDER;
    if (row > end) row = end;
    *ret_low = sealed->info.base_pos + row;
    *ret_high =
        sealed->info.base_pos + (end - row < SKI_SEALED_LADDER ? end : row + SKI_SEALED_LADDER);
}

// --- lists --------------------------------------------------------------------------------------

bool ski_sealed_list_get(const ski_sealed *sealed, const uint8_t *from, const uint8_t *end,
                         ski_sealed_list *ret_list)
{
    uint64_t head = 0, first = 0, more = 0, count = sealed->info.count;
    ski_sealed_list *list = ret_list;

    list->count = list->group = list->group_len = 0;
    list->first = list->last = 0;
    list->at = 0;
    list->kind = SKI_LIST_INLINE;
    if (!ski_varint_get(&from, end, &head)) return false;
    if (head < 2) return from == end;
    if (head / 2 > count || !ski_varint_get(&from, end, &first) || first >= count) return false;
    list->count = (uint32_t)(head / 2);
    list->first = list->last = (uint32_t)first;
    if (head & 1) {
        list->kind = SKI_LIST_DENSE;
        if (head / 2 > count - first) return false;
        list->last = (uint32_t)(first + head / 2 - 1);
        return from == end;
    }
    if (list->count > SKI_SEALED_GROUP) {
        list->kind = SKI_LIST_LONG;
        if (!ski_varint_get(&from, end, &more) || more >= count - first) return false;
        list->last = (uint32_t)(first + more);
        return ski_varint_get(&from, end, &list->at) && from == end;
    }
    list->rows[0] = list->first;
    for (uint32_t i = 1; i < list->count; i++) {
        if (!ski_varint_get(&from, end, &more) || !more) return false;
        if (more >= count - list->last) return false;
        list->last += (uint32_t)more;
        list->rows[i] = list->last;
    }
    list->group_len = list->count;
    return from == end;
}

static skald_err lists_read(ski_sealed_view *view, uint64_t at, size_t len, uint8_t *to,
                            skald_error *reterr_error)
{
    while (len) {
        uint32_t block = (uint32_t)(at / SKI_BLOCK_ROOM);
        size_t within = (size_t)(at % SKI_BLOCK_ROOM), piece = SKI_BLOCK_ROOM - within;

        if (piece > len) piece = len;
        SKALD_TRY(ski_sealed_view_block(view, SKI_SECTION_LISTS, block, reterr_error));
        memcpy(to, view->bytes + within, piece);
        to += piece;
        at += piece;
        len -= piece;
    }
    return SKALD_OK;
}

static uint32_t list_groups(const ski_sealed_list *list)
{
    return (list->count + SKI_SEALED_GROUP - 1) / SKI_SEALED_GROUP;
}

// list_skip gives the first row of a group and where its other rows lie.
static skald_err list_skip(ski_sealed_view *view, const ski_sealed_list *list, uint32_t group,
                           uint32_t *ret_row, uint64_t *ret_at, skald_error *reterr_error)
{
    const ski_sealed *sealed = view->sealed;
    uint64_t bytes = sealed->blocks.sections[SKI_SECTION_LISTS].bytes;
    uint64_t table = 8 * (uint64_t)list_groups(list);
    uint8_t skip[8];

    if (list->at > bytes || table > bytes - list->at) {
        return ski_sealed_contradiction(sealed, SKI_SECTION_LISTS, 0, reterr_error);
    }
    SKALD_TRY(lists_read(view, list->at + 8 * (uint64_t)group, 8, skip, reterr_error));
    *ret_row = ski_get_u32(skip);
    *ret_at = list->at + table + ski_get_u32(skip + 4);
    if (*ret_row >= sealed->info.count || *ret_at > bytes) {
        return ski_sealed_contradiction(sealed, SKI_SECTION_LISTS, 0, reterr_error);
    }
    return SKALD_OK;
}

static skald_err list_load(ski_sealed_view *view, ski_sealed_list *list, uint32_t group,
                           skald_error *reterr_error)
{
    const ski_sealed *sealed = view->sealed;
    uint64_t bytes = sealed->blocks.sections[SKI_SECTION_LISTS].bytes, at = 0, more = 0;
    uint32_t len = list->count - group * SKI_SEALED_GROUP;
    uint8_t data[5 * SKI_SEALED_GROUP];
    const uint8_t *from = data;
    size_t size = sizeof data;

    if (len > SKI_SEALED_GROUP) len = SKI_SEALED_GROUP;
    list->group_len = 0;
    SKALD_TRY(list_skip(view, list, group, &list->rows[0], &at, reterr_error));
    if (size > bytes - at) size = (size_t)(bytes - at);
    SKALD_TRY(lists_read(view, at, size, data, reterr_error));
    for (uint32_t i = 1; i < len; i++) {
        if (!ski_varint_get(&from, data + size, &more) || !more ||
            more >= sealed->info.count - list->rows[i - 1]) {
            return ski_sealed_contradiction(sealed, SKI_SECTION_LISTS, 0, reterr_error);
        }
        list->rows[i] = list->rows[i - 1] + (uint32_t)more;
    }
    list->group = group;
    list->group_len = len;
    return SKALD_OK;
}

skald_err ski_sealed_list_at(const ski_sealed *sealed, ski_sealed_list *list, uint32_t n,
                             uint64_t *ret_position, skald_error *reterr_error)
{
    skald_err err = SKALD_OK;

    assert(n < list->count);
    if (list->kind == SKI_LIST_DENSE) {
        *ret_position = sealed->info.base_pos + list->first + n;
        return SKALD_OK;
    }
    if (!list->group_len || n / SKI_SEALED_GROUP != list->group) {
        ski_sealed_view view;

        ski_sealed_view_begin(&view, sealed);
        err = list_load(&view, list, n / SKI_SEALED_GROUP, reterr_error);
        ski_sealed_view_end(&view);
    }
    if (!err) *ret_position = sealed->info.base_pos + list->rows[n % SKI_SEALED_GROUP];
    return err;
}

// group_after is how many rows of the group in memory are <= row.
static uint32_t group_after(const ski_sealed_list *list, uint64_t row)
{
    uint32_t low = 0, high = list->group_len;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (list->rows[middle] <= row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// list_seek loads the last group that begins at a row or before it.
static skald_err list_seek(ski_sealed_view *view, ski_sealed_list *list, uint64_t row,
                           skald_error *reterr_error)
{
    uint32_t low = 0, high = list_groups(list);

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2, first = 0;
        uint64_t at = 0;

        SKALD_TRY(list_skip(view, list, middle, &first, &at, reterr_error));
        if (first <= row)
            low = middle;
        else
            high = middle;
    }
    if (list->group_len && list->group == low) return SKALD_OK;
    return list_load(view, list, low, reterr_error);
}

skald_err ski_sealed_list_after(const ski_sealed *sealed, ski_sealed_list *list, uint64_t position,
                                uint32_t *ret_n, skald_error *reterr_error)
{
    uint64_t row = position - sealed->info.base_pos;
    skald_err err = SKALD_OK;

    *ret_n = 0;
    if (!list->count || position < sealed->info.base_pos || row < list->first) return SKALD_OK;
    if (row >= list->last) {
        *ret_n = list->count;
        return SKALD_OK;
    }
    if (list->kind == SKI_LIST_DENSE) {
        *ret_n = (uint32_t)(row - list->first) + 1;
        return SKALD_OK;
    }
    if (list->kind == SKI_LIST_LONG) {
        ski_sealed_view view;

        ski_sealed_view_begin(&view, sealed);
        err = list_seek(&view, list, row, reterr_error);
        ski_sealed_view_end(&view);
    }
    if (!err) *ret_n = list->group * SKI_SEALED_GROUP + group_after(list, row);
    return err;
}

// --- entries ------------------------------------------------------------------------------------

// stream_get reads the entry of a stream. list says less than the positions it stands for, when
// there is no wish for them.
static bool stream_get(const ski_sealed *sealed, const uint8_t *entry, size_t len,
                       ski_sealed_stream *ret_stream)
{
    const ski_sealed_info *info = &sealed->info;
    const uint8_t *at = entry + 16, *end = entry + len;
    uint64_t versions = 0, prev = 0, last = 0;
    ski_sealed_stream *stream = ret_stream;

    if (len < 16) return false;
    stream->fp = (ski_fp){ski_get_u64(entry), ski_get_u64(entry + 8)};
    if (!ski_varint_get(&at, end, &stream->last_version)) return false;
    if (!ski_varint_get(&at, end, &versions) || versions > stream->last_version) return false;
    if (!ski_varint_get(&at, end, &prev) || prev >= info->base_pos) return false;
    if (!ski_varint_get(&at, end, &last) || last > info->count) return false;
    if (!ski_sealed_list_get(sealed, at, end, &stream->list)) return false;
    if (!last && !stream->list.count) return false;
    stream->first_version = versions ? stream->last_version - versions + 1 : 0;
    stream->prev_pos = prev ? info->base_pos - prev : 0;
    stream->last_pos = info->base_pos + (last ? last - 1 : stream->list.last);
    return true;
}

// An entry that begins with the key that is looked for: 8 bytes, or 16.
typedef struct wanted {
    unsigned section;
    uint8_t key[16];
    size_t key_len;
    const uint8_t *entry; // found
    size_t len;
} wanted;

// entry_in looks for an entry in the block that a view shows. NOTFOUND: it is not in this one.
static skald_err entry_in(const ski_sealed_view *view, uint32_t number, wanted *want,
                          skald_error *reterr_error)
{
    const uint8_t *at = view->bytes, *end = view->bytes + SKI_BLOCK_ROOM, *entry = NULL;
    size_t len = 0;

    while (ski_entry_next(&at, end, &entry, &len)) {
        if (!entry || len < want->key_len) {
            return ski_sealed_contradiction(view->sealed, want->section, number, reterr_error);
        }
        if (memcmp(entry, want->key, want->key_len) != 0) continue;
        want->entry = entry;
        want->len = len;
        return SKALD_OK;
    }
    return SKALD_ENOTFOUND;
}

// entry_find shows the block that has an entry; *ret_number is its number.
static skald_err entry_find(ski_sealed_view *view, ski_sealed_table table, uint64_t hash,
                            wanted *want, uint32_t *ret_number, skald_error *reterr_error)
{
    uint32_t first = 0, last = 0;
    skald_err err = SKALD_ENOTFOUND;

    if (!ski_sealed_hash_maybe(view->sealed, table, hash)) return SKALD_ENOTFOUND;
    if (!ski_sealed_key_blocks(view->sealed, table, hash, &first, &last)) return SKALD_ENOTFOUND;
    for (; first <= last && err == SKALD_ENOTFOUND; first++) {
        SKALD_TRY(ski_sealed_view_block(view, want->section, first, reterr_error));
        err = entry_in(view, first, want, reterr_error);
        *ret_number = first;
    }
    return err;
}

skald_err ski_sealed_stream_find(const ski_sealed *sealed, ski_fp fp, ski_sealed_stream *ret_stream,
                                 skald_error *reterr_error)
{
    wanted want = {.section = SKI_SECTION_STREAMS, .key_len = 16};
    uint32_t number = 0;
    ski_sealed_view view;
    skald_err err = SKALD_OK;

    ski_put_u64(want.key, fp.hi);
    ski_put_u64(want.key + 8, fp.lo);
    ski_sealed_view_begin(&view, sealed);
    err = entry_find(&view, SKI_SEALED_STREAMS, fp.hi, &want, &number, reterr_error);
    if (!err && !stream_get(sealed, want.entry, want.len, ret_stream)) {
        err = ski_sealed_contradiction(sealed, SKI_SECTION_STREAMS, number, reterr_error);
    }
    ski_sealed_view_end(&view);
    return err;
}

skald_err ski_sealed_correlation(const ski_sealed *sealed, uint64_t hash, ski_sealed_list *ret_list,
                                 skald_error *reterr_error)
{
    wanted want = {.section = SKI_SECTION_CORRELATIONS, .key_len = 8};
    uint32_t number = 0;
    ski_sealed_view view;
    skald_err err = SKALD_OK;

    ski_put_u64(want.key, hash);
    ski_sealed_view_begin(&view, sealed);
    err = entry_find(&view, SKI_SEALED_CORRELATIONS, hash, &want, &number, reterr_error);
    if (!err && !ski_sealed_list_get(sealed, want.entry + 8, want.entry + want.len, ret_list)) {
        err = ski_sealed_contradiction(sealed, SKI_SECTION_CORRELATIONS, number, reterr_error);
    }
    ski_sealed_view_end(&view);
    return err;
}

// --- ids ----------------------------------------------------------------------------------------

static uint64_t bytes_number(const uint8_t *from, unsigned len)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < len; i++) number |= (uint64_t)from[i] << (8 * i);
    return number;
}

// id_at gives entry i of a block of ids; false: the block contradicts itself.
static bool id_at(const ski_sealed *sealed, const uint8_t *block, uint32_t i, uint64_t *ret_key,
                  uint64_t *ret_row)
{
    unsigned key_bytes = sealed->id_key_bytes;
    const uint8_t *from = block + SKI_ID_HEAD + (size_t)i * (key_bytes + SKI_ID_ROW_BYTES);

    *ret_key = bytes_number(block + 2, SKI_ID_KEY_BYTES) + bytes_number(from, key_bytes);
    *ret_row = bytes_number(from + key_bytes, SKI_ID_ROW_BYTES);
    return *ret_row < sealed->info.count;
}

// ids_count gives how many entries a block of ids has; false: more than there is room for.
static bool ids_count(const ski_sealed *sealed, const uint8_t *block, uint32_t *ret_count)
{
    unsigned entry = sealed->id_key_bytes + SKI_ID_ROW_BYTES;

    *ret_count = ski_get_u16(block);
    return *ret_count <= (SKI_BLOCK_ROOM - SKI_ID_HEAD) / entry;
}

// ids_find gives the newest position < before of a key in one block, if it is newer than *found.
static bool ids_find(const ski_sealed *sealed, const uint8_t *block, uint64_t key, uint64_t before,
                     uint64_t *found)
{
    uint32_t low = 0, high = 0, count = 0;
    uint64_t at = 0, row = 0;

    if (!ids_count(sealed, block, &count)) return false;
    for (high = count; low < high;) {
        uint32_t middle = low + (high - low) / 2;

        (void)id_at(sealed, block, middle, &at, &row);
        if (at < key)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count; low++) {
        uint64_t position = 0;

        if (!id_at(sealed, block, low, &at, &row)) return false;
        if (at != key) break;
        position = sealed->info.base_pos + row;
        if (position < before && position > *found) *found = position;
    }
    return true;
}

skald_err ski_sealed_id(const ski_sealed *sealed, uint64_t hash, uint64_t before,
                        uint64_t *ret_position, skald_error *reterr_error)
{
    uint64_t key = hash >> (64 - SKI_SEALED_ID_BITS), found = 0;
    uint32_t first = 0, last = 0;
    ski_sealed_view view;
    skald_err err = SKALD_OK;

    if (!ski_sealed_hash_maybe(sealed, SKI_SEALED_IDS, hash)) return SKALD_ENOTFOUND;
    if (!ski_sealed_key_blocks(sealed, SKI_SEALED_IDS, key, &first, &last)) return SKALD_ENOTFOUND;
    ski_sealed_view_begin(&view, sealed);
    for (uint32_t number = first; number <= last && !err; number++) {
        err = ski_sealed_view_block(&view, SKI_SECTION_IDS, number, reterr_error);
        if (!err && !ids_find(sealed, view.bytes, key, before, &found)) {
            err = ski_sealed_contradiction(sealed, SKI_SECTION_IDS, number, reterr_error);
        }
    }
    ski_sealed_view_end(&view);
    if (err) return err;
    if (!found) return SKALD_ENOTFOUND;
    *ret_position = found;
    return SKALD_OK;
}

skald_err ski_sealed_ids_each(const ski_sealed *sealed,
                              bool (*visit)(void *context, const ski_sealed_id_entry *entries,
                                            size_t count),
                              void *context, skald_error *reterr_error)
{
    enum { entries_max = SKI_BLOCK_ROOM / 7 };
    uint32_t blocks = sealed->blocks.sections[SKI_SECTION_IDS].blocks;
    ski_sealed_id_entry *entries = ski_alloc(entries_max * sizeof *entries);
    uint8_t block[SKI_BLOCK];
    skald_err err = entries ? SKALD_OK : SKALD_ENOMEM;

    for (uint32_t number = 0; number < blocks && !err; number++) {
        uint32_t count = 0;

        err = ski_sealed_read(sealed, SKI_SECTION_IDS, number, 1, block, reterr_error);
        if (!err && !ids_count(sealed, block, &count)) {
            err = ski_sealed_contradiction(sealed, SKI_SECTION_IDS, number, reterr_error);
        }
        for (uint32_t i = 0; i < count && !err; i++) {
            uint64_t key = 0, row = 0;

            if (!id_at(sealed, block, i, &key, &row)) {
                err = ski_sealed_contradiction(sealed, SKI_SECTION_IDS, number, reterr_error);
            }
            entries[i].hash = key << (64 - SKI_SEALED_ID_BITS);
            entries[i].position = sealed->info.base_pos + row;
        }
        if (!err && count && !visit(context, entries, count)) break;
    }
    ski_free(entries);
    return err;
}

// --- streams, one after the other ---------------------------------------------------------------

static skald_err streams_read(const void *context, uint32_t first, uint32_t count, uint8_t *to,
                              skald_error *reterr_error)
{
    return ski_sealed_read(context, SKI_SECTION_STREAMS, first, count, to, reterr_error);
}

skald_err ski_sealed_streams_begin(ski_sealed_streams_iter *iter, const ski_sealed *sealed)
{
    *iter = (ski_sealed_streams_iter){.sealed = sealed};
    return ski_entries_begin(&iter->entries, streams_read, sealed,
                             sealed->blocks.sections[SKI_SECTION_STREAMS].blocks);
}

void ski_sealed_streams_end(ski_sealed_streams_iter *iter)
{
    ski_entries_end(&iter->entries);
}

skald_err ski_sealed_streams_next(ski_sealed_streams_iter *iter, skald_error *reterr_error)
{
    ski_fp before = iter->fp;
    const uint8_t *entry = NULL;
    size_t len = 0;
    ski_sealed_stream stream;

    SKALD_TRY(ski_entries_next(&iter->entries, &entry, &len, reterr_error));
    if (!entry || !stream_get(iter->sealed, entry, len, &stream) ||
        (before.hi && ski_fp_compare(before, stream.fp) >= 0)) {
        return ski_sealed_contradiction(iter->sealed, SKI_SECTION_STREAMS,
                                        ski_entries_block(&iter->entries), reterr_error);
    }
    iter->fp = stream.fp;
    iter->last_version = stream.last_version;
    iter->last_pos = stream.last_pos;
    iter->prev_pos = stream.prev_pos;
    return SKALD_OK;
}
