// SPDX-License-Identifier: Apache-2.0
// The bus when what it stands on fails: reads, appends, memory, threads. The store's list of
// drivers is replaced: its memory driver with faults, and with appends that end when the test says
// so.
#include "bus/bus_rig.h"

#include "base/alloc.h"
#include "store/memory/memory.h"

enum { held_max = 64 };

// What the driver is told to do.
static struct faults {
    skald_err read, submit, done; // what comes instead; OK: nothing
    uint32_t reads;               // so many, then no more
    uint32_t tail_reads;          // made so far
    uint32_t own_reads;           // by those that lag
    void (*read_done)(bool tail); // before a read returns
    bool hold;                    // appends of values wait
    bool hold_events;             // one append of events waits
    void *driver;
    skald_store_batch *held_events;
    skald_store_batch *held[held_max];
    uint32_t held_count, submits; // appends of values
} faults;

static skald_err faulty_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                             skald_error *reterr_error)
{
    if (faults.read && faults.reads) {
        faults.reads--;
        return skald_fail(reterr_error, faults.read, "the disk says no");
    }
    bool tail = !read->filter.types.count; // in these tests all others name a type
    skald_err err = ski_store_memory.read(driver, read, ret_page, reterr_error);

    tail ? faults.tail_reads++ : faults.own_reads++;
    if (faults.read_done) faults.read_done(tail);
    return err;
}

static skald_err faulty_submit(void *driver, skald_store_batch *batch)
{
    if (!batch->value_count) {
        if (!faults.hold_events) return ski_store_memory.submit(driver, batch);
        faults.driver = driver;
        faults.held_events = batch;
        return SKALD_OK;
    }
    faults.submits++;
    if (faults.submit) return faults.submit;
    if (faults.done) {
        batch->done(batch, faults.done);
        return SKALD_OK;
    }
    if (!faults.hold) return ski_store_memory.submit(driver, batch);
    assert_true(faults.held_count < held_max);
    faults.held[faults.held_count++] = batch;
    return SKALD_OK;
}

// held_end lets what was held be done. What it says was copied then; here the values count no more.
static void held_end(skald_err err)
{
    uint32_t count = faults.held_count;

    faults.held_count = 0;
    for (uint32_t i = 0; i < count; i++) faults.held[i]->done(faults.held[i], err);
}

static skald_store_driver faulty;
const skald_store_driver *const ski_store_drivers[] = {&faulty, NULL};

static skald_arena *arena;

static int made_ready(void **state)
{
    (void)state;
    faulty = ski_store_memory;
    faulty.read = faulty_read;
    faulty.submit = faulty_submit;
    faulty.commit = faulty_submit;
    return skald_arena_new(16 << 20, &arena) ? 1 : 0;
}

static int gone(void **state)
{
    (void)state;
    skald_arena_free(arena);
    return 0;
}

static int calm(void **state)
{
    (void)state;
    memset(&faults, 0, sizeof(faults));
    ski_alloc_fail_at(0);
    return 0;
}

static bool state_is(rig *on, skald_subscription of, const char *expected)
{
    return skald_str_equal(rig_state(on, of, arena).state, skald_str_of(expected));
}

static void a_read_that_fails_is_tried_again(void **state)
{
    notes to = {0}, other = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);
    skald_subscription made = rig_subscribe(&on, &options);

    options = rig_options("other", &other);
    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    faults.read = SKALD_EIO;
    faults.reads = 7; // the tail's, then three of each
    rig_run(&on);
    assert_int_equal(to.count, 0);
    assert_true(!rig_state(&on, made, arena).live);
    assert_true(
        skald_str_equal(rig_state(&on, made, arena).last_error, SKALD_STR("the disk says no")));
    assert_int_equal(rig_pass(&on, 99), 0);
    assert_int_equal(rig_pass(&on, 1), 0);   // 100 ms: the second
    assert_int_equal(rig_pass(&on, 200), 0); // the third
    assert_int_equal(rig_pass(&on, 399), 0);
    assert_int_equal(rig_pass(&on, 1), 2);
    assert_true(rig_state(&on, made, arena).live);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    NOTED(&to, 1, 2);
    NOTED(&other, 1, 2);
    rig_close(&on);
}

