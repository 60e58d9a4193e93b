// SPDX-License-Identifier: Apache-2.0
// The codec: what it tells of good requests, that it refuses the bad ones (each of them a way to
// make two servers disagree about where a request ends), and that it does not matter how the bytes
// are cut.
#include "net/codec_transcript.h"

#include "base/alloc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const ski_codec_limits limits = {
    .header_bytes_max = 1024,
    .headers_max = 10,
    .uri_bytes_max = 200,
};

// check_cuts: in every piece size, with and without pauses, the transcript is that of the whole.
static void check_cuts(skald_str bytes, const char *expected)
{
    transcript whole;

    transcript_run(&whole, &limits, bytes, 0, false);
    if (expected != NULL) {
        assert_int_equal(whole.text.len, strlen(expected));
        assert_memory_equal(whole.text.ptr, expected, whole.text.len);
    }
    for (size_t piece = 0; piece <= bytes.len && piece < 400; piece++) {
        for (int pauses = 0; pauses < 2; pauses++) {
            transcript cut;
            transcript_run(&cut, &limits, bytes, piece, pauses);
            assert_int_equal(cut.text.len, whole.text.len);
            assert_memory_equal(cut.text.ptr, whole.text.ptr, whole.text.len);
            transcript_fini(&cut);
        }
    }
    transcript_fini(&whole);
}

typedef struct good_case {
    const char *bytes, *expected;
} good_case;

static const good_case good[] = {
    {"GET /a/b?c=d&e HTTP/1.1\r\nHost: x\r\n\r\n",
     "HEAD GET /a/b ?c=d&e 1.1 length=0 keep\nHost=x\n\nEND\n"},
    {"GET / HTTP/1.1\r\nHOST:\t x:80 \t \r\nEmpty:\r\nA: b c\r\nConnection: close\r\n\r\n",
     "HEAD GET / 1.1 length=0\nHOST=x:80\nEmpty=\nA=b c\nConnection=close\n\nEND\n"},
    {"GET / HTTP/1.0\r\n\r\n", "HEAD GET / 1.0 length=0\n\nEND\n"},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "HEAD GET / 1.0 length=0 keep\nConnection=keep-alive\n\nEND\n"},
    {"GET /? HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD GET / ? 1.1 length=0 keep\nHost=x\n\nEND\n"},
    {"OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", "HEAD OPTIONS * 1.1 length=0 keep\nHost=\n\nEND\n"},
    {"GET http://x.y:1/p?q HTTP/1.1\r\nHost: X.y:1\r\n\r\n",
     "HEAD GET /p ?q 1.1 length=0 keep\nHost=X.y:1\n\nEND\n"},
    {"GET https://x HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD GET / 1.1 length=0 keep\nHost=x\n\nEND\n"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
     "HEAD POST / 1.1 length=5 keep\nHost=x\nContent-Length=5\nBODY hello\nEND\n"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
     "HEAD POST / 1.1 length=0 keep\nHost=x\nContent-Length=0\n\nEND\n"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
     "3\r\nabc\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: v\r\n\r\n",
     "HEAD POST / 1.1 length=0 chunked keep\nHost=x\nTransfer-Encoding=Chunked\n"
     "BODY abc0123456789\nEND\n"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "HEAD POST / 1.1 length=0 chunked keep\nHost=x\nTransfer-Encoding=chunked\n\nEND\n"},
    {"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n!",
     "HEAD PUT / 1.1 length=1 keep continue\nHost=x\nExpect=100-Continue\nContent-Length=1\nBODY "
     "!\nEND\n"},
    {"PUT / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n",
     "HEAD PUT / 1.1 length=0 keep expect\nHost=x\nExpect=magic\n\nEND\n"},
    {"\r\nGET /1 HTTP/1.1\r\nHost: x\r\n\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: "
     "2\r\n\r\nokGET /3 HTTP/1.1\r\nHost: x\r\n\r\n",
     "HEAD GET /1 1.1 length=0 keep\nHost=x\n\nEND\nHEAD POST /2 1.1 length=2 keep\nHost=x\n"
     "Content-Length=2\nBODY ok\nEND\nHEAD GET /3 1.1 length=0 keep\nHost=x\n\nEND\n"},
    {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
     "HEAD GET / 1.1 length=0 keep\nHost=x\nConnection=Upgrade, HTTP2-Settings\n"
     "Upgrade=h2c\n\nEND\n"},
    {"GET / HTTP/1.1\r\nHost: [::1]:8000\r\nX: \x80\xff\r\n\r\n",
     "HEAD GET / 1.1 length=0 keep\nHost=[::1]:8000\nX=\x80\xff\n\nEND\n"},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        check_cuts(skald_str_of(good[i].bytes), good[i].expected);
    }
}

