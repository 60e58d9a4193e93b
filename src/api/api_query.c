// SPDX-License-Identifier: Apache-2.0
// The query string: every name a route may know, read into one struct. What a route does not know
// is an error that says what it does know, for a filter that was misspelt must not silently show
// everything.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/str.h"
#include "event/filter.h"

#include <assert.h>
#include <skald/typed.h>
#include <string.h>

enum {
    query_items_max = 256, // names in one query string
    name_bytes_max = 40,   // of one that is like one we know
};

typedef struct ski_query_reader {
    ski_http_request *request;
    ski_query *query;
    skald_error *error;
    skald_str name, value;
} query_reader;

static skald_err refuse(const query_reader *reader, const char *allowed)
{
    char field[64];
    skald_str name = reader->name;

    memcpy(field, "query.", 6);
    if (name.len > sizeof field - 7) name.len = sizeof field - 7;
    if (name.len) memcpy(field + 6, name.ptr, name.len);
    field[6 + name.len] = 0;
    return skald_fail_at(reader->error, SKALD_EINVALID, field, "'%.*s' must be %s",
                         (int)(reader->value.len > 100 ? 100 : reader->value.len),
                         reader->value.ptr ? reader->value.ptr : "", allowed);
}

static skald_err read_u64(query_reader *reader, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    char text[80];

    if (!ski_str_u64(reader->value, &number) && number >= min && number <= max) {
        *ret_number = number;
        return SKALD_OK;
    }
    skald_buf buf = {.bytes_max = sizeof text, .ptr = NULL};
    skald_err err = ski_buf_print(&buf, "a whole number from %llu to %llu", (unsigned long long)min,
                                  (unsigned long long)max);
    if (!err) err = ski_buf_byte(&buf, 0);
    err = refuse(reader, err ? "a whole number" : buf.ptr);
    skald_buf_fini(&buf);
    return err;
}

// add_text appends a value to a list in the filter, which stands in the request's scratch.
static skald_err add_text(query_reader *reader, skald_texts *texts)
{
    skald_str *items = (skald_str *)texts->items;

    if (!items) {
        items = skald_arena_get(reader->request->scratch, query_items_max * sizeof *items);
        if (!items) return SKALD_ENOMEM;
        texts->items = items;
    }
    if (texts->count == query_items_max) return refuse(reader, "given at most 256 times");
    if (!reader->value.len) return refuse(reader, "a name, not empty");
    items[texts->count++] = reader->value;
    return SKALD_OK;
}

// read_time: where a plus sign stood there is a space now.
static skald_err read_time(query_reader *reader, skald_time *ret_time)
{
    skald_str value = reader->value;

    if (!skald_time_parse(value, ret_time)) return SKALD_OK;
    if (value.len && memchr(value.ptr, ' ', value.len))
        return refuse(reader, "a time as 2026-01-02T03:04:05Z; in a URL + is written %2B");
    return refuse(reader, "a time as 2026-01-02T03:04:05Z");
}

static skald_err read_type(query_reader *reader)
{
    if (reader->value.len) SKALD_TRY(ski_type_filter_check(reader->value, reader->error));
    return add_text(reader, &reader->query->read.filter.types);
}

static skald_err read_stream(query_reader *reader)
{
    return add_text(reader, &reader->query->read.filter.streams);
}

static skald_err read_category(query_reader *reader)
{
    return add_text(reader, &reader->query->read.filter.categories);
}

// read_name: an empty one would be no filter, and show everything.
static skald_err read_name(query_reader *reader, skald_str *ret_name)
{
    if (!reader->value.len) return refuse(reader, "a name, not empty");
    *ret_name = reader->value;
    return SKALD_OK;
}

static skald_err read_correlation(query_reader *reader)
{
    return read_name(reader, &reader->query->read.filter.correlation_id);
}

static skald_err read_tenant(query_reader *reader)
{
    reader->query->read.filter.tenant = reader->value;
    return SKALD_OK;
}

static skald_err read_from(query_reader *reader)
{
    return read_time(reader, &reader->query->read.from);
}

static skald_err read_to(query_reader *reader)
{
    return read_time(reader, &reader->query->read.to);
}

// asOf is inclusive where the read's end is exclusive.
static skald_err read_as_of(query_reader *reader)
{
    SKALD_TRY(read_time(reader, &reader->query->read.to));
    reader->query->read.to++;
    return SKALD_OK;
}

