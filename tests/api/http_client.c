// SPDX-License-Identifier: Apache-2.0
// The world of the API's tests.
#include "api/http_client.h"
#include "telemetry/otlp.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
// cmocka wants those above first
#include <cmocka.h>

enum { answer_bytes_max = 32 * 1024 * 1024, patience_ms = 60000 };

static void begin(api_world *world)
{
    skald_bus_options bus_options = {.source = "test", .seed = 1};
    skald_error error = {0};

    assert(!skald_bus_new(world->store, &bus_options, &world->bus));
    if (world->options.otlp) ski_bus_trace(world->bus, ski_otlp_tracer(world->options.otlp));
    ski_api_options api_options = world->options;
    api_options.bus = world->bus;
    api_options.source = "test";
    api_options.event_bytes_max = SKALD_EVENT_BYTES_MAX;
    assert(!ski_api_new(&api_options, &world->api, NULL));
    ski_http_options http_options = {.host = "127.0.0.1",
                                     .write_timeout_ms = 10 * patience_ms}; // on a busy machine too
    skald_err err = ski_api_serve(world->api, &http_options, &error);
    assert(!err);
    world->port = ski_api_port(world->api);
}

static void end(api_world *world)
{
    (void)ski_api_stop(world->api, 5000);
    (void)skald_bus_stop(world->bus, 5000);
    ski_api_free(world->api);
    skald_bus_free(world->bus);
}

void api_world_open(api_world *world)
{
    api_world_open_with(world, &(ski_api_options){0});
}

void api_world_open_with(api_world *world, const ski_api_options *options)
{
    skald_error error = {0};

    *world = (api_world){.options = *options};
    assert(!skald_store_open("memory:", NULL, &world->store, &error));
    begin(world);
}

void api_world_open_over(api_world *world, skald_store *take_store)
{
    *world = (api_world){.store = take_store};
    begin(world);
}

void api_world_close(api_world *world)
{
    end(world);
    skald_store_close(world->store);
}

void api_world_reopen(api_world *world)
{
    end(world);
    begin(world);
}

int api_connect(const api_world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(world->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert(fd >= 0);
    assert(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

void api_send(int fd, skald_str bytes)
{
    while (bytes.len) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0) return; // the server may have answered and closed
        bytes.ptr += sent;
        bytes.len -= (size_t)sent;
    }
}

static ssize_t read_some(int fd, char *to, size_t room)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    if (poll(&poll_fd, 1, patience_ms) <= 0) return -1;
    return recv(fd, to, room, 0);
}

bool api_read_until(int fd, char *buf, size_t size, const char *text)
{
    size_t len = strlen(buf);

    while (!strstr(buf, text)) {
        ssize_t got = len + 1 < size ? read_some(fd, buf + len, size - 1 - len) : -1;
        if (got <= 0) return false;
        len += (size_t)got;
        buf[len] = 0;
    }
    return true;
}

const api_answer *api_ask(const api_world *world, const char *method, const char *path,
                          const char *type, skald_str body, const char *headers)
{
    static _Thread_local api_answer answer;
    static _Thread_local char *bytes;
    char head[4096];
    size_t len = 0;
    ssize_t got;
    int fd = api_connect(world);
    int head_len =
        snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s",
                 method, path, headers ? headers : "");

    if (type) {
        head_len += snprintf(head + head_len, sizeof head - (size_t)head_len,
                             "Content-Type: %s\r\nContent-Length: %zu\r\n", type, body.len);
    }
    api_send(fd, (skald_str){head, (size_t)head_len});
    api_send(fd, SKALD_STR("\r\n"));
    if (type) api_send(fd, body);
    if (!bytes) bytes = malloc(answer_bytes_max); // style: kept for the life of the test
    while ((got = read_some(fd, bytes + len, answer_bytes_max - 1 - len)) > 0) len += (size_t)got;
    (void)close(fd);
    bytes[len] = 0;
    answer = (api_answer){.status = len > 12 ? (int)strtol(bytes + 9, NULL, 10) : 0};
    answer.body = strstr(bytes, "\r\n\r\n");
    if (!answer.body)
        answer.body = bytes + len;
    else
        answer.body += 4;
    size_t head_bytes = (size_t)(answer.body - bytes);
    memcpy(answer.head, bytes,
           head_bytes < sizeof answer.head - 1 ? head_bytes : sizeof answer.head - 1);
    answer.len = len - head_bytes;
    return &answer;
}

const api_answer *api_get(const api_world *world, const char *path)
{
    return api_ask(world, "GET", path, NULL, (skald_str){0}, NULL);
}

const api_answer *api_post(const api_world *world, const char *path, const char *json)
{
    return api_ask(world, "POST", path, "application/json", skald_str_of(json), NULL);
}

const api_answer *api_wait(const api_world *world, const char *path, const char *text)
{
    const api_answer *answer = NULL;

    for (int left_ms = patience_ms; left_ms > 0; left_ms -= 10) {
        answer = api_get(world, path);
        if (strstr(answer->body, text)) return answer;
        (void)poll(NULL, 0, 10);
    }
    (void)fprintf(stderr, "%s never shows %s: %s\n", path, text, answer ? answer->body : "");
    return NULL;
}

long long api_number(const char *json, const char *name)
{
    char key[64];
    const char *at;

    (void)snprintf(key, sizeof key, "\"%s\":", name);
    at = strstr(json, key);
    if (!at) return -1;
    at += strlen(key);
    return *at >= '0' && *at <= '9' ? strtoll(at, NULL, 10) : -1;
}

int api_setup(void **state)
{
    static api_world world; // style: one test at a time

    api_world_open(&world);
    *state = &world;
    return 0;
}

int api_teardown(void **state)
{
    api_world_close(*state);
    return 0;
}

const api_answer *api_posts(const api_world *world, const char *path, const char *body, int status)
{
    const api_answer *answer = api_post(world, path, body);

    if (answer->status != status) print_error("%s %s: %s\n", path, body, answer->body);
    assert_int_equal(answer->status, status);
    return answer;
}

void api_says(const api_answer *answer, const char *text)
{
    if (!strstr(answer->body, text)) print_error("no %s in %s\n", text, answer->body);
    assert_non_null(strstr(answer->body, text));
}
