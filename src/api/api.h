// SPDX-License-Identifier: Apache-2.0
// api/api.h - the platform's HTTP resources as one table of routes over a bus.
#ifndef SKI_API_API_H
#define SKI_API_API_H

#include "api/proxies.h"
#include "bus/bus.h"
#include "net/http.h"

typedef struct ski_api ski_api;

// ski_token_options says which tokens (JWT) are taken. Their keys come from a file or from a URL,
// a set of keys (RFC 7517) either way; both are read again every some minutes and when a token
// names a key that is not known. Neither: no tokens are taken.
typedef struct ski_token_options {
    const char *keys_file;
    const char *keys_url;     // https, or http to this machine
    const char *issuer;       // iss; must be given with keys_url
    const char *audience;     // aud; must be given with keys_url
    const char *algorithms;   // between spaces: "RS256 ES256 EdDSA", with a file HS256 too
    const char *tenant_claim; // "tenant"; a token without it is of the default tenant
    const char *scope_claim;  // "scope": names between spaces, or an array of them
    const char *role_claim;   // "role"
    uint32_t skew_s;          // that clocks may differ by
} ski_token_options;

// ski_rate_options are requests a minute; 0 is no limit. What is beyond is answered 429.
typedef struct ski_rate_options {
    uint32_t per_key;       // of one key or token holder, of whatever kind
    uint32_t per_ip;        // of one address (IPv6: /64), before anything else is looked at
    uint32_t publish, read; // of one key or token holder (without: address), by kind of route
    uint32_t burst;         // at once; 0: as many as in a minute
} ski_rate_options;

typedef struct ski_api_options {
    skald_bus *bus; // outlives the api
    const skald_log *log;
    const char *source;       // of what is published: "skald"
    uint32_t event_bytes_max; // of one event's data
    // What the system is asked for over HTTP; any thread, may wait. The log's level: set NULL, it
    // is only asked for; level NULL, there is nothing to ask. settings writes those in force as
    // objects of JSON with commas between (Setting in documents/schemas.json), without secrets;
    // NULL: there are none.
    skald_level (*level)(void *system);
    skald_err (*level_set)(void *system, skald_level level);
    skald_err (*settings)(void *system, skald_buf *buf, size_t *ret_count);
    void *system;               // their first argument
    const ski_proxies *proxies; // borrowed: whose word for who a client is counts; NULL: nobody's
    ski_token_options tokens;   // its texts live as long as the api
    ski_rate_options rate;
    struct ski_otlp *otlp;    // outlives the api; NULL: requests are not traced
    const char *backups;      // the directory that backups may be made in; NULL: none may
    const char *cors_origins; // pages of these may ask: between spaces, "https://app.example.com";
                              // NULL: of none. Lives as long as the api
    uint32_t heartbeat_ms;    // of a quiet live stream; then its key is asked after, too. 15000
} ski_api_options;

// ski_api_check looks at what is said of tokens and of the origins of pages, and opens nothing.
// Fails: INVALID (the setting).
skald_err ski_api_check(const ski_api_options *options, skald_error *reterr_error) SKALD_CHECK;
skald_err ski_api_new(const ski_api_options *options, ski_api **ret_api, skald_error *reterr_error)
    SKALD_CHECK;
// ski_api_serve starts the server; http_options gives host, port and limits, the api fills routes,
// context, guard, observe, and reads API keys and the keys of tokens. Fails: DENIED (an address
// that strangers can reach, and no keys), INVALID (an option), CORRUPT, and as ski_http_start.
// ski_api_stop ends streams and pull groups, and the server. ski_api_free after it.
skald_err ski_api_serve(ski_api *api, const ski_http_options *http_options,
                        skald_error *reterr_error) SKALD_CHECK;
uint16_t ski_api_port(const ski_api *api);
ski_http *ski_api_http(const ski_api *api); // its server; NULL while it does not serve
// ski_api_reload takes other limits and origins (copied) for requests to come. Between serve and
// stop; any thread. Fails: INVALID (an origin), NOMEM, UNAVAILABLE (it is about to stop).
skald_err ski_api_reload(ski_api *api, const ski_rate_options *rate, const char *cors_origins,
                         skald_error *reterr_error) SKALD_CHECK;
skald_err ski_api_stop(ski_api *api, uint32_t timeout_ms);
void ski_api_free(ski_api *api);

#endif
