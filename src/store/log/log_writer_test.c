// SPDX-License-Identifier: Apache-2.0
// Writing: order, groups, full disks, failed syncs, rolling, limits. Stepped, but for the tests
// with threads.
#include "store/log/engine.h"
#include "store/log/log_world.h"

#include <pthread.h>

static const skald_store_options small = {.segment_bytes = 64 * 1024};

static skald_store_state state_of(void *driver)
{
    skald_store_state state;

    ski_store_log.state(driver, &state);
    return state;
}

// world_image copies the store's files as they are now: what a process that dies would leave.
static void world_image(world *w, const char *to)
{
    char command[700];

    (void)snprintf(command, sizeof command, "rm -rf '%s/%s' && cp -r '%s' '%s/%s'", w->base, to,
                   w->path, w->base, to);
    assert_int_equal(system(command), 0);
}

static void world_use(world *w, const char *image)
{
    (void)snprintf(w->path, sizeof w->path, "%s/%s", w->base, image);
}

static void verify_clean(void *driver, uint64_t events)
{
    skald_verified verified = {0};
    skald_error error = {0};

    if (ski_store_log.verify(driver, NULL, &verified, &error)) fail_msg("verify: %s", error.text);
    assert_int_equal(verified.events, events);
    assert_int_equal(verified.damaged, 0);
}

static void test_nothing_is_seen_before_it_is_stored(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    world_batch one;

    world_batch_make(&one, 1, 100);
    assert_int_equal(ski_store_log.submit(driver, &one.batch), SKALD_OK);
    assert_int_equal(one.tells, 0);
    assert_int_equal(ski_store_log.head(driver), 0);
    assert_int_equal(world_check(driver, 1, 100), 0);
    assert_int_equal(state_of(driver).appends_waiting, 1);
    assert_true(ski_store_log.step(driver));
    assert_int_equal(one.tells, 1);
    assert_int_equal(one.told, SKALD_OK);
    assert_int_equal(w->advanced, 1);
    assert_int_equal(world_check(driver, 1, 100), 1);
    assert_int_equal(state_of(driver).appends_waiting, 0);
    ski_store_log.close(driver);
}

static void test_one_sync_for_a_group(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    static world_batch batches[50];
    uint64_t syncs = state_of(driver).syncs;

    for (uint64_t i = 0; i < 50; i++) {
        world_batch_make(&batches[i], i + 1, 100);
        assert_int_equal(ski_store_log.submit(driver, &batches[i].batch), SKALD_OK);
    }
    assert_true(ski_store_log.step(driver));
    assert_int_equal(state_of(driver).syncs, syncs + 1);
    for (uint64_t i = 0; i < 50; i++) {
        assert_int_equal(batches[i].tells, 1);
        assert_int_equal(batches[i].batch.appended.position_first, i + 1);
        assert_int_equal(batches[i].event.stream_version, i + 1);
    }
    assert_int_equal(world_check(driver, 1, 100), 50);
    ski_store_log.close(driver);
}

static void test_weak_appends_do_not_sync(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    uint64_t syncs = state_of(driver).syncs;
    world_batch weak;

    world_batch_make(&weak, 1, 100);
    weak.batch.durability = SKALD_WRITTEN;
    assert_int_equal(ski_store_log.commit(driver, &weak.batch), SKALD_OK);
    assert_int_equal(ski_store_log.head(driver), 1);
    assert_int_equal(state_of(driver).syncs, syncs);
    // The same, asked for durably: nothing is stored, but it is synced before it is answered.
    world_batch_make(&weak, 1, 100);
    assert_int_equal(ski_store_log.commit(driver, &weak.batch), SKALD_OK);
    assert_true(weak.told == SKALD_OK && weak.batch.appended.repeated);
    assert_int_equal(state_of(driver).syncs, syncs + 1);
    ski_store_log.close(driver);
}

