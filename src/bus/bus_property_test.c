// SPDX-License-Identifier: Apache-2.0
// Random lives of a stepped bus, each from one seed: publishers, handlers that ack, retry, reject,
// answer later, early or never, subscriptions that come and go, are paused, set back, have dead
// letters and parked keys that are released, skipped and edited, crashes and restarts. A model
// watches every delivery. What it holds the bus to:
//
//   1. Nothing invented: an event is given as it was published, to those whose filter means it,
//      behind where they began.
//   2. Order: of one key at most one delivery is outstanding, and a later one is given only when
//      every earlier one was acked or skipped; across retries, parking, resets, restarts and
//      crashes. With dead letters: or is one of them.
//   3. What was acked does not come again, unless the bus crashed since.
//   4. Nothing lost: in the end everything was acked, skipped or discarded; what was set aside is
//      found again, over crashes too.
//   5. In flight stays within in_flight_max.
//   6. A listener without a name, which acks all and answers events that are not kept with more of
//      them, is given all that is stored, in order, once.
#include "bus/bus_rig.h"

#include "base/alloc.h"

#include <stdlib.h>

#if defined(__SANITIZE_THREAD__)
#define SEEDS 16 // each life costs several times as much, and there is one thread
#else
#define SEEDS 40
#endif

enum {
    steps = 250,
    events_max = 4000,
    subs_max = 5,
    pending_max = 4096,
    types_max = 4,
    audits_max = 4,
    streams_max = 6,
    large_bytes = 70 << 10,
    asides_most = 500, // of one subscription at a time
};

static const char *const types[types_max + audits_max] = {
    "order.made",
    "order.paid",
    "trip.begun",
    "other",
    "audit.subscription.released",
    "audit.subscription.skipped",
    "audit.subscription.discarded",
    "audit.subscription.edited",
};
static const char *const tenants[] = {"a", "b", ""};
static const char *const streams[streams_max] = {NULL, NULL, "o-1", "o-2", "t-1", "t-2"};

typedef struct fact {
    uint8_t type, stream, tenant;
} fact;

typedef enum seen { NOT_YET, OUTSTANDING, ACKED } seen;

typedef struct world world;

// One name, whether it runs now or not.
typedef struct subject {
    world *in;
    char name[16];
    skald_subscription id; // 0: does not run
    skald_subscription_options options;
    skald_str filter_type;
    uint64_t begins_after;
    bool begun, pull, ready;
    uint32_t outstanding;
    uint8_t seen[events_max + 1];  // of each position
    uint8_t since[events_max + 1]; // acked: in which run of the bus
    bool aside[events_max + 1];    // with dead letters: is one now
} subject;

typedef struct pending {
    subject *of;
    uint64_t position;
    skald_delivery_id id;
} pending;

struct world {
    rig on;
    uint64_t random;
    fact facts[events_max + 1];
    uint64_t head;
    subject subjects[subs_max];
    pending pendings[pending_max];
    uint32_t pending_count;
    uint8_t run; // counts crashes
    bool kind;   // every answer is ACK now
    bool level;  // all events are of one priority
    uint32_t runs_after;
    uint64_t given, again, runs;
    uint64_t heard, strays, refused; // heard: the last position the listener was given
    skald_arena *scratch;
};

static uint32_t roll(world *in, uint32_t sides)
{
    in->random = in->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(in->random >> 33) % sides;
}

static bool meant(const subject *of, uint64_t position)
{
    const world *in = of->in;
    const skald_filter *filter = &of->options.filter;
    skald_event event = {.type = skald_str_of(types[in->facts[position].type]),
                         .stream = skald_str_of(streams[in->facts[position].stream]),
                         .tenant = skald_str_of(tenants[in->facts[position].tenant])};

    return position > of->begins_after && skald_filter_matches(filter, &event);
}

