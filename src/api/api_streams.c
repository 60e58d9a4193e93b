// SPDX-License-Identifier: Apache-2.0
// GET /api/streams, GET and POST /api/streams/{stream}.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"

static skald_err put_streams(const skald_counted *streams, size_t count, uint32_t limit,
                             skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"data\":[")));
    for (size_t i = 0; i < count; i++) {
        SKALD_TRY(skald_buf_put(buf, i ? SKALD_STR(",{\"stream\":") : SKALD_STR("{\"stream\":")));
        SKALD_TRY(ski_json_put_string(buf, streams[i].name));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"category\":")));
        SKALD_TRY(ski_json_put_string(buf, skald_event_category(streams[i].name)));
        SKALD_TRY(ski_buf_print(buf, ",\"version\":%llu,\"lastPosition\":%llu}",
                                (unsigned long long)streams[i].count,
                                (unsigned long long)streams[i].position_last));
    }
    SKALD_TRY(ski_buf_print(buf, "],\"pagination\":{\"limit\":%u,\"nextCursor\":", limit));
    SKALD_TRY(ski_json_put_string(buf, count == limit ? streams[count - 1].name : (skald_str){0}));
    return skald_buf_put(buf, SKALD_STR("}}"));
}

// ski_get_streams: category is the prefix "category-"; afterName is the nextCursor of the page
// before.
skald_err ski_get_streams(ski_http_request *request, skald_error *reterr_error)
{
    static const char *const allowed[] = {"category", "prefix",   "afterName",
                                          "limit",    "tenantId", NULL};
    const skald_counted *streams = NULL;
    skald_buf buf = ski_reply_buf();
    skald_str prefix;
    size_t count = 0;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, allowed, &query, reterr_error));
    prefix = query.prefix;
    if (query.read.filter.categories.count) {
        skald_str category = query.read.filter.categories.items[0];
        if (prefix.len || query.read.filter.categories.count > 1) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "query.category",
                                 "give one category or one prefix, not more");
        }
        prefix = skald_arena_print(request->scratch, "%.*s-", SKALD_FMT(category));
        if (!prefix.ptr) return SKALD_ENOMEM;
    }
    err = skald_store_streams(ski_api_of(request)->store, query.read.filter.tenant, prefix,
                              query.after_name, query.limit, request->scratch, &streams, &count);
    if (!err) err = put_streams(streams, count, query.limit, &buf);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_get_stream(ski_http_request *request, skald_error *reterr_error)
{
    static const char *const allowed[] = {"fromVersion", "toVersion", "asOf",
                                          "direction",   "limit",     "after",
                                          "before",      "tenantId",  NULL};
    ski_api *api = ski_api_of(request);
    skald_buf buf = ski_reply_buf();
    skald_str tenant;
    uint64_t version = 0;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, allowed, &query, reterr_error));
    if (!query.read.filter.tenant.ptr) query.read.filter.tenant = SKALD_STR("");
    tenant = query.read.filter.tenant;
    SKALD_TRY(skald_stream_version(api->store, tenant, request->parameters[0], &version));
    if (!version) {
        return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "stream", "there is no stream '%.*s'",
                             SKALD_FMT(request->parameters[0]));
    }
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
