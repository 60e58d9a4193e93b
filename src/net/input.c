// SPDX-License-Identifier: Apache-2.0
// Reading: what the codec tells of a connection becomes exchanges, and those reach their handlers.
//
// Pipelined requests run side by side only where nobody can tell (RFC 9112 9.3.2): safe ones with
// safe ones, and unsafe ones that begin in order on the loop with each other. Any other request is
// held until those before it are answered.
//
// Invariants:
//   1. reading is the exchange whose head or body comes in; it is in line, at its end, once its
//   head is whole.
//   2. A body that nobody wants is read to its end only when little of it is left; else its reply
//   ends the connection.
#include "net/server.h"

#include "base/alloc.h"
#include "base/str.h"
#include <assert.h>
#include <string.h>

enum {             // who may run beside whom
    class_safe,    // GET, HEAD, OPTIONS
    class_ordered, // unsafe, begun on the loop: their order is that of the requests
    class_alone,   // unsafe, on a worker or with a body that streams
};

bool ski_conn_can_take(const ski_conn *conn)
{
    if (conn->closing || conn->lingering || conn->last_reply) return false;
    if (conn->held || conn->body_paused) return false;
    if (conn->codec.state != SKI_CODEC_START) return true;
    return conn->exchange_count < conn->http->options.pipeline_max &&
           conn->unsent_bytes + conn->unsettled_bytes <= SKI_UNSENT_BYTES_MAX;
}

static void line_push(ski_conn *conn, ski_exchange *exchange)
{
    exchange->in_line = true;
    exchange->next = NULL;
    if (conn->last != NULL) conn->last->next = exchange;
    if (conn->first == NULL) conn->first = exchange;
    conn->last = exchange;
    conn->exchange_count++;
}

// line_pull takes the newest exchange out of the line.
static void line_pull(ski_conn *conn)
{
    ski_exchange *exchange = conn->last, *before = NULL;

    for (ski_exchange *at = conn->first; at != exchange; at = at->next) before = at;
    conn->last = before;
    if (before != NULL) before->next = NULL;
    if (before == NULL) conn->first = NULL;
    conn->exchange_count--;
    exchange->in_line = false;
    if (exchange->handed && !exchange->answered && !exchange->begun) conn->open_count--;
}

void ski_conn_reading_dropped(ski_conn *conn)
{
    ski_exchange *exchange = conn->reading;

    if (exchange == NULL) return;
    conn->reading = NULL;
    if (exchange->in_line) {
        line_pull(conn);
        ski_exchange_orphan(exchange);
    } else {
        ski_exchange_release(conn->http, exchange);
    }
}

// reading_replaced puts a new exchange into the place of one that a handler is being fed with, to
// carry the server's own answer. NULL: no memory.
static ski_exchange *reading_replaced(ski_conn *conn)
{
    ski_exchange *old = conn->reading, *made = ski_exchange_take(conn->http);

    if (made == NULL) return NULL;
    made->conn = conn;
    made->request.method = skald_arena_copy(made->request.scratch, old->request.method);
    made->request.path = skald_arena_copy(made->request.scratch, old->request.path);
    made->request.correlation_id =
        skald_arena_copy(made->request.scratch, old->request.correlation_id);
    made->request.route = old->request.route;
    made->begun_ns = old->begun_ns;
    made->http10 = old->http10;
    ski_conn_reading_dropped(conn);
    return made;
}

// reading_to_answer gives the exchange, in line, that carries the server's own answer to what is
// being read.
static ski_exchange *reading_to_answer(ski_conn *conn)
{
    ski_exchange *exchange = conn->reading;

    if (exchange == NULL) {
        exchange = ski_exchange_take(conn->http);
        if (exchange != NULL) exchange->conn = conn;
    } else if (exchange->begun) {
        return NULL; // half of its reply is out: nothing can be said any more
    } else if (exchange->handed) {
        exchange = reading_replaced(conn);
    }
    if (exchange != NULL && !exchange->in_line) line_push(conn, exchange);
    return exchange;
}

void ski_conn_refuse_last(ski_conn *conn, const skald_error *error)
{
    ski_exchange *exchange = reading_to_answer(conn);

    if (exchange == NULL) {
        ski_conn_cut(conn);
        return;
    }
    ski_conn_read_no_more(conn);
    (void)ski_problem_send(conn->http, exchange->request.id, error, NULL);
}

