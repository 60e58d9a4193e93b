// SPDX-License-Identifier: Apache-2.0
// skald store: looking after a data directory that no server holds. info says what is in it,
// compact takes what is hidden from the disk, salvage makes a new one of a damaged one, upgrade
// brings one of an older format to this program's.
#include "cli.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool note_progress(void *context, uint64_t bytes_done, uint64_t bytes_all)
{
    cli_bar *bar = context;
    char note[48];

    bar->all = bytes_all;
    (void)snprintf(note, sizeof note, "%llu MiB", (unsigned long long)(bytes_done >> 20));
    cli_bar_show(bar, bytes_done, note);
    return true;
}

// print_json prints and frees.
static void print_json(json_t *whole)
{
    char *text = whole ? json_dumps(whole, JSON_COMPACT) : NULL;

    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(whole);
}

// --- info ---------------------------------------------------------------------------------------

typedef struct info_run {
    json_t *segments, *runs, *states; // NULL: for people
    unsigned part_count[3];
    uint64_t bytes, live, index, events, erased, damaged;
} info_run;

static const char *time_text(skald_time time, char text[24])
{
    time_t seconds = (time_t)(time / 1000000);
    struct tm parts;

    if (!time || !gmtime_r(&seconds, &parts) || !strftime(text, 24, "%Y-%m-%dT%H:%M:%SZ", &parts))
        (void)snprintf(text, 24, "-");
    return text;
}

static json_t *time_json(skald_time time)
{
    char text[24];

    return time ? json_string(time_text(time, text)) : json_null();
}

static json_t *segment_json(const skald_store_part *part)
{
    return json_pack("{s:s,s:I,s:I,s:b,s:I,s:I,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
                     "file", part->file, "number", (json_int_t)part->number, "generation",
                     (json_int_t)part->generation, "sealed", (int)part->sealed, "firstPosition",
                     (json_int_t)part->position_first, "lastPosition",
                     (json_int_t)part->position_last, "firstRecordedAt",
                     time_json(part->recorded_first), "lastRecordedAt",
                     time_json(part->recorded_last), "bytes", (json_int_t)part->bytes, "liveBytes",
                     (json_int_t)part->live_bytes, "indexBytes", (json_int_t)part->index_bytes,
                     "events", (json_int_t)part->events, "erased", (json_int_t)part->erased,
                     "damaged", (json_int_t)part->damaged, "streams", (json_int_t)part->streams,
                     "types", (json_int_t)part->types, "tenants", (json_int_t)part->tenants,
                     "correlations", (json_int_t)part->correlations);
}

static void print_segment(const skald_store_part *part)
{
    char from[24], to[24];

    printf("  %s  positions %" PRIu64 " to %" PRIu64 "\n", part->file, part->position_first,
           part->position_last);
    if (!part->sealed) {
        printf("      %" PRIu64 " bytes, being written\n", part->bytes);
        return;
    }
    printf("      %s to %s\n", time_text(part->recorded_first, from),
           time_text(part->recorded_last, to));
    printf("      %" PRIu64 " bytes, %" PRIu64 " of events, index %" PRIu64 "; %" PRIu64
           " event%s, %" PRIu64 " erased, %" PRIu64 " damaged\n",
           part->bytes, part->live_bytes, part->index_bytes, part->events, cli_s(part->events),
           part->erased, part->damaged);
    printf("      %" PRIu64 " stream%s, %" PRIu64 " type%s, %" PRIu64 " tenant%s, %" PRIu64
           " correlation%s\n",
           part->streams, cli_s(part->streams), part->types, cli_s(part->types), part->tenants,
           cli_s(part->tenants), part->correlations, cli_s(part->correlations));
}

