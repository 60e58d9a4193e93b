// SPDX-License-Identifier: Apache-2.0
// API keys in a store: each is a named value "key/<id>", a JSON document that holds no secret.
//
// Invariants:
//   1. A key and the event that records it are one commit: there is no key nobody knows of.
//   2. A revoked key keeps its entry. Only when SKALD_KEYS_MAX are there does the one that was
//   revoked first make room, and never the last entry of all.
//   3. A secret is in no store, log or error: only in the text that is given once.
#define OPENSSL_SUPPRESS_DEPRECATED // SHA256_Init: nothing is fetched or allocated for each request
#include "api/keys.h"
#include "base/buf.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/str.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum { value_name_max = 64, document_bytes_max = 64 * 1024 };

static const char value_prefix[] = "key/", text_prefix[] = "skald_";

static const struct {
    const char *name;
    unsigned scope;
} scope_names[] = {
    {"events:publish", SKALD_SCOPE_PUBLISH},
    {"events:read", SKALD_SCOPE_READ},
    {"admin", SKALD_SCOPE_ADMIN},
    {"metrics", SKALD_SCOPE_METRICS},
};
enum { scope_count = sizeof scope_names / sizeof *scope_names };

skald_err skald_scopes_read(skald_str text, unsigned *ret_scopes, skald_error *reterr_error)
{
    unsigned scopes = 0;

    while (text.len) {
        size_t len = 0, i = 0;

        while (len < text.len && text.ptr[len] != ' ' && text.ptr[len] != ',') len++;
        skald_str name = ski_str(text.ptr, len);
        text = len < text.len ? ski_str(text.ptr + len + 1, text.len - len - 1) : (skald_str){0};
        if (!name.len) continue;
        while (i < scope_count && !skald_str_equal(name, skald_str_of(scope_names[i].name))) i++;
        if (i == scope_count) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "scopes",
                                 "'%.*s' is no scope; there are events:publish, events:read, "
                                 "admin and metrics",
                                 (int)(name.len > 60 ? 60 : name.len), name.ptr);
        }
        scopes |= scope_names[i].scope;
    }
    *ret_scopes = scopes;
    return SKALD_OK;
}

const char *skald_scopes_print(unsigned scopes)
{
    static const char *const texts[16] = {
        "",
        "events:publish",
        "events:read",
        "events:publish events:read",
        "admin",
        "events:publish admin",
        "events:read admin",
        "events:publish events:read admin",
        "metrics",
        "events:publish metrics",
        "events:read metrics",
        "events:publish events:read metrics",
        "admin metrics",
        "events:publish admin metrics",
        "events:read admin metrics",
        "events:publish events:read admin metrics",
    };

    return texts[scopes & 15];
}

static bool text_plain(skald_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte < ' ' || byte == 0x7f) return false;
    }
    return ski_str_utf8(text);
}

static bool is_category(skald_str pattern)
{
    return pattern.len > 2 && pattern.ptr[pattern.len - 1] == '*' &&
           memchr(pattern.ptr, '-', pattern.len) == pattern.ptr + pattern.len - 2;
}

static skald_err check_types(skald_texts types, skald_error *reterr_error)
{
    for (size_t i = 0; i < types.count; i++) {
        skald_str type = types.items[i];
        const char *star = type.len ? memchr(type.ptr, '*', type.len) : NULL;
        bool prefix = type.len > 2 && star == type.ptr + type.len - 1 && star[-1] == '.';

        if (!type.len || type.len > SKALD_TYPE_BYTES_MAX || !text_plain(type) ||
            (star && !prefix)) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "types",
                                 "each is the name of a type, or a prefix as order.*");
        }
    }
    return SKALD_OK;
}

static skald_err check_streams(skald_texts streams, skald_error *reterr_error)
{
    size_t categories = 0;

    for (size_t i = 0; i < streams.count; i++) {
        skald_str stream = streams.items[i];
        bool category = is_category(stream);

        categories += category;
        if (!stream.len || stream.len > SKALD_STREAM_BYTES_MAX || !text_plain(stream) ||
            (!category && memchr(stream.ptr, '*', stream.len))) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "streams",
                                 "each is the name of a stream, or a category as order-* (what "
                                 "stands before the first '-')");
        }
    }
    if (categories && categories < streams.count) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "streams",
                             "give names, or categories as order-*, not both");
    }
    return SKALD_OK;
}

bool ski_key_tenant_right(skald_str tenant)
{
    if (!tenant.len) return true;
    return tenant.ptr[0] != '$' && !memchr(tenant.ptr, '/', tenant.len) &&
           !skald_str_equal(tenant, SKALD_STR("*"));
}

