// SPDX-License-Identifier: Apache-2.0
// What every reply of the API has in common: JSON, the caller's correlation id given back, and one
// way to say that something is wrong.
#include "api/api_parts.h"
#include "base/str.h"

#include <stdio.h>

skald_buf ski_reply_buf(void)
{
    return (skald_buf){.bytes_max = SKI_API_REPLY_BYTES_MAX};
}

skald_err ski_reply_position(ski_http_request *request, unsigned status, skald_str body,
                             uint64_t position, skald_str correlation_id)
{
    ski_http_header headers[2];
    size_t count = 0;
    char digits[24];

    if (position) {
        int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)position);
        headers[count++] =
            (ski_http_header){SKALD_STR("X-Event-Position"), ski_str(digits, (size_t)len)};
    }
    if (correlation_id.len && !request->correlation_id.len) {
        headers[count++] = (ski_http_header){SKALD_STR("X-Correlation-ID"), correlation_id};
    }
    return ski_http_reply_send(request->http, request->id,
                               &(ski_http_reply){
                                   .status = status,
                                   .body = body,
                                   .headers = headers,
                                   .header_count = count,
                               });
}

skald_err ski_reply_json(ski_http_request *request, unsigned status, skald_str body)
{
    return ski_reply_position(request, status, body, 0, (skald_str){0});
}

void ski_reply_fail(ski_http_request *request, skald_err err, skald_error *error)
{
    skald_error plain = {0};

    if (!error || !error->err) {
        skald_fail(&plain, err, "%s", skald_err_text(err));
        error = &plain;
    }
    // STALE: somebody answered already, which is what we wanted.
    (void)!ski_http_problem(request->http, request->id, error);
}

ski_media ski_body_media(const ski_http_request *request)
{
    static const struct {
        const char *name;
        ski_media media;
    } types[] = {
        {"application/json", SKI_MEDIA_JSON},
        {"application/x-ndjson", SKI_MEDIA_NDJSON},
        {"application/ndjson", SKI_MEDIA_NDJSON},
        {"application/jsonl", SKI_MEDIA_NDJSON},
        {"application/cloudevents+json", SKI_MEDIA_CLOUDEVENT},
        {"application/cloudevents-batch+json", SKI_MEDIA_CLOUDEVENTS},
    };
    skald_str parameters;
    skald_str type = ski_str_cut(ski_http_header_get(request, "content-type"), ';', &parameters);

    type = ski_str_trim(type);
    if (!type.len) return SKI_MEDIA_JSON;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (ski_str_equal_nocase(type, skald_str_of(types[i].name))) return types[i].media;
    }
    return SKI_MEDIA_OTHER;
}
