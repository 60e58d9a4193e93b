// SPDX-License-Identifier: Apache-2.0
// What belongs to one tenant, or to the platform, asked for by others; and what goes on after a key
// has ended: quiet streams and bodies without end.
#include "api/door.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants those above first
#include <cmocka.h>

#define RETRY "\"retry\":{\"attemptsMax\":1,\"firstMs\":1}}"

static const char *admin_of(door *at, const char *tenant)
{
    return door_key(at, &(skald_key){.scopes = SKALD_SCOPE_ADMIN, .tenant = skald_str_of(tenant)});
}

// fail_one takes the next delivery of a group and gives it back for good.
static void fail_one(const door *at, const char *who, const char *group)
{
    char path[128], delivery[128], body[256];

    (void)snprintf(path, sizeof path, "/api/subscriptions/%s/deliveries?max=1&waitMs=5000", group);
    answer_text(door_ask(at, who, "GET", path, NULL), "deliveryId", delivery, sizeof delivery);
    (void)snprintf(path, sizeof path, "/api/subscriptions/%s/nack", group);
    (void)snprintf(body, sizeof body, "{\"deliveries\":[\"%s\"],\"reason\":\"bad\"}", delivery);
    answer_shows(door_ask(at, who, "POST", path, body), "\"accepted\":1");
}

// What a tenant has: a group with a dead letter, one with a parked key, and an event for later.
typedef struct belongings {
    char dead[128], later[64];
} belongings;

static belongings acme_has(const door *at, const char *boss)
{
    belongings has;

    answer_is(door_ask(at, boss, "POST", "/api/subscriptions",
                       "{\"name\":\"mailer\",\"onExhausted\":\"dead_letter\","
                       "\"filter\":{\"types\":[\"a.b\"]}," RETRY),
              201);
    answer_is(door_ask(at, boss, "POST", "/api/subscriptions",
                       "{\"name\":\"parker\",\"onExhausted\":\"park_key\","
                       "\"filter\":{\"types\":[\"a.b\"]}," RETRY),
              201);
    answer_is(door_ask(at, boss, "POST", "/api/streams/s-1", "{\"type\":\"a.b\"}"), 201);
    fail_one(at, boss, "mailer");
    fail_one(at, boss, "parker");
    answer_text(door_ask(at, boss, "GET", "/api/dead-letters", NULL), "id", has.dead,
                sizeof has.dead);
    answer_text(door_ask(at, boss, "POST", "/api/events",
                         "{\"type\":\"a.c\",\"deliverAt\":\"2100-01-01T00:00:00Z\"}"),
                "id", has.later, sizeof has.later);
    return has;
}

// by_path asks for a route of a subscription under the name it has for its tenant, and under that
// which it has for all.
static void by_path(const door *at, const char *who, const char *method, const char *rest,
                    const char *body)
{
    static const char *const names[] = {"mailer", "acme%2Fmailer", "parker", "acme%2Fparker"};
    char path[256];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "/api/subscriptions/%s%s", names[i], rest);
        answer_is(door_ask(at, who, method, path, body), 404);
    }
}

