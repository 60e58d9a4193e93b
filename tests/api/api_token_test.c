// SPDX-License-Identifier: Apache-2.0
// Tokens at the door: who they let in and as whom; keys from a file and from a provider, rotated;
// what a token must not be able to do.
#include "api/api_auth_token.h"
#include "api/http_client.h"
#include "base/base64.h"
#include "base/buf.h"
#include "net/jose.h"
#include <skald/keys.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
// cmocka wants those above first
#include <cmocka.h>

#define SECRET_A "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LWFhYWE"
#define SECRET_B "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LWJiYmI"
#define OCT(kid, secret) \
    "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"" kid "\",\"k\":\"" secret "\"}]}"
// The key pair of RFC 8037, appendix A.
#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define ED_PUBLIC "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":\"" ED_X "\""
#define ED_KEYS "{\"keys\":[" ED_PUBLIC "}]}"
#define ED_SECRET \
    "{\"keys\":[" ED_PUBLIC ",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}]}"

static char path[] = "/tmp/skald-token-XXXXXX";

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void keys_are(const char *json)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(json, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

// header_of signs claims with a key; valid for a minute unless they say otherwise.
static const char *header_of(const char *keys, const char *claims)
{
    static char header[8192];
    skald_buf buf = {.bytes_max = 4096}, payload = {.bytes_max = 4096};
    ski_jwks *jwks = NULL;

    assert_int_equal(ski_jwks_read(skald_str_of(keys), SKI_JOSE_ALL, &jwks, NULL), SKALD_OK);
    assert_int_equal(ski_buf_print(&payload, "{%s%s\"exp\":%lld}", claims, claims[0] ? "," : "",
                                   (long long)time(NULL) + 60),
                     SKALD_OK);
    assert_int_equal(ski_jws_sign(jwks, ski_buf_str(&payload), &buf), SKALD_OK);
    (void)snprintf(header, sizeof header, "Authorization: Bearer %.*s\r\n", (int)buf.len, buf.ptr);
    ski_jwks_free(jwks);
    skald_buf_fini(&buf);
    skald_buf_fini(&payload);
    return header;
}

static const api_answer *ask(const api_world *world, const char *who, const char *method,
                             const char *at, const char *json)
{
    return api_ask(world, method, at, json ? "application/json" : NULL,
                   skald_str_of(json ? json : ""), who);
}

static int status_of(const api_world *world, const char *who, const char *at)
{
    return ask(world, who, "GET", at, NULL)->status;
}

static const ski_api_options by_file = {.tokens = {.keys_file = path,
                                                   .algorithms = "HS256",
                                                   .issuer = "https://id",
                                                   .audience = "skald"}};
#define WHOM "\"iss\":\"https://id\",\"aud\":\"skald\","

static void a_token_says_who_asks(void **state)
{
    const char *shop = WHOM "\"sub\":\"u7\",\"tenant\":\"acme\",\"role\":\"clerk\","
                            "\"scope\":\"openid events:read events:publish\"";
    const api_answer *answer;
    api_world world;

    (void)state;
    keys_are(OCT("a", SECRET_A));
    api_world_open_with(&world, &by_file);
    assert_int_equal(status_of(&world, NULL, "/api/events"), 401);
    answer = ask(&world, header_of(OCT("a", SECRET_A), shop), "POST", "/api/events",
                 "{\"type\":\"a.b\"}");
    assert_int_equal(answer->status, 201);
    answer = ask(&world, header_of(OCT("a", SECRET_A), shop), "GET", "/api/events", NULL);
    assert_non_null(strstr(answer->body, "\"tenantId\":\"acme\""));
    assert_non_null(strstr(answer->body, "\"userId\":\"u7\""));
    assert_non_null(strstr(answer->body, "clerk"));
    // Scopes as an array; another tenant; none at all.
    answer = ask(&world,
                 header_of(OCT("a", SECRET_A),
                           WHOM "\"sub\":\"u8\",\"tenant\":\"umbra\",\"scope\":[\"events:read\"]"),
                 "GET", "/api/events", NULL);
    assert_int_equal(answer->status, 200);
    assert_null(strstr(answer->body, "acme"));
    assert_int_equal(status_of(&world, header_of(OCT("a", SECRET_A), WHOM "\"sub\":\"u9\""),
                               "/api/events"),
                     403);
    // An admin is of the default tenant unless the token says that it is of all.
    assert_int_equal(status_of(&world, header_of(OCT("a", SECRET_A), WHOM "\"scope\":\"admin\""),
                               "/metrics"),
                     403);
    assert_int_equal(status_of(&world,
                               header_of(OCT("a", SECRET_A),
                                         WHOM "\"scope\":\"admin\",\"tenant\":\"*\""),
                               "/metrics"),
                     200);
    api_world_close(&world);
}

static void what_is_not_right_is_refused(void **state)
{
    static const char *const bad[] = {
        "", // no issuer, no audience
        "\"iss\":\"https://id\",\"scope\":\"events:read\"",
        "\"iss\":\"https://other\",\"aud\":\"skald\",\"scope\":\"events:read\"",
        "\"iss\":\"https://id\",\"aud\":\"other\",\"scope\":\"events:read\"",
        WHOM "\"scope\":\"events:read\",\"nbf\":99999999999",
        WHOM "\"scope\":\"events:read\",\"tenant\":7",
        WHOM "\"scope\":\"events:read\",\"tenant\":null",
        WHOM "\"scope\":\"events:read\",\"tenant\":\"*\"",
        WHOM "\"scope\":\"events:read\",\"tenant\":\"a/b\"",
        WHOM "\"scope\":\"events:read\",\"tenant\":\"$platform\"",
        WHOM "\"scope\":\"events:read\",\"tenant\":\"a\",\"tenant\":\"b\"",
        WHOM "\"scope\":\"events:read\",\"role\":\"a\\nb\"",
        WHOM "\"scope\":\"events:read\",\"sub\":\"a\\r\\nX: y\"",
        WHOM "\"scope\":{\"a\":1}",
        WHOM "\"scope\":[7]",
    };
    api_world world;

    (void)state;
    keys_are(OCT("a", SECRET_A));
    api_world_open_with(&world, &by_file);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int status = status_of(&world, header_of(OCT("a", SECRET_A), bad[i]), "/api/events");

        if (status != 401) print_error("%s: %d\n", bad[i], status);
        assert_int_equal(status, 401);
    }
    // Another secret under the same kid.
    assert_int_equal(status_of(&world,
                               header_of(OCT("a", SECRET_B), WHOM "\"scope\":\"events:read\""),
                               "/api/events"),
                     401);
    api_world_close(&world);
}