static skald_err read_after(query_reader *reader)
{
    reader->query->has_after = true;
    return read_u64(reader, 0, UINT64_MAX, &reader->query->read.after);
}

static skald_err read_before(query_reader *reader)
{
    return read_u64(reader, 1, UINT64_MAX, &reader->query->read.before);
}

static skald_err read_direction(query_reader *reader)
{
    reader->query->read.backwards = skald_str_equal(reader->value, SKALD_STR("backward"));
    if (reader->query->read.backwards || skald_str_equal(reader->value, SKALD_STR("forward")))
        return SKALD_OK;
    return refuse(reader, "forward or backward");
}

static skald_err read_limit(query_reader *reader)
{
    uint64_t limit = 0;

    SKALD_TRY(read_u64(reader, 1, SKI_API_LIMIT_MAX, &limit));
    reader->query->limit = (uint32_t)limit;
    return SKALD_OK;
}

static skald_err read_version_from(query_reader *reader)
{
    return read_u64(reader, 1, UINT64_MAX, &reader->query->read.version_from);
}

static skald_err read_version_to(query_reader *reader)
{
    return read_u64(reader, 1, UINT64_MAX, &reader->query->read.version_to);
}

static skald_err read_max(query_reader *reader)
{
    uint64_t count = 0;

    SKALD_TRY(read_u64(reader, 1, 1000, &count));
    reader->query->count_max = (uint32_t)count;
    return SKALD_OK;
}

static skald_err read_wait(query_reader *reader)
{
    return read_u64(reader, 0, 30000, &reader->query->wait_ms);
}

static skald_err read_ack(query_reader *reader)
{
    static const struct {
        const char *name;
        skald_durability durability;
    } levels[] = {{"durable", SKALD_DURABLE}, {"written", SKALD_WRITTEN}, {"memory", SKALD_MEMORY}};

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (!skald_str_equal(reader->value, skald_str_of(levels[i].name))) continue;
        reader->query->durability = levels[i].durability;
        return SKALD_OK;
    }
    return refuse(reader, "durable, written or memory");
}

static skald_err read_prefix(query_reader *reader)
{
    reader->query->prefix = reader->value;
    return SKALD_OK;
}

static skald_err read_after_name(query_reader *reader)
{
    reader->query->after_name = reader->value;
    return SKALD_OK;
}

static skald_err read_subscription(query_reader *reader)
{
    return read_name(reader, &reader->query->subscription);
}

static skald_err read_after_id(query_reader *reader)
{
    reader->query->after_id = reader->value;
    return SKALD_OK;
}

static skald_err read_scope(query_reader *reader)
{
    reader->query->scope = reader->value;
    if (skald_str_equal(reader->value, SKALD_STR("history")) ||
        skald_str_equal(reader->value, SKALD_STR("store")))
        return SKALD_OK;
    return refuse(reader, "history or store");
}

static skald_err read_format(query_reader *reader)
{
    reader->query->format = reader->value;
    return SKALD_OK;
}

static skald_err read_expected(query_reader *reader)
{
    static const struct {
        const char *name;
        skald_expected expected;
    } words[] = {{"any", SKALD_ANY}, {"none", SKALD_NONE}, {"exists", SKALD_PRESENT}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!skald_str_equal(reader->value, skald_str_of(words[i].name))) continue;
        reader->query->expected = words[i].expected;
        return SKALD_OK;
    }
    reader->query->expected = SKALD_AT;
    if (!ski_str_u64(reader->value, &reader->query->expected_version)) return SKALD_OK;
    return refuse(reader, "any, none, exists or a whole number");
}

static skald_err read_schema_version(query_reader *reader)
{
    uint64_t version = 0;

    SKALD_TRY(read_u64(reader, 1, UINT32_MAX, &version));
    reader->query->schema_version = (uint32_t)version;
    return SKALD_OK;
}

static skald_err read_erase(query_reader *reader)
{
    reader->query->erase = skald_str_equal(reader->value, SKALD_STR("true"));
    if (reader->query->erase || skald_str_equal(reader->value, SKALD_STR("false"))) return SKALD_OK;
    return refuse(reader, "true or false");
}

static skald_err read_tombstone(query_reader *reader)
{
    reader->query->tombstone = skald_str_equal(reader->value, SKALD_STR("true"));
    if (reader->query->tombstone || skald_str_equal(reader->value, SKALD_STR("false")))
        return SKALD_OK;
    return refuse(reader, "true or false");
}

