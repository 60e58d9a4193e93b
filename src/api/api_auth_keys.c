// SPDX-License-Identifier: Apache-2.0
// GET, POST /api/keys and DELETE /api/keys/{id}: keys of a server that runs. Who belongs to a
// tenant sees and makes keys of that tenant alone.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <openssl/crypto.h>

static skald_err put_texts(skald_buf *buf, const char *name, skald_texts texts)
{
    SKALD_TRY(ski_buf_print(buf, ",\"%s\":[", name));
    for (size_t i = 0; i < texts.count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_json_put_string(buf, texts.items[i]));
    }
    return ski_buf_byte(buf, ']');
}

static skald_err put_time(skald_buf *buf, const char *name, skald_time time)
{
    char at[SKALD_TIME_TEXT + 1];

    if (!time) return ski_buf_print(buf, ",\"%s\":null", name);
    skald_time_print(time, at);
    return ski_buf_print(buf, ",\"%s\":\"%s\"", name, at);
}

static skald_err put_scopes(skald_buf *buf, unsigned scopes)
{
    skald_str rest = skald_str_of(skald_scopes_print(scopes));

    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"scopes\":[")));
    while (rest.len) {
        skald_str name = ski_str_cut(rest, ' ', &rest);

        SKALD_TRY(ski_json_put_string(buf, name));
        if (rest.len) SKALD_TRY(ski_buf_byte(buf, ','));
    }
    return ski_buf_byte(buf, ']');
}

// put_key: text, the key itself, is given once, when it is made.
static skald_err put_key(skald_buf *buf, const skald_key *key, skald_time used_at, skald_str text)
{
    SKALD_TRY(ski_buf_print(buf, "{\"id\":\"%.*s\",\"name\":", SKALD_FMT(key->id)));
    SKALD_TRY(ski_json_put_string(buf, key->name));
    SKALD_TRY(put_scopes(buf, key->scopes));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"tenantId\":")));
    SKALD_TRY(ski_json_put_string(buf, key->tenant));
    SKALD_TRY(put_texts(buf, "types", key->types));
    SKALD_TRY(put_texts(buf, "streams", key->streams));
    SKALD_TRY(put_time(buf, "createdAt", key->created_at));
    SKALD_TRY(put_time(buf, "expiresAt", key->expires_at));
    SKALD_TRY(put_time(buf, "revokedAt", key->revoked_at));
    SKALD_TRY(put_time(buf, "usedAt", used_at));
    if (text.len) SKALD_TRY(ski_buf_print(buf, ",\"key\":\"%.*s\"", SKALD_FMT(text)));
    return ski_buf_byte(buf, '}');
}

static bool sees_key(const ski_http_request *request, const skald_key *key)
{
    const ski_identity *identity = ski_identity_of(request);

    if (identity->everywhere) return true;
    return !ski_key_rules_all(key) && skald_str_equal(identity->tenant, key->tenant);
}

skald_err ski_get_keys(ski_http_request *request, skald_error *reterr_error)
{
    ski_keys *table = ski_auth_keys(ski_api_of(request)->auth);
    const skald_key *keys = NULL;
    skald_buf buf = ski_reply_buf();
    size_t count = 0, shown = 0;
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(
        skald_keys_list(ski_api_of(request)->store, request->scratch, &keys, &count, reterr_error));
    err = skald_buf_put(&buf, SKALD_STR("{\"data\":["));
    for (size_t i = 0; i < count && !err; i++) {
        if (!sees_key(request, &keys[i])) continue;
        if (shown++) err = ski_buf_byte(&buf, ',');
        if (!err)
            err = put_key(&buf, &keys[i], ski_keys_used_at(table, keys[i].id), (skald_str){0});
    }
    if (!err)
        err = ski_buf_print(&buf, "],\"pagination\":{\"limit\":%d,\"nextCursor\":null}}",
                            SKALD_KEYS_MAX);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

// Reading what is asked for.

static skald_err read_texts(ski_http_request *request, const ski_json_item *member,
                            const char *field, skald_texts *ret_texts, skald_error *reterr_error)
{
    ski_json_walk walk = {.rest = member->value};
    ski_json_item item;
    skald_str *items =
        skald_arena_get(request->scratch, (SKALD_KEY_PATTERNS_MAX + 1) * sizeof *items);
    size_t count = 0;

    if (!items) return SKALD_ENOMEM;
    if (member->kind != SKI_JSON_ARRAY)
        return skald_fail_at(reterr_error, SKALD_EINVALID, field, "must be an array of texts");
    while (ski_json_next(&walk, &item)) {
        if (item.kind != SKI_JSON_STRING || count == SKALD_KEY_PATTERNS_MAX)
            return skald_fail_at(reterr_error, SKALD_EINVALID, field,
                                 "must be an array of at most %d texts", SKALD_KEY_PATTERNS_MAX);
        SKALD_TRY(ski_json_unescape(item.value, request->scratch, &items[count++]));
    }
    *ret_texts = (skald_texts){items, count};
    return SKALD_OK;
}

static skald_err read_scopes(ski_http_request *request, const ski_json_item *member,
                             unsigned *ret_scopes, skald_error *reterr_error)
{
    skald_texts names = {0};
    unsigned one;

    SKALD_TRY(read_texts(request, member, "scopes", &names, reterr_error));
    for (size_t i = 0; i < names.count; i++) {
        SKALD_TRY(skald_scopes_read(names.items[i], &one, reterr_error));
        *ret_scopes |= one;
    }
    return SKALD_OK;
}

static skald_err read_expiry(skald_str text, skald_time *ret_time, skald_error *reterr_error)
{
    if (!skald_time_parse(text, ret_time)) return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_EINVALID, "expiresAt",
                         "must be a time as 2027-01-01T00:00:00Z");
}