static void another_tenants_subscriptions_are_not_there(void **state)
{
    static const struct {
        const char *method, *rest, *body;
    } routes[] = {
        {"GET", "", NULL},
        {"DELETE", "", NULL},
        {"GET", "/deliveries", NULL},
        {"POST", "/ack", "{\"deliveries\":[\"1-1\"]}"},
        {"POST", "/nack", "{\"deliveries\":[\"1-1\"]}"},
        {"POST", "/pause", NULL},
        {"POST", "/resume", NULL},
        {"POST", "/drain", NULL},
        {"POST", "/reset", "{\"to\":\"start\"}"},
        {"GET", "/parked", NULL},
        {"POST", "/parked/s-1/release", NULL},
        {"POST", "/parked/s-1/skip", NULL},
        {"POST", "/parked/s-1/edit", "{\"data\":1}"},
    };
    const char *boss, *rival;
    char path[256];
    belongings has;
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    boss = admin_of(&at, "acme");
    rival = admin_of(&at, "umbra");
    api_world_reopen(&at.world);
    has = acme_has(&at, boss);
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        by_path(&at, rival, routes[i].method, routes[i].rest, routes[i].body);
    answer_hides(door_ask(&at, rival, "GET", "/api/subscriptions", NULL), "acme");
    answer_hides(door_ask(&at, rival, "GET", "/api/dead-letters", NULL), "acme");
    answer_hides(door_ask(&at, rival, "GET", "/api/dead-letters?subscription=mailer", NULL), "a.b");
    answer_is(door_ask(&at, rival, "GET", "/api/dead-letters?tenantId=acme", NULL), 404);
    answer_is(door_ask(&at, rival, "POST", "/api/dead-letters/retry", "{\"tenantId\":\"acme\"}"),
              404);
    answer_is(door_ask(&at, rival, "POST", "/api/dead-letters/retry",
                       "{\"subscription\":\"mailer\"}"),
              404);
    answer_shows(door_ask(&at, rival, "POST", "/api/dead-letters/retry", NULL), "\"retried\":0");
    answer_hides(door_ask(&at, rival, "GET", "/api/events/scheduled", NULL), has.later);
    (void)snprintf(path, sizeof path, "/api/events/scheduled/%s", has.later);
    answer_is(door_ask(&at, rival, "DELETE", path, NULL), 404);
    assert_non_null(strchr(has.dead, '/'));
    (void)snprintf(path, sizeof path, "/api/dead-letters/%.*s%%2F%s", (int)strcspn(has.dead, "/"),
                   has.dead, strchr(has.dead, '/') + 1);
    answer_is(door_ask(&at, rival, "GET", path, NULL), 404);
    size_t end = strlen(path);
    (void)snprintf(path + end, sizeof path - end, "/retry");
    answer_is(door_ask(&at, rival, "POST", path, NULL), 404);
    (void)snprintf(path + end, sizeof path - end, "/discard");
    answer_is(door_ask(&at, rival, "POST", path, NULL), 404);
    // Nothing of it was touched, and all of it is there for its own.
    answer_is(door_ask(&at, boss, "POST", path, NULL), 200);
    answer_is(door_ask(&at, boss, "GET", "/api/subscriptions/mailer", NULL), 200);
    answer_is(door_ask(&at, boss, "POST", "/api/subscriptions/parker/parked/s-1/skip", NULL), 200);
    (void)snprintf(path, sizeof path, "/api/events/scheduled/%s", has.later);
    answer_is(door_ask(&at, boss, "DELETE", path, NULL), 200);
    door_close(&at);
}

// What the platform says of itself, and of those who rule over all, is theirs alone.
static void the_platforms_events_are_an_admins(void **state)
{
    static const char *const lists[] = {
        "/api/events", "/api/events/stats",        "/api/events/history",
        "/api/types",  "/api/events?type=audit.*", "/api/events?type=security.*"};
    const char *plain;
    const api_answer *told = NULL;
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    plain = door_key(&at, &(skald_key){.scopes = SKALD_SCOPE_READ | SKALD_SCOPE_PUBLISH});
    api_world_reopen(&at.world);
    answer_is(door_ask(&at, "Authorization: Bearer nonsense\r\n", "GET", "/api/events", NULL), 401);
    answer_is(door_ask(&at, plain, "POST", "/api/subscriptions", "{\"name\":\"mine\"}"), 201);
    answer_is(door_ask(&at, at.admin, "POST", "/api/subscriptions/mine/pause", NULL), 200);
    for (int i = 0; i < 500 && !(told && strstr(told->body, "security.auth.failed")); i++) {
        told = door_ask(&at, at.admin, "GET", "/api/events?tenantId=%24platform", NULL);
        (void)usleep(10000);
    }
    answer_shows(told, "security.auth.failed");
    answer_shows(told, "audit.subscription.paused");
    answer_shows(told, "\"name\":\"root\""); // audit.key.created
    answer_shows(told, "\"tenantId\":\"$platform\"");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        told = door_ask(&at, plain, "GET", lists[i], NULL);
        answer_is(told, 200);
        answer_hides(told, "security.auth.failed");
        answer_hides(told, "audit.subscription.paused");
        answer_hides(told, "\"root\"");
        answer_hides(door_ask(&at, at.shop, "GET", lists[i], NULL), "security.auth.failed");
    }
    answer_is(door_ask(&at, plain, "GET", "/api/events?tenantId=%24platform", NULL), 404);
    // A tenant's own are its readers'.
    answer_shows(door_ask(&at, at.shop, "GET", "/api/events?type=audit.*", NULL),
                 "audit.key.created");
    answer_shows(door_ask(&at, plain, "GET", "/api/events?type=audit.*", NULL),
                 "audit.key.created");
    // Nobody gets in by a name.
    answer_is(door_ask(&at, at.admin, "POST", "/api/keys",
                       "{\"scopes\":[\"events:read\"],\"tenantId\":\"$platform\"}"),
              400);
    door_close(&at);
}

