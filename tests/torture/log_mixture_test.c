// SPDX-License-Identifier: Apache-2.0
// Files that are whole and do not belong together: a directory put together from two copies of one
// store that went on apart (a restore that took each file from another backup, a device that kept
// an older write). Every checksum is right; only the chain knows. And a last append that the device
// cannot read any more: no torn write, however much it looks like one.
#include "os/kernel.h"
#include "store/store.h"
#include "torture/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
// cmocka wants the first of these above
#include <cmocka.h>

// What the format says of frames, see docs/internals/store.md.
enum { frames_begin = 4096, frame_magic = 0x4d524653, segment_bytes = 64 * 1024 };

typedef struct copies {
    char folder[512];
    ski_kernel kernel;
    uint64_t bad_from, bad_to; // bytes of a segment that cannot be read
} copies;

static const char *path_of(const copies *of, const char *copy)
{
    static char paths[4][600];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", of->folder, copy);
    return path;
}

static skald_err open_copy(copies *of, const char *copy, bool read_only, skald_store **ret_store,
                           skald_error *reterr_error)
{
    char url[640];
    skald_store_options options = {.segment_bytes = segment_bytes, .read_only = read_only};

    (void)snprintf(url, sizeof url, "log:%s", path_of(of, copy));
    return ski_store_open_on(&of->kernel, url, &options, ret_store, reterr_error);
}

// append adds events of data `text`, each in an append of its own, and closes the store.
static void append(copies *of, const char *copy, unsigned count, const char *text, size_t len)
{
    skald_store *store = NULL;
    skald_error error = {0};
    char *data = malloc(len + 3);

    assert_non_null(data);
    data[0] = data[len + 1] = '"';
    for (size_t i = 0; i < len; i++) data[1 + i] = text[i % strlen(text)];
    if (open_copy(of, copy, false, &store, &error)) fail_msg("%s", error.text);
    for (unsigned i = 0; i < count; i++) {
        skald_event event = {.type = SKALD_STR("mix.x"),
                             .stream = SKALD_STR("mix-1"),
                             .data = {data, len + 2}};

        assert_int_equal(skald_store_append(store, &event, 1, NULL, NULL, &error), SKALD_OK);
    }
    skald_store_close(store);
    free(data);
}

static void copy_of(const copies *of, const char *from, const char *to)
{
    char command[1400];

    (void)snprintf(command, sizeof command, "cp -r '%s' '%s'", path_of(of, from), path_of(of, to));
    assert_int_equal(system(command), 0);
}

// file_read gives a segment of a copy, whole.
static uint8_t *file_read(const copies *of, const char *copy, const char *name, size_t *ret_len)
{
    char path[700];
    FILE *file = NULL;
    uint8_t *bytes = NULL;
    struct stat status;

    (void)snprintf(path, sizeof path, "%s/%s", path_of(of, copy), name);
    assert_int_equal(stat(path, &status), 0);
    bytes = malloc((size_t)status.st_size + 1);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)status.st_size, file), status.st_size);
    (void)fclose(file);
    *ret_len = (size_t)status.st_size;
    return bytes;
}

