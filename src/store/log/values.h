// SPDX-License-Identifier: Apache-2.0
// store/log/values.h - the small named values (checkpoints) that are stored in the log, as they
// stand now.
//
// Setting one takes two steps: prepare, before it is stored, finds all the memory; apply, when it
// is stored, cannot fail. A name that has no value, and of which no change is prepared, takes no
// memory. One thread at a time.
#ifndef SKI_STORE_LOG_VALUES_H
#define SKI_STORE_LOG_VALUES_H

#include "base/map.h"
#include <skald/store_driver.h>

typedef struct ski_value_bytes {
    size_t len;
    char bytes[];
} ski_value_bytes;

typedef struct ski_values_entry {
    char *name;
    size_t name_len;
    uint64_t hash;
    ski_value_bytes *bytes; // NULL: there is no such value
    uint32_t prepared;      // changes of it, neither applied nor abandoned
    uint32_t free_next;     // of one without a name
} ski_values_entry;

typedef struct ski_values {
    ski_values_entry *entries; // name NULL: free
    uint32_t count, size;      // count: free ones too
    uint32_t free_first;       // its slot + 1; 0: none is free
    bool removals;             // names that were removed stay; to be set at the beginning
    ski_map map;
} ski_values;

// What was prepared: apply or abandon it.
typedef struct ski_values_change {
    uint32_t slot; // SKI_MAP_NONE: it has been
    ski_value_bytes *bytes;
} ski_values_change;

void ski_values_fini(ski_values *values);
skald_err ski_values_prepare(ski_values *values, const skald_store_value *value,
                             ski_values_change *ret_change) SKALD_CHECK; // NOMEM
void ski_values_apply(ski_values *values, ski_values_change *change);
// ski_values_abandon does nothing, not even with values, when the change has been applied.
void ski_values_abandon(ski_values *values, ski_values_change *change);
// ski_values_find gives NULL when there is none.
const ski_value_bytes *ski_values_find(const ski_values *values, skald_str name);

#endif