static bool same_key(const subject *of, uint64_t a, uint64_t b)
{
    const fact *facts = of->in->facts;

    if (of->options.order == SKALD_UNORDERED) return false;
    if (of->options.order == SKALD_IN_SEQUENCE) return true;
    return facts[a].stream == facts[b].stream && facts[a].tenant == facts[b].tenant &&
           streams[facts[a].stream];
}

// asides_mark notes which positions are dead letters, or heads of parked keys, now.
static void asides_mark(subject *of)
{
    const skald_aside_query query = {.subscription = skald_str_of(of->name),
                                     .count_max = asides_most};
    const skald_aside *items;
    size_t count;

    skald_arena_reset(of->in->scratch);
    assert_int_equal(skald_bus_asides(of->in->on.bus, &query, of->in->scratch, &items, &count),
                     SKALD_OK);
    assert_true(count < asides_most);
    memset(of->aside, 0, sizeof(of->aside));
    for (size_t i = 0; i < count; i++) of->aside[items[i].position] = true;
}

static void check_given(subject *of, const skald_delivery *delivery)
{
    world *in = of->in;
    uint64_t position = delivery->event->position;

    assert_true(position >= 1 && position <= in->head);
    assert_true(
        skald_str_equal(delivery->event->type, skald_str_of(types[in->facts[position].type])));
    assert_true(meant(of, position));
    assert_int_not_equal(of->seen[position], OUTSTANDING);
    if (of->seen[position] == ACKED) {
        assert_true(of->since[position] != in->run); // only a crash brings it back
        in->again++;
    }
    if (of->options.on_exhausted == SKALD_DEAD_LETTER) asides_mark(of);
    for (uint64_t earlier = of->begins_after + 1; earlier < position; earlier++)
        if (of->seen[earlier] != ACKED && meant(of, earlier) && same_key(of, earlier, position) &&
            !of->aside[earlier] && !of->aside[position])
            fail_msg("%s: %llu was given before %llu was acked", of->name,
                     (unsigned long long)position, (unsigned long long)earlier);
    of->seen[position] = OUTSTANDING;
    of->outstanding++;
    assert_true(of->outstanding <= of->options.in_flight_max);
    in->given++;
}

static void answered(subject *of, uint64_t position, bool acked)
{
    assert_int_equal(of->seen[position], OUTSTANDING);
    of->seen[position] = acked ? ACKED : NOT_YET;
    of->since[position] = of->in->run;
    of->outstanding--;
}

static skald_outcome give(const skald_delivery *delivery)
{
    subject *of = delivery->context;
    world *in = of->in;
    uint64_t position = delivery->event->position;
    uint32_t dice = in->kind ? 0 : roll(in, 100);

    check_given(of, delivery);
    if (dice < 55) {
        answered(of, position, true);
        return SKALD_ACK;
    }
    if (dice < 70) {
        answered(of, position, false);
        return skald_retry(delivery, roll(in, 2) ? 0 : 1 + roll(in, 50), "again");
    }
    if (dice < 72) {
        answered(of, position, false);
        return SKALD_REJECT;
    }
    if (dice < 80) {
        bool acked = roll(in, 2);

        assert_int_equal(skald_delivery_end(delivery->bus, delivery->id,
                                            acked ? SKALD_ACK : SKALD_RETRY, 3, "early"),
                         SKALD_OK);
        answered(of, position, acked);
        return SKALD_PENDING;
    }
    assert_true(in->pending_count < pending_max);
    in->pendings[in->pending_count++] = (pending){of, position, delivery->id};
    return SKALD_PENDING;
}

static void tell_ready(void *context)
{
    ((subject *)context)->ready = true;
}

