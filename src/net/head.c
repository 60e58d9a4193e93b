// SPDX-License-Identifier: Apache-2.0
// The head of a request: what our lines must look like before llhttp sees them, and what must hold
// after.
//
// llhttp reads the header fields, their characters, Connection and the length of the body. Left to
// us, and refused here: a header folded over lines, a lone CR or LF, versions but HTTP/1.0 and 1.1,
// other protocols, no Host or two, any transfer coding but chunked, a target that says another host
// than Host.
#include "net/codec.h"

#include "base/str.h"
#include <llhttp.h>
#include <stdlib.h>
#include <string.h>

// llhttp_reading collects what llhttp finds in one head.
typedef struct llhttp_reading {
    ski_http_header *headers;
    size_t header_count, header_max;
    uint64_t content_length;
    uint16_t flags;
    bool complete;
} llhttp_reading;

bool ski_http_token(skald_str text)
{
    // What a token may have: digits, letters and !#$%&'*+-.^_`|~
    static const bool allowed[256] = {
        // clang-format off
        [' '] = 0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0,
        ['0'] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0,
        ['@'] = 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        ['P'] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1,
        ['`'] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        ['p'] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0,
        // clang-format on
    };
    bool all = text.len > 0;

    for (size_t i = 0; i < text.len; i++) all &= allowed[(unsigned char)text.ptr[i]];
    return all;
}

static skald_err fail_as(skald_error *error, skald_err err, const char *code, const char *text)
{
    (void)skald_fail(error, err, "%s", text);
    memcpy(error->code, code, strlen(code) + 1);
    return err;
}

// check_version: the request line ends in HTTP/1.1 or HTTP/1.0, and nothing else.
static skald_err check_version(skald_str version, skald_error *error)
{
    if (skald_str_equal(version, SKALD_STR("HTTP/1.1"))) return SKALD_OK;
    if (skald_str_equal(version, SKALD_STR("HTTP/1.0"))) return SKALD_OK;
    if (version.len == 8 && memcmp(version.ptr, "HTTP/", 5) == 0 && version.ptr[6] == '.') {
        return fail_as(error, SKALD_EUNSUPPORTED, "HTTP_VERSION_NOT_SUPPORTED",
                       "this server speaks HTTP/1.1 and HTTP/1.0");
    }
    return skald_fail(error, SKALD_EINVALID,
                      "the request line must end in HTTP/1.1 (or HTTP/1.0) and one CR LF");
}

// request_parts splits "METHOD target HTTP/1.1": exactly one space between them.
static skald_err request_parts(skald_str line, skald_str *ret_method, skald_str *ret_target,
                               skald_str *ret_version, skald_error *error)
{
    skald_str behind_method, version;
    skald_str method = ski_str_cut(line, ' ', &behind_method);
    skald_str target = ski_str_cut(behind_method, ' ', &version);

    if (version.ptr == NULL || target.len == 0) {
        return skald_fail(error, SKALD_EINVALID,
                          "the request line must be a method, a target and "
                          "HTTP/1.1, with one space between them");
    }
    *ret_method = method;
    *ret_target = target;
    *ret_version = version;
    return SKALD_OK;
}

static skald_err check_request_line(const ski_codec *codec, skald_str line, skald_error *error)
{
    skald_str method, target, version;

    SKALD_TRY(request_parts(line, &method, &target, &version, error));
    SKALD_TRY(check_version(version, error));
    if (!ski_http_token(method)) {
        return skald_fail(error, SKALD_EINVALID,
                          "the method has characters that no method may have");
    }
    if (target.len > codec->limits->uri_bytes_max) {
        (void)skald_fail(error, SKALD_ETOOBIG, "the target is longer than %u bytes",
                         codec->limits->uri_bytes_max);
        memcpy(error->code, "URI_TOO_LONG", sizeof "URI_TOO_LONG");
        return SKALD_ETOOBIG;
    }
    for (size_t i = 0; i < target.len; i++) {
        unsigned char byte = (unsigned char)target.ptr[i];
        if (byte <= ' ' || byte >= 0x7f || byte == '#') {
            return skald_fail(error, SKALD_EINVALID,
                              "byte %zu of the target (0x%02x) must be "
                              "percent-encoded",
                              i + 1, byte);
        }
    }
    if (skald_str_equal(method, SKALD_STR("CONNECT"))) {
        return fail_as(error, SKALD_EUNSUPPORTED, "NOT_IMPLEMENTED", "this server is no proxy");
    }
    return SKALD_OK;
}

