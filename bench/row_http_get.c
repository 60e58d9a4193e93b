// SPDX-License-Identifier: Apache-2.0
// http_get_event: one event by its id, 64 connections, with a key; the peer, nginx, gives the same
// bytes to everybody.
#include "edge.h"

#include <stdio.h>
#include <string.h>

enum { connections = 64, rounds = 3, events = 1000, reply_bytes = 4096 };
static const double round_s = 3;

static char reply_text[reply_bytes]; // style: what ours gave, for the peer to give

// event_posted posts some events and gives the path of the last of them, and what is there.
static bool event_posted(int port, const char *headers, char *path, size_t path_size)
{
    char body[BENCH_EVENT_BYTES];
    char reply[reply_bytes];
    const char *id;
    const char *json;

    for (uint64_t n = 0; n < events; n++) {
        (void)bench_event_json(n, body);
        if (bench_http(port, "POST", "/api/events", headers, body, reply, sizeof reply) != 201)
            return false;
    }
    id = strstr(reply, "\"id\":\"");
    if (!id) return false;
    (void)snprintf(path, path_size, "/api/events/%.36s", id + 6);
    if (bench_http(port, "GET", path, headers, "", reply, sizeof reply) != 200) return false;
    json = strstr(reply, "\r\n\r\n");
    if (!json || strchr(json, '\'')) return false;
    (void)snprintf(reply_text, sizeof reply_text, "%s", json + 4);
    return true;
}

static double round_ours(void)
{
    char headers[EDGE_HEADERS_BYTES];
    char path[128];
    bench_load load = {.path = path,
                       .headers = headers,
                       .get = true,
                       .connections = connections,
                       .seconds = round_s,
                       .status = 200};
    const char *folder = bench_folder();
    int process = folder ? edge_server(folder, &load.port, headers) : 0;
    double rate = -1;

    if (process && event_posted(load.port, headers, path, sizeof path))
        rate = bench_http_load(&load);
    bench_stop(process);
    return rate;
}

// start_nginx runs nginx as Debian's configuration does, but for where its files are.
static int start_nginx(const char *folder, int *ret_port)
{
    char path[600];
    FILE *file;
    int process;

    *ret_port = bench_free_port();
    (void)snprintf(path, sizeof path, "%s/nginx.conf", folder);
    file = fopen(path, "w");
    if (!file) return 0;
    (void)fprintf(file,
                  "daemon off;\nworker_processes auto;\npid %s/pid;\nerror_log %s/error;\n"
                  "events { worker_connections 1024; }\n"
                  "http {\n  access_log off;\n  keepalive_requests 1000000000;\n"
                  "  server { listen 127.0.0.1:%d;\n    location / {\n"
                  "      default_type application/json;\n      return 200 '%s';\n    }\n  }\n}\n",
                  folder, folder, *ret_port, reply_text);
    (void)fclose(file);
    const char *argv[] = {"nginx", "-p", folder, "-c", path, NULL};
    process = bench_start(folder, argv);
    if (process && bench_wait_port(*ret_port, 10)) return process;
    bench_stop(process);
    bench_note("nginx does not answer; make bench-deps installs it");
    return 0;
}

static double round_nginx(void)
{
    bench_load load = {.path = "/api/events/1",
                       .get = true,
                       .connections = connections,
                       .seconds = round_s,
                       .status = 200};
    const char *folder = bench_folder();
    int process = folder ? start_nginx(folder, &load.port) : 0;
    double rate = process ? bench_http_load(&load) : -1;

    bench_stop(process);
    return rate;
}

static bool run(bench_result *ret_result)
{
    *ret_result = (bench_result){.unit = "requests/s", .peer_name = "nginx, a fixed reply"};
    return edge_rounds(round_ours, round_nginx, rounds, ret_result);
}

extern const bench_row row_http_get_event;
const bench_row row_http_get_event = {
    .name = "http_get_event",
    .what = "one event by its id, 64 connections; against nginx with a fixed reply",
    .run = run,
};
