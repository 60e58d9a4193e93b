// SPDX-License-Identifier: Apache-2.0
// What is made of the table of routes for the server, and lists of words as they stand in it.
#include "api/api_gate.h"
#include "api/api_parts.h"
#include "base/alloc.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

bool ski_route_of(size_t index, const char **ret_method, const char **ret_path)
{
    if (index >= ski_route_count) return false;
    *ret_method = ski_routes[index].method;
    *ret_path = ski_routes[index].path;
    return true;
}

const char *ski_scope_name(ski_route_scope scope)
{
    static const char *const names[] = {
        [SKI_NEEDS_OPERATOR] = "admin",   [SKI_NEEDS_ADMIN] = "admin",
        [SKI_NEEDS_READ] = "events:read", [SKI_NEEDS_PUBLISH] = "events:publish",
        [SKI_NEEDS_METRICS] = "metrics",  [SKI_NEEDS_KEY] = "any key",
        [SKI_NEEDS_NOTHING] = "",
    };

    return names[scope];
}

const char *ski_form_name(unsigned form)
{
    switch (form) {
    case SKI_JSON: return "application/json";
    case SKI_NDJSON: return "application/x-ndjson";
    case SKI_CLOUDEVENT: return "application/cloudevents+json";
    case SKI_CLOUDEVENTS: return "application/cloudevents-batch+json";
    case SKI_CE_BINARY: return "any, with ce- headers";
    case SKI_SSE: return "text/event-stream";
    case SKI_TEXT: return "text/plain";
    case SKI_HTML: return "text/html";
    default: return "";
    }
}

bool ski_words_next(const char **words, skald_str *ret_word)
{
    const char *at = *words;

    if (!at) return false;
    at += strspn(at, " ");
    if (!*at) return false;
    *ret_word = ski_str(at, strcspn(at, " "));
    *words = at + ret_word->len;
    return true;
}

bool ski_words_have(const char *words, skald_str word)
{
    skald_str next;

    while (ski_words_next(&words, &next)) {
        if (skald_str_equal(next, word)) return true;
    }
    return false;
}

const ski_parameter *ski_parameter_find(skald_str name)
{
    for (const ski_parameter *at = ski_parameters; at->name; at++) {
        if (skald_str_equal(name, skald_str_of(at->name))) return at;
    }
    return NULL;
}

static ski_http_route http_route(const ski_route *route, const char *path)
{
    return (ski_http_route){
        .method = route->method,
        .path = path,
        .handle = ski_call_run,
        .body = route->body,
        .streams = route->streams,
        // Of lines; a body read whole keeps the server's limit.
        .body_bytes_max = route->body ? UINT64_MAX : 0,
        .worker = route->worker,
        .now = route->now ? ski_call_now : NULL,
        .scope = (uint8_t)route->scope,
        .rate = (uint8_t)route->rate,
        .of = route,
    };
}

static bool versioned(const ski_route *route)
{
    return strncmp(route->path, "/api/", 5) == 0;
}

ski_http_route *ski_routes_http(void)
{
    size_t count = ski_route_count, text = 0, made = 0;

    for (size_t i = 0; i < count; i++) text += strlen(ski_routes[i].path) + sizeof "/v99";
    size_t table = ((SKI_ROUTE_VERSION + 1) * count + 1) * sizeof(ski_http_route);
    ski_http_route *routes = ski_alloc_zeroed(1, table + SKI_ROUTE_VERSION * text);
    if (!routes) return NULL;
    char *at = (char *)routes + table;
    for (; made < count; made++) {
        routes[made] = http_route(&ski_routes[made], ski_routes[made].path);
    }
    for (unsigned version = SKI_ROUTE_VERSION_FIRST; version <= SKI_ROUTE_VERSION; version++) {
        for (size_t i = 0; i < count; i++) {
            const char *path = ski_routes[i].path;
            if (!versioned(&ski_routes[i])) continue;
            int len = snprintf(at, strlen(path) + sizeof "/v99", "/api/v%u%s", version, path + 4);
            routes[made++] = http_route(&ski_routes[i], at);
            at += len + 1;
        }
    }
    return routes;
}
