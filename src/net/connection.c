// SPDX-License-Identifier: Apache-2.0
// The life of a connection: accepted, read, continued, said goodbye to, closed.
//
// Invariants:
//   1. A connection reads while somebody can take what comes; else what was read and not taken
//      waits in rest, and TCP holds the client back.
//   2. continue decides everything again from the state: what to write, whether to read, which
//      deadline. It is called for every connection that was touched, when the loop settles, and
//      never from within itself.
//   3. A reply that ends the connection is followed by a half-close and a short wait: closing at
//      once with unread input would reset the connection, and the client might never see the reply.
#include "net/server.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

// touch_dropped takes one off the flush list that was cut when the loop had no time to settle all.
static void touch_dropped(ski_conn *conn)
{
    ski_conn **at = &conn->http->flush;

    while (*at != conn) at = &(*at)->flush_next;
    *at = conn->flush_next;
}

static void rest_uncharge(ski_conn *conn)
{
    ski_http_count(conn->http, SKI_COUNT_UNSENT, -(int64_t)conn->rest_charged);
    conn->rest_charged = 0;
}

void ski_conn_drop_rest(ski_conn *conn)
{
    rest_uncharge(conn);
    ski_free(conn->rest);
    conn->rest = NULL;
    conn->rest_len = conn->rest_at = 0;
}

static void conn_closed(uv_handle_t *handle)
{
    ski_conn *conn = (ski_conn *)handle;
    ski_http *http = conn->http;

    if (conn->touched) touch_dropped(conn);
    ski_tls_free(conn->tls);
    ski_free(conn->cipher);
    ski_conn_drop_rest(conn);
    ski_free(conn);
    ski_http_count(http, SKI_COUNT_CONNECTIONS, -1);
    ski_http_settle(http);
}

// exchanges_dropped lets go of everything a connection had to do.
static void exchanges_dropped(ski_conn *conn)
{
    ski_exchange *exchange = conn->first, *reading = conn->reading;

    conn->first = conn->last = conn->reading = NULL;
    conn->exchange_count = 0;
    conn->unsent_bytes = 0;
    if (reading != NULL && !reading->in_line) ski_exchange_release(conn->http, reading);
    while (exchange != NULL) {
        ski_exchange *next = exchange->next;
        ski_exchange_orphan(exchange);
        exchange = next;
    }
}

void ski_conn_cut(ski_conn *conn)
{
    ski_http *http = conn->http;

    if (conn->closing) return;
    conn->closing = true;
    ski_sender_take_back(conn);
    if (conn->prev) conn->prev->next = conn->next;
    if (conn->next) conn->next->prev = conn->prev;
    if (http->conns == conn) http->conns = conn->next;
    ski_deadline_clear(&conn->read_deadline);
    ski_deadline_clear(&conn->write_deadline);
    exchanges_dropped(conn);
    rest_uncharge(conn); // the codec may be reading it: it is freed later
    if (conn->refused) http->refused_now--;
    uv_close((uv_handle_t *)&conn->stream, conn_closed);
}

void ski_conn_read_no_more(ski_conn *conn)
{
    conn->reading = NULL;
    conn->held = conn->body_paused = false;
    conn->last_reply = true;
    ski_codec_fail(&conn->codec);
}

void ski_conn_touch(ski_conn *conn)
{
    if (conn->touched || conn->closing) return;
    conn->touched = true;
    conn->flush_next = conn->http->flush;
    conn->http->flush = conn;
}

static void alloc_shared(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    ski_conn *conn = (ski_conn *)handle;

    (void)suggested;
    *ret_buf = uv_buf_init(conn->http->read_buffer, SKI_READ_BYTES);
}

// ski_conn_input_ended: the client sends nothing more. It may still want to read replies, so those
// in line are sent; a stream with a heartbeat has no end to wait for, and goes.
void ski_conn_input_ended(ski_conn *conn)
{
    // A request whose rest will not come is dropped; one that has half a reply already takes the
    // connection with it.
    bool cut = conn->lingering || (conn->reading != NULL && conn->reading->begun);

    conn->eof = true;
    if (!cut) ski_conn_reading_dropped(conn);
    for (ski_exchange *exchange = conn->first; exchange != NULL; exchange = exchange->next) {
        cut |= exchange->begun && exchange->stream->options.heartbeat_ms > 0;
    }
    if (cut || conn->exchange_count == 0) {
        ski_conn_cut(conn);
    } else {
        ski_conn_read_no_more(conn);
    }
}

// can_read: there is somebody to take what comes.
static bool can_read(const ski_conn *conn)
{
    return conn->rest_len == 0 && ski_conn_can_take(conn);
}

static void conn_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    ski_conn *conn = (ski_conn *)stream;
    ski_http *http = conn->http;

    if (count == 0 || conn->closing) return;
    if (count == UV_EOF) {
        ski_conn_input_ended(conn);
    } else if (count < 0) {
        ski_conn_cut(conn);
    } else {
        skald_str bytes = ski_str(buf->base, (size_t)count);

        ski_http_count(http, SKI_COUNT_IN, count);
        (conn->tls && !conn->lingering ? ski_secure_read : ski_conn_feed)(conn, bytes);
    }
    ski_conn_touch(conn);
    if (can_read(conn)) {
        ski_http_settle_soon(http);
    } else {
        ski_http_settle(http); // libuv may have more of it, or its end
    }
}

