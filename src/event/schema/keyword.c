// SPDX-License-Identifier: Apache-2.0
// The check of schemas. It recurses as deep as the document is, which has a limit.
#include "event/schema/keyword.h"

#include "event/schema/decimal.h"

typedef struct keyword_row {
    const char *text;
    uint8_t len, vocabulary, shape;
} keyword_row;

static const keyword_row rows[] = {
#define KEYWORD_ROW(name, text, vocabulary, shape) \
    {text, sizeof(text) - 1, SKI_VOCABULARY_##vocabulary, SKI_SHAPE_##shape},
    SKI_KEYWORDS(KEYWORD_ROW)
#undef KEYWORD_ROW
};

ski_keyword ski_keyword_of(skald_str name)
{
    for (size_t i = 0; i < SKI_KEYWORD_NONE; i++)
        if (rows[i].len == name.len && !memcmp(rows[i].text, name.ptr, name.len))
            return (ski_keyword)i;
    return SKI_KEYWORD_NONE;
}

const char *ski_keyword_text(ski_keyword keyword)
{
    return rows[keyword].text;
}

ski_shape ski_keyword_shape(ski_keyword keyword)
{
    return rows[keyword].shape;
}

unsigned ski_keyword_vocabulary(ski_keyword keyword)
{
    return rows[keyword].vocabulary;
}

unsigned ski_types_of(skald_str name)
{
    static const struct {
        const char *name;
        unsigned types;
    } types[] = {
        {"null", 1u << SKI_JSON_NULL},     {"boolean", 1u << SKI_JSON_FALSE | 1u << SKI_JSON_TRUE},
        {"number", 1u << SKI_JSON_NUMBER}, {"string", 1u << SKI_JSON_STRING},
        {"array", 1u << SKI_JSON_ARRAY},   {"object", 1u << SKI_JSON_OBJECT},
        {"integer", SKI_TYPE_INTEGER},
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (skald_str_equal(name, skald_str_of(types[i].name))) return types[i].types;
    return 0;
}

typedef struct meta {
    const ski_doc *doc;
    unsigned vocabularies;
    uint64_t *steps;
    uint32_t index; // what is wrong
    const char *why;
} meta;

static bool schema_holds(meta *in, uint32_t index);

static bool wrong(meta *in, uint32_t index, const char *why)
{
    in->index = index;
    in->why = why;
    return false;
}

static const ski_value *at(const meta *in, uint32_t index)
{
    return &in->doc->values[index];
}

static bool is_anchor(skald_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i], lower = (char)(byte | 0x20);

        if ((lower >= 'a' && lower <= 'z') || byte == '_') continue;
        if (!i || !((byte >= '0' && byte <= '9') || byte == '-' || byte == '.')) return false;
    }
    return text.len > 0;
}

static bool is_id(skald_str text)
{
    const char *mark = text.len ? memchr(text.ptr, '#', text.len) : NULL;

    return !mark || mark == text.ptr + text.len - 1;
}

// texts_hold: a list of texts, each once, and types of JSON if that is asked for.
static bool texts_hold(meta *in, uint32_t index, bool types)
{
    const ski_value *list = at(in, index);

    if (list->kind != SKI_JSON_ARRAY) return wrong(in, index, "must be a list of texts");
    if (types && !list->count) return wrong(in, index, "must not be empty");
    for (uint32_t item = index + 1; item < list->next; item = at(in, item)->next) {
        skald_str text = ski_value_text(at(in, item));

        if (at(in, item)->kind != SKI_JSON_STRING) return wrong(in, item, "must be a text");
        if (types && !ski_types_of(text)) return wrong(in, item, "is not a type of JSON");
        for (uint32_t other = index + 1; other < item; other = at(in, other)->next) {
            if (!*in->steps) return wrong(in, index, "takes too long to check");
            --*in->steps;
            if (skald_str_equal(text, ski_value_text(at(in, other))))
                return wrong(in, item, "is there twice");
        }
    }
    return true;
}

static bool number_holds(meta *in, uint32_t index, ski_shape shape)
{
    ski_decimal decimal;

    if (at(in, index)->kind != SKI_JSON_NUMBER) return wrong(in, index, "must be a number");
    decimal = ski_decimal_of(ski_value_text(at(in, index)));
    if (shape == SKI_SHAPE_DIVISOR && (!decimal.digits || decimal.negative))
        return wrong(in, index, "must be above 0");
    if (shape == SKI_SHAPE_COUNT && (decimal.negative || !ski_decimal_integral(&decimal)))
        return wrong(in, index, "must be a whole number from 0");
    return true;
}

