// SPDX-License-Identifier: Apache-2.0
// GET /docs: the table of routes as a page for people. It is whole without JavaScript; a script of
// our own adds a search and the schemas. Nothing is asked of anybody else.
#include "api/api_documents.h"
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <string.h>

static skald_err put(skald_buf *buf, const char *text)
{
    return skald_buf_put(buf, skald_str_of(text));
}

// put_text writes text between tags or in quotes.
static skald_err put_text(skald_buf *buf, skald_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '<': SKALD_TRY(put(buf, "&lt;")); break;
        case '&': SKALD_TRY(put(buf, "&amp;")); break;
        case '"': SKALD_TRY(put(buf, "&quot;")); break;
        default: SKALD_TRY(ski_buf_byte(buf, text.ptr[i]));
        }
    }
    return SKALD_OK;
}

static skald_err put_escaped(skald_buf *buf, const char *text)
{
    return put_text(buf, skald_str_of(text));
}

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>skald: the HTTP API</title>\n"
    "<link rel=\"stylesheet\" href=\"/docs/docs.css\">\n<script src=\"/docs/docs.js\" defer>"
    "</script>\n<h1>The HTTP API of skald</h1>\n<p>Also as <a href=\"/openapi.json\">OpenAPI 3.1"
    "</a>, and the events as <a href=\"/asyncapi.json\">AsyncAPI 3.0</a>.</p>\n"
    "<p>Publish, read, follow; then let workers take deliveries and acknowledge them:</p>\n"
    "<pre id=\"begin\">\n"
    "SKALD=localhost:8000 JSON='Content-Type: application/json'\n"
    "curl -s $SKALD/api/events -H \"$JSON\" "
    "-d '{\"type\":\"order.created\",\"stream\":\"order-1\",\"data\":{\"total\":99}}'\n"
    "curl -s \"$SKALD/api/events?type=order.*\"\n"
    "curl -sN --max-time 2 \"$SKALD/api/events/stream?type=order.*&amp;after=0\"\n"
    "curl -s $SKALD/api/subscriptions -H \"$JSON\" "
    "-d '{\"name\":\"shipping\",\"filter\":{\"types\":[\"order.*\"]}}'\n"
    "curl -s \"$SKALD/api/subscriptions/shipping/deliveries?waitMs=1000\"\n"
    "curl -s $SKALD/api/subscriptions/shipping/ack -H \"$JSON\" "
    "-d '{\"deliveries\":[\"ID\"]}' # a deliveryId of the answer before\n"
    "</pre>\n"
    "<p>Without keys the server answers this machine only. From the first key on every request "
    "needs one: <code>-H \"Authorization: Bearer $KEY\"</code>.</p>\n"
    "<p>One thing is <code>{\"data\": {…}}</code>, a list <code>{\"data\": […], \"pagination\": "
    "{\"limit\", \"nextCursor\"}}</code>. Times are RFC 3339 in UTC. Anything that is not known, "
    "a member or a parameter, is refused and named.</p>\n";

// What any request may say in its headers.
static const char headers_table[] =
    "<h2>headers</h2>\n<table>\n"
    "<tr><td><code>Idempotency-Key</code><td>Of every POST but that of keys: 1 to 255 bytes. Sent "
    "again within a day it is answered with the first reply and does nothing twice; 422 when the "
    "request is another one, 409 while the first is not answered\n"
    "<tr><td><code>If-Match</code><td>Where a route takes it: the ETag of the stream, so that "
    "nobody else has written meanwhile; else 412\n"
    "<tr><td><code>If-None-Match</code><td>An ETag: 304 if nothing has changed\n"
    "<tr><td><code>X-Min-Position</code><td>Of reads: the X-Event-Position of a write, which is "
    "then seen\n"
    "<tr><td><code>X-Correlation-ID</code>, <code>traceparent</code><td>Given to the events, and "
    "back with the answer\n"
    "<tr><td><code>X-API-Version</code><td>2.0.0, this one, or 1.0.0, the deprecated one; also as "
    "<code>/api/v1/…</code> or <code>Accept: application/vnd.skald.v1+json</code>\n"
    "<tr><td><code>Content-Encoding</code>, <code>Accept-Encoding</code><td>gzip, zstd\n"
    "</table>\n";

