// SPDX-License-Identifier: Apache-2.0
// What runs hand out and is answered later: each way out of a tray, and that nobody can tell one
// from a delivery.
#include "bus/bus_rig.h"

#include "base/alloc.h"

enum { events = 60, calls_max = 2000 };

typedef struct tale tale;

// What the handler of a test does at one position, the first time.
typedef skald_outcome deed_fn(tale *of, const skald_delivery *delivery);

struct tale {
    rig on;
    skald_subscription made;
    uint32_t streams; // of the events published
    uint64_t at;      // 0: nowhere
    deed_fn *deed;
    skald_outcome answer;
    skald_delivery_id ids[calls_max];
    uint64_t got[calls_max];
    uint32_t attempts[calls_max], count, ends;
};

static skald_outcome listen(const skald_delivery *delivery)
{
    tale *of = delivery->context;
    uint64_t position = delivery->event->position;

    assert_true(of->count < calls_max);
    of->ids[of->count] = delivery->id;
    of->attempts[of->count] = delivery->attempt;
    of->got[of->count++] = position;
    if (position != of->at || !position) return of->answer;
    of->at = 0;
    return of->deed(of, delivery);
}

static void listen_end(void *context)
{
    ((tale *)context)->ends++;
}

static void publish(tale *of, uint32_t count)
{
    skald_event some[calls_max];
    char names[calls_max][16];

    for (uint32_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "s-%u", i % of->streams);
        some[i] = (skald_event){.type = SKALD_STR("a.made"),
                                .stream = skald_str_of(names[i]),
                                .data = SKALD_STR("{}")};
    }
    assert_int_equal(skald_publish_all(of->on.bus, some, count, NULL, NULL), SKALD_OK);
}

static ski_subscription *listener(tale *of)
{
    return ski_name_find(of->on.bus, SKALD_STR("listener"));
}

static void subscribe(tale *of, skald_subscription_options options)
{
    options.name = "listener";
    options.handler = (skald_handler){.fn = listen, .context = of, .end = listen_end};
    options.from = SKALD_FROM_START;
    if (!options.retry.first_ms) options.retry.first_ms = 10;
    of->made = rig_subscribe(&of->on, &options);
}

static void tale_open(tale *of, uint32_t streams)
{
    memset(of, 0, sizeof(*of));
    rig_open(&of->on);
    of->on.bus->runs_after = 0;
    of->answer = SKALD_PENDING;
    of->streams = streams;
}

static skald_err answer(tale *of, uint32_t call, skald_outcome outcome)
{
    return skald_delivery_end(of->on.bus, of->ids[call], outcome, 5, NULL);
}

// tale_begin has all events but the first, which told that it answers later, be in trays.
static void tale_begin(tale *of, skald_subscription_options options)
{
    tale_open(of, events);
    publish(of, events);
    subscribe(of, options);
    rig_run(&of->on);
    assert_int_equal(of->count, events);
    assert_int_equal(listener(of)->outs, events - 1);
    assert_int_equal(listener(of)->in_flight, events);
    assert_int_equal(listener(of)->pending, 1);
    assert_int_equal(of->on.bus->active, events);
    assert_int_equal(answer(of, 0, SKALD_ACK), SKALD_OK);
}

static uint32_t times_given(const tale *of, uint64_t position)
{
    uint32_t times = 0;

    for (uint32_t i = 0; i < of->count; i++) times += of->got[i] == position;
    return times;
}

// tale_end: nothing is open, nothing is kept for what is.
static void tale_end(tale *of)
{
    const skald_bus *bus = of->on.bus;
    const ski_subscription *sub = listener(of);

    rig_run(&of->on);
    assert_int_equal(sub->in_flight, 0);
    assert_int_equal(sub->outs, 0);
    assert_int_equal(sub->pending, 0);
    assert_int_equal(sub->tray_count, 0);
    assert_int_equal(sub->held_bytes, 0);
    assert_int_equal(bus->active, 0);
    assert_int_equal(bus->reserved, 0);
    assert_int_equal(bus->free_count, bus->chunk_count * SKI_CHUNK_DELIVERIES);
    assert_int_equal(ski_subscription_floor(sub), skald_store_head(of->on.store));
    rig_close(&of->on);
}

