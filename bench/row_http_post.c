// SPDX-License-Identifier: Apache-2.0
// http_post_durable: one event a request, 64 connections, ours answered after fdatasync; the peer,
// Fastify, keeps it in memory.
#include "bench.h"

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

static bool run(bench_result *ret_result)
{
    const char *ours_folder = bench_folder();
    const char *peer_folder = bench_folder();
    double ours[rounds];
    double peer[rounds];
    int port = 0;
    int process;
    bool done = true;

    if (!ours_folder || !peer_folder) return false;
    // In turn, so that a machine that changes its speed changes both.
    for (int i = 0; i < rounds && done; i++) {
        process = bench_skald(ours_folder, &port);
        ours[i] = process ? bench_http_load(port, "/api/events", connections, round_s, 201) : -1;
        bench_stop(process);
        process = start_fastify(peer_folder, &port);
        peer[i] = process ? bench_http_load(port, "/events", connections, round_s, 201) : -1;
        bench_stop(process);
        bench_note("skald %.0f/s, Fastify %.0f/s", ours[i], peer[i]);
        done = ours[i] > 0 && peer[i] > 0;
    }
    if (!done) return false;
    *ret_result = (bench_result){.unit = "requests/s",
                                 .peer_name = "Fastify, memory only",
                                 .ours = bench_median(ours, rounds),
                                 .peer = bench_median(peer, rounds)};
    return true;
}

const bench_row row_http_post_durable = {
    .name = "http_post_durable",
    .what = "one event a request, 64 connections, durable; against Fastify in memory",
    .run = run,
};
