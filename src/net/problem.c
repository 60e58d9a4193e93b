// SPDX-License-Identifier: Apache-2.0
// Errors as people and programs get them: RFC 9457 problem+json. One table says which status goes
// with which code, one which code goes with which error.
#include "net/server.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include <stdio.h>
#include <string.h>

enum {
    problem_bytes_max = 32 * 1024, // of the document; detail and instance are shorter
    logged_bytes_max = 256,        // of a path, and of a correlation id, in the log
};

typedef struct code_status {
    const char *code;
    unsigned status;
} code_status;

static const code_status codes[] = {
    {"VALIDATION_ERROR", 400},
    {"VERSION_CONFLICT", 400},
    {"UNSUPPORTED_API_VERSION", 400},
    {"AUTHENTICATION_ERROR", 401},
    {"AUTHORIZATION_ERROR", 403},
    {"NOT_FOUND", 404},
    {"METHOD_NOT_ALLOWED", 405},
    {"NOT_ACCEPTABLE", 406},
    {"TIMEOUT", 408},
    {"CONCURRENCY_CONFLICT", 409},
    {"INVALID_STATE", 409},
    {"DUPLICATE", 409},
    {"PRECONDITION_FAILED", 412},
    {"PAYLOAD_TOO_LARGE", 413},
    {"URI_TOO_LONG", 414},
    {"UNSUPPORTED_MEDIA_TYPE", 415},
    {"EXPECTATION_FAILED", 417},
    {"SCHEMA_VIOLATION", 422},
    {"IDEMPOTENCY_KEY_REUSED", 422},
    {"LOCKED", 423},
    {"RATE_LIMITED", 429},
    {"HEADERS_TOO_LARGE", 431},
    {"INTERNAL_ERROR", 500},
    {"NOT_IMPLEMENTED", 501},
    {"READ_ONLY", 503},
    {"UNAVAILABLE", 503},
    {"HTTP_VERSION_NOT_SUPPORTED", 505},
};

static const char *code_of_err(skald_err err)
{
    switch (err) {
    case SKALD_EINVALID: return "VALIDATION_ERROR";
    case SKALD_ETOOBIG: return "PAYLOAD_TOO_LARGE";
    case SKALD_ESCHEMA: return "SCHEMA_VIOLATION";
    case SKALD_ENOTFOUND: return "NOT_FOUND";
    case SKALD_EEXISTS: return "DUPLICATE";
    case SKALD_ECONFLICT: return "CONCURRENCY_CONFLICT";
    case SKALD_ESTATE:
    case SKALD_ESTALE: return "INVALID_STATE";
    case SKALD_EAUTH: return "AUTHENTICATION_ERROR";
    case SKALD_EDENIED: return "AUTHORIZATION_ERROR";
    case SKALD_ETIMEOUT: return "TIMEOUT";
    case SKALD_EUNSUPPORTED: return "NOT_IMPLEMENTED";
    case SKALD_EHELD: return "LOCKED";
    case SKALD_EREADONLY: return "READ_ONLY";
    case SKALD_ENOMEM:
    case SKALD_EFULL:
    case SKALD_EUNAVAILABLE:
    case SKALD_ECLOSED: return "UNAVAILABLE";
    case SKALD_ECORRUPT:
    case SKALD_EIO:
    case SKALD_OK: break;
    }
    return "INTERNAL_ERROR";
}

const char *ski_http_code_of(const skald_error *error)
{
    return error->code[0] != '\0' ? error->code : code_of_err(error->err);
}

static unsigned status_of_code(const char *code)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(codes[i].code, code) == 0) return codes[i].status;
    }
    return 0;
}

unsigned ski_http_status_of(const skald_error *error)
{
    unsigned status = status_of_code(ski_http_code_of(error));

    return status ? status : status_of_code(code_of_err(error->err));
}

static skald_err put_member(skald_buf *buf, const char *name, skald_str value)
{
    SKALD_TRY(ski_buf_print(buf, ",\"%s\":", name));
    return ski_json_put_string(buf, value);
}

// put_versions: with a conflict, what was expected and where the stream stands.
static skald_err put_versions(skald_buf *buf, const skald_error *error)
{
    if (error->expected_version != UINT64_MAX) {
        SKALD_TRY(ski_buf_print(buf, ",\"expectedVersion\":"));
        SKALD_TRY(ski_buf_u64(buf, error->expected_version));
    }
    SKALD_TRY(ski_buf_print(buf, ",\"actualVersion\":"));
    return ski_buf_u64(buf, error->actual_version);
}

