// SPDX-License-Identifier: Apache-2.0
// A bus with threads: publishers, handlers, joins and ends at the same time. Made for
// ThreadSanitizer; what is waited for is waited for with a condition, never by sleeping a guessed
// time.
#include "bus/bus_hall.h"

enum {
    publishers = 4,
    publishes = 400, // by each
    streams_each = 4,
    all = publishers * publishes,
};

// A handler that checks what it gets: each position once, each stream in order.
typedef struct checker {
    hall *in;
    uint32_t count, ends;
    uint64_t last[publishers * streams_each + 1]; // version of each stream
    uint8_t got[all + 1];
    uint64_t begins_after;
    bool slow;
} checker;

static uint32_t stream_number(skald_str stream)
{
    uint32_t number = 0;

    for (size_t i = 2; i < stream.len; i++) number = number * 10 + (uint32_t)(stream.ptr[i] - '0');
    return number;
}

static skald_outcome check(const skald_delivery *delivery)
{
    checker *to = delivery->context;
    const skald_event *event = delivery->event;
    uint32_t stream = stream_number(event->stream);

    ski_mutex_lock(&to->in->lock);
    assert_int_equal(to->got[event->position], 0);
    assert_true(event->position > to->begins_after);
    assert_true(!to->last[stream] || event->stream_version == to->last[stream] + 1);
    to->got[event->position] = 1;
    to->last[stream] = event->stream_version;
    to->count++;
    ski_cond_broadcast(&to->in->changed);
    ski_mutex_unlock(&to->in->lock);
    return SKALD_ACK;
}

static void check_end(void *context)
{
    checker *to = context;

    ski_mutex_lock(&to->in->lock);
    to->ends++;
    ski_cond_broadcast(&to->in->changed);
    ski_mutex_unlock(&to->in->lock);
}

static skald_subscription_options checking(const char *name, checker *to, hall *in)
{
    to->in = in;
    return (skald_subscription_options){.name = name,
                                        .handler = {.fn = check, .context = to, .end = check_end}};
}

typedef struct publisher {
    hall *in;
    uint32_t number;
    ski_thread thread;
} publisher;

static void publish_all(void *argument)
{
    publisher *self = argument;
    char stream[16];

    for (uint32_t i = 0; i < publishes; i++) {
        int len = snprintf(stream, sizeof(stream), "s-%u",
                           (unsigned)(1 + self->number * streams_each + i % streams_each));
        skald_event event = {.type = SKALD_STR("a.made"), .stream = {stream, (size_t)len}};

        assert_int_equal(skald_publish(self->in->bus, event, NULL), SKALD_OK);
    }
}

static void publishers_start(hall *in, publisher *of)
{
    for (uint32_t i = 0; i < publishers; i++) {
        of[i] = (publisher){.in = in, .number = i};
        assert_int_equal(in->kernel->spawn(in->kernel->context, "publisher", publish_all, &of[i],
                                           &of[i].thread),
                         SKALD_OK);
    }
}

static void publishers_join(hall *in, const publisher *of)
{
    for (uint32_t i = 0; i < publishers; i++) in->kernel->join(in->kernel->context, of[i].thread);
}

// hall_wait_tail returns when to has everything behind the first it got.
static void hall_wait_tail(hall *in, const checker *to)
{
    ski_mutex_lock(&in->lock);
    for (uint32_t first = 1;;) {
        while (first <= all && !to->got[first]) first++;
        if (to->count == all - first + 1) break;
        first = 1;
        if (!ski_cond_wait_ns(&in->changed, &in->lock, hall_wait_s * UINT64_C(1000000000)))
            fail_msg("waited in vain");
    }
    ski_mutex_unlock(&in->lock);
}

static void everybody_gets_everything(void **state)
{
    static checker live, durable, narrow, late[8];
    publisher of[publishers];
    hall in;

    (void)state;
    memset(&live, 0, sizeof(live));
    hall_open(&in, NULL);
    hall_subscribe(&in, checking(NULL, &live, &in));
    hall_subscribe(&in, checking("durable", &durable, &in));
    skald_subscription_options options = checking("narrow", &narrow, &in);

    options.in_flight_max = 3; // leaves the tail and joins it again and again
    hall_subscribe(&in, options);
    publishers_start(&in, of);
    for (int i = 0; i < 8; i++) { // joining during publishing
        options = checking(NULL, &late[i], &in);
        if (i % 2) options.from = SKALD_FROM_START;
        hall_wait(&in, &live.count, (uint32_t)i * 100);
        hall_subscribe(&in, options);
    }
    publishers_join(&in, of);
    hall_wait(&in, &live.count, all);
    hall_wait(&in, &durable.count, all);
    hall_wait(&in, &narrow.count, all);
    for (int i = 1; i < 8; i += 2) hall_wait(&in, &late[i].count, all);
    for (int i = 0; i < 8; i += 2) hall_wait_tail(&in, &late[i]); // from the end
    assert_int_equal(skald_bus_stop(in.bus, 10000), SKALD_OK);
    hall_close(&in);
    assert_int_equal(live.ends, 1);
    assert_int_equal(narrow.ends, 1);
}

