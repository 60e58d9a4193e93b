// SPDX-License-Identifier: Apache-2.0
// Files of blocks. The foot:
//
//   0 magic, 8 u16 major (1), 10 u16 oldest reader (1), 12 u32 flags (lower half: must be
//   understood), 16 uuid of the store, 32 u64 number, 40 u32 generation, 44 u32 blocks of the file,
//   48 u32 sections, 52 u32 length of the module's part, 56 sections of 24 bytes (u32 first block,
//   u32 blocks, u64 bytes, u64 entries), 440 the module's part, 4092 u32 CRC.
//
// Invariants:
//   1. A name without .tmp stands over a whole file, written and synced.
//   2. Nothing of a block is used before its checksum was right.
#include "store/log/blocks.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "store/log/bytes.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum foot_offset {
    foot_magic = 0,
    foot_major = 8,
    foot_min_reader = 10,
    foot_flags = 12,
    foot_store = 16,
    foot_number = 32,
    foot_generation = 40,
    foot_blocks = 44,
    foot_section_count = 48,
    foot_module_len = 52,
    foot_sections = 56,
    foot_module = foot_sections + 24 * SKI_SECTIONS_MAX,
    foot_zeros = foot_module + SKI_FOOT_ROOM,
};
static_assert((int)foot_zeros <= (int)SKI_BLOCK_ROOM, "the foot fits in a block");
enum {
    section_bytes = 24,
    format_major = 1,
    flags_must_understand = 0xffff,
    buffer_bytes = 256 * 1024,
};

static uint32_t blocks_seed(const ski_blocks_id *id)
{
    uint8_t bytes[36];

    memcpy(bytes, id->magic, 8);
    memcpy(bytes + 8, id->store.bytes, 16);
    ski_put_u64(bytes + 24, id->number);
    ski_put_u32(bytes + 32, id->generation);
    return ski_crc32c(0, bytes, sizeof bytes);
}

static uint32_t block_crc(uint32_t seed, uint32_t block, const uint8_t *bytes)
{
    uint8_t number[4];

    ski_put_u32(number, block);
    return ski_crc32c(ski_crc32c(seed, number, sizeof number), bytes, SKI_BLOCK_ROOM);
}

// --- writing ------------------------------------------------------------------------------------

static skald_err writer_path(const ski_block_writer *writer, const char *suffix,
                             char path[SKI_BLOCKS_PATH_MAX])
{
    int len = snprintf(path, SKI_BLOCKS_PATH_MAX, "%s/%s%s", writer->path, writer->name, suffix);

    return len < 0 || len >= SKI_BLOCKS_PATH_MAX ? SKALD_ETOOBIG : SKALD_OK;
}

skald_err ski_blocks_begin(ski_block_writer *writer, const ski_kernel *kernel, const char *path,
                           const char *name, const ski_blocks_id *id, skald_error *reterr_error)
{
    char file_path[SKI_BLOCKS_PATH_MAX];
    skald_err err = SKALD_OK;

    memset(writer, 0, sizeof *writer);
    writer->kernel = kernel;
    writer->id = *id;
    writer->seed = blocks_seed(id);
    writer->size = buffer_bytes;
    (void)snprintf(writer->name, sizeof writer->name, "%s", name);
    if (path) {
        int len = snprintf(writer->path, sizeof writer->path, "%s", path);

        if (len < 0 || (size_t)len >= sizeof writer->path) return SKALD_ETOOBIG;
        SKALD_TRY(writer_path(writer, ".tmp", file_path));
    }
    writer->buffer = ski_alloc(writer->size);
    if (!writer->buffer) return SKALD_ENOMEM;
    if (!path) return SKALD_OK;
    err = kernel->open(kernel->context, file_path, SKI_OPEN_WRITE | SKI_OPEN_CREATE, &writer->file,
                       reterr_error);
    if (!err) err = kernel->truncate(kernel->context, writer->file, 0);
    if (err) {
        if (writer->file) kernel->close(kernel->context, writer->file);
        writer->file = NULL;
        ski_free(writer->buffer);
        writer->buffer = NULL;
    }
    return err;
}

