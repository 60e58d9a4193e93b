// SPDX-License-Identifier: Apache-2.0
// skald schema validate: check documents against a JSON Schema. skald schema check: say what a new
// version of a schema would break. Both work on files alone: no server, no network. list, show,
// put, and check with --type ask a server.
#include "schema_ask.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <skald/schema.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    path_max = 4096,
    arena_bytes_max = 512 * 1024 * 1024,
    file_bytes_max = 17 * 1024 * 1024,
    folders_deep_max = 16,
    violations_max = 100,
};

// schema_run is what the two have in common.
typedef struct schema_run {
    const cli_args *args;
    skald_arena *arena;    // files and documents of --remotes
    skald_arena *findings; // of one document
    skald_schema_document *documents;
    size_t count;
    bool json;
} schema_run;

static int read_file(const schema_run *run, const char *path, skald_str *ret_text)
{
    FILE *file = fopen(path, "rb");
    skald_buf buf = {.bytes_max = file_bytes_max};
    char chunk[65536];
    skald_err err = SKALD_OK;
    size_t got;

    if (!file) return cli_fail(CLI_CANNOT, "cannot read '%s': %s", path, strerror(errno));
    while (!err && (got = fread(chunk, 1, sizeof chunk, file)) > 0)
        err = skald_buf_put(&buf, (skald_str){chunk, got});
    if (!err && ferror(file)) err = SKALD_EIO;
    (void)fclose(file);
    if (!err) {
        *ret_text = skald_arena_copy(run->arena, (skald_str){buf.ptr ? buf.ptr : "", buf.len});
        if (!ret_text->ptr) err = SKALD_ENOMEM;
    }
    skald_buf_fini(&buf);
    if (err == SKALD_EFULL)
        return cli_fail(CLI_CANNOT, "'%s' is larger than %d MiB", path, file_bytes_max >> 20);
    return err ? cli_fail(CLI_CANNOT, "cannot read '%s': %s", path, skald_err_text(err)) : CLI_OK;
}

// add_document gives a schema its URI, and that of its $id beside it.
static int add_document(schema_run *run, skald_str uri, skald_str text)
{
    json_t *root = json_loadb(text.ptr, text.len, JSON_DECODE_ANY, NULL);
    const char *id = json_string_value(json_object_get(root, "$id"));
    int exit = CLI_OK;

    if (run->count + 2 > SKALD_SCHEMA_DOCUMENTS_MAX)
        exit = cli_fail(CLI_CANNOT, "more than %d schemas in --remotes",
                        SKALD_SCHEMA_DOCUMENTS_MAX / 2);
    if (!exit) run->documents[run->count++] = (skald_schema_document){uri, text};
    if (!exit && id && strstr(id, ":") && !skald_str_equal(skald_str_of(id), uri)) {
        skald_str name = skald_arena_copy(run->arena, skald_str_of(id));

        if (name.len && name.ptr[name.len - 1] == '#') name.len--;
        run->documents[run->count++] = (skald_schema_document){name, text};
    }
    json_decref(root);
    return exit;
}

// add_folder reads every .json file below path; uri is what its files' names are put behind.
static int add_folder(schema_run *run, const char *path, const char *uri, int deep)
{
    DIR *folder = deep < folders_deep_max ? opendir(path) : NULL;
    char inner[path_max], name[path_max];
    struct stat about;
    int exit = CLI_OK;

    if (!folder) return cli_fail(CLI_CANNOT, "cannot read '%s': %s", path, strerror(errno));
    for (struct dirent *entry = readdir(folder); entry && !exit; entry = readdir(folder)) {
        size_t len = strlen(entry->d_name);
        skald_str text = {0};

        if (entry->d_name[0] == '.') continue;
        if ((size_t)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= sizeof inner ||
            (size_t)snprintf(name, sizeof name, "%s/%s", uri, entry->d_name) >= sizeof name) {
            exit = cli_fail(CLI_CANNOT, "a path in '%s' is too long", path);
        } else if (stat(inner, &about)) {
            exit = cli_fail(CLI_CANNOT, "cannot read '%s': %s", inner, strerror(errno));
        } else if (S_ISDIR(about.st_mode)) {
            exit = add_folder(run, inner, name, deep + 1);
        } else if (len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0) {
            exit = read_file(run, inner, &text);
            if (!exit)
                exit = add_document(run, skald_arena_copy(run->arena, skald_str_of(name)), text);
        }
    }
    (void)closedir(folder);
    return exit;
}

