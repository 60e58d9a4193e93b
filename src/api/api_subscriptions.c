// SPDX-License-Identifier: Apache-2.0
// /api/subscriptions and /api/subscriptions/{name}: every consumer of any kind, how it is doing,
// and what may be done to it: pause, resume, drain, reset. Making, deleting and taking from pull
// groups is api_pull.c.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <string.h>

// Showing.

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

// put_settings: of one that nobody runs here they are not known, unless it is a group that was
// drained.
static skald_err put_settings(skald_buf *buf, const skald_subscription_state *state)
{
    static const char *const orders[] = {"stream", "sequence", "none", "key"};
    static const char *const ends[] = {"halt", "dead_letter", "park_key"};

    if (!state->timeout_ms)
        return skald_buf_put(buf, SKALD_STR(",\"filter\":null,\"order\":null,\"key\":null,"
                                            "\"onExhausted\":null,\"ackTimeoutMs\":null"));
    SKALD_TRY(put_filter(buf, &state->filter));
    SKALD_TRY(ski_buf_print(buf, ",\"order\":\"%s\",\"key\":", orders[state->order]));
    if (state->key_pointer.len)
        SKALD_TRY(ski_json_put_string(buf, state->key_pointer));
    else
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("null")));
    return ski_buf_print(buf, ",\"onExhausted\":\"%s\",\"ackTimeoutMs\":%u",
                         ends[state->on_exhausted], state->timeout_ms);
}

static const char *boolean(bool value)
{
    return value ? "true" : "false";
}

static skald_err put_counts(skald_buf *buf, const skald_subscription_state *state)
{
    SKALD_TRY(ski_buf_print(
        buf,
        ",\"durable\":%s,\"position\":%llu,\"lag\":%llu,\"live\":%s,\"lagging\":%s,\"stale\":%s,"
        "\"inFlight\":%u,\"retrying\":%u,\"parked\":%u,\"dead\":%u",
        boolean(state->durable), (unsigned long long)state->position,
        (unsigned long long)state->lag, boolean(state->live), boolean(state->lagging),
        boolean(state->stale), state->in_flight, state->retrying, state->parked, state->dead));
    return ski_buf_print(buf,
                         ",\"acked\":%llu,\"retried\":%llu,\"rejected\":%llu,\"timedOut\":%llu,"
                         "\"expired\":%llu,\"dropped\":%llu,\"rates\":{\"inPerSecond\":%.2f,"
                         "\"outPerSecond\":%.2f}",
                         (unsigned long long)state->acked, (unsigned long long)state->retried,
                         (unsigned long long)state->rejected, (unsigned long long)state->timed_out,
                         (unsigned long long)state->expired, (unsigned long long)state->dropped,
                         state->in_per_s, state->out_per_s);
}

static skald_err put_times(skald_buf *buf, const skald_subscription_state *state)
{
    char at[SKALD_TIME_TEXT + 1];

    if (state->active_at) {
        skald_time_print(state->active_at, at);
        SKALD_TRY(ski_buf_print(buf, ",\"activeAt\":\"%s\"", at));
    } else {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"activeAt\":null")));
    }
    if (!state->last_error.len) return skald_buf_put(buf, SKALD_STR(",\"lastError\":null}"));
    skald_time_print(state->last_error_at, at);
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"lastError\":{\"message\":")));
    SKALD_TRY(ski_json_put_string(buf, state->last_error));
    return ski_buf_print(buf, ",\"at\":\"%s\"}}", at);
}

static skald_err put_state(skald_buf *buf, const skald_subscription_state *state,
                           skald_str definition)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"name\":")));
    SKALD_TRY(ski_json_put_string(buf, state->name));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"kind\":")));
    SKALD_TRY(ski_json_put_string(buf, state->kind));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"state\":")));
    SKALD_TRY(ski_json_put_string(buf, state->state));
    SKALD_TRY(put_settings(buf, state));
    if (definition.len)
        SKALD_TRY(ski_buf_print(buf, ",\"definition\":%.*s", SKALD_FMT(definition)));
    SKALD_TRY(put_counts(buf, state));
    return put_times(buf, state);
}

