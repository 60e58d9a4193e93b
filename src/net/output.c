// SPDX-License-Identifier: Apache-2.0
// Writing: the replies at the front of a connection's line, as many as are ready in one call of the
// kernel. What the kernel does not take at once waits in libuv, and until it is gone nothing else
// is written.
#include "net/server.h"

#include "base/alloc.h"
#include "base/str.h"
#include <assert.h>

// exchange_ends: with its reply the connection ends.
static bool exchange_ends(const ski_conn *conn, const ski_exchange *exchange)
{
    return exchange->ends || (conn->last_reply && exchange->next == NULL);
}

static bool is_sent(const ski_exchange *exchange)
{
    bool whole = exchange->begun ? exchange->stream->sending_last : exchange->answered;
    return whole && exchange->prefixed && exchange->sent == exchange->out.len;
}

// feed_collect adds what the last of those in line has in a feed.
static unsigned feed_collect(ski_exchange *exchange, bool shared, uv_buf_t *pieces, unsigned count,
                             size_t *ret_bytes)
{
    ski_stream *stream = exchange->stream;

    if (count == SKI_PIECES_MAX || !ski_stream_follows(stream)) return count;
    if (shared)
        return count +
               ski_stream_collect(stream, pieces + count, SKI_PIECES_MAX - count, ret_bytes);
    if (exchange->sent < exchange->out.len) return count; // its own go first
    if (!ski_stream_keep(stream, exchange->conn->tls ? SKI_TLS_ROUND_BYTES : 1)) return count;
    pieces[count] = uv_buf_init(exchange->out.ptr, (unsigned)exchange->out.len);
    *ret_bytes += exchange->out.len;
    return count + 1;
}

unsigned ski_output_collect(ski_conn *conn, bool shared, uv_buf_t pieces[SKI_PIECES_MAX],
                            size_t *ret_bytes)
{
    unsigned count = 0;

    *ret_bytes = 0;
    for (ski_exchange *at = conn->first; at != NULL && count < SKI_PIECES_MAX; at = at->next) {
        if (!at->answered && !at->begun) break;
        if (!at->prefixed) {
            // A stream to HTTP/1.0 ends with the connection: nothing else tells its end.
            at->ends = at->begun && at->http10;
            if (at->ends) ski_conn_read_no_more(conn);
            ski_reply_prefix(conn->http, at, exchange_ends(conn, at));
        }
        if (at->begun && at->sent == at->out.len) ski_stream_refill(at);
        if (at->sent < at->out.len) {
            pieces[count].base = at->out.ptr + at->sent;
            pieces[count].len = at->out.len - at->sent;
            *ret_bytes += pieces[count++].len;
        }
        if (at->begun && !at->stream->sending_last) {
            count = feed_collect(at, shared, pieces, count, ret_bytes);
            break;
        }
    }
    return count;
}

// line_pops takes the oldest exchange, whose reply is with the kernel, out of the line.
static void line_pops(ski_conn *conn)
{
    ski_exchange *exchange = conn->first;
    bool ends = exchange_ends(conn, exchange);

    conn->first = exchange->next;
    if (conn->first == NULL) conn->last = NULL;
    conn->exchange_count--;
    if (exchange->answered) conn->unsent_bytes -= exchange->out.len;
    if (conn->reading == exchange) { // a stream that ended before the body did
        ski_conn_read_no_more(conn);
        ends = true;
    }
    ski_exchange_sent(exchange);
    if (exchange->begun) ski_stream_over(exchange);
    ski_exchange_release(conn->http, exchange);
    if (ends) ski_conn_goodbye(conn);
}

void ski_output_sent(ski_conn *conn, size_t count)
{
    ski_http_count(conn->http, SKI_COUNT_OUT, (int64_t)count);
    while (conn->first != NULL && !conn->closing && !conn->lingering) {
        ski_exchange *exchange = conn->first;
        size_t left = exchange->prefixed ? exchange->out.len - exchange->sent : 0;
        size_t take = count < left ? count : left;
        exchange->sent += take;
        count -= take;
        if (exchange->begun && take > 0) ski_stream_sent(exchange, take);
        if (count > 0 && exchange->begun && exchange->stream->feed && !is_sent(exchange)) {
            if (!ski_stream_fed(exchange->stream, count)) ski_conn_cut(conn);
            return; // it is the last that anything was collected of
        }
        if (!is_sent(exchange)) break;
        line_pops(conn);
    }
    assert(count == 0 || conn->closing || conn->lingering);
}

static void rest_written(uv_write_t *request, int status)
{
    ski_conn *conn = (ski_conn *)request->handle;

    conn->writing = false;
    ski_deadline_clear(&conn->write_deadline); // the next write has all of its time
    ski_free(conn->cipher);
    conn->cipher = NULL;
    if (conn->closing) return;
    if (status < 0) {
        ski_conn_cut(conn);
    } else {
        ski_output_sent(conn, conn->writing_bytes);
        ski_conn_touch(conn);
    }
    ski_http_settle(conn->http);
}

void ski_output_wait(ski_conn *conn, uv_buf_t *pieces, unsigned count, size_t bytes)
{
    conn->writing_bytes = bytes;
    if (uv_write(&conn->write, &conn->stream, pieces, count, rest_written)) {
        ski_conn_cut(conn);
    } else {
        conn->writing = true;
    }
}

void ski_conn_flush(ski_conn *conn)
{
    uv_stream_t *stream = &conn->stream;
    uv_buf_t pieces[SKI_PIECES_MAX];
    size_t bytes;
    unsigned rounds = 0;

    if (conn->tls) {
        ski_secure_flush(conn);
        return;
    }
    while (!conn->writing && !conn->job && !conn->closing && !conn->lingering) {
        if (rounds++ == SKI_FLUSH_ROUNDS) { // it is not the only one
            ski_conn_touch(conn);
            return;
        }
        const ski_exchange *front = conn->first;
        unsigned count = ski_output_collect(conn, true, pieces, &bytes);
        int sent = count > 0 ? uv_try_write(stream, pieces, count) : 0;
        if (sent < 0 && sent != UV_EAGAIN) {
            ski_conn_cut(conn);
            return;
        }
        if (sent < 0) sent = 0;
        ski_output_sent(conn, (size_t)sent); // also takes out an empty end of a stream
        if (count == 0 && conn->first == front) return;
        if (count == 0 || (size_t)sent == bytes || conn->closing || conn->lingering) continue;

        count = ski_output_collect(conn, false, pieces, &bytes);
        if (count > 0) {
            ski_output_wait(conn, pieces, count, bytes);
        } else if (ski_exchange_stage(conn->first) == SKI_STAGE_STREAM) {
            ski_conn_cut(conn); // no memory for what the kernel did not take
        }
    }
}

void ski_conn_continue_send(ski_conn *conn)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t buf = uv_buf_init((char *)text, sizeof text - 1);

    // The line is empty but for this request, so the kernel has room for a few bytes; if not, the
    // client does not read.
    assert(conn->exchange_count == 1 && !conn->writing);
    if (conn->tls) {
        ski_secure_send(conn, ski_str(text, sizeof text - 1));
        return;
    }
    if (uv_try_write(&conn->stream, &buf, 1) != (int)buf.len) ski_conn_cut(conn);
}
