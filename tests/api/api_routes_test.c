// SPDX-License-Identifier: Apache-2.0
// What the table of routes promises for every route: methods, forms, parameters, versions,
// conditions. Over a real connection.
#include "api/api_parts.h"
#include "api/http_client.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

static const char order[] = "{\"type\":\"order.created\",\"stream\":\"order-1\",\"data\":1}";

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

static const api_answer *get_with(const api_world *world, const char *path, const char *headers)
{
    return api_ask(world, "GET", path, NULL, (skald_str){0}, headers);
}

static void expect_problem(const api_answer *answer, int status, const char *code)
{
    char member[80];

    (void)snprintf(member, sizeof member, "\"code\":\"%s\"", code);
    if (answer->status != status || !strstr(answer->body, member))
        print_error("want %d %s: %d %s\n", status, code, answer->status, answer->body);
    assert_int_equal(answer->status, status);
    assert_non_null(strstr(answer->body, member));
    assert_non_null(strstr(answer->head, "application/problem+json"));
}

// path_of makes a path that fits a route's pattern.
static const char *path_of(const ski_route *route, char *room, size_t size)
{
    size_t len = 0;

    for (const char *at = route->path; *at && len + 2 < size; at++) {
        room[len++] = *at == '{' ? '1' : *at;
        if (*at == '{') at += strcspn(at, "}");
    }
    room[len] = 0;
    return room;
}

static void table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < ski_route_count; i++) {
        const ski_route *route = &ski_routes[i];
        const char *names = route->query;
        skald_str name;

        assert_non_null(route->name);
        assert_non_null(route->summary);
        while (ski_words_next(&names, &name)) assert_non_null(ski_parameter_find(name));
        for (size_t j = 0; j < i; j++) assert_string_not_equal(route->name, ski_routes[j].name);
        // One that is read in place cannot also wait for the log.
        assert_true(!route->positioned || route->worker);
        assert_true(i < SKI_METRICS_ROUTES_MAX);
    }
}

static void every_path_knows_its_methods(void **state)
{
    char room[256];

    for (size_t i = 0; i < ski_route_count; i++) {
        const char *path = path_of(&ski_routes[i], room, sizeof room);
        const api_answer *answer = api_ask(*state, "OPTIONS", path, NULL, (skald_str){0}, NULL);
        char *allow = strstr(answer->head, "Allow: ");

        assert_int_equal(answer->status, 204);
        assert_non_null(allow);
        *strchr(allow, '\r') = 0;
        assert_non_null(strstr(allow, ski_routes[i].method));
        assert_non_null(strstr(allow, "OPTIONS"));
        answer = api_ask(*state, "TRACE", path, NULL, (skald_str){0}, NULL);
        if (answer->status == 405) expect_problem(answer, 405, "METHOD_NOT_ALLOWED");
    }
}

// What GET says in its head, HEAD says too, and no more.
static void head_is_get_without_a_body(void **state)
{
    static const char *const paths[] = {"/api/events", "/api/streams/order-1", "/health",
                                        "/openapi.json"};

    assert_int_equal(api_post(*state, "/api/events", order)->status, 201);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char *got = strdup(strstr(api_get(*state, paths[i])->head, "Content-Type"));
        const api_answer *answer = api_ask(*state, "HEAD", paths[i], NULL, (skald_str){0}, NULL);
        assert_int_equal(answer->status, 200);
        assert_int_equal(answer->len, 0);
        assert_string_equal(strstr(answer->head, "Content-Type"), got);
        free(got);
    }
}

static void every_unknown_parameter_is_named(void **state)
{
    char room[256], asked[300];

    expect_problem(api_get(*state, "/api/events?typ=x"), 400, "VALIDATION_ERROR");
    assert_non_null(strstr(api_get(*state, "/api/events?typ=x")->body,
                           "unknown parameter 'typ': did you mean 'type'?"));
    assert_non_null(strstr(api_get(*state, "/api/events?afterr=1")->body, "did you mean 'after'?"));
    assert_null(strstr(api_get(*state, "/api/events?zzzzzzz=1")->body, "did you mean"));
    for (size_t i = 0; i < ski_route_count; i++) {
        const char *path = path_of(&ski_routes[i], room, sizeof room);
        (void)snprintf(asked, sizeof asked, "%s?zzzzzzz=1", path);
        const api_answer *answer =
            api_ask(*state, ski_routes[i].method, asked, NULL, (skald_str){0}, NULL);
        if (ski_routes[i].handle == ski_not_yet) {
            expect_problem(answer, 501, "NOT_IMPLEMENTED");
            continue;
        }
        expect_problem(answer, 400, "VALIDATION_ERROR");
        assert_non_null(strstr(answer->body, "zzzzzzz"));
    }
}

