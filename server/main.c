// SPDX-License-Identifier: Apache-2.0
// skald: the program. A verb, its options, and how it ended.
#include "cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

// asks_help: --help stands before any "--", behind which arguments belong to another program.
static bool asks_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    const cli_verb *verb;
    cli_args args;
    int exit;

    (void)signal(SIGPIPE, SIG_IGN); // a closed pipe is an error of the write
    if (argc < 2) {
        cli_help_all();
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) argv[1] = "help";
    if (strcmp(argv[1], "--version") == 0) argv[1] = "version";
    verb = cli_verb_find(argv[1]);
    if (!verb) return cli_unknown_verb(argv[1]);
    if (asks_help(argc - 2, argv + 2)) {
        cli_help(verb);
        return CLI_OK;
    }
    exit = cli_parse(verb, argc - 2, argv + 2, &args);
    if (!exit) exit = verb->run(&args);
    if (fflush(stdout) != 0 && !exit) exit = cli_fail(CLI_CANNOT, "cannot write the output");
    return exit;
}
