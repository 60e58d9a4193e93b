// SPDX-License-Identifier: Apache-2.0
// Spans of the bus: a publish, its deliveries and what their handlers publish are one tree; what is
// not sampled is handed on as it came.
#include "bus/bus_rig.h"

enum { spans_max = 256, text_bytes = 200 };

typedef struct kept {
    ski_trace trace;
    uint8_t parent[8];
    ski_span_kind kind;
    char name[text_bytes], why[text_bytes];
    uint64_t took_ns;
    int64_t attempt, count, position;
} kept;

typedef struct spans {
    kept items[spans_max];
    size_t count;
} spans;

static void span_keep(void *context, const ski_span *span)
{
    spans *to = context;
    kept *one = &to->items[to->count++];

    assert_true(to->count <= spans_max);
    *one = (kept){.trace = span->trace, .kind = span->kind, .took_ns = span->took_ns};
    memcpy(one->parent, span->parent, sizeof one->parent);
    snprintf(one->name, sizeof one->name, "%.*s", SKALD_FMT(span->name));
    snprintf(one->why, sizeof one->why, "%.*s", SKALD_FMT(span->failed));
    for (size_t i = 0; i < span->field_count; i++) {
        if (strcmp(span->fields[i].key, "skald.attempt") == 0)
            one->attempt = span->fields[i].number;
        if (strcmp(span->fields[i].key, "skald.position") == 0)
            one->position = span->fields[i].number;
        if (strcmp(span->fields[i].key, "messaging.batch.message_count") == 0)
            one->count = span->fields[i].number;
    }
}

#define GIVEN "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define QUIET "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

static spans noted;
static ski_tracer tracer;

static void open_traced(rig *on, uint32_t sampled_of_million)
{
    rig_open(on);
    noted.count = 0;
    tracer = (ski_tracer){
        .context = &noted, .end = span_keep, .seed = 42, .sampled_of_million = sampled_of_million};
    ski_bus_trace(on->bus, &tracer);
}

static void publish(rig *on, const char *type, const char *trace)
{
    skald_event event = {.type = skald_str_of(type),
                         .traceparent = skald_str_of(trace),
                         .data = SKALD_STR("{}")};

    assert_int_equal(skald_publish(on->bus, event, NULL), SKALD_OK);
}

// trace_of is what the newest event of a type has.
static bool trace_of(rig *on, const char *type, ski_trace *ret_trace)
{
    skald_str name = skald_str_of(type);
    skald_read read = {.filter.types = {&name, 1}, .events_max = 1, .backwards = true};
    skald_store_page page = {0};

    assert_int_equal(ski_store_page(on->store, &read, &page, NULL), SKALD_OK);
    assert_int_equal(page.count, 1);
    bool found = ski_trace_parse(page.events[0].traceparent, ret_trace);
    ski_store_page_free(on->store, &page);
    return found;
}

static const kept *named(const char *name)
{
    const kept *found = NULL;

    for (size_t i = 0; i < noted.count; i++) {
        if (strcmp(noted.items[i].name, name) != 0) continue;
        assert_null(found);
        found = &noted.items[i];
    }
    if (!found) fail_msg("there is no span '%s'", name);
    return found;
}

static skald_outcome publishes(const skald_delivery *delivery)
{
    rig *on = delivery->context;
    skald_event event = {.type = SKALD_STR("mail.sent"), .data = SKALD_STR("{}")};

    on->now_ns += 5000;
    assert_int_equal(skald_delivery_publish(delivery, event, NULL), SKALD_OK);
    return SKALD_ACK;
}

