// SPDX-License-Identifier: Apache-2.0
// A load of HTTP requests from one thread: so many connections, on each the next request when the
// last is answered.
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { connections_max = 1024, reply_max = 4096 };

typedef struct http_conn {
    int fd;
    char reply[reply_max];
    size_t len;
} http_conn;

typedef struct http_load {
    const char *path;
    int status;
    uint64_t sent, answered;
    http_conn conns[connections_max];
} http_load;

static bool send_next(http_load *load, http_conn *conn)
{
    char body[BENCH_EVENT_BYTES];
    char request[BENCH_EVENT_BYTES + 256];
    size_t body_len = bench_event_json(load->sent++, body);
    int len = snprintf(request, sizeof request,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n%.*s",
                       load->path, body_len, (int)body_len, body);

    conn->len = 0;
    return send(conn->fd, request, (size_t)len, MSG_NOSIGNAL) == len;
}

// whole_reply: the reply is there to its end. Its length is said by the server.
static bool whole_reply(const http_conn *conn, int *ret_status)
{
    const char *head_end = memmem(conn->reply, conn->len, "\r\n\r\n", 4);
    const char *length;

    if (!head_end || conn->len < 12) return false;
    *ret_status = (int)strtol(conn->reply + 9, NULL, 10);
    length = memmem(conn->reply, (size_t)(head_end - conn->reply), "ontent-", 7);
    while (length && strncasecmp(length, "ontent-length:", 14) != 0) {
        length = memmem(length + 1, (size_t)(head_end - length - 1), "ontent-", 7);
    }
    if (!length) return true;
    return conn->len >= (size_t)(head_end + 4 - conn->reply) + strtoul(length + 14, NULL, 10);
}

static bool read_reply(http_load *load, http_conn *conn)
{
    ssize_t got = recv(conn->fd, conn->reply + conn->len, reply_max - conn->len, MSG_DONTWAIT);
    int status = 0;

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got <= 0) return false;
    conn->len += (size_t)got;
    if (!whole_reply(conn, &status)) return conn->len < reply_max;
    if (status != load->status) {
        bench_note("an answer of status %d: %.*s", status, (int)conn->len, conn->reply);
        return false;
    }
    load->answered++;
    return send_next(load, conn);
}

static bool begin(http_load *load, int poll, int port, int connections)
{
    for (int i = 0; i < connections; i++) {
        http_conn *conn = &load->conns[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        conn->fd = bench_connect(port);
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

double bench_http_load(int port, const char *path, int connections, double seconds, int status)
{
    http_load *load = calloc(1, sizeof *load); // style: a program's own
    int poll = epoll_create1(EPOLL_CLOEXEC);
    uint64_t warm = 0;
    double rate = -1;
    double from;

    if (!load || poll < 0 || connections > connections_max) return -1;
    load->path = path;
    load->status = status;
    if (begin(load, poll, port, connections) && run_until(load, poll, bench_now_s() + 0.5)) {
        warm = load->answered;
        from = bench_now_s();
        if (run_until(load, poll, from + seconds))
            rate = (double)(load->answered - warm) / (bench_now_s() - from);
    }
    for (int i = 0; i < connections; i++) {
        if (load->conns[i].fd > 0) (void)close(load->conns[i].fd);
    }
    (void)close(poll);
    free(load);
    return rate;
}
