// SPDX-License-Identifier: Apache-2.0
// An event declared once: published from a struct, handled as a struct, and shown to those who
// write TypeScript. Run it with a store: orders log:data
#include <skald/skald.h>
#include <stdatomic.h>
#include <stdio.h>
#include <threads.h>

#define ORDER_LINE(FIELD)            \
    FIELD(text, product, "product")  \
    FIELD(i64, quantity, "quantity") \
    FIELD(money, price, "price")
SKALD_RECORD(order_line, ORDER_LINE);

#define CHANNEL(ONE) ONE(CHANNEL_SHOP, "shop") ONE(CHANNEL_PHONE, "phone")
SKALD_CHOICE(sales_channel, CHANNEL);

#define ORDER_PLACED(FIELD)                          \
    FIELD(text, order_id, "orderId")                 \
    FIELD(subject(uuid), customer_id, "customerId")  \
    FIELD(personal(text), email, "email")            \
    FIELD(list(order_line), lines, "lines")          \
    FIELD(choice(sales_channel), channel, "channel") \
    FIELD(optional(date), due_on, "dueOn")
SKALD_EVENT(order_placed, "order.placed", ORDER_PLACED, 1,
            .aliases = "ORDER_PLACED OrderPlacedEvent");

static skald_outcome on_order(const skald_delivery *delivery, const order_placed *order)
{
    atomic_bool *done = delivery->context;

    printf("%.*s: %zu lines, the first %lld x %.*s at %lld.%02lld %s\n", SKALD_FMT(order->order_id),
           order->lines.count, (long long)order->lines.items[0].quantity,
           SKALD_FMT(order->lines.items[0].product),
           (long long)(order->lines.items[0].price.minor / 100),
           (long long)(order->lines.items[0].price.minor % 100),
           order->lines.items[0].price.currency);
    atomic_store(done, true);
    return SKALD_ACK;
}

static skald_err show(void)
{
    skald_buf text = {.bytes_max = 65536};
    skald_err err = skald_type_write(order_placed_type(), SKALD_TYPESCRIPT, &text);

    if (!err) printf("%.*s", (int)text.len, text.ptr);
    skald_buf_fini(&text);
    return err;
}

static skald_err run(skald_bus *bus, skald_error *error)
{
    atomic_bool done = false;
    const order_line lines[] = {
        {SKALD_STR("tea"), 3, {4990, "NOK"}},
        {SKALD_STR("cup"), 1, {12000, "NOK"}},
    };
    const order_placed order = {
        .order_id = SKALD_STR("order-7"),
        .customer_id = skald_uuid_named((skald_uuid){{1}}, SKALD_STR("kari")),
        .email = SKALD_STR("kari@example.no"),
        .lines = {lines, 2},
        .channel = CHANNEL_PHONE,
    };
    const skald_event envelope = {.stream = SKALD_STR("order-7")};
    const skald_publish_options publish = {.reterr_error = error};
    const skald_subscription_options options = {.name = "orders", .handler.context = &done};
    skald_subscription subscription;

    SKALD_TRY(order_placed_subscribe(bus, on_order, &options, &subscription, error));
    SKALD_TRY(order_placed_publish(bus, &order, &envelope, &publish));
    while (!atomic_load(&done)) thrd_sleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    SKALD_TRY(skald_bus_stop(bus, 5000));
    return show();
}

int main(int argc, char **argv)
{
    skald_error error = {0};
    skald_store *store = NULL;
    skald_bus *bus = NULL;
    skald_err err = skald_store_open(argc > 1 ? argv[1] : "memory:", NULL, &store, &error);

    if (!err) err = skald_bus_new(store, NULL, &bus);
    if (!err) err = run(bus, &error);
    if (err) fprintf(stderr, "%s: %s\n", skald_err_name(err), error.text);
    skald_bus_free(bus);
    skald_store_close(store);
    return err ? 1 : 0;
}
