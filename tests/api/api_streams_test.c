// SPDX-License-Identifier: Apache-2.0
// /api/streams over a real connection: what is kept of a stream, deleting it, its snapshot, and how
// it was at a time.
#include "api/door.h"
#include "base/buf.h"

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

static void has(const api_answer *answer, const char *text)
{
    if (strstr(answer->body, text)) return;
    print_error("'%s' is not in: %s\n", text, answer->body);
    fail();
}

static const api_answer *put(const api_world *world, const char *path, const char *json)
{
    return api_ask(world, "PUT", path, "application/json", skald_str_of(json), NULL);
}

static const api_answer *ask_delete(const api_world *world, const char *path)
{
    return api_ask(world, "DELETE", path, NULL, (skald_str){0}, NULL);
}

static void publish(const api_world *world, const char *stream, int count)
{
    char body[128];

    for (int i = 1; i <= count; i++) {
        (void)snprintf(body, sizeof body, "{\"type\":\"a.b\",\"stream\":\"%s\",\"data\":%d}",
                       stream, i);
        assert_int_equal(api_post(world, "/api/events", body)->status, 201);
    }
}

static void keeps_what_metadata_says(void **state)
{
    const api_answer *answer;

    publish(*state, "a-1", 5);
    has(api_get(*state, "/api/streams/a-1/metadata"),
        "{\"data\":{\"stream\":\"a-1\",\"maxCount\":null,\"maxAge\":null,\"truncateBefore\":null,"
        "\"deleted\":false,\"tombstoned\":false}}");
    answer = put(*state, "/api/streams/a-1/metadata", "{\"maxCount\":2,\"maxAge\":3600}");
    assert_int_equal(answer->status, 200);
    has(answer, "\"maxCount\":2,\"maxAge\":3600,\"truncateBefore\":null,");
    answer = api_get(*state, "/api/streams/a-1");
    has(answer, "{\"data\":[{\"id\":");
    has(answer, "\"streamVersion\":4,");
    has(answer, "\"streamVersion\":5,");
    assert_null(strstr(answer->body, "\"streamVersion\":3,"));
    assert_null(strstr(api_get(*state, "/api/events")->body, "\"position\":3,"));
    has(api_get(*state, "/api/events/stats"), "\"totalEvents\":2,");
    answer = put(*state, "/api/streams/a-1/metadata", "{\"truncateBefore\":5,\"maxCount\":null}");
    has(answer, "\"maxCount\":null,\"maxAge\":null,\"truncateBefore\":5,");
    has(api_get(*state, "/api/events/stats"), "\"totalEvents\":1,");
    has(api_get(*state, "/api/streams"), "\"stream\":\"a-1\",\"category\":\"a\",\"version\":5,");
    // Nothing of another tenant's.
    has(api_get(*state, "/api/streams/a-1/metadata?tenantId=acme"), "\"truncateBefore\":null");
}