// answer_all acks what was given from call on and says nothing of those that are answered.
static uint32_t answer_all(tale *of, uint32_t from)
{
    uint32_t ended = 0;

    for (uint32_t i = from; i < of->count; i++) ended += answer(of, i, SKALD_ACK) == SKALD_OK;
    return ended;
}

static void each_is_ended_once_in_any_order(void **state)
{
    bool each[events];
    size_t ended = 0;
    tale of;

    (void)state;
    tale_begin(&of, (skald_subscription_options){0});
    for (uint32_t i = events - 1; i >= 30; i -= 2)
        assert_int_equal(answer(&of, i, SKALD_ACK), SKALD_OK);
    assert_int_equal(ski_subscription_floor(listener(&of)), 1);
    assert_int_equal(skald_deliveries_end(of.on.bus, of.ids, events, SKALD_ACK, 0, NULL, each,
                                          &ended),
                     SKALD_OK);
    assert_int_equal(ended, events - 1 - 15);
    for (uint32_t i = 0; i < events; i++) assert_int_equal(each[i], i && !(i > 30 && i % 2));
    for (uint32_t i = 0; i < events; i++) {
        assert_int_equal(answer(&of, i, SKALD_ACK), SKALD_ESTALE);
        assert_int_equal(answer(&of, i, SKALD_RETRY), SKALD_ESTALE);
    }
    skald_bus_counters counters;

    skald_bus_counters_get(of.on.bus, &counters);
    assert_int_equal(counters.delivered, events);
    assert_int_equal(counters.acked, events);
    assert_int_equal(listener(&of)->acked, events);
    assert_int_equal(listener(&of)->taken, events);
    tale_end(&of);
}

static void what_is_open_comes_again_after_a_crash(void **state)
{
    tale of;

    (void)state;
    tale_begin(&of, (skald_subscription_options){0});
    for (uint32_t i = 1; i < events; i++)
        if (i != 9 && i != 19) assert_int_equal(answer(&of, i, SKALD_ACK), SKALD_OK);
    assert_int_equal(ski_subscription_floor(listener(&of)), 9);
    rig_run(&of.on); // writes where it stands
    rig_restart(&of.on, true);
    of.count = 0;
    subscribe(&of, (skald_subscription_options){0});
    rig_run(&of.on);
    assert_int_equal(of.count, 2);
    assert_int_equal(of.got[0], 10);
    assert_int_equal(of.got[1], 20);
    assert_int_equal(answer_all(&of, 0), 2);
    tale_end(&of);
}

static void another_answer_is_that_of_a_delivery(void **state)
{
    tale of;

    (void)state;
    tale_begin(&of, (skald_subscription_options){.on_exhausted = SKALD_DEAD_LETTER});
    assert_int_equal(answer(&of, 9, SKALD_RETRY), SKALD_OK);
    assert_int_equal(answer(&of, 9, SKALD_ACK), SKALD_ESTALE);
    assert_int_equal(listener(&of)->retrying, 1);
    assert_int_equal(listener(&of)->pending, events - 2);
    assert_int_equal(answer(&of, 19, SKALD_REJECT), SKALD_OK);
    assert_int_equal(answer(&of, 19, SKALD_ACK), SKALD_ESTALE);
    assert_int_equal(listener(&of)->dead_count, 1);
    assert_int_equal(answer_all(&of, 1), events - 3);
    rig_pass(&of.on, 6);
    assert_int_equal(of.count, events + 1);
    assert_int_equal(of.got[events], 10);
    assert_int_equal(of.attempts[events], 2);
    assert_int_equal(answer(&of, 9, SKALD_ACK), SKALD_ESTALE);
    assert_int_equal(answer(&of, events, SKALD_ACK), SKALD_OK);
    tale_end(&of);
}

