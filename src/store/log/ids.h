// SPDX-License-Identifier: Apache-2.0
// store/log/ids.h - the ids of the newest events that index files cover: from the hash of an id to
// ranges of positions that may have it. The index files of a range know whether one has it.
//
// Five bytes an event, with the room that is kept, once there are as many as are remembered. What
// has become too old falls out when a row is cleaned. One thread at a time.
#ifndef SKI_STORE_LOG_IDS_H
#define SKI_STORE_LOG_IDS_H

#include <skald/base.h>

enum { SKI_IDS_GROUPS = 64 };
#define SKI_IDS_EVENTS_MAX (UINT64_C(1) << 30)

typedef struct ski_ids_group {
    uint32_t *rows;  // all of them, one behind the other
    uint32_t stride; // of a row: how many of its entries are used, then the entries
} ski_ids_group;

typedef struct ski_ids {
    ski_ids_group groups[SKI_IDS_GROUPS];
    uint64_t events_max;                // older ones are forgotten, but not at once
    unsigned row_bits;                  // of the hash, that choose the row of a group
    unsigned range_shift;               // 2^this positions are a range
    uint32_t ranges_max;                // so many ranges are remembered
    uint32_t stride_first, stride_last; // of rows: at the beginning, and when there are events_max
} ski_ids;

// A lookup: set hash and last (the newest position there is), zero the rest.
typedef struct ski_ids_cursor {
    uint64_t hash, last;
    uint32_t seen;
} ski_ids_cursor;

void ski_ids_init(ski_ids *ids, uint64_t events_max); // 1 to SKI_IDS_EVENTS_MAX
void ski_ids_fini(ski_ids *ids);
// ski_ids_reserve says how many will be added at the beginning.
void ski_ids_reserve(ski_ids *ids, uint64_t events);
// ski_ids_add: of the hash the upper 40 bits are enough. Adding what is there changes nothing. last
// is the newest position there is. Fails: NOMEM.
skald_err ski_ids_add(ski_ids *ids, uint64_t hash, uint64_t position, uint64_t last) SKALD_CHECK;
// ski_ids_next gives the next range that may have the hash, in no order; false: no further one.
bool ski_ids_next(const ski_ids *ids, ski_ids_cursor *cursor, uint64_t *ret_first,
                  uint64_t *ret_last);
void ski_ids_expect(const ski_ids *ids, uint64_t hash); // prefetches
uint64_t ski_ids_bytes(const ski_ids *ids);

#endif
