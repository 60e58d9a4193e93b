// SPDX-License-Identifier: Apache-2.0
// skald read: events that are there, oldest first.
#include "cli.h"
#include "source.h"

static int run(const cli_args *args)
{
    const skald_event *event = NULL;
    int exit = CLI_OK;
    cli_source *source = source_open(args, &exit);

    if (!source) return exit;
    while (!(exit = source_next(source, &event)) && event) cli_event(event, cli_flag(args, "json"));
    source_close(source);
    return exit;
}

static const cli_option options[] = {
    SOURCE_OPTIONS,
    {"backward", NULL, "newest first"},
    {"limit", "N", "at most N events"},
    {"data", "DIR", "read a directory that no server holds"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {"json", NULL, "one envelope a line"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_read = {
    .name = "read",
    .summary = "Print events that are there.",
    .rest = "",
    .example = "skald read --stream order-1",
    .options = options,
    .run = run,
};
