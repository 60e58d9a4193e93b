// SPDX-License-Identifier: Apache-2.0
// Idempotency-Key: the same request again gets the first reply, byte for byte, and does nothing
// twice; over a restart, and when the process died between the append and the reply.
#include "api/api_idempotency.h"
#include "api/http_client.h"
#include "base/buf.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
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
    // A condition is a part of what was asked.
    assert_int_equal(post_keyed(*state, "/api/streams/s", "{\"type\":\"a.b\"}", "b")->status, 201);
    answer = post_keyed(*state, "/api/streams/s", "{\"type\":\"a.b\"}", "b\r\nIf-None-Match: *");
    assert_int_equal(answer->status, 422);
    answer = post_keyed(*state, "/api/events?ack=memory", order, "a");
    assert_int_equal(answer->status, 422);
    assert_int_equal(api_number(api_get(*state, "/api/events/stats")->body, "totalEvents"), 2);
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
    answer = api_ask(*state, "POST", "/api/events", "application/json", skald_str_of(order),
                     "Idempotency-Key: one\r\nIdempotency-Key: two\r\n");
    assert_int_equal(answer->status, 400);
    assert_non_null(strstr(answer->body, "more than once"));
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

// forget_reply makes the store what it is when the process died right behind the append.
static void forget_reply(api_world *world)
{
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
}

static void survives_death_before_the_reply(void **state)
{
    const char *two = "[{\"type\":\"order.created\",\"stream\":\"order-7\",\"expectedVersion\":0},"
                      "{\"type\":\"mail.sent\",\"data\":{\"to\":1}}]";
    api_world *world = *state;
    char *first = body_kept(post_keyed(world, "/api/events", two, "a"), 201);

    forget_reply(world);
    expect_again(post_keyed(world, "/api/events", two, "a"), 201, first); // made again
    expect_again(post_keyed(world, "/api/events", two, "a"), 201, first);
    assert_int_equal(api_number(api_get(world, "/api/events/stats")->body, "totalEvents"), 2);
    free(first);
}

// An event for later is stored within another, whose id follows from it.
static void schedules_once_whatever_dies(void **state)
{
    const char *later = "{\"type\":\"order.due\",\"deliverAt\":\"2100-01-01T00:00:00Z\"}";
    api_world *world = *state;
    char *first = body_kept(post_keyed(world, "/api/events", later, "a"), 201);
    const api_answer *answer;

    forget_reply(world);
    expect_again(post_keyed(world, "/api/events", later, "a"), 201, first);
    answer = api_wait(world, "/api/events/scheduled", "order.due");
    assert_non_null(answer);
    assert_null(strstr(strstr(answer->body, "order.due") + 1, "order.due"));
    free(first);
}

// A reply that is too long to keep is made again of what was stored.
static void makes_a_long_reply_again(void **state)
{
    enum { count = 600 };
    skald_buf body = {.bytes_max = 1 << 20};
    char *first;

    for (int i = 0; i < count; i++)
        assert_int_equal(ski_buf_print(&body, "%s{\"type\":\"order.created\"}", i ? "," : "["),
                         SKALD_OK);
    assert_int_equal(skald_buf_put(&body, (skald_str){"]", 2}), SKALD_OK); // terminated
    first = body_kept(post_keyed(*state, "/api/events", body.ptr, "a"), 201);
    assert_true(strlen(first) > SKI_REPLAY_BODY_BYTES_MAX);
    expect_again(post_keyed(*state, "/api/events", body.ptr, "a"), 201, first);
    api_world_reopen(*state);
    expect_again(post_keyed(*state, "/api/events", body.ptr, "a"), 201, first);
    assert_int_equal(api_number(api_get(*state, "/api/events/stats")->body, "totalEvents"), count);
    skald_buf_fini(&body);
    free(first);
}

// Of many who send the same at once one does it; the others are told to wait, or get its reply.
typedef struct crowd {
    const api_world *world;
    _Atomic int made, waiting, other;
} crowd;

static void *press(void *context)
{
    crowd *of = context;
    char request[512], answer[4096];

    (void)snprintf(request, sizeof request,
                   "POST /api/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                   "Idempotency-Key: a\r\nContent-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   strlen(order), order);
    for (int i = 0; i < 5; i++) {
        int fd = api_connect(of->world);

        answer[0] = 0;
        api_send(fd, skald_str_of(request));
        (void)api_read_until(fd, answer, sizeof answer, "\r\n\r\n{");
        (void)close(fd);
        if (strstr(answer, " 201 "))
            of->made++;
        else if (strstr(answer, " 409 "))
            of->waiting++;
        else
            of->other++;
    }
    return NULL;
}

static void does_it_once_for_a_crowd(void **state)
{
    crowd of = {.world = *state};
    pthread_t threads[8];

    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, press, &of), 0);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(of.other, 0);
    assert_true(of.made > 0);
    assert_int_equal(api_number(api_get(*state, "/api/events/stats")->body, "totalEvents"), 1);
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

static bool count_one(void *context, const skald_store_value *value)
{
    enum { bare_bytes = 200 };

    *(size_t *)context += value->bytes.len > bare_bytes;
    return true;
}

// All replies together have a limit; what comes then is done, and not kept.
static void keeps_so_many_bytes(void **state)
{
    enum { fit = SKI_REPLAYS_BYTES_MAX / SKI_REPLAY_BODY_BYTES_MAX };
    static char body[SKI_REPLAY_BODY_BYTES_MAX];
    const ski_http_reply reply = {.status = 200, .body = {body, sizeof body}};
    api_world *world = *state;
    made_request made;
    bool answered = false;
    size_t kept = 0;

    make_request(world, &made, "/api/subscriptions/{name}/pause");
    for (unsigned i = 0; i <= fit; i++) {
        (void)snprintf(made.key, sizeof made.key, "key-%u", i);
        made.header.value = skald_str_of(made.key);
        assert_int_equal(ski_replay_begin(&made.request, &answered, NULL), SKALD_OK);
        ski_replay_end(&made.request, &reply);
        made.call.replay = NULL;
        skald_arena_reset(made.request.scratch);
    }
    assert_int_equal(
        ski_store_value_each(world->store, SKALD_STR("idempotency/"), count_one, &kept), SKALD_OK);
    assert_int_equal(kept, fit);
    // The last was the one too many: the same again is done again.
    assert_int_equal(ski_replay_begin(&made.request, &answered, NULL), SKALD_OK);
    assert_false(answered);
    ski_replay_abandon(&made.request);
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
        cmocka_unit_test_setup_teardown(schedules_once_whatever_dies, setup, teardown),
        cmocka_unit_test_setup_teardown(makes_a_long_reply_again, setup, teardown),
        cmocka_unit_test_setup_teardown(does_it_once_for_a_crowd, setup, teardown),
        cmocka_unit_test(forgets_after_a_day),
        cmocka_unit_test_setup_teardown(tells_of_one_in_progress, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_so_many, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_so_many_bytes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
