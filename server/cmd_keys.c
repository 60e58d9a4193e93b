// SPDX-License-Identifier: Apache-2.0
// skald keys: makes, lists and revokes API keys, in a directory that no server holds or by asking
// the server that runs.
#include "client.h"

#include <skald/keys.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { arena_bytes_max = 64 * 1024 * 1024, list_items_max = SKALD_KEY_PATTERNS_MAX + 1 };

// split gives the parts of a list between commas.
static skald_texts split(const char *text, skald_str items[list_items_max])
{
    size_t count = 0;

    for (const char *at = text; at && *at && count < list_items_max;) {
        size_t len = strcspn(at, ", ");
        if (len) items[count++] = (skald_str){at, len};
        at += len + (at[len] != 0);
    }
    return (skald_texts){items, count};
}

// expiry reads a day or a time.
static bool expiry(const char *text, skald_time *ret_time)
{
    char whole[32];
    int len = snprintf(whole, sizeof whole, strlen(text) == 10 ? "%sT00:00:00Z" : "%s", text);

    if (len < (int)sizeof whole && !skald_time_parse(skald_str_of(whole), ret_time)) return true;
    (void)cli_fail(CLI_USAGE, "keys: --expires is '%s' but must be like 2027-01-01", text);
    return false;
}

// Rows are of the shape that the server answers with; a directory's are made so.

static json_t *text_json(skald_str text)
{
    return json_stringn(text.len ? text.ptr : "", text.len);
}

static json_t *time_json(skald_time time)
{
    char text[SKALD_TIME_TEXT + 1];

    if (!time) return json_null();
    skald_time_print(time, text);
    return json_string(text);
}

static json_t *texts_json(skald_texts texts)
{
    json_t *array = json_array();

    for (size_t i = 0; i < texts.count; i++)
        (void)json_array_append_new(array, json_stringn(texts.items[i].ptr, texts.items[i].len));
    return array;
}

static json_t *key_json(const skald_key *key)
{
    skald_str scopes[list_items_max];

    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id", text_json(key->id), "name",
                     text_json(key->name), "scopes",
                     texts_json(split(skald_scopes_print(key->scopes), scopes)), "tenantId",
                     text_json(key->tenant), "types", texts_json(key->types), "streams",
                     texts_json(key->streams), "expiresAt", time_json(key->expires_at), "createdAt",
                     time_json(key->created_at), "revokedAt", time_json(key->revoked_at), "usedAt",
                     time_json(key->used_at));
}

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));

    return text ? text : "";
}

// print_only tells behind a key what it is narrowed to: its scopes alone say more than it may.
static void print_only(const json_t *row)
{
    static const char *const kinds[] = {"types", "streams"};
    const char *before = "  only ";

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const json_t *texts = json_object_get(row, kinds[i]);

        for (size_t j = 0; j < json_array_size(texts); j++, before = " ")
            printf("%s%s", before, json_string_value(json_array_get(texts, j)));
    }
    printf("\n");
}

static void print_rows(const json_t *list)
{
    printf("%-16s %-20s %-34s %-12s %-10s %s\n", "ID", "NAME", "SCOPES", "TENANT", "STATE",
           "LAST USED");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i), *scopes = json_object_get(row, "scopes");
        char joined[128] = "", used[17] = "never", expires[11];
        size_t len = 0;

        for (size_t j = 0; j < json_array_size(scopes) && len < sizeof joined; j++) {
            int more = snprintf(joined + len, sizeof joined - len, "%s%s", j ? " " : "",
                                json_string_value(json_array_get(scopes, j)));
            len += (size_t)(more > 0 ? more : 0);
        }
        (void)snprintf(expires, sizeof expires, "%.10s", text_of(row, "expiresAt"));
        if (text_of(row, "usedAt")[0])
            (void)snprintf(used, sizeof used, "%.16s", text_of(row, "usedAt"));
        printf("%-16s %-20s %-34s %-12s %-10s %s", text_of(row, "id"), text_of(row, "name"), joined,
               text_of(row, "tenantId"),
               text_of(row, "revokedAt")[0] ? "revoked"
               : expires[0]                 ? expires
                                            : "valid",
               used);
        print_only(row);
    }
}

