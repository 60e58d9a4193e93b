// SPDX-License-Identifier: Apache-2.0
// Segments that are answered from their index files: lookups, repetitions, what is lost or damaged
// and made again, and what happens when no index can be made.
#include "store/log/engine.h"
#include "store/log/log_world.h"
#include "store/log/sealed.h"

#include <sys/stat.h>
#include <unistd.h>

enum { data_len = 300, events = 2000 }; // about fourteen segments

static const skald_store_options small = {.segment_bytes = 64 * 1024};

static void work_off(void *driver)
{
    while (ski_store_log.step(driver)) continue;
}

static void *store_fill(world *w, const skald_store_options *options, uint64_t count)
{
    void *driver = world_open(w, options);

    for (uint64_t n = 1; n <= count; n++) {
        assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
        if (n % 100 == 0) work_off(driver);
    }
    work_off(driver);
    return driver;
}

static skald_store_state state_of(void *driver)
{
    skald_store_state state = {0};

    ski_store_log.state(driver, &state);
    return state;
}

static void path_of(const world *w, const char *name, char path[400])
{
    (void)snprintf(path, 400, "%s/%s", w->path, name);
}

static bool there(const world *w, const char *name)
{
    char path[400];

    path_of(w, name, path);
    return access(path, F_OK) == 0;
}

static void file_remove(const world *w, const char *name)
{
    char path[400];

    path_of(w, name, path);
    assert_int_equal(unlink(path), 0);
}

// file_spoil turns a bit in every block of a file but the last, which is its foot.
static void file_spoil(const world *w, const char *name)
{
    char path[400];
    FILE *file = NULL;
    long size = 0;

    path_of(w, name, path);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    for (long at = 100; at < size - 4096; at += 4096) {
        int byte = 0;

        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        byte = fgetc(file);
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    }
    (void)fclose(file);
}

static void verify_clean(void *driver)
{
    skald_verified verified = {0};
    skald_error error = {0};
    skald_err err = ski_store_log.verify(driver, NULL, &verified, &error);

    if (err) fail_msg("verify: %s", error.text);
}

static void everything_is_there(void *driver, uint64_t count)
{
    uint64_t version = 0;

    assert_int_equal(world_check(driver, 1, data_len), count);
    assert_int_equal(ski_store_log.stream_version(driver, SKALD_STR(""), SKALD_STR("stream-1"),
                                                  &version),
                     SKALD_OK);
    assert_int_equal(version, count);
    for (uint64_t n = 1; n <= count; n += 97) {
        uint64_t position = 0;

        assert_int_equal(ski_store_log.find_id(driver, SKALD_STR(""), world_id(n), &position),
                         SKALD_OK);
        assert_int_equal(position, n);
    }
    assert_int_equal(ski_store_log.find_id(driver, SKALD_STR("x"), world_id(1), &version),
                     SKALD_ENOTFOUND);
}

static void test_memory_is_given_back(void **state)
{
    world *w = *state;
    void *driver = store_fill(w, &small, events / 2);
    skald_store_state half = state_of(driver), full;

    ski_store_log.close(driver);
    driver = world_open(w, &small);
    for (uint64_t n = events / 2 + 1; n <= events; n++) {
        assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
        if (n % 100 == 0) work_off(driver);
    }
    work_off(driver);
    full = state_of(driver);
    assert_int_equal(full.segments_sealed, full.segments - 1);
    assert_int_equal(half.seals + full.seals, full.segments_sealed);
    assert_true(full.segments > 10);
    assert_true(full.directory_runs > 0);
    assert_true(full.index_file_bytes > 0 && full.filter_bytes > 0 && full.recent_bytes > 0);
    // What a hundred events cost while they are in memory, an index, and the ids.
    assert_true(full.index_bytes < half.index_bytes + 128 * 1024);
    everything_is_there(driver, events);
    verify_clean(driver);
    ski_store_log.close(driver);
    driver = world_open(w, &small);
    assert_int_equal(state_of(driver).index_rebuilds, 0);
    assert_int_equal(state_of(driver).segments_sealed, full.segments_sealed);
    work_off(driver);
    everything_is_there(driver, events);
    verify_clean(driver);
    ski_store_log.close(driver);
}

