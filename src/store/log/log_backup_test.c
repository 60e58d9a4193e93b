// SPDX-License-Identifier: Apache-2.0
// Backup while the log goes on; salvage of what damage has left; scrubbing, and what is known of
// damage that is found while the store is in use.
#include "store/log/engine.h"
#include "store/log/log_world.h"

#include <sys/stat.h>
#include <unistd.h>

enum { data_len = 300 };

static const skald_store_options small = {.segment_bytes = 64 * 1024,
                                          .scrub_bytes_per_s = 64 * 1024};

static void work_off(void *driver)
{
    while (ski_store_log.step(driver)) continue;
}

static void append_many(void *driver, uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n <= to; n++) {
        assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
        if (n % 100 == 0) work_off(driver);
    }
    work_off(driver);
}

static skald_store_state state_of(void *driver)
{
    skald_store_state state = {0};

    ski_store_log.state(driver, &state);
    return state;
}

static void value_put(void *driver, const char *name, const char *bytes)
{
    skald_store_value value = {skald_str_of(name), skald_str_of(bytes)};
    world_batch *mine = ski_alloc_zeroed(1, sizeof *mine);

    mine->batch = (skald_store_batch){
        .values = &value, .value_count = 1, .done = world_done, .context = mine};
    assert_int_equal(ski_store_log.commit(driver, &mine->batch), SKALD_OK);
    assert_int_equal(mine->told, SKALD_OK);
    ski_free(mine);
}

static void value_is(void *driver, const char *name, const char *bytes)
{
    skald_buf buf = {.bytes_max = 100};

    assert_int_equal(ski_store_log.value_get(driver, skald_str_of(name), &buf), SKALD_OK);
    assert_int_equal(buf.len, strlen(bytes));
    assert_memory_equal(buf.ptr, bytes, buf.len);
    skald_buf_fini(&buf);
}

// The copy is opened as the world's store from now on.
static void world_turn(world *w, const char *path)
{
    assert_true(snprintf(w->path, sizeof w->path, "%s", path) < (int)sizeof w->path);
}

static void copy_path(const world *w, char path[300])
{
    (void)snprintf(path, 300, "%.199s/copy", w->base);
}

static void verify_clean(void *driver)
{
    skald_verified verified = {0};
    skald_error error = {0};
    skald_err err = ski_store_log.verify(driver, NULL, &verified, &error);

    if (err) fail_msg("verify: %s", error.text);
}

static skald_backed_up backup(void *driver, const char *path)
{
    static const skald_backup_options plain;
    skald_backed_up done = {0};
    skald_error error = {0};
    skald_err err = ski_store_log.backup(driver, path, &plain, &done, &error);

    if (err) fail_msg("backup: %s", error.text);
    return done;
}

// names_of counts the files of a directory, LOCK left out.
static void names_visit(void *visitor, const char *name)
{
    *(unsigned *)visitor += strcmp(name, "LOCK") != 0;
}

static unsigned names_of(const char *path)
{
    unsigned count = 0;

    assert_int_equal(ski_kernel_system.list(NULL, path, names_visit, &count), SKALD_OK);
    return count;
}

static void test_a_backup_is_the_store_at_that_moment(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    skald_backed_up done;
    char path[300];

    copy_path(w, path);
    value_put(driver, "checkpoint", "early");
    append_many(driver, 1, 900);
    value_put(driver, "checkpoint", "then");
    done = backup(driver, path);
    assert_int_equal(done.position_last, 900);
    assert_true(done.bytes_linked && done.bytes_linked < done.bytes);
    value_put(driver, "checkpoint", "later");
    append_many(driver, 901, 1500);
    ski_store_log.close(driver);

    world_turn(w, path);
    driver = world_open(w, &small);
    assert_int_equal(state_of(driver).index_rebuilds, 0);
    assert_int_equal(world_check(driver, 1, data_len), 900);
    value_is(driver, "checkpoint", "then");
    verify_clean(driver);
    append_many(driver, 901, 1100); // it goes on by itself, in files of its own
    assert_int_equal(world_check(driver, 1, data_len), 1100);
    ski_store_log.close(driver);
    (void)snprintf(w->path, sizeof w->path, "%s/store", w->base);
    driver = world_open(w, &small);
    assert_int_equal(world_check(driver, 1, data_len), 1500);
    value_is(driver, "checkpoint", "later");
    ski_store_log.close(driver);
}

