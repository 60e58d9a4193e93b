// SPDX-License-Identifier: Apache-2.0
// GET /api/events/stream: Server-Sent Events (WHATWG HTML, 9.2). Each client is a transient
// subscription, in sequence, whose handler writes to the client's stream. A client that reads
// slowly fills its bounded buffer; then its delivery stays pending, its cursor waits in the log,
// and nobody else notices.
//
// Lifetime: a client has two owners, the stream (until gone) and the subscription (until end); the
// last one frees it.
#include "api/api_parts.h"
#include "base/alloc.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdio.h>

enum {
    client_bytes_max = 512 * 1024, // waiting to be sent; one larger event still passes an empty
                                   // buffer
    heartbeat_default_ms = 15000,
};

typedef struct sse_client {
    skald_bus *bus;
    ski_http *http;
    ski_http_request_id request;
    ski_auth *auth;
    ski_metrics *metrics;
    ski_frames *frames;
    ski_auth_ticket ticket; // it is still let in
    _Atomic int owners;
    ski_mutex lock; // of what follows
    skald_subscription subscription;
    skald_delivery_id waiting; // the pending delivery, 0: none
    ski_frame *held;           // its event, which found no room
    bool gone;
} sse_client;

static void client_leave(sse_client *client)
{
    if (atomic_fetch_sub(&client->owners, 1) > 1) return;
    ski_mutex_fini(&client->lock);
    ski_free(client);
}

static skald_outcome client_handle(const skald_delivery *delivery)
{
    sse_client *client = delivery->context;
    ski_frame *frame = NULL;
    skald_outcome outcome = SKALD_ACK;
    skald_err err;

    if (!ski_auth_ticket_holds(client->auth, &client->ticket)) {
        // A key that was revoked, or has expired, meanwhile: nothing more is shown to its holder.
        (void)!ski_http_stream_end(client->http, client->request);
        return SKALD_ACK;
    }
    err = ski_frames_take(client->frames, delivery->event, &frame);
    if (err) return skald_retry(delivery, 0, "cannot encode: %s", skald_err_text(err));
    // The lock covers the write too: drained, which takes it, then comes after waiting is set.
    ski_mutex_lock(&client->lock);
    err = client->gone
              ? SKALD_ESTALE
              : ski_http_stream_write(client->http, client->request, ski_frame_text(frame), NULL);
    if (err != SKALD_ESTALE)
        atomic_fetch_add_explicit(&client->metrics->live_events, 1, memory_order_relaxed);
    if (err == SKALD_EFULL) {
        client->waiting = delivery->id;
        client->held = frame;
        frame = NULL;
        outcome = SKALD_PENDING;
    }
    ski_mutex_unlock(&client->lock);
    ski_frames_give(client->frames, frame);
    return outcome; // a client that is gone needs nothing: its subscription is ending
}

// client_goes_on: nothing is delivered to a quiet stream, so its key is asked after here.
static bool client_goes_on(void *context)
{
    const sse_client *client = context;

    return ski_auth_ticket_holds(client->auth, &client->ticket);
}

static void client_end(void *context)
{
    client_leave(context);
}

static void client_drained(void *context)
{
    sse_client *client = context;
    skald_delivery_id waiting;

    ski_mutex_lock(&client->lock);
    waiting = client->waiting;
    client->waiting.id = 0;
    if (waiting.id) {
        // The buffer is empty now, so it is taken; a client that is gone needs nothing.
        (void)!ski_http_stream_write(client->http, client->request, ski_frame_text(client->held),
                                     NULL);
        ski_frames_give(client->frames, client->held);
        client->held = NULL;
    }
    ski_mutex_unlock(&client->lock);
    if (waiting.id) (void)!skald_delivery_end(client->bus, waiting, SKALD_ACK, 0, NULL);
}

static void client_gone(void *context)
{
    sse_client *client = context;
    skald_subscription subscription;

    ski_mutex_lock(&client->lock);
    client->gone = true;
    subscription = client->subscription;
    ski_frames_give(client->frames, client->held); // the subscription may end after the api
    client->held = NULL;
    ski_mutex_unlock(&client->lock);
    if (subscription.id) (void)skald_unsubscribe(client->bus, subscription, false);
    client_leave(client);
}