static bool info_part(void *context, const skald_store_part *part)
{
    static const char *const heads[] = {"segments", "stream directory", "state"};
    info_run *run = context;
    json_t *list = part->kind == SKALD_PART_SEGMENT ? run->segments
                   : part->kind == SKALD_PART_RUN   ? run->runs
                                                    : run->states;

    run->bytes += part->bytes + part->index_bytes;
    if (list && part->kind == SKALD_PART_SEGMENT) {
        json_array_append_new(list, segment_json(part));
    } else if (list) {
        json_array_append_new(list, json_pack("{s:s,s:I}", "file", part->file, "bytes",
                                              (json_int_t)part->bytes));
    } else {
        if (!run->part_count[part->kind]) printf("%s\n", heads[part->kind]);
        if (part->kind == SKALD_PART_SEGMENT) {
            print_segment(part);
        } else {
            printf("  %s  %" PRIu64 " bytes\n", part->file, part->bytes);
        }
    }
    run->part_count[part->kind]++;
    return true;
}

static void info_end_json(info_run *run, const skald_store_state *state)
{
    print_json(json_pack("{s:i,s:I,s:I,s:I,s:o,s:o,s:o}", "format", 1, "position",
                         (json_int_t)state->head, "bytes", (json_int_t)run->bytes, "damages",
                         (json_int_t)state->damages, "segments", run->segments, "runs", run->runs,
                         "states", run->states));
}

static int store_info(const cli_args *args)
{
    skald_store_options options = {.read_only = true};
    info_run run = {0};
    skald_store_state state;
    skald_store *store = NULL;
    skald_error error = {0};
    skald_err err;
    bool json = cli_flag(args, "json");
    int exit = cli_store_open(args, &options, &store);

    if (exit) return exit;
    if (json) {
        run.segments = json_array();
        run.runs = json_array();
        run.states = json_array();
    }
    err = skald_store_parts_each(store, info_part, &run, &error);
    skald_store_state_get(store, &state);
    skald_store_close(store);
    if (err) {
        json_decref(run.segments);
        json_decref(run.runs);
        json_decref(run.states);
        return cli_fail_error(&error);
    }
    if (json) {
        info_end_json(&run, &state);
        return CLI_OK;
    }
    printf("format 1, up to position %" PRIu64 ", %" PRIu64 " bytes in files\n", state.head,
           run.bytes);
    if (state.damages) {
        printf("%" PRIu64 " damaged range%s; skald verify says which\n", state.damages,
               cli_s(state.damages));
    }
    return CLI_OK;
}

// --- compact, salvage, upgrade
// --------------------------------------------------------------------

static int store_compact(const cli_args *args)
{
    cli_bar bar = {.what = "compact"};
    skald_compact_options options = {.progress = note_progress,
                                     .context = &bar,
                                     .erase = cli_flag(args, "erase")};
    skald_store_options store_options = {.scrub_bytes_per_s = SKALD_SCRUB_OFF};
    skald_compacted done = {0};
    skald_store *store = NULL;
    skald_error error = {0};
    skald_err err;
    int exit;

    if (!cli_number(args, "rate", 1, UINT64_MAX, &options.bytes_per_s)) return CLI_USAGE;
    exit = cli_store_open_there(args, &store_options, &store);
    if (exit) return exit;
    err = skald_store_compact(store, &options, &done, &error);
    cli_bar_end(&bar);
    skald_store_close(store);
    if (err) return cli_fail_error(&error);
    if (cli_flag(args, "json")) {
        print_json(json_pack("{s:I,s:I}", "eventsErased", (json_int_t)done.events_erased,
                             "bytesFreed", (json_int_t)done.bytes_freed));
    } else {
        printf("%" PRIu64 " event%s erased, %" PRIu64 " bytes freed\n", done.events_erased,
               cli_s(done.events_erased), done.bytes_freed);
    }
    return CLI_OK;
}

typedef struct salvage_run {
    json_t *lost; // NULL: for people
    cli_bar bar;
} salvage_run;

static void note_lost(void *context, const skald_damage *damage)
{
    salvage_run *run = context;

    if (run->lost) {
        json_array_append_new(
            run->lost, json_pack("{s:s,s:I,s:I,s:I,s:I}", "file", damage->file, "offset",
                                 (json_int_t)damage->offset, "length", (json_int_t)damage->length,
                                 "firstPosition", (json_int_t)damage->position_first,
                                 "lastPosition", (json_int_t)damage->position_last));
        return;
    }
    printf("lost: positions %" PRIu64 " to %" PRIu64 " (%s at byte %" PRIu64 ", %" PRIu64
           " bytes)\n",
           damage->position_first, damage->position_last, damage->file, damage->offset,
           damage->length);
}