static void test_without_links_it_is_copied(void **state)
{
    world *w = *state;
    void *driver = NULL;
    skald_backed_up done;
    char path[300];

    copy_path(w, path);
    w->kernel.link = NULL;
    driver = world_open(w, &small);
    append_many(driver, 1, 600);
    done = backup(driver, path);
    assert_int_equal(done.bytes_linked, 0);
    ski_store_log.close(driver);
    world_turn(w, path);
    driver = world_open(w, &small);
    assert_int_equal(world_check(driver, 1, data_len), 600);
    verify_clean(driver);
    ski_store_log.close(driver);
}

static void test_a_backup_of_nothing_and_of_a_store_that_is_only_read(void **state)
{
    static const skald_store_options reading = {.segment_bytes = 64 * 1024, .read_only = true};
    world *w = *state;
    void *driver = world_open(w, &small);
    char path[300];

    copy_path(w, path);
    assert_int_equal(backup(driver, path).position_last, 0);
    append_many(driver, 1, 300);
    ski_store_log.close(driver);
    driver = world_open(w, &reading);
    (void)snprintf(path, sizeof path, "%.199s/other", w->base);
    assert_int_equal(backup(driver, path).position_last, 300);
    ski_store_log.close(driver);
    world_turn(w, path);
    driver = world_open(w, &small);
    assert_int_equal(world_check(driver, 1, data_len), 300);
    ski_store_log.close(driver);
}

static bool proceed_not(void *context, uint64_t done, uint64_t all)
{
    (void)context;
    (void)done;
    (void)all;
    return false;
}

static void test_a_backup_that_fails_leaves_nothing(void **state)
{
    static const skald_backup_options plain, ended = {.progress = proceed_not};
    world *w = *state;
    void *driver = world_open(w, &small);
    skald_backed_up done = {0};
    skald_error error = {0};
    char path[300], inside[320];

    copy_path(w, path);
    append_many(driver, 1, 600);
    world_fail(w, CALL_PWRITE, 1, 2, SKALD_EREADONLY); // the first is the name of who holds it
    assert_int_equal(ski_store_log.backup(driver, path, &plain, &done, &error), SKALD_EREADONLY);
    assert_true(strstr(error.text, path) != NULL);
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    assert_int_equal(names_of(path), 0);
    world_fail(w, CALL_SYNC, 1, 1, SKALD_EIO); // of the copy: the store itself goes on
    assert_int_equal(ski_store_log.backup(driver, path, &plain, &done, &error), SKALD_EIO);
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    assert_int_equal(w->stopped, 0);
    assert_int_equal(ski_store_log.backup(driver, path, &ended, &done, &error), SKALD_ECLOSED);
    assert_int_equal(names_of(path), 0);

    (void)snprintf(inside, sizeof inside, "%s/letter", path);
    assert_int_equal(mkdir(inside, 0700), 0);
    assert_int_equal(ski_store_log.backup(driver, path, &plain, &done, &error), SKALD_EEXISTS);
    assert_int_equal(ski_store_log.backup(driver, w->path, &plain, &done, &error), SKALD_EEXISTS);
    assert_int_equal(names_of(path), 1);
    assert_int_equal(rmdir(inside), 0);
    (void)backup(driver, path);
    ski_store_log.close(driver);
}

// Values erased while a backup is made: once, when a file of this kind is about to be taken.
typedef struct meanwhile {
    void *driver;
    const char *kind; // NULL: it was done
    bool put;
} meanwhile;

static bool dead_none(void *context, const skald_store_mark *mark)
{
    meanwhile *m = context;

    (void)mark;
    if (!m->put) value_put(m->driver, "reply", "second"); // behind what compaction has sealed
    m->put = true;
    return false;
}

static bool proceed_on(void *context, uint64_t done, uint64_t all)
{
    (void)context;
    (void)done;
    (void)all;
    return true;
}

static void erase(meanwhile *m)
{
    skald_store_compact_job job = {
        .dead = dead_none, .proceed = proceed_on, .context = m, .erase = true};
    skald_error error = {0};

    if (ski_store_log.compact(m->driver, &job, &error)) fail_msg("compact: %s", error.text);
}

static skald_err link_meanwhile(void *context, const char *path, const char *name)
{
    meanwhile *m = ((world *)context)->mine;

    if (m->kind && strstr(path, m->kind)) {
        m->kind = NULL;
        erase(m);
    }
    return ski_kernel_system.link(NULL, path, name);
}

