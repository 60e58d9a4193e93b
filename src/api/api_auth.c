// SPDX-License-Identifier: Apache-2.0
// The door: who may come in at all, and what a route asks of them.
//
// Invariants:
//   1. Without any key the server is open, and then only on this machine: it answers only requests
//   whose Host names the loopback, and no page of another origin, so that a web page cannot read a
//   developer's events by DNS rebinding. From the first key on it is shut, and stays shut.
//   2. A request without an identity has that of nobody, who may do nothing. A route that does not
//   say what it asks for asks for the most.
//   3. What is wrong with a credential is said in general words; nothing of it is repeated.
#include "api/api_auth_parts.h"
#include "api/api_parts.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"

#include <string.h>

static const ski_identity nobody = {.tenant = {"", 0}};
static const ski_identity operator_of_open = {
    .scopes = SKALD_SCOPE_PUBLISH | SKALD_SCOPE_READ | SKALD_SCOPE_ADMIN | SKALD_SCOPE_METRICS,
    .everywhere = true,
};

// What each route scope is called, and which scopes of a key will do.
static const struct {
    unsigned scopes;
    const char *name;
} needs[] = {
    [SKI_NEEDS_OPERATOR] = {SKALD_SCOPE_ADMIN, "admin"},
    [SKI_NEEDS_ADMIN] = {SKALD_SCOPE_ADMIN, "admin"},
    [SKI_NEEDS_READ] = {SKALD_SCOPE_READ | SKALD_SCOPE_ADMIN, "events:read"},
    [SKI_NEEDS_PUBLISH] = {SKALD_SCOPE_PUBLISH | SKALD_SCOPE_ADMIN, "events:publish"},
    [SKI_NEEDS_METRICS] = {SKALD_SCOPE_METRICS | SKALD_SCOPE_ADMIN, "metrics"},
};

// auth_header adds a header to whatever the request is answered with. value: text that lives as
// long as the request. Without memory it is left out.
static void auth_header(ski_http_request *request, const char *name, skald_str value)
{
    if (value.ptr) ski_call_header(request, skald_str_of(name), value);
}

// take_correlation keeps the caller's id of what it is doing: it is given back with every reply,
// and to events that state none.
static skald_err take_correlation(ski_http_request *request, skald_error *reterr_error)
{
    skald_str correlation = ski_http_header_get(request, "x-correlation-id");

    if (correlation.len > SKALD_CORRELATION_BYTES_MAX || !ski_str_utf8(correlation)) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "X-Correlation-ID",
                             "must be UTF-8 text of at most %d bytes", SKALD_CORRELATION_BYTES_MAX);
    }
    request->correlation_id = correlation;
    return SKALD_OK;
}

// holds_key: one of our keys stands in it.
static bool holds_key(skald_str text)
{
    uint8_t hash[SKI_KEY_HASH_BYTES];
    skald_str id;

    for (size_t at = 0; at + SKI_KEY_TEXT_BYTES <= text.len; at++)
        if (ski_key_parse(ski_str(text.ptr + at, SKI_KEY_TEXT_BYTES), &id, hash)) return true;
    return false;
}

static bool has_text(skald_str text, const char *part)
{
    return text.len && memmem(text.ptr, text.len, part, strlen(part));
}

// url_clean refuses a credential in the URL, where proxies and histories would keep it.
static skald_err url_clean(ski_http_request *request, skald_error *reterr_error)
{
    bool in_path = holds_key(request->path);

    if (!in_path && !holds_key(request->query) && !has_text(request->query, "access_token=") &&
        !has_text(request->query, "api_key="))
        return SKALD_OK;
    if (in_path) request->path = SKALD_STR("/"); // not into the answer, nor into a log
    return skald_fail_at(reterr_error, SKALD_EINVALID, "Authorization",
                         "a key is never part of a URL, where others can read it: send it as "
                         "Authorization: Bearer, and make a new one, for this one was shown");
}

// put_rate adds one policy to RateLimit-Policy and RateLimit
// (draft-ietf-httpapi-ratelimit-headers).
static void put_rate(ski_http_request *request, ski_rate_kind kind, const ski_rate_state *state)
{
    static const char *const names[] = {"RateLimit-Policy", "RateLimit"};
    const skald_str texts[] = {
        skald_arena_print(request->scratch, "\"%s\";q=%u;w=%u", ski_rate_name(kind), state->quota,
                          state->window_s),
        skald_arena_print(request->scratch, "\"%s\";r=%u;t=%u", ski_rate_name(kind), state->left,
                          state->reset_s),
    };

    for (size_t i = 0; i < 2; i++) {
        skald_str text = texts[i];

        for (size_t at = 0; at < request->reply_header_count; at++) {
            const ski_http_header *header = &request->reply_headers[at];

            if (skald_str_equal(header->name, skald_str_of(names[i])))
                text = skald_arena_print(request->scratch, "%.*s, %.*s", SKALD_FMT(header->value),
                                         SKALD_FMT(texts[i]));
        }
        auth_header(request, names[i], text);
    }
}

