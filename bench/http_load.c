// SPDX-License-Identifier: Apache-2.0
// A load of HTTP requests from one thread: so many connections, on each the next request when the
// last is answered. And single requests, to prepare one.
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { connections_max = 1024, reply_max = 4096, headers_max = 1024 };

typedef struct http_conn {
    int fd;
    char reply[reply_max];
    size_t len;
} http_conn;

typedef struct http_load {
    const bench_load *load;
    char head[headers_max];
    int head_len;
    uint64_t sent, answered;
    http_conn conns[connections_max];
} http_load;

// length_put writes what a body of so many bytes (below 1,000) is announced with.
static int length_put(char *to, size_t len)
{
    char line[] = "Content-Length: 000\r\n\r\n";

    for (int i = 18; i >= 16; i--, len /= 10) line[i] = (char)('0' + len % 10);
    memcpy(to, line, sizeof line - 1);
    return sizeof line - 1;
}

static bool send_next(http_load *load, http_conn *conn)
{
    char request[headers_max + BENCH_EVENT_BYTES + 64];
    char body[BENCH_EVENT_BYTES];
    int len = load->head_len;

    memcpy(request, load->head, (size_t)len);
    if (load->load->get) {
        memcpy(request + len, "\r\n", 2);
        len += 2;
    } else {
        size_t body_len = bench_event_json(load->sent, body);
        len += length_put(request + len, body_len);
        memcpy(request + len, body, body_len);
        len += (int)body_len;
    }
    load->sent++;
    conn->len = 0;
    return send(conn->fd, request, (size_t)len, MSG_NOSIGNAL) == len;
}

// whole_reply: the reply is there to its end. Its length is said by the server.
static bool whole_reply(const char *reply, size_t len, int *ret_status)
{
    const char *head_end = memmem(reply, len, "\r\n\r\n", 4);
    const char *length;

    if (!head_end || len < 12) return false;
    *ret_status = (int)strtol(reply + 9, NULL, 10);
    length = memmem(reply, (size_t)(head_end - reply), "ontent-", 7);
    while (length && strncasecmp(length, "ontent-length:", 14) != 0) {
        length = memmem(length + 1, (size_t)(head_end - length - 1), "ontent-", 7);
    }
    if (!length) return true;
    return len >= (size_t)(head_end + 4 - reply) + strtoul(length + 14, NULL, 10);
}

static bool read_reply(http_load *load, http_conn *conn)
{
    ssize_t got = recv(conn->fd, conn->reply + conn->len, reply_max - conn->len, MSG_DONTWAIT);
    int status = 0;

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got <= 0) return false;
    conn->len += (size_t)got;
    if (!whole_reply(conn->reply, conn->len, &status)) return conn->len < reply_max;
    if (status != load->load->status) {
        bench_note("an answer of status %d: %.*s", status, (int)conn->len, conn->reply);
        return false;
    }
    load->answered++;
    return send_next(load, conn);
}

static bool begin(http_load *load, int poll)
{
    for (int i = 0; i < load->load->connections; i++) {
        http_conn *conn = &load->conns[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        conn->fd = bench_connect(load->load->port);
        if (conn->fd < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, conn->fd, &event) != 0) return false;
        if (!send_next(load, conn)) return false;
    }
    return true;
}

static bool run_until(http_load *load, int poll, double until)
{
    struct epoll_event events[64];

    while (bench_now_s() < until) {
        int count = epoll_wait(poll, events, 64, 100);
        for (int i = 0; i < count; i++) {
            if (!read_reply(load, events[i].data.ptr)) return false;
        }
    }
    return true;
}

static bool head_make(http_load *load)
{
    const bench_load *asked = load->load;

    load->head_len = snprintf(load->head, headers_max, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s",
                              asked->get ? "GET" : "POST", asked->path,
                              asked->get ? "" : "Content-Type: application/json\r\n",
                              asked->headers ? asked->headers : "");
    return load->head_len > 0 && load->head_len < headers_max;
}

double bench_http_load(const bench_load *asked)
{
    http_load *load = calloc(1, sizeof *load); // style: a program's own
    int poll = epoll_create1(EPOLL_CLOEXEC);
    uint64_t warm = 0;
    double rate = -1;
    double from;

    if (!load || poll < 0 || asked->connections > connections_max) return -1;
    load->load = asked;
    if (head_make(load) && begin(load, poll) && run_until(load, poll, bench_now_s() + 0.5)) {
        warm = load->answered;
        from = bench_now_s();
        if (run_until(load, poll, from + asked->seconds))
            rate = (double)(load->answered - warm) / (bench_now_s() - from);
    }
    for (int i = 0; i < asked->connections; i++) {
        if (load->conns[i].fd > 0) (void)close(load->conns[i].fd);
    }
    (void)close(poll);
    free(load);
    return rate;
}

int bench_http(int port, const char *method, const char *path, const char *headers,
               const char *body, char *reply, size_t reply_size)
{
    char request[8192];
    int fd = bench_connect(port);
    int status = 0;
    size_t len = 0;
    int size = snprintf(request, sizeof request,
                        "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        "%sContent-Length: %zu\r\n\r\n%s",
                        method, path, headers ? headers : "", strlen(body), body);

    if (fd < 0) return 0;
    bool whole = size > 0 && (size_t)size < sizeof request &&
                 send(fd, request, (size_t)size, MSG_NOSIGNAL) == size;
    for (bool more = whole; more && len < reply_size - 1;) {
        ssize_t got = recv(fd, reply + len, reply_size - 1 - len, 0);
        more = got > 0;
        if (got > 0) len += (size_t)got;
        if (whole_reply(reply, len, &status)) more = false;
    }
    reply[len] = 0;
    (void)close(fd);
    return status;
}
