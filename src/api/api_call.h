// SPDX-License-Identifier: Apache-2.0
// api/api_call.h - what is known of one request while it is answered: its route, the version it is
// to be answered in, headers of its reply, what happens beside the handler.
//
// A call lives in the scratch of its request and belongs to whichever thread has the request.
#ifndef SKI_API_API_CALL_H
#define SKI_API_API_CALL_H

#include "api/routes.h"

enum { SKI_CALL_HEADERS_MAX = 24 };

typedef struct ski_call {
    const ski_route *route;                        // NULL: no such path or method
    unsigned version;                              // major number asked for
    skald_time at;                                 // when its head was there
    uint16_t media;                                // of the reply, one bit of the route's
    uint8_t body_media;                            // of ski_media, and 1; 0: not looked at yet
    bool vendor;                                   // Accept asked for application/vnd.skald.vN+json
    ski_http_header headers[SKI_CALL_HEADERS_MAX]; // the request's reply_headers
    struct ski_replay *replay;                     // with an Idempotency-Key: api_idempotency.c
} ski_call;

static inline ski_call *ski_call_of(const ski_http_request *request)
{
    return request->call;
}

// ski_call_header adds a header to whatever the reply will be, unless the reply brings one of that
// name. One that is there already is replaced. name is a constant; value is borrowed from scratch
// or a constant. Beyond SKI_CALL_HEADERS_MAX it is left out. The guard's and the handler's.
void ski_call_header(ski_http_request *request, skald_str name, skald_str value);

// ski_call_once gives the value of a header that may be there once; not given: it is not there.
// Fails: INVALID (there are two).
skald_err ski_call_once(const ski_http_request *request, const char *name, skald_str *ret_value,
                        skald_error *reterr_error) SKALD_CHECK;

// ski_call_json is the media type of a reply that is JSON; NULL: application/json.
const char *ski_call_json(const ski_http_request *request);

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
