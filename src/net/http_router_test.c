// SPDX-License-Identifier: Apache-2.0
// The router, percent-decoding, and which status and code an error has.
#include "net/router.h"

#include "base/alloc.h"
#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static skald_err nothing(ski_http_request *request, skald_error *error)
{
    (void)request;
    (void)error;
    return SKALD_OK;
}

#define ROUTE(m, p)                               \
    {                                             \
        .method = m, .path = p, .handle = nothing \
    }

static const ski_http_route routes[] = {
    ROUTE("GET", "/"),
    ROUTE("GET", "/api/events"),
    ROUTE("POST", "/api/events"),
    ROUTE("GET", "/api/events/{id}"),
    ROUTE("GET", "/api/events/stream"),
    ROUTE("DELETE", "/api/events/stream/{x}"),
    ROUTE("GET", "/api/{noun}/{id}/parked/{key}/{verb}"),
    ROUTE("GET", "/api/events/{id}/raw"),
    ROUTE("HEAD", "/own-head"),
    ROUTE("GET", "/own-head"),
    {.method = NULL},
};

typedef struct router_case {
    const char *method, *path;
    int route;                 // -1: none
    const char *parameters[4]; // NULL: not given
    const char *allow;         // where the path is known
} router_case;

static const router_case cases[] = {
    {"GET", "/", 0, {NULL}, NULL},
    {"GET", "/api/events", 1, {NULL}, NULL},
    {"POST", "/api/events", 2, {NULL}, NULL},
    {"HEAD", "/api/events", 1, {NULL}, NULL},
    {"GET", "/api/events/stream", 4, {NULL}, NULL}, // fixed wins
    {"GET", "/api/events/0192", 3, {"0192"}, NULL},
    {"GET", "/api/events/..", 3, {".."}, NULL}, // plain text
    {"GET", "/api/events/%2e%2E", 3, {"%2e%2E"}, NULL},
    {"GET", "/api/events/stream/raw", -1, {"raw"}, "DELETE, OPTIONS"}, // the way of the fixed
                                                                       // segment
    {"GET", "/api/events/s/raw", 7, {"s"}, NULL},
    {"GET", "/api/events/s/parked/k/v", 6, {"events", "s", "k", "v"}, NULL}, // back up twice
    {"HEAD", "/own-head", 8, {NULL}, NULL},
    {"PUT", "/api/events", -1, {NULL}, "GET, HEAD, POST, OPTIONS"},
    {"get", "/api/events", -1, {NULL}, "GET, HEAD, POST, OPTIONS"},
    {"GET", "/api/events/", -1, {NULL}, NULL}, // an empty segment is no parameter
    {"GET", "/api//events", -1, {NULL}, NULL},
    {"GET", "/api", -1, {NULL}, NULL},
    {"GET", "//", -1, {NULL}, NULL},
    {"GET", "/api/events/a/b", -1, {NULL}, NULL},
    {"GET", "/API/events", -1, {NULL}, NULL},
    {"GET", "*", -1, {NULL}, NULL},
    {"GET", "", -1, {NULL}, NULL},
    {"GET", "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", -1, {NULL}, NULL},
};

static void test_find(void **state)
{
    (void)state;
    ski_router *router = NULL;

    assert_int_equal(ski_router_new(routes, &router), SKALD_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const router_case *one = &cases[i];
        ski_router_match match;
        ski_router_find(router, skald_str_of(one->method), skald_str_of(one->path), &match);
        const ski_http_route *expected = one->route < 0 ? NULL : &routes[one->route];
        bool known = one->route >= 0 || one->allow != NULL;
        if (match.route != expected || match.known != known) {
            fail_msg("%s %s: another route", one->method, one->path);
        }
        if (one->allow) assert_string_equal(match.allow, one->allow);
        for (int j = 0; j < 4; j++) {
            skald_str parameter = skald_str_of(one->parameters[j]);
            assert_int_equal(match.parameters[j].ptr == NULL, parameter.ptr == NULL);
            assert_true(skald_str_equal(match.parameters[j], parameter));
        }
    }
    ski_router_free(router);
    ski_router_free(NULL);
}

static void test_no_memory(void **state)
{
    (void)state;
    ski_router *router = NULL;

    for (uint64_t n = 1; n <= 3; n++) {
        ski_alloc_fail_at(n);
        assert_int_equal(ski_router_new(routes, &router), SKALD_ENOMEM);
        assert_null(router);
    }
    ski_alloc_fail_at(0);
}

typedef struct decode_case {
    const char *text;
    bool plus;
    const char *decoded; // NULL: refused
} decode_case;

static const decode_case decodes[] = {
    {"plain", false, "plain"},     {"", false, ""},          {"a%20b", false, "a b"},
    {"a+b", false, "a+b"},         {"a+b%2B", true, "a b+"}, {"%2F%2f..", false, "//.."},
    {"%c3%A4", false, "\xc3\xa4"}, {"%", false, NULL},       {"%4", false, NULL},
    {"%4g", false, NULL},          {"%g4", false, NULL},     {"a%00b", false, NULL},
    {"%%41", false, NULL},         {"%ff", false, NULL},     {"%c0%af", false, NULL},
    {"\xff", false, NULL},         {"%25", false, "%"},
};

