// SPDX-License-Identifier: Apache-2.0
// GET /api/subscriptions and /api/subscriptions/{name}: every consumer of any kind and how it is
// doing.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"

static skald_err put_texts(skald_buf *buf, const char *name, skald_texts texts)
{
    SKALD_TRY(ski_buf_print(buf, "\"%s\":[", name));
    for (size_t i = 0; i < texts.count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_json_put_string(buf, texts.items[i]));
    }
    return ski_buf_byte(buf, ']');
}

static skald_err put_filter(skald_buf *buf, const skald_filter *filter)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"filter\":{")));
    SKALD_TRY(put_texts(buf, "types", filter->types));
    SKALD_TRY(ski_buf_byte(buf, ','));
    SKALD_TRY(put_texts(buf, "streams", filter->streams));
    SKALD_TRY(ski_buf_byte(buf, ','));
    SKALD_TRY(put_texts(buf, "categories", filter->categories));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"tenantId\":")));
    SKALD_TRY(ski_json_put_string(buf, filter->tenant));
    return ski_buf_byte(buf, '}');
}

static skald_err put_last_error(skald_buf *buf, const skald_subscription_state *state)
{
    char at[SKALD_TIME_TEXT + 1];

    if (!state->last_error.len) return skald_buf_put(buf, SKALD_STR(",\"lastError\":null}"));
    skald_time_print(state->last_error_at, at);
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"lastError\":{\"message\":")));
    SKALD_TRY(ski_json_put_string(buf, state->last_error));
    return ski_buf_print(buf, ",\"at\":\"%s\"}}", at);
}

static skald_err put_state(skald_buf *buf, const skald_subscription_state *state)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"name\":")));
    SKALD_TRY(ski_json_put_string(buf, state->name));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"kind\":")));
    SKALD_TRY(ski_json_put_string(buf, state->kind));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"state\":")));
    SKALD_TRY(ski_json_put_string(buf, state->state));
    SKALD_TRY(put_filter(buf, &state->filter));
    SKALD_TRY(ski_buf_print(buf,
                            ",\"durable\":%s,\"position\":%llu,\"lag\":%llu,\"inFlight\":%u,"
                            "\"retrying\":%u,\"parked\":0,\"acked\":%llu,\"retried\":%llu,"
                            "\"rejected\":%llu,\"timedOut\":%llu",
                            state->durable ? "true" : "false", (unsigned long long)state->position,
                            (unsigned long long)state->lag, state->in_flight, state->retrying,
                            (unsigned long long)state->acked, (unsigned long long)state->retried,
                            (unsigned long long)state->rejected,
                            (unsigned long long)state->timed_out));
    return put_last_error(buf, state);
}

skald_err ski_get_subscriptions(ski_http_request *request, skald_error *reterr_error)
{
    static const char *const allowed[] = {NULL};
    const skald_subscription_state *states = NULL;
    skald_buf buf = ski_reply_buf();
    size_t count = 0;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, allowed, &query, reterr_error));
    SKALD_TRY(skald_bus_subscriptions(ski_api_of(request)->bus, request->scratch, &states, &count));
    err = skald_buf_put(&buf, SKALD_STR("{\"data\":["));
    for (size_t i = 0; i < count && !err; i++) {
        if (i) err = ski_buf_byte(&buf, ',');
        if (!err) err = put_state(&buf, &states[i]);
    }
    if (!err) {
        err = ski_buf_print(&buf, "],\"pagination\":{\"limit\":%zu,\"nextCursor\":null}}", count);
    }
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_get_subscription(ski_http_request *request, skald_error *reterr_error)
{
    const skald_subscription_state *states = NULL;
    skald_buf buf = ski_reply_buf();
    size_t count = 0;
    size_t i = 0;
    skald_err err;

    SKALD_TRY(skald_bus_subscriptions(ski_api_of(request)->bus, request->scratch, &states, &count));
    while (i < count && !skald_str_equal(states[i].name, request->parameters[0])) i++;
    if (i == count) {
        return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "name",
                             "no subscription '%.*s' runs here", SKALD_FMT(request->parameters[0]));
    }
    err = skald_buf_put(&buf, SKALD_STR("{\"data\":"));
    if (!err) err = put_state(&buf, &states[i]);
    if (!err) err = ski_buf_byte(&buf, '}');
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}
