// SPDX-License-Identifier: Apache-2.0
// A type for those who do not read C: JSON Schema 2020-12, and the messages of AsyncAPI 3.0.
//
// Nested records stand where they are used: a struct cannot hold itself, so this ends. Unknown
// members stay allowed, as the decoder passes over them.
#include "event/typed_contract.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

static skald_err object_schema(const skald_record *record, skald_buf *buf);

static skald_err choice_schema(const skald_choice *choice, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\"enum\":[")));
    for (uint32_t i = 0; i < choice->count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_json_put_string(buf, skald_str_of(choice->names[i])));
    }
    return ski_buf_byte(buf, ']');
}

// kind_schema writes the members of a schema that say what kind a value is.
static skald_err kind_schema(const skald_field *field, skald_buf *buf)
{
    static const char *const plain[] = {
        [SKALD_TEXT] = "\"type\":\"string\"",
        [SKALD_UUID] = "\"type\":\"string\",\"format\":\"uuid\"",
        [SKALD_FLAG] = "\"type\":\"boolean\"",
        [SKALD_I64] = "\"type\":\"integer\",\"minimum\":-9223372036854775808,"
                      "\"maximum\":9223372036854775807",
        [SKALD_F64] = "\"type\":\"number\"",
        [SKALD_TIME] = "\"type\":\"string\",\"format\":\"date-time\"",
        [SKALD_DATE] = "\"type\":\"string\",\"format\":\"date\"",
        [SKALD_MONEY] = "\"type\":\"object\",\"properties\":{"
                        "\"amount\":{\"type\":\"string\",\"pattern\":\"^-?[0-9]+([.][0-9]+)?$\"},"
                        "\"currency\":{\"type\":\"string\",\"pattern\":\"^[A-Z]{3}$\"}},"
                        "\"required\":[\"amount\",\"currency\"],\"additionalProperties\":false",
        [SKALD_TEXTS] = "\"type\":\"array\",\"items\":{\"type\":\"string\"}",
        [SKALD_UUIDS] = "\"type\":\"array\",\"items\":{\"type\":\"string\",\"format\":\"uuid\"}",
    };

    switch ((skald_kind)field->kind) {
    case SKALD_JSON: return SKALD_OK;
    case SKALD_OBJECT: return object_schema(field->record(), buf);
    case SKALD_LIST:
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("\"type\":\"array\",\"items\":{")));
        SKALD_TRY(object_schema(field->record(), buf));
        return ski_buf_byte(buf, '}');
    case SKALD_CHOICE_KIND: return choice_schema(field->choice(), buf);
    case SKALD_TEXT:
    case SKALD_UUID:
    case SKALD_FLAG:
    case SKALD_I64:
    case SKALD_F64:
    case SKALD_TIME:
    case SKALD_DATE:
    case SKALD_MONEY:
    case SKALD_TEXTS:
    case SKALD_UUIDS: break;
    }
    return skald_buf_put(buf, skald_str_of(plain[field->kind]));
}

// An optional member may also be null, which the decoder takes for left out.
static skald_err field_schema(const skald_field *field, skald_buf *buf)
{
    bool optional = (field->flags & SKALD_OPTIONAL) && field->kind != SKALD_JSON;

    SKALD_TRY(ski_json_put_string(buf, skald_str_of(field->json)));
    SKALD_TRY(skald_buf_put(buf, optional ? SKALD_STR(":{\"anyOf\":[{") : SKALD_STR(":{")));
    size_t begin = buf->len;

    SKALD_TRY(kind_schema(field, buf));
    if (optional) SKALD_TRY(skald_buf_put(buf, SKALD_STR("},{\"type\":\"null\"}]")));
    bool first = buf->len == begin;

    if (field->flags & SKALD_PERSONAL) {
        SKALD_TRY(ski_buf_print(buf, "%s\"x-personal\":true", first ? "" : ","));
        first = false;
    }
    if (field->flags & SKALD_SUBJECT)
        SKALD_TRY(ski_buf_print(buf, "%s\"x-subject\":true", first ? "" : ","));
    return ski_buf_byte(buf, '}');
}

static skald_err object_schema(const skald_record *record, skald_buf *buf)
{
    bool any = false;

    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\"type\":\"object\",\"properties\":{")));
    for (uint32_t i = 0; i < record->field_count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(field_schema(&record->fields[i], buf));
    }
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("},\"required\":[")));
    for (uint32_t i = 0; i < record->field_count; i++) {
        if (record->fields[i].flags & SKALD_OPTIONAL) continue;
        if (any) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_json_put_string(buf, skald_str_of(record->fields[i].json)));
        any = true;
    }
    return ski_buf_byte(buf, ']');
}

skald_err ski_contract_schema(const skald_event_type *type, bool whole, skald_buf *buf)
{
    if (whole)
        SKALD_TRY(skald_buf_put(
            buf,
            SKALD_STR("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$id\":")));
    else
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"$id\":")));
    SKALD_TRY(ski_buf_print(buf, "\"urn:skald:type:%s:%u\",\"title\":\"%s\",", type->name,
                            type->version, type->name));
    SKALD_TRY(object_schema(type->record(), buf));
    return ski_buf_byte(buf, '}');
}

// An identifier within a document: the schema of a message stands in another document, where an
// "$id" of its own would be its new base.
static skald_err payload(const skald_event_type *type, skald_buf *buf)
{
    SKALD_TRY(ski_buf_byte(buf, '{'));
    SKALD_TRY(object_schema(type->record(), buf));
    return ski_buf_byte(buf, '}');
}

