// SPDX-License-Identifier: Apache-2.0
// What is derived from the log: indexes of segments, runs of the stream directory, states. Whatever
// a file says, reading it ends, stays within the file, and gives only positions the segment has.
//
// The first byte says what it is (mod 4: 0 index, 1 run, 2 state, 3 index) and, by bit 2, how it
// stands in the input: as the file's own bytes, or block by block {u16 length, bytes}, when zeros
// are added, checksums and the foot's own fields made right, so that the fuzzer gets behind them.
#include "base/alloc.h"
#include "log_mend.h"
#include "store/log/run.h"
#include "store/log/sealed.h"
#include "store/log/state.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { input_max = 1 << 18, blocks_max = 64, asked_max = 300, raw = 4 };

typedef struct memory_file {
    const uint8_t *bytes;
    size_t len;
} memory_file;

static void check(bool holds)
{
    if (!holds) abort();
}

static skald_err memory_open(void *context, const char *path, unsigned flags, ski_file **ret_file,
                             skald_error *reterr_error)
{
    (void)path;
    (void)flags;
    (void)reterr_error;
    *ret_file = context;
    return SKALD_OK;
}

static void memory_close(void *context, ski_file *file)
{
    check((void *)file == context);
}

static skald_err memory_pread(void *context, ski_file *file, void *buf, size_t len, uint64_t offset,
                              size_t *ret_read)
{
    const memory_file *memory = context;
    size_t got = 0;

    (void)file;
    if (offset < memory->len) got = memory->len - (size_t)offset;
    if (got > len) got = len;
    if (got) memcpy(buf, memory->bytes + offset, got);
    *ret_read = got;
    return SKALD_OK;
}

static skald_err memory_size(void *context, ski_file *file, uint64_t *ret_size)
{
    (void)file;
    *ret_size = ((const memory_file *)context)->len;
    return SKALD_OK;
}

static const char magics[3][9] = {"SKALDIDX", "SKALDDIR", "SKALDSTA"};

// blocks_unpack makes a file of the input's blocks; the length is 0 when there are none.
static uint8_t *blocks_unpack(const uint8_t *data, size_t size, unsigned kind, size_t *ret_len)
{
    uint8_t *bytes = ski_alloc_zeroed(blocks_max, SKI_BLOCK);
    ski_blocks_id id = {.number = 1};
    uint32_t blocks = 0;

    check(bytes != NULL);
    for (; size >= 2 && blocks < blocks_max; blocks++) {
        size_t len = ski_get_u16(data) % (SKI_BLOCK_ROOM + 1);

        data += 2;
        size -= 2;
        if (len > size) len = size;
        memcpy(bytes + (size_t)blocks * SKI_BLOCK, data, len);
        data += len;
        size -= len;
    }
    memcpy(id.magic, magics[kind], sizeof id.magic);
    if (blocks) mend_blocks(bytes, blocks, &id);
    *ret_len = (size_t)blocks * SKI_BLOCK;
    return bytes;
}

static void right(skald_err err)
{
    check(err == SKALD_OK || err == SKALD_ENOTFOUND || err == SKALD_ECORRUPT);
}

// list_read goes over a list in both directions; its positions rise and are the segment's.
static void list_read(const ski_sealed *sealed, ski_sealed_list *list)
{
    const ski_sealed_info *info = ski_sealed_info_of(sealed);
    uint64_t position = 0, before = 0;
    uint32_t after = 0;

    check(list->count <= info->count);
    for (uint32_t n = 0; n < list->count && n < asked_max; n++) {
        skald_err err = ski_sealed_list_at(sealed, list, n, &position, NULL);

        right(err);
        if (err) continue;
        check(position >= info->base_pos && position - info->base_pos < info->count);
        if (n % SKI_SEALED_GROUP) check(position > before);
        before = position;
    }
    for (uint32_t n = list->count; n > 0 && list->count - n < asked_max; n--) {
        right(ski_sealed_list_at(sealed, list, n - 1, &position, NULL));
    }
    for (uint64_t p = 0; p < asked_max; p += 7) {
        if (ski_sealed_list_after(sealed, list, info->base_pos + p, &after, NULL)) continue;
        check(after <= list->count);
    }
}

static void places_read(const ski_sealed *sealed)
{
    const ski_sealed_info *info = ski_sealed_info_of(sealed);
    ski_sealed_place places[64];
    size_t count = 0;

    for (uint64_t row = 0; row < info->count; row += 61) {
        skald_err err = ski_sealed_places(sealed, info->base_pos + row, 64, places, &count, NULL);

        right(err);
        if (err) continue;
        check(count > 0 && count <= info->count - row);
        for (size_t i = 0; i < count; i++) {
            check(places[i].state != SKI_SEALED_THERE ||
                  (places[i].offset < info->end && places[i].len_max > 0));
        }
    }
}

static void names_read(const ski_sealed *sealed, ski_sealed_names names)
{
    ski_sealed_names_iter iter;
    ski_sealed_named named;
    skald_err err =
        ski_sealed_names_begin(&iter, sealed, names, SKALD_STR(""), SKALD_STR(""), NULL);

    for (unsigned n = 0; !err && n < asked_max; n++) {
        err = ski_sealed_names_next(&iter, NULL);
        if (err) break;
        check(iter.tenant.len + iter.name.len <= SKI_SEALED_NAME_BYTES);
        if (names == SKI_SEALED_FIRST) continue;
        if (!ski_sealed_named_find(sealed, names, iter.tenant, iter.name, &named, NULL)) {
            list_read(sealed, &named.list);
        }
    }
    right(err);
    right(ski_sealed_names_begin(&iter, sealed, names, SKALD_STR("t"), SKALD_STR("n"), NULL));
}

