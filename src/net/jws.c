// SPDX-License-Identifier: Apache-2.0
// Signatures in the compact form, and sets of keys.
//
// A token is three texts of base64url between two dots. Its header says which key it means (kid)
// and which algorithm; the key must be the only one that can be meant, and the algorithm must be
// the key's. Which of the checks failed is told in words that hold nothing of the token.
#include "net/jwk.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/str.h"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <string.h>

enum {
    hmac_bytes = 32,
    es256_half = 32,
    es256_bytes = 2 * es256_half,
    es256_der_max = 80,
    signature_max = SKI_JOSE_RSA_BITS_MAX / 8,
};

static skald_err refuse(skald_error *reterr_error, const char *why)
{
    return skald_fail(reterr_error, SKALD_EAUTH, "the token is not valid: %s", why);
}

// A token taken apart. signed_part is header, dot, payload, as they were sent.
typedef struct jws {
    skald_str header, payload, signature, signed_part;
} jws;

static bool jws_cut(skald_str token, jws *ret_jws)
{
    skald_str rest;

    ret_jws->header = ski_str_cut(token, '.', &rest);
    if (!rest.ptr) return false;
    ret_jws->payload = ski_str_cut(rest, '.', &rest);
    if (!rest.ptr || memchr(rest.ptr, '.', rest.len)) return false;
    ret_jws->signature = rest;
    ret_jws->signed_part = ski_str(token.ptr, token.len - rest.len - 1);
    return true;
}

static skald_err decode(skald_str text, skald_arena *arena, skald_str *ret_bytes)
{
    // JSON is parsed from here, and wants to read a little further.
    char *bytes = skald_arena_get(arena, ski_base64_len(text.len) + SKI_JSON_PAD);
    size_t len = 0;

    if (!bytes) return SKALD_ENOMEM;
    SKALD_TRY(ski_base64_read(text, (uint8_t *)bytes, &len));
    *ret_bytes = ski_str(bytes, len);
    return SKALD_OK;
}

// What a header says that is looked at.
enum { HEADER_ALG, HEADER_KID, HEADER_CRIT, HEADER_B64, HEADERS };

static skald_err header_read(skald_str text, skald_arena *arena, skald_str values[HEADERS])
{
    static const char *const names[HEADERS + 1] = {"alg", "kid", "crit", "b64", NULL};
    skald_str json;
    skald_err err = decode(text, arena, &json);

    if (!err) err = ski_json_door_check(json, true, NULL);
    if (!err) err = ski_jose_members(json, names, values);
    if (err) return err;
    if (values[HEADER_CRIT].ptr || values[HEADER_B64].ptr) return SKALD_EINVALID;
    if (!values[HEADER_ALG].ptr || values[HEADER_ALG].ptr[0] != '"') return SKALD_EINVALID;
    if (values[HEADER_KID].ptr && values[HEADER_KID].ptr[0] != '"') return SKALD_EINVALID;
    for (size_t i = HEADER_ALG; i <= HEADER_KID; i++) {
        if (values[i].ptr) SKALD_TRY(ski_json_unescape(values[i], arena, &values[i]));
    }
    return SKALD_OK;
}

// key_meant gives the one key that a header can mean; NULL: none, or several.
static const ski_jwk *key_meant(const ski_jwks *jwks, skald_str alg, skald_str kid)
{
    const ski_jwk *meant = NULL;

    for (size_t i = 0; i < jwks->count; i++) {
        const ski_jwk *key = &jwks->keys[i];

        if (!skald_str_equal(alg, skald_str_of(ski_jose_alg_name(key->alg)))) continue;
        if (kid.ptr && key->has_kid && !skald_str_equal(kid, skald_str_of(key->kid))) continue;
        if (kid.ptr && key->has_kid) return key; // kids are different
        if (meant) return NULL;
        meant = key;
    }
    return meant;
}

static bool hmac_make(const ski_jwk *key, skald_str text, uint8_t ret_mac[hmac_bytes])
{
    unsigned len = 0;

    return HMAC(EVP_sha256(), key->secret, (int)key->secret_len, (const uint8_t *)text.ptr,
                text.len, ret_mac, &len) != NULL &&
           len == hmac_bytes;
}

static bool hmac_holds(const ski_jwk *key, skald_str text, skald_str signature)
{
    uint8_t mac[hmac_bytes];

    return signature.len == hmac_bytes && hmac_make(key, text, mac) &&
           CRYPTO_memcmp(mac, signature.ptr, hmac_bytes) == 0;
}

// es256_der makes of r and s what OpenSSL takes; 0: they are none.
static size_t es256_der(skald_str signature, uint8_t der[es256_der_max])
{
    const uint8_t *bytes = (const uint8_t *)signature.ptr;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = NULL, *s = NULL;
    uint8_t *to = der;
    int len = 0;

    if (!sig || signature.len != es256_bytes) goto done;
    r = BN_bin2bn(bytes, es256_half, NULL);
    s = BN_bin2bn(bytes + es256_half, es256_half, NULL);
    if (!r || !s || !ECDSA_SIG_set0(sig, r, s)) goto done; // on success they are the signature's
    r = s = NULL;
    len = i2d_ECDSA_SIG(sig, &to);
done:
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return len > 0 ? (size_t)len : 0;
}