static void test_decode(void **state)
{
    (void)state;
    skald_arena *arena;

    assert_int_equal(skald_arena_new(1024, &arena), SKALD_OK);
    for (size_t i = 0; i < sizeof decodes / sizeof *decodes; i++) {
        skald_str text = skald_str_of(decodes[i].text), decoded = SKALD_STR("as it was");
        skald_err err = ski_http_decode(text, decodes[i].plus, arena, &decoded);
        assert_int_equal(err, decodes[i].decoded ? SKALD_OK : SKALD_EINVALID);
        skald_str expected =
            decodes[i].decoded ? skald_str_of(decodes[i].decoded) : SKALD_STR("as it was");
        assert_true(skald_str_equal(decoded, expected));
    }
    skald_str borrowed;
    skald_str plain = SKALD_STR("nothing to do");
    assert_int_equal(ski_http_decode(plain, true, arena, &borrowed), SKALD_OK);
    assert_ptr_equal(borrowed.ptr, plain.ptr);
    ski_alloc_fail_at(1);
    skald_arena *empty;
    assert_int_equal(skald_arena_new(1, &empty), SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    assert_int_equal(skald_arena_new(1, &empty), SKALD_OK);
    assert_int_equal(ski_http_decode(SKALD_STR("%41%41"), false, empty, &borrowed), SKALD_ENOMEM);
    skald_arena_free(empty);
    skald_arena_free(arena);
}

typedef struct status_case {
    skald_err err;
    const char *code; // given
    unsigned status;
    const char *published;
} status_case;

static const status_case statuses[] = {
    {SKALD_EINVALID, "", 400, "VALIDATION_ERROR"},
    {SKALD_EAUTH, "", 401, "AUTHENTICATION_ERROR"},
    {SKALD_EDENIED, "", 403, "AUTHORIZATION_ERROR"},
    {SKALD_ENOTFOUND, "", 404, "NOT_FOUND"},
    {SKALD_ETIMEOUT, "", 408, "TIMEOUT"},
    {SKALD_ECONFLICT, "", 409, "CONCURRENCY_CONFLICT"},
    {SKALD_ESTATE, "", 409, "INVALID_STATE"},
    {SKALD_ESTALE, "", 409, "INVALID_STATE"},
    {SKALD_EEXISTS, "", 409, "DUPLICATE"},
    {SKALD_ETOOBIG, "", 413, "PAYLOAD_TOO_LARGE"},
    {SKALD_ESCHEMA, "", 422, "SCHEMA_VIOLATION"},
    {SKALD_EHELD, "", 423, "LOCKED"},
    {SKALD_ECORRUPT, "", 500, "INTERNAL_ERROR"},
    {SKALD_EIO, "", 500, "INTERNAL_ERROR"},
    {SKALD_EUNSUPPORTED, "", 501, "NOT_IMPLEMENTED"},
    {SKALD_ENOMEM, "", 503, "UNAVAILABLE"},
    {SKALD_EFULL, "", 503, "UNAVAILABLE"},
    {SKALD_EUNAVAILABLE, "", 503, "UNAVAILABLE"},
    {SKALD_ECLOSED, "", 503, "UNAVAILABLE"},
    {SKALD_EREADONLY, "", 503, "READ_ONLY"},
    {SKALD_EUNSUPPORTED, "METHOD_NOT_ALLOWED", 405, "METHOD_NOT_ALLOWED"},
    {SKALD_EUNSUPPORTED, "NOT_ACCEPTABLE", 406, "NOT_ACCEPTABLE"},
    {SKALD_ECONFLICT, "PRECONDITION_FAILED", 412, "PRECONDITION_FAILED"},
    {SKALD_ETOOBIG, "URI_TOO_LONG", 414, "URI_TOO_LONG"},
    {SKALD_EUNSUPPORTED, "UNSUPPORTED_MEDIA_TYPE", 415, "UNSUPPORTED_MEDIA_TYPE"},
    {SKALD_EINVALID, "IDEMPOTENCY_KEY_REUSED", 422, "IDEMPOTENCY_KEY_REUSED"},
    {SKALD_EFULL, "RATE_LIMITED", 429, "RATE_LIMITED"},
    {SKALD_ETOOBIG, "HEADERS_TOO_LARGE", 431, "HEADERS_TOO_LARGE"},
    {SKALD_EINVALID, "VERSION_CONFLICT", 400, "VERSION_CONFLICT"},
    {SKALD_EINVALID, "UNSUPPORTED_API_VERSION", 400, "UNSUPPORTED_API_VERSION"},
    {SKALD_ESTATE, "A_BUSINESS_RULE", 409, "A_BUSINESS_RULE"}, // unknown: the status of the error
};

static void test_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        skald_error error = {.err = statuses[i].err};
        memcpy(error.code, statuses[i].code, strlen(statuses[i].code) + 1);
        assert_int_equal(ski_http_status_of(&error), statuses[i].status);
        assert_string_equal(ski_http_code_of(&error), statuses[i].published);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