// put_detail says where before what, if the text alone does not: "query.limit: '0' must be …".
static skald_err put_detail(skald_buf *buf, const skald_error *error, skald_str detail)
{
    char text[sizeof error->field + 2 + sizeof error->text];
    skald_str field = skald_str_of(error->field);
    const char *dot = field.len ? memrchr(field.ptr, '.', field.len) : NULL;
    skald_str last = dot ? ski_str(dot + 1, field.len - (size_t)(dot + 1 - field.ptr)) : field;
    int len;

    if (error->err != SKALD_EINVALID || !last.len || !detail.len ||
        skald_str_equal(field, SKALD_STR("query")) ||
        memmem(detail.ptr, detail.len, last.ptr, last.len))
        return put_member(buf, "detail", detail);
    len = snprintf(text, sizeof text, "%.*s: %.*s", SKALD_FMT(field), SKALD_FMT(detail));
    return put_member(buf, "detail", len > 0 ? skald_str_of(text) : detail);
}

static skald_err problem_write(skald_buf *buf, const ski_http_request *request, unsigned status,
                               const skald_error *error)
{
    skald_str code = skald_str_of(ski_http_code_of(error));
    // What broke inside is for the log, not for strangers; but who reads damaged data must be told
    // which positions those are.
    bool inside = status == 500 && (error->err != SKALD_ECORRUPT || !error->text[0]);
    skald_str detail =
        inside ? SKALD_STR("the server failed; its log says why") : skald_str_of(error->text);

    SKALD_TRY(ski_buf_print(buf, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u",
                            ski_status_phrase(status), status));
    SKALD_TRY(put_detail(buf, error, detail));
    if (request->path.len > 0) SKALD_TRY(put_member(buf, "instance", request->path));
    SKALD_TRY(put_member(buf, "code", code));
    if (request->correlation_id.len > 0) {
        SKALD_TRY(put_member(buf, "correlationId", request->correlation_id));
    }
    if (error->err == SKALD_ECONFLICT) SKALD_TRY(put_versions(buf, error));
    if (error->field[0] != '\0') {
        SKALD_TRY(ski_buf_print(buf, ",\"errors\":[{\"field\":"));
        SKALD_TRY(ski_json_put_string(buf, skald_str_of(error->field)));
        SKALD_TRY(put_member(buf, "code", code));
        SKALD_TRY(put_member(buf, "message", detail));
        SKALD_TRY(ski_buf_print(buf, "}]"));
    }
    return ski_buf_byte(buf, '}');
}

// extra_header: what a status asks for, unless the guard has said it. Gives how many, at most 1.
static size_t extra_header(const ski_http_request *request, unsigned status, skald_err err,
                           ski_http_header *ret_header)
{
    if (ski_reply_guarded(request, SKALD_STR("Retry-After")) ||
        ski_reply_guarded(request, SKALD_STR("WWW-Authenticate"))) {
        return 0;
    }
    if (status == 503 || (status == 429 && err == SKALD_EFULL)) {
        *ret_header = (ski_http_header){SKALD_STR("Retry-After"), SKALD_STR("1")};
        return 1;
    }
    if (status == 401) {
        *ret_header = (ski_http_header){SKALD_STR("WWW-Authenticate"), SKALD_STR("Bearer")};
        return 1;
    }
    return 0;
}

static const char *terminated(skald_str from, char ret_text[logged_bytes_max])
{
    (void)snprintf(ret_text, logged_bytes_max, "%.*s",
                   (int)(from.len < logged_bytes_max ? from.len : logged_bytes_max - 1),
                   from.ptr ? from.ptr : "");
    return ret_text;
}

// failure_log says which request broke and why. The query is left out: it may be about people.
static void failure_log(const ski_http *http, const ski_http_request *request,
                        const skald_error *error)
{
    char path[logged_bytes_max], correlation[logged_bytes_max], method[logged_bytes_max];

    ski_log_line(http->options.log, SKALD_ERROR, "a request failed", "error",
                 skald_err_name(error->err), "text", error->text, "method",
                 terminated(request->method, method), "path", terminated(request->path, path),
                 "correlationId", terminated(request->correlation_id, correlation), NULL);
}

skald_err ski_problem_send(ski_http *http, ski_http_request_id id, const skald_error *error,
                           const ski_http_header *header)
{
    unsigned status = ski_http_status_of(error);
    skald_buf buf = {.bytes_max = problem_bytes_max};
    ski_http_header headers[2];
    size_t header_count;

    ski_exchange *exchange = ski_reply_claim(http, id.id);
    if (exchange == NULL) return SKALD_ESTALE;
    header_count = extra_header(&exchange->request, status, error->err, headers);
    if (header != NULL) headers[header_count++] = *header;
    skald_err err = problem_write(&buf, &exchange->request, status, error);
    ski_http_reply reply = {
        .status = status,
        .content_type = "application/problem+json",
        .body = ski_buf_str(&buf),
        .headers = headers,
        .header_count = header_count,
    };
    if (!err) err = ski_reply_build(exchange, &reply, false);
    if (status == 500) failure_log(http, &exchange->request, error);
    unsigned due = SKI_DUE_REPLY | (err ? SKI_DUE_CUT : 0);
    (void)ski_reply_done(http, exchange, SKI_STAGE_ANSWERED, due);
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_http_problem(ski_http *http, ski_http_request_id id, const skald_error *error)
{
    return ski_problem_send(http, id, error, NULL);
}
