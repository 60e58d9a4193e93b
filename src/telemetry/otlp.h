// SPDX-License-Identifier: Apache-2.0
// telemetry/otlp.h - sends spans to a collector: OTLP over HTTP, JSON, gzip.
//
// Spans wait in a queue of stated length and go in batches from a thread of its own. Nobody who
// ends a span ever waits: what does not fit into the queue is dropped and counted. Any thread.
#ifndef SKI_TELEMETRY_OTLP_H
#define SKI_TELEMETRY_OTLP_H

#include "base/trace.h"
#include "os/kernel.h"

#include <skald/limit.h>

typedef struct ski_otlp ski_otlp;

// The settings telemetry.otlp_url, telemetry.headers_file, telemetry.service, telemetry.sample.
typedef struct ski_otlp_options {
    // "http://127.0.0.1:4318", to which /v1/traces is added unless it ends with that. It may hold a
    // user and password.
    const char *url;
    const char *headers_file;    // lines "Name: value", sent with every batch; NULL: none
    const char *service;         // service.name: "skald"
    uint32_t sampled_of_million; // of the traces that begin here; others are as their parent says
    uint32_t queue_max;          // spans that wait: 4096
    uint32_t batch_max;          // spans in one request: 512
    uint32_t delay_ms;           // a batch that is not full waits so long: 1000
    uint32_t timeout_ms;         // of one request: 10000
    uint32_t attempts_max;       // for one batch: 5
    uint32_t retry_ms;           // between two of them: 1000
    uint32_t open_ms;            // after three failures in a row nothing is sent so long: 30000
    const skald_log *log;
    const ski_kernel *kernel; // NULL: the system's
} ski_otlp_options;

// ski_otlp_start begins; it does not connect yet. Fails: INVALID (the URL, a line of the headers
// file; what stands in the file is never told), NOTFOUND, DENIED, IO (the file), NOMEM.
skald_err ski_otlp_start(const ski_otlp_options *options, ski_otlp **ret_otlp,
                         skald_error *reterr_error) SKALD_CHECK;
// ski_otlp_stop sends what waits as far as timeout_ms allows, and frees it: nobody ends spans any
// more. NULL is allowed.
void ski_otlp_stop(ski_otlp *otlp, uint32_t timeout_ms);

ski_tracer *ski_otlp_tracer(ski_otlp *otlp); // lives as long; NULL for NULL

typedef struct ski_otlp_counters {
    uint64_t exported, dropped;  // spans: taken by the collector; for want of room
    uint64_t failed;             // spans given up: refused, or attempts_max was reached
    uint64_t retries;            // requests made again
    uint32_t queued, queue_max;  // spans that wait now
    skald_breaker_state circuit; // to the collector
} ski_otlp_counters;
void ski_otlp_counters_get(ski_otlp *otlp, ski_otlp_counters *ret_counters);

#endif
