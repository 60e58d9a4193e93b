// SPDX-License-Identifier: Apache-2.0
// Tokens (JWT): who their holder is, and the set of keys they are verified with.
//
// Invariants:
//   1. Algorithms are pinned here and by each key; what a token says never chooses. Secret keys
//   (HS256) come from a file only.
//   2. Claims that are not of the form they should have make the token worthless: nobody is let in
//   as less, or as somebody else, than their token says.
//   3. A token is of all tenants only when it says so ("*") and has scope admin; without the claim
//   it is of the default tenant.
#include "api/api_auth_token.h"
#include "api/api_auth_cache.h"
#include "api/api_auth_parts.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

#include <string.h>

struct ski_tokens {
    ski_jwt_rules rules;
    skald_str tenant_claim, scope_claim, role_claim;
    ski_jwks_source *source;
    ski_jwks *jwks;         // NULL: none yet. The loop's
    ski_token_cache *known; // those verified with jwks. The loop's
};

static skald_str text_or(const char *text, const char *otherwise)
{
    return skald_str_of(text && text[0] ? text : otherwise);
}

static skald_err algorithms_of(const ski_token_options *options, unsigned *ret_algs,
                               skald_error *reterr_error)
{
    static const struct {
        const char *name;
        unsigned alg;
    } names[] = {{"HS256", SKI_JOSE_HS256},
                 {"RS256", SKI_JOSE_RS256},
                 {"ES256", SKI_JOSE_ES256},
                 {"EdDSA", SKI_JOSE_EDDSA}};
    skald_str rest = text_or(options->algorithms, "RS256 ES256 EdDSA");
    unsigned algs = 0;

    while (rest.len) {
        skald_str name = ski_str_cut(rest, ' ', &rest);
        size_t i = 0;

        if (!name.len) continue;
        while (i < 4 && !skald_str_equal(name, skald_str_of(names[i].name))) i++;
        if (i == 4)
            return skald_fail_at(reterr_error, SKALD_EINVALID, "auth.jwt.algorithms",
                                 "'%.*s' is none of HS256, RS256, ES256 and EdDSA",
                                 (int)(name.len > 40 ? 40 : name.len), name.ptr);
        algs |= names[i].alg;
    }
    if (options->keys_url && (algs & SKI_JOSE_HS256))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "auth.jwt.algorithms",
                             "HS256 is a shared secret and must come from auth.jwt.keys_file");
    *ret_algs = algs;
    return SKALD_OK;
}

static skald_err check_options(const ski_token_options *options, skald_error *reterr_error)
{
    bool whom = options->issuer && options->issuer[0] && options->audience && options->audience[0];

    if (options->keys_file && options->keys_url)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "auth.jwt.keys_url",
                             "give auth.jwt.keys_file or auth.jwt.keys_url, not both");
    if (options->keys_url && !whom)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "auth.jwt.audience",
                             "with auth.jwt.keys_url both auth.jwt.issuer and auth.jwt.audience "
                             "must be given: else a token the provider made for another service "
                             "would be let in here");
    return SKALD_OK;
}

skald_err ski_tokens_check(const ski_token_options *options, skald_error *reterr_error)
{
    unsigned algs;

    SKALD_TRY(check_options(options, reterr_error));
    return algorithms_of(options, &algs, reterr_error);
}

skald_err ski_tokens_new(const ski_token_options *options, const skald_log *log,
                         const ski_kernel *kernel, ski_tokens **ret_tokens,
                         skald_error *reterr_error)
{
    ski_tokens *tokens;
    unsigned algs = 0;
    skald_err err;

    SKALD_TRY(check_options(options, reterr_error));
    SKALD_TRY(algorithms_of(options, &algs, reterr_error));
    tokens = ski_alloc_zeroed(1, sizeof *tokens);
    if (!tokens) return SKALD_ENOMEM;
    if (options->issuer && options->issuer[0]) tokens->rules.issuer = skald_str_of(options->issuer);
    if (options->audience && options->audience[0])
        tokens->rules.audience = skald_str_of(options->audience);
    tokens->rules.skew_s = options->skew_s;
    tokens->tenant_claim = text_or(options->tenant_claim, "tenant");
    tokens->scope_claim = text_or(options->scope_claim, "scope");
    tokens->role_claim = text_or(options->role_claim, "role");
    err = ski_token_cache_new(&tokens->known);
    if (!err) err = ski_jwks_source_new(options, algs, log, kernel, &tokens->source, reterr_error);
    if (err)
        ski_tokens_free(tokens);
    else
        *ret_tokens = tokens;
    return err;
}

void ski_tokens_free(ski_tokens *tokens)
{
    if (!tokens) return;
    ski_jwks_source_free(tokens->source);
    ski_jwks_free(tokens->jwks);
    ski_token_cache_free(tokens->known);
    ski_free(tokens);
}

bool ski_tokens_circuit(ski_tokens *tokens, skald_breaker_state *ret_state)
{
    return ski_jwks_source_circuit(tokens->source, ret_state);
}

static skald_err refuse(skald_error *reterr_error, const char *why)
{
    return skald_fail(reterr_error, SKALD_EAUTH, "the token is not accepted: %s", why);
}

static skald_str claim_of(const ski_jwt *jwt, skald_str name)
{
    ski_json_walk walk = {.rest = jwt->claims};
    ski_json_item item;

    while (ski_json_next(&walk, &item))
        if (skald_str_equal(item.key, name)) return item.value;
    return (skald_str){0};
}

static bool text_plain(skald_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte < ' ' || byte == 0x7f) return false;
    }
    return true;
}

