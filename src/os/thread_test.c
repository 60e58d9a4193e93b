// SPDX-License-Identifier: Apache-2.0
#include "os/thread.h"

#include "os/kernel.h"
#include "os/thread_sandbox.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const ski_kernel *const kernel = &ski_kernel_system;

typedef struct shared {
    ski_mutex mutex;
    ski_cond changed;
    uint64_t number;
    unsigned awake;
} shared;

static int shared_make(void **state)
{
    static shared the;

    ski_mutex_init(&the.mutex);
    ski_cond_init(&the.changed);
    the.number = 0;
    the.awake = 0;
    *state = &the;
    return 0;
}

static int shared_end(void **state)
{
    shared *the = *state;

    ski_cond_fini(&the->changed);
    ski_mutex_fini(&the->mutex);
    return 0;
}

static ski_thread started(void (*run)(void *argument), shared *the)
{
    ski_thread thread;

    assert_int_equal(kernel->spawn(NULL, "thread-test", run, the, &thread), SKALD_OK);
    return thread;
}

static void count_up(void *argument)
{
    shared *the = argument;

    for (int i = 0; i < 5000; i++) {
        ski_mutex_lock(&the->mutex);
        the->number++;
        ski_mutex_unlock(&the->mutex);
    }
}

static void a_mutex_lets_one_in(void **state)
{
    shared *the = *state;
    ski_thread threads[4];

    for (int i = 0; i < 4; i++) threads[i] = started(count_up, the);
    for (int i = 0; i < 4; i++) kernel->join(NULL, threads[i]);
    assert_int_equal(the->number, 20000);
}

static void wait_for_number(void *argument)
{
    shared *the = argument;

    ski_mutex_lock(&the->mutex);
    while (!the->number) ski_cond_wait(&the->changed, &the->mutex);
    the->awake++;
    ski_mutex_unlock(&the->mutex);
}

static void wait_long_for_number(void *argument)
{
    shared *the = argument;

    ski_mutex_lock(&the->mutex);
    // Longer than any test; the largest time there is must not wrap around to none.
    while (!the->number) {
        if (!ski_cond_wait_ns(&the->changed, &the->mutex, UINT64_MAX)) break;
    }
    if (the->number) the->awake++;
    ski_mutex_unlock(&the->mutex);
}

static void a_broadcast_wakes_all(void **state)
{
    shared *the = *state;
    ski_thread threads[4];

    for (int i = 0; i < 4; i++)
        threads[i] = started(i % 2 ? wait_for_number : wait_long_for_number, the);
    ski_mutex_lock(&the->mutex);
    the->number = 1;
    ski_cond_broadcast(&the->changed);
    ski_mutex_unlock(&the->mutex);
    for (int i = 0; i < 4; i++) kernel->join(NULL, threads[i]);
    assert_int_equal(the->awake, 4);
}

static void answer(void *argument)
{
    shared *the = argument;

    ski_mutex_lock(&the->mutex);
    for (int i = 0; i < 100; i++) {
        while (the->number % 2 == 0) ski_cond_wait(&the->changed, &the->mutex);
        the->number++;
        ski_cond_signal(&the->changed);
    }
    ski_mutex_unlock(&the->mutex);
}

static void signals_go_to_and_fro(void **state)
{
    shared *the = *state;
    ski_thread thread = started(answer, the);

    ski_mutex_lock(&the->mutex);
    for (int i = 0; i < 100; i++) {
        the->number++;
        ski_cond_signal(&the->changed);
        while (the->number % 2 == 1) ski_cond_wait(&the->changed, &the->mutex);
    }
    ski_mutex_unlock(&the->mutex);
    kernel->join(NULL, thread);
    assert_int_equal(the->number, 200);
}

static void set_number(void *argument)
{
    shared *the = argument;

    ski_mutex_lock(&the->mutex); // not before the other waits
    the->number = 1;
    ski_cond_signal(&the->changed);
    ski_mutex_unlock(&the->mutex);
}

static void a_wait_with_time_left_is_woken(void **state)
{
    shared *the = *state;
    ski_thread thread;
    bool in_time = true;

    ski_mutex_lock(&the->mutex);
    thread = started(set_number, the);
    while (in_time && !the->number)
        in_time = ski_cond_wait_ns(&the->changed, &the->mutex, UINT64_C(60000000000));
    ski_mutex_unlock(&the->mutex);
    kernel->join(NULL, thread);
    assert_true(in_time);
}

