// SPDX-License-Identifier: Apache-2.0
// Recovery from files that were changed by hand, and reading what damage has left.
#include "base/hash.h"
#include "store/log/bytes.h"
#include "store/log/engine.h"
#include "store/log/log_world.h"

#include <unistd.h>

enum { data_len = 300, record_len = 448, frame_len = record_len + 72 };

static const skald_store_options small = {.segment_bytes = 64 * 1024};
static const skald_store_options salvage = {.read_only = true};

static const char first_name[] = "seg-00000001.0.log";

// image: the store's directory is copied and the copy is what is opened from then on.
static void image(world *w, const char *to)
{
    char command[900];

    (void)snprintf(command, sizeof command, "rm -rf '%s/%s' && cp -r '%s' '%s/%s'", w->base, to,
                   w->path, w->base, to);
    assert_int_equal(system(command), 0);
    (void)snprintf(w->path, sizeof w->path, "%s/%s", w->base, to);
}

static void path_of(const world *w, const char *name, char path[400])
{
    (void)snprintf(path, 400, "%s/%s", w->path, name);
}

static size_t file_read(const world *w, const char *name, uint8_t *bytes, size_t size)
{
    char path[400];
    FILE *file = NULL;
    size_t got = 0;

    path_of(w, name, path);
    file = fopen(path, "rb");
    assert_non_null(file);
    got = fread(bytes, 1, size, file);
    (void)fclose(file);
    return got;
}

static void file_write(const world *w, const char *name, uint64_t at, const void *bytes, size_t len)
{
    char path[400];
    FILE *file = NULL;

    path_of(w, name, path);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    (void)fclose(file);
}

static void store_fill(world *w, const skald_store_options *options, uint64_t events)
{
    void *driver = world_open(w, options);

    for (uint64_t n = 1; n <= events; n++) {
        assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
    }
    ski_store_log.close(driver);
}

// store_crash leaves an image of a store whose process has died with so many events in it.
static void store_crash(world *w, uint64_t events)
{
    void *driver = world_open(w, NULL);

    for (uint64_t n = 1; n <= events; n++) {
        assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
    }
    image(w, "crashed");
    ski_store_log.close(driver);
}

// frame_at is where the frame of the n-th event of a fresh store begins: behind header and OPEN
// frame.
static uint64_t frame_at(uint64_t n)
{
    return SKI_SEGMENT_HEADER + SKI_FRAME_BYTES_MIN + (n - 1) * frame_len;
}

static void store_goes_on(world *w, const skald_store_options *options, uint64_t events)
{
    void *driver = world_open(w, options);
    skald_verified verified = {0};

    assert_int_equal(ski_store_log.head(driver), events);
    assert_int_equal(world_check(driver, 1, data_len), events);
    for (uint64_t n = events + 1; n <= events + 3; n++) {
        assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
    }
    assert_int_equal(ski_store_log.verify(driver, NULL, &verified, NULL), SKALD_OK);
    ski_store_log.close(driver);
    driver = world_open(w, options);
    assert_int_equal(world_check(driver, 1, data_len), events + 3);
    ski_store_log.close(driver);
}

// The last frame was not written to its end, in one way and another; nothing says that it was.
static void test_a_torn_tail_is_cut_off(void **state)
{
    world *w = *state;
    static uint8_t zeros[frame_len], garbage[frame_len];

    memset(garbage, 0xa5, sizeof garbage);
    for (int way = 0; way < 6; way++) {
        store_crash(w, 5);
        switch (way) {
        case 0: file_write(w, first_name, frame_at(5), zeros, frame_len); break;
        case 1: file_write(w, first_name, frame_at(5), garbage, 8); break;
        case 2: file_write(w, first_name, frame_at(5) + 64, garbage, 100); break;
        case 3: file_write(w, first_name, frame_at(6) - 8, zeros, 8); break;
        case 4: file_write(w, first_name, frame_at(5), garbage, frame_len); break;
        default: world_flip(w, first_name, frame_at(5) + 200, 1); break;
        }
        store_goes_on(w, NULL, 4);
        (void)snprintf(w->path, sizeof w->path, "%s/store%d", w->base, way);
    }
}