// limit takes a token of who; beyond the limit the request is refused.
static skald_err limit(ski_auth *auth, ski_http_request *request, ski_rate_kind kind, skald_str who,
                       skald_error *reterr_error)
{
    const ski_identity *identity = ski_identity_of(request);
    ski_rate_state state;
    uint32_t wait_s;

    if (!ski_rates_limited(auth->rates, kind)) return SKALD_OK;
    state =
        ski_rate_take(auth->rates, kind, who, auth->kernel->monotonic_ns(auth->kernel->context));
    if (kind != SKI_LIMIT_FAILED || state.wait_ms) put_rate(request, kind, &state);
    if (!state.wait_ms) return SKALD_OK;
    wait_s = state.wait_ms > 1000 ? (state.wait_ms + 998) / 1000 : 1;
    auth_header(request, "Retry-After", skald_arena_print(request->scratch, "%u", wait_s));
    if (state.tell)
        ski_notice_limited(auth->notices, identity->id.len ? identity->tenant : (skald_str){0}, who,
                           ski_rate_name(kind));
    skald_err err =
        skald_fail(reterr_error, SKALD_EFULL, "too many requests (limit '%s'); try again in %u s",
                   ski_rate_name(kind), wait_s);
    if (reterr_error) memcpy(reterr_error->code, "RATE_LIMITED", 13);
    return err;
}

// limit_identity: of one who is known, or in open mode of an address.
static skald_err limit_identity(ski_auth *auth, ski_http_request *request, skald_str address,
                                skald_error *reterr_error)
{
    const ski_identity *identity = ski_identity_of(request);
    skald_str who = identity->id.len ? identity->id : address;
    unsigned rate = request->route ? request->route->rate : SKI_RATE_NONE;

    if (identity->id.len) SKALD_TRY(limit(auth, request, SKI_LIMIT_KEY, who, reterr_error));
    if (rate == SKI_RATE_PUBLISH) return limit(auth, request, SKI_LIMIT_PUBLISH, who, reterr_error);
    if (rate == SKI_RATE_READ) return limit(auth, request, SKI_LIMIT_READ, who, reterr_error);
    return SKALD_OK;
}

// credential gives what stands behind "Bearer". Not given: the request brings none.
static skald_err credential(const ski_http_request *request, skald_str *ret_text,
                            skald_error *reterr_error)
{
    skald_str header = {0}, scheme;
    size_t count = 0;

    for (size_t i = 0; i < request->header_count; i++) {
        skald_str name = request->headers[i].name, asked = SKALD_STR("authorization");

        if (name.len != asked.len || !ski_str_equal_nocase(name, asked)) continue;
        header = request->headers[i].value;
        count++;
    }
    *ret_text = (skald_str){0};
    if (!count) return SKALD_OK;
    if (count > 1)
        return skald_fail(reterr_error, SKALD_EAUTH, "Authorization is given more than once");
    scheme = ski_str_cut(header, ' ', ret_text);
    *ret_text = ski_str_trim(*ret_text);
    if (!ski_str_equal_nocase(scheme, SKALD_STR("Bearer")) || !ret_text->len)
        return skald_fail(reterr_error, SKALD_EAUTH,
                          "Authorization must be: Bearer, a space, and an API key or a token");
    return SKALD_OK;
}

static skald_err key_identity(ski_auth *auth, skald_str text, skald_time now, skald_arena *arena,
                              ski_identity *identity, skald_error *reterr_error)
{
    skald_key key;

    SKALD_TRY(ski_keys_find(auth->keys, text, now, arena, &key, &identity->id, reterr_error));
    identity->key_id = key.id;
    identity->user = identity->id;
    identity->scopes = key.scopes;
    identity->everywhere = (key.scopes & SKALD_SCOPE_ADMIN) && !key.tenant.len;
    identity->tenant = key.tenant.len         ? key.tenant
                       : identity->everywhere ? (skald_str){0}
                                              : SKALD_STR("");
    identity->expires_at = key.expires_at;
    identity->types = key.types;
    return ski_keys_split(key.streams, arena, &identity->streams, &identity->categories);
}

