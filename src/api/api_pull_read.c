// SPDX-License-Identifier: Apache-2.0
// Reading the documents of pull groups. They pass the JSON door first; jansson then makes them easy
// to take apart. What is not known is refused by name: a misspelt option must not silently be a
// default.
#include "api/api_pull.h"
#include "base/json.h"
#include "base/str.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    name_bytes_max = 128,
    filter_items_max = 256,
    definition_arena_max = 1024 * 1024,
    ack_timeout_default_ms = 30000,
    delay_ms_max = 24 * 3600 * 1000,
};

typedef struct doc_reader {
    skald_arena *arena;
    skald_subscription_options *options;
    skald_error *error;
    bool kept; // it is our own: its name may have a tenant before it, "acme/mailer"
} doc_reader;

// A member of a document: how it is read. A table ends with a NULL name.
typedef struct doc_member {
    const char *name;
    skald_err (*read)(doc_reader *reader, const char *name, const json_t *value);
} doc_member;

// refuse_member names what is known here, for a slip is mostly one letter.
static skald_err refuse_member(const doc_reader *reader, const char *key, const doc_member *members)
{
    char names[160] = "";
    size_t len = 0;

    for (; members->name && len < sizeof names; members++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "",
                                members->name);
    return skald_fail_at(reader->error, SKALD_EINVALID, key,
                         "'%.60s' is not known here; there may be %s", key, names);
}

// inside puts the name of the member that holds it before the one that an error names.
static skald_err inside(const doc_reader *reader, const char *where, skald_err err)
{
    char field[sizeof reader->error->field];

    if (err != SKALD_EINVALID || !where[0] || !reader->error) return err;
    memcpy(field, reader->error->field, sizeof field);
    (void)snprintf(reader->error->field, sizeof field, "%s.%.48s", where, field);
    return err;
}

static skald_err read_members(doc_reader *reader, const char *where, const json_t *object,
                              const doc_member *members)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object)) {
        return skald_fail_at(reader->error, SKALD_EINVALID, where,
                             where[0] ? "must be a JSON object" : "the body must be a JSON object");
    }
    json_object_foreach ((json_t *)object, key, value) {
        const doc_member *member = members;
        while (member->name && strcmp(member->name, key) != 0) member++;
        SKALD_TRY(inside(reader, where,
                         member->name ? member->read(reader, member->name, value)
                                      : refuse_member(reader, key, members)));
    }
    return SKALD_OK;
}

static skald_err read_number(doc_reader *reader, const char *name, const json_t *value,
                             uint64_t min, uint64_t max, uint32_t *ret_number)
{
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < (json_int_t)min || number > (json_int_t)max) {
        return skald_fail_at(reader->error, SKALD_EINVALID, name,
                             "must be a whole number from %llu to %llu", (unsigned long long)min,
                             (unsigned long long)max);
    }
    *ret_number = (uint32_t)number;
    return SKALD_OK;
}

static skald_err copy_text(doc_reader *reader, const json_t *value, skald_str *ret_text)
{
    *ret_text = skald_arena_copy(reader->arena,
                                 ski_str(json_string_value(value), json_string_length(value)));
    return ret_text->ptr ? SKALD_OK : SKALD_ENOMEM;
}

static skald_err read_texts(doc_reader *reader, const char *name, const json_t *value,
                            skald_texts *ret_texts)
{
    size_t count = json_array_size(value);
    skald_str *items = skald_arena_get(reader->arena, (count ? count : 1) * sizeof *items);

    if (!items) return SKALD_ENOMEM;
    if (!json_is_array(value) || count > filter_items_max) {
        return skald_fail_at(reader->error, SKALD_EINVALID, name,
                             "must be a list of at most %d texts", filter_items_max);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(value, i);
        if (!json_is_string(item) || !json_string_length(item)) {
            return skald_fail_at(reader->error, SKALD_EINVALID, name,
                                 "must be a list of texts, none empty");
        }
        SKALD_TRY(copy_text(reader, item, &items[i]));
    }
    *ret_texts = (skald_texts){.items = items, .count = count};
    return SKALD_OK;
}

static skald_err read_types(doc_reader *reader, const char *name, const json_t *value)
{
    return read_texts(reader, name, value, &reader->options->filter.types);
}

