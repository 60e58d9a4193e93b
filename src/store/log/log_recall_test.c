// SPDX-License-Identifier: Apache-2.0
// Ids of events that the store named itself: noted only when somebody looks for one, and known from
// then on as any other, whatever was taken back or sealed before.
#include "store/log/engine.h"
#include "store/log/log_world.h"
#include "store/log/now.h"

#include <pthread.h>
#include <stdatomic.h>

enum { data_len = 40, many = 20000, batch_events = 500, small_events = 2000, piece_events = 8192 };

static const skald_store_options plain = {.segment_bytes = 64 * 1024 * 1024};
static const skald_store_options small = {.segment_bytes = 64 * 1024};

static void quiet(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

// made appends events first to last, whose ids the store has just made; stops where it is refused.
static skald_err made(void *driver, uint64_t first, uint64_t last, skald_durability durability)
{
    static skald_event events[batch_events];
    skald_err err = SKALD_OK, told = SKALD_OK;

    while (!err && !told && first <= last) {
        skald_store_batch batch = {.events = events,
                                   .durability = durability,
                                   .ids_made = true,
                                   .done = quiet,
                                   .context = &told};

        for (; batch.event_count < batch_events && first <= last; batch.event_count++, first++) {
            events[batch.event_count] = (skald_event){.type = SKALD_STR("test.happened"),
                                                      .id = world_id(first),
                                                      .tenant = SKALD_STR(""),
                                                      .stream = SKALD_STR("stream-1"),
                                                      .correlation_id = SKALD_STR("corr"),
                                                      .occurred_at = 1,
                                                      .version = 1,
                                                      .data = SKALD_STR("1")};
        }
        err = ski_store_log.commit(driver, &batch);
    }
    return err ? err : told;
}

static uint64_t found(void *driver, uint64_t n)
{
    uint64_t position = 0;
    skald_err err = ski_store_log.find_id(driver, SKALD_STR(""), world_id(n), &position);

    assert_true(err == SKALD_OK || err == SKALD_ENOTFOUND);
    return err ? 0 : position;
}

static uint64_t noted(void *driver)
{
    return ski_recent_bytes(&((ski_engine *)driver)->recent);
}

// known: an id that comes again is a repetition, or refused with other content.
static void known(void *driver, uint64_t n)
{
    static world_batch again;

    world_batch_make(&again, n, data_len);
    assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
    assert_int_equal(again.told, SKALD_EEXISTS);
    again.tells = 0;
    again.event.data = SKALD_STR("1");
    assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
    assert_int_equal(again.told, SKALD_OK);
    assert_true(again.batch.appended.repeated);
    assert_int_equal(again.event.position, n);
    assert_int_equal(again.event.stream_version, n);
}

static void test_noted_when_asked_for(void **state)
{
    void *driver = world_open(*state, &plain);

    assert_int_equal(made(driver, 1, many, SKALD_WRITTEN), SKALD_OK);
    assert_int_equal(noted(driver), 0); // nobody has asked
    assert_int_equal(found(driver, many / 2), many / 2);
    assert_true(noted(driver) > 0);
    for (uint64_t n = 1; n <= many; n += 999) {
        assert_int_equal(found(driver, n), n);
        known(driver, n);
    }
    assert_int_equal(found(driver, many + 1), 0);
    assert_int_equal(made(driver, many + 1, many + 10, SKALD_WRITTEN), SKALD_OK);
    known(driver, many + 10); // asked for by an append
    ski_store_log.close(driver);
    driver = world_open(*state, &plain); // from the file, too
    assert_int_equal(noted(driver), 0);
    known(driver, many + 10);
    known(driver, 1);
    ski_store_log.close(driver);
}

// What could not be written is forgotten, noted before or not, and the next is found in its place.
static void test_taken_back(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &plain);

    assert_int_equal(made(driver, 1, 10, SKALD_DURABLE), SKALD_OK);
    for (int asked = 0; asked < 2; asked++) {
        uint64_t from = asked ? 21 : 11;
        static world_batch held;

        world_batch_make(&held, from + 1000, data_len);
        assert_int_equal(ski_store_log.submit(driver, &held.batch), SKALD_OK);
        if (asked) assert_int_equal(found(driver, 5), 5); // notes what is only put in order, too
        world_fail(w, CALL_PWRITE, 1, 1, SKALD_EREADONLY);
        assert_int_equal(made(driver, from, from + 9, SKALD_DURABLE), SKALD_EREADONLY);
        world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
        assert_int_equal(held.told, SKALD_EREADONLY);
        w->later_ns += UINT64_C(1000) * 1000 * 1000;
        assert_int_equal(found(driver, from), 0);
        assert_int_equal(found(driver, from + 1000), 0);
        assert_int_equal(made(driver, from, from + 9, SKALD_DURABLE), SKALD_OK);
        for (uint64_t n = 1; n <= from + 9; n++) known(driver, n);
    }
    ski_store_log.close(driver);
}

