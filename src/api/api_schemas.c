// SPDX-License-Identifier: Apache-2.0
// /api/schemas: the schemas of event types by version, registering one, and asking first what it
// would break, and whom.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <skald/typed.h>

// What a body says.
typedef struct schema_body {
    skald_json schema;
    skald_compatibility compatibility;
    bool given; // compatibility stands in it
} schema_body;

static skald_err read_body(ski_http_request *request, schema_body *ret_body,
                           skald_error *reterr_error)
{
    schema_body body = {.compatibility = SKALD_BACKWARD};
    ski_json_walk walk = {.rest = request->body};
    ski_json_item item;
    skald_str text;

    SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
    if (ski_json_kind_of(request->body) != SKI_JSON_OBJECT)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "",
                             "the body must be an object: {\"schema\":{...}}");
    while (ski_json_next(&walk, &item)) {
        if (skald_str_equal(item.key, SKALD_STR("schema"))) {
            body.schema = item.value;
        } else if (skald_str_equal(item.key, SKALD_STR("compatibility"))) {
            text = item.value;
            if (item.kind == SKI_JSON_STRING)
                SKALD_TRY(ski_json_unescape(item.value, request->scratch, &text));
            SKALD_TRY(skald_compatibility_of(text, &body.compatibility, reterr_error));
            body.given = true;
        } else {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "",
                                 "the body may have schema and compatibility, not '%.*s'",
                                 (int)(item.key.len > 60 ? 60 : item.key.len), item.key.ptr);
        }
    }
    if (!body.schema.ptr)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "schema",
                             "is missing: {\"schema\":{...}}");
    *ret_body = body;
    return SKALD_OK;
}

// type_of is the dotted name of the type in the path, by whichever name it was given.
static skald_str type_of(const ski_http_request *request)
{
    skald_str given = request->parameters[0];
    skald_str name = skald_types_name(skald_bus_types(ski_api_of(request)->bus), given);

    return name.len ? name : given;
}

// version_of reads the version in the path; "latest" is 0.
static skald_err version_of(const ski_http_request *request, bool latest, uint32_t *ret_version,
                            skald_error *reterr_error)
{
    skald_str text = request->parameters[1];
    uint64_t version = 0;

    if (latest && skald_str_equal(text, SKALD_STR("latest"))) {
        *ret_version = 0;
        return SKALD_OK;
    }
    if (ski_str_u64(text, &version) || !version || version > UINT32_MAX)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "version",
                             "must be a whole number from 1%s", latest ? ", or latest" : "");
    *ret_version = (uint32_t)version;
    return SKALD_OK;
}

static skald_err put_entry(skald_buf *buf, const skald_schema_entry *entry)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"type\":")));
    SKALD_TRY(ski_json_put_string(buf, entry->type));
    SKALD_TRY(ski_buf_print(buf, ",\"version\":%u,\"compatibility\":\"%s\"", entry->version,
                            skald_compatibility_name(entry->compatibility)));
    if (entry->schema.ptr) {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"schema\":")));
        SKALD_TRY(skald_buf_put(buf, entry->schema));
    }
    return ski_buf_byte(buf, '}');
}

skald_err ski_get_schemas(ski_http_request *request, skald_error *reterr_error)
{
    const skald_schema_entry *entries = NULL;
    skald_buf buf = ski_reply_buf();
    size_t count = 0, shown = 0;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(skald_schemas_list(skald_bus_schemas(ski_api_of(request)->bus), request->scratch,
                                 &entries, &count));
    err = skald_buf_put(&buf, SKALD_STR("{\"data\":["));
    for (size_t i = 0; i < count && !err; i++) {
        if (!ski_auth_sees_type(request, entries[i].type)) continue;
        if (shown++) err = ski_buf_byte(&buf, ',');
        if (!err) err = put_entry(&buf, &entries[i]);
    }
    if (!err)
        err = ski_buf_print(&buf, "],\"pagination\":{\"limit\":%zu,\"nextCursor\":null}}", shown);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

static skald_err reply_entry(ski_http_request *request, unsigned status, skald_str type,
                             uint32_t version, skald_error *reterr_error)
{
    skald_schemas *schemas = skald_bus_schemas(ski_api_of(request)->bus);
    skald_buf buf = ski_reply_buf();
    skald_schema_entry entry;
    skald_err err = ski_auth_sees_type(request, type)
                        ? skald_schemas_get(schemas, type, version, request->scratch, &entry)
                        : SKALD_ENOTFOUND;

    if (err == SKALD_ENOTFOUND)
        return skald_fail_at(reterr_error, err, "version", "'%.*s' has no schema of that version",
                             (int)(type.len > 200 ? 200 : type.len), type.ptr);
    if (!err) err = skald_buf_put(&buf, SKALD_STR("{\"data\":"));
    if (!err) err = put_entry(&buf, &entry);
    if (!err) err = ski_buf_byte(&buf, '}');
    if (!err) err = ski_reply_json(request, status, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_get_schema(ski_http_request *request, skald_error *reterr_error)
{
    uint32_t version;
    ski_query query;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(version_of(request, true, &version, reterr_error));
    return reply_entry(request, 200, type_of(request), version, reterr_error);
}

skald_err ski_put_schema(ski_http_request *request, skald_error *reterr_error)
{
    skald_schemas *schemas = skald_bus_schemas(ski_api_of(request)->bus);
    skald_event named = {.type = type_of(request), .data = SKALD_STR("null")};
    skald_schema_entry there;
    schema_body body;
    uint32_t version;
    ski_query query;
    bool known;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(version_of(request, false, &version, reterr_error));
    SKALD_TRY(skald_event_check(&named, SKALD_EVENT_BYTES_LIMIT, reterr_error));
    SKALD_TRY(read_body(request, &body, reterr_error));
    known = !skald_schemas_get(schemas, named.type, version, request->scratch, &there);
    if (known && body.given && body.compatibility != there.compatibility)
        return skald_fail_at(reterr_error, SKALD_EEXISTS, "compatibility",
                             "version %u is registered as \"%s\", and stays so; another one goes "
                             "with the next version",
                             version, skald_compatibility_name(there.compatibility));
    SKALD_TRY(skald_schemas_put(schemas, named.type, version, body.schema, body.compatibility,
                                reterr_error));
    return reply_entry(request, known ? 200 : 201, named.type, version, reterr_error);
}

static skald_err put_changes(skald_buf *buf, const skald_incompatibility *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_buf_print(buf,
                                "{\"direction\":\"%s\",\"version\":%u,\"certain\":%s,\"path\":",
                                list[i].forward ? "forward" : "backward", list[i].version,
                                list[i].shown ? "true" : "false"));
        SKALD_TRY(ski_json_put_string(buf, list[i].path));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"keyword\":")));
        SKALD_TRY(ski_json_put_string(buf, list[i].keyword));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"message\":")));
        SKALD_TRY(ski_json_put_string(buf, list[i].message));
        SKALD_TRY(ski_buf_byte(buf, '}'));
    }
    return SKALD_OK;
}

