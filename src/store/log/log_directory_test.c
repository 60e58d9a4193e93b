// SPDX-License-Identifier: Apache-2.0
// Runs and the directory of streams: merged from indexes and from runs, damaged, cut, interrupted,
// loaded again. What they say is held against a plain model.
#include "store/log/blocks.h"
#include "store/log/directory.h"
#include "store/log/sealed_test_rig.h"

static const rig_shape shape = {.tenants = 2,
                                .streams = 300,
                                .types = 2,
                                .correlations = 0,
                                .chain = 1,
                                .frame = 20,
                                .data = 8};

enum { segments = 80, segment_events = 30 };

typedef struct scene {
    rig r;
    ski_sealed *sealed[segments + 1];
    ski_directory directory;
    uint64_t unused;
} scene;

static void scene_begin(scene *s, world *w, uint32_t count)
{
    memset(s, 0, sizeof *s);
    rig_begin(&s->r, w, shape, segments * segment_events);
    for (uint32_t no = 1; no <= count; no++) {
        rig_build(&s->r, rig_segment(&s->r, segment_events), 0);
        s->sealed[no] = rig_open(&s->r, no, 0);
    }
    assert_int_equal(ski_directory_init(&s->directory, &w->kernel, w->path, s->r.store), SKALD_OK);
}

static void scene_end(scene *s)
{
    ski_directory_fini(&s->directory);
    for (uint32_t no = 1; no <= segments; no++) ski_sealed_close(s->sealed[no]);
    rig_end(&s->r);
}

static const ski_sealed *sealed_of(void *context, uint32_t no)
{
    return ((scene *)context)->sealed[no];
}

// scene_merge steps until there is nothing to do.
static skald_err scene_merge(scene *s, uint32_t sealed_no)
{
    bool busy = true, unsure = false;
    skald_err err = SKALD_OK;

    for (uint64_t n = 0; busy && !err; n++) {
        err = ski_directory_step(&s->directory, sealed_no, sealed_of, s, &busy, &unsure, NULL);
        assert_true(n < 1000);
    }
    return err;
}

// at_end is where a stream stood at the end of a segment.
static ski_run_entry at_end(const scene *s, uint32_t no, uint32_t tenant, uint32_t stream)
{
    ski_run_entry entry = {.fp = rig_fp(&s->r, tenant, stream)};

    for (uint64_t p = 1; p <= (uint64_t)no * segment_events; p++) {
        const rig_event *event = &s->r.events[p];

        if (event->tenant != tenant || event->stream != stream) continue;
        entry.last_version = event->version;
        entry.last_pos = p;
    }
    return entry;
}

// scene_verify holds every stream against the model; damage may be an answer. Returns how often it
// was.
static uint64_t scene_verify(scene *s, bool damaged)
{
    uint32_t covered = ski_directory_covered(&s->directory);
    uint64_t corrupt = 0;

    for (uint32_t tenant = 0; tenant < shape.tenants; tenant++) {
        for (uint32_t stream = 1; stream <= shape.streams + 1; stream++) {
            ski_run_entry expected = at_end(s, covered, tenant, stream), entry;
            skald_err err = ski_directory_find(&s->directory, expected.fp, covered, &entry, NULL);

            if (err == SKALD_ECORRUPT && damaged) {
                corrupt++;
                continue;
            }
            assert_int_equal(err, expected.last_pos ? SKALD_OK : SKALD_ENOTFOUND);
            if (err) continue;
            assert_int_equal(entry.last_pos, expected.last_pos);
            assert_int_equal(entry.last_version, expected.last_version);
        }
    }
    return corrupt;
}

static void unused(void *context, uint64_t number, skald_err why)
{
    (void)number;
    (void)why;
    ((scene *)context)->unused++;
}

static void number_seen(void *context, const char *name)
{
    uint64_t number = 0, *numbers = context;

    if (ski_run_name_parse(name, &number)) numbers[++numbers[0]] = number;
}

