// SPDX-License-Identifier: Apache-2.0
// What is kept of a stream: /api/streams/{stream}/metadata and /snapshot, DELETE
// /api/streams/{stream}.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <string.h>

enum { us_per_s = 1000000, body_members_max = 3 };

// A member of a body: a whole number up to max, null for 0; or, with text, any value.
typedef struct body_member {
    const char *name;
    uint64_t max;
    uint64_t *number;
    skald_str *text;
} body_member;

static skald_err read_member(const body_member *member, const ski_json_item *item,
                             skald_error *reterr_error)
{
    uint64_t number = 0;

    if (member->text) {
        *member->text = item->value;
        return SKALD_OK;
    }
    if (item->kind != SKI_JSON_NULL && (item->kind != SKI_JSON_NUMBER ||
                                        ski_json_u64(item->value, &number) || number > member->max))
        return skald_fail_at(reterr_error, SKALD_EINVALID, member->name,
                             "must be a whole number from 0 to %llu, or null",
                             (unsigned long long)member->max);
    *member->number = number;
    return SKALD_OK;
}

// read_body reads a body that is an object of these members, each of which may be left out.
static skald_err read_body(const ski_http_request *request, const body_member *members,
                           size_t count, skald_error *reterr_error)
{
    bool seen[body_members_max] = {false};
    ski_json_item item;

    SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
    if (ski_json_kind_of(request->body) != SKI_JSON_OBJECT)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "", "the body must be a JSON object");
    for (ski_json_walk walk = {.rest = request->body}; ski_json_next(&walk, &item);) {
        size_t i = 0;

        while (i < count && !skald_str_equal(item.key, skald_str_of(members[i].name))) i++;
        if (i == count || seen[i])
            return skald_fail_at(reterr_error, SKALD_EINVALID, "",
                                 "'%.*s' is %s; the body may have %s, %s and %s, each once",
                                 (int)(item.key.len > 60 ? 60 : item.key.len), item.key.ptr,
                                 i == count ? "not known" : "given twice", members[0].name,
                                 members[1].name, members[2].name);
        seen[i] = true;
        SKALD_TRY(read_member(&members[i], &item, reterr_error));
    }
    return SKALD_OK;
}

static skald_err read_query(ski_http_request *request, ski_query *ret_query,
                            skald_error *reterr_error)
{
    SKALD_TRY(ski_query_read(request, ret_query, reterr_error));
    if (!ret_query->read.filter.tenant.ptr) ret_query->read.filter.tenant = SKALD_STR("");
    if (ski_auth_sees_stream(request, request->parameters[0])) return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "stream", "there is no stream '%.*s'",
                         SKALD_FMT(request->parameters[0]));
}

static skald_err put_limit(skald_buf *buf, const char *name, uint64_t number)
{
    if (!number) return ski_buf_print(buf, "\"%s\":null,", name);
    return ski_buf_print(buf, "\"%s\":%llu,", name, (unsigned long long)number);
}

