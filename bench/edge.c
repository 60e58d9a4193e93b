// SPDX-License-Identifier: Apache-2.0
// A server as it stands in production: keys, schemas, traces; and a collector for these.
#include "edge.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { path_bytes = 600, key_bytes = 128, rounds_max = 8 };

// collector_serve answers everything that comes over one connection with 200, until it ends.
static void collector_serve(int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    char bytes[16384];
    size_t len = 0;

    for (;;) {
        ssize_t got = recv(fd, bytes + len, sizeof bytes - 1 - len, 0);
        if (got <= 0) return;
        len += (size_t)got;
        bytes[len] = 0;
        const char *end = strstr(bytes, "\r\n\r\n");
        if (!end && len == sizeof bytes - 1) return;
        if (!end) continue;
        const char *length = strcasestr(bytes, "content-length:");
        size_t left = length ? strtoul(length + 15, NULL, 10) : 0;
        size_t have = len - (size_t)(end + 4 - bytes);
        for (; have < left; have += (size_t)got) {
            got = recv(fd, bytes, sizeof bytes - 1, 0);
            if (got <= 0) return;
        }
        len = 0;
        if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) return;
    }
}

static void *collector_run(void *listener)
{
    for (;;) {
        int fd = accept(*(int *)listener, NULL, NULL);
        if (fd < 0) return NULL;
        collector_serve(fd);
        (void)close(fd);
    }
}

// collector_start gives the port of a collector that lives as long as this program. 0: none.
static int collector_start(void)
{
    static int listener, port; // of the one there is
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    pthread_t thread;

    if (port) return port;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) != 0 ||
        listen(listener, 16) != 0 || getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (pthread_create(&thread, NULL, collector_run, &listener) != 0) return 0;
    (void)pthread_detach(thread);
    port = ntohs(address.sin_port);
    return port;
}

// key_make makes an API key in the data directory of a server that does not run yet.
static bool key_make(const char *folder, char ret_key[key_bytes])
{
    char command[2 * path_bytes];
    char line[key_bytes] = "";

    (void)snprintf(command, sizeof command,
                   "'%s' keys create --data '%s/data' --name bench --scopes admin 2>/dev/null",
                   bench_skald_path(), folder);
    FILE *pipe = popen(command, "r");
    if (!pipe) return false;
    while (fgets(line, sizeof line, pipe)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "skald_", 6) == 0) (void)snprintf(ret_key, key_bytes, "%s", line);
    }
    return pclose(pipe) == 0 && ret_key[0];
}

static bool schemas_put(int port, const char *headers)
{
    static const char schema[] =
        "{\"schema\":{\"type\":\"object\",\"required\":[\"orderId\",\"customer\",\"amount\","
        "\"currency\"],\"additionalProperties\":false,\"properties\":{"
        "\"orderId\":{\"type\":\"string\",\"pattern\":\"^[0-9]{8,}$\"},"
        "\"customer\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":100},"
        "\"amount\":{\"type\":\"integer\",\"minimum\":0},"
        "\"currency\":{\"enum\":[\"NOK\",\"EUR\",\"USD\"]},"
        "\"note\":{\"type\":\"string\",\"maxLength\":1000},\"paid\":{\"type\":\"boolean\"}}}}";
    bench_texts texts;
    skald_event event;
    char path[128];
    char reply[4096];

    for (uint64_t n = 0; n < 10; n++) {
        bench_event_fill(n, &texts, &event);
        (void)snprintf(path, sizeof path, "/api/schemas/%.*s/1", SKALD_FMT(event.type));
        int status = bench_http(port, "PUT", path, headers, schema, reply, sizeof reply);
        if (status == 200 || status == 201) continue;
        bench_note("PUT %s: %d %s", path, status, reply);
        return false;
    }
    return true;
}

int edge_server(const char *folder, int *ret_port, char ret_headers[EDGE_HEADERS_BYTES])
{
    char url[64];
    char key[key_bytes] = "";
    int collector = collector_start();
    int process;

    if (!collector || !key_make(folder, key)) {
        bench_note("no API key could be made");
        return 0;
    }
    (void)snprintf(ret_headers, EDGE_HEADERS_BYTES, "Authorization: Bearer %s\r\n", key);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", collector);
    (void)setenv("SKALD_TELEMETRY_OTLP_URL", url, 1);
    process = bench_skald(folder, ret_port);
    (void)unsetenv("SKALD_TELEMETRY_OTLP_URL");
    if (process && schemas_put(*ret_port, ret_headers)) return process;
    bench_stop(process);
    return 0;
}

bool edge_rounds(edge_round *ours, edge_round *peer, int rounds, bench_result *ret_result)
{
    double of_ours[rounds_max];
    double of_peer[rounds_max];

    for (int i = 0; i < rounds && i < rounds_max; i++) {
        of_ours[i] = ours();
        of_peer[i] = peer();
        bench_note("skald %.0f, peer %.0f", of_ours[i], of_peer[i]);
        if (of_ours[i] <= 0 || of_peer[i] <= 0) return false;
    }
    ret_result->ours = bench_median(of_ours, (size_t)rounds);
    ret_result->peer = bench_median(of_peer, (size_t)rounds);
    return true;
}
