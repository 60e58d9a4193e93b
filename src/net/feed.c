// SPDX-License-Identifier: Apache-2.0
// Feeds: one text for many streams. What is put into a feed is framed once, into pending; the loop
// makes a block of what came since it looked last, and passes over the streams that follow: each is
// written what lies behind its place, out of the block itself. A pass is done a slice a turn, so
// that everybody else is looked at between; what comes meanwhile is one block, the next pass. After
// a pass whose writing took long the feed rests as long as that, so that it takes half of the loop
// at most, and events gather; what the loop did for others between is not its. So a client costs no
// copy and, the busier the loop is, the fewer calls of the kernel an event; the first event after a
// silence goes at once.
//
// Invariants:
//   1. A place stands between two frames. What the kernel did not take of a frame becomes the
//   stream's own, so a block is let go whenever the feed likes, and a slow client holds one frame.
//   2. Who may follow: whose position is not before the oldest block. It is given what is above its
//   place, once and in order. Positions rise through the blocks, and so do the numbers of what is
//   loose; but what has been written to a stream before may lie between what has not.
//   3. A stream whose place was let go follows no more; behind says where it stood.
#include "net/server.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include <assert.h>
#include <string.h>

enum {
    pending_bytes_max = 512 * 1024, // put and not looked at by the loop
    kept_bytes_max = 512 * 1024,    // of one feed; the newest block always
    kept_all_bytes_max = 64 * 1024 * 1024,
    marks_first = 32,
    rest_ns_min = 1000000, // a pass that took less is no burden
    rest_ns_max = 10000000,
    ns_per_ms = 1000000,
};

skald_err ski_http_feed_new(ski_http *http, ski_feed_at at, void (*room)(void *context),
                            void *context, ski_http_feed **ret_feed)
{
    ski_http_feed *feed = ski_alloc_zeroed(1, sizeof *feed);

    if (!feed) return SKALD_ENOMEM;
    feed->http = http;
    feed->room = room;
    feed->context = context;
    feed->refs = 1;
    feed->pending.text.bytes_max = SIZE_MAX;
    feed->through = at;
    atomic_init(&feed->near, at.position);
    *ret_feed = feed;
    return SKALD_OK;
}

static void block_fini(ski_block *block)
{
    skald_buf_fini(&block->text);
    ski_free(block->marks);
    *block = (ski_block){0};
}

// feed_unref; nobody but the last has it when it goes.
static void feed_unref(ski_http_feed *feed)
{
    ski_http *http = feed->http;

    ski_mutex_lock(&http->lock);
    bool last = --feed->refs == 0;
    if (last) http->streams_bytes -= feed->pending.text.len;
    ski_mutex_unlock(&http->lock);
    if (!last) return;
    for (; feed->first < feed->next; feed->first++)
        block_fini(&feed->blocks[feed->first % SKI_FEED_BLOCKS]);
    http->feeds_bytes -= feed->bytes;
    block_fini(&feed->pending);
    ski_free(feed);
}

void ski_http_feed_end(ski_http_feed *feed)
{
    if (!feed) return;
    feed->room = NULL;
    feed_unref(feed);
}

// at_raise: what is put last counts, of either kind.
static void at_raise(ski_feed_at *at, ski_feed_at with)
{
    if (with.position) at->position = with.position;
    if (with.loose) at->loose = with.loose;
}

static skald_err mark_add(ski_block *block, ski_feed_at at, skald_str bytes)
{
    if (block->mark_count == block->mark_size) {
        size_t size = block->mark_size ? 2 * block->mark_size : marks_first;
        ski_mark *marks = ski_realloc(block->marks, size * sizeof *marks);
        if (!marks) return SKALD_ENOMEM;
        block->marks = marks;
        block->mark_size = size;
    }
    SKALD_TRY(ski_stream_frame(&block->text, bytes, true));
    block->marks[block->mark_count++] = (ski_mark){at, block->text.len};
    at_raise(&block->through, at);
    block->loose |= at.loose != 0;
    return SKALD_OK;
}

// due_last: the loop is to look at the feed, after those that wait already. Lock held.
static void due_last(ski_http_feed *feed)
{
    ski_http *http = feed->http;

    feed->due_next = NULL;
    if (http->feeds_due)
        http->feeds_due_last->due_next = feed;
    else
        http->feeds_due = feed;
    http->feeds_due_last = feed;
}

