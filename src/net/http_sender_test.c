// SPDX-License-Identifier: Apache-2.0
// Replies that two threads send. The test brings its own send(), which the linker prefers to
// libc's, so it says which thread is slow, what the kernel takes, and what breaks.
#include "net/http_test_client.h"

#include "net/server.h" // its loop, for what happens between two steps of that
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    many = 40,
    few = 7,
    shared_min = few + 1, // the sender is woken for so many
    body_unit = 500,      // the n-th body has so many bytes more than the one before
    part_bytes = 10,
};

typedef enum send_rule {
    send_whole,
    send_part, // the kernel takes a few bytes
    send_full, // it takes nothing
    send_breaks,
} send_rule;

// What the server's calls of send do. Counters are of replies.
static struct {
    _Atomic send_rule rule;
    atomic_bool sender_waits, // before it sends, or
        sender_waits_behind,  // when it has sent
        loop_lets_go;         // the sender that waits, when the loop sends, too
    atomic_uint loop_waits;   // until the sender has begun with so many
    atomic_uint on_loop, on_sender;
    gate begun, go; // of the sender's one call that waits
} calls;

typedef struct fixture {
    asked_requests asked; // first
    ski_http *http;
    uint16_t port;
    gate blocked, unblocked; // of a loop that is kept busy
    atomic_uint observed;
    // loop
    ski_http_request_id turning[many];
    unsigned turning_count;
    uv_prepare_t prepare; // before the server's own
    uv_timer_t timer;
    ski_thread passing;
    uint32_t stop_ms;
    bool whole; // the sender is through when the time to stop is over
} fixture;

static bool thread_is(const char *name)
{
    char own[16] = "";

    (void)pthread_getname_np(pthread_self(), own, sizeof own);
    return strcmp(own, name) == 0;
}

static ssize_t send_ruled(int fd, const void *bytes, size_t len, int flags)
{
    __typeof__(&send) real = (__typeof__(&send))dlsym(RTLD_NEXT, "send");
    send_rule rule = atomic_load(&calls.rule);

    if (rule == send_part && len > part_bytes) len = part_bytes;
    if (rule != send_full && rule != send_breaks) return real(fd, bytes, len, flags);
    errno = rule == send_full ? EAGAIN : ECONNRESET;
    return -1;
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    ssize_t sent;

    if (!(flags & MSG_DONTWAIT)) { // a client's
        return ((__typeof__(&send))dlsym(RTLD_NEXT, "send"))(fd, bytes, len, flags);
    }
    if (!thread_is("http-sender")) {
        if (atomic_exchange(&calls.loop_lets_go, false)) gate_pass(&calls.go);
        for (uint64_t until_ms = now_ms() + 1000 * client_wait_s;
             atomic_load(&calls.on_sender) < atomic_load(&calls.loop_waits);) {
            assert(now_ms() < until_ms);
        }
        atomic_fetch_add(&calls.on_loop, 1);
        return send_ruled(fd, bytes, len, flags);
    }
    atomic_fetch_add(&calls.on_sender, 1);
    bool before = atomic_exchange(&calls.sender_waits, false);
    bool behind = atomic_exchange(&calls.sender_waits_behind, false);
    if (before) {
        gate_pass(&calls.begun);
        gate_wait(&calls.go, 1);
    }
    sent = send_ruled(fd, bytes, len, flags);
    int error = errno;
    if (behind) {
        gate_pass(&calls.begun);
        gate_wait(&calls.go, 1);
    }
    errno = error;
    return sent;
}

static void observe(void *context, const ski_http_request *request, unsigned status, uint64_t took)
{
    fixture *fix = context;

    (void)request;
    (void)status;
    (void)took;
    atomic_fetch_add(&fix->observed, 1);
}

static skald_err handle_large(ski_http_request *request, skald_error *error)
{
    static const char bytes[60 * 1024];
    ski_http_reply reply = {.status = 200, .body = {bytes, sizeof bytes}};

    (void)error;
    return ski_http_reply_send(request->http, request->id, &reply);
}

// handle_turn is answered at the end of the turn.
static skald_err handle_turn(ski_http_request *request, skald_error *error)
{
    fixture *fix = request->context;

    (void)error;
    assert(fix->turning_count < many);
    fix->turning[fix->turning_count++] = request->id;
    assert(ski_http_turn(request->http));
    return SKALD_OK;
}

