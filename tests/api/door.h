// SPDX-License-Identifier: Apache-2.0
// tests/api/door.h - a world that is shut, with keys of two tenants and one of all, and short words
// for asking it something.
#ifndef SKALD_TESTS_API_DOOR_H
#define SKALD_TESTS_API_DOOR_H

#include "api/http_client.h"

#include <skald/keys.h>

typedef struct door {
    api_world world;
    skald_arena *arena;
    // Headers: of all; publishing and reading for acme, for umbra; reading only for acme; for acme,
    // narrowed to orders.
    const char *admin, *shop, *other, *reader, *narrow;
} door;

void door_open(door *at, const ski_api_options *options);
void door_close(door *at);
// door_key makes a key and gives the header that shows it. The server knows it when it is opened
// again.
const char *door_key(door *at, const skald_key *asked);
// door_key_id writes the id of the key of a header.
void door_key_id(const char *header, char ret_id[SKALD_KEY_ID_BYTES + 1]);
const api_answer *door_ask(const door *at, const char *who, const char *method, const char *path,
                           const char *json);
// door_follow sends a request for a stream, whose bytes are then read from the descriptor given.
int door_follow(const door *at, const char *who, const char *path);

void answer_is(const api_answer *answer, int status);
void answer_shows(const api_answer *answer, const char *text);
void answer_hides(const api_answer *answer, const char *text);
// answer_text gives the text behind "name":" in a body.
void answer_text(const api_answer *answer, const char *name, char *to, size_t size);

#endif