// writer_flush makes room for a block behind len.
static void writer_flush(ski_block_writer *writer, bool all)
{
    const ski_kernel *kernel = writer->kernel;

    if (writer->err || (!all && writer->len + SKI_BLOCK <= writer->size)) return;
    if (!writer->file) {
        uint8_t *buffer = ski_realloc(writer->buffer, writer->size * 2);

        if (!buffer) {
            writer->err = SKALD_ENOMEM;
            return;
        }
        writer->buffer = buffer;
        writer->size *= 2;
        return;
    }
    if (!writer->len) return;
    writer->err = kernel->pwrite(kernel->context, writer->file, writer->buffer, writer->len,
                                 (uint64_t)writer->flushed * SKI_BLOCK);
    writer->flushed += (uint32_t)(writer->len / SKI_BLOCK);
    writer->len = 0;
}

void ski_blocks_next(ski_block_writer *writer)
{
    uint8_t *block = NULL;

    if (writer->err || !writer->at) return;
    block = writer->buffer + writer->len;
    memset(block + writer->at, 0, SKI_BLOCK_ROOM - writer->at);
    ski_put_u32(block + SKI_BLOCK_ROOM, block_crc(writer->seed, writer->block, block));
    writer->len += SKI_BLOCK;
    writer->at = 0;
    if (writer->block == UINT32_MAX - 1) writer->err = SKALD_ETOOBIG;
    writer->block++;
    writer_flush(writer, false);
}

static ski_section *writer_section(ski_block_writer *writer)
{
    assert(writer->section_count > 0);
    return &writer->sections[writer->section_count - 1];
}

static void section_end(ski_block_writer *writer)
{
    ski_section *section = NULL;

    if (!writer->section_count) return;
    section = writer_section(writer);
    section->bytes = ski_blocks_offset(writer);
    ski_blocks_next(writer);
    section->blocks = writer->block - section->first;
}

void ski_blocks_section(ski_block_writer *writer)
{
    assert(writer->section_count < SKI_SECTIONS_MAX);
    section_end(writer);
    writer->sections[writer->section_count++] = (ski_section){.first = writer->block};
}

void ski_blocks_put(ski_block_writer *writer, const void *bytes, size_t len)
{
    const uint8_t *from = bytes;

    while (len && !writer->err) {
        size_t piece = SKI_BLOCK_ROOM - writer->at;

        if (piece > len) piece = len;
        memcpy(writer->buffer + writer->len + writer->at, from, piece);
        writer->at += piece;
        from += piece;
        len -= piece;
        if (writer->at == SKI_BLOCK_ROOM) ski_blocks_next(writer);
    }
}

size_t ski_blocks_room(const ski_block_writer *writer)
{
    return SKI_BLOCK_ROOM - writer->at;
}

uint64_t ski_blocks_offset(const ski_block_writer *writer)
{
    uint32_t first = writer->sections[writer->section_count - 1].first;

    return (uint64_t)(writer->block - first) * SKI_BLOCK_ROOM + writer->at;
}

void ski_blocks_entry(ski_block_writer *writer, uint64_t count)
{
    writer_section(writer)->entries += count;
}

static void writer_foot(ski_block_writer *writer, const uint8_t *foot, size_t len)
{
    uint8_t bytes[foot_zeros] = {0};

    assert(len <= SKI_FOOT_ROOM);
    section_end(writer);
    memcpy(bytes + foot_magic, writer->id.magic, 8);
    ski_put_u16(bytes + foot_major, format_major);
    ski_put_u16(bytes + foot_min_reader, format_major);
    memcpy(bytes + foot_store, writer->id.store.bytes, sizeof writer->id.store.bytes);
    ski_put_u64(bytes + foot_number, writer->id.number);
    ski_put_u32(bytes + foot_generation, writer->id.generation);
    ski_put_u32(bytes + foot_blocks, writer->block + 1);
    ski_put_u32(bytes + foot_section_count, writer->section_count);
    ski_put_u32(bytes + foot_module_len, (uint32_t)len);
    for (uint32_t i = 0; i < writer->section_count; i++) {
        const ski_section *section = &writer->sections[i];
        uint8_t *to = bytes + foot_sections + (size_t)i * section_bytes;

        ski_put_u32(to, section->first);
        ski_put_u32(to + 4, section->blocks);
        ski_put_u64(to + 8, section->bytes);
        ski_put_u64(to + 16, section->entries);
    }
    memcpy(bytes + foot_module, foot, len);
    ski_blocks_put(writer, bytes, sizeof bytes);
    ski_blocks_next(writer);
}

