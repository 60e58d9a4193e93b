// SPDX-License-Identifier: Apache-2.0
// bus/match.h - which subscriptions an event of a type may concern.
//
// A subscription that names its types exactly stands under each of them; every other (prefixes,
// "*", no types) stands among the others. So an event costs what it concerns, however many
// subscriptions there are. What is found is a candidate: the rest of its filter is still to be
// asked. One lock guards it.
#ifndef SKI_BUS_MATCH_H
#define SKI_BUS_MATCH_H

#include "base/map.h"
#include <skald/event.h>

typedef struct ski_match_list {
    void **items; // the subscriptions, in no order
    uint32_t count, size;
} ski_match_list;

typedef struct ski_match_type ski_match_type;

typedef struct ski_match {
    ski_match_list others;
    ski_match_type *types; // slots of map; an empty one is on the free list
    uint32_t type_count, type_size, type_free;
    ski_map map;
} ski_match;

void ski_match_init(ski_match *match);
void ski_match_fini(ski_match *match);
// ski_match_exact: does every one of the types name one type?
bool ski_match_exact(skald_texts types);
// ski_match_add puts item under its types, which are copied. Fails: NOMEM, and nothing changed.
skald_err ski_match_add(ski_match *match, skald_texts types, void *item) SKALD_CHECK;
void ski_match_remove(ski_match *match, skald_texts types, void *item); // the same types
// ski_match_find gives those that name type, NULL if none does. match->others are to be asked too.
const ski_match_list *ski_match_find(const ski_match *match, skald_str type);

#endif
