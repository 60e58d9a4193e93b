// SPDX-License-Identifier: Apache-2.0
// Ids in every order, beside a plain array of events; what was erased is not found and makes room.
#include "base/alloc.h"
#include "store/memory/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { events_max = 6000 };

// The event at position p is events[p - 1]; erased, its position is 0.
typedef struct shelf {
    skald_event events[events_max];
    uint32_t count;
    ski_memory_ids ids;
} shelf;

static const skald_event *event_at(void *context, uint64_t position)
{
    const shelf *on = context;
    const skald_event *event = &on->events[position - 1];

    return event->position ? event : NULL;
}

static shelf *shelf_new(void)
{
    shelf *made = ski_alloc_zeroed(1, sizeof(*made));

    assert_non_null(made);
    made->ids = (ski_memory_ids){.seed = 7, .event_at = event_at, .context = made};
    return made;
}

static void shelf_free(shelf *on)
{
    ski_memory_ids_fini(&on->ids);
    ski_free(on);
}

static skald_uuid id_of(uint32_t number)
{
    return (skald_uuid){{1, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
}

static skald_err add(shelf *on, const char *tenant, uint32_t number)
{
    uint32_t position = on->count + 1;
    skald_event *event = &on->events[on->count];

    *event =
        (skald_event){.id = id_of(number), .tenant = skald_str_of(tenant), .position = position};
    skald_err err = ski_memory_ids_add(&on->ids, event, position);

    if (!err) on->count++;
    return err;
}

static void erase(shelf *on, uint32_t position)
{
    ski_memory_ids_forget(&on->ids, &on->events[position - 1], position);
    on->events[position - 1] = (skald_event){0};
}

static uint64_t find(const shelf *on, const char *tenant, uint32_t number)
{
    return ski_memory_ids_find(&on->ids, skald_str_of(tenant), id_of(number));
}

static void rising_and_falling_are_found(void **state)
{
    static const uint32_t numbers[] = {10, 20, 15, 30, 5, 31, 29};
    shelf *on = shelf_new();

    (void)state;
    assert_int_equal(find(on, "", 10), 0);
    for (uint32_t i = 0; i < 7; i++) assert_int_equal(add(on, "", numbers[i]), SKALD_OK);
    for (uint32_t i = 0; i < 7; i++) assert_int_equal(find(on, "", numbers[i]), i + 1);
    assert_int_equal(on->ids.count, 4);
    assert_int_equal(on->ids.others.count, 3);
    assert_int_equal(find(on, "", 16), 0);
    assert_int_equal(find(on, "", 4), 0);
    assert_int_equal(find(on, "", 32), 0);
    shelf_free(on);
}

static void an_id_is_a_tenants_own(void **state)
{
    shelf *on = shelf_new();

    (void)state;
    assert_int_equal(add(on, "a", 10), SKALD_OK);
    assert_int_equal(find(on, "b", 10), 0);
    assert_int_equal(add(on, "b", 10), SKALD_OK);
    assert_int_equal(find(on, "a", 10), 1);
    assert_int_equal(find(on, "b", 10), 2);
    assert_int_equal(find(on, "", 10), 0);
    erase(on, 1);
    assert_int_equal(find(on, "a", 10), 0);
    assert_int_equal(find(on, "b", 10), 2);
    erase(on, 2);
    assert_int_equal(find(on, "b", 10), 0);
    shelf_free(on);
}

static void what_is_taken_back_may_come_again(void **state)
{
    shelf *on = shelf_new();

    (void)state;
    assert_int_equal(add(on, "", 10), SKALD_OK);
    assert_int_equal(add(on, "", 20), SKALD_OK);
    assert_int_equal(add(on, "", 15), SKALD_OK);
    for (; on->count > 1; on->count--)
        ski_memory_ids_drop(&on->ids, &on->events[on->count - 1], on->count);
    assert_int_equal(find(on, "", 20), 0);
    assert_int_equal(find(on, "", 15), 0);
    assert_int_equal(add(on, "", 20), SKALD_OK);
    assert_int_equal(find(on, "", 20), 2);
    assert_int_equal(find(on, "", 10), 1);
    shelf_free(on);
}

// An id that the highest was erased above is not one that rises: its like may stand in the map.
static void the_highest_is_remembered(void **state)
{
    shelf *on = shelf_new();

    (void)state;
    assert_int_equal(add(on, "", 20), SKALD_OK);
    assert_int_equal(add(on, "", 10), SKALD_OK);
    erase(on, 1);
    assert_int_equal(find(on, "", 10), 2);
    assert_int_equal(add(on, "", 20), SKALD_OK);
    assert_int_equal(find(on, "", 20), 3);
    shelf_free(on);
}

static void the_erased_make_room(void **state)
{
    shelf *on = shelf_new();

    (void)state;
    for (uint32_t i = 1; i <= events_max; i++) {
        assert_int_equal(add(on, "", i), SKALD_OK);
        if (i > 20) erase(on, i - 20);
    }
    assert_int_equal(on->ids.size, 64);
    assert_int_equal(find(on, "", events_max - 20), 0);
    for (uint32_t i = events_max - 19; i <= events_max; i++) assert_int_equal(find(on, "", i), i);
    shelf_free(on);
}

static void without_memory_nothing_changes(void **state)
{
    shelf *on = shelf_new();

    (void)state;
    ski_alloc_fail_at(1);
    assert_int_equal(add(on, "", 10), SKALD_ENOMEM);
    assert_int_equal(find(on, "", 10), 0);
    assert_int_equal(add(on, "", 10), SKALD_OK);
    ski_alloc_fail_at(1);
    assert_int_equal(add(on, "", 5), SKALD_ENOMEM);
    ski_alloc_fail_at(0);
    assert_int_equal(find(on, "", 5), 0);
    assert_int_equal(find(on, "", 10), 1);
    shelf_free(on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rising_and_falling_are_found),
        cmocka_unit_test(an_id_is_a_tenants_own),
        cmocka_unit_test(what_is_taken_back_may_come_again),
        cmocka_unit_test(the_highest_is_remembered),
        cmocka_unit_test(the_erased_make_room),
        cmocka_unit_test(without_memory_nothing_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
