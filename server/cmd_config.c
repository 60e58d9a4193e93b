// SPDX-License-Identifier: Apache-2.0
// skald config: what a server would run with, whether a file is fine, and every setting there is.
#include "cli.h"

#include <stdio.h>
#include <string.h>

enum { output_bytes_max = 1024 * 1024 };

static int show(const cli_args *args, skald_config_form form)
{
    skald_buf buf = {.bytes_max = output_bytes_max};
    skald_error error = {0};
    cli_settings settings;
    skald_err err;

    cli_settings_of(args, &settings);
    err = skald_config_print(&settings.options, form, &buf, &error);
    if (!err) (void)!fwrite(buf.ptr, 1, buf.len, stdout);
    skald_buf_fini(&buf);
    if (err && !error.err) (void)!skald_fail(&error, err, "%s", skald_err_text(err));
    return err ? cli_fail_error(&error) : CLI_OK;
}

// check looks at one file alone: the environment of whoever asks is not that of the server.
static int check(const cli_args *args)
{
    skald_error error = {0};
    cli_settings settings;

    if (args->rest_count != 2) return cli_fail(CLI_USAGE, "config check: name one file");
    cli_settings_of(args, &settings);
    settings.options.file = args->rest[1];
    settings.options.no_environment = true;
    skald_err err = skald_config_check(&settings.options, &error);
    if (err) {
        if (!error.err) (void)!skald_fail(&error, err, "%s", skald_err_text(err));
        (void)cli_fail_error(&error);
        return CLI_NO;
    }
    printf("%s is fine\n", args->rest[1]);
    return CLI_OK;
}

static int run(const cli_args *args)
{
    const char *verb = args->rest[0];

    if (strcmp(verb, "check") == 0) return check(args);
    if (args->rest_count > 1)
        return cli_fail(CLI_USAGE, "config %s: do not know what to do with '%s'", verb,
                        args->rest[1]);
    if (strcmp(verb, "list") == 0) return show(args, SKALD_CONFIG_LIST);
    if (strcmp(verb, "show") != 0)
        return cli_fail(CLI_USAGE, "config: '%s' is none of show, check and list", verb);
    return show(args, cli_flag(args, "json") ? SKALD_CONFIG_JSON : SKALD_CONFIG_TEXT);
}

static const cli_option options[] = {
    {"config", "FILE", "show: with this file"},
    {"json", NULL, "show: as JSON"},
    {"KEY", "VALUE", "show, check: with this setting, as for serve"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_config = {
    .name = "config",
    .summary = "Show what a server would run with, check a file, list all settings.",
    .rest = "show | check FILE | list",
    .rest_min = 1,
    .rest_max = 2,
    .takes_settings = true,
    .example = "skald config show --config /etc/skald.yaml",
    .options = options,
    .run = run,
};
