// SPDX-License-Identifier: Apache-2.0
// HTTP over TLS, with OpenSSL's client over real sockets: requests, large replies to a slow reader,
// who is refused and how, another certificate while it runs.
#include "net/http_test_client.h"
#include "net/tls.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>

enum { large_bytes = 3 * 1024 * 1024 };

// A certificate of its own making, and its key, as PEM.
typedef struct identity {
    char *certificate, *key;
} identity;

static char *pem_text(BIO *memory)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(memory, &bytes);
    char *text = ski_str_terminated(ski_str(bytes, (size_t)len));

    BIO_free(memory);
    return text;
}

static identity identity_new(const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *made = X509_new();
    X509_NAME *subject = X509_get_subject_name(made);
    BIO *certificate_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());

    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made, subject);
    X509_set_pubkey(made, key);
    assert_true(X509_sign(made, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(certificate_pem, made), 1);
    assert_int_equal(PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL), 1);
    X509_free(made);
    EVP_PKEY_free(key);
    return (identity){pem_text(certificate_pem), pem_text(key_pem)};
}

static void identity_free(identity *who)
{
    ski_free(who->certificate);
    ski_free(who->key);
}

static ski_tls_context *context_of(const identity *who)
{
    ski_tls_context *context = NULL;

    assert_int_equal(ski_tls_context_new(skald_str_of(who->certificate), skald_str_of(who->key),
                                         &context, NULL),
                     SKALD_OK);
    return context;
}

static skald_err reply_text(const ski_http_request *request, skald_str text)
{
    ski_http_reply reply = {.status = 200, .content_type = "text/plain", .body = text};

    return ski_http_reply_send(request->http, request->id, &reply);
}

static skald_err handle_echo(ski_http_request *request, skald_error *error)
{
    (void)error;
    return reply_text(request, request->body);
}

static skald_err handle_large(ski_http_request *request, skald_error *error)
{
    char *bytes = ski_alloc(large_bytes);

    (void)error;
    for (size_t i = 0; i < large_bytes; i++) bytes[i] = (char)('a' + i % 23);
    skald_err err = reply_text(request, ski_str(bytes, large_bytes));
    ski_free(bytes);
    return err;
}

static void stream_gone(void *context)
{
    (void)context;
}

typedef struct fixture {
    ski_http *http;
    uint16_t port;
    identity who;
    SSL_CTX *client_context;
    ski_http_feed *feed;
    gate ended;
} fixture;

static void stream_behind(void *context, ski_feed_at after)
{
    (void)context;
    fail_msg("behind %d", (int)after.position);
}

static skald_err handle_follow(ski_http_request *request, skald_error *error)
{
    const fixture *fix = request->context;
    ski_http_reply head = {.status = 200, .content_type = "text/plain"};
    ski_http_stream stream = {.gone = stream_gone, .behind = stream_behind, .heartbeat_ms = 60000};

    (void)error;
    SKALD_TRY(ski_http_stream_begin(request->http, request->id, &head, &stream));
    return ski_http_stream_follow(request->http, request->id, fix->feed, (ski_feed_at){0});
}

static skald_err handle_stream(ski_http_request *request, skald_error *error)
{
    ski_http_reply head = {.status = 200, .content_type = "text/plain"};
    ski_http_stream stream = {.gone = stream_gone};

    (void)error;
    SKALD_TRY(ski_http_stream_begin(request->http, request->id, &head, &stream));
    SKALD_TRY(ski_http_stream_write(request->http, request->id, SKALD_STR("one "), NULL));
    SKALD_TRY(ski_http_stream_write(request->http, request->id, SKALD_STR("two"), NULL));
    return ski_http_stream_end(request->http, request->id);
}

static const ski_http_route routes[] = {
    {.method = "POST", .path = "/echo", .handle = handle_echo},
    {.method = "GET", .path = "/large", .handle = handle_large},
    {.method = "GET", .path = "/stream", .handle = handle_stream},
    {.method = "GET", .path = "/follow", .handle = handle_follow},
    {.method = NULL},
};

static int setup(void **state)
{
    fixture *fix = ski_alloc_zeroed(1, sizeof *fix);

    fix->who = identity_new("first");
    ski_http_options options = {.routes = routes,
                                .context = fix,
                                .take_tls = context_of(&fix->who),
                                .header_timeout_ms = 1500};
    fix->http = server_start(&options);
    fix->port = ski_http_port(fix->http);
    fix->client_context = SSL_CTX_new(TLS_client_method());
    *state = fix;
    return 0;
}

