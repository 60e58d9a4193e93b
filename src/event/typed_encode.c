// SPDX-License-Identifier: Apache-2.0
// From a struct to JSON, by its record.
//
// Invariants:
//   1. What is written is valid JSON: text that is not UTF-8 and json that is not JSON are refused.
//   2. A failure leaves the buffer as it was.
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "event/fields.h"

#include <math.h>
#include <string.h>

enum { list_items_max = 65536 }; // of one list

typedef struct encoder {
    skald_buf *buf;
    skald_error *error;
} encoder;

static skald_err object_put(encoder *to, const skald_record *record, const void *object,
                            const ski_place *place);

static skald_err text_put(encoder *to, skald_str text, const ski_place *place)
{
    if (!text.ptr) text = SKALD_STR("");
    if (!ski_str_utf8(text))
        return ski_place_fail(to->error, place, SKALD_EINVALID, "is not UTF-8");
    return ski_json_put_string(to->buf, text);
}

// plain_put writes text that needs no escapes, in quotes.
static skald_err plain_put(encoder *to, const char *text, size_t len)
{
    SKALD_TRY(ski_buf_room(to->buf, len + 2));
    SKALD_TRY(ski_buf_byte(to->buf, '"'));
    SKALD_TRY(skald_buf_put(to->buf, (skald_str){text, len}));
    return ski_buf_byte(to->buf, '"');
}

static skald_err i64_put(encoder *to, int64_t number)
{
    if (number >= 0) return ski_buf_u64(to->buf, (uint64_t)number);
    SKALD_TRY(ski_buf_byte(to->buf, '-'));
    return ski_buf_u64(to->buf, 0 - (uint64_t)number);
}

static skald_err uuid_put(encoder *to, skald_uuid uuid)
{
    char text[SKALD_UUID_TEXT + 1];

    skald_uuid_print(uuid, text);
    return plain_put(to, text, SKALD_UUID_TEXT);
}

static skald_err f64_put(encoder *to, double number, const ski_place *place)
{
    char text[SKI_F64_TEXT];

    if (!isfinite(number))
        return ski_place_fail(to->error, place, SKALD_EINVALID, "is not a finite number");
    ski_f64_print(number, text);
    return skald_buf_put(to->buf, skald_str_of(text));
}

static skald_err time_put(encoder *to, skald_time time)
{
    char text[SKALD_TIME_TEXT + 1];

    skald_time_print(time, text);
    return plain_put(to, text, SKALD_TIME_TEXT);
}

static skald_err date_put(encoder *to, skald_date date, const ski_place *place)
{
    char text[SKALD_DATE_TEXT + 1];

    if (!skald_date_print(date, text))
        return ski_place_fail(to->error, place, SKALD_EINVALID, "is outside the years 1 to 9999");
    return plain_put(to, text, SKALD_DATE_TEXT);
}

static skald_err money_put(encoder *to, const skald_money *money, const ski_place *place)
{
    char text[SKI_AMOUNT_TEXT];

    if (!ski_currency_known(money->currency))
        return ski_place_fail(to->error, place, SKALD_EINVALID,
                              "has no currency; it is three capital letters of ISO 4217");
    ski_amount_print(money, text);
    return ski_buf_print(to->buf, "{\"amount\":\"%s\",\"currency\":\"%s\"}", text, money->currency);
}

static skald_err json_put(encoder *to, skald_json json, const ski_place *place)
{
    skald_error inner = {0};

    if (!json.ptr) return skald_buf_put(to->buf, SKALD_STR("null"));
    skald_err err = ski_json_door_check(json, false, &inner);

    if (err) return ski_place_fail(to->error, place, err, "is not JSON: %s", inner.text);
    return skald_buf_put(to->buf, json);
}

static skald_err choice_put(encoder *to, const skald_field *field, const void *value,
                            const ski_place *place)
{
    const skald_choice *choice = field->choice();
    unsigned one;

    memcpy(&one, value, sizeof(one));
    if (one >= choice->count)
        return ski_place_fail(to->error, place, SKALD_EINVALID, "is %u; its enum has %u values",
                              one, choice->count);
    return ski_json_put_string(to->buf, skald_str_of(choice->names[one]));
}

