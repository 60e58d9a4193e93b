// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef uint32_t crc_fn(uint32_t crc, const void *bytes, size_t len);

static crc_fn *const both[] = {ski_crc32c, ski_crc32c_portable};

enum { bytes_max = 8192 };

static uint8_t bytes[bytes_max];

static int bytes_fill(void **state)
{
    uint32_t random = 12345;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(random >> 24);
    }
    return 0;
}

// crc_bitwise is the definition.
static uint32_t crc_bitwise(uint32_t crc, const uint8_t *at, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void crc_vectors(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], rising[32], falling[32];

    for (int i = 0; i < 32; i++) {
        ones[i] = 0xff;
        rising[i] = (uint8_t)i;
        falling[i] = (uint8_t)(31 - i);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(both[i](0, "123456789", 9), 0xe3069283);
        assert_int_equal(both[i](0, zeros, 32), 0x8a9136aa); // RFC 3720 B.4
        assert_int_equal(both[i](0, ones, 32), 0x62a8ab43);
        assert_int_equal(both[i](0, rising, 32), 0x46dd794e);
        assert_int_equal(both[i](0, falling, 32), 0x113fdb5c);
        assert_int_equal(both[i](0, NULL, 0), 0);
        assert_int_equal(both[i](4711, NULL, 0), 4711);
    }
}

static void both_crcs_are_the_definition(void **state)
{
    (void)state;
    for (size_t len = 0; len < 1700; len += len < 300 ? 1 : 13) {
        for (size_t shift = 0; shift < 8; shift++) {
            uint32_t begin = (uint32_t)(len * 2654435761u);
            uint32_t want = crc_bitwise(begin, bytes + shift, len);

            assert_int_equal(ski_crc32c(begin, bytes + shift, len), want);
            assert_int_equal(ski_crc32c_portable(begin, bytes + shift, len), want);
        }
    }
}

static void both_crcs_agree_on_random_pieces(void **state)
{
    (void)state;
    uint32_t random = 1;

    for (int i = 0; i < 3000; i++) {
        random = random * 1664525 + 1013904223;

        size_t from = random >> 8 & 63, len = (random >> 14) % (bytes_max - 63);

        assert_int_equal(ski_crc32c(random, bytes + from, len),
                         ski_crc32c_portable(random, bytes + from, len));
    }
}

static void a_crc_goes_on_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint32_t want = both[i](0, bytes, 2000);

        for (size_t cut = 0; cut <= 2000; cut += 7)
            assert_int_equal(both[i](both[i](0, bytes, cut), bytes + cut, 2000 - cut), want);
    }
}

// These values are written to disk: they may never change.
static void hashes_are_fixed(void **state)
{
    (void)state;
    assert_true(ski_hash64(0, "", 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(ski_hash64(0, NULL, 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(ski_hash64(0, "invoice-42", 10) == UINT64_C(0x3a9e97ad61839f7b));
    assert_true(ski_hash64(7, "invoice-42", 10) == UINT64_C(0x2d03ee976c61e0c4));
    assert_true(ski_hash64(7, bytes, 1000) == UINT64_C(0xcc8b8df06bab6275));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_vectors),
        cmocka_unit_test(both_crcs_are_the_definition),
        cmocka_unit_test(both_crcs_agree_on_random_pieces),
        cmocka_unit_test(a_crc_goes_on_anywhere),
        cmocka_unit_test(hashes_are_fixed),
    };

    return cmocka_run_group_tests_name("hash", tests, bytes_fill, NULL);
}
