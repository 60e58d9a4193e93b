// SPDX-License-Identifier: Apache-2.0
// skald/typed.h - events as C structs: one list of fields declares everything.
//
//     #define ORDER_CREATED(FIELD)                             (each line but the last ends in a
//         FIELD(subject(uuid),    customer_id, "customerId")    backslash, left out here)
//         FIELD(personal(text),   email,       "email")
//         FIELD(list(order_line), lines,       "lines")
//         FIELD(optional(date),   due_on,      "dueOn")
//     SKALD_EVENT(order_created, "order.created", ORDER_CREATED, 1, .aliases = "ORDER_CREATED");
//
// gives the struct order_created and
//
//     order_created_type()                              its descriptor
//     order_created_publish(bus, &order, envelope, options)
//     order_created_subscribe(bus, handler, options, &subscription, &error)
//     order_created_event(&order, arena, &event, &error)   struct to event, for batches
//     order_created_of(event, arena, &order, &error)       event to struct
//
// Kinds: text uuid flag i64 f64 time date money json texts uuids, object(R), list(R), choice(C);
// around one of them optional(), personal() and subject(), personal() outermost. SKALD_RECORD
// declares R, SKALD_CHOICE declares C. A kind that does not exist does not compile.
//
// C11; in C++ the macros need C++20.
#ifndef SKALD_TYPED_H
#define SKALD_TYPED_H

#include <skald/bus.h>
#include <skald/schema.h>
#include <skald/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// skald_bus_types is the registry of a bus: the names kept in its store, those of the types its
// program declares, and in a server those that come with it. What is published, and every filter,
// goes by it: events are stored under the dotted name. It lives as long as the bus.
SKALD_API skald_types *skald_bus_types(skald_bus *bus);

// skald_bus_type_put is skald_types_put that the store keeps, and that reaches subscriptions which
// run already. transient: of its events, unless NULL. Waits. Fails: as skald_types_put, and what
// the store says.
SKALD_API SKALD_CHECK skald_err skald_bus_type_put(skald_bus *bus, skald_str type,
                                                   skald_texts aliases, const bool *transient,
                                                   skald_error *reterr_error);

// skald_bus_schemas is the registry of schemas of a bus; the store keeps it. An event whose type
// has schemas must fit the one of its version to be published. It lives as long as the bus.
SKALD_API skald_schemas *skald_bus_schemas(skald_bus *bus);

// skald_types_load adds the names a store keeps; for those who read it without a bus. Waits. Fails:
// CORRUPT (which type), and as skald_types_put.
SKALD_API SKALD_CHECK skald_err skald_types_load(skald_types *types, skald_store *store,
                                                 skald_error *reterr_error);

// skald_types_known adds the names that every server knows from the start; one that has another
// meaning there already keeps that. Fails: FULL, NOMEM.
SKALD_API SKALD_CHECK skald_err skald_types_known(skald_types *types);

// skald_typed_publish is x_publish(): envelope, which may be NULL, gives what an event has beside
// its type, version and data. Waits. Fails: as skald_encode and skald_publish.
SKALD_API SKALD_CHECK skald_err skald_typed_publish(skald_bus *bus, const skald_event_type *type,
                                                    const void *object, const skald_event *envelope,
                                                    const skald_publish_options *options);

// skald_typed_subscribe is x_subscribe(): the handler is given the struct too, which lives as the
// delivery does. Old events are upcast first, as with options.upcasts. Data that does not fit it is
// rejected with the reason, and the handler is not called. options are those of skald_subscribe;
// handler.context and handler.end are the caller's, filter.types and handler.fn must be left zero.
// Fails: as skald_subscribe, EXISTS (a name of the type belongs to another one).
typedef void skald_typed_fn(void);
typedef skald_outcome skald_typed_call_fn(skald_typed_fn *fn, const skald_delivery *delivery,
                                          const void *object);
SKALD_API SKALD_CHECK skald_err skald_typed_subscribe(skald_bus *bus, const skald_event_type *type,
                                                      skald_typed_fn *fn, skald_typed_call_fn *call,
                                                      const skald_subscription_options *options,
                                                      skald_subscription *ret_subscription,
                                                      skald_error *reterr_error);

#ifdef __cplusplus
}
#endif

