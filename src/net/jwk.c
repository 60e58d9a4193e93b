// SPDX-License-Identifier: Apache-2.0
// Keys. A key is read whole or not at all: kind, curve, algorithm, use and operations must agree,
// numbers must be in their range, points on their curve.
//
// Invariant: an accepted key has one algorithm, and nothing a token says can change it.
#include "net/jwk.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/str.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/param_build.h>
#include <string.h>

enum {
    p256_bytes = 32,
    ed25519_bytes = 32,
    depth_parts = 2, // numbers of an elliptic key
};

// The members of a key that are looked at.
enum { KTY, ALG, USE, KEY_OPS, KID, CRV, N, E, D, X, Y, K, MEMBERS };
static const char *const member_names[MEMBERS + 1] = {"kty", "alg", "use", "key_ops", "kid",
                                                      "crv", "n",   "e",   "d",       "x",
                                                      "y",   "k",   NULL};

// A number or secret of a key.
typedef struct part {
    uint8_t bytes[SKI_JWK_PART_BYTES_MAX + 3];
    size_t len;
} part;

const char *ski_jose_alg_name(unsigned alg)
{
    switch (alg) {
    case SKI_JOSE_HS256: return "HS256";
    case SKI_JOSE_RS256: return "RS256";
    case SKI_JOSE_ES256: return "ES256";
    case SKI_JOSE_EDDSA: return "EdDSA";
    default: return "none of ours";
    }
}

skald_err ski_jose_members(skald_str json, const char *const names[], skald_str ret_values[])
{
    ski_json_walk walk = {.rest = json};
    ski_json_item item;

    for (size_t i = 0; names[i]; i++) ret_values[i] = (skald_str){0};
    if (ski_json_kind_of(json) != SKI_JSON_OBJECT) return SKALD_EINVALID;
    while (ski_json_next(&walk, &item)) {
        // An escape in a name would let two readers see two names.
        if (item.key_escaped) return SKALD_EINVALID;
        for (size_t i = 0; names[i]; i++) {
            if (!skald_str_equal(item.key, skald_str_of(names[i]))) continue;
            if (ret_values[i].ptr) return SKALD_EINVALID;
            ret_values[i] = item.value;
        }
    }
    return SKALD_OK;
}

// text_of gives what stands between the quotes of a string without escapes; else not given.
static skald_str text_of(skald_str value)
{
    if (value.len < 2 || value.ptr[0] != '"') return (skald_str){0};
    value = ski_str(value.ptr + 1, value.len - 2);
    return memchr(value.ptr, '\\', value.len) ? (skald_str){0} : value;
}

static bool text_is(skald_str value, const char *text)
{
    return skald_str_equal(text_of(value), skald_str_of(text));
}

static skald_err part_read(skald_str value, part *ret_part)
{
    skald_str text = text_of(value);

    if (!text.len || ski_base64_len(text.len) > sizeof ret_part->bytes) return SKALD_EINVALID;
    return ski_base64_read(text, ret_part->bytes, &ret_part->len);
}

// means gives the algorithm a key is for, by its kind and curve; 0: none of ours.
static unsigned means(const skald_str members[MEMBERS])
{
    if (text_is(members[KTY], "oct")) return SKI_JOSE_HS256;
    if (text_is(members[KTY], "RSA")) return SKI_JOSE_RS256;
    if (text_is(members[KTY], "EC") && text_is(members[CRV], "P-256")) return SKI_JOSE_ES256;
    if (text_is(members[KTY], "OKP") && text_is(members[CRV], "Ed25519")) return SKI_JOSE_EDDSA;
    return 0;
}

// for_signatures: use and key_ops, where they are, allow it.
static bool for_signatures(const skald_str members[MEMBERS])
{
    ski_json_walk walk = {.rest = members[KEY_OPS]};
    ski_json_item item;

    if (members[USE].ptr && !text_is(members[USE], "sig")) return false;
    if (!members[KEY_OPS].ptr) return true;
    if (ski_json_kind_of(members[KEY_OPS]) != SKI_JSON_ARRAY) return false;
    while (ski_json_next(&walk, &item)) {
        if (text_is(item.value, "verify") || text_is(item.value, "sign")) return true;
    }
    return false;
}

