// SPDX-License-Identifier: Apache-2.0
#include "base/uuid.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

static const uint8_t seed[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static skald_uuid parsed(const char *text)
{
    skald_uuid uuid;

    assert_int_equal(skald_uuid_parse(skald_str_of(text), &uuid), SKALD_OK);
    return uuid;
}

static void assert_prints(skald_uuid uuid, const char *want)
{
    char text[SKALD_UUID_TEXT + 1];

    skald_uuid_print(uuid, text);
    assert_string_equal(text, want);
}

static void text_goes_in_and_out(void **state)
{
    (void)state;
    skald_uuid uuid = parsed("0192aBcD-eF01-7123-8abc-DEF012345678");
    static const uint8_t want[16] = {0x01, 0x92, 0xab, 0xcd, 0xef, 0x01, 0x71, 0x23,
                                     0x8a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78};

    assert_memory_equal(uuid.bytes, want, 16);
    assert_prints(uuid, "0192abcd-ef01-7123-8abc-def012345678");
    assert_prints((skald_uuid){{0}}, "00000000-0000-0000-0000-000000000000");
    assert_false(skald_uuid_given(parsed("00000000-0000-0000-0000-000000000000")));
    assert_true(skald_uuid_given(parsed("00000000-0000-0000-0000-000000000001")));
    assert_true(skald_uuid_equal(uuid, parsed("0192abcd-ef01-7123-8abc-def012345678")));
    assert_false(skald_uuid_equal(uuid, parsed("0192abcd-ef01-7123-8abc-def012345679")));
}

static void any_wrong_byte_is_refused(void **state)
{
    (void)state;
    static const char good[] = "0192abcd-ef01-7123-8abc-def012345678";
    static const char wrong[] = "-gG/:@`{ \n\xff";
    skald_uuid uuid = parsed(good), before = uuid;

    for (size_t at = 0; at < SKALD_UUID_TEXT; at++) {
        for (size_t i = 0; i < sizeof wrong; i++) { // its NUL too
            char text[sizeof good];

            memcpy(text, good, sizeof good);
            if (text[at] == wrong[i]) continue;
            text[at] = wrong[i];
            assert_int_equal(skald_uuid_parse(ski_str(text, SKALD_UUID_TEXT), &uuid),
                             SKALD_EINVALID);
        }
        assert_int_equal(skald_uuid_parse(ski_str(good, at), &uuid), SKALD_EINVALID);
    }
    assert_int_equal(skald_uuid_parse(SKALD_STR("0192abcdef0171238abcdef012345678"), &uuid),
                     SKALD_EINVALID);
    assert_int_equal(skald_uuid_parse(SKALD_STR("0192abcd-ef01-7123-8abc-def0123456789"), &uuid),
                     SKALD_EINVALID);
    assert_int_equal(skald_uuid_parse((skald_str){NULL, 0}, &uuid), SKALD_EINVALID);
    assert_true(skald_uuid_equal(uuid, before)); // untouched
}

static void names_give_version_5(void **state)
{
    (void)state;
    skald_uuid dns = parsed("6ba7b810-9dad-11d1-80b4-00c04fd430c8");

    // RFC 9562 A.4
    assert_prints(skald_uuid_named(dns, SKALD_STR("www.example.com")),
                  "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    // Python's documentation of uuid5
    assert_prints(skald_uuid_named(dns, SKALD_STR("python.org")),
                  "886313e1-3b8a-5372-9b90-0c9aee199e5d");
    assert_true(skald_uuid_equal(skald_uuid_named(dns, (skald_str){NULL, 0}),
                                 skald_uuid_named(dns, SKALD_STR(""))));
}

static bool crypto_fails; // read by the allocator below, which OpenSSL calls

static void *crypto_alloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return crypto_fails ? NULL : malloc(size);
}

static void *crypto_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return crypto_fails ? NULL : realloc(old, size);
}

static void crypto_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

