// SPDX-License-Identifier: Apache-2.0
// The index in memory and its postings, the window of several, recent ids, totals, and the values.
#include "base/alloc.h"
#include "store/log/recent.h"
#include "store/log/scan.h"
#include "store/log/totals.h"
#include "store/log/values.h"
#include "store/log/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_postings_grow_and_shrink(void **state)
{
    ski_postings postings = {0};
    uint64_t bytes = 0;

    (void)state;
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(ski_postings_add(&postings, 3 * (uint64_t)i + 1, &bytes), SKALD_OK);
    }
    for (uint32_t i = 0; i < 5000; i++) assert_int_equal(ski_postings_at(&postings, i), 3 * i + 1);
    assert_int_equal(ski_postings_after(&postings, 0), 0);
    assert_int_equal(ski_postings_after(&postings, 1), 1);
    assert_int_equal(ski_postings_after(&postings, 3), 1);
    assert_int_equal(ski_postings_after(&postings, 4), 2);
    assert_int_equal(ski_postings_after(&postings, UINT64_MAX), 5000);
    assert_true(bytes >= 4998 * sizeof(uint32_t) && bytes < 3 * 5000 * sizeof(uint32_t));
    for (uint32_t i = 0; i < 4999; i++) ski_postings_drop(&postings);
    assert_int_equal(ski_postings_add(&postings, 2, &bytes), SKALD_OK);
    assert_int_equal(ski_postings_at(&postings, 1), 2);
    ski_postings_fini(&postings);
}

static skald_event event_of(char *room, size_t size, unsigned n)
{
    skald_event event = {.type = n % 2 ? SKALD_STR("odd.number") : SKALD_STR("even.number"),
                         .tenant = n % 5 ? SKALD_STR("acme") : SKALD_STR("")};

    (void)snprintf(room, size, "stream-%u", n % 7);
    if (n % 3) event.stream = skald_str_of(room);
    if (n % 4) event.correlation_id = (skald_str){room, 7 + n % 2};
    memcpy(event.id.bytes, &n, sizeof n);
    event.id.bytes[15] = 1;
    return event;
}

static skald_err index_add(ski_index *index, unsigned n, uint64_t *ret_version, uint64_t *ret_prev)
{
    char room[32];
    skald_event event = event_of(room, sizeof room, n);
    ski_index_hashes hashes;
    ski_index_head before = {0};
    ski_index_row row = {.place = ski_place_make(1, 8 * (uint64_t)n, 100), .recorded_at = n};

    ski_index_hash(index->seed, &event, &hashes);
    row.id_hash = hashes.id;
    return ski_index_add(index, &event, &hashes, &row, NULL, &before, 0, ret_version, ret_prev);
}

static void index_drop(ski_index *index, unsigned n)
{
    char room[32];
    skald_event event = event_of(room, sizeof room, n);
    ski_index_hashes hashes;

    ski_index_hash(index->seed, &event, &hashes);
    ski_index_drop(index, &event, &hashes);
}

static void test_index_versions_and_predecessors(void **state)
{
    ski_index index;
    uint64_t last[2][7] = {{0}}, versions[2][7] = {{0}};

    (void)state;
    ski_index_init(&index, 42, 0);
    for (unsigned n = 1; n <= 3000; n++) {
        uint64_t version = 0, prev = 0;
        unsigned tenant = n % 5 != 0, stream = n % 7;

        assert_int_equal(index_add(&index, n, &version, &prev), SKALD_OK);
        if (n % 3) {
            assert_int_equal(version, ++versions[tenant][stream]);
            assert_int_equal(prev, last[tenant][stream]);
            last[tenant][stream] = n;
        } else {
            assert_int_equal(version, 0);
            assert_int_equal(prev, 0);
        }
    }
    assert_int_equal(index.count, 3000);
    assert_int_equal(index.streams.table.count, 14);
    assert_int_equal(index.types.table.count, 4);
    assert_int_equal(index.tenant_count, 2);
    assert_int_equal(ski_index_from(&index, 0, 3000), 1);
    assert_int_equal(ski_index_from(&index, 77, 3000), 77);
    assert_int_equal(ski_index_from(&index, 5000, 3000), 3001);
    assert_true(ski_index_bytes(&index) > 3000 * sizeof(ski_index_row));
    ski_index_fini(&index);
}

