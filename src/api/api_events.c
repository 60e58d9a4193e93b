// SPDX-License-Identifier: Apache-2.0
// GET /api/events and /api/events/{id}, and what else reads events into a reply.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "store/store.h"

enum { event_bytes = 1024 }; // of an event's reply beside its data and metadata, about

// A page of a list: what is read, and how far it came.
typedef struct list_page {
    skald_read read;
    uint64_t limit, written; // events
    uint64_t position;       // of the last one looked at
    bool cloudevents, more;
} list_page;

// put_some writes the events of one read. *ret_more: there may be more of it, or behind it.
static skald_err put_some(skald_cursor *cursor, list_page *page, skald_buf *buf, bool *ret_more,
                          skald_error *reterr_error)
{
    uint64_t seen = 0;

    for (;; seen++) {
        const skald_event *event;

        if (buf->len > SKI_API_PAGE_BYTES) break;
        SKALD_TRY(skald_cursor_next(cursor, &event, reterr_error));
        if (!event) {
            *ret_more = seen == page->read.events_max;
            return SKALD_OK;
        }
        page->position = event->position;
        if (ski_event_hidden(&page->read.filter, event)) continue;
        if (page->written++) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(skald_event_json(event, page->cloudevents, buf));
    }
    page->limit = page->written; // as many as fit
    *ret_more = true;
    return SKALD_OK;
}

// put_events fills a page: where some are hidden it reads on, so that an empty one is the end.
static skald_err put_events(skald_store *store, list_page *page, skald_buf *buf,
                            skald_error *reterr_error)
{
    skald_err err = SKALD_OK;

    for (page->more = true; page->more && page->written < page->limit && !err;) {
        skald_cursor *cursor = NULL;

        page->read.events_max = page->limit - page->written;
        SKALD_TRY(skald_cursor_open(store, &page->read, &cursor));
        err = put_some(cursor, page, buf, &page->more, reterr_error);
        skald_cursor_close(cursor);
        if (page->read.backwards)
            page->read.before = page->position;
        else
            page->read.after = page->position;
    }
    return err;
}

skald_err ski_list_events(ski_api *api, const ski_query *query, skald_buf *buf,
                          skald_error *reterr_error)
{
    list_page page = {.read = query->read, .limit = query->limit};
    skald_err err = skald_buf_put(buf, SKALD_STR("{\"data\":["));

    if (!err) err = put_events(api->store, &page, buf, reterr_error);
    if (!err)
        err = ski_buf_print(buf, "],\"pagination\":{\"limit\":%u,\"nextCursor\":", query->limit);
    if (!err && page.more) {
        err = ski_buf_u64(buf, page.position);
    } else if (!err) {
        err = skald_buf_put(buf, SKALD_STR("null"));
    }
    return err ? err : skald_buf_put(buf, SKALD_STR("}}"));
}

// put_query writes the query string but for one name.
static skald_err put_query(skald_buf *buf, skald_str query, skald_str but)
{
    skald_str value;

    while (query.len) {
        skald_str item = ski_str_cut(query, '&', &query);
        if (!item.len || skald_str_equal(ski_str_cut(item, '=', &value), but)) continue;
        SKALD_TRY(skald_buf_put(buf, item));
        SKALD_TRY(ski_buf_byte(buf, '&'));
    }
    return SKALD_OK;
}

// link_next adds where the next page is, for a form that has no place for it. Bytes that do not
// belong in a URL were refused by the server.
static skald_err link_next(ski_http_request *request, const ski_query *query, uint64_t position)
{
    const char *name = query->read.backwards ? "before" : "after";
    skald_buf buf = {.bytes_max = 16 * 1024};
    skald_err err = ski_buf_print(&buf, "<%.*s?", SKALD_FMT(request->path));

    if (!err) err = put_query(&buf, request->query, skald_str_of(name));
    if (!err)
        err = ski_buf_print(&buf, "%s=%llu>; rel=\"next\"", name, (unsigned long long)position);
    if (!err) {
        skald_str link = skald_arena_print(request->scratch, "%.*s", (int)buf.len, buf.ptr);
        if (link.ptr) ski_call_header(request, SKALD_STR("Link"), link);
    }
    skald_buf_fini(&buf);
    return err;
}

