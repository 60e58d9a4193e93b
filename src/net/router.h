// SPDX-License-Identifier: Apache-2.0
// net/router.h - from method and path to a route. The table is compiled once; then it is read only
// and any thread may ask it.
#ifndef SKI_NET_ROUTER_H
#define SKI_NET_ROUTER_H

#include "net/http.h"

typedef struct ski_router ski_router;

enum {
    SKI_ROUTER_PARAMETERS_MAX = 4, // of one path
    SKI_ROUTER_ALLOW_MAX = 96,     // bytes of an Allow header, NUL counted
};

typedef struct ski_router_match {
    const ski_http_route *route;                     // NULL: the path is known, the method is not
    bool known;                                      // the path is
    skald_str parameters[SKI_ROUTER_PARAMETERS_MAX]; // as they came, still encoded
    char allow[SKI_ROUTER_ALLOW_MAX];                // where route is NULL
} ski_router_match;

// ski_router_new compiles the table, which is borrowed. A table that is wrong (a path without '/',
// one route twice, too many parameters) is a programmer's error. Fails: NOMEM.
skald_err ski_router_new(const ski_http_route *routes, ski_router **ret_router) SKALD_CHECK;
void ski_router_free(ski_router *router);
// ski_router_find: a fixed segment wins over {…}; HEAD finds the route of GET. Segments are
// compared as they came: "." and
// ".." and "%2e" are nothing special.
void ski_router_find(const ski_router *router, skald_str method, skald_str path,
                     ski_router_match *ret_match);

#endif