static bool map_holds(meta *in, uint32_t index, ski_shape shape)
{
    const ski_value *map = at(in, index);

    if (map->kind != SKI_JSON_OBJECT) return wrong(in, index, "must be an object");
    for (uint32_t item = index + 1; item < map->next; item = at(in, item)->next) {
        ski_json_kind kind = at(in, item)->kind;
        bool flag = kind == SKI_JSON_TRUE || kind == SKI_JSON_FALSE;
        bool texts = shape == SKI_SHAPE_TEXTS_MAP ||
                     (shape == SKI_SHAPE_DEPENDENCIES && kind == SKI_JSON_ARRAY);

        if (shape == SKI_SHAPE_FLAGS && !flag) return wrong(in, item, "must be true or false");
        if (shape == SKI_SHAPE_FLAGS) continue;
        if (texts ? !texts_hold(in, item, false) : !schema_holds(in, item)) return false;
    }
    return true;
}

static bool schemas_hold(meta *in, uint32_t index)
{
    const ski_value *list = at(in, index);

    if (list->kind != SKI_JSON_ARRAY || !list->count)
        return wrong(in, index, "must be a list of at least one schema");
    for (uint32_t item = index + 1; item < list->next; item = at(in, item)->next)
        if (!schema_holds(in, item)) return false;
    return true;
}

static bool value_holds(meta *in, uint32_t index, ski_shape shape)
{
    const ski_value *value = at(in, index);
    bool text = value->kind == SKI_JSON_STRING;

    switch (shape) {
    case SKI_SHAPE_ANY: return true;
    case SKI_SHAPE_TEXT: return text || wrong(in, index, "must be a text");
    case SKI_SHAPE_ID:
        return (text && is_id(ski_value_text(value))) ||
               wrong(in, index, "must be a URI reference without a fragment");
    case SKI_SHAPE_ANCHOR:
        return (text && is_anchor(ski_value_text(value))) ||
               wrong(in, index, "must be a name of letters, digits, - _ and .");
    case SKI_SHAPE_FLAG:
        return value->kind == SKI_JSON_TRUE || value->kind == SKI_JSON_FALSE ||
               wrong(in, index, "must be true or false");
    case SKI_SHAPE_NUMBER:
    case SKI_SHAPE_DIVISOR:
    case SKI_SHAPE_COUNT: return number_holds(in, index, shape);
    case SKI_SHAPE_LIST: return value->kind == SKI_JSON_ARRAY || wrong(in, index, "must be a list");
    case SKI_SHAPE_TEXTS: return texts_hold(in, index, false);
    case SKI_SHAPE_TYPES:
        if (!text) return texts_hold(in, index, true);
        return ski_types_of(ski_value_text(value)) || wrong(in, index, "is not a type of JSON");
    case SKI_SHAPE_SCHEMA: return schema_holds(in, index);
    case SKI_SHAPE_SCHEMAS: return schemas_hold(in, index);
    case SKI_SHAPE_FLAGS:
    case SKI_SHAPE_TEXTS_MAP:
    case SKI_SHAPE_SCHEMA_MAP:
    case SKI_SHAPE_DEPENDENCIES: return map_holds(in, index, shape);
    }
    return true;
}

static bool schema_holds(meta *in, uint32_t index)
{
    const ski_value *schema = at(in, index);
    uint64_t seen = 0;

    if (schema->kind == SKI_JSON_TRUE || schema->kind == SKI_JSON_FALSE) return true;
    if (schema->kind != SKI_JSON_OBJECT)
        return wrong(in, index, "must be a schema: an object, true or false");
    for (uint32_t item = index + 1; item < schema->next; item = at(in, item)->next) {
        ski_keyword keyword = ski_keyword_of(ski_value_key(at(in, item)));

        if (!*in->steps) return wrong(in, index, "takes too long to check");
        --*in->steps;
        if (keyword == SKI_KEYWORD_NONE || !(rows[keyword].vocabulary & in->vocabularies)) continue;
        if (seen >> keyword & 1) return wrong(in, item, "is there twice");
        seen |= (uint64_t)1 << keyword;
        if (!value_holds(in, item, rows[keyword].shape)) return false;
    }
    return true;
}

bool ski_meta_check(const ski_doc *doc, uint32_t index, unsigned vocabularies, uint64_t *steps,
                    uint32_t *ret_index, const char **ret_why)
{
    meta in = {.doc = doc, .vocabularies = vocabularies, .steps = steps};

    if (schema_holds(&in, index)) return true;
    *ret_index = in.index;
    *ret_why = in.why;
    return false;
}
