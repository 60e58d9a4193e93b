// SPDX-License-Identifier: Apache-2.0
// GET /docs: the table of routes as a page for people. It is whole without JavaScript; a script of
// our own adds a search and the schemas. Nothing is asked of anybody else.
#include "api/api_documents.h"
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/str.h"

#include <string.h>

static skald_err put(skald_buf *buf, const char *text)
{
    return skald_buf_put(buf, skald_str_of(text));
}

// put_escaped writes text between tags or in quotes.
static skald_err put_escaped(skald_buf *buf, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<': SKALD_TRY(put(buf, "&lt;")); break;
        case '&': SKALD_TRY(put(buf, "&amp;")); break;
        case '"': SKALD_TRY(put(buf, "&quot;")); break;
        default: SKALD_TRY(ski_buf_byte(buf, *text));
        }
    }
    return SKALD_OK;
}

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>skald: the HTTP API</title>\n"
    "<link rel=\"stylesheet\" href=\"/docs/docs.css\">\n<script src=\"/docs/docs.js\" defer>"
    "</script>\n<h1>The HTTP API of skald</h1>\n<p>Also as <a href=\"/openapi.json\">OpenAPI 3.1"
    "</a>, and the events as <a href=\"/asyncapi.json\">AsyncAPI 3.0</a>.</p>\n"
    "<p>One thing is <code>{\"data\": {…}}</code>, a list <code>{\"data\": […], \"pagination\": "
    "{\"limit\", \"nextCursor\"}}</code>. Anything that is not known is refused and named. An "
    "error is <code>application/problem+json</code> with a <code>code</code>. With a key, send "
    "<code>Authorization: Bearer …</code>. Every POST takes <code>Idempotency-Key</code>: sent "
    "again, it is answered with the first reply and does nothing twice. This is version 2.0.0 of "
    "the API; <code>/api/v1/…</code>, <code>X-API-Version: 1</code> or <code>Accept: "
    "application/vnd.skald.v1+json</code> ask for the deprecated one.</p>\n";

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
