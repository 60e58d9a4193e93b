// SPDX-License-Identifier: Apache-2.0
// skald export: every event, one envelope a line, to a file or standard output.
#include "cli.h"
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool write_event(FILE *to, const skald_event *event, skald_buf *buf)
{
    buf->len = 0;
    return !skald_event_json(event, false, buf) && !skald_buf_put(buf, SKALD_STR("\n")) &&
           fwrite(buf->ptr, 1, buf->len, to) == buf->len;
}

// export_all writes event and all after it.
static int export_all(cli_source *source, const skald_event *event, FILE *to, uint64_t *ret_count)
{
    cli_bar bar = {.what = "export", .all = source_head(source)};
    skald_buf buf = {.bytes_max = 64 * 1024 * 1024};
    char note[48];
    int exit = CLI_OK;

    while (event) {
        if (!write_event(to, event, &buf)) {
            exit = cli_fail(CLI_CANNOT, "export: cannot write: %s", strerror(errno));
            break;
        }
        (void)snprintf(note, sizeof note, "%llu events", (unsigned long long)++*ret_count);
        cli_bar_show(&bar, event->position, note);
        exit = source_next(source, &event);
    }
    cli_bar_end(&bar);
    skald_buf_fini(&buf);
    return exit;
}

// export_to opens the file when the first event is there: a server that does not answer must not
// cost the file of the last time.
static int export_to(cli_source *source, const char *path, uint64_t *ret_count)
{
    bool standard = strcmp(path, "-") == 0;
    const skald_event *event = NULL;
    int exit = source_next(source, &event);
    FILE *to;

    if (exit && !event && exit != CLI_NO) return exit;
    to = standard ? stdout : fopen(path, "wb");
    if (!to) return cli_fail(CLI_CANNOT, "export: cannot write %s: %s", path, strerror(errno));
    if (event) exit = export_all(source, event, to, ret_count);
    if ((standard ? fflush(to) : fclose(to)) != 0 && (!exit || exit == CLI_NO))
        exit = cli_fail(CLI_CANNOT, "export: cannot write %s: %s", path, strerror(errno));
    return exit;
}

static int run(const cli_args *args)
{
    const char *path = args->rest_count ? args->rest[0] : "-";
    uint64_t count = 0;
    int exit = CLI_OK;
    cli_source *source = source_open(args, &exit);

    if (!source) return exit;
    exit = export_to(source, path, &count);
    source_close(source);
    if (strcmp(path, "-") == 0 || (exit && exit != CLI_NO)) return exit;
    if (cli_flag(args, "json"))
        printf("{\"events\":%llu}\n", (unsigned long long)count);
    else
        printf("%llu event%s in %s\n", (unsigned long long)count, cli_s(count), path);
    return exit;
}

static const cli_option options[] = {
    SOURCE_OPTIONS,
    {"data", "DIR", "read a directory that no server holds"},
    {"url", "URL", "the server (http://127.0.0.1:8000)"},
    {"json", NULL, "the summary as JSON"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_export = {
    .name = "export",
    .summary = "Write every event to a file, one a line.",
    .rest = "[FILE | -]",
    .example = "skald export events.ndjson",
    .options = options,
    .rest_max = 1,
    .run = run,
};
