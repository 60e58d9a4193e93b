// SPDX-License-Identifier: Apache-2.0
// The server: started, its loop, and its end.
//
// The end goes through these stages, each only forward: stopping (asked; lock), draining (no new
// connections, no new requests; loop), loop_ended (nothing is sent any more; lock), stop_ended
// (lock). After that the server is freed by whoever finds that nothing is owed: the stop itself, or
// the last handler to answer.
#include "net/server.h"

#include "base/alloc.h"
#include "base/str.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    posts_max = 65536, // waiting at once
    ready_at_once = 64,
    reads_at_once = 32,     // of as many connections, before they are settled
    rounds_max = 32,        // of settling; then libuv has its turn
    stands_still_ms = 1000, // a client that takes nothing for so long makes way first
};

void ski_http_count(ski_http *http, ski_counter counter, int64_t more)
{
    _Atomic uint64_t *at = &http->counters[counter];

    atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + (uint64_t)more,
                          memory_order_relaxed);
}

bool ski_http_on_loop(const ski_http *http)
{
    uv_thread_t self = uv_thread_self();

    return http->running && uv_thread_equal(&self, &http->loop_thread);
}

void ski_http_wake(ski_http *http)
{
    if (!http->loop_ended) uv_async_send(&http->wake);
}

void ski_http_unlock(ski_http *http, bool wake)
{
    bool wakes = wake && !http->loop_ended;

    if (wakes) atomic_fetch_add(&http->wakers, 1);
    ski_mutex_unlock(&http->lock);
    if (!wakes) return;
    uv_async_send(&http->wake);
    atomic_fetch_sub(&http->wakers, 1); // after that the server may be gone
}

bool ski_http_turn(ski_http *http)
{
    uv_thread_t self = uv_thread_self();

    if (!uv_thread_equal(&self, &http->loop_thread) || http->finished) return false;
    http->turn_due = true;
    return true;
}

static void turn_end(ski_http *http)
{
    if (!http->turn_due) return;
    http->turn_due = false;
    if (http->options.turned) http->options.turned(http->options.context);
}

// turn_over: what was answered in this turn leaves now.
static void turn_over(ski_http *http)
{
    if (!http->turn_due && http->reads_due == 0) return;
    turn_end(http);
    ski_http_settle(http);
}

static void turn_checked(uv_check_t *check)
{
    ski_http *http = check->data;

    turn_over(http);
    ski_pool_flush(http->pool);
}

static void turn_prepared(uv_prepare_t *prepare)
{
    ski_http *http = prepare->data;

    http->slice_left = SKI_FEED_SLICE;
    turn_over(http);
    // What begins here would have no end of a turn before the loop sleeps: it does not.
    if (http->turn_due || ski_sender_ended(http->sender, true)) ski_http_wake(http);
    ski_pool_flush(http->pool);
}

// ready_settled takes what other threads (and handlers) have answered, many under one lock: those
// threads want it, too. False: nothing was there.
static bool ready_settled(ski_http *http)
{
    struct {
        ski_exchange *exchange;
        unsigned due;
    } taken[ready_at_once];
    size_t count = 0;

    ski_mutex_lock(&http->lock);
    for (; http->ready != NULL && count < ready_at_once; count++) {
        ski_exchange *exchange = http->ready;
        http->ready = exchange->ready_next;
        if (http->ready == NULL) http->ready_last = NULL;
        taken[count].exchange = exchange;
        taken[count].due = exchange->due;
        exchange->due = 0;
        exchange->listed = false;
        exchange->taken = true;
    }
    ski_mutex_unlock(&http->lock);
    for (size_t i = 0; i < count; i++) { // one that is settled may release another
        ski_exchange *exchange = taken[i].exchange;
        exchange->taken = false;
        if (!exchange->released) {
            ski_exchange_settle(exchange, taken[i].due);
        } else if (!exchange->listed) {
            exchange->released = false;
            exchange->next = http->pool_first;
            http->pool_first = exchange;
        }
    }
    return count > 0;
}

// posts_run calls what other threads have posted.
static void posts_run(ski_http *http)
{
    ski_mutex_lock(&http->lock);
    ski_post *post = http->posts;
    http->posts = http->posts_last = NULL;
    http->post_count = 0;
    ski_mutex_unlock(&http->lock);
    while (post != NULL) {
        ski_post *next = post->next;
        post->fn(post->context);
        ski_free(post);
        post = next;
    }
}

