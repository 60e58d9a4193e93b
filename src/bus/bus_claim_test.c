// SPDX-License-Identifier: Apache-2.0
// What a worker has taken at once, as claims or as a run: what it has not begun can be had back and
// comes exactly once, and what is done is ended, whatever the call between them does.
#include "bus/bus_hall.h"

enum { events = 96, twentieth = 20 };

// A handler that is quick, but for one position, at which it waits at a gate.
typedef struct quick {
    gate at;
    uint64_t sticks_at, comes_again;
    bool runs; // else claims
    uint32_t count;
    uint8_t got[events + 1];
} quick;

static skald_outcome be_quick(const skald_delivery *delivery)
{
    quick *to = delivery->context;
    uint64_t position = delivery->event->position;

    if (position == to->sticks_at) (void)hang(&(skald_delivery){.context = &to->at});
    ski_mutex_lock(&to->at.in->lock);
    assert_true(!to->got[position] || position == to->comes_again);
    assert_int_equal(delivery->attempt, 1); // one that was had back was no attempt
    to->got[position] = 1;
    to->count++;
    ski_cond_broadcast(&to->at.in->changed);
    ski_mutex_unlock(&to->at.in->lock);
    return SKALD_ACK;
}

static void quick_end(void *context)
{
    quick *to = context;

    ski_mutex_lock(&to->at.in->lock);
    to->at.ends++;
    ski_cond_broadcast(&to->at.in->changed);
    ski_mutex_unlock(&to->at.in->lock);
}

static void publish_some(hall *in)
{
    for (int i = 0; i < events; i++)
        assert_int_equal(skald_publish(in->bus, (skald_event){.type = SKALD_STR("a")}, NULL),
                         SKALD_OK);
}

// quick_paused has events wait for a subscription whose handler is known to be quick.
static skald_subscription quick_paused(hall *in, quick *to, uint64_t sticks_at,
                                       uint32_t workers_max, const bool *runs)
{
    static const skald_bus_options options = {.threads_max = 4};

    memset(to, 0, sizeof(*to));
    hall_open(in, &options);
    to->at.in = in;
    to->sticks_at = sticks_at;
    to->runs = *runs;
    skald_subscription made = hall_subscribe(
        in,
        (skald_subscription_options){.name = "quick",
                                     .paused = true,
                                     .order = SKALD_UNORDERED,
                                     .workers_max = workers_max,
                                     .handler = {.fn = be_quick, .context = to, .end = quick_end}});

    publish_some(in);
    ski_bus_lock(in->bus);
    ski_subscription *sub = ski_subscription_find(in->bus, made.id);

    sub->burst = SKI_CLAIMS_MAX;
    sub->smooth = SKI_RUNS_AFTER;
    sub->dense = events;
    if (!*runs) in->bus->runs_after = UINT32_MAX;
    ski_bus_leave(in->bus);
    return made;
}

static skald_subscription quick_begin_at(hall *in, quick *to, uint64_t sticks_at,
                                         uint32_t workers_max, const bool *runs)
{
    skald_subscription made = quick_paused(in, to, sticks_at, workers_max, runs);

    assert_int_equal(skald_subscription_resume(in->bus, made, NULL), SKALD_OK);
    return made;
}

static skald_subscription quick_begin(hall *in, quick *to, uint32_t workers_max, const bool *runs)
{
    return quick_begin_at(in, to, 1, workers_max, runs);
}

// quick_close: it has gone as it was to go.
static void quick_close(hall *in, const quick *to)
{
    ski_bus_lock(in->bus);
    bool ran = in->bus->runs != 0;

    ski_bus_leave(in->bus);
    assert_true(ran == to->runs);
    hall_close(in);
}

static uint32_t quick_count(quick *to)
{
    ski_mutex_lock(&to->at.in->lock);
    uint32_t count = to->count;

    ski_mutex_unlock(&to->at.in->lock);
    return count;
}

