// SPDX-License-Identifier: Apache-2.0
// Feeds: each frame once and in order wherever a stream comes from, who is behind, full, out of
// memory, and that a pass over many leaves room for others. Over TLS: http_tls_test.
#include "net/http_test_client.h"

#include <assert.h>
#include <stdatomic.h>

enum { streams_max = 128 };

typedef struct fixture {
    ski_http *http;
    uint16_t port;
    ski_http_feed *feed;
    gate begun, behind, given, room, blocked, go, gone, ended;
    ski_mutex lock; // of what follows
    ski_http_request_id ids[streams_max];
    unsigned count;
    ski_feed_at stood; // of the last that was behind
    atomic_bool stops; // goes_on says no
    atomic_bool holds; // the next given keeps the loop until it is let go
    ski_kernel kernel;
    _Atomic uint64_t clock_ns, step_ns; // given takes so long
    _Atomic uint64_t other_ns;          // and so does what others ask for
    atomic_uint writes;                 // calls of given
} fixture;

static uint64_t clock_of(void *context)
{
    return ((fixture *)context)->clock_ns;
}

static void stream_behind(void *context, ski_feed_at after)
{
    fixture *fix = context;

    ski_mutex_lock(&fix->lock);
    fix->stood = after;
    ski_mutex_unlock(&fix->lock);
    gate_pass(&fix->behind);
}

static void stream_given(void *context, size_t frames)
{
    fixture *fix = context;

    fix->clock_ns += fix->step_ns;
    fix->writes++;
    for (size_t i = 0; i < frames; i++) gate_pass(&fix->given);
    if (!fix->holds) return;
    fix->holds = false;
    unsigned before = gate_count(&fix->go);
    gate_pass(&fix->blocked);
    while (gate_count(&fix->go) == before) usleep(200);
}

static void stream_gone(void *context)
{
    gate_pass(&((fixture *)context)->gone);
}

static bool stream_goes_on(void *context)
{
    return !((fixture *)context)->stops;
}

static void feed_room(void *context)
{
    gate_pass(&((fixture *)context)->room);
}

static skald_err handle_stream(ski_http_request *request, skald_error *error)
{
    fixture *fix = request->context;
    ski_http_reply head = {.status = 200};
    ski_http_stream stream = {
        .context = fix,
        .behind = stream_behind,
        .given = stream_given,
        .gone = stream_gone,
        .goes_on = stream_goes_on,
        .heartbeat_ms = 60000,
        .heartbeat = SKALD_STR("beat"),
    };

    (void)error;
    SKALD_TRY(ski_http_stream_begin(request->http, request->id, &head, &stream));
    ski_mutex_lock(&fix->lock);
    assert(fix->count < streams_max);
    fix->ids[fix->count++] = request->id;
    ski_mutex_unlock(&fix->lock);
    gate_pass(&fix->begun);
    return SKALD_OK;
}

// handle_block keeps the loop until it is let go.
static skald_err handle_block(ski_http_request *request, skald_error *error)
{
    fixture *fix = request->context;
    ski_http_reply reply = {.status = 200};

    (void)error;
    unsigned before = gate_count(&fix->go);
    gate_pass(&fix->blocked);
    while (gate_count(&fix->go) == before) usleep(200);
    return ski_http_reply_send(request->http, request->id, &reply);
}

static skald_err handle_given(ski_http_request *request, skald_error *error)
{
    fixture *fix = request->context;
    char text[16];
    int len = snprintf(text, sizeof text, "%u", gate_count(&fix->given));
    ski_http_reply reply = {.status = 200, .body = {text, (size_t)len}};
    fix->clock_ns += fix->other_ns;

    (void)error;
    return ski_http_reply_send(request->http, request->id, &reply);
}

static const ski_http_route routes[] = {
    ROUTE("GET", "/stream", handle_stream),
    ROUTE("GET", "/block", handle_block),
    ROUTE("GET", "/given", handle_given),
    {.method = NULL},
};

enum { streams_bytes_max = 2 * 1024 * 1024 };

