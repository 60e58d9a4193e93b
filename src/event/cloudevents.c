// SPDX-License-Identifier: Apache-2.0
// CloudEvents 1.0, the structured JSON form, both ways.
//
//   CloudEvents       ours                     CloudEvents     ours
//   id                id, or metadata.ceId     tenantid        tenantId
//   source            source                   userid, role    actor
//   type              type                     priority        priority
//   subject           stream                   persistent      persistent
//   time              occurredAt               tags            tags, between spaces
//   sequence          position, 20 digits      traceparent     traceparent
//   streamversion     streamVersion, as text   dataversion     version
//   recordedtime      recordedAt               correlationid   correlationId
//   metadata          metadata, as text        causationid     causationId
//   data              data                     any other       metadata.ceAttributes
//   data_base64       data, as that text, and metadata.ceBase64
//
// Data of another media type than JSON is a text here too: its characters, or its bytes in base64.
// Bytes in base64 that are said to be JSON are read as what they are.
//
// Invariants:
//   1. What others gave comes back: an id that is no UUID, attributes we do not know and a media
//      type beside application/json stand in metadata and are written as they came.
//   2. metadata.ceId is believed only where the event's id follows from it, metadata.ceBase64 only
//      where the data is base64: anybody may write metadata.
//   3. The sequence is padded because the extension wants it to sort as text; numbers beyond 31
//      bits are texts, for a CloudEvents integer has no more.
#include "base/base64.h"
#include "base/str.h"
#include "event/event_put.h"
#include "event/event_read.h"

#include <stdio.h>
#include <string.h>

enum {
    id_bytes_max = 255,
    attributes_max = 64, // that we do not know
    attribute_name_max = 64,
    sequence_digits = 20,           // of UINT64_MAX
    unescape_bytes_max = 16 * 1024, // for a ceId, at most id_bytes_max of it needed
};

static const skald_uuid ce_space = {{0xc3, 0x22, 0x0a, 0x3f, 0xfc, 0xee, 0x4a, 0xf3, 0xb5, 0xc0,
                                     0xd3, 0x58, 0xe7, 0x0d, 0xb6, 0x72}};
static const skald_str json_media = {"application/json", 16};
static const skald_str source_unknown = {"skald", 5}; // an event must name a source there

// ce_parts is what one reading gathers beside the event.
typedef struct ce_parts {
    skald_str id, metadata;
    bool spoken; // specversion was there
    bool json;   // datacontenttype is JSON's
    bool text;   // or another
    bool base64; // the data came as data_base64
    size_t attribute_count;
    struct ce_attribute {
        skald_str name, value;
    } attributes[attributes_max];
} ce_parts;

skald_uuid ski_event_ce_id(skald_str tenant, skald_str source, skald_str ce_id)
{
    char name[SKALD_TENANT_BYTES_MAX + SKALD_SOURCE_BYTES_MAX + id_bytes_max + 2];
    size_t len = 0;
    const skald_str parts[] = {tenant, source, ce_id};

    // None of them may hold a line break, so one between them keeps them apart.
    for (size_t i = 0; i < 3; i++) {
        if (i) name[len++] = '\n';
        if (parts[i].len > sizeof(name) - len) return (skald_uuid){{0}};
        if (parts[i].len) memcpy(name + len, parts[i].ptr, parts[i].len);
        len += parts[i].len;
    }
    return skald_uuid_named(ce_space, (skald_str){name, len});
}

static bool attribute_name_valid(skald_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        if ((byte < 'a' || byte > 'z') && (byte < '0' || byte > '9')) return false;
    }
    return name.len > 0 && name.len <= attribute_name_max;
}

static skald_err attribute_fails(ski_reader *reader, skald_str name, const char *what)
{
    char field[attribute_name_max + 1];

    snprintf(field, sizeof(field), "%.*s", SKALD_FMT(name));
    return skald_fail_at(reader->error, SKALD_EINVALID, field, "attribute '%s' %s", field, what);
}

