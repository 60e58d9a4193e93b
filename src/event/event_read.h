// SPDX-License-Identifier: Apache-2.0
// event/event_read.h - reading the members of an object by a table, each name at most once.
//
// A reader belongs to one call.
#ifndef SKI_EVENT_EVENT_READ_H
#define SKI_EVENT_EVENT_READ_H

#include "base/json.h"
#include "event/event_json.h"

typedef struct ski_reader {
    skald_event *event;
    ski_event_expect *expect; // NULL: not taken
    skald_arena *arena;
    skald_error *error; // NULL is allowed
    unsigned flags;     // of ski_event_read
    void *context;      // of one form's own rows
} ski_reader;

// ski_member is a row of a table: a name, and how its value is read. A value null is never read: it
// is "not given".
typedef struct ski_member {
    skald_str name;
    skald_err (*read)(ski_reader *reader, const struct ski_member *member,
                      const ski_json_item *item);
    size_t offset; // of what is read in skald_event, where that says where it goes
} ski_member;

typedef struct ski_members {
    const ski_member *rows; // 32 at most
    size_t count;
    size_t prefix; // bytes of every row's name that only errors use: "actor."
    // unknown is asked about a member that is in no row; name is the member's, escapes undone.
    skald_err (*unknown)(ski_reader *reader, const struct ski_members *members, skald_str name,
                         const ski_json_item *item);
} ski_members;

// ski_read_members reads the object text, which is one.
skald_err ski_read_members(ski_reader *reader, const ski_members *members, skald_str text)
    SKALD_CHECK;

// ski_unknown_fails refuses the name and says which one may have been meant.
skald_err ski_unknown_fails(ski_reader *reader, const ski_members *members, skald_str name,
                            const ski_json_item *item);

// The ways to read. Each fails with the member's name as the field.
skald_err ski_read_text(ski_reader *reader, const ski_member *member, const ski_json_item *item);
skald_err ski_read_uuid(ski_reader *reader, const ski_member *member, const ski_json_item *item);
skald_err ski_read_time(ski_reader *reader, const ski_member *member, const ski_json_item *item);
skald_err ski_read_count(ski_reader *reader, const ski_member *member, const ski_json_item *item);
skald_err ski_read_version(ski_reader *reader, const ski_member *member, const ski_json_item *item);
skald_err ski_read_priority(ski_reader *reader, const ski_member *member,
                            const ski_json_item *item);
skald_err ski_read_persistent(ski_reader *reader, const ski_member *member,
                              const ski_json_item *item);
skald_err ski_read_data(ski_reader *reader, const ski_member *member, const ski_json_item *item);

// ski_read_string gives the text of a string; anything else fails, and so does what no rule would
// let be so long.
skald_err ski_read_string(ski_reader *reader, const ski_member *member, const ski_json_item *item,
                          skald_str *ret_text) SKALD_CHECK;
skald_err ski_member_fails(ski_reader *reader, const ski_member *member, skald_err err,
                           const char *format, ...) SKALD_PRINTF(4, 5);
skald_err ski_kind_fails(ski_reader *reader, const ski_member *member, const char *due,
                         const ski_json_item *item); // due: "a string"
const char *ski_json_kind_name(ski_json_kind kind);  // "a number"

// ski_text_check: may text be an envelope's? The rules of event_check.c, for one that has no place
// in skald_event.
skald_err ski_text_check(const char *field, skald_str text, size_t bytes_max,
                         skald_error *reterr_error) SKALD_CHECK;

// ski_cloudevents_read reads the structured form of CloudEvents: text is an object.
skald_err ski_cloudevents_read(ski_reader *reader, skald_str text) SKALD_CHECK;

#endif
