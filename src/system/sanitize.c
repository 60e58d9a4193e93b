// SPDX-License-Identifier: Apache-2.0
// An event's data as a log may show it. What a member is can be told by the type, where that is
// declared, and by the name, where it is not: names are compared as letters alone, so that apiKey,
// api_key and API-KEY are one.
//
// Invariant: a member whose name cannot be read (it has escapes) is hidden.
#include "system/sanitize.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <string.h>

enum { name_bytes_max = 64, depth_max = SKI_JSON_DEPTH_MAX };

#define HIDDEN SKALD_STR("\"***\"")

// Hidden wherever they stand in a name; and those that must be all of it.
static const char *const parts[] = {
    "password",   "passord",       "passwd",       "passphrase",     "secret", "token",
    "credential", "authorization", "apikey",       "privatekey",     "cookie", "cardnumber",
    "kortnummer", "fodselsnummer", "personnummer", "socialsecurity",
};
static const char *const wholes[] = {"pwd", "pin", "pinkode", "cvv", "cvc", "ssn", "otp", "iban"};

// letters_of keeps the letters and digits of a name, in lower case; false: it is too long to look
// at.
static bool letters_of(skald_str name, char ret_letters[name_bytes_max])
{
    size_t len = 0;

    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        if (byte >= 'A' && byte <= 'Z') byte = (char)(byte - 'A' + 'a');
        if (byte == '_' || byte == '-' || byte == '.' || byte == ' ') continue;
        if (len + 1 == name_bytes_max) return false;
        ret_letters[len++] = byte;
    }
    ret_letters[len] = 0;
    return true;
}

static bool is_secret(const ski_json_item *item)
{
    char letters[name_bytes_max];

    if (item->key_escaped || !letters_of(item->key, letters)) return true;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strstr(letters, parts[i])) return true;
    }
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
        if (strcmp(letters, wholes[i]) == 0) return true;
    }
    return false;
}

static const skald_field *field_of(const skald_record *record, skald_str name)
{
    for (uint32_t i = 0; record && i < record->field_count; i++) {
        if (skald_str_equal(skald_str_of(record->fields[i].json), name)) return &record->fields[i];
    }
    return NULL;
}

static skald_err put_value(skald_str json, ski_json_kind kind, const skald_record *record,
                           uint32_t depth, skald_buf *buf);

static skald_err put_member(const ski_json_item *item, const skald_record *record, uint32_t depth,
                            skald_buf *buf)
{
    const skald_field *field = field_of(record, item->key);
    const skald_record *inner = NULL;

    SKALD_TRY(ski_buf_byte(buf, '"'));
    SKALD_TRY(skald_buf_put(buf, item->key));
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("\":")));
    if (is_secret(item) || (field && field->flags & SKALD_PERSONAL))
        return skald_buf_put(buf, HIDDEN);
    if (field && field->record) inner = field->record();
    return put_value(item->value, item->kind, inner, depth, buf);
}

// put_value writes one value; the items of an array are of the array's record.
static skald_err put_value(skald_str json, ski_json_kind kind, const skald_record *record,
                           uint32_t depth, skald_buf *buf)
{
    ski_json_walk walk = {.rest = json};
    bool object = kind == SKI_JSON_OBJECT;
    ski_json_item item;
    bool first = true;

    if (!object && kind != SKI_JSON_ARRAY) return skald_buf_put(buf, json);
    if (depth >= depth_max) return skald_buf_put(buf, HIDDEN);
    SKALD_TRY(ski_buf_byte(buf, object ? '{' : '['));
    while (ski_json_next(&walk, &item)) {
        if (!first) SKALD_TRY(ski_buf_byte(buf, ','));
        first = false;
        if (object) {
            SKALD_TRY(put_member(&item, record, depth + 1, buf));
        } else {
            SKALD_TRY(put_value(item.value, item.kind, record, depth + 1, buf));
        }
    }
    return ski_buf_byte(buf, object ? '}' : ']');
}

skald_err ski_sanitize(skald_str json, const skald_record *record, skald_buf *buf)
{
    return put_value(json, ski_json_kind_of(json), record, 0, buf);
}