static void is_one_tree(void **state SKALD_UNUSED)
{
    static rig on;
    skald_str type = SKALD_STR("order.paid");
    ski_trace stored;

    open_traced(&on, 0);
    skald_subscription_options options = {.name = "mailer",
                                          .filter.types = {&type, 1},
                                          .handler = {.fn = publishes, .context = &on}};
    rig_subscribe(&on, &options);
    publish(&on, "order.paid", GIVEN);
    rig_run(&on);
    assert_int_equal(noted.count, 3);
    const kept *first = named("publish order.paid"), *process = named("process order.paid"),
               *second = named("publish mail.sent");

    assert_int_equal(first->kind, SKI_SPAN_PRODUCER);
    assert_int_equal(process->kind, SKI_SPAN_CONSUMER);
    assert_int_equal(first->parent[0], 0xb7);
    assert_int_equal(first->position, 1);
    assert_memory_equal(process->parent, first->trace.span_id, 8);
    assert_memory_equal(second->parent, process->trace.span_id, 8);
    assert_int_equal(process->took_ns, 5000);
    for (size_t i = 0; i < noted.count; i++) {
        assert_int_equal(noted.items[i].trace.trace_id[0], 0x0a);
        assert_string_equal(noted.items[i].why, "");
    }
    assert_true(trace_of(&on, "order.paid", &stored));
    assert_memory_equal(stored.span_id, first->trace.span_id, 8);
    assert_true(trace_of(&on, "mail.sent", &stored));
    assert_memory_equal(stored.span_id, second->trace.span_id, 8);
    assert_true(stored.sampled);
    rig_close(&on);
}

static void each_attempt_has_a_span(void **state SKALD_UNUSED)
{
    static rig on;
    static notes to;

    open_traced(&on, 0);
    to = (notes){.outcome = SKALD_RETRY, .delay_ms = 10};
    skald_subscription_options options = rig_options("fails", &to);
    options.retry.attempts_max = 2;
    options.on_exhausted = SKALD_DEAD_LETTER;
    rig_subscribe(&on, &options);
    publish(&on, "a.b", GIVEN);
    rig_run(&on);
    rig_pass(&on, 20);
    assert_int_equal(noted.count, 3);
    for (size_t i = 1; i < 3; i++) {
        assert_string_equal(noted.items[i].name, "process a.b");
        assert_string_equal(noted.items[i].why, "not today");
        assert_int_equal(noted.items[i].attempt, i);
    }
    assert_memory_not_equal(noted.items[1].trace.span_id, noted.items[2].trace.span_id, 8);
    rig_close(&on);
}

static void a_timeout_ends_the_span(void **state SKALD_UNUSED)
{
    static rig on;
    static notes to;

    open_traced(&on, 0);
    to = (notes){.outcome = SKALD_PENDING};
    skald_subscription_options options = rig_options("sleeps", &to);
    options.retry.timeout_ms = 50;
    rig_subscribe(&on, &options);
    publish(&on, "a.b", GIVEN);
    rig_run(&on);
    assert_int_equal(noted.count, 1); // the publish: the delivery is pending
    rig_pass(&on, 60);
    const kept *process = named("process a.b");

    assert_string_equal(process->why, "no answer within 50 ms");
    assert_int_equal(process->took_ns, 60 * SKI_NS_PER_MS);
    rig_close(&on);
}

static void what_is_not_sampled_is_handed_on(void **state SKALD_UNUSED)
{
    static rig on;
    ski_trace stored;
    skald_str type = SKALD_STR("order.paid");

    open_traced(&on, 0);
    skald_subscription_options options = {.name = "mailer",
                                          .filter.types = {&type, 1},
                                          .handler = {.fn = publishes, .context = &on}};
    rig_subscribe(&on, &options);
    publish(&on, "order.paid", QUIET);
    publish(&on, "no.trace", NULL);
    publish(&on, "bad.trace", "nonsense");
    rig_run(&on);
    assert_int_equal(noted.count, 0);
    assert_true(trace_of(&on, "mail.sent", &stored));
    assert_int_equal(stored.span_id[0], 0xb7);
    assert_false(stored.sampled);
    assert_false(trace_of(&on, "no.trace", &stored));
    rig_close(&on);
    // Nor without a tracer, sampled or not.
    rig_open(&on);
    publish(&on, "order.paid", GIVEN);
    assert_true(trace_of(&on, "order.paid", &stored));
    assert_int_equal(stored.span_id[0], 0xb7);
    rig_close(&on);
}