static void test_garbage_behind_the_end_is_wiped(void **state)
{
    world *w = *state;
    static uint8_t garbage[10000], after[2 * 1024 * 1024];
    size_t size = 0;

    store_crash(w, 5);
    memset(garbage, 0xa5, sizeof garbage);
    file_write(w, first_name, frame_at(8), garbage, sizeof garbage);
    ski_store_log.close(world_open(w, NULL));
    size = file_read(w, first_name, after, sizeof after);
    for (size_t i = frame_at(8); i < size; i++) assert_int_equal(after[i], 0);
    store_goes_on(w, NULL, 5);
}

// Any bit of a store that was closed turned: the store says where, or nothing depended on it; what
// is refused is not touched, and read-only shows the rest.
static void test_any_bit_of_a_closed_store(void **state)
{
    world *w = *state;
    static uint8_t before[2 * 1024 * 1024], after[2 * 1024 * 1024];
    size_t size = 0;

    store_fill(w, NULL, 3);
    image(w, "other");
    size = file_read(w, first_name, before, sizeof before);
    for (uint64_t at = 0;; at += at < SKI_SEGMENT_HEADER ? 211 : 17) {
        bool refused = at < frame_at(4);
        void *driver = NULL;
        skald_error error = {0};
        skald_err err = SKALD_OK;

        world_flip(w, first_name, at, (uint8_t)(1 << at % 8));
        err = ski_store_log.open(w->path, NULL, &w->host, &driver, &error);
        if (refused) {
            assert_int_equal(err, SKALD_ECORRUPT);
            assert_non_null(strstr(error.text, "seg-00000001.0.log, offset "));
            before[at] ^= (uint8_t)(1 << at % 8);
            assert_int_equal(file_read(w, first_name, after, sizeof after), size);
            assert_memory_equal(before, after, size);
            before[at] ^= (uint8_t)(1 << at % 8);
        } else { // of the PAD nothing depends; opening it goes on behind it
            assert_int_equal(err, SKALD_OK);
            assert_int_equal(world_check(driver, 1, data_len), 3);
            ski_store_log.close(driver);
            return;
        }
        file_write(w, first_name, 0, before, size);
    }
}

typedef struct seen {
    uint64_t positions[2200];
    size_t count, refused;
} seen;

// read_all reads on behind every damage.
static seen read_all(void *driver, bool backwards)
{
    skald_read read = {.page_bytes_max = 2000, .backwards = backwards};
    seen all = {0};
    char data[data_len + 1];

    for (bool end = false; !end;) {
        skald_store_page page = {0};
        skald_error error = {0};
        skald_err err = ski_store_log.read(driver, &read, &page, &error);

        if (err) {
            assert_int_equal(err, SKALD_ECORRUPT);
            assert_non_null(strstr(error.text, "offset"));
            assert_true(++all.refused <= 1100);
        }
        for (size_t i = 0; i < page.count; i++) {
            uint64_t position = page.events[i].position;

            assert_true(skald_str_equal(page.events[i].data, world_data(position, data_len, data)));
            all.positions[all.count++] = position;
        }
        if (backwards) read.before = page.position_next;
        if (!backwards) read.after = page.position_next;
        end = !err && page.end;
        ski_store_log.page_free(driver, &page);
    }
    return all;
}

static void count_damage(void *context, const skald_damage *damage)
{
    assert_non_null(damage->file);
    assert_true(damage->length > 0);
    ++*(size_t *)context;
}

