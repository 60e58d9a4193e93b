// SPDX-License-Identifier: Apache-2.0
// Options, output and exit codes of the verbs.
#define _POSIX_C_SOURCE 200809L
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// put_shown writes text so that it cannot move the cursor of a terminal.
static void put_shown(FILE *to, skald_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        unsigned char next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0;
        if (byte == 0xc2 && next >= 0x80 && next < 0xa0) { // U+0080 to U+009F, controls too
            (void)fprintf(to, "\\x%02x\\x%02x", byte, next);
            i++;
        } else if (byte < ' ' || byte == 0x7f) {
            (void)fprintf(to, "\\x%02x", byte);
        } else {
            (void)fputc(byte, to);
        }
    }
}

// cli_fail may be told what a server or a file says, so nothing of it reaches a terminal as it is.
int cli_fail(int exit, const char *format, ...)
{
    char text[4096] = "";
    va_list arguments;

    (void)fflush(stdout);
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    flockfile(stderr); // one line of one thread
    (void)fputs("skald: ", stderr);
    for (const char *line = text;; line++) {
        size_t len = strcspn(line, "\n");
        put_shown(stderr, (skald_str){line, len});
        (void)fputc('\n', stderr);
        line += len;
        if (!*line) break;
    }
    funlockfile(stderr);
    return exit;
}

int cli_unknown_verb(const char *name)
{
    const cli_verb *meant = NULL;

    // The beginning of one verb, or one with an s too many or too few, is what may have been meant.
    for (const cli_verb *const *verb = cli_verbs; *verb && *name; verb++) {
        size_t len = strlen((*verb)->name), given = strlen(name);
        size_t common = len < given ? len : given;
        if (memcmp((*verb)->name, name, common) != 0 || given > len + 1) continue;
        if (meant) return cli_fail(CLI_USAGE, "unknown verb '%s'; see: skald --help", name);
        meant = *verb;
    }
    if (!meant) return cli_fail(CLI_USAGE, "unknown verb '%s'; see: skald --help", name);
    return cli_fail(CLI_USAGE, "unknown verb '%s'; did you mean '%s'?", name, meant->name);
}

// says_field: the text has the name of the field as a word of its own.
static bool says_field(const char *text, const char *field)
{
    size_t len = strlen(field);

    for (const char *at = strstr(text, field); at; at = strstr(at + 1, field)) {
        bool begins = at == text || !isalnum((unsigned char)at[-1]);
        if (!len || (begins && !isalnum((unsigned char)at[len]))) return true;
    }
    return false;
}

int cli_fail_error(const skald_error *error)
{
    const char *text = error->text[0] ? error->text : skald_err_text(error->err);
    int exit = error->err == SKALD_EINVALID ? CLI_USAGE : CLI_CANNOT;

    if (!says_field(text, error->field)) return cli_fail(exit, "%s: %s", error->field, text);
    return cli_fail(exit, "%s", text);
}

enum { data_bytes_max = 4096 };

int cli_store_open(const cli_args *args, const skald_store_options *options,
                   skald_store **ret_store)
{
    const char *data = cli_get(args, "data");
    skald_error error = {0};
    skald_err err;

    if (!data[0] || strlen(data) > data_bytes_max)
        return cli_fail(CLI_USAGE, "--data must be a directory or a store, as sqlite:FILE");
    err = skald_store_open(data, options, ret_store, &error);
    if (err == SKALD_ENOTFOUND) return cli_fail(CLI_CANNOT, "there is no store in '%s'", data);
    return err ? cli_fail_error(&error) : CLI_OK;
}

int cli_store_open_there(const cli_args *args, const skald_store_options *options,
                         skald_store **ret_store)
{
    skald_store_options looking = {.read_only = true, .scrub_bytes_per_s = SKALD_SCRUB_OFF};
    skald_store *store = NULL;
    int exit = options->read_only ? CLI_OK : cli_store_open(args, &looking, &store);

    skald_store_close(store);
    return exit ? exit : cli_store_open(args, options, ret_store);
}

