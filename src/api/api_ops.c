// SPDX-License-Identifier: Apache-2.0
// GET /health, /ready and /metrics.
//
// /health: the process answers. /ready: reads work; each part says how it is. Who may not ask for
// more than that sees how many subscriptions are in trouble, and nobody's names.
#include "api/api_parts.h"
#include "api/metrics_text.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include <skald/keys.h>

#include <string.h>

enum { disk_low_bytes = 256 << 20, troubled_max = 100 };

#define OPEN_METRICS "application/openmetrics-text"

skald_err ski_get_health(ski_http_request *request, skald_error *reterr_error)
{
    (void)reterr_error;
    return ski_reply_json(request, 200,
                          SKALD_STR("{\"status\":\"ok\",\"version\":\"" SKALD_VERSION_TEXT "\"}"));
}

// What readiness is made of.
typedef struct readiness {
    skald_store_state store;
    ski_bus_queues bus;
    const skald_subscription_state *states;
    size_t count;
    size_t faulted, stale; // of durable subscriptions
    bool damaged;          // the newest event cannot be read
    bool named;            // names may be told
} readiness;

static bool is_faulted(const skald_subscription_state *state)
{
    return state->durable && skald_str_equal(state->state, SKALD_STR("faulted"));
}

static bool is_stale(const skald_subscription_state *state)
{
    return state->durable && state->stale;
}

// store_reads tries it: the newest event.
static bool store_reads(skald_store *store)
{
    skald_read read = {.events_max = 1, .backwards = true};
    skald_store_page page = {0};

    if (ski_store_page(store, &read, &page, NULL)) return false;
    ski_store_page_free(store, &page);
    return true;
}

static skald_err readiness_find(ski_http_request *request, readiness *ret_ready)
{
    ski_api *api = ski_api_of(request);
    const ski_identity *identity = ski_identity_of(request);
    readiness ready = {.named = (identity->everywhere && identity->scopes & SKALD_SCOPE_ADMIN) ||
                                identity->scopes & SKALD_SCOPE_METRICS};

    skald_store_state_get(api->store, &ready.store);
    ski_bus_queues_get(api->bus, &ready.bus);
    ready.damaged = !store_reads(api->store);
    SKALD_TRY(skald_bus_subscriptions(api->bus, request->scratch, &ready.states, &ready.count));
    for (size_t i = 0; i < ready.count; i++) {
        ready.faulted += is_faulted(&ready.states[i]);
        ready.stale += is_stale(&ready.states[i]);
    }
    *ret_ready = ready;
    return SKALD_OK;
}

// put_damages names the first ranges that cannot be read. A range without events has no positions.
static skald_err put_damages(const skald_store_state *store, skald_buf *buf)
{
    SKALD_TRY(
        ski_buf_print(buf, ",\"damages\":%llu,\"damaged\":[", (unsigned long long)store->damages));
    for (size_t i = 0; i < store->damages && i < SKALD_DAMAGES_SHOWN; i++) {
        const skald_damaged *damage = &store->damage[i];

        SKALD_TRY(ski_buf_print(buf, "%s{\"file\":\"%s\",\"offset\":%llu,\"length\":%llu",
                                i ? "," : "", damage->file, (unsigned long long)damage->offset,
                                (unsigned long long)damage->length));
        if (damage->position_first <= damage->position_last) {
            SKALD_TRY(ski_buf_print(buf, ",\"firstPosition\":%llu",
                                    (unsigned long long)damage->position_first));
            if (damage->position_last != UINT64_MAX) {
                SKALD_TRY(ski_buf_print(buf, ",\"lastPosition\":%llu",
                                        (unsigned long long)damage->position_last));
            }
        }
        SKALD_TRY(ski_buf_byte(buf, '}'));
    }
    return ski_buf_byte(buf, ']');
}

static skald_err put_store_part(const readiness *ready, skald_buf *buf)
{
    const char *status = ready->damaged || ready->store.damages ? "damaged"
                         : ready->store.read_only               ? "read_only"
                                                                : "ok";

    SKALD_TRY(ski_buf_print(buf, "\"store\":{\"status\":\"%s\",\"position\":%llu", status,
                            (unsigned long long)ready->store.head));
    if (ready->store.read_only) {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"why\":")));
        SKALD_TRY(ski_json_put_string(buf, skald_str_of(ready->store.read_only_why)));
    }
    if (ready->store.damages) SKALD_TRY(put_damages(&ready->store, buf));
    SKALD_TRY(ski_buf_byte(buf, '}'));
    if (ready->store.bytes_free == UINT64_MAX) return SKALD_OK;
    return ski_buf_print(buf, ",\"disk\":{\"status\":\"%s\",\"freeBytes\":%llu}",
                         ready->store.bytes_free < disk_low_bytes ? "low" : "ok",
                         (unsigned long long)ready->store.bytes_free);
}

