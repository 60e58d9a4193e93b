// SPDX-License-Identifier: Apache-2.0
// Runs of the stream directory. A file of blocks: ENTRIES {varint length, u64 hi, u64 lo, varint
// last version, varint last position}, sorted by (hi, lo), none across a block's end; FILTER, as an
// index has it, over hi; TAIL: u64 hi of the first entry of each block. Foot: u32 from_no, u32
// to_no.
#include "store/log/run.h"
#include "base/alloc.h"
#include "store/log/blocks.h"
#include "store/log/bytes.h"
#include "store/log/filter.h"
#include "store/log/sealed_format.h"
#include "store/log/varint.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum run_section { run_entries, run_filter, run_tail, run_sections };
enum {
    run_foot = 8,
    entry_max = 16 + 2 * SKI_VARINT_MAX,
    filter_part = SKI_FILTERS_A_BLOCK * SKI_FILTER_BLOCK,
    load_blocks = 16, // read at once
};

struct ski_run {
    const ski_kernel *kernel;
    ski_file *file;
    ski_run_info info;
    ski_blocks blocks;
    uint64_t *keys; // the first of each block
    uint8_t *filter;
    uint64_t filter_bytes;
};

void ski_run_name(char name[SKI_RUN_NAME], uint64_t number)
{
    (void)snprintf(name, SKI_RUN_NAME, "dir-%llu.run", (unsigned long long)number);
}

bool ski_run_name_parse(const char *name, uint64_t *ret_number)
{
    char again[SKI_RUN_NAME];
    unsigned long long number = 0;

    if (sscanf(name, "dir-%19llu.run", &number) != 1) return false;
    ski_run_name(again, number);
    if (strcmp(name, again) != 0) return false;
    *ret_number = number;
    return true;
}

static ski_blocks_id run_id(skald_uuid store, uint64_t number)
{
    return (ski_blocks_id){.magic = "SKALDDIR", .store = store, .number = number};
}

// --- opening ------------------------------------------------------------------------------------

static skald_err run_read(const ski_run *run, unsigned section, uint32_t first, uint32_t count,
                          uint8_t *to, skald_error *reterr_error)
{
    return ski_blocks_read(&run->blocks, run->kernel, run->file,
                           run->blocks.sections[section].first + first, count, to, reterr_error);
}

static skald_err run_wrong(const ski_run *run, unsigned section, uint32_t block,
                           skald_error *reterr_error)
{
    return ski_blocks_corrupt(&run->blocks, run->blocks.sections[section].first + block,
                              "contradict themselves", reterr_error);
}

static bool run_right(const ski_run *run)
{
    const ski_section *sections = run->blocks.sections;
    uint64_t filter_blocks =
        (run->filter_bytes / SKI_FILTER_BLOCK + SKI_FILTERS_A_BLOCK - 1) / SKI_FILTERS_A_BLOCK;

    if (!run->info.from_no || run->info.from_no > run->info.to_no) return false;
    if (sections[run_filter].blocks != filter_blocks) return false;
    return sections[run_tail].bytes == 8 * (uint64_t)sections[run_entries].blocks;
}

// filter_load reads the filter, which is most of what is read when a store is opened.
static skald_err filter_load(ski_run *run, skald_error *reterr_error)
{
    uint32_t count = run->blocks.sections[run_filter].blocks;
    uint8_t *blocks = ski_alloc((size_t)load_blocks * SKI_BLOCK);
    skald_err err = blocks ? SKALD_OK : SKALD_ENOMEM;

    for (uint32_t i = 0; i < count && !err; i += load_blocks) {
        uint32_t some = count - i < load_blocks ? count - i : load_blocks;

        err = run_read(run, run_filter, i, some, blocks, reterr_error);
        for (uint32_t k = 0; k < some && !err; k++) {
            memcpy(run->filter + (size_t)(i + k) * filter_part, blocks + (size_t)k * SKI_BLOCK,
                   filter_part);
        }
    }
    ski_free(blocks);
    return err;
}

static skald_err run_load(ski_run *run, skald_error *reterr_error)
{
    const ski_section *sections = run->blocks.sections;
    uint32_t keys = sections[run_entries].blocks;
    uint8_t block[SKI_BLOCK], number[8];
    size_t in_number = 0;
    uint32_t key = 0;

    run->keys = ski_alloc_zeroed((size_t)keys + 1, sizeof *run->keys);
    run->filter = ski_alloc((size_t)sections[run_filter].blocks * filter_part + 1);
    if (!run->keys || !run->filter) return SKALD_ENOMEM;
    SKALD_TRY(filter_load(run, reterr_error));
    for (uint32_t i = 0; i < sections[run_tail].blocks; i++) {
        SKALD_TRY(run_read(run, run_tail, i, 1, block, reterr_error));
        for (uint32_t at = 0; at < SKI_BLOCK_ROOM && key < keys; at++) {
            number[in_number++] = block[at];
            if (in_number < sizeof number) continue;
            in_number = 0;
            run->keys[key] = ski_get_u64(number);
            if (key && run->keys[key] < run->keys[key - 1]) {
                return run_wrong(run, run_tail, i, reterr_error);
            }
            key++;
        }
    }
    return SKALD_OK;
}

