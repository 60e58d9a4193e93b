// SPDX-License-Identifier: Apache-2.0
// Pages handled in runs: what breaks one, what becomes of the call it is broken at and of what
// lies behind, and what is not handled in runs at all. With threads: bus_claim_test.
#include "bus/bus_rig.h"

#include "base/alloc.h"

enum { events = 60, calls_max = 200, streams = 7 };

typedef struct story story;

// What the handler of a test does at one position, the first time.
typedef skald_outcome deed_fn(story *of, const skald_delivery *delivery);

struct story {
    rig on;
    skald_subscription made;
    const char *name;
    uint64_t at; // 0: nowhere
    deed_fn *deed;
    uint64_t got[calls_max];
    skald_delivery_id ids[calls_max];
    uint32_t attempts[calls_max], count, ends;
};

static skald_outcome follow(const skald_delivery *delivery)
{
    story *of = delivery->context;
    uint64_t position = delivery->event->position;

    assert_true(of->count < calls_max);
    for (uint32_t i = 0; i < of->count; i++) assert_int_not_equal(of->ids[i].id, delivery->id.id);
    of->ids[of->count] = delivery->id;
    of->attempts[of->count] = delivery->attempt;
    of->got[of->count++] = position;
    if (position != of->at || !position) return SKALD_ACK;
    of->at = 0;
    return of->deed(of, delivery);
}

static void follow_end(void *context)
{
    ((story *)context)->ends++;
}

static skald_event event_at(uint32_t number)
{
    static const char *const names[streams] = {"s-0", "s-1", "s-2", "s-3", "s-4", "s-5", "s-6"};

    return (skald_event){.type = SKALD_STR("a.made"),
                         .stream = skald_str_of(names[number % streams]),
                         .data = SKALD_STR("{\"k\":\"v\"}")};
}

static void story_open(story *of)
{
    memset(of, 0, sizeof(*of));
    rig_open(&of->on);
    of->on.bus->runs_after = 0;
    of->name = "follower";
}

static void story_publish(story *of, uint32_t odd, void (*change)(skald_event *event))
{
    skald_event some[events];

    for (uint32_t i = 0; i < events; i++) some[i] = event_at(i);
    if (change) change(&some[odd - 1]);
    assert_int_equal(skald_publish_all(of->on.bus, some, events, NULL, NULL), SKALD_OK);
}

static void story_subscribe(story *of, skald_subscription_options options)
{
    options.name = of->name;
    options.handler = (skald_handler){.fn = follow, .context = of, .end = follow_end};
    options.from = SKALD_FROM_START;
    of->made = rig_subscribe(&of->on, &options);
}

// story_begin has a page of events wait for a follower that does something at one of them.
static void story_begin(story *of, uint64_t at, deed_fn *deed)
{
    story_open(of);
    of->at = at;
    of->deed = deed;
    story_publish(of, 1, NULL);
    story_subscribe(of, (skald_subscription_options){.retry = {.first_ms = 10}});
}

static uint32_t times_given(const story *of, uint64_t position)
{
    uint32_t times = 0;

    for (uint32_t i = 0; i < of->count; i++) times += of->got[i] == position;
    return times;
}

// place_of gives the last call of a position.
static uint32_t place_of(const story *of, uint64_t position)
{
    for (uint32_t i = of->count; i-- > 0;)
        if (of->got[i] == position) return i;
    fail_msg("%llu was not given", (unsigned long long)position);
    return 0;
}

static ski_subscription *followed(story *of)
{
    return ski_name_find(of->on.bus, skald_str_of(of->name));
}

// story_end: all is done, each of its events given as often as said.
static void story_end(story *of, uint64_t twice)
{
    const ski_subscription *sub = followed(of);

    for (uint64_t position = 1; position <= events; position++)
        assert_int_equal(times_given(of, position), position == twice ? 2 : 1);
    assert_int_equal(sub->in_flight, 0);
    assert_int_equal(sub->running, 0);
    assert_int_equal(of->on.bus->active, 0);
    assert_int_equal(ski_subscription_floor(sub), skald_store_head(of->on.store));
    assert_true(of->on.bus->runs > 0);
    rig_close(&of->on);
}

