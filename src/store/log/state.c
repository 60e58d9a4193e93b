// SPDX-License-Identifier: Apache-2.0
// State files: a file of blocks with one section, the items one behind the other, across the ends
// of blocks: u8 kind (1 value, 2 total, 3 total of a tenant), varint length of the first text (a
// value's name, a tenant), of the second (a value's bytes, a type); the texts; of totals: varint
// count, varint last position. Foot: u32 segment, u32 incarnation, u32 chain, u32 0, u64 next
// position, i64 last recorded, i64 last append, u64 items, u64 bytes of them.
#include "store/log/state.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "store/log/blocks.h"
#include "store/log/bytes.h"
#include "store/log/varint.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { item_value = 1, item_total, item_tenant };
enum { state_foot = 56, text_max = UINT16_MAX, piece_blocks = 16 };

struct ski_state_writer {
    ski_block_writer writer;
    ski_state_head head;
    uint64_t items;
};

void ski_state_name(char name[SKI_STATE_NAME], uint32_t segment_no)
{
    (void)snprintf(name, SKI_STATE_NAME, "state-%08u.ckpt", segment_no);
}

bool ski_state_name_parse(const char *name, uint32_t *ret_segment_no)
{
    char again[SKI_STATE_NAME];
    unsigned no = 0;

    if (sscanf(name, "state-%8u.ckpt", &no) != 1) return false;
    ski_state_name(again, no);
    if (strcmp(name, again) != 0) return false;
    *ret_segment_no = no;
    return true;
}

static ski_blocks_id state_id(skald_uuid store, uint32_t segment_no)
{
    return (ski_blocks_id){.magic = "SKALDSTA", .store = store, .number = segment_no};
}

// --- writing ------------------------------------------------------------------------------------

skald_err ski_state_begin(const ski_kernel *kernel, const char *path, const ski_state_head *head,
                          ski_state_writer **ret_writer)
{
    ski_state_writer *writer = ski_alloc_zeroed(1, sizeof *writer);
    ski_blocks_id id = state_id(head->store, head->segment_no);
    char name[SKI_STATE_NAME];
    skald_err err = SKALD_OK;

    if (!writer) return SKALD_ENOMEM;
    writer->head = *head;
    ski_state_name(name, head->segment_no);
    err = ski_blocks_begin(&writer->writer, kernel, path, name, &id, NULL);
    if (err) {
        ski_free(writer);
        return err;
    }
    ski_blocks_section(&writer->writer);
    *ret_writer = writer;
    return SKALD_OK;
}

static void item_put(ski_state_writer *writer, uint8_t kind, skald_str first, skald_str second)
{
    uint8_t head[1 + 2 * SKI_VARINT_MAX], *to = head;

    *to++ = kind;
    to = ski_varint_put(to, first.len);
    to = ski_varint_put(to, second.len);
    ski_blocks_put(&writer->writer, head, (size_t)(to - head));
    ski_blocks_put(&writer->writer, first.ptr, first.len);
    ski_blocks_put(&writer->writer, second.ptr, second.len);
    writer->items++;
}

skald_err ski_state_put_value(ski_state_writer *writer, skald_str name, skald_str bytes)
{
    if (name.len > text_max || bytes.len > UINT32_MAX) return SKALD_ETOOBIG;
    item_put(writer, item_value, name, bytes);
    return writer->writer.err;
}

skald_err ski_state_put_total(ski_state_writer *writer, const ski_state_total *total)
{
    uint8_t numbers[2 * SKI_VARINT_MAX], *to = numbers;

    if (total->tenant.len > text_max || total->type.len > text_max) return SKALD_ETOOBIG;
    item_put(writer, total->type.ptr ? item_total : item_tenant, total->tenant, total->type);
    to = ski_varint_put(to, total->count);
    to = ski_varint_put(to, total->last_pos);
    ski_blocks_put(&writer->writer, numbers, (size_t)(to - numbers));
    return writer->writer.err;
}

