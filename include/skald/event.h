// SPDX-License-Identifier: Apache-2.0
// skald/event.h - what an event is: an immutable fact, made of an envelope and data.
//
// The data is JSON text. Events are plain values that borrow their text: whoever lends one says how
// long. They are immutable and may be read from any thread.
#ifndef SKALD_EVENT_H
#define SKALD_EVENT_H

#include <skald/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef skald_str skald_json; // one JSON value as text

typedef enum skald_priority {
    SKALD_LOW = -1,
    SKALD_NORMAL,
    SKALD_HIGH,
    SKALD_CRITICAL
} skald_priority;

// The limits of an envelope, in bytes.
enum {
    SKALD_TYPE_BYTES_MAX = 255,
    SKALD_STREAM_BYTES_MAX = 255,
    SKALD_TENANT_BYTES_MAX = 64,
    SKALD_CORRELATION_BYTES_MAX = 128, // causation too
    SKALD_ACTOR_BYTES_MAX = 128,       // user and role, each
    SKALD_SOURCE_BYTES_MAX = 255,
    SKALD_TAGS_BYTES_MAX = 1024,
    SKALD_TRACEPARENT_BYTES_MAX = 128,
    SKALD_METADATA_BYTES_MAX = 64 * 1024,
    SKALD_EVENT_BYTES_MAX = 1024 * 1024,       // data; by default
    SKALD_EVENT_BYTES_LIMIT = 16 * 1024 * 1024 // data; the most an option may allow
};

// The tenant of what the platform says of itself and of all: system.*, security.*, and audit.* of
// what belongs to no one tenant. Over HTTP only an admin of every tenant reads it, and no key or
// token can be of it, or of any other that begins with '$'.
#define SKALD_PLATFORM_TENANT "$platform"

// skald_event is an envelope with its data. To publish one, give type and data; what is left zero
// is stamped. One received is complete, and borrowed.
typedef struct skald_event {
    skald_str type;      // dotted, past tense: "invoice.paid"
    skald_json data;     // any JSON value; not given: null
    skald_json metadata; // an object of the publisher's own; may be not given
    skald_uuid id;       // version 7; the same id again is the same event
    skald_str stream;    // "invoice-0192…"; not given: the event is its own ordering key
    skald_str tags;      // between spaces: "course:101 student:7"
    skald_str tenant;    // not given and empty are the same: the default tenant
    skald_str correlation_id, causation_id; // any text
    skald_str user, role;                   // the actor
    skald_str source, traceparent;
    skald_time occurred_at, recorded_at;
    uint64_t position;       // dense in the log, from 1; 0: not stored
    uint64_t stream_version; // dense in the stream, from 1; 0: no stream
    uint32_t version;        // of the schema; 0 is taken as 1
    skald_priority priority;
    bool transient; // never kept on disk: typing, presence
    bool test;      // made by an operator to see it flow; business handlers are not given it
} skald_event;

// skald_event_category is the part of a stream's name before the first '-'; all of it without one.
SKALD_API skald_str skald_event_category(skald_str stream);

// skald_filter says which events are meant. A zero field lets everything through; within a field
// any item may match, between fields all must.
typedef struct skald_filter {
    skald_texts types;      // names, and prefixes as "invoice.*"; "*" is every type
    skald_texts streams;    // names
    skald_texts categories; // "invoice" is every stream "invoice-…"
    skald_str tenant; // NULL ptr: every tenant, which only the system may ask for; "" the default
                      // one
    skald_str correlation_id;
    skald_priority priority_min; // 0 (normal) lets low ones through too
} skald_filter;

SKALD_API bool skald_filter_matches(const skald_filter *filter, const skald_event *event);

// skald_event_check says whether an event may be published: names and limits, data and metadata
// valid JSON, an object where one is due. Fails: INVALID, TOOBIG (more than data_bytes_max), each
// with the field.
SKALD_API SKALD_CHECK skald_err skald_event_check(const skald_event *event, size_t data_bytes_max,
                                                  skald_error *reterr_error);

// skald_event_json appends the envelope as one JSON object without line breaks of its own;
// cloudevents selects the CloudEvents 1.0 structured form. Fails: FULL, NOMEM.
SKALD_API SKALD_CHECK skald_err skald_event_json(const skald_event *event, bool cloudevents,
                                                 skald_buf *buf);

// skald_event_parse reads one, in the form given by skald_event_json: json is checked first (it
// need not be trusted), unknown and repeated members are refused. The members that only a store
// gives (position, streamVersion, recordedAt) are read too. The event borrows from json and arena.
// Fails: INVALID (the field and what is wrong with it), TOOBIG, NOMEM, UNSUPPORTED.
SKALD_API SKALD_CHECK skald_err skald_event_parse(skald_json json, bool cloudevents,
                                                  skald_arena *arena, skald_event *ret_event,
                                                  skald_error *reterr_error);

#ifdef __cplusplus
}
#endif
#endif // SKALD_EVENT_H
