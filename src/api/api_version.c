// SPDX-License-Identifier: Apache-2.0
// Versions of the API: choosing one, and what the old ones looked like.
//
// There is one set of handlers, and it speaks the newest version. What an old version answered is
// made from that by a chain of steps, each from one version to the one before it: a step is a
// function over one resource, found by the schema that its route names. To retire a version is to
// delete its step.
//
// Invariants:
//   1. A version is its major number. Within one, members are only ever added.
//   2. Errors are the same in every version.
#include "api/api_version.h"
#include "api/api_parts.h"
#include "base/buf.h"
#include "base/str.h"

#include <jansson.h>
#include <string.h>

static const struct {
    const char *text;
    const char *deprecation, *sunset; // NULL: it is not deprecated
} versions[SKI_ROUTE_VERSION + 1] = {
    [1] = {"1.0.0", "@1767225600", "Fri, 01 Jan 2027 00:00:00 GMT"},
    [2] = {"2.0.0", NULL, NULL},
};

skald_str ski_version_text(unsigned version)
{
    return skald_str_of(versions[version].text);
}

bool ski_version_deprecated(unsigned version)
{
    return versions[version].deprecation != NULL;
}

static unsigned version_known(skald_str digits)
{
    uint64_t number = 0;

    if (ski_str_u64(digits, &number) || number < SKI_ROUTE_VERSION_FIRST) return 0;
    return number > SKI_ROUTE_VERSION ? 0 : (unsigned)number;
}

bool ski_version_vendor(skald_str media, unsigned *ret_version)
{
    skald_str before = SKALD_STR("application/vnd.skald.v"), behind = SKALD_STR("+json");

    if (media.len <= before.len + behind.len ||
        !ski_str_equal_nocase(ski_str(media.ptr, before.len), before) ||
        !ski_str_equal_nocase(ski_str(media.ptr + media.len - behind.len, behind.len), behind))
        return false;
    *ret_version =
        version_known(ski_str(media.ptr + before.len, media.len - before.len - behind.len));
    return true;
}

static skald_err refuse(skald_error *reterr_error, skald_err err, const char *code,
                        const char *field, const char *text)
{
    (void)skald_fail_at(reterr_error, err, field, "%s", text);
    if (reterr_error) memcpy(reterr_error->code, code, strlen(code) + 1);
    return err;
}

static skald_err refuse_unknown(skald_error *reterr_error, const char *field)
{
    return refuse(reterr_error, SKALD_EINVALID, "UNSUPPORTED_API_VERSION", field,
                  "there is no such version of the API; there are 1.0.0 (deprecated) and 2.0.0");
}

// agree joins what one place says with what others said.
static skald_err agree(unsigned *version, unsigned more, skald_error *reterr_error)
{
    if (*version && *version != more)
        return refuse(reterr_error, SKALD_EINVALID, "VERSION_CONFLICT", "X-API-Version",
                      "path, X-API-Version and Accept ask for different versions of the API");
    *version = more;
    return SKALD_OK;
}

static skald_err choose_by_path(const ski_http_request *request, unsigned *version,
                                skald_error *reterr_error)
{
    skald_str prefix = SKALD_STR("/api/v"), rest;
    uint64_t number = 0;

    if (!ski_str_begins(request->path, prefix)) return SKALD_OK;
    skald_str digits =
        ski_str_cut(ski_str(request->path.ptr + prefix.len, request->path.len - prefix.len), '/',
                    &rest);
    if (ski_str_u64(digits, &number)) return SKALD_OK; // a word that begins with v
    *version = version_known(digits);
    return *version ? SKALD_OK : refuse_unknown(reterr_error, "path");
}

// choose_by_header takes "2", "2.0" and "2.0.0": the major number counts.
static skald_err choose_by_header(const ski_http_request *request, unsigned *version,
                                  skald_error *reterr_error)
{
    skald_str text, rest, digits;
    uint64_t number;

    SKALD_TRY(ski_call_once(request, "X-API-Version", &text, reterr_error));
    if (!text.ptr) return SKALD_OK;
    digits = ski_str_cut(text, '.', &rest);
    for (size_t parts = 1; rest.ptr; parts++) {
        skald_str part = ski_str_cut(rest, '.', &rest);
        if (parts == 3 || ski_str_u64(part, &number))
            return refuse_unknown(reterr_error, "X-API-Version");
    }
    if (!version_known(digits)) return refuse_unknown(reterr_error, "X-API-Version");
    return agree(version, version_known(digits), reterr_error);
}

// choose_by_accept: an unknown version among others that are known is passed over.
static skald_err choose_by_accept(const ski_http_request *request, unsigned *version,
                                  skald_error *reterr_error)
{
    skald_str rest = ski_http_header_get(request, "accept"), parameters;
    bool unknown = false, other = false;
    unsigned asked = 0;

    while (rest.len) {
        unsigned one = 0;
        skald_str range = ski_str_cut(rest, ',', &rest);
        skald_str media = ski_str_trim(ski_str_cut(range, ';', &parameters));
        if (!ski_version_vendor(media, &one)) {
            other = other || media.len;
        } else if (!one) {
            unknown = true;
        } else if (!asked) {
            asked = one; // the first counts
        }
    }
    if (asked) return agree(version, asked, reterr_error);
    if (!unknown || other) return SKALD_OK;
    return refuse(reterr_error, SKALD_EUNSUPPORTED, "NOT_ACCEPTABLE", "Accept",
                  "there is no such version of the API; there are application/vnd.skald.v1+json "
                  "(deprecated) and application/vnd.skald.v2+json");
}