static void test_index_takes_back_what_was_added(void **state)
{
    ski_index index;
    uint64_t version = 0, prev = 0, version_again = 0, prev_again = 0;

    (void)state;
    ski_index_init(&index, 42, 0);
    for (unsigned n = 1; n <= 100; n++) {
        assert_int_equal(index_add(&index, n, &version, &prev), SKALD_OK);
    }
    for (unsigned n = 51; n <= 100; n++) index_drop(&index, n);
    ski_index_cut(&index, 50);
    assert_int_equal(ski_index_last(&index), 50);
    for (unsigned n = 51; n <= 100; n++) {
        assert_int_equal(index_add(&index, n, &version_again, &prev_again), SKALD_OK);
    }
    assert_int_equal(version_again, version);
    assert_int_equal(prev_again, prev);
    ski_index_fini(&index);
}

// Each allocation fails once: the add says so, changes nothing, and succeeds when tried again.
static void test_index_without_memory(void **state)
{
    ski_index index;
    uint64_t failures = 0;

    (void)state;
    ski_index_init(&index, 42, 0);
    for (unsigned n = 1; n <= 1500; n++) {
        uint64_t version = 0, prev = 0, types = index.types.table.count;
        skald_err err = SKALD_ENOMEM;

        for (uint64_t at = 1; err; at++) {
            ski_alloc_fail_at(at);
            err = index_add(&index, n, &version, &prev);
            ski_alloc_fail_at(0);
            if (!err) break;
            failures++;
            assert_int_equal(err, SKALD_ENOMEM);
            assert_int_equal(index.count, n - 1);
        }
        assert_true(index.types.table.count <= types + 1);
    }
    assert_true(failures > 50);
    ski_index_fini(&index);
}

static void test_index_events_that_are_missing(void **state)
{
    ski_index index;
    uint64_t version = 0, prev = 0;

    (void)state;
    ski_index_init(&index, 42, 0);
    assert_int_equal(index_add(&index, 1, &version, &prev), SKALD_OK);
    assert_int_equal(ski_index_add_missing(&index, 3), SKALD_OK);
    assert_int_equal(index_add(&index, 5, &version, &prev), SKALD_OK);
    assert_int_equal(index.count, 5);
    assert_true(ski_index_row_of(&index, 3)->place == SKI_INDEX_NO_PLACE);
    assert_int_equal(ski_index_row_of(&index, 3)->recorded_at, 1);
    assert_int_equal(ski_index_from(&index, 2, 5), 5);
    assert_int_equal(ski_index_add_missing(&index, SKI_INDEX_EVENTS_MAX), SKALD_EFULL);
    assert_int_equal(ski_index_add_missing(&index, SKI_SEGMENT_EVENTS_MAX), SKALD_EFULL);
    ski_index_fini(&index);
}

static void test_many_tenants_are_not_listed(void **state)
{
    ski_index index;

    (void)state;
    ski_index_init(&index, 42, 0);
    for (unsigned n = 0; n <= SKI_INDEX_TENANTS_MAX + 3; n++) {
        char room[32];
        skald_event event = {.type = SKALD_STR("t")};
        ski_index_hashes hashes;
        ski_index_row row = {0};
        uint64_t version = 0, prev = 0;

        (void)snprintf(room, sizeof room, "tenant-%u", n);
        event.tenant = skald_str_of(room);
        ski_index_hash(index.seed, &event, &hashes);
        assert_int_equal(ski_index_add(&index, &event, &hashes, &row, NULL, &(ski_index_head){0}, 0,
                                       &version, &prev),
                         SKALD_OK);
    }
    assert_int_equal(index.tenant_count, SKI_INDEX_TENANTS_MAX + 1);
    ski_index_fini(&index);
}

static ski_index_head window_head(const ski_window *window, const skald_event *event)
{
    ski_index_head head = {0};
    uint64_t hash = ski_index_hash_name(window->seed, event->tenant, event->stream);

    (void)ski_window_stream(window, hash, event->tenant, event->stream, &head);
    return head;
}

