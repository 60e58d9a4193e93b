// SPDX-License-Identifier: Apache-2.0
// CloudEvents in binary mode, in; structured and as a batch, out. The vectors of the encoding are
// ours, after the HTTP protocol binding 1.0, 3.1.3.2.
#include "api/api_cloudevents.h"
#include "api/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
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

static const api_answer *post_binary(const api_world *world, const char *type, const char *body,
                                     const char *more)
{
    char headers[1000];

    (void)snprintf(headers, sizeof headers,
                   "ce-specversion: 1.0\r\nce-source: /scale\r\nce-type: scale.weighed\r\n%s",
                   more);
    return api_ask(world, "POST", "/api/events", type, skald_str_of(body), headers);
}

static void has(const api_answer *answer, const char *text)
{
    if (!strstr(answer->body, text)) print_error("'%s' is not in: %s\n", text, answer->body);
    assert_non_null(strstr(answer->body, text));
}

static void values_are_decoded_once(void **state)
{
    static const struct {
        const char *value, *text; // text NULL: refused
    } cases[] = {
        {"plain", "plain"},
        {"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"100%25", "100%"},
        {"%2525", "%25"},
        {"a%22b", "a\"b"},
        {"\"quoted\"", "quoted"},
        {"\"a \\\"b\\\" c\"", "a \"b\" c"},
        {"\"50%25 \\\\\"", "50% \\"},
        {"%e2%82%ac", "\xe2\x82\xac"},
        {"a+b", "a+b"},
        {"\"", "\""},
        {"100%", NULL},
        {"%2", NULL},
        {"%zz", NULL},
        {"%00", NULL},
        {"%E2%82", NULL},
        {"%FF", NULL},
    };
    skald_arena *arena = NULL;

    (void)state;
    assert_int_equal(skald_arena_new(1 << 16, &arena), SKALD_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        skald_str text = {0};
        skald_err err = ski_cloudevent_value(skald_str_of(cases[i].value), arena, &text);
        assert_int_equal(err, cases[i].text ? SKALD_OK : SKALD_EINVALID);
        if (!cases[i].text) continue;
        assert_int_equal(text.len, strlen(cases[i].text));
        assert_memory_equal(text.ptr, cases[i].text, text.len);
    }
    skald_arena_free(arena);
}

static void takes_binary_mode(void **state)
{
    const api_answer *answer =
        post_binary(*state, "application/json", "{\"kg\":12}",
                    "ce-id: A-17\r\nCE-Subject: scale-%C3%A9\r\nce-time: 2026-01-02T03:04:05Z\r\n"
                    "ce-dataversion: 3\r\nce-priority: high\r\nce-place: \"hall \\\"B\\\"\"\r\n");

    assert_int_equal(answer->status, 201);
    answer = api_get(*state, "/api/events?type=scale.weighed");
    has(answer, "\"stream\":\"scale-\xc3\xa9\"");
    has(answer, "\"version\":3");
    has(answer, "\"priority\":\"high\"");
    has(answer, "\"occurredAt\":\"2026-01-02T03:04:05.000000Z\"");
    has(answer, "\"data\":{\"kg\":12},\"metadata\":{\"ceId\":\"A-17\",\"ceAttributes\":{\"place\":"
                "\"hall \\\"B\\\"\"}}");
    // The same id again is the same event.
    answer = post_binary(*state, "application/json", "{\"kg\":12}",
                         "ce-id: A-17\r\nce-subject: scale-%C3%A9\r\nce-dataversion: 3\r\n"
                         "ce-place: hall \"B\"\r\n");
    assert_int_equal(answer->status, 200);
    // A type of its own for the data, and none at all.
    assert_int_equal(post_binary(*state, "application/vnd.scale+json", "1", "ce-id: 2\r\n")->status,
                     201);
    assert_int_equal(post_binary(*state, NULL, "", "ce-id: 3\r\n")->status, 201);
}

// Data that is not JSON: a text by its characters, anything else in base64.
static void takes_data_that_is_not_json(void **state)
{
    const char *accept = "Accept: application/cloudevents-batch+json\r\n";
    const api_answer *answer;

    answer = post_binary(*state, "text/plain", "12 \"kg\"", "ce-id: t\r\n");
    assert_int_equal(answer->status, 201);
    answer = post_binary(*state, "application/octet-stream", "\xff\xfe!", "ce-id: b\r\n");
    assert_int_equal(answer->status, 201);
    answer = post_binary(*state, "application/octet-stream", "ab", "ce-id: c\r\n");
    assert_int_equal(answer->status, 201);
    answer = post_binary(*state, "text/plain; charset=latin1", "\xe9", "ce-id: d\r\n");
    assert_int_equal(answer->status, 201);
    answer = api_get(*state, "/api/events?type=scale.weighed");
    has(answer, "\"data\":\"12 \\\"kg\\\"\"");
    has(answer, "\"data\":\"//4h\"");
    has(answer, "\"data\":\"YWI=\"");
    has(answer, "\"data\":\"6Q==\"");
    answer = api_ask(*state, "GET", "/api/events?type=scale.weighed", NULL, (skald_str){0}, accept);
    has(answer, "\"datacontenttype\":\"text/plain\",\"data\":\"12 \\\"kg\\\"\"}");
    has(answer, "\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"//4h\"}");
}

// How much data there may be is the limit of an event's to say: base64 is a third more.
static void takes_large_data(void **state)
{
    enum { large = 700 * 1000, too_large = 1024 * 1024 + 1 };
    static char body[too_large];
    const char *headers = "ce-specversion: 1.0\r\nce-source: /scale\r\nce-type: scale.weighed\r\n"
                          "ce-id: %c\r\n";
    const size_t lens[] = {6000, large, too_large};

    memset(body, 0xff, sizeof body);
    for (size_t i = 0; i < 3; i++) {
        char text[200];
        (void)snprintf(text, sizeof text, headers, (char)('a' + i));
        const api_answer *answer =
            api_ask(*state, "POST", "/api/events", "application/octet-stream",
                    (skald_str){body, lens[i]}, text);
        assert_int_equal(answer->status, lens[i] == too_large ? 413 : 201);
    }
}

static void refuses_what_is_wrong(void **state)
{
    const api_answer *answer;

    assert_int_equal(post_binary(*state, "application/json", "{\"kg\":", "ce-id: 1\r\n")->status,
                     400);
    answer = post_binary(*state, "application/json", "{}", "ce-id: 100%\r\n");
    assert_int_equal(answer->status, 400);
    has(answer, "ce-id has a bad percent escape");
    assert_int_equal(post_binary(*state, "application/json", "{}", "")->status, 400); // no id
    assert_int_equal(post_binary(*state, "application/json", "{}",
                                 "ce-id: 1\r\nce-type: twice.over\r\n")
                         ->status,
                     400);
    assert_int_equal(
        post_binary(*state, "application/json", "{}", "ce-id: 1\r\nce-odd_name: x\r\n")->status,
        400);
    assert_int_equal(
        post_binary(*state, "application/json", "{}", "ce-id: 1\r\nce-: x\r\n")->status, 400);
    // What curl says where nobody gave a type.
    answer = post_binary(*state, "application/x-www-form-urlencoded", "{}", "ce-id: 1\r\n");
    assert_int_equal(answer->status, 415);
    has(answer, "ce- headers beside the data's own type");
    answer = post_binary(*state, NULL, "", "ce-id: 1\r\nce-data_base64: eA==\r\n");
    assert_int_equal(answer->status, 400);
    has(answer, "header ce-data_base64 is no attribute");
    assert_int_equal(post_binary(*state, NULL, "", "ce-id: 1\r\nce-data: x\r\n")->status, 400);
    // What closes the data early would be a member of the event.
    assert_int_equal(
        post_binary(*state, "application/json", "1,\"role\":\"admin\"", "ce-id: 1\r\n")->status,
        400);
}

static void gives_what_accept_asks_for(void **state)
{
    char path[100];
    const api_answer *answer =
        post_binary(*state, "application/json", "{\"kg\":12}", "ce-id: A-17\r\nce-place: x\r\n");

    (void)snprintf(path, sizeof path, "/api/events/%.36s", strstr(answer->body, "\"id\":\"") + 6);
    answer = api_ask(*state, "GET", path, NULL, (skald_str){0},
                     "Accept: application/cloudevents+json\r\n");
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->head, "Content-Type: application/cloudevents+json"));
    has(answer, "{\"specversion\":\"1.0\",\"id\":\"A-17\",\"source\":\"/scale\"");
    has(answer, "\"place\":\"x\"");
    assert_int_equal(post_binary(*state, NULL, "", "ce-id: 2\r\n")->status, 201);
    answer = api_ask(*state, "GET", "/api/events?type=scale.*&limit=1&after=0", NULL,
                     (skald_str){0}, "Accept: application/cloudevents-batch+json\r\n");
    assert_int_equal(answer->body[0], '[');
    has(answer, "\"id\":\"A-17\"");
    assert_non_null(
        strstr(answer->head, "Link: </api/events?type=scale.*&limit=1&after=1>; rel=\"next\""));
    answer = api_ask(*state, "GET", "/api/events?type=scale.*&after=2", NULL, (skald_str){0},
                     "Accept: application/cloudevents-batch+json\r\n");
    assert_string_equal(answer->body, "[]");
    assert_null(strstr(answer->head, "rel=\"next\""));
    assert_int_equal(api_ask(*state, "GET", "/api/events", NULL, (skald_str){0},
                             "Accept: application/cloudevents+json\r\n")
                         ->status,
                     406);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_decoded_once),
        cmocka_unit_test_setup_teardown(takes_binary_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_data_that_is_not_json, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_large_data, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(gives_what_accept_asks_for, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