#define TEXT(name, read, words)                                        \
    {                                                                  \
        name, read, SKI_PARAMETER_TEXT, false, 0, 0, NULL, NULL, words \
    }
#define TEXTS(name, read, words)                                      \
    {                                                                 \
        name, read, SKI_PARAMETER_TEXT, true, 0, 0, NULL, NULL, words \
    }
#define TIME(name, read, words)                                        \
    {                                                                  \
        name, read, SKI_PARAMETER_TIME, false, 0, 0, NULL, NULL, words \
    }
#define NUMBER(name, read, min, max, standard, words)                            \
    {                                                                            \
        name, read, SKI_PARAMETER_NUMBER, false, min, max, NULL, standard, words \
    }
#define CHOICE(name, read, choices, standard, words)                            \
    {                                                                           \
        name, read, SKI_PARAMETER_CHOICE, false, 0, 0, choices, standard, words \
    }

// What read_u64 and the others are given is what is said here: a test asks with values beyond.
const ski_parameter ski_parameters[] = {
    TEXTS("type", read_type, "A type by any of its names, or a prefix as order.*"),
    TEXTS("stream", read_stream, "The name of a stream"),
    TEXTS("category", read_category, "What the name of a stream begins with, before its first -"),
    TEXT("correlationId", read_correlation, "The chain the events belong to"),
    TEXT("tenantId", read_tenant, "The tenant the events belong to"),
    TIME("from", read_from, "Recorded at that time or later"),
    TIME("to", read_to, "Recorded before that time"),
    TIME("asOf", read_as_of, "The stream as it was at that time"),
    NUMBER("after", read_after, 0, UINT64_MAX, NULL, "Only positions above it"),
    NUMBER("before", read_before, 1, UINT64_MAX, NULL, "Only positions below it"),
    CHOICE("direction", read_direction, "forward backward", "forward", "Which way to read"),
    NUMBER("limit", read_limit, 1, SKI_API_LIMIT_MAX, "100", "So many at most"),
    NUMBER("fromVersion", read_version_from, 1, UINT64_MAX, NULL, "From that version on"),
    NUMBER("toVersion", read_version_to, 1, UINT64_MAX, NULL, "Up to that version"),
    NUMBER("max", read_max, 1, 1000, "10", "So many deliveries at most"),
    NUMBER("waitMs", read_wait, 0, 30000, "0", "Milliseconds to wait for the first"),
    CHOICE("ack", read_ack, "durable written memory", "durable",
           "Answer when the events are on the disk, with the operating system, or readable"),
    TEXT("prefix", read_prefix, "What the names begin with"),
    TEXT("afterName", read_after_name, "The nextCursor of the page before"),
    TEXT("afterId", read_after_id, "The nextCursor of the page before"),
    TEXT("subscription", read_subscription, "The name of a subscription"),
    CHOICE("scope", read_scope, "history store", "store", "What is counted"),
    CHOICE("format", read_format, "json json-schema asyncapi typescript", "json",
           "The form of the answer"),
    {"expectedVersion", read_expected, SKI_PARAMETER_VERSION, false, 0, UINT64_MAX,
     "any none exists", "any", "Where the stream must stand"},
    NUMBER("schemaVersion", read_schema_version, 1, UINT32_MAX, NULL,
           "Only a snapshot of that version of its schema"),
    CHOICE("tombstone", read_tombstone, "true false", "false", "Never again"),
    CHOICE("erase", read_erase, "true false", "false", "From the disk, too, soon"),
    {NULL, NULL, SKI_PARAMETER_TEXT, false, 0, 0, NULL, NULL, NULL},
};

static_assert(sizeof ski_parameters / sizeof *ski_parameters <= 64, "ski_query_check has 64 bits");

// distance is how many bytes are changed, added or left out between two names (Levenshtein); both
// are short.
static size_t distance(skald_str a, skald_str b)
{
    size_t row[name_bytes_max + 1];

    for (size_t j = 0; j <= b.len; j++) row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < change) change = row[j] + 1;
            if (row[j - 1] + 1 < change) change = row[j - 1] + 1;
            row[j] = change;
        }
    }
    return row[b.len];
}

// closest is the one of words that name was meant to be; not given: none is like it.
static skald_str closest(const char *words, skald_str name)
{
    skald_str word, meant = {0};
    size_t best = SIZE_MAX;

    if (name.len > name_bytes_max) return meant;
    while (ski_words_next(&words, &word)) {
        size_t far = word.len > name_bytes_max ? SIZE_MAX : distance(name, word);
        if (far >= best || far * 2 > word.len) continue;
        best = far;
        meant = word;
    }
    return meant;
}

