// SPDX-License-Identifier: Apache-2.0
// Ids of events that the store named itself: noted only when somebody looks for one, and known from
// then on as any other, whatever was taken back or sealed before.
#include "store/log/engine.h"
#include "store/log/log_world.h"
#include "store/log/now.h"

enum { data_len = 40, many = 20000, batch_events = 500, small_events = 2000 };

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_noted_when_asked_for, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_taken_back, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_sealed_meanwhile, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_now, world_setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
