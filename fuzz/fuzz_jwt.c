// SPDX-License-Identifier: Apache-2.0
// Keys and tokens of strangers: what a provider sends (JWKS), and what a client says it was given
// (JWT). The first line of an input is a set of keys, the rest a token. What must hold of any
// bytes:
//
//   nothing is accepted that a fixed key did not sign; a set that is read is read again the same;
//   what the set itself signs, it accepts; a credential is a key of ours only in one form.
#include "api/keys.h"
#include "base/buf.h"
#include "base/str.h"
#include "net/jose.h"

#include <stdlib.h>
#include <string.h>

enum { bytes_max = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool holds)
{
    if (!holds) abort();
}

// nobody_comes_in: the token was not signed with this secret, which is nowhere in the input.
static void nobody_comes_in(skald_str token, skald_arena *arena)
{
    static const char secret[] = "\x01\x7f"
                                 "no input can have this, or it is one in 2^256";
    ski_jwks *jwks = NULL;
    ski_jwt jwt;
    skald_error error = {0};

    must(ski_jwks_secret(skald_str_of(secret), &jwks, NULL) == SKALD_OK);
    must(ski_jwt_verify(jwks, &(ski_jwt_rules){0}, 1700000000000000, token, arena, &jwt, &error) !=
         SKALD_OK);
    must(error.text[0] != '\0');
    ski_jwks_free(jwks);
}

// set_holds: what a set signs it accepts, and no bit of it may change.
static void set_holds(const ski_jwks *jwks, skald_str token, skald_arena *arena)
{
    skald_buf made = {.bytes_max = bytes_max};
    skald_str claims = SKALD_STR("{\"sub\":\"u\",\"exp\":1700000060}");
    ski_jwt jwt = {0};

    (void)!ski_jwt_verify(jwks, &(ski_jwt_rules){0}, 1700000000000000, token, arena, &jwt, NULL);
    if (!ski_jws_sign(jwks, claims, &made)) {
        skald_str text = ski_buf_str(&made);

        must(ski_jwt_verify(jwks, &(ski_jwt_rules){0}, 1700000000000000, text, arena, &jwt, NULL) ==
             SKALD_OK);
        must(skald_str_equal(jwt.subject, SKALD_STR("u")));
        made.ptr[made.len - 3] = made.ptr[made.len - 3] == 'A' ? 'B' : 'A';
        must(ski_jwt_verify(jwks, &(ski_jwt_rules){0}, 1700000000000000, text, arena, &jwt, NULL) !=
             SKALD_OK);
    }
    skald_buf_fini(&made);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    skald_str input = {(const char *)bytes, len}, token, id;
    skald_str keys = ski_str_cut(input, '\n', &token);
    uint8_t hash[SKI_KEY_HASH_BYTES];
    skald_arena *arena = NULL;
    ski_jwks *jwks = NULL, *again = NULL;
    skald_error error = {0};

    if (len > bytes_max / 4 || skald_arena_new(bytes_max, &arena)) return 0;
    if (!token.ptr) token = SKALD_STR("");
    nobody_comes_in(token, arena);
    if (!ski_jwks_read(keys, SKI_JOSE_ALL, &jwks, &error)) {
        must(ski_jwks_read(keys, SKI_JOSE_ALL, &again, NULL) == SKALD_OK);
        must(ski_jwks_count(jwks) == ski_jwks_count(again) && ski_jwks_count(jwks) > 0);
        set_holds(jwks, token, arena);
    } else {
        must(error.err != SKALD_OK && error.text[0] != '\0');
    }
    if (ski_key_parse(token, &id, hash)) {
        must(token.len == SKI_KEY_TEXT_BYTES && id.len == SKALD_KEY_ID_BYTES);
        must(ski_key_begins(token));
    }
    ski_jwks_free(jwks);
    ski_jwks_free(again);
    skald_arena_free(arena);
    return 0;
}