static int compile(const schema_run *run, const char *path, skald_schema **ret_schema)
{
    skald_schema_options options = {.documents = run->documents, .document_count = run->count};
    skald_error error = {0};
    skald_str text;
    int exit = read_file(run, path, &text);

    if (exit) return exit;
    if (skald_schema_compile(text, &options, ret_schema, &error))
        return cli_fail(CLI_USAGE, "%s: %s", path, error.text);
    return CLI_OK;
}

static void print_line(skald_str text)
{
    for (size_t i = 0; i < text.len; i++) // a document must not move the cursor of a terminal
        (void)putchar((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? '?' : text.ptr[i]);
}

static void print_json(const skald_violation *violations, size_t count)
{
    json_t *list = json_array(), *whole;
    char *text;

    for (size_t i = 0; i < count; i++) {
        const skald_violation *one = &violations[i];
        json_array_append_new(list, json_pack("{s:s%,s:s%,s:s%,s:s%}", "path", one->path.ptr,
                                              one->path.len, "schemaPath", one->schema_path.ptr,
                                              one->schema_path.len, "keyword", one->keyword.ptr,
                                              one->keyword.len, "message", one->message.ptr,
                                              one->message.len));
    }
    whole = json_pack("{s:b,s:o}", "valid", count == 0, "errors", list);
    text = whole ? json_dumps(whole, JSON_COMPACT) : NULL;
    puts(text ? text : "");
    free(text);
    json_decref(whole);
}

// answer says of one document whether it is valid. one_line: the first violation only.
static int answer(const schema_run *run, const skald_schema *schema, skald_str document,
                  bool one_line)
{
    const skald_violation *violations = NULL;
    skald_error error = {0};
    size_t count = 0;
    skald_err err;

    skald_arena_reset(run->findings);
    err = skald_schema_violations(schema, document, violations_max, run->findings, &violations,
                                  &count, &error);
    skald_violation broken = {.path = SKALD_STR(""),
                              .schema_path = SKALD_STR(""),
                              .keyword = SKALD_STR(""),
                              .message = skald_str_of(error.text)};
    if (err == SKALD_EINVALID || err == SKALD_ETOOBIG) {
        violations = &broken;
        count = 1;
    } else if (err) {
        return cli_fail(CLI_CANNOT, "%s", error.text[0] ? error.text : skald_err_text(err));
    }
    if (run->json) {
        print_json(violations, count);
        return count ? CLI_NO : CLI_OK;
    }
    if (!count) puts("valid");
    for (size_t i = 0; i < count && (!one_line || i == 0); i++) {
        printf("invalid: ");
        print_line(violations[i].path);
        if (violations[i].path.len) (void)putchar(' ');
        print_line(violations[i].message);
        if (violations[i].schema_path.len) {
            printf(" (");
            print_line(violations[i].schema_path);
            (void)putchar(')');
        }
        (void)putchar('\n');
    }
    return count ? CLI_NO : CLI_OK;
}

// answer_lines answers one line for each of standard input.
static int answer_lines(const schema_run *run, const skald_schema *schema)
{
    char *line = NULL;
    size_t size = 0;
    int exit = CLI_OK;
    ssize_t len;

    while (exit != CLI_CANNOT && (len = getline(&line, &size, stdin)) >= 0) {
        int one;

        if (len > 0 && line[len - 1] == '\n') len--;
        one = answer(run, schema, (skald_str){line, (size_t)len}, true);
        if (one) exit = one;
        (void)fflush(stdout);
    }
    free(line);
    return exit;
}

static int validate(schema_run *run)
{
    const char *from = cli_get(run->args, "schema"), *remotes = cli_get(run->args, "remotes");
    const char *uri = cli_get(run->args, "remotes-uri");
    skald_schema *schema = NULL;
    skald_str document;
    int exit = CLI_OK;

    if (!from) return cli_fail(CLI_USAGE, "schema validate: --schema FILE is missing");
    if (run->args->rest_count != 2)
        return cli_fail(CLI_USAGE, "schema validate: name one document, or - for lines of them");
    if (remotes) exit = add_folder(run, remotes, uri ? uri : "http://localhost:1234", 0);
    if (!exit) exit = compile(run, from, &schema);
    if (!exit && strcmp(run->args->rest[1], "-") == 0) {
        exit = answer_lines(run, schema);
    } else if (!exit) {
        exit = read_file(run, run->args->rest[1], &document);
        if (!exit) exit = answer(run, schema, document, false);
    }
    skald_schema_free(schema);
    return exit;
}

static int check(schema_run *run)
{
    const char *mode = cli_get(run->args, "mode");
    skald_compatibility compatibility = SKALD_BACKWARD;
    skald_schema *older = NULL, *newer = NULL;
    const skald_incompatibility *list = NULL;
    skald_error error = {0};
    size_t count = 0;
    int exit = CLI_OK;

    if (run->args->rest_count != 3)
        return cli_fail(CLI_USAGE, "schema check: name the old schema and the new one");
    if (mode && skald_compatibility_of(skald_str_of(mode), &compatibility, &error))
        return cli_fail(CLI_USAGE, "schema check: --mode: %s", error.text);
    exit = compile(run, run->args->rest[1], &older);
    if (!exit) exit = compile(run, run->args->rest[2], &newer);
    if (!exit) {
        skald_err err =
            skald_schema_compare(older, newer, compatibility, run->findings, &list, &count);
        if (err) exit = cli_fail(CLI_CANNOT, "cannot compare: %s", skald_err_text(err));
    }
    for (size_t i = 0; i < count && !exit; i++) {
        printf("%s: %s", list[i].forward ? "forward" : "backward",
               list[i].shown ? "breaks: " : "cannot be shown: ");
        print_line(list[i].path);
        if (list[i].path.len) (void)putchar(' ');
        print_line(list[i].message);
        printf(" (%s)\n", list[i].keyword.ptr);
    }
    if (!exit && !count) printf("compatible: %s\n", skald_compatibility_name(compatibility));
    skald_schema_free(older);
    skald_schema_free(newer);
    return exit ? exit : count ? CLI_NO : CLI_OK;
}

// at_server: what is asked for is asked of a server.
static bool at_server(const cli_args *args)
{
    const char *what = args->rest[0];

    return strcmp(what, "list") == 0 || strcmp(what, "show") == 0 || strcmp(what, "put") == 0 ||
           (strcmp(what, "check") == 0 && cli_get(args, "type"));
}

// check_options refuses options that go with another word: nobody would look at them.
static int check_options(const cli_args *args, const char *what)
{
    static const struct {
        const char *option, *with;
    } uses[] = {
        {"schema", "validate"}, {"remotes", "validate"},   {"remotes-uri", "validate"},
        {"json", "validate"},   {"mode", "check and put"}, {"type", "check"},
    };

    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        bool given = cli_get(args, uses[i].option) || cli_flag(args, uses[i].option);
        if (given && !strstr(uses[i].with, what))
            return cli_fail(CLI_USAGE, "schema %s: --%s goes with %s", what, uses[i].option,
                            uses[i].with);
    }
    return CLI_OK;
}