static skald_err put_names(const readiness *ready, const char *member,
                           bool (*is)(const skald_subscription_state *state), skald_buf *buf)
{
    size_t told = 0;

    SKALD_TRY(ski_buf_print(buf, ",\"%s\":[", member));
    for (size_t i = 0; i < ready->count && told < troubled_max; i++) {
        if (!is(&ready->states[i])) continue;
        if (told++) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_json_put_string(buf, ready->states[i].name));
    }
    return ski_buf_byte(buf, ']');
}

static skald_err put_subscriptions_part(const readiness *ready, skald_buf *buf)
{
    SKALD_TRY(ski_buf_print(buf,
                            ",\"subscriptions\":{\"status\":\"%s\",\"faultedCount\":%zu,"
                            "\"staleCount\":%zu",
                            ready->faulted ? "faulted"
                            : ready->stale ? "stale"
                                           : "ok",
                            ready->faulted, ready->stale));
    if (ready->named) {
        SKALD_TRY(put_names(ready, "faulted", is_faulted, buf));
        SKALD_TRY(put_names(ready, "stale", is_stale, buf));
    }
    return ski_buf_byte(buf, '}');
}

// put_ready: what others than this server do leaves it as ready as it was.
static skald_err put_ready(const ski_api *api, const ski_http *http, const readiness *ready,
                           bool down, skald_buf *buf)
{
    bool degraded =
        ready->store.read_only || ready->store.damages || ready->faulted || ready->stale;
    ski_http_counters counters = {0};

    if (http) ski_http_counters_get(http, &counters);
    SKALD_TRY(ski_buf_print(buf, "{\"status\":\"%s\",\"parts\":{",
                            down       ? "down"
                            : degraded ? "degraded"
                                       : "ok"));
    SKALD_TRY(put_store_part(ready, buf));
    SKALD_TRY(ski_buf_print(buf,
                            ",\"bus\":{\"status\":\"%s\",\"subscriptions\":%llu},"
                            "\"http\":{\"status\":\"ok\",\"connections\":%llu}",
                            ready->bus.stopping ? "stopping" : "ok",
                            (unsigned long long)ready->bus.subscriptions,
                            (unsigned long long)counters.connections_now));
    SKALD_TRY(put_subscriptions_part(ready, buf));
    SKALD_TRY(ski_circuits_part(api, buf));
    return skald_buf_put(buf, SKALD_STR("}}"));
}

// A store that takes no writes still reads: the server is degraded, not down.
skald_err ski_get_ready(ski_http_request *request, skald_error *reterr_error)
{
    skald_buf buf = ski_reply_buf();
    readiness ready = {0};
    skald_err err = readiness_find(request, &ready);
    // Of a store that is known to be damaged everything else can be read.
    bool down = (ready.damaged && !ready.store.damages) || ready.bus.stopping;

    (void)reterr_error;
    if (!err) err = put_ready(ski_api_of(request), request->http, &ready, down, &buf);
    if (!err) err = ski_reply_json(request, down ? 503 : 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

static skald_err put_all(ski_http_request *request, skald_buf *buf)
{
    ski_api *api = ski_api_of(request);
    const ski_measured measured = {
        .bus = api->bus,
        .store = api->store,
        .http = request->http,
        .otlp = api->options.otlp,
        .scratch = request->scratch,
    };

    SKALD_TRY(ski_measures_put(&measured, buf));
    SKALD_TRY(ski_measures_subscriptions_put(&measured, buf));
    SKALD_TRY(ski_circuits_metrics(api, buf));
    SKALD_TRY(ski_auth_metrics(api->auth, buf));
    SKALD_TRY(ski_usage_put(&api->usage, buf));
    return ski_metrics_put(&api->metrics, ski_route_of, buf);
}

// wants_open: Accept names OpenMetrics, and does not give it no weight.
static bool wants_open(const ski_http_request *request)
{
    skald_str rest = ski_http_header_get(request, "accept");

    while (rest.len) {
        skald_str parameters;
        skald_str range = ski_str_cut(rest, ',', &rest);
        skald_str media = ski_str_trim(ski_str_cut(range, ';', &parameters));

        if (ski_str_equal_nocase(media, SKALD_STR(OPEN_METRICS)))
            return !parameters.ptr || !memmem(parameters.ptr, parameters.len, "q=0,", 4);
    }
    return false;
}

skald_err ski_get_metrics(ski_http_request *request, skald_error *reterr_error)
{
    bool open = wants_open(request);
    skald_buf text = ski_reply_buf();
    skald_buf opened = ski_reply_buf();
    skald_err err = put_all(request, &text);

    (void)reterr_error;
    if (!err && open) err = ski_metrics_open(ski_buf_str(&text), &opened);
    if (!err) {
        err = ski_http_reply_send(request->http, request->id,
                                  &(ski_http_reply){
                                      .status = 200,
                                      .content_type =
                                          open ? OPEN_METRICS "; version=1.0.0; charset=utf-8"
                                               : "text/plain; version=0.0.4; charset=utf-8",
                                      .body = ski_buf_str(open ? &opened : &text),
                                  });
    }
    skald_buf_fini(&text);
    skald_buf_fini(&opened);
    return err;
}
