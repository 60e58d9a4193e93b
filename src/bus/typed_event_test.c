// SPDX-License-Identifier: Apache-2.0
// Events as C structs: one list of fields yields the struct, its descriptor, the codec, publish and
// subscribe; every member that does not fit is refused by name.
#include "base/alloc.h"
#include "base/buf.h"
#include "bus/bus_rig.h"

#include <float.h>
#include <locale.h>
#include <math.h>

#define VAT_CODE(ONE) ONE(VAT_25, "25") ONE(VAT_15, "15") ONE(VAT_NONE, "none")
SKALD_CHOICE(vat_code, VAT_CODE);

#define ADDRESS(FIELD)            \
    FIELD(text, street, "street") \
    FIELD(optional(text), co, "co")
SKALD_RECORD(address, ADDRESS);

#define ORDER_LINE(FIELD)            \
    FIELD(text, product, "product")  \
    FIELD(i64, quantity, "quantity") \
    FIELD(money, price, "price")     \
    FIELD(choice(vat_code), vat, "vatCode")
SKALD_RECORD(order_line, ORDER_LINE);

#define ORDER_CREATED(FIELD)                        \
    FIELD(subject(uuid), customer_id, "customerId") \
    FIELD(text, order_id, "orderId")                \
    FIELD(personal(text), email, "email")           \
    FIELD(personal(optional(text)), phone, "phone") \
    FIELD(object(address), ship_to, "shipTo")       \
    FIELD(optional(object(address)), bill, "bill")  \
    FIELD(list(order_line), lines, "lines")         \
    FIELD(texts, tags, "tags")                      \
    FIELD(uuids, parts, "parts")                    \
    FIELD(optional(date), due_on, "dueOn")          \
    FIELD(optional(i64), floor, "floor")            \
    FIELD(optional(choice(vat_code)), vat, "vat")   \
    FIELD(time, at, "at")                           \
    FIELD(f64, score, "score")                      \
    FIELD(flag, gift, "gift")                       \
    FIELD(json, extra, "extra")
SKALD_EVENT(order_created, "order.created", ORDER_CREATED, 1,
            .aliases = "ORDER_CREATED OrderCreatedEvent", .priority = SKALD_HIGH);

// In another file it would be the same type: a copy of its own, of the same shape.
#define PAID(FIELD) FIELD(money, amount, "amount")
SKALD_EVENT(order_paid, "order.paid", PAID, 2);
SKALD_EVENT(order_paid_copy, "order.paid", PAID, 2);
SKALD_EVENT(order_paid_other, "order.paid", ADDRESS, 2);
SKALD_EVENT(order_paid_newer, "order.paid", ADDRESS, 3);

// Two that others publish as classes of these names.
#define TASK_CREATED(FIELD)                  \
    FIELD(text, task_id, "taskId")           \
    FIELD(text, title, "title")              \
    FIELD(text, description, "description")  \
    FIELD(text, creator_id, "creatorId")     \
    FIELD(text, workspace_id, "workspaceId") \
    FIELD(optional(text), project_id, "projectId")
SKALD_EVENT(task_created, "task.created", TASK_CREATED, 1, .aliases = "TaskCreatedEvent");

#define SHOP_ORDER(FIELD)                  \
    FIELD(text, order_id, "orderId")       \
    FIELD(text, customer_id, "customerId") \
    FIELD(f64, total_amount, "totalAmount")
SKALD_EVENT(shop_order, "order.created", SHOP_ORDER, 1,
            .aliases = "OrderCreated OrderCreatedEvent orders.created", .priority = SKALD_HIGH);

static skald_arena *arena;

static int make_arena(void **state)
{
    (void)state;
    return skald_arena_new(1 << 20, &arena) ? -1 : 0;
}

static int free_arena(void **state)
{
    (void)state;
    skald_arena_free(arena);
    return 0;
}

static const order_line some_lines[] = {
    {SKALD_STR("tea \"green\"\n"), 25, {19990, "NOK"}, VAT_15},
    {SKALD_STR("cup"), -1, {-5, "NOK"}, VAT_25},
};
static const skald_str some_tags[] = {SKALD_STR("a"), SKALD_STR("")};
static const skald_uuid some_parts[] = {{{7}}, {{8}}};

