// SPDX-License-Identifier: Apache-2.0
// api/api_auth_token.h - where the keys of tokens come from: a file or a URL, read by a thread of
// its own.
#ifndef SKI_API_API_AUTH_TOKEN_H
#define SKI_API_API_AUTH_TOKEN_H

#include "api/api.h"
#include "net/jose.h"
#include "os/kernel.h"

#include <skald/limit.h>

typedef struct ski_jwks_source ski_jwks_source;

enum {
    SKI_JWKS_AGAIN_S = 600,       // read again so often,
    SKI_JWKS_AGAIN_FAILED_S = 30, // or after a failure,
    SKI_JWKS_ASKED_PER_MIN = 2,   // or when a token names another key, so often at most;
    SKI_JWKS_ASKED_BURST = 3,
    SKI_JWKS_TIMEOUT_MS = 10000, // that a provider may take
};

// ski_jwks_source_new reads a file at once, and begins to ask a URL. Fails: INVALID (the file, or
// the URL: https, or http to this machine), NOTFOUND, NOMEM, IO.
skald_err ski_jwks_source_new(const ski_token_options *options, unsigned algs, const skald_log *log,
                              const ski_kernel *kernel, ski_jwks_source **ret_source,
                              skald_error *reterr_error) SKALD_CHECK;
void ski_jwks_source_free(ski_jwks_source *source);
// ski_jwks_source_take puts the newest set in the place of *jwks, which may be NULL and is freed
// then. False: nothing newer is there, and it stays. One thread.
bool ski_jwks_source_take(ski_jwks_source *source, ski_jwks **jwks);
// ski_jwks_source_circuit: how the circuit to the URL is. False: it is a file. Any thread.
bool ski_jwks_source_circuit(ski_jwks_source *source, skald_breaker_state *ret_state);
// ski_jwks_source_ask has the keys read again, soon. Never waits.
void ski_jwks_source_ask(ski_jwks_source *source);

#endif