// The public key as a secret, no algorithm at all, and another algorithm than the key's.
static void an_algorithm_is_not_the_tokens_choice(void **state)
{
    const ski_api_options options = {.tokens = {.keys_file = path}};
    const char *claims = "\"scope\":\"admin\",\"tenant\":\"*\"";
    const char *forged = OCT("ed", ED_X); // the public
                                          // key, as a
                                          // secret
    char header[8192];
    skald_buf buf = {.bytes_max = 4096};
    api_world world;

    (void)state;
    keys_are(ED_KEYS);
    api_world_open_with(&world, &options);
    assert_int_equal(status_of(&world, header_of(ED_SECRET, claims), "/metrics"), 200);
    assert_int_equal(status_of(&world, header_of(forged, claims), "/metrics"), 401);
    for (int i = 0; i < 2; i++) {
        const char *none = i ? "{\"alg\":\"none\"}" : "{\"alg\":\"none\",\"kid\":\"ed\"}";
        const char *body = "{\"scope\":\"admin\",\"tenant\":\"*\",\"exp\":99999999999}";

        buf.len = 0;
        assert_int_equal(ski_base64_put(&buf, none, strlen(none)), SKALD_OK);
        assert_int_equal(ski_buf_byte(&buf, '.'), SKALD_OK);
        assert_int_equal(ski_base64_put(&buf, body, strlen(body)), SKALD_OK);
        (void)snprintf(header, sizeof header, "Authorization: Bearer %.*s.\r\n", (int)buf.len,
                       buf.ptr);
        assert_int_equal(status_of(&world, header, "/metrics"), 401);
    }
    skald_buf_fini(&buf);
    api_world_close(&world);
}

