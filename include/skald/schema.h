// SPDX-License-Identifier: Apache-2.0
// skald/schema.h - JSON Schema 2020-12: documents checked, schemas compared, versions kept.
//
// A skald_schema is one compiled schema: immutable, any thread. skald_schemas is a registry of
// schemas by event type and version: any thread, additions are safe too. Nothing here uses the
// network; what a $ref names outside its schema is given by the caller. "format" and the content
// keywords are annotations and refuse nothing, as the standard has it.
#ifndef SKALD_SCHEMA_H
#define SKALD_SCHEMA_H

#include <skald/event.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct skald_schema skald_schema;

// Limits. A schema or a document beyond them is TOOBIG, however it was made.
enum {
    SKALD_SCHEMA_BYTES_MAX = 1024 * 1024, // of one schema's text
    SKALD_SCHEMA_DOCUMENTS_MAX = 1024,    // given in options
    SKALD_SCHEMA_VIOLATIONS_MAX = 256,    // reported of one document
    SKALD_SCHEMA_TYPES_MAX = 16384,       // in a registry
    SKALD_SCHEMA_VERSIONS_MAX = 1000,     // of one type
    SKALD_UPCAST_MAX = 100,               // steps from the oldest version to the newest
};

// skald_schema_document is another schema that $ref or $schema may name.
typedef struct skald_schema_document {
    skald_str uri;   // absolute, no fragment
    skald_json text; // a schema
} skald_schema_document;

typedef struct skald_schema_options {
    skald_str uri; // where the schema itself is from; not given: it has no name but its $id
    const skald_schema_document *documents; // read as they are named; borrowed for the call
    size_t document_count;
} skald_schema_options;

// skald_schema_compile makes a schema; options may be NULL. Fails: INVALID (not JSON, not a schema,
// or it names what is not given: where is in the error's field), TOOBIG, NOMEM.
SKALD_API skald_err skald_schema_compile(skald_json text, const skald_schema_options *options,
                                         skald_schema **ret_schema, skald_error *reterr_error)
    SKALD_CHECK;
SKALD_API void skald_schema_free(skald_schema *schema);

// skald_schema_check checks one document. Fails: SCHEMA (the first violation; the error's field is
// its path), INVALID (not JSON), TOOBIG (a limit, or it would take too long), NOMEM.
SKALD_API skald_err skald_schema_check(const skald_schema *schema, skald_json document,
                                       skald_error *reterr_error) SKALD_CHECK;

// skald_violation is one thing that is wrong with a document.
typedef struct skald_violation {
    skald_str path;        // JSON pointer into the document; "" is all of it
    skald_str schema_path; // of the keyword that refuses it: "#/properties/total/minimum"
    skald_str keyword;     // "minimum"
    skald_str message;     // for people: "is -3; at least 0 is needed"
} skald_violation;

// skald_schema_violations is skald_schema_check that says all: up to violations_max of them, in
// arena. It succeeds whether there are any or none.
SKALD_API skald_err skald_schema_violations(const skald_schema *schema, skald_json document,
                                            size_t violations_max, skald_arena *arena,
                                            const skald_violation **ret_violations,
                                            size_t *ret_count, skald_error *reterr_error)
    SKALD_CHECK;

// skald_compatibility is what a new version must be to those before it. BACKWARD: what the new one
// describes, it still reads when it was written with the old. FORWARD: the old one reads what is
// written with the new. ALL: with every earlier version, not only the one before.
typedef enum skald_compatibility {
    SKALD_COMPATIBILITY_DEFAULT, // SKALD_BACKWARD
    SKALD_UNCHECKED,
    SKALD_BACKWARD,
    SKALD_FORWARD,
    SKALD_FULL,
    SKALD_BACKWARD_ALL,
    SKALD_FORWARD_ALL,
    SKALD_FULL_ALL,
} skald_compatibility;

// skald_compatibility_of reads "none", "backward", "forward", "full" and the last three with
// "-transitive". Fails: INVALID.
SKALD_API skald_err skald_compatibility_of(skald_str text, skald_compatibility *ret_compatibility,
                                           skald_error *reterr_error) SKALD_CHECK;
SKALD_API const char *skald_compatibility_name(skald_compatibility compatibility);

// skald_incompatibility is one reason why a reader may refuse what a writer may write.
typedef struct skald_incompatibility {
    skald_str path;    // of the data, from its top: "/lines/*/sku"
    skald_str keyword; // of the reader's schema
    skald_str message; // for people: "the new schema requires 'sku', the old one does not"
    uint32_t version;  // of the other schema, in a registry; else 0
    bool forward;      // the old schema reads what the new one writes
    bool shown;        // a rule is narrower; false: it cannot be decided, and may be fine
} skald_incompatibility;

