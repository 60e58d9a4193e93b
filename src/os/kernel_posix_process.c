// SPDX-License-Identifier: Apache-2.0
// Clock, random bytes, threads and the end of the process.
//
// Threads begin with every signal blocked but those that a fault in the thread itself raises: the
// program's main thread alone is asked to end, and no system call of ours is interrupted elsewhere.
#define _GNU_SOURCE // pthread_setname_np
#include "os/kernel_posix.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { thread_name_max = 15 }; // the kernel's limit

// Its address is the thread's id until it is joined.
typedef struct posix_thread {
    pthread_t native;
    char name[thread_name_max + 1];
    void (*run)(void *argument);
    void *argument;
} posix_thread;

static struct timespec clock_read(clockid_t clock)
{
    struct timespec time;
    int result = clock_gettime(clock, &time);

    assert(result == 0); // both clocks exist on every Linux
    return time;
}

skald_time ski_posix_now(void *context SKALD_UNUSED)
{
    struct timespec time = clock_read(CLOCK_REALTIME);

    return (skald_time)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

uint64_t ski_posix_monotonic_ns(void *context SKALD_UNUSED)
{
    struct timespec time = clock_read(CLOCK_MONOTONIC);

    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void ski_posix_random(void *context, void *bytes, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t got = getrandom((char *)bytes + done, len - done, 0);

        if (got < 0 && errno == EINTR) continue;
        // Ids and keys made from what is not random are worse than none.
        if (got <= 0) ski_posix_stop(context, "the kernel gives no random bytes");
        done += (size_t)got;
    }
}

static void *thread_main(void *argument)
{
    posix_thread *thread = argument;

    pthread_setname_np(pthread_self(), thread->name); // a name too many harms nobody
    thread->run(thread->argument);
    return NULL;
}

// signals_block blocks what a thread shall not see and gives what was blocked before.
static sigset_t signals_block(void)
{
    static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked, before;
    int result;

    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof synchronous / sizeof synchronous[0]; i++)
        sigdelset(&blocked, synchronous[i]);
    result = pthread_sigmask(SIG_SETMASK, &blocked, &before);
    assert(result == 0);
    return before;
}

skald_err ski_posix_spawn(void *context SKALD_UNUSED, const char *name, void (*run)(void *argument),
                          void *argument, ski_thread *ret_thread)
{
    size_t name_len = strlen(name);
    sigset_t before;
    int error_number;

    assert(name_len <= thread_name_max);

    posix_thread *thread = ski_alloc(sizeof *thread);

    if (!thread) return SKALD_ENOMEM;
    *thread = (posix_thread){.run = run, .argument = argument};
    memcpy(thread->name, name, name_len);
    before = signals_block(); // a new thread inherits them
    error_number = pthread_create(&thread->native, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error_number) {
        ski_free(thread);
        // EAGAIN: no memory for its stack, or too many threads.
        return error_number == EAGAIN ? SKALD_ENOMEM : ski_posix_err(error_number);
    }
    *ret_thread = (ski_thread){(uint64_t)(uintptr_t)thread};
    return SKALD_OK;
}

void ski_posix_join(void *context SKALD_UNUSED, ski_thread thread)
{
    if (!thread.id) return;

    posix_thread *joined = (posix_thread *)(uintptr_t)thread.id;
    int result = pthread_join(joined->native, NULL);

    assert(result == 0); // not itself, not twice
    ski_free(joined);
}

void ski_posix_stop(void *context SKALD_UNUSED, const char *why)
{
    static const char begin[] = "skald: stopped: ", end[] = "\n";
    struct iovec line[] = {{(void *)begin, sizeof begin - 1},
                           {(void *)why, strlen(why)},
                           {(void *)end, 1}};

    // One call, so that no other thread's line comes between; if even that fails, there is the
    // core.
    ssize_t written SKALD_UNUSED = writev(STDERR_FILENO, line, 3);

    abort();
}

uint64_t ski_posix_process_id(void *context SKALD_UNUSED)
{
    return (uint64_t)getpid();
}