skald_err ski_blocks_finish(ski_block_writer *writer, const uint8_t *foot, size_t foot_len,
                            bool *ret_unsure, skald_error *reterr_error)
{
    const ski_kernel *kernel = writer->kernel;
    char from[SKI_BLOCKS_PATH_MAX], to[SKI_BLOCKS_PATH_MAX];
    skald_err err = SKALD_OK;

    writer_foot(writer, foot, foot_len);
    writer_flush(writer, true);
    err = writer->err;
    if (!err) err = writer_path(writer, ".tmp", from);
    if (!err) err = writer_path(writer, "", to);
    if (!err) {
        err = kernel->sync(kernel->context, writer->file);
        if (err) *ret_unsure = true;
    }
    if (!err) {
        kernel->close(kernel->context, writer->file);
        writer->file = NULL;
        err = kernel->rename(kernel->context, from, to);
    }
    if (!err) {
        err = kernel->sync_dir(kernel->context, writer->path);
        if (err) *ret_unsure = true;
        ski_free(writer->buffer);
        writer->buffer = NULL;
    } else {
        ski_blocks_cancel(writer);
    }
    if (!err) return SKALD_OK;
    return skald_fail(reterr_error, err, "%s/%s could not be written: %s", writer->path,
                      writer->name, skald_err_text(err));
}

skald_err ski_blocks_finish_memory(ski_block_writer *writer, const uint8_t *foot, size_t foot_len,
                                   uint8_t **ret_bytes, uint32_t *ret_blocks)
{
    writer_foot(writer, foot, foot_len);
    if (writer->err) {
        ski_blocks_cancel(writer);
        return writer->err;
    }
    *ret_bytes = writer->buffer;
    *ret_blocks = writer->block;
    writer->buffer = NULL;
    return SKALD_OK;
}

void ski_blocks_cancel(ski_block_writer *writer)
{
    const ski_kernel *kernel = writer->kernel;
    char path[SKI_BLOCKS_PATH_MAX];

    if (!writer->buffer) return;
    if (writer->file) kernel->close(kernel->context, writer->file);
    if (writer->path[0] && writer_path(writer, ".tmp", path) == SKALD_OK) {
        (void)kernel->unlink(kernel->context, path);
    }
    ski_free(writer->buffer);
    writer->buffer = NULL;
    writer->file = NULL;
}

// --- reading ------------------------------------------------------------------------------------

skald_err ski_blocks_corrupt(const ski_blocks *blocks, uint32_t block, const char *what,
                             skald_error *reterr_error)
{
    return skald_fail(reterr_error, SKALD_ECORRUPT, "%s: bytes %llu to %llu %s", blocks->name,
                      (unsigned long long)block * SKI_BLOCK,
                      (unsigned long long)block * SKI_BLOCK + SKI_BLOCK - 1, what);
}

bool ski_blocks_right(const ski_blocks *blocks, uint32_t number, const uint8_t *bytes)
{
    return ski_get_u32(bytes + SKI_BLOCK_ROOM) == block_crc(blocks->seed, number, bytes);
}

skald_err ski_blocks_read(const ski_blocks *blocks, const ski_kernel *kernel, ski_file *file,
                          uint32_t first, uint32_t count, uint8_t *to, skald_error *reterr_error)
{
    size_t len = (size_t)count * SKI_BLOCK, got = 0;

    assert(first < blocks->blocks && count <= blocks->blocks - first);
    if (blocks->memory) {
        memcpy(to, blocks->memory + (size_t)first * SKI_BLOCK, len);
    } else {
        skald_err err =
            kernel->pread(kernel->context, file, to, len, (uint64_t)first * SKI_BLOCK, &got);

        if (err) {
            return skald_fail(reterr_error, err, "%s: bytes %llu to %llu cannot be read",
                              blocks->name, (unsigned long long)first * SKI_BLOCK,
                              (unsigned long long)first * SKI_BLOCK + len - 1);
        }
        if (got < len) memset(to + got, 0, len - got);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!ski_blocks_right(blocks, first + i, to + (size_t)i * SKI_BLOCK)) {
            return ski_blocks_corrupt(blocks, first + i, "are damaged", reterr_error);
        }
    }
    return SKALD_OK;
}

