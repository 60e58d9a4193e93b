// SPDX-License-Identifier: Apache-2.0
// store/content.h - what the waist and the drivers must see alike: what makes two events the same,
// how big one is, and which ones a read means. Any thread.
#ifndef SKI_STORE_CONTENT_H
#define SKI_STORE_CONTENT_H

#include <skald/store.h>

// ski_event_content_hash is over what an event says: type, schema version, stream, data and
// metadata. Two events of one id with the same hash are one event sent twice. Who sent it, and
// when, is left out: that differs in a repetition. The same on every machine. Not given and empty
// are the same; version 0 is 1; data not given is null.
uint64_t ski_event_content_hash(uint64_t seed, const skald_event *event);

size_t ski_event_text_bytes(const skald_event *event); // of all its texts together

// ski_read_matches says whether a read means this event: positions, versions, times and the filter.
// The number of events asked for is for the caller to count.
bool ski_read_matches(const skald_read *read, const skald_event *event);

#endif
