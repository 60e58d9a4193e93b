// SPDX-License-Identifier: Apache-2.0
// net/jose.h - keys (RFC 7517), signatures (RFC 7515) and tokens (RFC 7519), read as strictly as
// they can be.
//
// Four algorithms, each pinned to the key: what a token says of its algorithm is held against the
// key and never chooses how to verify. Keys that a token brings along (jwk, jku, x5c) are ignored,
// critical extensions refused. A set of keys is immutable: any number of threads may use it, and a
// new one takes its place when keys are rotated.
#ifndef SKI_NET_JOSE_H
#define SKI_NET_JOSE_H

#include <skald/base.h>

enum { // algorithms, as a set
    SKI_JOSE_HS256 = 1,
    SKI_JOSE_RS256 = 2,
    SKI_JOSE_ES256 = 4,
    SKI_JOSE_EDDSA = 8, // Ed25519 (RFC 8037)
    SKI_JOSE_ALL = 15,
};

enum {
    SKI_JOSE_KEYS_MAX = 64,
    SKI_JOSE_JWKS_BYTES_MAX = 256 * 1024,
    SKI_JOSE_KID_BYTES_MAX = 255,
    SKI_JOSE_TOKEN_BYTES_MAX = 16 * 1024,
    SKI_JOSE_SECRET_BYTES_MIN = 32, // of an HS256 key (RFC 7518, 3.2)
    SKI_JOSE_RSA_BITS_MIN = 2048,
    SKI_JOSE_RSA_BITS_MAX = 8192, // beyond it verifying is work for an attacker to hand out
};

typedef struct ski_jwks ski_jwks;

// ski_jwks_read takes a key or a set of keys as JSON. Keys for other algorithms, uses and curves
// are passed over, for a provider may publish them beside; a key that means to be one of algs and
// is not sound (too short, not on its curve, known to be weak) makes it fail. Fails: INVALID (also:
// two keys of one kid, secret and public keys in one set, none that is of use), TOOBIG, NOMEM. No
// error text holds any part of a key.
skald_err ski_jwks_read(skald_str json, unsigned algs, ski_jwks **ret_jwks,
                        skald_error *reterr_error) SKALD_CHECK;
// ski_jwks_secret makes a set of one HS256 key. Fails: INVALID (too short), NOMEM.
skald_err ski_jwks_secret(skald_str secret, ski_jwks **ret_jwks, skald_error *reterr_error)
    SKALD_CHECK;
void ski_jwks_free(ski_jwks *jwks); // secrets are wiped
size_t ski_jwks_count(const ski_jwks *jwks);

// ski_jws_verify checks a signature in the compact form and gives the payload, made in arena.
// Fails: AUTH (what is wrong, without any of the token; field "kid": no key of the set is meant),
// NOMEM.
skald_err ski_jws_verify(const ski_jwks *jwks, skald_str token, skald_arena *arena,
                         skald_str *ret_payload, skald_error *reterr_error) SKALD_CHECK;

typedef struct ski_jwt_rules {
    skald_str issuer;   // iss must be this; not given: any
    skald_str audience; // aud must be or hold this; not given: any
    uint32_t skew_s;    // clocks may differ by so much: exp, nbf and iat
} ski_jwt_rules;

typedef struct ski_jwt {
    skald_str claims;              // the JSON object, checked; no name stands in it twice
    skald_str issuer, subject, id; // not given without them
    int64_t expires_s;
} ski_jwt;

// ski_jwt_verify checks signature and claims at a time; exp must be there. Everything given lives
// in arena. Fails: AUTH, NOMEM.
skald_err ski_jwt_verify(const ski_jwks *jwks, const ski_jwt_rules *rules, skald_time now,
                         skald_str token, skald_arena *arena, ski_jwt *ret_jwt,
                         skald_error *reterr_error) SKALD_CHECK;
// ski_jwt_claim gives the raw JSON of a claim; not given: there is none.
skald_str ski_jwt_claim(const ski_jwt *jwt, const char *name);

// ski_jws_sign appends a token over payload, signed by the first key of the set that can sign.
// Fails: INVALID (none can), FULL, NOMEM.
skald_err ski_jws_sign(const ski_jwks *jwks, skald_str payload, skald_buf *buf) SKALD_CHECK;

#endif
