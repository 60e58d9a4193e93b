// SPDX-License-Identifier: Apache-2.0
// Indexes made in step while a segment is written, against those made from its file: the same
// bytes, whatever is written; and everything that ends the following of a segment.
#include "store/log/engine.h"
#include "store/log/log_world.h"
#include <sys/stat.h>
#include <unistd.h>

enum { group_events = 8, event_bytes = 2000, file_max = 1 << 20 };

static const skald_store_options small = {.segment_bytes = 64 * 1024};

// No time passes but what a test lets pass: an idle store does not follow.
static uint64_t frozen_ns(void *context)
{
    return UINT64_C(1000) * 1000 * 1000 + ((world *)context)->later_ns;
}

static int frozen_setup(void **state)
{
    int made = world_setup(state);

    if (!made) ((world *)*state)->kernel.monotonic_ns = frozen_ns;
    return made;
}

static void work_off(void *driver)
{
    while (ski_store_log.step(driver)) continue;
}

// mixed_append appends a group of count batches of one event each, of several tenants, streams,
// types and correlations, some with a value, and one of values only.
static skald_err mixed_append(void *driver, uint64_t from, size_t count)
{
    static const char *const texts[] = {"", "one", "two", "three", "four"};
    world_batch *batches = ski_alloc((count + 1) * sizeof *batches);
    skald_store_value value = {SKALD_STR("where"), SKALD_STR("here")};
    skald_err told = SKALD_OK;

    for (size_t i = 0; i <= count; i++) {
        uint64_t n = from + i;
        skald_event *event = &batches[i].event;

        world_batch_make(&batches[i], n, event_bytes);
        event->tenant = skald_str_of(texts[n % 3]);
        event->stream = skald_str_of(texts[n % 5]);
        event->correlation_id = skald_str_of(texts[n / 7 % 4]);
        if (n % 4 == 0) event->type = SKALD_STR("test.other");
        if (n % 5 == 0 || i == count) {
            batches[i].batch.values = &value;
            batches[i].batch.value_count = 1;
        }
        if (i == count) batches[i].batch.event_count = 0;
        assert_int_equal(ski_store_log.submit(driver, &batches[i].batch), SKALD_OK);
    }
    while (!batches[count].tells) assert_true(ski_store_log.step(driver));
    for (size_t i = 0; i <= count; i++) {
        assert_int_equal(batches[i].tells, 1);
        told = batches[i].told;
    }
    ski_free(batches);
    return told;
}

// append_until appends such groups from event n on until there are so many segments, and gives the
// number to go on with.
static uint64_t append_until(ski_engine *engine, uint64_t n, uint32_t segments)
{
    for (; engine->segment_count < segments; n += 100)
        assert_int_equal(mixed_append(engine, n, group_events), SKALD_OK);
    return n;
}

static size_t file_read(const char *path, uint8_t *bytes)
{
    FILE *file = fopen(path, "rb"); // style: for tests
    size_t len = 0;

    assert_non_null(file);
    len = fread(bytes, 1, file_max, file); // style: for tests
    (void)fclose(file);                    // style: for tests
    assert_true(len > 0 && len < file_max);
    return len;
}

// indexes_same makes the index of every sealed segment again from its file.
static void indexes_same(world *w, const ski_engine *engine)
{
    uint8_t *made = ski_alloc(file_max), *again = ski_alloc(file_max);

    for (uint32_t i = 0; i < engine->sealed_count; i++) {
        ski_sealed_source source = {.kernel = &w->kernel,
                                    .path = w->path,
                                    .store = engine->store,
                                    .no = engine->segments[i]->no,
                                    .generation = engine->segments[i]->generation};
        char name[SKI_SEALED_NAME], path[400];
        bool unsure = false;
        size_t len = 0;

        ski_sealed_name(name, source.no, source.generation);
        (void)snprintf(path, sizeof path, "%s/%s", w->path, name);
        len = file_read(path, made);
        assert_int_equal(ski_sealed_build(&source, &unsure, NULL), SKALD_OK);
        assert_int_equal(file_read(path, again), len);
        assert_memory_equal(made, again, len);
    }
    ski_free(made);
    ski_free(again);
}

