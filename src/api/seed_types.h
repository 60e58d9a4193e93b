// SPDX-License-Identifier: Apache-2.0
// api/seed_types.h - the names of events that come with the platform.
#ifndef SKI_API_SEED_TYPES_H
#define SKI_API_SEED_TYPES_H

#include <skald/types.h>

// ski_seed_types_add puts them into a registry. A name that somebody gave to another type before
// stays with it, and is said in a warning. Fails: FULL, NOMEM.
skald_err ski_seed_types_add(skald_types *types, const skald_log *log) SKALD_CHECK;

// What there is, for tests; NULL-ended.
typedef struct ski_seed_type {
    const char *name, *aliases;
} ski_seed_type;
extern const ski_seed_type ski_seed_types[];

#endif