static skald_err read_streams(doc_reader *reader, const char *name, const json_t *value)
{
    return read_texts(reader, name, value, &reader->options->filter.streams);
}

static skald_err read_categories(doc_reader *reader, const char *name, const json_t *value)
{
    return read_texts(reader, name, value, &reader->options->filter.categories);
}

static skald_err read_tenant(doc_reader *reader, const char *name, const json_t *value)
{
    if (!json_is_string(value))
        return skald_fail_at(reader->error, SKALD_EINVALID, name, "must be a text");
    return copy_text(reader, value, &reader->options->filter.tenant);
}

static skald_err read_correlation(doc_reader *reader, const char *name, const json_t *value)
{
    if (!json_is_string(value))
        return skald_fail_at(reader->error, SKALD_EINVALID, name, "must be a text");
    return copy_text(reader, value, &reader->options->filter.correlation_id);
}

static skald_err read_filter(doc_reader *reader, const char *name, const json_t *value)
{
    static const doc_member members[] = {
        {"types", read_types},
        {"streams", read_streams},
        {"categories", read_categories},
        {"tenantId", read_tenant},
        {"correlationId", read_correlation},
        {NULL, NULL},
    };
    return read_members(reader, name, value, members);
}

static skald_err read_name(doc_reader *reader, const char *name, const json_t *value)
{
    skald_str text = {0};
    const char *bad =
        "must be a text of 1 to 128 bytes without spaces, slashes or control characters";

    if (!json_is_string(value))
        return skald_fail_at(reader->error, SKALD_EINVALID, name, "%s", bad);
    SKALD_TRY(copy_text(reader, value, &text));
    if (!text.len || text.len > name_bytes_max + (reader->kept ? SKALD_TENANT_BYTES_MAX + 1 : 0))
        return skald_fail_at(reader->error, SKALD_EINVALID, name, "%s", bad);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte <= ' ' || (byte == '/' && !reader->kept) || byte == 0x7f)
            return skald_fail_at(reader->error, SKALD_EINVALID, name, "%s", bad);
    }
    reader->options->name = skald_arena_print(reader->arena, "%.*s%c", SKALD_FMT(text), 0).ptr;
    return reader->options->name ? SKALD_OK : SKALD_ENOMEM;
}

static skald_err read_from(doc_reader *reader, const char *name, const json_t *value)
{
    const char *text = json_string_value(value);

    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        reader->options->after = (uint64_t)json_integer_value(value);
        reader->options->from = reader->options->after ? SKALD_FROM_DEFAULT : SKALD_FROM_START;
        return SKALD_OK;
    }
    if (text && strcmp(text, "start") == 0)
        reader->options->from = SKALD_FROM_START;
    else if (text && strcmp(text, "end") == 0)
        reader->options->from = SKALD_FROM_END;
    else
        return skald_fail_at(reader->error, SKALD_EINVALID, name,
                             "must be \"start\", \"end\" or a position");
    return SKALD_OK;
}

static skald_err read_order(doc_reader *reader, const char *name, const json_t *value)
{
    const char *text = json_string_value(value);

    if (text && strcmp(text, "stream") == 0)
        reader->options->order = SKALD_BY_STREAM;
    else if (text && strcmp(text, "none") == 0)
        reader->options->order = SKALD_UNORDERED;
    else if (text && strcmp(text, "key") == 0)
        reader->options->order = SKALD_BY_KEY;
    else
        return skald_fail_at(reader->error, SKALD_EINVALID, name,
                             "must be \"stream\", \"key\" or \"none\"");
    return SKALD_OK;
}

static skald_err read_in_flight(doc_reader *reader, const char *name, const json_t *value)
{
    return read_number(reader, name, value, 1, 10000, &reader->options->in_flight_max);
}

static skald_err read_ack_timeout(doc_reader *reader, const char *name, const json_t *value)
{
    return read_number(reader, name, value, 1, delay_ms_max, &reader->options->retry.timeout_ms);
}

static skald_err read_attempts(doc_reader *reader, const char *name, const json_t *value)
{
    return read_number(reader, name, value, 0, 1000000, &reader->options->retry.attempts_max);
}

static skald_err read_first(doc_reader *reader, const char *name, const json_t *value)
{
    return read_number(reader, name, value, 1, delay_ms_max, &reader->options->retry.first_ms);
}

