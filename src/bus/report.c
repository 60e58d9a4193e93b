// SPDX-License-Identifier: Apache-2.0
// The documents about what has been published, made from the store each time: exact as soon as a
// publish was answered, also after a restart.
//
// Memory: names of types in an arena with a maximum; of events a page at a time. The history finds
// where its last N events begin by reading backwards, then writes them reading forwards.
#include "bus/engine.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <stdlib.h>

enum {
    types_bytes_max = 64 << 20,          // of the names and counts of all types
    history_types_bytes_max = 512 << 20, // of a million events with the longest names
    recent_events = 10,
};

// What each event of a read is given to. Fails: what the buffer does.
typedef skald_err event_fn(void *context, const skald_event *event);

// events_read visits at most count_max events.
static skald_err events_read(skald_store *store, skald_read read, uint64_t count_max, event_fn *fn,
                             void *context)
{
    uint64_t count = 0;
    bool end = false;

    while (!end && count < count_max) {
        skald_store_page page = {0};
        skald_err err = SKALD_OK;

        SKALD_TRY(ski_store_page(store, &read, &page, NULL));
        for (size_t i = 0; i < page.count && count < count_max && !err; i++) {
            if (ski_event_hidden(&read.filter, &page.events[i])) continue;
            err = fn(context, &page.events[i]);
            count++;
        }
        end = page.end || !page.position_next;
        if (read.backwards)
            read.before = page.position_next;
        else
            read.after = page.position_next;
        ski_store_page_free(store, &page);
        if (err) return err;
    }
    return SKALD_OK;
}

// A list being written.
typedef struct list {
    skald_buf *buf;
    size_t count;
} list;

static skald_err list_event(void *context, const skald_event *event)
{
    list *into = context;

    if (into->count++) SKALD_TRY(ski_buf_byte(into->buf, ','));
    return skald_event_json(event, false, into->buf);
}

// Statistics.

static skald_err time_put(void *context, const skald_event *event)
{
    list *into = context;
    char text[SKALD_TIME_TEXT + 1];

    into->count++;
    skald_time_print(event->recorded_at, text);
    return ski_buf_print(into->buf, "\"%s\"", text);
}

static skald_err time_member(skald_bus *bus, skald_str tenant, uint64_t after, bool newest,
                             skald_buf *buf)
{
    skald_read read = {
        .filter.tenant = tenant, .after = after, .events_max = 1, .backwards = newest};
    list into = {buf, 0};

    SKALD_TRY(skald_buf_put(buf, newest ? SKALD_STR(",\"newestEvent\":")
                                        : SKALD_STR(",\"oldestEvent\":")));
    SKALD_TRY(events_read(bus->store, read, 1, time_put, &into));
    return into.count ? SKALD_OK : skald_buf_put(buf, SKALD_STR("null"));
}

static int type_compare(const void *a, const void *b)
{
    return ski_str_compare(((const skald_counted *)a)->name, ((const skald_counted *)b)->name);
}

// types_put writes the counts by name; those of several tenants are added up.
static skald_err types_put(skald_counted *types, size_t count, skald_buf *buf)
{
    uint64_t total = 0;

    qsort(types, count, sizeof(*types), type_compare);
    for (size_t i = 0; i < count; i++) total += types[i].count;
    SKALD_TRY(
        ski_buf_print(buf, "{\"totalEvents\":%llu,\"eventsByType\":{", (unsigned long long)total));
    for (size_t i = 0; i < count;) {
        size_t first = i;
        uint64_t events = 0;

        for (; i < count && skald_str_equal(types[i].name, types[first].name); i++)
            events += types[i].count;
        if (first) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_json_put_string(buf, types[first].name));
        SKALD_TRY(ski_buf_byte(buf, ':'));
        SKALD_TRY(ski_buf_u64(buf, events));
    }
    return ski_buf_byte(buf, '}');
}

