// SPDX-License-Identifier: Apache-2.0
// What an identity may see and publish.
//
// Invariants:
//   1. An empty list in a filter means everything. So what is left of two lists is never stored
//   when it is empty: it is refused.
//   2. Between the fields of a filter all must match, so narrowing streams or categories beside
//   what was asked for is exact; only within a field something has to be computed.
#include "api/api_auth_sight.h"
#include "api/api_parts.h"
#include "base/json.h"
#include "base/str.h"

#include <assert.h>
#include <skald/typed.h>
#include <string.h>

const ski_identity *ski_identity_of(const ski_http_request *request)
{
    assert(request->identity); // the guard has seen it
    return request->identity;
}

skald_actor ski_api_actor(const ski_http_request *request)
{
    const ski_identity *identity = ski_identity_of(request);

    return (skald_actor){
        .user = identity->user,
        .role = identity->role,
        .tenant = identity->tenant,
        .correlation_id = request->correlation_id,
    };
}

// pattern_covers: everything that inner means, outer means too. Both may be names, prefixes as
// "order.*", or "*".
static bool pattern_covers(skald_str outer, skald_str inner)
{
    if (skald_str_equal(outer, SKALD_STR("*"))) return true;
    if (skald_str_equal(outer, inner)) return true;
    if (outer.len < 2 || outer.ptr[outer.len - 1] != '*' || outer.ptr[outer.len - 2] != '.')
        return false;
    outer.len--;
    return inner.len > outer.len && ski_str_begins(inner, outer);
}

static bool texts_cover(skald_texts outer, skald_str inner)
{
    for (size_t i = 0; i < outer.count; i++)
        if (pattern_covers(outer.items[i], inner)) return true;
    return outer.count == 0;
}

static bool texts_have(skald_texts texts, skald_str text)
{
    for (size_t i = 0; i < texts.count; i++)
        if (skald_str_equal(texts.items[i], text)) return true;
    return texts.count == 0;
}

// types_meet gives what both lists of patterns mean; neither is empty.
static skald_err types_meet(skald_texts asked, skald_texts seen, skald_arena *arena,
                            skald_texts *ret_both)
{
    // Of each pair at most one goes in, and one that covers the other: so many at most.
    size_t room = asked.count + seen.count, count = 0;
    skald_str *items = skald_arena_get(arena, room * sizeof *items);

    if (!items) return SKALD_ENOMEM;
    for (size_t i = 0; i < asked.count; i++)
        if (texts_cover(seen, asked.items[i])) items[count++] = asked.items[i];
    for (size_t i = 0; i < seen.count; i++) {
        bool covered = texts_cover(asked, seen.items[i]);
        if (covered && !(count && texts_have((skald_texts){items, count}, seen.items[i])))
            items[count++] = seen.items[i];
    }
    *ret_both = (skald_texts){items, count};
    return SKALD_OK;
}

// names_meet is types_meet for plain names.
static skald_err names_meet(skald_texts asked, skald_texts seen, skald_arena *arena,
                            skald_texts *ret_both)
{
    skald_str *items = skald_arena_get(arena, asked.count * sizeof *items);
    size_t count = 0;

    if (!items) return SKALD_ENOMEM;
    for (size_t i = 0; i < asked.count; i++)
        if (texts_have(seen, asked.items[i])) items[count++] = asked.items[i];
    *ret_both = (skald_texts){items, count};
    return SKALD_OK;
}

typedef skald_err meet_fn(skald_texts, skald_texts, skald_arena *, skald_texts *);

static skald_err narrow(skald_texts *asked, skald_texts seen, meet_fn *meet, const char *field,
                        skald_arena *arena, skald_error *reterr_error)
{
    if (!seen.count) return SKALD_OK;
    if (!asked->count) {
        *asked = seen;
        return SKALD_OK;
    }
    SKALD_TRY(meet(*asked, seen, arena, asked));
    if (asked->count) return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_EDENIED, field,
                         "this key is narrowed to others and sees nothing of this");
}

skald_err ski_auth_confine(ski_http_request *request, skald_filter *filter,
                           skald_error *reterr_error)
{
    const ski_identity *identity = ski_identity_of(request);
    skald_filter seen = {.types = identity->types};

    if (!identity->everywhere) {
        if (filter->tenant.ptr && !skald_str_equal(filter->tenant, identity->tenant)) {
            return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "tenantId",
                                 "there is no such tenant, or it is not yours");
        }
        filter->tenant = identity->tenant;
    }
    if (!ski_identity_narrowed(identity)) return SKALD_OK;
    // By all names, as what is asked for is.
    SKALD_TRY(skald_types_resolve(skald_bus_types(ski_api_of(request)->bus), &seen,
                                  SKI_STORE_FILTER_ITEMS_MAX, request->scratch, &seen,
                                  reterr_error));
    SKALD_TRY(
        narrow(&filter->types, seen.types, types_meet, "type", request->scratch, reterr_error));
    SKALD_TRY(narrow(&filter->streams, identity->streams, names_meet, "stream", request->scratch,
                     reterr_error));
    return narrow(&filter->categories, identity->categories, names_meet, "category",
                  request->scratch, reterr_error);
}

