// SPDX-License-Identifier: Apache-2.0
// The real kernel on real files, in a directory of its own. What a healthy machine never does is
// caused in kernel_fault_test.c.
#define _GNU_SOURCE
#include "os/kernel_posix.h"

#include "base/alloc.h"

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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const ski_kernel *const kernel = &ski_kernel_system;

typedef struct place {
    char dir[64];
    char path[96]; // what at() gave last
} place;

static place the_place;

static const char *at(const char *name)
{
    snprintf(the_place.path, sizeof the_place.path, "%s/%s", the_place.dir, name);
    return the_place.path;
}

static void visit_unlink(void *visitor, const char *name)
{
    (void)visitor;
    unlink(at(name));
    rmdir(the_place.path);
}

static int place_make(void **state)
{
    (void)state;
    snprintf(the_place.dir, sizeof the_place.dir, "/tmp/skald-kernel-test-XXXXXX");
    return mkdtemp(the_place.dir) ? 0 : -1;
}

static int place_remove(void **state)
{
    (void)state;
    kernel->list(kernel->context, the_place.dir, visit_unlink, NULL);
    return rmdir(the_place.dir);
}

static ski_file *opened(const char *name, unsigned flags)
{
    ski_file *file = NULL;
    skald_error error = {0};

    assert_int_equal(kernel->open(kernel->context, at(name), flags, &file, &error), SKALD_OK);
    return file;
}

static skald_err open_err(const char *path, unsigned flags, skald_error *ret_error)
{
    ski_file *file = (ski_file *)&the_place;
    skald_err err = kernel->open(kernel->context, path, flags, &file, ret_error);

    if (err) assert_ptr_equal(file, &the_place); // untouched
    return err;
}

// Past the cache: whole pages only, but for the end of a file; and both ways see the same.
static void past_the_cache_and_through_it(void **state)
{
    uint8_t *pages = ski_alloc_aligned(SKI_DIRECT_BYTES, 3 * SKI_DIRECT_BYTES);
    ski_file *file = opened("a", SKI_OPEN_WRITE | SKI_OPEN_CREATE);
    ski_file *direct = opened("a", SKI_OPEN_WRITE | SKI_OPEN_DIRECT);
    char bytes[8];
    size_t got = 0;

    (void)state;
    memset(pages, 'a', 3 * SKI_DIRECT_BYTES);
    assert_int_equal(kernel->pwrite(NULL, direct, pages, 2 * SKI_DIRECT_BYTES, 0), SKALD_OK);
    assert_int_equal(kernel->pread(NULL, file, bytes, 2, SKI_DIRECT_BYTES - 1, &got), SKALD_OK);
    assert_memory_equal(bytes, "aa", 2);
    assert_int_equal(kernel->pwrite(NULL, file, "bcd", 3, 2 * SKI_DIRECT_BYTES - 1), SKALD_OK);
    assert_int_equal(kernel->pread(NULL, direct, pages, 3 * SKI_DIRECT_BYTES, 0, &got), SKALD_OK);
    assert_int_equal(got, 2 * SKI_DIRECT_BYTES + 2);
    assert_memory_equal(pages + 2 * SKI_DIRECT_BYTES - 2, "abcd", 4);
    assert_int_equal(kernel->sync(NULL, file), SKALD_OK);
    kernel->close(NULL, direct);
    kernel->close(NULL, file);
    ski_free(pages);
}

