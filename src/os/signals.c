// SPDX-License-Identifier: Apache-2.0
// Signals are waited for in one thread and never handled in the middle of another.
#include "os/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

_Static_assert(SKI_SIGNAL_HANGUP == SIGHUP && SKI_SIGNAL_INTERRUPT == SIGINT &&
                   SKI_SIGNAL_TERMINATE == SIGTERM,
               "the numbers of POSIX");

static void asked_for(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGINT);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGHUP);
}

void ski_signals_hold(void)
{
    sigset_t set;

    asked_for(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int ski_signals_wait(uint32_t timeout_ms)
{
    struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                               .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    sigset_t set;
    int signal;

    asked_for(&set);
    do {
        signal = timeout_ms ? sigtimedwait(&set, NULL, &timeout) : sigwaitinfo(&set, NULL);
    } while (signal < 0 && errno == EINTR);
    return signal < 0 ? 0 : signal;
}
