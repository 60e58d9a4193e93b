// SPDX-License-Identifier: Apache-2.0
// The door, tried from outside: who is let in, what they may do, and everything of another tenant.
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

static void open_until_there_is_a_key(void **state)
{
    api_world world;
    const api_answer *answer;
    char key[128], header[256];

    (void)state;
    api_world_open(&world);
    answer_is(api_post(&world, "/api/events", "{\"type\":\"a.b\",\"tenantId\":\"any\"}"), 201);
    answer_is(api_post(&world, "/api/keys", "{\"scopes\":[]}"), 400);
    answer_is(api_post(&world, "/api/keys", "{\"scopes\":[\"root\"]}"), 400);
    answer = api_post(&world, "/api/keys", "{\"name\":\"first\",\"scopes\":[\"admin\"]}");
    answer_is(answer, 201);
    assert_non_null(strstr(answer->head, "no-store"));
    answer_text(answer, "key", key, sizeof key);
    // Shut at once.
    answer_is(api_get(&world, "/api/events"), 401);
    (void)snprintf(header, sizeof header, "Authorization: bearer %s\r\n", key);
    answer = api_ask(&world, "GET", "/api/keys", NULL, (skald_str){0}, header);
    answer_is(answer, 200);
    answer_shows(answer, "\"first\"");
    answer_hides(answer, key);
    answer_hides(answer, "hash");
    // After a restart, too, and when the last key was revoked.
    api_world_reopen(&world);
    answer_is(api_get(&world, "/api/events"), 401);
    char path[64];
    (void)snprintf(path, sizeof path, "/api/keys/%.16s", key + 6);
    answer_is(api_ask(&world, "DELETE", path, NULL, (skald_str){0}, header), 200);
    answer_is(api_ask(&world, "GET", "/api/keys", NULL, (skald_str){0}, header), 401);
    api_world_reopen(&world);
    answer_is(api_get(&world, "/api/events"), 401);
    api_world_close(&world);
}

// What is not a key, or not one any more.
static void what_is_no_key_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "Authorization: \r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Basic cm9vdDpyb290\r\n",
        "Authorization: Bearer x\r\n",
        "Authorization: Bearer skald_\r\n",
        "Authorization: Bearer skald_0000000000000000_"
        "0000000000000000000000000000000000000000000000000000000000000000\r\n",
        "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.\r\n",
    };
    skald_key expired = {.scopes = SKALD_SCOPE_ADMIN}, key;
    const api_answer *answer;
    skald_str text;
    char header[512];
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        answer = door_ask(&at, bad[i], "GET", "/api/events", NULL);
        answer_is(answer, 401);
        assert_non_null(strstr(answer->head, "WWW-Authenticate: Bearer realm=\"skald\""));
        answer_shows(answer, "AUTHENTICATION_ERROR");
    }
    // A good one spoilt in each place.
    for (size_t i = strlen("Authorization: Bearer "); i < strlen(at.admin) - 2; i += 7) {
        (void)snprintf(header, sizeof header, "%s", at.admin);
        header[i] = header[i] == 'f' ? '0' : 'f';
        answer = door_ask(&at, header, "GET", "/api/events", NULL);
        assert_true(answer->status == 401 || answer->status == 429);
        answer_hides(answer, header + i);
    }
    (void)snprintf(header, sizeof header, "%s%s", at.admin, at.admin);
    assert_true(door_ask(&at, header, "GET", "/api/events", NULL)->status != 200);
    assert_int_equal(door_ask(&at, at.admin, "GET", "/api/events", NULL)->status, 200);
    // The form of a time that is over is not taken; one that is over when it is asked is refused.
    expired.expires_at = 1;
    assert_int_equal(skald_key_create(at.world.store, &expired, at.arena, &key, &text, NULL),
                     SKALD_EINVALID);
    door_close(&at);
}

static void brute_force_is_bounded(void **state)
{
    const char *wrong = "Authorization: Bearer skald_0123456789abcdef_"
                        "00000000000000000000000000000000000000000000000000000000000000aa\r\n";
    int refused = 0;
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    for (int i = 0; i < 400 && refused < 10; i++) {
        const api_answer *answer = door_ask(&at, wrong, "GET", "/api/events", NULL);

        if (answer->status == 429) {
            refused++;
            assert_non_null(strstr(answer->head, "Retry-After: "));
            answer_shows(answer, "RATE_LIMITED");
        } else {
            answer_is(answer, 401);
        }
    }
    assert_true(refused >= 10);
    // Whoever has a key comes in meanwhile, and sees that it was told, once.
    const api_answer *told = NULL;
    for (int i = 0; i < 200 && !(told && strstr(told->body, "security.auth.failed")); i++) {
        told = door_ask(&at, at.admin, "GET", "/api/events?type=security.*", NULL);
        (void)usleep(10000);
    }
    answer_shows(told, "security.auth.failed");
    assert_null(strstr(strstr(told->body, "security.auth.failed") + 1, "security.auth.failed"));
    answer_hides(told, "0123456789abcdef");
    door_close(&at);
}