static void window_add(ski_window *window, unsigned n)
{
    char room[32];
    skald_event event = event_of(room, sizeof room, n);
    ski_index_hashes hashes;
    ski_index_head before = window_head(window, &event);
    ski_index_row row = {.recorded_at = n};
    uint64_t version = 0, prev = 0;

    ski_index_hash(window->seed, &event, &hashes);
    assert_int_equal(ski_index_add(ski_window_newest(window), &event, &hashes, &row, NULL, &before,
                                   0, &version, &prev),
                     SKALD_OK);
    if (!event.stream.len) return;
    assert_int_equal(version, before.version + 1);
    assert_int_equal(prev, before.position);
}

// A stream goes on from part to part; what is cut off or forgotten leaves the rest as it was.
static void test_window(void **state)
{
    ski_window window;
    char room[32];
    skald_event event = event_of(room, sizeof room, 1);

    (void)state;
    assert_int_equal(ski_window_init(&window, 42, 0), SKALD_OK);
    for (unsigned n = 1; n <= 400; n++) {
        if (n % 100 == 1) ski_window_turn(&window);
        if (n % 100 == 1) ski_window_turn(&window); // an empty one is not followed by another
        window_add(&window, n);
    }
    assert_int_equal(window.count, 4);
    assert_int_equal(ski_window_last(&window), 400);
    assert_int_equal(ski_window_row(&window, 250)->recorded_at, 250);
    for (unsigned n = 400; n > 200; n--) {
        char other[32];
        skald_event dropped = event_of(other, sizeof other, n);
        ski_index_hashes hashes;

        ski_index_hash(42, &dropped, &hashes);
        ski_index_drop(ski_window_at(&window, n), &dropped, &hashes);
    }
    ski_window_cut(&window, 250);
    assert_int_equal(window.count, 3);
    ski_window_cut(&window, 200);
    assert_int_equal(window.count, 2);
    for (unsigned n = 201; n <= 400; n++) window_add(&window, n);
    assert_false(ski_window_forget(&window, 99));
    assert_true(ski_window_forget(&window, 100));
    assert_int_equal(ski_window_base(&window), 100);
    assert_true(window_head(&window, &event).version > 10);
    assert_true(ski_window_bytes(&window) > 300 * sizeof(ski_index_row));
    assert_true(ski_window_forget(&window, 400));
    assert_int_equal(ski_window_base(&window), 400);
    assert_int_equal(ski_window_last(&window), 400);
    assert_int_equal(window_head(&window, &event).version, 0);
    ski_window_fini(&window);
}

static uint64_t hash_of_number(uint64_t n)
{
    n *= UINT64_C(0x9e3779b97f4a7c15);
    return n ^ n >> 29 ^ n << 17;
}

static bool recent_has(const ski_recent *recent, uint64_t n, uint64_t last)
{
    ski_recent_cursor cursor = {.hash = hash_of_number(n), .last = last};
    uint64_t position = 0;

    while ((position = ski_recent_next(recent, &cursor))) {
        if (position == n) return true;
    }
    return false;
}

// What is young enough is found, whatever was added and removed; what is too old goes, and with it
// its memory.
static void test_recent_ids(void **state)
{
    enum { kept = 5000, all = 60000 };
    ski_recent recent;
    uint64_t bytes = 0, failures = 0;

    (void)state;
    ski_recent_init(&recent, kept);
    for (uint64_t n = 1; n <= all; n++) {
        skald_err err = SKALD_ENOMEM;

        if (n % 500 == 0) {
            ski_alloc_fail_at(1);
            err = ski_recent_add(&recent, hash_of_number(n), n, n);
            ski_alloc_fail_at(0);
            failures += err != SKALD_OK;
        }
        if (err) err = ski_recent_add(&recent, hash_of_number(n), n, n);
        assert_int_equal(err, SKALD_OK);
        if (n == all / 2) bytes = ski_recent_bytes(&recent);
    }
    assert_true(failures > 0);
    assert_true(ski_recent_bytes(&recent) < bytes * 2);
    for (uint64_t n = all - kept + 1; n <= all; n++) assert_true(recent_has(&recent, n, all));
    assert_false(recent_has(&recent, all - kept, all));
    assert_false(recent_has(&recent, all + 1, all));
    for (uint64_t n = all - kept + 1; n <= all; n += 2) {
        ski_recent_remove(&recent, hash_of_number(n), n);
    }
    for (uint64_t n = all - kept + 1; n <= all; n++) {
        assert_int_equal(recent_has(&recent, n, all), (n - (all - kept + 1)) % 2);
    }
    ski_recent_remove(&recent, hash_of_number(7), 7); // it is not there
    ski_recent_fini(&recent);
}

