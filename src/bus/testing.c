// SPDX-License-Identifier: Apache-2.0
// The bus for users' own tests: a stepped bus on a memory store and a clock of its own.
//
// A wrapped handler stands in a list until its subscription has ended, or its bus has crashed.
#include "bus/engine.h"
#include "bus/link.h"
#include <skald/test.h>

#include "base/alloc.h"

enum { deliveries_max = 100000 };

static const skald_time begin_us = INT64_C(1704067200) * 1000000; // 2024-01-01T00:00:00Z

struct skald_test_bus {
    skald_store *store;
    skald_bus *bus;
    skald_bus_options options;
    skald_clock clock;
    uint64_t now_ns;
    bool crashed;
    ski_link wrapped;
};

typedef struct wrapped {
    ski_link link;
    skald_test_bus *test;
    skald_handler handler;
    skald_test_trouble *trouble;
} wrapped;

static skald_time test_time(void *context)
{
    return begin_us + (skald_time)(((skald_test_bus *)context)->now_ns / 1000);
}

static uint64_t test_monotonic(void *context)
{
    return ((skald_test_bus *)context)->now_ns;
}

skald_err skald_test_bus_new(const skald_bus_options *options, skald_test_bus **ret_test)
{
    skald_test_bus *test = ski_alloc_zeroed(1, sizeof(*test));

    if (!test) return SKALD_ENOMEM;
    ski_link_init(&test->wrapped);
    test->now_ns = SKI_NS_PER_MS;
    test->clock = (skald_clock){test_time, test_monotonic, test};
    if (options) test->options = *options;
    test->options.clock = &test->clock;
    test->options.stepped = true;
    if (!test->options.seed) test->options.seed = 1;
    const skald_store_options stored = {.clock = &test->clock, .log = test->options.log};
    skald_err err = skald_store_open("memory:", &stored, &test->store, NULL);

    if (!err) err = skald_bus_new(test->store, &test->options, &test->bus);
    if (err) {
        skald_test_bus_free(test);
        return err;
    }
    *ret_test = test;
    return SKALD_OK;
}

// wrapped_drop frees those whose end was not told: their bus has crashed.
static void wrapped_drop(skald_test_bus *test)
{
    while (!ski_link_alone(&test->wrapped)) {
        wrapped *of = SKI_LINKED(test->wrapped.next, wrapped, link);

        ski_link_leave(&of->link);
        ski_free(of);
    }
}

void skald_test_bus_free(skald_test_bus *test)
{
    if (!test) return;
    skald_bus_free(test->bus);
    wrapped_drop(test);
    skald_store_close(test->store);
    ski_free(test);
}

skald_bus *skald_test_bus_bus(skald_test_bus *test)
{
    return test->bus;
}

skald_store *skald_test_bus_store(skald_test_bus *test)
{
    return test->store;
}

skald_time skald_test_bus_now(const skald_test_bus *test)
{
    return begin_us + (skald_time)(test->now_ns / 1000);
}

bool skald_test_bus_crashed(const skald_test_bus *test)
{
    return test->crashed;
}

uint32_t skald_test_bus_run(skald_test_bus *test)
{
    uint32_t made = 0;

    // One at a time, so that a crash comes between two.
    while (made < deliveries_max && !test->crashed && skald_bus_run(test->bus, 1)) made++;
    return made;
}

uint32_t skald_test_bus_pass(skald_test_bus *test, uint64_t ms)
{
    uint64_t until_ns = test->now_ns + ms * SKI_NS_PER_MS;
    uint32_t made = 0;

    while (!test->crashed && made < deliveries_max) {
        uint64_t due_ns = skald_bus_due_ns(test->bus);

        if (!due_ns || due_ns > until_ns) break;
        test->now_ns = due_ns > test->now_ns ? due_ns : test->now_ns + 1;
        made += skald_test_bus_run(test);
    }
    if (test->now_ns < until_ns) test->now_ns = until_ns;
    return made + skald_test_bus_run(test);
}

skald_err skald_test_bus_restart(skald_test_bus *test)
{
    skald_bus_free(test->bus);
    test->bus = NULL;
    test->crashed = false;
    return skald_bus_new(test->store, &test->options, &test->bus);
}

skald_err skald_test_bus_crash(skald_test_bus *test)
{
    if (test->bus) ski_bus_drop(test->bus);
    test->bus = NULL;
    test->crashed = false;
    wrapped_drop(test);
    return skald_bus_new(test->store, &test->options, &test->bus);
}

// Trouble.

static bool hit(uint32_t *count)
{
    if (!*count) return false;
    if (*count != UINT32_MAX) --*count;
    return true;
}

static skald_outcome call_inner(const wrapped *of, const skald_delivery *delivery)
{
    skald_delivery *seen = (skald_delivery *)delivery; // its context is the inner handler's now
    void *context = seen->context;

    seen->context = of->handler.context;
    skald_outcome outcome = of->handler.fn(seen);

    seen->context = context;
    return outcome;
}

static skald_outcome wrapped_take(const skald_delivery *delivery)
{
    wrapped *of = delivery->context;
    skald_test_trouble *trouble = of->trouble;

    if (delivery->attempt == 1 && hit(&trouble->delay))
        return skald_retry(delivery, trouble->delay_ms ? trouble->delay_ms : 1, "delayed (test)");
    if (hit(&trouble->fail)) return skald_retry(delivery, 0, "failed (test)");
    if (hit(&trouble->slow)) of->test->now_ns += trouble->slow_ms * SKI_NS_PER_MS;
    skald_outcome outcome = call_inner(of, delivery);

    if (hit(&trouble->duplicate)) return skald_retry(delivery, 1, "its answer was lost (test)");
    if (!hit(&trouble->crash)) return outcome;
    of->test->crashed = true;
    return SKALD_PENDING;
}

static void wrapped_end(void *context)
{
    wrapped *of = context;

    if (of->handler.end) of->handler.end(of->handler.context);
    ski_link_leave(&of->link);
    ski_free(of);
}

skald_handler skald_test_handler(skald_test_bus *test, skald_handler handler,
                                 skald_test_trouble *trouble)
{
    wrapped *of = handler.fn && trouble ? ski_alloc_zeroed(1, sizeof(*of)) : NULL;

    if (!of) return handler.fn && trouble ? (skald_handler){0} : handler;
    *of = (wrapped){.test = test, .handler = handler, .trouble = trouble};
    ski_link_init(&of->link);
    ski_link_append(&test->wrapped, &of->link);
    return (skald_handler){.fn = wrapped_take, .context = of, .end = wrapped_end};
}
