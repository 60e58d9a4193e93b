// SPDX-License-Identifier: Apache-2.0
// Batches that are put off: a submit reads nothing, keeps its place, its limit and its promise.
#include "store/log/log_world.h"

#include <pthread.h>

enum { cold_streams = 8, fill_events = 600, fill_bytes = 1000 };

static const skald_store_options small = {.segment_bytes = 64 * 1024};

static const skald_store_options uncached = {.segment_bytes = 64 * 1024,
                                             .cache_bytes = SKALD_CACHE_OFF};

typedef struct cold_batch {
    world_batch mine;
    char stream[16];
} cold_batch;

// cold_make is an event of a number in one of the streams that only index files know.
static void cold_make(cold_batch *cold, uint64_t n, int stream)
{
    world_batch_make(&cold->mine, n, 100);
    (void)snprintf(cold->stream, sizeof cold->stream, "cold-%d", stream);
    cold->mine.event.stream = skald_str_of(cold->stream);
}

// cold_world has one event in each cold stream, and then so much else that they are sealed.
static void *cold_world(world *w, const skald_store_options *options)
{
    void *driver = world_open(w, options);
    skald_store_state state;

    for (int i = 0; i < cold_streams; i++) {
        cold_batch cold;

        cold_make(&cold, (uint64_t)i + 1, i);
        assert_int_equal(ski_store_log.commit(driver, &cold.mine.batch), SKALD_OK);
        assert_int_equal(cold.mine.told, SKALD_OK);
    }
    for (uint64_t n = 1; n <= fill_events; n++) {
        assert_int_equal(world_append(driver, 1000 + n, fill_bytes), SKALD_OK);
    }
    while (!w->kernel.spawn && ski_store_log.step(driver)) continue;
    ski_store_log.state(driver, &state);
    assert_true(state.segments_sealed > 1);
    return driver;
}

static void test_a_submit_reads_nothing(void **state)
{
    world *w = *state;
    void *driver = cold_world(w, &small);
    uint64_t head = ski_store_log.head(driver);
    static cold_batch cold, again;
    static world_batch warm;

    cold_make(&cold, 5001, 3);
    world_batch_make(&warm, 5002, 100);
    cold_make(&again, 5003, 3);
    world_fail(w, CALL_PREAD, 1, 0, SKALD_OK); // counts
    assert_int_equal(ski_store_log.submit(driver, &cold.mine.batch), SKALD_OK);
    assert_int_equal(ski_store_log.submit(driver, &warm.batch), SKALD_OK);
    assert_int_equal(ski_store_log.submit(driver, &again.mine.batch), SKALD_OK);
    assert_int_equal(w->calls, 0);
    assert_int_equal(cold.mine.tells + warm.tells + again.mine.tells, 0);
    // The texts are the caller's again.
    memset(cold.stream, 'x', sizeof cold.stream);
    memset(cold.mine.data, 'x', sizeof cold.mine.data);
    memset(warm.data, 'x', sizeof warm.data);
    while (ski_store_log.step(driver)) continue;
    assert_true(w->calls > 0);
    assert_true(cold.mine.tells == 1 && cold.mine.told == SKALD_OK);
    assert_true(warm.tells == 1 && warm.told == SKALD_OK);
    assert_true(again.mine.tells == 1 && again.mine.told == SKALD_OK);
    // Nobody has overtaken, and the streams go on where they stood.
    assert_int_equal(cold.mine.event.position, head + 1);
    assert_int_equal(warm.event.position, head + 2);
    assert_int_equal(again.mine.event.position, head + 3);
    assert_int_equal(cold.mine.event.stream_version, 2);
    assert_int_equal(again.mine.event.stream_version, 3);
    assert_int_equal(cold.mine.batch.appended.position_last, head + 1);
    ski_store_log.close(driver);
}

