// SPDX-License-Identifier: Apache-2.0
// Names of types on the bus: whatever name is published, the dotted one is stored; a filter by any
// name means all of them, also of a subscription that runs already; names outlive a restart.
#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "bus/bus_rig.h"
#include "event/types.h"

typedef struct seen {
    char types[256]; // of the events given, each with a space behind it
} seen;

static skald_outcome see(const skald_delivery *delivery)
{
    seen *to = delivery->context;
    size_t len = strlen(to->types);

    snprintf(to->types + len, sizeof(to->types) - len, "%.*s ", SKALD_FMT(delivery->event->type));
    return SKALD_ACK;
}

static void subscribe(rig *world, const char *name, const char *type, seen *to)
{
    const skald_str types[] = {skald_str_of(type)};
    const skald_subscription_options options = {.name = name,
                                                .filter.types = {types, 1},
                                                .handler = {.fn = see, .context = to}};
    skald_subscription subscription;

    assert_int_equal(skald_subscribe(world->bus, &options, &subscription, NULL), SKALD_OK);
}

static void publish(rig *world, const char *type)
{
    assert_int_equal(skald_publish(world->bus, (skald_event){.type = skald_str_of(type)}, NULL),
                     SKALD_OK);
}

static skald_err put(rig *world, const char *type, const char *alias, skald_error *error)
{
    const skald_str aliases[] = {skald_str_of(alias)};

    return skald_bus_type_put(world->bus, skald_str_of(type), (skald_texts){aliases, 1}, NULL,
                              error);
}

static void drain(rig *world)
{
    while (skald_bus_run(world->bus, 100)) {
    }
}

static void any_name_is_stored_dotted(void **state)
{
    seen all = {0}, dotted = {0}, constant = {0}, prefix = {0};
    rig world;

    (void)state;
    rig_open(&world);
    assert_int_equal(put(&world, "bedrift.created", "company.created", NULL), SKALD_OK);
    assert_int_equal(put(&world, "bedrift.created", "BEDRIFT_CREATED", NULL), SKALD_OK);
    subscribe(&world, "all", "*", &all);
    subscribe(&world, "dotted", "bedrift.created", &dotted);
    subscribe(&world, "constant", "BEDRIFT_CREATED", &constant);
    subscribe(&world, "prefix", "company.*", &prefix);
    publish(&world, "BEDRIFT_CREATED");
    publish(&world, "company.created");
    publish(&world, "bedrift.created");
    publish(&world, "company.moved"); // of no type: as it is
    drain(&world);
    assert_string_equal(all.types,
                        "bedrift.created bedrift.created bedrift.created company.moved ");
    assert_string_equal(dotted.types, "bedrift.created bedrift.created bedrift.created ");
    assert_string_equal(constant.types, dotted.types);
    assert_string_equal(prefix.types, all.types);
    rig_close(&world);
}

static void filters_are_shown_dotted(void **state)
{
    const skald_subscription_state *states = NULL;
    skald_arena *arena = NULL;
    size_t count = 0;
    seen to = {0};
    rig world;

    (void)state;
    rig_open(&world);
    assert_int_equal(skald_arena_new(1 << 20, &arena), SKALD_OK);
    assert_int_equal(put(&world, "order.placed", "ORDER_PLACED", NULL), SKALD_OK);
    subscribe(&world, "orders", "ORDER_PLACED", &to);
    assert_int_equal(skald_bus_subscriptions(world.bus, arena, &states, &count), SKALD_OK);
    assert_int_equal(count, 1);
    assert_int_equal(states[0].filter.types.count, 1);
    assert_true(skald_str_equal(states[0].filter.types.items[0], SKALD_STR("order.placed")));
    skald_arena_free(arena);
    rig_close(&world);
}