static int teardown(void **state)
{
    fixture *fix = *state;

    assert_int_equal(ski_http_stop(fix->http, 2000), SKALD_OK);
    SSL_CTX_free(fix->client_context);
    identity_free(&fix->who);
    ski_free(fix);
    return 0;
}

// A connection with its session; ssl NULL: the handshake failed.
typedef struct secure {
    client raw;
    SSL *ssl;
} secure;

static secure secure_open(fixture *fix)
{
    secure one = {.raw = client_open(fix->port), .ssl = SSL_new(fix->client_context)};

    SSL_set_fd(one.ssl, one.raw.fd);
    if (SSL_connect(one.ssl) != 1) {
        SSL_free(one.ssl);
        one.ssl = NULL;
    }
    ERR_clear_error();
    return one;
}

static void secure_close(secure *one)
{
    SSL_free(one->ssl);
    client_close(&one->raw);
}

static void secure_send(secure *one, const char *text)
{
    assert_int_equal(SSL_write(one->ssl, text, (int)strlen(text)), strlen(text));
}

// secure_until reads until what came ends with end.
static skald_str secure_until(secure *one, const char *end)
{
    client *raw = &one->raw;

    raw->len = 0;
    while (raw->len < strlen(end) ||
           memcmp(raw->bytes + raw->len - strlen(end), end, strlen(end)) != 0) {
        int got = SSL_read(one->ssl, raw->bytes + raw->len, (int)(client_bytes_max - raw->len));

        if (got <= 0) fail_msg("the connection ended after: %.*s", (int)raw->len, raw->bytes);
        raw->len += (size_t)got;
    }
    return ski_str(raw->bytes, raw->len);
}

static void echo(secure *one)
{
    secure_send(one, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    skald_str reply = secure_until(one, "\r\n\r\nhello");
    assert_true(ski_str_begins(reply, SKALD_STR("HTTP/1.1 200 OK\r\n")));
}

static void test_requests(void **state)
{
    secure one = secure_open(*state);

    assert_non_null(one.ssl);
    echo(&one);
    echo(&one); // the connection goes on
    // Two at once, and a body that is announced.
    secure_send(&one, "GET /stream HTTP/1.1\r\n" HOST "\r\nGET /stream HTTP/1.1\r\n" HOST "\r\n");
    secure_until(&one, "two\r\n0\r\n\r\n");
    secure_send(&one, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
                      "Content-Length: 2\r\n\r\n");
    secure_until(&one, "100 Continue\r\n\r\n");
    secure_send(&one, "ok");
    secure_until(&one, "\r\n\r\nok");
    // The last reply is followed by the end of the session, not by a cut.
    secure_send(&one, "POST /echo HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 1\r\n"
                      "\r\nx");
    secure_until(&one, "\r\n\r\nx");
    char byte = 0;
    assert_int_equal(SSL_read(one.ssl, &byte, 1), 0);
    assert_int_equal(SSL_get_error(one.ssl, 0), SSL_ERROR_ZERO_RETURN);
    secure_close(&one);
}

// A reply that is larger than what the kernel takes, read slowly, arrives whole.
static void test_large(void **state)
{
    secure one = secure_open(*state);
    static char bytes[16 * 1024];
    size_t len = 0, body = 0;
    char *head_end = NULL;

    assert_non_null(one.ssl);
    secure_send(&one, "GET /large HTTP/1.1\r\n" HOST "\r\n");
    while (!head_end) { // head and body come in one record
        int got = SSL_read(one.ssl, bytes + len, (int)(sizeof bytes - len));

        assert_true(got > 0);
        len += (size_t)got;
        head_end = memmem(bytes, len, "\r\n\r\n", 4);
    }
    len -= (size_t)(head_end + 4 - bytes);
    memmove(bytes, head_end + 4, len);
    for (;;) {
        for (size_t i = 0; i < len; i++) {
            if (bytes[i] != (char)('a' + (body + i) % 23)) fail_msg("byte %zu", body + i);
        }
        body += len;
        if (body == large_bytes) break;
        int got = SSL_read(one.ssl, bytes, sizeof bytes);
        assert_true(got > 0);
        len = (size_t)got;
    }
    echo(&one);
    secure_close(&one);
}

static void test_bodies(void **state)
{
    enum { body_bytes = 300 * 1024 }; // many records in one read, and records cut by reads
    secure one = secure_open(*state);
    char *body = ski_alloc(body_bytes + 1);
    char head[128];

    assert_non_null(one.ssl);
    memset(body, 'q', body_bytes);
    body[body_bytes - 1] = 'z';
    body[body_bytes] = 0;
    (void)snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n",
                   body_bytes);
    secure_send(&one, head);
    secure_send(&one, body);
    skald_str reply = secure_until(&one, "qz");
    assert_true(reply.len > body_bytes);
    ski_free(body);
    secure_close(&one);
}