skald_err ski_http_feed_put(ski_http_feed *feed, ski_feed_at at, skald_str bytes, bool more)
{
    ski_http *http = feed->http;
    ski_block *pending = &feed->pending;
    size_t all, before;
    skald_err err;

    assert(!at.position != !at.loose);
    ski_mutex_lock(&http->lock);
    before = pending->text.len;
    all = before + bytes.len;
    if (before && (all > pending_bytes_max ||
                   http->streams_bytes + bytes.len > http->options.streams_bytes_max)) {
        feed->full = true;
        more = false;
        err = SKALD_EFULL;
    } else {
        err = mark_add(pending, at, bytes);
    }
    http->streams_bytes += pending->text.len - before;
    if (!err && !feed->due) {
        feed->due = true;
        feed->refs++;
        due_last(feed);
    }
    // What follows at once goes with it: one turn of the loop for all.
    bool wake = !more && feed->due && !feed->woken;
    if (wake) {
        feed->woken = true;
        wake = !ski_http_on_loop(http);
    }
    ski_http_unlock(http, wake);
    return err;
}

bool ski_http_feed_reaches(const ski_http_feed *feed, uint64_t position)
{
    return position >= atomic_load_explicit(&feed->near, memory_order_relaxed);
}

skald_err ski_http_stream_follow(ski_http *http, ski_http_request_id id, ski_http_feed *feed,
                                 ski_feed_at after)
{
    bool wake = false;
    skald_err err = SKALD_ESTALE;

    ski_mutex_lock(&http->lock);
    ski_exchange *exchange = ski_stream_find(http, id);
    if (exchange != NULL) {
        ski_stream *stream = exchange->stream;
        err = stream->chunked ? SKALD_OK : SKALD_EUNSUPPORTED;
        assert(!stream->wanted && stream->options.behind);
        if (!err) {
            feed->refs++;
            stream->wanted = feed;
            stream->wanted_after = after;
            ski_exchange_ready(http, exchange, SKI_DUE_STREAM, &wake);
        }
    }
    ski_http_unlock(http, wake);
    return err;
}

static ski_block *block_at(ski_http_feed *feed, uint64_t serial)
{
    return &feed->blocks[serial % SKI_FEED_BLOCKS];
}

static size_t mark_begins(const ski_block *block, size_t mark)
{
    return mark ? block->marks[mark - 1].end : 0;
}

static bool is_above(const ski_stream *stream, const ski_mark *mark)
{
    if (mark->at.position) return mark->at.position > stream->after.position;
    return mark->at.loose > stream->after.loose;
}

// block_above: everything in it is above where the stream came from.
static bool block_above(const ski_stream *stream, const ski_block *block)
{
    return block->before.position >= stream->after.position &&
           (!block->loose || block->before.loose >= stream->after.loose);
}

// place_passes goes over what is not above.
static void place_passes(ski_stream *stream)
{
    for (; stream->place < stream->feed->next; stream->place++, stream->mark = 0) {
        const ski_block *block = block_at(stream->feed, stream->place);
        if (block_above(stream, block)) return;
        while (stream->mark < block->mark_count && !is_above(stream, &block->marks[stream->mark]))
            stream->mark++;
        if (stream->mark < block->mark_count) return;
    }
}

static uint64_t feed_base(ski_http_feed *feed)
{
    return feed->first < feed->next ? block_at(feed, feed->first)->before.position
                                    : feed->through.position;
}

void ski_stream_joins(ski_stream *stream)
{
    ski_http *http = stream->exchange->request.http;

    ski_mutex_lock(&http->lock);
    ski_http_feed *feed = stream->wanted;
    stream->wanted = NULL;
    ski_mutex_unlock(&http->lock);
    if (!feed) return;
    if (stream->wanted_after.position < feed_base(feed)) {
        feed_unref(feed);
        stream->options.behind(stream->options.context, stream->wanted_after);
        return;
    }
    assert(!stream->feed);
    stream->feed = feed;
    stream->after = stream->wanted_after;
    stream->feed_prev = NULL;
    stream->feed_next = feed->followers;
    if (feed->followers) feed->followers->feed_prev = stream;
    feed->followers = stream;
    stream->place = feed->first;
    stream->mark = 0;
    place_passes(stream);
}

// feed_left: the stream follows no more.
static void feed_left(ski_stream *stream)
{
    ski_http_feed *feed = stream->feed;

    if (stream->feed_prev) stream->feed_prev->feed_next = stream->feed_next;
    if (stream->feed_next) stream->feed_next->feed_prev = stream->feed_prev;
    if (feed->followers == stream) feed->followers = stream->feed_next;
    if (feed->turn == stream) feed->turn = stream->feed_next;
    stream->feed = NULL;
    feed_unref(feed);
}

void ski_stream_leaves(ski_stream *stream)
{
    ski_http *http = stream->exchange->request.http;

    ski_mutex_lock(&http->lock);
    ski_http_feed *wanted = stream->wanted;
    stream->wanted = NULL;
    ski_mutex_unlock(&http->lock);
    if (wanted) feed_unref(wanted);
    if (stream->feed) feed_left(stream);
}

