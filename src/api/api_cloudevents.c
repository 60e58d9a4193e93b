// SPDX-License-Identifier: Apache-2.0
// CloudEvents in binary mode (HTTP protocol binding 1.0, 3.1): each attribute is a header ce-NAME,
// the body is the data alone. It is turned into the structured form, which is read as ever: of a
// media type that is not JSON's a body is its characters, or, where it is no text, base64.
//
// Invariants:
//   1. A value is unquoted and percent-decoded once, and must then be UTF-8. A percent sign that
//      begins no escape is an error, not a character: a sender that does not encode would be
//      misread at the next one that happens to look like an escape.
//   2. What the structured form would refuse is refused in the same words.
#include "api/api_cloudevents.h"
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

enum { attribute_name_max = 64 };

skald_err ski_cloudevent_value(skald_str value, skald_arena *arena, skald_str *ret_text)
{
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"') {
        char *plain = skald_arena_get(arena, value.len);
        size_t len = 0;
        if (!plain) return SKALD_ENOMEM;
        for (size_t i = 1; i + 1 < value.len; i++) {
            if (value.ptr[i] == '\\' && i + 2 < value.len) i++;
            plain[len++] = value.ptr[i];
        }
        value = ski_str(plain, len);
    }
    return ski_http_decode(value, false, arena, ret_text);
}

static bool type_ends(skald_str type, skald_str suffix)
{
    return type.len > suffix.len &&
           ski_str_equal_nocase(ski_str(type.ptr + type.len - suffix.len, suffix.len), suffix);
}

// is_json: none said is JSON, as the structured form has it.
static bool is_json(skald_str type)
{
    skald_str rest;

    type = ski_str_trim(ski_str_cut(type, ';', &rest));
    return !type.len || ski_str_equal_nocase(type, SKALD_STR("application/json")) ||
           type_ends(type, SKALD_STR("+json"));
}

// is_text: its bytes are characters, if the type says so and they are.
static bool is_text(skald_str type, skald_str body)
{
    skald_str rest, prefix = SKALD_STR("text/");

    type = ski_str_trim(ski_str_cut(type, ';', &rest));
    bool said =
        (type.len > prefix.len && ski_str_equal_nocase(ski_str(type.ptr, prefix.len), prefix)) ||
        type_ends(type, SKALD_STR("/xml")) || type_ends(type, SKALD_STR("+xml"));
    return said && ski_str_utf8(body) && !memchr(body.ptr, 0, body.len);
}

// put_body writes the body as the member of the event that it is.
static skald_err put_body(ski_http_request *request, skald_str type, skald_buf *buf)
{
    skald_str body = request->body;

    if (is_json(type)) {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"data\":")));
        return skald_buf_put(buf, body);
    }
    if (is_text(type, body)) {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"data\":")));
        return ski_json_put_string(buf, body);
    }
    size_t size = (body.len + 2) / 3 * 4 + 1;
    unsigned char *text = skald_arena_get(request->scratch, size);
    if (!text) return SKALD_ENOMEM;
    int len = EVP_EncodeBlock(text, (const unsigned char *)body.ptr, (int)body.len);
    return ski_buf_print(buf, ",\"data_base64\":\"%.*s\"", len, (const char *)text);
}

// put_value: in a header everything is text; the two that are no texts in JSON become what they
// are.
static skald_err put_value(skald_buf *buf, skald_str name, skald_str text)
{
    bool version = skald_str_equal(name, SKALD_STR("dataversion"));
    bool flag = skald_str_equal(name, SKALD_STR("persistent"));
    uint64_t number = 0;

    if (version && !ski_str_u64(text, &number)) return ski_buf_u64(buf, number);
    if (flag &&
        (skald_str_equal(text, SKALD_STR("true")) || skald_str_equal(text, SKALD_STR("false"))))
        return skald_buf_put(buf, text);
    return ski_json_put_string(buf, text);
}

static skald_err put_attribute(ski_http_request *request, const ski_http_header *header,
                               skald_buf *buf, skald_error *reterr_error)
{
    char name[attribute_name_max];
    size_t len = header->name.len - 3;
    skald_str text;

    if (!len || len > sizeof name)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "ce-",
                             "the name of an attribute has 1 to %d characters", attribute_name_max);
    for (size_t i = 0; i < len; i++) {
        char byte = header->name.ptr[i + 3];
        name[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
    }
    bool plain = len != 4 || memcmp(name, "data", 4) != 0; // the data is the body
    for (size_t i = 0; i < len; i++)
        plain = plain && ((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9'));
    if (!plain)
        return skald_fail_at(reterr_error, SKALD_EINVALID, "ce-",
                             "header ce-%.*s is no attribute: those have letters and digits only, "
                             "and the data is the body",
                             (int)len, name);
    skald_err err = ski_cloudevent_value(header->value, request->scratch, &text);
    if (err == SKALD_EINVALID)
        return skald_fail_at(reterr_error, err, "ce-",
                             "header ce-%.*s has a bad percent escape, %%00, or is not UTF-8",
                             (int)len, name);
    if (err) return err;
    if (buf->len > 1) SKALD_TRY(ski_buf_byte(buf, ','));
    SKALD_TRY(ski_json_put_string(buf, ski_str(name, len)));
    SKALD_TRY(ski_buf_byte(buf, ':'));
    return put_value(buf, ski_str(name, len), text);
}

static skald_err put_event(ski_http_request *request, skald_str type, skald_buf *buf,
                           skald_error *reterr_error)
{
    SKALD_TRY(ski_buf_byte(buf, '{'));
    for (size_t i = 0; i < request->header_count; i++) {
        const ski_http_header *header = &request->headers[i];
        if (header->name.len < 3 ||
            !ski_str_equal_nocase(ski_str(header->name.ptr, 3), SKALD_STR("ce-")))
            continue;
        SKALD_TRY(put_attribute(request, header, buf, reterr_error));
    }
    if (type.len) {
        SKALD_TRY(skald_buf_put(buf, SKALD_STR(",\"datacontenttype\":")));
        SKALD_TRY(ski_json_put_string(buf, type));
    }
    if (request->body.len) SKALD_TRY(put_body(request, type, buf));
    return ski_buf_byte(buf, '}');
}

skald_err ski_cloudevent_structured(ski_http_request *request, skald_str *ret_event,
                                    skald_error *reterr_error)
{
    skald_str type = ski_http_header_get(request, "content-type");
    skald_buf buf = ski_reply_buf();
    skald_err err;

    if (request->body.len > INT_MAX / 2)
        return skald_fail(reterr_error, SKALD_ETOOBIG, "the body is too long to be one event");
    if (request->body.len && is_json(type))
        SKALD_TRY(ski_json_door_check(request->body, true, reterr_error));
    err = put_event(request, type, &buf, reterr_error);
    // The door has seen the data, but not what was put around it; and it wants room behind a text.
    if (!err) err = ski_json_door_check(ski_buf_str(&buf), false, reterr_error);
    if (!err) {
        char *copy = skald_arena_get(request->scratch, buf.len);
        if (copy) memcpy(copy, buf.ptr, buf.len);
        if (copy) *ret_event = ski_str(copy, buf.len);
        if (!copy) err = SKALD_ENOMEM;
    }
    skald_buf_fini(&buf);
    return err;
}
