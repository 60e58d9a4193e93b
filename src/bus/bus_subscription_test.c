// SPDX-License-Identifier: Apache-2.0
// Subscriptions on a stepped bus: what is asked for, limits, pulling, ending.
#include "bus/bus_rig.h"

#include "base/alloc.h"

static skald_arena *arena;

static int arena_made(void **state)
{
    (void)state;
    return skald_arena_new(16 << 20, &arena) ? 1 : 0;
}

static int arena_gone(void **state)
{
    (void)state;
    skald_arena_free(arena);
    return 0;
}

static void the_window_is_bounded(void **state)
{
    notes to = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);

    options.in_flight_max = 10;
    skald_subscription made = rig_subscribe(&on, &options);

    for (int i = 0; i < 1000; i++) rig_publish(&on, "a", i % 2 ? "s-1" : NULL);
    rig_run(&on);
    assert_int_equal(rig_state(&on, made, arena).in_flight, 10);
    assert_true(!rig_state(&on, made, arena).live);
    for (uint32_t i = 0; i < to.count; i++) {
        assert_int_equal(skald_delivery_end(on.bus, to.ids[i], SKALD_ACK, 0, NULL), SKALD_OK);
        rig_run(&on);
        assert_true(rig_state(&on, made, arena).in_flight <= 10);
        skald_arena_reset(arena);
    }
    assert_int_equal(to.count, 1000);
    assert_true(rig_state(&on, made, arena).live);
    rig_close(&on);
}

static void pages_held_are_bounded(void **state)
{
    static char large[500 << 10];
    notes to = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    memset(large, 'x', sizeof(large));
    large[0] = large[sizeof(large) - 1] = '"';
    skald_subscription_options options = rig_options(NULL, &to);
    skald_subscription made = rig_subscribe(&on, &options);
    skald_event event = {.type = SKALD_STR("a"), .data = {large, sizeof(large)}};

    for (int i = 0; i < 40; i++) assert_int_equal(skald_publish(on.bus, event, NULL), SKALD_OK);
    rig_run(&on);
    assert_true(to.count >= 10 && to.count <= SKI_HELD_BYTES_MAX / sizeof(large) + 1);
    for (uint32_t i = 0; i < to.count; i++) {
        assert_int_equal(skald_delivery_end(on.bus, to.ids[i], SKALD_ACK, 0, NULL), SKALD_OK);
        rig_run(&on);
        assert_true(on.bus->page_bytes < SKI_HELD_BYTES_MAX + 3 * sizeof(large));
    }
    assert_int_equal(to.count, 40);
    assert_true(rig_state(&on, made, arena).live);
    rig_close(&on);
}

static void pages_of_all_are_bounded(void **state)
{
    static const char *const names[] = {NULL, "a", "b", "c"};
    static char large[100 << 10];
    static notes to[4];
    uint32_t got;
    rig on;

    (void)state;
    rig_open(&on);
    memset(large, 'x', sizeof(large));
    large[0] = large[sizeof(large) - 1] = '"';
    on.bus->pages_bytes_max = 1 << 20;
    for (int i = 0; i < 4; i++) {
        to[i] = (notes){.outcome = SKALD_PENDING};
        skald_subscription_options options = rig_options(i ? names[i] : NULL, &to[i]);

        rig_subscribe(&on, &options);
    }
    skald_event event = {.type = SKALD_STR("a"), .data = {large, sizeof(large)}};

    for (int i = 0; i < 60; i++) {
        assert_int_equal(skald_publish(on.bus, event, NULL), SKALD_OK);
        rig_run(&on);
        // One page beyond it, and one for each that would hold nothing else.
        assert_true(on.bus->page_bytes < (1 << 20) + 5 * (300 << 10));
    }
    do { // whoever has room goes on
        got = 0;
        for (int i = 0; i < 4; i++) {
            for (uint32_t j = 0; j < to[i].count; j++)
                got += !skald_delivery_end(on.bus, to[i].ids[j], SKALD_ACK, 0, NULL);
            rig_run(&on);
            assert_true(on.bus->page_bytes < (1 << 20) + 5 * (300 << 10));
        }
    } while (got);
    for (int i = 0; i < 4; i++) assert_int_equal(to[i].count, 60);
    rig_close(&on);
}