// block_drop lets the oldest block go; those whose place is in it follow no more.
static void block_drop(ski_http_feed *feed)
{
    ski_block *block = block_at(feed, feed->first);
    ski_stream *next;

    for (ski_stream *at = feed->followers; at != NULL; at = next) {
        next = at->feed_next;
        if (at->place != feed->first) continue;
        ski_feed_at after = block->before;
        for (size_t i = 0; i < at->mark; i++) at_raise(&after, block->marks[i].at);
        if (after.position < at->after.position) after.position = at->after.position;
        if (after.loose < at->after.loose) after.loose = at->after.loose;
        feed_left(at);
        at->options.behind(at->options.context, after);
    }
    feed->bytes -= block->text.size;
    feed->http->feeds_bytes -= block->text.size;
    block_fini(block);
    feed->first++;
}

// block_add: what was pending is the newest block now.
static void block_add(ski_http_feed *feed, ski_block *take_block)
{
    ski_http *http = feed->http;

    if (feed->next - feed->first == SKI_FEED_BLOCKS) block_drop(feed);
    take_block->before = feed->through;
    at_raise(&feed->through, take_block->through);
    take_block->through = feed->through;
    feed->bytes += take_block->text.size;
    http->feeds_bytes += take_block->text.size;
    *block_at(feed, feed->next++) = *take_block;
    while (feed->next - feed->first > 1 &&
           (feed->bytes > kept_bytes_max || http->feeds_bytes > kept_all_bytes_max))
        block_drop(feed);
    uint64_t half = feed->first + (feed->next - feed->first) / 2;
    atomic_store_explicit(&feed->near, block_at(feed, half)->before.position, memory_order_relaxed);
    feed->turn = feed->followers;
}

// pending_take makes a block of what came since the last pass, and begins one.
static void pending_take(ski_http_feed *feed)
{
    ski_http *http = feed->http;

    ski_mutex_lock(&http->lock);
    ski_block block = feed->pending;
    bool full = feed->full;
    feed->full = false;
    feed->pending = (ski_block){.text.bytes_max = SIZE_MAX};
    http->streams_bytes -= block.text.len;
    ski_mutex_unlock(&http->lock);
    if (block.mark_count)
        block_add(feed, &block);
    else // the last of a pass has left
        block_fini(&block);
    feed->passing = true;
    feed->took_ns = 0;
    if (full && feed->room) feed->room(feed->context);
}

// pass_on looks at those whose turn it is, as long as this turn of the loop has room.
static void pass_on(ski_http_feed *feed)
{
    while (feed->turn && feed->http->slice_left) {
        ski_stream *stream = feed->turn;
        feed->turn = stream->feed_next;
        if (stream->place == feed->next || !stream->exchange->conn) continue;
        ski_conn_touch(stream->exchange->conn);
        feed->http->slice_left--;
    }
}

static void feed_rested(void *context, bool cancelled)
{
    ski_http_feed *feed = context;

    (void)cancelled;
    ski_mutex_lock(&feed->http->lock);
    due_last(feed);
    ski_mutex_unlock(&feed->http->lock);
}

// feed_rests: it is due, but not yet; feed_rested says when.
static bool feed_rests(ski_http_feed *feed)
{
    ski_http *http = feed->http;

    if (feed->passing) { // it is over
        feed->passing = false;
        feed->rests_until_ns = feed->took_ns < rest_ns_min ? 0 : feed->worked_ns + feed->took_ns;
    }
    if (!feed->rests_until_ns) return false;
    uint64_t now_ns = http->kernel->monotonic_ns(http->kernel->context);
    if (now_ns >= feed->rests_until_ns) return false;
    uint64_t delay_ms = (feed->rests_until_ns - now_ns + ns_per_ms - 1) / ns_per_ms;
    return !ski_http_later(http, (uint32_t)delay_ms, feed_rested, feed);
}

void ski_feed_worked(ski_http_feed *feed, uint64_t began_ns, uint64_t now_ns)
{
    if (!feed->passing) return;
    feed->took_ns += now_ns - began_ns;
    if (feed->took_ns > rest_ns_max) feed->took_ns = rest_ns_max;
    feed->worked_ns = now_ns;
}