// loop_ends is the last thing the loop does: from here on answers go nowhere, and nothing is
// posted.
static void loop_ends(ski_http *http)
{
    http->finished = true;
    ski_mutex_lock(&http->lock);
    http->loop_ended = true;
    for (uint32_t i = 0; i < http->slab_count * SKI_SLAB_EXCHANGES; i++) {
        ski_exchange *exchange = &http->slabs[i / SKI_SLAB_EXCHANGES][i % SKI_SLAB_EXCHANGES];
        bool open = exchange->stage == SKI_STAGE_OPEN || exchange->stage == SKI_STAGE_BUILDING;
        http->owed += open;
    }
    ski_mutex_unlock(&http->lock);
    while (atomic_load(&http->wakers) > 0) uv_sleep(1); // each is at one call that does not wait
    posts_run(http);                                    // what was taken is called
    while (ready_settled(http)) continue;               // nothing is added now
    uv_close((uv_handle_t *)&http->wake, NULL);
    uv_close((uv_handle_t *)&http->timer, NULL);
    uv_close((uv_handle_t *)&http->drain, NULL);
    turn_end(http);
    uv_close((uv_handle_t *)&http->check, NULL);
    uv_close((uv_handle_t *)&http->prepare, NULL);
}

static bool unsent_beyond(const ski_http *http)
{
    return http->counters[SKI_COUNT_UNSENT] > http->options.unsent_bytes_max;
}

static void slow_conn_cut(ski_conn *conn)
{
    ski_http_count(conn->http, SKI_COUNT_TIMEOUTS, 1);
    ski_conn_cut(conn);
}

// lies: whole replies of it are counted, or what came behind.
static bool lies(const ski_conn *conn)
{
    return conn->unsent_bytes > 0 || conn->rest_charged > 0;
}

// writers_cut cuts those whose clients have taken nothing for stood_ms, who stood for longest
// first. Who has taken something goes to the end, so is met again behind all others. What only
// streams is let be: none of it is counted here.
static void writers_cut(ski_http *http, uint64_t stood_ms)
{
    ski_deadline *list = &http->deadlines[SKI_DEADLINE_WRITE], *next;
    uint64_t until_ms = uv_now(&http->loop) + http->durations_ms[SKI_DEADLINE_WRITE];

    for (ski_deadline *at = list->next; at != list && unsent_beyond(http); at = next) {
        next = at->next;
        if (at->at_ms + stood_ms > until_ms) return;
        if (!lies(at->conn)) continue;
        if (!ski_conn_progressed(at->conn)) {
            slow_conn_cut(at->conn);
        } else if (next == list) {
            next = at; // it was the last, and is
        }
    }
}

// waiting_cut cuts those who let replies, or more requests, lie behind one that is not over;
// paused: those whose bodies the server itself has stopped for a while.
static void waiting_cut(ski_http *http, bool paused)
{
    ski_conn *next;

    for (ski_conn *conn = http->conns; conn != NULL && unsent_beyond(http); conn = next) {
        next = conn->next;
        if (!lies(conn) || !conn->first || conn->first->answered) continue;
        if (conn->body_paused != paused) continue;
        slow_conn_cut(conn);
    }
}

// slow_cut: beyond the limit, replies that nobody reads make way; what waits for the server, last.
static void slow_cut(ski_http *http)
{
    if (!unsent_beyond(http)) return;
    writers_cut(http, stands_still_ms);
    waiting_cut(http, false);
    writers_cut(http, 0);
    waiting_cut(http, true);
}

// settled_later: what was left goes on once libuv has looked at everybody else.
static void settled_later(ski_http *http)
{
    ski_mutex_lock(&http->lock);
    bool left = http->ready != NULL || http->feeds_due != NULL;
    ski_mutex_unlock(&http->lock);
    if (left || http->flush != NULL) uv_async_send(&http->wake);
}

// round_begins: is there anything to settle? Streams that follow a feed have their turn under any
// load of replies.
static bool round_begins(ski_http *http)
{
    bool fed = ski_feeds_settle(http); // touched first, so written to behind replies

    return ready_settled(http) || fed || http->flush != NULL ||
           ski_sender_ended(http->sender, false);
}