static void deliveries_of_all_are_bounded(void **state)
{
    notes one = {.outcome = SKALD_PENDING}, two = {0};
    rig on;

    (void)state;
    rig_open(&on);
    on.bus->deliveries_max = SKI_CHUNK_DELIVERIES;
    skald_subscription_options options = rig_options(NULL, &one);

    rig_subscribe(&on, &options);
    for (int i = 0; i < 100; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(one.count, SKI_CHUNK_DELIVERIES);
    options = rig_options("two", &two);
    rig_subscribe(&on, &options);
    rig_pass(&on, 1000);
    assert_int_equal(two.count, 0); // it waits for room
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(skald_delivery_end(on.bus, one.ids[i], SKALD_ACK, 0, NULL), SKALD_OK);
    one.outcome = SKALD_ACK;
    for (int i = 0; i < 20; i++) rig_pass(&on, 100);
    assert_int_equal(one.count, 100);
    assert_int_equal(two.count, 100);
    rig_close(&on);
}

static void one_may_be_enough(void **state)
{
    notes to = {.outcome = SKALD_RETRY, .delay_ms = 1};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("once", &to);

    options.once = true;
    skald_subscription made = rig_subscribe(&on, &options);

    for (int i = 0; i < 3; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    to.outcome = SKALD_ACK;
    rig_pass(&on, 1);
    rig_pass(&on, 1);
    NOTED(&to, 1, 1);
    assert_int_equal(to.ends, 1);
    assert_int_equal(skald_unsubscribe(on.bus, made, false), SKALD_ESTALE);
    assert_int_equal(skald_bus_find(on.bus, SKALD_STR("once")).id, 0);
    rig_subscribe(&on, &options); // by name: the next one
    rig_run(&on);
    NOTED(&to, 1, 1, 2);
    rig_close(&on);
}

typedef struct leaver {
    notes noted;
    skald_subscription own;
    skald_err again;
    skald_outcome outcome;
} leaver;

static skald_outcome leave_in_handler(const skald_delivery *delivery)
{
    leaver *to = delivery->context;

    to->noted.count++;
    assert_int_equal(skald_unsubscribe(delivery->bus, to->own, true), SKALD_OK);
    to->again = skald_unsubscribe(delivery->bus, to->own, true);
    assert_int_equal(to->noted.ends, 0); // it still runs
    to->noted.ids[0] = delivery->id;
    return to->outcome;
}

static void unsubscribing_in_ones_own_handler_works(void **state)
{
    leaver to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = {
        .name = "own", .handler = {.fn = leave_in_handler, .context = &to, .end = rig_end}};

    to.own = rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_publish(&on, "b", NULL);
    rig_run(&on);
    assert_int_equal(to.noted.count, 1);
    assert_int_equal(to.noted.ends, 1);
    assert_int_equal(to.again, SKALD_ESTALE);
    notes anew = {0};

    options = rig_options("own", &anew); // forgotten: it starts anew
    rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&anew, 1, 2);
    rig_close(&on);
    assert_int_equal(to.noted.ends, 1);
}

static void whatever_it_answers_then(void **state)
{
    static const skald_outcome outcomes[] = {SKALD_RETRY, SKALD_REJECT, SKALD_PENDING};
    rig on;

    (void)state;
    for (int i = 0; i < 3; i++) {
        leaver to = {.outcome = outcomes[i]};

        rig_open(&on);
        skald_subscription_options options = {
            .handler = {.fn = leave_in_handler, .context = &to, .end = rig_end}};

        to.own = rig_subscribe(&on, &options);
        rig_publish(&on, "a", NULL);
        rig_run(&on);
        assert_int_equal(to.noted.ends, 1);
        assert_int_equal(skald_delivery_end(on.bus, to.noted.ids[0], SKALD_ACK, 0, NULL),
                         SKALD_ESTALE);
        assert_int_equal(rig_pass(&on, 1000000), 0);
        assert_int_equal(skald_bus_due_ns(on.bus), 0);
        assert_int_equal(skald_bus_stop(on.bus, 0), SKALD_OK); // nothing is waited for
        rig_close(&on);
    }
}

static void ids_of_an_earlier_run_are_stale(void **state)
{
    notes before = {.outcome = SKALD_PENDING}, after = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &before);

    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    rig_restart(&on, true);
    options = rig_options("name", &after);
    rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&after, 1);
    assert_int_equal(skald_delivery_end(on.bus, before.ids[0], SKALD_ACK, 0, NULL), SKALD_ESTALE);
    assert_int_equal(skald_delivery_end(on.bus, after.ids[0], SKALD_ACK, 0, NULL), SKALD_OK);
    rig_close(&on);
}

