// SPDX-License-Identifier: Apache-2.0
// Following the log over HTTP: Server-Sent Events, and pull groups.
#include "api/http_client.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "bus/bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
// cmocka wants those above first
#include <cmocka.h>

static int setup(void **state)
{
    static api_world world;

    api_world_open(&world);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    api_world_close(*state);
    return 0;
}

static void publish(const api_world *world, int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(api_post(world, "/api/events",
                                  "{\"type\":\"order.made\",\"stream\":\"order-1\"}")
                             ->status,
                         201);
    }
}

static int follow(const api_world *world, const char *query, const char *headers)
{
    char request[512];
    int fd = api_connect(world);
    int len =
        snprintf(request, sizeof request,
                 "GET /api/events/stream%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", query, headers);

    api_send(fd, (skald_str){request, (size_t)len});
    return fd;
}

static void streams_what_was_and_what_comes(void **state)
{
    char text[65536] = "";
    int fd;

    publish(*state, 3);
    fd = follow(*state, "?after=1", "");
    assert_true(api_read_until(fd, text, sizeof text, "id: 3\n"));
    assert_null(strstr(text, "id: 1\n"));
    assert_non_null(strstr(text, "text/event-stream"));
    publish(*state, 1);
    assert_true(api_read_until(fd, text, sizeof text, "id: 4\n"));
    close(fd);
    text[0] = 0;
    fd = follow(*state, "", "Last-Event-ID: 2\r\n");
    assert_true(api_read_until(fd, text, sizeof text, "id: 4\n"));
    assert_null(strstr(text, "id: 2\n"));
    close(fd);
    text[0] = 0;
    fd = follow(*state, "?type=user.*&after=0", "");
    publish(*state, 1);
    assert_int_equal(api_post(*state, "/api/events", "{\"type\":\"user.made\"}")->status, 201);
    assert_true(api_read_until(fd, text, sizeof text, "id: 6\n"));
    assert_null(strstr(text, "order.made"));
    close(fd);
}

// A client that does not read fills its buffer; it lags in the log and gets everything when it
// reads again.
static void a_slow_client_lags_and_misses_nothing(void **state)
{
    enum { events = 400, bytes = 16 * 1024 };
    skald_buf body = {.bytes_max = 1024 * 1024};
    char *text = test_calloc(1, (size_t)events * (bytes + 4096));
    char last[32];
    int fd = follow(*state, "?after=0", "");

    assert_false(ski_buf_print(&body, "{\"type\":\"big.made\",\"data\":\"%0*d\"}", bytes, 7));
    for (int i = 0; i < events; i++) {
        assert_int_equal(api_ask(*state, "POST", "/api/events", "application/json",
                                 ski_buf_str(&body), NULL)
                             ->status,
                         201);
    }
    (void)snprintf(last, sizeof last, "id: %d\n", events);
    assert_true(api_read_until(fd, text, (size_t)events * (bytes + 4096), last));
    for (int i = 1; i < events; i++) {
        (void)snprintf(last, sizeof last, "id: %d\n", i);
        assert_non_null(strstr(text, last));
    }
    close(fd);
    skald_buf_fini(&body);
    test_free(text);
}

// publish_big posts events of some KiB, and says where the log ends.
static void publish_big(const api_world *world, int count, int bytes)
{
    skald_buf body = {.bytes_max = 1024 * 1024};

    assert_false(ski_buf_print(&body, "{\"type\":\"big.made\",\"data\":\"%0*d\"}", bytes, 7));
    for (int i = 0; i < count; i++)
        assert_int_equal(api_ask(world, "POST", "/api/events", "application/json",
                                 ski_buf_str(&body), NULL)
                             ->status,
                         201);
    skald_buf_fini(&body);
}

// each_once wants the positions from first to last, each once and in order.
static void each_once(const char *text, int first, int last)
{
    int position = 0, end = 0;

    for (const char *at = strstr(text, "id: "); at && first <= last; at = strstr(at + 1, "id: ")) {
        end = 0;
        if (sscanf(at, "id: %d\ndata%n", &position, &end) != 1 || !end) continue; // where it began
        assert_int_equal(position, first);
        first++;
    }
    assert_int_equal(first, last + 1);
}

// running waits until so many subscriptions run.
static void running(const api_world *world, uint64_t count)
{
    ski_bus_queues queues = {0};

    for (int i = 0; i < 10000; i++) {
        ski_bus_queues_get(world->bus, &queues);
        if (queues.subscriptions == count) return;
        usleep(1000);
    }
    assert_int_equal(queues.subscriptions, count);
}