// Repetitions: of ids that recent knows, that it has forgotten, and of an id with other content.
static void test_ids_of_sealed_segments(void **state)
{
    world *w = *state;
    skald_store_options options = {.segment_bytes = 64 * 1024, .dedup_events_max = 1000};
    skald_expect expect = {SKALD_STR(""), SKALD_STR("stream-1"), SKALD_NONE, 0};
    void *driver = store_fill(w, &options, events);
    world_batch again;

    for (int round = 0; round < 2; round++) {
        world_batch_make(&again, events - 900, data_len);
        assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
        assert_int_equal(again.told, SKALD_OK);
        assert_true(again.batch.appended.repeated);
        assert_int_equal(again.event.position, events - 900);
        assert_int_equal(again.event.stream_version, events - 900);
        world_batch_make(&again, events - 900, data_len + 1);
        assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
        assert_int_equal(again.told, SKALD_EEXISTS);
        world_batch_make(&again, 7, data_len); // who names a version is answered for ever
        again.batch.expect = &expect;
        again.batch.expect_count = 1;
        assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
        assert_int_equal(again.told, SKALD_OK);
        assert_true(again.batch.appended.repeated);
        assert_int_equal(again.event.position, 7);
        world_batch_make(&again, 99999, data_len); // and told what is so
        again.batch.expect = &expect;
        again.batch.expect_count = 1;
        assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
        assert_int_equal(again.told, SKALD_ECONFLICT);
        assert_int_equal(again.batch.actual_version, events);
        ski_store_log.close(driver);
        driver = world_open(w, &options);
    }
    world_batch_make(&again, 7, data_len);
    assert_int_equal(ski_store_log.commit(driver, &again.batch), SKALD_OK);
    assert_int_equal(again.told, SKALD_OK);
    assert_false(again.batch.appended.repeated);
    assert_int_equal(again.event.stream_version, events + 1);
    ski_store_log.close(driver);
}

// What was made of segments is lost: it is made again, and says the same.
static void test_lost_files_are_made_again(void **state)
{
    world *w = *state;
    skald_store_options salvage = {.segment_bytes = 64 * 1024, .read_only = true};
    char command[600];
    void *driver = store_fill(w, &small, events);

    ski_store_log.close(driver);
    file_remove(w, "seg-00000001.0.idx");
    file_remove(w, "seg-00000005.0.idx");
    driver = world_open(w, &salvage);
    assert_int_equal(state_of(driver).index_rebuilds, 2);
    everything_is_there(driver, events);
    ski_store_log.close(driver);
    assert_false(there(w, "seg-00000005.0.idx"));
    driver = world_open(w, &small);
    assert_int_equal(state_of(driver).index_rebuilds, 2);
    assert_true(there(w, "seg-00000005.0.idx"));
    everything_is_there(driver, events);
    verify_clean(driver);
    ski_store_log.close(driver);
    (void)snprintf(command, sizeof command, "rm -f '%s'/dir-* '%s'/state-*", w->path, w->path);
    assert_int_equal(system(command), 0);
    driver = world_open(w, &small);
    everything_is_there(driver, events);
    work_off(driver);
    assert_true(state_of(driver).directory_runs > 0);
    verify_clean(driver);
    ski_store_log.close(driver);
}

// An index is damaged while it is used: who meets it is told, and then it is made again.
static void test_a_damaged_index_is_made_again(void **state)
{
    world *w = *state;
    void *driver = store_fill(w, &small, events);
    skald_verified verified = {0};
    skald_error error = {0};

    file_spoil(w, "seg-00000003.0.idx");
    assert_int_equal(ski_store_log.verify(driver, NULL, &verified, &error), SKALD_ECORRUPT);
    assert_non_null(strstr(error.text, "seg-00000003.0.idx"));
    assert_int_equal(verified.events, events);
    assert_true(ski_store_log.step(driver));
    work_off(driver);
    assert_int_equal(state_of(driver).index_rebuilds, 1);
    everything_is_there(driver, events);
    verify_clean(driver);
    ski_store_log.close(driver);
    file_spoil(w, "seg-00000002.0.idx");
    driver = world_open(w, &small); // recent ids are filled from it
    assert_int_equal(state_of(driver).index_rebuilds, 1);
    everything_is_there(driver, events);
    ski_store_log.close(driver);
}

