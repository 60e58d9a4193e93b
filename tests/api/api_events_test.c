// SPDX-License-Identifier: Apache-2.0
// /api/events over a real connection: what is taken, what is refused and how it is said, what is
// read back.
#include "api/http_client.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the four above first
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

static void has(const api_answer *answer, const char *text)
{
    if (strstr(answer->body, text)) return;
    print_error("'%s' is not in: %s\n", text, answer->body);
    fail();
}

static void publishes_one(void **state)
{
    const api_answer *answer =
        api_post(*state, "/api/events",
                 "{\"type\":\"order.created\",\"stream\":\"order-1\",\"data\":{\"total\":99}}");

    assert_int_equal(answer->status, 201);
    has(answer, "\"position\":1,\"stream\":\"order-1\",\"streamVersion\":1,\"correlationId\":\"");
    assert_non_null(strstr(answer->head, "X-Event-Position: 1\r\n"));
    answer = api_get(*state, "/api/streams/order-1");
    assert_int_equal(answer->status, 200);
    has(answer, "\"data\":{\"total\":99}");
}

static void publishes_an_array_or_nothing(void **state)
{
    const api_answer *answer =
        api_post(*state, "/api/events",
                 "[{\"type\":\"a.b\"},{\"type\":\"a.c\",\"stream\":\"s-1\"}]");

    assert_int_equal(answer->status, 201);
    has(answer, "\"position\":2,\"stream\":\"s-1\"");
    answer = api_post(*state, "/api/events", "[{\"type\":\"a.b\"},{\"typ\":\"a.c\"}]");
    assert_int_equal(answer->status, 400);
    has(answer, "\"field\":\"[1].typ\"");
    answer = api_post(
        *state, "/api/events",
        "[{\"type\":\"a.b\"},{\"type\":\"a.c\",\"stream\":\"s-1\",\"expectedVersion\":7}]");
    assert_int_equal(answer->status, 409);
    has(answer, "\"expectedVersion\":7");
    has(answer, "\"actualVersion\":1");
    has(answer, "CONCURRENCY_CONFLICT");
    has(api_get(*state, "/api/events/stats"), "\"totalEvents\":2,");
}

static void refuses_with_one_clear_error(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *code, *says;
    } cases[] = {
        {"{\"type\":\"a.b\",", 400, "VALIDATION_ERROR", "column"},
        {"", 400, "VALIDATION_ERROR", "\"detail\""},
        {"17", 400, "VALIDATION_ERROR", "object"},
        {"[]", 400, "VALIDATION_ERROR", "empty"},
        {"{}", 400, "VALIDATION_ERROR", "\"field\":\"type\""},
        {"{\"type\":\"a.b\",\"steam\":\"x\"}", 400, "VALIDATION_ERROR", "stream"},
        {"{\"type\":\"a.b\",\"type\":\"a.c\"}", 400, "VALIDATION_ERROR", "type"},
        {"{\"type\":\"a.b\",\"\\u0074ype\":\"a.c\"}", 400, "VALIDATION_ERROR", "type"},
        {"{\"type\":17}", 400, "VALIDATION_ERROR", "\"field\":\"type\""},
        {"{\"type\":\"a.b\",\"id\":\"17\"}", 400, "VALIDATION_ERROR", "\"field\":\"id\""},
        {"{\"type\":\"a.b\",\"stream\":\"\xff\"}", 400, "VALIDATION_ERROR", "UTF-8"},
        {"{\"type\":\"a.b\",\"occurredAt\":\"yesterday\"}", 400, "VALIDATION_ERROR", "occurredAt"},
        {"{\"type\":\"a.b\",\"priority\":\"huge\"}", 400, "VALIDATION_ERROR", "critical"},
        {"{\"type\":\"a.b\",\"metadata\":[]}", 400, "VALIDATION_ERROR", "metadata"},
        {"{\"type\":\"a.b\",\"expectedVersion\":-1}", 400, "VALIDATION_ERROR", "expectedVersion"},
        {"{\"type\":\"a.b\",\"persistent\":\"no\"}", 400, "VALIDATION_ERROR", "persistent"},
        {"{\"type\":\"a.b\",\"deliverAt\":\"soon\"}", 400, "VALIDATION_ERROR", "deliverAt"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const api_answer *answer = api_post(*state, "/api/events", cases[i].body);
        if (answer->status != cases[i].status) print_error("%s\n%s\n", cases[i].body, answer->body);
        assert_int_equal(answer->status, cases[i].status);
        assert_non_null(strstr(answer->head, "application/problem+json"));
        has(answer, cases[i].code);
        has(answer, cases[i].says);
    }
    has(api_get(*state, "/api/events/stats"), "\"totalEvents\":0,");
}

