// SPDX-License-Identifier: Apache-2.0
// The table of the real kernel, and what its files share.
#define _GNU_SOURCE // strerror_r
#include "os/kernel_posix.h"

#include <errno.h>
#include <string.h>

skald_err ski_posix_err(int error_number)
{
    switch (error_number) {
    case ENOSPC:
    case EDQUOT: return SKALD_EREADONLY;
    case ENOENT: return SKALD_ENOTFOUND;
    case EEXIST: return SKALD_EEXISTS;
    case EACCES:
    case EPERM:
    case EROFS: return SKALD_EDENIED;
    case ENOMEM: return SKALD_ENOMEM;
    case EWOULDBLOCK: return SKALD_EHELD; // only flock is asked not to wait
    default: return SKALD_EIO;
    }
}

skald_err ski_posix_fail(skald_error *reterr_error, const char *path, int error_number)
{
    char cause[128];

    // The GNU strerror_r: it gives the text, not always in the buffer.
    return skald_fail(reterr_error, ski_posix_err(error_number), "%s: %s", path,
                      strerror_r(error_number, cause, sizeof cause));
}

const ski_kernel ski_kernel_system = {
    .open = ski_posix_open,
    .close = ski_posix_close,
    .pread = ski_posix_pread,
    .pread_now = ski_posix_pread_now,
    .pwrite = ski_posix_pwrite,
    .sync = ski_posix_sync,
    .forget = ski_posix_forget,
    .size = ski_posix_size,
    .truncate = ski_posix_truncate,
    .lock = ski_posix_lock,
    .rename = ski_posix_rename,
    .unlink = ski_posix_unlink,
    .link = ski_posix_link,
    .make_dir = ski_posix_make_dir,
    .sync_dir = ski_posix_sync_dir,
    .list = ski_posix_list,
    .room = ski_posix_room,
    .now = ski_posix_now,
    .monotonic_ns = ski_posix_monotonic_ns,
    .random = ski_posix_random,
    .spawn = ski_posix_spawn,
    .join = ski_posix_join,
    .stop = ski_posix_stop,
    .process_id = ski_posix_process_id,
};