static order_created some_order(void)
{
    return (order_created){
        .customer_id.bytes = {1, 0x92, 3},
        .order_id = SKALD_STR("order-123"),
        .email = SKALD_STR("kari@example.no"),
        .phone = {true, SKALD_STR("+47")},
        .ship_to = {.street = SKALD_STR("Storgata 1"), .co = {true, SKALD_STR("Ola")}},
        .lines = {some_lines, 2},
        .tags = {some_tags, 2},
        .parts = {some_parts, 2},
        .due_on = {true, 20484},
        .floor = {true, -3},
        .vat = {true, VAT_NONE},
        .at = 1700000000000000,
        .score = 0.1,
        .gift = true,
        .extra = SKALD_STR("{\"a\":[1,{\"b\":2}]}"),
    };
}

static const char some_json[] =
    "{\"customerId\":\"01920300-0000-0000-0000-000000000000\",\"orderId\":\"order-123\","
    "\"email\":\"kari@example.no\",\"phone\":\"+47\","
    "\"shipTo\":{\"street\":\"Storgata 1\",\"co\":\"Ola\"},"
    "\"lines\":[{\"product\":\"tea \\\"green\\\"\\n\",\"quantity\":25,"
    "\"price\":{\"amount\":\"199.90\",\"currency\":\"NOK\"},\"vatCode\":\"15\"},"
    "{\"product\":\"cup\",\"quantity\":-1,\"price\":{\"amount\":\"-0.05\",\"currency\":\"NOK\"},"
    "\"vatCode\":\"25\"}],\"tags\":[\"a\",\"\"],"
    "\"parts\":[\"07000000-0000-0000-0000-000000000000\","
    "\"08000000-0000-0000-0000-000000000000\"],\"dueOn\":\"2026-01-31\",\"floor\":-3,"
    "\"vat\":\"none\",\"at\":\"2023-11-14T22:13:20.000000Z\",\"score\":0.1,\"gift\":true,"
    "\"extra\":{\"a\":[1,{\"b\":2}]}}";

static void a_struct_becomes_json_and_comes_back(void **state)
{
    const order_created order = some_order();
    skald_buf buf = {.bytes_max = 1 << 16};
    skald_event event;
    const order_created *read = NULL;

    (void)state;
    assert_int_equal(order_created_event(&order, arena, &event, NULL), SKALD_OK);
    assert_int_equal(event.data.len, sizeof(some_json) - 1);
    assert_memory_equal(event.data.ptr, some_json, event.data.len);
    assert_string_equal(event.type.ptr, "order.created");
    assert_int_equal(event.version, 1);
    assert_int_equal(event.priority, SKALD_HIGH);
    assert_int_equal(order_created_of(&event, arena, &read, NULL), SKALD_OK);
    assert_int_equal(read->lines.count, 2);
    assert_int_equal(read->lines.items[0].vat, VAT_15);
    assert_int_equal(read->lines.items[1].price.minor, -5);
    assert_true(skald_str_equal(read->lines.items[0].product, some_lines[0].product));
    assert_true(read->ship_to.co.has && skald_str_equal(read->ship_to.co.value, SKALD_STR("Ola")));
    assert_false(read->bill.has);
    assert_true(read->due_on.has && read->due_on.value == 20484);
    assert_true(skald_uuid_equal(read->parts.items[1], some_parts[1]));
    assert_true(read->score == 0.1 && read->gift && read->at == order.at);
    assert_int_equal(skald_encode(order_created_record(), read, &buf, NULL), SKALD_OK);
    assert_int_equal(buf.len, event.data.len);
    assert_memory_equal(buf.ptr, some_json, buf.len);
    skald_buf_fini(&buf);
}

static void the_descriptor_knows_its_marks(void **state)
{
    const skald_record *record = order_created_record();

    (void)state;
    assert_int_equal(record->field_count, 16);
    assert_int_equal(record->fields[0].flags, SKALD_SUBJECT);
    assert_int_equal(record->fields[2].flags, SKALD_PERSONAL);
    assert_int_equal(record->fields[3].flags, SKALD_PERSONAL | SKALD_OPTIONAL);
    assert_int_equal(record->fields[6].kind, SKALD_LIST);
    assert_ptr_equal(record->fields[6].record, order_line_record);
    assert_string_equal(order_created_type()->aliases, "ORDER_CREATED OrderCreatedEvent");
}