// scene_load opens the runs that are there.
static skald_err scene_load(scene *s, uint32_t sealed_no)
{
    world *w = s->r.w;
    uint64_t numbers[200] = {0};

    ski_directory_fini(&s->directory);
    assert_int_equal(ski_directory_init(&s->directory, &w->kernel, w->path, s->r.store), SKALD_OK);
    assert_int_equal(w->kernel.list(w->kernel.context, w->path, number_seen, numbers), SKALD_OK);
    s->unused = 0;
    return ski_directory_load(&s->directory, numbers + 1, numbers[0], sealed_no, unused, s);
}

static void test_names(void **state)
{
    char name[SKI_RUN_NAME];
    uint64_t number = 0;

    (void)state;
    ski_run_name(name, 12);
    assert_string_equal(name, "dir-12.run");
    assert_true(ski_run_name_parse(name, &number));
    assert_int_equal(number, 12);
    assert_false(ski_run_name_parse("dir-12.run.tmp", &number));
    assert_false(ski_run_name_parse("dir-012.run", &number));
    assert_false(ski_run_name_parse("dir-.run", &number));
}

static void test_what_a_directory_says(void **state)
{
    scene *s = ski_alloc(sizeof *s);

    scene_begin(s, *state, segments);
    for (uint32_t no = 0; no <= segments; no += 5) {
        assert_int_equal(scene_merge(s, no), SKALD_OK);
        assert_true(ski_directory_runs(&s->directory) < SKI_DIRECTORY_FAN);
        assert_int_equal(ski_directory_covered(&s->directory), no / 8 * 8);
        (void)scene_verify(s, false);
    }
    assert_true(ski_directory_bytes(&s->directory) > 0);
    assert_true(ski_directory_file_bytes(&s->directory) > 0);
    assert_int_equal(ski_directory_runs(&s->directory), 3); // 64 segments, 8, 8
    assert_int_equal(scene_load(s, segments), SKALD_OK);
    assert_int_equal(ski_directory_covered(&s->directory), 80);
    assert_int_equal(s->unused, 0);
    (void)scene_verify(s, false);
    assert_int_equal(scene_load(s, 77), SKALD_OK); // one says more than there is
    assert_int_equal(ski_directory_covered(&s->directory), 72);
    assert_int_equal(s->unused, 1);
    (void)scene_verify(s, false);
    scene_end(s);
    ski_free(s);
}

// Runs of runs, as size-tiered merging makes them, and the largest number of them.
static void test_runs_merge(void **state)
{
    scene *s = ski_alloc(sizeof *s);
    world *w = *state;
    ski_run *runs[5] = {NULL};
    ski_run_merge *merge = NULL;
    ski_run_input inputs[8] = {{0}};
    ski_run_iter iter;
    uint64_t count = 0;
    ski_fp before = {0, 0};
    bool done = false, unsure = false;

    scene_begin(s, w, segments);
    for (uint32_t i = 0; i < 5; i++) {
        for (uint32_t k = 0; k < 8; k++) inputs[k].sealed = s->sealed[i * 8 + k + 1];
        assert_int_equal(ski_run_merge_begin(&w->kernel, w->path, s->r.store, i + 1, i * 8 + 1,
                                             i * 8 + 8, inputs, 8, &merge, NULL),
                         SKALD_OK);
        for (done = false; !done;) {
            assert_int_equal(ski_run_merge_step(merge, 13, &done, NULL), SKALD_OK);
        }
        assert_int_equal(ski_run_merge_finish(merge, &unsure, NULL), SKALD_OK);
        assert_int_equal(ski_run_open(&w->kernel, w->path, s->r.store, i + 1, &runs[i], NULL),
                         SKALD_OK);
        assert_int_equal(ski_run_check(runs[i], NULL), SKALD_OK);
    }
    memset(inputs, 0, sizeof inputs);
    for (uint32_t i = 0; i < 5; i++) inputs[i].run = runs[i];
    assert_int_equal(ski_run_merge_begin(&w->kernel, w->path, s->r.store, 6, 1, 40, inputs, 5,
                                         &merge, NULL),
                     SKALD_OK);
    assert_int_equal(ski_run_merge_step(merge, 100000, &done, NULL), SKALD_OK);
    assert_true(done);
    assert_int_equal(ski_run_merge_finish(merge, &unsure, NULL), SKALD_OK);
    for (uint32_t i = 0; i < 5; i++) ski_run_close(runs[i]);
    assert_int_equal(scene_load(s, segments), SKALD_OK); // as after a crash: the inputs are there
    assert_int_equal(s->unused, 5);
    assert_int_equal(ski_directory_runs(&s->directory), 1);
    (void)scene_verify(s, false);
    assert_int_equal(ski_run_open(&w->kernel, w->path, s->r.store, 6, &runs[0], NULL), SKALD_OK);
    assert_int_equal(ski_run_iter_begin(&iter, runs[0]), SKALD_OK);
    for (; ski_run_iter_next(&iter, NULL) == SKALD_OK; count++) {
        assert_true(ski_fp_compare(before, iter.entry.fp) < 0);
        before = iter.entry.fp;
    }
    ski_run_iter_end(&iter);
    assert_int_equal(count, ski_run_info_of(runs[0])->entries);
    ski_run_close(runs[0]);
    scene_end(s);
    ski_free(s);
}

