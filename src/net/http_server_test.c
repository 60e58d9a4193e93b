// SPDX-License-Identifier: Apache-2.0
// The server over real sockets: routes, replies, problems, keeping alive, pipelining, workers,
// clients that go away.
#include "net/http_test_client.h"

#include <assert.h>
#include <stdatomic.h>

// What the handlers of a test leave behind, and what they need.
typedef struct fixture {
    asked_requests asked; // first; arrived: or a worker has begun
    ski_http *http;
    ski_http *serving; // as its own loop knows it
    uint16_t port;
    gate go;       // workers wait for it
    char log[256]; // of the loop alone
    skald_log failures;
    ski_mutex failure_lock; // of failure, which other threads write
    char failure[512];      // the last line of them
    atomic_uint observed, observed_unrouted, last_status;
    ski_http_request_id turning[2]; // of the loop alone
    unsigned turning_count;
    ski_thread thread;
} fixture;

static skald_err reply_text(const ski_http_request *request, unsigned status, skald_str text)
{
    ski_http_reply reply = {.status = status, .content_type = "text/plain", .body = text};

    return ski_http_reply_send(request->http, request->id, &reply);
}

static skald_err handle_echo(ski_http_request *request, skald_error *error)
{
    (void)error;
    return reply_text(request, 200, request->body);
}

static skald_err handle_tell(ski_http_request *request, skald_error *error)
{
    (void)error;
    skald_str a = request->parameters[0], b = request->parameters[1];
    skald_str header = ski_http_header_get(request, "x-ASK");
    assert(skald_str_equal(ski_http_header_get(request, "nothing"), (skald_str){0}));
    assert(ski_str_begins(request->peer, SKALD_STR("127.0.0.1:")));
    skald_str text = skald_arena_print(request->scratch, "%.*s|%.*s|%.*s|%.*s", SKALD_FMT(a),
                                       SKALD_FMT(b), SKALD_FMT(request->query), SKALD_FMT(header));
    return reply_text(request, 200, text);
}

static skald_err handle_peer(ski_http_request *request, skald_error *error)
{
    (void)error;
    return reply_text(request, 200, request->peer);
}

static skald_err handle_work(ski_http_request *request, skald_error *error)
{
    fixture *fix = request->context;

    (void)error;
    gate_pass(&fix->asked.arrived);
    gate_wait(&fix->go, 1);
    return reply_text(request, 200, request->body.len ? request->body : SKALD_STR("worked"));
}

static skald_err handle_fail(ski_http_request *request, skald_error *error)
{
    skald_str how = request->parameters[0];

    if (skald_str_equal(how, SKALD_STR("bare"))) return SKALD_ENOTFOUND;
    if (skald_str_equal(how, SKALD_STR("field"))) {
        return skald_fail_at(error, SKALD_EINVALID, "data.name", "\"%s\" is too long", "a\nb");
    }
    if (skald_str_equal(how, SKALD_STR("conflict"))) {
        skald_err err = skald_fail(error, SKALD_ECONFLICT, "moved on");
        error->expected_version = 3;
        error->actual_version = 18446744073709551614ULL;
        return err;
    }
    if (skald_str_equal(how, SKALD_STR("io"))) {
        return skald_fail(error, SKALD_EIO, "/secret/path broke");
    }
    if (skald_str_equal(how, SKALD_STR("auth"))) return skald_fail(error, SKALD_EAUTH, "who?");
    if (skald_str_equal(how, SKALD_STR("full"))) return skald_fail(error, SKALD_EFULL, "later");
    (void)reply_text(request, 200, SKALD_STR("replied first"));
    return SKALD_EIO; // nobody hears it any more
}