// An answer that rests on what is not stored yet comes behind it.
static void test_answers_wait_for_what_they_rest_on(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    skald_expect expect = {.tenant = SKALD_STR(""), .stream = SKALD_STR("stream-1")};
    static world_batch first, again, conflict, other;

    expect.expected = SKALD_NONE;
    world_batch_make(&first, 1, 100);
    world_batch_make(&again, 1, 100);
    world_batch_make(&conflict, 2, 100);
    conflict.batch.expect = &expect;
    conflict.batch.expect_count = 1;
    world_batch_make(&other, 1, 101); // same id, other content
    assert_int_equal(ski_store_log.submit(driver, &first.batch), SKALD_OK);
    assert_int_equal(ski_store_log.submit(driver, &again.batch), SKALD_OK);
    assert_int_equal(ski_store_log.submit(driver, &conflict.batch), SKALD_OK);
    assert_int_equal(ski_store_log.submit(driver, &other.batch), SKALD_OK);
    assert_int_equal(again.tells + conflict.tells + other.tells, 0);
    assert_true(ski_store_log.step(driver));
    assert_true(first.told == SKALD_OK && !first.batch.appended.repeated);
    assert_true(again.told == SKALD_OK && again.batch.appended.repeated);
    assert_int_equal(again.event.position, 1);
    assert_int_equal(again.event.recorded_at, first.event.recorded_at);
    assert_int_equal(conflict.told, SKALD_ECONFLICT);
    assert_int_equal(conflict.batch.actual_version, 1);
    assert_int_equal(other.told, SKALD_EEXISTS);
    assert_int_equal(ski_store_log.head(driver), 1);
    // What is stored already is answered at once.
    world_batch_make(&again, 1, 100);
    assert_int_equal(ski_store_log.submit(driver, &again.batch), SKALD_OK);
    assert_int_equal(again.tells, 1);
    ski_store_log.close(driver);
}

static void test_a_full_disk_and_its_end(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    static world_batch batches[3];

    assert_int_equal(world_append(driver, 1, 100), SKALD_OK);
    for (uint64_t i = 0; i < 3; i++) {
        world_batch_make(&batches[i], i + 2, 100);
        assert_int_equal(ski_store_log.submit(driver, &batches[i].batch), SKALD_OK);
    }
    world_fail(w, CALL_PWRITE, 1, 1, SKALD_EREADONLY);
    assert_true(ski_store_log.step(driver));
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(batches[i].tells, 1);
        assert_int_equal(batches[i].told, SKALD_EREADONLY);
    }
    assert_int_equal(w->stopped, 0);
    assert_true(state_of(driver).read_only);
    assert_string_equal(state_of(driver).read_only_why, "disk full");
    assert_int_equal(state_of(driver).appends_waiting, 0);
    assert_int_equal(world_check(driver, 1, 100), 1);
    assert_int_equal(world_append(driver, 2, 100), SKALD_EREADONLY); // not yet
    w->later_ns += SKI_RETRY_NS;
    for (uint64_t n = 2; n <= 20; n++) assert_int_equal(world_append(driver, n, 100), SKALD_OK);
    assert_false(state_of(driver).read_only);
    assert_int_equal(world_check(driver, 1, 100), 20);
    verify_clean(driver, 20);
    ski_store_log.close(driver);
    driver = world_open(w, NULL);
    assert_int_equal(world_check(driver, 1, 100), 20);
    ski_store_log.close(driver);
}

