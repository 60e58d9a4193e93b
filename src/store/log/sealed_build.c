// SPDX-License-Identifier: Apache-2.0
// Writing the index of a segment that was scanned (sealed_format.h says what stands where).
//
// What belongs together is found by sorting (hash, row) pairs. Tables and filters are written in
// one pass; the long lists that their entries point to are gathered meanwhile and written behind
// them.
#include "base/alloc.h"
#include "base/str.h"
#include "store/log/bytes.h"
#include "store/log/filter.h"
#include "store/log/keysort.h"
#include "store/log/sealed_format.h"
#include "store/log/sealed_work.h"
#include "store/log/varint.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { rest_blocks = 64 }; // of tables: then it is asked whether to go on

typedef struct builder {
    ski_sealed_work work;
    ski_block_writer writer;
    skald_err err;    // of what is not the writer's
    uint32_t *rows;   // of a list
    ski_keyed *pairs; // sorted
    ski_keyed *room;
    size_t pair_count;
    size_t rows_bytes, pairs_bytes, room_bytes;
    uint8_t *lists;
    size_t lists_len, lists_size;
    uint64_t *keys; // the first of each block of a table, one table behind the other
    size_t key_count, key_size;
    uint8_t *filters[SKI_SEALED_TABLES];
    uint64_t filter_bytes[SKI_SEALED_TABLES], filter_keys[SKI_SEALED_TABLES];
    uint8_t entry[SKI_SEALED_ENTRY_MAX];
} builder;

static void builder_fail(builder *b, skald_err err)
{
    if (!b->err) b->err = err;
}

// --- lists --------------------------------------------------------------------------------------

static uint8_t *deltas_put(uint8_t *to, const uint32_t *rows, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) to = ski_varint_put(to, rows[i] - rows[i - 1]);
    return to;
}

// list_long puts the groups of a list behind the other lists.
static void list_long(builder *b, const uint32_t *rows, uint32_t count)
{
    uint32_t groups = (count + SKI_SEALED_GROUP - 1) / SKI_SEALED_GROUP;
    size_t need = 8 * (size_t)groups + 5 * (size_t)count;
    uint8_t *table = NULL, *data = NULL, *to = NULL;

    if (b->lists_len + need > b->lists_size) {
        size_t size =
            b->lists_size * 2 > b->lists_len + need ? b->lists_size * 2 : b->lists_len + need;
        uint8_t *lists = ski_realloc(b->lists, size);

        if (!lists) {
            builder_fail(b, SKALD_ENOMEM);
            return;
        }
        b->lists = lists;
        b->lists_size = size;
    }
    table = b->lists + b->lists_len;
    data = to = table + 8 * (size_t)groups;
    for (uint32_t i = 0; i < groups; i++) {
        uint32_t first = i * SKI_SEALED_GROUP, len = count - first;

        if (len > SKI_SEALED_GROUP) len = SKI_SEALED_GROUP;
        ski_put_u32(table + 8 * (size_t)i, rows[first]);
        ski_put_u32(table + 8 * (size_t)i + 4, (uint32_t)(to - data));
        to = deltas_put(to, rows + first, len);
    }
    b->lists_len = (size_t)(to - b->lists);
}

// list_put writes what an entry has of a list.
static uint8_t *list_put(builder *b, uint8_t *to, const uint32_t *rows, uint32_t count)
{
    bool dense = count > 1 && rows[count - 1] - rows[0] == count - 1;

    to = ski_varint_put(to, (uint64_t)count * 2 + dense);
    if (!count) return to;
    to = ski_varint_put(to, rows[0]);
    if (dense) return to;
    if (count <= SKI_SEALED_GROUP) return deltas_put(to, rows, count);
    to = ski_varint_put(to, rows[count - 1] - rows[0]);
    to = ski_varint_put(to, b->lists_len);
    list_long(b, rows, count);
    return to;
}

// --- entries ------------------------------------------------------------------------------------

