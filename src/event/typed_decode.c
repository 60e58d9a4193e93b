// SPDX-License-Identifier: Apache-2.0
// From JSON to a struct, by its record. Strict: what a field says is due must be there.
//
// Invariants:
//   1. The text has passed the door, so walking it cannot fail: only what it holds can be wrong.
//   2. The struct is given only when all of it fits. Members nobody knows are passed over.
//   3. Everything that was made lies in the arena; texts without escapes borrow from the JSON.
#include "base/json.h"
#include "base/str.h"
#include "event/event_read.h"
#include "event/fields.h"

#include <assert.h>
#include <string.h>

typedef struct decoder {
    skald_arena *arena;
    skald_error *error;
} decoder;

static skald_err object_get(decoder *from, const skald_record *record, skald_str text, char *object,
                            const ski_place *place);

static skald_err misfits(decoder *from, const skald_field *field, const ski_json_item *item,
                         const ski_place *place)
{
    size_t shown = item->value.len > 40 ? 40 : item->value.len;
    skald_str value = {item->value.ptr, ski_str_utf8_cut(item->value, shown)};

    if (item->kind == SKI_JSON_OBJECT || item->kind == SKI_JSON_ARRAY ||
        (field->flags & SKALD_PERSONAL)) // personal data does not belong into errors
        return ski_place_fail(from->error, place, SKALD_ESCHEMA, "must be %s, not %s",
                              ski_field_due(field), ski_json_kind_name(item->kind));
    return ski_place_fail(from->error, place, SKALD_ESCHEMA, "must be %s, not %.*s",
                          ski_field_due(field), SKALD_FMT(value));
}

static skald_err text_get(decoder *from, const ski_json_item *item, skald_str *ret_text)
{
    if (item->kind != SKI_JSON_STRING) return SKALD_ESCHEMA;
    return ski_json_unescape(item->value, from->arena, ret_text);
}

static skald_err uuid_get(decoder *from, const ski_json_item *item, skald_uuid *ret_uuid)
{
    skald_str text;

    SKALD_TRY(text_get(from, item, &text));
    return skald_uuid_parse(text, ret_uuid) ? SKALD_ESCHEMA : SKALD_OK;
}

static skald_err flag_get(const ski_json_item *item, bool *ret_flag)
{
    if (item->kind != SKI_JSON_TRUE && item->kind != SKI_JSON_FALSE) return SKALD_ESCHEMA;
    *ret_flag = item->kind == SKI_JSON_TRUE;
    return SKALD_OK;
}

static skald_err i64_get(const ski_json_item *item, int64_t *ret_number)
{
    if (item->kind != SKI_JSON_NUMBER) return SKALD_ESCHEMA;
    return ski_json_i64(item->value, ret_number) ? SKALD_ESCHEMA : SKALD_OK;
}

static skald_err f64_get(const ski_json_item *item, double *ret_number)
{
    if (item->kind != SKI_JSON_NUMBER) return SKALD_ESCHEMA;
    return ski_f64_parse(item->value, ret_number) ? SKALD_ESCHEMA : SKALD_OK;
}

static skald_err time_get(decoder *from, const ski_json_item *item, skald_time *ret_time)
{
    skald_str text;

    SKALD_TRY(text_get(from, item, &text));
    return skald_time_parse(text, ret_time) ? SKALD_ESCHEMA : SKALD_OK;
}

static skald_err date_get(decoder *from, const ski_json_item *item, skald_date *ret_date)
{
    skald_str text;

    SKALD_TRY(text_get(from, item, &text));
    return skald_date_parse(text, ret_date) ? SKALD_ESCHEMA : SKALD_OK;
}

static skald_err money_get(decoder *from, const ski_json_item *item, skald_money *ret_money)
{
    ski_json_walk walk = {.rest = item->value};
    skald_str amount = {0}, currency = {0}, key;
    skald_money money = {0};
    ski_json_item member;

    if (item->kind != SKI_JSON_OBJECT) return SKALD_ESCHEMA;
    while (ski_json_next(&walk, &member)) {
        SKALD_TRY(ski_json_unescape(member.key, from->arena, &key));
        bool is_amount = skald_str_equal(key, SKALD_STR("amount"));

        if (!is_amount && !skald_str_equal(key, SKALD_STR("currency"))) return SKALD_ESCHEMA;
        skald_str *to = is_amount ? &amount : &currency;

        if (to->ptr) return SKALD_ESCHEMA;
        SKALD_TRY(text_get(from, &member, to));
    }
    if (currency.len != 3 || !amount.ptr) return SKALD_ESCHEMA;
    memcpy(money.currency, currency.ptr, 3);
    if (!ski_currency_known(money.currency)) return SKALD_ESCHEMA;
    if (ski_amount_parse(amount, money.currency, &money.minor)) return SKALD_ESCHEMA;
    *ret_money = money;
    return SKALD_OK;
}