static void what_is_written_is_read(void **state)
{
    char bytes[100];
    size_t got = 0;
    uint64_t size = 0;
    ski_file *file = opened("a", SKI_OPEN_WRITE | SKI_OPEN_CREATE);

    (void)state;
    assert_int_equal(kernel->pwrite(NULL, file, "hello", 5, 3), SKALD_OK);
    assert_int_equal(kernel->pwrite(NULL, file, "", 0, 50), SKALD_OK);
    assert_int_equal(kernel->sync(NULL, file), SKALD_OK);
    assert_int_equal(kernel->size(NULL, file, &size), SKALD_OK);
    assert_int_equal(size, 8);
    assert_int_equal(kernel->pread(NULL, file, bytes, sizeof bytes, 0, &got), SKALD_OK);
    assert_int_equal(got, 8); // fewer only at the end
    assert_memory_equal(bytes, "\0\0\0hello", 8);
    assert_int_equal(kernel->pread(NULL, file, bytes, 2, 4, &got), SKALD_OK);
    assert_int_equal(got, 2);
    assert_memory_equal(bytes, "el", 2);
    assert_int_equal(kernel->pread(NULL, file, bytes, 1, 8, &got), SKALD_OK);
    assert_int_equal(got, 0);
    // Not every file system can say what is in memory; whoever can gives all or nothing.
    if (!kernel->pread_now(NULL, file, bytes, 2, 4)) assert_memory_equal(bytes, "el", 2);
    assert_int_equal(kernel->pread_now(NULL, file, bytes, 2, 7), SKALD_EUNAVAILABLE);

    assert_int_equal(kernel->truncate(NULL, file, 5), SKALD_OK);
    assert_int_equal(kernel->truncate(NULL, file, 20), SKALD_OK);
    assert_int_equal(kernel->forget(NULL, file), SKALD_OK);
    assert_int_equal(kernel->pread(NULL, file, bytes, sizeof bytes, 0, &got), SKALD_OK);
    assert_int_equal(got, 20);
    assert_memory_equal(bytes, "\0\0\0he\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    kernel->close(NULL, file);
    kernel->close(NULL, NULL);
}

static void flags_say_how_it_is_opened(void **state)
{
    skald_error error;
    struct stat status;
    ski_file *file;

    (void)state;
    assert_int_equal(open_err(at("a"), 0, &error), SKALD_ENOTFOUND);
    assert_non_null(strstr(error.text, the_place.path));
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(open_err(at("a"), SKI_OPEN_WRITE, NULL), SKALD_ENOTFOUND);
    kernel->close(NULL, opened("a", SKI_OPEN_WRITE | SKI_OPEN_CREATE | SKI_OPEN_NEW));
    kernel->close(NULL, opened("a", SKI_OPEN_WRITE | SKI_OPEN_CREATE));
    assert_int_equal(open_err(at("a"), SKI_OPEN_WRITE | SKI_OPEN_CREATE | SKI_OPEN_NEW, &error),
                     SKALD_EEXISTS);
    assert_int_equal(error.err, SKALD_EEXISTS);
    assert_int_equal(stat(at("a"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);

    file = opened("a", 0);
    assert_int_equal(kernel->pwrite(NULL, file, "x", 1, 0), SKALD_EIO); // opened to be read
    assert_int_equal(kernel->truncate(NULL, file, 0), SKALD_EIO);
    kernel->close(NULL, file);
    assert_int_equal(open_err(the_place.dir, SKI_OPEN_WRITE, NULL), SKALD_EIO); // a directory
    assert_int_equal(open_err(at("a/b"), 0, NULL), SKALD_EIO);                  // a file in a file
}

static void without_memory_nothing_is_opened(void **state)
{
    skald_error error;

    (void)state;
    ski_alloc_fail_at(1);
    assert_int_equal(open_err(at("a"), SKI_OPEN_WRITE | SKI_OPEN_CREATE, &error), SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    assert_non_null(strstr(error.text, the_place.path));
    assert_int_equal(open_err(at("a"), 0, NULL), SKALD_ENOTFOUND); // not even made
}

static void a_full_disk_is_read_only(void **state)
{
    ski_file *file;

    (void)state;
    assert_int_equal(kernel->open(NULL, "/dev/full", SKI_OPEN_WRITE, &file, NULL), SKALD_OK);
    assert_int_equal(kernel->pwrite(NULL, file, "x", 1, 0), SKALD_EREADONLY);
    kernel->close(NULL, file);
}

// The limit on file sizes lets a first write do a part and fails the next one.
static void a_write_that_did_a_part_goes_on_and_fails(void **state)
{
    static char bytes[8192];
    struct rlimit before, limit;
    ski_file *file = opened("a", SKI_OPEN_WRITE | SKI_OPEN_CREATE);
    uint64_t size;
    skald_err err;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    err = kernel->pwrite(NULL, file, bytes, sizeof bytes, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(err, SKALD_EIO);
    assert_int_equal(kernel->size(NULL, file, &size), SKALD_OK);
    assert_int_equal(size, 4096);
    assert_int_equal(kernel->pwrite(NULL, file, bytes, sizeof bytes, 0), SKALD_OK);
    kernel->close(NULL, file);
}

static void offsets_beyond_all_files_fail(void **state)
{
    char byte;
    size_t got = 77;
    ski_file *file = opened("a", SKI_OPEN_WRITE | SKI_OPEN_CREATE);

    (void)state;
    assert_int_equal(kernel->pread(NULL, file, &byte, 1, UINT64_MAX, &got), SKALD_EIO);
    assert_int_equal(got, 77);
    assert_int_equal(kernel->pwrite(NULL, file, "x", 1, UINT64_MAX), SKALD_EIO);
    assert_int_equal(kernel->truncate(NULL, file, UINT64_MAX), SKALD_EIO);
    kernel->close(NULL, file);
}

static void a_lock_holds_until_it_is_closed(void **state)
{
    ski_file *one = opened("LOCK", SKI_OPEN_WRITE | SKI_OPEN_CREATE);
    ski_file *other = opened("LOCK", SKI_OPEN_WRITE);

    (void)state;
    assert_int_equal(kernel->lock(NULL, one), SKALD_OK);
    assert_int_equal(kernel->lock(NULL, one), SKALD_OK); // held by us already
    assert_int_equal(kernel->lock(NULL, other), SKALD_EHELD);
    kernel->close(NULL, one);
    assert_int_equal(kernel->lock(NULL, other), SKALD_OK);
    kernel->close(NULL, other);
}

static void names_are_moved_and_removed(void **state)
{
    char from[96];
    uint64_t size;
    ski_file *file = opened("a", SKI_OPEN_WRITE | SKI_OPEN_CREATE);

    (void)state;
    assert_int_equal(kernel->pwrite(NULL, file, "abc", 3, 0), SKALD_OK);
    kernel->close(NULL, file);
    kernel->close(NULL, opened("b", SKI_OPEN_WRITE | SKI_OPEN_CREATE));
    memcpy(from, at("a"), sizeof from);
    assert_int_equal(kernel->rename(NULL, from, at("b")), SKALD_OK); // replaces
    assert_int_equal(kernel->sync_dir(NULL, the_place.dir), SKALD_OK);
    assert_int_equal(open_err(from, 0, NULL), SKALD_ENOTFOUND);
    file = opened("b", 0);
    assert_int_equal(kernel->size(NULL, file, &size), SKALD_OK);
    assert_int_equal(size, 3);
    assert_int_equal(kernel->unlink(NULL, at("b")), SKALD_OK);
    assert_int_equal(kernel->size(NULL, file, &size), SKALD_OK); // open files live on
    kernel->close(NULL, file);
    assert_int_equal(kernel->unlink(NULL, at("b")), SKALD_ENOTFOUND);
    assert_int_equal(kernel->rename(NULL, from, at("b")), SKALD_ENOTFOUND);
}

static void a_file_has_a_second_name(void **state)
{
    char from[96];
    ski_file *file = NULL;
    uint64_t size = 0;

    (void)state;
    memcpy(from, at("a"), sizeof from);
    assert_int_equal(kernel->link(NULL, from, at("b")), SKALD_ENOTFOUND);
    assert_int_equal(kernel->open(NULL, from, SKI_OPEN_WRITE | SKI_OPEN_CREATE | SKI_OPEN_NEW,
                                  &file, NULL),
                     SKALD_OK);
    assert_int_equal(kernel->link(NULL, from, at("b")), SKALD_OK);
    assert_int_equal(kernel->link(NULL, from, at("b")), SKALD_EEXISTS);
    assert_int_equal(kernel->pwrite(NULL, file, "abc", 3, 0), SKALD_OK);
    kernel->close(NULL, file);
    assert_int_equal(kernel->unlink(NULL, from), SKALD_OK);
    assert_int_equal(kernel->open(NULL, at("b"), 0, &file, NULL), SKALD_OK);
    assert_int_equal(kernel->size(NULL, file, &size), SKALD_OK);
    assert_int_equal(size, 3);
    kernel->close(NULL, file);
    // Another file system; a kernel that looks for the name first finds none.
    skald_err err = kernel->link(NULL, at("b"), "/proc/b");

    assert_true(err == SKALD_EUNSUPPORTED || err == SKALD_ENOTFOUND);
}

static void visit_count(void *visitor, const char *name)
{
    unsigned *seen = visitor;

    if (strcmp(name, "one") == 0)
        *seen += 1;
    else if (strcmp(name, "two") == 0)
        *seen += 10;
    else if (strcmp(name, ".hidden") == 0)
        *seen += 100;
    else
        *seen += 1000;
}

static void directories_are_made_and_listed(void **state)
{
    unsigned seen = 0;
    struct stat status;

    (void)state;
    assert_int_equal(kernel->make_dir(NULL, at("one")), SKALD_OK);
    assert_int_equal(stat(at("one"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(kernel->make_dir(NULL, at("one")), SKALD_OK); // it is there
    assert_int_equal(kernel->make_dir(NULL, at("none/two")), SKALD_ENOTFOUND);
    kernel->close(NULL, opened("two", SKI_OPEN_WRITE | SKI_OPEN_CREATE));
    kernel->close(NULL, opened(".hidden", SKI_OPEN_WRITE | SKI_OPEN_CREATE));
    assert_int_equal(kernel->make_dir(NULL, at("two")), SKALD_EEXISTS); // a file of that name
    assert_int_equal(symlink("nowhere", at("link")), 0);
    assert_int_equal(kernel->make_dir(NULL, at("link")), SKALD_ENOTFOUND);
    assert_int_equal(kernel->unlink(NULL, at("link")), SKALD_OK);

    assert_int_equal(kernel->list(NULL, the_place.dir, visit_count, &seen), SKALD_OK);
    assert_int_equal(seen, 111);
    assert_int_equal(kernel->list(NULL, at("none"), visit_count, &seen), SKALD_ENOTFOUND);
    assert_int_equal(kernel->sync_dir(NULL, at("none")), SKALD_ENOTFOUND);
    assert_int_equal(kernel->sync_dir(NULL, at("two")), SKALD_EIO); // no directory
}

static void room_is_told(void **state)
{
    uint64_t bytes = 0;

    (void)state;
    assert_int_equal(kernel->room(NULL, the_place.dir, &bytes), SKALD_OK);
    assert_true(bytes > 0);
    bytes = 77;
    assert_int_equal(kernel->room(NULL, at("none"), &bytes), SKALD_ENOTFOUND);
    assert_int_equal(bytes, 77);
}

static void the_clocks_tell_the_time(void **state)
{
    skald_time low = (skald_time)time(NULL) * 1000000 - 1000000;
    skald_time now = kernel->now(kernel->context);
    skald_time high = (skald_time)time(NULL) * 1000000 + 2000000;
    uint64_t first = kernel->monotonic_ns(kernel->context);

    (void)state;
    assert_in_range(now, low, high);
    for (int i = 0; i < 100; i++) {
        uint64_t next = kernel->monotonic_ns(kernel->context);

        assert_true(next >= first);
        first = next;
    }
}

static void random_bytes_fill_everything_and_no_more(void **state)
{
    static uint8_t a[1000], b[1000];

    (void)state;
    memset(a, 0, sizeof a);
    kernel->random(kernel->context, a, 900);
    kernel->random(kernel->context, b, 900);
    assert_memory_not_equal(a, b, 900);
    for (size_t i = 900; i < sizeof a; i++) assert_int_equal(a[i], 0);
    for (size_t i = 0; i + 16 <= 900; i++) { // a stretch of zeros would be one that was left out
        static const uint8_t zeros[16];

        assert_memory_not_equal(a + i, zeros, sizeof zeros);
    }
    kernel->random(kernel->context, NULL, 0);
}

typedef struct seen_inside {
    char name[16];
    sigset_t blocked;
    bool ran;
} seen_inside;

static void look_around(void *argument)
{
    seen_inside *seen = argument;

    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    seen->ran = true;
}

static void threads_have_names_and_see_no_signals(void **state)
{
    seen_inside seen = {.ran = false};
    sigset_t before, after;
    ski_thread thread = {0};

    (void)state;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(kernel->spawn(NULL, "fifteen-letters", look_around, &seen, &thread), SKALD_OK);
    assert_true(thread.id != 0);
    kernel->join(NULL, thread);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_true(seen.ran);
    assert_string_equal(seen.name, "fifteen-letters");
    assert_true(sigismember(&seen.blocked, SIGTERM));
    assert_true(sigismember(&seen.blocked, SIGINT));
    assert_true(sigismember(&seen.blocked, SIGCHLD));
    assert_true(sigismember(&seen.blocked, SIGPIPE));
    assert_false(sigismember(&seen.blocked, SIGSEGV));
    assert_false(sigismember(&seen.blocked, SIGABRT));
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM)); // ours: as
                                                                                   // before
    kernel->join(NULL, (ski_thread){0});                                           // none
}

static void without_memory_no_thread_begins(void **state)
{
    seen_inside seen = {.ran = false};
    ski_thread thread = {77};

    (void)state;
    ski_alloc_fail_at(1);
    assert_int_equal(kernel->spawn(NULL, "x", look_around, &seen, &thread), SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    assert_int_equal(thread.id, 77);
    assert_false(seen.ran);
}

static void stop_says_why_and_aborts(void **state)
{
    char text[200] = "";
    int ends[2], status;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        dup2(ends[1], STDERR_FILENO);
        kernel->stop(kernel->context, "the disk lies");
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    assert_string_equal(text, "skald: stopped: the disk lies\n");
    close(ends[0]);
}

static void every_errno_has_its_error(void **state)
{
    static const struct {
        int error_number;
        skald_err err;
    } rows[] = {
        {ENOSPC, SKALD_EREADONLY}, {EDQUOT, SKALD_EREADONLY}, {ENOENT, SKALD_ENOTFOUND},
        {EEXIST, SKALD_EEXISTS},   {EACCES, SKALD_EDENIED},   {EPERM, SKALD_EDENIED},
        {EROFS, SKALD_EDENIED},    {ENOMEM, SKALD_ENOMEM},    {EWOULDBLOCK, SKALD_EHELD},
        {EIO, SKALD_EIO},          {EBADF, SKALD_EIO},        {EMFILE, SKALD_EIO},
        {4711, SKALD_EIO},
    };
    skald_error error;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(ski_posix_err(rows[i].error_number), rows[i].err);
    assert_int_equal(ski_posix_fail(&error, "/x/y", EACCES), SKALD_EDENIED);
    assert_string_equal(error.text, "/x/y: Permission denied");
    assert_int_equal(kernel->process_id(NULL), getpid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, place_make, place_remove),
        cmocka_unit_test_setup_teardown(past_the_cache_and_through_it, place_make, place_remove),
        cmocka_unit_test_setup_teardown(flags_say_how_it_is_opened, place_make, place_remove),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_opened, place_make, place_remove),
        cmocka_unit_test(a_full_disk_is_read_only),
        cmocka_unit_test_setup_teardown(a_write_that_did_a_part_goes_on_and_fails, place_make,
                                        place_remove),
        cmocka_unit_test_setup_teardown(offsets_beyond_all_files_fail, place_make, place_remove),
        cmocka_unit_test_setup_teardown(a_lock_holds_until_it_is_closed, place_make, place_remove),
        cmocka_unit_test_setup_teardown(names_are_moved_and_removed, place_make, place_remove),
        cmocka_unit_test_setup_teardown(a_file_has_a_second_name, place_make, place_remove),
        cmocka_unit_test_setup_teardown(directories_are_made_and_listed, place_make, place_remove),
        cmocka_unit_test_setup_teardown(room_is_told, place_make, place_remove),
        cmocka_unit_test(the_clocks_tell_the_time),
        cmocka_unit_test(random_bytes_fill_everything_and_no_more),
        cmocka_unit_test(threads_have_names_and_see_no_signals),
        cmocka_unit_test(without_memory_no_thread_begins),
        cmocka_unit_test(stop_says_why_and_aborts),
        cmocka_unit_test(every_errno_has_its_error),
    };

    return cmocka_run_group_tests_name("kernel_posix", tests, NULL, NULL);
}