// attribute_keep takes an attribute for metadata; its name is valid.
static skald_err attribute_keep(ski_reader *reader, skald_str name, const ski_json_item *item)
{
    ce_parts *parts = reader->context;

    if (item->kind == SKI_JSON_NULL) return SKALD_OK;
    if (item->kind == SKI_JSON_ARRAY || item->kind == SKI_JSON_OBJECT) {
        return attribute_fails(reader, name, "must be a string, a number, true or false");
    }
    for (size_t i = 0; i < parts->attribute_count; i++) {
        if (!skald_str_equal(parts->attributes[i].name, name)) continue;
        return attribute_fails(reader, name, "is given more than once");
    }
    if (parts->attribute_count == attributes_max) {
        return attribute_fails(reader, name, "is one too many: at most 64 beside those of skald");
    }
    parts->attributes[parts->attribute_count++] = (struct ce_attribute){name, item->value};
    return SKALD_OK;
}

static skald_err read_unknown(ski_reader *reader, const ski_members *members, skald_str name,
                              const ski_json_item *item)
{
    return attribute_name_valid(name) ? attribute_keep(reader, name, item)
                                      : ski_unknown_fails(reader, members, name, item);
}

static skald_err read_spec(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    skald_str text;

    SKALD_TRY(ski_read_string(reader, member, item, &text));
    if (!skald_str_equal(text, SKALD_STR("1.0"))) {
        return ski_member_fails(reader, member, SKALD_EINVALID, "must be \"1.0\"");
    }
    ((ce_parts *)reader->context)->spoken = true;
    return SKALD_OK;
}

static skald_err read_id(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    ce_parts *parts = reader->context;

    SKALD_TRY(ski_read_string(reader, member, item, &parts->id));
    return ski_text_check(member->name.ptr, parts->id, id_bytes_max, reader->error);
}

// read_media: data that is not JSON is a text (text_is_text).
static skald_err read_media(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    ce_parts *parts = reader->context;
    skald_str text, kind, suffix = SKALD_STR("+json");

    SKALD_TRY(ski_read_string(reader, member, item, &text));
    kind = ski_str_trim(ski_str_cut(text, ';', &(skald_str){NULL, 0}));
    if (!memchr(kind.len ? kind.ptr : "", '/', kind.len ? kind.len : 1)) {
        return ski_member_fails(reader, member, SKALD_EINVALID,
                                "must be a media type, as application/json");
    }
    parts->json =
        ski_str_equal_nocase(kind, json_media) ||
        (kind.len > suffix.len &&
         ski_str_equal_nocase((skald_str){kind.ptr + kind.len - suffix.len, suffix.len}, suffix));
    parts->text = !parts->json;
    return skald_str_equal(text, json_media) ? SKALD_OK
                                             : attribute_keep(reader, member->name, item);
}

// is_base64: text is in the base64 of RFC 4648, section 4, padded.
static bool is_base64(skald_str text)
{
    size_t len = text.len;

    if (len % 4) return false;
    for (size_t i = 0; i < 2 && len && text.ptr[len - 1] == '='; i++) len--;
    for (size_t i = 0; i < len; i++) {
        char byte = text.ptr[i];
        bool letter = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
        if (!letter && (byte < '0' || byte > '9') && byte != '+' && byte != '/') return false;
    }
    return true;
}

static skald_err read_base64(ski_reader *reader, const ski_member *member,
                             const ski_json_item *item)
{
    skald_str text, data = item->value;

    if (item->kind != SKI_JSON_STRING) return ski_kind_fails(reader, member, "a string", item);
    text = (skald_str){data.ptr + 1, data.len - 2};
    if (memchr(data.ptr, '\\', data.len)) { // slashes may be escaped
        SKALD_TRY(ski_json_unescape(data, reader->arena, &text));
        data = skald_arena_print(reader->arena, "\"%.*s\"", SKALD_FMT(text));
        if (!data.ptr) return SKALD_ENOMEM;
    }
    if (!is_base64(text)) {
        return ski_member_fails(reader, member, SKALD_EINVALID, "must be base64 (RFC 4648)");
    }
    if (reader->event->data.ptr) {
        return ski_member_fails(reader, member, SKALD_EINVALID, "cannot stand beside \"data\"");
    }
    reader->event->data = data;
    ((ce_parts *)reader->context)->base64 = true;
    return SKALD_OK;
}

