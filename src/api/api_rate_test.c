// SPDX-License-Identifier: Apache-2.0
// Buckets by who asks: limits, the bound of the table, and who counts as one.
#include "api/api_rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// cmocka wants those above first
#include <cmocka.h>

static const uint64_t second_ns = 1000000000;

static ski_rates *rates_of(ski_rate_options options)
{
    ski_rates *rates = NULL;

    assert_int_equal(ski_rates_new(&options, 7, &rates), SKALD_OK);
    return rates;
}

static void a_bucket_empties_and_fills(void **state)
{
    ski_rates *rates = rates_of((ski_rate_options){.per_key = 60, .burst = 3});
    skald_str who = SKALD_STR("key:a");
    uint64_t now = second_ns;
    ski_rate_state at;

    (void)state;
    assert_true(ski_rates_limited(rates, SKI_LIMIT_KEY));
    assert_false(ski_rates_limited(rates, SKI_LIMIT_READ));
    for (uint32_t i = 0; i < 3; i++) {
        at = ski_rate_take(rates, SKI_LIMIT_KEY, who, now);
        assert_int_equal(at.wait_ms, 0);
        assert_int_equal(at.quota, 3);
        assert_int_equal(at.window_s, 3);
        assert_int_equal(at.left, 2 - i);
        assert_int_equal(at.reset_s, 1 + i);
    }
    at = ski_rate_take(rates, SKI_LIMIT_KEY, who, now);
    assert_true(at.wait_ms >= 1000 && at.wait_ms <= 1001);
    assert_true(at.tell); // once a minute
    at = ski_rate_take(rates, SKI_LIMIT_KEY, who, now + second_ns / 2);
    assert_true(at.wait_ms > 0 && at.wait_ms <= 501);
    assert_false(at.tell);
    assert_int_equal(ski_rate_take(rates, SKI_LIMIT_KEY, SKALD_STR("key:b"), now).wait_ms, 0);
    assert_int_equal(ski_rate_take(rates, SKI_LIMIT_KEY, who, now + second_ns).wait_ms, 0);
    assert_true(ski_rate_take(rates, SKI_LIMIT_KEY, who, now + second_ns).wait_ms > 0);
    now += 61 * second_ns;
    for (int i = 0; i < 3; i++)
        assert_int_equal(ski_rate_take(rates, SKI_LIMIT_KEY, who, now).wait_ms, 0);
    assert_true(ski_rate_take(rates, SKI_LIMIT_KEY, who, now).tell);
    ski_rates_free(rates);
}

// Twice as many as there is room for: those who ask last are known, the others begin anew.
static void the_table_has_an_end(void **state)
{
    ski_rates *rates = rates_of((ski_rate_options){.per_ip = 60, .burst = 1});
    char who[32];
    uint64_t now = second_ns;

    (void)state;
    for (int i = 0; i < 2 * SKI_RATES_MAX; i++) {
        int len = snprintf(who, sizeof who, "10.0.%d.%d", i >> 8, i & 255);
        skald_str name = {who, (size_t)len};

        assert_int_equal(ski_rate_take(rates, SKI_LIMIT_IP, name, now).wait_ms, 0);
        assert_true(ski_rate_take(rates, SKI_LIMIT_IP, name, now).wait_ms > 0);
    }
    for (int i = 0; i < 2 * SKI_RATES_MAX; i += SKI_RATES_MAX / 4) {
        int len = snprintf(who, sizeof who, "10.0.%d.%d", i >> 8, i & 255);
        bool known = ski_rate_take(rates, SKI_LIMIT_IP, (skald_str){who, (size_t)len}, now).wait_ms;

        if (i < SKI_RATES_MAX) assert_false(known);
        // Who was refused is in the table twice: also as somebody who was told of.
        if (i > SKI_RATES_MAX + SKI_RATES_MAX * 5 / 8) assert_true(known);
    }
    ski_rates_free(rates);
}

static void an_address_is_one_whatever_its_port(void **state)
{
    static const struct {
        const char *peer, *address;
    } cases[] = {
        {"127.0.0.1:5000", "127.0.0.1"},
        {"10.1.2.3", "10.1.2.3"},
        {"local", "local"},
        {"", "unknown"},
        {"[2001:db8:1:2:3:4:5:6]:80", "2001:db8:1:2:"},
        {"[2001:db8:1:2:ffff::1]:81", "2001:db8:1:2:"},
        {"[2001:db8::1]:81", "2001:db8:"},
        {"[2001:db8::2]:81", "2001:db8:"},
        {"[::1]:81", ":"},
        {"[::ffff:10.0.0.1]:81", "10.0.0.1"},
    };
    char room[56];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        skald_str address = ski_rate_address(skald_str_of(cases[i].peer), room);

        if (!skald_str_equal(address, skald_str_of(cases[i].address)))
            print_error("%s: %.*s\n", cases[i].peer, SKALD_FMT(address));
        assert_true(skald_str_equal(address, skald_str_of(cases[i].address)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_empties_and_fills),
        cmocka_unit_test(the_table_has_an_end),
        cmocka_unit_test(an_address_is_one_whatever_its_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