static void what_is_not_answered_times_out(void **state)
{
    tale of;

    (void)state;
    tale_begin(&of, (skald_subscription_options){.retry = {.timeout_ms = 100}});
    for (uint32_t i = 1; i < events; i += 2) assert_int_equal(answer(&of, i, SKALD_ACK), SKALD_OK);
    rig_pass(&of.on, 99);
    assert_int_equal(listener(&of)->timed_out, 0);
    rig_pass(&of.on, 1);
    assert_int_equal(listener(&of)->timed_out, events / 2 - 1);
    for (uint32_t i = 0; i < events; i++) assert_int_equal(answer(&of, i, SKALD_ACK), SKALD_ESTALE);
    rig_pass(&of.on, 20);
    assert_int_equal(of.count, events + events / 2 - 1);
    for (uint32_t i = events; i < of.count; i++) assert_int_equal(of.attempts[i], 2);
    assert_int_equal(answer_all(&of, events), events / 2 - 1);
    tale_end(&of);
}

static void an_id_that_is_nobodys_is_refused(void **state)
{
    tale of;

    (void)state;
    tale_begin(&of, (skald_subscription_options){0});
    const uint64_t generation = UINT64_C(1) << SKI_DELIVERY_BITS, id = of.ids[1].id;
    const uint64_t wrong[] = {0,
                              1,
                              id - generation,
                              id + SKI_TRAY_EVENTS * generation,
                              of.ids[events - 1].id + generation,
                              UINT64_MAX,
                              id + 17,
                              id + 1};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        for (int outcome = SKALD_ACK; outcome <= SKALD_REJECT; outcome++)
            assert_int_equal(skald_delivery_end(of.on.bus, (skald_delivery_id){wrong[i]},
                                                (skald_outcome)outcome, 0, NULL),
                             SKALD_ESTALE);
    assert_int_equal(listener(&of)->outs, events - 1); // nothing has come to any harm
    assert_int_equal(answer_all(&of, 1), events - 1);
    tale_end(&of);
}

static void set_back_all_of_it_comes_again(void **state)
{
    tale of;

    (void)state;
    tale_begin(&of, (skald_subscription_options){0});
    assert_int_equal(skald_subscription_reset(of.on.bus, of.made,
                                              &(skald_reset){.from = SKALD_FROM_START}, NULL, NULL),
                     SKALD_OK);
    for (uint32_t i = 0; i < events; i++) assert_int_equal(answer(&of, i, SKALD_ACK), SKALD_ESTALE);
    rig_run(&of.on);
    assert_int_equal(of.count, 2 * events);
    for (uint32_t i = 0; i < events; i++) assert_int_equal(of.got[events + i], i + 1);
    assert_int_equal(answer_all(&of, events), events);
    tale_end(&of);
}

static void ended_it_leaves_what_is_open_to_the_next(void **state)
{
    tale of;

    (void)state;
    tale_begin(&of, (skald_subscription_options){0});
    assert_int_equal(answer(&of, 5, SKALD_ACK), SKALD_OK);
    assert_int_equal(skald_unsubscribe(of.on.bus, of.made, false), SKALD_OK);
    assert_int_equal(answer(&of, 6, SKALD_ACK), SKALD_ESTALE);
    rig_run(&of.on);
    assert_int_equal(of.ends, 1);
    assert_int_equal(answer(&of, 7, SKALD_RETRY), SKALD_ESTALE);
    assert_int_equal(of.on.bus->reserved, 0);
    subscribe(&of, (skald_subscription_options){0});
    rig_run(&of.on);
    assert_int_equal(times_given(&of, 6), 1);
    assert_int_equal(of.count, 2 * events - 2);
    rig_restart(&of.on, false); // closed while all that is out
    of.on.bus->runs_after = 0;
    for (uint32_t i = 0; i < of.count; i++)
        assert_int_equal(answer(&of, i, SKALD_ACK), SKALD_ESTALE);
    uint32_t before = of.count;

    subscribe(&of, (skald_subscription_options){0});
    rig_run(&of.on);
    assert_int_equal(of.count, before + events - 2);
    assert_int_equal(answer_all(&of, before), events - 2);
    tale_end(&of);
}