static skald_err secret_take(const skald_str members[MEMBERS], ski_jwk *key,
                             skald_error *reterr_error)
{
    part secret;
    skald_err err = part_read(members[K], &secret);

    if (!err && secret.len > sizeof key->secret) err = SKALD_EINVALID;
    if (!err && secret.len < SKI_JOSE_SECRET_BYTES_MIN) err = SKALD_EINVALID;
    if (!err) {
        memcpy(key->secret, secret.bytes, secret.len);
        key->secret_len = secret.len;
        key->can_sign = true;
    }
    OPENSSL_cleanse(&secret, sizeof secret);
    if (!err) return SKALD_OK;
    return skald_fail_at(reterr_error, err, "k", "the secret of an HS256 key has %d to %d bytes",
                         SKI_JOSE_SECRET_BYTES_MIN, SKI_JWK_SECRET_BYTES_MAX);
}

// weak_roca: the modulus has the shape of those of a chip library whose keys can be factored
// (CVE-2017-15361): modulo each of these primes it is a power of 65537.
static bool weak_roca(const BIGNUM *modulus)
{
    static const uint8_t primes[] = {11, 13, 17,  19,  37,  53,  61,  71, 73,
                                     79, 97, 103, 107, 109, 127, 151, 157};

    for (size_t i = 0; i < sizeof primes; i++) {
        unsigned prime = primes[i], power = 1;
        unsigned rest = (unsigned)BN_mod_word(modulus, prime);
        bool found = false;

        for (unsigned n = 0; n < prime && !found; n++) {
            found = power == rest;
            power = power * (65537 % prime) % prime;
        }
        if (!found) return false;
    }
    return true;
}

static bool rsa_sound(const BIGNUM *modulus, const BIGNUM *exponent)
{
    int bits = BN_num_bits(modulus);

    if (bits < SKI_JOSE_RSA_BITS_MIN || bits > SKI_JOSE_RSA_BITS_MAX) return false;
    if (!BN_is_odd(modulus) || !BN_is_odd(exponent)) return false;
    if (BN_num_bits(exponent) < 2 || BN_num_bits(exponent) > 64) return false;
    return !weak_roca(modulus);
}

// pkey_make builds a key of kind type from parameters; NULL: they make none.
static EVP_PKEY *pkey_make(const char *type, OSSL_PARAM_BLD *build, bool can_sign)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
    int selection = can_sign ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *check = NULL;

    if (!context || !parameters || EVP_PKEY_fromdata_init(context) <= 0) goto done;
    if (EVP_PKEY_fromdata(context, &pkey, selection, parameters) <= 0) pkey = NULL;
    if (!pkey) goto done;
    check = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    if (!check || EVP_PKEY_public_check(check) <= 0) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
done:
    EVP_PKEY_CTX_free(check);
    OSSL_PARAM_free(parameters);
    EVP_PKEY_CTX_free(context);
    return pkey;
}

static bool rsa_take(const skald_str members[MEMBERS], ski_jwk *key)
{
    part parts[3] = {{.len = 0}};
    bool private_part = members[D].ptr != NULL;
    BIGNUM *n = NULL, *e = NULL, *d = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    bool sound = build && !part_read(members[N], &parts[0]) && !part_read(members[E], &parts[1]) &&
                 (!private_part || !part_read(members[D], &parts[2]));

    if (!sound) goto done;
    n = BN_bin2bn(parts[0].bytes, (int)parts[0].len, NULL);
    e = BN_bin2bn(parts[1].bytes, (int)parts[1].len, NULL);
    if (private_part) d = BN_bin2bn(parts[2].bytes, (int)parts[2].len, NULL);
    if (!n || !e || (private_part && !d) || !rsa_sound(n, e)) goto done;
    if (!OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n)) goto done;
    if (!OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e)) goto done;
    if (d && !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_D, d)) goto done;
    key->pkey = pkey_make("RSA", build, d != NULL);
    key->can_sign = d != NULL;
done:
    BN_clear_free(d);
    BN_free(e);
    BN_free(n);
    OSSL_PARAM_BLD_free(build);
    OPENSSL_cleanse(parts, sizeof parts);
    return key->pkey != NULL;
}

