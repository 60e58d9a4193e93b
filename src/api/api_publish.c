// SPDX-License-Identifier: Apache-2.0
// POST /api/events with a JSON body: one object, or an array that is appended as one.
//
// The body passes the JSON door once; its events are then read as text in place and borrow from it
// until the reply, which leaves when the store says that they are durable. The loop never waits.
#include "api/api_cloudevents.h"
#include "api/api_idempotency.h"
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/json_plain.h"
#include "event/event_json.h"

#include <string.h>

enum { appended_bytes = 256 }; // of one event's part of a reply, about

typedef struct body_reader {
    ski_http_request *request;
    skald_str stream; // all of them belong to; not given: each says
    bool cloudevents;
    skald_event *events;
    skald_expect *expects;
    size_t count, expect_count, count_max;
    skald_time deliver_at, expires_at; // of all of them
    skald_error *error;
} body_reader;

// name_item puts the index of the event before the field: "[3].type".
static skald_err name_item(body_reader *reader, skald_err err)
{
    char field[sizeof reader->error->field];
    size_t len;
    skald_buf buf = {.bytes_max = 512};

    if (!reader->error || reader->count_max == 1) return err;
    memcpy(field, reader->error->field, sizeof field);
    len = strlen(field);
    if (!ski_buf_print(&buf, "[%zu]%s%.*s", reader->count, len ? "." : "", (int)len, field)) {
        size_t cut = buf.len < sizeof field ? buf.len : sizeof field - 1;
        memcpy(reader->error->field, buf.ptr, cut);
        reader->error->field[cut] = 0;
    }
    skald_buf_fini(&buf);
    return err;
}

static skald_err keep_stream(body_reader *reader, skald_event *event)
{
    if (!reader->stream.ptr) return SKALD_OK;
    if (event->stream.len && !skald_str_equal(event->stream, reader->stream)) {
        return skald_fail_at(reader->error, SKALD_EINVALID, "stream",
                             "must be that of the path, or left out");
    }
    event->stream = reader->stream;
    return SKALD_OK;
}

// keep_times: what is published as one is delivered as one.
static skald_err keep_times(body_reader *reader, const ski_event_expect *expect)
{
    if (!reader->count) {
        reader->deliver_at = expect->deliver_at;
        reader->expires_at = expect->expires_at;
    }
    if (reader->deliver_at == expect->deliver_at && reader->expires_at == expect->expires_at)
        return SKALD_OK;
    return skald_fail_at(reader->error, SKALD_EINVALID,
                         reader->deliver_at == expect->deliver_at ? "expiresAt" : "deliverAt",
                         "must be the same for every event of one array, or left out of each");
}

static skald_err read_event(body_reader *reader, skald_str text)
{
    skald_event *event = &reader->events[reader->count];
    ski_event_expect expect = {0};
    skald_err err = ski_event_read(text, reader->cloudevents ? SKI_EVENT_CLOUDEVENTS : 0,
                                   reader->request->scratch, event,
                                   reader->cloudevents ? NULL : &expect, reader->error);

    if (!err) err = keep_stream(reader, event);
    if (!err) err = ski_auth_stamp(reader->request, event, reader->request->scratch, reader->error);
    if (!err) err = keep_times(reader, &expect);
    if (!err && event->data.len > ski_api_of(reader->request)->options.event_bytes_max) {
        err =
            skald_fail_at(reader->error, SKALD_ETOOBIG, "data", "%zu bytes, at most %u are allowed",
                          event->data.len, ski_api_of(reader->request)->options.event_bytes_max);
    }
    if (!err && expect.expected != SKI_EXPECT_ANY) {
        err = ski_api_expect(event, &expect, &reader->expects[reader->expect_count], reader->error);
        if (!err) reader->expect_count++;
    }
    if (err) return name_item(reader, err);
    reader->count++;
    return SKALD_OK;
}

// count_items: how many events an array holds, before room for them is made.
static size_t count_items(skald_str array)
{
    ski_json_walk walk = {.rest = array};
    ski_json_item item;
    size_t count = 0;

    while (ski_json_next(&walk, &item)) count++;
    return count;
}

static skald_err make_room(body_reader *reader, size_t count)
{
    if (!count) {
        return skald_fail_at(reader->error, SKALD_EINVALID, "",
                             "the array is empty; give at least one event");
    }
    if (count > SKI_API_ARRAY_MAX) {
        return skald_fail_at(
            reader->error, SKALD_ETOOBIG, "",
            "an array of %zu events; at most %d are allowed, use application/x-ndjson "
            "for more",
            count, SKI_API_ARRAY_MAX);
    }
    reader->events = skald_arena_get(reader->request->scratch, count * sizeof *reader->events);
    reader->expects =
        skald_arena_get(reader->request->scratch, (count + 1) * sizeof *reader->expects);
    reader->count_max = count;
    return reader->events && reader->expects ? SKALD_OK : SKALD_ENOMEM;
}

