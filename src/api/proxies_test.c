// SPDX-License-Identifier: Apache-2.0
// Who a client is: only what trusted proxies say counts, and only as far as they can know it.
#include "api/proxies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *trusted, *peer, *header, *value, *becomes;
} cases[] = {
    // Nobody is trusted, or not this one: what is said is nothing.
    {"", "10.0.0.1:80", "X-Forwarded-For", "1.2.3.4", "10.0.0.1:80"},
    {"10.0.0.2", "10.0.0.1:80", "X-Forwarded-For", "1.2.3.4", "10.0.0.1:80"},
    {"10.0.0.1", "local", "X-Forwarded-For", "1.2.3.4", "local"},
    {"10.0.0.0/31", "10.0.0.2:80", "X-Forwarded-For", "1.2.3.4", "10.0.0.2:80"},
    {"::/96", "10.0.0.1:80", "X-Forwarded-For", "1.2.3.4", "10.0.0.1:80"},
    // Trusted, and alone.
    {"10.0.0.1", "10.0.0.1:80", "X-Forwarded-For", "1.2.3.4", "1.2.3.4:0"},
    {"10.0.0.0/31", "10.0.0.1:80", "x-forwarded-for", "1.2.3.4:5555", "1.2.3.4:0"},
    {"0.0.0.0/0", "10.0.0.1:80", "X-Forwarded-For", "1.2.3.4", "1.2.3.4:0"},
    {"10.0.0.0/9", "10.127.0.1:80", "X-Forwarded-For", "1.2.3.4", "1.2.3.4:0"},
    {"10.0.0.0/9", "10.128.0.1:80", "X-Forwarded-For", "1.2.3.4", "10.128.0.1:80"},
    {"fd00::/8", "[fd00::1]:80", "X-Forwarded-For", "2001:db8::7", "[2001:db8::7]:0"},
    {"10.0.0.1", "[::ffff:10.0.0.1]:80", "X-Forwarded-For", "1.2.3.4", "1.2.3.4:0"},
    {"local", "local", "X-Forwarded-For", " 1.2.3.4 ", "1.2.3.4:0"},
    {"local", "10.0.0.1:80", "X-Forwarded-For", "1.2.3.4", "10.0.0.1:80"},
    // What stands in front of the first stranger may be invented by him.
    {"10.0.0.1", "10.0.0.1:80", "X-Forwarded-For", "6.6.6.6, 1.2.3.4", "1.2.3.4:0"},
    {"10.0.0.0/8", "10.0.0.1:80", "X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4:0"},
    {"10.0.0.0/8", "10.0.0.1:80", "X-Forwarded-For", "10.1.1.1,10.9.9.9", "10.1.1.1:0"},
    // What is no address ends the search.
    {"10.0.0.0/8", "10.0.0.1:80", "X-Forwarded-For", "unknown", "10.0.0.1:80"},
    {"10.0.0.0/8", "10.0.0.1:80", "X-Forwarded-For", "1.2.3.4, x, 10.9.9.9", "10.9.9.9:0"},
    {"10.0.0.0/8", "10.0.0.1:80", "X-Forwarded-For", "", "10.0.0.1:80"},
    {"10.0.0.0/8", "10.0.0.1:80", "X-Forwarded-For", ",", "10.0.0.1:80"},
    {"10.0.0.0/8", "10.0.0.1:80", "X-Forwarded-For", "1.2.3.4.5", "10.0.0.1:80"},
    {"10.0.0.0/8", "10.0.0.1:80", "X-Forwarded-For", "[::1", "10.0.0.1:80"},
    {"10.0.0.0/8", "10.0.0.1:80", "X-Forwarded-For", "[::1]x", "10.0.0.1:80"},
    // The header that was not named is passed over.
    {"10.0.0.1", "10.0.0.1:80", "Forwarded", "for=1.2.3.4", "10.0.0.1:80"},
};

static const struct {
    const char *value, *becomes;
} forwarded[] = {
    {"for=1.2.3.4", "1.2.3.4:0"},
    {"For=\"1.2.3.4:99\";proto=https;by=10.0.0.1", "1.2.3.4:0"},
    {"by=10.0.0.1; for=\"[2001:db8::7]:99\"", "[2001:db8::7]:0"},
    {"for=6.6.6.6, for=1.2.3.4;host=\"a,b;c\"", "1.2.3.4:0"},
    {"for=1.2.3.4, for=10.2.2.2", "1.2.3.4:0"},
    {"for=_hidden", "10.0.0.1:80"},
    {"proto=https", "10.0.0.1:80"},
    {"for=", "10.0.0.1:80"},
    {"for=\"", "10.0.0.1:80"},
};

