// SPDX-License-Identifier: Apache-2.0
// The rules an event keeps before it may be published, in one table: how long each text may be and
// which characters it may hold. Names end up in headers, logs, file names and terminals, so none
// may hold a control character.
#include "base/json.h"
#include "base/json_plain.h"
#include "base/str.h"
#include "event/event_read.h"
#include "event/filter.h"

#include <inttypes.h>
#include <string.h>

// The times base can print: the years 1 to 9999, in microseconds, the end not included.
static const skald_time time_min = INT64_C(-62135596800) * 1000000;
static const skald_time time_end = INT64_C(253402300800) * 1000000;

typedef enum text_spaces { SPACES_FREE, SPACES_INSIDE, SPACES_NONE, SPACES_BETWEEN } text_spaces;

typedef struct text_rule {
    const char *field;
    size_t offset; // of the skald_str in skald_event
    size_t bytes_max;
    text_spaces spaces;
    bool may_be_empty;
} text_rule;

static const text_rule text_rules[] = {
    {"type", offsetof(skald_event, type), SKALD_TYPE_BYTES_MAX, SPACES_NONE, false},
    {"stream", offsetof(skald_event, stream), SKALD_STREAM_BYTES_MAX, SPACES_INSIDE, false},
    {"tenantId", offsetof(skald_event, tenant), SKALD_TENANT_BYTES_MAX, SPACES_INSIDE, true},
    {"correlationId", offsetof(skald_event, correlation_id), SKALD_CORRELATION_BYTES_MAX,
     SPACES_FREE, false},
    {"causationId", offsetof(skald_event, causation_id), SKALD_CORRELATION_BYTES_MAX, SPACES_FREE,
     false},
    {"actor.userId", offsetof(skald_event, user), SKALD_ACTOR_BYTES_MAX, SPACES_FREE, false},
    {"actor.role", offsetof(skald_event, role), SKALD_ACTOR_BYTES_MAX, SPACES_FREE, false},
    {"source", offsetof(skald_event, source), SKALD_SOURCE_BYTES_MAX, SPACES_FREE, false},
    {"traceparent", offsetof(skald_event, traceparent), SKALD_TRACEPARENT_BYTES_MAX, SPACES_NONE,
     false},
    {"tags", offsetof(skald_event, tags), SKALD_TAGS_BYTES_MAX, SPACES_BETWEEN, false},
};

// wide_space is the length of the white space of more than one byte at at, or 0. The text is UTF-8.
static size_t wide_space(skald_str rest)
{
    static const char *const spaces[] = {"\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xaf",
                                         "\xe2\x81\x9f", "\xe3\x80\x80", "\xef\xbb\xbf"};

    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        if (ski_str_begins(rest, skald_str_of(spaces[i]))) return strlen(spaces[i]);
    }
    // U+2000 to U+200B: spaces of stated widths, the last of none.
    bool stated =
        rest.len >= 3 && memcmp(rest.ptr, "\xe2\x80", 2) == 0 && (unsigned char)rest.ptr[2] <= 0x8b;
    return stated ? 3 : 0;
}

// wide_control: U+0080 to U+009F, and the line and paragraph separators, which break lines.
static bool wide_control(skald_str rest)
{
    unsigned char second = rest.len > 1 ? (unsigned char)rest.ptr[1] : 0;

    if (rest.ptr[0] == '\xc2') return second < 0xa0;
    return ski_str_begins(rest, SKALD_STR("\xe2\x80\xa8")) ||
           ski_str_begins(rest, SKALD_STR("\xe2\x80\xa9"));
}

typedef struct text_look {
    bool control, space, space_at_edge, space_twice, utf8;
} text_look;

// word_odd has a top bit where a byte of a word is not ASCII between '!' and '~'.
static inline uint64_t word_odd(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;

    return (word | (word - ones * '!') | (word + ones)) & tops; // >= 0x80, < '!', 0x7f
}

static inline uint64_t odd_at(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word_odd(word);
}

