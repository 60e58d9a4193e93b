// SPDX-License-Identifier: Apache-2.0
// The simulated disk keeps the promises of a real one, and breaks exactly those it is told to.
#include "sim/sim_rot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static sim_disk *disk;
static const ski_kernel *kernel;

static int setup(void **state)
{
    (void)state;
    disk = sim_disk_new();
    kernel = sim_disk_kernel(disk);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sim_disk_free(disk);
    return 0;
}

static ski_file *file_open(const char *path, unsigned flags)
{
    ski_file *file = NULL;

    assert_int_equal(kernel->open(kernel->context, path, flags, &file, NULL), SKALD_OK);
    return file;
}

// file_make leaves a synced file under a synced name.
static void file_make(const char *path, const char *text)
{
    ski_file *file = file_open(path, SKI_OPEN_WRITE | SKI_OPEN_CREATE);

    assert_int_equal(kernel->pwrite(kernel->context, file, text, strlen(text), 0), SKALD_OK);
    assert_int_equal(kernel->sync(kernel->context, file), SKALD_OK);
    kernel->close(kernel->context, file);
    assert_int_equal(kernel->sync_dir(kernel->context, "/sim"), SKALD_OK);
}

static skald_err file_put(const char *path, const char *text, uint64_t offset)
{
    ski_file *file = file_open(path, SKI_OPEN_WRITE | SKI_OPEN_CREATE);
    skald_err err = kernel->pwrite(kernel->context, file, text, strlen(text), offset);

    kernel->close(kernel->context, file);
    return err;
}

// file_is says whether a file has this text; NULL: whether it is not there.
static bool file_is(const char *path, const char *text)
{
    char bytes[8192];
    size_t got = 0;
    ski_file *file = NULL;
    skald_err err = kernel->open(kernel->context, path, 0, &file, NULL);

    if (!text) return err == SKALD_ENOTFOUND;
    if (err) return false;
    assert_int_equal(kernel->pread(kernel->context, file, bytes, sizeof bytes, 0, &got), SKALD_OK);
    kernel->close(kernel->context, file);
    return got == strlen(text) && memcmp(bytes, text, got) == 0;
}

static void test_what_is_synced_stays(void **state)
{
    (void)state;
    for (int fate = 0; fate < SIM_FATE_COUNT; fate++) {
        for (uint64_t seed = 0; seed < 8; seed++) {
            file_make("/sim/a", "hello");
            sim_disk_reboot(disk, (sim_fate)fate, seed);
            assert_true(file_is("/sim/a", "hello"));
        }
    }
}

static void test_what_is_not_synced_goes_with_the_power_only(void **state)
{
    (void)state;
    file_make("/sim/a", "old");
    assert_int_equal(file_put("/sim/a", "new", 0), SKALD_OK);
    sim_disk_restart(disk);
    assert_true(file_is("/sim/a", "new"));
    sim_disk_reboot(disk, SIM_FATE_LOST, 1);
    assert_true(file_is("/sim/a", "old"));
    assert_int_equal(file_put("/sim/a", "new", 0), SKALD_OK);
    sim_disk_reboot(disk, SIM_FATE_KEPT, 1);
    assert_true(file_is("/sim/a", "new"));
}

static void test_size_and_data_go_apart(void **state)
{
    (void)state;
    file_make("/sim/a", "ab");
    assert_int_equal(file_put("/sim/a", "cd", 2), SKALD_OK);
    sim_disk_reboot(disk, SIM_FATE_DATA_ONLY, 1);
    assert_true(file_is("/sim/a", "ab"));
    assert_int_equal(file_put("/sim/a", "XY", 0), SKALD_OK);
    sim_disk_reboot(disk, SIM_FATE_DATA_ONLY, 1);
    assert_true(file_is("/sim/a", "XY"));
    assert_int_equal(file_put("/sim/a", "zz", 2), SKALD_OK);
    sim_disk_reboot(disk, SIM_FATE_METADATA_ONLY, 1);
    assert_false(file_is("/sim/a", "XY")); // two zero bytes follow
    assert_false(file_is("/sim/a", "XYzz"));
}