static void paused_it_hears_and_drained_it_ends(void **state)
{
    tale of;

    (void)state;
    tale_begin(&of, (skald_subscription_options){0});
    assert_int_equal(skald_subscription_pause(of.on.bus, of.made, NULL), SKALD_OK);
    for (uint32_t i = 1; i < 30; i++) assert_int_equal(answer(&of, i, SKALD_ACK), SKALD_OK);
    assert_int_equal(skald_subscription_resume(of.on.bus, of.made, NULL), SKALD_OK);
    publish(&of, 1);
    rig_run(&of.on);
    assert_int_equal(of.count, events + 1);
    assert_int_equal(skald_subscription_drain(of.on.bus, of.made, NULL), SKALD_OK);
    publish(&of, 1);
    rig_run(&of.on);
    assert_int_equal(of.count, events + 1);
    for (uint32_t i = 30; i < events; i++) assert_int_equal(answer(&of, i, SKALD_ACK), SKALD_OK);
    rig_run(&of.on);
    assert_int_equal(of.ends, 0);
    assert_int_equal(answer(&of, events, SKALD_ACK), SKALD_OK);
    rig_run(&of.on);
    assert_int_equal(of.ends, 1);
    rig_close(&of.on);

    // One that is paused waits for what is out before it ends.
    tale_begin(&of, (skald_subscription_options){0});
    assert_int_equal(skald_subscription_pause(of.on.bus, of.made, NULL), SKALD_OK);
    assert_int_equal(skald_subscription_drain(of.on.bus, of.made, NULL), SKALD_OK);
    rig_run(&of.on);
    assert_int_equal(of.ends, 0);
    assert_int_equal(answer_all(&of, 1), events - 1);
    rig_run(&of.on);
    assert_int_equal(of.ends, 1);
    rig_close(&of.on);
}

// Of one key there is never more than one out, and its events come in order.
static void a_key_that_is_out_waits(void **state)
{
    const skald_order orders[] = {SKALD_BY_STREAM, SKALD_IN_SEQUENCE, SKALD_UNORDERED};
    tale of;

    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
        uint64_t last[7] = {0};
        uint32_t answered = 0, most = 0;

        tale_open(&of, 7);
        publish(&of, events);
        subscribe(&of, (skald_subscription_options){.order = orders[i]});
        while (answered < events) {
            rig_run(&of.on);
            assert_true(of.count > answered);
            if (of.count - answered > most) most = of.count - answered;
            for (; answered < of.count; answered++) {
                uint64_t position = of.got[answered];

                assert_true(last[(position - 1) % 7] < position);
                last[(position - 1) % 7] = position;
                assert_int_equal(answer(&of, answered, SKALD_ACK), SKALD_OK);
            }
        }
        assert_int_equal(most, orders[i] == SKALD_BY_STREAM     ? 7
                               : orders[i] == SKALD_IN_SEQUENCE ? 1
                                                                : events);
        tale_end(&of);
    }
}

static void as_many_as_may_be_in_flight(void **state)
{
    tale of;

    (void)state;
    tale_open(&of, events);
    publish(&of, events);
    subscribe(&of, (skald_subscription_options){.in_flight_max = 10});
    rig_run(&of.on);
    assert_int_equal(of.count, 10);
    assert_int_equal(listener(&of)->outs, 9);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(answer(&of, 2 * i, SKALD_ACK), SKALD_OK);
    rig_run(&of.on);
    assert_int_equal(of.count, 14);
    assert_int_equal(answer(&of, 13, SKALD_ACK), SKALD_OK); // of the second while the first waits
    rig_run(&of.on);
    assert_int_equal(of.count, 15);
    while (of.count < events) {
        (void)answer_all(&of, 0);
        rig_run(&of.on);
    }
    assert_in_range(listener(&of)->in_flight, 1, 10);
    (void)answer_all(&of, 0);
    tale_end(&of);
}