bool ski_key_rules_all(const skald_key *key)
{
    return !key->tenant.len && (key->scopes & (SKALD_SCOPE_ADMIN | SKALD_SCOPE_METRICS));
}

skald_err ski_key_check(const skald_key *asked, skald_time now, skald_error *reterr_error)
{
    bool narrowed = asked->types.count || asked->streams.count;

    if (asked->name.len > SKALD_KEY_NAME_BYTES_MAX || !text_plain(asked->name)) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "name",
                             "must be text of at most %d bytes", SKALD_KEY_NAME_BYTES_MAX);
    }
    if (!asked->scopes) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "scopes",
                             "say what the key may do: events:publish, events:read, admin, "
                             "metrics");
    }
    if (asked->tenant.len > SKALD_TENANT_BYTES_MAX || !text_plain(asked->tenant) ||
        !ski_key_tenant_right(asked->tenant)) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "tenantId",
                             "must be text of at most %d bytes without '/', and neither '*' nor "
                             "begin with '$'",
                             SKALD_TENANT_BYTES_MAX);
    }
    if (asked->types.count > SKALD_KEY_PATTERNS_MAX ||
        asked->streams.count > SKALD_KEY_PATTERNS_MAX) {
        return skald_fail_at(reterr_error, SKALD_EINVALID,
                             asked->types.count > SKALD_KEY_PATTERNS_MAX ? "types" : "streams",
                             "at most %d are possible", SKALD_KEY_PATTERNS_MAX);
    }
    if (narrowed && (asked->scopes & (SKALD_SCOPE_ADMIN | SKALD_SCOPE_METRICS))) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "scopes",
                             "admin and metrics cannot be narrowed to types or streams");
    }
    if (asked->expires_at && asked->expires_at <= now) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "expiresAt", "is in the past");
    }
    SKALD_TRY(check_types(asked->types, reterr_error));
    return check_streams(asked->streams, reterr_error);
}

skald_err ski_keys_split(skald_texts streams, skald_arena *arena, skald_texts *ret_names,
                         skald_texts *ret_categories)
{
    skald_str *categories;

    *ret_names = *ret_categories = (skald_texts){0};
    if (!streams.count) return SKALD_OK;
    if (!is_category(streams.items[0])) {
        *ret_names = streams;
        return SKALD_OK;
    }
    categories = skald_arena_get(arena, streams.count * sizeof *categories);
    if (!categories) return SKALD_ENOMEM;
    for (size_t i = 0; i < streams.count; i++)
        categories[i] = ski_str(streams.items[i].ptr, streams.items[i].len - 2);
    *ret_categories = (skald_texts){categories, streams.count};
    return SKALD_OK;
}

bool ski_key_begins(skald_str text)
{
    return ski_str_begins(text, skald_str_of(text_prefix));
}

static bool sha256(const uint8_t *bytes, size_t len, uint8_t ret_hash[SKI_KEY_HASH_BYTES])
{
    SHA256_CTX context;
    bool done = SHA256_Init(&context) && SHA256_Update(&context, bytes, len) &&
                SHA256_Final(ret_hash, &context);

    OPENSSL_cleanse(&context, sizeof context);
    return done;
}

bool ski_key_parse(skald_str text, skald_str *ret_id, uint8_t ret_hash[SKI_KEY_HASH_BYTES])
{
    size_t prefix = sizeof text_prefix - 1;
    uint8_t id[SKALD_KEY_ID_BYTES / 2], secret[SKI_KEY_SECRET_BYTES];
    bool parsed;

    if (text.len != SKI_KEY_TEXT_BYTES || !ski_key_begins(text)) return false;
    if (text.ptr[prefix + SKALD_KEY_ID_BYTES] != '_') return false;
    *ret_id = ski_str(text.ptr + prefix, SKALD_KEY_ID_BYTES);
    parsed = ski_hex_get(ret_id->ptr, sizeof id, id) &&
             ski_hex_get(text.ptr + prefix + SKALD_KEY_ID_BYTES + 1, sizeof secret, secret) &&
             sha256(secret, sizeof secret, ret_hash);
    OPENSSL_cleanse(secret, sizeof secret);
    return parsed;
}

static skald_err put_texts(skald_buf *buf, const char *name, skald_texts texts)
{
    SKALD_TRY(ski_buf_print(buf, ",\"%s\":[", name));
    for (size_t i = 0; i < texts.count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_json_put_string(buf, texts.items[i]));
    }
    return ski_buf_byte(buf, ']');
}