static void damage_halts_and_is_told(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);

    rig_publish(&on, "a", NULL);
    faults.read = SKALD_ECORRUPT;
    faults.reads = 1;
    skald_subscription made = rig_subscribe(&on, &options);

    rig_pass(&on, 100000);
    assert_true(state_is(&on, made, "faulted"));
    assert_true(skald_str_equal(rig_state(&on, made, arena).last_error,
                                SKALD_STR("halted behind position 0: the disk says no")));
    assert_int_equal(skald_unsubscribe(on.bus, made, false), SKALD_OK);
    rig_subscribe(&on, &options); // repaired: it goes on where it was
    rig_run(&on);
    NOTED(&to, 1);
    rig_close(&on);
}

static void where_it_begins_must_be_stored(void **state)
{
    notes to = {0};
    skald_subscription made = {0};
    skald_error error = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("end", &to);

    rig_publish(&on, "a", NULL);
    options.from = SKALD_FROM_END;
    faults.submit = SKALD_EREADONLY;
    assert_int_equal(skald_subscribe(on.bus, &options, &made, &error), SKALD_EREADONLY);
    assert_int_equal(to.ends, 1);
    options = rig_options("start", &to); // would begin at the start again
    rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&to, 1);
    faults.submit = SKALD_OK;
    rig_close(&on);
}

static uint64_t saved_floor(rig *on, skald_subscription of)
{
    ski_bus_lock(on->bus);
    const ski_subscription *sub = ski_subscription_find(on->bus, of.id);
    uint64_t floor = sub->saving || sub->dirty ? 0 : sub->saved_floor;

    ski_bus_leave(on->bus);
    return floor;
}

static void a_checkpoint_that_fails_is_written_later(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);
    skald_subscription made = rig_subscribe(&on, &options);

    rig_run(&on);
    for (int how = 0; how < 2; how++) {
        uint32_t before = on.warnings;

        if (how)
            faults.done = SKALD_EIO;
        else
            faults.submit = SKALD_EFULL;
        rig_publish(&on, "a", NULL);
        rig_run(&on);
        faults.submits = 0;
        for (int i = 0; i < 100; i++) {
            rig_publish(&on, "a", NULL);
            rig_pass(&on, 1);
        }
        assert_true(faults.submits <= 2); // it is waited in between
        assert_int_equal(on.warnings, before + 1);
        faults.submit = faults.done = SKALD_OK;
        rig_pass(&on, 1000);
        assert_int_equal(saved_floor(&on, made), to.count);
    }
    assert_int_equal(to.count, 202);
    rig_close(&on);
}

static void one_checkpoint_is_on_its_way_at_a_time(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);
    skald_subscription made = rig_subscribe(&on, &options);

    rig_run(&on);
    faults.hold = true;
    faults.submits = 0;
    for (int i = 0; i < 50; i++) {
        rig_publish(&on, "a", NULL);
        rig_run(&on);
    }
    assert_int_equal(to.count, 50);
    assert_int_equal(faults.submits, 1);
    held_end(SKALD_OK);
    rig_run(&on);
    assert_int_equal(faults.submits, 2); // the other 49 at once
    held_end(SKALD_OK);
    rig_run(&on);
    assert_int_equal(faults.submits, 2);
    assert_int_equal(saved_floor(&on, made), 50);
    faults.hold = false;
    rig_close(&on);
}

static void the_end_waits_for_the_checkpoint(void **state)
{
    notes to = {0};
    skald_subscription made;
    skald_error error;
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);
    skald_subscription first = rig_subscribe(&on, &options);

    rig_run(&on);
    faults.hold = true;
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    rig_publish(&on, "a", NULL);
    rig_run(&on); // one on its way, one more to write
    assert_int_equal(skald_unsubscribe(on.bus, first, true), SKALD_OK);
    assert_int_equal(to.ends, 0);
    assert_true(state_is(&on, first, "stopped"));
    assert_int_equal(skald_subscribe(on.bus, &options, &made, &error), SKALD_EEXISTS);
    assert_int_equal(to.ends, 1); // that of the refused one
    held_end(SKALD_OK);
    rig_run(&on);
    assert_int_equal(to.ends, 1);
    assert_int_equal(faults.held_count, 1); // the removal
    assert_int_equal(faults.held[0]->values[0].bytes.len, 0);
    assert_null(faults.held[0]->values[0].bytes.ptr);
    held_end(SKALD_OK);
    rig_run(&on);
    assert_int_equal(to.ends, 2);
    faults.hold = false;
    rig_close(&on);
}