static void keys_in_a_file_are_rotated(void **state)
{
    const char *claims = WHOM "\"scope\":\"events:read\"";
    int status = 0;
    char known[8192];
    api_world world;

    (void)state;
    keys_are(OCT("a", SECRET_A));
    api_world_open_with(&world, &by_file);
    (void)snprintf(known, sizeof known, "%s", header_of(OCT("a", SECRET_A), claims));
    assert_int_equal(status_of(&world, known, "/api/events"), 200);
    // A file that is not sound changes nothing.
    keys_are("{\"keys\":[");
    assert_int_equal(status_of(&world, header_of(OCT("b", SECRET_B), claims), "/api/events"), 401);
    (void)usleep(50000);
    assert_int_equal(status_of(&world, header_of(OCT("a", SECRET_A), claims), "/api/events"), 200);
    keys_are(OCT("b", SECRET_B));
    for (int i = 0; i < 100 && status != 200; i++) {
        status = status_of(&world, header_of(OCT("b", SECRET_B), claims), "/api/events");
        (void)usleep(10000);
    }
    assert_true(status == 200 || status == 429);
    assert_int_equal(status_of(&world, header_of(OCT("b", SECRET_B), claims), "/api/events"), 200);
    // That it was let in before is of no use to the very same token: its key is gone.
    assert_int_equal(status_of(&world, known, "/api/events"), 401);
    api_world_close(&world);
}

// A provider: a server with one route, whose answer is chosen.
typedef struct provider {
    ski_http *http;
    _Atomic(const char *) answer;
    atomic_int asked;
} provider;

static skald_err give_keys(ski_http_request *request, skald_error *reterr_error)
{
    provider *of = request->context;
    const char *answer = atomic_load(&of->answer);

    (void)reterr_error;
    atomic_fetch_add(&of->asked, 1);
    return ski_http_reply_send(request->http, request->id,
                               &(ski_http_reply){.status = answer ? 200 : 503,
                                                 .body = skald_str_of(answer)});
}

// What the thread that reads keys logs: it is joined before it is looked at.
static void note_line(void *context, skald_level level, skald_str line)
{
    (void)level;
    if (memmem(line.ptr, line.len, "keys of tokens cannot", 21))
        (void)snprintf(context, 1024, "%.*s", SKALD_FMT(line));
}

static void a_provider_is_asked(void **state)
{
    static const ski_http_route routes[] = {{.method = "GET", .path = "/keys", .handle = give_keys},
                                            {.method = NULL}};
    const char *claims = WHOM "\"scope\":\"events:read\"";
    char url[64], noted[1024] = "";
    const skald_log log = {.line = note_line, .context = noted, .level_min = SKALD_WARN};
    provider of = {0};
    ski_http_options serve = {.host = "127.0.0.1", .routes = routes, .context = &of};
    api_world world;
    int status = 503;

    (void)state;
    atomic_store(&of.answer, ED_KEYS);
    assert_int_equal(ski_http_start(&serve, &of.http, NULL), SKALD_OK);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/keys?token=s3cret",
                   ski_http_port(of.http));
    ski_api_options options = {
        .log = &log, .tokens = {.keys_url = url, .issuer = "https://id", .audience = "skald"}};
    api_world_open_with(&world, &options);
    for (int i = 0; i < 500 && status == 503; i++) {
        status = status_of(&world, header_of(ED_SECRET, claims), "/api/events");
        (void)usleep(10000);
    }
    assert_int_equal(status, 200);
    // It is down, or gives something else: the last good set stays.
    atomic_store(&of.answer, NULL);
    assert_int_equal(status_of(&world, header_of(OCT("x", SECRET_A), claims), "/api/events"), 401);
    for (int i = 0; i < 200 && atomic_load(&of.asked) < 2; i++) (void)usleep(10000);
    assert_int_equal(status_of(&world, header_of(ED_SECRET, claims), "/api/events"), 200);
    // Made-up keys do not make us ask without end.
    for (int i = 0; i < 15; i++)
        (void)status_of(&world, header_of(OCT("y", SECRET_A), claims), "/api/events");
    (void)usleep(50000);
    assert_true(atomic_load(&of.asked) <= 1 + 4);
    api_world_close(&world);
    assert_non_null(strstr(noted, "auth.jwt.keys_url"));
    assert_null(strstr(noted, "s3cret"));
    assert_int_equal(ski_http_stop(of.http, 1000), SKALD_OK);
}

