// SPDX-License-Identifier: Apache-2.0
// Events from a server, page by page over HTTP, or from a data directory through the library.
#include "source.h"
#include "client.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    items_max = CLI_REPEAT_MAX,
    page_events = 500,
    arena_bytes_max = 64 * 1024 * 1024,
    damages_max = 1000, // ranges passed over before it is given up
};

struct cli_source {
    // A data directory.
    skald_store *store;
    skald_cursor *cursor;
    skald_str items[3][items_max];
    // A server.
    cli_client *client;
    skald_buf query; // of every page, without where to begin
    skald_buf page;  // the last answer
    const char *at;  // where the next event of it begins; NULL: ask for the next page
    skald_arena *arena;
    uint64_t cursor_position;
    bool backwards;
    uint64_t left; // --limit
    uint64_t head;
    unsigned damages; // ranges passed over
    skald_event event;
};

static skald_texts texts_of(const cli_args *args, const char *name, skald_str *items)
{
    size_t count = 0;
    const char *value;

    while (count < items_max && (value = cli_each(args, name, (int)count)))
        items[count++] = skald_str_of(value);
    return (skald_texts){.items = items, .count = count};
}

// open_cursor reads by every name the types asked for have in this directory.
static int open_cursor(cli_source *source, skald_read *read)
{
    skald_types *types = NULL;
    skald_arena *arena = NULL;
    skald_error error = {0};
    skald_err err = skald_types_new(0, &types);

    if (!err) err = skald_arena_new(arena_bytes_max, &arena);
    if (!err) err = skald_types_load(types, source->store, &error);
    if (!err) err = skald_types_known(types);
    if (!err)
        err = skald_types_resolve(types, &read->filter, SIZE_MAX, arena, &read->filter, &error);
    if (!err) err = skald_cursor_open(source->store, read, &source->cursor);
    skald_arena_free(arena);
    skald_types_free(types);
    if (err == SKALD_EINVALID && !error.err)
        (void)!skald_fail(&error, err,
                          "a --type means no event: it is a name, a prefix as 'order.*', or '*'");
    if (err && !error.err) (void)!skald_fail(&error, err, "%s", skald_err_text(err));
    return err ? cli_fail_error(&error) : CLI_OK;
}

// take_time reads a time option; false, having said why, when it is none. Left as it is when not
// given.
static bool take_time(const cli_args *args, const char *name, skald_time *ret_time)
{
    const char *text = cli_get(args, name);

    if (!text || !skald_time_parse(skald_str_of(text), ret_time)) return true;
    (void)cli_fail(CLI_USAGE, "%s: --%s is '%s' but must be like 2026-01-02T03:04:05Z",
                   args->verb->name, name, text);
    return false;
}

static int open_directory(cli_source *source, const cli_args *args)
{
    skald_read read = {
        .filter = {.types = texts_of(args, "type", source->items[0]),
                   .streams = texts_of(args, "stream", source->items[1]),
                   .categories = texts_of(args, "category", source->items[2]),
                   .correlation_id = skald_str_of(cli_get(args, "correlation")),
                   .tenant = skald_str_of(cli_get(args, "tenant"))},
        .after = source->cursor_position,
        .backwards = source->backwards,
    };
    skald_store_options options = {.read_only = true};
    int exit;

    if (!cli_number(args, "before", 1, UINT64_MAX, &read.before) ||
        !take_time(args, "since", &read.from) || !take_time(args, "until", &read.to))
        return CLI_USAGE;
    exit = cli_store_open(args, &options, &source->store);
    if (exit) return exit;
    source->head = skald_store_head(source->store);
    return open_cursor(source, &read);
}

// put_range: one end of the range moves with the pages (cursor_position), the other stays.
static bool put_range(cli_source *source, const cli_args *args)
{
    const char *after = cli_get(args, "after");
    const char *before = cli_get(args, "before");

    if (!source->backwards)
        return !before || client_query(source->client, &source->query, "before", before);
    source->cursor_position = before ? strtoull(before, NULL, 10) : 0;
    return client_query(source->client, &source->query, "direction", "backward") &&
           (!after || client_query(source->client, &source->query, "after", after));
}

static int open_server(cli_source *source, const cli_args *args)
{
    static const struct {
        const char *option, *name;
    } filters[] = {
        {"type", "type"},         {"stream", "stream"},
        {"category", "category"}, {"correlation", "correlationId"},
        {"tenant", "tenantId"},   {"since", "from"},
        {"until", "to"},
    };

    source->client = client_open(args);
    if (!source->client) return CLI_USAGE;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        const char *value;
        for (int n = 0; (value = cli_each(args, filters[i].option, n)); n++) {
            if (!client_query(source->client, &source->query, filters[i].name, value))
                return cli_fail(CLI_USAGE, "the filter is too long");
        }
    }
    if (!put_range(source, args)) return cli_fail(CLI_USAGE, "the filter is too long");
    if (skald_arena_new(arena_bytes_max, &source->arena))
        return cli_fail(CLI_CANNOT, "out of memory");
    return CLI_OK;
}