// A subscription asked for a name before it became another name of a type: it misses nothing.
static void who_runs_already_misses_nothing(void **state)
{
    seen constant = {0}, dotted = {0}, prefix = {0}, other = {0};
    rig world;

    (void)state;
    rig_open(&world);
    subscribe(&world, "constant", "ORDER_PLACED", &constant);
    subscribe(&world, "dotted", "order.placed", &dotted);
    subscribe(&world, "prefix", "orders.*", &prefix);
    subscribe(&world, "other", "other", &other);
    publish(&world, "ORDER_PLACED");
    drain(&world);
    assert_string_equal(constant.types, "ORDER_PLACED ");
    assert_string_equal(dotted.types, "");
    assert_int_equal(put(&world, "order.placed", "ORDER_PLACED", NULL), SKALD_OK);
    assert_int_equal(put(&world, "order.placed", "orders.placed", NULL), SKALD_OK);
    publish(&world, "ORDER_PLACED");
    publish(&world, "orders.placed");
    drain(&world);
    assert_string_equal(constant.types, "ORDER_PLACED order.placed order.placed ");
    assert_string_equal(dotted.types, "order.placed order.placed ");
    assert_string_equal(prefix.types, "order.placed order.placed ");
    assert_string_equal(other.types, "");
    rig_close(&world);
}

static void filters_have_a_limit(void **state)
{
    static char names[SKI_FILTER_ITEMS_MAX][24];
    static skald_str types[SKI_FILTER_ITEMS_MAX];
    seen to = {0};
    skald_subscription_options options = {.filter.types = {types, SKI_FILTER_ITEMS_MAX},
                                          .handler = {.fn = see, .context = &to}};
    skald_subscription subscription;
    skald_error error = {0};
    rig world;

    (void)state;
    rig_open(&world);
    for (int i = 0; i < SKI_FILTER_ITEMS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "type.%d", i);
        types[i] = skald_str_of(names[i]);
    }
    assert_int_equal(skald_subscribe(world.bus, &options, &subscription, NULL), SKALD_OK);
    assert_int_equal(put(&world, "type.7", "TYPE_7", &error), SKALD_EFULL);
    assert_null(skald_types_name(skald_bus_types(world.bus), SKALD_STR("TYPE_7")).ptr);
    assert_int_equal(skald_unsubscribe(world.bus, subscription, true), SKALD_OK);
    (void)rig_run(&world);
    assert_int_equal(put(&world, "type.7", "TYPE_7", &error), SKALD_OK);
    assert_int_equal(skald_subscribe(world.bus, &options, &subscription, &error), SKALD_ETOOBIG);
    assert_string_equal(error.field, "filter.types");
    rig_close(&world);
}

static void names_outlive_a_restart(void **state)
{
    const bool transient = true;
    seen early = {0};
    skald_error error = {0};
    ski_type_look look = {0};
    rig world;

    (void)state;
    rig_open(&world);
    publish(&world, "ORDER_PLACED"); // before it had another name
    assert_int_equal(put(&world, "order.placed", "ORDER_PLACED", NULL), SKALD_OK);
    assert_int_equal(put(&world, "order.placed", "odd \"name\"", NULL), SKALD_EINVALID);
    assert_int_equal(put(&world, "order.placed", "odd\"name", NULL), SKALD_OK);
    assert_int_equal(skald_bus_type_put(world.bus, SKALD_STR("user.typing"), (skald_texts){0},
                                        &transient, NULL),
                     SKALD_OK);
    for (int crash = 0; crash < 2; crash++) {
        rig_restart(&world, crash);
        assert_true(
            skald_str_equal(skald_types_name(skald_bus_types(world.bus), SKALD_STR("ORDER_PLACED")),
                            SKALD_STR("order.placed")));
        assert_true(
            skald_str_equal(skald_types_name(skald_bus_types(world.bus), SKALD_STR("odd\"name")),
                            SKALD_STR("order.placed")));
        assert_true(ski_types_look(world.bus->types, SKALD_STR("user.typing"), &look));
        assert_true(look.transient);
        assert_int_equal(put(&world, "other.type", "ORDER_PLACED", &error), SKALD_EEXISTS);
    }
    publish(&world, "order.placed");
    subscribe(&world, "early", "order.placed", &early); // from the start, by every name
    drain(&world);
    assert_string_equal(early.types, "ORDER_PLACED order.placed ");
    rig_close(&world);
}