// base64_is_json: bytes that are said to be JSON are the document, which is checked like any other.
static skald_err base64_is_json(ski_reader *reader, ce_parts *parts)
{
    skald_str data = reader->event->data; // is_base64, between quotes
    skald_error inner = {0};
    size_t len = data.len - 2;
    char *text;
    uint8_t *bytes;

    if (!parts->base64 || !parts->json) return SKALD_OK;
    text = skald_arena_get(reader->arena, len + 1);
    bytes = skald_arena_get(reader->arena, ski_base64_len(len));
    if (!text || !bytes) return SKALD_ENOMEM;
    while (len && data.ptr[len] == '=') len--;
    for (size_t i = 0; i < len; i++) { // to the alphabet of URLs
        char byte = data.ptr[i + 1];
        text[i] = (char)(byte == '+' ? '-' : byte == '/' ? '_' : byte);
    }
    skald_err err = ski_base64_read((skald_str){text, len}, bytes, &len);
    if (err) {
        return skald_fail_at(reader->error, err, "data_base64",
                             "data_base64 must be base64 (RFC 4648)");
    }
    reader->event->data = (skald_str){(const char *)bytes, len};
    err = ski_json_door_check(reader->event->data, false, &inner);
    if (err) {
        return skald_fail_at(reader->error, err, "data_base64",
                             "data_base64 must hold JSON, as datacontenttype says: %s", inner.text);
    }
    parts->base64 = false;
    return SKALD_OK;
}

static skald_err read_data(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    if (((ce_parts *)reader->context)->base64) {
        return ski_member_fails(reader, member, SKALD_EINVALID,
                                "cannot stand beside \"data_base64\"");
    }
    return ski_read_data(reader, member, item);
}

// text_is_text: of another media type the data is its characters.
static skald_err text_is_text(ski_reader *reader, const ce_parts *parts)
{
    skald_str data = reader->event->data;
    ski_json_kind kind = data.len ? ski_json_kind_of(data) : SKI_JSON_NULL;

    if (!parts->text || kind == SKI_JSON_NULL || kind == SKI_JSON_STRING) return SKALD_OK;
    return skald_fail_at(reader->error, SKALD_EINVALID, "data",
                         "data must be a string, for datacontenttype is not that of JSON");
}

// read_given reads what only a store gives. Published by others it is theirs, and kept as that.
static skald_err read_given(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    skald_str text;
    uint64_t number;

    if (!(reader->flags & SKI_EVENT_STORED)) return attribute_keep(reader, member->name, item);
    if (member->offset == offsetof(skald_event, recorded_at)) {
        return ski_read_time(reader, member, item);
    }
    SKALD_TRY(ski_read_string(reader, member, item, &text));
    if (ski_str_u64(text, &number) || !number) {
        return ski_member_fails(reader, member, SKALD_EINVALID,
                                "must be a whole number from 1, as a string");
    }
    *(uint64_t *)(void *)((char *)reader->event + member->offset) = number;
    return SKALD_OK;
}

static skald_err read_metadata(ski_reader *reader, const ski_member *member,
                               const ski_json_item *item)
{
    ce_parts *parts = reader->context;
    skald_error inner = {0};

    if (item->kind != SKI_JSON_STRING) return ski_kind_fails(reader, member, "a string", item);
    if (item->value.len > 6 * SKALD_METADATA_BYTES_MAX + 2) {
        return ski_member_fails(reader, member, SKALD_ETOOBIG, "has more than %d bytes",
                                SKALD_METADATA_BYTES_MAX);
    }
    SKALD_TRY(ski_json_unescape(item->value, reader->arena, &parts->metadata));
    skald_err err = ski_json_door_check(parts->metadata, false, &inner);
    if (err) {
        return ski_member_fails(reader, member, err, "must hold a JSON object as text: %s",
                                inner.text);
    }
    if (ski_json_kind_of(parts->metadata) != SKI_JSON_OBJECT) {
        return ski_member_fails(reader, member, SKALD_EINVALID, "must hold a JSON object as text");
    }
    return SKALD_OK;
}

