// SPDX-License-Identifier: Apache-2.0
// Large groups, which are written past the kernel's cache: pages filled up with PAD, who follows
// the newest events, file systems that cannot, disks that fail or are full, and crashes in between.
// Stepped.
#include "store/log/engine.h"
#include "store/log/log_world.h"

enum {
    group_events = 10,
    event_bytes = 3000
}; // more than a quarter of a segment, and less than a half

static const skald_store_options small = {.segment_bytes = 64 * 1024};

// group_append appends a group of events, the first one of number from; returns what they are told.
static skald_err group_append(void *driver, uint64_t from, size_t count)
{
    world_batch *batches = ski_alloc(count * sizeof *batches);
    skald_err told = SKALD_OK;

    for (size_t i = 0; i < count; i++) {
        world_batch_make(&batches[i], from + i, event_bytes);
        assert_int_equal(ski_store_log.submit(driver, &batches[i].batch), SKALD_OK);
    }
    assert_true(ski_store_log.step(driver));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(batches[i].tells, 1);
        if (i) assert_int_equal(batches[i].told, told);
        told = batches[i].told;
    }
    ski_free(batches);
    return told;
}

static void verify_clean(void *driver, uint64_t events)
{
    skald_verified verified = {0};
    skald_error error = {0};

    if (ski_store_log.verify(driver, NULL, &verified, &error)) fail_msg("verify: %s", error.text);
    assert_int_equal(verified.events, events);
    assert_int_equal(verified.damaged, 0);
}

static bool at_page(const ski_engine *engine)
{
    return engine->tail.end % SKI_DIRECT_BYTES == 0;
}

// later lets the reading of the newest events be forgotten.
static void later(world *w)
{
    w->later_ns += UINT64_C(2) * 1000 * 1000 * 1000;
}

static void test_small_and_large_groups(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    const ski_engine *engine = driver;
    uint64_t n = 1;

    for (int round = 0; round < 12; round++) { // over several segments
        for (int i = 0; i < round; i++) assert_int_equal(world_append(driver, n++, event_bytes), 0);
        assert_int_equal(group_append(driver, n, group_events), SKALD_OK);
        n += group_events;
        while (ski_store_log.step(driver)) continue;
    }
    assert_true(engine->segment_count > 3 && engine->sealed_count + 1 == engine->segment_count);
    assert_int_equal(world_check(driver, 1, event_bytes), n - 1);
    verify_clean(driver, n - 1);
    ski_store_log.close(driver);

    driver = world_open(w, &small);
    assert_int_equal(world_check(driver, 1, event_bytes), n - 1);
    ski_store_log.close(driver);
}

static void test_pages_are_filled_up(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    ski_engine *engine = driver;

    assert_int_equal(world_append(driver, 1, 100), SKALD_OK);
    assert_false(at_page(engine));
    assert_null(engine->direct.file);
    assert_int_equal(group_append(driver, 2, 6), SKALD_OK);
    assert_true(at_page(engine));
    assert_non_null(engine->direct.file);
    assert_true(engine->segments[0]->uncached);
    // The next one begins where that has ended: no page is filled up before it.
    uint64_t end = engine->tail.end;
    assert_int_equal(group_append(driver, 8, 6), SKALD_OK);
    assert_true(at_page(engine));
    assert_true(engine->tail.end - end < 6 * (event_bytes + 400) + 2 * SKI_DIRECT_BYTES);
    // Too little room for it in the segment, with what is to follow: packed, and in the next one.
    assert_int_equal(group_append(driver, 14, group_events), SKALD_OK);
    assert_int_equal(engine->segment_count, 2);
    assert_int_equal(world_check(driver, 2, event_bytes), 12 + group_events);
    ski_store_log.close(driver);
}

// Who pads needs room for a frame: where less is left of the page it fills up the next one, too.
static void test_every_place_in_a_page(void **state)
{
    ski_tail tail = {0};

    (void)state;
    for (tail.end = SKI_SEGMENT_HEADER; tail.end < 2 * SKI_SEGMENT_HEADER; tail.end += 8) {
        size_t pad = ski_direct_pad(&tail);

        assert_int_equal((tail.end + pad) % SKI_DIRECT_BYTES, 0);
        assert_true(pad ? pad >= SKI_FRAME_BYTES_MIN : tail.end == SKI_SEGMENT_HEADER);
        assert_true(pad < SKI_DIRECT_BYTES + SKI_FRAME_BYTES_MIN);
    }
}