static skald_err item_put(encoder *to, const skald_field *field, const ski_items *list,
                          const ski_place *place)
{
    switch (field->kind) {
    case SKALD_TEXTS: return text_put(to, ((const skald_str *)list->items)[place->index], place);
    case SKALD_UUIDS: return uuid_put(to, ((const skald_uuid *)list->items)[place->index]);
    default: {
        const skald_record *record = field->record();
        const char *item = (const char *)list->items + place->index * record->size;

        return object_put(to, record, item, place);
    }
    }
}

static skald_err list_put(encoder *to, const skald_field *field, const void *value,
                          const ski_place *place)
{
    ski_items list;

    memcpy(&list, value, sizeof(list));
    if (list.count > list_items_max)
        return ski_place_fail(to->error, place, SKALD_EINVALID,
                              "has %zu items; at most %d are "
                              "possible",
                              list.count, list_items_max);
    SKALD_TRY(ski_buf_byte(to->buf, '['));
    for (size_t i = 0; i < list.count; i++) {
        const ski_place at = {.outer = place, .index = i};

        if (i) SKALD_TRY(ski_buf_byte(to->buf, ','));
        SKALD_TRY(item_put(to, field, &list, &at));
    }
    return ski_buf_byte(to->buf, ']');
}

static skald_err value_put(encoder *to, const skald_field *field, const void *value,
                           const ski_place *place)
{
    switch ((skald_kind)field->kind) {
    case SKALD_TEXT: return text_put(to, *(const skald_str *)value, place);
    case SKALD_UUID: return uuid_put(to, *(const skald_uuid *)value);
    case SKALD_FLAG:
        return skald_buf_put(to->buf,
                             *(const bool *)value ? SKALD_STR("true") : SKALD_STR("false"));
    case SKALD_I64: return i64_put(to, *(const int64_t *)value);
    case SKALD_F64: return f64_put(to, *(const double *)value, place);
    case SKALD_TIME: return time_put(to, *(const skald_time *)value);
    case SKALD_DATE: return date_put(to, *(const skald_date *)value, place);
    case SKALD_MONEY: return money_put(to, value, place);
    case SKALD_JSON: return json_put(to, *(const skald_json *)value, place);
    case SKALD_TEXTS:
    case SKALD_UUIDS:
    case SKALD_LIST: return list_put(to, field, value, place);
    case SKALD_OBJECT: return object_put(to, field->record(), value, place);
    case SKALD_CHOICE_KIND: return choice_put(to, field, value, place);
    }
    return ski_place_fail(to->error, place, SKALD_EINVALID, "is of no kind there is");
}

static skald_err object_put(encoder *to, const skald_record *record, const void *object,
                            const ski_place *place)
{
    char before = '{';

    for (uint32_t i = 0; i < record->field_count; i++) {
        const skald_field *field = &record->fields[i];
        const ski_place at = {.outer = place, .name = field->json};

        if (!ski_field_given(field, object)) continue;
        SKALD_TRY(ski_buf_byte(to->buf, before));
        SKALD_TRY(ski_json_put_string(to->buf, skald_str_of(field->json)));
        SKALD_TRY(ski_buf_byte(to->buf, ':'));
        SKALD_TRY(value_put(to, field, ski_field_at(field, object), &at));
        before = ',';
    }
    return skald_buf_put(to->buf, before == '{' ? SKALD_STR("{}") : SKALD_STR("}"));
}

skald_err skald_encode(const skald_record *record, const void *object, skald_buf *buf,
                       skald_error *reterr_error)
{
    skald_error error = {0};
    encoder to = {.buf = buf, .error = &error};
    size_t begin = buf->len;
    skald_err err = object_put(&to, record, object, NULL);

    if (!err) return SKALD_OK;
    buf->len = begin;
    if (!error.err) (void)skald_fail(&error, err, "%s: %s", record->name, skald_err_text(err));
    if (reterr_error) *reterr_error = error;
    return err;
}

skald_err skald_type_event(const skald_event_type *type, const void *object, skald_arena *arena,
                           skald_event *ret_event, skald_error *reterr_error)
{
    skald_buf buf = {.bytes_max = SKALD_EVENT_BYTES_LIMIT};
    skald_err err = skald_encode(type->record(), object, &buf, reterr_error);
    skald_json data = {0};

    if (!err) data = skald_arena_copy(arena, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    if (err) return err;
    if (!data.ptr) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    *ret_event = (skald_event){
        .type = skald_str_of(type->name),
        .data = data,
        .version = type->version,
        .priority = type->priority,
        .transient = type->transient,
    };
    return SKALD_OK;
}
