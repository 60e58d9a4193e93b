// SPDX-License-Identifier: Apache-2.0
// Ids in every order: those that rise are found where they stand, the others in a map; of whoever
// was erased or taken back nothing is found.
#include "base/alloc.h"
#include "store/handle.h"
#include "store/memory/memory_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static skald_store *store_new(void)
{
    skald_store *store = NULL;

    assert_int_equal(skald_store_open("memory:", NULL, &store, NULL), SKALD_OK);
    return store;
}

static skald_uuid id_of(uint32_t number)
{
    return (skald_uuid){
        {1, (uint8_t)(number >> 16), (uint8_t)(number >> 8), 0, 0, 0, 0, 0, 0, (uint8_t)number}};
}

static skald_event event_of(const char *tenant, uint32_t number, const char *stream)
{
    return (skald_event){.type = SKALD_STR("t.x"),
                         .tenant = skald_str_of(tenant),
                         .stream = skald_str_of(stream),
                         .id = id_of(number)};
}

static skald_err add(skald_store *store, const char *tenant, uint32_t number)
{
    skald_event event = event_of(tenant, number, NULL);

    return skald_store_append(store, &event, 1, NULL, NULL, NULL);
}

static uint64_t find(skald_store *store, const char *tenant, uint32_t number)
{
    const ski_memory *memory = store->instance;

    return ski_memory_ids_find(memory, skald_str_of(tenant), id_of(number));
}

static uint32_t others(skald_store *store)
{
    return ((const ski_memory *)store->instance)->ids.others.count;
}

static void rising_and_falling_are_found(void **state)
{
    static const uint32_t numbers[] = {10, 20, 15, 30, 5, 31, 29};
    skald_store *store = store_new();

    (void)state;
    assert_int_equal(find(store, "", 0), 0);
    assert_int_equal(find(store, "", 10), 0);
    for (uint32_t i = 0; i < 7; i++) assert_int_equal(add(store, "", numbers[i]), SKALD_OK);
    for (uint32_t i = 0; i < 7; i++) assert_int_equal(find(store, "", numbers[i]), i + 1);
    assert_int_equal(others(store), 3);
    assert_int_equal(find(store, "", 16), 0);
    assert_int_equal(find(store, "", 4), 0);
    assert_int_equal(find(store, "", 32), 0);
    skald_store_close(store);
}

static void an_id_is_a_tenants_own(void **state)
{
    skald_store *store = store_new();

    (void)state;
    assert_int_equal(add(store, "a", 10), SKALD_OK);
    assert_int_equal(find(store, "b", 10), 0);
    assert_int_equal(add(store, "b", 10), SKALD_OK);
    assert_int_equal(find(store, "a", 10), 1);
    assert_int_equal(find(store, "b", 10), 2);
    assert_int_equal(find(store, "", 10), 0);
    skald_store_close(store);
}

// Over many chunks, in an order in which some rise, many fall, and whole chunks do not rise at all.
static void in_many_chunks(void **state)
{
    enum { count = 3000, least = 100 };
    skald_store *store = store_new();
    uint32_t numbers[count];

    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = i < 1000 ? 10000 + 7 * (i ^ 5) : i < 2000 ? least + i : 20000 + 3 * i;
        assert_int_equal(add(store, "", numbers[i]), SKALD_OK);
    }
    assert_true(others(store) > 1000 && others(store) < 2000);
    for (uint32_t i = 0; i < count; i++) assert_int_equal(find(store, "", numbers[i]), i + 1);
    for (uint32_t number = 1; number < least; number++)
        assert_int_equal(find(store, "", number), 0);
    for (uint32_t i = 0; i < count; i++) assert_int_equal(find(store, "b", numbers[i]), 0);
    assert_int_equal(find(store, "", 10001), 0);
    assert_int_equal(find(store, "", 26001), 0);
    skald_store_close(store);
}

