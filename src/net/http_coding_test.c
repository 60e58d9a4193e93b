// SPDX-License-Identifier: Apache-2.0
// Content codings: what is accepted, whole and broken members, bodies that come coded (read whole,
// or streamed to a handler that pauses), replies that leave coded, and the limits of all that.
#include "base/buf.h"
#include "net/coding.h"
#include "net/http_test_client.h"

#include <assert.h>

enum { body_limit = 100 * 1000, plain_bytes = 60 * 1000 };

static void test_accepted(void **state)
{
    static const struct {
        const char *header;
        ski_coding coding;
    } cases[] = {
        {NULL, SKI_CODING_NONE},
        {"", SKI_CODING_NONE},
        {"identity", SKI_CODING_NONE},
        {"br", SKI_CODING_NONE},
        {"gzip", SKI_CODING_GZIP},
        {"GZip", SKI_CODING_GZIP},
        {"gzip, deflate, br, zstd", SKI_CODING_ZSTD},
        {"gzip;q=1.0, zstd;q=0", SKI_CODING_GZIP},
        {"gzip ; Q = 0.000 , zstd ; q=0.001", SKI_CODING_ZSTD},
        {"*", SKI_CODING_ZSTD},
        {"*, zstd;q=0", SKI_CODING_GZIP},
        {"*;q=0, gzip", SKI_CODING_GZIP},
        {"*;q=0", SKI_CODING_NONE},
        {",,;,gzip", SKI_CODING_GZIP},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ski_coding_accepted(skald_str_of(cases[i].header)), cases[i].coding);
    }
}

static void plain_fill(char *plain, size_t len)
{
    for (size_t i = 0; i < len; i++) plain[i] = "event log bus "[i % 14] ^ (char)(i / 4099 % 3);
}

// decode_all decodes what is given cut_bytes at a time; the buffer is the caller's.
static skald_err decode_all(ski_coding coding, skald_str coded, size_t cut_bytes, skald_buf *buf,
                            bool *ret_whole)
{
    ski_decoder *decoder = ski_decoder_new(coding);
    skald_err err = SKALD_OK;

    assert_non_null(decoder);
    while (coded.len && !err) {
        size_t part = coded.len < cut_bytes ? coded.len : cut_bytes;
        skald_str piece = {0};

        err = ski_decoder_give(decoder, ski_str(coded.ptr, part));
        do {
            if (!err) err = ski_decoder_next(decoder, &piece);
            assert_true(err || piece.len <= SKI_CODING_PIECE);
            if (!err) err = skald_buf_put(buf, piece);
        } while (!err && piece.len);
        coded = ski_str(coded.ptr + part, coded.len - part);
    }
    *ret_whole = ski_decoder_whole(decoder);
    ski_decoder_free(decoder);
    return err;
}

static void test_both_ways(void **state)
{
    static const size_t lens[] = {0, 1, 1000, SKI_CODING_PIECE, SKI_CODING_PIECE * 2, plain_bytes};
    static const size_t cuts[] = {1, 7, 1024, SIZE_MAX};
    char *plain = ski_alloc(SKI_CODING_PIECE * 2);

    (void)state;
    plain_fill(plain, SKI_CODING_PIECE * 2);
    for (size_t i = 0; i < 2 * sizeof lens / sizeof *lens * (sizeof cuts / sizeof *cuts); i++) {
        ski_coding coding = i % 2 ? SKI_CODING_GZIP : SKI_CODING_ZSTD;
        size_t len = lens[i / 2 % (sizeof lens / sizeof *lens)];
        size_t cut = cuts[i / 2 / (sizeof lens / sizeof *lens)];
        skald_buf coded = {.bytes_max = 1 << 20}, back = {.bytes_max = 1 << 20};
        bool whole = false;

        // Two members, one behind the other, are one body.
        assert_int_equal(ski_encode(coding, ski_str(plain, len), &coded), SKALD_OK);
        assert_int_equal(ski_encode(coding, SKALD_STR("and more"), &coded), SKALD_OK);
        assert_int_equal(decode_all(coding, ski_buf_str(&coded), cut, &back, &whole), SKALD_OK);
        assert_true(whole);
        assert_int_equal(back.len, len + 8);
        assert_memory_equal(back.ptr, plain, len);
        assert_memory_equal(back.ptr + len, "and more", 8);
        skald_buf_fini(&coded);
        skald_buf_fini(&back);
    }
    ski_free(plain);
}