static void a_trace_may_begin_here(void **state SKALD_UNUSED)
{
    static rig on;
    static const uint8_t none[8] = {0};
    ski_trace stored;

    open_traced(&on, 1000000);
    publish(&on, "a.b", NULL);
    const kept *first = named("publish a.b");

    assert_memory_equal(first->parent, none, 8);
    assert_true(trace_of(&on, "a.b", &stored));
    assert_memory_equal(stored.trace_id, first->trace.trace_id, 16);
    rig_close(&on);
}

static void an_array_has_a_span_for_each_parent(void **state SKALD_UNUSED)
{
    enum { many = 40 };
    static rig on;
    static skald_event events[many];
    static char traces[many][SKI_TRACE_TEXT + 1];

    open_traced(&on, 0);
    for (size_t i = 0; i < 4; i++)
        events[i] = (skald_event){.type = SKALD_STR("a.b"), .data = SKALD_STR("{}")};
    events[0].traceparent = events[1].traceparent = events[2].traceparent = SKALD_STR(GIVEN);
    assert_int_equal(skald_publish_all(on.bus, events, 4, NULL, NULL), SKALD_OK);
    assert_int_equal(noted.count, 1);
    assert_int_equal(noted.items[0].count, 3);
    // Beyond a number of parents there are no more spans.
    noted.count = 0;
    for (size_t i = 0; i < many; i++) {
        ski_trace trace = {.trace_id = {1}, .span_id = {(uint8_t)(i + 1)}, .sampled = true};

        ski_trace_print(&trace, traces[i]);
        events[i] = (skald_event){.type = SKALD_STR("a.c"),
                                  .data = SKALD_STR("{}"),
                                  .traceparent = skald_str_of(traces[i])};
    }
    assert_int_equal(skald_publish_all(on.bus, events, many, NULL, NULL), SKALD_OK);
    assert_int_equal(noted.count, 16);
    rig_close(&on);
}

static void a_publish_that_fails_says_so(void **state SKALD_UNUSED)
{
    static rig on;
    skald_event event = {.type = SKALD_STR("a.b"),
                         .stream = SKALD_STR("s-1"),
                         .traceparent = SKALD_STR(GIVEN),
                         .data = SKALD_STR("{}")};
    skald_expect expect = {.stream = SKALD_STR("s-1"), .expected = SKALD_PRESENT};
    skald_publish_options options = {.append = {.expect = &expect, .expect_count = 1}};

    open_traced(&on, 0);
    assert_int_equal(skald_publish(on.bus, event, &options), SKALD_ECONFLICT);
    assert_string_equal(named("publish a.b")->why, skald_err_text(SKALD_ECONFLICT));
    rig_close(&on);
}

static void attempts_are_measured(void **state SKALD_UNUSED)
{
    static rig on;
    static notes to;
    ski_histogram_seen seen;
    ski_bus_queues queues;

    rig_open(&on);
    to = (notes){.outcome = SKALD_ACK};
    skald_subscription_options options = rig_options("counts", &to);
    rig_subscribe(&on, &options);
    for (int i = 0; i < 65; i++) rig_publish(&on, "a.b", NULL);
    ski_bus_queues_get(on.bus, &queues);
    assert_int_equal(queues.subscriptions, 1);
    assert_int_equal(queues.deliveries_max, SKI_DELIVERIES_MAX);
    assert_false(queues.stopping);
    rig_run(&on);
    ski_histogram_see(ski_bus_attempts(on.bus), &seen);
    assert_int_equal(to.count, 65);
    assert_int_equal(seen.all, 3); // the first, the 33rd, the 65th
    rig_close(&on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_one_tree),
        cmocka_unit_test(each_attempt_has_a_span),
        cmocka_unit_test(a_timeout_ends_the_span),
        cmocka_unit_test(what_is_not_sampled_is_handed_on),
        cmocka_unit_test(a_trace_may_begin_here),
        cmocka_unit_test(an_array_has_a_span_for_each_parent),
        cmocka_unit_test(a_publish_that_fails_says_so),
        cmocka_unit_test(attempts_are_measured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