// backup_while_erasing backs up a store that has the value "first", which is replaced and erased
// meanwhile; the copy has one of the two, with its state file and without.
static void backup_while_erasing(world *w, const char *kind, const char *has)
{
    meanwhile m = {.put = true};
    char path[300], command[400];

    copy_path(w, path);
    w->mine = &m;
    w->kernel.link = link_meanwhile;
    m.driver = world_open(w, &small);
    append_many(m.driver, 1, 10);
    value_put(m.driver, "reply", "first"); // compaction comes to it when it has been replaced
    erase(&m); // one state file, and an empty segment that is written to
    m.put = false;
    m.kind = kind;
    (void)backup(m.driver, path);
    assert_true(m.put && !m.kind);
    work_off(m.driver);
    (void)snprintf(command, sizeof command, "! grep -q first %s/*", w->path);
    assert_int_equal(system(command), 0);
    ski_store_log.close(m.driver);
    world_turn(w, path);
    (void)snprintf(command, sizeof command, "rm -f %s/*.ckpt", path);
    for (int stated = 1; stated >= 0; stated--) {
        m.driver = world_open(w, &small);
        value_is(m.driver, "reply", has);
        assert_int_equal(world_check(m.driver, 1, data_len), 10);
        ski_store_log.close(m.driver);
        assert_int_equal(system(command), 0);
    }
}

static void test_erased_before_the_state_is_taken(void **state)
{
    backup_while_erasing(*state, ".ckpt", "second");
}

static void test_erased_before_a_segment_is_taken(void **state)
{
    backup_while_erasing(*state, "seg-00000001.0.log", "first");
}

static const char first_name[] = "seg-00000001.0.log", third_name[] = "seg-00000003.0.log";

typedef struct lost_seen {
    uint64_t positions, ranges;
} lost_seen;

static void lost_note(void *context, const skald_damage *damage)
{
    lost_seen *seen = context;

    assert_non_null(damage->file);
    seen->positions += damage->position_last - damage->position_first + 1;
    seen->ranges++;
}

// events_left reads everything and counts; every event is right.
static uint64_t events_left(void *driver, uint64_t *ret_last)
{
    skald_read read = {.page_bytes_max = 64 * 1024};
    uint64_t count = 0;
    bool end = false;
    char data[data_len + 1];

    while (!end) {
        skald_store_page page = {0};
        skald_err err = ski_store_log.read(driver, &read, &page, NULL);

        assert_true(!err || err == SKALD_ECORRUPT);
        for (size_t i = 0; i < page.count && !err; i++, count++) {
            *ret_last = page.events[i].position;
            assert_true(skald_uuid_equal(page.events[i].id, world_id(*ret_last)));
            assert_true(
                skald_str_equal(page.events[i].data, world_data(*ret_last, data_len, data)));
            assert_int_equal(page.events[i].stream_version, *ret_last);
        }
        read.after = page.position_next;
        end = page.end && !err;
        if (!err) ski_store_log.page_free(driver, &page);
    }
    return count;
}

static void salvage_of(world *w, const char *path, lost_seen *seen, skald_salvaged *ret_done)
{
    static const skald_store_options reading = {.segment_bytes = 64 * 1024, .read_only = true};
    skald_salvage_options options = {.lost = lost_note, .context = seen};
    skald_error error = {0};
    void *driver = world_open(w, &reading);
    skald_err err = ski_store_log.salvage(driver, path, &options, ret_done, &error);

    if (err) fail_msg("salvage: %s", error.text);
    ski_store_log.close(driver);
}

static void test_salvage_keeps_positions(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    skald_salvaged done = {0};
    lost_seen seen = {0};
    uint64_t last = 0, left = 0, version = 0;
    char path[300];

    copy_path(w, path);
    append_many(driver, 1, 600);
    value_put(driver, "checkpoint", "here");
    ski_store_log.close(driver);
    world_flip(w, first_name, 9000, 0x55);
    world_flip(w, third_name, 50, 0x55); // the header of a segment
    salvage_of(w, path, &seen, &done);
    assert_true(seen.ranges == done.ranges_lost && seen.positions == done.positions_lost);
    assert_true(done.positions_lost > 50 && done.position_last == 600);
    assert_int_equal(done.events + done.positions_lost, 600);

    world_turn(w, path);
    driver = world_open(w, &small);
    left = events_left(driver, &last);
    assert_int_equal(left, done.events);
    assert_int_equal(last, 600);
    value_is(driver, "checkpoint", "here");
    verify_clean(driver);
    assert_int_equal(ski_store_log.stream_version(driver, SKALD_STR(""), SKALD_STR("stream-1"),
                                                  &version),
                     SKALD_OK);
    assert_int_equal(version, 600);
    append_many(driver, 601, 700);
    ski_store_log.close(driver);
    driver = world_open(w, &small);
    assert_int_equal(events_left(driver, &last), left + 100);
    assert_int_equal(last, 700);
    verify_clean(driver);
    ski_store_log.close(driver);
}

