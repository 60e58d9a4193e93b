// SPDX-License-Identifier: Apache-2.0
// /api/schemas: registering, asking what a change would break and whom, and what publishing then
// refuses; kept over a restart.
#include "api/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka wants those above first
#include <cmocka.h>

#define V1                                                                               \
    "{\"schema\":{\"type\":\"object\",\"properties\":{\"total\":{\"type\":\"number\"}}," \
    "\"required\":[\"total\"],\"additionalProperties\":false}}"
#define FULL1 /* the same schema, with another promise */                                     \
    "{\"compatibility\":\"full\",\"schema\":{\"type\":\"object\",\"properties\":{\"total\":{" \
    "\"type\":\"number\"}},\"required\":[\"total\"],\"additionalProperties\":false}}"
#define V2                                                                                        \
    "{\"schema\":{\"type\":\"object\",\"properties\":{\"total\":{\"type\":\"number\"},\"note\":{" \
    "\"type\":\"string\"}},\"required\":[\"total\"],\"additionalProperties\":false}}"
#define NARROW                                                                            \
    "{\"schema\":{\"type\":\"object\",\"properties\":{\"total\":{\"type\":\"integer\"}}," \
    "\"required\":[\"total\"],\"additionalProperties\":false}}"

static api_world world;

static const api_answer *put(const char *path, const char *body)
{
    return api_ask(&world, "PUT", path, "application/json", skald_str_of(body), NULL);
}

static void answers(const api_answer *answer, int status, const char *with)
{
    if (answer->status != status || !strstr(answer->body, with))
        fail_msg("%d %s, not %d with %s", answer->status, answer->body, status, with);
}

static void registering(void **state)
{
    (void)state;
    api_world_open(&world);
    answers(api_get(&world, "/api/schemas"), 200, "{\"data\":[]");
    answers(api_get(&world, "/api/schemas/order.paid/1"), 404, "NOT_FOUND");
    answers(put("/api/schemas/order.paid/1", V1), 201,
            "\"compatibility\":\"backward\",\"schema\":{");
    answers(put("/api/schemas/order.paid/1", V1), 200, "\"version\":1");
    answers(put("/api/schemas/order.paid/1", FULL1), 409, "registered as \\\"backward\\\"");
    answers(put("/api/schemas/order.paid/1", V2), 409, "DUPLICATE");
    answers(put("/api/schemas/order.paid/2", NARROW), 409, "not whole");
    answers(put("/api/schemas/order.paid/2", V2), 201, "\"version\":2");
    answers(put("/api/schemas/order.paid/3",
                "{\"schema\":{\"type\":\"null\"},\"compatibility\":\"none\"}"),
            201, "\"compatibility\":\"none\"");
    answers(api_get(&world, "/api/schemas/order.paid/latest"), 200, "\"version\":3");
    answers(api_get(&world, "/api/schemas/order.paid/2"), 200, "\"note\"");
    answers(api_get(&world, "/api/schemas"), 200,
            "{\"type\":\"order.paid\",\"version\":2,\"compatibility\":\"backward\"}");
    api_world_reopen(&world);
    answers(api_get(&world, "/api/schemas/order.paid/2"), 200, "\"note\"");
    answers(put("/api/schemas/order.paid/4", NARROW), 409, "refuses null");
    api_world_close(&world);
}