// What may be wrong, beside what a route says of itself.
static const char errors_table[] =
    "<h2>errors</h2>\n<p>An error is <code>application/problem+json</code>: <code>detail</code> "
    "says what, where and what to do, <code>code</code> is for programs, <code>errors[].field"
    "</code> says where.</p>\n<table>\n"
    "<tr><td>400<td><code>VALIDATION_ERROR</code><td>the request is wrong\n"
    "<tr><td>401<td><code>AUTHENTICATION_ERROR</code><td>no key, or none that is good\n"
    "<tr><td>403<td><code>AUTHORIZATION_ERROR</code><td>the key may not do this\n"
    "<tr><td>404<td><code>NOT_FOUND</code><td>no such thing, or another tenant's\n"
    "<tr><td>405, 406, 415<td><code>METHOD_NOT_ALLOWED NOT_ACCEPTABLE UNSUPPORTED_MEDIA_TYPE"
    "</code><td>another method, Accept, Content-Type is due\n"
    "<tr><td>409<td><code>CONCURRENCY_CONFLICT DUPLICATE INVALID_STATE</code><td>the stream is "
    "elsewhere; the id has other content; not now\n"
    "<tr><td>408, 413, 414, 431<td><code>TIMEOUT PAYLOAD_TOO_LARGE URI_TOO_LONG HEADERS_TOO_LARGE"
    "</code><td>a limit is passed\n"
    "<tr><td>412<td><code>PRECONDITION_FAILED</code><td>the stream is not where If-Match says; "
    "actualVersion says where it is\n"
    "<tr><td>422<td><code>SCHEMA_VIOLATION IDEMPOTENCY_KEY_REUSED</code><td>a schema refuses the "
    "data; another request had the key\n"
    "<tr><td>429<td><code>RATE_LIMITED</code><td>Retry-After says when again\n"
    "<tr><td>501<td><code>NOT_IMPLEMENTED</code><td>promised, and not there yet; or the store or "
    "the program that serves cannot do it\n"
    "<tr><td>503<td><code>READ_ONLY UNAVAILABLE</code><td>the disk is full; too busy, or "
    "stopping: try again\n</table>\n";

static const char *const kinds[] = {"text", "number", "time", "word", "number or word"};

static skald_err put_parameter(skald_buf *buf, const ski_parameter *at)
{
    SKALD_TRY(ski_buf_print(buf, "<tr><td><code>%s</code><td>%s%s<td>", at->name, kinds[at->kind],
                            at->repeats ? ", repeatable" : ""));
    SKALD_TRY(put_escaped(buf, at->about));
    if (at->words) SKALD_TRY(ski_buf_print(buf, ": %s", at->words));
    if (at->kind == SKI_PARAMETER_NUMBER && at->max <= INT64_MAX)
        SKALD_TRY(ski_buf_print(buf, ", %llu to %llu", (unsigned long long)at->min,
                                (unsigned long long)at->max));
    if (at->standard) SKALD_TRY(ski_buf_print(buf, " (%s)", at->standard));
    return put(buf, "\n");
}

static skald_err put_schema(skald_buf *buf, const char *what, const char *component)
{
    if (!component) return SKALD_OK;
    return ski_buf_print(buf, "<p>%s: <a href=\"#schema-%s\">%s</a>.\n", what, component,
                         component);
}

// example_of is the first example of a component; not given: it has none.
static skald_str example_of(const char *component)
{
    const skald_str steps[] = {skald_str_of(component), SKALD_STR("examples")};
    skald_str at = ski_document_find("schemas.json");
    ski_json_walk walk;
    ski_json_item item;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        walk = (ski_json_walk){.rest = at};
        at = (skald_str){0};
        while (!at.ptr && ski_json_next(&walk, &item))
            if (skald_str_equal(item.key, steps[i])) at = item.value;
        if (!at.ptr) return at;
    }
    walk = (ski_json_walk){.rest = at};
    return ski_json_next(&walk, &item) ? item.value : (skald_str){0};
}

// put_path: what stands for something is written large.
static skald_err put_path(skald_buf *buf, const char *path)
{
    bool named = false;

    for (; *path; path++) {
        char byte = *path;

        named = byte == '{' || (named && byte != '}');
        if (byte == '{' || byte == '}') continue;
        if (named && byte >= 'a' && byte <= 'z') byte = (char)(byte - 'a' + 'A');
        SKALD_TRY(ski_buf_byte(buf, byte));
    }
    return SKALD_OK;
}

// put_example shows the request as a command.
static skald_err put_example(skald_buf *buf, const ski_route *route)
{
    skald_str body = route->takes ? example_of(route->takes) : (skald_str){0};
    bool plain = strcmp(route->method, body.len ? "POST" : "GET") == 0;

    SKALD_TRY(put(buf, route->reply_media & SKI_SSE ? "<pre>curl -sN " : "<pre>curl -s "));
    if (!plain) SKALD_TRY(ski_buf_print(buf, "-X %s ", route->method));
    SKALD_TRY(put(buf, "$SKALD"));
    SKALD_TRY(put_path(buf, route->path));
    if (body.len) {
        SKALD_TRY(put(buf, " -H &quot;$JSON&quot; -d '"));
        SKALD_TRY(put_text(buf, body));
        SKALD_TRY(ski_buf_byte(buf, '\''));
    }
    return put(buf, "</pre>\n");
}

// put_forms: which media types it takes and gives, where they are not JSON alone.
static skald_err put_forms(skald_buf *buf, const ski_route *route)
{
    const uint16_t media[] = {route->body_media, route->reply_media};

    for (size_t way = 0; way < 2; way++) {
        const char *before =
            way ? "<p>Gives, as Accept says: " : "<p>Takes, as Content-Type says: ";

        if (!media[way] || media[way] & SKI_ANY) continue;
        for (unsigned form = 1; form < SKI_ANY; form <<= 1) {
            if (!(media[way] & form)) continue;
            SKALD_TRY(ski_buf_print(buf, "%s<code>%s</code>", before, ski_form_name(form)));
            before = ", ";
        }
        SKALD_TRY(put(buf, "\n"));
    }
    if (route->matched) SKALD_TRY(put(buf, "<p>Takes <code>If-Match</code>.\n"));
    if (route->positioned) SKALD_TRY(put(buf, "<p>Takes <code>X-Min-Position</code>.\n"));
    return SKALD_OK;
}