static skald_err choice_get(decoder *from, const skald_field *field, const ski_json_item *item,
                            void *value)
{
    const skald_choice *choice = field->choice();
    skald_str text;

    SKALD_TRY(text_get(from, item, &text));
    for (unsigned i = 0; i < choice->count; i++) {
        if (!skald_str_equal(text, skald_str_of(choice->names[i]))) continue;
        memcpy(value, &i, sizeof(i));
        return SKALD_OK;
    }
    return SKALD_ESCHEMA;
}

static size_t items_count(skald_str array)
{
    ski_json_walk walk = {.rest = array};
    ski_json_item item;
    size_t count = 0;

    while (ski_json_next(&walk, &item)) count++;
    return count;
}

static skald_err item_get(decoder *from, const skald_field *field, const ski_json_item *item,
                          char *to, const ski_place *place)
{
    switch (field->kind) {
    case SKALD_TEXTS: return text_get(from, item, (skald_str *)(void *)to);
    case SKALD_UUIDS: return uuid_get(from, item, (skald_uuid *)(void *)to);
    default:
        if (item->kind != SKI_JSON_OBJECT) return SKALD_ESCHEMA;
        return object_get(from, field->record(), item->value, to, place);
    }
}

static skald_err list_get(decoder *from, const skald_field *field, const ski_json_item *item,
                          void *value, const ski_place *place)
{
    size_t size = field->kind == SKALD_LIST    ? field->record()->size
                  : field->kind == SKALD_TEXTS ? sizeof(skald_str)
                                               : sizeof(skald_uuid);
    ski_json_walk walk = {.rest = item->value};
    ski_items list = {0};
    ski_json_item one;
    char *items = NULL;

    if (item->kind != SKI_JSON_ARRAY) return SKALD_ESCHEMA;
    list.count = items_count(item->value);
    // The text has at least two bytes an item, so the product is far from wrapping round.
    if (list.count) items = skald_arena_get(from->arena, list.count * size);
    if (list.count && !items) return SKALD_ENOMEM;
    for (size_t i = 0; i < list.count && ski_json_next(&walk, &one); i++) {
        const ski_place at = {.outer = place, .index = i};
        skald_err err = item_get(from, field, &one, items + i * size, &at);

        if (err == SKALD_ESCHEMA && !from->error->err) {
            const skald_field of = {.kind = field->kind == SKALD_TEXTS   ? SKALD_TEXT
                                            : field->kind == SKALD_UUIDS ? SKALD_UUID
                                                                         : SKALD_OBJECT,
                                    .flags = field->flags};
            return misfits(from, &of, &one, &at);
        }
        if (err) return err;
    }
    list.items = items;
    memcpy(value, &list, sizeof(list));
    return SKALD_OK;
}

static skald_err value_get(decoder *from, const skald_field *field, const ski_json_item *item,
                           void *value, const ski_place *place)
{
    switch ((skald_kind)field->kind) {
    case SKALD_TEXT: return text_get(from, item, value);
    case SKALD_UUID: return uuid_get(from, item, value);
    case SKALD_FLAG: return flag_get(item, value);
    case SKALD_I64: return i64_get(item, value);
    case SKALD_F64: return f64_get(item, value);
    case SKALD_TIME: return time_get(from, item, value);
    case SKALD_DATE: return date_get(from, item, value);
    case SKALD_MONEY: return money_get(from, item, value);
    case SKALD_JSON: *(skald_json *)value = item->value; return SKALD_OK;
    case SKALD_TEXTS:
    case SKALD_UUIDS:
    case SKALD_LIST: return list_get(from, field, item, value, place);
    case SKALD_OBJECT:
        if (item->kind != SKI_JSON_OBJECT) return SKALD_ESCHEMA;
        return object_get(from, field->record(), item->value, value, place);
    case SKALD_CHOICE_KIND: return choice_get(from, field, item, value);
    }
    return SKALD_ESCHEMA;
}

