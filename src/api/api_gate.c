// SPDX-License-Identifier: Apache-2.0
// What every request passes between the door and its handler: the version, the form of the answer,
// the names in the query string, the form of the body, a position to wait for, a key that makes it
// safe to send again.
//
// Invariants:
//   1. Everything here is decided by the request and the route's line in the table. A handler need
//      not look again.
//   2. Few wait for a position at once, and not long: a worker that waits is one fewer that works.
#include "api/api_gate.h"
#include "api/api_idempotency.h"
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/str.h"

#include <string.h>

enum {
    position_waits_max = 2, // at once
    position_wait_ms = 2000,
    position_step_ms = 5,
};

static skald_err fail_as(skald_error *reterr_error, skald_err err, const char *code,
                         const char *field, const char *text)
{
    (void)skald_fail_at(reterr_error, err, field, "%s", text);
    if (reterr_error) memcpy(reterr_error->code, code, strlen(code) + 1);
    return err;
}

skald_err ski_call_new(ski_http_request *request, skald_error *reterr_error)
{
    static const char *const caches[] = {
        [SKI_CACHE_NEVER] = "no-store",
        [SKI_CACHE_ASK] = "private, no-cache",
        [SKI_CACHE_DOCUMENT] = "no-cache",
    };
    const ski_kernel *kernel = ski_store_kernel(ski_api_of(request)->store);
    ski_call *call = skald_arena_get(request->scratch, sizeof *call);

    if (!call) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    call->route = request->route ? request->route->of : NULL; // scratch is zeroed
    call->version = SKI_ROUTE_VERSION;
    call->at = kernel->now(kernel->context);
    call->media = SKI_JSON;
    request->call = call;
    request->reply_headers = call->headers;
    ski_version_headers(request, call->version);
    ski_cache cache = call->route ? call->route->cache : SKI_CACHE_NEVER;
    ski_call_header(request, SKALD_STR("Cache-Control"), skald_str_of(caches[cache]));
    if (cache == SKI_CACHE_ASK)
        ski_call_header(request, SKALD_STR("Vary"), SKALD_STR("Accept, X-API-Version"));
    return SKALD_OK;
}

// Forms of an answer.

static const struct {
    uint16_t bit;
    const char *name, *kind; // kind: what stands before the slash
} medias[] = {
    {SKI_JSON, "application/json", "application/*"},
    {SKI_CLOUDEVENT, "application/cloudevents+json", "application/*"},
    {SKI_CLOUDEVENTS, "application/cloudevents-batch+json", "application/*"},
    {SKI_SSE, "text/event-stream", "text/*"},
    {SKI_TEXT, "text/plain", "text/*"},
    {SKI_TEXT, "application/openmetrics-text", "application/*"},
    {SKI_HTML, "text/html", "text/*"},
};

// media_of gives the best of the route's forms that a range of Accept lets through; 0: none.
static uint16_t media_of(skald_str range, uint16_t gives)
{
    unsigned version;

    if (skald_str_equal(range, SKALD_STR("*/*"))) return gives & (uint16_t)-gives;
    if (gives & SKI_JSON && (ski_version_vendor(range, &version) ||
                             ski_str_equal_nocase(range, SKALD_STR("application/problem+json"))))
        return SKI_JSON;
    for (size_t i = 0; i < sizeof medias / sizeof *medias; i++) {
        if (gives & medias[i].bit && (ski_str_equal_nocase(range, skald_str_of(medias[i].name)) ||
                                      ski_str_equal_nocase(range, skald_str_of(medias[i].kind))))
            return medias[i].bit;
    }
    return 0;
}

// weight_of reads q of a range's parameters, in thousandths; what cannot be read is 1.
static unsigned weight_of(skald_str parameters)
{
    while (parameters.ptr) {
        skald_str one = ski_str_trim(ski_str_cut(parameters, ';', &parameters)), value;
        skald_str name = ski_str_cut(one, '=', &value);
        if (!ski_str_equal_nocase(ski_str_trim(name), SKALD_STR("q"))) continue;
        value = ski_str_trim(value);
        if (!value.len || value.ptr[0] != '0') return 1000;
        unsigned weight = 0, unit = 100;
        for (size_t i = 2; i < value.len && i < 5; i++, unit /= 10) {
            if (value.ptr[i] >= '0' && value.ptr[i] <= '9')
                weight += (unsigned)(value.ptr[i] - '0') * unit;
        }
        return weight;
    }
    return 1000;
}