// Every beginning of a coded text is refused, or known not to be whole; so is what was never coded.
static void test_broken(void **state)
{
    (void)state;
    for (ski_coding coding = SKI_CODING_GZIP; coding <= SKI_CODING_ZSTD; coding++) {
        skald_buf coded = {.bytes_max = 4096}, back = {.bytes_max = 1 << 20};
        skald_str text = SKALD_STR("what is broken off, or changed on its way, is not believed");
        bool whole = false;

        assert_int_equal(ski_encode(coding, text, &coded), SKALD_OK);
        for (size_t len = 0; len < coded.len; len++) {
            back.len = 0;
            if (decode_all(coding, ski_str(coded.ptr, len), SIZE_MAX, &back, &whole)) continue;
            assert_false(whole);
        }
        assert_true(decode_all(coding, SKALD_STR("{\"type\":\"a.b\"}"), SIZE_MAX, &back, &whole) ||
                    !whole);
        skald_buf_fini(&coded);
        skald_buf_fini(&back);
    }
}

// Twenty million zeros come in pieces, whoever asks for them.
static void test_bomb(void **state)
{
    enum { zeros_bytes = 1000 * 1000, times = 20 };
    char *zeros = ski_alloc_zeroed(1, zeros_bytes);

    (void)state;
    for (ski_coding coding = SKI_CODING_GZIP; coding <= SKI_CODING_ZSTD; coding++) {
        skald_buf coded = {.bytes_max = 4 << 20};
        ski_decoder *decoder = ski_decoder_new(coding);
        size_t total = 0;
        skald_str piece;

        for (int i = 0; i < times; i++) {
            assert_int_equal(ski_encode(coding, ski_str(zeros, zeros_bytes), &coded), SKALD_OK);
        }
        assert_true(coded.len < zeros_bytes / 10);
        assert_int_equal(ski_decoder_give(decoder, ski_buf_str(&coded)), SKALD_OK);
        do {
            assert_int_equal(ski_decoder_next(decoder, &piece), SKALD_OK);
            assert_true(piece.len <= SKI_CODING_PIECE);
            total += piece.len;
        } while (piece.len);
        assert_int_equal(total, zeros_bytes * times);
        assert_true(ski_decoder_whole(decoder));
        ski_decoder_free(decoder);
        skald_buf_fini(&coded);
    }
    ski_free(zeros);
}

// The server.

typedef struct fixture {
    ski_http *http;
    ski_http *serving; // as its own loop knows it
    uint16_t port;
    char plain[plain_bytes];
    // of the loop
    size_t streamed, mores;
    gate arrived;
    ski_http_request_id kept;
} fixture;

static skald_err reply_with(const ski_http_request *request, const char *type, skald_str text)
{
    ski_http_reply reply = {.status = 200, .content_type = type, .body = text};

    return ski_http_reply_send(request->http, request->id, &reply);
}

static skald_err handle_echo(ski_http_request *request, skald_error *error)
{
    (void)error;
    return reply_with(request, "text/plain", request->body);
}

static skald_err handle_image(ski_http_request *request, skald_error *error)
{
    fixture *fix = request->context;

    (void)error;
    return reply_with(request, "image/png", ski_str(fix->plain, plain_bytes));
}

static skald_err handle_coded(ski_http_request *request, skald_error *error)
{
    ski_http_header header = {SKALD_STR("Content-Encoding"), SKALD_STR("gzip")};
    fixture *fix = request->context;
    ski_http_reply reply = {.status = 200,
                            .content_type = "text/css",
                            .body = ski_str(fix->plain, plain_bytes),
                            .headers = &header,
                            .header_count = 1};

    (void)error;
    return ski_http_reply_send(request->http, request->id, &reply);
}

static skald_err handle_stream(ski_http_request *request, skald_error *error)
{
    fixture *fix = request->context;

    (void)error;
    fix->streamed = fix->mores = 0;
    return SKALD_OK;
}

static void go_on(void *context)
{
    fixture *fix = context;

    ski_http_resume(fix->serving, fix->kept);
}

// stream_more pauses behind every piece.
static bool stream_more(ski_http_request *request, skald_str bytes)
{
    fixture *fix = request->context;

    for (size_t i = 0; i < bytes.len; i++) assert(bytes.ptr[i] == fix->plain[fix->streamed + i]);
    fix->streamed += bytes.len;
    fix->mores++;
    fix->kept = request->id;
    fix->serving = request->http;
    return !ski_http_post(request->http, go_on, fix);
}