// body_unwanted: the request is answered before its body is there.
static void body_unwanted(ski_conn *conn, const ski_exchange *exchange)
{
    const ski_codec *codec = &conn->codec;
    bool small = codec->state == SKI_CODEC_END ||
                 (codec->state == SKI_CODEC_LENGTH && codec->body_left <= SKI_SWALLOW_BYTES_MAX &&
                  !exchange->expect_continue);

    if (small && exchange->keep_alive && !conn->http->draining) {
        conn->reading = NULL;
    } else {
        ski_conn_read_no_more(conn);
    }
}

// refuse answers what is being read, before a handler has it.
static void refuse(ski_conn *conn, const skald_error *error, const ski_http_header *header)
{
    ski_exchange *exchange = conn->reading;

    assert(exchange != NULL && exchange->in_line && !exchange->handed);
    body_unwanted(conn, exchange);
    (void)ski_problem_send(conn->http, exchange->request.id, error, header);
}

static skald_buf *on_begin(void *context)
{
    ski_conn *conn = context;
    ski_exchange *exchange = ski_exchange_take(conn->http);

    assert(conn->reading == NULL);
    if (exchange == NULL) return NULL;
    exchange->conn = conn;
    conn->reading = exchange;
    ski_deadline_clear(&conn->read_deadline); // one head's time is not another's
    return &exchange->head;
}

static skald_err request_fill(ski_exchange *exchange, const ski_codec_head *head)
{
    ski_http *http = exchange->request.http;
    ski_http_request *request = &exchange->request;
    size_t size = head->header_count * sizeof *head->headers;
    ski_http_header *headers = skald_arena_get(request->scratch, size);

    memcpy(exchange->peer, exchange->conn->peer, sizeof exchange->peer);
    request->peer = skald_str_of(exchange->peer);
    exchange->begun_ns = http->kernel->monotonic_ns(http->kernel->context);
    exchange->http10 = head->minor == 0;
    exchange->keep_alive = head->keep_alive;
    if (headers == NULL) return SKALD_ENOMEM;
    if (size > 0) memcpy(headers, head->headers, size);
    request->headers = headers;
    request->header_count = head->header_count;
    request->method = head->method;
    request->path = head->path;
    request->query = head->query;
    exchange->head_only = skald_str_equal(head->method, SKALD_STR("HEAD"));
    exchange->expect_continue = head->expect_continue;
    exchange->body_announced = head->content_length;
    exchange->chunked = head->chunked;
    return SKALD_OK;
}

// body_limit: a body without an end is for those that are streamed.
static uint64_t body_limit(const ski_exchange *exchange)
{
    uint64_t limit = exchange->request.route->body_bytes_max;
    bool endless = limit == UINT64_MAX && !exchange->streams_body;

    return limit == 0 || endless ? exchange->request.http->options.body_bytes_max : limit;
}

static skald_err fail_as(skald_error *error, skald_err err, const char *code, const char *text)
{
    (void)skald_fail(error, err, "%s", text);
    memcpy(error->code, code, strlen(code) + 1);
    return err;
}

static skald_err fail_too_big(skald_error *error, uint64_t limit)
{
    return skald_fail(error, SKALD_ETOOBIG, "the body may be %llu bytes at most",
                      (unsigned long long)limit);
}

// parameters_fill decodes the {…} of the path.
static skald_err parameters_fill(ski_exchange *exchange, const ski_router_match *match,
                                 skald_error *error)
{
    ski_http_request *request = &exchange->request;

    for (size_t i = 0; i < SKI_ROUTER_PARAMETERS_MAX && match->parameters[i].ptr != NULL; i++) {
        skald_err err =
            ski_http_decode(match->parameters[i], false, request->scratch, &request->parameters[i]);
        if (err == SKALD_ENOMEM) return skald_fail(error, err, "out of memory");
        if (err) {
            return skald_fail_at(error, err, "path",
                                 "a segment of the path has a bad %%-escape, "
                                 "%%00, or is not UTF-8");
        }
    }
    return SKALD_OK;
}

// admit: may the request come in at all?
static skald_err admit(ski_exchange *exchange, skald_error *error)
{
    ski_http *http = exchange->request.http;

    if (http->exchanges_now > http->options.requests_max || !ski_exchange_head_charge(exchange)) {
        return skald_fail(error, SKALD_EFULL, "too many requests at once; try again later");
    }
    if (http->options.guard == NULL) return SKALD_OK;
    skald_err err = http->options.guard(&exchange->request, error);
    if (err && error->err == SKALD_OK) (void)skald_fail(error, err, "%s", skald_err_text(err));
    return err;
}

