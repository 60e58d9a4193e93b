// SPDX-License-Identifier: Apache-2.0
// The real kernel when the operating system fails: this program brings its own pread, fdatasync and
// so on, which the linker prefers to those of libc. They fail when they are told to, else they call
// libc's.
#define _GNU_SOURCE
#include "os/kernel_posix.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const ski_kernel *const kernel = &ski_kernel_system;

// The fault: the named call fails the next `times` times; or moves at most part_max bytes.
static struct {
    const char *call;
    int error_number, times, seen;
    size_t part_max;
} fault;

static void fail_next(const char *call, int error_number, int times)
{
    fault.call = call;
    fault.error_number = error_number;
    fault.times = times;
    fault.seen = 0;
}

static bool fails(const char *call)
{
    if (!fault.call || strcmp(fault.call, call) != 0) return false;
    fault.seen++;
    if (fault.times == 0) return false;
    fault.times--;
    errno = fault.error_number;
    return true;
}

static size_t part_of(size_t len)
{
    return fault.part_max && len > fault.part_max ? fault.part_max : len;
}

// REAL is libc's function of that name (or the sanitizer's, which stands before it).
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode = 0;

    if (fails("open")) return -1;
    if (flags & O_CREAT) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return REAL(open)(path, flags, mode);
}

