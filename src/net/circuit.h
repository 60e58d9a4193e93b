// SPDX-License-Identifier: Apache-2.0
// net/circuit.h - the breaker (skald/limit.h) in front of one thing that this server calls over the
// network: with a name, a lock, and a line in the log for each change. Any thread.
#ifndef SKI_NET_CIRCUIT_H
#define SKI_NET_CIRCUIT_H

#include "os/thread.h"

#include <skald/limit.h>

typedef struct ski_circuit {
    const char *name; // of what is called: the metric's label
    const skald_log *log;
    ski_mutex lock; // over what follows
    skald_breaker breaker;
    skald_breaker_state told; // in the log
} ski_circuit;

enum { SKI_CIRCUIT_FAILURES_MAX = 3, SKI_CIRCUIT_OPEN_MS = 30000 };

// ski_circuit_init: open_ms 0 is the default above. name lives as long.
void ski_circuit_init(ski_circuit *circuit, const char *name, const skald_log *log,
                      uint32_t open_ms);
void ski_circuit_fini(ski_circuit *circuit);

// ski_circuit_allow says whether to call now; whoever was allowed reports how it went, once.
// now_ns: one monotonic clock.
bool ski_circuit_allow(ski_circuit *circuit, uint64_t now_ns);
void ski_circuit_report(ski_circuit *circuit, uint64_t now_ns, bool success);
// ski_circuit_wait_ns is how long it lets nothing through; 0: ski_circuit_allow would.
uint64_t ski_circuit_wait_ns(ski_circuit *circuit, uint64_t now_ns);

skald_breaker_state ski_circuit_state(ski_circuit *circuit, uint64_t now_ns);
const char *ski_circuit_state_name(skald_breaker_state state); // "closed" "half_open" "open"

#endif
