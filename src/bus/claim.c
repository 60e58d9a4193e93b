// SPDX-License-Identifier: Apache-2.0
// Claims: what a worker takes at once.
//
// Of a subscription whose handler is quick a worker takes several deliveries under one hold of the
// lock, calls the handler for each, and tells how all of them ended under the next. How many is
// found out: burst doubles while that many took no more than quick_ns, and falls to one when they
// did. What was claimed and not begun can be had back at any moment: by a subscription that stops,
// and by the dispatcher when the call before it takes long (workers_look), so that a handler that
// sticks holds up nothing but its own delivery.
//
// Invariants:
//   1. turn of a claim goes from CLAIMED to BEGUN (by its worker, without the lock) or to RETURNED
//      (under the lock), never both. The first of a worker's claims is BEGUN from the start, so its
//      subscription stays until they are ended.
//   2. To everybody else a claim is a delivery whose handler runs; nobody knows its id before it
//      has begun.
#include "bus/engine.h"

#include <stdatomic.h>

enum { CLAIMED, BEGUN, RETURNED };

enum { quick_ns = 100000 };

static void claims_take(ski_worker *worker, ski_delivery *first)
{
    ski_subscription *sub = first->subscription;
    ski_delivery *delivery = first;

    worker->claim_count = 0;
    do {
        ski_call *call = &worker->claims[worker->claim_count++];

        ski_call_begin(call, delivery, sub->handler.context, worker->scratch);
        atomic_init(&call->turn, worker->claim_count == 1 ? BEGUN : CLAIMED);
        if (worker->claim_count >= sub->burst) break;
        delivery = ski_delivery_next(sub);
    } while (delivery);
}

static bool claim_begins(ski_call *call)
{
    uint8_t turn = CLAIMED;

    return atomic_load_explicit(&call->turn, memory_order_relaxed) == BEGUN ||
           atomic_compare_exchange_strong(&call->turn, &turn, BEGUN);
}

static void burst_set(ski_subscription *sub, uint32_t count, uint64_t took_ns)
{
    if (took_ns > quick_ns || sub->internal || sub->once)
        sub->burst = 1;
    else if (count >= sub->burst && sub->burst < SKI_CLAIMS_MAX)
        sub->burst = sub->burst ? sub->burst * 2 : 2;
}

void ski_claims_run(ski_worker *worker, ski_delivery *first)
{
    skald_bus *bus = worker->bus;
    ski_subscription *sub = first->subscription;

    claims_take(worker, first);
    sub->callers++;
    ski_runnable_look(sub); // another of it may run beside these
    uint32_t count = worker->claim_count;

    ski_mutex_unlock(&bus->lock);
    for (uint32_t i = 0; i < count; i++) {
        ski_call *call = &worker->claims[i];

        if (!claim_begins(call)) continue;
        if (i) skald_arena_reset(worker->scratch);
        ski_call_make(call, sub->handler.fn);
    }
    uint64_t took_ns = ski_bus_now_ns(bus) - worker->busy_since_ns;

    ski_mutex_lock(&bus->lock);
    sub->callers--;
    worker->claim_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (atomic_load_explicit(&worker->claims[i].turn, memory_order_relaxed) == BEGUN)
            ski_call_end(&worker->claims[i]);
    burst_set(sub, count, took_ns);
    ski_calls_after(sub);
    skald_arena_reset(worker->scratch);
}

void ski_claims_return(skald_bus *bus, const ski_subscription *sub)
{
    for (uint32_t i = 0; i < bus->worker_count; i++) {
        ski_worker *worker = &bus->workers[i];

        if (sub && worker->busy_with != sub) continue;
        for (uint32_t j = 1; j < worker->claim_count; j++) {
            uint8_t turn = CLAIMED;

            if (atomic_compare_exchange_strong(&worker->claims[j].turn, &turn, RETURNED))
                ski_call_undo(&worker->claims[j]);
        }
    }
}
