// SPDX-License-Identifier: Apache-2.0
// Every limit of the server, exceeded (those of all together: http_share_test.c); every timeout,
// waited for; every allocation, refused.
#include "net/http_test_client.h"

#include <assert.h>
#include <errno.h>

enum { short_ms = 250, tries = 50 };

typedef struct fixture {
    asked_requests asked; // first
    ski_http *http;
    uint16_t port;
} fixture;

static skald_err handle_length(ski_http_request *request, skald_error *error)
{
    skald_str text = skald_arena_print(request->scratch, "length %zu.", request->body.len);
    ski_http_reply reply = {.status = 200, .body = text};

    (void)error;
    if (text.ptr == NULL) return SKALD_ENOMEM;
    for (size_t i = 0; i < request->body.len; i++) assert(request->body.ptr[i] == 'b');
    return ski_http_reply_send(request->http, request->id, &reply);
}

static skald_err handle_stream(ski_http_request *request, skald_error *error)
{
    ski_http_reply head = {.status = 200};
    ski_http_stream stream = {.heartbeat_ms = 1000, .heartbeat = SKALD_STR("beat")};
    static const char bytes[5000];

    (void)error;
    SKALD_TRY(ski_http_stream_begin(request->http, request->id, &head, &stream));
    skald_err err =
        ski_http_stream_write(request->http, request->id, ski_str(bytes, sizeof bytes), NULL);
    assert(err == SKALD_OK || err == SKALD_ENOMEM);
    assert(ski_http_stream_end(request->http, request->id) == SKALD_OK);
    return SKALD_OK;
}

static const ski_http_route routes[] = {
    ROUTE("GET", "/hello", handle_hello),
    ROUTE("GET", "/hello/{name}", handle_hello),
    ROUTE("POST", "/length", handle_length),
    {.method = "POST", .path = "/small", .handle = handle_length, .body_bytes_max = 10},
    ROUTE("GET", "/keep", handle_keep),
    ROUTE("POST", "/keep", handle_keep),
    ROUTE("GET", "/big", handle_big),
    ROUTE("GET", "/stream", handle_stream),
    {.method = "GET", .path = "/work", .handle = handle_hello, .worker = true},
    {.method = NULL},
};

static void fixture_start(fixture *fix, ski_http_options options)
{
    *fix = (fixture){0};
    gate_init(&fix->asked.arrived);
    options.routes = routes;
    options.context = fix;
    fix->http = server_start(&options);
    fix->port = ski_http_port(fix->http);
}

static void fixture_stop(fixture *fix)
{
    assert_int_equal(ski_http_stop(fix->http, 2000), SKALD_OK);
    gate_fini(&fix->asked.arrived);
}

static void answer(fixture *fix, unsigned which)
{
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("kept")};

    assert_int_equal(ski_http_reply_send(fix->http, fix->asked.kept[which], &reply), SKALD_OK);
}

static void test_heads(void **state)
{
    (void)state;
    fixture fix;

    fixture_start(
        &fix, (ski_http_options){.header_bytes_max = 500, .headers_max = 5, .uri_bytes_max = 100});
    client one = client_open(fix.port);
    client_send(&one, "GET /");
    client_repeat(&one, "a", 200);
    client_expect(&one, 414, "URI_TOO_LONG");
    assert_true(client_closed(&one));
    client_close(&one);
    one = client_open(fix.port);
    client_send(&one, "GET / HTTP/1.1\r\n");
    client_repeat(&one, "A: b\r\n", 6);
    client_expect(&one, 431, "more than 5 headers");
    assert_true(client_closed(&one));
    client_close(&one);
    one = client_open(fix.port);
    client_send(&one, "GET / HTTP/1.1\r\nA: ");
    client_repeat(&one, "b", 500);
    client_expect(&one, 431, "longer than 500 bytes");
    assert_true(client_closed(&one));
    client_close(&one);
    fixture_stop(&fix);
}

