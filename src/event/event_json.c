// SPDX-License-Identifier: Apache-2.0
// Writing an event as JSON.
//
// Invariants:
//   1. One event is one line: data and metadata are spliced byte for byte as they came, except that
//      a text with line breaks between its tokens loses its white space.
//   2. The members come in one order. stream, streamVersion, position, correlationId, causationId
//      and data are always there, as null when not given; version, priority and persistent always
//      have a value; any other that is not given is left out.
#include "base/str.h"
#include "event/event_put.h"

static const skald_str comma = {",", 1};

// put_number writes null for 0, which is no position and no version.
static void put_number(ski_put *put, skald_str before, uint64_t number)
{
    ski_put_raw(put, before);
    if (number) {
        ski_put_u64(put, number);
    } else {
        ski_put_raw(put, SKALD_STR("null"));
    }
}

static void put_text_or_null(ski_put *put, skald_str before, skald_str text)
{
    ski_put_raw(put, before);
    ski_put_string(put, text.len ? text : (skald_str){NULL, 0});
}

static void put_actor(ski_put *put, const skald_event *event)
{
    if (!event->user.len && !event->role.len) return;
    ski_put_raw(put, SKALD_STR(",\"actor\":{"));
    ski_put_text(put, SKALD_STR("\"userId\":"), event->user);
    if (event->user.len && event->role.len) ski_put_raw(put, comma);
    ski_put_text(put, SKALD_STR("\"role\":"), event->role);
    ski_put_raw(put, SKALD_STR("}"));
}

static void put_tags(ski_put *put, skald_str tags)
{
    skald_str before = SKALD_STR("");

    if (!tags.len) return;
    ski_put_raw(put, SKALD_STR(",\"tags\":["));
    while (tags.len) {
        skald_str tag = ski_str_cut(tags, ' ', &tags);
        ski_put_text(put, before, tag);
        if (tag.len) before = comma;
    }
    ski_put_raw(put, SKALD_STR("]"));
}

static void put_event(ski_put *put, const skald_event *event)
{
    ski_put_raw(put, SKALD_STR("{"));
    ski_put_uuid(put, SKALD_STR("\"id\":"), event->id);
    if (skald_uuid_given(event->id)) ski_put_raw(put, comma);
    put_text_or_null(put, SKALD_STR("\"type\":"), event->type);
    ski_put_raw(put, SKALD_STR(",\"version\":"));
    ski_put_u64(put, event->version ? event->version : 1);
    put_text_or_null(put, SKALD_STR(",\"stream\":"), event->stream);
    put_number(put, SKALD_STR(",\"streamVersion\":"), event->stream_version);
    put_number(put, SKALD_STR(",\"position\":"), event->position);
    ski_put_text(put, SKALD_STR(",\"tenantId\":"), event->tenant);
    put_text_or_null(put, SKALD_STR(",\"correlationId\":"), event->correlation_id);
    put_text_or_null(put, SKALD_STR(",\"causationId\":"), event->causation_id);
    put_actor(put, event);
    ski_put_text(put, SKALD_STR(",\"source\":"), event->source);
    ski_put_time(put, SKALD_STR(",\"occurredAt\":"), event->occurred_at);
    ski_put_time(put, SKALD_STR(",\"recordedAt\":"), event->recorded_at);
    ski_put_raw(put, SKALD_STR(",\"priority\":"));
    ski_put_string(put, ski_priority_name(event->priority));
    ski_put_raw(put, event->transient ? SKALD_STR(",\"persistent\":false")
                                      : SKALD_STR(",\"persistent\":true"));
    ski_put_text(put, SKALD_STR(",\"traceparent\":"), event->traceparent);
    put_tags(put, event->tags);
    ski_put_json(put, SKALD_STR(",\"data\":"), event->data);
    if (event->metadata.len) ski_put_json(put, SKALD_STR(",\"metadata\":"), event->metadata);
    ski_put_raw(put, SKALD_STR("}"));
}

skald_err skald_event_json(const skald_event *event, bool cloudevents, skald_buf *buf)
{
    ski_put put = {.buf = buf};
    size_t len_before = buf->len;

    if (cloudevents) {
        ski_cloudevents_put(&put, event);
    } else {
        put_event(&put, event);
    }
    if (put.err) buf->len = len_before;
    return put.err;
}