// find_state: ret_definition is given of a pull group that was drained.
static skald_err find_state(ski_http_request *request, skald_str name,
                            skald_subscription_state *ret_state, skald_str *ret_definition,
                            skald_error *reterr_error)
{
    const skald_subscription_state *states = NULL;
    skald_subscription_state state = {0};
    skald_str definition = {0};
    size_t count = 0;
    size_t i = 0;

    SKALD_TRY(skald_bus_subscriptions(ski_api_of(request)->bus, request->scratch, &states, &count));
    while (i < count && !(states[i].name.len && skald_str_equal(states[i].name, name))) i++;
    if (i < count) {
        state = states[i];
        SKALD_TRY(ski_pulls_drained(request, &state, &definition));
    }
    if (i == count || !ski_auth_sees_all(request, &state.filter)) {
        return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "name",
                             "there is no subscription '%.*s'",
                             SKALD_FMT(ski_auth_subscription_shown(request, name)));
    }
    *ret_state = state;
    *ret_definition = definition;
    ret_state->name = ski_auth_subscription_shown(request, name);
    return SKALD_OK;
}

skald_err ski_subscription_state(ski_http_request *request, skald_str name,
                                 skald_subscription_state *ret_state, skald_error *reterr_error)
{
    skald_str definition;

    return find_state(request, name, ret_state, &definition, reterr_error);
}

