// SPDX-License-Identifier: Apache-2.0
// What was set aside: dead letters (/api/dead-letters) and parked keys
// (/api/subscriptions/{name}/parked), shown with their events, tried again, dropped, edited.
//
// The id of one is its event's position and its subscription's name, "17.mailer": the same for as
// long as it is set aside.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

enum { event_arena_bytes = 64 * 1024 * 1024, release_max = 10000 };

// Ids.

static bool parse_id(skald_str text, skald_aside_id *ret_id)
{
    skald_str name = {0};
    skald_str digits = ski_str_cut(text, '.', &name);

    if (!name.len || ski_str_u64(digits, &ret_id->position) || !ret_id->position) return false;
    ret_id->subscription = name;
    return true;
}

static skald_err put_id(skald_buf *buf, const skald_aside *aside, skald_arena *arena)
{
    skald_str id = skald_arena_print(arena, "%llu.%.*s", (unsigned long long)aside->position,
                                     SKALD_FMT(aside->subscription));

    return id.ptr ? ski_json_put_string(buf, id) : SKALD_ENOMEM;
}

// Showing.

static skald_err put_time(skald_buf *buf, const char *name, skald_time time)
{
    char at[SKALD_TIME_TEXT + 1];

    if (!time) return ski_buf_print(buf, ",\"%s\":null", name);
    skald_time_print(time, at);
    return ski_buf_print(buf, ",\"%s\":\"%s\"", name, at);
}

// put_event: null when it is not there any more (what is kept of its stream may have been limited).
static skald_err put_event(skald_buf *buf, skald_store *store, const skald_aside *aside,
                           skald_arena *arena)
{
    skald_event event;
    skald_err err = skald_store_event(store, aside->event_id, aside->tenant, arena, &event);

    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"event\":")));
    if (err == SKALD_ENOTFOUND) return skald_buf_put(buf, SKALD_STR("null"));
    return err ? err : skald_event_json(&event, false, buf);
}

static skald_err put_aside(skald_buf *buf, skald_store *store, const skald_aside *aside,
                           skald_arena *arena)
{
    if (aside->parked) {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"key\":")));
        SKALD_TRY(ski_json_put_string(buf, aside->key));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"deliveryId\":")));
    } else {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"id\":")));
    }
    SKALD_TRY(put_id(buf, aside, arena));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"subscription\":")));
    SKALD_TRY(ski_json_put_string(buf, aside->subscription));
    SKALD_TRY(put_event(buf, store, aside, arena));
    if (aside->data.len) {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"editedData\":")));
        SKALD_TRY(skald_buf_put(buf, aside->data));
    }
    SKALD_TRY(ski_buf_print(buf, ",\"attempts\":%u,\"lastError\":", aside->attempts));
    SKALD_TRY(ski_json_put_string(buf, aside->error));
    SKALD_TRY(put_time(buf, "firstFailedAt", aside->first_at));
    SKALD_TRY(put_time(buf, "lastFailedAt", aside->last_at));
    if (aside->parked)
        SKALD_TRY(ski_buf_print(buf, ",\"waiting\":%llu", (unsigned long long)aside->waiting));
    return ski_buf_print(buf, ",\"releasing\":%s}", aside->releasing ? "true" : "false");
}

// put_page writes as many as fit into a page; there may be more when it is full.
static skald_err put_page(skald_buf *buf, skald_store *store, const skald_aside *asides,
                          size_t count, uint32_t limit, skald_arena *arena)
{
    size_t shown = 0;

    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"data\":[")));
    while (shown < count && buf->len < SKI_API_PAGE_BYTES) {
        if (shown) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(put_aside(buf, store, &asides[shown++], arena));
        skald_arena_reset(arena);
    }
    SKALD_TRY(ski_buf_print(buf, "],\"pagination\":{\"limit\":%u,\"nextCursor\":", limit));
    if (shown == count && count < limit) return skald_buf_put(buf, SKALD_STR("null}}"));
    SKALD_TRY(put_id(buf, &asides[shown - 1], arena));
    return skald_buf_put(buf, SKALD_STR("}}"));
}

