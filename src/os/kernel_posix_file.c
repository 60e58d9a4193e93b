// SPDX-License-Identifier: Apache-2.0
// Files. A ski_file is a descriptor; it has no position: every read and write says where.
//
// A call that a signal interrupted is made again, and one that did a part is continued. Syncing is
// the exception: after any error nobody knows what reached the device, so none is tried twice.
#define _GNU_SOURCE // flock, posix_fadvise
#include "os/kernel_posix.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "files are larger than 2 GiB");

enum {
    // One call moves at most this: Linux stops a little below 2 GiB anyway.
    transfer_max = 1 << 30,
    file_mode = 0600, // events are nobody else's business
};

struct ski_file {
    int fd;
    bool direct; // SKI_OPEN_DIRECT
};

static int open_flags(unsigned flags)
{
    int native = O_CLOEXEC;

    native |= flags & SKI_OPEN_WRITE ? O_RDWR : O_RDONLY;
    if (flags & SKI_OPEN_CREATE) native |= O_CREAT;
    if (flags & SKI_OPEN_NEW) native |= O_EXCL;
    if (flags & SKI_OPEN_DIRECT) native |= O_DIRECT;
    return native;
}

static int descriptor_open(const char *path, int flags)
{
    int fd = -1;

    do {
        fd = open(path, flags, file_mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

skald_err ski_posix_open(void *context SKALD_UNUSED, const char *path, unsigned flags,
                         ski_file **ret_file, skald_error *reterr_error)
{
    assert(!(flags & SKI_OPEN_NEW) || (flags & SKI_OPEN_CREATE));

    ski_file *file = ski_alloc(sizeof *file);

    if (!file) return ski_posix_fail(reterr_error, path, ENOMEM);
    file->fd = descriptor_open(path, open_flags(flags));
    if (file->fd < 0 && errno == EINVAL && (flags & SKI_OPEN_DIRECT)) { // it cannot
        // It may have been made before that was found out.
        file->fd = descriptor_open(path, open_flags(flags & ~(unsigned)(SKI_OPEN_DIRECT)));
    }
    file->direct = flags & SKI_OPEN_DIRECT;
    if (file->fd < 0) {
        skald_err err = ski_posix_fail(reterr_error, path, errno);

        ski_free(file);
        return err;
    }
    *ret_file = file;
    return SKALD_OK;
}

void ski_posix_close(void *context SKALD_UNUSED, ski_file *file)
{
    if (!file) return;
    close(file->fd); // what matters was synced; Linux frees the descriptor even when this fails
    ski_free(file);
}

skald_err ski_posix_pread(void *context SKALD_UNUSED, ski_file *file, void *buf, size_t len,
                          uint64_t offset, size_t *ret_read)
{
    size_t done = 0;

    while (done < len) {
        size_t part = len - done < transfer_max ? len - done : transfer_max;
        ssize_t got = pread(file->fd, (char *)buf + done, part, (off_t)(offset + done));

        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ski_posix_err(errno);
        if (got == 0) break; // the end of the file
        done += (size_t)got;
        if (file->direct && got % SKI_DIRECT_BYTES) break; // the same: no place to go on from
    }
    *ret_read = done;
    return SKALD_OK;
}

skald_err ski_posix_pread_now(void *context SKALD_UNUSED, ski_file *file, void *buf, size_t len,
                              uint64_t offset)
{
    struct iovec piece = {.iov_base = buf, .iov_len = len};
    ssize_t got = preadv2(file->fd, &piece, 1, (off_t)offset, RWF_NOWAIT);

    return got >= 0 && (size_t)got == len ? SKALD_OK : SKALD_EUNAVAILABLE;
}

skald_err ski_posix_pwrite(void *context SKALD_UNUSED, ski_file *file, const void *bytes,
                           size_t len, uint64_t offset)
{
    size_t done = 0;

    while (done < len) {
        size_t part = len - done < transfer_max ? len - done : transfer_max;
        ssize_t put = pwrite(file->fd, (const char *)bytes + done, part, (off_t)(offset + done));

        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return ski_posix_err(errno);
        if (put == 0) return SKALD_EIO; // no progress and no reason: never loop on it
        done += (size_t)put;
    }
    return SKALD_OK;
}

skald_err ski_posix_sync(void *context SKALD_UNUSED, ski_file *file)
{
    return fdatasync(file->fd) ? ski_posix_err(errno) : SKALD_OK;
}

skald_err ski_posix_forget(void *context, ski_file *file)
{
    int error_number;

    // Only clean pages are dropped, so what is dirty goes to the device first.
    SKALD_TRY(ski_posix_sync(context, file));
    error_number = posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
    return error_number ? ski_posix_err(error_number) : SKALD_OK;
}

skald_err ski_posix_size(void *context SKALD_UNUSED, ski_file *file, uint64_t *ret_size)
{
    struct stat status;

    if (fstat(file->fd, &status)) return ski_posix_err(errno);
    *ret_size = (uint64_t)status.st_size;
    return SKALD_OK;
}

skald_err ski_posix_truncate(void *context SKALD_UNUSED, ski_file *file, uint64_t size)
{
    int result;

    do {
        result = ftruncate(file->fd, (off_t)size);
    } while (result && errno == EINTR);
    return result ? ski_posix_err(errno) : SKALD_OK;
}

skald_err ski_posix_lock(void *context SKALD_UNUSED, ski_file *file)
{
    int result;

    do {
        result = flock(file->fd, LOCK_EX | LOCK_NB);
    } while (result && errno == EINTR);
    return result ? ski_posix_err(errno) : SKALD_OK;
}