// feed_of is the feed that a connection is given; NULL: none.
static ski_http_feed *feed_of(const ski_conn *conn)
{
    const ski_exchange *first = conn->first;

    return first != NULL && first->begun ? first->stream->feed : NULL;
}

// flush_all continues those that were touched. What that takes for those who follow is their feed's
// time, and taken one reading of the clock for each.
static void flush_all(ski_http *http)
{
    ski_conn *conn = http->flush, *next;
    uint64_t began_ns = 0; // 0: not read

    http->flush = NULL;
    for (; conn != NULL; conn = next) {
        bool fed = feed_of(conn) != NULL;
        next = conn->flush_next;
        conn->touched = false;                 // and may be touched again, for the next round
        if (fed) ski_sender_run(http->sender); // replies go first
        if (fed && !began_ns) began_ns = http->kernel->monotonic_ns(http->kernel->context);
        if (!ski_sender_put(http->sender, conn)) ski_conn_continue(conn);
        uint64_t now_ns = fed ? http->kernel->monotonic_ns(http->kernel->context) : 0;
        if (fed && feed_of(conn)) ski_feed_worked(feed_of(conn), began_ns, now_ns);
        began_ns = now_ns;
    }
    ski_sender_run(http->sender);
}

void ski_http_settle_soon(ski_http *http)
{
    if (++http->reads_due >= reads_at_once) ski_http_settle(http);
}

void ski_http_settle(ski_http *http)
{
    unsigned rounds = 0;

    http->reads_due = 0;
    if (http->finished) return;
    assert(!http->settling);
    http->settling = true;
    while (rounds < rounds_max && round_begins(http)) {
        rounds++;
        flush_all(http);
        slow_cut(http);
    }
    http->settling = false;
    if (rounds == rounds_max || !http->slice_left) settled_later(http);
    if (http->draining && http->conns == NULL && http->exchanges_now == 0) {
        loop_ends(http);
    } else {
        ski_deadlines_arm(http);
    }
}

static void conns_cut(ski_http *http)
{
    while (http->conns != NULL) {
        http->was_cut |= !http->conns->lingering;
        ski_conn_cut(http->conns);
    }
}

static void drain_rang(uv_timer_t *timer)
{
    ski_http *http = timer->data;

    ski_http_settle(http); // what the sender has just sent whole is not cut
    if (http->finished) return;
    http->was_cut |= http->exchanges_now > 0;
    conns_cut(http);
    ski_http_settle(http);
    if (!http->finished) loop_ends(http);
}

static void duration_shorten(ski_http *http, ski_deadline_kind kind)
{
    if (http->durations_ms[kind] > SKI_READ_STOP_MS) http->durations_ms[kind] = SKI_READ_STOP_MS;
}

// drain_begins: connections without a request are closed, those with one are not read further than
// it.
static void drain_begins(ski_http *http)
{
    ski_conn *next;

    http->draining = true;
    // Clients that do not close are not waited for so long now. (One that lingers already goes
    // first.)
    http->durations_ms[SKI_DEADLINE_LINGER] = SKI_LINGER_STOP_MS;
    duration_shorten(http, SKI_DEADLINE_HEAD);
    duration_shorten(http, SKI_DEADLINE_BODY);
    uv_close((uv_handle_t *)&http->listener, NULL);
    uv_close((uv_handle_t *)&http->local, NULL); // also takes the socket's name away
    ski_streams_end(http);
    ski_laters_cancel(http);
    for (ski_conn *conn = http->conns; conn != NULL; conn = next) {
        next = conn->next;
        ski_deadline_kind kind = (ski_deadline_kind)conn->read_deadline.kind;
        if (kind == SKI_DEADLINE_HEAD || kind == SKI_DEADLINE_BODY) {
            ski_deadline_set(&conn->read_deadline, conn, kind); // all of them, so in order
        }
        if (conn->exchange_count == 0 && conn->reading == NULL && !conn->lingering) {
            ski_conn_cut(conn);
        } else if (conn->codec.state == SKI_CODEC_START) {
            ski_conn_read_no_more(conn);
            ski_conn_touch(conn);
        }
    }
    http->drain.data = http;
    uv_timer_start(&http->drain, drain_rang, http->stop_timeout_ms, 0);
}