static skald_err put_route(skald_buf *buf, const ski_route *route)
{
    const char *names = route->query;
    skald_str name;

    SKALD_TRY(ski_buf_print(buf, "<details id=\"%s\"%s><summary><b>%s</b> <code>%s</code> — ",
                            route->name, route->handle == ski_not_yet ? " class=\"later\"" : "",
                            route->method, route->path));
    SKALD_TRY(put_escaped(buf, route->summary));
    SKALD_TRY(put(buf, "</summary>\n"));
    if (route->about) {
        SKALD_TRY(put(buf, "<p>"));
        SKALD_TRY(put_escaped(buf, route->about));
        SKALD_TRY(put(buf, "\n"));
    }
    if (route->handle == ski_not_yet) SKALD_TRY(put(buf, "<p>Not there yet: 501.\n"));
    if (route->query) SKALD_TRY(put(buf, "<table>\n"));
    while (ski_words_next(&names, &name)) SKALD_TRY(put_parameter(buf, ski_parameter_find(name)));
    if (route->query) SKALD_TRY(put(buf, "</table>\n"));
    SKALD_TRY(put_schema(buf, "Takes", route->takes));
    SKALD_TRY(put_schema(buf, "Gives", route->gives));
    SKALD_TRY(put_forms(buf, route));
    if (route->handle != ski_not_yet) SKALD_TRY(put_example(buf, route));
    SKALD_TRY(ski_buf_print(buf, "<p>Answers %u", route->status ? route->status : 200));
    if (route->also) SKALD_TRY(ski_buf_print(buf, " or %u", route->also));
    if (route->errors) SKALD_TRY(ski_buf_print(buf, "; fails with %s", route->errors));
    return ski_buf_print(buf, ". Needs %s.\n</details>\n",
                         route->scope == SKI_NEEDS_NOTHING ? "no key"
                                                           : ski_scope_name(route->scope));
}

// section_of is what stands behind /api/, up to the next slash.
static skald_str section_of(const ski_route *route)
{
    skald_str rest, path = skald_str_of(route->path), prefix = SKALD_STR("/api/");

    if (!ski_str_begins(path, prefix)) return SKALD_STR("operations");
    return ski_str_cut(ski_str(path.ptr + prefix.len, path.len - prefix.len), '/', &rest);
}

skald_err ski_docs_put(skald_buf *buf)
{
    skald_str section = {0};

    SKALD_TRY(put(buf, head));
    for (size_t i = 0; i < ski_route_count; i++) {
        skald_str next = section_of(&ski_routes[i]);
        if (!skald_str_equal(next, section))
            SKALD_TRY(ski_buf_print(buf, "<h2>%.*s</h2>\n", SKALD_FMT(next)));
        section = next;
        SKALD_TRY(put_route(buf, &ski_routes[i]));
    }
    SKALD_TRY(put(buf, headers_table));
    SKALD_TRY(put(buf, errors_table));
    return put(buf, "<h2>schemas</h2>\n<div id=\"schemas\"><noscript>They are in <a "
                    "href=\"/openapi.json\">/openapi.json</a>, under components.</noscript></div>"
                    "\n</html>\n");
}

static skald_err reply_page(ski_http_request *request, const char *type, skald_str text)
{
    static const ski_http_header headers[] = {
        {{"Content-Security-Policy", 23}, {"default-src 'self'; frame-ancestors 'none'", 42}},
        {{"X-Content-Type-Options", 22}, {"nosniff", 7}},
    };

    return ski_reply_send(request, &(ski_http_reply){
                                       .status = 200,
                                       .content_type = type,
                                       .body = text,
                                       .headers = headers,
                                       .header_count = sizeof headers / sizeof *headers,
                                   });
}

skald_err ski_get_docs(ski_http_request *request, skald_error *reterr_error)
{
    skald_buf buf = ski_reply_buf();
    skald_err err = ski_docs_put(&buf);

    (void)reterr_error;
    if (!err) err = reply_page(request, "text/html; charset=utf-8", ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}

skald_err ski_get_docs_file(ski_http_request *request, skald_error *reterr_error)
{
    skald_str name = request->parameters[0];

    if (skald_str_equal(name, SKALD_STR("docs.css")))
        return reply_page(request, "text/css; charset=utf-8", ski_document_find("docs.css"));
    if (skald_str_equal(name, SKALD_STR("docs.js")))
        return reply_page(request, "text/javascript; charset=utf-8", ski_document_find("docs.js"));
    return skald_fail(reterr_error, SKALD_ENOTFOUND, "there is no such file");
}

skald_err ski_not_yet(ski_http_request *request, skald_error *reterr_error)
{
    (void)request;
    return skald_fail(reterr_error, SKALD_EUNSUPPORTED, "this is not there yet");
}