static bool ids_seen(void *context, const ski_sealed_id_entry *entries, size_t count)
{
    const ski_sealed *sealed = context;
    const ski_sealed_info *info = ski_sealed_info_of(sealed);
    uint64_t position = 0;

    for (size_t i = 0; i < count; i++) {
        check(entries[i].position >= info->base_pos &&
              entries[i].position - info->base_pos < info->count);
    }
    right(ski_sealed_id(sealed, entries[0].hash, UINT64_MAX, &position, NULL));
    return true;
}

static void index_read(ski_sealed *sealed)
{
    ski_sealed_streams_iter iter;
    ski_sealed_stream stream;
    ski_sealed_list list;
    uint64_t low = 0, high = 0;
    bool may = false;
    skald_err err = ski_sealed_check(sealed, NULL);

    right(err);
    places_read(sealed);
    names_read(sealed, SKI_SEALED_TYPES);
    names_read(sealed, SKI_SEALED_TENANTS);
    names_read(sealed, SKI_SEALED_FIRST);
    check(ski_sealed_streams_begin(&iter, sealed) == SKALD_OK);
    for (unsigned n = 0; n < asked_max; n++) {
        err = ski_sealed_streams_next(&iter, NULL);
        if (err) break;
        if (!ski_sealed_stream_find(sealed, iter.fp, &stream, NULL)) {
            list_read(sealed, &stream.list);
        }
        right(ski_sealed_correlation(sealed, iter.fp.hi, &list, NULL));
    }
    right(err);
    ski_sealed_streams_end(&iter);
    right(ski_sealed_ids_each(sealed, ids_seen, sealed, NULL));
    for (int table = 0; table < SKI_SEALED_TABLES; table++) {
        right(ski_sealed_may_have(sealed, (ski_sealed_table)table, 12345, &may, NULL));
        right(ski_sealed_filter_load(sealed, (ski_sealed_table)table, NULL));
        right(ski_sealed_may_have(sealed, (ski_sealed_table)table, 12345, &may, NULL));
    }
    ski_sealed_at_time(sealed, 1000, &low, &high);
    check(low <= high);
}

static void index_open(const ski_kernel *kernel)
{
    ski_sealed_pool pool;
    ski_sealed *sealed = NULL;
    skald_err err = SKALD_OK;

    ski_sealed_pool_init(&pool, kernel, 1);
    err = ski_sealed_open(&pool, "", (skald_uuid){{0}}, 1, 0, &sealed, NULL);
    check(!err || err == SKALD_ECORRUPT || err == SKALD_EUNSUPPORTED);
    if (!err) index_read(sealed);
    ski_sealed_close(sealed);
    ski_sealed_pool_fini(&pool);
}

static void run_open(const ski_kernel *kernel)
{
    ski_run *run = NULL;
    ski_run_iter iter;
    ski_run_entry entry;
    skald_err err = ski_run_open(kernel, "", (skald_uuid){{0}}, 1, &run, NULL);

    check(!err || err == SKALD_ECORRUPT || err == SKALD_EUNSUPPORTED);
    if (err) return;
    right(ski_run_check(run, NULL));
    check(ski_run_iter_begin(&iter, run) == SKALD_OK);
    for (unsigned n = 0; n < asked_max; n++) {
        err = ski_run_iter_next(&iter, NULL);
        if (err) break;
        right(ski_run_find(run, iter.entry.fp, &entry, NULL));
    }
    right(err);
    ski_run_iter_end(&iter);
    ski_run_close(run);
}

static skald_err value_seen(void *context, skald_str name, skald_str bytes)
{
    *(size_t *)context += name.len + bytes.len;
    return SKALD_OK;
}

static skald_err total_seen(void *context, const ski_state_total *total)
{
    *(size_t *)context += total->tenant.len + total->type.len;
    return SKALD_OK;
}

static void state_open(const ski_kernel *kernel, size_t len)
{
    size_t seen = 0;
    ski_state_visitor visitor = {value_seen, total_seen, &seen};
    ski_state_head head;
    skald_err err = ski_state_load(kernel, "", (skald_uuid){{0}}, 1, &visitor, &head, NULL);

    check(!err || err == SKALD_ECORRUPT || err == SKALD_EUNSUPPORTED);
    check(seen <= len && (!err || !seen));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memory_file memory = {0};
    ski_kernel kernel = {.context = &memory,
                         .open = memory_open,
                         .close = memory_close,
                         .pread = memory_pread,
                         .size = memory_size};
    uint8_t *bytes = NULL;
    unsigned kind = 0;

    if (size < 2 || size > input_max) return 0;
    kind = data[0] % 4 % 3;
    if (data[0] & raw) {
        memory = (memory_file){data + 1, size - 1};
    } else {
        bytes = blocks_unpack(data + 1, size - 1, kind, &memory.len);
        memory.bytes = bytes;
    }
    if (kind == 0)
        index_open(&kernel);
    else if (kind == 1)
        run_open(&kernel);
    else
        state_open(&kernel, memory.len);
    ski_free(bytes);
    return 0;
}