// text_is_plain: nothing but ASCII between '!' and '~', eight bytes at a time; most names are.
static inline bool text_is_plain(skald_str text)
{
    uint64_t odd = 0;
    uint32_t low, high;

    if (text.len >= sizeof(uint64_t)) {
        const char *last = text.ptr + text.len - sizeof(uint64_t);

        for (const char *at = text.ptr; at < last; at += sizeof(uint64_t)) odd |= odd_at(at);
        return !(odd | odd_at(last)); // the end, some of it for the second time
    }
    if (text.len < sizeof(low)) {
        for (size_t i = 0; i < text.len; i++)
            if (text.ptr[i] < '!' || text.ptr[i] > '~') return false;
        return true;
    }
    memcpy(&low, text.ptr, sizeof(low));
    memcpy(&high, text.ptr + text.len - sizeof(high), sizeof(high));
    return !word_odd((uint64_t)high << 32 | low);
}

static text_look text_look_at(skald_str text)
{
    text_look look = {.utf8 = true};
    bool after_space = true; // the beginning counts as one

    for (size_t i = 0; i < text.len;) {
        skald_str rest = {text.ptr + i, text.len - i};
        unsigned char byte = (unsigned char)text.ptr[i];
        size_t space = byte == ' ';
        if (byte < ' ' || byte == 0x7f) look.control = true;
        if (byte >= 0x80) {
            if (i == 0 || (unsigned char)text.ptr[i - 1] < 0x80)
                look.utf8 = look.utf8 && ski_str_utf8(rest);
            if (!look.utf8) return look;
            if (wide_control(rest)) look.control = true;
            space = wide_space(rest);
        }
        if (space) {
            look.space = true;
            if (i == 0 || i + space == text.len) look.space_at_edge = true;
            if (after_space && i > 0) look.space_twice = true;
        }
        after_space = space > 0;
        i += space ? space : 1;
    }
    return look;
}

static skald_err text_check(const text_rule *rule, skald_str text, skald_error *reterr_error)
{
    text_look look;
    const char *what = NULL;

    if (!text.len) {
        if (!text.ptr || rule->may_be_empty) return SKALD_OK;
        return skald_fail_at(reterr_error, SKALD_EINVALID, rule->field,
                             "%s is empty; it needs 1 to %zu bytes%s", rule->field, rule->bytes_max,
                             strcmp(rule->field, "type") == 0 ? "" : ", or is left out");
    }
    if (text.len > rule->bytes_max) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, rule->field,
                             "%s has %zu bytes; at most %zu are allowed", rule->field, text.len,
                             rule->bytes_max);
    }
    if (text_is_plain(text)) return SKALD_OK;
    look = text_look_at(text);
    if (!look.utf8) {
        what = "is not UTF-8";
    } else if (look.control) {
        what = "holds a control character or line break; none are allowed";
    } else if (rule->spaces == SPACES_NONE && look.space) {
        what = "holds white space; none is allowed";
    } else if (rule->spaces == SPACES_INSIDE && look.space_at_edge) {
        what = "begins or ends with white space; leave that out";
    } else if (rule->spaces == SPACES_BETWEEN && (look.space_at_edge || look.space_twice)) {
        what = "must be words with one space between two";
    }
    return what ? skald_fail_at(reterr_error, SKALD_EINVALID, rule->field, "%s %s", rule->field,
                                what)
                : SKALD_OK;
}

skald_err ski_text_check(const char *field, skald_str text, size_t bytes_max,
                         skald_error *reterr_error)
{
    const text_rule rule = {.field = field, .bytes_max = bytes_max, .spaces = SPACES_FREE};

    return text_check(&rule, text, reterr_error);
}

static skald_err type_check(skald_str type, skald_error *reterr_error)
{
    const char *what = NULL;

    if (!type.ptr) {
        what = "type is missing; give the event's name, dotted and in the past tense: "
               "\"invoice.paid\"";
    } else if (type.ptr[0] == '.' || type.ptr[type.len - 1] == '.') {
        what = "type begins or ends with '.'; names stand between dots: \"invoice.paid\"";
    } else if (memchr(type.ptr, '*', type.len)) {
        what = "type holds '*'; that is for filters, an event has one exact type";
    }
    return what ? skald_fail_at(reterr_error, SKALD_EINVALID, "type", "%s", what) : SKALD_OK;
}

