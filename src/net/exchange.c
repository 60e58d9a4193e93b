// SPDX-License-Identifier: Apache-2.0
// Exchanges: one request with its reply, from the pool and back.
//
// Invariants:
//   1. A slab is never freed before the server, so an id that is long over can be looked up safely;
//      ids have a generation that is never reused.
//   2. What was handed to a handler is released only after it was answered, whatever the client
//   does.
#include "net/server.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include <assert.h>
#include <string.h>

enum {
    index_bits = 24,
    body_bytes_first = 512,
    body_bytes_at_once = 64 * 1024, // an announced body up to this gets its room at once
};

// slab_add makes another slab of exchanges and puts them into the pool.
static skald_err slab_add(ski_http *http)
{
    if (http->slab_count == http->slabs_max) return SKALD_EFULL;
    ski_exchange *slab = ski_alloc_zeroed(SKI_SLAB_EXCHANGES, sizeof *slab);
    if (slab == NULL) return SKALD_ENOMEM;
    ski_mutex_lock(&http->lock);
    http->slabs[http->slab_count] = slab;
    for (uint32_t i = SKI_SLAB_EXCHANGES; i-- > 0;) {
        slab[i].index = http->slab_count * SKI_SLAB_EXCHANGES + i;
        slab[i].next = http->pool_first;
        http->pool_first = &slab[i];
    }
    http->slab_count++;
    ski_mutex_unlock(&http->lock);
    return SKALD_OK;
}

ski_exchange *ski_exchange_take(ski_http *http)
{
    if (http->pool_first == NULL && slab_add(http)) return NULL;
    ski_exchange *exchange = http->pool_first;
    skald_arena *scratch = exchange->request.scratch;

    if (scratch != NULL) {
        if (http->pooled_count > 0) http->pooled_count--;
    } else if (skald_arena_new(SKI_SCRATCH_BYTES_MAX, &scratch)) {
        return NULL;
    }
    http->pool_first = exchange->next;
    ski_exchange taken = {
        .request = {.http = http, .scratch = scratch, .context = http->options.context},
        .index = exchange->index,
        .head = exchange->head,
        .body = exchange->body,
        .body_size = exchange->body_size,
        .out = exchange->out,
    };
    taken.head.len = taken.out.len = 0;
    taken.head.bytes_max = SIZE_MAX; // the codec has the limits
    ski_mutex_lock(&http->lock);
    taken.request.id.id = ++http->generation << index_bits | exchange->index;
    taken.stage = SKI_STAGE_OPEN;
    *exchange = taken;
    ski_mutex_unlock(&http->lock);
    http->exchanges_now++;
    ski_http_count(http, SKI_COUNT_OPEN, 1);
    return exchange;
}

// memory_trim gives back what is too large to lie in the pool, or everything when enough lies
// there.
static void memory_trim(ski_http *http, ski_exchange *exchange)
{
    bool keep = http->pooled_count < SKI_POOLED_EXCHANGES_MAX;

    if (!keep || exchange->head.size > SKI_POOLED_BYTES_MAX) skald_buf_fini(&exchange->head);
    if (!keep || exchange->out.size > SKI_POOLED_BYTES_MAX) skald_buf_fini(&exchange->out);
    if (!keep || exchange->body_size > SKI_POOLED_BYTES_MAX) {
        ski_free(exchange->body);
        exchange->body = NULL;
        exchange->body_size = 0;
    }
    if (!keep) {
        skald_arena_free(exchange->request.scratch);
        exchange->request.scratch = NULL;
    } else {
        skald_arena_reset(exchange->request.scratch);
        http->pooled_count++;
    }
}

void ski_exchange_decoder_free(ski_exchange *exchange)
{
    if (!exchange->decoder) return;
    ski_decoder_free(exchange->decoder);
    exchange->decoder = NULL;
    exchange->request.http->decoders_now--;
}

void ski_exchange_release(ski_http *http, ski_exchange *exchange)
{
    assert(exchange->stream == NULL);
    ski_exchange_decoder_free(exchange);
    ski_http_count(http, SKI_COUNT_BODIES, -(int64_t)exchange->body_charged);
    ski_http_count(http, SKI_COUNT_HEADS, -(int64_t)exchange->head_charged);
    ski_http_count(http, SKI_COUNT_UNSENT, -(int64_t)exchange->out_charged);
    exchange->body_charged = exchange->head_charged = exchange->out_charged = 0;
    memory_trim(http, exchange);
    exchange->conn = NULL;
    ski_mutex_lock(&http->lock);
    exchange->stage = SKI_STAGE_FREE;
    exchange->request.id.id = 0;
    exchange->released = exchange->listed || exchange->taken;
    ski_mutex_unlock(&http->lock);
    if (!exchange->released) {
        exchange->next = http->pool_first;
        http->pool_first = exchange;
    }
    http->exchanges_now--;
    ski_http_count(http, SKI_COUNT_OPEN, -1);
}