static void woken(uv_async_t *wake)
{
    ski_http *http = wake->data;

    posts_run(http);
    ski_mutex_lock(&http->lock);
    bool stopping = http->stopping;
    ski_mutex_unlock(&http->lock);
    if (stopping && !http->draining) drain_begins(http);
    ski_http_settle(http);
}

bool ski_http_post(ski_http *http, void (*fn)(void *context), void *context)
{
    ski_post *post = ski_alloc(sizeof *post);

    if (post == NULL) return false;
    *post = (ski_post){.fn = fn, .context = context};
    ski_mutex_lock(&http->lock);
    bool taken = !http->loop_ended && http->post_count < posts_max;
    bool wake = taken && http->post_count == 0;
    if (taken) {
        if (http->posts_last != NULL) http->posts_last->next = post;
        if (http->posts == NULL) http->posts = post;
        http->posts_last = post;
        http->post_count++;
    }
    ski_http_unlock(http, wake);
    if (!taken) ski_free(post);
    return taken;
}

void ski_http_resume(ski_http *http, ski_http_request_id id)
{
    bool wake = false;

    ski_mutex_lock(&http->lock);
    ski_exchange *exchange = ski_exchange_find(http, id.id);
    if (exchange != NULL && !http->loop_ended) {
        ski_exchange_ready(http, exchange, SKI_DUE_RESUME, &wake);
    }
    ski_http_unlock(http, wake);
}

void ski_http_counters_get(const ski_http *http, ski_http_counters *ret_counters)
{
    uint64_t values[SKI_COUNTERS];

    for (int i = 0; i < SKI_COUNTERS; i++) {
        values[i] = atomic_load_explicit(&http->counters[i], memory_order_relaxed);
    }
    *ret_counters = (ski_http_counters){
        .requests = values[SKI_COUNT_REQUESTS],
        .connections_now = values[SKI_COUNT_CONNECTIONS],
        .connections_accepted = values[SKI_COUNT_ACCEPTED],
        .connections_refused = values[SKI_COUNT_REFUSED],
        .bytes_in = values[SKI_COUNT_IN],
        .bytes_out = values[SKI_COUNT_OUT],
        .bodies_bytes_now = values[SKI_COUNT_BODIES],
        .heads_bytes_now = values[SKI_COUNT_HEADS],
        .unsent_bytes_now = values[SKI_COUNT_UNSENT],
        .streams_now = values[SKI_COUNT_STREAMS],
        .timeouts = values[SKI_COUNT_TIMEOUTS],
        .bad_requests = values[SKI_COUNT_BAD],
        .requests_now = values[SKI_COUNT_OPEN],
        .workers_queue_now = ski_pool_waiting(http->pool),
        .connections_max = http->options.connections_max,
        .requests_max = http->options.requests_max,
        .workers_queue_max = http->options.workers_queue_max,
        .bodies_bytes_max = http->options.bodies_bytes_max,
        .heads_bytes_max = http->options.heads_bytes_max,
        .unsent_bytes_max = http->options.unsent_bytes_max,
        .streams_bytes_max = http->options.streams_bytes_max,
    };
    ski_mutex *lock = (ski_mutex *)&http->lock; // all that moves here

    ski_mutex_lock(lock);
    ret_counters->streams_bytes_now = http->streams_bytes;
    if (http->tls) ret_counters->certificate_expires_at = ski_tls_context_expires(http->tls);
    ski_mutex_unlock(lock);
}

uint16_t ski_http_port(const ski_http *http)
{
    return http->port;
}

void ski_http_tls_set(ski_http *http, ski_tls_context *take_context)
{
    ski_tls_context *old = NULL;

    ski_mutex_lock(&http->lock);
    assert(http->tls);
    old = http->tls;
    http->tls = take_context;
    ski_mutex_unlock(&http->lock);
    ski_tls_context_free(old);
}

static void loop_main(void *argument)
{
    ski_http *http = argument;

    ski_mutex_lock(&http->lock);
    http->loop_thread = uv_thread_self();
    http->running = true;
    ski_mutex_unlock(&http->lock);
    uv_run(&http->loop, UV_RUN_DEFAULT);
}