static void test_truncation_is_a_change_too(void **state)
{
    ski_file *file = NULL;

    (void)state;
    file_make("/sim/a", "abcdef");
    file = file_open("/sim/a", SKI_OPEN_WRITE);
    assert_int_equal(kernel->truncate(kernel->context, file, 2), SKALD_OK);
    kernel->close(kernel->context, file);
    assert_true(file_is("/sim/a", "ab"));
    sim_disk_reboot(disk, SIM_FATE_LOST, 1);
    assert_true(file_is("/sim/a", "abcdef"));
    file = file_open("/sim/a", SKI_OPEN_WRITE);
    assert_int_equal(kernel->truncate(kernel->context, file, 2), SKALD_OK);
    kernel->close(kernel->context, file);
    sim_disk_reboot(disk, SIM_FATE_METADATA_ONLY, 1);
    assert_true(file_is("/sim/a", "ab"));
}

// Bytes beside an unsynced write never change; its own sectors take every state there is.
static void test_sectors_fall_apart_and_only_they(void **state)
{
    char old[4 * SIM_SECTOR + 1], new[3 * SIM_SECTOR + 1], bytes[sizeof old];
    unsigned seen_old = 0, seen_new = 0, seen_other = 0;

    (void)state;
    memset(old, 'o', sizeof old - 1);
    memset(new, 'n', sizeof new - 1);
    old[sizeof old - 1] = new[sizeof new - 1] = '\0';
    for (uint64_t seed = 0; seed < 200; seed++) {
        ski_file *file = NULL;
        size_t got = 0;

        file_make("/sim/a", old);
        assert_int_equal(file_put("/sim/a", new, 100), SKALD_OK);
        sim_disk_reboot(disk, SIM_FATE_MIXED, seed);
        file = file_open("/sim/a", 0);
        assert_int_equal(kernel->pread(kernel->context, file, bytes, sizeof bytes, 0, &got),
                         SKALD_OK);
        kernel->close(kernel->context, file);
        assert_int_equal(got, sizeof old - 1);
        assert_memory_equal(bytes, old, 100);
        assert_memory_equal(bytes + 100 + 3 * SIM_SECTOR, old, SIM_SECTOR - 100);
        if (memcmp(bytes + SIM_SECTOR, old, SIM_SECTOR) == 0)
            seen_old++;
        else if (memcmp(bytes + SIM_SECTOR, new, SIM_SECTOR) == 0)
            seen_new++;
        else
            seen_other++;
    }
    assert_true(seen_old > 40 && seen_new > 40 && seen_other > 10);
}

static void test_names_need_their_directory_synced(void **state)
{
    ski_file *file = NULL;

    (void)state;
    file = file_open("/sim/a", SKI_OPEN_WRITE | SKI_OPEN_CREATE | SKI_OPEN_NEW);
    assert_int_equal(kernel->pwrite(kernel->context, file, "x", 1, 0), SKALD_OK);
    assert_int_equal(kernel->sync(kernel->context, file), SKALD_OK);
    kernel->close(kernel->context, file);
    sim_disk_reboot(disk, SIM_FATE_LOST, 1);
    assert_true(file_is("/sim/a", NULL));

    file_make("/sim/a", "a");
    file_make("/sim/b", "b");
    assert_int_equal(kernel->rename(kernel->context, "/sim/a", "/sim/b"), SKALD_OK);
    assert_true(file_is("/sim/b", "a"));
    sim_disk_reboot(disk, SIM_FATE_DATA_ONLY, 1);
    assert_true(file_is("/sim/a", "a"));
    assert_true(file_is("/sim/b", "b"));
    assert_int_equal(kernel->rename(kernel->context, "/sim/a", "/sim/b"), SKALD_OK);
    assert_int_equal(kernel->sync_dir(kernel->context, "/sim"), SKALD_OK);
    sim_disk_reboot(disk, SIM_FATE_LOST, 1);
    assert_true(file_is("/sim/a", NULL));
    assert_true(file_is("/sim/b", "a"));

    assert_int_equal(kernel->unlink(kernel->context, "/sim/b"), SKALD_OK);
    sim_disk_reboot(disk, SIM_FATE_LOST, 1);
    assert_true(file_is("/sim/b", "a"));
    assert_int_equal(kernel->unlink(kernel->context, "/sim/b"), SKALD_OK);
    sim_disk_reboot(disk, SIM_FATE_KEPT, 1);
    assert_true(file_is("/sim/b", NULL));
}