static void verify_clean(void *driver)
{
    skald_verified verified = {0};
    skald_error error = {0};

    if (ski_store_log.verify(driver, NULL, &verified, &error)) fail_msg("verify: %s", error.text);
    assert_int_equal(verified.damaged, 0);
}

static void close_same(world *w, ski_engine *engine)
{
    work_off(engine);
    assert_int_equal(engine->sealed_count + 1, engine->segment_count);
    indexes_same(w, engine);
    verify_clean(engine);
    ski_store_log.close(engine);
}

// Every round two groups, which begin and end anywhere in a segment, and a PAD between some.
static void test_the_same_index(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);

    for (uint64_t round = 0; round < 60; round++) {
        assert_int_equal(mixed_append(engine, 1 + 100 * round, 3 + round % 11), SKALD_OK);
        if (round % 3 == 0) assert_int_equal(ski_writer_control(engine, SKI_FRAME_PAD), SKALD_OK);
        if (round % 2 == 0) work_off(engine); // else it waits until the segment is full
    }
    assert_true(engine->segment_count > 10);
    work_off(engine);
    assert_in_range(engine->follow.segments, engine->sealed_count / 2, engine->sealed_count);
    close_same(w, engine);
}

// idle_turn is what happens when nothing is written for a while.
static void idle_turn(ski_engine *engine)
{
    ski_mutex_lock(&engine->lock);
    assert_true(ski_writer_idle(engine, true));
    ski_mutex_unlock(&engine->lock);
}

static void test_an_idle_store_gives_its_memory_back(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    uint64_t n = 1, followed = 0;

    n = append_until(engine, n, 3);
    assert_int_equal(mixed_append(engine, n, group_events), SKALD_OK);
    n += 100;
    work_off(engine);
    followed = engine->follow.segments;
    assert_true(followed > 0 && engine->follow.no == 3 && engine->follow.made_no == 3);
    w->later_ns += UINT64_C(1000) * 1000 * 1000;
    work_off(engine);
    assert_int_equal(engine->follow.no, 0);
    assert_int_equal(engine->follow.made_no, 0);
    assert_null(engine->follow.made);
    assert_null(engine->follow.first);
    assert_null(engine->kept);
    assert_int_equal(engine->kept_bytes, 0);
    assert_int_equal(engine->follow.memory.count, 0);
    // That segment is read when it is full; the one behind it is followed again.
    n = append_until(engine, n, 4);
    work_off(engine);
    assert_int_equal(engine->follow.segments, followed);
    assert_int_equal(engine->follow.no, 4);
    close_same(w, engine);
}

// What comes back from the keeper once nothing happens any more is given back, too.
static void test_pieces_that_come_back_later(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    skald_store_state before = {0}, after = {0};
    uint64_t n = 1;

    n = append_until(engine, n, 3);
    work_off(engine);
    n = append_until(engine, n, 4);
    idle_turn(engine);
    assert_int_equal(engine->follow.no, 0);
    assert_non_null(engine->follow.first); // of the full segment
    assert_non_null(engine->follow.first->group);
    assert_null(engine->kept);
    ski_store_log.state(engine, &before);
    work_off(engine);
    assert_null(engine->follow.first);
    assert_int_equal(engine->follow.held, 0);
    assert_null(engine->kept);
    assert_int_equal(engine->kept_bytes, 0);
    assert_int_equal(engine->follow.keeper_bytes, 0);
    ski_store_log.state(engine, &after);
    assert_true(after.index_bytes < before.index_bytes);
    close_same(w, engine);
}

