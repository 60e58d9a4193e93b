// SPDX-License-Identifier: Apache-2.0
// log_disk.h - a few files in memory, as a kernel: what the fuzzer of the log's recovery opens a
// store on. One directory, no threads, a clock that only goes when it is asked. One thread.
#ifndef LOG_DISK_H
#define LOG_DISK_H

#include "base/alloc.h"
#include "os/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { disk_files_max = 96, disk_name_bytes = 64, disk_file_bytes_max = 2 * 1024 * 1024 };

typedef struct disk_file {
    char name[disk_name_bytes]; // empty: removed, or a place that is free
    uint8_t *bytes;
    size_t len, size;
    unsigned users;
} disk_file;

typedef struct disk {
    disk_file files[disk_files_max];
    uint64_t ticks, random;
    unsigned stops, changes;
} disk;

static inline disk_file *disk_find(disk *on, const char *path)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

    for (size_t i = 0; i < disk_files_max; i++)
        if (strcmp(on->files[i].name, name) == 0) return &on->files[i];
    return NULL;
}

static inline void disk_release(disk_file *file)
{
    if (file->name[0] || file->users) return;
    ski_free(file->bytes);
    *file = (disk_file){.len = 0};
}

static inline skald_err disk_resize(disk_file *file, size_t len)
{
    if (len > disk_file_bytes_max) return SKALD_EREADONLY; // the disk is full
    if (len > file->size) {
        size_t size = file->size ? file->size : 4096;
        uint8_t *bytes = NULL;

        while (size < len) size *= 2;
        bytes = ski_realloc(file->bytes, size);
        if (!bytes) return SKALD_ENOMEM;
        file->bytes = bytes;
        file->size = size;
    }
    if (len > file->len) memset(file->bytes + file->len, 0, len - file->len);
    file->len = len;
    return SKALD_OK;
}

// disk_make makes a file; NULL: there are too many, or the name is too long.
static inline disk_file *disk_make(disk *on, const char *path)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

    for (size_t i = 0; i < disk_files_max; i++) {
        disk_file *file = &on->files[i];

        if (file->name[0] || file->users) continue;
        if (strlen(name) >= disk_name_bytes || !*name) return NULL;
        memcpy(file->name, name, strlen(name) + 1);
        return file;
    }
    return NULL;
}

static inline skald_err disk_open(void *context, const char *path, unsigned flags,
                                  ski_file **ret_file, skald_error *reterr_error)
{
    disk *on = context;
    disk_file *file = disk_find(on, path);

    (void)reterr_error;
    if (file && flags & SKI_OPEN_NEW) return SKALD_EEXISTS;
    if (!file && !(flags & SKI_OPEN_CREATE)) return SKALD_ENOTFOUND;
    if (!file) {
        file = disk_make(on, path);
        on->changes++;
    }
    if (!file) return SKALD_EREADONLY;
    file->users++;
    *ret_file = (ski_file *)file;
    return SKALD_OK;
}

static inline void disk_close(void *context, ski_file *opened)
{
    disk_file *file = (disk_file *)opened;

    (void)context;
    if (!file) return;
    file->users--;
    disk_release(file);
}

static inline skald_err disk_pread(void *context, ski_file *opened, void *buf, size_t len,
                                   uint64_t offset, size_t *ret_read)
{
    const disk_file *file = (const disk_file *)opened;
    size_t got = offset < file->len ? file->len - (size_t)offset : 0;

    (void)context;
    if (got > len) got = len;
    if (got) memcpy(buf, file->bytes + offset, got);
    *ret_read = got;
    return SKALD_OK;
}

static inline skald_err disk_pwrite(void *context, ski_file *opened, const void *bytes, size_t len,
                                    uint64_t offset)
{
    disk_file *file = (disk_file *)opened;

    ((disk *)context)->changes++;
    if (offset > disk_file_bytes_max || len > disk_file_bytes_max) return SKALD_EREADONLY;
    if (offset + len > file->len) SKALD_TRY(disk_resize(file, (size_t)offset + len));
    if (len) memcpy(file->bytes + offset, bytes, len);
    return SKALD_OK;
}

