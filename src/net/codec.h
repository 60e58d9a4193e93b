// SPDX-License-Identifier: Apache-2.0
// net/codec.h - HTTP/1.1 requests as a pure codec: bytes in, events out. No sockets, no clock, no
// heap of its own.
//
// However the bytes are cut into pieces, the events are the same (but for where a body is cut). A
// head is gathered whole, line by line, into a buffer the owner gives, and then read once: what an
// event borrows stays valid as long as that buffer.
#ifndef SKI_NET_CODEC_H
#define SKI_NET_CODEC_H

#include "net/http.h"

enum {
    SKI_CODEC_HEADERS_MAX = 256, // headers_max may not be more
};

// The head of one request, checked: exactly one Host (HTTP/1.1), one way of telling the length of
// the body.
typedef struct ski_codec_head {
    skald_str method, path, query;  // path begins with '/', or is "*"; query not given: none
    const ski_http_header *headers; // borrowed for the call only;
                                    // their texts live in the gathering buffer
    size_t header_count;
    uint64_t content_length; // 0: no body, or chunked
    unsigned minor;          // HTTP/1.minor: 0 or 1
    bool chunked;
    bool keep_alive;      // the client would like to go on
    bool expect_continue; // Expect: 100-continue
    bool expect_other;    // Expect: something nobody knows (417)
} ski_codec_head;

// What the owner does with the events. Those that return bool: false pauses the codec behind the
// event.
typedef struct ski_codec_sink {
    skald_buf *(*begin)(void *context); // a request begins; its head is gathered
                                        // in this. NULL: out of memory
    bool (*head)(void *context, const ski_codec_head *head);
    bool (*body)(void *context, skald_str bytes); // borrowed for the call
    bool (*end)(void *context);
    void (*failed)(void *context, const skald_error *error); // last of all: the rest
                                                             // of the input is nothing
} ski_codec_sink;

typedef struct ski_codec_limits {
    uint32_t header_bytes_max; // of all header lines together
    uint32_t headers_max;
    uint32_t uri_bytes_max;
} ski_codec_limits;

typedef enum ski_codec_state {
    SKI_CODEC_START, // between two requests
    SKI_CODEC_HEAD,
    SKI_CODEC_LENGTH, // in a body of known length
    SKI_CODEC_CHUNKED,
    SKI_CODEC_END, // everything is there, end is not called yet
    SKI_CODEC_FAILED,
} ski_codec_state;

typedef struct ski_chunks {
    uint64_t size; // of this chunk, what is not given yet
    uint32_t extension_bytes, trailer_bytes;
    uint8_t step; // in chunks.c
    uint8_t digits;
} ski_chunks;

typedef struct ski_codec {
    const ski_codec_sink *sink;
    const ski_codec_limits *limits;
    void *context;
    skald_buf *gather;
    uint32_t line_begin; // of the line being gathered
    uint32_t lines;      // whole header lines so far, the request line not counted
    uint32_t head_begin; // of the first header line; 0: still in the request line
    uint8_t state;
    uint8_t blank_bytes; // of an empty line before the request
    uint64_t body_left;
    ski_chunks chunks;
} ski_codec;

// ski_codec_init: limits, sink and context are borrowed for as long as the codec is used.
void ski_codec_init(ski_codec *codec, const ski_codec_limits *limits, const ski_codec_sink *sink,
                    void *context);
// ski_codec_feed takes bytes (none: goes on after a pause) and calls the sink. It returns how many
// it took: all of them, unless the sink paused.
size_t ski_codec_feed(ski_codec *codec, skald_str bytes);
// ski_codec_fail ends it from outside: whatever comes is nothing from now on. failed is not called.
void ski_codec_fail(ski_codec *codec);

// The head's own part (head.c): a line once it is there, and the whole. They fill error and fail,
// or are OK.
skald_err ski_head_check_line(const ski_codec *codec, skald_str line, skald_error *error);
skald_err ski_head_read(const ski_codec *codec, ski_http_header *headers, ski_codec_head *ret_head,
                        skald_error *error);

// The body in chunks (chunks.c). step takes bytes from *rest: it gives a piece of the body, or is
// done, or has taken all there was. Fails: INVALID, TOOBIG (extensions), with code
// HEADERS_TOO_LARGE for trailers.
typedef struct ski_chunks_event {
    skald_str data; // length 0: none
    bool done;
} ski_chunks_event;
skald_err ski_chunks_step(ski_chunks *chunks, skald_str *rest, ski_chunks_event *ret_event,
                          skald_error *error);

// ski_http_token: 1 or more characters that RFC 9110 calls token.
bool ski_http_token(skald_str text);

#endif
