// SPDX-License-Identifier: Apache-2.0
// Publishes an event and handles it. The handler has a name, so it goes on where it left off when
// the program runs again.
#include <skald/skald.h>
#include <stdatomic.h>
#include <stdio.h>
#include <threads.h>

static skald_outcome mail(const skald_delivery *delivery)
{
    const skald_event *event = delivery->event;
    atomic_bool *done = delivery->context;

    if (event->data.len > 1000) return skald_reject(delivery, "too large to mail");
    printf("mail about %.*s: %.*s, attempt %u\n", SKALD_FMT(event->stream), SKALD_FMT(event->data),
           delivery->attempt);
    if (delivery->attempt == 1) return skald_retry(delivery, 10, "the mail server is away");
    atomic_store(done, true);
    return SKALD_ACK;
}

static skald_err run(skald_bus *bus, skald_error *error)
{
    atomic_bool done = false;
    const skald_str types[] = {SKALD_STR("invoice.*")};
    const skald_subscription_options options = {
        .name = "mailer",
        .filter.types = {types, 1},
        .handler = {.fn = mail, .context = &done},
    };
    const skald_event event = {
        .type = SKALD_STR("invoice.paid"),
        .stream = SKALD_STR("invoice-7"),
        .data = SKALD_STR("{\"amount\":99}"),
    };
    const skald_publish_options publish = {.reterr_error = error};
    skald_subscription subscription;

    SKALD_TRY(skald_subscribe(bus, &options, &subscription, error));
    SKALD_TRY(skald_publish(bus, event, &publish)); // durable; handled on another thread
    while (!atomic_load(&done)) thrd_sleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return skald_bus_stop(bus, 5000); // ends what runs, keeps every position
}

int main(int argc, char **argv)
{
    skald_error error = {0};
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    skald_err err = skald_store_open(argc > 1 ? argv[1] : "log:data", NULL, &store, &error);

    if (!err) err = skald_bus_new(store, NULL, &bus);
    if (!err) err = run(bus, &error);
    if (err) fprintf(stderr, "%s: %s\n", skald_err_name(err), error.text);
    skald_bus_free(bus); // before what it stands on
    skald_store_close(store);
    return err ? 1 : 0;
}
