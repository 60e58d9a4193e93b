// SPDX-License-Identifier: Apache-2.0
// The query string: every name a route may know, read into one struct. What a route does not know
// is an error that says what it does know, for a filter that was misspelt must not silently show
// everything.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/str.h"

#include <string.h>

enum { query_items_max = 256 }; // names in one query string

typedef struct query_reader {
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

static skald_err read_time(query_reader *reader, skald_time *ret_time)
{
    if (skald_time_parse(reader->value, ret_time))
        return refuse(reader, "a time as 2026-01-02T03:04:05Z");
    return SKALD_OK;
}

static skald_err read_type(query_reader *reader)
{
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

static skald_err read_correlation(query_reader *reader)
{
    reader->query->read.filter.correlation_id = reader->value;
    return SKALD_OK;
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

static skald_err read_scope(query_reader *reader)
{
    reader->query->scope = reader->value;
    if (skald_str_equal(reader->value, SKALD_STR("history")) ||
        skald_str_equal(reader->value, SKALD_STR("store")))
        return SKALD_OK;
    return refuse(reader, "history or store");
}

static const struct {
    const char *name;
    skald_err (*read)(query_reader *reader);
} names[] = {
    {"type", read_type},
    {"stream", read_stream},
    {"category", read_category},
    {"correlationId", read_correlation},
    {"tenantId", read_tenant},
    {"from", read_from},
    {"to", read_to},
    {"asOf", read_as_of},
    {"after", read_after},
    {"before", read_before},
    {"direction", read_direction},
    {"limit", read_limit},
    {"fromVersion", read_version_from},
    {"toVersion", read_version_to},
    {"max", read_max},
    {"waitMs", read_wait},
    {"ack", read_ack},
    {"prefix", read_prefix},
    {"afterName", read_after_name},
    {"scope", read_scope},
};

static skald_err refuse_name(const query_reader *reader, const char *const *allowed)
{
    skald_buf buf = {.bytes_max = 400};
    skald_err err = SKALD_OK;

    for (size_t i = 0; allowed[i] && !err; i++) {
        err = ski_buf_print(&buf, "%s%s", i ? ", " : "", allowed[i]);
    }
    if (!err) err = ski_buf_byte(&buf, 0);
    err = skald_fail_at(reader->error, SKALD_EINVALID, "query",
                        "unknown parameter '%.*s'; this route knows %s",
                        (int)(reader->name.len > 60 ? 60 : reader->name.len), reader->name.ptr,
                        !allowed[0] ? "none"
                        : err       ? "others"
                                    : buf.ptr);
    skald_buf_fini(&buf);
    return err;
}

static skald_err read_item(query_reader *reader, const char *const *allowed)
{
    size_t i = 0;

    while (allowed[i] && !skald_str_equal(reader->name, skald_str_of(allowed[i]))) i++;
    if (!allowed[i]) return refuse_name(reader, allowed);
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        if (skald_str_equal(reader->name, skald_str_of(names[i].name)))
            return names[i].read(reader);
    }
    return refuse_name(reader, allowed);
}

skald_err ski_query_read(ski_http_request *request, const char *const *allowed,
                         ski_query *ret_query, skald_error *reterr_error)
{
    ski_query query = {.limit = SKI_API_LIMIT_DEFAULT, .count_max = 10};
    query_reader reader = {.request = request, .query = &query, .error = reterr_error};
    skald_str rest = request->query;

    while (rest.len) {
        skald_str next;
        skald_str item = ski_str_cut(rest, '&', &next);
        skald_str value;
        skald_str name = ski_str_cut(item, '=', &value);

        rest = next;
        if (!item.len) continue;
        if (ski_http_decode(name, true, request->scratch, &reader.name) ||
            ski_http_decode(value, true, request->scratch, &reader.value)) {
            return skald_fail_at(reterr_error, SKALD_EINVALID, "query",
                                 "the query string has a bad percent escape or is not UTF-8");
        }
        if (!reader.value.ptr) reader.value = SKALD_STR("");
        SKALD_TRY(read_item(&reader, allowed));
    }
    *ret_query = query;
    return SKALD_OK;
}