static inline skald_err disk_sync(void *context, ski_file *file)
{
    (void)context;
    (void)file;
    return SKALD_OK;
}

static inline skald_err disk_size(void *context, ski_file *file, uint64_t *ret_size)
{
    (void)context;
    *ret_size = ((const disk_file *)file)->len;
    return SKALD_OK;
}

static inline skald_err disk_truncate(void *context, ski_file *file, uint64_t size)
{
    ((disk *)context)->changes++;
    return size > disk_file_bytes_max ? SKALD_EREADONLY
                                      : disk_resize((disk_file *)file, (size_t)size);
}

static inline skald_err disk_unlink(void *context, const char *path)
{
    disk_file *file = disk_find(context, path);

    if (!file) return SKALD_ENOTFOUND;
    ((disk *)context)->changes++;
    file->name[0] = 0;
    disk_release(file);
    return SKALD_OK;
}

static inline skald_err disk_rename(void *context, const char *from, const char *to)
{
    disk_file *file = disk_find(context, from);
    const char *name = strrchr(to, '/') ? strrchr(to, '/') + 1 : to;

    if (!file) return SKALD_ENOTFOUND;
    if (strlen(name) >= disk_name_bytes) return SKALD_EIO;
    if (disk_find(context, to) == file) return SKALD_OK;
    if (disk_find(context, to)) SKALD_TRY(disk_unlink(context, to));
    ((disk *)context)->changes++;
    memcpy(file->name, name, strlen(name) + 1);
    return SKALD_OK;
}

static inline skald_err disk_folder(void *context, const char *path)
{
    (void)context;
    (void)path;
    return SKALD_OK;
}

static inline skald_err disk_list(void *context, const char *path,
                                  void (*visit)(void *visitor, const char *name), void *visitor)
{
    disk *on = context;

    (void)path;
    for (size_t i = 0; i < disk_files_max; i++)
        if (on->files[i].name[0]) visit(visitor, on->files[i].name);
    return SKALD_OK;
}

static inline skald_err disk_room(void *context, const char *path, uint64_t *ret_bytes)
{
    (void)context;
    (void)path;
    *ret_bytes = UINT64_C(1) << 40;
    return SKALD_OK;
}

static inline uint64_t disk_ns(void *context)
{
    return ((disk *)context)->ticks += 1000 * 1000;
}

static inline skald_time disk_now(void *context)
{
    return (skald_time)(UINT64_C(1800000000) * 1000000 + disk_ns(context) / 1000);
}

static inline void disk_random(void *context, void *bytes, size_t len)
{
    disk *on = context;

    for (size_t i = 0; i < len; i++) {
        on->random = on->random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        ((uint8_t *)bytes)[i] = (uint8_t)(on->random >> 56);
    }
}

static inline void disk_stop(void *context, const char *why)
{
    (void)why;
    ((disk *)context)->stops++;
}

static inline uint64_t disk_process(void *context)
{
    (void)context;
    return 1;
}

static inline void disk_free(disk *on)
{
    for (size_t i = 0; i < disk_files_max; i++) ski_free(on->files[i].bytes);
    memset(on, 0, sizeof *on);
}

static inline ski_kernel disk_kernel(disk *on)
{
    return (ski_kernel){.context = on,
                        .open = disk_open,
                        .close = disk_close,
                        .pread = disk_pread,
                        .pwrite = disk_pwrite,
                        .sync = disk_sync,
                        .forget = disk_sync,
                        .size = disk_size,
                        .truncate = disk_truncate,
                        .lock = disk_sync,
                        .rename = disk_rename,
                        .unlink = disk_unlink,
                        .make_dir = disk_folder,
                        .sync_dir = disk_folder,
                        .list = disk_list,
                        .room = disk_room,
                        .now = disk_now,
                        .monotonic_ns = disk_ns,
                        .random = disk_random,
                        .stop = disk_stop,
                        .process_id = disk_process};
}

#endif