// coding_begins makes what decodes the body, if it comes coded.
static skald_err coding_begins(ski_exchange *exchange, skald_error *error)
{
    ski_http *http = exchange->request.http;
    ski_coding coding;

    if (!ski_coding_of(ski_http_header_get(&exchange->request, "content-encoding"), &coding)) {
        return fail_as(error, SKALD_EUNSUPPORTED, "UNSUPPORTED_MEDIA_TYPE",
                       "a body may come as it is, or with Content-Encoding gzip or zstd");
    }
    if (coding == SKI_CODING_NONE) return SKALD_OK;
    if (http->decoders_now == SKI_DECODERS_MAX) {
        return skald_fail(error, SKALD_EFULL, "too many coded bodies at once; try again later");
    }
    exchange->decoder = ski_decoder_new(coding);
    if (!exchange->decoder) return skald_fail(error, SKALD_ENOMEM, "out of memory");
    http->decoders_now++;
    return SKALD_OK;
}

// admit_routed: is there a route, and what it needs?
static skald_err admit_routed(ski_exchange *exchange, const ski_codec_head *head,
                              const ski_router_match *match, skald_error *error)
{
    if (!match->known) return skald_fail(error, SKALD_ENOTFOUND, "there is nothing at this path");
    if (match->route == NULL) {
        return fail_as(error, SKALD_EUNSUPPORTED, "METHOD_NOT_ALLOWED",
                       "this path does not take that method; Allow says which it takes");
    }
    SKALD_TRY(parameters_fill(exchange, match, error));
    if (head->expect_other) {
        return fail_as(error, SKALD_EUNSUPPORTED, "EXPECTATION_FAILED",
                       "the only Expect known here is 100-continue");
    }
    const ski_http_route *route = match->route;
    exchange->streams_body = route->body && (!route->streams || route->streams(&exchange->request));
    if (head->content_length > body_limit(exchange)) {
        return fail_too_big(error, body_limit(exchange));
    }
    return head->content_length || head->chunked ? coding_begins(exchange, error) : SKALD_OK;
}

// options_answered: OPTIONS tells what a path, or the server, takes.
static bool options_answered(ski_conn *conn, ski_exchange *exchange, const ski_router_match *match)
{
    bool star = skald_str_equal(exchange->request.path, SKALD_STR("*"));

    if (!skald_str_equal(exchange->request.method, SKALD_STR("OPTIONS"))) return false;
    if (match->route != NULL || (!match->known && !star)) return false;
    ski_http_header allow = {
        SKALD_STR("Allow"),
        star ? SKALD_STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
             : skald_str_of(match->allow),
    };
    ski_http_reply reply = {.status = 204, .headers = &allow, .header_count = 1};
    body_unwanted(conn, exchange);
    (void)!ski_http_reply_send(conn->http, exchange->request.id, &reply);
    return true;
}

static uint8_t class_of(const ski_exchange *exchange)
{
    skald_str method = exchange->request.method;

    if (skald_str_equal(method, SKALD_STR("GET")) || skald_str_equal(method, SKALD_STR("HEAD")) ||
        skald_str_equal(method, SKALD_STR("OPTIONS"))) {
        return class_safe;
    }
    return exchange->request.route->worker || exchange->streams_body ? class_alone : class_ordered;
}

// must_wait: the newest request may not begin beside those before it.
static bool must_wait(const ski_conn *conn, const ski_exchange *exchange)
{
    if (conn->first == exchange) return false;
    if (exchange->expect_continue) return true; // 100 Continue has its turn, too
    if (conn->open_count == 0) return false;
    return class_of(exchange) == class_alone || class_of(exchange) != conn->open_class;
}

// reading_begins lets the newest request go ahead: its body may come, or has its handler already.
static void reading_begins(ski_conn *conn)
{
    ski_exchange *exchange = conn->reading;
    bool body_comes = conn->codec.state != SKI_CODEC_END;

    conn->held = false;
    conn->open_class = class_of(exchange);
    if (exchange->streams_body) ski_exchange_dispatch(exchange);
    bool open = ski_exchange_stage(exchange) == SKI_STAGE_OPEN; // else it wants no body
    if (exchange->expect_continue && body_comes && open) ski_conn_continue_send(conn);
}

