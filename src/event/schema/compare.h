// SPDX-License-Identifier: Apache-2.0
// event/schema/compare.h - inside of the comparison of schemas.
#ifndef SKI_EVENT_SCHEMA_COMPARE_H
#define SKI_EVENT_SCHEMA_COMPARE_H

#include "event/schema/program.h"

enum {
    SKI_COMPARE_NODES_MAX = 32, // of a writer; what is beyond makes it only wider
    SKI_COMPARE_LIST_MAX = 100,
    SKI_COMPARE_STEPS = 500 * 1000,
    SKI_COMPARE_DEPTH_MAX = 256,
};

// ski_writer is a set of values: those of these kinds that all nodes take. Leaving a node out makes
// the set larger, which is safe: more is then asked of the reader.
typedef struct ski_writer {
    const ski_node *nodes[SKI_COMPARE_NODES_MAX];
    uint32_t count, splits;
    unsigned kinds; // as ski_node.types
} ski_writer;

// ski_compare_path is where in the data the comparison stands, innermost first.
typedef struct ski_compare_path {
    const struct ski_compare_path *outer;
    skald_str name; // "not given": any item or name
    const ski_writer *writer;
    const ski_node *reader;
    bool step; // it adds a name to the path
} ski_compare_path;

typedef struct ski_compare {
    const skald_schema *writer, *reader;
    const char *writer_name, *reader_name;
    skald_arena *arena;
    skald_incompatibility *items;
    size_t count;
    uint64_t steps;
    uint32_t quiet, depth;
    bool forward;
    skald_err err;
} ski_compare;

typedef const ski_compare_path *ski_compare_at;

// ski_compare_subset: every value of writer is one that reader takes. What cannot be shown counts
// as not.
bool ski_compare_subset(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                        ski_compare_at at);
bool ski_compare_object(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                        ski_compare_at at);
bool ski_compare_array(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                       ski_compare_at at);
bool ski_compare_scalar(ski_compare *c, const ski_writer *writer, const ski_node *reader,
                        ski_compare_at at);

// ski_compare_note lists a reason and is false. shown: there is a value that breaks.
bool ski_compare_note(ski_compare *c, ski_compare_at at, const char *keyword, bool shown,
                      const char *format, ...) SKALD_PRINTF(5, 6);
static inline bool ski_compare_goes_on(const ski_compare *c, bool holds)
{
    return !c->err && (holds || !c->quiet);
}

// ski_writer_of is an empty writer of all kinds; ski_writer_add narrows it by a node and what that
// refers to.
ski_writer ski_writer_of(void);
void ski_writer_add(ski_compare *c, ski_writer *writer, const ski_node *node);
bool ski_writer_empty(const ski_writer *writer); // there is surely no value
// ski_writer_member is what writer says of the values of one name.
void ski_writer_member(ski_compare *c, const ski_writer *writer, skald_str name,
                       ski_writer *ret_member);
bool ski_writer_requires(const ski_writer *writer, skald_str name);

// ski_compare_matches: as ski_pattern_matches, false when it takes too long.
bool ski_compare_matches(ski_compare *c, const ski_pattern *pattern, skald_str text);

#endif