static void stream_end(ski_http_request *request)
{
    fixture *fix = request->context;
    char text[64];
    int len = snprintf(text, sizeof text, "%zu in several: %s", fix->streamed,
                       fix->mores > 1 ? "yes" : "no");

    (void)!reply_with(request, "text/plain", ski_str(text, (size_t)len));
}

static void stream_gone(ski_http_request *request)
{
    (void)!reply_with(request, "text/plain", SKALD_STR(""));
}

static const ski_http_body stream_body = {stream_more, stream_end, stream_gone};
static const ski_http_route routes[] = {
    {.method = "POST", .path = "/echo", .handle = handle_echo},
    {.method = "GET", .path = "/echo", .handle = handle_echo},
    {.method = "GET", .path = "/image", .handle = handle_image},
    {.method = "GET", .path = "/coded", .handle = handle_coded},
    {.method = "POST", .path = "/stream", .handle = handle_stream, .body = &stream_body},
    {.method = NULL},
};

static int setup(void **state)
{
    fixture *fix = ski_alloc_zeroed(1, sizeof *fix);
    ski_http_options options = {.routes = routes, .context = fix, .body_bytes_max = body_limit};

    plain_fill(fix->plain, plain_bytes);
    fix->http = server_start(&options);
    fix->port = ski_http_port(fix->http);
    *state = fix;
    return 0;
}

static int teardown(void **state)
{
    fixture *fix = *state;

    assert_int_equal(ski_http_stop(fix->http, 2000), SKALD_OK);
    ski_free(fix);
    return 0;
}

static void post(client *one, const char *path, const char *headers, skald_str body)
{
    char head[512];
    int len =
        snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                 path, headers, body.len);

    client_send_bytes(one, head, (size_t)len);
    client_send_bytes(one, body.ptr, body.len);
}

static void post_coded(client *one, const char *path, ski_coding coding, skald_str plain,
                       size_t drop_bytes)
{
    skald_buf coded = {.bytes_max = 4 << 20};
    char header[64];

    (void)snprintf(header, sizeof header, "Content-Encoding: %s\r\n", ski_coding_name(coding));
    assert_int_equal(ski_encode(coding, plain, &coded), SKALD_OK);
    post(one, path, header, ski_str(coded.ptr, coded.len - drop_bytes));
    skald_buf_fini(&coded);
}

static void test_bodies(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);

    for (ski_coding coding = SKI_CODING_GZIP; coding <= SKI_CODING_ZSTD; coding++) {
        client_reply reply;

        post_coded(&one, "/echo", coding, SKALD_STR("hello"), 0);
        client_expect(&one, 200, "hello");
        post_coded(&one, "/echo", coding, ski_str(fix->plain, plain_bytes), 0);
        assert_true(client_reply_get(&one, &reply, false));
        assert_int_equal(reply.status, 200);
        assert_int_equal(reply.body.len, plain_bytes);
        assert_memory_equal(reply.body.ptr, fix->plain, plain_bytes);
        reply_fini(&reply);
        post_coded(&one, "/stream", coding, ski_str(fix->plain, plain_bytes), 0);
        client_expect(&one, 200, "60000 in several: yes");
    }
    post(&one, "/echo", "Content-Encoding: identity\r\n", SKALD_STR("as it is"));
    client_expect(&one, 200, "as it is");
    client_close(&one);
}

static void test_bodies_refused(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    char *large = ski_alloc_zeroed(1, body_limit + 1);
    client_reply reply;

    post(&one, "/echo", "Content-Encoding: br\r\n", SKALD_STR("hello"));
    assert_true(client_reply_get(&one, &reply, false));
    assert_int_equal(reply.status, 415);
    assert_true(reply_has(&reply, "Accept-Encoding: gzip, zstd\r\n"));
    reply_fini(&reply);
    post(&one, "/echo", "Content-Encoding: gzip, gzip\r\n", SKALD_STR("hello"));
    client_expect(&one, 415, "gzip or zstd");
    client_close(&one);
    // The limit is on what it decodes to.
    for (ski_coding coding = SKI_CODING_GZIP; coding <= SKI_CODING_ZSTD; coding++) {
        one = client_open(fix->port);
        post_coded(&one, "/echo", coding, ski_str(large, body_limit + 1), 0);
        client_expect(&one, 413, "100000 bytes at most");
        client_close(&one);
        one = client_open(fix->port);
        post_coded(&one, "/echo", coding, SKALD_STR("broken off"), 3);
        client_expect(&one, 400, "not what its Content-Encoding says");
        client_close(&one);
        one = client_open(fix->port);
        post_coded(&one, "/stream", coding, ski_str(fix->plain, plain_bytes), 3);
        client_expect(&one, 400, "not what its Content-Encoding says");
        client_close(&one);
    }
    one = client_open(fix->port);
    post(&one, "/echo", "Content-Encoding: gzip\r\n", SKALD_STR("{\"no\":\"gzip\"}"));
    client_expect(&one, 400, "not what its Content-Encoding says");
    client_close(&one);
    ski_free(large);
}