// Of two limits nobody can tell which one is meant; names may be several.
static void what_is_given_twice_is_refused(void **state)
{
    const api_answer *answer = api_get(*state, "/api/events?limit=1&type=a&limit=2");

    expect_problem(answer, 400, "VALIDATION_ERROR");
    assert_non_null(strstr(answer->body, "\"field\":\"query.limit\""));
    assert_non_null(strstr(answer->body, "given once"));
    expect_problem(api_get(*state, "/api/events?after=1&after=1"), 400, "VALIDATION_ERROR");
    assert_int_equal(api_get(*state, "/api/events?type=a&type=b&stream=c&stream=d")->status, 200);
    expect_problem(get_with(*state, "/api/events", "X-Min-Position: 0\r\nX-Min-Position: 0\r\n"),
                   400, "VALIDATION_ERROR");
    expect_problem(get_with(*state, "/api/events", "X-API-Version: 2\r\nX-API-Version: 1\r\n"), 400,
                   "VALIDATION_ERROR");
}

static void an_empty_filter_is_none(void **state)
{
    const api_answer *answer;

    assert_int_equal(api_post(*state, "/api/events", order)->status, 201);
    expect_problem(api_get(*state, "/api/events?correlationId="), 400, "VALIDATION_ERROR");
    expect_problem(api_get(*state, "/api/events?type="), 400, "VALIDATION_ERROR");
    answer = api_get(*state, "/api/events?from=2026-01-02T03:04:05+01:00");
    expect_problem(answer, 400, "VALIDATION_ERROR");
    assert_non_null(strstr(answer->body, "in a URL + is written %2B"));
    answer = api_get(*state, "/api/events?from=2026-01-02T03:04:05%2B01:00");
    assert_int_equal(answer->status, 200);
}

static void every_parameter_has_its_limits(void **state)
{
    char asked[300];

    for (const ski_parameter *at = ski_parameters; at->name; at++) {
        const char *path = NULL;
        for (size_t i = 0; i < ski_route_count && !path; i++) {
            if (strcmp(ski_routes[i].method, "GET") == 0 && !strchr(ski_routes[i].path, '{') &&
                ski_words_have(ski_routes[i].query, skald_str_of(at->name)))
                path = ski_routes[i].path;
        }
        if (!path || at->kind == SKI_PARAMETER_TEXT) continue;
        if (strcmp(at->name, "format") == 0) path = "/api/types";
        (void)snprintf(asked, sizeof asked, "%s?%s=nonsense", path, at->name);
        expect_problem(api_get(*state, asked), 400, "VALIDATION_ERROR");
        if (at->kind != SKI_PARAMETER_NUMBER || at->max == UINT64_MAX) continue;
        (void)snprintf(asked, sizeof asked, "%s?%s=%llu", path, at->name,
                       (unsigned long long)at->max + 1);
        expect_problem(api_get(*state, asked), 400, "VALIDATION_ERROR");
    }
}