static void dropped(void *context, uint64_t number)
{
    scene *s = context;
    char name[SKI_RUN_NAME], path[512];

    ski_run_name(name, number);
    (void)snprintf(path, sizeof path, "%s/%s", s->r.w->path, name);
    assert_int_equal(s->r.w->kernel.unlink(s->r.w->kernel.context, path), SKALD_OK);
    s->unused++;
}

static void test_a_flipped_byte_is_never_a_wrong_answer(void **state)
{
    scene *s = ski_alloc(sizeof *s);
    uint8_t *bytes = NULL;
    size_t len = 0;
    uint64_t refused = 0, corrupt = 0;
    ski_run_entry entry;

    scene_begin(s, *state, 8);
    assert_int_equal(scene_merge(s, 8), SKALD_OK);
    bytes = rig_bytes(&s->r, "dir-1.run", &len);
    for (size_t block = 0; block < len / SKI_BLOCK; block++) {
        size_t at = block * SKI_BLOCK + (block * 977 + 5) % SKI_BLOCK;

        bytes[at] ^= 0x10;
        rig_bytes_put(&s->r, "dir-1.run", bytes, len);
        bytes[at] ^= 0x10;
        assert_int_equal(scene_load(s, 8), SKALD_OK);
        if (!ski_directory_covered(&s->directory)) {
            assert_int_equal(s->unused, 1);
            refused++;
            continue;
        }
        assert_true(scene_verify(s, true) > 0);
        corrupt++;
    }
    assert_int_equal(refused, 3); // filter, tail, foot
    assert_int_equal(refused + corrupt, len / SKI_BLOCK);
    for (size_t cut = 0; cut < len; cut += 1000) {
        rig_bytes_put(&s->r, "dir-1.run", bytes, cut);
        assert_int_equal(scene_load(s, 8), SKALD_OK);
        assert_int_equal(ski_directory_covered(&s->directory), 0);
        assert_int_equal(s->unused, 1);
    }
    assert_int_equal(scene_merge(s, 8), SKALD_OK); // made again, under another number
    (void)scene_verify(s, false);
    s->unused = 0;
    ski_directory_drop(&s->directory, dropped, s);
    assert_int_equal(s->unused, 1);
    assert_int_equal(ski_directory_covered(&s->directory), 0);
    assert_int_equal(ski_directory_find(&s->directory, (ski_fp){1, 1}, 8, &entry, NULL),
                     SKALD_ESTALE);
    assert_int_equal(scene_merge(s, 8), SKALD_OK);
    assert_int_equal(ski_directory_covered(&s->directory), 8);
    (void)scene_verify(s, false);
    ski_free(bytes);
    scene_end(s);
    ski_free(s);
}

