// SPDX-License-Identifier: Apache-2.0
// Reading the members of an object that the door accepted, each by its row in a table.
//
// Invariants:
//   1. A row's name comes at most once, however it is escaped.
//   2. null is "not given", for every member.
//   3. What is refused is refused with the member's name, and with what would be right.
#include "event/event_read.h"

#include "base/str.h"
#include "event/event_put.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    name_shown_max = 48,    // of an unknown member, in a text for people
    distance_max = 2,       // letters between a misspelling and the name that was meant
    name_compared_max = 20, // no member has a longer name
    string_raw_max = 6 * SKALD_TAGS_BYTES_MAX + 2, // the longest text, every byte written as \u00XX
};

const char *ski_json_kind_name(ski_json_kind kind)
{
    switch (kind) {
    case SKI_JSON_NULL: return "null";
    case SKI_JSON_FALSE: return "false";
    case SKI_JSON_TRUE: return "true";
    case SKI_JSON_NUMBER: return "a number";
    case SKI_JSON_STRING: return "a string";
    case SKI_JSON_ARRAY: return "an array";
    default: return "an object";
    }
}

skald_err ski_member_fails(ski_reader *reader, const ski_member *member, skald_err err,
                           const char *format, ...)
{
    char text[sizeof(reader->error->text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return skald_fail_at(reader->error, err, member->name.ptr, "%s %s", member->name.ptr, text);
}

skald_err ski_kind_fails(ski_reader *reader, const ski_member *member, const char *due,
                         const ski_json_item *item)
{
    return ski_member_fails(reader, member, SKALD_EINVALID, "must be %s, not %s", due,
                            ski_json_kind_name(item->kind));
}

static void *member_at(const ski_reader *reader, const ski_member *member)
{
    return (char *)reader->event + member->offset;
}

skald_err ski_read_string(ski_reader *reader, const ski_member *member, const ski_json_item *item,
                          skald_str *ret_text)
{
    if (item->kind != SKI_JSON_STRING) return ski_kind_fails(reader, member, "a string", item);
    if (item->value.len > string_raw_max) {
        return ski_member_fails(reader, member, SKALD_EINVALID, "is far too long: %zu bytes",
                                item->value.len);
    }
    if (!item->text_plain) return ski_json_unescape(item->value, reader->arena, ret_text);
    *ret_text = (skald_str){item->value.ptr + 1, item->value.len - 2};
    return SKALD_OK;
}

skald_err ski_read_text(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    return ski_read_string(reader, member, item, member_at(reader, member));
}

skald_err ski_read_uuid(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    skald_str text;
    skald_uuid uuid = {0};

    SKALD_TRY(ski_read_string(reader, member, item, &text));
    if (skald_uuid_parse(text, &uuid) || !skald_uuid_given(uuid)) {
        return ski_member_fails(reader, member, SKALD_EINVALID,
                                "must be a UUID, as \"0192f0c1-7d3e-7c55-a1b2-0123456789ab\", and "
                                "not all zero; leave it out to be given one");
    }
    *(skald_uuid *)member_at(reader, member) = uuid;
    return SKALD_OK;
}

skald_err ski_read_time(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    skald_str text;
    skald_time time = 0;

    SKALD_TRY(ski_read_string(reader, member, item, &text));
    if (skald_time_parse(text, &time)) {
        return ski_member_fails(reader, member, SKALD_EINVALID,
                                "must be a time as RFC 3339 writes it: "
                                "\"2026-01-02T03:04:05.000006Z\"");
    }
    if (!time) {
        return ski_member_fails(reader, member, SKALD_EINVALID,
                                "may not be 1970-01-01T00:00:00Z, which means that the time is not "
                                "known; leave it out then");
    }
    *(skald_time *)member_at(reader, member) = time;
    return SKALD_OK;
}

skald_err ski_read_count(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    uint64_t number = 0;

    if (item->kind != SKI_JSON_NUMBER || ski_json_u64(item->value, &number) || !number) {
        return ski_member_fails(reader, member, SKALD_EINVALID, "must be a whole number from 1");
    }
    *(uint64_t *)member_at(reader, member) = number;
    return SKALD_OK;
}

skald_err ski_read_version(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    uint64_t number = 0;

    if (item->kind != SKI_JSON_NUMBER || ski_json_u64(item->value, &number) || !number ||
        number > UINT32_MAX) {
        return ski_member_fails(reader, member, SKALD_EINVALID,
                                "is the version of the type's schema: a whole number from 1 to "
                                "4294967295");
    }
    reader->event->version = (uint32_t)number;
    return SKALD_OK;
}

skald_err ski_read_priority(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    skald_str text;

    SKALD_TRY(ski_read_string(reader, member, item, &text));
    for (int priority = SKALD_LOW; priority <= SKALD_CRITICAL; priority++) {
        if (!skald_str_equal(text, ski_priority_name((skald_priority)priority))) continue;
        reader->event->priority = (skald_priority)priority;
        return SKALD_OK;
    }
    return ski_member_fails(reader, member, SKALD_EINVALID,
                            "must be \"low\", \"normal\", \"high\" or \"critical\"");
}

skald_err ski_read_persistent(ski_reader *reader, const ski_member *member,
                              const ski_json_item *item)
{
    if (item->kind != SKI_JSON_TRUE && item->kind != SKI_JSON_FALSE) {
        return ski_kind_fails(reader, member, "true or false", item);
    }
    reader->event->transient = item->kind == SKI_JSON_FALSE;
    return SKALD_OK;
}

skald_err ski_read_data(ski_reader *reader, const ski_member *member, const ski_json_item *item)
{
    (void)member;
    reader->event->data = item->value;
    return SKALD_OK;
}

// distance counts the letters to change, add, drop or swap between two names, cases folded; what is
// beyond distance_max is only known to be.
static size_t distance(skald_str a, skald_str b)
{
    size_t rows[3][name_compared_max + 1];

    if (a.len > name_compared_max || b.len > name_compared_max) return distance_max + 1;
    for (size_t j = 0; j <= b.len; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = (a.ptr[i - 1] | 0x20) == (b.ptr[j - 1] | 0x20);
            size_t least = above[j - 1] + !same;
            if (above[j] + 1 < least) least = above[j] + 1;
            if (now[j - 1] + 1 < least) least = now[j - 1] + 1;
            if (i > 1 && j > 1 && (a.ptr[i - 1] | 0x20) == (b.ptr[j - 2] | 0x20) &&
                (a.ptr[i - 2] | 0x20) == (b.ptr[j - 1] | 0x20) && two_above[j - 2] + 1 < least) {
                least = two_above[j - 2] + 1;
            }
            now[j] = least;
        }
    }
    return rows[a.len % 3][b.len];
}

static skald_str row_name(const ski_members *members, size_t row)
{
    skald_str name = members->rows[row].name;

    return (skald_str){name.ptr + members->prefix, name.len - members->prefix};
}

skald_err ski_unknown_fails(ski_reader *reader, const ski_members *members, skald_str name,
                            const ski_json_item *item)
{
    char shown[name_shown_max + 1];
    size_t best = distance_max + 1;
    const char *meant = NULL;

    (void)item;
    // The name is anybody's: it is shown cut, and without control characters.
    snprintf(shown, sizeof(shown), "%.*s%.*s", (int)members->prefix, members->rows[0].name.ptr,
             (int)ski_str_utf8_cut(name, name_shown_max - members->prefix), name.ptr);
    for (char *at = shown; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) *at = '?';
    }
    for (size_t row = 0; row < members->count; row++) {
        skald_str known = row_name(members, row);
        size_t far = distance(name, known);
        if (far >= best || far * 2 >= known.len) continue;
        best = far;
        meant = members->rows[row].name.ptr;
    }
    if (meant) {
        return skald_fail_at(reader->error, SKALD_EINVALID, shown,
                             "unknown member '%s': did you mean '%s'?", shown, meant);
    }
    return skald_fail_at(reader->error, SKALD_EINVALID, shown, "unknown member '%s'", shown);
}

