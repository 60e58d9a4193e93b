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

// ski_body_media says what a request's Content-Type is; none counts as JSON.
typedef enum ski_media {
    SKI_MEDIA_JSON,
    SKI_MEDIA_NDJSON,
    SKI_MEDIA_CLOUDEVENT,
    SKI_MEDIA_CLOUDEVENTS,
    SKI_MEDIA_BINARY, // a CloudEvent whose attributes are in headers
    SKI_MEDIA_OTHER
} ski_media;
ski_media ski_body_media(const ski_http_request *request);

#endif
