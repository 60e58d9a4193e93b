// SPDX-License-Identifier: Apache-2.0
// http_post_durable: one event a request, 64 connections, ours answered after fdatasync, with keys,
// schemas and traces on; the peer, Fastify, keeps it in memory and asks nobody who he is.
#include "edge.h"

#include <stdio.h>

enum { connections = 64, rounds = 3 };
static const double round_s = 3;

static int start_fastify(const char *folder, int *ret_port)
{
    char script[512];
    char port[16];
    int process;

    *ret_port = bench_free_port();
    (void)snprintf(script, sizeof script, "%s/bench/peers/fastify.mjs", bench_root());
    (void)snprintf(port, sizeof port, "%d", *ret_port);
    const char *argv[] = {"node", script, port, NULL};
    process = bench_start(folder, argv);
    if (process && bench_wait_port(*ret_port, 10)) return process;
    bench_stop(process);
    bench_note("Fastify does not answer; make bench-deps installs it");
    return 0;
}

static double round_ours(void)
{
    char headers[EDGE_HEADERS_BYTES];
    bench_load load = {.path = "/api/events",
                       .headers = headers,
                       .connections = connections,
                       .seconds = round_s,
                       .status = 201};
    const char *folder = bench_folder();
    int process = folder ? edge_server(folder, &load.port, headers) : 0;
    double rate = process ? bench_http_load(&load) : -1;

    bench_stop(process);
    return rate;
}

static double round_fastify(void)
{
    bench_load load = {
        .path = "/events", .connections = connections, .seconds = round_s, .status = 201};
    const char *folder = bench_folder();
    int process = folder ? start_fastify(folder, &load.port) : 0;
    double rate = process ? bench_http_load(&load) : -1;

    bench_stop(process);
    return rate;
}

static bool run(bench_result *ret_result)
{
    *ret_result = (bench_result){.unit = "requests/s", .peer_name = "Fastify, memory only"};
    return edge_rounds(round_ours, round_fastify, rounds, ret_result);
}

const bench_row row_http_post_durable = {
    .name = "http_post_durable",
    .what = "one event a request, 64 connections, durable, keys, schemas and traces on; against "
            "Fastify in memory",
    .run = run,
};