static void unsubscribing_makes_answers_stale(void **state)
{
    notes to = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);
    skald_subscription made = rig_subscribe(&on, &options);

    rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(skald_unsubscribe(on.bus, made, false), SKALD_OK);
    assert_int_equal(to.ends, 1);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_ACK, 0, NULL), SKALD_ESTALE);
    assert_int_equal(skald_unsubscribe(on.bus, made, false), SKALD_ESTALE);
    assert_int_equal(skald_unsubscribe(on.bus, (skald_subscription){0}, false), SKALD_ESTALE);
    assert_int_equal(rig_pass(&on, 100000), 0);
    rig_close(&on);
}

static void pulling_takes_what_is_ready(void **state)
{
    notes to = {.outcome = SKALD_PENDING};
    uint32_t count = 99;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = {
        .handler = {.ready = rig_ready, .context = &to, .end = rig_end}};
    skald_subscription made = rig_subscribe(&on, &options);

    assert_int_equal(skald_subscription_take(on.bus, made, 5, rig_note, &to, &count), SKALD_OK);
    assert_int_equal(count, 0);
    for (int i = 0; i < 5; i++) rig_publish(&on, "a", i < 2 ? "s-1" : NULL);
    rig_run(&on);
    assert_int_equal(to.readies, 1); // once, until a take comes back short
    assert_int_equal(to.count, 0);
    assert_int_equal(skald_subscription_take(on.bus, made, 2, rig_note, &to, &count), SKALD_OK);
    assert_int_equal(count, 2);
    assert_int_equal(to.readies, 1);
    assert_int_equal(skald_subscription_take(on.bus, made, 9, rig_note, &to, &count), SKALD_OK);
    assert_int_equal(count, 2); // the second of s-1 waits
    NOTED(&to, 1, 3, 4, 5);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_ACK, 0, NULL), SKALD_OK);
    assert_int_equal(to.readies, 2);
    assert_int_equal(skald_subscription_take(on.bus, made, 1, rig_note, &to, &count), SKALD_OK);
    assert_int_equal(count, 1);
    assert_int_equal(skald_subscription_take(on.bus, made, 1, NULL, &to, &count), SKALD_EINVALID);
    rig_pass(&on, 30000); // all time out
    rig_pass(&on, 240);   // and are retried
    assert_int_equal(skald_subscription_take(on.bus, made, 100, rig_note, &to, &count), SKALD_OK);
    assert_int_equal(count, 4);
    assert_int_equal(skald_unsubscribe(on.bus, made, false), SKALD_OK);
    assert_int_equal(skald_subscription_take(on.bus, made, 1, rig_note, &to, &count), SKALD_ESTALE);
    assert_int_equal(to.ends, 1);
    rig_close(&on);
}