static void what_cannot_be_written_is_refused(void **state)
{
    static const char *const fields[] = {"email", "score",          "dueOn",
                                         "vat",   "lines[1].price", "extra"};
    order_line lines[2] = {some_lines[0], some_lines[1]};

    (void)state;
    memcpy(lines[1].price.currency, "no", 3);
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        order_created order = some_order();
        skald_buf buf = {.bytes_max = 1 << 16};
        skald_error error = {0};

        if (i == 0) order.email = SKALD_STR("\xff");
        if (i == 1) order.score = INFINITY;
        if (i == 2) order.due_on.value = INT32_MAX;
        if (i == 3) order.vat.value = (vat_code)17;
        if (i == 4) order.lines.items = lines;
        if (i == 5) order.extra = SKALD_STR("{\"a\":");
        assert_int_equal(skald_buf_put(&buf, SKALD_STR("kept")), SKALD_OK);
        assert_int_equal(skald_encode(order_created_record(), &order, &buf, &error),
                         SKALD_EINVALID);
        assert_string_equal(error.field, fields[i]);
        assert_int_equal(buf.len, 4);
        skald_buf_fini(&buf);
    }
}

static void a_full_buffer_stays_as_it_was(void **state)
{
    const order_created order = some_order();

    (void)state;
    for (size_t max = 1; max < sizeof(some_json) - 1; max += 7) {
        skald_buf buf = {.bytes_max = max};

        assert_int_equal(skald_encode(order_created_record(), &order, &buf, NULL), SKALD_EFULL);
        assert_int_equal(buf.len, 0);
        skald_buf_fini(&buf);
    }
}

// One member of some_json replaced by others, and what is said of them.
static const struct {
    const char *was, *is, *field, *says;
} misfits[] = {
    {"\"orderId\":\"order-123\",", "", "orderId", "is missing; it must be a string"},
    {"\"order-123\"", "17", "orderId", "must be a string, not 17"},
    {"\"order-123\"", "null", "orderId", "must be a string, not null"},
    {"\"order-123\",", "\"a\",\"orderId\":\"b\",", "orderId", "is given twice"},
    {"01920300-", "x1920300-", "customerId", "must be a UUID as a string"},
    {"\"kari@example.no\"", "true", "email", "must be a string, not true"},
    {"\"Storgata 1\"", "[]", "shipTo.street", "must be a string, not an array"},
    {"\"quantity\":-1", "\"quantity\":1.5", "lines[1].quantity",
     "whole number of 64 bits, not 1.5"},
    {"\"quantity\":-1", "\"quantity\":9223372036854775808", "lines[1].quantity", "whole number"},
    {"\"-0.05\"", "\"-0.055\"", "lines[1].price", "must be an amount"},
    {"\"-0.05\"", "\"1e3\"", "lines[1].price", "must be an amount"},
    {"\"-0.05\"", "\"\"", "lines[1].price", "must be an amount"},
    {"\"-0.05\"", "\"99999999999999999999\"", "lines[1].price", "must be an amount"},
    {"\"-0.05\"", "5", "lines[1].price", "must be an amount"},
    {"\"-0.05\",", "\"-0.05\",\"more\":1,", "lines[1].price", "must be an amount"},
    {"\"NOK\"", "\"nok\"", "lines[0].price", "must be an amount"},
    {"\"vatCode\":\"25\"", "\"vatCode\":\"26\"", "lines[1].vatCode",
     "one of its names, not \"26\""},
    {"[\"a\",\"\"]", "[\"a\",7]", "tags[1]", "must be a string, not 7"},
    {"[\"a\",\"\"]", "{}", "tags", "must be an array of strings, not an object"},
    {"07000000-", "7-", "parts[0]", "must be a UUID"},
    {"{\"product\":\"cup\"", "7,{\"product\":\"cup\"", "lines[1]", "must be an object, not 7"},
    {"2026-01-31", "2026-02-31", "dueOn", "must be a date"},
    {"2026-01-31", "2026-01-31T00", "dueOn", "must be a date"},
    {"2023-11-14T22", "2023-11-14T25", "at", "must be a time"},
    {"\"score\":0.1", "\"score\":\"0.1\"", "score", "must be a number"},
    {"\"gift\":true", "\"gift\":1", "gift", "must be true or false, not 1"},
};