// A write that failed half way, after its first frame: told as failed, that one must not come back.
static void test_what_failed_does_not_come_back(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    static world_batch batches[3];

    assert_int_equal(world_append(driver, 1, 100), SKALD_OK);
    for (uint64_t i = 0; i < 3; i++) {
        world_batch_make(&batches[i], i + 2, 100);
        assert_int_equal(ski_store_log.submit(driver, &batches[i].batch), SKALD_OK);
    }
    world_fail(w, CALL_PWRITE, 1, 1, SKALD_EREADONLY);
    w->fail_part = 2 * ski_frame_len(ski_record_len(&batches[0].event));
    assert_true(ski_store_log.step(driver));
    world_image(w, "failed");
    // The same events again, of which the old frames would be a continuation.
    w->later_ns += SKI_RETRY_NS;
    assert_int_equal(world_append(driver, 2, 100), SKALD_OK);
    world_image(w, "again");
    ski_store_log.close(driver);
    world_use(w, "failed");
    driver = world_open(w, NULL);
    assert_int_equal(world_check(driver, 1, 100), 1);
    ski_store_log.close(driver);
    world_use(w, "again");
    driver = world_open(w, NULL);
    assert_int_equal(world_check(driver, 1, 100), 2);
    verify_clean(driver, 2);
    ski_store_log.close(driver);
}

static void test_a_failed_sync_stops_everything(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    static world_batch batches[2];

    assert_int_equal(world_append(driver, 1, 100), SKALD_OK);
    world_batch_make(&batches[0], 2, 100);
    world_batch_make(&batches[1], 3, 100);
    assert_int_equal(ski_store_log.submit(driver, &batches[0].batch), SKALD_OK);
    assert_int_equal(ski_store_log.submit(driver, &batches[1].batch), SKALD_OK);
    world_fail(w, CALL_SYNC, 1, 1, SKALD_EIO);
    assert_true(ski_store_log.step(driver));
    assert_int_equal(w->stopped, 1);
    assert_int_equal(batches[0].told, SKALD_EIO);
    assert_int_equal(batches[1].told, SKALD_EIO);
    assert_int_equal(ski_store_log.head(driver), 1);
    w->later_ns += SKI_RETRY_NS;
    assert_int_equal(world_append(driver, 2, 100), SKALD_EREADONLY);
    assert_false(ski_store_log.step(driver));
    assert_true(state_of(driver).read_only);
    assert_non_null(strstr(state_of(driver).read_only_why, "sync"));
    ski_store_log.close(driver);
    assert_int_equal(w->stopped, 1);
}

static void test_segments_roll(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);

    for (uint64_t n = 1; n <= 300; n++) {
        assert_int_equal(world_append(driver, n, 2000), SKALD_OK);
        if (n % 3 == 0) (void)ski_store_log.step(driver); // a spare, now and then
    }
    assert_true(state_of(driver).segments > 8);
    assert_int_equal(world_check(driver, 1, 2000), 300);
    verify_clean(driver, 300);
    ski_store_log.close(driver);
    for (int i = 0; i < 3; i++) {
        driver = world_open(w, &small);
        assert_int_equal(world_check(driver, 1, 2000), 300 + (uint64_t)i);
        verify_clean(driver, 300 + (uint64_t)i);
        assert_int_equal(world_append(driver, 301 + (uint64_t)i, 2000), SKALD_OK);
        ski_store_log.close(driver);
    }
}

static void test_a_group_goes_over_segments(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    static world_batch batches[200];

    for (uint64_t i = 0; i < 200; i++) {
        world_batch_make(&batches[i], i + 1, 3000);
        assert_int_equal(ski_store_log.submit(driver, &batches[i].batch), SKALD_OK);
    }
    assert_true(ski_store_log.step(driver));
    for (uint64_t i = 0; i < 200; i++) assert_int_equal(batches[i].told, SKALD_OK);
    assert_true(state_of(driver).segments > 8);
    assert_int_equal(world_check(driver, 1, 3000), 200);
    ski_store_log.close(driver);
}

// More segments than files are held open.
static void test_many_segments(void **state)
{
    enum { rounds = SKI_FILES_OPEN_MAX + 12, group = 20 };
    world *w = *state;
    void *driver = world_open(w, &small);
    static world_batch batches[group];

    for (uint64_t n = 0; n < rounds * group;) {
        for (int i = 0; i < group; i++) {
            world_batch_make(&batches[i], ++n, 3000);
            batches[i].batch.durability = SKALD_WRITTEN;
            assert_int_equal(ski_store_log.submit(driver, &batches[i].batch), SKALD_OK);
        }
        assert_true(ski_store_log.step(driver));
    }
    assert_true(state_of(driver).segments > SKI_FILES_OPEN_MAX);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(world_check(driver, 1, 3000), rounds * group);
        assert_true(((ski_engine *)driver)->files_open <= SKI_FILES_OPEN_MAX);
        ski_store_log.close(driver);
        driver = world_open(w, &small);
    }
    verify_clean(driver, rounds * group);
    ski_store_log.close(driver);
}

