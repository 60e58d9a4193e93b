// SPDX-License-Identifier: Apache-2.0
#include "api/door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants those above first
#include <cmocka.h>

const char *door_key(door *at, const skald_key *asked)
{
    skald_key key;
    skald_str text;
    skald_error error = {0};

    if (skald_key_create(at->world.store, asked, at->arena, &key, &text, &error))
        fail_msg("%s", error.text);
    return skald_arena_print(at->arena, "Authorization: Bearer %.*s\r\n%c", SKALD_FMT(text), 0).ptr;
}

void door_key_id(const char *header, char ret_id[SKALD_KEY_ID_BYTES + 1])
{
    const char *id = strstr(header, "skald_");

    assert_non_null(id);
    memcpy(ret_id, id + strlen("skald_"), SKALD_KEY_ID_BYTES);
    ret_id[SKALD_KEY_ID_BYTES] = 0;
}

void door_open(door *at, const ski_api_options *options)
{
    static const skald_str types[] = {{"order.*", 7}}, streams[] = {{"order-*", 7}};
    unsigned both = SKALD_SCOPE_PUBLISH | SKALD_SCOPE_READ;

    *at = (door){0};
    assert_int_equal(skald_arena_new(1 << 24, &at->arena), SKALD_OK);
    api_world_open_with(&at->world, options);
    at->admin = door_key(at, &(skald_key){.name = SKALD_STR("root"), .scopes = SKALD_SCOPE_ADMIN});
    at->shop = door_key(at, &(skald_key){.scopes = both, .tenant = SKALD_STR("acme")});
    at->other = door_key(at, &(skald_key){.scopes = both, .tenant = SKALD_STR("umbra")});
    at->reader =
        door_key(at, &(skald_key){.scopes = SKALD_SCOPE_READ, .tenant = SKALD_STR("acme")});
    at->narrow = door_key(at, &(skald_key){.scopes = both,
                                           .tenant = SKALD_STR("acme"),
                                           .types = {types, 1},
                                           .streams = {streams, 1}});
    api_world_reopen(&at->world);
}

void door_close(door *at)
{
    api_world_close(&at->world);
    skald_arena_free(at->arena);
}

const api_answer *door_ask(const door *at, const char *who, const char *method, const char *path,
                           const char *json)
{
    return api_ask(&at->world, method, path, json ? "application/json" : NULL,
                   skald_str_of(json ? json : ""), who);
}

int door_follow(const door *at, const char *who, const char *path)
{
    char request[1024];
    int fd = api_connect(&at->world);

    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path,
                   who);
    api_send(fd, skald_str_of(request));
    return fd;
}

void answer_is(const api_answer *answer, int status)
{
    if (answer->status != status) print_error("%s\n%s\n", answer->head, answer->body);
    assert_int_equal(answer->status, status);
}

void answer_shows(const api_answer *answer, const char *text)
{
    if (!strstr(answer->body, text)) print_error("no %s in: %s\n", text, answer->body);
    assert_non_null(strstr(answer->body, text));
}

void answer_hides(const api_answer *answer, const char *text)
{
    if (strstr(answer->body, text)) print_error("%s in: %s\n", text, answer->body);
    assert_null(strstr(answer->body, text));
}

void answer_text(const api_answer *answer, const char *name, char *to, size_t size)
{
    char mark[64];
    const char *at;

    (void)snprintf(mark, sizeof mark, "\"%s\":\"", name);
    at = strstr(answer->body, mark);
    assert_non_null(at);
    at += strlen(mark);
    (void)snprintf(to, size, "%.*s", (int)strcspn(at, "\""), at);
}
