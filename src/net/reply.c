// SPDX-License-Identifier: Apache-2.0
// Replies: checked and written by the thread that answers; status line, Date and Connection are put
// before them by the loop, in room kept for it, for only the loop knows whether the connection goes
// on.
#include "net/server.h"

#include "base/buf.h"
#include "base/str.h"
#include <assert.h>
#include <string.h>

enum {
    status_min = 200,
    status_max = 599,
    head_bytes_guess = 320, // of the headers of most replies
};

const char *ski_status_phrase(unsigned status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 423: return "Locked";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Other";
    }
}

static const uint64_t every = 0x0101010101010101; // byte

// value_allowed: no control characters but the tab, so that no header can end early and become two.
static bool value_allowed(skald_str value)
{
    size_t i = 0;

    // Eight at a time: is one below ' ', or 0x7f? (A tab goes on to be looked at by itself.)
    for (uint64_t word; i + sizeof word <= value.len; i += sizeof word) {
        memcpy(&word, value.ptr + i, sizeof word);
        uint64_t del = word ^ 0x7f * every;
        uint64_t found = ((word - ' ' * every) & ~word) | ((del - every) & ~del);
        if (found & 0x80 * every) break;
    }
    for (; i < value.len; i++) {
        unsigned char byte = (unsigned char)value.ptr[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) return false;
    }
    return true;
}

static bool is_ours(skald_str name)
{
    static const skald_str ours[] = {
        {"date", 4},        {"connection", 10}, {"content-length", 14}, {"transfer-encoding", 17},
        {"keep-alive", 10}, {"trailer", 7},     {"upgrade", 7},
    };

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (name.len == ours[i].len && ski_str_equal_nocase(name, ours[i])) return true;
    }
    return false;
}

skald_err ski_reply_check(const ski_http_reply *reply)
{
    if (reply->status < status_min || reply->status > status_max) return SKALD_EINVALID;
    if (!value_allowed(skald_str_of(reply->content_type))) return SKALD_EINVALID;
    for (size_t i = 0; i < reply->header_count; i++) {
        const ski_http_header *header = &reply->headers[i];
        bool allowed = ski_http_token(header->name) && value_allowed(header->value);
        if (!allowed || is_ours(header->name)) return SKALD_EINVALID;
    }
    return SKALD_OK;
}

static char *copied(char *to, skald_str text)
{
    if (text.len > 0) memcpy(to, text.ptr, text.len);
    return to + text.len;
}

static skald_err put_header(skald_buf *out, skald_str name, skald_str value)
{
    size_t len = name.len + value.len + 4;

    if (len > out->size - out->len) SKALD_TRY(ski_buf_room(out, len));
    char *to = copied(out->ptr + out->len, name);
    to = copied(to, SKALD_STR(": "));
    to = copied(to, value);
    (void)copied(to, SKALD_STR("\r\n"));
    out->len += len;
    return SKALD_OK;
}

static bool brings(const ski_http_reply *reply, skald_str name)
{
    for (size_t i = 0; i < reply->header_count; i++) {
        skald_str brought = reply->headers[i].name;
        if (brought.len == name.len && ski_str_equal_nocase(brought, name)) return true;
    }
    return false;
}

bool ski_reply_guarded(const ski_http_request *request, skald_str name)
{
    for (size_t i = 0; i < request->reply_header_count; i++) {
        skald_str set = request->reply_headers[i].name;
        if (set.len == name.len && ski_str_equal_nocase(set, name)) return true;
    }
    return false;
}

// put_guarded writes what the guard set. What it did not check it must not send: such a header is
// left out.
static skald_err put_guarded(ski_exchange *exchange, const ski_http_reply *reply)
{
    const ski_http_request *request = &exchange->request;

    for (size_t i = 0; i < request->reply_header_count; i++) {
        const ski_http_header *header = &request->reply_headers[i];
        bool allowed = ski_http_token(header->name) && value_allowed(header->value);

        if (!allowed || brings(reply, header->name)) continue;
        SKALD_TRY(put_header(&exchange->out, header->name, header->value));
    }
    return SKALD_OK;
}

skald_err ski_reply_standing(const ski_http *http, const ski_http_request *request,
                             const ski_http_reply *reply, skald_buf *out)
{
    for (size_t i = 0; i < http->options.header_count; i++) {
        const ski_http_header *header = &http->options.headers[i];
        if (brings(reply, header->name)) continue;
        if (request != NULL && ski_reply_guarded(request, header->name)) continue;
        SKALD_TRY(put_header(out, header->name, header->value));
    }
    return SKALD_OK;
}

