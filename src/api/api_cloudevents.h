// SPDX-License-Identifier: Apache-2.0
// api/api_cloudevents.h - CloudEvents over HTTP beside the structured form: attributes in headers.
#ifndef SKI_API_API_CLOUDEVENTS_H
#define SKI_API_API_CLOUDEVENTS_H

#include "net/http.h"

// ski_cloudevent_structured makes the structured form, in scratch, of a request in binary mode: the
// ce- headers are its attributes, Content-Type is that of its data, the body its data. Fails:
// INVALID (the header), UNSUPPORTED (data that is no JSON), NOMEM.
skald_err ski_cloudevent_structured(ski_http_request *request, skald_str *ret_event,
                                    skald_error *reterr_error) SKALD_CHECK;

// ski_cloudevent_value undoes what the HTTP binding does to a value: quotes with backslashes, then
// percent-encoding. Fails: INVALID, NOMEM.
skald_err ski_cloudevent_value(skald_str value, skald_arena *arena, skald_str *ret_text)
    SKALD_CHECK;

#endif