static void test_bodies_many(void **state)
{
    enum { decoders_max = 64 };
    fixture *fix = *state;
    client many[decoders_max], one;

    for (int i = 0; i < decoders_max; i++) {
        many[i] = client_open(fix->port);
        client_send(&many[i], "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: zstd\r\n"
                              "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n");
        client_reply reply;
        assert_true(client_head(&many[i], &reply)); // it has begun
    }
    one = client_open(fix->port);
    post_coded(&one, "/echo", SKI_CODING_GZIP, SKALD_STR("one more"), 0);
    client_expect(&one, 503, "too many coded bodies");
    for (int i = 0; i < decoders_max; i++) client_close(&many[i]);
    for (bool taken = false; !taken;) { // when the server has noticed
        client_reply reply;

        client_close(&one);
        one = client_open(fix->port);
        post_coded(&one, "/echo", SKI_CODING_GZIP, SKALD_STR("one more"), 0);
        assert_true(client_reply_get(&one, &reply, false));
        taken = reply.status == 200;
        reply_fini(&reply);
    }
    client_close(&one);
}

static void test_replies(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    client_reply reply;

    for (ski_coding coding = SKI_CODING_GZIP; coding <= SKI_CODING_ZSTD; coding++) {
        skald_buf back = {.bytes_max = 1 << 20};
        char header[64];
        bool whole = false;

        (void)snprintf(header, sizeof header, "Accept-Encoding: %s\r\n", ski_coding_name(coding));
        post(&one, "/echo", header, ski_str(fix->plain, plain_bytes));
        assert_true(client_reply_get(&one, &reply, false));
        (void)snprintf(header, sizeof header, "\r\nContent-Encoding: %s\r\n",
                       ski_coding_name(coding));
        assert_true(reply_has(&reply, header));
        assert_true(reply_has(&reply, "\r\nVary: Accept-Encoding\r\n"));
        assert_true(reply.body.len < plain_bytes / 2);
        assert_int_equal(decode_all(coding, ski_buf_str(&reply.body), 999, &back, &whole),
                         SKALD_OK);
        assert_true(whole && back.len == plain_bytes);
        assert_memory_equal(back.ptr, fix->plain, plain_bytes);
        skald_buf_fini(&back);
        reply_fini(&reply);
    }
    client_close(&one);
}

static void plainly(client *one, const char *request, bool head_only)
{
    client_reply reply;

    client_send(one, request);
    assert_true(client_reply_get(one, &reply, head_only));
    assert_int_equal(reply.status, 200);
    assert_false(reply_has(&reply, "Content-Encoding: zstd"));
    reply_fini(&reply);
}

// What is short, no text, or coded already leaves as it is.
static void test_replies_plain(void **state)
{
    fixture *fix = *state;
    client one = client_open(fix->port);
    client_reply reply;

    plainly(&one, "GET /echo HTTP/1.1\r\nHost: x\r\nAccept-Encoding: zstd\r\n\r\n", false);
    plainly(&one, "GET /image HTTP/1.1\r\nHost: x\r\nAccept-Encoding: zstd\r\n\r\n", false);
    plainly(&one, "GET /coded HTTP/1.1\r\nHost: x\r\nAccept-Encoding: zstd\r\n\r\n", false);
    plainly(&one, "HEAD /image HTTP/1.1\r\nHost: x\r\nAccept-Encoding: zstd\r\n\r\n", true);
    post(&one, "/echo", "", ski_str(fix->plain, plain_bytes));
    assert_true(client_reply_get(&one, &reply, false));
    assert_true(reply_has(&reply, "\r\nVary: Accept-Encoding\r\n")); // it could have been
    assert_int_equal(reply.body.len, plain_bytes);
    reply_fini(&reply);
    client_close(&one);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_bomb),
        TEST(test_bodies),
        TEST(test_bodies_refused),
        TEST(test_bodies_many),
        TEST(test_replies),
        TEST(test_replies_plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