// Live, each is found by another field of its filter; all of it is asked still.
static void each_filter_finds_its_events_live(void **state)
{
    const skald_str types[] = {SKALD_STR("a.b"), SKALD_STR("a.*")}, c = SKALD_STR("c");
    const skald_str stream = SKALD_STR("s-1"), category = SKALD_STR("s");
    const skald_filter filters[] = {
        {.types = {types, 2}},
        {.streams = {&stream, 1}, .types = {&c, 1}},
        {.categories = {&category, 1}},
        {.tenant = SKALD_STR("acme")},
        {.correlation_id = SKALD_STR("k"), .types = {types, 2}},
        {.types = {&types[1], 1}, .tenant = SKALD_STR("")},
    };
    const skald_event events[] = {
        {.type = types[0], .stream = stream, .tenant = SKALD_STR("acme")},
        {.type = c, .stream = stream, .correlation_id = SKALD_STR("k")},
        {.type = SKALD_STR("a.c"), .correlation_id = SKALD_STR("k")},
        {.type = SKALD_STR("a"), .stream = SKALD_STR("s")},
        {.type = types[0], .stream = SKALD_STR("t-1")},
    };
    static notes to[6];
    rig on;

    (void)state;
    memset(to, 0, sizeof(to));
    rig_open(&on);
    for (int i = 0; i < 6; i++) {
        skald_subscription_options options = rig_options(NULL, &to[i]);

        options.filter = filters[i];
        rig_subscribe(&on, &options);
    }
    rig_run(&on);
    for (int i = 0; i < 5; i++) assert_int_equal(skald_publish(on.bus, events[i], NULL), SKALD_OK);
    rig_run(&on);
    NOTED(&to[0], 1, 3, 5);
    NOTED(&to[1], 2);
    NOTED(&to[2], 1, 2, 4);
    NOTED(&to[3], 1);
    NOTED(&to[4], 3);
    NOTED(&to[5], 3, 5);
    rig_close(&on);
}

static void taking_from_one_that_is_not_pulled_is_invalid(void **state)
{
    notes to = {0};
    uint32_t count = 7;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);
    skald_subscription made = rig_subscribe(&on, &options);

    assert_int_equal(skald_subscription_take(on.bus, made, 1, rig_note, &to, &count),
                     SKALD_EINVALID);
    assert_int_equal(count, 7);
    rig_close(&on);
}

static void refused(rig *on, skald_subscription_options options, skald_err expected,
                    const char *field)
{
    notes to = {0};
    skald_subscription made = {0};
    skald_error error = {0};

    options.handler.context = &to;
    options.handler.end = rig_end;
    assert_int_equal(skald_subscribe(on->bus, &options, &made, &error), expected);
    assert_int_equal(error.err, expected);
    assert_string_equal(error.field, field);
    assert_int_equal(made.id, 0);
    assert_int_equal(to.ends, 1); // it could not start
}

