// SPDX-License-Identifier: Apache-2.0
// Replies in pieces, bodies in pieces, calls that come later, and the end of a server.
#include "net/http_test_client.h"

#include <assert.h>
#include <errno.h>

enum { heartbeat_ms = 40 };

typedef struct fixture {
    ski_http *http;
    uint16_t port;
    gate arrived, drained, gone, ended, cancelled; // how often each came
    ski_http_request_id last;                      // under arrived.lock
    skald_buf fed;                                 // of the loop
    _Atomic bool feed_stops;                       // more returns false
    ski_thread thread;
} fixture;

static void arrived(fixture *fix, ski_http_request_id id)
{
    ski_mutex_lock(&fix->arrived.lock);
    fix->last = id;
    ski_mutex_unlock(&fix->arrived.lock);
    gate_pass(&fix->arrived);
}

// last_of is the newest request that arrived. The lock is for ThreadSanitizer too, which does not
// see that a request arrives after it was sent.
static ski_http_request_id last_of(fixture *fix)
{
    ski_mutex_lock(&fix->arrived.lock);
    ski_http_request_id id = fix->last;
    ski_mutex_unlock(&fix->arrived.lock);
    return id;
}

static void stream_drained(void *context)
{
    gate_pass(&((fixture *)context)->drained);
}

static void stream_gone(void *context)
{
    gate_pass(&((fixture *)context)->gone);
}

static skald_err begin(ski_http_request *request, uint32_t beat_ms, size_t write_bytes_max)
{
    fixture *fix = request->context;
    ski_http_reply head = {.status = 200, .content_type = "text/event-stream"};
    ski_http_stream stream = {
        .drained = stream_drained,
        .gone = stream_gone,
        .context = fix,
        .write_bytes_max = write_bytes_max,
        .heartbeat_ms = beat_ms,
        .heartbeat = SKALD_STR(":\n\n"),
    };

    return ski_http_stream_begin(request->http, request->id, &head, &stream);
}

static skald_err handle_events(ski_http_request *request, skald_error *error)
{
    (void)error;
    skald_err err = begin(request, heartbeat_ms, 100000);
    if (!err) arrived(request->context, request->id);
    return err;
}

static skald_err handle_export(ski_http_request *request, skald_error *error)
{
    size_t queued = 0;

    (void)error;
    skald_err err = begin(request, 0, 0);
    if (err) return err;
    err = ski_http_stream_write(request->http, request->id, SKALD_STR("one "), &queued);
    // To a HEAD the stream has ended already.
    bool head = skald_str_equal(request->method, SKALD_STR("HEAD"));
    assert(err == (head ? SKALD_ESTALE : SKALD_OK) && (head || queued >= 4));
    if (head) return SKALD_OK;
    assert(ski_http_stream_write(request->http, request->id, SKALD_STR(""), NULL) == SKALD_OK);
    assert(ski_http_stream_write(request->http, request->id, SKALD_STR("two"), NULL) == SKALD_OK);
    ski_http_reply second = {.status = 200};
    assert(ski_http_reply_send(request->http, request->id, &second) == SKALD_ESTALE);
    err = ski_http_stream_end(request->http, request->id);
    assert(ski_http_stream_end(request->http, request->id) == SKALD_ESTALE);
    assert(ski_http_stream_write(request->http, request->id, SKALD_STR("x"), NULL) == SKALD_ESTALE);
    return err;
}

static skald_err handle_hold(ski_http_request *request, skald_error *error)
{
    (void)error;
    arrived(request->context, request->id);
    return SKALD_OK;
}

static skald_err handle_upload(ski_http_request *request, skald_error *error)
{
    fixture *fix = request->context;

    if (ski_http_header_get(request, "X-Refuse").ptr != NULL) {
        return skald_fail(error, SKALD_EUNSUPPORTED, "not this");
    }
    fix->fed.len = 0;
    arrived(fix, request->id);
    return SKALD_OK;
}

static bool upload_more(ski_http_request *request, skald_str bytes)
{
    fixture *fix = request->context;

    fix->fed.bytes_max = SIZE_MAX;
    assert(skald_buf_put(&fix->fed, bytes) == SKALD_OK);
    if (memchr(bytes.ptr, '!', bytes.len) != NULL) { // has seen enough
        ski_http_reply reply = {.status = 422, .body = SKALD_STR("enough")};
        assert(ski_http_reply_send(request->http, request->id, &reply) == SKALD_OK);
    }
    return !fix->feed_stops;
}