skald_err ski_get_subscriptions(ski_http_request *request, skald_error *reterr_error)
{
    const skald_subscription_state *states = NULL;
    skald_buf buf = ski_reply_buf();
    size_t count = 0, shown = 0;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(skald_bus_subscriptions(ski_api_of(request)->bus, request->scratch, &states, &count));
    err = skald_buf_put(&buf, SKALD_STR("{\"data\":["));
    for (size_t i = 0; i < count && !err; i++) {
        skald_subscription_state state = states[i];
        skald_str definition = {0};

        err = ski_pulls_drained(request, &state, &definition);
        if (err || !ski_auth_sees_all(request, &state.filter)) continue;
        state.name = ski_auth_subscription_shown(request, state.name);
        if (shown++) err = ski_buf_byte(&buf, ',');
        if (!err) err = put_state(&buf, &state, definition);
    }
    if (!err) {
        err = ski_buf_print(&buf, "],\"pagination\":{\"limit\":%zu,\"nextCursor\":null}}", shown);
    }
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_get_subscription(ski_http_request *request, skald_error *reterr_error)
{
    skald_subscription_state state;
    skald_buf buf = ski_reply_buf();
    skald_str definition;
    skald_err err;

    SKALD_TRY(find_state(request, request->parameters[0], &state, &definition, reterr_error));
    state.name = ski_auth_subscription_shown(request, state.name);
    err = skald_buf_put(&buf, SKALD_STR("{\"data\":"));
    if (!err) err = put_state(&buf, &state, definition);
    if (!err) err = ski_buf_byte(&buf, '}');
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

// Doing.

static bool state_is(const skald_subscription_state *state, const char *name)
{
    return skald_str_equal(state->state, skald_str_of(name));
}

static skald_err not_now(const skald_subscription_state *state, skald_error *reterr_error)
{
    if (!state->id.id)
        return skald_fail_at(reterr_error, SKALD_ESTATE, "name",
                             "nobody runs '%.*s' here now; start it first", SKALD_FMT(state->name));
    return skald_fail_at(reterr_error, SKALD_ESTATE, "name", "'%.*s' is %.*s, and will end",
                         SKALD_FMT(state->name), SKALD_FMT(state->state));
}

// find_running gives one that runs and is not about to end.
static skald_err find_running(ski_http_request *request, skald_subscription_state *ret_state,
                              skald_error *reterr_error)
{
    SKALD_TRY(ski_subscription_state(request, request->parameters[0], ret_state, reterr_error));
    if (ret_state->id.id && !state_is(ret_state, "draining") && !state_is(ret_state, "stopped"))
        return SKALD_OK;
    return not_now(ret_state, reterr_error);
}

// no_body: these take none, and a member that is not read must not be taken for an order.
static skald_err no_body(const ski_http_request *request, skald_error *reterr_error)
{
    ski_json_walk walk = {.rest = request->body};
    ski_json_item item;

    if (!request->body.len) return SKALD_OK;
    SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
    if (ski_json_kind_of(request->body) == SKI_JSON_OBJECT && !ski_json_next(&walk, &item))
        return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_EINVALID, "", "this route takes no body");
}

// done answers with the subscription as it is now.
static skald_err done(ski_http_request *request, const skald_subscription_state *state,
                      skald_err err, skald_error *reterr_error)
{
    if (err == SKALD_ESTALE || (err == SKALD_ESTATE && !(reterr_error && reterr_error->err)))
        return skald_fail_at(reterr_error, SKALD_ESTATE, "name", "'%.*s' is about to end",
                             SKALD_FMT(state->name));
    return err ? err : ski_get_subscription(request, reterr_error);
}

skald_err ski_post_pause(ski_http_request *request, skald_error *reterr_error)
{
    skald_actor by = ski_api_actor(request);
    skald_subscription_state state;
    skald_err err = SKALD_OK;

    SKALD_TRY(no_body(request, reterr_error));
    SKALD_TRY(find_running(request, &state, reterr_error));
    if (!state_is(&state, "paused"))
        err = skald_subscription_pause(ski_api_of(request)->bus, state.id, &by);
    return done(request, &state, err, reterr_error);
}

skald_err ski_post_resume(ski_http_request *request, skald_error *reterr_error)
{
    skald_actor by = ski_api_actor(request);
    skald_subscription_state state;
    skald_err err = SKALD_OK;

    SKALD_TRY(no_body(request, reterr_error));
    SKALD_TRY(find_running(request, &state, reterr_error));
    if (!state_is(&state, "running"))
        err = skald_subscription_resume(ski_api_of(request)->bus, state.id, &by);
    return done(request, &state, err, reterr_error);
}

skald_err ski_post_drain(ski_http_request *request, skald_error *reterr_error)
{
    skald_actor by = ski_api_actor(request);
    skald_subscription_state state;
    skald_err err;

    SKALD_TRY(no_body(request, reterr_error));
    SKALD_TRY(find_running(request, &state, reterr_error));
    err = skald_subscription_drain(ski_api_of(request)->bus, state.id, &by);
    return done(request, &state, err, reterr_error);
}

static skald_err refuse_place(skald_error *reterr_error)
{
    return skald_fail_at(reterr_error, SKALD_EINVALID, "",
                         "say one place: {\"position\": 17} (what is behind it comes again), "
                         "{\"time\": \"2026-01-02T03:04:05Z\"} or {\"to\": \"start\"|\"end\"}");
}

static skald_err read_place(ski_http_request *request, const ski_json_item *item, skald_reset *to)
{
    skald_str text = {0};

    if (item->kind == SKI_JSON_STRING)
        SKALD_TRY(ski_json_unescape(item->value, request->scratch, &text));
    if (skald_str_equal(item->key, SKALD_STR("position"))) {
        if (item->kind != SKI_JSON_NUMBER) return SKALD_EINVALID;
        return ski_json_u64(item->value, &to->after);
    }
    if (skald_str_equal(item->key, SKALD_STR("time"))) {
        SKALD_TRY(skald_time_parse(text, &to->from_time));
        return to->from_time > 0 ? SKALD_OK : SKALD_EINVALID;
    }
    if (!skald_str_equal(item->key, SKALD_STR("to"))) return SKALD_EINVALID;
    if (skald_str_equal(text, SKALD_STR("start")))
        to->from = SKALD_FROM_START;
    else if (skald_str_equal(text, SKALD_STR("end")))
        to->from = SKALD_FROM_END;
    else
        return SKALD_EINVALID;
    return SKALD_OK;
}

static skald_err read_reset(ski_http_request *request, skald_reset *ret_to,
                            skald_error *reterr_error)
{
    ski_json_walk walk = {.rest = request->body};
    ski_json_item item;
    skald_reset to = {0};

    SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
    if (ski_json_kind_of(request->body) != SKI_JSON_OBJECT || !ski_json_next(&walk, &item))
        return refuse_place(reterr_error);
    if (read_place(request, &item, &to) || ski_json_next(&walk, &item))
        return refuse_place(reterr_error);
    *ret_to = to;
    return SKALD_OK;
}

skald_err ski_post_reset(ski_http_request *request, skald_error *reterr_error)
{
    skald_actor by = ski_api_actor(request);
    skald_subscription_state state;
    skald_reset to = {0};
    skald_err err;

    SKALD_TRY(read_reset(request, &to, reterr_error));
    SKALD_TRY(find_running(request, &state, reterr_error));
    err = skald_subscription_reset(ski_api_of(request)->bus, state.id, &to, &by, reterr_error);
    return done(request, &state, err, reterr_error);
}
