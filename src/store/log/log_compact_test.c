// SPDX-License-Identifier: Apache-2.0
// Segments rewritten and emptied: what stays true, what is gone from the disk, who may read and
// append meanwhile, at what pace, and on a full disk.
#include "store/log/cache.h"
#include "store/log/engine.h"
#include "store/log/log_compact_test_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

// left reads everything and counts what is there; nothing of what is dead may be.
static uint64_t left(void *driver, const asked *a, bool backwards)
{
    skald_read read = {.page_bytes_max = 64 * 1024, .backwards = backwards};
    uint64_t count = 0;
    bool end = false;

    while (!end) {
        skald_store_page page = {0};
        skald_error error = {0};

        if (ski_store_log.read(driver, &read, &page, &error)) fail_msg("read: %s", error.text);
        for (size_t i = 0; i < page.count; i++) {
            asked copy = *a;

            assert_false(is_dead(&copy, &(skald_store_mark){.position = page.events[i].position}));
            assert_true(skald_uuid_equal(page.events[i].id, world_id(page.events[i].position)));
        }
        count += page.count;
        if (backwards)
            read.before = page.position_next;
        else
            read.after = page.position_next;
        end = page.end;
        ski_store_log.page_free(driver, &page);
    }
    return count;
}

static void versions_stand(void *driver, uint64_t count)
{
    for (uint64_t i = 0; i < streams; i++) {
        char room[32];
        uint64_t version = 0;

        assert_int_equal(
            ski_store_log.stream_version(driver, SKALD_STR(""), stream_of(i, room), &version), 0);
        assert_int_equal(version, count / streams);
    }
}

static bool stream_counts(void *context, const skald_counted *stream)
{
    (void)stream;
    ++*(uint64_t *)context;
    return true;
}

static void streams_stand(void *driver)
{
    uint64_t count = 0;

    assert_int_equal(ski_store_log.streams_each(driver, SKALD_STR(""), (skald_str){0}, NULL,
                                                stream_counts, &count),
                     SKALD_OK);
    assert_int_equal(count, streams);
}

static void test_what_is_worth_it(void **state)
{
    world *w = *state;
    void *driver = fill(w, events);
    asked a = {.below = 3};
    skald_store_compact_job job = job_of(&a, false);

    compact(driver, &job);
    assert_int_equal(job.events_erased, 0); // three tenths are dead
    assert_true(a.asked > 0);
    a.below = 5;
    a.done = 0;
    job = job_of(&a, false);
    compact(driver, &job);
    assert_true(job.events_erased > events / 3 && job.events_erased < events / 2);
    assert_true(job.bytes_freed > 100000);
    assert_int_equal(state_of(driver).events_erased, job.events_erased);
    assert_int_equal(state_of(driver).bytes_freed, job.bytes_freed);
    assert_true(state_of(driver).compactions > 3);
    assert_int_equal(state_of(driver).segments_dropped, 0);
    versions_stand(driver, events);
    verify_clean(driver);
    ski_store_log.close(driver);
    driver = world_open(w, &small);
    verify_clean(driver);
    versions_stand(driver, events);
    streams_stand(driver);
    ski_store_log.close(driver);
}

static void test_erased_bytes_are_nowhere(void **state)
{
    world *w = *state;
    void *driver = fill(w, events);
    asked a = {.only = 3};
    skald_store_compact_job job = job_of(&a, true);

    assert_true(files_with(w, "secret") > 3);
    compact(driver, &job);
    assert_int_equal(job.events_erased, events / streams);
    work_off(driver);
    assert_int_equal(files_with(w, "secret"), 0);
    assert_int_equal(left(driver, &a, false), events - events / streams);
    assert_int_equal(left(driver, &a, true), events - events / streams);
    versions_stand(driver, events);
    streams_stand(driver);
    verify_clean(driver);
    a.done = 0;
    job = job_of(&a, true);
    compact(driver, &job);
    assert_int_equal(job.events_erased, 0);
    append(driver, events + 1);
    ski_store_log.close(driver);
    assert_int_equal(files_with(w, "secret"), 0);
    driver = world_open(w, &small);
    assert_int_equal(left(driver, &a, false), events - events / streams + 1);
    verify_clean(driver);
    ski_store_log.close(driver);
}

// hours has time go by.
static void hours(world *w, uint64_t count)
{
    w->later_ns += count * 3600 * 1000 * 1000 * 1000;
}

