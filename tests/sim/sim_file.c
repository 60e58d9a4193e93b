// SPDX-License-Identifier: Apache-2.0
// One simulated file. A write changes the cache at once and joins a list; a sync applies the list
// to the device. When the power fails in between, the list is what the device may hold any part of.
//
// Invariants:
//   1. Nothing outside the byte ranges of unsynced writes ever changes on the device: overwriting
//      is power-safe, as most databases assume. Within them each block is old, new, any version in
//      between, half written, or garbage.
//   2. Changes of size happen in order, as a journal does them; how far the journal got says
//      nothing about which data arrived.
//   3. Without a failed sync, device plus list give what the cache shows.
#include "sim/sim_file.h"

#include "base/alloc.h"
#include <assert.h>
#include <string.h>

enum {
    file_bytes_max = 64 * 1024 * 1024, // far more than any workload writes: larger is a runaway
                                       // store
    writes_max = 100000,
};

typedef enum block_how { BLOCK_WHOLE, BLOCK_HALF, BLOCK_GARBAGE } block_how;

// block_fate: the first version changes of a block's list are whole on the device.
typedef struct block_fate {
    uint32_t version;
    block_how how; // of the change after those
} block_fate;

uint64_t sim_random_next(sim_random *random)
{
    uint64_t mixed = random->state += 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

uint64_t sim_random_below(sim_random *random, uint64_t limit)
{
    assert(limit > 0);
    return sim_random_next(random) % limit;
}

static void bytes_resize(sim_bytes *bytes, size_t len)
{
    assert(len <= file_bytes_max);
    if (len > bytes->size) {
        size_t size = len < 4096 ? 4096 : len + len / 2;

        bytes->ptr = ski_realloc(bytes->ptr, size);
        assert(bytes->ptr);
        bytes->size = size;
    }
    if (len > bytes->len) memset(bytes->ptr + bytes->len, 0, len - bytes->len);
    bytes->len = len;
}

static void bytes_put(sim_bytes *bytes, const void *from, size_t len, uint64_t offset)
{
    if (offset + len > bytes->len) bytes_resize(bytes, (size_t)offset + len);
    if (len) memcpy(bytes->ptr + offset, from, len);
}

static void bytes_copy(const sim_bytes *from, sim_bytes *to)
{
    bytes_resize(to, 0);
    bytes_put(to, from->ptr, from->len, 0);
}

static void writes_drop(sim_file *file)
{
    for (size_t i = 0; i < file->write_count; i++) ski_free(file->writes[i].bytes);
    file->write_count = 0;
}

void sim_file_fini(sim_file *file)
{
    writes_drop(file);
    ski_free(file->writes);
    ski_free(file->durable.ptr);
    ski_free(file->cached.ptr);
    *file = (sim_file){0};
}

static sim_write *writes_add(sim_file *file, const void *bytes, size_t len)
{
    sim_write *write = NULL;

    assert(file->write_count < writes_max);
    if (file->write_count == file->write_size) {
        file->write_size = file->write_size ? file->write_size * 2 : 8;
        file->writes = ski_realloc(file->writes, file->write_size * sizeof *file->writes);
        assert(file->writes);
    }
    write = &file->writes[file->write_count++];
    *write = (sim_write){.len = len};
    if (bytes) {
        write->bytes = ski_alloc(len ? len : 1);
        assert(write->bytes);
        if (len) memcpy(write->bytes, bytes, len);
    }
    return write;
}

void sim_file_write_wrong(sim_file *file, const void *bytes, size_t len, uint64_t offset,
                          uint64_t offset_wrong, bool lost)
{
    sim_write *write = writes_add(file, bytes, len);

    bytes_put(&file->cached, bytes, len, offset);
    write->offset = offset_wrong;
    write->size_after = file->cached.len;
    write->lost = lost;
}

void sim_file_write(sim_file *file, const void *bytes, size_t len, uint64_t offset)
{
    sim_file_write_wrong(file, bytes, len, offset, offset, false);
}

void sim_file_truncate(sim_file *file, uint64_t size)
{
    bytes_resize(&file->cached, (size_t)size);
    writes_add(file, NULL, 0)->size_after = size;
}

size_t sim_file_read(const sim_file *file, void *buf, size_t len, uint64_t offset)
{
    if (offset >= file->cached.len) return 0;
    if (len > file->cached.len - offset) len = file->cached.len - (size_t)offset;
    if (len) memcpy(buf, file->cached.ptr + offset, len);
    return len;
}

// file_apply brings every unsynced change to bytes, as it would be without a failure.
static void file_apply(const sim_file *file, sim_bytes *bytes)
{
    for (size_t i = 0; i < file->write_count; i++) {
        const sim_write *write = &file->writes[i];

        if (write->bytes && !write->lost) bytes_put(bytes, write->bytes, write->len, write->offset);
        bytes_resize(bytes, (size_t)write->size_after);
    }
}

void sim_file_sync(sim_file *file)
{
    file_apply(file, &file->durable);
    writes_drop(file);
}

void sim_file_forget(sim_file *file)
{
    size_t size = file->cached.len;

    bytes_copy(&file->durable, &file->cached);
    file_apply(file, &file->cached);
    bytes_resize(&file->cached, size); // the size is the inode's, which is not forgotten
}

void sim_file_revert(sim_file *file)
{
    bytes_copy(&file->durable, &file->cached);
}

static size_t file_blocks(const sim_file *file, size_t block_size)
{
    uint64_t end = file->durable.len;

    for (size_t i = 0; i < file->write_count; i++) {
        const sim_write *write = &file->writes[i];

        if (write->size_after > end) end = write->size_after;
        if (write->offset + write->len > end) end = write->offset + write->len;
    }
    return (size_t)(end / block_size) + 1;
}

static block_fate block_choose(uint32_t count, uint32_t last, sim_fate fate, bool torn,
                               sim_random *random)
{
    uint64_t dice = 0;

    if (fate == SIM_FATE_LOST || fate == SIM_FATE_METADATA_ONLY) return (block_fate){.version = 0};
    if (fate == SIM_FATE_KEPT || fate == SIM_FATE_DATA_ONLY) return (block_fate){.version = count};
    dice = sim_random_below(random, 100);
    if (dice < 35) return (block_fate){.version = 0};
    if (dice < 70) return (block_fate){.version = count};
    if (dice < 80)
        return (block_fate){.version = (uint32_t)sim_random_below(random, (uint64_t)count + 1)};
    if (!torn || last == 0) return (block_fate){.version = count};
    return (block_fate){.version = last - 1, .how = dice < 90 ? BLOCK_HALF : BLOCK_GARBAGE};
}

// blocks_choose decides for every block. last[block] is the number of the last write that touches
// it, from 1.
static void blocks_choose(const sim_file *file, sim_fate fate, size_t block_size, bool torn,
                          sim_random *random, block_fate *fates, size_t count)
{
    uint32_t *last = ski_alloc_zeroed(count, sizeof *last);

    assert(last);
    for (size_t i = 0; i < file->write_count; i++) {
        const sim_write *write = &file->writes[i];

        if (!write->bytes || write->len == 0) continue;
        for (size_t block = write->offset / block_size;
             block <= (write->offset + write->len - 1) / block_size; block++)
            last[block] = (uint32_t)i + 1;
    }
    for (size_t block = 0; block < count; block++)
        fates[block] = block_choose((uint32_t)file->write_count, last[block], fate, torn, random);
    ski_free(last);
}

static void write_settle(const sim_write *write, uint32_t number, size_t block_size,
                         const block_fate *fates, sim_random *random, sim_bytes *ret_bytes)
{
    uint64_t end = write->offset + write->len;

    if (write->lost) return;
    for (uint64_t from = write->offset; from < end;) {
        size_t block = from / block_size;
        uint64_t block_end = (block + 1) * (uint64_t)block_size;
        uint64_t to = block_end < end ? block_end : end;
        size_t len = (size_t)(to - from);
        const uint8_t *bytes = write->bytes + (from - write->offset);
        const block_fate *fate = &fates[block];

        if (number < fate->version) {
            bytes_put(ret_bytes, bytes, len, from);
        } else if (number == fate->version && fate->how == BLOCK_HALF) {
            bytes_put(ret_bytes, bytes, (size_t)sim_random_below(random, len + 1), from);
        } else if (number == fate->version && fate->how == BLOCK_GARBAGE) {
            for (uint64_t at = from; at < to; at++) {
                uint8_t garbage = (uint8_t)sim_random_next(random);

                bytes_put(ret_bytes, &garbage, 1, at);
            }
        }
        from = to;
    }
}

// size_choose gives how many changes of size the journal kept.
static size_t size_choose(const sim_file *file, sim_fate fate, sim_random *random)
{
    if (fate == SIM_FATE_LOST || fate == SIM_FATE_DATA_ONLY) return 0;
    if (fate == SIM_FATE_KEPT || fate == SIM_FATE_METADATA_ONLY) return file->write_count;
    return (size_t)sim_random_below(random, file->write_count + 1);
}

void sim_file_settle(sim_file *file, sim_fate fate, size_t block_size, bool torn,
                     sim_random *random)
{
    size_t count = file_blocks(file, block_size);
    block_fate *fates = NULL;
    size_t journal = 0;
    uint64_t size = file->durable.len;

    if (file->write_count == 0) return;
    fates = ski_alloc_zeroed(count, sizeof *fates);
    assert(fates);
    blocks_choose(file, fate, block_size, torn, random, fates, count);
    journal = size_choose(file, fate, random);
    for (size_t i = 0; i < file->write_count; i++) {
        const sim_write *write = &file->writes[i];

        if (write->bytes)
            write_settle(write, (uint32_t)i, block_size, fates, random, &file->durable);
        if (i >= journal) continue;
        size = write->size_after;
        if (size < file->durable.len) bytes_resize(&file->durable, (size_t)size);
    }
    bytes_resize(&file->durable, (size_t)size);
    ski_free(fates);
    writes_drop(file);
}
