// SPDX-License-Identifier: Apache-2.0
// The lock is the kernel's (flock): it ends with the process, however that ends. What is written in
// the file only tells people who has it.
#include "store/log/hold.h"
#include "base/str.h"
#include <stdio.h>
#include <string.h>

enum { path_bytes_max = 4096, holder_bytes_max = 128 };

// parent_of gives the directory that a path is in; false: it has none above it.
static bool parent_of(const char *path, char parent[path_bytes_max])
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/') len--;
    if (len == 1 && (path[0] == '/' || path[0] == '.')) return false;
    while (len && path[len - 1] != '/') len--;
    while (len > 1 && path[len - 1] == '/') len--;
    (void)snprintf(parent, path_bytes_max, "%.*s", len ? (int)len : 1, len ? path : ".");
    return true;
}

skald_err ski_hold_sync_above(const ski_kernel *kernel, const char *path)
{
    char at[path_bytes_max], parent[path_bytes_max];

    (void)snprintf(at, sizeof at, "%s", path);
    while (parent_of(at, parent)) {
        if (kernel->sync_dir(kernel->context, parent) == SKALD_EIO) return SKALD_EIO;
        memcpy(at, parent, sizeof at);
    }
    return SKALD_OK;
}

static skald_err hold_open(const ski_kernel *kernel, const char *path, bool read_only,
                           ski_file **ret_file, skald_error *reterr_error)
{
    skald_err err = SKALD_OK;

    if (!read_only) {
        return kernel->open(kernel->context, path, SKI_OPEN_WRITE | SKI_OPEN_CREATE, ret_file,
                            reterr_error);
    }
    err = kernel->open(kernel->context, path, 0, ret_file, NULL);
    if (err == SKALD_ENOTFOUND) {
        *ret_file = NULL;
        return SKALD_OK;
    }
    return err;
}

// hold_write says in the file who has it. It is for people only, so it need not succeed.
static void hold_write(const ski_kernel *kernel, ski_file *file)
{
    char text[holder_bytes_max], since[SKALD_TIME_TEXT + 1];
    int len = 0;

    skald_time_print(kernel->now(kernel->context), since);
    len = snprintf(text, sizeof text, "process %llu since %s\n",
                   (unsigned long long)kernel->process_id(kernel->context), since);
    if (kernel->truncate(kernel->context, file, 0)) return;
    if (kernel->pwrite(kernel->context, file, text, (size_t)len, 0)) return;
}

void ski_hold_end(const ski_kernel *kernel, ski_file *file)
{
    // Nobody holds it any more; nor does it matter if that cannot be written.
    if (kernel->truncate(kernel->context, file, 0)) return;
}

static skald_err hold_refuse(const ski_kernel *kernel, const char *path, ski_file *file,
                             skald_error *reterr_error)
{
    char text[holder_bytes_max] = "";
    size_t got = 0;
    skald_str holder = SKALD_STR("another process");

    if (kernel->pread(kernel->context, file, text, sizeof text, 0, &got) == SKALD_OK && got) {
        skald_str rest = {0};

        holder = ski_str_cut((skald_str){text, got}, '\n', &rest);
    }
    return skald_fail(reterr_error, SKALD_EHELD,
                      "the store in '%s' is held by %.*s. Stop that process, or talk to it instead",
                      path, SKALD_FMT(holder));
}

skald_err ski_hold_take(const ski_kernel *kernel, const char *path, bool read_only,
                        ski_file **ret_file, skald_error *reterr_error)
{
    char lock_path[path_bytes_max];
    ski_file *file = NULL;
    int len = snprintf(lock_path, sizeof lock_path, "%s/LOCK", path);
    skald_err err = SKALD_OK;

    if (len < 0 || len >= path_bytes_max) {
        return skald_fail(reterr_error, SKALD_EINVALID, "the path of the store is too long");
    }
    if (!read_only) SKALD_TRY(ski_kernel_make_dirs(kernel, path, reterr_error));
    SKALD_TRY(hold_open(kernel, lock_path, read_only, &file, reterr_error));
    if (file) err = kernel->lock(kernel->context, file);
    if (err == SKALD_EHELD) err = hold_refuse(kernel, path, file, reterr_error);
    if (err) {
        kernel->close(kernel->context, file);
        return err;
    }
    if (file && !read_only) hold_write(kernel, file);
    *ret_file = file;
    return err;
}
