// SPDX-License-Identifier: Apache-2.0
// Replies in pieces. Any thread puts framed bytes into pending; when the loop has sent what it has,
// the two buffers change places.
//
// Invariants:
//   1. queued is the framed bytes the kernel has not got; a write beyond write_bytes_max, or beyond
//      what all streams may have together, is taken only when it is 0.
//   2. gone is called once for every stream that began, and nothing of the stream is used after.
#include "net/server.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include <assert.h>
#include <string.h>

enum {
    write_bytes_default = 1024 * 1024,
    frame_bytes_max = 24,       // beside the data of one chunk
    kept_bytes_max = 16 * 1024, // a larger buffer is given back when it is empty
    heartbeat_step_ms = 5,      // streams that are due this close together are served together
};

skald_err ski_http_stream_begin(ski_http *http, ski_http_request_id id, const ski_http_reply *head,
                                const ski_http_stream *stream)
{
    SKALD_TRY(ski_reply_check(head));
    ski_exchange *exchange = ski_reply_claim(http, id.id);
    if (exchange == NULL) return SKALD_ESTALE;

    bool bodiless = exchange->head_only || head->status == 204 || head->status == 304;
    ski_stream *made = ski_alloc_zeroed(1, sizeof *made + stream->heartbeat.len + 1);
    skald_err err = made ? ski_reply_build(exchange, head, true) : SKALD_ENOMEM;
    if (err) {
        ski_free(made);
        (void)ski_reply_done(http, exchange, SKI_STAGE_ANSWERED, SKI_DUE_REPLY | SKI_DUE_CUT);
        return err;
    }
    made->options = *stream;
    if (stream->write_bytes_max == 0) made->options.write_bytes_max = write_bytes_default;
    if (stream->heartbeat.len > 0) {
        char *heartbeat = (char *)(made + 1);
        memcpy(heartbeat, stream->heartbeat.ptr, stream->heartbeat.len);
        made->options.heartbeat = ski_str(heartbeat, stream->heartbeat.len);
    }
    made->pending.bytes_max = SIZE_MAX; // queued has the limit
    made->chunked = !exchange->http10 && !bodiless;
    made->exchange = exchange;
    exchange->stream = made;
    ski_stage stage = bodiless ? SKI_STAGE_STREAM_ENDED : SKI_STAGE_STREAM;
    if (ski_reply_done(http, exchange, stage, SKI_DUE_STREAM)) return SKALD_OK;
    ski_free(made);
    return SKALD_ESTALE;
}

// put_size begins a chunk; there is room.
static void put_size(skald_buf *buf, size_t size)
{
    char digits[2 * sizeof size];
    size_t at = sizeof digits;

    do digits[--at] = "0123456789abcdef"[size % 16];
    while (size /= 16);
    (void)!skald_buf_put(buf, ski_str(digits + at, sizeof digits - at));
    (void)!skald_buf_put(buf, SKALD_STR("\r\n"));
}

// queued_add: so many more bytes wait, or fewer. Of this stream and of all; lock held.
static void queued_add(ski_http *http, ski_stream *stream, int64_t more)
{
    stream->queued += (size_t)more;
    http->streams_bytes += (uint64_t)more;
}

skald_err ski_stream_frame(skald_buf *buf, skald_str bytes, bool chunked)
{
    SKALD_TRY(ski_buf_room(buf, bytes.len + frame_bytes_max));
    if (chunked) put_size(buf, bytes.len);
    (void)!skald_buf_put(buf, bytes);
    if (chunked) (void)!skald_buf_put(buf, SKALD_STR("\r\n"));
    return SKALD_OK;
}

// stream_put frames bytes into pending. Nothing changes when it fails.
static skald_err stream_put(ski_http *http, ski_stream *stream, skald_str bytes)
{
    size_t before = stream->pending.len;

    SKALD_TRY(ski_stream_frame(&stream->pending, bytes, stream->chunked));
    queued_add(http, stream, (int64_t)(stream->pending.len - before));
    return SKALD_OK;
}