static void upload_end(ski_http_request *request)
{
    fixture *fix = request->context;
    skald_str text = skald_arena_print(request->scratch, "%zu bytes.", fix->fed.len);
    ski_http_reply reply = {.status = 200, .body = text};

    gate_pass(&fix->ended);
    assert(ski_http_reply_send(request->http, request->id, &reply) == SKALD_OK);
}

static void upload_gone(ski_http_request *request)
{
    fixture *fix = request->context;
    ski_http_reply reply = {.status = 200};

    assert(ski_http_reply_send(request->http, request->id, &reply) == SKALD_OK); // releases it
    gate_pass(&fix->gone);
}

// A duplex answers while it is fed; "." ends the answer.
static skald_err handle_duplex(ski_http_request *request, skald_error *error)
{
    (void)error;
    return begin(request, 0, 0);
}

static bool duplex_more(ski_http_request *request, skald_str bytes)
{
    skald_err err = ski_http_stream_write(request->http, request->id, bytes, NULL);

    if (!err && *bytes.ptr == '.') err = ski_http_stream_end(request->http, request->id);
    assert(!err);
    return true;
}

static void duplex_end(ski_http_request *request)
{
    assert(!ski_http_stream_end(request->http, request->id));
}

static const ski_http_body duplex = {.more = duplex_more, .end = duplex_end, .gone = duplex_end};
static const ski_http_body upload = {.more = upload_more, .end = upload_end, .gone = upload_gone};

static bool upload_streams(const ski_http_request *request)
{
    return ski_http_header_get(request, "X-Whole").ptr == NULL;
}

static void later_came(void *context, bool cancelled)
{
    fixture *fix = context;

    gate_pass(cancelled ? &fix->cancelled : &fix->ended);
}

static skald_err handle_later(ski_http_request *request, skald_error *error)
{
    ski_http_reply reply = {.status = 200};

    (void)error;
    assert(ski_http_alive(request->http, request->id));
    assert(ski_http_later(request->http, 10, later_came, request->context) == SKALD_OK);
    assert(ski_http_later(request->http, 60000, later_came, request->context) == SKALD_OK);
    skald_err err = ski_http_reply_send(request->http, request->id, &reply);
    assert(!ski_http_alive(request->http, request->id));
    return err;
}

static const ski_http_route routes[] = {
    ROUTE("GET", "/events", handle_events),
    ROUTE("GET", "/export", handle_export),
    ROUTE("GET", "/keep", handle_hold),
    ROUTE("GET", "/later", handle_later),
    {.method = "POST", .path = "/duplex", .handle = handle_duplex, .body = &duplex},
    {.method = "POST",
     .path = "/upload",
     .handle = handle_upload,
     .body = &upload,
     .streams = upload_streams,
     .body_bytes_max = UINT64_MAX},
    {.method = "POST",
     .path = "/upload-small",
     .handle = handle_upload,
     .body = &upload,
     .body_bytes_max = 10},
    {.method = NULL},
};

enum { streams_bytes_max = 700000 };

static int setup(void **state)
{
    fixture *fix = ski_alloc_zeroed(1, sizeof *fix);
    ski_http_options options = {.routes = routes,
                                .context = fix,
                                .body_timeout_ms = 1000,
                                .body_bytes_max = 1000,
                                .streams_bytes_max = streams_bytes_max};

    gate_init(&fix->arrived);
    gate_init(&fix->drained);
    gate_init(&fix->gone);
    gate_init(&fix->ended);
    gate_init(&fix->cancelled);
    fix->http = server_start(&options);
    fix->port = ski_http_port(fix->http);
    *state = fix;
    return 0;
}

static int teardown(void **state)
{
    fixture *fix = *state;

    if (fix->http) assert_int_equal(ski_http_stop(fix->http, 2000), SKALD_OK);
    gate_fini(&fix->arrived);
    gate_fini(&fix->drained);
    gate_fini(&fix->gone);
    gate_fini(&fix->ended);
    gate_fini(&fix->cancelled);
    skald_buf_fini(&fix->fed);
    ski_free(fix);
    return 0;
}

