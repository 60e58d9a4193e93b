// SPDX-License-Identifier: Apache-2.0
// bus/bus.h - what the floors above use of the bus beside skald/bus.h.
#ifndef SKI_BUS_BUS_H
#define SKI_BUS_BUS_H

#include "base/histogram.h"
#include "base/trace.h"
#include "store/store.h"
#include <skald/bus.h>

// ski_publish_checked_start is skald_publish_start for events that have passed skald_event_check or
// skald_event_parse already.
skald_err ski_publish_checked_start(skald_bus *bus, const skald_event *events, size_t count,
                                    const skald_publish_options *options, skald_published_fn *done,
                                    void *context) SKALD_CHECK;
// ski_publish_kept_start stores a named value in the same commit, unless the events are a
// repetition or transient; NULL: none. It is copied.
skald_err ski_publish_kept_start(skald_bus *bus, const skald_event *events, size_t count,
                                 const skald_store_value *value,
                                 const skald_publish_options *options, skald_published_fn *done,
                                 void *context) SKALD_CHECK;
skald_store *ski_bus_store(skald_bus *bus);
// ski_event_hidden: it is a system.scheduled, which only those see that name that type.
bool ski_event_hidden(const skald_filter *filter, const skald_event *event);

// ski_bus_trace makes the bus tell of sampled publishes and deliveries, and give handlers' events a
// span of their own. Before anything moves; tracer outlives the bus; NULL: contexts are handed on
// as they come.
void ski_bus_trace(skald_bus *bus, ski_tracer *tracer);
// ski_filter_copy copies every text of a filter. False: no room.
bool ski_filter_copy(skald_arena *arena, const skald_filter *filter, skald_filter *ret_filter);
// ski_delivery_more: the handler is called again at once, on this thread; perhaps not if it is slow
// or its subscription stops.
bool ski_delivery_more(const skald_delivery *delivery);
// ski_delivery_number: the number of an event that is not kept; they rise as such are published,
// and every subscription is given them in that order. 0: it is kept. ski_bus_number: the last.
uint64_t ski_delivery_number(const skald_delivery *delivery);
uint64_t ski_bus_number(const skald_bus *bus);
// ski_bus_attempts: how long deliveries took from the call of the handler to their end; of one in
// eight, and of those that are traced.
const ski_histogram *ski_bus_attempts(const skald_bus *bus);

// ski_bus_queues_get says what waits in the bus, beside how much may. For metrics: it looks at
// every subscription under the lock.
typedef struct ski_bus_queues {
    uint64_t subscriptions, subscriptions_max;
    uint64_t deliveries, deliveries_max;         // in flight
    uint64_t pages_bytes, pages_bytes_max;       // of events read for those that are behind
    uint64_t workers, workers_busy, workers_max; // threads that call handlers
    uint64_t scheduled, scheduled_max;           // events that wait for their time
    bool stopping;
} ski_bus_queues;
void ski_bus_queues_get(skald_bus *bus, ski_bus_queues *ret_queues);

#endif