static void refuses_long_names_and_large_events(void **state)
{
    skald_buf body = {.bytes_max = 4 * 1024 * 1024};
    const api_answer *answer;

    assert_false(ski_buf_print(&body, "{\"type\":\"%0*d\"}", 256, 1));
    answer = api_ask(*state, "POST", "/api/events", "application/json", ski_buf_str(&body), NULL);
    assert_int_equal(answer->status, 400);
    has(answer, "255");
    body.len = 0;
    assert_false(
        ski_buf_print(&body, "{\"type\":\"a.b\",\"data\":\"%0*d\"}", SKALD_EVENT_BYTES_MAX, 1));
    answer = api_ask(*state, "POST", "/api/events", "application/json", ski_buf_str(&body), NULL);
    assert_int_equal(answer->status, 413);
    has(answer, "PAYLOAD_TOO_LARGE");
    has(answer, "\"field\":\"data\"");
    skald_buf_fini(&body);
}

static void same_id_is_the_same_event(void **state)
{
    const char *event =
        "{\"type\":\"a.b\",\"id\":\"0192c1de-0000-7000-8000-000000000001\",\"data\":1}";

    assert_int_equal(api_post(*state, "/api/events", event)->status, 201);
    assert_int_equal(api_post(*state, "/api/events", event)->status, 200);
    has(api_post(*state, "/api/events", event), "\"position\":1,");
    const api_answer *answer =
        api_post(*state, "/api/events",
                 "{\"type\":\"a.b\",\"id\":\"0192c1de-0000-7000-8000-000000000001\",\"data\":2}");
    assert_int_equal(answer->status, 409);
    has(answer, "DUPLICATE");
    answer =
        api_post(*state, "/api/events",
                 "[{\"type\":\"a.b\",\"id\":\"0192c1de-0000-7000-8000-000000000001\",\"data\":1},"
                 "{\"type\":\"a.c\"}]");
    assert_int_equal(answer->status, 409);
    has(api_get(*state, "/api/events/stats"), "\"totalEvents\":1,");
}

static void takes_lines(void **state)
{
    const char *lines = "{\"type\":\"a.1\"}\n\n{\"type\":}\r\n"
                        "{\"type\":\"a.2\",\"stream\":\"s-1\",\"expectedVersion\":5}\n"
                        "{\"type\":\"a.3\"}\n[1]\n{\"type\":\"a.4\"}";
    const api_answer *answer =
        api_ask(*state, "POST", "/api/events", "application/x-ndjson", skald_str_of(lines), NULL);

    assert_int_equal(answer->status, 200);
    has(answer, "{\"data\":{\"accepted\":3,\"rejected\":3,\"lastPosition\":3,\"errors\":[");
    has(answer, "{\"line\":3,\"code\":\"VALIDATION_ERROR\"");
    has(answer, "{\"line\":4,\"code\":\"CONCURRENCY_CONFLICT\"");
    has(answer, "{\"line\":6,\"code\":\"VALIDATION_ERROR\"");
    has(api_get(*state, "/api/events?type=a.*&limit=1000"), "\"type\":\"a.4\"");
}

static void takes_many_lines_in_order(void **state)
{
    enum { lines = 20000 };
    skald_buf body = {.bytes_max = 16 * 1024 * 1024};
    const api_answer *answer;

    for (int i = 0; i < lines; i++) {
        assert_false(ski_buf_print(
            &body, "{\"type\":\"many.lines\",\"stream\":\"many-1\",\"data\":%d}\n", i));
    }
    answer =
        api_ask(*state, "POST", "/api/events", "application/x-ndjson", ski_buf_str(&body), NULL);
    assert_int_equal(answer->status, 200);
    assert_int_equal(api_number(answer->body, "accepted"), lines);
    skald_buf_fini(&body);
    answer = api_get(*state, "/api/streams/many-1?fromVersion=19991&limit=1000");
    has(answer, "\"streamVersion\":19991,");
    has(answer, "\"data\":19990");
    has(answer, "\"data\":19999");
}

static void gives_up_a_line_that_never_ends(void **state)
{
    size_t size = 3 * 1024 * 1024;
    char *line = test_malloc(size);
    const api_answer *answer;

    memset(line, 'x', size);
    memcpy(line + size - 16, "\n{\"type\":\"a.1\"}\n", 16);
    answer = api_ask(*state, "POST", "/api/events", "application/x-ndjson", (skald_str){line, size},
                     NULL);
    assert_int_equal(answer->status, 200);
    has(answer, "\"accepted\":1,\"rejected\":1,");
    has(answer, "{\"line\":1,\"code\":\"PAYLOAD_TOO_LARGE\"");
    test_free(line);
}