static void forms_are_negotiated(void **state)
{
    expect_problem(get_with(*state, "/api/events", "Accept: text/html\r\n"), 406, "NOT_ACCEPTABLE");
    assert_non_null(strstr(get_with(*state, "/api/events", "Accept: text/html\r\n")->body,
                           "answers in: application/json, application/cloudevents-batch+json\""));
    expect_problem(get_with(*state, "/api/events", "Accept: application/json;q=0\r\n"), 406,
                   "NOT_ACCEPTABLE");
    static const char *const fine[] = {"*/*", "application/*", "text/html, */*;q=0.1",
                                       "application/json; charset=utf-8",
                                       "application/vnd.skald.v2+json"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        char header[100];
        (void)snprintf(header, sizeof header, "Accept: %s\r\n", fine[i]);
        assert_int_equal(get_with(*state, "/api/events", header)->status, 200);
    }
    const api_answer *answer =
        get_with(*state, "/api/events", "Accept: application/vnd.skald.v2+json\r\n");
    assert_non_null(strstr(answer->head, "Content-Type: application/vnd.skald.v2+json"));
    answer = get_with(*state, "/api/events",
                      "Accept: application/json;q=0.5, application/cloudevents-batch+json\r\n");
    assert_non_null(strstr(answer->head, "application/cloudevents-batch+json"));
    for (size_t i = 0; i < ski_route_count; i++) {
        const ski_route *route = &ski_routes[i];
        char room[256];
        if (!route->takes) continue;
        answer = api_ask(*state, route->method, path_of(route, room, sizeof room), "text/csv",
                         SKALD_STR("a,b"), NULL);
        expect_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE");
    }
}

static void versions_are_chosen(void **state)
{
    static const struct {
        const char *path, *headers;
        int status;
        const char *says;
    } cases[] = {
        {"/api/subscriptions", NULL, 200, "2.0.0"},
        {"/api/v2/subscriptions", NULL, 200, "2.0.0"},
        {"/api/v1/subscriptions", NULL, 200, "1.0.0"},
        {"/api/subscriptions", "X-API-Version: 1\r\n", 200, "1.0.0"},
        {"/api/subscriptions", "X-API-Version: 2.1.0\r\n", 200, "2.0.0"},
        {"/api/subscriptions", "Accept: application/vnd.skald.v1+json\r\n", 200, "1.0.0"},
        {"/api/v1/subscriptions",
         "X-API-Version: 1.0.0\r\nAccept: application/vnd.skald.v1+json\r\n", 200, "1.0.0"},
        {"/api/v1/subscriptions", "X-API-Version: 2\r\n", 400, "VERSION_CONFLICT"},
        {"/api/v2/subscriptions", "Accept: application/vnd.skald.v1+json\r\n", 400,
         "VERSION_CONFLICT"},
        {"/api/v3/subscriptions", NULL, 400, "UNSUPPORTED_API_VERSION"},
        {"/api/v0/subscriptions", NULL, 400, "UNSUPPORTED_API_VERSION"},
        {"/api/subscriptions", "X-API-Version: 3.0.0\r\n", 400, "UNSUPPORTED_API_VERSION"},
        {"/api/subscriptions", "X-API-Version: two\r\n", 400, "UNSUPPORTED_API_VERSION"},
        {"/api/subscriptions", "X-API-Version: 2.0.0.0\r\n", 400, "UNSUPPORTED_API_VERSION"},
        {"/api/subscriptions", "Accept: application/vnd.skald.v9+json\r\n", 406, "NOT_ACCEPTABLE"},
        {"/api/subscriptions", "Accept: application/vnd.skald.v9+json, */*\r\n", 200, "2.0.0"},
        {"/api/voices", NULL, 404, "NOT_FOUND"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const api_answer *answer = get_with(*state, cases[i].path, cases[i].headers);
        if (answer->status != cases[i].status) print_error("%zu: %s\n", i, answer->body);
        assert_int_equal(answer->status, cases[i].status);
        const char *version = strstr(answer->head, "X-API-Version: ");
        assert_non_null(version);
        assert_null(strstr(version + 1, "X-API-Version: ")); // once
        assert_non_null(strstr(answer->status == 200 ? answer->head : answer->body, cases[i].says));
        bool old = answer->status == 200 && strcmp(cases[i].says, "1.0.0") == 0;
        assert_int_equal(old, strstr(answer->head, "Deprecation: @1767225600") != NULL);
        assert_int_equal(old,
                         strstr(answer->head, "Sunset: Fri, 01 Jan 2027 00:00:00 GMT") != NULL);
        assert_int_equal(old, strstr(answer->head,
                                     "Link: </api/v2/subscriptions>; rel=\"successor-version\"") !=
                                  NULL);
    }
}

// The worked example: a subscription as it was in 1.0.0, alone and in a list.
static void one_resource_has_two_versions(void **state)
{
    const char *was = "{\"name\":\"mailer\",\"kind\":\"pull\",\"running\":true,\"eventTypes\":"
                      "[\"order.*\"],\"tenantId\":null,\"checkpoint\":0,\"lag\":0,\"error\":null}";
    const api_answer *answer;

    assert_int_equal(api_post(*state, "/api/subscriptions",
                              "{\"name\":\"mailer\",\"filter\":{\"types\":[\"order.*\"]}}")
                         ->status,
                     201);
    answer = api_get(*state, "/api/v1/subscriptions/mailer");
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->body, was));
    assert_non_null(strstr(api_get(*state, "/api/v1/subscriptions")->body, was));
    assert_null(strstr(api_get(*state, "/api/subscriptions")->body, "checkpoint"));
    expect_problem(api_get(*state, "/api/v1/subscriptions/nobody"), 404, "NOT_FOUND");
    answer = api_get(*state, "/api/admin/api-usage");
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->body, "\"version\":\"1.0.0\",\"deprecated\":true,\"consumer\":"
                                         "\"anonymous\",\"requests\":3"));
    assert_non_null(
        strstr(api_get(*state, "/metrics")->body, "skald_api_requests_total{version=\"1.0.0\"} 3"));
}