// A few bytes of a full segment that cannot be sealed yet are no reason to keep them.
static void test_few_pieces_of_a_full_segment(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    char path[400];
    uint64_t n = 1, bytes = engine->segment_bytes;

    (void)snprintf(path, sizeof path, "%s/seg-00000002.0.idx.tmp", w->path);
    n = append_until(engine, n, 2);
    work_off(engine);
    assert_int_equal(mkdir(path, 0700), 0);
    n = append_until(engine, n, 4);
    (void)ski_seal_next(engine);
    assert_true(engine->seal_failing);
    engine->segment_bytes = UINT64_C(64) * 1024 * 1024; // little, beside such segments
    idle_turn(engine);
    assert_non_null(engine->follow.first);
    assert_true(engine->follow.first->no == 3 && !engine->follow.no && !engine->follow.made_no);
    work_off(engine);
    assert_null(engine->follow.first);
    assert_null(engine->follow.made);
    assert_null(engine->kept);
    engine->segment_bytes = bytes;
    assert_int_equal(rmdir(path), 0);
    w->later_ns += UINT64_C(6) * 1000 * 1000 * 1000;
    close_same(w, engine);
}

static void test_small_groups_are_not_followed(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    uint64_t n = 1;

    for (; engine->segment_count < 3; n++)
        assert_int_equal(world_append(engine, n, event_bytes), SKALD_OK);
    assert_int_equal(engine->follow.no, 0);
    assert_int_equal(engine->follow.segments, 0);
    // A few of them beside large ones do not matter, more of them do.
    n = append_until(engine, n, 4);
    assert_int_equal(engine->follow.no, 4);
    for (int i = 0; i < 17; i++) {
        assert_int_equal(engine->follow.no, 4);
        assert_int_equal(world_append(engine, n++, 100), SKALD_OK);
    }
    assert_int_equal(world_append(engine, n++, 100), SKALD_OK);
    assert_int_equal(engine->follow.no, 0);
    close_same(w, engine);
}

// Who cannot keep up gives up the segment, and its memory at once; the one before it is not lost.
static void test_too_much_waits(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    uint64_t n = 1, followed = 0;

    n = append_until(engine, n, 3);
    work_off(engine);
    followed = engine->follow.segments;
    engine->follow.held_max = 80 * 1024;
    while (engine->follow.no && engine->segment_count < 5) {
        assert_true(engine->follow.held <= engine->follow.held_max);
        assert_int_equal(mixed_append(engine, n, group_events), SKALD_OK);
        n += 100;
    }
    assert_int_equal(engine->segment_count, 3);
    assert_int_equal(engine->follow.held, 0);
    assert_int_equal(engine->follow.waiting, 0);
    n = append_until(engine, n, 4);
    work_off(engine);
    assert_int_equal(engine->follow.segments, followed);
    close_same(w, engine);
}

// The writer goes on in the next segment while the end of a full one is gone over: that is sealed
// from what was followed all the same, before the next one is begun with.
static void test_the_next_one_waits(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    uint64_t n = 1, followed = 0;

    n = append_until(engine, n, 3);
    work_off(engine);
    followed = engine->follow.segments;
    n = append_until(engine, n, 4);
    assert_true(ski_seal_wanted(engine));
    assert_int_equal(engine->sealed_count, 2);
    ski_follow_step(engine);
    assert_int_equal(engine->follow.made_no, 3);
    assert_int_equal(engine->follow.no, 4);
    work_off(engine);
    assert_int_equal(engine->follow.segments, followed + 1);
    close_same(w, engine);
}

// not_at_once appends when the keeper opens a segment to follow it, as writers do that are faster.
static skald_err not_at_once(void *context, const char *path, unsigned flags, ski_file **ret_file,
                             skald_error *reterr_error)
{
    world *w = context;
    ski_engine *engine = w->mine;

    if (engine && !flags) {
        w->mine = NULL;
        assert_int_equal(mixed_append(engine, 1000000, group_events), SKALD_OK);
        assert_int_equal(mixed_append(engine, 1000100, 1), SKALD_OK);
    }
    return world_open_file(context, path, flags, ret_file, reterr_error);
}

