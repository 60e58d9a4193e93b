// SPDX-License-Identifier: Apache-2.0
// bus/aside.h - a delivery set aside: the record that the checkpoint passes.
//
// DEAD: a dead letter. PARKED: the head of a key that failed for good; what comes of its key waits
// behind it, not as a list but as "from position to last, of this key": it is read from the log
// again on release, so the record stays as small as it began. LATER: an event with a time, which
// releases itself then.
//
// A record is kept in memory by its subscription and, as the value "aside/NAME/ORIGIN", in the
// store: written in the frame of the checkpoint that passes its event, so that no crash loses or
// doubles it. Releasing a record is reading on from its event, one delivery at a time, with the
// record as the cursor.
#ifndef SKI_BUS_ASIDE_H
#define SKI_BUS_ASIDE_H

#include "bus/link.h"
#include "bus/timer.h"
#include <skald/bus.h>

struct ski_subscription;
struct ski_delivery;
struct ski_hold;

enum { SKI_ASIDE_DEAD, SKI_ASIDE_PARKED, SKI_ASIDE_LATER };

enum {
    SKI_ASIDE_ERROR_BYTES_MAX = 200,
    SKI_ASIDE_DATA_BYTES_MAX = 900 << 10, // of an edited event: the value must fit the store
    SKI_ASIDE_BYTES_MAX = SKI_ASIDE_DATA_BYTES_MAX + 4096,
    SKI_ASIDES_UNSAVED_MAX = 1024, // set aside and not yet in the store; then the next ones wait
};

// What is said about it; text is in one block.
typedef struct ski_aside_about {
    uint64_t origin;   // the position it began at: names it
    uint64_t position; // of its event; of a key being released, the next
    uint64_t last;     // parked: the last position known to wait
    uint64_t waiting;
    uint32_t attempts;
    uint8_t kind;
    bool keyed;     // others may wait behind it
    bool releasing; // goes on by itself after a restart
    skald_time first_at, last_at, due_at;
    skald_uuid event_id;
    skald_str key, tenant, type, stream, error, data;
} ski_aside_about;

typedef struct ski_aside {
    ski_aside_about about;
    char *text; // the block
    struct ski_subscription *subscription;
    uint64_t key_hash;
    struct ski_aside *key_next; // parked and keyed: in a bucket of its subscription
    bool stored;                // the store has one
    bool dirty;                 // it differs from what the store has, or will have
    bool saving, saving_gone;   // in the batch on its way, as a removal
    bool gone;                  // is to be removed
    bool reserved;              // its timer has its place
    ski_link change;            // dirty or saving: in a ring of its subscription
    ski_link turn;              // releasing: waits for a page, or for its turn
    ski_timer timer;            // of LATER; of a page that could not be read
    // Being released.
    struct ski_hold *source;
    size_t source_index;
    uint64_t source_last; // how far it was read for
    uint32_t read_failures;
    bool active, reading, source_end;
    struct ski_delivery *delivery;
    skald_event event; // with data in place of its own
} ski_aside;

// aside.c: bytes
skald_err ski_aside_encode(const ski_aside_about *about, skald_buf *buf) SKALD_CHECK;
// Text is borrowed from bytes. Fails: CORRUPT, UNSUPPORTED.
skald_err ski_aside_decode(skald_str bytes, ski_aside_about *ret_about, skald_error *reterr_error)
    SKALD_CHECK;
// ski_aside_name appends the name of its value. ski_aside_of: is it one of that subscription?
skald_err ski_aside_name(skald_str subscription, uint64_t origin, skald_buf *buf) SKALD_CHECK;
bool ski_aside_split(skald_str value_name, skald_str *ret_subscription, uint64_t *ret_origin);

// The table of a subscription. new: copies all text; NULL: no memory. find: by origin.
ski_aside *ski_aside_new(struct ski_subscription *sub, const ski_aside_about *about);
bool ski_aside_say(ski_aside *aside, const ski_aside_about *about); // false: no memory, unchanged
ski_aside *ski_aside_find(const struct ski_subscription *sub, uint64_t origin);
// Of the event or head of the key at this position; not those gone.
ski_aside *ski_aside_at(const struct ski_subscription *sub, uint64_t position);
void ski_aside_mark(ski_aside *aside);   // it has changed
void ski_aside_remove(ski_aside *aside); // is to go; it stays until the store has heard
void ski_aside_settle(ski_aside *aside); // gone and nothing refers to it any more? then its memory
void ski_aside_drop(ski_aside *aside);   // its memory, at once
void ski_aside_kind(ski_aside *aside, uint8_t kind);
void ski_asides_fini(struct ski_subscription *sub);
skald_err ski_asides_load(struct ski_subscription *sub, skald_error *reterr_error) SKALD_CHECK;
skald_err ski_aside_timer_reserve(skald_bus *bus, ski_aside *aside) SKALD_CHECK;
// Parked keys.
ski_aside *ski_parked_find(const struct ski_subscription *sub, uint64_t key_hash, skald_str tenant,
                           skald_str key);

#endif
