// SPDX-License-Identifier: Apache-2.0
// skald import: events from a file, one a line, into a server or a data directory that no server
// holds.
//
// A line is an event as skald export writes it, or as POST /api/events takes it. Every event has an
// id before it is sent (one without is given one), so a part whose answer was lost is sent again
// and stored once. Lines that are no event are reported and passed over.
#define _POSIX_C_SOURCE 200809L
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    part_events_max = 500,
    part_bytes_max = 1024 * 1024,
    line_bytes_max = 34 * 1024 * 1024,
    arena_bytes_max = 256 * 1024 * 1024,
    retry_pause_ms = 250,
};

// A part is what is appended at once. Its events borrow from text and arena.
typedef struct import_part {
    skald_buf text; // the lines as they were read
    size_t begins[part_events_max], lens[part_events_max];
    uint64_t lines[part_events_max];
    size_t count;
    skald_arena *arena;
    skald_event events[part_events_max];
} import_part;

typedef struct import_run {
    const cli_args *args;
    int from;          // file descriptor
    bool broken;       // it cannot be read further
    char chunk[65536]; // of the file, as it is read
    size_t chunk_at, chunk_len;
    uint64_t line, bytes, accepted, rejected;
    uint64_t retry_s;
    bool met; // the server has answered before, or is to be waited for
    uint64_t line_first;
    skald_uuid run; // names the events that came without an id
    import_part part;
    skald_buf body;     // what is sent
    cli_client *client; // or
    skald_store *store;
    cli_bar bar;
} import_run;

static void pause_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&time, NULL);
}

static void reject(import_run *importing, uint64_t line, const char *field, const char *why)
{
    importing->rejected++;
    if (strncmp(why, "line 1 column", 13) == 0) why += 7; // the line is that of the file
    if (importing->bar.drawn_ns) (void)fprintf(stderr, "\r\033[K");
    (void)cli_fail(CLI_NO, "line %llu: %s%s%s", (unsigned long long)line, field,
                   field[0] ? ": " : "", why);
}

// read_chunk takes what there is: a pipe is not waited for longer than it has to be.
static void read_chunk(import_run *importing)
{
    ssize_t got;

    do got = read(importing->from, importing->chunk, sizeof importing->chunk);
    while (got < 0 && errno == EINTR);
    if (got < 0) importing->broken = true;
    importing->chunk_len = got > 0 ? (size_t)got : 0;
}

// read_line appends one line to the part's text, without its end. False at the end of the file. A
// line that is too long is read to its end and not kept.
static bool read_line(import_run *importing, size_t *ret_len, bool *ret_too_long)
{
    import_part *part = &importing->part;
    size_t begin = part->text.len;
    bool too_long = false;

    for (;;) {
        const char *at = importing->chunk + importing->chunk_at;
        size_t left = importing->chunk_len - importing->chunk_at;
        const char *end = left ? memchr(at, '\n', left) : NULL;
        size_t take = end ? (size_t)(end - at) : left;

        if (!too_long && take) {
            too_long = part->text.len - begin + take > line_bytes_max ||
                       skald_buf_put(&part->text, (skald_str){at, take});
        }
        importing->chunk_at += take + (end ? 1 : 0);
        importing->bytes += take + (end ? 1 : 0);
        *ret_len = part->text.len - begin;
        *ret_too_long = too_long;
        if (end) return true;
        importing->chunk_at = 0;
        read_chunk(importing);
        if (!importing->chunk_len) return *ret_len || too_long; // the last line may lack its end
    }
}

// read_part fills the part with the next lines. False: the file has ended and there is nothing.
static bool read_part(import_run *importing)
{
    import_part *part = &importing->part;
    bool too_long;
    size_t len;

    part->text.len = 0;
    part->count = 0;
    skald_arena_reset(part->arena);
    while (part->count < part_events_max && part->text.len < part_bytes_max) {
        size_t begin = part->text.len;
        if (!read_line(importing, &len, &too_long)) break;
        importing->line++;
        if (len && part->text.ptr[part->text.len - 1] == '\r') len--;
        if (importing->line < importing->line_first) {
            part->text.len = begin;
        } else if (too_long) {
            reject(importing, importing->line, "", "the line is too long for an event");
            part->text.len = begin;
        } else if (len) {
            part->begins[part->count] = begin;
            part->lens[part->count] = len;
            part->lines[part->count++] = importing->line;
        } else {
            part->text.len = begin;
        }
    }
    return part->count > 0;
}