// Memory that is refused while they are noted is said, and asked for again the next time.
static void test_no_memory(void **state)
{
    void *driver = world_open(*state, &plain);
    uint64_t position = 0;

    assert_int_equal(made(driver, 1, many, SKALD_WRITTEN), SKALD_OK);
    for (uint64_t nth = 1; nth < 200; nth += 7) {
        static world_batch again;
        skald_err err = SKALD_OK;

        ski_alloc_fail_at(nth);
        err = ski_store_log.find_id(driver, SKALD_STR(""), world_id(many), &position);
        ski_alloc_fail_at(0);
        assert_true(err == SKALD_OK || err == SKALD_ENOMEM);
        if (nth == 1) assert_int_equal(err, SKALD_ENOMEM);
        world_batch_make(&again, many + 1, data_len);
        ski_alloc_fail_at(1);
        err = ski_store_log.commit(driver, &again.batch);
        ski_alloc_fail_at(0);
        if (!err) break; // there is nothing left to be noted
        assert_int_equal(err, SKALD_ENOMEM);
    }
    for (uint64_t n = 1; n <= many; n += 777) known(driver, n);
    ski_store_log.close(driver);
}

// Ids of sealed segments are known by them; of what was noted before that nothing is left.
static void test_sealed_meanwhile(void **state)
{
    void *driver = world_open(*state, &small);
    const ski_engine *engine = driver;

    for (uint64_t n = 1; n < small_events; n += 100) {
        assert_int_equal(made(driver, n, n + 99, SKALD_WRITTEN), SKALD_OK);
        if (n % 300 == 1) known(driver, n / 2 + 1);
        while (ski_store_log.step(driver)) continue;
    }
    assert_true(engine->sealed_count > 2);
    for (uint64_t n = 1; n <= small_events; n += 41) {
        assert_int_equal(found(driver, n), n);
        known(driver, n);
    }
    ski_store_log.close(driver);
}

static skald_err there(void *context, ski_file *file, void *buf, size_t len, uint64_t offset)
{
    size_t got = 0;
    skald_err err = ski_kernel_system.pread(NULL, file, buf, len, offset, &got);

    (void)context;
    return err || got < len ? SKALD_EUNAVAILABLE : SKALD_OK;
}

// Who may not wait does not go over many events either.
static void test_now(void **state)
{
    world *w = *state;
    skald_arena *arena = NULL;
    skald_event event;
    skald_str none = {"", 0};
    void *driver = NULL;

    w->kernel.pread_now = there;
    driver = world_open(w, &plain);
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    assert_int_equal(made(driver, 1, 100, SKALD_WRITTEN), SKALD_OK);
    assert_int_equal(ski_store_log.event_now(driver, none, world_id(7), arena, &event), SKALD_OK);
    assert_int_equal(event.position, 7);
    assert_int_equal(made(driver, 101, many, SKALD_WRITTEN), SKALD_OK);
    assert_int_equal(ski_store_log.event_now(driver, none, world_id(8), arena, &event),
                     SKALD_EUNAVAILABLE);
    assert_int_equal(found(driver, 8), 8);
    assert_int_equal(ski_store_log.event_now(driver, none, world_id(8), arena, &event), SKALD_OK);
    skald_arena_free(arena);
    ski_store_log.close(driver);
}

