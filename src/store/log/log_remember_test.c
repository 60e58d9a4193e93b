// SPDX-License-Identifier: Apache-2.0
// The ids of a store that was opened a moment ago: known at once, loaded behind its back, whatever
// comes in between.
#include "store/log/bytes.h"
#include "store/log/engine.h"
#include "store/log/log_world.h"
#include "store/log/sealed_format.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

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

// half_loaded opens the store that was made with the ids of half of its segments in memory.
static ski_engine *half_loaded(world *w, const skald_store_options *options)
{
    ski_engine *engine = world_open(w, options);

    while (engine->ids_from > events / 2) assert_true(ski_remember_step(engine));
    assert_true(engine->ids_from > 1);
    return engine;
}

// reads_of appends one event and gives how often something was read for it.
static uint64_t reads_of(world *w, void *driver, uint64_t n)
{
    world_fail(w, CALL_PREAD, 1, 0, SKALD_OK); // counts
    assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
    return w->calls;
}

// What is loaded is not asked for on the disk, also while there is more to load.
static void test_half_loaded_is_half_asked(void **state)
{
    world *w = *state;
    skald_store_options cold = {.segment_bytes = 64 * 1024, .cache_bytes = SKALD_CACHE_OFF};
    ski_engine *engine = NULL;
    uint64_t reads[2] = {0};

    store_made(w);
    engine = world_open(w, &cold);
    (void)reads_of(w, engine, 10000); // where the stream stands
    for (uint64_t n = 10001; n <= 10010; n++) reads[0] += reads_of(w, engine, n);
    assert_true(reads[0] >= 8 * engine->sealed_count); // ten, but a block may be there by chance
    ski_store_log.close(engine);

    engine = half_loaded(w, &cold);
    (void)reads_of(w, engine, 20000);
    for (uint64_t n = 20001; n <= 20010; n++) reads[1] += reads_of(w, engine, n);
    assert_true(reads[1] > 0 && reads[1] <= reads[0] * 2 / 3);
    all_known(engine);
    ski_store_log.close(engine);
}

// A batch that is refused whatever its ids are is not sought in every index, event by event.
static void test_a_refused_batch_reads_little(void **state)
{
    enum { many = 40 };
    world *w = *state;
    skald_store_options cold = {.segment_bytes = 64 * 1024, .cache_bytes = SKALD_CACHE_OFF};
    skald_expect none = {.stream = SKALD_STR("stream-1"), .expected = SKALD_NONE};
    skald_event list[many];
    uint64_t reads[2] = {0};
    ski_engine *engine = NULL;
    world_batch mine;

    store_made(w);
    engine = world_open(w, &cold);
    while (ski_remember_due(engine)) assert_true(ski_remember_step(engine)); // and no filters
    for (int round = 0; round < 2; round++) {
        world_batch_make(&mine, 30000, data_len);
        for (uint64_t i = 0; i < many; i++) {
            list[i] = mine.event;
            list[i].id = world_id(30000 + i);
        }
        mine.batch.events = list;
        mine.batch.event_count = round ? many : 1;
        mine.batch.expect = &none;
        mine.batch.expect_count = 1;
        world_fail(w, CALL_PREAD, 1, 0, SKALD_OK); // counts
        assert_int_equal(ski_store_log.commit(engine, &mine.batch), SKALD_OK);
        assert_int_equal(mine.told, SKALD_ECONFLICT);
        reads[round] = w->calls;
    }
    assert_true(reads[0] > 0 && reads[1] <= 4 * reads[0]);
    ski_store_log.close(engine);
}

