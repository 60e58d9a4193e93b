// SPDX-License-Identifier: Apache-2.0
// Whole requests, one after the other, to a server that has just begun: what stands above the
// parser (fuzz_http is the parser's). An input is up to eight requests with a line "---" between
// each two; of each the first line is "METHOD target", then headers, an empty line, the body. Of
// any bytes must hold:
//
//   each is answered, by no 500; a problem is one, and what calls itself JSON is JSON;
//   the server lives, and stops when it is told to.
//
// This one uses a socket of this machine, for that is where an answer comes from. Each input has a
// server of its own, so that an input means the same every time.
#include "api/api.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { input_bytes_max = 16 * 1024, requests_max = 8, answer_bytes_max = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

typedef struct server {
    skald_store *store;
    skald_bus *bus;
    ski_api *api;
} server;

// must says which: an input that breaks it may have done so by its timing.
#define must(holds) must_at(holds, #holds)
static void must_at(bool holds, const char *what)
{
    if (holds) return;
    (void)fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

static void server_begin(server *to)
{
    const ski_http_options http = {.host = "127.0.0.1", .workers_max = 1};
    const skald_bus_options bus = {.source = "fuzz", .seed = 1, .threads_max = 1};

    must(!skald_store_open("memory:", NULL, &to->store, NULL));
    must(!skald_bus_new(to->store, &bus, &to->bus));
    must(!ski_api_new(&(ski_api_options){.bus = to->bus, .event_bytes_max = 1 << 20}, &to->api,
                      NULL));
    must(!ski_api_serve(to->api, &http, NULL));
}

static void server_end(server *of)
{
    must(!ski_api_stop(of->api, 5000));
    must(!skald_bus_stop(of->bus, 5000));
    ski_api_free(of->api);
    skald_bus_free(of->bus);
    skald_store_close(of->store);
}

static bool has(skald_str text, const char *part)
{
    return text.len && memmem(text.ptr, text.len, part, strlen(part));
}

// line_allowed: no header that says where a message ends, or that its sender goes on (the parser's
// part), or that has the server wait; every byte is one that the parser lets through.
static bool line_allowed(skald_str line)
{
    static const char *const others[] = {"content-length", "transfer-encoding",
                                         "connection",     "host",
                                         "expect",         "upgrade",
                                         "x-min-position"};
    skald_str value = {0}, name = ski_str_cut(line, ':', &value);

    if (!name.len || !value.ptr) return false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (ski_str_equal_nocase(name, skald_str_of(others[i]))) return false;
    for (size_t i = 0; i < line.len; i++) {
        unsigned char byte = (unsigned char)line.ptr[i];
        if (byte < ' ' || byte == 0x7f) return false;
    }
    return true;
}

// request_make writes a request as it goes over the wire; false: it would not be one, or it is one
// whose answer has no end.
static bool request_make(skald_str text, skald_buf *buf)
{
    skald_str rest, line = ski_str_cut(text, '\n', &rest);
    skald_str target = {0}, method = ski_str_cut(line, ' ', &target);

    if (!method.len || !target.len || target.ptr[0] != '/' || has(target, "/stream?") ||
        has(target, "waitMs") || has(target, " "))
        return false;
    if (target.len >= 7 && memcmp(target.ptr + target.len - 7, "/stream", 7) == 0) return false;
    must(!ski_buf_print(buf, "%.*s %.*s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
                        SKALD_FMT(method), SKALD_FMT(target)));
    while (rest.len) {
        line = ski_str_cut(rest, '\n', &rest);
        if (!line.len) break;
        if (!line_allowed(line)) return false;
        must(!ski_buf_print(buf, "%.*s\r\n", SKALD_FMT(line)));
    }
    must(!ski_buf_print(buf, "Content-Length: %zu\r\n\r\n", rest.len));
    must(!skald_buf_put(buf, rest));
    return true;
}

static void answer_holds(skald_str answer)
{
    const char *end = memmem(answer.ptr, answer.len, "\r\n\r\n", 4);
    skald_str head, body;
    uint64_t status = 0;

    must(answer.len > 12 && memcmp(answer.ptr, "HTTP/1.1 ", 9) == 0 && end);
    must(!ski_str_u64(ski_str(answer.ptr + 9, 3), &status));
    must(status >= 200 && status < 600 && status != 500);
    head = ski_str(answer.ptr, (size_t)(end - answer.ptr));
    body = ski_str(end + 4, answer.len - head.len - 4);
    if (status >= 400 && body.len) must(has(head, "application/problem+json"));
    if (has(head, "Content-Encoding: ")) return;
    if (has(head, "json\r\n") && body.len) must(!ski_json_door_check(body, false, NULL));
}

static void ask(uint16_t port, skald_str request)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    skald_buf answer = {.bytes_max = answer_bytes_max};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    char bytes[4096];
    ssize_t got;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (request.len) {
        ssize_t sent = send(fd, request.ptr, request.len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue; // libFuzzer has a timer
        if (sent <= 0) break;                     // it may have answered already
        request = ski_str(request.ptr + sent, request.len - (size_t)sent);
    }
    while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0) must(!skald_buf_put(&answer, ski_str(bytes, (size_t)got)));
    (void)close(fd);
    must(!ski_buf_room(&answer, SKI_JSON_PAD));
    answer_holds(ski_buf_str(&answer));
    skald_buf_fini(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    skald_str rest = {(const char *)bytes, len};
    server on;

    if (!len || len > input_bytes_max) return 0;
    server_begin(&on);
    for (int i = 0; i < requests_max && rest.len; i++) {
        const char *cut = memmem(rest.ptr, rest.len, "\n---\n", 5);
        skald_str text = cut ? ski_str(rest.ptr, (size_t)(cut - rest.ptr)) : rest;
        skald_buf request = {.bytes_max = 4 * input_bytes_max};

        rest = cut ? ski_str(cut + 5, rest.len - text.len - 5) : (skald_str){0};
        if (request_make(text, &request)) ask(ski_api_port(on.api), ski_buf_str(&request));
        skald_buf_fini(&request);
    }
    server_end(&on);
    return 0;
}
