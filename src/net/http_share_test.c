// SPDX-License-Identifier: Apache-2.0
// What all clients share, when some take more than their part: memory for heads and for replies
// that nobody reads, and the turns of the loop. The others are served.
#include "net/http_test_client.h"

#include <assert.h>
#include <stdatomic.h>

enum { huge_bytes = 32 * 1024 * 1024 };

typedef struct fixture {
    asked_requests asked; // first
    ski_http *http;
    ski_http *serving; // as its own loop knows it
    uint16_t port;
    gate blocked, go;           // of a loop that is kept busy
    unsigned observed, post_at; // replies sent, and which of them was to a POST
    ski_http_request_id chatty;
    atomic_bool chatted, uploads_on;
} fixture;

// bytes_make: whoever asks for them frees them.
static skald_str bytes_make(size_t len)
{
    char *bytes = ski_alloc_zeroed(1, len);

    assert(bytes != NULL);
    return ski_str(bytes, len);
}

static skald_err handle_huge(ski_http_request *request, skald_error *error)
{
    skald_str bytes = bytes_make(huge_bytes);
    ski_http_reply reply = {.status = 200, .body = bytes};

    (void)error;
    skald_err err = ski_http_reply_send(request->http, request->id, &reply);
    ski_free((void *)bytes.ptr);
    return err;
}

// A stream that has more than the kernel takes, and stays open.
static skald_err handle_pour(ski_http_request *request, skald_error *error)
{
    ski_http_reply head = {.status = 200};
    ski_http_stream stream = {.heartbeat_ms = 60000, .heartbeat = SKALD_STR("beat")};
    skald_str bytes = bytes_make(huge_bytes);

    (void)error;
    SKALD_TRY(ski_http_stream_begin(request->http, request->id, &head, &stream));
    skald_err err = ski_http_stream_write(request->http, request->id, bytes, NULL);
    ski_free((void *)bytes.ptr);
    return err;
}

// chatty_goes_on writes again whenever all is sent: there is always something for the loop to do.
static void chatty_goes_on(void *context)
{
    fixture *fix = context;

    if (atomic_load(&fix->chatted)) {
        assert(ski_http_stream_end(fix->serving, fix->chatty) == SKALD_OK);
        return;
    }
    while (ski_http_stream_write(fix->serving, fix->chatty, SKALD_STR("x"), NULL) == SKALD_OK)
        continue;
}

static skald_err handle_chatty(ski_http_request *request, skald_error *error)
{
    fixture *fix = request->context;
    ski_http_reply head = {.status = 200};
    ski_http_stream stream = {
        .drained = chatty_goes_on, .context = fix, .write_bytes_max = 1, .heartbeat_ms = 60000};

    (void)error;
    fix->chatty = request->id;
    fix->serving = request->http;
    SKALD_TRY(ski_http_stream_begin(request->http, request->id, &head, &stream));
    chatty_goes_on(fix);
    return SKALD_OK;
}

// An upload that has enough for a while with its first bytes.
static bool upload_more(ski_http_request *request, skald_str bytes)
{
    fixture *fix = request->context;

    (void)bytes;
    return fix->uploads_on;
}

static void upload_end(ski_http_request *request)
{
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("all")};

    assert(ski_http_reply_send(request->http, request->id, &reply) == SKALD_OK);
}

static const ski_http_body upload = {.more = upload_more, .end = upload_end, .gone = upload_end};

static const ski_http_route routes[] = {
    ROUTE("GET", "/hello", handle_hello),
    ROUTE("GET", "/keep", handle_keep),
    ROUTE("POST", "/keep", handle_keep),
    ROUTE("GET", "/big", handle_big),
    ROUTE("GET", "/huge", handle_huge),
    ROUTE("GET", "/pour", handle_pour),
    ROUTE("GET", "/chatty", handle_chatty),
    {.method = "POST", .path = "/upload", .handle = handle_keep, .body = &upload},
    {.method = NULL},
};

