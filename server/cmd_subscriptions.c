// SPDX-License-Identifier: Apache-2.0
// skald subscriptions: every consumer of a server, how it is doing, and what may be done to it; and
// a pull group made, as skald tail --name makes one, with what that leaves to others.
#include "ask.h"
#include "tail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int show_json(const cli_asking *asking)
{
    printf("%s\n", asking->text);
    return CLI_OK;
}

static void show_row(const json_t *row)
{
    const char *name = ask_text(row, "name");
    long long parked = ask_whole(row, "parked");

    ask_show(name && name[0] ? name : "(unnamed)");
    printf("  ");
    ask_show(ask_text(row, "kind"));
    printf("  ");
    ask_show(ask_text(row, "state"));
    printf("%s  at %lld", json_is_true(json_object_get(row, "stale")) ? ", stale" : "",
           ask_whole(row, "position"));
    if (ask_whole(row, "lag")) printf("  %lld behind", ask_whole(row, "lag"));
    if (ask_whole(row, "inFlight")) printf("  %lld out", ask_whole(row, "inFlight"));
    if (parked) printf("  %lld key%s parked", parked, cli_s((uint64_t)parked));
    if (ask_whole(row, "dead")) printf("  %lld dead", ask_whole(row, "dead"));
    (void)putchar('\n');
}

static int list(cli_asking *asking)
{
    const json_t *rows;
    size_t i;
    json_t *row;
    int exit = ask(asking, "GET", NULL, (const char *const[]){"/api/subscriptions", NULL});

    if (exit) return exit;
    if (cli_flag(asking->args, "json")) return show_json(asking);
    rows = json_object_get(asking->answer, "data");
    json_array_foreach (rows, i, row) show_row(row);
    if (!json_array_size(rows)) printf("there is none\n");
    return CLI_OK;
}

static void show_list(const json_t *filter, const char *name)
{
    const json_t *texts = json_object_get(filter, name);
    json_t *text;
    size_t i;

    json_array_foreach (texts, i, text) {
        printf("%s%s", i ? " " : "  ", i ? "" : name);
        if (!i) printf(" ");
        ask_show(json_string_value(text));
    }
}

static int show(cli_asking *asking, const char *name)
{
    static const char *const counts[] = {"acked",  "retried", "rejected", "timedOut", "expired",
                                         "parked", "dead",    "inFlight", "retrying", NULL};
    const json_t *data, *last, *rates;
    char at[24];
    int exit = ask(asking, "GET", NULL, (const char *const[]){"/api/subscriptions/", name, NULL});

    if (exit) return exit;
    if (cli_flag(asking->args, "json")) return show_json(asking);
    data = json_object_get(asking->answer, "data");
    show_row(data);
    printf("  order ");
    ask_show(ask_text(data, "order") ? ask_text(data, "order") : "not known");
    if (ask_text(data, "key")) {
        printf(" ");
        ask_show(ask_text(data, "key"));
    }
    printf(", when attempts end %s\n",
           ask_text(data, "onExhausted") ? ask_text(data, "onExhausted") : "not known");
    printf(" ");
    for (size_t i = 0; counts[i]; i++)
        printf("%s %s %lld", i ? "," : "", counts[i], ask_whole(data, counts[i]));
    rates = json_object_get(data, "rates");
    printf("\n  %.1f a second in, %.1f out; last sign of a consumer %s\n",
           json_number_value(json_object_get(rates, "inPerSecond")),
           json_number_value(json_object_get(rates, "outPerSecond")),
           ask_time(data, "activeAt", at));
    const json_t *filter = json_object_get(data, "filter");
    if (filter) {
        show_list(filter, "types");
        show_list(filter, "streams");
        show_list(filter, "categories");
        printf("\n");
    }
    last = json_object_get(data, "lastError");
    if (json_is_object(last)) {
        printf("  last error %s: ", ask_time(last, "at", at));
        ask_show(ask_text(last, "message"));
        (void)putchar('\n');
    }
    return CLI_OK;
}

static int do_to(cli_asking *asking, const char *what, const char *name)
{
    bool deletes = strcmp(what, "delete") == 0;
    char path[32];
    int exit;

    (void)snprintf(path, sizeof path, "/%s", what);
    exit = deletes ? ask(asking, "DELETE", NULL,
                         (const char *const[]){"/api/subscriptions/", name, NULL})
                   : ask(asking, "POST", "",
                         (const char *const[]){"/api/subscriptions/", name, path, NULL});
    if (exit) return exit;
    if (cli_flag(asking->args, "json")) return show_json(asking);
    ask_show(name);
    printf(" is ");
    ask_show(deletes ? "deleted" : ask_text(json_object_get(asking->answer, "data"), "state"));
    (void)putchar('\n');
    return CLI_OK;
}

// definition_numbers adds the numbers that were given. False: it said why.
static bool definition_numbers(const cli_args *args, json_t *definition)
{
    uint64_t attempts = 0, in_flight = 0, timeout_s = 30;
    json_int_t ack_ms;

    if (!cli_number(args, "attempts", 0, 1000000, &attempts) ||
        !cli_number(args, "in-flight", 1, 10000, &in_flight) ||
        !cli_number(args, "timeout", 1, 3600, &timeout_s))
        return false;
    ack_ms = (json_int_t)(timeout_s + TAIL_GRACE_S) * 1000;
    (void)json_object_set_new(definition, "ackTimeoutMs", json_integer(ack_ms));
    if (in_flight)
        (void)json_object_set_new(definition, "inFlightMax", json_integer((json_int_t)in_flight));
    if (cli_flag(args, "attempts"))
        (void)json_object_set_new(definition, "retry",
                                  json_pack("{s:I}", "attemptsMax", (json_int_t)attempts));
    return true;
}

