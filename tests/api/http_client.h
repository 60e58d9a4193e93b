// SPDX-License-Identifier: Apache-2.0
// tests/api/http_client.h - a server over a memory store, and a blocking client of it, for tests of
// the API.
#ifndef SKALD_TESTS_API_HTTP_CLIENT_H
#define SKALD_TESTS_API_HTTP_CLIENT_H

#include "api/api.h"

typedef struct api_world {
    skald_store *store;
    skald_bus *bus;
    ski_api *api;
    uint16_t port;
    ski_api_options options; // bus, source and event_bytes_max are the world's
} api_world;

void api_world_open(api_world *world);
void api_world_open_with(api_world *world, const ski_api_options *options);
// api_world_open_over is api_world_open over another store, which is the world's from then on.
void api_world_open_over(api_world *world, skald_store *take_store);
void api_world_close(api_world *world);
// api_world_reopen ends API and bus and begins them anew over the same store, as a restart does.
void api_world_reopen(api_world *world);

// api_setup and api_teardown give each cmocka test a world of its own as its state.
int api_setup(void **state);
int api_teardown(void **state);

// An answer; body is terminated and its owner's.
typedef struct api_answer {
    int status;
    char head[8192];
    char *body;
    size_t len;
} api_answer;

// api_ask sends one request on a connection of its own. type NULL: no body. headers: more of them,
// each with its line end; NULL: none. The answer lives until the next call of the same thread.
const api_answer *api_ask(const api_world *world, const char *method, const char *path,
                          const char *type, skald_str body, const char *headers);
const api_answer *api_get(const api_world *world, const char *path);
const api_answer *api_post(const api_world *world, const char *path, const char *json);

// api_posts wants this status of what it posts; api_says wants text in the answer's body.
const api_answer *api_posts(const api_world *world, const char *path, const char *body, int status);
void api_says(const api_answer *answer, const char *text);

int api_connect(const api_world *world);
void api_send(int fd, skald_str bytes);
// api_read_until reads into buf (terminated) until it contains text. False: the connection ended,
// or 10 s were over.
bool api_read_until(int fd, char *buf, size_t size, const char *text);
// api_wait asks until the answer has text in it, and gives that answer; NULL: not within 10 s.
const api_answer *api_wait(const api_world *world, const char *path, const char *text);
// api_number is the number behind "name": in a JSON text; -1 without one.
long long api_number(const char *json, const char *name);

#endif