skald_err ski_run_open(const ski_kernel *kernel, const char *path, skald_uuid store,
                       uint64_t number, ski_run **ret_run, skald_error *reterr_error)
{
    ski_run *run = ski_alloc_zeroed(1, sizeof *run);
    ski_blocks_id id = run_id(store, number);
    char name[SKI_RUN_NAME], file_path[SKI_BLOCKS_PATH_MAX];
    uint8_t foot[SKI_FOOT_ROOM];
    int len = 0;
    skald_err err = SKALD_OK;

    if (!run) return SKALD_ENOMEM;
    run->kernel = kernel;
    ski_run_name(name, number);
    len = snprintf(file_path, sizeof file_path, "%s/%s", path, name);
    if (len < 0 || (size_t)len >= sizeof file_path) err = SKALD_ETOOBIG;
    if (!err) err = kernel->open(kernel->context, file_path, 0, &run->file, reterr_error);
    if (!err) {
        err = ski_blocks_open(&run->blocks, kernel, run->file, NULL, 0, name, &id, run_sections,
                              foot, reterr_error);
    }
    if (!err) {
        run->info = (ski_run_info){.store = store,
                                   .number = number,
                                   .from_no = ski_get_u32(foot),
                                   .to_no = ski_get_u32(foot + 4),
                                   .entries = run->blocks.sections[run_entries].entries,
                                   .file_bytes = (uint64_t)run->blocks.blocks * SKI_BLOCK};
        run->filter_bytes = ski_filter_bytes(run->blocks.sections[run_filter].entries);
        if (!run_right(run)) {
            err = ski_blocks_corrupt(&run->blocks, run->blocks.blocks - 1, "contradict themselves",
                                     reterr_error);
        }
    }
    if (!err) err = run_load(run, reterr_error);
    if (err) {
        ski_run_close(run);
        return err;
    }
    *ret_run = run;
    return SKALD_OK;
}

void ski_run_close(ski_run *run)
{
    if (!run) return;
    if (run->file) run->kernel->close(run->kernel->context, run->file);
    ski_free(run->keys);
    ski_free(run->filter);
    ski_free(run);
}

const ski_run_info *ski_run_info_of(const ski_run *run)
{
    return &run->info;
}

uint64_t ski_run_bytes(const ski_run *run)
{
    return sizeof *run + run->blocks.sections[run_tail].bytes +
           (uint64_t)run->blocks.sections[run_filter].blocks * filter_part;
}

// --- reading ------------------------------------------------------------------------------------

static bool entry_get(const uint8_t *from, size_t len, ski_run_entry *ret_entry)
{
    const uint8_t *at = from + 16, *end = from + len;
    ski_run_entry entry;

    if (len < 16) return false;
    entry.fp = (ski_fp){ski_get_u64(from), ski_get_u64(from + 8)};
    if (!ski_varint_get(&at, end, &entry.last_version)) return false;
    if (!ski_varint_get(&at, end, &entry.last_pos) || at != end) return false;
    *ret_entry = entry;
    return true;
}