static void a_page_is_handled_in_one(void **state)
{
    story of;

    (void)state;
    story_begin(&of, 0, NULL);
    assert_int_equal(rig_run(&of.on), events);
    assert_int_equal(of.on.bus->runs, 1);
    assert_false(followed(&of)->slow_run);
    assert_int_equal(followed(&of)->acked, events);
    assert_int_equal(followed(&of)->taken, events);
    skald_bus_counters counters;

    skald_bus_counters_get(of.on.bus, &counters);
    assert_int_equal(counters.delivered, events);
    assert_int_equal(counters.acked, events);
    for (uint32_t i = 0; i < events; i++) assert_int_equal(of.got[i], i + 1);
    for (uint32_t i = 0; i < events; i++)
        assert_int_equal(skald_delivery_end(of.on.bus, of.ids[i], SKALD_RETRY, 0, NULL),
                         SKALD_ESTALE);
    story_end(&of, 0);
}

static void a_live_one_takes_the_rest_of_a_page(void **state)
{
    story of;

    (void)state;
    story_open(&of);
    story_subscribe(&of, (skald_subscription_options){0});
    rig_run(&of.on);
    assert_true(followed(&of)->live);
    story_publish(&of, 1, NULL);
    assert_int_equal(rig_run(&of.on), events);
    for (uint32_t i = 0; i < events; i++) assert_int_equal(of.got[i], i + 1);
    assert_true(followed(&of)->live);
    story_end(&of, 0);
}

static void as_many_as_asked_for(void **state)
{
    story of;

    (void)state;
    story_begin(&of, 0, NULL);
    assert_int_equal(skald_bus_run(of.on.bus, 3), 3);
    assert_int_equal(of.count, 3);
    assert_int_equal(ski_subscription_floor(followed(&of)), 3);
    rig_run(&of.on);
    story_end(&of, 0);
}

static skald_outcome try_again(story *of, const skald_delivery *delivery)
{
    (void)of;
    return skald_retry(delivery, 5, "not now");
}

static void another_answer_breaks_it(void **state)
{
    story of;

    (void)state;
    story_begin(&of, 10, try_again);
    rig_run(&of.on);
    assert_int_equal(followed(&of)->retrying, 1);
    assert_int_equal(ski_subscription_floor(followed(&of)), 9);
    assert_int_equal(times_given(&of, 17), 0); // of its stream: it waits behind it
    assert_int_equal(times_given(&of, 18), 1);
    rig_pass(&of.on, 6);
    assert_int_equal(of.attempts[place_of(&of, 10)], 2);
    assert_true(place_of(&of, 10) < place_of(&of, 17));
    story_end(&of, 10);
}

static skald_outcome later(story *of, const skald_delivery *delivery)
{
    (void)of;
    (void)delivery;
    return SKALD_PENDING;
}

static void a_pending_one_is_ended_by_its_id(void **state)
{
    story of;

    (void)state;
    story_begin(&of, 10, later);
    rig_run(&of.on);
    assert_int_equal(followed(&of)->pending, 1);
    assert_int_equal(skald_delivery_end(of.on.bus, of.ids[9], SKALD_ACK, 0, NULL), SKALD_OK);
    assert_int_equal(skald_delivery_end(of.on.bus, of.ids[9], SKALD_ACK, 0, NULL), SKALD_ESTALE);
    rig_run(&of.on);
    story_end(&of, 0);
}

static skald_outcome end_early(story *of, const skald_delivery *delivery)
{
    skald_bus *bus = delivery->bus;
    skald_delivery_id before = of->ids[of->count - 2], behind = {delivery->id.id};

    behind.id += UINT64_C(1) << SKI_DELIVERY_BITS;
    assert_int_equal(skald_delivery_end(bus, before, SKALD_RETRY, 0, NULL), SKALD_ESTALE);
    assert_int_equal(skald_delivery_end(bus, behind, SKALD_RETRY, 0, NULL), SKALD_ESTALE);
    assert_non_null(followed(of)->run); // nothing of it has come to that
    assert_int_equal(skald_delivery_end(bus, delivery->id, SKALD_RETRY, 5, "no"), SKALD_OK);
    assert_int_equal(skald_delivery_end(bus, delivery->id, SKALD_ACK, 0, NULL), SKALD_ESTALE);
    return SKALD_ACK; // the first answer stands
}