static void test_not_while_somebody_follows(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    ski_engine *engine = driver;

    assert_int_equal(world_append(driver, 1, event_bytes), SKALD_OK);
    assert_int_equal(world_check(driver, 1, event_bytes), 1);
    assert_int_equal(group_append(driver, 2, 6), SKALD_OK);
    assert_false(at_page(engine));
    assert_null(engine->direct.file);
    later(w);
    assert_int_equal(group_append(driver, 8, 6), SKALD_OK);
    assert_true(at_page(engine));
    assert_int_equal(world_check(driver, 1, event_bytes), 13);
    ski_store_log.close(driver);
}

static void test_a_file_system_that_cannot(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    ski_engine *engine = driver;

    // It cannot be opened: packed, through the cache, and not asked again in this segment.
    world_fail(w, CALL_OPEN, 1, 1, SKALD_EIO);
    assert_int_equal(group_append(driver, 1, 6), SKALD_OK);
    assert_false(at_page(engine));
    assert_int_equal(group_append(driver, 7, 6), SKALD_OK);
    assert_int_equal(w->calls, 1);
    assert_false(engine->segments[0]->uncached);
    // It can be opened and not be written to: the same bytes go the other way.
    world_fail(w, CALL_NONE, 0, 0, 0);
    while (engine->segment_count == 1) {
        assert_int_equal(world_append(driver, ski_store_log.head(driver) + 1, event_bytes), 0);
    }
    world_fail(w, CALL_PWRITE, 2, 1, SKALD_EIO); // behind the PAD
    uint64_t n = ski_store_log.head(driver) + 1;
    assert_int_equal(group_append(driver, n, group_events), SKALD_OK);
    assert_int_equal(w->calls, 3);
    assert_true(engine->direct.refused && !engine->direct.file);
    world_fail(w, CALL_NONE, 0, 0, 0);
    assert_int_equal(world_check(driver, 1, event_bytes), n + group_events - 1);
    ski_store_log.close(driver);
}

// What a file system does with files that were opened to go past the cache.
enum { paths_max = 8 };
typedef struct past_cache {
    ski_file *files[paths_max];
    skald_err write_err, read_err; // OK: it can
    uint64_t writes, reads;        // that came by
} past_cache;

static skald_err past_open(void *context, const char *path, unsigned flags, ski_file **ret_file,
                           skald_error *reterr_error)
{
    past_cache *past = ((world *)context)->mine;
    int i = 0;

    SKALD_TRY(ski_kernel_system.open(NULL, path, flags, ret_file, reterr_error));
    if (!(flags & SKI_OPEN_DIRECT) || (flags & SKI_OPEN_NEW)) return SKALD_OK; // spares: not asked
    while (i < paths_max && past->files[i]) i++;
    assert_true(i < paths_max);
    past->files[i] = *ret_file;
    return SKALD_OK;
}

static bool past_is(past_cache *past, const ski_file *file, bool forget)
{
    for (int i = 0; i < paths_max; i++) {
        if (past->files[i] != file) continue;
        if (forget) past->files[i] = NULL;
        return true;
    }
    return false;
}

static void past_close(void *context, ski_file *file)
{
    (void)past_is(((world *)context)->mine, file, true);
    ski_kernel_system.close(NULL, file);
}

static skald_err past_pwrite(void *context, ski_file *file, const void *bytes, size_t len,
                             uint64_t offset)
{
    past_cache *past = ((world *)context)->mine;

    if (past_is(past, file, false)) {
        past->writes++;
        if (past->write_err) return past->write_err;
    }
    return ski_kernel_system.pwrite(NULL, file, bytes, len, offset);
}

static skald_err past_pread(void *context, ski_file *file, void *buf, size_t len, uint64_t offset,
                            size_t *ret_read)
{
    past_cache *past = ((world *)context)->mine;

    if (past_is(past, file, false)) {
        past->reads++;
        if (past->read_err) return past->read_err;
    }
    return ski_kernel_system.pread(NULL, file, buf, len, offset, ret_read);
}