// entry_put writes b->entry up to end. Returns whether it is the first of a block.
static bool entry_room(const builder *b, size_t len)
{
    return ski_blocks_room(&b->writer) >= len + 2; // a length of two bytes at most
}

static void entry_put(builder *b, const uint8_t *end)
{
    uint8_t head[SKI_VARINT_MAX];
    size_t len = (size_t)(end - b->entry);

    assert(len <= sizeof b->entry);
    if (!entry_room(b, len)) ski_blocks_next(&b->writer);
    ski_blocks_put(&b->writer, head, (size_t)(ski_varint_put(head, len) - head));
    ski_blocks_put(&b->writer, b->entry, len);
    ski_blocks_entry(&b->writer, 1);
}

// builder_rest lets whoever has something else to do meanwhile do that, now and then.
static void builder_rest(builder *b)
{
    const ski_sealed_source *source = b->work.source;

    if (source->interrupted && source->interrupted(source->context)) builder_fail(b, SKALD_ECLOSED);
}

// key_note keeps the key that a block begins with.
static void key_note(builder *b, uint64_t key)
{
    uint64_t *keys = ski_sealed_room(b->keys, &b->key_size, b->key_count, sizeof *keys);

    if (!keys) {
        builder_fail(b, SKALD_ENOMEM);
        return;
    }
    b->keys = keys;
    keys[b->key_count++] = key;
    if (b->key_count % rest_blocks == 0) builder_rest(b);
}

static void keyed_put(builder *b, uint64_t key, const uint8_t *end)
{
    if (ski_blocks_room(&b->writer) == SKI_BLOCK_ROOM || !entry_room(b, (size_t)(end - b->entry))) {
        key_note(b, key);
    }
    entry_put(b, end);
}

// --- rows ---------------------------------------------------------------------------------------

static void rows_write(builder *b)
{
    const ski_sealed_work *work = &b->work;
    size_t count = (size_t)work->info.count;
    uint32_t end = (uint32_t)(work->info.end / 8);
    uint8_t block[4 * (SKI_SEALED_BLOCK_ROWS + 1)];

    ski_blocks_section(&b->writer);
    if (work->info.erased == count) return; // all of them: nothing needs to be said of each
    for (size_t first = 0; first < count; first += SKI_SEALED_BLOCK_ROWS) {
        size_t i = 0, next = first + SKI_SEALED_BLOCK_ROWS;

        memset(block, 0, sizeof block);
        for (; i < SKI_SEALED_BLOCK_ROWS && first + i < count; i++) {
            ski_put_u32(block + 4 * i, work->rows[first + i].unit);
        }
        while (next < count && work->rows[next].unit >= SKI_ROW_DAMAGED) next++;
        ski_put_u32(block + sizeof block - 4, next < count ? work->rows[next].unit : end);
        ski_blocks_put(&b->writer, block, sizeof block);
        ski_blocks_next(&b->writer);
    }
    ski_blocks_entry(&b->writer, count);
}

// --- names --------------------------------------------------------------------------------------

static skald_str text_tenant(const ski_sealed_work *work, const ski_sealed_text *text)
{
    return (skald_str){work->text + text->at, text->tenant_len};
}

static skald_str text_name(const ski_sealed_work *work, const ski_sealed_text *text)
{
    return (skald_str){work->text + text->at + text->tenant_len, text->name_len};
}

static int text_compare(const void *a, const void *b, void *context)
{
    const ski_sealed_work *work = context;
    int order = ski_str_compare(text_tenant(work, a), text_tenant(work, b));

    return order ? order : ski_str_compare(text_name(work, a), text_name(work, b));
}

typedef struct name_last { // of the entry before
    skald_str tenant, name;
    bool given;
} name_last;

