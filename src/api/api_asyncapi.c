// SPDX-License-Identifier: Apache-2.0
// GET /asyncapi.json: the events as AsyncAPI 3.0. Every type of the registry is a message, which is
// the envelope with the data of that type; the channels are the two that events flow through.
#include "api/api_documents.h"
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "event/typed_contract.h"

#include <string.h>

enum { arena_bytes_max = 64 * 1024 * 1024 };

static const char head[] =
    "{\"asyncapi\":\"3.0.0\",\"info\":{\"title\":\"skald\",\"version\":\"2.0.0\",\"description\":"
    "\"Events as they come and go. The routes beside them are in /openapi.json.\",\"license\":"
    "{\"name\":\"Apache-2.0\",\"url\":\"https://www.apache.org/licenses/LICENSE-2.0\"},"
    "\"contact\":{\"name\":\"whoever runs this server\"},\"tags\":[{\"name\":\"events\"}]},"
    "\"defaultContentType\":\"application/json\",\"servers\":{\"here\":{\"host\":"
    "\"127.0.0.1:8000\",\"protocol\":\"http\",\"description\":\"a server on this machine\"}},"
    "\"channels\":{";

static const char operations[] =
    "},\"operations\":{\"sendEvents\":{\"action\":\"send\",\"title\":\"events as they come\","
    "\"description\":\"Server-Sent Events: id is the position, data one event.\",\"channel\":"
    "{\"$ref\":\"#/channels/stream\"}},\"receiveEvents\":{\"action\":\"receive\",\"title\":"
    "\"events, one a line\",\"description\":\"POST with application/x-ndjson: any number of "
    "events.\",\"channel\":{\"$ref\":\"#/channels/lines\"}}},\"components\":{\"messages\":{";

// The parts of documents/schemas.json that messages are made of.
static const char *const schemas[] = {"Id", "Time", "PositionOrNull", "Actor", "Priority", "Event"};

// A key may not hold every character that a name may.
static skald_err put_key(skald_buf *buf, skald_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || byte == '.' || byte == '-';
        if (plain) {
            SKALD_TRY(ski_buf_byte(buf, byte));
        } else {
            SKALD_TRY(ski_buf_print(buf, "_%02x", (unsigned)(unsigned char)byte));
        }
    }
    return SKALD_OK;
}

static skald_err put_channel(skald_buf *buf, const char *name, const char *address,
                             const char *about, const skald_type_row *rows, size_t count)
{
    SKALD_TRY(ski_buf_print(buf,
                            "\"%s\":{\"address\":\"%s\",\"description\":\"%s\",\"servers\":"
                            "[{\"$ref\":\"#/servers/here\"}],\"messages\":{",
                            name, address, about));
    for (size_t i = 0; i < count; i++) {
        SKALD_TRY(skald_buf_put(buf, i ? SKALD_STR(",\"") : SKALD_STR("\"")));
        SKALD_TRY(put_key(buf, rows[i].name));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("\":{\"$ref\":\"#/components/messages/")));
        SKALD_TRY(put_key(buf, rows[i].name));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("\"}")));
    }
    return skald_buf_put(buf, SKALD_STR("}}"));
}

static skald_err put_message(skald_buf *buf, const skald_type_row *row)
{
    SKALD_TRY(ski_buf_byte(buf, '"'));
    SKALD_TRY(put_key(buf, row->name));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\":{\"name\":")));
    SKALD_TRY(ski_json_put_string(buf, row->name));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"title\":")));
    SKALD_TRY(ski_json_put_string(buf, row->name));
    for (size_t i = 0; i < row->aliases.count; i++) {
        SKALD_TRY(skald_buf_put(buf, i ? SKALD_STR(",") : SKALD_STR(",\"x-aliases\":[")));
        SKALD_TRY(ski_json_put_string(buf, row->aliases.items[i]));
    }
    if (row->aliases.count) SKALD_TRY(ski_buf_byte(buf, ']'));
    SKALD_TRY(skald_buf_put(
        buf, SKALD_STR(",\"contentType\":\"application/json\",\"payload\":{\"allOf\":[{\"$ref\":"
                       "\"#/components/schemas/Event\"},{\"type\":\"object\",\"properties\":"
                       "{\"type\":{\"const\":")));
    SKALD_TRY(ski_json_put_string(buf, row->name));
    SKALD_TRY(ski_buf_byte(buf, '}'));
    if (row->declared) {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"data\":")));
        SKALD_TRY(ski_contract_schema(row->declared, false, buf));
    }
    return skald_buf_put(buf, SKALD_STR("}}]}}"));
}

static skald_err put_schemas(skald_buf *buf)
{
    ski_json_walk walk = {.rest = ski_document_find("schemas.json")};
    const char *before = "\"";
    ski_json_item item;

    while (ski_json_next(&walk, &item)) {
        size_t i = 0, count = sizeof schemas / sizeof *schemas;
        while (i < count && !skald_str_equal(item.key, skald_str_of(schemas[i]))) i++;
        if (i == count) continue;
        SKALD_TRY(skald_buf_put(buf, skald_str_of(before)));
        SKALD_TRY(ski_buf_print(buf, "%s\":", schemas[i]));
        SKALD_TRY(ski_json_minify(buf, item.value));
        before = ",\"";
    }
    return SKALD_OK;
}

static skald_err put_document(skald_buf *buf, const skald_type_row *rows, size_t count)
{
    SKALD_TRY(skald_buf_put(buf, skald_str_of(head)));
    SKALD_TRY(put_channel(buf, "stream", "/api/events/stream",
                          "GET: events as they come, by type, stream, category or tenant", rows,
                          count));
    SKALD_TRY(ski_buf_byte(buf, ','));
    SKALD_TRY(put_channel(buf, "lines", "/api/events",
                          "POST: events, one a line; of the envelope only type is required", rows,
                          count));
    SKALD_TRY(skald_buf_put(buf, skald_str_of(operations)));
    for (size_t i = 0; i < count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(put_message(buf, &rows[i]));
    }
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("},\"schemas\":{")));
    SKALD_TRY(put_schemas(buf));
    return skald_buf_put(buf, SKALD_STR("}}}"));
}

skald_err ski_asyncapi_put(const skald_types *types, skald_buf *buf)
{
    const skald_type_row *rows = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;
    skald_err err;

    SKALD_TRY(skald_arena_new(arena_bytes_max, &arena));
    err = skald_types_list(types, arena, &rows, &count);
    if (!err) err = put_document(buf, rows, count);
    skald_arena_free(arena);
    return err;
}

skald_err ski_get_asyncapi(ski_http_request *request, skald_error *reterr_error)
{
    skald_buf buf = ski_reply_buf();
    skald_err err = ski_asyncapi_put(skald_bus_types(ski_api_of(request)->bus), &buf);

    (void)reterr_error;
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}