static void a_key_in_a_url_is_refused(void **state)
{
    const api_answer *answer;
    char path[512];
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    const char *key = at.admin + strlen("Authorization: Bearer ");
    (void)snprintf(path, sizeof path, "/api/events?key=%.*s", (int)strlen(key) - 2, key);
    answer = door_ask(&at, NULL, "GET", path, NULL);
    answer_is(answer, 400);
    answer_hides(answer, "skald_");
    answer_is(door_ask(&at, at.admin, "GET", path, NULL), 400);
    (void)snprintf(path, sizeof path, "/api/streams/a-%.*s", (int)strlen(key) - 2, key);
    answer = door_ask(&at, NULL, "GET", path, NULL);
    answer_is(answer, 400);
    answer_hides(answer, "skald_");
    answer_is(door_ask(&at, NULL, "GET", "/api/events?access_token=x", NULL), 400);
    door_close(&at);
}

static void scopes_are_held(void **state)
{
    const api_answer *answer;
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    answer_is(door_ask(&at, at.reader, "GET", "/api/events", NULL), 200);
    answer = door_ask(&at, at.reader, "POST", "/api/events", "{\"type\":\"a.b\"}");
    answer_is(answer, 403);
    answer_shows(answer, "events:publish");
    assert_non_null(strstr(answer->head, "error=\"insufficient_scope\", scope=\"events:publish\""));
    answer_is(door_ask(&at, at.shop, "GET", "/api/keys", NULL), 403);
    answer_is(door_ask(&at, at.shop, "GET", "/metrics", NULL), 403);
    answer_is(door_ask(&at, at.shop, "GET", "/api/admin/config", NULL), 403);
    answer_is(door_ask(&at, at.shop, "PUT", "/api/types/a.b", "{\"aliases\":[\"A_B\"]}"), 403);
    answer_is(door_ask(&at, at.shop, "DELETE", "/api/streams/x-1", NULL), 403);
    answer_is(door_ask(&at, at.admin, "GET", "/metrics", NULL), 200);
    answer_is(door_ask(&at, NULL, "GET", "/health", NULL), 200);
    answer_is(door_ask(&at, NULL, "GET", "/ready", NULL), 200);
    answer_is(door_ask(&at, NULL, "GET", "/no/such/path", NULL), 401);
    answer_is(door_ask(&at, at.shop, "GET", "/no/such/path", NULL), 404);
    // What is promised is not there for anybody who is known, whatever they may do.
    answer_is(door_ask(&at, at.reader, "GET", "/api/webhooks", NULL), 501);
    answer_is(door_ask(&at, at.shop, "POST", "/api/webhooks", "{}"), 501);
    answer_is(door_ask(&at, NULL, "GET", "/api/webhooks", NULL), 401);
    // What only the platform says.
    for (size_t i = 0; i < 3; i++) {
        static const char *const bodies[] = {"{\"type\":\"system.startup\"}",
                                             "{\"type\":\"audit.key.created\"}",
                                             "{\"type\":\"security.auth.failed\"}"};
        answer_is(door_ask(&at, at.shop, "POST", "/api/events", bodies[i]), 403);
        answer_is(door_ask(&at, at.admin, "POST", "/api/events", bodies[i]), 201);
    }
    door_close(&at);
}

// What needs no key shows more to whoever has one, and no less to whoever has a wrong one.
static void readiness_names_nobody_to_strangers(void **state)
{
    const char *wrong = "Authorization: Bearer skald_0123456789abcdef_"
                        "00000000000000000000000000000000000000000000000000000000000000aa\r\n";
    const char *metrics;
    int status = 200;
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    metrics = door_key(&at, &(skald_key){.scopes = SKALD_SCOPE_METRICS});
    api_world_reopen(&at.world);
    answer_hides(door_ask(&at, NULL, "GET", "/ready", NULL), "\"faulted\":[");
    answer_hides(door_ask(&at, at.shop, "GET", "/ready", NULL), "\"faulted\":[");
    answer_shows(door_ask(&at, at.admin, "GET", "/ready", NULL), "\"faulted\":[");
    answer_shows(door_ask(&at, metrics, "GET", "/ready", NULL), "\"faulted\":[");
    answer_is(door_ask(&at, wrong, "GET", "/ready", NULL), 200);
    answer_hides(door_ask(&at, wrong, "GET", "/ready", NULL), "\"faulted\":[");
    for (int i = 0; i < 60 && status == 200; i++)
        status = door_ask(&at, wrong, "GET", "/health", NULL)->status;
    assert_int_equal(status, 429);
    answer_is(door_ask(&at, NULL, "GET", "/health", NULL), 200);
    door_close(&at);
}