// What is written meanwhile is gone over the next time: who seals a segment in between goes on.
static void test_a_writer_that_is_faster(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    uint64_t n = 1;

    n = append_until(engine, n, 3);
    while (ski_seal_wanted(engine)) assert_true(ski_seal_next(engine));
    assert_true(engine->follow.first && engine->follow.no == 3 && engine->follow.made_no != 3);
    w->mine = engine;
    w->kernel.open = not_at_once;
    ski_follow_step(engine);
    w->kernel.open = world_open_file;
    assert_null(w->mine);
    assert_int_equal(engine->follow.made_no, 3);
    assert_non_null(engine->follow.first);
    assert_true(engine->follow.waiting > 0);
    close_same(w, engine);
}

// read_damaged reads everything; how often it was told of damage.
static unsigned read_damaged(void *driver)
{
    skald_read read = {.page_bytes_max = 64 * 1024};
    unsigned count = 0;
    bool end = false;

    while (!end) {
        skald_store_page page = {0};
        skald_error error = {0};
        skald_err err = ski_store_log.read(driver, &read, &page, &error);

        if (err) assert_int_equal(err, SKALD_ECORRUPT);
        count += err != SKALD_OK;
        assert_true(page.position_next > read.after || page.end);
        read.after = page.position_next;
        end = page.end;
        if (!err) ski_store_log.page_free(driver, &page);
    }
    return count;
}

static uint64_t damages_of(void *driver)
{
    skald_store_state found = {0};

    ski_store_log.state(driver, &found);
    return found.damages;
}

// damage_followed fills the newest segment, damages it on the disk before it is sealed, and seals
// it from what was followed: nobody has looked at the disk then. Returns its slot.
static uint32_t damage_followed(world *w, ski_engine *engine, uint64_t n)
{
    uint32_t slot = engine->segment_count;
    uint64_t followed = 0, damages = damages_of(engine);
    char name[SKI_SEGMENT_NAME];

    n = append_until(engine, n, slot + 1);
    while (ski_seal_wanted(engine)) assert_true(ski_seal_next(engine));
    n = append_until(engine, n, slot + 2);
    followed = engine->follow.segments;
    ski_segment_name(name, engine->segments[slot]->no, 0);
    world_flip(w, name, 20000, 0x55);
    while (ski_seal_wanted(engine)) assert_true(ski_seal_next(engine));
    assert_int_equal(engine->follow.segments, followed + 1);
    assert_int_equal(ski_sealed_info_of(engine->segments[slot]->indexed->sealed)->damaged, 0);
    assert_int_equal(damages_of(engine), damages);
    return slot;
}

// Damage on the disk of a segment that was followed is not seen when it is sealed; it is told by
// whoever reads it: a read, verify, scrubbing. The index made again knows of it.
static void test_damage_of_a_segment_that_was_followed(void **state)
{
    static const skald_store_options scrubbed = {.segment_bytes = 64 * 1024,
                                                 .scrub_bytes_per_s = 1024 * 1024};
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    skald_verified verified = {0};
    uint32_t slot = damage_followed(w, engine, 1);

    assert_int_equal(read_damaged(engine), 1);
    assert_int_equal(damages_of(engine), 1);
    ski_engine_suspect(engine, slot);
    work_off(engine);
    assert_int_equal(engine->rebuilds, 1);
    assert_true(ski_sealed_info_of(engine->segments[slot]->indexed->sealed)->damaged > 0);
    assert_int_equal(read_damaged(engine), 1);
    (void)damage_followed(w, engine, 100000);
    assert_int_equal(ski_store_log.verify(engine, NULL, &verified, NULL), SKALD_ECORRUPT);
    assert_true(verified.damaged >= 2);
    assert_int_equal(read_damaged(engine), 2);
    ski_store_log.close(engine);
    engine = world_open(w, &scrubbed);
    slot = damage_followed(w, engine, 200000);
    for (unsigned second = 0; second < 60; second++) {
        w->later_ns += UINT64_C(1000000000);
        work_off(engine);
    }
    assert_true(damages_of(engine) >= 3);
    assert_int_equal(read_damaged(engine), 3);
    ski_store_log.close(engine);
}