// calls_end waits until no call of its handler runs.
static void calls_end(hall *in, skald_subscription made)
{
    for (bool busy = true; busy;) {
        ski_mutex_lock(&in->lock); // a pause, not a guess: it is looked at again
        (void)ski_cond_wait_ns(&in->changed, &in->lock, SKI_NS_PER_MS);
        ski_mutex_unlock(&in->lock);
        ski_bus_lock(in->bus);
        busy = ski_subscription_find(in->bus, made.id)->callers != 0;
        ski_bus_leave(in->bus);
    }
}

static void what_waits_behind_a_call_that_sticks_is_had_back(void **state)
{
    static quick to;
    hall in;

    quick_begin(&in, &to, 4, *state);
    hall_wait(&in, &to.count, events - 1);
    assert_int_equal(to.at.inside, 1);
    gate_open(&to.at);
    hall_wait(&in, &to.count, events);
    quick_close(&in, &to);
}

// acked_wait waits until so many were acked and nothing runs but what sticks.
static void acked_wait(hall *in, skald_subscription made, uint64_t least)
{
    int waited_ms = 0;

    for (bool waits = true; waits; waited_ms++) {
        if (waited_ms == hall_wait_s * 1000) fail_msg("what is done was not ended");
        ski_mutex_lock(&in->lock);
        (void)ski_cond_wait_ns(&in->changed, &in->lock, SKI_NS_PER_MS);
        ski_mutex_unlock(&in->lock);
        ski_bus_lock(in->bus);
        const ski_subscription *sub = ski_subscription_find(in->bus, made.id);

        waits = sub->acked < least || sub->running > 1;
        ski_bus_leave(in->bus);
    }
}

static void what_is_done_before_a_call_that_sticks_is_ended(void **state)
{
    static quick to;
    hall in;

    skald_subscription made = quick_begin_at(&in, &to, twentieth, 4, *state);

    acked_wait(&in, made, events - 1);
    ski_bus_lock(in.bus);
    const ski_subscription *sub = ski_subscription_find(in.bus, made.id);
    uint64_t floor = ski_subscription_floor(sub);
    uint32_t in_flight = sub->in_flight, running = sub->running;

    ski_bus_leave(in.bus);
    assert_int_equal(floor, twentieth - 1);
    assert_int_equal(in_flight, 1);
    assert_int_equal(running, 1);
    gate_open(&to.at);
    hall_wait(&in, &to.count, events);
    acked_wait(&in, made, events);
    quick_close(&in, &to);
}

static void its_ends_are_kept_by_a_pause(void **state)
{
    static quick to;
    hall in;

    skald_subscription made = quick_begin_at(&in, &to, twentieth, 1, *state);

    hall_wait(&in, &to.at.inside, 1);
    assert_int_equal(skald_subscription_pause(in.bus, made, NULL), SKALD_OK);
    ski_bus_lock(in.bus);
    uint64_t acked = ski_subscription_find(in.bus, made.id)->acked;
    uint32_t running = ski_subscription_find(in.bus, made.id)->running;

    ski_bus_leave(in.bus);
    assert_int_equal(acked, twentieth - 1);
    assert_int_equal(running, 1);
    gate_open(&to.at);
    calls_end(&in, made);
    assert_int_equal(quick_count(&to), twentieth);
    quick_close(&in, &to);
}

static void a_stop_that_times_out_saves_what_is_done(void **state)
{
    static quick to;
    hall in;

    quick_begin_at(&in, &to, twentieth, 1, *state);
    to.comes_again = twentieth;
    hall_wait(&in, &to.at.inside, 1);
    assert_int_equal(skald_bus_stop(in.bus, 0), SKALD_ETIMEOUT);
    gate_open(&to.at);
    skald_bus_free(in.bus);
    assert_int_equal(skald_bus_new(in.store, NULL, &in.bus), SKALD_OK);
    hall_subscribe(&in, (skald_subscription_options){.name = "quick",
                                                     .order = SKALD_UNORDERED,
                                                     .handler = {.fn = be_quick, .context = &to}});
    hall_wait(&in, &to.count, events + 1); // each once, but for the one that hung
    hall_close(&in);
}

