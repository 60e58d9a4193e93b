// SPDX-License-Identifier: Apache-2.0
// What /metrics says of store, bus, server, exporter and process. docs/operations-metrics.md
// explains each name, and a test holds it to that.
#include "api/api_metrics.h"
#include "api/metrics_text.h"
#include "base/buf.h"
#include "bus/bus.h"
#include "os/process.h"
#include "telemetry/otlp.h"

#include <assert.h>
#include <string.h>

static_assert((int)SKALD_SYNC_BUCKETS == (int)SKI_HISTOGRAM_BOUNDS + 1,
              "the store shows its histogram");

#define COUNT(metrics) (sizeof(metrics) / sizeof *(metrics))

static skald_err put_syncs(const skald_store_state *state, skald_buf *buf)
{
    ski_histogram_seen seen = {.sum_ns = state->sync_ns};

    memcpy(seen.counts, state->sync_counts, sizeof seen.counts);
    for (size_t i = 0; i <= SKI_HISTOGRAM_BOUNDS; i++) seen.all += seen.counts[i];
    SKALD_TRY(ski_metric_head("skald_store_sync_duration_seconds",
                              "How long the disk took to make a group of appends durable.",
                              "histogram", buf));
    return ski_metric_times("skald_store_sync_duration_seconds", "", &seen, buf);
}

static skald_err put_store_files(const skald_store_state *state, skald_buf *buf)
{
    const ski_metric metrics[] = {
        {"skald_store_segments", "Segment files.", "gauge", (double)state->segments},
        {"skald_store_segments_sealed", "Segments that are answered from an index file.", "gauge",
         (double)state->segments_sealed},
        {"skald_store_seals_total", "Segments indexed.", "counter", (double)state->seals},
        {"skald_store_index_rebuilds_total", "Index files made again after loss or damage.",
         "counter", (double)state->index_rebuilds},
        {"skald_store_index_bytes",
         "Memory of the indexes, of what the next one is made of, and of buffers of appends.",
         "gauge", (double)state->index_bytes},
        {"skald_store_index_file_bytes", "Bytes of index files.", "gauge",
         (double)state->index_file_bytes},
        {"skald_store_cache_bytes", "Memory of events and indexes that were read.", "gauge",
         (double)state->cache_bytes},
        {"skald_store_cache_hits_total", "Pieces of files that were in it.", "counter",
         (double)state->cache_hits},
        {"skald_store_cache_misses_total", "Pieces of files that were not.", "counter",
         (double)state->cache_misses},
        {"skald_store_damages", "Ranges of stored data that cannot be read.", "gauge",
         (double)state->damages},
        {"skald_store_scrubbed_bytes_total", "Bytes read and verified in the background.",
         "counter", (double)state->scrub_bytes},
        {"skald_store_compactions_total", "Segments rewritten without what is dead.", "counter",
         (double)state->compactions},
        {"skald_store_segments_dropped_total", "Of them, those of which nothing was left.",
         "counter", (double)state->segments_dropped},
        {"skald_store_events_erased_total", "Events taken from the disk.", "counter",
         (double)state->events_erased},
        {"skald_store_freed_bytes_total", "Bytes that files became less by.", "counter",
         (double)state->bytes_freed},
        {"skald_store_stream_metas", "Streams with metadata.", "gauge",
         (double)state->stream_metas},
        {"skald_store_events_lost_total",
         "Events that retention hid from durable subscriptions before they had read them.",
         "counter", (double)state->events_lost},
        {"skald_store_free_bytes", "Free on the file system of the store.", "gauge",
         (double)state->bytes_free},
    };

    // What is kept in memory is on no file system.
    return ski_metrics_write(metrics, COUNT(metrics) - (state->bytes_free == UINT64_MAX), buf);
}

static skald_err put_store(const skald_store_state *state, skald_buf *buf)
{
    const ski_metric metrics[] = {
        {"skald_store_position", "Last durable position.", "gauge", (double)state->head},
        {"skald_store_bytes", "Bytes stored.", "gauge", (double)state->bytes_stored},
        {"skald_store_appends_waiting", "Appends taken and not yet durable.", "gauge",
         (double)state->appends_waiting},
        {"skald_store_read_only", "1 while appends are refused.", "gauge",
         state->read_only ? 1 : 0},
    };

    SKALD_TRY(ski_metrics_write(metrics, COUNT(metrics), buf));
    SKALD_TRY(put_store_files(state, buf));
    return put_syncs(state, buf);
}

