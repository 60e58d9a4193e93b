// SPDX-License-Identifier: Apache-2.0
// GET /health, /ready and /metrics.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include <skald/base.h>

skald_err ski_get_health(ski_http_request *request, skald_error *reterr_error)
{
    (void)reterr_error;
    return ski_reply_json(request, 200,
                          SKALD_STR("{\"status\":\"ok\",\"version\":\"" SKALD_VERSION_TEXT "\"}"));
}

// A store that takes no writes still reads: the server is degraded, not down.
skald_err ski_get_ready(ski_http_request *request, skald_error *reterr_error)
{
    skald_buf buf = ski_reply_buf();
    skald_store_state state;
    skald_err err;

    (void)reterr_error;
    skald_store_state_get(ski_api_of(request)->store, &state);
    err = ski_buf_print(
        &buf, "{\"status\":\"%s\",\"parts\":{\"store\":{\"status\":\"%s\",\"position\":%llu",
        state.read_only ? "degraded" : "ok", state.read_only ? "read_only" : "ok",
        (unsigned long long)state.head);
    if (!err && state.read_only) {
        err = skald_buf_put(&buf, SKALD_STR(",\"why\":"));
        if (!err) err = ski_json_put_string(&buf, skald_str_of(state.read_only_why));
    }
    if (!err) err = skald_buf_put(&buf, SKALD_STR("}}}"));
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

// A metric without labels: its name, what it is, its kind and value.
typedef struct metric {
    const char *name, *help, *kind;
    double value;
} metric;

static skald_err put_metrics(const metric *metrics, size_t count, skald_buf *buf)
{
    for (size_t i = 0; i < count; i++) {
        SKALD_TRY(ski_buf_print(buf, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", metrics[i].name,
                                metrics[i].help, metrics[i].name, metrics[i].kind, metrics[i].name,
                                metrics[i].value));
    }
    return SKALD_OK;
}

static skald_err put_store(skald_store *store, skald_buf *buf)
{
    skald_store_state state;

    skald_store_state_get(store, &state);
    const metric metrics[] = {
        {"skald_store_position", "Last durable position.", "gauge", (double)state.head},
        {"skald_store_bytes", "Bytes stored.", "gauge", (double)state.bytes_stored},
        {"skald_store_index_bytes", "Memory of the indexes.", "gauge", (double)state.index_bytes},
        {"skald_store_segments", "Segment files.", "gauge", (double)state.segments},
        {"skald_store_appends_waiting", "Appends taken and not yet durable.", "gauge",
         (double)state.appends_waiting},
        {"skald_store_syncs_total", "Times the disk was waited for.", "counter",
         (double)state.syncs},
        {"skald_store_sync_seconds_total", "Time spent waiting for the disk.", "counter",
         (double)state.sync_ns / 1e9},
        {"skald_store_read_only", "1 while appends are refused.", "gauge", state.read_only ? 1 : 0},
    };
    return put_metrics(metrics, sizeof metrics / sizeof *metrics, buf);
}

static skald_err put_bus(const skald_bus *bus, skald_buf *buf)
{
    skald_bus_counters counters;

    skald_bus_counters_get(bus, &counters);
    const metric metrics[] = {
        {"skald_events_published_total", "Events published.", "counter",
         (double)counters.published},
        {"skald_events_publish_failed_total", "Events refused or not stored.", "counter",
         (double)counters.publish_failed},
        {"skald_deliveries_total", "Deliveries made.", "counter", (double)counters.delivered},
        {"skald_deliveries_acked_total", "Deliveries done.", "counter", (double)counters.acked},
        {"skald_deliveries_retried_total", "Deliveries to be made again.", "counter",
         (double)counters.retried},
        {"skald_deliveries_rejected_total", "Deliveries refused for good.", "counter",
         (double)counters.rejected},
        {"skald_deliveries_timed_out_total", "Deliveries nobody ended in time.", "counter",
         (double)counters.timed_out},
    };
    return put_metrics(metrics, sizeof metrics / sizeof *metrics, buf);
}

static skald_err put_http(const ski_http *http, skald_buf *buf)
{
    ski_http_counters counters;

    ski_http_counters_get(http, &counters);
    const metric metrics[] = {
        {"skald_http_connections", "Connections open now.", "gauge",
         (double)counters.connections_now},
        {"skald_http_connections_accepted_total", "Connections taken.", "counter",
         (double)counters.connections_accepted},
        {"skald_http_connections_refused_total", "Connections beyond the limit.", "counter",
         (double)counters.connections_refused},
        {"skald_http_received_bytes_total", "Bytes read from clients.", "counter",
         (double)counters.bytes_in},
        {"skald_http_sent_bytes_total", "Bytes written to clients.", "counter",
         (double)counters.bytes_out},
        {"skald_http_body_bytes", "Bytes of request bodies held now.", "gauge",
         (double)counters.bodies_bytes_now},
        {"skald_http_streams", "Streaming replies open now.", "gauge",
         (double)counters.streams_now},
        {"skald_http_timeouts_total", "Connections cut for being slow.", "counter",
         (double)counters.timeouts},
        {"skald_http_bad_requests_total", "Requests that were not HTTP as it should be.", "counter",
         (double)counters.bad_requests},
    };
    return put_metrics(metrics, sizeof metrics / sizeof *metrics, buf);
}

// put_label writes a label's value: Prometheus escapes backslash, quote and line feed.
static skald_err put_label(skald_str text, skald_buf *buf)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (byte == '\n') {
            SKALD_TRY(skald_buf_put(buf, SKALD_STR("\\n")));
            continue;
        }
        if (byte == '\\' || byte == '"') SKALD_TRY(ski_buf_byte(buf, '\\'));
        SKALD_TRY(ski_buf_byte(buf, byte));
    }
    return SKALD_OK;
}

