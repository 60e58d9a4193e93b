// SPDX-License-Identifier: Apache-2.0
// What erasing leaves in no file: named values that were replaced or removed, wherever they were,
// and types of which nothing is left.
#include "base/hash.h"
#include "store/log/log_compact_test_rig.h"

#include <unistd.h>

// value_set puts a named value; bytes NULL: it goes.
static void value_set(void *driver, const char *name, const char *bytes)
{
    skald_store_value value = {skald_str_of(name), {bytes, bytes ? strlen(bytes) : 0}};
    world_batch mine = {.tells = 0};

    mine.batch = (skald_store_batch){
        .values = &value, .value_count = 1, .done = world_done, .context = &mine};
    assert_int_equal(ski_store_log.commit(driver, &mine.batch), SKALD_OK);
    assert_int_equal(mine.told, SKALD_OK);
}

static void value_is(void *driver, const char *name, const char *bytes)
{
    skald_buf buf = {.bytes_max = 100};
    skald_err err = ski_store_log.value_get(driver, skald_str_of(name), &buf);

    assert_int_equal(err, bytes ? SKALD_OK : SKALD_ENOTFOUND);
    if (bytes) assert_true(skald_str_equal((skald_str){buf.ptr, buf.len}, skald_str_of(bytes)));
    skald_buf_fini(&buf);
}

// Values that were replaced or removed, and types of which nothing is left, are in no file.
static void test_erased_values_are_nowhere(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    asked a = {.only = 3};
    skald_store_compact_job job = job_of(&a, true);
    char command[1000];

    value_set(driver, "a", "words-once");
    value_set(driver, "b", "words-gone");
    value_set(driver, "c", "words-kept");
    for (uint64_t n = 1; n <= events; n++) {
        world_batch *mine = ski_alloc(sizeof *mine);

        world_batch_make(mine, n, data_len);
        if (n % streams == 3) mine->event.type = SKALD_STR("kind.wanting");
        assert_int_equal(ski_store_log.commit(driver, &mine->batch), SKALD_OK);
        ski_free(mine);
        if (n % 100 == 0) work_off(driver);
        if (n == events - 50) value_set(driver, "a", "words-now"); // state files have the first one
        if (n == events - 50) value_set(driver, "b", NULL);
    }
    assert_true(files_with(w, "words-once") > 1 && files_with(w, "words-gone") > 1);
    assert_true(files_with(w, "kind.wanting") > 3);
    compact(driver, &job);
    work_off(driver);
    assert_int_equal(files_with(w, "words-once"), 0);
    assert_int_equal(files_with(w, "words-gone"), 0);
    assert_int_equal(files_with(w, "kind.wanting"), 0);
    assert_true(files_with(w, "words-now") > 0 && files_with(w, "words-kept") > 1);
    verify_clean(driver);
    ski_store_log.close(driver);
    for (int made = 0; made < 2; made++) { // of the state file, and of segments alone
        driver = world_open(w, &small);
        value_is(driver, "a", "words-now");
        value_is(driver, "b", NULL);
        value_is(driver, "c", "words-kept");
        verify_clean(driver);
        ski_store_log.close(driver);
        (void)snprintf(command, sizeof command, "rm -f %s/*.ckpt %s/*.idx", w->path, w->path);
        assert_int_equal(system(command), 0);
    }
}

static uint64_t manifests_sum(const world *w)
{
    uint64_t sum = 0; // no CRC: a file that ends in its own has the same one as any other

    for (int copy = 0; copy < 2; copy++) {
        char path[400];
        uint8_t bytes[4096];
        FILE *file = NULL;

        (void)snprintf(path, sizeof path, "%s/MANIFEST-%d", w->path, copy);
        file = fopen(path, "rb");
        assert_non_null(file);
        sum = ski_hash64(sum, bytes, fread(bytes, 1, sizeof bytes, file));
        (void)fclose(file);
    }
    return sum;
}