static void test_a_merge_that_fails_changes_nothing(void **state)
{
    static const world_call calls[] = {CALL_PWRITE, CALL_SYNC, CALL_PREAD, CALL_OPEN};
    scene *s = ski_alloc(sizeof *s);
    world *w = *state;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        scene_begin(s, w, 16);
        for (uint64_t from = 1;; from++) {
            skald_err err = SKALD_OK;

            world_fail(w, calls[i], from, UINT64_MAX, SKALD_EIO);
            err = scene_merge(s, 16);
            world_fail(w, CALL_NONE, 0, 0, SKALD_OK);
            (void)scene_verify(s, false);
            if (!err) break;
            assert_int_equal(err, SKALD_EIO);
            assert_null(s->directory.merge);
        }
        assert_int_equal(ski_directory_covered(&s->directory), 16);
        assert_int_equal(scene_load(s, 16), SKALD_OK);
        assert_int_equal(ski_directory_covered(&s->directory), 16);
        scene_end(s);
        assert_int_equal(nftw(w->path, world_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
    }
    ski_free(s);
}

static void test_no_memory_and_cancelled(void **state)
{
    scene *s = ski_alloc(sizeof *s);
    bool busy = false, unsure = false;

    scene_begin(s, *state, 8);
    assert_int_equal(ski_directory_step(&s->directory, 7, sealed_of, s, &busy, &unsure, NULL),
                     SKALD_OK);
    assert_false(busy); // too few
    assert_int_equal(ski_directory_step(&s->directory, 8, sealed_of, s, &busy, &unsure, NULL),
                     SKALD_OK);
    assert_true(busy);
    ski_directory_cancel(&s->directory);
    ski_directory_cancel(&s->directory);
    for (uint64_t n = 1;; n++) {
        skald_err err = SKALD_OK;

        ski_alloc_fail_at(n);
        err = scene_merge(s, 8);
        ski_alloc_fail_at(0);
        (void)scene_verify(s, false);
        if (!err) break;
        assert_int_equal(err, SKALD_ENOMEM);
    }
    for (uint64_t n = 1; n < 40; n++) {
        skald_err err = SKALD_OK;
        ski_directory *directory = &s->directory;
        uint64_t numbers[1] = {directory->number_next - 1};

        ski_alloc_fail_at(n);
        err = ski_directory_load(directory, numbers, 1, 8, unused, s);
        ski_alloc_fail_at(0);
        assert_true(!err || err == SKALD_ENOMEM);
        (void)scene_verify(s, false);
    }
    scene_end(s);
    ski_free(s);
}

typedef struct asking {
    scene *s;
    _Atomic bool over;
} asking;

static void ask_at_once(void *argument)
{
    asking *mine = argument;
    scene *s = mine->s;

    for (uint32_t n = 0; !mine->over || n < 1000; n++) {
        uint32_t tenant = n % shape.tenants, stream = 1 + n / 2 % shape.streams;
        ski_run_entry entry;
        skald_err err =
            ski_directory_find(&s->directory, rig_fp(&s->r, tenant, stream), 0, &entry, NULL);

        assert_true(!err || err == SKALD_ENOTFOUND);
        if (err) continue;
        assert_int_equal(s->r.events[entry.last_pos].stream, stream);
        assert_int_equal(s->r.events[entry.last_pos].version, entry.last_version);
    }
}

static void test_asking_while_runs_are_merged(void **state)
{
    enum { threads = 3 };
    scene *s = ski_alloc(sizeof *s);
    ski_thread running[threads];
    asking mine = {.s = s};

    scene_begin(s, *state, segments);
    for (int i = 0; i < threads; i++) {
        assert_int_equal(ski_kernel_system.spawn(NULL, "test", ask_at_once, &mine, &running[i]),
                         SKALD_OK);
    }
    assert_int_equal(scene_merge(s, segments), SKALD_OK);
    mine.over = true;
    for (int i = 0; i < threads; i++) ski_kernel_system.join(NULL, running[i]);
    assert_int_equal(ski_directory_covered(&s->directory), 80);
    (void)scene_verify(s, false);
    scene_end(s);
    ski_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
        WITH_WORLD(test_what_a_directory_says),
        WITH_WORLD(test_runs_merge),
        WITH_WORLD(test_a_flipped_byte_is_never_a_wrong_answer),
        WITH_WORLD(test_a_merge_that_fails_changes_nothing),
        WITH_WORLD(test_no_memory_and_cancelled),
        WITH_WORLD(test_asking_while_runs_are_merged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