// reading_set starts or stops reading as the state asks.
static void reading_set(ski_conn *conn)
{
    bool reads = !conn->eof && (conn->lingering || conn->last_reply || can_read(conn));

    if (reads == conn->reads) return;
    conn->reads = reads;
    if (reads) {
        if (uv_read_start(&conn->stream, alloc_shared, conn_read)) ski_conn_cut(conn);
    } else {
        uv_read_stop(&conn->stream);
    }
}

// deadline_due says what the client is waited for.
static ski_deadline_kind deadline_due(const ski_conn *conn)
{
    if (conn->lingering) return SKI_DEADLINE_LINGER;
    if (!conn->reads || conn->last_reply) return SKI_DEADLINE_NONE;
    if (conn->tls && !ski_tls_ready(conn->tls)) return SKI_DEADLINE_HEAD;
    switch ((ski_codec_state)conn->codec.state) {
    case SKI_CODEC_HEAD: return SKI_DEADLINE_HEAD;
    case SKI_CODEC_LENGTH:
    case SKI_CODEC_CHUNKED: return SKI_DEADLINE_BODY;
    case SKI_CODEC_START: return conn->exchange_count > 0 ? SKI_DEADLINE_NONE : SKI_DEADLINE_IDLE;
    case SKI_CODEC_END:
    case SKI_CODEC_FAILED: break;
    }
    return SKI_DEADLINE_NONE;
}

void ski_conn_continue(ski_conn *conn)
{
    if (conn->closing) return;
    conn->unsettled_bytes = 0;
    if (!conn->lingering) {
        ski_conn_flush(conn);
        if (!conn->closing && !conn->lingering) ski_conn_take_rest(conn);
    }
    if (conn->closing) return;
    reading_set(conn);
    ski_deadline_kind kind = deadline_due(conn);
    if (kind != conn->read_deadline.kind) ski_deadline_set(&conn->read_deadline, conn, kind);
    if (!conn->writing) {
        ski_deadline_clear(&conn->write_deadline);
    } else if (conn->write_deadline.kind == SKI_DEADLINE_NONE) {
        conn->unsent_seen = uv_stream_get_write_queue_size(&conn->stream);
        ski_deadline_set(&conn->write_deadline, conn, SKI_DEADLINE_WRITE);
    }
}

static void fin_sent(uv_shutdown_t *request, int status)
{
    ski_conn *conn = (ski_conn *)request->handle;

    if (conn->closing) return;
    if (status < 0 || conn->eof) ski_conn_cut(conn);
}

void ski_conn_goodbye(ski_conn *conn)
{
    ski_conn_read_no_more(conn);
    exchanges_dropped(conn);
    ski_conn_drop_rest(conn);
    conn->lingering = true;
    if (conn->tls) ski_secure_goodbye(conn);
    if (conn->closing) return;
    if (conn->eof || uv_shutdown(&conn->shutdown, &conn->stream, fin_sent)) {
        ski_conn_cut(conn);
    }
}

bool ski_conn_progressed(ski_conn *conn)
{
    size_t unsent = uv_stream_get_write_queue_size(&conn->stream);

    if (unsent >= conn->unsent_seen) return false;
    conn->unsent_seen = unsent;
    ski_deadline_set(&conn->write_deadline, conn, SKI_DEADLINE_WRITE);
    return true;
}

// write_expired: nothing was taken since the deadline was set, or the time goes on.
static void write_expired(ski_conn *conn)
{
    if (ski_conn_progressed(conn)) return;
    ski_http_count(conn->http, SKI_COUNT_TIMEOUTS, 1);
    ski_conn_cut(conn);
}

void ski_conn_expired(ski_conn *conn, ski_deadline_kind kind)
{
    skald_error error = {0};

    if (conn->tls && !ski_tls_ready(conn->tls)) { // nothing could be told
        ski_http_count(conn->http, SKI_COUNT_TIMEOUTS, 1);
        ski_conn_cut(conn);
        return;
    }
    switch (kind) {
    case SKI_DEADLINE_HEAD:
    case SKI_DEADLINE_BODY:
        ski_http_count(conn->http, SKI_COUNT_TIMEOUTS, 1);
        (void)skald_fail(&error, SKALD_ETIMEOUT,
                         kind == SKI_DEADLINE_HEAD ? "the headers did not come within %u ms"
                                                   : "the body did not go on within %u ms",
                         conn->http->durations_ms[kind]);
        ski_conn_refuse_last(conn, &error);
        ski_conn_touch(conn);
        break;
    case SKI_DEADLINE_WRITE: write_expired(conn); break;
    case SKI_DEADLINE_NONE:
    case SKI_DEADLINE_IDLE:
    case SKI_DEADLINE_LINGER:
    case SKI_DEADLINES: ski_conn_cut(conn); break;
    }
}