static void an_answer_may_come_before_the_return(void **state)
{
    story of;

    (void)state;
    story_begin(&of, 10, end_early);
    rig_run(&of.on);
    assert_int_equal(followed(&of)->retrying, 1);
    rig_pass(&of.on, 6);
    story_end(&of, 10);
}

static skald_outcome pause(story *of, const skald_delivery *delivery)
{
    const ski_subscription *sub = followed(of);

    assert_int_equal(ski_subscription_floor(sub), 0); // a checkpoint now brings all of it again
    assert_int_equal(skald_subscription_pause(delivery->bus, of->made, NULL), SKALD_OK);
    assert_int_equal(ski_subscription_floor(sub), delivery->event->position - 1);
    assert_int_equal(sub->in_flight, 1);
    return SKALD_ACK;
}

static void nothing_begins_behind_a_pause(void **state)
{
    story of;

    (void)state;
    story_begin(&of, 10, pause);
    rig_run(&of.on);
    assert_int_equal(of.count, 10);
    assert_int_equal(ski_subscription_floor(followed(&of)), 10);
    rig_restart(&of.on, true);
    of.on.bus->runs_after = 0;
    story_subscribe(&of, (skald_subscription_options){0});
    assert_int_equal(skald_subscription_resume(of.on.bus, of.made, NULL), SKALD_OK);
    rig_run(&of.on);
    story_end(&of, 0);
}

static skald_outcome go_back(story *of, const skald_delivery *delivery)
{
    assert_int_equal(skald_subscription_reset(delivery->bus, of->made, &(skald_reset){.after = 9},
                                              NULL, NULL),
                     SKALD_OK);
    return SKALD_ACK;
}

static void a_reset_is_not_told_what_ran(void **state)
{
    story of;

    (void)state;
    story_begin(&of, 10, go_back);
    rig_run(&of.on);
    story_end(&of, 10);
}

static skald_outcome drain(story *of, const skald_delivery *delivery)
{
    assert_int_equal(skald_subscription_drain(delivery->bus, of->made, NULL), SKALD_OK);
    return SKALD_ACK;
}

static skald_outcome unsubscribe(story *of, const skald_delivery *delivery)
{
    assert_int_equal(skald_unsubscribe(delivery->bus, of->made, false), SKALD_OK);
    return SKALD_ACK;
}

static void an_end_leaves_the_rest_to_the_next(void **state)
{
    deed_fn *const deeds[] = {drain, unsubscribe};
    story of;

    (void)state;
    for (size_t i = 0; i < sizeof(deeds) / sizeof(*deeds); i++) {
        story_begin(&of, 10, deeds[i]);
        rig_run(&of.on);
        assert_int_equal(of.count, 10);
        assert_int_equal(of.ends, 1);
        story_subscribe(&of, (skald_subscription_options){0});
        rig_run(&of.on);
        story_end(&of, 0);
    }
}

// What comes while a run is under way waits, behind the call that the run is broken at.
static skald_outcome tell_and_try_again(story *of, const skald_delivery *delivery)
{
    skald_event said = event_at((uint32_t)delivery->event->position - 1);

    (void)of;
    said.transient = true;
    assert_int_equal(skald_publish(delivery->bus, said, NULL), SKALD_OK);
    assert_int_equal(skald_publish(delivery->bus, said, NULL), SKALD_OK);
    return skald_retry(delivery, 5, "not now");
}

