// SPDX-License-Identifier: Apache-2.0
// os/kernel.h - the only caller of the operating system for files, clock, random and threads, as
// one table of functions. Storage reaches the world through it alone, so a simulator can replace
// it.
//
// Threads. Every function may be called from any thread; a file may be read by several at once and
// written by one at a time.
#ifndef SKI_OS_KERNEL_H
#define SKI_OS_KERNEL_H

#include <skald/base.h>

typedef struct ski_file ski_file; // the kernel's own

enum {
    SKI_OPEN_WRITE = 1,  // else read only
    SKI_OPEN_CREATE = 2, // if it is not there
    SKI_OPEN_NEW = 4,    // with CREATE: EXISTS if it is there
    // What is written and read bypasses the cache where the file system can do that; then memory,
    // length and offset of every write and read are multiples of SKI_DIRECT_BYTES. The same file
    // opened without this sees what is written, and the other way round.
    SKI_OPEN_DIRECT = 8,
};

enum { SKI_DIRECT_BYTES = 4096 };

typedef struct ski_thread {
    uint64_t id; // 0: none
} ski_thread;

// Errors: NOTFOUND (no such file), EXISTS, DENIED (permission), READONLY (no space left), HELD
// (lock), NOMEM, IO (anything else). reterr_error, where there is one, may be NULL and names the
// path and the cause.
typedef struct ski_kernel {
    void *context; // first argument of every function

    skald_err (*open)(void *context, const char *path, unsigned flags, ski_file **ret_file,
                      skald_error *reterr_error);
    void (*close)(void *context, ski_file *file);
    // pread gives fewer bytes than asked for only at the end of the file.
    skald_err (*pread)(void *context, ski_file *file, void *buf, size_t len, uint64_t offset,
                       size_t *ret_read);
    // pread_now reads all of it if that need not wait for the device, else UNAVAILABLE, as where
    // that cannot be known. NULL: this kernel never knows.
    skald_err (*pread_now)(void *context, ski_file *file, void *buf, size_t len, uint64_t offset);
    // pwrite writes everything or fails, and then any part of it may be there.
    skald_err (*pwrite)(void *context, ski_file *file, const void *bytes, size_t len,
                        uint64_t offset);
    // sync: data, and the size if it changed, are on the device (fdatasync). An error means that
    // what was written since the last one may be lost though it can still be read: never sync
    // again, stop.
    skald_err (*sync)(void *context, ski_file *file);
    // forget drops what is cached of a file, so that the next read comes from the device.
    skald_err (*forget)(void *context, ski_file *file);
    skald_err (*size)(void *context, ski_file *file, uint64_t *ret_size);
    skald_err (*truncate)(void *context, ski_file *file, uint64_t size);
    // lock takes the file for this process (flock), not waiting: HELD. It ends with close.
    skald_err (*lock)(void *context, ski_file *file);

    skald_err (*rename)(void *context, const char *from, const char *to); // replaces to
    skald_err (*unlink)(void *context, const char *path);
    // link gives a file a second name: EXISTS; UNSUPPORTED: not here, or not from this file system
    // to that one. NULL: this kernel has none.
    skald_err (*link)(void *context, const char *path, const char *name);
    skald_err (*make_dir)(void *context, const char *path); // OK if it is there;
                                                            // parents are not made
    skald_err (*sync_dir)(void *context, const char *path); // names made, moved, removed in it are
                                                            // on the device
    // list visits every name in a directory but . and .., in no order; the visitor must not change
    // it.
    skald_err (*list)(void *context, const char *path,
                      void (*visit)(void *visitor, const char *name), void *visitor);
    // room: bytes free for this user on the file system of path.
    skald_err (*room)(void *context, const char *path, uint64_t *ret_bytes);

    skald_time (*now)(void *context);
    uint64_t (*monotonic_ns)(void *context);
    void (*random)(void *context, void *bytes, size_t len);

    // spawn is NULL in a simulation: whoever wants a thread is stepped instead. name: at most 15
    // bytes, shown by top.
    skald_err (*spawn)(void *context, const char *name, void (*run)(void *argument), void *argument,
                       ski_thread *ret_thread);
    void (*join)(void *context, ski_thread thread);
    // stop ends the process at once (abort): the state on disk is not known any more. A simulation
    // records it and returns; the caller must then do nothing further.
    void (*stop)(void *context, const char *why);
    uint64_t (*process_id)(void *context);
} ski_kernel;

extern const ski_kernel ski_kernel_system; // POSIX

// What is made of the table.
skald_err ski_kernel_make_dirs(const ski_kernel *kernel, const char *path,
                               skald_error *reterr_error); // parents too
skald_err ski_kernel_read_file(const ski_kernel *kernel, const char *path, skald_buf *buf,
                               skald_error *reterr_error);
// ski_kernel_clock is the kernel's time as a skald_clock; it borrows kernel.
skald_clock ski_kernel_clock(const ski_kernel *kernel);

#endif