static const ski_member rows[] = {
    {SKALD_STR("specversion"), read_spec, 0},
    {SKALD_STR("id"), read_id, 0},
    {SKALD_STR("source"), ski_read_text, offsetof(skald_event, source)},
    {SKALD_STR("type"), ski_read_text, offsetof(skald_event, type)},
    {SKALD_STR("subject"), ski_read_text, offsetof(skald_event, stream)},
    {SKALD_STR("time"), ski_read_time, offsetof(skald_event, occurred_at)},
    {SKALD_STR("datacontenttype"), read_media, 0},
    {SKALD_STR("dataversion"), ski_read_version, 0},
    {SKALD_STR("sequence"), read_given, offsetof(skald_event, position)},
    {SKALD_STR("streamversion"), read_given, offsetof(skald_event, stream_version)},
    {SKALD_STR("recordedtime"), read_given, offsetof(skald_event, recorded_at)},
    {SKALD_STR("tenantid"), ski_read_text, offsetof(skald_event, tenant)},
    {SKALD_STR("correlationid"), ski_read_text, offsetof(skald_event, correlation_id)},
    {SKALD_STR("causationid"), ski_read_text, offsetof(skald_event, causation_id)},
    {SKALD_STR("userid"), ski_read_text, offsetof(skald_event, user)},
    {SKALD_STR("role"), ski_read_text, offsetof(skald_event, role)},
    {SKALD_STR("priority"), ski_read_priority, 0},
    {SKALD_STR("persistent"), ski_read_persistent, 0},
    {SKALD_STR("traceparent"), ski_read_text, offsetof(skald_event, traceparent)},
    {SKALD_STR("tags"), ski_read_text, offsetof(skald_event, tags)},
    {SKALD_STR("metadata"), read_metadata, 0},
    {SKALD_STR("data"), read_data, 0},
    {SKALD_STR("data_base64"), read_base64, 0},
};

// metadata_put writes parts as an object: what is CloudEvents' own first, then what was in
// metadata.
static skald_err metadata_put(ski_reader *reader, ce_parts *parts, skald_str ce_id, ski_put *put)
{
    ski_json_walk walk = {.rest = parts->metadata};
    ski_json_item item;
    skald_str key, comma = SKALD_STR("");

    ski_put_raw(put, SKALD_STR("{"));
    if (ce_id.len) {
        ski_put_raw(put, SKALD_STR("\"ceId\":"));
        ski_put_string(put, ce_id);
        comma = SKALD_STR(",");
    }
    for (size_t i = 0; i < parts->attribute_count; i++) {
        ski_put_raw(put, i ? SKALD_STR("") : comma);
        ski_put_raw(put, i ? SKALD_STR(",\"") : SKALD_STR("\"ceAttributes\":{\""));
        ski_put_raw(put, parts->attributes[i].name);
        ski_put_raw(put, SKALD_STR("\":"));
        ski_put_raw(put, parts->attributes[i].value);
    }
    if (parts->attribute_count) {
        ski_put_raw(put, SKALD_STR("}"));
        comma = SKALD_STR(",");
    }
    if (parts->base64) {
        ski_put_raw(put, comma);
        ski_put_raw(put, SKALD_STR("\"ceBase64\":true"));
        comma = SKALD_STR(",");
    }
    while (ski_json_next(&walk, &item)) {
        SKALD_TRY(ski_json_unescape(item.key, reader->arena, &key));
        if ((ce_id.len && skald_str_equal(key, SKALD_STR("ceId"))) ||
            (parts->base64 && skald_str_equal(key, SKALD_STR("ceBase64"))) ||
            (parts->attribute_count && skald_str_equal(key, SKALD_STR("ceAttributes")))) {
            return skald_fail_at(reader->error, SKALD_EINVALID, "metadata",
                                 "metadata holds '%.*s', which is made from the CloudEvent's own "
                                 "attributes; leave it out",
                                 SKALD_FMT(key));
        }
        ski_put_raw(put, comma);
        ski_put_raw(put, SKALD_STR("\""));
        ski_put_raw(put, item.key);
        ski_put_raw(put, SKALD_STR("\":"));
        ski_put_raw(put, item.value);
        comma = SKALD_STR(",");
    }
    ski_put_raw(put, SKALD_STR("}"));
    return put->err;
}