// Whoever asks what a damaged index would answer is answered from the segment: the index is made
// again first, in memory where the store is only read.
static void test_a_damaged_index_is_not_in_the_way(void **state)
{
    world *w = *state;
    skald_store_options looking = {.segment_bytes = 64 * 1024, .read_only = true};
    void *driver = store_fill(w, &small, events);

    ski_store_log.close(driver);
    for (int read_only = 0; read_only < 2; read_only++) {
        driver = world_open(w, read_only ? &looking : &small);
        for (int no = 2; no < 7; no++) {
            char name[32];

            (void)snprintf(name, sizeof name, "seg-0000000%d.0.idx", no);
            file_spoil(w, name);
        }
        everything_is_there(driver, events);
        assert_in_range(state_of(driver).index_rebuilds, 5, 10);
        ski_store_log.close(driver);
        assert_false(there(w, "seg-00000002.0.idx.tmp"));
    }
    driver = world_open(w, &small);
    everything_is_there(driver, events);
    ski_store_log.close(driver);
}

// An index whose segment is damaged is not made in silence: the store says what is lost.
static void test_a_lost_index_of_a_damaged_segment(void **state)
{
    world *w = *state;
    skald_store_options salvage = {.segment_bytes = 64 * 1024, .read_only = true};
    skald_read read = {.page_bytes_max = 4096};
    skald_store_page page = {0};
    skald_error error = {0};
    char path[400];
    FILE *file = NULL;
    void *driver = store_fill(w, &small, events);

    ski_store_log.close(driver);
    path_of(w, "seg-00000002.0.log", path);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 20000, SEEK_SET), 0);
    assert_int_equal(fputc(1, file), 1);
    (void)fclose(file);
    // With the index the store opens: who reads the range is told, the rest is served.
    driver = world_open(w, &small);
    assert_int_equal(ski_store_log.verify(driver, NULL, &(skald_verified){0}, &error),
                     SKALD_ECORRUPT);
    assert_non_null(strstr(error.text, "seg-00000002.0.log"));
    assert_int_equal(world_append(driver, events + 1, data_len), SKALD_OK);
    ski_store_log.close(driver);
    file_remove(w, "seg-00000002.0.idx");
    world_refuses(w, &small, SKALD_ECORRUPT, "seg-00000002.0.log");
    driver = world_open(w, &salvage);
    for (int refused = 0;;) {
        skald_err err = ski_store_log.read(driver, &read, &page, &error);

        assert_true(!err || (err == SKALD_ECORRUPT && ++refused < 3));
        read.after = page.position_next;
        if (!err && page.end) {
            assert_int_equal(refused, 1);
            break;
        }
        ski_store_log.page_free(driver, &page);
    }
    ski_store_log.page_free(driver, &page);
    ski_store_log.close(driver);
}

// While no index can be made appends go on, up to a limit; then they are refused, until one can.
static void test_indexes_cannot_be_made(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    uint64_t n = 1;
    char path[400];

    // A directory stands where every index is to be written.
    for (unsigned no = 1; no < 40; no++) {
        char name[SKI_SEALED_NAME + 4];

        ski_sealed_name(name, no, 0);
        memcpy(name + strlen(name), ".tmp", 5);
        path_of(w, name, path);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    while (world_append(driver, n, data_len) == SKALD_OK) assert_true(++n < 100000);
    assert_int_equal(world_append(driver, n, data_len), SKALD_EREADONLY);
    assert_int_equal(state_of(driver).segments_sealed, 0);
    assert_int_equal(state_of(driver).segments, SKI_UNSEALED_FAILING_MAX + 1);
    assert_true(state_of(driver).read_only);
    assert_int_equal(world_check(driver, 1, data_len), n - 1);
    for (unsigned no = 1; no < 40; no++) {
        char name[SKI_SEALED_NAME + 4];

        ski_sealed_name(name, no, 0);
        memcpy(name + strlen(name), ".tmp", 5);
        path_of(w, name, path);
        assert_int_equal(rmdir(path), 0);
    }
    w->later_ns += UINT64_C(60) * 1000 * 1000 * 1000;
    work_off(driver);
    assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
    assert_int_equal(world_check(driver, 1, data_len), n);
    verify_clean(driver);
    ski_store_log.close(driver);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(test_memory_is_given_back),
        WORLD(test_ids_of_sealed_segments),
        WORLD(test_lost_files_are_made_again),
        WORLD(test_a_damaged_index_is_made_again),
        WORLD(test_a_damaged_index_is_not_in_the_way),
        WORLD(test_a_lost_index_of_a_damaged_segment),
        WORLD(test_indexes_cannot_be_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