static skald_err put_document(const ski_key_record *record, skald_buf *buf)
{
    const skald_key *key = &record->key;
    char hash[2 * SKI_KEY_HASH_BYTES];

    ski_hex_put(record->hash, sizeof record->hash, hash);
    SKALD_TRY(ski_buf_print(buf, "{\"id\":\"%.*s\",\"hash\":\"%.*s\",\"scopes\":\"%s\",\"name\":",
                            SKALD_FMT(key->id), (int)sizeof hash, hash,
                            skald_scopes_print(key->scopes)));
    SKALD_TRY(ski_json_put_string(buf, key->name));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"tenant\":")));
    SKALD_TRY(ski_json_put_string(buf, key->tenant));
    SKALD_TRY(put_texts(buf, "types", key->types));
    SKALD_TRY(put_texts(buf, "streams", key->streams));
    return ski_buf_print(buf, ",\"createdAt\":%lld,\"expiresAt\":%lld,\"revokedAt\":%lld}",
                         (long long)key->created_at, (long long)key->expires_at,
                         (long long)key->revoked_at);
}

static skald_err read_texts(const ski_json_item *item, skald_arena *arena, skald_texts *ret_texts)
{
    skald_str *items = skald_arena_get(arena, SKALD_KEY_PATTERNS_MAX * sizeof *items);
    ski_json_walk walk = {.rest = item->value};
    ski_json_item one;
    size_t count = 0;

    if (!items) return SKALD_ENOMEM;
    if (item->kind != SKI_JSON_ARRAY) return SKALD_ECORRUPT;
    while (ski_json_next(&walk, &one)) {
        if (one.kind != SKI_JSON_STRING || count == SKALD_KEY_PATTERNS_MAX) return SKALD_ECORRUPT;
        SKALD_TRY(ski_json_unescape(one.value, arena, &items[count++]));
    }
    *ret_texts = (skald_texts){items, count};
    return SKALD_OK;
}

static skald_err read_text(const ski_json_item *item, skald_arena *arena, skald_str *ret_text)
{
    if (item->kind == SKI_JSON_NULL) return SKALD_OK;
    if (item->kind != SKI_JSON_STRING) return SKALD_ECORRUPT;
    return ski_json_unescape(item->value, arena, ret_text);
}

static skald_err read_member(const ski_json_item *item, skald_arena *arena, ski_key_record *record)
{
    skald_key *key = &record->key;
    skald_str text = {0};

    if (skald_str_equal(item->key, SKALD_STR("id"))) return read_text(item, arena, &key->id);
    if (skald_str_equal(item->key, SKALD_STR("name"))) return read_text(item, arena, &key->name);
    if (skald_str_equal(item->key, SKALD_STR("tenant")))
        return read_text(item, arena, &key->tenant);
    if (skald_str_equal(item->key, SKALD_STR("types"))) return read_texts(item, arena, &key->types);
    if (skald_str_equal(item->key, SKALD_STR("streams")))
        return read_texts(item, arena, &key->streams);
    if (skald_str_equal(item->key, SKALD_STR("createdAt")))
        return ski_json_i64(item->value, &key->created_at);
    if (skald_str_equal(item->key, SKALD_STR("expiresAt")))
        return ski_json_i64(item->value, &key->expires_at);
    if (skald_str_equal(item->key, SKALD_STR("revokedAt")))
        return ski_json_i64(item->value, &key->revoked_at);
    SKALD_TRY(read_text(item, arena, &text));
    if (skald_str_equal(item->key, SKALD_STR("scopes")))
        return skald_scopes_read(text, &key->scopes, NULL);
    if (!skald_str_equal(item->key, SKALD_STR("hash"))) return SKALD_ECORRUPT;
    if (text.len != 2 * sizeof record->hash) return SKALD_ECORRUPT;
    return ski_hex_get(text.ptr, sizeof record->hash, record->hash) ? SKALD_OK : SKALD_ECORRUPT;
}

// read_document takes back what put_document wrote; what it does not know must not widen a key, so
// it is refused.
static skald_err read_document(skald_str text, skald_arena *arena, ski_key_record *ret_record)
{
    ski_key_record record = {0};
    ski_json_walk walk;
    ski_json_item item;
    bool hashed = false;

    text = skald_arena_copy(arena, text);
    if (!text.ptr) return SKALD_ENOMEM;
    if (ski_json_door_check(text, false, NULL) || ski_json_kind_of(text) != SKI_JSON_OBJECT)
        return SKALD_ECORRUPT;
    walk = (ski_json_walk){.rest = text};
    while (ski_json_next(&walk, &item)) {
        skald_err err = read_member(&item, arena, &record);

        if (err) return err == SKALD_ENOMEM ? err : SKALD_ECORRUPT;
        hashed |= skald_str_equal(item.key, SKALD_STR("hash"));
    }
    if (!hashed || record.key.id.len != SKALD_KEY_ID_BYTES || !record.key.scopes)
        return SKALD_ECORRUPT;
    *ret_record = record;
    return SKALD_OK;
}