// Clients that follow alike are one subscription; who reads slowly, or resumes from afar, is given
// everything once all the same, nobody else waits for it, and in the end it is of that one again.
static void followers_share_and_miss_nothing(void **state)
{
    enum { big = 120, bytes = 64 * 1024, some = 40, size = 10 * 1024 * 1024 };
    const api_world *world = *state;
    char *text = test_calloc(1, size);
    const int small = 64 * 1024, large = 4 * 1024 * 1024;
    ski_bus_queues before;
    char last[32];

    ski_bus_queues_get(world->bus, &before);
    int slow = follow(world, "?type=big.*", "");
    assert_int_equal(setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    assert_true(api_read_until(slow, text, size, "id: 0\n"));
    text[0] = 0;
    int quick = follow(world, "?type=big.*", "");
    assert_true(api_read_until(quick, text, size, "id: 0\n"));
    running(world, before.subscriptions + 1);
    for (int i = 1; i <= big; i++) { // the quick one reads them as they come
        publish_big(world, 1, bytes);
        (void)snprintf(last, sizeof last, "id: %d\n", i);
        assert_true(api_read_until(quick, text + strlen(text), size - strlen(text), last));
    }
    each_once(text, 1, big - 1);
    running(world, before.subscriptions + 2); // the slow one lags
    memset(text, 0, size);
    int late = follow(world, "?type=big.*&after=0", ""); // from behind all that the feed has
    publish_big(world, some, 10);
    (void)snprintf(last, sizeof last, "id: %d\n", big + some);
    assert_true(api_read_until(late, text, size, last));
    each_once(text, 1, big + some - 1);
    running(world, before.subscriptions + 2); // that one has joined
    publish_big(world, some, 10);
    (void)snprintf(last, sizeof last, "id: %d\n", big + 2 * some);
    assert_true(api_read_until(late, text, size, last));
    each_once(text, 1, big + 2 * some - 1);
    memset(text, 0, size);
    assert_int_equal(setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &large, sizeof large), 0);
    assert_true(api_read_until(slow, text, size, last));
    each_once(text, 1, big + 2 * some - 1);
    running(world, before.subscriptions + 1);
    close(slow);
    close(quick);
    close(late);
    running(world, before.subscriptions);
    test_free(text);
}

// One publish of more than a feed takes at once: its audience waits for room, in the middle of it.
static void a_burst_is_larger_than_the_feed(void **state)
{
    enum { count = 40, bytes = 64 * 1024, size = 10 * 1024 * 1024 };
    char *text = test_calloc(1, size);
    skald_buf body = {.bytes_max = size};
    int fd = follow(*state, "?type=big.*", "");

    assert_true(api_read_until(fd, text, size, "id: 0\n"));
    for (int i = 0; i < count; i++)
        assert_false(ski_buf_print(&body, "%s{\"type\":\"big.made\",\"data\":\"%0*d\"}",
                                   i ? "," : "[", bytes, 7));
    assert_false(skald_buf_put(&body, SKALD_STR("]")));
    for (int i = 0; i < 3; i++)
        assert_int_equal(api_ask(*state, "POST", "/api/events", "application/json",
                                 ski_buf_str(&body), NULL)
                             ->status,
                         201);
    assert_true(api_read_until(fd, text, size, "id: 120\n"));
    each_once(text, 1, 3 * count - 1);
    close(fd);
    skald_buf_fini(&body);
    test_free(text);
}

// Memory that is refused while a client begins or is given what was: it is told, cut, or given it
// all the same; an event is never passed over.
static void without_memory_nothing_is_passed_over(void **state)
{
    enum { count = 5, size = 64 * 1024, tries = 50 };
    const api_world *world = *state;
    char *text = test_calloc(1, size);
    int whole = 0, told = 0;

    publish(world, count);
    for (uint64_t n = 1; n <= tries; n++) {
        text[0] = 0;
        ski_alloc_fail_at(n);
        int fd = follow(world, "?after=0", "Connection: close\r\n");
        bool all = api_read_until(fd, text, size, "id: 5\n");
        ski_alloc_fail_at(0);
        close(fd);
        each_once(text, 1, all ? count - 1 : 0);
        whole += all;
        told += !all;
    }
    assert_int_equal(whole + told, tries);
    assert_in_range(whole, 1, tries);
    assert_in_range(told, 1, tries);
    test_free(text);
}

static void post_numbered(const api_world *world, int n, bool kept)
{
    char body[128];

    (void)snprintf(body, sizeof body, "{\"type\":\"move.%s\",\"data\":{\"n\":%d}%s}",
                   kept ? "kept" : "loose", n, kept ? "" : ",\"persistent\":false");
    assert_int_equal(api_post(world, "/api/events", body)->status, 201);
}