// put_common writes the headers every reply has, but for those the reply brings or the guard set.
static skald_err put_common(ski_exchange *exchange, const ski_http_reply *reply)
{
    skald_str correlation = exchange->request.correlation_id;
    skald_str correlation_name = SKALD_STR("X-Correlation-ID");
    skald_str trace = exchange->request.traceparent, trace_name = SKALD_STR("traceparent");

    SKALD_TRY(
        ski_reply_standing(exchange->request.http, &exchange->request, reply, &exchange->out));
    if (correlation.len > 0 && value_allowed(correlation) && !brings(reply, correlation_name)) {
        SKALD_TRY(put_header(&exchange->out, correlation_name, correlation));
    }
    if (trace.len > 0 && value_allowed(trace) && !brings(reply, trace_name)) {
        SKALD_TRY(put_header(&exchange->out, trace_name, trace));
    }
    SKALD_TRY(put_guarded(exchange, reply));
    for (size_t i = 0; i < reply->header_count; i++) {
        SKALD_TRY(put_header(&exchange->out, reply->headers[i].name, reply->headers[i].value));
    }
    return SKALD_OK;
}

// compressible: a kind of text, by its media type.
static bool compressible(skald_str type)
{
    static const char *const kinds[] = {"json", "javascript", "xml", "yaml"};

    if (ski_str_begins(type, SKALD_STR("text/"))) return true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (memmem(type.ptr, type.len, kinds[i], strlen(kinds[i]))) return true;
    }
    return false;
}

// body_coded gives the body as the client would rather have it: made in coded, which the caller
// ends, or as it is.
static skald_str body_coded(const ski_exchange *exchange, const ski_http_reply *reply,
                            skald_buf *coded, ski_coding *ret_coding)
{
    skald_str accepts = ski_http_header_get(&exchange->request, "accept-encoding");

    *coded = (skald_buf){.bytes_max = SIZE_MAX / 2};
    *ret_coding = ski_coding_accepted(accepts);
    if (*ret_coding && ski_encode(*ret_coding, reply->body, coded)) *ret_coding = SKI_CODING_NONE;
    if (*ret_coding && coded->len >= reply->body.len) *ret_coding = SKI_CODING_NONE;
    return *ret_coding ? ski_buf_str(coded) : reply->body;
}

// put_body ends the head of a reply that is whole, and writes the body.
static skald_err put_body(ski_exchange *exchange, const ski_http_reply *reply, skald_str type)
{
    skald_buf *out = &exchange->out, coded = {.bytes_max = 1};
    ski_coding coding = SKI_CODING_NONE;
    skald_str body = reply->body;
    skald_err err = SKALD_OK;

    if (body.len >= SKI_CODING_ENCODED_MIN && compressible(type) &&
        !brings(reply, SKALD_STR("Content-Encoding"))) {
        body = body_coded(exchange, reply, &coded, &coding);
        err = put_header(out, SKALD_STR("Vary"), SKALD_STR("Accept-Encoding"));
    }
    if (!err && coding) {
        err = put_header(out, SKALD_STR("Content-Encoding"), skald_str_of(ski_coding_name(coding)));
    }
    if (!err) err = skald_buf_put(out, SKALD_STR("Content-Length: "));
    if (!err) err = ski_buf_u64(out, body.len);
    if (!err) err = skald_buf_put(out, SKALD_STR("\r\n\r\n"));
    if (!err && !exchange->head_only) err = skald_buf_put(out, body);
    skald_buf_fini(&coded);
    return err;
}

skald_err ski_reply_build(ski_exchange *exchange, const ski_http_reply *reply, bool stream)
{
    skald_buf *out = &exchange->out;
    bool bodiless = reply->status == 204 || reply->status == 304;
    bool with_body = !bodiless && !stream && !exchange->head_only;
    const char *type = reply->content_type;

    if (type == NULL && (stream || reply->body.len > 0)) type = "application/json";
    out->len = 0;
    out->bytes_max = SIZE_MAX; // the body is the caller's, who has it already
    SKALD_TRY(
        ski_buf_room(out, SKI_PREFIX_BYTES + head_bytes_guess + (with_body ? reply->body.len : 0)));
    out->len = SKI_PREFIX_BYTES;
    exchange->status = reply->status;
    if (type != NULL && !bodiless) {
        SKALD_TRY(put_header(out, SKALD_STR("Content-Type"), skald_str_of(type)));
    }
    SKALD_TRY(put_common(exchange, reply));
    if (!stream && !bodiless) return put_body(exchange, reply, skald_str_of(type ? type : ""));
    if (stream && !exchange->http10) {
        SKALD_TRY(skald_buf_put(out, SKALD_STR("Transfer-Encoding: chunked\r\n")));
    }
    return skald_buf_put(out, SKALD_STR("\r\n"));
}

