// SPDX-License-Identifier: Apache-2.0
// Reads of the store that take long, whoever makes them: a worker that looks for itself, the
// dispatcher, the reader. The memory driver, whose reads hang when told, and which may keep a
// checkpoint for a while.
#include "bus/bus_hall.h"

#include "store/memory/memory.h"

enum {
    many = 2000, // of one publish
    tries = 50,
    lag_tries = 15, // of which 5 are there before
    rounds = 10,
    singles = 20,
    few = 16,
    behind_max = 256,
    let_go_s = 10,       // a stop that waits for a read
    stop_max_ms = 60000, // longer than that, for handlers
    stop_min_ms = 20,
};

// The read that is to hang: its page is what was there before.
static struct slow {
    gate at;
    atomic_bool hangs;
    atomic_bool hung, twice;
    bool worker, tail; // whose it is; of the tail, or for one that lags
} slow;

static bool is_asked_for(void)
{
    skald_bus *bus = slow.at.in->bus;
    bool worker = false;

    ski_mutex_lock(&bus->lock);
    for (uint32_t i = 0; i < bus->worker_count; i++) worker |= bus->workers[i].reads;
    bool is = worker == slow.worker && bus->tail_read == slow.tail && bus->lag_read != slow.tail;

    ski_mutex_unlock(&bus->lock);
    return is;
}

// look_twice: while a read of the tail hangs there is none but for one that lags.
static void look_twice(void)
{
    skald_bus *bus = slow.at.in->bus;

    if (!slow.tail || !gate_holds(&slow.at)) return;
    ski_mutex_lock(&bus->lock);
    if (!bus->lag_read) atomic_store(&slow.twice, true);
    ski_mutex_unlock(&bus->lock);
}

static skald_err slow_read(void *driver, const skald_read *read, skald_store_page *ret_page,
                           skald_error *reterr_error)
{
    skald_err err = ski_store_memory.read(driver, read, ret_page, reterr_error);

    if (atomic_load(&slow.hung)) look_twice();
    if (atomic_load(&slow.hangs) && is_asked_for() && atomic_exchange(&slow.hangs, false)) {
        atomic_store(&slow.hung, true);
        gate_stay(&slow.at);
    }
    return err;
}

// The checkpoint of "kept" that is to be held.
static struct kept {
    atomic_bool holds;
    skald_store_batch *_Atomic held;
} kept;

static skald_err held_submit(void *driver, skald_store_batch *batch)
{
    bool is = batch->value_count && skald_str_equal(batch->values[0].name, SKALD_STR("sub/kept"));

    if (!is || !atomic_exchange(&kept.holds, false)) return ski_store_memory.submit(driver, batch);
    atomic_store(&kept.held, batch);
    return SKALD_OK;
}

static skald_store_driver driver;
const skald_store_driver *const ski_store_drivers[] = {&driver, NULL};

static void open_slow(hall *in)
{
    driver = ski_store_memory;
    driver.read = slow_read;
    driver.submit = held_submit;
    memset(&slow, 0, sizeof(slow));
    memset(&kept, 0, sizeof(kept));
    hall_open(in, NULL);
    slow.at.in = in;
}

static void slow_begin(bool worker, bool tail)
{
    slow.worker = worker;
    slow.tail = tail;
    atomic_store(&slow.hangs, true);
}

// A quick handler, which is to have each event once, in order.
typedef struct taker {
    _Atomic uint64_t count;
    atomic_bool astray;
} taker;

static skald_outcome take(const skald_delivery *delivery)
{
    taker *to = delivery->context;

    if (delivery->event->position != atomic_fetch_add(&to->count, 1) + 1)
        atomic_store(&to->astray, true);
    return SKALD_ACK;
}

static skald_subscription subscribe(hall *in, const char *name, taker *to)
{
    return hall_subscribe(in, (skald_subscription_options){.name = name,
                                                           .from = SKALD_FROM_START,
                                                           .handler = {.fn = take, .context = to}});
}

// reached waits for so many, whether a read hangs or not.
static void reached(hall *in, const taker *to, uint64_t least)
{
    uint64_t since_ns = hall_now_ns();

    while (atomic_load(&to->count) < least) hall_moment(in, since_ns);
    assert_false(atomic_load(&to->astray));
}

