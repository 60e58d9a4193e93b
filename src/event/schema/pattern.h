// SPDX-License-Identifier: Apache-2.0
// event/schema/pattern.h - regular expressions of ECMA-262, run by PCRE2 within limits.
#ifndef SKI_EVENT_SCHEMA_PATTERN_H
#define SKI_EVENT_SCHEMA_PATTERN_H

#include <skald/base.h>

enum { SKI_PATTERN_BYTES_MAX = 4096 };

typedef struct ski_pattern ski_pattern;                 // immutable, any thread
typedef struct ski_pattern_scratch ski_pattern_scratch; // of one thread at a time

// ski_pattern_new compiles what JavaScript would as new RegExp(text, "u"), a little more lenient:
// punctuation may be escaped that need not be. Fails: INVALID (what and at which byte), TOOBIG,
// NOMEM.
skald_err ski_pattern_new(skald_str text, ski_pattern **ret_pattern, skald_error *reterr_error)
    SKALD_CHECK;
void ski_pattern_free(ski_pattern *pattern);

skald_err ski_pattern_scratch_new(ski_pattern_scratch **ret_scratch) SKALD_CHECK;
void ski_pattern_scratch_free(ski_pattern_scratch *scratch);

// ski_pattern_matches says whether pattern is found anywhere in text, which is UTF-8. *steps is
// what it may cost and goes down. Fails: TOOBIG (it would cost more), NOMEM.
skald_err ski_pattern_matches(const ski_pattern *pattern, ski_pattern_scratch *scratch,
                              skald_str text, uint64_t *steps, bool *ret_matches) SKALD_CHECK;

// ski_pattern_translate appends the PCRE2 form of an ECMA-262 pattern: pattern_text.c.
skald_err ski_pattern_translate(skald_str text, skald_buf *buf, skald_error *reterr_error)
    SKALD_CHECK;

#endif