static void test_salvage_of_a_damaged_end(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    skald_salvaged done = {0};
    lost_seen seen = {0};
    uint64_t last = 0;
    char path[300];

    copy_path(w, path);
    append_many(driver, 1, 100); // all in the first segment
    ski_store_log.close(driver);
    world_flip(w, first_name, 4096 + 99 * 520L, 0x55); // in one of the last events
    world_refuses(w, &small, SKALD_ECORRUPT, "damaged");
    salvage_of(w, path, &seen, &done);
    assert_true(done.positions_lost >= 1 && done.position_last >= 100);
    world_turn(w, path);
    driver = world_open(w, &small);
    assert_int_equal(events_left(driver, &last), done.events);
    assert_int_equal(world_append(driver, 500, data_len), SKALD_OK);
    assert_int_equal(state_of(driver).head, done.position_last + 1);
    ski_store_log.close(driver);
}

static void test_damage_that_a_reader_finds_is_known(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    uint64_t last = 0;
    skald_store_state found;

    append_many(driver, 1, 600);
    assert_int_equal(state_of(driver).damages, 0);
    world_flip(w, first_name, 9000, 0x55);
    for (int again = 0; again < 2; again++) { // once only
        assert_int_equal(events_left(driver, &last), 599);
        found = state_of(driver);
        assert_int_equal(found.damages, 1);
    }
    assert_string_equal(found.damage[0].file, first_name);
    assert_true(found.damage[0].offset <= 9000 &&
                9000 < found.damage[0].offset + found.damage[0].length);
    assert_int_equal(found.damage[0].position_first, found.damage[0].position_last);
    assert_false(found.read_only);
    assert_int_equal(world_append(driver, 601, data_len), SKALD_OK);
    ski_store_log.close(driver);
}

static void test_scrubbing_finds_it_first(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    skald_store_state found;
    uint64_t began = 0;

    append_many(driver, 1, 600);
    found = state_of(driver);
    assert_int_equal(found.scrub_bytes, 0);
    world_flip(w, third_name, 9000, 0x55);
    world_flip(w, "seg-00000002.0.idx", 300, 0x55);
    for (unsigned second = 0; second < 60; second++) {
        w->later_ns += UINT64_C(1000000000);
        began = state_of(driver).scrub_bytes;
        work_off(driver);
        found = state_of(driver);
        assert_true(found.scrub_bytes - began <= 256 * 1024); // one piece, however small the rate
    }
    assert_int_equal(found.scrub_segments, found.segments_sealed);
    assert_int_equal(found.damages, 1);
    assert_string_equal(found.damage[0].file, third_name);
    assert_int_equal(found.index_rebuilds, 1);
    w->later_ns += UINT64_C(1000000000) * 3600; // an hour later nothing is due, a day later all
    work_off(driver);
    assert_int_equal(state_of(driver).scrub_segments, found.scrub_segments);
    w->later_ns += UINT64_C(1000000000) * 24 * 3600;
    work_off(driver);
    w->later_ns += UINT64_C(1000000000) * 60;
    work_off(driver);
    assert_true(state_of(driver).scrub_segments > found.scrub_segments);
    assert_int_equal(state_of(driver).damages, 1);
    ski_store_log.close(driver);
}

static bool part_count(void *context, const skald_store_part *part)
{
    unsigned *counts = context;

    assert_true(part->bytes > 0 && part->file != NULL);
    counts[part->kind]++;
    return true;
}

static void test_the_parts(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    unsigned counts[3] = {0};

    append_many(driver, 1, 2000);
    assert_int_equal(ski_store_log.parts(driver, part_count, counts), SKALD_OK);
    assert_int_equal(counts[SKALD_PART_SEGMENT], state_of(driver).segments);
    assert_int_equal(counts[SKALD_PART_RUN], state_of(driver).directory_runs);
    assert_int_equal(counts[SKALD_PART_STATE], 2);
    ski_store_log.close(driver);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(test_a_backup_is_the_store_at_that_moment),
        WORLD(test_without_links_it_is_copied),
        WORLD(test_a_backup_of_nothing_and_of_a_store_that_is_only_read),
        WORLD(test_a_backup_that_fails_leaves_nothing),
        WORLD(test_erased_before_the_state_is_taken),
        WORLD(test_erased_before_a_segment_is_taken),
        WORLD(test_salvage_keeps_positions),
        WORLD(test_salvage_of_a_damaged_end),
        WORLD(test_damage_that_a_reader_finds_is_known),
        WORLD(test_scrubbing_finds_it_first),
        WORLD(test_the_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