static skald_err read_member(ski_http_request *request, const ski_json_item *item, skald_key *key,
                             skald_error *reterr_error)
{
    skald_str *to = NULL, expires = {0};

    if (skald_str_equal(item->key, SKALD_STR("scopes")))
        return read_scopes(request, item, &key->scopes, reterr_error);
    if (skald_str_equal(item->key, SKALD_STR("types")))
        return read_texts(request, item, "types", &key->types, reterr_error);
    if (skald_str_equal(item->key, SKALD_STR("streams")))
        return read_texts(request, item, "streams", &key->streams, reterr_error);
    if (skald_str_equal(item->key, SKALD_STR("name"))) to = &key->name;
    if (skald_str_equal(item->key, SKALD_STR("tenantId"))) to = &key->tenant;
    if (skald_str_equal(item->key, SKALD_STR("expiresAt"))) to = &expires;
    if (!to)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "",
                             "the body may have name, scopes, tenantId, types, streams and "
                             "expiresAt, not '%.*s'",
                             (int)(item->key.len > 60 ? 60 : item->key.len), item->key.ptr);
    if (item->kind == SKI_JSON_NULL) return SKALD_OK;
    if (item->kind != SKI_JSON_STRING)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "", "'%.*s' must be a text",
                             SKALD_FMT(item->key));
    SKALD_TRY(ski_json_unescape(item->value, request->scratch, to));
    return to == &expires ? read_expiry(expires, &key->expires_at, reterr_error) : SKALD_OK;
}

// own_tenant: nobody makes a key that may do more than theirs.
static skald_err own_tenant(const ski_http_request *request, skald_key *key,
                            skald_error *reterr_error)
{
    const ski_identity *identity = ski_identity_of(request);

    if (identity->everywhere) return SKALD_OK;
    if (key->tenant.ptr && !skald_str_equal(key->tenant, identity->tenant))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "tenantId",
                             "a key of a tenant makes keys of that tenant alone; leave it out");
    key->tenant = identity->tenant;
    if (key->scopes & SKALD_SCOPE_METRICS || (!key->tenant.len && key->scopes & SKALD_SCOPE_ADMIN))
        return skald_fail_at(reterr_error, SKALD_EDENIED, "scopes",
                             "this scope concerns all tenants; only an admin of all may give it");
    return SKALD_OK;
}

static skald_err read_body(ski_http_request *request, skald_key *key, skald_error *reterr_error)
{
    ski_json_walk walk = {.rest = request->body};
    ski_json_item item;

    SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
    if (ski_json_kind_of(request->body) != SKI_JSON_OBJECT)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "",
                             "the body must be an object: {\"scopes\":[\"events:read\"]}");
    while (ski_json_next(&walk, &item)) SKALD_TRY(read_member(request, &item, key, reterr_error));
    return own_tenant(request, key, reterr_error);
}

static ski_key_by by(const ski_http_request *request)
{
    const ski_identity *identity = ski_identity_of(request);

    return (ski_key_by){identity->user, identity->role, request->correlation_id};
}

skald_err ski_post_key(ski_http_request *request, skald_error *reterr_error)
{
    ski_api *api = ski_api_of(request);
    ski_key_by maker = by(request);
    skald_buf buf = ski_reply_buf();
    skald_key asked = {0};
    ski_key_record record;
    skald_str text = {0};
    ski_query query;
    skald_err err;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(read_body(request, &asked, reterr_error));
    SKALD_TRY(
        ski_key_make(api->store, &asked, &maker, request->scratch, &record, &text, reterr_error));
    err = ski_auth_keys_changed(api->auth, reterr_error);
    if (!err) err = skald_buf_put(&buf, SKALD_STR("{\"data\":"));
    if (!err) err = put_key(&buf, &record.key, 0, text);
    if (!err) err = ski_buf_byte(&buf, '}');
    if (!err) err = ski_reply_json(request, 201, ski_buf_str(&buf));
    if (buf.ptr) OPENSSL_cleanse(buf.ptr, buf.len);
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_delete_key(ski_http_request *request, skald_error *reterr_error)
{
    ski_api *api = ski_api_of(request);
    ski_key_by ender = by(request);
    const skald_key *keys = NULL;
    size_t count = 0, i = 0;
    ski_query query;

    SKALD_TRY(ski_query_read(request, &query, reterr_error));
    SKALD_TRY(skald_keys_list(api->store, request->scratch, &keys, &count, reterr_error));
    while (i < count && !skald_str_equal(keys[i].id, request->parameters[0])) i++;
    if (i == count || !sees_key(request, &keys[i]))
        return skald_fail_at(reterr_error, SKALD_ENOTFOUND, "id", "there is no key of that id");
    SKALD_TRY(ski_key_end(api->store, keys[i].id, &ender, reterr_error));
    SKALD_TRY(ski_auth_keys_changed(api->auth, reterr_error));
    return ski_reply_json(request, 200, SKALD_STR("{\"data\":{\"revoked\":true}}"));
}
