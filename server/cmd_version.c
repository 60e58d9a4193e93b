// SPDX-License-Identifier: Apache-2.0
// skald version
#include "cli.h"

#include <stdio.h>

static int run(const cli_args *args)
{
    if (cli_flag(args, "json"))
        printf("{\"version\":\"%s\"}\n", SKALD_VERSION_TEXT);
    else
        printf("skald %s\n", SKALD_VERSION_TEXT);
    return CLI_OK;
}

static const cli_option options[] = {
    {"json", NULL, "as JSON"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_version = {
    .name = "version",
    .summary = "Print the version.",
    .rest = "",
    .example = "skald version",
    .options = options,
    .run = run,
};
