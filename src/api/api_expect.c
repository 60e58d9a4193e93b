// SPDX-License-Identifier: Apache-2.0
// Where a stream must stand before it is written to: as an event says it (expectedVersion), or a
// request in its headers (If-Match, If-None-Match).
#include "api/api_parts.h"
#include "base/str.h"

#include <stdio.h>

skald_err ski_api_expect(const skald_event *event, const ski_event_expect *expect,
                         skald_expect *ret_expect, skald_error *reterr_error)
{
    if (!event->stream.len) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "expectedVersion",
                             "is of a stream; give stream too");
    }
    *ret_expect = (skald_expect){
        .tenant = event->tenant,
        .stream = event->stream,
        .expected = (skald_expected)expect->expected, // the same values: event_json.h
        .version = expect->version,
    };
    return SKALD_OK;
}

skald_err ski_api_match(const ski_http_request *request, skald_expect *expect,
                        skald_error *reterr_error)
{
    skald_str match = ski_str_trim(ski_http_header_get(request, "if-match"));
    skald_str none = ski_str_trim(ski_http_header_get(request, "if-none-match"));

    if (match.ptr && none.ptr)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "If-Match",
                             "give If-Match or If-None-Match, not both");
    if (none.ptr) {
        if (!skald_str_equal(none, SKALD_STR("*")))
            return skald_fail_at(reterr_error, SKALD_EINVALID, "If-None-Match",
                                 "must be *: the stream must not exist");
        expect->expected = SKALD_NONE;
        return SKALD_OK;
    }
    if (skald_str_equal(match, SKALD_STR("*"))) {
        expect->expected = SKALD_PRESENT;
        return SKALD_OK;
    }
    expect->expected = SKALD_AT;
    if (match.len > 2 && match.ptr[0] == '"' && match.ptr[match.len - 1] == '"' &&
        !ski_str_u64(ski_str(match.ptr + 1, match.len - 2), &expect->version))
        return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_EINVALID, "If-Match",
                         "must be the ETag of the stream, which is its version in quotes, or *");
}

void ski_api_unmatched(const ski_http_request *request, skald_error *error)
{
    bool match = ski_http_header_get(request, "if-match").ptr != NULL;

    (void)snprintf(error->code, sizeof error->code, "PRECONDITION_FAILED");
    (void)snprintf(error->field, sizeof error->field, match ? "If-Match" : "If-None-Match");
}
