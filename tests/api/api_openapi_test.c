// SPDX-License-Identifier: Apache-2.0
// The documents are true: every answer of the routes fits the schema that /openapi.json gives it,
// by our own validator, and every example fits its schema.
#include "api/api_documents.h"
#include "api/http_client.h"
#include "api/routes.h"
#include "base/buf.h"
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <skald/schema.h>

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

// component_compile makes the schema of one component, which may name all others.
static skald_schema *component_compile(skald_str name)
{
    skald_buf buf = {.bytes_max = SKALD_SCHEMA_BYTES_MAX};
    skald_schema *schema = NULL;
    skald_error error = {0};

    assert_int_equal(ski_buf_print(&buf,
                                   "{\"$ref\":\"#/components/schemas/%.*s\",\"components\":"
                                   "{\"schemas\":",
                                   SKALD_FMT(name)),
                     SKALD_OK);
    assert_int_equal(skald_buf_put(&buf, ski_document_find("schemas.json")), SKALD_OK);
    assert_int_equal(skald_buf_put(&buf, SKALD_STR("}}")), SKALD_OK);
    skald_err err = skald_schema_compile(ski_buf_str(&buf), NULL, &schema, &error);
    if (err) print_error("%.*s: %s: %s\n", SKALD_FMT(name), error.field, error.text);
    assert_int_equal(err, SKALD_OK);
    skald_buf_fini(&buf);
    return schema;
}

static void expect_fits(skald_str name, skald_str document)
{
    skald_schema *schema = component_compile(name);
    skald_error error = {0};
    skald_err err = skald_schema_check(schema, document, &error);

    if (err)
        print_error("%.*s: %s: %s in %.*s\n", SKALD_FMT(name), error.field, error.text,
                    SKALD_FMT(document));
    assert_int_equal(err, SKALD_OK);
    skald_schema_free(schema);
}

enum { routes_max = 256 };
static bool asked[routes_max]; // by place in the table

static const ski_route *route_named(const char *name)
{
    for (size_t i = 0; i < ski_route_count; i++) {
        if (strcmp(ski_routes[i].name, name) == 0) return &ski_routes[i];
    }
    fail_msg("no route %s", name);
    return NULL;
}

// ask asks a route by its name and holds the answer against its schema.
static const api_answer *ask(const api_world *world, const char *name, const char *path,
                             const char *body)
{
    const ski_route *route = route_named(name);
    skald_str text = body ? skald_str_of(body) : (skald_str){0};
    const api_answer *answer =
        api_ask(world, route->method, path, body ? "application/json" : NULL, text, NULL);

    if (answer->status >= 300) print_error("%s: %s\n", name, answer->body);
    assert_true(answer->status == (route->status ? route->status : 200) ||
                answer->status == route->also);
    asked[route - ski_routes] = true;
    if (body) expect_fits(skald_str_of(route->takes), text);
    expect_fits(skald_str_of(route->gives), (skald_str){answer->body, answer->len});
    return answer;
}

static void every_component_is_there(void **state)
{
    ski_json_walk walk = {.rest = ski_document_find("schemas.json")};
    ski_json_item item;

    (void)state;
    for (size_t i = 0; i < ski_route_count; i++) {
        if (ski_routes[i].takes)
            skald_schema_free(component_compile(skald_str_of(ski_routes[i].takes)));
        if (ski_routes[i].gives)
            skald_schema_free(component_compile(skald_str_of(ski_routes[i].gives)));
    }
    while (ski_json_next(&walk, &item)) {
        ski_json_walk members = {.rest = item.value};
        ski_json_item member;
        while (ski_json_next(&members, &member)) {
            if (!skald_str_equal(member.key, SKALD_STR("examples"))) continue;
            ski_json_walk examples = {.rest = member.value};
            ski_json_item example;
            while (ski_json_next(&examples, &example)) expect_fits(item.key, example.value);
        }
    }
}

// says_something: an object says what is in it, or that anything may be.
static void says_something(skald_str name, skald_str schema)
{
    static const char *const words[] = {"properties", "additionalProperties", "anyOf", "oneOf"};
    ski_json_walk walk = {.rest = schema};
    ski_json_item item;
    bool object = false, says = false;

    if (ski_json_kind_of(schema) != SKI_JSON_OBJECT && ski_json_kind_of(schema) != SKI_JSON_ARRAY)
        return;
    while (ski_json_next(&walk, &item)) {
        if (skald_str_equal(item.key, SKALD_STR("examples"))) continue;
        object |= skald_str_equal(item.key, SKALD_STR("type")) &&
                  skald_str_equal(item.value, SKALD_STR("\"object\""));
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            says |= skald_str_equal(item.key, skald_str_of(words[i]));
        says_something(name, item.value);
    }
    if (object && !says) print_error("%.*s: a bare object\n", SKALD_FMT(name));
    assert_true(!object || says);
}

