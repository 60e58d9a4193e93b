// SPDX-License-Identifier: Apache-2.0
// skald serve: a configuration, a system, and waiting to be asked to stop.
#include "cli.h"

#include <stdio.h>
#include <string.h>

static void greet(const skald_system *system)
{
    const char *name = skald_system_host(system);
    unsigned port = skald_system_port(system);
    const char *scheme = skald_system_tls(system) ? "https" : "http";
    char host[64];

    // In an address, an IPv6 host stands in brackets.
    (void)snprintf(host, sizeof host, strchr(name, ':') ? "[%s]" : "%s", name);
    printf("skald %s is ready\n"
           "  page     %s://%s:%u/\n"
           "  publish  curl -X POST %s://%s:%u/api/events -H 'Content-Type: application/json' "
           "-d '{\"type\":\"order.created\",\"stream\":\"order-1\",\"data\":{\"total\":99}}'\n"
           "  read     curl %s://%s:%u/api/streams/order-1\n",
           SKALD_VERSION_TEXT, scheme, host, port, scheme, host, port, scheme, host, port);
    (void)fflush(stdout);
}

static int run(const cli_args *args)
{
    cli_settings settings;
    skald_system *system = NULL;
    skald_error error = {0};
    skald_err err;

    cli_settings_of(args, &settings);
    err = skald_system_start(&settings.options, &system, &error);
    if (err) return cli_fail_error(&error);
    greet(system);
    skald_system_wait(system);
    err = skald_system_stop(system, 0);
    if (err) return cli_fail(CLI_CANNOT, "stopped, but not in order: %s", skald_err_text(err));
    return CLI_OK;
}

static const cli_option options[] = {
    {"data", "DIR", "keep everything below DIR (./data)"},
    {"port", "N", "listen on port N (8000); 0: any free one"},
    {"listen", "HOST", "listen on this address (127.0.0.1)"},
    {"preset", "NAME", "development, production or testing"},
    {"config", "FILE", "read settings from a YAML file"},
    {"KEY", "VALUE", "any setting: skald config list shows them"},
    {NULL, NULL, NULL},
};

const cli_verb cmd_serve = {
    .name = "serve",
    .summary = "Run a server.",
    .rest = "",
    .example = "skald serve --data ./data --port 8000",
    .options = options,
    .takes_settings = true,
    .run = run,
};