static skald_err put_bus(const skald_bus *bus, skald_buf *buf)
{
    skald_bus_counters counters;
    ski_histogram_seen attempts;

    skald_bus_counters_get(bus, &counters);
    const ski_metric metrics[] = {
        {"skald_events_published_total", "Events published.", "counter",
         (double)counters.published},
        {"skald_events_publish_failed_total", "Events refused or not stored.", "counter",
         (double)counters.publish_failed},
        {"skald_events_transient_total", "Events published that are not kept.", "counter",
         (double)counters.transient_published},
        {"skald_events_transient_dropped_total",
         "Deliveries of events that are not kept, for which there was no room.", "counter",
         (double)counters.transient_dropped},
        {"skald_deliveries_total", "Attempts to deliver.", "counter", (double)counters.delivered},
        {"skald_deliveries_acked_total", "Deliveries done.", "counter", (double)counters.acked},
        {"skald_deliveries_retried_total", "Deliveries to be made again.", "counter",
         (double)counters.retried},
        {"skald_deliveries_rejected_total", "Deliveries refused for good.", "counter",
         (double)counters.rejected},
        {"skald_deliveries_timed_out_total", "Deliveries nobody ended in time.", "counter",
         (double)counters.timed_out},
        {"skald_deliveries_parked_total", "Deliveries that parked their key.", "counter",
         (double)counters.parked},
        {"skald_deliveries_dead_total", "Deliveries set aside as dead letters.", "counter",
         (double)counters.dead},
        {"skald_deliveries_expired_total", "Events too late for a delivery.", "counter",
         (double)counters.expired},
        {"skald_notices_dropped_total", "System events that could not be published.", "counter",
         (double)counters.notices_dropped},
    };

    SKALD_TRY(ski_metrics_write(metrics, COUNT(metrics), buf));
    ski_histogram_see(ski_bus_attempts(bus), &attempts);
    SKALD_TRY(ski_metric_head("skald_delivery_duration_seconds",
                              "From the call of a handler to the end of the delivery; of one "
                              "delivery in eight, and of those that are traced.",
                              "histogram", buf));
    return ski_metric_times("skald_delivery_duration_seconds", "", &attempts, buf);
}

static skald_err put_http(const ski_http_counters *counters, skald_buf *buf)
{
    const ski_metric metrics[] = {
        {"skald_http_connections_accepted_total", "Connections taken.", "counter",
         (double)counters->connections_accepted},
        {"skald_http_connections_refused_total", "Connections beyond the limit.", "counter",
         (double)counters->connections_refused},
        {"skald_http_received_bytes_total", "Bytes read from clients.", "counter",
         (double)counters->bytes_in},
        {"skald_http_sent_bytes_total", "Bytes written to clients.", "counter",
         (double)counters->bytes_out},
        {"skald_http_streams", "Streaming replies open now.", "gauge",
         (double)counters->streams_now},
        {"skald_http_timeouts_total", "Connections cut for being slow.", "counter",
         (double)counters->timeouts},
        {"skald_http_bad_requests_total", "Requests that were not HTTP as it should be.", "counter",
         (double)counters->bad_requests},
        {"skald_tls_certificate_expiry_seconds",
         "When the certificate is not valid any more, since 1970; 0: it is not TLS.", "gauge",
         (double)counters->certificate_expires_at / 1e6},
    };

    return ski_metrics_write(metrics, COUNT(metrics), buf);
}

static skald_err put_traces(const ski_otlp_counters *counters, skald_buf *buf)
{
    const ski_metric metrics[] = {
        {"skald_otlp_spans_exported_total", "Spans the collector took.", "counter",
         (double)counters->exported},
        {"skald_otlp_spans_dropped_total", "Spans for which the queue had no room.", "counter",
         (double)counters->dropped},
        {"skald_otlp_spans_failed_total", "Spans given up: refused, or never taken.", "counter",
         (double)counters->failed},
        {"skald_otlp_retries_total", "Requests to the collector made again.", "counter",
         (double)counters->retries},
    };

    return ski_metrics_write(metrics, COUNT(metrics), buf);
}

static skald_err put_process(skald_buf *buf)
{
    ski_process process;

    ski_process_get(&process);
    const ski_metric metrics[] = {
        {"skald_process_resident_memory_bytes", "Memory in use.", "gauge",
         (double)process.resident_bytes},
        {"skald_process_virtual_memory_bytes", "Address space in use.", "gauge",
         (double)process.virtual_bytes},
        {"skald_process_cpu_seconds_total", "Processor time, of all threads.", "counter",
         (double)process.cpu_us / 1e6},
        {"skald_process_open_fds", "File descriptors in use.", "gauge", (double)process.files},
        {"skald_process_max_fds", "File descriptors there may be.", "gauge",
         (double)process.files_max},
        {"skald_process_threads", "Threads.", "gauge", (double)process.threads},
        {"skald_process_start_time_seconds", "When the process began, since 1970.", "gauge",
         (double)process.started_at / 1e6},
    };

    return ski_metrics_write(metrics, COUNT(metrics), buf);
}