static void test_versions(void **state)
{
    fixture *fix = *state;
    secure one;

    SSL_CTX_set_max_proto_version(fix->client_context, TLS1_2_VERSION);
    one = secure_open(fix);
    assert_non_null(one.ssl);
    echo(&one);
    secure_close(&one);
    SSL_CTX_set_security_level(fix->client_context, 0);
    SSL_CTX_set_min_proto_version(fix->client_context, TLS1_1_VERSION);
    SSL_CTX_set_max_proto_version(fix->client_context, TLS1_1_VERSION);
    one = secure_open(fix);
    assert_null(one.ssl);
    secure_close(&one);
}

static void test_alpn(void **state)
{
    fixture *fix = *state;
    const unsigned char *chosen = NULL;
    unsigned len = 0;
    secure one;

    SSL_CTX_set_alpn_protos(fix->client_context, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    one = secure_open(fix);
    assert_non_null(one.ssl);
    SSL_get0_alpn_selected(one.ssl, &chosen, &len);
    assert_true(skald_str_equal(ski_str((const char *)chosen, len), SKALD_STR("http/1.1")));
    echo(&one);
    secure_close(&one);
    SSL_CTX_set_alpn_protos(fix->client_context, (const unsigned char *)"\x02h2", 3);
    one = secure_open(fix);
    assert_null(one.ssl); // told by an alert, not by silence
    secure_close(&one);
}

// Who speaks HTTP to a TLS port is told so in HTTP; bytes that are neither end the connection; who
// says nothing is not waited for longer than for headers.
static void test_not_tls(void **state)
{
    fixture *fix = *state;
    client plain = client_open(fix->port);

    client_send(&plain, "GET / HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&plain, 400, "use https://");
    assert_true(client_closed(&plain));
    client_close(&plain);
    plain = client_open(fix->port);
    client_send_bytes(&plain, "\x16\x03\x01\x00\x05hello, this is no handshake", 30);
    while (client_more(&plain)) continue; // an alert, perhaps
    client_close(&plain);
    plain = client_open(fix->port);
    assert_true(client_closed(&plain));
    client_close(&plain);
    plain = client_open(fix->port);
    client_send(&plain, "\x16");
    assert_true(client_closed(&plain));
    client_close(&plain);
    ski_http_counters counters;
    ski_http_counters_get(fix->http, &counters);
    assert_int_equal(counters.bad_requests, 2);
    assert_int_equal(counters.timeouts, 2);
}

// A byte altered on the way ends the connection; nothing of it reaches a handler.
static void test_altered(void **state)
{
    secure one = secure_open(*state);
    BIO *memory = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    long len = 0;

    assert_non_null(one.ssl);
    SSL_set0_wbio(one.ssl, memory);
    secure_send(&one, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    len = BIO_get_mem_data(memory, &bytes);
    bytes[len - 1] ^= 1;
    client_send_bytes(&one.raw, bytes, (size_t)len);
    assert_true(SSL_read(one.ssl, one.raw.bytes, 100) <= 0);
    ERR_clear_error();
    secure_close(&one);
}

static void common_name(const secure *one, char name[64])
{
    X509 *certificate = SSL_get1_peer_certificate(one->ssl);

    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, 64);
    X509_free(certificate);
}

static void test_other_certificate(void **state)
{
    fixture *fix = *state;
    identity other = identity_new("second");
    secure before = secure_open(fix), after;
    char name[64];

    common_name(&before, name);
    assert_string_equal(name, "first");
    ski_http_tls_set(fix->http, context_of(&other));
    after = secure_open(fix);
    common_name(&after, name);
    assert_string_equal(name, "second");
    echo(&before); // goes on with what it began with
    echo(&after);
    secure_close(&before);
    secure_close(&after);
    identity_free(&other);
}

static void refused(const char *certificate, const char *key, const char *field)
{
    ski_tls_context *context = NULL;
    skald_error error = {0};

    assert_int_equal(ski_tls_context_new(skald_str_of(certificate), skald_str_of(key), &context,
                                         &error),
                     SKALD_EINVALID);
    assert_string_equal(error.field, field);
    assert_null(strstr(error.text, "BEGIN"));
}

static void test_contexts_refused(void **state)
{
    identity one = identity_new("one"), other = identity_new("other");
    skald_buf broken = {.bytes_max = 64 * 1024};
    skald_error error = {0};
    ski_tls_context *context = NULL;
    char *large = ski_alloc(SKI_TLS_PEM_BYTES_MAX + 1);

    (void)state;
    refused("", one.key, "certificate");
    refused("no PEM", one.key, "certificate");
    refused(one.key, one.key, "certificate");
    refused(one.certificate, "", "key");
    refused(one.certificate, one.certificate, "key");
    refused(one.certificate, other.key, "key");
    // A chain that is broken off.
    assert_int_equal(skald_buf_put(&broken, skald_str_of(one.certificate)), SKALD_OK);
    assert_int_equal(skald_buf_put(&broken, ski_str(other.certificate, 200)), SKALD_OK);
    assert_int_equal(skald_buf_put(&broken, ski_str("", 1)), SKALD_OK);
    refused(broken.ptr, one.key, "certificate");
    // A chain without end.
    broken.len = 0;
    for (int i = 0; i <= SKI_TLS_CHAIN_MAX + 1; i++) {
        assert_int_equal(skald_buf_put(&broken, skald_str_of(one.certificate)), SKALD_OK);
    }
    assert_int_equal(skald_buf_put(&broken, ski_str("", 1)), SKALD_OK);
    refused(broken.ptr, one.key, "certificate");
    memset(large, 'x', SKI_TLS_PEM_BYTES_MAX + 1);
    assert_int_equal(ski_tls_context_new(ski_str(large, SKI_TLS_PEM_BYTES_MAX + 1),
                                         skald_str_of(one.key), &context, &error),
                     SKALD_ETOOBIG);
    ski_free(large);
    skald_buf_fini(&broken);
    identity_free(&one);
    identity_free(&other);
}

static void feed_ends(void *context)
{
    fixture *fix = context;

    ski_http_feed_end(fix->feed);
    gate_pass(&fix->ended);
}

// Streams that follow a feed are each given it through a session of their own, also in pieces
// larger than one round of encryption, and than what a client that reads later lets the kernel
// take.
static void test_feed(void **state)
{
    enum { bytes = 150 * 1000 };
    fixture *fix = *state;
    char *text = ski_alloc(bytes);
    secure all[2];

    assert_int_equal(ski_http_feed_new(fix->http, (ski_feed_at){0}, NULL, NULL, &fix->feed),
                     SKALD_OK);
    for (int i = 0; i < 2; i++) {
        all[i] = secure_open(fix);
        secure_send(&all[i], "GET /follow HTTP/1.1\r\n" HOST "\r\n");
        (void)secure_until(&all[i], "\r\n\r\n");
    }
    for (uint64_t n = 1; n <= 3; n++) {
        memset(text, 'a' + (int)n, bytes);
        assert_int_equal(ski_http_feed_put(fix->feed, (ski_feed_at){.position = n},
                                           ski_str(text, bytes), n < 3),
                         SKALD_OK);
        assert_int_equal(ski_http_feed_put(fix->feed, (ski_feed_at){.loose = n}, SKALD_STR("loose"),
                                           n < 3),
                         SKALD_OK);
    }
    for (int i = 0; i < 2; i++) {
        for (int n = 1; n <= 3; n++) {
            skald_str got = secure_until(&all[i], "5\r\nloose\r\n");
            assert_int_equal(got.len, strlen("249f0\r\n\r\n5\r\nloose\r\n") + bytes);
            for (int at = 0; at < bytes; at++) assert_int_equal(got.ptr[7 + at], 'a' + n);
        }
        secure_close(&all[i]);
    }
    gate_init(&fix->ended);
    assert_true(ski_http_post(fix->http, feed_ends, fix));
    gate_wait(&fix->ended, 1);
    gate_fini(&fix->ended);
    ski_free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_requests), TEST(test_large),
        TEST(test_bodies),   TEST(test_versions),
        TEST(test_alpn),     TEST(test_not_tls),
        TEST(test_altered),  TEST(test_other_certificate),
        TEST(test_feed),     cmocka_unit_test(test_contexts_refused),
    };

    (void)signal(SIGPIPE, SIG_IGN); // of a write to a connection that the other side has ended
    return cmocka_run_group_tests(tests, NULL, NULL);
}
