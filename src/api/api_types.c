// SPDX-License-Identifier: Apache-2.0
// /api/types: every type there is, by all its names, with how many events it has; giving a type
// more names; and the types as a contract for others.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <skald/typed.h>
#include <stdlib.h>

// A type of the list: registered, stored, or both.
typedef struct listed {
    skald_type_row row; // only its name, if it is not registered
    uint64_t count;
} listed;

static int listed_compare(const void *a, const void *b)
{
    return ski_str_compare(((const listed *)a)->row.name, ((const listed *)b)->row.name);
}

static skald_err put_row(skald_buf *buf, const skald_type_row *row)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"type\":")));
    SKALD_TRY(ski_json_put_string(buf, row->name));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"aliases\":[")));
    for (size_t i = 0; i < row->aliases.count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_json_put_string(buf, row->aliases.items[i]));
    }
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("],\"versions\":[")));
    for (size_t i = 0; i < row->version_count; i++)
        SKALD_TRY(ski_buf_print(buf, "%s%u", i ? "," : "", row->versions[i]));
    return ski_buf_print(buf, "],\"persistent\":%s", row->transient ? "false" : "true");
}

static skald_err put_list(skald_buf *buf, const listed *list, size_t count)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"data\":[")));
    for (size_t i = 0; i < count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(put_row(buf, &list[i].row));
        SKALD_TRY(ski_buf_print(buf, ",\"count\":%llu}", (unsigned long long)list[i].count));
    }
    return ski_buf_print(buf, "],\"pagination\":{\"limit\":%zu,\"nextCursor\":null}}", count);
}

// versions_join adds the versions that have a schema, if entries begin with those of the type, to
// those that are declared.
static skald_err versions_join(skald_type_row *row, const skald_schema_entry *entries, size_t count,
                               skald_arena *arena)
{
    size_t first = 0, last, at = 0;

    for (last = 0; last < count && skald_str_equal(entries[last].type, row->name);) last++;
    if (first == last) return SKALD_OK;
    uint32_t *joined = skald_arena_get(arena, (row->version_count + last - first) * sizeof *joined);

    if (!joined) return SKALD_ENOMEM;
    for (size_t i = 0; i < row->version_count || first < last;) { // both rise
        uint32_t one = i < row->version_count ? row->versions[i] : UINT32_MAX;
        uint32_t other = first < last ? entries[first].version : UINT32_MAX;

        joined[at++] = one < other ? one : other;
        i += i < row->version_count && one <= other;
        first += first < last && other <= one;
    }
    row->versions = joined;
    row->version_count = at;
    return SKALD_OK;
}

static skald_err schemas_join(ski_http_request *request, listed *list, size_t count)
{
    const skald_schema_entry *entries = NULL;
    size_t entry_count = 0;

    SKALD_TRY(skald_schemas_list(skald_bus_schemas(ski_api_of(request)->bus), request->scratch,
                                 &entries, &entry_count));
    for (size_t i = 0, at = 0; i < count; i++) { // both by name
        while (at < entry_count && ski_str_compare(entries[at].type, list[i].row.name) < 0) at++;
        SKALD_TRY(versions_join(&list[i].row, entries + at, entry_count - at, request->scratch));
    }
    return SKALD_OK;
}

// list_make joins the registry with what is stored. Events stored under another name, from before
// it was one, count with the type. Tenants are counted apart by the store, and joined.
static skald_err list_make(ski_http_request *request, skald_str tenant, listed **ret_list,
                           size_t *ret_count)
{
    const skald_types *types = skald_bus_types(ski_api_of(request)->bus);
    const skald_type_row *rows = NULL;
    const skald_counted *stored = NULL;
    size_t row_count = 0, stored_count = 0, count = 0;

    SKALD_TRY(skald_types_list(types, request->scratch, &rows, &row_count));
    SKALD_TRY(skald_store_types(ski_api_of(request)->store, tenant, request->scratch, &stored,
                                &stored_count));
    listed *list = skald_arena_get(request->scratch, (row_count + stored_count + 1) * sizeof *list);

    if (!list) return SKALD_ENOMEM;
    for (size_t i = 0; i < row_count; i++) list[i].row = rows[i];
    for (size_t i = 0; i < stored_count; i++) {
        skald_str dotted = skald_types_name(types, stored[i].name);
        listed *to = &list[row_count + i];

        *to = (listed){.row.name = dotted.len ? dotted : stored[i].name, .count = stored[i].count};
    }
    qsort(list, row_count + stored_count, sizeof *list, listed_compare);
    for (size_t i = 0; i < row_count + stored_count; i++) {
        listed *last = count ? &list[count - 1] : NULL;

        if (!last || !skald_str_equal(last->row.name, list[i].row.name)) {
            list[count++] = list[i];
            continue;
        }
        if (list[i].row.aliases.items) last->row = list[i].row; // the registered one says more
        last->count += list[i].count;
    }
    *ret_list = list;
    *ret_count = count;
    return schemas_join(request, list, count);
}

static const struct {
    const char *name, *media;
    skald_contract contract;
} contracts[] = {
    {"json-schema", "application/schema+json", SKALD_JSON_SCHEMA},
    {"asyncapi", "application/vnd.aai.asyncapi+json;version=3.0.0", SKALD_ASYNCAPI},
    {"typescript", "text/plain; charset=utf-8", SKALD_TYPESCRIPT},
};