// head_goes sends the request whose head is there where it belongs, or refuses it.
static void head_goes(ski_conn *conn, ski_exchange *exchange, const ski_codec_head *head)
{
    ski_http_request *request = &exchange->request;
    ski_router_match match;
    skald_error error = {0};

    ski_router_find(conn->http->router, request->method, request->path, &match);
    request->route = match.route;
    if (admit(exchange, &error)) {
        refuse(conn, &error, NULL);
        return;
    }
    if (options_answered(conn, exchange, &match)) return;
    if (admit_routed(exchange, head, &match, &error)) {
        static const ski_http_header codings = {SKALD_STR("Accept-Encoding"),
                                                SKALD_STR("gzip, zstd")};
        ski_http_header allow = {SKALD_STR("Allow"), skald_str_of(match.allow)};
        bool coded = strcmp(error.code, "UNSUPPORTED_MEDIA_TYPE") == 0;
        refuse(conn, &error, match.known && match.route == NULL ? &allow : coded ? &codings : NULL);
        return;
    }
    conn->held = must_wait(conn, exchange);
    if (!conn->held) reading_begins(conn);
}

static bool on_head(void *context, const ski_codec_head *head)
{
    ski_conn *conn = context;
    ski_exchange *exchange = conn->reading;
    skald_error error;

    ski_http_count(conn->http, SKI_COUNT_REQUESTS, 1);
    line_push(conn, exchange);
    if (request_fill(exchange, head)) {
        (void)skald_fail(&error, SKALD_ENOMEM, "out of memory");
        refuse(conn, &error, NULL);
    } else {
        head_goes(conn, exchange, head);
    }
    return ski_conn_can_take(conn);
}

// wants_body: a handler that has replied is fed no more.
static bool wants_body(ski_exchange *exchange)
{
    ski_stage stage = ski_exchange_stage(exchange);

    return stage != SKI_STAGE_ANSWERED && stage != SKI_STAGE_STREAM_ENDED;
}

// body_streamed gives the next bytes to the handler that asked for them.
static void body_streamed(ski_conn *conn, ski_exchange *exchange, skald_str bytes)
{
    skald_error error = {0};

    if (!wants_body(exchange)) return;
    exchange->body_len += bytes.len;
    if (exchange->body_len > body_limit(exchange)) {
        (void)fail_too_big(&error, body_limit(exchange));
        ski_conn_refuse_last(conn, &error);
        return;
    }
    conn->body_paused = !exchange->request.route->body->more(&exchange->request, bytes);
}

static void body_buffered(ski_conn *conn, ski_exchange *exchange, skald_str bytes)
{
    skald_error error;

    if (exchange->body_len + bytes.len > body_limit(exchange)) {
        (void)fail_too_big(&error, body_limit(exchange));
        ski_conn_refuse_last(conn, &error);
        return;
    }
    skald_err err = ski_exchange_body_put(exchange, bytes);
    if (err == SKALD_OK) return;
    (void)skald_fail(&error, err, "no room for this body beside all the others; try again later");
    ski_conn_refuse_last(conn, &error);
}

static void body_plain(ski_conn *conn, ski_exchange *exchange, skald_str bytes)
{
    (exchange->streams_body ? body_streamed : body_buffered)(conn, exchange, bytes);
}

static void body_fault(ski_conn *conn, skald_err err)
{
    skald_error error = {0};

    (void)skald_fail(&error, err,
                     err == SKALD_EINVALID
                         ? "the body is not what its Content-Encoding says, or not "
                           "whole"
                         : "out of memory");
    ski_conn_refuse_last(conn, &error);
}

// body_decoded goes on with what came coded, until it is used up or nobody can take more of it.
static void body_decoded(ski_conn *conn)
{
    ski_exchange *exchange = conn->reading;

    while (conn->reading == exchange && ski_conn_can_take(conn)) {
        skald_str piece;
        skald_err err = ski_decoder_next(exchange->decoder, &piece);

        if (err) {
            body_fault(conn, err);
            return;
        }
        if (!piece.len) return;
        body_plain(conn, exchange, piece);
    }
}

static void body_coded(ski_conn *conn, ski_exchange *exchange, skald_str bytes)
{
    skald_err err = ski_decoder_give(exchange->decoder, bytes);

    if (err) {
        body_fault(conn, err);
    } else {
        body_decoded(conn);
    }
}

