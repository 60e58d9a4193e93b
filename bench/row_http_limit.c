// SPDX-License-Identifier: Apache-2.0
// http_post_limit: as http_post_durable, 64 connections; the peer is what a server can do at all: a
// bare epoll loop that reads what is there, writes and syncs the bodies as one, and answers them.
#include "edge.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    connections = 64,
    rounds = 3,
    request_max = 4096,
    at_once = 128,
    file_bytes = 64 << 20, // written beforehand, as ours writes its segments, then over and over
};
static const double round_s = 3;

typedef struct bare_conn {
    int fd;
    size_t len;
    char bytes[request_max];
} bare_conn;

typedef struct bare_group {
    bare_conn *conns[at_once]; // to be answered
    size_t count, len;
    char bytes[at_once * request_max];
} bare_group;

static void bare_accept(int poll, int listener)
{
    bare_conn *conn = calloc(1, sizeof *conn); // style: a program's own
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    int one = 1;

    if (!conn) _exit(1);
    conn->fd = accept(listener, NULL, NULL);
    if (conn->fd < 0) _exit(1);
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)epoll_ctl(poll, EPOLL_CTL_ADD, conn->fd, &event);
}

// bare_read takes what came over a connection; a whole request's body goes to the group.
static void bare_read(bare_conn *conn, bare_group *group)
{
    ssize_t got = recv(conn->fd, conn->bytes + conn->len, request_max - conn->len, MSG_DONTWAIT);
    const char *head_end;
    const char *length;

    if (got <= 0) {
        (void)close(conn->fd);
        free(conn);
        return;
    }
    conn->len += (size_t)got;
    head_end = memmem(conn->bytes, conn->len, "\r\n\r\n", 4);
    length = head_end ? memmem(conn->bytes, conn->len, "Content-Length:", 15) : NULL;
    if (!length) return;
    size_t body = strtoul(length + 15, NULL, 10);
    if ((size_t)(conn->bytes + conn->len - head_end - 4) < body) return;
    memcpy(group->bytes + group->len, head_end + 4, body);
    group->len += body;
    group->conns[group->count++] = conn;
    conn->len = 0;
}

static void bare_answer(bare_group *group, int file, off_t *at)
{
    static const char answer[] = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                                 "Content-Length: 2\r\n\r\n{}";

    if (*at + (off_t)group->len > file_bytes) *at = 0;
    if (pwrite(file, group->bytes, group->len, *at) != (ssize_t)group->len || fdatasync(file) != 0)
        _exit(1);
    *at += (off_t)group->len;
    for (size_t i = 0; i < group->count; i++)
        (void)send(group->conns[i]->fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
    group->count = group->len = 0;
}

static void bare_run(int listener, int file)
{
    static bare_group group;
    struct epoll_event events[at_once];
    struct epoll_event event = {.events = EPOLLIN};
    int poll = epoll_create1(0);
    off_t at = 0;

    (void)epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(poll, events, at_once, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                bare_read(events[i].data.ptr, &group);
            else
                bare_accept(poll, listener);
        }
        if (group.count) bare_answer(&group, file, &at);
    }
}

static int bare_file(const char *folder)
{
    static char zeros[1 << 20];
    char path[600];
    int file;

    (void)snprintf(path, sizeof path, "%s/bare", folder);
    file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (off_t at = 0; file >= 0 && at < file_bytes; at += (off_t)sizeof zeros)
        if (pwrite(file, zeros, sizeof zeros, at) < 0) return -1;
    if (file >= 0) (void)fsync(file);
    return file;
}

static int bare_start(const char *folder, int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int file = bare_file(folder);
    int process;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (file < 0 || listener < 0 || bind(listener, (struct sockaddr *)&address, len) != 0 ||
        listen(listener, connections) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        return 0;
    *ret_port = ntohs(address.sin_port);
    process = fork();
    if (process == 0) bare_run(listener, file);
    (void)close(listener);
    (void)close(file);
    return process > 0 ? process : 0;
}

static bench_load load_of(const char *headers)
{
    return (bench_load){.path = "/api/events",
                        .headers = headers,
                        .connections = connections,
                        .seconds = round_s,
                        .status = 201};
}

static double round_ours(void)
{
    char headers[EDGE_HEADERS_BYTES];
    bench_load load = load_of(headers);
    const char *folder = bench_folder();
    int process = folder ? edge_server(folder, &load.port, headers) : 0;
    double rate = process ? bench_http_load(&load) : -1;

    bench_stop(process);
    return rate;
}

static double round_bare(void)
{
    bench_load load = load_of(NULL);
    const char *folder = bench_folder();
    int process = folder ? bare_start(folder, &load.port) : 0;
    double rate = process ? bench_http_load(&load) : -1;

    bench_stop(process);
    return rate;
}

static bool run(bench_result *ret_result)
{
    *ret_result = (bench_result){.unit = "requests/s", .peer_name = "bare epoll, fdatasync"};
    return edge_rounds(round_ours, round_bare, rounds, ret_result);
}

extern const bench_row row_http_post_limit;
const bench_row row_http_post_limit = {
    .name = "http_post_limit",
    .what = "the same; against a bare epoll loop that syncs before it answers",
    .run = run,
};
