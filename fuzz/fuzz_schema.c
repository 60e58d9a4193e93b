// SPDX-License-Identifier: Apache-2.0
// Schemas and what they are asked about: the first line is a schema, the second another or a
// document. What must hold of any bytes:
//
//   compiling, checking and comparing end within their limits; a check gives the same answer
//   whether it says why or not, and has a reason exactly where it refuses; a schema is compatible
//   with itself; what is said to be compatible is no document of the old schema refused by the new.
#include "base/buf.h"

#include <skald/schema.h>
#include <stdlib.h>
#include <string.h>

enum { bytes_max = 64 * 1024, arena_bytes = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

// must ends the program where the fuzzer sees it: what was asserted does not hold.
static void must(bool holds)
{
    if (!holds) abort();
}

static skald_err check(const skald_schema *schema, skald_str document, skald_arena *arena)
{
    const skald_violation *violations = NULL;
    skald_error error = {0};
    size_t count = 0;
    skald_err err = skald_schema_check(schema, document, &error);
    skald_err all = skald_schema_violations(schema, document, 8, arena, &violations, &count, NULL);

    must(!err || error.text[0]);
    if (err == SKALD_OK || err == SKALD_ESCHEMA)
        must(all == SKALD_ETOOBIG || (!all && (count > 0) == (err == SKALD_ESCHEMA)));
    for (size_t i = 0; !all && i < count; i++)
        must(violations[i].message.len && violations[i].schema_path.len);
    return err;
}

static void compare(const skald_schema *older, const skald_schema *newer, skald_str document,
                    skald_arena *arena)
{
    const skald_incompatibility *list = NULL;
    size_t count = 0;

    if (skald_schema_compare(older, older, SKALD_FULL, arena, &list, &count)) return;
    must(!count);
    if (skald_schema_compare(older, newer, SKALD_BACKWARD, arena, &list, &count)) return;
    if (!count && !check(older, document, arena))
        must(check(newer, document, arena) != SKALD_ESCHEMA);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const char *line = len ? memchr(bytes, '\n', len) : NULL;
    skald_str first = {(const char *)bytes, len}, second = {0};
    skald_schema *schema = NULL, *other = NULL;
    skald_arena *arena = NULL;
    skald_error error = {0};

    if (len > bytes_max || skald_arena_new(arena_bytes, &arena)) return 0;
    if (line) {
        first.len = (size_t)(line - first.ptr);
        second = (skald_str){line + 1, len - first.len - 1};
    }
    if (skald_schema_compile(first, NULL, &schema, &error)) {
        must(error.text[0] != 0);
    } else {
        (void)check(schema, second, arena);
        (void)check(schema, first, arena);
        if (!skald_schema_compile(second, NULL, &other, NULL)) {
            compare(schema, other, SKALD_STR("{\"a\":1,\"b\":[null,\"x\"]}"), arena);
            compare(other, schema, SKALD_STR("[1,\"a\",{}]"), arena);
        }
    }
    skald_schema_free(other);
    skald_schema_free(schema);
    skald_arena_free(arena);
    return 0;
}
