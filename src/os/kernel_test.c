// SPDX-License-Identifier: Apache-2.0
// What is made of the table, on a kernel of paper that writes down what it is asked and fails when
// told to.
#include "os/kernel.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct paper {
    char calls[512];   // "make a; sync .; "
    char there[8][64]; // directories
    size_t there_count;
    const char *fails;   // this call
    skald_err err;       // like that
    const char *content; // of the only file
    uint64_t size;       // it claims
    int opened;
} paper;

static void write_down(paper *on, const char *call, const char *path)
{
    size_t len = strlen(on->calls);

    snprintf(on->calls + len, sizeof on->calls - len, "%s %s; ", call, path);
}

static skald_err outcome(const paper *of, const char *call)
{
    return of->fails && strcmp(of->fails, call) == 0 ? of->err : SKALD_OK;
}

static bool is_there(const paper *on, const char *path)
{
    for (size_t i = 0; i < on->there_count; i++) {
        if (strcmp(on->there[i], path) == 0) return true;
    }
    return false;
}

static skald_err paper_make_dir(void *context, const char *path)
{
    paper *on = context;

    write_down(on, "make", path);
    SKALD_TRY(outcome(on, "make"));
    if (!is_there(on, path)) snprintf(on->there[on->there_count++], 64, "%s", path);
    return SKALD_OK;
}

static skald_err paper_sync_dir(void *context, const char *path)
{
    paper *on = context;

    write_down(on, "sync", path);
    return outcome(on, "sync");
}

static skald_err paper_list(void *context, const char *path,
                            void (*visit)(void *visitor, const char *name), void *visitor)
{
    SKALD_TRY(outcome(context, "list"));
    if (!is_there(context, path)) return SKALD_ENOTFOUND;
    visit(visitor, "name");
    return SKALD_OK;
}

static skald_err paper_open(void *context, const char *path, unsigned flags, ski_file **ret_file,
                            skald_error *reterr_error)
{
    paper *on = context;

    assert_int_equal(flags, 0);
    if (outcome(on, "open")) return skald_fail(reterr_error, on->err, "%s: paper", path);
    on->opened++;
    *ret_file = (ski_file *)on;
    return SKALD_OK;
}

static void paper_close(void *context, ski_file *file)
{
    paper *on = context;

    assert_ptr_equal(file, on);
    on->opened--;
}

static skald_err paper_size(void *context, ski_file *file, uint64_t *ret_size)
{
    const paper *on = context;

    (void)file;
    SKALD_TRY(outcome(on, "size"));
    *ret_size = on->size;
    return SKALD_OK;
}

static skald_err paper_pread(void *context, ski_file *file, void *buf, size_t len, uint64_t offset,
                             size_t *ret_read)
{
    const paper *on = context;
    size_t there = strlen(on->content);

    (void)file;
    assert_int_equal(offset, 0);
    SKALD_TRY(outcome(on, "pread"));
    *ret_read = there < len ? there : len;
    memcpy(buf, on->content, *ret_read);
    return SKALD_OK;
}

static skald_time paper_now(void *context)
{
    return ((paper *)context)->opened;
}

static uint64_t paper_monotonic_ns(void *context)
{
    return (uint64_t)((paper *)context)->opened * 2;
}

static ski_kernel kernel_on(paper *on)
{
    return (ski_kernel){.context = on,
                        .open = paper_open,
                        .close = paper_close,
                        .pread = paper_pread,
                        .size = paper_size,
                        .make_dir = paper_make_dir,
                        .sync_dir = paper_sync_dir,
                        .list = paper_list,
                        .now = paper_now,
                        .monotonic_ns = paper_monotonic_ns};
}

static void assert_makes(const char *path, const char *calls)
{
    paper on = {.there = {"/", ".", "/var"}, .there_count = 3};
    ski_kernel kernel = kernel_on(&on);
    skald_error error;

    assert_int_equal(ski_kernel_make_dirs(&kernel, path, &error), SKALD_OK);
    assert_string_equal(on.calls, calls);
}

static void new_directories_are_synced_into_their_parents(void **state)
{
    (void)state;
    assert_makes("a", "make a; sync .; ");
    assert_makes("a/", "make a; sync .; ");
    assert_makes("./a", "make .; make ./a; sync .; ");
    assert_makes("a/b/c", "make a; sync .; make a/b; sync a; make a/b/c; sync a/b; ");
    assert_makes("/a", "make /a; sync /; ");
    assert_makes("//a", "make //a; sync /; ");
    assert_makes("/var/a//b//", "make /var; make /var/a; sync /var; make /var/a//b; sync /var/a; ");
    assert_makes("/", "make /; ");
    assert_makes("///", "make /; ");
}

static void an_empty_name_is_refused(void **state)
{
    paper on = {.opened = 0};
    ski_kernel kernel = kernel_on(&on);
    skald_error error;

    (void)state;
    assert_int_equal(ski_kernel_make_dirs(&kernel, "", &error), SKALD_EINVALID);
    assert_string_equal(on.calls, "");
}

