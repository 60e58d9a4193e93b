// SPDX-License-Identifier: Apache-2.0
// event/schema/report.h - what is wrong with a document, for people.
#ifndef SKI_EVENT_SCHEMA_REPORT_H
#define SKI_EVENT_SCHEMA_REPORT_H

#include "event/schema/program.h"

typedef struct ski_report {
    skald_arena *arena;
    skald_violation *items; // NULL until there is one
    size_t count, max;      // what is beyond max is not noted
} ski_report;

// ski_report_add notes that keyword of node refuses the value at index of doc; NONE: node is false,
// SCHEMA: it is no schema, because of detail. detail: a name, where it is about one. Fails: NOMEM.
skald_err ski_report_add(ski_report *report, const skald_schema *schema, const ski_node *node,
                         const ski_doc *doc, uint32_t index, ski_keyword keyword, skald_str detail)
    SKALD_CHECK;

// ski_report_value appends a value as people read it, cut where it is long.
skald_err ski_report_value(const ski_doc *doc, uint32_t index, skald_buf *buf) SKALD_CHECK;

#endif
