// SPDX-License-Identifier: Apache-2.0
// skald dead-letters and skald parked: deliveries that failed for good, and what becomes of them.
#include "ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { cursor_bytes = 512 };

static void show_row(const json_t *row)
{
    const json_t *event = json_object_get(row, "event");
    const char *key = ask_text(row, "key");
    long long waiting = ask_whole(row, "waiting"), attempts = ask_whole(row, "attempts");
    char at[24];

    ask_show(key ? key : ask_text(row, "id"));
    printf("  ");
    ask_show(json_is_null(event) ? "(erased)" : ask_text(event, "type"));
    if (ask_text(event, "stream") && !key) {
        printf("  ");
        ask_show(ask_text(event, "stream"));
    }
    if (key) printf("  %lld wait%s behind", waiting, waiting == 1 ? "s" : "");
    printf("  %lld attempt%s, last %s: ", attempts, cli_s((uint64_t)attempts),
           ask_time(row, "lastFailedAt", at));
    ask_show(ask_text(row, "lastError"));
    printf("%s\n", json_is_true(json_object_get(row, "releasing")) ? "  (being delivered)" : "");
}

// list shows every page. before, name and behind make the path of the first, which has a query
// string.
static int list(cli_asking *asking, const char *before, const char *name, const char *behind,
                uint64_t *ret_count)
{
    char cursor[cursor_bytes] = "";
    uint64_t count = 0;

    for (bool more = true; more;) {
        const json_t *rows;
        json_t *row;
        size_t i;
        int exit =
            ask(asking, "GET", NULL,
                (const char *const[]){before, name, behind, cursor[0] ? cursor : NULL, NULL});

        if (exit) return exit;
        if (cli_flag(asking->args, "json")) printf("%s\n", asking->text);
        rows = json_object_get(asking->answer, "data");
        json_array_foreach (rows, i, row) {
            if (!cli_flag(asking->args, "json")) show_row(row);
            count++;
        }
        more = ask_next(asking, cursor, sizeof cursor);
    }
    *ret_count = count;
    return CLI_OK;
}

static void say_none(const cli_asking *asking, uint64_t count)
{
    if (!count && !cli_flag(asking->args, "json")) printf("there is none\n");
}

static int say(const cli_asking *asking, const char *name, const char *what)
{
    if (cli_flag(asking->args, "json")) {
        printf("%s\n", asking->text);
        return CLI_OK;
    }
    ask_show(name);
    printf(" %s\n", what);
    return CLI_OK;
}

// Dead letters.

static int list_dead(cli_asking *asking)
{
    const char *name = cli_get(asking->args, "subscription");
    uint64_t count = 0;
    int exit = name ? list(asking, "/api/dead-letters?subscription=", name, "&afterId=", &count)
                    : list(asking, "/api/dead-letters?limit=", "100", "&afterId=", &count);

    // None of a name that there is not is a slip, and no good news.
    if (!exit && name && !count && !cli_flag(asking->args, "json"))
        exit = ask(asking, "GET", NULL, (const char *const[]){"/api/subscriptions/", name, NULL});
    if (!exit) say_none(asking, count);
    return exit;
}

