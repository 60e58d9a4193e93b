// SPDX-License-Identifier: Apache-2.0
// What every reply of the API has in common: JSON, the caller's correlation id given back, and one
// way to say that something is wrong.
#include "api/api_idempotency.h"
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/str.h"

#include <string.h>

enum { etag_bytes = 20 }; // W/"…" of 64 bits

skald_buf ski_reply_buf(void)
{
    return (skald_buf){.bytes_max = SKI_API_REPLY_BYTES_MAX};
}

// etag_matches says whether one of If-None-Match is it, by the weak comparison.
static bool etag_matches(skald_str list, skald_str etag)
{
    if (skald_str_equal(ski_str_trim(list), SKALD_STR("*"))) return true;
    while (list.ptr) {
        skald_str one = ski_str_trim(ski_str_cut(list, ',', &list));
        if (ski_str_begins(one, SKALD_STR("W/"))) one = ski_str(one.ptr + 2, one.len - 2);
        if (skald_str_equal(one, ski_str(etag.ptr + 2, etag.len - 2))) return true;
    }
    return false;
}

// reply_etag gives what is one thing an ETag, and leaves the body out when the client has it. It is
// weak: the body may leave compressed or not. None without memory.
static void reply_etag(ski_http_request *request, ski_http_reply *reply)
{
    const ski_call *call = ski_call_of(request);
    uint64_t hash =
        ski_hash64(call->version | (uint64_t)call->media << 8, reply->body.ptr, reply->body.len);
    char *text = skald_arena_get(request->scratch, etag_bytes);

    if (!text) return;
    skald_str etag = ski_str(text, etag_bytes);
    memcpy(text, "W/\"", 3);
    for (size_t i = 0; i < 16; i++) text[3 + i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
    text[etag_bytes - 1] = '"';
    ski_call_header(request, SKALD_STR("ETag"), etag);
    skald_str asked = ski_http_header_get(request, "if-none-match");
    if (!asked.ptr || !etag_matches(asked, etag)) return;
    reply->status = 304;
    reply->body = (skald_str){0};
    reply->content_type = NULL;
}

skald_err ski_reply_send(ski_http_request *request, const ski_http_reply *reply)
{
    const ski_call *call = ski_call_of(request);
    skald_buf down = ski_reply_buf();
    ski_http_reply made = *reply;
    bool json = !made.content_type, changed = false;
    skald_err err = SKALD_OK;

    if (made.status < 300 && json) {
        err = ski_version_down(call->route->gives, call->version, made.body, &down, &changed);
        made.content_type = ski_call_json(request);
    }
    if (changed) made.body = ski_buf_str(&down);
    if (!err && made.status == 200 && call->route->etag) reply_etag(request, &made);
    if (!err) ski_replay_end(request, &made);
    if (!err) err = ski_http_reply_send(request->http, request->id, &made);
    skald_buf_fini(&down);
    return err;
}

skald_err ski_reply_position(ski_http_request *request, unsigned status, skald_str body,
                             uint64_t position, skald_str correlation_id)
{
    ski_http_header headers[2];
    size_t count = 0;
    char digits[24];
    skald_buf text = {.ptr = digits, .size = sizeof digits, .bytes_max = sizeof digits};

    if (position) {
        SKALD_TRY(ski_buf_u64(&text, position));
        headers[count++] = (ski_http_header){SKALD_STR("X-Event-Position"), ski_buf_str(&text)};
    }
    if (correlation_id.len && !request->correlation_id.len) {
        headers[count++] = (ski_http_header){SKALD_STR("X-Correlation-ID"), correlation_id};
    }
    return ski_reply_send(request, &(ski_http_reply){
                                       .status = status,
                                       .body = body,
                                       .headers = headers,
                                       .header_count = count,
                                   });
}

skald_err ski_reply_json(ski_http_request *request, unsigned status, skald_str body)
{
    return ski_reply_position(request, status, body, 0, (skald_str){0});
}

void ski_reply_why(const ski_http_request *request, skald_err err, skald_error *error)
{
    skald_store_state state;

    if (err != SKALD_EREADONLY || !error) return;
    if (error->err && strcmp(error->text, skald_err_text(SKALD_EREADONLY)) != 0) return;
    skald_store_state_get(ski_api_of(request)->store, &state);
    if (!state.read_only_why[0]) return;
    skald_fail(error, SKALD_EREADONLY, "the store takes no writes now: %s", state.read_only_why);
}

void ski_reply_fail(ski_http_request *request, skald_err err, skald_error *error)
{
    skald_error plain = {0};

    if (!error || !error->err) {
        skald_fail(&plain, err, "%s", skald_err_text(err));
        error = &plain;
    }
    ski_reply_why(request, error->err, error);
    ski_replay_abandon(request);
    // STALE: somebody answered already, which is what we wanted.
    (void)!ski_http_problem(request->http, request->id, error);
}