static int setup(void **state)
{
    fixture *fix = ski_alloc_zeroed(1, sizeof *fix);
    ski_http_options options = {.routes = routes,
                                .context = fix,
                                .kernel = &fix->kernel,
                                .streams_bytes_max = streams_bytes_max};
    gate *gates[] = {&fix->begun,   &fix->behind, &fix->given, &fix->room,
                     &fix->blocked, &fix->go,     &fix->gone,  &fix->ended};

    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) gate_init(gates[i]);
    ski_mutex_init(&fix->lock);
    fix->kernel = ski_kernel_system;
    fix->kernel.monotonic_ns = clock_of;
    fix->kernel.context = fix;
    fix->http = server_start(&options);
    fix->port = ski_http_port(fix->http);
    assert_int_equal(ski_http_feed_new(fix->http, (ski_feed_at){0}, feed_room, fix, &fix->feed),
                     SKALD_OK);
    *state = fix;
    return 0;
}

static void feed_ends(void *context)
{
    fixture *fix = context;

    ski_http_feed_end(fix->feed);
    gate_pass(&fix->ended);
}

static int teardown(void **state)
{
    fixture *fix = *state;
    gate *gates[] = {&fix->begun,   &fix->behind, &fix->given, &fix->room,
                     &fix->blocked, &fix->go,     &fix->gone,  &fix->ended};

    assert_true(ski_http_post(fix->http, feed_ends, fix));
    gate_wait(&fix->ended, 1);
    assert_int_equal(ski_http_stop(fix->http, 2000), SKALD_OK);
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) gate_fini(gates[i]);
    ski_mutex_fini(&fix->lock);
    ski_free(fix);
    return 0;
}

// stream_open begins the next stream, and follows the feed with it.
static client stream_open(fixture *fix, ski_feed_at after, ski_http_request_id *ret_id)
{
    client one = client_open(fix->port);
    unsigned nth = gate_count(&fix->begun);
    client_reply reply;

    client_send(&one, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    gate_wait(&fix->begun, nth + 1);
    ski_mutex_lock(&fix->lock);
    ski_http_request_id id = fix->ids[nth];
    ski_mutex_unlock(&fix->lock);
    assert_int_equal(ski_http_stream_follow(fix->http, id, fix->feed, after), SKALD_OK);
    assert_true(client_head(&one, &reply));
    reply_fini(&reply);
    if (ret_id) *ret_id = id;
    return one;
}

// put puts a frame that says what it is: p1, l1.
static void put(fixture *fix, ski_feed_at at, bool more)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%c%d ", at.position ? 'p' : 'l',
                   (int)(at.position ? at.position : at.loose));
    assert_int_equal(ski_http_feed_put(fix->feed, at, skald_str_of(text), more), SKALD_OK);
}

// chunk_take moves one chunk to the body.
static void chunk_take(client *one, client_reply *got)
{
    size_t line = client_line(one), size = strtoul(one->bytes, NULL, 16);

    client_drop(one, line + 2);
    client_take(one, size, got);
    client_need(one, 2);
    client_drop(one, 2);
}

static void expect_chunks(client *one, const char *text)
{
    client_reply got = {.body.bytes_max = SIZE_MAX};
    size_t len = strlen(text);

    while (got.body.len < len) chunk_take(one, &got);
    assert_int_equal(got.body.len, len);
    assert_memory_equal(got.body.ptr, text, len);
    skald_buf_fini(&got.body);
}