static skald_err client_new(ski_http_request *request, sse_client **ret_client)
{
    sse_client *client = ski_alloc_zeroed(1, sizeof *client);

    if (!client) return SKALD_ENOMEM;
    client->bus = ski_api_of(request)->bus;
    client->http = request->http;
    client->request = request->id;
    client->auth = ski_api_of(request)->auth;
    client->metrics = &ski_api_of(request)->metrics;
    client->frames = ski_api_of(request)->frames;
    client->ticket = ski_auth_ticket_of(request);
    atomic_init(&client->owners, 2);
    ski_mutex_init(&client->lock);
    *ret_client = client;
    return SKALD_OK;
}

static skald_err client_subscribe(sse_client *client, const ski_query *query,
                                  skald_error *reterr_error)
{
    skald_subscription_options options = {
        .kind = "sse",
        .filter = query->read.filter,
        .handler = {.fn = client_handle, .context = client, .end = client_end},
        .order = SKALD_IN_SEQUENCE,
        .in_flight_max = 64,
        // A client that takes nothing for write_timeout_ms is cut long before a delivery times out.
        .retry = {.timeout_ms = 3600 * 1000},
        .takes_tests = true,
    };
    skald_subscription subscription = {0};
    bool gone;

    if (query->has_after || !query->read.from) {
        options.from = query->read.after ? SKALD_FROM_DEFAULT : SKALD_FROM_START;
        options.after = query->read.after;
    } else {
        options.from_time = query->read.from;
    }
    SKALD_TRY(skald_subscribe(client->bus, &options, &subscription, reterr_error));
    ski_mutex_lock(&client->lock);
    client->subscription = subscription;
    gone = client->gone;
    ski_mutex_unlock(&client->lock);
    if (gone) (void)skald_unsubscribe(client->bus, subscription, false);
    return SKALD_OK;
}

// read_resume takes Last-Event-ID, which a browser sends when it connects again, before the query.
static skald_err read_resume(ski_http_request *request, ski_query *query, skald_error *reterr_error)
{
    skald_str last = ski_http_header_get(request, "last-event-id");

    if (!last.len) return SKALD_OK;
    if (ski_str_u64(last, &query->read.after)) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "Last-Event-ID",
                             "must be the position that an event of this stream came with");
    }
    query->has_after = true;
    return SKALD_OK;
}

// begin_at_end makes "from now on" a position, and tells it: a client that is cut off before its
// first event then resumes where it began, not where the log has got to meanwhile.
static skald_err begin_at_end(ski_http_request *request, ski_query *query)
{
    char text[32];
    int len;

    if (query->has_after || query->read.from) return SKALD_OK;
    query->read.after = skald_store_head(ski_api_of(request)->store);
    len = snprintf(text, sizeof text, "id: %llu\n\n", (unsigned long long)query->read.after);
    return ski_http_stream_write(request->http, request->id, ski_str(text, (size_t)len), NULL);
}

skald_err ski_get_event_stream(ski_http_request *request, skald_error *reterr_error)
{
    static const ski_http_header headers[] = {
        {{"Cache-Control", 13}, {"no-store", 8}},
        {{"X-Accel-Buffering", 17}, {"no", 2}},
    };
    ski_http_reply head = {
        .status = 200,
        .content_type = "text/event-stream",
        .headers = headers,
        .header_count = sizeof headers / sizeof *headers,
    };
    ski_http_stream stream = {
        .drained = client_drained,
        .gone = client_gone,
        .write_bytes_max = client_bytes_max,
        .heartbeat_ms = ski_api_of(request)->options.heartbeat_ms,
        .heartbeat = SKALD_STR(": \n\n"),
        .goes_on = client_goes_on,
    };
    sse_client *client = NULL;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(read_resume(request, &query, reterr_error));
    SKALD_TRY(client_new(request, &client));
    stream.context = client;
    if (!stream.heartbeat_ms) stream.heartbeat_ms = heartbeat_default_ms;
    err = ski_http_stream_begin(request->http, request->id, &head, &stream);
    if (err) {
        ski_mutex_fini(&client->lock);
        ski_free(client);
        return err;
    }
    // A stream that is gone already frees its client like any other.
    (void)!begin_at_end(request, &query);
    // A subscription that could not start calls end, so its share of the client goes there. The
    // client's own words come too late for a status: the stream says why and ends.
    err = client_subscribe(client, &query, reterr_error);
    if (err) {
        (void)!ski_http_stream_write(
            request->http, request->id,
            SKALD_STR("event: error\ndata: too many subscriptions; try again later\n\n"), NULL);
        (void)!ski_http_stream_end(request->http, request->id);
    }
    return SKALD_OK;
}