// make_definition is what the server is asked for; what may stand in it the server knows. NULL: it
// said why.
static char *make_definition(const cli_args *args, const char *name)
{
    static const char *const texts[][2] = {{"order", "order"},
                                           {"key", "key"},
                                           {"on-exhausted", "onExhausted"}};
    json_t *filter = ask_filter(args), *from = filter ? ask_from(args) : NULL, *definition = NULL;
    bool told = !from, whole;
    char *text;

    if (from) {
        definition = json_pack("{s:s,s:o,s:o}", "name", name, "filter", filter, "from", from);
        filter = NULL;
        told = definition && !definition_numbers(args, definition);
    }
    whole = definition && !told;
    for (size_t i = 0; whole && i < sizeof texts / sizeof *texts; i++) {
        const char *value = cli_get(args, texts[i][0]);
        if (value) whole = !json_object_set_new(definition, texts[i][1], json_string(value));
    }
    text = whole ? json_dumps(definition, JSON_COMPACT) : NULL;
    if (!text && !told)
        (void)cli_fail(CLI_USAGE, "subscriptions: a name or an option is not UTF-8");
    json_decref(filter);
    json_decref(definition);
    return text;
}

static int create(cli_asking *asking, const char *name)
{
    char *body = make_definition(asking->args, name);
    int exit;

    if (!body) return CLI_USAGE;
    exit = ask(asking, "POST", body, (const char *const[]){"/api/subscriptions", NULL});
    free(body);
    if (exit) return exit;
    if (cli_flag(asking->args, "json")) return show_json(asking);
    ask_show(name);
    printf(" is there; skald tail --name takes from it\n");
    return CLI_OK;
}

static bool known(const char *what)
{
    static const char *const deeds[] = {"create", "show",  "pause",  "resume",
                                        "drain",  "reset", "delete", NULL};
    size_t i = 0;

    while (deeds[i] && strcmp(what, deeds[i]) != 0) i++;
    return deeds[i] != NULL;
}

static int run_one(cli_asking *asking, const char *what, const char *name)
{
    if (!name) return list(asking);
    if (strcmp(what, "create") == 0) return create(asking, name);
    if (strcmp(what, "show") == 0) return show(asking, name);
    if (strcmp(what, "reset") == 0) return replay_run(asking, name);
    return do_to(asking, what, name);
}

// misplaced says which option is given that goes with another deed: its help begins with that.
// NULL: none is.
static const cli_option *misplaced(const cli_args *args, const char *what)
{
    for (const cli_option *option = args->verb->options; option->name; option++) {
        size_t len = strcspn(option->help, ":");
        char deed[16] = "";

        if (len < sizeof deed) (void)snprintf(deed, sizeof deed, "%.*s", (int)len, option->help);
        if (known(deed) && strcmp(deed, what) != 0 && cli_flag(args, option->name)) return option;
    }
    return NULL;
}

static int run(const cli_args *args)
{
    const char *what = args->rest_count ? args->rest[0] : "list";
    bool lists = strcmp(what, "list") == 0;
    const cli_option *strange;
    cli_asking asking;
    int exit;

    if (!lists && !known(what))
        return cli_fail(CLI_USAGE,
                        "subscriptions: '%s' is none of list, create, show, pause, resume, drain, "
                        "reset and delete",
                        what);
    if (args->rest_count != (lists ? args->rest_count > 0 : 2))
        return cli_fail(CLI_USAGE,
                        lists ? "subscriptions: list takes no name; did you mean show?"
                              : "subscriptions: %s needs one NAME",
                        what);
    strange = misplaced(args, what);
    if (strange)
        return cli_fail(CLI_USAGE, "subscriptions: --%s goes with %.*s, not with %s", strange->name,
                        (int)strcspn(strange->help, ":"), strange->help, what);
    exit = ask_open(args, &asking);
    if (exit) return exit;
    exit = run_one(&asking, what, lists ? NULL : args->rest[1]);
    ask_close(&asking);
    return exit;
}

static const cli_option options[] = {
    {"type", "TYPE", "create: only this type, or a prefix: 'invoice.*'; repeatable"},
    {"stream", "NAME", "create: only this stream; repeatable"},
    {"category", "NAME", "create: only streams NAME-…; repeatable"},
    {"tenant", "NAME", "create: only this tenant"},
    {"from", "WHERE", "create: start, end or a position (start)"},
    {"order", "HOW", "create: stream, key or none: what is given one at a time (stream)"},
    {"key", "POINTER", "create: with --order key, where in the data it is: /customer/id"},
    {"on-exhausted", "WHAT", "create: halt, dead_letter or park_key (halt)"},
    {"attempts", "N", "create: so many, then that; 0: no end (with halt; else 8)"},
    {"timeout", "S", "create: so long may one event take; 5 later it comes again (30)"},
    {"in-flight", "N", "create: so many taken at once (256)"},
    {"from-start", NULL, "reset: everything comes again"},
    {"from-end", NULL, "reset: only what comes from now on"},
    {"position", "N", "reset: what is behind this position comes again"},
    {"time", "TIME", "reset: what was recorded then or later comes again"},
    {"json", NULL, "the server's answer as JSON"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_subscriptions = {
    .name = "subscriptions",
    .summary = "Show every consumer; make a pull group; pause, resume, drain, reset, delete one.",
    .rest = "[list | create|show|pause|resume|drain|reset|delete NAME]",
    .example =
        "skald subscriptions create bills --order key --key /customer --on-exhausted park_key\n"
        "  skald tail --name bills --exec -- ./bill",
    .options = options,
    .rest_max = 2,
    .run = run,
};