static void refuses_bad_bodies(void **state)
{
    static const struct {
        const char *path, *body;
        const char *says;
    } cases[] = {
        {"/api/streams/a-1/metadata", "[]", "object"},
        {"/api/streams/a-1/metadata", "{\"maxCount\":-1}", "\"field\":\"maxCount\""},
        {"/api/streams/a-1/metadata", "{\"maxAge\":1.5}", "\"field\":\"maxAge\""},
        {"/api/streams/a-1/metadata", "{\"maxAge\":9223372036855}", "\"field\":\"maxAge\""},
        {"/api/streams/a-1/metadata", "{\"truncateBefore\":\"x\"}", "truncateBefore"},
        {"/api/streams/a-1/metadata", "{\"maxCont\":1}", "maxCont"},
        {"/api/streams/a-1/metadata", "{\"maxCount\":1,\"maxCount\":2}", "twice"},
        {"/api/streams/a-1/metadata", "{\"maxCount\":1", "\"detail\""},
        {"/api/streams/$a/metadata", "{}", "'$'"},
        {"/api/streams/a-1/metadata?limit=1", "{}", "limit"},
        {"/api/streams/a-1/snapshot", "{\"streamVersion\":1}", "\"field\":\"data\""},
        {"/api/streams/a-1/snapshot", "{\"streamVersion\":2,\"data\":1}",
         "\"field\":\"streamVersion\""},
        {"/api/streams/a-1/snapshot", "{\"streamVersion\":0,\"data\":1}", "at version 1"},
        {"/api/streams/a-1/snapshot",
         "{\"streamVersion\":1,\"schemaVersion\":4294967296,"
         "\"data\":1}",
         "schemaVersion"},
    };

    publish(*state, "a-1", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const api_answer *answer = put(*state, cases[i].path, cases[i].body);

        if (answer->status != 400) print_error("%s\n%s\n", cases[i].body, answer->body);
        assert_int_equal(answer->status, 400);
        has(answer, "VALIDATION_ERROR");
        has(answer, cases[i].says);
    }
    assert_int_equal(ask_delete(*state, "/api/streams/a-1?expectedVersion=x")->status, 400);
    assert_int_equal(ask_delete(*state, "/api/streams/a-1?tombstone=yes")->status, 400);
    assert_int_equal(ask_delete(*state, "/api/streams/a-1?erase=yes")->status, 400);
    assert_int_equal(api_get(*state, "/api/streams/a-1/snapshot?schemaVersion=0")->status, 400);
    has(api_post(*state, "/api/events", "{\"type\":\"a.b\",\"stream\":\"$mine\"}"), "'$'");
    assert_int_equal(
        api_post(*state, "/api/events", "{\"type\":\"a.b\",\"stream\":\"$mine\"}")->status, 400);
}

static void deletes_a_stream(void **state)
{
    const api_answer *answer;

    assert_int_equal(ask_delete(*state, "/api/streams/a-1")->status, 404);
    publish(*state, "a-1", 2);
    answer = ask_delete(*state, "/api/streams/a-1?expectedVersion=7");
    assert_int_equal(answer->status, 409);
    has(answer, "\"expectedVersion\":7");
    has(answer, "\"actualVersion\":2");
    answer = ask_delete(*state, "/api/streams/a-1?expectedVersion=2&erase=true");
    assert_int_equal(answer->status, 200);
    has(answer, "\"deleted\":true,\"tombstoned\":false");
    assert_int_equal(api_get(*state, "/api/streams/a-1")->status, 404);
    has(api_get(*state, "/api/streams"), "{\"data\":[],");
    has(api_get(*state, "/api/events"), "{\"data\":[],");
    answer =
        api_post(*state, "/api/streams/a-1", "{\"type\":\"a.c\",\"expectedVersion\":\"none\"}");
    assert_int_equal(answer->status, 201);
    has(answer, "\"streamVersion\":3");
    answer = ask_delete(*state, "/api/streams/a-1?tombstone=true");
    has(answer, "\"deleted\":false,\"tombstoned\":true");
    answer = api_post(*state, "/api/streams/a-1", "{\"type\":\"a.c\"}");
    assert_int_equal(answer->status, 409);
    has(answer, "INVALID_STATE");
    has(answer, "tombstoned");
    assert_int_equal(put(*state, "/api/streams/a-1/metadata", "{}")->status, 409);
}

static void keeps_a_snapshot(void **state)
{
    const api_answer *answer;

    publish(*state, "a-1", 3);
    assert_int_equal(api_get(*state, "/api/streams/a-1/snapshot")->status, 404);
    answer = put(*state, "/api/streams/a-1/snapshot",
                 "{\"streamVersion\":2,\"schemaVersion\":4,\"data\":{\"sum\": 3}}");
    assert_int_equal(answer->status, 200);
    has(answer, "{\"data\":{\"streamVersion\":2,\"schemaVersion\":4,\"recordedAt\":\"");
    answer = api_get(*state, "/api/streams/a-1/snapshot?schemaVersion=4");
    assert_int_equal(answer->status, 200);
    has(answer, "\"data\":{\"sum\": 3}}}");
    answer = api_get(*state, "/api/streams/a-1/snapshot?schemaVersion=5");
    assert_int_equal(answer->status, 404);
    has(answer, "another schema version");
    // An older one is not stored: the answer is the one that is kept.
    has(put(*state, "/api/streams/a-1/snapshot", "{\"streamVersion\":1,\"data\":1}"),
        "\"streamVersion\":2,");
    // Nobody meets it who does not ask for it.
    has(api_get(*state, "/api/events/stats"), "\"totalEvents\":3,\"eventsByType\":{\"a.b\":3}");
    assert_null(strstr(api_get(*state, "/api/events")->body, "$snapshot"));
    assert_null(strstr(api_get(*state, "/api/streams")->body, "$snapshot"));
    assert_null(strstr(api_get(*state, "/api/events/history")->body, "$snapshot"));
}

