// SPDX-License-Identifier: Apache-2.0
// What is told of this process moves as it should.
#include "base/alloc.h"
#include "os/kernel.h"
#include "os/process.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
// cmocka wants the four above first
#include <cmocka.h>

static void tells_of_this_process(void **state SKALD_UNUSED)
{
    const ski_kernel *kernel = &ski_kernel_system;
    skald_time now = kernel->now(kernel->context);
    ski_process usage;

    ski_process_get(&usage);
    assert_true(usage.resident_bytes > 100000);
    assert_true(usage.virtual_bytes >= usage.resident_bytes);
    assert_true(usage.threads >= 1 && usage.threads < 100);
    assert_true(usage.files >= 3 && usage.files < usage.files_max);
    assert_true(usage.started_at <= now + 1000000);
    assert_true(usage.started_at > now - 3600 * INT64_C(1000000)); // a unit test is younger
}

static void counts_descriptors(void **state SKALD_UNUSED)
{
    ski_process before, during, after;
    int fd;

    ski_process_get(&before);
    fd = open("/dev/null", O_RDONLY);
    assert_true(fd >= 0);
    ski_process_get(&during);
    close(fd);
    ski_process_get(&after);
    assert_int_equal(during.files, before.files + 1);
    assert_int_equal(after.files, before.files);
}

static void counts_memory_and_time(void **state SKALD_UNUSED)
{
    enum { bytes = 32 << 20 };
    ski_process before, after;
    char *memory = ski_alloc(bytes);

    assert_non_null(memory);
    ski_process_get(&before);
    memset(memory, 1, bytes);
    for (int i = 0; i < 100; i++) ski_process_get(&after);
    assert_true(after.resident_bytes >= before.resident_bytes + bytes / 2);
    assert_true(after.cpu_us > before.cpu_us);
    ski_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_of_this_process),
        cmocka_unit_test(counts_descriptors),
        cmocka_unit_test(counts_memory_and_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
