// SPDX-License-Identifier: Apache-2.0
// What the public header says of one schema.
#include "event/schema/program.h"

#include <stdio.h>

enum { first_bytes_max = 256 * 1024 };

skald_err skald_schema_violations(const skald_schema *schema, skald_json document,
                                  size_t violations_max, skald_arena *arena,
                                  const skald_violation **ret_violations, size_t *ret_count,
                                  skald_error *reterr_error)
{
    if (!violations_max || violations_max > SKALD_SCHEMA_VIOLATIONS_MAX)
        violations_max = SKALD_SCHEMA_VIOLATIONS_MAX;
    return ski_schema_run(schema, document, false, violations_max, arena, ret_violations, ret_count,
                          reterr_error);
}

skald_err ski_schema_first(const skald_schema *schema, skald_json document, bool checked,
                           skald_error *reterr_error)
{
    const skald_violation *violations = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;
    skald_err err;

    SKALD_TRY(
        ski_schema_run(schema, document, checked, 0, NULL, &violations, &count, reterr_error));
    if (!count) return SKALD_OK;
    if (!reterr_error) return SKALD_ESCHEMA;
    SKALD_TRY(skald_arena_new(first_bytes_max, &arena));
    err = ski_schema_run(schema, document, checked, 1, arena, &violations, &count, reterr_error);
    if (!err && count) {
        err = skald_fail(reterr_error, SKALD_ESCHEMA, "%.*s%s%.*s", SKALD_FMT(violations->path),
                         violations->path.len ? " " : "", SKALD_FMT(violations->message));
        (void)snprintf(reterr_error->field, sizeof reterr_error->field, "%.*s",
                       SKALD_FMT(violations->path));
    }
    skald_arena_free(arena);
    return err;
}

skald_err skald_schema_check(const skald_schema *schema, skald_json document,
                             skald_error *reterr_error)
{
    return ski_schema_first(schema, document, false, reterr_error);
}