// What a failed write has left is written over by what follows; neither is in an index twice.
static void test_writes_that_fail(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    uint64_t n = 1, failed = 0, written = 0;

    for (; engine->segment_count < 20; n += 100) {
        skald_err err = SKALD_OK;

        if (n / 100 % 3 == 0) world_fail(w, CALL_PWRITE, 1 + n / 300 % 4, 1, SKALD_EREADONLY);
        w->fail_part = n / 100 % 3 * SKI_DIRECT_BYTES;
        err = mixed_append(engine, n, group_events);
        world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
        failed += err != SKALD_OK;
        written += err == SKALD_OK;
        if (!err) work_off(engine);
        if (!err) continue;
        w->later_ns += SKI_RETRY_NS; // then one is tried again
        assert_int_equal(world_append(engine, n + 50, event_bytes), SKALD_OK);
    }
    work_off(engine);
    assert_true(failed > 3 && written > 5);
    assert_true(engine->follow.segments > 0);
    close_same(w, engine);
}

static void test_no_memory(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    uint64_t n = 1, ended = 0;

    for (uint64_t at = 1; at < 120; at++, n += 100) {
        uint32_t no = engine->follow.no;

        ski_alloc_fail_at(at % 40 + 1);
        if (engine->follow.waiting)
            ski_follow_step(engine);
        else
            assert_int_equal(ski_writer_control(engine, SKI_FRAME_PAD), SKALD_OK);
        ski_alloc_fail_at(0);
        ended += no && !engine->follow.no;
        assert_int_equal(mixed_append(engine, n, group_events), SKALD_OK);
        if (at % 3 == 0) work_off(engine);
    }
    assert_true(ended > 0);
    close_same(w, engine);
}

// not_to_read opens no segment to be read.
static skald_err not_to_read(void *context, const char *path, unsigned flags, ski_file **ret_file,
                             skald_error *reterr_error)
{
    size_t len = strlen(path);

    if (!flags && len > 4 && strcmp(path + len - 4, ".log") == 0) return SKALD_EIO;
    return world_open_file(context, path, flags, ret_file, reterr_error);
}

// The header of the segment cannot be read, so it is not followed.
static void test_the_header_cannot_be_read(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    uint64_t n = 1;

    n = append_until(engine, n, 3);
    work_off(engine);
    w->kernel.open = not_to_read;
    n = append_until(engine, n, 4);
    assert_int_equal(mixed_append(engine, n, group_events), SKALD_OK);
    work_off(engine);
    assert_int_equal(engine->follow.no, 0);
    assert_null(engine->follow.first);
    w->kernel.open = world_open_file;
    for (n += 100; engine->segment_count < 5; n += 100)
        assert_int_equal(mixed_append(engine, n, group_events), SKALD_OK);
    close_same(w, engine);
}

// The index of a segment that was followed cannot be stored: it is made from the file then.
static void test_a_full_disk_when_sealing(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    uint64_t n = 1, followed = 0;

    n = append_until(engine, n, 3);
    while (ski_seal_wanted(engine)) assert_true(ski_seal_next(engine));
    n = append_until(engine, n, 4);
    followed = engine->follow.segments;
    assert_true(ski_seal_wanted(engine));
    world_fail(w, CALL_PWRITE, 1, 1, SKALD_EREADONLY);
    assert_false(ski_seal_next(engine));
    world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
    assert_int_equal(engine->follow.segments, followed + 1);
    w->later_ns += UINT64_C(6) * 1000 * 1000 * 1000;
    close_same(w, engine);
}

