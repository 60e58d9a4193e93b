// SPDX-License-Identifier: Apache-2.0
// Spans as OTLP's JSON: ids in hexadecimal, enums as numbers, 64-bit numbers as decimal text.
#include "telemetry/otlp_inside.h"

#include "base/buf.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/str.h"

#include <string.h>

enum { status_error = 2 };

// text_keep copies what still fits, whole characters only.
static ski_otlp_text text_keep(ski_otlp_record *record, size_t *used, skald_str text)
{
    ski_otlp_text kept = {.at = (uint16_t)*used};

    kept.len = (uint16_t)ski_str_utf8_cut(text, SKI_OTLP_TEXT_BYTES - *used);
    if (kept.len) memcpy(record->text + *used, text.ptr, kept.len);
    *used += kept.len;
    return kept;
}

void ski_otlp_record_fill(ski_otlp_record *record, const ski_span *span)
{
    size_t used = 0;

    record->trace = span->trace;
    memcpy(record->parent, span->parent, sizeof record->parent);
    record->kind = (uint8_t)span->kind;
    record->began_at = span->began_at;
    record->took_ns = span->took_ns;
    record->name = text_keep(record, &used, span->name);
    record->failed = span->failed.ptr != NULL;
    record->why = text_keep(record, &used, span->failed);
    record->field_count = (uint8_t)span->field_count;
    for (size_t i = 0; i < span->field_count; i++) {
        record->fields[i].key = span->fields[i].key;
        record->fields[i].number = span->fields[i].number;
        record->fields[i].is_text = span->fields[i].text.ptr != NULL;
        record->fields[i].text = text_keep(record, &used, span->fields[i].text);
    }
}

static skald_str text_of(const ski_otlp_record *record, ski_otlp_text text)
{
    return ski_str(record->text + text.at, text.len);
}

// put_name writes a name of ours in quotes: behind begins with the one that ends it. (Without
// printf: one request in ten is a span or two, and this was a third of what a request costs.)
static skald_err put_name(skald_buf *buf, const char *name, const char *behind)
{
    SKALD_TRY(ski_buf_byte(buf, '"'));
    SKALD_TRY(skald_buf_put(buf, skald_str_of(name)));
    return skald_buf_put(buf, skald_str_of(behind));
}

static skald_err put_hex(const char *member, const uint8_t *bytes, size_t count, skald_buf *buf)
{
    SKALD_TRY(put_name(buf, member, "\":\""));
    SKALD_TRY(ski_buf_room(buf, 2 * count));
    ski_hex_put(bytes, count, buf->ptr + buf->len);
    buf->len += 2 * count;
    return skald_buf_put(buf, SKALD_STR("\","));
}

static skald_err put_text_field(const char *key, skald_str text, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"key\":")));
    SKALD_TRY(put_name(buf, key, "\",\"value\":{\"stringValue\":"));
    SKALD_TRY(ski_json_put_string(buf, text));
    return skald_buf_put(buf, SKALD_STR("}}"));
}

static skald_err put_number_field(const char *key, int64_t number, skald_buf *buf)
{
    uint64_t size = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"key\":")));
    SKALD_TRY(put_name(buf, key, "\",\"value\":{\"intValue\":\""));
    if (number < 0) SKALD_TRY(ski_buf_byte(buf, '-'));
    SKALD_TRY(ski_buf_u64(buf, size));
    return skald_buf_put(buf, SKALD_STR("\"}}"));
}

static skald_err put_fields(const ski_otlp_record *record, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\"attributes\":[")));
    for (size_t i = 0; i < record->field_count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        if (record->fields[i].is_text) {
            SKALD_TRY(put_text_field(record->fields[i].key, text_of(record, record->fields[i].text),
                                     buf));
        } else {
            SKALD_TRY(put_number_field(record->fields[i].key, record->fields[i].number, buf));
        }
    }
    return skald_buf_put(buf, SKALD_STR("],\"status\":{"));
}

static skald_err put_span(const ski_otlp_record *record, skald_buf *buf)
{
    static const uint8_t none[8] = {0};
    uint64_t began_ns = (uint64_t)record->began_at * 1000;

    SKALD_TRY(ski_buf_byte(buf, '{'));
    SKALD_TRY(put_hex("traceId", record->trace.trace_id, sizeof record->trace.trace_id, buf));
    SKALD_TRY(put_hex("spanId", record->trace.span_id, sizeof record->trace.span_id, buf));
    if (memcmp(record->parent, none, sizeof none) != 0)
        SKALD_TRY(put_hex("parentSpanId", record->parent, sizeof record->parent, buf));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\"name\":")));
    SKALD_TRY(ski_json_put_string(buf, text_of(record, record->name)));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"kind\":")));
    SKALD_TRY(ski_buf_u64(buf, record->kind));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"startTimeUnixNano\":\"")));
    SKALD_TRY(ski_buf_u64(buf, began_ns));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\",\"endTimeUnixNano\":\"")));
    SKALD_TRY(ski_buf_u64(buf, began_ns + record->took_ns));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\",")));
    SKALD_TRY(put_fields(record, buf));
    if (record->failed) {
        SKALD_TRY(ski_buf_print(buf, "\"code\":%d,\"message\":", status_error));
        SKALD_TRY(ski_json_put_string(buf, text_of(record, record->why)));
    }
    return skald_buf_put(buf, SKALD_STR("}}"));
}

skald_err ski_otlp_encode(const char *service, const char *instance, const ski_otlp_record *records,
                          size_t count, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\"resourceSpans\":[{\"resource\":{\"attributes\":[")));
    SKALD_TRY(put_text_field("service.name", skald_str_of(service), buf));
    SKALD_TRY(ski_buf_byte(buf, ','));
    SKALD_TRY(put_text_field("service.version", SKALD_STR(SKALD_VERSION_TEXT), buf));
    SKALD_TRY(ski_buf_byte(buf, ','));
    SKALD_TRY(put_text_field("service.instance.id", skald_str_of(instance), buf));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("]},\"scopeSpans\":[{\"scope\":{\"name\":\"skald\","
                                           "\"version\":\"" SKALD_VERSION_TEXT "\"},\"spans\":[")));
    for (size_t i = 0; i < count; i++) {
        if (i) SKALD_TRY(ski_buf_byte(buf, ','));
        SKALD_TRY(put_span(&records[i], buf));
    }
    return skald_buf_put(buf, SKALD_STR("]}]}]}"));
}

// member finds a member of an object; not given: there is none.
static skald_str member(skald_str object, const char *name)
{
    ski_json_walk walk = {.rest = object};
    ski_json_item item;

    if (ski_json_kind_of(object) != SKI_JSON_OBJECT) return (skald_str){0};
    while (ski_json_next(&walk, &item)) {
        if (skald_str_equal(item.key, skald_str_of(name))) return item.value;
    }
    return (skald_str){0};
}

uint64_t ski_otlp_rejected(skald_str answer)
{
    uint64_t rejected = 0;
    skald_str value;

    if (ski_json_door_check(answer, false, NULL)) return 0;
    value = member(answer, "partialSuccess");
    if (!value.ptr) return 0;
    value = member(value, "rejectedSpans");
    if (!value.ptr) return 0;
    // As any 64-bit number it is a text; some collectors write a number.
    if (value.len >= 2 && value.ptr[0] == '"') value = ski_str(value.ptr + 1, value.len - 2);
    return ski_str_u64(value, &rejected) ? 0 : rejected;
}
