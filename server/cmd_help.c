// SPDX-License-Identifier: Apache-2.0
// skald help: all verbs, one verb, or all of it as the part of a manual page that says the same
// (deploy/man/skald.1.in is the rest of it).
#include "cli.h"

#include <stdio.h>
#include <string.h>

void cli_help_all(void)
{
    printf("skald remembers events and tells them.\n\nUsage: skald VERB [OPTIONS]\n\n");
    for (const cli_verb *const *verb = cli_verbs; *verb; verb++)
        printf("  %-13s %s\n", (*verb)->name, (*verb)->summary);
    printf("\nskald VERB --help shows the options of a verb and an example.\n"
           "Verbs talk to a server at --url (default http://127.0.0.1:8000).\n"
           "Exit: 0 done, 1 what was asked is not so, 2 wrong usage, 3 cannot.\n");
}

void cli_help(const cli_verb *verb)
{
    printf("%s\n\nUsage: skald %s%s%s%s\n", verb->summary, verb->name,
           verb->options[0].name ? " [OPTIONS]" : "", verb->rest[0] ? " " : "", verb->rest);
    if (verb->options[0].name) printf("\nOptions:\n");
    for (const cli_option *option = verb->options; option->name; option++) {
        char left[64];
        (void)snprintf(left, sizeof left, "--%s%s%s", option->name, option->argument ? " " : "",
                       option->argument ? option->argument : "");
        printf("  %-24s %s\n", left, option->help);
    }
    printf("\nExample:\n  %s\n", verb->example);
}

// roff_text writes a line that means nothing to roff; a '-' is a minus, that can be copied.
static void roff_text(const char *text)
{
    if (*text == '.' || *text == '\'') printf("\\&");
    for (; *text; text++) {
        if (*text == '\\')
            printf("\\e");
        else if (*text == '-')
            printf("\\-");
        else if (*text == '"')
            printf("\\(dq");
        else if (*text == '\'')
            printf("\\(aq");
        else
            (void)putchar(*text);
    }
    (void)putchar('\n');
}

static void roff_lines(const char *text)
{
    char line[256];

    for (size_t len; *text; text += len + (text[len] == '\n')) {
        len = strcspn(text, "\n");
        (void)snprintf(line, sizeof line, "%.*s", (int)len, text);
        roff_text(line);
    }
}

static void roff_verb(const cli_verb *verb)
{
    char usage[256];

    (void)snprintf(usage, sizeof usage, "skald %s%s%s%s", verb->name,
                   verb->options[0].name ? " [OPTIONS]" : "", verb->rest[0] ? " " : "", verb->rest);
    printf(".Ss %s\n", verb->name);
    roff_text(verb->summary);
    printf(".Bd -literal -offset indent\n");
    roff_text(usage);
    printf(".Ed\n");
    if (verb->options[0].name) printf(".Bl -tag -width Ds\n");
    for (const cli_option *option = verb->options; option->name; option++) {
        printf(".It Fl -%s%s%s\n", option->name, option->argument ? " Ar " : "",
               option->argument ? option->argument : "");
        roff_text(option->help);
    }
    if (verb->options[0].name) printf(".El\n");
    printf(".Pp\nExample:\n.Bd -literal -offset indent\n");
    roff_lines(verb->example);
    printf(".Ed\n");
}

static int run(const cli_args *args)
{
    const cli_verb *verb;

    if (cli_flag(args, "mdoc") && args->rest_count)
        return cli_fail(CLI_USAGE, "help: --mdoc is of all verbs");
    if (cli_flag(args, "mdoc")) {
        for (const cli_verb *const *each = cli_verbs; *each; each++) roff_verb(*each);
        return CLI_OK;
    }
    if (!args->rest_count) {
        cli_help_all();
        return CLI_OK;
    }
    verb = cli_verb_find(args->rest[0]);
    if (!verb) return cli_unknown_verb(args->rest[0]);
    cli_help(verb);
    return CLI_OK;
}

static const cli_option options[] = {
    {"mdoc", NULL, "all verbs, as sections of a manual page"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_help = {
    .name = "help",
    .summary = "Show the verbs, or how one is used.",
    .rest = "[VERB]",
    .example = "skald help publish",
    .options = options,
    .rest_max = 1,
    .run = run,
};
