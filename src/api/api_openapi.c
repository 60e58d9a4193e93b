// SPDX-License-Identifier: Apache-2.0
// GET /openapi.json: the table of routes as OpenAPI 3.1. The schemas are documents/schemas.json as
// it is; the rest is said by the table alone.
#include "api/api_documents.h"
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <string.h>

skald_str ski_document_find(const char *name)
{
    const ski_document *at = ski_documents;

    while (at->name && strcmp(at->name, name) != 0) at++;
    return at->text;
}

static skald_err put(skald_buf *buf, const char *text)
{
    return skald_buf_put(buf, skald_str_of(text));
}

static skald_err put_text(skald_buf *buf, const char *before, const char *text)
{
    SKALD_TRY(put(buf, before));
    return ski_json_put_string(buf, skald_str_of(text));
}

static const char info[] =
    "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"skald\",\"version\":\"2.0.0\",\"summary\":"
    "\"An event platform: publish, read, follow, subscribe.\",\"description\":\"One thing is "
    "{\\\"data\\\": {}}, a list {\\\"data\\\": [], \\\"pagination\\\": {}}. What is not known (a "
    "member, a parameter) is refused and named. An error is application/problem+json with a code. "
    "The version is chosen by the path (/api/v2/events), X-API-Version or Accept "
    "(application/vnd.skald.v2+json); 1.0.0 is deprecated.\",\"license\":{\"name\":\"Apache-2.0\","
    "\"identifier\":\"Apache-2.0\"},\"contact\":{\"name\":\"whoever runs this server\"}},"
    "\"servers\":[{\"url\":\"/\",\"description\":\"this server\"}],"
    "\"security\":[{\"bearer\":[]}],";

static const char components[] =
    "\"components\":{\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\","
    "\"description\":\"An API key, or a JWT. On this machine alone a server may run without.\"}},"
    "\"headers\":{\"Version\":{\"description\":\"The version of the API that answers.\",\"schema\":"
    "{\"type\":\"string\",\"examples\":[\"2.0.0\"]}},\"EventPosition\":{\"description\":\"The last "
    "position that was written.\",\"schema\":{\"type\":\"integer\"}},\"ETag\":{\"description\":"
    "\"What it is now; give it back in If-None-Match or If-Match.\",\"schema\":{\"type\":"
    "\"string\"}}},\"parameters\":{\"Correlation\":{\"name\":\"X-Correlation-ID\",\"in\":"
    "\"header\",\"description\":\"The chain this belongs to; given back.\",\"schema\":{\"type\":"
    "\"string\",\"maxLength\":128}},\"Version\":{\"name\":\"X-API-Version\",\"in\":\"header\","
    "\"description\":\"The version of the API; the major number counts.\",\"schema\":{\"type\":"
    "\"string\",\"examples\":[\"2.0.0\"]}},\"IdempotencyKey\":{\"name\":\"Idempotency-Key\","
    "\"in\":\"header\",\"description\":\"Sent again within a day with the same body, the first "
    "reply is given again and nothing is done twice.\",\"schema\":{\"type\":\"string\","
    "\"minLength\":1,\"maxLength\":255}},\"IfMatch\":{\"name\":\"If-Match\",\"in\":\"header\","
    "\"description\":\"The ETag of the stream: only if it still stands there.\",\"schema\":"
    "{\"type\":\"string\"}},\"IfNoneMatch\":{\"name\":\"If-None-Match\",\"in\":\"header\","
    "\"description\":\"The ETag of what the client has: 304 if it is still so.\",\"schema\":"
    "{\"type\":\"string\"}},\"MinPosition\":{\"name\":\"X-Min-Position\",\"in\":\"header\","
    "\"description\":\"Wait until this position can be read; 503 after two seconds.\",\"schema\":"
    "{\"type\":\"integer\",\"minimum\":0}}},\"schemas\":";

// Tags: what stands behind /api/.

static skald_str tag_of(const ski_route *route)
{
    skald_str rest, path = skald_str_of(route->path), prefix = SKALD_STR("/api/");

    if (!ski_str_begins(path, prefix)) return SKALD_STR("operations");
    return ski_str_cut(ski_str(path.ptr + prefix.len, path.len - prefix.len), '/', &rest);
}

