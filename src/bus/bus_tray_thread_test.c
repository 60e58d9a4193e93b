// SPDX-License-Identifier: Apache-2.0
// Trays between threads: workers hand out while another thread answers, in bulk, most of it in any
// order and some before the handler has returned, and some that is to come again.
#include "bus/bus_hall.h"

#include <sched.h>

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

// rests waits until no run is under way and nothing is kept for one: what was answered last may end
// before its run does.
static void rests(hall *in)
{
    for (bool over = false; !over;) {
        ski_bus_lock(in->bus);
        over = !in->bus->active && !in->bus->reserved;
        ski_bus_leave(in->bus);
        if (!over) sched_yield();
    }
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
    rests(&of.in);
    ski_bus_lock(of.in.bus);
    assert_int_equal(of.in.bus->acked, events * subscriptions);
    assert_true(of.in.bus->runs > 0);
    ski_bus_leave(of.in.bus);
    hall_close(&of.in);
}

// Whoever may do something to a subscription does it meanwhile: answers that come before the
// handler has returned, from itself and from others, pauses, resets, traces. Each is acked at last.

enum { yard_events = 2800, resets = 4, rounds = 40, positions_max = 4096, ticks_max = 200000 };

typedef struct yard yard;

struct yard {
    hall in;
    struct post {
        yard *of;
        skald_subscription made;
        bool acked[positions_max];
    } posts[2];
    struct note {
        skald_delivery_id id;
        struct post *from;
        uint64_t position;
        bool again;
    } left[answers_max];
    uint32_t count;
    bool closed;
};

static skald_outcome work(const skald_delivery *delivery)
{
    struct post *at = delivery->context;
    yard *of = at->of;
    uint64_t position = delivery->event->position;
    bool again = position % 61 == 0 || position % 397 == 0;

    if (position % 499 == 0 && delivery->attempt == 1 &&
        !skald_delivery_end(delivery->bus, delivery->id, SKALD_RETRY, 1, NULL))
        return SKALD_PENDING;
    if (position % 7 == 0 && !skald_delivery_end(delivery->bus, delivery->id, SKALD_ACK, 0, NULL)) {
        ski_mutex_lock(&of->in.lock);
        at->acked[position] = true;
        ski_mutex_unlock(&of->in.lock);
        return SKALD_PENDING;
    }
    ski_mutex_lock(&of->in.lock);
    assert_true(of->count < answers_max);
    of->left[of->count++] =
        (struct note){delivery->id, at, position, again && delivery->attempt == 1};
    // What is acked by the return is answered by others too, just now: one of them is heard.
    if (position % 61 == 0) at->acked[position] = true;
    ski_cond_broadcast(&of->in.changed);
    ski_mutex_unlock(&of->in.lock);
    return position % 61 ? SKALD_PENDING : SKALD_ACK;
}

static void yard_clerk(void *argument)
{
    yard *of = argument;

    ski_mutex_lock(&of->in.lock);
    for (;;) {
        while (!of->count && !of->closed) ski_cond_wait(&of->in.changed, &of->in.lock);
        if (!of->count) break;
        struct note next = of->left[--of->count];

        ski_mutex_unlock(&of->in.lock);
        bool ended =
            !skald_delivery_end(of->in.bus, next.id, next.again ? SKALD_RETRY : SKALD_ACK, 1, NULL);

        ski_mutex_lock(&of->in.lock);
        if (ended && !next.again) next.from->acked[next.position] = true;
    }
    ski_mutex_unlock(&of->in.lock);
}

static void manage(yard *of, uint32_t round)
{
    const skald_subscription made = of->posts[round % 2].made;
    skald_bus *bus = of->in.bus;
    skald_arena *arena;
    skald_trace trace;

    assert_int_equal(skald_subscription_pause(bus, made, NULL), SKALD_OK);
    assert_int_equal(skald_arena_new(4 << 20, &arena), SKALD_OK);
    assert_int_equal(skald_bus_trace(bus, (skald_str){0}, SKALD_STR("c"), 50, arena, &trace, NULL),
                     SKALD_OK);
    skald_arena_free(arena);
    assert_int_equal(skald_subscription_resume(bus, made, NULL), SKALD_OK);
    if (round % (rounds / resets) == round % 2)
        assert_int_equal(skald_subscription_reset(
                             bus, made, &(skald_reset){.from = SKALD_FROM_START}, NULL, NULL),
                         SKALD_OK);
}

static bool yard_is_done(yard *of, uint64_t last)
{
    ski_bus_lock(of->in.bus);
    bool done = !of->in.bus->active && !of->in.bus->reserved;

    for (uint32_t i = 0; i < 2; i++) {
        const ski_subscription *sub = ski_subscription_find(of->in.bus, of->posts[i].made.id);

        done = done && !sub->in_flight && ski_subscription_floor(sub) >= last;
    }
    ski_bus_leave(of->in.bus);
    return done;
}

static void whatever_is_done_to_it_each_is_acked(void **state)
{
    const skald_str type = SKALD_STR("a.made");
    bool made[positions_max] = {0};
    skald_appended appended = {0};
    ski_thread threads[2];
    static yard of;

    (void)state;
    hall_open(&of.in, NULL);
    of.in.bus->runs_after = of.in.bus->trays_kept = 0;
    for (uint32_t i = 0; i < 2; i++) {
        of.posts[i].of = &of;
        of.posts[i].made = hall_subscribe(
            &of.in, (skald_subscription_options){.name = i ? "many" : "few",
                                                 .filter.types = {&type, 1},
                                                 .handler = {.fn = work, .context = &of.posts[i]},
                                                 .order = SKALD_UNORDERED,
                                                 .retry = {.first_ms = 1},
                                                 .in_flight_max = i ? 256 : 4});
    }
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(
            of.in.kernel->spawn(of.in.kernel->context, "clerk", yard_clerk, &of, &threads[i]), 0);
    for (uint32_t round = 0, count = yard_events / rounds; round < rounds; round++) {
        skald_event some[yard_events / rounds];

        for (uint32_t i = 0; i < count; i++)
            some[i] = (skald_event){.type = type,
                                    .correlation_id = SKALD_STR("c"),
                                    .data = SKALD_STR("{}")};
        assert_int_equal(skald_publish_all(of.in.bus, some, count, NULL, &appended), SKALD_OK);
        assert_true(appended.position_last < positions_max);
        for (uint32_t i = 0; i < count; i++) made[appended.position_last - i] = true;
        manage(&of, round);
    }
    ski_mutex_lock(&of.in.lock);
    for (uint32_t ticks = 0; !yard_is_done(&of, appended.position_last); ticks++) {
        assert_true(ticks < ticks_max);
        (void)ski_cond_wait_ns(&of.in.changed, &of.in.lock, 10 * SKI_NS_PER_MS);
    }
    of.closed = true;
    ski_cond_broadcast(&of.in.changed);
    ski_mutex_unlock(&of.in.lock);
    for (uint32_t i = 0; i < 2; i++) of.in.kernel->join(of.in.kernel->context, threads[i]);
    for (uint32_t i = 0; i < 2 * positions_max; i++)
        assert_true(!made[i / 2] || of.posts[i % 2].acked[i / 2]);
    hall_close(&of.in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_comes_once_and_its_key_in_order),
        cmocka_unit_test(whatever_is_done_to_it_each_is_acked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
