// SPDX-License-Identifier: Apache-2.0
// The route table as a tree of path segments.
//
// Invariants:
//   1. Every node but the root stands for one segment; a node with routes ends a path.
//   2. A node has at most one child for {…}, asked after its fixed ones; when that way leads
//      nowhere the search goes back. It is never deeper than segments_max, so its cost is bounded
//      by the table.
#include "net/router.h"

#include "base/alloc.h"
#include "base/str.h"
#include <assert.h>
#include <string.h>

enum {
    segments_max = 16,
    none = 0xffff,
};

typedef struct router_node {
    skald_str segment;          // fixed text; not given: a parameter
    uint16_t first_child, next; // none at the end; fixed children stand before the parameter
    uint16_t first_route;       // into links
} router_node;

typedef struct router_link {
    const ski_http_route *route;
    skald_str method; // its own
    uint16_t next;
} router_link;

struct ski_router {
    router_node *nodes;
    router_link *links;
    uint16_t node_count, link_count;
};

static bool is_parameter(skald_str segment)
{
    return segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

// node_child finds or makes the child of a node for one segment of a route's path.
static uint16_t node_child(ski_router *router, uint16_t parent, skald_str segment)
{
    bool parameter = is_parameter(segment);
    uint16_t *link = &router->nodes[parent].first_child;

    while (*link != none) {
        router_node *child = &router->nodes[*link];
        bool child_parameter = child->segment.ptr == NULL;
        if (parameter && child_parameter) return *link;
        if (!parameter && child_parameter) break; // fixed ones stand before it
        if (!parameter && skald_str_equal(child->segment, segment)) return *link;
        link = &child->next;
    }
    uint16_t made = router->node_count++;
    router->nodes[made] = (router_node){.first_child = none, .next = *link, .first_route = none};
    if (!parameter) router->nodes[made].segment = segment;
    *link = made;
    return made;
}

static void router_add(ski_router *router, const ski_http_route *route)
{
    skald_str rest = skald_str_of(route->path);
    size_t parameters = 0, segments = 0;
    uint16_t at = 0;

    assert(rest.len > 0 && *rest.ptr == '/' && route->method != NULL && route->handle != NULL);
    rest = ski_str(rest.ptr + 1, rest.len - 1);
    while (rest.ptr != NULL) {
        skald_str segment = ski_str_cut(rest, '/', &rest);
        parameters += is_parameter(segment);
        assert(++segments <= segments_max);
        at = node_child(router, at, segment);
    }
    assert(parameters <= SKI_ROUTER_PARAMETERS_MAX);
    uint16_t *link = &router->nodes[at].first_route;
    while (*link != none) {
        assert(strcmp(router->links[*link].route->method, route->method) != 0);
        link = &router->links[*link].next;
    }
    router->links[router->link_count] =
        (router_link){.route = route, .method = skald_str_of(route->method), .next = none};
    *link = router->link_count++;
}

skald_err ski_router_new(const ski_http_route *routes, ski_router **ret_router)
{
    size_t route_count = 0, node_count = 1;

    for (const ski_http_route *route = routes; route->method != NULL; route++) {
        route_count++;
        for (const char *at = route->path; *at != '\0'; at++) node_count += *at == '/';
    }
    assert(node_count < none);
    ski_router *router = ski_alloc_zeroed(1, sizeof *router);
    if (router == NULL) return SKALD_ENOMEM;
    router->nodes = ski_alloc_zeroed(node_count, sizeof *router->nodes);
    router->links = ski_alloc_zeroed(route_count + 1, sizeof *router->links);
    if (router->nodes == NULL || router->links == NULL) {
        ski_router_free(router);
        return SKALD_ENOMEM;
    }
    router->nodes[0] = (router_node){.first_child = none, .next = none, .first_route = none};
    router->node_count = 1;
    for (const ski_http_route *route = routes; route->method != NULL; route++) {
        router_add(router, route);
    }
    *ret_router = router;
    return SKALD_OK;
}

void ski_router_free(ski_router *router)
{
    if (router == NULL) return;
    ski_free(router->nodes);
    ski_free(router->links);
    ski_free(router);
}

// node_find walks down from a node; rest: the path behind it, not given at its end. Parameters are
// filled on the way back, so that a way that led nowhere leaves none.
static uint16_t node_find(const ski_router *router, uint16_t at, skald_str rest, size_t depth,
                          skald_str *parameters)
{
    if (rest.ptr == NULL) return router->nodes[at].first_route == none ? none : at;
    if (depth == segments_max) return none;
    skald_str behind;
    skald_str segment = ski_str_cut(rest, '/', &behind);

    for (uint16_t i = router->nodes[at].first_child; i != none; i = router->nodes[i].next) {
        const router_node *child = &router->nodes[i];
        bool parameter = child->segment.ptr == NULL;
        if (parameter ? segment.len == 0 : !skald_str_equal(child->segment, segment)) continue;
        uint16_t found = node_find(router, i, behind, depth + 1, parameters + parameter);
        if (found != none && parameter) *parameters = segment;
        if (found != none) return found;
    }
    return none;
}

static void allow_put(char *allow, size_t *len, const char *method)
{
    size_t more = strlen(method);

    assert(*len + more + 3 < SKI_ROUTER_ALLOW_MAX);
    if (*len > 0) {
        memcpy(allow + *len, ", ", 2);
        *len += 2;
    }
    memcpy(allow + *len, method, more + 1);
    *len += more;
}

// allow_fill lists the methods of a path.
static void allow_fill(const ski_router *router, uint16_t at, char *allow)
{
    size_t len = 0;

    for (uint16_t i = router->nodes[at].first_route; i != none; i = router->links[i].next) {
        const router_link *link = &router->links[i];
        allow_put(allow, &len, link->route->method);
        if (skald_str_equal(link->method, SKALD_STR("GET"))) allow_put(allow, &len, "HEAD");
    }
    allow_put(allow, &len, "OPTIONS");
}

static const ski_http_route *route_of(const ski_router *router, uint16_t at, skald_str method)
{
    for (uint16_t i = router->nodes[at].first_route; i != none; i = router->links[i].next) {
        if (skald_str_equal(method, router->links[i].method)) return router->links[i].route;
    }
    if (!skald_str_equal(method, SKALD_STR("HEAD"))) return NULL;
    return route_of(router, at, SKALD_STR("GET"));
}

void ski_router_find(const ski_router *router, skald_str method, skald_str path,
                     ski_router_match *ret_match)
{
    uint16_t at = none;

    memset(ret_match->parameters, 0, sizeof ret_match->parameters);
    ret_match->allow[0] = '\0';
    if (path.len > 0 && *path.ptr == '/') {
        at = node_find(router, 0, ski_str(path.ptr + 1, path.len - 1), 0, ret_match->parameters);
    }
    ret_match->known = at != none;
    ret_match->route = ret_match->known ? route_of(router, at, method) : NULL;
    if (ret_match->known && ret_match->route == NULL) allow_fill(router, at, ret_match->allow);
}