static void reads_by_filter_and_page(void **state)
{
    const api_answer *answer;

    for (int i = 0; i < 5; i++) {
        assert_int_equal(
            api_post(*state, "/api/events",
                     "[{\"type\":\"order.made\",\"stream\":\"order-1\",\"correlationId\":\"c 1\"},"
                     "{\"type\":\"user.made\",\"stream\":\"user-1\"}]")
                ->status,
            201);
    }
    answer = api_get(*state, "/api/events?type=order.*&limit=2");
    assert_int_equal(answer->status, 200);
    has(answer, "\"pagination\":{\"limit\":2,\"nextCursor\":3}");
    answer = api_get(*state, "/api/events?type=order.*&limit=2&after=3");
    has(answer, "\"nextCursor\":7}");
    answer = api_get(*state, "/api/events?category=user&direction=backward&limit=1");
    has(answer, "\"streamVersion\":5,");
    answer = api_get(*state, "/api/events?correlationId=c%201&before=4");
    has(answer, "\"position\":3,");
    assert_null(strstr(answer->body, "\"position\":5,"));
    answer = api_get(*state, "/api/events?after=100");
    has(answer, "{\"data\":[],\"pagination\":{\"limit\":100,\"nextCursor\":null}}");
}

static void refuses_a_query_it_does_not_know(void **state)
{
    static const char *const paths[] = {
        "/api/events?typ=x",
        "/api/events?limit=0",
        "/api/events?limit=1001",
        "/api/events?after=-1",
        "/api/events?direction=up",
        "/api/events?from=now",
        "/api/events?type=%zz",
        "/api/events?type=",
        "/api/events?type=order*",
        "/api/events?type=*.made",
        "/api/events/stream?type=order.*.*",
        "/api/events?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "/api/streams/a-1?fromVersion=4&toVersion=2",
        "/api/events?after=3&before=3",
        "/api/events?after=4&before=3",
        "/api/streams?category=a&category=b",
        "/api/events/stream?limit=1",
        "/metrics?x=1",
    };

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const api_answer *answer = api_get(*state, paths[i]);
        if (answer->status != 400) print_error("%s: %s\n", paths[i], answer->body);
        assert_int_equal(answer->status, 400);
        has(answer, "VALIDATION_ERROR");
    }
}

static void finds_one_event(void **state)
{
    const api_answer *answer =
        api_post(*state, "/api/events/test", "{\"type\":\"a.b\",\"data\":[1]}");
    char path[128];
    const char *id;

    assert_int_equal(answer->status, 201);
    id = strstr(answer->body, "\"eventId\":\"");
    assert_non_null(id);
    (void)snprintf(path, sizeof path, "/api/events/%.36s", id + 11);
    answer = api_get(*state, path);
    assert_int_equal(answer->status, 200);
    has(answer, "\"metadata\":{\"test\":true}");
    assert_int_equal(api_get(*state, "/api/events/0192c1de-0000-7000-8000-000000000009")->status,
                     404);
    assert_int_equal(api_get(*state, "/api/events/17")->status, 404);
    assert_int_equal(api_get(*state, "/api/streams/nothing")->status, 404);
}

static void takes_cloudevents(void **state)
{
    const char *event = "{\"specversion\":\"1.0\",\"id\":\"A-17\",\"source\":\"/shop\","
                        "\"type\":\"order.paid\",\"data\":{\"n\":1}}";
    const api_answer *answer =
        api_ask(*state, "POST", "/api/events", "application/cloudevents+json; charset=utf-8",
                skald_str_of(event), NULL);

    assert_int_equal(answer->status, 201);
    answer = api_ask(*state, "POST", "/api/events", "application/cloudevents+json",
                     skald_str_of(event), NULL);
    assert_int_equal(answer->status, 200); // the same id is the same event
    has(api_get(*state, "/api/events"), "\"ceId\":\"A-17\"");
    answer = api_ask(*state, "POST", "/api/events", "text/plain", SKALD_STR("hello"), NULL);
    assert_int_equal(answer->status, 415);
    has(answer, "UNSUPPORTED_MEDIA_TYPE");
}