static void file_write(const copies *of, const char *copy, const char *name, const uint8_t *bytes,
                       size_t len)
{
    char path[700];
    FILE *file = NULL;

    (void)snprintf(path, sizeof path, "%s/%s", path_of(of, copy), name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static uint32_t u32_at(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

// frame_with finds the frame that holds a text; false: none does.
static bool frame_with(const uint8_t *bytes, size_t len, const char *text, size_t *ret_at,
                       size_t *ret_len)
{
    size_t at = frames_begin;

    while (at + 64 < len && u32_at(bytes + at) == frame_magic) {
        size_t frame_len = u32_at(bytes + at + 4);

        assert_true(frame_len >= 72 && at + frame_len <= len);
        if (memmem(bytes + at, frame_len, text, strlen(text))) {
            *ret_at = at;
            *ret_len = frame_len;
            return true;
        }
        at += frame_len;
    }
    return false;
}

// is_noticed: a store to write to is refused, with the file; verify names a range in it; and
// reading says so before it gives a wrong event.
static void is_noticed(copies *of, const char *copy, const char *name)
{
    skald_store *store = NULL;
    skald_error error = {0};
    skald_verified verified = {0};

    assert_int_equal(open_copy(of, copy, false, &store, &error), SKALD_ECORRUPT);
    assert_non_null(strstr(error.text, name));
    assert_int_equal(open_copy(of, copy, true, &store, &error), SKALD_OK);
    assert_int_equal(skald_store_verify(store, NULL, &verified, &error), SKALD_ECORRUPT);
    assert_true(verified.damaged);
    skald_store_close(store);
}

static void a_frame_of_another_history(void **state)
{
    copies *of = *state;
    const char *name = "seg-00000001.0.log";
    size_t len = 0, other_len = 0, at = 0, frame_len = 0, other_at = 0, other_frame_len = 0;
    uint8_t *bytes = NULL, *other = NULL;

    append(of, "left", 2, "common", 60);
    copy_of(of, "left", "right");
    append(of, "right", 1, "right.", 60); // first, so that times rise in the mixture too
    append(of, "left", 1, "left..", 60);
    append(of, "left", 1, "behind", 60);
    bytes = file_read(of, "left", name, &len);
    other = file_read(of, "right", name, &other_len);
    assert_true(frame_with(bytes, len, "left..", &at, &frame_len));
    assert_true(frame_with(other, other_len, "right.", &other_at, &other_frame_len));
    assert_int_equal(at, other_at); // else this test would show nothing
    assert_int_equal(frame_len, other_frame_len);
    memcpy(bytes + at, other + other_at, frame_len);
    file_write(of, "left", name, bytes, len);
    free(bytes);
    free(other);
    is_noticed(of, "left", name);
}

static void a_segment_of_another_history(void **state)
{
    copies *of = *state;
    const char *name = "seg-00000002.0.log";
    size_t len = 0;
    uint8_t *bytes = NULL;

    // Both come to their second segment with the same number of events.
    append(of, "east", 1, "common", 100);
    copy_of(of, "east", "west");
    append(of, "east", 10, "east..", 8000);
    append(of, "west", 10, "west..", 8000);
    bytes = file_read(of, "west", name, &len);
    file_write(of, "east", name, bytes, len);
    free(bytes);
    is_noticed(of, "east", name);
}

static skald_err pread_badly(void *context, ski_file *file, void *buf, size_t len, uint64_t offset,
                             size_t *ret_read)
{
    const copies *of = context;

    if (offset < of->bad_to && offset + len > of->bad_from) return SKALD_EIO;
    return ski_kernel_system.pread(NULL, file, buf, len, offset, ret_read);
}

static void what_cannot_be_read_was_not_torn(void **state)
{
    copies *of = *state;
    const char *name = "seg-00000001.0.log";
    size_t len = 0, at = 0, frame_len = 0, after_len = 0;
    uint8_t *bytes = NULL, *after = NULL;
    skald_store *store = NULL;
    skald_error error = {0};
    char data[20000];
    int status = 0;
    pid_t pid = 0;

    append(of, "crash", 3, "common", 500);
    // A process that dies at once, before the watermark over its last append is written.
    memset(data, 'x', sizeof data);
    memcpy(data, "\"last of all", 12);
    data[sizeof data - 1] = '"';
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        skald_event event = {.type = SKALD_STR("mix.x"), .data = {data, sizeof data}};

        if (open_copy(of, "crash", false, &store, NULL)) _exit(2);
        _exit(skald_store_append(store, &event, 1, NULL, NULL, NULL) ? 3 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    bytes = file_read(of, "crash", name, &len);
    assert_true(frame_with(bytes, len, "last of all", &at, &frame_len));
    of->bad_from = at + 8192; // in its data: what lies before it can be read
    of->bad_to = of->bad_from + 1;
    of->kernel.pread = pread_badly;
    of->kernel.context = of;
    assert_int_equal(open_copy(of, "crash", false, &store, &error), SKALD_ECORRUPT);
    of->kernel = ski_kernel_system;
    after = file_read(of, "crash", name, &after_len);
    assert_int_equal(after_len, len);
    assert_memory_equal(after, bytes, len); // nothing was wiped
    // The device can read again: the event is there.
    assert_int_equal(open_copy(of, "crash", false, &store, &error), SKALD_OK);
    assert_int_equal(skald_store_head(store), 4);
    skald_store_close(store);
    free(bytes);
    free(after);
}

static int setup(void **state)
{
    static copies world;

    world = (copies){.kernel = ski_kernel_system};
    torture_folder(world.folder, sizeof world.folder);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    torture_folder_remove(((copies *)*state)->folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_frame_of_another_history, setup, teardown),
        cmocka_unit_test_setup_teardown(a_segment_of_another_history, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_was_not_torn, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