static void bad_requests(void **state)
{
    (void)state;
    api_world_open(&world);
    answers(put("/api/schemas/order.paid/0", V1), 400, "\"version\"");
    answers(put("/api/schemas/order.paid/latest", V1), 400, "whole number from 1");
    answers(put("/api/schemas/order.paid/1", "{}"), 400, "is missing");
    answers(put("/api/schemas/order.paid/1", "[]"), 400, "must be an object");
    answers(put("/api/schemas/order.paid/1", "{\"schema\":{},\"more\":1}"), 400, "'more'");
    answers(put("/api/schemas/order.paid/1", "{\"schema\":{\"type\":\"text\"}}"), 400,
            "is not a type of JSON");
    answers(put("/api/schemas/order.paid/1", "{\"schema\":{},\"compatibility\":\"most\"}"), 400,
            "transitive");
    answers(put("/api/schemas/order.paid/1", "{\"schema\":{},\"compatibility\":7}"), 400,
            "transitive");
    answers(put("/api/schemas/no%20type/1", V1), 400, "type");
    answers(api_get(&world, "/api/schemas?limit=1"), 400, "limit");
    api_world_close(&world);
}

static void what_it_would_break_and_whom(void **state)
{
    (void)state;
    api_world_open(&world);
    answers(api_post(&world, "/api/schemas/order.paid/check", V1), 200,
            "\"compatible\":true,\"changes\":[],\"forConsumers\":[],\"consumers\":[]");
    answers(put("/api/schemas/order.paid/1", V1), 201, "");
    answers(api_post(&world, "/api/subscriptions",
                     "{\"name\":\"billing\",\"filter\":{\"types\":[\"order.*\"]}}"),
            201, "billing");
    answers(api_post(&world, "/api/subscriptions",
                     "{\"name\":\"stock\",\"filter\":{\"types\":[\"stock.moved\"]}}"),
            201, "stock");
    answers(api_post(&world, "/api/schemas/order.paid/check", V2), 200,
            "\"compatible\":true,\"changes\":[],\"forConsumers\":[{\"direction\":\"forward\","
            "\"version\":1,\"certain\":true,\"path\":\"\",\"keyword\":\"additionalProperties\"");
    answers(api_post(&world, "/api/schemas/order.paid/check", V2), 200,
            "\"consumers\":[{\"name\":\"billing\",\"kind\":");
    assert_null(strstr(api_post(&world, "/api/schemas/order.paid/check", V2)->body, "stock"));
    answers(api_post(&world, "/api/schemas/order.paid/check", NARROW), 200,
            "\"compatible\":false,\"changes\":[{\"direction\":\"backward\",\"version\":1");
    answers(api_post(&world, "/api/schemas/order.paid/check", NARROW), 200, "\"consumers\":[]");
    api_world_close(&world);
}

static void publishing_is_checked(void **state)
{
    (void)state;
    api_world_open(&world);
    answers(put("/api/schemas/order.paid/1", V1), 201, "");
    answers(api_post(&world, "/api/events", "{\"type\":\"order.paid\",\"data\":{\"total\":1}}"),
            201, "position");
    answers(api_post(&world, "/api/events", "{\"type\":\"order.paid\",\"data\":{\"total\":\"1\"}}"),
            422, "SCHEMA_VIOLATION");
    answers(api_post(&world, "/api/events", "{\"type\":\"order.paid\",\"data\":{\"total\":\"1\"}}"),
            422, "is a string; must be number");
    answers(api_post(&world, "/api/events", "{\"type\":\"order.paid\",\"data\":{\"total\":\"1\"}}"),
            422,
            "\"detail\":\"data/total is a string; must be number (schema 1 of 'order.paid')\"");
    answers(api_post(&world, "/api/events",
                     "[{\"type\":\"a\"},{\"type\":\"order.paid\",\"data\":{\"total\":\"1\"}}]"),
            422, "\"errors\":[{\"field\":\"[1].data.total\",\"code\":\"SCHEMA_VIOLATION\"");
    answers(api_post(&world, "/api/events", "{\"type\":\"order.paid\",\"data\":{}}"), 422,
            "\"errors\":[{\"field\":\"data\",");
    answers(api_post(&world, "/api/events", "{\"type\":\"order.sent\",\"data\":{}}"), 201,
            "position");
    api_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registering),
        cmocka_unit_test(bad_requests),
        cmocka_unit_test(what_it_would_break_and_whom),
        cmocka_unit_test(publishing_is_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