static skald_err handle_headers(ski_http_request *request, skald_error *error)
{
    static const ski_http_header bad[] = {
        {SKALD_STR("X"), SKALD_STR("a\r\nSet-Cookie: b")},
        {SKALD_STR("X"), SKALD_STR("a\nb")},
        {SKALD_STR("X"), SKALD_STR("a\0b")},
        {SKALD_STR("X"), SKALD_STR("a value that is long\r\nSet-Cookie: b")},
        {SKALD_STR("X"), SKALD_STR("1234567\n")},
        {SKALD_STR("X"), SKALD_STR("\n2345678")},
        {SKALD_STR("X"), SKALD_STR("a\ttab, and behind it\x7f")},
        {SKALD_STR("X"), SKALD_STR("1234567890123456\x1f")},
        {SKALD_STR("X Y"), SKALD_STR("a")},
        {SKALD_STR(""), SKALD_STR("a")},
        {SKALD_STR("X:"), SKALD_STR("a")},
        {SKALD_STR("content-length"), SKALD_STR("3")},
        {SKALD_STR("Connection"), SKALD_STR("close")},
    };
    ski_http_header good[] = {{SKALD_STR("X-Fixed"), SKALD_STR("its own")},
                              {SKALD_STR("ETag"), SKALD_STR("\"7\"")},
                              {SKALD_STR("X-Long"), SKALD_STR("a\ttab, \xc3\xa6 and ~ in one")}};
    ski_http_reply reply = {.status = 200, .header_count = 1, .body = SKALD_STR("[]")};

    (void)error;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        reply.headers = &bad[i];
        assert(ski_http_reply_send(request->http, request->id, &reply) == SKALD_EINVALID);
    }
    reply.headers = good;
    reply.header_count = 3;
    reply.status = 101;
    assert(ski_http_reply_send(request->http, request->id, &reply) == SKALD_EINVALID);
    reply.status = 600;
    assert(ski_http_reply_send(request->http, request->id, &reply) == SKALD_EINVALID);
    reply.status = 200;
    reply.content_type = "text/plain\r\nX: y";
    assert(ski_http_reply_send(request->http, request->id, &reply) == SKALD_EINVALID);
    reply.content_type = NULL;
    skald_err err = ski_http_reply_send(request->http, request->id, &reply);
    assert(ski_http_reply_send(request->http, request->id, &reply) == SKALD_ESTALE);
    return err;
}

static skald_err handle_log(ski_http_request *request, skald_error *error)
{
    fixture *fix = request->context;
    skald_str name = request->parameters[0];

    strncat(fix->log, name.ptr, name.len);
    return skald_str_equal(request->method, SKALD_STR("POST")) ? handle_keep(request, error)
                                                               : handle_hello(request, error);
}

// handle_turn is answered at the end of the turn.
static skald_err handle_turn(ski_http_request *request, skald_error *error)
{
    fixture *fix = request->context;

    if (fix->turning_count == 2) return skald_fail(error, SKALD_EFULL, "the turn does not end");
    fix->turning[fix->turning_count++] = request->id;
    fix->serving = request->http;
    assert(ski_http_turn(request->http));
    return SKALD_OK;
}

static void turned(void *context)
{
    fixture *fix = context;
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("turned")};

    assert(fix->turning_count);
    for (unsigned i = 0; i < fix->turning_count; i++) {
        (void)ski_http_reply_send(fix->serving, fix->turning[i], &reply);
    }
    fix->turning_count = 0;
}

static const ski_http_route routes[] = {
    ROUTE("GET", "/hello", handle_hello),
    ROUTE("GET", "/peer", handle_peer),
    ROUTE("POST", "/echo", handle_echo),
    ROUTE("GET", "/tell/{a}/of/{b}", handle_tell),
    ROUTE("GET", "/keep", handle_keep),
    ROUTE("GET", "/fail/{how}", handle_fail),
    ROUTE("GET", "/headers", handle_headers),
    ROUTE("GET", "/turn", handle_turn),
    ROUTE("POST", "/turn", handle_turn),
    ROUTE("GET", "/log/{name}", handle_log),
    ROUTE("POST", "/log/{name}", handle_log),
    {.method = "POST", .path = "/work", .handle = handle_work, .worker = true},
    {.method = "GET", .path = "/work", .handle = handle_work, .worker = true},
    {.method = NULL},
};

static skald_err guard(ski_http_request *request, skald_error *error)
{
    if (ski_http_header_get(request, "X-Evil").ptr != NULL) {
        return skald_fail(error, SKALD_EDENIED, "not for you");
    }
    request->correlation_id = ski_http_header_get(request, "X-Correlation-ID");
    return SKALD_OK;
}

static void observe(void *context, const ski_http_request *request, unsigned status,
                    uint64_t took_ns)
{
    fixture *fix = context;

    (void)took_ns;
    fix->observed++;
    if (request->route == NULL) fix->observed_unrouted++;
    fix->last_status = status;
}