static void a_last_checkpoint_that_fails_ends_nonetheless(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);

    for (int how = 0; how < 2; how++) {
        skald_subscription made = rig_subscribe(&on, &options);

        rig_run(&on);
        if (how)
            faults.done = SKALD_EREADONLY;
        else
            faults.submit = SKALD_EREADONLY;
        rig_publish(&on, "a", NULL);
        rig_run(&on);
        assert_int_equal(skald_unsubscribe(on.bus, made, how), SKALD_OK);
        rig_run(&on);
        assert_int_equal(to.ends, how + 1);
        faults.submit = faults.done = SKALD_OK;
    }
    rig_close(&on);
}

static void stop_tells_when_positions_could_not_be_kept(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);

    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    faults.done = SKALD_EREADONLY;
    assert_int_equal(skald_bus_stop(on.bus, 10), SKALD_EREADONLY);
    assert_int_equal(to.ends, 1);
    assert_true(on.errors > 0);
    rig_close(&on);
}

static void stopping_times_out_on_what_is_pending(void **state)
{
    notes to = {.outcome = SKALD_PENDING};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options("name", &to);

    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    assert_int_equal(skald_bus_stop(on.bus, 10), SKALD_ETIMEOUT);
    assert_int_equal(skald_delivery_end(on.bus, to.ids[0], SKALD_ACK, 0, NULL), SKALD_ESTALE);
    assert_int_equal(to.ends, 1);
    rig_restart(&on, false);
    rig_subscribe(&on, &options);
    rig_run(&on);
    NOTED(&to, 1, 1);
    rig_close(&on);
}

// Every allocation in turn fails, in a life that has everything; afterwards nothing is missing.

static void publish_patiently(rig *on, const char *stream)
{
    skald_event event = {.type = SKALD_STR("a.made"), .stream = skald_str_of(stream)};
    skald_err err = skald_publish(on->bus, event, NULL);

    if (err) {
        assert_int_equal(err, SKALD_ENOMEM);
        ski_alloc_fail_at(0);
        assert_int_equal(skald_publish(on->bus, event, NULL), SKALD_OK);
    }
}

static skald_subscription subscribe_patiently(rig *on, const skald_subscription_options *options,
                                              notes *to)
{
    skald_subscription made;
    uint32_t ends = to->ends;
    skald_err err = skald_subscribe(on->bus, options, &made, NULL);

    if (err) {
        assert_int_equal(err, SKALD_ENOMEM);
        assert_int_equal(to->ends, ends + 1);
        ski_alloc_fail_at(0);
        made = rig_subscribe(on, options);
    }
    return made;
}

static void life(uint64_t fail_at)
{
    const skald_str types[] = {SKALD_STR("a.made")};
    notes one = {.outcome = SKALD_RETRY, .delay_ms = 1}, two = {0};
    uint32_t seen = 0;
    rig on;

    rig_open(&on);
    ski_alloc_fail_at(fail_at);
    skald_subscription_options options = rig_options("one", &one);

    options.in_flight_max = 3;
    skald_subscription first = subscribe_patiently(&on, &options, &one);
    options = rig_options("two", &two);
    options.filter.types = (skald_texts){types, 1};
    subscribe_patiently(&on, &options, &two);
    for (int i = 0; i < 8; i++) {
        publish_patiently(&on, i % 2 ? "s-1" : NULL);
        rig_run(&on);
    }
    one.outcome = SKALD_ACK;
    for (int i = 0; i < 10; i++) rig_pass(&on, 200);
    ski_alloc_fail_at(0);
    rig_pass(&on, 20000);
    assert_int_equal(two.count, 8); // each once, those of the stream in order
    for (uint32_t i = 0; i < two.count; i++) {
        uint64_t position = two.positions[i];

        assert_int_equal(seen & 1u << position, 0);
        assert_true(position % 2 || !(seen & ~0u << position & 0x154));
        seen |= 1u << position;
    }
    assert_true(one.count >= 8);
    assert_int_equal(rig_state(&on, first, arena).position, 8);
    rig_close(&on);
}