// What is known of the dead decides what is read: dead is asked of no event elsewhere.
static void test_only_what_may_be_dead_is_read(void **state)
{
    world *w = *state;
    void *driver = fill(w, events);
    skald_store_beginning beginnings[streams] = {{{0}, {0}, 0, 0}};
    char rooms[streams][32];
    asked a = {.below = 5};
    skald_store_compact_job job = job_of(&a, false);

    for (uint64_t i = 0; i < streams; i++) {
        beginnings[i] =
            (skald_store_beginning){SKALD_STR(""), stream_of(i, rooms[i]), UINT64_MAX, 0};
    }
    job.known = true;
    job.beginnings = beginnings;
    compact(driver, &job);
    assert_int_equal(a.asked, 0); // nothing is dead
    job.beginning_count = 3;
    compact(driver, &job);
    assert_int_equal(a.asked, 0); // three tenths
    for (uint64_t i = 0; i < 5; i++) beginnings[i].version_before = 2;
    job.beginning_count = 5;
    compact(driver, &job);
    assert_int_equal(a.asked, 0); // one version of each
    for (uint64_t i = 0; i < 5; i++) beginnings[i].version_before = 51;
    compact(driver, &job);
    // In the second half of the log nothing can be dead, whatever dead would say.
    assert_true(a.asked > events / 4 && a.asked < events * 3 / 4);
    assert_true(job.events_erased > events / 8 && job.events_erased < events * 3 / 8);
    verify_clean(driver);
    versions_stand(driver, events);
    ski_store_log.close(driver);
}

static void test_floor_age_and_newest(void **state)
{
    world *w = *state;
    void *driver = fill(w, events);
    skald_store_beginning old = {SKALD_STR(""), SKALD_STR("stream-1"), 0, 0};
    asked a = {.last = 1};
    skald_store_compact_job job = job_of(&a, false);

    job.known = true;
    job.beginnings = &old;
    job.floor = events / 2;
    compact(driver, &job);
    assert_true(a.asked > events / 4 && a.asked < events * 3 / 4); // up to the floor
    a.asked = a.done = 0;
    job.floor = 0;
    job.newest_type = SKALD_STR("no.such.type");
    compact(driver, &job);
    assert_int_equal(a.asked, 0);
    job.newest_type = SKALD_STR("test.happened");
    job.beginning_count = 1;
    old.recorded_before = INT64_MAX; // all of that stream: a tenth
    compact(driver, &job);
    assert_true(a.asked > events / 4); // by the type everything may be dead, but what was just read
    a.asked = a.done = 0;
    compact(driver, &job);
    assert_int_equal(a.asked, 0); // it was read, and too little was dead
    a.done = 0;
    hours(w, 5);
    compact(driver, &job);
    assert_int_equal(a.asked, 0);
    hours(w, 2);
    compact(driver, &job);
    assert_true(a.asked > events / 2); // as all may be dead it is looked at again before a day is
    a.asked = a.done = 0;
    job.known = false;
    a.last = 0;
    a.below = 5;
    compact(driver, &job);
    assert_true(job.events_erased > events / 3);
    a.asked = a.done = 0;
    a.last = 1;
    job.known = true;
    compact(driver, &job);
    assert_true(a.asked > events / 4); // what was rewritten has not been looked at
    ski_store_log.close(driver);
}

static void test_a_day_until_it_is_looked_at_again(void **state)
{
    world *w = *state;
    void *driver = fill(w, events);
    skald_store_beginning beginnings[6];
    char rooms[6][32];
    asked a = {.last = 1};
    skald_store_compact_job job = job_of(&a, false);

    for (uint64_t i = 0; i < 6; i++) {
        beginnings[i] =
            (skald_store_beginning){SKALD_STR(""), stream_of(i, rooms[i]), UINT64_MAX, 0};
    }
    job.known = true;
    job.beginnings = beginnings;
    job.beginning_count = 6;
    compact(driver, &job);
    assert_true(a.asked > events / 2);
    a.asked = a.done = 0;
    hours(w, 20);
    compact(driver, &job);
    assert_int_equal(a.asked, 0);
    hours(w, 5);
    compact(driver, &job);
    assert_true(a.asked > events / 2);
    ski_store_log.close(driver);
}

