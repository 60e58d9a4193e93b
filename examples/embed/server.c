// SPDX-License-Identifier: Apache-2.0
// The whole server inside a program, with a handler of its own: what `skald serve` does, and more.
#include <skald/skald.h>
#include <stdio.h>

static skald_outcome print(const skald_delivery *delivery)
{
    printf("%.*s %.*s\n", SKALD_FMT(delivery->event->type), SKALD_FMT(delivery->event->data));
    return fflush(stdout) ? skald_retry(delivery, 0, "cannot print") : SKALD_ACK;
}

// Called when everything is there and nothing moves yet.
static skald_err wire(skald_system *system)
{
    const skald_str types[] = {SKALD_STR("order.*")};
    const skald_subscription_options options = {
        .name = "printer",
        .filter.types = {types, 1},
        .handler.fn = print,
    };
    skald_subscription subscription;

    return skald_subscribe(skald_system_bus(system), &options, &subscription, NULL);
}

int main(int argc, char **argv)
{
    const skald_system_options options = {
        .data = argc > 1 ? argv[1] : NULL, // NULL: from the environment, else ./data
        .port = argc > 2 ? argv[2] : NULL,
        .wire = wire,
    };
    skald_system *system = NULL;
    skald_error error = {0};

    if (skald_system_start(&options, &system, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    printf("http://%s:%u/\n", skald_system_host(system), skald_system_port(system));
    fflush(stdout);
    skald_system_wait(system); // for Ctrl-C or SIGTERM
    return skald_system_stop(system, 0) ? 1 : 0;
}