bool ski_feeds_settle(ski_http *http)
{
    ski_http_feed *feed = NULL;

    ski_mutex_lock(&http->lock);
    if (http->slice_left) feed = http->feeds_due;
    if (feed) http->feeds_due = feed->due_next;
    ski_mutex_unlock(&http->lock);
    if (!feed) return false;
    if (!feed->turn) {
        if (feed_rests(feed)) return true;
        pending_take(feed);
    }
    pass_on(feed);
    ski_mutex_lock(&http->lock);
    bool due = feed->turn || feed->pending.mark_count;
    feed->due = feed->woken = due; // it goes on by itself
    if (due) due_last(feed);
    ski_mutex_unlock(&http->lock);
    if (!due) feed_unref(feed); // the list's
    return true;
}

void ski_feeds_fini(ski_http *http)
{
    while (http->feeds_due) {
        ski_http_feed *feed = http->feeds_due;
        http->feeds_due = feed->due_next;
        feed_unref(feed);
    }
}

static void place_next(ski_stream *stream)
{
    if (++stream->mark < block_at(stream->feed, stream->place)->mark_count) return;
    stream->place++;
    stream->mark = 0;
}

bool ski_stream_follows(ski_stream *stream)
{
    const ski_http_stream *options = &stream->options;

    if (!stream->feed || stream->exchange->stage != SKI_STAGE_STREAM) return false;
    place_passes(stream);
    if (stream->place == stream->feed->next) return false;
    if (!options->goes_on || options->goes_on(options->context)) return true;
    (void)!ski_http_stream_end(stream->exchange->request.http, stream->exchange->request.id);
    return false;
}

unsigned ski_stream_collect(ski_stream *stream, uv_buf_t *pieces, unsigned count_max,
                            size_t *ret_bytes)
{
    ski_http_feed *feed = stream->feed;
    size_t mark = stream->mark, bytes = 0;
    unsigned count = 0;
    bool all = true;

    // Of a block that is not above as a whole, what stands together; the rest is for the next call.
    for (uint64_t at = stream->place; at < feed->next && count < count_max && all; at++, mark = 0) {
        const ski_block *block = block_at(feed, at);
        size_t from = mark_begins(block, mark), end = block->text.len;
        all = block_above(stream, block);
        if (!all) {
            while (mark < block->mark_count && is_above(stream, &block->marks[mark])) mark++;
            end = mark_begins(block, mark);
        }
        if (end == from) break;
        pieces[count++] = uv_buf_init(block->text.ptr + from, (unsigned)(end - from));
        bytes += end - from;
    }
    *ret_bytes += bytes;
    return count;
}

// mark_of is the frame that the byte before at belongs to.
static size_t mark_of(const ski_block *block, size_t at)
{
    size_t low = 0, high = block->mark_count - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (block->marks[middle].end < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// stream_own: these bytes are the stream's own from now on; its out is sent.
static bool stream_own(ski_stream *stream, const char *bytes, size_t len)
{
    ski_exchange *exchange = stream->exchange;
    ski_http *http = exchange->request.http;

    if (exchange->sent == exchange->out.len) exchange->sent = exchange->out.len = 0;
    exchange->out.bytes_max = SIZE_MAX;
    if (skald_buf_put(&exchange->out, ski_str(bytes, len))) return false;
    stream->counting = true;
    ski_mutex_lock(&http->lock);
    stream->queued += len;
    http->streams_bytes += len;
    ski_mutex_unlock(&http->lock);
    return true;
}

static void stream_given(ski_stream *stream, size_t frames)
{
    stream->quiet_since_ms = uv_now(&stream->exchange->request.http->loop);
    if (frames && stream->options.given) stream->options.given(stream->options.context, frames);
}

bool ski_stream_fed(ski_stream *stream, size_t bytes)
{
    size_t frames = 0;
    bool kept = true;

    while (bytes > 0) {
        const ski_block *block = block_at(stream->feed, stream->place);
        size_t from = mark_begins(block, stream->mark), left = block->text.len - from;
        size_t take = bytes < left ? bytes : left;
        size_t mark = mark_of(block, from + take);
        size_t rest = block->marks[mark].end - (from + take);

        frames += mark + 1 - stream->mark;
        bytes -= take;
        stream->mark = mark;
        place_next(stream);
        if (rest) {
            kept = stream_own(stream, block->text.ptr + from + take, rest);
            break;
        }
    }
    stream_given(stream, frames);
    return kept;
}

bool ski_stream_keep(ski_stream *stream, size_t bytes_max)
{
    size_t frames = 0;

    do {
        const ski_block *block = block_at(stream->feed, stream->place);
        size_t from = mark_begins(block, stream->mark), end = block->marks[stream->mark].end;

        if (frames && stream->exchange->out.len + end - from > bytes_max) break;
        if (!stream_own(stream, block->text.ptr + from, end - from)) break;
        place_next(stream);
        frames++;
        place_passes(stream);
    } while (stream->place < stream->feed->next);
    stream_given(stream, frames);
    return frames > 0;
}