static int show_dead(cli_asking *asking, const char *id)
{
    int exit = ask(asking, "GET", NULL, (const char *const[]){"/api/dead-letters/", id, NULL});
    char *text;

    if (exit) return exit;
    if (cli_flag(asking->args, "json")) return say(asking, "", "");
    show_row(json_object_get(asking->answer, "data"));
    text = json_dumps(json_object_get(json_object_get(asking->answer, "data"), "event"),
                      JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    if (text) printf("%s\n", text);
    free(text);
    return CLI_OK;
}

static int retry_all(cli_asking *asking)
{
    const char *name = cli_get(asking->args, "subscription");
    json_t *body = name ? json_pack("{s:s}", "subscription", name) : json_object();
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    int exit =
        text ? ask(asking, "POST", text, (const char *const[]){"/api/dead-letters/retry", NULL})
             : cli_fail(CLI_USAGE, "dead-letters: --subscription is not UTF-8");
    long long retried;

    free(text);
    json_decref(body);
    if (exit) return exit;
    if (cli_flag(asking->args, "json")) return say(asking, "", "");
    retried = ask_whole(json_object_get(asking->answer, "data"), "retried");
    printf("%lld %s delivered again\n", retried, retried == 1 ? "is" : "are");
    return CLI_OK;
}

static int end_dead(cli_asking *asking, const char *what, const char *id)
{
    char path[16];
    int exit;

    (void)snprintf(path, sizeof path, "/%s", what);
    exit = ask(asking, "POST", "", (const char *const[]){"/api/dead-letters/", id, path, NULL});
    if (exit) return exit;
    return say(asking, id, strcmp(what, "retry") == 0 ? "is delivered again" : "is discarded");
}

static int check_dead(const cli_args *args, const char *what)
{
    bool lists = strcmp(what, "list") == 0;
    bool retries = strcmp(what, "retry") == 0;
    bool all = cli_flag(args, "all");

    if (!lists && !retries && strcmp(what, "show") != 0 && strcmp(what, "discard") != 0)
        return cli_fail(CLI_USAGE, "dead-letters: '%s' is none of list, show, retry and discard",
                        what);
    if (all && (!retries || args->rest_count > 1))
        return cli_fail(CLI_USAGE, "dead-letters: --all is for retry, without an ID");
    if (args->rest_count > 1 ? lists : !lists && !all)
        return cli_fail(CLI_USAGE,
                        lists ? "dead-letters: list takes no ID; did you mean show?"
                              : "dead-letters: %s needs the ID that list shows",
                        what);
    if (cli_get(args, "subscription") && !lists && !all)
        return cli_fail(CLI_USAGE, "dead-letters: --subscription is for list and retry --all");
    return CLI_OK;
}

static int run_dead(const cli_args *args)
{
    const char *what = args->rest_count ? args->rest[0] : "list";
    cli_asking asking;
    int exit = check_dead(args, what);

    if (exit) return exit;
    exit = ask_open(args, &asking);
    if (exit) return exit;
    if (strcmp(what, "list") == 0)
        exit = list_dead(&asking);
    else if (cli_flag(args, "all"))
        exit = retry_all(&asking);
    else if (strcmp(what, "show") == 0)
        exit = show_dead(&asking, args->rest[1]);
    else
        exit = end_dead(&asking, what, args->rest[1]);
    ask_close(&asking);
    return exit;
}

// Parked keys.

// check_data: what is wrong with DATA is said of it alone, not of a body that nobody wrote.
static int check_data(const char *data)
{
    skald_event event = {.type = SKALD_STR("any"), .data = skald_str_of(data)};
    skald_error error = {0};

    return skald_event_check(&event, SKALD_EVENT_BYTES_LIMIT, &error) ? cli_fail_error(&error)
                                                                      : CLI_OK;
}

static int end_parked(cli_asking *asking, const char *what)
{
    const char *name = asking->args->rest[1];
    const char *key = asking->args->rest[2];
    bool edits = strcmp(what, "edit") == 0;
    skald_buf body = {.bytes_max = SKALD_EVENT_BYTES_LIMIT + 64};
    char path[16];
    int exit = edits ? check_data(asking->args->rest[3]) : CLI_OK;

    (void)snprintf(path, sizeof path, "/%s", what);
    if (!exit && edits &&
        (skald_buf_put(&body, SKALD_STR("{\"data\":")) ||
         skald_buf_put(&body, skald_str_of(asking->args->rest[3])) ||
         skald_buf_put(&body, (skald_str){"}", 2})))
        exit = cli_fail(CLI_USAGE, "parked: DATA is too large");
    if (!exit)
        exit = ask(asking, "POST", edits ? body.ptr : "",
                   (const char *const[]){"/api/subscriptions/", name, "/parked/", key, path, NULL});
    skald_buf_fini(&body);
    if (exit) return exit;
    return say(asking, key,
               edits                          ? "is edited and released"
               : strcmp(what, "release") == 0 ? "is released"
                                              : "goes on without its head");
}

static int check_parked(const cli_args *args, const char *what)
{
    bool edits = strcmp(what, "edit") == 0;
    int due = strcmp(what, "list") == 0 ? 2 : edits ? 4 : 3;

    if (due == 3 && strcmp(what, "release") != 0 && strcmp(what, "skip") != 0)
        return cli_fail(CLI_USAGE, "parked: '%s' is none of list, release, skip and edit", what);
    if (args->rest_count != due)
        return cli_fail(CLI_USAGE, "parked: %s needs the NAME of a subscription%s%s", what,
                        due > 2 ? ", the KEY that list shows" : "", edits ? " and DATA" : "");
    return CLI_OK;
}

static int run_parked(const cli_args *args)
{
    const char *what = args->rest[0];
    uint64_t count = 0;
    cli_asking asking;
    int exit = check_parked(args, what);

    if (exit) return exit;
    exit = ask_open(args, &asking);
    if (exit) return exit;
    if (strcmp(what, "list") == 0) {
        exit = list(&asking, "/api/subscriptions/", args->rest[1],
                    "/parked?limit=100&afterId=", &count);
        if (!exit) say_none(&asking, count);
    } else {
        exit = end_parked(&asking, what);
    }
    ask_close(&asking);
    return exit;
}

static const cli_option dead_options[] = {
    {"subscription", "NAME", "list, retry --all: only of this one"},
    {"all", NULL, "retry: all of them"},
    {"json", NULL, "the server's answer as JSON"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_dead_letters = {
    .name = "dead-letters",
    .summary = "Show deliveries that failed for good; retry or discard them.",
    .rest = "[list | show|retry|discard ID]",
    .example = "skald dead-letters retry --all --subscription mailer",
    .options = dead_options,
    .rest_max = 2,
    .run = run_dead,
};

static const cli_option parked_options[] = {
    {"json", NULL, "the server's answer as JSON"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_parked = {
    .name = "parked",
    .summary = "Show keys that wait behind a failure; release, skip, edit its head.",
    .rest = "list NAME | release|skip NAME KEY | edit NAME KEY DATA",
    .example = "skald parked edit mailer order-7 '{\"to\":\"ann@example.com\"}'\n"
               "  DATA, as JSON, is given to the handler in place of the event's.",
    .options = parked_options,
    .rest_min = 1,
    .rest_max = 4,
    .run = run_parked,
};
