// SPDX-License-Identifier: Apache-2.0
// How full the bus is: what waits in it, beside how much may.
#include "bus/engine.h"

void ski_bus_queues_get(skald_bus *bus, ski_bus_queues *ret_queues)
{
    ski_bus_queues queues = {
        .subscriptions_max = bus->subscriptions_max,
        .deliveries_max = bus->deliveries_max,
        .pages_bytes_max = bus->pages_bytes_max,
        .workers_max = bus->workers_limit,
        .scheduled_max = bus->schedule_events_max,
    };

    ski_mutex_lock(&bus->lock);
    queues.subscriptions = bus->sub_count;
    queues.pages_bytes = bus->page_bytes;
    queues.workers = bus->worker_count;
    queues.workers_busy = bus->busy;
    queues.stopping = bus->closing;
    for (uint32_t i = 0; i < bus->subscriptions_max; i++) {
        if (!bus->subs[i]) continue;
        queues.deliveries += bus->subs[i]->in_flight;
        queues.scheduled += bus->subs[i]->later_count;
    }
    ski_mutex_unlock(&bus->lock);
    *ret_queues = queues;
}
