// SPDX-License-Identifier: Apache-2.0
// The manifest: 64 bytes, 8 for each segment, and a checksum over both.
//
// Invariants:
//   1. The copy that is not being written is whole: a crash costs one edit at most, and what the
//      older one says is still true, for segments and watermark only ever grow.
//   2. The name of a copy is on the device before the other one is written.
//   3. A segment is listed before the first event in it is acknowledged.
#include "store/log/manifest.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "store/log/bytes.h"
#include "store/log/segment.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum manifest_offset {
    manifest_magic = 0,
    manifest_len = 8, // of everything
    manifest_major = 12,
    manifest_min_reader = 14,
    manifest_store = 16,
    manifest_edit = 32,
    manifest_durable_pos = 40,
    manifest_durable_no = 48,
    manifest_durable_off = 52,
    manifest_segment_count = 56,
    manifest_flags = 60, // the lower half must be understood
    manifest_head = 64,
};
enum {
    manifest_item = 8,
    manifest_tail = 4,
    flags_must_understand = 0xffff,
    manifest_bytes_max = manifest_head + manifest_item * SKI_MANIFEST_SEGMENTS_MAX + manifest_tail,
    path_bytes_max = 4096,
};

static const uint8_t magic[8] = "SKALDMAN";

void ski_manifest_fini(ski_manifest *manifest)
{
    ski_free(manifest->segments);
    *manifest = (ski_manifest){0};
}

const char *ski_manifest_name(unsigned copy)
{
    return copy % SKI_MANIFEST_COPIES ? "MANIFEST-1" : "MANIFEST-0";
}

skald_err ski_manifest_add(ski_manifest *manifest, uint32_t no, uint32_t generation)
{
    if (manifest->segment_count == SKI_MANIFEST_SEGMENTS_MAX) return SKALD_EFULL;
    if (manifest->segment_count == manifest->segment_size) {
        uint32_t size = manifest->segment_size ? manifest->segment_size * 2 : 16;
        ski_manifest_segment *segments = ski_realloc(manifest->segments, size * sizeof *segments);

        if (!segments) return SKALD_ENOMEM;
        manifest->segments = segments;
        manifest->segment_size = size;
    }
    manifest->segments[manifest->segment_count++] = (ski_manifest_segment){no, generation};
    return SKALD_OK;
}

skald_err ski_manifest_put(const ski_manifest *manifest, skald_buf *buf)
{
    size_t len = manifest_head + (size_t)manifest->segment_count * manifest_item + manifest_tail;
    uint8_t *to = NULL;

    SKALD_TRY(ski_buf_room(buf, len));
    to = (uint8_t *)buf->ptr + buf->len;
    memset(to, 0, len);
    memcpy(to + manifest_magic, magic, sizeof magic);
    ski_put_u32(to + manifest_len, (uint32_t)len);
    ski_put_u16(to + manifest_major, SKI_FORMAT_MAJOR);
    ski_put_u16(to + manifest_min_reader, SKI_FORMAT_MAJOR);
    memcpy(to + manifest_store, manifest->store.bytes, sizeof manifest->store.bytes);
    ski_put_u64(to + manifest_edit, manifest->edit);
    ski_put_u64(to + manifest_durable_pos, manifest->durable_pos);
    ski_put_u32(to + manifest_durable_no, manifest->durable_no);
    ski_put_u32(to + manifest_durable_off, manifest->durable_off);
    ski_put_u32(to + manifest_segment_count, manifest->segment_count);
    for (uint32_t i = 0; i < manifest->segment_count; i++) {
        uint8_t *item = to + manifest_head + (size_t)i * manifest_item;

        ski_put_u32(item, manifest->segments[i].no);
        ski_put_u32(item + 4, manifest->segments[i].generation);
    }
    ski_put_u32(to + len - manifest_tail, ski_crc32c(0, to, len - manifest_tail));
    buf->len += len;
    return SKALD_OK;
}

skald_err ski_manifest_get(skald_str bytes, ski_manifest *ret_manifest)
{
    const uint8_t *from = (const uint8_t *)bytes.ptr;
    ski_manifest manifest = {0};
    size_t len = 0;
    uint32_t count = 0;

    if (bytes.len < manifest_head + manifest_tail) return SKALD_ECORRUPT;
    if (memcmp(from + manifest_magic, magic, sizeof magic) != 0) return SKALD_ECORRUPT;
    len = ski_get_u32(from + manifest_len);
    if (len < manifest_head + manifest_tail || len > bytes.len) return SKALD_ECORRUPT;
    if (ski_get_u32(from + len - manifest_tail) != ski_crc32c(0, from, len - manifest_tail)) {
        return SKALD_ECORRUPT;
    }
    if (ski_get_u16(from + manifest_min_reader) > SKI_FORMAT_MAJOR) return SKALD_EUNSUPPORTED;
    if (ski_get_u32(from + manifest_flags) & flags_must_understand) return SKALD_EUNSUPPORTED;
    count = ski_get_u32(from + manifest_segment_count);
    if (len != manifest_head + (size_t)count * manifest_item + manifest_tail) return SKALD_ECORRUPT;
    memcpy(manifest.store.bytes, from + manifest_store, sizeof manifest.store.bytes);
    manifest.edit = ski_get_u64(from + manifest_edit);
    manifest.durable_pos = ski_get_u64(from + manifest_durable_pos);
    manifest.durable_no = ski_get_u32(from + manifest_durable_no);
    manifest.durable_off = ski_get_u32(from + manifest_durable_off);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *item = from + manifest_head + (size_t)i * manifest_item;
        skald_err err = ski_manifest_add(&manifest, ski_get_u32(item), ski_get_u32(item + 4));

        if (err) {
            ski_manifest_fini(&manifest);
            return err;
        }
    }
    *ret_manifest = manifest;
    return SKALD_OK;
}

