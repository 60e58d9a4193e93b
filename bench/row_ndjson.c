// SPDX-License-Identifier: Apache-2.0
// ndjson_durable: events over one connection as fast as they are taken, each durable when
// acknowledged; the peer is Redis, XADD pipelined, with the append-only file synced always.
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    events_all = 400000,
    events_chunk = 1000,
    rounds = 3,
    redis_connections = 50,
    redis_pipeline = 100,
    chunk_bytes = events_chunk * (BENCH_EVENT_BYTES + 64)
};

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

// post_all sends every event in one chunked request and reads the answer.
static double post_all(int port, char *chunk)
{
    static const char head[] =
        "POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    char want[64];
    char reply[4096];
    char size[32];
    size_t got = 0;
    int fd = bench_connect(port);
    double from = bench_now_s();
    bool done = fd >= 0 && send_all(fd, head, sizeof head - 1);

    for (uint64_t n = 0; n < events_all && done;) {
        size_t len = 0;
        for (int i = 0; i < events_chunk; i++) {
            len += bench_event_json(n++, chunk + len);
            chunk[len++] = '\n';
        }
        int size_len = snprintf(size, sizeof size, "%zx\r\n", len);
        chunk[len++] = '\r';
        chunk[len++] = '\n';
        done = send_all(fd, size, (size_t)size_len) && send_all(fd, chunk, len);
    }
    done = done && send_all(fd, "0\r\n\r\n", 5);
    (void)snprintf(want, sizeof want, "\"accepted\":%d,", events_all);
    while (done && got < sizeof reply - 1) {
        ssize_t part = recv(fd, reply + got, sizeof reply - 1 - got, 0);
        if (part <= 0)
            done = false;
        else
            got += (size_t)part;
        reply[got] = 0;
        if (strstr(reply, want)) break;
    }
    if (fd >= 0) (void)close(fd);
    if (!done) bench_note("skald did not take them all: %.*s", (int)got, reply);
    return done ? events_all / (bench_now_s() - from) : -1;
}

static size_t put_xadd(uint64_t n, char *to)
{
    char body[BENCH_EVENT_BYTES];
    size_t len = bench_event_json(n, body);

    return (
        size_t)snprintf(to, BENCH_EVENT_BYTES + 64,
                        "*5\r\n$4\r\nXADD\r\n$3\r\nlog\r\n$1\r\n*\r\n$1\r\ne\r\n$%zu\r\n%.*s\r\n",
                        len, (int)len, body);
}

// A connection to Redis with one pipeline of commands on its way.
typedef struct xadd_conn {
    int fd;
    uint64_t line_ends; // of the answers to it: "$N\r\nID\r\n", two each
} xadd_conn;

static bool send_pipeline(xadd_conn *conn, uint64_t *sent, char *chunk)
{
    size_t len = 0;

    conn->line_ends = 0;
    for (int i = 0; i < redis_pipeline; i++) len += put_xadd((*sent)++, chunk + len);
    return send_all(conn->fd, chunk, len);
}

// read_answers takes what there is; *ret_done when the pipeline is answered.
static bool read_answers(xadd_conn *conn, bool *ret_done)
{
    char reply[65536];
    ssize_t part = recv(conn->fd, reply, sizeof reply, 0);

    if (part <= 0 || reply[0] == '-') return false;
    for (ssize_t i = 0; i < part; i++) conn->line_ends += reply[i] == '\n';
    *ret_done = conn->line_ends == 2 * redis_pipeline;
    return true;
}

// xadd_all keeps a pipeline on its way on every connection: Redis syncs once for all that it has
// read in one turn, so many connections are its best case.
static double xadd_all(int port, char *chunk)
{
    xadd_conn conns[redis_connections];
    struct epoll_event events[redis_connections];
    int poll = epoll_create1(EPOLL_CLOEXEC);
    double from = bench_now_s();
    uint64_t answered = 0;
    uint64_t sent = 0;
    bool done = poll >= 0;

    for (int i = 0; i < redis_connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};
        conns[i].fd = bench_connect(port);
        done = done && conns[i].fd >= 0 &&
               epoll_ctl(poll, EPOLL_CTL_ADD, conns[i].fd, &event) == 0 &&
               send_pipeline(&conns[i], &sent, chunk);
    }
    while (answered < events_all && done) {
        int count = epoll_wait(poll, events, redis_connections, 5000);
        done = count > 0;
        for (int i = 0; i < count && done; i++) {
            bool whole = false;
            done = read_answers(events[i].data.ptr, &whole);
            if (!whole) continue;
            answered += redis_pipeline;
            if (sent < events_all) done = done && send_pipeline(events[i].data.ptr, &sent, chunk);
        }
    }
    for (int i = 0; i < redis_connections; i++) {
        if (conns[i].fd >= 0) (void)close(conns[i].fd);
    }
    (void)close(poll);
    return done ? (double)answered / (bench_now_s() - from) : -1;
}

static int start_redis(const char *folder, int *ret_port)
{
    char port[16];
    int process;

    if (!bench_program("redis-server")) {
        bench_note("redis-server is missing; make bench-deps installs it");
        return 0;
    }
    *ret_port = bench_free_port();
    (void)snprintf(port, sizeof port, "%d", *ret_port);
    const char *argv[] = {"redis-server",
                          "--port",
                          port,
                          "--bind",
                          "127.0.0.1",
                          "--dir",
                          folder,
                          "--appendonly",
                          "yes",
                          "--appendfsync",
                          "always",
                          "--save",
                          "",
                          NULL};
    process = bench_start(folder, argv);
    if (process && bench_wait_port(*ret_port, 10)) return process;
    bench_stop(process);
    return 0;
}

static bool run(bench_result *ret_result)
{
    char *chunk = malloc(chunk_bytes); // style: a program's own
    double ours[rounds];
    double peer[rounds];
    bool done = chunk != NULL;

    for (int i = 0; i < rounds && done; i++) {
        int port = 0;
        const char *folder = bench_folder();
        int process = folder ? bench_skald(folder, &port) : 0;
        ours[i] = process ? post_all(port, chunk) : -1;
        bench_stop(process);
        folder = bench_folder();
        process = folder ? start_redis(folder, &port) : 0;
        peer[i] = process ? xadd_all(port, chunk) : -1;
        bench_stop(process);
        bench_note("skald %.0f/s, Redis %.0f/s", ours[i], peer[i]);
        done = ours[i] > 0 && peer[i] > 0;
    }
    free(chunk);
    if (!done) return false;
    *ret_result = (bench_result){.unit = "events/s",
                                 .peer_name = "Redis XADD, 50 connections, pipelined, AOF always",
                                 .ours = bench_median(ours, rounds),
                                 .peer = bench_median(peer, rounds)};
    return true;
}

const bench_row row_ndjson_durable = {
    .name = "ndjson_durable",
    .what = "events over one connection, durable; against Redis XADD pipelined, AOF always",
    .run = run,
};