static void no_component_is_bare(void **state)
{
    ski_json_walk walk = {.rest = ski_document_find("schemas.json")};
    ski_json_item item;

    (void)state;
    while (ski_json_next(&walk, &item)) says_something(item.key, item.value);
}

static void events_fit(void **state)
{
    const api_answer *answer;
    char path[100];

    answer = ask(*state, "publishEvents", "/api/events",
                 "{\"type\":\"order.created\",\"stream\":\"order-1\",\"data\":{\"total\":99},"
                 "\"tags\":[\"a\"],\"priority\":\"high\",\"metadata\":{\"a\":1},"
                 "\"actor\":{\"userId\":\"u\"},\"expectedVersion\":\"none\"}");
    (void)snprintf(path, sizeof path, "/api/events/%.36s", strstr(answer->body, "\"id\":\"") + 6);
    (void)ask(*state, "getEvent", path, NULL);
    (void)ask(*state, "publishEvents", "/api/events", "[{\"type\":\"a.b\"},{\"type\":\"c.d\"}]");
    (void)ask(*state, "publishTestEvent", "/api/events/test", "{\"data\":{}}");
    (void)ask(*state, "listEvents", "/api/events?limit=2", NULL);
    (void)ask(*state, "countEvents", "/api/events/stats", NULL);
    (void)ask(*state, "recentEvents", "/api/events/history", NULL);
    answer = api_ask(*state, "POST", "/api/events", "application/x-ndjson",
                     SKALD_STR("{\"type\":\"a.b\"}\n{\"typ\":1}\n"), NULL);
    expect_fits(SKALD_STR("Published"), (skald_str){answer->body, answer->len});
}

static void streams_and_types_fit(void **state)
{
    (void)ask(*state, "appendToStream", "/api/streams/order-1", "{\"type\":\"order.created\"}");
    (void)ask(*state, "readStream", "/api/streams/order-1", NULL);
    (void)ask(*state, "listStreams", "/api/streams", NULL);
    (void)ask(*state, "setStreamMetadata", "/api/streams/order-1/metadata", "{\"maxCount\":9}");
    (void)ask(*state, "getStreamMetadata", "/api/streams/order-1/metadata", NULL);
    (void)ask(*state, "putSnapshot", "/api/streams/order-1/snapshot",
              "{\"streamVersion\":1,\"data\":{\"a\":1}}");
    (void)ask(*state, "getSnapshot", "/api/streams/order-1/snapshot", NULL);
    (void)ask(*state, "deleteStream", "/api/streams/order-1", NULL);
    (void)ask(*state, "putType", "/api/types/a.made", "{\"aliases\":[\"A_MADE\"]}");
    (void)ask(*state, "listTypes", "/api/types", NULL);
    (void)ask(*state, "putSchema", "/api/schemas/a.made/1",
              "{\"schema\":{\"type\":\"object\"},\"compatibility\":\"backward\"}");
    (void)ask(*state, "getSchema", "/api/schemas/a.made/latest", NULL);
    (void)ask(*state, "listSchemas", "/api/schemas", NULL);
    (void)ask(*state, "checkSchema", "/api/schemas/a.made/check",
              "{\"schema\":{\"required\":[\"x\"]}}");
}

static void subscriptions_and_the_rest_fit(void **state)
{
    const api_answer *answer;
    char body[200];

    (void)ask(*state, "createSubscription", "/api/subscriptions",
              "{\"name\":\"mailer\",\"filter\":{\"types\":[\"order.*\"]}}");
    (void)ask(*state, "publishEvents", "/api/events", "{\"type\":\"order.created\"}");
    answer =
        ask(*state, "takeDeliveries", "/api/subscriptions/mailer/deliveries?waitMs=5000", NULL);
    const char *id = strstr(answer->body, "\"deliveryId\":\"");
    assert_non_null(id);
    id += strlen("\"deliveryId\":\"");
    (void)snprintf(body, sizeof body, "{\"deliveries\":[\"%.*s\"]}", (int)strcspn(id, "\""), id);
    (void)ask(*state, "ackDeliveries", "/api/subscriptions/mailer/ack", body);
    (void)ask(*state, "nackDeliveries", "/api/subscriptions/mailer/nack", body);
    (void)ask(*state, "getSubscription", "/api/subscriptions/mailer", NULL);
    (void)ask(*state, "listSubscriptions", "/api/subscriptions", NULL);
    answer = api_get(*state, "/api/v1/subscriptions");
    expect_fits(SKALD_STR("SubscriptionPageV1"), (skald_str){answer->body, answer->len});
    answer = api_get(*state, "/api/v1/subscriptions/mailer");
    expect_fits(SKALD_STR("SubscriptionOneV1"), (skald_str){answer->body, answer->len});
    (void)ask(*state, "listDeadLetters", "/api/dead-letters", NULL);
    (void)ask(*state, "listParkedKeys", "/api/subscriptions/mailer/parked", NULL);
    (void)ask(*state, "getApiUsage", "/api/admin/api-usage", NULL);
    (void)ask(*state, "getHealth", "/health", NULL);
    (void)ask(*state, "getReady", "/ready", NULL);
    (void)ask(*state, "deleteSubscription", "/api/subscriptions/mailer", NULL);
    answer = api_get(*state, "/api/events?limit=0");
    assert_int_equal(answer->status, 400);
    expect_fits(SKALD_STR("Problem"), (skald_str){answer->body, answer->len});
}