static void what_comes_meanwhile_goes_behind_it(void **state)
{
    skald_subscription_options options = {.from = SKALD_FROM_START};
    story of;

    (void)state;
    story_open(&of);
    of.at = 10;
    of.deed = tell_and_try_again;
    story_publish(&of, 1, NULL);
    options.handler = (skald_handler){.fn = follow, .context = &of};
    of.made = rig_subscribe(&of.on, &options); // transient events are for those without a name
    rig_run(&of.on);
    assert_int_equal(times_given(&of, 0), 0);
    assert_int_equal(times_given(&of, 11), 1);
    rig_pass(&of.on, 6);
    assert_int_equal(times_given(&of, 10), 2);
    assert_int_equal(times_given(&of, 0), 2);
    assert_true(place_of(&of, 10) + 2 <= place_of(&of, 0));
    assert_true(place_of(&of, 10) < place_of(&of, 17));
    assert_int_equal(of.count, events + 3);
    rig_close(&of.on);
}

static void expire(skald_event *event)
{
    event->metadata = SKALD_STR("{\"expiresAt\":\"2001-01-01T00:00:00Z\"}");
}

static void what_expires_is_not_in_it(void **state)
{
    story of;

    (void)state;
    story_open(&of);
    story_publish(&of, 10, expire);
    story_subscribe(&of, (skald_subscription_options){0});
    assert_int_equal(rig_run(&of.on), events - 1);
    assert_int_equal(times_given(&of, 10), 0);
    assert_int_equal(followed(&of)->expired, 1);
    assert_int_equal(of.on.bus->runs, 2);
    for (uint32_t i = 1; i < of.count; i++) assert_true(of.got[i - 1] < of.got[i]);
    rig_close(&of.on);
}

static void be_a_test(skald_event *event)
{
    event->test = true;
}

static void be_the_stores(skald_event *event)
{
    event->type = SKALD_STR(SKI_SCHEDULED_TYPE);
}

static void be_of_a_tenant(skald_event *event)
{
    event->tenant = SKALD_STR("other");
}

// Of a page that is not wanted as a whole each event is looked at.
static void what_is_not_meant_is_not_in_it(void **state)
{
    const struct {
        void (*change)(skald_event *event);
        const char *tenant;
        uint32_t count;
    } cases[] = {
        {be_a_test, NULL, events - 1},
        {be_the_stores, NULL, events - 1},
        {be_of_a_tenant, NULL, events},
        {be_of_a_tenant, "other", 1},
    };
    story of;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        skald_subscription_options options = {0};

        if (cases[i].tenant) options.filter.tenant = skald_str_of(cases[i].tenant);
        story_open(&of);
        story_publish(&of, 10, cases[i].change);
        story_subscribe(&of, options);
        assert_int_equal(rig_run(&of.on), cases[i].count);
        assert_int_equal(times_given(&of, 10), cases[i].change == be_of_a_tenant);
        rig_close(&of.on);
    }
}

// Of the tail's pages a tenant's run handles what is its own.
static void others_are_not_in_a_tenants(void **state)
{
    skald_event some[events];
    story of;

    (void)state;
    story_open(&of);
    story_subscribe(&of, (skald_subscription_options){.filter.tenant = SKALD_STR("other")});
    rig_run(&of.on);
    for (uint32_t i = 0; i < events; i++) {
        some[i] = event_at(i);
        if (i != 9) be_of_a_tenant(&some[i]);
    }
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(skald_publish_all(of.on.bus, some, events, NULL, NULL), SKALD_OK);
        rig_run(&of.on);
        assert_int_equal(of.count, i * (events - 1));
    }
    assert_true(of.on.bus->runs > 0);
    rig_close(&of.on);
}

static void press(skald_event *event)
{
    event->priority = SKALD_CRITICAL;
}

static void expire_late(skald_event *event)
{
    event->metadata = SKALD_STR("{\"expiresAt\":\"2099-01-01T00:00:00Z\"}");
}

static void escape(skald_event *event)
{
    event->data = SKALD_STR("{\"k\":\"\\u0076\"}");
}

// live_begin has one live that takes the next page for a run from its first event on.
static void live_begin(story *of, skald_subscription_options options)
{
    story_open(of);
    story_subscribe(of, options);
    rig_run(&of->on);
    story_publish(of, 1, NULL);
    rig_run(&of->on);
    assert_int_equal(of->count, events);
    assert_true(followed(of)->live);
}