static void strict_refuses_unknown_names(void **state)
{
    const skald_event events[] = {{.type = SKALD_STR("order.placed")},
                                  {.type = SKALD_STR("order.plaiced")}};
    skald_error error = {0};
    const skald_publish_options options = {.reterr_error = &error};
    rig world;

    (void)state;
    rig_open(&world);
    assert_int_equal(put(&world, "order.placed", "ORDER_PLACED", NULL), SKALD_OK);
    skald_types_strict(skald_bus_types(world.bus), true);
    publish(&world, "ORDER_PLACED");
    assert_int_equal(skald_publish_all(world.bus, events, 2, &options, NULL), SKALD_EINVALID);
    assert_string_equal(error.field, "[1].type");
    assert_string_equal(error.text,
                        "no type 'order.plaiced' is known; did you mean 'order.placed'?");
    assert_int_equal(skald_store_head(world.store), 1);
    rig_close(&world);
}

static skald_err publish_total(rig *world, const char *type, uint32_t version, const char *data,
                               skald_error *error)
{
    const skald_publish_options options = {.reterr_error = error};

    *error = (skald_error){0};
    return skald_publish(
        world->bus,
        (skald_event){.type = skald_str_of(type), .version = version, .data = skald_str_of(data)},
        &options);
}

static void schemas_are_kept_and_asked(void **state)
{
    static const char schema[] = "{\"type\":\"object\",\"required\":[\"total\"],"
                                 "\"properties\":{\"total\":{\"type\":\"integer\"}}}";
    skald_error error;
    rig world;

    (void)state;
    rig_open(&world);
    assert_int_equal(publish_total(&world, "order.placed", 0, "[]", &error), SKALD_OK);
    assert_int_equal(put(&world, "order.placed", "ORDER_PLACED", NULL), SKALD_OK);
    assert_int_equal(skald_schemas_put(skald_bus_schemas(world.bus), SKALD_STR("order.placed"), 1,
                                       skald_str_of(schema), SKALD_COMPATIBILITY_DEFAULT, &error),
                     SKALD_OK);
    for (int crash = 0; crash < 2; crash++) {
        assert_int_equal(publish_total(&world, "ORDER_PLACED", 1, "{\"total\":7}", &error),
                         SKALD_OK);
        assert_int_equal(publish_total(&world, "ORDER_PLACED", 0, "{\"total\":1.5}", &error),
                         SKALD_ESCHEMA);
        assert_non_null(strstr(error.field, "total"));
        assert_int_equal(publish_total(&world, "order.placed", 2, "{\"total\":7}", &error),
                         SKALD_ESCHEMA);
        assert_string_equal(error.text, "'order.placed' has schemas, but none of version 2");
        assert_int_equal(publish_total(&world, "order.moved", 2, "7", &error), SKALD_OK);
        rig_restart(&world, crash);
    }
    rig_close(&world);
}

static void value_done(skald_store_batch *batch, skald_err err)
{
    *(skald_err *)batch->context = err;
}

// What a step does: its context is what to write, "%.*s" being what there was.
static skald_err step(void *context, skald_json data, skald_arena *scratch, skald_buf *buf)
{
    const char *format = context;

    (void)scratch;
    if (!format) return SKALD_EINVALID;
    return ski_buf_print(buf, format, SKALD_FMT(data)); // style: the test's own formats
}

static skald_outcome see_data(const skald_delivery *delivery)
{
    seen *to = delivery->context;
    size_t len = strlen(to->types);

    snprintf(to->types + len, sizeof(to->types) - len, "%u:%.*s ", delivery->event->version,
             SKALD_FMT(delivery->event->data));
    return SKALD_ACK;
}

