// SPDX-License-Identifier: Apache-2.0
// skald types: every type of event by all its names, the types as a contract for other programs,
// and giving a type more names.
#include "client.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { arena_bytes_max = 64 * 1024 * 1024, output_bytes_max = 64 * 1024 * 1024 };

static const struct {
    const char *option, *format;
    skald_contract contract;
} contracts[] = {
    {"ts", "typescript", SKALD_TYPESCRIPT},
    {"json-schema", "json-schema", SKALD_JSON_SCHEMA},
    {"asyncapi", "asyncapi", SKALD_ASYNCAPI},
};
enum { contract_count = sizeof contracts / sizeof *contracts };

// contract_of: which is asked for, contract_count for none, -1 for several.
static int contract_of(const cli_args *args)
{
    int asked = contract_count;

    for (int i = 0; i < contract_count; i++) {
        if (!cli_flag(args, contracts[i].option)) continue;
        if (asked != contract_count) return -1;
        asked = i;
    }
    return asked;
}

static void print_row(const char *type, const char *aliases, const char *versions, uint64_t count)
{
    printf("%-38s %10llu  %-8s %s\n", type, (unsigned long long)count, versions, aliases);
}

static void print_head(void)
{
    printf("%-38s %10s  %-8s %s\n", "TYPE", "EVENTS", "VERSIONS", "OTHER NAMES");
}

// joined writes the items of an array with a space between two.
static const char *joined(const json_t *array, char *text, size_t size)
{
    size_t len = 0;

    text[0] = 0;
    for (size_t i = 0; i < json_array_size(array) && len < size; i++) {
        const json_t *item = json_array_get(array, i);
        int more = json_is_string(item) ? snprintf(text + len, size - len, "%s%s", i ? " " : "",
                                                   json_string_value(item))
                                        : snprintf(text + len, size - len, "%s%lld", i ? " " : "",
                                                   (long long)json_integer_value(item));

        len += (size_t)(more > 0 ? more : 0);
    }
    return text;
}

static void print_types(const client_reply *reply)
{
    json_t *answer = json_loadb(reply->body, reply->len, 0, NULL);
    const json_t *list = json_object_get(answer, "data");
    char aliases[4096], versions[512];

    print_head();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        const char *type = json_string_value(json_object_get(row, "type"));

        print_row(type ? type : "?",
                  joined(json_object_get(row, "aliases"), aliases, sizeof aliases),
                  joined(json_object_get(row, "versions"), versions, sizeof versions),
                  (uint64_t)json_integer_value(json_object_get(row, "count")));
    }
    json_decref(answer);
}

static int ask_list(const cli_args *args, cli_client *client)
{
    int contract = contract_of(args);
    skald_buf path = {.bytes_max = 1024};
    client_reply reply = {0};
    int exit = CLI_OK;

    if (skald_buf_put(&path, SKALD_STR("/api/types")) ||
        (contract < contract_count &&
         !client_query(client, &path, "format", contracts[contract].format)) ||
        skald_buf_put(&path, (skald_str){"", 1}))
        exit = cli_fail(CLI_CANNOT, "out of memory");
    else if (!client_ask(client, "GET", path.ptr, NULL, (skald_str){0}, &reply))
        exit = client_unreachable(client);
    else if (reply.status != 200)
        exit = client_fail(&reply);
    else if (contract < contract_count || cli_flag(args, "json"))
        printf("%.*s%s", (int)reply.len, reply.body,
               reply.len && reply.body[reply.len - 1] == '\n' ? "" : "\n");
    else
        print_types(&reply);
    skald_buf_fini(&path);
    return exit;
}

static int ask_put(const cli_args *args, cli_client *client)
{
    skald_buf path = {.bytes_max = 4096};
    client_reply reply = {0};
    json_t *aliases = json_array();
    int exit = CLI_OK;

    for (int i = 1; i < args->rest_count; i++)
        if (json_array_append_new(aliases, json_string(args->rest[i])))
            exit = cli_fail(CLI_USAGE, "types: a name is not UTF-8");
    json_t *body = json_pack("{s:o}", "aliases", aliases);
    char *text = json_dumps(body, JSON_COMPACT);

    if (exit) {
        // it said why
    } else if (!text || skald_buf_put(&path, SKALD_STR("/api/types/")) ||
               !client_escape(client, &path, skald_str_of(args->rest[0])) ||
               skald_buf_put(&path, (skald_str){"", 1})) {
        exit = cli_fail(CLI_CANNOT, "the name is too long, or out of memory");
    } else if (!client_ask(client, "PUT", path.ptr, "application/json", skald_str_of(text),
                           &reply)) {
        exit = client_unreachable(client);
    } else if (reply.status / 100 != 2) {
        exit = client_fail(&reply);
    } else if (cli_flag(args, "json")) {
        printf("%s\n", reply.body);
    } else {
        printf("%s has these names now\n", args->rest[0]);
    }
    free(text);
    json_decref(body);
    skald_buf_fini(&path);
    return exit;
}

