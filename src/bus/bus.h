// SPDX-License-Identifier: Apache-2.0
// bus/bus.h - what the floors above use of the bus beside skald/bus.h.
#ifndef SKI_BUS_BUS_H
#define SKI_BUS_BUS_H

#include "store/store.h"
#include <skald/bus.h>

// ski_publish_checked_start is skald_publish_start for events that have passed skald_event_check or
// skald_event_parse already.
skald_err ski_publish_checked_start(skald_bus *bus, const skald_event *events, size_t count,
                                    const skald_publish_options *options, skald_published_fn *done,
                                    void *context) SKALD_CHECK;
skald_store *ski_bus_store(skald_bus *bus);

#endif
