// SPDX-License-Identifier: Apache-2.0
// One event of an order cannot be handled. Its key is parked, other orders go on, and when somebody
// has mended it the order goes on where it stood.
#include <skald/skald.h>
#include <stdatomic.h>
#include <stdio.h>
#include <threads.h>

static skald_outcome mail(const skald_delivery *delivery)
{
    const skald_event *event = delivery->event;
    atomic_int *mailed = delivery->context;

    if (skald_str_equal(event->data, SKALD_STR("{\"to\":null}")))
        return skald_reject(delivery, "no address"); // no use trying again
    printf("%.*s v%d: %.*s\n", SKALD_FMT(event->stream), (int)event->stream_version,
           SKALD_FMT(event->data));
    atomic_fetch_add(mailed, 1);
    return SKALD_ACK;
}

static void rest(void)
{
    thrd_sleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void until(atomic_int *mailed, int count)
{
    while (atomic_load(mailed) < count) rest();
}

// mend shows what is set aside and gives the handler other data for it. An event is set aside
// behind its handler's answer, and can be edited once that is stored.
static skald_err mend(skald_bus *bus, skald_arena *arena, skald_error *error)
{
    const skald_aside_query query = {.subscription = SKALD_STR("mailer"), .parked = true};
    const skald_aside *parked = NULL;
    size_t count = 0;

    for (; !count; rest()) SKALD_TRY(skald_bus_asides(bus, &query, arena, &parked, &count));
    for (size_t i = 0; i < count; i++) {
        const skald_aside_id id = {.subscription = parked[i].subscription, .key = parked[i].key};
        const skald_json data = SKALD_STR("{\"to\":\"ann\"}");
        skald_err err;

        printf("%.*s is parked: %.*s\n", SKALD_FMT(id.key), SKALD_FMT(parked[i].error));
        while ((err = skald_aside_edit(bus, &id, data, NULL, error)) == SKALD_EUNAVAILABLE) rest();
        SKALD_TRY(err);
    }
    return SKALD_OK;
}

static skald_err run(skald_bus *bus, skald_arena *arena, skald_error *error)
{
    atomic_int mailed = 0;
    const skald_str types[] = {SKALD_STR("order.*")};
    const skald_subscription_options options = {
        .name = "mailer",
        .filter.types = {types, 1},
        .handler = {.fn = mail, .context = &mailed},
        .on_exhausted = SKALD_PARK_KEY,
    };
    const skald_event events[] = {
        {.type = SKALD_STR("order.made"),
         .stream = SKALD_STR("order-7"),
         .data = SKALD_STR("{\"to\":null}")},
        {.type = SKALD_STR("order.paid"),
         .stream = SKALD_STR("order-7"),
         .data = SKALD_STR("{\"to\":\"bob\"}")},
        {.type = SKALD_STR("order.made"),
         .stream = SKALD_STR("order-8"),
         .data = SKALD_STR("{\"to\":\"eve\"}")},
    };
    const skald_publish_options publish = {.reterr_error = error};
    skald_subscription subscription;

    SKALD_TRY(skald_subscribe(bus, &options, &subscription, error));
    SKALD_TRY(skald_publish_all(bus, events, 3, &publish, NULL));
    until(&mailed, 1); // order-8: it does not wait for order-7
    SKALD_TRY(mend(bus, arena, error));
    until(&mailed, 3);
    return skald_bus_stop(bus, 5000);
}

int main(int argc, char **argv)
{
    skald_error error = {0};
    skald_arena *arena = NULL;
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    skald_err err = skald_store_open(argc > 1 ? argv[1] : "memory:", NULL, &store, &error);

    if (!err) err = skald_arena_new(1 << 20, &arena);
    if (!err) err = skald_bus_new(store, NULL, &bus);
    if (!err) err = run(bus, arena, &error);
    if (err) fprintf(stderr, "%s: %s\n", skald_err_name(err), error.text);
    skald_bus_free(bus);
    skald_arena_free(arena);
    skald_store_close(store);
    return err ? 1 : 0;
}
