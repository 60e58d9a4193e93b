// SPDX-License-Identifier: Apache-2.0
// store/memory/values.h - the named values: a plan is made, which can fail, and then carried out,
// which cannot. One thread at a time.
#ifndef SKI_STORE_MEMORY_VALUES_H
#define SKI_STORE_MEMORY_VALUES_H

#include "base/map.h"
#include <skald/store_driver.h>

typedef struct ski_memory_value {
    skald_str name;  // its own; not given: the slot is free
    skald_str bytes; // its own; not given: only in a plan yet
    uint64_t hash;
    uint32_t free_next; // of a free slot: the next one
} ski_memory_value;

typedef struct ski_memory_values {
    uint64_t seed;
    ski_map map;
    ski_memory_value *slots;
    uint32_t count, size; // slots in use or free
    uint32_t free_first;  // SKI_MAP_NONE: none
    uint64_t bytes;       // of names and values
} ski_memory_values;

// One change: what slot will hold.
typedef struct ski_memory_change {
    uint32_t slot;
    char *bytes; // NULL: nothing
    size_t len;
} ski_memory_change;

void ski_memory_values_init(ski_memory_values *values, uint64_t seed);
void ski_memory_values_fini(ski_memory_values *values);
// ski_memory_values_plan makes *ret_plan (NULL for no values), which ends with
// ski_memory_values_apply or ski_memory_values_cancel. In between nothing else is called. Fails:
// NOMEM, and nothing changed.
skald_err ski_memory_values_plan(ski_memory_values *values, const skald_store_value *changes,
                                 size_t count, ski_memory_change **ret_plan) SKALD_CHECK;
void ski_memory_values_apply(ski_memory_values *values, ski_memory_change *plan, size_t count);
void ski_memory_values_cancel(ski_memory_values *values, ski_memory_change *plan, size_t count);
const ski_memory_value *ski_memory_values_find(const ski_memory_values *values,
                                               skald_str name); // NULL: none

#endif