static skald_err put_tags(skald_buf *buf)
{
    bool any = false;

    SKALD_TRY(put(buf, "\"tags\":["));
    for (size_t i = 0; i < ski_route_count; i++) {
        skald_str tag = tag_of(&ski_routes[i]);
        size_t before = 0;
        while (before < i && !skald_str_equal(tag_of(&ski_routes[before]), tag)) before++;
        if (before < i) continue;
        SKALD_TRY(ski_buf_print(buf, "%s{\"name\":\"%.*s\",\"description\":\"%.*s\"}",
                                any ? "," : "", SKALD_FMT(tag), SKALD_FMT(tag)));
        any = true;
    }
    return put(buf, "],");
}

// Parameters.

static skald_err put_kind(skald_buf *buf, const ski_parameter *at)
{
    const char *words = at->words;
    skald_str word;

    if (at->kind == SKI_PARAMETER_NUMBER) {
        SKALD_TRY(ski_buf_print(buf, "{\"type\":\"integer\",\"minimum\":%llu",
                                (unsigned long long)at->min));
        if (at->max <= INT64_MAX)
            SKALD_TRY(ski_buf_print(buf, ",\"maximum\":%llu", (unsigned long long)at->max));
        if (at->standard) SKALD_TRY(ski_buf_print(buf, ",\"default\":%s", at->standard));
        return put(buf, "}");
    }
    if (at->kind == SKI_PARAMETER_TIME)
        return put(buf, "{\"type\":\"string\",\"format\":\"date-time\"}");
    if (at->kind == SKI_PARAMETER_VERSION)
        SKALD_TRY(put(buf, "{\"oneOf\":[{\"type\":\"integer\",\"minimum\":0},"));
    SKALD_TRY(put(buf, "{\"type\":\"string\""));
    for (const char *before = ",\"enum\":["; ski_words_next(&words, &word); before = ",") {
        SKALD_TRY(put(buf, before));
        SKALD_TRY(ski_json_put_string(buf, word));
    }
    if (at->words) SKALD_TRY(put(buf, "]"));
    if (at->words && at->standard && at->kind == SKI_PARAMETER_CHOICE)
        SKALD_TRY(put_text(buf, ",\"default\":", at->standard));
    return put(buf, at->kind == SKI_PARAMETER_VERSION ? "}]}" : "}");
}

static skald_err put_query(skald_buf *buf, const ski_route *route)
{
    const char *names = route->query;
    skald_str name;

    while (ski_words_next(&names, &name)) {
        const ski_parameter *at = ski_parameter_find(name);
        SKALD_TRY(put_text(buf, ",{\"name\":", at->name));
        SKALD_TRY(put_text(buf, ",\"in\":\"query\",\"description\":", at->about));
        SKALD_TRY(
            put(buf, at->repeats ? ",\"schema\":{\"type\":\"array\",\"items\":" : ",\"schema\":"));
        SKALD_TRY(put_kind(buf, at));
        SKALD_TRY(put(buf, at->repeats ? "}}" : "}"));
    }
    return SKALD_OK;
}

// put_segments: the {…} of the path.
static skald_err put_segments(skald_buf *buf, const char *path)
{
    for (const char *at = strchr(path, '{'); at; at = strchr(at + 1, '{')) {
        int len = (int)strcspn(at + 1, "}");
        SKALD_TRY(ski_buf_print(buf,
                                ",{\"name\":\"%.*s\",\"in\":\"path\",\"required\":true,"
                                "\"description\":\"%.*s, percent-encoded\",\"schema\":{\"type\":"
                                "\"string\"}}",
                                len, at + 1, len, at + 1));
    }
    return SKALD_OK;
}

static skald_err put_parameters(skald_buf *buf, const ski_route *route)
{
    static const char ref[] = ",{\"$ref\":\"#/components/parameters/%s\"}";
    const struct {
        bool has;
        const char *name;
    } shared[] = {
        {strncmp(route->path, "/api/", 5) == 0, "Version"},
        {strcmp(route->method, "POST") == 0, "IdempotencyKey"},
        {route->matched, "IfMatch"},
        {route->etag, "IfNoneMatch"},
        {route->positioned, "MinPosition"},
    };

    SKALD_TRY(put(buf, ",\"parameters\":[{\"$ref\":\"#/components/parameters/Correlation\"}"));
    SKALD_TRY(put_segments(buf, route->path));
    SKALD_TRY(put_query(buf, route));
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        if (shared[i].has) SKALD_TRY(ski_buf_print(buf, ref, shared[i].name));
    }
    return put(buf, "]");
}

