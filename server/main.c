// SPDX-License-Identifier: Apache-2.0
// skald: the program. A verb, its options, and how it ended.
#include "cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const cli_verb *const verbs[] = {
    &cmd_serve,        &cmd_publish, &cmd_tail,   &cmd_read,   &cmd_import,
    &cmd_export,       &cmd_verify,  &cmd_backup, &cmd_store,  &cmd_version,
    &cmd_types,        &cmd_schema,  &cmd_config, &cmd_keys,   &cmd_subscriptions,
    &cmd_dead_letters, &cmd_parked,  &cmd_trace,  &cmd_replay,
};
enum { verb_count = sizeof verbs / sizeof *verbs };

static void help(void)
{
    printf("skald remembers events and tells them.\n\nUsage: skald VERB [OPTIONS]\n\n");
    for (size_t i = 0; i < verb_count; i++)
        printf("  %-13s %s\n", verbs[i]->name, verbs[i]->summary);
    printf("\nskald VERB --help shows the options of a verb and an example.\n"
           "Verbs talk to a server at --url (default http://127.0.0.1:8000).\n"
           "Exit: 0 done, 1 what was asked is not so, 2 wrong usage, 3 cannot.\n");
}

static const cli_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < verb_count; i++) {
        if (strcmp(verbs[i]->name, name) == 0) return verbs[i];
    }
    return NULL;
}

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
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help();
        return argc < 2 ? CLI_USAGE : CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) argv[1] = "version";
    verb = find_verb(argv[1]);
    if (!verb) return cli_fail(CLI_USAGE, "unknown verb '%s'; see: skald --help", argv[1]);
    if (asks_help(argc - 2, argv + 2)) {
        cli_help(verb);
        return CLI_OK;
    }
    exit = cli_parse(verb, argc - 2, argv + 2, &args);
    if (!exit) exit = verb->run(&args);
    if (fflush(stdout) != 0 && !exit) exit = cli_fail(CLI_CANNOT, "cannot write the output");
    return exit;
}