static skald_err types_report(skald_bus *bus, skald_str tenant, skald_buf *buf)
{
    const skald_counted *types;
    skald_counted *sorted = NULL;
    skald_arena *arena;
    size_t count;

    SKALD_TRY(skald_arena_new(types_bytes_max, &arena));
    skald_err err = skald_store_types(bus->store, tenant, arena, &types, &count);

    if (!err) {
        sorted = skald_arena_get(arena, (count + 1) * sizeof(*sorted));
        if (!sorted) err = SKALD_ENOMEM;
    }
    if (!err) {
        size_t shown = 0;

        for (size_t i = 0; i < count; i++)
            if (!skald_str_equal(types[i].name, SKALD_STR(SKI_SCHEDULED_TYPE)))
                sorted[shown++] = types[i];
        err = types_put(sorted, shown, buf);
    }
    skald_arena_free(arena);
    return err;
}

static skald_err note_position(void *context, const skald_event *event)
{
    *(uint64_t *)context = event->position;
    return SKALD_OK;
}

// history_begin finds behind which position the last events_max events of read begin.
static skald_err history_begin(skald_bus *bus, skald_read read, uint64_t *ret_after)
{
    uint64_t first = read.before;

    read.backwards = true;
    SKALD_TRY(events_read(bus->store, read, read.events_max, note_position, &first));
    *ret_after = first - 1;
    return SKALD_OK;
}

// Types of the history: each event counts one, and types_put adds up.
typedef struct tally {
    skald_arena *arena;
    skald_counted *types;
    size_t count;
} tally;

static skald_err tally_event(void *context, const skald_event *event)
{
    tally *into = context;
    skald_str name = skald_arena_copy(into->arena, event->type);

    if (!name.ptr) return SKALD_ENOMEM;
    into->types[into->count++] = (skald_counted){.name = name, .count = 1};
    return SKALD_OK;
}

static skald_err history_types_report(skald_bus *bus, skald_read read, skald_buf *buf)
{
    tally into = {0};
    skald_err err = skald_arena_new(history_types_bytes_max, &into.arena);

    if (err) return err;
    into.types = skald_arena_get(into.arena, read.events_max * sizeof(*into.types));
    if (!into.types) err = SKALD_ENOMEM;
    if (!err) err = events_read(bus->store, read, read.events_max, tally_event, &into);
    if (!err) err = types_put(into.types, into.count, buf);
    skald_arena_free(into.arena);
    return err;
}

static skald_err stats_report(skald_bus *bus, skald_str tenant, bool history, skald_buf *buf)
{
    skald_read recent = {.filter.tenant = tenant, .events_max = recent_events, .backwards = true};
    skald_read read = {.filter.tenant = tenant,
                       .before = skald_store_head(bus->store) + 1,
                       .events_max = bus->history_events_max};
    list into = {buf, 0};

    if (history) {
        SKALD_TRY(history_begin(bus, read, &read.after));
        SKALD_TRY(history_types_report(bus, read, buf));
    } else {
        SKALD_TRY(types_report(bus, tenant, buf));
    }
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"recentEvents\":[")));
    SKALD_TRY(events_read(bus->store, recent, recent_events, list_event, &into));
    SKALD_TRY(ski_buf_byte(buf, ']'));
    SKALD_TRY(time_member(bus, tenant, read.after, false, buf));
    SKALD_TRY(time_member(bus, tenant, read.after, true, buf));
    return ski_buf_byte(buf, '}');
}

// History: oldest first within the last ones, as they happened.

static skald_err history_report(skald_bus *bus, skald_str tenant, uint32_t items_max,
                                skald_buf *buf)
{
    skald_read read = {.filter.tenant = tenant, .before = skald_store_head(bus->store) + 1};
    list into = {buf, 0};

    if (!items_max || items_max > bus->history_events_max) items_max = bus->history_events_max;
    read.events_max = items_max;
    SKALD_TRY(history_begin(bus, read, &read.after));
    SKALD_TRY(ski_buf_byte(buf, '['));
    SKALD_TRY(events_read(bus->store, read, items_max, list_event, &into));
    return ski_buf_byte(buf, ']');
}

skald_err skald_bus_report(skald_bus *bus, skald_report report, skald_str tenant,
                           uint32_t items_max, skald_buf *buf)
{
    size_t start = buf->len;
    skald_err err = report == SKALD_STATS           ? stats_report(bus, tenant, false, buf)
                    : report == SKALD_STATS_HISTORY ? stats_report(bus, tenant, true, buf)
                    : report == SKALD_HISTORY       ? history_report(bus, tenant, items_max, buf)
                                                    : SKALD_EINVALID;

    if (err) buf->len = start;
    return err;
}