static void usage_is_bounded(void **state)
{
    static ski_usage usage;
    skald_buf buf = {.bytes_max = 4096};
    char name[100];

    (void)state;
    ski_usage_init(&usage);
    for (unsigned i = 0; i < SKI_USAGE_MAX + 10; i++) {
        (void)snprintf(name, sizeof name, "%u-%064u", i, 0);
        ski_usage_count(&usage, 1, skald_str_of(name), 1);
    }
    assert_int_equal(usage.count, SKI_USAGE_MAX);
    assert_int_equal(usage.rows[SKI_USAGE_MAX].requests, 10);
    assert_string_equal(usage.rows[SKI_USAGE_MAX].consumer, "other");
    assert_int_equal(strlen(usage.rows[0].consumer), SKI_USAGE_CONSUMER_BYTES);
    // Whoever is one too many is still counted with the version asked for.
    ski_usage_count(&usage, 2, SKALD_STR("late"), 1);
    assert_int_equal(usage.rows[SKI_USAGE_MAX + 1].version, 2);
    assert_int_equal(ski_usage_put(&usage, &buf), SKALD_OK);
    assert_int_equal(ski_buf_byte(&buf, 0), SKALD_OK);
    assert_non_null(strstr(buf.ptr, "{version=\"1.0.0\"} 266\n"));
    assert_non_null(strstr(buf.ptr, "{version=\"2.0.0\"} 1\n"));
    skald_buf_fini(&buf);
    ski_usage_fini(&usage);
}

static void unchanged_is_304(void **state)
{
    char id[64], path[100], header[100];
    const api_answer *answer = api_post(*state, "/api/events", order);

    assert_int_equal(answer->status, 201);
    (void)snprintf(id, sizeof id, "%.36s", strstr(answer->body, "\"id\":\"") + 6);
    (void)snprintf(path, sizeof path, "/api/events/%s", id);
    answer = api_get(*state, path);
    const char *etag = strstr(answer->head, "ETag: ");
    assert_non_null(etag);
    assert_non_null(strstr(answer->head, "Cache-Control: private, no-cache"));
    (void)snprintf(header, sizeof header, "If-None-Match: \"x\", %.20s\r\n", etag + 6);
    answer = get_with(*state, path, header);
    assert_int_equal(answer->status, 304);
    assert_int_equal(answer->len, 0);
    assert_non_null(strstr(answer->head, "ETag: W/\""));
    assert_int_equal(get_with(*state, path, "If-None-Match: \"x\"\r\n")->status, 200);
    assert_int_equal(get_with(*state, path, "If-None-Match: *\r\n")->status, 304);
    assert_non_null(strstr(api_get(*state, "/api/events")->head, "Cache-Control: no-store"));
}

static const api_answer *append(const api_world *world, const char *headers)
{
    return api_ask(world, "POST", "/api/streams/order-1", "application/json",
                   SKALD_STR("{\"type\":\"order.paid\"}"), headers);
}

