// SPDX-License-Identifier: Apache-2.0
// api/api_metrics.h - counts of HTTP requests by route, status class and time, and what /metrics
// says of everything else. Written on the loop and by workers, read from
// any thread.
#ifndef SKI_API_API_METRICS_H
#define SKI_API_API_METRICS_H

#include "base/histogram.h"
#include "net/http.h"
#include <skald/bus.h>

enum { SKI_METRICS_ROUTES_MAX = 160 };

typedef struct ski_metrics_route {
    _Atomic uint64_t status[6]; // by hundreds
    ski_histogram took;
} ski_metrics_route;

// Answers that say more than their class: operators watch for them.
typedef enum ski_metrics_refusal {
    SKI_REFUSED_UNKNOWN,  // 401
    SKI_REFUSED_DENIED,   // 403
    SKI_REFUSED_RATE,     // 429
    SKI_REFUSED_OVERLOAD, // 503
    SKI_REFUSALS
} ski_metrics_refusal;

typedef struct ski_metrics {
    ski_metrics_route routes[SKI_METRICS_ROUTES_MAX + 1]; // the last: requests of no route
    _Atomic uint64_t refused[SKI_REFUSALS];
    _Atomic uint64_t live_events; // written to live streams
    _Atomic uint64_t backups, backups_failed;
    _Atomic int64_t backup_at; // of the last one, kept over restarts; microseconds since 1970
} ski_metrics;

// ski_metrics_count is one request that was answered; route_index beyond the table counts as of no
// route.
void ski_metrics_count(ski_metrics *metrics, size_t route_index, unsigned status, uint64_t took_ns);
// ski_metrics_put appends them as Prometheus text; route_of gives a route's method and path, false
// behind the last.
typedef bool ski_metrics_route_of(size_t index, const char **ret_method, const char **ret_path);
skald_err ski_metrics_put(const ski_metrics *metrics, ski_metrics_route_of *route_of,
                          skald_buf *buf) SKALD_CHECK;

// api_measures.c: store, bus, process; every queue with its limit. http may be NULL.
typedef struct ski_measured {
    skald_bus *bus;
    skald_store *store;
    const ski_http *http;
    struct ski_otlp *otlp; // NULL: there is none
    skald_arena *scratch;
} ski_measured;
skald_err ski_measures_put(const ski_measured *measured, skald_buf *buf) SKALD_CHECK;
// api_measures_subs.c: subscriptions; the first SKI_MEASURES_SUBSCRIPTIONS_MAX durable ones by name
// have series of their own, the others together one set. Waits.
enum { SKI_MEASURES_SUBSCRIPTIONS_MAX = 200 };
skald_err ski_measures_subscriptions_put(const ski_measured *measured, skald_buf *buf) SKALD_CHECK;

#endif