skald_err ski_contract_message(skald_str name, const skald_texts *aliases,
                               const skald_event_type *type, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"name\":")));
    SKALD_TRY(ski_json_put_string(buf, name));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"contentType\":\"application/json\"")));
    if (aliases->count) {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"x-aliases\":[")));
        for (size_t i = 0; i < aliases->count; i++) {
            if (i) SKALD_TRY(ski_buf_byte(buf, ','));
            SKALD_TRY(ski_json_put_string(buf, aliases->items[i]));
        }
        SKALD_TRY(ski_buf_byte(buf, ']'));
    }
    if (!type) return skald_buf_put(buf, SKALD_STR(",\"payload\":true}"));
    SKALD_TRY(ski_buf_print(buf, ",\"x-version\":%u,\"payload\":", type->version));
    SKALD_TRY(payload(type, buf));
    return ski_buf_byte(buf, '}');
}

static skald_err aliases_of(const skald_event_type *type, skald_str ret_items[], skald_texts *ret)
{
    skald_str rest = skald_str_of(type->aliases);

    *ret = (skald_texts){ret_items, 0};
    while (rest.len && ret->count < SKALD_TYPE_ALIASES_MAX) {
        skald_str word = ski_str_cut(rest, ' ', &rest);

        if (word.len) ret_items[ret->count++] = word;
    }
    return rest.len ? SKALD_EFULL : SKALD_OK;
}

skald_err skald_type_write(const skald_event_type *type, skald_contract contract, skald_buf *buf)
{
    skald_str items[SKALD_TYPE_ALIASES_MAX];
    size_t begin = buf->len;
    skald_texts aliases;
    skald_err err = aliases_of(type, items, &aliases);

    if (err) return err;
    switch (contract) {
    case SKALD_JSON_SCHEMA: err = ski_contract_schema(type, true, buf); break;
    case SKALD_ASYNCAPI:
        err = ski_contract_message(skald_str_of(type->name), &aliases, type, buf);
        break;
    case SKALD_TYPESCRIPT: err = ski_contract_interface(type, buf); break;
    }
    if (err) buf->len = begin;
    return err;
}

static skald_err schemas_write(const skald_type_row *rows, size_t count, skald_buf *buf)
{
    bool any = false;

    SKALD_TRY(skald_buf_put(
        buf,
        SKALD_STR("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$defs\":{")));
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].declared) continue;
        if (any) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(ski_json_put_string(buf, rows[i].name));
        SKALD_TRY(ski_buf_byte(buf, ':'));
        SKALD_TRY(ski_contract_schema(rows[i].declared, false, buf));
        any = true;
    }
    return skald_buf_put(buf, SKALD_STR("}}"));
}

// A channel's key may not hold every character a name may; its address may.
static skald_err key_put(skald_buf *buf, skald_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';

        if (plain)
            SKALD_TRY(ski_buf_byte(buf, byte));
        else
            SKALD_TRY(ski_buf_print(buf, "_%02x", (unsigned)(unsigned char)byte));
    }
    return SKALD_OK;
}

static skald_err channel_put(skald_str name, skald_buf *buf)
{
    SKALD_TRY(ski_buf_byte(buf, '"'));
    SKALD_TRY(key_put(buf, name));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\":{\"address\":")));
    SKALD_TRY(ski_json_put_string(buf, name));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"messages\":{\"event\":{\"$ref\":"
                                           "\"#/components/messages/")));
    SKALD_TRY(key_put(buf, name));
    return skald_buf_put(buf, SKALD_STR("\"}}}"));
}

static skald_err operation_put(skald_str name, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\"receive.")));
    SKALD_TRY(key_put(buf, name));
    SKALD_TRY(skald_buf_put(
        buf, SKALD_STR("\":{\"action\":\"receive\",\"channel\":{\"$ref\":\"#/channels/")));
    SKALD_TRY(key_put(buf, name));
    return skald_buf_put(buf, SKALD_STR("\"}}"));
}

static skald_err asyncapi_write(const skald_type_row *rows, size_t count, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"asyncapi\":\"3.0.0\",\"info\":{\"title\":"
                                           "\"skald\",\"version\":\"" SKALD_VERSION_TEXT
                                           "\"},\"defaultContentType\":\"application/json\","
                                           "\"channels\":{")));
    for (size_t i = 0; i < count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(channel_put(rows[i].name, buf));
    }
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("},\"operations\":{")));
    for (size_t i = 0; i < count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(operation_put(rows[i].name, buf));
    }
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("},\"components\":{\"messages\":{")));
    for (size_t i = 0; i < count; i++) {
        SKALD_TRY(skald_buf_put(buf, i ? SKALD_STR(",\"") : SKALD_STR("\"")));
        SKALD_TRY(key_put(buf, rows[i].name));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("\":")));
        SKALD_TRY(ski_contract_message(rows[i].name, &rows[i].aliases, rows[i].declared, buf));
    }
    return skald_buf_put(buf, SKALD_STR("}}}"));
}

skald_err skald_types_write(const skald_types *types, skald_contract contract, skald_buf *buf)
{
    enum { arena_bytes_max = 16 << 20 };
    const skald_type_row *rows = NULL;
    skald_arena *arena = NULL;
    size_t count = 0, begin = buf->len;

    SKALD_TRY(skald_arena_new(arena_bytes_max, &arena));
    skald_err err = skald_types_list(types, arena, &rows, &count);

    if (!err) {
        switch (contract) {
        case SKALD_JSON_SCHEMA: err = schemas_write(rows, count, buf); break;
        case SKALD_ASYNCAPI: err = asyncapi_write(rows, count, buf); break;
        case SKALD_TYPESCRIPT: err = ski_contract_module(rows, count, buf); break;
        }
    }
    if (err) buf->len = begin;
    skald_arena_free(arena);
    return err;
}
