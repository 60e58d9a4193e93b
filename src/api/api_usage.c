// SPDX-License-Identifier: Apache-2.0
// Who still asks for which version of the API.
#include "api/api_usage.h"
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <string.h>

void ski_usage_init(ski_usage *usage)
{
    *usage = (ski_usage){0};
    ski_mutex_init(&usage->lock);
}

void ski_usage_fini(ski_usage *usage)
{
    ski_mutex_fini(&usage->lock);
}

void ski_usage_count(ski_usage *usage, unsigned version, skald_str consumer, skald_time now)
{
    ski_usage_row *row = usage->rows;
    size_t i = 0;

    consumer.len = ski_str_utf8_cut(consumer, SKI_USAGE_CONSUMER_BYTES);
    ski_mutex_lock(&usage->lock);
    for (; i < usage->count; i++) {
        row = &usage->rows[i];
        if (row->version == version && row->consumer_len == consumer.len &&
            memcmp(row->consumer, consumer.ptr, consumer.len) == 0)
            break;
    }
    if (i == usage->count) {
        bool other = i == SKI_USAGE_MAX;

        if (other) consumer = SKALD_STR("other");
        row = &usage->rows[other ? SKI_USAGE_MAX + version - 1 : usage->count++];
        if (!row->requests) *row = (ski_usage_row){.version = version, .first_at = now};
        row->consumer_len = (uint32_t)consumer.len;
        memcpy(row->consumer, consumer.ptr, consumer.len);
    }
    row->requests++;
    row->last_at = now;
    ski_mutex_unlock(&usage->lock);
}

// usage_copy: the rows as they are now, in scratch.
static const ski_usage_row *usage_copy(ski_usage *usage, skald_arena *scratch, size_t *ret_count)
{
    ski_usage_row *rows = skald_arena_get(scratch, sizeof usage->rows);

    if (!rows) return NULL;
    ski_mutex_lock(&usage->lock);
    memcpy(rows, usage->rows, sizeof usage->rows);
    *ret_count = usage->count;
    for (size_t i = SKI_USAGE_MAX; i < SKI_USAGE_MAX + SKI_ROUTE_VERSION; i++)
        if (usage->rows[i].requests) rows[(*ret_count)++] = usage->rows[i];
    ski_mutex_unlock(&usage->lock);
    return rows;
}

static skald_err put_row(skald_buf *buf, const ski_usage_row *row)
{
    char first[SKALD_TIME_TEXT + 1], last[SKALD_TIME_TEXT + 1];
    skald_str version = ski_version_text(row->version);
    bool deprecated = ski_version_deprecated(row->version);

    skald_time_print(row->first_at, first);
    skald_time_print(row->last_at, last);
    SKALD_TRY(ski_buf_print(buf, "{\"version\":\"%.*s\",\"deprecated\":%s,\"consumer\":",
                            SKALD_FMT(version), deprecated ? "true" : "false"));
    SKALD_TRY(ski_json_put_string(buf, skald_str_of(row->consumer)));
    return ski_buf_print(buf, ",\"requests\":%llu,\"firstAt\":\"%s\",\"lastAt\":\"%s\"}",
                         (unsigned long long)row->requests, first, last);
}

skald_err ski_get_api_usage(ski_http_request *request, skald_error *reterr_error)
{
    skald_buf buf = ski_reply_buf();
    size_t count = 0;
    const ski_usage_row *rows = usage_copy(&ski_api_of(request)->usage, request->scratch, &count);
    skald_err err = rows ? skald_buf_put(&buf, SKALD_STR("{\"data\":[")) : SKALD_ENOMEM;

    (void)reterr_error;
    for (size_t i = 0; i < count && !err; i++) {
        if (i) err = ski_buf_byte(&buf, ',');
        if (!err) err = put_row(&buf, &rows[i]);
    }
    if (!err)
        err = ski_buf_print(&buf, "],\"pagination\":{\"limit\":%zu,\"nextCursor\":null}}", count);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_usage_put(ski_usage *usage, skald_buf *buf)
{
    uint64_t requests[SKI_ROUTE_VERSION + 1] = {0};

    ski_mutex_lock(&usage->lock);
    for (size_t i = 0; i < SKI_USAGE_MAX + SKI_ROUTE_VERSION; i++) {
        requests[usage->rows[i].version] += usage->rows[i].requests;
    }
    ski_mutex_unlock(&usage->lock);
    SKALD_TRY(skald_buf_put(buf, SKALD_STR("# HELP skald_api_requests_total Requests by version.\n"
                                           "# TYPE skald_api_requests_total counter\n")));
    for (unsigned version = 1; version <= SKI_ROUTE_VERSION; version++) {
        SKALD_TRY(ski_buf_print(buf, "skald_api_requests_total{version=\"%.*s\"} %llu\n",
                                SKALD_FMT(ski_version_text(version)),
                                (unsigned long long)requests[version]));
    }
    return SKALD_OK;
}