// date_make writes "Date: …\r\n" (RFC 9110 5.6.7).
static void date_make(ski_http *http, int64_t now_s)
{
    static const char days[] = "ThuFriSatSunMonTueWed",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    skald_buf line = {.ptr = http->date,
                      .size = sizeof http->date - 1,
                      .bytes_max = sizeof http->date - 1};
    char text[SKALD_TIME_TEXT + 1]; // 2026-01-02T03:04:05.000006Z

    skald_time_print(now_s * 1000000, text);
    unsigned month = (unsigned)(text[5] - '0') * 10 + (unsigned)(text[6] - '0');
    assert(month >= 1 && month <= 12);
    skald_err err = ski_buf_print(&line, "Date: %.3s, %.2s %.3s %.4s %.8s GMT\r\n",
                                  days + now_s / 86400 % 7 * 3, text + 8, months + (month - 1) * 3,
                                  text, text + 11);
    assert(err == SKALD_OK && line.len == sizeof http->date - 3);
    http->date_s = now_s;
}

// date_line gives the Date, made once a second; the clock is asked when libuv's has moved.
static skald_str date_line(ski_http *http)
{
    uint64_t loop_ms = uv_now(&http->loop);

    if (loop_ms != http->date_seen_ms || http->date_s < 0) {
        int64_t now_s = http->kernel->now(http->kernel->context) / 1000000;

        if (now_s != http->date_s) date_make(http, now_s);
        http->date_seen_ms = loop_ms;
    }
    return ski_str(http->date, sizeof http->date - 3);
}

void ski_reply_prefix(ski_http *http, ski_exchange *exchange, bool close)
{
    enum { others_max = 9 + 4 + 2 + sizeof http->date + 24 }; // beside the phrase
    char prefix[SKI_PREFIX_BYTES];
    skald_str phrase = skald_str_of(ski_status_phrase(exchange->status));
    unsigned status = exchange->status;
    char *end = copied(prefix, SKALD_STR("HTTP/1.1 "));

    assert(status >= status_min && status <= status_max);
    assert(phrase.len + others_max <= sizeof prefix);
    *end++ = (char)('0' + status / 100);
    *end++ = (char)('0' + status / 10 % 10);
    *end++ = (char)('0' + status % 10);
    *end++ = ' ';
    end = copied(end, phrase);
    end = copied(end, SKALD_STR("\r\n"));
    end = copied(end, date_line(http));
    if (close) {
        end = copied(end, SKALD_STR("Connection: close\r\n"));
    } else if (exchange->http10) {
        end = copied(end, SKALD_STR("Connection: keep-alive\r\n"));
    }
    exchange->sent = SKI_PREFIX_BYTES - (size_t)(end - prefix);
    memcpy(exchange->out.ptr + exchange->sent, prefix, (size_t)(end - prefix));
    exchange->prefixed = true;
}

ski_exchange *ski_reply_claim(ski_http *http, uint64_t id)
{
    ski_mutex_lock(&http->lock);
    ski_exchange *exchange = ski_exchange_find(http, id);
    if (exchange != NULL && exchange->stage == SKI_STAGE_OPEN) {
        exchange->stage = SKI_STAGE_BUILDING;
    } else {
        exchange = NULL;
    }
    ski_mutex_unlock(&http->lock);
    return exchange;
}

bool ski_reply_done(ski_http *http, ski_exchange *exchange, ski_stage stage, unsigned due)
{
    bool wake = false, last = false;

    ski_mutex_lock(&http->lock);
    bool taken = !http->loop_ended;
    if (!taken) { // nobody is there to send it
        exchange->stage = SKI_STAGE_FREE;
        exchange->request.id.id = 0;
        http->owed--;
        last = http->stop_ended && http->owed == 0;
    } else {
        exchange->stage = stage;
        ski_exchange_ready(http, exchange, due, &wake);
    }
    ski_http_unlock(http, wake);
    if (last) ski_http_fini(http);
    return taken;
}

skald_err ski_http_reply_send(ski_http *http, ski_http_request_id id, const ski_http_reply *reply)
{
    SKALD_TRY(ski_reply_check(reply));
    ski_exchange *exchange = ski_reply_claim(http, id.id);
    if (exchange == NULL) return SKALD_ESTALE;

    skald_err err = ski_reply_build(exchange, reply, false);
    unsigned due = SKI_DUE_REPLY | (err ? SKI_DUE_CUT : 0);
    (void)ski_reply_done(http, exchange, SKI_STAGE_ANSWERED, due);
    return err;
}