// Asking an index for many streams is paced as well, and a stop ends it; for too many the segment
// is read instead.
static void test_many_questions_to_an_index(void **state)
{
    enum { batches = 12, of_batch = 500, few = 260, many = 400, asked_bytes = 256 * 4096 };
    static const skald_store_options large = {.segment_bytes = 4 * 1024 * 1024};
    world *w = *state;
    void *driver = world_open(w, &large);
    skald_event *all = ski_alloc_zeroed(of_batch, sizeof *all);
    skald_store_beginning *beginnings = ski_alloc_zeroed(many, sizeof *beginnings);
    char(*rooms)[32] = ski_alloc_zeroed(many, sizeof *rooms);
    world_batch *mine = ski_alloc(sizeof *mine);
    asked a = {.below = 0};
    skald_store_compact_job job = job_of(&a, false);

    for (uint64_t b = 0; b < batches; b++) {
        world_batch_make(mine, b, 40);
        for (uint64_t i = 0; i < of_batch; i++) {
            all[i] = mine->event;
            all[i].id = world_id(b * of_batch + i + 1);
        }
        mine->batch.events = all;
        mine->batch.event_count = of_batch;
        assert_int_equal(ski_store_log.commit(driver, &mine->batch), SKALD_OK);
        work_off(driver);
    }
    assert_int_equal(state_of(driver).segments_sealed, 1);
    for (uint64_t i = 0; i < many; i++) {
        int len = snprintf(rooms[i], sizeof rooms[i], "none-%llu", (unsigned long long)i);

        beginnings[i] =
            (skald_store_beginning){SKALD_STR(""), {rooms[i], (size_t)len}, UINT64_MAX, 0};
    }
    job.known = true;
    job.beginnings = beginnings;
    job.beginning_count = few;
    compact(driver, &job);
    assert_int_equal(a.done, asked_bytes);
    assert_int_equal(a.asked, 0);
    a.done = 0;
    a.stop_at = 1;
    compact(driver, &job); // it ends there, and that is no error
    assert_int_equal(a.done, asked_bytes);
    a.stop_at = a.done = 0;
    job.beginning_count = many;
    compact(driver, &job);
    assert_true(a.asked > of_batch);
    ski_free(all);
    ski_free(beginnings);
    ski_free(rooms);
    ski_free(mine);
    ski_store_log.close(driver);
}

// What a trim takes is in what a compaction says of itself.
static void test_what_is_trimmed_is_counted(void **state)
{
    static const skald_retention newest = {.max_events = 10, .policy = SKALD_RETAIN_LIMIT};
    world *w = *state;
    skald_compacted compacted = {0};
    skald_store *store = NULL;
    char url[400];

    ski_store_log.close(fill(w, events));
    (void)snprintf(url, sizeof url, "log:%s", w->path);
    assert_int_equal(skald_store_open(url, &small, &store, NULL), SKALD_OK);
    assert_int_equal(skald_retention_set(store, &newest, NULL), SKALD_OK);
    assert_int_equal(skald_store_compact(store, NULL, &compacted, NULL), SKALD_OK);
    assert_in_range(compacted.events_erased, events / 2, events);
    assert_in_range(compacted.bytes_freed, events, UINT64_MAX);
    skald_store_close(store);
}

// everything that is made of segments is lost, and made again of what is left of them.
static void test_all_can_be_made_again(void **state)
{
    world *w = *state;
    void *driver = fill(w, events);
    skald_store_batch batch = {.values = &(skald_store_value){SKALD_STR("v"), SKALD_STR("kept")},
                               .value_count = 1,
                               .done = world_done};
    world_batch mine = {.tells = 0};
    asked a = {.below = streams};
    skald_store_compact_job job = job_of(&a, true);
    skald_buf buf = {.bytes_max = 100};
    uint64_t kept = 0;
    char command[1000];

    batch.context = &mine;
    assert_int_equal(ski_store_log.commit(driver, &batch), SKALD_OK);
    assert_int_equal(ski_store_log.trim(driver, events, &kept, NULL), SKALD_OK);
    assert_true(kept > events / 2 && kept <= events);
    assert_true(state_of(driver).segments_dropped > 3);
    compact(driver, &job);
    assert_int_equal(left(driver, &a, false), 0);
    ski_store_log.close(driver);
    (void)snprintf(command, sizeof command, "rm %s/*.idx %s/*.ckpt; rm -f %s/*.run", w->path,
                   w->path, w->path);
    assert_int_equal(system(command), 0);
    driver = world_open(w, &small);
    versions_stand(driver, events);
    streams_stand(driver);
    assert_int_equal(ski_store_log.value_get(driver, SKALD_STR("v"), &buf), SKALD_OK);
    assert_true(skald_str_equal((skald_str){buf.ptr, buf.len}, SKALD_STR("kept")));
    skald_buf_fini(&buf);
    assert_int_equal(ski_store_log.head(driver), events);
    append(driver, events + 1);
    assert_int_equal(ski_store_log.head(driver), events + 1);
    verify_clean(driver);
    ski_store_log.close(driver);
}