static void bad_options_are_refused(void **state)
{
    static char name[SKI_NAME_BYTES_MAX + 2];
    static skald_str many[SKI_FILTER_ITEMS_MAX + 1];
    const skald_handler good = {.fn = rig_note};
    const skald_str none[] = {SKALD_STR("")};
    const skald_str deaf[] = {SKALD_STR("order.*"), SKALD_STR("order*")};
    rig on;

    (void)state;
    rig_open(&on);
    memset(name, 'n', SKI_NAME_BYTES_MAX + 1);
    refused(&on, (skald_subscription_options){.name = "x"}, SKALD_EINVALID, "handler");
    refused(&on, (skald_subscription_options){.handler = {.fn = rig_note, .ready = rig_ready}},
            SKALD_EINVALID, "handler");
    refused(&on, (skald_subscription_options){.handler = good, .name = ""}, SKALD_EINVALID, "name");
    refused(&on, (skald_subscription_options){.handler = good, .name = "a b"}, SKALD_EINVALID,
            "name");
    refused(&on, (skald_subscription_options){.handler = good, .name = "\xff"}, SKALD_EINVALID,
            "name");
    refused(&on, (skald_subscription_options){.handler = good, .name = name}, SKALD_EINVALID,
            "name");
    refused(&on, (skald_subscription_options){.handler = good, .filter.types = {none, 1}},
            SKALD_EINVALID, "filter.types");
    refused(&on, (skald_subscription_options){.handler = good, .filter.types = {deaf, 2}},
            SKALD_EINVALID, "filter.types");
    refused(&on,
            (skald_subscription_options){.name = "n", .handler = good, .filter.types = {deaf, 2}},
            SKALD_EINVALID, "filter.types");
    refused(&on,
            (skald_subscription_options){.handler = good,
                                         .filter.streams = {many, SKI_FILTER_ITEMS_MAX + 1}},
            SKALD_EINVALID, "filter.streams");
    refused(&on, (skald_subscription_options){.handler = good, .retry.factor = 0.5}, SKALD_EINVALID,
            "retry.factor");
    refused(&on, (skald_subscription_options){.handler = good, .retry.jitter = 2}, SKALD_EINVALID,
            "retry.jitter");
    refused(&on, (skald_subscription_options){.handler = good, .workers_max = 5000}, SKALD_EINVALID,
            "workersMax");
    refused(&on, (skald_subscription_options){.handler = good, .in_flight_max = 70000},
            SKALD_EINVALID, "inFlightMax");
    refused(&on, (skald_subscription_options){.handler = good, .after = 1}, SKALD_EINVALID,
            "after");
    refused(&on, (skald_subscription_options){.handler = good, .on_exhausted = SKALD_DEAD_LETTER},
            SKALD_EINVALID, "onExhausted"); // nothing is kept without a name
    refused(&on, (skald_subscription_options){.handler = good, .on_exhausted = SKALD_PARK_KEY},
            SKALD_EINVALID, "onExhausted"); // nothing is kept without a name
    assert_int_equal(on.bus->sub_count, 0);
    rig_close(&on);
}

static void there_is_room_for_so_many(void **state)
{
    notes to = {0};
    skald_subscription made;
    skald_error error;
    rig on;

    (void)state;
    rig_open(&on);
    skald_bus_free(on.bus);
    on.options.subscriptions_max = 3;
    rig_bus(&on);
    skald_subscription_options options = rig_options(NULL, &to);

    made = rig_subscribe(&on, &options);
    rig_subscribe(&on, &options);
    options.name = "named";
    rig_subscribe(&on, &options);
    assert_int_equal(skald_subscribe(on.bus, &options, &made, &error), SKALD_EEXISTS);
    options.name = NULL;
    skald_subscription more;

    assert_int_equal(skald_subscribe(on.bus, &options, &more, &error), SKALD_EFULL);
    assert_int_equal(skald_unsubscribe(on.bus, made, false), SKALD_OK);
    skald_subscription next = rig_subscribe(&on, &options);

    assert_true(next.id != made.id);
    assert_int_equal(skald_unsubscribe(on.bus, made, false), SKALD_ESTALE);
    assert_int_equal(skald_bus_stop(on.bus, 0), SKALD_OK);
    assert_int_equal(skald_subscribe(on.bus, &options, &made, &error), SKALD_ECLOSED);
    rig_close(&on);
}