skald_err ski_version_choose(const ski_http_request *request, unsigned *ret_version,
                             skald_error *reterr_error)
{
    unsigned version = 0;

    SKALD_TRY(choose_by_path(request, &version, reterr_error));
    SKALD_TRY(choose_by_header(request, &version, reterr_error));
    SKALD_TRY(choose_by_accept(request, &version, reterr_error));
    *ret_version = version ? version : SKI_ROUTE_VERSION;
    return SKALD_OK;
}

void ski_version_headers(ski_http_request *request, unsigned version)
{
    skald_str link, rest = request->path;

    ski_call_header(request, SKALD_STR("X-API-Version"), ski_version_text(version));
    if (!versions[version].deprecation || !ski_str_begins(rest, SKALD_STR("/api/"))) return;
    ski_call_header(request, SKALD_STR("Deprecation"), skald_str_of(versions[version].deprecation));
    ski_call_header(request, SKALD_STR("Sunset"), skald_str_of(versions[version].sunset));
    if (!ski_call_of(request)->route) return;
    rest = ski_str(rest.ptr + 5, rest.len - 5);
    if (ski_str_begins(rest, SKALD_STR("v1/"))) rest = ski_str(rest.ptr + 3, rest.len - 3);
    link = skald_arena_print(request->scratch, "</api/v%d/%.*s>; rel=\"successor-version\"",
                             SKI_ROUTE_VERSION, SKALD_FMT(rest));
    if (link.ptr) ski_call_header(request, SKALD_STR("Link"), link);
}

// Steps.

static json_t *or_null(json_t *value)
{
    return value ? json_incref(value) : json_null();
}

// subscription_to_1: before 2.0.0 a subscription had no state but running or not, its filter was a
// list of types, where it stands was its checkpoint, and its last error was a text.
static json_t *subscription_to_1(json_t *now)
{
    const char *state = json_string_value(json_object_get(now, "state"));
    json_t *filter = json_object_get(now, "filter"), *error = json_object_get(now, "lastError");

    return json_pack("{s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "name",
                     or_null(json_object_get(now, "name")), "kind",
                     or_null(json_object_get(now, "kind")), "running",
                     state && strcmp(state, "running") == 0, "eventTypes",
                     or_null(json_object_get(filter, "types")), "tenantId",
                     or_null(json_object_get(filter, "tenantId")), "checkpoint",
                     or_null(json_object_get(now, "position")), "lag",
                     or_null(json_object_get(now, "lag")), "error",
                     or_null(json_object_get(error, "message")));
}

static const struct {
    const char *component; // of one thing; a page of them is Page, a reply of one One
    unsigned from;         // the version it turns into the one before
    json_t *(*down)(json_t *now);
} steps[] = {
    {"Subscription", 2, subscription_to_1},
};

static bool step_applies(size_t step, const char *component, unsigned version)
{
    size_t len = strlen(steps[step].component);

    return steps[step].from > version && strncmp(component, steps[step].component, len) == 0 &&
           (strcmp(component + len, "One") == 0 || strcmp(component + len, "Page") == 0);
}

// data_down replaces what stands in "data": one thing, or each of a list.
static bool data_down(json_t *root, json_t *(*down)(json_t *now))
{
    json_t *data = json_object_get(root, "data"), *item;
    size_t i;

    if (!json_is_array(data)) return !json_object_set_new(root, "data", down(data));
    json_array_foreach (data, i, item) {
        if (json_array_set_new(data, i, down(item))) return false;
    }
    return true;
}

skald_err ski_version_down(const char *component, unsigned version, skald_str body,
                           skald_buf *ret_body, bool *ret_changed)
{
    size_t count = sizeof steps / sizeof *steps;
    json_t *root = NULL;
    bool whole = true;

    *ret_changed = false;
    if (version == SKI_ROUTE_VERSION || !component) return SKALD_OK;
    for (unsigned from = SKI_ROUTE_VERSION; from > version && whole; from--) {
        for (size_t i = 0; i < count && whole; i++) {
            if (steps[i].from != from || !step_applies(i, component, version)) continue;
            if (!root) root = json_loadb(body.ptr, body.len, 0, NULL);
            whole = root && data_down(root, steps[i].down);
        }
    }
    if (!root) return whole ? SKALD_OK : SKALD_ENOMEM;
    char *text = whole ? json_dumps(root, JSON_COMPACT) : NULL;
    skald_err err = text ? skald_buf_put(ret_body, skald_str_of(text)) : SKALD_ENOMEM;

    free(text); // style: jansson's own
    json_decref(root);
    *ret_changed = !err;
    return err;
}
