// SPDX-License-Identifier: Apache-2.0
// api/api_auth_parts.h - what the api_auth_<noun>.c files and api_rate.c share; nobody else
// includes it.
#ifndef SKI_API_API_AUTH_PARTS_H
#define SKI_API_API_AUTH_PARTS_H

#include "api/api_auth.h"
#include "api/api_rate.h"
#include <stdatomic.h>

typedef struct ski_tokens ski_tokens;   // api_auth_token.c
typedef struct ski_notices ski_notices; // api_auth_notice.c

struct ski_auth {
    ski_api_options options;
    skald_store *store;
    const ski_kernel *kernel;
    ski_keys *keys;
    ski_tokens *tokens; // NULL: none are taken
    ski_rates *rates;
    ski_notices *notices;
    // Without keys, on this machine alone, everything is allowed. Once shut it stays shut.
    _Atomic bool shut;
    _Atomic uint64_t failed; // requests answered 401
};

// api_auth_origin.c: pages of other origins.
//
// ski_origin_check says whether open mode may answer this: only what names this machine, and no
// page but its own and those of the allow-list. ski_origin_headers lets pages of the allow-list
// read the reply. origins is the allow-list; NULL: it is empty.
skald_err ski_origin_check(const char *origins, const ski_http_request *request,
                           skald_error *reterr_error) SKALD_CHECK;
void ski_origin_headers(const char *origins, ski_http_request *request);
skald_err ski_origins_valid(const char *origins, skald_error *reterr_error) SKALD_CHECK;

// api_auth_token.c: JWT.
skald_err ski_tokens_check(const ski_token_options *options, skald_error *reterr_error) SKALD_CHECK;
skald_err ski_tokens_new(const ski_token_options *options, const skald_log *log,
                         const ski_kernel *kernel, ski_tokens **ret_tokens,
                         skald_error *reterr_error) SKALD_CHECK;
void ski_tokens_free(ski_tokens *tokens);
// ski_tokens_circuit: how the circuit to their provider is. False: there is none. Any thread.
bool ski_tokens_circuit(ski_tokens *tokens, skald_breaker_state *ret_state);
// ski_tokens_verify fills identity, in arena. Never waits. Fails: AUTH, UNAVAILABLE (the keys are
// not there yet), NOMEM.
skald_err ski_tokens_verify(ski_tokens *tokens, skald_str token, skald_time now, skald_arena *arena,
                            ski_identity *ret_identity, skald_error *reterr_error) SKALD_CHECK;

// api_auth_notice.c: security.* events. On the loop; they never wait, and what cannot be published
// is dropped.
skald_err ski_notices_new(skald_bus *bus, const ski_kernel *kernel, ski_notices **ret_notices)
    SKALD_CHECK;
void ski_notices_free(ski_notices *notices);
void ski_notice_failed(ski_notices *notices, ski_http *http, skald_str peer, const char *why);
// ski_notice_limited: who is the key or the address, kind its policy. tenant not given: it is of
// none, or of all.
void ski_notice_limited(ski_notices *notices, skald_str tenant, skald_str who, const char *kind);

#endif