static void defaults_set(ski_http_options *options)
{
#define DEFAULT(field, value) \
    if (options->field == 0) options->field = (value)
    DEFAULT(connections_max, 20000);
    DEFAULT(pipeline_max, 64);
    DEFAULT(header_bytes_max, 32 * 1024);
    DEFAULT(headers_max, 100);
    DEFAULT(uri_bytes_max, 8 * 1024);
    DEFAULT(body_bytes_max, 16 * 1024 * 1024);
    DEFAULT(bodies_bytes_max, 256 * 1024 * 1024);
    DEFAULT(heads_bytes_max, 128 * 1024 * 1024);
    DEFAULT(unsent_bytes_max, 256 * 1024 * 1024);
    DEFAULT(streams_bytes_max, 128 * 1024 * 1024);
    DEFAULT(header_timeout_ms, 10000);
    DEFAULT(body_timeout_ms, 30000);
    DEFAULT(idle_timeout_ms, 60000);
    DEFAULT(write_timeout_ms, 30000);
    DEFAULT(workers_max, 4);
    DEFAULT(workers_queue_max, 1024);
    DEFAULT(requests_max, 32768);
    DEFAULT(processors, ski_processors());
#undef DEFAULT
    if (options->host == NULL) options->host = "127.0.0.1";
    if (options->kernel == NULL) options->kernel = &ski_kernel_system;
}

static void limits_set(ski_http *http)
{
    const ski_http_options *options = &http->options;

    http->limits = (ski_codec_limits){
        .header_bytes_max = options->header_bytes_max,
        .headers_max = options->headers_max,
        .uri_bytes_max = options->uri_bytes_max,
    };
    http->durations_ms[SKI_DEADLINE_IDLE] = options->idle_timeout_ms;
    http->durations_ms[SKI_DEADLINE_HEAD] = options->header_timeout_ms;
    http->durations_ms[SKI_DEADLINE_BODY] = options->body_timeout_ms;
    http->durations_ms[SKI_DEADLINE_WRITE] = options->write_timeout_ms;
    http->durations_ms[SKI_DEADLINE_LINGER] = SKI_LINGER_MS;
    // At most one exchange of a connection is beyond requests_max: the one whose head comes in, to
    // be refused.
    uint64_t exchanges =
        (uint64_t)options->requests_max + options->connections_max + SKI_LINGER_REFUSED_MAX;
    http->slabs_max = (uint32_t)(exchanges / SKI_SLAB_EXCHANGES + 1);
}

static skald_err options_check(const ski_http_options *options, skald_error *error)
{
    if (options->headers_max > SKI_CODEC_HEADERS_MAX) {
        return skald_fail_at(error, SKALD_EINVALID, "headers_max", "headers_max is %d at most",
                             SKI_CODEC_HEADERS_MAX);
    }
    if (options->requests_max > 1 << 20 || options->connections_max > 1 << 20) {
        return skald_fail(error, SKALD_EINVALID, "requests_max and connections_max are %d at most",
                          1 << 20);
    }
    for (size_t i = 0; i < options->header_count; i++) {
        ski_http_reply reply = {.status = 200, .headers = &options->headers[i], .header_count = 1};
        if (ski_reply_check(&reply)) {
            return skald_fail(error, SKALD_EINVALID, "header %zu of every reply is not allowed",
                              i + 1);
        }
    }
    return SKALD_OK;
}

// loop_open makes the loop with its handles. All of them are there, or none.
static skald_err loop_open(ski_http *http)
{
    if (uv_loop_init(&http->loop)) return SKALD_ENOMEM;
    if (uv_async_init(&http->loop, &http->wake, woken)) {
        uv_loop_close(&http->loop);
        return SKALD_ENOMEM;
    }
    http->wake.data = http;
    uv_timer_init(&http->loop, &http->timer); // these cannot fail
    uv_timer_init(&http->loop, &http->drain);
    uv_check_init(&http->loop, &http->check);
    uv_prepare_init(&http->loop, &http->prepare);
    http->check.data = http->prepare.data = http;
    uv_check_start(&http->check, turn_checked);
    uv_prepare_start(&http->prepare, turn_prepared);
    if (uv_tcp_init(&http->loop, &http->listener)) abort(); // allocates nothing without a family
    if (uv_pipe_init(&http->loop, &http->local, 0)) abort();
    return SKALD_OK;
}