static void fixture_start(fixture *fix, ski_http_options options)
{
    *fix = (fixture){0};
    gate_init(&fix->asked.arrived);
    gate_init(&fix->blocked);
    gate_init(&fix->go);
    options.routes = routes;
    options.context = fix;
    fix->http = server_start(&options);
    fix->port = ski_http_port(fix->http);
}

static void fixture_fini(fixture *fix)
{
    gate_fini(&fix->asked.arrived);
    gate_fini(&fix->blocked);
    gate_fini(&fix->go);
}

static void fixture_stop(fixture *fix)
{
    assert_int_equal(ski_http_stop(fix->http, 2000), SKALD_OK);
    fixture_fini(fix);
}

static void answer(fixture *fix, unsigned which)
{
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("kept")};

    assert_int_equal(ski_http_reply_send(fix->http, fix->asked.kept[which], &reply), SKALD_OK);
}

enum { heads_max = 20000 }; // two of the large ones have room, with small ones beside them

// large_head begins a request whose head takes 8 KiB.
static client large_head(fixture *fix, const char *line)
{
    client one = client_open(fix->port);

    client_send(&one, line);
    for (int i = 0; i < 60; i++) {
        client_send(&one, "A: 45678901234567890123456789012345678901234567890123456789"
                          "0123456789012345678901234567890123456789\r\n");
    }
    return one;
}

static void heads_wait(fixture *fix, uint64_t min, uint64_t max)
{
    uint64_t until = now_ms() + client_wait_s * 1000;
    ski_http_counters counters;

    do ski_http_counters_get(fix->http, &counters);
    while ((counters.heads_bytes_now < min || counters.heads_bytes_now > max) && now_ms() < until);
    assert_in_range(counters.heads_bytes_now, min, max);
}

static void timeouts_wait(fixture *fix, uint64_t count)
{
    uint64_t until = now_ms() + client_wait_s * 1000;
    ski_http_counters counters;

    do ski_http_counters_get(fix->http, &counters);
    while (counters.timeouts < count && now_ms() < until);
    assert_int_equal(counters.timeouts, count);
}

// Heads that never end: each is allowed, all of them are not. The oldest make way, so whoever sends
// all of a head is served.
static void test_heads_together(void **state)
{
    (void)state;
    enum { clients = 8 };
    client many[clients];
    fixture fix;

    fixture_start(&fix, (ski_http_options){.heads_bytes_max = heads_max});
    for (unsigned i = 0; i < clients; i++) {
        many[i] = large_head(&fix, "GET /hello HTTP/1.1\r\n" HOST);
        heads_wait(&fix, i == 0 ? 6000 : 12000, heads_max);
        timeouts_wait(&fix, i < 2 ? 0 : i - 1);
    }
    client one = large_head(&fix, "GET /hello HTTP/1.1\r\n" HOST);
    client_send(&one, "\r\n");
    client_expect(&one, 200, "hello");
    for (int i = 0; i < clients - 1; i++) assert_true(client_closed(&many[i]));
    client_send(&many[clients - 1], "\r\n");
    client_expect(&many[clients - 1], 200, "hello");
    for (int i = 0; i < clients; i++) client_close(&many[i]);
    client_close(&one);
    heads_wait(&fix, 0, 0); // what was taken is given back
    fixture_stop(&fix);
}