static skald_err list(ski_http_request *request, const ski_query *query, skald_aside_query *wanted,
                      skald_error *reterr_error)
{
    const skald_aside *asides = NULL;
    skald_arena *arena = NULL;
    skald_buf buf = ski_reply_buf();
    skald_aside_id after = {0};
    size_t count = 0;
    skald_err err;

    if (query->after_id.len && !parse_id(query->after_id, &after))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "query.afterId",
                             "must be the nextCursor of the page before");
    SKALD_TRY(ski_auth_whole(request, true, true, "what was set aside", reterr_error));
    wanted->tenant = query->read.filter.tenant;
    wanted->after_subscription = after.subscription;
    wanted->after_position = after.position;
    wanted->count_max = query->limit;
    SKALD_TRY(
        skald_bus_asides(ski_api_of(request)->bus, wanted, request->scratch, &asides, &count));
    err = skald_arena_new(event_arena_bytes, &arena);
    if (!err) err = put_page(&buf, ski_api_of(request)->store, asides, count, query->limit, arena);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_arena_free(arena);
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_get_dead_letters(ski_http_request *request, skald_error *reterr_error)
{
    skald_aside_query wanted = {.dead = true};
    ski_query query;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    if (query.subscription.ptr)
        wanted.subscription = ski_auth_subscription(request, query.subscription);
    return list(request, &query, &wanted, reterr_error);
}

skald_err ski_get_parked(ski_http_request *request, skald_error *reterr_error)
{
    skald_aside_query wanted = {.parked = true, .subscription = request->parameters[0]};
    skald_subscription_state state;
    ski_query query;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(ski_subscription_state(request, request->parameters[0], &state, reterr_error));
    return list(request, &query, &wanted, reterr_error);
}

// Dead letters, one.

// find_dead_letter gives the one that the path names.
static skald_err find_dead_letter(ski_http_request *request, const skald_aside **ret_aside,
                                  skald_aside_id *ret_id, skald_error *reterr_error)
{
    skald_aside_query wanted = {.dead = true, .count_max = 1};
    skald_aside_id id = {0};
    size_t count = 0;
    ski_query query;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(ski_auth_whole(request, true, true, "what was set aside", reterr_error));
    if (parse_id(request->parameters[0], &id)) {
        wanted.tenant = query.read.filter.tenant;
        wanted.subscription = wanted.after_subscription = id.subscription;
        wanted.after_position = id.position - 1;
        SKALD_TRY(skald_bus_asides(ski_api_of(request)->bus, &wanted, request->scratch, ret_aside,
                                   &count));
    }
    if (!count || (*ret_aside)->position != id.position)
        return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "id",
                             "there is no dead letter of that id; it may have been delivered or "
                             "discarded");
    *ret_id = id;
    return SKALD_OK;
}

skald_err ski_get_dead_letter(ski_http_request *request, skald_error *reterr_error)
{
    const skald_aside *aside = NULL;
    skald_buf buf = ski_reply_buf();
    skald_aside_id id;
    skald_err err;

    SKALD_TRY(find_dead_letter(request, &aside, &id, reterr_error));
    err = skald_buf_put(&buf, SKALD_STR("{\"data\":"));
    if (!err) err = put_aside(&buf, ski_api_of(request)->store, aside, request->scratch);
    if (!err) err = ski_buf_byte(&buf, '}');
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

// name_state gives an error that says nothing yet its words.
static skald_err name_state(skald_err err, skald_error *reterr_error)
{
    if (!err || (reterr_error && reterr_error->err)) return err;
    return skald_fail(reterr_error, err, "%s", skald_err_text(err));
}

skald_err ski_post_dead_letter_retry(ski_http_request *request, skald_error *reterr_error)
{
    skald_actor by = ski_api_actor(request);
    const skald_aside *aside = NULL;
    skald_aside_id id;

    SKALD_TRY(find_dead_letter(request, &aside, &id, reterr_error));
    SKALD_TRY(name_state(skald_aside_release(ski_api_of(request)->bus, &id, &by, reterr_error),
                         reterr_error));
    return ski_reply_json(request, 200, SKALD_STR("{\"data\":{\"outcome\":\"retried\"}}"));
}

skald_err ski_post_dead_letter_discard(ski_http_request *request, skald_error *reterr_error)
{
    skald_actor by = ski_api_actor(request);
    const skald_aside *aside = NULL;
    skald_aside_id id;

    SKALD_TRY(find_dead_letter(request, &aside, &id, reterr_error));
    SKALD_TRY(name_state(skald_aside_discard(ski_api_of(request)->bus, &id, &by, reterr_error),
                         reterr_error));
    return ski_reply_json(request, 200, SKALD_STR("{\"data\":{\"outcome\":\"discarded\"}}"));
}

// Dead letters, many.

static skald_err read_bulk(ski_http_request *request, skald_aside_query *wanted,
                           skald_error *reterr_error)
{
    ski_json_walk walk = {.rest = request->body};
    ski_json_item item;

    if (!request->body.len) return SKALD_OK;
    SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
    if (ski_json_kind_of(request->body) != SKI_JSON_OBJECT)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "", "the body must be a JSON object");
    while (ski_json_next(&walk, &item)) {
        skald_str *to = skald_str_equal(item.key, SKALD_STR("subscription")) ? &wanted->subscription
                        : skald_str_equal(item.key, SKALD_STR("tenantId"))   ? &wanted->tenant
                                                                             : NULL;

        if (!to || item.kind != SKI_JSON_STRING || to->ptr)
            return skald_fail_at(reterr_error, SKALD_EINVALID, "",
                                 "the body may have subscription and tenantId, each a text, once");
        SKALD_TRY(ski_json_unescape(item.value, request->scratch, to));
    }
    return SKALD_OK;
}