static void tenant_and_actor_come_from_the_key(void **state)
{
    const api_answer *answer;
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    answer_is(door_ask(&at, at.shop, "POST", "/api/events",
                       "{\"type\":\"a.b\",\"tenantId\":\"umbra\"}"),
              400);
    answer_is(door_ask(&at, at.shop, "POST", "/api/events",
                       "{\"type\":\"a.b\",\"tenantId\":\"acme\"}"),
              400);
    answer_is(door_ask(&at, at.shop, "POST", "/api/events",
                       "{\"type\":\"a.b\",\"actor\":{\"userId\":\"root\"}}"),
              400);
    answer_is(door_ask(&at, at.shop, "POST", "/api/events",
                       "[{\"type\":\"a.b\"},{\"type\":\"a.c\"}]"),
              201);
    answer = api_ask(&at.world, "POST", "/api/events", "application/x-ndjson",
                     SKALD_STR("{\"type\":\"a.d\"}\n{\"type\":\"a.e\",\"tenantId\":\"umbra\"}\n"
                               "{\"type\":\"system.x\"}\n"),
                     at.shop);
    answer_is(answer, 200);
    assert_int_equal(api_number(answer->body, "accepted"), 1);
    assert_int_equal(api_number(answer->body, "rejected"), 2);
    answer = door_ask(&at, at.shop, "GET", "/api/events", NULL);
    answer_shows(answer, "\"tenantId\":\"acme\"");
    answer_shows(answer, "\"userId\":\"key:");
    answer_is(door_ask(&at, at.admin, "POST", "/api/events",
                       "{\"type\":\"a.f\",\"tenantId\":\"umbra\",\"actor\":{\"userId\":\"bob\"}}"),
              201);
    answer_shows(door_ask(&at, at.other, "GET", "/api/events", NULL), "\"bob\"");
    // The same CloudEvent of two tenants is two events.
    for (size_t i = 0; i < 2; i++) {
        answer = api_ask(&at.world, "POST", "/api/events", "application/cloudevents+json",
                         SKALD_STR("{\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"s\","
                                   "\"type\":\"ce.made\"}"),
                         i ? at.other : at.shop);
        answer_is(answer, 201);
    }
    door_close(&at);
}

// Everything that belongs to another tenant is not there.
static void another_tenant_is_not_there(void **state)
{
    char id[64], path[256];
    const api_answer *answer;
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    answer =
        door_ask(&at, at.shop, "POST", "/api/streams/order-1",
                 "{\"type\":\"order.secret\",\"data\":{\"a\":1},\"correlationId\":\"corr-9\"}");
    answer_is(answer, 201);
    answer_text(answer, "id", id, sizeof id);
    (void)snprintf(path, sizeof path, "/api/events/%s", id);
    answer_is(door_ask(&at, at.shop, "GET", path, NULL), 200);
    answer_is(door_ask(&at, at.other, "GET", path, NULL), 404);
    answer_is(door_ask(&at, at.other, "GET", "/api/streams/order-1", NULL), 404);
    answer_is(door_ask(&at, at.other, "GET", "/api/events?tenantId=acme", NULL), 404);
    answer_is(door_ask(&at, at.other, "GET", "/api/events/stream?tenantId=acme", NULL), 404);
    answer_is(door_ask(&at, at.other, "GET", "/api/streams/order-1/metadata?tenantId=acme", NULL),
              404);
    static const char *const lists[] = {
        "/api/events",
        "/api/events?type=order.secret",
        "/api/events?stream=order-1",
        "/api/events/stats",
        "/api/events/history",
        "/api/streams",
        "/api/types",
        "/api/events/stats?scope=store",
        "/api/events?correlationId=corr-9",
        "/api/streams?prefix=order",
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        answer = door_ask(&at, at.other, "GET", lists[i], NULL);
        answer_is(answer, 200);
        answer_hides(answer, "order.secret");
        answer_hides(answer, "order-1");
    }
    answer_is(door_ask(&at, at.other, "GET", "/api/events/trace/corr-9", NULL), 404);
    answer_is(door_ask(&at, at.shop, "GET", "/api/events/trace/corr-9", NULL), 200);
    answer_is(door_ask(&at, at.shop, "PUT", "/api/streams/order-1/snapshot",
                       "{\"streamVersion\":1,\"data\":{\"s\":1}}"),
              200);
    answer_is(door_ask(&at, at.other, "GET", "/api/streams/order-1/snapshot", NULL), 404);
    door_close(&at);
}