static skald_err read_max(doc_reader *reader, const char *name, const json_t *value)
{
    return read_number(reader, name, value, 1, delay_ms_max, &reader->options->retry.max_ms);
}

static skald_err read_factor(doc_reader *reader, const char *name, const json_t *value)
{
    double factor = json_number_value(value);

    if (!json_is_number(value) || !isfinite(factor) || factor < 1 || factor > 100)
        return skald_fail_at(reader->error, SKALD_EINVALID, name, "must be a number from 1 to 100");
    reader->options->retry.factor = factor;
    return SKALD_OK;
}

static skald_err read_retry(doc_reader *reader, const char *name, const json_t *value)
{
    static const doc_member members[] = {
        {"attemptsMax", read_attempts},
        {"firstMs", read_first},
        {"factor", read_factor},
        {"maxMs", read_max},
        {NULL, NULL},
    };
    return read_members(reader, name, value, members);
}

static skald_err read_exhausted(doc_reader *reader, const char *name, const json_t *value)
{
    const char *text = json_string_value(value);

    if (text && strcmp(text, "halt") == 0)
        reader->options->on_exhausted = SKALD_HALT;
    else if (text && strcmp(text, "dead_letter") == 0)
        reader->options->on_exhausted = SKALD_DEAD_LETTER;
    else if (text && strcmp(text, "park_key") == 0)
        reader->options->on_exhausted = SKALD_PARK_KEY;
    else
        return skald_fail_at(reader->error, SKALD_EINVALID, name,
                             "must be \"halt\", \"dead_letter\" or \"park_key\"");
    return SKALD_OK;
}

// read_key reads a JSON pointer into data; whether it is one the bus says.
static skald_err read_key(doc_reader *reader, const char *name, const json_t *value)
{
    const char *text = json_string_value(value);

    if (!text || text[0] != '/' || strlen(text) != json_string_length(value)) {
        return skald_fail_at(reader->error, SKALD_EINVALID, name,
                             "must be a JSON pointer into data, as \"/order/id\"");
    }
    reader->options->key_pointer = skald_arena_print(reader->arena, "%s%c", text, 0).ptr;
    return reader->options->key_pointer ? SKALD_OK : SKALD_ENOMEM;
}

// check_whole says what members do not go together.
static skald_err check_whole(const skald_subscription_options *options, skald_error *reterr_error)
{
    bool by_key = options->order == SKALD_BY_KEY;

    if (!options->name) return skald_fail_at(reterr_error, SKALD_EINVALID, "name", "is missing");
    if (by_key && !options->key_pointer)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "key",
                             "is missing: order \"key\" needs to know where in data the key is");
    if (!by_key && options->key_pointer)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "key", "goes with order \"key\" only");
    return SKALD_OK;
}

// parse takes a text through the door and into a tree, which the caller ends with json_decref.
static skald_err parse(skald_str body, json_t **ret_tree, skald_error *reterr_error)
{
    json_error_t error;

    SKALD_TRY(ski_json_door_check(body, false, reterr_error));
    *ret_tree = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (*ret_tree) return SKALD_OK;
    return skald_fail_at(reterr_error, SKALD_EINVALID, "", "line %d column %d: %s", error.line,
                         error.column, error.text);
}

static skald_err keep_canonical(ski_pull_definition *definition, const json_t *tree)
{
    char *text = json_dumps(tree, JSON_COMPACT | JSON_SORT_KEYS);

    if (!text) return SKALD_ENOMEM;
    definition->text = skald_arena_copy(definition->arena, skald_str_of(text));
    free(text); // style: jansson's
    return definition->text.ptr ? SKALD_OK : SKALD_ENOMEM;
}