// What is not kept comes once to a client that changes from a cursor of its own to what it shares
// with others: of those from the first it was given, none is missed and none comes twice.
static void changing_over_doubles_and_loses_nothing(void **state)
{
    enum { rounds = 30, before = 10, during = 8, size = 256 * 1024 };
    const api_world *world = *state;
    char *text = test_calloc(1, size), query[64], last[32];
    int head = 0, several = 0;

    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < before; i++) post_numbered(world, ++head, true);
        (void)snprintf(query, sizeof query, "?type=move.*&after=%d", head - before);
        int fd = follow(world, query, "");
        for (int i = 1; i <= during; i++) {
            post_numbered(world, i, false);
            post_numbered(world, ++head, true);
        }
        post_numbered(world, during + 1, false);
        (void)snprintf(last, sizeof last, "id: %d\n", head);
        text[0] = 0;
        assert_true(api_read_until(fd, text, size, last));
        assert_true(api_read_until(fd, text, size, "\"n\":9}"));
        each_once(text, head - before - during + 1, head - 1);
        const char *at = strstr(text, "move.loose");
        for (int n = 0; at; at = strstr(at + 1, "move.loose")) {
            int number = 0;
            assert_int_equal(sscanf(strstr(at, "\"n\":"), "\"n\":%d", &number), 1);
            if (n) assert_int_equal(number, n + 1);
            n = number;
            several += n > 1;
        }
        close(fd);
    }
    assert_in_range(several, rounds, rounds * (during + 1));
    test_free(text);
}

static const char *const group =
    "{\"name\":\"mailer\",\"filter\":{\"types\":[\"order.*\"]},\"from\":\"start\","
    "\"order\":\"stream\",\"ackTimeoutMs\":60000,\"retry\":{\"firstMs\":1}}";

// delivery_id copies the first delivery's id out of an answer.
static void delivery_id(const api_answer *answer, char id[96])
{
    const char *at = strstr(answer->body, "\"deliveryId\":\"");

    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"deliveryId\":\"%95[^\"]", id), 1);
}

static const api_answer *end(const api_world *world, const char *what, const char *id)
{
    char path[128];
    char body[256];

    (void)snprintf(path, sizeof path, "/api/subscriptions/mailer/%s", what);
    (void)snprintf(body, sizeof body, "{\"deliveries\":[\"%s\"]}", id);
    return api_post(world, path, body);
}

static void a_group_takes_in_order_and_acknowledges(void **state)
{
    const api_answer *answer;
    char first[96];

    publish(*state, 2);
    assert_int_equal(api_post(*state, "/api/subscriptions", group)->status, 201);
    assert_int_equal(api_post(*state, "/api/subscriptions", group)->status, 200);
    assert_int_equal(api_post(*state, "/api/subscriptions", "{\"name\":\"mailer\"}")->status, 409);
    answer = api_get(*state, "/api/subscriptions/mailer/deliveries?max=10&waitMs=5000");
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->body, "\"attempt\":1,\"event\":{"));
    assert_null(strstr(answer->body, "\"streamVersion\":2,")); // one of a key at a time
    delivery_id(answer, first);
    assert_non_null(strstr(end(*state, "nack", first)->body, "{\"accepted\":1,\"refused\":[]}"));
    answer = api_get(*state, "/api/subscriptions/mailer/deliveries?waitMs=5000");
    assert_non_null(strstr(answer->body, "\"attempt\":2,\"event\":{"));
    assert_non_null(strstr(answer->body, "\"streamVersion\":1,"));
    assert_non_null(strstr(end(*state, "ack", first)->body, "\"code\":\"STALE\"")); // that attempt
                                                                                    // is over
    answer = api_get(*state, "/api/subscriptions/mailer/deliveries");
    assert_string_equal(answer->body, "{\"data\":[]}");
    assert_non_null(strstr(end(*state, "ack", "17")->body, "\"code\":\"INVALID\""));
}

