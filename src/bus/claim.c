// SPDX-License-Identifier: Apache-2.0
// Claims: what a worker takes at once.
//
// Of a subscription whose handler is quick a worker takes several deliveries under one hold of the
// lock, calls the handler for each, and tells how all of them ended under the next. How many is
// found out: burst doubles while SKI_CLAIMS_MAX, or as many as it is, took no more than quick_ns,
// and falls when they did.
// What was claimed and does not run can be had back at any moment, by a subscription that stops,
// and by the dispatcher when a call takes long (workers_look): what has not begun is ready again,
// what is done is ended. So a handler that sticks holds up nothing but its own delivery.
//
// Invariants:
//   1. turn of a claim goes from CLAIMED to BEGUN (by its worker, without the lock) or to RETURNED
//      (under the lock), never both; from BEGUN to DONE (by its worker, when the handler has
//      returned), and from there to ENDED (under the lock), once, by whoever comes first.
//   2. A subscription stays while a worker is among its callers, also when nothing of it runs.
//   3. What a handler notes in scratch (later) is there until its delivery is ended: only those of
//      the bus do that, of which nobody takes several.
//   4. To everybody else a claim is a delivery whose handler runs; nobody knows its id before it
//      has begun.
#include "bus/engine.h"

#include <assert.h>
#include <stdatomic.h>

enum { CLAIMED, BEGUN, DONE, ENDED, RETURNED };

enum { quick_ns = 100000, slow_ns = 1000000 };

static void claims_take(ski_worker *worker, ski_delivery *first)
{
    ski_subscription *sub = first->subscription;
    ski_delivery *delivery = first;

    worker->claim_count = 0;
    do {
        assert(worker->claim_count < SKI_CLAIMS_MAX);
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

// claim_end ends a call that is done, if nobody has. With the lock.
static bool claim_end(ski_call *call, uint64_t now_ns)
{
    uint8_t turn = DONE;
    bool ends = atomic_compare_exchange_strong(&call->turn, &turn, ENDED);

    if (ends) ski_call_end(call, now_ns);
    return ends;
}

static void burst_set(ski_subscription *sub, uint32_t count, uint64_t took_ns)
{
    if (took_ns > slow_ns || sub->internal || sub->once)
        sub->burst = 1;
    else if (took_ns > quick_ns)
        sub->burst = (count + 1) / 2;
    else if ((count >= sub->burst || took_ns * SKI_CLAIMS_MAX <= count * (uint64_t)quick_ns) &&
             sub->burst < SKI_CLAIMS_MAX)
        sub->burst = sub->burst ? sub->burst * 2 : 2;
    if (sub->burst > SKI_CLAIMS_MAX) sub->burst = SKI_CLAIMS_MAX;
}

void ski_worker_returns(ski_worker *worker, ski_subscription *sub)
{
    sub->callers--;
    sub->slow -= worker->slow;
    worker->slow = false;
    ski_worker_quick(worker, false);
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
        call->more = i + 1 < count;
        ski_call_make(call, sub->handler.fn);
        assert(!call->later || count == 1);
        atomic_store_explicit(&call->turn, DONE, memory_order_release);
    }
    uint64_t now_ns = ski_bus_now_ns(bus), took_ns = now_ns - worker->busy_since_ns;

    ski_mutex_lock(&bus->lock);
    ski_worker_returns(worker, sub);
    worker->claim_count = 0;
    for (uint32_t i = 0; i < count; i++) (void)claim_end(&worker->claims[i], now_ns);
    burst_set(sub, count, took_ns);
    sub->took_ns = took_ns + 1;
    ski_calls_after(sub);
    skald_arena_reset(worker->scratch);
}

// runs_break breaks the run of sub, or all. True: there was one.
static bool runs_break(skald_bus *bus, ski_subscription *sub)
{
    bool broken = false;

    if (sub) {
        broken = sub->run != NULL;
        if (broken) (void)ski_page_run_break(sub->run);
        return broken;
    }
    for (uint32_t i = 0; i < bus->subscriptions_max; i++)
        if (bus->subs[i]) broken |= runs_break(bus, bus->subs[i]);
    return broken;
}

bool ski_claims_return(skald_bus *bus, ski_subscription *sub)
{
    uint64_t now_ns = ski_bus_now_ns(bus);
    bool ended = runs_break(bus, sub);

    for (uint32_t i = 0; i < bus->worker_count; i++) {
        ski_worker *worker = &bus->workers[i];

        if (sub && worker->busy_with != sub) continue;
        // One alone is ended by its worker, which comes at once. The end of what is handled once
        // ends a subscription, and whoever is here has something else to do with it.
        for (uint32_t j = 0; j < worker->claim_count && worker->claim_count > 1; j++) {
            uint8_t turn = CLAIMED;

            if (claim_end(&worker->claims[j], now_ns))
                ended = true;
            else if (atomic_compare_exchange_strong(&worker->claims[j].turn, &turn, RETURNED))
                ski_call_undo(&worker->claims[j]);
        }
    }
    return ended;
}