// name_put begins an entry with texts, which may rest on the entry before in the same block. What
// follows takes up to so many bytes.
static uint8_t *name_put(builder *b, name_last *last, skald_str tenant, skald_str name, size_t more)
{
    size_t shared = 0;
    uint8_t *to = b->entry;

    if (!entry_room(b, tenant.len + name.len + 3 * SKI_VARINT_MAX + more)) {
        ski_blocks_next(&b->writer);
    }
    if (ski_blocks_room(&b->writer) == SKI_BLOCK_ROOM) last->given = false;
    if (last->given && skald_str_equal(last->tenant, tenant)) {
        while (shared < name.len && shared < last->name.len &&
               name.ptr[shared] == last->name.ptr[shared]) {
            shared++;
        }
        *to++ = 0;
    } else {
        to = ski_varint_put(to, tenant.len + 1);
        if (tenant.len) memcpy(to, tenant.ptr, tenant.len);
        to += tenant.len;
    }
    to = ski_varint_put(to, shared);
    to = ski_varint_put(to, name.len - shared);
    if (name.len > shared) memcpy(to, name.ptr + shared, name.len - shared);
    *last = (name_last){tenant, name, true};
    return to + name.len - shared;
}

// dictionary_lists groups the rows by the number of their name: those of number n stand in b->rows
// up to ends[n].
static void dictionary_lists(builder *b, bool types, uint32_t *ends)
{
    const ski_sealed_work *work = &b->work;
    uint32_t count = types ? work->types.count : work->tenants.count;

    for (size_t i = 0; i < work->info.count; i++) {
        const ski_sealed_row *row = &work->rows[i];

        if (row->unit < SKI_ROW_DAMAGED) ends[(types ? row->type : row->tenant) + 1]++;
    }
    for (uint32_t i = 1; i <= count; i++) ends[i] += ends[i - 1];
    for (size_t i = 0; i < work->info.count; i++) {
        const ski_sealed_row *row = &work->rows[i];

        if (row->unit >= SKI_ROW_DAMAGED) continue;
        b->rows[ends[types ? row->type : row->tenant]++] = (uint32_t)i;
    }
}

typedef struct numbered {
    ski_sealed_text text;
    uint32_t number;
} numbered;

static void dictionary_write(builder *b, const ski_sealed_dictionary *names)
{
    ski_sealed_work *work = &b->work;
    numbered *sorted = ski_alloc_zeroed((size_t)names->count + 1, sizeof *sorted);
    uint32_t *ends = ski_alloc_zeroed((size_t)names->count + 1, sizeof *ends);
    name_last last = {.given = false};

    ski_blocks_section(&b->writer);
    if (!sorted || !ends) {
        builder_fail(b, SKALD_ENOMEM);
        goto out;
    }
    dictionary_lists(b, names == &work->types, ends);
    for (uint32_t i = 0; i < names->count; i++) sorted[i] = (numbered){names->names[i], i};
    qsort_r(sorted, names->count, sizeof *sorted, text_compare, work);
    for (uint32_t i = 0; i < names->count && !b->err; i++) {
        uint32_t n = sorted[i].number, first = n ? ends[n - 1] : 0;
        uint8_t *to = name_put(b, &last, text_tenant(work, &sorted[i].text),
                               text_name(work, &sorted[i].text), 5 * SKI_SEALED_GROUP + 20);

        entry_put(b, list_put(b, to, b->rows + first, ends[n] - first));
    }
out:
    ski_free(sorted);
    ski_free(ends);
}

static void first_put(builder *b, name_last *last, skald_str tenant, skald_str name)
{
    if (last->name.ptr && skald_str_equal(last->tenant, tenant) &&
        skald_str_equal(last->name, name)) {
        return; // twice
    }
    entry_put(b, name_put(b, last, tenant, name, 0));
}

static void first_write(builder *b)
{
    ski_sealed_work *work = &b->work;
    name_last last = {.given = false};

    ski_blocks_section(&b->writer);
    if (work->first_count) {
        qsort_r(work->first, work->first_count, sizeof *work->first, text_compare, work);
    }
    for (size_t i = 0; i < work->first_count; i++) {
        first_put(b, &last, text_tenant(work, &work->first[i]), text_name(work, &work->first[i]));
    }
}

// --- tables -------------------------------------------------------------------------------------

