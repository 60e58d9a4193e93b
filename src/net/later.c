// SPDX-License-Identifier: Apache-2.0
// Calls that come later: a timer each. A server that stops makes them all at once, saying so.
#include "base/alloc.h"
#include "net/server.h"

struct ski_later {
    uv_timer_t timer; // first
    ski_http *http;
    void (*fn)(void *context, bool cancelled);
    void *context;
    ski_later *prev, *next;
};

static void later_closed(uv_handle_t *handle)
{
    ski_free(handle);
}

static void later_run(ski_later *later, bool cancelled)
{
    if (later->prev != NULL)
        later->prev->next = later->next;
    else
        later->http->laters = later->next;
    if (later->next != NULL) later->next->prev = later->prev;
    later->fn(later->context, cancelled);
    uv_close((uv_handle_t *)&later->timer, later_closed);
}

static void later_rang(uv_timer_t *timer)
{
    ski_later *later = (ski_later *)timer;
    ski_http *http = later->http;

    later_run(later, false);
    ski_http_settle(http);
}

skald_err ski_http_later(ski_http *http, uint32_t delay_ms,
                         void (*fn)(void *context, bool cancelled), void *context)
{
    ski_later *later;

    if (http->draining) return SKALD_ECLOSED;
    later = ski_alloc_zeroed(1, sizeof *later);
    if (later == NULL) return SKALD_ENOMEM;
    later->http = http;
    later->fn = fn;
    later->context = context;
    later->next = http->laters;
    if (later->next != NULL) later->next->prev = later;
    http->laters = later;
    uv_timer_init(&http->loop, &later->timer);
    uv_timer_start(&later->timer, later_rang, delay_ms, 0);
    return SKALD_OK;
}

void ski_laters_cancel(ski_http *http)
{
    while (http->laters != NULL) later_run(http->laters, true);
}

bool ski_http_alive(ski_http *http, ski_http_request_id id)
{
    ski_mutex_lock(&http->lock);
    ski_exchange *exchange = ski_exchange_find(http, id.id);
    bool alive = exchange != NULL && exchange->stage == SKI_STAGE_OPEN && exchange->conn != NULL;
    ski_mutex_unlock(&http->lock);
    return alive;
}