// A key without a tenant is of the default one, which must never be taken for every tenant.
static void the_default_tenant_is_a_tenant(void **state)
{
    static const char *const lists[] = {"/api/events", "/api/events/stats", "/api/events/history",
                                        "/api/streams", "/api/types"};
    const char *group = "{\"name\":\"mine\",\"from\":\"start\"}", *plain;
    char buf[16384] = "", request[512];
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    plain = door_key(&at, &(skald_key){.scopes = SKALD_SCOPE_READ | SKALD_SCOPE_PUBLISH});
    api_world_reopen(&at.world);
    answer_is(door_ask(&at, at.shop, "POST", "/api/streams/order-1", "{\"type\":\"order.secret\"}"),
              201);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        answer_hides(door_ask(&at, plain, "GET", lists[i], NULL), "order.secret");
    answer_is(door_ask(&at, plain, "GET", "/api/streams/order-1", NULL), 404);
    answer_is(door_ask(&at, plain, "GET", "/api/events?tenantId=acme", NULL), 404);
    answer_is(door_ask(&at, plain, "POST", "/api/subscriptions", group), 201);
    answer_hides(door_ask(&at, plain, "GET", "/api/subscriptions/mine/deliveries?waitMs=50", NULL),
                 "order.secret");
    api_world_reopen(&at.world);
    answer_hides(door_ask(&at, plain, "GET", "/api/subscriptions/mine/deliveries?waitMs=50", NULL),
                 "order.secret");
    int fd = api_connect(&at.world);
    (void)snprintf(request, sizeof request,
                   "GET /api/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n%s\r\n", plain);
    api_send(fd, skald_str_of(request));
    answer_is(door_ask(&at, at.shop, "POST", "/api/events", "{\"type\":\"order.secret\"}"), 201);
    answer_is(door_ask(&at, plain, "POST", "/api/events", "{\"type\":\"my.own\"}"), 201);
    assert_true(api_read_until(fd, buf, sizeof buf, "my.own"));
    assert_null(strstr(buf, "order.secret"));
    (void)close(fd);
    answer_shows(door_ask(&at, plain, "GET", "/api/subscriptions/mine/deliveries?waitMs=5000",
                          NULL),
                 "my.own");
    door_close(&at);
}

// A CloudEvent in headers is stamped like any other, and headers cannot become two.
static void headers_are_held_too(void **state)
{
    const char *ce = "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: s\r\nce-type: ";
    char headers[1024];
    const api_answer *answer;
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){.cors_origins = "https://a.example"});
    (void)snprintf(headers, sizeof headers, "%s%ssystem.startup\r\n", at.shop, ce);
    answer_is(api_ask(&at.world, "POST", "/api/events", "application/json", SKALD_STR("1"),
                      headers),
              403);
    (void)snprintf(headers, sizeof headers, "%s%sa.b\r\nce-tenantid: umbra\r\n", at.shop, ce);
    answer_is(api_ask(&at.world, "POST", "/api/events", "application/json", SKALD_STR("1"),
                      headers),
              400);
    (void)snprintf(headers, sizeof headers, "%s%sa.b\r\n", at.shop, ce);
    answer_is(api_ask(&at.world, "POST", "/api/events", "application/json", SKALD_STR("1"),
                      headers),
              201);
    static const char *const split[] = {"X-Correlation-ID: a%0d%0aX-Evil: 1\r\n",
                                        "X-Correlation-ID: a\rX-Evil: 1\r\n",
                                        "Origin: https://a.example\tX-Evil: 1\r\n",
                                        "X-Correlation-ID: a\n X-Evil: 1\r\n"};
    for (size_t i = 0; i < sizeof split / sizeof *split; i++) {
        (void)snprintf(headers, sizeof headers, "%s%s", at.shop, split[i]);
        answer = door_ask(&at, headers, "GET", "/api/events", NULL);
        assert_null(strstr(answer->head, "\nX-Evil"));
        assert_null(strstr(answer->head, "\rX-Evil"));
    }
    door_close(&at);
}