// block keeps the loop busy until unblock: what is put meanwhile is one pass.
static client block(fixture *fix)
{
    client one = client_open(fix->port);
    unsigned nth = gate_count(&fix->blocked);

    client_send(&one, "GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
    gate_wait(&fix->blocked, nth + 1);
    return one;
}

static void unblock(fixture *fix, client *one)
{
    gate_pass(&fix->go);
    client_expect(one, 200, NULL);
    client_close(one);
}

#define P(n)            \
    (ski_feed_at)       \
    {                   \
        .position = (n) \
    }
#define L(n)         \
    (ski_feed_at)    \
    {                \
        .loose = (n) \
    }

// Wherever a stream comes from, of either kind, it is given what it has not had, and that once:
// what it had may lie between what it had not.
static void each_is_given_once(void **state)
{
    fixture *fix = *state;
    const ski_feed_at from[] = {{0, 0}, {2, 0}, {0, 2}, {2, 1}, {1, 2}, {3, 3}, {9, 9}};
    const char *const expected[] = {
        "p1 l1 p2 l2 p3 l3 l4 p4 ",
        "l1 l2 p3 l3 l4 p4 ",
        "p1 p2 p3 l3 l4 p4 ",
        "l2 p3 l3 l4 p4 ",
        "p2 p3 l3 l4 p4 ",
        "l4 p4 ",
        "l10 p10 ",
    };
    enum { count = sizeof from / sizeof *from };
    client early[count], late[count];

    for (size_t i = 0; i < count; i++) early[i] = stream_open(fix, from[i], NULL);
    client busy = block(fix);
    put(fix, P(1), true);
    put(fix, L(1), true);
    put(fix, P(2), false);
    unblock(fix, &busy);
    put(fix, L(2), true);
    put(fix, P(3), true);
    put(fix, L(3), false);
    put(fix, L(4), true);
    put(fix, P(4), false);
    for (size_t i = 0; i < count - 1; i++) {
        late[i] = stream_open(fix, from[i], NULL);
        expect_chunks(&early[i], expected[i]);
        expect_chunks(&late[i], expected[i]);
    }
    late[count - 1] = stream_open(fix, from[count - 1], NULL);
    for (unsigned i = 5; i <= 10; i++) {
        put(fix, L(i), true);
        put(fix, P(i), i % 2);
    }
    expect_chunks(&early[count - 1], expected[count - 1]);
    expect_chunks(&late[count - 1], expected[count - 1]);
    for (size_t i = 0; i < count - 1; i++)
        expect_chunks(&early[i], "l5 p5 l6 p6 l7 p7 l8 p8 l9 p9 l10 p10 ");
    for (size_t i = 0; i < count; i++) {
        client_close(&early[i]);
        client_close(&late[i]);
    }
    gate_wait(&fix->gone, 2 * count);
}

// While a pass over many is under way, others are served, and what comes meanwhile is the next.
static void a_pass_leaves_room_for_others(void **state)
{
    enum { count = 120 };
    fixture *fix = *state;
    client all[count], other = client_open(fix->port);
    client_reply reply;

    for (int i = 0; i < count; i++) all[i] = stream_open(fix, (ski_feed_at){0}, NULL);
    client busy = block(fix);
    put(fix, P(1), false);
    client_send(&other, "GET /given HTTP/1.1\r\nHost: x\r\n\r\n");
    unblock(fix, &busy);
    assert_true(client_reply_get(&other, &reply, false));
    assert_in_range(strtoul(reply.body.ptr, NULL, 10), 0, count - 1);
    reply_fini(&reply);
    put(fix, P(2), false);
    put(fix, L(1), false);
    for (int i = 0; i < count; i += 2) { // leaving in the middle of a pass
        expect_chunks(&all[i], "p1 ");
        client_close(&all[i]);
    }
    for (int i = 1; i < count; i += 2) {
        expect_chunks(&all[i], "p1 p2 l1 ");
        client_close(&all[i]);
    }
    client_close(&other);
    gate_wait(&fix->gone, count);
}

static void given_is(fixture *fix, const char *count)
{
    client one = client_open(fix->port);

    client_send(&one, "GET /given HTTP/1.1\r\nHost: x\r\n\r\n");
    client_expect(&one, 200, count);
    client_close(&one);
}

// After a pass that took long what comes waits, and goes out together: in one write for each.
static void after_a_long_pass_events_gather(void **state)
{
    enum { count = 20 };
    fixture *fix = *state;
    client all[count];

    for (int i = 0; i < count; i++) all[i] = stream_open(fix, (ski_feed_at){0}, NULL);
    fix->step_ns = 400 * 1000;
    put(fix, P(1), false);
    gate_wait(&fix->given, count);
    fix->step_ns = 0;
    put(fix, P(2), false);
    given_is(fix, "20");
    put(fix, L(1), false);
    usleep(15 * 1000); // whatever the clock of the machine says
    given_is(fix, "20");
    put(fix, P(3), false);
    fix->clock_ns += 10 * 1000 * 1000;
    gate_wait(&fix->given, 4 * count);
    assert_int_equal(fix->writes, 2 * count);
    put(fix, P(4), false); // the last pass took no time
    gate_wait(&fix->given, 5 * count);
    fix->step_ns = 400 * 1000;
    put(fix, P(5), false);
    gate_wait(&fix->given, 6 * count);
    put(fix, P(6), false); // it waits, and so the server stops
    for (int i = 0; i < count; i++) {
        expect_chunks(&all[i], "p1 p2 l1 p3 p4 p5 ");
        client_close(&all[i]);
    }
}

// A pass is charged with its own work, not with what the loop did for others meanwhile.
static void others_make_no_pass_long(void **state)
{
    enum { count = 120 };
    fixture *fix = *state;
    client all[count], other = client_open(fix->port);
    client_reply reply;

    for (int i = 0; i < count; i++) all[i] = stream_open(fix, (ski_feed_at){0}, NULL);
    client busy = block(fix);
    put(fix, P(1), false);
    fix->other_ns = 20 * 1000 * 1000;
    client_send(&other, "GET /given HTTP/1.1\r\nHost: x\r\n\r\n");
    unblock(fix, &busy);
    assert_true(client_reply_get(&other, &reply, false));
    assert_in_range(strtoul(reply.body.ptr, NULL, 10), 0, count - 1); // in the middle
    reply_fini(&reply);
    gate_wait(&fix->given, count);
    put(fix, P(2), false); // the clock stands still: there is no rest
    gate_wait(&fix->given, 2 * count);
    for (int i = 0; i < count; i++) {
        expect_chunks(&all[i], "p1 p2 ");
        client_close(&all[i]);
    }
    client_close(&other);
    gate_wait(&fix->gone, count);
}

// A put that found no memory for its text leaves room for marks behind: it goes with the pass, also
// when all leave in the middle of one.
static void a_refused_put_leaves_nothing(void **state)
{
    enum { count = 120 };
    fixture *fix = *state;
    client all[count];
    char *text = ski_alloc_zeroed(1, 100 * 1000);

    for (int i = 0; i < count; i++) all[i] = stream_open(fix, (ski_feed_at){0}, NULL);
    client busy = block(fix);
    put(fix, P(1), false);
    fix->holds = true;
    gate_pass(&fix->go);
    gate_wait(&fix->blocked, 2);
    ski_alloc_fail_at(2); // the marks, then the text
    assert_int_equal(ski_http_feed_put(fix->feed, P(2), ski_str(text, 100 * 1000), false),
                     SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    for (int i = 0; i < count; i++) client_close(&all[i]);
    gate_pass(&fix->go);
    client_expect(&busy, 200, NULL);
    client_close(&busy);
    gate_wait(&fix->gone, count);
    ski_free(text);
}

// What is put while the loop does not look has a limit; room tells when there is some.
static void a_feed_is_full(void **state)
{
    enum { bytes = 100 * 1000 };
    fixture *fix = *state;
    char *text = ski_alloc_zeroed(1, bytes);
    skald_str frame = ski_str(text, bytes);
    client_reply got = {.body.bytes_max = SIZE_MAX};
    client one = stream_open(fix, (ski_feed_at){0}, NULL), busy = block(fix);
    uint64_t taken = 0;

    memset(text, 'x', bytes);
    while (!ski_http_feed_put(fix->feed, P(taken + 1), frame, false)) taken++;
    assert_int_equal(taken, 5); // 512 KiB
    assert_int_equal(ski_http_feed_put(fix->feed, P(taken + 1), frame, false), SKALD_EFULL);
    ski_http_counters counters;
    ski_http_counters_get(fix->http, &counters);
    assert_in_range(counters.streams_bytes_now, taken * bytes, taken * bytes + 1000);
    assert_int_equal(gate_count(&fix->room), 0);
    unblock(fix, &busy);
    gate_wait(&fix->room, 1);
    put(fix, P(6), false);
    while (got.body.len < taken * bytes + 3) chunk_take(&one, &got);
    assert_memory_equal(got.body.ptr + taken * bytes, "p6 ", 3);
    skald_buf_fini(&got.body);
    client_close(&one);
    ski_free(text);
}

// One frame alone is always taken, however large; all streams together have a limit, too.
static void a_feed_shares_a_limit(void **state)
{
    fixture *fix = *state;
    size_t bytes = streams_bytes_max + 1;
    char *text = ski_alloc_zeroed(1, bytes);
    client busy = block(fix);

    assert_int_equal(ski_http_feed_put(fix->feed, P(1), ski_str(text, bytes), false), SKALD_OK);
    assert_int_equal(ski_http_feed_put(fix->feed, P(2), SKALD_STR("x"), false), SKALD_EFULL);
    unblock(fix, &busy);
    gate_wait(&fix->room, 1);
    ski_free(text);
}

// Who does not read is behind and told where it stood; nobody waits for it, and when it was written
// what it missed it goes on with the others.
static void who_is_behind_is_told(void **state)
{
    enum { bytes = 64 * 1024, size = 400 };
    fixture *fix = *state;
    char *text = ski_alloc_zeroed(1, bytes);
    ski_http_request_id id;
    client slow = stream_open(fix, (ski_feed_at){0}, &id);
    uint64_t last = 0, seen = 0;
    char head[32];

    memset(text, '.', bytes);
    while (!gate_count(&fix->behind)) {
        assert_true(++last < size);
        (void)snprintf(head, sizeof head, "<%llu>", (unsigned long long)last);
        memcpy(text, head, strlen(head));
        ski_feed_at at = last % 4 ? P(last) : L(last);
        skald_err err = ski_http_feed_put(fix->feed, at, ski_str(text, bytes), false);
        assert_int_equal(err, SKALD_OK);
        client busy = block(fix); // it has been looked at
        unblock(fix, &busy);
    }
    ski_mutex_lock(&fix->lock);
    ski_feed_at stood = fix->stood;
    ski_mutex_unlock(&fix->lock);
    uint64_t after = stood.position > stood.loose ? stood.position : stood.loose;
    assert_in_range(after, 1, last - 1);
    assert_false(ski_http_feed_reaches(fix->feed, after));
    assert_true(ski_http_feed_reaches(fix->feed, last));
    // From too far away it is behind again, at the same place.
    assert_int_equal(ski_http_stream_follow(fix->http, id, fix->feed, stood), SKALD_OK);
    gate_wait(&fix->behind, 2);
    for (uint64_t i = after + 1; i <= last; i++) {
        (void)snprintf(head, sizeof head, "<%llu>", (unsigned long long)i);
        assert_int_equal(ski_http_stream_write(fix->http, id, skald_str_of(head), NULL), SKALD_OK);
    }
    assert_int_equal(ski_http_stream_follow(fix->http, id, fix->feed, (ski_feed_at){last, last}),
                     SKALD_OK);
    (void)snprintf(head, sizeof head, "<%llu>", (unsigned long long)last + 1);
    assert_int_equal(ski_http_feed_put(fix->feed, P(last + 1), skald_str_of(head), false),
                     SKALD_OK);
    while (seen <= last) { // every number once, in order
        client_reply got = {.body.bytes_max = SIZE_MAX};
        chunk_take(&slow, &got);
        assert_int_equal(strtoull(got.body.ptr + 1, NULL, 10), ++seen);
        skald_buf_fini(&got.body);
    }
    client_close(&slow);
    ski_free(text);
}

static void who_may_not_follow(void **state)
{
    fixture *fix = *state;
    client old = client_open(fix->port);
    ski_http_request_id id;

    client_send(&old, "GET /stream HTTP/1.0\r\n\r\n");
    gate_wait(&fix->begun, 1);
    ski_mutex_lock(&fix->lock);
    id = fix->ids[0];
    ski_mutex_unlock(&fix->lock);
    assert_int_equal(ski_http_stream_follow(fix->http, id, fix->feed, (ski_feed_at){0}),
                     SKALD_EUNSUPPORTED);
    client_close(&old);
    gate_wait(&fix->gone, 1);
    assert_int_equal(ski_http_stream_follow(fix->http, id, fix->feed, (ski_feed_at){0}),
                     SKALD_ESTALE);
    // One that may go on no more is ended instead of being given anything.
    client one = stream_open(fix, (ski_feed_at){0}, NULL);
    fix->stops = true;
    put(fix, P(1), false);
    gate_wait(&fix->gone, 2);
    client_need(&one, 5);
    assert_memory_equal(one.bytes, "0\r\n\r\n", 5);
    client_close(&one);
}

// A client for which there is no memory to keep the rest of a frame that the kernel took a part of
// is cut: it would miss the rest. In all other cases it is given the whole.
static void a_rest_without_memory(void **state)
{
    enum { bytes = 8 * 1024 * 1024 };
    fixture *fix = *state;
    char *text = ski_alloc_zeroed(1, bytes), *some = ski_alloc(bytes);
    unsigned cuts = 0;

    for (uint64_t n = 1; n <= 8; n++) {
        client one = stream_open(fix, (ski_feed_at){.position = n - 1}, NULL), busy = block(fix);
        unsigned given = gate_count(&fix->given), gone = gate_count(&fix->gone);
        size_t len = one.len;
        ssize_t got = 1;

        assert_int_equal(ski_http_feed_put(fix->feed, P(n), ski_str(text, bytes), false), SKALD_OK);
        ski_alloc_fail_at(n);
        gate_pass(&fix->go);
        gate_wait(&fix->given, given + 1);
        ski_alloc_fail_at(0);
        for (; got > 0 && len<bytes; len += got> 0 ? (size_t)got : 0)
            got = recv(one.fd, some, bytes, 0);
        cuts += len < bytes;
        client_close(&busy);
        client_close(&one);
        gate_wait(&fix->gone, gone + 1);
    }
    assert_in_range(cuts, 1, 7);
    ski_free(some);
    ski_free(text);
}

// A put that finds no memory changes nothing, so it may be put again.
static void memory_is_refused(void **state)
{
    fixture *fix = *state;
    ski_http_feed *made = NULL;
    client one = stream_open(fix, (ski_feed_at){0}, NULL);
    unsigned failed = 0;
    char all[4096] = "";

    ski_alloc_fail_at(1);
    assert_int_equal(ski_http_feed_new(fix->http, (ski_feed_at){0}, NULL, NULL, &made),
                     SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    assert_null(made);
    for (unsigned i = 1; i <= 40; i++) {
        char text[32];
        client busy = block(fix);
        (void)snprintf(text, sizeof text, "p%u ", i);
        ski_alloc_fail_at(1 + i % 2);
        skald_err err = ski_http_feed_put(fix->feed, P(i), skald_str_of(text), false);
        ski_alloc_fail_at(0);
        failed += err == SKALD_ENOMEM;
        if (err) {
            assert_int_equal(err, SKALD_ENOMEM);
            put(fix, P(i), false);
        }
        strncat(all, text, sizeof all - strlen(all) - 1);
        unblock(fix, &busy);
    }
    assert_int_equal(failed, 40); // the marks first, then the text
    expect_chunks(&one, all);
    client_close(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_is_given_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pass_leaves_room_for_others, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_long_pass_events_gather, setup, teardown),
        cmocka_unit_test_setup_teardown(others_make_no_pass_long, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_put_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_feed_is_full, setup, teardown),
        cmocka_unit_test_setup_teardown(a_feed_shares_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_behind_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(who_may_not_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rest_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
