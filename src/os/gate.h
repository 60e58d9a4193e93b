// SPDX-License-Identifier: Apache-2.0
// os/gate.h - who is inside, and closing behind them: what ends waits for the calls in progress.
//
// Entering and leaving take no lock while the gate is open. Any thread.
#ifndef SKI_OS_GATE_H
#define SKI_OS_GATE_H

#include "os/thread.h"
#include <stdatomic.h>

typedef struct ski_gate {
    _Atomic uint64_t inside; // calls; the highest bit: it is shut
    ski_mutex mutex;
    ski_cond empty;
} ski_gate;

void ski_gate_init(ski_gate *gate);
void ski_gate_fini(ski_gate *gate); // it is shut and empty, or nobody ever entered
// ski_gate_enter: false: it is shut. Every true is ended by ski_gate_leave, from any thread.
bool ski_gate_enter(ski_gate *gate) SKALD_CHECK;
void ski_gate_leave(ski_gate *gate);
void ski_gate_shut(ski_gate *gate);     // nobody enters any more
bool ski_gate_is_empty(ski_gate *gate); // it is shut
void ski_gate_wait(ski_gate *gate);     // it is shut: until it is empty

#endif
