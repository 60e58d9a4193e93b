// SPDX-License-Identifier: Apache-2.0
// skald verify: read every byte of a data directory and say which ranges are damaged. Exit 1 if
// there are any.
#include "cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct verify_run {
    json_t *damaged; // objects of the report
    cli_bar bar;
    bool json;
} verify_run;

static void note_damage(void *context, const skald_damage *damage)
{
    verify_run *verifying = context;

    if (verifying->json) {
        json_t *one = json_pack("{s:s,s:I,s:I,s:I,s:I,s:s}", "file", damage->file, "offset",
                                (json_int_t)damage->offset, "length", (json_int_t)damage->length,
                                "firstPosition", (json_int_t)damage->position_first, "lastPosition",
                                (json_int_t)damage->position_last, "why", damage->why);

        if (damage->repairable) json_object_set_new(one, "repairable", json_true());
        json_array_append_new(verifying->damaged, one);
        return;
    }
    if (damage->repairable) {
        printf("repairable: %s at byte %llu, %llu bytes: %s\n", damage->file,
               (unsigned long long)damage->offset, (unsigned long long)damage->length, damage->why);
        return;
    }
    printf("damaged: %s at byte %llu, %llu bytes, positions %llu to %llu: %s\n", damage->file,
           (unsigned long long)damage->offset, (unsigned long long)damage->length,
           (unsigned long long)damage->position_first, (unsigned long long)damage->position_last,
           damage->why);
}

static void note_progress(void *context, uint64_t bytes_done, uint64_t bytes_all)
{
    verify_run *verifying = context;
    char note[48];

    verifying->bar.all = bytes_all;
    (void)snprintf(note, sizeof note, "%llu MiB", (unsigned long long)(bytes_done >> 20));
    cli_bar_show(&verifying->bar, bytes_done, note);
}

// well: nothing is wrong any more.
static bool well(const skald_verified *verified)
{
    return verified->damaged == verified->repaired;
}

static const char *verdict(const skald_verified *verified)
{
    if (!verified->damaged) return "all is well";
    if (well(verified)) return "repaired";
    return verified->damaged == verified->repairable ? "REPAIRABLE" : "DAMAGED";
}

static int report(const verify_run *verifying, const skald_verified *verified)
{
    char *text;

    if (!verifying->json) {
        printf("%llu event%s in %llu segment%s, %llu bytes: %s\n",
               (unsigned long long)verified->events, cli_s(verified->events),
               (unsigned long long)verified->segments, cli_s(verified->segments),
               (unsigned long long)verified->bytes, verdict(verified));
        if (verified->repairable > verified->repaired && verified->repairable == verified->damaged)
            printf("no event is lost; skald verify --repair makes those files again\n");
        return well(verified) ? CLI_OK : CLI_NO;
    }
    json_t *whole =
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:O}", "events", (json_int_t)verified->events,
                  "segments", (json_int_t)verified->segments, "bytes", (json_int_t)verified->bytes,
                  "repairable", (json_int_t)verified->repairable, "repaired",
                  (json_int_t)verified->repaired, "lastPosition",
                  (json_int_t)verified->position_last, "damaged", verifying->damaged);
    text = json_dumps(whole, JSON_COMPACT);
    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(whole);
    return well(verified) ? CLI_OK : CLI_NO;
}

static int run(const cli_args *args)
{
    verify_run verifying = {.bar = {.what = "verify"}, .json = cli_flag(args, "json")};
    skald_verify_options options = {.damaged = note_damage,
                                    .progress = note_progress,
                                    .context = &verifying,
                                    .repair = cli_flag(args, "repair")};
    skald_store_options store_options = {.read_only = !options.repair,
                                         .scrub_bytes_per_s = SKALD_SCRUB_OFF};
    skald_verified verified = {0};
    skald_store *store = NULL;
    skald_error error = {0};
    skald_err err;
    int exit;

    if (!cli_get(args, "data")) return cli_fail(CLI_USAGE, "verify: --data DIR is missing");
    exit = cli_store_open_there(args, &store_options, &store);
    if (exit) return exit;
    verifying.damaged = json_array();
    err = skald_store_verify(store, &options, &verified, &error);
    cli_bar_end(&verifying.bar);
    if (err && err != SKALD_ECORRUPT)
        exit = cli_fail_error(&error);
    else
        exit = report(&verifying, &verified);
    skald_store_close(store);
    json_decref(verifying.damaged);
    return exit;
}

static const cli_option options[] = {
    {"data", "DIR", "the directory; no server may hold it"},
    {"repair", NULL, "make again what is made of the events, where that is damaged"},
    {"json", NULL, "the report as JSON"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_verify = {
    .name = "verify",
    .summary = "Read every byte of a data directory and report damage.",
    .rest = "",
    .example = "skald verify --data ./data",
    .options = options,
    .run = run,
};