static void what_cannot_be_made_is_told(void **state)
{
    static const char *const calls[] = {"make", "sync"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        paper on = {.fails = calls[i], .err = SKALD_EDENIED};
        ski_kernel kernel = kernel_on(&on);
        skald_error error;

        assert_int_equal(ski_kernel_make_dirs(&kernel, "a/b", &error), SKALD_EDENIED);
        assert_int_equal(error.err, SKALD_EDENIED);
        assert_string_equal(error.text, "the directory a cannot be made: you may not do this");
        assert_int_equal(ski_kernel_make_dirs(&kernel, "a/b", NULL), SKALD_EDENIED);
    }
}

static void a_parent_that_may_not_be_listed_is_no_obstacle(void **state)
{
    paper on = {.fails = "list", .err = SKALD_EDENIED};
    ski_kernel kernel = kernel_on(&on);

    (void)state;
    assert_int_equal(ski_kernel_make_dirs(&kernel, "a", NULL), SKALD_OK);
    assert_string_equal(on.calls, "make a; ");
}

static void making_without_memory_is_told(void **state)
{
    skald_err err;
    uint64_t n = 0;

    (void)state;
    do {
        paper on = {.opened = 0};
        ski_kernel kernel = kernel_on(&on);
        skald_error error;

        ski_alloc_fail_at(++n);
        err = ski_kernel_make_dirs(&kernel, "a/b", &error);
        ski_alloc_fail_at(0);
        if (err) assert_int_equal(error.err, SKALD_ENOMEM);
    } while (err);
    assert_int_equal(n, 3);
}

static void a_file_is_read_behind_what_is_there(void **state)
{
    paper on = {.content = "content", .size = 7};
    ski_kernel kernel = kernel_on(&on);
    skald_buf buf = {.bytes_max = 10};

    (void)state;
    assert_int_equal(skald_buf_put(&buf, SKALD_STR("abc")), SKALD_OK);
    assert_int_equal(ski_kernel_read_file(&kernel, "f", &buf, NULL), SKALD_OK); // just fits
    assert_true(skald_str_equal(ski_buf_str(&buf), SKALD_STR("abccontent")));
    on.size = 0;
    assert_int_equal(ski_kernel_read_file(&kernel, "f", &buf, NULL), SKALD_OK); // empty
    assert_int_equal(buf.len, 10);
    assert_int_equal(on.opened, 0);
    skald_buf_fini(&buf);
}

static void a_file_that_shrinks_is_what_is_left(void **state)
{
    paper on = {.content = "con", .size = 7};
    ski_kernel kernel = kernel_on(&on);
    skald_buf buf = {.bytes_max = 10};

    (void)state;
    assert_int_equal(ski_kernel_read_file(&kernel, "f", &buf, NULL), SKALD_OK);
    assert_true(skald_str_equal(ski_buf_str(&buf), SKALD_STR("con")));
    skald_buf_fini(&buf);
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    static const struct {
        const char *fails, *text;
    } rows[] = {{"open", "f: paper"},
                {"size", "f: the operating system reports an error"},
                {"pread", "f: the operating system reports an error"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        paper on = {.content = "con", .size = 3, .fails = rows[i].fails, .err = SKALD_EIO};
        ski_kernel kernel = kernel_on(&on);
        skald_buf buf = {.bytes_max = 10};
        skald_error error;

        assert_int_equal(ski_kernel_read_file(&kernel, "f", &buf, &error), SKALD_EIO);
        assert_string_equal(error.text, rows[i].text);
        assert_int_equal(buf.len, 0);
        assert_int_equal(on.opened, 0);
        skald_buf_fini(&buf);
    }
}

static void a_file_too_large_is_told(void **state)
{
    paper on = {.content = "content", .size = 7};
    ski_kernel kernel = kernel_on(&on);
    skald_buf buf = {.bytes_max = 6};
    skald_error error;

    (void)state;
    assert_int_equal(ski_kernel_read_file(&kernel, "f", &buf, &error), SKALD_ETOOBIG);
    assert_string_equal(error.text, "f: larger than the 6 bytes allowed");
    assert_null(buf.ptr);
    on.size = UINT64_MAX;
    assert_int_equal(ski_kernel_read_file(&kernel, "f", &buf, NULL), SKALD_ETOOBIG);

    on.size = 6;
    ski_alloc_fail_at(1);
    assert_int_equal(ski_kernel_read_file(&kernel, "f", &buf, &error), SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    assert_int_equal(error.err, SKALD_ENOMEM);
    assert_int_equal(on.opened, 0);
}

static void the_clock_is_the_kernels(void **state)
{
    paper on = {.opened = 21};
    ski_kernel kernel = kernel_on(&on);
    skald_clock clock = ski_kernel_clock(&kernel);

    (void)state;
    assert_int_equal(clock.now(clock.context), 21);
    assert_int_equal(clock.monotonic_ns(clock.context), 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_directories_are_synced_into_their_parents),
        cmocka_unit_test(an_empty_name_is_refused),
        cmocka_unit_test(what_cannot_be_made_is_told),
        cmocka_unit_test(a_parent_that_may_not_be_listed_is_no_obstacle),
        cmocka_unit_test(making_without_memory_is_told),
        cmocka_unit_test(a_file_is_read_behind_what_is_there),
        cmocka_unit_test(a_file_that_shrinks_is_what_is_left),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told),
        cmocka_unit_test(a_file_too_large_is_told),
        cmocka_unit_test(the_clock_is_the_kernels),
    };

    return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
