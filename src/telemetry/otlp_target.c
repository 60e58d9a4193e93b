// SPDX-License-Identifier: Apache-2.0
// Where spans are sent, and the headers they are sent with, as people wrote them down. What stands
// in a URL or a headers file may be secret: errors name the line, never its text.
#include "telemetry/otlp_inside.h"

#include "base/buf.h"
#include "base/str.h"

#include <curl/curl.h>
#include <string.h>

#define TRACES_PATH "/v1/traces"

static bool ends_with(skald_str text, skald_str end)
{
    return text.len >= end.len &&
           skald_str_equal(ski_str(text.ptr + text.len - end.len, end.len), end);
}

// part_given: the URL has that part.
static bool part_given(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool given = curl_url_get(url, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return given;
}

static skald_err url_check(CURLU *parsed, const char *url, skald_error *reterr_error)
{
    skald_str text = skald_str_of(url);

    if (!ski_str_begins(text, SKALD_STR("http://")) && !ski_str_begins(text, SKALD_STR("https://")))
        return skald_fail(reterr_error, SKALD_EINVALID,
                          "the URL of the collector must begin with http:// or https://");
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK)
        return skald_fail(reterr_error, SKALD_EINVALID, "the URL of the collector is not valid");
    if (part_given(parsed, CURLUPART_QUERY) || part_given(parsed, CURLUPART_FRAGMENT))
        return skald_fail(reterr_error, SKALD_EINVALID,
                          "the URL of the collector must not have a query or fragment");
    return SKALD_OK;
}

skald_err ski_otlp_url(const char *url, skald_buf *buf, skald_error *reterr_error)
{
    CURLU *parsed = curl_url();
    skald_str text = skald_str_of(url);
    skald_err err;

    if (!parsed) return skald_fail(reterr_error, SKALD_ENOMEM, "out of memory");
    err = url_check(parsed, url, reterr_error);
    curl_url_cleanup(parsed);
    if (err) return err;
    while (text.len && text.ptr[text.len - 1] == '/') text.len--;
    SKALD_TRY(skald_buf_put(buf, text));
    if (!ends_with(text, SKALD_STR(TRACES_PATH)))
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(TRACES_PATH)));
    return ski_buf_byte(buf, 0);
}

static bool name_allowed(skald_str name)
{
    static const char *const ours[] = {"content-type",      "content-length", "content-encoding",
                                       "transfer-encoding", "host",           "connection"};

    if (!name.len) return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.ptr[i];
        if (byte <= ' ' || byte >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", byte)) return false;
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (ski_str_equal_nocase(name, skald_str_of(ours[i]))) return false;
    }
    return true;
}

static bool value_allowed(skald_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char byte = (unsigned char)value.ptr[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) return false;
    }
    return value.len > 0;
}

static skald_err header_add(skald_str line, unsigned number,
                            bool (*add)(void *context, const char *line), void *context,
                            skald_error *reterr_error)
{
    skald_buf buf = {.bytes_max = SKI_OTLP_HEADERS_BYTES_MAX};
    skald_str value;
    skald_str name = ski_str_cut(line, ':', &value);
    skald_err err;

    value = ski_str_trim(value);
    if (!value.ptr || !name_allowed(name) || !value_allowed(value))
        return skald_fail(reterr_error, SKALD_EINVALID,
                          "line %u of the headers file must be 'Name: value', and none of the "
                          "headers that say how the body is sent",
                          number);
    err = ski_buf_print(&buf, "%.*s: %.*s", SKALD_FMT(name), SKALD_FMT(value));
    if (!err && !add(context, buf.ptr)) err = SKALD_ENOMEM;
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_otlp_headers(skald_str text, bool (*add)(void *context, const char *line),
                           void *context, skald_error *reterr_error)
{
    unsigned count = 0;

    for (unsigned number = 1; text.len; number++) {
        skald_str rest;
        skald_str line = ski_str_trim(ski_str_cut(text, '\n', &rest));

        if (line.len && line.ptr[line.len - 1] == '\r') line = ski_str(line.ptr, line.len - 1);
        text = rest;
        if (!line.len || line.ptr[0] == '#') continue;
        if (++count > SKI_OTLP_HEADERS_MAX)
            return skald_fail(reterr_error, SKALD_EINVALID,
                              "the headers file has more than %d headers", SKI_OTLP_HEADERS_MAX);
        SKALD_TRY(header_add(line, number, add, context, reterr_error));
    }
    return SKALD_OK;
}