static const cli_option *find_option(const cli_verb *verb, const char *name, size_t len)
{
    for (const cli_option *option = verb->options; option->name; option++) {
        if (strlen(option->name) == len && memcmp(option->name, name, len) == 0) return option;
    }
    return NULL;
}

// take_setting reads --KEY VALUE or --KEY=VALUE; which keys there are the library knows.
static int take_setting(const cli_verb *verb, int argc, char **argv, int *at, cli_args *args)
{
    char *name = argv[*at] + 2;
    char *value = strchr(name, '=');

    if (value) {
        *value++ = 0;
    } else if (*at + 1 >= argc) {
        return cli_fail(CLI_USAGE, "%s: --%s needs a value", verb->name, name);
    } else {
        value = argv[++*at];
    }
    if (args->given_count == CLI_REPEAT_MAX)
        return cli_fail(CLI_USAGE, "%s: more than %d options", verb->name, CLI_REPEAT_MAX);
    args->given[args->given_count].name = name;
    args->given[args->given_count++].value = value;
    return CLI_OK;
}

void cli_settings_of(const cli_args *args, cli_settings *ret_settings)
{
    size_t count = 0;

    *ret_settings = (cli_settings){.options.file = cli_get(args, "config")};
    for (int i = 0; i < args->given_count; i++) {
        const char *name = args->given[i].name;
        const cli_option *option = find_option(args->verb, name, strlen(name));
        if (strcmp(name, "config") == 0 || (option && !option->argument)) continue;
        ret_settings->given[count++] = (skald_setting){name, args->given[i].value};
    }
    ret_settings->options.settings = ret_settings->given;
    ret_settings->options.setting_count = count;
}

// take_option reads one option at argv[*at], and its value, which may stand behind '='.
static int take_option(const cli_verb *verb, int argc, char **argv, int *at, cli_args *args)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    const cli_option *option =
        find_option(verb, name, equals ? (size_t)(equals - name) : strlen(name));
    const char *value = "";

    if (!option && verb->takes_settings && *name) return take_setting(verb, argc, argv, at, args);
    if (!option) {
        return cli_fail(CLI_USAGE, "%s: unknown option '%s'; see: skald %s --help", verb->name,
                        argv[*at], verb->name);
    }
    if (!option->argument && equals) {
        return cli_fail(CLI_USAGE, "%s: --%s takes no value", verb->name, option->name);
    }
    if (option->argument && equals)
        value = equals + 1;
    else if (option->argument) {
        if (*at + 1 >= argc) {
            return cli_fail(CLI_USAGE, "%s: --%s needs %s", verb->name, option->name,
                            option->argument);
        }
        value = argv[++*at];
    }
    if (args->given_count == CLI_REPEAT_MAX) {
        return cli_fail(CLI_USAGE, "%s: more than %d options", verb->name, CLI_REPEAT_MAX);
    }
    args->given[args->given_count].name = option->name;
    args->given[args->given_count++].value = value;
    return CLI_OK;
}

int cli_parse(const cli_verb *verb, int argc, char **argv, cli_args *ret_args)
{
    cli_args args = {.verb = verb};
    int kept = 0;
    int at = 0;

    for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
        int exit;
        if (strncmp(argv[at], "--", 2) != 0) {
            argv[kept++] = argv[at];
            continue;
        }
        exit = take_option(verb, argc, argv, &at, &args);
        if (exit) return exit;
    }
    for (at++; at < argc; at++) argv[kept++] = argv[at];
    argv[kept] = NULL; // what is left may be run as it is
    args.rest = argv;
    args.rest_count = kept;
    if (kept < verb->rest_min) {
        return cli_fail(CLI_USAGE, "%s: %s is missing; see: skald %s --help", verb->name,
                        verb->rest, verb->name);
    }
    if (verb->rest_max >= 0 && kept > verb->rest_max) {
        return cli_fail(CLI_USAGE, "%s: do not know what to do with '%s'; see: skald %s --help",
                        verb->name, argv[verb->rest_max], verb->name);
    }
    *ret_args = args;
    return CLI_OK;
}

