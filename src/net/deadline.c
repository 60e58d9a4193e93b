// SPDX-License-Identifier: Apache-2.0
// Deadlines of connections. Every kind has one duration, so a list to whose end the new ones go is
// in order of time: setting and clearing cost the same for one connection and for twenty thousand.
// One timer waits for the first of all.
#include "net/server.h"

void ski_deadlines_init(ski_http *http)
{
    for (int kind = 0; kind < SKI_DEADLINES; kind++) {
        ski_deadline *list = &http->deadlines[kind];
        list->prev = list->next = list;
    }
}

void ski_deadline_clear(ski_deadline *deadline)
{
    if (deadline->kind == SKI_DEADLINE_NONE) return;
    deadline->prev->next = deadline->next;
    deadline->next->prev = deadline->prev;
    deadline->kind = SKI_DEADLINE_NONE;
}

void ski_deadline_set(ski_deadline *deadline, ski_conn *conn, ski_deadline_kind kind)
{
    ski_http *http = conn->http;
    ski_deadline *list = &http->deadlines[kind];

    ski_deadline_clear(deadline);
    if (kind == SKI_DEADLINE_NONE) return;
    deadline->conn = conn;
    deadline->kind = kind;
    deadline->at_ms = uv_now(&http->loop) + http->durations_ms[kind];
    deadline->prev = list->prev;
    deadline->next = list;
    list->prev->next = deadline;
    list->prev = deadline;
}

static void timer_rang(uv_timer_t *timer)
{
    ski_http *http = timer->data;
    uint64_t now_ms = uv_now(&http->loop);

    http->timer_at_ms = 0;
    for (int kind = 0; kind < SKI_DEADLINES; kind++) {
        ski_deadline *list = &http->deadlines[kind];
        // Each one goes: expired clears it, or sets it anew behind now.
        while (list->next != list && list->next->at_ms <= now_ms) {
            ski_deadline *first = list->next;
            ski_deadline_clear(first);
            ski_conn_expired(first->conn, (ski_deadline_kind)kind);
        }
    }
    ski_streams_heartbeat(http);
    ski_http_settle(http);
}

void ski_deadlines_arm(ski_http *http)
{
    uint64_t at_ms = http->heartbeat_at_ms, now_ms = uv_now(&http->loop);

    for (int kind = 0; kind < SKI_DEADLINES; kind++) {
        const ski_deadline *list = &http->deadlines[kind];
        if (list->next != list && (at_ms == 0 || list->next->at_ms < at_ms)) {
            at_ms = list->next->at_ms;
        }
    }
    // A timer that is set too early finds nothing and is set again: cheaper than moving it with
    // each request.
    if (at_ms == 0 || (http->timer_at_ms != 0 && http->timer_at_ms <= at_ms)) return;
    if (uv_is_closing((uv_handle_t *)&http->timer)) return;
    http->timer_at_ms = at_ms;
    http->timer.data = http;
    uv_timer_start(&http->timer, timer_rang, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}
