// SPDX-License-Identifier: Apache-2.0
// skald trace: what belongs to a correlation id, drawn as a tree, and who received each event.
#include "ask.h"

#include <stdio.h>
#include <string.h>

enum { depth_max = 64, prefix_bytes = 8 * depth_max };

static void show_delivery(const json_t *delivery)
{
    const char *reason = ask_text(delivery, "reason");
    const json_t *delay = json_object_get(delivery, "delayMs");

    ask_show(ask_text(delivery, "subscription"));
    printf(": ");
    ask_show(ask_text(delivery, "outcome"));
    if (json_is_number(delay)) printf(" after %.1f ms", json_number_value(delay));
    if (reason && reason[0]) {
        printf(" (");
        ask_show(reason);
        (void)putchar(')');
    }
    (void)putchar('\n');
}

// show_deliveries: whom an event was never meant for is left out, unless --all.
static void show_deliveries(const json_t *node, const char *prefix, const char *stem, bool all)
{
    json_t *delivery;
    size_t i;

    json_array_foreach (json_object_get(node, "deliveries"), i, delivery) {
        const char *outcome = ask_text(delivery, "outcome");

        if (!all && outcome && strcmp(outcome, "filtered") == 0) continue;
        printf("%s%s    ", prefix, stem);
        show_delivery(delivery);
    }
}

static void show_event(const json_t *node)
{
    const json_t *event = json_object_get(node, "event");
    const char *stream = ask_text(event, "stream");
    char at[24];

    ask_show(ask_text(event, "type"));
    if (stream) {
        printf("  ");
        ask_show(stream);
        printf(" v%lld", ask_whole(event, "streamVersion"));
    }
    printf("  %lld  %s", ask_whole(event, "position"), ask_time(event, "recordedAt", at));
    if (json_number_value(json_object_get(node, "delayMs")) > 0)
        printf("  +%.1f ms", json_number_value(json_object_get(node, "delayMs")));
    (void)putchar('\n');
}

// show_nodes draws siblings; each goes on under a line while another follows it.
static void show_nodes(const json_t *nodes, char *prefix, int depth, bool all)
{
    size_t len = strlen(prefix), count = json_array_size(nodes), i;
    json_t *node;

    json_array_foreach (nodes, i, node) {
        const json_t *children = json_object_get(node, "children");
        bool last = i + 1 == count;

        if (depth) printf("%s%s ", prefix, last ? "└─" : "├─");
        show_event(node);
        if (depth) (void)snprintf(prefix + len, prefix_bytes - len, "%s", last ? "   " : "│  ");
        show_deliveries(node, prefix, json_array_size(children) ? "│" : " ", all);
        if (depth < depth_max) show_nodes(children, prefix, depth + 1, all);
        prefix[len] = 0;
    }
}

static int run(const cli_args *args)
{
    char prefix[prefix_bytes] = "";
    cli_asking asking;
    int exit = ask_open(args, &asking);

    if (exit) return exit;
    exit = ask(&asking, "GET", NULL,
               (const char *const[]){"/api/events/trace/", args->rest[0], "?limit=1000", NULL});
    if (!exit && cli_flag(args, "json")) {
        printf("%s\n", asking.text);
    } else if (!exit) {
        show_nodes(json_object_get(asking.answer, "data"), prefix, 0, cli_flag(args, "all"));
        if (json_is_true(json_object_get(asking.answer, "truncated")))
            printf("… and more: only the first 1000 are shown\n");
    }
    ask_close(&asking);
    return exit;
}

static const cli_option options[] = {
    {"all", NULL, "also who was not meant to receive it"},
    {"json", NULL, "the server's answer as JSON"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_trace = {
    .name = "trace",
    .summary = "Draw what belongs to a correlation id, and who received it.",
    .rest = "ID",
    .example = "skald trace 0192f0c1-7d3e-7c55-a1b2-0123456789ab",
    .options = options,
    .rest_min = 1,
    .rest_max = 1,
    .run = run,
};