static bool pkey_holds(const ski_jwk *key, skald_str text, skald_str signature)
{
    const EVP_MD *digest = key->alg == SKI_JOSE_EDDSA ? NULL : EVP_sha256();
    uint8_t der[es256_der_max];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool holds = false;

    if (!context) return false;
    if (key->alg == SKI_JOSE_ES256) {
        signature = ski_str((const char *)der, es256_der(signature, der));
    } else if (signature.len != (size_t)EVP_PKEY_get_size(key->pkey)) {
        signature.len = 0;
    }
    holds = signature.len > 0 &&
            EVP_DigestVerifyInit(context, NULL, digest, NULL, key->pkey) == 1 &&
            EVP_DigestVerify(context, (const uint8_t *)signature.ptr, signature.len,
                             (const uint8_t *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(context);
    return holds;
}

skald_err ski_jws_verify(const ski_jwks *jwks, skald_str token, skald_arena *arena,
                         skald_str *ret_payload, skald_error *reterr_error)
{
    skald_str header[HEADERS], signature, payload;
    const ski_jwk *key = NULL;
    jws parts;
    skald_err err = SKALD_OK;

    if (token.len > SKI_JOSE_TOKEN_BYTES_MAX) return refuse(reterr_error, "it is too long");
    if (!jws_cut(token, &parts)) {
        return refuse(reterr_error, "it must be three parts between two dots");
    }
    err = header_read(parts.header, arena, header);
    if (err == SKALD_ENOMEM) return err;
    if (err) return refuse(reterr_error, "its header cannot be read, or must be understood");
    key = key_meant(jwks, header[HEADER_ALG], header[HEADER_KID]);
    if (!key) {
        return skald_fail_at(reterr_error, SKALD_EAUTH, "kid",
                             "the token is not accepted: no key here has its algorithm and kid");
    }
    err = decode(parts.signature, arena, &signature);
    if (!err) err = decode(parts.payload, arena, &payload);
    if (err == SKALD_ENOMEM) return err;
    if (err) return refuse(reterr_error, "it is not base64url");
    if (!(key->pkey ? pkey_holds : hmac_holds)(key, parts.signed_part, signature)) {
        return refuse(reterr_error, "its signature does not hold");
    }
    *ret_payload = payload;
    return SKALD_OK;
}

static bool pkey_sign(const ski_jwk *key, skald_str text, uint8_t *signature, size_t *ret_len)
{
    const EVP_MD *digest = key->alg == SKI_JOSE_EDDSA ? NULL : EVP_sha256();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t len = signature_max;
    bool made = context && EVP_DigestSignInit(context, NULL, digest, NULL, key->pkey) == 1 &&
                EVP_DigestSign(context, signature, &len, (const uint8_t *)text.ptr, text.len) == 1;

    EVP_MD_CTX_free(context);
    if (made && key->alg == SKI_JOSE_ES256) { // from DER to two numbers
        const uint8_t *at = signature;
        ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);

        made = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, es256_half) > 0 &&
               BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + es256_half, es256_half) > 0;
        ECDSA_SIG_free(sig);
        len = es256_bytes;
    }
    *ret_len = len;
    return made;
}

static skald_err signed_part_put(const ski_jwk *key, skald_str payload, skald_buf *buf)
{
    skald_buf header = {.bytes_max = 2048};
    skald_err err =
        ski_buf_print(&header, "{\"alg\":\"%s\",\"typ\":\"JWT\"", ski_jose_alg_name(key->alg));

    if (!err && key->has_kid) {
        err = skald_buf_put(&header, SKALD_STR(",\"kid\":"));
        if (!err) err = ski_json_put_string(&header, skald_str_of(key->kid));
    }
    if (!err) err = ski_buf_byte(&header, '}');
    if (!err) err = ski_base64_put(buf, header.ptr, header.len);
    if (!err) err = ski_buf_byte(buf, '.');
    if (!err) err = ski_base64_put(buf, payload.ptr, payload.len);
    skald_buf_fini(&header);
    return err;
}

skald_err ski_jws_sign(const ski_jwks *jwks, skald_str payload, skald_buf *buf)
{
    uint8_t signature[signature_max];
    const ski_jwk *key = NULL;
    size_t begin = buf->len, len = hmac_bytes;
    skald_str text;
    bool made = false;
    skald_err err = SKALD_OK;

    for (size_t i = 0; i < jwks->count && !key; i++) {
        if (jwks->keys[i].can_sign) key = &jwks->keys[i];
    }
    if (!key) return SKALD_EINVALID;
    err = signed_part_put(key, payload, buf);
    if (!err) {
        text = ski_str(buf->ptr + begin, buf->len - begin);
        made = key->pkey ? pkey_sign(key, text, signature, &len) : hmac_make(key, text, signature);
        err = made ? ski_buf_byte(buf, '.') : SKALD_ENOMEM;
    }
    if (!err) err = ski_base64_put(buf, signature, len);
    if (err) buf->len = begin;
    return err;
}

