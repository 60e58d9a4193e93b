// SPDX-License-Identifier: Apache-2.0
// idle_server and idle_connection: what a server that does nothing keeps in memory. The peer is the
// stated goal.
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { connections = 5000 };

static bool run_server(bench_result *ret_result)
{
    const char *folder = bench_folder();
    int port = 0;
    int process = folder ? bench_skald(folder, &port) : 0;

    if (!process) return false;
    (void)sleep(2); // what it does after it has begun to listen is done by then
    *ret_result = (bench_result){.unit = "MiB",
                                 .peer_name = "goal: 20 MiB",
                                 .peer = 20,
                                 .smaller_is_better = true,
                                 .ours = (double)bench_resident_bytes(process) / (1 << 20)};
    bench_stop(process);
    return true;
}

// use sends one request on a connection and reads its answer, so that it is one that has worked and
// waits.
static bool use(int fd)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char reply[1024];

    return send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1 &&
           recv(fd, reply, sizeof reply, 0) > 0;
}

static bool run_connection(bench_result *ret_result)
{
    static int fds[connections];
    struct rlimit limit = {.rlim_cur = 20000, .rlim_max = 20000};
    const char *folder = bench_folder();
    uint64_t before;
    uint64_t after;
    int port = 0;
    int process;

    (void)setrlimit(RLIMIT_NOFILE, &limit);
    process = folder ? bench_skald(folder, &port) : 0;
    if (!process) return false;
    (void)sleep(1);
    before = bench_resident_bytes(process);
    for (int i = 0; i < connections; i++) {
        fds[i] = bench_connect(port);
        if (fds[i] < 0 || !use(fds[i])) {
            bench_note("connection %d: refused", i);
            bench_stop(process);
            return false;
        }
    }
    (void)sleep(1);
    after = bench_resident_bytes(process);
    for (int i = 0; i < connections; i++) (void)close(fds[i]);
    bench_stop(process);
    *ret_result = (bench_result){.unit = "bytes",
                                 .peer_name = "goal: 8 KiB",
                                 .peer = 8192,
                                 .smaller_is_better = true,
                                 .ours = (double)(after - before) / connections};
    return true;
}

extern const bench_row row_idle_server, row_idle_connection;
const bench_row row_idle_server = {.name = "idle_server",
                                   .what = "resident memory of a server that does nothing",
                                   .run = run_server};
const bench_row row_idle_connection = {.name = "idle_connection",
                                       .what = "resident memory of each of 5,000 idle connections",
                                       .run = run_connection};