static void test_it_stops_and_goes_on(void **state)
{
    world *w = *state;
    void *driver = fill(w, events);
    asked a = {.below = 5, .stop_at = 1};
    uint64_t erased = 0;
    int rounds = 0;

    for (; erased < events / 2 && rounds < 100; rounds++) {
        skald_store_compact_job job = job_of(&a, true);

        a.done = 0;
        compact(driver, &job);
        erased += job.events_erased;
        a.stop_at += 20000;
        verify_clean(driver);
    }
    assert_int_equal(erased, events / 2);
    assert_true(rounds > 5);
    ski_store_log.close(driver);
}

static void test_on_a_full_disk(void **state)
{
    world *w = *state;
    void *driver = fill(w, events);
    asked a = {.below = 5};
    uint64_t erased = 0;

    for (uint64_t call = 1; call < 60; call += 5) {
        skald_store_compact_job job = job_of(&a, true);
        skald_error error = {0};

        a.done = 0;
        world_fail(w, CALL_PWRITE, call, UINT64_MAX / 2, SKALD_EREADONLY);
        skald_err err = ski_store_log.compact(driver, &job, &error);
        assert_true(!err || err == SKALD_EREADONLY || err == SKALD_EIO);
        erased += job.events_erased;
        world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
        assert_true(left(driver, &(asked){.only = streams}, false) == events - erased);
        verify_clean(driver);
    }
    versions_stand(driver, events);
    append(driver, events + 1);
    ski_store_log.close(driver);
}

static void test_damage_is_left_alone(void **state)
{
    world *w = *state;
    void *driver = fill(w, events);
    asked a = {.below = 5};
    skald_store_compact_job job = job_of(&a, true);
    skald_error error = {0};
    char path[400];
    FILE *file = NULL;

    (void)snprintf(path, sizeof path, "%s/seg-00000002.0.log", w->path);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 9000, SEEK_SET), 0);
    assert_int_equal(fwrite("rotten", 1, 6, file), 6);
    (void)fclose(file);
    assert_int_equal(ski_store_log.compact(driver, &job, &error), SKALD_ECORRUPT);
    assert_non_null(strstr(error.text, "seg-00000002.0.log"));
    assert_true(job.events_erased > events / 4 && job.events_erased < events / 2);
    assert_int_equal(access(path, F_OK), 0);
    versions_stand(driver, events);
    ski_store_log.close(driver);
}

// The clock goes on by a millisecond whenever it is asked.
static uint64_t hurried_ns(void *context)
{
    world *w = context;

    return ski_kernel_system.monotonic_ns(NULL) +
           __atomic_add_fetch(&w->later_ns, 1000 * 1000, __ATOMIC_RELAXED);
}

static void test_not_faster_than_it_may(void **state)
{
    world *w = *state;
    asked a = {.below = 5};
    skald_store_compact_job job = job_of(&a, true);
    uint64_t began = 0;
    void *driver = NULL;

    w->kernel.spawn = ski_kernel_system.spawn;
    w->kernel.join = ski_kernel_system.join;
    w->kernel.monotonic_ns = hurried_ns;
    driver = fill(w, 300);
    job.bytes_per_s = 1000 * 1000;
    began = w->kernel.monotonic_ns(w);
    compact(driver, &job);
    assert_int_equal(job.events_erased, 150);
    assert_true(w->kernel.monotonic_ns(w) - began >= a.done * 1000);
    assert_true(a.done > 150000);
    ski_store_log.close(driver);
}

typedef struct reader {
    void *driver;
    atomic_bool over;
    atomic_uint rounds;
} reader;

static void *reader_run(void *argument)
{
    reader *r = argument;

    while (!atomic_load(&r->over)) {
        skald_read read = {.page_bytes_max = 16 * 1024, .backwards = atomic_load(&r->rounds) % 2};
        bool end = false;

        while (!end) {
            skald_store_page page = {0};

            assert_int_equal(ski_store_log.read(r->driver, &read, &page, NULL), SKALD_OK);
            for (size_t i = 0; i < page.count; i++) {
                assert_true(skald_uuid_equal(page.events[i].id, world_id(page.events[i].position)));
            }
            if (read.backwards)
                read.before = page.position_next;
            else
                read.after = page.position_next;
            end = page.end;
            ski_store_log.page_free(r->driver, &page);
        }
        versions_stand(r->driver, events);
        atomic_fetch_add(&r->rounds, 1);
    }
    return NULL;
}