static void test_read_only_shows_what_is_left(void **state)
{
    world *w = *state;
    void *driver = NULL;
    size_t reported = 0;
    skald_verify_options options = {.damaged = count_damage, .context = &reported};
    skald_verified verified = {0};
    skald_error error = {0};

    store_fill(w, NULL, 20);
    world_flip(w, first_name, frame_at(7) + 100, 1);
    world_flip(w, first_name, frame_at(8) + 10, 1);
    world_flip(w, first_name, frame_at(15) + 70, 1);
    world_refuses(w, NULL, SKALD_ECORRUPT, "positions 7 to 8");
    driver = world_open(w, &salvage);
    assert_int_equal(ski_store_log.head(driver), 20);
    for (int backwards = 0; backwards < 2; backwards++) {
        seen all = read_all(driver, backwards);
        uint64_t expected = backwards ? 20 : 1;

        assert_int_equal(all.count, 17);
        assert_int_equal(all.refused, 2);
        for (size_t i = 0; i < all.count; i++) {
            while (expected == 7 || expected == 8 || expected == 15) {
                expected += backwards ? (uint64_t)-1 : 1;
            }
            assert_int_equal(all.positions[i], expected);
            expected += backwards ? (uint64_t)-1 : 1;
        }
    }
    assert_int_equal(ski_store_log.verify(driver, &options, &verified, &error), SKALD_ECORRUPT);
    assert_int_equal(reported, 2);
    assert_int_equal(verified.events, 17);
    assert_int_equal(world_append(driver, 21, data_len), SKALD_EREADONLY);
    ski_store_log.close(driver);
}

// More ranges than are remembered one by one: every event that is left is still given.
static void test_very_many_damages(void **state)
{
    enum { group = 100, events = (2 * SKI_DAMAGES_MAX / group + 2) * group };
    world *w = *state;
    static uint8_t bytes[2 * 1024 * 1024];
    static world_batch batches[group];
    skald_store_options options = {.segment_bytes = 64 * 1024};
    void *driver = world_open(w, NULL);
    size_t size = 0;
    seen all;

    for (uint64_t n = 1; n <= events;) {
        for (int i = 0; i < group; i++, n++) {
            world_batch_make(&batches[i], n, data_len);
            assert_int_equal(ski_store_log.submit(driver, &batches[i].batch), SKALD_OK);
        }
        while (ski_store_log.step(driver)) continue;
    }
    ski_store_log.close(driver);
    size = file_read(w, first_name, bytes, sizeof bytes);
    for (uint64_t n = 2; frame_at(n + 1) < size && n <= events; n += 2)
        bytes[frame_at(n) + 99] ^= 1;
    file_write(w, first_name, 0, bytes, size);
    options.read_only = true;
    driver = world_open(w, &options);
    for (int backwards = 0; backwards < 2; backwards++) {
        all = read_all(driver, backwards);
        assert_int_equal(all.count, events / 2);
        assert_int_equal(all.refused, events / 2);
    }
    ski_store_log.close(driver);
}

static void test_read_only_writes_nothing(void **state)
{
    world *w = *state;
    void *driver = NULL;
    char command[900];

    store_crash(w, 5);
    world_flip(w, first_name, frame_at(5) + 200, 1); // torn
    (void)snprintf(command, sizeof command, "cp -r '%s' '%s/kept'", w->path, w->base);
    assert_int_equal(system(command), 0);
    world_fail(w, CALL_PWRITE, 1, UINT64_MAX / 2, SKALD_EIO);
    driver = world_open(w, &salvage);
    assert_int_equal(world_check(driver, 1, data_len), 4);
    ski_store_log.close(driver);
    assert_int_equal(w->calls, 0);
    (void)snprintf(command, sizeof command, "diff -r '%s' '%s/kept'", w->path, w->base);
    assert_int_equal(system(command), 0);
}

static void test_read_only_needs_a_store(void **state)
{
    world *w = *state;

    world_refuses(w, &salvage, SKALD_EUNAVAILABLE, "no store");
    assert_int_not_equal(access(w->path, F_OK), 0);
}

static void test_the_end_is_damaged_and_nobody_knows_how_far(void **state)
{
    world *w = *state;
    void *driver = NULL;

    store_crash(w, 5);
    world_flip(w, first_name, 100, 1); // the segment's header
    world_refuses(w, NULL, SKALD_ECORRUPT, "positions from 1 on");
    driver = world_open(w, &salvage);
    assert_int_equal(read_all(driver, false).refused, 1); // not: nothing there
    assert_int_equal(read_all(driver, true).refused, 1);
    ski_store_log.close(driver);
}