static skald_err metadata_make(ski_reader *reader, ce_parts *parts, skald_str ce_id)
{
    size_t bytes = sizeof("{\"ceId\":,\"ceAttributes\":{},\"ceBase64\":true,}") + 2 +
                   6 * ce_id.len + parts->metadata.len;
    skald_buf buf = {0};
    ski_put put = {.buf = &buf};

    if (!ce_id.len && !parts->attribute_count && !parts->base64) {
        reader->event->metadata = parts->metadata;
        return SKALD_OK;
    }
    for (size_t i = 0; i < parts->attribute_count; i++) {
        bytes += parts->attributes[i].name.len + parts->attributes[i].value.len + sizeof(",\"\":");
    }
    buf.ptr = skald_arena_get(reader->arena, bytes);
    if (!buf.ptr) return SKALD_ENOMEM;
    buf.size = buf.bytes_max = bytes;
    SKALD_TRY(metadata_put(reader, parts, ce_id, &put));
    reader->event->metadata = ski_buf_str(&buf);
    return SKALD_OK;
}

// names_check is ski_event_check_names in the words of CloudEvents.
static skald_err names_check(const skald_event *event, skald_error *error)
{
    static const char *const names[][2] = {
        {"stream", "subject"},          {"tenantId", "tenantid"},
        {"occurredAt", "time"},         {"correlationId", "correlationid"},
        {"actor.userId", "userid"},     {"recordedAt", "recordedtime"},
        {"causationId", "causationid"}, {"actor.role", "role"},
    };
    skald_error inner = {0};
    skald_err err = ski_event_check_names(event, SKALD_EVENT_BYTES_LIMIT, &inner);

    if (!err) return SKALD_OK;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(inner.field, names[i][0]) != 0) continue;
        return skald_fail_at(error, err, names[i][1], "%s: %s", names[i][1], inner.text);
    }
    if (error) *error = inner;
    return err;
}

static skald_err id_settle(ski_reader *reader, ce_parts *parts)
{
    skald_event *event = reader->event;
    skald_uuid id = {{0}};

    if (!skald_uuid_parse(parts->id, &id) && skald_uuid_given(id)) {
        event->id = id;
        return metadata_make(reader, parts, (skald_str){NULL, 0});
    }
    event->id = ski_event_ce_id(event->tenant, event->source, parts->id);
    if (!skald_uuid_given(event->id)) return SKALD_ENOMEM;
    return metadata_make(reader, parts, parts->id);
}

skald_err ski_cloudevents_read(ski_reader *reader, skald_str text)
{
    ce_parts parts;
    const ski_members members = {.rows = rows,
                                 .count = sizeof(rows) / sizeof(rows[0]),
                                 .unknown = read_unknown};
    const char *missing = NULL;

    parts.id = parts.metadata = (skald_str){NULL, 0};
    parts.spoken = parts.json = parts.text = parts.base64 = false;
    parts.attribute_count = 0;
    reader->context = &parts;
    SKALD_TRY(ski_read_members(reader, &members, text));
    if (!parts.spoken) missing = "specversion";
    if (!parts.id.ptr) missing = "id";
    if (!reader->event->source.ptr) missing = "source";
    if (missing) {
        return skald_fail_at(reader->error, SKALD_EINVALID, missing,
                             "%s is missing; a CloudEvent has specversion, id, source and type",
                             missing);
    }
    SKALD_TRY(base64_is_json(reader, &parts));
    SKALD_TRY(text_is_text(reader, &parts));
    SKALD_TRY(names_check(reader->event, reader->error));
    SKALD_TRY(id_settle(reader, &parts));
    return names_check(reader->event, reader->error); // metadata has been made since
}

// ce_view is what of an event's metadata the CloudEvent says by itself.
typedef struct ce_view {
    skald_str id;         // the string's text with its quotes; not given: the event's own
    skald_str attributes; // an object; not given: none
    bool media;           // it has datacontenttype
    bool base64;          // the data is base64
    bool rest;            // metadata holds more
} ce_view;