static void failure_note(void *context, skald_level level SKALD_UNUSED, skald_str line)
{
    fixture *fix = context;

    ski_mutex_lock(&fix->failure_lock);
    (void)snprintf(fix->failure, sizeof fix->failure, "%.*s", SKALD_FMT(line));
    ski_mutex_unlock(&fix->failure_lock);
}

// failure_said: the last line has this in it.
static bool failure_said(fixture *fix, const char *text)
{
    ski_mutex_lock(&fix->failure_lock);
    bool said = strstr(fix->failure, text) != NULL;
    ski_mutex_unlock(&fix->failure_lock);
    return said;
}

static int setup(void **state)
{
    static const ski_http_header fixed = {SKALD_STR("X-Fixed"), SKALD_STR("of every reply")};
    fixture *fix = ski_alloc_zeroed(1, sizeof *fix);
    ski_http_options options = {
        .routes = routes,
        .context = fix,
        .guard = guard,
        .observe = observe,
        .turned = turned,
        .workers_max = 1,
        .workers_queue_max = 1,
        .headers = &fixed,
        .header_count = 1,
        .log = &fix->failures,
    };

    fix->failures = (skald_log){.line = failure_note, .context = fix, .level_min = SKALD_ERROR};
    ski_mutex_init(&fix->failure_lock);
    gate_init(&fix->asked.arrived);
    gate_init(&fix->go);
    fix->http = server_start(&options);
    fix->port = ski_http_port(fix->http);
    *state = fix;
    return 0;
}

static int teardown(void **state)
{
    fixture *fix = *state;

    gate_pass(&fix->go);
    if (fix->http) assert_int_equal(ski_http_stop(fix->http, 2000), SKALD_OK);
    gate_fini(&fix->asked.arrived);
    gate_fini(&fix->go);
    ski_mutex_fini(&fix->failure_lock);
    ski_free(fix);
    return 0;
}