// What a batch expects, and that it is a repetition, is found out later as it would have been.
static void test_answers_are_the_same_later(void **state)
{
    world *w = *state;
    void *driver = cold_world(w, &small);
    char name[] = "cold-2";
    skald_expect expect = {.stream = skald_str_of(name), .expected = SKALD_AT, .version = 7};
    static cold_batch conflict, repeated, other;
    skald_store_value value = {SKALD_STR("checkpoint"), SKALD_STR("12")};

    cold_make(&conflict, 6001, 2);
    conflict.mine.batch.expect = &expect;
    conflict.mine.batch.expect_count = 1;
    conflict.mine.batch.values = &value;
    conflict.mine.batch.value_count = 1;
    cold_make(&repeated, 4, 3); // as it is stored
    cold_make(&other, 4, 3);
    other.mine.event.data = SKALD_STR("\"another\"");
    assert_int_equal(ski_store_log.submit(driver, &conflict.mine.batch), SKALD_OK);
    memset(name, 'x', sizeof name - 1);
    assert_int_equal(ski_store_log.submit(driver, &repeated.mine.batch), SKALD_OK);
    assert_int_equal(ski_store_log.submit(driver, &other.mine.batch), SKALD_OK);
    while (ski_store_log.step(driver)) continue;
    assert_int_equal(conflict.mine.told, SKALD_ECONFLICT);
    assert_int_equal(conflict.mine.batch.actual_version, 1);
    assert_int_equal(repeated.mine.told, SKALD_OK);
    assert_true(repeated.mine.batch.appended.repeated);
    assert_int_equal(repeated.mine.event.position, 4);
    assert_int_equal(other.mine.told, SKALD_EEXISTS);
    ski_store_log.close(driver);
}

// A commit is behind what was submitted before it.
static void test_a_commit_waits_for_what_was_put_off(void **state)
{
    world *w = *state;
    void *driver = cold_world(w, &small);
    uint64_t head = ski_store_log.head(driver);
    static cold_batch cold;

    cold_make(&cold, 7001, 5);
    assert_int_equal(ski_store_log.submit(driver, &cold.mine.batch), SKALD_OK);
    assert_int_equal(world_append(driver, 7002, 100), SKALD_OK);
    assert_true(cold.mine.tells == 1 && cold.mine.told == SKALD_OK);
    assert_int_equal(cold.mine.event.position, head + 1);
    assert_int_equal(ski_store_log.head(driver), head + 2);
    ski_store_log.close(driver);
}

static void test_putting_off_without_memory(void **state)
{
    world *w = *state;
    void *driver = cold_world(w, &small);
    static cold_batch cold;
    skald_store_state now;
    skald_err err = SKALD_ENOMEM;
    uint64_t failures = 0;

    for (uint64_t at = 1; err; at++, failures += err != SKALD_OK) {
        cold_make(&cold, 8501, 4);
        ski_alloc_fail_at(at);
        err = ski_store_log.submit(driver, &cold.mine.batch);
        ski_alloc_fail_at(0);
        if (err) assert_int_equal(err, SKALD_ENOMEM);
        ski_store_log.state(driver, &now);
        assert_int_equal(now.appends_waiting, err ? 0 : 1);
    }
    assert_true(failures >= 2); // the stream to ask for, the copy
    while (ski_store_log.step(driver)) continue;
    assert_true(cold.mine.tells == 1 && cold.mine.told == SKALD_OK);
    ski_store_log.close(driver);
}

// What is put off takes its room of append_bytes_max, and gives it back.
static void test_putting_off_has_a_limit(void **state)
{
    world *w = *state;
    skald_store_options options = {.segment_bytes = 64 * 1024, .append_bytes_max = 4096};
    void *driver = cold_world(w, &options);
    static cold_batch cold[32];
    skald_store_state was, now;
    int taken = 0;

    ski_store_log.state(driver, &was);
    for (skald_err err = SKALD_OK; !err && taken < 32; taken += !err) {
        cold_make(&cold[taken], 8001 + (uint64_t)taken, taken % cold_streams);
        err = ski_store_log.submit(driver, &cold[taken].mine.batch);
        if (err) assert_int_equal(err, SKALD_EFULL);
    }
    assert_in_range(taken, 2, 31);
    ski_store_log.state(driver, &now);
    assert_int_equal(now.appends_waiting, taken);
    while (ski_store_log.step(driver)) continue;
    for (int i = 0; i < taken; i++) {
        assert_true(cold[i].mine.tells == 1 && cold[i].mine.told == SKALD_OK);
    }
    ski_store_log.state(driver, &now);
    assert_true(now.appends_waiting == 0 && now.bytes_waiting == 0);
    assert_int_equal(now.head, was.head + (uint64_t)taken);
    ski_store_log.close(driver);
}