ssize_t pread(int fd, void *bytes, size_t len, off_t offset)
{
    return fails("pread") ? -1 : REAL(pread)(fd, bytes, part_of(len), offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    if (fails("pwrite")) return fault.error_number ? -1 : 0;
    return REAL(pwrite)(fd, bytes, part_of(len), offset);
}

int fdatasync(int fd)
{
    return fails("fdatasync") ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
    return fails("fsync") ? -1 : REAL(fsync)(fd);
}

int posix_fadvise(int fd, off_t offset, off_t len, int advice)
{
    return fails("posix_fadvise") ? fault.error_number
                                  : REAL(posix_fadvise)(fd, offset, len, advice);
}

int fstat(int fd, struct stat *status)
{
    return fails("fstat") ? -1 : REAL(fstat)(fd, status);
}

int ftruncate(int fd, off_t size)
{
    return fails("ftruncate") ? -1 : REAL(ftruncate)(fd, size);
}

int flock(int fd, int operation)
{
    return fails("flock") ? -1 : REAL(flock)(fd, operation);
}

int mkdir(const char *path, mode_t mode)
{
    return fails("mkdir") ? -1 : REAL(mkdir)(path, mode);
}

struct dirent *readdir(DIR *dir)
{
    return fails("readdir") ? NULL : REAL(readdir)(dir);
}

int statvfs(const char *path, struct statvfs *status)
{
    return fails("statvfs") ? -1 : REAL(statvfs)(path, status);
}

ssize_t getrandom(void *bytes, size_t len, unsigned flags)
{
    return fails("getrandom") ? -1 : REAL(getrandom)(bytes, part_of(len), flags);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    if (fails("pthread_create")) return fault.error_number;
    return REAL(pthread_create)(thread, attributes, run, argument);
}

static char dir[64], path[80];
static ski_file *file;

static int file_make(void **state)
{
    (void)state;
    memset(&fault, 0, sizeof fault);
    snprintf(dir, sizeof dir, "/tmp/skald-fault-test-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/a", dir);
    return (int)kernel->open(NULL, path, SKI_OPEN_WRITE | SKI_OPEN_CREATE, &file, NULL);
}

static int file_remove(void **state)
{
    (void)state;
    memset(&fault, 0, sizeof fault);
    kernel->close(NULL, file);
    unlink(path);
    return rmdir(dir);
}

static void signals_do_not_disturb(void **state)
{
    ski_file *other;
    char bytes[5];
    size_t got;
    uint64_t room;

    (void)state;
    fail_next("open", EINTR, 3);
    assert_int_equal(kernel->open(NULL, path, 0, &other, NULL), SKALD_OK);
    assert_int_equal(fault.seen, 4);
    kernel->close(NULL, other);
    fail_next("open", EINTR, 3);
    assert_int_equal(kernel->sync_dir(NULL, dir), SKALD_OK);
    fail_next("pwrite", EINTR, 3);
    assert_int_equal(kernel->pwrite(NULL, file, "hello", 5, 0), SKALD_OK);
    fail_next("pread", EINTR, 3);
    assert_int_equal(kernel->pread(NULL, file, bytes, 5, 0, &got), SKALD_OK);
    assert_int_equal(got, 5);
    assert_memory_equal(bytes, "hello", 5);
    fail_next("ftruncate", EINTR, 3);
    assert_int_equal(kernel->truncate(NULL, file, 5), SKALD_OK);
    fail_next("flock", EINTR, 3);
    assert_int_equal(kernel->lock(NULL, file), SKALD_OK);
    fail_next("statvfs", EINTR, 3);
    assert_int_equal(kernel->room(NULL, dir, &room), SKALD_OK);
    fail_next("getrandom", EINTR, 3);
    kernel->random(NULL, bytes, 5);
    assert_int_equal(fault.seen, 4);
}

static void parts_make_a_whole(void **state)
{
    static char out[10000], in[10000];
    size_t got;

    (void)state;
    kernel->random(NULL, out, sizeof out);
    fault.part_max = 7;
    assert_int_equal(kernel->pwrite(NULL, file, out, sizeof out, 11), SKALD_OK);
    assert_int_equal(kernel->pread(NULL, file, in, sizeof in, 11, &got), SKALD_OK);
    assert_int_equal(got, sizeof in);
    assert_memory_equal(in, out, sizeof in);
    memset(in, 0, 100);
    kernel->random(NULL, in, 100);
    for (size_t i = 0; i < 84; i++)
        assert_memory_not_equal(in + i, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
}

// Each call of a file fails with each kind of reason.
static void every_failure_of_a_file_is_told(void **state)
{
    static const struct {
        int error_number;
        skald_err err;
    } reasons[] = {{EIO, SKALD_EIO}, {ENOSPC, SKALD_EREADONLY}, {EDQUOT, SKALD_EREADONLY}};
    char byte;
    size_t got = 77;
    uint64_t size = 77;

    (void)state;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        int error_number = reasons[i].error_number;
        skald_err want = reasons[i].err;

        fail_next("pread", error_number, 1);
        assert_int_equal(kernel->pread(NULL, file, &byte, 1, 0, &got), want);
        fail_next("pwrite", error_number, 1);
        assert_int_equal(kernel->pwrite(NULL, file, "x", 1, 0), want);
        fail_next("fdatasync", error_number, 1);
        assert_int_equal(kernel->sync(NULL, file), want);
        fail_next("fdatasync", error_number, 1);
        assert_int_equal(kernel->forget(NULL, file), want);
        fail_next("posix_fadvise", error_number, 1);
        assert_int_equal(kernel->forget(NULL, file), want);
        fail_next("fstat", error_number, 1);
        assert_int_equal(kernel->size(NULL, file, &size), want);
        fail_next("ftruncate", error_number, 1);
        assert_int_equal(kernel->truncate(NULL, file, 1), want);
        fail_next("flock", error_number, 1);
        assert_int_equal(kernel->lock(NULL, file), want);
        fail_next("fsync", error_number, 1);
        assert_int_equal(kernel->sync_dir(NULL, dir), want);
        fail_next("statvfs", error_number, 1);
        assert_int_equal(kernel->room(NULL, dir, &size), want);
        fail_next("mkdir", error_number, 1);
        assert_int_equal(kernel->make_dir(NULL, dir), want);
    }
    assert_int_equal(got, 77); // untouched
    assert_int_equal(size, 77);
}

static void a_sync_is_never_tried_twice(void **state)
{
    (void)state;
    fail_next("fdatasync", EINTR, 1);
    assert_int_equal(kernel->sync(NULL, file), SKALD_EIO);
    assert_int_equal(fault.seen, 1);
    fail_next("fsync", EINTR, 1);
    assert_int_equal(kernel->sync_dir(NULL, dir), SKALD_EIO);
    assert_int_equal(fault.seen, 1);
}

static void a_write_without_progress_ends(void **state)
{
    (void)state;
    fail_next("pwrite", 0, 1000);
    assert_int_equal(kernel->pwrite(NULL, file, "x", 1, 0), SKALD_EIO);
    assert_int_equal(fault.seen, 1);
}

static void visit_count(void *visitor, const char *name)
{
    (void)name;
    ++*(int *)visitor;
}

static void a_listing_that_breaks_off_is_told(void **state)
{
    int seen = 0;

    (void)state;
    fail_next("readdir", EIO, 1);
    assert_int_equal(kernel->list(NULL, dir, visit_count, &seen), SKALD_EIO);
    assert_int_equal(seen, 0);
    assert_int_equal(kernel->list(NULL, dir, visit_count, &seen), SKALD_OK);
    assert_int_equal(seen, 1);
}

static void nobody_runs(void *argument)
{
    (void)argument;
    fail();
}

static void no_thread_is_told(void **state)
{
    ski_thread thread = {77};

    (void)state;
    fail_next("pthread_create", EAGAIN, 1);
    assert_int_equal(kernel->spawn(NULL, "x", nobody_runs, NULL, &thread), SKALD_ENOMEM);
    fail_next("pthread_create", EPERM, 1);
    assert_int_equal(kernel->spawn(NULL, "x", nobody_runs, NULL, &thread), SKALD_EDENIED);
    assert_int_equal(thread.id, 77);
}

static void without_random_bytes_the_program_stops(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        char byte;

        setrlimit(RLIMIT_CORE, &none);
        close(STDERR_FILENO);
        fail_next("getrandom", ENOSYS, 1);
        kernel->random(NULL, &byte, 1);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signals_do_not_disturb, file_make, file_remove),
        cmocka_unit_test_setup_teardown(parts_make_a_whole, file_make, file_remove),
        cmocka_unit_test_setup_teardown(every_failure_of_a_file_is_told, file_make, file_remove),
        cmocka_unit_test_setup_teardown(a_sync_is_never_tried_twice, file_make, file_remove),
        cmocka_unit_test_setup_teardown(a_write_without_progress_ends, file_make, file_remove),
        cmocka_unit_test_setup_teardown(a_listing_that_breaks_off_is_told, file_make, file_remove),
        cmocka_unit_test_setup_teardown(no_thread_is_told, file_make, file_remove),
        cmocka_unit_test(without_random_bytes_the_program_stops),
    };

    return cmocka_run_group_tests_name("kernel_fault", tests, NULL, NULL);
}