// Of many small trays each keeps one open: the oldest become deliveries.
static void trays_are_not_without_number(void **state)
{
    tale of;

    (void)state;
    tale_open(&of, 300);
    publish(&of, 300);
    subscribe(&of, (skald_subscription_options){0});
    skald_bus_run(of.on.bus, 1);
    for (uint32_t i = 1; i < 300; i += 3) {
        skald_bus_run(of.on.bus, 3);
        assert_true(listener(&of)->tray_count <= SKI_TRAYS_MAX);
        assert_true(of.count > i + 1);
        assert_int_equal(answer(&of, i, SKALD_ACK), SKALD_OK);
        assert_int_equal(answer(&of, i + 1, SKALD_ACK), SKALD_OK);
    }
    rig_run(&of.on);
    assert_int_equal(of.count, 300);
    assert_true(listener(&of)->outs > 0 && listener(&of)->pending > 0);
    assert_int_equal(answer_all(&of, 0), 1 + 99);
    tale_end(&of);
}

static skald_outcome twice_early(tale *of, const skald_delivery *delivery)
{
    assert_int_equal(skald_delivery_end(of->on.bus, delivery->id, SKALD_ACK, 0, NULL), SKALD_OK);
    assert_int_equal(skald_delivery_end(of->on.bus, delivery->id, SKALD_ACK, 0, NULL),
                     SKALD_ESTALE);
    assert_int_equal(skald_delivery_end(of->on.bus, delivery->id, SKALD_RETRY, 0, NULL),
                     SKALD_ESTALE);
    assert_non_null(listener(of)->run);
    return SKALD_PENDING;
}

static skald_outcome early_and_ack(tale *of, const skald_delivery *delivery)
{
    (void)twice_early(of, delivery);
    return SKALD_ACK;
}

static skald_outcome early_and_retry(tale *of, const skald_delivery *delivery)
{
    (void)twice_early(of, delivery);
    return SKALD_RETRY;
}

static skald_outcome early_and_paused(tale *of, const skald_delivery *delivery)
{
    (void)twice_early(of, delivery);
    assert_int_equal(skald_subscription_pause(of->on.bus, of->made, NULL), SKALD_OK);
    assert_int_equal(skald_delivery_end(of->on.bus, delivery->id, SKALD_ACK, 0, NULL),
                     SKALD_ESTALE);
    assert_int_equal(skald_subscription_resume(of->on.bus, of->made, NULL), SKALD_OK);
    return SKALD_PENDING;
}

static void acked_before_the_return_it_is_done(void **state)
{
    deed_fn *const deeds[] = {twice_early, early_and_ack, early_and_retry, early_and_paused};
    tale of;

    (void)state;
    for (size_t i = 0; i < sizeof(deeds) / sizeof(*deeds); i++) {
        tale_open(&of, events);
        publish(&of, events);
        of.at = 30;
        of.deed = deeds[i];
        subscribe(&of, (skald_subscription_options){0});
        rig_run(&of.on);
        assert_int_equal(of.count, events);
        assert_int_equal(listener(&of)->in_flight, events - 1);
        assert_int_equal(answer(&of, 29, SKALD_ACK), SKALD_ESTALE);
        assert_int_equal(answer_all(&of, 0), events - 1);
        assert_int_equal(listener(&of)->acked, events);
        tale_end(&of);
    }
}

static skald_outcome always_early(const skald_delivery *delivery)
{
    tale *of = delivery->context;

    of->count++;
    assert_int_equal(skald_delivery_end(of->on.bus, delivery->id, SKALD_ACK, 0, NULL), SKALD_OK);
    return SKALD_PENDING;
}

// What is never out takes no room, of whatever there is.
static void a_run_of_such_goes_to_its_end(void **state)
{
    tale of;

    (void)state;
    tale_open(&of, 500);
    publish(&of, 500);
    of.made =
        rig_subscribe(&of.on,
                      &(skald_subscription_options){.name = "listener",
                                                    .handler = {.fn = always_early, .context = &of},
                                                    .from = SKALD_FROM_START,
                                                    .in_flight_max = 2});
    rig_run(&of.on);
    assert_int_equal(of.count, 500);
    assert_true(of.on.bus->runs < 10);
    tale_end(&of);
}