static void history_and_stats_are_as_the_seed_shows(void **state)
{
    const api_answer *answer;

    assert_int_equal(api_post(*state, "/api/events",
                              "[{\"type\":\"bedrift.created\"},{\"type\":\"user.login\"},"
                              "{\"type\":\"user.login\"}]")
                         ->status,
                     201);
    answer = api_get(*state, "/api/events/stats");
    assert_int_equal(strncmp(answer->body, "{\"totalEvents\":3,\"eventsByType\":{", 33), 0);
    has(answer, "\"bedrift.created\":1");
    has(answer, "\"user.login\":2");
    has(answer, "\"recentEvents\":[{");
    has(answer, "\"oldestEvent\":\"20");
    has(answer, "\"newestEvent\":\"20");
    answer = api_get(*state, "/api/events/stats?scope=history");
    has(answer, "\"totalEvents\":3,");
    answer = api_get(*state, "/api/events/history?limit=2");
    assert_int_equal(answer->status, 200);
    assert_null(strstr(answer->body, "bedrift.created"));
}

static void correlation_is_taken_and_returned(void **state)
{
    const api_answer *answer =
        api_ask(*state, "POST", "/api/events", "application/json", SKALD_STR("{\"type\":\"a.b\"}"),
                "X-Correlation-ID: req-789\r\n"
                "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n");

    assert_int_equal(answer->status, 201);
    assert_non_null(strstr(answer->head, "X-Correlation-ID: req-789\r\n"));
    has(answer, "\"correlationId\":\"req-789\"");
    has(api_get(*state, "/api/events?correlationId=req-789"),
        "\"traceparent\":\"00-0af7651916cd43dd");
}

static void open_mode_answers_only_this_machine(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"GET /health HTTP/1.1\r\nHost: localhost:8000\r\nConnection: close\r\n\r\n", 200},
        {"GET /health HTTP/1.1\r\nHost: [::1]:8000\r\nConnection: close\r\n\r\n", 200},
        {"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403},
        {"GET /health HTTP/1.1\r\nHost: localhost.evil.example\r\nConnection: close\r\n\r\n", 403},
        {"GET /health HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\nConnection: close\r\n\r\n", 403},
        {"GET /api/events/stream HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n"
         "Connection: close\r\n\r\n",
         403},
        {"GET /health HTTP/1.1\r\nHost: localhost:1\r\nOrigin: http://localhost:2\r\n"
         "Connection: close\r\n\r\n",
         403},
        {"GET /health HTTP/1.1\r\nHost: localhost:1\r\nOrigin: http://localhost:1\r\n"
         "Connection: close\r\n\r\n",
         200},
        {"GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\nConnection: close\r\n\r\n",
         403},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char reply[8192] = "";
        char want[32];
        int fd = api_connect(*state);
        api_send(fd, skald_str_of(cases[i].request));
        assert_true(api_read_until(fd, reply, sizeof reply, "\r\n\r\n"));
        (void)snprintf(want, sizeof want, "HTTP/1.1 %d", cases[i].status);
        if (strncmp(reply, want, strlen(want)) != 0) print_error("%s%s\n", cases[i].request, reply);
        assert_int_equal(strncmp(reply, want, strlen(want)), 0);
        close(fd);
    }
}

static void serves_the_page_and_the_rest(void **state)
{
    const api_answer *answer = api_get(*state, "/");

    assert_int_equal(answer->status, 200);
    has(answer, "<title>skald</title>");
    assert_non_null(strstr(answer->head, "default-src 'self'"));
    assert_int_equal(api_get(*state, "/assets/icon.svg")->status, 200);
    assert_int_equal(api_get(*state, "/assets/nothing.js")->status, 404);
    assert_int_equal(api_get(*state, "/nothing")->status, 404);
    answer = api_ask(*state, "DELETE", "/api/events", NULL, (skald_str){0}, NULL);
    assert_int_equal(answer->status, 405);
    assert_non_null(strstr(answer->head, "Allow: "));
    has(api_get(*state, "/health"), "\"status\":\"ok\"");
    has(api_get(*state, "/ready"), "\"store\":{\"status\":\"ok\"");
    has(api_get(*state, "/metrics"),
        "skald_http_requests_total{method=\"GET\",route=\"/\",status=\"2xx\"} 1\n");
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(publishes_one),
        ROW(publishes_an_array_or_nothing),
        ROW(refuses_with_one_clear_error),
        ROW(refuses_long_names_and_large_events),
        ROW(same_id_is_the_same_event),
        ROW(takes_lines),
        ROW(takes_many_lines_in_order),
        ROW(gives_up_a_line_that_never_ends),
        ROW(reads_by_filter_and_page),
        ROW(refuses_a_query_it_does_not_know),
        ROW(finds_one_event),
        ROW(takes_cloudevents),
        ROW(history_and_stats_are_as_the_seed_shows),
        ROW(correlation_is_taken_and_returned),
        ROW(open_mode_answers_only_this_machine),
        ROW(serves_the_page_and_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
