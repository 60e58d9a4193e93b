// SPDX-License-Identifier: Apache-2.0
// sse_fanout: 1,000 clients follow the log (Server-Sent Events) while events are posted, a few at a
// time; deliveries a second until the last client has the last event. The peer is a Node server
// that writes each event to each client and keeps none.
#include "edge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    clients = 1000,
    rounds = 3,
    posts = 20,
    post_events = 20,
    marker_bytes = 8,
    read_bytes = 256 * 1024,
};
static const char marker[] = "\ndata: {";
static const double round_max_s = 20;

typedef struct sse_reader {
    int fd;
    uint32_t seen;
    char tail[marker_bytes - 1]; // the end of what was read before: a marker may be cut
    size_t tail_len;
} sse_reader;

typedef struct sse_readers {
    int poll;
    uint64_t seen, reads, bytes_read;
    sse_reader of[clients];
    char bytes[read_bytes + marker_bytes];
} sse_readers;

// reader_count counts the events in what came, and keeps its last bytes.
static void reader_count(sse_reader *reader, const char *bytes, size_t len, uint64_t *seen)
{
    const char *at = bytes;
    const char *end = bytes + len;

    while ((at = memmem(at, (size_t)(end - at), marker, marker_bytes))) {
        at += marker_bytes;
        reader->seen++;
        (*seen)++;
    }
    reader->tail_len = len < marker_bytes - 1 ? len : marker_bytes - 1;
    memcpy(reader->tail, end - reader->tail_len, reader->tail_len);
}

// readers_read takes what is there, waiting wait_ms for it. False: a client was cut off.
static bool readers_read(sse_readers *readers, int wait_ms)
{
    struct epoll_event events[256];
    int count = epoll_wait(readers->poll, events, 256, wait_ms);

    for (int i = 0; i < count; i++) {
        sse_reader *reader = events[i].data.ptr;
        size_t had = reader->tail_len;
        memcpy(readers->bytes, reader->tail, had);
        ssize_t got = recv(reader->fd, readers->bytes + had, read_bytes, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (got <= 0) return false;
        readers->reads++;
        readers->bytes_read += (uint64_t)got;
        reader_count(reader, readers->bytes, had + (size_t)got, &readers->seen);
    }
    return true;
}

static bool readers_open(sse_readers *readers, int port, const char *headers)
{
    char request[512];
    int len = snprintf(request, sizeof request,
                       "GET /api/events/stream HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                       headers ? headers : "");

    readers->poll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < clients; i++) {
        sse_reader *reader = &readers->of[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = reader};
        reader->fd = bench_connect(port);
        if (reader->fd < 0 || send(reader->fd, request, (size_t)len, MSG_NOSIGNAL) != len ||
            epoll_ctl(readers->poll, EPOLL_CTL_ADD, reader->fd, &event) != 0)
            return false;
    }
    return true;
}

static void readers_close(sse_readers *readers)
{
    for (int i = 0; i < clients; i++)
        if (readers->of[i].fd > 0) (void)close(readers->of[i].fd);
    if (readers->poll > 0) (void)close(readers->poll);
    free(readers);
}

static bool post_some(int port, const char *headers, uint64_t *n)
{
    char body[post_events * (BENCH_EVENT_BYTES + 1) + 2];
    char reply[8192];
    size_t len = 0;

    for (int i = 0; i < post_events; i++) {
        body[len++] = i ? ',' : '[';
        len += bench_event_json((*n)++, body + len);
    }
    (void)snprintf(body + len, 2, "]");
    int status = bench_http(port, "POST", "/api/events", headers, body, reply, sizeof reply);
    if (status != 201) bench_note("POST: %d %s", status, reply);
    return status == 201;
}

// wait_seen reads until so many deliveries were seen in all.
static bool wait_seen(sse_readers *readers, uint64_t want, double until)
{
    while (readers->seen < want && bench_now_s() < until)
        if (!readers_read(readers, 10)) return false;
    return readers->seen == want;
}

// cpu_s is what a process has used of its processors. 0: not known.
static double cpu_s(int process)
{
    unsigned long long user = 0, kernel = 0;
    char path[64], text[1024];

    (void)snprintf(path, sizeof path, "/proc/%d/stat", process);
    FILE *file = fopen(path, "r");
    size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) (void)fclose(file);
    text[len] = 0;
    const char *rest = strrchr(text, ')'); // of its name
    if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                        &kernel) != 2)
        return 0;
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

// own_cpu_s: the same of this one, which reads for all clients.
static double own_cpu_s(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double fanout(int process, int port, const char *headers)
{
    sse_readers *readers = calloc(1, sizeof *readers); // style: a program's own
    double rate = -1;
    uint64_t n = 0;

    if (!readers) return -1;
    bool done = readers_open(readers, port, headers);
    for (double until = bench_now_s() + 2; done && bench_now_s() < until;) // all are there by then
        done = readers_read(readers, 10);
    done = done && post_some(port, headers, &n) &&
           wait_seen(readers, (uint64_t)clients * post_events, bench_now_s() + round_max_s);
    double cpu_from = cpu_s(process), own_from = own_cpu_s();
    double from = bench_now_s();
    readers->reads = readers->bytes_read = 0;
    for (int i = 0; i < posts && done; i++)
        done = post_some(port, headers, &n) && readers_read(readers, 0);
    done = done && wait_seen(readers, clients * n, from + round_max_s);
    double deliveries = (double)clients * posts * post_events;
    if (done) rate = deliveries / (bench_now_s() - from);
    if (done)
        bench_note("a delivery: %.2f us of processor, %.2f us to read it, %.0f bytes, %.3f reads",
                   (cpu_s(process) - cpu_from) * 1e6 / deliveries,
                   (own_cpu_s() - own_from) * 1e6 / deliveries,
                   (double)readers->bytes_read / deliveries, (double)readers->reads / deliveries);
    if (!done)
        bench_note("%llu deliveries of %llu", (unsigned long long)readers->seen,
                   (unsigned long long)(clients * n));
    readers_close(readers);
    return rate;
}

static double round_ours(void)
{
    char headers[EDGE_HEADERS_BYTES];
    const char *folder = bench_folder();
    int port = 0;
    int process = folder ? edge_server(folder, &port, headers) : 0;
    double rate = process ? fanout(process, port, headers) : -1;

    bench_stop(process);
    return rate;
}

static double round_node(void)
{
    const char *folder = bench_folder();
    char script[512];
    char port_text[16];
    int port = bench_free_port();
    double rate = -1;

    (void)snprintf(script, sizeof script, "%s/bench/peers/sse.mjs", bench_root());
    (void)snprintf(port_text, sizeof port_text, "%d", port);
    const char *argv[] = {"node", script, port_text, NULL};
    int process = folder ? bench_start(folder, argv) : 0;
    if (process && bench_wait_port(port, 10)) rate = fanout(process, port, NULL);
    bench_stop(process);
    return rate;
}

static bool run(bench_result *ret_result)
{
    struct rlimit limit = {.rlim_cur = 20000, .rlim_max = 20000};

    (void)setrlimit(RLIMIT_NOFILE, &limit);
    *ret_result = (bench_result){.unit = "deliveries/s", .peer_name = "Node, memory only"};
    return edge_rounds(round_ours, round_node, rounds, ret_result);
}

extern const bench_row row_sse_fanout;
const bench_row row_sse_fanout = {
    .name = "sse_fanout",
    .what = "events to 1,000 clients that follow; against a Node server",
    .run = run,
};