// fails_one takes the next delivery of a group and gives it back for good.
static void fails_one(const api_world *world, const char *group)
{
    char path[128], body[256];
    const char *id;

    (void)snprintf(path, sizeof path, "/api/subscriptions/%s/deliveries?max=1&waitMs=5000", group);
    id = strstr(ask(world, "takeDeliveries", path, NULL)->body, "\"deliveryId\":\"");
    assert_non_null(id);
    id += strlen("\"deliveryId\":\"");
    (void)snprintf(body, sizeof body, "{\"deliveries\":[\"%.*s\"]}", (int)strcspn(id, "\""), id);
    (void)snprintf(path, sizeof path, "/api/subscriptions/%s/nack", group);
    (void)ask(world, "nackDeliveries", path, body);
}

#define GROUP(name, end)                                                                 \
    "{\"name\":\"" name "\",\"filter\":{\"types\":[\"order.*\"]},\"onExhausted\":\"" end \
    "\",\"retry\":{\"attemptsMax\":1,\"firstMs\":1}}"

static void what_is_set_aside_fits(void **state)
{
    (void)ask(*state, "createSubscription", "/api/subscriptions", GROUP("m", "dead_letter"));
    (void)ask(*state, "createSubscription", "/api/subscriptions", GROUP("p", "park_key"));
    (void)ask(*state, "publishEvents", "/api/events",
              "[{\"type\":\"order.made\",\"stream\":\"o-1\",\"correlationId\":\"c\"},"
              "{\"type\":\"order.made\",\"stream\":\"o-2\"}]");
    for (int i = 0; i < 2; i++) fails_one(*state, "m");
    for (int i = 0; i < 2; i++) fails_one(*state, "p");
    (void)ask(*state, "listDeadLetters", "/api/dead-letters", NULL);
    (void)ask(*state, "getDeadLetter", "/api/dead-letters/1.m", NULL);
    (void)ask(*state, "retryDeadLetter", "/api/dead-letters/1.m/retry", NULL);
    (void)ask(*state, "discardDeadLetter", "/api/dead-letters/2.m/discard", NULL);
    (void)ask(*state, "retryDeadLetters", "/api/dead-letters/retry", "{\"subscription\":\"m\"}");
    (void)ask(*state, "listParkedKeys", "/api/subscriptions/p/parked", NULL);
    (void)ask(*state, "skipParkedKey", "/api/subscriptions/p/parked/o-1/skip", NULL);
    (void)ask(*state, "editParkedKey", "/api/subscriptions/p/parked/o-2/edit", "{\"data\":1}");
    fails_one(*state, "p");
    (void)ask(*state, "releaseParkedKey", "/api/subscriptions/p/parked/o-2/release", NULL);
    (void)ask(*state, "pauseSubscription", "/api/subscriptions/p/pause", NULL);
    (void)ask(*state, "resumeSubscription", "/api/subscriptions/p/resume", NULL);
    (void)ask(*state, "resetSubscription", "/api/subscriptions/p/reset", "{\"to\":\"start\"}");
    (void)ask(*state, "traceEvents", "/api/events/trace/c", NULL);
    (void)ask(*state, "drainSubscription", "/api/subscriptions/p/drain", NULL);
}

static skald_level level(void *context)
{
    (void)context;
    return SKALD_INFO;
}

static skald_err level_set(void *context, skald_level to)
{
    (void)context;
    return to == SKALD_WARN ? SKALD_OK : SKALD_EINVALID;
}

static skald_err settings(void *context, skald_buf *buf, size_t *ret_count)
{
    (void)context;
    *ret_count = 1;
    return skald_buf_put(buf,
                         SKALD_STR("{\"key\":\"port\",\"value\":\"8000\",\"origin\":\"default\","
                                   "\"default\":\"8000\",\"reloads\":false,\"meaning\":\"\"}"));
}