// sections_get reads the table of sections, which follow one another up to the foot.
static bool sections_get(ski_blocks *blocks, const uint8_t *foot, uint32_t sections)
{
    uint32_t next = 0;

    if (ski_get_u32(foot + foot_section_count) != sections) return false;
    if (ski_get_u32(foot + foot_blocks) != blocks->blocks) return false;
    if (ski_get_u32(foot + foot_module_len) > SKI_FOOT_ROOM) return false;
    blocks->section_count = sections;
    for (uint32_t i = 0; i < sections; i++) {
        const uint8_t *from = foot + foot_sections + (size_t)i * section_bytes;
        ski_section *section = &blocks->sections[i];

        section->first = ski_get_u32(from);
        section->blocks = ski_get_u32(from + 4);
        section->bytes = ski_get_u64(from + 8);
        section->entries = ski_get_u64(from + 16);
        if (section->first != next || section->blocks > blocks->blocks - 1 - next) return false;
        if (section->bytes > (uint64_t)section->blocks * SKI_BLOCK_ROOM) return false;
        if (section->blocks != (section->bytes + SKI_BLOCK_ROOM - 1) / SKI_BLOCK_ROOM) return false;
        if (section->entries > section->blocks * (uint64_t)SKI_BLOCK_ROOM) return false;
        next += section->blocks;
    }
    return next == blocks->blocks - 1;
}

skald_err ski_blocks_open(ski_blocks *blocks, const ski_kernel *kernel, ski_file *file,
                          const uint8_t *memory, uint32_t memory_blocks, const char *name,
                          const ski_blocks_id *id, uint32_t sections, uint8_t *ret_foot,
                          skald_error *reterr_error)
{
    uint8_t foot[SKI_BLOCK];
    uint64_t size = (uint64_t)memory_blocks * SKI_BLOCK;

    assert(sections <= SKI_SECTIONS_MAX);
    memset(blocks, 0, sizeof *blocks);
    (void)snprintf(blocks->name, sizeof blocks->name, "%s", name);
    blocks->seed = blocks_seed(id);
    blocks->memory = memory;
    if (!memory) SKALD_TRY(kernel->size(kernel->context, file, &size));
    if (!size || size % SKI_BLOCK || size / SKI_BLOCK >= UINT32_MAX) {
        return skald_fail(reterr_error, SKALD_ECORRUPT,
                          "%s: %llu bytes long, no whole number of blocks", name,
                          (unsigned long long)size);
    }
    blocks->blocks = (uint32_t)(size / SKI_BLOCK);
    SKALD_TRY(ski_blocks_read(blocks, kernel, file, blocks->blocks - 1, 1, foot, reterr_error));
    if (memcmp(foot + foot_magic, id->magic, 8) != 0 ||
        memcmp(foot + foot_store, id->store.bytes, 16) != 0 ||
        ski_get_u64(foot + foot_number) != id->number ||
        ski_get_u32(foot + foot_generation) != id->generation) {
        return ski_blocks_corrupt(blocks, blocks->blocks - 1, "are no foot of this file",
                                  reterr_error);
    }
    if (ski_get_u16(foot + foot_min_reader) > format_major ||
        ski_get_u32(foot + foot_flags) & flags_must_understand) {
        return skald_fail(reterr_error, SKALD_EUNSUPPORTED,
                          "%s: written by a newer version of this program", name);
    }
    if (!sections_get(blocks, foot, sections)) {
        return ski_blocks_corrupt(blocks, blocks->blocks - 1, "contradict themselves",
                                  reterr_error);
    }
    memcpy(ret_foot, foot + foot_module, SKI_FOOT_ROOM);
    return SKALD_OK;
}