typedef struct listing {
    skald_arena *arena;
    ski_key_record *records;
    size_t count;
    skald_err err;
} listing;

static bool visit(void *context, const skald_store_value *value)
{
    listing *list = context;

    if (list->count == SKALD_KEYS_MAX) return false;
    list->err = read_document(value->bytes, list->arena, &list->records[list->count]);
    if (!list->err) list->count++;
    return !list->err;
}

static int older_first(const void *a, const void *b)
{
    const skald_key *one = &((const ski_key_record *)a)->key,
                    *other = &((const ski_key_record *)b)->key;

    if (one->created_at != other->created_at) return one->created_at < other->created_at ? -1 : 1;
    return ski_str_compare(one->id, other->id);
}

skald_err ski_key_records(skald_store *store, skald_arena *arena, ski_key_record **ret_records,
                          size_t *ret_count, skald_error *reterr_error)
{
    listing list = {.arena = arena,
                    .records = skald_arena_get(arena, SKALD_KEYS_MAX * sizeof *list.records)};
    skald_err err;

    if (!list.records) return SKALD_ENOMEM;
    err = ski_store_value_each(store, skald_str_of(value_prefix), visit, &list);
    if (!err) err = list.err;
    if (err == SKALD_ECORRUPT) {
        return skald_fail(reterr_error, err,
                          "an API key in this store cannot be read: it is damaged, or of a newer "
                          "version");
    }
    if (err) return err;
    qsort(list.records, list.count, sizeof *list.records, older_first);
    *ret_records = list.records;
    *ret_count = list.count;
    return SKALD_OK;
}

// A change of keys: values and the event that records it, in one commit.
typedef struct change {
    const ski_key_record *record;
    const char *type;
    const ski_key_by *by;
    skald_str dropped; // id of the entry that makes room; not given: none
} change;