static const skald_field *field_find(const skald_record *record, skald_str key)
{
    for (uint32_t i = 0; i < record->field_count; i++)
        if (skald_str_equal(key, skald_str_of(record->fields[i].json))) return &record->fields[i];
    return NULL;
}

static skald_err member_get(decoder *from, const skald_field *field, const ski_json_item *item,
                            char *object, const ski_place *place)
{
    bool may_be_null = field->kind == SKALD_JSON && !(field->flags & SKALD_OPTIONAL);

    if (item->kind == SKI_JSON_NULL && (field->flags & SKALD_OPTIONAL)) return SKALD_OK;
    skald_err err = item->kind == SKI_JSON_NULL && !may_be_null
                        ? SKALD_ESCHEMA
                        : value_get(from, field, item, object + field->offset, place);

    if (err == SKALD_ESCHEMA && !from->error->err) return misfits(from, field, item, place);
    if (err) return err;
    if (field->flags & SKALD_OPTIONAL) *(bool *)(object + field->has_offset) = true;
    return SKALD_OK;
}

static skald_err object_get(decoder *from, const skald_record *record, skald_str text, char *object,
                            const ski_place *place)
{
    bool seen[SKALD_FIELDS_MAX] = {false};
    ski_json_walk walk = {.rest = text};
    ski_json_item item;

    assert(record->field_count <= SKALD_FIELDS_MAX);
    while (ski_json_next(&walk, &item)) {
        skald_str key = item.key;

        if (item.key_escaped) SKALD_TRY(ski_json_unescape(item.key, from->arena, &key));
        const skald_field *field = field_find(record, key);

        if (!field) continue;
        const ski_place at = {.outer = place, .name = field->json};

        if (seen[field - record->fields])
            return ski_place_fail(from->error, &at, SKALD_ESCHEMA, "is given twice");
        seen[field - record->fields] = true;
        SKALD_TRY(member_get(from, field, &item, object, &at));
    }
    for (uint32_t i = 0; i < record->field_count; i++) {
        const skald_field *field = &record->fields[i];
        const ski_place at = {.outer = place, .name = field->json};

        if (seen[i] || (field->flags & SKALD_OPTIONAL)) continue;
        return ski_place_fail(from->error, &at, SKALD_ESCHEMA, "is missing; it must be %s",
                              ski_field_due(field));
    }
    return SKALD_OK;
}

skald_err ski_decode_checked(const skald_record *record, skald_json json, skald_arena *arena,
                             const void **ret_object, skald_error *reterr_error)
{
    skald_error error = {0};
    decoder from = {.arena = arena, .error = &error};

    if (!json.ptr) json = SKALD_STR("null");
    char *object = skald_arena_get(arena, record->size);
    skald_err err = SKALD_ENOMEM;

    if (object && ski_json_kind_of(json) != SKI_JSON_OBJECT)
        err = ski_place_fail(&error, NULL, SKALD_ESCHEMA, "must be an object, not %s",
                             ski_json_kind_name(ski_json_kind_of(json)));
    else if (object)
        err = object_get(&from, record, json, object, NULL);
    if (!err) {
        *ret_object = object;
        return SKALD_OK;
    }
    if (!error.err) (void)skald_fail(&error, err, "%s: %s", record->name, skald_err_text(err));
    if (reterr_error) *reterr_error = error;
    return err;
}

skald_err skald_decode(const skald_record *record, skald_json json, skald_arena *arena,
                       const void **ret_object, skald_error *reterr_error)
{
    if (json.ptr) SKALD_TRY(ski_json_door_check(json, false, reterr_error));
    return ski_decode_checked(record, json, arena, ret_object, reterr_error);
}

// type_has tells whether name is one of a type's: events may be stored under an alias from before
// it was one.
static bool type_has(const skald_event_type *type, skald_str name)
{
    skald_str rest = skald_str_of(type->aliases);

    if (skald_str_equal(name, skald_str_of(type->name))) return true;
    while (rest.len)
        if (skald_str_equal(ski_str_cut(rest, ' ', &rest), name)) return name.len != 0;
    return false;
}

skald_err skald_type_object(const skald_event_type *type, const skald_event *event,
                            skald_arena *arena, const void **ret_object, skald_error *reterr_error)
{
    if (!type_has(type, event->type))
        return skald_fail_at(reterr_error, SKALD_ESCHEMA, "type", "the event is a %.*s, not a %s",
                             SKALD_FMT(event->type), type->name);
    return skald_decode(type->record(), event->data, arena, ret_object, reterr_error);
}