// At the call that a run with a tray is broken at.
static skald_outcome early_retry(tale *of, const skald_delivery *delivery)
{
    assert_int_equal(skald_delivery_end(of->on.bus, delivery->id, SKALD_RETRY, 5, "no"), SKALD_OK);
    assert_int_equal(skald_delivery_end(of->on.bus, delivery->id, SKALD_ACK, 0, NULL),
                     SKALD_ESTALE);
    return SKALD_PENDING;
}

static skald_outcome retry_of_one_before(tale *of, const skald_delivery *delivery)
{
    skald_delivery_id next = {delivery->id.id + (UINT64_C(1) << SKI_DELIVERY_BITS)};

    assert_int_equal(skald_delivery_end(of->on.bus, next, SKALD_ACK, 0, NULL), SKALD_ESTALE);
    assert_int_equal(skald_delivery_end(of->on.bus, next, SKALD_RETRY, 0, NULL), SKALD_ESTALE);
    assert_int_equal(skald_delivery_end(of->on.bus, of->ids[9], SKALD_ACK, 0, NULL), SKALD_OK);
    assert_int_equal(skald_delivery_end(of->on.bus, of->ids[9], SKALD_RETRY, 0, NULL),
                     SKALD_ESTALE);
    assert_int_equal(skald_delivery_end(of->on.bus, of->ids[9], SKALD_ACK, 0, NULL), SKALD_ESTALE);
    assert_non_null(listener(of)->run);
    assert_int_equal(skald_delivery_end(of->on.bus, of->ids[14], SKALD_RETRY, 5, NULL), SKALD_OK);
    assert_null(listener(of)->run);
    assert_int_equal(skald_delivery_end(of->on.bus, of->ids[14], SKALD_ACK, 0, NULL), SKALD_ESTALE);
    return SKALD_PENDING;
}

static skald_outcome answers_retry(tale *of, const skald_delivery *delivery)
{
    (void)of;
    return skald_retry(delivery, 5, "not now");
}

static void a_call_it_is_broken_at_is_a_delivery(void **state)
{
    deed_fn *const deeds[] = {early_retry, retry_of_one_before, answers_retry};
    tale of;

    (void)state;
    for (size_t i = 0; i < sizeof(deeds) / sizeof(*deeds); i++) {
        tale_open(&of, events);
        publish(&of, events);
        of.at = 30;
        of.deed = deeds[i];
        subscribe(&of, (skald_subscription_options){0});
        rig_run(&of.on);
        assert_int_equal(of.count, events);
        assert_int_equal(listener(&of)->retrying, 1);
        (void)answer_all(&of, 0);
        rig_pass(&of.on, 6);
        assert_int_equal(of.count, events + 1);
        assert_int_equal(of.got[events], i == 1 ? 15 : 30);
        assert_int_equal(answer(&of, events, SKALD_ACK), SKALD_OK);
        assert_int_equal(listener(&of)->acked, events);
        tale_end(&of);
    }
}

static skald_outcome reset_now(tale *of, const skald_delivery *delivery)
{
    assert_int_equal(skald_subscription_reset(delivery->bus, of->made, &(skald_reset){.after = 20},
                                              NULL, NULL),
                     SKALD_OK);
    assert_int_equal(skald_delivery_end(of->on.bus, delivery->id, SKALD_ACK, 0, NULL),
                     SKALD_ESTALE);
    return SKALD_PENDING;
}

static void a_reset_while_it_runs_loses_what_is_out(void **state)
{
    tale of;

    (void)state;
    tale_open(&of, events);
    publish(&of, events);
    of.at = 30;
    of.deed = reset_now;
    subscribe(&of, (skald_subscription_options){0});
    rig_run(&of.on);
    assert_int_equal(of.count, 30 + events - 20);
    for (uint32_t i = 0; i < 30; i++) assert_int_equal(answer(&of, i, SKALD_ACK), SKALD_ESTALE);
    assert_int_equal(answer_all(&of, 30), events - 20);
    tale_end(&of);
}

