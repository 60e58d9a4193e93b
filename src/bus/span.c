// SPDX-License-Identifier: Apache-2.0
// How long things take in the bus: a histogram of attempts, and spans where there is a tracer.
//
// An event's traceparent is the span of the publish that stored it. What a publisher gives is that
// span's parent. Each attempt to deliver is a child of it, made of the delivery's id, so a handler
// that publishes finds its parent without anything being kept. What is not sampled is handed on as
// it came, and without a tracer so is everything.
//
// Without a sampled trace one attempt in 32 is measured, the first included: two looks at the
// clock would be a good part of what a quick handler takes.
#include "bus/engine.h"

#include "base/alloc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    spans_max = 16, // of one publish: one for each parent in a row; what is beyond has none
    name_bytes = 16 + SKALD_TYPE_BYTES_MAX,
};

void ski_bus_trace(skald_bus *bus, ski_tracer *tracer)
{
    bus->tracer = tracer;
}

const ski_histogram *ski_bus_attempts(const skald_bus *bus)
{
    return &bus->attempts;
}

static bool sampled(const skald_event *event, ski_trace *ret_trace)
{
    return event->traceparent.len && ski_trace_parse(event->traceparent, ret_trace) &&
           ret_trace->sampled;
}

bool ski_event_sampled(const skald_event *event)
{
    ski_trace trace;

    return sampled(event, &trace);
}

static void field_text(ski_span *span, const char *key, skald_str text)
{
    if (text.len) span->fields[span->field_count++] = (ski_span_field){.key = key, .text = text};
}

static void field_number(ski_span *span, const char *key, uint64_t number)
{
    span->fields[span->field_count++] = (ski_span_field){.key = key, .number = (int64_t)number};
}

// span_of fills what all spans of an event have in common; name and id live with the caller.
static ski_span span_of(const skald_event *event, const char *verb, char name[name_bytes],
                        char id[SKALD_UUID_TEXT + 1])
{
    ski_span span = {0};
    int len = snprintf(name, name_bytes, "%s %.*s", verb, SKALD_FMT(event->type));

    skald_uuid_print(event->id, id);
    span.name = (skald_str){name, len < name_bytes ? (size_t)len : (size_t)name_bytes - 1};
    field_text(&span, "messaging.system", SKALD_STR("skald"));
    field_text(&span, "messaging.operation.name", skald_str_of(verb));
    field_text(&span, "messaging.destination.name", event->type);
    field_text(&span, "messaging.message.id", (skald_str){id, SKALD_UUID_TEXT});
    field_text(&span, "messaging.message.conversation_id", event->correlation_id);
    if (event->position) field_number(&span, "skald.position", event->position);
    return span;
}

// Publishing.

typedef struct publish_span {
    ski_trace trace;
    uint8_t parent[8];
    size_t first, count; // its events
    char text[SKI_TRACE_TEXT + 1];
} publish_span;

struct ski_publish_spans {
    uint64_t began_ns;
    skald_time began_at;
    size_t count;
    publish_span items[spans_max];
};

// spans_get makes room with the first span.
static ski_publish_spans *spans_get(skald_bus *bus, ski_publish_spans *spans)
{
    if (spans) return spans;
    spans = ski_alloc_zeroed(1, sizeof(*spans));
    if (!spans) return NULL;
    spans->began_at = ski_bus_now(bus);
    spans->began_ns = ski_bus_now_ns(bus);
    return spans;
}

ski_publish_spans *ski_publish_spans_begin(skald_bus *bus, skald_event *events, size_t count,
                                           bool roots)
{
    ski_publish_spans *spans = NULL;
    ski_trace root = {0};

    if (!bus->tracer) return NULL;
    if (roots) root = ski_trace_root(bus->tracer);
    for (size_t i = 0; i < count;) {
        skald_str given = events[i].traceparent;
        ski_trace parent = root;
        size_t first = i;
        bool own = given.len ? sampled(&events[i], &parent) : root.sampled;

        while (i < count && skald_str_equal(events[i].traceparent, given)) i++;
        if (!own) continue;
        spans = spans_get(bus, spans);
        if (!spans || spans->count == spans_max) break;
        publish_span *span = &spans->items[spans->count++];

        span->trace = given.len ? ski_trace_child(bus->tracer, &parent) : root;
        if (given.len) memcpy(span->parent, parent.span_id, sizeof(span->parent));
        span->first = first;
        span->count = i - first;
        ski_trace_print(&span->trace, span->text);
        for (size_t at = first; at < i; at++)
            events[at].traceparent = (skald_str){span->text, SKI_TRACE_TEXT};
    }
    return spans;
}

