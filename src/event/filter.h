// SPDX-License-Identifier: Apache-2.0
// event/filter.h - what a filter asks for, of which skald_filter_matches is the rest.
#ifndef SKI_EVENT_FILTER_H
#define SKI_EVENT_FILTER_H

#include <skald/event.h>

// ski_filter_is_open: it asks for nothing but a tenant. A field more of a filter belongs in here,
// too. Any thread.
bool ski_filter_is_open(const skald_filter *filter);

// ski_type_filter_check says whether any event may be of what a filter asks for: a name, a prefix
// as "invoice.*", or "*". Fails: INVALID (field "type").
skald_err ski_type_filter_check(skald_str type, skald_error *reterr_error);
// ski_filter_types_check says so of all types of a filter: one that can mean no event would be a
// read that finds nothing, and a subscription that is deaf, without a word. Fails: INVALID (field
// "filter.types").
skald_err ski_filter_types_check(skald_texts types, skald_error *reterr_error) SKALD_CHECK;

#endif
