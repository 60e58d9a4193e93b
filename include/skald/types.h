// SPDX-License-Identifier: Apache-2.0
// skald/types.h - what a type of event is: its names, and the shape of its data.
//
// A record describes a C struct field by field; SKALD_EVENT of typed.h makes one from a list of
// fields. From it come the codec and, at run time, the contract for others: JSON Schema, AsyncAPI,
// TypeScript. The registry knows types by all their names; events are stored under the dotted one.
//
// Records and types are immutable. Any thread may call any function here.
#ifndef SKALD_TYPES_H
#define SKALD_TYPES_H

#include <skald/event.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t skald_date; // days since 1970-01-01, years 1 to 9999

// skald_money is an amount in the currency's smallest unit: {279926, "NOK"} is 2799.26 kroner.
typedef struct skald_money {
    int64_t minor;
    char currency[4]; // ISO 4217, terminated
} skald_money;

typedef struct skald_uuids {
    const skald_uuid *items;
    size_t count;
} skald_uuids;

// On the wire: a string, a UUID, true or false, a whole number, a number, RFC 3339, "2026-01-31",
// {"amount":"2799.26","currency":"NOK"}, any value, arrays, an object, one of a list of strings.
typedef enum skald_kind {
    SKALD_TEXT,
    SKALD_UUID,
    SKALD_FLAG,
    SKALD_I64,
    SKALD_F64,
    SKALD_TIME,
    SKALD_DATE,
    SKALD_MONEY,
    SKALD_JSON,
    SKALD_TEXTS,
    SKALD_UUIDS,
    SKALD_OBJECT,
    SKALD_LIST,
    SKALD_CHOICE_KIND
} skald_kind;

// Of a field: may be left out; is about a person; names the person whose data the personal fields
// of its record are.
enum { SKALD_OPTIONAL = 1, SKALD_PERSONAL = 2, SKALD_SUBJECT = 4 };

enum { SKALD_FIELDS_MAX = 128 }; // of one record

// A record and a choice are reached through functions, which are constants: they stand in tables.
typedef struct skald_record skald_record;
typedef const skald_record *skald_record_fn(void);
typedef struct skald_choice {
    const char *const *names; // on the wire, by the value of the enum
    uint32_t count;
} skald_choice;
typedef const skald_choice *skald_choice_fn(void);

typedef struct skald_field {
    const char *json;    // its name on the wire
    uint16_t offset;     // of the value
    uint16_t has_offset; // of an optional field's bool
    uint8_t kind, flags;
    skald_record_fn *record; // of OBJECT and LIST
    skald_choice_fn *choice; // of CHOICE_KIND
} skald_field;

struct skald_record {
    const char *name;
    uint32_t size;        // of the struct
    uint32_t field_count; // at most SKALD_FIELDS_MAX
    const skald_field *fields;
};

typedef struct skald_event_type {
    const char *name; // dotted, past tense: "invoice.paid"
    skald_record_fn *record;
    uint32_t version;        // of the data's shape, from 1
    const char *aliases;     // other names, between spaces: "INVOICE_PAID InvoicePaidEvent"
    skald_priority priority; // of its events, unless they say otherwise
    bool transient;          // its events are never kept on disk
} skald_event_type;
typedef const skald_event_type *skald_event_type_fn(void);

// skald_encode appends object as JSON. Fails: INVALID (the field: text that is not UTF-8, a date or
// a choice out of range, a currency that is none, json that is not JSON), FULL, NOMEM.
SKALD_API SKALD_CHECK skald_err skald_encode(const skald_record *record, const void *object,
                                             skald_buf *buf, skald_error *reterr_error);

// skald_decode reads the struct from json, which need not be trusted, into arena; its texts borrow
// from json where nothing is escaped. Members it does not know are passed over: they are of a newer
// version. Fails: SCHEMA (a member that is missing, null, given twice or of another kind; error's
// field says which: "lines[2].vatCode"), INVALID (no JSON), TOOBIG, NOMEM.
SKALD_API SKALD_CHECK skald_err skald_decode(const skald_record *record, skald_json json,
                                             skald_arena *arena, const void **ret_object,
                                             skald_error *reterr_error);

// skald_type_event makes an event of object: type, version, priority and data, which lives in
// arena. What skald_event has beside them may then be filled. Fails: as skald_encode.
SKALD_API SKALD_CHECK skald_err skald_type_event(const skald_event_type *type, const void *object,
                                                 skald_arena *arena, skald_event *ret_event,
                                                 skald_error *reterr_error);

