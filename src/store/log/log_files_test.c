// SPDX-License-Identifier: Apache-2.0
// The headers of segments, names of files, the manifest and the lock.
#include "base/buf.h"
#include "base/hash.h"
#include "store/log/bytes.h"
#include "store/log/hold.h"
#include "store/log/log_world.h"
#include "store/log/manifest.h"
#include "store/log/segment.h"

#include <unistd.h>

static const ski_segment_header header_example = {.store = {{1, 2, 3}},
                                                  .no = 7,
                                                  .generation = 2,
                                                  .base_pos = 1001,
                                                  .salt = UINT64_C(0x1122334455667788),
                                                  .created_us = 5,
                                                  .prev_crc = 9,
                                                  .replaced_crc = 10};

static void test_segment_header(void **state)
{
    uint8_t bytes[SKI_SEGMENT_HEADER];
    ski_segment_header header;

    (void)state;
    ski_segment_header_put(bytes, &header_example);
    assert_int_equal(ski_segment_header_get(bytes, &header), SKALD_OK);
    assert_memory_equal(&header, &header_example, sizeof header);
    for (size_t byte = 0; byte < sizeof bytes; byte++) {
        bytes[byte] ^= (uint8_t)(1 << byte % 8);
        assert_int_equal(ski_segment_header_get(bytes, &header), SKALD_ECORRUPT);
        bytes[byte] ^= (uint8_t)(1 << byte % 8);
    }
}

static void test_segment_header_of_the_future(void **state)
{
    static const size_t places[] = {12, 64}; // the oldest reader; a flag that must be understood
    uint8_t bytes[SKI_SEGMENT_HEADER];
    ski_segment_header header;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        ski_segment_header_put(bytes, &header_example);
        bytes[places[i]] += 1;
        ski_put_u32(bytes + 4092, ski_crc32c(0, bytes, 4092));
        assert_int_equal(ski_segment_header_get(bytes, &header), SKALD_EUNSUPPORTED);
    }
    ski_segment_header_put(bytes, &header_example);
    bytes[66] = 1; // a flag that need not be
    ski_put_u32(bytes + 4092, ski_crc32c(0, bytes, 4092));
    assert_int_equal(ski_segment_header_get(bytes, &header), SKALD_OK);
}

static void test_names(void **state)
{
    static const char *const refused[] = {
        "seg-1.0.log",
        "seg-00000001.log",
        "seg-00000001.00.log",
        "seg-00000001.0.logs",
        "seg-99999999999.0.log",
        "seg-0000000x.0.log",
        "aside-seg-00000001.0.log",
        "seg-",
        "",
    };
    char name[SKI_SEGMENT_NAME];
    uint32_t no = 0, generation = 0;
    bool making = false;

    (void)state;
    ski_segment_name(name, 4000000000, 3);
    assert_string_equal(name, "seg-4000000000.3.log");
    assert_true(ski_segment_name_parse(name, &no, &generation));
    assert_true(no == 4000000000 && generation == 3);
    assert_true(ski_segment_name_parse("seg-00000012.0.log", &no, &generation));
    assert_true(no == 12 && generation == 0);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_false(ski_segment_name_parse(refused[i], &no, &generation));
    }
    assert_true(ski_spare_name_parse("spare-00000012.tmp", &no, &making) && no == 12 && making);
    assert_true(ski_spare_name_parse("spare-00000012.log", &no, &making) && !making);
    assert_false(ski_spare_name_parse("spare-00000012.old", &no, &making));
    assert_false(ski_spare_name_parse("spare-12.log", &no, &making));
}

static ski_manifest manifest_example(uint32_t segments)
{
    ski_manifest manifest = {.store = {{4, 5, 6}},
                             .edit = 3,
                             .durable_pos = 99,
                             .durable_no = segments,
                             .durable_off = 5000};

    for (uint32_t i = 1; i <= segments; i++) {
        assert_int_equal(ski_manifest_add(&manifest, i, i % 2), SKALD_OK);
    }
    return manifest;
}

static void test_manifest_codec(void **state)
{
    ski_manifest manifest = manifest_example(40), again = {0};
    skald_buf buf = {.bytes_max = 10000};

    (void)state;
    assert_int_equal(ski_manifest_put(&manifest, &buf), SKALD_OK);
    assert_int_equal(buf.len, 64 + 40 * 8 + 4);
    assert_int_equal(ski_manifest_get(ski_buf_str(&buf), &again), SKALD_OK);
    assert_int_equal(again.segment_count, 40);
    assert_int_equal(again.durable_off, 5000);
    assert_int_equal(again.segments[38].no, 39);
    assert_int_equal(again.segments[38].generation, 1);
    ski_manifest_fini(&again);
    for (size_t byte = 0; byte < buf.len; byte++) {
        buf.ptr[byte] ^= (char)(1 << byte % 8);
        assert_int_equal(ski_manifest_get(ski_buf_str(&buf), &again), SKALD_ECORRUPT);
        buf.ptr[byte] ^= (char)(1 << byte % 8);
        assert_int_equal(ski_manifest_get((skald_str){buf.ptr, byte}, &again), SKALD_ECORRUPT);
    }
    skald_buf_fini(&buf);
    ski_manifest_fini(&manifest);
}

