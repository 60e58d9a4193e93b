// SPDX-License-Identifier: Apache-2.0
// The HTTP door: whatever comes, however it is cut, the codec tells the same; what it lets through
// has the shape the server counts on; and where llhttp alone would read the same bytes, both find
// the same requests and bodies.
#include "base/buf.h"
#include "net/codec_transcript.h"

#include <llhttp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ski_codec_limits limits = {
    .header_bytes_max = 512,
    .headers_max = 16,
    .uri_bytes_max = 128,
};

typedef struct seen {
    uint64_t ends, body_bytes;
} seen;

static void check(bool holds)
{
    if (!holds) abort();
}

// check_text: nothing in it can end a header early.
static void check_text(skald_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        check(byte == '\t' || (byte >= ' ' && byte != 0x7f));
    }
}

static skald_buf *shape_begin(void *context)
{
    transcript *script = context;

    script->gather.len = 0;
    return &script->gather;
}

static bool shape_head(void *context, const ski_codec_head *head)
{
    transcript *script = context;
    size_t hosts = 0, lengths = 0, codings = 0;

    check(ski_http_token(head->method));
    check(head->path.len > 0 &&
          (*head->path.ptr == '/' || skald_str_equal(head->path, SKALD_STR("*"))));
    check(head->path.len + head->query.len <= limits.uri_bytes_max);
    check_text(head->path);
    check_text(head->query);
    for (size_t i = 0; i < head->header_count; i++) {
        check(ski_http_token(head->headers[i].name));
        check_text(head->headers[i].value);
        hosts += ski_str_equal_nocase(head->headers[i].name, SKALD_STR("host"));
        lengths += ski_str_equal_nocase(head->headers[i].name, SKALD_STR("content-length"));
        codings += ski_str_equal_nocase(head->headers[i].name, SKALD_STR("transfer-encoding"));
    }
    check(head->header_count <= limits.headers_max);
    check(hosts == 1 || (hosts == 0 && head->minor == 0));
    check(lengths + codings <= 1);
    check(head->chunked == (codings == 1));
    check(head->content_length == 0 || lengths == 1);
    return transcript_head(script, head);
}

typedef struct shape {
    transcript script; // first
    uint64_t body_bytes;
} shape;

static bool shape_body(void *context, skald_str bytes)
{
    ((shape *)context)->body_bytes += bytes.len;
    return true;
}

// shape_run is a run whose every head is checked.
static seen shape_run(skald_str bytes, bool *ret_failed)
{
    static const ski_codec_sink sink = {
        .begin = shape_begin,
        .head = shape_head,
        .body = shape_body,
        .end = transcript_end,
        .failed = transcript_failed,
    };
    shape run = {.script = {.text.bytes_max = SIZE_MAX, .gather.bytes_max = SIZE_MAX}};
    ski_codec codec;

    ski_codec_init(&codec, &limits, &sink, &run);
    check(ski_codec_feed(&codec, bytes) == bytes.len);
    check(run.script.failures <= 1);
    *ret_failed = run.script.failures > 0;
    seen found = {.ends = run.script.ends, .body_bytes = run.body_bytes};
    transcript_fini(&run.script);
    return found;
}

static int peer_end(llhttp_t *parser)
{
    ((seen *)parser->data)->ends++;
    return 0;
}

static int peer_body(llhttp_t *parser, const char *at, size_t len)
{
    (void)at;
    ((seen *)parser->data)->body_bytes += len;
    return 0;
}

// check_peer reads the same bytes with llhttp. Upgrades are nothing to us and something to it.
static void check_peer(skald_str bytes, seen ours)
{
    static const llhttp_settings_t table = {.on_body = peer_body, .on_message_complete = peer_end};
    llhttp_t parser;
    seen found = {0};

    for (size_t i = 0; i + 6 <= bytes.len; i++) {
        if (ski_str_equal_nocase(ski_str(bytes.ptr + i, 6), SKALD_STR("pgrade"))) return;
    }
    llhttp_init(&parser, HTTP_REQUEST, &table);
    llhttp_set_lenient_keep_alive(&parser, 1);
    parser.data = &found;
    if (llhttp_execute(&parser, bytes.ptr, bytes.len) != HPE_OK) return;
    check(found.ends == ours.ends && found.body_bytes == ours.body_bytes);
}

static void check_same(skald_str bytes, const transcript *whole, size_t piece, bool pauses)
{
    transcript cut;

    transcript_run(&cut, &limits, bytes, piece, pauses);
    check(skald_str_equal(ski_buf_str(&cut.text), ski_buf_str(&whole->text)));
    transcript_fini(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    skald_str bytes = {(const char *)data, size};
    transcript whole;
    bool failed = false;

    if (size == 0) return 0;
    transcript_run(&whole, &limits, bytes, 0, false);
    check_same(bytes, &whole, 0, true);
    check_same(bytes, &whole, 1, false);
    check_same(bytes, &whole, 2 + size % 13, true);
    transcript_fini(&whole);
    seen found = shape_run(bytes, &failed);
    if (!failed) check_peer(bytes, found);
    return 0;
}
