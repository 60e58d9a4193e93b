// SPDX-License-Identifier: Apache-2.0
// Lines on standard error. A line is one write, so lines of several threads do not mix.
#include "system/log.h"
#include "base/json.h"
#include "base/str.h"
#include "os/kernel.h"

#include <stdio.h>
#include <string.h>

enum { line_bytes_max = 8192 };

// A line under construction; what does not fit is cut.
typedef struct line {
    char text[line_bytes_max];
    size_t len;
} line;

static void line_put(line *to, skald_str text)
{
    size_t room = sizeof to->text - 1 - to->len; // the line feed always fits

    if (text.len > room) text.len = room;
    if (text.len) memcpy(to->text + to->len, text.ptr, text.len);
    to->len += text.len;
}

static void line_write(line *to)
{
    to->text[to->len++] = '\n';
    (void)!fwrite(to->text, 1, to->len, stderr); // style: where log lines go
}

static skald_str unquoted(const ski_json_item *item)
{
    if (item->kind != SKI_JSON_STRING) return item->value;
    return ski_str(item->value.ptr + 1, item->value.len - 2); // escapes stay: a line is a line
}

static void write_human(void *context, skald_level level, skald_str json_line)
{
    static const char *const levels[] = {" DEBUG ", " INFO  ", " WARN  ", " ERROR "};
    ski_json_walk walk = {.rest = json_line};
    char now[SKALD_TIME_TEXT + 1];
    ski_json_item item;
    line to = {.len = 0};

    (void)context;
    skald_time_print(ski_kernel_system.now(ski_kernel_system.context), now);
    line_put(&to, ski_str(now + 11, 12)); // the time of day, in milliseconds
    line_put(&to, skald_str_of(levels[level]));
    while (ski_json_next(&walk, &item)) {
        if (skald_str_equal(item.key, SKALD_STR("level"))) continue;
        if (!skald_str_equal(item.key, SKALD_STR("msg"))) {
            line_put(&to, SKALD_STR("  "));
            line_put(&to, item.key);
            line_put(&to, SKALD_STR("="));
        }
        line_put(&to, unquoted(&item));
    }
    line_write(&to);
}

static void write_json(void *context, skald_level level, skald_str json_line)
{
    char now[SKALD_TIME_TEXT + 1];
    line to = {.len = 0};

    (void)context;
    (void)level;
    skald_time_print(ski_kernel_system.now(ski_kernel_system.context), now);
    line_put(&to, SKALD_STR("{\"time\":\""));
    line_put(&to, ski_str(now, SKALD_TIME_TEXT));
    line_put(&to, SKALD_STR("\","));
    line_put(&to, ski_str(json_line.ptr + 1, json_line.len - 1)); // behind its brace
    line_write(&to);
}

skald_log ski_log_stderr(bool human, skald_level level_min)
{
    return (skald_log){.line = human ? write_human : write_json, .level_min = level_min};
}

static const char *const level_names[] = {"debug", "info", "warn", "error"};

skald_level ski_log_level_of(const char *name)
{
    for (int i = 0; i < 4; i++) {
        if (strcmp(level_names[i], name) == 0) return (skald_level)i;
    }
    return SKALD_INFO;
}

const char *ski_log_level_name(skald_level level)
{
    return level_names[level];
}