static skald_outcome tell(tale *of, const skald_delivery *delivery)
{
    const skald_event said = {.type = SKALD_STR("a.said"),
                              .stream = delivery->event->stream,
                              .data = SKALD_STR("{}"),
                              .transient = true};

    assert_int_equal(skald_publish_all(of->on.bus, &said, 1, NULL, NULL), SKALD_OK);
    return SKALD_PENDING;
}

// What is not kept comes beside what is out, and of the same key behind it.
static void what_is_not_kept_finds_room(void **state)
{
    tale of;

    (void)state;
    tale_open(&of, events);
    of.at = 30;
    of.deed = tell;
    skald_subscription_options options = {.handler = {.fn = listen, .context = &of},
                                          .from = SKALD_FROM_START,
                                          .in_flight_max = 100};

    publish(&of, events);
    of.made = rig_subscribe(&of.on, &options);
    rig_run(&of.on);
    assert_int_equal(of.count, events); // its key is out
    assert_int_equal(answer(&of, 29, SKALD_ACK), SKALD_OK);
    rig_run(&of.on);
    assert_int_equal(of.count, events + 1);
    assert_int_equal(of.got[events], 0);
    skald_bus_counters counters;

    skald_bus_counters_get(of.on.bus, &counters);
    assert_int_equal(counters.transient_dropped, 0);
    assert_int_equal(answer_all(&of, 0), events);
    rig_run(&of.on);
    assert_int_equal(of.on.bus->active, 0);
    assert_int_equal(of.on.bus->reserved, 0);
    rig_close(&of.on);
}

static void refused_memory_costs_nothing(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 40; n++) {
        tale of;

        tale_open(&of, events);
        publish(&of, events);
        subscribe(&of, (skald_subscription_options){.name = NULL});
        ski_alloc_fail_at(n);
        rig_run(&of.on);
        ski_alloc_fail_at(0);
        for (int i = 0; i < 10; i++) {
            rig_pass(&of.on, 200);
            (void)answer_all(&of, 0);
        }
        for (uint64_t position = 1; position <= events; position++)
            assert_int_equal(times_given(&of, position), 1);
        tale_end(&of);
    }
}

static void without_room_in_the_bus_it_is_as_before(void **state)
{
    tale of;

    (void)state;
    tale_open(&of, events);
    of.on.bus->deliveries_max = SKI_CHUNK_DELIVERIES; // less than a tray is to keep
    publish(&of, events);
    subscribe(&of, (skald_subscription_options){0});
    rig_run(&of.on);
    assert_int_equal(listener(&of)->outs, 0);
    assert_true(of.count > 10);
    for (int i = 0; i < 100 && of.count < events; i++) {
        (void)answer_all(&of, 0);
        rig_pass(&of.on, 200);
    }
    (void)answer_all(&of, 0);
    assert_int_equal(of.count, events);
    tale_end(&of);
}

static void what_it_needs_is_kept_from_others(void **state)
{
    static notes to;
    tale of;

    (void)state;
    memset(&to, 0, sizeof(to));
    to.outcome = SKALD_PENDING;
    tale_begin(&of, (skald_subscription_options){0});
    assert_int_equal(skald_subscription_pause(of.on.bus, of.made, NULL), SKALD_OK);
    publish(&of, 600);
    of.on.bus->deliveries_max = of.on.bus->chunk_count * SKI_CHUNK_DELIVERIES;
    skald_subscription_options others = rig_options(NULL, &to);

    others.from = SKALD_FROM_START;
    others.order = SKALD_UNORDERED;
    others.in_flight_max = 4000;
    skald_subscription made = rig_subscribe(&of.on, &others);

    for (int i = 0; i < 10; i++) rig_pass(&of.on, 100);
    assert_true(to.count > 100 && to.count < 660); // they take all there is
    assert_true(of.on.bus->free_count >= of.on.bus->reserved);
    assert_int_equal(answer(&of, 9, SKALD_RETRY), SKALD_OK);
    assert_int_equal(answer_all(&of, 1), events - 2);
    assert_int_equal(skald_unsubscribe(of.on.bus, made, false), SKALD_OK);
    assert_int_equal(skald_subscription_resume(of.on.bus, of.made, NULL), SKALD_OK);
    of.on.bus->deliveries_max = SKI_DELIVERIES_MAX;
    for (int i = 0; i < 20; i++) { // of each stream one after the other
        rig_pass(&of.on, 200);
        (void)answer_all(&of, events);
    }
    assert_int_equal(of.count, events + 601);
    tale_end(&of);
}

