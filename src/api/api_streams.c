// SPDX-License-Identifier: Apache-2.0
// GET /api/streams, GET and POST /api/streams/{stream}.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <stdlib.h>

// The cursor of a page is its last stream's tenant and name, as one text: how many bytes the tenant
// has, a full stop, the tenant, the name.
static skald_err put_cursor(const skald_counted *last, skald_buf *buf, skald_arena *arena)
{
    skald_str cursor = skald_arena_print(arena, "%zu.%.*s%.*s", last->tenant.len,
                                         SKALD_FMT(last->tenant), SKALD_FMT(last->name));

    return cursor.ptr ? ski_json_put_string(buf, cursor) : SKALD_ENOMEM;
}

static bool parse_cursor(skald_str cursor, skald_counted *ret_last)
{
    skald_str rest;
    uint64_t bytes;

    if (ski_str_u64(ski_str_cut(cursor, '.', &rest), &bytes)) return false;
    if (!rest.ptr || bytes > SKALD_TENANT_BYTES_MAX || bytes >= rest.len) return false;
    *ret_last = (skald_counted){.tenant = ski_str(rest.ptr, bytes),
                                .name = ski_str(rest.ptr + bytes, rest.len - bytes)};
    return true;
}

static skald_err put_streams(const ski_http_request *request, const skald_counted *streams,
                             size_t count, uint32_t limit, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"data\":[")));
    for (size_t i = 0; i < count; i++) {
        SKALD_TRY(skald_buf_put(buf, i ? SKALD_STR(",{\"stream\":") : SKALD_STR("{\"stream\":")));
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
    if (count < limit) return skald_buf_put(buf, SKALD_STR("null}}"));
    SKALD_TRY(put_cursor(&streams[count - 1], buf, request->scratch));
    return skald_buf_put(buf, SKALD_STR("}}"));
}

// What a narrowed key sees is listed part by part: nothing else is read, so neither a cursor nor
// the time an answer takes tells of what it may not see. A key has 32 names or categories at most.
typedef struct part {
    skald_str text;
    bool one; // the stream of that name; else all whose names begin so
} part;

typedef struct listing {
    ski_http_request *request;
    skald_str tenant, prefix;
    skald_counted after; // its name is empty: from the first on
    uint32_t limit;
    skald_counted *streams;
    size_t count;
} listing;

static int part_compare(const void *a, const void *b)
{
    return ski_str_compare(((const part *)a)->text, ((const part *)b)->text);
}

// part_add: as much of it as begins with the prefix that was asked for.
static void part_add(const listing *list, part one, part *parts, size_t *count)
{
    if (!ski_str_begins(one.text, list->prefix)) {
        if (one.one || !ski_str_begins(list->prefix, one.text)) return;
        one.text = list->prefix;
    }
    parts[(*count)++] = one;
}

// parts_get gives the parts in the order of their streams' names; none lies in another.
static skald_err parts_get(const listing *list, const skald_filter *filter, part **ret_parts,
                           size_t *ret_count)
{
    const ski_identity *identity = ski_identity_of(list->request);
    skald_texts names = identity->streams, categories = filter->categories;
    part *parts;
    size_t count = 0;

    if (!identity->categories.count) categories.count = 0; // asked for, and so the prefix
    parts = skald_arena_get(list->request->scratch,
                            (names.count + 2 * categories.count + 1) * sizeof *parts);
    if (!parts) return SKALD_ENOMEM;
    for (size_t i = 0; i < names.count; i++)
        part_add(list, (part){names.items[i], true}, parts, &count);
    for (size_t i = 0; i < categories.count; i++) {
        skald_str category = categories.items[i];
        skald_str begins = skald_arena_print(list->request->scratch, "%.*s-", SKALD_FMT(category));

        if (!begins.ptr) return SKALD_ENOMEM;
        part_add(list, (part){category, true}, parts, &count);
        part_add(list, (part){begins, false}, parts, &count);
    }
    qsort(parts, count, sizeof *parts, part_compare);
    *ret_parts = parts;
    *ret_count = count;
    return SKALD_OK;
}

// is_behind: the stream of that name is not of a page before.
static bool is_behind(const listing *list, skald_str name)
{
    int order = list->after.name.len ? ski_str_compare(list->tenant, list->after.tenant) : 1;

    return order > 0 || (order == 0 && ski_str_compare(name, list->after.name) > 0);
}

static skald_err list_part(listing *list, const part *from)
{
    const skald_counted *after = !from->one && list->after.name.len ? &list->after : NULL, *found;
    size_t count = 0, max = from->one ? 1 : list->limit - list->count;

    if (from->one && !is_behind(list, from->text)) return SKALD_OK;
    SKALD_TRY(skald_store_streams(ski_api_of(list->request)->store, list->tenant, from->text, after,
                                  max, list->request->scratch, &found, &count));
    for (size_t i = 0; i < count; i++) {
        if (from->one && !skald_str_equal(found[i].name, from->text)) continue;
        if (ski_auth_sees_stream(list->request, found[i].name))
            list->streams[list->count++] = found[i];
    }
    return SKALD_OK;
}

static skald_err list_parts(listing *list, const skald_filter *filter)
{
    size_t count = 0;
    part *parts;

    SKALD_TRY(parts_get(list, filter, &parts, &count));
    list->streams =
        skald_arena_get(list->request->scratch, (list->limit + 1) * sizeof *list->streams);
    if (!list->streams) return SKALD_ENOMEM;
    for (size_t i = 0; i < count && list->count < list->limit; i++) {
        if (i && skald_str_equal(parts[i].text, parts[i - 1].text)) continue; // given twice
        SKALD_TRY(list_part(list, &parts[i]));
    }
    return SKALD_OK;
}

static skald_err list_streams(listing *list, const skald_filter *filter,
                              const skald_counted **ret_streams, size_t *ret_count)
{
    const ski_identity *identity = ski_identity_of(list->request);

    if (!identity->streams.count && !identity->categories.count)
        return skald_store_streams(ski_api_of(list->request)->store, list->tenant, list->prefix,
                                   list->after.name.len ? &list->after : NULL, list->limit,
                                   list->request->scratch, ret_streams, ret_count);
    SKALD_TRY(list_parts(list, filter));
    *ret_streams = list->streams;
    *ret_count = list->count;
    return SKALD_OK;
}

// ski_get_streams: category is the prefix "category-"; afterName is the nextCursor of the page
// before.
skald_err ski_get_streams(ski_http_request *request, skald_error *reterr_error)
{
    const skald_counted *streams = NULL;
    skald_buf buf = ski_reply_buf();
    listing list = {.request = request};
    const skald_filter *filter;
    size_t count = 0;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(ski_auth_whole(request, true, false, "a list of streams", reterr_error));
    if (query.after_name.len && !parse_cursor(query.after_name, &list.after)) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "query.afterName",
                             "must be the nextCursor of the page before");
    }
    filter = &query.read.filter;
    list.tenant = filter->tenant;
    list.limit = query.limit;
    list.prefix = query.prefix.len ? query.prefix : SKALD_STR("");
    if (filter->categories.count && !ski_identity_of(request)->categories.count) {
        if (list.prefix.len || filter->categories.count > 1) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "query.category",
                                 "give one category or one prefix, not more");
        }
        list.prefix =
            skald_arena_print(request->scratch, "%.*s-", SKALD_FMT(filter->categories.items[0]));
        if (!list.prefix.ptr) return SKALD_ENOMEM;
    }
    err = list_streams(&list, filter, &streams, &count);
    if (!err) err = put_streams(request, streams, count, list.limit, &buf);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
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