// reply_batch answers with a page as a batch of CloudEvents; Link says where the next one is.
static skald_err reply_batch(ski_http_request *request, const ski_query *query,
                             skald_error *reterr_error)
{
    list_page page = {.read = query->read, .limit = query->limit, .cloudevents = true};
    skald_buf buf = ski_reply_buf();
    skald_err err = ski_buf_byte(&buf, '[');

    if (!err) err = put_events(ski_api_of(request)->store, &page, &buf, reterr_error);
    if (!err) err = ski_buf_byte(&buf, ']');
    if (!err && page.more) err = link_next(request, query, page.position);
    if (!err)
        err = ski_reply_send(request, &(ski_http_reply){
                                          .status = 200,
                                          .content_type = "application/cloudevents-batch+json",
                                          .body = ski_buf_str(&buf),
                                      });
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_get_events(ski_http_request *request, skald_error *reterr_error)
{
    ski_query query;
    skald_buf buf = ski_reply_buf();
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    if (ski_call_of(request)->media == SKI_CLOUDEVENTS)
        return reply_batch(request, &query, reterr_error);
    err = ski_list_events(ski_api_of(request), &query, &buf, reterr_error);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

static skald_err reply_event(ski_http_request *request, const skald_event *event)
{
    bool cloudevent = ski_call_of(request)->media == SKI_CLOUDEVENT;
    skald_buf buf = ski_reply_buf();
    // Mostly all there will be, so that it need not grow.
    skald_err err = ski_buf_room(&buf, event->data.len + event->metadata.len + event_bytes);

    if (!err && !cloudevent) err = skald_buf_put(&buf, SKALD_STR("{\"data\":"));
    if (!err) err = skald_event_json(event, cloudevent, &buf);
    if (!err && !cloudevent) err = ski_buf_byte(&buf, '}');
    if (!err)
        err = ski_reply_send(request,
                             &(ski_http_reply){
                                 .status = 200,
                                 .content_type = cloudevent ? "application/cloudevents+json" : NULL,
                                 .body = ski_buf_str(&buf),
                             });
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_get_event(ski_http_request *request, skald_error *reterr_error)
{
    ski_query query;
    skald_event event;
    skald_uuid id;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    if (skald_uuid_parse(request->parameters[0], &id)) {
        return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "id",
                             "there is no event of that id; ids are UUIDs");
    }
    err = ski_store_event(ski_api_of(request)->store, id, query.read.filter.tenant,
                          request->scratch, &event, reterr_error);
    if (!err && !ski_auth_sees_event(request, &event)) err = SKALD_ENOTFOUND;
    if (err == SKALD_ENOTFOUND)
        return skald_fail_at(reterr_error, err, "id", "there is no event of that id");
    return err ? err : reply_event(request, &event);
}

bool ski_get_event_now(ski_http_request *request)
{
    ski_query query;
    skald_event event;
    skald_uuid id;

    if (ski_query_read(request, &query, NULL) || skald_uuid_parse(request->parameters[0], &id))
        return false;
    if (ski_store_event_now(ski_api_of(request)->store, id, query.read.filter.tenant,
                            request->scratch, &event))
        return false;
    return ski_auth_sees_event(request, &event) && reply_event(request, &event) == SKALD_OK;
}

static skald_err reply_report(ski_http_request *request, skald_report report, skald_str tenant,
                              uint32_t items_max)
{
    skald_buf buf = ski_reply_buf();
    skald_err err = skald_bus_report(ski_api_of(request)->bus, report, tenant, items_max, &buf);

    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_get_stats(ski_http_request *request, skald_error *reterr_error)
{
    ski_query query;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(ski_auth_whole(request, true, true, "these counts", reterr_error));
    if (skald_str_equal(query.scope, SKALD_STR("history"))) {
        return reply_report(request, SKALD_STATS_HISTORY, query.read.filter.tenant, 10);
    }
    return reply_report(request, SKALD_STATS, query.read.filter.tenant, 10);
}

skald_err ski_get_history(ski_http_request *request, skald_error *reterr_error)
{
    ski_query query;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(ski_auth_whole(request, true, true, "this list", reterr_error));
    return reply_report(request, SKALD_HISTORY, query.read.filter.tenant, query.limit);
}