ski_exchange *ski_exchange_find(ski_http *http, uint64_t id)
{
    uint32_t index = id & ((1u << index_bits) - 1);

    if (id == 0 || index >= http->slab_count * SKI_SLAB_EXCHANGES) return NULL;
    ski_exchange *exchange = &http->slabs[index / SKI_SLAB_EXCHANGES][index % SKI_SLAB_EXCHANGES];
    return exchange->request.id.id == id ? exchange : NULL;
}

void ski_exchange_ready(ski_http *http, ski_exchange *exchange, unsigned due, bool *ret_wake)
{
    exchange->due |= (uint8_t)due;
    if (exchange->listed) return;
    *ret_wake = http->ready == NULL && !ski_http_on_loop(http);
    exchange->listed = true;
    exchange->ready_next = NULL; // who was ready first is looked at first
    if (http->ready == NULL) {
        http->ready = exchange;
    } else {
        http->ready_last->ready_next = exchange;
    }
    http->ready_last = exchange;
}

ski_stage ski_exchange_stage(const ski_exchange *exchange)
{
    return (ski_stage)atomic_load_explicit(&exchange->stage, memory_order_acquire);
}

void ski_exchange_orphan(ski_exchange *exchange)
{
    ski_http *http = exchange->request.http;

    exchange->conn = NULL;
    exchange->next = NULL;
    ski_exchange_decoder_free(exchange);
    if (exchange->begun) {
        ski_stream_over(exchange);
        ski_exchange_release(http, exchange);
        return;
    }
    if (!exchange->handed || exchange->answered) {
        ski_exchange_release(http, exchange);
        return;
    }
    if (exchange->streams_body && ski_exchange_stage(exchange) == SKI_STAGE_OPEN) {
        exchange->request.route->body->gone(&exchange->request);
    }
}

static bool heads_beyond(const ski_http *http)
{
    return http->counters[SKI_COUNT_HEADS] > http->options.heads_bytes_max;
}

// heads_cut cuts those of the others whose heads are not whole, who began first first.
static void heads_cut(ski_http *http, const ski_conn *but)
{
    ski_deadline *list = &http->deadlines[SKI_DEADLINE_HEAD], *next;

    for (ski_deadline *at = list->next; at != list && heads_beyond(http); at = next) {
        ski_conn *conn = at->conn;
        next = at->next;
        if (conn == but || conn->reading == NULL || !conn->reading->head_charged) continue;
        ski_http_count(http, SKI_COUNT_TIMEOUTS, 1);
        ski_conn_cut(conn);
    }
}

bool ski_exchange_head_charge(ski_exchange *exchange)
{
    ski_http *http = exchange->request.http;
    size_t more = exchange->head.size - exchange->head_charged;

    exchange->head_charged = exchange->head.size;
    ski_http_count(http, SKI_COUNT_HEADS, (int64_t)more);
    if (heads_beyond(http)) heads_cut(http, exchange->conn);
    return !heads_beyond(http);
}

void ski_exchange_run(ski_exchange *exchange)
{
    ski_http *http = exchange->request.http;
    ski_http_request_id id = exchange->request.id; // the exchange may be over
                                                   // when the handler returns
    skald_error error = {0};

    skald_err err = exchange->request.route->handle(&exchange->request, &error);
    if (err == SKALD_OK) return;
    if (error.err == SKALD_OK) (void)skald_fail(&error, err, "%s", skald_err_text(err));
    (void)ski_http_problem(http, id, &error); // STALE: it has replied, and then failed
}

void ski_exchange_dispatch(ski_exchange *exchange)
{
    ski_http *http = exchange->request.http;
    ski_conn *conn = exchange->conn;

    exchange->request.body = ski_str(exchange->body_len ? exchange->body : "", exchange->body_len);
    exchange->handed = true;
    conn->open_count++;
    const ski_http_route *route = exchange->request.route;
    if (!route->worker) {
        ski_exchange_run(exchange);
        return;
    }
    if (route->now && route->now(&exchange->request)) return;
    if (!ski_pool_push(http->pool, exchange)) {
        skald_error error = {0};
        exchange->handed = false;
        conn->open_count--;
        (void)skald_fail(&error, SKALD_EFULL, "all workers are busy; try again later");
        (void)ski_http_problem(http, exchange->request.id, &error);
    }
}