// It can be opened past the cache, and then not written or not read so: every segment is sealed
// through the cache, and nothing is said to be damaged.
static void sealed_all_the_same(world *w, skald_err write_err, skald_err read_err)
{
    past_cache past = {.write_err = write_err, .read_err = read_err};
    skald_store_state is = {0};
    ski_engine *engine = NULL;
    void *driver = NULL;
    uint64_t n = 1;

    w->mine = &past;
    w->kernel.open = past_open;
    w->kernel.close = past_close;
    w->kernel.pwrite = past_pwrite;
    w->kernel.pread = past_pread;
    engine = driver = world_open(w, &small);
    for (int round = 0; round < 12; round++, n += group_events) {
        assert_int_equal(group_append(driver, n, group_events), SKALD_OK);
        while (ski_store_log.step(driver)) continue;
        assert_int_equal(engine->sealed_count + 1, engine->segment_count);
    }
    assert_true(engine->segment_count > 3 && past.writes > 3);
    assert_true(write_err ? !past.reads : past.reads > 0); // only what went past it is sought there
    assert_int_equal(engine->segments[1]->uncached, !write_err);
    assert_int_equal(engine->damage_count, 0);
    ski_store_log.state(driver, &is);
    assert_false(is.read_only);
    assert_int_equal(world_check(driver, 1, event_bytes), n - 1);
    verify_clean(driver, n - 1);
    ski_store_log.close(driver);
}

static void test_pages_cannot_be_written(void **state)
{
    sealed_all_the_same(*state, SKALD_EIO, SKALD_EIO);
}

static void test_pages_cannot_be_read(void **state)
{
    sealed_all_the_same(*state, SKALD_OK, SKALD_EIO);
}

static void test_a_full_disk(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    ski_engine *engine = driver;

    assert_int_equal(group_append(driver, 1, 6), SKALD_OK);
    uint64_t end = engine->tail.end;
    world_fail(w, CALL_PWRITE, 1, 1, SKALD_EREADONLY);
    w->fail_part = 2 * SKI_DIRECT_BYTES;
    assert_int_equal(group_append(driver, 7, group_events), SKALD_EREADONLY);
    assert_int_equal(engine->tail.end, end);
    world_fail(w, CALL_NONE, 0, 0, 0);
    later(w);
    assert_int_equal(world_append(driver, 7, event_bytes), SKALD_OK); // there is room again
    assert_int_equal(group_append(driver, 8, 6), SKALD_OK);
    assert_true(at_page(engine));
    assert_int_equal(world_check(driver, 1, event_bytes), 13);
    verify_clean(driver, 13);
    ski_store_log.close(driver);
}

// A process that dies with half of such a group written: it was never acknowledged, and goes.
static void test_a_torn_group(void **state)
{
    world *w = *state;
    void *driver = world_open(w, &small);
    char command[700];

    assert_int_equal(world_append(driver, 1, event_bytes), SKALD_OK);
    assert_int_equal(group_append(driver, 2, 6), SKALD_OK);
    world_fail(w, CALL_PWRITE, 1, 2, SKALD_EREADONLY); // and what would revoke it
    w->fail_part = 3 * SKI_DIRECT_BYTES;
    assert_int_equal(group_append(driver, 8, group_events), SKALD_EIO);
    (void)snprintf(command, sizeof command, "cp -r '%s' '%s/image'", w->path, w->base);
    assert_int_equal(system(command), 0);
    world_fail(w, CALL_NONE, 0, 0, 0);
    ski_store_log.close(driver);

    (void)snprintf(w->path, sizeof w->path, "%s/image", w->base);
    driver = world_open(w, &small);
    uint64_t n = world_check(driver, 1, event_bytes) + 1;
    assert_in_range(n, 8, 8 + group_events); // whole frames of it may stay, in their order
    assert_int_equal(group_append(driver, n, 6), SKALD_OK);
    assert_int_equal(world_check(driver, 1, event_bytes), n + 5);
    verify_clean(driver, n + 5);
    ski_store_log.close(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_small_and_large_groups, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_pages_are_filled_up, world_setup, world_teardown),
        cmocka_unit_test(test_every_place_in_a_page),
        cmocka_unit_test_setup_teardown(test_not_while_somebody_follows, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_a_file_system_that_cannot, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_pages_cannot_be_written, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_pages_cannot_be_read, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a_full_disk, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a_torn_group, world_setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
