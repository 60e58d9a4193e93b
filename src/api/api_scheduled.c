// SPDX-License-Identifier: Apache-2.0
// GET /api/events/scheduled and DELETE /api/events/scheduled/{id}: events that wait for their time.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"

static skald_err put_scheduled(skald_buf *buf, const skald_scheduled *item)
{
    char id[SKALD_UUID_TEXT + 1];
    char at[SKALD_TIME_TEXT + 1];

    skald_uuid_print(item->event_id, id);
    skald_time_print(item->deliver_at, at);
    SKALD_TRY(ski_buf_print(buf, "{\"id\":\"%s\",\"type\":", id));
    SKALD_TRY(ski_json_put_string(buf, item->type));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"stream\":")));
    SKALD_TRY(ski_json_put_string(buf, item->stream));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"tenantId\":")));
    SKALD_TRY(ski_json_put_string(buf, item->tenant));
    return ski_buf_print(buf, ",\"deliverAt\":\"%s\"}", at);
}

static skald_err put_list(skald_buf *buf, const skald_scheduled *items, size_t count,
                          uint32_t limit)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"data\":[")));
    for (size_t i = 0; i < count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(put_scheduled(buf, &items[i]));
    }
    SKALD_TRY(ski_buf_print(buf, "],\"pagination\":{\"limit\":%u,\"nextCursor\":", limit));
    if (count < limit) return skald_buf_put(buf, SKALD_STR("null}}"));
    return ski_buf_print(buf, "%llu}}", (unsigned long long)items[count - 1].position);
}

skald_err ski_get_scheduled(ski_http_request *request, skald_error *reterr_error)
{
    const skald_scheduled *items = NULL;
    skald_buf buf = ski_reply_buf();
    size_t count = 0;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(ski_auth_whole(request, true, true, "what waits for its time", reterr_error));
    SKALD_TRY(skald_bus_scheduled(ski_api_of(request)->bus, query.read.filter.tenant,
                                  query.read.after, query.limit, request->scratch, &items, &count));
    err = put_list(&buf, items, count, query.limit);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_delete_scheduled(ski_http_request *request, skald_error *reterr_error)
{
    skald_actor by = ski_api_actor(request);
    ski_query query;
    skald_uuid id;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(ski_auth_whole(request, true, true, "what waits for its time", reterr_error));
    err = skald_uuid_parse(request->parameters[0], &id);
    if (!err)
        err = skald_schedule_cancel(ski_api_of(request)->bus, query.read.filter.tenant, id, &by);
    if (err == SKALD_EINVALID || err == SKALD_ENOTFOUND)
        return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "id",
                             "no event of that id waits for its time; it may have been published");
    return err ? err : ski_reply_json(request, 200, SKALD_STR("{\"data\":{\"cancelled\":true}}"));
}
