// SPDX-License-Identifier: Apache-2.0
// Counts of HTTP requests: how many, how they ended, how long they took. The label is the route's
// pattern, never the path that was asked for, so their number is bounded.
#include "api/api_metrics.h"
#include "api/metrics_text.h"
#include "base/buf.h"

#include <stdatomic.h>
#include <stdio.h>

enum { labels_bytes = 256 };

static void refusal_count(ski_metrics *metrics, unsigned status)
{
    ski_metrics_refusal refusal;

    switch (status) {
    case 401: refusal = SKI_REFUSED_UNKNOWN; break;
    case 403: refusal = SKI_REFUSED_DENIED; break;
    case 429: refusal = SKI_REFUSED_RATE; break;
    case 503: refusal = SKI_REFUSED_OVERLOAD; break;
    default: return;
    }
    atomic_fetch_add_explicit(&metrics->refused[refusal], 1, memory_order_relaxed);
}

void ski_metrics_count(ski_metrics *metrics, size_t route_index, unsigned status, uint64_t took_ns)
{
    size_t index = route_index < SKI_METRICS_ROUTES_MAX ? route_index : SKI_METRICS_ROUTES_MAX;
    ski_metrics_route *route = &metrics->routes[index];

    ski_histogram_add(&route->took, took_ns);
    atomic_fetch_add_explicit(&route->status[status / 100 % 6], 1, memory_order_relaxed);
    refusal_count(metrics, status);
}

static uint64_t got(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

typedef skald_err put_fn(const ski_metrics_route *route, const char *method, const char *path,
                         skald_buf *buf);

static skald_err put_statuses(const ski_metrics_route *route, const char *method, const char *path,
                              skald_buf *buf)
{
    for (unsigned hundred = 1; hundred < 6; hundred++) {
        uint64_t count = got(&route->status[hundred]);
        if (!count) continue;
        SKALD_TRY(ski_buf_print(buf,
                                "skald_http_requests_total{method=\"%s\",route=\"%s\","
                                "status=\"%uxx\"} %llu\n",
                                method, path, hundred, (unsigned long long)count));
    }
    return SKALD_OK;
}

static skald_err put_times(const ski_metrics_route *route, const char *method, const char *path,
                           skald_buf *buf)
{
    char labels[labels_bytes];
    ski_histogram_seen seen;

    ski_histogram_see(&route->took, &seen);
    if (!seen.all) return SKALD_OK;
    (void)snprintf(labels, sizeof labels, "method=\"%s\",route=\"%s\"", method, path);
    return ski_metric_times("skald_http_request_duration_seconds", labels, &seen, buf);
}

static skald_err put_routes(const ski_metrics *metrics, ski_metrics_route_of *route_of, put_fn *put,
                            skald_buf *buf)
{
    const char *method;
    const char *path;

    for (size_t i = 0; i < SKI_METRICS_ROUTES_MAX && route_of(i, &method, &path); i++)
        SKALD_TRY(put(&metrics->routes[i], method, path, buf));
    return put(&metrics->routes[SKI_METRICS_ROUTES_MAX], "other", "none", buf);
}

static skald_err put_refused(const ski_metrics *metrics, skald_buf *buf)
{
    static const char *const reasons[SKI_REFUSALS] = {"unknown", "denied", "rate", "overload"};

    SKALD_TRY(ski_metric_head("skald_http_refused_total",
                              "Requests answered with 401 (unknown), 403 (denied), 429 (rate) or "
                              "503 (overload).",
                              "counter", buf));
    for (size_t i = 0; i < SKI_REFUSALS; i++) {
        SKALD_TRY(ski_buf_print(buf, "skald_http_refused_total{reason=\"%s\"} %llu\n", reasons[i],
                                (unsigned long long)got(&metrics->refused[i])));
    }
    return SKALD_OK;
}

skald_err ski_metrics_put(const ski_metrics *metrics, ski_metrics_route_of *route_of,
                          skald_buf *buf)
{
    const ski_metric others[] = {
        {"skald_live_events_total", "Events written to live streams (SSE).", "counter",
         (double)got(&metrics->live_events)},
        {"skald_backups_total", "Backups made.", "counter", (double)got(&metrics->backups)},
        {"skald_backups_failed_total", "Backups that could not be made.", "counter",
         (double)got(&metrics->backups_failed)},
        {"skald_backup_timestamp_seconds",
         "When the last backup of this store was done by a server, since 1970; 0: never.", "gauge",
         (double)atomic_load_explicit(&metrics->backup_at, memory_order_relaxed) / 1e6},
    };

    SKALD_TRY(ski_metric_head("skald_http_requests_total", "Requests answered.", "counter", buf));
    SKALD_TRY(put_routes(metrics, route_of, put_statuses, buf));
    SKALD_TRY(ski_metric_head("skald_http_request_duration_seconds",
                              "From the head of a request to its reply.", "histogram", buf));
    SKALD_TRY(put_routes(metrics, route_of, put_times, buf));
    SKALD_TRY(put_refused(metrics, buf));
    return ski_metrics_write(others, sizeof others / sizeof *others, buf);
}