void ski_jwks_free(ski_jwks *jwks)
{
    if (!jwks) return;
    for (size_t i = 0; i < jwks->count; i++) ski_jwk_wipe(&jwks->keys[i]);
    ski_free(jwks);
}

size_t ski_jwks_count(const ski_jwks *jwks)
{
    return jwks->count;
}

// jwks_add takes a key that was read into the place behind the last one.
static skald_err jwks_add(ski_jwks *jwks, skald_error *reterr_error)
{
    const ski_jwk *added = &jwks->keys[jwks->count];

    jwks->count++;
    for (size_t i = 0; i + 1 < jwks->count; i++) {
        const ski_jwk *key = &jwks->keys[i];

        if ((key->alg == SKI_JOSE_HS256) != (added->alg == SKI_JOSE_HS256)) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "keys",
                                 "secret and public keys must not be in one set: a public key "
                                 "could pass for a secret");
        }
        if (key->has_kid && added->has_kid && strcmp(key->kid, added->kid) == 0) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "keys", "two keys have the kid '%s'",
                                 key->kid);
        }
    }
    return SKALD_OK;
}

static skald_err jwks_key(ski_jwks *jwks, skald_str json, unsigned algs, skald_error *reterr_error)
{
    ski_jwk key;
    skald_err err = ski_jwk_read(json, algs, &key, reterr_error);

    if (err == SKALD_ENOTFOUND) return SKALD_OK;
    if (err) return err;
    if (jwks->count == SKI_JOSE_KEYS_MAX) {
        ski_jwk_wipe(&key);
        return skald_fail_at(reterr_error, SKALD_ETOOBIG, "keys", "at most %d keys are possible",
                             SKI_JOSE_KEYS_MAX);
    }
    jwks->keys[jwks->count] = key;
    OPENSSL_cleanse(&key, sizeof key);
    return jwks_add(jwks, reterr_error);
}

static skald_err jwks_fill(ski_jwks *jwks, skald_str json, unsigned algs, skald_error *reterr_error)
{
    static const char *const names[] = {"keys", NULL};
    skald_str keys;
    ski_json_walk walk;
    ski_json_item item;

    SKALD_TRY(ski_json_door_check(json, false, reterr_error));
    if (ski_jose_members(json, names, &keys)) {
        return skald_fail(reterr_error, SKALD_EINVALID, "a key or a set of keys is a JSON object");
    }
    if (!keys.ptr) return jwks_key(jwks, json, algs, reterr_error);
    if (ski_json_kind_of(keys) != SKI_JSON_ARRAY) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "keys", "must be an array of keys");
    }
    walk = (ski_json_walk){.rest = keys};
    while (ski_json_next(&walk, &item)) SKALD_TRY(jwks_key(jwks, item.value, algs, reterr_error));
    return SKALD_OK;
}

skald_err ski_jwks_read(skald_str json, unsigned algs, ski_jwks **ret_jwks,
                        skald_error *reterr_error)
{
    ski_jwks *jwks = NULL;
    skald_err err = SKALD_OK;

    if (json.len > SKI_JOSE_JWKS_BYTES_MAX) {
        return skald_fail(reterr_error, SKALD_ETOOBIG, "a set of keys has at most %d bytes",
                          SKI_JOSE_JWKS_BYTES_MAX);
    }
    jwks = ski_alloc_zeroed(1, sizeof *jwks);
    if (!jwks) return SKALD_ENOMEM;
    err = jwks_fill(jwks, json, algs, reterr_error);
    if (!err && !jwks->count) {
        err = skald_fail_at(reterr_error, SKALD_EINVALID, "keys",
                            "none of the keys is for signatures by an algorithm used here");
    }
    if (err) {
        ski_jwks_free(jwks);
    } else {
        *ret_jwks = jwks;
    }
    return err;
}

skald_err ski_jwks_secret(skald_str secret, ski_jwks **ret_jwks, skald_error *reterr_error)
{
    ski_jwks *jwks = NULL;

    if (secret.len < SKI_JOSE_SECRET_BYTES_MIN || secret.len > SKI_JWK_SECRET_BYTES_MAX) {
        return skald_fail(reterr_error, SKALD_EINVALID, "a secret has %d to %d bytes",
                          SKI_JOSE_SECRET_BYTES_MIN, SKI_JWK_SECRET_BYTES_MAX);
    }
    jwks = ski_alloc_zeroed(1, sizeof *jwks);
    if (!jwks) return SKALD_ENOMEM;
    jwks->count = 1;
    jwks->keys[0] = (ski_jwk){.alg = SKI_JOSE_HS256, .can_sign = true, .secret_len = secret.len};
    memcpy(jwks->keys[0].secret, secret.ptr, secret.len);
    *ret_jwks = jwks;
    return SKALD_OK;
}