static void checkpoints_do_not_keep_the_tail_busy(void **state)
{
    notes to = {0}, other = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("a", &to);

    rig_subscribe(&on, &options);
    options = rig_options("b", &other);
    rig_subscribe(&on, &options);
    for (int i = 0; i < 10; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    uint64_t before = ski_alloc_count();

    assert_int_equal(rig_run(&on), 0);
    assert_true(ski_alloc_count() - before <= 4); // a scratch arena, no page
    rig_close(&on);
}

static uint32_t pages_kept(const skald_bus *bus)
{
    uint32_t count = 0;

    for (size_t i = 0; i < SKI_KEPT_PAGES; i++) {
        count += bus->tail_pages.pages[i].page != NULL;
        count += bus->read_pages.pages[i].page != NULL;
    }
    return count;
}

// One that is just behind goes on with what the tail has read; what lies further back it reads.
static void pages_of_the_tail_serve_those_just_behind(void **state)
{
    static notes quick, narrow;
    rig in;

    (void)state;
    rig_open(&in);
    memset(&quick, 0, sizeof(quick));
    memset(&narrow, 0, sizeof(narrow));
    narrow.outcome = SKALD_PENDING;
    skald_subscription_options options = rig_options("quick", &quick);

    rig_subscribe(&in, &options);
    options = rig_options("narrow", &narrow);
    options.in_flight_max = 1;
    rig_subscribe(&in, &options);
    const ski_subscription *sub = ski_name_find(in.bus, SKALD_STR("narrow"));

    for (uint32_t i = 0; i < 3; i++) {
        rig_publish(&in, "a.made", NULL);
        rig_run(&in);
        // A turn at which there is something to do, as there is while events come.
        in.bus->busy = 1;
    }
    assert_int_equal(narrow.count, 1);
    assert_int_equal(pages_kept(in.bus), 2); // those of the turns
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(narrow.count, i);
        assert_int_equal(skald_delivery_end(in.bus, narrow.ids[i - 1], SKALD_ACK, 0, NULL),
                         SKALD_OK);
        bool served = sub->in_flight == 1; // at once: nothing had to be read
        assert_true(served == (i < 3));
        rig_run(&in);
    }
    NOTED(&narrow, 1, 2, 3);
    assert_true(sub->live);
    for (uint32_t i = 0; i < 3 * SKI_KEPT_PAGES; i++) {
        rig_publish(&in, "a.made", NULL);
        rig_run(&in);
    }
    assert_int_equal(pages_kept(in.bus), SKI_KEPT_PAGES);
    in.bus->busy = 0;
    rig_run(&in);
    assert_int_equal(pages_kept(in.bus), 0);
    rig_close(&in);
}

// Who wants little reads far in one page, and is before the tail when it goes live.
static void one_before_the_tail_is_not_given_anything_twice(void **state)
{
    static notes all, few;
    static char large[70 << 10];
    const skald_str type = SKALD_STR("a.made");
    skald_event event = {.data = {large, sizeof(large)}};
    rig in;

    (void)state;
    rig_open(&in);
    memset(&all, 0, sizeof(all));
    memset(&few, 0, sizeof(few));
    memset(large, 'x', sizeof(large));
    large[0] = large[sizeof(large) - 1] = '"';
    skald_subscription_options options = rig_options(NULL, &all);

    rig_subscribe(&in, &options);
    rig_publish(&in, "a.made", NULL);
    rig_run(&in);
    for (uint32_t i = 0; i < 20; i++) {
        event.type = SKALD_STR("b.made");
        assert_int_equal(skald_publish(in.bus, event, NULL), SKALD_OK);
        rig_publish(&in, "a.made", NULL);
    }
    options = rig_options(NULL, &few);
    options.from = SKALD_FROM_START;
    options.filter.types = (skald_texts){&type, 1};
    rig_subscribe(&in, &options);
    rig_run(&in);
    assert_int_equal(all.count, 41);
    assert_int_equal(few.count, 21);
    for (uint32_t i = 1; i < few.count; i++) assert_true(few.positions[i - 1] < few.positions[i]);
    rig_close(&in);
}

static void what_is_read_for_one_that_wants_all_does_for_others(void **state)
{
    static notes seen[3];
    const skald_str type = SKALD_STR("a.made");
    rig in;

    (void)state;
    rig_open(&in);
    memset(seen, 0, sizeof(seen));
    for (uint32_t i = 0; i < 100; i++) rig_publish(&in, i % 2 ? "a.made" : "b.made", NULL);
    in.bus->busy = 1; // there is something to do
    for (uint32_t i = 0; i < 3; i++) {
        skald_subscription_options options = rig_options(NULL, &seen[i]);

        options.from = SKALD_FROM_START;
        if (i == 2) options.filter.types = (skald_texts){&type, 1};
        rig_subscribe(&in, &options);
    }
    rig_run(&in);
    assert_int_equal(pages_kept(in.bus), 1);
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(seen[i].count, i == 2 ? 50 : 100);
    in.bus->busy = 0;
    rig_close(&in);
}

