// SPDX-License-Identifier: Apache-2.0
// skald scheduled: events that wait for their time, and how one is let not happen.
#include "ask.h"

#include <stdio.h>
#include <string.h>

static void show_row(const json_t *row)
{
    char at[24];

    ask_show(ask_text(row, "id"));
    printf("  %s  ", ask_time(row, "deliverAt", at));
    ask_show(ask_text(row, "type"));
    if (ask_text(row, "stream")) {
        printf("  ");
        ask_show(ask_text(row, "stream"));
    }
    printf("\n");
}

// list shows every page, in the order in which they were published.
static int list(cli_asking *asking)
{
    bool json = cli_flag(asking->args, "json");
    long long after = 0;
    uint64_t count = 0;
    char cursor[24];

    do {
        const json_t *rows, *row;
        size_t i;
        int exit;

        (void)snprintf(cursor, sizeof cursor, "%lld", after);
        exit = ask(asking, "GET", NULL,
                   (const char *const[]){"/api/events/scheduled?limit=100&after=", cursor, NULL});
        if (exit) return exit;
        if (json) printf("%s\n", asking->text);
        rows = json_object_get(asking->answer, "data");
        json_array_foreach (rows, i, row) {
            if (!json) show_row(row);
            count++;
        }
        after = ask_whole(json_object_get(asking->answer, "pagination"), "nextCursor");
    } while (after);
    if (!count && !json) printf("there is none\n");
    return CLI_OK;
}

static int cancel(cli_asking *asking, const char *id)
{
    int exit =
        ask(asking, "DELETE", NULL, (const char *const[]){"/api/events/scheduled/", id, NULL});

    if (exit) return exit;
    if (cli_flag(asking->args, "json")) {
        printf("%s\n", asking->text);
        return CLI_OK;
    }
    ask_show(id);
    printf(" will not be published\n");
    return CLI_OK;
}

static int run(const cli_args *args)
{
    const char *what = args->rest_count ? args->rest[0] : "list";
    bool lists = strcmp(what, "list") == 0;
    cli_asking asking;
    int exit;

    if (!lists && strcmp(what, "cancel") != 0)
        return cli_fail(CLI_USAGE, "scheduled: '%s' is neither list nor cancel", what);
    if (lists ? args->rest_count > 1 : args->rest_count != 2)
        return cli_fail(CLI_USAGE, lists ? "scheduled: list takes nothing"
                                         : "scheduled: cancel needs the ID that list shows");
    exit = ask_open(args, &asking);
    if (exit) return exit;
    exit = lists ? list(&asking) : cancel(&asking, args->rest[1]);
    ask_close(&asking);
    return exit;
}

static const cli_option options[] = {
    {"json", NULL, "the server's answer as JSON"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_scheduled = {
    .name = "scheduled",
    .summary = "Show events that wait for their time; let one not happen.",
    .rest = "[list | cancel ID]",
    .example = "skald scheduled cancel 0192f0c1-7d3e-7c55-a1b2-0123456789ab",
    .options = options,
    .rest_max = 2,
    .run = run,
};