skald_err ski_state_finish(ski_state_writer *writer, bool *ret_unsure)
{
    const ski_state_head *head = &writer->head;
    uint8_t foot[state_foot] = {0};
    skald_err err = SKALD_OK;

    *ret_unsure = false;
    ski_put_u32(foot, head->segment_no);
    ski_put_u32(foot + 4, head->incarnation);
    ski_put_u32(foot + 8, head->chain_crc);
    ski_put_u64(foot + 16, head->next_pos);
    ski_put_u64(foot + 24, (uint64_t)head->recorded_last);
    ski_put_u64(foot + 32, (uint64_t)head->append_us);
    ski_put_u64(foot + 40, writer->items);
    ski_put_u64(foot + 48, ski_blocks_offset(&writer->writer));
    err = ski_blocks_finish(&writer->writer, foot, sizeof foot, ret_unsure, NULL);
    ski_free(writer);
    return err;
}

void ski_state_cancel(ski_state_writer *writer)
{
    if (!writer) return;
    ski_blocks_cancel(&writer->writer);
    ski_free(writer);
}

// --- reading ------------------------------------------------------------------------------------

typedef struct reader {
    const ski_kernel *kernel;
    ski_file *file;
    ski_blocks blocks;
    uint64_t at;    // in the section
    uint64_t bytes; // of it
    uint32_t block; // in memory; UINT32_MAX: none
    uint8_t room[SKI_BLOCK];
    skald_error *error;
} reader;

static skald_err reader_wrong(const reader *r)
{
    return ski_blocks_corrupt(&r->blocks, (uint32_t)(r->at / SKI_BLOCK_ROOM),
                              "contradict themselves", r->error);
}

static skald_err reader_get(reader *r, void *to, size_t len)
{
    uint8_t *out = to;

    if (len > r->bytes - r->at) return reader_wrong(r);
    while (len) {
        uint32_t block = (uint32_t)(r->at / SKI_BLOCK_ROOM);
        size_t within = (size_t)(r->at % SKI_BLOCK_ROOM), piece = SKI_BLOCK_ROOM - within;

        if (piece > len) piece = len;
        if (r->block != block) {
            r->block = UINT32_MAX;
            SKALD_TRY(ski_blocks_read(&r->blocks, r->kernel, r->file, block, 1, r->room, r->error));
            r->block = block;
        }
        memcpy(out, r->room + within, piece);
        out += piece;
        r->at += piece;
        len -= piece;
    }
    return SKALD_OK;
}

static skald_err reader_number(reader *r, uint64_t *ret_number)
{
    uint8_t bytes[SKI_VARINT_MAX];
    const uint8_t *from = bytes;
    size_t len = 0;

    do {
        if (len == sizeof bytes) return reader_wrong(r);
        SKALD_TRY(reader_get(r, bytes + len, 1));
    } while (bytes[len++] & 0x80);
    return ski_varint_get(&from, bytes + len, ret_number) ? SKALD_OK : reader_wrong(r);
}

// item_read reads one item; texts hold both texts. A visitor that is NULL is not told.
static skald_err item_read(reader *r, skald_buf *texts, const ski_state_visitor *visitor)
{
    uint64_t first = 0, second = 0;
    ski_state_total total = {.count = 0};
    uint8_t kind = 0;

    SKALD_TRY(reader_get(r, &kind, 1));
    SKALD_TRY(reader_number(r, &first));
    SKALD_TRY(reader_number(r, &second));
    if (kind < item_value || kind > item_tenant || first > text_max || second > UINT32_MAX ||
        first + second > r->bytes - r->at) {
        return reader_wrong(r);
    }
    texts->len = 0;
    SKALD_TRY(ski_buf_room(texts, (size_t)(first + second) + 1));
    SKALD_TRY(reader_get(r, texts->ptr, (size_t)(first + second)));
    total.tenant = (skald_str){texts->ptr, (size_t)first};
    total.type = (skald_str){texts->ptr + first, (size_t)second};
    if (kind == item_value) {
        return visitor ? visitor->value(visitor->context, total.tenant, total.type) : SKALD_OK;
    }
    SKALD_TRY(reader_number(r, &total.count));
    SKALD_TRY(reader_number(r, &total.last_pos));
    if (kind == item_tenant) {
        if (total.type.len) return reader_wrong(r);
        total.type = (skald_str){NULL, 0};
    }
    return visitor ? visitor->total(visitor->context, &total) : SKALD_OK;
}