static skald_err check_header_line(const ski_codec *codec, skald_str line, skald_error *error)
{
    if (line.len == 0) return SKALD_OK; // the end of the head
    if (codec->lines > codec->limits->headers_max) {
        (void)skald_fail(error, SKALD_ETOOBIG, "there are more than %u headers",
                         codec->limits->headers_max);
        memcpy(error->code, "HEADERS_TOO_LARGE", sizeof "HEADERS_TOO_LARGE");
        return SKALD_ETOOBIG;
    }
    if (*line.ptr == ' ' || *line.ptr == '\t') {
        return skald_fail(error, SKALD_EINVALID,
                          "header line %u begins with a space: a header may "
                          "not be folded over lines",
                          codec->lines);
    }
    if (*line.ptr == ':') {
        return skald_fail(error, SKALD_EINVALID, "header line %u has no name", codec->lines);
    }
    return SKALD_OK;
}

skald_err ski_head_check_line(const ski_codec *codec, skald_str line, skald_error *error)
{
    if (line.len < 2 || line.ptr[line.len - 2] != '\r') {
        return skald_fail(error, SKALD_EINVALID, "line %u ends in LF without CR", codec->lines + 1);
    }
    skald_str text = {line.ptr, line.len - 2};
    if (memchr(text.ptr, '\r', text.len) != NULL) {
        return skald_fail(error, SKALD_EINVALID, "line %u has a CR in it", codec->lines + 1);
    }
    if (codec->head_begin == 0) return check_request_line(codec, text, error);
    return check_header_line(codec, text, error);
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
    llhttp_reading *reading = parser->data;

    if (reading->header_count == reading->header_max) return HPE_USER;
    reading->headers[reading->header_count++] =
        (ski_http_header){.name = {at, len}, .value = {"", 0}};
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    llhttp_reading *reading = parser->data;

    if (reading->header_count == 0) return HPE_USER;
    reading->headers[reading->header_count - 1].value = ski_str_trim(ski_str(at, len));
    return 0;
}

// on_headers keeps what is known of the body; 1: llhttp shall not read it.
static int on_headers(llhttp_t *parser)
{
    llhttp_reading *reading = parser->data;

    reading->content_length = parser->content_length;
    reading->flags = parser->flags;
    reading->complete = true;
    return 1;
}

static int on_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t llhttp_table = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_message_complete = on_complete,
};

// llhttp_reads runs llhttp over the whole head; both must find the same end and the same number of
// headers.
static skald_err llhttp_reads(const ski_codec *codec, llhttp_reading *reading, skald_error *error)
{
    skald_str head = {codec->gather->ptr, codec->gather->len};
    llhttp_t parser;

    llhttp_init(&parser, HTTP_REQUEST, &llhttp_table);
    parser.data = reading;
    llhttp_errno_t code = llhttp_execute(&parser, head.ptr, head.len);
    if (code == HPE_INVALID_METHOD ||
        (code == HPE_INVALID_CONSTANT && reading->header_count == 0)) {
        return fail_as(error, SKALD_EUNSUPPORTED, "NOT_IMPLEMENTED",
                       "nobody here knows this method");
    }
    bool agreed = code == HPE_PAUSED && reading->complete &&
                  llhttp_get_error_pos(&parser) == head.ptr + head.len &&
                  reading->header_count == codec->lines;
    if (!agreed) {
        const char *reason = llhttp_get_error_reason(&parser);
        return skald_fail(error, SKALD_EINVALID, "header %zu: %s", reading->header_count,
                          code != HPE_PAUSED && reason ? reason : "it cannot be read");
    }
    return SKALD_OK;
}