// Queues: everything that fills up, with its limit, under one name each for things and for bytes,
// so that one alert watches them all.
typedef struct queue {
    const char *name;
    uint64_t now, max;
    bool bytes, left_out;
} queue;

static skald_err put_family(const queue *queues, size_t count, bool bytes, bool max, skald_buf *buf)
{
    static const struct {
        const char *name, *help;
    } families[2][2] = {
        {{"skald_queue_items", "What waits or is held, by queue."},
         {"skald_queue_items_max", "How much may; beyond it there is a refusal or a wait."}},
        {{"skald_queue_bytes", "Bytes that wait or are held, by queue."},
         {"skald_queue_bytes_max", "How many may; beyond it there is a refusal or a wait."}},
    };
    const char *name = families[bytes][max].name;

    SKALD_TRY(ski_metric_head(name, families[bytes][max].help, "gauge", buf));
    for (size_t i = 0; i < count; i++) {
        if (queues[i].bytes != bytes || queues[i].left_out) continue;
        SKALD_TRY(ski_buf_print(buf, "%s{queue=\"%s\"} %llu\n", name, queues[i].name,
                                (unsigned long long)(max ? queues[i].max : queues[i].now)));
    }
    return SKALD_OK;
}

static skald_err put_queues(const ski_measured *measured, const skald_store_state *state,
                            const ski_http_counters *http, const ski_otlp_counters *otlp,
                            skald_buf *buf)
{
    ski_bus_queues bus;

    ski_bus_queues_get(measured->bus, &bus);
    const queue queues[] = {
        {"http_connections", http->connections_now, http->connections_max, false, !measured->http},
        {"http_requests", http->requests_now, http->requests_max, false, !measured->http},
        {"http_workers", http->workers_queue_now, http->workers_queue_max, false, !measured->http},
        {"http_bodies", http->bodies_bytes_now, http->bodies_bytes_max, true, !measured->http},
        {"http_heads", http->heads_bytes_now, http->heads_bytes_max, true, !measured->http},
        {"http_unsent", http->unsent_bytes_now, http->unsent_bytes_max, true, !measured->http},
        {"http_streams", http->streams_bytes_now, http->streams_bytes_max, true, !measured->http},
        {"store_appends", state->bytes_waiting, state->bytes_waiting_max, true,
         !state->bytes_waiting_max},
        {"bus_subscriptions", bus.subscriptions, bus.subscriptions_max, false, false},
        {"bus_deliveries", bus.deliveries, bus.deliveries_max, false, false},
        {"bus_workers", bus.workers_busy, bus.workers_max, false, false},
        {"bus_scheduled", bus.scheduled, bus.scheduled_max, false, false},
        {"bus_pages", bus.pages_bytes, bus.pages_bytes_max, true, false},
        {"otlp_spans", otlp->queued, otlp->queue_max, false, !measured->otlp},
    };

    for (int family = 0; family < 4; family++)
        SKALD_TRY(put_family(queues, COUNT(queues), family & 2, family & 1, buf));
    return SKALD_OK;
}

skald_err ski_measures_put(const ski_measured *measured, skald_buf *buf)
{
    ski_http_counters http = {0};
    ski_otlp_counters otlp = {0};
    skald_store_state state;

    skald_store_state_get(measured->store, &state);
    if (measured->http) ski_http_counters_get(measured->http, &http);
    if (measured->otlp) ski_otlp_counters_get(measured->otlp, &otlp);
    SKALD_TRY(ski_metric_head("skald_build_info", "What runs.", "gauge", buf));
    SKALD_TRY(ski_buf_print(buf, "skald_build_info{version=\"%s\"} 1\n", SKALD_VERSION_TEXT));
    SKALD_TRY(put_store(&state, buf));
    SKALD_TRY(put_bus(measured->bus, buf));
    if (measured->http) SKALD_TRY(put_http(&http, buf));
    SKALD_TRY(put_traces(&otlp, buf));
    SKALD_TRY(put_queues(measured, &state, &http, &otlp, buf));
    return put_process(buf);
}
