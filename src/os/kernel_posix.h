// SPDX-License-Identifier: Apache-2.0
// os/kernel_posix.h - what the files of the POSIX kernel share. The functions are the slots of
// ski_kernel (kernel.h has their rules); context is not used by any of them.
#ifndef SKI_OS_KERNEL_POSIX_H
#define SKI_OS_KERNEL_POSIX_H

#include "os/kernel.h"

// ski_posix_err maps errno; anything that is not listed in kernel.h is IO.
skald_err ski_posix_err(int error_number);
// ski_posix_fail is ski_posix_err with the path and the cause as text.
skald_err ski_posix_fail(skald_error *reterr_error, const char *path, int error_number);

skald_err ski_posix_open(void *context, const char *path, unsigned flags, ski_file **ret_file,
                         skald_error *reterr_error);
void ski_posix_close(void *context, ski_file *file);
skald_err ski_posix_pread(void *context, ski_file *file, void *buf, size_t len, uint64_t offset,
                          size_t *ret_read);
skald_err ski_posix_pread_now(void *context, ski_file *file, void *buf, size_t len,
                              uint64_t offset);
skald_err ski_posix_pwrite(void *context, ski_file *file, const void *bytes, size_t len,
                           uint64_t offset);
skald_err ski_posix_sync(void *context, ski_file *file);
skald_err ski_posix_forget(void *context, ski_file *file);
skald_err ski_posix_size(void *context, ski_file *file, uint64_t *ret_size);
skald_err ski_posix_truncate(void *context, ski_file *file, uint64_t size);
skald_err ski_posix_lock(void *context, ski_file *file);

skald_err ski_posix_rename(void *context, const char *from, const char *to);
skald_err ski_posix_unlink(void *context, const char *path);
skald_err ski_posix_link(void *context, const char *path, const char *name);
skald_err ski_posix_make_dir(void *context, const char *path);
skald_err ski_posix_sync_dir(void *context, const char *path);
skald_err ski_posix_list(void *context, const char *path,
                         void (*visit)(void *visitor, const char *name), void *visitor);
skald_err ski_posix_room(void *context, const char *path, uint64_t *ret_bytes);

skald_time ski_posix_now(void *context);
uint64_t ski_posix_monotonic_ns(void *context);
void ski_posix_random(void *context, void *bytes, size_t len);
skald_err ski_posix_spawn(void *context, const char *name, void (*run)(void *argument),
                          void *argument, ski_thread *ret_thread);
void ski_posix_join(void *context, ski_thread thread);
void ski_posix_stop(void *context, const char *why);
uint64_t ski_posix_process_id(void *context);

#endif