static void without_memory_a_name_gives_nothing(void **state)
{
    (void)state;
    skald_uuid dns = parsed("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    skald_uuid uuid;

    crypto_fails = true;
    uuid = skald_uuid_named(dns, SKALD_STR("python.org"));
    crypto_fails = false;
    assert_false(skald_uuid_given(uuid));
    assert_true(skald_uuid_given(skald_uuid_named(dns, SKALD_STR("python.org"))));
}

static ski_uuid_maker maker_new(void)
{
    ski_uuid_maker maker = {0};

    ski_uuid_seed(&maker, seed);
    return maker;
}

static uint64_t uuid_ms(skald_uuid uuid)
{
    uint64_t ms = 0;

    for (int i = 0; i < 6; i++) ms = ms << 8 | uuid.bytes[i];
    return ms;
}

static void assert_rises(skald_uuid *last, skald_uuid next)
{
    assert_true(memcmp(last->bytes, next.bytes, 16) < 0);
    assert_int_equal(next.bytes[6] >> 4, 7);
    assert_int_equal(next.bytes[8] >> 6, 2);
    *last = next;
}

static void version_7_carries_the_time(void **state)
{
    (void)state;
    ski_uuid_maker maker = maker_new();
    skald_time now = INT64_C(1645557742000) * 1000 + 999; // the example of RFC 9562 A.6
    skald_uuid uuid = ski_uuid_v7(&maker, now);

    assert_int_equal(uuid_ms(uuid), 0x017f22e279b0);
    assert_int_equal(uuid.bytes[6] >> 4, 7);
    assert_int_equal(uuid.bytes[8] >> 6, 2);
}

static void ids_rise_within_a_millisecond(void **state)
{
    (void)state;
    ski_uuid_maker maker = maker_new();
    skald_uuid last = {{0}};

    for (int i = 0; i < 10000; i++) assert_rises(&last, ski_uuid_v7(&maker, 5000000));
    assert_int_equal(uuid_ms(last), 5000);
}

static void ids_rise_when_the_clock_goes_back(void **state)
{
    (void)state;
    ski_uuid_maker maker = maker_new();
    skald_uuid last = {{0}};
    static const skald_time times[] = {9000000, 8000000,   9000999,   0, -5,
                                       9001000, INT64_MIN, INT64_MAX, 1, INT64_MAX};

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        assert_rises(&last, ski_uuid_v7(&maker, times[i]));
    assert_int_equal(uuid_ms(last), (UINT64_C(1) << 48) - 1);
}

static void a_full_counter_borrows_a_millisecond(void **state)
{
    (void)state;
    ski_uuid_maker maker = maker_new();
    skald_uuid last = ski_uuid_v7(&maker, 7000000);

    assert_true(maker.counter < UINT64_C(1) << 41); // at least half of it is room
    maker.counter = (UINT64_C(1) << 42) - 2;
    assert_rises(&last, ski_uuid_v7(&maker, 7000000));
    assert_int_equal(uuid_ms(last), 7000);
    assert_rises(&last, ski_uuid_v7(&maker, 7000000));
    assert_int_equal(uuid_ms(last), 7001);
    assert_rises(&last, ski_uuid_v7(&maker, 7000000));
    assert_int_equal(uuid_ms(last), 7001);
}

static void makers_differ_by_their_seed(void **state)
{
    (void)state;
    static const uint8_t zero[16] = {0};
    ski_uuid_maker a = maker_new(), b = maker_new(), c = {0};

    ski_uuid_seed(&c, zero);

    skald_uuid of_a = ski_uuid_v7(&a, 1000), of_c = ski_uuid_v7(&c, 1000);

    assert_true(skald_uuid_equal(of_a, ski_uuid_v7(&b, 1000)));
    assert_false(skald_uuid_equal(of_a, of_c));
    // Not even a seed of zeros leaves the random part still.
    skald_uuid next = ski_uuid_v7(&c, 2000), further = ski_uuid_v7(&c, 3000);

    assert_true(memcmp(next.bytes + 12, further.bytes + 12, 4) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_goes_in_and_out),
        cmocka_unit_test(any_wrong_byte_is_refused),
        cmocka_unit_test(names_give_version_5),
        cmocka_unit_test(without_memory_a_name_gives_nothing),
        cmocka_unit_test(version_7_carries_the_time),
        cmocka_unit_test(ids_rise_within_a_millisecond),
        cmocka_unit_test(ids_rise_when_the_clock_goes_back),
        cmocka_unit_test(a_full_counter_borrows_a_millisecond),
        cmocka_unit_test(makers_differ_by_their_seed),
    };

    // Only before OpenSSL's first allocation.
    if (!CRYPTO_set_mem_functions(crypto_alloc, crypto_realloc, crypto_free)) return 1;
    return cmocka_run_group_tests_name("uuid", tests, NULL, NULL);
}