static skald_err manifest_path(const char *path, unsigned copy, char file_path[path_bytes_max])
{
    int len = snprintf(file_path, path_bytes_max, "%s/%s", path, ski_manifest_name(copy));

    return len < 0 || len >= path_bytes_max ? SKALD_ETOOBIG : SKALD_OK;
}

// copy_load reads one copy from the device, not from what is cached of it: an earlier process may
// have failed to sync it and ended.
static skald_err copy_load(const ski_kernel *kernel, const char *path, unsigned copy, bool sync,
                           ski_manifest *ret_manifest)
{
    char file_path[path_bytes_max];
    ski_file *file = NULL;
    skald_buf buf = {.bytes_max = manifest_bytes_max};
    uint64_t size = 0;
    size_t got = 0;
    skald_err err = SKALD_OK;

    SKALD_TRY(manifest_path(path, copy, file_path));
    SKALD_TRY(kernel->open(kernel->context, file_path, sync ? SKI_OPEN_WRITE : 0, &file, NULL));
    if (sync) err = kernel->sync(kernel->context, file);
    if (!err) err = kernel->forget(kernel->context, file);
    if (!err) err = kernel->size(kernel->context, file, &size);
    if (!err && size > manifest_bytes_max) err = SKALD_ECORRUPT;
    if (!err) err = ski_buf_room(&buf, (size_t)size + 1);
    if (!err) {
        err = kernel->pread(kernel->context, file, buf.ptr, (size_t)size, 0, &got);
        if (err == SKALD_EIO) err = SKALD_ECORRUPT; // cannot be read: as good as not there
    }
    if (!err) err = ski_manifest_get((skald_str){buf.ptr, got}, ret_manifest);
    skald_buf_fini(&buf);
    kernel->close(kernel->context, file);
    return err;
}

skald_err ski_manifest_load(const ski_kernel *kernel, const char *path, bool sync,
                            ski_manifest *ret_manifest, unsigned *ret_damaged)
{
    ski_manifest best = {0};
    bool found = false, missing = false;
    unsigned damaged = 0;

    for (unsigned copy = 0; copy < SKI_MANIFEST_COPIES; copy++) {
        ski_manifest one = {0};
        skald_err err = copy_load(kernel, path, copy, sync, &one);

        if (err == SKALD_ECORRUPT) damaged++;
        if (err == SKALD_ENOTFOUND) missing = true;
        if (err == SKALD_ECORRUPT || err == SKALD_ENOTFOUND) continue;
        if (err) {
            ski_manifest_fini(&best);
            return err;
        }
        if (!found || one.edit > best.edit) {
            ski_manifest_fini(&best);
            best = one;
        } else {
            ski_manifest_fini(&one);
        }
        found = true;
    }
    *ret_damaged = damaged;
    if (!found) return SKALD_ENOTFOUND;
    best.alone = missing;
    *ret_manifest = best;
    return SKALD_OK;
}

skald_err ski_manifest_save(const ski_kernel *kernel, const char *path, ski_manifest *manifest,
                            bool *ret_unsure)
{
    char file_path[path_bytes_max];
    ski_file *file = NULL;
    skald_buf buf = {.bytes_max = manifest_bytes_max};
    skald_err err = SKALD_OK;

    SKALD_TRY(
        manifest_path(path, (unsigned)((manifest->edit + 1) % SKI_MANIFEST_COPIES), file_path));
    manifest->edit++;
    err = ski_manifest_put(manifest, &buf);
    if (!err) {
        err =
            kernel->open(kernel->context, file_path, SKI_OPEN_WRITE | SKI_OPEN_CREATE, &file, NULL);
    }
    if (!err) err = kernel->pwrite(kernel->context, file, buf.ptr, buf.len, 0);
    if (!err) {
        err = kernel->sync(kernel->context, file);
        // Or the next edit would be written over the only copy that has a name.
        if (!err && manifest->alone) err = kernel->sync_dir(kernel->context, path);
        *ret_unsure = err != SKALD_OK;
    }
    if (file) kernel->close(kernel->context, file);
    skald_buf_fini(&buf);
    if (err)
        manifest->edit--; // the same copy again: the other one is whole
    else
        manifest->alone = false;
    return err;
}