// valid_host: an authority without user, as far as its characters go. Empty is allowed.
static bool valid_host(skald_str host)
{
    for (size_t i = 0; i < host.len; i++) {
        char byte = host.ptr[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '.';
        if (letter || (byte >= '0' && byte <= '9')) continue;
        if (byte == '\0' || strchr("-_~%:[]", byte) == NULL) return false;
    }
    return true;
}

typedef struct known_headers {
    skald_str host, coding, expect;
    size_t hosts, codings;
} known_headers;

static known_headers headers_known(const llhttp_reading *reading)
{
    known_headers known = {0};

    for (size_t i = 0; i < reading->header_count; i++) {
        const ski_http_header *header = &reading->headers[i];
        if (header->name.len == 4 && ski_str_equal_nocase(header->name, SKALD_STR("host"))) {
            known.host = header->value;
            known.hosts++;
        } else if (header->name.len == 17 &&
                   ski_str_equal_nocase(header->name, SKALD_STR("transfer-encoding"))) {
            known.coding = header->value;
            known.codings++;
        } else if (header->name.len == 6 &&
                   ski_str_equal_nocase(header->name, SKALD_STR("expect"))) {
            bool first = known.expect.ptr == NULL;
            known.expect = first ? header->value : SKALD_STR("two of them");
        }
    }
    return known;
}

static skald_err check_framing(const llhttp_reading *reading, const known_headers *known,
                               unsigned minor, skald_error *error)
{
    if (known->hosts > 1 || (known->hosts == 0 && minor == 1)) {
        return skald_fail_at(error, SKALD_EINVALID, "Host",
                             "an HTTP/1.1 request has exactly one Host "
                             "header; this one has %zu",
                             known->hosts);
    }
    if (!valid_host(known->host)) {
        return skald_fail_at(error, SKALD_EINVALID, "Host",
                             "Host must be a name or an address, "
                             "perhaps with a port");
    }
    if (known->codings == 0) return SKALD_OK;
    if (known->codings > 1 || minor == 0 || (reading->flags & F_CONTENT_LENGTH)) {
        return skald_fail_at(error, SKALD_EINVALID, "Transfer-Encoding",
                             "Transfer-Encoding may be given once, in HTTP/1.1, without "
                             "Content-Length");
    }
    if (!ski_str_equal_nocase(known->coding, SKALD_STR("chunked"))) {
        (void)skald_fail_at(error, SKALD_EUNSUPPORTED, "Transfer-Encoding",
                            "the only transfer coding known here is chunked");
        memcpy(error->code, "NOT_IMPLEMENTED", sizeof "NOT_IMPLEMENTED");
        return SKALD_EUNSUPPORTED;
    }
    return SKALD_OK;
}

// target_read takes the forms of RFC 9112 3.2: /path?query, http://host/path?query, and * with
// OPTIONS.
static skald_err target_read(skald_str target, skald_str host, ski_codec_head *head,
                             skald_error *error)
{
    skald_str query;
    skald_str path = ski_str_cut(target, '?', &query);

    if (path.len > 0 && *path.ptr != '/' && !skald_str_equal(target, SKALD_STR("*"))) {
        size_t scheme = ski_str_equal_nocase(ski_str(path.ptr, path.len < 7 ? path.len : 7),
                                             SKALD_STR("http://"))
                            ? 7
                            : 8;
        if (scheme == 8 && !ski_str_equal_nocase(ski_str(path.ptr, path.len < 8 ? path.len : 8),
                                                 SKALD_STR("https://"))) {
            path.len = 0;
        } else {
            skald_str behind = {path.ptr + scheme, path.len - scheme};
            const char *slash = memchr(behind.ptr, '/', behind.len);
            size_t authority = slash ? (size_t)(slash - behind.ptr) : behind.len;
            if (authority == 0 || !ski_str_equal_nocase(ski_str(behind.ptr, authority), host)) {
                return skald_fail_at(error, SKALD_EINVALID, "Host",
                                     "the target names another host than the Host header");
            }
            path = slash ? ski_str(slash, behind.len - authority) : SKALD_STR("/");
        }
    }
    bool star = skald_str_equal(path, SKALD_STR("*"));
    if (path.len == 0 || (star && !skald_str_equal(head->method, SKALD_STR("OPTIONS")))) {
        return skald_fail(error, SKALD_EINVALID,
                          "the target must begin with '/' or be a whole URL");
    }
    head->path = path;
    head->query = query;
    return SKALD_OK;
}

skald_err ski_head_read(const ski_codec *codec, ski_http_header *headers, ski_codec_head *ret_head,
                        skald_error *error)
{
    llhttp_reading reading = {.headers = headers, .header_max = codec->limits->headers_max};
    ski_codec_head head = {.headers = headers};
    skald_str line = {codec->gather->ptr, codec->head_begin - 2};
    skald_str target, version;

    SKALD_TRY(request_parts(line, &head.method, &target, &version, error));
    SKALD_TRY(llhttp_reads(codec, &reading, error));
    head.minor = version.ptr[7] == '1' ? 1 : 0;
    known_headers known = headers_known(&reading);
    SKALD_TRY(check_framing(&reading, &known, head.minor, error));
    SKALD_TRY(target_read(target, known.host, &head, error));

    head.header_count = reading.header_count;
    head.chunked = known.codings == 1;
    head.content_length = head.chunked ? 0 : reading.content_length;
    head.keep_alive = !(reading.flags & F_CONNECTION_CLOSE) &&
                      (head.minor == 1 || (reading.flags & F_CONNECTION_KEEP_ALIVE));
    if (known.expect.ptr != NULL && head.minor == 1) {
        head.expect_continue = ski_str_equal_nocase(known.expect, SKALD_STR("100-continue"));
        head.expect_other = !head.expect_continue;
    }
    *ret_head = head;
    return SKALD_OK;
}
