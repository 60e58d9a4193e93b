// SPDX-License-Identifier: Apache-2.0
// store/log/log_world.h - for the tests of the log driver: a directory of their own, and a kernel
// that does as the real one until it is told to fail. Included by one test program each.
#ifndef SKI_STORE_LOG_LOG_WORLD_H
#define SKI_STORE_LOG_LOG_WORLD_H

#include "base/alloc.h"
#include "os/kernel.h"
#include "store/log/log.h"
#include "store/store.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef enum world_call { CALL_NONE, CALL_PWRITE, CALL_SYNC, CALL_PREAD, CALL_OPEN } world_call;

typedef struct world {
    char base[200];
    char path[256]; // the store's directory
    char url[300];
    ski_kernel kernel;
    skald_clock clock;
    skald_log log;
    // The fault: from the call number fail_from on, fail_count calls of this kind end in fail_err.
    // fail_part: a pwrite writes so many bytes before it does.
    world_call fail_call;
    uint64_t fail_from, fail_count, calls;
    size_t fail_part;
    skald_err fail_err;
    uint64_t stopped;  // calls of stop
    uint64_t later_ns; // added to the time
    uint64_t advanced; // what the host was told
    void *mine;        // for calls that a test puts into the kernel
    skald_store_host host;
} world;

static bool world_fails(world *w, world_call call)
{
    if (w->fail_call != call) return false;
    w->calls++;
    return w->calls >= w->fail_from && w->calls < w->fail_from + w->fail_count;
}

static inline void world_fail(world *w, world_call call, uint64_t from, uint64_t count,
                              skald_err err)
{
    w->fail_call = call;
    w->fail_from = from;
    w->fail_count = count;
    w->fail_err = err;
    w->fail_part = 0;
    w->calls = 0;
}

static skald_err world_pwrite(void *context, ski_file *file, const void *bytes, size_t len,
                              uint64_t offset)
{
    world *w = context;

    if (!world_fails(w, CALL_PWRITE)) {
        return ski_kernel_system.pwrite(NULL, file, bytes, len, offset);
    }
    if (w->fail_part && w->fail_part < len) {
        assert_int_equal(ski_kernel_system.pwrite(NULL, file, bytes, w->fail_part, offset),
                         SKALD_OK);
    }
    return w->fail_err;
}

static skald_err world_pread(void *context, ski_file *file, void *buf, size_t len, uint64_t offset,
                             size_t *ret_read)
{
    world *w = context;

    if (world_fails(w, CALL_PREAD)) return w->fail_err;
    return ski_kernel_system.pread(NULL, file, buf, len, offset, ret_read);
}

static skald_err world_sync(void *context, ski_file *file)
{
    world *w = context;

    if (world_fails(w, CALL_SYNC)) return w->fail_err;
    return ski_kernel_system.sync(NULL, file);
}

static skald_err world_open_file(void *context, const char *path, unsigned flags,
                                 ski_file **ret_file, skald_error *reterr_error)
{
    world *w = context;

    if (world_fails(w, CALL_OPEN)) return w->fail_err;
    return ski_kernel_system.open(NULL, path, flags, ret_file, reterr_error);
}

static void world_stop(void *context, const char *why)
{
    (void)why;
    ((world *)context)->stopped++;
}

static uint64_t world_ns(void *context)
{
    return ski_kernel_system.monotonic_ns(NULL) + ((world *)context)->later_ns;
}

static void world_advanced(void *context, uint64_t position)
{
    ((world *)context)->advanced = position;
}

static void world_line(void *context, skald_level level, skald_str line)
{
    (void)context;
    (void)level;
    (void)line;
}

static int world_setup(void **state)
{
    world *w = ski_alloc_zeroed(1, sizeof *w);
    const char *base = getenv("TMPDIR");

    (void)snprintf(w->base, sizeof w->base, "%s/skald-log-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(w->base)) return -1; // style: the same
    (void)snprintf(w->path, sizeof w->path, "%s/store", w->base);
    (void)snprintf(w->url, sizeof w->url, "log:%s", w->path);
    w->kernel = ski_kernel_system;
    w->kernel.context = w;
    w->kernel.pwrite = world_pwrite;
    w->kernel.pread = world_pread;
    w->kernel.sync = world_sync;
    w->kernel.open = world_open_file;
    w->kernel.stop = world_stop;
    w->kernel.monotonic_ns = world_ns;
    w->kernel.spawn = NULL; // stepped, unless the test says otherwise
    w->clock = ski_kernel_clock(&w->kernel);
    w->log = (skald_log){.line = world_line};
    w->host = (skald_store_host){&w->clock, &w->log, &w->kernel, world_advanced, w};
    *state = w;
    return 0;
}

static int world_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path); // style: the same
}

