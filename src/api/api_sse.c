// SPDX-License-Identifier: Apache-2.0
// GET /api/events/stream: Server-Sent Events (WHATWG HTML, 9.2). Clients with the same filter are
// an audience: they follow one feed. A client that is behind it (it resumes from afar, or reads
// slowly) is given what it missed by a tail, a transient subscription of its own: a slow one fills
// its bounded buffer, its cursor waits in the log, and nobody else notices. When what it has been
// given reaches the feed, it follows that again from there.
//
// Invariants:
//   1. A client follows the feed or has a tail, never both. A tail that has been left is not heard:
//   its number is not client->tail any more.
//   2. What is not kept comes through both, numbered: number is the last that a tail has given it,
//   or that was there when it began. From there it follows, so that changing over neither loses nor
//   doubles one. Who lags further than the feed reaches loses those it had not been given.
//   3. A client's owners are the stream (until gone) and its tails (until end); the last one frees
//   it. Tails are begun, and gone comes, on the loop.
#include "api/api_parts.h"
#include "base/alloc.h"
#include "base/str.h"
#include "bus/bus.h"

#include <stdatomic.h>
#include <stdio.h>

enum {
    client_bytes_max = 512 * 1024, // waiting to be sent; one larger
                                   // event still passes an empty buffer
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
    uint32_t tails;                  // begun; the loop's
    ski_audience *audience;          // NULL: none yet, or it is gone
    ski_mutex lock;                  // of what follows
    uint32_t tail;                   // the number of the one it has; 0: it follows the feed
    skald_subscription subscription; // of that tail; 0: not known yet
    uint64_t number;                 // of what is not kept
    skald_delivery_id waiting;       // the pending delivery, 0: none
    ski_frame *held;                 // its event, which found no room
    bool gone;
    bool alone; // it cannot follow a feed
} sse_client;

typedef struct sse_tail {
    sse_client *client;
    uint32_t number;
} sse_tail;

static void client_leave(sse_client *client)
{
    if (atomic_fetch_sub(&client->owners, 1) > 1) return;
    ski_mutex_fini(&client->lock);
    ski_free(client);
}

static void client_given(void *context, size_t count)
{
    const sse_client *client = context;

    atomic_fetch_add_explicit(&client->metrics->live_events, count, memory_order_relaxed);
}

// tail_joins: what was written reaches the feed; it goes on there. Lock held.
static bool tail_joins(sse_client *client, uint64_t position)
{
    ski_http_feed *feed = ski_audience_feed(client->audience);

    if (!position || client->alone || !client->subscription.id) return false;
    if (!ski_http_feed_reaches(feed, position)) return false;
    if (ski_http_stream_follow(client->http, client->request, feed,
                               (ski_feed_at){position, client->number}))
        return false;
    client->tail = 0;
    return true;
}

// tail_write gives an event to the client. Lock held. True: the tail is not needed any more.
static bool tail_write(sse_client *client, const skald_delivery *delivery, ski_frame **take_frame,
                       skald_outcome *ret_outcome)
{
    skald_err err =
        ski_http_stream_write(client->http, client->request, ski_frame_text(*take_frame), NULL);

    if (err == SKALD_ESTALE) return false; // needs nothing: its subscription is ending
    if (err && err != SKALD_EFULL) {
        *ret_outcome = skald_retry(delivery, 0, "cannot write: %s", skald_err_text(err));
        return false;
    }
    client_given(client, 1);
    if (!delivery->event->position) client->number = ski_delivery_number(delivery);
    if (err) {
        client->waiting = delivery->id;
        client->held = *take_frame;
        *take_frame = NULL;
        *ret_outcome = SKALD_PENDING;
        return false;
    }
    return tail_joins(client, delivery->event->position);
}

static skald_outcome tail_handle(const skald_delivery *delivery)
{
    const sse_tail *tail = delivery->context;
    sse_client *client = tail->client;
    skald_subscription subscription = {0};
    skald_outcome outcome = SKALD_ACK;
    ski_frame *frame = NULL;

    if (!ski_auth_ticket_holds(client->auth, &client->ticket)) {
        // A key that was revoked, or has expired, meanwhile: nothing more is shown to its holder.
        (void)!ski_http_stream_end(client->http, client->request);
        return SKALD_ACK;
    }
    skald_err err = ski_frames_take(client->frames, delivery->event, &frame);
    if (err) return skald_retry(delivery, 0, "cannot encode: %s", skald_err_text(err));
    // The lock covers the write too: drained, which takes it, then comes after waiting is set.
    ski_mutex_lock(&client->lock);
    if (!client->gone && client->tail == tail->number &&
        tail_write(client, delivery, &frame, &outcome))
        subscription = client->subscription;
    ski_mutex_unlock(&client->lock);
    ski_frames_give(client->frames, frame);
    if (subscription.id) (void)skald_unsubscribe(client->bus, subscription, false);
    return outcome;
}

static void tail_end(void *context)
{
    sse_tail *tail = context;

    client_leave(tail->client);
    ski_free(tail);
}