// skald_schema_compare lists in arena what may break between two schemas: none means that every
// document one of them takes is taken by the other, as compatibility asks. It never errs on the
// other side: what it cannot decide is listed. Fails: TOOBIG (it would take too long), NOMEM.
SKALD_API skald_err skald_schema_compare(const skald_schema *older, const skald_schema *newer,
                                         skald_compatibility compatibility, skald_arena *arena,
                                         const skald_incompatibility **ret_list, size_t *ret_count)
    SKALD_CHECK;

// The registry.

typedef struct skald_schemas skald_schemas;

// skald_schemas_options says where schemas are kept. A document holds everything of one version.
typedef struct skald_schemas_options {
    // save keeps document under name before a schema counts as registered. NULL: nothing is kept.
    skald_err (*save)(void *context, skald_str name, skald_json document);
    void *context;
} skald_schemas_options;

SKALD_API skald_err skald_schemas_new(const skald_schemas_options *options,
                                      skald_schemas **ret_schemas) SKALD_CHECK;
SKALD_API void skald_schemas_free(skald_schemas *schemas);

// skald_schemas_load takes back one document that was saved. Fails: INVALID (it is none), EXISTS.
SKALD_API skald_err skald_schemas_load(skald_schemas *schemas, skald_json document,
                                       skald_error *reterr_error) SKALD_CHECK;

// skald_schemas_put registers a version (from 1, above those there are) of a type, by its dotted
// name. The same again is fine. Fails: INVALID (not a schema, or a version below the newest),
// EXISTS (another one under that version), STATE (it would break what compatibility promises;
// skald_schemas_compare says what), FULL, NOMEM and what save says.
SKALD_API skald_err skald_schemas_put(skald_schemas *schemas, skald_str type, uint32_t version,
                                      skald_json schema, skald_compatibility compatibility,
                                      skald_error *reterr_error) SKALD_CHECK;

// skald_schemas_compare lists what registering schema would break, as skald_schema_compare. A type
// that is not known breaks nothing.
SKALD_API skald_err skald_schemas_compare(skald_schemas *schemas, skald_str type, skald_json schema,
                                          skald_compatibility compatibility, skald_arena *arena,
                                          const skald_incompatibility **ret_list, size_t *ret_count,
                                          skald_error *reterr_error) SKALD_CHECK;

// skald_schema_entry is one registered version.
typedef struct skald_schema_entry {
    skald_str type;
    uint32_t version;
    skald_compatibility compatibility;
    skald_json schema;
} skald_schema_entry;

// skald_schemas_get gives one version, 0 being the newest; its texts are copied into arena. Fails:
// NOTFOUND.
SKALD_API skald_err skald_schemas_get(skald_schemas *schemas, skald_str type, uint32_t version,
                                      skald_arena *arena, skald_schema_entry *ret_entry)
    SKALD_CHECK;
// skald_schemas_list gives all versions by type and version, without their texts, in arena.
SKALD_API skald_err skald_schemas_list(skald_schemas *schemas, skald_arena *arena,
                                       const skald_schema_entry **ret_entries, size_t *ret_count)
    SKALD_CHECK;

// skald_schemas_check checks data against a version of a type, 0 being the newest. A type without a
// schema takes anything. Fails as skald_schema_check, and with NOTFOUND (the type has schemas, but
// not that version).
SKALD_API skald_err skald_schemas_check(skald_schemas *schemas, skald_str type, uint32_t version,
                                        skald_json data, skald_error *reterr_error) SKALD_CHECK;

// skald_schemas_violations is skald_schemas_check that says all, as skald_schema_violations.
SKALD_API skald_err skald_schemas_violations(skald_schemas *schemas, skald_str type,
                                             uint32_t version, skald_json data,
                                             size_t violations_max, skald_arena *arena,
                                             const skald_violation **ret_violations,
                                             size_t *ret_count, skald_error *reterr_error)
    SKALD_CHECK;

// skald_upcast_fn turns the data of one version into that of the next: it appends the new JSON. It
// must be pure; it runs on any thread, each time an old event is read.
typedef skald_err skald_upcast_fn(void *context, skald_json data, skald_arena *scratch,
                                  skald_buf *buf);
// skald_schemas_upcast registers the step from a version of a type to the next, for typed
// subscriptions, those with options.upcasts, and skald_schemas_read. Fails: EXISTS, FULL.
SKALD_API skald_err skald_schemas_upcast(skald_schemas *schemas, skald_str type,
                                         uint32_t version_from, skald_upcast_fn *fn, void *context)
    SKALD_CHECK;
// skald_schemas_read brings an event that was read to the newest version that steps lead to: its
// data, in arena, and its version. Without steps it stays as it is. Fails: what a step says,
// INVALID (a step did not make JSON), TOOBIG (or more than 16 MiB of it), NOMEM.
SKALD_API skald_err skald_schemas_read(skald_schemas *schemas, skald_event *event,
                                       skald_arena *arena, skald_error *reterr_error) SKALD_CHECK;

#ifdef __cplusplus
}
#endif
#endif // SKALD_SCHEMA_H