// A clock that is put forward.
static uint64_t clock_ns(void *context)
{
    return ski_kernel_system.monotonic_ns(NULL) + atomic_load((_Atomic uint64_t *)context);
}

static void wait_for(ski_jwks_source *source, provider *of, int asked, skald_breaker_state state)
{
    skald_breaker_state now = SKALD_BREAKER_CLOSED;

    for (int i = 0; i < 2000; i++) {
        assert_true(ski_jwks_source_circuit(source, &now));
        if (atomic_load(&of->asked) == asked && now == state) return;
        (void)usleep(5000);
    }
    fail_msg("asked %d times, state %d", atomic_load(&of->asked), now);
}

// A provider that fails is left alone; after a time one request tries, and a good one closes it.
static void a_dead_provider_is_left_alone(void **state)
{
    static const ski_http_route routes[] = {{.method = "GET", .path = "/keys", .handle = give_keys},
                                            {.method = NULL}};
    const uint64_t later_ns = UINT64_C(40000000000);
    _Atomic uint64_t ahead_ns = 0;
    ski_kernel kernel = ski_kernel_system;
    provider of = {0};
    ski_http_options serve = {.host = "127.0.0.1", .routes = routes, .context = &of};
    ski_jwks_source *source = NULL;
    ski_jwks *jwks = NULL;
    char url[64];

    (void)state;
    kernel.context = &ahead_ns;
    kernel.monotonic_ns = clock_ns;
    assert_int_equal(ski_http_start(&serve, &of.http, NULL), SKALD_OK);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/keys", ski_http_port(of.http));
    const ski_token_options options = {.keys_url = url};
    assert_int_equal(ski_jwks_source_new(&options, SKI_JOSE_EDDSA, NULL, &kernel, &source, NULL),
                     SKALD_OK);
    wait_for(source, &of, 1, SKALD_BREAKER_CLOSED);
    ski_jwks_source_ask(source);
    wait_for(source, &of, 2, SKALD_BREAKER_CLOSED);
    ski_jwks_source_ask(source);
    wait_for(source, &of, 3, SKALD_BREAKER_OPEN);
    atomic_fetch_add(&ahead_ns, later_ns);
    ski_jwks_source_ask(source);
    wait_for(source, &of, 4, SKALD_BREAKER_OPEN); // the trial failed
    atomic_store(&of.answer, ED_KEYS);
    atomic_fetch_add(&ahead_ns, later_ns);
    ski_jwks_source_ask(source);
    wait_for(source, &of, 5, SKALD_BREAKER_CLOSED);
    for (int i = 0; i < 2000 && !ski_jwks_source_take(source, &jwks); i++) (void)usleep(5000);
    assert_non_null(jwks);
    ski_jwks_free(jwks);
    ski_jwks_source_free(source);
    assert_int_equal(ski_http_stop(of.http, 1000), SKALD_OK);
}