// A segment that was begun before the store was closed is not followed.
static void test_opened_again(void **state)
{
    world *w = *state;
    ski_engine *engine = world_open(w, &small);
    uint64_t n = 1;

    n = append_until(engine, n, 3);
    ski_store_log.close(engine);
    engine = world_open(w, &small);
    n = append_until(engine, n, 4);
    work_off(engine);
    assert_int_equal(engine->follow.segments, 0);
    assert_int_equal(engine->follow.no, 4);
    close_same(w, engine);
}

enum { threads = 4, rounds = 40, batch_events = 150, data_bytes = 400 };

typedef struct caller {
    void *driver;
    uint64_t first;
    int rounds;
    size_t data_len;
    skald_err told;
} caller;

static void told_once(skald_store_batch *batch, skald_err err)
{
    ((caller *)batch->context)->told = err;
}

static void append_many(void *argument)
{
    caller *mine = argument;
    skald_event *events = ski_alloc(batch_events * sizeof *events);
    char(*data)[data_bytes + 1] = ski_alloc(batch_events * sizeof *data);
    uint64_t n = mine->first;

    for (int round = 0; round < mine->rounds && !mine->told; round++) {
        skald_store_batch batch = {
            .events = events, .event_count = batch_events, .done = told_once, .context = mine};

        for (int i = 0; i < batch_events; i++, n++) {
            events[i] = (skald_event){.type = SKALD_STR("test.happened"),
                                      .id = world_id(n),
                                      .tenant = SKALD_STR(""),
                                      .stream = n % 2 ? SKALD_STR("odd") : SKALD_STR("even"),
                                      .correlation_id = SKALD_STR("corr"),
                                      .occurred_at = 1,
                                      .version = 1,
                                      .data = world_data(n, mine->data_len, data[i])};
        }
        assert_int_equal(ski_store_log.commit(mine->driver, &batch), SKALD_OK);
    }
    ski_free(events);
    ski_free(data);
}

// Callers that outrun the keeper: it is waited for, or a segment is given up; and closing in the
// middle of it.
static void threads_append(world *w, size_t held_max, bool settle)
{
    static const skald_store_options options = {.segment_bytes = 1024 * 1024};
    ski_engine *engine = NULL;
    ski_thread running[threads];
    caller callers[threads];
    uint64_t followed = 0;

    w->kernel.spawn = ski_kernel_system.spawn;
    w->kernel.monotonic_ns = world_ns;
    engine = world_open(w, &options);
    ski_mutex_lock(&engine->lock);
    if (held_max) engine->follow.held_max = held_max;
    ski_mutex_unlock(&engine->lock);
    for (unsigned i = 0; i < threads; i++) {
        callers[i] = (caller){.driver = engine,
                              .first = (uint64_t)(i + 1) << 32,
                              .rounds = rounds,
                              .data_len = data_bytes};
        assert_int_equal(ski_kernel_system.spawn(NULL, "append", append_many, &callers[i],
                                                 &running[i]),
                         SKALD_OK);
    }
    for (unsigned i = 0; i < threads; i++) {
        ski_kernel_system.join(NULL, running[i]);
        assert_int_equal(callers[i].told, SKALD_OK);
    }
    assert_int_equal(ski_store_log.head(engine), threads * rounds * batch_events);
    ski_mutex_lock(&engine->lock);
    followed = engine->follow.segments;
    ski_mutex_unlock(&engine->lock);
    if (settle) verify_clean(engine);
    if (settle) assert_true(followed > 0);
    ski_store_log.close(engine);
    w->kernel.spawn = NULL;
    engine = world_open(w, &options);
    close_same(w, engine);
}

static void test_threads(void **state)
{
    threads_append(*state, 0, true);
}

static void test_threads_that_outrun_the_keeper(void **state)
{
    threads_append(*state, 256 * 1024, false);
}

static skald_err no_sync(void *context, ski_file *file)
{
    (void)context;
    (void)file;
    return SKALD_OK;
}

static uint64_t held_of(ski_engine *engine)
{
    uint64_t held = 0;

    ski_mutex_lock(&engine->lock);
    held = engine->follow.held;
    ski_mutex_unlock(&engine->lock);
    return held;
}