// check_usage looks at what stands behind the word, and at options that go with another one.
static int check_usage(const cli_args *args)
{
    static const struct {
        const char *what, *due;
        int rest_min, rest_max;
    } uses[] = {
        {"list", "nothing", 1, 1},
        {"show", "TYPE, or TYPE VERSION", 2, 3},
        {"put", "TYPE VERSION FILE", 4, 4},
    };
    const char *what = args->rest[0];
    int exit = check_options(args, what);

    if (strcmp(what, "validate") == 0 || strcmp(what, "check") == 0) {
        if (exit) return exit;
        if (args->rest_count > 3)
            return cli_fail(CLI_USAGE, "schema: do not know what to do with '%s'", args->rest[3]);
        if (cli_get(args, "url") && !at_server(args))
            return cli_fail(CLI_USAGE, "schema %s: --url goes with %s", what,
                            what[0] == 'c' ? "--type" : "list, show, put and check --type");
        return CLI_OK;
    }
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        if (strcmp(what, uses[i].what) != 0) continue;
        if (args->rest_count >= uses[i].rest_min && args->rest_count <= uses[i].rest_max)
            return exit;
        return cli_fail(CLI_USAGE, "schema %s: what follows is %s", what, uses[i].due);
    }
    return cli_fail(CLI_USAGE, "schema: '%s' is none of validate, check, list, show and put", what);
}

