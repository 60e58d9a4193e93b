// SPDX-License-Identifier: Apache-2.0
// Names: what is made, moved and removed in directories, and how much room there is.
#define _GNU_SOURCE // O_DIRECTORY
#include "os/kernel_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { dir_mode = 0700 }; // events are nobody else's business

skald_err ski_posix_rename(void *context SKALD_UNUSED, const char *from, const char *to)
{
    return rename(from, to) ? ski_posix_err(errno) : SKALD_OK;
}

skald_err ski_posix_unlink(void *context SKALD_UNUSED, const char *path)
{
    return unlink(path) ? ski_posix_err(errno) : SKALD_OK;
}

skald_err ski_posix_link(void *context SKALD_UNUSED, const char *path, const char *name)
{
    if (link(path, name) == 0) return SKALD_OK;
    switch (errno) {
    case EXDEV:
    case EPERM: // the file system has no links, or a rule of the machine is against it
    case EOPNOTSUPP:
    case EMLINK: return SKALD_EUNSUPPORTED;
    default: return ski_posix_err(errno);
    }
}

skald_err ski_posix_make_dir(void *context SKALD_UNUSED, const char *path)
{
    struct stat status;

    if (mkdir(path, dir_mode) == 0) return SKALD_OK;
    if (errno != EEXIST) return ski_posix_err(errno);
    if (stat(path, &status)) return ski_posix_err(errno); // a link to nowhere, for one
    return S_ISDIR(status.st_mode) ? SKALD_OK : SKALD_EEXISTS;
}

skald_err ski_posix_sync_dir(void *context SKALD_UNUSED, const char *path)
{
    skald_err err = SKALD_OK;
    int fd;

    do {
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return ski_posix_err(errno);
    if (fsync(fd)) err = ski_posix_err(errno); // not tried twice: see kernel_posix_file.c
    close(fd);
    return err;
}

skald_err ski_posix_list(void *context SKALD_UNUSED, const char *path,
                         void (*visit)(void *visitor, const char *name), void *visitor)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int error_number;

    if (!dir) return ski_posix_err(errno);
    for (;;) {
        errno = 0;
        entry = readdir(dir);
        if (!entry) break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            visit(visitor, entry->d_name);
    }
    error_number = errno; // 0: that was all
    closedir(dir);
    return error_number ? ski_posix_err(error_number) : SKALD_OK;
}

skald_err ski_posix_room(void *context SKALD_UNUSED, const char *path, uint64_t *ret_bytes)
{
    struct statvfs status;
    int result;

    do {
        result = statvfs(path, &status);
    } while (result && errno == EINTR);
    if (result) return ski_posix_err(errno);
    *ret_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return SKALD_OK;
}
