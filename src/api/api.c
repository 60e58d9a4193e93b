// SPDX-License-Identifier: Apache-2.0
// The table of routes, and the door: who may come in at all.
//
// Invariants:
//   1. Open mode answers only requests whose Host names this machine's loopback, and no request
//   that a page of
//      another origin made: a web page must not read a developer's events by DNS rebinding.
//   2. A handler that waits for the disk is a worker route; the others run on the loop.
#include "api/api_parts.h"
#include "base/alloc.h"
#include "base/str.h"

static const ski_http_route routes[] = {
    {.method = "GET", .path = "/api/events", .handle = ski_get_events, .worker = true},
    {.method = "POST",
     .path = "/api/events",
     .handle = ski_post_events,
     .body = &ski_ndjson_body,
     .body_bytes_max = UINT64_MAX, // of lines; a body read whole keeps the server's limit

     .streams = ski_post_events_streams},
    {.method = "GET", .path = "/api/events/stream", .handle = ski_get_event_stream},
    {.method = "GET", .path = "/api/events/stats", .handle = ski_get_stats, .worker = true},
    {.method = "GET", .path = "/api/events/history", .handle = ski_get_history, .worker = true},
    {.method = "POST", .path = "/api/events/test", .handle = ski_post_test},
    {.method = "GET", .path = "/api/events/{id}", .handle = ski_get_event, .worker = true},
    {.method = "GET", .path = "/api/streams", .handle = ski_get_streams, .worker = true},
    {.method = "GET", .path = "/api/streams/{stream}", .handle = ski_get_stream, .worker = true},
    {.method = "POST", .path = "/api/streams/{stream}", .handle = ski_post_stream},
    {.method = "GET",
     .path = "/api/subscriptions",
     .handle = ski_get_subscriptions,
     .worker = true},
    {.method = "POST",
     .path = "/api/subscriptions",
     .handle = ski_post_subscription,
     .worker = true},
    {.method = "GET",
     .path = "/api/subscriptions/{name}",
     .handle = ski_get_subscription,
     .worker = true},
    {.method = "DELETE",
     .path = "/api/subscriptions/{name}",
     .handle = ski_delete_subscription,
     .worker = true},
    {.method = "GET", .path = "/api/subscriptions/{name}/deliveries", .handle = ski_get_deliveries},
    {.method = "POST", .path = "/api/subscriptions/{name}/ack", .handle = ski_post_ack},
    {.method = "POST", .path = "/api/subscriptions/{name}/nack", .handle = ski_post_nack},
    {.method = "GET", .path = "/health", .handle = ski_get_health},
    {.method = "GET", .path = "/ready", .handle = ski_get_ready},
    {.method = "GET", .path = "/metrics", .handle = ski_get_metrics, .worker = true},
    {.method = "GET", .path = "/", .handle = ski_get_asset},
    {.method = "GET", .path = "/assets/{name}", .handle = ski_get_asset},
    {.method = NULL},
};

const ski_http_route *ski_api_routes(void)
{
    return routes;
}

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
    skald_str scheme = SKALD_STR("http://");

    if (!ski_str_begins(origin, scheme)) return false;
    return ski_str_equal_nocase(ski_str(origin.ptr + scheme.len, origin.len - scheme.len), host);
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

static skald_err guard_open(ski_http_request *request, skald_error *reterr_error)
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
    if (origin.ptr && !origin_is_own(origin, host)) {
        return skald_fail_at(reterr_error, SKALD_EDENIED, "Origin",
                             "this server runs without keys and does not answer pages of another "
                             "origin");
    }
    return take_correlation(request, reterr_error);
}

static void observe(void *context, const ski_http_request *request, unsigned status,
                    uint64_t took_ns)
{
    ski_api *api = context;
    size_t index = SIZE_MAX;

    if (request && request->route) index = (size_t)(request->route - routes);
    ski_metrics_count(&api->metrics, index, status, took_ns);
}

skald_err ski_api_new(const ski_api_options *options, ski_api **ret_api)
{
    ski_api *api = ski_alloc_zeroed(1, sizeof *api);
    skald_err err;

    if (!api) return SKALD_ENOMEM;
    api->options = *options;
    api->bus = options->bus;
    api->store = ski_bus_store(options->bus);
    err = ski_pulls_new(api, &api->pulls);
    if (err) {
        ski_free(api);
        return err;
    }
    *ret_api = api;
    return SKALD_OK;
}

skald_err ski_api_serve(ski_api *api, const ski_http_options *http_options,
                        skald_error *reterr_error)
{
    ski_http_options options = *http_options;

    options.routes = routes;
    options.context = api;
    options.guard = guard_open;
    options.observe = observe;
    SKALD_TRY(ski_http_start(&options, &api->http, reterr_error));
    ski_pulls_attach(api->pulls, api->http);
    return SKALD_OK;
}

uint16_t ski_api_port(const ski_api *api)
{
    return api->http ? ski_http_port(api->http) : 0;
}

skald_err ski_api_stop(ski_api *api, uint32_t timeout_ms)
{
    skald_err err = SKALD_OK;

    ski_pulls_attach(api->pulls, NULL);
    if (api->http) err = ski_http_stop(api->http, timeout_ms);
    api->http = NULL;
    // Nobody can acknowledge any more, so nobody need wait for it: what is out comes again.
    ski_pulls_end(api->pulls);
    return err;
}

void ski_api_free(ski_api *api)
{
    if (!api) return;
    ski_pulls_free(api->pulls);
    ski_free(api);
}
