// SPDX-License-Identifier: Apache-2.0
// What both ways of skald tail do alike: end at a signal, and wait for a server that is away.
#define _POSIX_C_SOURCE 200809L
#include "tail.h"

#include <signal.h>
#include <time.h>

// Set by a signal handler, which can reach nothing else.
static volatile sig_atomic_t stop_asked;

static void on_signal(int signal)
{
    (void)signal;
    stop_asked = 1;
}

void tail_stop_on_signals(void)
{
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
}

bool tail_stopping(void)
{
    return stop_asked != 0;
}

void tail_pause(void)
{
    struct timespec time = {.tv_nsec = 500 * 1000000L};

    (void)nanosleep(&time, NULL);
}
