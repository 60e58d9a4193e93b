// SPDX-License-Identifier: Apache-2.0
// event/types_inside.h - the entries of the registry, for the files that read it. types.c says who
// may change what, and when.
#ifndef SKI_EVENT_TYPES_INSIDE_H
#define SKI_EVENT_TYPES_INSIDE_H

#include "event/types.h"
#include "os/thread.h"

#include <stdatomic.h>

typedef struct ski_name {
    uint64_t hash;
    skald_str text;
    struct ski_type *type;
    struct ski_name *older;
    char bytes[];
} ski_name;

typedef struct ski_type {
    _Atomic(ski_name *) names[SKALD_TYPE_ALIASES_MAX + 1]; // [0] is the dotted one
    _Atomic uint32_t name_count;
    const skald_event_type *declared[SKALD_TYPE_VERSIONS_MAX]; // in no order
    _Atomic uint32_t declared_count;
    atomic_bool transient;
    struct ski_type *next; // of all
} ski_type;

static inline const ski_name *ski_type_name_at(const ski_type *type, uint32_t i)
{
    return atomic_load_explicit(&((ski_type *)type)->names[i], memory_order_relaxed);
}

static inline uint32_t ski_type_name_count(const ski_type *type)
{
    return atomic_load_explicit(&((ski_type *)type)->name_count, memory_order_acquire);
}

static inline skald_str ski_type_name(const ski_type *type)
{
    return ski_type_name_at(type, 0)->text;
}

ski_name *ski_names_find(const skald_types *types, skald_str text); // NULL: not known
const ski_name *ski_names_newest(const skald_types *types);         // then older

#endif
