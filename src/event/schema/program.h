// SPDX-License-Identifier: Apache-2.0
// event/schema/program.h - a compiled schema: a graph of nodes, each with its rules by kind of
// value.
//
// A node stands for one place of one document; its path is worked out from there when an error is
// told, so running tracks none. Everything lives in the schema's arena but its documents and
// patterns.
#ifndef SKI_EVENT_SCHEMA_PROGRAM_H
#define SKI_EVENT_SCHEMA_PROGRAM_H

#include "event/schema/decimal.h"
#include "event/schema/doc.h"
#include "event/schema/keyword.h"
#include "event/schema/pattern.h"

#include <skald/schema.h>
#include <stdatomic.h>

typedef struct ski_node ski_node;
typedef struct ski_resource ski_resource;
typedef struct ski_scratch ski_scratch;

typedef struct ski_nodes {
    ski_node **items;
    uint32_t count;
} ski_nodes;

typedef struct ski_bound {
    ski_decimal decimal;
    int64_t number; // where small
    bool given, small;
} ski_bound;

typedef struct ski_number_rules {
    ski_bound minimum, maximum, above, below;
    ski_decimal divisor;   // no digits: none
    int64_t divisor_small; // 0: it is not
} ski_number_rules;

typedef struct ski_string_rules {
    uint64_t len_min, len_max; // characters
    ski_pattern *pattern;      // NULL: none
    skald_str pattern_text;
} ski_string_rules;

// ski_member_rule is what is said of one name: a slot of a hash table with linear probing.
typedef struct ski_member_rule {
    skald_str name; // "not given": an empty slot
    uint32_t hash;
    uint32_t required; // its place among the required ones, from 1
    bool declared;     // in properties
    ski_node *node;    // NULL: anything goes
} ski_member_rule;

typedef struct ski_pattern_rule {
    ski_pattern *pattern;
    skald_str text;
    ski_node *node;
} ski_pattern_rule;

typedef struct ski_dependent {
    skald_str name; // where this is there ...
    skald_texts required;
    ski_node *node; // NULL: only the names
} ski_dependent;

typedef struct ski_object_rules {
    ski_member_rule *members; // NULL: none
    uint32_t members_mask;    // size - 1
    uint32_t members_count, required_count;
    ski_pattern_rule *patterns;
    uint32_t pattern_count, dependent_count;
    ski_dependent *dependents;
    ski_node *additional, *names, *unevaluated; // NULL: not given
    uint64_t count_min, count_max;
} ski_object_rules;

typedef struct ski_array_rules {
    ski_nodes prefix;
    ski_node *items, *contains, *unevaluated;
    uint64_t contains_min, contains_max, count_min, count_max;
    bool unique;
} ski_array_rules;

typedef struct ski_logic {
    ski_node *ref, *dynamic, *not_, *if_, *then_, *else_;
    skald_str dynamic_name; // "not given": dynamic is as a ref
    ski_nodes all, any, one;
} ski_logic;

struct ski_node {
    uint8_t types;              // bit by ski_json_kind, and SKI_TYPE_INTEGER
    bool never;                 // false
    bool plain;                 // nothing but types
    bool leaf;                  // nothing but types and rules of numbers and strings
    uint8_t meta;               // vocabularies: it is the meta-schema
    uint32_t document, value;   // its place
    uint32_t allowed, constant; // the values of enum and const; 0: not given
    const ski_doc *doc;         // of that document
    ski_resource *resource;
    ski_number_rules *number;
    ski_string_rules *string;
    ski_object_rules *object;
    ski_array_rules *array;
    ski_logic *logic;
};

typedef struct ski_anchor {
    struct ski_anchor *next; // of its resource
    skald_str name;
    bool dynamic;
    uint32_t document, value;
    ski_node *node; // of a dynamic one, when there is a $dynamicRef
} ski_anchor;

struct ski_resource {
    skald_str uri;
    uint32_t document, value;
    unsigned vocabularies;
    ski_anchor *anchors;
};