static void says_when_a_snapshot_is_no_json(void **state)
{
    const api_world *world = *state;
    skald_snapshot snapshot = {.stream_version = 1, .bytes = SKALD_STR("\x01\x02")};

    publish(world, "a-1", 1);
    assert_int_equal(skald_snapshot_put(world->store, SKALD_STR(""), SKALD_STR("a-1"), &snapshot,
                                        NULL),
                     SKALD_OK);
    assert_int_equal(api_get(world, "/api/streams/a-1/snapshot")->status, 501);
}

static void shows_a_stream_as_of_a_time(void **state)
{
    char at[SKALD_TIME_TEXT + 1] = "", path[128];
    const api_answer *answer;

    publish(*state, "a-1", 1);
    answer = api_get(*state, "/api/streams/a-1");
    const char *recorded = strstr(answer->body, "\"recordedAt\":\"");
    assert_non_null(recorded);
    memcpy(at, recorded + 14, SKALD_TIME_TEXT);
    // A microsecond lies between two events at least where the clock says so: wait for it.
    skald_time first = 0;
    assert_int_equal(skald_time_parse(skald_str_of(at), &first), SKALD_OK);
    do publish(*state, "a-1", 1);
    while (strstr(api_get(*state, "/api/streams/a-1?direction=backward&limit=1")->body, at));
    (void)snprintf(path, sizeof path, "/api/streams/a-1?asOf=%s&direction=backward&limit=1", at);
    answer = api_get(*state, path);
    assert_int_equal(answer->status, 200);
    has(answer, at);
    has(api_get(*state, "/api/streams/a-1?fromVersion=2&toVersion=2"), "{\"data\":[{\"id\":");
    // Behind the last page.
    has(api_get(*state, "/api/streams/a-1?fromVersion=3&toVersion=2"), "{\"data\":[],");
    has(api_get(*state, "/api/streams/a-1?toVersion=18446744073709551615"), "{\"data\":[{\"id\":");
    has(api_get(*state, "/api/events?after=2&before=3"), "{\"data\":[],");
    has(api_get(*state, "/api/streams/a-1?asOf=1990-01-01T00:00:00Z"), "{\"data\":[],");
}

// A subscription meets neither what is hidden nor what is the store's own, and does not wait for
// it.
static void subscriptions_pass_over_what_is_hidden(void **state)
{
    const api_answer *answer = NULL;
    bool caught_up = false;

    publish(*state, "a-1", 3);
    publish(*state, "b-1", 1);
    has(put(*state, "/api/streams/a-1/metadata", "{\"maxCount\":1}"), "\"maxCount\":1");
    has(put(*state, "/api/streams/a-1/snapshot", "{\"streamVersion\":3,\"data\":1}"), "\"data\":1");
    has(api_post(*state, "/api/subscriptions", "{\"name\":\"all\",\"order\":\"none\"}"), "\"all\"");
    answer = api_get(*state, "/api/subscriptions/all/deliveries?max=10&waitMs=5000");
    has(answer, "\"stream\":\"a-1\",\"streamVersion\":3,");
    assert_null(strstr(answer->body, "\"streamVersion\":2,"));
    assert_null(strstr(answer->body, "$snapshot"));
    // b-1 comes with it or behind it, and then nothing more does.
    if (!strstr(answer->body, "\"stream\":\"b-1\""))
        has(api_get(*state, "/api/subscriptions/all/deliveries?max=10&waitMs=5000"),
            "\"stream\":\"b-1\"");
    has(api_get(*state, "/api/subscriptions/all/deliveries?max=10&waitMs=50"), "{\"data\":[]");
    for (int i = 0; i < 1000 && !caught_up; i++) {
        answer = api_get(*state, "/api/subscriptions/all");
        caught_up = api_number(answer->body, "inFlight") == 2;
    }
    assert_true(caught_up);
}

