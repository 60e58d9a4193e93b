// SPDX-License-Identifier: Apache-2.0
// Audiences: matching and dispatch are done once for all who follow alike. A member that lags is
// given what it missed by a subscription of its own (api_sse.c): the feed has no past.
//
// An audience joins the log as every subscription does (bus/feed.c), and a member joins the
// audience by the same rule: it follows once its position is not before what the feed still has,
// and what is not above it is passed over. The bus cannot do that for it. A member that follows has
// no cursor there, for how far it got is known where its socket takes a part of a frame, on the
// loop; to give it one would be a delivery for each member and event, which costs more than to
// write it.
//
// Invariants:
//   1. An audience has two owners, its members together and its subscription (until end); the last
//   one frees it.
//   2. feed is NULL once the last member has left. From then on nothing of the API is touched: the
//   subscription may end after it.
#include "api/audience.h"
#include "base/alloc.h"
#include "base/str.h"
#include "bus/bus.h"
#include "os/thread.h"

#include <stdatomic.h>

enum { filter_bytes_max = 8 * 1024 * 1024 };

struct ski_audiences {
    skald_bus *bus;
    ski_frames *frames;
    ski_audience *first;
};

struct ski_audience {
    ski_audiences *all;
    ski_audience *prev, *next;
    uint32_t members;
    skald_arena *arena; // of filter
    skald_filter filter;
    skald_bus *bus;
    skald_subscription subscription;
    _Atomic int owners;
    ski_mutex lock; // of what follows
    ski_http_feed *feed;
    skald_delivery_id waiting; // the pending delivery, 0: none
    ski_frame *held;           // its event, which found no room
    ski_feed_at held_at;
};

skald_err ski_audiences_new(skald_bus *bus, ski_frames *frames, ski_audiences **ret_audiences)
{
    ski_audiences *audiences = ski_alloc_zeroed(1, sizeof *audiences);

    if (!audiences) return SKALD_ENOMEM;
    audiences->bus = bus;
    audiences->frames = frames;
    *ret_audiences = audiences;
    return SKALD_OK;
}

void ski_audiences_free(ski_audiences *audiences)
{
    ski_free(audiences);
}

static void audience_unref(ski_audience *audience)
{
    if (atomic_fetch_sub(&audience->owners, 1) > 1) return;
    ski_mutex_fini(&audience->lock);
    skald_arena_free(audience->arena);
    ski_free(audience);
}

static skald_outcome audience_handle(const skald_delivery *delivery)
{
    ski_audience *audience = delivery->context;
    skald_outcome outcome = SKALD_ACK;
    ski_feed_at at = {delivery->event->position, ski_delivery_number(delivery)};
    ski_frame *frame = NULL;

    // The lock covers the put too: room, which takes it, then comes after waiting is set.
    ski_mutex_lock(&audience->lock);
    if (audience->feed) {
        skald_err err = ski_frames_take(audience->all->frames, delivery->event, &frame);
        if (!err)
            err = ski_http_feed_put(audience->feed, at, ski_frame_text(frame),
                                    ski_delivery_more(delivery));
        if (err == SKALD_EFULL && frame) {
            audience->waiting = delivery->id;
            audience->held = frame;
            audience->held_at = at;
            outcome = SKALD_PENDING;
        } else {
            ski_frames_give(audience->all->frames, frame);
            if (err) outcome = skald_retry(delivery, 0, "cannot encode: %s", skald_err_text(err));
        }
    }
    ski_mutex_unlock(&audience->lock);
    return outcome;
}

static void audience_end(void *context)
{
    audience_unref(context);
}

// audience_room: what was pending has been taken, so there is room for one in any case.
static void audience_room(void *context)
{
    ski_audience *audience = context;
    skald_outcome outcome = SKALD_ACK;

    ski_mutex_lock(&audience->lock);
    skald_delivery_id waiting = audience->waiting;
    audience->waiting.id = 0;
    if (waiting.id) {
        if (ski_http_feed_put(audience->feed, audience->held_at, ski_frame_text(audience->held),
                              false))
            outcome = SKALD_RETRY; // no memory now
        ski_frames_give(audience->all->frames, audience->held);
        audience->held = NULL;
    }
    ski_mutex_unlock(&audience->lock);
    if (waiting.id) (void)!skald_delivery_end(audience->bus, waiting, outcome, 0, "out of memory");
}

