// SPDX-License-Identifier: Apache-2.0
// event/schema/keyword.h - the keywords of JSON Schema 2020-12, and what shape each value has.
//
// This one table is the check of schemas, says where subschemas stand, and is what a $ref to the
// meta-schema is answered with.
#ifndef SKI_EVENT_SCHEMA_KEYWORD_H
#define SKI_EVENT_SCHEMA_KEYWORD_H

#include "event/schema/doc.h"

enum { // vocabularies
    SKI_VOCABULARY_CORE = 1,
    SKI_VOCABULARY_APPLICATOR = 2,
    SKI_VOCABULARY_UNEVALUATED = 4,
    SKI_VOCABULARY_VALIDATION = 8,
    SKI_VOCABULARY_META_DATA = 16,
    SKI_VOCABULARY_FORMAT = 32,
    SKI_VOCABULARY_CONTENT = 64,
    SKI_VOCABULARY_OLD = 128, // what the meta-schema keeps of earlier drafts
    SKI_VOCABULARY_ALL = 255,
};

typedef enum ski_shape {
    SKI_SHAPE_ANY,
    SKI_SHAPE_TEXT,
    SKI_SHAPE_ID,     // a reference without a fragment
    SKI_SHAPE_ANCHOR, // a plain name
    SKI_SHAPE_FLAG,
    SKI_SHAPE_FLAGS, // an object of flags
    SKI_SHAPE_NUMBER,
    SKI_SHAPE_DIVISOR, // above zero
    SKI_SHAPE_COUNT,   // a whole number from zero
    SKI_SHAPE_LIST,
    SKI_SHAPE_TEXTS, // a list of texts, each once
    SKI_SHAPE_TEXTS_MAP,
    SKI_SHAPE_TYPES,
    SKI_SHAPE_SCHEMA,
    SKI_SHAPE_SCHEMAS, // a list of them, not empty
    SKI_SHAPE_SCHEMA_MAP,
    SKI_SHAPE_DEPENDENCIES, // an object of schemas or lists of texts
} ski_shape;

