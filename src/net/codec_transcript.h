// SPDX-License-Identifier: Apache-2.0
// net/codec_transcript.h - for tests and the fuzz target: what the codec tells of some bytes, as
// text. Pieces of one body are joined, so two ways to cut the same bytes must give the same
// transcript.
#ifndef SKI_NET_CODEC_TRANSCRIPT_H
#define SKI_NET_CODEC_TRANSCRIPT_H

#include "base/buf.h"
#include "base/str.h"
#include "net/codec.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct transcript {
    skald_buf text, gather;
    bool in_body;
    bool pauses; // after every event
    unsigned failures, ends;
} transcript;

static inline void transcript_put(transcript *script, const char *format, skald_str a, skald_str b)
{
    if (ski_buf_print(&script->text, format, SKALD_FMT(a), SKALD_FMT(b))) abort();
}

static inline skald_buf *transcript_begin(void *context)
{
    transcript *script = context;

    script->gather.len = 0;
    return &script->gather;
}

static inline bool transcript_head(void *context, const ski_codec_head *head)
{
    transcript *script = context;

    transcript_put(script, "HEAD %.*s %.*s", head->method, head->path);
    if (head->query.ptr != NULL) transcript_put(script, " ?%.*s%.*s", head->query, SKALD_STR(""));
    if (ski_buf_print(&script->text, " 1.%u length=%llu%s%s%s%s\n", head->minor,
                      (unsigned long long)head->content_length, head->chunked ? " chunked" : "",
                      head->keep_alive ? " keep" : "", head->expect_continue ? " continue" : "",
                      head->expect_other ? " expect" : "")) {
        abort();
    }
    for (size_t i = 0; i < head->header_count; i++) {
        transcript_put(script, "%.*s=%.*s\n", head->headers[i].name, head->headers[i].value);
    }
    return !script->pauses;
}

static inline bool transcript_body(void *context, skald_str bytes)
{
    transcript *script = context;

    assert(bytes.len > 0);
    if (!script->in_body && skald_buf_put(&script->text, SKALD_STR("BODY "))) abort();
    script->in_body = true;
    if (skald_buf_put(&script->text, bytes)) abort();
    return !script->pauses;
}

static inline bool transcript_end(void *context)
{
    transcript *script = context;

    script->in_body = false;
    script->ends++;
    if (skald_buf_put(&script->text, SKALD_STR("\nEND\n"))) abort();
    return !script->pauses;
}

static inline void transcript_failed(void *context, const skald_error *error)
{
    transcript *script = context;

    script->failures++;
    if (ski_buf_print(&script->text, "\nFAILED %u %s\n", ski_http_status_of(error), error->text)) {
        abort();
    }
}

// transcript_run feeds bytes in pieces of piece bytes (0: all at once).
static inline void transcript_run(transcript *script, const ski_codec_limits *limits,
                                  skald_str bytes, size_t piece, bool pauses)
{
    static const ski_codec_sink sink = {
        .begin = transcript_begin,
        .head = transcript_head,
        .body = transcript_body,
        .end = transcript_end,
        .failed = transcript_failed,
    };
    ski_codec codec;

    *script = (transcript){.pauses = pauses};
    script->text.bytes_max = script->gather.bytes_max = SIZE_MAX;
    ski_codec_init(&codec, limits, &sink, script);
    while (bytes.len > 0) {
        size_t len = piece == 0 || piece > bytes.len ? bytes.len : piece;
        size_t took = ski_codec_feed(&codec, ski_str(bytes.ptr, len));
        assert(took <= len);
        bytes = ski_str(bytes.ptr + took, bytes.len - took);
    }
    // Paused behind the last byte there may be an end to tell.
    while (codec.state == SKI_CODEC_END) (void)ski_codec_feed(&codec, SKALD_STR(""));
}

static inline void transcript_fini(transcript *script)
{
    skald_buf_fini(&script->text);
    skald_buf_fini(&script->gather);
}

#endif