// run_at_server reads the file, if the word is followed by one, and asks.
static int run_at_server(const schema_run *run)
{
    const cli_args *args = run->args;
    const char *what = args->rest[0];
    const char *path = strcmp(what, "put") == 0 ? args->rest[3] : NULL;
    skald_str text = {0};
    int exit = CLI_OK;

    if (strcmp(what, "check") == 0) {
        if (args->rest_count != 2)
            return cli_fail(CLI_USAGE, "schema check: with --type, name the new schema alone");
        path = args->rest[1];
    }
    if (path) exit = read_file(run, path, &text);
    return exit ? exit : schema_ask(args, text);
}

static int run_schema(const cli_args *args)
{
    schema_run run = {.args = args, .json = cli_flag(args, "json")};
    const char *verb = args->rest[0];
    int exit = check_usage(args);

    if (exit) return exit;
    if (skald_arena_new(arena_bytes_max, &run.arena) ||
        skald_arena_new(arena_bytes_max, &run.findings))
        exit = cli_fail(CLI_CANNOT, "out of memory");
    if (!exit)
        run.documents =
            skald_arena_get(run.arena, SKALD_SCHEMA_DOCUMENTS_MAX * sizeof *run.documents);
    if (!exit && !run.documents) exit = cli_fail(CLI_CANNOT, "out of memory");
    if (!exit && at_server(args))
        exit = run_at_server(&run);
    else if (!exit)
        exit = strcmp(verb, "check") == 0 ? check(&run) : validate(&run);
    skald_arena_free(run.findings);
    skald_arena_free(run.arena);
    return exit;
}

static const cli_option options[] = {
    {"schema", "FILE", "validate: the JSON Schema (2020-12)"},
    {"remotes", "DIR", "validate: schemas that $ref may name, by $id and by path"},
    {"remotes-uri", "URI", "what their paths are put behind [http://localhost:1234]"},
    {"json", NULL, "validate: answer in JSON"},
    {"mode", "MODE", "check, put: none, backward [the default], forward or full"},
    {"type", "TYPE", "check: against what a server has of this type, and who reads it"},
    {"url", "URL", "list, show, put, check --type: the server (http://127.0.0.1:8000)"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_schema = {
    .name = "schema",
    .summary = "Check documents and changes of schemas; show and register a server's.",
    .rest = "validate DOC|- | check OLD NEW | list | show TYPE [VERSION] | put TYPE VERSION FILE",
    .rest_min = 1,
    .rest_max = 4,
    .example = "skald schema validate --schema order.json new-order.json",
    .options = options,
    .run = run_schema,
};