// view_id: is value, a string of JSON, what the event's id was made from?
static skald_err view_id(const skald_event *event, skald_str value, ce_view *view)
{
    skald_arena *arena = NULL;
    skald_str ce_id;
    skald_err err;

    if (value.len > 6 * id_bytes_max + 2) return SKALD_OK;
    SKALD_TRY(skald_arena_new(unescape_bytes_max, &arena));
    err = ski_json_unescape(value, arena, &ce_id);
    if (!err && skald_uuid_given(event->id) &&
        skald_uuid_equal(event->id, ski_event_ce_id(event->tenant, event->source, ce_id))) {
        view->id = value;
    }
    skald_arena_free(arena);
    return err;
}

static bool attribute_is_ours(skald_str name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (skald_str_equal(rows[i].name, name))
            return !skald_str_equal(name, SKALD_STR("datacontenttype"));
    }
    return false;
}

// view_attributes takes the object when all of it can be attributes, each once.
static void view_attributes(skald_str object, ce_view *view)
{
    ski_json_walk walk = {.rest = object};
    ski_json_item item, other;
    size_t count = 0;
    bool media = false;

    while (ski_json_next(&walk, &item)) {
        ski_json_walk rest = walk;
        if (++count > attributes_max || !attribute_name_valid(item.key)) return;
        if (item.kind == SKI_JSON_ARRAY || item.kind == SKI_JSON_OBJECT) return;
        if (item.kind == SKI_JSON_NULL) return;
        while (ski_json_next(&rest, &other)) {
            if (skald_str_equal(item.key, other.key)) return;
        }
        if (skald_str_equal(item.key, SKALD_STR("datacontenttype"))) media = true;
    }
    view->attributes = object;
    view->media = media;
}

static bool data_is_base64(skald_json data)
{
    return data.len >= 2 && data.ptr[0] == '"' &&
           is_base64((skald_str){data.ptr + 1, data.len - 2});
}

static skald_err view_make(const skald_event *event, ce_view *view)
{
    ski_json_walk walk = {.rest = event->metadata};
    ski_json_item item;

    while (ski_json_next(&walk, &item)) {
        if (skald_str_equal(item.key, SKALD_STR("ceId")) && item.kind == SKI_JSON_STRING) {
            if (!view->id.ptr) SKALD_TRY(view_id(event, item.value, view));
            if (view->id.ptr) continue;
        } else if (skald_str_equal(item.key, SKALD_STR("ceAttributes")) &&
                   item.kind == SKI_JSON_OBJECT) {
            if (!view->attributes.ptr) view_attributes(item.value, view);
            if (view->attributes.ptr) continue;
        } else if (skald_str_equal(item.key, SKALD_STR("ceBase64")) && item.kind == SKI_JSON_TRUE &&
                   data_is_base64(event->data)) {
            view->base64 = true;
            continue;
        }
        view->rest = true;
    }
    return SKALD_OK;
}

// put_rest writes the metadata that is left, an object as the text of a string.
static void put_rest(ski_put *put, const skald_event *event, const ce_view *view)
{
    ski_json_walk walk = {.rest = event->metadata};
    ski_json_item item;
    skald_buf text = {.bytes_max = event->metadata.len + 2};
    ski_put inner = {.buf = &text};
    skald_str before = SKALD_STR("{\"");

    if (!view->id.ptr && !view->attributes.ptr && !view->base64) {
        ski_put_text(put, SKALD_STR(",\"metadata\":"), event->metadata);
        return;
    }
    if (!view->rest) return;
    while (ski_json_next(&walk, &item)) {
        if (view->id.ptr && skald_str_equal(item.key, SKALD_STR("ceId"))) continue;
        if (view->attributes.ptr && skald_str_equal(item.key, SKALD_STR("ceAttributes"))) continue;
        if (view->base64 && skald_str_equal(item.key, SKALD_STR("ceBase64"))) continue;
        ski_put_raw(&inner, before);
        ski_put_raw(&inner, item.key);
        ski_put_raw(&inner, SKALD_STR("\":"));
        ski_put_raw(&inner, item.value);
        before = SKALD_STR(",\"");
    }
    ski_put_raw(&inner, SKALD_STR("}"));
    if (!put->err) put->err = inner.err;
    if (!put->err && text.len > 1)
        ski_put_text(put, SKALD_STR(",\"metadata\":"), ski_buf_str(&text));
    skald_buf_fini(&text);
}