// put_subscriptions: one series each for the durable ones only, whose number is small and whose
// names last.
static skald_err put_subscriptions(skald_bus *bus, skald_arena *scratch, skald_buf *buf)
{
    const skald_subscription_state *states = NULL;
    size_t count = 0;
    size_t live = 0;

    SKALD_TRY(skald_bus_subscriptions(bus, scratch, &states, &count));
    SKALD_TRY(
        skald_buf_put(buf, SKALD_STR("# HELP skald_subscription_lag Events behind the log's end.\n"
                                     "# TYPE skald_subscription_lag gauge\n")));
    for (size_t i = 0; i < count; i++) {
        if (!states[i].durable) {
            live++;
            continue;
        }
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("skald_subscription_lag{name=\"")));
        SKALD_TRY(put_label(states[i].name, buf));
        SKALD_TRY(ski_buf_print(buf, "\"} %llu\n", (unsigned long long)states[i].lag));
    }
    return ski_buf_print(buf,
                         "# HELP skald_subscriptions Subscriptions that run.\n"
                         "# TYPE skald_subscriptions gauge\n"
                         "skald_subscriptions{durable=\"true\"} %zu\n"
                         "skald_subscriptions{durable=\"false\"} %zu\n",
                         count - live, live);
}

skald_err ski_get_metrics(ski_http_request *request, skald_error *reterr_error)
{
    static const char *const allowed[] = {NULL};
    ski_api *api = ski_api_of(request);
    skald_buf buf = ski_reply_buf();
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, allowed, &query, reterr_error));
    err = ski_buf_print(&buf,
                        "# HELP skald_build_info What runs.\n# TYPE skald_build_info gauge\n"
                        "skald_build_info{version=\"%s\"} 1\n",
                        SKALD_VERSION_TEXT);
    if (!err) err = put_store(api->store, &buf);
    if (!err) err = put_bus(api->bus, &buf);
    if (!err) err = put_http(request->http, &buf);
    if (!err) err = put_subscriptions(api->bus, request->scratch, &buf);
    if (!err) err = ski_metrics_put(&api->metrics, ski_api_routes(), &buf);
    if (!err) {
        err = ski_http_reply_send(request->http, request->id,
                                  &(ski_http_reply){
                                      .status = 200,
                                      .content_type = "text/plain; version=0.0.4; charset=utf-8",
                                      .body = ski_buf_str(&buf),
                                  });
    }
    skald_buf_fini(&buf);
    return err;
}