// All is done and ended by somebody else, and with it the subscription, before its worker looks.
static void an_end_waits_for_the_worker_of_what_is_done(void **state)
{
    static quick to;
    hall in;

    skald_subscription made = quick_begin_at(&in, &to, twentieth, 1, *state);

    hall_wait(&in, &to.at.inside, 1);
    ski_bus_lock(in.bus);
    ski_subscription *sub = ski_subscription_find(in.bus, made.id);

    gate_open(&to.at);
    while (sub->running) (void)ski_claims_return(in.bus, sub);
    sub->durable = false; // there is no checkpoint to wait for
    ski_subscription_end(sub, false);
    bool stays = sub->callers == 1 && ski_link_alone(&sub->gone);

    ski_bus_leave(in.bus);
    assert_true(stays);
    hall_wait(&in, &to.at.ends, 1);
    assert_true(quick_count(&to) >= twentieth);
    quick_close(&in, &to);
}

static void nothing_begins_after_a_pause(void **state)
{
    static quick to;
    hall in;

    skald_subscription made = quick_begin(&in, &to, 1, *state);

    hall_wait(&in, &to.at.inside, 1);
    assert_int_equal(skald_subscription_pause(in.bus, made, NULL), SKALD_OK);
    gate_open(&to.at);
    calls_end(&in, made);
    assert_int_equal(quick_count(&to), 1);
    assert_int_equal(skald_subscription_resume(in.bus, made, NULL), SKALD_OK);
    hall_wait(&in, &to.count, events);
    quick_close(&in, &to);
}

static void what_was_had_back_comes_to_the_next(void **state)
{
    static quick to;
    hall in;

    skald_subscription made = quick_begin(&in, &to, 1, *state);

    hall_wait(&in, &to.at.inside, 1);
    assert_int_equal(skald_unsubscribe(in.bus, made, false), SKALD_OK);
    gate_open(&to.at);
    hall_wait(&in, &to.at.ends, 1);
    assert_int_equal(quick_count(&to), 1);
    skald_bus_free(in.bus);
    assert_int_equal(skald_bus_new(in.store, NULL, &in.bus), SKALD_OK);
    hall_subscribe(&in, (skald_subscription_options){.name = "quick",
                                                     .order = SKALD_UNORDERED,
                                                     .handler = {.fn = be_quick, .context = &to}});
    hall_wait(&in, &to.count, events);
    hall_close(&in);
}

static void a_reset_has_all_of_it_come_again(void **state)
{
    static quick to;
    hall in;

    skald_subscription made = quick_begin(&in, &to, 1, *state);

    hall_wait(&in, &to.at.inside, 1);
    assert_int_equal(skald_subscription_reset(in.bus, made, &(skald_reset){.after = 1}, NULL, NULL),
                     SKALD_OK);
    gate_open(&to.at);
    hall_wait(&in, &to.count, events); // the first, which was not heard, and all behind it
    quick_close(&in, &to);
}

// One processor, and the thread that is at something quick does not come back.
static void a_quick_one_that_sticks_is_not_counted_on(void **state)
{
    static quick to, other;
    hall in;

    skald_subscription made = quick_begin(&in, &to, 1, *state);

    hall_wait(&in, &to.at.inside, 1);
    memset(&other, 0, sizeof(other));
    other.at.in = &in;
    ski_bus_lock(in.bus);
    in.bus->processors = 1;
    ski_bus_leave(in.bus);
    skald_subscription beside =
        hall_subscribe(&in, (skald_subscription_options){
                                .name = "other",
                                .paused = true,
                                .handler = {.fn = be_quick, .context = &other, .end = quick_end}});

    ski_bus_lock(in.bus);
    ski_subscription_find(in.bus, beside.id)->burst = SKI_CLAIMS_MAX;
    assert_true(ski_subscription_find(in.bus, made.id)->callers == 1);
    ski_bus_leave(in.bus);
    assert_int_equal(skald_subscription_resume(in.bus, beside, NULL), SKALD_OK);
    hall_wait(&in, &other.count, events);
    assert_int_equal(quick_count(&to), 0);
    gate_open(&to.at);
    hall_wait(&in, &to.count, events);
    quick_close(&in, &to);
}

