// SPDX-License-Identifier: Apache-2.0
// api/api_span.h - a request as a part of a trace.
#ifndef SKI_API_API_SPAN_H
#define SKI_API_API_SPAN_H

#include "net/http.h"

struct ski_otlp;

// ski_span_begin sets request->traceparent, which its reply and its events bear: with an exporter
// the span of this request, if it is sampled; else what the caller sent, if it is one. The guard
// calls it.
void ski_span_begin(ski_http_request *request, struct ski_otlp *otlp, bool quiet);
// ski_span_end tells the exporter, if the request is sampled. path: of the route, NULL for none.
void ski_span_end(const ski_http_request *request, struct ski_otlp *otlp, const char *path,
                  unsigned status, uint64_t took_ns);

#endif