// Positions that no segment has room for, in a frame and in the manifest, with checksums that are
// right: they are not believed, for each one that is missing takes memory.
static void test_positions_out_of_the_world(void **state)
{
    world *w = *state;
    static uint8_t bytes[2 * 1024 * 1024];
    uint8_t *frame = bytes + frame_at(5);
    ski_segment_header header;
    ski_manifest manifest = {0};
    unsigned damaged = 0;
    bool unsure = false;
    seen all;
    void *driver = NULL;

    store_crash(w, 5);
    world_flip(w, first_name, frame_at(4) + 200, 1);
    assert_true(file_read(w, first_name, bytes, sizeof bytes) > frame_at(6));
    assert_int_equal(ski_segment_header_get(bytes, &header), SKALD_OK);
    ski_put_u64(frame + 8, UINT64_C(1) << 30);
    ski_put_u32(frame + 60, ski_crc32c(ski_frame_seed(header.salt), frame, 60));
    ski_put_u32(frame + frame_len - 8,
                ski_crc32c(ski_crc32c(0, frame, 60), frame + 64, frame_len - 8 - 64));
    file_write(w, first_name, frame_at(5), frame, frame_len);
    driver = world_open(w, &salvage);
    all = read_all(driver, false);
    assert_int_equal(all.count, 3);
    assert_int_equal(all.refused, 1);
    ski_store_log.close(driver);
    assert_int_equal(ski_manifest_load(&w->kernel, w->path, false, &manifest, &damaged), SKALD_OK);
    manifest.durable_pos = UINT64_C(1) << 40;
    for (unsigned i = 0; i < SKI_MANIFEST_COPIES; i++) {
        assert_int_equal(ski_manifest_save(&w->kernel, w->path, &manifest, &unsure), SKALD_OK);
    }
    ski_manifest_fini(&manifest);
    driver = world_open(w, &salvage);
    assert_true(ski_store_log.head(driver) <= SKI_SEGMENT_EVENTS_MAX);
    all = read_all(driver, false);
    assert_int_equal(all.count, 3);
    assert_int_equal(all.refused, 1);
    ski_store_log.close(driver);
}

static void test_values_that_are_damaged(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    skald_store_value value = {SKALD_STR("checkpoint"), SKALD_STR("1")};
    world_batch mine;

    assert_int_equal(world_append(driver, 1, data_len), SKALD_OK);
    world_batch_make(&mine, 0, 100);
    mine.batch.event_count = 0;
    mine.batch.values = &value;
    mine.batch.value_count = 1;
    for (int i = 0; i < 2; i++)
        assert_int_equal(ski_store_log.commit(driver, &mine.batch), SKALD_OK);
    image(w, "crashed");
    ski_store_log.close(driver);
    // The first of them is damaged. It has no position, and still it was acknowledged.
    world_flip(w, first_name, frame_at(2) + 70, 1);
    world_refuses(w, NULL, SKALD_ECORRUPT, "no events, but stored values");
}

static void test_segments_that_are_missing_or_too_many(void **state)
{
    world *w = *state;
    char from[400], to[400];
    void *driver = NULL;
    seen all;

    store_fill(w, &small, 350); // three segments
    path_of(w, "seg-00000002.0.log", from);
    path_of(w, "kept", to);
    assert_int_equal(rename(from, to), 0);
    world_refuses(w, &small, SKALD_ECORRUPT, "seg-00000002.0.log");
    driver = world_open(w, &salvage);
    all = read_all(driver, false);
    assert_true(all.refused == 1 && all.count > 150 && all.count < 300);
    assert_int_equal(all.positions[all.count - 1], 350);
    ski_store_log.close(driver);
    assert_int_equal(rename(to, from), 0);
    // One that is no part of the store is set aside, not deleted. Another generation of one that is
    // there is of no use.
    path_of(w, "seg-00000002.1.log", from);
    (void)fclose(fopen(from, "wb"));
    path_of(w, "seg-00000004.1.log", to);
    (void)fclose(fopen(to, "wb"));
    world_flip(w, "seg-00000002.0.log", 40, 1); // an opening that is refused leaves them
    world_refuses(w, &small, SKALD_ECORRUPT, "No data was changed");
    world_flip(w, "seg-00000002.0.log", 40, 1);
    assert_int_equal(access(from, F_OK) || access(to, F_OK), 0);
    store_goes_on(w, &small, 350);
    assert_int_not_equal(access(from, F_OK), 0);
    assert_int_not_equal(access(to, F_OK), 0);
    path_of(w, "aside-seg-00000004.1.log", to);
    assert_int_equal(access(to, F_OK), 0);
    // A segment behind a gap says that one is missing.
    path_of(w, "seg-00000009.0.log", to);
    (void)fclose(fopen(to, "wb"));
    world_refuses(w, &small, SKALD_ECORRUPT, "is not there");
    assert_int_equal(access(to, F_OK), 0);
}