// Bodies.

// schema_of is the schema of a form that is not the route's own; NULL: it is.
static const char *schema_of(unsigned form)
{
    switch (form) {
    case SKI_JSON: return NULL;
    case SKI_CLOUDEVENT: return "{\"type\":\"object\"}";
    case SKI_CLOUDEVENTS: return "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}";
    default: return "{\"type\":\"string\"}";
    }
}

// put_older adds what an older version of the API answers, where that is different.
static skald_err put_older(skald_buf *buf, const char *component)
{
    ski_json_walk walk = {.rest = ski_document_find("schemas.json")};
    size_t len = strlen(component);
    ski_json_item item;

    while (ski_json_next(&walk, &item)) {
        if (item.key.len != len + 2 || memcmp(item.key.ptr, component, len) != 0 ||
            memcmp(item.key.ptr + len, "V1", 2) != 0)
            continue;
        return ski_buf_print(buf,
                             ",\"application/vnd.skald.v1+json\":{\"schema\":{\"$ref\":"
                             "\"#/components/schemas/%.*s\"}}",
                             SKALD_FMT(item.key));
    }
    return SKALD_OK;
}

static skald_err put_content(skald_buf *buf, uint16_t media, const char *component)
{
    bool any = false;

    if (!media || media & SKI_ANY) media |= component ? SKI_JSON : 0;
    if (!(media & ~(SKI_ANY | SKI_CE_BINARY))) return SKALD_OK;
    SKALD_TRY(put(buf, ",\"content\":{"));
    for (unsigned form = 1; form < SKI_ANY; form <<= 1) {
        const char *schema = schema_of(form);

        if (!(media & form) || form == SKI_CE_BINARY) continue;
        SKALD_TRY(ski_buf_print(buf, "%s\"%s\":{\"schema\":", any ? "," : "", ski_form_name(form)));
        if (schema || !component) {
            SKALD_TRY(put(buf, schema ? schema : "{}"));
        } else {
            SKALD_TRY(ski_buf_print(buf, "{\"$ref\":\"#/components/schemas/%s\"}", component));
        }
        SKALD_TRY(put(buf, "}"));
        any = true;
    }
    if (component) SKALD_TRY(put_older(buf, component));
    return put(buf, "}");
}

static skald_err put_success(skald_buf *buf, const ski_route *route, unsigned status)
{
    SKALD_TRY(ski_buf_print(buf, "\"%u\":{\"description\":", status));
    SKALD_TRY(ski_json_put_string(buf, skald_str_of(route->summary)));
    SKALD_TRY(
        put(buf, ",\"headers\":{\"X-API-Version\":{\"$ref\":\"#/components/headers/Version\"}"));
    if (route->etag || route->matched)
        SKALD_TRY(put(buf, ",\"ETag\":{\"$ref\":\"#/components/headers/ETag\"}"));
    if (route->status == 201 && route->scope == SKI_NEEDS_PUBLISH)
        SKALD_TRY(
            put(buf, ",\"X-Event-Position\":{\"$ref\":\"#/components/headers/EventPosition\"}"));
    SKALD_TRY(put(buf, "}"));
    SKALD_TRY(put_content(buf, route->reply_media, route->gives));
    return put(buf, "}");
}

// Errors by status: several codes may have one.

static unsigned status_of(skald_str code)
{
    skald_error error = {.err = SKALD_EINVALID};

    if (code.len >= sizeof error.code) return 0;
    memcpy(error.code, code.ptr, code.len);
    return ski_http_status_of(&error);
}