// What a failed append took back may come again: it does not rise any more, and is found.
static void what_is_taken_back_may_come_again(void **state)
{
    bool failed = true;

    (void)state;
    for (uint64_t n = 1; failed; n++) {
        skald_store *store = store_new();
        skald_event events[4] = {event_of("", 20, "s-1"), event_of("", 15, "s-2"),
                                 event_of("", 30, "s-3"), event_of("", 25, "s-4")};
        skald_err err;

        assert_int_equal(add(store, "", 10), SKALD_OK);
        ski_alloc_fail_at(n);
        err = skald_store_append(store, events, 4, NULL, NULL, NULL);
        ski_alloc_fail_at(0);
        failed = err != SKALD_OK;
        if (failed) {
            assert_int_equal(err, SKALD_ENOMEM);
            for (uint32_t number = 11; number < 40; number++)
                assert_int_equal(find(store, "", number), 0);
            assert_int_equal(others(store), 0);
            assert_int_equal(skald_store_append(store, events, 4, NULL, NULL, NULL), SKALD_OK);
        }
        assert_int_equal(find(store, "", 10), 1);
        assert_int_equal(find(store, "", 20), 2);
        assert_int_equal(find(store, "", 15), 3);
        assert_int_equal(find(store, "", 30), 4);
        assert_int_equal(find(store, "", 25), 5);
        skald_store_close(store);
        if (!failed) assert_true(n > 8);
    }
}

// An id that the highest was erased above is not one that rises: its like may stand in the map.
static void the_erased_are_not_found(void **state)
{
    skald_store *store = store_new();
    skald_event first = event_of("", 20, "s-1"), second = event_of("", 10, "s-2");
    skald_stream_meta meta = {.truncate_before = 100};

    (void)state;
    assert_int_equal(skald_store_append(store, &first, 1, NULL, NULL, NULL), SKALD_OK);
    assert_int_equal(skald_store_append(store, &second, 1, NULL, NULL, NULL), SKALD_OK);
    assert_int_equal(add(store, "", 30), SKALD_OK);
    assert_int_equal(skald_stream_meta_set(store, SKALD_STR(""), SKALD_STR("s-1"), &meta, NULL),
                     SKALD_OK);
    assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_OK);
    assert_int_equal(find(store, "", 20), 0);
    assert_int_equal(find(store, "", 10), 2);
    assert_int_equal(find(store, "", 30), 3);
    assert_int_equal(add(store, "", 20), SKALD_OK);
    assert_int_equal(find(store, "", 20), 4);
    assert_int_equal(skald_stream_meta_set(store, SKALD_STR(""), SKALD_STR("s-2"), &meta, NULL),
                     SKALD_OK);
    assert_int_equal(skald_store_compact(store, NULL, NULL, NULL), SKALD_OK);
    assert_int_equal(find(store, "", 10), 0);
    assert_int_equal(others(store), 1);
    skald_store_close(store);
}

static void ignore(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

// Ids that were just made are not looked for; once they are stored they are.
static void what_was_just_made_is_looked_for_again(void **state)
{
    skald_store *store = store_new();
    skald_event events[] = {event_of("", 10, "s"), event_of("", 20, "s")};
    skald_err told = SKALD_ENOMEM;
    skald_store_batch batch = {
        .events = events, .event_count = 2, .ids_made = true, .done = ignore, .context = &told};

    (void)state;
    for (int times = 0; times < 3; times++) {
        assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
        assert_int_equal(told, SKALD_OK);
        assert_int_equal(batch.appended.repeated, times > 0);
        assert_int_equal(batch.appended.position_first, 1);
        assert_int_equal(((const ski_memory *)store->instance)->count, 2);
    }
    events[1].type = SKALD_STR("t.other");
    assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
    assert_int_equal(told, SKALD_EEXISTS);
    skald_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rising_and_falling_are_found),
        cmocka_unit_test(an_id_is_a_tenants_own),
        cmocka_unit_test(in_many_chunks),
        cmocka_unit_test(what_is_taken_back_may_come_again),
        cmocka_unit_test(the_erased_are_not_found),
        cmocka_unit_test(what_was_just_made_is_looked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
