// SPDX-License-Identifier: Apache-2.0
// An aggregate: what a stream amounts to is made of its events, from a snapshot on where there is
// one. A command loads it, decides, and appends what happened if nobody else was faster.
#include <skald/skald.h>
#include <stdio.h>

#define ITEM_ADDED(FIELD) FIELD(text, product, "product") FIELD(i64, price, "price")
SKALD_EVENT(item_added, "cart.item_added", ITEM_ADDED, 1);

#define CART(FIELD) FIELD(i64, items, "items") FIELD(i64, total, "total")
SKALD_RECORD(cart, CART); // the state, and what a snapshot holds

enum { cart_schema = 1, snapshot_every = 5, attempts_max = 10, items_max = 12 };

typedef struct loaded {
    cart state;
    uint64_t version;          // of the newest event in it
    uint64_t snapshot_version; // 0: all of it was folded
} loaded;

// apply is the only place where an event changes the state. Events it does not know change nothing.
static skald_err apply(cart *state, const skald_event *event, skald_arena *arena,
                       skald_error *error)
{
    const item_added *added = NULL;

    if (!skald_str_equal(event->type, SKALD_STR("cart.item_added"))) return SKALD_OK;
    SKALD_TRY(item_added_of(event, arena, &added, error));
    state->items++;
    state->total += added->price;
    return SKALD_OK;
}

static skald_err begin(skald_store *store, skald_str stream, skald_arena *arena, loaded *cart_at,
                       skald_error *error)
{
    skald_snapshot snapshot;
    const void *state = NULL;
    skald_err err =
        skald_snapshot_get(store, (skald_str){0}, stream, cart_schema, arena, &snapshot);

    *cart_at = (loaded){0};
    // None, or one of a program that folded in another way: from the first event on.
    if (err == SKALD_ENOTFOUND || err == SKALD_ESCHEMA) return SKALD_OK;
    if (!err) err = skald_decode(cart_record(), snapshot.bytes, arena, &state, error);
    if (err) return err;
    *cart_at = (loaded){*(const cart *)state, snapshot.stream_version, snapshot.stream_version};
    return SKALD_OK;
}

static skald_err load(skald_store *store, skald_str stream, skald_arena *arena, loaded *ret_cart,
                      skald_error *error)
{
    skald_read read = {.filter = {.streams = {&stream, 1}, .tenant = SKALD_STR("")}};
    const skald_event *event = NULL;
    skald_cursor *cursor = NULL;
    skald_err err;

    SKALD_TRY(begin(store, stream, arena, ret_cart, error));
    read.version_from = ret_cart->version + 1;
    SKALD_TRY(skald_cursor_open(store, &read, &cursor));
    while (!(err = skald_cursor_next(cursor, &event, error)) && event) {
        err = apply(&ret_cart->state, event, arena, error);
        if (err) break;
        ret_cart->version = event->stream_version;
    }
    skald_cursor_close(cursor);
    return err;
}

static skald_err keep(skald_store *store, skald_str stream, const loaded *cart_at,
                      skald_error *error)
{
    skald_buf text = {.bytes_max = 4096};
    skald_err err = skald_encode(cart_record(), &cart_at->state, &text, error);
    skald_snapshot snapshot = {.stream_version = cart_at->version, .schema_version = cart_schema};

    snapshot.bytes = (skald_str){text.ptr, text.len};
    if (!err) err = skald_snapshot_put(store, (skald_str){0}, stream, &snapshot, error);
    skald_buf_fini(&text);
    return err;
}

// add is a command. It fails with STATE when the cart is full; with CONFLICT when others were
// faster, again and again.
static skald_err add(skald_store *store, skald_str stream, const item_added *item,
                     skald_arena *arena, skald_error *error)
{
    skald_err err = SKALD_ECONFLICT;
    loaded cart_at;

    for (int i = 0; err == SKALD_ECONFLICT && i < attempts_max; i++) {
        skald_expect here = {.stream = stream, .expected = SKALD_AT};
        const skald_append_options options = {.expect = &here, .expect_count = 1};
        skald_event event;

        skald_arena_reset(arena);
        SKALD_TRY(load(store, stream, arena, &cart_at, error));
        if (cart_at.state.items == items_max)
            return skald_fail(error, SKALD_ESTATE, "a cart holds %d items", items_max);
        SKALD_TRY(item_added_event(item, arena, &event, error));
        event.stream = stream;
        here.version = cart_at.version;
        err = skald_store_append(store, &event, 1, &options, NULL, error);
    }
    if (!err && (cart_at.version + 1) % snapshot_every == 0) {
        SKALD_TRY(load(store, stream, arena, &cart_at, error));
        err = keep(store, stream, &cart_at, error);
    }
    return err;
}

static skald_err run(skald_store *store, skald_arena *arena, skald_error *error)
{
    const skald_str stream = SKALD_STR("cart-7");
    const item_added items[] = {{SKALD_STR("tea"), 4990}, {SKALD_STR("cup"), 12000}};
    loaded cart_at;

    for (int i = 0; i < 4; i++) SKALD_TRY(add(store, stream, &items[i % 2], arena, error));
    SKALD_TRY(load(store, stream, arena, &cart_at, error));
    printf("%lld items, %lld.%02lld, version %llu, folded from %llu on\n",
           (long long)cart_at.state.items, (long long)(cart_at.state.total / 100),
           (long long)(cart_at.state.total % 100), (unsigned long long)cart_at.version,
           (unsigned long long)cart_at.snapshot_version);
    return SKALD_OK;
}

int main(int argc, char **argv)
{
    skald_error error = {0};
    skald_arena *arena = NULL;
    skald_store *store = NULL;
    skald_err err = skald_store_open(argc > 1 ? argv[1] : "log:data", NULL, &store, &error);

    if (!err) err = skald_arena_new(1 << 20, &arena);
    if (!err) err = run(store, arena, &error);
    if (err) fprintf(stderr, "%s: %s\n", skald_err_name(err), error.text);
    skald_arena_free(arena);
    skald_store_close(store);
    return err ? 1 : 0;
}