// skald_type_object decodes an event's data. Fails: SCHEMA (also: it is an event of another type,
// field "type"), and as skald_decode.
SKALD_API SKALD_CHECK skald_err skald_type_object(const skald_event_type *type,
                                                  const skald_event *event, skald_arena *arena,
                                                  const void **ret_object,
                                                  skald_error *reterr_error);

// skald_date_parse takes "2026-01-31". Fails: INVALID. skald_date_print writes that and a NUL;
// false: the date is out of range.
enum { SKALD_DATE_TEXT = 10 };
SKALD_API skald_err skald_date_parse(skald_str text, skald_date *ret_date) SKALD_CHECK;
SKALD_API bool skald_date_print(skald_date date, char ret_text[SKALD_DATE_TEXT + 1]);

// What others can read a type from: its data as a JSON Schema 2020-12, as a message of AsyncAPI
// 3.0, as an interface of TypeScript. Personal fields carry "x-personal": true.
typedef enum skald_contract { SKALD_JSON_SCHEMA, SKALD_ASYNCAPI, SKALD_TYPESCRIPT } skald_contract;
SKALD_API SKALD_CHECK skald_err skald_type_write(const skald_event_type *type,
                                                 skald_contract contract, skald_buf *buf);

// The registry of names. What is in it stays in it.
typedef struct skald_types skald_types;

enum {
    SKALD_TYPE_NAME_BYTES_MAX = 200, // of a name that is registered
    SKALD_TYPE_ALIASES_MAX = 16,     // of one type
    SKALD_TYPE_VERSIONS_MAX = 32,    // of one type, declared
    SKALD_TYPE_NAMES_MAX = 16384     // of all, by default
};

// names_max 0 is SKALD_TYPE_NAMES_MAX.
SKALD_API SKALD_CHECK skald_err skald_types_new(uint32_t names_max, skald_types **ret_types);
SKALD_API void skald_types_free(skald_types *types); // NULL is allowed

// skald_types_add adds declared types; a list ends in NULL and is usually static:
//     static skald_event_type_fn *const events[] = {order_created_type, order_paid_type, NULL};
// The same one again is fine, and so are versions of one name. Fails: EXISTS (another shape under
// that name and version, or a name that belongs to another type), INVALID (a name), FULL, NOMEM.
SKALD_API SKALD_CHECK skald_err skald_types_add(skald_types *types,
                                                skald_event_type_fn *const *list,
                                                skald_error *reterr_error);

// skald_types_put gives a type, which it makes if need be, more names. The type is a dotted name;
// an alias is any word. All of it or nothing. Fails: as skald_types_add.
SKALD_API SKALD_CHECK skald_err skald_types_put(skald_types *types, skald_str type,
                                                skald_texts aliases, skald_error *reterr_error);

// skald_types_strict makes a bus refuse events of types that are not known, or takes that back.
// Names below "system." and "audit." are the platform's and always known.
SKALD_API void skald_types_strict(skald_types *types, bool strict);

// skald_types_name is the dotted name of any name, and not given if the name is not known. It lives
// as long as the registry.
SKALD_API skald_str skald_types_name(const skald_types *types, skald_str name);

// skald_types_closest is the type with the name most like an unknown one, for people; not given:
// none is like it.
SKALD_API skald_str skald_types_closest(const skald_types *types, skald_str name);

// skald_types_resolve gives a filter that means the same events by whatever names they are stored:
// each name of a type stands for all of its names, and a prefix also for types with an alias below
// it. It borrows from filter, registry and arena. Fails: TOOBIG (more than items_max names), NOMEM.
SKALD_API SKALD_CHECK skald_err skald_types_resolve(const skald_types *types,
                                                    const skald_filter *filter, size_t items_max,
                                                    skald_arena *arena, skald_filter *ret_filter,
                                                    skald_error *reterr_error);

// skald_type_row is one type of the registry; text and lists live in the arena given.
typedef struct skald_type_row {
    skald_str name;
    skald_texts aliases;
    const uint32_t *versions; // declared, rising
    size_t version_count;
    const skald_event_type *declared; // the newest; NULL: only names are known
    bool transient;
} skald_type_row;
// skald_types_list gives all, by name. Fails: NOMEM.
SKALD_API SKALD_CHECK skald_err skald_types_list(const skald_types *types, skald_arena *arena,
                                                 const skald_type_row **ret_rows,
                                                 size_t *ret_count);

// skald_types_write appends the contract of every type, as one document: JSON Schema with each type
// under $defs, an AsyncAPI document, a module of TypeScript. Fails: FULL, NOMEM.
SKALD_API SKALD_CHECK skald_err skald_types_write(const skald_types *types, skald_contract contract,
                                                  skald_buf *buf);

#ifdef __cplusplus
}
#endif
#endif // SKALD_TYPES_H
