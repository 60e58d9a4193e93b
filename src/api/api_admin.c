// SPDX-License-Identifier: Apache-2.0
// GET /api/admin/config: the settings in force. GET|PUT /api/admin/log-level: how much is logged,
// while the server runs; and what the log says of each request when that is everything.
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <stdio.h>

enum { text_bytes_max = 256 };

static const char *const levels[] = {"debug", "info", "warn", "error"};
enum { level_count = sizeof levels / sizeof *levels };

skald_err ski_get_config(ski_http_request *request, skald_error *reterr_error)
{
    const ski_api_options *options = &ski_api_of(request)->options;
    skald_buf buf = ski_reply_buf();
    size_t count = 0;
    skald_err err;

    if (!options->settings)
        return skald_fail(reterr_error, SKALD_EUNSUPPORTED, "there are no settings here");
    err = skald_buf_put(&buf, SKALD_STR("{\"data\":["));
    if (!err) err = options->settings(options->system, &buf, &count);
    if (!err)
        err = ski_buf_print(&buf, "],\"pagination\":{\"limit\":%zu,\"nextCursor\":null}}", count);
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

static skald_err reply_level(ski_http_request *request)
{
    const ski_api_options *options = &ski_api_of(request)->options;
    skald_str body = skald_arena_print(request->scratch, "{\"data\":{\"level\":\"%s\"}}",
                                       levels[options->level(options->system)]);

    return body.len ? ski_reply_json(request, 200, body) : SKALD_ENOMEM;
}

skald_err ski_get_log_level(ski_http_request *request, skald_error *reterr_error)
{
    if (!ski_api_of(request)->options.level)
        return skald_fail(reterr_error, SKALD_EUNSUPPORTED, "the log has no level here");
    return reply_level(request);
}

// read_level takes {"level": "debug"}.
static skald_err read_level(ski_http_request *request, skald_level *ret_level,
                            skald_error *reterr_error)
{
    ski_json_walk walk = {.rest = request->body};
    ski_json_item item;
    skald_str level = {0};

    SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
    if (ski_json_kind_of(request->body) != SKI_JSON_OBJECT)
        return skald_fail(reterr_error, SKALD_EINVALID, "must be {\"level\": \"debug\"}");
    while (ski_json_next(&walk, &item)) {
        if (item.key_escaped || !skald_str_equal(item.key, SKALD_STR("level"))) {
            return skald_fail(reterr_error, SKALD_EINVALID, "the only member is level, not '%.*s'",
                              (int)(item.key.len > 60 ? 60 : item.key.len), item.key.ptr);
        }
        level = item.value;
    }
    for (size_t i = 0; i < level_count; i++) {
        if (level.len < 2 ||
            !skald_str_equal(ski_str(level.ptr + 1, level.len - 2), skald_str_of(levels[i])))
            continue;
        *ret_level = (skald_level)i;
        return SKALD_OK;
    }
    return skald_fail_at(reterr_error, SKALD_EINVALID, "level",
                         "must be one of: debug info warn error");
}

skald_err ski_put_log_level(ski_http_request *request, skald_error *reterr_error)
{
    const ski_api_options *options = &ski_api_of(request)->options;
    skald_level level = SKALD_INFO;

    if (!options->level || !options->level_set)
        return skald_fail(reterr_error, SKALD_EUNSUPPORTED, "the log's level is fixed here");
    SKALD_TRY(read_level(request, &level, reterr_error));
    SKALD_TRY(options->level_set(options->system, level));
    return reply_level(request);
}

static const char *terminated(skald_str from, char ret_text[text_bytes_max])
{
    (void)snprintf(ret_text, text_bytes_max, "%.*s",
                   (int)(from.len < text_bytes_max ? from.len : text_bytes_max - 1),
                   from.ptr ? from.ptr : "");
    return ret_text;
}

// The query is left out: what somebody looks for may be about people.
void ski_api_log_request(const skald_log *log, const ski_http_request *request, unsigned status,
                         uint64_t took_ns)
{
    char method[text_bytes_max], path[text_bytes_max], peer[text_bytes_max];
    char correlation[text_bytes_max], code[16], took[24];

    if (!ski_log_takes(log, SKALD_DEBUG)) return;
    (void)snprintf(code, sizeof code, "%u", status);
    (void)snprintf(took, sizeof took, "%llu", (unsigned long long)(took_ns / 1000));
    ski_log_line(log, SKALD_DEBUG, "request", "method", terminated(request->method, method), "path",
                 terminated(request->path, path), "status", code, "tookUs", took, "peer",
                 terminated(request->peer, peer), "correlationId",
                 terminated(request->correlation_id, correlation), (char *)NULL);
}
