// SPDX-License-Identifier: Apache-2.0
// net/http_test_client.h - for tests: a small blocking HTTP client, and starting a server for a
// test.
#ifndef SKI_NET_HTTP_TEST_CLIENT_H
#define SKI_NET_HTTP_TEST_CLIENT_H

#include "base/alloc.h"
#include "base/str.h"
#include "net/http.h"
#include "os/kernel.h"
#include "os/thread.h"
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    client_bytes_max = 1024 * 1024,
    client_wait_s = 60, // a test that waits so long has failed
};

typedef struct client {
    int fd;
    size_t len;
    char *bytes; // read and not used yet
} client;

typedef struct client_reply {
    unsigned status;
    char head[4096]; // with its status line, terminated
    skald_buf body;
} client_reply;

static inline client client_open(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval wait = {.tv_sec = client_wait_s};
    int on = 1;
    client made = {.fd = socket(AF_INET, SOCK_STREAM, 0), .bytes = ski_alloc(client_bytes_max)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(made.fd >= 0 && made.bytes != NULL);
    assert_int_equal(connect(made.fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)setsockopt(made.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(made.fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    (void)setsockopt(made.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return made;
}

static inline void client_close(client *one)
{
    close(one->fd);
    ski_free(one->bytes);
    one->bytes = NULL;
}

// client_reset closes with a RST instead of a FIN.
static inline void client_reset(client *one)
{
    struct linger hard = {.l_onoff = 1};

    (void)setsockopt(one->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    client_close(one);
}

static inline void client_send_bytes(client *one, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(one->fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0) return; // the server may have closed: the reply tells
        bytes += sent;
        len -= (size_t)sent;
    }
}

static inline void client_send(client *one, const char *text)
{
    client_send_bytes(one, text, strlen(text));
}

// client_more reads some bytes; false: the end.
static inline bool client_more(client *one)
{
    assert_true(one->len < client_bytes_max);
    ssize_t got = recv(one->fd, one->bytes + one->len, client_bytes_max - one->len, 0);
    if (got <= 0) return false;
    one->len += (size_t)got;
    return true;
}

static inline void client_drop(client *one, size_t count)
{
    assert_true(count <= one->len);
    one->len -= count;
    memmove(one->bytes, one->bytes + count, one->len);
}

static inline void client_need(client *one, size_t count)
{
    while (one->len < count) assert_true(client_more(one));
}

// client_take moves count bytes to the body.
static inline void client_take(client *one, size_t count, client_reply *reply)
{
    while (count > 0) {
        if (one->len == 0) assert_true(client_more(one));
        size_t take = count < one->len ? count : one->len;
        assert_int_equal(skald_buf_put(&reply->body, ski_str(one->bytes, take)), SKALD_OK);
        client_drop(one, take);
        count -= take;
    }
}

// client_line reads to the next CR LF, and gives the length of the line without it.
static inline size_t client_line(client *one)
{
    for (;;) {
        char *end = memmem(one->bytes, one->len, "\r\n", 2);
        if (end != NULL) return (size_t)(end - one->bytes);
        assert_true(client_more(one));
    }
}

static inline void client_chunks(client *one, client_reply *reply)
{
    for (;;) {
        size_t line = client_line(one);
        size_t size = strtoul(one->bytes, NULL, 16);
        client_drop(one, line + 2);
        client_take(one, size, reply);
        client_need(one, 2);
        client_drop(one, 2);
        if (size == 0) return;
    }
}

static inline bool reply_has(const client_reply *reply, const char *text)
{
    return strstr(reply->head, text) != NULL;
}

// client_head reads a head (also that of 100 Continue); false: the connection ended before one.
static inline bool client_head(client *one, client_reply *reply)
{
    char *end;

    *reply = (client_reply){.body.bytes_max = SIZE_MAX};
    while ((end = memmem(one->bytes, one->len, "\r\n\r\n", 4)) == NULL) {
        if (!client_more(one)) return false;
    }
    size_t len = (size_t)(end - one->bytes) + 4;
    assert_true(len < sizeof reply->head);
    memcpy(reply->head, one->bytes, len);
    reply->head[len] = '\0';
    reply->status = (unsigned)strtoul(reply->head + 9, NULL, 10);
    client_drop(one, len);
    return true;
}

// client_reply_get reads one whole reply; head_only: to a HEAD. False: the connection ended
// instead.
static inline bool client_reply_get(client *one, client_reply *reply, bool head_only)
{
    if (!client_head(one, reply)) return false;
    char *length = strstr(reply->head, "Content-Length: ");
    if (head_only || reply->status == 204 || reply->status == 304) {
        // nothing follows
    } else if (length != NULL) {
        client_take(one, strtoul(length + 16, NULL, 10), reply);
    } else if (reply_has(reply, "Transfer-Encoding: chunked")) {
        client_chunks(one, reply);
    } else {
        do client_take(one, one->len, reply);
        while (client_more(one));
    }
    assert_int_equal(skald_buf_put(&reply->body, SKALD_STR("\0")), SKALD_OK); // to be read as text
    reply->body.len--;
    return true;
}

static inline void reply_fini(client_reply *reply)
{
    skald_buf_fini(&reply->body);
}

// client_expect reads a reply and checks its status; text, when given, is in its body.
static inline void client_expect(client *one, unsigned status, const char *text)
{
    client_reply reply;

    if (!client_reply_get(one, &reply, false)) fail_msg("no reply, expected %u", status);
    if (reply.status != status || (text && strstr(reply.body.ptr, text) == NULL)) {
        fail_msg("expected %u %s, got %s%s", status, text ? text : "", reply.head, reply.body.ptr);
    }
    reply_fini(&reply);
}

// client_closed: nothing more comes, and the connection ends.
static inline bool client_closed(client *one)
{
    return one->len == 0 && !client_more(one);
}

static inline ski_http *server_start(const ski_http_options *options)
{
    ski_http *http = NULL;
    skald_error error = {0};

    if (ski_http_start(options, &http, &error)) fail_msg("%s", error.text);
    return http;
}

static inline uint64_t now_ms(void)
{
    return ski_kernel_system.monotonic_ns(ski_kernel_system.context) / 1000000;
}

// A gate lets one thread wait until others have passed it often enough.
typedef struct gate {
    ski_mutex lock;
    ski_cond passed;
    unsigned count;
} gate;

static inline void gate_init(gate *one)
{
    ski_mutex_init(&one->lock);
    ski_cond_init(&one->passed);
    one->count = 0;
}

static inline void gate_fini(gate *one)
{
    ski_mutex_fini(&one->lock);
    ski_cond_fini(&one->passed);
}

static inline void gate_pass(gate *one)
{
    ski_mutex_lock(&one->lock);
    one->count++;
    ski_cond_broadcast(&one->passed);
    ski_mutex_unlock(&one->lock);
}

static inline unsigned gate_count(gate *one)
{
    ski_mutex_lock(&one->lock);
    unsigned count = one->count;
    ski_mutex_unlock(&one->lock);
    return count;
}

static inline void gate_wait(gate *one, unsigned count)
{
    bool in_time = true;

    ski_mutex_lock(&one->lock);
    while (one->count < count && in_time) {
        in_time = ski_cond_wait_ns(&one->passed, &one->lock, client_wait_s * 1000000000ULL);
    }
    unsigned reached = one->count;
    ski_mutex_unlock(&one->lock);
    if (reached < count) fail_msg("the gate was passed %u times, expected %u", reached, count);
}

#define HOST "Host: x\r\n"

#define ROUTE(m, p, f)                      \
    {                                       \
        .method = m, .path = p, .handle = f \
    }

static inline void client_repeat(client *one, const char *unit, size_t times)
{
    for (size_t i = 0; i < times; i++) client_send(one, unit);
}

// What a server of a test is asked. A fixture begins with these: they are what handle_keep keeps,
// for another thread to answer.
typedef struct asked_requests {
    gate arrived;
    ski_http_request_id kept[80]; // under arrived.lock
} asked_requests;

static inline skald_err handle_hello(ski_http_request *request, skald_error *error)
{
    ski_http_reply reply = {.status = 200,
                            .content_type = "text/plain",
                            .body = SKALD_STR("hello")};

    (void)error;
    return ski_http_reply_send(request->http, request->id, &reply);
}

static inline skald_err handle_keep(ski_http_request *request, skald_error *error)
{
    asked_requests *asked = request->context;

    (void)error;
    ski_mutex_lock(&asked->arrived.lock);
    assert(asked->arrived.count < sizeof asked->kept / sizeof *asked->kept);
    asked->kept[asked->arrived.count] = request->id;
    ski_mutex_unlock(&asked->arrived.lock);
    gate_pass(&asked->arrived);
    return SKALD_OK;
}

static inline skald_err handle_big(ski_http_request *request, skald_error *error)
{
    static const char bytes[1024 * 1024];
    ski_http_reply reply = {.status = 200, .body = {bytes, sizeof bytes}};

    (void)error;
    return ski_http_reply_send(request->http, request->id, &reply);
}

#endif
