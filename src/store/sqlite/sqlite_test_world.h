// SPDX-License-Identifier: Apache-2.0
// What the tests of the sqlite driver share: a store in a directory of its own, with the real
// kernel but for its monotonic clock, its stop and, when told so, its threads.
#ifndef SKI_STORE_SQLITE_SQLITE_TEST_WORLD_H
#define SKI_STORE_SQLITE_SQLITE_TEST_WORLD_H

#include "store/handle.h"
#include "store/sqlite/sqlite.h"
#include <sqlite3.h>

// cmocka wants these before itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct world {
    char directory[256], path[300], url[320];
    ski_kernel kernel;
    uint64_t now_ns;
    int stops;
    skald_store_options options;
    skald_store *store;
} world;

static uint64_t world_monotonic(void *context)
{
    return ((world *)context)->now_ns;
}

static void world_stop(void *context, const char *why)
{
    (void)why;
    ((world *)context)->stops++;
}

// The kernel's functions that were not replaced take no context.
static SKALD_UNUSED skald_err world_open_as(world *w, skald_error *reterr_error)
{
    return ski_store_open_on(&w->kernel, w->url, &w->options, &w->store, reterr_error);
}

static SKALD_UNUSED void world_open(world *w)
{
    skald_error error = {0};

    if (world_open_as(w, &error)) fail_msg("%s: %s", w->url, error.text);
}

static SKALD_UNUSED void world_close(world *w)
{
    skald_store_close(w->store);
    w->store = NULL;
}

static SKALD_UNUSED void world_reopen(world *w)
{
    world_close(w);
    world_open(w);
}

static SKALD_UNUSED int world_setup(void **state)
{
    const char *base = getenv("TMPDIR");
    world *w = test_calloc(1, sizeof(*w));

    (void)snprintf(w->directory, sizeof(w->directory), "%s/skald-sqlite-XXXXXX",
                   base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(w->directory));
    (void)snprintf(w->path, sizeof(w->path), "%s/s.db", w->directory);
    (void)snprintf(w->url, sizeof(w->url), "sqlite:%s", w->path);
    assert_null(ski_kernel_system.context); // so it may be ours
    w->kernel = ski_kernel_system;
    w->kernel.context = w;
    w->kernel.monotonic_ns = world_monotonic;
    w->kernel.stop = world_stop;
    *state = w;
    return 0;
}

static int world_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static SKALD_UNUSED int world_teardown(void **state)
{
    world *w = *state;

    world_close(w);
    (void)nftw(w->directory, world_remove, 16, FTW_DEPTH | FTW_PHYS);
    test_free(w);
    return 0;
}

// append puts one event on a stream; its data is the number.
static SKALD_UNUSED skald_err append(world *w, const char *type, const char *stream, int number,
                                     skald_error *reterr_error)
{
    char data[64];
    skald_event event = {.type = skald_str_of(type), .stream = skald_str_of(stream)};

    (void)snprintf(data, sizeof(data), "\"number %d is kept here\"", number);
    event.data = skald_str_of(data);
    return skald_store_append(w->store, &event, 1, NULL, NULL, reterr_error);
}

static SKALD_UNUSED void append_many(world *w, int from, int count)
{
    char stream[16];

    for (int i = from; i < from + count; i++) {
        (void)snprintf(stream, sizeof(stream), "s-%d", i % 3);
        assert_int_equal(append(w, i % 2 ? "t.odd" : "t.even", stream, i, NULL), SKALD_OK);
    }
}

// count_events reads everything; each damage met is counted and gone past.
static SKALD_UNUSED size_t count_events(world *w, const skald_read *read, size_t *ret_damages)
{
    const skald_event *event = NULL;
    size_t count = 0, damages = 0;
    skald_cursor *cursor;

    assert_int_equal(skald_cursor_open(w->store, read, &cursor), SKALD_OK);
    for (;;) {
        skald_error error = {0};
        skald_err err = skald_cursor_next(cursor, &event, &error);

        if (err) {
            assert_int_equal(err, SKALD_ECORRUPT);
            assert_non_null(strstr(error.text, "positions"));
            assert_true(++damages < 1000);
            continue;
        }
        if (!event) break;
        count++;
    }
    skald_cursor_close(cursor);
    if (ret_damages) *ret_damages = damages;
    return count;
}

// tamper changes a file that no store has open.
static SKALD_UNUSED void tamper(const world *w, const char *sql)
{
    char *error = NULL;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) fail_msg("%s: %s", sql, error);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

#endif
