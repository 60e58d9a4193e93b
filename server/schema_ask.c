// SPDX-License-Identifier: Apache-2.0
// What skald schema asks a server: its schemas by type and version, registering one, and what one
// would break, and whom.
#include "schema_ask.h"
#include "ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { body_bytes_max = SKALD_SCHEMA_BYTES_MAX + 256 };

// make_body makes {"schema":…,"compatibility":…} of a file's text, which is checked by itself: what
// is wrong with it is said of it, not of a body that nobody wrote.
static int make_body(const cli_args *args, skald_str text, skald_buf *buf)
{
    const char *mode = cli_get(args, "mode");
    skald_compatibility compatibility = SKALD_BACKWARD;
    skald_schema *schema = NULL;
    skald_error error = {0};
    skald_err err;

    if (mode && skald_compatibility_of(skald_str_of(mode), &compatibility, &error))
        return cli_fail(CLI_USAGE, "schema: --mode: %s", error.text);
    if (skald_schema_compile(text, NULL, &schema, &error)) return cli_fail_error(&error);
    skald_schema_free(schema);
    buf->bytes_max = body_bytes_max;
    err = skald_buf_put(buf, SKALD_STR("{"));
    if (!err && mode) err = skald_buf_put(buf, SKALD_STR("\"compatibility\":\""));
    if (!err && mode)
        err = skald_buf_put(buf, skald_str_of(skald_compatibility_name(compatibility)));
    if (!err && mode) err = skald_buf_put(buf, SKALD_STR("\","));
    if (!err) err = skald_buf_put(buf, SKALD_STR("\"schema\":"));
    if (!err) err = skald_buf_put(buf, text);
    if (!err) err = skald_buf_put(buf, (skald_str){"}", 2});
    return err ? cli_fail(CLI_USAGE, "schema: it is larger than %d bytes", SKALD_SCHEMA_BYTES_MAX)
               : CLI_OK;
}

static void show_entry(const json_t *entry)
{
    ask_show(ask_text(entry, "type"));
    printf("  %lld  ", ask_whole(entry, "version"));
    ask_show(ask_text(entry, "compatibility"));
    printf("\n");
}

static int list(cli_asking *asking)
{
    const json_t *rows, *row;
    size_t i;
    int exit = ask(asking, "GET", NULL, (const char *const[]){"/api/schemas", NULL});

    if (exit) return exit;
    rows = json_object_get(asking->answer, "data");
    json_array_foreach (rows, i, row) {
        show_entry(row);
    }
    if (!json_array_size(rows)) printf("there is none\n");
    return CLI_OK;
}

static int show(cli_asking *asking, const char *type, const char *version)
{
    char *text;
    int exit =
        ask(asking, "GET", NULL, (const char *const[]){"/api/schemas/", type, "/", version, NULL});

    if (exit) return exit;
    text = json_dumps(json_object_get(json_object_get(asking->answer, "data"), "schema"),
                      JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    if (text) printf("%s\n", text);
    free(text);
    return CLI_OK;
}

static int put(cli_asking *asking, const char *type, const char *version, const char *body)
{
    int exit =
        ask(asking, "PUT", body, (const char *const[]){"/api/schemas/", type, "/", version, NULL});

    if (!exit) show_entry(json_object_get(asking->answer, "data"));
    return exit;
}

static void show_changes(const json_t *changes)
{
    const json_t *change;
    size_t i;

    json_array_foreach (changes, i, change) {
        printf("%s: %s", ask_text(change, "direction"),
               json_is_true(json_object_get(change, "certain")) ? "breaks" : "cannot be shown");
        if (ask_whole(change, "version")) printf(" (version %lld)", ask_whole(change, "version"));
        printf(": ");
        if (ask_text(change, "path") && *ask_text(change, "path")) {
            ask_show(ask_text(change, "path"));
            printf(" ");
        }
        ask_show(ask_text(change, "message"));
        printf(" (");
        ask_show(ask_text(change, "keyword"));
        printf(")\n");
    }
}

// show_consumers names who takes events of the type, and what of the new version may surprise them.
static void show_consumers(const json_t *data)
{
    const json_t *consumers = json_object_get(data, "consumers"), *consumer;
    size_t i;

    if (!json_array_size(consumers)) return;
    printf("who reads it now may be surprised:\n");
    show_changes(json_object_get(data, "forConsumers"));
    json_array_foreach (consumers, i, consumer) {
        printf("  ");
        ask_show(ask_text(consumer, "name"));
        printf("  ");
        ask_show(ask_text(consumer, "kind"));
        printf("  ");
        ask_show(ask_text(consumer, "state"));
        printf("\n");
    }
}

static int check(cli_asking *asking, const char *type, const char *body)
{
    const json_t *data;
    int exit =
        ask(asking, "POST", body, (const char *const[]){"/api/schemas/", type, "/check", NULL});

    if (exit) return exit;
    data = json_object_get(asking->answer, "data");
    show_changes(json_object_get(data, "changes"));
    if (json_is_true(json_object_get(data, "compatible")))
        printf("compatible: %s\n", ask_text(data, "compatibility"));
    show_consumers(data);
    return json_is_true(json_object_get(data, "compatible")) ? CLI_OK : CLI_NO;
}

int schema_ask(const cli_args *args, skald_str text)
{
    const char *what = args->rest[0];
    const char *const *rest = (const char *const *)args->rest + 1;
    cli_asking asking = {0};
    skald_buf body = {0};
    int exit = text.ptr ? make_body(args, text, &body) : CLI_OK;

    if (!exit) exit = ask_open(args, &asking);
    if (exit) {
        // it said why
    } else if (strcmp(what, "list") == 0) {
        exit = list(&asking);
    } else if (strcmp(what, "show") == 0) {
        exit = show(&asking, rest[0], args->rest_count > 2 ? rest[1] : "latest");
    } else if (strcmp(what, "put") == 0) {
        exit = put(&asking, rest[0], rest[1], body.ptr);
    } else {
        exit = check(&asking, cli_get(args, "type"), body.ptr);
    }
    ask_close(&asking);
    skald_buf_fini(&body);
    return exit;
}
