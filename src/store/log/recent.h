// SPDX-License-Identifier: Apache-2.0
// store/log/recent.h - the ids of the events of the window: from the hash of an id to positions
// that may have it. What is found is verified by whoever asks.
//
// Eight bytes an event, up to twice that with the room that is kept. Entries that have become
// too old fall out when a part of the table is made anew; the table is in 64 parts, so that this
// never takes long. One thread at a time.
#ifndef SKI_STORE_LOG_RECENT_H
#define SKI_STORE_LOG_RECENT_H

#include <skald/base.h>

enum { SKI_RECENT_PARTS = 64 };
#define SKI_RECENT_EVENTS_MAX (UINT64_C(1) << 30)

typedef struct ski_recent_entry {
    uint32_t tag;      // of the hash, the bits behind those that choose the part
    uint32_t position; // the lower half
} ski_recent_entry;

typedef struct ski_recent_part {
    ski_recent_entry *entries; // free: position 0 and tag 0
    uint32_t size, used;
} ski_recent_part;

typedef struct ski_recent {
    ski_recent_part parts[SKI_RECENT_PARTS];
    uint64_t events_max; // older ones are not found, and forgotten; its owner may change it
} ski_recent;

// A lookup: set hash and last (the newest position put in order), zero the rest.
typedef struct ski_recent_cursor {
    uint64_t hash, last;
    uint32_t at, seen;
    bool begun;
} ski_recent_cursor;

void ski_recent_init(ski_recent *recent, uint64_t events_max); // at most SKI_RECENT_EVENTS_MAX
void ski_recent_fini(ski_recent *recent);
// ski_recent_add: position is newer than all before, or one of the same age when it is filled;
// last is the newest position there is. Fails: NOMEM.
skald_err ski_recent_add(ski_recent *recent, uint64_t hash, uint64_t position, uint64_t last)
    SKALD_CHECK;
void ski_recent_remove(ski_recent *recent, uint64_t hash, uint64_t position);
// ski_recent_next gives the next position that may have the hash, in no order; 0: no further one.
uint64_t ski_recent_next(const ski_recent *recent, ski_recent_cursor *cursor);
void ski_recent_expect(const ski_recent *recent, uint64_t hash); // prefetches
uint64_t ski_recent_bytes(const ski_recent *recent);

#endif
