// SPDX-License-Identifier: Apache-2.0
// What is wrong with a document, for people: what is there, and what is needed.
#include "event/schema/report.h"

#include "base/buf.h"

enum { text_bytes_max = 16 * 1024, shown_bytes = 60, shown_items = 12 };

static const char *kind_name(const ski_value *value)
{
    switch (value->kind) {
    case SKI_JSON_NULL: return "null";
    case SKI_JSON_FALSE:
    case SKI_JSON_TRUE: return "a boolean";
    case SKI_JSON_NUMBER: return "a number";
    case SKI_JSON_STRING: return "a string";
    case SKI_JSON_ARRAY: return "an array";
    default: return "an object";
    }
}

// put_cut appends text up to shown_bytes, not within a character.
static skald_err put_cut(skald_buf *buf, skald_str text)
{
    size_t len = text.len > shown_bytes ? shown_bytes : text.len;

    while (len < text.len && len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) len--;
    SKALD_TRY(skald_buf_put(buf, (skald_str){text.ptr ? text.ptr : "", len}));
    return len < text.len ? skald_buf_put(buf, SKALD_STR("...")) : SKALD_OK;
}

skald_err ski_report_value(const ski_doc *doc, uint32_t index, skald_buf *buf)
{
    const ski_value *value = &doc->values[index];
    uint32_t shown = 0;

    switch (value->kind) {
    case SKI_JSON_NUMBER: return put_cut(buf, ski_value_text(value));
    case SKI_JSON_STRING:
        SKALD_TRY(ski_buf_byte(buf, '\''));
        SKALD_TRY(put_cut(buf, ski_value_text(value)));
        return ski_buf_byte(buf, '\'');
    case SKI_JSON_TRUE: return skald_buf_put(buf, SKALD_STR("true"));
    case SKI_JSON_FALSE: return skald_buf_put(buf, SKALD_STR("false"));
    case SKI_JSON_ARRAY:
        for (uint32_t item = index + 1; item < value->next; item = doc->values[item].next) {
            if (shown) SKALD_TRY(skald_buf_put(buf, SKALD_STR(", ")));
            if (shown++ == shown_items) return skald_buf_put(buf, SKALD_STR("..."));
            if (doc->values[item].count)
                SKALD_TRY(skald_buf_put(buf, skald_str_of(kind_name(&doc->values[item]))));
            else
                SKALD_TRY(ski_report_value(doc, item, buf));
        }
        return SKALD_OK;
    default: return skald_buf_put(buf, skald_str_of(kind_name(value)));
    }
}

// How a message is made: what it says before and behind the keyword's own value, and what it shows
// of the document's.
typedef enum shown { shows_nothing, shows_value, shows_kind, shows_count, shows_name } shown;
typedef struct message_row {
    ski_keyword keyword;
    shown shows;
    const char *text;
    bool limit; // the keyword's value comes last
} message_row;

static const message_row messages[] = {
    {SKI_KEYWORD_TYPE, shows_kind, "; must be ", true},
    {SKI_KEYWORD_CONST, shows_value, "; must be ", true},
    {SKI_KEYWORD_ENUM, shows_value, "; must be one of ", true},
    {SKI_KEYWORD_MULTIPLE_OF, shows_value, "; must be a multiple of ", true},
    {SKI_KEYWORD_MINIMUM, shows_value, "; must be at least ", true},
    {SKI_KEYWORD_MAXIMUM, shows_value, "; must be at most ", true},
    {SKI_KEYWORD_ABOVE, shows_value, "; must be above ", true},
    {SKI_KEYWORD_BELOW, shows_value, "; must be below ", true},
    {SKI_KEYWORD_MIN_LENGTH, shows_value, "; characters needed: ", true},
    {SKI_KEYWORD_MAX_LENGTH, shows_value, "; characters allowed: ", true},
    {SKI_KEYWORD_PATTERN, shows_value, "; must match ", true},
    {SKI_KEYWORD_MIN_ITEMS, shows_count, " items; needed: ", true},
    {SKI_KEYWORD_MAX_ITEMS, shows_count, " items; allowed: ", true},
    {SKI_KEYWORD_MIN_PROPERTIES, shows_count, " properties; needed: ", true},
    {SKI_KEYWORD_MAX_PROPERTIES, shows_count, " properties; allowed: ", true},
    {SKI_KEYWORD_UNIQUE, shows_nothing, "has an item twice", false},
    {SKI_KEYWORD_CONTAINS, shows_nothing, "has no item of the kind that is needed", false},
    {SKI_KEYWORD_MIN_CONTAINS, shows_nothing, "has too few of the items needed: ", true},
    {SKI_KEYWORD_MAX_CONTAINS, shows_nothing, "has too many of the items allowed: ", true},
    {SKI_KEYWORD_REQUIRED, shows_name, " is missing", false},
    {SKI_KEYWORD_DEPENDENT_REQUIRED, shows_name, " is missing beside what is there", false},
    {SKI_KEYWORD_ADDITIONAL, shows_nothing, "is not a property of the schema", false},
    {SKI_KEYWORD_UNEVALUATED, shows_nothing, "is not a property of the schema", false},
    {SKI_KEYWORD_UNEVALUATED_ITEMS, shows_nothing, "is an item too many", false},
    {SKI_KEYWORD_NAMES, shows_name, " is not allowed as a name", false},
    {SKI_KEYWORD_ANY_OF, shows_nothing, "matches none of the alternatives", false},
    {SKI_KEYWORD_ONE_OF, shows_nothing, "must match one of the alternatives; matches none", false},
    {SKI_KEYWORD_NOT, shows_nothing, "matches what must not be", false},
};