skald_err ski_post_dead_letters_retry(ski_http_request *request, skald_error *reterr_error)
{
    skald_aside_query wanted = {.dead = true, .count_max = release_max};
    skald_actor by = ski_api_actor(request);
    skald_subscription_state state;
    skald_filter seen = {0};
    uint32_t count = 0;
    skald_str text;

    SKALD_TRY(read_bulk(request, &wanted, reterr_error));
    seen.tenant = wanted.tenant;
    SKALD_TRY(ski_auth_confine(request, &seen, reterr_error));
    wanted.tenant = seen.tenant;
    if (wanted.subscription.ptr)
        wanted.subscription = ski_auth_subscription(request, wanted.subscription);
    if (wanted.subscription.ptr)
        SKALD_TRY(ski_subscription_state(request, wanted.subscription, &state, reterr_error));
    SKALD_TRY(name_state(skald_aside_release_all(ski_api_of(request)->bus, &wanted, &by, &count,
                                                 reterr_error),
                         reterr_error));
    text = skald_arena_print(request->scratch, "{\"data\":{\"retried\":%u}}", count);
    return text.ptr ? ski_reply_json(request, 200, text) : SKALD_ENOMEM;
}

// Parked keys.

static skald_err parked_id(ski_http_request *request, skald_aside_id *ret_id,
                           skald_error *reterr_error)
{
    skald_subscription_state state;
    ski_query query;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(ski_subscription_state(request, request->parameters[0], &state, reterr_error));
    *ret_id = (skald_aside_id){.subscription = request->parameters[0],
                               .key = request->parameters[1],
                               .tenant = query.read.filter.tenant};
    return SKALD_OK;
}

static skald_err reply_parked(ski_http_request *request, skald_err err, const char *outcome,
                              skald_error *reterr_error)
{
    skald_buf buf = ski_reply_buf();

    if (err == SKALD_ENOTFOUND)
        return skald_fail_at(reterr_error, err, "key", "the key '%.*s' is not parked",
                             SKALD_FMT(request->parameters[1]));
    SKALD_TRY(name_state(err, reterr_error));
    err = skald_buf_put(&buf, SKALD_STR("{\"data\":{\"key\":"));
    if (!err) err = ski_json_put_string(&buf, request->parameters[1]);
    if (!err) err = ski_buf_print(&buf, ",\"outcome\":\"%s\"}}", outcome);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_post_parked_release(ski_http_request *request, skald_error *reterr_error)
{
    skald_actor by = ski_api_actor(request);
    skald_aside_id id;

    SKALD_TRY(parked_id(request, &id, reterr_error));
    return reply_parked(request,
                        skald_aside_release(ski_api_of(request)->bus, &id, &by, reterr_error),
                        "released", reterr_error);
}

skald_err ski_post_parked_skip(ski_http_request *request, skald_error *reterr_error)
{
    skald_actor by = ski_api_actor(request);
    skald_aside_id id;

    SKALD_TRY(parked_id(request, &id, reterr_error));
    return reply_parked(request,
                        skald_aside_discard(ski_api_of(request)->bus, &id, &by, reterr_error),
                        "skipped", reterr_error);
}

static skald_err read_edit(const ski_http_request *request, skald_json *ret_data,
                           skald_error *reterr_error)
{
    ski_json_walk walk = {.rest = request->body};
    ski_json_item item;

    SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
    if (ski_json_kind_of(request->body) == SKI_JSON_OBJECT && ski_json_next(&walk, &item) &&
        skald_str_equal(item.key, SKALD_STR("data"))) {
        *ret_data = item.value;
        if (!ski_json_next(&walk, &item)) return SKALD_OK;
    }
    return skald_fail_at(reterr_error, SKALD_EINVALID, "data",
                         "the body must be {\"data\": …}: what the handler is given instead");
}

skald_err ski_post_parked_edit(ski_http_request *request, skald_error *reterr_error)
{
    skald_actor by = ski_api_actor(request);
    skald_aside_id id;
    skald_json data = {0};

    SKALD_TRY(read_edit(request, &data, reterr_error));
    SKALD_TRY(parked_id(request, &id, reterr_error));
    return reply_parked(request,
                        skald_aside_edit(ski_api_of(request)->bus, &id, data, &by, reterr_error),
                        "edited", reterr_error);
}