static skald_err read_body(body_reader *reader)
{
    skald_str body = reader->request->body;
    ski_json_item item;

    if (ski_body_media(reader->request) == SKI_MEDIA_BINARY) {
        SKALD_TRY(ski_cloudevent_structured(reader->request, &body, reader->error));
    } else if (!ski_json_plain(body)) { // most are short and plain
        SKALD_TRY(ski_json_door_check(body, true, reader->error));
    }
    switch (ski_json_kind_of(body)) {
    case SKI_JSON_OBJECT: SKALD_TRY(make_room(reader, 1)); return read_event(reader, body);
    case SKI_JSON_ARRAY:
        SKALD_TRY(make_room(reader, count_items(body)));
        for (ski_json_walk walk = {.rest = body}; ski_json_next(&walk, &item);) {
            if (item.kind != SKI_JSON_OBJECT) {
                return name_item(reader, skald_fail_at(reader->error, SKALD_EINVALID, "",
                                                       "an event must be a JSON object"));
            }
            SKALD_TRY(read_event(reader, item.value));
        }
        return SKALD_OK;
    default:
        return skald_fail_at(reader->error, SKALD_EINVALID, "",
                             "the body must be an event (a JSON object) or an array of them");
    }
}

// put_count: 0 is null. What is not stored, or not yet, has no place.
static skald_err put_count(skald_buf *buf, skald_str name, uint64_t count)
{
    SKALD_TRY(skald_buf_put(buf, name));
    return count ? ski_buf_u64(buf, count) : skald_buf_put(buf, SKALD_STR("null"));
}

static skald_err put_appended(const skald_published *published, skald_buf *buf)
{
    char id[SKALD_UUID_TEXT + 1];

    SKALD_TRY(ski_buf_room(buf, published->count * appended_bytes)); // mostly all there will be
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"data\":[")));
    for (size_t i = 0; i < published->count; i++) {
        const skald_event *event = &published->events[i];

        skald_uuid_print(event->id, id);
        SKALD_TRY(skald_buf_put(buf, i ? SKALD_STR(",{\"id\":\"") : SKALD_STR("{\"id\":\"")));
        SKALD_TRY(skald_buf_put(buf, (skald_str){id, SKALD_UUID_TEXT}));
        SKALD_TRY(put_count(buf, SKALD_STR("\",\"position\":"), event->position));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"stream\":")));
        SKALD_TRY(ski_json_put_string(buf, event->stream.len ? event->stream : (skald_str){0}));
        SKALD_TRY(put_count(buf, SKALD_STR(",\"streamVersion\":"), event->stream_version));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"correlationId\":")));
        SKALD_TRY(ski_json_put_string(buf, event->correlation_id));
        SKALD_TRY(ski_buf_byte(buf, '}'));
    }
    return skald_buf_put(buf, SKALD_STR("]}"));
}

// reply_version gives the ETag of the stream in the path as it is behind the last event.
static void reply_version(ski_http_request *request, const skald_event *event)
{
    skald_str etag;

    if (!ski_call_of(request)->route->matched || !event->stream_version) return;
    etag =
        skald_arena_print(request->scratch, "\"%llu\"", (unsigned long long)event->stream_version);
    if (etag.ptr) ski_call_header(request, SKALD_STR("ETag"), etag);
}

// matches: the request says where its stream must stand in a header.
static bool matches(const ski_http_request *request)
{
    return ski_call_of(request)->route->matched &&
           (ski_http_header_get(request, "if-match").ptr ||
            ski_http_header_get(request, "if-none-match").ptr);
}

static void published_fail(ski_http_request *request, skald_err err, skald_error error)
{
    if (err == SKALD_ECONFLICT && matches(request)) ski_api_unmatched(request, &error);
    ski_reply_fail(request, err, &error);
}

// published_reply answers the request, on whichever thread made its events durable.
static void published_reply(void *context, const skald_published *published)
{
    ski_http_request *request = context;
    skald_buf buf = ski_reply_buf();
    skald_err err = published->err;

    if (!err) err = put_appended(published, &buf);
    if (!err) {
        bool repeated = published->appended.repeated && !ski_replay_again(request);
        reply_version(request, &published->events[published->count - 1]);
        err = ski_reply_position(request, repeated ? 200 : 201, ski_buf_str(&buf),
                                 published->appended.position_last,
                                 published->events[published->count - 1].correlation_id);
    }
    if (err && err != SKALD_ESTALE) published_fail(request, err, published->error);
    skald_buf_fini(&buf);
}