// peer_print writes "address:port", with brackets for IPv6, or "local".
static void peer_print(ski_conn *conn)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    char name[INET6_ADDRSTRLEN] = "";

    if (conn->stream.type != UV_TCP) {
        snprintf(conn->peer, sizeof conn->peer, "local");
        return;
    }
    if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&address, &len)) return;
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;
        (void)uv_ip6_name(six, name, sizeof name);
        snprintf(conn->peer, sizeof conn->peer, "[%s]:%u", name, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
        (void)uv_ip4_name(four, name, sizeof name);
        snprintf(conn->peer, sizeof conn->peer, "%s:%u", name, ntohs(four->sin_port));
    }
}

static void shed_closed(uv_handle_t *handle)
{
    ski_http *http = handle->data;

    http->shedding = false;
    if (http->shed_again) {
        http->shed_again = false;
        if (!http->draining) ski_conn_accept(http->shed_from, 0);
    }
}

// conn_shed takes the next connection off the listener and closes it: there is no memory for it,
// and one that stays there would keep libuv from listening on.
static void conn_shed(ski_http *http, uv_stream_t *listener)
{
    http->shed_again = http->shedding;
    if (http->shedding) return;
    int failed = ski_listen_init(http, listener, &http->shed.tcp, &http->shed.pipe);
    assert(failed == 0); // allocates nothing
    (void)failed;
    http->shed.tcp.data = http; // the same place in both
    http->shed_from = listener;
    http->shedding = true;
    (void)uv_accept(listener, (uv_stream_t *)&http->shed.tcp);
    uv_close((uv_handle_t *)&http->shed.tcp, shed_closed);
}

// conn_new takes the next connection off the listener. NULL: it could not be had, or is gone.
static ski_conn *conn_new(ski_http *http, uv_stream_t *listener)
{
    ski_conn *conn = ski_alloc_zeroed(1, sizeof *conn);

    if (conn == NULL || ski_listen_init(http, listener, &conn->tcp, &conn->pipe)) {
        ski_free(conn);
        ski_http_count(http, SKI_COUNT_REFUSED, 1);
        conn_shed(http, listener);
        return NULL;
    }
    conn->http = http;
    ski_http_count(http, SKI_COUNT_CONNECTIONS, 1);
    ski_codec_init(&conn->codec, &http->limits, &ski_conn_sink, conn);
    conn->next = http->conns;
    if (http->conns != NULL) http->conns->prev = conn;
    http->conns = conn;
    if (uv_accept(listener, &conn->stream) || ski_secure_accept(conn)) {
        ski_conn_cut(conn);
        return NULL;
    }
    return conn;
}

// conn_refuse tells a client that there are too many, if it can be told without waiting.
static void conn_refuse(ski_conn *conn)
{
    static const char body[] = "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\","
                               "\"status\":503,\"detail\":\"too many connections; try again "
                               "later\",\"code\":\"UNAVAILABLE\"}";
    ski_http *http = conn->http;
    char text[1024];
    skald_buf out = {.ptr = text, .size = sizeof text - 1, .bytes_max = sizeof text - 1};
    const ski_http_header own = {SKALD_STR("Retry-After"), SKALD_STR("1")};
    const ski_http_reply reply = {.status = 503, .headers = &own, .header_count = 1};
    skald_err err = ski_buf_print(&out,
                                  "HTTP/1.1 503 Service Unavailable\r\nContent-Type: "
                                  "application/problem+json\r\nContent-Length: %zu\r\n"
                                  "Connection: close\r\n",
                                  sizeof body - 1);
    if (!err) err = ski_reply_standing(http, NULL, &reply, &out);
    if (!err) {
        err = ski_buf_print(&out, "%.*s: %.*s\r\n", SKALD_FMT(own.name), SKALD_FMT(own.value));
    }
    if (!err) err = ski_buf_print(&out, "\r\n%s", body);
    uv_buf_t buf = uv_buf_init(text, (unsigned)out.len);

    ski_http_count(http, SKI_COUNT_REFUSED, 1);
    bool told = !err && !conn->tls && http->refused_now < SKI_LINGER_REFUSED_MAX &&
                uv_try_write(&conn->stream, &buf, 1) == (int)out.len;
    if (!told) {
        ski_conn_cut(conn);
        return;
    }
    conn->refused = true;
    http->refused_now++;
    ski_conn_goodbye(conn);
}

void ski_conn_accept(uv_stream_t *listener, int status)
{
    ski_http *http = listener->data;

    if (status < 0) return; // libuv has shed it: no descriptors left
    uint64_t now = http->counters[SKI_COUNT_CONNECTIONS] - http->refused_now;
    ski_conn *conn = conn_new(http, listener);
    if (conn == NULL) return;
    if (conn->stream.type == UV_TCP) uv_tcp_nodelay(&conn->tcp, 1);
    if (now >= http->options.connections_max) {
        conn_refuse(conn);
    } else {
        ski_http_count(http, SKI_COUNT_ACCEPTED, 1);
        peer_print(conn);
    }
    ski_conn_touch(conn);
    ski_http_settle(http);
}
