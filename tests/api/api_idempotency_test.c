// SPDX-License-Identifier: Apache-2.0
// Idempotency-Key: the same request again gets the first reply, byte for byte, and does nothing
// twice; over a restart, and when the process died between the append and the reply.
#include "api/api_idempotency.h"
#include "api/http_client.h"
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the four above first
#include <cmocka.h>

static const char order[] = "{\"type\":\"order.created\",\"stream\":\"order-1\",\"data\":1}";

// The hour is the test's: keys live for a day.
static _Atomic skald_time now_us = 1767225600000000;

static skald_time now(void *context)
{
    (void)context;
    return now_us;
}

static uint64_t monotonic_ns(void *context)
{
    (void)context;
    return (uint64_t)now_us * 1000;
}

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

static const api_answer *post_keyed(const api_world *world, const char *path, const char *body,
                                    const char *key)
{
    char header[400];

    (void)snprintf(header, sizeof header, "Idempotency-Key: %s\r\n", key);
    return api_ask(world, "POST", path, "application/json", skald_str_of(body), header);
}

static char *body_kept(const api_answer *answer, int status)
{
    char *copy = strdup(answer->body);

    assert_int_equal(answer->status, status);
    assert_non_null(copy);
    return copy;
}

static void expect_again(const api_answer *answer, int status, const char *body)
{
    assert_int_equal(answer->status, status);
    assert_string_equal(answer->body, body);
    assert_non_null(strstr(answer->head, "Idempotency-Replayed: true"));
}

static void replays_the_first_reply(void **state)
{
    char *first = body_kept(post_keyed(*state, "/api/events", order, "\"a\""), 201);

    expect_again(post_keyed(*state, "/api/events", order, "\"a\""), 201, first);
    expect_again(post_keyed(*state, "/api/events", order, "a"), 201, first); // quoted or not
    assert_non_null(
        strstr(post_keyed(*state, "/api/events", order, "a")->head, "X-Event-Position: 1"));
    // Another key, and another route, are other requests.
    assert_null(strstr(post_keyed(*state, "/api/events", order, "b")->head, "Replayed"));
    assert_null(strstr(post_keyed(*state, "/api/streams/order-1", order, "a")->head, "Replayed"));
    assert_int_equal(api_number(api_get(*state, "/api/events/stats")->body, "totalEvents"), 3);
    free(first);
}

static void refuses_another_body(void **state)
{
    const api_answer *answer;

    assert_int_equal(post_keyed(*state, "/api/events", order, "a")->status, 201);
    answer = post_keyed(*state, "/api/events", "{\"type\":\"order.paid\"}", "a");
    assert_int_equal(answer->status, 422);
    assert_non_null(strstr(answer->body, "IDEMPOTENCY_KEY_REUSED"));
    answer = post_keyed(*state, "/api/events?ack=memory", order, "a");
    assert_int_equal(answer->status, 422);
    assert_int_equal(api_number(api_get(*state, "/api/events/stats")->body, "totalEvents"), 1);
}

static void keeps_success_only(void **state)
{
    const char *paid = "{\"type\":\"order.paid\",\"stream\":\"order-1\",\"expectedVersion\":1}";

    assert_int_equal(post_keyed(*state, "/api/events", paid, "a")->status, 409);
    assert_int_equal(api_post(*state, "/api/events", order)->status, 201);
    assert_int_equal(post_keyed(*state, "/api/events", paid, "a")->status, 201); // tried anew
    assert_int_equal(post_keyed(*state, "/api/events", paid, "a")->status, 201); // and kept
    assert_int_equal(post_keyed(*state, "/api/events", "{", "b")->status, 400);
    assert_int_equal(post_keyed(*state, "/api/events", order, "b")->status, 201);
}

