// SPDX-License-Identifier: Apache-2.0
// A directory that becomes another store.
//
// Invariants:
//   1. Nothing is in it that we did not put there: it was empty when we took hold of it, so that
//   what failed may be removed.
//   2. The manifest is written when everything else is on the device: until then opening it says
//   that there is no store.
#include "store/log/copying.h"
#include "base/alloc.h"
#include "store/log/hold.h"
#include <stdio.h>
#include <string.h>

enum { buffer_bytes = 1024 * 1024, names_max = 64 };

skald_err ski_copying_path(const char *directory, const char *name, char path[SKI_COPYING_PATH_MAX])
{
    int len = snprintf(path, SKI_COPYING_PATH_MAX, "%s/%s", directory, name);

    return len < 0 || len >= SKI_COPYING_PATH_MAX ? SKALD_ETOOBIG : SKALD_OK;
}

typedef struct copying_names {
    char names[names_max][64];
    unsigned count;
    bool other; // a name that is too long to be ours
} copying_names;

static void names_visit(void *visitor, const char *name)
{
    copying_names *names = visitor;

    if (strcmp(name, "LOCK") == 0) return;
    if (strlen(name) >= sizeof names->names[0]) {
        names->other = true;
    } else if (names->count < names_max) {
        memcpy(names->names[names->count++], name, strlen(name) + 1);
    }
}

static skald_err copying_empty(const ski_copying *copying)
{
    const ski_kernel *kernel = copying->kernel;
    copying_names *names = ski_alloc_zeroed(1, sizeof *names);
    skald_err err = names ? SKALD_OK : SKALD_ENOMEM;

    if (!err) err = kernel->list(kernel->context, copying->to, names_visit, names);
    if (err == SKALD_ENOTFOUND) err = SKALD_OK;
    if (!err && (names->count || names->other)) {
        err = skald_fail(copying->error, SKALD_EEXISTS,
                         "the directory '%s' is not empty; name one that is, or is not there",
                         copying->to);
    }
    ski_free(names);
    return err;
}

skald_err ski_copying_begin(ski_copying *copying)
{
    skald_err err = copying_empty(copying);

    if (err) return err;
    copying->buffer = ski_alloc(buffer_bytes);
    if (!copying->buffer) return SKALD_ENOMEM;
    err = ski_hold_take(copying->kernel, copying->to, false, &copying->lock_file, copying->error);
    if (!err) err = copying_empty(copying); // it may have been filled just before
    if (err) {
        if (copying->lock_file) {
            copying->kernel->close(copying->kernel->context, copying->lock_file);
        }
        ski_free(copying->buffer);
    }
    return err;
}

void ski_copying_clear(ski_copying *copying)
{
    const ski_kernel *kernel = copying->kernel;
    copying_names *names = ski_alloc(sizeof *names);
    bool removed = names != NULL;
    char path[SKI_COPYING_PATH_MAX];

    while (removed) { // so many names at a time
        removed = false;
        names->count = 0;
        if (kernel->list(kernel->context, copying->to, names_visit, names)) break;
        for (unsigned i = 0; i < names->count; i++) {
            if (ski_copying_path(copying->to, names->names[i], path)) continue;
            removed = kernel->unlink(kernel->context, path) == SKALD_OK || removed;
        }
    }
    ski_free(names);
    copying->bytes_done = copying->bytes_linked = copying->files = 0;
}

void ski_copying_end(ski_copying *copying, bool failed)
{
    if (failed) ski_copying_clear(copying);
    ski_hold_end(copying->kernel, copying->lock_file);
    copying->kernel->close(copying->kernel->context, copying->lock_file);
    ski_free(copying->buffer);
}

skald_err ski_copying_told(ski_copying *copying, uint64_t bytes)
{
    copying->bytes_done += bytes;
    if (copying->bytes_all < copying->bytes_done) copying->bytes_all = copying->bytes_done;
    if (!copying->progress) return SKALD_OK;
    return copying->progress(copying->context, copying->bytes_done, copying->bytes_all)
               ? SKALD_OK
               : SKALD_ECLOSED;
}

// bytes_copy copies the first limit bytes. What cannot be read ends it with IO.
static skald_err bytes_copy(ski_copying *copying, ski_file *from, ski_file *to, uint64_t limit)
{
    const ski_kernel *kernel = copying->kernel;

    for (uint64_t at = 0; at < limit;) {
        size_t len = limit - at < buffer_bytes ? (size_t)(limit - at) : buffer_bytes, got = 0;

        SKALD_TRY(kernel->pread(kernel->context, from, copying->buffer, len, at, &got));
        if (!got) break;
        SKALD_TRY(kernel->pwrite(kernel->context, to, copying->buffer, got, at));
        at += got;
        SKALD_TRY(ski_copying_told(copying, got));
    }
    return kernel->sync(kernel->context, to);
}

skald_err ski_copying_copy(ski_copying *copying, const char *name, uint64_t limit)
{
    const ski_kernel *kernel = copying->kernel;
    char from_path[SKI_COPYING_PATH_MAX], to_path[SKI_COPYING_PATH_MAX];
    ski_file *from = NULL, *to = NULL;
    uint64_t size = 0;
    skald_err err = SKALD_OK;

    SKALD_TRY(ski_copying_path(copying->from, name, from_path));
    SKALD_TRY(ski_copying_path(copying->to, name, to_path));
    SKALD_TRY(kernel->open(kernel->context, from_path, 0, &from, NULL));
    err = kernel->size(kernel->context, from, &size);
    if (!err) {
        err = kernel->open(kernel->context, to_path,
                           SKI_OPEN_WRITE | SKI_OPEN_CREATE | SKI_OPEN_NEW, &to, copying->error);
    }
    if (!err) err = bytes_copy(copying, from, to, size < limit ? size : limit);
    if (to) kernel->close(kernel->context, to);
    kernel->close(kernel->context, from);
    copying->files += !err;
    return err;
}

skald_err ski_copying_link(ski_copying *copying, const char *name)
{
    const ski_kernel *kernel = copying->kernel;
    char from_path[SKI_COPYING_PATH_MAX], to_path[SKI_COPYING_PATH_MAX];
    ski_file *file = NULL;
    uint64_t size = 0;
    skald_err err = SKALD_EUNSUPPORTED;

    SKALD_TRY(ski_copying_path(copying->from, name, from_path));
    SKALD_TRY(ski_copying_path(copying->to, name, to_path));
    if (kernel->link && !copying->unlinkable) {
        err = kernel->link(kernel->context, from_path, to_path);
    }
    if (err == SKALD_EUNSUPPORTED) {
        copying->unlinkable = true;
        return ski_copying_copy(copying, name, UINT64_MAX);
    }
    if (!err) err = kernel->open(kernel->context, to_path, 0, &file, copying->error);
    if (!err) err = kernel->size(kernel->context, file, &size);
    if (file) kernel->close(kernel->context, file);
    if (err) return err;
    copying->bytes_linked += size;
    copying->files++;
    return ski_copying_told(copying, size);
}

skald_err ski_copying_finish(ski_copying *copying, ski_manifest *manifest)
{
    const ski_kernel *kernel = copying->kernel;
    bool unsure = false;

    SKALD_TRY(kernel->sync_dir(kernel->context, copying->to));
    for (unsigned i = 0; i < SKI_MANIFEST_COPIES; i++) {
        SKALD_TRY(ski_manifest_save(kernel, copying->to, manifest, &unsure));
        copying->files++;
    }
    SKALD_TRY(kernel->sync_dir(kernel->context, copying->to));
    return ski_hold_sync_above(kernel, copying->to);
}