static skald_str replaced(const char *was, const char *is)
{
    const char *at = strstr(some_json, was);

    assert_non_null(at);
    return skald_arena_print(arena, "%.*s%s%s", (int)(at - some_json), some_json, is,
                             at + strlen(was));
}

static void each_misfit_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(misfits) / sizeof(*misfits); i++) {
        const void *object = NULL;
        skald_error error = {0};
        skald_str json = replaced(misfits[i].was, misfits[i].is);
        skald_err err = skald_decode(order_created_record(), json, arena, &object, &error);

        if (err != SKALD_ESCHEMA || strcmp(error.field, misfits[i].field) != 0 ||
            !strstr(error.text, misfits[i].says))
            fail_msg("%s: %s: %s", misfits[i].is, error.field, error.text);
        assert_null(object);
    }
}

static void personal_data_stays_out_of_errors(void **state)
{
    const void *object = NULL;
    skald_error error = {0};

    (void)state;
    skald_str json = replaced("\"+47\"", "4712345678");

    assert_int_equal(skald_decode(order_created_record(), json, arena, &object, &error),
                     SKALD_ESCHEMA);
    assert_string_equal(error.text, "phone must be a string, not a number");
}

static void what_is_newer_or_left_out_is_fine(void **state)
{
    const address *read = NULL;
    const void *object = NULL;

    (void)state;
    assert_int_equal(skald_decode(address_record(),
                                  SKALD_STR("{\"x\":{\"y\":\"}\"},\"co\":null,\"str\\u0065et\":"
                                            "\"s\\u00e6\"}"),
                                  arena, &object, NULL),
                     SKALD_OK);
    read = object;
    assert_false(read->co.has);
    assert_true(skald_str_equal(read->street, SKALD_STR("s\xc3\xa6")));
}

static void what_is_no_object_is_refused(void **state)
{
    const void *object = NULL;
    skald_error error = {0};

    (void)state;
    assert_int_equal(skald_decode(address_record(), SKALD_STR("[1]"), arena, &object, &error),
                     SKALD_ESCHEMA);
    assert_string_equal(error.text, "the data must be an object, not an array");
    assert_int_equal(skald_decode(address_record(), (skald_json){0}, arena, &object, &error),
                     SKALD_ESCHEMA);
    assert_int_equal(skald_decode(address_record(), SKALD_STR("{\"a\""), arena, &object, &error),
                     SKALD_EINVALID);
}

static void an_event_of_another_type_is_refused(void **state)
{
    const skald_event event = {.type = SKALD_STR("order.paid"), .data = SKALD_STR("{}")};
    const order_created *read = NULL;
    skald_event old = {.type = SKALD_STR("OrderCreatedEvent"),
                       .data = {some_json, sizeof(some_json) - 1}};
    skald_error error = {0};

    (void)state;
    assert_int_equal(order_created_of(&event, arena, &read, &error), SKALD_ESCHEMA);
    assert_string_equal(error.field, "type");
    assert_int_equal(order_created_of(&old, arena, &read, NULL), SKALD_OK); // from before it was
                                                                            // one
}

static void small_memory_is_said(void **state)
{
    const void *object = NULL;
    const order_created order = some_order();
    skald_event event;
    skald_arena *small = NULL;
    skald_error error = {0};

    (void)state;
    assert_int_equal(skald_arena_new(16, &small), SKALD_OK);
    assert_int_equal(skald_decode(order_created_record(), skald_str_of(some_json), small, &object,
                                  &error),
                     SKALD_ENOMEM);
    assert_int_equal(order_created_event(&order, small, &event, &error), SKALD_ENOMEM);
    skald_arena_free(small);
    for (uint64_t n = 1;; n++) {
        skald_buf buf = {.bytes_max = 1 << 16};

        ski_alloc_fail_at(n);
        skald_err err = skald_encode(order_created_record(), &order, &buf, NULL);

        ski_alloc_fail_at(0);
        skald_buf_fini(&buf);
        if (!err) break;
        assert_int_equal(err, SKALD_ENOMEM);
    }
}

// Numbers come back the same, also where people write a comma.
#define NUMBERS(FIELD)     \
    FIELD(f64, one, "one") \
    FIELD(i64, two, "two")
SKALD_RECORD(numbers, NUMBERS);