bool ski_auth_sees_stream(const ski_http_request *request, skald_str stream)
{
    const ski_identity *identity = ski_identity_of(request);

    if (!identity->streams.count && !identity->categories.count) return true;
    return stream.len && texts_have(identity->streams, stream) &&
           texts_have(identity->categories, skald_event_category(stream));
}

bool ski_auth_sees_type(const ski_http_request *request, skald_str type)
{
    const ski_identity *identity = ski_identity_of(request);
    skald_types *types = skald_bus_types(ski_api_of(request)->bus);
    skald_str dotted;

    if (!identity->types.count) return true;
    dotted = skald_types_name(types, type);
    if (texts_cover(identity->types, dotted.len ? dotted : type)) return true;
    // A key may have been narrowed by another name of the type.
    for (size_t i = 0; i < identity->types.count && dotted.len; i++)
        if (skald_str_equal(skald_types_name(types, identity->types.items[i]), dotted)) return true;
    return false;
}

bool ski_auth_sees_event(const ski_http_request *request, const skald_event *event)
{
    const ski_identity *identity = ski_identity_of(request);

    if (!identity->everywhere && !skald_str_equal(identity->tenant, event->tenant)) return false;
    return ski_auth_sees_type(request, event->type) && ski_auth_sees_stream(request, event->stream);
}

bool ski_auth_sees_all(const ski_http_request *request, const skald_filter *filter)
{
    const ski_identity *identity = ski_identity_of(request);
    bool streams = !identity->streams.count, categories = !identity->categories.count;

    if (!identity->everywhere &&
        (!filter->tenant.ptr || !skald_str_equal(filter->tenant, identity->tenant)))
        return false;
    if (identity->types.count && !filter->types.count) return false;
    for (size_t i = 0; i < filter->types.count; i++)
        if (!texts_cover(identity->types, filter->types.items[i])) return false;
    for (size_t i = 0; i < filter->streams.count && !streams; i++)
        if (!texts_have(identity->streams, filter->streams.items[i])) return false;
    for (size_t i = 0; i < filter->categories.count && !categories; i++)
        if (!texts_have(identity->categories, filter->categories.items[i])) return false;
    // Named streams of a category that is seen are seen, too.
    if (!categories && !filter->categories.count) {
        for (size_t i = 0; i < filter->streams.count; i++)
            if (!ski_auth_sees_stream(request, filter->streams.items[i])) return false;
        categories = filter->streams.count != 0;
    }
    return (streams || filter->streams.count) && (categories || filter->categories.count);
}

skald_err ski_auth_whole(const ski_http_request *request, bool types, bool streams,
                         const char *what, skald_error *reterr_error)
{
    const ski_identity *identity = ski_identity_of(request);
    bool by_types = identity->types.count != 0;
    bool by_streams = identity->streams.count || identity->categories.count;

    if (!(types && by_types) && !(streams && by_streams)) return SKALD_OK;
    return skald_fail(reterr_error, SKALD_EDENIED,
                      "this key is narrowed to some %s, and %s cannot be",
                      types && by_types ? "types" : "streams", what);
}

static bool type_reserved(skald_str type)
{
    return ski_str_begins(type, SKALD_STR("system.")) ||
           ski_str_begins(type, SKALD_STR("security.")) ||
           ski_str_begins(type, SKALD_STR("audit."));
}

static skald_err may_publish(const ski_http_request *request, const skald_event *event,
                             skald_error *reterr_error)
{
    const ski_identity *identity = ski_identity_of(request);
    const skald_types *types = skald_bus_types(ski_api_of(request)->bus);
    bool test = event->test && skald_str_equal(event->type, SKALD_STR("system.test"));

    if (!(identity->scopes & SKALD_SCOPE_ADMIN) && !test &&
        (type_reserved(event->type) || type_reserved(skald_types_name(types, event->type)))) {
        return skald_fail_at(reterr_error, SKALD_EDENIED, "type",
                             "system.*, security.* and audit.* are published with scope admin "
                             "only");
    }
    if (!ski_auth_sees_type(request, event->type)) {
        return skald_fail_at(reterr_error, SKALD_EDENIED, "type",
                             "this key is narrowed to other types");
    }
    if (!ski_auth_sees_stream(request, event->stream)) {
        return skald_fail_at(reterr_error, SKALD_EDENIED, "stream",
                             "this key is narrowed to other streams");
    }
    return SKALD_OK;
}

