// SPDX-License-Identifier: Apache-2.0
// os/thread.h - locks and waiting. Thin names over POSIX threads: none of them can fail here, and
// one that does is a programmer's error that stops the program.
#ifndef SKI_OS_THREAD_H
#define SKI_OS_THREAD_H

#include <pthread.h>
#include <skald/base.h>

typedef struct ski_mutex {
    pthread_mutex_t native;
} ski_mutex;
typedef struct ski_cond {
    pthread_cond_t native; // on the monotonic clock
} ski_cond;

void ski_mutex_init(ski_mutex *mutex);
void ski_mutex_fini(ski_mutex *mutex);
void ski_mutex_lock(ski_mutex *mutex);
bool ski_mutex_try(ski_mutex *mutex); // false: somebody has it; never waits
void ski_mutex_unlock(ski_mutex *mutex);

void ski_cond_init(ski_cond *cond);
void ski_cond_fini(ski_cond *cond);
void ski_cond_wait(ski_cond *cond, ski_mutex *mutex);
// ski_cond_wait_ns waits at most for_ns; false: the time is over.
bool ski_cond_wait_ns(ski_cond *cond, ski_mutex *mutex, uint64_t for_ns);
void ski_cond_signal(ski_cond *cond);
void ski_cond_broadcast(ski_cond *cond);

// ski_thread_patient: when the calling thread is woken, it stops nobody from running: it begins on
// another processor, or when this one is free. A policy that the process was started with (chrt) is
// left as it is. False: the system does not allow it, and nothing changed.
bool ski_thread_patient(void);

uint32_t ski_processors(void); // how many may run the calling thread, at least one

#endif