cli_source *source_open(const cli_args *args, int *ret_exit)
{
    static cli_source only; // a verb reads one source
    cli_source *source = &only;
    uint64_t before = 0; // these are checked here, and read where they are used
    skald_time since = 0, until = 0;

    source->query.bytes_max = 8192;
    source->page.bytes_max = 128 * 1024 * 1024;
    source->left = UINT64_MAX;
    source->backwards = cli_flag(args, "backward");
    *ret_exit = CLI_USAGE;
    if (!cli_number(args, "after", 0, UINT64_MAX, &source->cursor_position)) return NULL;
    if (!cli_number(args, "limit", 1, UINT64_MAX, &source->left)) return NULL;
    if (!cli_number(args, "before", 1, UINT64_MAX, &before)) return NULL;
    if (!take_time(args, "since", &since) || !take_time(args, "until", &until)) return NULL;
    if (cli_get(args, "data") && cli_get(args, "url")) {
        *ret_exit = cli_fail(CLI_USAGE, "give --data or --url, not both");
        return NULL;
    }
    *ret_exit = cli_get(args, "data") ? open_directory(source, args) : open_server(source, args);
    if (*ret_exit) {
        source_close(source);
        return NULL;
    }
    return source;
}

static bool make_path(cli_source *source, skald_buf *path)
{
    skald_str query = {source->query.ptr ? source->query.ptr : "", source->query.len};
    uint64_t limit = source->left < page_events ? source->left : page_events;
    char number[24];

    if (skald_buf_put(path, SKALD_STR("/api/events")) || skald_buf_put(path, query)) return false;
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)limit);
    if (!client_query(source->client, path, "limit", number)) return false;
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)source->cursor_position);
    if (source->cursor_position &&
        !client_query(source->client, path, source->backwards ? "before" : "after", number)) {
        return false;
    }
    return !skald_buf_put(path, (skald_str){"", 1});
}

static int ask_page(cli_source *source)
{
    skald_buf path = {.bytes_max = 16 * 1024};
    client_reply reply = {0};
    int exit = CLI_OK;

    if (!make_path(source, &path))
        exit = cli_fail(CLI_USAGE, "the filter is too long");
    else if (!client_ask(source->client, "GET", path.ptr, NULL, (skald_str){0}, &reply))
        exit = client_unreachable(source->client);
    else if (reply.status != 200)
        exit = client_fail(&reply);
    skald_buf_fini(&path);
    if (exit) return exit;
    source->page.len = 0;
    skald_arena_reset(source->arena);
    if (skald_buf_put(&source->page, (skald_str){reply.body, reply.len + 1}))
        return cli_fail(CLI_CANNOT, "out of memory");
    source->at = strchr(source->page.ptr, '[');
    return source->at ? CLI_OK : cli_fail(CLI_CANNOT, "the server's answer is not understood");
}

// The reply's form is {"data":[E,E,…],"pagination":{…}}: events are found by their own ends.
static int next_of_page(cli_source *source, bool *ret_found)
{
    const char *end = source->page.ptr + source->page.len - 1;
    const char *begin = source->at + 1; // behind '[' or ','
    const char *behind = *begin == '{' ? client_value_end(begin, end) : NULL;
    skald_error error = {0};

    *ret_found = behind != NULL;
    if (!behind) return CLI_OK;
    if (skald_event_parse((skald_str){begin, (size_t)(behind - begin)}, false, source->arena,
                          &source->event, &error)) {
        (void)cli_fail_error(&error);
        return CLI_CANNOT;
    }
    source->at = behind;
    source->cursor_position = source->event.position;
    return CLI_OK;
}

static int next_of_server(cli_source *source, const skald_event **ret_event)
{
    bool found = false;
    int exit = CLI_OK;

    if (source->at) exit = next_of_page(source, &found);
    if (!exit && !found) {
        exit = ask_page(source);
        if (!exit) exit = next_of_page(source, &found);
    }
    if (!exit && found) *ret_event = &source->event;
    return exit;
}

static int next_of_directory(cli_source *source, const skald_event **ret_event)
{
    while (source->damages < damages_max) {
        skald_error error = {0};
        skald_err err = skald_cursor_next(source->cursor, ret_event, &error);
        int exit;
        if (!err) return !*ret_event && source->damages ? CLI_NO : CLI_OK;
        exit = cli_fail_error(&error);
        if (err != SKALD_ECORRUPT) return exit;
        source->damages++;
    }
    return cli_fail(CLI_CANNOT, "too many damaged ranges; skald verify lists them");
}

int source_next(cli_source *source, const skald_event **ret_event)
{
    int exit;

    *ret_event = NULL;
    if (!source->left) return source->damages ? CLI_NO : CLI_OK;
    exit =
        source->client ? next_of_server(source, ret_event) : next_of_directory(source, ret_event);
    if (*ret_event) source->left--;
    return exit;
}

uint64_t source_head(const cli_source *source)
{
    return source->head;
}

void source_close(cli_source *source)
{
    if (!source) return;
    skald_cursor_close(source->cursor);
    skald_store_close(source->store);
    client_close(source->client);
    skald_arena_free(source->arena);
    skald_buf_fini(&source->query);
    skald_buf_fini(&source->page);
}