ski_exchange *ski_stream_find(ski_http *http, ski_http_request_id id)
{
    ski_exchange *exchange = ski_exchange_find(http, id.id);

    return exchange != NULL && exchange->stage == SKI_STAGE_STREAM ? exchange : NULL;
}

skald_err ski_http_stream_write(ski_http *http, ski_http_request_id id, skald_str bytes,
                                size_t *ret_queued)
{
    bool wake = false;
    skald_err err = SKALD_ESTALE;

    ski_mutex_lock(&http->lock);
    ski_exchange *exchange = ski_stream_find(http, id);
    if (exchange != NULL) {
        ski_stream *stream = exchange->stream;
        bool beyond = stream->queued + bytes.len > stream->options.write_bytes_max ||
                      http->streams_bytes + bytes.len > http->options.streams_bytes_max;
        if (stream->queued > 0 && beyond) {
            stream->full = true;
            err = SKALD_EFULL;
        } else {
            err = bytes.len > 0 ? stream_put(http, stream, bytes) : SKALD_OK;
        }
        if (!err) ski_exchange_ready(http, exchange, SKI_DUE_STREAM, &wake);
        if (!err && ret_queued != NULL) *ret_queued = stream->queued;
    }
    ski_http_unlock(http, wake);
    return err;
}

// stream_finish ends a stream that is still open; lock held.
static void stream_finish(ski_http *http, ski_exchange *exchange, bool *ret_wake)
{
    ski_stream *stream = exchange->stream;
    unsigned due = SKI_DUE_STREAM;

    exchange->stage = SKI_STAGE_STREAM_ENDED;
    if (stream->chunked) {
        if (skald_buf_put(&stream->pending, SKALD_STR("0\r\n\r\n"))) {
            due |= SKI_DUE_CUT; // no memory even for that: the client sees that it is not whole
        } else {
            queued_add(http, stream, 5);
        }
    }
    ski_exchange_ready(http, exchange, due, ret_wake);
}

skald_err ski_http_stream_end(ski_http *http, ski_http_request_id id)
{
    bool wake = false;
    skald_err err = SKALD_ESTALE;

    ski_mutex_lock(&http->lock);
    ski_exchange *exchange = ski_stream_find(http, id);
    if (exchange != NULL) {
        stream_finish(http, exchange, &wake);
        err = SKALD_OK;
    }
    ski_http_unlock(http, wake);
    return err;
}

void ski_stream_begun(ski_exchange *exchange)
{
    ski_http *http = exchange->request.http;
    ski_stream *stream = exchange->stream;
    uint64_t now_ms = uv_now(&http->loop);

    stream->next = http->streams;
    if (http->streams != NULL) http->streams->prev = stream;
    http->streams = stream;
    stream->quiet_since_ms = now_ms;
    uint64_t at_ms = now_ms + stream->options.heartbeat_ms;
    bool first = http->heartbeat_at_ms == 0 || at_ms < http->heartbeat_at_ms;
    if (stream->options.heartbeat_ms > 0 && first) http->heartbeat_at_ms = at_ms;
    ski_http_count(http, SKI_COUNT_STREAMS, 1);
}

void ski_stream_refill(ski_exchange *exchange)
{
    ski_http *http = exchange->request.http;
    ski_stream *stream = exchange->stream;

    assert(exchange->sent == exchange->out.len);
    ski_mutex_lock(&http->lock);
    stream->sending_last = exchange->stage == SKI_STAGE_STREAM_ENDED;
    if (stream->pending.len > 0) {
        skald_buf empty = exchange->out;
        exchange->out = stream->pending;
        stream->pending = empty;
        stream->pending.len = 0;
        stream->pending.bytes_max = SIZE_MAX;
        if (stream->pending.size > kept_bytes_max) skald_buf_fini(&stream->pending);
        exchange->sent = 0;
        stream->counting = true;
        stream->quiet_since_ms = uv_now(&http->loop);
    }
    ski_mutex_unlock(&http->lock);
}

