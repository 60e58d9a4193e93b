// SPDX-License-Identifier: Apache-2.0
// bus/match.h - which subscriptions an event may concern.
//
// A subscription stands under one field of its filter, the most telling it has: its correlation id,
// each of its streams, of its types and prefixes ("order.*"), of its categories, or its tenant;
// among the others if it has none of them. An event is looked up by each of its own, so it costs
// what it concerns, however many subscriptions there are. What is found is a candidate: the rest of
// its filter is still to be asked. One lock guards it.
#ifndef SKI_BUS_MATCH_H
#define SKI_BUS_MATCH_H

#include "base/map.h"
#include <skald/event.h>

enum {
    SKI_MATCH_CORRELATION,
    SKI_MATCH_STREAM,
    SKI_MATCH_TYPE,
    SKI_MATCH_PREFIX,
    SKI_MATCH_CATEGORY,
    SKI_MATCH_TENANT,
    SKI_MATCH_FIELDS,
    // An event is found in: one list of each field but the prefixes, one of each prefix that ends
    // with one of the dots in its type, and the others.
    SKI_MATCH_LISTS_MAX = SKI_MATCH_FIELDS + SKALD_TYPE_BYTES_MAX / 2 + 1,
};

typedef struct ski_match_list {
    void **items; // the subscriptions, in no order
    uint32_t count, size;
} ski_match_list;

typedef struct ski_match_name ski_match_name;

typedef struct ski_match {
    ski_match_list others;
    ski_match_name *names; // slots of map; an empty one is on the free list
    uint32_t name_count, name_size, name_free;
    uint32_t used[SKI_MATCH_FIELDS];  // how many names: what none has is not looked up
    uint64_t looks[SKI_MATCH_FIELDS]; // a bit for each length and last byte that names have, or
                                      // had: nor is what looks like none of them
    ski_map map;
} ski_match;

void ski_match_init(ski_match *match);
void ski_match_fini(ski_match *match);
// ski_match_by_type: is what is found by this filter of its types for sure?
bool ski_match_by_type(const skald_filter *filter);
// ski_match_add puts item under a field of the filter, which is copied; it is not there yet. Fails:
// NOMEM, and nothing changed.
skald_err ski_match_add(ski_match *match, const skald_filter *filter, void *item) SKALD_CHECK;
// ski_match_widen: item is there, and its filter has more types since, behind types_before of them.
// Fails: NOMEM, and nothing changed.
skald_err ski_match_widen(ski_match *match, const skald_filter *filter, size_t types_before,
                          void *item) SKALD_CHECK;
void ski_match_remove(ski_match *match, const skald_filter *filter, void *item); // the same
// ski_match_find gives the lists of those the event may concern, and how many lists. One whose
// filter has both "a.b" and "a.*" is in two.
uint32_t ski_match_find(const ski_match *match, const skald_event *event,
                        const ski_match_list *ret_lists[SKI_MATCH_LISTS_MAX]);

#endif
