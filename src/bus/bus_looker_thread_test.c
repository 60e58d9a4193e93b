// SPDX-License-Identifier: Apache-2.0
// Workers that look for themselves: what they were to look for is found by others when they hang,
// in a handler that was quick until then or in a hook; they wait for events that come one by one.
#include "bus/bus_hall.h"

#include "base/alloc.h"

enum {
    many = 2000, // of one publish
    tries = 1000,
    rounds = 200,
};

// A handler that counts, and when told to hangs as soon as its worker is one that looks.
typedef struct taker {
    gate at;
    _Atomic uint32_t count;
    atomic_bool hangs, any; // any: whether its worker looks or not
    uint32_t ended;
} taker;

static skald_outcome take(const skald_delivery *delivery)
{
    taker *to = delivery->context;

    atomic_fetch_add(&to->count, 1);
    if (atomic_load(&to->hangs) && (atomic_load(&to->at.in->bus->lookers) || to->any) &&
        atomic_exchange(&to->hangs, false))
        gate_stay(&to->at);
    return SKALD_ACK;
}

static void take_end(void *context)
{
    taker *to = context;

    ski_mutex_lock(&to->at.in->lock);
    to->ended = 1;
    ski_cond_broadcast(&to->at.in->changed);
    while (to->ended < 2) ski_cond_wait(&to->at.in->changed, &to->at.in->lock);
    ski_mutex_unlock(&to->at.in->lock);
}

static void tell(hall *in, uint32_t *what, uint32_t value)
{
    ski_mutex_lock(&in->lock);
    *what = value;
    ski_cond_broadcast(&in->changed);
    ski_mutex_unlock(&in->lock);
}

// wait_for gives true once so many were taken, false when its handler hangs before that.
static bool wait_for(taker *to, uint32_t least)
{
    uint64_t since_ns = hall_now_ns();

    for (; atomic_load(&to->count) < least; hall_moment(to->at.in, since_ns))
        if (gate_holds(&to->at)) return false;
    return true;
}

static void publish_count(hall *in, uint32_t count, const char *type)
{
    static skald_event events[many];

    for (uint32_t i = 0; i < count; i++)
        events[i] = (skald_event){.type = skald_str_of(type), .stream = SKALD_STR("s")};
    assert_int_equal(skald_publish_all(in->bus, events, count, NULL, NULL), SKALD_OK);
}

// hang_one publishes until the handler hangs, called by a worker that looks: then gives how many
// there were.
static uint32_t hang_one(taker *to)
{
    uint32_t published = 0;

    atomic_store(&to->hangs, true);
    do {
        assert_true(published < tries * many);
        publish_count(to->at.in, many, "a.made");
        published += many;
    } while (wait_for(to, published));
    return published;
}

static skald_time noon(void *context)
{
    (void)context;
    return 1;
}

// A clock that stands still: each call seems to take no time, and never too much.
static uint64_t still(void *context)
{
    (void)context;
    return 1;
}

static const skald_clock still_clock = {noon, still, NULL};

// open_still: with two processors, whatever there are. On one, others would wait for the quick one
// that hangs until its call is slow, which it never is by that clock.
static void open_still(hall *in, taker *one, taker *two)
{
    hall_open(in, &(skald_bus_options){.clock = &still_clock});
    ski_mutex_lock(&in->bus->lock);
    in->bus->processors = 2;
    ski_mutex_unlock(&in->bus->lock);
    one->at.in = two->at.in = in;
}

static void subscribe(taker *to, skald_subscription_options options)
{
    options.handler = (skald_handler){.fn = take, .context = to, .end = options.handler.end};
    hall_subscribe(to->at.in, options);
}

// It is quick until it hangs, in the middle of a page. Another gets the rest of it, and what comes
// then. By the bus's clock the call takes no time: that the worker is late in looking is noticed.
static void one_that_hangs_is_not_waited_for(void **state)
{
    taker hangs = {0}, other = {0};
    uint32_t published;
    hall in;

    (void)state;
    open_still(&in, &hangs, &other);
    subscribe(&hangs, (skald_subscription_options){0});
    subscribe(&other, (skald_subscription_options){0});
    published = hang_one(&hangs);
    assert_true(wait_for(&other, published));
    for (uint32_t i = 1; i <= 20; i++) {
        publish_count(&in, 1, "a.made");
        assert_true(wait_for(&other, ++published));
    }
    publish_count(&in, many, "a.made");
    published += many;
    assert_true(wait_for(&other, published));
    gate_open(&hangs.at);
    assert_true(wait_for(&hangs, published));
    hall_close(&in);
}

// The same of one that comes later and has all to catch up with.
static void one_that_lags_is_read_for(void **state)
{
    taker hangs = {0}, late = {0};
    uint32_t published;
    hall in;

    (void)state;
    open_still(&in, &hangs, &late);
    subscribe(&hangs, (skald_subscription_options){0});
    published = hang_one(&hangs);
    subscribe(&late, (skald_subscription_options){.from = SKALD_FROM_START});
    assert_true(wait_for(&late, published));
    gate_open(&hangs.at);
    assert_true(wait_for(&hangs, published));
    hall_close(&in);
}

// One that comes, and is to catch up, while a worker is about to look: so nobody is woken. Then
// that worker hangs.
typedef struct comer {
    taker hangs, lags;
    atomic_bool comes, came;
} comer;

// keep_no_page: from one that was kept it would have something to run, for which others are called.
static void keep_no_page(skald_bus *bus)
{
    ski_mutex_lock(&bus->lock);
    ski_kept_drop(bus);
    ski_mutex_unlock(&bus->lock);
}