static void comers_and_goers_miss_nothing(void **state)
{
    static checker to;
    publisher of[publishers];
    uint32_t lives = 0;
    hall in;

    (void)state;
    memset(&to, 0, sizeof(to));
    hall_open(&in, NULL);
    publishers_start(&in, of);
    for (uint32_t due = 1; due < all; due += 97) {
        skald_subscription_options options = checking("comer", &to, &in);
        skald_subscription made;

        options.in_flight_max = 1 + due % 50;
        made = hall_subscribe(&in, options);
        hall_wait(&in, &to.count, due);
        assert_int_equal(skald_unsubscribe(in.bus, made, false), SKALD_OK);
        hall_wait(&in, &to.ends, ++lives); // its last acks are in the checkpoint
    }
    publishers_join(&in, of);
    hall_subscribe(&in, checking("comer", &to, &in));
    hall_wait(&in, &to.count, all);
    hall_close(&in);
}

static void hanging_handlers_delay_nobody(void **state)
{
    static checker to;
    skald_bus_options options = {.threads_max = 4};
    publisher of[publishers];
    gate at = {0};
    hall in;

    (void)state;
    memset(&to, 0, sizeof(to));
    hall_open(&in, &options);
    at.in = &in;
    // More of them than there are threads: others must stand in.
    for (int i = 0; i < 6; i++)
        hall_subscribe(&in, (skald_subscription_options){
                                .order = SKALD_UNORDERED,
                                .handler = {.fn = hang, .context = &at},
                            });
    hall_subscribe(&in, checking("works", &to, &in));
    publishers_start(&in, of);
    publishers_join(&in, of);
    hall_wait(&in, &to.count, all);
    hall_wait(&in, &at.inside, 6); // each of the hanging ones got a thread too
    ski_bus_lock(in.bus);
    assert_true(in.bus->worker_count <= 4 * (1 + SKI_THREADS_SPARE));
    ski_bus_leave(in.bus);
    gate_open(&at);
    hall_close(&in);
}

static void one_alone_gets_half_of_the_threads(void **state)
{
    skald_bus_options options = {.threads_max = 4};
    static checker to;
    gate at = {0};
    hall in;

    (void)state;
    memset(&to, 0, sizeof(to));
    hall_open(&in, &options);
    at.in = &in;
    hall_subscribe(&in, (skald_subscription_options){.order = SKALD_UNORDERED,
                                                     .workers_max = 100,
                                                     .handler = {.fn = hang, .context = &at}});
    hall_subscribe(&in, checking(NULL, &to, &in));
    for (int i = 0; i < 50; i++)
        assert_int_equal(
            skald_publish(in.bus, (skald_event){.type = SKALD_STR("a"), .stream = SKALD_STR("s-1")},
                          NULL),
            SKALD_OK);
    hall_wait(&in, &to.count, 50);
    hall_wait(&in, &at.inside, 2);
    gate_open(&at);
    hall_close(&in);
}

static void stop_waits_so_long(void **state)
{
    gate at = {0};
    hall in;

    (void)state;
    hall_open(&in, NULL);
    at.in = &in;
    hall_subscribe(&in, (skald_subscription_options){.name = "hangs",
                                                     .handler = {.fn = hang, .context = &at}});
    assert_int_equal(skald_publish(in.bus, (skald_event){.type = SKALD_STR("a")}, NULL), SKALD_OK);
    hall_wait(&in, &at.inside, 1);
    assert_int_equal(skald_bus_stop(in.bus, 20), SKALD_ETIMEOUT);
    gate_open(&at);
    skald_bus_free(in.bus); // waits for the handler
    // It was not acked in time: it comes again.
    assert_int_equal(skald_bus_new(in.store, NULL, &in.bus), SKALD_OK);
    hall_subscribe(&in, (skald_subscription_options){.name = "hangs",
                                                     .handler = {.fn = hang, .context = &at}});
    hall_wait(&in, &at.inside, 2);
    hall_close(&in);
}