static void publish_some(world *in)
{
    static char large[large_bytes];
    skald_event events[20];
    uint32_t count = 1 + roll(in, 20);

    memset(large, 'x', sizeof(large));
    large[0] = large[sizeof(large) - 1] = '"';
    if (in->head + count > events_max) return;
    for (uint32_t i = 0; i < count; i++) {
        fact made = {(uint8_t)roll(in, types_max), (uint8_t)roll(in, streams_max),
                     (uint8_t)roll(in, 2)};

        in->facts[in->head + 1 + i] = made;
        events[i] =
            (skald_event){.type = skald_str_of(types[made.type]),
                          .stream = skald_str_of(streams[made.stream]),
                          .tenant = made.tenant ? SKALD_STR("b") : SKALD_STR("a"),
                          .priority = in->level ? SKALD_NORMAL : (skald_priority)(roll(in, 4)) - 1};
        if (!roll(in, 8)) events[i].data = (skald_json){large, sizeof(large)};
        if (!roll(in, 8))
            events[i].metadata = SKALD_STR("{\"expiresAt\":\"2099-01-01T00:00:00Z\"}");
    }
    in->head += count;
    assert_int_equal(skald_publish_all(in->on.bus, events, count, NULL, NULL), SKALD_OK);
}

static skald_outcome listen_to(const skald_delivery *delivery)
{
    world *in = delivery->context;
    uint64_t position = delivery->event->position;

    if (position) {
        assert_int_equal(position, in->heard + 1);
        in->heard = position;
        return SKALD_ACK;
    }
    in->strays++;
    if (roll(in, 10)) {
        const skald_event more = {.type = SKALD_STR("other"), .transient = true};

        assert_int_equal(skald_publish(delivery->bus, more, NULL), SKALD_OK);
    }
    return SKALD_ACK;
}

static void listen(world *in)
{
    const skald_subscription_options options = {.handler = {.fn = listen_to, .context = in},
                                                .order = SKALD_IN_SEQUENCE,
                                                .in_flight_max = 64};

    in->heard = skald_store_head(in->on.store);
    rig_subscribe(&in->on, &options);
}

static void say_some(world *in)
{
    const skald_event said = {.type = SKALD_STR("other"), .transient = true};

    for (uint32_t count = roll(in, 4); count; count--)
        assert_int_equal(skald_publish(in->on.bus, said, NULL), SKALD_OK);
}

static void begin(subject *of)
{
    if (of->id.id) return;
    of->id = rig_subscribe(&of->in->on, &of->options);
    if (!of->begun && of->options.from == SKALD_FROM_END) of->begins_after = of->in->head;
    of->begun = true;
}

// forget_outstanding: a bus or a subscription has ended; what was not acked will come again.
static void forget_outstanding(subject *of)
{
    world *in = of->in;
    uint32_t kept = 0;

    for (uint64_t position = 1; position <= in->head; position++)
        if (of->seen[position] == OUTSTANDING) of->seen[position] = NOT_YET;
    of->outstanding = 0;
    of->id.id = 0;
    for (uint32_t i = 0; i < in->pending_count; i++) {
        if (in->pendings[i].of != of)
            in->pendings[kept++] = in->pendings[i];
        else if (in->on.bus)
            assert_int_equal(skald_delivery_end(in->on.bus, in->pendings[i].id, SKALD_ACK, 0, NULL),
                             SKALD_ESTALE);
    }
    in->pending_count = kept;
}

static void finish(subject *of)
{
    if (!of->id.id) return;
    assert_int_equal(skald_unsubscribe(of->in->on.bus, of->id, false), SKALD_OK);
    forget_outstanding(of);
}

static void restart(world *in, bool crash)
{
    in->runs += in->on.bus->runs;
    rig_restart(&in->on, crash);
    in->on.bus->runs_after = in->runs_after;
    in->run += crash;
    for (int i = 0; i < subs_max; i++) forget_outstanding(&in->subjects[i]);
    listen(in);
    for (int i = 0; i < subs_max; i++)
        if (in->kind || roll(in, 3)) begin(&in->subjects[i]);
}

static void answer_one(world *in)
{
    if (!in->pending_count) return;
    uint32_t index = roll(in, in->pending_count);
    pending one = in->pendings[index];
    bool acked = in->kind || roll(in, 3);
    skald_err err = skald_delivery_end(in->on.bus, one.id, acked ? SKALD_ACK : SKALD_RETRY,
                                       roll(in, 20), "later");

    in->pendings[index] = in->pendings[--in->pending_count];
    assert_int_equal(err, SKALD_OK); // those that timed out are not in the list any more
    answered(one.of, one.position, acked);
}

