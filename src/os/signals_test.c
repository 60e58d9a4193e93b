// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "os/signals.h"

#include "os/kernel.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static const ski_kernel *const kernel = &ski_kernel_system;

static void a_held_signal_waits_to_be_asked_for(void **state)
{
    static const int asked[] = {SIGTERM, SIGINT};

    (void)state;
    ski_signals_hold();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kill(getpid(), SIGPIPE), 0); // held, but nothing to stop for
        assert_int_equal(kill(getpid(), asked[i]), 0);
        assert_int_equal(ski_signals_wait(0), asked[i]);
    }
}

static void waiting_ends_with_its_time(void **state)
{
    (void)state;
    ski_signals_hold();
    assert_int_equal(ski_signals_wait(1), 0);
}

static void ask(void *argument)
{
    (void)argument;
    kill(getpid(), SIGTERM);
}

static void threads_of_the_kernel_do_not_take_it(void **state)
{
    ski_thread thread;

    (void)state;
    ski_signals_hold();
    assert_int_equal(kernel->spawn(NULL, "asks", ask, NULL, &thread), SKALD_OK);
    assert_int_equal(ski_signals_wait(0), SIGTERM);
    kernel->join(NULL, thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_signal_waits_to_be_asked_for),
        cmocka_unit_test(waiting_ends_with_its_time),
        cmocka_unit_test(threads_of_the_kernel_do_not_take_it),
    };

    return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