// Groups of one name, of two tenants, never meet.
static void groups_belong_to_tenants(void **state)
{
    const char *group = "{\"name\":\"mailer\",\"from\":\"start\"}";
    const api_answer *answer;
    char delivery[128], body[256];
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    answer_is(door_ask(&at, at.shop, "POST", "/api/events", "{\"type\":\"order.secret\"}"), 201);
    answer_is(door_ask(&at, at.other, "GET", "/api/subscriptions/mailer", NULL), 404);
    answer = door_ask(&at, at.shop, "POST", "/api/subscriptions", group);
    answer_is(answer, 201);
    answer_shows(answer, "\"name\":\"mailer\"");
    answer_is(door_ask(&at, at.shop, "POST", "/api/subscriptions", group), 200);
    answer_is(door_ask(&at, at.other, "GET", "/api/subscriptions/mailer", NULL), 404);
    answer_is(door_ask(&at, at.other, "GET", "/api/subscriptions/acme%2Fmailer", NULL), 404);
    answer_hides(door_ask(&at, at.other, "GET", "/api/subscriptions", NULL), "mailer");
    answer_shows(door_ask(&at, at.shop, "GET", "/api/subscriptions", NULL), "\"name\":\"mailer\"");
    answer_shows(door_ask(&at, at.admin, "GET", "/api/subscriptions", NULL),
                 "\"name\":\"acme/mailer\"");
    answer_is(door_ask(&at, at.other, "GET", "/api/subscriptions/mailer/deliveries", NULL), 404);
    answer_is(door_ask(&at, at.other, "DELETE", "/api/subscriptions/mailer", NULL), 404);
    answer_is(door_ask(&at, at.other, "POST", "/api/subscriptions", group), 201);
    answer = door_ask(&at, at.other, "GET", "/api/subscriptions/mailer/deliveries", NULL);
    answer_is(answer, 200);
    answer_hides(answer, "order.secret");
    answer =
        door_ask(&at, at.shop, "GET", "/api/subscriptions/mailer/deliveries?waitMs=5000", NULL);
    answer_shows(answer, "order.secret");
    answer_text(answer, "deliveryId", delivery, sizeof delivery);
    (void)snprintf(body, sizeof body, "{\"deliveries\":[\"%s\"]}", delivery);
    answer = door_ask(&at, at.other, "POST", "/api/subscriptions/mailer/ack", body);
    answer_is(answer, 200);
    assert_int_equal(api_number(answer->body, "accepted"), 0);
    answer = door_ask(&at, at.shop, "POST", "/api/subscriptions/mailer/ack", body);
    assert_int_equal(api_number(answer->body, "accepted"), 1);
    // Both run again after a restart.
    api_world_reopen(&at.world);
    answer_is(door_ask(&at, at.shop, "GET", "/api/subscriptions/mailer", NULL), 200);
    answer_is(door_ask(&at, at.other, "DELETE", "/api/subscriptions/mailer", NULL), 200);
    answer_is(door_ask(&at, at.shop, "GET", "/api/subscriptions/mailer", NULL), 200);
    answer_is(door_ask(&at, at.shop, "POST", "/api/subscriptions",
                       "{\"name\":\"x\",\"filter\":{\"tenantId\":\"umbra\"}}"),
              400);
    door_close(&at);
}