static void test_an_event_larger_than_a_segment(void **state)
{
    world *w = *state;
    enum { len = 300 * 1024 };
    void *driver = world_open(w, &small);
    world_batch one;
    char *data = ski_alloc(len + 1);

    world_batch_make(&one, 1, 100);
    one.event.data = world_data(1, len, data);
    assert_int_equal(ski_store_log.commit(driver, &one.batch), SKALD_OK);
    assert_int_equal(one.told, SKALD_OK);
    world_batch_make(&one, 2, 100);
    one.event.data = world_data(2, len, data);
    assert_int_equal(ski_store_log.commit(driver, &one.batch), SKALD_OK);
    assert_int_equal(world_check(driver, 1, len), 2);
    ski_store_log.close(driver);
    driver = world_open(w, &small);
    assert_int_equal(world_check(driver, 1, len), 2);
    verify_clean(driver, 2);
    ski_store_log.close(driver);
    ski_free(data);
}

// Rolling needs several steps on the disk: each finds it full once, and the next attempt goes on.
static void test_the_disk_is_full_while_rolling(void **state)
{
    static const world_call calls[] = {CALL_PWRITE, CALL_OPEN};
    world *w = *state;
    void *driver = world_open(w, &small);
    uint64_t n = 0;

    for (uint64_t from = 1; from <= 6; from++) {
        for (size_t call = 0; call < 2; call++) {
            uint64_t segments = state_of(driver).segments, refused = 0;

            while (state_of(driver).segments == segments) {
                skald_err err = SKALD_OK;

                world_fail(w, calls[call], from, 1, SKALD_EREADONLY);
                err = world_append(driver, n + 1, 3000);
                w->fail_call = CALL_NONE;
                if (err) assert_int_equal(err, SKALD_EREADONLY);
                if (err) w->later_ns += SKI_RETRY_NS;
                n += !err;
                refused += err != SKALD_OK;
                if (refused > 3) world_fail(w, CALL_NONE, 1, 1, SKALD_OK);
                if (refused <= 3) continue;
                if (!world_append(driver, n + 1, 3000)) n++;
            }
        }
    }
    assert_int_equal(world_check(driver, 1, 3000), n);
    verify_clean(driver, n);
    ski_store_log.close(driver);
    driver = world_open(w, &small);
    assert_int_equal(world_check(driver, 1, 3000), n);
    ski_store_log.close(driver);
}

static void test_too_much_is_refused(void **state)
{
    world *w = *state;
    skald_store_options options = {.append_bytes_max = 10000};
    void *driver = world_open(w, &options);
    static world_batch batches[100];
    size_t taken = 0;
    world_batch huge;
    char *data = ski_alloc(SKI_FRAME_BYTES_MAX + 1);

    for (; taken < 100; taken++) {
        world_batch_make(&batches[taken], taken + 1, 1000);
        if (ski_store_log.submit(driver, &batches[taken].batch)) break;
    }
    assert_true(taken > 5 && taken < 10);
    assert_int_equal(ski_store_log.submit(driver, &batches[taken].batch), SKALD_EFULL);
    assert_int_equal(batches[taken].tells, 0);
    assert_true(ski_store_log.step(driver));
    assert_int_equal(ski_store_log.submit(driver, &batches[taken].batch), SKALD_OK);
    // One alone may be larger than the limit, but not larger than a frame.
    world_batch_make(&huge, 500, 100);
    huge.event.data = world_data(500, SKI_FRAME_BYTES_MAX, data);
    assert_int_equal(ski_store_log.submit(driver, &huge.batch), SKALD_ETOOBIG);
    assert_int_equal(huge.tells, 0);
    ski_store_log.close(driver);
    assert_int_equal(batches[taken].told, SKALD_OK); // closing ends what was taken
    ski_free(data);
}