// pass moves the clock; what was pending longer than allowed counts as not answered.
static void pass(world *in, uint64_t ms)
{
    in->on.now_ns += ms * SKI_NS_PER_MS;
    if (!in->kind && roll(in, 4) == 0) { // memory is refused once
        uint64_t at = 1 + roll(in, 12), made = ski_alloc_count();

        ski_alloc_fail_at(at);
        skald_bus_run(in->on.bus, 0);
        ski_alloc_fail_at(0);
        in->refused += ski_alloc_count() - made >= at;
    }
    skald_bus_run(in->on.bus, 0);
    if (!ms) return;
    for (uint32_t i = in->pending_count; i-- > 0;) {
        pending one = in->pendings[i];

        ski_bus_lock(in->on.bus);
        bool waits = ski_delivery_find(in->on.bus, one.id) != NULL;
        ski_bus_leave(in->on.bus);
        if (waits) continue;
        answered(one.of, one.position, false);
        in->pendings[i] = in->pendings[--in->pending_count];
    }
}

static void pull_some(world *in)
{
    for (int i = 0; i < subs_max; i++) {
        subject *of = &in->subjects[i];
        uint32_t count, most = 1 + roll(in, 10);

        if (!of->pull || !of->id.id || !of->ready) continue;
        assert_int_equal(skald_subscription_take(in->on.bus, of->id, most, give, of, &count),
                         SKALD_OK);
        if (count < most) of->ready = false; // it will be told
    }
}

static void work(world *in, uint32_t deliveries_max)
{
    bool refused = !in->kind && !roll(in, 8); // no more memory for deliveries, nor runs

    if (refused) in->on.bus->deliveries_max = 0;
    skald_bus_run(in->on.bus, deliveries_max);
    in->on.bus->deliveries_max = SKI_DELIVERIES_MAX;
    pull_some(in);
}

// audited takes in the event a deed has published before it.
static void audited(world *in)
{
    uint64_t head = skald_store_head(in->on.store);

    if (head == in->head) return;
    assert_int_equal(head, in->head + 1);
    const skald_read read = {.after = in->head};
    skald_store_page page = {0};

    assert_int_equal(ski_store_page(in->on.store, &read, &page, NULL), SKALD_OK);
    assert_int_equal(page.count, 1);
    in->facts[head] = (fact){.tenant = 2};
    while (!skald_str_equal(page.events[0].type, skald_str_of(types[in->facts[head].type])))
        assert_true(++in->facts[head].type < types_max + audits_max);
    ski_store_page_free(in->on.store, &page);
    in->head = head;
}

// handle_aside does something to one that is set aside.
static void handle_aside(world *in, subject *of)
{
    const skald_aside_query query = {.subscription = skald_str_of(of->name), .count_max = 100};
    const skald_aside *items;
    skald_arena *arena;
    size_t count;

    if (in->head + 2 > events_max || !of->id.id) return;
    assert_int_equal(skald_arena_new(16 << 20, &arena), SKALD_OK);
    assert_int_equal(skald_bus_asides(in->on.bus, &query, arena, &items, &count), SKALD_OK);
    if (count) {
        uint32_t chosen = roll(in, (uint32_t)count);
        const skald_aside *item = &items[chosen];
        const skald_aside_id id = {.subscription = item->subscription, .position = item->position};
        uint32_t dice = in->kind ? 0 : roll(in, 4);
        skald_err err;

        if (dice < 2)
            err = skald_aside_release(in->on.bus, &id, NULL, NULL);
        else if (dice == 2)
            err = skald_aside_edit(in->on.bus, &id, SKALD_STR("{\"edited\":1}"), NULL, NULL);
        else
            err = skald_aside_discard(in->on.bus, &id, NULL, NULL);
        audited(in);
        bool twice = (chosen && items[chosen - 1].position == item->position) ||
                     (chosen + 1 < count && items[chosen + 1].position == item->position);

        if (item->releasing)
            assert_true(err == SKALD_ESTATE || twice);
        else
            assert_true(!err || err == SKALD_EUNAVAILABLE);
        if (!err && dice == 3) {
            of->seen[id.position] = ACKED;
            of->since[id.position] = in->run;
        }
    }
    skald_arena_free(arena);
}