typedef enum pair_kind { PAIR_STREAM, PAIR_CORRELATION, PAIR_ID } pair_kind;

// pairs_sort gathers (hash, row) of every event that has one, sorted by hash.
static void pairs_sort(builder *b, pair_kind kind)
{
    ski_keyed *swap = NULL;
    size_t count = 0, bytes = 0;

    for (size_t i = 0; i < b->work.info.count; i++) {
        const ski_sealed_row *row = &b->work.rows[i];
        uint64_t key = kind == PAIR_STREAM        ? row->fp.hi
                       : kind == PAIR_CORRELATION ? row->correlation
                                                  : row->id;

        if (row->unit >= SKI_ROW_DAMAGED || (kind != PAIR_ID && !key)) continue;
        b->pairs[count++] = (ski_keyed){key, (uint32_t)i, (uint32_t)(row->fp.lo >> 32)};
    }
    builder_fail(b, ski_keysort(b->pairs, count, b->room));
    builder_rest(b);
    b->pair_count = b->err ? 0 : count; // what was not sorted is not read
    swap = b->pairs;
    b->pairs = b->room;
    b->room = swap;
    bytes = b->pairs_bytes;
    b->pairs_bytes = b->room_bytes;
    b->room_bytes = bytes;
}

static size_t pairs_keys(const builder *b)
{
    size_t keys = 0;

    for (size_t i = 0; i < b->pair_count; i++) {
        keys += i == 0 || b->pairs[i].key != b->pairs[i - 1].key;
    }
    return keys;
}

static void filter_begin(builder *b, ski_sealed_table table, uint64_t keys)
{
    b->filter_keys[table] = keys;
    b->filter_bytes[table] = ski_filter_bytes(keys);
    if (!keys) return;
    b->filters[table] = ski_alloc_zeroed(1, (size_t)b->filter_bytes[table]);
    if (!b->filters[table]) builder_fail(b, SKALD_ENOMEM);
}

static void filter_put(builder *b, ski_sealed_table table, uint64_t hash)
{
    ski_filter_add(b->filters[table], b->filter_bytes[table], hash);
}

typedef struct stream {
    ski_fp fp;
    uint64_t first_version, last_version, last_row, prev_pos;
} stream;

// stream_put writes the entry of a stream that has so many events here, in b->rows.
static void stream_put(builder *b, const stream *s, uint32_t count)
{
    uint64_t base = b->work.info.base_pos;
    uint8_t *to = b->entry + 16;
    bool last = count && b->rows[count - 1] == s->last_row;

    ski_put_u64(b->entry, s->fp.hi);
    ski_put_u64(b->entry + 8, s->fp.lo);
    to = ski_varint_put(to, s->last_version);
    to = ski_varint_put(to, s->first_version ? s->last_version - s->first_version + 1 : 0);
    to = ski_varint_put(to, s->prev_pos && s->prev_pos < base ? base - s->prev_pos : 0);
    to = ski_varint_put(to, last ? 0 : s->last_row + 1);
    to = list_put(b, to, b->rows, count);
    keyed_put(b, s->fp.hi, to);
    filter_put(b, SKI_SEALED_STREAMS, s->fp.hi);
}

// gone_put writes streams without events that stand before fp, from number *at on; when fp is one
// of them, s takes what is said of it.
static void gone_put(builder *b, size_t *at, ski_fp fp, stream *s)
{
    uint64_t base = b->work.info.base_pos;

    for (; *at < b->work.gone_count; ++*at) {
        const ski_gone *gone = &b->work.gone[*at];
        int order = ski_fp_compare(gone->fp, fp);

        if (order > 0) break;
        if (order == 0 && s) {
            s->prev_pos = gone->prev_pos;
            if (gone->last_version > s->last_version) {
                s->last_version = gone->last_version;
                s->last_row = gone->last_pos - base;
            }
        } else {
            stream without = {.fp = gone->fp,
                              .last_version = gone->last_version,
                              .last_row = gone->last_pos - base,
                              .prev_pos = gone->prev_pos};

            stream_put(b, &without, 0);
        }
    }
}