static uint32_t publish_count(hall *in, uint32_t count)
{
    static skald_event events[many];

    for (uint32_t i = 0; i < count; i++)
        events[i] = (skald_event){.type = SKALD_STR("a"), .stream = SKALD_STR("s")};
    assert_int_equal(skald_publish_all(in->bus, events, count, NULL, NULL), SKALD_OK);
    return count;
}

// hangs_soon gives false if so many were taken and no read hangs.
static bool hangs_soon(hall *in, const taker *to, uint64_t least)
{
    uint64_t since_ns = hall_now_ns();

    for (; atomic_load(&to->count) < least; hall_moment(in, since_ns))
        if (gate_holds(&slow.at)) return true;
    return gate_holds(&slow.at);
}

// counted_out waits until the worker whose read hangs is one that looks no more.
static void counted_out(hall *in)
{
    uint64_t since_ns = hall_now_ns();
    bool looks = true;

    for (; looks; hall_moment(in, since_ns)) {
        looks = false;
        ski_mutex_lock(&in->bus->lock);
        for (uint32_t i = 0; i < in->bus->worker_count; i++)
            looks |= in->bus->workers[i].reads && in->bus->workers[i].looks;
        ski_mutex_unlock(&in->bus->lock);
    }
}

// publish_some adds a few, one soon after the other: a worker that is at them looks for more.
static uint32_t publish_some(hall *in, const taker *to, uint32_t published)
{
    uint32_t count = publish_count(in, 1 + published % few);

    if (published + count - atomic_load(&to->count) > behind_max)
        (void)hangs_soon(in, to, published + count);
    return count;
}

// too_slow: under a tool that slows all down no worker gets through soon enough to read for itself.
static void too_slow(hall *in)
{
    gate_open(&slow.at);
    hall_close(in);
    print_message("SKIPPED: handlers are too slow here for a worker to read the next page\n");
    skip();
}

// hang_worker publishes until the read of a worker hangs, of the tail, and gives how many there
// were.
static uint32_t hang_worker(hall *in, const taker *to)
{
    uint32_t published = publish_count(in, many);

    slow_begin(true, true);
    while (!gate_holds(&slow.at)) {
        if (published > tries * many) too_slow(in);
        published += publish_some(in, to, published);
    }
    return published;
}

// What the tail has given so far others get, and all get what came meanwhile, once it goes on.
static void a_worker_late_with_the_tail(void **state)
{
    taker live = {0}, lags = {0};
    uint32_t published;
    hall in;

    (void)state;
    open_slow(&in);
    subscribe(&in, NULL, &live);
    published = hang_worker(&in, &live);
    counted_out(&in);
    for (uint32_t i = 0; i < singles; i++) published += publish_count(&in, 1);
    ski_mutex_lock(&in.bus->lock);
    uint64_t tail = in.bus->tail;

    ski_mutex_unlock(&in.bus->lock);
    subscribe(&in, NULL, &lags);
    reached(&in, &lags, tail);
    assert_true(gate_holds(&slow.at));
    assert_false(atomic_load(&slow.twice));
    gate_open(&slow.at);
    reached(&in, &live, published);
    reached(&in, &lags, published);
    for (uint32_t i = 0; i < singles; i++) published += publish_count(&in, 1);
    reached(&in, &live, published);
    reached(&in, &lags, published);
    hall_close(&in);
    assert_int_equal(live.count, published);
    assert_int_equal(lags.count, published);
}

// The tail is read meanwhile, for those who are live.
static void a_worker_late_with_what_lags(void **state)
{
    static taker lagging[rounds];
    taker live = {0}, other = {0}, *lags = NULL;
    uint32_t published = 0, round = 0;
    hall in;

    (void)state;
    open_slow(&in);
    subscribe(&in, NULL, &live);
    for (int i = 0; i < 5; i++) published += publish_count(&in, many);
    reached(&in, &live, published);
    slow_begin(true, false);
    while (!gate_holds(&slow.at)) {
        if (round == rounds) too_slow(&in);
        lags = &lagging[round++];
        subscribe(&in, NULL, lags);
        for (uint32_t all = published; atomic_load(&lags->count) < all && !gate_holds(&slow.at);) {
            if (published > lag_tries * many) too_slow(&in);
            published += publish_some(&in, &live, published);
        }
    }
    counted_out(&in);
    subscribe(&in, NULL, &other); // another that lags waits
    for (uint32_t i = 0; i < singles; i++) {
        published += publish_count(&in, 1);
        reached(&in, &live, published);
    }
    assert_true(gate_holds(&slow.at));
    gate_open(&slow.at);
    reached(&in, lags, published);
    reached(&in, &other, published);
    hall_close(&in);
    assert_int_equal(live.count, published);
    assert_int_equal(lags->count, published);
    assert_int_equal(other.count, published);
}

