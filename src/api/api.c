// SPDX-License-Identifier: Apache-2.0
// The API as one object: a bus, a door (api_auth.c), the table of routes (routes.c), a server.
#include "api/api_gate.h"
#include "api/api_idempotency.h"
#include "api/api_parts.h"
#include "api/api_span.h"
#include "api/seed_types.h"
#include "base/alloc.h"

#include <assert.h>
#include <skald/typed.h>

// is_quiet: health checks, scrapes and pages begin no trace.
static bool is_quiet(const ski_http_request *request)
{
    const ski_route *route = request->route ? request->route->of : NULL;

    return !route || route->rate == SKI_RATE_NONE;
}

// guard: whoever may not come in is told so before anything else is looked at.
static skald_err guard(ski_http_request *request, skald_error *reterr_error)
{
    ski_proxies_peer(ski_api_of(request)->options.proxies, request);
    ski_span_begin(request, ski_api_of(request)->options.otlp, is_quiet(request));
    SKALD_TRY(ski_call_new(request, reterr_error));
    SKALD_TRY(ski_auth_guard(request, reterr_error));
    return ski_call_admit(request, reterr_error);
}

static void observe(void *context, const ski_http_request *request, unsigned status,
                    uint64_t took_ns)
{
    ski_api *api = context;
    size_t index = SIZE_MAX;

    if (request && request->route)
        index = (size_t)((const ski_route *)request->route->of - ski_routes);
    ski_metrics_count(&api->metrics, index, status, took_ns);
    if (!request) return;
    ski_span_end(request, api->options.otlp, index == SIZE_MAX ? NULL : ski_routes[index].path,
                 status, took_ns);
    ski_api_log_request(api->options.log, request, status, took_ns);
}

skald_err ski_api_new(const ski_api_options *options, ski_api **ret_api, skald_error *reterr_error)
{
    ski_api *api = ski_alloc_zeroed(1, sizeof *api);
    skald_err err;

    if (!api) return SKALD_ENOMEM;
    api->options = *options;
    api->bus = options->bus;
    api->store = ski_bus_store(options->bus);
    ski_usage_init(&api->usage);
    ski_mutex_init(&api->wait_lock);
    ski_cond_init(&api->wait_cond);
    api->routes = ski_routes_http();
    err = api->routes ? ski_seed_types_add(skald_bus_types(api->bus), options->log) : SKALD_ENOMEM;
    if (!err) err = ski_replays_new(api, &api->replays);
    if (!err) err = ski_frames_new(&api->frames);
    if (!err) err = ski_audiences_new(api->bus, api->frames, &api->audiences);
    if (!err) err = ski_auth_new(options, &api->auth);
    if (!err) err = ski_pulls_new(api, &api->pulls, reterr_error);
    if (err) {
        ski_api_free(api);
        return err;
    }
    ski_backup_recall(api);
    *ret_api = api;
    return SKALD_OK;
}

// turned: the requests of one turn of the loop are stored together.
static void turned(void *context)
{
    ski_api *api = context;

    skald_bus_flush(api->bus);
}

// standing_add puts what a reply to any request says behind what the caller wants of every reply.
static void standing_add(ski_api *api, ski_http_options *options)
{
    const ski_http_header ours[] = {
        {SKALD_STR("X-API-Version"), ski_version_text(SKI_ROUTE_VERSION)},
        {SKALD_STR("Cache-Control"), SKALD_STR("no-store")},
    };
    size_t count = options->header_count;

    assert(count + sizeof ours / sizeof *ours <= SKI_API_STANDING_MAX);
    if (count) memcpy(api->standing, options->headers, count * sizeof *ours);
    memcpy(api->standing + count, ours, sizeof ours);
    options->headers = api->standing;
    options->header_count = count + sizeof ours / sizeof *ours;
}

skald_err ski_api_serve(ski_api *api, const ski_http_options *http_options,
                        skald_error *reterr_error)
{
    ski_http_options options = *http_options;

    SKALD_TRY(ski_auth_serve(api->auth, options.host, reterr_error));
    options.routes = api->routes;
    options.context = api;
    options.guard = guard;
    options.observe = observe;
    options.turned = turned;
    standing_add(api, &options);
    SKALD_TRY(ski_http_start(&options, &api->http, reterr_error));
    ski_pulls_attach(api->pulls, api->http);
    return SKALD_OK;
}

ski_http *ski_api_http(const ski_api *api)
{
    return api->http;
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
    ski_auth_free(api->auth);
    ski_replays_free(api->replays);
    ski_audiences_free(api->audiences);
    ski_frames_free(api->frames);
    ski_usage_fini(&api->usage);
    ski_cond_fini(&api->wait_cond);
    ski_mutex_fini(&api->wait_lock);
    ski_free(api->routes);
    ski_free(api->origins);
    ski_free(api);
}