static int gone_compare(const void *a, const void *b)
{
    return ski_fp_compare(((const ski_gone *)a)->fp, ((const ski_gone *)b)->fp);
}

// stream_of makes one of count pairs that have one fingerprint.
static skald_err stream_of(builder *b, const ski_keyed *pairs, size_t count, stream *ret_stream)
{
    const ski_sealed_row *first = &b->work.rows[pairs[0].row];
    const ski_sealed_row *last = &b->work.rows[pairs[count - 1].row];

    for (size_t i = 0; i < count; i++) b->rows[i] = pairs[i].row;
    if (first->version > last->version) return SKALD_ECORRUPT;
    *ret_stream = (stream){.fp = first->fp,
                           .first_version = first->version,
                           .last_version = last->version,
                           .last_row = pairs[count - 1].row,
                           .prev_pos = first->prev_pos};
    return SKALD_OK;
}

static int pair_compare_more(const void *a, const void *b)
{
    const ski_keyed *left = a, *right = b;

    if (left->more != right->more) return left->more < right->more ? -1 : 1;
    return left->row < right->row ? -1 : left->row > right->row;
}

// group_end is behind the last pair that has the key of pair number first. When their streams
// differ all the same (in the lower half, of which the upper 32 bits are at hand), they
// are sorted by that, and it ends with the first one.
static size_t group_end(builder *b, size_t first, bool streams)
{
    ski_keyed *pairs = b->pairs;
    size_t end = first + 1, same = first + 1;

    while (end < b->pair_count && pairs[end].key == pairs[first].key) end++;
    if (!streams) return end;
    while (same < end && pairs[same].more == pairs[first].more) same++;
    if (same == end) return end;
    qsort(pairs + first, end - first, sizeof *pairs, pair_compare_more);
    for (same = first + 1; same < end && pairs[same].more == pairs[first].more;) same++;
    return same;
}

// rows_expect has the processor fetch rows that will be looked at soon: they lie anywhere.
static void rows_expect(const builder *b, size_t i)
{
    enum { ahead = 32 };

    if (i + ahead < b->pair_count) __builtin_prefetch(&b->work.rows[b->pairs[i + ahead].row]);
}

static skald_err streams_write(builder *b)
{
    ski_sealed_work *work = &b->work;
    size_t gone = 0;
    skald_err err = SKALD_OK;

    ski_blocks_section(&b->writer);
    pairs_sort(b, PAIR_STREAM);
    if (work->gone_count) qsort(work->gone, work->gone_count, sizeof *work->gone, gone_compare);
    filter_begin(b, SKI_SEALED_STREAMS, pairs_keys(b) + work->gone_count);
    if (b->err) return b->err;
    for (size_t i = 0; i < b->pair_count && !err && !b->err;) {
        size_t end = group_end(b, i, true);
        stream s;

        for (size_t k = i; k < end; k++) rows_expect(b, k);
        err = stream_of(b, b->pairs + i, end - i, &s);
        if (!err) gone_put(b, &gone, s.fp, &s);
        if (!err) stream_put(b, &s, (uint32_t)(end - i));
        i = end;
    }
    if (!err) gone_put(b, &gone, (ski_fp){UINT64_MAX, UINT64_MAX}, NULL);
    return err;
}

static void correlations_write(builder *b)
{
    ski_blocks_section(&b->writer);
    pairs_sort(b, PAIR_CORRELATION);
    filter_begin(b, SKI_SEALED_CORRELATIONS, pairs_keys(b));
    for (size_t i = 0; i < b->pair_count && !b->err;) {
        size_t end = group_end(b, i, false);
        uint64_t key = b->pairs[i].key;

        for (size_t k = i; k < end; k++) b->rows[k - i] = b->pairs[k].row;
        ski_put_u64(b->entry, key);
        keyed_put(b, key, list_put(b, b->entry + 8, b->rows, (uint32_t)(end - i)));
        filter_put(b, SKI_SEALED_CORRELATIONS, key);
        i = end;
    }
}

