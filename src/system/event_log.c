// SPDX-License-Identifier: Apache-2.0
// A line for every event, while the log's level is debug: what it is, for whom, and its data as a
// log may show it. What becomes of it at each subscription the bus itself tells.
//
// It is a subscription like any other, so a slow log delays nobody and a level that is not debug
// costs nothing.
#include "system/event_log.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "event/types.h"
#include "os/thread.h"
#include "system/sanitize.h"
#include <skald/typed.h>

#include <stdio.h>

enum { data_bytes_max = 1024, text_bytes_max = 256 };

#define CUT " ..."

struct ski_event_log {
    skald_bus *bus;
    skald_log *log;
    ski_mutex lock; // of level and subscription together
    skald_subscription subscription;
};

typedef char text[text_bytes_max];

static const char *terminated(skald_str from, text ret_text)
{
    (void)snprintf(ret_text, text_bytes_max, "%.*s",
                   (int)(from.len < text_bytes_max ? from.len : text_bytes_max - 1),
                   from.ptr ? from.ptr : "");
    return ret_text;
}

// record_of is how the newest declared version of the type looks, which knows what is personal.
static const skald_record *record_of(const skald_delivery *delivery)
{
    skald_type_row row;

    if (ski_types_row(skald_bus_types(delivery->bus), delivery->event->type, delivery->scratch,
                      &row) ||
        !row.declared)
        return NULL;
    return row.declared->record();
}

// print_data gives data as it may be seen, as much of it as a line has room for.
static const char *print_data(const skald_delivery *delivery, char ret_data[data_bytes_max + 1])
{
    skald_str data = delivery->event->data;
    skald_buf buf = {.ptr = ret_data, .size = data_bytes_max - sizeof CUT};
    bool cut;

    if (!data.len) data = SKALD_STR("null");
    buf.bytes_max = buf.size; // as large as it may be: it never allocates
    cut = ski_sanitize(data, record_of(delivery), &buf) != SKALD_OK;
    (void)snprintf(ret_data + buf.len, sizeof CUT, "%s", cut ? CUT : "");
    return ret_data;
}

static skald_outcome event_tell(const skald_delivery *delivery)
{
    const ski_event_log *events = delivery->context;
    const skald_event *event = delivery->event;
    char id[SKALD_UUID_TEXT + 1], at[SKALD_TIME_TEXT + 1], position[24], data[data_bytes_max + 1];
    text type, stream, tenant, user, correlation;

    skald_uuid_print(event->id, id);
    skald_time_print(event->occurred_at, at);
    (void)snprintf(position, sizeof position, "%llu", (unsigned long long)event->position);
    ski_log_line(events->log, SKALD_DEBUG, "event", "type", terminated(event->type, type), "id", id,
                 "position", position, "stream", terminated(event->stream, stream), "tenantId",
                 terminated(event->tenant, tenant), "userId", terminated(event->user, user),
                 "correlationId", terminated(event->correlation_id, correlation), "occurredAt", at,
                 "status", event->transient ? "passed on" : "stored", "data",
                 print_data(delivery, data), (char *)NULL);
    return SKALD_ACK;
}

skald_err ski_event_log_new(skald_bus *bus, skald_log *log, ski_event_log **ret_events)
{
    ski_event_log *events = ski_alloc_zeroed(1, sizeof *events);

    if (!events) return SKALD_ENOMEM;
    events->bus = bus;
    events->log = log;
    ski_mutex_init(&events->lock);
    *ret_events = events;
    return SKALD_OK;
}

void ski_event_log_free(ski_event_log *events)
{
    if (!events) return;
    ski_mutex_fini(&events->lock);
    ski_free(events);
}

skald_err ski_event_log_level(ski_event_log *events, skald_level level)
{
    const skald_subscription_options options = {
        .kind = "log",
        .handler = {.fn = event_tell, .context = events},
        .workers_max = 1,
        .takes_tests = true,
    };
    skald_err err = SKALD_OK;

    ski_mutex_lock(&events->lock);
    ski_log_level_set(events->log, level);
    if (level == SKALD_DEBUG && !events->subscription.id) {
        err = skald_subscribe(events->bus, &options, &events->subscription, NULL);
    } else if (level != SKALD_DEBUG && events->subscription.id) {
        (void)skald_unsubscribe(events->bus, events->subscription, true);
        events->subscription = (skald_subscription){0};
    }
    ski_mutex_unlock(&events->lock);
    return err;
}