static void handle_close(uv_handle_t *handle, void *argument)
{
    (void)argument;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

// loop_close ends a loop that never ran.
static void loop_close(ski_http *http)
{
    uv_walk(&http->loop, handle_close, NULL);
    uv_run(&http->loop, UV_RUN_DEFAULT);
    uv_loop_close(&http->loop);
}

static bool needs_workers(const ski_http_route *routes)
{
    bool needs = false;

    for (const ski_http_route *route = routes; route->method != NULL; route++) {
        assert(!(route->worker && route->body));
        needs |= route->worker;
    }
    return needs;
}

// parts_make makes what the server needs beside its loop.
static skald_err parts_make(ski_http *http)
{
    const ski_http_options *options = &http->options;

    http->read_buffer = ski_alloc(SKI_READ_BYTES);
    http->slabs = ski_alloc_zeroed(http->slabs_max, sizeof *http->slabs);
    if (options->take_tls) {
        http->tls_buffer = ski_alloc(SKI_TLS_BUFFER);
        if (!http->tls_buffer) return SKALD_ENOMEM;
    }
    if (http->read_buffer == NULL || http->slabs == NULL) return SKALD_ENOMEM;
    SKALD_TRY(ski_router_new(options->routes, &http->router));
    SKALD_TRY(ski_sender_new(http, &http->sender));
    if (!needs_workers(options->routes)) return SKALD_OK;
    return ski_pool_new(http, options->workers_max, options->workers_queue_max, &http->pool);
}

skald_err ski_http_start(const ski_http_options *options, ski_http **ret_http,
                         skald_error *reterr_error)
{
    ski_http *http = ski_alloc_zeroed(1, sizeof *http);

    if (http == NULL) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    http->options = *options;
    defaults_set(&http->options);
    http->kernel = http->options.kernel;
    http->date_s = -1;
    limits_set(http);
    ski_mutex_init(&http->lock);
    ski_deadlines_init(http);
    skald_err err = options_check(&http->options, reterr_error);
    if (err) goto free_http;
    err = loop_open(http);
    if (err) goto free_http;
    err = ski_listen(http, reterr_error);
    if (err) goto close_loop;
    err = parts_make(http);
    http->tls = options->take_tls;
    if (!err) {
        err =
            http->kernel->spawn(http->kernel->context, "http-loop", loop_main, http, &http->thread);
    }
    if (err) {
        http->tls = NULL; // it stays the caller's
        (void)skald_fail(reterr_error, err, "cannot start the server: %s", skald_err_text(err));
        goto close_loop;
    }
    *ret_http = http;
    return SKALD_OK;
close_loop:
    loop_close(http);
    ski_sender_stop(http->sender);
    ski_pool_stop(http->pool);
free_http:
    ski_http_fini(http);
    return err;
}

void ski_http_fini(ski_http *http)
{
    for (uint32_t i = 0; i < http->slab_count * SKI_SLAB_EXCHANGES; i++) {
        ski_exchange *exchange = &http->slabs[i / SKI_SLAB_EXCHANGES][i % SKI_SLAB_EXCHANGES];
        skald_buf_fini(&exchange->head);
        skald_buf_fini(&exchange->out);
        ski_free(exchange->body);
        skald_arena_free(exchange->request.scratch);
    }
    ski_feeds_fini(http);
    for (uint32_t i = 0; i < http->slab_count; i++) ski_free(http->slabs[i]);
    ski_free(http->slabs);
    ski_free(http->read_buffer);
    ski_free(http->tls_buffer);
    ski_tls_context_free(http->tls);
    ski_router_free(http->router);
    ski_sender_free(http->sender);
    ski_pool_free(http->pool);
    ski_mutex_fini(&http->lock);
    ski_free(http);
}

skald_err ski_http_stop(ski_http *http, uint32_t timeout_ms)
{
    ski_mutex_lock(&http->lock);
    assert(!http->stopping && !ski_http_on_loop(http));
    http->stopping = true;
    http->stop_timeout_ms = timeout_ms;
    ski_http_wake(http);
    ski_mutex_unlock(&http->lock);
    http->kernel->join(http->kernel->context, http->thread);
    int left = uv_loop_close(&http->loop);
    assert(left == 0);
    (void)left;
    ski_sender_stop(http->sender);
    ski_pool_stop(http->pool);

    skald_err err = http->was_cut ? SKALD_ETIMEOUT : SKALD_OK;
    ski_mutex_lock(&http->lock);
    http->stop_ended = true;
    bool last = http->owed == 0;
    ski_mutex_unlock(&http->lock);
    if (last) ski_http_fini(http);
    return err;
}