// What was noted once is right though many have come since.
static void test_verified(void **state)
{
    void *driver = world_open(*state, &plain);
    skald_verified verified = {0};

    assert_int_equal(made(driver, 1, 10, SKALD_WRITTEN), SKALD_OK);
    known(driver, 5);
    assert_int_equal(made(driver, 11, 200, SKALD_WRITTEN), SKALD_OK);
    assert_int_equal(ski_store_log.verify(driver, NULL, &verified, NULL), SKALD_OK);
    assert_int_equal(verified.events, 200);
    ski_store_log.close(driver);
}

// made_make is a batch of one event that says of its id that the store has just made it.
static void made_make(world_batch *mine, uint64_t n)
{
    world_batch_make(mine, n, data_len);
    mine->batch.ids_made = true;
}

// An id is new once: a batch that is given again is a repetition, whatever it said at first.
static void test_given_again(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &plain);
    static world_batch mine, behind;

    made_make(&mine, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ski_store_log.commit(driver, &mine.batch), SKALD_OK);
        assert_int_equal(mine.told, SKALD_OK);
        assert_int_equal(mine.batch.appended.repeated, i > 0);
        assert_int_equal(mine.batch.appended.position_last, 1);
    }
    assert_int_equal(made(driver, 2, many, SKALD_WRITTEN), SKALD_OK);
    world_batch_make(&behind, many + 1, data_len);
    made_make(&mine, many + 2);
    assert_int_equal(ski_store_log.submit(driver, &behind.batch), SKALD_OK);
    for (int i = 0; i < 2; i++) { // put off, too
        assert_int_equal(ski_store_log.submit(driver, &mine.batch), SKALD_OK);
        while (ski_store_log.step(driver)) continue;
        assert_int_equal(mine.told, SKALD_OK);
        assert_int_equal(mine.batch.appended.repeated, i > 0);
        assert_int_equal(mine.batch.appended.position_last, many + 2);
    }
    // Not stored the first time, it is stored the second.
    made_make(&mine, many + 3);
    world_fail(w, CALL_PWRITE, 1, 1, SKALD_EREADONLY);
    assert_int_equal(ski_store_log.commit(driver, &mine.batch), SKALD_OK);
    assert_int_equal(mine.told, SKALD_EREADONLY);
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    w->later_ns += UINT64_C(1000) * 1000 * 1000;
    assert_int_equal(ski_store_log.commit(driver, &mine.batch), SKALD_OK);
    assert_int_equal(mine.told, SKALD_OK);
    assert_false(mine.batch.appended.repeated);
    assert_int_equal(mine.event.position, many + 3);
    ski_store_log.close(driver);
}

// Who submits does not go over many events: that is done later, and in the order of submission.
static void test_submit_notes_few(void **state)
{
    void *driver = world_open(*state, &plain);
    const ski_engine *engine = driver;
    static world_batch first, second, third;

    assert_int_equal(made(driver, 1, 100, SKALD_WRITTEN), SKALD_OK);
    world_batch_make(&first, 101, data_len);
    assert_int_equal(ski_store_log.submit(driver, &first.batch), SKALD_OK);
    assert_true(engine->recalled >= 100); // few are noted at once
    assert_int_equal(made(driver, 102, many, SKALD_WRITTEN), SKALD_OK);
    uint64_t recalled = engine->recalled;

    world_batch_make(&first, many + 1, data_len);
    world_batch_make(&second, many + 1, data_len);
    made_make(&third, many + 2);
    assert_int_equal(ski_store_log.submit(driver, &first.batch), SKALD_OK);
    assert_int_equal(ski_store_log.submit(driver, &second.batch), SKALD_OK);
    assert_int_equal(ski_store_log.submit(driver, &third.batch), SKALD_OK);
    assert_int_equal(engine->recalled, recalled);
    assert_int_equal(first.tells + second.tells + third.tells, 0);
    while (ski_store_log.step(driver)) continue;
    assert_true(engine->recalled >= many);
    assert_true(first.tells == 1 && second.tells == 1 && third.tells == 1);
    assert_int_equal(first.told, SKALD_OK);
    assert_int_equal(first.event.position, many + 1);
    assert_int_equal(second.told, SKALD_OK);
    assert_true(second.batch.appended.repeated);
    assert_int_equal(third.event.position, many + 2);
    ski_store_log.close(driver);
}

