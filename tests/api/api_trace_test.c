// SPDX-License-Identifier: Apache-2.0
// What belongs together over HTTP: the tree of a correlation id, and who received what; events for
// later, until when, and those that are not kept.
#include "api/http_client.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
// cmocka wants those above first
#include <cmocka.h>

#define ID_1 "00000000-0000-4000-8000-000000000001"
#define ID_2 "00000000-0000-4000-8000-000000000002"
#define ID_3 "00000000-0000-4000-8000-000000000003"
#define ID_4 "00000000-0000-4000-8000-000000000004"

// publish gives event n a cause, unless that is 0.
static void publish(const api_world *world, int n, const char *type, const char *correlation,
                    int cause)
{
    char body[400], causation[80] = "";

    if (cause)
        (void)snprintf(causation, sizeof causation,
                       ",\"causationId\":\"00000000-0000-4000-8000-%012d\"", cause);
    (void)snprintf(body, sizeof body,
                   "{\"id\":\"00000000-0000-4000-8000-%012d\",\"type\":\"%s\","
                   "\"correlationId\":\"%s\"%s}",
                   n, type, correlation, causation);
    api_posts(world, "/api/events", body, 201);
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, what)); at++) count++;
    return count;
}

static skald_outcome take_it(const skald_delivery *delivery)
{
    return skald_str_equal(delivery->event->type, SKALD_STR("c.made"))
               ? skald_reject(delivery, "not today")
               : SKALD_ACK;
}

static void a_trace_is_a_tree(void **state)
{
    api_world *world = *state;
    skald_subscription_options options = {.name = "own",
                                          .handler.fn = take_it,
                                          .on_exhausted = SKALD_DEAD_LETTER,
                                          .filter.types = {&SKALD_STR("*"), 1}};
    skald_subscription subscription;
    const api_answer *answer;
    const char *at;

    assert_int_equal(skald_subscribe(world->bus, &options, &subscription, NULL), SKALD_OK);
    api_posts(world, "/api/subscriptions",
              "{\"name\":\"b-only\",\"filter\":{\"types\":[\"b.made\"]}}", 201);
    publish(world, 1, "a.made", "chain", 0);
    publish(world, 2, "b.made", "chain", 1);
    publish(world, 3, "c.made", "chain", 2);
    publish(world, 4, "d.made", "chain", 1);
    publish(world, 5, "e.made", "other", 0);
    assert_non_null(api_wait(world, "/api/subscriptions/own", "\"dead\":1,"));
    assert_non_null(api_wait(world, "/api/subscriptions/own", "\"acked\":4,"));
    answer = api_get(world, "/api/events/trace/chain");
    assert_int_equal(answer->status, 200);
    at = strstr(answer->body, "\"type\":\"a.made\"");
    assert_non_null(at);
    at = strstr(at, "\"delayMs\":0.000,\"deliveries\":[");
    assert_non_null(at);
    at = strstr(at, "\"children\":[{\"event\":{\"id\":\"" ID_2);
    assert_non_null(at);
    at = strstr(at, "\"children\":[{\"event\":{\"id\":\"" ID_3);
    assert_non_null(at);
    at = strstr(at, "\"outcome\":\"dead\",\"at\":\"");
    assert_non_null(at);
    at = strstr(at, "\"reason\":\"not today\"");
    assert_non_null(at);
    at = strstr(at, "\"children\":[]}]},{\"event\":{\"id\":\"" ID_4);
    assert_non_null(at);
    assert_string_equal(at + strlen(at) - strlen("\"children\":[]}]}],\"truncated\":false}"),
                        "\"children\":[]}]}],\"truncated\":false}");
    assert_null(strstr(answer->body, "e.made"));
    assert_int_equal(count_of(answer->body, "\"subscription\":\"b-only\",\"outcome\":\"filtered\""),
                     3);
    assert_int_equal(count_of(answer->body, "\"subscription\":\"b-only\",\"outcome\":\"behind\"") +
                         count_of(answer->body, "\"subscription\":\"b-only\",\"outcome\":"
                                                "\"retrying\""),
                     1);
    api_says(answer, "\"subscription\":\"own\",\"outcome\":\"acked\",\"at\":\"");
    api_says(api_get(world, "/api/events/trace/chain?limit=2"), "\"truncated\":true}");
    assert_int_equal(api_get(world, "/api/events/trace/nothing")->status, 404);
    assert_int_equal(api_get(world, "/api/events/trace/chain?depth=1")->status, 400);
}