static void test_bodies(void **state)
{
    (void)state;
    fixture fix;

    fixture_start(&fix, (ski_http_options){.body_bytes_max = 200000});
    client one = client_open(fix.port);
    client_send(&one, "POST /length HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
    client_repeat(&one, "bbbbbbbbbb", 20000);
    client_expect(&one, 200, "length 200000.");
    client_send(&one, "POST /length HTTP/1.1\r\n" HOST "Content-Length: 200001\r\n\r\n");
    client_expect(&one, 413, "PAYLOAD_TOO_LARGE"); // before any of it is sent
    assert_true(client_closed(&one));
    client_close(&one);

    one = client_open(fix.port);
    client_send(&one, "POST /length HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    client_repeat(&one, "A\r\nbbbbbbbbbb\r\n", 20000);
    client_send(&one, "0\r\n\r\n");
    client_expect(&one, 200, "length 200000.");
    client_send(&one, "POST /length HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    client_repeat(&one, "A\r\nbbbbbbbbbb\r\n", 20001);
    client_expect(&one, 413, "PAYLOAD_TOO_LARGE");
    assert_true(client_closed(&one));
    client_close(&one);

    one = client_open(fix.port); // a route's own limit; the small body is passed over
    client_send(&one, "POST /small HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\nbbbbbbbbbbb");
    client_expect(&one, 413, "10 bytes at most");
    client_send(&one, "POST /small HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nbbbbbbbbbb");
    client_expect(&one, 200, "length 10.");
    client_close(&one);
    fixture_stop(&fix);
}

// A client that goes on sending a body that was refused still gets the reply: no reset takes it
// away.
static void test_refused_while_sending(void **state)
{
    (void)state;
    fixture fix;
    char *bytes = ski_alloc_zeroed(1, 1024 * 1024);

    fixture_start(&fix, (ski_http_options){.body_bytes_max = 1000});
    client one = client_open(fix.port);
    client_send(&one, "POST /length HTTP/1.1\r\n" HOST "Content-Length: 5000000\r\n\r\n");
    for (int i = 0; i < 4; i++) client_send_bytes(&one, bytes, 1024 * 1024);
    client_expect(&one, 413, NULL);
    client_close(&one);
    ski_free(bytes);
    fixture_stop(&fix);
}

static void test_bodies_together(void **state)
{
    (void)state;
    fixture fix;
    client_reply reply;
    ski_http_counters counters;

    fixture_start(&fix, (ski_http_options){.bodies_bytes_max = 300000});
    client one = client_open(fix.port), two = client_open(fix.port);
    client_send(&one, "POST /keep HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
    client_repeat(&one, "bbbbbbbbbb", 20000);
    gate_wait(&fix.asked.arrived, 1);
    ski_http_counters_get(fix.http, &counters);
    assert_true(counters.bodies_bytes_now >= 200000 && counters.bodies_bytes_now <= 300000);
    client_send(&two, "POST /keep HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
    client_repeat(&two, "bbbbbbbbbb", 20000);
    assert_true(client_reply_get(&two, &reply, false));
    assert_int_equal(reply.status, 503);
    assert_true(reply_has(&reply, "Retry-After: "));
    reply_fini(&reply);
    answer(&fix, 0);
    client_expect(&one, 200, "kept");
    client_close(&two);
    two = client_open(fix.port); // there is room again
    client_send(&two, "POST /length HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
    client_repeat(&two, "bbbbbbbbbb", 20000);
    client_expect(&two, 200, "length 200000.");
    ski_http_counters_get(fix.http, &counters);
    client_send(&two, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&two, 200, "hello");
    ski_http_counters_get(fix.http, &counters);
    assert_int_equal(counters.bodies_bytes_now, 0);
    client_close(&one);
    client_close(&two);
    fixture_stop(&fix);
}

static void test_connections_max(void **state)
{
    (void)state;
    fixture fix;
    ski_http_counters counters;
    client_reply reply;
    const ski_http_header standing[] = {
        {SKALD_STR("X-Fixed"), SKALD_STR("of every reply")},
        {SKALD_STR("retry-after"), SKALD_STR("7")}, // where the reply has none of its own
    };

    fixture_start(&fix,
                  (ski_http_options){.connections_max = 2, .headers = standing, .header_count = 2});
    client one = client_open(fix.port), two = client_open(fix.port);
    client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 200, "hello");
    client_send(&two, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&two, 200, "hello");
    for (int i = 0; i < 300; i++) { // more than are told so at once
        client three = client_open(fix.port);
        client_send(&three, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        assert_true(client_reply_get(&three, &reply, false));
        assert_int_equal(reply.status, 503);
        assert_true(reply_has(&reply, "X-Fixed: of every reply\r\n"));
        assert_true(reply_has(&reply, "Retry-After: 1\r\n"));
        assert_false(reply_has(&reply, "retry-after: 7"));
        assert_non_null(strstr(reply.body.ptr, "too many connections"));
        reply_fini(&reply);
        assert_true(client_closed(&three));
        client_close(&three);
    }
    client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&one, 200, "hello");
    client_close(&two);
    client three;
    do { // as soon as the server has noticed
        three = client_open(fix.port);
        client_send(&three, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        assert_true(client_reply_get(&three, &reply, false));
        reply_fini(&reply);
        client_close(&three);
    } while (reply.status != 200);
    client_close(&one);
    ski_http_counters_get(fix.http, &counters);
    assert_true(counters.connections_refused >= 300);
    fixture_stop(&fix);
}

static void test_requests_max(void **state)
{
    (void)state;
    fixture fix;

    fixture_start(&fix, (ski_http_options){.requests_max = 2});
    client one = client_open(fix.port), two = client_open(fix.port);
    client_send(&one, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix.asked.arrived, 1);
    client_send(&one, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix.asked.arrived, 2);
    client_send(&two, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&two, 503, "too many requests");
    answer(&fix, 1);
    answer(&fix, 0);
    client_expect(&one, 200, "kept");
    client_expect(&one, 200, "kept");
    client_send(&two, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&two, 200, "hello");
    client_close(&one);
    client_close(&two);
    fixture_stop(&fix);
}

// Beyond pipeline_max nothing more is read; it goes on when replies go out.
static void test_pipeline_max(void **state)
{
    (void)state;
    fixture fix;
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("kept")};
    enum { all = 10, at_once = 3 };

    fixture_start(&fix, (ski_http_options){.pipeline_max = at_once});
    client one = client_open(fix.port), two = client_open(fix.port);
    client_repeat(&one, "GET /keep HTTP/1.1\r\n" HOST "\r\n", all);
    for (unsigned i = 0; i < all; i++) {
        unsigned reached = i + at_once < all ? i + at_once : all;
        gate_wait(&fix.asked.arrived, reached);
        client_send(&two, "GET /hello HTTP/1.1\r\n" HOST "\r\n"); // the loop was round once more
        client_expect(&two, 200, "hello");
        assert_int_equal(gate_count(&fix.asked.arrived), reached);
        assert_int_equal(ski_http_reply_send(fix.http, fix.asked.kept[i], &reply), SKALD_OK);
        client_expect(&one, 200, "kept");
    }
    client_close(&one);
    client_close(&two);
    fixture_stop(&fix);
}

static bool replied(client *one, unsigned status)
{
    client_reply reply;

    if (!client_reply_get(one, &reply, false)) return false;
    bool as_wanted = reply.status == status;
    reply_fini(&reply);
    return as_wanted;
}

// The time begins anew with each head: three of them take longer than one may. False: the machine
// was too slow for it.
static bool heads_in_time(uint16_t port)
{
    client one = client_open(port);
    bool whole = true;

    for (int i = 0; i < 3 && whole; i++) {
        client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\nG");
        whole = replied(&one, 200);
        usleep(short_ms * 1000 / 2);
        client_send(&one, "ET /hello HTTP/1.1\r\n" HOST "\r\n");
        whole = whole && replied(&one, 200);
    }
    client_close(&one);
    return whole;
}

// What goes on has as long as it needs. False: as above.
static bool body_in_time(uint16_t port)
{
    client one = client_open(port);

    client_send(&one, "POST /length HTTP/1.1\r\n" HOST "Content-Length: 20000\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        client_repeat(&one, "bbbbbbbbbb", 200);
        usleep(short_ms * 1000 / 5);
    }
    bool whole = replied(&one, 200);
    client_close(&one);
    return whole;
}

static void test_head_dribbled(void **state)
{
    (void)state;
    fixture fix;
    ski_http_counters counters;

    fixture_start(&fix, (ski_http_options){.header_timeout_ms = short_ms});
    client one = client_open(fix.port);
    uint64_t begun = now_ms();
    const char *head =
        "GET /hello HTTP/1.1\r\nHost: x\r\nAbcdefghijklmnopqrstuvwxyz: 0123456789\r\n";
    for (int i = 0; i < 10; i++) { // each byte in time, the whole not
        client_send_bytes(&one, head + i, 1);
        usleep(short_ms * 1000 / 6);
    }
    client_expect(&one, 408, "the headers did not come");
    assert_true(client_closed(&one));
    assert_in_range(now_ms() - begun, short_ms, 1000 * client_wait_s);
    client_close(&one);
    ski_http_counters_get(fix.http, &counters);
    assert_int_equal(counters.timeouts, 1);
    bool whole = false;
    for (int i = 0; i < tries && !whole; i++) whole = heads_in_time(fix.port);
    assert_true(whole);
    fixture_stop(&fix);
}

static void test_body_stands(void **state)
{
    (void)state;
    fixture fix;

    fixture_start(&fix, (ski_http_options){.body_timeout_ms = short_ms});
    client one = client_open(fix.port);
    client_send(&one, "POST /length HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nbbb");
    client_expect(&one, 408, "the body did not go on");
    assert_true(client_closed(&one));
    client_close(&one);
    one = client_open(fix.port); // a byte now and then is no progress
    client_send(&one, "POST /length HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        client_send(&one, "b");
        usleep(short_ms * 1000 / 6);
    }
    client_expect(&one, 408, NULL);
    client_close(&one);
    bool whole = false;
    for (int i = 0; i < tries && !whole; i++) whole = body_in_time(fix.port);
    assert_true(whole);
    fixture_stop(&fix);
}

static void test_idle(void **state)
{
    (void)state;
    fixture fix;

    fixture_start(&fix, (ski_http_options){.idle_timeout_ms = short_ms});
    client one = client_open(fix.port), two = client_open(fix.port);
    client_send(&two, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    uint64_t begun = now_ms();
    assert_true(client_closed(&one)); // without a word
    assert_in_range(now_ms() - begun, short_ms - 20, 1000 * client_wait_s);
    client_close(&one);
    usleep(short_ms * 1000);
    answer(&fix, 0); // a request that takes long is not idle
    client_expect(&two, 200, "kept");
    assert_true(client_closed(&two));
    client_close(&two);
    fixture_stop(&fix);
}

// A client that asks and never reads: its requests stop being taken, and in the end it is cut.
static void test_never_reads(void **state)
{
    (void)state;
    fixture fix;
    ski_http_counters counters;

    fixture_start(&fix, (ski_http_options){.write_timeout_ms = short_ms});
    client one = client_open(fix.port);
    client_repeat(&one, "GET /big HTTP/1.1\r\n" HOST "\r\n", 60);
    uint64_t until = now_ms() + client_wait_s * 1000;
    do ski_http_counters_get(fix.http, &counters);
    while (counters.timeouts == 0 && now_ms() < until);
    assert_int_equal(counters.timeouts, 1);
    assert_true(counters.requests < 20); // the rest was never taken
    client_close(&one);
    fixture_stop(&fix);
}

// A client that reads slowly gets everything, in order.
static void test_reads_slowly(void **state)
{
    (void)state;
    fixture fix;

    fixture_start(&fix, (ski_http_options){.port = 0});
    client one = client_open(fix.port);
    client_repeat(&one, "GET /big HTTP/1.1\r\n" HOST "\r\n", 20);
    for (int i = 0; i < 20; i++) {
        client_reply reply;
        if (i % 5 == 0) usleep(5000);
        assert_true(client_reply_get(&one, &reply, false));
        assert_int_equal(reply.status, 200);
        assert_int_equal(reply.body.len, 1024 * 1024);
        reply_fini(&reply);
    }
    client_close(&one);
    fixture_stop(&fix);
}

// What comes in and stands still does not hold up a stop: it is told so, and the stop is in order.
static void test_stop_stalled(void **state)
{
    (void)state;
    fixture fix;
    ski_http_counters counters;

    fixture_start(&fix, (ski_http_options){.body_timeout_ms = 60000, .header_timeout_ms = 60000});
    client one = client_open(fix.port), two = client_open(fix.port);
    client_send(&one, "POST /length HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc");
    client_send(&two, "GET /hello HTTP/1.1\r\nHos");
    do ski_http_counters_get(fix.http, &counters);
    while (counters.requests_now < 2);
    assert_int_equal(ski_http_stop(fix.http, 60000), SKALD_OK);
    client_expect(&one, 408, "the body did not go on");
    client_expect(&two, 408, "the headers did not come");
    client_close(&one);
    client_close(&two);
    gate_fini(&fix.asked.arrived);
}

// Whichever allocation fails: the client gets a reply or the end of the connection, and the server
// goes on.
static void test_no_memory(void **state)
{
    (void)state;
    fixture fix;
    static const char *const requests[] = {
        "GET /hello/a%20b HTTP/1.1\r\n" HOST "\r\n",
        "GET /nowhere HTTP/1.1\r\n" HOST "\r\n",
        "GET /stream HTTP/1.1\r\n" HOST "\r\n",
        "POST /length HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nbbbbb",
        "POST /length HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nbbb\r\n0\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        for (uint64_t n = 1; n <= 12; n++) {
            fixture_start(&fix, (ski_http_options){.port = 0}); // an empty pool: everything is
                                                                // allocated
            client one = client_open(fix.port);
            char bytes[1024];
            ski_alloc_fail_at(n);
            client_send(&one, requests[i]);
            ssize_t got = recv(one.fd, bytes, sizeof bytes, 0);
            ski_alloc_fail_at(0);
            assert_true(got <= 0 || memcmp(bytes, "HTTP/1.1 ", 9) == 0);
            if (got < 0 && errno != ECONNRESET)
                fail_msg("no answer to %s with allocation %d", requests[i], (int)n);
            client_close(&one);
            one = client_open(fix.port);
            client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
            client_expect(&one, 200, "hello");
            client_close(&one);
            fixture_stop(&fix);
        }
    }
}

static skald_err no_thread(void *context, const char *name, void (*run)(void *argument),
                           void *argument, ski_thread *ret_thread)
{
    (void)context;
    (void)name;
    (void)run;
    (void)argument;
    (void)ret_thread;
    return SKALD_ENOMEM;
}

static void test_start_fails(void **state)
{
    (void)state;
    ski_http_options options = {.routes = routes};
    ski_http *first = server_start(&options), *second = NULL;
    skald_error error = {0};

    options.port = ski_http_port(first);
    assert_int_equal(ski_http_start(&options, &second, &error), SKALD_EUNAVAILABLE);
    assert_non_null(strstr(error.text, "cannot listen on 127.0.0.1"));
    options.port = 0;
    options.host = "not.an.address";
    assert_int_equal(ski_http_start(&options, &second, &error), SKALD_EINVALID);
    assert_string_equal(error.field, "host");
    options.host = "localhost";
    options.headers_max = 1000;
    assert_int_equal(ski_http_start(&options, &second, &error), SKALD_EINVALID);
    options.headers_max = 0;
    options.requests_max = UINT32_MAX;
    assert_int_equal(ski_http_start(&options, &second, &error), SKALD_EINVALID);
    options.requests_max = 0;
    ski_http_header header = {SKALD_STR("Connection"), SKALD_STR("close")};
    options.headers = &header;
    options.header_count = 1;
    assert_int_equal(ski_http_start(&options, &second, &error), SKALD_EINVALID);
    options.header_count = 0;
    for (uint64_t n = 1; n <= 20; n++) {
        ski_alloc_fail_at(n);
        skald_err err = ski_http_start(&options, &second, &error);
        ski_alloc_fail_at(0);
        if (err == SKALD_OK) {
            assert_int_equal(ski_http_stop(second, 1000), SKALD_OK);
        } else {
            assert_int_equal(err, SKALD_ENOMEM);
        }
    }
    ski_kernel kernel = ski_kernel_system;
    kernel.spawn = no_thread;
    options.kernel = &kernel;
    assert_int_equal(ski_http_start(&options, &second, &error), SKALD_ENOMEM);
    options.routes = &routes[sizeof routes / sizeof *routes - 1]; // none: no workers either
    assert_int_equal(ski_http_start(&options, &second, &error), SKALD_ENOMEM);
    assert_int_equal(ski_http_stop(first, 1000), SKALD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_refused_while_sending),
        cmocka_unit_test(test_bodies_together),
        cmocka_unit_test(test_connections_max),
        cmocka_unit_test(test_requests_max),
        cmocka_unit_test(test_pipeline_max),
        cmocka_unit_test(test_head_dribbled),
        cmocka_unit_test(test_body_stands),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_never_reads),
        cmocka_unit_test(test_reads_slowly),
        cmocka_unit_test(test_stop_stalled),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_start_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
