// SPDX-License-Identifier: Apache-2.0
// One log line is one JSON object in a buffer on the stack, so that logging needs no memory and a
// line has a limit.
//
// Invariant: a line is always whole JSON. A value too long is cut to what fits, members behind it
// are left out, and "cut":true, for which room is held back, says so.
#include "base/log.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

#include <assert.h>
#include <stdarg.h>

enum { line_max = 2048 };

#define CUT_END ",\"cut\":true}"

// put_member appends ,"name":"value" or nothing.
static skald_err put_member(skald_buf *line, skald_str name, skald_str value)
{
    size_t begin = line->len;
    skald_err err = ski_buf_byte(line, begin ? ',' : '{');

    if (!err) err = ski_json_put_string(line, name);
    if (!err) err = ski_buf_byte(line, ':');
    if (!err) err = ski_json_put_string(line, value);
    if (err) line->len = begin;
    return err;
}

// put_member_cut appends a member with as much of its value as fits, in a few tries; false: it was
// cut.
static bool put_member_cut(skald_buf *line, skald_str name, skald_str value)
{
    if (!put_member(line, name, value)) return true;
    if (value.len > line_max) value.len = ski_str_utf8_cut(value, line_max);
    while (value.len) {
        value.len = ski_str_utf8_cut(value, value.len * 3 / 4);
        if (!put_member(line, name, value)) break;
    }
    return false;
}

skald_level ski_log_level(const skald_log *log)
{
    return __atomic_load_n(&log->level_min, __ATOMIC_RELAXED);
}

bool ski_log_takes(const skald_log *log, skald_level level)
{
    return log && log->line && level >= ski_log_level(log);
}

void ski_log_level_set(skald_log *log, skald_level level_min)
{
    __atomic_store_n(&log->level_min, level_min, __ATOMIC_RELAXED);
}

void ski_log_line(const skald_log *log, skald_level level, const char *message, ...)
{
    static const char *const level_names[] = {"debug", "info", "warn", "error"};
    char bytes[line_max];
    skald_buf line = {.ptr = bytes, .bytes_max = line_max - sizeof CUT_END};
    bool whole;
    va_list args;

    assert(level >= SKALD_DEBUG && level <= SKALD_ERROR && message);
    if (!ski_log_takes(log, level)) return;

    line.size = line.bytes_max; // it is as large as it may be: it never allocates
    whole = put_member_cut(&line, SKALD_STR("level"), skald_str_of(level_names[level])) &&
            put_member_cut(&line, SKALD_STR("msg"), skald_str_of(message));
    va_start(args, message);
    for (const char *name; whole && (name = va_arg(args, const char *));) {
        whole = put_member_cut(&line, skald_str_of(name), skald_str_of(va_arg(args, const char *)));
    }
    va_end(args);

    line.bytes_max = line.size = line_max - 1;
    if (skald_buf_put(&line, whole ? SKALD_STR("}") : SKALD_STR(CUT_END))) return;
    log->line(log->context, level, ski_buf_str(&line));
}