void ski_stream_sent(ski_exchange *exchange, size_t bytes)
{
    ski_http *http = exchange->request.http;
    ski_stream *stream = exchange->stream;

    if (!stream->counting) return; // that was the head
    ski_mutex_lock(&http->lock);
    assert(stream->queued >= bytes);
    queued_add(http, stream, -(int64_t)bytes);
    bool drained = stream->full && stream->queued == 0;
    if (drained) stream->full = false;
    ski_mutex_unlock(&http->lock);
    if (drained && stream->options.drained) stream->options.drained(stream->options.context);
}

void ski_stream_over(ski_exchange *exchange)
{
    ski_http *http = exchange->request.http;
    ski_stream *stream = exchange->stream;

    ski_mutex_lock(&http->lock);
    exchange->stage = SKI_STAGE_STREAM_ENDED;
    exchange->stream = NULL;
    queued_add(http, stream, -(int64_t)stream->queued);
    ski_mutex_unlock(&http->lock);
    ski_stream_leaves(stream);
    if (stream->prev) stream->prev->next = stream->next;
    if (stream->next) stream->next->prev = stream->prev;
    if (http->streams == stream) http->streams = stream->next;
    ski_http_count(http, SKI_COUNT_STREAMS, -1);
    if (stream->options.gone) stream->options.gone(stream->options.context);
    skald_buf_fini(&stream->pending);
    ski_free(stream);
}

// stream_beat breaks the silence of a stream, or ends it.
static void stream_beat(ski_http *http, ski_stream *stream)
{
    const ski_http_stream *options = &stream->options;
    bool goes_on = !options->goes_on || options->goes_on(options->context), wake = false;

    ski_mutex_lock(&http->lock);
    bool open = stream->exchange->stage == SKI_STAGE_STREAM;
    if (open && !goes_on) {
        stream_finish(http, stream->exchange, &wake);
    } else if (open && stream->queued == 0 && !stream_put(http, stream, options->heartbeat)) {
        // What waits in the queue is no silence of ours.
        ski_exchange_ready(http, stream->exchange, SKI_DUE_STREAM, &wake);
    }
    ski_mutex_unlock(&http->lock);
}

void ski_streams_heartbeat(ski_http *http)
{
    uint64_t now_ms = uv_now(&http->loop), next_ms = 0;

    if (http->heartbeat_at_ms == 0 || now_ms < http->heartbeat_at_ms) return;
    for (ski_stream *stream = http->streams; stream != NULL; stream = stream->next) {
        if (stream->options.heartbeat_ms == 0) continue;
        if (stream->quiet_since_ms + stream->options.heartbeat_ms <= now_ms) {
            stream_beat(http, stream);
            stream->quiet_since_ms = now_ms;
        }
        uint64_t at_ms = stream->quiet_since_ms + stream->options.heartbeat_ms;
        if (next_ms == 0 || at_ms < next_ms) next_ms = at_ms;
    }
    if (next_ms > 0 && next_ms < now_ms + heartbeat_step_ms) next_ms = now_ms + heartbeat_step_ms;
    http->heartbeat_at_ms = next_ms;
}

// One without a heartbeat has an end of its own: to end it here would make half of it look whole.
void ski_streams_end(ski_http *http)
{
    bool wake = false;

    ski_mutex_lock(&http->lock);
    for (ski_stream *stream = http->streams; stream != NULL; stream = stream->next) {
        bool open_ended = stream->options.heartbeat_ms > 0;
        if (!open_ended || stream->exchange->stage != SKI_STAGE_STREAM) continue;
        stream_finish(http, stream->exchange, &wake);
    }
    ski_mutex_unlock(&http->lock);
}
