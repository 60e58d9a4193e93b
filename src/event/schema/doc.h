// SPDX-License-Identifier: Apache-2.0
// event/schema/doc.h - a JSON text as a flat array of values, made once and walked many times.
//
// A value and all that it holds stand one behind the other, so a child is the next value and a
// sibling is one jump. Texts are borrowed from the JSON text; those with escapes are undone beside
// it. A document may be filled again: what it grew to is kept, so that checking takes no memory.
#ifndef SKI_EVENT_SCHEMA_DOC_H
#define SKI_EVENT_SCHEMA_DOC_H

#include "base/json.h"

#include <string.h>

enum {
    SKI_DOC_BYTES_MAX = 16 * 1024 * 1024,
    SKI_DOC_VALUES_MAX = 1024 * 1024,
    SKI_DOC_VALUES_KEPT = 4096, // a document that grew beyond goes back when it is reset
};

typedef struct ski_value {
    const char *ptr; // of a string without quotes, escapes undone; of a number as it was written
    const char *key; // of a member, escapes undone; else NULL
    int64_t number;  // where small
    uint32_t len, key_len, key_hash;
    uint32_t count; // members or items
    uint32_t next;  // the index behind this value and all that it holds
    uint8_t kind;   // ski_json_kind
    bool small;     // a number written as an integer of 64 bits
} ski_value;

// ski_doc: zero it. values[0] is the whole; one value more than count may be written. One thread.
typedef struct ski_doc {
    ski_value *values;
    uint32_t count, size;
    skald_arena *texts; // NULL until something is escaped
} ski_doc;

// ski_doc_parse fills doc from text, which is borrowed until doc is filled again. checked: it has
// passed the door. Integers and fractions beyond 64 bits are taken as they are written. Fails:
// INVALID, TOOBIG (deeper than SKI_JSON_DEPTH_MAX, or more than the limits above), NOMEM.
skald_err ski_doc_parse(ski_doc *doc, skald_str text, bool checked, skald_error *reterr_error)
    SKALD_CHECK;
// ski_doc_copy fills doc with one value of another document, whose texts it borrows.
skald_err ski_doc_copy(ski_doc *doc, const ski_doc *from, uint32_t index) SKALD_CHECK;
void ski_doc_reset(ski_doc *doc); // gives back what is more than is worth keeping
void ski_doc_fini(ski_doc *doc);

static inline skald_str ski_value_text(const ski_value *value)
{
    return (skald_str){value->ptr, value->len};
}

static inline skald_str ski_value_key(const ski_value *value)
{
    return (skald_str){value->key, value->key_len};
}

uint32_t ski_doc_name_hash(const char *key, size_t len);

// ski_doc_find gives the last member of the object at index that has this name; 0: there is none.
uint32_t ski_doc_find(const ski_doc *doc, uint32_t index, skald_str name);

// ski_doc_equal compares as JSON Schema does: numbers by value, objects in any order. *steps is
// what it may cost and goes down; at 0 it gives up and says false.
bool ski_doc_equal(const ski_doc *a, uint32_t index_a, const ski_doc *b, uint32_t index_b,
                   uint64_t *steps);
// ski_doc_hash is the same for equal values.
uint64_t ski_doc_hash(const ski_doc *doc, uint32_t index, uint64_t *steps);

// ski_doc_path appends the JSON pointer of the value at index.
skald_err ski_doc_path(const ski_doc *doc, uint32_t index, skald_buf *buf) SKALD_CHECK;

#endif