static void live_end(story *of)
{
    assert_int_equal(of->count, 2 * events);
    for (uint32_t i = 0; i < of->count; i++) assert_int_equal(of->got[i], i + 1);
    assert_true(followed(of)->live);
    rig_close(&of->on);
}

static void a_live_one_goes_on_from_what_is_none_for_it(void **state)
{
    void (*const changes[])(skald_event * event) = {expire_late, escape};
    story of;

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        live_begin(&of, (skald_subscription_options){.order = SKALD_BY_KEY, .key_pointer = "/k"});
        story_publish(&of, 1, changes[i]);
        rig_run(&of.on);
        live_end(&of);
    }
}

static void a_live_one_without_memory_goes_on_later(void **state)
{
    story of;
    uint64_t made, n = 0;

    (void)state;
    do {
        live_begin(&of, (skald_subscription_options){0});
        story_publish(&of, 1, NULL);
        made = ski_alloc_count();
        ski_alloc_fail_at(++n);
        rig_run(&of.on);
        made = ski_alloc_count() - made;
        ski_alloc_fail_at(0);
        for (int i = 0; i < 10; i++) rig_pass(&of.on, 200);
        live_end(&of);
    } while (n <= made);
    assert_true(n > 5);
}

static skald_outcome follow_and_tell(const skald_delivery *delivery)
{
    if (!delivery->event->position) {
        skald_event more = event_at(0);

        more.transient = true;
        assert_int_equal(skald_publish(delivery->bus, more, NULL), SKALD_OK);
    }
    return follow(delivery);
}

// Where each event that is not kept is answered by another there is always one in the window.
static void what_is_not_kept_does_not_hold_up_what_is(void **state)
{
    skald_subscription_options options = {.from = SKALD_FROM_START};
    skald_event first = event_at(0);
    story of;

    (void)state;
    story_open(&of);
    options.handler = (skald_handler){.fn = follow_and_tell, .context = &of};
    of.made = rig_subscribe(&of.on, &options);
    rig_run(&of.on);
    story_publish(&of, 1, NULL);
    rig_run(&of.on);
    assert_int_equal(of.count, events);
    first.transient = true;
    assert_int_equal(skald_publish(of.on.bus, first, NULL), SKALD_OK);
    story_publish(&of, 1, NULL);
    skald_bus_run(of.on.bus, events + events / 2);
    for (uint64_t position = 1; position <= 2 * events; position++)
        assert_int_equal(times_given(&of, position), 1);
    assert_int_equal(of.count, 2 * events + events / 2);
    rig_close(&of.on);
}

static void count_acked(void *context, skald_level level, skald_str json_line)
{
    static const char acked[] = "\"status\":\"acked\"";

    (void)level;
    *(uint32_t *)context += memmem(json_line.ptr, json_line.len, acked, strlen(acked)) != NULL;
}

static void each_ack_is_told_once(void **state)
{
    uint32_t told = 0;
    story of;

    (void)state;
    story_begin(&of, 10, pause);
    of.on.log.line = count_acked;
    of.on.log.context = &told;
    rig_run(&of.on);
    assert_int_equal(told, 10);
    assert_int_equal(skald_subscription_resume(of.on.bus, of.made, NULL), SKALD_OK);
    rig_run(&of.on);
    assert_int_equal(told, events);
    story_end(&of, 0);
}

static void a_page_of_several_priorities_is_not(void **state)
{
    story of;

    (void)state;
    story_open(&of);
    story_publish(&of, 10, press);
    story_subscribe(&of, (skald_subscription_options){0});
    assert_int_equal(rig_run(&of.on), events);
    assert_int_equal(of.on.bus->runs, 0);
    assert_int_equal(place_of(&of, 10), place_of(&of, 3) + 1); // as soon as its key was free
    rig_close(&of.on);
}