static int world_teardown(void **state)
{
    world *w = *state;

    (void)nftw(w->base, world_remove, 16, FTW_DEPTH | FTW_PHYS);
    ski_free(w);
    return 0;
}

// world_flip turns bits of a byte of a file of the store; twice is as before.
static inline void world_flip(const world *w, const char *name, uint64_t at, uint8_t bits)
{
    char path[400];
    FILE *file = NULL;
    int byte = 0;

    (void)snprintf(path, sizeof path, "%s/%s", w->path, name);
    file = fopen(path, "r+b"); // style: for tests
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0); // style: for tests
    byte = fgetc(file);
    assert_int_not_equal(byte, EOF);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0); // style: for tests
    assert_int_equal(fputc(byte ^ bits, file), byte ^ bits);
    (void)fclose(file); // style: for tests
}

static inline void *world_open(world *w, const skald_store_options *options)
{
    void *driver = NULL;
    skald_error error = {0};
    skald_err err = ski_store_log.open(w->path, options, &w->host, &driver, &error);

    if (err) fail_msg("open: %s %s", skald_err_name(err), error.text);
    return driver;
}

// world_refuses opens a store that must not open.
static inline void world_refuses(world *w, const skald_store_options *options, skald_err err,
                                 const char *part)
{
    void *driver = NULL;
    skald_error error = {0};

    assert_int_equal(ski_store_log.open(w->path, options, &w->host, &driver, &error), err);
    if (!strstr(error.text, part)) fail_msg("'%s' does not say '%s'", error.text, part);
}

static inline skald_uuid world_id(uint64_t n)
{
    skald_uuid id = {{1}};

    memcpy(id.bytes + 8, &n, sizeof n);
    return id;
}

// world_data is the data of the event of a number: as JSON, so many bytes.
static inline skald_json world_data(uint64_t n, size_t len, char *room)
{
    int head = snprintf(room, len + 1, "\"%llu-", (unsigned long long)n);

    memset(room + head, 'a' + (int)(n % 26), len - (size_t)head);
    room[len - 1] = '"';
    return (skald_json){room, len};
}

typedef struct world_batch {
    skald_store_batch batch;
    skald_event event;
    char data[4096];
    skald_err told;
    int tells;
} world_batch;

static void world_done(skald_store_batch *batch, skald_err err)
{
    world_batch *mine = batch->context;

    mine->told = err;
    mine->tells++;
}

static inline skald_event world_event(uint64_t n, skald_str data)
{
    return (skald_event){.type = SKALD_STR("test.happened"),
                         .id = world_id(n),
                         .tenant = SKALD_STR(""),
                         .stream = SKALD_STR("stream-1"),
                         .correlation_id = SKALD_STR("corr"),
                         .occurred_at = 1,
                         .version = 1,
                         .data = data};
}

// world_batch_make is one event of a number, with len bytes of data.
static inline void world_batch_make(world_batch *mine, uint64_t n, size_t len)
{
    memset(mine, 0, sizeof *mine);
    mine->event = world_event(n, world_data(n, len, mine->data));
    mine->batch = (skald_store_batch){
        .events = &mine->event, .event_count = 1, .done = world_done, .context = mine};
}

static inline skald_err world_append(void *driver, uint64_t n, size_t len)
{
    world_batch *mine = ski_alloc(sizeof *mine);
    skald_err err = SKALD_OK;

    world_batch_make(mine, n, len);
    err = ski_store_log.commit(driver, &mine->batch);
    if (!err) {
        assert_int_equal(mine->tells, 1);
        err = mine->told;
    }
    ski_free(mine);
    return err;
}

// world_check reads every event from first on and compares it; returns how many there are.
static inline uint64_t world_check(void *driver, uint64_t first, size_t len)
{
    skald_read read = {.page_bytes_max = 64 * 1024, .after = first - 1};
    uint64_t n = first;
    bool end = false;
    char *data = ski_alloc(len + 1);

    while (!end) {
        skald_store_page page = {0};
        skald_error error = {0};
        skald_err err = ski_store_log.read(driver, &read, &page, &error);

        if (err) fail_msg("read: %s", error.text);
        for (size_t i = 0; i < page.count; i++, n++) {
            assert_int_equal(page.events[i].position, n);
            assert_true(skald_uuid_equal(page.events[i].id, world_id(n)));
            assert_true(skald_str_equal(page.events[i].data, world_data(n, len, data)));
        }
        read.after = page.position_next;
        end = page.end;
        ski_store_log.page_free(driver, &page);
    }
    ski_free(data);
    return n - first;
}

#endif
