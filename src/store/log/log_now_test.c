// SPDX-License-Identifier: Apache-2.0
// One event for who may not wait: given when it is in the window and the kernel has it, and for
// every reason there is to wait nothing but UNAVAILABLE.
#include "store/log/log_world.h"
#include "store/log/now.h"

enum { events = 5, data_bytes = 100, too_large = 4000 };

static skald_err there(void *context, ski_file *file, void *buf, size_t len, uint64_t offset)
{
    size_t got = 0;
    skald_err err = ski_kernel_system.pread(NULL, file, buf, len, offset, &got);

    (void)context;
    return err || got < len ? SKALD_EUNAVAILABLE : SKALD_OK;
}

static skald_err away(void *context, ski_file *file, void *buf, size_t len, uint64_t offset)
{
    (void)context;
    (void)file;
    (void)buf;
    (void)len;
    (void)offset;
    return SKALD_EUNAVAILABLE;
}

static skald_err rotten(void *context, ski_file *file, void *buf, size_t len, uint64_t offset)
{
    skald_err err = there(context, file, buf, len, offset);

    if (!err) ((uint8_t *)buf)[len / 2] ^= 1;
    return err;
}

static void *store_of(world *w)
{
    void *driver = NULL;

    w->kernel.pread_now = there;
    driver = world_open(w, &(skald_store_options){0});
    for (uint64_t n = 1; n <= events; n++)
        assert_int_equal(world_append(driver, n, data_bytes), SKALD_OK);
    return driver;
}

static skald_err ask(void *driver, skald_str tenant, uint64_t n)
{
    skald_arena *arena = NULL;
    skald_event event = {0};
    char data[data_bytes + 1];

    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    skald_err err = ski_store_log.event_now(driver, tenant, world_id(n), arena, &event);
    if (!err) {
        assert_int_equal(event.position, n);
        assert_int_equal(event.stream_version, n);
        assert_true(skald_str_equal(event.data, world_data(n, data_bytes, data)));
    }
    skald_arena_free(arena);
    return err;
}

static void gives_what_is_in_the_window(void **state)
{
    void *driver = store_of(*state);

    for (uint64_t n = 1; n <= events; n++) assert_int_equal(ask(driver, (skald_str){"", 0}, n), 0);
    ski_store_log.close(driver);
}

static void leaves_all_else_to_who_may_wait(void **state)
{
    world *w = *state;
    void *driver = store_of(w);
    skald_str none = {"", 0};

    assert_int_equal(ask(driver, none, events + 1), SKALD_EUNAVAILABLE);
    assert_int_equal(ask(driver, SKALD_STR("other"), 1), SKALD_EUNAVAILABLE);
    assert_int_equal(world_append(driver, events + 1, too_large), SKALD_OK);
    assert_int_equal(ask(driver, none, events + 1), SKALD_EUNAVAILABLE);
    w->kernel.pread_now = away;
    assert_int_equal(ask(driver, none, 1), SKALD_EUNAVAILABLE);
    w->kernel.pread_now = rotten;
    assert_int_equal(ask(driver, none, 1), SKALD_EUNAVAILABLE);
    w->kernel.pread_now = NULL;
    assert_int_equal(ask(driver, none, 1), SKALD_EUNAVAILABLE);
    ski_store_log.close(driver);
}

static void never_asks_for_what_may_wait(void **state)
{
    world *w = *state;
    void *driver = store_of(w);

    world_fail(w, CALL_PREAD, 1, UINT64_MAX, SKALD_EIO);
    assert_int_equal(ask(driver, (skald_str){"", 0}, 1), SKALD_OK);
    assert_int_equal(ask(driver, (skald_str){"", 0}, 99), SKALD_EUNAVAILABLE);
    ski_store_log.close(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_what_is_in_the_window, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(leaves_all_else_to_who_may_wait, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(never_asks_for_what_may_wait, world_setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