static void a_stream_matches_its_version(void **state)
{
    static const char *const bad[] = {
        "If-None-Match: *\r\n", // the first for DELETE alone
        "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
        "If-Match: \"3\"\r\nIf-Match: \"7\"\r\n",
    };
    const api_answer *answer = append(*state, "If-None-Match: *\r\n");

    assert_int_equal(answer->status, 201);
    assert_non_null(strstr(answer->head, "ETag: \"1\""));
    answer = append(*state, "If-None-Match: *\r\n");
    expect_problem(answer, 412, "PRECONDITION_FAILED");
    api_says(answer, "\"expectedVersion\":0,\"actualVersion\":1,");
    api_says(answer, "\"field\":\"If-None-Match\"");
    answer = append(*state, "If-Match: \"7\"\r\n");
    expect_problem(answer, 412, "PRECONDITION_FAILED");
    api_says(answer, "\"expectedVersion\":7,\"actualVersion\":1,");
    api_says(answer, "\"field\":\"If-Match\"");
    expect_problem(append(*state, "If-Match: 1\r\n"), 400, "VALIDATION_ERROR");
    expect_problem(append(*state, "If-Match: \"1\"\r\nIf-None-Match: *\r\n"), 400,
                   "VALIDATION_ERROR");
    expect_problem(append(*state, "If-None-Match: \"1\"\r\n"), 400, "VALIDATION_ERROR");
    assert_int_equal(append(*state, "If-Match: \"1\"\r\n")->status, 201);
    assert_int_equal(append(*state, "If-Match: *\r\n")->status, 201);
    assert_non_null(strstr(api_get(*state, "/api/streams/order-1")->head, "ETag: \"3\""));
    answer = api_ask(*state, "DELETE", "/api/streams/order-1", NULL, (skald_str){0},
                     "If-Match: \"1\"\r\n");
    expect_problem(answer, 412, "PRECONDITION_FAILED");
    api_says(answer, "\"expectedVersion\":1,\"actualVersion\":3,");
    answer = api_ask(*state, "DELETE", "/api/streams/no-1", NULL, (skald_str){0},
                     "If-Match: *\r\n"); // what is expected is no number
    expect_problem(answer, 412, "PRECONDITION_FAILED");
    api_says(answer, "\"actualVersion\":0,");
    assert_null(strstr(answer->body, "expectedVersion"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        answer = api_ask(*state, "DELETE", "/api/streams/order-1", NULL, (skald_str){0}, bad[i]);
        expect_problem(answer, 400, "VALIDATION_ERROR");
        if (i) expect_problem(append(*state, bad[i]), 400, "VALIDATION_ERROR");
    }
    answer = api_ask(*state, "DELETE", "/api/streams/order-1", NULL, (skald_str){0},
                     "If-Match: \"3\"\r\n");
    assert_int_equal(answer->status, 200);
}

// What no guard has seen says what every other reply says.
static void what_cannot_be_read_has_the_standing_headers(void **state)
{
    static const char *const requests[] = {
        "nonsense\r\n\r\n",
        "GET /health HTTP/3.0\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        char reply[4096] = "";
        int fd = api_connect(*state);
        api_send(fd, skald_str_of(requests[i]));
        assert_true(api_read_until(fd, reply, sizeof reply, "\r\n\r\n"));
        assert_true(strncmp(reply, "HTTP/1.1 400", 12) == 0 ||
                    strncmp(reply, "HTTP/1.1 505", 12) == 0);
        assert_non_null(strstr(reply, "\r\nX-API-Version: 2.0.0\r\n"));
        assert_non_null(strstr(reply, "\r\nCache-Control: no-store\r\n"));
        (void)close(fd);
    }
}

// Who states a condition counts on it: where none is looked at, nothing is done.
static void a_condition_is_never_passed_over(void **state)
{
    static const struct {
        const char *method, *path, *body;
    } writes[] = {
        {"POST", "/api/events", "{\"type\":\"order.paid\",\"stream\":\"order-1\"}"},
        {"PUT", "/api/streams/order-1/metadata", "{\"maxCount\":1}"},
        {"PUT", "/api/streams/order-1/snapshot", "{\"streamVersion\":1,\"data\":1}"},
        {"PUT", "/api/types/order.paid", "{\"aliases\":[\"PAID\"]}"},
        {"DELETE", "/api/subscriptions/mailer", NULL},
    };

    assert_int_equal(api_post(*state, "/api/events", order)->status, 201);
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        const char *body = writes[i].body;
        const api_answer *answer =
            api_ask(*state, writes[i].method, writes[i].path, body ? "application/json" : NULL,
                    skald_str_of(body ? body : ""), "if-match: \"7\"\r\n");
        expect_problem(answer, 400, "VALIDATION_ERROR");
        assert_non_null(strstr(answer->body, "\"field\":\"If-Match\""));
    }
    assert_non_null(strstr(api_get(*state, "/api/streams/order-1")->head, "ETag: \"1\""));
    expect_problem(api_ask(*state, "PUT", "/api/types/order.paid", "application/json",
                           SKALD_STR("{\"aliases\":[\"PAID\"]}"), "If-None-Match: *\r\n"),
                   400, "VALIDATION_ERROR");
}