// set_back moves a subscription to somewhere it has been; what lies behind comes again.
static void set_back(world *in, subject *of)
{
    if (!of->id.id) return;
    uint64_t to = roll(in, (uint32_t)in->head + 1);
    const skald_reset place = {.after = to};
    skald_subscription id = of->id;
    skald_arena *arena;

    assert_int_equal(skald_arena_new(16 << 20, &arena), SKALD_OK);
    skald_subscription_state now = rig_state(&in->on, of->id, arena);

    skald_arena_free(arena);
    if (to > now.position) return;
    assert_int_equal(skald_subscription_reset(
                         in->on.bus, of->id, to ? &place : &(skald_reset){.from = SKALD_FROM_START},
                         NULL, NULL),
                     SKALD_OK);
    forget_outstanding(of);
    of->id = id;
    if (to < of->begins_after) of->begins_after = to;
    for (uint64_t position = to + 1; position <= in->head; position++) of->seen[position] = NOT_YET;
    skald_bus_run(in->on.bus, 0); // written: a crash does not bring back what was before
}

static void pause_some(world *in, subject *of)
{
    if (!of->id.id) return;
    if (roll(in, 2))
        assert_int_equal(skald_subscription_pause(in->on.bus, of->id, NULL), SKALD_OK);
    else
        assert_int_equal(skald_subscription_resume(in->on.bus, of->id, NULL), SKALD_OK);
}

static void step_life(world *in)
{
    subject *one = &in->subjects[roll(in, subs_max)];
    uint32_t dice = roll(in, 10);

    if (dice < 5)
        handle_aside(in, one);
    else if (dice < 6)
        set_back(in, one);
    else
        pause_some(in, one);
}

// check_heard: when there is time and memory nothing is left that the listener was not given.
static void check_heard(world *in)
{
    in->kind = true;
    for (int i = 0; i < 2; i++) {
        pass(in, 200);
        work(in, 10000);
    }
    in->kind = false;
    assert_int_equal(in->heard, in->head);
}

static void step(world *in)
{
    uint32_t dice = roll(in, 100);
    subject *one = &in->subjects[roll(in, subs_max)];

    if (dice < 12)
        step_life(in);
    else if (dice < 24)
        publish_some(in);
    else if (dice < 26)
        say_some(in);
    else if (dice < 27)
        check_heard(in);
    else if (dice < 55)
        work(in, 1 + roll(in, 30));
    else if (dice < 70)
        answer_one(in);
    else if (dice < 85)
        pass(in, roll(in, 200));
    else if (dice < 90)
        begin(one);
    else if (dice < 94)
        finish(one);
    else if (dice < 97)
        restart(in, true);
    else
        restart(in, false);
}

static skald_str stream_of(const skald_event *event)
{
    return event->stream;
}

