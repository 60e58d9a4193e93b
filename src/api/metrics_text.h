// SPDX-License-Identifier: Apache-2.0
// api/metrics_text.h - writing what Prometheus reads: its text format 0.0.4, and OpenMetrics 1.0.
#ifndef SKI_API_METRICS_TEXT_H
#define SKI_API_METRICS_TEXT_H

#include "base/histogram.h"

// ski_metric is one without labels. kind: "gauge" or "counter"; a counter's name ends in _total.
typedef struct ski_metric {
    const char *name, *help, *kind;
    double value;
} ski_metric;

// ski_metric_head begins a family, ski_metric_label writes a label's value with its escapes.
skald_err ski_metric_head(const char *name, const char *help, const char *kind, skald_buf *buf)
    SKALD_CHECK;
skald_err ski_metric_label(skald_str text, skald_buf *buf) SKALD_CHECK;
skald_err ski_metrics_write(const ski_metric *metrics, size_t count, skald_buf *buf) SKALD_CHECK;
// ski_metric_times writes the series of one histogram, in seconds; labels stand between its braces:
// "route=\"/\"", or empty.
skald_err ski_metric_times(const char *name, const char *labels, const ski_histogram_seen *seen,
                           skald_buf *buf) SKALD_CHECK;

// ski_metrics_open appends text as OpenMetrics.
skald_err ski_metrics_open(skald_str text, skald_buf *buf) SKALD_CHECK;

#endif