static void every_allocation_may_fail(void **state)
{
    uint64_t before = ski_alloc_count();

    (void)state;
    life(0);
    uint64_t most = ski_alloc_count() - before;

    for (uint64_t n = 1; n <= most; n++) life(n);
}

static void making_a_bus_may_fail(void **state)
{
    rig on;

    (void)state;
    rig_open(&on);
    for (int stepped = 0; stepped < 2; stepped++) {
        on.options.stepped = stepped;
        for (uint64_t n = 1;; n++) {
            skald_bus *bus = NULL;

            ski_alloc_fail_at(n);
            skald_err err = skald_bus_new(on.store, &on.options, &bus);

            ski_alloc_fail_at(0);
            skald_bus_free(bus);
            if (!err) break;
            assert_int_equal(err, SKALD_ENOMEM);
            assert_null(bus);
        }
    }
    rig_close(&on);
}

// With threads.

typedef struct waiter {
    ski_mutex lock;
    ski_cond changed;
    uint32_t count;
} waiter;

static skald_outcome count_up(const skald_delivery *delivery)
{
    waiter *to = delivery->context;

    ski_mutex_lock(&to->lock);
    to->count++;
    ski_cond_signal(&to->changed);
    ski_mutex_unlock(&to->lock);
    return SKALD_ACK;
}

// A page that was read for the tail while the tail was set anew must not be offered: whoever set it
// stands further back, and would miss what lies between.

static struct gates {
    ski_mutex lock;
    ski_cond changed;
    bool tail_shut, own_shut; // reads for the tail; those of one that lags
    uint32_t tail_waits, own_waits;
} gates;

static void gates_pass(bool tail)
{
    ski_mutex_lock(&gates.lock);
    *(tail ? &gates.tail_waits : &gates.own_waits) += 1;
    ski_cond_broadcast(&gates.changed);
    while (tail ? gates.tail_shut : gates.own_shut) ski_cond_wait(&gates.changed, &gates.lock);
    *(tail ? &gates.tail_waits : &gates.own_waits) -= 1;
    ski_mutex_unlock(&gates.lock);
}

static void gates_set(bool tail_shut, bool own_shut)
{
    ski_mutex_lock(&gates.lock);
    gates.tail_shut = tail_shut;
    gates.own_shut = own_shut;
    ski_cond_broadcast(&gates.changed);
    ski_mutex_unlock(&gates.lock);
}

static void gates_await(const uint32_t *waits)
{
    ski_mutex_lock(&gates.lock);
    while (!*waits) ski_cond_wait(&gates.changed, &gates.lock);
    ski_mutex_unlock(&gates.lock);
}

static void waiter_await(waiter *to, uint32_t least)
{
    ski_mutex_lock(&to->lock);
    while (to->count < least) ski_cond_wait(&to->changed, &to->lock);
    ski_mutex_unlock(&to->lock);
}

static void publish_ten(skald_bus *bus)
{
    for (int i = 0; i < 10; i++)
        assert_int_equal(skald_publish(bus, (skald_event){.type = SKALD_STR("a")}, NULL), SKALD_OK);
}