// stamp_events gives what the request's headers say of correlation and trace to events that do not.
static void stamp_events(body_reader *reader)
{
    skald_str correlation = reader->request->correlation_id;
    skald_str trace = reader->request->traceparent;

    for (size_t i = 0; i < reader->count; i++) {
        skald_event *event = &reader->events[i];
        if (!event->correlation_id.len && correlation.len) event->correlation_id = correlation;
        if (!event->traceparent.len && trace.len) event->traceparent = trace;
    }
}

// published_test answers POST /api/events/test in the form the seed's clients read.
static void published_test(void *context, const skald_published *published)
{
    ski_http_request *request = context;
    const skald_event *event = published->events;
    skald_error error = published->error;
    skald_buf buf = ski_reply_buf();
    char id[SKALD_UUID_TEXT + 1];
    char time[SKALD_TIME_TEXT + 1];
    skald_err err = published->err;

    if (!err) {
        skald_uuid_print(event->id, id);
        skald_time_print(event->occurred_at, time);
        err = ski_buf_print(&buf,
                            "{\"eventId\":\"%s\",\"position\":%llu,\"timestamp\":\"%s\",\"type\":",
                            id, (unsigned long long)event->position, time);
    }
    if (!err) err = ski_json_put_string(&buf, event->type);
    if (!err) err = skald_buf_put(&buf, SKALD_STR(",\"correlationId\":"));
    if (!err) err = ski_json_put_string(&buf, event->correlation_id);
    if (!err) err = ski_buf_byte(&buf, '}');
    if (!err) {
        err = ski_reply_position(request, 201, ski_buf_str(&buf), event->position,
                                 event->correlation_id);
    }
    if (err && err != SKALD_ESTALE) ski_reply_fail(request, err, &error);
    skald_buf_fini(&buf);
}

static skald_err publish(body_reader *reader, skald_durability durability, skald_published_fn *done)
{
    skald_store_value value;
    bool kept;
    skald_publish_options options = {
        .append = {.durability = durability,
                   .expect = reader->expects,
                   .expect_count = reader->expect_count},
        .deliver_at = reader->deliver_at,
        .expires_at = reader->expires_at,
        .reterr_error = reader->error,
        .more = ski_http_turn(reader->request->http),
    };

    stamp_events(reader);
    kept = ski_replay_stamp(reader->request, reader->events, reader->count, &value);
    return ski_publish_kept_start(ski_api_of(reader->request)->bus, reader->events, reader->count,
                                  kept ? &value : NULL, &options, done, reader->request);
}

// read_match makes If-Match and If-None-Match what they mean for a stream.
static skald_err read_match(body_reader *reader)
{
    skald_expect *expect = &reader->expects[reader->expect_count];

    *expect = (skald_expect){.tenant = reader->events->tenant, .stream = reader->stream};
    SKALD_TRY(ski_api_match(reader->request, expect, reader->error));
    reader->expect_count++;
    return SKALD_OK;
}

skald_err ski_events_publish(ski_http_request *request, skald_str stream, skald_error *reterr_error)
{
    body_reader reader = {.request = request, .stream = stream, .error = reterr_error};
    ski_media media = ski_body_media(request);
    ski_query query;

    reader.cloudevents = media == SKI_MEDIA_CLOUDEVENT || media == SKI_MEDIA_CLOUDEVENTS ||
                         media == SKI_MEDIA_BINARY;
    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(read_body(&reader));
    if (matches(request)) SKALD_TRY(read_match(&reader));
    return publish(&reader, query.durability, published_reply);
}

skald_err ski_post_test(ski_http_request *request, skald_error *reterr_error)
{
    body_reader reader = {.request = request, .error = reterr_error};
    ski_json_item item;
    ski_query query;
    skald_event *event;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(make_room(&reader, 1));
    event = reader.events;
    *event = (skald_event){
        .type = SKALD_STR("system.test"),
        .data = SKALD_STR("{}"),
        .metadata = SKALD_STR("{\"test\":true}"),
        .test = true,
    };
    reader.count = 1;
    if (request->body.len) {
        SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
        if (ski_json_kind_of(request->body) != SKI_JSON_OBJECT) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "",
                                 "the body must be a JSON object");
        }
        for (ski_json_walk walk = {.rest = request->body}; ski_json_next(&walk, &item);) {
            if (skald_str_equal(item.key, SKALD_STR("type")) && item.kind == SKI_JSON_STRING) {
                SKALD_TRY(ski_json_unescape(item.value, request->scratch, &event->type));
            } else if (skald_str_equal(item.key, SKALD_STR("data"))) {
                event->data = item.value;
            } else {
                return skald_fail_at(reterr_error, SKALD_EINVALID, "",
                                     "the body may have type (a text) and data, nothing else");
            }
        }
        SKALD_TRY(
            skald_event_check(event, ski_api_of(request)->options.event_bytes_max, reterr_error));
    }
    SKALD_TRY(ski_auth_stamp(request, event, request->scratch, reterr_error));
    return publish(&reader, SKALD_DURABLE, published_test);
}
