// SPDX-License-Identifier: Apache-2.0
#include "base/map.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { slots_max = 5000 };

// The caller's table: a hash for each slot, and whether it is in the map.
typedef struct table {
    ski_map map;
    uint64_t hashes[slots_max];
    bool there[slots_max];
    uint32_t count;
} table;

static table the_table; // large for a stack; each test begins by emptying it

static uint64_t table_hash(void *context, uint32_t slot)
{
    const table *of = context;

    assert_true(slot < slots_max);
    return of->hashes[slot];
}

static skald_err table_put(table *to, uint32_t slot)
{
    SKALD_TRY(ski_map_put(&to->map, to->hashes[slot], slot, table_hash, to));
    to->there[slot] = true;
    to->count++;
    return SKALD_OK;
}

static void table_remove(table *from, uint32_t slot)
{
    ski_map_remove(&from->map, from->hashes[slot], slot, table_hash, from);
    from->there[slot] = false;
    from->count--;
}

// finds tells how often a probe under the slot's hash gives the slot.
static unsigned finds(const table *in, uint32_t slot)
{
    uint32_t cursor = 0, found;
    unsigned times = 0;

    while ((found = ski_map_find(&in->map, in->hashes[slot], &cursor)) != SKI_MAP_NONE) {
        assert_true(in->there[found]);
        times += found == slot;
    }
    assert_int_equal(ski_map_find(&in->map, in->hashes[slot], &cursor), SKI_MAP_NONE); // stays
    return times;
}

static void assert_exact(const table *in)
{
    assert_int_equal(in->map.count, in->count);
    for (uint32_t slot = 0; slot < slots_max; slot++)
        assert_int_equal(finds(in, slot), in->there[slot] ? 1 : 0);
}

static int begin(void **state)
{
    memset(&the_table, 0, sizeof the_table);
    for (uint32_t slot = 0; slot < slots_max; slot++) {
        uint64_t hash = slot + 1;

        hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        the_table.hashes[slot] = hash ^ hash >> 27;
    }
    *state = &the_table;
    return 0;
}

static int end(void **state)
{
    table *of = *state;

    ski_alloc_fail_at(0);
    ski_map_fini(&of->map);
    return 0;
}

static void empty_finds_nothing_and_holds_nothing(void **state)
{
    table *of = *state;
    uint64_t before = ski_alloc_count();

    assert_int_equal(finds(of, 0), 0);
    ski_map_fini(&of->map);
    assert_int_equal(ski_alloc_count(), before);
}

static void it_grows_and_shrinks_in_use(void **state)
{
    table *of = *state;

    for (uint32_t slot = 0; slot < slots_max; slot++)
        assert_int_equal(table_put(of, slot), SKALD_OK);
    assert_exact(of);
    assert_true((uint64_t)of->map.count * 3 <= ((uint64_t)of->map.size_mask + 1) * 2);
    for (uint32_t slot = 0; slot < slots_max; slot += 2) table_remove(of, slot);
    assert_exact(of);
    for (uint32_t slot = 1; slot < slots_max; slot += 2) table_remove(of, slot);
    assert_exact(of);
    for (uint32_t i = 0; i <= of->map.size_mask; i++) // nothing is left behind
        assert_int_equal(of->map.entries[i].slot, SKI_MAP_NONE);
}

static void equal_hashes_give_every_slot(void **state)
{
    table *of = *state;
    bool seen[10] = {false};
    uint32_t cursor = 0, slot;

    for (slot = 0; slot < 10; slot++) {
        of->hashes[slot] = UINT64_C(0xdeadbeef00000003);
        assert_int_equal(table_put(of, slot), SKALD_OK);
    }
    while ((slot = ski_map_find(&of->map, of->hashes[0], &cursor)) != SKI_MAP_NONE) {
        assert_true(slot < 10 && !seen[slot]);
        seen[slot] = true;
    }
    for (slot = 0; slot < 10; slot++) assert_true(seen[slot]);
    table_remove(of, 4);
    for (slot = 0; slot < 10; slot++) assert_int_equal(finds(of, slot), slot != 4);
}

static void a_tag_tells_hashes_of_one_home_apart(void **state)
{
    table *of = *state;
    uint32_t cursor = 0;

    of->hashes[0] = UINT64_C(0x0000000100000005);
    of->hashes[1] = UINT64_C(0x0000000200000005);
    assert_int_equal(table_put(of, 0), SKALD_OK);
    assert_int_equal(ski_map_find(&of->map, of->hashes[1], &cursor), SKI_MAP_NONE);
    assert_int_equal(table_put(of, 1), SKALD_OK);
    cursor = 0;
    assert_int_equal(ski_map_find(&of->map, of->hashes[1], &cursor), 1);
    assert_int_equal(ski_map_find(&of->map, of->hashes[1], &cursor), SKI_MAP_NONE);
}

// Few homes near the end of a small table: probes are long, wrap around, and removals move entries.
static void random_use_with_crowded_homes(void **state)
{
    table *of = *state;
    uint32_t random = 7;
    enum { crowd = 40 };

    for (uint32_t slot = 0; slot < crowd; slot++)
        of->hashes[slot] = (uint64_t)slot << 32 | (0xfffffff8u + slot % 11);
    for (int step = 0; step < 20000; step++) {
        uint32_t slot;

        random = random * 1664525 + 1013904223;
        slot = (random >> 8) % crowd;
        if (of->there[slot])
            table_remove(of, slot);
        else
            assert_int_equal(table_put(of, slot), SKALD_OK);
        for (uint32_t other = 0; other < crowd; other++)
            assert_int_equal(finds(of, other), of->there[other]);
    }
}

static void each_allocation_may_fail(void **state)
{
    table *of = *state;

    for (uint32_t slot = 0; slot < 1000; slot++) {
        uint64_t before = ski_alloc_count();

        ski_alloc_fail_at(1);

        skald_err err = table_put(of, slot);

        if (err) {
            assert_int_equal(err, SKALD_ENOMEM);
            assert_int_equal(ski_alloc_count(), before + 1);
            assert_int_equal(of->map.count, slot);
            if (slot) assert_int_equal(finds(of, slot - 1), 1); // the old ones are still there
            assert_int_equal(finds(of, slot), 0);
            assert_int_equal(table_put(of, slot), SKALD_OK);
        }
        ski_alloc_fail_at(0);
    }
    assert_exact(of);
}

static void the_largest_size_is_the_end(void **state)
{
    (void)state;
    ski_map_entry nothing = {.slot = SKI_MAP_NONE};
    // As if 2^31 entries were two thirds full; the refusal comes before they are looked at.
    ski_map map = {.entries = &nothing, .size_mask = 0x7fffffff, .count = 1431655765};
    uint64_t before = ski_alloc_count();

    assert_int_equal(ski_map_put(&map, 1, 1, table_hash, &the_table), SKALD_ENOMEM);
    assert_int_equal(ski_alloc_count(), before);
    assert_int_equal(map.count, 1431655765);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(empty_finds_nothing_and_holds_nothing, begin, end),
        cmocka_unit_test_setup_teardown(it_grows_and_shrinks_in_use, begin, end),
        cmocka_unit_test_setup_teardown(equal_hashes_give_every_slot, begin, end),
        cmocka_unit_test_setup_teardown(a_tag_tells_hashes_of_one_home_apart, begin, end),
        cmocka_unit_test_setup_teardown(random_use_with_crowded_homes, begin, end),
        cmocka_unit_test_setup_teardown(each_allocation_may_fail, begin, end),
        cmocka_unit_test_setup_teardown(the_largest_size_is_the_end, begin, end),
    };

    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