static void a_page_of_a_tail_set_anew_is_thrown_away(void **state)
{
    const skald_str types[] = {SKALD_STR("a")};
    waiter live = {.count = 0}, behind = {.count = 0};
    skald_subscription one, two;
    skald_store *store;
    skald_bus *bus;

    (void)state;
    ski_mutex_init(&gates.lock);
    ski_cond_init(&gates.changed);
    ski_mutex_init(&live.lock);
    ski_cond_init(&live.changed);
    ski_mutex_init(&behind.lock);
    ski_cond_init(&behind.changed);
    faults.read_done = gates_pass;
    assert_int_equal(skald_store_open("memory:", NULL, &store, NULL), SKALD_OK);
    assert_int_equal(skald_bus_new(store, NULL, &bus), SKALD_OK);
    publish_ten(bus);
    skald_subscription_options options = {.name = "behind",
                                          .filter.types = {types, 1},
                                          .handler = {.fn = count_up, .context = &behind}};

    gates_set(false, true);
    assert_int_equal(skald_subscribe(bus, &options, &two, NULL), SKALD_OK);
    gates_await(&gates.own_waits); // it has read to the end, 10
    options = (skald_subscription_options){.handler = {.fn = count_up, .context = &live}};
    assert_int_equal(skald_subscribe(bus, &options, &one, NULL), SKALD_OK);
    publish_ten(bus);
    waiter_await(&live, 10); // the tail is at 20
    gates_set(true, true);
    publish_ten(bus);
    gates_await(&gates.tail_waits); // and has read to 30
    assert_int_equal(skald_unsubscribe(bus, one, false), SKALD_OK);
    gates_set(true, false); // it goes live, alone: the tail is at 10 again
    waiter_await(&behind, 10);
    gates_set(false, false);
    waiter_await(&behind, 30);
    skald_bus_free(bus);
    skald_store_close(store);
    ski_cond_fini(&behind.changed);
    ski_mutex_fini(&behind.lock);
    ski_cond_fini(&live.changed);
    ski_mutex_fini(&live.lock);
    ski_cond_fini(&gates.changed);
    ski_mutex_fini(&gates.lock);
}

static uint32_t spawns_good, spawns_bad; // so many succeed, then so many fail

static skald_err faulty_spawn(void *context, const char *name, void (*run)(void *argument),
                              void *argument, ski_thread *ret_thread)
{
    if (spawns_good)
        spawns_good--;
    else if (spawns_bad) {
        spawns_bad--;
        return SKALD_ENOMEM;
    }
    return ski_kernel_system.spawn(context, name, run, argument, ret_thread);
}

static void threads_that_do_not_start(void **state)
{
    ski_kernel kernel = ski_kernel_system;
    skald_store *store;
    skald_bus *bus = NULL;
    skald_subscription made;
    waiter to = {.count = 0};

    (void)state;
    kernel.spawn = faulty_spawn;
    spawns_good = spawns_bad = 0;
    assert_int_equal(ski_store_open_on(&kernel, "memory:", NULL, &store, NULL), SKALD_OK);
    for (uint32_t good = 0; good < 2; good++) { // the dispatcher, the reader
        spawns_good = good;
        spawns_bad = 1;
        assert_int_equal(skald_bus_new(store, NULL, &bus), SKALD_ENOMEM);
        assert_null(bus);
    }
    assert_int_equal(skald_bus_new(store, NULL, &bus), SKALD_OK);
    ski_mutex_init(&to.lock);
    ski_cond_init(&to.changed);
    spawns_bad = 1; // the first worker; the dispatcher sees to another
    skald_subscription_options options = {.handler = {.fn = count_up, .context = &to}};

    assert_int_equal(skald_subscribe(bus, &options, &made, NULL), SKALD_OK);
    assert_int_equal(skald_publish(bus, (skald_event){.type = SKALD_STR("a")}, NULL), SKALD_OK);
    ski_mutex_lock(&to.lock);
    while (!to.count) ski_cond_wait(&to.changed, &to.lock);
    ski_mutex_unlock(&to.lock);
    assert_int_equal(spawns_bad, 0);
    skald_bus_free(bus);
    skald_store_close(store);
    ski_cond_fini(&to.changed);
    ski_mutex_fini(&to.lock);
}

typedef struct inviter {
    rig *on;
    notes *guest;
    uint32_t count;
} inviter;

static skald_outcome invite(const skald_delivery *delivery)
{
    const skald_str types[] = {SKALD_STR("a")};
    inviter *to = delivery->context;

    if (to->count++) return SKALD_ACK;
    skald_subscription_options options = rig_options(NULL, to->guest);

    options.filter.types = (skald_texts){types, 1};
    options.after = 2;
    rig_subscribe(to->on, &options);
    return SKALD_ACK;
}

