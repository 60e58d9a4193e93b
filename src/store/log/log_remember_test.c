// SPDX-License-Identifier: Apache-2.0
// The ids of a store that was opened a moment ago: known at once, loaded behind its back, whatever
// comes in between.
#include "store/log/bytes.h"
#include "store/log/log_world.h"
#include "store/log/sealed_format.h"

#include <pthread.h>

enum { data_len = 300, events = 1600, spread = 130 }; // about eleven segments

static const skald_store_options small = {.segment_bytes = 64 * 1024};

static bool step(void *driver)
{
    return ski_store_log.step(driver);
}

// store_made has events 1 to events, and is closed.
static void store_made(world *w)
{
    void *driver = world_open(w, &small);
    world_batch made;

    for (uint64_t n = 1; n <= events; n++) {
        world_batch_make(&made, n, data_len);
        made.batch.durability = SKALD_WRITTEN; // closing syncs once for all
        assert_int_equal(ski_store_log.commit(driver, &made.batch), SKALD_OK);
        while (n % 100 == 0 && step(driver)) continue;
    }
    while (step(driver)) continue;
    ski_store_log.close(driver);
}

static skald_store_state state_of(void *driver)
{
    skald_store_state state = {0};

    ski_store_log.state(driver, &state);
    return state;
}

static void repeats(void *driver, uint64_t n)
{
    world_batch again;

    world_batch_make(&again, n, data_len);
    assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
    assert_int_equal(again.told, SKALD_OK);
    assert_true(again.batch.appended.repeated);
    assert_int_equal(again.event.position, n);
}

// all_known: ids from everywhere are found, with other content refused, and looked up.
static void all_known(void *driver)
{
    for (uint64_t n = 1; n <= events; n += spread) {
        world_batch other;
        uint64_t position = 0;

        repeats(driver, n);
        world_batch_make(&other, n, data_len + 1);
        assert_int_equal(ski_store_log.commit(driver, &other.batch), SKALD_OK);
        assert_int_equal(other.told, SKALD_EEXISTS);
        assert_int_equal(ski_store_log.find_id(driver, SKALD_STR(""), world_id(n), &position),
                         SKALD_OK);
        assert_int_equal(position, n);
    }
}

// ids_spoil turns a bit in every block of ids of an index.
static void ids_spoil(const world *w, const char *name)
{
    uint8_t foot[SKI_BLOCK];
    char path[400];
    FILE *file = NULL;
    uint32_t first = 0, count = 0;

    (void)snprintf(path, sizeof path, "%s/%s", w->path, name);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -SKI_BLOCK, SEEK_END), 0);
    assert_int_equal(fread(foot, 1, sizeof foot, file), sizeof foot);
    first = ski_get_u32(foot + 56 + 24 * SKI_SECTION_IDS);
    count = ski_get_u32(foot + 60 + 24 * SKI_SECTION_IDS);
    assert_true(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(fseek(file, (long)(first + i) * SKI_BLOCK + 100, SEEK_SET), 0);
        int byte = fgetc(file);

        assert_int_equal(fseek(file, -1, SEEK_CUR), 0);
        assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    }
    (void)fclose(file);
}

// At once after opening, and after every piece of loading: what was there is known, what was not is
// taken.
static void test_known_before_they_are_loaded(void **state)
{
    world *w = *state;
    uint64_t n = 10000, before = 0;
    void *driver = NULL;

    store_made(w);
    driver = world_open(w, &small);
    before = state_of(driver).recent_bytes;
    do {
        all_known(driver);
        assert_int_equal(world_append(driver, n++, data_len), SKALD_OK);
    } while (step(driver));
    assert_true(state_of(driver).recent_bytes > before);
    all_known(driver);
    // Then what is new is taken without a look at the disk, but for one id in thousands.
    world_fail(w, CALL_PREAD, 1, 0, SKALD_OK); // counts
    for (int i = 0; i < 20; i++) {
        assert_int_equal(world_append(driver, n++, data_len), SKALD_OK);
    }
    assert_true(w->calls < 8);
    ski_store_log.close(driver);
}