// parse_part turns lines into events; those that are none are reported and left out.
static void parse_part(import_run *importing)
{
    import_part *part = &importing->part;
    size_t kept = 0;

    for (size_t i = 0; i < part->count; i++) {
        skald_str text = {part->text.ptr + part->begins[i], part->lens[i]};
        skald_event *event = &part->events[kept];
        skald_error error = {0};
        char name[24];
        skald_err err = skald_event_parse(text, false, part->arena, event, &error);

        if (err) {
            reject(importing, part->lines[i], error.field,
                   error.text[0] ? error.text : skald_err_text(err));
            continue;
        }
        if (!skald_uuid_given(event->id)) {
            int len = snprintf(name, sizeof name, "%llu", (unsigned long long)part->lines[i]);
            event->id = skald_uuid_named(importing->run, (skald_str){name, (size_t)len});
        }
        // What only a store gives is given anew.
        event->position = 0;
        event->stream_version = 0;
        event->recorded_at = 0;
        part->lines[kept++] = part->lines[i];
    }
    part->count = kept;
}

static int store_part(import_run *importing)
{
    skald_append_options options = {0};
    skald_appended appended = {0};
    skald_error error = {0};
    import_part *part = &importing->part;
    skald_err err = skald_store_append(importing->store, part->events, part->count, &options,
                                       &appended, &error);

    if (!err) {
        importing->accepted += part->count;
        return CLI_OK;
    }
    if (err != SKALD_EEXISTS && err != SKALD_EINVALID && err != SKALD_ETOOBIG)
        return cli_fail_error(&error);
    // Some of it is there already, or one is refused: each for itself.
    for (size_t i = 0; i < part->count; i++) {
        error = (skald_error){0};
        err =
            skald_store_append(importing->store, &part->events[i], 1, &options, &appended, &error);
        if (err && skald_err_retriable(err)) return cli_fail_error(&error);
        if (err)
            reject(importing, part->lines[i], error.field, error.text);
        else
            importing->accepted++;
    }
    return CLI_OK;
}

static bool make_body(import_run *importing)
{
    import_part *part = &importing->part;

    importing->body.len = 0;
    for (size_t i = 0; i < part->count; i++) {
        if (skald_event_json(&part->events[i], false, &importing->body) ||
            skald_buf_put(&importing->body, SKALD_STR("\n"))) {
            return false;
        }
    }
    return true;
}

static void count_reply(import_run *importing, const client_reply *reply)
{
    json_t *answer = json_loadb(reply->body, reply->len, 0, NULL);
    json_t *data = json_object_get(answer, "data");
    json_t *errors = json_object_get(data, "errors");

    uint64_t rejected = (uint64_t)json_integer_value(json_object_get(data, "rejected"));
    importing->accepted += (uint64_t)json_integer_value(json_object_get(data, "accepted"));
    if (rejected > json_array_size(errors))
        importing->rejected += rejected - json_array_size(errors);
    for (size_t i = 0; i < json_array_size(errors); i++) {
        json_t *error = json_array_get(errors, i);
        size_t line = (size_t)json_integer_value(json_object_get(error, "line"));
        const char *message = json_string_value(json_object_get(error, "message"));
        if (line >= 1 && line <= importing->part.count)
            reject(importing, importing->part.lines[line - 1], "", message ? message : "refused");
    }
    json_decref(answer);
}

// wait_for_server waits before another attempt. Not CLI_OK: it has waited long enough, or the
// server was never there.
static int wait_for_server(import_run *importing, uint64_t waited_ms)
{
    if (!importing->met) return client_unreachable(importing->client);
    if (waited_ms >= importing->retry_s * 1000) {
        return cli_fail(CLI_CANNOT,
                        "import: %s did not take the events for %llu s; go on with "
                        "--from-line %llu",
                        client_url(importing->client), (unsigned long long)importing->retry_s,
                        (unsigned long long)importing->part.lines[0]);
    }
    if (!waited_ms) {
        (void)fprintf(stderr, "%sskald: import: waiting for %s\n",
                      importing->bar.drawn_ns ? "\r\033[K" : "", client_url(importing->client));
    }
    pause_ms(retry_pause_ms);
    return CLI_OK;
}

// send_part posts the part until the server has answered: a server that is starting again is waited
// for.
static int send_part(import_run *importing)
{
    client_reply reply = {0};
    int exit = CLI_OK;

    if (!make_body(importing)) return cli_fail(CLI_CANNOT, "import: out of memory");
    for (uint64_t waited_ms = 0; !exit; waited_ms += retry_pause_ms) {
        bool answered = client_ask(importing->client, "POST", "/api/events", "application/x-ndjson",
                                   (skald_str){importing->body.ptr, importing->body.len}, &reply);
        if (answered) importing->met = true;
        if (answered && reply.status == 200) {
            count_reply(importing, &reply);
            return CLI_OK;
        }
        if (answered && reply.status != 503 && reply.status != 429) return client_fail(&reply);
        exit = wait_for_server(importing, waited_ms);
    }
    return exit;
}

