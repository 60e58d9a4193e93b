// SPDX-License-Identifier: Apache-2.0
// What is made of the table, for any kernel.
#include "os/kernel.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"

#include <string.h>

static void visit_nothing(void *visitor SKALD_UNUSED, const char *name SKALD_UNUSED) {}

// parent_of cuts the last name off path, in place. What is left of "a" is "." and of "/a" is "/".
static const char *parent_of(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash) return ".";
    while (slash > path && slash[-1] == '/') slash--;
    if (slash == path) return "/";
    *slash = '\0';
    return path;
}

// make_one makes one directory. One that was not there before is synced into its parent: a store is
// lost with the name of its directory, however often its files were synced.
static skald_err make_one(const ski_kernel *kernel, skald_str path, skald_error *reterr_error)
{
    char *name = ski_str_terminated(path);
    skald_err err;

    if (!name)
        return skald_fail(reterr_error, SKALD_ENOMEM, "%.*s: out of memory", SKALD_FMT(path));

    bool new = kernel->list(kernel->context, name, visit_nothing, NULL) == SKALD_ENOTFOUND;

    err = kernel->make_dir(kernel->context, name);
    if (!err && new) err = kernel->sync_dir(kernel->context, parent_of(name));
    ski_free(name);
    if (err) {
        return skald_fail(reterr_error, err, "the directory %.*s cannot be made: %s",
                          SKALD_FMT(path),
                          err == SKALD_ENOTFOUND ? "it may not be here" : skald_err_text(err));
    }
    return SKALD_OK;
}

skald_err ski_kernel_make_dirs(const ski_kernel *kernel, const char *path,
                               skald_error *reterr_error)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/') len--;
    for (size_t at = 1; at <= len; at++) {
        bool name_ends = at == len || (path[at] == '/' && path[at - 1] != '/');

        if (name_ends) SKALD_TRY(make_one(kernel, ski_str(path, at), reterr_error));
    }
    return len ? SKALD_OK
               : skald_fail(reterr_error, SKALD_EINVALID, "the name of the directory is empty");
}

// read_open reads a file of known size behind buf.
static skald_err read_open(const ski_kernel *kernel, ski_file *file, skald_buf *buf)
{
    uint64_t size;
    size_t got;

    SKALD_TRY(kernel->size(kernel->context, file, &size));
    if (size > buf->bytes_max - buf->len) return SKALD_ETOOBIG;
    if (size == 0) return SKALD_OK; // perhaps nothing is allocated
    SKALD_TRY(ski_buf_room(buf, (size_t)size));
    SKALD_TRY(kernel->pread(kernel->context, file, buf->ptr + buf->len, (size_t)size, 0, &got));
    buf->len += got;
    return SKALD_OK;
}

skald_err ski_kernel_read_file(const ski_kernel *kernel, const char *path, skald_buf *buf,
                               skald_error *reterr_error)
{
    ski_file *file;
    skald_err err;

    SKALD_TRY(kernel->open(kernel->context, path, 0, &file, reterr_error));
    err = read_open(kernel, file, buf);
    kernel->close(kernel->context, file);
    if (err == SKALD_ETOOBIG) {
        return skald_fail(reterr_error, err, "%s: larger than the %zu bytes allowed", path,
                          buf->bytes_max - buf->len);
    }
    if (err) return skald_fail(reterr_error, err, "%s: %s", path, skald_err_text(err));
    return SKALD_OK;
}

skald_clock ski_kernel_clock(const ski_kernel *kernel)
{
    return (skald_clock){.now = kernel->now,
                         .monotonic_ns = kernel->monotonic_ns,
                         .context = kernel->context};
}