static void turned(void *context)
{
    fixture *fix = context;
    ski_http_reply reply = {.status = 200, .body = SKALD_STR("turned")};

    for (unsigned i = 0; i < fix->turning_count; i++) {
        (void)ski_http_reply_send(fix->http, fix->turning[i], &reply);
    }
    fix->turning_count = 0;
}

static const ski_http_route routes[] = {
    ROUTE("POST", "/turn", handle_turn),
    ROUTE("GET", "/large", handle_large),
    ROUTE("GET", "/hello", handle_hello),
    ROUTE("GET", "/keep", handle_keep),
    {.method = NULL},
};

static void fixture_start(fixture *fix, ski_http_options options)
{
    *fix = (fixture){0};
    memset(&calls, 0, sizeof calls);
    gate_init(&calls.begun);
    gate_init(&calls.go);
    gate_init(&fix->asked.arrived);
    gate_init(&fix->blocked);
    gate_init(&fix->unblocked);
    options.routes = routes;
    options.context = fix;
    options.observe = observe;
    options.turned = turned;
    if (options.processors == 0) options.processors = 2; // whatever this machine has
    fix->http = server_start(&options);
    fix->port = ski_http_port(fix->http);
}

static void fixture_fini(fixture *fix)
{
    gate_fini(&fix->unblocked);
    gate_fini(&fix->blocked);
    gate_fini(&fix->asked.arrived);
    gate_fini(&calls.go);
    gate_fini(&calls.begun);
}

static void fixture_stop(fixture *fix)
{
    assert_int_equal(ski_http_stop(fix->http, 2000), SKALD_OK);
    fixture_fini(fix);
}

static skald_str body_of(unsigned which, char text[many * body_unit])
{
    size_t len = (which % many) * body_unit;

    memset(text, 'a' + (int)(which % 26), len);
    return ski_str(text, len);
}

static void answer(fixture *fix, unsigned which)
{
    char text[many * body_unit];
    ski_http_reply reply = {.status = 200, .body = body_of(which, text)};

    assert_int_equal(ski_http_reply_send(fix->http, fix->asked.kept[which], &reply), SKALD_OK);
}

// expect gives the bytes of the reply.
static size_t expect(client *one, unsigned which)
{
    char text[many * body_unit];
    skald_str body = body_of(which, text);
    client_reply reply;

    assert_true(client_reply_get(one, &reply, false));
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.len, body.len);
    assert_memory_equal(reply.body.ptr, body.ptr, body.len);
    reply_fini(&reply);
    return strlen(reply.head) + body.len;
}

static void loop_blocks(void *context)
{
    fixture *fix = context;
    unsigned nth = gate_count(&fix->unblocked) + 1;

    gate_pass(&fix->blocked);
    gate_wait(&fix->unblocked, nth);
}

// loop_block keeps the loop busy, so that what is answered meanwhile is settled together.
static void loop_block(fixture *fix)
{
    unsigned nth = gate_count(&fix->blocked) + 1;

    assert_true(ski_http_post(fix->http, loop_blocks, fix));
    gate_wait(&fix->blocked, nth);
}

static void asked(fixture *fix, client *one, unsigned nth)
{
    client_send(one, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    gate_wait(&fix->asked.arrived, nth + 1);
}

static void clients_ask(fixture *fix, client *clients, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        clients[i] = client_open(fix->port);
        asked(fix, &clients[i], i);
    }
}

static void answer_together(fixture *fix, unsigned from, unsigned count)
{
    loop_block(fix);
    for (unsigned i = 0; i < count; i++) answer(fix, from + i);
    gate_pass(&fix->unblocked);
}

// requests_gone waits until none is in the server, and nothing lies unsent.
static void requests_gone(fixture *fix)
{
    ski_http_counters counters;
    uint64_t until_ms = now_ms() + 1000 * client_wait_s;

    do {
        ski_http_counters_get(fix->http, &counters);
        assert_true(now_ms() < until_ms);
    } while (counters.requests_now > 0 || counters.unsent_bytes_now > 0);
}

static void clients_close(client *clients, unsigned count)
{
    for (unsigned i = 0; i < count; i++) client_close(&clients[i]);
}