// put_consumers lists who takes events of the type now: they read the old version, and may not
// read what is written with the new one.
static skald_err put_consumers(ski_http_request *request, skald_str type, skald_buf *buf)
{
    const skald_subscription_state *states = NULL;
    size_t count = 0, listed = 0;

    SKALD_TRY(skald_bus_subscriptions(ski_api_of(request)->bus, request->scratch, &states, &count));
    for (size_t i = 0; i < count; i++) {
        skald_filter types = {.types = states[i].filter.types};
        skald_event event = {.type = type};

        if (!skald_filter_matches(&types, &event)) continue;
        if (!ski_auth_sees_all(request, &states[i].filter)) continue;
        SKALD_TRY(
            skald_buf_put(buf, listed++ ? SKALD_STR(",{\"name\":") : SKALD_STR("{\"name\":")));
        SKALD_TRY(ski_json_put_string(buf, ski_auth_subscription_shown(request, states[i].name)));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"kind\":")));
        SKALD_TRY(ski_json_put_string(buf, states[i].kind));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"state\":")));
        SKALD_TRY(ski_json_put_string(buf, states[i].state));
        SKALD_TRY(ski_buf_byte(buf, '}'));
    }
    return SKALD_OK;
}

// put_check answers with what registering would break (of what the mode asks), and, where events of
// the new version may surprise those who read the newest one, with those.
static skald_err put_check(ski_http_request *request, const schema_body *body, skald_buf *buf,
                           skald_error *reterr_error)
{
    skald_schemas *schemas = skald_bus_schemas(ski_api_of(request)->bus);
    const skald_incompatibility *list = NULL, *forward = NULL;
    skald_str type = type_of(request);
    size_t count = 0, surprises = 0;

    SKALD_TRY(skald_schemas_compare(schemas, type, body->schema, body->compatibility,
                                    request->scratch, &list, &count, reterr_error));
    SKALD_TRY(skald_schemas_compare(schemas, type, body->schema, SKALD_FORWARD, request->scratch,
                                    &forward, &surprises, reterr_error));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"data\":{\"type\":")));
    SKALD_TRY(ski_json_put_string(buf, type));
    SKALD_TRY(ski_buf_print(buf, ",\"compatibility\":\"%s\",\"compatible\":%s,\"changes\":[",
                            skald_compatibility_name(body->compatibility),
                            count ? "false" : "true"));
    SKALD_TRY(put_changes(buf, list, count));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("],\"forConsumers\":[")));
    SKALD_TRY(put_changes(buf, forward, surprises));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("],\"consumers\":[")));
    if (surprises) SKALD_TRY(put_consumers(request, type, buf));
    return skald_buf_put(buf, SKALD_STR("]}}"));
}

skald_err ski_post_schema_check(ski_http_request *request, skald_error *reterr_error)
{
    skald_buf buf = ski_reply_buf();
    schema_body body;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    if (!ski_auth_sees_type(request, request->parameters[0]))
        return skald_fail(reterr_error, SKALD_EDENIED, "this key is narrowed to other types");
    SKALD_TRY(read_body(request, &body, reterr_error));
    err = put_check(request, &body, &buf, reterr_error);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}