// row_find looks from first on and round: members mostly come in the order of the rows.
static size_t row_find(const ski_members *members, size_t first, skald_str name)
{
    for (size_t i = 0, row = first; i < members->count; i++, row++) {
        if (row >= members->count) row = 0;
        skald_str known = members->rows[row].name;
        if (known.len - members->prefix != name.len) continue;
        if (memcmp(known.ptr + members->prefix, name.ptr, name.len) == 0) return row;
    }
    return members->count;
}

skald_err ski_read_members(ski_reader *reader, const ski_members *members, skald_str text)
{
    ski_json_walk walk = {.rest = text};
    ski_json_item item;
    size_t row = 0;
    uint32_t seen = 0;

    assert(members->count <= 32);
    while (ski_json_next(&walk, &item)) {
        skald_str name = item.key;
        if (item.key_escaped && name.len <= string_raw_max) {
            SKALD_TRY(ski_json_unescape(item.key, reader->arena, &name));
        }
        row = row_find(members, row, name);
        if (row == members->count) {
            SKALD_TRY(members->unknown(reader, members, name, &item));
            continue;
        }
        const ski_member *member = &members->rows[row];
        if (seen & UINT32_C(1) << row) {
            return ski_member_fails(reader, member, SKALD_EINVALID, "is given more than once");
        }
        seen |= UINT32_C(1) << row;
        if (item.kind != SKI_JSON_NULL) SKALD_TRY(member->read(reader, member, &item));
    }
    return SKALD_OK;
}