// Positions beyond 2^32 are told apart by their age.
static void test_recent_ids_of_a_long_log(void **state)
{
    uint64_t base = (UINT64_C(1) << 32) - 50;
    ski_recent recent;

    (void)state;
    ski_recent_init(&recent, 1000);
    for (uint64_t n = base; n < base + 100; n++) {
        assert_int_equal(ski_recent_add(&recent, hash_of_number(n), n, n), SKALD_OK);
    }
    for (uint64_t n = base; n < base + 100; n++) {
        assert_true(recent_has(&recent, n, base + 99));
    }
    ski_recent_fini(&recent);
}

static void test_totals(void **state)
{
    ski_totals totals = {0};
    const ski_total *found = NULL;

    (void)state;
    for (unsigned n = 0; n < 200; n++) {
        char type[16];
        skald_err err = SKALD_ENOMEM;

        (void)snprintf(type, sizeof type, "type-%u", n % 50);
        for (uint64_t at = 1; err; at++) {
            ski_alloc_fail_at(at);
            err = ski_totals_add(&totals, SKALD_STR("acme"), skald_str_of(type), 2, n + 1);
            ski_alloc_fail_at(0);
        }
    }
    found = ski_totals_find(&totals, SKALD_STR("acme"), SKALD_STR("type-7"));
    assert_non_null(found);
    assert_int_equal(found->count, 8);
    assert_int_equal(found->last_pos, 158);
    assert_null(ski_totals_find(&totals, SKALD_STR(""), SKALD_STR("type-7")));
    ski_totals_fini(&totals);
}

static void test_places(void **state)
{
    uint64_t place = ski_place_make(SKI_PLACE_SLOTS_MAX, (UINT64_C(1) << 32) - 8, 65);

    (void)state;
    assert_int_equal(ski_place_slot(place), SKI_PLACE_SLOTS_MAX);
    assert_int_equal(ski_place_offset(place), (UINT64_C(1) << 32) - 8);
    assert_int_equal(ski_place_len_max(place), 128);
    place = ski_place_make(0, 4096, 64);
    assert_int_equal(ski_place_len_max(place), 64);
    place = ski_place_move(place, 9, -96);
    assert_int_equal(ski_place_slot(place), 9);
    assert_int_equal(ski_place_offset(place), 4000);
    assert_int_equal(ski_place_len_max(place), 64);
    assert_true(ski_place_len_max(ski_place_make(0, 0, 16 << 20)) == UINT64_MAX);
    assert_true(ski_place_len_max(ski_place_make(0, 0, 2 << 20)) == UINT64_MAX);
}

static void value_set(ski_values *values, skald_str name, skald_str bytes)
{
    skald_store_value value = {name, bytes};
    ski_values_change change;

    assert_int_equal(ski_values_prepare(values, &value, &change), SKALD_OK);
    ski_values_apply(values, &change);
}

static void test_values(void **state)
{
    ski_values values = {0};
    ski_values_change change;
    skald_store_value value = {SKALD_STR("one"), SKALD_STR("later")};
    const ski_value_bytes *found = NULL;

    (void)state;
    assert_null(ski_values_find(&values, SKALD_STR("one")));
    value_set(&values, SKALD_STR("one"), SKALD_STR("1"));
    value_set(&values, SKALD_STR("two"), SKALD_STR(""));
    assert_int_equal(ski_values_prepare(&values, &value, &change), SKALD_OK);
    found = ski_values_find(&values, SKALD_STR("one")); // prepared is not applied
    assert_true(found && found->len == 1 && found->bytes[0] == '1');
    ski_values_abandon(&values, &change);
    found = ski_values_find(&values, SKALD_STR("two"));
    assert_true(found && found->len == 0);
    value_set(&values, SKALD_STR("one"), (skald_str){0});
    assert_null(ski_values_find(&values, SKALD_STR("one")));
    ski_values_fini(&values);
}

