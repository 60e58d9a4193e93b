// SPDX-License-Identifier: Apache-2.0
// Ours: the log driver, at its defaults.
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>

static void *skald_open(const char *folder)
{
    skald_store *store = NULL;
    skald_error error = {0};
    char url[600];

    (void)snprintf(url, sizeof url, "log:%s/store", folder);
    if (!skald_store_open(url, NULL, &store, &error)) return store;
    bench_note("%s", error.text);
    return NULL;
}

static void skald_close(void *engine)
{
    skald_store_close(engine);
}

static bool skald_append(void *engine, uint64_t first, size_t count)
{
    skald_event *events = calloc(count, sizeof *events); // style: a program's own
    bench_texts *texts = calloc(count, sizeof *texts);   // style: a program's own
    bool done = events && texts;

    for (size_t i = 0; done && i < count; i++) {
        bench_event_fill(first + i, &texts[i], &events[i]);
        events[i].id = bench_number_id(first + i);
    }
    done = done && skald_store_append(engine, events, count, NULL, NULL, NULL) == SKALD_OK;
    free(events);
    free(texts);
    return done;
}

static bool skald_read_look(void *engine, bench_look look, uint64_t n, bench_seen *seen)
{
    skald_read read = {.filter.tenant = SKALD_STR("")};
    const skald_event *event = NULL;
    skald_cursor *cursor;
    bench_texts texts;
    skald_str name = look == BENCH_ALL ? (skald_str){0} : bench_look_name(look, n, &texts);
    skald_err err;

    if (look == BENCH_STREAM) read.filter.streams = (skald_texts){&name, 1};
    if (look == BENCH_TYPE) read.filter.types = (skald_texts){&name, 1};
    if (look == BENCH_CORRELATION) read.filter.correlation_id = name;
    if (skald_cursor_open(engine, &read, &cursor)) return false;
    do {
        err = skald_cursor_next(cursor, &event, NULL);
        if (!err && event) bench_see(seen, event->data.ptr, event->data.len);
    } while (!err && event);
    skald_cursor_close(cursor);
    return !err;
}

// Files are made ahead, and have zeros behind what is stored: that is said by the store itself.
static uint64_t skald_bytes(void *engine, const char *folder)
{
    skald_store_state state;

    (void)folder;
    skald_store_state_get(engine, &state);
    return state.bytes_stored;
}

const bench_engine bench_engine_skald = {
    .name = "skald",
    .writers = 4, // so that the next group is made while the disk works, and both cores are busy
    .open = skald_open,
    .close = skald_close,
    .append = skald_append,
    .read = skald_read_look,
    .bytes = skald_bytes,
};