static void who_received_it_is_told(void **state)
{
    skald_event event = {.type = SKALD_STR("a.made"),
                         .stream = SKALD_STR("s-x"),
                         .correlation_id = SKALD_STR("c"),
                         .data = SKALD_STR("{}")};
    skald_arena *arena;
    skald_trace trace;
    tale of;

    (void)state;
    tale_open(&of, events);
    publish(&of, events);
    assert_int_equal(skald_publish_all(of.on.bus, &event, 1, NULL, NULL), SKALD_OK);
    subscribe(&of, (skald_subscription_options){0});
    rig_run(&of.on);
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(skald_bus_trace(of.on.bus, (skald_str){0}, SKALD_STR("c"), 0, arena,
                                         &trace, NULL),
                         SKALD_OK);
        assert_int_equal(trace.nodes[0].delivery_count, 1);
        assert_string_equal(trace.nodes[0].deliveries[0].outcome, i ? "acked" : "behind");
        assert_int_equal(answer_all(&of, 0), i ? 0 : events + 1);
    }
    skald_arena_free(arena);
    tale_end(&of);
}

static skald_outcome now_and_later(const skald_delivery *delivery)
{
    (void)listen(delivery);
    return delivery->event->position % 3 ? SKALD_ACK : SKALD_PENDING;
}

static void some_are_answered_at_once(void **state)
{
    tale of;

    (void)state;
    tale_open(&of, events);
    publish(&of, events);
    skald_subscription_options options = {.name = "listener",
                                          .handler = {.fn = now_and_later, .context = &of},
                                          .from = SKALD_FROM_START};

    of.made = rig_subscribe(&of.on, &options);
    rig_run(&of.on);
    assert_int_equal(of.count, events);
    assert_int_equal(listener(&of)->in_flight, events / 3);
    assert_int_equal(listener(&of)->acked, events - events / 3);
    assert_int_equal(ski_subscription_floor(listener(&of)), 2);
    for (uint32_t i = 0; i < events; i++)
        assert_int_equal(answer(&of, i, SKALD_ACK), (i + 1) % 3 ? SKALD_ESTALE : SKALD_OK);
    assert_int_equal(listener(&of)->acked, events);
    tale_end(&of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_ended_once_in_any_order),
        cmocka_unit_test(what_is_open_comes_again_after_a_crash),
        cmocka_unit_test(another_answer_is_that_of_a_delivery),
        cmocka_unit_test(what_is_not_answered_times_out),
        cmocka_unit_test(an_id_that_is_nobodys_is_refused),
        cmocka_unit_test(set_back_all_of_it_comes_again),
        cmocka_unit_test(ended_it_leaves_what_is_open_to_the_next),
        cmocka_unit_test(paused_it_hears_and_drained_it_ends),
        cmocka_unit_test(a_key_that_is_out_waits),
        cmocka_unit_test(as_many_as_may_be_in_flight),
        cmocka_unit_test(trays_are_not_without_number),
        cmocka_unit_test(acked_before_the_return_it_is_done),
        cmocka_unit_test(a_run_of_such_goes_to_its_end),
        cmocka_unit_test(a_call_it_is_broken_at_is_a_delivery),
        cmocka_unit_test(a_reset_while_it_runs_loses_what_is_out),
        cmocka_unit_test(what_is_not_kept_finds_room),
        cmocka_unit_test(refused_memory_costs_nothing),
        cmocka_unit_test(without_room_in_the_bus_it_is_as_before),
        cmocka_unit_test(what_it_needs_is_kept_from_others),
        cmocka_unit_test(who_received_it_is_told),
        cmocka_unit_test(some_are_answered_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
