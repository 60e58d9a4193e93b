// SPDX-License-Identifier: Apache-2.0
// Signals are waited for in one thread and never handled in the middle of another.
#define _POSIX_C_SOURCE 200809L
#include "os/signals.h"

#include <pthread.h>
#include <signal.h>

void ski_signals_hold(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int ski_signals_wait(void)
{
    sigset_t set;
    int signal = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    while (sigwait(&set, &signal) != 0) continue;
    return signal;
}