// show prints what was made (what is "create") or listed: {"data": …}, as the server answers.
static void show(const cli_args *args, const char *what, const json_t *answer)
{
    const json_t *data = json_object_get(answer, "data");
    bool creates = strcmp(what, "create") == 0;
    char *text;

    if (creates) (void)fprintf(stderr, "This key is shown once. Keep it where secrets are kept:\n");
    if (cli_flag(args, "json")) {
        text = json_dumps(answer, JSON_COMPACT);
        printf("%s\n", text ? text : "{}");
        free(text);
    } else if (creates) {
        printf("%s\n", text_of(data, "key"));
    } else {
        print_rows(data);
    }
}

static void show_revoked(const cli_args *args)
{
    json_t *answer = json_pack("{s:{s:s,s:b}}", "data", "id", args->rest[1], "revoked", 1);
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

    if (cli_flag(args, "json"))
        printf("%s\n", text ? text : "{}");
    else
        printf("%s is revoked\n", args->rest[1]);
    free(text);
    json_decref(answer);
}

// In a directory.

static skald_err create_in(skald_store *store, const cli_args *args, skald_arena *arena,
                           skald_error *reterr_error)
{
    skald_str types[list_items_max], streams[list_items_max], text;
    const char *expires = cli_get(args, "expires"), *scopes = cli_get(args, "scopes");
    skald_key asked = {
        .name = skald_str_of(cli_get(args, "name")),
        .tenant = skald_str_of(cli_get(args, "tenant")),
        .types = split(cli_get(args, "types"), types),
        .streams = split(cli_get(args, "streams"), streams),
    };
    json_t *row, *answer;
    skald_key made;

    if (expires && !expiry(expires, &asked.expires_at))
        return skald_fail_at(reterr_error, SKALD_EINVALID, "expires", "is no time");
    SKALD_TRY(skald_scopes_read(skald_str_of(scopes), &asked.scopes, reterr_error));
    SKALD_TRY(skald_key_create(store, &asked, arena, &made, &text, reterr_error));
    row = key_json(&made);
    (void)json_object_set_new(row, "key", text_json(text));
    answer = json_pack("{s:o}", "data", row);
    show(args, "create", answer);
    json_decref(answer);
    return SKALD_OK;
}

static skald_err list_in(skald_store *store, const cli_args *args, skald_arena *arena,
                         skald_error *reterr_error)
{
    const skald_key *keys = NULL;
    json_t *rows, *answer;
    size_t count = 0;

    SKALD_TRY(skald_keys_list(store, arena, &keys, &count, reterr_error));
    rows = json_array();
    for (size_t i = 0; i < count; i++) (void)json_array_append_new(rows, key_json(&keys[i]));
    answer = json_pack("{s:o}", "data", rows);
    show(args, "list", answer);
    json_decref(answer);
    return SKALD_OK;
}

static int run_directory(const cli_args *args, const char *what)
{
    skald_store_options options = {.read_only = strcmp(what, "list") == 0};
    skald_error error = {0};
    skald_arena *arena = NULL;
    skald_store *store = NULL;
    int exit = cli_store_open(args, &options, &store);
    skald_err err;

    if (exit) {
        if (exit == CLI_CANNOT)
            (void)fprintf(stderr,
                          "Where a server runs over it, ask that: skald keys %s --url "
                          "http://127.0.0.1:8000\n",
                          what);
        return exit;
    }
    err = skald_arena_new(arena_bytes_max, &arena);
    if (!err && strcmp(what, "create") == 0)
        err = create_in(store, args, arena, &error);
    else if (!err && strcmp(what, "list") == 0)
        err = list_in(store, args, arena, &error);
    else if (!err)
        err = skald_key_revoke(store, skald_str_of(args->rest[1]), &error);
    if (!err && strcmp(what, "revoke") == 0) show_revoked(args);
    if (err && !error.err) (void)!skald_fail(&error, err, "%s", skald_err_text(err));
    skald_arena_free(arena);
    skald_store_close(store);
    if (!err) return CLI_OK;
    exit = cli_fail_error(&error);
    return err == SKALD_ENOTFOUND ? CLI_NO : exit;
}

// By asking a server.

