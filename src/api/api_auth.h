// SPDX-License-Identifier: Apache-2.0
// api/api_auth.h - the door: who may come in, and what a route asks of them. What they may see then
// is api_auth_sight.h's.
#ifndef SKI_API_API_AUTH_H
#define SKI_API_API_AUTH_H

#include "api/api.h"
#include "api/api_auth_sight.h"

#include <skald/limit.h>

// What a route asks for, in ski_http_route.scope. 0, which is what a route that says nothing gets,
// asks for the most.
typedef enum ski_route_scope {
    SKI_NEEDS_OPERATOR, // admin of every tenant: what the route changes or shows belongs to all
    SKI_NEEDS_ADMIN,
    SKI_NEEDS_READ,
    SKI_NEEDS_PUBLISH,
    SKI_NEEDS_METRICS,
    SKI_NEEDS_KEY,     // one that is known, whatever it may do
    SKI_NEEDS_NOTHING, // not even a key
} ski_route_scope;

// Which bucket a route's requests are taken from, in ski_http_route.rate.
typedef enum ski_route_rate { SKI_RATE_NONE, SKI_RATE_READ, SKI_RATE_PUBLISH } ski_route_rate;

typedef struct ski_auth ski_auth;

skald_err ski_auth_new(const ski_api_options *options, ski_auth **ret_auth) SKALD_CHECK;
void ski_auth_free(ski_auth *auth);
// ski_auth_serve reads keys, and is told of the address, before the server listens. Fails: DENIED
// (strangers could reach it, and nobody has a key), INVALID (an option), CORRUPT, NOMEM, IO.
skald_err ski_auth_serve(ski_auth *auth, const char *host, skald_error *reterr_error) SKALD_CHECK;
ski_keys *ski_auth_keys(ski_auth *auth);
// ski_auth_keys_changed reads the keys again: from then on the door is shut. Waits.
skald_err ski_auth_keys_changed(ski_auth *auth, skald_error *reterr_error) SKALD_CHECK;
// ski_auth_circuit: how the circuit to the provider of token keys is. False: there is none.
bool ski_auth_circuit(const ski_auth *auth, skald_breaker_state *ret_state);
// ski_auth_metrics appends what is counted here, as Prometheus text.
skald_err ski_auth_metrics(ski_auth *auth, skald_buf *buf) SKALD_CHECK;

ski_http_guard ski_auth_guard;

// ski_auth_ticket_holds: whoever was let in then would be let in now.
bool ski_auth_ticket_holds(ski_auth *auth, const ski_auth_ticket *ticket);

#endif