static skald_err items_read(reader *r, uint64_t items, const ski_state_visitor *visitor)
{
    skald_buf texts = {.bytes_max = SIZE_MAX / 2};
    skald_err err = SKALD_OK;

    r->at = 0;
    for (uint64_t i = 0; i < items && !err; i++) err = item_read(r, &texts, visitor);
    if (!err && r->at != r->bytes) err = reader_wrong(r);
    skald_buf_fini(&texts);
    return err;
}

static skald_err state_read(reader *r, const char *name, const ski_blocks_id *id,
                            const ski_state_visitor *visitor, ski_state_head *ret_head)
{
    uint8_t foot[SKI_FOOT_ROOM];
    ski_state_head head = {.store = id->store, .segment_no = (uint32_t)id->number};
    uint64_t items = 0;

    SKALD_TRY(
        ski_blocks_open(&r->blocks, r->kernel, r->file, NULL, 0, name, id, 1, foot, r->error));
    head.incarnation = ski_get_u32(foot + 4);
    head.chain_crc = ski_get_u32(foot + 8);
    head.next_pos = ski_get_u64(foot + 16);
    head.recorded_last = (int64_t)ski_get_u64(foot + 24);
    head.append_us = (int64_t)ski_get_u64(foot + 32);
    items = ski_get_u64(foot + 40);
    r->bytes = r->blocks.sections[0].bytes;
    if (ski_get_u32(foot) != head.segment_no || ski_get_u64(foot + 48) != r->bytes) {
        return ski_blocks_corrupt(&r->blocks, r->blocks.blocks - 1, "contradict themselves",
                                  r->error);
    }
    SKALD_TRY(items_read(r, items, NULL)); // all of it is whole
    SKALD_TRY(items_read(r, items, visitor));
    *ret_head = head;
    return SKALD_OK;
}

skald_err ski_state_load(const ski_kernel *kernel, const char *path, skald_uuid store,
                         uint32_t segment_no, const ski_state_visitor *visitor,
                         ski_state_head *ret_head, skald_error *reterr_error)
{
    reader *r = ski_alloc_zeroed(1, sizeof *r);
    ski_blocks_id id = state_id(store, segment_no);
    char name[SKI_STATE_NAME], file_path[SKI_BLOCKS_PATH_MAX];
    int len = 0;
    skald_err err = SKALD_OK;

    if (!r) return SKALD_ENOMEM;
    r->kernel = kernel;
    r->block = UINT32_MAX;
    r->error = reterr_error;
    ski_state_name(name, segment_no);
    len = snprintf(file_path, sizeof file_path, "%s/%s", path, name);
    if (len < 0 || (size_t)len >= sizeof file_path) err = SKALD_ETOOBIG;
    if (!err) err = kernel->open(kernel->context, file_path, 0, &r->file, reterr_error);
    if (!err) err = state_read(r, name, &id, visitor, ret_head);
    if (r->file) kernel->close(kernel->context, r->file);
    ski_free(r);
    return err;
}

static int number_compare(const void *a, const void *b) // falling
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left > right ? -1 : left < right;
}

skald_err ski_state_load_newest(const ski_kernel *kernel, const char *path, skald_uuid store,
                                const uint32_t *segment_nos, size_t count, uint32_t sealed_no,
                                const ski_state_visitor *visitor,
                                void (*broken)(void *context, uint32_t segment_no), void *context,
                                ski_state_head *ret_head, skald_error *reterr_error)
{
    uint32_t *sorted = NULL;
    skald_err err = SKALD_ENOTFOUND;

    if (!count) return SKALD_ENOTFOUND;
    sorted = ski_alloc(count * sizeof *sorted);
    if (!sorted) return SKALD_ENOMEM;
    memcpy(sorted, segment_nos, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, number_compare);
    for (size_t i = 0; i < count && err == SKALD_ENOTFOUND; i++) {
        if (sorted[i] > sealed_no) continue;
        err = ski_state_load(kernel, path, store, sorted[i], visitor, ret_head, reterr_error);
        if (err == SKALD_ECORRUPT || err == SKALD_EIO) {
            if (broken) broken(context, sorted[i]);
            err = SKALD_ENOTFOUND;
        }
    }
    ski_free(sorted);
    return err;
}