// find_block gives the last block that begins before key, or the first that begins with it.
static uint32_t find_block(const ski_run *run, uint64_t key)
{
    uint32_t low = 0, high = run->blocks.sections[run_entries].blocks;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (run->keys[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : 0;
}

skald_err ski_run_find(const ski_run *run, ski_fp fp, ski_run_entry *ret_entry,
                       skald_error *reterr_error)
{
    uint32_t blocks = run->blocks.sections[run_entries].blocks;
    uint8_t block[SKI_BLOCK];

    if (!ski_filter_has(run->filter, run->filter_bytes, fp.hi)) return SKALD_ENOTFOUND;
    for (uint32_t number = find_block(run, fp.hi); number < blocks; number++) {
        const uint8_t *at = block, *end = block + SKI_BLOCK_ROOM, *entry = NULL;
        size_t len = 0;

        if (run->keys[number] > fp.hi) break;
        SKALD_TRY(run_read(run, run_entries, number, 1, block, reterr_error));
        while (ski_entry_next(&at, end, &entry, &len)) {
            if (!entry || len < 16) return run_wrong(run, run_entries, number, reterr_error);
            if (ski_get_u64(entry) != fp.hi || ski_get_u64(entry + 8) != fp.lo) continue;
            if (entry_get(entry, len, ret_entry)) return SKALD_OK;
            return run_wrong(run, run_entries, number, reterr_error);
        }
    }
    return SKALD_ENOTFOUND;
}

skald_err ski_run_check(const ski_run *run, skald_error *reterr_error)
{
    uint8_t block[SKI_BLOCK];

    for (uint32_t i = 0; i < run->blocks.blocks; i++) {
        SKALD_TRY(ski_blocks_read(&run->blocks, run->kernel, run->file, i, 1, block, reterr_error));
    }
    return SKALD_OK;
}

static skald_err entries_read(const void *context, uint32_t first, uint32_t count, uint8_t *to,
                              skald_error *reterr_error)
{
    return run_read(context, run_entries, first, count, to, reterr_error);
}

skald_err ski_run_iter_begin(ski_run_iter *iter, const ski_run *run)
{
    *iter = (ski_run_iter){.run = run};
    return ski_entries_begin(&iter->entries, entries_read, run,
                             run->blocks.sections[run_entries].blocks);
}

void ski_run_iter_end(ski_run_iter *iter)
{
    ski_entries_end(&iter->entries);
}

skald_err ski_run_iter_next(ski_run_iter *iter, skald_error *reterr_error)
{
    ski_fp before = iter->entry.fp;
    const uint8_t *entry = NULL;
    size_t len = 0;

    SKALD_TRY(ski_entries_next(&iter->entries, &entry, &len, reterr_error));
    if (!entry || !entry_get(entry, len, &iter->entry) ||
        (before.hi && ski_fp_compare(before, iter->entry.fp) >= 0)) {
        return run_wrong(iter->run, run_entries, ski_entries_block(&iter->entries), reterr_error);
    }
    return SKALD_OK;
}

// --- merging ------------------------------------------------------------------------------------

typedef struct merge_input {
    ski_sealed_streams_iter sealed;
    ski_run_iter run;
    bool is_run, there;
    ski_run_entry entry;
} merge_input;

struct ski_run_merge {
    ski_block_writer writer;
    uint32_t from_no, to_no;
    merge_input inputs[SKI_RUN_INPUTS_MAX];
    size_t count;
    uint64_t *keys;
    size_t key_count, key_size;
    uint8_t *filter;
    uint64_t filter_bytes, filter_keys;
};

static skald_err input_next(merge_input *input, skald_error *reterr_error)
{
    skald_err err = SKALD_OK;

    if (input->is_run) {
        err = ski_run_iter_next(&input->run, reterr_error);
        input->entry = input->run.entry;
    } else {
        err = ski_sealed_streams_next(&input->sealed, reterr_error);
        input->entry =
            (ski_run_entry){input->sealed.fp, input->sealed.last_version, input->sealed.last_pos};
    }
    input->there = !err;
    return err == SKALD_ENOTFOUND ? SKALD_OK : err;
}

static void merge_free(ski_run_merge *merge)
{
    for (size_t i = 0; i < merge->count; i++) {
        ski_run_iter_end(&merge->inputs[i].run);
        ski_sealed_streams_end(&merge->inputs[i].sealed);
    }
    ski_free(merge->keys);
    ski_free(merge->filter);
    ski_free(merge);
}

static skald_err merge_inputs(ski_run_merge *merge, const ski_run_input *inputs, size_t count,
                              skald_error *reterr_error)
{
    uint64_t keys = 0;

    for (size_t i = 0; i < count; i++) {
        merge_input *input = &merge->inputs[i];

        assert(!inputs[i].run != !inputs[i].sealed);
        input->is_run = inputs[i].run != NULL;
        merge->count = i + 1;
        if (input->is_run) {
            keys += inputs[i].run->info.entries;
            SKALD_TRY(ski_run_iter_begin(&input->run, inputs[i].run));
        } else {
            keys += ski_sealed_info_of(inputs[i].sealed)->streams;
            SKALD_TRY(ski_sealed_streams_begin(&input->sealed, inputs[i].sealed));
        }
        SKALD_TRY(input_next(input, reterr_error));
    }
    // As many keys as the inputs have together: how many are the same is known at the end only.
    merge->filter_keys = keys;
    merge->filter_bytes = ski_filter_bytes(keys);
    merge->filter = ski_alloc_zeroed(1, (size_t)merge->filter_bytes + 1);
    return merge->filter ? SKALD_OK : SKALD_ENOMEM;
}

skald_err ski_run_merge_begin(const ski_kernel *kernel, const char *path, skald_uuid store,
                              uint64_t number, uint32_t from_no, uint32_t to_no,
                              const ski_run_input *inputs, size_t count, ski_run_merge **ret_merge,
                              skald_error *reterr_error)
{
    ski_run_merge *merge = ski_alloc_zeroed(1, sizeof *merge);
    ski_blocks_id id = run_id(store, number);
    char name[SKI_RUN_NAME];
    skald_err err = SKALD_OK;

    assert(count && count <= SKI_RUN_INPUTS_MAX && from_no && from_no <= to_no);
    if (!merge) return SKALD_ENOMEM;
    merge->from_no = from_no;
    merge->to_no = to_no;
    ski_run_name(name, number);
    err = merge_inputs(merge, inputs, count, reterr_error);
    if (!err) err = ski_blocks_begin(&merge->writer, kernel, path, name, &id, reterr_error);
    if (err) {
        merge_free(merge);
        return err;
    }
    ski_blocks_section(&merge->writer);
    *ret_merge = merge;
    return SKALD_OK;
}

static skald_err merge_put(ski_run_merge *merge, const ski_run_entry *entry)
{
    uint8_t bytes[1 + entry_max], *to = bytes + 17;

    if (ski_blocks_room(&merge->writer) < sizeof bytes) ski_blocks_next(&merge->writer);
    if (ski_blocks_room(&merge->writer) == SKI_BLOCK_ROOM) {
        if (merge->key_count == merge->key_size) {
            size_t size = merge->key_size ? merge->key_size * 2 : 64;
            uint64_t *keys = ski_realloc(merge->keys, size * sizeof *keys);

            if (!keys) return SKALD_ENOMEM;
            merge->keys = keys;
            merge->key_size = size;
        }
        merge->keys[merge->key_count++] = entry->fp.hi;
    }
    ski_put_u64(bytes + 1, entry->fp.hi);
    ski_put_u64(bytes + 9, entry->fp.lo);
    to = ski_varint_put(to, entry->last_version);
    to = ski_varint_put(to, entry->last_pos);
    bytes[0] = (uint8_t)(to - bytes - 1);
    ski_blocks_put(&merge->writer, bytes, (size_t)(to - bytes));
    ski_blocks_entry(&merge->writer, 1);
    ski_filter_add(merge->filter, merge->filter_bytes, entry->fp.hi);
    return merge->writer.err;
}

// merge_least is the input that has the least fingerprint and, of that, the last position; NULL:
// all have ended.
static merge_input *merge_least(ski_run_merge *merge)
{
    merge_input *least = NULL;

    for (size_t i = 0; i < merge->count; i++) {
        merge_input *input = &merge->inputs[i];
        int order = 0;

        if (!input->there) continue;
        if (least) order = ski_fp_compare(input->entry.fp, least->entry.fp);
        if (!least || order < 0 || (order == 0 && input->entry.last_pos > least->entry.last_pos)) {
            least = input;
        }
    }
    return least;
}

skald_err ski_run_merge_step(ski_run_merge *merge, uint32_t entries_max, bool *ret_done,
                             skald_error *reterr_error)
{
    for (uint32_t n = 0; n < entries_max; n++) {
        merge_input *least = merge_least(merge);
        ski_run_entry entry;

        if (!least) {
            *ret_done = true;
            return SKALD_OK;
        }
        entry = least->entry;
        SKALD_TRY(merge_put(merge, &entry));
        for (size_t i = 0; i < merge->count; i++) {
            merge_input *input = &merge->inputs[i];

            if (!input->there || ski_fp_compare(input->entry.fp, entry.fp) != 0) continue;
            SKALD_TRY(input_next(input, reterr_error));
        }
    }
    *ret_done = false;
    return SKALD_OK;
}

skald_err ski_run_merge_finish(ski_run_merge *merge, bool *ret_unsure, skald_error *reterr_error)
{
    uint8_t foot[run_foot], number[8];
    skald_err err = SKALD_OK;

    *ret_unsure = false;
    ski_blocks_section(&merge->writer);
    for (uint64_t at = 0; at < merge->filter_bytes; at += filter_part) {
        uint64_t len = merge->filter_bytes - at;

        if (len > filter_part) len = filter_part;
        ski_blocks_put(&merge->writer, merge->filter + at, (size_t)len);
        ski_blocks_next(&merge->writer);
    }
    ski_blocks_entry(&merge->writer, merge->filter_keys);
    ski_blocks_section(&merge->writer);
    for (size_t i = 0; i < merge->key_count; i++) {
        ski_put_u64(number, merge->keys[i]);
        ski_blocks_put(&merge->writer, number, sizeof number);
    }
    ski_put_u32(foot, merge->from_no);
    ski_put_u32(foot + 4, merge->to_no);
    err = ski_blocks_finish(&merge->writer, foot, sizeof foot, ret_unsure, reterr_error);
    merge_free(merge);
    return err;
}

void ski_run_merge_cancel(ski_run_merge *merge)
{
    if (!merge) return;
    ski_blocks_cancel(&merge->writer);
    merge_free(merge);
}