static skald_err refuse_accept(uint16_t gives, skald_error *reterr_error)
{
    char text[200] = "";
    skald_buf buf = {.ptr = text, .size = sizeof text - 1, .bytes_max = sizeof text - 1};
    skald_err err = skald_buf_put(&buf, SKALD_STR("Accept lets nothing through that this route "
                                                  "answers in: "));

    for (unsigned bit = SKI_JSON, given = 0; !err && bit < SKI_ANY; bit <<= 1) {
        if (!(gives & bit)) continue;
        err = ski_buf_print(&buf, "%s%s", given++ ? ", " : "", ski_form_name(bit));
    }
    return fail_as(reterr_error, SKALD_EUNSUPPORTED, "NOT_ACCEPTABLE", "Accept", text);
}

static skald_err choose_media(const ski_http_request *request, ski_call *call,
                              skald_error *reterr_error)
{
    uint16_t gives = call->route->reply_media ? call->route->reply_media : SKI_JSON;
    skald_str rest = ski_http_header_get(request, "accept"), parameters;
    unsigned best = 0;

    call->media = gives & (uint16_t)-gives;
    if (!ski_str_trim(rest).len || gives & SKI_ANY) return SKALD_OK;
    while (rest.ptr) {
        skald_str range = ski_str_cut(rest, ',', &rest);
        skald_str media = ski_str_trim(ski_str_cut(range, ';', &parameters));
        uint16_t one = media_of(media, gives);
        unsigned weight = weight_of(parameters);
        if (!one || weight <= best) continue;
        unsigned version;
        best = weight;
        call->media = one;
        call->vendor = ski_version_vendor(media, &version);
    }
    return best ? SKALD_OK : refuse_accept(gives, reterr_error);
}

skald_err ski_call_admit(ski_http_request *request, skald_error *reterr_error)
{
    ski_call *call = ski_call_of(request);
    ski_api *api = ski_api_of(request);
    unsigned told = call->version; // by ski_call_new
    skald_err err = ski_version_choose(request, &call->version, reterr_error);

    if (err) call->version = SKI_ROUTE_VERSION;
    if (call->version != told) ski_version_headers(request, call->version);
    if (err || !call->route) return err;
    if (call->route->handle != ski_not_yet) { // of what is not there no form is known
        SKALD_TRY(choose_media(request, call, reterr_error));
        SKALD_TRY(ski_query_check(request, reterr_error));
    }
    if (ski_str_begins(request->path, SKALD_STR("/api/"))) {
        const ski_identity *identity = request->identity;
        skald_str consumer =
            identity ? identity->user.len ? identity->user : identity->id : (skald_str){0};
        ski_usage_count(&api->usage, call->version,
                        consumer.len ? consumer : SKALD_STR("anonymous"), call->at);
    }
    return SKALD_OK;
}

// Before the handler.

// check_body: is the body of a form that the route takes?
static skald_err check_body(const ski_http_request *request, const ski_route *route,
                            skald_error *reterr_error)
{
    static const uint16_t bits[] = {
        [SKI_MEDIA_JSON] = SKI_JSON,
        [SKI_MEDIA_NDJSON] = SKI_NDJSON,
        [SKI_MEDIA_CLOUDEVENT] = SKI_CLOUDEVENT,
        [SKI_MEDIA_CLOUDEVENTS] = SKI_CLOUDEVENTS,
        [SKI_MEDIA_BINARY] = SKI_CE_BINARY,
        [SKI_MEDIA_OTHER] = 0,
    };
    ski_media media = ski_body_media(request);
    uint16_t takes = route->body_media ? route->body_media : SKI_JSON;

    if (!route->takes || bits[media] & takes) return SKALD_OK;
    if (!request->body.len && media != SKI_MEDIA_NDJSON) return SKALD_OK; // it says what is missing
    return fail_as(reterr_error, SKALD_EUNSUPPORTED, "UNSUPPORTED_MEDIA_TYPE", "Content-Type",
                   takes & SKI_NDJSON
                       ? "this route takes application/json, application/x-ndjson and CloudEvents "
                         "(application/cloudevents+json, application/cloudevents-batch+json, or "
                         "ce- headers beside the data's own type)"
                   : takes & SKI_CLOUDEVENT
                       ? "this route takes application/json and CloudEvents "
                         "(application/cloudevents+json, application/cloudevents-batch+json, or "
                         "ce- headers beside the data's own type)"
                       : "this route takes application/json");
}

