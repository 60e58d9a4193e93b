// SPDX-License-Identifier: Apache-2.0
// Hexadecimal: every byte in every place, there and back; and what is no digit, in every place.
#include "base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_every_byte(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 8; at++) {
            uint8_t bytes[8] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}, back[8] = {0};
            char digits[17] = "................", due[17] = "";

            bytes[at] = (uint8_t)byte;
            for (size_t i = 0; i < 8; i++) (void)snprintf(due + 2 * i, 3, "%02x", bytes[i]);
            ski_hex_put(bytes, sizeof bytes, digits);
            assert_memory_equal(digits, due, sizeof due - 1);
            assert_true(ski_hex_get(digits, sizeof back, back));
            assert_memory_equal(back, bytes, sizeof bytes);
        }
    }
}

static void test_no_digit(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool due = byte && strchr("0123456789abcdef", (int)byte);

        for (size_t at = 0; at < 16; at++) {
            char digits[] = "0f1e2d3c4b5a6978";
            uint8_t back[8];

            digits[at] = (char)byte;
            assert_int_equal(ski_hex_get(digits, sizeof back, back), due);
        }
    }
}

// What is read sixteen bytes at a time is read as what is read four at a time, whatever it is.
static void test_long_as_short(void **state)
{
    static const char good[] = "00112233445566778899aabbccddeeff0123456789abcdeffedcba98";
    char digits[sizeof good];
    uint8_t all[28], some[4];

    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < sizeof good - 1; at++) {
            bool right = true, same = true;

            memcpy(digits, good, sizeof good);
            digits[at] = (char)byte;
            bool read = ski_hex_get(digits, sizeof all, all);
            for (size_t i = 0; i < sizeof all; i += sizeof some) {
                right &= ski_hex_get(digits + 2 * i, sizeof some, some);
                same &= memcmp(some, all + i, sizeof some) == 0;
            }
            assert_int_equal(read, right);
            assert_true(!read || same);
        }
    }
}

static void test_one_digit(void **state)
{
    static const char digits[] = "0123456789abcdefABCDEF";

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char *at = byte ? strchr(digits, byte) : NULL;
        int due = !at ? -1 : at - digits < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
        assert_int_equal(ski_hex_digit((char)byte), due);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    char digits[1] = "x";
    uint8_t bytes[1] = {7};

    ski_hex_put(bytes, 0, digits);
    assert_int_equal(digits[0], 'x');
    assert_true(ski_hex_get(digits, 0, bytes));
    assert_int_equal(bytes[0], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte),    cmocka_unit_test(test_no_digit),
        cmocka_unit_test(test_long_as_short), cmocka_unit_test(test_one_digit),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