// Heads of requests that are under way cannot make way: then who comes is refused.
static void test_heads_under_way(void **state)
{
    (void)state;
    fixture fix;
    client_reply reply;
    client many[2];

    fixture_start(&fix, (ski_http_options){.heads_bytes_max = heads_max});
    for (unsigned i = 0; i < 2; i++) {
        many[i] = large_head(&fix, "GET /keep HTTP/1.1\r\n" HOST);
        client_send(&many[i], "\r\n");
        gate_wait(&fix.asked.arrived, i + 1);
    }
    for (unsigned i = 0; i < 2; i++) { // half or whole
        client one = large_head(&fix, "GET /hello HTTP/1.1\r\n" HOST);
        if (i == 1) client_send(&one, "\r\n");
        assert_true(client_reply_get(&one, &reply, false));
        assert_int_equal(reply.status, 503);
        assert_true(reply_has(&reply, "Retry-After: "));
        reply_fini(&reply);
        client_close(&one);
    }
    for (unsigned i = 0; i < 2; i++) {
        answer(&fix, i);
        client_expect(&many[i], 200, "kept");
        client_close(&many[i]);
    }
    heads_wait(&fix, 0, 0);
    fixture_stop(&fix);
}

// A head that came in with requests that had to wait is counted as soon as it is looked at.
static void test_heads_of_rest(void **state)
{
    (void)state;
    fixture fix;
    char text[8 * 1024] = "GET /keep HTTP/1.1\r\n" HOST "\r\nPOST /keep HTTP/1.1\r\n" HOST
                          "Content-Length: 0\r\n\r\nGET /hello HTTP/1.1\r\n" HOST "A: ";
    size_t len = strlen(text);

    memset(text + len, 'a', sizeof text - len);
    fixture_start(&fix, (ski_http_options){.heads_bytes_max = heads_max});
    client one = client_open(fix.port);
    client_send_bytes(&one, text, sizeof text);
    gate_wait(&fix.asked.arrived, 1);
    answer(&fix, 0);
    client_expect(&one, 200, "kept");
    gate_wait(&fix.asked.arrived, 2);
    heads_wait(&fix, 7 * 1024, heads_max);
    answer(&fix, 1);
    client_expect(&one, 200, "kept");
    client_close(&one);
    heads_wait(&fix, 0, 0);
    fixture_stop(&fix);
}

// Many clients that ask and never read: their replies together have a limit. Who has stood still
// for longest goes; one who reads is served meanwhile.
static void test_unsent_together(void **state)
{
    (void)state;
    enum { clients = 8, limit = 4 * 1024 * 1024 };
    client many[clients];
    client_reply reply;
    fixture fix;
    ski_http_counters counters;

    fixture_start(&fix, (ski_http_options){.unsent_bytes_max = limit});
    for (int i = 0; i < clients; i++) {
        many[i] = client_open(fix.port);
        client_repeat(&many[i], "GET /big HTTP/1.1\r\n" HOST "\r\n", 20);
    }
    client one = client_open(fix.port);
    do { // the kernel takes some megabytes of each first
        client_send(&one, "GET /big HTTP/1.1\r\n" HOST "\r\n");
        assert_true(client_reply_get(&one, &reply, false));
        assert_int_equal(reply.status, 200);
        assert_int_equal(reply.body.len, 1024 * 1024);
        reply_fini(&reply);
        ski_http_counters_get(fix.http, &counters);
    } while (counters.timeouts < 2);
    assert_true(counters.unsent_bytes_now <= limit + 2 * 1024 * 1024);
    assert_int_equal(counters.unsent_bytes_max, limit);
    for (int i = 0; i < clients; i++) client_close(&many[i]);
    client_close(&one);
    do ski_http_counters_get(fix.http, &counters);
    while (counters.unsent_bytes_now != 0);
    fixture_stop(&fix);
}

static void unsent_wait(fixture *fix, uint64_t min)
{
    uint64_t until = now_ms() + client_wait_s * 1000;
    ski_http_counters counters;

    do ski_http_counters_get(fix->http, &counters);
    while (counters.unsent_bytes_now < min && now_ms() < until);
    assert_true(counters.unsent_bytes_now >= min);
}

static void unsent_gone(fixture *fix)
{
    uint64_t until = now_ms() + client_wait_s * 1000;
    ski_http_counters counters;

    do ski_http_counters_get(fix->http, &counters);
    while (counters.unsent_bytes_now && now_ms() < until);
    assert_int_equal(counters.unsent_bytes_now, 0);
}