// A disk that cannot be read fails the batch that needs it, not those behind it.
static void test_what_cannot_be_read_is_told(void **state)
{
    world *w = *state;
    void *driver = cold_world(w, &small);
    static cold_batch cold;
    static world_batch warm;

    cold_make(&cold, 9001, 1);
    world_batch_make(&warm, 9002, 100);
    assert_int_equal(ski_store_log.submit(driver, &cold.mine.batch), SKALD_OK);
    assert_int_equal(ski_store_log.submit(driver, &warm.batch), SKALD_OK);
    world_fail(w, CALL_PREAD, 1, 1, SKALD_EIO);
    while (ski_store_log.step(driver)) continue;
    assert_true(cold.mine.tells == 1 && cold.mine.told == SKALD_EIO);
    assert_true(warm.tells == 1 && warm.told == SKALD_OK);
    ski_store_log.close(driver);
}

static void test_closing_ends_what_was_put_off(void **state)
{
    world *w = *state;
    void *driver = cold_world(w, &small);
    uint64_t head = ski_store_log.head(driver);
    static cold_batch cold;

    cold_make(&cold, 9101, 6);
    assert_int_equal(ski_store_log.submit(driver, &cold.mine.batch), SKALD_OK);
    ski_store_log.close(driver);
    assert_true(cold.mine.tells == 1 && cold.mine.told == SKALD_OK);
    driver = world_open(w, &small);
    assert_int_equal(ski_store_log.head(driver), head + 1);
    ski_store_log.close(driver);
}

// store_cold is the whole store over cold streams, of which one was deleted and one for ever.
static skald_store *store_cold(world *w)
{
    static const char *const deleted[] = {"cold-1", "cold-2"};
    skald_store *store = NULL;

    ski_store_log.close(cold_world(w, &uncached));
    assert_int_equal(ski_store_open_on(&w->kernel, w->url, &uncached, &store, NULL), SKALD_OK);
    for (int i = 0; i < 2; i++) {
        skald_expect any = {.stream = skald_str_of(deleted[i])};

        assert_int_equal(skald_stream_delete(store, &any, i == 1, NULL), SKALD_OK);
    }
    return store;
}