// body_grow makes room for need bytes; what is in use of all bodies is counted by what was
// allocated.
static skald_err body_grow(ski_exchange *exchange, size_t need)
{
    ski_http *http = exchange->request.http;
    size_t size = exchange->body_size > 0 ? exchange->body_size : body_bytes_first;
    uint64_t whole = exchange->body_announced + SKI_JSON_PAD;

    while (size < need) size *= 2;
    if (!exchange->chunked && whole >= need && (whole < size || whole <= body_bytes_at_once)) {
        size = whole > exchange->body_size ? (size_t)whole : exchange->body_size;
    }
    uint64_t now = http->counters[SKI_COUNT_BODIES];
    if (now - exchange->body_charged + size > http->options.bodies_bytes_max) return SKALD_EFULL;
    if (size > exchange->body_size) {
        char *body = ski_realloc(exchange->body, size);
        if (body == NULL) return SKALD_ENOMEM;
        exchange->body = body;
        exchange->body_size = size;
    }
    ski_http_count(http, SKI_COUNT_BODIES, (int64_t)size - (int64_t)exchange->body_charged);
    exchange->body_charged = size;
    return SKALD_OK;
}

skald_err ski_exchange_body_put(ski_exchange *exchange, skald_str bytes)
{
    size_t need = exchange->body_len + bytes.len + SKI_JSON_PAD;

    if (need > exchange->body_charged) SKALD_TRY(body_grow(exchange, need));
    memcpy(exchange->body + exchange->body_len, bytes.ptr, bytes.len);
    exchange->body_len += bytes.len;
    // Read and not heeded, but what was in the memory before shall not be seen at all.
    memset(exchange->body + exchange->body_len, 0, SKI_JSON_PAD);
    return SKALD_OK;
}

// reply_settled: the reply is whole and waits for its turn.
static void reply_settled(ski_exchange *exchange)
{
    ski_conn *conn = exchange->conn;

    exchange->answered = true;
    if (conn == NULL) {
        ski_exchange_release(exchange->request.http, exchange);
        return;
    }
    if (exchange->handed) conn->open_count--;
    exchange->out_charged = exchange->out.len;
    ski_http_count(exchange->request.http, SKI_COUNT_UNSENT, (int64_t)exchange->out_charged);
    conn->unsent_bytes += exchange->out.len;
    if (conn->reading == exchange)
        ski_conn_read_no_more(conn); // answered before its body was there
    ski_conn_touch(conn);
}

static void stream_settled(ski_exchange *exchange)
{
    ski_conn *conn = exchange->conn;

    if (!exchange->begun) {
        exchange->begun = true;
        ski_stream_begun(exchange);
        if (exchange->request.http->draining) ski_streams_end(exchange->request.http);
        if (conn != NULL && exchange->handed) conn->open_count--;
    }
    if (conn == NULL) {
        ski_stream_over(exchange);
        ski_exchange_release(exchange->request.http, exchange);
        return;
    }
    ski_stream_joins(exchange->stream);
    ski_conn_touch(conn);
}

void ski_exchange_settle(ski_exchange *exchange, unsigned due)
{
    if (due & SKI_DUE_RESUME) {
        ski_conn *conn = exchange->conn;
        if (conn != NULL && conn->reading == exchange) {
            conn->body_paused = false;
            ski_conn_touch(conn);
        }
    }
    ski_conn *cut = due & SKI_DUE_CUT ? exchange->conn : NULL;
    if (due & SKI_DUE_REPLY) {
        reply_settled(exchange);
    } else if (due & SKI_DUE_STREAM) {
        stream_settled(exchange);
    }
    if (cut != NULL) ski_conn_cut(cut);
}

void ski_exchange_sent(ski_exchange *exchange)
{
    ski_http *http = exchange->request.http;

    if (http->options.observe == NULL) return;
    uint64_t now = http->kernel->monotonic_ns(http->kernel->context);
    uint64_t took = exchange->begun_ns ? now - exchange->begun_ns : 0;
    http->options.observe(http->options.context, &exchange->request, exchange->status, took);
}

skald_str ski_http_header_find(const ski_http_request *request, skald_str name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const ski_http_header *header = &request->headers[i];
        if (header->name.len == name.len && ski_str_equal_nocase(header->name, name)) {
            return header->value;
        }
    }
    return (skald_str){NULL, 0};
}