// client_pass reads that many bytes at least, or to the end.
static size_t client_pass(client *one, size_t min)
{
    size_t got = one->len;

    one->len = 0;
    while (got < min && client_more(one)) {
        got += one->len;
        one->len = 0;
    }
    return got;
}

// Replies that lie make way: neither streams, which hold nothing of theirs, nor a client that reads
// on, however long ago its reply began.
static void test_unsent_others(void **state)
{
    (void)state;
    enum { clients = 12, streams = 2, limit = huge_bytes + 4 * 1024 * 1024 };
    client many[clients], pours[streams];
    fixture fix;
    ski_http_counters counters;
    int count = 0;

    fixture_start(&fix, (ski_http_options){.unsent_bytes_max = limit});
    for (int i = 0; i < streams; i++) {
        pours[i] = client_open(fix.port);
        client_send(&pours[i], "GET /pour HTTP/1.1\r\n" HOST "\r\n");
        client_need(&pours[i], 1);
    }
    client moves = client_open(fix.port);
    client_send(&moves, "GET /huge HTTP/1.1\r\n" HOST "\r\n");
    size_t got = client_pass(&moves, 1);
    do {
        assert_true(count < clients);
        many[count] = client_open(fix.port);
        client_repeat(&many[count++], "GET /big HTTP/1.1\r\n" HOST "\r\n", 20);
        usleep(20000); // it stands still
        got += client_pass(&moves, 2 * 1024 * 1024);
        ski_http_counters_get(fix.http, &counters);
    } while (counters.timeouts < 2);
    // It may have been looked at in the middle of a turn, between counting a reply and cutting.
    for (int tries = 0; counters.unsent_bytes_now > limit && tries < 1000; tries++) {
        usleep(1000);
        ski_http_counters_get(fix.http, &counters);
    }
    assert_true(counters.unsent_bytes_now <= limit);
    got += client_pass(&moves, huge_bytes - got);
    assert_true(got >= huge_bytes);
    for (int i = 0; i < streams; i++) {
        assert_true(client_pass(&pours[i], huge_bytes) >= huge_bytes);
        client_close(&pours[i]);
    }
    for (int i = 0; i < count; i++) client_close(&many[i]);
    client_close(&moves);
    fixture_stop(&fix);
}

// Replies behind a request that is not over are read by nobody, and in no list of writers: they
// make way to one who has just begun to read.
static void test_unsent_behind(void **state)
{
    (void)state;
    fixture fix;

    fixture_start(&fix, (ski_http_options){.unsent_bytes_max = huge_bytes + 1024 * 1024});
    client waits = client_open(fix.port), reads = client_open(fix.port);
    client_send(&waits, "GET /keep HTTP/1.1\r\n" HOST "\r\nGET /huge HTTP/1.1\r\n" HOST "\r\n");
    unsent_wait(&fix, huge_bytes);
    client_send(&reads, "GET /huge HTTP/1.1\r\n" HOST "\r\n");
    timeouts_wait(&fix, 1);
    assert_true(client_closed(&waits));
    assert_true(client_pass(&reads, huge_bytes) >= huge_bytes);
    client_close(&waits);
    client_close(&reads);
    answer(&fix, 0); // a handler has it still
    fixture_stop(&fix);
}

