// SPDX-License-Identifier: Apache-2.0
// os/signals.h - being asked to stop: SIGINT and SIGTERM.
#ifndef SKI_OS_SIGNALS_H
#define SKI_OS_SIGNALS_H

// ski_signals_hold blocks SIGINT, SIGTERM and SIGPIPE in the calling thread and those it starts
// from then on, so that one thread can wait for the first two.
void ski_signals_hold(void);
// ski_signals_wait waits for SIGINT or SIGTERM, which must be held. It gives which.
int ski_signals_wait(void);

#endif