// A chain longer than any parser nests is flat below some depth, and whole.
static void a_long_chain_is_whole_and_not_too_deep(void **state)
{
    enum { links = 200, deep = 40 };
    api_world *world = *state;
    skald_buf body = {.bytes_max = 1024 * 1024};
    const api_answer *answer;
    size_t depth = 0, deepest = 0;

    assert_int_equal(ski_buf_byte(&body, '['), SKALD_OK);
    for (int i = 1; i <= links; i++) {
        assert_int_equal(
            ski_buf_print(&body,
                          "%s{\"id\":\"00000000-0000-4000-8000-%012d\",\"type\":\"a.made\","
                          "\"correlationId\":\"long\",\"causationId\":"
                          "\"00000000-0000-4000-8000-%012d\"}",
                          i > 1 ? "," : "", i, i - 1),
            SKALD_OK);
    }
    assert_int_equal(skald_buf_put(&body, SKALD_STR("]")), SKALD_OK);
    assert_int_equal(
        api_ask(world, "POST", "/api/events", "application/json", ski_buf_str(&body), NULL)->status,
        201);
    skald_buf_fini(&body);
    answer = api_get(world, "/api/events/trace/long?limit=1000");
    assert_int_equal(answer->status, 200);
    assert_int_equal(count_of(answer->body, "{\"event\":"), links);
    for (const char *at = answer->body; *at; at++) {
        if (*at == '[') depth++;
        if (*at == ']') depth--;
        if (depth > deepest) deepest = depth;
    }
    assert_true(deepest < deep);
    assert_int_equal(depth, 0);
}

static void a_long_correlation_id_is_refused(void **state)
{
    char header[600] = "X-Correlation-ID: ";
    const api_answer *answer;

    memset(header + strlen(header), 'x', SKALD_CORRELATION_BYTES_MAX);
    memcpy(header + strlen(header), "\r\n", 3);
    answer = api_ask(*state, "POST", "/api/events", "application/json",
                     SKALD_STR("{\"type\":\"a.made\"}"), header);
    assert_int_equal(answer->status, 201);
    memcpy(header + strlen(header) - 2, "x\r\n", 4);
    answer = api_ask(*state, "POST", "/api/events", "application/json",
                     SKALD_STR("{\"type\":\"a.made\"}"), header);
    assert_int_equal(answer->status, 400);
    api_says(answer, "X-Correlation-ID");
    api_says(answer, "at most 128 bytes");
    answer =
        api_ask(*state, "GET", "/api/events", NULL, (skald_str){0}, "X-Correlation-ID: a\xff\r\n");
    assert_int_equal(answer->status, 400);
}

static void an_event_for_later_waits_and_is_cancelled(void **state)
{
    api_world *world = *state;
    const api_answer *answer;

    api_says(api_get(world, "/api/events/scheduled"), "{\"data\":[],");
    answer = api_posts(world, "/api/events",
                       "[{\"id\":\"" ID_1 "\",\"type\":\"a.made\",\"stream\":\"a-1\",\"deliverAt\":"
                       "\"2100-01-01T00:00:00Z\"},{\"id\":\"" ID_2 "\",\"type\":\"b.made\","
                       "\"deliverAt\":\"2100-01-01T01:00:00+01:00\"}]",
                       201);
    api_says(answer, "{\"id\":\"" ID_1 "\",\"position\":null,\"stream\":\"a-1\",\"streamVersion\":"
                     "null,");
    api_world_reopen(world);
    answer = api_wait(world, "/api/events/scheduled", ID_2);
    assert_non_null(answer);
    api_says(answer,
             "{\"id\":\"" ID_1 "\",\"type\":\"a.made\",\"stream\":\"a-1\",\"tenantId\":null,"
             "\"deliverAt\":\"2100-01-01T00:00:00.000000Z\"}");
    answer = api_get(world, "/api/events/scheduled?limit=1");
    assert_null(strstr(answer->body, ID_2));
    assert_true(api_number(answer->body, "nextCursor") > 0);
    assert_int_equal(api_get(world, "/api/events/" ID_1)->status, 404);
    answer = api_ask(world, "DELETE", "/api/events/scheduled/" ID_1, NULL, (skald_str){0}, NULL);
    assert_int_equal(answer->status, 200);
    api_says(answer, "\"cancelled\":true");
    answer = api_ask(world, "DELETE", "/api/events/scheduled/" ID_1, NULL, (skald_str){0}, NULL);
    assert_int_equal(answer->status, 404);
    answer = api_ask(world, "DELETE", "/api/events/scheduled/17", NULL, (skald_str){0}, NULL);
    assert_int_equal(answer->status, 404);
    answer = api_get(world, "/api/events/scheduled");
    assert_null(strstr(answer->body, ID_1));
    api_says(answer, ID_2);
    // Until then only who names the type sees it: a page reads on behind what is hidden.
    answer = api_get(world, "/api/events?limit=1");
    assert_null(strstr(answer->body, "system.scheduled"));
    api_says(answer, "\"type\":\"audit.subscription.unscheduled\"");
    api_says(answer, "\"nextCursor\":3}");
    answer = api_get(world, "/api/events?limit=10&direction=backward");
    assert_null(strstr(answer->body, "system.scheduled"));
    api_says(answer, "\"nextCursor\":null");
    api_says(api_get(world, "/api/events?type=system.scheduled"), ID_2);
}

