// SPDX-License-Identifier: Apache-2.0
// telemetry/otlp_inside.h - what the files of the exporter share: a span that waits, and how it is
// written.
#ifndef SKI_TELEMETRY_OTLP_INSIDE_H
#define SKI_TELEMETRY_OTLP_INSIDE_H

#include "telemetry/otlp.h"

enum {
    SKI_OTLP_TEXT_BYTES = 640, // of all texts of one span; what does not fit is cut
    SKI_OTLP_HEADERS_MAX = 32,
    SKI_OTLP_HEADERS_BYTES_MAX = 16 * 1024,
};

// A piece of a record's text.
typedef struct ski_otlp_text {
    uint16_t at, len;
} ski_otlp_text;

// ski_otlp_record is a span, copied.
typedef struct ski_otlp_record {
    ski_trace trace;
    uint8_t parent[8];
    uint8_t kind, field_count;
    bool failed;
    skald_time began_at;
    uint64_t took_ns;
    ski_otlp_text name, why;
    struct {
        const char *key;
        ski_otlp_text text;
        int64_t number;
        bool is_text;
    } fields[SKI_SPAN_FIELDS_MAX];
    char text[SKI_OTLP_TEXT_BYTES];
} ski_otlp_record;

void ski_otlp_record_fill(ski_otlp_record *record, const ski_span *span);

// ski_otlp_encode appends an ExportTraceServiceRequest as JSON. Fails: FULL, NOMEM.
skald_err ski_otlp_encode(const char *service, const char *instance, const ski_otlp_record *records,
                          size_t count, skald_buf *buf) SKALD_CHECK;

// ski_otlp_rejected reads how many spans a collector's answer says it did not take; 0 when it does
// not say so.
uint64_t ski_otlp_rejected(skald_str answer);

// ski_otlp_url appends where to send. Fails: INVALID, NOMEM.
skald_err ski_otlp_url(const char *url, skald_buf *buf, skald_error *reterr_error) SKALD_CHECK;

// ski_otlp_headers checks the text of a headers file and gives each line to add, terminated, which
// returns false when out of memory. Fails: INVALID (which line), NOMEM.
skald_err ski_otlp_headers(skald_str text, bool (*add)(void *context, const char *line),
                           void *context, skald_error *reterr_error) SKALD_CHECK;

#endif
