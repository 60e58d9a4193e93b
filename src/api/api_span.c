// SPDX-License-Identifier: Apache-2.0
// W3C trace context of requests. A request with a parent is sampled as that says; one without
// begins a trace if the ratio says so, unless it is quiet (health checks, scrapes, pages), and
// otherwise bears none: what it causes is then not traced either.
#include "api/api_span.h"

#include "telemetry/otlp.h"
#include <skald/event.h>

#include <stdio.h>
#include <string.h>

enum { name_bytes = 160, path_bytes_max = 256 };

static skald_str own_text(ski_http_request *request, const ski_trace *own)
{
    char *text = skald_arena_get(request->scratch, SKI_TRACE_TEXT + 1);

    if (!text) return (skald_str){0};
    ski_trace_print(own, text);
    return (skald_str){text, SKI_TRACE_TEXT};
}

void ski_span_begin(ski_http_request *request, struct ski_otlp *otlp, bool quiet)
{
    skald_str given = ski_http_header_get(request, "traceparent");
    ski_tracer *tracer = ski_otlp_tracer(otlp);
    ski_trace parent;
    ski_trace own;

    if (given.len && given.len <= SKALD_TRACEPARENT_BYTES_MAX && ski_trace_parse(given, &parent)) {
        request->traceparent = given;
        if (!tracer || !parent.sampled) return;
        own = ski_trace_child(tracer, &parent);
    } else {
        if (!tracer || quiet) return;
        own = ski_trace_root(tracer);
        if (!own.sampled) return;
    }
    request->traceparent = own_text(request, &own);
}

// span_send ends the span of a request that may have one.
static void span_send(const ski_http_request *request, ski_tracer *tracer, const char *path,
                      unsigned status, uint64_t took_ns)
{
    skald_str url = request->path;
    ski_trace parent;
    char name[name_bytes];
    ski_span span = {.kind = SKI_SPAN_SERVER, .took_ns = took_ns};
    int len;

    if (!ski_trace_parse(request->traceparent, &span.trace) || !span.trace.sampled) return;
    if (ski_trace_parse(ski_http_header_get(request, "traceparent"), &parent))
        memcpy(span.parent, parent.span_id, sizeof span.parent);
    len = snprintf(name, sizeof name, "%.*s%s%s", SKALD_FMT(request->method), path ? " " : "",
                   path ? path : "");
    span.name = (skald_str){name, len < name_bytes ? (size_t)len : name_bytes - 1};
    span.began_at = ski_kernel_system.now(ski_kernel_system.context) - (skald_time)(took_ns / 1000);
    if (url.len > path_bytes_max) url.len = path_bytes_max;
    const ski_span_field fields[] = {
        {.key = "http.request.method", .text = request->method},
        {.key = "url.path", .text = url},
        {.key = "http.response.status_code", .number = status},
        {.key = "http.route", .text = skald_str_of(path)},
        {.key = "skald.correlation_id", .text = request->correlation_id},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].text.ptr || fields[i].number) span.fields[span.field_count++] = fields[i];
    }
    if (status >= 500) span.failed = SKALD_STR("the server could not answer");
    tracer->end(tracer->context, &span);
}

void ski_span_end(const ski_http_request *request, struct ski_otlp *otlp, const char *path,
                  unsigned status, uint64_t took_ns)
{
    ski_tracer *tracer = ski_otlp_tracer(otlp);

    if (tracer && request->traceparent.len) span_send(request, tracer, path, status, took_ns);
}
