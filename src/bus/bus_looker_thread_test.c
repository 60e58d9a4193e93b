// SPDX-License-Identifier: Apache-2.0
// Workers that look for themselves: what they were to look for is found by others when they hang,
// in a handler that was quick until then or in a hook.
#include "bus/bus_hall.h"

enum {
    many = 2000, // of one publish: a handler of these is known to be quick
};

// A handler that counts, and at one event hangs.
typedef struct taker {
    hall *in;
    uint32_t count, hangs_at; // 0: never
    uint32_t inside;
    bool open;
} taker;

static skald_outcome take(const skald_delivery *delivery)
{
    taker *to = delivery->context;

    ski_mutex_lock(&to->in->lock);
    to->count++;
    if (to->count == to->hangs_at) to->inside = 1;
    ski_cond_broadcast(&to->in->changed);
    while (to->inside && !to->open) ski_cond_wait(&to->in->changed, &to->in->lock);
    ski_mutex_unlock(&to->in->lock);
    return SKALD_ACK;
}

static void take_end(void *context)
{
    taker *to = context;

    ski_mutex_lock(&to->in->lock);
    to->inside = 1;
    ski_cond_broadcast(&to->in->changed);
    while (!to->open) ski_cond_wait(&to->in->changed, &to->in->lock);
    ski_mutex_unlock(&to->in->lock);
}

static void let_go(taker *to)
{
    ski_mutex_lock(&to->in->lock);
    to->open = true;
    ski_cond_broadcast(&to->in->changed);
    ski_mutex_unlock(&to->in->lock);
}

static void publish_count(hall *in, uint32_t count)
{
    static skald_event events[many];

    for (uint32_t i = 0; i < count; i++)
        events[i] = (skald_event){.type = SKALD_STR("a.made"), .stream = SKALD_STR("s")};
    assert_int_equal(skald_publish_all(in->bus, events, count, NULL, NULL), SKALD_OK);
}

// Both are quick; then one hangs in the middle of a page. The other gets the rest of it, and what
// is published when nobody is awake but the one that hangs.
static void one_that_hangs_is_not_waited_for(void **state)
{
    taker hangs = {.hangs_at = 2 * many + many / 2}, other = {0};
    hall in;

    (void)state;
    hall_open(&in, NULL);
    hangs.in = other.in = &in;
    hall_subscribe(&in, (skald_subscription_options){.handler = {.fn = take, .context = &hangs}});
    hall_subscribe(&in, (skald_subscription_options){.handler = {.fn = take, .context = &other}});
    for (uint32_t i = 1; i <= 2; i++) {
        publish_count(&in, many);
        hall_wait(&in, &hangs.count, i * many);
        hall_wait(&in, &other.count, i * many);
    }
    publish_count(&in, many);
    hall_wait(&in, &hangs.inside, 1);
    hall_wait(&in, &other.count, 3 * many);
    for (uint32_t i = 1; i <= 20; i++) {
        publish_count(&in, 1);
        hall_wait(&in, &other.count, 3 * many + i);
    }
    publish_count(&in, many);
    hall_wait(&in, &other.count, 4 * many + 20);
    let_go(&hangs);
    hall_wait(&in, &hangs.count, 4 * many + 20);
    hall_close(&in);
}

// The same of one that comes later and has all to catch up with.
static void one_that_lags_is_read_for(void **state)
{
    taker hangs = {.hangs_at = many + 1}, late = {0};
    hall in;

    (void)state;
    hall_open(&in, NULL);
    hangs.in = late.in = &in;
    hall_subscribe(&in, (skald_subscription_options){.handler = {.fn = take, .context = &hangs}});
    publish_count(&in, many);
    hall_wait(&in, &hangs.count, many);
    publish_count(&in, many);
    hall_wait(&in, &hangs.inside, 1);
    hall_subscribe(&in, (skald_subscription_options){.from = SKALD_FROM_START,
                                                     .handler = {.fn = take, .context = &late}});
    hall_wait(&in, &late.count, 2 * many);
    let_go(&hangs);
    hall_wait(&in, &hangs.count, 2 * many);
    hall_close(&in);
}

// A worker that is to look is kept by the hook of a subscription that has ended meanwhile.
static void a_hook_that_hangs_is_not_waited_for(void **state)
{
    taker ends = {.hangs_at = many / 2}, other = {0};
    hall in;

    (void)state;
    hall_open(&in, NULL);
    ends.in = other.in = &in;
    hall_subscribe(&in, (skald_subscription_options){.handler = {.fn = take, .context = &other}});
    publish_count(&in, many);
    hall_wait(&in, &other.count, many);
    skald_subscription made =
        hall_subscribe(&in, (skald_subscription_options){
                                .handler = {.fn = take, .context = &ends, .end = take_end}});

    publish_count(&in, many);
    hall_wait(&in, &ends.inside, 1);
    assert_int_equal(skald_unsubscribe(in.bus, made, false), SKALD_OK);
    ski_mutex_lock(&in.lock);
    ends.inside = 0; // its call returns, and its worker tells the end
    ski_cond_broadcast(&in.changed);
    ski_mutex_unlock(&in.lock);
    hall_wait(&in, &ends.inside, 1);
    hall_wait(&in, &other.count, 2 * many);
    for (uint32_t i = 1; i <= 20; i++) {
        publish_count(&in, 1);
        hall_wait(&in, &other.count, 2 * many + i);
    }
    let_go(&ends);
    hall_close(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_hangs_is_not_waited_for),
        cmocka_unit_test(one_that_lags_is_read_for),
        cmocka_unit_test(a_hook_that_hangs_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
