// SPDX-License-Identifier: Apache-2.0
// The codec: which part of a request the next byte belongs to.
//
// Invariants:
//   1. Every refusal depends on the bytes so far only, never on how they were cut: a limit is
//      checked before the line it belongs to is looked at, and a line is looked at when its LF is
//      there.
//   2. The head is read by llhttp in one piece, and both must agree where it ends.
//   3. After a failure nothing is called again.
#include "net/codec.h"

#include "base/buf.h"
#include "base/str.h"
#include <assert.h>
#include <string.h>

enum {
    request_line_spare = 64, // bytes of a request line beside its target: method, version, spaces,
                             // CR LF
    blank_bytes_max = 2,     // one empty line before a request is let pass (RFC 9112 2.2)
};

void ski_codec_init(ski_codec *codec, const ski_codec_limits *limits, const ski_codec_sink *sink,
                    void *context)
{
    assert(limits->headers_max <= SKI_CODEC_HEADERS_MAX);
    *codec = (ski_codec){.sink = sink, .limits = limits, .context = context};
}

void ski_codec_fail(ski_codec *codec)
{
    codec->state = SKI_CODEC_FAILED;
}

static void codec_failed(ski_codec *codec, const skald_error *error)
{
    codec->state = SKI_CODEC_FAILED;
    codec->sink->failed(codec->context, error);
}

// blank_skipped passes over one empty line before a request; false: that was not one.
static bool blank_skipped(ski_codec *codec, skald_str *rest, skald_error *error)
{
    while (rest->len > 0 && (*rest->ptr == '\r' || *rest->ptr == '\n')) {
        bool in_turn = *rest->ptr == (codec->blank_bytes == 0 ? '\r' : '\n');
        if (!in_turn || codec->blank_bytes == blank_bytes_max) {
            (void)skald_fail(error, SKALD_EINVALID,
                             "a request begins with its method, not with "
                             "empty lines");
            return false;
        }
        codec->blank_bytes++;
        *rest = ski_str(rest->ptr + 1, rest->len - 1);
    }
    if (rest->len > 0 && (codec->blank_bytes == 1 || *rest->ptr < 'A' || *rest->ptr > 'Z')) {
        (void)skald_fail(error, SKALD_EINVALID,
                         "this is not HTTP: a request begins with its "
                         "method in capital letters");
        return false;
    }
    return true;
}

// head_begins passes what may stand before a request and asks for the buffer of the next head.
static void head_begins(ski_codec *codec, skald_str *rest)
{
    skald_error error; // filled by what fails

    if (!blank_skipped(codec, rest, &error)) {
        codec_failed(codec, &error);
        return;
    }
    if (rest->len == 0) return;
    codec->blank_bytes = 0;
    codec->gather = codec->sink->begin(codec->context);
    if (codec->gather == NULL) {
        (void)skald_fail(&error, SKALD_ENOMEM, "out of memory");
        codec_failed(codec, &error);
        return;
    }
    codec->line_begin = codec->lines = codec->head_begin = 0;
    codec->state = SKI_CODEC_HEAD;
}

// line_fits checks the limits with more bytes of the line that is being gathered.
static skald_err line_fits(const ski_codec *codec, size_t more, skald_error *error)
{
    const ski_codec_limits *limits = codec->limits;

    if (codec->head_begin == 0) {
        if (codec->gather->len + more <= (size_t)limits->uri_bytes_max + request_line_spare) {
            return SKALD_OK;
        }
        (void)skald_fail(error, SKALD_ETOOBIG, "the request line is longer than %u bytes",
                         limits->uri_bytes_max);
        memcpy(error->code, "URI_TOO_LONG", sizeof "URI_TOO_LONG");
        return SKALD_ETOOBIG;
    }
    if (codec->gather->len + more - codec->head_begin <= limits->header_bytes_max) return SKALD_OK;
    (void)skald_fail(error, SKALD_ETOOBIG, "the headers together are longer than %u bytes",
                     limits->header_bytes_max);
    memcpy(error->code, "HEADERS_TOO_LARGE", sizeof "HEADERS_TOO_LARGE");
    return SKALD_ETOOBIG;
}