static void test_directories_are_names_too(void **state)
{
    (void)state;
    assert_int_equal(kernel->make_dir(kernel->context, "/sim/d"), SKALD_OK);
    assert_int_equal(kernel->make_dir(kernel->context, "/sim/d"), SKALD_OK);
    assert_int_equal(kernel->make_dir(kernel->context, "/sim/none/d"), SKALD_ENOTFOUND);
    assert_int_equal(file_put("/sim/d/a", "x", 0), SKALD_OK);
    assert_int_equal(kernel->sync_dir(kernel->context, "/sim/d"), SKALD_OK);
    sim_disk_reboot(disk, SIM_FATE_LOST, 1);
    assert_true(file_is("/sim/d/a", NULL));
    assert_int_equal(kernel->make_dir(kernel->context, "/sim/d"), SKALD_OK);
    assert_int_equal(kernel->sync_dir(kernel->context, "/sim"), SKALD_OK);
    sim_disk_reboot(disk, SIM_FATE_LOST, 1);
    assert_int_equal(file_put("/sim/d/a", "x", 0), SKALD_OK);
}

static void test_errors_of_the_table(void **state)
{
    ski_file *file = NULL, *second = NULL;
    skald_error error = {0};

    (void)state;
    assert_int_equal(kernel->open(kernel->context, "/sim/none", 0, &file, &error), SKALD_ENOTFOUND);
    assert_non_null(strstr(error.text, "/sim/none"));
    file_make("/sim/a", "a");
    assert_int_equal(kernel->open(kernel->context, "/sim/a",
                                  SKI_OPEN_WRITE | SKI_OPEN_CREATE | SKI_OPEN_NEW, &file, NULL),
                     SKALD_EEXISTS);
    assert_int_equal(kernel->rename(kernel->context, "/sim/none", "/sim/b"), SKALD_ENOTFOUND);
    assert_int_equal(kernel->unlink(kernel->context, "/sim/none"), SKALD_ENOTFOUND);
    assert_int_equal(kernel->sync_dir(kernel->context, "/sim/none"), SKALD_ENOTFOUND);
    file = file_open("/sim/a", SKI_OPEN_WRITE);
    second = file_open("/sim/a", SKI_OPEN_WRITE);
    assert_int_equal(kernel->lock(kernel->context, file), SKALD_OK);
    assert_int_equal(kernel->lock(kernel->context, second), SKALD_EHELD);
    kernel->close(kernel->context, file);
    assert_int_equal(kernel->lock(kernel->context, second), SKALD_OK);
    kernel->close(kernel->context, second);
}

