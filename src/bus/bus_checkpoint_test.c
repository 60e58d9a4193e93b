// SPDX-License-Identifier: Apache-2.0
#include "bus/checkpoint.h"

#include "base/buf.h"
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static skald_buf encoded(uint64_t cursor, const uint64_t *open, size_t count)
{
    skald_buf buf = {.bytes_max = SKI_CHECKPOINT_BYTES_MAX};

    assert_int_equal(ski_checkpoint_encode(&(ski_checkpoint){cursor, open, count}, &buf), SKALD_OK);
    return buf;
}

static skald_err decode(skald_str bytes, ski_checkpoint *ret_checkpoint, skald_arena *arena)
{
    skald_error error = {0};
    skald_err err = ski_checkpoint_decode(bytes, arena, ret_checkpoint, &error);

    if (err) assert_true(error.err == err && error.text[0]);
    return err;
}

static void comes_back_as_it_was(void **state)
{
    static const uint64_t open[] = {1, 2, 127, 128, 300, UINT64_MAX - 1};
    ski_checkpoint read;
    skald_arena *arena;

    (void)state;
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    for (size_t count = 0; count <= 6; count++) {
        uint64_t cursor = count == 6 ? UINT64_MAX : 300;
        skald_buf buf = encoded(cursor, open, count);

        assert_int_equal(decode(ski_buf_str(&buf), &read, arena), SKALD_OK);
        assert_int_equal(read.cursor, cursor);
        assert_int_equal(read.open_count, count);
        if (count) assert_memory_equal(read.open, open, count * sizeof(*open));
        assert_int_equal(ski_checkpoint_floor(&read), count ? 0 : cursor);
        skald_buf_fini(&buf);
    }
    skald_arena_free(arena);
}

static void the_largest_fits(void **state)
{
    static uint64_t open[SKI_CHECKPOINT_OPEN_MAX];
    skald_arena *arena;
    ski_checkpoint read;

    (void)state;
    for (size_t i = 0; i < SKI_CHECKPOINT_OPEN_MAX; i++) open[i] = (i + 1) << 40;
    assert_int_equal(skald_arena_new(4 << 20, &arena), SKALD_OK);
    skald_buf buf = encoded(UINT64_MAX, open, SKI_CHECKPOINT_OPEN_MAX);

    assert_int_equal(decode(ski_buf_str(&buf), &read, arena), SKALD_OK);
    assert_int_equal(read.open_count, SKI_CHECKPOINT_OPEN_MAX);
    skald_buf_fini(&buf);
    skald_arena_free(arena);
}

static void every_damage_is_seen(void **state)
{
    static const uint64_t open[] = {5, 9, 1000};
    skald_buf buf = encoded(2000, open, 3);
    skald_arena *arena;
    ski_checkpoint read;

    (void)state;
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    for (size_t len = 0; len < buf.len; len++)
        assert_int_equal(decode((skald_str){buf.ptr, len}, &read, arena), SKALD_ECORRUPT);
    for (size_t bit = 0; bit < buf.len * 8; bit++) {
        buf.ptr[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(decode(ski_buf_str(&buf), &read, arena), SKALD_ECORRUPT);
        buf.ptr[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_int_equal(decode(ski_buf_str(&buf), &read, arena), SKALD_OK);
    skald_buf_fini(&buf);
    skald_arena_free(arena);
}

// refused gives bytes a right checksum, so that what they say is judged.
static skald_err judged(const void *bytes, size_t len)
{
    char made[64];
    uint32_t crc = ski_crc32c(0, bytes, len);
    ski_checkpoint read;
    skald_arena *arena;

    memcpy(made, bytes, len);
    for (size_t i = 0; i < 4; i++) made[len + i] = (char)(crc >> (8 * i));
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    skald_err err = decode((skald_str){made, len + 4}, &read, arena);

    skald_arena_free(arena);
    return err;
}

#define JUDGED(literal) judged(literal, sizeof(literal) - 1)

static void nonsense_is_refused(void **state)
{
    (void)state;
    assert_int_equal(JUDGED("SKC\1\12\0"), SKALD_OK);
    assert_int_equal(JUDGED("SKC\1\12\1\3"), SKALD_OK);
    assert_int_equal(JUDGED("SKC\2\12\0"), SKALD_EUNSUPPORTED); // of a later version
    assert_int_equal(JUDGED("SKD\1\12\0"), SKALD_ECORRUPT);
    assert_int_equal(JUDGED("SKC\1\12\1\0"), SKALD_ECORRUPT);   // does not rise
    assert_int_equal(JUDGED("SKC\1\12\1\13"), SKALD_ECORRUPT);  // above the cursor
    assert_int_equal(JUDGED("SKC\1\12\2\5\6"), SKALD_ECORRUPT); // the second is
    assert_int_equal(JUDGED("SKC\1\12\2\5"), SKALD_ECORRUPT);   // too few
    assert_int_equal(JUDGED("SKC\1\12\1\3\0"), SKALD_ECORRUPT); // too many
    assert_int_equal(JUDGED("SKC\1\12\x80\0"), SKALD_ECORRUPT); // longer than need be
    assert_int_equal(JUDGED("SKC\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0"), SKALD_ECORRUPT);
    assert_int_equal(JUDGED("SKC\1\12\xff\xff\xff\x7f"), SKALD_ECORRUPT);
    assert_int_equal(JUDGED("SKC\1\12\x80"), SKALD_ECORRUPT);
}

static void without_room_nothing_changes(void **state)
{
    static const uint64_t open[] = {5, 9};
    skald_buf buf = {.bytes_max = 8};

    (void)state;
    assert_int_equal(skald_buf_put(&buf, SKALD_STR("ab")), SKALD_OK);
    assert_int_equal(ski_checkpoint_encode(&(ski_checkpoint){10, open, 2}, &buf), SKALD_EFULL);
    assert_int_equal(buf.len, 2);
    skald_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),         cmocka_unit_test(the_largest_fits),
        cmocka_unit_test(every_damage_is_seen),         cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(without_room_nothing_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