static skald_err refuse_name(const query_reader *reader, const char *allowed)
{
    skald_str meant = closest(allowed, reader->name), word;
    skald_buf buf = {.bytes_max = 400};
    const char *words = allowed;
    skald_err err = SKALD_OK;

    if (meant.len) {
        err = ski_buf_print(&buf, ": did you mean '%.*s'? This route knows ", SKALD_FMT(meant));
    } else {
        err = skald_buf_put(&buf, SKALD_STR("; this route knows "));
    }
    for (bool first = true; !err && ski_words_next(&words, &word); first = false) {
        err = ski_buf_print(&buf, "%s%.*s", first ? "" : ", ", SKALD_FMT(word));
    }
    if (!err && !allowed) err = skald_buf_put(&buf, SKALD_STR("none"));
    if (!err) err = ski_buf_byte(&buf, 0);
    err = skald_fail_at(reader->error, SKALD_EINVALID, "query", "unknown parameter '%.*s'%s",
                        (int)(reader->name.len > 60 ? 60 : reader->name.len), reader->name.ptr,
                        err ? "" : buf.ptr);
    skald_buf_fini(&buf);
    return err;
}

// query_next gives the next name and value. False: there is none, or *ret_err.
static bool query_next(query_reader *reader, skald_str *rest, skald_err *ret_err)
{
    skald_str item = {0}, name, value;

    while (rest->len && !item.len) item = ski_str_cut(*rest, '&', rest);
    if (!item.len) return false;
    name = ski_str_cut(item, '=', &value);
    if (ski_http_decode(name, true, reader->request->scratch, &reader->name) ||
        ski_http_decode(value, true, reader->request->scratch, &reader->value)) {
        *ret_err = skald_fail_at(reader->error, SKALD_EINVALID, "query",
                                 "the query string has a bad percent escape or is not UTF-8");
        return false;
    }
    if (!reader->value.ptr) reader->value = SKALD_STR("");
    return true;
}

skald_err ski_query_check(ski_http_request *request, skald_error *reterr_error)
{
    query_reader reader = {.request = request, .error = reterr_error};
    const char *allowed = ski_call_of(request)->route->query;
    skald_str rest = request->query;
    skald_err err = SKALD_OK;
    uint64_t seen = 0; // a bit for each of ski_parameters

    while (query_next(&reader, &rest, &err)) {
        if (!ski_words_have(allowed, reader.name)) return refuse_name(&reader, allowed);
        const ski_parameter *one = ski_parameter_find(reader.name);
        uint64_t bit = 1ull << (one - ski_parameters);
        if (seen & bit && !one->repeats) return refuse(&reader, "given once: which one is meant?");
        seen |= bit;
    }
    return err;
}

// ranges_check: what ends before it begins is a slip, not a question whose answer is nothing. Who
// pages comes to where one end meets the other: that is the empty page behind the last.
static skald_err ranges_check(const skald_read *read, skald_error *reterr_error)
{
    if (read->to && read->from > read->to)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "query.to",
                             "to lies before from: nothing can be between them");
    if (read->version_to && read->version_from > read->version_to &&
        read->version_from - read->version_to > 1)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "query.toVersion",
                             "toVersion is less than fromVersion: nothing can be between them");
    if (read->before && read->after >= read->before)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "query.before",
                             "before is not greater than after: nothing can be between them");
    return SKALD_OK;
}

skald_err ski_query_read(ski_http_request *request, ski_query *ret_query, skald_error *reterr_error)
{
    ski_query query = {.limit = SKI_API_LIMIT_DEFAULT, .count_max = 10};
    query_reader reader = {.request = request, .query = &query, .error = reterr_error};
    skald_str rest = request->query;
    skald_err err = SKALD_OK;

    while (query_next(&reader, &rest, &err)) {
        SKALD_TRY(ski_parameter_find(reader.name)->read(&reader)); // known: ski_query_check
    }
    if (err) return err;
    SKALD_TRY(ranges_check(&query.read, reterr_error));
    SKALD_TRY(skald_types_resolve(skald_bus_types(ski_api_of(request)->bus), &query.read.filter,
                                  SKI_STORE_FILTER_ITEMS_MAX, request->scratch, &query.read.filter,
                                  reterr_error));
    SKALD_TRY(ski_auth_confine(request, &query.read.filter, reterr_error));
    *ret_query = query;
    return SKALD_OK;
}
