// SPDX-License-Identifier: Apache-2.0
// A handler publishes because of what it was given; the trace shows what came of the first event.
#include <skald/skald.h>
#include <stdatomic.h>
#include <stdio.h>
#include <threads.h>

static skald_outcome queue_mail(const skald_delivery *delivery)
{
    const skald_event mail = {.type = SKALD_STR("mail.queued"), .stream = SKALD_STR("mail-1")};

    // The delivery's event is its cause: correlation, causation, tenant and actor go on.
    return skald_delivery_publish(delivery, mail, NULL) ? SKALD_RETRY : SKALD_ACK;
}

static skald_outcome send_mail(const skald_delivery *delivery)
{
    atomic_store((atomic_bool *)delivery->context, true);
    return SKALD_ACK;
}

static skald_err subscribe(skald_bus *bus, const char *name, const char *type, skald_handler_fn *fn,
                           void *context, skald_error *error)
{
    const skald_str types[] = {skald_str_of(type)};
    const skald_subscription_options options = {
        .name = name,
        .filter.types = {types, 1},
        .handler = {.fn = fn, .context = context},
    };
    skald_subscription subscription;

    return skald_subscribe(bus, &options, &subscription, error);
}

static skald_err show(skald_bus *bus, skald_arena *arena, skald_error *error)
{
    skald_trace trace;

    SKALD_TRY(
        skald_bus_trace(bus, (skald_str){0}, SKALD_STR("order-7-placed"), 0, arena, &trace, error));
    for (size_t i = 0; i < trace.count; i++) {
        const skald_trace_node *node = &trace.nodes[i];

        printf("%s%.*s\n", node->parent == SKALD_TRACE_ROOT ? "" : "  ",
               SKALD_FMT(node->event->type));
    }
    return SKALD_OK;
}

static skald_err run(skald_bus *bus, skald_arena *arena, skald_error *error)
{
    atomic_bool sent = false;
    const skald_event order = {
        .type = SKALD_STR("order.placed"),
        .stream = SKALD_STR("order-7"),
        .correlation_id = SKALD_STR("order-7-placed"),
    };
    const skald_publish_options publish = {.reterr_error = error};

    SKALD_TRY(subscribe(bus, "queue", "order.placed", queue_mail, NULL, error));
    SKALD_TRY(subscribe(bus, "send", "mail.queued", send_mail, &sent, error));
    SKALD_TRY(skald_publish(bus, order, &publish));
    while (!atomic_load(&sent)) thrd_sleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    SKALD_TRY(show(bus, arena, error));
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