static void serves_every_post(void **state)
{
    const char *group = "{\"name\":\"mailer\"}";
    char *first = body_kept(post_keyed(*state, "/api/subscriptions", group, "a"), 201);

    expect_again(post_keyed(*state, "/api/subscriptions", group, "a"), 201, first);
    free(first);
    first = body_kept(post_keyed(*state, "/api/events/test", "{}", "a"), 201);
    expect_again(post_keyed(*state, "/api/events/test", "{}", "a"), 201, first);
    free(first);
    const char *none = "{\"deliveries\":[\"1-1\"]}";
    first = body_kept(post_keyed(*state, "/api/subscriptions/mailer/ack", none, "a"), 200);
    expect_again(post_keyed(*state, "/api/subscriptions/mailer/ack", none, "a"), 200, first);
    free(first);
}

static void refuses_what_is_no_key(void **state)
{
    char long_key[SKI_REPLAY_KEY_BYTES_MAX + 2];

    memset(long_key, 'k', sizeof long_key);
    long_key[sizeof long_key - 1] = 0;
    assert_int_equal(post_keyed(*state, "/api/events", order, long_key)->status, 400);
    long_key[SKI_REPLAY_KEY_BYTES_MAX] = 0;
    assert_int_equal(post_keyed(*state, "/api/events", order, long_key)->status, 201);
    assert_int_equal(post_keyed(*state, "/api/events", order, "\"\"")->status, 400);
    assert_int_equal(post_keyed(*state, "/api/events", order, "a\"b")->status, 400);
    const api_answer *answer = api_ask(*state, "POST", "/api/events", "application/x-ndjson",
                                       skald_str_of(order), "Idempotency-Key: lines\r\n");
    assert_int_equal(answer->status, 400);
    assert_non_null(strstr(answer->body, "an id of its own"));
}

static void survives_a_restart(void **state)
{
    char *first = body_kept(post_keyed(*state, "/api/events", order, "a"), 201);

    api_world_reopen(*state);
    expect_again(post_keyed(*state, "/api/events", order, "a"), 201, first);
    assert_int_equal(post_keyed(*state, "/api/events", "{\"type\":\"x.y\"}", "a")->status, 422);
    free(first);
}

// cut_reply makes a record what it is when the process died right behind the append: nothing
// stands behind the fingerprint, and the status is not known.
static bool cut_reply(void *context, const skald_store_value *value)
{
    enum { known_bytes = 84 };
    skald_buf *buf = context;

    assert_true(value->bytes.len > known_bytes);
    assert_int_equal(skald_buf_put(buf, value->name), SKALD_OK);
    assert_int_equal(ski_buf_byte(buf, 0), SKALD_OK);
    assert_int_equal(skald_buf_put(buf, (skald_str){value->bytes.ptr, known_bytes}), SKALD_OK);
    return false;
}

static void committed(skald_store_batch *batch, skald_err err)
{
    (void)batch;
    assert_int_equal(err, SKALD_OK);
}

static void survives_death_before_the_reply(void **state)
{
    const char *two = "[{\"type\":\"order.created\",\"stream\":\"order-7\",\"expectedVersion\":0},"
                      "{\"type\":\"mail.sent\",\"data\":{\"to\":1}}]";
    api_world *world = *state;
    char *first = body_kept(post_keyed(world, "/api/events", two, "a"), 201);
    skald_buf buf = {.bytes_max = 4096};

    api_world_reopen(world); // what was to be written is written
    assert_int_equal(ski_store_value_each(world->store, SKALD_STR("idempotency/"), cut_reply, &buf),
                     SKALD_OK);
    size_t name = strlen(buf.ptr);
    memset(buf.ptr + name + 2, 0, 3); // no correlation id, no status
    skald_store_value value = {{buf.ptr, name}, {buf.ptr + name + 1, buf.len - name - 1}};
    skald_store_batch batch = {.values = &value, .value_count = 1, .done = committed};
    assert_int_equal(ski_store_commit(world->store, &batch), SKALD_OK);
    skald_buf_fini(&buf);

    const api_answer *answer = post_keyed(world, "/api/events", two, "a");
    assert_int_equal(answer->status, 201);
    assert_string_equal(answer->body, first);
    expect_again(post_keyed(world, "/api/events", two, "a"), 201, first);
    assert_int_equal(api_number(api_get(world, "/api/events/stats")->body, "totalEvents"), 2);
    free(first);
}