static bool note_salvaged(void *context, uint64_t bytes_done, uint64_t bytes_all)
{
    return note_progress(&((salvage_run *)context)->bar, bytes_done, bytes_all);
}

static int salvage_report(const cli_args *args, salvage_run *run, const skald_salvaged *done)
{
    if (run->lost) {
        print_json(json_pack("{s:I,s:I,s:I,s:O}", "events", (json_int_t)done->events,
                             "lastPosition", (json_int_t)done->position_last, "positionsLost",
                             (json_int_t)done->positions_lost, "lost", run->lost));
    } else {
        printf("%" PRIu64 " event%s in %s, %" PRIu64 " %s lost\n", done->events,
               done->events == 1 ? " is" : "s are", cli_get(args, "to"), done->positions_lost,
               done->positions_lost == 1 ? "is" : "are");
    }
    return done->positions_lost ? CLI_NO : CLI_OK;
}

static int store_salvage(const cli_args *args)
{
    skald_store_options store_options = {.read_only = true};
    salvage_run run = {.lost = cli_flag(args, "json") ? json_array() : NULL,
                       .bar = {.what = "salvage"}};
    skald_salvage_options options = {.lost = note_lost, .progress = note_salvaged, .context = &run};
    skald_salvaged done = {0};
    skald_store *store = NULL;
    skald_error error = {0};
    int exit = CLI_OK;

    if (!cli_get(args, "to")) exit = cli_fail(CLI_USAGE, "store salvage: --to DIR is missing");
    if (!exit) exit = cli_store_open(args, &store_options, &store);
    if (!exit) {
        skald_err err = skald_store_salvage(store, cli_get(args, "to"), &options, &done, &error);

        cli_bar_end(&run.bar);
        skald_store_close(store);
        exit = err ? cli_fail_error(&error) : salvage_report(args, &run, &done);
    }
    json_decref(run.lost);
    return exit;
}

// store_upgrade: a store of a newer format is refused by opening it; an older one there is not.
static int store_upgrade(const cli_args *args)
{
    skald_store_options options = {.read_only = true};
    skald_store *store = NULL;
    int exit = cli_store_open(args, &options, &store);

    if (exit) return exit;
    skald_store_close(store);
    if (cli_flag(args, "json"))
        printf("{\"format\":1,\"upgraded\":false}\n");
    else
        printf("the store is of format 1, the only one there is: nothing to do\n");
    return CLI_OK;
}

static int run(const cli_args *args)
{
    static const struct {
        const char *name;
        int (*run)(const cli_args *args);
    } verbs[] = {
        {"info", store_info},
        {"compact", store_compact},
        {"salvage", store_salvage},
        {"upgrade", store_upgrade},
    };

    if (!cli_get(args, "data")) return cli_fail(CLI_USAGE, "store: --data DIR is missing");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(args->rest[0], verbs[i].name) == 0) return verbs[i].run(args);
    }
    return cli_fail(CLI_USAGE, "store: '%s' is none of info, compact, salvage, upgrade",
                    args->rest[0]);
}

static const cli_option options[] = {
    {"data", "DIR", "the directory; no server may hold it"},
    {"to", "DIR", "salvage: the new directory"},
    {"erase", NULL, "compact: rewrite wherever anything is hidden, however little"},
    {"rate", "BYTES", "compact: so many a second, read and written together"},
    {"json", NULL, "the report as JSON"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_store = {
    .name = "store",
    .summary = "Look after a data directory: info, compact, salvage, upgrade.",
    .rest = "info | compact | salvage | upgrade",
    .example = "skald store info --data ./data",
    .options = options,
    .rest_min = 1,
    .rest_max = 1,
    .run = run,
};
