// SPDX-License-Identifier: Apache-2.0
// Regular expressions within limits: PCRE2 with a bound on how often it may go back.
//
// Without PCRE2_UCP, \d \w and \b mean ASCII, as JavaScript's do. A first attempt has a small bound
// in proportion to the text; only a pattern that exceeds it pays for the large one, so what a match
// costs is known about as well as if it were counted, and many dear matches end a check.
#include "event/schema/pattern.h"

#include "base/alloc.h"
#include "base/buf.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

enum {
    steps_match = 16,
    limit_first = 2000,   // and 8 for each byte of the text
    limit_large = 200000, // some milliseconds
    steps_large = 20000,  // what that costs
    heap_kib_max = 8 * 1024,
    depth_max = 100, // of groups
    translated_bytes_max = 256 * 1024,
};

struct ski_pattern {
    pcre2_code *code;
};

struct ski_pattern_scratch {
    pcre2_match_context *context;
    pcre2_match_data *match;
};

static void *memory_get(PCRE2_SIZE size, void *context)
{
    (void)context;
    return ski_alloc(size);
}

static void memory_free(void *memory, void *context)
{
    (void)context;
    ski_free(memory);
}

static skald_err pattern_fails(int code, size_t at, skald_str text, skald_error *reterr_error)
{
    unsigned char why[128] = "";

    if (code == PCRE2_ERROR_HEAP_FAILED || code == PCRE2_ERROR_NOMEMORY) return SKALD_ENOMEM;
    (void)pcre2_get_error_message(code, why, sizeof why);
    return skald_fail(reterr_error, SKALD_EINVALID,
                      "not a regular expression: %s, near byte %zu of '%.*s'", (char *)why, at,
                      (int)(text.len > 80 ? 80 : text.len), text.ptr);
}

// code_new compiles what ski_pattern_translate made of text.
static skald_err code_new(skald_str translated, skald_str text, ski_pattern *pattern,
                          skald_error *reterr_error)
{
    static const uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF |
                                    PCRE2_ALLOW_EMPTY_CLASS | PCRE2_NEVER_BACKSLASH_C;
    pcre2_general_context *general = pcre2_general_context_create(memory_get, memory_free, NULL);
    pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;
    skald_err err = SKALD_ENOMEM;
    PCRE2_SIZE at = 0;
    int code = 0;

    if (context) {
        (void)pcre2_set_parens_nest_limit(context, depth_max);
        pattern->code =
            pcre2_compile((PCRE2_SPTR)translated.ptr, translated.len, options, &code, &at, context);
        err = pattern->code ? SKALD_OK : pattern_fails(code, at, text, reterr_error);
    }
    // The fast form is an extra: where it cannot be made, the other one runs.
    if (!err) (void)pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    return err;
}

skald_err ski_pattern_new(skald_str text, ski_pattern **ret_pattern, skald_error *reterr_error)
{
    skald_buf buf = {.bytes_max = translated_bytes_max};
    ski_pattern *pattern = NULL;
    skald_err err;

    if (text.len > SKI_PATTERN_BYTES_MAX)
        return skald_fail(reterr_error, SKALD_ETOOBIG,
                          "a regular expression of %zu bytes; at most %d", text.len,
                          (int)SKI_PATTERN_BYTES_MAX);
    pattern = ski_alloc_zeroed(1, sizeof *pattern);
    err = pattern ? ski_pattern_translate(text, &buf, reterr_error) : SKALD_ENOMEM;
    if (!err) err = code_new(ski_buf_str(&buf), text, pattern, reterr_error);
    skald_buf_fini(&buf);
    if (err) {
        ski_pattern_free(pattern);
        return err;
    }
    *ret_pattern = pattern;
    return SKALD_OK;
}

void ski_pattern_free(ski_pattern *pattern)
{
    if (!pattern) return;
    pcre2_code_free(pattern->code);
    ski_free(pattern);
}

skald_err ski_pattern_scratch_new(ski_pattern_scratch **ret_scratch)
{
    ski_pattern_scratch *scratch = ski_alloc_zeroed(1, sizeof *scratch);
    pcre2_general_context *general = pcre2_general_context_create(memory_get, memory_free, NULL);

    if (scratch && general) {
        scratch->context = pcre2_match_context_create(general);
        scratch->match = pcre2_match_data_create(1, general);
    }
    pcre2_general_context_free(general);
    if (!scratch || !scratch->context || !scratch->match) {
        ski_pattern_scratch_free(scratch);
        return SKALD_ENOMEM;
    }
    (void)pcre2_set_heap_limit(scratch->context, heap_kib_max);
    *ret_scratch = scratch;
    return SKALD_OK;
}

void ski_pattern_scratch_free(ski_pattern_scratch *scratch)
{
    if (!scratch) return;
    pcre2_match_data_free(scratch->match);
    pcre2_match_context_free(scratch->context);
    ski_free(scratch);
}

static int match_within(const ski_pattern *pattern, ski_pattern_scratch *scratch, skald_str text,
                        uint32_t limit)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.ptr ? text.ptr : "");
    int found;

    (void)pcre2_set_match_limit(scratch->context, limit);
    // As pcre2_match, which would ask first whether it may. BADOPTION: there is no fast form.
    found =
        pcre2_jit_match(pattern->code, subject, text.len, 0, 0, scratch->match, scratch->context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT || found == PCRE2_ERROR_JIT_BADOPTION)
        found = pcre2_match(pattern->code, subject, text.len, 0, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                            scratch->match, scratch->context);
    return found;
}

static bool spend(uint64_t *steps, uint64_t cost)
{
    bool enough = *steps >= cost;

    *steps = enough ? *steps - cost : 0;
    return enough;
}

skald_err ski_pattern_matches(const ski_pattern *pattern, ski_pattern_scratch *scratch,
                              skald_str text, uint64_t *steps, bool *ret_matches)
{
    uint64_t limit = limit_first + (uint64_t)text.len * 8;
    int found;

    if (!spend(steps, steps_match + text.len / 4)) return SKALD_ETOOBIG;
    found =
        match_within(pattern, scratch, text, (uint32_t)(limit < limit_large ? limit : limit_large));
    if (found == PCRE2_ERROR_MATCHLIMIT) {
        if (!spend(steps, steps_large)) return SKALD_ETOOBIG;
        found = match_within(pattern, scratch, text, limit_large);
    }
    if (found == PCRE2_ERROR_NOMEMORY) return SKALD_ENOMEM;
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) return SKALD_ETOOBIG;
    *ret_matches = found >= 0;
    return SKALD_OK;
}