static void old_events_are_given_in_the_newest_version(void **state)
{
    const skald_str types[] = {SKALD_STR("order.made")};
    seen newest = {0}, as_is = {0};
    skald_subscription_options options = {.name = "newest",
                                          .filter.types = {types, 1},
                                          .handler = {.fn = see_data, .context = &newest},
                                          .order = SKALD_IN_SEQUENCE,
                                          .on_exhausted = SKALD_DEAD_LETTER,
                                          .upcasts = true};
    skald_schemas *schemas;
    skald_cursor *cursor;
    const skald_event *event;
    skald_aside_query query = {0};
    const skald_aside *asides;
    skald_arena *arena;
    size_t count;
    rig world;

    (void)state;
    rig_open(&world);
    assert_int_equal(skald_arena_new(16 << 20, &arena), SKALD_OK);
    schemas = skald_bus_schemas(world.bus);
    assert_int_equal(skald_schemas_upcast(schemas, types[0], 1, step, "{\"a\":%.*s}"), SKALD_OK);
    assert_int_equal(skald_schemas_upcast(schemas, types[0], 2, step, "[%.*s]"), SKALD_OK);
    assert_int_equal(skald_schemas_upcast(schemas, types[0], 4, step, NULL), SKALD_OK);
    rig_subscribe(&world, &options);
    options.name = "as-is";
    options.upcasts = false;
    options.handler.context = &as_is;
    rig_subscribe(&world, &options);
    for (uint32_t version = 0; version <= 4; version++)
        assert_int_equal(skald_publish(world.bus,
                                       (skald_event){.type = types[0],
                                                     .data = SKALD_STR("7"),
                                                     .version = version},
                                       NULL),
                         SKALD_OK);
    drain(&world);
    assert_string_equal(newest.types, "3:[{\"a\":7}] 3:[{\"a\":7}] 3:[7] 3:7 ");
    assert_string_equal(as_is.types, "1:7 1:7 2:7 3:7 4:7 ");
    assert_int_equal(skald_bus_asides(world.bus, &query, arena, &asides, &count), SKALD_OK);
    assert_int_equal(count, 1); // without a call; the event is as it was
    assert_int_equal(asides[0].position, 5);
    assert_true(ski_str_begins(asides[0].error,
                               SKALD_STR("the step from version 4 of 'order.made' failed")));
    assert_int_equal(skald_cursor_open(world.store, NULL, &cursor), SKALD_OK);
    assert_int_equal(skald_cursor_next(cursor, &event, NULL), SKALD_OK);
    skald_event read = *event;

    assert_int_equal(skald_schemas_read(schemas, &read, arena, NULL), SKALD_OK);
    assert_int_equal(read.version, 3);
    assert_true(skald_str_equal(read.data, SKALD_STR("[{\"a\":7}]")));
    skald_cursor_close(cursor);
    skald_arena_free(arena);
    rig_close(&world);
}

enum { large = 900 * 1024, larger = 3000 };

// grow makes of a text one that is as long again: too much with the last step.
static skald_err grow(void *context, skald_json data, skald_arena *scratch, skald_buf *buf)
{
    (void)scratch;
    SKALD_TRY(ski_buf_print(buf, "[%.*s", SKALD_FMT(data)));
    for (int i = context ? 0 : larger; i < larger; i++)
        SKALD_TRY(ski_buf_print(buf, ",%.*s", SKALD_FMT(data)));
    return ski_buf_byte(buf, ']');
}

static skald_outcome see_size(const skald_delivery *delivery)
{
    *(size_t *)delivery->context += delivery->event->data.len;
    return SKALD_ACK;
}

