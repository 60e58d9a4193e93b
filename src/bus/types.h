// SPDX-License-Identifier: Apache-2.0
// bus/types.h - how the bus goes by the registry of names.
#ifndef SKI_BUS_TYPES_H
#define SKI_BUS_TYPES_H

#include <skald/typed.h>

// ski_bus_types_open makes the registry, with the names the store keeps. Waits. bus->types is freed
// with skald_types_free.
skald_err ski_bus_types_open(skald_bus *bus) SKALD_CHECK;
// ski_bus_schemas_open makes the registry of schemas, with those the store keeps. Waits.
// bus->schemas is freed with skald_schemas_free.
skald_err ski_bus_schemas_open(skald_bus *bus) SKALD_CHECK;
// ski_admission_asked: is there anything that ski_event_admit might not let through?
bool ski_admission_asked(const skald_bus *bus);
// ski_event_admit says whether the names and schemas there are let an event be published; its data
// has passed the door. Fails: INVALID (a name nobody knows, where that is asked for), SCHEMA.
skald_err ski_event_admit(const skald_bus *bus, const skald_event *event, skald_error *reterr_error)
    SKALD_CHECK;
// ski_event_rename gives an event the dotted name of its type, and what else the type says.
void ski_event_rename(const skald_bus *bus, skald_event *event);
// ski_filter_admit says whether a filter can be asked for by every name its types have. Fails:
// TOOBIG, NOMEM.
skald_err ski_filter_admit(const skald_bus *bus, const skald_filter *filter,
                           skald_error *reterr_error) SKALD_CHECK;
// ski_filter_fold leaves of a filter's types one name each, the dotted one, as people are shown
// them. The list is writable. Always true.
bool ski_filter_fold(const skald_bus *bus, skald_filter *filter);

#endif