// A kind is one word or word(argument), so pasting a prefix onto it yields a macro, and its call:
// SKALD_C_##kind with kind = optional(list(line)) is SKALD_C_optional(list(line)). Each group below
// is one such prefix. The fields stand in a function because only there can a local typedef name
// the struct for offsetof, which a FIELD line does not know.

// The C type of a member.
#define SKALD_C_text skald_str
#define SKALD_C_uuid skald_uuid
#define SKALD_C_flag bool
#define SKALD_C_i64 int64_t
#define SKALD_C_f64 double
#define SKALD_C_time skald_time
#define SKALD_C_date skald_date
#define SKALD_C_money skald_money
#define SKALD_C_json skald_json
#define SKALD_C_texts skald_texts
#define SKALD_C_uuids skald_uuids
#define SKALD_C_object(name) name
#define SKALD_C_list(name) name##_list
#define SKALD_C_choice(name) name
#define SKALD_C_optional(kind) \
    struct {                   \
        bool has;              \
        SKALD_C_##kind value;  \
    }
#define SKALD_C_personal(kind) SKALD_C_##kind
#define SKALD_C_subject(kind) SKALD_C_##kind

// Its kind.
#define SKALD_K_text SKALD_TEXT
#define SKALD_K_uuid SKALD_UUID
#define SKALD_K_flag SKALD_FLAG
#define SKALD_K_i64 SKALD_I64
#define SKALD_K_f64 SKALD_F64
#define SKALD_K_time SKALD_TIME
#define SKALD_K_date SKALD_DATE
#define SKALD_K_money SKALD_MONEY
#define SKALD_K_json SKALD_JSON
#define SKALD_K_texts SKALD_TEXTS
#define SKALD_K_uuids SKALD_UUIDS
#define SKALD_K_object(name) SKALD_OBJECT
#define SKALD_K_list(name) SKALD_LIST
#define SKALD_K_choice(name) SKALD_CHOICE_KIND
#define SKALD_K_optional(kind) SKALD_K_##kind
#define SKALD_K_personal(kind) SKALD_K_##kind
#define SKALD_K_subject(kind) SKALD_K_##kind

// What else is known of it: flags, place of the value, record, choice.
#define SKALD_A_text 0, SKALD_O_plain, NULL, NULL
#define SKALD_A_uuid SKALD_A_text
#define SKALD_A_flag SKALD_A_text
#define SKALD_A_i64 SKALD_A_text
#define SKALD_A_f64 SKALD_A_text
#define SKALD_A_time SKALD_A_text
#define SKALD_A_date SKALD_A_text
#define SKALD_A_money SKALD_A_text
#define SKALD_A_json SKALD_A_text
#define SKALD_A_texts SKALD_A_text
#define SKALD_A_uuids SKALD_A_text
#define SKALD_A_object(name) 0, SKALD_O_plain, name##_record, NULL
#define SKALD_A_list(name) 0, SKALD_O_plain, name##_record, NULL
#define SKALD_A_choice(name) 0, SKALD_O_plain, NULL, name##_choice
#define SKALD_A_optional(kind) SKALD_A_OPTIONAL_(SKALD_A_##kind)
#define SKALD_A_personal(kind) (int)SKALD_PERSONAL | SKALD_A_##kind
#define SKALD_A_subject(kind) (int)SKALD_SUBJECT | SKALD_A_##kind
#define SKALD_A_OPTIONAL_(attributes) SKALD_A_OPTIONAL__(attributes)
#define SKALD_A_OPTIONAL__(flags, place, record, choice) \
    (int)SKALD_OPTIONAL | flags, SKALD_O_value, record, choice

#define SKALD_O_plain(name) offsetof(skald_self_, name)
#define SKALD_O_value(name) offsetof(skald_self_, name.value)

