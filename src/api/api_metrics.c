// SPDX-License-Identifier: Apache-2.0
// Counts of HTTP requests: how many, how they ended, how long they took. The label is the route's
// pattern, never the path that was asked for, so their number is bounded.
#include "api/api_metrics.h"
#include "base/buf.h"

// Upper bounds of the buckets, in microseconds: from a request answered out of memory to one that
// waited for a busy disk.
static const uint64_t bounds_us[SKI_METRICS_BUCKETS] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 100000, 500000, 2500000, 10000000,
};

void ski_metrics_count(ski_metrics *metrics, size_t route_index, unsigned status, uint64_t took_ns)
{
    size_t index = route_index < SKI_METRICS_ROUTES_MAX ? route_index : SKI_METRICS_ROUTES_MAX;
    ski_metrics_route *route = &metrics->routes[index];
    size_t bucket = 0;

    while (bucket < SKI_METRICS_BUCKETS && took_ns > bounds_us[bucket] * 1000) bucket++;
    atomic_fetch_add_explicit(&route->bucket[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&route->took_ns, took_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&route->status[status / 100 % 6], 1, memory_order_relaxed);
}

static uint64_t got(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

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
    const char *name = "skald_http_request_duration_seconds";
    uint64_t sum = 0;
    uint64_t all = 0;

    for (size_t i = 0; i <= SKI_METRICS_BUCKETS; i++) all += got(&route->bucket[i]);
    if (!all) return SKALD_OK;
    for (size_t i = 0; i < SKI_METRICS_BUCKETS; i++) {
        sum += got(&route->bucket[i]);
        SKALD_TRY(ski_buf_print(buf, "%s_bucket{method=\"%s\",route=\"%s\",le=\"%g\"} %llu\n", name,
                                method, path, (double)bounds_us[i] / 1e6, (unsigned long long)sum));
    }
    return ski_buf_print(buf,
                         "%s_bucket{method=\"%s\",route=\"%s\",le=\"+Inf\"} %llu\n"
                         "%s_sum{method=\"%s\",route=\"%s\"} %.6f\n"
                         "%s_count{method=\"%s\",route=\"%s\"} %llu\n",
                         name, method, path, (unsigned long long)all, name, method, path,
                         (double)got(&route->took_ns) / 1e9, name, method, path,
                         (unsigned long long)all);
}

skald_err ski_metrics_put(const ski_metrics *metrics, const ski_http_route *routes, skald_buf *buf)
{
    typedef skald_err put_fn(const ski_metrics_route *, const char *, const char *, skald_buf *);
    static const struct {
        const char *head;
        put_fn *put;
    } families[] = {
        {"# HELP skald_http_requests_total Requests answered.\n"
         "# TYPE skald_http_requests_total counter\n",
         put_statuses},
        {"# HELP skald_http_request_duration_seconds From the head of a request to its reply.\n"
         "# TYPE skald_http_request_duration_seconds histogram\n",
         put_times},
    };

    for (size_t family = 0; family < sizeof families / sizeof *families; family++) {
        SKALD_TRY(skald_buf_put(buf, skald_str_of(families[family].head)));
        for (size_t i = 0; routes[i].method && i < SKI_METRICS_ROUTES_MAX; i++) {
            SKALD_TRY(
                families[family].put(&metrics->routes[i], routes[i].method, routes[i].path, buf));
        }
        SKALD_TRY(
            families[family].put(&metrics->routes[SKI_METRICS_ROUTES_MAX], "other", "none", buf));
    }
    return SKALD_OK;
}
