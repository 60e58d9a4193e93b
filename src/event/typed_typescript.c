// SPDX-License-Identifier: Apache-2.0
// A type for those who write TypeScript: an interface of its data, and a module of all types.
//
// An interface is named after the dotted name, OrderCreated. Members are quoted where they are no
// words, and strings are written as JSON, which is how TypeScript writes them too.
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "event/typed_contract.h"

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
           byte == '$';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static skald_err member_name_put(const char *name, skald_buf *buf)
{
    bool word = is_letter(*name);

    for (const char *at = name; *at; at++) word = word && (is_letter(*at) || is_digit(*at));
    return word ? skald_buf_put(buf, skald_str_of(name))
                : ski_json_put_string(buf, skald_str_of(name));
}

// type_name_put: "order.created" is OrderCreated.
static skald_err type_name_put(skald_str name, skald_buf *buf)
{
    bool begins = true;

    if (name.len && is_digit(name.ptr[0])) SKALD_TRY(ski_buf_byte(buf, '_'));
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];

        if (byte == '_' || (!is_letter(byte) && !is_digit(byte))) {
            begins = true;
            continue;
        }
        bool lower = byte >= 'a' && byte <= 'z';

        SKALD_TRY(ski_buf_byte(buf, begins && lower ? (char)(byte - 'a' + 'A') : byte));
        begins = false;
    }
    return SKALD_OK;
}

static skald_err members_put(const skald_record *record, unsigned depth, skald_buf *buf);

static skald_err indent_put(unsigned depth, skald_buf *buf)
{
    for (unsigned i = 0; i < depth; i++) SKALD_TRY(skald_buf_put(buf, SKALD_STR("  ")));
    return SKALD_OK;
}

static skald_err choice_put(const skald_choice *choice, skald_buf *buf)
{
    for (uint32_t i = 0; i < choice->count; i++) {
        if (i) SKALD_TRY(skald_buf_put(buf, SKALD_STR(" | ")));
        SKALD_TRY(ski_json_put_string(buf, skald_str_of(choice->names[i])));
    }
    return SKALD_OK;
}

static skald_err value_put(const skald_field *field, unsigned depth, skald_buf *buf)
{
    static const char *const plain[] = {
        [SKALD_TEXT] = "string",    [SKALD_UUID] = "string",    [SKALD_FLAG] = "boolean",
        [SKALD_I64] = "number",     [SKALD_F64] = "number",     [SKALD_TIME] = "string",
        [SKALD_DATE] = "string",    [SKALD_MONEY] = "Money",    [SKALD_JSON] = "unknown",
        [SKALD_TEXTS] = "string[]", [SKALD_UUIDS] = "string[]",
    };

    switch ((skald_kind)field->kind) {
    case SKALD_OBJECT: return members_put(field->record(), depth, buf);
    case SKALD_LIST:
        SKALD_TRY(members_put(field->record(), depth, buf));
        return skald_buf_put(buf, SKALD_STR("[]"));
    case SKALD_CHOICE_KIND: return choice_put(field->choice(), buf);
    case SKALD_TEXT:
    case SKALD_UUID:
    case SKALD_FLAG:
    case SKALD_I64:
    case SKALD_F64:
    case SKALD_TIME:
    case SKALD_DATE:
    case SKALD_MONEY:
    case SKALD_JSON:
    case SKALD_TEXTS:
    case SKALD_UUIDS: break;
    }
    return skald_buf_put(buf, skald_str_of(plain[field->kind]));
}

static skald_err members_put(const skald_record *record, unsigned depth, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("{\n")));
    for (uint32_t i = 0; i < record->field_count; i++) {
        const skald_field *field = &record->fields[i];

        SKALD_TRY(indent_put(depth + 1, buf));
        if (field->flags & SKALD_PERSONAL)
            SKALD_TRY(skald_buf_put(buf, SKALD_STR("/** personal */ ")));
        SKALD_TRY(member_name_put(field->json, buf));
        SKALD_TRY(
            skald_buf_put(buf, field->flags & SKALD_OPTIONAL ? SKALD_STR("?: ") : SKALD_STR(": ")));
        SKALD_TRY(value_put(field, depth + 1, buf));
        SKALD_TRY(skald_buf_put(buf, field->flags & SKALD_OPTIONAL ? SKALD_STR(" | null;\n")
                                                                   : SKALD_STR(";\n")));
    }
    SKALD_TRY(indent_put(depth, buf));
    return ski_buf_byte(buf, '}');
}

skald_err ski_contract_interface(const skald_event_type *type, skald_buf *buf)
{
    SKALD_TRY(
        ski_buf_print(buf, "/** %s, version %u */\nexport interface ", type->name, type->version));
    SKALD_TRY(type_name_put(skald_str_of(type->name), buf));
    SKALD_TRY(ski_buf_byte(buf, ' '));
    SKALD_TRY(members_put(type->record(), 0, buf));
    return ski_buf_byte(buf, '\n');
}

static skald_err module_types(const skald_type_row *rows, size_t count, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\n/** The data of each type. */\n"
                                           "export interface EventTypes {\n")));
    for (size_t i = 0; i < count; i++) {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR("  ")));
        SKALD_TRY(ski_json_put_string(buf, rows[i].name));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(": ")));
        if (rows[i].declared)
            SKALD_TRY(type_name_put(rows[i].name, buf));
        else
            SKALD_TRY(skald_buf_put(buf, SKALD_STR("unknown")));
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(";\n")));
    }
    return skald_buf_put(buf, SKALD_STR("}\n\nexport type EventType = keyof EventTypes;\n"));
}

static skald_err module_aliases(const skald_type_row *rows, size_t count, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\n/** Other names, each with the type it means. */\n"
                                           "export const aliases = {\n")));
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < rows[i].aliases.count; j++) {
            SKALD_TRY(skald_buf_put(buf, SKALD_STR("  ")));
            SKALD_TRY(ski_json_put_string(buf, rows[i].aliases.items[j]));
            SKALD_TRY(skald_buf_put(buf, SKALD_STR(": ")));
            SKALD_TRY(ski_json_put_string(buf, rows[i].name));
            SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\n")));
        }
    }
    return skald_buf_put(buf, SKALD_STR("} as const;\n"));
}

skald_err ski_contract_module(const skald_type_row *rows, size_t count, skald_buf *buf)
{
    SKALD_TRY(skald_buf_put(
        buf, SKALD_STR("// Made by skald: the events and their data.\n\n"
                       "/** An amount in decimal digits, and its ISO 4217 currency. */\n"
                       "export interface Money {\n  amount: string;\n  currency: string;\n}\n")));
    for (size_t i = 0; i < count; i++) {
        if (!rows[i].declared) continue;
        SKALD_TRY(ski_buf_byte(buf, '\n'));
        SKALD_TRY(ski_contract_interface(rows[i].declared, buf));
    }
    SKALD_TRY(module_types(rows, count, buf));
    return module_aliases(rows, count, buf);
}
