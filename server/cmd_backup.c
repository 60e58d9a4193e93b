// SPDX-License-Identifier: Apache-2.0
// skald backup: the store as it stands at one moment, in a directory of its own. Of a running
// server it is the server that makes it, in the directory it was told to keep backups in.
#include "cli.h"
#include "client.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool note_progress(void *context, uint64_t bytes_done, uint64_t bytes_all)
{
    cli_bar *bar = context;
    char note[48];

    bar->all = bytes_all;
    (void)snprintf(note, sizeof note, "%llu MiB", (unsigned long long)(bytes_done >> 20));
    cli_bar_show(bar, bytes_done, note);
    return true;
}

static void print_done(const char *directory, unsigned long long position, unsigned long long bytes,
                       unsigned long long linked, unsigned long long damages)
{
    printf("everything up to position %llu is in %s: %llu bytes, %llu of them shared with the "
           "store's own files\n",
           position, directory, bytes, linked);
    if (damages) {
        printf("%llu damaged range%s of the store stand%s in the backup, too: skald verify says "
               "which\n",
               damages, cli_s(damages), damages == 1 ? "s" : "");
    }
}

static int backup_here(const cli_args *args)
{
    skald_store_options store_options = {.read_only = true};
    cli_bar bar = {.what = "backup"};
    skald_backup_options options = {.progress = note_progress, .context = &bar};
    skald_backed_up done = {0};
    skald_store *store = NULL;
    skald_error error = {0};
    skald_err err;
    int exit = cli_store_open(args, &store_options, &store);

    if (exit) return exit;
    err = skald_store_backup(store, args->rest[0], &options, &done, &error);
    cli_bar_end(&bar);
    skald_store_close(store);
    if (err) return cli_fail_error(&error);
    if (cli_flag(args, "json")) {
        json_t *whole =
            json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "directory", args->rest[0], "position",
                      (json_int_t)done.position_last, "bytes", (json_int_t)done.bytes,
                      "bytesLinked", (json_int_t)done.bytes_linked, "files", (json_int_t)done.files,
                      "damages", (json_int_t)done.damages);
        char *text = whole ? json_dumps(whole, JSON_COMPACT) : NULL;

        printf("%s\n", text ? text : "{}");
        free(text);
        json_decref(whole);
    } else {
        print_done(args->rest[0], done.position_last, done.bytes, done.bytes_linked, done.damages);
    }
    return CLI_OK;
}

static void print_reply(const client_reply *reply)
{
    json_t *answer = json_loadb(reply->body, reply->len, 0, NULL);
    const json_t *data = json_object_get(answer, "data");
    const char *directory = json_string_value(json_object_get(data, "directory"));

    print_done(directory ? directory : "the server's directory",
               (unsigned long long)json_integer_value(json_object_get(data, "position")),
               (unsigned long long)json_integer_value(json_object_get(data, "bytes")),
               (unsigned long long)json_integer_value(json_object_get(data, "bytesLinked")),
               (unsigned long long)json_integer_value(json_object_get(data, "damages")));
    json_decref(answer);
}

static int backup_there(const cli_args *args)
{
    json_t *body = json_pack("{s:s}", "directory", args->rest[0]);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    cli_client *client = text ? client_open(args) : NULL;
    client_reply reply = {0};
    int exit = CLI_OK;

    if (!text) {
        exit = cli_fail(CLI_USAGE, "backup: the name is not UTF-8");
    } else if (!client) {
        exit = CLI_USAGE; // it said why
    } else if (!client_ask(client, "POST", "/api/admin/backup", "application/json",
                           skald_str_of(text), &reply)) {
        exit = client_unreachable(client);
    } else if (reply.status / 100 != 2) {
        exit = client_fail(&reply);
    } else if (cli_flag(args, "json")) {
        printf("%s\n", reply.body);
    } else {
        print_reply(&reply);
    }
    client_close(client);
    free(text);
    json_decref(body);
    return exit;
}

static int run(const cli_args *args)
{
    if (cli_get(args, "data") && cli_get(args, "url"))
        return cli_fail(CLI_USAGE, "backup: --data or --url, not both");
    return cli_get(args, "data") ? backup_here(args) : backup_there(args);
}

static const cli_option options[] = {
    {"data", "DIR", "a directory that no server holds"},
    {"url", "URL",
     "the server (http://127.0.0.1:8000); DIR is then a name in its backup.directory"},
    {"json", NULL, "the summary as JSON"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_backup = {
    .name = "backup",
    .summary = "Copy the store, as it is now, into a new directory.",
    .rest = "DIR",
    .example = "skald backup 2026-11-21",
    .options = options,
    .rest_min = 1,
    .rest_max = 1,
    .run = run,
};