// tenant_given gives an event its tenant. The id of a CloudEvent follows from its tenant, so it
// follows the change.
static skald_err tenant_given(skald_event *event, skald_str tenant, skald_arena *arena)
{
    ski_json_walk walk = {.rest = event->metadata};
    ski_json_item item;
    skald_str ce_id = {0};

    while (event->metadata.len && !ce_id.ptr && ski_json_next(&walk, &item)) {
        if (skald_str_equal(item.key, SKALD_STR("ceId")) && item.kind == SKI_JSON_STRING)
            SKALD_TRY(ski_json_unescape(item.value, arena, &ce_id));
    }
    if (ce_id.ptr &&
        skald_uuid_equal(event->id, ski_event_ce_id(event->tenant, event->source, ce_id)))
        event->id = ski_event_ce_id(tenant, event->source, ce_id);
    event->tenant = tenant;
    return SKALD_OK;
}

skald_err ski_auth_stamp(const ski_http_request *request, skald_event *event, skald_arena *arena,
                         skald_error *reterr_error)
{
    const ski_identity *identity = ski_identity_of(request);
    bool admin = identity->scopes & SKALD_SCOPE_ADMIN;
    const char *field = event->tenant.ptr                    ? "tenantId"
                        : event->user.ptr || event->role.ptr ? "actor"
                                                             : NULL;

    if (!admin && field) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, field,
                             "comes from the key; only scope admin may state it");
    }
    if (!identity->everywhere && event->tenant.ptr &&
        !skald_str_equal(event->tenant, identity->tenant)) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "tenantId",
                             "this key belongs to another tenant; leave it out");
    }
    if (!identity->everywhere && !event->tenant.ptr)
        SKALD_TRY(tenant_given(event, identity->tenant, arena));
    if (!event->user.len && !event->role.len) {
        event->user = identity->user;
        event->role = identity->role;
    }
    return may_publish(request, event, reterr_error);
}

ski_auth_ticket ski_auth_ticket_of(const ski_http_request *request)
{
    const ski_identity *identity = ski_identity_of(request);
    ski_auth_ticket ticket = {.expires_at = identity->expires_at, .open = !identity->id.len};

    assert(identity->key_id.len < sizeof ticket.key_id);
    if (identity->key_id.len) memcpy(ticket.key_id, identity->key_id.ptr, identity->key_id.len);
    return ticket;
}

skald_str ski_auth_subscription(const ski_http_request *request, skald_str name)
{
    const ski_identity *identity = ski_identity_of(request);

    if (identity->everywhere || !identity->tenant.len) return name;
    return skald_arena_print(request->scratch, "%.*s/%.*s", SKALD_FMT(identity->tenant),
                             SKALD_FMT(name));
}

skald_str ski_auth_subscription_shown(const ski_http_request *request, skald_str name)
{
    const ski_identity *identity = ski_identity_of(request);
    size_t len = identity->tenant.len;

    if (identity->everywhere || !len || name.len <= len || name.ptr[len] != '/') return name;
    if (!ski_str_begins(name, identity->tenant)) return name;
    return ski_str(name.ptr + len + 1, name.len - len - 1);
}

skald_err ski_auth_names(ski_http_request *request)
{
    static const char path[] = "/api/subscriptions/{name}";

    if (!request->route || strncmp(request->route->path, path, sizeof path - 1) != 0)
        return SKALD_OK;
    request->parameters[0] = ski_auth_subscription(request, request->parameters[0]);
    return request->parameters[0].ptr ? SKALD_OK : SKALD_ENOMEM;
}

skald_err ski_auth_trace(const ski_http_request *request, skald_trace *trace)
{
    const ski_identity *identity = ski_identity_of(request);
    skald_trace_node *nodes;

    if (identity->everywhere) return SKALD_OK;
    nodes = skald_arena_get(request->scratch, (trace->count + 1) * sizeof *nodes);
    if (!nodes) return SKALD_ENOMEM;
    for (size_t i = 0; i < trace->count; i++) {
        size_t room = trace->nodes[i].delivery_count, count = 0;
        skald_trace_delivery *kept = skald_arena_get(request->scratch, (room + 1) * sizeof *kept);

        if (!kept) return SKALD_ENOMEM;
        for (size_t j = 0; j < room; j++) {
            const skald_trace_delivery *one = &trace->nodes[i].deliveries[j];

            if (strcmp(one->outcome, "filtered") == 0) continue;
            kept[count] = *one;
            kept[count].subscription = ski_auth_subscription_shown(request, one->subscription);
            count++;
        }
        nodes[i] = trace->nodes[i];
        nodes[i].deliveries = kept;
        nodes[i].delivery_count = count;
    }
    trace->nodes = nodes;
    return SKALD_OK;
}