static void an_event_whose_time_has_come_is_published(void **state)
{
    api_posts(*state, "/api/events",
              "{\"id\":\"" ID_1 "\",\"type\":\"a.made\",\"deliverAt\":\"2000-01-01T00:00:00Z\"}",
              201);
    assert_non_null(api_wait(*state, "/api/events?type=a.made", ID_1));
    api_says(api_get(*state, "/api/events/scheduled"), "{\"data\":[],");
}

static void an_event_that_is_too_late_is_not_delivered(void **state)
{
    const api_answer *answer;

    api_posts(*state, "/api/subscriptions",
              "{\"name\":\"g\",\"filter\":{\"types\":[\"a.made\",\"b.made\"]}}", 201);
    api_posts(*state, "/api/events",
              "{\"type\":\"a.made\",\"metadata\":{\"x\":1},\"expiresAt\":\"2001-01-01T00:00:00Z\"}",
              201);
    api_posts(*state, "/api/events", "{\"type\":\"b.made\",\"expiresAt\":\"2100-01-01T00:00:00Z\"}",
              201);
    answer = api_get(*state, "/api/subscriptions/g/deliveries?waitMs=5000");
    api_says(answer, "b.made");
    api_says(answer, "\"metadata\":{\"expiresAt\":\"2100-01-01T00:00:00.000000Z\"}");
    assert_null(strstr(answer->body, "a.made"));
    assert_int_equal(api_number(api_get(*state, "/api/subscriptions/g")->body, "expired"), 1);
    api_says(api_get(*state, "/api/events?type=a.made"), "\"x\":1"); // it is kept
}

static void what_is_not_kept_reaches_who_is_there(void **state)
{
    api_world *world = *state;
    char text[65536] = "";
    int fd = api_connect(world);

    api_send(fd, SKALD_STR("GET /api/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert_true(api_read_until(fd, text, sizeof text, "id: 0\n"));
    assert_non_null(api_wait(world, "/api/subscriptions", "\"kind\":\"sse\""));
    api_says(api_posts(world, "/api/events",
                       "{\"type\":\"user.typing\",\"persistent\":false,\"data\":7}", 201),
             "\"position\":null,");
    assert_true(api_read_until(fd, text, sizeof text, "\"persistent\":false,\"data\":7}"));
    close(fd);
    assert_null(strstr(text, "\ndata: {\"id\":\"x")); // and has no id:
    assert_int_equal(count_of(text, "id: "), 1);
    api_says(api_get(world, "/api/events?type=user.typing"), "{\"data\":[],");
    api_says(api_get(world, "/api/events/stats"), "\"totalEvents\":0,");
}

static void refuses_what_does_not_go_together(void **state)
{
    static const char *const bad[] = {
        "{\"type\":\"a.made\",\"persistent\":false,\"deliverAt\":\"2100-01-01T00:00:00Z\"}",
        "{\"type\":\"a.made\",\"stream\":\"a\",\"expectedVersion\":0,\"persistent\":false}",
        "{\"type\":\"a.made\",\"stream\":\"a\",\"expectedVersion\":0,"
        "\"deliverAt\":\"2100-01-01T00:00:00Z\"}",
        "[{\"type\":\"a.made\"},{\"type\":\"a.made\",\"deliverAt\":\"2100-01-01T00:00:00Z\"}]",
        "[{\"type\":\"a.made\",\"expiresAt\":\"2100-01-01T00:00:00Z\"},{\"type\":\"a.made\"}]",
        "[{\"type\":\"a.made\",\"persistent\":false},{\"type\":\"a.made\"}]",
        "{\"type\":\"a.made\",\"deliverAt\":\"2100-01-01T00:00:00Z\","
        "\"expiresAt\":\"2099-01-01T00:00:00Z\"}",
    };
    const api_answer *answer;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        api_posts(*state, "/api/events", bad[i], 400);
    answer =
        api_ask(*state, "POST", "/api/events", "application/x-ndjson",
                SKALD_STR("{\"type\":\"a.made\",\"deliverAt\":\"2100-01-01T00:00:00Z\"}\n"
                          "{\"type\":\"a.made\"}\n{\"type\":\"b.made\",\"persistent\":false}\n"),
                NULL);
    api_says(answer, "\"accepted\":2,\"rejected\":1,");
    api_says(answer, "\"field\":\"deliverAt\"");
    api_says(api_get(*state, "/api/events/stats"), "\"totalEvents\":1,");
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, api_setup, api_teardown)
    const struct CMUnitTest tests[] = {
        ROW(a_trace_is_a_tree),
        ROW(a_long_chain_is_whole_and_not_too_deep),
        ROW(a_long_correlation_id_is_refused),
        ROW(an_event_for_later_waits_and_is_cancelled),
        ROW(an_event_whose_time_has_come_is_published),
        ROW(an_event_that_is_too_late_is_not_delivered),
        ROW(what_is_not_kept_reaches_who_is_there),
        ROW(refuses_what_does_not_go_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