// When nothing happens the watermark is stored, once.
static void test_idle_stores_the_watermark(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    uint64_t bytes = 0;

    assert_int_equal(world_append(driver, 1, 100), SKALD_OK);
    bytes = state_of(driver).bytes_stored;
    assert_false(ski_store_log.step(driver));
    w->later_ns += SKI_IDLE_NS;
    assert_true(ski_store_log.step(driver));
    assert_int_equal(state_of(driver).bytes_stored, bytes + SKI_FRAME_BYTES_MIN);
    assert_false(ski_store_log.step(driver));
    w->later_ns += SKI_IDLE_NS;
    assert_false(ski_store_log.step(driver));
    ski_store_log.close(driver);
}

static void test_ids_are_forgotten_after_the_window(void **state)
{
    world *w = *state;
    skald_store_options options = {.dedup_events_max = 4};
    skald_expect expect = {.tenant = SKALD_STR(""), .stream = SKALD_STR("stream-1")};
    void *driver = world_open(w, &options);
    world_batch again;

    for (uint64_t n = 1; n <= 5; n++) assert_int_equal(world_append(driver, n, 100), SKALD_OK);
    world_batch_make(&again, 2, 100);
    assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
    assert_true(again.batch.appended.repeated); // the fourth from the end
    world_batch_make(&again, 1, 100);
    expect.expected = SKALD_NONE; // who names a version is answered for ever
    again.batch.expect = &expect;
    again.batch.expect_count = 1;
    assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
    assert_true(again.told == SKALD_OK && again.batch.appended.repeated);
    world_batch_make(&again, 1, 100);
    assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
    assert_false(again.batch.appended.repeated);
    assert_int_equal(again.event.position, 6);
    ski_store_log.close(driver);
}

// Each allocation of an append fails once; nothing is taken, and the same append then succeeds.
static void test_appends_without_memory(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    uint64_t failures = 0;
    static world_batch mine;

    for (uint64_t n = 1; n <= 20; n++) {
        skald_store_value value = {SKALD_STR("checkpoint"), SKALD_STR("7")};
        skald_err err = SKALD_ENOMEM;

        for (uint64_t at = 1; err; at++) {
            world_batch_make(&mine, n, 3000);
            mine.batch.values = &value;
            mine.batch.value_count = 1;
            ski_alloc_fail_at(at);
            err = ski_store_log.submit(driver, &mine.batch);
            ski_alloc_fail_at(0);
            failures += err != SKALD_OK;
            assert_int_equal(mine.tells, 0);
        }
        while (ski_store_log.step(driver)) continue;
        assert_true(mine.tells == 1 && mine.told == SKALD_OK && mine.event.position == n);
    }
    assert_true(failures > 20);
    assert_int_equal(world_check(driver, 1, 3000), 20);
    verify_clean(driver, 20);
    ski_store_log.close(driver);
}

enum { thread_count = 4, thread_events = 150 };

typedef struct appender {
    void *driver;
    uint64_t first;
    bool submit;
    int failed;
} appender;

static void *append_many(void *argument)
{
    appender *mine = argument;
    world_batch *batches = ski_alloc_zeroed(thread_events, sizeof *batches);

    for (uint64_t i = 0; i < thread_events; i++) {
        skald_err err = SKALD_OK;

        world_batch_make(&batches[i], mine->first + i, 200);
        err = mine->submit ? ski_store_log.submit(mine->driver, &batches[i].batch)
                           : ski_store_log.commit(mine->driver, &batches[i].batch);
        mine->failed += err != SKALD_OK;
        if (!mine->submit) mine->failed += batches[i].tells != 1 || batches[i].told;
    }
    if (mine->submit) { // one more, waited for, is behind all that were submitted
        world_batch *last = ski_alloc(sizeof *last);

        world_batch_make(last, mine->first + 500, 200);
        mine->failed += ski_store_log.commit(mine->driver, &last->batch) != SKALD_OK;
        for (uint64_t i = 0; i < thread_events; i++) {
            mine->failed += batches[i].tells != 1 || batches[i].told;
        }
        ski_free(last);
    }
    ski_free(batches);
    return NULL;
}