// While the keeper is far behind a writer waits for a moment, and then goes on all the same; when
// it has caught up the writer goes on at once.
static void test_the_writer_waits(void **state)
{
    static const skald_store_options options = {.segment_bytes = UINT64_C(64) * 1024 * 1024};
    world *w = *state;
    ski_engine *engine = NULL;
    caller mine = {.first = 1, .rounds = 1, .data_len = data_bytes};
    uint64_t from_ns = 0, limit = 0;

    w->kernel.spawn = ski_kernel_system.spawn;
    w->kernel.monotonic_ns = world_ns;
    w->kernel.sync = no_sync; // it takes no time
    mine.driver = engine = world_open(w, &options);
    while (engine->tail.segment->no < 2) { // which has room for everything below
        append_many(&mine);
        mine.first += batch_events;
    }
    ski_mutex_lock(&engine->keeping);
    ski_mutex_lock(&engine->lock);
    limit = engine->follow.held_max = 1024 * 1024;
    ski_mutex_unlock(&engine->lock);
    while (held_of(engine) <= limit / 8 * 5) {
        append_many(&mine);
        mine.first += batch_events;
        assert_true(mine.first < 100000);
    }
    from_ns = world_ns(w);
    append_many(&mine);
    assert_true(world_ns(w) - from_ns >= UINT64_C(20) * 1000 * 1000);
    assert_int_equal(mine.told, SKALD_OK);
    ski_mutex_unlock(&engine->keeping);
    for (int i = 0; i < 200 && held_of(engine) > limit / 2; i++) {
        mine.first += batch_events;
        append_many(&mine);
    }
    assert_true(held_of(engine) <= limit);
    assert_int_equal(mine.told, SKALD_OK);
    verify_clean(engine);
    ski_store_log.close(engine);
}

// A store that is only read keeps nothing for a next index.
static void test_an_index_made_again_for_reading(void **state)
{
    static const skald_store_options options = {.segment_bytes = UINT64_C(4) * 1024 * 1024};
    skald_store_options looking = options;
    world *w = *state;
    ski_engine *engine = world_open(w, &options);
    caller mine = {.driver = engine, .first = 1, .rounds = 20, .data_len = 100};

    for (; engine->segment_count < 3; mine.first += 20 * batch_events) append_many(&mine);
    assert_true(engine->segments[2]->base_pos - engine->segments[1]->base_pos > 10000);
    work_off(engine);
    ski_store_log.close(engine);
    looking.read_only = true;
    engine = world_open(w, &looking);
    ski_engine_suspect(engine, 1);
    assert_true(ski_seal_again(engine));
    assert_int_equal(engine->rebuilds, 1);
    assert_int_equal(engine->follow.memory.count, 0);
    assert_int_equal(read_damaged(engine), 0);
    ski_store_log.close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, frozen_setup, world_teardown)
        WITH_WORLD(test_the_same_index),
        WITH_WORLD(test_an_idle_store_gives_its_memory_back),
        WITH_WORLD(test_pieces_that_come_back_later),
        WITH_WORLD(test_few_pieces_of_a_full_segment),
        WITH_WORLD(test_small_groups_are_not_followed),
        WITH_WORLD(test_too_much_waits),
        WITH_WORLD(test_the_next_one_waits),
        WITH_WORLD(test_a_writer_that_is_faster),
        WITH_WORLD(test_damage_of_a_segment_that_was_followed),
        WITH_WORLD(test_writes_that_fail),
        WITH_WORLD(test_no_memory),
        WITH_WORLD(test_the_header_cannot_be_read),
        WITH_WORLD(test_a_full_disk_when_sealing),
        WITH_WORLD(test_opened_again),
        WITH_WORLD(test_threads),
        WITH_WORLD(test_threads_that_outrun_the_keeper),
        WITH_WORLD(test_the_writer_waits),
        WITH_WORLD(test_an_index_made_again_for_reading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