static char *body_of(const cli_args *args)
{
    skald_str items[list_items_max];
    const char *expires = cli_get(args, "expires");
    json_t *body = json_object();
    char at[SKALD_TIME_TEXT + 1], *text;
    skald_time time;

    if (cli_get(args, "name"))
        (void)json_object_set_new(body, "name", json_string(cli_get(args, "name")));
    if (cli_get(args, "tenant"))
        (void)json_object_set_new(body, "tenantId", json_string(cli_get(args, "tenant")));
    (void)json_object_set_new(body, "scopes", texts_json(split(cli_get(args, "scopes"), items)));
    (void)json_object_set_new(body, "types", texts_json(split(cli_get(args, "types"), items)));
    (void)json_object_set_new(body, "streams", texts_json(split(cli_get(args, "streams"), items)));
    if (expires && expiry(expires, &time)) {
        skald_time_print(time, at);
        (void)json_object_set_new(body, "expiresAt", json_string(at));
    }
    text = expires && !json_object_get(body, "expiresAt") ? NULL : json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

static int ask(const cli_args *args, cli_client *client, const char *what)
{
    bool creates = strcmp(what, "create") == 0, lists = strcmp(what, "list") == 0;
    char *body = creates ? body_of(args) : NULL;
    skald_buf path = {.bytes_max = 1024};
    client_reply reply = {0};
    int exit = CLI_OK;
    bool made = !skald_buf_put(&path, SKALD_STR("/api/keys"));

    if (creates && !body) return CLI_USAGE; // it said why
    if (made && !creates && !lists)
        made = !skald_buf_put(&path, SKALD_STR("/")) &&
               client_escape(client, &path, skald_str_of(args->rest[1]));
    if (!made || skald_buf_put(&path, (skald_str){"", 1})) {
        exit = cli_fail(CLI_CANNOT, "out of memory");
    } else if (!client_ask(client,
                           creates ? "POST"
                           : lists ? "GET"
                                   : "DELETE",
                           path.ptr, creates ? "application/json" : NULL, skald_str_of(body),
                           &reply)) {
        exit = client_unreachable(client);
    } else if (reply.status / 100 != 2) {
        exit = client_fail(&reply);
    } else {
        json_t *answer = json_loadb(reply.body, reply.len, 0, NULL);

        if (creates || lists)
            show(args, what, answer);
        else
            show_revoked(args);
        json_decref(answer);
    }
    free(body);
    skald_buf_fini(&path);
    return exit;
}

static int run(const cli_args *args)
{
    const char *what = args->rest[0];
    bool revokes = strcmp(what, "revoke") == 0;
    cli_client *client;
    int exit;

    if (!revokes && strcmp(what, "create") != 0 && strcmp(what, "list") != 0)
        return cli_fail(CLI_USAGE, "keys: '%s' is none of create, list and revoke", what);
    if (args->rest_count != (revokes ? 2 : 1))
        return cli_fail(CLI_USAGE, revokes ? "keys: give the id of the key; skald keys list shows "
                                             "them"
                                           : "keys: too many words");
    if (strcmp(what, "create") == 0 && !cli_get(args, "scopes"))
        return cli_fail(CLI_USAGE, "keys: --scopes is missing: events:publish, events:read, admin, "
                                   "metrics, with commas between");
    if (cli_get(args, "data")) return run_directory(args, what);
    client = client_open(args);
    if (!client) return CLI_USAGE;
    exit = ask(args, client, what);
    client_close(client);
    return exit;
}

static const cli_option options[] = {
    {"data", "DIR", "a directory that no server holds"},
    {"url", "URL", "else the server (http://127.0.0.1:8000)"},
    {"scopes", "LIST", "events:publish, events:read, admin, metrics"},
    {"name", "TEXT", "what it is for"},
    {"tenant", "ID", "the tenant it is confined to"},
    {"types", "LIST", "the types it may see and publish: order.*"},
    {"streams", "LIST", "the streams it may see and write: order-*"},
    {"expires", "DAY", "as 2027-01-01; else it lasts until it is revoked"},
    {"json", NULL, "the answer as JSON"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_keys = {
    .name = "keys",
    .summary = "Make, list and revoke API keys.",
    .rest = "create|list|revoke [ID]",
    .example = "skald keys create --data ./data --name shop --scopes events:publish,events:read",
    .options = options,
    .rest_min = 1,
    .rest_max = 2,
    .run = run,
};