// reply_meta: an age that is no whole number of seconds, which only a program can have set, is
// rounded up.
static skald_err reply_meta(ski_http_request *request, const skald_stream_meta *meta)
{
    skald_buf buf = ski_reply_buf();
    skald_err err = skald_buf_put(&buf, SKALD_STR("{\"data\":{\"stream\":"));

    if (!err) err = ski_json_put_string(&buf, request->parameters[0]);
    if (!err) err = ski_buf_byte(&buf, ',');
    if (!err) err = put_limit(&buf, "maxCount", meta->max_count);
    if (!err)
        err = put_limit(&buf, "maxAge",
                        (uint64_t)meta->max_age / us_per_s + (meta->max_age % us_per_s != 0));
    if (!err) err = put_limit(&buf, "truncateBefore", meta->truncate_before);
    if (!err)
        err = ski_buf_print(&buf, "\"deleted\":%s,\"tombstoned\":%s}}",
                            meta->deleted ? "true" : "false", meta->tombstoned ? "true" : "false");
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

static skald_err reply_stream_meta(ski_http_request *request, skald_str tenant)
{
    skald_stream_meta meta = {0};

    SKALD_TRY(
        skald_stream_meta_get(ski_api_of(request)->store, tenant, request->parameters[0], &meta));
    return reply_meta(request, &meta);
}

skald_err ski_get_stream_meta(ski_http_request *request, skald_error *reterr_error)
{
    ski_query query;

    SKALD_TRY(read_query(request, &query, reterr_error));
    return reply_stream_meta(request, query.read.filter.tenant);
}

skald_err ski_put_stream_meta(ski_http_request *request, skald_error *reterr_error)
{
    skald_stream_meta meta = {0};
    uint64_t seconds = 0;
    const body_member members[] = {
        {"maxCount", UINT64_MAX, &meta.max_count, NULL},
        {"maxAge", INT64_MAX / us_per_s, &seconds, NULL},
        {"truncateBefore", UINT64_MAX, &meta.truncate_before, NULL},
    };
    ski_query query;

    SKALD_TRY(read_query(request, &query, reterr_error));
    SKALD_TRY(read_body(request, members, sizeof members / sizeof *members, reterr_error));
    meta.max_age = (skald_time)seconds * us_per_s;
    SKALD_TRY(skald_stream_meta_set(ski_api_of(request)->store, query.read.filter.tenant,
                                    request->parameters[0], &meta, reterr_error));
    return reply_stream_meta(request, query.read.filter.tenant);
}

skald_err ski_delete_stream(ski_http_request *request, skald_error *reterr_error)
{
    skald_expect expect = {.stream = request->parameters[0]};
    ski_query query;

    SKALD_TRY(read_query(request, &query, reterr_error));
    expect.tenant = query.read.filter.tenant;
    expect.expected = query.expected;
    expect.version = query.expected_version;
    bool match = ski_http_header_get(request, "if-match").ptr != NULL;
    if (match) SKALD_TRY(ski_api_match(request, &expect, reterr_error));
    skald_err err =
        skald_stream_delete(ski_api_of(request)->store, &expect, query.tombstone, reterr_error);
    if (err == SKALD_ECONFLICT && match) ski_api_unmatched(request, reterr_error);
    if (!err && query.erase)
        err = skald_store_compact_later(ski_api_of(request)->store, true, reterr_error);
    if (err) return err;
    return reply_stream_meta(request, query.read.filter.tenant);
}

static skald_err reply_snapshot(ski_http_request *request, const skald_snapshot *snapshot)
{
    skald_buf buf = ski_reply_buf();
    char at[SKALD_TIME_TEXT + 1];
    skald_err err;

    skald_time_print(snapshot->recorded_at, at);
    err = ski_buf_print(&buf,
                        "{\"data\":{\"streamVersion\":%llu,\"schemaVersion\":%u,"
                        "\"recordedAt\":\"%s\",\"data\":",
                        (unsigned long long)snapshot->stream_version, snapshot->schema_version, at);
    if (!err) err = skald_buf_put(&buf, snapshot->bytes);
    if (!err) err = skald_buf_put(&buf, SKALD_STR("}}"));
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

static skald_err find_snapshot(ski_http_request *request, const ski_query *query,
                               skald_snapshot *ret_snapshot, skald_error *reterr_error)
{
    skald_err err = skald_snapshot_get(ski_api_of(request)->store, query->read.filter.tenant,
                                       request->parameters[0], query->schema_version,
                                       request->scratch, ret_snapshot);

    if (err == SKALD_ENOTFOUND)
        return skald_fail_at(reterr_error, err, "stream", "stream '%.*s' has no snapshot",
                             SKALD_FMT(request->parameters[0]));
    if (err == SKALD_ESCHEMA)
        return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "schemaVersion",
                             "the snapshot of stream '%.*s' is of another schema version than %u; "
                             "read the stream from its beginning and put a new one",
                             SKALD_FMT(request->parameters[0]), query->schema_version);
    if (!err && ski_json_door_check(ret_snapshot->bytes, false, NULL))
        return skald_fail_at(reterr_error, SKALD_EUNSUPPORTED, "data",
                             "the snapshot was put by a program and is not JSON");
    return err;
}

skald_err ski_get_snapshot(ski_http_request *request, skald_error *reterr_error)
{
    skald_snapshot snapshot = {0};
    ski_query query;

    SKALD_TRY(read_query(request, &query, reterr_error));
    SKALD_TRY(ski_auth_whole(request, true, false, "a snapshot", reterr_error));
    SKALD_TRY(find_snapshot(request, &query, &snapshot, reterr_error));
    return reply_snapshot(request, &snapshot);
}

skald_err ski_put_snapshot(ski_http_request *request, skald_error *reterr_error)
{
    skald_snapshot snapshot = {0};
    uint64_t schema_version = 0;
    const body_member members[] = {
        {"streamVersion", UINT64_MAX, &snapshot.stream_version, NULL},
        {"schemaVersion", UINT32_MAX, &schema_version, NULL},
        {"data", 0, NULL, &snapshot.bytes},
    };
    ski_query query;

    SKALD_TRY(read_query(request, &query, reterr_error));
    SKALD_TRY(ski_auth_whole(request, true, false, "a snapshot", reterr_error));
    SKALD_TRY(read_body(request, members, sizeof members / sizeof *members, reterr_error));
    if (!snapshot.bytes.ptr)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "data", "is required: the snapshot");
    snapshot.schema_version = (uint32_t)schema_version;
    skald_err err = skald_snapshot_put(ski_api_of(request)->store, query.read.filter.tenant,
                                       request->parameters[0], &snapshot, reterr_error);
    // The store names a member of C's struct.
    if (err && reterr_error && strcmp(reterr_error->field, "stream_version") == 0)
        memcpy(reterr_error->field, "streamVersion", sizeof "streamVersion");
    SKALD_TRY(err);
    SKALD_TRY(find_snapshot(request, &query, &snapshot, reterr_error));
    return reply_snapshot(request, &snapshot);
}