// Ids that only what is staged would have let fall out of the window are known when that fails.
static void test_what_is_taken_back_forgets_nothing(void **state)
{
    enum { before = 320, staged = 250 };
    world *w = *state;
    skald_store_options short_memory = {.segment_bytes = 64 * 1024, .dedup_events_max = 300};
    ski_engine *engine = world_open(w, &short_memory);
    world_batch *batches = ski_alloc(staged * sizeof *batches);
    uint64_t from = 0, to = 0;

    for (uint64_t n = 1; n <= before; n++) {
        assert_int_equal(world_append(engine, n, data_len), SKALD_OK);
    }
    for (uint64_t i = 0; i < staged; i++) {
        world_batch_make(&batches[i], before + 1 + i, data_len);
        assert_int_equal(ski_store_log.submit(engine, &batches[i].batch), SKALD_OK);
    }
    from = engine->sealed_last + 1;
    while (ski_seal_wanted(engine)) assert_true(ski_seal_next(engine));
    to = engine->sealed_last;
    assert_true(from < 200 && to >= 200 && to < before);
    world_fail(w, CALL_PWRITE, 1, 1, SKALD_EREADONLY); // the disk is full
    assert_true(step(engine));
    for (uint64_t i = 0; i < staged; i++) assert_int_equal(batches[i].told, SKALD_EREADONLY);
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    w->later_ns += UINT64_C(6) * 1000 * 1000 * 1000;
    assert_int_equal(world_append(engine, 40000, data_len), SKALD_OK); // there is room again
    for (uint64_t n = from; n <= to; n++) repeats(engine, n);
    assert_int_equal(ski_store_log.head(engine), before + 1);
    ski_free(batches);
    ski_store_log.close(engine);
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

// What fails once is what the keeper reads first; and the time is moved beside it.
typedef struct keeper_fails {
    pthread_t opener;
    atomic_uint failed;
    _Atomic uint64_t later_ns;
} keeper_fails;

static skald_err keeper_pread(void *context, ski_file *file, void *buf, size_t len, uint64_t offset,
                              size_t *ret_read)
{
    keeper_fails *fails = ((world *)context)->mine;

    if (!pthread_equal(pthread_self(), fails->opener) && atomic_fetch_add(&fails->failed, 1) == 0) {
        return SKALD_EIO;
    }
    return ski_kernel_system.pread(NULL, file, buf, len, offset, ret_read);
}

static uint64_t keeper_ns(void *context)
{
    const keeper_fails *fails = ((world *)context)->mine;

    return ski_kernel_system.monotonic_ns(NULL) + atomic_load(&fails->later_ns);
}

// keeper_rests: it waits, or is about to.
static bool keeper_rests(ski_engine *engine)
{
    bool rests = false;

    ski_mutex_lock(&engine->keeping);
    ski_mutex_lock(&engine->lock);
    rests = !ski_keep_wanted(engine) && engine->ids_until_ns;
    ski_mutex_unlock(&engine->lock);
    ski_mutex_unlock(&engine->keeping);
    return rests;
}

static bool all_loaded(ski_engine *engine)
{
    bool loaded = false;

    ski_mutex_lock(&engine->lock);
    loaded = !ski_remember_due(engine);
    ski_mutex_unlock(&engine->lock);
    return loaded;
}

// With threads: the keeper comes back to it by itself, when nothing else happens.
static void test_tried_again_by_itself(void **state)
{
    enum { looks_max = 10000 };
    world *w = *state;
    keeper_fails fails = {.opener = pthread_self()};
    ski_engine *engine = NULL;
    int looks = 0;

    store_made(w);
    w->mine = &fails;
    w->kernel.pread = keeper_pread;
    w->kernel.monotonic_ns = keeper_ns;
    w->kernel.spawn = ski_kernel_system.spawn;
    engine = world_open(w, &small);
    while (!keeper_rests(engine) && looks++ < looks_max) usleep(1000); // style: for tests
    assert_true(atomic_load(&fails.failed) > 0 && !all_loaded(engine));
    usleep(20 * 1000); // style: it may have been about to
    atomic_store(&fails.later_ns, UINT64_C(6) * 1000 * 1000 * 1000);
    for (looks = 0; !all_loaded(engine) && looks < looks_max; looks++) usleep(1000); // style: same
    assert_true(all_loaded(engine));
    ski_store_log.close(engine);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(test_known_before_they_are_loaded), WORLD(test_closed_while_loading),
        WORLD(test_damage_is_met_while_loading),  WORLD(test_failures_while_loading),
        WORLD(test_repeated_beside_the_loading),  WORLD(test_half_loaded_is_half_asked),
        WORLD(test_a_refused_batch_reads_little), WORLD(test_what_is_taken_back_forgets_nothing),
        WORLD(test_tried_again_by_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