skald_err ski_type_filter_check(skald_str type, skald_error *reterr_error)
{
    if (type.len == 1 && type.ptr[0] == '*') return SKALD_OK;
    if (type.len > 2 && memcmp(type.ptr + type.len - 2, ".*", 2) == 0) type.len -= 2;
    if (type.len && memchr(type.ptr, '*', type.len))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "type",
                             "'%.*s' means no event: a filter is a name, a prefix as "
                             "\"invoice.*\", or \"*\"",
                             (int)(type.len > 100 ? 100 : type.len), type.ptr);
    SKALD_TRY(text_check(&text_rules[0], type, reterr_error));
    return type_check(type, reterr_error);
}

static skald_err time_check(const char *field, skald_time time, skald_error *reterr_error)
{
    if (time >= time_min && time < time_end) return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_EINVALID, field, "%s is outside the years 1 to 9999",
                         field);
}

skald_err ski_event_check_names(const skald_event *event, size_t data_bytes_max,
                                skald_error *reterr_error)
{
    for (size_t i = 0; i < sizeof(text_rules) / sizeof(text_rules[0]); i++) {
        const char *at = (const char *)event + text_rules[i].offset;
        const skald_str *text = (const skald_str *)(const void *)at;

        if (!text->ptr) continue;
        if (text->len - 1 < text_rules[i].bytes_max && text_is_plain(*text)) continue; // most are
        SKALD_TRY(text_check(&text_rules[i], *text, reterr_error));
    }
    SKALD_TRY(type_check(event->type, reterr_error));
    SKALD_TRY(time_check("occurredAt", event->occurred_at, reterr_error));
    SKALD_TRY(time_check("recordedAt", event->recorded_at, reterr_error));
    if (event->priority < SKALD_LOW || event->priority > SKALD_CRITICAL) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "priority",
                             "priority %d is none of low (-1), normal (0), high (1), critical (2)",
                             (int)event->priority);
    }
    if (!data_bytes_max) data_bytes_max = SKALD_EVENT_BYTES_MAX;
    if (event->data.len > data_bytes_max) {
        return skald_fail_at(reterr_error, SKALD_ETOOBIG, "data",
                             "data has %zu bytes; at most %zu are allowed", event->data.len,
                             data_bytes_max);
    }
    if (event->metadata.len > SKALD_METADATA_BYTES_MAX) {
        return skald_fail_at(reterr_error, SKALD_ETOOBIG, "metadata",
                             "metadata has %zu bytes; at most %d are allowed", event->metadata.len,
                             SKALD_METADATA_BYTES_MAX);
    }
    if (event->metadata.ptr && ski_json_kind_of(event->metadata) != SKI_JSON_OBJECT) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "metadata",
                             "metadata must be an object: {\"key\": value}");
    }
    return SKALD_OK;
}

static skald_err json_door(const char *field, skald_json json, skald_error *reterr_error)
{
    skald_error inner = {0};
    skald_err err = ski_json_door_check(json, false, &inner);

    return err ? skald_fail_at(reterr_error, err, field, "%s: %s", field, inner.text) : SKALD_OK;
}

static inline skald_err json_check(const char *field, skald_json json, skald_error *reterr_error)
{
    if (!json.ptr || ski_json_plain(json)) return SKALD_OK;
    return json_door(field, json, reterr_error);
}

skald_err skald_event_check(const skald_event *event, size_t data_bytes_max,
                            skald_error *reterr_error)
{
    SKALD_TRY(ski_event_check_names(event, data_bytes_max, reterr_error));
    SKALD_TRY(json_check("data", event->data, reterr_error));
    return json_check("metadata", event->metadata, reterr_error);
}
