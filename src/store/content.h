// SPDX-License-Identifier: Apache-2.0
// store/content.h - what the waist and the drivers must see alike: what makes two events the same,
// how big one is, which ones a read means, and the order of streams. Any thread.
#ifndef SKI_STORE_CONTENT_H
#define SKI_STORE_CONTENT_H

#include <skald/store.h>

// ski_event_content_hash is over what an event says: type, schema version, stream, data and
// metadata. Two events of one id with the same hash are one event sent twice. Who sent it, and
// when, is left out: that differs in a repetition. The same on every machine. Not given and empty
// are the same; version 0 is 1; data not given is null.
uint64_t ski_event_content_hash(uint64_t seed, const skald_event *event);

static inline size_t ski_event_text_bytes(const skald_event *event) // of all its texts together
{
    return event->type.len + event->data.len + event->metadata.len + event->stream.len +
           event->tags.len + event->tenant.len + event->correlation_id.len +
           event->causation_id.len + event->user.len + event->role.len + event->source.len +
           event->traceparent.len;
}

// ski_read_matches says whether a read means this event: positions, versions, times and the filter.
// The number of events asked for is for the caller to count.
bool ski_read_matches(const skald_read *read, const skald_event *event);

// ski_stream_behind says whether a stream comes behind that one in a listing, which is by tenant
// and then by name; NULL: any does.
bool ski_stream_behind(skald_str tenant, skald_str name, const skald_counted *after);

#endif