static void test_the_last_segment_is_gone(void **state)
{
    world *w = *state;
    char path[400];

    store_fill(w, &small, 350);
    path_of(w, "seg-00000003.0.log", path);
    assert_int_equal(unlink(path), 0);
    world_refuses(w, &small, SKALD_ECORRUPT, "seg-00000003.0.log"); // the manifest knows it
}

static void test_segments_in_the_wrong_place(void **state)
{
    world *w = *state;
    char one[400], two[400], other[400];

    store_fill(w, &small, 350);
    path_of(w, "seg-00000001.0.log", one);
    path_of(w, "seg-00000002.0.log", two);
    path_of(w, "kept", other);
    assert_int_equal(rename(one, other), 0);
    assert_int_equal(rename(two, one), 0);
    assert_int_equal(rename(other, two), 0);
    world_refuses(w, &small, SKALD_ECORRUPT, "seg-00000001.0.log");
}

static void test_manifests(void **state)
{
    world *w = *state;
    char path[400];
    void *driver = NULL;

    store_fill(w, &small, 350);
    path_of(w, "MANIFEST-0", path);
    assert_int_equal(unlink(path), 0);
    store_goes_on(w, &small, 350); // the other one is enough, and this one is made anew
    world_flip(w, "MANIFEST-0", 40, 1);
    store_goes_on(w, &small, 353);
    world_flip(w, "MANIFEST-0", 40, 1);
    world_flip(w, "MANIFEST-1", 40, 1);
    world_refuses(w, &small, SKALD_ECORRUPT, "neither MANIFEST-0 nor MANIFEST-1");
    driver = world_open(w, &salvage);
    assert_int_equal(world_check(driver, 1, data_len), 356);
    ski_store_log.close(driver);
}

// names sees to it that the name of MANIFEST-0 is stored before MANIFEST-1 is written again.
typedef struct names {
    uint64_t stored;
    bool fails;
} names;

static skald_err names_sync_dir(void *context, const char *path)
{
    world *w = context;
    names *told = w->mine;
    char copy[400];

    path_of(w, "MANIFEST-0", copy);
    if (access(copy, F_OK) != 0) return ski_kernel_system.sync_dir(NULL, path);
    if (told->fails) return SKALD_EIO;
    told->stored++;
    return ski_kernel_system.sync_dir(NULL, path);
}

static skald_err names_open(void *context, const char *path, unsigned flags, ski_file **ret_file,
                            skald_error *reterr_error)
{
    world *w = context;
    const names *told = w->mine;

    if ((flags & SKI_OPEN_CREATE) && strstr(path, "MANIFEST-1")) assert_true(told->stored > 0);
    return world_open_file(context, path, flags, ret_file, reterr_error);
}

static void edit_twice(world *w)
{
    ski_manifest manifest = {0};
    bool unsure = false;
    unsigned damaged = 0;

    assert_int_equal(ski_manifest_load(&w->kernel, w->path, false, &manifest, &damaged), SKALD_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ski_manifest_save(&w->kernel, w->path, &manifest, &unsure), SKALD_OK);
    ski_manifest_fini(&manifest);
}