// Who submits does not wait for the disk either when a stream was deleted: whether anything came
// after that, or the event was there before, is found out later.
static void test_a_submit_to_deleted_streams_reads_nothing(void **state)
{
    world *w = *state;
    skald_store *store = store_cold(w);
    skald_expect none = {.stream = SKALD_STR("cold-1"), .expected = SKALD_NONE};
    skald_expect present[] = {{.stream = SKALD_STR("cold-3"), .expected = SKALD_PRESENT},
                              {.stream = SKALD_STR("cold-1"), .expected = SKALD_PRESENT}};
    static cold_batch gone, again, closed, repeated, holds;

    cold_make(&gone, 8001, 1);
    gone.mine.batch.expect = present;
    gone.mine.batch.expect_count = 2;
    cold_make(&again, 8002, 1);
    again.mine.batch.expect = &none;
    again.mine.batch.expect_count = 1;
    cold_make(&holds, 8003, 1);
    holds.mine.batch.expect = present;
    holds.mine.batch.expect_count = 2;
    cold_make(&closed, 8004, 2);
    closed.mine.batch.expect = present; // that it is closed comes first
    closed.mine.batch.expect_count = 2;
    cold_make(&repeated, 3, 2);                // as it is stored
    world_fail(w, CALL_PREAD, 1, 0, SKALD_OK); // counts
    assert_int_equal(ski_store_submit(store, &gone.mine.batch), SKALD_OK);
    assert_int_equal(ski_store_submit(store, &again.mine.batch), SKALD_OK);
    assert_int_equal(ski_store_submit(store, &holds.mine.batch), SKALD_OK);
    assert_int_equal(ski_store_submit(store, &closed.mine.batch), SKALD_OK);
    assert_int_equal(ski_store_submit(store, &repeated.mine.batch), SKALD_OK);
    assert_int_equal(w->calls, 0);
    while (ski_store_step(store)) continue;
    assert_true(w->calls > 0);
    assert_int_equal(gone.mine.told, SKALD_ECONFLICT);
    assert_int_equal(gone.mine.batch.conflict, 1);
    assert_int_equal(gone.mine.batch.actual_version, 0); // it does not exist
    assert_int_equal(again.mine.told, SKALD_OK);
    assert_int_equal(again.mine.event.stream_version, 2);
    assert_int_equal(holds.mine.told, SKALD_OK); // now it does
    assert_int_equal(closed.mine.told, SKALD_ESTATE);
    assert_int_equal(closed.mine.batch.conflict, 0);
    assert_ptr_equal(closed.mine.batch.expect, present);
    assert_int_equal(closed.mine.batch.expect_count, 2);
    assert_int_equal(repeated.mine.told, SKALD_OK);
    assert_true(repeated.mine.batch.appended.repeated);
    skald_store_close(store);
}

enum { thread_count = 3, thread_events = 120 };

typedef struct submitter {
    void *driver;
    int number, failed;
} submitter;

// submit_many submits to cold streams, then commits: its events stand in the order of submission.
static void *submit_many(void *argument)
{
    submitter *mine = argument;
    cold_batch *cold = ski_alloc_zeroed(thread_events, sizeof *cold);
    uint64_t last = 0;

    for (int i = 0; i < thread_events; i++) {
        cold_make(&cold[i], 20000 + 1000 * (uint64_t)mine->number + (uint64_t)i, i % cold_streams);
        mine->failed += ski_store_log.submit(mine->driver, &cold[i].mine.batch) != SKALD_OK;
    }
    mine->failed += world_append(mine->driver, 30000 + (uint64_t)mine->number, 100) != SKALD_OK;
    for (int i = 0; i < thread_events; i++) {
        mine->failed += cold[i].mine.tells != 1 || cold[i].mine.told != SKALD_OK;
        mine->failed += cold[i].mine.event.position <= last;
        last = cold[i].mine.event.position;
    }
    ski_free(cold);
    return NULL;
}

static void test_many_threads_put_off(void **state)
{
    world *w = *state;
    pthread_t threads[thread_count];
    submitter submitters[thread_count];
    skald_verify_options options = {0};
    skald_verified verified = {0};
    void *driver = cold_world(w, &small);
    uint64_t head = ski_store_log.head(driver);

    ski_store_log.close(driver);
    w->kernel.spawn = ski_kernel_system.spawn;
    driver = world_open(w, &small);
    for (int i = 0; i < thread_count; i++) {
        submitters[i] = (submitter){driver, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &submitters[i]), 0);
    }
    for (int i = 0; i < thread_count; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(submitters[i].failed, 0);
    }
    assert_int_equal(ski_store_log.head(driver), head + thread_count * (thread_events + 1));
    assert_int_equal(ski_store_log.verify(driver, &options, &verified, NULL), SKALD_OK);
    ski_store_log.close(driver);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(test_a_submit_reads_nothing),
        WORLD(test_answers_are_the_same_later),
        WORLD(test_a_commit_waits_for_what_was_put_off),
        WORLD(test_putting_off_has_a_limit),
        WORLD(test_putting_off_without_memory),
        WORLD(test_what_cannot_be_read_is_told),
        WORLD(test_closing_ends_what_was_put_off),
        WORLD(test_a_submit_to_deleted_streams_reads_nothing),
        WORLD(test_many_threads_put_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
