// SPDX-License-Identifier: Apache-2.0
#include "bus/bus_rig.h"

#include "base/json.h"

static const skald_str everyone; // every tenant

static char *reported(rig *on, skald_report report, skald_str tenant, uint32_t items_max)
{
    static char text[1 << 20];
    skald_buf buf = {.bytes_max = sizeof(text) - 1};

    assert_int_equal(skald_bus_report(on->bus, report, tenant, items_max, &buf), SKALD_OK);
    snprintf(text, sizeof(text), "%.*s", (int)buf.len, buf.ptr);
    skald_buf_fini(&buf);
    assert_int_equal(ski_json_door_check(skald_str_of(text), false, NULL), SKALD_OK);
    return text;
}

static skald_str member(skald_str object, const char *name)
{
    ski_json_walk walk = {.rest = object};
    ski_json_item item;

    while (ski_json_next(&walk, &item))
        if (skald_str_equal(item.key, skald_str_of(name))) return item.value;
    return (skald_str){0};
}

// positions gives those of the events in an array.
static size_t positions(skald_str array, uint64_t *ret_positions, size_t most)
{
    ski_json_walk walk = {.rest = array};
    ski_json_item item;
    size_t count = 0;

    while (ski_json_next(&walk, &item)) {
        assert_true(count < most);
        assert_int_equal(ski_json_u64(member(item.value, "position"), &ret_positions[count]),
                         SKALD_OK);
        count++;
    }
    return count;
}

static void an_empty_log_has_statistics(void **state)
{
    rig on;

    (void)state;
    rig_open(&on);
    assert_string_equal(reported(&on, SKALD_STATS, everyone, 0),
                        "{\"totalEvents\":0,\"eventsByType\":{},\"recentEvents\":[],"
                        "\"oldestEvent\":null,\"newestEvent\":null}");
    assert_string_equal(reported(&on, SKALD_HISTORY, everyone, 0), "[]");
    rig_close(&on);
}

static void statistics_are_exact_at_once(void **state)
{
    uint64_t recent[10];
    rig on;

    (void)state;
    rig_open(&on);
    for (int i = 0; i < 25; i++) {
        skald_event event = {.type = i % 3 ? SKALD_STR("b.made") : SKALD_STR("a.made"),
                             .tenant = i % 5 ? SKALD_STR("x") : SKALD_STR("y")};

        assert_int_equal(skald_publish(on.bus, event, NULL), SKALD_OK);
    }
    for (int restarted = 0; restarted < 2; restarted++) {
        skald_str stats = skald_str_of(reported(&on, SKALD_STATS, everyone, 0));

        assert_true(skald_str_equal(member(stats, "totalEvents"), SKALD_STR("25")));
        assert_true(skald_str_equal(member(stats, "eventsByType"),
                                    SKALD_STR("{\"a.made\":9,\"b.made\":16}")));
        assert_int_equal(positions(member(stats, "recentEvents"), recent, 10), 10);
        for (int i = 0; i < 10; i++) assert_int_equal(recent[i], 25 - i); // newest first
        assert_int_equal(member(stats, "oldestEvent").len, SKALD_TIME_TEXT + 2);
        assert_int_equal(member(stats, "newestEvent").len, SKALD_TIME_TEXT + 2);
        stats = skald_str_of(reported(&on, SKALD_STATS, SKALD_STR("y"), 0));
        assert_true(skald_str_equal(member(stats, "totalEvents"), SKALD_STR("5")));
        assert_true(skald_str_equal(member(stats, "eventsByType"),
                                    SKALD_STR("{\"a.made\":2,\"b.made\":3}")));
        assert_int_equal(positions(member(stats, "recentEvents"), recent, 10), 5);
        rig_restart(&on, false);
    }
    rig_close(&on);
}

static void history_is_oldest_first_within_the_last(void **state)
{
    uint64_t last[100];
    rig on;

    (void)state;
    rig_open(&on);
    skald_bus_free(on.bus);
    on.options.history_events_max = 30;
    rig_bus(&on);
    for (int i = 0; i < 50; i++) {
        skald_event event = {.type = SKALD_STR("a.made"),
                             .tenant = i % 2 ? SKALD_STR("x") : SKALD_STR("y")};

        assert_int_equal(skald_publish(on.bus, event, NULL), SKALD_OK);
    }
    assert_int_equal(positions(skald_str_of(reported(&on, SKALD_HISTORY, everyone, 5)), last, 100),
                     5);
    for (int i = 0; i < 5; i++) assert_int_equal(last[i], 46 + i);
    assert_int_equal(
        positions(skald_str_of(reported(&on, SKALD_HISTORY, everyone, 1000)), last, 100), 30);
    assert_int_equal(last[0], 21); // never more than the option says
    assert_int_equal(
        positions(skald_str_of(reported(&on, SKALD_HISTORY, SKALD_STR("x"), 3)), last, 100), 3);
    for (int i = 0; i < 3; i++) assert_int_equal(last[i], 46 + 2 * i);
    assert_string_equal(reported(&on, SKALD_HISTORY, SKALD_STR("z"), 3), "[]");
    rig_close(&on);
}

static void large_events_go_page_by_page(void **state)
{
    static char large[90 << 10];
    uint64_t last[10];
    rig on;

    (void)state;
    rig_open(&on);
    memset(large, 'x', sizeof(large));
    large[0] = large[sizeof(large) - 1] = '"';
    for (int i = 0; i < 12; i++) {
        skald_event event = {.type = SKALD_STR("a"), .data = {large, sizeof(large)}};

        assert_int_equal(skald_publish(on.bus, event, NULL), SKALD_OK);
    }
    assert_int_equal(positions(skald_str_of(reported(&on, SKALD_HISTORY, everyone, 10)), last, 10),
                     10);
    for (int i = 0; i < 10; i++) assert_int_equal(last[i], 3 + i);
    rig_close(&on);
}

static void without_room_nothing_is_written(void **state)
{
    rig on;

    (void)state;
    rig_open(&on);
    for (int i = 0; i < 20; i++) rig_publish(&on, "a", NULL);
    for (int report = SKALD_STATS; report <= SKALD_HISTORY; report++) {
        skald_buf buf = {.bytes_max = 300};

        assert_int_equal(skald_buf_put(&buf, SKALD_STR("kept")), SKALD_OK);
        assert_int_equal(skald_bus_report(on.bus, (skald_report)report, everyone, 0, &buf),
                         SKALD_EFULL);
        assert_int_equal(buf.len, 4);
        skald_buf_fini(&buf);
    }
    rig_close(&on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_log_has_statistics),
        cmocka_unit_test(statistics_are_exact_at_once),
        cmocka_unit_test(history_is_oldest_first_within_the_last),
        cmocka_unit_test(large_events_go_page_by_page),
        cmocka_unit_test(without_room_nothing_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