static void committed(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

static skald_err commit(skald_store *store, const change *made, skald_arena *arena)
{
    const skald_key *key = &made->record->key;
    bool rules_all = ski_key_rules_all(key); // then nobody of one tenant is told of it
    skald_buf document = {.bytes_max = document_bytes_max}, data = {.bytes_max = 4096};
    skald_err outcome = SKALD_OK, err;
    skald_store_value values[3] = {
        {.name = skald_arena_print(arena, "%s%.*s", value_prefix, SKALD_FMT(key->id))},
        {.name = skald_arena_print(arena, "%s%.*s", value_prefix, SKALD_FMT(made->dropped))},
        {.name = skald_arena_print(arena, "keyuse/%.*s", SKALD_FMT(made->dropped))}};
    skald_event event = {
        .type = skald_str_of(made->type),
        .tenant = rules_all ? SKALD_STR(SKALD_PLATFORM_TENANT) : key->tenant,
        .user = made->by->user,
        .role = made->by->role,
        .correlation_id = made->by->correlation_id,
        .source = SKALD_STR("skald"),
    };
    skald_store_batch batch = {.events = &event,
                               .event_count = 1,
                               .values = values,
                               .value_count = made->dropped.len ? 3 : 1,
                               .done = committed,
                               .context = &outcome};

    err = put_document(made->record, &document);
    if (!err) err = ski_buf_print(&data, "{\"keyId\":\"%.*s\",\"name\":", SKALD_FMT(key->id));
    if (!err) err = ski_json_put_string(&data, key->name);
    if (!err) err = ski_buf_print(&data, ",\"scopes\":\"%s\"}", skald_scopes_print(key->scopes));
    if (!err && (!values[0].name.ptr || !values[1].name.ptr || !values[2].name.ptr))
        err = SKALD_ENOMEM;
    values[0].bytes = ski_buf_str(&document);
    event.data = ski_buf_str(&data);
    if (!err) err = skald_event_check(&event, document_bytes_max, NULL);
    if (!err) err = ski_store_commit(store, &batch);
    skald_buf_fini(&document);
    skald_buf_fini(&data);
    return err ? err : outcome;
}

// make_room finds the entry that a new key may take the place of, if there is one too many.
static skald_err make_room(const ski_key_record *records, size_t count, skald_str *ret_dropped,
                           skald_error *reterr_error)
{
    const skald_key *first = NULL;

    if (count < SKALD_KEYS_MAX) return SKALD_OK;
    for (size_t i = 0; i < count; i++) {
        const skald_key *key = &records[i].key;
        if (key->revoked_at && (!first || key->revoked_at < first->revoked_at)) first = key;
    }
    if (!first) {
        return skald_fail(reterr_error, SKALD_EFULL,
                          "there are %d keys already; revoke one that is not used any more",
                          SKALD_KEYS_MAX);
    }
    *ret_dropped = first->id;
    return SKALD_OK;
}

// draw makes an id and a secret; the text is the only place the secret stays in.
static skald_err draw(skald_store *store, skald_arena *arena, ski_key_record *record,
                      skald_str *ret_text)
{
    const ski_kernel *kernel = ski_store_kernel(store);
    uint8_t id[SKALD_KEY_ID_BYTES / 2], secret[SKI_KEY_SECRET_BYTES];
    size_t prefix = sizeof text_prefix - 1;
    char *text = skald_arena_get(arena, SKI_KEY_TEXT_BYTES);
    bool hashed;

    if (!text) return SKALD_ENOMEM;
    kernel->random(kernel->context, id, sizeof id);
    kernel->random(kernel->context, secret, sizeof secret);
    memcpy(text, text_prefix, prefix);
    ski_hex_put(id, sizeof id, text + prefix);
    text[prefix + SKALD_KEY_ID_BYTES] = '_';
    ski_hex_put(secret, sizeof secret, text + prefix + SKALD_KEY_ID_BYTES + 1);
    hashed = sha256(secret, sizeof secret, record->hash);
    OPENSSL_cleanse(secret, sizeof secret);
    record->key.id = ski_str(text + prefix, SKALD_KEY_ID_BYTES);
    *ret_text = ski_str(text, SKI_KEY_TEXT_BYTES);
    return hashed ? SKALD_OK : SKALD_ENOMEM;
}

skald_err ski_key_make(skald_store *store, const skald_key *asked, const ski_key_by *by,
                       skald_arena *arena, ski_key_record *ret_record, skald_str *ret_text,
                       skald_error *reterr_error)
{
    ski_key_record record = {.key = *asked}, *records = NULL;
    change made = {.record = &record, .type = "audit.key.created", .by = by};
    skald_str text = {0};
    size_t count = 0;

    SKALD_TRY(ski_key_check(asked, ski_store_now(store), reterr_error));
    SKALD_TRY(ski_key_records(store, arena, &records, &count, reterr_error));
    SKALD_TRY(make_room(records, count, &made.dropped, reterr_error));
    record.key.created_at = ski_store_now(store);
    record.key.revoked_at = record.key.used_at = 0;
    SKALD_TRY(draw(store, arena, &record, &text));
    SKALD_TRY(commit(store, &made, arena));
    *ret_record = record;
    *ret_text = text;
    return SKALD_OK;
}

skald_err ski_key_end(skald_store *store, skald_str id, const ski_key_by *by,
                      skald_error *reterr_error)
{
    ski_key_record *records = NULL;
    skald_arena *arena = NULL;
    size_t count = 0, i = 0;
    skald_err err = skald_arena_new(64 * 1024 * 1024, &arena);

    if (err) return err;
    err = ski_key_records(store, arena, &records, &count, reterr_error);
    while (!err && i < count && !skald_str_equal(records[i].key.id, id)) i++;
    if (!err && i == count)
        err = skald_fail_at(reterr_error, SKALD_ENOTFOUND, "id", "there is no key of that id");
    if (!err && !records[i].key.revoked_at) {
        change made = {.record = &records[i], .type = "audit.key.revoked", .by = by};

        records[i].key.revoked_at = ski_store_now(store);
        err = commit(store, &made, arena);
    }
    skald_arena_free(arena);
    return err;
}

skald_err skald_key_create(skald_store *store, const skald_key *asked, skald_arena *arena,
                           skald_key *ret_key, skald_str *ret_text, skald_error *reterr_error)
{
    ski_key_record record;

    SKALD_TRY(ski_key_make(store, asked, &(ski_key_by){0}, arena, &record, ret_text, reterr_error));
    *ret_key = record.key;
    return SKALD_OK;
}

skald_err skald_key_revoke(skald_store *store, skald_str id, skald_error *reterr_error)
{
    return ski_key_end(store, id, &(ski_key_by){0}, reterr_error);
}