// Closed in the middle of it, again and again, and never loaded at all when it is only read.
static void test_closed_while_loading(void **state)
{
    world *w = *state;
    skald_store_options looking = {.segment_bytes = 64 * 1024, .read_only = true};
    uint64_t position = 0;
    void *driver = NULL;

    store_made(w);
    for (int steps = 0; steps < 5; steps++) {
        driver = world_open(w, &small);
        for (int i = 0; i < steps; i++) assert_true(step(driver));
        repeats(driver, 3);
        ski_store_log.close(driver);
    }
    driver = world_open(w, &looking);
    assert_int_equal(ski_store_log.find_id(driver, SKALD_STR(""), world_id(3), &position),
                     SKALD_OK);
    assert_int_equal(position, 3);
    ski_store_log.close(driver);
}

// A damaged index is made again by who meets it first: an append, or the loading.
static void test_damage_is_met_while_loading(void **state)
{
    world *w = *state;
    skald_verified verified = {0};
    skald_error error = {0};
    void *driver = NULL;

    store_made(w);
    ids_spoil(w, "seg-00000005.0.idx");
    driver = world_open(w, &small);
    assert_int_equal(state_of(driver).index_rebuilds, 0);
    repeats(driver, 2);
    assert_int_equal(state_of(driver).index_rebuilds, 1);
    ski_store_log.close(driver);
    ids_spoil(w, "seg-00000006.0.idx");
    driver = world_open(w, &small);
    while (step(driver) || state_of(driver).index_rebuilds == 0) continue;
    assert_int_equal(state_of(driver).index_rebuilds, 1);
    all_known(driver);
    assert_int_equal(ski_store_log.verify(driver, NULL, &verified, &error), SKALD_OK);
    ski_store_log.close(driver);
}

// The disk or the memory fails while they are loaded: appends are told only if they need what
// cannot be had, and it is tried again.
static void test_failures_while_loading(void **state)
{
    world *w = *state;
    void *driver = NULL;
    uint64_t bytes = 0;

    store_made(w);
    driver = world_open(w, &small);
    ski_alloc_fail_at(1);
    assert_false(step(driver));
    ski_alloc_fail_at(0);
    repeats(driver, 5);
    world_fail(w, CALL_PREAD, 1, 100000, SKALD_EIO);
    w->later_ns += UINT64_C(6) * 1000 * 1000 * 1000;
    assert_false(step(driver));
    assert_int_equal(world_append(driver, 20000, data_len), SKALD_EIO);
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    assert_int_equal(world_append(driver, 20001, data_len), SKALD_OK);
    repeats(driver, 5);
    bytes = state_of(driver).recent_bytes;
    w->later_ns += UINT64_C(6) * 1000 * 1000 * 1000;
    while (step(driver)) continue;
    assert_true(state_of(driver).recent_bytes > bytes);
    all_known(driver);
    ski_store_log.close(driver);
}

typedef struct publisher {
    void *driver;
    uint64_t first;
} publisher;

static void *publish_again(void *context)
{
    const publisher *mine = context;

    for (uint64_t n = mine->first; n <= events; n += spread) repeats(mine->driver, n);
    return NULL;
}

// With threads: publishers repeat what was stored while it is loaded.
static void test_repeated_beside_the_loading(void **state)
{
    world *w = *state;

    store_made(w);
    w->kernel.spawn = ski_kernel_system.spawn;
    for (int round = 0; round < 3; round++) {
        void *driver = world_open(w, &small);
        publisher publishers[2] = {{driver, 1}, {driver, 2}};
        pthread_t threads[2];

        for (int i = 0; i < 2; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, publish_again, &publishers[i]), 0);
        }
        for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(ski_store_log.head(driver), events);
        ski_store_log.close(driver);
    }
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(test_known_before_they_are_loaded), WORLD(test_closed_while_loading),
        WORLD(test_damage_is_met_while_loading),  WORLD(test_failures_while_loading),
        WORLD(test_repeated_beside_the_loading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