// Requests that wait behind one that is not over are as what is not read: counted together, and
// beyond the limit they make way. Who asks for one thing at a time is served.
static void test_rest_together(void **state)
{
    (void)state;
    enum { limit = 256 * 1024, clients_max = 64, behind = 48 * 1024 };
    static char text[behind] = "POST /keep HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n";
    client many[clients_max];
    fixture fix;
    ski_http_counters counters;
    unsigned count = 0;

    for (size_t len = strlen(text); len + 40 < sizeof text; len += strlen(text + len))
        (void)snprintf(text + len, 40, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    fixture_start(&fix, (ski_http_options){.unsent_bytes_max = limit});
    do {
        assert_true(count < clients_max);
        many[count] = client_open(fix.port);
        client_send_bytes(&many[count++], text, strlen(text));
        gate_wait(&fix.asked.arrived, count);
        client one = client_open(fix.port); // its answer comes behind the count
        client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        client_expect(&one, 200, "hello");
        client_close(&one);
        ski_http_counters_get(fix.http, &counters);
        assert_true(counters.unsent_bytes_now <= limit);
    } while (counters.timeouts < 2);
    for (unsigned i = 0; i < count; i++) {
        client_close(&many[i]);
        answer(&fix, i);
    }
    unsent_gone(&fix);
    fixture_stop(&fix);
}

enum { upload_bytes = 48 * 1024 };

// upload_open: the handler has paused it, and what came behind lies here.
static client upload_open(fixture *fix, unsigned nth)
{
    static char text[128 + upload_bytes];
    ski_http_counters before, counters;
    client one = client_open(fix->port);
    uint64_t until = now_ms() + client_wait_s * 1000;

    (void)snprintf(text, sizeof text,
                   "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                   "1\r\nx\r\n%x\r\n",
                   upload_bytes);
    size_t len = strlen(text);
    ski_http_counters_get(fix->http, &before);
    client_send_bytes(&one, text, len + upload_bytes);
    gate_wait(&fix->asked.arrived, nth + 1);
    do ski_http_counters_get(fix->http, &counters);
    while (counters.bytes_in < before.bytes_in + len + upload_bytes && now_ms() < until &&
           counters.unsent_bytes_now == before.unsent_bytes_now && !counters.timeouts);
    return one;
}

// What lies of an upload that the server itself has paused makes way last: not for others' replies
// that nobody reads.
static void test_upload_paused(void **state)
{
    (void)state;
    enum { limit = huge_bytes + 4 * 1024 * 1024 };
    client slow[2];
    fixture fix;

    fixture_start(&fix, (ski_http_options){.unsent_bytes_max = limit});
    client paused = upload_open(&fix, 0);
    for (int i = 0; i < 2; i++) {
        slow[i] = client_open(fix.port);
        client_send(&slow[i], "GET /huge HTTP/1.1\r\n" HOST "\r\n");
        client_need(&slow[i], 1);
    }
    timeouts_wait(&fix, 1);
    atomic_store(&fix.uploads_on, true);
    ski_http_resume(fix.http, fix.asked.kept[0]);
    client_send(&paused, "\r\n0\r\n\r\n");
    client_expect(&paused, 200, "all");
    for (int i = 0; i < 2; i++) client_close(&slow[i]);
    client_close(&paused);
    fixture_stop(&fix);
}

// But where nothing else can, it does.
static void test_uploads_paused(void **state)
{
    (void)state;
    enum { limit = 128 * 1024, clients = 16 };
    client many[clients];
    ski_http_counters counters;
    fixture fix;
    unsigned count = 0;

    fixture_start(&fix, (ski_http_options){.unsent_bytes_max = limit});
    do {
        assert_true(count < clients);
        many[count] = upload_open(&fix, count);
        count++;
        client one = client_open(fix.port); // its answer comes behind the count
        client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        client_expect(&one, 200, "hello");
        client_close(&one);
        ski_http_counters_get(fix.http, &counters);
        assert_true(counters.unsent_bytes_now <= limit);
    } while (counters.timeouts < 1);
    atomic_store(&fix.uploads_on, true);
    for (unsigned i = 0; i < count; i++) {
        client_close(&many[i]);
        ski_http_resume(fix.http, fix.asked.kept[i]);
    }
    unsent_gone(&fix);
    fixture_stop(&fix);
}

static void loop_blocks(void *context)
{
    fixture *fix = context;

    gate_pass(&fix->blocked);
    gate_wait(&fix->go, 1);
}

static void observe(void *context, const ski_http_request *request, unsigned status, uint64_t took)
{
    fixture *fix = context;

    (void)status;
    (void)took;
    if (skald_str_equal(request->method, SKALD_STR("POST"))) fix->post_at = fix->observed;
    fix->observed++;
}

// More answers than the loop takes at once: those that were first leave first.
static void test_answers_in_order(void **state)
{
    (void)state;
    enum { first = 64 };
    fixture fix;

    fixture_start(&fix, (ski_http_options){.observe = observe});
    client one = client_open(fix.port), two = client_open(fix.port);
    client_repeat(&one, "GET /keep HTTP/1.1\r\n" HOST "\r\n", first);
    gate_wait(&fix.asked.arrived, first);
    client_send(&two, "POST /keep HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    gate_wait(&fix.asked.arrived, first + 1);
    assert_true(ski_http_post(fix.http, loop_blocks, &fix));
    gate_wait(&fix.blocked, 1);
    for (unsigned i = 0; i <= first; i++) answer(&fix, i);
    gate_pass(&fix.go);
    for (int i = 0; i < first; i++) client_expect(&one, 200, "kept");
    client_expect(&two, 200, "kept");
    client_close(&one);
    client_close(&two);
    fixture_stop(&fix);
    assert_int_equal(fix.observed, first + 1);
    assert_int_equal(fix.post_at, first);
}

// More connections with something to read than are settled together: each has its answer, also who
// sent more than one request, and who ended behind it.
static void test_reads_together(void **state)
{
    (void)state;
    enum { clients = 80 };
    client many[clients];
    fixture fix;

    fixture_start(&fix, (ski_http_options){.port = 0});
    for (int i = 0; i < clients; i++) {
        many[i] = client_open(fix.port);
        client_send(&many[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        client_expect(&many[i], 200, "hello"); // it is accepted
    }
    assert_true(ski_http_post(fix.http, loop_blocks, &fix));
    gate_wait(&fix.blocked, 1);
    for (int i = 0; i < clients; i++) {
        client_repeat(&many[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n", 1 + i % 2);
        if (i % 3 == 0) assert_int_equal(shutdown(many[i].fd, SHUT_WR), 0);
    }
    gate_pass(&fix.go);
    for (int i = 0; i < clients; i++) {
        for (int n = 0; n < 1 + i % 2; n++) client_expect(&many[i], 200, "hello");
        if (i % 3 == 0) assert_true(client_closed(&many[i]));
        client_close(&many[i]);
    }
    fixture_stop(&fix);
}

// What always has something to settle does not keep the loop from everybody else.
static void test_never_settled(void **state)
{
    (void)state;
    fixture fix;
    char bytes[64 * 1024];
    uint64_t until = now_ms() + client_wait_s * 1000;

    fixture_start(&fix, (ski_http_options){.port = 0});
    client chatty = client_open(fix.port), one = client_open(fix.port);
    client_send(&chatty, "GET /chatty HTTP/1.1\r\n" HOST "\r\n");
    client_need(&chatty, 1);
    client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    while (recv(one.fd, bytes, 1, MSG_DONTWAIT | MSG_PEEK) != 1 && now_ms() < until) {
        (void)!recv(chatty.fd, bytes, sizeof bytes, MSG_DONTWAIT); // it never has to wait for us
    }
    assert_true(now_ms() < until);
    client_expect(&one, 200, "hello");
    atomic_store(&fix.chatted, true);
    client_close(&chatty);
    client_close(&one);
    fixture_stop(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_together), cmocka_unit_test(test_heads_under_way),
        cmocka_unit_test(test_heads_of_rest),  cmocka_unit_test(test_unsent_together),
        cmocka_unit_test(test_unsent_others),  cmocka_unit_test(test_unsent_behind),
        cmocka_unit_test(test_upload_paused),  cmocka_unit_test(test_uploads_paused),
        cmocka_unit_test(test_rest_together),  cmocka_unit_test(test_answers_in_order),
        cmocka_unit_test(test_reads_together), cmocka_unit_test(test_never_settled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