// A directory that no server holds.

static uint64_t count_of(const skald_types *types, skald_str name, const skald_counted *stored,
                         size_t stored_count)
{
    uint64_t count = 0;

    for (size_t i = 0; i < stored_count; i++) {
        skald_str dotted = skald_types_name(types, stored[i].name);

        if (skald_str_equal(dotted.len ? dotted : stored[i].name, name)) count += stored[i].count;
    }
    return count;
}

static skald_err print_directory(const skald_types *types, skald_store *store, skald_arena *arena)
{
    const skald_type_row *rows = NULL;
    const skald_counted *stored = NULL;
    size_t row_count = 0, stored_count = 0;
    char aliases[4096], versions[2] = "";

    SKALD_TRY(skald_types_list(types, arena, &rows, &row_count));
    SKALD_TRY(skald_store_types(store, (skald_str){0}, arena, &stored, &stored_count));
    print_head();
    for (size_t i = 0; i < row_count; i++) {
        size_t len = 0;

        aliases[0] = 0;
        for (size_t j = 0; j < rows[i].aliases.count && len < sizeof aliases; j++) {
            int more = snprintf(aliases + len, sizeof aliases - len, "%s%.*s", j ? " " : "",
                                SKALD_FMT(rows[i].aliases.items[j]));
            len += (size_t)(more > 0 ? more : 0);
        }
        print_row(skald_arena_print(arena, "%.*s", SKALD_FMT(rows[i].name)).ptr, aliases, versions,
                  count_of(types, rows[i].name, stored, stored_count));
    }
    for (size_t i = 0; i < stored_count; i++) {
        if (skald_types_name(types, stored[i].name).len) continue;
        print_row(skald_arena_print(arena, "%.*s", SKALD_FMT(stored[i].name)).ptr, "", versions,
                  stored[i].count);
    }
    return SKALD_OK;
}

static skald_err show_directory(const cli_args *args, skald_store *store, skald_types *types,
                                skald_arena *arena, skald_error *reterr_error)
{
    int contract = contract_of(args);
    skald_buf buf = {.bytes_max = output_bytes_max};

    SKALD_TRY(skald_types_load(types, store, reterr_error));
    SKALD_TRY(skald_types_known(types));
    if (contract == contract_count) return print_directory(types, store, arena);
    skald_err err = skald_types_write(types, contracts[contract].contract, &buf);

    if (!err) printf("%.*s\n", (int)buf.len, buf.ptr);
    skald_buf_fini(&buf);
    return err;
}

static int run_directory(const cli_args *args)
{
    skald_store_options options = {.read_only = true};
    skald_types *types = NULL;
    skald_arena *arena = NULL;
    skald_store *store = NULL;
    skald_error error = {0};
    int exit;

    if (args->rest_count || cli_flag(args, "json"))
        return cli_fail(CLI_USAGE, "types: names are given, and --json is answered, by a server");
    exit = cli_store_open(args, &options, &store);
    if (exit) return exit;
    skald_err err = skald_types_new(0, &types);

    if (!err) err = skald_arena_new(arena_bytes_max, &arena);
    if (!err) err = show_directory(args, store, types, arena, &error);
    if (err && !error.err) (void)!skald_fail(&error, err, "%s", skald_err_text(err));
    skald_arena_free(arena);
    skald_types_free(types);
    skald_store_close(store);
    return err ? cli_fail_error(&error) : CLI_OK;
}

static int run(const cli_args *args)
{
    cli_client *client;
    int exit;

    if (contract_of(args) < 0)
        return cli_fail(CLI_USAGE, "types: one of --ts, --json-schema and --asyncapi");
    if (args->rest_count == 1)
        return cli_fail(CLI_USAGE, "types: give the type at least one other name");
    if (cli_get(args, "data")) return run_directory(args);
    client = client_open(args);
    if (!client) return CLI_USAGE;
    exit = args->rest_count ? ask_put(args, client) : ask_list(args, client);
    client_close(client);
    return exit;
}

static const cli_option options[] = {
    {"ts", NULL, "as a module of TypeScript"},
    {"json-schema", NULL, "as JSON Schema 2020-12, each type under $defs"},
    {"asyncapi", NULL, "as an AsyncAPI 3.0 document"},
    {"json", NULL, "the server's answer as JSON"},
    {"data", "DIR", "read a directory that no server holds"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_types = {
    .name = "types",
    .summary = "Show types by all their names, or give one more.",
    .rest = "[TYPE NAME...]",
    .example = "skald types user.login SIGNED_IN",
    .options = options,
    .rest_max = SKALD_TYPE_ALIASES_MAX + 1,
    .run = run,
};