// ends: the stream comes to its end, not to that of the test's patience.
static bool ends(int fd, char *buf, size_t size)
{
    bool whole = api_read_until(fd, buf, size, "\r\n0\r\n\r\n");

    (void)close(fd);
    return whole;
}

static void a_quiet_stream_ends_with_its_key(void **state)
{
    char buf[8192] = "", id[SKALD_KEY_ID_BYTES + 1], path[64];
    const char *brief = NULL;
    bool begun = false;
    int fd = -1;
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){.heartbeat_ms = 20});
    // Its time is over soon, but not before the stream has begun: longer where that takes longer.
    for (int64_t life_us = 500000; !begun && life_us < 100000000; life_us *= 8) {
        skald_key key = {.scopes = SKALD_SCOPE_READ,
                         .tenant = SKALD_STR("acme"),
                         .expires_at = ski_store_now(at.world.store) + life_us};

        if (fd >= 0) (void)close(fd);
        buf[0] = 0;
        brief = door_key(&at, &key);
        api_world_reopen(&at.world);
        fd = door_follow(&at, brief, "/api/events/stream");
        begun = api_read_until(fd, buf, sizeof buf, ": \n\n");
    }
    assert_true(begun);
    assert_true(ends(fd, buf, sizeof buf));
    answer_is(door_ask(&at, brief, "GET", "/api/events", NULL), 401);
    buf[0] = 0;
    fd = door_follow(&at, at.shop, "/api/events/stream");
    int other = door_follow(&at, at.other, "/api/events/stream");
    assert_true(api_read_until(fd, buf, sizeof buf, ": \n\n"));
    door_key_id(at.shop, id);
    (void)snprintf(path, sizeof path, "/api/keys/%s", id);
    answer_is(door_ask(&at, at.admin, "DELETE", path, NULL), 200);
    assert_true(ends(fd, buf, sizeof buf));
    // Others go on.
    buf[0] = 0;
    answer_is(door_ask(&at, at.other, "POST", "/api/events", "{\"type\":\"still.here\"}"), 201);
    assert_true(api_read_until(other, buf, sizeof buf, "still.here"));
    (void)close(other);
    door_close(&at);
}

static void lines_of_a_revoked_key_are_refused(void **state)
{
    char buf[8192] = "", id[SKALD_KEY_ID_BYTES + 1], text[512];
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    int fd = api_connect(&at.world);
    (void)snprintf(text, sizeof text,
                   "POST /api/events HTTP/1.1\r\nHost: localhost\r\n"
                   "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n%s\r\n"
                   "16\r\n{\"type\":\"seen.before\"}\r\n1\r\n\n\r\n",
                   at.shop);
    api_send(fd, skald_str_of(text));
    for (int i = 0; i < 500; i++) {
        if (strstr(door_ask(&at, at.reader, "GET", "/api/events", NULL)->body, "seen.before"))
            break;
        (void)usleep(10000);
    }
    door_key_id(at.shop, id);
    (void)snprintf(text, sizeof text, "/api/keys/%s", id);
    answer_is(door_ask(&at, at.admin, "DELETE", text, NULL), 200);
    api_send(fd, SKALD_STR("2c\r\n{\"type\":\"seen.after\"}\n{\"type\":\"and.another\"}\r\n"
                           "0\r\n\r\n"));
    assert_true(api_read_until(fd, buf, sizeof buf, "]}}"));
    (void)close(fd);
    assert_int_equal(api_number(buf, "accepted"), 1);
    assert_int_equal(api_number(buf, "rejected"), 2);
    assert_non_null(strstr(buf, "AUTHENTICATION_ERROR"));
    const api_answer *seen = door_ask(&at, at.reader, "GET", "/api/events", NULL);
    answer_shows(seen, "seen.before");
    answer_hides(seen, "seen.after");
    answer_hides(seen, "and.another");
    door_close(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_tenants_subscriptions_are_not_there),
        cmocka_unit_test(the_platforms_events_are_an_admins),
        cmocka_unit_test(a_quiet_stream_ends_with_its_key),
        cmocka_unit_test(lines_of_a_revoked_key_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