static void put_attributes(ski_put *put, skald_str object)
{
    ski_json_walk walk = {.rest = object};
    ski_json_item item;

    while (ski_json_next(&walk, &item)) {
        if (attribute_is_ours(item.key)) continue;
        ski_put_raw(put, SKALD_STR(",\""));
        ski_put_raw(put, item.key);
        ski_put_raw(put, SKALD_STR("\":"));
        ski_put_raw(put, item.value);
    }
}

static void put_sequence(ski_put *put, uint64_t position)
{
    char digits[sequence_digits];

    if (!position) return;
    for (size_t i = sequence_digits; i-- > 0; position /= 10)
        digits[i] = (char)('0' + position % 10);
    ski_put_raw(put, SKALD_STR(",\"sequence\":\""));
    ski_put_raw(put, (skald_str){digits, sizeof(digits)});
    ski_put_raw(put, SKALD_STR("\""));
}

static void put_extensions(ski_put *put, const skald_event *event)
{
    if (event->version > 1) {
        ski_put_raw(put, SKALD_STR(",\"dataversion\":"));
        ski_put_u64(put, event->version);
    }
    put_sequence(put, event->position);
    if (event->stream_version) {
        ski_put_raw(put, SKALD_STR(",\"streamversion\":\""));
        ski_put_u64(put, event->stream_version);
        ski_put_raw(put, SKALD_STR("\""));
    }
    ski_put_time(put, SKALD_STR(",\"recordedtime\":"), event->recorded_at);
    ski_put_text(put, SKALD_STR(",\"tenantid\":"), event->tenant);
    ski_put_text(put, SKALD_STR(",\"correlationid\":"), event->correlation_id);
    ski_put_text(put, SKALD_STR(",\"causationid\":"), event->causation_id);
    ski_put_text(put, SKALD_STR(",\"userid\":"), event->user);
    ski_put_text(put, SKALD_STR(",\"role\":"), event->role);
    if (event->priority != SKALD_NORMAL) {
        ski_put_text(put, SKALD_STR(",\"priority\":"), ski_priority_name(event->priority));
    }
    if (event->transient) ski_put_raw(put, SKALD_STR(",\"persistent\":false"));
    ski_put_text(put, SKALD_STR(",\"traceparent\":"), event->traceparent);
    ski_put_text(put, SKALD_STR(",\"tags\":"), event->tags);
}

void ski_cloudevents_put(ski_put *put, const skald_event *event)
{
    ce_view view = {0};

    put->err = view_make(event, &view);
    ski_put_raw(put, SKALD_STR("{\"specversion\":\"1.0\""));
    if (view.id.ptr) {
        ski_put_raw(put, SKALD_STR(",\"id\":"));
        ski_put_raw(put, view.id);
    } else {
        ski_put_uuid(put, SKALD_STR(",\"id\":"), event->id);
    }
    ski_put_text(put, SKALD_STR(",\"source\":"),
                 event->source.len ? event->source : source_unknown);
    ski_put_text(put, SKALD_STR(",\"type\":"), event->type);
    ski_put_text(put, SKALD_STR(",\"subject\":"), event->stream);
    ski_put_time(put, SKALD_STR(",\"time\":"), event->occurred_at);
    if (!view.media && !view.base64)
        ski_put_raw(put, SKALD_STR(",\"datacontenttype\":\"application/json\""));
    put_extensions(put, event);
    put_attributes(put, view.attributes);
    put_rest(put, event, &view);
    ski_put_json(put, view.base64 ? SKALD_STR(",\"data_base64\":") : SKALD_STR(",\"data\":"),
                 event->data);
    ski_put_raw(put, SKALD_STR("}"));
}
