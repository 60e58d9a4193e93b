// SPDX-License-Identifier: Apache-2.0
// A gate is one number. Once it is shut, leaving goes by the lock: who waited for the last one to
// leave may free the gate, so that one must be done with it when it is told.
#include "os/gate.h"

#include <assert.h>

static const uint64_t gate_shut = UINT64_C(1) << 63;

void ski_gate_init(ski_gate *gate)
{
    atomic_init(&gate->inside, 0);
    ski_mutex_init(&gate->mutex);
    ski_cond_init(&gate->empty);
}

void ski_gate_fini(ski_gate *gate)
{
    assert((atomic_load(&gate->inside) & ~gate_shut) == 0);
    ski_cond_fini(&gate->empty);
    ski_mutex_fini(&gate->mutex);
}

bool ski_gate_enter(ski_gate *gate)
{
    uint64_t inside = atomic_load_explicit(&gate->inside, memory_order_relaxed);

    do {
        if (inside & gate_shut) return false;
    } while (!atomic_compare_exchange_weak(&gate->inside, &inside, inside + 1));
    return true;
}

void ski_gate_leave(ski_gate *gate)
{
    uint64_t inside = atomic_load_explicit(&gate->inside, memory_order_relaxed);

    assert(inside & ~gate_shut);
    while (!(inside & gate_shut))
        if (atomic_compare_exchange_weak(&gate->inside, &inside, inside - 1)) return;
    ski_mutex_lock(&gate->mutex);
    if (atomic_fetch_sub(&gate->inside, 1) == (gate_shut | 1)) ski_cond_broadcast(&gate->empty);
    ski_mutex_unlock(&gate->mutex);
}

void ski_gate_shut(ski_gate *gate)
{
    atomic_fetch_or(&gate->inside, gate_shut);
}

bool ski_gate_is_empty(ski_gate *gate)
{
    bool empty;

    ski_mutex_lock(&gate->mutex);
    empty = atomic_load(&gate->inside) == gate_shut;
    ski_mutex_unlock(&gate->mutex);
    return empty;
}

void ski_gate_wait(ski_gate *gate)
{
    ski_mutex_lock(&gate->mutex);
    while (atomic_load(&gate->inside) != gate_shut) ski_cond_wait(&gate->empty, &gate->mutex);
    ski_mutex_unlock(&gate->mutex);
}