// client_goes_on: nothing is delivered to a quiet stream, so its key is asked after here; and
// before anything of the feed is written.
static bool client_goes_on(void *context)
{
    const sse_client *client = context;

    return ski_auth_ticket_holds(client->auth, &client->ticket);
}

static void client_drained(void *context)
{
    sse_client *client = context;
    skald_outcome outcome = SKALD_ACK;
    skald_delivery_id waiting;

    ski_mutex_lock(&client->lock);
    waiting = client->waiting;
    client->waiting.id = 0;
    if (waiting.id) {
        // The buffer is empty now, so it is taken; a client that is gone needs nothing.
        if (ski_http_stream_write(client->http, client->request, ski_frame_text(client->held),
                                  NULL) == SKALD_ENOMEM)
            outcome = SKALD_RETRY;
        ski_frames_give(client->frames, client->held);
        client->held = NULL;
    }
    ski_mutex_unlock(&client->lock);
    if (waiting.id) (void)!skald_delivery_end(client->bus, waiting, outcome, 0, "out of memory");
}

static void client_gone(void *context)
{
    sse_client *client = context;
    skald_subscription subscription = {0};

    ski_mutex_lock(&client->lock);
    client->gone = true;
    if (client->tail) subscription = client->subscription;
    ski_frames_give(client->frames, client->held); // the subscription may end after the api
    client->held = NULL;
    ski_mutex_unlock(&client->lock);
    if (subscription.id) (void)skald_unsubscribe(client->bus, subscription, false);
    ski_audience_leave(client->audience);
    client->audience = NULL;
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
    atomic_init(&client->owners, 1);
    ski_mutex_init(&client->lock);
    *ret_client = client;
    return SKALD_OK;
}

// tail_start begins a subscription of the client's own behind a position, or at a time.
static skald_err tail_start(sse_client *client, uint64_t after, skald_time from)
{
    skald_subscription_options options = {
        .kind = "sse",
        .filter = *ski_audience_filter(client->audience),
        .handler = {.fn = tail_handle, .end = tail_end},
        .order = SKALD_IN_SEQUENCE,
        .in_flight_max = 64,
        // A client that takes nothing for write_timeout_ms is cut long before a delivery times out.
        .retry = {.timeout_ms = 3600 * 1000},
        .from = after || from ? SKALD_FROM_DEFAULT : SKALD_FROM_START,
        .after = after,
        .from_time = from,
        .takes_tests = true,
    };
    skald_subscription subscription = {0};
    sse_tail *tail = ski_alloc_zeroed(1, sizeof *tail);

    if (!tail) return SKALD_ENOMEM;
    *tail = (sse_tail){.client = client, .number = ++client->tails};
    options.handler.context = tail;
    atomic_fetch_add(&client->owners, 1);
    ski_mutex_lock(&client->lock);
    client->tail = tail->number;
    client->subscription.id = 0;
    ski_mutex_unlock(&client->lock);
    SKALD_TRY(skald_subscribe(client->bus, &options, &subscription, NULL)); // or end was called
    ski_mutex_lock(&client->lock);
    client->subscription = subscription;
    ski_mutex_unlock(&client->lock);
    return SKALD_OK;
}

// client_refused: the words come too late for a status; the stream says why and ends.
static void client_refused(const sse_client *client, skald_err err)
{
    skald_str text =
        err == SKALD_EINVALID
            ? SKALD_STR("event: error\ndata: the position is beyond the end of the log\n\n")
            : SKALD_STR("event: error\ndata: too many subscriptions; try again later\n\n");

    (void)!ski_http_stream_write(client->http, client->request, text, NULL);
    (void)!ski_http_stream_end(client->http, client->request);
}

static void client_behind(void *context, ski_feed_at after)
{
    sse_client *client = context;

    ski_mutex_lock(&client->lock);
    client->number = after.loose;
    ski_mutex_unlock(&client->lock);
    skald_err err = tail_start(client, after.position, 0);

    if (err) client_refused(client, err);
}

// client_follow puts the client where it wants to begin.
static skald_err client_follow(sse_client *client, const ski_query *query)
{
    skald_err err;

    client->number = ski_bus_number(client->bus);
    if (!query->has_after && query->read.from) return tail_start(client, 0, query->read.from);
    if (query->read.after > skald_store_head(ski_bus_store(client->bus))) return SKALD_EINVALID;
    err = ski_http_stream_follow(client->http, client->request, ski_audience_feed(client->audience),
                                 (ski_feed_at){query->read.after, client->number});
    if (err != SKALD_EUNSUPPORTED) return SKALD_OK; // one that is gone needs nothing
    client->alone = true;
    return tail_start(client, query->read.after, 0);
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
        .behind = client_behind,
        .given = client_given,
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
    // A stream that is gone already frees its client later, like any other: on the loop. What the
    // audience is given begins before the position that the client is told.
    err = ski_audience_join(ski_api_of(request)->audiences, request->http, &query.read.filter,
                            &client->audience, reterr_error);
    (void)!begin_at_end(request, &query);
    if (!err) err = client_follow(client, &query);
    if (err) client_refused(client, err);
    return SKALD_OK;
}