// Deliveries answered by another thread, pulled by one that is told.
typedef struct puller {
    hall *in;
    skald_subscription id;
    ski_thread thread;
    uint32_t readies, taken, ended, ends;
    skald_delivery_id ids[all];
} puller;

static void pull_ready(void *context)
{
    puller *self = context;

    ski_mutex_lock(&self->in->lock);
    self->readies++;
    ski_cond_broadcast(&self->in->changed);
    ski_mutex_unlock(&self->in->lock);
}

static skald_outcome pull_one(const skald_delivery *delivery)
{
    puller *self = delivery->context;

    ski_mutex_lock(&self->in->lock);
    self->ids[self->taken++] = delivery->id;
    ski_cond_broadcast(&self->in->changed);
    ski_mutex_unlock(&self->in->lock);
    return SKALD_PENDING;
}

static void pull_end(void *context)
{
    puller *self = context;

    ski_mutex_lock(&self->in->lock);
    self->ends++;
    ski_mutex_unlock(&self->in->lock);
}

static void pull_run(void *argument)
{
    puller *self = argument;
    uint32_t count = 0, seen = 0;

    while (self->taken < all) { // only this thread counts it
        assert_int_equal(
            skald_subscription_take(self->in->bus, self->id, 7, pull_one, self, &count), SKALD_OK);
        if (count == 7) continue;
        if (self->taken == all) break;
        hall_wait(self->in, &self->readies, seen + 1);
        ski_mutex_lock(&self->in->lock);
        seen = self->readies;
        ski_mutex_unlock(&self->in->lock);
    }
}

static void end_run(void *argument)
{
    puller *self = argument;

    for (uint32_t i = 0; i < all; i++) {
        hall_wait(self->in, &self->taken, i + 1);
        assert_int_equal(skald_delivery_end(self->in->bus, self->ids[i], SKALD_ACK, 0, NULL),
                         SKALD_OK);
    }
}

static void pulled_by_one_ended_by_another(void **state)
{
    static puller self;
    publisher of[publishers];
    ski_thread ender;
    hall in;

    (void)state;
    memset(&self, 0, sizeof(self));
    hall_open(&in, NULL);
    self.in = &in;
    self.id = hall_subscribe(&in, (skald_subscription_options){.name = "pulled",
                                                               .in_flight_max = 20,
                                                               .handler = {.ready = pull_ready,
                                                                           .context = &self,
                                                                           .end = pull_end}});
    assert_int_equal(in.kernel->spawn(in.kernel->context, "puller", pull_run, &self, &self.thread),
                     SKALD_OK);
    assert_int_equal(in.kernel->spawn(in.kernel->context, "ender", end_run, &self, &ender),
                     SKALD_OK);
    publishers_start(&in, of);
    publishers_join(&in, of);
    in.kernel->join(in.kernel->context, self.thread);
    in.kernel->join(in.kernel->context, ender);
    assert_int_equal(self.taken, all);
    hall_close(&in);
    assert_int_equal(self.ends, 1);
}

typedef struct counting {
    hall *in;
    uint32_t done, failed;
} counting;

static void count_done(void *context, const skald_published *published)
{
    counting *to = context;

    ski_mutex_lock(&to->in->lock);
    if (published->err)
        to->failed++;
    else
        to->done++;
    ski_cond_broadcast(&to->in->changed);
    ski_mutex_unlock(&to->in->lock);
}

static void stopping_while_publishing(void **state)
{
    counting to = {0};
    uint32_t taken = 0;
    hall in;

    (void)state;
    hall_open(&in, NULL);
    to.in = &in;
    skald_event event = {.type = SKALD_STR("a")};

    for (; taken < 500; taken++)
        assert_int_equal(skald_publish_start(in.bus, &event, 1, NULL, count_done, &to), SKALD_OK);
    assert_int_equal(skald_bus_stop(in.bus, 10000), SKALD_OK);
    assert_int_equal(to.done + to.failed, taken); // each was told before stop returned
    assert_int_equal(skald_publish_start(in.bus, &event, 1, NULL, count_done, &to), SKALD_ECLOSED);
    hall_close(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_gets_everything),
        cmocka_unit_test(comers_and_goers_miss_nothing),
        cmocka_unit_test(hanging_handlers_delay_nobody),
        cmocka_unit_test(one_alone_gets_half_of_the_threads),
        cmocka_unit_test(stop_waits_so_long),
        cmocka_unit_test(pulled_by_one_ended_by_another),
        cmocka_unit_test(stopping_while_publishing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
