// SPDX-License-Identifier: Apache-2.0
// What the store keeps as events of its own: given to who names it, however it is read, and to
// nobody else.
#include "bus/bus_rig.h"

#include "store/memory/memory.h"

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

// What a read of the memory store does beside reading, once.
static struct during {
    rig *of; // who names it comes
    notes *own;
    bool stays; // at the end the page leads nowhere
} during;

static skald_err watched_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                              skald_error *reterr_error)
{
    skald_err err = ski_store_memory.read(driver, read, ret_page, reterr_error);
    rig *of = during.of;

    during.of = NULL;
    if (of) listen(of, during.own, "$snapshot");
    if (!err && during.stays && ret_page->end) ret_page->position_next = read->after;
    return err;
}

static skald_store_driver watched;
const skald_store_driver *const ski_store_drivers[] = {&watched, NULL};

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

// Pages of before anybody named it, kept as there is more to do, are not shared with who does.
static void who_comes_later_is_given_it(void **state)
{
    static notes own, all;
    rig of;

    (void)state;
    own = all = (notes){.outcome = SKALD_ACK};
    rig_open(&of);
    listen(&of, &all, NULL);
    rig_run(&of);
    publish_some(&of, 30);
    put(&of, 1);
    publish_some(&of, 1);
    (void)skald_bus_run(of.bus, 1);
    assert_non_null(ski_page_at(of.bus, 0));
    skald_subscription made = listen(&of, &own, "$snapshot");

    rig_run(&of);
    assert_int_equal(own.count, 1);
    assert_int_equal(all.count, 31);
    assert_int_equal(skald_unsubscribe(of.bus, made, false), SKALD_OK);
    publish_some(&of, 1);
    put(&of, 2);
    rig_run(&of);
    assert_int_equal(of.bus->reserved_names, 0);
    assert_int_equal(own.count, 1);
    assert_int_equal(all.count, 32);
    rig_close(&of);
}

// What one that wants all has read for itself has none of it, and is not shared either.
static void what_others_have_read_is_not_for_it(void **state)
{
    static notes own, own_late, all;
    rig of;

    (void)state;
    own = own_late = all = (notes){.outcome = SKALD_ACK};
    rig_open(&of);
    listen(&of, &own, "$snapshot");
    rig_run(&of);
    publish_some(&of, 30);
    put(&of, 1);
    publish_some(&of, 1);
    rig_run(&of);
    listen(&of, &all, NULL);
    (void)skald_bus_run(of.bus, 1);
    listen(&of, &own_late, "$snapshot");
    rig_run(&of);
    assert_int_equal(own.count, 1);
    assert_int_equal(own_late.count, 1);
    assert_int_equal(all.count, 31);
    rig_close(&of);
}

// A page that is being read when it is first named is read again.
static void who_comes_during_a_read_is_given_it(void **state)
{
    static notes own, all;
    rig of;

    (void)state;
    own = all = (notes){.outcome = SKALD_ACK};
    rig_open(&of);
    listen(&of, &all, NULL);
    rig_run(&of);
    publish_some(&of, 30);
    put(&of, 1);
    during = (struct during){.of = &of, .own = &own};
    rig_run(&of);
    assert_null(during.of);
    assert_int_equal(own.count, 1);
    assert_int_equal(all.count, 30);
    rig_close(&of);
}

// Where nothing was found for those who do not name it there may be something for who does.
static void who_comes_where_nothing_was_is_given_it(void **state)
{
    static notes own, all;
    rig of;

    (void)state;
    own = all = (notes){.outcome = SKALD_ACK};
    rig_open(&of);
    publish_some(&of, 1);
    listen(&of, &all, NULL);
    rig_run(&of);
    during = (struct during){.stays = true};
    put(&of, 1);
    rig_run(&of);
    assert_int_equal(of.bus->tail, 1);
    assert_int_equal(of.bus->tail_checked, skald_store_head(of.store));
    during = (struct during){0};
    const skald_str item = SKALD_STR("$snapshot");
    skald_subscription_options options = rig_options(NULL, &own);

    options.after = 1;
    options.filter.types = (skald_texts){&item, 1};
    (void)rig_subscribe(&of, &options);
    rig_run(&of);
    assert_int_equal(own.count, 1);
    assert_int_equal(all.count, 1);
    rig_close(&of);
}

// What was set aside is read for itself alone.
static void a_dead_letter_of_it_is_tried_again(void **state)
{
    static notes own;
    skald_arena *arena;
    rig of;

    (void)state;
    own = (notes){.outcome = SKALD_REJECT};
    rig_open(&of);
    publish_some(&of, 1);
    put(&of, 1);
    const skald_str item = SKALD_STR("$snapshot");
    skald_subscription_options options = rig_options("own", &own);

    options.from = SKALD_FROM_START;
    options.filter.types = (skald_texts){&item, 1};
    options.on_exhausted = SKALD_DEAD_LETTER;
    skald_subscription made = rig_subscribe(&of, &options);

    rig_run(&of);
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    assert_int_equal(own.count, 1);
    assert_int_equal(rig_state(&of, made, arena).dead, 1);
    const skald_aside_id id = {.subscription = SKALD_STR("own"), .position = own.positions[0]};

    own.outcome = SKALD_ACK;
    assert_int_equal(skald_aside_release(of.bus, &id, NULL, NULL), SKALD_OK);
    rig_run(&of);
    assert_int_equal(own.count, 2);
    assert_int_equal(own.positions[1], own.positions[0]);
    assert_int_equal(rig_state(&of, made, arena).dead, 0);
    skald_arena_free(arena);
    rig_close(&of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_names_it_is_given_it),
        cmocka_unit_test(who_comes_later_is_given_it),
        cmocka_unit_test(what_others_have_read_is_not_for_it),
        cmocka_unit_test(who_comes_during_a_read_is_given_it),
        cmocka_unit_test(who_comes_where_nothing_was_is_given_it),
        cmocka_unit_test(a_dead_letter_of_it_is_tried_again),
    };

    watched = ski_store_memory;
    watched.read = watched_read;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
