// SPDX-License-Identifier: Apache-2.0
// What the store keeps as events of its own: given to who names it, however it is read, and to
// nobody else.
#include "bus/bus_rig.h"

static void put(rig *of, uint64_t version)
{
    const skald_snapshot snapshot = {.bytes = SKALD_STR("{}"), .stream_version = version};

    assert_int_equal(
        skald_snapshot_put(of->store, (skald_str){0}, SKALD_STR("a-1"), &snapshot, NULL), SKALD_OK);
}

static void publish_some(rig *of, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) (void)rig_publish(of, "a.made", "a-1");
}

static skald_subscription listen(rig *of, notes *to, const char *type)
{
    const skald_str item = skald_str_of(type ? type : "");
    skald_subscription_options options = rig_options(NULL, to);

    options.from = SKALD_FROM_START;
    if (type) options.filter.types = (skald_texts){&item, 1};
    return rig_subscribe(of, &options);
}

// Those that want all stand beside it, so that pages are shared.
static void who_names_it_is_given_it(void **state)
{
    static notes own, own_late, all, every;
    rig of;

    (void)state;
    for (uint32_t runs_after = 0; runs_after <= 1000; runs_after += 1000) {
        own = own_late = all = every = (notes){.outcome = SKALD_ACK};
        rig_open(&of);
        of.bus->runs_after = runs_after;
        publish_some(&of, 30);
        put(&of, 1);
        listen(&of, &all, NULL);
        rig_run(&of);
        put(&of, 2);
        listen(&of, &own, "$snapshot");
        listen(&of, &every, "*");
        rig_run(&of);
        assert_int_equal(own.count, 1); // it read for itself: of a stream the newest is kept
        put(&of, 3);
        publish_some(&of, 30);
        rig_run(&of);
        assert_int_equal(own.count, 2); // live
        listen(&of, &own_late, "$snapshot");
        put(&of, 4);
        publish_some(&of, 30);
        rig_run(&of);
        assert_int_equal(own.count, 3);
        assert_int_equal(own_late.count, 1);
        assert_int_equal(all.count, 90);
        assert_int_equal(every.count, 90);
        rig_close(&of);
    }
}

// Pages of before anybody named it are not shared with who does.
static void who_comes_later_is_given_it(void **state)
{
    static notes own, all;
    rig of;

    (void)state;
    own = all = (notes){.outcome = SKALD_ACK};
    rig_open(&of);
    listen(&of, &all, NULL);
    rig_run(&of);
    for (uint64_t i = 1; i <= 20; i++) {
        publish_some(&of, 1);
        put(&of, i);
        (void)skald_bus_run(of.bus, 1);
    }
    skald_subscription made = listen(&of, &own, "$snapshot");

    publish_some(&of, 1);
    rig_run(&of);
    assert_int_equal(own.count, 1);
    assert_int_equal(all.count, 21);
    assert_int_equal(skald_unsubscribe(of.bus, made, false), SKALD_OK);
    publish_some(&of, 1);
    put(&of, 21);
    rig_run(&of);
    assert_int_equal(of.bus->reserved_names, 0);
    assert_int_equal(own.count, 1);
    assert_int_equal(all.count, 22);
    rig_close(&of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_names_it_is_given_it),
        cmocka_unit_test(who_comes_later_is_given_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