static void test_export(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    client_reply reply;

    for (int i = 0; i < 3; i++) client_send(&one, "GET /export HTTP/1.1\r\n" HOST "\r\n");
    client_send(&one, "HEAD /export HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 4; i++) {
        assert_true(client_reply_get(&one, &reply, i == 3));
        assert_true(reply_has(&reply, "Transfer-Encoding: chunked\r\n"));
        assert_true(reply_has(&reply, "Content-Type: text/event-stream\r\n"));
        assert_string_equal(reply.body.ptr, i < 3 ? "one two" : "");
        reply_fini(&reply);
    }
    gate_wait(&fix->gone, 4);
    // To HTTP/1.0 nothing is chunked: the end of the connection is the end.
    client_send(&one, "GET /export HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_false(reply_has(&reply, "Transfer-Encoding"));
    assert_true(reply_has(&reply, "Connection: close\r\n"));
    assert_string_equal(reply.body.ptr, "one two");
    reply_fini(&reply);
    client_close(&one);
    gate_wait(&fix->gone, 5);
}

// writes_from_afar sends ten pieces from another thread.
static void writes_from_afar(void *argument)
{
    fixture *fix = argument;

    for (int i = 0; i < 10; i++) {
        char text[32];
        snprintf(text, sizeof text, "data: %d\n\n", i);
        assert(!ski_http_stream_write(fix->http, last_of(fix), skald_str_of(text), NULL));
    }
    assert(!ski_http_stream_end(fix->http, last_of(fix)));
}

static void test_events(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    client_reply reply;

    client_send(&one, "GET /events HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->arrived, 1);
    assert_true(client_head(&one, &reply)); // the head is out before the first piece
    reply_fini(&reply);
    uint64_t begun = now_ms();
    client_need(&one, 2 * 8); // "3\r\n:\n\n\r\n" twice
    assert_in_range(now_ms() - begun, heartbeat_ms, 1000 * client_wait_s);
    assert_memory_equal(one.bytes, "3\r\n:\n\n\r\n3\r\n:\n\n\r\n", 16);
    assert_int_equal(ski_kernel_system.spawn(NULL, "afar", writes_from_afar, fix, &fix->thread), 0);
    ski_kernel_system.join(NULL, fix->thread);
    reply = (client_reply){.body.bytes_max = SIZE_MAX};
    client_chunks(&one, &reply);
    assert_int_equal(skald_buf_put(&reply.body, SKALD_STR("\0")), SKALD_OK);
    assert_non_null(strstr(reply.body.ptr, "data: 0\n\ndata: 1\n\n"));
    assert_non_null(strstr(reply.body.ptr, "data: 9\n\n"));
    reply_fini(&reply);
    gate_wait(&fix->gone, 1);
    client_send(&one, "GET /export HTTP/1.1\r\n" HOST "\r\n"); // the connection goes on
    client_expect(&one, 200, "one two");
    client_close(&one);
}

static void test_events_client_gone(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port), two = client_open(fix->port);

    client_send(&one, "GET /events HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->arrived, 1);
    ski_http_request_id first = last_of(fix);
    client_close(&one);
    gate_wait(&fix->gone, 1);
    assert_int_equal(ski_http_stream_write(fix->http, first, SKALD_STR("x"), NULL), SKALD_ESTALE);
    assert_int_equal(ski_http_stream_end(fix->http, first), SKALD_ESTALE);
    client_send(&two, "GET /events HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    gate_wait(&fix->arrived, 2);
    client_reset(&two);
    gate_wait(&fix->gone, 2);
    // Gone before the stream begins: it begins all the same, and is gone.
    one = client_open(fix->port);
    client_send(&one, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->arrived, 3);
    client_reset(&one);
    ski_http_counters counters;
    do ski_http_counters_get(fix->http, &counters);
    while (counters.connections_now > 0);
    ski_http_stream stream = {.gone = stream_gone, .context = fix};
    ski_http_reply head = {.status = 200};
    assert_int_equal(ski_http_stream_begin(fix->http, last_of(fix), &head, &stream), SKALD_OK);
    gate_wait(&fix->gone, 3);
}

// A client that does not read fills the queue; when it reads on, drained tells.
// Many streams that nobody reads hold less together than each of them might.
static void test_events_full_together(void **state)
{
    enum { clients = 12, piece = 10000 };
    static const char bytes[piece];
    fixture *fix = *state;
    client many[clients];
    ski_http_request_id ids[clients];
    ski_http_counters counters;
    uint64_t until = now_ms() + 1000 * client_wait_s;

    for (unsigned i = 0; i < clients; i++) {
        many[i] = client_open(fix->port);
        client_send(&many[i], "GET /events HTTP/1.1\r\n" HOST "\r\n");
        gate_wait(&fix->arrived, i + 1);
        ids[i] = last_of(fix);
    }
    do { // again, until the kernel's buffers are full, too
        for (int full = 0; full < 20 * clients; full++) {
            skald_err err = ski_http_stream_write(fix->http, ids[full % clients],
                                                  ski_str(bytes, sizeof bytes), NULL);
            if (!err) full = 0;
            if (err) usleep(100);
        }
        ski_http_counters_get(fix->http, &counters);
    } while (counters.streams_bytes_now <= streams_bytes_max / 2 && now_ms() < until);
    assert_int_equal(counters.streams_bytes_max, streams_bytes_max);
    assert_true(counters.streams_bytes_now > streams_bytes_max / 2);
    assert_true(counters.streams_bytes_now <= streams_bytes_max + clients * (piece + 100));
    for (int i = 0; i < clients; i++) client_close(&many[i]);
    gate_wait(&fix->gone, clients);
    ski_http_counters_get(fix->http, &counters);
    assert_int_equal(counters.streams_bytes_now, 0);
}

static void test_events_full(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    static const char bytes[60000];
    size_t queued = 0;
    skald_err err = SKALD_OK;

    client_send(&one, "GET /events HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->arrived, 1);
    for (int full = 0; full < 20;) { // full so often in a row: the kernel's buffers are, too
        err = ski_http_stream_write(fix->http, last_of(fix), ski_str(bytes, sizeof bytes), &queued);
        full = err == SKALD_EFULL ? full + 1 : 0;
        if (!err) assert_true(queued <= 100000 + 100);
        if (err) usleep(1000);
    }
    unsigned before = gate_count(&fix->drained);
    while (gate_count(&fix->drained) == before) {
        assert_true(client_more(&one));
        client_drop(&one, one.len);
    }
    // A single piece beyond the limit is taken when nothing waits.
    char *large = ski_alloc_zeroed(1, 500000);
    err = ski_http_stream_write(fix->http, last_of(fix), ski_str(large, 500000), &queued);
    assert_int_equal(err, SKALD_OK);
    assert_true(queued >= 500000);
    ski_free(large);
    client_close(&one);
    gate_wait(&fix->gone, 1);
}

static void test_upload(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);

    client_send(&one, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n");
    gate_wait(&fix->arrived, 1); // before the body
    client_send(&one, "0123456789");
    client_expect(&one, 200, "10 bytes.");
    client_send(&one, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    client_expect(&one, 200, "0 bytes.");
    client_send(&one, "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++) { // together longer than the time for progress
        client_send(&one, "2\r\nab\r\n");
        usleep(50000);
    }
    client_send(&one, "0\r\n\r\n");
    client_expect(&one, 200, "10 bytes.");
    // streams said no: the handler is called with the whole. It keeps the request.
    client_send(&one, "POST /upload HTTP/1.1\r\n" HOST "X-Whole: 1\r\nContent-Length: 3\r\n\r\n");
    assert_int_equal(gate_count(&fix->arrived), 3);
    client_send(&one, "abc");
    gate_wait(&fix->arrived, 4);
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("whole")};
    assert_int_equal(ski_http_reply_send(fix->http, last_of(fix), &reply), SKALD_OK);
    client_expect(&one, 200, "whole");
    // Without an end are only those that are streamed.
    client_send(&one,
                "POST /upload HTTP/1.1\r\n" HOST "X-Whole: 1\r\nContent-Length: 1001\r\n\r\n");
    client_expect(&one, 413, "1000 bytes at most");
    client_close(&one);
}

static void test_upload_ends_early(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    client_reply reply;

    client_send(&one, "POST /upload HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nX-Refuse: 1\r\n"
                      "Content-Length: 10\r\n\r\n");
    client_expect(&one, 501, "not this"); // without 100 Continue
    assert_true(client_closed(&one));
    client_close(&one);
    one = client_open(fix->port);
    client_send(&one, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nabc!def");
    assert_true(client_reply_get(&one, &reply, false));
    assert_int_equal(reply.status, 422);
    assert_true(reply_has(&reply, "Connection: close\r\n"));
    reply_fini(&reply);
    assert_true(client_closed(&one));
    client_close(&one);
    assert_int_equal(gate_count(&fix->gone), 0);
    assert_int_equal(gate_count(&fix->ended), 0);
}

// The server's own refusal in the middle of a body: the client gets it, the handler is told.
static void test_upload_cut(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);

    client_send(&one, "POST /upload-small HTTP/1.1\r\n" HOST
                      "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n1\r\n");
    gate_wait(&fix->arrived, 1);
    client_send(&one, "0\r\n");
    client_expect(&one, 413, "10 bytes at most");
    gate_wait(&fix->gone, 1);
    assert_true(client_closed(&one));
    client_close(&one);
    one = client_open(fix->port);
    client_send(&one,
                "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX");
    client_expect(&one, 400, "the chunked body is broken");
    gate_wait(&fix->gone, 2);
    client_close(&one);
    one = client_open(fix->port);
    client_send(&one, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc");
    client_expect(&one, 408, "/upload");
    gate_wait(&fix->gone, 3);
    client_close(&one);
    one = client_open(fix->port);
    client_send(&one, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc");
    gate_wait(&fix->arrived, 4);
    client_reset(&one);
    gate_wait(&fix->gone, 4);
    one = client_open(fix->port);
    client_send(&one, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc");
    gate_wait(&fix->arrived, 5);
    client_close(&one);
    gate_wait(&fix->gone, 5);
    assert_int_equal(gate_count(&fix->ended), 0);
}

// resumes goes on asking for more, as a handler does whose queue gets empty.
static void resumes(void *argument)
{
    fixture *fix = argument;

    while (gate_count(&fix->ended) == 0) {
        ski_http_resume(fix->http, last_of(fix));
        usleep(100);
    }
}

static void test_duplex(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    client_reply reply;
    const char *ask = "POST /duplex HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";

    client_send(&one, ask);
    assert_true(client_head(&one, &reply));
    client_send(&one, "3\r\nabc\r\n");
    client_need(&one, 8);
    assert_memory_equal(one.bytes, "3\r\nabc\r\n", 8);
    client_send(&one, "0\r\n\r\n");
    client_need(&one, 13);
    assert_memory_equal(one.bytes + 8, "0\r\n\r\n", 5);
    client_drop(&one, 13);
    // The answer ends before the body: so does the connection.
    client_send(&one, ask);
    client_send(&one, "1\r\n.\r\n");
    client_expect(&one, 200, ".");
    assert_true(client_closed(&one));
    client_close(&one);
    // A body that breaks when half of the answer is out: nothing but the end can tell.
    one = client_open(fix->port);
    client_send(&one, ask);
    client_send(&one, "3\r\nabc\r\nX");
    assert_true(client_head(&one, &reply));
    while (client_more(&one)) {
    }
    assert_null(memmem(one.bytes, one.len, "0\r\n\r\n", 5));
    client_close(&one);
    // A client that leaves in the middle.
    one = client_open(fix->port);
    client_send(&one, ask);
    assert_true(client_head(&one, &reply));
    client_close(&one);
    gate_wait(&fix->gone, 4);
}

// Backpressure: while the handler has enough nothing is read, and what it has is bounded.
static void test_upload_paused(void **state)
{
    enum { pieces = 64, piece = 65536 };
    fixture *fix = *state;
    client one = client_open(fix->port);
    char *bytes = ski_alloc_zeroed(1, piece), head[128];

    fix->feed_stops = true;
    snprintf(head, sizeof head, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n",
             pieces * piece);
    client_send(&one, head);
    gate_wait(&fix->arrived, 1);
    client_send(&one, "x");
    usleep(250000); // longer than the time for progress: waiting for ourselves is no timeout
    ski_http_counters counters;
    ski_http_counters_get(fix->http, &counters);
    assert_true(counters.bytes_in < 1000);
    assert_int_equal(ski_kernel_system.spawn(NULL, "resumes", resumes, fix, &fix->thread), 0);
    client_send_bytes(&one, bytes, piece - 1);
    for (int i = 1; i < pieces; i++) client_send_bytes(&one, bytes, piece);
    client_expect(&one, 200, "4194304 bytes.");
    ski_kernel_system.join(NULL, fix->thread);
    ski_http_resume(fix->http, last_of(fix)); // stale: nothing
    ski_http_resume(fix->http, (ski_http_request_id){0});
    ski_free(bytes);
    client_close(&one);
}

static void test_later(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);

    client_send(&one, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 200, NULL);
    gate_wait(&fix->ended, 1);
    assert_int_equal(gate_count(&fix->cancelled), 0);
    assert_int_equal(ski_http_stop(fix->http, 1000), SKALD_OK);
    fix->http = NULL;
    assert_int_equal(gate_count(&fix->cancelled), 1);
    client_close(&one);
}

static void answer_in_a_while(void *argument)
{
    fixture *fix = argument;
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("at last")};

    usleep(50000);
    assert(!ski_http_reply_send(fix->http, last_of(fix), &reply));
}

// A stop lets what runs end, says so to the client, ends streams, and closes who asks nothing.
static void test_stop(void **state)
{
    fixture *fix = *state;
    client idle = client_open(fix->port), busy = client_open(fix->port),
           events = client_open(fix->port);
    client_reply reply;

    client_send(&idle, "GET /export HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&idle, 200, "one two");
    client_send(&events, "GET /events HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->arrived, 1);
    client_send(&busy, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->arrived, 2);
    assert_int_equal(ski_kernel_system.spawn(NULL, "while", answer_in_a_while, fix, &fix->thread),
                     0);
    assert_int_equal(ski_http_stop(fix->http, 5000), SKALD_OK);
    fix->http = NULL;
    ski_kernel_system.join(NULL, fix->thread);
    assert_true(client_reply_get(&busy, &reply, false));
    assert_true(reply_has(&reply, "Connection: close\r\n"));
    assert_string_equal(reply.body.ptr, "at last");
    reply_fini(&reply);
    assert_true(client_closed(&busy));
    assert_true(client_reply_get(&events, &reply, false)); // whole: its last chunk came
    reply_fini(&reply);
    assert_true(client_closed(&idle));
    assert_int_equal(gate_count(&fix->gone), 2);
    client_close(&idle);
    client_close(&busy);
    client_close(&events);
}

static void export_in_a_while(void *argument)
{
    fixture *fix = argument;

    usleep(50000);
    assert(!ski_http_stream_write(fix->http, last_of(fix), SKALD_STR("the rest"), NULL));
    assert(!ski_http_stream_end(fix->http, last_of(fix)));
}

// A stream with an end of its own is not ended by a stop: half of it would look whole.
static void test_stop_export(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    ski_http_reply head = {.status = 200};
    ski_http_stream stream = {.gone = stream_gone, .context = fix};

    client_send(&one, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->arrived, 1);
    assert_int_equal(ski_http_stream_begin(fix->http, last_of(fix), &head, &stream), SKALD_OK);
    assert_int_equal(ski_kernel_system.spawn(NULL, "export", export_in_a_while, fix, &fix->thread),
                     0);
    assert_int_equal(ski_http_stop(fix->http, 5000), SKALD_OK);
    fix->http = NULL;
    ski_kernel_system.join(NULL, fix->thread);
    client_expect(&one, 200, "the rest");
    client_close(&one);
}

static void nothing(void *context)
{
    (void)context;
}

// What does not end in time is cut; its request may be answered when the server is long gone.
static void test_stop_cuts(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port), two = client_open(fix->port);
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("too late")};
    ski_http_stream stream = {.gone = stream_gone, .context = fix};
    ski_http_request_id ids[2];

    client_send(&one, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->arrived, 1);
    ids[0] = last_of(fix);
    client_send(&two, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->arrived, 2);
    ids[1] = last_of(fix);
    assert_int_equal(ski_http_stop(fix->http, 20), SKALD_ETIMEOUT);
    assert_true(client_closed(&one));
    assert_true(client_closed(&two));
    assert_false(ski_http_post(fix->http, nothing, NULL));
    assert_int_equal(ski_http_reply_send(fix->http, ids[0], &reply), SKALD_OK);
    assert_int_equal(ski_http_reply_send(fix->http, ids[0], &reply), SKALD_ESTALE);
    ski_http_resume(fix->http, ids[1]);
    // The last answer frees the server.
    assert_int_equal(ski_http_stream_begin(fix->http, ids[1], &reply, &stream), SKALD_ESTALE);
    fix->http = NULL;
    assert_int_equal(gate_count(&fix->gone), 0);
    client_close(&one);
    client_close(&two);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_export),
        TEST(test_events),
        TEST(test_events_client_gone),
        TEST(test_events_full),
        TEST(test_events_full_together),
        TEST(test_upload),
        TEST(test_upload_ends_early),
        TEST(test_upload_cut),
        TEST(test_upload_paused),
        TEST(test_duplex),
        TEST(test_later),
        TEST(test_stop),
        TEST(test_stop_export),
        TEST(test_stop_cuts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