// A crash while the store was made has left one manifest, and no name of the other.
static void test_a_manifest_without_the_other(void **state)
{
    world *w = *state;
    ski_manifest manifest = {.store = {{7}}};
    names told = {.fails = true};
    bool unsure = false;
    uint64_t stored;
    char copy[400];

    assert_int_equal(ski_kernel_make_dirs(&ski_kernel_system, w->path, NULL), SKALD_OK);
    assert_int_equal(ski_manifest_save(&w->kernel, w->path, &manifest, &unsure), SKALD_OK);
    w->mine = &told;
    w->kernel.sync_dir = names_sync_dir;
    w->kernel.open = names_open;
    world_refuses(w, &small, SKALD_EIO, "");
    assert_int_equal(told.stored, 0);
    told.fails = false;
    store_fill(w, &small, 3);
    // Where both were there it costs nothing, where one was not it is done once.
    stored = told.stored;
    edit_twice(w);
    assert_int_equal(told.stored, stored);
    path_of(w, "MANIFEST-0", copy);
    assert_int_equal(unlink(copy), 0);
    edit_twice(w);
    assert_int_equal(told.stored, stored + 1);
}

static void test_a_store_of_the_future(void **state)
{
    world *w = *state;
    static uint8_t bytes[2 * 1024 * 1024];
    ski_segment_header header;
    uint32_t seed = 0;

    store_crash(w, 3);
    (void)file_read(w, first_name, bytes, sizeof bytes);
    assert_int_equal(ski_segment_header_get(bytes, &header), SKALD_OK);
    seed = ski_frame_seed(header.salt);
    bytes[frame_at(2) + 41] = 2; // its version
    ski_put_u32(bytes + frame_at(2) + 60, ski_crc32c(seed, bytes + frame_at(2), 60));
    file_write(w, first_name, frame_at(2), bytes + frame_at(2), 64);
    world_refuses(w, NULL, SKALD_EUNSUPPORTED, "newer version");
    ski_put_u16(bytes + 12, 2);
    ski_put_u32(bytes + 4092, ski_crc32c(0, bytes, 4092));
    file_write(w, first_name, 0, bytes, 4096);
    world_refuses(w, NULL, SKALD_EUNSUPPORTED, "newer version");
}

// A frame that may be passed over is, with its place in the chain.
static void test_a_frame_that_may_be_passed_over(void **state)
{
    world *w = *state;
    static uint8_t bytes[2 * 1024 * 1024];
    uint8_t frame[SKI_FRAME_BYTES_MIN];
    ski_segment_header segment;
    ski_frame_header last = {0}, header;
    uint32_t seed = 0;

    store_crash(w, 3);
    (void)file_read(w, first_name, bytes, sizeof bytes);
    assert_int_equal(ski_segment_header_get(bytes, &segment), SKALD_OK);
    seed = ski_frame_seed(segment.salt);
    assert_int_equal(ski_frame_header_get(bytes + frame_at(3), seed, &last), SKALD_OK);
    header = last;
    header.kind = SKI_FRAME_IGNORABLE | 7;
    header.base_pos = 4;
    header.count = 0;
    header.body_len = 0;
    assert_int_equal(ski_frame_check(bytes + frame_at(3), &last, &header.prev_crc), SKALD_OK);
    (void)ski_frame_seal(frame, &header, seed);
    file_write(w, first_name, frame_at(4), frame, sizeof frame);
    store_goes_on(w, NULL, 3);
}