// head_gather takes the rest of one line. *ret_whole: that was the empty line behind the headers.
static skald_err head_gather(ski_codec *codec, skald_str *rest, bool *ret_whole, skald_error *error)
{
    const char *newline = memchr(rest->ptr, '\n', rest->len);
    size_t take = newline ? (size_t)(newline - rest->ptr) + 1 : rest->len;

    SKALD_TRY(line_fits(codec, take, error));
    if (skald_buf_put(codec->gather, ski_str(rest->ptr, take))) {
        return skald_fail(error, SKALD_ENOMEM, "out of memory");
    }
    *rest = ski_str(rest->ptr + take, rest->len - take);
    if (newline == NULL) return SKALD_OK;

    skald_str line = {codec->gather->ptr + codec->line_begin,
                      codec->gather->len - codec->line_begin};
    if (codec->head_begin > 0 && line.len > 2) codec->lines++;
    SKALD_TRY(ski_head_check_line(codec, line, error));
    codec->line_begin = (uint32_t)codec->gather->len;
    if (codec->head_begin == 0) {
        codec->head_begin = codec->line_begin;
    } else {
        *ret_whole = line.len == 2;
    }
    return SKALD_OK;
}

// head_ended reads the gathered head and tells the sink. False: pause, or failed.
static bool head_ended(ski_codec *codec)
{
    ski_http_header headers[SKI_CODEC_HEADERS_MAX];
    ski_codec_head head;
    skald_error error;

    if (ski_head_read(codec, headers, &head, &error)) {
        codec_failed(codec, &error);
        return false;
    }
    if (head.chunked) {
        codec->state = SKI_CODEC_CHUNKED;
        codec->chunks = (ski_chunks){0};
    } else {
        codec->state = head.content_length > 0 ? SKI_CODEC_LENGTH : SKI_CODEC_END;
        codec->body_left = head.content_length;
    }
    return codec->sink->head(codec->context, &head);
}

static bool feed_head(ski_codec *codec, skald_str *rest)
{
    bool whole = false;
    skald_error error;

    if (head_gather(codec, rest, &whole, &error)) {
        codec_failed(codec, &error);
        return false;
    }
    return whole ? head_ended(codec) : true;
}

static bool feed_length(ski_codec *codec, skald_str *rest)
{
    size_t take = rest->len < codec->body_left ? rest->len : (size_t)codec->body_left;
    skald_str bytes = {rest->ptr, take};

    *rest = ski_str(rest->ptr + take, rest->len - take);
    codec->body_left -= take;
    if (codec->body_left == 0) codec->state = SKI_CODEC_END;
    return codec->sink->body(codec->context, bytes);
}

static bool feed_chunked(ski_codec *codec, skald_str *rest)
{
    ski_chunks_event event = {0};
    skald_error error;

    if (ski_chunks_step(&codec->chunks, rest, &event, &error)) {
        codec_failed(codec, &error);
        return false;
    }
    if (event.done) codec->state = SKI_CODEC_END;
    return event.data.len == 0 || codec->sink->body(codec->context, event.data);
}

size_t ski_codec_feed(ski_codec *codec, skald_str bytes)
{
    skald_str rest = bytes;
    bool more = true;

    while (more && codec->state != SKI_CODEC_FAILED) {
        if (codec->state == SKI_CODEC_END) {
            codec->state = SKI_CODEC_START;
            more = codec->sink->end(codec->context);
            continue;
        }
        if (rest.len == 0) break;
        switch ((ski_codec_state)codec->state) {
        case SKI_CODEC_START: head_begins(codec, &rest); break;
        case SKI_CODEC_HEAD: more = feed_head(codec, &rest); break;
        case SKI_CODEC_LENGTH: more = feed_length(codec, &rest); break;
        case SKI_CODEC_CHUNKED: more = feed_chunked(codec, &rest); break;
        case SKI_CODEC_END:
        case SKI_CODEC_FAILED: break;
        }
    }
    return codec->state == SKI_CODEC_FAILED ? bytes.len : bytes.len - rest.len;
}
