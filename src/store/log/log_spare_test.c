// SPDX-License-Identifier: Apache-2.0
// Spares: made beside appends, however those come, and never in the way of what else is to be done.
#include "store/log/engine.h"
#include "store/log/log_world.h"
#include <unistd.h>

enum { batch_events = 200, data_bytes = 400, ms_ns = 1000 * 1000 };

static const skald_store_options options = {.segment_bytes = 1024 * 1024};

static void told(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

// group_append appends a group of more than 100 KB, which is followed.
static void group_append(void *driver, uint64_t n)
{
    skald_event *events = ski_alloc(batch_events * sizeof *events);
    char(*data)[data_bytes + 1] = ski_alloc(batch_events * sizeof *data);
    skald_err err = SKALD_EIO;
    skald_store_batch batch = {
        .events = events, .event_count = batch_events, .done = told, .context = &err};

    for (int i = 0; i < batch_events; i++, n++)
        events[i] = world_event(n, world_data(n, data_bytes, data[i]));
    assert_int_equal(ski_store_log.commit(driver, &batch), SKALD_OK);
    assert_int_equal(err, SKALD_OK);
    ski_free(events);
    ski_free(data);
}

// Groups that are followed come again and again, but not fast: a spare is made beside them, and
// whoever waits for the keeper's turn gets it.
static void test_beside_groups_that_are_followed(void **state)
{
    world *w = *state;
    ski_engine *engine = NULL;
    uint64_t n = 1;
    uint32_t begun = 0; // spares, when the first segment that is followed was
    bool made = false;

    w->kernel.spawn = ski_kernel_system.spawn;
    engine = world_open(w, &options);
    for (int i = 0; i < 400 && !made; i++, n += batch_events) {
        group_append(engine, n);
        ski_mutex_lock(&engine->lock);
        if (!begun && engine->follow.no) begun = engine->spare_next_no;
        made = begun && engine->spare_count && engine->spare_next_no > begun;
        ski_mutex_unlock(&engine->lock);
        (void)usleep(5 * 1000); // style: 20 MB a second
    }
    assert_true(made);
    ski_mutex_lock(&engine->keeping);
    ski_mutex_unlock(&engine->keeping);
    ski_store_log.close(engine);
}

enum { fast_looks = 5000 };

typedef struct busy {
    ski_engine *engine;
    uint64_t looked;
} busy;

// Whenever somebody looks 10 ms have passed, and for long enough a megabyte was appended.
static uint64_t busy_ns(void *context)
{
    world *w = context;
    busy *mine = w->mine;

    if (mine) {
        w->later_ns += 10 * ms_ns;
        if (mine->looked++ < fast_looks) mine->engine->bytes_written += 1024 * 1024;
    }
    return UINT64_C(1000) * 1000 * 1000 + w->later_ns;
}

// While appends come fast none is made, and who wants to make one does not wait for ever.
static void test_appends_that_come_fast(void **state)
{
    world *w = *state;
    busy mine = {0};
    ski_engine *engine = NULL;

    w->kernel.monotonic_ns = busy_ns;
    engine = world_open(w, &options);
    for (uint64_t n = 1; engine->segment_count < 2; n += batch_events) group_append(engine, n);
    while (ski_seal_wanted(engine)) assert_true(ski_seal_next(engine));
    assert_true(ski_spare_wanted(engine));
    mine.engine = engine;
    w->mine = &mine;
    w->kernel.spawn = ski_kernel_system.spawn; // as with threads
    assert_false(ski_spare_make(engine));
    w->kernel.spawn = NULL;
    w->mine = NULL;
    assert_int_equal(engine->spare_count, 0);
    assert_false(engine->spare_making);
    assert_true(mine.looked < fast_looks);
    assert_false(ski_spare_wanted(engine)); // not at once
    w->later_ns += UINT64_C(11) * 1000 * ms_ns;
    assert_true(ski_spare_wanted(engine));
    assert_true(ski_spare_make(engine));
    assert_int_equal(engine->spare_count, 1);
    ski_store_log.close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_beside_groups_that_are_followed, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_appends_that_come_fast, world_setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