// Who sees streams of several tenants sees whose each is.
static void names_the_tenant_of_a_stream(void **state)
{
    publish(*state, "a-1", 1);
    assert_int_equal(api_post(*state, "/api/events",
                              "{\"type\":\"a.b\",\"stream\":\"a-1\",\"tenantId\":\"acme\"}")
                         ->status,
                     201);
    const api_answer *answer = api_get(*state, "/api/streams");
    has(answer, "{\"stream\":\"a-1\",\"category\":\"a\",\"version\":1,\"lastPosition\":1}");
    has(answer, "\"version\":1,\"lastPosition\":2,\"tenantId\":\"acme\"}");
    has(api_get(*state, "/api/streams?tenantId=acme"), "{\"data\":[{\"stream\":\"a-1\"");
}

// A page that ends between streams of one name, of several tenants, is gone on from with the next.
static void pages_go_on_between_equal_names(void **state)
{
    static const char *const tenants[] = {"", "acme", "zeta 1.é"};
    char path[256] = "/api/streams?limit=1", body[160], due[160];

    for (int i = 2; i >= 0; i--) {
        (void)snprintf(body, sizeof body,
                       "{\"type\":\"a.b\",\"stream\":\"a-1\",\"tenantId\":\"%s\"}", tenants[i]);
        assert_int_equal(api_post(*state, "/api/events", body)->status, 201);
    }
    for (int i = 0; i < 3; i++) {
        const api_answer *answer = api_get(*state, path);

        if (i) (void)snprintf(due, sizeof due, "\"tenantId\":\"%s\"}]", tenants[i]);
        has(answer, i ? due : "{\"data\":[{\"stream\":\"a-1\",");
        (void)snprintf(due, sizeof due, "\"nextCursor\":\"%zu.%sa-1\"}", strlen(tenants[i]),
                       tenants[i]);
        has(answer, due);
        (void)snprintf(path, sizeof path, "/api/streams?limit=1&afterName=%zu.%sa-1",
                       strlen(tenants[i]), i == 2 ? "zeta%201.%C3%A9" : tenants[i]);
    }
    has(api_get(*state, path), "{\"data\":[],\"pagination\":{\"limit\":1,\"nextCursor\":null}}");
    has(api_get(*state, "/api/streams?tenantId=acme&afterName=0.a-1"), "{\"data\":[{\"stream\"");
    has(api_get(*state, "/api/streams?tenantId=acme&afterName=4.acmea-1"), "{\"data\":[],");
}

static void refuses_what_is_no_cursor(void **state)
{
    static const char *const cursors[] = {"a-1",  "0.",     "4.acme",  "5.acme", ".a-1",
                                          "-1.a", "0x0.a1", "4acme-1", "65.a-1", "1"};
    char path[64];

    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        (void)snprintf(path, sizeof path, "/api/streams?afterName=%s", cursors[i]);
        const api_answer *answer = api_get(*state, path);
        assert_int_equal(answer->status, 400);
        has(answer, "\"field\":\"query.afterName\"");
        has(answer, "must be the nextCursor of the page before");
    }
}

