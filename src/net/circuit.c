// SPDX-License-Identifier: Apache-2.0
// A circuit: a breaker that several threads look at, and that tells what becomes of it.
//
// Invariants:
//   1. The breaker is touched under the lock; the log is written outside of it.
//   2. Each change is told once, by the call that made it: it opened, a trial began, it closed.
#include "net/circuit.h"

#include "base/log.h"

#define NS_PER_MS UINT64_C(1000000)

void ski_circuit_init(ski_circuit *circuit, const char *name, const skald_log *log,
                      uint32_t open_ms)
{
    *circuit = (ski_circuit){
        .name = name,
        .log = log,
        .breaker = {.failures_max = SKI_CIRCUIT_FAILURES_MAX,
                    .open_ms = open_ms ? open_ms : SKI_CIRCUIT_OPEN_MS},
    };
    ski_mutex_init(&circuit->lock);
}

void ski_circuit_fini(ski_circuit *circuit)
{
    ski_mutex_fini(&circuit->lock);
}

// changed: under the lock; what it is now, if that was not told yet.
static bool changed(ski_circuit *circuit, uint64_t now_ns, skald_breaker_state *ret_state)
{
    *ret_state = skald_breaker_state_get(&circuit->breaker, now_ns);
    if (*ret_state == circuit->told) return false;
    circuit->told = *ret_state;
    return true;
}

static void tell(const ski_circuit *circuit, skald_breaker_state state)
{
    static const char *const lines[] = {
        [SKALD_BREAKER_CLOSED] = "circuit closed: it is called again",
        [SKALD_BREAKER_OPEN] = "circuit open: it failed too often and is not called for a while",
        [SKALD_BREAKER_HALF_OPEN] = "circuit half open: one call tries",
    };

    ski_log_line(circuit->log, state == SKALD_BREAKER_OPEN ? SKALD_WARN : SKALD_INFO, lines[state],
                 "circuit", circuit->name, "state", ski_circuit_state_name(state), NULL);
}

bool ski_circuit_allow(ski_circuit *circuit, uint64_t now_ns)
{
    skald_breaker_state state;

    ski_mutex_lock(&circuit->lock);
    bool allowed = skald_breaker_allow(&circuit->breaker, now_ns);
    bool is_new = allowed && changed(circuit, now_ns, &state);
    ski_mutex_unlock(&circuit->lock);
    if (is_new) tell(circuit, state);
    return allowed;
}

void ski_circuit_report(ski_circuit *circuit, uint64_t now_ns, bool success)
{
    skald_breaker_state state;

    ski_mutex_lock(&circuit->lock);
    skald_breaker_report(&circuit->breaker, now_ns, success);
    bool is_new = changed(circuit, now_ns, &state);
    ski_mutex_unlock(&circuit->lock);
    if (is_new) tell(circuit, state);
}

uint64_t ski_circuit_wait_ns(ski_circuit *circuit, uint64_t now_ns)
{
    uint64_t wait_ns = 0;

    ski_mutex_lock(&circuit->lock);
    const skald_breaker *breaker = &circuit->breaker;
    uint64_t until_ns = breaker->since_ns + breaker->open_ms * NS_PER_MS;

    if (breaker->opened && now_ns < until_ns) wait_ns = until_ns - now_ns;
    ski_mutex_unlock(&circuit->lock);
    return wait_ns;
}

skald_breaker_state ski_circuit_state(ski_circuit *circuit, uint64_t now_ns)
{
    ski_mutex_lock(&circuit->lock);
    skald_breaker_state state = skald_breaker_state_get(&circuit->breaker, now_ns);
    ski_mutex_unlock(&circuit->lock);
    return state;
}

const char *ski_circuit_state_name(skald_breaker_state state)
{
    switch (state) {
    case SKALD_BREAKER_OPEN: return "open";
    case SKALD_BREAKER_HALF_OPEN: return "half_open";
    case SKALD_BREAKER_CLOSED: break;
    }
    return "closed";
}