typedef struct ski_schema_file {
    skald_str uri;
    ski_doc doc;
    skald_str text;          // a copy
    const char *source;      // of what: the same text given under two names is one file
    ski_node **nodes;        // by value
    ski_resource **resource; // by value, where a schema stands
} ski_schema_file;

typedef struct ski_pattern_link {
    struct ski_pattern_link *next;
    ski_pattern *pattern;
} ski_pattern_link;

struct skald_schema {
    skald_arena *arena;
    ski_schema_file **files;
    uint32_t file_count, file_size;
    ski_resource **resources;
    uint32_t resource_count, resource_size;
    ski_node **nodes; // all, in the order they are compiled
    uint32_t node_count, node_size;
    ski_pattern_link *patterns;
    ski_node *root;
    bool dynamic;                 // there is a $dynamicRef
    _Atomic(ski_scratch *) spare; // of the last check, for the next
};

enum {
    SKI_SCHEMA_ARENA_BYTES = 64 * 1024 * 1024,
    SKI_SCHEMA_NODES_MAX = 262144,
    SKI_SCHEMA_COMPILE_STEPS = 10 * 1000 * 1000,
    SKI_SCHEMA_CHECK_STEPS = 1000 * 1000, // of a check, about 20 ms, and for each value:
    SKI_SCHEMA_VALUE_STEPS = 64,
    SKI_SCHEMA_DEPTH_MAX = 1024, // of nodes that stand one in the other while checking
};

// ski_member_find gives what rules say of a name; NULL: nothing. hash: ski_doc_name_hash of it.
const ski_member_rule *ski_member_find(const ski_object_rules *rules, skald_str name,
                                       uint32_t hash);

// ski_compiler is what compiling needs besides the schema.
typedef struct ski_compiler {
    skald_schema *schema;
    const skald_schema_options *options;
    skald_error *error;
    uint64_t steps;
} ski_compiler;

// link.c: files, resources, anchors and what a reference names.
skald_err ski_link_file(ski_compiler *in, skald_str uri, skald_json text, uint32_t *ret_file);
// ski_link_find gives the place that reference, standing in resource, names: a node (compiled
// later), and where it is a dynamic anchor its name.
skald_err ski_link_find(ski_compiler *in, const ski_resource *resource, uint32_t file,
                        uint32_t value, ski_node **ret_node, skald_str *ret_dynamic);
// ski_link_node gives the node of a place, made when it is first asked for.
skald_err ski_link_node(ski_compiler *in, uint32_t file, uint32_t value,
                        const ski_resource *resource, ski_node **ret_node);
// ski_link_fail says what is wrong with the value of a file.
skald_err ski_link_fail(ski_compiler *in, uint32_t file, uint32_t value, skald_err err,
                        const char *why, skald_str what);
// ski_schema_place appends where a node's keyword stands: "#/properties/a/minimum".
skald_err ski_schema_place(const skald_schema *schema, const ski_node *node, const char *keyword,
                           skald_buf *buf) SKALD_CHECK;

// run.c: checking, with memory that is kept from one document to the next.
skald_err ski_scratch_new(ski_scratch **ret_scratch) SKALD_CHECK;
void ski_scratch_free(ski_scratch *scratch);
// ski_schema_run checks a document. violations_max 0: only whether there are any, *ret_count then
// being 1. checked: document has passed the door.
skald_err ski_schema_run(const skald_schema *schema, skald_json document, bool checked,
                         size_t violations_max, skald_arena *arena,
                         const skald_violation **ret_violations, size_t *ret_count,
                         skald_error *reterr_error) SKALD_CHECK;
// ski_schema_first fails with SCHEMA and the first violation.
skald_err ski_schema_first(const skald_schema *schema, skald_json document, bool checked,
                           skald_error *reterr_error) SKALD_CHECK;
// ski_node_takes says whether node takes the value at index of another document.
skald_err ski_node_takes(const skald_schema *schema, const ski_node *node, const ski_doc *doc,
                         uint32_t index, bool *ret_takes) SKALD_CHECK;

#endif