static void a_wait_ends_after_its_time_and_not_before(void **state)
{
    static const uint64_t waits_ns[] = {0, 1, 2000000, 20000000};
    shared *the = *state;

    for (size_t i = 0; i < 4; i++) {
        uint64_t until = kernel->monotonic_ns(NULL) + waits_ns[i];

        ski_mutex_lock(&the->mutex);
        while (ski_cond_wait_ns(&the->changed, &the->mutex, waits_ns[i])) continue;
        ski_mutex_unlock(&the->mutex);
        assert_true(kernel->monotonic_ns(NULL) >= until);
    }
}

static void count_on_one(void *argument)
{
    shared *the = argument;
    cpu_set_t allowed, one;
    int first = 0;

    if (sched_getaffinity(0, sizeof allowed, &allowed)) return;
    while (!CPU_ISSET(first, &allowed)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    if (sched_setaffinity(0, sizeof one, &one)) return; // of this thread alone
    the->number = ski_processors();
}

static void processors_are_those_that_are_allowed(void **state)
{
    shared *the = *state;
    uint32_t before = ski_processors();

    assert_true(before >= 1);
    kernel->join(NULL, started(count_on_one, the));
    assert_int_equal(the->number, 1);
    assert_int_equal(ski_processors(), before);
}

// As a process would that was started with chrt --idle.
static void be_patient_when_idle(void *argument)
{
    shared *the = argument;
    struct sched_param none = {.sched_priority = 0};
    int policy = -1;

    if (pthread_setschedparam(pthread_self(), SCHED_IDLE, &none)) return;
    the->awake = ski_thread_patient();
    if (!pthread_getschedparam(pthread_self(), &policy, &none)) the->number = (unsigned)policy;
}

static void a_policy_that_was_chosen_stays(void **state)
{
    shared *the = *state;

    kernel->join(NULL, started(be_patient_when_idle, the));
    assert_int_equal(the->number, SCHED_IDLE);
    assert_int_equal(the->awake, true);
}

static void be_patient_in_a_sandbox(void *argument)
{
    shared *the = argument;
    struct sched_param none;
    int policy = -1;

    if (scheduling_refused()) return;
    the->awake = ski_thread_patient();
    if (!pthread_getschedparam(pthread_self(), &policy, &none)) the->number = (unsigned)policy;
}

static void a_refusal_is_told(void **state)
{
    shared *the = *state;

    the->awake = 7;
    kernel->join(NULL, started(be_patient_in_a_sandbox, the));
    if (the->awake == 7) skip(); // no filters here
    assert_int_equal(the->awake, false);
    assert_int_equal(the->number, SCHED_OTHER);
}

static void be_patient(void *argument)
{
    shared *the = argument;
    struct sched_param none;
    int policy = -1;

    the->awake = ski_thread_patient();
    if (!pthread_getschedparam(pthread_self(), &policy, &none)) the->number = (unsigned)policy;
}

static void a_thread_is_patient_by_itself(void **state)
{
    shared *the = *state;
    struct sched_param none;
    int policy = -1;

    kernel->join(NULL, started(be_patient, the));
    assert_int_equal(the->number, SCHED_BATCH);
    assert_int_equal(pthread_getschedparam(pthread_self(), &policy, &none), 0);
    assert_int_not_equal(policy, SCHED_BATCH);
}

static void try_it(void *argument)
{
    shared *the = argument;

    the->awake = ski_mutex_try(&the->mutex);
    if (the->awake) ski_mutex_unlock(&the->mutex);
}

static void a_mutex_that_is_taken_is_not_waited_for(void **state)
{
    shared *the = *state;

    the->awake = 7;
    ski_mutex_lock(&the->mutex);
    kernel->join(NULL, started(try_it, the));
    assert_int_equal(the->awake, false);
    ski_mutex_unlock(&the->mutex);
    kernel->join(NULL, started(try_it, the));
    assert_int_equal(the->awake, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_mutex_lets_one_in, shared_make, shared_end),
        cmocka_unit_test_setup_teardown(a_mutex_that_is_taken_is_not_waited_for, shared_make,
                                        shared_end),
        cmocka_unit_test_setup_teardown(a_broadcast_wakes_all, shared_make, shared_end),
        cmocka_unit_test_setup_teardown(signals_go_to_and_fro, shared_make, shared_end),
        cmocka_unit_test_setup_teardown(a_wait_with_time_left_is_woken, shared_make, shared_end),
        cmocka_unit_test_setup_teardown(a_wait_ends_after_its_time_and_not_before, shared_make,
                                        shared_end),
        cmocka_unit_test_setup_teardown(processors_are_those_that_are_allowed, shared_make,
                                        shared_end),
        cmocka_unit_test_setup_teardown(a_thread_is_patient_by_itself, shared_make, shared_end),
        cmocka_unit_test_setup_teardown(a_policy_that_was_chosen_stays, shared_make, shared_end),
        cmocka_unit_test_setup_teardown(a_refusal_is_told, shared_make, shared_end),
    };

    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