// Many at once: the sender has its part of them, and each client its own reply. Few: the loop
// alone.
static void test_together(void **state)
{
    (void)state;
    fixture fix;
    client clients[many];

    fixture_start(&fix, (ski_http_options){0});
    atomic_store(&calls.loop_waits, 1);
    clients_ask(&fix, clients, many);
    answer_together(&fix, 0, many);
    for (unsigned i = 0; i < many; i++) expect(&clients[i], i);
    requests_gone(&fix);
    assert_true(calls.on_sender >= 1);
    assert_int_equal(calls.on_loop + calls.on_sender, many);
    assert_int_equal(fix.observed, many);
    unsigned on_sender = calls.on_sender;
    for (unsigned i = 0; i < few; i++) asked(&fix, &clients[i], many + i);
    answer_together(&fix, many, few); // it is not woken for these
    for (unsigned i = 0; i < few; i++) expect(&clients[i], many + i);
    requests_gone(&fix);
    assert_int_equal(calls.on_sender, on_sender);
    for (unsigned i = 0; i < many; i++) { // the connections go on
        client_send(&clients[i], "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
        client_expect(&clients[i], 200, "hello");
        assert_true(client_closed(&clients[i]));
    }
    clients_close(clients, many);
    fixture_stop(&fix);
}

// no_sender starts every thread but that one.
static skald_err no_sender(void *context, const char *name, void (*run)(void *argument),
                           void *argument, ski_thread *ret_thread)
{
    if (strcmp(name, "http-sender") == 0) return SKALD_ENOMEM;
    return ski_kernel_system.spawn(context, name, run, argument, ret_thread);
}

// On one processor there is no sender, and the loop does it all.
static void test_alone(void **state)
{
    (void)state;
    ski_kernel kernel = ski_kernel_system;
    fixture fix;
    client clients[many];

    kernel.spawn = no_sender;
    fixture_start(&fix, (ski_http_options){.processors = 1, .kernel = &kernel});
    clients_ask(&fix, clients, many);
    answer_together(&fix, 0, many);
    for (unsigned i = 0; i < many; i++) expect(&clients[i], i);
    requests_gone(&fix);
    assert_int_equal(calls.on_sender, 0);
    assert_int_equal(calls.on_loop, many);
    assert_int_equal(fix.observed, many);
    clients_close(clients, many);
    fixture_stop(&fix);
}

// What the kernel takes only a part of, or nothing, goes on; what comes behind it stays behind.
static void test_parts(void **state)
{
    (void)state;
    enum { clients_count = many / 2 };
    static const send_rule rules[] = {send_part, send_full};
    client clients[clients_count];

    for (size_t rule = 0; rule < sizeof rules / sizeof *rules; rule++) {
        fixture fix;
        fixture_start(&fix, (ski_http_options){0});
        atomic_store(&calls.rule, rules[rule]);
        clients_ask(&fix, clients, clients_count);
        for (unsigned i = 0; i < clients_count; i++) asked(&fix, &clients[i], clients_count + i);
        atomic_store(&calls.loop_waits, 1);
        answer_together(&fix, 0, clients_count);
        answer_together(&fix, clients_count, clients_count);
        for (unsigned i = 0; i < clients_count; i++) {
            expect(&clients[i], i);
            expect(&clients[i], clients_count + i);
        }
        requests_gone(&fix);
        assert_true(calls.on_sender >= 1);
        assert_int_equal(fix.observed, many);
        clients_close(clients, clients_count);
        fixture_stop(&fix);
    }
}

// A connection that breaks under a send is closed, and its request over.
static void test_breaks(void **state)
{
    (void)state;
    fixture fix;
    client clients[many];
    ski_http_counters counters;

    fixture_start(&fix, (ski_http_options){0});
    atomic_store(&calls.rule, send_breaks);
    atomic_store(&calls.loop_waits, 1);
    clients_ask(&fix, clients, many);
    answer_together(&fix, 0, many);
    for (unsigned i = 0; i < many; i++) assert_true(client_closed(&clients[i]));
    requests_gone(&fix);
    assert_true(calls.on_sender >= 1);
    assert_int_equal(fix.observed, 0);
    ski_http_counters_get(fix.http, &counters);
    assert_int_equal(counters.bytes_out, 0);
    clients_close(clients, many);
    fixture_stop(&fix);
}

// requests_settle waits until there were so many requests in all, and no more than left are not
// over.
static void requests_settle(fixture *fix, unsigned all, unsigned left)
{
    ski_http_counters counters;
    uint64_t until_ms = now_ms() + 1000 * client_wait_s;

    do {
        ski_http_counters_get(fix->http, &counters);
        assert_true(now_ms() < until_ms);
    } while (counters.requests < all || counters.requests_now > left);
}

// sender_held answers many, of which the sender is at one, and stays there; the others are out, and
// so many requests are left.
static void sender_held(fixture *fix, atomic_bool *where, unsigned left)
{
    atomic_store(where, true);
    atomic_store(&calls.loop_waits, 1);
    answer_together(fix, 0, many);
    gate_wait(&calls.begun, 1);
    requests_settle(fix, 0, left);
}

// The sender is slow: the loop does all else, sleeps, and hears of the last.
static void test_last_wakes(void **state)
{
    (void)state;
    fixture fix;
    client clients[many];

    fixture_start(&fix, (ski_http_options){0});
    clients_ask(&fix, clients, many);
    sender_held(&fix, &calls.sender_waits_behind, 1);
    for (unsigned i = 0; i < many; i++) expect(&clients[i], i);
    for (unsigned i = 0; i < many; i++) {
        client_send(&clients[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    }
    requests_settle(&fix, 2 * many, 2); // all are through, but for that one's two
    assert_int_equal(fix.observed, 2 * many - 2);
    usleep(10000); // the loop sleeps
    gate_pass(&calls.go);
    for (unsigned i = 0; i < many; i++) client_expect(&clients[i], 200, "hello");
    requests_gone(&fix);
    assert_int_equal(fix.observed, 2 * many);
    clients_close(clients, many);
    fixture_stop(&fix);
}

static void turn_prepares(uv_prepare_t *prepare)
{
    fixture *fix = prepare->data;
    uint64_t until_ms = now_ms() + 1000 * client_wait_s;

    gate_pass(&calls.go);
    while (!ski_sender_ended(fix->http->sender, false)) assert(now_ms() < until_ms);
    uv_prepare_stop(prepare); // closed here it would keep the loop awake
}

static void turn_unwatched(void *context)
{
    fixture *fix = context;

    uv_close((uv_handle_t *)&fix->prepare, NULL);
}

static void turn_watched(void *context)
{
    fixture *fix = context;

    uv_prepare_init(&fix->http->loop, &fix->prepare);
    fix->prepare.data = fix;
    uv_prepare_start(&fix->prepare, turn_prepares); // who comes last is called first
}

// The sender ends when the loop has settled all and is about to sleep: the request behind that
// reply has the end of a turn nevertheless.
static void test_ends_before_sleep(void **state)
{
    (void)state;
    fixture fix;
    client clients[many];

    fixture_start(&fix, (ski_http_options){0});
    clients_ask(&fix, clients, many);
    for (unsigned i = 0; i < many; i++) {
        client_send(&clients[i], "POST /turn HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    }
    requests_settle(&fix, 2 * many, 2 * many); // each waits for the one before it
    sender_held(&fix, &calls.sender_waits_behind, 2);
    assert_true(ski_http_post(fix.http, turn_watched, &fix));
    for (unsigned i = 0; i < many; i++) {
        expect(&clients[i], i);
        client_expect(&clients[i], 200, "turned");
    }
    requests_gone(&fix);
    assert_int_equal(fix.observed, 2 * many);
    assert_true(ski_http_post(fix.http, turn_unwatched, &fix));
    clients_close(clients, many);
    fixture_stop(&fix);
}

static void pass_in_a_while(void *argument)
{
    (void)argument;
    usleep(30000);
    gate_pass(&calls.go);
}

// A client that leaves while its reply is with the sender: its descriptor is not closed before the
// sender is through with it. A reply that went out counts as one.
static void test_cut_under_way(void **state)
{
    (void)state;

    for (int behind = 0; behind <= 1; behind++) {
        fixture fix;
        client clients[many];
        ski_http_counters counters;
        uint64_t until_ms = now_ms() + 1000 * client_wait_s;
        ski_thread thread;

        fixture_start(&fix, (ski_http_options){0});
        clients_ask(&fix, clients, many);
        sender_held(&fix, behind ? &calls.sender_waits_behind : &calls.sender_waits, 1);
        for (unsigned i = 0; i < many; i++) client_reset(&clients[i]);
        assert_int_equal(ski_kernel_system.spawn(NULL, "pass", pass_in_a_while, NULL, &thread), 0);
        do {
            ski_http_counters_get(fix.http, &counters);
            assert_true(now_ms() < until_ms);
        } while (counters.connections_now > 0);
        ski_kernel_system.join(NULL, thread);
        requests_gone(&fix);
        assert_int_equal(fix.observed, behind ? many : many - 1);
        client one = client_open(fix.port); // and it serves on
        client_send(&one, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        client_expect(&one, 200, "hello");
        client_close(&one);
        fixture_stop(&fix);
    }
}

// stop_watches lets the time to stop be over as soon as it runs, either while the sender is in its
// call or just after that.
static void stop_watches(uv_timer_t *timer)
{
    fixture *fix = timer->data;
    ski_http *http = fix->http;
    uint64_t until_ms = now_ms() + 1000 * client_wait_s;

    if (!http->draining) return;
    while (now_ms() <= uv_now(&http->loop) + fix->stop_ms) usleep(1000);
    if (fix->whole) {
        gate_pass(&calls.go);
        while (!ski_sender_ended(http->sender, false)) assert(now_ms() < until_ms);
    } else {
        skald_err err = ski_kernel_system.spawn(NULL, "pass", pass_in_a_while, NULL, &fix->passing);
        assert(!err);
        (void)err;
    }
    uv_close((uv_handle_t *)timer, NULL);
    uv_update_time(&http->loop); // the server's is next
}

static void stop_watched(void *context)
{
    fixture *fix = context;

    uv_timer_init(&fix->http->loop, &fix->timer);
    fix->timer.data = fix;
    uv_timer_start(&fix->timer, stop_watches, 1, 1);
}

// A stop that cuts what is under way waits for the sender, too. What is through is not cut.
static void test_stop_under_way(void **state)
{
    (void)state;

    for (int whole = 0; whole <= 1; whole++) {
        fixture fix;
        client clients[many];

        fixture_start(&fix, (ski_http_options){0});
        fix.stop_ms = 200;
        fix.whole = whole;
        clients_ask(&fix, clients, many);
        sender_held(&fix, &calls.sender_waits_behind, 1);
        assert_true(ski_http_post(fix.http, stop_watched, &fix));
        assert_int_equal(ski_http_stop(fix.http, fix.stop_ms), whole ? SKALD_OK : SKALD_ETIMEOUT);
        if (!whole) ski_kernel_system.join(NULL, fix.passing);
        assert_int_equal(fix.observed, many);
        for (unsigned i = 0; i < many; i++) {
            expect(&clients[i], i);
            assert_true(client_closed(&clients[i]));
        }
        clients_close(clients, many);
        fixture_fini(&fix);
    }
}

// cut_in_line cuts the first with what the second goes on with: the head of its next request takes
// the room that the first one's half head had. The first one's reply is still to be sent, or, with
// others beside it, the sender has sent both.
static void cut_in_line(unsigned others)
{
    enum { head_bytes = 20000, unit = 50 };
    static const char keep[] = "GET /keep HTTP/1.1\r\n" HOST "\r\n",
                      large[] = "GET /hello HTTP/1.1\r\n" HOST "A: ";
    fixture fix;
    client fillers[shared_min];
    char text[sizeof keep + sizeof large + head_bytes + 4];
    ski_http_counters counters;
    uint64_t until_ms = now_ms() + 1000 * client_wait_s;
    size_t received = 0;

    fixture_start(&fix, (ski_http_options){.pipeline_max = 2, .heads_bytes_max = 3 * head_bytes});
    client other = client_open(fix.port), one = client_open(fix.port);
    asked(&fix, &other, 0);
    client_send(&other, large);
    int len = snprintf(text, sizeof text, "%0*d", head_bytes, 1);
    client_send_bytes(&other, text, (size_t)len);
    do {
        ski_http_counters_get(fix.http, &counters);
        assert_true(now_ms() < until_ms);
    } while (counters.heads_bytes_now < head_bytes);
    asked(&fix, &one, 1);
    len = snprintf(text, sizeof text, "%s%s%0*d\r\n\r\n", keep, large, head_bytes, 1);
    loop_block(&fix); // then it is read at once, and what is beyond two lies in the server
    client_send_bytes(&one, text, (size_t)len);
    gate_pass(&fix.unblocked);
    gate_wait(&fix.asked.arrived, 3);
    for (unsigned i = 0; i < others; i++) {
        fillers[i] = client_open(fix.port);
        asked(&fix, &fillers[i], 3 + i);
    }
    ski_http_counters_get(fix.http, &counters);
    assert_int_equal(counters.timeouts, 0);
    if (others) { // each thread begins with one of the first two; all else is the sender's
        atomic_store(&calls.sender_waits, true);
        atomic_store(&calls.loop_lets_go, true);
        atomic_store(&calls.loop_waits, others + 1);
    }
    loop_block(&fix);
    for (unsigned i = 2; i < others; i++) answer(&fix, 3 + i);
    answer(&fix, 0);
    answer(&fix, 1); // who is touched last is sent to first
    for (unsigned i = 0; i < 2 && i < others; i++) answer(&fix, 3 + i);
    gate_pass(&fix.unblocked);
    received += expect(&one, 1);
    if (others) received += expect(&other, 0);
    assert_true(client_closed(&other)); // else without its reply
    for (unsigned i = 0; i < others; i++) received += expect(&fillers[i], 3 + i);
    ski_http_counters_get(fix.http, &counters);
    assert_int_equal(counters.timeouts, 1);
    answer(&fix, 2);
    received += expect(&one, 2);
    requests_gone(&fix);
    client_reply hello;
    assert_true(client_reply_get(&one, &hello, false));
    received += strlen(hello.head) + hello.body.len;
    reply_fini(&hello);
    ski_http_counters_get(fix.http, &counters);
    assert_int_equal(counters.bytes_out, received);
    assert_int_equal(fix.observed, others ? 4 + others : 3);
    clients_close(fillers, others);
    client_close(&other);
    client_close(&one);
    fixture_stop(&fix);
}

static void test_cut_in_line(void **state)
{
    (void)state;
    cut_in_line(0);
}

static void test_cut_when_sent(void **state)
{
    (void)state;
    cut_in_line(shared_min);
}

// Clients that ask, again and again, and never read: what the kernel does not take any more waits,
// and they have the write timeout.
static void test_never_read(void **state)
{
    (void)state;
    enum { clients_count = shared_min };
    fixture fix;
    client clients[clients_count];
    ski_http_counters counters = {0};
    uint64_t until_ms = now_ms() + 1000 * client_wait_s;

    fixture_start(&fix, (ski_http_options){.write_timeout_ms = 200});
    atomic_store(&calls.loop_waits, 1);
    for (unsigned i = 0; i < clients_count; i++) clients[i] = client_open(fix.port);
    for (uint64_t round = 1; counters.timeouts == 0; round++) {
        if (round == 1) loop_block(&fix); // then all are read together
        for (unsigned i = 0; i < clients_count; i++) {
            client_send(&clients[i], "GET /large HTTP/1.1\r\n" HOST "\r\n");
        }
        if (round == 1) gate_pass(&fix.unblocked);
        do {
            ski_http_counters_get(fix.http, &counters);
            assert_true(now_ms() < until_ms);
        } while (counters.timeouts == 0 &&
                 (counters.requests < round * clients_count || counters.requests_now > 0));
    }
    do {
        ski_http_counters_get(fix.http, &counters);
        assert_true(now_ms() < until_ms);
    } while (counters.connections_now > 0);
    assert_int_equal(counters.timeouts, clients_count);
    requests_gone(&fix);
    assert_true(calls.on_sender >= 1);
    assert_true(calls.on_loop + calls.on_sender > clients_count);
    clients_close(clients, clients_count);
    fixture_stop(&fix);
}

static void test_no_thread(void **state)
{
    (void)state;
    ski_kernel kernel = ski_kernel_system;
    ski_http_options options = {.routes = routes, .kernel = &kernel, .processors = 2};
    ski_http *http;
    skald_error error = {0};

    kernel.spawn = no_sender;
    assert_int_equal(ski_http_start(&options, &http, &error), SKALD_ENOMEM);
    assert_non_null(strstr(error.text, "cannot start the server"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together),      cmocka_unit_test(test_parts),
        cmocka_unit_test(test_breaks),        cmocka_unit_test(test_last_wakes),
        cmocka_unit_test(test_cut_under_way), cmocka_unit_test(test_stop_under_way),
        cmocka_unit_test(test_cut_in_line),   cmocka_unit_test(test_never_read),
        cmocka_unit_test(test_alone),         cmocka_unit_test(test_ends_before_sleep),
        cmocka_unit_test(test_cut_when_sent), cmocka_unit_test(test_no_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
