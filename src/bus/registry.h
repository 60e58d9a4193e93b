// SPDX-License-Identifier: Apache-2.0
// bus/registry.h - what the store knows of the names of subscriptions, also of those nobody runs.
#ifndef SKI_BUS_REGISTRY_H
#define SKI_BUS_REGISTRY_H

#include <skald/bus.h>

typedef struct ski_about {
    bool paused, stale;
    uint32_t stale_after_s;
    skald_time active_at; // 0: not known
    skald_str kind;
} ski_about;

typedef struct ski_registered {
    skald_str name;
    ski_about about;
    uint64_t floor, hold; // everything up to it is done; is not needed any more
    uint32_t parked, dead;
    bool known; // its position can be read
} ski_registered;

skald_err ski_about_decode(skald_str bytes, ski_about *ret_about, skald_error *reterr_error)
    SKALD_CHECK;
// ski_registered_scan gives all names by name; the array is the caller's to ski_free, texts are in
// arena. Without the engine lock.
skald_err ski_registered_scan(skald_bus *bus, skald_arena *arena, ski_registered **ret_items,
                              size_t *ret_count) SKALD_CHECK;
void ski_registered_look(skald_bus *bus, bool at_start); // without the engine lock

#endif