#define SKI_KEYWORDS(X)                                               \
    X(ID, "$id", CORE, ID)                                            \
    X(SCHEMA, "$schema", CORE, TEXT)                                  \
    X(REF, "$ref", CORE, TEXT)                                        \
    X(ANCHOR, "$anchor", CORE, ANCHOR)                                \
    X(DYNAMIC_REF, "$dynamicRef", CORE, TEXT)                         \
    X(DYNAMIC_ANCHOR, "$dynamicAnchor", CORE, ANCHOR)                 \
    X(VOCABULARY, "$vocabulary", CORE, FLAGS)                         \
    X(COMMENT, "$comment", CORE, TEXT)                                \
    X(DEFS, "$defs", CORE, SCHEMA_MAP)                                \
    X(PREFIX_ITEMS, "prefixItems", APPLICATOR, SCHEMAS)               \
    X(ITEMS, "items", APPLICATOR, SCHEMA)                             \
    X(CONTAINS, "contains", APPLICATOR, SCHEMA)                       \
    X(ADDITIONAL, "additionalProperties", APPLICATOR, SCHEMA)         \
    X(PROPERTIES, "properties", APPLICATOR, SCHEMA_MAP)               \
    X(PATTERNS, "patternProperties", APPLICATOR, SCHEMA_MAP)          \
    X(DEPENDENT_SCHEMAS, "dependentSchemas", APPLICATOR, SCHEMA_MAP)  \
    X(NAMES, "propertyNames", APPLICATOR, SCHEMA)                     \
    X(IF, "if", APPLICATOR, SCHEMA)                                   \
    X(THEN, "then", APPLICATOR, SCHEMA)                               \
    X(ELSE, "else", APPLICATOR, SCHEMA)                               \
    X(ALL_OF, "allOf", APPLICATOR, SCHEMAS)                           \
    X(ANY_OF, "anyOf", APPLICATOR, SCHEMAS)                           \
    X(ONE_OF, "oneOf", APPLICATOR, SCHEMAS)                           \
    X(NOT, "not", APPLICATOR, SCHEMA)                                 \
    X(UNEVALUATED_ITEMS, "unevaluatedItems", UNEVALUATED, SCHEMA)     \
    X(UNEVALUATED, "unevaluatedProperties", UNEVALUATED, SCHEMA)      \
    X(TYPE, "type", VALIDATION, TYPES)                                \
    X(CONST, "const", VALIDATION, ANY)                                \
    X(ENUM, "enum", VALIDATION, LIST)                                 \
    X(MULTIPLE_OF, "multipleOf", VALIDATION, DIVISOR)                 \
    X(MAXIMUM, "maximum", VALIDATION, NUMBER)                         \
    X(BELOW, "exclusiveMaximum", VALIDATION, NUMBER)                  \
    X(MINIMUM, "minimum", VALIDATION, NUMBER)                         \
    X(ABOVE, "exclusiveMinimum", VALIDATION, NUMBER)                  \
    X(MAX_LENGTH, "maxLength", VALIDATION, COUNT)                     \
    X(MIN_LENGTH, "minLength", VALIDATION, COUNT)                     \
    X(PATTERN, "pattern", VALIDATION, TEXT)                           \
    X(MAX_ITEMS, "maxItems", VALIDATION, COUNT)                       \
    X(MIN_ITEMS, "minItems", VALIDATION, COUNT)                       \
    X(UNIQUE, "uniqueItems", VALIDATION, FLAG)                        \
    X(MAX_CONTAINS, "maxContains", VALIDATION, COUNT)                 \
    X(MIN_CONTAINS, "minContains", VALIDATION, COUNT)                 \
    X(MAX_PROPERTIES, "maxProperties", VALIDATION, COUNT)             \
    X(MIN_PROPERTIES, "minProperties", VALIDATION, COUNT)             \
    X(REQUIRED, "required", VALIDATION, TEXTS)                        \
    X(DEPENDENT_REQUIRED, "dependentRequired", VALIDATION, TEXTS_MAP) \
    X(TITLE, "title", META_DATA, TEXT)                                \
    X(DESCRIPTION, "description", META_DATA, TEXT)                    \
    X(DEFAULT, "default", META_DATA, ANY)                             \
    X(DEPRECATED, "deprecated", META_DATA, FLAG)                      \
    X(READ_ONLY, "readOnly", META_DATA, FLAG)                         \
    X(WRITE_ONLY, "writeOnly", META_DATA, FLAG)                       \
    X(EXAMPLES, "examples", META_DATA, LIST)                          \
    X(FORMAT, "format", FORMAT, TEXT)                                 \
    X(CONTENT_ENCODING, "contentEncoding", CONTENT, TEXT)             \
    X(CONTENT_MEDIA, "contentMediaType", CONTENT, TEXT)               \
    X(CONTENT_SCHEMA, "contentSchema", CONTENT, SCHEMA)               \
    X(DEFINITIONS, "definitions", OLD, SCHEMA_MAP)                    \
    X(DEPENDENCIES, "dependencies", OLD, DEPENDENCIES)

typedef enum ski_keyword {
#define SKI_KEYWORD_ENUM(name, text, vocabulary, shape) SKI_KEYWORD_##name,
    SKI_KEYWORDS(SKI_KEYWORD_ENUM)
#undef SKI_KEYWORD_ENUM
        SKI_KEYWORD_NONE,
} ski_keyword;

ski_keyword ski_keyword_of(skald_str name);
const char *ski_keyword_text(ski_keyword keyword);
ski_shape ski_keyword_shape(ski_keyword keyword);
unsigned ski_keyword_vocabulary(ski_keyword keyword); // one bit

// ski_kinds_of is the bit of a type's name, as ski_node.types has them; 0: no such type.
enum {
    SKI_TYPE_INTEGER = 1 << 7, // beside a bit for each ski_json_kind
    SKI_TYPES_ANY = 127,
};
unsigned ski_types_of(skald_str name);

// ski_meta_check is the check of schemas: whether the value at index is one, as far as these
// vocabularies say. Else *ret_index and *ret_why say what is wrong first. *steps goes down; at 0
// it gives up and says no.
bool ski_meta_check(const ski_doc *doc, uint32_t index, unsigned vocabularies, uint64_t *steps,
                    uint32_t *ret_index, const char **ret_why);

#endif