static void steps_of_large_events_fit_and_what_never_fits_is_rejected(void **state)
{
    const skald_str types[] = {SKALD_STR("order.made")};
    size_t bytes = 0;
    skald_subscription_options options = {.name = "large",
                                          .filter.types = {types, 1},
                                          .handler = {.fn = see_size, .context = &bytes},
                                          .upcasts = true};
    static char text[large];
    bool grows = true;
    skald_schemas *schemas;
    rig world;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[0] = text[large - 1] = '"';
    rig_open(&world);
    schemas = skald_bus_schemas(world.bus);
    for (uint32_t version = 1; version <= 5; version++)
        assert_int_equal(skald_schemas_upcast(schemas, types[0], version, grow, NULL), SKALD_OK);
    skald_subscription made = rig_subscribe(&world, &options);
    const skald_event event = {.type = types[0], .data = {text, large}};

    assert_int_equal(skald_publish(world.bus, event, NULL), SKALD_OK);
    drain(&world);
    assert_int_equal(bytes, large + 10);
    assert_int_equal(skald_schemas_upcast(schemas, types[0], 6, grow, &grows), SKALD_OK);
    assert_int_equal(skald_publish(world.bus, event, NULL), SKALD_OK);
    drain(&world);
    ski_bus_lock(world.bus);
    const ski_subscription *sub = ski_subscription_find(world.bus, made.id);
    uint64_t rejected = sub->rejected, retried = sub->retried;

    ski_bus_leave(world.bus);
    assert_int_equal(rejected, 1);
    assert_int_equal(retried, 0);
    assert_int_equal(bytes, large + 10);
    rig_close(&world);
}

static void damage_is_said(void **state)
{
    static const char *const bad[] = {"7", "[]", "{\"aliases\":7}", "{\"aliases\":[7]}",
                                      "{\"aliases\":["};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const skald_store_value value = {SKALD_STR("type/a.b"), skald_str_of(bad[i])};
        skald_err written = SKALD_EIO;
        skald_store_batch batch = {
            .values = &value, .value_count = 1, .done = value_done, .context = &written};
        skald_types *types = NULL;
        skald_error error = {0};
        skald_bus *bus = NULL;
        rig world;

        rig_open(&world);
        assert_int_equal(ski_store_commit(world.store, &batch), SKALD_OK);
        assert_int_equal(written, SKALD_OK);
        assert_int_equal(skald_types_new(0, &types), SKALD_OK);
        assert_int_equal(skald_types_load(types, world.store, &error), SKALD_ECORRUPT);
        assert_string_equal(error.text, "what is kept of the type 'a.b' is damaged");
        assert_int_equal(skald_bus_new(world.store, &world.options, &bus), SKALD_ECORRUPT);
        skald_types_free(types);
        rig_close(&world);
    }
}

static void memory_may_run_out(void **state)
{
    seen to = {0};
    rig world;

    (void)state;
    rig_open(&world);
    subscribe(&world, "constant", "ORDER_PLACED", &to);
    for (uint64_t n = 1;; n++) {
        ski_alloc_fail_at(n);
        skald_err err = put(&world, "order.placed", "ORDER_PLACED", NULL);

        ski_alloc_fail_at(0);
        if (!err) break;
        assert_int_equal(err, SKALD_ENOMEM);
    }
    publish(&world, "ORDER_PLACED");
    drain(&world);
    assert_string_equal(to.types, "order.placed ");
    rig_close(&world);
}

// A name that fails behind others leaves each subscription under the names it had.
static void what_ran_already_misses_nothing_when_memory_runs_out(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        seen to = {0};
        rig world;

        rig_open(&world);
        subscribe(&world, "constant", "ORDER_PLACED", &to);
        drain(&world);
        ski_alloc_fail_at(n);
        skald_err err = put(&world, "order.placed", "ORDER_PLACED", NULL);

        ski_alloc_fail_at(0);
        publish(&world, "ORDER_PLACED");
        drain(&world);
        assert_int_equal(strlen(to.types), strlen("order.placed "));
        rig_close(&world);
        if (!err) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_name_is_stored_dotted),
        cmocka_unit_test(filters_are_shown_dotted),
        cmocka_unit_test(who_runs_already_misses_nothing),
        cmocka_unit_test(filters_have_a_limit),
        cmocka_unit_test(names_outlive_a_restart),
        cmocka_unit_test(strict_refuses_unknown_names),
        cmocka_unit_test(schemas_are_kept_and_asked),
        cmocka_unit_test(old_events_are_given_in_the_newest_version),
        cmocka_unit_test(steps_of_large_events_fit_and_what_never_fits_is_rejected),
        cmocka_unit_test(damage_is_said),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(what_ran_already_misses_nothing_when_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