static skald_err reply_contract(ski_http_request *request, skald_str format,
                                skald_error *reterr_error)
{
    size_t i = 0, count = sizeof contracts / sizeof *contracts;

    while (i < count && !skald_str_equal(format, skald_str_of(contracts[i].name))) i++;
    if (i == count)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "query.format",
                             "must be json, json-schema, asyncapi or typescript");
    SKALD_TRY(ski_auth_whole(request, true, true, "a contract", reterr_error));
    skald_buf buf = ski_reply_buf();
    skald_err err =
        skald_types_write(skald_bus_types(ski_api_of(request)->bus), contracts[i].contract, &buf);

    if (!err)
        err = ski_reply_send(request, &(ski_http_reply){.status = 200,
                                                        .content_type = contracts[i].media,
                                                        .body = ski_buf_str(&buf)});
    skald_buf_fini(&buf);
    return err;
}

// seen leaves what the asker may see, in its order, and gives how many that are.
static size_t seen(const ski_http_request *request, listed *list, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (ski_auth_sees_type(request, list[i].row.name)) list[kept++] = list[i];
    return kept;
}

skald_err ski_get_types(ski_http_request *request, skald_error *reterr_error)
{
    skald_buf buf = ski_reply_buf();
    listed *list = NULL;
    size_t count = 0;
    ski_query query;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(ski_auth_whole(request, false, true, "counts by type", reterr_error));
    if (query.format.len && !skald_str_equal(query.format, SKALD_STR("json")))
        return reply_contract(request, query.format, reterr_error);
    skald_err err = list_make(request, query.read.filter.tenant, &list, &count);

    if (!err) err = put_list(&buf, list, seen(request, list, count));
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

// What PUT may say.
typedef struct type_body {
    skald_texts aliases;
    bool transient, has_transient;
} type_body;

static skald_err read_aliases(ski_http_request *request, const ski_json_item *member,
                              type_body *body, skald_error *reterr_error)
{
    skald_str *items =
        skald_arena_get(request->scratch, (SKALD_TYPE_ALIASES_MAX + 1) * sizeof *items);
    ski_json_walk walk = {.rest = member->value};
    ski_json_item item;
    size_t count = 0;

    if (!items) return SKALD_ENOMEM;
    if (member->kind != SKI_JSON_ARRAY)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "aliases",
                             "must be an array of names: [\"USER_LOGIN\"]");
    while (ski_json_next(&walk, &item)) {
        if (item.kind != SKI_JSON_STRING)
            return skald_fail_at(reterr_error, SKALD_EINVALID, "aliases",
                                 "must be an array of names: [\"USER_LOGIN\"]");
        if (count == SKALD_TYPE_ALIASES_MAX)
            return skald_fail_at(reterr_error, SKALD_EINVALID, "aliases",
                                 "a type has at most %d other names", SKALD_TYPE_ALIASES_MAX);
        SKALD_TRY(ski_json_unescape(item.value, request->scratch, &items[count++]));
    }
    body->aliases = (skald_texts){items, count};
    return SKALD_OK;
}

static skald_err read_body(ski_http_request *request, type_body *body, skald_error *reterr_error)
{
    ski_json_walk walk = {.rest = request->body};
    ski_json_item item;

    SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
    if (ski_json_kind_of(request->body) != SKI_JSON_OBJECT)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "",
                             "the body must be an object: {\"aliases\":[\"USER_LOGIN\"]}");
    while (ski_json_next(&walk, &item)) {
        if (skald_str_equal(item.key, SKALD_STR("aliases"))) {
            SKALD_TRY(read_aliases(request, &item, body, reterr_error));
        } else if (skald_str_equal(item.key, SKALD_STR("persistent"))) {
            if (item.kind != SKI_JSON_TRUE && item.kind != SKI_JSON_FALSE)
                return skald_fail_at(reterr_error, SKALD_EINVALID, "persistent",
                                     "must be true or false");
            body->has_transient = true;
            body->transient = item.kind == SKI_JSON_FALSE;
        } else {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "",
                                 "the body may have aliases and persistent, not '%.*s'",
                                 (int)(item.key.len > 60 ? 60 : item.key.len), item.key.ptr);
        }
    }
    return SKALD_OK;
}

static skald_err reply_type(ski_http_request *request, skald_str name, unsigned status)
{
    const skald_type_row *rows = NULL;
    skald_buf buf = ski_reply_buf();
    size_t count = 0, i = 0;
    skald_err err = skald_types_list(skald_bus_types(ski_api_of(request)->bus), request->scratch,
                                     &rows, &count);

    while (!err && i < count && !skald_str_equal(rows[i].name, name)) i++;
    if (!err) err = skald_buf_put(&buf, SKALD_STR("{\"data\":"));
    if (!err) err = put_row(&buf, &rows[i]); // what is registered stays
    if (!err) err = skald_buf_put(&buf, SKALD_STR("}}"));
    if (!err) err = ski_reply_json(request, status, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_put_type(ski_http_request *request, skald_error *reterr_error)
{
    skald_bus *bus = ski_api_of(request)->bus;
    skald_str name = request->parameters[0];
    bool known = skald_types_name(skald_bus_types(bus), name).len != 0;
    type_body body = {0};
    ski_query query;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(read_body(request, &body, reterr_error));
    SKALD_TRY(skald_bus_type_put(bus, name, body.aliases,
                                 body.has_transient ? &body.transient : NULL, reterr_error));
    return reply_type(request, name, known ? 200 : 201);
}
