// SPDX-License-Identifier: Apache-2.0
// net/jwk.h - one key of a set, for the files of JOSE.
#ifndef SKI_NET_JWK_H
#define SKI_NET_JWK_H

#include "base/json.h"
#include "net/jose.h"
#include <openssl/evp.h>

enum {
    SKI_JWK_SECRET_BYTES_MAX = 1024,
    SKI_JWK_PART_BYTES_MAX = SKI_JOSE_RSA_BITS_MAX / 8 + 1, // of a number: a zero may stand before
};

typedef struct ski_jwk {
    unsigned alg; // one of SKI_JOSE_...
    char kid[SKI_JOSE_KID_BYTES_MAX + 1];
    bool has_kid, can_sign;
    EVP_PKEY *pkey; // NULL: HS256, whose secret is here
    uint8_t secret[SKI_JWK_SECRET_BYTES_MAX];
    size_t secret_len;
} ski_jwk;

struct ski_jwks {
    size_t count;
    ski_jwk keys[SKI_JOSE_KEYS_MAX];
};

const char *ski_jose_alg_name(unsigned alg); // "HS256"

// ski_jwk_read reads one key, an object that passed the door. NOTFOUND: it is for something else.
// Fails: INVALID, NOMEM; *ret_key is then wiped.
skald_err ski_jwk_read(skald_str json, unsigned algs, ski_jwk *ret_key, skald_error *reterr_error)
    SKALD_CHECK;
void ski_jwk_wipe(ski_jwk *key);

// ski_jose_members reads the members named (a list that ends with NULL) of an object as they stand,
// not given where there is none. Fails: INVALID (not an object, or one stands twice).
skald_err ski_jose_members(skald_str json, const char *const names[], skald_str ret_values[])
    SKALD_CHECK;

#endif