// What was replaced and never got further than the segment being written is erased as well, though
// no event is dead; so is what full segments had at their end that have no index yet.
static void test_replaced_in_the_segment_being_written(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    asked a = {.only = streams};
    skald_store_compact_job job = job_of(&a, true);

    value_set(driver, "a", "words-once");
    value_set(driver, "b", "words-full");
    value_set(driver, "a", "words-now");
    append(driver, 1);
    assert_int_equal(files_with(w, "words-once"), 1);
    compact(driver, &job);
    work_off(driver);
    assert_int_equal(files_with(w, "words-once"), 0);
    for (uint64_t n = 2; state_of(driver).segments < 4; n++) append(driver, n); // nobody indexes
    assert_true(state_of(driver).segments_sealed < state_of(driver).segments - 1);
    value_set(driver, "b", "words-next");
    a.done = 0;
    job = job_of(&a, true);
    compact(driver, &job);
    work_off(driver);
    assert_int_equal(files_with(w, "words-full"), 0);
    a.done = 0;
    job = job_of(&a, true);
    compact(driver, &job); // nothing is in the segment being written: no further one is begun
    assert_int_equal(state_of(driver).segments, state_of(driver).segments_sealed + 1);
    assert_true(state_of(driver).segments <= 6);
    ski_store_log.close(driver);
    driver = world_open(w, &small);
    value_is(driver, "a", "words-now");
    value_is(driver, "b", "words-next");
    verify_clean(driver);
    ski_store_log.close(driver);
}

// Erasing in the background is done though nothing is hidden: values may have been replaced.
static void test_erasing_later_though_nothing_is_hidden(void **state)
{
    world *w = *state;
    skald_stream_meta meta = {.max_count = 7};
    skald_store *store = NULL;
    char path[400];
    bool done = false;

    (void)snprintf(path, sizeof path, "%s/seg-00000002.0.log", w->path);
    assert_int_equal(skald_store_open(w->url, &small, &store, NULL), SKALD_OK);
    for (int i = 0; i < 2; i++, meta.max_count = 0) { // said, and taken back
        assert_int_equal(skald_stream_meta_set(store, SKALD_STR(""), SKALD_STR("s"), &meta, NULL),
                         SKALD_OK);
    }
    assert_int_equal(skald_store_compact_later(store, true, NULL), SKALD_OK);
    for (int i = 0; i < 2000 && !done; i++) { // the segment that said so is left
        done = access(path, F_OK) == 0;
        (void)usleep(5000);
    }
    assert_true(done);
    skald_store_close(store);
}

// late is a job that replaces a value behind what compaction has sealed, and then has syncs fail.
typedef struct late {
    asked asked; // the first
    world *w;
    void *driver;
    uint64_t sum;
} late;

static bool late_dead(void *context, const skald_store_mark *mark)
{
    late *job = context;

    (void)mark;
    if (job->asked.asked++) return false;
    value_set(job->driver, "a", "words-now");
    job->sum = manifests_sum(job->w);
    world_fail(job->w, CALL_SYNC, 3, UINT64_MAX / 2, SKALD_EIO); // that of what replaced it
    return false;
}

// A sync that fails while values are left out: nothing lists the segment without them.
static void test_values_replaced_are_synced_first(void **state)
{
    world *w = *state;
    late last = {.w = w, .driver = world_open(w, &small)};
    asked none = {.only = streams};
    skald_store_compact_job job = job_of(&none, true);
    skald_error error = {0};

    append(last.driver, 1);
    value_set(last.driver, "a", "words-once");
    compact(last.driver, &job);
    assert_int_equal(files_with(w, "words-once"), 2); // the segment is sealed now
    job = job_of(&last.asked, true);
    job.dead = late_dead;
    assert_int_equal(ski_store_log.compact(last.driver, &job, &error), SKALD_EIO);
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    assert_true(w->stopped > 0);
    ski_store_log.close(last.driver);
    assert_true(files_with(w, "words-once") > 0);
    assert_int_equal(manifests_sum(w), last.sum); // nothing lists the segment without it yet
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(test_erased_values_are_nowhere),
        WORLD(test_replaced_in_the_segment_being_written),
        WORLD(test_values_replaced_are_synced_first),
        WORLD(test_erasing_later_though_nothing_is_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