static bool texts_equal(skald_texts a, skald_texts b)
{
    if (a.count != b.count) return false;
    for (size_t i = 0; i < a.count; i++)
        if (!skald_str_equal(a.items[i], b.items[i])) return false;
    return true;
}

// filters_equal: written alike. Those that mean the same in another order are two audiences.
static bool filters_equal(const skald_filter *a, const skald_filter *b)
{
    return a->priority_min == b->priority_min && !a->tenant.ptr == !b->tenant.ptr &&
           skald_str_equal(a->tenant, b->tenant) &&
           skald_str_equal(a->correlation_id, b->correlation_id) &&
           texts_equal(a->types, b->types) && texts_equal(a->streams, b->streams) &&
           texts_equal(a->categories, b->categories);
}

static void audience_close(ski_audience *audience)
{
    ski_mutex_lock(&audience->lock);
    ski_http_feed *feed = audience->feed;
    audience->feed = NULL;
    ski_frames_give(audience->all->frames, audience->held);
    audience->held = NULL;
    ski_mutex_unlock(&audience->lock);
    ski_http_feed_end(feed);
}

static skald_err audience_subscribe(ski_audience *audience, uint64_t after,
                                    skald_error *reterr_error)
{
    const skald_subscription_options options = {
        .kind = "sse",
        .filter = audience->filter,
        .handler = {.fn = audience_handle, .context = audience, .end = audience_end},
        .from = after ? SKALD_FROM_DEFAULT : SKALD_FROM_START,
        .after = after,
        .order = SKALD_IN_SEQUENCE,
        .in_flight_max = 256,
        .retry = {.timeout_ms = 3600 * 1000},
        .takes_tests = true,
    };

    return skald_subscribe(audience->bus, &options, &audience->subscription, reterr_error);
}

static skald_err audience_new(ski_audiences *audiences, ski_http *http, const skald_filter *filter,
                              ski_audience **ret_audience, skald_error *reterr_error)
{
    ski_feed_at at = {skald_store_head(ski_bus_store(audiences->bus)),
                      ski_bus_number(audiences->bus)};
    ski_audience *audience = ski_alloc_zeroed(1, sizeof *audience);

    if (!audience) return SKALD_ENOMEM;
    audience->all = audiences;
    audience->bus = audiences->bus;
    atomic_init(&audience->owners, 2);
    ski_mutex_init(&audience->lock);
    skald_err err = skald_arena_new(filter_bytes_max, &audience->arena);
    if (!err && !ski_filter_copy(audience->arena, filter, &audience->filter)) err = SKALD_ENOMEM;
    if (!err) err = ski_http_feed_new(http, at, audience_room, audience, &audience->feed);
    if (err) {
        audience_end(audience);
    } else {
        err = audience_subscribe(audience, at.position, reterr_error); // calls end if it fails
    }
    if (err) {
        audience_close(audience);
        audience_unref(audience);
        return err;
    }
    *ret_audience = audience;
    return SKALD_OK;
}

skald_err ski_audience_join(ski_audiences *audiences, ski_http *http, const skald_filter *filter,
                            ski_audience **ret_audience, skald_error *reterr_error)
{
    ski_audience *audience = audiences->first;

    while (audience && !filters_equal(&audience->filter, filter)) audience = audience->next;
    if (!audience) {
        SKALD_TRY(audience_new(audiences, http, filter, &audience, reterr_error));
        audience->next = audiences->first;
        if (audiences->first) audiences->first->prev = audience;
        audiences->first = audience;
    }
    audience->members++;
    *ret_audience = audience;
    return SKALD_OK;
}

void ski_audience_leave(ski_audience *audience)
{
    if (!audience || --audience->members) return;
    if (audience->prev) audience->prev->next = audience->next;
    if (audience->next) audience->next->prev = audience->prev;
    if (audience->all->first == audience) audience->all->first = audience->next;
    audience_close(audience);
    (void)skald_unsubscribe(audience->bus, audience->subscription, false);
    audience_unref(audience);
}

ski_http_feed *ski_audience_feed(const ski_audience *audience)
{
    return audience->feed;
}

const skald_filter *ski_audience_filter(const ski_audience *audience)
{
    return &audience->filter;
}