// A store that takes nothing says so before it goes over anything.
static void test_refused_first(void **state)
{
    skald_store_options options = plain;
    static world_batch waiting, given;
    void *driver = NULL;
    const ski_engine *engine = NULL;

    options.append_bytes_max = 4096;
    engine = driver = world_open(*state, &options);
    assert_int_equal(made(driver, 1, many, SKALD_WRITTEN), SKALD_OK);
    made_make(&waiting, many + 1);
    assert_int_equal(ski_store_log.submit(driver, &waiting.batch), SKALD_OK);
    world_batch_make(&given, many + 2, 4000);
    assert_int_equal(ski_store_log.submit(driver, &given.batch), SKALD_EFULL);
    assert_int_equal(ski_store_log.commit(driver, &given.batch), SKALD_EFULL);
    assert_int_equal(engine->recalled, 0);
    while (ski_store_log.step(driver)) continue;
    assert_int_equal(waiting.told, SKALD_OK);
    ski_store_log.close(driver);
}

// With an expected version an id is known for ever, made by the store or not.
static void test_known_for_long(void **state)
{
    const skald_store_options options = {.segment_bytes = 64 * 1024, .dedup_events_max = 300};
    void *driver = world_open(*state, &options);
    const ski_engine *engine = driver;

    for (uint64_t n = 1; n < small_events; n += 100) {
        assert_int_equal(made(driver, n, n + 99, SKALD_WRITTEN), SKALD_OK);
        while (ski_store_log.step(driver)) continue;
    }
    assert_true(engine->sealed_count > 2);
    for (uint64_t n = 1; n <= small_events; n += 133) {
        skald_expect expect = {.stream = SKALD_STR("stream-1"),
                               .expected = SKALD_AT,
                               .version = n - 1};
        static world_batch again;

        world_batch_make(&again, n, data_len);
        again.event.data = SKALD_STR("1");
        again.batch.expect = &expect;
        again.batch.expect_count = 1;
        assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
        assert_int_equal(again.told, SKALD_OK);
        assert_true(again.batch.appended.repeated);
        assert_int_equal(again.event.position, n);
    }
    ski_store_log.close(driver);
}

enum { thread_segment = 1024 * 1024, thread_events = 60000 };

typedef struct making {
    void *driver;
    skald_err err;
    atomic_bool over;
} making;

static void *make_all(void *context)
{
    making *job = context;

    job->err = made(job->driver, 1, thread_events, SKALD_WRITTEN);
    atomic_store(&job->over, true);
    return NULL;
}

static uint64_t recall_left(ski_engine *engine)
{
    ski_mutex_lock(&engine->lock);
    uint64_t left = ski_recall_left(engine);
    ski_mutex_unlock(&engine->lock);
    return left;
}

// One thread appends, and segments are sealed, while another notes what there is, piece by piece.
static void test_two_threads(void **state)
{
    const skald_store_options options = {.segment_bytes = thread_segment};
    world *w = *state;
    skald_verified verified = {0};
    skald_store_state now;
    pthread_t thread;

    w->kernel.spawn = ski_kernel_system.spawn;
    making job = {.driver = world_open(w, &options)};
    assert_int_equal(pthread_create(&thread, NULL, make_all, &job), 0);
    while (!atomic_load(&job.over)) {
        uint64_t head = ski_store_log.head(job.driver);

        if (recall_left(job.driver) <= piece_events || !head) continue;
        assert_int_equal(found(job.driver, head), head);
        assert_int_equal(found(job.driver, head / 2 + 1), head / 2 + 1);
        known(job.driver, head);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(job.err, SKALD_OK);
    for (uint64_t n = 1; n <= thread_events; n += 997) known(job.driver, n);
    ski_store_log.state(job.driver, &now);
    assert_true(now.segments_sealed > 1);
    assert_int_equal(ski_store_log.verify(job.driver, NULL, &verified, NULL), SKALD_OK);
    assert_int_equal(verified.events, thread_events);
    ski_store_log.close(job.driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_noted_when_asked_for, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_taken_back, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_sealed_meanwhile, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_now, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_verified, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_given_again, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_submit_notes_few, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_refused_first, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_known_for_long, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_two_threads, world_setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