// left_to_me: somebody is to be read for, of which nobody was told, and no other worker looks.
static bool left_to_me(skald_bus *bus)
{
    ski_mutex_lock(&bus->lock);
    bool left =
        !ski_link_alone(&bus->catching) && atomic_load(&bus->lookers) == 1 && ski_looked_after(bus);

    ski_mutex_unlock(&bus->lock);
    return left;
}

static skald_outcome take_and_add(const skald_delivery *delivery)
{
    comer *of = delivery->context;
    taker *hangs = &of->hangs;

    if (atomic_load(&of->comes) && ski_looked_after(hangs->at.in->bus) &&
        atomic_exchange(&of->comes, false)) {
        keep_no_page(hangs->at.in->bus);
        subscribe(&of->lags, (skald_subscription_options){.from = SKALD_FROM_START});
        atomic_store(&of->came, true);
        if (left_to_me(hangs->at.in->bus)) gate_stay(&hangs->at);
    }
    atomic_fetch_add(&hangs->count, 1);
    return SKALD_ACK;
}

static void one_that_came_before_is_read_for(void **state)
{
    uint32_t hung = 0;

    (void)state;
    for (uint32_t round = 0; round < rounds && hung < 3; round++) {
        comer of = {0};
        uint32_t published = 0;
        hall in;

        open_still(&in, &of.hangs, &of.lags);
        hall_subscribe(&in, (skald_subscription_options){
                                .handler = {.fn = take_and_add, .context = &of}});
        publish_count(&in, many, "a.made");
        published = many;
        assert_true(wait_for(&of.hangs, published));
        atomic_store(&of.comes, true);
        while (!atomic_load(&of.came)) {
            assert_true(published < tries * many);
            publish_count(&in, many, "a.made");
            published += many;
            if (!wait_for(&of.hangs, published)) break;
        }
        hung += gate_holds(&of.hangs.at);
        assert_true(wait_for(&of.lags, published));
        gate_open(&of.hangs.at);
        assert_true(wait_for(&of.hangs, published));
        hall_close(&in);
    }
    if (hung) return;
    print_message("SKIPPED: it is too slow here for one to come before a worker looks\n");
    skip();
}

// The only worker there is is kept by the hook of a subscription that has ended.
static void a_hook_that_hangs_is_not_waited_for(void **state)
{
    taker ends = {.any = true}, other = {0};
    skald_subscription made;
    hall in;

    (void)state;
    hall_open(&in, NULL);
    ends.at.in = other.at.in = &in;
    made = hall_subscribe(&in, (skald_subscription_options){
                                   .handler = {.fn = take, .context = &ends, .end = take_end}});
    (void)hang_one(&ends);
    assert_int_equal(skald_unsubscribe(in.bus, made, false), SKALD_OK);
    gate_open(&ends.at); // its call returns, and its worker tells the end
    hall_wait(&in, &ends.ended, 1);
    subscribe(&other, (skald_subscription_options){0});
    for (uint32_t i = 1; i <= 20; i++) {
        publish_count(&in, 1, "a.made");
        assert_true(wait_for(&other, i));
    }
    tell(&in, &ends.ended, 2);
    hall_close(&in);
}

// One by one: a worker waits for some of them. Whoever stops the bus meanwhile does not wait for
// more than that.
static void what_comes_one_by_one_is_taken(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 20; round++) {
        hall in;
        taker takes = {0}, beside = {0}, lags = {.at.in = &in};
        uint32_t published = 0;

        open_still(&in, &takes, &beside);
        subscribe(&takes, (skald_subscription_options){0});
        subscribe(&beside, (skald_subscription_options){0});
        for (; published < many / 10 * (round + 1) / 2; published++)
            publish_count(&in, 1, "a.made");
        if (round % 2) { // and for one that lags it reads, however often it has waited
            subscribe(&lags, (skald_subscription_options){.from = SKALD_FROM_START});
            assert_true(wait_for(&lags, published));
            assert_true(wait_for(&takes, published));
            assert_true(wait_for(&beside, published));
        }
        hall_close(&in);
        assert_true(atomic_load(&takes.count) <= published);
    }
}

// Whatever a worker needs memory for when it reads a page: refused once, it comes later.
static void memory_refused_costs_time_only(void **state)
{
    taker takes = {.any = true};
    uint32_t published;
    hall in;

    (void)state;
    hall_open(&in, NULL);
    takes.at.in = &in;
    subscribe(&takes, (skald_subscription_options){0});
    published = hang_one(&takes);
    for (uint64_t n = 1; n <= 16; n++) {
        publish_count(&in, many, "a.made"); // waits in the log behind the call that hangs
        published += many;
        ski_alloc_fail_at(n);
        gate_open(&takes.at); // its worker looks, and reads on
        assert_true(wait_for(&takes, published));
        ski_alloc_fail_at(0);
        atomic_store(&takes.count, 0);
        ski_mutex_lock(&in.lock);
        takes.at.open = false;
        takes.at.inside = 0;
        ski_mutex_unlock(&in.lock);
        published = hang_one(&takes);
    }
    gate_open(&takes.at);
    hall_close(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_hangs_is_not_waited_for),
        cmocka_unit_test(one_that_lags_is_read_for),
        cmocka_unit_test(one_that_came_before_is_read_for),
        cmocka_unit_test(a_hook_that_hangs_is_not_waited_for),
        cmocka_unit_test(what_comes_one_by_one_is_taken),
        cmocka_unit_test(memory_refused_costs_time_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