static void test_manifest_limit(void **state)
{
    ski_manifest manifest = manifest_example(0);

    (void)state;
    for (uint32_t i = 0; i < SKI_MANIFEST_SEGMENTS_MAX; i++) {
        assert_int_equal(ski_manifest_add(&manifest, i + 1, 0), SKALD_OK);
    }
    assert_int_equal(ski_manifest_add(&manifest, 1, 0), SKALD_EFULL);
    ski_manifest_fini(&manifest);
}

static void manifest_spoil(world *w, const char *name)
{
    char path[300];
    FILE *file = NULL;

    (void)snprintf(path, sizeof path, "%s/%s", w->base, name);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 40, SEEK_SET), 0);
    assert_int_not_equal(fputc(0x55, file), EOF);
    (void)fclose(file);
}

static void test_manifest_copies(void **state)
{
    world *w = *state;
    ski_manifest manifest = manifest_example(2), loaded = {0};
    unsigned damaged = 0;
    bool unsure = false;

    assert_int_equal(ski_manifest_load(&w->kernel, w->base, true, &loaded, &damaged),
                     SKALD_ENOTFOUND);
    assert_int_equal(ski_manifest_save(&w->kernel, w->base, &manifest, &unsure), SKALD_OK); // 4
    manifest.durable_pos = 100;
    assert_int_equal(ski_manifest_save(&w->kernel, w->base, &manifest, &unsure), SKALD_OK); // 5
    assert_int_equal(manifest.edit, 5);
    assert_int_equal(ski_manifest_load(&w->kernel, w->base, true, &loaded, &damaged), SKALD_OK);
    assert_true(loaded.edit == 5 && loaded.durable_pos == 100 && damaged == 0);
    ski_manifest_fini(&loaded);
    manifest_spoil(w, "MANIFEST-1"); // edit 5
    assert_int_equal(ski_manifest_load(&w->kernel, w->base, false, &loaded, &damaged), SKALD_OK);
    assert_true(loaded.edit == 4 && loaded.durable_pos == 99 && damaged == 1);
    ski_manifest_fini(&loaded);
    manifest_spoil(w, "MANIFEST-0");
    assert_int_equal(ski_manifest_load(&w->kernel, w->base, false, &loaded, &damaged),
                     SKALD_ENOTFOUND);
    assert_int_equal(damaged, 2);
    ski_manifest_fini(&manifest);
}

// A save that failed writes the same copy the next time: the other one stays whole.
static void test_manifest_save_fails(void **state)
{
    world *w = *state;
    ski_manifest manifest = manifest_example(2), loaded = {0};
    unsigned damaged = 0;
    bool unsure = false;

    assert_int_equal(ski_manifest_save(&w->kernel, w->base, &manifest, &unsure), SKALD_OK);
    world_fail(w, CALL_PWRITE, 1, 1, SKALD_EREADONLY);
    w->fail_part = 10;
    assert_int_equal(ski_manifest_save(&w->kernel, w->base, &manifest, &unsure), SKALD_EREADONLY);
    assert_false(unsure);
    assert_int_equal(manifest.edit, 4);
    assert_int_equal(ski_manifest_load(&w->kernel, w->base, false, &loaded, &damaged), SKALD_OK);
    assert_true(loaded.edit == 4 && damaged == 1);
    ski_manifest_fini(&loaded);
    world_fail(w, CALL_SYNC, 1, 1, SKALD_EIO);
    assert_int_equal(ski_manifest_save(&w->kernel, w->base, &manifest, &unsure), SKALD_EIO);
    assert_true(unsure);
    ski_manifest_fini(&manifest);
}

static void test_hold_names_the_holder(void **state)
{
    world *w = *state;
    ski_file *file = NULL, *other = NULL;
    skald_error error = {0};
    char process[40];

    assert_int_equal(ski_hold_take(&w->kernel, w->path, false, &file, &error), SKALD_OK);
    assert_int_equal(ski_hold_take(&w->kernel, w->path, false, &other, &error), SKALD_EHELD);
    (void)snprintf(process, sizeof process, "process %d since ", (int)getpid());
    assert_non_null(strstr(error.text, process));
    assert_int_equal(ski_hold_take(&w->kernel, w->path, true, &other, &error), SKALD_EHELD);
    ski_hold_end(&w->kernel, file);
    w->kernel.close(w, file);
    assert_int_equal(ski_hold_take(&w->kernel, w->path, true, &file, &error), SKALD_OK);
    assert_int_equal(ski_hold_take(&w->kernel, w->path, false, &other, &error), SKALD_EHELD);
    assert_non_null(strstr(error.text, "another process"));
    w->kernel.close(w, file);
}

static void test_hold_read_only_makes_nothing(void **state)
{
    world *w = *state;
    ski_file *file = NULL;
    skald_error error = {0};

    assert_int_equal(ski_hold_take(&w->kernel, w->path, true, &file, &error), SKALD_OK);
    assert_null(file);
    assert_int_not_equal(access(w->path, F_OK), 0);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segment_header),
        cmocka_unit_test(test_segment_header_of_the_future),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_manifest_codec),
        cmocka_unit_test(test_manifest_limit),
        WORLD(test_manifest_copies),
        WORLD(test_manifest_save_fails),
        WORLD(test_hold_names_the_holder),
        WORLD(test_hold_read_only_makes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