static void numbers_come_back_the_same(void **state)
{
    static const double doubles[] = {0,         -0.0,    1,       0.1,    1.0 / 3, 1e300,
                                     -2.5e-300, DBL_MAX, DBL_MIN, 123456, 1e21,    5e-324};
    static const int64_t wholes[] = {0, -1, INT64_MAX, INT64_MIN};

    (void)state;
    for (size_t i = 0; i < sizeof(doubles) / sizeof(*doubles); i++) {
        const numbers made = {doubles[i], wholes[i % 4]};
        skald_buf buf = {.bytes_max = 1 << 10};
        const void *object = NULL;

        assert_int_equal(skald_encode(numbers_record(), &made, &buf, NULL), SKALD_OK);
        assert_int_equal(skald_decode(numbers_record(), (skald_str){buf.ptr, buf.len}, arena,
                                      &object, NULL),
                         SKALD_OK);
        assert_memory_equal(object, &made, sizeof(made));
        skald_buf_fini(&buf);
    }
}

static void a_comma_is_no_point(void **state)
{
    static const char *const names[] = {"nb_NO.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (setlocale(LC_NUMERIC, names[i])) numbers_come_back_the_same(state);
    (void)setlocale(LC_NUMERIC, "C");
}

static void amounts_have_their_currencys_digits(void **state)
{
    static const struct {
        skald_money money;
        const char *json;
    } cases[] = {
        {{5, "NOK"}, "{\"amount\":{\"amount\":\"0.05\",\"currency\":\"NOK\"}}"},
        {{-5, "NOK"}, "{\"amount\":{\"amount\":\"-0.05\",\"currency\":\"NOK\"}}"},
        {{500, "JPY"}, "{\"amount\":{\"amount\":\"500\",\"currency\":\"JPY\"}}"},
        {{1234, "KWD"}, "{\"amount\":{\"amount\":\"1.234\",\"currency\":\"KWD\"}}"},
        {{100000000000, "EUR"}, "{\"amount\":{\"amount\":\"1000000000.00\",\"currency\":\"EUR\"}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const order_paid made = {cases[i].money};
        skald_buf buf = {.bytes_max = 1 << 10};
        const void *object = NULL;

        assert_int_equal(skald_encode(order_paid_record(), &made, &buf, NULL), SKALD_OK);
        assert_int_equal(buf.len, strlen(cases[i].json));
        assert_memory_equal(buf.ptr, cases[i].json, buf.len);
        assert_int_equal(skald_decode(order_paid_record(), (skald_str){buf.ptr, buf.len}, arena,
                                      &object, NULL),
                         SKALD_OK);
        assert_int_equal(((const order_paid *)object)->amount.minor, cases[i].money.minor);
        skald_buf_fini(&buf);
    }
}

// Publish and subscribe.

typedef struct seen {
    uint32_t count, ends;
    int64_t minor;
    char currency[4];
    void *context;
} seen;

static skald_outcome see_paid(const skald_delivery *delivery, const order_paid *paid)
{
    seen *to = delivery->context;

    to->count++;
    to->minor = paid->amount.minor;
    memcpy(to->currency, paid->amount.currency, 4);
    if (paid->amount.minor == 13) return skald_reject(delivery, "%s", "unlucky");
    return SKALD_ACK;
}

static void see_end(void *context)
{
    ((seen *)context)->ends++;
}

static void a_handler_is_given_the_struct(void **state)
{
    const order_paid paid = {.amount = {9900, "NOK"}};
    const skald_event envelope = {.stream = SKALD_STR("order-1"), .priority = SKALD_CRITICAL};
    seen to = {0};
    const skald_subscription_options options = {.name = "payments",
                                                .handler = {.context = &to, .end = see_end}};
    skald_subscription subscription;
    rig world;

    (void)state;
    rig_open(&world);
    assert_int_equal(order_paid_subscribe(world.bus, see_paid, &options, &subscription, NULL),
                     SKALD_OK);
    assert_int_equal(order_paid_publish(world.bus, &paid, &envelope, NULL), SKALD_OK);
    (void)skald_bus_run(world.bus, 10);
    assert_int_equal(to.count, 1);
    assert_int_equal(to.minor, 9900);
    assert_string_equal(to.currency, "NOK");
    // The type is known now, by its version.
    assert_true(skald_types_name(skald_bus_types(world.bus), SKALD_STR("order.paid")).ptr);
    assert_int_equal(skald_unsubscribe(world.bus, subscription, false), SKALD_OK);
    assert_int_equal(to.ends, 1);
    rig_close(&world);
}

static bool says(skald_str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static skald_subscription_state only_state(rig *world)
{
    const skald_subscription_state *states = NULL;
    size_t count = 0;

    assert_int_equal(skald_bus_subscriptions(world->bus, arena, &states, &count), SKALD_OK);
    assert_int_equal(count, 1);
    return states[0];
}

// see_begin opens a world in which see_paid is subscribed.
static void see_begin(rig *world, seen *to)
{
    const skald_subscription_options options = {.handler.context = to};
    skald_subscription subscription;

    rig_open(world);
    assert_int_equal(order_paid_subscribe(world->bus, see_paid, &options, &subscription, NULL),
                     SKALD_OK);
}

static void data_that_does_not_fit_is_rejected(void **state)
{
    const skald_event event = {.type = SKALD_STR("order.paid"),
                               .data = SKALD_STR(
                                   "{\"amount\":{\"amount\":\"1.005\",\"currency\":\"NOK\"}}")};
    seen to = {0};
    rig world;

    (void)state;
    see_begin(&world, &to);
    assert_int_equal(skald_publish(world.bus, event, NULL), SKALD_OK);
    (void)skald_bus_run(world.bus, 10);
    skald_subscription_state now = only_state(&world);

    assert_int_equal(to.count, 0);
    assert_int_equal(now.rejected, 1);
    assert_true(says(now.last_error, "it is no order.paid: amount must be an amount"));
    rig_close(&world);
}

static skald_err add_currency(void *context, skald_json data, skald_arena *scratch, skald_buf *buf)
{
    (void)context;
    (void)scratch;
    return ski_buf_print(buf, "{\"amount\":{\"amount\":%.*s,\"currency\":\"NOK\"}}",
                         SKALD_FMT(data));
}

static void an_old_event_becomes_the_struct_of_today(void **state)
{
    const skald_event event = {.type = SKALD_STR("order.paid"),
                               .version = 1,
                               .data = SKALD_STR("\"12.50\"")};
    seen to = {0};
    rig world;

    (void)state;
    see_begin(&world, &to);
    assert_int_equal(skald_schemas_upcast(skald_bus_schemas(world.bus), event.type, 1, add_currency,
                                          NULL),
                     SKALD_OK);
    assert_int_equal(skald_publish(world.bus, event, NULL), SKALD_OK);
    (void)skald_bus_run(world.bus, 10);
    assert_int_equal(to.count, 1);
    assert_int_equal(to.minor, 1250);
    rig_close(&world);
}

static void a_handlers_reason_is_noted(void **state)
{
    const order_paid paid = {.amount = {13, "NOK"}};
    seen to = {0};
    rig world;

    (void)state;
    see_begin(&world, &to);
    assert_int_equal(order_paid_publish(world.bus, &paid, NULL, NULL), SKALD_OK);
    (void)skald_bus_run(world.bus, 10);
    skald_subscription_state now = only_state(&world);

    assert_int_equal(to.count, 1);
    assert_true(says(now.last_error, "unlucky"));
    rig_close(&world);
}

static void bad_options_are_refused(void **state)
{
    static const skald_str types[] = {SKALD_STR("order.*")};
    seen to = {0};
    skald_subscription_options options = {.filter.types = {types, 1},
                                          .handler = {.context = &to, .end = see_end}};
    skald_subscription subscription;
    skald_error error = {0};
    rig world;

    (void)state;
    rig_open(&world);
    assert_int_equal(order_paid_subscribe(world.bus, see_paid, &options, &subscription, &error),
                     SKALD_EINVALID);
    assert_int_equal(to.ends, 1);
    options.filter = (skald_filter){0};
    options.in_flight_max = UINT32_MAX; // refused by the bus
    assert_int_equal(order_paid_subscribe(world.bus, see_paid, &options, &subscription, &error),
                     SKALD_EINVALID);
    assert_int_equal(to.ends, 2);
    rig_close(&world);
}

static skald_outcome see_task(const skald_delivery *delivery, const task_created *task)
{
    uint32_t *count = delivery->context;

    *count += skald_str_equal(task->title, SKALD_STR("Implement feature X")) &&
              skald_str_equal(task->project_id.value, SKALD_STR("project-101"));
    return SKALD_ACK;
}

static skald_outcome see_shop_order(const skald_delivery *delivery, const shop_order *order)
{
    uint32_t *count = delivery->context;

    *count += order->total_amount == 99.99 && delivery->event->priority == SKALD_HIGH;
    return SKALD_ACK;
}

static void classes_of_others_are_understood(void **state)
{
    static const char task[] =
        "{\"taskId\":\"task-123\",\"title\":\"Implement feature X\",\"description\":\"\","
        "\"creatorId\":\"user-456\",\"workspaceId\":\"workspace-789\","
        "\"projectId\":\"project-101\"}";
    const shop_order order = {SKALD_STR("order-123"), SKALD_STR("customer-456"), 99.99};
    uint32_t tasks = 0, orders = 0;
    const skald_subscription_options for_tasks = {.handler.context = &tasks};
    const skald_subscription_options for_orders = {.handler.context = &orders};
    skald_subscription subscription;
    rig world;

    (void)state;
    rig_open(&world);
    assert_int_equal(task_created_subscribe(world.bus, see_task, &for_tasks, &subscription, NULL),
                     SKALD_OK);
    assert_int_equal(shop_order_subscribe(world.bus, see_shop_order, &for_orders, &subscription,
                                          NULL),
                     SKALD_OK);
    assert_int_equal(skald_publish(world.bus,
                                   (skald_event){.type = SKALD_STR("TaskCreatedEvent"),
                                                 .data = skald_str_of(task)},
                                   NULL),
                     SKALD_OK);
    assert_int_equal(shop_order_publish(world.bus, &order, NULL, NULL), SKALD_OK);
    (void)skald_bus_run(world.bus, 10);
    assert_int_equal(tasks, 1);
    assert_int_equal(orders, 1);
    rig_close(&world);
}

static void one_version_has_one_shape(void **state)
{
    const order_paid_other other = {.street = SKALD_STR("x")};
    const order_paid_newer newer = {.street = SKALD_STR("x")};
    const order_paid_copy copy = {.amount = {1, "NOK"}};
    const order_paid paid = {.amount = {1, "NOK"}};
    skald_error error = {0};
    const skald_publish_options options = {.reterr_error = &error};
    skald_type_row row;
    rig world;

    (void)state;
    rig_open(&world);
    assert_int_equal(order_paid_publish(world.bus, &paid, NULL, NULL), SKALD_OK);
    assert_int_equal(order_paid_copy_publish(world.bus, &copy, NULL, NULL), SKALD_OK);
    assert_int_equal(order_paid_other_publish(world.bus, &other, NULL, &options), SKALD_EEXISTS);
    assert_string_equal(error.field, "version");
    assert_int_equal(order_paid_newer_publish(world.bus, &newer, NULL, NULL), SKALD_OK);
    const skald_type_row *rows = NULL;
    size_t count = 0;

    assert_int_equal(skald_types_list(skald_bus_types(world.bus), arena, &rows, &count), SKALD_OK);
    assert_int_equal(count, 1);
    row = rows[0];
    assert_int_equal(row.version_count, 2);
    assert_int_equal(row.versions[1], 3);
    assert_ptr_equal(row.declared, order_paid_newer_type());
    rig_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_struct_becomes_json_and_comes_back),
        cmocka_unit_test(the_descriptor_knows_its_marks),
        cmocka_unit_test(what_cannot_be_written_is_refused),
        cmocka_unit_test(a_full_buffer_stays_as_it_was),
        cmocka_unit_test(each_misfit_is_named),
        cmocka_unit_test(personal_data_stays_out_of_errors),
        cmocka_unit_test(what_is_newer_or_left_out_is_fine),
        cmocka_unit_test(what_is_no_object_is_refused),
        cmocka_unit_test(an_event_of_another_type_is_refused),
        cmocka_unit_test(small_memory_is_said),
        cmocka_unit_test(numbers_come_back_the_same),
        cmocka_unit_test(a_comma_is_no_point),
        cmocka_unit_test(amounts_have_their_currencys_digits),
        cmocka_unit_test(a_handler_is_given_the_struct),
        cmocka_unit_test(data_that_does_not_fit_is_rejected),
        cmocka_unit_test(an_old_event_becomes_the_struct_of_today),
        cmocka_unit_test(a_handlers_reason_is_noted),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(classes_of_others_are_understood),
        cmocka_unit_test(one_version_has_one_shape),
    };

    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