// One that finds a page kept and has no memory for its share of it waits, and is not asked again.
static void without_memory_for_a_page_that_is_kept_it_waits(void **state)
{
    static notes first, second;
    rig in;

    (void)state;
    rig_open(&in);
    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));
    for (uint32_t i = 0; i < 20; i++) rig_publish(&in, "a.made", NULL);
    in.bus->busy = 1; // there is something to do
    skald_subscription_options options = rig_options("first", &first);

    rig_subscribe(&in, &options);
    options = rig_options("second", &second);
    options.paused = true;
    rig_subscribe(&in, &options);
    rig_run(&in);
    assert_int_equal(first.count, 20);
    ski_subscription *sub = ski_name_find(in.bus, SKALD_STR("second"));

    ski_bus_lock(in.bus);
    sub->paused = false;
    assert_non_null(ski_page_at(in.bus, sub->cursor));
    ski_alloc_fail_at(1);
    ski_feed(sub);
    ski_alloc_fail_at(0);
    assert_null(sub->source);
    assert_true(sub->timer.place != 0);
    assert_true(ski_link_alone(&sub->catching));
    ski_bus_leave(in.bus);
    assert_int_equal(rig_run(&in), 0);
    assert_int_equal(rig_pass(&in, 100), 20);
    in.bus->busy = 0;
    rig_close(&in);
}

static void who_lags_takes_no_page_of_the_tail(void **state)
{
    static notes quick, late;
    rig in;

    (void)state;
    rig_open(&in);
    memset(&quick, 0, sizeof(quick));
    memset(&late, 0, sizeof(late));
    skald_subscription_options options = rig_options("quick", &quick);

    rig_subscribe(&in, &options);
    rig_run(&in);
    in.bus->busy = 1; // there is something to do
    for (uint32_t i = 0; i < 3000; i++) {
        rig_publish(&in, "a.made", NULL);
        if (i >= 3000 - SKI_KEPT_PAGES) rig_run(&in);
    }
    assert_non_null(ski_kept_at(&in.bus->tail_pages, 3000 - SKI_KEPT_PAGES + 1));
    options = rig_options("late", &late);
    rig_subscribe(&in, &options);
    rig_run(&in);
    assert_int_equal(late.count, 3000);
    assert_non_null(in.bus->read_pages.pages[0].page);
    for (uint64_t position = 3000 - SKI_KEPT_PAGES + 1; position < 3000; position++)
        assert_non_null(ski_kept_at(&in.bus->tail_pages, position));
    in.bus->busy = 0;
    rig_close(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_is_bounded),
        cmocka_unit_test(pages_held_are_bounded),
        cmocka_unit_test(pages_of_all_are_bounded),
        cmocka_unit_test(deliveries_of_all_are_bounded),
        cmocka_unit_test(one_may_be_enough),
        cmocka_unit_test(unsubscribing_in_ones_own_handler_works),
        cmocka_unit_test(whatever_it_answers_then),
        cmocka_unit_test(ids_of_an_earlier_run_are_stale),
        cmocka_unit_test(unsubscribing_makes_answers_stale),
        cmocka_unit_test(pulling_takes_what_is_ready),
        cmocka_unit_test(each_filter_finds_its_events_live),
        cmocka_unit_test(taking_from_one_that_is_not_pulled_is_invalid),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(there_is_room_for_so_many),
        cmocka_unit_test(checkpoints_do_not_keep_the_tail_busy),
        cmocka_unit_test(pages_of_the_tail_serve_those_just_behind),
        cmocka_unit_test(one_before_the_tail_is_not_given_anything_twice),
        cmocka_unit_test(what_is_read_for_one_that_wants_all_does_for_others),
        cmocka_unit_test(without_memory_for_a_page_that_is_kept_it_waits),
        cmocka_unit_test(who_lags_takes_no_page_of_the_tail),
    };

    return cmocka_run_group_tests(tests, arena_made, arena_gone);
}