static void the_operators_fit(void **state)
{
    const ski_api_options options = {.level = level, .level_set = level_set, .settings = settings};
    const api_answer *answer;
    api_world world;
    char path[128], header[200];

    (void)state;
    api_world_open_with(&world, &options);
    answer = ask(&world, "publishEvents", "/api/events",
                 "{\"type\":\"a.b\",\"deliverAt\":\"2100-01-01T00:00:00Z\"}");
    (void)snprintf(path, sizeof path, "/api/events/scheduled/%.36s",
                   strstr(answer->body, "\"id\":\"") + 6);
    assert_non_null(api_wait(&world, "/api/events/scheduled", "\"a.b\""));
    (void)ask(&world, "listScheduledEvents", "/api/events/scheduled", NULL);
    (void)ask(&world, "cancelScheduledEvent", path, NULL);
    (void)ask(&world, "getConfiguration", "/api/admin/config", NULL);
    (void)ask(&world, "getLogLevel", "/api/admin/log-level", NULL);
    (void)ask(&world, "setLogLevel", "/api/admin/log-level", "{\"level\":\"warn\"}");
    (void)ask(&world, "getAdminMetrics", "/api/admin/metrics", NULL);
    (void)ask(&world, "listKeys", "/api/keys", NULL);
    // The last without a key.
    answer = ask(&world, "createKey", "/api/keys",
                 "{\"name\":\"root\",\"scopes\":[\"admin\"],\"expiresAt\":"
                 "\"2100-01-01T00:00:00Z\"}");
    (void)snprintf(header, sizeof header, "Authorization: Bearer %.*s\r\n",
                   (int)strcspn(strstr(answer->body, "skald_"), "\""),
                   strstr(answer->body, "skald_"));
    answer = api_ask(&world, "GET", "/api/keys", NULL, (skald_str){0}, header);
    assert_int_equal(answer->status, 200);
    expect_fits(SKALD_STR("KeyPage"), (skald_str){answer->body, answer->len});
    (void)snprintf(path, sizeof path, "/api/keys/%.16s", strstr(header, "skald_") + 6);
    answer = api_ask(&world, "DELETE", path, NULL, (skald_str){0}, header);
    assert_int_equal(answer->status, 200);
    expect_fits(SKALD_STR("KeyRevoked"), (skald_str){answer->body, answer->len});
    asked[route_named("revokeKey") - ski_routes] = true;
    api_world_close(&world);
}

// every_answer_was_held: after the others. The rest is no JSON, or needs a directory.
static void every_answer_was_held(void **state)
{
    static const char others[] = "followEvents createBackup getOpenapi getAsyncapi";

    (void)state;
    for (size_t i = 0; i < ski_route_count; i++) {
        const ski_route *route = &ski_routes[i];

        if (!route->gives || ski_words_have(others, skald_str_of(route->name))) continue;
        if (!asked[i]) print_error("no test asks for %s\n", route->name);
        assert_true(asked[i]);
    }
}

static void documents_are_served(void **state)
{
    static const char *const paths[] = {"/openapi.json", "/asyncapi.json"};
    const api_answer *answer;

    for (size_t i = 0; i < 2; i++) {
        answer = api_get(*state, paths[i]);
        assert_int_equal(answer->status, 200);
        assert_int_equal(ski_json_door_check((skald_str){answer->body, answer->len}, false, NULL),
                         SKALD_OK);
    }
    answer = api_get(*state, "/docs");
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->head, "Content-Security-Policy: default-src 'self'"));
    for (size_t i = 0; i < ski_route_count; i++)
        assert_non_null(strstr(answer->body, ski_routes[i].path));
    assert_null(strstr(answer->body, "://")); // it asks nobody else
    assert_int_equal(api_get(*state, "/docs/docs.js")->status, 200);
    assert_int_equal(api_get(*state, "/docs/docs.css")->status, 200);
    assert_int_equal(api_get(*state, "/docs/other")->status, 404);
}

// A type that is declared later is in the document at once.
static void asyncapi_has_every_type(void **state)
{
    assert_null(strstr(api_get(*state, "/asyncapi.json")->body, "\"later.made\""));
    (void)ask(*state, "putType", "/api/types/later.made", "{}");
    assert_non_null(strstr(api_get(*state, "/asyncapi.json")->body, "\"later.made\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_component_is_there),
        cmocka_unit_test(no_component_is_bare),
        cmocka_unit_test_setup_teardown(events_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(streams_and_types_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(subscriptions_and_the_rest_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_set_aside_fits, setup, teardown),
        cmocka_unit_test(the_operators_fit),
        cmocka_unit_test(every_answer_was_held),
        cmocka_unit_test_setup_teardown(documents_are_served, setup, teardown),
        cmocka_unit_test_setup_teardown(asyncapi_has_every_type, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