static void test_spares_of_an_earlier_time(void **state)
{
    world *w = *state;
    char path[400];
    static const char full[SKI_SEGMENT_HEADER + 64] = {[SKI_SEGMENT_HEADER] = 1};

    store_fill(w, &small, 3);
    path_of(w, "spare-00000007.tmp", path);
    (void)fclose(fopen(path, "wb"));
    path_of(w, "spare-00000008.log", path);
    (void)fclose(fopen(path, "wb"));
    path_of(w, "spare-00000009.log", path); // something is in it: it is not touched
    (void)fclose(fopen(path, "wb"));
    file_write(w, "spare-00000009.log", 0, full, sizeof full);
    store_goes_on(w, &small, 3);
    assert_int_equal(access(path, F_OK), 0);
    path_of(w, "spare-00000008.log", path);
    assert_int_not_equal(access(path, F_OK), 0);
    path_of(w, "spare-00000007.tmp", path);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_a_store_that_is_held(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    char text[40];

    (void)snprintf(text, sizeof text, "held by process %d", (int)getpid());
    world_refuses(w, NULL, SKALD_EHELD, text);
    world_refuses(w, &salvage, SKALD_EHELD, text);
    ski_store_log.close(driver);
}

static void test_options_that_make_no_sense(void **state)
{
    world *w = *state;
    skald_store_options options = {.segment_bytes = 1000};

    world_refuses(w, &options, SKALD_EINVALID, "64 KiB");
    options.segment_bytes = UINT64_C(2) << 30;
    world_refuses(w, &options, SKALD_EINVALID, "64 KiB");
    w->path[0] = '\0';
    world_refuses(w, NULL, SKALD_EINVALID, "directory");
}

// The device stops reading one place while the store is in use.
static void test_a_read_that_fails(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    uint64_t position = 0;

    for (uint64_t n = 1; n <= 10; n++)
        assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
    for (int backwards = 0; backwards < 2; backwards++) {
        seen all;

        world_fail(w, CALL_PREAD, 1, 2, SKALD_EIO); // the run, then its first event alone
        all = read_all(driver, backwards);
        // Backwards what is newer comes first, and by then the device reads again.
        assert_int_equal(all.refused, backwards ? 0 : 1);
        assert_int_equal(all.count, backwards ? 10 : 9);
    }
    world_fail(w, CALL_PREAD, 1, 1, SKALD_EIO);
    assert_int_equal(ski_store_log.find_id(driver, SKALD_STR(""), world_id(3), &position),
                     SKALD_ECORRUPT);
    assert_int_equal(ski_store_log.find_id(driver, SKALD_STR(""), world_id(3), &position),
                     SKALD_OK);
    assert_int_equal(position, 3);
    ski_store_log.close(driver);
}

// An event changed on the disk under a running store: refused by its own checksum, and found by
// verify.
static void test_rot_while_in_use(void **state)
{
    world *w = *state;
    void *driver = world_open(w, NULL);
    size_t reported = 0;
    skald_verify_options options = {.damaged = count_damage, .context = &reported};
    skald_verified verified = {0};
    seen all;

    for (uint64_t n = 1; n <= 10; n++)
        assert_int_equal(world_append(driver, n, data_len), SKALD_OK);
    world_flip(w, first_name, frame_at(4) + 150, 4);
    all = read_all(driver, false);
    assert_true(all.refused == 1 && all.count == 9);
    assert_int_equal(ski_store_log.verify(driver, &options, &verified, NULL), SKALD_ECORRUPT);
    assert_true(reported == 1 && verified.damaged == 1 && verified.events == 9);
    assert_int_equal(world_append(driver, 11, data_len), SKALD_OK);
    ski_store_log.close(driver);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(test_a_torn_tail_is_cut_off),
        WORLD(test_garbage_behind_the_end_is_wiped),
        WORLD(test_any_bit_of_a_closed_store),
        WORLD(test_read_only_shows_what_is_left),
        WORLD(test_very_many_damages),
        WORLD(test_read_only_writes_nothing),
        WORLD(test_read_only_needs_a_store),
        WORLD(test_the_end_is_damaged_and_nobody_knows_how_far),
        WORLD(test_positions_out_of_the_world),
        WORLD(test_values_that_are_damaged),
        WORLD(test_segments_that_are_missing_or_too_many),
        WORLD(test_the_last_segment_is_gone),
        WORLD(test_segments_in_the_wrong_place),
        WORLD(test_manifests),
        WORLD(test_a_manifest_without_the_other),
        WORLD(test_a_store_of_the_future),
        WORLD(test_a_frame_that_may_be_passed_over),
        WORLD(test_spares_of_an_earlier_time),
        WORLD(test_a_store_that_is_held),
        WORLD(test_options_that_make_no_sense),
        WORLD(test_a_read_that_fails),
        WORLD(test_rot_while_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