static void test_routes(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    client_reply reply;

    client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_int_equal(reply.status, 200);
    assert_true(ski_str_begins(skald_str_of(reply.head), SKALD_STR("HTTP/1.1 200 OK\r\nDate: ")));
    assert_true(reply_has(&reply, " GMT\r\n"));
    assert_true(reply_has(&reply, "Content-Type: text/plain\r\n"));
    assert_true(reply_has(&reply, "Content-Length: 5\r\n"));
    assert_true(reply_has(&reply, "X-Fixed: of every reply\r\n"));
    assert_false(reply_has(&reply, "Connection:"));
    assert_string_equal(reply.body.ptr, "hello");
    reply_fini(&reply);

    client_send(&one, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n");
    assert_true(client_reply_get(&one, &reply, true));
    assert_int_equal(reply.status, 200);
    assert_true(reply_has(&reply, "Content-Length: 5\r\n"));
    reply_fini(&reply);

    client_send(&one, "GET /tell/%2e%2e%2Fx/of/b?q=1 HTTP/1.1\r\n" HOST "X-Ask: why\r\n\r\n");
    client_expect(&one, 200, "../x|b|q=1|why");
    client_send(&one, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    client_expect(&one, 200, "abc");
    client_send(&one, "POST /echo HTTP/1.1\r\n" HOST
                      "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    client_expect(&one, 200, "abcde");
    client_send(&one, "POST /echo HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 200, "");

    client_send(&one, "OPTIONS /echo HTTP/1.1\r\n" HOST "\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_int_equal(reply.status, 204);
    assert_true(reply_has(&reply, "Allow: POST, OPTIONS\r\n"));
    assert_false(reply_has(&reply, "Content-Length"));
    reply_fini(&reply);
    client_send(&one, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 204, NULL);
    client_close(&one);
}

static void test_refused(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    client_reply reply;

    client_send(&one, "GET /nowhere HTTP/1.1\r\n" HOST "X-Correlation-ID: c-1\r\n\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_int_equal(reply.status, 404);
    assert_true(reply_has(&reply, "Content-Type: application/problem+json\r\n"));
    assert_true(reply_has(&reply, "X-Correlation-ID: c-1\r\n"));
    assert_string_equal(
        reply.body.ptr,
        "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":"
        "\"there is nothing at this path\",\"instance\":\"/nowhere\",\"code\":"
        "\"NOT_FOUND\",\"correlationId\":\"c-1\"}");
    reply_fini(&reply);

    client_send(&one, "DELETE /hello HTTP/1.1\r\n" HOST "\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_int_equal(reply.status, 405);
    assert_true(reply_has(&reply, "Allow: GET, HEAD, OPTIONS\r\n"));
    assert_non_null(strstr(reply.body.ptr, "\"code\":\"METHOD_NOT_ALLOWED\""));
    reply_fini(&reply);

    client_send(&one, "GET /tell/%zz/of/b HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 400, "\"field\":\"path\"");
    client_send(&one, "GET /tell/%00/of/b HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 400, "VALIDATION_ERROR");
    client_send(&one, "GET /nowhere HTTP/1.1\r\n" HOST "X-Evil: 1\r\n\r\n"); // the guard comes
                                                                             // first
    client_expect(&one, 403, "AUTHORIZATION_ERROR");
    // A small body of a refused request is passed over, and the connection goes on.
    client_send(&one, "POST /nowhere HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    client_expect(&one, 404, NULL);
    client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 200, "hello");
    // One whose length is not known ends it.
    client_send(&one, "POST /nowhere HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_true(reply_has(&reply, "Connection: close\r\n"));
    reply_fini(&reply);
    assert_true(client_closed(&one));
    client_close(&one);
    // What is no HTTP is answered, too, and observed without a route.
    one = client_open(fix->port);
    client_send(&one, "\x16\x03\x01 not http");
    client_expect(&one, 400, "this is not HTTP");
    assert_true(client_closed(&one));
    client_close(&one);
    ski_http_counters counters;
    ski_http_counters_get(fix->http, &counters);
    assert_int_equal(counters.bad_requests, 1);
    assert_int_equal(fix->observed, 9);
    assert_int_equal(fix->observed_unrouted, 6); // 404 three times, 405, 403, not HTTP
    assert_int_equal(fix->last_status, 400);
}

static void test_problems(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    client_reply reply;

    client_send(&one, "GET /fail/bare HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 404, "no such thing");
    client_send(&one, "GET /fail/field HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 400,
                  "\"errors\":[{\"field\":\"data.name\",\"code\":\"VALIDATION_ERROR\","
                  "\"message\":\"\\\"a\\nb\\\" is too long\"}]");
    client_send(&one, "GET /fail/conflict HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 409, "\"expectedVersion\":3,\"actualVersion\":18446744073709551614}");
    client_send(&one, "GET /fail/io?who=anna HTTP/1.1\r\n" HOST
                      "X-Correlation-ID: c-9\r\nAuthorization: Bearer hidden\r\n\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_int_equal(reply.status, 500);
    assert_null(strstr(reply.body.ptr, "secret"));
    reply_fini(&reply);
    // The log says which request it was: neither what it asked about nor who asked.
    assert_true(failure_said(fix, "\"text\":\"/secret/path broke\",\"method\":\"GET\","
                                  "\"path\":\"/fail/io\",\"correlationId\":\"c-9\""));
    assert_false(failure_said(fix, "anna"));
    assert_false(failure_said(fix, "hidden"));
    client_send(&one, "GET /fail/io HTTP/1.1\r\n" HOST "\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    reply_fini(&reply);
    assert_true(failure_said(fix, "\"correlationId\":\"\""));
    client_send(&one, "GET /fail/auth HTTP/1.1\r\n" HOST "\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_int_equal(reply.status, 401);
    assert_true(reply_has(&reply, "WWW-Authenticate: Bearer\r\n"));
    reply_fini(&reply);
    client_send(&one, "GET /fail/full HTTP/1.1\r\n" HOST "\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_int_equal(reply.status, 503);
    assert_true(reply_has(&reply, "Retry-After: "));
    reply_fini(&reply);
    client_send(&one, "GET /fail/late HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 200, "replied first");
    client_send(&one, "GET /headers HTTP/1.1\r\n" HOST "\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_int_equal(reply.status, 200);
    assert_true(reply_has(&reply, "X-Fixed: its own\r\n"));
    assert_true(reply_has(&reply, "X-Long: a\ttab, \xc3\xa6 and ~ in one\r\n"));
    assert_true(reply_has(&reply, "Content-Type: application/json\r\n"));
    assert_false(reply_has(&reply, "of every reply"));
    assert_false(reply_has(&reply, "Set-Cookie"));
    reply_fini(&reply);
    client_close(&one);
}

static void test_keep_alive(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    client_reply reply;

    for (int i = 0; i < 100; i++) {
        client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        client_expect(&one, 200, "hello");
    }
    client_send(&one,
                "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET /hello HTTP/1.1\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_true(reply_has(&reply, "Connection: close\r\n"));
    reply_fini(&reply);
    assert_true(client_closed(&one)); // what came behind it is not answered
    client_close(&one);

    one = client_open(fix->port);
    client_send(&one, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(client_reply_get(&one, &reply, false));
    assert_true(reply_has(&reply, "Connection: keep-alive\r\n"));
    reply_fini(&reply);
    client_send(&one, "GET /hello HTTP/1.0\r\n\r\n");
    client_expect(&one, 200, "hello");
    assert_true(client_closed(&one));
    client_close(&one);
}

static void test_expect(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    client_reply reply;
    const char *ask =
        "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n";

    client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\n"); // 100 comes in its turn
    client_send(&one, ask);
    client_expect(&one, 200, "hello");
    assert_true(client_head(&one, &reply));
    assert_string_equal(reply.head, "HTTP/1.1 100 Continue\r\n\r\n");
    client_send(&one, "abc");
    client_expect(&one, 200, "abc");
    // Whose body is there already needs no telling; nor an empty one.
    client_send(&one,
                "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n");
    client_expect(&one, 200, "");
    client_send(&one, "POST /echo HTTP/1.1\r\n" HOST "Expect: tea\r\nContent-Length: 3\r\n\r\nabc");
    client_expect(&one, 417, "EXPECTATION_FAILED");
    client_send(&one, "POST /nowhere HTTP/1.1\r\n" HOST
                      "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    client_expect(&one, 404, NULL); // no 100, and nobody knows whether the body comes
    assert_true(client_closed(&one));
    client_close(&one);
}

// answer_backwards answers what was kept, the last first.
static void answer_backwards(void *argument)
{
    fixture *fix = argument;

    for (unsigned i = gate_count(&fix->asked.arrived); i-- > 0;) {
        char text[32];
        snprintf(text, sizeof text, "reply %u", i);
        ski_http_reply reply = {.status = 200, .body = skald_str_of(text)};
        skald_err err = ski_http_reply_send(fix->http, fix->asked.kept[i], &reply);
        assert(err == SKALD_OK);
    }
}

static void test_pipelining(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);

    for (int i = 0; i < 20; i++) client_send(&one, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->asked.arrived, 20);
    assert_int_equal(
        ski_kernel_system.spawn(NULL, "backwards", answer_backwards, fix, &fix->thread), 0);
    for (int i = 0; i < 20; i++) {
        char text[32];
        snprintf(text, sizeof text, "reply %d", i);
        client_expect(&one, 200, text);
    }
    ski_kernel_system.join(NULL, fix->thread);
    client_close(&one);
}

// A read behind a write of the same connection sees it: GET waits for POST, POST for GET, POSTs go
// together.
static void test_pipelining_classes(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);

    client_send(&one, "POST /log/a HTTP/1.1\r\n" HOST "\r\nPOST /log/b HTTP/1.1\r\n" HOST "\r\n"
                      "GET /log/c HTTP/1.1\r\n" HOST "\r\nGET /log/d HTTP/1.1\r\n" HOST "\r\n"
                      "POST /log/e HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->asked.arrived, 2);
    assert_string_equal(fix->log, "ab");
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("kept")};
    assert_int_equal(ski_http_reply_send(fix->http, fix->asked.kept[1], &reply), SKALD_OK);
    assert_int_equal(ski_http_reply_send(fix->http, fix->asked.kept[0], &reply), SKALD_OK);
    client_expect(&one, 200, "kept");
    client_expect(&one, 200, "kept");
    client_expect(&one, 200, "hello");
    client_expect(&one, 200, "hello");
    gate_wait(&fix->asked.arrived, 3);
    assert_string_equal(fix->log, "abcde");
    assert_int_equal(ski_http_reply_send(fix->http, fix->asked.kept[2], &reply), SKALD_OK);
    client_expect(&one, 200, "kept");
    client_close(&one);
}

static void test_workers(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port), two = client_open(fix->port),
           three = client_open(fix->port);

    client_send(&one, "POST /work HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
    gate_wait(&fix->asked.arrived, 1);
    client_send(&two, "GET /work HTTP/1.1\r\n" HOST "\r\n"); // waits in the queue of one
    ski_http_counters counters;
    do ski_http_counters_get(fix->http, &counters);
    while (counters.requests < 2);
    client_send(&three, "GET /work HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&three, 503, "all workers are busy");
    client_send(&three, "GET /hello HTTP/1.1\r\n" HOST "\r\n"); // the loop is free
    client_expect(&three, 200, "hello");
    gate_pass(&fix->go);
    client_expect(&one, 200, "hi");
    client_expect(&two, 200, "worked");
    client_close(&one);
    client_close(&two);
    client_close(&three);
}

static void pass_in_a_while(void *argument)
{
    fixture *fix = argument;

    usleep(100000);
    gate_pass(&fix->go);
}

// A stop waits for the handlers that run, in any case; those in the queue are refused.
static void test_stop_with_workers(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port), two = client_open(fix->port);
    ski_http_counters counters;

    client_send(&one, "GET /work HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->asked.arrived, 1);
    client_send(&two, "GET /work HTTP/1.1\r\n" HOST "\r\n");
    do ski_http_counters_get(fix->http, &counters);
    while (counters.requests < 2);
    assert_int_equal(ski_kernel_system.spawn(NULL, "pass", pass_in_a_while, fix, &fix->thread), 0);
    assert_int_equal(ski_http_stop(fix->http, 10), SKALD_ETIMEOUT);
    fix->http = NULL;
    ski_kernel_system.join(NULL, fix->thread);
    assert_int_equal(gate_count(&fix->asked.arrived), 1);
    assert_true(client_closed(&one));
    assert_true(client_closed(&two));
    client_close(&one);
    client_close(&two);
}

static void wait_for_connections(fixture *fix, uint64_t count)
{
    ski_http_counters counters;
    uint64_t until = now_ms() + client_wait_s * 1000;

    do ski_http_counters_get(fix->http, &counters);
    while (counters.connections_now != count && now_ms() < until);
    assert_int_equal(counters.connections_now, count);
}

// The client goes while a worker has its request: the request stays until it is answered.
static void test_client_gone(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port), two = client_open(fix->port);

    client_send(&one, "POST /work HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody");
    client_send(&two, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->asked.arrived, 2);
    client_reset(&one);
    client_reset(&two);
    wait_for_connections(fix, 0);
    unsigned kept = fix->asked.kept[0].id ? 0 : 1;
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("too late")};
    assert_int_equal(ski_http_reply_send(fix->http, fix->asked.kept[kept], &reply), SKALD_OK);
    assert_int_equal(ski_http_reply_send(fix->http, fix->asked.kept[kept], &reply), SKALD_ESTALE);
    gate_pass(&fix->go);
    assert_int_equal(fix->observed, 0);
}

// A client that sends no more may still read.
static void test_half_closed(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);

    client_send(&one,
                "GET /keep HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\nGET /cut");
    assert_int_equal(shutdown(one.fd, SHUT_WR), 0);
    gate_wait(&fix->asked.arrived, 1);
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("kept")};
    assert_int_equal(ski_http_reply_send(fix->http, fix->asked.kept[0], &reply), SKALD_OK);
    client_expect(&one, 200, "kept");
    client_expect(&one, 200, "hello");
    assert_true(client_closed(&one));
    client_close(&one);
    one = client_open(fix->port); // in the middle of a request, and of nothing
    client_send(&one, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc");
    assert_int_equal(shutdown(one.fd, SHUT_WR), 0);
    assert_true(client_closed(&one));
    client_close(&one);
    one = client_open(fix->port);
    assert_int_equal(shutdown(one.fd, SHUT_WR), 0);
    assert_true(client_closed(&one));
    client_close(&one);
}

static void posted(void *context)
{
    gate_pass(context);
}

static void test_post(void **state)
{
    fixture *fix = *state;

    for (int i = 0; i < 100; i++)
        assert_true(ski_http_post(fix->http, posted, &fix->asked.arrived));
    gate_wait(&fix->asked.arrived, 100);
}

static void test_ipv6(void **state)
{
    fixture *fix = *state;
    ski_http_options options = {.host = "::1", .routes = routes, .context = fix};
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    ski_http *http = NULL;
    char bytes[512];

    if (ski_http_start(&options, &http, NULL)) {
        print_message("SKIPPED: this machine has no IPv6\n");
        skip();
    }
    address.sin6_port = htons(ski_http_port(http));
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    const char *ask = "GET /peer HTTP/1.1\r\nHost: [::1]\r\n\r\n";
    assert_int_equal(send(fd, ask, strlen(ask), MSG_NOSIGNAL), strlen(ask));
    ssize_t got = recv(fd, bytes, sizeof bytes - 1, 0);
    assert_true(got > 0);
    bytes[got] = '\0';
    assert_non_null(strstr(bytes, "\r\n\r\n[::1]:"));
    close(fd);
    assert_int_equal(ski_http_stop(http, 1000), SKALD_OK);
}

// A request that comes like the one before it costs no allocation.
static void test_allocations(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    const char *ask = "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello";
    char bytes[512];
    uint64_t before = 0;

    for (int i = 0; i < 20; i++) {
        if (i == 10) before = ski_alloc_count();
        client_send(&one, ask);
        assert_true(recv(one.fd, bytes, sizeof bytes, 0) > 0);
    }
    assert_int_equal(ski_alloc_count() - before, 0);
    client_close(&one);
}

// Two requests of one turn of the loop, and one alone: each turn that asks for it is told of its
// end. Elsewhere there is no turn.
static void test_turned(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);

    client_send(&one, "GET /turn HTTP/1.1\r\n" HOST "\r\nGET /turn HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 200, "turned");
    client_expect(&one, 200, "turned");
    client_send(&one, "GET /turn HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 200, "turned");
    assert_false(ski_http_turn(fix->http));
    client_close(&one);
}

// What a reply lets begin asks for an end of a turn of its own, though the turn of that reply was
// the loop's last before it sleeps.
static void test_turned_again(void **state)
{
    static const char turn[] = "POST /turn HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
                      both[] = "GET /hello HTTP/1.1\r\n" HOST "\r\nPOST /turn HTTP/1.1\r\n" HOST
                               "Content-Length: 0\r\n\r\n";
    enum { more = 5 };
    fixture *fix = *state;
    client one = client_open(fix->port);
    char text[sizeof turn + more * sizeof both];
    size_t len = sizeof turn - 1;

    memcpy(text, turn, len);
    for (int i = 0; i < more; i++, len += sizeof both - 1) {
        memcpy(text + len, both, sizeof both - 1);
    }
    client_send_bytes(&one, text, len);
    client_expect(&one, 200, "turned");
    for (int i = 0; i < more; i++) {
        client_expect(&one, 200, "hello");
        client_expect(&one, 200, "turned");
    }
    client_close(&one);
}

static void test_connections(void **state)
{
    enum { count = 2000 };
    fixture *fix = *state;
    client *many = ski_alloc_zeroed(count, sizeof *many);
    char bytes[256];

    for (int i = 0; i < count; i++) {
        many[i] = client_open(fix->port);
        ski_free(many[i].bytes);
        client_send(&many[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    }
    for (int i = 0; i < count; i++) {
        ssize_t got = recv(many[i].fd, bytes, sizeof bytes, 0);
        assert_true(got > 12 && memcmp(bytes, "HTTP/1.1 200", 12) == 0);
    }
    ski_http_counters counters;
    ski_http_counters_get(fix->http, &counters);
    assert_int_equal(counters.connections_now, count);
    assert_int_equal(counters.connections_accepted, count);
    assert_int_equal(counters.requests, count);
    assert_true(counters.bytes_in > 0 && counters.bytes_out > 0);
    for (int i = 0; i < count; i++) close(many[i].fd);
    wait_for_connections(fix, 0);
    ski_free(many);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_routes),
        TEST(test_refused),
        TEST(test_problems),
        TEST(test_keep_alive),
        TEST(test_expect),
        TEST(test_pipelining),
        TEST(test_pipelining_classes),
        TEST(test_workers),
        TEST(test_client_gone),
        TEST(test_half_closed),
        TEST(test_post),
        TEST(test_turned),
        TEST(test_turned_again),
        TEST(test_connections),
        TEST(test_allocations),
        TEST(test_stop_with_workers),
        TEST(test_ipv6),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