static void test_many_threads(void **state)
{
    world *w = *state;
    pthread_t threads[thread_count];
    appender appenders[thread_count];
    uint64_t events = thread_count * thread_events + thread_count / 2;
    void *driver = NULL;

    w->kernel.spawn = ski_kernel_system.spawn;
    driver = world_open(w, &small);
    for (int i = 0; i < thread_count; i++) {
        appenders[i] =
            (appender){.driver = driver, .first = (uint64_t)i * 1000 + 1, .submit = i % 2 == 0};
        assert_int_equal(pthread_create(&threads[i], NULL, append_many, &appenders[i]), 0);
    }
    for (int i = 0; i < thread_count; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(appenders[i].failed, 0);
    }
    assert_int_equal(ski_store_log.head(driver), events);
    verify_clean(driver, events);
    ski_store_log.close(driver);
    driver = world_open(w, &small);
    assert_int_equal(ski_store_log.head(driver), events);
    ski_store_log.close(driver);
}

// Whatever of opening fails, the error says so, nothing is left open, and the next attempt
// succeeds.
static void test_an_open_that_fails_leaves_nothing(void **state)
{
    static const world_call calls[] = {CALL_OPEN, CALL_SYNC, CALL_PWRITE};
    world *w = *state;
    void *driver = world_open(w, NULL);
    skald_err err = SKALD_ENOMEM;

    for (uint64_t n = 1; n <= 20; n++) assert_int_equal(world_append(driver, n, 100), SKALD_OK);
    ski_store_log.close(driver);
    for (uint64_t at = 1; err; at++) {
        ski_alloc_fail_at(at);
        err = ski_store_log.open(w->path, NULL, &w->host, &driver, NULL);
        ski_alloc_fail_at(0);
        if (err) assert_int_equal(err, SKALD_ENOMEM);
    }
    ski_store_log.close(driver);
    for (size_t call = 0; call < sizeof calls / sizeof calls[0]; call++) {
        for (uint64_t from = 1; from < 4; from++) {
            world_fail(w, calls[call], from, 1, SKALD_EIO);
            err = ski_store_log.open(w->path, NULL, &w->host, &driver, NULL);
            w->fail_call = CALL_NONE;
            if (!err) ski_store_log.close(driver);
            if (err) assert_int_equal(err, SKALD_EIO);
        }
    }
    assert_int_equal(w->stopped, 0); // nothing was promised yet
    driver = world_open(w, NULL);
    assert_int_equal(world_check(driver, 1, 100), 20);
    ski_store_log.close(driver);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(test_nothing_is_seen_before_it_is_stored),
        WORLD(test_one_sync_for_a_group),
        WORLD(test_weak_appends_do_not_sync),
        WORLD(test_answers_wait_for_what_they_rest_on),
        WORLD(test_a_full_disk_and_its_end),
        WORLD(test_what_failed_does_not_come_back),
        WORLD(test_a_failed_sync_stops_everything),
        WORLD(test_segments_roll),
        WORLD(test_a_group_goes_over_segments),
        WORLD(test_many_segments),
        WORLD(test_an_event_larger_than_a_segment),
        WORLD(test_the_disk_is_full_while_rolling),
        WORLD(test_too_much_is_refused),
        WORLD(test_idle_stores_the_watermark),
        WORLD(test_ids_are_forgotten_after_the_window),
        WORLD(test_appends_without_memory),
        WORLD(test_many_threads),
        WORLD(test_an_open_that_fails_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
