// SPDX-License-Identifier: Apache-2.0
// os/signals.h - being asked to stop, SIGINT and SIGTERM, or to look again, SIGHUP.
#ifndef SKI_OS_SIGNALS_H
#define SKI_OS_SIGNALS_H

#include <stdint.h>

enum { SKI_SIGNAL_HANGUP = 1, SKI_SIGNAL_INTERRUPT = 2, SKI_SIGNAL_TERMINATE = 15 }; // as POSIX

// ski_signals_hold blocks SIGINT, SIGTERM, SIGHUP and SIGPIPE in the calling thread and those it
// starts from then on, so that one thread can wait for the first three.
void ski_signals_hold(void);
// ski_signals_wait waits for SIGINT, SIGTERM or SIGHUP, which must be held, at most timeout_ms (0:
// without end). It gives which; 0: the time is over.
int ski_signals_wait(uint32_t timeout_ms);

#endif
