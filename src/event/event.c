// SPDX-License-Identifier: Apache-2.0
// What is asked of an event without reading its data: its category, and whether a filter means it.
//
// Filters are asked once per event and subscription: nothing is built, names are compared in place.
#include "base/str.h"
#include "event/filter.h"
#include <skald/event.h>

#include <string.h>

skald_str skald_event_category(skald_str stream)
{
    const char *dash = stream.len ? memchr(stream.ptr, '-', stream.len) : NULL;

    return dash ? (skald_str){stream.ptr, (size_t)(dash - stream.ptr)} : stream;
}

// type_matches compares a type with a name, a prefix "invoice.*" or "*".
static bool type_matches(skald_str pattern, skald_str type)
{
    if (pattern.len == 1 && pattern.ptr[0] == '*') return true;
    if (pattern.len < 2 || pattern.ptr[pattern.len - 1] != '*' ||
        pattern.ptr[pattern.len - 2] != '.') {
        return skald_str_equal(pattern, type);
    }
    pattern.len--;
    return type.len > pattern.len && ski_str_begins(type, pattern);
}

static bool types_match(const skald_texts *patterns, skald_str type)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (type_matches(patterns->items[i], type)) return true;
    }
    return patterns->count == 0;
}

// names_match never matches what an event does not have: a stream is never empty.
static bool names_match(const skald_texts *names, skald_str name)
{
    for (size_t i = 0; i < names->count && name.len; i++) {
        if (skald_str_equal(names->items[i], name)) return true;
    }
    return names->count == 0;
}

bool ski_filter_is_open(const skald_filter *filter)
{
    return !filter->types.count && !filter->streams.count && !filter->categories.count &&
           !filter->correlation_id.len && filter->priority_min <= SKALD_NORMAL;
}

skald_err ski_filter_types_check(skald_texts types, skald_error *reterr_error)
{
    for (size_t i = 0; i < types.count; i++) {
        skald_error error = {0};

        if (ski_type_filter_check(types.items[i], &error))
            return skald_fail_at(reterr_error, SKALD_EINVALID, "filter.types", "%s", error.text);
    }
    return SKALD_OK;
}

bool skald_filter_matches(const skald_filter *filter, const skald_event *event)
{
    if (filter->tenant.ptr && !skald_str_equal(filter->tenant, event->tenant)) return false;
    if (filter->priority_min > SKALD_NORMAL && event->priority < filter->priority_min) return false;
    if (filter->correlation_id.len &&
        !skald_str_equal(filter->correlation_id, event->correlation_id)) {
        return false;
    }
    return types_match(&filter->types, event->type) &&
           names_match(&filter->streams, event->stream) &&
           (filter->categories.count == 0 ||
            names_match(&filter->categories, skald_event_category(event->stream)));
}