static void world_begin(world *in, uint64_t seed)
{
    memset(in, 0, sizeof(*in));
    in->random = seed;
    rig_open(&in->on);
    in->level = roll(in, 3) != 0;
    in->runs_after = 1 + roll(in, 3);
    in->on.bus->runs_after = in->runs_after;
    assert_int_equal(skald_arena_new(64 << 20, &in->scratch), SKALD_OK);
    listen(in);
    for (int i = 0; i < subs_max; i++) {
        subject *of = &in->subjects[i];

        of->in = in;
        bool ends = roll(in, 2);

        of->pull = !roll(in, 3);
        snprintf(of->name, sizeof(of->name), "sub-%d", i);
        of->options = (skald_subscription_options){
            .name = of->name,
            .handler = {.fn = of->pull ? NULL : give,
                        .ready = of->pull ? tell_ready : NULL,
                        .context = of},
            .from = roll(in, 3) ? SKALD_FROM_DEFAULT : SKALD_FROM_END,
            .order = (skald_order)roll(in, 4),
            .on_exhausted = ends ? (skald_exhausted)(1 + roll(in, 2)) : SKALD_HALT,
            .in_flight_max = 1 + roll(in, 30),
            .retry = {.attempts_max = ends ? 1 + roll(in, 4) : 0,
                      .first_ms = 10,
                      .max_ms = 100,
                      .timeout_ms = 100 + roll(in, 100)},
        };
        if (of->options.order == SKALD_BY_KEY) of->options.key = stream_of;
        if (of->options.order == SKALD_IN_SEQUENCE && ends)
            of->options.on_exhausted = SKALD_DEAD_LETTER;
        static const char *const filters[] = {"order.made", "order.*", "*", NULL};

        of->filter_type = skald_str_of(filters[roll(in, 4)]);
        if (of->filter_type.ptr) of->options.filter.types = (skald_texts){&of->filter_type, 1};
        if (!roll(in, 4)) of->options.filter.tenant = SKALD_STR("a");
    }
}

// settle answers everything kindly until nothing is left; halted ones begin again.
static void settle(world *in)
{
    in->kind = true;
    for (int i = 0; i < subs_max; i++) begin(&in->subjects[i]);
    restart(in, false);
    for (int i = 0; i < subs_max; i++)
        assert_int_equal(skald_subscription_resume(in->on.bus, in->subjects[i].id, NULL), SKALD_OK);
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < subs_max; i++) handle_aside(in, &in->subjects[i]);
        while (in->pending_count) answer_one(in);
        work(in, 10000);
        pass(in, 50);
    }
}

static void check_end(world *in, uint64_t seed)
{
    for (int i = 0; i < subs_max; i++) {
        const subject *of = &in->subjects[i];

        for (uint64_t position = of->begins_after + 1; position <= in->head; position++)
            if (meant(of, position) && of->seen[position] != ACKED)
                fail_msg("seed %llu: %s never got %llu of %llu", (unsigned long long)seed, of->name,
                         (unsigned long long)position, (unsigned long long)in->head);
        assert_int_equal(of->outstanding, 0);
    }
    assert_int_equal(in->heard, in->head);
}

static uint64_t last_seed;

static int tell_seed(void **state)
{
    (void)state;
    print_message("the last seed was %llu: SKALD_SEED=%llu runs it alone\n",
                  (unsigned long long)last_seed, (unsigned long long)last_seed);
    return 0;
}

static void every_life_keeps_the_promises(void **state)
{
    world *in = malloc(sizeof(*in));
    const char *chosen = getenv("SKALD_SEED"), *many = getenv("SKALD_SEEDS");
    uint64_t count = chosen ? 1 : many ? strtoull(many, NULL, 10) : SEEDS;
    uint64_t first = chosen ? strtoull(chosen, NULL, 10) : 1, given = 0, again = 0, runs = 0;
    uint64_t strays = 0, refused = 0;

    (void)state;
    assert_non_null(in);
    for (uint64_t seed = first; seed < first + count; seed++) {
        last_seed = seed;
        world_begin(in, seed);
        for (int i = 0; i < steps; i++) step(in);
        settle(in);
        check_end(in, seed);
        given += in->given;
        again += in->again;
        runs += in->runs + in->on.bus->runs;
        strays += in->strays;
        refused += in->refused;
        rig_close(&in->on);
        skald_arena_free(in->scratch);
    }
    print_message("%llu deliveries, %llu again after a crash, %llu runs, %llu events not kept, "
                  "memory refused %llu times\n",
                  (unsigned long long)given, (unsigned long long)again, (unsigned long long)runs,
                  (unsigned long long)strays, (unsigned long long)refused);
    if (!chosen) assert_true(runs > count * 10 && strays > count * 10 && refused > count);
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_life_keeps_the_promises, tell_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