// What strangers and a scrape see of a provider that is down from the beginning.
static void a_dead_provider_is_seen(void **state)
{
    static const ski_http_route routes[] = {{.method = "GET", .path = "/keys", .handle = give_keys},
                                            {.method = NULL}};
    provider of = {0};
    ski_http_options serve = {.host = "127.0.0.1", .routes = routes, .context = &of};
    skald_arena *arena = NULL;
    skald_key asked = {.scopes = SKALD_SCOPE_METRICS}, key = {0};
    const api_answer *answer = NULL;
    char url[64], header[256];
    skald_str text = {0};
    api_world world;

    (void)state;
    assert_int_equal(skald_arena_new(1 << 24, &arena), SKALD_OK);
    assert_int_equal(ski_http_start(&serve, &of.http, NULL), SKALD_OK);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/keys", ski_http_port(of.http));
    ski_api_options options = {
        .tokens = {.keys_url = url, .issuer = "https://id", .audience = "skald"}};
    api_world_open_with(&world, &options);
    assert_int_equal(skald_key_create(world.store, &asked, arena, &key, &text, NULL), SKALD_OK);
    (void)snprintf(header, sizeof header, "Authorization: Bearer %.*s\r\n", SKALD_FMT(text));
    api_world_reopen(&world);
    // Each token has the provider asked, until nobody asks it any more.
    for (int i = 0; i < 2000; i++) {
        (void)status_of(&world, header_of(ED_SECRET, "\"sub\":\"u1\""), "/api/events");
        answer = ask(&world, NULL, "GET", "/ready", NULL);
        if (strstr(answer->body, "\"circuits\":{\"status\":\"open\",\"jwks\":\"open\"}")) break;
        (void)usleep(5000);
    }
    api_says(answer, "\"circuits\":{\"status\":\"open\",\"jwks\":\"open\"}");
    api_says(answer, "{\"status\":\"ok\""); // it is ready as before
    assert_int_equal(answer->status, 200);
    answer = ask(&world, header, "GET", "/metrics", NULL);
    assert_int_equal(answer->status, 200);
    assert_non_null(strstr(answer->body, "\nskald_circuit_state{name=\"jwks\"} 2\n"));
    assert_null(strstr(answer->body, "{name=\"otlp\"}"));
    api_world_close(&world);
    skald_arena_free(arena);
    assert_int_equal(ski_http_stop(of.http, 1000), SKALD_OK);
}

static void options_are_checked(void **state)
{
    static const struct {
        ski_token_options tokens;
        const char *says;
    } bad[] = {
        {{.keys_url = "http://id.example.com/keys", .issuer = "i", .audience = "a"}, "https://"},
        {{.keys_url = "http://localhost:1@evil.example/", .issuer = "i", .audience = "a"},
         "https://"},
        {{.keys_url = "http://127.0.0.1.evil.example/", .issuer = "i", .audience = "a"},
         "https://"},
        {{.keys_url = "file:///etc/passwd", .issuer = "i", .audience = "a"}, "https://"},
        {{.keys_url = "https://id.example.com/keys", .issuer = "i"}, "audience"},
        {{.keys_url = "https://id/k", .issuer = "i", .audience = "a", .algorithms = "HS256"},
         "keys_file"},
        {{.keys_url = "https://id/k", .keys_file = "/x", .issuer = "i", .audience = "a"}, "both"},
        {{.keys_file = "/no/such/file"}, "/no/such/file"},
        {{.keys_file = "/etc/hostname"}, ""},
        {{.keys_file = "/x", .algorithms = "none"}, "'none'"},
    };
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    ski_api *api = NULL;

    (void)state;
    assert_int_equal(skald_store_open("memory:", NULL, &store, NULL), SKALD_OK);
    assert_int_equal(skald_bus_new(store, &(skald_bus_options){0}, &bus), SKALD_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ski_api_options options = {.bus = bus, .tokens = bad[i].tokens};
        skald_error error = {0};

        assert_int_equal(ski_api_new(&options, &api, NULL), SKALD_OK);
        assert_true(ski_api_serve(api, &(ski_http_options){.host = "127.0.0.1"}, &error));
        if (!strstr(error.text, bad[i].says)) print_error("%zu: %s\n", i, error.text);
        assert_non_null(strstr(error.text, bad[i].says));
        ski_api_free(api);
    }
    skald_bus_free(bus);
    skald_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_says_who_asks),
        cmocka_unit_test(what_is_not_right_is_refused),
        cmocka_unit_test(an_algorithm_is_not_the_tokens_choice),
        cmocka_unit_test(keys_in_a_file_are_rotated),
        cmocka_unit_test(a_provider_is_asked),
        cmocka_unit_test(a_dead_provider_is_left_alone),
        cmocka_unit_test(a_dead_provider_is_seen),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
