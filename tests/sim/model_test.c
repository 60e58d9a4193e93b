// SPDX-License-Identifier: Apache-2.0
// The oracle itself: what it takes of batches that were answered IO, and what it does not. The
// store is one in memory, which holds what a disk would hold after it.
#include "sim/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static sim_model model;

static model_batch *submit(skald_err answer)
{
    model_batch *batch = model_submit(&model);

    assert_true(model_told(&model, batch, answer, &(skald_appended){0}));
    return batch;
}

// value_of, event_of: batches with one thing in them.
static model_batch *value_of(unsigned name, uint64_t number, skald_err answer)
{
    model_batch *batch = submit(answer);

    batch->values[0] = (model_value){.name = name, .number = number};
    batch->value_count = 1;
    return batch;
}

static model_batch *event_of(uint64_t number, skald_err answer)
{
    model_batch *batch = submit(answer);

    batch->events[0] = (model_event){.tenant = "t", .stream = "a", .number = number, .size = 40};
    batch->event_count = 1;
    return batch;
}

static void told(skald_store_batch *batch, skald_err err)
{
    skald_err *ret = batch->context;

    *ret = err;
}

// stored puts a batch into the store, whatever was answered.
static void stored(skald_store *store, model_batch *from)
{
    static model_texts texts;
    skald_event events[MODEL_BATCH_EVENTS_MAX];
    skald_err err = SKALD_EIO;
    skald_store_batch batch = {.events = events, .done = told, .context = &err};

    model_give(&model, from, &batch, &texts);
    assert_int_equal(ski_store_commit(store, &batch), SKALD_OK);
    assert_int_equal(err, SKALD_OK);
    for (size_t i = 0; i < from->event_count; i++) from->events[i].id = events[i].id;
}

static void check(skald_store *store, model_verdict verdict)
{
    model_verdict got = model_check(&model, store, true);

    skald_store_close(store);
    if (got != verdict) fail_msg("verdict %d: %s", (int)got, model.wrong);
}

static skald_store *begin(void)
{
    skald_store *store = NULL;

    model.batch_count = 0;
    assert_int_equal(skald_store_open("memory:", NULL, &store, NULL), SKALD_OK);
    return store;
}

static void test_doubted_batches_written_over(void **state)
{
    skald_store *store = begin();
    model_batch *events, *values, *last;

    (void)state;
    stored(store, value_of(1, 5, SKALD_OK));
    events = event_of(7, SKALD_EIO);
    events->events[0].id.bytes[0] = 1; // of an event that is not there
    values = value_of(0, 8, SKALD_EIO);
    last = event_of(9, SKALD_EIO);
    stored(store, last);
    check(store, MODEL_RIGHT);
    assert_true(events->gone && values->gone);
    assert_true(last->must && !last->gone && !model.batches[0].gone);
}

static void test_values_written_over_by_values(void **state)
{
    skald_store *store = begin();
    model_batch *values, *last;

    (void)state;
    values = value_of(0, 8, SKALD_EIO);
    last = value_of(1, 9, SKALD_EIO);
    stored(store, last);
    check(store, MODEL_RIGHT);
    assert_true(values->gone && last->must && !last->gone);
}

static void test_doubted_values_that_are_there(void **state)
{
    skald_store *store = begin();
    model_batch *values;

    (void)state;
    values = value_of(0, 8, SKALD_EIO);
    stored(store, values);
    stored(store, event_of(9, SKALD_EIO));
    check(store, MODEL_RIGHT);
    assert_true(values->must && !values->gone);
}

// What was acknowledged is not left out.
static void test_values_that_are_missed(void **state)
{
    skald_store *store = begin();

    (void)state;
    (void)value_of(0, 8, SKALD_OK);
    stored(store, event_of(9, SKALD_EIO));
    check(store, MODEL_WRONG);
    assert_non_null(strstr(model.wrong, "the values are not as after any prefix"));

    store = begin();
    stored(store, event_of(9, SKALD_EIO));
    (void)value_of(0, 8, SKALD_EIO);
    (void)value_of(1, 5, SKALD_OK);
    check(store, MODEL_WRONG);
    assert_non_null(strstr(model.wrong, "the values are not as after any prefix"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubted_batches_written_over),
        cmocka_unit_test(test_values_written_over_by_values),
        cmocka_unit_test(test_doubted_values_that_are_there),
        cmocka_unit_test(test_values_that_are_missed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