static void who_is_just_behind_reads_what_the_tail_read(void **state)
{
    notes guest = {0};
    inviter to = {.guest = &guest};
    rig on;

    (void)state;
    rig_open(&on);
    to.on = &on;
    skald_subscription_options options = {.handler = {.fn = invite, .context = &to}};

    rig_subscribe(&on, &options);
    for (int i = 0; i < 5; i++) rig_publish(&on, "a", NULL);
    rig_run(&on);
    NOTED(&guest, 3, 4, 5);
    assert_int_equal(faults.own_reads, 0);
    assert_int_equal(faults.tail_reads, 1);
    rig_close(&on);
}

static void publish_ended(void *context, const skald_published *published)
{
    skald_err *err = context;

    *err = published->err;
}

static void stop_run(void *argument)
{
    skald_bus *bus = argument;

    assert_int_equal(skald_bus_stop(bus, 60000), SKALD_OK);
}

static void stop_waits_for_publishes(void **state)
{
    const skald_event event = {.type = SKALD_STR("a")};
    skald_err err = SKALD_EIO;
    skald_store *store;
    skald_bus *bus;
    ski_thread stopper;

    (void)state;
    assert_int_equal(skald_store_open("memory:", NULL, &store, NULL), SKALD_OK);
    assert_int_equal(skald_bus_new(store, NULL, &bus), SKALD_OK);
    faults.hold_events = true;
    assert_int_equal(skald_publish_start(bus, &event, 1, NULL, publish_ended, &err), SKALD_OK);
    skald_store_batch *held = faults.held_events;

    faults.hold_events = false;
    assert_int_equal(ski_kernel_system.spawn(NULL, "stopper", stop_run, bus, &stopper), SKALD_OK);
    while (skald_publish(bus, event, NULL) != SKALD_ECLOSED) {
    } // until it stops
    assert_int_equal(ski_store_memory.submit(faults.driver, held), SKALD_OK);
    ski_kernel_system.join(NULL, stopper);
    assert_int_equal(err, SKALD_OK);
    skald_bus_free(bus);
    skald_store_close(store);
}

static void a_head_without_events_is_looked_at_once(void **state)
{
    notes to = {0};
    rig on;

    (void)state;
    rig_open(&on);
    skald_subscription_options options = rig_options(NULL, &to);

    rig_subscribe(&on, &options);
    rig_publish(&on, "a", NULL);
    rig_run(&on);
    uint32_t before = faults.tail_reads;

    atomic_fetch_add(&on.bus->head, 5); // positions passed without an event
    for (int i = 0; i < 10; i++) assert_int_equal(rig_run(&on), 0);
    assert_int_equal(faults.tail_reads, before + 1);
    rig_close(&on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_read_that_fails_is_tried_again, calm),
        cmocka_unit_test_setup(damage_halts_and_is_told, calm),
        cmocka_unit_test_setup(where_it_begins_must_be_stored, calm),
        cmocka_unit_test_setup(a_checkpoint_that_fails_is_written_later, calm),
        cmocka_unit_test_setup(one_checkpoint_is_on_its_way_at_a_time, calm),
        cmocka_unit_test_setup(the_end_waits_for_the_checkpoint, calm),
        cmocka_unit_test_setup(a_last_checkpoint_that_fails_ends_nonetheless, calm),
        cmocka_unit_test_setup(stop_tells_when_positions_could_not_be_kept, calm),
        cmocka_unit_test_setup(stopping_times_out_on_what_is_pending, calm),
        cmocka_unit_test_setup(every_allocation_may_fail, calm),
        cmocka_unit_test_setup(making_a_bus_may_fail, calm),
        cmocka_unit_test_setup(a_page_of_a_tail_set_anew_is_thrown_away, calm),
        cmocka_unit_test_setup(threads_that_do_not_start, calm),
        cmocka_unit_test_setup(a_head_without_events_is_looked_at_once, calm),
        cmocka_unit_test_setup(who_is_just_behind_reads_what_the_tail_read, calm),
        cmocka_unit_test_setup(stop_waits_for_publishes, calm),
    };

    return cmocka_run_group_tests(tests, made_ready, gone);
}