static void a_narrowed_key_sees_what_it_names(void **state)
{
    const api_answer *answer;
    char id[64], path[256];
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    answer_is(door_ask(&at, at.shop, "POST", "/api/streams/order-1", "{\"type\":\"order.made\"}"),
              201);
    answer_is(door_ask(&at, at.shop, "POST", "/api/streams/order-1", "{\"type\":\"pay.made\"}"),
              201);
    answer = door_ask(&at, at.shop, "POST", "/api/streams/pay-1", "{\"type\":\"order.paid\"}");
    answer_text(answer, "id", id, sizeof id);
    answer = door_ask(&at, at.narrow, "GET", "/api/events", NULL);
    answer_is(answer, 200);
    answer_shows(answer, "order.made");
    answer_hides(answer, "pay.made");
    answer_hides(answer, "order.paid");
    answer_hides(door_ask(&at, at.narrow, "GET", "/api/streams/order-1", NULL), "pay.made");
    answer_is(door_ask(&at, at.narrow, "GET", "/api/streams/pay-1", NULL), 404);
    (void)snprintf(path, sizeof path, "/api/events/%s", id);
    answer_is(door_ask(&at, at.narrow, "GET", path, NULL), 404);
    answer_is(door_ask(&at, at.narrow, "GET", "/api/events?type=pay.made", NULL), 403);
    answer_is(door_ask(&at, at.narrow, "GET", "/api/events?type=order.made&type=pay.made", NULL),
              200);
    answer_hides(door_ask(&at, at.narrow, "GET", "/api/events?type=order.made&type=pay.made", NULL),
                 "pay.made");
    answer_hides(door_ask(&at, at.narrow, "GET", "/api/events?type=*", NULL), "pay.made");
    answer_is(door_ask(&at, at.narrow, "GET", "/api/events?category=pay", NULL), 403);
    static const char *const whole[] = {"/api/events/stats", "/api/events/history", "/api/streams",
                                        "/api/types", "/api/streams/order-1/snapshot"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        answer_is(door_ask(&at, at.narrow, "GET", whole[i], NULL), 403);
    answer_is(door_ask(&at, at.narrow, "POST", "/api/streams/order-2", "{\"type\":\"order.made\"}"),
              201);
    answer_is(door_ask(&at, at.narrow, "POST", "/api/streams/order-2", "{\"type\":\"pay.made\"}"),
              403);
    answer_is(door_ask(&at, at.narrow, "POST", "/api/streams/pay-2", "{\"type\":\"order.made\"}"),
              403);
    answer_is(door_ask(&at, at.narrow, "POST", "/api/events", "{\"type\":\"order.made\"}"), 403);
    answer_is(door_ask(&at, at.narrow, "POST", "/api/subscriptions", "{\"name\":\"all\"}"), 403);
    answer_is(door_ask(&at, at.narrow, "POST", "/api/subscriptions",
                       "{\"name\":\"some\",\"filter\":{\"types\":[\"order.*\"],"
                       "\"categories\":[\"order\"]}}"),
              201);
    answer_is(door_ask(&at, at.shop, "POST", "/api/subscriptions", "{\"name\":\"all\"}"), 201);
    answer_is(door_ask(&at, at.narrow, "GET", "/api/subscriptions/all/deliveries", NULL), 404);
    door_close(&at);
}

// A live stream ends when its key does.
static void a_revoked_key_sees_nothing_more(void **state)
{
    char buf[8192] = "", path[64], request[512];
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    int fd = api_connect(&at.world);
    (void)snprintf(request, sizeof request,
                   "GET /api/events/stream HTTP/1.1\r\nHost: localhost\r\n"
                   "Connection: close\r\n%s\r\n",
                   at.shop);
    api_send(fd, skald_str_of(request));
    assert_true(api_read_until(fd, buf, sizeof buf, "id: "));
    answer_is(door_ask(&at, at.shop, "POST", "/api/events", "{\"type\":\"seen.before\"}"), 201);
    assert_true(api_read_until(fd, buf, sizeof buf, "seen.before"));
    const char *id = strstr(at.shop, "skald_") + 6;
    (void)snprintf(path, sizeof path, "/api/keys/%.16s", id);
    answer_is(door_ask(&at, at.other, "DELETE", path, NULL), 403);
    answer_is(door_ask(&at, at.admin, "DELETE", path, NULL), 200);
    answer_is(door_ask(&at, at.shop, "GET", "/api/events", NULL), 401);
    answer_is(door_ask(&at, at.admin, "POST", "/api/events",
                       "{\"type\":\"seen.after\",\"tenantId\":\"acme\"}"),
              201);
    assert_false(api_read_until(fd, buf, sizeof buf, "seen.after"));
    (void)close(fd);
    // And both deeds are on record.
    const api_answer *told = door_ask(&at, at.admin, "GET", "/api/events?type=audit.key.*", NULL);
    answer_shows(told, "audit.key.created");
    answer_shows(told, "audit.key.revoked");
    door_close(&at);
}

static void keys_of_a_tenant_stay_in_it(void **state)
{
    const api_answer *answer;
    const char *boss;
    door at;

    (void)state;
    door_open(&at, &(ski_api_options){0});
    boss = door_key(&at, &(skald_key){.scopes = SKALD_SCOPE_ADMIN, .tenant = SKALD_STR("acme")});
    api_world_reopen(&at.world);
    answer = door_ask(&at, boss, "GET", "/api/keys", NULL);
    answer_is(answer, 200);
    answer_shows(answer, "acme");
    answer_hides(answer, "umbra");
    answer_hides(answer, "root");
    char path[64];
    (void)snprintf(path, sizeof path, "/api/keys/%.16s", strstr(at.other, "skald_") + 6);
    answer_is(door_ask(&at, boss, "DELETE", path, NULL), 404);
    (void)snprintf(path, sizeof path, "/api/keys/%.16s", strstr(at.admin, "skald_") + 6);
    answer_is(door_ask(&at, boss, "DELETE", path, NULL), 404);
    answer_is(door_ask(&at, boss, "POST", "/api/keys",
                       "{\"scopes\":[\"events:read\"],\"tenantId\":\"umbra\"}"),
              400);
    answer_is(door_ask(&at, boss, "POST", "/api/keys", "{\"scopes\":[\"metrics\"]}"), 403);
    answer = door_ask(&at, boss, "POST", "/api/keys", "{\"scopes\":[\"admin\"]}");
    answer_is(answer, 201);
    answer_shows(answer, "\"tenantId\":\"acme\"");
    answer_is(door_ask(&at, boss, "GET", "/metrics", NULL), 403);
    answer_is(door_ask(&at, boss, "GET", "/api/admin/config", NULL), 403);
    answer_is(door_ask(&at, boss, "PUT", "/api/types/a.b", "{\"aliases\":[\"A_B\"]}"), 403);
    answer_is(door_ask(&at, boss, "POST", "/api/events",
                       "{\"type\":\"a.b\",\"tenantId\":\"umbra\"}"),
              400);
    door_close(&at);
}

static void limits_are_told(void **state)
{
    ski_api_options options = {.rate = {.publish = 60, .burst = 3, .per_key = 600}};
    const api_answer *answer = NULL;
    door at;

    (void)state;
    door_open(&at, &options);
    for (int i = 0; i < 3; i++) {
        answer = door_ask(&at, at.shop, "POST", "/api/events", "{\"type\":\"a.b\"}");
        answer_is(answer, 201);
    }
    assert_non_null(strstr(answer->head, "RateLimit-Policy: \"key\";q=3;w=1, \"publish\";q=3;w=3"));
    assert_non_null(strstr(answer->head, "RateLimit: "));
    for (int i = 0; i < 100; i++) {
        answer = door_ask(&at, at.shop, "POST", "/api/events", "{\"type\":\"a.b\"}");
        if (answer->status == 429) break;
    }
    answer_is(answer, 429);
    answer_shows(answer, "RATE_LIMITED");
    assert_non_null(strstr(answer->head, "Retry-After: 1"));
    // Another key has its own.
    answer_is(door_ask(&at, at.other, "POST", "/api/events", "{\"type\":\"a.b\"}"), 201);
    for (int i = 0; i < 200; i++) {
        answer = door_ask(&at, at.admin, "GET", "/api/events?type=security.*", NULL);
        if (strstr(answer->body, "security.rate.limit.exceeded")) break;
        (void)usleep(10000);
    }
    answer_shows(answer, "security.rate.limit.exceeded");
    door_close(&at);
}

static void pages_of_the_list_may_ask(void **state)
{
    ski_api_options options = {.cors_origins = "https://app.example.com http://localhost:5173"};
    const char *preflight = "Origin: https://app.example.com\r\n"
                            "Access-Control-Request-Method: POST\r\n";
    const api_answer *answer;
    char headers[512];
    door at;

    (void)state;
    door_open(&at, &options);
    answer = door_ask(&at, preflight, "OPTIONS", "/api/events", NULL);
    answer_is(answer, 204);
    assert_non_null(strstr(answer->head, "Access-Control-Allow-Origin: https://app.example.com\r"));
    static const char *const headers_taken[] = {"Authorization", "If-None-Match", "Tracestate",
                                                "Content-Encoding", "Ce-Specversion"};
    for (size_t i = 0; i < sizeof headers_taken / sizeof *headers_taken; i++)
        assert_non_null(strstr(answer->head, headers_taken[i]));
    assert_null(strstr(answer->head, "Allow-Credentials"));
    answer = door_ask(&at,
                      "Origin: https://app.example.com.evil.net\r\n"
                      "Access-Control-Request-Method: POST\r\n",
                      "OPTIONS", "/api/events", NULL);
    assert_null(strstr(answer->head, "Access-Control-Allow"));
    (void)snprintf(headers, sizeof headers, "Origin: https://app.example.com\r\n%s", at.shop);
    answer = door_ask(&at, headers, "GET", "/api/events", NULL);
    answer_is(answer, 200);
    assert_non_null(strstr(answer->head, "Access-Control-Allow-Origin: https://app.example.com\r"));
    assert_non_null(strstr(answer->head, "Vary: Origin"));
    answer = door_ask(&at, "Origin: https://app.example.com\r\n", "GET", "/api/events", NULL);
    answer_is(answer, 401);
    assert_non_null(strstr(answer->head, "Access-Control-Allow-Origin"));
    door_close(&at);
}

static void strangers_need_keys(void **state)
{
    const ski_http_options everywhere = {.host = "0.0.0.0"};
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    ski_api *api = NULL;
    skald_error error = {0};

    (void)state;
    assert_int_equal(skald_store_open("memory:", NULL, &store, &error), SKALD_OK);
    assert_int_equal(skald_bus_new(store, &(skald_bus_options){0}, &bus), SKALD_OK);
    ski_api_options options = {.bus = bus, .event_bytes_max = 1024};
    assert_int_equal(ski_api_new(&options, &api, NULL), SKALD_OK);
    assert_int_equal(ski_api_serve(api, &everywhere, &error), SKALD_EDENIED);
    assert_non_null(strstr(error.text, "skald keys create --data DIR"));
    ski_api_free(api);
    options.cors_origins = "*";
    assert_int_equal(ski_api_new(&options, &api, NULL), SKALD_OK);
    assert_int_equal(ski_api_serve(api, &(ski_http_options){.host = "127.0.0.1"}, &error),
                     SKALD_EINVALID);
    ski_api_free(api);
    skald_bus_free(bus);
    skald_store_close(store);
}

static void kept(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

// A key that cannot be read must not be passed over: perhaps it was to narrow somebody.
static void a_damaged_key_stops_the_start(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"id\":\"0123456789abcdef\",\"scopes\":\"admin\"}",
        "{\"id\":\"0123456789abcdef\",\"scopes\":\"admin\",\"hash\":\"00\"}",
        "{\"id\":\"0123456789abcdef\",\"scopes\":\"root\",\"hash\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}",
        "{\"id\":\"0123456789abcdef\",\"scopes\":\"admin\",\"only\":1,\"hash\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}",
        "{\"id\":\"0123456789abcdef\",\"scopes\":\"admin\",\"types\":[7],\"hash\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}"};
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    ski_api *api = NULL;

    (void)state;
    assert_int_equal(skald_store_open("memory:", NULL, &store, NULL), SKALD_OK);
    assert_int_equal(skald_bus_new(store, &(skald_bus_options){0}, &bus), SKALD_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        skald_store_value value = {SKALD_STR("key/0123456789abcdef"), skald_str_of(bad[i])};
        skald_err outcome = SKALD_OK;
        skald_store_batch batch = {
            .values = &value, .value_count = 1, .done = kept, .context = &outcome};
        ski_api_options options = {.bus = bus};
        skald_error error = {0};

        assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
        assert_int_equal(ski_api_new(&options, &api, NULL), SKALD_OK);
        assert_int_equal(ski_api_serve(api, &(ski_http_options){.host = "127.0.0.1"}, &error),
                         SKALD_ECORRUPT);
        assert_non_null(strstr(error.text, "API key"));
        ski_api_free(api);
    }
    skald_bus_free(bus);
    skald_store_close(store);
}

static void there_is_a_limit_to_keys(void **state)
{
    skald_store *store = NULL;
    skald_arena *arena = NULL;
    skald_key asked = {.scopes = SKALD_SCOPE_READ}, key = {0};
    const skald_key *keys;
    skald_error error = {0};
    skald_str text, first;
    size_t count = 0;

    (void)state;
    assert_int_equal(skald_arena_new((size_t)1 << 32, &arena), SKALD_OK);
    assert_int_equal(skald_store_open("memory:", NULL, &store, &error), SKALD_OK);
    assert_int_equal(skald_key_create(store, &asked, arena, &key, &text, NULL), SKALD_OK);
    first = skald_arena_print(arena, "%.*s", SKALD_FMT(key.id));
    for (int i = 1; i < SKALD_KEYS_MAX; i++) {
        skald_arena *each = NULL;

        assert_int_equal(skald_arena_new(1 << 24, &each), SKALD_OK);
        assert_int_equal(skald_key_create(store, &asked, each, &key, &text, NULL), SKALD_OK);
        skald_arena_free(each);
    }
    assert_int_equal(skald_key_create(store, &asked, arena, &key, &text, &error), SKALD_EFULL);
    // A revoked one makes room.
    assert_int_equal(skald_key_revoke(store, SKALD_STR("0000000000000000"), NULL), SKALD_ENOTFOUND);
    assert_int_equal(skald_key_revoke(store, first, NULL), SKALD_OK);
    assert_int_equal(skald_key_revoke(store, first, NULL), SKALD_OK);
    assert_int_equal(skald_key_create(store, &asked, arena, &key, &text, &error), SKALD_OK);
    assert_int_equal(skald_keys_list(store, arena, &keys, &count, NULL), SKALD_OK);
    assert_int_equal(count, SKALD_KEYS_MAX);
    skald_store_close(store);
    skald_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_until_there_is_a_key),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(brute_force_is_bounded),
        cmocka_unit_test(a_key_in_a_url_is_refused),
        cmocka_unit_test(scopes_are_held),
        cmocka_unit_test(readiness_names_nobody_to_strangers),
        cmocka_unit_test(tenant_and_actor_come_from_the_key),
        cmocka_unit_test(another_tenant_is_not_there),
        cmocka_unit_test(the_default_tenant_is_a_tenant),
        cmocka_unit_test(headers_are_held_too),
        cmocka_unit_test(groups_belong_to_tenants),
        cmocka_unit_test(a_narrowed_key_sees_what_it_names),
        cmocka_unit_test(a_revoked_key_sees_nothing_more),
        cmocka_unit_test(keys_of_a_tenant_stay_in_it),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(pages_of_the_list_may_ask),
        cmocka_unit_test(strangers_need_keys),
        cmocka_unit_test(a_damaged_key_stops_the_start),
        cmocka_unit_test(there_is_a_limit_to_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