static int import_all(import_run *importing)
{
    char note[64];
    int exit = CLI_OK;

    while (!exit && read_part(importing)) {
        parse_part(importing);
        if (!importing->part.count) continue;
        exit = importing->store ? store_part(importing) : send_part(importing);
        (void)snprintf(note, sizeof note, "%llu events", (unsigned long long)importing->accepted);
        cli_bar_show(&importing->bar, importing->bytes, note);
    }
    cli_bar_end(&importing->bar);
    if (!exit && importing->broken) exit = cli_fail(CLI_CANNOT, "import: cannot read the file");
    return exit;
}

static int open_target(import_run *importing)
{
    skald_store_options options = {.event_bytes_max = SKALD_EVENT_BYTES_LIMIT};

    if (cli_get(importing->args, "data") && cli_get(importing->args, "url"))
        return cli_fail(CLI_USAGE, "give --data or --url, not both");
    if (cli_get(importing->args, "data"))
        return cli_store_open(importing->args, &options, &importing->store);
    importing->client = client_open(importing->args);
    return importing->client ? CLI_OK : CLI_USAGE;
}

static int open_file(import_run *importing)
{
    const char *path = importing->args->rest[0];
    off_t size;

    if (strcmp(path, "-") == 0) return CLI_OK; // 0 is standard input
    importing->from = open(path, O_RDONLY | O_CLOEXEC);
    if (importing->from < 0)
        return cli_fail(CLI_CANNOT, "import: cannot read %s: %s", path, strerror(errno));
    size = lseek(importing->from, 0, SEEK_END);
    if (size > 0) importing->bar.all = (uint64_t)size;
    (void)lseek(importing->from, 0, SEEK_SET);
    return CLI_OK;
}

// name_run makes a name no other run has: the ids of events without one are made from it.
static void name_run(import_run *importing)
{
    struct timespec now;
    char text[80];
    int len;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    len = snprintf(text, sizeof text, "%lld.%09ld.%p", (long long)now.tv_sec, now.tv_nsec,
                   (void *)importing);
    importing->run = skald_uuid_named((skald_uuid){{0}}, (skald_str){text, (size_t)len});
}

static int run(const cli_args *args)
{
    static import_run only;
    import_run *importing = &only;
    int exit;

    importing->args = args;
    importing->bar.what = "import";
    importing->retry_s = 60;
    importing->met = cli_get(args, "retry-for") != NULL;
    importing->line_first = 1;
    importing->part.text.bytes_max = (size_t)line_bytes_max + part_bytes_max;
    importing->body.bytes_max = 2 * ((size_t)line_bytes_max + part_bytes_max);
    if (!cli_number(args, "retry-for", 0, 86400, &importing->retry_s)) return CLI_USAGE;
    if (!cli_number(args, "from-line", 1, UINT64_MAX, &importing->line_first)) return CLI_USAGE;
    name_run(importing);
    exit = open_file(importing);
    if (!exit) exit = open_target(importing);
    if (!exit && skald_arena_new(arena_bytes_max, &importing->part.arena))
        exit = cli_fail(CLI_CANNOT, "out of memory");
    if (!exit) {
        exit = import_all(importing);
        unsigned long long accepted = importing->accepted, rejected = importing->rejected;

        if (cli_flag(args, "json"))
            printf("{\"accepted\":%llu,\"rejected\":%llu}\n", accepted, rejected);
        else
            printf("%llu event%s stored, %llu line%s rejected\n", accepted, cli_s(accepted),
                   rejected, cli_s(rejected));
    }
    client_close(importing->client);
    skald_store_close(importing->store);
    skald_arena_free(importing->part.arena);
    skald_buf_fini(&importing->part.text);
    skald_buf_fini(&importing->body);
    if (importing->from > 0) (void)close(importing->from);
    return !exit && importing->rejected ? CLI_NO : exit;
}

static const cli_option options[] = {
    {"data", "DIR", "write to a directory that no server holds"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {"retry-for", "S", "wait so long for a server that is gone (60)"},
    {"from-line", "N", "begin at line N"},
    {"json", NULL, "the summary as JSON"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_import = {
    .name = "import",
    .summary = "Store events from a file, one a line.",
    .rest = "FILE | -",
    .example = "skald import events.ndjson",
    .options = options,
    .rest_min = 1,
    .rest_max = 1,
    .run = run,
};