static void a_key_that_is_to_be_unescaped_is_not_in_it(void **state)
{
    story of;

    (void)state;
    story_open(&of);
    of.at = 9;
    of.deed = try_again;
    story_publish(&of, 10, escape);
    story_subscribe(&of, (skald_subscription_options){.order = SKALD_BY_KEY, .key_pointer = "/k"});
    rig_run(&of.on);
    assert_int_equal(of.count, 9); // all of one key
    rig_pass(&of.on, 6);
    assert_int_equal(of.attempts[place_of(&of, 10)], 1);
    story_end(&of, 9);
}

static void without_memory_it_waits(void **state)
{
    story of;

    (void)state;
    story_begin(&of, 0, NULL);
    of.on.bus->deliveries_max = 0;
    of.on.bus->runs_after = followed(&of)->smooth = 1;
    assert_int_equal(rig_run(&of.on), 0);
    of.on.bus->deliveries_max = SKI_DELIVERIES_MAX;
    rig_pass(&of.on, 200);
    story_publish(&of, 1, NULL);
    rig_run(&of.on);
    assert_int_equal(of.count, 2 * events);
    rig_close(&of.on);
}

static skald_outcome reject(story *of, const skald_delivery *delivery)
{
    (void)of;
    return skald_reject(delivery, "never");
}

static skald_outcome release(story *of, const skald_delivery *delivery)
{
    const skald_aside_id id = {.subscription = skald_str_of(of->name), .position = 10};

    assert_int_equal(skald_aside_release(delivery->bus, &id, NULL, NULL), SKALD_OK);
    assert_int_equal(times_given(of, 10), 1);
    return SKALD_ACK;
}

static void a_dead_letter_is_released_behind_it(void **state)
{
    story of;

    (void)state;
    story_open(&of);
    of.at = 10;
    of.deed = reject;
    story_publish(&of, 1, NULL);
    story_subscribe(&of, (skald_subscription_options){.order = SKALD_IN_SEQUENCE,
                                                      .on_exhausted = SKALD_DEAD_LETTER});
    skald_bus_run(of.on.bus, 20);
    of.at = 40;
    of.deed = release;
    rig_run(&of.on);
    assert_int_equal(times_given(&of, 10), 2);
    assert_int_equal(of.count, events + 2); // and the event that says who released it
    rig_close(&of.on);
}

static void one_that_is_not_smooth_does_without(void **state)
{
    story of;

    (void)state;
    story_begin(&of, 0, NULL);
    of.on.bus->runs_after = 30;
    rig_run(&of.on);
    assert_int_equal(of.on.bus->runs, 0); // the page went into its window at once
    story_publish(&of, 1, NULL);
    rig_run(&of.on);
    assert_true(of.on.bus->runs > 0);
    assert_int_equal(of.count, 2 * events);
    rig_close(&of.on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_handled_in_one),
        cmocka_unit_test(a_live_one_takes_the_rest_of_a_page),
        cmocka_unit_test(as_many_as_asked_for),
        cmocka_unit_test(another_answer_breaks_it),
        cmocka_unit_test(a_pending_one_is_ended_by_its_id),
        cmocka_unit_test(an_answer_may_come_before_the_return),
        cmocka_unit_test(nothing_begins_behind_a_pause),
        cmocka_unit_test(a_reset_is_not_told_what_ran),
        cmocka_unit_test(an_end_leaves_the_rest_to_the_next),
        cmocka_unit_test(what_comes_meanwhile_goes_behind_it),
        cmocka_unit_test(what_expires_is_not_in_it),
        cmocka_unit_test(what_is_not_meant_is_not_in_it),
        cmocka_unit_test(others_are_not_in_a_tenants),
        cmocka_unit_test(a_live_one_goes_on_from_what_is_none_for_it),
        cmocka_unit_test(a_live_one_without_memory_goes_on_later),
        cmocka_unit_test(what_is_not_kept_does_not_hold_up_what_is),
        cmocka_unit_test(each_ack_is_told_once),
        cmocka_unit_test(a_page_of_several_priorities_is_not),
        cmocka_unit_test(a_key_that_is_to_be_unescaped_is_not_in_it),
        cmocka_unit_test(without_memory_it_waits),
        cmocka_unit_test(a_dead_letter_is_released_behind_it),
        cmocka_unit_test(one_that_is_not_smooth_does_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