static void how_many_is_found_out(void **state)
{
    static quick to;
    hall in;

    skald_subscription made = quick_begin(&in, &to, 1, *state);

    hall_wait(&in, &to.at.inside, 1);
    ski_mutex_lock(&in.lock); // 10 ms are not quick
    (void)ski_cond_wait_ns(&in.changed, &in.lock, 10 * SKI_NS_PER_MS);
    ski_mutex_unlock(&in.lock);
    ski_bus_lock(in.bus);
    (void)ski_claims_return(in.bus, NULL);
    bool stopped = ski_subscription_find(in.bus, made.id)->running == 1;

    ski_bus_leave(in.bus);
    assert_true(stopped);
    assert_int_equal(skald_subscription_pause(in.bus, made, NULL), SKALD_OK);
    gate_open(&to.at);
    calls_end(&in, made);
    ski_bus_lock(in.bus);
    assert_int_equal(ski_subscription_find(in.bus, made.id)->burst, 1);
    ski_bus_leave(in.bus);
    hall_close(&in);
}

// quiet_wait waits until no thread is busy and all was acked, or (refused) no run could begin.
static void quiet_wait(hall *in, skald_subscription made, bool refused)
{
    for (bool waits = true; waits;) {
        ski_mutex_lock(&in->lock);
        (void)ski_cond_wait_ns(&in->changed, &in->lock, SKI_NS_PER_MS);
        ski_mutex_unlock(&in->lock);
        ski_bus_lock(in->bus);
        const ski_subscription *sub = ski_subscription_find(in->bus, made.id);

        waits = in->bus->busy || (refused ? sub->smooth != 0 : sub->acked < events);
        ski_bus_leave(in->bus);
    }
}

static void one_that_cannot_begin_a_run_is_not_counted(void **state)
{
    static quick to;
    hall in;

    skald_subscription made = quick_paused(&in, &to, 0, 4, *state);

    ski_bus_lock(in.bus);
    in.bus->deliveries_max = 0;
    ski_bus_leave(in.bus);
    assert_int_equal(skald_subscription_resume(in.bus, made, NULL), SKALD_OK);
    quiet_wait(&in, made, true);
    ski_bus_lock(in.bus);
    uint32_t counted = in.bus->quick;

    in.bus->deliveries_max = SKI_DELIVERIES_MAX;
    ski_bus_leave(in.bus);
    assert_int_equal(counted, 0);
    quiet_wait(&in, made, false);
    assert_int_equal(quick_count(&to), events);
    hall_close(&in);
}

#define BOTH(test) cmocka_unit_test_prestate(test, &claims), cmocka_unit_test_prestate(test, &runs)

int main(void)
{
    static bool runs = true, claims = false;
    const struct CMUnitTest tests[] = {
        BOTH(what_waits_behind_a_call_that_sticks_is_had_back),
        BOTH(what_is_done_before_a_call_that_sticks_is_ended),
        BOTH(its_ends_are_kept_by_a_pause),
        BOTH(a_stop_that_times_out_saves_what_is_done),
        cmocka_unit_test_prestate(an_end_waits_for_the_worker_of_what_is_done, &claims),
        BOTH(nothing_begins_after_a_pause),
        BOTH(what_was_had_back_comes_to_the_next),
        BOTH(a_reset_has_all_of_it_come_again),
        BOTH(a_quick_one_that_sticks_is_not_counted_on),
        cmocka_unit_test_prestate(how_many_is_found_out, &claims),
        cmocka_unit_test_prestate(one_that_cannot_begin_a_run_is_not_counted, &runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