typedef struct bad_case {
    const char *name;
    skald_str bytes;
    unsigned status;
} bad_case;

#define BAD(name, literal, status)                   \
    {                                                \
        name, {literal, sizeof(literal) - 1}, status \
    }
#define HOST "Host: x\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

static const bad_case bad[] = {
    BAD("http 0.9", "GET /\r\n\r\n", 400),
    BAD("http 0.9 in words", "GET / HTTP/0.9\r\n" HOST "\r\n", 505),
    BAD("http 2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", 505),
    BAD("http 2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    BAD("http 1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", 505),
    BAD("http 1.10", "GET / HTTP/1.10\r\n" HOST "\r\n", 400),
    BAD("lower case http", "GET / http/1.1\r\n" HOST "\r\n", 400),
    BAD("another protocol", "GET / RTSP/1.0\r\n" HOST "\r\n", 400),
    BAD("ice", "SOURCE / ICE/1.0\r\n" HOST "\r\n", 400),
    BAD("tls", "\x16\x03\x01\x02\x00\x01", 400),
    BAD("lower case method", "get / HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("unknown method", "BREW / HTTP/1.1\r\n" HOST "\r\n", 501),
    BAD("method of another protocol", "DESCRIBE / HTTP/1.1\r\n" HOST "\r\n", 501),
    BAD("method prefix", "GETT / HTTP/1.1\r\n" HOST "\r\n", 501),
    BAD("method with a bracket", "G(T / HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("connect", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 501),
    BAD("two spaces", "GET  / HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("three spaces", "GET / HTTP/1.1 \r\n" HOST "\r\n", 400),
    BAD("space in target", "GET /a b HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("tab in the line", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("no target", "GET HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("fragment", "GET /#x HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("eight bit target", "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("control in target", "GET /\x01 HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("nul in target", "GET /\0 HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("relative target", "GET a/b HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("query only", "GET ?a HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("star with GET", "GET * HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("star with query", "OPTIONS *?a HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("another scheme", "GET ftp://x/ HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("absolute, another host", "GET http://y/ HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("absolute, no host", "GET http:/// HTTP/1.1\r\nHost:\r\n\r\n", 400),
    BAD("absolute, with user", "GET http://a@x/ HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("LF first", "\nGET / HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("CR first", "\rGET / HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("lone LF behind the request line", "GET / HTTP/1.1\n" HOST "\r\n", 400),
    BAD("lone LF behind a header", "GET / HTTP/1.1\r\nHost: x\n\r\n", 400),
    BAD("lone LF at the end", "GET / HTTP/1.1\r\n" HOST "\n", 400),
    BAD("lone CR in the request line", "GET /\r HTTP/1.1\r\n" HOST "\r\n", 400),
    BAD("lone CR in a value", "GET / HTTP/1.1\r\n" HOST "A: b\rC: d\r\n\r\n", 400),
    BAD("CR CR LF", "GET / HTTP/1.1\r\n" HOST "A: b\r\r\n\r\n", 400),
    BAD("lone CR as a name", "GET / HTTP/1.1\r\n" HOST "\rA: b\r\n\r\n", 400),
    BAD("folded with space", "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", 400),
    BAD("folded with tab", "GET / HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n", 400),
    BAD("folded, first header", "GET / HTTP/1.1\r\n " HOST "\r\n", 400),
    BAD("folded length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n 5\r\n\r\nhello", 400),
    BAD("no host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", 400),
    BAD("two hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400),
    BAD("two hosts in 1.0", "GET / HTTP/1.0\r\n" HOST "hOST: y\r\n\r\n", 400),
    BAD("host with path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
    BAD("host with user", "GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", 400),
    BAD("host list", "GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", 400),
    BAD("space before colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    BAD("space in name", "GET / HTTP/1.1\r\n" HOST "A B: c\r\n\r\n", 400),
    BAD("bracket in name", "GET / HTTP/1.1\r\n" HOST "A(B: c\r\n\r\n", 400),
    BAD("eight bit name", "GET / HTTP/1.1\r\n" HOST "\xc3\xa4: c\r\n\r\n", 400),
    BAD("nul in name", "GET / HTTP/1.1\r\n" HOST "A\0B: c\r\n\r\n", 400),
    BAD("empty name", "GET / HTTP/1.1\r\n" HOST ": c\r\n\r\n", 400),
    BAD("no colon", "GET / HTTP/1.1\r\n" HOST "abc\r\n\r\n", 400),
    BAD("nul in value", "GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n", 400),
    BAD("control in value", "GET / HTTP/1.1\r\n" HOST "A: b\x0b\r\n\r\n", 400),
    BAD("del in value", "GET / HTTP/1.1\r\n" HOST "A: \x7f\r\n\r\n", 400),
    BAD("length and chunked",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    BAD("chunked and length",
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400),
    BAD("two lengths, different",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
    BAD("two lengths, same",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    BAD("length list", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc", 400),
    BAD("length with sign", "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc", 400),
    BAD("negative length", "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\nabc", 400),
    BAD("hexadecimal length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\nabc", 400),
    BAD("empty length", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400),
    BAD("length with space", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1 2\r\n\r\nabc", 400),
    BAD("length beyond 64 bits",
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551619\r\n\r\nabc", 400),
    BAD("gzip", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501),
    BAD("gzip, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n",
        501),
    BAD("identity", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 501),
    BAD("chunked with a parameter",
        "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;a=b\r\n\r\n", 501),
    BAD("chunked, gzip", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n",
        400),
    BAD("chunked twice",
        "POST / HTTP/1.1\r\n" HOST
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        400),
    BAD("empty coding", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", 501),
    BAD("quoted chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", 501),
    BAD("chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    BAD("chunk without size", CHUNKED "\r\n", 400),
    BAD("chunk size with sign", CHUNKED "+3\r\nabc\r\n", 400),
    BAD("chunk size in 0x", CHUNKED "0x3\r\nabc\r\n", 400),
    BAD("chunk size with space", CHUNKED "3 \r\nabc\r\n", 400),
    BAD("chunk size, lone LF", CHUNKED "3\nabc\r\n", 400),
    BAD("chunk size, lone CR", CHUNKED "3\rabc\r\n", 400),
    BAD("chunk size beyond 64 bits", CHUNKED "10000000000000000\r\n", 413),
    BAD("chunk size of zeros", CHUNKED "00000000000000003\r\nabc\r\n", 413),
    BAD("chunk data too long", CHUNKED "3\r\nabcd\r\n", 400),
    BAD("chunk data, lone LF", CHUNKED "3\r\nabc\n", 400),
    BAD("chunk data, CR without LF", CHUNKED "3\r\nabc\rx", 400),
    BAD("lone LF in an extension", CHUNKED "3;a\nabc\r\n", 400),
    BAD("control in an extension", CHUNKED "3;a\x01\r\nabc\r\n", 400),
    BAD("trailer folded", CHUNKED "0\r\nA: b\r\n c\r\n\r\n", 400),
    BAD("trailer without name", CHUNKED "0\r\n: b\r\n\r\n", 400),
    BAD("trailer with space", CHUNKED "0\r\nA : b\r\n\r\n", 400),
    BAD("trailer with control", CHUNKED "0\r\nA: \x02\r\n\r\n", 400),
    BAD("trailer, lone LF", CHUNKED "0\r\nA: b\n\r\n", 400),
    BAD("trailer, lone CR", CHUNKED "0\r\nA: b\rC\r\n\r\n", 400),
    BAD("end, lone LF", CHUNKED "0\r\n\n", 400),
    BAD("end, lone CR", CHUNKED "0\r\n\rG", 400),
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        transcript script;
        transcript_run(&script, &limits, bad[i].bytes, 0, false);
        char expected[32];
        snprintf(expected, sizeof expected, "FAILED %u ", bad[i].status);
        bool refused = script.failures == 1 && script.ends == 0;
        if (!refused || strstr(script.text.ptr, expected) == NULL) {
            fail_msg("%s: expected %s, got %.*s", bad[i].name, expected, (int)script.text.len,
                     script.text.ptr);
        }
        transcript_fini(&script);
        check_cuts(bad[i].bytes, NULL);
    }
}

// repeated gives head, unit so often, tail.
static skald_str repeated(skald_buf *buf, const char *head, const char *unit, size_t times,
                          const char *tail)
{
    *buf = (skald_buf){.bytes_max = SIZE_MAX};
    assert_int_equal(skald_buf_put(buf, skald_str_of(head)), SKALD_OK);
    for (size_t i = 0; i < times; i++) {
        assert_int_equal(skald_buf_put(buf, skald_str_of(unit)), SKALD_OK);
    }
    assert_int_equal(skald_buf_put(buf, skald_str_of(tail)), SKALD_OK);
    return ski_buf_str(buf);
}

static void check_limit(const char *head, const char *unit, size_t fits, const char *tail,
                        unsigned status)
{
    skald_buf buf;
    char expected[32];

    for (size_t more = 0; more < 2; more++) {
        transcript script;
        skald_str bytes = repeated(&buf, head, unit, fits + more, tail);
        transcript_run(&script, &limits, bytes, 0, false);
        assert_int_equal(script.failures, more);
        assert_int_equal(script.ends, 1 - more);
        snprintf(expected, sizeof expected, "FAILED %u ", status);
        if (more) assert_non_null(strstr(script.text.ptr, expected));
        transcript_fini(&script);
        check_cuts(bytes, NULL);
        skald_buf_fini(&buf);
    }
}

static void test_limits(void **state)
{
    (void)state;
    check_limit("GET /", "a", 199, " HTTP/1.1\r\nHost: x\r\n\r\n", 414);
    check_limit("GET / HTTP/1.1\r\nHost: x\r\n", "A: b\r\n", 9, "\r\n", 431);
    // 1024 bytes: Host 9, "A: " and CR LF 5, the last CR LF 2.
    check_limit("GET / HTTP/1.1\r\nHost: x\r\nA: ", "b", 1008, "\r\n\r\n", 431);
    check_limit(CHUNKED "1;", "e", 4096, "\r\nx\r\n0\r\n\r\n", 413);
    check_limit(CHUNKED "0\r\n", "A: b\r\n", 8192 / 6, "\r\n", 431);
}

// A line that never ends is refused as soon as it is too long, not when it ends.
static void test_endless(void **state)
{
    (void)state;
    transcript script;
    skald_buf buf;

    transcript_run(&script, &limits, repeated(&buf, "GET /", "a", 300, ""), 1, false);
    assert_non_null(strstr(script.text.ptr, "FAILED 414"));
    transcript_fini(&script);
    skald_buf_fini(&buf);
    transcript_run(&script, &limits, repeated(&buf, "GET / HTTP/1.1\r\nA: ", "a", 1100, ""), 1,
                   false);
    assert_non_null(strstr(script.text.ptr, "FAILED 431"));
    assert_true(script.gather.len < 1100);
    transcript_fini(&script);
    skald_buf_fini(&buf);
}

static void test_no_memory(void **state)
{
    (void)state;
    transcript script = {.text.bytes_max = SIZE_MAX, .gather.bytes_max = 20};
    static const ski_codec_sink sink = {
        .begin = transcript_begin,
        .head = transcript_head,
        .body = transcript_body,
        .end = transcript_end,
        .failed = transcript_failed,
    };
    ski_codec codec;

    ski_codec_init(&codec, &limits, &sink, &script);
    size_t took = ski_codec_feed(&codec, skald_str_of(good[0].bytes));
    assert_int_equal(took, strlen(good[0].bytes)); // what comes after a failure is nothing
    assert_non_null(strstr(script.text.ptr, "FAILED 503"));
    assert_int_equal(ski_codec_feed(&codec, SKALD_STR("more")), 4);
    assert_int_equal(script.failures, 1);
    transcript_fini(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_bad),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_endless),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