// What no route answers is not kept by anybody on the way, and names no successor.
static void what_is_not_there_is_not_cached(void **state)
{
    const api_answer *answer = api_get(*state, "/api/v1/voices");

    expect_problem(answer, 404, "NOT_FOUND");
    assert_non_null(strstr(answer->head, "Cache-Control: no-store"));
    assert_null(strstr(answer->head, "Link:"));
    answer = api_ask(*state, "DELETE", "/api/events", NULL, (skald_str){0}, NULL);
    expect_problem(answer, 405, "METHOD_NOT_ALLOWED");
    assert_non_null(strstr(answer->head, "Cache-Control: no-store"));
}

static void a_read_waits_for_its_position(void **state)
{
    assert_int_equal(api_post(*state, "/api/events", order)->status, 201);
    assert_int_equal(get_with(*state, "/api/events", "X-Min-Position: 1\r\n")->status, 200);
    expect_problem(get_with(*state, "/api/events", "X-Min-Position: one\r\n"), 400,
                   "VALIDATION_ERROR");
    expect_problem(get_with(*state, "/api/events", "X-Min-Position: 9\r\n"), 503, "UNAVAILABLE");

    int fd = api_connect(*state); // it comes while it is waited for
    char buf[8192] = "";
    api_send(fd,
             SKALD_STR("GET /api/events HTTP/1.1\r\nHost: localhost\r\nX-Min-Position: 2\r\n\r\n"));
    assert_int_equal(api_post(*state, "/api/events", order)->status, 201);
    assert_true(api_read_until(fd, buf, sizeof buf, "\"position\":2"));
    assert_non_null(strstr(buf, "200 OK"));
    close(fd);
}

static void what_is_promised_says_501(void **state)
{
    expect_problem(api_get(*state, "/api/webhooks"), 501, "NOT_IMPLEMENTED");
    expect_problem(api_get(*state, "/api/realtime"), 501, "NOT_IMPLEMENTED");
    expect_problem(api_get(*state, "/api/webhooks/1/deliveries?status=failed"), 501,
                   "NOT_IMPLEMENTED");
    expect_problem(api_get(*state, "/socket.io/?EIO=4&transport=polling"), 501, "NOT_IMPLEMENTED");
    expect_problem(api_post(*state, "/socket.io/?EIO=4&transport=polling&sid=x", "{}"), 501,
                   "NOT_IMPLEMENTED");
    expect_problem(get_with(*state, "/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n"), 501,
                   "NOT_IMPLEMENTED");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test_setup_teardown(every_path_knows_its_methods, setup, teardown),
        cmocka_unit_test_setup_teardown(head_is_get_without_a_body, setup, teardown),
        cmocka_unit_test_setup_teardown(every_unknown_parameter_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_given_twice_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_filter_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(every_parameter_has_its_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(forms_are_negotiated, setup, teardown),
        cmocka_unit_test_setup_teardown(versions_are_chosen, setup, teardown),
        cmocka_unit_test_setup_teardown(one_resource_has_two_versions, setup, teardown),
        cmocka_unit_test(usage_is_bounded),
        cmocka_unit_test_setup_teardown(unchanged_is_304, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_matches_its_version, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_has_the_standing_headers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_condition_is_never_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_not_cached, setup, teardown),
        cmocka_unit_test_setup_teardown(a_read_waits_for_its_position, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_promised_says_501, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
