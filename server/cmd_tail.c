// SPDX-License-Identifier: Apache-2.0
// skald tail: events as they come. Without a name it is a window on the log (tail_live.c); with one
// it is a pull group: a durable handler that goes on where it left off (tail_group.c).
#include "tail.h"

#include <stdlib.h>
#include <string.h>

static int run(const cli_args *args)
{
    const char *name = cli_get(args, "name"), *from = cli_get(args, "from");
    tail_options options = {.args = args, .count = UINT64_MAX, .timeout_s = 30, .workers = 1};

    if (cli_flag(args, "exec") && !name) {
        return cli_fail(CLI_USAGE, "tail: --exec needs --name: a durable handler must have one");
    }
    if (cli_flag(args, "exec") && !args->rest_count) {
        return cli_fail(CLI_USAGE,
                        "tail: --exec needs a command: skald tail --name NAME --exec -- CMD ARG…");
    }
    if (!cli_flag(args, "exec") && args->rest_count) {
        return cli_fail(CLI_USAGE,
                        "tail: do not know what to do with '%s'; did you mean --exec -- %s?",
                        args->rest[0], args->rest[0]);
    }
    if (!cli_number(args, "count", 1, UINT64_MAX, &options.count) ||
        !cli_number(args, "timeout", 1, 3600, &options.timeout_s) ||
        !cli_number(args, "workers", 1, TAIL_WORKERS_MAX, &options.workers)) {
        return CLI_USAGE;
    }
    if (from && strcmp(from, "start") != 0 && strcmp(from, "end") != 0 &&
        (!*from || from[strspn(from, "0123456789")]))
        return cli_fail(CLI_USAGE, "tail: --from is '%s' but must be start, end or a position",
                        from);
    tail_stop_on_signals();
    return name ? tail_group(&options) : tail_live(&options);
}

static const cli_option options_table[] = {
    {"type", "TYPE", "only this type, or a prefix: 'invoice.*'; repeatable"},
    {"stream", "NAME", "only this stream; repeatable"},
    {"category", "NAME", "only streams NAME-…; repeatable"},
    {"tenant", "NAME", "only this tenant"},
    {"from", "WHERE", "start, end or a position (live: end, named: start)"},
    {"count", "N", "end after N events"},
    {"name", "NAME", "durable: go on where this name left off"},
    {"exec", NULL, "with --name: run the command behind -- for each event"},
    {"timeout", "S", "with --exec: kill it after so long (30)"},
    {"workers", "N", "with --exec: so many at once, in order per stream (1)"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {"json", NULL, "one envelope a line"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_tail = {
    .name = "tail",
    .summary = "Follow events as they come, or handle each with a program.",
    .rest = "[--exec -- CMD ARG…]",
    .example = "skald tail --name mailer --type 'order.*' --exec -- ./send-mail --quiet\n"
               "  The event is on the program's standard input, as JSON. Exit 0 is done;\n"
               "  anything else is tried again, later and later.",
    .options = options_table,
    .rest_max = -1,
    .run = run,
};