static void forgets_after_a_day(void **state)
{
    const skald_clock clock = {now, monotonic_ns, NULL};
    const skald_store_options options = {.clock = &clock};
    api_world world = {0};

    (void)state;
    api_world_open(&world);
    skald_store *plain = world.store;
    assert_int_equal(skald_store_open("memory:", &options, &world.store, NULL), SKALD_OK);
    api_world_reopen(&world); // over the other store
    assert_int_equal(post_keyed(&world, "/api/events", order, "a")->status, 201);
    now_us += (skald_time)(SKI_REPLAY_KEPT_S - 1) * 1000000;
    assert_int_equal(post_keyed(&world, "/api/events", "{\"type\":\"x.y\"}", "a")->status, 422);
    now_us += 2000000;
    assert_int_equal(post_keyed(&world, "/api/events", "{\"type\":\"x.y\"}", "a")->status, 201);
    skald_store_close(plain);
    api_world_close(&world);
}

// A request that was never on a wire: what stands between two requests with one key, and what
// thousands of them do, is the same for it.
typedef struct made_request {
    ski_http_request request;
    ski_http_header header;
    ski_call call;
    char key[32];
} made_request;

static void make_request(const api_world *world, made_request *made, const char *path)
{
    *made = (made_request){.request = {.context = world->api, .method = SKALD_STR("POST")}};
    for (size_t i = 0; i < ski_route_count; i++) {
        if (strcmp(ski_routes[i].path, path) == 0 && strcmp(ski_routes[i].method, "POST") == 0)
            made->call.route = &ski_routes[i];
    }
    assert_non_null(made->call.route);
    made->request.call = &made->call;
    made->request.headers = &made->header;
    made->request.header_count = 1;
    made->header = (ski_http_header){SKALD_STR("Idempotency-Key"), SKALD_STR("a")};
    assert_int_equal(skald_arena_new(1 << 20, &made->request.scratch), SKALD_OK);
}

static void tells_of_one_in_progress(void **state)
{
    made_request one, other;
    skald_error error = {0};
    bool answered = false;

    make_request(*state, &one, "/api/events/test");
    make_request(*state, &other, "/api/events/test");
    assert_int_equal(ski_replay_begin(&one.request, &answered, &error), SKALD_OK);
    assert_int_equal(ski_replay_begin(&other.request, &answered, &error), SKALD_ESTATE);
    assert_int_equal(ski_http_status_of(&error), 409);
    ski_replay_abandon(&one.request);
    assert_int_equal(ski_replay_begin(&other.request, &answered, &error), SKALD_OK);
    ski_replay_abandon(&other.request);
    assert_false(answered);
    skald_arena_free(one.request.scratch);
    skald_arena_free(other.request.scratch);
}

static void keeps_so_many(void **state)
{
    made_request made;
    skald_error error = {0};
    bool answered = false;

    make_request(*state, &made, "/api/events/test");
    for (unsigned i = 0; i < SKI_REPLAYS_MAX; i++) {
        (void)snprintf(made.key, sizeof made.key, "key-%u", i);
        made.header.value = skald_str_of(made.key);
        assert_int_equal(ski_replay_begin(&made.request, &answered, &error), SKALD_OK);
        skald_arena_reset(made.request.scratch);
    }
    made.header.value = SKALD_STR("one too many");
    assert_int_equal(ski_replay_begin(&made.request, &answered, &error), SKALD_EFULL);
    assert_int_equal(ski_http_status_of(&error), 503);
    skald_arena_free(made.request.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(replays_the_first_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_another_body, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_success_only, setup, teardown),
        cmocka_unit_test_setup_teardown(serves_every_post, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_key, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_death_before_the_reply, setup, teardown),
        cmocka_unit_test(forgets_after_a_day),
        cmocka_unit_test_setup_teardown(tells_of_one_in_progress, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_so_many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
