// SPDX-License-Identifier: Apache-2.0
// Tokens: a signed JSON object of claims (RFC 7519), held against rules and a time.
#include "net/jwk.h"

#include "base/str.h"

#include <string.h>

static const char *const checked_names[] = {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", NULL};
enum { ISS, SUB, AUD, EXP, NBF, IAT, JTI, CHECKED };

static skald_err refuse(skald_error *reterr_error, const char *why)
{
    return skald_fail(reterr_error, SKALD_EAUTH, "the token is not valid: %s", why);
}

// date_read takes seconds since 1970; a fraction is cut off (a NumericDate may have one).
static skald_err date_read(skald_str value, int64_t *ret_seconds)
{
    const char *dot = NULL;

    if (!value.len || ski_json_kind_of(value) != SKI_JSON_NUMBER) return SKALD_EINVALID;
    dot = memchr(value.ptr, '.', value.len);
    if (dot && (memchr(value.ptr, 'e', value.len) || memchr(value.ptr, 'E', value.len))) {
        return SKALD_EINVALID;
    }
    if (dot) value.len = (size_t)(dot - value.ptr);
    return ski_json_i64(value, ret_seconds);
}

static skald_err times_check(const skald_str claims[CHECKED], int64_t now_s, int64_t skew_s,
                             int64_t *ret_expires_s, skald_error *reterr_error)
{
    int64_t expires_s = 0, from_s = 0, issued_s = 0;

    if (date_read(claims[EXP], &expires_s)) {
        return refuse(reterr_error, "exp, in seconds since 1970, is missing");
    }
    if (claims[NBF].ptr && date_read(claims[NBF], &from_s)) {
        return refuse(reterr_error, "nbf is no time in seconds since 1970");
    }
    if (claims[IAT].ptr && date_read(claims[IAT], &issued_s)) {
        return refuse(reterr_error, "iat is no time in seconds since 1970");
    }
    // now and skew are far from the ends of 64 bits; the claims need not be.
    if (expires_s <= now_s - skew_s) return refuse(reterr_error, "it has expired");
    if (from_s > now_s + skew_s) return refuse(reterr_error, "it is not valid yet");
    if (issued_s > now_s + skew_s) return refuse(reterr_error, "it was issued in the future");
    *ret_expires_s = expires_s;
    return SKALD_OK;
}

// text_equals: value is the JSON string of text.
static bool text_equals(skald_str value, skald_str text, skald_arena *arena)
{
    skald_str plain;

    if (!value.len || value.ptr[0] != '"') return false;
    return !ski_json_unescape(value, arena, &plain) && skald_str_equal(plain, text);
}

static bool audience_has(skald_str value, skald_str audience, skald_arena *arena)
{
    ski_json_walk walk = {.rest = value};
    ski_json_item item;

    if (!value.ptr) return false;
    if (ski_json_kind_of(value) != SKI_JSON_ARRAY) return text_equals(value, audience, arena);
    while (ski_json_next(&walk, &item)) {
        if (text_equals(item.value, audience, arena)) return true;
    }
    return false;
}

// text_take gives the text of a claim that is one; not given without it. Fails: INVALID, NOMEM.
static skald_err text_take(skald_str value, skald_arena *arena, skald_str *ret_text)
{
    *ret_text = (skald_str){0};
    if (!value.ptr) return SKALD_OK;
    if (value.ptr[0] != '"') return SKALD_EINVALID;
    return ski_json_unescape(value, arena, ret_text);
}

// names_differ: no name of the object stands in it twice, and none has an escape.
static bool names_differ(skald_str json)
{
    ski_json_walk walk = {.rest = json};
    ski_json_item item;

    while (ski_json_next(&walk, &item)) {
        ski_json_walk rest = walk;
        ski_json_item other;

        if (item.key_escaped) return false;
        while (ski_json_next(&rest, &other)) {
            if (skald_str_equal(item.key, other.key)) return false;
        }
    }
    return true;
}

enum { claims_max = 256 }; // comparing every name with every other must have an end

static bool claims_few(skald_str json)
{
    ski_json_walk walk = {.rest = json};
    ski_json_item item;
    size_t count = 0;

    while (ski_json_next(&walk, &item)) count++;
    return count <= claims_max;
}

static skald_err claims_read(skald_str json, skald_str values[CHECKED], skald_error *reterr_error)
{
    skald_err err = ski_json_door_check(json, true, NULL);

    if (err == SKALD_ENOMEM) return err;
    if (err || ski_json_kind_of(json) != SKI_JSON_OBJECT) {
        return refuse(reterr_error, "its claims are not a JSON object");
    }
    if (!claims_few(json)) return refuse(reterr_error, "it has too many claims");
    if (!names_differ(json) || ski_jose_members(json, checked_names, values)) {
        return refuse(reterr_error, "a claim stands in it twice, or its name has an escape");
    }
    return SKALD_OK;
}

skald_err ski_jwt_verify(const ski_jwks *jwks, const ski_jwt_rules *rules, skald_time now,
                         skald_str token, skald_arena *arena, ski_jwt *ret_jwt,
                         skald_error *reterr_error)
{
    skald_str claims[CHECKED];
    ski_jwt jwt = {0};
    skald_err err = ski_jws_verify(jwks, token, arena, &jwt.claims, reterr_error);

    if (!err) err = claims_read(jwt.claims, claims, reterr_error);
    if (!err) {
        err = times_check(claims, now / 1000000, rules->skew_s, &jwt.expires_s, reterr_error);
    }
    if (err) return err;
    if (rules->issuer.ptr && !text_equals(claims[ISS], rules->issuer, arena)) {
        return refuse(reterr_error, "it was not issued by whom this server trusts (iss)");
    }
    if (rules->audience.ptr && !audience_has(claims[AUD], rules->audience, arena)) {
        return refuse(reterr_error, "it is not meant for this server (aud)");
    }
    err = text_take(claims[ISS], arena, &jwt.issuer);
    if (!err) err = text_take(claims[SUB], arena, &jwt.subject);
    if (!err) err = text_take(claims[JTI], arena, &jwt.id);
    if (err == SKALD_EINVALID) return refuse(reterr_error, "iss, sub and jti must be texts");
    if (err) return err;
    *ret_jwt = jwt;
    return SKALD_OK;
}

skald_str ski_jwt_claim(const ski_jwt *jwt, const char *name)
{
    ski_json_walk walk = {.rest = jwt->claims};
    ski_json_item item;

    while (ski_json_next(&walk, &item)) {
        if (skald_str_equal(item.key, skald_str_of(name))) return item.value;
    }
    return (skald_str){0};
}