static void test_crash_stops_everything(void **state)
{
    (void)state;
    file_make("/sim/a", "old");
    sim_disk_plan(disk, (sim_plan){.at_op = 2, .fault = SIM_FAULT_CRASH_BEFORE});
    assert_int_equal(file_put("/sim/a", "new", 0), SKALD_EIO); // 1 open, 2 pwrite
    assert_true(sim_disk_fired(disk));
    assert_true(sim_disk_dead(disk));
    assert_int_equal(kernel->sync_dir(kernel->context, "/sim"), SKALD_EIO);
    assert_int_equal(sim_disk_ops(disk), 2);
    assert_int_equal(sim_disk_op(disk, 2), SIM_OP_PWRITE);
    sim_disk_restart(disk);
    assert_true(file_is("/sim/a", "old"));

    sim_disk_plan(disk, (sim_plan){.at_op = 1, .fault = SIM_FAULT_CRASH_AFTER});
    assert_int_equal(kernel->rename(kernel->context, "/sim/a", "/sim/b"), SKALD_EIO);
    sim_disk_restart(disk);
    assert_true(file_is("/sim/b", "old"));
}

static void test_failed_sync_as_ext4_does(void **state)
{
    ski_file *file = NULL;

    (void)state;
    file_make("/sim/a", "old");
    file = file_open("/sim/a", SKI_OPEN_WRITE);
    assert_int_equal(kernel->pwrite(kernel->context, file, "new", 3, 0), SKALD_OK);
    sim_disk_plan(disk, (sim_plan){.at_op = 1, .fault = SIM_FAULT_SYNC_EXT4});
    assert_int_equal(kernel->sync(kernel->context, file), SKALD_EIO);
    assert_true(file_is("/sim/a", "new"));
    assert_int_equal(kernel->sync(kernel->context, file), SKALD_OK); // the pages count as clean
    assert_true(file_is("/sim/a", "new"));
    assert_int_equal(kernel->forget(kernel->context, file), SKALD_OK);
    assert_true(file_is("/sim/a", "old"));
    kernel->close(kernel->context, file);
}

static void test_failed_sync_as_btrfs_does(void **state)
{
    ski_file *file = NULL;

    (void)state;
    file_make("/sim/a", "old");
    file = file_open("/sim/a", SKI_OPEN_WRITE);
    assert_int_equal(kernel->pwrite(kernel->context, file, "newer", 5, 0), SKALD_OK);
    sim_disk_plan(disk, (sim_plan){.at_op = 1, .fault = SIM_FAULT_SYNC_BTRFS});
    assert_int_equal(kernel->sync(kernel->context, file), SKALD_EIO);
    kernel->close(kernel->context, file);
    assert_true(file_is("/sim/a", "old"));
}

static void test_forget_keeps_what_is_dirty(void **state)
{
    ski_file *file = NULL;

    (void)state;
    file_make("/sim/a", "old");
    file = file_open("/sim/a", SKI_OPEN_WRITE);
    assert_int_equal(kernel->pwrite(kernel->context, file, "new", 3, 0), SKALD_OK);
    assert_int_equal(kernel->forget(kernel->context, file), SKALD_OK);
    kernel->close(kernel->context, file);
    assert_true(file_is("/sim/a", "new"));
}

static void test_no_space_until_there_is(void **state)
{
    uint64_t room = 0;

    (void)state;
    file_make("/sim/a", "old");
    sim_disk_plan(disk, (sim_plan){.at_op = 2, .fault = SIM_FAULT_SPACE});
    assert_int_equal(file_put("/sim/a", "new", 0), SKALD_EREADONLY);
    assert_int_equal(file_put("/sim/a", "new", 0), SKALD_EREADONLY);
    assert_int_equal(kernel->make_dir(kernel->context, "/sim/d"), SKALD_EREADONLY);
    assert_int_equal(kernel->room(kernel->context, "/sim", &room), SKALD_OK);
    assert_int_equal(room, 0);
    sim_disk_free_space(disk);
    assert_int_equal(file_put("/sim/a", "new", 0), SKALD_OK);
    assert_true(file_is("/sim/a", "new"));
}