// wait_position waits until the log has reached X-Min-Position. On a worker.
static skald_err wait_position(ski_http_request *request, skald_error *reterr_error)
{
    ski_api *api = ski_api_of(request);
    uint64_t position = 0;
    skald_str text;
    bool may_wait;

    SKALD_TRY(ski_call_once(request, "X-Min-Position", &text, reterr_error));
    if (!text.ptr) return SKALD_OK;
    if (ski_str_u64(text, &position))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "X-Min-Position",
                             "must be a position: a whole number");
    if (skald_store_head(api->store) >= position) return SKALD_OK;
    ski_mutex_lock(&api->wait_lock);
    may_wait = api->position_waits < position_waits_max;
    if (may_wait) api->position_waits++;
    for (unsigned waited = 0; may_wait && waited < position_wait_ms; waited += position_step_ms) {
        if (skald_store_head(api->store) >= position) break;
        (void)ski_cond_wait_ns(&api->wait_cond, &api->wait_lock, position_step_ms * 1000000ull);
    }
    if (may_wait) api->position_waits--;
    ski_mutex_unlock(&api->wait_lock);
    if (skald_store_head(api->store) >= position) return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_EUNAVAILABLE, "X-Min-Position",
                         "position %llu is not there yet; try again later",
                         (unsigned long long)position);
}

// check_conditions refuses a condition that the write does not take: who states one counts on it.
static skald_err check_conditions(const ski_http_request *request, const ski_route *route,
                                  skald_error *reterr_error)
{
    static const char *const names[] = {"If-Match", "If-None-Match", "If-Unmodified-Since"};
    size_t taken = !route->matched ? 0 : strcmp(route->method, "DELETE") == 0 ? 1 : 2;
    skald_str value;

    if (strcmp(route->method, "GET") == 0) return SKALD_OK;
    for (size_t i = 0; i < request->header_count; i++) {
        skald_str name = request->headers[i].name;
        if (name.len < 4 || (name.ptr[0] | ' ') != 'i' || name.ptr[2] != '-') continue;
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            if (!ski_str_equal_nocase(name, skald_str_of(names[j]))) continue;
            if (j < taken) {
                SKALD_TRY(ski_call_once(request, names[j], &value, reterr_error));
                continue;
            }
            return skald_fail_at(reterr_error, SKALD_EINVALID, names[j],
                                 "is not looked at here, so leave it out: only POST and DELETE of "
                                 "/api/streams/{stream} take a condition in a header, If-Match or, "
                                 "for POST, If-None-Match");
        }
    }
    return SKALD_OK;
}

skald_err ski_call_run(ski_http_request *request, skald_error *reterr_error)
{
    const ski_route *route = ski_call_of(request)->route;
    bool answered = false;
    skald_err err;

    SKALD_TRY(ski_auth_names(request));
    SKALD_TRY(check_conditions(request, route, reterr_error));
    SKALD_TRY(check_body(request, route, reterr_error));
    if (route->positioned) SKALD_TRY(wait_position(request, reterr_error));
    if (strcmp(route->method, "POST") == 0)
        SKALD_TRY(ski_replay_begin(request, &answered, reterr_error));
    if (answered) return SKALD_OK;
    err = route->handle(request, reterr_error);
    if (err) ski_replay_abandon(request);
    ski_reply_why(request, err, reterr_error);
    return err;
}

bool ski_call_now(ski_http_request *request)
{
    const ski_route *route = ski_call_of(request)->route;

    if (route->positioned && ski_http_header_get(request, "x-min-position").ptr) return false;
    return route->now(request);
}