// identify finds out who asks. Fails: AUTH, UNAVAILABLE, NOMEM.
static skald_err identify(ski_auth *auth, ski_http_request *request, skald_str *ret_text,
                          skald_error *reterr_error)
{
    ski_identity *identity = skald_arena_get(request->scratch, sizeof *identity);
    skald_time now = ski_call_of(request)->at;

    if (!identity) return SKALD_ENOMEM;
    SKALD_TRY(credential(request, ret_text, reterr_error));
    if (!ret_text->ptr)
        return skald_fail(reterr_error, SKALD_EAUTH,
                          "this server asks for a key: send Authorization: Bearer with an API key "
                          "(skald keys create makes one)%s",
                          auth->tokens ? " or a token" : "");
    if (ski_key_begins(*ret_text) || !auth->tokens) {
        SKALD_TRY(key_identity(auth, *ret_text, now, request->scratch, identity, reterr_error));
    } else {
        SKALD_TRY(ski_tokens_verify(auth->tokens, *ret_text, now, request->scratch, identity,
                                    reterr_error));
    }
    request->identity = identity;
    return SKALD_OK;
}

// limit_failed counts a credential that was not accepted, and tells of it.
static skald_err limit_failed(ski_auth *auth, ski_http_request *request, skald_str address,
                              const skald_error *why, skald_error *reterr_error)
{
    atomic_fetch_add_explicit(&auth->failed, 1, memory_order_relaxed);
    ski_notice_failed(auth->notices, request->http, address, why->text);
    return limit(auth, request, SKI_LIMIT_FAILED, address, reterr_error);
}

// not_known answers a request whose sender could not be told. How often one address may be wrong is
// limited.
static skald_err not_known(ski_auth *auth, ski_http_request *request, skald_str address, bool tried,
                           skald_error *error)
{
    skald_error limited = {0};

    if (tried && limit_failed(auth, request, address, error, &limited)) {
        *error = limited;
        return limited.err;
    }
    auth_header(request, "WWW-Authenticate",
                tried ? SKALD_STR("Bearer realm=\"skald\", error=\"invalid_token\"")
                      : SKALD_STR("Bearer realm=\"skald\""));
    return SKALD_EAUTH;
}

// authorise holds what the route asks for against what the asker has.
static skald_err authorise(ski_http_request *request, skald_error *reterr_error)
{
    const ski_identity *identity = ski_identity_of(request);
    unsigned scope = request->route ? request->route->scope : SKI_NEEDS_NOTHING;
    bool everywhere = scope == SKI_NEEDS_OPERATOR ||
                      (scope == SKI_NEEDS_METRICS && !(identity->scopes & SKALD_SCOPE_METRICS));

    if (scope >= SKI_NEEDS_KEY) return SKALD_OK;
    if (!(identity->scopes & needs[scope].scopes)) {
        auth_header(request, "WWW-Authenticate",
                    skald_arena_print(request->scratch,
                                      "Bearer realm=\"skald\", error=\"insufficient_scope\", "
                                      "scope=\"%s\"",
                                      needs[scope].name));
        return skald_fail(reterr_error, SKALD_EDENIED, "this needs scope %s, and you have %s",
                          needs[scope].name,
                          identity->scopes ? skald_scopes_print(identity->scopes) : "none");
    }
    if (everywhere && !identity->everywhere) {
        return skald_fail(reterr_error, SKALD_EDENIED,
                          "this concerns all tenants: it needs scope admin of a key that belongs "
                          "to no tenant");
    }
    return SKALD_OK;
}

// perhaps_known: on a route that needs nothing a key that is good shows more, and one that is not
// is as none; but trying them is limited as everywhere.
static skald_err perhaps_known(ski_auth *auth, ski_http_request *request, skald_str address,
                               skald_error *reterr_error)
{
    skald_str text = {0};
    skald_error error = {0};

    if (!ski_http_header_get(request, "authorization").ptr) return SKALD_OK;
    if (identify(auth, request, &text, &error) != SKALD_EAUTH) return SKALD_OK;
    return limit_failed(auth, request, address, &error, reterr_error);
}

skald_err ski_auth_guard(ski_http_request *request, skald_error *reterr_error)
{
    ski_auth *auth = ski_api_of(request)->auth;
    skald_error *error = reterr_error;
    skald_str text = {0}, address;
    char room[56];
    skald_err err;

    request->identity = &nobody;
    ski_origin_headers(auth->options.cors_origins, request);
    SKALD_TRY(take_correlation(request, error));
    address = ski_rate_address(request->peer, room);
    SKALD_TRY(limit(auth, request, SKI_LIMIT_IP, address, error));
    SKALD_TRY(url_clean(request, error));
    if (!atomic_load(&auth->shut)) {
        SKALD_TRY(ski_origin_check(auth->options.cors_origins, request, error));
        request->identity = &operator_of_open;
        return limit_identity(auth, request, address, error);
    }
    // A browser asks first, without a key, whether a page may ask.
    if (skald_str_equal(request->method, SKALD_STR("OPTIONS"))) return SKALD_OK;
    if (request->route && request->route->scope == SKI_NEEDS_NOTHING)
        return perhaps_known(auth, request, address, error);
    err = identify(auth, request, &text, error);
    if (err == SKALD_EAUTH)
        return not_known(auth, request, address,
                         ski_http_header_get(request, "authorization").ptr != NULL, error);
    if (err) return err;
    SKALD_TRY(limit_identity(auth, request, address, error));
    return authorise(request, error);
}