static skald_err put_message(const ski_node *node, const ski_doc *doc, uint32_t index,
                             ski_keyword keyword, skald_str detail, skald_buf *buf)
{
    const ski_doc *from = node->doc;
    const ski_value *value = &doc->values[index];
    const message_row *row = messages;
    uint32_t limit;

    if (keyword == SKI_KEYWORD_NONE) return skald_buf_put(buf, SKALD_STR("must not be there"));
    if (keyword == SKI_KEYWORD_SCHEMA)
        return ski_buf_print(buf, "is no JSON Schema: %.*s", SKALD_FMT(detail));
    if (keyword == SKI_KEYWORD_ONE_OF && detail.ptr)
        return skald_buf_put(buf, SKALD_STR(
                                      "must match one of the alternatives; matches more than one"));
    while (row->keyword != keyword) row++;
    if (row->shows == shows_value || row->shows == shows_kind)
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("is ")));
    if (row->shows == shows_value) SKALD_TRY(ski_report_value(doc, index, buf));
    if (row->shows == shows_kind) SKALD_TRY(skald_buf_put(buf, skald_str_of(kind_name(value))));
    if (row->shows == shows_count) SKALD_TRY(ski_buf_print(buf, "has %u", value->count));
    if (row->shows == shows_name) {
        SKALD_TRY(ski_buf_byte(buf, '\''));
        SKALD_TRY(put_cut(buf, detail));
        SKALD_TRY(ski_buf_byte(buf, '\''));
    }
    SKALD_TRY(skald_buf_put(buf, skald_str_of(row->text)));
    if (!row->limit) return SKALD_OK;
    limit = ski_doc_find(from, node->value, skald_str_of(ski_keyword_text(keyword)));
    if (keyword == SKI_KEYWORD_TYPE && from->values[limit].kind == SKI_JSON_STRING)
        return skald_buf_put(buf, ski_value_text(&from->values[limit]));
    return ski_report_value(from, limit, buf);
}

static skald_err copy(skald_arena *arena, skald_buf *buf, skald_str *ret_text)
{
    *ret_text = skald_arena_copy(arena, ski_buf_str(buf));
    buf->len = 0;
    return ret_text->ptr ? SKALD_OK : SKALD_ENOMEM;
}

static skald_err put_violation(skald_arena *arena, const skald_schema *schema, const ski_node *node,
                               const ski_doc *doc, uint32_t index, ski_keyword keyword,
                               skald_str detail, skald_buf *buf, skald_violation *ret_violation)
{
    bool is_ref = keyword == SKI_KEYWORD_NONE || keyword == SKI_KEYWORD_SCHEMA;
    const char *name = is_ref ? "" : ski_keyword_text(keyword);

    SKALD_TRY(ski_doc_path(doc, index, buf));
    SKALD_TRY(copy(arena, buf, &ret_violation->path));
    SKALD_TRY(ski_schema_place(schema, node, name, buf));
    SKALD_TRY(copy(arena, buf, &ret_violation->schema_path));
    SKALD_TRY(put_message(node, doc, index, keyword, detail, buf));
    SKALD_TRY(copy(arena, buf, &ret_violation->message));
    ret_violation->keyword = skald_str_of(is_ref ? "false" : name);
    if (keyword == SKI_KEYWORD_SCHEMA) ret_violation->keyword = SKALD_STR("$ref");
    return SKALD_OK;
}

skald_err ski_report_add(ski_report *report, const skald_schema *schema, const ski_node *node,
                         const ski_doc *doc, uint32_t index, ski_keyword keyword, skald_str detail)
{
    skald_buf buf = {.bytes_max = text_bytes_max};
    skald_violation violation = {0};
    skald_err err;

    if (report->count == report->max) return SKALD_OK;
    if (!report->items) {
        report->items = skald_arena_get(report->arena, report->max * sizeof *report->items);
        if (!report->items) return SKALD_ENOMEM;
    }
    err = put_violation(report->arena, schema, node, doc, index, keyword, detail, &buf, &violation);
    skald_buf_fini(&buf);
    if (err == SKALD_EFULL) { // a path of names without end
        violation =
            (skald_violation){.path = SKALD_STR(""),
                              .schema_path = SKALD_STR("#"),
                              .keyword = skald_str_of(
                                  keyword < SKI_KEYWORD_NONE ? ski_keyword_text(keyword) : "false"),
                              .message = SKALD_STR("is wrong at a path too long to show")};
        err = SKALD_OK;
    }
    if (err) return err;
    report->items[report->count++] = violation;
    return SKALD_OK;
}