static bool on_body(void *context, skald_str bytes)
{
    ski_conn *conn = context;
    ski_exchange *exchange = conn->reading;
    bool streams = exchange != NULL && exchange->streams_body;

    conn->progress_bytes += bytes.len;
    if (streams || conn->progress_bytes >= SKI_BODY_PROGRESS_BYTES) {
        conn->progress_bytes = 0;
        ski_deadline_clear(&conn->read_deadline);
    }
    if (exchange != NULL) (exchange->decoder ? body_coded : body_plain)(conn, exchange, bytes);
    return ski_conn_can_take(conn);
}

static bool on_end(void *context)
{
    ski_conn *conn = context;
    ski_exchange *exchange = conn->reading;

    if (exchange != NULL && exchange->decoder && !ski_decoder_whole(exchange->decoder) &&
        wants_body(exchange)) {
        body_fault(conn, SKALD_EINVALID);
        return ski_conn_can_take(conn);
    }
    if (exchange != NULL) ski_exchange_decoder_free(exchange);
    conn->reading = NULL;
    conn->progress_bytes = 0;
    bool last = conn->http->draining || (exchange != NULL && !exchange->keep_alive);
    if (last) ski_conn_read_no_more(conn);
    if (exchange == NULL) return ski_conn_can_take(conn);
    exchange->body_done = true;
    if (!exchange->streams_body) {
        ski_exchange_dispatch(exchange);
    } else if (wants_body(exchange)) {
        exchange->request.route->body->end(&exchange->request);
    }
    if (ski_exchange_stage(exchange) == SKI_STAGE_ANSWERED) {
        conn->unsettled_bytes += exchange->out.len;
    }
    return ski_conn_can_take(conn);
}

static void on_failed(void *context, const skald_error *error)
{
    ski_conn *conn = context;

    ski_http_count(conn->http, SKI_COUNT_BAD, 1);
    ski_conn_refuse_last(conn, error);
}

const ski_codec_sink ski_conn_sink = {
    .begin = on_begin,
    .head = on_head,
    .body = on_body,
    .end = on_end,
    .failed = on_failed,
};

// head_grew looks at a head that is not whole yet: each may be large, but not all of them.
static void head_grew(ski_conn *conn)
{
    skald_error error;

    if (conn->codec.state != SKI_CODEC_HEAD || conn->reading == NULL) return;
    if (ski_exchange_head_charge(conn->reading)) return;
    (void)skald_fail(&error, SKALD_EFULL, "too many headers at once; try again later");
    ski_conn_refuse_last(conn, &error);
}

void ski_conn_feed(ski_conn *conn, skald_str bytes)
{
    if (conn->lingering || conn->last_reply) {
        conn->discarded_bytes += bytes.len;
        if (conn->discarded_bytes > SKI_LINGER_BYTES_MAX) ski_conn_cut(conn);
        return;
    }
    assert(conn->rest_len == 0);
    size_t took = ski_codec_feed(&conn->codec, bytes);
    head_grew(conn);
    if (took == bytes.len || conn->closing) return;
    conn->rest = ski_alloc(bytes.len - took);
    if (conn->rest == NULL) {
        ski_conn_cut(conn);
        return;
    }
    conn->rest_at = 0;
    conn->rest_len = conn->rest_charged = bytes.len - took;
    ski_http_count(conn->http, SKI_COUNT_UNSENT, (int64_t)conn->rest_charged);
    memcpy(conn->rest, bytes.ptr + took, conn->rest_len);
}

void ski_conn_take_rest(ski_conn *conn)
{
    if (conn->held && !must_wait(conn, conn->reading)) reading_begins(conn);
    if (conn->reading != NULL && conn->reading->decoder) body_decoded(conn);
    size_t had = conn->rest_len;
    while (!conn->closing && ski_conn_can_take(conn) &&
           (conn->rest_len > 0 || conn->codec.state == SKI_CODEC_END)) {
        skald_str bytes = {conn->rest_len > 0 ? conn->rest + conn->rest_at : "", conn->rest_len};
        size_t took = ski_codec_feed(&conn->codec, bytes);
        conn->rest_at += took;
        conn->rest_len -= took;
    }
    if (conn->rest_len < had) head_grew(conn);
    if (conn->rest_len == 0 || conn->last_reply) ski_conn_drop_rest(conn);
}