void ski_publish_spans_end(skald_bus *bus, const ski_publish_spans *spans,
                           const skald_event *events, skald_err err)
{
    char name[name_bytes], id[SKALD_UUID_TEXT + 1];

    if (!spans) return;
    uint64_t took_ns = ski_bus_now_ns(bus) - spans->began_ns;

    for (size_t i = 0; i < spans->count; i++) {
        const publish_span *made = &spans->items[i];
        ski_span span = span_of(&events[made->first], "publish", name, id);

        span.trace = made->trace;
        memcpy(span.parent, made->parent, sizeof(span.parent));
        span.kind = SKI_SPAN_PRODUCER;
        span.began_at = spans->began_at;
        span.took_ns = took_ns;
        if (made->count > 1) field_number(&span, "messaging.batch.message_count", made->count);
        if (err) span.failed = skald_str_of(skald_err_text(err));
        bus->tracer->end(bus->tracer->context, &span);
    }
}

// Delivering.

void ski_attempt_begins(ski_delivery *delivery, const skald_event *event, uint64_t number)
{
    skald_bus *bus = delivery->subscription->bus;
    ski_trace trace;
    bool measured = ski_attempt_measured(number);

    if (bus->tracer && !measured) measured = sampled(event, &trace);
    delivery->began_ns = measured ? ski_bus_now_ns(bus) : 0;
}

void ski_attempt_passed(ski_delivery *stand)
{
    skald_bus *bus = stand->subscription->bus;

    if (stand->began_ns) ski_histogram_add(&bus->attempts, ski_bus_now_ns(bus) - stand->began_ns);
    stand->began_ns = 0;
}

void ski_measured(skald_bus *bus, uint64_t began_ns)
{
    ski_histogram_add(&bus->attempts, ski_bus_now_ns(bus) - began_ns);
}

void ski_attempt_ends(ski_delivery *delivery, const char *failed)
{
    ski_subscription *sub = delivery->subscription;
    skald_bus *bus = sub->bus;
    char name[name_bytes], id[SKALD_UUID_TEXT + 1];
    ski_trace parent;

    if (!delivery->began_ns) return;
    uint64_t took_ns = ski_bus_now_ns(bus) - delivery->began_ns;

    ski_histogram_add(&bus->attempts, took_ns);
    delivery->began_ns = 0;
    if (!bus->tracer || sub->internal || !sampled(delivery->event, &parent)) return;
    ski_span span = span_of(delivery->event, "process", name, id);

    span.trace = ski_trace_child_of(bus->tracer, &parent, ski_delivery_id(delivery).id);
    memcpy(span.parent, parent.span_id, sizeof(span.parent));
    span.kind = SKI_SPAN_CONSUMER;
    span.took_ns = took_ns;
    span.began_at = ski_bus_now(bus) - (skald_time)(took_ns / 1000);
    field_text(&span, "messaging.destination.subscription.name", sub->name);
    field_number(&span, "skald.attempt", delivery->attempt);
    span.failed = skald_str_of(failed);
    bus->tracer->end(bus->tracer->context, &span);
}

void ski_delivery_trace(const skald_delivery *delivery, skald_event *cause,
                        char text[SKI_TRACE_TEXT + 1])
{
    ski_tracer *tracer = delivery->bus->tracer;
    ski_trace parent;

    if (!tracer || !sampled(cause, &parent)) return;
    ski_trace own = ski_trace_child_of(tracer, &parent, delivery->id.id);

    ski_trace_print(&own, text);
    cause->traceparent = (skald_str){text, SKI_TRACE_TEXT};
}
