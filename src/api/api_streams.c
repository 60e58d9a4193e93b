// SPDX-License-Identifier: Apache-2.0
// GET /api/streams, GET and POST /api/streams/{stream}.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

static skald_err put_streams(const ski_http_request *request, const skald_counted *streams,
                             size_t count, uint32_t limit, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"data\":[")));
    for (size_t i = 0, shown = 0; i < count; i++) {
        if (!ski_auth_sees_stream(request, streams[i].name)) continue;
        SKALD_TRY(
            skald_buf_put(buf, shown++ ? SKALD_STR(",{\"stream\":") : SKALD_STR("{\"stream\":")));
        SKALD_TRY(ski_json_put_string(buf, streams[i].name));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"category\":")));
        SKALD_TRY(ski_json_put_string(buf, skald_event_category(streams[i].name)));
        SKALD_TRY(ski_buf_print(buf, ",\"version\":%llu,\"lastPosition\":%llu",
                                (unsigned long long)streams[i].count,
                                (unsigned long long)streams[i].position_last));
        if (streams[i].tenant.len) {
            SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"tenantId\":")));
            SKALD_TRY(ski_json_put_string(buf, streams[i].tenant));
        }
        SKALD_TRY(ski_buf_byte(buf, '}'));
    }
    SKALD_TRY(ski_buf_print(buf, "],\"pagination\":{\"limit\":%u,\"nextCursor\":", limit));
    SKALD_TRY(ski_json_put_string(buf, count == limit ? streams[count - 1].name : (skald_str){0}));
    return skald_buf_put(buf, SKALD_STR("}}"));
}

// ski_get_streams: category is the prefix "category-"; afterName is the nextCursor of the page
// before.
skald_err ski_get_streams(ski_http_request *request, skald_error *reterr_error)
{
    const skald_counted *streams = NULL;
    skald_buf buf = ski_reply_buf();
    skald_str prefix;
    size_t count = 0;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(ski_auth_whole(request, true, false, "a list of streams", reterr_error));
    prefix = query.prefix;
    if (query.read.filter.categories.count) {
        skald_str category = query.read.filter.categories.items[0];
        bool several = prefix.len || query.read.filter.categories.count > 1;
        bool narrowed = ski_identity_of(request)->categories.count; // then it was not asked for
        if (several && !narrowed) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "query.category",
                                 "give one category or one prefix, not more");
        }
        if (!several) prefix = skald_arena_print(request->scratch, "%.*s-", SKALD_FMT(category));
        if (!several && !prefix.ptr) return SKALD_ENOMEM;
    }
    err = skald_store_streams(ski_api_of(request)->store, query.read.filter.tenant, prefix,
                              query.after_name, query.limit, request->scratch, &streams, &count);
    if (!err) err = put_streams(request, streams, count, query.limit, &buf);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
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

skald_err ski_get_stream(ski_http_request *request, skald_error *reterr_error)
{
    ski_api *api = ski_api_of(request);
    skald_buf buf = ski_reply_buf();
    skald_str tenant, etag;
    uint64_t version = 0;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    if (!query.read.filter.tenant.ptr) query.read.filter.tenant = SKALD_STR("");
    tenant = query.read.filter.tenant;
    if (ski_auth_sees_stream(request, request->parameters[0]))
        SKALD_TRY(skald_stream_version(api->store, tenant, request->parameters[0], &version));
    if (!version) {
        return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "stream", "there is no stream '%.*s'",
                             SKALD_FMT(request->parameters[0]));
    }
    etag = skald_arena_print(request->scratch, "\"%llu\"", (unsigned long long)version);
    if (etag.ptr) ski_call_header(request, SKALD_STR("ETag"), etag);
    query.read.filter.streams = (skald_texts){.items = &request->parameters[0], .count = 1};
    err = ski_list_events(api, &query, &buf, reterr_error);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_post_stream(ski_http_request *request, skald_error *reterr_error)
{
    return ski_events_publish(request, request->parameters[0], reterr_error);
}
