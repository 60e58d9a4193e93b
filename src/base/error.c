// SPDX-License-Identifier: Apache-2.0
// Errors: the list of base.h as tables, and filling a skald_error.
//
// Invariants:
//   1. All text of a filled skald_error is terminated and is never cut inside a UTF-8 character.
//   2. Filling starts from nothing: no field of an earlier error is left.
#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct error_row {
    const char *name, *text;
    bool retriable;
} error_row;

static const error_row rows[] = {{"OK", "no error", false},
#define ERROR_ROW(name, retriable, text) {#name, text, retriable},
                                 SKALD_ERRORS(ERROR_ROW)
#undef ERROR_ROW
};

static const error_row unknown_row = {"UNKNOWN", "an unknown error", false};

// row_of also takes numbers that are no errors: they may come from a newer version of a driver.
static const error_row *row_of(skald_err err)
{
    size_t index = (size_t)err;

    return index < sizeof rows / sizeof rows[0] ? &rows[index] : &unknown_row;
}

bool skald_err_retriable(skald_err err)
{
    return row_of(err)->retriable;
}

const char *skald_err_name(skald_err err)
{
    return row_of(err)->name;
}

const char *skald_err_text(skald_err err)
{
    return row_of(err)->text;
}

// text_set copies into an array of size bytes what fits, and terminates it.
static void text_set(char *to, size_t size, const char *from)
{
    size_t len = ski_str_utf8_cut(skald_str_of(from), size - 1);

    memcpy(to, from, len);
    to[len] = '\0';
}

// error_fill prints beside error first: an argument may be the old error's own text.
static void error_fill(skald_error *error, skald_err err, const char *field, const char *format,
                       va_list args)
{
    skald_error filled = {.err = err};
    char text[sizeof error->text + 4]; // one character more than is kept, so that the cut sees it

    if (vsnprintf(text, sizeof text, format, args) < 0) text[0] = '\0';
    text_set(filled.text, sizeof filled.text, text);
    if (field) text_set(filled.field, sizeof filled.field, field);
    *error = filled;
}

skald_err skald_fail(skald_error *error, skald_err err, const char *format, ...)
{
    assert(err != SKALD_OK);
    if (!error) return err;

    va_list args;

    va_start(args, format);
    error_fill(error, err, NULL, format, args);
    va_end(args);
    return err;
}

skald_err skald_fail_at(skald_error *error, skald_err err, const char *field, const char *format,
                        ...)
{
    assert(err != SKALD_OK);
    if (!error) return err;

    va_list args;

    va_start(args, format);
    error_fill(error, err, field, format, args);
    va_end(args);
    return err;
}