#define SKALD_FIELD_MEMBER_(kind, name, json) SKALD_C_##kind name;
#define SKALD_FIELD_ENTRY_(kind, name, json) \
    SKALD_FIELD_ENTRY__(SKALD_K_##kind, name, json, SKALD_A_##kind)
#define SKALD_FIELD_ENTRY__(kind, name, json, attributes) \
    SKALD_FIELD_ENTRY___(kind, name, json, attributes)
#define SKALD_FIELD_ENTRY___(kind, name, json, flags, place, record, choice) \
    {json, place(name), offsetof(skald_self_, name), kind, flags, record, choice},

// SKALD_RECORD(line, LINE) declares the struct line, line_list {items, count}, and line_record().
#define SKALD_RECORD(self, fields)                                                 \
    typedef struct self {                                                          \
        fields(SKALD_FIELD_MEMBER_)                                                \
    } self;                                                                        \
    typedef struct self##_list {                                                   \
        const self *items;                                                         \
        size_t count;                                                              \
    } self##_list;                                                                 \
    SKALD_UNUSED static inline const skald_record *self##_record(void)             \
    {                                                                              \
        typedef self skald_self_;                                                  \
        static const skald_field list[] = {fields(SKALD_FIELD_ENTRY_)};            \
        static const skald_record record = {#self, sizeof(skald_self_),            \
                                            sizeof(list) / sizeof(list[0]), list}; \
        return &record;                                                            \
    }                                                                              \
    typedef self self##_needs_a_semicolon_

// SKALD_CHOICE(colour, COLOUR), where COLOUR(ONE) is ONE(RED, "red") ..., declares the enum colour.
#define SKALD_ONE_ENUM_(name, json) name,
#define SKALD_ONE_TEXT_(name, json) json,
#define SKALD_CHOICE(self, ones)                                                      \
    typedef enum self { ones(SKALD_ONE_ENUM_) } self;                                 \
    SKALD_UNUSED static inline const skald_choice *self##_choice(void)                \
    {                                                                                 \
        static const char *const names[] = {ones(SKALD_ONE_TEXT_)};                   \
        static const skald_choice choice = {names, sizeof(names) / sizeof(names[0])}; \
        return &choice;                                                               \
    }                                                                                 \
    typedef self self##_needs_a_semicolon_

// SKALD_EVENT(x, "dotted.name", FIELDS, version, .aliases = ...) declares the record x and the
// functions named above. The rest of its arguments are members of skald_event_type, in their order.
#define SKALD_EVENT(self, dotted, fields, ...)                                                     \
    SKALD_RECORD(self, fields);                                                                    \
    SKALD_UNUSED static inline const skald_event_type *self##_type(void)                           \
    {                                                                                              \
        static const skald_event_type type = {.name = dotted,                                      \
                                              .record = self##_record,                             \
                                              .version = __VA_ARGS__};                             \
        return &type;                                                                              \
    }                                                                                              \
    SKALD_UNUSED SKALD_CHECK static inline skald_err self##_event(                                 \
        const self *object, skald_arena *arena, skald_event *ret_event, skald_error *reterr_error) \
    {                                                                                              \
        return skald_type_event(self##_type(), object, arena, ret_event, reterr_error);            \
    }                                                                                              \
    SKALD_UNUSED SKALD_CHECK static inline skald_err self##_of(const skald_event *event,           \
                                                               skald_arena *arena,                 \
                                                               const self **ret_object,            \
                                                               skald_error *reterr_error)          \
    {                                                                                              \
        const void *object = NULL;                                                                 \
        skald_err err = skald_type_object(self##_type(), event, arena, &object, reterr_error);     \
                                                                                                   \
        if (!err) *ret_object = (const self *)object;                                              \
        return err;                                                                                \
    }                                                                                              \
    SKALD_UNUSED SKALD_CHECK static inline skald_err self##_publish(                               \
        skald_bus *bus, const self *object, const skald_event *envelope,                           \
        const skald_publish_options *options)                                                      \
    {                                                                                              \
        return skald_typed_publish(bus, self##_type(), object, envelope, options);                 \
    }                                                                                              \
    typedef skald_outcome self##_handler_fn(const skald_delivery *delivery, const self *object);   \
    SKALD_UNUSED static inline skald_outcome self##_call_(skald_typed_fn *fn,                      \
                                                          const skald_delivery *delivery,          \
                                                          const void *object)                      \
    {                                                                                              \
        return ((self##_handler_fn *)fn)(delivery, (const self *)object);                          \
    }                                                                                              \
    SKALD_UNUSED SKALD_CHECK static inline skald_err self##_subscribe(                             \
        skald_bus *bus, self##_handler_fn *fn, const skald_subscription_options *options,          \
        skald_subscription *ret_subscription, skald_error *reterr_error)                           \
    {                                                                                              \
        return skald_typed_subscribe(bus, self##_type(), (skald_typed_fn *)fn, self##_call_,       \
                                     options, ret_subscription, reterr_error);                     \
    }                                                                                              \
    typedef self self##_event_needs_a_semicolon_

#endif // SKALD_TYPED_H
