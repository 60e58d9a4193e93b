// SPDX-License-Identifier: Apache-2.0
// Pages of other origins: what a browser may be told (CORS), and what open mode must not answer.
//
// A page may ask when its origin, exactly as the browser writes it, is on the allow-list. There is
// no "*", and no credentials of the browser's own (cookies) are ever taken: a page that may ask
// still needs a key.
#include "api/api_auth_parts.h"
#include "api/api_call.h"
#include "base/str.h"

#include <string.h>

// host_is_loopback: host is a Host header, or the host of an Origin, with or without a port.
static bool host_is_loopback(skald_str host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        skald_str name = skald_str_of(names[i]);
        if (host.len < name.len || !ski_str_equal_nocase(ski_str(host.ptr, name.len), name))
            continue;
        skald_str rest = ski_str(host.ptr + name.len, host.len - name.len);
        uint64_t port = 0;
        if (!rest.len) return true;
        if (rest.ptr[0] != ':') continue;
        return !ski_str_u64(ski_str(rest.ptr + 1, rest.len - 1), &port) && port <= UINT16_MAX;
    }
    return false;
}

// origin_is_own: the page that made the request came from the very host and port it asks now.
static bool origin_is_own(skald_str origin, skald_str host)
{
    skald_str schemes[] = {SKALD_STR("http://"), SKALD_STR("https://")};

    for (size_t i = 0; i < 2; i++) {
        if (ski_str_begins(origin, schemes[i]) &&
            ski_str_equal_nocase(ski_str(origin.ptr + schemes[i].len, origin.len - schemes[i].len),
                                 host))
            return true;
    }
    return false;
}

static bool origin_is_listed(const char *origins, skald_str origin)
{
    skald_str rest = skald_str_of(origins);

    while (rest.len) {
        skald_str listed = ski_str_cut(rest, ' ', &rest);
        if (listed.len && skald_str_equal(listed, origin)) return true;
    }
    return false;
}

skald_err ski_origins_valid(const char *origins, skald_error *reterr_error)
{
    skald_str rest = skald_str_of(origins);

    while (rest.len) {
        skald_str origin = ski_str_cut(rest, ' ', &rest);
        size_t scheme = ski_str_begins(origin, SKALD_STR("https://"))  ? 8
                        : ski_str_begins(origin, SKALD_STR("http://")) ? 7
                                                                       : 0;

        if (!origin.len) continue;
        if (!scheme || origin.len == scheme || memchr(origin.ptr, '*', origin.len) ||
            memchr(origin.ptr + scheme, '/', origin.len - scheme)) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "cors.origins",
                                 "'%.*s' is no origin: one is written https://app.example.com, "
                                 "with a port if it is not the usual one, and nothing behind it",
                                 (int)(origin.len > 100 ? 100 : origin.len), origin.ptr);
        }
    }
    return SKALD_OK;
}

skald_err ski_origin_check(const char *origins, const ski_http_request *request,
                           skald_error *reterr_error)
{
    skald_str host = ski_http_header_get(request, "host");
    skald_str origin = ski_http_header_get(request, "origin");

    if (!host_is_loopback(host)) {
        return skald_fail_at(
            reterr_error, SKALD_EDENIED, "Host",
            "this server runs without keys and answers only to localhost, 127.0.0.1 "
            "and [::1], not to '%.*s'",
            (int)(host.len > 100 ? 100 : host.len), host.ptr ? host.ptr : "");
    }
    if (origin.ptr && !origin_is_own(origin, host) && !origin_is_listed(origins, origin)) {
        return skald_fail_at(reterr_error, SKALD_EDENIED, "Origin",
                             "this server runs without keys and does not answer pages of another "
                             "origin");
    }
    return SKALD_OK;
}

void ski_origin_headers(const char *origins, ski_http_request *request)
{
    skald_str origin = ski_http_header_get(request, "origin");
    bool asks_before = skald_str_equal(request->method, SKALD_STR("OPTIONS")) &&
                       ski_http_header_get(request, "access-control-request-method").len;

    if (!origins) return;
    ski_call_header(request, SKALD_STR("Vary"), SKALD_STR("Origin"));
    if (!origin.len || !origin_is_listed(origins, origin)) return;
    ski_call_header(request, SKALD_STR("Access-Control-Allow-Origin"), origin);
    if (!asks_before) {
        ski_call_header(request, SKALD_STR("Access-Control-Expose-Headers"),
                        SKALD_STR("Allow, Deprecation, ETag, Idempotency-Replayed, Link, "
                                  "RateLimit, RateLimit-Policy, Retry-After, Sunset, Traceparent, "
                                  "WWW-Authenticate, X-API-Version, X-Correlation-ID, "
                                  "X-Event-Position"));
        return;
    }
    ski_call_header(request, SKALD_STR("Access-Control-Allow-Methods"),
                    SKALD_STR("GET, HEAD, POST, PUT, PATCH, DELETE"));
    ski_call_header(request, SKALD_STR("Access-Control-Allow-Headers"),
                    SKALD_STR("Authorization, Ce-Id, Ce-Source, Ce-Specversion, Ce-Subject, "
                              "Ce-Time, Ce-Type, Content-Encoding, Content-Type, "
                              "Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "
                              "Traceparent, Tracestate, X-API-Version, X-Correlation-ID, "
                              "X-Min-Position"));
    ski_call_header(request, SKALD_STR("Access-Control-Max-Age"), SKALD_STR("600"));
}