static skald_err definition_read(skald_str body, bool kept, ski_pull_definition *ret_definition,
                                 skald_error *reterr_error)
{
    static const doc_member members[] = {
        {"name", read_name},
        {"filter", read_filter},
        {"from", read_from},
        {"order", read_order},
        {"key", read_key},
        {"inFlightMax", read_in_flight},
        {"ackTimeoutMs", read_ack_timeout},
        {"retry", read_retry},
        {"onExhausted", read_exhausted},
        {NULL, NULL},
    };
    ski_pull_definition definition = {.options.retry.timeout_ms = ack_timeout_default_ms};
    json_t *tree = NULL;
    doc_reader reader = {.options = &definition.options, .error = reterr_error, .kept = kept};
    skald_err err;

    SKALD_TRY(parse(body, &tree, reterr_error));
    err = skald_arena_new(definition_arena_max, &definition.arena);
    reader.arena = definition.arena;
    if (!err) err = read_members(&reader, "", tree, members);
    if (!err) err = check_whole(&definition.options, reterr_error);
    if (!err) err = keep_canonical(&definition, tree);
    json_decref(tree);
    if (err) {
        ski_pull_definition_fini(&definition);
        return err;
    }
    definition.name = skald_str_of(definition.options.name);
    *ret_definition = definition;
    return SKALD_OK;
}

skald_err ski_pull_definition_read(skald_str body, ski_pull_definition *ret_definition,
                                   skald_error *reterr_error)
{
    return definition_read(body, false, ret_definition, reterr_error);
}

skald_err ski_pull_definition_kept(skald_str text, ski_pull_definition *ret_definition,
                                   skald_error *reterr_error)
{
    return definition_read(text, true, ret_definition, reterr_error);
}

void ski_pull_definition_fini(ski_pull_definition *definition)
{
    skald_arena_free(definition->arena);
    *definition = (ski_pull_definition){0};
}

static skald_err read_deliveries(ski_http_request *request, const json_t *list, size_t count_max,
                                 ski_pull_ending *ending, skald_error *reterr_error)
{
    size_t count = json_array_size(list);
    skald_str *items;

    if (!json_is_array(list) || !count || count > count_max) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "deliveries",
                             "must be a list of 1 to %zu delivery ids", count_max);
    }
    items = skald_arena_get(request->scratch, count * sizeof *items);
    if (!items) return SKALD_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item)) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "deliveries", "every id is a text");
        }
        items[i] = skald_arena_copy(request->scratch,
                                    ski_str(json_string_value(item), json_string_length(item)));
        if (!items[i].ptr) return SKALD_ENOMEM;
    }
    ending->deliveries = items;
    ending->count = count;
    return SKALD_OK;
}

static skald_err read_reason(ski_http_request *request, const json_t *value,
                             ski_pull_ending *ending, skald_error *reterr_error)
{
    if (!json_is_string(value) || json_string_length(value) > 1000) {
        return skald_fail_at(reterr_error, SKALD_EINVALID, "reason",
                             "must be a text of at most 1000 bytes");
    }
    ending->reason = skald_arena_print(request->scratch, "%s%c", json_string_value(value), 0).ptr;
    return ending->reason ? SKALD_OK : SKALD_ENOMEM;
}

static skald_err read_ending_member(ski_http_request *request, const char *key, const json_t *value,
                                    size_t count_max, ski_pull_ending *ending,
                                    skald_error *reterr_error)
{
    doc_reader reader = {.error = reterr_error};

    if (strcmp(key, "deliveries") == 0)
        return read_deliveries(request, value, count_max, ending, reterr_error);
    if (ending->outcome == SKALD_RETRY && strcmp(key, "delayMs") == 0)
        return read_number(&reader, key, value, 0, delay_ms_max, &ending->delay_ms);
    if (ending->outcome == SKALD_RETRY && strcmp(key, "reason") == 0)
        return read_reason(request, value, ending, reterr_error);
    return skald_fail_at(reterr_error, SKALD_EINVALID, key, "'%.60s' is not known here", key);
}

skald_err ski_pull_ending_read(ski_http_request *request, size_t count_max, ski_pull_ending *ending,
                               skald_error *reterr_error)
{
    json_t *tree = NULL;
    json_t *value;
    const char *key;
    skald_err err = SKALD_OK;

    ending->reason = "";
    SKALD_TRY(parse(request->body, &tree, reterr_error));
    if (!json_is_object(tree))
        err = skald_fail_at(reterr_error, SKALD_EINVALID, "", "the body must be a JSON object");
    json_object_foreach (tree, key, value) {
        if (!err) err = read_ending_member(request, key, value, count_max, ending, reterr_error);
    }
    if (!err && !ending->count) {
        err = skald_fail_at(reterr_error, SKALD_EINVALID, "deliveries", "is missing");
    }
    json_decref(tree);
    return err;
}
