// SPDX-License-Identifier: Apache-2.0
// api/api_metrics.h - counts of HTTP requests by route, status class and time. Written on the loop,
// read from any thread.
#ifndef SKI_API_API_METRICS_H
#define SKI_API_API_METRICS_H

#include "net/http.h"
#include <stdatomic.h>

enum {
    SKI_METRICS_ROUTES_MAX = 64,
    SKI_METRICS_BUCKETS = 12, // upper bounds in api_metrics.c; one more for the rest
};

typedef struct ski_metrics_route {
    _Atomic uint64_t status[6]; // by hundreds
    _Atomic uint64_t bucket[SKI_METRICS_BUCKETS + 1];
    _Atomic uint64_t took_ns;
} ski_metrics_route;

typedef struct ski_metrics {
    ski_metrics_route routes[SKI_METRICS_ROUTES_MAX + 1]; // the last: requests of no route
} ski_metrics;

// ski_metrics_count is one request that was answered; route_index beyond the table counts as of no
// route.
void ski_metrics_count(ski_metrics *metrics, size_t route_index, unsigned status, uint64_t took_ns);
// ski_metrics_put appends them as Prometheus text.
skald_err ski_metrics_put(const ski_metrics *metrics, const ski_http_route *routes, skald_buf *buf)
    SKALD_CHECK;

#endif
