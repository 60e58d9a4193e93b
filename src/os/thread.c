// SPDX-License-Identifier: Apache-2.0
// Locks and waiting. POSIX lets these calls fail only when they are misused (or, at init, in ways
// that Linux does not), so a failure is asserted, never returned.
#define _GNU_SOURCE // pthread_condattr_setclock, cpu_set_t
#include "os/thread.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

enum { ns_per_s = 1000000000 };

static void must(int error_number)
{
    assert(error_number == 0);
    (void)error_number;
}

void ski_mutex_init(ski_mutex *mutex)
{
    must(pthread_mutex_init(&mutex->native, NULL));
}

void ski_mutex_fini(ski_mutex *mutex)
{
    must(pthread_mutex_destroy(&mutex->native));
}

void ski_mutex_lock(ski_mutex *mutex)
{
    must(pthread_mutex_lock(&mutex->native));
}

bool ski_mutex_try(ski_mutex *mutex)
{
    int error_number = pthread_mutex_trylock(&mutex->native);

    if (error_number != EBUSY) must(error_number);
    return !error_number;
}

void ski_mutex_unlock(ski_mutex *mutex)
{
    must(pthread_mutex_unlock(&mutex->native));
}

void ski_cond_init(ski_cond *cond)
{
    pthread_condattr_t attributes;

    must(pthread_condattr_init(&attributes));
    // The clock on the wall is set now and then; a wait must not notice.
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    must(pthread_cond_init(&cond->native, &attributes));
    must(pthread_condattr_destroy(&attributes));
}

void ski_cond_fini(ski_cond *cond)
{
    must(pthread_cond_destroy(&cond->native));
}

void ski_cond_wait(ski_cond *cond, ski_mutex *mutex)
{
    must(pthread_cond_wait(&cond->native, &mutex->native));
}

bool ski_cond_wait_ns(ski_cond *cond, ski_mutex *mutex, uint64_t for_ns)
{
    struct timespec until;
    uint64_t ns;
    int error_number;

    must(clock_gettime(CLOCK_MONOTONIC, &until));
    ns = (uint64_t)until.tv_nsec + for_ns % ns_per_s;
    until.tv_sec += (time_t)(for_ns / ns_per_s + ns / ns_per_s);
    until.tv_nsec = (long)(ns % ns_per_s);
    error_number = pthread_cond_timedwait(&cond->native, &mutex->native, &until);
    if (error_number == ETIMEDOUT) return false;
    must(error_number);
    return true;
}

void ski_cond_signal(ski_cond *cond)
{
    must(pthread_cond_signal(&cond->native));
}

void ski_cond_broadcast(ski_cond *cond)
{
    must(pthread_cond_broadcast(&cond->native));
}

bool ski_thread_patient(void)
{
    struct sched_param param = {.sched_priority = 0};
    int policy;

    if (pthread_getschedparam(pthread_self(), &policy, &param)) return false;
    if (policy != SCHED_OTHER) return true; // the operator's choice
    return pthread_setschedparam(pthread_self(), SCHED_BATCH, &param) == 0;
}

uint32_t ski_processors(void)
{
    cpu_set_t allowed; // too small for more than 1024
    bool known = sched_getaffinity(0, sizeof allowed, &allowed) == 0;
    long count = known ? CPU_COUNT(&allowed) : sysconf(_SC_NPROCESSORS_ONLN);

    return count > 1 ? (uint32_t)count : 1;
}
