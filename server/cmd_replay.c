// SPDX-License-Identifier: Apache-2.0
// skald replay: a consumer is moved to another place in the log and goes on from there.
#include "ask.h"

#include <stdio.h>
#include <stdlib.h>

// make_body says where to. NULL, having said why, when that is not one place.
static char *make_body(const cli_args *args)
{
    const char *time = cli_get(args, "time");
    int places = cli_flag(args, "from-start") + cli_flag(args, "from-end") +
                 cli_flag(args, "position") + cli_flag(args, "time");
    uint64_t position = 0;
    json_t *body = NULL;
    skald_time at;
    char *text;

    if (places != 1) {
        (void)cli_fail(CLI_USAGE,
                       "%s: say one place: --from-start, --position N, --time TIME or --from-end",
                       args->verb->name);
        return NULL;
    }
    if (!cli_number(args, "position", 0, INT64_MAX, &position)) return NULL;
    if (time && skald_time_parse(skald_str_of(time), &at)) {
        (void)cli_fail(CLI_USAGE, "%s: --time is '%s' but must be like 2026-01-02T03:04:05Z",
                       args->verb->name, time);
        return NULL;
    }
    if (time)
        body = json_pack("{s:s}", "time", time);
    else if (cli_flag(args, "position"))
        body = json_pack("{s:I}", "position", (json_int_t)position);
    else
        body = json_pack("{s:s}", "to", cli_flag(args, "from-start") ? "start" : "end");
    text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!text) (void)cli_fail(CLI_USAGE, "%s: --time is not UTF-8", args->verb->name);
    return text;
}

int replay_run(cli_asking *asking, const char *name)
{
    char *body = make_body(asking->args);
    long long lag;
    int exit;

    if (!body) return CLI_USAGE;
    exit = ask(asking, "POST", body,
               (const char *const[]){"/api/subscriptions/", name, "/reset", NULL});
    free(body);
    if (exit) return exit;
    if (cli_flag(asking->args, "json")) {
        printf("%s\n", asking->text);
        return CLI_OK;
    }
    ask_show(name);
    lag = ask_whole(json_object_get(asking->answer, "data"), "lag");
    printf(" goes on from there; %lld event%s ahead\n", lag, lag == 1 ? " lies" : "s lie");
    return CLI_OK;
}

static int run(const cli_args *args)
{
    cli_asking asking;
    int exit = ask_open(args, &asking);

    if (exit) return exit;
    exit = replay_run(&asking, args->rest[0]);
    ask_close(&asking);
    return exit;
}

static const cli_option options[] = {
    {"from-start", NULL, "everything comes again"},
    {"from-end", NULL, "only what comes from now on"},
    {"position", "N", "what is behind this position comes again"},
    {"time", "TIME", "what was recorded then or later comes again"},
    {"json", NULL, "the server's answer as JSON"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_replay = {
    .name = "replay",
    .summary = "Give a consumer events again, from a place in the log.",
    .rest = "NAME",
    .example = "skald replay mailer --time 2026-01-02T00:00:00Z\n"
               "  Its dead letters and parked keys behind that place are dropped: they come again.",
    .options = options,
    .rest_min = 1,
    .rest_max = 1,
    .run = run,
};