// let_go ends a stop that waits for the read, for the test to fail.
static void let_go(void *context)
{
    const uint32_t *stopped = context;
    hall *in = slow.at.in;

    ski_mutex_lock(&in->lock);
    while (!*stopped &&
           ski_cond_wait_ns(&in->changed, &in->lock, let_go_s * UINT64_C(1000000000))) {
    }
    bool late = !*stopped;

    ski_mutex_unlock(&in->lock);
    if (late) gate_open(&slow.at);
}

// stopped_while stops a bus whose read hangs, which does not wait for it, lets it go on, and has
// another bus go on: each event comes once.
static void stopped_while(hall *in, taker *to, uint32_t published, uint32_t timeout_ms)
{
    uint32_t stopped = 0;
    ski_thread thread;

    assert_int_equal(in->kernel->spawn(in->kernel->context, "let-go", let_go, &stopped, &thread),
                     SKALD_OK);
    assert_int_equal(skald_bus_stop(in->bus, timeout_ms), SKALD_OK);
    assert_true(gate_holds(&slow.at));
    ski_mutex_lock(&in->lock);
    stopped = 1;
    ski_cond_broadcast(&in->changed);
    ski_mutex_unlock(&in->lock);
    in->kernel->join(in->kernel->context, thread);
    gate_open(&slow.at);
    skald_bus_free(in->bus);
    assert_true(atomic_load(&to->count) <= published);
    assert_int_equal(skald_bus_new(in->store, NULL, &in->bus), SKALD_OK);
    subscribe(in, "kept", to);
    reached(in, to, published);
    hall_close(in);
    assert_int_equal(to->count, published);
}

static void stop_while_a_worker_reads(void **state)
{
    taker to = {0};
    hall in;

    (void)state;
    open_slow(&in);
    subscribe(&in, "kept", &to);
    stopped_while(&in, &to, hang_worker(&in, &to), stop_max_ms);
}

static void stop_while_the_dispatcher_reads(void **state)
{
    taker to = {0};
    hall in;

    (void)state;
    open_slow(&in);
    subscribe(&in, "kept", &to);
    slow_begin(false, true);
    (void)publish_count(&in, 1);
    assert_true(hangs_soon(&in, &to, 1));
    stopped_while(&in, &to, 1, stop_max_ms);
}

// What the dispatcher would take in arrives meanwhile: stop waits for the checkpoint only.
static void stop_while_the_dispatcher_reads_and_a_checkpoint_arrives(void **state)
{
    uint32_t published = 1;
    uint64_t since_ns;
    taker to = {0};
    hall in;

    (void)state;
    open_slow(&in);
    subscribe(&in, "kept", &to);
    atomic_store(&kept.holds, true);
    (void)publish_count(&in, 1);
    for (since_ns = hall_now_ns(); !atomic_load(&kept.held);) hall_moment(&in, since_ns);
    reached(&in, &to, 1);
    slow_begin(false, true);
    do { // a worker may still look, and read it
        assert_true(published < many);
        published += publish_count(&in, 1);
    } while (!hangs_soon(&in, &to, published));
    skald_store_batch *held = atomic_load(&kept.held);

    held->done(held, SKALD_OK);
    stopped_while(&in, &to, published, stop_max_ms);
}

// It reads for one, whose end is waited for as long as may be; no handler runs.
static void stop_while_the_reader_reads(void **state)
{
    taker to = {0};
    hall in;

    (void)state;
    open_slow(&in);
    (void)publish_count(&in, many);
    slow_begin(false, false);
    subscribe(&in, "kept", &to);
    assert_true(hangs_soon(&in, &to, many));
    stopped_while(&in, &to, many, stop_min_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_late_with_the_tail),
        cmocka_unit_test(a_worker_late_with_what_lags),
        cmocka_unit_test(stop_while_a_worker_reads),
        cmocka_unit_test(stop_while_the_dispatcher_reads),
        cmocka_unit_test(stop_while_the_dispatcher_reads_and_a_checkpoint_arrives),
        cmocka_unit_test(stop_while_the_reader_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
