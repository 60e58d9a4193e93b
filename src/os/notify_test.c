// SPDX-License-Identifier: Apache-2.0
// What the service manager is told arrives as it was said; without one nothing happens.
#include "os/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

// manager listens as a service manager does; in the abstract namespace the name has no file.
static int manager(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    assert_true(fd >= 0 && len < sizeof address.sun_path);
    memcpy(address.sun_path, name, len);
    if (name[0] == '@') address.sun_path[0] = 0;
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void hears(int fd, const char *text)
{
    char heard[128] = "";

    assert_true(ski_notify(text));
    assert_int_equal(recv(fd, heard, sizeof heard - 1, MSG_DONTWAIT), strlen(text));
    assert_string_equal(heard, text);
}

static void the_manager_hears_every_message(void **state)
{
    char folder[] = "/tmp/skald-notify-XXXXXX";
    char name[64];
    int fd;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(name, sizeof name, "%s/socket", folder);
    fd = manager(name);
    hears(fd, "READY=1");
    hears(fd, "STOPPING=1\nSTATUS=bye");
    close(fd);
    assert_false(ski_notify("READY=1")); // nobody listens any more
    (void)unlink(name);
    (void)rmdir(folder);
    (void)snprintf(name, sizeof name, "@skald-notify-%d", (int)getpid());
    fd = manager(name);
    hears(fd, "READY=1");
    close(fd);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

static void without_a_manager_nothing_is_said(void **state)
{
    char longer[200];

    (void)state;
    memset(longer, '/', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_false(ski_notify("READY=1"));
    assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
    assert_false(ski_notify("READY=1"));
    assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
    assert_false(ski_notify("READY=1"));
    assert_int_equal(setenv("NOTIFY_SOCKET", longer, 1), 0);
    assert_false(ski_notify("READY=1"));
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

static void the_watchdog_is_ours_or_not_there(void **state)
{
    char pid[24];

    (void)state;
    assert_int_equal(ski_notify_watchdog_ms(), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "2500000", 1), 0);
    assert_int_equal(ski_notify_watchdog_ms(), 2500);
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    assert_int_equal(ski_notify_watchdog_ms(), 2500);
    assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
    assert_int_equal(ski_notify_watchdog_ms(), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "soon", 1), 0);
    assert_int_equal(ski_notify_watchdog_ms(), 0);
    assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manager_hears_every_message),
        cmocka_unit_test(without_a_manager_nothing_is_said),
        cmocka_unit_test(the_watchdog_is_ours_or_not_there),
    };

    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