static void test_readers_meanwhile(void **state)
{
    world *w = *state;
    reader r = {0};
    pthread_t threads[2];

    w->kernel.spawn = ski_kernel_system.spawn;
    w->kernel.join = ski_kernel_system.join;
    r.driver = fill(w, events);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, reader_run, &r), 0);
    }
    for (uint64_t below = 1; below < streams; below++) {
        asked a = {.below = below};
        skald_store_compact_job job = job_of(&a, true);
        unsigned rounds = atomic_load(&r.rounds);

        compact(r.driver, &job);
        assert_int_equal(job.events_erased, events / streams);
        while (atomic_load(&r.rounds) < rounds + 1) (void)usleep(100);
    }
    atomic_store(&r.over, true);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    verify_clean(r.driver);
    assert_int_equal(left(r.driver, &(asked){.below = streams - 1}, false), events / streams);
    ski_store_log.close(r.driver);
}

// Events that are compacted are read once and do not come into the cache. What does is a piece of
// each segment's old index and of its new one; events would be two pieces more of each.
static void test_events_stay_out_of_the_cache(void **state)
{
    world *w = *state;
    void *driver = fill(w, events);
    skald_store_state before = state_of(driver), after;
    asked a = {.below = streams / 2};
    skald_store_compact_job job = job_of(&a, true);
    uint64_t piece = SKI_PIECE + sizeof(ski_piece);

    compact(driver, &job);
    after = state_of(driver);
    assert_int_equal(job.events_erased, events / 2);
    assert_true(before.segments_sealed > 5);
    assert_true(after.cache_bytes > before.cache_bytes);
    assert_true(after.cache_bytes - before.cache_bytes <= (2 * before.segments_sealed + 2) * piece);
    ski_store_log.close(driver);
}

static skald_err sync_quickly(void *context, ski_file *file)
{
    (void)context;
    (void)file;
    return SKALD_OK;
}

static skald_err rename_no_index(void *context, const char *from, const char *to)
{
    size_t len = strlen(to);

    (void)context;
    if (len > 4 && strcmp(to + len - 4, ".idx") == 0) return SKALD_EIO;
    return ski_kernel_system.rename(ski_kernel_system.context, from, to);
}

// A segment that is listed in its new generation, but could not be taken for want of memory, is
// rewritten again; when that fails too the files that are listed stay.
static void test_what_is_listed_is_not_removed(void **state)
{
    enum { few = 250 };
    world *w = *state;
    uint64_t allocations = 0;
    int listed = 0;
    char command[400];

    w->kernel.sync = sync_quickly;
    for (uint64_t at = 0; at <= allocations; at++) {
        asked a = {.below = streams / 2};
        skald_store_compact_job job = job_of(&a, false);
        void *driver = fill(w, few);
        uint64_t before = ski_alloc_count();

        ski_alloc_fail_at(at); // 0: all of it works, and is counted
        skald_err err = ski_store_log.compact(driver, &job, NULL);
        ski_alloc_fail_at(0);
        if (!at) allocations = ski_alloc_count() - before;
        (void)snprintf(command, sizeof command, "test -e %s/seg-00000001.1.log", w->path);
        listed += err && system(command) == 0;
        w->kernel.rename = rename_no_index;
        a.done = 0;
        err = ski_store_log.compact(driver, &job, NULL);
        w->kernel.rename = ski_kernel_system.rename;
        ski_store_log.close(driver);
        driver = world_open(w, &small);
        verify_clean(driver);
        ski_store_log.close(driver);
        (void)snprintf(command, sizeof command, "rm -rf %s", w->path);
        assert_int_equal(system(command), 0);
    }
    assert_true(listed > 0);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(test_what_is_worth_it),
        WORLD(test_erased_bytes_are_nowhere),
        WORLD(test_what_is_trimmed_is_counted),
        WORLD(test_all_can_be_made_again),
        WORLD(test_it_stops_and_goes_on),
        WORLD(test_on_a_full_disk),
        WORLD(test_damage_is_left_alone),
        WORLD(test_not_faster_than_it_may),
        WORLD(test_readers_meanwhile),
        WORLD(test_only_what_may_be_dead_is_read),
        WORLD(test_floor_age_and_newest),
        WORLD(test_a_day_until_it_is_looked_at_again),
        WORLD(test_many_questions_to_an_index),
        WORLD(test_events_stay_out_of_the_cache),
        WORLD(test_what_is_listed_is_not_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
