// SPDX-License-Identifier: Apache-2.0
// api/api_gate.h - what every request passes before its handler.
#ifndef SKI_API_API_GATE_H
#define SKI_API_API_GATE_H

#include "api/api_call.h"

// The guard begins with ski_call_new, which makes the call, and when the caller may come in ends
// with ski_call_admit: which version, which form of answer, and does the route know the parameters?
// Fails: INVALID, UNSUPPORTED, NOMEM.
skald_err ski_call_new(ski_http_request *request, skald_error *reterr_error) SKALD_CHECK;
skald_err ski_call_admit(ski_http_request *request, skald_error *reterr_error) SKALD_CHECK;

// ski_call_run is the handler of every route: what comes before the route's own.
ski_http_handler ski_call_run;
// ski_call_now is the same for a route's now.
bool ski_call_now(ski_http_request *request);

#endif