static void test_values_that_come_and_go_leave_nothing(void **state)
{
    enum { names = 100000, at_a_time = 100 };
    ski_values values = {0};
    ski_values_change changes[2 * at_a_time];
    char text[32];

    (void)state;
    value_set(&values, SKALD_STR("stays"), SKALD_STR("1"));
    for (unsigned n = 0; n < names; n += at_a_time) {
        for (unsigned i = 0; i < 2 * at_a_time; i++) { // each is set, then removed
            skald_store_value value = {.bytes = i < at_a_time ? SKALD_STR("x") : (skald_str){0}};

            (void)snprintf(text, sizeof text, "idempotency/%u", n + i % at_a_time);
            value.name = skald_str_of(text);
            assert_int_equal(ski_values_prepare(&values, &value, &changes[i]), SKALD_OK);
        }
        assert_null(ski_values_find(&values, skald_str_of(text)));
        for (unsigned i = 0; i < 2 * at_a_time; i++) ski_values_apply(&values, &changes[i]);
        assert_null(ski_values_find(&values, skald_str_of(text)));
    }
    assert_int_equal(values.map.count, 1);
    assert_true(values.count <= 1 + at_a_time && values.map.size_mask < 4 * at_a_time);
    for (uint32_t i = 1; i < values.count; i++) assert_null(values.entries[i].name);
    assert_non_null(ski_values_find(&values, SKALD_STR("stays")));
    ski_values_fini(&values);
}

static void test_values_prepared_hold_their_name(void **state)
{
    ski_values values = {0};
    const skald_store_value set = {SKALD_STR("name"), SKALD_STR("1")};
    const skald_store_value removal = {.name = SKALD_STR("name")};
    ski_values_change first, second, third;

    (void)state;
    assert_int_equal(ski_values_prepare(&values, &removal, &first), SKALD_OK);
    assert_int_equal(ski_values_prepare(&values, &set, &second), SKALD_OK);
    assert_int_equal(ski_values_prepare(&values, &set, &third), SKALD_OK);
    ski_values_apply(&values, &first); // the name is gone, and is still known by its slot
    value_set(&values, SKALD_STR("other"), SKALD_STR("2"));
    ski_values_apply(&values, &second);
    assert_non_null(ski_values_find(&values, SKALD_STR("name")));
    ski_values_abandon(&values, &third);
    ski_values_abandon(&values, &third); // does nothing
    assert_non_null(ski_values_find(&values, SKALD_STR("name")));
    assert_int_equal(ski_values_prepare(&values, &removal, &first), SKALD_OK);
    ski_values_apply(&values, &first);
    // Abandoned, a new name leaves nothing either; names that were removed may be kept.
    assert_int_equal(ski_values_prepare(&values, &set, &second), SKALD_OK);
    ski_values_abandon(&values, &second);
    assert_int_equal(values.map.count, 1);
    values.removals = true;
    assert_int_equal(ski_values_prepare(&values, &removal, &first), SKALD_OK);
    ski_values_apply(&values, &first);
    assert_int_equal(values.map.count, 2);
    ski_values_fini(&values);
}

static void test_values_without_memory(void **state)
{
    ski_values values = {0};

    (void)state;
    for (unsigned n = 0; n < 40; n++) {
        char name[16];
        skald_store_value value = {.bytes = SKALD_STR("bytes")};
        ski_values_change change;
        skald_err err = SKALD_ENOMEM;

        (void)snprintf(name, sizeof name, "name-%u", n);
        value.name = skald_str_of(name);
        for (uint64_t at = 1; err; at++) {
            ski_alloc_fail_at(at);
            err = ski_values_prepare(&values, &value, &change);
            ski_alloc_fail_at(0);
            assert_null(ski_values_find(&values, value.name));
        }
        ski_values_apply(&values, &change);
        assert_non_null(ski_values_find(&values, value.name));
    }
    ski_values_fini(&values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_postings_grow_and_shrink),
        cmocka_unit_test(test_index_versions_and_predecessors),
        cmocka_unit_test(test_index_takes_back_what_was_added),
        cmocka_unit_test(test_index_without_memory),
        cmocka_unit_test(test_index_events_that_are_missing),
        cmocka_unit_test(test_many_tenants_are_not_listed),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_recent_ids),
        cmocka_unit_test(test_recent_ids_of_a_long_log),
        cmocka_unit_test(test_totals),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_values_that_come_and_go_leave_nothing),
        cmocka_unit_test(test_values_prepared_hold_their_name),
        cmocka_unit_test(test_values_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