static void assert_peer(const ski_proxies *proxies, const char *peer,
                        const ski_http_header *headers, size_t count, const char *becomes)
{
    ski_http_request request = {.peer = skald_str_of(peer),
                                .headers = headers,
                                .header_count = count};

    assert_int_equal(skald_arena_new(1 << 16, &request.scratch), SKALD_OK);
    ski_proxies_peer(proxies, &request);
    if (!skald_str_equal(request.peer, skald_str_of(becomes))) {
        fail_msg("%s with '%.*s' becomes %.*s, not %s", peer, SKALD_FMT(headers[0].value),
                 SKALD_FMT(request.peer), becomes);
    }
    skald_arena_free(request.scratch);
}

static void only_trusted_proxies_are_believed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ski_http_header header = {skald_str_of(cases[i].header),
                                        skald_str_of(cases[i].value)};
        ski_proxies proxies = {0};
        assert_int_equal(ski_proxies_read(skald_str_of(cases[i].trusted), &proxies, NULL),
                         SKALD_OK);
        assert_peer(&proxies, cases[i].peer, &header, 1, cases[i].becomes);
        assert_peer(NULL, cases[i].peer, &header, 1, cases[i].peer);
    }
}

static void forwarded_is_read_where_it_was_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++) {
        const ski_http_header headers[] = {
            {SKALD_STR("Forwarded"), skald_str_of(forwarded[i].value)},
            {SKALD_STR("X-Forwarded-For"), SKALD_STR("6.6.6.6")},
        };
        ski_proxies proxies = {.forwarded = true};
        assert_int_equal(ski_proxies_read(SKALD_STR("10.0.0.0/8"), &proxies, NULL), SKALD_OK);
        assert_peer(&proxies, "10.0.0.1:80", headers, 2, forwarded[i].becomes);
    }
}

static void several_headers_are_one_list(void **state)
{
    const ski_http_header headers[] = {
        {SKALD_STR("X-Forwarded-For"), SKALD_STR("6.6.6.6")},
        {SKALD_STR("Host"), SKALD_STR("x")},
        {SKALD_STR("X-Forwarded-For"), SKALD_STR("1.2.3.4, 10.0.0.2")},
        {SKALD_STR("X-Forwarded-For"), SKALD_STR("10.0.0.3")},
    };
    ski_proxies proxies = {0};

    (void)state;
    assert_int_equal(ski_proxies_read(SKALD_STR("10.0.0.0/8"), &proxies, NULL), SKALD_OK);
    assert_peer(&proxies, "10.0.0.1:80", headers, 4, "1.2.3.4:0");
}

// A list without end is read no further than SKI_FORWARDED_HOPS_MAX.
static void hops_have_a_limit(void **state)
{
    char value[24 * (SKI_FORWARDED_HOPS_MAX + 2)] = "1.2.3.4";
    ski_http_header header = {SKALD_STR("X-Forwarded-For"), {value, 0}};
    ski_proxies proxies = {0};

    (void)state;
    assert_int_equal(ski_proxies_read(SKALD_STR("10.0.0.0/8"), &proxies, NULL), SKALD_OK);
    for (int i = 0; i < SKI_FORWARDED_HOPS_MAX - 1; i++)
        (void)snprintf(value + strlen(value), 24, ",10.0.0.%d", i);
    header.value.len = strlen(value);
    assert_peer(&proxies, "10.0.0.1:80", &header, 1, "1.2.3.4:0");
    (void)snprintf(value + strlen(value), 16, ",10.0.0.99");
    header.value.len = strlen(value);
    assert_peer(&proxies, "10.0.0.1:80", &header, 1, "10.0.0.0:0");
}

static void bad_lists_are_refused(void **state)
{
    static const char *const lists[] = {"x",        "10.0.0.0/33", "::/129",    "10.0.0.0/",
                                        "10.0.0/8", "/8",          "10.0.0.1,", "10.0.0.0/-1"};
    char many[16 * (SKI_PROXIES_MAX + 1)] = "10.0.0.1";
    ski_proxies proxies = {0};

    (void)state;
    for (size_t i = 0; i + 2 < sizeof lists / sizeof *lists; i++) {
        skald_error error = {0};
        assert_int_equal(ski_proxies_read(skald_str_of(lists[i]), &proxies, &error),
                         SKALD_EINVALID);
        assert_non_null(strstr(error.text, "proxy.trusted: '"));
    }
    for (int i = 1; i < SKI_PROXIES_MAX; i++) (void)strncat(many, ",10.0.0.1", 10);
    assert_int_equal(ski_proxies_read(skald_str_of(many), &proxies, NULL), SKALD_OK);
    (void)strncat(many, ",10.0.0.1", 10);
    assert_int_equal(ski_proxies_read(skald_str_of(many), &proxies, NULL), SKALD_EINVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_trusted_proxies_are_believed),
        cmocka_unit_test(forwarded_is_read_where_it_was_named),
        cmocka_unit_test(several_headers_are_one_list),
        cmocka_unit_test(hops_have_a_limit),
        cmocka_unit_test(bad_lists_are_refused),
    };

    return cmocka_run_group_tests_name("proxies", tests, NULL, NULL);
}