static void pages_are(const door *at, const char *who, const char *query, const char *const *names)
{
    char path[512], cursor[256] = "", due[128];
    const api_answer *answer;

    for (size_t i = 0; names[i]; i++) {
        (void)snprintf(path, sizeof path, "/api/streams?limit=1%s%s%s", query,
                       i ? "&afterName=" : "", cursor);
        answer = door_ask(at, who, "GET", path, NULL);
        answer_is(answer, 200);
        (void)snprintf(due, sizeof due, "{\"data\":[{\"stream\":\"%s\",", names[i]);
        answer_shows(answer, due);
        answer_text(answer, "nextCursor", cursor, sizeof cursor);
        (void)snprintf(due, sizeof due, "4.acme%s", names[i]);
        assert_string_equal(cursor, due);
    }
    (void)snprintf(path, sizeof path, "/api/streams?limit=1%s&afterName=%s", query, cursor);
    answer_shows(door_ask(at, who, "GET", path, NULL),
                 "{\"data\":[],\"pagination\":{\"limit\":1,\"nextCursor\":null}}");
    (void)snprintf(path, sizeof path, "/api/streams?limit=100%s", query);
    answer = door_ask(at, who, "GET", path, NULL);
    for (size_t i = 0; names[i]; i++) answer_shows(answer, names[i]);
    answer_shows(answer, "\"nextCursor\":null");
    answer_hides(answer, "patient");
}

// Pages of streams: neither a row nor a cursor names one that the key does not see.
static void a_list_of_streams_names_no_others(void **state)
{
    static const char *const streams[] = {"a-1",     "order",   "order!-1",     "order-1",
                                          "order-2", "order-3", "patient-4711", "zoo-1"};
    skald_str names[] = {SKALD_STR("zoo-1"), SKALD_STR("order-1"), SKALD_STR("order-1"),
                         SKALD_STR("order-3"), SKALD_STR("patient-4")};
    skald_str categories[] = {SKALD_STR("zoo-*"), SKALD_STR("order-*")};
    const char *few, *some;
    char path[64];
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    few = door_key(&at, &(skald_key){.scopes = SKALD_SCOPE_READ,
                                     .tenant = SKALD_STR("acme"),
                                     .streams = {names, 5}});
    some = door_key(&at, &(skald_key){.scopes = SKALD_SCOPE_READ,
                                      .tenant = SKALD_STR("acme"),
                                      .streams = {categories, 2}});
    api_world_reopen(&at.world);
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        (void)snprintf(path, sizeof path, "/api/streams/%s", streams[i]);
        answer_is(door_ask(&at, at.shop, "POST", path, "{\"type\":\"a.b\"}"), 201);
        answer_is(door_ask(&at, at.other, "POST", path, "{\"type\":\"a.b\"}"), 201);
    }
#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
    pages_are(&at, few, "", NAMES("order-1", "order-3", "zoo-1"));
    pages_are(&at, few, "&prefix=order", NAMES("order-1", "order-3"));
    pages_are(&at, few, "&category=zoo", NAMES("zoo-1"));
    pages_are(&at, some, "", NAMES("order", "order-1", "order-2", "order-3", "zoo-1"));
    pages_are(&at, some, "&prefix=order-3", NAMES("order-3"));
    pages_are(&at, some, "&category=zoo", NAMES("zoo-1"));
    answer_hides(door_ask(&at, few, "GET", "/api/streams?limit=1&afterName=4.acmeorder-3", NULL),
                 "patient");
    answer_shows(door_ask(&at, few, "GET", "/api/streams?afterName=5.umbraa-1", NULL),
                 "{\"data\":[],");
    answer_shows(door_ask(&at, few, "GET", "/api/streams?prefix=patient", NULL), "{\"data\":[],");
    answer_is(door_ask(&at, some, "GET", "/api/streams?category=patient", NULL), 403);
    door_close(&at);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        ROW(keeps_what_metadata_says),
        ROW(refuses_bad_bodies),
        ROW(deletes_a_stream),
        ROW(keeps_a_snapshot),
        ROW(subscriptions_pass_over_what_is_hidden),
        ROW(says_when_a_snapshot_is_no_json),
        ROW(shows_a_stream_as_of_a_time),
        ROW(names_the_tenant_of_a_stream),
        ROW(pages_go_on_between_equal_names),
        ROW(refuses_what_is_no_cursor),
        cmocka_unit_test(a_list_of_streams_names_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