skald_err ski_api_check(const ski_api_options *options, skald_error *reterr_error)
{
    SKALD_TRY(ski_tokens_check(&options->tokens, reterr_error));
    return ski_origins_valid(options->cors_origins, reterr_error);
}

skald_err ski_auth_new(const ski_api_options *options, ski_auth **ret_auth)
{
    ski_auth *auth = ski_alloc_zeroed(1, sizeof *auth);
    uint64_t seed;
    skald_err err;

    if (!auth) return SKALD_ENOMEM;
    auth->options = *options;
    auth->store = ski_bus_store(options->bus);
    auth->kernel = ski_store_kernel(auth->store);
    atomic_init(&auth->shut, true);
    auth->kernel->random(auth->kernel->context, &seed, sizeof seed);
    err = ski_rates_new(&options->rate, seed, &auth->rates);
    if (!err) err = ski_notices_new(options->bus, auth->kernel, &auth->notices);
    if (err)
        ski_auth_free(auth);
    else
        *ret_auth = auth;
    return err;
}

void ski_auth_free(ski_auth *auth)
{
    if (!auth) return;
    ski_tokens_free(auth->tokens);
    ski_notices_free(auth->notices);
    ski_rates_free(auth->rates);
    ski_keys_free(auth->keys);
    ski_free(auth);
}

// host_is_local: only this machine reaches a server that listens there.
static bool host_is_local(const char *host)
{
    skald_str text = skald_str_of(host ? host : "127.0.0.1");

    if (skald_str_equal(text, SKALD_STR("localhost")) || skald_str_equal(text, SKALD_STR("::1")))
        return true;
    if (!ski_str_begins(text, SKALD_STR("127."))) return false;
    for (size_t i = 0; i < text.len; i++)
        if ((text.ptr[i] < '0' || text.ptr[i] > '9') && text.ptr[i] != '.') return false;
    return true;
}

skald_err ski_auth_serve(ski_auth *auth, const char *host, skald_error *reterr_error)
{
    const ski_token_options *tokens = &auth->options.tokens;
    bool local = host_is_local(host), tokens_taken = tokens->keys_file || tokens->keys_url;

    SKALD_TRY(ski_origins_valid(auth->options.cors_origins, reterr_error));
    if (!auth->keys) SKALD_TRY(ski_keys_load(auth->store, &auth->keys, reterr_error));
    if (tokens_taken && !auth->tokens) {
        SKALD_TRY(
            ski_tokens_new(tokens, auth->options.log, auth->kernel, &auth->tokens, reterr_error));
    }
    bool usable =
        tokens_taken || ski_keys_valid(auth->keys, auth->kernel->now(auth->kernel->context));
    if (!local && !usable) {
        return skald_fail_at(
            reterr_error, SKALD_EDENIED, "listen",
            "will not listen on %s without keys: anyone who reaches this address could read "
            "and write every event. Make a key first: skald keys create --data DIR --scopes "
            "admin; or listen on 127.0.0.1",
            host);
    }
    atomic_store(&auth->shut, !local || tokens_taken || ski_keys_any(auth->keys));
    return SKALD_OK;
}

ski_keys *ski_auth_keys(ski_auth *auth)
{
    return auth->keys;
}

skald_err ski_auth_keys_changed(ski_auth *auth, skald_error *reterr_error)
{
    atomic_store(&auth->shut, true);
    return ski_keys_reload(auth->keys, reterr_error);
}

bool ski_auth_circuit(const ski_auth *auth, skald_breaker_state *ret_state)
{
    return auth->tokens && ski_tokens_circuit(auth->tokens, ret_state);
}

skald_err ski_auth_metrics(ski_auth *auth, skald_buf *buf)
{
    return ski_buf_print(buf,
                         "# HELP skald_auth_failed_total Requests with a key or token that was "
                         "not accepted.\n"
                         "# TYPE skald_auth_failed_total counter\n"
                         "skald_auth_failed_total %llu\n",
                         (unsigned long long)atomic_load(&auth->failed));
}

bool ski_auth_ticket_holds(ski_auth *auth, const ski_auth_ticket *ticket)
{
    skald_time now = auth->kernel->now(auth->kernel->context);

    if (ticket->open) return !atomic_load(&auth->shut);
    if (ticket->expires_at && ticket->expires_at <= now) return false;
    return !ticket->key_id[0] || ski_keys_still(auth->keys, skald_str_of(ticket->key_id), now);
}
