// SPDX-License-Identifier: Apache-2.0
// What is known of one request while it is answered. Headers that were set go with every reply,
// problems too.
#include "api/api_call.h"
#include "base/str.h"

void ski_call_header(ski_http_request *request, skald_str name, skald_str value)
{
    ski_http_header *headers = ski_call_of(request)->headers;
    size_t i = 0, count = request->reply_header_count;

    while (i < count && !ski_str_equal_nocase(headers[i].name, name)) i++;
    if (i == SKI_CALL_HEADERS_MAX) return;
    headers[i] = (ski_http_header){name, value};
    if (i == count) request->reply_header_count++;
}

skald_err ski_call_once(const ski_http_request *request, const char *name, skald_str *ret_value,
                        skald_error *reterr_error)
{
    size_t count = 0;

    *ret_value = ski_http_header_get(request, name);
    if (!ret_value->ptr) return SKALD_OK;
    for (size_t i = 0; i < request->header_count; i++)
        count += ski_str_equal_nocase(request->headers[i].name, skald_str_of(name));
    if (count == 1) return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_EINVALID, name,
                         "is given more than once: which one is meant?");
}

const char *ski_call_json(const ski_http_request *request)
{
    const ski_call *call = ski_call_of(request);

    if (!call->vendor) return NULL;
    return call->version == 1 ? "application/vnd.skald.v1+json" : "application/vnd.skald.v2+json";
}

// body_media_find: JSON with ce- headers is what those say; the other types say it themselves.
static ski_media body_media_find(const ski_http_request *request)
{
    static const struct {
        skald_str name;
        ski_media media;
    } types[] = {
        {{"application/json", 16}, SKI_MEDIA_JSON},
        {{"application/x-ndjson", 20}, SKI_MEDIA_NDJSON},
        {{"application/ndjson", 18}, SKI_MEDIA_NDJSON},
        {{"application/jsonl", 17}, SKI_MEDIA_NDJSON},
        {{"application/cloudevents+json", 28}, SKI_MEDIA_CLOUDEVENT},
        {{"application/cloudevents-batch+json", 34}, SKI_MEDIA_CLOUDEVENTS},
    };
    skald_str parameters;
    skald_str type = ski_str_cut(ski_http_header_get(request, "content-type"), ';', &parameters);
    ski_media media = SKI_MEDIA_OTHER;

    type = ski_str_trim(type);
    if (!type.len) media = SKI_MEDIA_JSON;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!ski_str_equal_nocase(type, types[i].name)) continue;
        media = types[i].media;
        break;
    }
    if (media != SKI_MEDIA_JSON && media != SKI_MEDIA_OTHER) return media;
    // What curl says where nobody said a type is no data's: taken for it, JSON would become base64.
    if (ski_str_equal_nocase(type, SKALD_STR("application/x-www-form-urlencoded"))) return media;
    return ski_http_header_get(request, "ce-specversion").ptr ? SKI_MEDIA_BINARY : media;
}

ski_media ski_body_media(const ski_http_request *request)
{
    ski_call *call = ski_call_of(request);

    if (!call->body_media) call->body_media = (uint8_t)(1 + body_media_find(request));
    return (ski_media)(call->body_media - 1);
}