static void number_put(uint8_t *to, uint64_t number, unsigned len)
{
    for (unsigned i = 0; i < len; i++) to[i] = (uint8_t)(number >> (8 * i));
}

static void ids_write(builder *b)
{
    unsigned drop = 64 - SKI_SEALED_ID_BITS, key_bytes = 0;
    uint64_t reach = 0;

    ski_blocks_section(&b->writer);
    pairs_sort(b, PAIR_ID);
    filter_begin(b, SKI_SEALED_IDS, pairs_keys(b));
    key_bytes = b->pair_count >= SKI_ID_DENSE ? 4 : 5;
    reach = UINT64_MAX >> (64 - 8 * key_bytes);
    for (size_t i = 0; i < b->pair_count && !b->err;) {
        uint8_t block[SKI_BLOCK_ROOM] = {0}, *to = block + SKI_ID_HEAD;
        uint64_t first = b->pairs[i].key >> drop;
        uint16_t count = 0;

        key_note(b, first);
        for (; i < b->pair_count; i++, count++, to += key_bytes + SKI_ID_ROW_BYTES) {
            uint64_t further = (b->pairs[i].key >> drop) - first;

            if (further > reach) break;
            if (to + key_bytes + SKI_ID_ROW_BYTES > block + sizeof block) break;
            number_put(to, further, key_bytes);
            number_put(to + key_bytes, b->pairs[i].row, SKI_ID_ROW_BYTES);
            filter_put(b, SKI_SEALED_IDS, b->pairs[i].key);
        }
        ski_put_u16(block, count);
        number_put(block + 2, first, SKI_ID_KEY_BYTES);
        ski_blocks_put(&b->writer, block, (size_t)(to - block));
        ski_blocks_next(&b->writer);
        ski_blocks_entry(&b->writer, count);
    }
}

// --- what stands behind the tables --------------------------------------------------------------

static void filters_write(builder *b)
{
    for (unsigned i = 0; i < SKI_SEALED_TABLES; i++) {
        uint64_t bytes = b->filter_bytes[i], part = SKI_FILTERS_A_BLOCK * SKI_FILTER_BLOCK;

        ski_blocks_section(&b->writer);
        for (uint64_t at = 0; at < bytes; at += part) {
            uint64_t len = bytes - at < part ? bytes - at : part;

            ski_blocks_put(&b->writer, b->filters[i] + at, (size_t)len);
            ski_blocks_next(&b->writer);
        }
        ski_blocks_entry(&b->writer, b->filter_keys[i]);
    }
}

static void tail_write(builder *b)
{
    size_t steps = (size_t)((b->work.info.count + SKI_SEALED_LADDER - 1) / SKI_SEALED_LADDER);
    uint8_t number[8];

    ski_blocks_section(&b->writer);
    for (size_t i = 0; i < b->key_count; i++) {
        ski_put_u64(number, b->keys[i]);
        ski_blocks_put(&b->writer, number, sizeof number);
    }
    for (size_t i = 0; i < steps; i++) {
        ski_put_u64(number, (uint64_t)b->work.ladder[i]);
        ski_blocks_put(&b->writer, number, sizeof number);
    }
}

static skald_err index_write(builder *b)
{
    size_t count = (size_t)b->work.info.count + 1;
    ski_sealed_memory *memory = b->work.source->memory;

    b->rows = ski_sealed_take(memory, count * sizeof *b->rows, &b->rows_bytes);
    b->pairs = ski_sealed_take(memory, count * sizeof *b->pairs, &b->pairs_bytes);
    b->room = ski_sealed_take(memory, count * sizeof *b->room, &b->room_bytes);
    if (!b->rows || !b->pairs || !b->room) return SKALD_ENOMEM;
    rows_write(b);
    dictionary_write(b, &b->work.types);
    dictionary_write(b, &b->work.tenants);
    SKALD_TRY(streams_write(b));
    correlations_write(b);
    ids_write(b);
    first_write(b);
    ski_blocks_section(&b->writer);
    ski_blocks_put(&b->writer, b->lists, b->lists_len);
    if (b->err) return b->err;
    filters_write(b);
    tail_write(b);
    return b->writer.err;
}

