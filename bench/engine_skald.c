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

static bool skald_read_what(void *engine, const skald_filter *filter, bench_seen *seen)
{
    skald_read read = {.filter = *filter};
    const skald_event *event = NULL;
    skald_cursor *cursor;
    skald_err err;

    read.filter.tenant = SKALD_STR("");
    if (skald_cursor_open(engine, &read, &cursor)) return false;
    do {
        err = skald_cursor_next(cursor, &event, NULL);
        if (!err && event) bench_see(seen, event->data.ptr, event->data.len);
    } while (!err && event);
    skald_cursor_close(cursor);
    return !err;
}

static bool skald_read_all(void *engine, bench_seen *seen)
{
    return skald_read_what(engine, &(skald_filter){.tenant = SKALD_STR("")}, seen);
}

static bool skald_read_stream(void *engine, uint64_t n, bench_seen *seen)
{
    bench_texts texts;
    skald_event event;

    bench_event_fill(n, &texts, &event);
    return skald_read_what(engine, &(skald_filter){.streams = {&event.stream, 1}}, seen);
}

static bool skald_read_type(void *engine, uint64_t n, bench_seen *seen)
{
    bench_texts texts;
    skald_event event;

    bench_event_fill(n, &texts, &event);
    return skald_read_what(engine, &(skald_filter){.types = {&event.type, 1}}, seen);
}

static bool skald_read_correlation(void *engine, uint64_t n, bench_seen *seen)
{
    bench_texts texts;
    skald_event event;

    bench_event_fill(n * BENCH_CHAIN, &texts, &event);
    return skald_read_what(engine, &(skald_filter){.correlation_id = event.correlation_id}, seen);
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
    .writers = 2, // so that the next group is made while the disk works
    .open = skald_open,
    .close = skald_close,
    .append = skald_append,
    .read_all = skald_read_all,
    .read_stream = skald_read_stream,
    .read_type = skald_read_type,
    .read_correlation = skald_read_correlation,
    .bytes = skald_bytes,
};