const char *cli_each(const cli_args *args, const char *name, int n)
{
    for (int i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].name, name) == 0 && n-- == 0) return args->given[i].value;
    }
    return NULL;
}

const char *cli_get(const cli_args *args, const char *name)
{
    const char *value = NULL;

    for (int i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].name, name) == 0) value = args->given[i].value;
    }
    return value;
}

bool cli_flag(const cli_args *args, const char *name)
{
    return cli_get(args, name) != NULL;
}

bool cli_number(const cli_args *args, const char *name, uint64_t min, uint64_t max,
                uint64_t *ret_number)
{
    const char *value = cli_get(args, name);
    char *end = NULL;
    unsigned long long number;

    if (!value) return true;
    errno = 0;
    number = strtoull(value, &end, 10);
    if (*value >= '0' && *value <= '9' && !*end && !errno && number >= min && number <= max) {
        *ret_number = number;
        return true;
    }
    (void)cli_fail(CLI_USAGE, "%s: --%s is '%s' but must be a whole number from %llu to %llu",
                   args->verb->name, name, value, (unsigned long long)min, (unsigned long long)max);
    return false;
}

const char *cli_s(uint64_t count)
{
    return count == 1 ? "" : "s";
}

bool cli_colours(void)
{
    const char *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
}

bool cli_progress(void)
{
    return isatty(STDERR_FILENO);
}

static void print_for_people(const skald_event *event)
{
    bool colours = cli_colours();
    char time[SKALD_TIME_TEXT + 1];

    skald_time_print(event->recorded_at ? event->recorded_at : event->occurred_at, time);
    printf("%s%8llu  %.19sZ%s  %s", colours ? "\033[2m" : "", (unsigned long long)event->position,
           time, colours ? "\033[0m" : "", colours ? "\033[1m" : "");
    put_shown(stdout, event->type);
    printf("%s", colours ? "\033[0m" : "");
    if (event->stream.len) {
        printf("  ");
        put_shown(stdout, event->stream);
        printf(" v%llu", (unsigned long long)event->stream_version);
    }
    printf("  ");
    put_shown(stdout, event->data.ptr ? event->data : SKALD_STR("null"));
    (void)putchar('\n');
}

void cli_event(const skald_event *event, bool json)
{
    skald_buf buf = {.bytes_max = 64 * 1024 * 1024};

    if (!json) {
        print_for_people(event);
    } else if (!skald_event_json(event, false, &buf)) {
        (void)!fwrite(buf.ptr, 1, buf.len, stdout);
        (void)putchar('\n');
    }
    skald_buf_fini(&buf);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void cli_bar_show(cli_bar *bar, uint64_t done, const char *note)
{
    enum { width = 30, pause_ns = 100000000 };
    char drawn[width + 1];
    uint64_t now = now_ns();
    int filled;

    if (!cli_progress() || (bar->drawn_ns && now - bar->drawn_ns < pause_ns && done < bar->all))
        return;
    bar->drawn_ns = now;
    if (!bar->all) {
        (void)fprintf(stderr, "\r\033[K%s %s", bar->what, note);
        return;
    }
    filled = (int)(done >= bar->all ? width : done * width / bar->all);
    memset(drawn, ' ', width);
    memset(drawn, '=', (size_t)filled);
    drawn[width] = 0;
    (void)fprintf(stderr, "\r\033[K%s [%s] %3d%% %s", bar->what, drawn, filled * 100 / width, note);
}

void cli_bar_end(cli_bar *bar)
{
    if (bar->drawn_ns) (void)fputc('\n', stderr);
}
