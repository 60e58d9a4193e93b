// SPDX-License-Identifier: Apache-2.0
// Trays between threads: workers hand out while another thread answers, in bulk, most of it in any
// order and some before the handler has returned, and some that is to come again.
#include "bus/bus_hall.h"

enum { subscriptions = 3, events = 6000, keys = 400, batch = 100, answers_max = 4096 };

typedef struct office office;

// Of one subscription: what is out of each key, and how far it has come.
typedef struct desk {
    office *of;
    bool out[keys];
    uint64_t last[keys];
    uint32_t done;
    uint8_t got[events + 1];
} desk;

typedef struct slip {
    skald_delivery_id id;
    desk *from;
    uint32_t key;
    bool again;
} slip;

struct office {
    hall in;
    desk desks[subscriptions];
    slip slips[answers_max];
    uint32_t count;
    bool closed;
};

static uint32_t key_of(uint64_t position)
{
    return (uint32_t)(position * 7919 % keys);
}

static skald_outcome hand_over(const skald_delivery *delivery)
{
    desk *at = delivery->context;
    office *of = at->of;
    uint64_t position = delivery->event->position;
    uint32_t key = key_of(position);
    bool again = position % 1009 == 0 && delivery->attempt == 1;

    ski_mutex_lock(&of->in.lock);
    assert_false(at->out[key]);
    assert_true(again || !at->got[position]);
    assert_true(at->last[key] <= position);
    at->out[key] = true;
    at->last[key] = position;
    if (!again) at->got[position] = 1;
    assert_true(of->count < answers_max);
    of->slips[of->count++] = (slip){delivery->id, at, key, again};
    ski_cond_broadcast(&of->in.changed);
    ski_mutex_unlock(&of->in.lock);
    return SKALD_PENDING;
}

// answer_slips: those of one kind, last first.
static void answer_slips(office *of, const slip *slips, uint32_t count, bool again)
{
    static skald_delivery_id ids[answers_max];
    size_t some = 0, ended = 0;

    for (uint32_t i = count; i-- > 0;)
        if (slips[i].again == again) ids[some++] = slips[i].id;
    assert_int_equal(skald_deliveries_end(of->in.bus, ids, some, again ? SKALD_RETRY : SKALD_ACK, 1,
                                          NULL, NULL, &ended),
                     SKALD_OK);
    assert_int_equal(ended, some);
}

static void clerk(void *argument)
{
    static slip slips[answers_max];
    office *of = argument;

    for (;;) {
        ski_mutex_lock(&of->in.lock);
        while (!of->count && !of->closed) ski_cond_wait(&of->in.changed, &of->in.lock);
        uint32_t count = of->count;

        memcpy(slips, of->slips, count * sizeof(*slips));
        of->count = 0;
        for (uint32_t i = 0; i < count; i++) slips[i].from->out[slips[i].key] = false;
        ski_mutex_unlock(&of->in.lock);
        if (!count) return;
        answer_slips(of, slips, count, false);
        answer_slips(of, slips, count, true);
        ski_mutex_lock(&of->in.lock);
        for (uint32_t i = 0; i < count; i++) slips[i].from->done += !slips[i].again;
        ski_cond_broadcast(&of->in.changed);
        ski_mutex_unlock(&of->in.lock);
    }
}

static void publish_some(office *of, uint64_t first)
{
    char names[batch][16];
    skald_event some[batch];

    for (uint32_t i = 0; i < batch; i++) {
        snprintf(names[i], sizeof(names[i]), "s-%u", key_of(first + i));
        some[i] = (skald_event){.type = SKALD_STR("a.made"),
                                .stream = skald_str_of(names[i]),
                                .data = SKALD_STR("{}")};
    }
    assert_int_equal(skald_publish_all(of->in.bus, some, batch, NULL, NULL), SKALD_OK);
}

static void each_comes_once_and_its_key_in_order(void **state)
{
    static office of;
    ski_thread thread;

    (void)state;
    hall_open(&of.in, NULL);
    for (uint32_t i = 0; i < subscriptions; i++) {
        of.desks[i].of = &of;
        (void)hall_subscribe(&of.in, (skald_subscription_options){
                                         .handler = {.fn = hand_over, .context = &of.desks[i]},
                                         .in_flight_max = i ? 256 : 40});
    }
    assert_int_equal(of.in.kernel->spawn(of.in.kernel->context, "clerk", clerk, &of, &thread), 0);
    for (uint64_t first = 1; first <= events; first += batch) publish_some(&of, first);
    for (uint32_t i = 0; i < subscriptions; i++) hall_wait(&of.in, &of.desks[i].done, events);
    ski_mutex_lock(&of.in.lock);
    of.closed = true;
    ski_cond_broadcast(&of.in.changed);
    ski_mutex_unlock(&of.in.lock);
    of.in.kernel->join(of.in.kernel->context, thread);
    ski_bus_lock(of.in.bus);
    assert_int_equal(of.in.bus->active, 0);
    assert_int_equal(of.in.bus->reserved, 0);
    assert_int_equal(of.in.bus->acked, events * subscriptions);
    assert_true(of.in.bus->runs > 0);
    ski_bus_leave(of.in.bus);
    hall_close(&of.in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_comes_once_and_its_key_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
