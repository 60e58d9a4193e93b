// SPDX-License-Identifier: Apache-2.0
// Segments rewritten and emptied: what stays true, what is gone from the disk, who may read and
// append meanwhile, at what pace, and on a full disk.
#include "base/hash.h"
#include "store/log/engine.h"
#include "store/log/log_world.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { data_len = 300, events = 1000, streams = 10 };

static const skald_store_options small = {.segment_bytes = 64 * 1024};

static void work_off(void *driver)
{
    while (ski_store_log.step(driver)) continue;
}

static skald_store_state state_of(void *driver)
{
    skald_store_state state = {0};

    ski_store_log.state(driver, &state);
    return state;
}

static skald_str stream_of(uint64_t n, char room[32])
{
    return (skald_str){room, (size_t)snprintf(room, 32, "stream-%llu",
                                              (unsigned long long)(n % streams))};
}

// append is of event n, whose data say "secret" when its stream is number 3.
static void append(void *driver, uint64_t n)
{
    world_batch *mine = ski_alloc(sizeof *mine);
    char room[32];

    world_batch_make(mine, n, data_len);
    mine->event.stream = stream_of(n, room);
    if (n % streams == 3) memcpy(mine->data + 20, "secret", 6);
    assert_int_equal(ski_store_log.commit(driver, &mine->batch), SKALD_OK);
    assert_int_equal(mine->told, SKALD_OK);
    ski_free(mine);
}

static void *fill(world *w, uint64_t count)
{
    void *driver = world_open(w, &small);

    for (uint64_t n = 1; n <= count; n++) {
        append(driver, n);
        if (!w->kernel.spawn && n % 100 == 0) work_off(driver);
    }
    if (!w->kernel.spawn) work_off(driver);
    return driver;
}

// What a job does: the events of streams below `below` are dead, up to `last`.
typedef struct asked {
    uint64_t below, only, last, asked, stop_at;
    uint64_t done;
} asked;

static bool is_dead(void *context, const skald_store_mark *mark)
{
    asked *a = context;
    uint64_t number = mark->position % streams;

    a->asked++;
    if (a->last && mark->position > a->last) return false;
    return a->only ? number == a->only : number < a->below;
}

static bool goes_on(void *context, uint64_t done, uint64_t all)
{
    asked *a = context;

    assert_true(done <= all);
    assert_true(done >= a->done);
    a->done = done;
    return !a->stop_at || done < a->stop_at;
}

static skald_store_compact_job job_of(asked *a, bool erase)
{
    return (
        skald_store_compact_job){.dead = is_dead, .proceed = goes_on, .context = a, .erase = erase};
}

static void compact(void *driver, skald_store_compact_job *job)
{
    skald_error error = {0};

    if (ski_store_log.compact(driver, job, &error)) fail_msg("compact: %s", error.text);
}

static void verify_clean(void *driver)
{
    skald_verified verified = {0};
    skald_error error = {0};

    if (ski_store_log.verify(driver, NULL, &verified, &error)) fail_msg("verify: %s", error.text);
}

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

    assert_int_equal(ski_store_log.streams_each(driver, SKALD_STR(""), (skald_str){0},
                                                (skald_str){0}, stream_counts, &count),
                     SKALD_OK);
    assert_int_equal(count, streams);
}

// files_with counts the files of the store's directory that have some bytes.
static int files_with(const world *w, const char *bytes)
{
    DIR *dir = opendir(w->path);
    int found = 0;

    assert_non_null(dir);
    for (struct dirent *item = readdir(dir); item; item = readdir(dir)) {
        char path[600];
        char *text = ski_alloc(1 << 21);
        size_t len = 0;
        FILE *file = NULL;

        (void)snprintf(path, sizeof path, "%s/%s", w->path, item->d_name);
        file = fopen(path, "rb");
        if (file) len = fread(text, 1, 1 << 21, file);
        assert_true(len < 1 << 21);
        found += memmem(text, len, bytes, strlen(bytes)) != NULL;
        if (file) (void)fclose(file);
        ski_free(text);
    }
    (void)closedir(dir);
    return found;
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

static uint32_t manifests_sum(const world *w)
{
    uint32_t sum = 0;

    for (int copy = 0; copy < 2; copy++) {
        char path[400];
        uint8_t bytes[4096];
        FILE *file = NULL;

        (void)snprintf(path, sizeof path, "%s/MANIFEST-%d", w->path, copy);
        file = fopen(path, "rb");
        assert_non_null(file);
        sum = ski_crc32c(sum, bytes, fread(bytes, 1, sizeof bytes, file));
        (void)fclose(file);
    }
    return sum;
}

// A sync that fails while values are left out: nothing lists the segment without them.
static void test_values_replaced_are_synced_first(void **state)
{
    world *w = *state;
    void *driver = fill(w, events);
    asked a = {.only = 3};
    skald_store_compact_job job = job_of(&a, true);
    skald_error error = {0};
    uint32_t sum = 0;

    value_set(driver, "a", "words-once");
    compact(driver, &job); // all but the value: the segment it is in is sealed now
    assert_int_equal(files_with(w, "words-once"), 2);
    value_set(driver, "a", "words-now");
    sum = manifests_sum(w);
    world_fail(w, CALL_SYNC, 4, UINT64_MAX / 2, SKALD_EIO); // before a manifest
    a.done = 0;
    assert_int_equal(ski_store_log.compact(driver, &job, &error), SKALD_EIO);
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    assert_true(w->stopped > 0);
    ski_store_log.close(driver);
    assert_true(files_with(w, "words-once") > 0);
    assert_int_equal(manifests_sum(w), sum); // nothing lists the segment without it yet
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
    hours(w, 25);
    compact(driver, &job);
    assert_true(a.asked > events / 2); // a day later it is looked at again
    ski_store_log.close(driver);
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

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(test_what_is_worth_it),
        WORLD(test_erased_bytes_are_nowhere),
        WORLD(test_all_can_be_made_again),
        WORLD(test_it_stops_and_goes_on),
        WORLD(test_on_a_full_disk),
        WORLD(test_damage_is_left_alone),
        WORLD(test_not_faster_than_it_may),
        WORLD(test_readers_meanwhile),
        WORLD(test_erased_values_are_nowhere),
        WORLD(test_values_replaced_are_synced_first),
        WORLD(test_only_what_may_be_dead_is_read),
        WORLD(test_floor_age_and_newest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