static skald_err put_errors(skald_buf *buf, const ski_route *route)
{
    static const char any_route[] =
        "VALIDATION_ERROR VERSION_CONFLICT UNSUPPORTED_API_VERSION AUTHENTICATION_ERROR "
        "AUTHORIZATION_ERROR NOT_ACCEPTABLE RATE_LIMITED INTERNAL_ERROR UNAVAILABLE";
    const char *lists[] = {
        any_route,
        route->takes ? "UNSUPPORTED_MEDIA_TYPE" : NULL,
        strcmp(route->method, "POST") == 0 ? "IDEMPOTENCY_KEY_REUSED INVALID_STATE" : NULL,
        route->errors,
        route->handle == ski_not_yet ? "NOT_IMPLEMENTED" : NULL,
    };
    enum { status_first = 400, status_end = 600 };

    for (unsigned status = status_first; status < status_end; status++) {
        bool any = false;
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
            const char *codes = lists[i];
            skald_str code;
            while (ski_words_next(&codes, &code)) {
                if (status_of(code) != status) continue;
                if (any) SKALD_TRY(put(buf, ", "));
                if (!any) SKALD_TRY(ski_buf_print(buf, ",\"%u\":{\"description\":\"", status));
                SKALD_TRY(skald_buf_put(buf, code));
                any = true;
            }
        }
        if (any)
            SKALD_TRY(put(buf, "\",\"content\":{\"application/problem+json\":{\"schema\":{\"$ref\":"
                               "\"#/components/schemas/Problem\"}}}}"));
    }
    return SKALD_OK;
}

static skald_err put_operation(skald_buf *buf, const ski_route *route)
{
    unsigned status = route->status ? route->status : 200;
    char method[8] = {0};

    for (size_t i = 0; route->method[i] && i < sizeof method - 1; i++)
        method[i] = (char)(route->method[i] | 0x20);
    SKALD_TRY(ski_buf_print(buf, "\"%s\":{\"operationId\":\"%s\",\"tags\":[\"%.*s\"]", method,
                            route->name, SKALD_FMT(tag_of(route))));
    SKALD_TRY(put_text(buf, ",\"summary\":", route->summary));
    SKALD_TRY(put_text(buf, ",\"description\":", route->about ? route->about : route->summary));
    if (route->scope == SKI_NEEDS_NOTHING) {
        SKALD_TRY(put(buf, ",\"security\":[]"));
    } else {
        SKALD_TRY(put_text(buf, ",\"x-scope\":", ski_scope_name(route->scope)));
    }
    SKALD_TRY(put_parameters(buf, route));
    if (route->takes) {
        SKALD_TRY(ski_buf_print(buf, ",\"requestBody\":{\"required\":%s",
                                route->body_optional ? "false" : "true"));
        SKALD_TRY(put_content(buf, route->body_media, route->takes));
        SKALD_TRY(put(buf, "}"));
    }
    SKALD_TRY(put(buf, ",\"responses\":{"));
    if (route->also) {
        SKALD_TRY(put_success(buf, route, route->also));
        SKALD_TRY(put(buf, ","));
    }
    SKALD_TRY(put_success(buf, route, status));
    if (route->etag) SKALD_TRY(put(buf, ",\"304\":{\"description\":\"nothing changed\"}"));
    SKALD_TRY(put_errors(buf, route));
    return put(buf, "}}");
}

// path_begun: a route before this one has its path.
static bool path_begun(size_t route)
{
    for (size_t i = 0; i < route; i++) {
        if (strcmp(ski_routes[i].path, ski_routes[route].path) == 0) return true;
    }
    return false;
}

skald_err ski_openapi_put(skald_buf *buf)
{
    SKALD_TRY(put(buf, info));
    SKALD_TRY(put_tags(buf));
    SKALD_TRY(put(buf, "\"paths\":{"));
    for (size_t i = 0; i < ski_route_count; i++) {
        const char *before = "";
        if (path_begun(i) || ski_routes[i].protocol) continue;
        SKALD_TRY(put_text(buf, i ? "," : "", ski_routes[i].path));
        SKALD_TRY(put(buf, ":{"));
        for (size_t j = i; j < ski_route_count; j++) {
            if (strcmp(ski_routes[i].path, ski_routes[j].path) != 0) continue;
            SKALD_TRY(put(buf, before));
            SKALD_TRY(put_operation(buf, &ski_routes[j]));
            before = ",";
        }
        SKALD_TRY(put(buf, "}"));
    }
    SKALD_TRY(put(buf, "},"));
    SKALD_TRY(put(buf, components));
    SKALD_TRY(ski_json_minify(buf, ski_document_find("schemas.json")));
    return put(buf, "}}");
}

skald_err ski_get_openapi(ski_http_request *request, skald_error *reterr_error)
{
    skald_buf buf = ski_reply_buf();
    skald_err err = ski_openapi_put(&buf);

    (void)reterr_error;
    if (!err) err = ski_reply_json(request, 200, ski_buf_str(&buf));
    skald_buf_fini(&buf);
    return err;
}