// claim_text gives a claim that must be a text of at most len_max bytes; not given without it.
static skald_err claim_text(const ski_jwt *jwt, skald_str name, size_t len_max, skald_arena *arena,
                            skald_str *ret_text, skald_error *reterr_error)
{
    skald_str value = claim_of(jwt, name);

    *ret_text = (skald_str){0};
    if (!value.ptr) return SKALD_OK;
    if (ski_json_kind_of(value) != SKI_JSON_STRING)
        return refuse(reterr_error, "its tenant or role is no text");
    SKALD_TRY(ski_json_unescape(value, arena, ret_text));
    if (ret_text->len > len_max || !text_plain(*ret_text))
        return refuse(reterr_error, "its tenant or role is too long, or has control characters");
    return SKALD_OK;
}

// scopes_add takes the names that are ours; a provider's others mean nothing here.
static void scopes_add(skald_str names, unsigned *scopes)
{
    while (names.len) {
        skald_str name = ski_str_cut(names, ' ', &names);
        unsigned one = 0;

        if (!skald_scopes_read(name, &one, NULL)) *scopes |= one;
    }
}

static skald_err scopes_of(const ski_tokens *tokens, const ski_jwt *jwt, skald_arena *arena,
                           unsigned *ret_scopes, skald_error *reterr_error)
{
    skald_str value = claim_of(jwt, tokens->scope_claim), text = {0};
    ski_json_walk walk = {.rest = value};
    ski_json_item item;

    *ret_scopes = 0;
    if (!value.ptr) return SKALD_OK;
    if (ski_json_kind_of(value) == SKI_JSON_STRING) {
        SKALD_TRY(ski_json_unescape(value, arena, &text));
        scopes_add(text, ret_scopes);
        return SKALD_OK;
    }
    if (ski_json_kind_of(value) != SKI_JSON_ARRAY)
        return refuse(reterr_error, "its scopes are neither a text nor an array of texts");
    while (ski_json_next(&walk, &item)) {
        if (item.kind != SKI_JSON_STRING)
            return refuse(reterr_error, "its scopes are neither a text nor an array of texts");
        SKALD_TRY(ski_json_unescape(item.value, arena, &text));
        scopes_add(text, ret_scopes);
    }
    return SKALD_OK;
}

static skald_err tenant_of(const ski_tokens *tokens, const ski_jwt *jwt, skald_arena *arena,
                           ski_identity *identity, skald_error *reterr_error)
{
    skald_str tenant;

    SKALD_TRY(claim_text(jwt, tokens->tenant_claim, SKALD_TENANT_BYTES_MAX, arena, &tenant,
                         reterr_error));
    identity->tenant = tenant.len ? tenant : SKALD_STR("");
    if (!skald_str_equal(tenant, SKALD_STR("*"))) {
        return ski_key_tenant_right(tenant)
                   ? SKALD_OK
                   : refuse(reterr_error, "its tenant has a '/', or begins with '$'");
    }
    if (!(identity->scopes & SKALD_SCOPE_ADMIN))
        return refuse(reterr_error, "it is of every tenant without scope admin");
    identity->tenant = (skald_str){0};
    identity->everywhere = true;
    return SKALD_OK;
}

static skald_err identity_of(const ski_tokens *tokens, const ski_jwt *jwt, skald_arena *arena,
                             ski_identity *ret_identity, skald_error *reterr_error)
{
    const int64_t us_per_s = 1000000, never_s = INT64_MAX / us_per_s - UINT32_MAX;
    ski_identity identity = {.user = jwt->subject};

    SKALD_TRY(scopes_of(tokens, jwt, arena, &identity.scopes, reterr_error));
    SKALD_TRY(tenant_of(tokens, jwt, arena, &identity, reterr_error));
    SKALD_TRY(claim_text(jwt, tokens->role_claim, SKALD_ACTOR_BYTES_MAX, arena, &identity.role,
                         reterr_error));
    if (jwt->subject.len > SKALD_ACTOR_BYTES_MAX || !text_plain(jwt->subject))
        return refuse(reterr_error, "sub is too long, or has control characters");
    identity.id = skald_arena_print(arena, "jwt:%.*s:%.*s", SKALD_FMT(identity.tenant),
                                    SKALD_FMT(jwt->subject));
    if (!identity.id.ptr) return SKALD_ENOMEM;
    if (jwt->expires_s < never_s)
        identity.expires_at = (jwt->expires_s + tokens->rules.skew_s) * us_per_s;
    *ret_identity = identity;
    return SKALD_OK;
}

skald_err ski_tokens_verify(ski_tokens *tokens, skald_str token, skald_time now, skald_arena *arena,
                            ski_identity *ret_identity, skald_error *reterr_error)
{
    skald_error error = {0};
    ski_jwt jwt;
    skald_err err;

    if (ski_jwks_source_take(tokens->source, &tokens->jwks)) ski_token_cache_clear(tokens->known);
    if (ski_token_cache_find(tokens->known, token, now, arena, ret_identity)) return SKALD_OK;
    if (!tokens->jwks) {
        ski_jwks_source_ask(tokens->source);
        return skald_fail(reterr_error, SKALD_EUNAVAILABLE,
                          "the keys that tokens are verified with are not here yet; try again "
                          "later");
    }
    err = ski_jwt_verify(tokens->jwks, &tokens->rules, now, token, arena, &jwt, &error);
    // The provider may have begun with another key.
    if (err == SKALD_EAUTH && strcmp(error.field, "kid") == 0) ski_jwks_source_ask(tokens->source);
    if (err) {
        error.field[0] = 0;
        if (reterr_error) *reterr_error = error;
        return err;
    }
    SKALD_TRY(identity_of(tokens, &jwt, arena, ret_identity, reterr_error));
    ski_token_cache_put(tokens->known, token, now, ret_identity);
    return SKALD_OK;
}