static void builder_free(builder *b)
{
    ski_sealed_memory *memory = b->work.source ? b->work.source->memory : NULL;

    ski_sealed_work_fini(&b->work);
    ski_sealed_give(memory, b->rows, b->rows_bytes);
    ski_sealed_give(memory, b->pairs, b->pairs_bytes);
    ski_sealed_give(memory, b->room, b->room_bytes);
    ski_free(b->lists);
    ski_free(b->keys);
    for (unsigned i = 0; i < SKI_SEALED_TABLES; i++) ski_free(b->filters[i]);
    ski_free(b);
}

// build_begin scans the segment, unless it was followed, and writes everything but the foot.
static skald_err build_begin(const ski_sealed_source *source, ski_sealed_follower *followed,
                             bool memory, builder **ret_builder, skald_error *reterr_error)
{
    builder *b = ski_alloc_zeroed(1, sizeof *b);
    ski_blocks_id id = ski_sealed_file_id(source->store, source->no, source->generation);
    char name[SKI_SEALED_NAME];
    skald_err err = SKALD_OK;

    if (!b) return SKALD_ENOMEM;
    ski_sealed_name(name, source->no, source->generation);
    if (followed) {
        b->work = followed->work;
        b->work.source = source;
        followed->work = (ski_sealed_work){0};
    } else {
        err = ski_sealed_scan(source, &b->work, reterr_error);
    }
    if (!err) {
        err = ski_blocks_begin(&b->writer, source->kernel, memory ? NULL : source->path, name, &id,
                               reterr_error);
    }
    if (!err) {
        err = index_write(b);
        if (err) ski_blocks_cancel(&b->writer);
    }
    if (err) {
        builder_free(b);
        return err;
    }
    *ret_builder = b;
    return SKALD_OK;
}

static skald_err build_file(const ski_sealed_source *source, ski_sealed_follower *followed,
                            bool *ret_unsure, skald_error *reterr_error)
{
    uint8_t foot[SKI_SEALED_FOOT];
    builder *b = NULL;
    skald_err err = SKALD_OK;

    *ret_unsure = false;
    SKALD_TRY(build_begin(source, followed, false, &b, reterr_error));
    ski_sealed_foot_put(foot, &b->work.info);
    err = ski_blocks_finish(&b->writer, foot, sizeof foot, ret_unsure, reterr_error);
    builder_free(b);
    return err;
}

skald_err ski_sealed_build(const ski_sealed_source *source, bool *ret_unsure,
                           skald_error *reterr_error)
{
    return build_file(source, NULL, ret_unsure, reterr_error);
}

skald_err ski_sealed_build_followed(const ski_sealed_source *source,
                                    ski_sealed_follower *take_follower, bool *ret_unsure,
                                    skald_error *reterr_error)
{
    skald_err err = build_file(source, take_follower, ret_unsure, reterr_error);

    ski_sealed_follow_end(take_follower);
    return err;
}

skald_err ski_sealed_build_memory(const ski_sealed_source *source, ski_sealed_pool *pool,
                                  ski_sealed **ret_sealed, skald_error *reterr_error)
{
    ski_blocks_id id = ski_sealed_file_id(source->store, source->no, source->generation);
    uint8_t foot[SKI_SEALED_FOOT], *bytes = NULL;
    uint32_t blocks = 0;
    builder *b = NULL;
    skald_err err = SKALD_OK;

    SKALD_TRY(build_begin(source, NULL, true, &b, reterr_error));
    ski_sealed_foot_put(foot, &b->work.info);
    err = ski_blocks_finish_memory(&b->writer, foot, sizeof foot, &bytes, &blocks);
    builder_free(b);
    if (!err) err = ski_sealed_new(pool, NULL, &id, bytes, blocks, ret_sealed, reterr_error);
    if (err) ski_free(bytes);
    return err;
}
