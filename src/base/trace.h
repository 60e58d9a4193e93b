// SPDX-License-Identifier: Apache-2.0
// base/trace.h - trace context (W3C, "traceparent"), and the spans made of what is traced.
//
// Whoever begins something that takes time makes a ski_trace of its own, as a child of the one it
// was given; at its end it tells the tracer, once, and only what is sampled. Without a tracer
// contexts are handed on as they came.
#ifndef SKI_BASE_TRACE_H
#define SKI_BASE_TRACE_H

#include <skald/base.h>

enum {
    SKI_TRACE_TEXT = 55, // length of a traceparent, no NUL counted
    SKI_SPAN_FIELDS_MAX = 10,
};

typedef struct ski_trace {
    uint8_t trace_id[16]; // all zero: there is none
    uint8_t span_id[8];
    bool sampled;
} ski_trace;

bool ski_trace_given(const ski_trace *trace);
// ski_trace_parse reads a traceparent of version 00, or the part of a later one that is alike.
// False: it is none, and ret_trace is untouched.
bool ski_trace_parse(skald_str text, ski_trace *ret_trace);
void ski_trace_print(const ski_trace *trace, char ret_text[SKI_TRACE_TEXT + 1]);

// What a span was for; the numbers are those of OTLP.
typedef enum ski_span_kind {
    SKI_SPAN_INTERNAL = 1,
    SKI_SPAN_SERVER = 2,
    SKI_SPAN_CLIENT = 3,
    SKI_SPAN_PRODUCER = 4,
    SKI_SPAN_CONSUMER = 5,
} ski_span_kind;

typedef struct ski_span_field {
    const char *key; // static
    skald_str text;  // not given: number
    int64_t number;
} ski_span_field;

typedef struct ski_span {
    ski_trace trace;   // its own
    uint8_t parent[8]; // its parent's span_id; all zero: it is the first of its trace
    ski_span_kind kind;
    skald_str name;
    skald_time began_at;
    uint64_t took_ns;
    ski_span_field fields[SKI_SPAN_FIELDS_MAX];
    size_t field_count;
    skald_str failed; // why; not given: it did not
} ski_span;

// ski_tracer takes spans; end borrows for the call, is called on any thread, also under locks, and
// neither waits nor calls back. Any thread may make ids of it.
typedef struct ski_tracer {
    void *context;
    void (*end)(void *context, const ski_span *span);
    uint64_t seed;               // random
    uint32_t sampled_of_million; // of the traces that begin here
    _Atomic uint64_t serial;     // its own
} ski_tracer;

ski_trace ski_trace_root(ski_tracer *tracer); // a new one, sampled or not
ski_trace ski_trace_child(ski_tracer *tracer, const ski_trace *parent);
// ski_trace_child_of always gives the same child for the same number, which is not used for two.
ski_trace ski_trace_child_of(const ski_tracer *tracer, const ski_trace *parent, uint64_t number);

#endif