static void a_group_outlives_the_server(void **state)
{
    char id[96];
    const api_answer *answer;

    publish(*state, 3);
    assert_int_equal(api_post(*state, "/api/subscriptions", group)->status, 201);
    delivery_id(api_get(*state, "/api/subscriptions/mailer/deliveries?waitMs=5000"), id);
    assert_non_null(strstr(end(*state, "ack", id)->body, "\"accepted\":1"));
    delivery_id(api_get(*state, "/api/subscriptions/mailer/deliveries?waitMs=5000"), id);
    api_world_reopen(*state);
    assert_non_null(strstr(end(*state, "ack", id)->body, "\"code\":\"STALE\"")); // of a server that
                                                                                 // is gone
    answer = api_get(*state, "/api/subscriptions/mailer/deliveries?waitMs=5000");
    assert_non_null(strstr(answer->body, "\"streamVersion\":2,"));
    answer = api_get(*state, "/api/subscriptions/mailer");
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->body, "\"name\":\"mailer\",\"kind\":\"pull\""));
    assert_int_equal(
        api_ask(*state, "DELETE", "/api/subscriptions/mailer", NULL, (skald_str){0}, NULL)->status,
        200);
    assert_int_equal(api_get(*state, "/api/subscriptions/mailer")->status, 404);
    assert_int_equal(api_get(*state, "/api/subscriptions/mailer/deliveries")->status, 404);
    assert_int_equal(api_post(*state, "/api/subscriptions", group)->status, 201);
    answer = api_get(*state, "/api/subscriptions/mailer/deliveries?waitMs=5000");
    assert_non_null(strstr(answer->body, "\"streamVersion\":1,")); // it was forgotten: from the
                                                                   // start
}

static void a_poll_waits_for_what_comes(void **state)
{
    char text[65536] = "";
    int fd;

    assert_int_equal(api_post(*state, "/api/subscriptions", group)->status, 201);
    fd = api_connect(*state);
    api_send(fd, SKALD_STR("GET /api/subscriptions/mailer/deliveries?waitMs=30000 HTTP/1.1\r\n"
                           "Host: localhost\r\n\r\n"));
    publish(*state, 1);
    assert_true(api_read_until(fd, text, sizeof text, "\"deliveryId\""));
    close(fd);
    assert_string_equal(api_get(*state, "/api/subscriptions/mailer/deliveries?waitMs=1")->body,
                        "{\"data\":[]}");
}

static void refuses_what_is_no_group(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *says;
    } cases[] = {
        {"{", 400, "column"},
        {"[]", 400, "object"},
        {"{}", 400, "name"},
        {"{\"name\":\"a b\"}", 400, "name"},
        {"{\"name\":\"a\",\"nam\":1}", 400, "nam"},
        {"{\"name\":\"a\",\"filter\":{\"type\":[]}}", 400, "type"},
        {"{\"name\":\"a\",\"from\":\"middle\"}", 400, "start"},
        {"{\"name\":\"a\",\"order\":\"random\"}", 400, "order"},
        {"{\"name\":\"a\",\"inFlightMax\":0}", 400, "inFlightMax"},
        {"{\"name\":\"a\",\"retry\":{\"factor\":0.5}}", 400, "factor"},
        {"{\"name\":\"a\",\"onExhausted\":\"give_up\"}", 400, "park_key"},
        {"{\"name\":\"a\",\"order\":\"key\"}", 400, "where in data the key is"},
        {"{\"name\":\"a\",\"key\":\"/id\"}", 400, "goes with order"},
        {"{\"name\":\"a\",\"order\":\"key\",\"key\":\"id\"}", 400, "JSON pointer"},
        {"{\"name\":\"a\",\"order\":\"key\",\"key\":\"/a~2\"}", 400, "key"},
        {"{\"name\":\"skald.a\"}", 400, "name"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const api_answer *answer = api_post(*state, "/api/subscriptions", cases[i].body);
        if (answer->status != cases[i].status) print_error("%s: %s\n", cases[i].body, answer->body);
        assert_int_equal(answer->status, cases[i].status);
        assert_non_null(strstr(answer->body, cases[i].says));
    }
    assert_int_equal(
        api_post(*state, "/api/subscriptions/nobody/ack", "{\"deliveries\":[\"1\"]}")->status, 404);
    assert_int_equal(api_post(*state, "/api/subscriptions", group)->status, 201);
    assert_int_equal(
        api_post(*state, "/api/subscriptions/mailer/ack", "{\"deliveries\":[]}")->status, 400);
    assert_int_equal(
        api_post(*state, "/api/subscriptions/mailer/ack", "{\"deliveries\":[1]}")->status, 400);
    assert_int_equal(api_post(*state, "/api/subscriptions/mailer/ack", "{\"delayMs\":1}")->status,
                     400);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(streams_what_was_and_what_comes),
        ROW(a_slow_client_lags_and_misses_nothing),
        ROW(a_burst_is_larger_than_the_feed),
        ROW(without_memory_nothing_is_passed_over),
        ROW(followers_share_and_miss_nothing),
        ROW(changing_over_doubles_and_loses_nothing),
        ROW(a_group_takes_in_order_and_acknowledges),
        ROW(a_group_outlives_the_server),
        ROW(a_poll_waits_for_what_comes),
        ROW(refuses_what_is_no_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
