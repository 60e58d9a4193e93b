// SPDX-License-Identifier: Apache-2.0
// event/event_json.h - reading one event from JSON that has passed the door, for the floors above.
//
// Functions of values: any thread; what they give borrows from the text and the arena.
#ifndef SKI_EVENT_EVENT_JSON_H
#define SKI_EVENT_EVENT_JSON_H

#include <skald/event.h>

// What ski_event_read is to take; 0: what a client may publish.
enum {
    SKI_EVENT_STORED = 1,      // position, streamVersion and recordedAt are read too
    SKI_EVENT_CLOUDEVENTS = 2, // it is in the CloudEvents 1.0 structured form
};

// ski_event_expect is what "expectedVersion" asked for, with the values of skald_expected
// (skald/store.h).
typedef enum ski_event_expected {
    SKI_EXPECT_ANY,    // not given, or "any"
    SKI_EXPECT_NONE,   // 0 or "none": the stream must not exist
    SKI_EXPECT_EXISTS, // "exists"
    SKI_EXPECT_AT      // a version
} ski_event_expected;
typedef struct ski_event_expect {
    ski_event_expected expected;
    uint64_t version; // with SKI_EXPECT_AT
    // What else is asked of publishing, not kept in the event; 0: not given.
    skald_time deliver_at, expires_at;
} ski_event_expect;

// ski_event_read reads one event from item, a JSON value the door has accepted (perhaps one item of
// an array whose whole text it accepted). The event keeps every rule of skald_event_check but the
// size of its data, which may still be limited further. ret_expect NULL: "expectedVersion",
// "deliverAt" and "expiresAt" are refused. Fails: INVALID (error->field is the member:
// "actor.userId"), TOOBIG, UNSUPPORTED, NOMEM (arena).
skald_err ski_event_read(skald_str item, unsigned flags, skald_arena *arena, skald_event *ret_event,
                         ski_event_expect *ret_expect, skald_error *reterr_error) SKALD_CHECK;

// ski_event_check_names is skald_event_check for an event whose data and metadata are known to be
// valid JSON.
skald_err ski_event_check_names(const skald_event *event, size_t data_bytes_max,
                                skald_error *reterr_error) SKALD_CHECK;

// ski_event_ce_id is the id of a CloudEvent whose own id is not a UUID: the same in, the same out.
// Who gives a read event another tenant must give it the id of that tenant too, when metadata has
// "ceId".
skald_uuid ski_event_ce_id(skald_str tenant, skald_str source, skald_str ce_id);

#endif