static void test_writes_that_go_wrong_in_silence(void **state)
{
    (void)state;
    file_make("/sim/a", "old");
    sim_disk_plan(disk, (sim_plan){.at_op = 2, .fault = SIM_FAULT_LOST_WRITE});
    file_make("/sim/a", "new");
    assert_true(file_is("/sim/a", "new"));
    sim_disk_reboot(disk, SIM_FATE_KEPT, 1);
    assert_true(file_is("/sim/a", "old"));
    sim_disk_plan(disk, (sim_plan){.at_op = 2, .fault = SIM_FAULT_WRONG_WRITE});
    file_make("/sim/a", "new");
    sim_disk_reboot(disk, SIM_FATE_KEPT, 1);
    assert_true(file_is("/sim/a", "old"));
}

static void test_short_read_is_less_than_there_is(void **state)
{
    (void)state;
    file_make("/sim/a", "some text that is there");
    sim_disk_plan(disk, (sim_plan){.at_op = 2, .fault = SIM_FAULT_SHORT_READ, .seed = 5});
    assert_false(file_is("/sim/a", "some text that is there"));
    assert_true(file_is("/sim/a", "some text that is there"));
}

static void test_rot_is_somewhere_and_can_be_undone(void **state)
{
    unsigned seen = 0;

    (void)state;
    file_make("/sim/a", "ab");
    for (uint64_t place = 0; place < 20; place++) {
        for (int kind = SIM_ROT_BIT; kind <= SIM_ROT_GARBAGE; kind++) {
            sim_rot rot = sim_rot_make(disk, (sim_rot_kind)kind, place, 20, place);

            assert_false(file_is("/sim/a", "ab"));
            if (kind == SIM_ROT_BIT) seen |= 1u << rot.at;
            sim_rot_undo(disk, &rot);
            assert_true(file_is("/sim/a", "ab"));
        }
    }
    assert_int_equal(seen, 3); // either byte
}

static void test_stop_ends_the_process(void **state)
{
    (void)state;
    assert_null(sim_disk_stopped(disk));
    kernel->stop(kernel->context, "the disk failed");
    assert_string_equal(sim_disk_stopped(disk), "the disk failed");
    assert_int_equal(kernel->sync_dir(kernel->context, "/sim"), SKALD_EIO);
    sim_disk_restart(disk);
    assert_null(sim_disk_stopped(disk));
    assert_int_equal(kernel->sync_dir(kernel->context, "/sim"), SKALD_OK);
}

static void test_lies(void **state)
{
    (void)state;
    sim_disk_lie(disk, SIM_LIE_SYNC);
    file_make("/sim/a", "a");
    sim_disk_reboot(disk, SIM_FATE_LOST, 1);
    assert_true(file_is("/sim/a", ""));
    sim_disk_lie(disk, SIM_LIE_SYNC_DIR);
    file_make("/sim/b", "b");
    sim_disk_reboot(disk, SIM_FATE_LOST, 1);
    assert_true(file_is("/sim/b", NULL));
}

#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(test_what_is_synced_stays),
        DISK_TEST(test_what_is_not_synced_goes_with_the_power_only),
        DISK_TEST(test_size_and_data_go_apart),
        DISK_TEST(test_truncation_is_a_change_too),
        DISK_TEST(test_sectors_fall_apart_and_only_they),
        DISK_TEST(test_names_need_their_directory_synced),
        DISK_TEST(test_directories_are_names_too),
        DISK_TEST(test_errors_of_the_table),
        DISK_TEST(test_crash_stops_everything),
        DISK_TEST(test_failed_sync_as_ext4_does),
        DISK_TEST(test_failed_sync_as_btrfs_does),
        DISK_TEST(test_forget_keeps_what_is_dirty),
        DISK_TEST(test_no_space_until_there_is),
        DISK_TEST(test_writes_that_go_wrong_in_silence),
        DISK_TEST(test_short_read_is_less_than_there_is),
        DISK_TEST(test_rot_is_somewhere_and_can_be_undone),
        DISK_TEST(test_stop_ends_the_process),
        DISK_TEST(test_lies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