static bool ec_take(const skald_str members[MEMBERS], ski_jwk *key)
{
    part x, y, d = {.len = 0};
    uint8_t point[1 + depth_parts * p256_bytes] = {4}; // uncompressed
    BIGNUM *secret = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();

    if (!build || part_read(members[X], &x) || part_read(members[Y], &y)) goto done;
    if (x.len != p256_bytes || y.len != p256_bytes) goto done;
    if (members[D].ptr && (part_read(members[D], &d) || d.len != p256_bytes)) goto done;
    memcpy(point + 1, x.bytes, p256_bytes);
    memcpy(point + 1 + p256_bytes, y.bytes, p256_bytes);
    if (d.len) secret = BN_bin2bn(d.bytes, p256_bytes, NULL);
    if (d.len && !secret) goto done;
    if (!OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0)) goto done;
    if (!OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point)) {
        goto done;
    }
    if (secret && !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, secret)) goto done;
    key->pkey = pkey_make("EC", build, secret != NULL);
    key->can_sign = secret != NULL;
done:
    BN_clear_free(secret);
    OSSL_PARAM_BLD_free(build);
    OPENSSL_cleanse(&d, sizeof d);
    return key->pkey != NULL;
}

static bool ed_take(const skald_str members[MEMBERS], ski_jwk *key)
{
    part x, d = {.len = 0};
    uint8_t derived[ed25519_bytes];
    size_t len = sizeof derived;

    if (part_read(members[X], &x) || x.len != ed25519_bytes) return false;
    if (!members[D].ptr) {
        key->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.bytes, x.len);
        return key->pkey != NULL;
    }
    if (!part_read(members[D], &d) && d.len == ed25519_bytes) {
        key->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, d.bytes, d.len);
    }
    OPENSSL_cleanse(&d, sizeof d);
    key->can_sign = true;
    // The public half must be that of the secret one.
    return key->pkey && EVP_PKEY_get_raw_public_key(key->pkey, derived, &len) > 0 && len == x.len &&
           CRYPTO_memcmp(derived, x.bytes, len) == 0;
}

static skald_err kid_take(skald_str value, ski_jwk *key, skald_error *reterr_error)
{
    skald_str kid = text_of(value);

    if (!value.ptr) return SKALD_OK;
    if (!kid.ptr || kid.len > SKI_JOSE_KID_BYTES_MAX) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "kid",
                             "must be a text of at most %d bytes without escapes",
                             SKI_JOSE_KID_BYTES_MAX);
    }
    memcpy(key->kid, kid.ptr, kid.len);
    key->has_kid = true;
    return SKALD_OK;
}

void ski_jwk_wipe(ski_jwk *key)
{
    EVP_PKEY_free(key->pkey);
    OPENSSL_cleanse(key, sizeof *key);
}

skald_err ski_jwk_read(skald_str json, unsigned algs, ski_jwk *ret_key, skald_error *reterr_error)
{
    skald_str members[MEMBERS];
    unsigned alg = 0;
    bool sound = true;
    skald_err err = SKALD_OK;

    *ret_key = (ski_jwk){0};
    if (ski_jose_members(json, member_names, members)) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "keys",
                             "a key must be an object in which no member stands twice");
    }
    alg = means(members);
    if (!(alg & algs) || !for_signatures(members)) return SKALD_ENOTFOUND;
    if (members[ALG].ptr && !text_is(members[ALG], ski_jose_alg_name(alg))) return SKALD_ENOTFOUND;
    ret_key->alg = alg;
    err = kid_take(members[KID], ret_key, reterr_error);
    if (!err && alg == SKI_JOSE_HS256) err = secret_take(members, ret_key, reterr_error);
    if (!err && alg == SKI_JOSE_RS256) sound = rsa_take(members, ret_key);
    if (!err && alg == SKI_JOSE_ES256) sound = ec_take(members, ret_key);
    if (!err && alg == SKI_JOSE_EDDSA) sound = ed_take(members, ret_key);
    if (!err && !sound) {
        err = skald_fail_at(reterr_error, SKALD_EINVALID, "keys",
                            "the %s key '%s' is not sound: its numbers are missing, out of range, "
                            "or known to be weak",
                            ski_jose_alg_name(alg), ret_key->kid);
    }
    if (err) ski_jwk_wipe(ret_key);
    return err;
}
